/* Dense networks on a device, while they learn.
 *
 * A batch is one graph of as many nodes as it has windows, in one shard: element (row, column) of a layer then has the key of dropout that
 * mask_of of net.c gives it.  A forward pass uploads the batch and downloads the last layer; losses are the processor's, as rewards, labels
 * and what is remembered lie there: a copy of 10 KiB each way and one wait a pass, which the check of the loss would want in any case.
 * Backward passes leave their gradient here and are made by the optimiser, as gradients of parameters go into integer sums: where one
 * outgrows its exponent, all of them are made again.  Exponents begin anew when weights were pulled, between two episodes, so that a run
 * that was stopped there goes on with the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/kernels.h"
#include "fusion_priv.h"

enum {
    TENSORS = NETS * NET_LAYERS * 4,
    SUM_BITS = 46, SUM_AIM = 40, /* 2^(62-46) blocks of 64 rows may add to an element; a gradient may grow 64 times from step to step */
    UNKNOWN = 96,                /* an exponent that any gradient above 2^-50 outgrows */
    TRIES = 3
};
enum { UPDATED, REDO, NOT_FINITE };

/* What changes from pass to pass: in one upload. */
struct head {
    ci_k_step step;
    int32_t first[2]; /* rows of the shard, of the graph: 0 and how many */
};

struct devtape {
    const struct net *net;
    float *x, *dy;                             /* (rows, in), (rows, out) */
    float *pre[NET_LAYERS], *stat[NET_LAYERS]; /* of layers with a norm, as tape */
    float *y[NET_LAYERS], *d[NET_LAYERS];      /* (rows, out), and its gradient; d of the last is dy unless a relu follows */
};

struct devnet {
    const ci_compute *at;
    const ci_kernels *k;
    ci_fusion *f;
    ci_lid rows;
    ci_rc rc;      /* of the first call that failed */
    char why[256];
    void *memory;  /* on the device: all that follows points there, but for `passing` and so on */
    ci_k_optim optim;
    float *target;
    struct head *head;
    int64_t *first;  /* (NETS) first parameter of each network, for dropout */
    int32_t *graph;  /* (rows) 0 */
    ci_k_tensor *place_of;
    struct devtape tape[NETS];
    /* The host's; what is uploaded from here stays as it is until the next wait. */
    struct head passing, adapting;
    ci_k_tensor tensor[TENSORS];
    int32_t exponent[TENSORS];
    int64_t firsts[NETS];
    bool drops;
};

static const ci_runtime *runtime_of(const struct devnet *d) { return d->at->device.backend->runtime; }

/* A failure is for whoever asks; nothing is computed after it. */
static bool well(struct devnet *d, ci_rc rc)
{
    if (rc == CI_OK || d->rc != CI_OK) return d->rc == CI_OK;
    d->rc = rc;
    snprintf(d->why, sizeof d->why, "%.255s", runtime_of(d)->message());
    return false;
}

ci_rc devnet_told(const struct devnet *d)
{
    return d->rc == CI_OK ? CI_OK : ci_fail(d->rc, __FILE__, __LINE__, "%s", d->why);
}

static bool put(struct devnet *d, void *to, const void *from, size_t n, size_t item)
{
    return d->rc == CI_OK && well(d, runtime_of(d)->upload(d->at->device.dev, to, from, n * item));
}

static bool get(struct devnet *d, void *to, const void *from, size_t n, size_t item)
{
    return d->rc == CI_OK && well(d, runtime_of(d)->download(d->at->device.dev, to, from, n * item));
}

static bool wait(struct devnet *d, const char *site)
{
    return d->rc == CI_OK && well(d, runtime_of(d)->sync(d->at->device.dev, d->at->deadline, site));
}

/* ---- memory ---- */

static void *place(char *base, size_t *at, size_t n, size_t item)
{
    const size_t here = *at;

    *at += (n * item + 255) / 256 * 256;
    return base ? base + here : NULL;
}

static void tape_lay(const struct devnet *d, struct devtape *t, char *base, size_t *at)
{
    const size_t R = (size_t)d->rows;
    const ci_lid last = t->net->n - 1;

    t->x = place(base, at, R * (size_t)t->net->dim[0], sizeof(float));
    t->dy = place(base, at, R * (size_t)t->net->dim[last + 1], sizeof(float));
    for (ci_lid k = 0; k <= last; k++) {
        const size_t cells = R * (size_t)t->net->dim[k + 1];
        t->y[k] = place(base, at, cells, sizeof(float));
        t->d[k] = k == last && last >= t->net->hidden ? t->dy : place(base, at, cells, sizeof(float));
        if (!normed(t->net, k)) continue;
        t->pre[k] = place(base, at, cells, sizeof(float));
        t->stat[k] = place(base, at, R * 2, sizeof(float));
    }
}

