/* Classifiers of two classes: cross entropy in its forms, scores, distillation. */
#include "loss_priv.h"

/** q^k; k is 0 or at least 1 but for the exponent gamma - 1, which may be anything from 0. */
static float power(float q, double k)
{
    if (k == 0) return 1;
    if (k == 1) return q;
    if (k == 2) return q * q;
    return q < 1e-37f ? 0 : ci_expf((float)k * ci_logf(q));
}

/** One graph: cross entropy of the label's class, and the other class's probability. */
static void two_classes(const float *z, int t, float *c, float *q)
{
    const float d = z[!t] - z[t]; /* c = log(1 + exp d), without overflow on either side */
    const float e = ci_expf(d > 0 ? -d : d);
    const float u = 1 + e;
    *c = (d > 0 ? d : 0) + (ci_logf(u) + (e - (u - 1)) / u); /* the second term is what u has lost of e */
    *q = d > 0 ? 1 / u : e / u;
}

static ci_rc class_loss_check(const ci_class_loss *c)
{
    ci_rc rc = CI_OK;

    if (c->kind != CI_CE && c->kind != CI_FOCAL && c->kind != CI_WEIGHTED_CE)
        CI_FAIL(CI_EARG, "loss of classes number %d", c->kind);
    if (c->kind == CI_FOCAL && !(c->gamma == 0 || (c->gamma >= 1 && isfinite(c->gamma))))
        CI_FAIL(CI_EARG, "focal loss with gamma %g: 0, or 1 and above", c->gamma);
    if (c->kind == CI_WEIGHTED_CE && !(c->weight[0] >= 0 && c->weight[1] >= 0))
        CI_FAIL(CI_EARG, "cross entropy with class weights %g, %g: 0 and above", c->weight[0], c->weight[1]);
done:
    return rc;
}

ci_rc ci_classify(const ci_class_loss *kind, const float *logit, const uint8_t *label, const float *graph_weight,
                  ci_lid n, double scale, float *dlogit, double *loss)
{
    ci_rc rc = CI_OK;
    const double gamma = kind->kind == CI_FOCAL ? kind->gamma : 0;
    double sum = 0;

    CI_TRY(class_loss_check(kind));
    if (n < 0) CI_FAIL(CI_EARG, "loss of %d graphs", n);
    for (ci_lid i = 0; i < n; i++) {
        const float *z = logit + 2 * (size_t)i;
        const int t = label[i] != 0;
        const double w = (graph_weight ? (double)graph_weight[i] : 1) * (kind->kind == CI_WEIGHTED_CE ? kind->weight[t] : 1);
        float c, q;
        if (!isfinite(z[0]) || !isfinite(z[1]))
            CI_FAIL(CI_ENUMERIC, "loss: logits %g, %g of graph %d of the shard", (double)z[0], (double)z[1], i);
        two_classes(z, t, &c, &q);
        const float v = power(q, gamma);
        const float slope = v + (gamma > 0 ? (float)gamma * power(q, gamma - 1) * (1 - q) * c : 0);
        sum += w * (double)(v * c);
        if (!dlogit) continue;
        /* softmax - [k = t] is q for the other class, -q for the label's.  Where scale is 1/n, the product in double, rounded
         * once, is the quotient in float. */
        const float d = (float)((double)(slope * q) * (scale * w));
        dlogit[2 * (size_t)i + !t] += d;
        dlogit[2 * (size_t)i + t] -= d;
    }
    sum *= scale;
    if (!isfinite(sum)) CI_FAIL(CI_ENUMERIC, "the loss of %d graphs is %g", n, sum);
    *loss = sum;
done:
    return rc;
}

void ci_softmax_attack(const float *logit, ci_lid n, float *p)
{
    for (ci_lid i = 0; i < n; i++) {
        float c;
        two_classes(logit + 2 * (size_t)i, 0, &c, &p[i]); /* the other class of benign is attack */
    }
}

ci_rc ci_distill_logits(const float *student, const float *teacher, ci_lid n, double temperature, double scale,
                        float *dstudent, double *loss)
{
    ci_rc rc = CI_OK;
    const double T = temperature;
    double sum = 0;

    if (!(T > 0 && isfinite(T))) CI_FAIL(CI_EARG, "distillation at temperature %g: above 0", T);
    if (n < 0) CI_FAIL(CI_EARG, "distillation of %d graphs", n);
    for (ci_lid i = 0; i < n; i++) {
        const float *s = student + 2 * (size_t)i, *t = teacher + 2 * (size_t)i;
        const double ds = ((double)s[1] - s[0]) / T, dt = ((double)t[1] - t[0]) / T;
        if (!isfinite(ds) || !isfinite(dt))
            CI_FAIL(CI_ENUMERIC, "distillation: logits %g, %g of the student and %g, %g of the teacher, graph %d of the shard",
                    (double)s[0], (double)s[1], (double)t[0], (double)t[1], i);
        /* Two classes: log q_1 = -softplus(-d), log q_0 = -softplus(d). */
        const double p0 = ci_exp64(-softplus(dt)), p1 = ci_exp64(-softplus(-dt));
        const double q1 = ci_exp64(-softplus(-ds));
        sum += p1 * (softplus(-ds) - softplus(-dt)) + p0 * (softplus(ds) - softplus(dt));
        if (!dstudent) continue;
        const float d = (float)(scale * T * (q1 - p1));
        dstudent[2 * (size_t)i + 1] += d;
        dstudent[2 * (size_t)i] -= d;
    }
    sum *= scale * T * T;
    if (!isfinite(sum)) CI_FAIL(CI_ENUMERIC, "the loss of distillation is %g", sum);
    *loss = sum;
done:
    return rc;
}
