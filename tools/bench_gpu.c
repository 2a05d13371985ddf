/** Training of one model on one device, as `key=value` words that tools/bench_gpu.py puts beside PyTorch Geometric.
 *
 *      bench_gpu gat|vgae small|large PRESET BATCH ROWS SECONDS [KEY=VALUE]...
 *
 *  A step is the one of `canids train` with its windows in device memory: the head of the batch is uploaded, one graph of kernels is
 *  launched (batch put together, forward, losses, backward, sums, optimiser), and the host waits for its status.  BATCH graphs of
 *  shard.h in shards of at most ROWS nodes; whole steps until SECONDS have gone by, wall time.  One device, no other rank.
 *
 *  First it checks: the loss of the first CHECK graphs is that of the CPU, and steps done twice leave the same bits of weights.
 *
 *  Floors, of one graph (N nodes, E = frames' edges + N in-edges), from the device's peaks as its maker gives them:
 *      operations  3 ci_model_flops(N, E): backward is twice the forward pass; at the peak of fp32 and of bf16 products
 *      bytes       graph in, layers' outputs in bf16 kept for backward, at the memory's rate: for N = 38.6 0.07 MB of the small models,
 *                  0.25 of the large gat, 0.32 of the large vgae (preset paper), here times 27 / 38.6
 *  A share is floor over time; without a known device it is left out.  Under emulation nothing is timed.
 *
 *  Exit status: 78 without a device, 70 when a check fails. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/devmodel.h"
#include "ci/log.h"
#include "trial.h"

enum { CHECK = 64, STEPS = 2, TRIES = 4, BLOCKS = 80, TIMES = 1 << 20, HEAD = 8 };
enum { SUM_BITS = 50, SUM_AIM = 44 }; /* as training has them */
enum { UPDATED, REDO };

/** \param name  as the driver says it   TFLOP/s of fp32 and of bf16 products, TB/s */
static const struct peaks { const char *name; double fp32, bf16, bytes; } peaks[] = {
    {"H200", 67, 790, 4.3}, {"H100 80GB HBM3", 67, 800, 3.0}, {"A100-SXM4-80GB", 19.5, 312, 2.0}, {"A100-SXM4-40GB", 19.5, 312, 1.55},
};

struct gpu {
    trial cpu;              /* the first CHECK graphs, and the model */
    int n_graph, per;       /* of a batch, of a shard */
    ci_device d;
    const ci_runtime *r;
    const ci_kernels *k;
    ci_precision precision;
    void *block[BLOCKS];
    int n_block;
    char *pinned;           /* the head as the host writes it */
    size_t head_bytes;
    ci_k_batch b, host;     /* on the device; the head's pointers into `pinned` */
    ci_k_pool pool;
    ci_k_optim o;
    float *stats;
    struct { int32_t status; uint32_t bad; int64_t loss[CI_TERMS]; } *said; /* pinned */
    ci_devmodel *model;
    ci_dev_graph *graph;
    int t;                  /* steps done */
    double loss, checked;   /* of the last one; of the first one of the check */
};

static int shards_of(const struct gpu *g) { return (g->n_graph + g->per - 1) / g->per; }
static void dev(const struct gpu *g, ci_rc rc) { trial_must(ci_device_rc(&g->d, rc)); }

static void broken(const char *what, double got, double want)
{
    fprintf(stderr, "bench_gpu: %s: %.9g, not %.9g\n", what, got, want);
    exit(70);
}

/* ---- memory ---- */

static void *take(struct gpu *g, size_t bytes)
{
    void *p = NULL;
    if (g->n_block == BLOCKS) exit(70);
    dev(g, g->r->alloc(g->d.dev, CI_MAX(bytes, 1), &p));
    return g->block[g->n_block++] = p;
}

static void *pinned(struct gpu *g, size_t bytes)
{
    void *p = NULL;
    dev(g, g->r->host_alloc(g->d.dev, bytes, &p));
    memset(p, 0, bytes);
    return p;
}

