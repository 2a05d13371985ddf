/* Convolutions on a device against the processor's kernels, shard by shard; gradients of weights from their integer sums. */
#include "ci_test.h"
#include "cuda_test.h"
#include "ci/ops.h"

/* ---- what the cases share ---- */

enum { SPARE = 3, OWN = 256, GRADS = 5 };

struct conv {
    struct cuda *c;
    const ci_ops *ops;
    ci_gatv2_dim dim;
    struct cuda_batch t;
    size_t N, E, D;
    const float *e, *e_dev; /* NULL with F 0 */
    void *own[OWN];
    int n_own;
};

static void *mine(struct conv *v, void *p)
{
    assert_non_null(p);
    assert_true(v->n_own < OWN);
    return v->own[v->n_own++] = p;
}

static float *zeros(struct conv *v, size_t n) { return mine(v, calloc(n + 1, sizeof(float))); }

/** Random rows and their copy on the device. */
static float *given(struct conv *v, uint32_t stream, size_t n, const float **dev)
{
    float *x = mine(v, cuda_floats(stream, n));
    *dev = cuda_put(v->c, x, n * sizeof *x);
    return x;
}

/** Room for rows on the device that is full of something else, SPARE rows more than there are. */
static float *room(struct conv *v, size_t rows, size_t cols)
{
    const float *dev;
    given(v, 77, (rows + SPARE) * cols, &dev);
    return (float *)dev;
}

/** As cuda_check; and behind the last row nothing was written. */
static void check_rows(struct conv *v, const char *what, const float *dev, const float *want, size_t rows, size_t cols)
{
    const size_t n = (rows + SPARE) * cols;
    float *got = mine(v, cuda_get_floats(v->c, dev, n)), *old = mine(v, cuda_floats(77, n));
    cuda_record(v->c, got, n * sizeof *got);
    cuda_close_floats(what, got, want, rows * cols, 1e-5);
    assert_memory_equal(got + rows * cols, old + rows * cols, SPARE * cols * sizeof *got);
}

static void conv_begin(struct conv *v, struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    memset(v, 0, sizeof *v);
    v->c = c;
    v->ops = ci_ops_get("generic");
    v->dim = dim;
    shape.K = dim.F ? dim.F : 1;
    cuda_batch_make(c, &shape, &v->t);
    v->t.step.seed = 5;
    v->t.step.epoch = 3;
    v->t.step.drop = 0x40000000u;
    v->t.step.keep = 4.0f / 3;
    cuda_batch_step(c, &v->t);
    v->N = (size_t)v->t.all.n_node;
    v->E = (size_t)v->t.all.n_edge;
    v->D = (size_t)dim.H * (size_t)dim.C;
    v->e = dim.F ? v->t.all.e : NULL;
    v->e_dev = dim.F ? v->t.dev.e : NULL;
}

static void conv_end(struct conv *v)
{
    for (int k = 0; k < v->n_own; k++) free(v->own[k]);
    cuda_batch_free(&v->t);
}

/* A shard: its in-edges, and where its rows of nodes and edges begin. */
struct part { ci_csr g; size_t node, edge; };

static struct part part_of(const struct conv *v, int k)
{
    const ci_batch *b = &v->t.shard[k];
    return (struct part){{b->n_node, b->in_first, b->in_src}, (size_t)v->t.first[CI_ROWS_NODE][k], (size_t)v->t.first[CI_ROWS_EDGE][k]};
}

/* Gradients of parameters: on the device, and of the processor by shard and added up. */
struct grads { int n, beside[GRADS]; const char *name[GRADS]; size_t size[GRADS]; ci_k_grad dev[GRADS]; float *shard[GRADS]; double *sum[GRADS]; };

static ci_k_grad grads_add(struct conv *v, struct grads *g, const char *name, size_t size)
{
    const int k = g->n++;
    g->beside[k] = k;
    g->name[k] = name;
    g->size[k] = size;
    g->dev[k] = cuda_grad(v->c, size);
    g->shard[k] = zeros(v, size);
    g->sum[k] = mine(v, calloc(size + 1, sizeof(double)));
    return g->dev[k];
}

