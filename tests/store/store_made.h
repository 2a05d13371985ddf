#ifndef STORE_MADE_H
#define STORE_MADE_H
/** Stores for tests: graphs of random numbers, each a function of (seed, number of the graph) alone, so that any part of
 *  a test can make graph g again and knows what the store has to hold. */
#include <string.h>

#include "ci/arena.h"
#include "ci/random.h"
#include "ci/store.h"

enum { MADE_CAPTURES = 16 };

typedef struct made_capture {
    const char *folder;
    int role; /**< 0 training, 1 test */
    const char *file;
    int64_t n_graph;
    int32_t attack;
    const char *hash; /**< NULL: one of its own */
} made_capture;

typedef struct made {
    uint32_t seed;
    int32_t frames, stride;
    const char *past;      /**< of a streamed set; NULL: kd35 */
    bool compat;
    ci_store_layout layout;      /**< compact or float32 */
    bool merged;           /**< the number of edges differs from graph to graph */
    int32_t n_id, n_vocab; /**< identifiers 3k + 5, the first n_vocab of the odd ones in the vocabulary */
    int32_t max_node;
    made_capture capture[MADE_CAPTURES]; /**< up to the first without a folder */
    uint8_t (*label)(int64_t g);         /**< NULL: a third are attacks */
    int64_t (*row)(int64_t window, int32_t stride); /**< NULL: window * stride */
} made;

#define MADE __attribute__((unused)) static

MADE ci_u32x4 made_draw(const made *m, int64_t g, uint32_t what, uint32_t i)
{
    return ci_philox(m->seed, 97, (uint32_t)g, what, i, 0);
}

MADE const ci_feature_set *made_set(const made *m)
{
    return m->past ? ci_feature_set_of("agnostic", m->past) : ci_feature_set_find("kd35");
}

MADE int32_t made_edges(const made *m)
{
    return m->frames - (m->compat ? 2 : 1);
}

MADE int32_t made_nodes(const made *m, int64_t g)
{
    return 1 + (int32_t)ci_below(made_draw(m, g, 0, 0).v[0], (uint32_t)CI_MIN(m->max_node, m->n_id));
}

/** Edges of graph g, at most made_edges. */
MADE int32_t made_n_edge(const made *m, int64_t g)
{
    return m->merged ? 1 + (int32_t)ci_below(made_draw(m, g, 5, 0).v[0], (uint32_t)made_edges(m)) : made_edges(m);
}

MADE uint8_t made_label(const made *m, int64_t g)
{
    return m->label ? m->label(g) : ci_below(made_draw(m, g, 0, 0).v[1], 3) == 0;
}

/** Column k of a node: legal values of all sizes, exact zeros and ends of the range among them. */
MADE float made_x(const made *m, int64_t g, int32_t node, int32_t k, const ci_feature_set *set)
{
    const ci_u32x4 r = made_draw(m, g, 1, (uint32_t)(node * (set->stream ? 192 : 64) + k));
    const float most = __builtin_ldexpf(60000, -set->node[k].log2_scale);

    if (r.v[1] % 16 == 0) return 0;
    if (k == 27) return 0.25f; /* a column without spread */
    if (k == 5 && r.v[1] % 97 == 1) return most; /* outliers, to be clipped at 10 spreads */
    if (k == 5) return (float)r.v[0] * 0x1p-32f;
    return (r.v[1] % 2 ? most : most / 256) * ((float)(r.v[0] >> 8) * 0x1p-24f);
}

/** Column k of place `what` of a streamed set, i a number in the graph: of both signs, of all sizes, zeros among them, and
 *  columns that hardly ever move. */
MADE float made_stream(const made *m, int64_t g, uint32_t what, int32_t i, int32_t k)
{
    const ci_u32x4 r = made_draw(m, g, what, (uint32_t)(i * 192 + k));

    if (r.v[1] % 16 == 0 || (k % 5 == 1 && r.v[1] % 64 != 1)) return 0;
    return ((float)(r.v[0] >> 8) * 0x1p-24f - 0.5f) * (r.v[1] % 2 ? 60 : 0.5f) + (made_label(m, g) ? 3 : 0);
}

/** What graph number `at` of `out` has as one of a streamed set: its window, whether it is warm (the first two of seven are
 *  not), its edges and their labels. */
