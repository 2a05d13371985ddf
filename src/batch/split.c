/* Which windows train, which validate, and the proof that they share nothing. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/random.h"
#include "ci/split.h"

/* Whether the window, given as position in its capture, lies in a validation block. */
static bool validates(int64_t window, int64_t n, const ci_split_conf *conf)
{
    const int32_t blocks = conf->blocks, every = conf->every;
    int64_t b = window * blocks / n; /* near the block; step to the one whose range holds it */

    while (b > 0 && window < ci_part(n, b, blocks)) b--;
    while (b + 1 < blocks && window >= ci_part(n, b + 1, blocks)) b++;
    return (b + every - (int64_t)(conf->seed % (uint32_t)every)) % every == 0;
}

static bool trains(const ci_store *st, int32_t capture)
{
    return st->head.folder[st->head.capture[capture].folder].role == 0;
}

static void put(const ci_store *st, int64_t g, bool valid, ci_split *s)
{
    if (valid) {
        s->valid[s->n_valid++] = g;
        s->n_valid_attack += st->graph_label[g];
    } else {
        s->train[s->n_train++] = g;
        s->n_train_attack += st->graph_label[g];
    }
}

static void capture_split(const ci_store *st, const ci_store_capture *c, const ci_split_conf *conf, ci_split *s)
{
    const int64_t rows = ci_feature_rows(st->set, st->head.frames, st->head.compat);
    const int64_t overlap = (rows + st->head.stride - 1) / st->head.stride - 1;
    const int64_t embargo = CI_MAX(1, overlap), n = c->n_graph;
    int64_t next = -1, last = -embargo - 1; /* the validation windows around w */

    for (int64_t w = 0; w < n; w++) {
        const int64_t g = c->first_graph + w;

        if (validates(w, n, conf)) {
            last = w;
            put(st, g, true, s);
            continue;
        }
        if (next < w) /* look ahead once a block, not once a window */
            for (next = w + 1; next < n && !validates(next, n, conf); next++) continue;
        if (w - last <= embargo || (next < n && next - w <= embargo)) s->n_embargo++;
        else put(st, g, false, s);
    }
}

/* Rows shared by a training and a validation window: both lists ascend, so neighbours suffice. */
static ci_rc audit_rows(const ci_store *st, const ci_split *s)
{
    ci_rc rc = CI_OK;
    int64_t v = 0;

    for (int64_t t = 0; t < s->n_train; t++) {
        const int64_t g = s->train[t];
        while (v < s->n_valid && s->valid[v] < g) v++;
        for (int64_t k = CI_MAX(v - 1, 0); k < CI_MIN(v + 1, s->n_valid); k++) {
            const int64_t h = s->valid[k];
            if (st->graph_capture[g] == st->graph_capture[h] &&
                llabs(st->graph_row[g] - st->graph_row[h]) < ci_feature_rows(st->set, st->head.frames, st->head.compat))
                CI_FAIL(CI_ECONF, "split: windows at rows %lld (training) and %lld (validation) of %s overlap",
                        (long long)st->graph_row[g], (long long)st->graph_row[h],
                        st->head.capture[st->graph_capture[g]].path);
        }
    }
done:
    return rc;
}

static ci_rc audit_files(const ci_store *st, bool allow, bool *out_leaky)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &st->head;

    for (int32_t i = 0; i < h->n_capture; i++) {
        if (!trains(st, i)) continue;
        for (int32_t k = 0; k < h->n_capture; k++) {
            if (trains(st, k)) continue;
            if (strcmp(h->capture[i].hash, h->capture[k].hash) != 0) continue;
            *out_leaky = true;
            if (!allow)
                CI_FAIL(CI_ECONF, "leak: %s (training) and %s (test) have the same content; take one out of "
                        "data.train or data.test (split.allow_leak: reference goes on and stamps the results)",
                        h->capture[i].path, h->capture[k].path);
        }
    }
done:
    return rc;
}

/* Permuted positions of the training windows: the first ones validate. */
static ci_rc random_split(const ci_store *st, const ci_split_conf *conf, ci_split *s)
{
    ci_rc rc = CI_OK;
    int32_t *order = NULL;
    uint8_t *validates = NULL;
    int64_t n = 0, n_valid;

    if (!conf->allow_leak)
        CI_FAIL(CI_ECONF, "split.mode: random puts neighbouring windows into training and validation, which leaks: "
                "split.mode: blocked, or split.allow_leak: reference, which goes on and stamps the results");
    for (int32_t i = 0; i < st->head.n_capture; i++)
        if (trains(st, i)) n += st->head.capture[i].n_graph;
    if (n > INT32_MAX) CI_FAIL(CI_ECONF, "%lld training windows, split.mode: random permutes at most %d", (long long)n, INT32_MAX);
    order = ci_new((size_t)n, sizeof *order);
    validates = ci_new((size_t)n, sizeof *validates);
    if (!order || !validates) CI_FAIL(CI_ENOMEM, "a split of %lld windows", (long long)n);
    ci_permutation(conf->seed, CI_RANDOM_SPLIT, 0, (int32_t)n, order);
    n_valid = (int64_t)(conf->share * (double)n);
    for (int64_t i = 0; i < n_valid; i++) validates[order[i]] = 1;
    n = 0;
    for (int32_t i = 0; i < st->head.n_capture; i++) {
        const ci_store_capture *c = &st->head.capture[i];
        for (int64_t g = c->first_graph; trains(st, i) && g < c->first_graph + c->n_graph; g++)
            put(st, g, validates[n++], s);
    }
    s->leaky = true;
done:
    free(order);
    free(validates);
    return rc;
}

static ci_rc classes_check(const char *what, int64_t n, int64_t n_attack, bool need_attacks)
{
    ci_rc rc = CI_OK;
    const bool benign = n_attack < n, attacks = n_attack > 0 || !need_attacks;

    if (!benign || !attacks)
        CI_FAIL(CI_EDATA, "%s has %lld windows, %lld of them attacks: %s are needed; add captures with %s to data.train, "
                "or try another train.seed or another split.*", what, (long long)n, (long long)n_attack,
                need_attacks ? "both classes" : "benign windows",
                benign ? "attacks" : attacks ? "benign traffic" : "windows of both");
done:
    return rc;
}

ci_rc ci_split_make(const ci_store *st, const ci_split_conf *conf, ci_split *out)
{
    ci_rc rc = CI_OK;
    ci_split s = {0};

    s.train = ci_new((size_t)st->head.n_graph, sizeof *s.train);
    s.valid = ci_new((size_t)st->head.n_graph, sizeof *s.valid);
    if (!s.train || !s.valid) CI_FAIL(CI_ENOMEM, "a split of %lld graphs", (long long)st->head.n_graph);
    if (conf->random) {
        CI_TRY(random_split(st, conf, &s));
    } else {
        for (int32_t i = 0; i < st->head.n_capture; i++)
            if (trains(st, i)) capture_split(st, &st->head.capture[i], conf, &s);
        CI_TRY(audit_rows(st, &s));
    }
    CI_TRY(audit_files(st, conf->allow_leak, &s.leaky));
    CI_TRY(classes_check("training", s.n_train, s.n_train_attack, conf->need_attacks));
    CI_TRY(classes_check("validation", s.n_valid, s.n_valid_attack, conf->need_attacks));
    *out = s;
    s = (ci_split){0};
done:
    ci_split_release(&s);
    return rc;
}

void ci_split_release(ci_split *s)
{
    if (!s) return;
    free(s->train);
    free(s->valid);
    *s = (ci_split){0};
}
