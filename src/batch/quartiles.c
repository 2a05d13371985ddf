/* Exact quartiles of columns that no rank holds: values are counted by the leading bits of their floats, then
 * those that share the leading bits of a wanted one by the next bits, until all 32 are known.  Counts are
 * integers, so nothing depends on the number of ranks; they take 6 x 2^11 x 8 bytes a column (4.5 MB for kd35),
 * however many graphs there are. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "batch_priv.h"

enum { WANTED = 6, BITS = 11, BUCKETS = 1 << BITS }; /* two neighbours of each of the three quartiles */

static const int shifts[] = {21, 10, 0}; /* bits that a pass leaves open; 32 before the first */

struct column {
    int64_t rank[WANTED];    /* which value is wanted, from 0, among those with this prefix; ascending */
    uint32_t prefix[WANTED]; /* its bits that are known                                                */
    int64_t *count;          /* (WANTED, BUCKETS) of values by prefix and next bits; borrowed          */
};

/* The columns of nodes, of edges or of windows. */
struct place {
    const ci_feature *feature;
    ci_lid n_column;
    int64_t rows;
    struct column *column; /* (n_column) */
};

enum { NODE, EDGE, WINDOW, PLACES };

struct search {
    struct place place[PLACES];
    ci_lid n_column;                              /* of all places                    */
    struct column column[PLACES * CI_SCALER_MAX];
    int64_t *count;                               /* (n_column, WANTED, BUCKETS); owned */
};

/* Floats in ascending order have ascending keys. */
static uint32_t key_of(float v)
{
    uint32_t u;

    memcpy(&u, &v, sizeof u);
    return u >> 31 ? ~u : u | 0x80000000u;
}

static float value_of(uint32_t key)
{
    const uint32_t u = key >> 31 ? key & 0x7fffffffu : ~key;
    float v;

    memcpy(&v, &u, sizeof v);
    return v;
}

/* Wanted values of one prefix are neighbours and share the first one's counts. */
static bool first_of_prefix(const struct column *c, int i) { return i == 0 || c->prefix[i] != c->prefix[i - 1]; }

static void rows_count(const struct place *p, const float *v, ci_lid rows, int pass)
{
    struct column *const c = p->column;
    const ci_lid n_column = p->n_column;
    const int known = pass ? shifts[pass - 1] : 32, shift = shifts[pass];

    for (ci_lid r = 0; r < rows; r++, v += n_column)
        for (ci_lid k = 0; k < n_column; k++) {
            const uint64_t key = key_of(v[k]);
            for (int i = 0; i < WANTED; i++)
                if (first_of_prefix(&c[k], i) && key >> known == c[k].prefix[i])
                    c[k].count[i * BUCKETS + (int)(key >> shift & ((1u << (known - shift)) - 1))]++;
        }
}

static void column_narrow(struct column *c, int pass)
{
    const int bits = (pass ? shifts[pass - 1] : 32) - shifts[pass];
    uint32_t next[WANTED];
    int from = 0;

    for (int i = 0; i < WANTED; i++) {
        uint32_t bucket = 0;
        if (first_of_prefix(c, i)) from = i;
        for (; c->rank[i] >= c->count[from * BUCKETS + (int)bucket]; bucket++) c->rank[i] -= c->count[from * BUCKETS + (int)bucket];
        next[i] = c->prefix[i] << bits | bucket;
    }
    memcpy(c->prefix, next, sizeof next);
}

/* Quartile number q of n values lies (n - 1) q / 4 behind the first. */
static void column_want(struct column *c, int64_t n)
{
    for (int q = 1; q <= 3; q++) {
        const int64_t at = (n - 1) * q / 4;
        c->rank[2 * q - 2] = at;
        c->rank[2 * q - 1] = CI_MIN(at + 1, n - 1);
    }
}

/* Linear between its neighbours, as numpy.quantile has it. */
static double quartile(const struct column *c, int64_t n, int q)
{
    const double t = (double)((n - 1) * q % 4) / 4;
    const double a = (double)value_of(c->prefix[2 * q - 2]), b = (double)value_of(c->prefix[2 * q - 1]);

    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

static void columns_finish(const struct place *p, double *mean, double *spread)
{
    for (ci_lid k = 0; p->rows > 0 && k < p->n_column; k++) {
        const struct column *c = &p->column[k];
        if (p->feature[k].scaling == CI_SCALE_ALL) continue;
        mean[k] = quartile(c, p->rows, 2);
        spread[k] = spread_floored(mean[k], quartile(c, p->rows, 3) - quartile(c, p->rows, 1));
    }
}

static void search_init(struct search *s, const ci_feature_set *set, const struct scaler_rows *rows)
{
    const struct place place[PLACES] = {{set->node, set->n_node, rows->node, NULL}, {set->edge, set->n_edge, rows->edge, NULL},
                                        {set->window, set->n_window, rows->window, NULL}};

    for (int i = 0; i < PLACES; i++) {
        struct place *p = &s->place[i];
        *p = place[i];
        p->column = s->column + s->n_column;
        s->n_column += p->n_column;
        for (ci_lid k = 0; k < p->n_column; k++) column_want(&p->column[k], p->rows);
    }
    s->count = ci_new((size_t)s->n_column * WANTED * BUCKETS, sizeof *s->count);
    for (ci_lid k = 0; s->count && k < s->n_column; k++) s->column[k].count = s->count + (size_t)k * WANTED * BUCKETS;
}

ci_rc quartiles_fit(const ci_comm *comm, const ci_store *st, const int64_t *graph, int64_t n, const struct scaler_rows *rows,
                    ci_scaler *out)
{
    ci_rc rc = CI_OK;
    struct search *s = ci_new(1, sizeof *s);
    ci_reader *r = NULL;
    ci_rc mine = s ? ci_reader_create(st, &r) : CI_OK;
    size_t n_count = 0;

    if (s) search_init(s, st->set, rows);
    if (mine == CI_OK && (!s || !s->count)) mine = ci_fail(CI_ENOMEM, __FILE__, __LINE__, "counts of quartiles");
    CI_TRY_ALL(comm, "scaler.quartiles.room", mine);
    n_count = (size_t)s->n_column * WANTED * BUCKETS;
    for (int pass = 0; pass < (int)CI_COUNT(shifts); pass++) {
        memset(s->count, 0, n_count * sizeof *s->count);
        for (int64_t i = ci_part(n, comm->rank, comm->size); i < ci_part(n, comm->rank + 1, comm->size); i++) {
            ci_graph_view v;
            if (st->graph_label[graph[i]] || !ci_store_warm(st, graph[i])) continue;
            ci_store_graph(r, graph[i], &v);
            rows_count(&s->place[NODE], v.x, v.n_node, pass);
            rows_count(&s->place[EDGE], v.e, v.n_edge, pass);
            rows_count(&s->place[WINDOW], v.w, 1, pass);
        }
        CI_TRY(ci_comm_sum_i64(comm, "scaler.quartiles", s->count, n_count));
        for (int i = 0; i < PLACES; i++)
            for (ci_lid k = 0; s->place[i].rows > 0 && k < s->place[i].n_column; k++) column_narrow(&s->place[i].column[k], pass);
    }
    columns_finish(&s->place[NODE], out->node_mean, out->node_spread);
    columns_finish(&s->place[EDGE], out->edge_mean, out->edge_spread);
    columns_finish(&s->place[WINDOW], out->window_mean, out->window_spread);
done:
    if (s) free(s->count);
    free(s);
    ci_reader_destroy(&r);
    return rc;
}