static void grads_of_shard(struct grads *g)
{
    for (int k = 0; k < g->n; k++) {
        for (size_t x = 0; x < g->size[k]; x++) g->sum[k][x] += (double)g->shard[k][x];
        memset(g->shard[k], 0, g->size[k] * sizeof(float));
    }
}

static double largest(const double *x, size_t n)
{
    double most = 1e-9;
    for (size_t k = 0; k < n; k++) most = fmax(most, fabs(x[k]));
    return most;
}

/** To 1e-5 of the largest element of the tensor, or of the one beside it. */
static void grads_check(struct conv *v, const struct grads *g)
{
    for (int k = 0; k < g->n; k++) {
        const double own = largest(g->sum[k], g->size[k]), other = largest(g->sum[g->beside[k]], g->size[g->beside[k]]);
        cuda_check_grad(v->c, g->name[k], g->dev[k], g->sum[k], g->size[k], 1e-5 * fmax(1, other / own));
    }
}

/** What relu of its own makes of rows, graph by graph. */
static void relu_of(const struct conv *v, uint32_t operation, float *x)
{
    const ci_batch *b = &v->t.all;
    const ci_dropout drop = {v->t.step.seed, v->t.step.epoch, operation, v->t.step.drop, v->t.step.keep};
    for (int g = 0; g < b->n_graph; g++)
        v->ops->relu(x + (size_t)b->first[g] * v->D, (ci_lid)((size_t)(b->first[g + 1] - b->first[g]) * v->D), &drop, (uint32_t)b->graph[g]);
}

/** The device's y with relu inside has the bits of its y with relu afterwards. */
static void check_relu(struct conv *v, uint32_t operation, const float *y, const float *relu)
{
    float *want = mine(v, cuda_get_floats(v->c, y, v->N * v->D)), *got = mine(v, cuda_get_floats(v->c, relu, v->N * v->D));
    relu_of(v, operation, want);
    for (size_t x = 0; x < v->N * v->D; x++)
        if (memcmp(&got[x], &want[x], sizeof *got)) fail_msg("relu: %zu is %.9g, not %.9g", x, (double)got[x], (double)want[x]);
}

static void same(struct conv *v, const char *what, const float *dev, const float *want, size_t n)
{
    const float *a = mine(v, cuda_get_floats(v->c, dev, n)), *b = mine(v, cuda_get_floats(v->c, want, n));
    cuda_record(v->c, a, n * sizeof *a);
    if (memcmp(a, b, n * sizeof *a)) fail_msg("%s has other bits", what);
}

/** The same dy twice on the device: as it is, for `gated`, and as relu_backward leaves it behind y. */
static float *gated_dy(struct conv *v, const float *y, const float **passed)
{
    const size_t n = v->N * v->D;
    const float *dev, *ours = mine(v, cuda_get_floats(v->c, y, n));
    float *dy = given(v, 31, n, &dev);
    v->ops->relu_backward(ours, (ci_lid)n, v->t.step.keep, dy);
    *passed = cuda_put(v->c, dy, n * sizeof *dy);
    return (float *)dev;
}

/** H, C, F: one channel and head; nothing even; registers with room for 12 features, for 20, for none of them; 4 and 8 registers a row. */
static const ci_gatv2_dim dims[] = {
    {1, 1, 0, 0.2f}, {5, 7, 5, 0.2f}, {4, 24, 11, 0.2f}, {3, 33, 18, 0.1f}, {3, 40, 33, 0.2f}, {1, 70, 2, 0.5f}, {2, 130, 3, 0.2f},
};

/** Two shards, the first with more edges than a slice has. */
static struct cuda_shape long_shards(void)
{
    return (struct cuda_shape){.n_graph = 4, .node = {61, 60, 30, 9}, .n_shard = 2, .graphs = {3, 1}, .F = 2, .W = 1, .n_id = 5, .hub = 1};
}

/** Few nodes, as the emulation has them to do one by one; a node with 99 in-edges, a shard without graphs, graphs of one node. */
static struct cuda_shape small(int hub)
{
    return (struct cuda_shape){.n_graph = 4, .node = {5, 1, 9, 1}, .n_shard = 3, .graphs = {2, 0, 2}, .F = 2, .W = 1, .n_id = 5, .hub = hub};
}

