/* explain.h5: what is inside the model for some windows of each test folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/explain.h"
#include "ci/h5.h"
#include "ci/log.h"
#include "ci/tick.h"
#include "eval_priv.h"

enum { EXPLAIN_VERSION = 1, NAME = 32, MEANING = 160 };
enum {
    /* a window */
    A_GRAPH, A_CAPTURE, A_ROW, A_LABEL, A_SCORE, A_OUTPUT, A_OUTPUT_NAME, A_PATH,
    A_WINDOWS,
    /* its graph, where the model sees graphs */
    A_NODE = A_WINDOWS, A_EDGE, A_EMBEDDING, A_ID, A_KNOWN, A_X, A_X_GRADIENT, A_X_IMPORTANCE, A_SRC, A_DST, A_E, A_E_GRADIENT,
    A_E_IMPORTANCE, A_EDGE_IMPORTANCE, A_X_NAME, A_E_NAME,
    A_ATTENTION,
    A_MOST = A_ATTENTION + CI_EXPLAIN_LAYERS
};

/* Who looks inside: of a model that sees graphs. */
struct inside {
    const ci_trained *t;
    ci_explainer *explainer; /* NULL: of a model that sees none */
    ci_packer *packer;       /* one graph at a time             */
    ci_lid nodes, edges;     /* the most that one graph has     */
    const char *target;
};

/* Chosen windows, where the nodes and edges of each begin, and who looks inside. */
struct chosen {
    int64_t n;
    int64_t *at;           /* (n) place among the scored ones; owned  */
    int64_t *node, *edge;  /* (n + 1) owned                           */
};

static void chosen_release(struct chosen *c)
{
    free(c->at);
    free(c->node);
    free(c->edge);
}

/* Of the n windows in list, k that are spread evenly. */
static void spread(const int64_t *list, int64_t n, int64_t k, struct chosen *c)
{
    for (int64_t i = 0; i < k; i++) c->at[c->n++] = list[(2 * i + 1) * n / (2 * k)];
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Of one folder: half of them attacks and half benign, more of one where the other has too few. */
static void folder_choose(const ci_store *st, const struct scored *all, int32_t folder, int64_t most, int64_t *list, struct chosen *c)
{
    int64_t n[2] = {0}, k[2];
    const int64_t first = c->n;

    for (int64_t i = 0; i < all->n; i++) { /* benign ones from the left, attacks from the right */
        const int64_t g = all->graph[i];

        if (!all->test[i] || st->head.capture[st->graph_capture[g]].folder != folder) continue;
        if (st->graph_label[g]) list[all->n - ++n[1]] = i;
        else list[n[0]++] = i;
    }
    k[1] = CI_MIN(n[1], CI_MAX((most + 1) / 2, most - n[0]));
    k[0] = CI_MIN(n[0], most - k[1]);
    spread(list, n[0], k[0], c);
    spread(list + all->n - n[1], n[1], k[1], c);
    qsort(c->at + first, (size_t)(c->n - first), sizeof *c->at, ascending);
}

static ci_rc choose(const ci_store *st, const struct scored *all, int32_t most, struct chosen *c)
{
    ci_rc rc = CI_OK;
    int64_t *list = ci_new((size_t)all->n, sizeof *list);

    c->at = ci_new((size_t)all->n, sizeof *c->at);
    if (!list || !c->at) CI_FAIL(CI_ENOMEM, "%lld windows", (long long)all->n);
    for (int32_t f = 0; f < st->head.n_folder; f++)
        if (st->head.folder[f].role == 1) folder_choose(st, all, f, most, list, c);
    c->node = ci_new((size_t)c->n + 1, sizeof *c->node);
    c->edge = ci_new((size_t)c->n + 1, sizeof *c->edge);
    if (!c->node || !c->edge) CI_FAIL(CI_ENOMEM, "%lld windows", (long long)c->n);
done:
    free(list);
    return rc;
}

/* Nodes and edges are known when the windows were packed once. */
static void count(const struct scored *all, ci_packer *packer, struct chosen *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        const ci_batch *b = ci_packer_pack(packer, &all->graph[c->at[i]], 1);

        c->node[i + 1] = c->node[i] + b->n_node;
        c->edge[i + 1] = c->edge[i] + b->n_edge;
    }
}

