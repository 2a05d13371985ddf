/* Which windows train, which validate, and the proof that they share nothing. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/split.h"

/* Whether the window, given as position in its capture, lies in a validation block. */
static bool validates(int64_t window, int64_t n, int32_t blocks, int32_t every, uint32_t seed)
{
    int64_t b = window * blocks / n; /* near the block; step to the one whose range holds it */

    while (b > 0 && window < ci_part(n, b, blocks)) b--;
    while (b + 1 < blocks && window >= ci_part(n, b + 1, blocks)) b++;
    return (b + every - (int64_t)(seed % (uint32_t)every)) % every == 0;
}

static void capture_split(const ci_store *st, const ci_store_capture *c, int32_t blocks,
                          int32_t every, uint32_t seed, ci_split *s)
{
    const int64_t rows = ci_feature_rows(st->set, st->head.frames, st->head.compat);
    const int64_t overlap = (rows + st->head.stride - 1) / st->head.stride - 1;
    const int64_t embargo = CI_MAX(1, overlap), n = c->n_graph;
    int64_t next = -1, last = -embargo - 1; /* the validation windows around w */

    for (int64_t w = 0; w < n; w++) {
        const int64_t g = c->first_graph + w;
        const int attack = st->graph_label[g];

        if (validates(w, n, blocks, every, seed)) {
            last = w;
            s->valid[s->n_valid++] = g;
            s->n_valid_attack += attack;
            continue;
        }
        if (next < w) /* look ahead once a block, not once a window */
            for (next = w + 1; next < n && !validates(next, n, blocks, every, seed); next++) continue;
        if (w - last <= embargo || (next < n && next - w <= embargo)) {
            s->n_embargo++;
        } else {
            s->train[s->n_train++] = g;
            s->n_train_attack += attack;
        }
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
        if (h->folder[h->capture[i].folder].role != 0) continue;
        for (int32_t k = 0; k < h->n_capture; k++) {
            if (h->folder[h->capture[k].folder].role == 0) continue;
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

static ci_rc both_classes(const char *what, int64_t n, int64_t n_attack)
{
    ci_rc rc = CI_OK;

    if (n_attack == 0 || n_attack == n)
        CI_FAIL(CI_EDATA, "%s has %lld windows, %lld of them attacks: both classes are needed; more captures, "
                "or another train.seed, split.blocks or split.every", what, (long long)n, (long long)n_attack);
done:
    return rc;
}

ci_rc ci_split_make(const ci_store *st, int32_t blocks, int32_t every, uint32_t seed,
                    bool allow_leak, ci_split *out)
{
    ci_rc rc = CI_OK;
    ci_split s = {0};

    s.train = ci_new((size_t)st->head.n_graph, sizeof *s.train);
    s.valid = ci_new((size_t)st->head.n_graph, sizeof *s.valid);
    if (!s.train || !s.valid) CI_FAIL(CI_ENOMEM, "a split of %lld graphs", (long long)st->head.n_graph);
    for (int32_t i = 0; i < st->head.n_capture; i++) {
        const ci_store_capture *c = &st->head.capture[i];
        if (st->head.folder[c->folder].role == 0) capture_split(st, c, blocks, every, seed, &s);
    }
    CI_TRY(audit_rows(st, &s));
    CI_TRY(audit_files(st, allow_leak, &s.leaky));
    CI_TRY(both_classes("training", s.n_train, s.n_train_attack));
    CI_TRY(both_classes("validation", s.n_valid, s.n_valid_attack));
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

int64_t ci_shards_cut(const ci_store *st, const int64_t *graph, int64_t n, int32_t rows,
                      int64_t *first, int64_t *out_bad)
{
    const int64_t most = CI_SHARD_GRAPHS(rows);
    int64_t n_shard = 0, used = 0;

    for (int64_t i = 0; i < n; i++) {
        const int64_t nodes = st->graph_node[graph[i] + 1] - st->graph_node[graph[i]];
        if (nodes > rows) {
            *out_bad = i;
            return -1;
        }
        if (i == 0 || used + nodes > rows || i - first[n_shard - 1] == most) {
            first[n_shard++] = i;
            used = 0;
        }
        used += nodes;
    }
    first[n_shard] = n;
    return n_shard;
}