static void each_dim(struct cuda *c, void (*one)(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim))
{
    for (size_t k = 0; k < CI_COUNT(dims); k++) one(c, small(k == 1 || k == 3), dims[k]);
    one(c, long_shards(), (ci_gatv2_dim){1, 3, 5, 0.2f});
    one(c, cuda_nothing(), dims[1]);
}

/* ---- GATv2 ---- */

static void gatv2_back(struct conv *v, const ci_k_gatv2 *k, const ci_gatv2_in *in, const float *p)
{
    const size_t n = v->N * v->D, H = (size_t)v->dim.H, F = (size_t)v->dim.F;
    struct grads g = {0};
    ci_k_gatv2_back back = {.edge = cuda_room(v->c, v->E * H * 2 * sizeof(float)), .dl = room(v, v->N, v->D), .dr = room(v, v->N, v->D)};
    float *dl = zeros(v, n), *dr = zeros(v, n), *ds = zeros(v, v->E * H), *block = zeros(v, CI_GATV2_BLOCK * v->D);
    const float *dy = given(v, 31, n, &back.dy);
    back.a = grads_add(v, &g, "a", v->D);
    back.bias = grads_add(v, &g, "bias", v->D);
    if (F) back.w_e = grads_add(v, &g, "w_e", F * v->D);
    v->c->k->gatv2_back(v->c->d.dev, &v->t.dev, k, &back);
    for (int s = 0; s < v->t.n_shard; s++, grads_of_shard(&g)) {
        const struct part x = part_of(v, s);
        ci_gatv2_in at = *in;
        at.l += x.node * v->D;
        at.r += x.node * v->D;
        at.e = F ? at.e + x.edge * F : NULL;
        v->ops->gatv2_backward(v->dim, &x.g, at, p + x.edge * H, dy + x.node * v->D, block, ds,
                               (ci_gatv2_grad){dl + x.node * v->D, dr + x.node * v->D, F ? g.shard[2] : NULL, g.shard[0]});
        v->ops->column_sum(dy + x.node * v->D, x.g.n_node, (ci_lid)v->D, (ci_lid)v->D, g.shard[1]);
    }
    check_rows(v, "dl", back.dl, dl, v->N, v->D);
    check_rows(v, "dr", back.dr, dr, v->N, v->D);
    grads_check(v, &g);
    back.w_e.sum = back.bias.sum = back.a.sum = NULL; /* and where no gradient is wanted */
    v->c->k->gatv2_back(v->c->d.dev, &v->t.dev, k, &back);
    cuda_wait(v->c);
}

static void gatv2_gated(struct conv *v, const ci_k_gatv2 *k)
{
    ci_k_gatv2_back b[2] = {{0}};
    b[0].dy = b[0].gated = gated_dy(v, k->y, &b[1].dy);
    for (int x = 0; x < 2; x++) {
        b[x].edge = cuda_room(v->c, v->E * (size_t)v->dim.H * 2 * sizeof(float));
        b[x].dl = room(v, v->N, v->D);
        b[x].dr = room(v, v->N, v->D);
        v->c->k->gatv2_back(v->c->d.dev, &v->t.dev, k, &b[x]);
    }
    same(v, "gated dy", b[0].dy, b[1].dy, v->N * v->D);
    same(v, "gated dl", b[0].dl, b[1].dl, v->N * v->D);
    same(v, "gated dr", b[0].dr, b[1].dr, v->N * v->D);
}