static ci_rc windows_put(ci_h5 *f, const struct scored *all, const ci_store *st, const struct chosen *c)
{
    ci_rc rc = CI_OK;

    for (int64_t i = 0; i < c->n; i++) {
        const int64_t at = c->at[i], g = all->graph[at];

        CI_TRY(ci_h5_write(f, A_GRAPH, i, 1, &g));
        CI_TRY(ci_h5_write(f, A_CAPTURE, i, 1, &st->graph_capture[g]));
        CI_TRY(ci_h5_write(f, A_ROW, i, 1, &st->graph_row[g]));
        CI_TRY(ci_h5_write(f, A_LABEL, i, 1, &st->graph_label[g]));
        CI_TRY(ci_h5_write(f, A_SCORE, i, 1, &all->score[at]));
        CI_TRY(ci_h5_write(f, A_OUTPUT, i, 1, all->output + at * all->n_output));
    }
    CI_TRY(names_put(f, A_OUTPUT_NAME, all->n_output, NAME, scored_name, all));
    CI_TRY(names_put(f, A_PATH, st->head.n_capture, CI_STORE_TEXT, capture_path, st));
done:
    return rc;
}

static const char *node_feature(const void *set, int32_t i) { return ((const ci_feature_set *)set)->node[i].name; }
static const char *edge_feature(const void *set, int32_t i) { return ((const ci_feature_set *)set)->edge[i].name; }

/* Room for what is computed of one window's nodes and edges. */
struct room {
    uint32_t *id;
    int32_t *dst;
    float *x, *e, *edge;
};

static ci_rc room_init(struct room *r, size_t nodes, size_t edges, const ci_feature_set *set)
{
    r->id = ci_new(nodes, sizeof *r->id);
    r->dst = ci_new(edges, sizeof *r->dst);
    r->x = ci_new(nodes * (size_t)set->n_node, sizeof *r->x);
    r->e = ci_new(edges * (size_t)set->n_edge, sizeof *r->e);
    r->edge = ci_new(edges, sizeof *r->edge);
    return r->id && r->dst && r->x && r->e && r->edge ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%zu edges", edges);
}

static void room_release(struct room *r)
{
    free(r->id);
    free(r->dst);
    free(r->x);
    free(r->e);
    free(r->edge);
}

static void importance(const float *gradient, const float *value, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = gradient[i] * value[i];
}

/* Of each edge the norm of its features' importances. */
static void edge_norms(const float *v, ci_lid n, ci_lid cols, float *out)
{
    for (ci_lid k = 0; k < n; k++) {
        double sum = 0;

        for (ci_lid d = 0; d < cols; d++) sum += (double)v[k * cols + d] * (double)v[k * cols + d];
        out[k] = (float)sqrt(sum);
    }
}

static ci_rc nodes_put(ci_h5 *f, const ci_batch *b, const ci_explained *x, const ci_graph_view *g, const ci_store *st, int64_t node,
                       struct room *r)
{
    ci_rc rc = CI_OK;

    for (ci_lid k = 0; k < b->n_node; k++) r->id[k] = st->head.id[g->id[k]];
    importance(x->dx, b->x, (size_t)b->n_node * (size_t)b->n_feature, r->x);
    CI_TRY(ci_h5_write(f, A_ID, node, b->n_node, r->id));
    CI_TRY(ci_h5_write(f, A_KNOWN, node, b->n_node, b->id));
    CI_TRY(ci_h5_write(f, A_X, node, b->n_node, b->x));
    CI_TRY(ci_h5_write(f, A_X_GRADIENT, node, b->n_node, x->dx));
    CI_TRY(ci_h5_write(f, A_X_IMPORTANCE, node, b->n_node, r->x));
done:
    return rc;
}