static void put(struct gpu *g, void *to, const void *from, size_t bytes)
{
    if (bytes) dev(g, g->r->upload(g->d.dev, to, from, bytes));
    dev(g, g->r->sync(g->d.dev, 0, "bench"));
}

static void *taken(struct gpu *g, const void *from, size_t bytes)
{
    void *p = take(g, bytes);
    put(g, p, from, bytes);
    return p;
}

static void *place(char *base, size_t *at, size_t bytes)
{
    void *p = base ? base + *at : NULL;
    *at += (bytes + 255) / 256 * 256;
    return p;
}

/* ---- a batch ---- */

static const int rows_of[CI_ROWS_COUNT] = {1, SHARD_NODES, SHARD_NODES + SHARD_EDGES, SHARD_EDGES};

static size_t head_lay(const struct gpu *g, char *base, ci_k_batch *b)
{
    const size_t G = (size_t)g->n_graph;
    size_t at = 0;

    b->step = place(base, &at, sizeof *b->step);
    b->graph = place(base, &at, G * sizeof *b->graph);
    b->slot = place(base, &at, G * sizeof *b->slot);
    for (int k = CI_ROWS_NODE; k < CI_ROWS_COUNT; k++) b->graph_first[k] = place(base, &at, (G + 1) * sizeof(int32_t));
    b->shard_graph = place(base, &at, (G + 1) * sizeof *b->shard_graph);
    return at;
}

static void batch_take(struct gpu *g)
{
    const size_t G = (size_t)g->n_graph, N = G * SHARD_NODES, E = G * (SHARD_NODES + SHARD_EDGES), R = G * SHARD_EDGES;
    ci_k_batch *b = &g->b;

    *b = (ci_k_batch){.n_feature = SHARD_X, .n_edge_feature = SHARD_E, .training = 1, .hide = -1,
                      .most_shard = shards_of(g)};
    for (int k = 0; k < CI_ROWS_COUNT; k++) b->most[k] = g->n_graph * rows_of[k];
    g->head_bytes = head_lay(g, NULL, b);
    head_lay(g, take(g, g->head_bytes), b);
    g->pinned = pinned(g, g->head_bytes);
    head_lay(g, g->pinned, &g->host);
    b->label = take(g, G);
    b->shard_first[CI_ROWS_GRAPH] = b->shard_graph;
    for (int k = CI_ROWS_NODE; k < CI_ROWS_COUNT; k++) {
        b->shard_first[k] = take(g, (G + 1) * sizeof(int32_t));
        b->row_graph[k] = take(g, G * (size_t)rows_of[k] * sizeof(int32_t));
    }
    b->id = take(g, N * sizeof *b->id);
    b->x = take(g, N * SHARD_X * sizeof *b->x);
    b->in_first = take(g, (N + 1) * sizeof *b->in_first);
    b->in_src = take(g, E * sizeof *b->in_src);
    b->in_dst = take(g, E * sizeof *b->in_dst);
    b->e = take(g, E * SHARD_E * sizeof *b->e);
    b->out_first = take(g, (N + 1) * sizeof *b->out_first);
    b->out_edge = take(g, E * sizeof *b->out_edge);
    if (!ci_model_wants_raw(g->cpu.m)) {
        b->graph_first[CI_ROWS_RAW] = b->shard_first[CI_ROWS_RAW] = b->row_graph[CI_ROWS_RAW] = NULL;
        return;
    }
    b->raw_src = take(g, R * sizeof *b->raw_src);
    b->raw_dst = take(g, R * sizeof *b->raw_dst);
    b->raw_e = take(g, R * SHARD_E * sizeof *b->raw_e);
    b->raw_out_first = take(g, (N + 1) * sizeof *b->raw_out_first);
    b->raw_out = take(g, R * sizeof *b->raw_out);
    b->raw_in_first = take(g, (N + 1) * sizeof *b->raw_in_first);
    b->raw_in = take(g, R * sizeof *b->raw_in);
}

