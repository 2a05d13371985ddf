/* Curricula: which graphs an epoch trains on. */
#include "ci/curriculum.h"
#include <math.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "ci/elementary.h"
#include "ci/random.h"
#include "ci/types.h"

struct place { double score; int64_t at; };

static int easier_first(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    return p->score != q->score ? (p->score > q->score) - (p->score < q->score) : (p->at > q->at) - (p->at < q->at);
}

static int harder_first(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    return p->score != q->score ? easier_first(b, a) : easier_first(a, b);
}

/** The places of scores, of benign graphs alone where there are labels, in this order; to free(). */
static ci_rc sorted(const double *score, const uint8_t *label, int64_t n, int (*order)(const void *, const void *),
                    struct place **out, int64_t *out_n)
{
    ci_rc rc = CI_OK;
    struct place *p = ci_new((size_t)n, sizeof *p);
    int64_t k = 0;

    if (!p) CI_FAIL(CI_ENOMEM, "curriculum of %lld graphs", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (label && label[i]) continue;
        if (!isfinite(score[i])) CI_FAIL(CI_ENUMERIC, "curriculum: difficulty %g of graph %lld", score[i], (long long)i);
        p[k++] = (struct place){score[i], i};
    }
    if (k > 0) qsort(p, (size_t)k, sizeof *p, order);
    *out = p;
    *out_n = k;
    p = NULL;
done:
    free(p);
    return rc;
}

ci_rc ci_curriculum_hard(const double *score, int64_t n_benign, int64_t n_attack, int32_t epoch, int32_t epochs,
                         int64_t *out, int64_t *out_n)
{
    ci_rc rc = CI_OK;
    const double p = epochs > 0 ? fmin((double)epoch / epochs, 1) : 1;
    struct place *by = NULL;
    int64_t n = 0, k = 0;

    if (n_benign < 0 || n_attack < 0 || epoch < 0)
        CI_FAIL(CI_EARG, "curriculum of %lld benign graphs, %lld attacks, epoch %d", (long long)n_benign, (long long)n_attack, epoch);
    if (n_benign > 0) {
        CI_TRY(sorted(score, NULL, n_benign, easier_first, &by, &n));
        const double threshold = by[(int64_t)((double)n * (75 + 20 * p) / 100)].score, most = floor((double)n_attack * (1 + 9 * p));
        for (int64_t i = 0; i < n && (double)k < most; i++)
            if (score[i] >= threshold) out[k++] = i;
    }
    *out_n = k;
done:
    free(by);
    return rc;
}

ci_rc ci_curriculum_weight(const double *score, const uint8_t *label, int64_t n, int32_t epoch, int32_t epochs,
                           float *weight)
{
    ci_rc rc = CI_OK;
    const double f = (1 + 9 * (epochs > 1 ? fmin((double)epoch / (epochs - 1), 1) : 1)) / 10;
    struct place *by = NULL;
    int64_t benign = 0;

    if (n < 0 || epoch < 0) CI_FAIL(CI_EARG, "curriculum of %lld graphs, epoch %d", (long long)n, epoch);
    if (n == 0) return CI_OK;
    CI_TRY(sorted(score, label, n, easier_first, &by, &benign));
    const int64_t seen = CI_MIN((int64_t)ceil(f * (double)benign), benign);
    for (int64_t i = 0; i < n; i++) weight[i] = label[i] ? 1 : 0;
    for (int64_t k = 0; k < seen; k++) weight[by[k].at] = 1;
done:
    free(by);
    return rc;
}

/** The balanced share: slots take turns between the classes. */
static ci_rc balanced(uint32_t seed, const uint8_t *label, int64_t n, int32_t t, int64_t n_slot, int64_t *out)
{
    ci_rc rc = CI_OK;
    int64_t *of = ci_new((size_t)n, sizeof *of), n_benign = 0;

    if (!of) CI_FAIL(CI_ENOMEM, "curriculum of %lld graphs", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!label[i]) of[n_benign++] = i;
    for (int64_t i = 0, k = n_benign; i < n; i++)
        if (label[i]) of[k++] = i;
    for (int64_t j = 0; j < n_slot; j++) {
        const int attack = n_benign == n ? 0 : n_benign == 0 ? 1 : (int)(j & 1);
        const uint32_t word = ci_philox(seed, CI_RANDOM_CURRICULUM, (uint32_t)t, (uint32_t)j, 1, 0).v[0];
        out[j] = attack ? of[n_benign + ci_below(word, (uint32_t)(n - n_benign))] : of[ci_below(word, (uint32_t)n_benign)];
    }
done:
    free(of);
    return rc;
}

ci_rc ci_curriculum_momentum(uint32_t seed, const uint8_t *label, const double *score, int64_t n, int32_t t, double tau,
                             int64_t *out, int64_t *out_n)
{
    ci_rc rc = CI_OK;
    int32_t *order = NULL;
    struct place *by = NULL;
    int64_t n_by = 0;

    if (n < 0 || n > INT32_MAX || t < 0 || !(tau > 0))
        CI_FAIL(CI_EARG, "curriculum of %lld graphs, epoch %d, time constant %g", (long long)n, t, tau);
    *out_n = 0;
    if (n == 0) return CI_OK;
    const int64_t natural = (int64_t)floor((1 - ci_exp64(-t / tau)) * (double)n + 0.5), hard = n / 5;
    CI_TRY(sorted(score, NULL, n, harder_first, &by, &n_by));
    order = ci_new((size_t)n, sizeof *order);
    if (!order) CI_FAIL(CI_ENOMEM, "curriculum of %lld graphs", (long long)n);
    ci_permutation(seed, CI_RANDOM_CURRICULUM, (uint32_t)t, (int32_t)n, order);
    for (int64_t i = 0; i < natural; i++) out[i] = order[i];
    CI_TRY(balanced(seed, label, n, t, n - natural, out + natural));
    for (int64_t i = 0; i < hard; i++) out[n + i] = by[i].at;
    *out_n = n + hard;
done:
    free(order);
    free(by);
    return rc;
}