static ci_rc edges_put(ci_h5 *f, const ci_batch *b, const ci_explained *x, int64_t edge, struct room *r)
{
    ci_rc rc = CI_OK;

    for (ci_lid i = 0; i < b->n_node; i++)
        for (ci_lid k = b->in_first[i]; k < b->in_first[i + 1]; k++) r->dst[k] = i;
    importance(x->de, b->e, (size_t)b->n_edge * (size_t)b->n_edge_feature, r->e);
    edge_norms(r->e, b->n_edge, b->n_edge_feature, r->edge);
    CI_TRY(ci_h5_write(f, A_SRC, edge, b->n_edge, b->in_src));
    CI_TRY(ci_h5_write(f, A_DST, edge, b->n_edge, r->dst));
    CI_TRY(ci_h5_write(f, A_E, edge, b->n_edge, b->e));
    CI_TRY(ci_h5_write(f, A_E_GRADIENT, edge, b->n_edge, x->de));
    CI_TRY(ci_h5_write(f, A_E_IMPORTANCE, edge, b->n_edge, r->e));
    CI_TRY(ci_h5_write(f, A_EDGE_IMPORTANCE, edge, b->n_edge, r->edge));
    for (ci_lid k = 0; k < x->n_layer; k++) CI_TRY(ci_h5_write(f, (size_t)(A_ATTENTION + k), edge, b->n_edge, x->layer[k].p));
done:
    return rc;
}

static ci_rc graphs_put(ci_h5 *f, const struct inside *in, const struct scored *all, const ci_store *st, const struct chosen *c)
{
    ci_rc rc = CI_OK;
    struct room r = {0};
    ci_reader *reader = NULL;

    CI_TRY(room_init(&r, (size_t)in->nodes, (size_t)in->edges, st->set));
    CI_TRY(ci_reader_create(st, &reader));
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t *graph = &all->graph[c->at[i]];
        const ci_batch *b = ci_packer_pack(in->packer, graph, 1);
        ci_graph_view view;
        ci_explained x;

        ci_tick();
        ci_store_graph(reader, *graph, &view);
        CI_TRY(ci_explain(in->explainer, in->t->ck.w, in->t->ck.state, b, &x));
        CI_TRY(nodes_put(f, b, &x, &view, st, c->node[i], &r));
        CI_TRY(edges_put(f, b, &x, c->edge[i], &r));
        CI_TRY(ci_h5_write(f, A_EMBEDDING, i, 1, x.embedding));
    }
    CI_TRY(ci_h5_write(f, A_NODE, 0, c->n + 1, c->node));
    CI_TRY(ci_h5_write(f, A_EDGE, 0, c->n + 1, c->edge));
    CI_TRY(names_put(f, A_X_NAME, st->set->n_node, NAME, node_feature, st->set));
    CI_TRY(names_put(f, A_E_NAME, st->set->n_edge, NAME, edge_feature, st->set));
done:
    ci_reader_destroy(&reader);
    room_release(&r);
    return rc;
}

struct layout {
    ci_array array[A_MOST];
    size_t n;
    char name[CI_EXPLAIN_LAYERS][NAME], meaning[CI_EXPLAIN_LAYERS][MEANING];
};