/** A column for all graphs: that of a shard over and over, as shard_make makes each. */
static void *column(struct gpu *g, const void *shard, size_t bytes)
{
    char *all = ci_new((size_t)g->n_graph, bytes);
    if (!all) exit(70);
    for (int i = 0; i < g->n_graph; i += g->per)
        memcpy(all + (size_t)i * bytes, shard, (size_t)CI_MIN(g->per, g->n_graph - i) * bytes);
    void *p = taken(g, all, (size_t)g->n_graph * bytes);
    free(all);
    return p;
}

/** Numbers of rows, counted from the first one of their graph. */
static void within(int32_t *row, int per_graph, int n_graph, int by)
{
    for (int i = 0; i < per_graph * n_graph; i++) row[i] -= i / per_graph * by;
}

static int32_t *offsets(struct gpu *g, const ci_batch *b)
{
    int32_t *v = ci_new((size_t)b->n_graph * (SHARD_NODES + 1), sizeof *v);
    if (!v) exit(70);
    for (int i = 0; i < b->n_graph * (SHARD_NODES + 1); i++) {
        const int graph = i / (SHARD_NODES + 1), first = graph * SHARD_NODES;
        v[i] = b->in_first[first + i % (SHARD_NODES + 1)] - b->in_first[first];
    }
    int32_t *p = column(g, v, (SHARD_NODES + 1) * sizeof *v);
    free(v);
    return p;
}

static void pool_take(struct gpu *g)
{
    ci_batch b = shard_make(g->per, 0);
    const size_t E = SHARD_NODES + SHARD_EDGES;
    ci_k_pool *p = &g->pool;

    for (int k = CI_ROWS_NODE; k < CI_ROWS_COUNT; k++) {
        int64_t *first = ci_new((size_t)g->n_graph + 1, sizeof *first);
        if (!first) exit(70);
        for (int i = 0; i <= g->n_graph; i++) first[i] = (int64_t)i * rows_of[k];
        p->first[k] = taken(g, first, ((size_t)g->n_graph + 1) * sizeof *first);
        free(first);
    }
    within(b.in_src, (int)E, b.n_graph, SHARD_NODES);
    within(b.raw_src, SHARD_EDGES, b.n_graph, SHARD_NODES);
    within(b.raw_dst, SHARD_EDGES, b.n_graph, SHARD_NODES);
    p->label = column(g, b.label, 1);
    p->x = column(g, b.x, SHARD_NODES * SHARD_X * sizeof *b.x);
    p->id = column(g, b.id, SHARD_NODES * sizeof *b.id);
    p->in_first = offsets(g, &b);
    p->in_src = column(g, b.in_src, E * sizeof *b.in_src);
    p->e = column(g, b.e, E * SHARD_E * sizeof *b.e);
    if (ci_model_wants_raw(g->cpu.m)) {
        p->raw_src = column(g, b.raw_src, SHARD_EDGES * sizeof *b.raw_src);
        p->raw_dst = column(g, b.raw_dst, SHARD_EDGES * sizeof *b.raw_dst);
        p->raw_e = column(g, b.raw_e, SHARD_EDGES * SHARD_E * sizeof *b.raw_e);
    } else {
        p->first[CI_ROWS_RAW] = NULL;
    }
    shard_release(&b);
}

/** The batch of the first n graphs is what comes next. */
static void head_fill(struct gpu *g, int n)
{
    const ci_model_step step = trial_step(&g->cpu, n);
    const ci_k_batch *h = &g->host;
    ci_k_step *s = h->step;

    *s = (ci_k_step){.n_rank = 1, .lr = g->cpu.conf.train.lr};
    ci_devmodel_step(g->cpu.m, &step, s);
    for (int k = 0; k < (g->b.raw_src ? CI_ROWS_COUNT : CI_ROWS_RAW); k++) s->n[k] = n * rows_of[k];
    for (int i = 0; i <= n; i++)
        for (int k = CI_ROWS_NODE; k < CI_ROWS_COUNT; k++) h->graph_first[k][i] = i * rows_of[k];
    for (int i = 0; i < n; i++) h->graph[i] = h->slot[i] = i;
    for (int i = 0; i < n; i += g->per) h->shard_graph[s->n_shard++] = i;
    h->shard_graph[s->n_shard] = n;
    s->all_shard = s->n_shard;
}