static void gatv2_one(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    struct conv v;
    conv_begin(&v, c, shape, dim);
    const size_t n = v.N * v.D, H = (size_t)dim.H, F = (size_t)dim.F;
    ci_k_gatv2 k = {.dim = dim, .e = v.e_dev, .stat = room(&v, v.N, H * 2), .y = room(&v, v.N, v.D), .relu = {0, 9}};
    ci_gatv2_in in = {.l = given(&v, 21, n, &k.l), .r = given(&v, 22, n, &k.r), .e = v.e, .a = given(&v, 23, v.D, &k.a)};
    float *p = zeros(&v, v.E * H), *y = zeros(&v, n), *block = zeros(&v, CI_GATV2_BLOCK * v.D), *plain;
    if (F) in.w_e = given(&v, 24, F * v.D, &k.w_e);
    if (dim.C != 70) in.bias = given(&v, 25, v.D, &k.bias);
    c->k->gatv2(c->d.dev, &v.t.dev, &k);
    for (int s = 0; s < v.t.n_shard; s++) {
        const struct part x = part_of(&v, s);
        ci_gatv2_in at = in;
        at.l += x.node * v.D;
        at.r += x.node * v.D;
        at.e = F ? at.e + x.edge * F : NULL;
        v.ops->gatv2_forward(dim, &x.g, at, block, p + x.edge * H, y + x.node * v.D);
    }
    check_rows(&v, "y", k.y, y, v.N, v.D);
    gatv2_back(&v, &k, &in, p);
    plain = k.y;
    k.y = room(&v, v.N, v.D);
    k.relu.on = 1;
    c->k->gatv2(c->d.dev, &v.t.dev, &k);
    check_relu(&v, 9, plain, k.y);
    if (dim.F < 12 && dim.C < 64) gatv2_gated(&v, &k);
    conv_end(&v);
}

static void gatv2_all(struct cuda *c) { each_dim(c, gatv2_one); }
static void gatv2__is_that_of_the_processor(void **state) { cuda_each_order(state, gatv2_all); }

/* ---- GATv1 ---- */

static void gat_back(struct conv *v, const ci_k_gat *k, const ci_gat_in *in, const float *p)
{
    const size_t n = v->N * v->D, H = (size_t)v->dim.H, F = (size_t)v->dim.F;
    struct grads g = {0};
    ci_k_gat_back back = {.edge = cuda_room(v->c, v->E * H * 2 * sizeof(float)), .ds = room(v, v->N, H * 2), .dh = room(v, v->N, v->D)};
    float *dh = zeros(v, n), *ds = zeros(v, v->E * H), *work = zeros(v, CI_GAT_WORK(v->dim, (ci_lid)v->N));
    const float *dy = given(v, 31, n, &back.dy);
    back.a_src = grads_add(v, &g, "a_src", v->D);
    back.a_dst = grads_add(v, &g, "a_dst", v->D);
    g.beside[1] = 0; /* over the in-edges of a node ds sums to 0, so what is left for a_dst is small beside its summands, which a_src shows */
    back.bias = grads_add(v, &g, "bias", v->D);
    if (F) back.a_e = grads_add(v, &g, "a_e", v->D);
    if (F) back.w_e = grads_add(v, &g, "w_e", F * v->D);
    v->c->k->gat_back(v->c->d.dev, &v->t.dev, k, &back);
    for (int s = 0; s < v->t.n_shard; s++, grads_of_shard(&g)) {
        const struct part x = part_of(v, s);
        ci_gat_in at = *in;
        at.h += x.node * v->D;
        at.e = F ? at.e + x.edge * F : NULL;
        v->ops->gat_backward(v->dim, &x.g, at, p + x.edge * H, dy + x.node * v->D, work, ds,
                             (ci_gat_grad){dh + x.node * v->D, F ? g.shard[4] : NULL, g.shard[0], g.shard[1], F ? g.shard[3] : NULL});
        v->ops->column_sum(dy + x.node * v->D, x.g.n_node, (ci_lid)v->D, (ci_lid)v->D, g.shard[2]);
    }
    check_rows(v, "dh", back.dh, dh, v->N, v->D);
    grads_check(v, &g);
    back.a_src.sum = back.a_dst.sum = back.bias.sum = back.a_e.sum = back.w_e.sum = NULL;
    v->c->k->gat_back(v->c->d.dev, &v->t.dev, k, &back);
    cuda_wait(v->c);
}

static void gat_gated(struct conv *v, const ci_k_gat *k)
{
    ci_k_gat_back b[2] = {{0}};
    b[0].dy = b[0].gated = gated_dy(v, k->y, &b[1].dy);
    for (int x = 0; x < 2; x++) {
        b[x].edge = cuda_room(v->c, v->E * (size_t)v->dim.H * 2 * sizeof(float));
        b[x].ds = room(v, v->N, (size_t)v->dim.H * 2);
        b[x].dh = room(v, v->N, v->D);
        v->c->k->gat_back(v->c->d.dev, &v->t.dev, k, &b[x]);
    }
    same(v, "gated dy", b[0].dy, b[1].dy, v->N * v->D);
    same(v, "gated dh", b[0].dh, b[1].dh, v->N * v->D);
}

