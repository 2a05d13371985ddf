/* The store as tables that any program reads. */
#include <math.h>
#include <string.h>
#include "ci/attack.h"
#include "ci/vocab.h"
#include "export_priv.h"

const char *const export_csv_names[] = {"captures.csv", "graphs.csv", "nodes.csv", "edges.csv", NULL};

enum { CELL = 24, LINE = (192 + 4) * CELL }; /* bytes of a number with its comma; of a line of numbers */

/* Nine digits give a float32 back; most columns are small integers, which need no printf. */
static char *number(char *to, float v)
{
    char digit[8];
    int n = 0;
    unsigned left;

    if (!(fabsf(v) < 1e7f) || v != (float)(int32_t)v || (v == 0 && signbit(v))) return to + snprintf(to, CELL, "%.9g", (double)v);
    if (v < 0) *to++ = '-';
    left = (unsigned)fabsf(v);
    do digit[n++] = (char)('0' + left % 10);
    while (left /= 10);
    while (n) *to++ = digit[--n];
    return to;
}

static char *row(char *to, const float *v, ci_lid n)
{
    for (ci_lid k = 0; k < n; k++) {
        *to++ = ',';
        to = number(to, v[k]);
    }
    *to++ = '\n';
    return to;
}

static ci_rc header(struct export_file *f, const char *first, const ci_feature *column, ci_lid n)
{
    ci_rc rc = CI_OK;

    CI_TRY(export_bytes(f, first, strlen(first)));
    for (ci_lid k = 0; k < n; k++) {
        CI_TRY(export_bytes(f, ",", 1));
        CI_TRY(export_bytes(f, column[k].name, strlen(column[k].name)));
    }
    CI_TRY(export_bytes(f, "\n", 1));
done:
    return rc;
}

/* A text in quotes where it needs them. */
static ci_rc text(struct export_file *f, const char *t)
{
    ci_rc rc = CI_OK;
    const bool quoted = strpbrk(t, ",\"\r\n");

    if (quoted) CI_TRY(export_bytes(f, "\"", 1));
    for (; *t; t++) {
        if (*t == '"') CI_TRY(export_bytes(f, "\"", 1));
        CI_TRY(export_bytes(f, t, 1));
    }
    if (quoted) CI_TRY(export_bytes(f, "\"", 1));
done:
    return rc;
}

static ci_rc captures(const ci_store_head *h, const char *folder)
{
    static const char *const role[] = {"train", "test", "injected"};
    ci_rc rc = CI_OK;
    struct export_file f = {0};
    char line[LINE];

    CI_TRY(export_open(folder, "captures.csv", &f));
    CI_TRY(header(&f, "capture,path,folder,role,attack,xxh128,rows,first_graph,graphs", NULL, 0));
    for (int32_t i = 0; i < h->n_capture; i++) {
        const ci_store_capture *c = &h->capture[i];
        int n = snprintf(line, sizeof line, "%d,", i);
        CI_TRY(export_bytes(&f, line, (size_t)n));
        CI_TRY(text(&f, c->path));
        CI_TRY(export_bytes(&f, ",", 1));
        CI_TRY(text(&f, h->folder[c->folder].name));
        n = snprintf(line, sizeof line, ",%s,%s,%s,%lld,%lld,%lld\n", role[h->folder[c->folder].role],
                     ci_attack_name(c->attack), c->hash, (long long)c->rows, (long long)c->first_graph, (long long)c->n_graph);
        CI_TRY(export_bytes(&f, line, (size_t)n));
    }
    CI_TRY(export_close(&f));
done:
    export_drop(&f);
    return rc;
}

static ci_rc nodes_put(const ci_store *st, int64_t g, const ci_graph_view *v, struct export_file *f)
{
    ci_rc rc = CI_OK;
    char line[LINE], id[9];

    for (ci_lid i = 0; i < v->n_node; i++) {
        const int32_t at = v->id[i];
        char *to = line;
        ci_id_text(st->head.id[at], id);
        to += snprintf(to, sizeof line, "%lld,%d,%s,%d", (long long)g, i, id, st->head.vocab[at]);
        to = row(to, v->x + (size_t)i * (size_t)st->set->n_node, st->set->n_node);
        CI_TRY(export_bytes(f, line, (size_t)(to - line)));
    }
done:
    return rc;
}

static ci_rc edges_put(const ci_store *st, int64_t g, const ci_graph_view *v, struct export_file *f)
{
    ci_rc rc = CI_OK;
    char line[LINE];

    for (ci_lid i = 0; i < v->n_edge; i++) {
        char *to = line + snprintf(line, sizeof line, "%lld,%d,%d", (long long)g, v->src[i], v->dst[i]);
        if (v->edge_label) to += snprintf(to, CELL, ",%d", v->edge_label[i]);
        to = row(to, v->e + (size_t)i * (size_t)st->set->n_edge, st->set->n_edge);
        CI_TRY(export_bytes(f, line, (size_t)(to - line)));
    }
done:
    return rc;
}

static ci_rc graphs(const ci_store *st, const char *folder)
{
    enum { GRAPHS, NODES, EDGES, FILES };
    ci_rc rc = CI_OK;
    struct export_file f[FILES] = {0};
    ci_reader *r = NULL;
    ci_graph_view v;
    char line[LINE];

    CI_TRY(ci_reader_create(st, &r));
    for (int i = 0; i < FILES; i++) CI_TRY(export_open(folder, export_csv_names[1 + i], &f[i]));
    CI_TRY(header(&f[GRAPHS], st->set->stream ? "graph,capture,row,label,nodes,edges,warm" : "graph,capture,row,label,nodes,edges",
                  st->set->window, st->set->n_window));
    CI_TRY(header(&f[NODES], "graph,node,id,vocab", st->set->node, st->set->n_node));
    CI_TRY(header(&f[EDGES], st->set->stream ? "graph,src,dst,label" : "graph,src,dst", st->set->edge, st->set->n_edge));
    for (int64_t g = 0; g < st->head.n_graph; g++) {
        char *to = line;
        ci_store_graph(r, g, &v);
        to += snprintf(to, sizeof line, "%lld,%d,%lld,%d,%d,%d", (long long)g, st->graph_capture[g], (long long)st->graph_row[g],
                       st->graph_label[g], v.n_node, v.n_edge);
        if (st->set->stream) to += snprintf(to, CELL, ",%d", st->graph_warm[g]);
        to = row(to, v.w, st->set->n_window);
        CI_TRY(export_bytes(&f[GRAPHS], line, (size_t)(to - line)));
        CI_TRY(nodes_put(st, g, &v, &f[NODES]));
        CI_TRY(edges_put(st, g, &v, &f[EDGES]));
        export_forget(st, g);
    }
    for (int i = 0; i < FILES; i++) CI_TRY(export_close(&f[i]));
done:
    for (int i = 0; i < FILES; i++) export_drop(&f[i]);
    ci_reader_destroy(&r);
    return rc;
}

ci_rc export_csv(const ci_store *st, const char *folder)
{
    ci_rc rc = CI_OK;

    CI_TRY(captures(&st->head, folder));
    CI_TRY(graphs(st, folder));
done:
    return rc;
}