static void layout_windows(struct layout *l, const struct scored *all, const ci_store *st, int64_t n)
{
    const ci_array array[A_WINDOWS] = {
        [A_GRAPH] = {"graph", CI_TYPE_I64, n, 1, NULL, "number of the window in the store", NULL},
        [A_CAPTURE] = {"capture", CI_TYPE_I32, n, 1, NULL, "capture it is from", NULL},
        [A_ROW] = {"row", CI_TYPE_I64, n, 1, NULL, "its first frame in the capture", NULL},
        [A_LABEL] = {"label", CI_TYPE_U8, n, 1, NULL, "1 when a frame of it is an attack", NULL},
        [A_SCORE] = {"score", CI_TYPE_F64, n, 1, NULL, all->score_name, NULL},
        [A_OUTPUT] = {"output", CI_TYPE_F32, n, all->n_output, NULL, "what the model says of the window; output_name has the columns", NULL},
        [A_OUTPUT_NAME] = {"output_name", CI_TYPE_TEXT, all->n_output, NAME, NULL, "columns of output", NULL},
        [A_PATH] = {"capture_path", CI_TYPE_TEXT, st->head.n_capture, CI_STORE_TEXT, NULL, "path of each capture below the data set", NULL},
    };

    memcpy(l->array, array, sizeof array);
    l->n = A_WINDOWS;
}

static void layout_graphs(struct layout *l, const struct inside *in, const ci_feature_set *set, const struct chosen *c)
{
    ci_explained x;
    const int64_t n = c->n, N = c->node[n], E = c->edge[n], F = set->n_node, K = set->n_edge;

    ci_explainer_shape(in->explainer, &x);
    const ci_array array[A_ATTENTION] = {
        [A_NODE] = {"node", CI_TYPE_I64, n + 1, 1, NULL, "first node of each window, then how many there are", NULL},
        [A_EDGE] = {"edge", CI_TYPE_I64, n + 1, 1, NULL, "first edge of each window, then how many there are", NULL},
        [A_EMBEDDING] = {"embedding", CI_TYPE_F32, n, x.n_embedding, NULL, "the window as one vector, from which its score is computed", NULL},
        [A_ID] = {"node_id", CI_TYPE_U32, N, 1, NULL, "arbitration identifier; bit 31: of 29 bits", NULL},
        [A_KNOWN] = {"node_vocabulary", CI_TYPE_I32, N, 1, NULL, "its number in the vocabulary, 0 unknown", NULL},
        [A_X] = {"node_x", CI_TYPE_F32, N, F, NULL, "scaled features, as the model sees them", NULL},
        [A_X_GRADIENT] = {"node_gradient", CI_TYPE_F32, N, F, NULL, "gradient of the attribute `target` with respect to node_x", NULL},
        [A_X_IMPORTANCE] = {"node_importance", CI_TYPE_F32, N, F, NULL, "node_gradient times node_x", NULL},
        [A_SRC] = {"edge_src", CI_TYPE_I32, E, 1, NULL, "position of its source among the window's nodes", NULL},
        [A_DST] = {"edge_dst", CI_TYPE_I32, E, 1, NULL, "and of its target; the last one of a target is the self-loop that is added", NULL},
        [A_E] = {"edge_x", CI_TYPE_F32, E, K, NULL, "scaled features, as the model sees them", NULL},
        [A_E_GRADIENT] = {"edge_gradient", CI_TYPE_F32, E, K, NULL, "gradient of the attribute `target` with respect to edge_x", NULL},
        [A_E_IMPORTANCE] = {"edge_feature_importance", CI_TYPE_F32, E, K, NULL, "edge_gradient times edge_x", NULL},
        [A_EDGE_IMPORTANCE] = {"edge_importance", CI_TYPE_F32, E, 1, NULL, "norm of the edge's row of edge_feature_importance", NULL},
        [A_X_NAME] = {"node_feature", CI_TYPE_TEXT, F, NAME, NULL, "columns of node_x", NULL},
        [A_E_NAME] = {"edge_feature", CI_TYPE_TEXT, K, NAME, NULL, "columns of edge_x", NULL},
    };
    memcpy(l->array + A_WINDOWS, array + A_WINDOWS, sizeof array - A_WINDOWS * sizeof *array);
    l->n = (size_t)(A_ATTENTION + x.n_layer);
    for (ci_lid k = 0; k < x.n_layer; k++) {
        snprintf(l->name[k], NAME, "attention%d", k);
        snprintf(l->meaning[k], MEANING, "of each edge and head in %s; over the edges into a node they add up to 1", x.layer[k].name);
        l->array[A_ATTENTION + k] = (ci_array){l->name[k], CI_TYPE_F32, E, x.layer[k].heads, NULL, l->meaning[k], NULL};
    }
}

