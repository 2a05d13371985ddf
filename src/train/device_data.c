/* Packed graphs and batches in device memory, and how they come there. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/tick.h"
#include "device_priv.h"

enum { FIRST_NODE, FIRST_EDGE, FIRST_RAW, LABEL, WINDOW, X, ID, IN_FIRST, IN_SRC, E, RAW_SRC, RAW_DST, RAW_E, RAW_LABEL, COLUMNS };
_Static_assert((int)COLUMNS == (int)POOL_COLUMNS, "columns of a pool");

void *place(char *base, size_t *at, size_t bytes)
{
    void *p = base ? base + *at : NULL;

    *at += (bytes + 255) / 256 * 256;
    return p;
}

struct shape shape_of(const ci_store *st, const ci_model *m)
{
    const bool raw = ci_model_wants_raw(m);

    return (struct shape){.node = st->set->n_node, .edge = st->set->n_edge, .window = st->set->n_window, .raw = raw, .label = raw && st->set->stream};
}

void rows_add(const ci_store *st, const int64_t *graph, int64_t n, struct rows *sum)
{
    int64_t nodes, raw;

    ci_graphs_count(st, graph, n, &nodes, &raw);
    sum->n[CI_ROWS_GRAPH] += n;
    sum->n[CI_ROWS_NODE] += nodes;
    sum->n[CI_ROWS_EDGE] += nodes + raw;
    sum->n[CI_ROWS_RAW] += raw;
    sum->shards++;
}

void rows_max(struct rows *most, const struct rows *a)
{
    for (int k = 0; k < CI_ROWS_COUNT; k++) most->n[k] = CI_MAX(most->n[k], a->n[k]);
    most->shards = CI_MAX(most->shards, a->shards);
}

bool rows_fit(const struct rows *a, const struct rows *most)
{
    bool fit = a->shards <= most->shards;

    for (int k = 0; k < CI_ROWS_COUNT; k++) fit = fit && a->n[k] <= most->n[k];
    return fit;
}

/* ---- a batch ---- */

static size_t head_lay(char *base, const struct shape *s, const struct rows *most, bool weighted, ci_k_batch *b)
{
    const size_t G = (size_t)most->n[CI_ROWS_GRAPH], S = (size_t)most->shards;
    size_t at = 0;

    b->step = place(base, &at, sizeof *b->step);
    b->graph = place(base, &at, G * sizeof *b->graph);
    b->slot = place(base, &at, G * sizeof *b->slot);
    b->graph_first[CI_ROWS_NODE] = place(base, &at, (G + 1) * sizeof(int32_t));
    b->graph_first[CI_ROWS_EDGE] = place(base, &at, (G + 1) * sizeof(int32_t));
    if (s->raw) b->graph_first[CI_ROWS_RAW] = place(base, &at, (G + 1) * sizeof(int32_t));
    b->shard_graph = place(base, &at, (S + 1) * sizeof *b->shard_graph);
    if (weighted) b->graph_weight = place(base, &at, G * sizeof *b->graph_weight);
    return at;
}

static size_t raw_lay(char *base, size_t at, const struct shape *s, const struct rows *most, ci_k_batch *b)
{
    const size_t N = (size_t)most->n[CI_ROWS_NODE], R = (size_t)most->n[CI_ROWS_RAW];

    b->raw_src = place(base, &at, R * sizeof *b->raw_src);
    b->raw_dst = place(base, &at, R * sizeof *b->raw_dst);
    b->raw_e = place(base, &at, R * (size_t)s->edge * sizeof *b->raw_e);
    if (s->label) b->raw_label = place(base, &at, R);
    b->raw_out_first = place(base, &at, (N + 1) * sizeof *b->raw_out_first);
    b->raw_out = place(base, &at, R * sizeof *b->raw_out);
    b->raw_in_first = place(base, &at, (N + 1) * sizeof *b->raw_in_first);
    b->raw_in = place(base, &at, R * sizeof *b->raw_in);
    return at;
}