/* Called twice: without a base it counts.  \return bytes */
static size_t lay(struct devnet *d, char *base)
{
    ci_k_optim *o = &d->optim;
    const size_t n = (size_t)o->n, T = (size_t)o->n_tensor;
    size_t at = 0;

    o->w = place(base, &at, n, sizeof *o->w);
    o->m = place(base, &at, n, sizeof *o->m);
    o->v = place(base, &at, n, sizeof *o->v);
    o->g = place(base, &at, n, sizeof *o->g);
    o->sum = place(base, &at, n + CI_TERMS, sizeof *o->sum);
    o->exponent = place(base, &at, T, sizeof *o->exponent);
    o->largest = place(base, &at, T + 1, sizeof *o->largest);
    o->agreed = place(base, &at, T + CI_FLAGS, sizeof *o->agreed);
    o->work = place(base, &at, (size_t)d->k->optim_work(o->n), sizeof *o->work);
    o->status = place(base, &at, 1, sizeof *o->status);
    o->tensor = d->place_of = place(base, &at, T, sizeof *o->tensor);
    d->target = d->f->target ? place(base, &at, n, sizeof *d->target) : NULL;
    d->head = place(base, &at, 1, sizeof *d->head);
    d->first = place(base, &at, NETS, sizeof *d->first);
    d->graph = place(base, &at, (size_t)d->rows, sizeof *d->graph);
    for (int k = 0; k < d->f->n_net; k++) tape_lay(d, &d->tape[k], base, &at);
    return at;
}

/* In the order of the flat vector. */
static void tensors_list(struct devnet *d)
{
    int32_t n = 0;

    for (int i = 0; i < d->f->n_net; i++) {
        const struct net *net = &d->f->net[i];
        ci_gid at = net->first;
        d->firsts[i] = net->first;
        for (ci_lid k = 0; k < net->n; k++) {
            const ci_gid out = net->dim[k + 1], size[4] = {net->dim[k] * out, out, out, out};
            for (int j = 0; j < (normed(net, k) ? 4 : 2); j++) {
                d->tensor[n++] = (ci_k_tensor){at, size[j]};
                at += size[j];
            }
        }
    }
    d->optim.n_tensor = n;
    for (int i = 0; i < TENSORS; i++) d->exponent[i] = UNKNOWN;
}

static void bring(struct devnet *d)
{
    const ci_fusion *f = d->f;
    const ci_k_optim *o = &d->optim;
    const size_t n = (size_t)o->n, T = (size_t)o->n_tensor;

    put(d, o->w, f->w, n, sizeof *o->w);
    put(d, o->m, f->m, n, sizeof *o->m);
    put(d, o->v, f->v, n, sizeof *o->v);
    if (d->target) put(d, d->target, f->target, n, sizeof *d->target);
    put(d, d->place_of, d->tensor, T, sizeof *d->tensor);
    put(d, o->exponent, d->exponent, T, sizeof *d->exponent);
    put(d, d->first, d->firsts, NETS, sizeof *d->firsts);
    if (d->rc == CI_OK) well(d, runtime_of(d)->zero(d->at->device.dev, d->graph, (size_t)d->rows * sizeof *d->graph));
    wait(d, "fusion.device.bring");
}

ci_rc devnet_create(const ci_compute *at, ci_fusion *f, ci_lid rows, struct tape *tape, struct devnet **out)
{
    ci_rc rc = CI_OK;
    struct devnet *d = ci_new(1, sizeof *d);

    *out = NULL;
    if (!d) CI_FAIL(CI_ENOMEM, "a network on a device");
    *d = (struct devnet){.at = at, .k = at->device.backend->kernels, .f = f, .rows = rows};
    d->optim = (ci_k_optim){.n = f->n, .sum_bits = SUM_BITS, .sum_aim = SUM_AIM};
    for (int k = 0; k < f->n_net; k++) d->tape[k].net = &f->net[k];
    tensors_list(d);
    CI_TRY(ci_device_rc(&at->device, runtime_of(d)->alloc(at->device.dev, lay(d, NULL), &d->memory)));
    lay(d, d->memory);
    bring(d);
    CI_TRY(devnet_told(d));
    for (int k = 0; k < f->n_net; k++) {
        tape[k].dev = d;
        tape[k].at = k;
    }
    *out = d;
    d = NULL;
done:
    devnet_destroy(&d);
    return rc;
}

void devnet_destroy(struct devnet **d)
{
    if (!*d) return;
    runtime_of(*d)->release((*d)->at->device.dev, (*d)->memory);
    free(*d);
    *d = NULL;
}

