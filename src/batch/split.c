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

enum { TEST = 1, INJECTED = 2 };

/* A split under way: which captures are learned from. */
struct making {
    const ci_store *st;
    const ci_split_conf *how;
    ci_folds folds;
    bool *learned; /* (captures); owned */
};

static int32_t role_of(const ci_store *st, int32_t capture) { return st->head.folder[st->head.capture[capture].folder].role; }

static bool left_out(const struct making *m, int32_t capture)
{
    const ci_conf *c = m->how->conf;

    return c && c->split.fold >= 0 && m->folds.of[capture] == c->split.fold;
}

static ci_rc learned_find(struct making *m, ci_split *s)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &m->st->head;
    const ci_conf *c = m->how->conf;
    const bool injected = !c || strcmp(c->train.injected, "with") == 0;

    m->learned = ci_new((size_t)h->n_capture, sizeof *m->learned);
    if (!m->learned) CI_FAIL(CI_ENOMEM, "a split of %d captures", h->n_capture);
    if (c) CI_TRY(ci_folds_find(m->st, c, &m->folds));
    if (c && c->split.fold >= m->folds.n && c->split.fold >= 0)
        CI_FAIL(CI_ECONF, "split.fold: %d, and split.folds: %s gives %d; write 0 to %d, or -1", c->split.fold, c->split.folds, m->folds.n,
                m->folds.n - 1);
    for (int32_t i = 0; i < h->n_capture; i++) {
        const int32_t role = role_of(m->st, i);

        m->learned[i] = role != TEST && (injected || role != INJECTED) && !left_out(m, i);
        if (role != TEST && !m->learned[i]) s->n_out += h->capture[i].n_graph;
    }
done:
    return rc;
}

static void put(const ci_store *st, int64_t g, bool valid, ci_split *s)
{
    if (!ci_store_warm(st, g)) {
        s->n_cold++;
    } else if (valid) {
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

static ci_rc audit_files(const struct making *m, bool *out_leaky)
{
    ci_rc rc = CI_OK;
    const ci_store_head *h = &m->st->head;

    for (int32_t i = 0; i < h->n_capture; i++) {
        if (!m->learned[i]) continue;
        for (int32_t k = 0; k < h->n_capture; k++) {
            const bool test = role_of(m->st, k) == TEST;
            if (!test && !left_out(m, k)) continue;
            if (strcmp(h->capture[i].hash, h->capture[k].hash) != 0) continue;
            *out_leaky = true;
            if (!m->how->allow_leak)
                CI_FAIL(CI_ECONF, "leak: %s (training) and %s (%s) have the same content; take one out of "
                        "data.train%s (split.allow_leak: reference goes on and stamps the results)",
                        h->capture[i].path, h->capture[k].path, test ? "test" : "left out with a fold", test ? " or data.test" : "");
        }
    }
done:
    return rc;
}

/* Permuted positions of the training windows: the first ones validate. */
static ci_rc random_split(const struct making *m, ci_split *s)
{
    ci_rc rc = CI_OK;
    const ci_store *st = m->st;
    const ci_split_conf *conf = m->how;
    int32_t *order = NULL;
    uint8_t *validates = NULL;
    int64_t n = 0, n_valid;

    if (!conf->allow_leak)
        CI_FAIL(CI_ECONF, "split.mode: random puts neighbouring windows into training and validation, which leaks: "
                "split.mode: blocked, or split.allow_leak: reference, which goes on and stamps the results");
    for (int32_t i = 0; i < st->head.n_capture; i++)
        if (m->learned[i]) n += st->head.capture[i].n_graph;
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
        for (int64_t g = c->first_graph; m->learned[i] && g < c->first_graph + c->n_graph; g++)
            put(st, g, validates[n++], s);
    }
    s->leaky = true;
done:
    free(order);
    free(validates);
    return rc;
}

static ci_rc classes_check(const struct making *m, const char *what, int64_t n, int64_t n_attack)
{
    ci_rc rc = CI_OK;
    const bool need_attacks = m->how->need_attacks, benign = n_attack < n, attacks = n_attack > 0 || !need_attacks;
    const int32_t fold = m->how->conf ? m->how->conf->split.fold : -1;

    if (!benign || !attacks)
        CI_FAIL(CI_EDATA, "%s%s%.64s%s has %lld windows, %lld of them attacks: %s are needed; add captures with %s to data.train, "
                "or try another train.seed or another split.*", what, fold < 0 ? "" : " without fold ", fold < 0 ? "" : m->folds.name[fold],
                fold < 0 ? "" : ",", (long long)n, (long long)n_attack,
                need_attacks ? "both classes" : "benign windows",
                benign ? "attacks" : attacks ? "benign traffic" : "windows of both");
done:
    return rc;
}

ci_rc ci_split_make(const ci_store *st, const ci_split_conf *conf, ci_split *out)
{
    ci_rc rc = CI_OK;
    ci_split s = {0};
    struct making m = {.st = st, .how = conf};

    CI_TRY(learned_find(&m, &s));
    s.train = ci_new((size_t)st->head.n_graph, sizeof *s.train);
    s.valid = ci_new((size_t)st->head.n_graph, sizeof *s.valid);
    if (!s.train || !s.valid) CI_FAIL(CI_ENOMEM, "a split of %lld graphs", (long long)st->head.n_graph);
    if (conf->random) {
        CI_TRY(random_split(&m, &s));
    } else {
        for (int32_t i = 0; i < st->head.n_capture; i++)
            if (m.learned[i]) capture_split(st, &st->head.capture[i], conf, &s);
        CI_TRY(audit_rows(st, &s));
    }
    CI_TRY(audit_files(&m, &s.leaky));
    CI_TRY(classes_check(&m, "training", s.n_train, s.n_train_attack));
    CI_TRY(classes_check(&m, "validation", s.n_valid, s.n_valid_attack));
    *out = s;
    s = (ci_split){0};
done:
    ci_folds_release(&m.folds);
    free(m.learned);
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