/* ---- the optimiser ---- */

static void optim_take(struct gpu *g)
{
    const ci_conf *c = &g->cpu.conf;
    const size_t P = (size_t)ci_model_size(g->cpu.m);
    ci_lid T;
    const ci_param *param = ci_model_params(g->cpu.m, &T);
    ci_k_tensor *tensor = ci_new((size_t)T, sizeof *tensor);

    if (!tensor) exit(70);
    for (ci_lid k = 0; k < T; k++) tensor[k] = (ci_k_tensor){param[k].first, (int64_t)param[k].rows * param[k].cols};
    g->o = (ci_k_optim){.n = (int64_t)P, .n_tensor = T, .tensor = taken(g, tensor, (size_t)T * sizeof *tensor),
                        .w = take(g, 4 * P), .m = take(g, 4 * P), .v = take(g, 4 * P), .g = take(g, 4 * P), .sum = take(g, (P + CI_TERMS) * 8),
                        .exponent = take(g, (size_t)T * 4), .largest = take(g, ((size_t)T + 1) * 4), .agreed = take(g, ((size_t)T + CI_FLAGS) * 8),
                        .work = take(g, (size_t)g->k->optim_work((int64_t)P) * 8), .status = take(g, 4),
                        .fast = strcmp(c->train.reduce, "fast") == 0, .sum_bits = SUM_BITS, .sum_aim = SUM_AIM, .beta1 = c->train.beta1,
                        .beta2 = c->train.beta2, .eps = c->train.eps, .decay = c->train.decay, .clip = c->train.clip,
                        .decoupled = strcmp(c->train.optimizer, "adamw") == 0};
    g->stats = take(g, (size_t)ci_model_state_size(g->cpu.m) * 4);
    g->said = pinned(g, sizeof *g->said);
    free(tensor);
}

/** As at the first step of a training. */
static void begin(struct gpu *g)
{
    const size_t P = (size_t)g->o.n * sizeof(float);

    put(g, g->o.w, g->cpu.w, P);
    put(g, g->stats, g->cpu.state, (size_t)ci_model_state_size(g->cpu.m) * sizeof(float));
    dev(g, g->r->zero(g->d.dev, g->o.m, P));
    dev(g, g->r->zero(g->d.dev, g->o.v, P));
    dev(g, g->r->zero(g->d.dev, g->o.exponent, (size_t)g->o.n_tensor * sizeof(int32_t)));
    g->t = 0;
}

/* ---- a step ---- */

static void enqueue(struct gpu *g)
{
    const ci_ring alone = {.device = &g->d};
    const ci_devmodel_pass p = {.b = &g->b, .w = g->o.w, .state = g->stats, .optim = &g->o, .ring = &alone, .classify = g->cpu.step.classify,
                                .temperature = 1};
    ci_dev *const d = g->d.dev;

    g->k->optim_begin(d, &g->b, &g->o);
    g->k->assemble(d, &g->b, &g->pool);
    trial_must(ci_devmodel_train(g->model, &p));
    g->k->optim_agree(d, &g->b, &g->o);
    if (g->o.fast) g->k->optim_float(d, &g->b, &g->o);
    g->k->optim_finish(d, &g->b, &g->o);
    trial_must(ci_devmodel_running(g->model, &p, g->stats));
    dev(g, g->r->download(d, &g->said->status, g->o.status, sizeof g->said->status));
    dev(g, g->r->download(d, &g->said->bad, g->o.largest + g->o.n_tensor, sizeof g->said->bad));
    dev(g, g->r->download(d, g->said->loss, g->o.sum + g->o.n, sizeof g->said->loss));
}