static void gat_one(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    struct conv v;
    conv_begin(&v, c, shape, dim);
    const size_t n = v.N * v.D, H = (size_t)dim.H, F = (size_t)dim.F;
    ci_k_gat k = {.dim = dim, .e = v.e_dev, .key = room(&v, v.N, H * 2), .stat = room(&v, v.N, H * 2), .y = room(&v, v.N, v.D), .relu = {0, 9}};
    ci_gat_in in = {.h = given(&v, 21, n, &k.h), .e = v.e, .a_src = given(&v, 22, v.D, &k.a_src), .a_dst = given(&v, 23, v.D, &k.a_dst)};
    float *p = zeros(&v, v.E * H), *y = zeros(&v, n), *work = zeros(&v, CI_GAT_WORK(dim, (ci_lid)v.N)), *plain;
    if (F) in.w_e = given(&v, 24, F * v.D, &k.w_e);
    if (F) in.a_e = given(&v, 26, v.D, &k.a_e);
    if (dim.C != 70) in.bias = given(&v, 25, v.D, &k.bias);
    c->k->gat(c->d.dev, &v.t.dev, &k);
    for (int s = 0; s < v.t.n_shard; s++) {
        const struct part x = part_of(&v, s);
        ci_gat_in at = in;
        at.h += x.node * v.D;
        at.e = F ? at.e + x.edge * F : NULL;
        v.ops->gat_forward(dim, &x.g, at, work, p + x.edge * H, y + x.node * v.D);
    }
    check_rows(&v, "y", k.y, y, v.N, v.D);
    gat_back(&v, &k, &in, p);
    plain = k.y;
    k.y = room(&v, v.N, v.D);
    k.relu.on = 1;
    c->k->gat(c->d.dev, &v.t.dev, &k);
    check_relu(&v, 9, plain, k.y);
    if (dim.F < 12 && dim.C < 64) gat_gated(&v, &k);
    conv_end(&v);
}

static void gat_all(struct cuda *c) { each_dim(c, gat_one); }
static void gat__is_that_of_the_processor(void **state) { cuda_each_order(state, gat_all); }

/* ---- transformer ---- */

static void transformer_back(struct conv *v, const ci_k_transformer *k, const ci_transformer_in *in, const float *p)
{
    const size_t n = v->N * v->D, H = (size_t)v->dim.H, F = (size_t)v->dim.F;
    struct grads g = {0};
    ci_k_transformer_back back = {.edge = cuda_room(v->c, v->E * H * 2 * sizeof(float)), .dq = room(v, v->N, v->D), .dk = room(v, v->N, v->D),
                                  .dv = room(v, v->N, v->D), .dskip = in->skip ? room(v, v->N, v->D) : NULL};
    float *dq = zeros(v, n), *dk = zeros(v, n), *dv = zeros(v, n), *ds = zeros(v, v->E * H), *block = zeros(v, CI_GATV2_BLOCK * v->D);
    const float *dy = given(v, 31, n, &back.dy);
    if (F) back.w_e = grads_add(v, &g, "w_e", F * v->D);
    v->c->k->transformer_back(v->c->d.dev, &v->t.dev, k, &back);
    for (int s = 0; s < v->t.n_shard; s++, grads_of_shard(&g)) {
        const struct part x = part_of(v, s);
        const size_t row = x.node * v->D;
        const ci_transformer_in at = {in->q + row, in->k + row, in->v + row, F ? in->e + x.edge * F : NULL, in->w_e, NULL};
        v->ops->transformer_backward(v->dim, &x.g, at, p + x.edge * H, dy + row, block, ds,
                                     (ci_transformer_grad){dq + row, dk + row, dv + row, F ? g.shard[0] : NULL});
    }
    check_rows(v, "dq", back.dq, dq, v->N, v->D);
    check_rows(v, "dk", back.dk, dk, v->N, v->D);
    check_rows(v, "dv", back.dv, dv, v->N, v->D);
    if (back.dskip) check_rows(v, "dskip", back.dskip, dy, v->N, v->D);
    grads_check(v, &g);
    back.w_e.sum = NULL;
    v->c->k->transformer_back(v->c->d.dev, &v->t.dev, k, &back);
    cuda_wait(v->c);
}