/* \return bytes of all of it */
static size_t batch_lay(char *base, const struct shape *s, const struct rows *most, bool weighted, ci_k_batch *b, size_t *out_head)
{
    const size_t G = (size_t)most->n[CI_ROWS_GRAPH], N = (size_t)most->n[CI_ROWS_NODE], D = (size_t)most->n[CI_ROWS_EDGE];
    size_t at = head_lay(base, s, most, weighted, b);

    *out_head = at;
    b->label = place(base, &at, G);
    if (s->window) b->w = place(base, &at, G * (size_t)s->window * sizeof *b->w);
    b->shard_first[CI_ROWS_GRAPH] = b->shard_graph;
    for (int k = CI_ROWS_NODE; k <= (s->raw ? CI_ROWS_RAW : CI_ROWS_EDGE); k++) {
        b->shard_first[k] = place(base, &at, ((size_t)most->shards + 1) * sizeof(int32_t));
        b->row_graph[k] = place(base, &at, (size_t)most->n[k] * sizeof(int32_t));
    }
    b->id = place(base, &at, N * sizeof *b->id);
    b->x = place(base, &at, N * (size_t)s->node * sizeof *b->x);
    b->in_first = place(base, &at, (N + 1) * sizeof *b->in_first);
    b->in_src = place(base, &at, D * sizeof *b->in_src);
    b->in_dst = place(base, &at, D * sizeof *b->in_dst);
    b->e = place(base, &at, D * (size_t)s->edge * sizeof *b->e);
    b->out_first = place(base, &at, (N + 1) * sizeof *b->out_first);
    b->out_edge = place(base, &at, D * sizeof *b->out_edge);
    return s->raw ? raw_lay(base, at, s, most, b) : at;
}

size_t batch_bytes(const struct shape *s, const struct rows *most, bool weighted)
{
    ci_k_batch b = {0};
    size_t head;

    return batch_lay(NULL, s, most, weighted, &b, &head);
}

/* ---- a pool ---- */

static size_t item(const struct shape *s, int column)
{
    const size_t node = (size_t)s->node * 4, edge = (size_t)s->edge * 4;

    switch (column) {
    case FIRST_NODE: case FIRST_EDGE: return 8;
    case FIRST_RAW: return s->raw ? 8 : 0;
    case LABEL: return 1;
    case WINDOW: return (size_t)s->window * 4;
    case X: return node;
    case E: return edge;
    case RAW_E: return s->raw ? edge : 0;
    case RAW_SRC: case RAW_DST: return s->raw ? 4 : 0;
    case RAW_LABEL: return s->label;
    default: return 4;
    }
}

static int64_t items(int column, const struct rows *r)
{
    switch (column) {
    case FIRST_NODE: case FIRST_EDGE: case FIRST_RAW: return r->n[CI_ROWS_GRAPH] + 1;
    case LABEL: case WINDOW: return r->n[CI_ROWS_GRAPH];
    case X: case ID: return r->n[CI_ROWS_NODE];
    case IN_FIRST: return r->n[CI_ROWS_NODE] + r->n[CI_ROWS_GRAPH];
    case IN_SRC: case E: return r->n[CI_ROWS_EDGE];
    default: return r->n[CI_ROWS_RAW];
    }
}

void pool_plan(const struct shape *s, const struct rows *room, struct pool *out)
{
    size_t at = 0;

    *out = (struct pool){.room = *room};
    for (int k = 0; k < COLUMNS; k++) {
        out->column[k] = at;
        place(NULL, &at, item(s, k) * (size_t)items(k, room));
    }
    out->bytes = at;
}

static void *column(const struct shape *s, const struct pool *p, int k) { return item(s, k) ? p->at + p->column[k] : NULL; }

ci_k_pool pool_view(const struct shape *s, const struct pool *p)
{
    return (ci_k_pool){.first = {[CI_ROWS_NODE] = column(s, p, FIRST_NODE), [CI_ROWS_EDGE] = column(s, p, FIRST_EDGE), [CI_ROWS_RAW] = column(s, p, FIRST_RAW)},
                       .label = column(s, p, LABEL), .w = column(s, p, WINDOW), .x = column(s, p, X), .id = column(s, p, ID),
                       .in_first = column(s, p, IN_FIRST), .in_src = column(s, p, IN_SRC), .e = column(s, p, E), .raw_src = column(s, p, RAW_SRC),
                       .raw_dst = column(s, p, RAW_DST), .raw_e = column(s, p, RAW_E), .raw_label = column(s, p, RAW_LABEL)};
}

/* Where the graphs of a list begin in a pool of theirs. */
static void firsts(const ci_store *st, const int64_t *graph, int64_t n, bool raw, int64_t *node, int64_t *edge, int64_t *frame)
{
    struct rows sum = {0};

    for (int64_t i = 0;; i++) {
        node[i] = sum.n[CI_ROWS_NODE];
        edge[i] = sum.n[CI_ROWS_EDGE];
        if (raw) frame[i] = sum.n[CI_ROWS_RAW];
        if (i == n) return;
        rows_add(st, &graph[i], 1, &sum);
    }
}