static ci_rc file_write(const char *temp, const struct inside *in, const struct scored *all, const ci_store *st,
                        const struct results *r, const struct chosen *c)
{
    ci_rc rc = CI_OK;
    ci_h5 *f = NULL;
    struct layout *l = ci_new(1, sizeof *l);
    const ci_attribute attribute[] = {
        {"format", "canids explanation", 0},
        {"format_version", NULL, EXPLAIN_VERSION},
        {"settings_sha256", r->settings, 0},
        {"store_tree_sha256", r->store, 0},
        {"weights", r->which, 0},
        {"weights_sha256", r->weights, 0},
        {"target", in->target, 0},
        {"simulated", NULL, r->simulated},
    };

    if (!l) CI_FAIL(CI_ENOMEM, "explanation");
    layout_windows(l, all, st, c->n);
    if (in->explainer) layout_graphs(l, in, st->set, c);
    CI_TRY(ci_h5_create(NULL, temp, l->array, l->n, attribute, CI_COUNT(attribute), &f));
    CI_TRY(windows_put(f, all, st, c));
    if (in->explainer) CI_TRY(graphs_put(f, in, all, st, c));
    CI_TRY(ci_h5_finish(&f));
done:
    ci_h5_abandon(&f);
    free(l);
    return rc;
}

static ci_rc inside_init(struct inside *in, const ci_trained *t, const struct scored *all, const ci_store *st, const struct chosen *c)
{
    ci_rc rc = CI_OK;

    *in = (struct inside){.t = t, .target = "none"};
    if (!t) goto done;
    in->target = t->ck.dim.kind == CI_GAT ? "logit1 - logit0" : "recon: mean square error of the node features";
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t g = all->graph[c->at[i]];
        in->nodes = CI_MAX(in->nodes, (ci_lid)(st->graph_node[g + 1] - st->graph_node[g]));
    }
    in->edges = ci_packer_max_edge(st, 1, in->nodes);
    CI_TRY(ci_packer_create(st, &t->ck.scaler, 1, in->nodes, true, &in->packer));
    CI_TRY(ci_explainer_create(t->model, 1, in->nodes, in->edges, ci_packer_max_raw(st, 1), &in->explainer));
done:
    return rc;
}

static void inside_release(struct inside *in)
{
    ci_explainer_destroy(&in->explainer);
    ci_packer_destroy(&in->packer);
}

ci_rc explain_write(const ci_trained *t, const struct scored *all, const ci_store *st, const ci_conf *conf, const struct results *r)
{
    ci_rc rc = CI_OK;
    struct chosen c = {0};
    struct inside in = {0};
    char path[CI_PATH_MAX], temp[CI_PATH_MAX] = "";

    CI_TRY(ci_path_join(path, conf->run.dir, "explain.h5"));
    if (!conf->eval.explain) {
        CI_TRY(ci_commit_remove(path)); /* one that is there is of other results */
        goto done;
    }
    CI_TRY(ci_commit_temp(path, temp));
    CI_TRY(choose(st, all, conf->eval.explain, &c));
    CI_TRY(inside_init(&in, t, all, st, &c));
    if (in.explainer) count(all, in.packer, &c);
    CI_TRY(file_write(temp, &in, all, st, r, &c));
    CI_TRY(ci_commit_publish(path, NULL, NULL));
    ci_log(CI_INFO, "explain.h5: %lld windows", (long long)c.n);
done:
    if (rc != CI_OK && temp[0]) unlink(temp);
    inside_release(&in);
    chosen_release(&c);
    return rc;
}
