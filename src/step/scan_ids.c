#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "scan_priv.h"

static int32_t role_of(const ci_plan *p, int32_t capture) { return p->folder[p->capture[capture].folder].role; }

static bool is_used(const ci_plan *p, int32_t capture) { return ci_capture_used(&p->capture[capture]); }

/* This rank's identifiers that belong into the vocabulary. */
static ci_rc vocab_mine(const ci_scan_state *s, uint32_t **out, ci_lid *out_n)
{
    ci_rc rc = CI_OK;
    const uint32_t needed = strcmp(s->conf->vocab.scope, "benign") == 0 ? CI_SEEN_BENIGN : CI_SEEN;
    uint32_t *id = ci_new(s->seen.n_done, sizeof *id);
    size_t n = 0;

    if (!id) CI_FAIL(CI_ENOMEM, "no memory for %zu identifiers", s->seen.n_done);
    for (size_t i = 0; i < s->seen.n_done; i++) {
        const ci_seen *e = &s->seen.done[i];
        if (role_of(&s->plan, e->capture) == CI_TRAIN && is_used(&s->plan, e->capture)
            && (e->flags & needed))
            id[n++] = e->id;
    }
    *out_n = (ci_lid)ci_ids_unique(id, n);
    *out = id;
    id = NULL;
done:
    free(id);
    return rc;
}

/* Ascending identifiers of the used captures of one role, or of all when role is negative. */
static ci_rc ids_of(const ci_scan_state *s, int role, uint32_t **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    uint32_t *id = ci_new(s->n_all, sizeof *id);
    size_t n = 0;

    if (!id) CI_FAIL(CI_ENOMEM, "no memory for %zu identifiers", s->n_all);
    for (size_t i = 0; i < s->n_all; i++) {
        const ci_seen *e = &s->all[i];
        if (is_used(&s->plan, e->capture)
            && (role < 0 || role_of(&s->plan, e->capture) == role))
            id[n++] = e->id;
    }
    *out_n = ci_ids_unique(id, n);
    *out = id;
    id = NULL;
done:
    free(id);
    return rc;
}

/* What of a is not in b, both ascending; in place.  Returns how many are left. */
static size_t ids_without(uint32_t *a, size_t n, const uint32_t *b, size_t n_b)
{
    size_t m = 0;

    for (size_t i = 0, k = 0; i < n; i++) {
        while (k < n_b && b[k] < a[i]) k++;
        if (k == n_b || b[k] != a[i]) a[m++] = a[i];
    }
    return m;
}

/* On rank 0, from what all ranks saw. */
static ci_rc ids_summarise(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    uint32_t *train = NULL;
    size_t n_train = 0, n = 0;

    s->n_all = ci_seen_merge(s->all, s->n_all);
    for (size_t i = 0; i < s->n_all; i++) s->plan.capture[s->all[i].capture].n_id++;
    CI_TRY(ids_of(s, -1, &s->plan.id, &n));
    s->plan.n_id = (int32_t)n;
    CI_TRY(ids_of(s, CI_TRAIN, &train, &n_train));
    CI_TRY(ids_of(s, CI_TEST, &s->test_only, &s->n_test_only));
    s->n_test_only = ids_without(s->test_only, s->n_test_only, train, n_train);
    s->n_recorded = n_train + s->n_test_only;
done:
    free(train);
    return rc;
}

static ci_rc vocab_keep(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    const uint32_t *id = ci_vocab_ids(s->vocab, &s->plan.n_vocab);
    const size_t bytes = (size_t)s->plan.n_vocab * sizeof *id;

    s->plan.vocab = ci_new(bytes, 1);
    if (!s->plan.vocab) CI_FAIL(CI_ENOMEM, "no memory for %d identifiers", s->plan.n_vocab);
    if (bytes) memcpy(s->plan.vocab, id, bytes);
done:
    return rc;
}

ci_rc ci_scan_ids(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    uint32_t *mine = NULL;
    ci_lid n_mine = 0;
    size_t bytes = 0;

    CI_TRY_ALL(s->comm, "scan.ids.mine", vocab_mine(s, &mine, &n_mine));
    CI_TRY(ci_vocab_build(s->comm, mine, n_mine, &s->vocab));
    CI_TRY(ci_comm_gather(s->comm, "scan.ids.gather", s->seen.done,
                          s->seen.n_done * sizeof *s->seen.done, (void **)&s->all, &bytes, NULL));
    s->n_all = bytes / sizeof *s->all;
    CI_TRY_ALL(s->comm, "scan.ids.summary", s->comm->rank == 0 ? ids_summarise(s) : CI_OK);
    CI_TRY_ALL(s->comm, "scan.ids.vocab", s->comm->rank == 0 ? vocab_keep(s) : CI_OK);
done:
    free(mine);
    return rc;
}