/* ---- passes ---- */

static ci_k_batch batch_of(const struct devnet *d, const struct devtape *t)
{
    const int32_t rows = d->passing.first[1];
    ci_k_batch b = {.step = &d->head->step, .most_shard = 1, .training = d->drops, .hide = -1, .graph = d->first + (t - d->tape)};

    b.most[CI_ROWS_GRAPH] = 1;
    b.most[CI_ROWS_NODE] = rows;
    b.graph_first[CI_ROWS_NODE] = b.shard_first[CI_ROWS_NODE] = d->head->first;
    b.row_graph[CI_ROWS_NODE] = d->graph;
    return b;
}

static void head_of(struct devnet *d, ci_lid rows, const struct drop *drop)
{
    struct head *h = &d->passing;

    *h = (struct head){.step = {.n_shard = 1, .all_shard = 1, .n_rank = 1, .keep = 1, .n_node = rows}, .first = {0, rows}};
    h->step.n[CI_ROWS_GRAPH] = 1;
    h->step.n[CI_ROWS_NODE] = rows;
    d->drops = drop && drop->p > 0;
    if (!d->drops) return;
    h->step.seed = drop->seed;
    h->step.epoch = drop->step;
    h->step.drop = (uint32_t)((double)drop->p * 4294967296.0);
    h->step.keep = 1 / (1 - drop->p);
}

static void layers(const struct devnet *d, const struct devtape *t, const float *w)
{
    const ci_k_batch b = batch_of(d, t);
    ci_dev *dev = d->at->device.dev;
    const float *x = t->x;

    for (ci_lid k = 0; k < t->net->n; k++) {
        const struct parts p = net_parts(t->net, k);
        const ci_lid in = t->net->dim[k], out = t->net->dim[k + 1];
        const bool norm = normed(t->net, k);
        const ci_k_gemm g = {.rows = CI_ROWS_NODE, .N = out, .K = in, .a = x, .a_row = in, .b = w + p.weight, .b_row = out,
                             .c = norm ? t->pre[k] : t->y[k], .c_row = out, .bias = w + p.bias,
                             .relu = {k < t->net->hidden && !norm, (uint32_t)k}};
        d->k->gemm(dev, &b, CI_FP32, &g, 1);
        if (norm) {
            const ci_k_norm a = {.rows = CI_ROWS_NODE, .cols = out, .x = t->pre[k], .w = w + p.norm_weight, .b = w + p.norm_bias,
                                 .stat = t->stat[k], .y = t->y[k]};
            d->k->layer_norm(dev, &b, &a);
            d->k->relu(dev, &b, CI_ROWS_NODE, out, (uint32_t)k, t->y[k]);
        }
        x = t->y[k];
    }
}

void devnet_forward(struct devnet *d, const struct net *net, const float *w, const float *x, ci_lid rows, const struct drop *drop,
                    struct tape *tape)
{
    struct devtape *t = &d->tape[tape->at];
    const size_t R = (size_t)rows, in = (size_t)net->dim[0], out = (size_t)net->dim[net->n];
    float *y = tape->y[net->n - 1];

    head_of(d, rows, drop);
    put(d, d->head, &d->passing, 1, sizeof d->passing);
    if (put(d, t->x, x, R * in, sizeof *x)) layers(d, t, w == d->f->target ? d->target : d->optim.w);
    get(d, y, t->y[net->n - 1], R * out, sizeof *y);
    if (wait(d, "fusion.device.forward")) return;
    for (size_t i = 0; i < R * out; i++) y[i] = NAN;
}

void devnet_backward(struct devnet *d, const struct net *net, struct tape *tape, const float *dy)
{
    put(d, d->tape[tape->at].dy, dy, (size_t)d->passing.first[1] * (size_t)net->dim[net->n], sizeof *dy);
}

static ci_k_grad sums_of(const struct devnet *d, int32_t tensor)
{
    return (ci_k_grad){d->optim.sum + d->tensor[tensor].first, d->optim.exponent + tensor, d->optim.largest + tensor};
}