static void copy(void *to, int64_t row, const void *from, int64_t from_row, int64_t n, size_t bytes)
{
    if (n * (int64_t)bytes > 0) memcpy((char *)to + (size_t)row * bytes, (const char *)from + (size_t)from_row * bytes, (size_t)n * bytes);
}

static void raw_put(const struct shape *s, const struct pool *p, const ci_batch *b, ci_lid g, int64_t at)
{
    const int64_t to = ((const int64_t *)column(s, p, FIRST_RAW))[at];
    const ci_lid from = b->raw_first[g], n = b->raw_first[g + 1] - from, node = b->first[g];
    int32_t *src = column(s, p, RAW_SRC), *dst = column(s, p, RAW_DST);

    for (ci_lid i = 0; i < n; i++) {
        src[to + i] = b->raw_src[from + i] - node;
        dst[to + i] = b->raw_dst[from + i] - node;
    }
    copy(column(s, p, RAW_E), to, b->raw_e, from, n, item(s, RAW_E));
    if (s->label) copy(column(s, p, RAW_LABEL), to, b->raw_label, from, n, 1);
}

/* Graph g of a shard to place `at` of a pool in host memory. */
static void graph_put(const struct shape *s, const struct pool *p, const ci_batch *b, ci_lid g, int64_t at, int32_t *edge)
{
    const int64_t node = ((const int64_t *)column(s, p, FIRST_NODE))[at], to = ((const int64_t *)column(s, p, FIRST_EDGE))[at];
    const ci_lid from = b->first[g], n = b->first[g + 1] - from, in = b->in_first[from], E_ = b->in_first[from + n] - in;
    int32_t *first = (int32_t *)column(s, p, IN_FIRST) + node + at, *src = (int32_t *)column(s, p, IN_SRC) + to;

    *((uint8_t *)column(s, p, LABEL) + at) = b->label[g];
    if (s->window) copy(column(s, p, WINDOW), at, b->w, g, 1, item(s, WINDOW));
    copy(column(s, p, ID), node, b->id, from, n, sizeof *b->id);
    copy(column(s, p, X), node, b->x, from, n, item(s, X));
    for (ci_lid i = 0; i <= n; i++) first[i] = b->in_first[from + i] - in;
    for (ci_lid i = 0; i < E_; i++) src[i] = b->in_src[in + i] - from;
    copy(column(s, p, E), to, b->e, in, E_, item(s, E));
    if (s->raw) raw_put(s, p, b, g, at);
    edge[at] = E_;
}

/* ---- a desk ---- */

static ci_rc pool_take(struct desk *d, struct feed *f)
{
    ci_rc rc = CI_OK;
    void *at = NULL;

    pool_plan(&d->shape, &d->most, &f->pinned);
    f->device = f->pinned;
    CI_TRY(device_rc(d->at, runtime_of(d->at)->host_alloc(d->at->device.dev, f->pinned.bytes, &at)));
    f->pinned.at = at;
    CI_TRY(device_rc(d->at, runtime_of(d->at)->alloc(d->at->device.dev, f->device.bytes, &at)));
    f->device.at = at;
    f->edge = ci_new((size_t)d->most.n[CI_ROWS_GRAPH], sizeof *f->edge);
    if (!f->edge) CI_FAIL(CI_ENOMEM, "%lld packed graphs", (long long)d->most.n[CI_ROWS_GRAPH]);
done:
    return rc;
}

ci_rc desk_take(struct desk *d, int n_feed, int n_pool)
{
    ci_rc rc = CI_OK;
    const ci_runtime *r = runtime_of(d->at);
    const size_t bytes = batch_bytes(&d->shape, &d->most, d->weighted);
    ci_k_batch b = {.n_feature = d->shape.node, .n_edge_feature = d->shape.edge, .n_window_feature = d->shape.window, .hide = -1,
                    .most_shard = (int32_t)d->most.shards};
    void *at;

    for (int k = 0; k < CI_ROWS_COUNT; k++) b.most[k] = (int32_t)d->most.n[k];
    CI_TRY(device_rc(d->at, r->alloc(d->at->device.dev, bytes, &at)));
    d->memory = at;
    batch_lay(d->memory, &d->shape, &d->most, d->weighted, &b, &d->head_bytes);
    d->judge = b;
    d->judge.graph_weight = NULL;
    b.training = 1;
    d->train = b;
    for (int k = 0; k < n_feed; k++) {
        struct feed *f = &d->feed[k];
        CI_TRY(device_rc(d->at, r->host_alloc(d->at->device.dev, d->head_bytes, &at)));
        f->head = at;
        memset(f->head, 0, d->head_bytes);
        head_lay(f->head, &d->shape, &d->most, d->weighted, &f->host);
        if (k < n_pool) CI_TRY(pool_take(d, f));
    }
done:
    return rc;
}

