#ifndef STREAM_MADE_H
#define STREAM_MADE_H
/** A made capture, and what streams make of it. */
#include <stdlib.h>
#include <string.h>

#include "ci/stream.h"

enum { ROWS = 1 << 20 };
static int64_t row_t[ROWS];
static uint32_t row_id[ROWS];
static uint64_t row_data[ROWS];
static uint8_t row_len[ROWS], row_attack[ROWS];
static ci_table table = {.t_ns = row_t, .id = row_id, .data = row_data, .len = row_len, .attack = row_attack};

static uint64_t seed;

static inline uint64_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed >> 24;
}

static inline void row_put(int64_t t, uint32_t id, uint64_t data, uint8_t len, uint8_t attack)
{
    const ci_lid i = table.n++;

    row_t[i] = t;
    row_id[i] = id;
    row_data[i] = len < 8 ? data & ~(~UINT64_C(0) << 8 * len) : data;
    row_len[i] = len;
    row_attack[i] = attack;
    table.n_own = table.n;
}

/** n frames of 20 identifiers, every 5th of 29 bits, with lengths 0..8, counters, noise, constants; steps back, equal times and a jump;
 *  from the middle on with frames that do not belong: new identifiers, a flood, another's payload. */
static inline void capture_make(ci_lid n)
{
    int64_t due[20];
    int64_t now = INT64_C(1600000000000000000);

    table.n = table.n_own = 0;
    seed = 7;
    for (int k = 0; k < 20; k++) due[k] = now + k * 100000;
    while (table.n < n) {
        int k = 0;
        for (int j = 1; j < 20; j++)
            if (due[j] < due[k]) k = j;
        const uint32_t id = k % 5 == 4 ? UINT32_C(0x80010000) + (uint32_t)k * 7919 : 0x40 + 31u * (uint32_t)k;
        const uint64_t noise = next_random(), count = (uint64_t)(table.n / 20 % 256);
        const bool late = table.n > n / 2, step = table.n % 89 == 50;
        now = step ? now - (int64_t)(next_random() % 400000) : table.n % 97 == 3 ? now : CI_MAX(now, due[k]);
        if (table.n == n / 3) now += INT64_C(5000000000);
        row_put(now, id, count | (k % 3 ? noise << 24 : 0x55) | UINT64_C(0xAA00000000000000), (uint8_t)(noise % 500 == 0 ? noise % 9 : 8 - (unsigned)k % 9), 0);
        due[k] = now + 1000000 * (1 + k % 4) + (int64_t)(next_random() % 50000);
        if (late && table.n < n && noise % 40 == 0) row_put(now + 20000, 0x700 + (uint32_t)(noise >> 8) % 64, noise, 8, 1);
        if (late && table.n < n && noise % 400 < 30) row_put(now + 30000, 0, 0, 8, 1);
        if (late && table.n < n && noise % 50 == 1) row_put(now + 40000, 0x40 + 31, ~noise, 7, 1);
    }
}

static inline ci_stream *stream_of(ci_past past, ci_lid W, ci_lid S, int64_t prefix_ns)
{
    ci_stream *s;

    assert_int_equal(ci_stream_create(ci_feature_set_of("agnostic", ci_past_name(past)), past, W, S, prefix_ns, &s), CI_OK);
    return s;
}

static inline void rows_push(ci_stream *s, ci_lid from, ci_lid to, ci_graphs *g)
{
    ci_lid taken;

    assert_int_equal(ci_stream_push(s, &table, from, to, g, &taken), CI_OK);
    assert_int_equal(taken, to - from);
}

static inline void graphs_room(ci_graphs *g, ci_past past, ci_lid n_graph, ci_lid W)
{
    assert_int_equal(ci_graphs_init(g, ci_feature_set_of("agnostic", ci_past_name(past)), n_graph, W, W - 1), CI_OK);
}

/** All graphs of rows [0, n). */
static inline void graphs_make(ci_graphs *g, ci_past past, ci_lid W, ci_lid S, int64_t prefix_ns, const ci_profile *known, ci_lid n)
{
    ci_stream *s = stream_of(past, W, S, prefix_ns);

    graphs_room(g, past, n / S + 1, W);
    assert_int_equal(ci_stream_begin(s, known), CI_OK);
    rows_push(s, 0, n, g);
    assert_int_equal(ci_graphs_check(g), CI_OK);
    assert_int_equal(g->n_graph, n < W ? 0 : (n - W) / S + 1);
    ci_stream_destroy(&s);
}

/** What run knows of rows [from, to), learned alone. */
static inline ci_profile *learned(ci_lid W, ci_lid S, ci_lid from, ci_lid to)
{
    ci_stream *s = stream_of(CI_PAST_RUN, W, S, 0);
    ci_profile *p;

    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, from, to, NULL);
    assert_int_equal(ci_stream_end(s), CI_OK);
    assert_int_equal(ci_profile_create(W, S, &p), CI_OK);
    assert_int_equal(ci_profile_copy(p, ci_stream_known(s)), CI_OK);
    ci_stream_destroy(&s);
    return p;
}

static inline bool bytes_same(const void *a, const void *b, size_t n, size_t size)
{
    return n == 0 || memcmp(a, b, n * size) == 0;
}

/** Are the first n graphs of both the same, bit for bit?  labels: and labelled so. */
static inline bool graphs_same(const ci_graphs *a, const ci_graphs *b, ci_lid n, bool labels)
{
    const size_t graphs = (size_t)n, nodes = (size_t)a->node_first[n], edges = (size_t)a->edge_first[n];

    return bytes_same(a->node_first, b->node_first, graphs + 1, sizeof *a->node_first) &&
           bytes_same(a->edge_first, b->edge_first, graphs + 1, sizeof *a->edge_first) && bytes_same(a->row, b->row, graphs, sizeof *a->row) &&
           bytes_same(a->warm, b->warm, graphs, 1) && bytes_same(a->w, b->w, graphs * (size_t)a->set->n_window, sizeof *a->w) &&
           bytes_same(a->id, b->id, nodes, sizeof *a->id) && bytes_same(a->x, b->x, nodes * (size_t)a->set->n_node, sizeof *a->x) &&
           bytes_same(a->src, b->src, edges, sizeof *a->src) && bytes_same(a->dst, b->dst, edges, sizeof *a->dst) &&
           bytes_same(a->e, b->e, edges * (size_t)a->set->n_edge, sizeof *a->e) &&
           (!labels || (bytes_same(a->attack, b->attack, graphs, 1) && bytes_same(a->edge_attack, b->edge_attack, edges, 1)));
}

static inline bool profiles_same(const ci_profile *a, const ci_profile *b)
{
    size_t n_a = 0, n_b = 0;
    void *const x = ci_profile_pack(a, &n_a), *const y = ci_profile_pack(b, &n_b);
    const bool same = x && y && n_a == n_b && memcmp(x, y, n_a) == 0;

    free(x);
    free(y);
    return same;
}

#endif
