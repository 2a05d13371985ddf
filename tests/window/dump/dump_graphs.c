/** All graphs of a capture as plain arrays, for another program to compare:
 *
 *      dump_graphs SET FILE.csv W S COMPAT OUT
 *
 *  The vocabulary is every identifier of the file but each fifth.
 *  OUT: int64 graphs, nodes, edges; then node_first, edge_first (int32, one more than graphs), row (int64),
 *  attack (uint8), id (uint32), x (float32), src, dst (int32), e (float32), one array after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/window.h"

enum { ROWS = 1 << 20 };
static int64_t t_ns[ROWS];
static uint32_t id[ROWS];
static uint64_t data[ROWS];
static uint8_t len[ROWS], attack[ROWS];

/** Decimal seconds as integer nanoseconds. */
static int64_t nanoseconds(const char *text, char **end)
{
    int64_t ns = strtoll(text, end, 10) * 1000000000;
    int64_t unit = 100000000;

    if (**end != '.') return ns;
    for (++*end; **end >= '0' && **end <= '9'; ++*end, unit /= 10) ns += unit * (**end - '0');
    return ns;
}

static void row_read(const char *line, ci_lid i)
{
    char *at;
    unsigned byte;

    t_ns[i] = nanoseconds(line, &at);
    id[i] = (uint32_t)strtoul(at + 1, &at, 16);
    if (id[i] > 0x7FF) id[i] |= UINT32_C(0x80000000);
    for (at++; *at != ',' && sscanf(at, "%2x", &byte) == 1; at += 2) data[i] |= (uint64_t)byte << 8 * len[i]++;
    attack[i] = strrchr(line, ',')[1] == '1';
}

static void put(FILE *f, const void *from, size_t size, size_t n)
{
    if (fwrite(from, size, n, f) == n) return;
    perror("dump_graphs");
    exit(EXIT_FAILURE);
}

static uint32_t known[ROWS];
static int32_t number[ROWS];

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/** Identifiers of the rows, ascending, and their numbers: 1, 2, 3, 4, 0, 5, 6, ... */
static int32_t vocabulary_make(ci_lid n_row)
{
    int32_t n = 0, last = 0;

    memcpy(known, id, (size_t)n_row * sizeof *known);
    qsort(known, (size_t)n_row, sizeof *known, ascending);
    for (ci_lid i = 0; i < n_row; i++)
        if (!n || known[n - 1] != known[i]) known[n++] = known[i];
    for (int32_t i = 0; i < n; i++) number[i] = i % 5 == 4 ? 0 : ++last;
    return n;
}

static ci_rc graphs_build(const ci_feature_set *set, const ci_table *t, ci_lid frames, ci_lid stride, bool compat,
                          ci_graphs *g)
{
    ci_rc rc = CI_OK;
    ci_builder *b = NULL;
    const ci_lid n = (ci_lid)ci_window_count(t->n, ci_feature_rows(set, frames, compat), stride);

    CI_TRY(ci_graphs_init(g, set, n, ci_feature_rows(set, frames, compat), ci_feature_edges(set, frames, compat)));
    CI_TRY(ci_builder_create(set, frames, compat, &b));
    ci_builder_number(b, known, number, vocabulary_make(t->n));
    for (ci_lid i = 0; i < n; i++) CI_TRY(ci_window_build(b, t, i * stride, g));
done:
    ci_builder_destroy(&b);
    return rc;
}

int main(int argc, char **argv)
{
    ci_table t = {.t_ns = t_ns, .id = id, .data = data, .len = len, .attack = attack};
    ci_graphs g = {0};
    FILE *in = argc == 7 ? fopen(argv[2], "r") : NULL, *out = argc == 7 ? fopen(argv[6], "wb") : NULL;
    const ci_feature_set *const set = argc == 7 ? ci_feature_set_find(argv[1]) : NULL;
    char line[256];

    if (!set || !in || !out || !fgets(line, sizeof line, in)) return EXIT_FAILURE;
    while (t.n < ROWS && fgets(line, sizeof line, in)) row_read(line, t.n++);
    t.n_own = t.n;
    fclose(in);
    if (graphs_build(set, &t, atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), &g) != CI_OK) {
        fprintf(stderr, "dump_graphs: %s\n", ci_message());
        return EXIT_FAILURE;
    }
    const int64_t size[3] = {g.n_graph, g.n_node, g.n_edge};
    const size_t graphs = (size_t)g.n_graph, nodes = (size_t)g.n_node, edges = (size_t)g.n_edge;
    put(out, size, sizeof *size, 3);
    put(out, g.node_first, sizeof *g.node_first, graphs + 1);
    put(out, g.edge_first, sizeof *g.edge_first, graphs + 1);
    put(out, g.row, sizeof *g.row, graphs);
    put(out, g.attack, sizeof *g.attack, graphs);
    put(out, g.id, sizeof *g.id, nodes);
    put(out, g.x, sizeof *g.x, (size_t)set->n_node * nodes);
    put(out, g.src, sizeof *g.src, edges);
    put(out, g.dst, sizeof *g.dst, edges);
    put(out, g.e, sizeof *g.e, (size_t)set->n_edge * edges);
    ci_graphs_release(&g);
    return fclose(out) ? EXIT_FAILURE : EXIT_SUCCESS;
}
