/* A small dense network, forward and backward, whole batches at a time. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "ci/random.h"
#include "fusion_priv.h"

static ci_gid layer_size(const struct net *net, ci_lid k)
{
    const ci_gid in = net->dim[k], out = net->dim[k + 1];

    return in * out + out + (normed(net, k) ? 2 * out : 0);
}

void net_shape(struct net *net, const char *name, ci_gid first, bool norm, ci_lid hidden, const ci_lid *dim, ci_lid n)
{
    *net = (struct net){.n = n, .hidden = hidden, .norm = norm, .first = first};
    snprintf(net->name, sizeof net->name, "%s", name);
    memcpy(net->dim, dim, (size_t)(n + 1) * sizeof *dim);
    for (ci_lid k = 0; k < n; k++) net->size += layer_size(net, k);
}

struct parts net_parts(const struct net *net, ci_lid k)
{
    struct parts p = {.weight = net->first};
    const ci_gid out = net->dim[k + 1];

    for (ci_lid i = 0; i < k; i++) p.weight += layer_size(net, i);
    p.bias = p.weight + net->dim[k] * out;
    p.norm_weight = p.bias + out;
    p.norm_bias = p.norm_weight + out;
    return p;
}

static void uniform(uint32_t seed, uint32_t tensor, float bound, ci_gid n, float *w)
{
    for (ci_gid i = 0; i < n; i++) {
        const ci_u32x4 r = ci_philox(seed, CI_RANDOM_INIT, tensor, (uint32_t)(i / 4), 0, 0);
        w[i] = bound * (2 * ci_unit(r.v[i % 4]) - 1);
    }
}

/* Two tensors a layer, whether it has a norm or not. */
void net_init(const struct net *net, uint32_t seed, uint32_t tensor, float *w)
{
    for (ci_lid k = 0; k < net->n; k++) {
        const struct parts p = net_parts(net, k);
        const ci_gid out = net->dim[k + 1];
        const float bound = 1 / sqrtf((float)net->dim[k]);
        uniform(seed, tensor++, bound, net->dim[k] * out, w + p.weight);
        uniform(seed, tensor++, bound, out, w + p.bias);
        if (!normed(net, k)) continue;
        for (ci_gid i = 0; i < out; i++) {
            w[p.norm_weight + i] = 1;
            w[p.norm_bias + i] = 0;
        }
    }
}

static void tape_place(const struct net *net, struct tape *t, ci_arena *a)
{
    const size_t R = (size_t)t->rows;
    size_t widest = 0, weight = 0;

    for (ci_lid k = 0; k < net->n; k++) {
        const size_t out = (size_t)net->dim[k + 1];
        if (normed(net, k)) {
            t->pre[k] = ci_arena_take(a, R * out, sizeof(float));
            t->stat[k] = ci_arena_take(a, R * 2, sizeof(float));
        }
        t->y[k] = ci_arena_take(a, R * out, sizeof(float));
        widest = CI_MAX(widest, CI_MAX(out, (size_t)net->dim[k]));
        weight = CI_MAX(weight, out * (size_t)net->dim[k]);
    }
    for (int i = 0; i < 2; i++) t->d[i] = ci_arena_take(a, R * widest, sizeof(float));
    t->wt = ci_arena_take(a, weight, sizeof(float));
}

ci_rc tape_create(const struct net *net, ci_lid rows, struct tape *out)
{
    ci_rc rc = CI_OK;
    ci_arena plan = {0};

    *out = (struct tape){.rows = rows};
    tape_place(net, out, &plan);
    CI_TRY(ci_arena_init(&out->arena, plan.used));
    tape_place(net, out, &out->arena);
done:
    return rc;
}

void tape_release(struct tape *t)
{
    ci_arena_release(&t->arena);
    *t = (struct tape){0};
}