static void transformer_gated(struct conv *v, const ci_k_transformer *k)
{
    ci_k_transformer_back b[2] = {{0}};
    b[0].dy = b[0].gated = gated_dy(v, k->y, &b[1].dy);
    for (int x = 0; x < 2; x++) {
        b[x].edge = cuda_room(v->c, v->E * (size_t)v->dim.H * 2 * sizeof(float));
        b[x].dq = room(v, v->N, v->D);
        b[x].dk = room(v, v->N, v->D);
        b[x].dv = room(v, v->N, v->D);
        b[x].dskip = room(v, v->N, v->D);
        v->c->k->transformer_back(v->c->d.dev, &v->t.dev, k, &b[x]);
    }
    same(v, "gated dy", b[0].dy, b[1].dy, v->N * v->D);
    same(v, "gated dq", b[0].dq, b[1].dq, v->N * v->D);
    same(v, "gated dk", b[0].dk, b[1].dk, v->N * v->D);
    same(v, "gated dv", b[0].dv, b[1].dv, v->N * v->D);
    same(v, "gated dskip", b[0].dskip, b[1].dskip, v->N * v->D);
}

static void transformer_one(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    struct conv v;
    conv_begin(&v, c, shape, dim);
    const size_t n = v.N * v.D, H = (size_t)dim.H, F = (size_t)dim.F;
    ci_k_transformer k = {.dim = dim, .e = v.e_dev, .stat = room(&v, v.N, H * 2), .y = room(&v, v.N, v.D), .relu = {0, 9}};
    ci_transformer_in in = {.q = given(&v, 21, n, &k.q), .k = given(&v, 22, n, &k.k), .v = given(&v, 23, n, &k.v), .e = v.e};
    float *p = zeros(&v, v.E * H), *y = zeros(&v, n), *block = zeros(&v, CI_GATV2_BLOCK * v.D), *plain;
    if (F) in.w_e = given(&v, 24, F * v.D, &k.w_e);
    if (dim.C != 70) in.skip = given(&v, 25, n, &k.skip);
    c->k->transformer(c->d.dev, &v.t.dev, &k);
    for (int s = 0; s < v.t.n_shard; s++) {
        const struct part x = part_of(&v, s);
        const size_t row = x.node * v.D;
        const ci_transformer_in at = {in.q + row, in.k + row, in.v + row, F ? in.e + x.edge * F : NULL, in.w_e, in.skip ? in.skip + row : NULL};
        v.ops->transformer_forward(dim, &x.g, at, block, p + x.edge * H, y + row);
    }
    check_rows(&v, "y", k.y, y, v.N, v.D);
    transformer_back(&v, &k, &in, p);
    plain = k.y;
    k.y = room(&v, v.N, v.D);
    k.relu.on = 1;
    c->k->transformer(c->d.dev, &v.t.dev, &k);
    check_relu(&v, 9, plain, k.y);
    if (dim.F < 12 && dim.C < 64) transformer_gated(&v, &k);
    conv_end(&v);
}

static void transformer_all(struct cuda *c) { each_dim(c, transformer_one); }
static void transformer__is_that_of_the_processor(void **state) { cuda_each_order(state, transformer_all); }

/* ---- attention within graphs ---- */