void desk_drop(struct desk *d)
{
    if (!d->at || !d->at->device.dev) return;
    ci_dev *const dev = d->at->device.dev;
    for (int k = 0; k < 2; k++) {
        struct feed *f = &d->feed[k];
        runtime_of(d->at)->host_release(dev, f->head);
        runtime_of(d->at)->host_release(dev, f->pinned.at);
        runtime_of(d->at)->release(dev, f->device.at);
        free(f->edge);
        *f = (struct feed){0};
    }
    runtime_of(d->at)->release(dev, d->memory);
    d->memory = NULL;
}

ci_rc desk_packers(struct desk *d, const ci_scaler *scaler, int32_t rows, int n)
{
    ci_rc rc = CI_OK;

    d->packer = ci_new((size_t)n, sizeof *d->packer);
    d->packed = ci_new((size_t)n, sizeof *d->packed);
    if (!d->packer || !d->packed) CI_FAIL(CI_ENOMEM, "%d packers", n);
    d->n_packer = n;
    for (int k = 0; k < n; k++) CI_TRY(ci_packer_create(d->st, scaler, CI_SHARD_GRAPHS(rows), rows, d->shape.raw, &d->packer[k]));
done:
    return rc;
}

void desk_close(struct desk *d)
{
    desk_drop(d);
    for (int k = 0; d->packer && k < d->n_packer; k++) ci_packer_destroy(&d->packer[k]);
    free(d->packer);
    free((void *)d->packed);
    ci_devmodel_destroy(&d->model);
    if (d->own) runtime_of(d->at)->release(d->at->device.dev, d->own);
    *d = (struct desk){0};
}

long desk_part(const struct desk *d, const struct run *r, long k)
{
    struct rows sum = {0};
    long end = k;

    while (end < r->end && end - k < d->n_packer) {
        rows_add(d->st, r->graph + r->first[end], r->first[end + 1] - r->first[end], &sum);
        if (end > k && !rows_fit(&sum, &d->most)) break;
        end++;
    }
    return end;
}

/* ---- a feed ---- */

struct filling {
    struct desk *d;
    struct feed *f;
    const struct run *r;
    atomic_long next;
    bool keep;
};

static ci_rc fill_job(void *arg, int thread)
{
    struct filling *w = arg;
    const struct run *r = w->r;
    long k;

    while ((k = atomic_fetch_add(&w->next, 1)) < r->end) {
        const int64_t from = r->first[k];
        ci_tick();
        const ci_batch *b = ci_packer_pack(w->d->packer[w->keep ? k - r->begin : thread], r->graph + from, (ci_lid)(r->first[k + 1] - from));
        if (w->keep) w->d->packed[k - r->begin] = b;
        for (ci_lid g = 0; g < b->n_graph; g++) graph_put(&w->d->shape, &w->f->pinned, b, g, from - r->first[r->begin] + g, w->f->edge);
    }
    return CI_OK;
}

ci_rc feed_pack(struct desk *d, struct feed *f, const struct run *r, bool keep)
{
    struct filling w = {.d = d, .f = f, .r = r, .keep = keep};
    const int64_t from = r->first[r->begin];
    const struct shape *s = &d->shape;

    firsts(d->st, r->graph + from, r->first[r->end] - from, s->raw, column(s, &f->pinned, FIRST_NODE), column(s, &f->pinned, FIRST_EDGE),
           column(s, &f->pinned, FIRST_RAW));
    atomic_store(&w.next, r->begin);
    return ci_pool_run(d->pool, fill_job, &w);
}

ci_rc feed_send(struct desk *d, struct feed *f, const struct pool *pool, const struct rows *to, const struct rows *n, bool ahead)
{
    ci_rc rc = CI_OK;
    const struct pool *p = pool ? pool : &f->device;
    ci_rc (*const send)(ci_dev *, void *, const void *, size_t) = ahead ? runtime_of(d->at)->ahead : runtime_of(d->at)->upload;

    for (int k = pool ? LABEL : 0; k < COLUMNS; k++) { /* where graphs begin in another pool is not what they say here */
        const size_t size = item(&d->shape, k), bytes = size * (size_t)items(k, n);
        if (bytes) CI_TRY(device_rc(d->at, send(d->at->device.dev, p->at + p->column[k] + (pool ? size * (size_t)items(k, to) : 0),
                                                f->pinned.at + f->pinned.column[k], bytes)));
    }
done:
    return rc;
}

