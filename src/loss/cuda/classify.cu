/* Classifiers of two classes: cross entropy in its forms, distillation. */
#include "ci/elementary32.h"
#include "ci/loss.h"
#include "rows.h"

/* As in classify.c: every step of a row is the same. */
CI_DEVICE float class_power(float q, double k)
{
    if (k == 0) return 1;
    if (k == 1) return q;
    if (k == 2) return q * q;
    return q < 1e-37f ? 0 : ci_expf((float)k * ci_logf(q));
}

CI_DEVICE void two_classes(float other, float own, float *c, float *q)
{
    const float d = other - own;
    const float e = ci_expf(d > 0 ? -d : d);
    const float u = 1 + e;
    *c = (d > 0 ? d : 0) + (ci_logf(u) + (e - (u - 1)) / u);
    *q = d > 0 ? 1 / u : e / u;
}

/* One row; returns its loss over scale. */
CI_DEVICE double classify_row(const ci_k_batch &b, const ci_k_classify &a, int i, double scale)
{
    const float2 z = ((const float2 *)a.logit)[i];
    const int t = (a.rows == CI_ROWS_RAW ? b.raw_label[i] : b.label[i]) != 0;
    const double u = a.rows == CI_ROWS_GRAPH && b.graph_weight ? (double)b.graph_weight[i] : 1;
    const double w = u * (a.kind != CI_WEIGHTED_CE ? 1 : t ? a.weight[1] : a.weight[0]), gamma = a.kind == CI_FOCAL ? a.gamma : 0;
    float c, q;

    if (!loss_is_finite(z.x) || !loss_is_finite(z.y)) return NAN;
    two_classes(t ? z.x : z.y, t ? z.y : z.x, &c, &q);
    const float v = class_power(q, gamma);
    const float slope = v + (gamma > 0 ? (float)gamma * class_power(q, gamma - 1) * (1 - q) * c : 0);
    if (a.dlogit) {
        const float d = (float)((double)(slope * q) * (scale * w));
        a.dlogit[2 * (int64_t)i + !t] += d;
        a.dlogit[2 * (int64_t)i + t] -= d;
    }
    return w * (double)(v * c);
}

/* A thread a row, grid-stride; reads and writes 8 bytes of it. */
static __global__ void loss_classify(const ci_k_batch b, const ci_k_classify a)
{
    const double scale = b.step->scale[a.scale];
    const int n = ci_rows_here(b, a.rows);
    int64_t units = 0;

    for (int i = (int)(blockIdx.x * LOSS_THREADS + threadIdx.x); i < n; i += (int)(gridDim.x * LOSS_THREADS))
        units += loss_units(a.loss, classify_row(b, a, i, scale) * scale, LOSS_MAX);
    loss_add(a.loss, units);
}

void ci_cuda_classify(ci_dev *d, const ci_k_batch *b, const ci_k_classify *a)
{
    CI_LAUNCH(d, loss_classify, loss_blocks(b->most[a->rows], LOSS_THREADS), LOSS_THREADS, LOSS_SHARED, *b, *a);
}

/* One graph; returns its loss over scale T^2.  As in classify.c. */
CI_DEVICE double distill_row(const ci_k_distill &a, int i, double scale)
{
    const float2 s = ((const float2 *)a.student)[i], t = ((const float2 *)a.teacher)[i];
    const double T = a.temperature, ds = ((double)s.y - s.x) / T, dt = ((double)t.y - t.x) / T;

    if (!loss_is_finite(ds) || !loss_is_finite(dt)) return NAN;
    const double s0 = loss_softplus(ds), s1 = loss_softplus(-ds), t0 = loss_softplus(dt), t1 = loss_softplus(-dt);
    const double p0 = ci_exp64(-t0), p1 = ci_exp64(-t1), q1 = ci_exp64(-s1);
    if (a.dstudent) {
        const float d = (float)(scale * T * (q1 - p1));
        a.dstudent[2 * (int64_t)i + 1] += d;
        a.dstudent[2 * (int64_t)i] -= d;
    }
    return p1 * (s1 - t1) + p0 * (s0 - t0);
}

/* A thread a graph, grid-stride. */
static __global__ void loss_distill(const ci_k_batch b, const ci_k_distill a)
{
    const double scale = b.step->scale[CI_SCALE_LOGIT];
    const int n = ci_rows_here(b, CI_ROWS_GRAPH);
    int64_t units = 0;

    for (int i = (int)(blockIdx.x * LOSS_THREADS + threadIdx.x); i < n; i += (int)(gridDim.x * LOSS_THREADS))
        units += loss_units(a.loss, distill_row(a, i, scale) * (scale * a.temperature * a.temperature), LOSS_MAX);
    loss_add(a.loss, units);
}

void ci_cuda_distill(ci_dev *d, const ci_k_batch *b, const ci_k_distill *a)
{
    CI_LAUNCH(d, loss_distill, loss_blocks(b->most[CI_ROWS_GRAPH], LOSS_THREADS), LOSS_THREADS, LOSS_SHARED, *b, *a);
}