MADE void made_streamed(const made *m, int64_t g, ci_lid at, ci_lid edge, int32_t n_edge, ci_graphs *out)
{
    const int32_t K = out->set->n_edge, H = out->set->n_window;

    out->warm[at] = g % 7 > 1;
    for (int32_t k = 0; k < H; k++) out->w[(size_t)at * (size_t)H + (size_t)k] = made_stream(m, g, 6, 0, k);
    for (int32_t i = 0; i < n_edge; i++) {
        out->edge_attack[edge + i] = made_label(m, g) && made_draw(m, g, 8, (uint32_t)i).v[0] % 3 == 0;
        for (int32_t k = 0; k < K; k++) out->e[(size_t)(edge + i) * (size_t)K + (size_t)k] = made_stream(m, g, 7, i, k);
    }
}

/** Graph g behind those that are in `out` already. */
MADE void made_append(const made *m, int64_t g, int64_t row, ci_graphs *out)
{
    const int32_t n = made_nodes(m, g), n_edge = made_n_edge(m, g), F = out->set->n_node, K = out->set->n_edge;
    const ci_lid at = out->n_node, edge = out->n_edge;
    int32_t id = 0;

    for (int32_t i = 0; i < n; i++) { /* ascending, spread over all identifiers */
        const int32_t left = n - i, room = m->n_id - id - left;
        id += (int32_t)ci_below(made_draw(m, g, 2, (uint32_t)i).v[0], (uint32_t)(2 * room / left + 1)) % (room + 1);
        out->id[at + i] = (uint32_t)(3 * id++ + 5);
        for (int32_t k = 0; k < F; k++) out->x[(size_t)(at + i) * (size_t)F + (size_t)k] = made_x(m, g, i, k, out->set);
    }
    for (int32_t i = 0; i < n_edge; i++) {
        const ci_u32x4 r = made_draw(m, g, 3, (uint32_t)i), q = made_draw(m, g, 4, (uint32_t)i);
        float *e = out->e + (size_t)(edge + i) * (size_t)K;
        out->src[edge + i] = (ci_lid)ci_below(r.v[0], (uint32_t)n);
        out->dst[edge + i] = (ci_lid)ci_below(r.v[1], (uint32_t)n);
        if (out->set->stream) continue;
        e[0] = (float)r.v[2] * 1e-9f;
        for (int k = 0; k < 8; k++) e[1 + k] = (float)(q.v[k / 4] >> 8 * (k % 4) & 255);
        e[9] = (float)(q.v[2] & 1);
        e[10] = (float)(1 + ci_below(q.v[3], (uint32_t)n_edge));
    }
    if (out->set->stream) made_streamed(m, g, out->n_graph, edge, n_edge, out);
    out->row[out->n_graph] = row;
    out->attack[out->n_graph] = made_label(m, g);
    out->n_graph++;
    out->n_node += n;
    out->n_edge += n_edge;
    out->node_first[out->n_graph] = out->n_node;
    out->edge_first[out->n_graph] = out->n_edge;
}

MADE int64_t made_row(const made *m, int64_t window)
{
    return m->row ? m->row(window, m->stride) : window * m->stride;
}

MADE void made_head(const made *m, ci_store_head *h)
{
    *h = (ci_store_head){.compat = m->compat, .layout = m->layout, .simulated = m->seed % 2 == 0, .frames = m->frames, .stride = m->stride, .n_id = m->n_id};
    snprintf(h->set, sizeof h->set, "%s", made_set(m)->name);
    if (m->past) snprintf(h->past, sizeof h->past, "%s", m->past);
    memset(h->source, 'a', CI_SHA256_HEX - 1);
    h->folder = ci_new(MADE_CAPTURES, sizeof *h->folder);
    h->capture = ci_new(MADE_CAPTURES, sizeof *h->capture);
    h->id = ci_new((size_t)m->n_id, sizeof *h->id);
    h->vocab = ci_new((size_t)m->n_id, sizeof *h->vocab);
    assert_true(h->folder && h->capture && h->id && h->vocab);
    for (int32_t i = 0; i < m->n_id; i++) {
        h->id[i] = (uint32_t)(3 * i + 5);
        if (i % 2 && h->n_vocab < m->n_vocab) h->vocab[i] = ++h->n_vocab;
    }
    assert_int_equal(h->n_vocab, m->n_vocab);
    for (const made_capture *c = m->capture; c < m->capture + MADE_CAPTURES && c->folder; c++) {
        ci_store_capture *s = &h->capture[h->n_capture];
        int32_t f = 0;
        while (f < h->n_folder && strcmp(h->folder[f].name, c->folder) != 0) f++;
        if (f == h->n_folder) {
            snprintf(h->folder[f].name, CI_STORE_TEXT, "%s", c->folder);
            h->folder[h->n_folder++].role = c->role;
        }
        snprintf(s->path, CI_STORE_TEXT, "%s/%s", c->folder, c->file);
        if (c->hash) snprintf(s->hash, CI_XXH_HEX, "%s", c->hash);
        else ci_xxh_hex(ci_xxh_of(s->path, strlen(s->path)), s->hash);
        s->folder = f;
        s->attack = c->attack;
        s->rows = c->n_graph ? (c->n_graph - 1) * m->stride + m->frames : 1;
        s->first_graph = h->n_graph;
        s->n_graph = c->n_graph;
        for (int64_t i = 0; i < c->n_graph; i++) {
            h->n_node += made_nodes(m, h->n_graph + i);
            h->n_edge += made_n_edge(m, h->n_graph + i);
        }
        h->n_graph += c->n_graph;
        h->n_frame += c->n_graph ? s->rows : 0;
        h->n_capture++;
    }
}