static void attention_one(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    struct conv v;
    conv_begin(&v, c, shape, dim);
    const size_t n = v.N * v.D, H = (size_t)dim.H;
    const ci_batch *b = &v.t.all;
    ci_k_attention k = {.H = dim.H, .C = dim.C, .stat = room(&v, v.N, H * 2), .y = room(&v, v.N, v.D)};
    ci_k_attention_back back = {.t = room(&v, v.N, H), .dq = room(&v, v.N, v.D), .dk = room(&v, v.N, v.D), .dv = room(&v, v.N, v.D)};
    const float *q = given(&v, 21, n, &k.q), *key = given(&v, 22, n, &k.k), *val = given(&v, 23, n, &k.v), *dy = given(&v, 31, n, &back.dy);
    float *work = zeros(&v, CI_ATTENTION_WORK(dim.H, 101)), *y = zeros(&v, n), *dq = zeros(&v, n), *dk = zeros(&v, n), *dv = zeros(&v, n);
    c->k->attention(c->d.dev, &v.t.dev, &k);
    c->k->attention_back(c->d.dev, &v.t.dev, &k, &back);
    v.ops->attention_forward(dim.H, dim.C, b->n_graph, b->first, q, key, val, work, y);
    v.ops->attention_backward(dim.H, dim.C, b->n_graph, b->first, q, key, val, dy, work, dq, dk, dv);
    check_rows(&v, "y", k.y, y, v.N, v.D);
    check_rows(&v, "dq", back.dq, dq, v.N, v.D);
    check_rows(&v, "dk", back.dk, dk, v.N, v.D);
    check_rows(&v, "dv", back.dv, dv, v.N, v.D);
    conv_end(&v);
}

static void attention_all(struct cuda *c)
{
    static const int some[] = {0, 1, 3, 5, 6};
    for (size_t k = 0; k < CI_COUNT(some); k++) attention_one(c, small(0), dims[some[k]]);
    attention_one(c, (struct cuda_shape){.n_graph = 2, .node = {101, 3}, .n_shard = 1, .graphs = {2}, .F = 2, .W = 1, .n_id = 5}, dims[0]);
    attention_one(c, cuda_nothing(), dims[1]);
}
static void attention__is_that_of_the_processor(void **state) { cuda_each_order(state, attention_all); }

/* ---- the mean of heads ---- */

static void heads_one(struct cuda *c, struct cuda_shape shape, ci_gatv2_dim dim)
{
    struct conv v;
    conv_begin(&v, c, shape, dim);
    const size_t C = (size_t)dim.C, n = v.N * C;
    struct grads g = {0};
    const ci_k_grad bias_grad = grads_add(&v, &g, "bias", C);
    const float *x_dev, *bias_dev, *dy_dev, *x = given(&v, 21, v.N * v.D, &x_dev), *bias = given(&v, 22, C, &bias_dev), *dy = given(&v, 31, n, &dy_dev);
    float *y_dev = room(&v, v.N, C), *dx_dev = room(&v, v.N, v.D), *y = zeros(&v, n), *dx = mine(&v, cuda_floats(77, v.N * v.D));
    const int32_t add = dim.C % 2;
    if (dim.C == 24) bias_dev = bias = NULL;
    c->k->heads_mean(c->d.dev, &v.t.dev, dim.H, dim.C, x_dev, bias_dev, y_dev);
    c->k->heads_mean_back(c->d.dev, &v.t.dev, dim.H, dim.C, dy_dev, add, dx_dev, bias_grad);
    v.ops->heads_mean((ci_lid)v.N, dim.H, dim.C, x, bias, y);
    v.ops->heads_mean_backward((ci_lid)v.N, dim.H, dim.C, dy, add, dx);
    for (int s = 0; s < v.t.n_shard; s++, grads_of_shard(&g)) {
        const struct part at = part_of(&v, s);
        v.ops->column_sum(dy + at.node * C, at.g.n_node, dim.C, dim.C, g.shard[0]);
    }
    check_rows(&v, "y", y_dev, y, v.N, C);
    check_rows(&v, "dx", dx_dev, dx, v.N, v.D);
    grads_check(&v, &g);
    conv_end(&v);
}

static void heads_all(struct cuda *c) { each_dim(c, heads_one); }
static void heads_mean__is_that_of_the_processor(void **state) { cuda_each_order(state, heads_all); }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gatv2__is_that_of_the_processor),
    cmocka_unit_test(gat__is_that_of_the_processor),
    cmocka_unit_test(transformer__is_that_of_the_processor),
    cmocka_unit_test(attention__is_that_of_the_processor),
    cmocka_unit_test(heads_mean__is_that_of_the_processor),
};
CI_TEST_MAIN(tests)