void feed_head(struct desk *d, struct feed *f, const struct run *r, const int32_t *edge, const float *weight)
{
    const ci_k_batch *h = &f->host;
    const int64_t from = r->first[r->begin], n = r->first[r->end] - from;
    int32_t at[CI_ROWS_COUNT] = {0};

    for (int64_t i = 0; i <= n; i++) {
        struct rows one = {0};
        for (int k = CI_ROWS_NODE; k <= (d->shape.raw ? CI_ROWS_RAW : CI_ROWS_EDGE); k++) h->graph_first[k][i] = at[k];
        if (i == n) break;
        rows_add(d->st, &r->graph[from + i], 1, &one);
        h->graph[i] = r->graph[from + i];
        at[CI_ROWS_GRAPH]++;
        at[CI_ROWS_NODE] += (int32_t)one.n[CI_ROWS_NODE];
        at[CI_ROWS_EDGE] += edge[h->slot[i]];
        at[CI_ROWS_RAW] += d->shape.raw ? (int32_t)one.n[CI_ROWS_RAW] : 0;
    }
    for (long k = r->begin; k <= r->end; k++) h->shard_graph[k - r->begin] = (int32_t)(r->first[k] - from);
    if (weight) memcpy(h->graph_weight, weight + from, (size_t)n * sizeof *weight);
    memcpy(h->step->n, at, sizeof at);
    h->step->n_shard = (int32_t)(r->end - r->begin);
}

ci_rc feed_upload(struct desk *d, const struct feed *f)
{
    return device_rc(d->at, runtime_of(d->at)->upload(d->at->device.dev, d->memory, f->head, d->head_bytes));
}

/* ---- all that is learned from ---- */

static ci_rc firsts_send(struct trainer *t, struct pool *p)
{
    ci_rc rc = CI_OK;
    struct desk *d = &t->device->desk;
    const size_t n = (size_t)t->n_train + 1;
    int64_t *first[3] = {0};

    for (int k = 0; k < 3; k++) first[k] = ci_new(n, sizeof **first);
    if (!first[0] || !first[1] || !first[2]) CI_FAIL(CI_ENOMEM, "%lld training graphs", (long long)t->n_train);
    firsts(t->st, t->train, t->n_train, d->shape.raw, first[0], first[1], first[2]);
    for (int k = FIRST_NODE; k <= (d->shape.raw ? FIRST_RAW : FIRST_EDGE); k++)
        CI_TRY(device_rc(d->at, runtime_of(d->at)->upload(d->at->device.dev, p->at + p->column[k], first[k], n * sizeof **first)));
    CI_TRY(device_rc(d->at, runtime_of(d->at)->sync(d->at->device.dev, 0, "train.data")));
done:
    for (int k = 0; k < 3; k++) free(first[k]);
    return rc;
}

ci_rc data_fill(struct trainer *t)
{
    ci_rc rc = CI_OK;
    struct desk *d = &t->device->desk;
    struct feed *f = &d->feed[0];
    struct rows done_ = {0};
    int64_t bad, *first = ci_new((size_t)t->n_train + 1, sizeof *first);

    t->device->edge = ci_new((size_t)t->n_train, sizeof *t->device->edge);
    if (!first || !t->device->edge) CI_FAIL(CI_ENOMEM, "%lld training graphs", (long long)t->n_train);
    CI_TRY(firsts_send(t, &t->device->data));
    struct run all = {.graph = t->train, .first = first, .end = (long)ci_shards_cut(t->st, t->train, t->n_train, t->conf->train.shard_rows, first, &bad)};
    for (long k = 0; k < all.end;) {
        const struct run part = {all.graph, first, k, desk_part(d, &all, k)};
        struct rows n = {0};
        rows_add(t->st, t->train + first[k], first[part.end] - first[k], &n);
        CI_TRY(feed_pack(d, f, &part, false));
        memcpy(t->device->edge + first[k], f->edge, (size_t)(first[part.end] - first[k]) * sizeof *f->edge);
        CI_TRY(feed_send(d, f, &t->device->data, &done_, &n, false));
        CI_TRY(device_rc(d->at, runtime_of(d->at)->sync(d->at->device.dev, 0, "train.data")));
        for (int i = 0; i < CI_ROWS_COUNT; i++) done_.n[i] += n.n[i];
        k = part.end;
    }
done:
    free(first);
    return rc;
}