/** Write it, runs of `chunk` graphs of one capture, dealt to the ranks in turn.  A rank may have none. */
MADE void made_write_in(const ci_comm *comm, const made *m, int64_t chunk, const char *path, char sha[CI_SHA256_HEX])
{
    ci_store_head h;
    ci_store_writer *w = NULL;
    ci_graphs g;
    ci_rc rc = CI_OK;
    int64_t node = 0, edge = 0, run = 0;

    made_head(m, &h);
    assert_int_equal(ci_graphs_init(&g, made_set(m), (ci_lid)chunk, m->max_node, made_edges(m)), CI_OK);
    assert_int_equal(ci_store_create(comm, path, &h, &w), CI_OK);
    for (int32_t c = 0; c < h.n_capture; c++)
        for (int64_t i = 0; i < h.capture[c].n_graph; i += chunk, run++) {
            const int64_t n = CI_MIN(chunk, h.capture[c].n_graph - i), first = h.capture[c].first_graph + i;
            const int64_t at = node, edge_at = edge;
            for (int64_t k = 0; k < n; k++) {
                node += made_nodes(m, first + k);
                edge += made_n_edge(m, first + k);
            }
            if (run % comm->size != comm->rank) continue;
            ci_graphs_clear(&g);
            for (int64_t k = 0; k < n; k++) made_append(m, first + k, made_row(m, i + k), &g);
            if (rc == CI_OK) rc = ci_store_put(w, c, first, at, edge_at, &g);
        }
    assert_int_equal(ci_agree(comm, "made.put", rc), CI_OK);
    assert_int_equal(ci_store_commit(&w, sha), CI_OK);
    assert_null(w);
    ci_graphs_release(&g);
    ci_store_head_release(&h);
}

/** Graph g into `out`, cleared; by a reader of its own. */
MADE void made_read(const ci_store *st, int64_t g, ci_graphs *out)
{
    ci_reader *r = NULL;
    ci_graph_view v;

    assert_int_equal(ci_reader_create(st, &r), CI_OK);
    ci_store_graph(r, g, &v);
    ci_graphs_clear(out);
    assert_true(v.n_node <= out->cap_node && v.n_edge <= out->cap_edge);
    for (ci_lid i = 0; i < v.n_node; i++) out->id[i] = st->head.id[v.id[i]];
    memcpy(out->x, v.x, (size_t)v.n_node * (size_t)st->set->n_node * sizeof *v.x);
    memcpy(out->src, v.src, (size_t)v.n_edge * sizeof *v.src);
    memcpy(out->dst, v.dst, (size_t)v.n_edge * sizeof *v.dst);
    memcpy(out->e, v.e, (size_t)v.n_edge * (size_t)st->set->n_edge * sizeof *v.e);
    out->n_graph = 1;
    out->n_node = out->node_first[1] = v.n_node;
    out->n_edge = out->edge_first[1] = v.n_edge;
    out->row[0] = st->graph_row[g];
    out->attack[0] = st->graph_label[g];
    if (st->set->stream) {
        memcpy(out->w, v.w, (size_t)st->set->n_window * sizeof *v.w);
        memcpy(out->edge_attack, v.edge_label, (size_t)v.n_edge);
        out->warm[0] = st->graph_warm[g];
    } else assert_true(!v.w && !v.edge_label);
    ci_reader_destroy(&r);
    assert_null(r);
}

/** Write and open. */
MADE ci_store *made_store(const ci_comm *comm, const made *m, const char *path, char sha[CI_SHA256_HEX])
{
    ci_store *st = NULL;
    char again[CI_SHA256_HEX];

    made_write_in(comm, m, 7, path, sha);
    assert_int_equal(ci_store_open_all(comm, path, again, &st), CI_OK);
    assert_string_equal(sha, again);
    return st;
}

#endif