/** Once without rows, as code comes to the device when it is first asked for; then captured. */
static void capture(struct gpu *g)
{
    *g->host.step = (ci_k_step){.n_rank = 1, .redo = 1, .t = 1, .keep = 1, .n_node = 1};
    put(g, g->b.step, g->pinned, g->head_bytes);
    enqueue(g);
    dev(g, g->r->sync(g->d.dev, 0, "bench.warm"));
    dev(g, g->r->capture_begin(g->d.dev));
    enqueue(g);
    dev(g, g->r->capture_end(g->d.dev, &g->graph));
}

static void step(struct gpu *g)
{
    g->host.step->t = g->t + 1;
    g->host.step->redo = g->t == 0; /* no step before it has told the exponents */
    for (int k = 0; k < TRIES; k++) {
        dev(g, g->r->upload(g->d.dev, g->b.step, g->pinned, g->head_bytes));
        dev(g, g->r->launch(g->d.dev, g->graph));
        dev(g, g->r->sync(g->d.dev, 600, "bench.step"));
        g->host.step->redo = 0;
        if (g->said->status != REDO) break;
    }
    g->loss = 0;
    for (int k = 0; k < CI_TERMS; k++) g->loss += ldexp((double)g->said->loss[k], -CI_LOSS_BITS);
    if (g->said->status != UPDATED || g->said->bad || !isfinite(g->loss)) broken("status of a step, loss", g->said->status, g->loss);
    g->t++;
}

/* ---- checks ---- */

static float *trained(struct gpu *g)
{
    float *w = ci_new((size_t)g->o.n, sizeof *w);
    if (!w) exit(70);
    begin(g);
    for (int k = 0; k < STEPS; k++) {
        step(g);
        if (k == 0) {
            g->checked = g->loss;
            const double most = g->precision == CI_FP32 ? 1e-4 : 3e-2;
            if (!(fabs(g->loss - g->cpu.loss) <= most * fabs(g->cpu.loss))) broken("loss beside the CPU's", g->loss, g->cpu.loss);
        }
    }
    dev(g, g->r->download(g->d.dev, w, g->o.w, (size_t)g->o.n * sizeof *w));
    dev(g, g->r->sync(g->d.dev, 0, "bench.weights"));
    return w;
}

static void check(struct gpu *g)
{
    head_fill(g, g->cpu.n_graph);
    trial_run(&g->cpu);
    float *a = trained(g), *b = trained(g);
    if (memcmp(a, g->cpu.w, (size_t)g->o.n * sizeof *a) == 0) broken("steps that change a weight", 0, STEPS);
    if (memcmp(a, b, (size_t)g->o.n * sizeof *a) != 0) broken("runs with the same weights", 1, 2);
    free(a);
    free(b);
}

/* ---- time ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Graphs a second beside what the device could do. */
static void shares_say(const struct gpu *g, const char *model, const char *scale, const char *preset, double rate)
{
    const double flop = 3 * ci_model_flops(g->cpu.m, SHARD_NODES, SHARD_NODES + SHARD_EDGES, SHARD_EDGES);
    const bool small = strcmp(scale, "small") == 0;
    const double bytes = 1e6 * (small ? 0.07 : strcmp(model, "gat") == 0 ? 0.25 : 0.32) * SHARD_NODES / 38.6;

    for (size_t k = 0; k < CI_COUNT(peaks); k++) {
        if (!strstr(g->d.info.name, peaks[k].name)) continue;
        printf(" share_fp32=%.3f share_bf16=%.3f", rate * flop / (peaks[k].fp32 * 1e12), rate * flop / (peaks[k].bf16 * 1e12));
        if (strcmp(preset, "paper") == 0) printf(" share_bytes=%.3f", rate * bytes / (peaks[k].bytes * 1e12));
        return;
    }
}

