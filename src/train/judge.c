/* Validation: what the weights are worth, and the score and threshold that go with them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/loss.h"
#include "ci/metric.h"
#include "train_priv.h"

enum { MEASURES = 4 };

/* Columns of a vgae's outputs. */
enum { RECON, MASKED, WORST, AFFINITY = 6, RAYLEIGH };
static const ci_lid measure[MEASURES] = {MASKED, WORST, AFFINITY, RAYLEIGH};

void ci_judge(const ci_model *m, const double *calibration, int32_t n_calibration, const float *out, int64_t n, double *score)
{
    ci_lid K;

    ci_model_outputs(m, &K);
    for (int64_t i = 0; i < n; i++, out += K) {
        if (ci_model_dims(m)->kind == CI_GAT) {
            float p;
            ci_softmax_attack(out, 1, &p);
            score[i] = (double)p;
            continue;
        }
        score[i] = (double)out[RECON];
        for (int k = 0; k < MEASURES && n_calibration == MEASURES; k++) {
            const double z = ((double)out[measure[k]] - calibration[2 * k]) / calibration[2 * k + 1];
            score[i] = k == 0 ? z : CI_MAX(score[i], z);
        }
    }
}

/* Mean and spread of each measure over the benign validation windows. */
static ci_rc calibrate(struct trainer *t, const float *out, const uint8_t *label)
{
    ci_rc rc = CI_OK;
    const int64_t n = t->split.n_valid;
    ci_lid K;

    ci_model_outputs(t->model, &K);
    for (int k = 0; k < t->ck.n_calibration; k++) {
        double sum = 0, square = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            if (label[i]) continue;
            sum += (double)out[i * K + measure[k]];
            count++;
        }
        if (count < 2) CI_FAIL(CI_EDATA, "train.anomaly: %lld benign validation windows, too few to calibrate the score on", (long long)count);
        const double mean = sum / (double)count;
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)out[i * K + measure[k]] - mean;
            if (!label[i]) square += d * d;
        }
        t->ck.calibration[2 * k] = mean;
        t->ck.calibration[2 * k + 1] = CI_MAX(sqrt(square / (double)count), 1e-6 * CI_MAX(1, fabs(mean)));
    }
done:
    return rc;
}

static double mean_where(const float *out, ci_lid K, ci_lid column, const uint8_t *label, int64_t n, int want)
{
    double sum = 0;
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++) {
        if (label[i] != want) continue;
        sum += (double)out[i * K + column];
        count++;
    }
    return count ? sum / (double)count : NAN;
}