/* From the gradient of the last layer's output; products of gradients in one launch at the end. */
static void layers_back(const struct devnet *d, const struct devtape *t, int32_t tensor)
{
    const struct net *net = t->net;
    const ci_k_batch b = batch_of(d, t);
    ci_dev *dev = d->at->device.dev;
    const float *w = d->optim.w;
    ci_k_gemm_grad grad[NET_LAYERS];
    int32_t first[NET_LAYERS];

    for (ci_lid k = 0; k < net->n; k++) {
        first[k] = tensor;
        tensor += normed(net, k) ? 4 : 2;
    }
    for (ci_lid k = net->n - 1; k >= 0; k--) {
        const struct parts p = net_parts(net, k);
        const ci_lid in = net->dim[k], out = net->dim[k + 1];
        if (k == net->n - 1 && k < net->hidden) {
            d->k->add_to(dev, &b, CI_ROWS_NODE, out, t->dy, out, t->d[k], 0);
            d->k->relu_back(dev, &b, CI_ROWS_NODE, out, t->y[k], t->d[k]);
        }
        if (normed(net, k)) {
            const ci_k_norm a = {.rows = CI_ROWS_NODE, .cols = out, .x = t->pre[k], .w = w + p.norm_weight, .b = w + p.norm_bias,
                                 .stat = t->stat[k]};
            const ci_k_norm_back g = {.dy = t->d[k], .dx = t->d[k], .overwrite = 1, .w = sums_of(d, first[k] + 2),
                                      .b = sums_of(d, first[k] + 3)};
            d->k->layer_norm_back(dev, &b, &a, &g);
        }
        grad[k] = (ci_k_gemm_grad){.rows = CI_ROWS_NODE, .K = in, .N = out, .a = k ? t->y[k - 1] : t->x, .a_row = in, .dy = t->d[k],
                                   .dy_row = out, .w = sums_of(d, first[k]), .bias = sums_of(d, first[k] + 1)};
        if (k == 0) break;
        const ci_k_gemm g = {.rows = CI_ROWS_NODE, .N = in, .K = out, .a = t->d[k], .a_row = out, .b = w + p.weight, .b_row = out,
                             .b_t = 1, .c = t->d[k - 1], .c_row = in, .gate = k - 1 < net->hidden ? t->y[k - 1] : NULL};
        d->k->gemm(dev, &b, CI_FP32, &g, 1);
    }
    d->k->gemm_grad(dev, &b, CI_FP32, grad, net->n);
}

/* ---- the optimiser ---- */

static int32_t tensors_of(const struct net *net)
{
    int32_t n = 0;
    for (ci_lid k = 0; k < net->n; k++) n += normed(net, k) ? 4 : 2;
    return n;
}

/* Gradients and the update, or what keeps from it.  \return the device's verdict */
static int32_t attempt(struct devnet *d)
{
    const ci_k_batch b = batch_of(d, &d->tape[0]);
    ci_dev *dev = d->at->device.dev;
    int32_t tensor = 0, status = NOT_FINITE;

    d->k->optim_begin(dev, &b, &d->optim);
    for (int i = 0; i < d->f->n_net; i++) {
        layers_back(d, &d->tape[i], tensor);
        tensor += tensors_of(d->tape[i].net);
    }
    d->k->optim_agree(dev, &b, &d->optim);
    d->k->optim_finish(dev, &b, &d->optim);
    get(d, &status, d->optim.status, 1, sizeof status);
    wait(d, "fusion.device.adam");
    return status;
}

ci_rc devnet_adam(struct devnet *d, const ci_adam *a, ci_gid t)
{
    ci_rc rc = CI_OK;
    ci_k_optim *o = &d->optim;
    int32_t status = REDO;

    o->beta1 = a->beta1;
    o->beta2 = a->beta2;
    o->eps = a->eps;
    o->decay = a->decay;
    o->clip = a->clip;
    o->decoupled = a->decoupled;
    d->adapting = d->passing;
    d->adapting.step.t = (int32_t)CI_MIN(t, INT32_MAX); /* beta^t has been 0 for long */
    d->adapting.step.lr = a->lr;
    put(d, d->head, &d->adapting, 1, sizeof d->adapting);
    for (int i = 0; i < TRIES && status == REDO && d->rc == CI_OK; i++) status = attempt(d);
    CI_TRY(devnet_told(d));
    if (status != UPDATED) CI_FAIL(CI_ENUMERIC, "a gradient is not finite");
done:
    return rc;
}

void devnet_follow(struct devnet *d, float keep)
{
    if (d->rc == CI_OK) d->k->blend(d->at->device.dev, d->optim.n, keep, d->optim.w, d->target);
}

ci_rc devnet_pull(struct devnet *d)
{
    const ci_k_optim *o = &d->optim;
    const size_t n = (size_t)o->n;

    get(d, d->f->w, o->w, n, sizeof *o->w);
    get(d, d->f->m, o->m, n, sizeof *o->m);
    get(d, d->f->v, o->v, n, sizeof *o->v);
    if (d->target) get(d, d->f->target, d->target, n, sizeof *d->target);
    put(d, o->exponent, d->exponent, (size_t)o->n_tensor, sizeof *d->exponent);
    wait(d, "fusion.device.pull");
    return devnet_told(d);
}