static ci_dropout mask_of(const struct drop *d, ci_lid layer)
{
    return (ci_dropout){d->seed, d->step, (uint32_t)layer, (uint32_t)((double)d->p * 4294967296.0), 1 / (1 - d->p)};
}

float *net_forward(const ci_ops *ops, const struct net *net, const float *w, const float *x, ci_lid rows,
                   const struct drop *drop, struct tape *t)
{
    if (t->dev) {
        devnet_forward(t->dev, net, w, x, rows, drop, t);
        return t->y[net->n - 1];
    }
    for (ci_lid k = 0; k < net->n; k++) {
        const struct parts p = net_parts(net, k);
        const ci_lid in = net->dim[k], out = net->dim[k + 1];
        const bool norm = normed(net, k);
        float *z = norm ? t->pre[k] : t->y[k];
        ops->gemm(&(ci_gemm){.M = rows, .N = out, .K = in, .a = x, .a_row = in, .a_col = 1, .b = w + p.weight, .b_row = out,
                             .c = z, .c_row = out, .start = CI_GEMM_BIAS, .bias = w + p.bias});
        if (norm) ops->layer_norm_forward(rows, out, z, w + p.norm_weight, w + p.norm_bias, t->stat[k], t->y[k]);
        if (k < net->hidden) {
            const ci_dropout mask = drop ? mask_of(drop, k) : (ci_dropout){0};
            ops->relu(t->y[k], rows * out, drop && drop->p > 0 ? &mask : NULL, (uint32_t)net->first);
        }
        x = t->y[k];
    }
    return t->y[net->n - 1];
}

/* d (rows, in) = dz (rows, out) W^T */
static void through_weight(const ci_ops *ops, const float *w, ci_lid in, ci_lid out, const float *dz, ci_lid rows,
                           float *wt, float *d)
{
    for (ci_lid i = 0; i < in; i++)
        for (ci_lid o = 0; o < out; o++) wt[(size_t)o * in + i] = w[(size_t)i * out + o];
    ops->gemm(&(ci_gemm){.M = rows, .N = in, .K = out, .a = dz, .a_row = out, .a_col = 1, .b = wt, .b_row = in,
                         .c = d, .c_row = in, .start = CI_GEMM_ZERO});
}

void net_backward(const ci_ops *ops, const struct net *net, const float *w, const float *x, ci_lid rows,
                  const struct drop *drop, struct tape *t, const float *dy, float *grad)
{
    int now = 0;
    const float scale = drop && drop->p > 0 ? 1 / (1 - drop->p) : 1;

    if (t->dev) {
        devnet_backward(t->dev, net, t, dy);
        return;
    }
    memcpy(t->d[now], dy, (size_t)rows * (size_t)net->dim[net->n] * sizeof *dy);
    for (ci_lid k = net->n - 1; k >= 0; k--) {
        const struct parts p = net_parts(net, k);
        const ci_lid in = net->dim[k], out = net->dim[k + 1];
        const float *input = k > 0 ? t->y[k - 1] : x;
        if (k < net->hidden) ops->relu_backward(t->y[k], rows * out, scale, t->d[now]);
        if (normed(net, k)) {
            float *before = t->d[!now]; /* the kernel adds to it */
            memset(before, 0, (size_t)rows * (size_t)out * sizeof *before);
            ops->layer_norm_backward(rows, out, t->pre[k], w + p.norm_weight, t->stat[k], t->d[now], before,
                                     grad + p.norm_weight, grad + p.norm_bias);
            now = !now;
        }
        ops->gemm(&(ci_gemm){.M = in, .N = out, .K = rows, .a = input, .a_row = 1, .a_col = in, .b = t->d[now],
                             .b_row = out, .c = grad + p.weight, .c_row = out, .start = CI_GEMM_ADD});
        ops->column_sum(t->d[now], rows, out, out, grad + p.bias);
        if (k == 0) break;
        through_weight(ops, w + p.weight, in, out, t->d[now], rows, t->wt, t->d[!now]);
        now = !now;
    }
}