static ci_rc loss_of(const struct trainer *t, const float *out, const uint8_t *label, struct validation *v)
{
    ci_rc rc = CI_OK;
    const int64_t n = t->split.n_valid;
    const ci_class_loss how = class_loss_of(t->conf);
    ci_lid K;
    float *logit = NULL;

    ci_model_outputs(t->model, &K);
    v->gap = v->max_gap = v->ratio = NAN;
    if (ci_model_dims(t->model)->kind == CI_VGAE) {
        const double benign = mean_where(out, K, RECON, label, n, 0), attack = mean_where(out, K, RECON, label, n, 1);
        v->loss = benign;
        v->gap = attack - benign;
        v->ratio = attack / (benign + 1e-6);
        v->max_gap = mean_where(out, K, WORST, label, n, 1) - mean_where(out, K, WORST, label, n, 0);
        goto done;
    }
    logit = ci_new((size_t)n, 2 * sizeof *logit);
    if (!logit) CI_FAIL(CI_ENOMEM, "%lld validation scores", (long long)n);
    for (int64_t i = 0; i < n; i++) memcpy(logit + 2 * i, out + i * K, 2 * sizeof *logit);
    CI_TRY(ci_classify(&how, logit, label, NULL, (ci_lid)n, 1 / (double)n, NULL, &v->loss));
done:
    free(logit);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The threshold where no attacks validate: five in a thousand of the benign windows lie above. */
static double high_quantile(double *score, int64_t n)
{
    qsort(score, (size_t)n, sizeof *score, by_value);
    return nextafter(score[(int64_t)(0.995 * (double)(n - 1))], INFINITY);
}

static ci_rc rank_of(double *score, const uint8_t *label, int64_t n, struct validation *v)
{
    ci_rc rc = CI_OK;
    int64_t attacks = 0;
    ci_counts c;

    for (int64_t i = 0; i < n; i++) attacks += label[i] != 0;
    if (attacks == 0 || attacks == n) {
        v->auroc = v->ap = v->f1 = v->mcc = NAN;
        v->threshold = high_quantile(score, n);
        goto done;
    }
    CI_TRY(ci_auroc(score, label, n, &v->auroc));
    CI_TRY(ci_average_precision(score, label, n, &v->ap));
    CI_TRY(ci_youden(score, label, n, &v->threshold, NULL));
    CI_TRY(ci_confusion(score, label, n, v->threshold, &c));
    v->f1 = ci_f1(c);
    v->mcc = ci_mcc(c);
done:
    return rc;
}

int more_is_better(const ci_conf *conf) { return strcmp(conf->train.monitor, "loss") != 0; }

static ci_rc monitored(const ci_conf *conf, struct validation *v)
{
    ci_rc rc = CI_OK;
    const struct { const char *name; double value; } known[] = {
        {"auroc", v->auroc}, {"loss", v->loss}, {"average_precision", v->ap}, {"f1", v->f1}, {"mcc", v->mcc},
        {"gap", v->gap}, {"max_gap", v->max_gap}, {"ratio", v->ratio}};

    for (size_t k = 0; k < CI_COUNT(known); k++)
        if (strcmp(conf->train.monitor, known[k].name) == 0) v->value = known[k].value;
    if (!isfinite(v->value)) CI_FAIL(CI_ENUMERIC, "train.monitor: %s on validation is %g", conf->train.monitor, v->value);
done:
    return rc;
}

ci_rc monitor_check(const ci_conf *conf, const ci_split *split)
{
    ci_rc rc = CI_OK;
    const char *name = conf->train.monitor;

    if (split->n_valid_attack == 0 && strcmp(name, "loss") != 0)
        CI_FAIL(CI_ECONF, "train.monitor: %s needs attacks, and none of the %lld validation windows is one; set train.monitor to loss", name,
                (long long)split->n_valid);
done:
    return rc;
}

static ci_rc judge(struct trainer *t, const float *out, struct validation *v)
{
    ci_rc rc = CI_OK;
    const int64_t n = t->split.n_valid;
    double *score = ci_new((size_t)n, sizeof *score);
    uint8_t *label = ci_new((size_t)n, sizeof *label);

    if (!score || !label) CI_FAIL(CI_ENOMEM, "%lld validation scores", (long long)n);
    for (int64_t i = 0; i < n; i++) label[i] = t->st->graph_label[t->split.valid[i]];
    CI_TRY(calibrate(t, out, label));
    CI_TRY(loss_of(t, out, label, v));
    ci_judge(t->model, t->ck.calibration, t->ck.n_calibration, out, n, score);
    CI_TRY(rank_of(score, label, n, v));
    CI_TRY(monitored(t->conf, v));
done:
    free(score);
    free(label);
    return rc;
}

ci_rc validate(struct trainer *t, struct validation *v)
{
    ci_rc rc = CI_OK;
    ci_lid K;
    float *out = NULL;

    ci_model_outputs(t->model, &K);
    out = ci_new((size_t)t->split.n_valid, (size_t)K * sizeof *out);
    CI_TRY_ALL(t->comm, "train.valid.room", out ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "validation"));
    CI_TRY(score_valid(t, out));
    CI_TRY_ALL(t->comm, "train.valid.judge", judge(t, out, v));
done:
    free(out);
    return rc;
}