static void timed(struct gpu *g, char **argv)
{
    double *ms = ci_new(TIMES, sizeof *ms);
    int n = 0;

    if (!ms) exit(70);
    head_fill(g, g->n_graph);
    begin(g);
    step(g);
    const double begun = ci_now_s();
    double now = begun, before;
    do {
        before = now;
        step(g);
        now = ci_now_s();
        ms[n++] = 1e3 * (now - before);
    } while (now - begun < atof(argv[6]) && n < TIMES);
    qsort(ms, (size_t)n, sizeof *ms, ascending);
    if (strcmp(g->d.backend->name, "emulated") == 0) {
        printf(" emulated=1");
    } else {
        printf(" rate=%.1f ms=%.4f", g->n_graph * n / (now - begun), ms[n / 2]);
        shares_say(g, argv[1], argv[2], argv[3], g->n_graph * n / (now - begun));
    }
    free(ms);
}

/* ---- */

static void open_(struct gpu *g)
{
    if (ci_device_open(0, &g->d) != CI_OK) {
        fprintf(stderr, "bench_gpu: no device: %s\n", ci_message());
        exit(78);
    }
    g->r = g->d.backend->runtime;
    g->k = g->d.backend->kernels;
}

static void make(struct gpu *g, const char *rows)
{
    const char *precision = g->cpu.conf.train.precision;
    ci_devmodel_room room = {.n_rank = 1, .training = true};

    g->per = atoi(rows) / SHARD_NODES;
    g->precision = strcmp(precision, "tf32") == 0 ? CI_TF32 : strcmp(precision, "bf16") == 0 ? CI_BF16 : CI_FP32;
    trial_make(&g->cpu, CI_MIN(g->n_graph, CHECK), atoi(rows));
    batch_take(g);
    pool_take(g);
    optim_take(g);
    memcpy(room.most, g->b.most, sizeof room.most);
    room.most_shard = g->b.most_shard;
    room.precision = g->precision;
    trial_must(ci_device_budget(&g->d, 0, &room.budget));
    trial_must(ci_devmodel_create(&g->d, g->cpu.m, NULL, &room, &g->model));
}

static void release(struct gpu *g)
{
    g->r->graph_destroy(&g->graph);
    ci_devmodel_destroy(&g->model);
    for (int k = 0; k < g->n_block; k++) g->r->release(g->d.dev, g->block[k]);
    g->r->host_release(g->d.dev, g->pinned);
    g->r->host_release(g->d.dev, g->said);
    ci_device_close(&g->d);
    trial_release(&g->cpu);
}

int main(int argc, char **argv)
{
    static struct gpu g;
    size_t unused, used = 0;
    char name[sizeof g.d.info.name];

    if (argc < 7 || atoi(argv[4]) < 1 || atoi(argv[5]) < SHARD_NODES) {
        fprintf(stderr, "usage: bench_gpu gat|vgae small|large PRESET BATCH ROWS SECONDS [KEY=VALUE]...\n");
        return 64;
    }
    open_(&g);
    trial_settle(&g.cpu, argv[1], argv[2], argv[3], (const char *const *)argv + 7, argc - 7, true);
    g.n_graph = atoi(argv[4]);
    make(&g, argv[5]);
    capture(&g);
    check(&g);
    dev(&g, g.r->memory(g.d.dev, &unused, &used));
    memcpy(name, g.d.info.name, sizeof name);
    for (char *c = name; *c; c++) *c = *c == ' ' ? '_' : *c;
    printf("device=%s precision=%s reduce=%s batch=%d shards=%d parameters=%lld dropout=%g unk_drop=%g mask=%g kernels=%d launches=1 bytes=%zu"
           " check_loss=%.6f check_cpu=%.6f", name, g.cpu.conf.train.precision, g.cpu.conf.train.reduce, g.n_graph,
           shards_of(&g), (long long)g.o.n, (double)g.cpu.step.dropout, (double)g.cpu.step.unk_drop, (double)g.cpu.step.mask,
           g.r->graph_kernels(g.graph), used, g.checked, g.cpu.loss);
    timed(&g, argv);
    printf("\n");
    release(&g);
    return 0;
}
