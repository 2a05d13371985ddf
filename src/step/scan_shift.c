/* Labels that belong to neighbouring rows.
 *
 * A table that was joined or cut one row off has labels that no longer stand beside the frames they
 * speak of.  Attack frames mostly differ from the others by their identifier, or by identifier and
 * payload.  So: call each kind of frame attack or benign as most of its labels have it, and count
 * the labels that contradict; do this with the labels moved by up to 8 rows both ways.  Labels that
 * fit their own rows contradict little; labels that fit others much better have moved. */
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "scan_priv.h"

enum {
    MOST = 8,          /* rows that labels are moved by                                      */
    LOOK = 65536,      /* rows that are looked at                                            */
    SLOTS = 131072,    /* of the table of kinds of frames: a power of two, twice the rows    */
    RARE = 8,          /* fewer rows are no kind of their own                                */
    ATTACKS = 100      /* fewer attack rows say nothing                                      */
};

/* Kinds of frames by number, 0 the rare ones together, for n rows; how many kinds. */
static int32_t kinds_number(const uint64_t *key, int32_t n, uint64_t *slot, int32_t *count,
                            int32_t *out)
{
    int32_t next = 1;

    memset(count, 0, SLOTS * sizeof *count);
    for (int32_t i = 0; i < n; i++) {
        size_t at = (size_t)((key[i] * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (SLOTS - 1);
        while (count[at] && slot[at] != key[i]) at = (at + 1) & (SLOTS - 1);
        slot[at] = key[i];
        count[at]++;
        out[i] = (int32_t)at;
    }
    for (int32_t i = 0; i < SLOTS; i++) count[i] = count[i] >= RARE ? next++ : 0;
    for (int32_t i = 0; i < n; i++) out[i] = count[out[i]];
    return next;
}

/* Labels that contradict the frames `by` rows above them. */
static int64_t wrong_of(const int32_t *kind, const uint8_t *label, int32_t n, int by,
                        int32_t n_kind, int32_t (*tally)[2])
{
    int64_t wrong = 0;

    memset(tally, 0, (size_t)n_kind * sizeof *tally);
    for (int32_t i = MOST; i < n - MOST; i++) tally[kind[i - by]][label[i]]++;
    for (int32_t k = 0; k < n_kind; k++) wrong += CI_MIN(tally[k][0], tally[k][1]);
    return wrong;
}

struct room {
    uint64_t *key, *slot;
    int32_t *count, *kind;
    int32_t (*tally)[2];
};

static ci_rc room_init(struct room *r)
{
    ci_rc rc = CI_OK;

    *r = (struct room){ci_new(LOOK, sizeof *r->key), ci_new(SLOTS, sizeof *r->slot),
                       ci_new(SLOTS, sizeof *r->count), ci_new(LOOK, sizeof *r->kind),
                       ci_new(LOOK, sizeof *r->tally)};
    if (!r->key || !r->slot || !r->count || !r->kind || !r->tally)
        CI_FAIL(CI_ENOMEM, "no memory to look at %d rows", LOOK);
done:
    return rc;
}

static void room_release(struct room *r)
{
    free(r->key);
    free(r->slot);
    free(r->count);
    free(r->kind);
    free(r->tally);
}

/* A shift is found where labels contradict at least a tenth of the attacks, and moved a fourth of
 * that at most and at most a twentieth of the attacks. */
static void look(const struct room *r, int32_t n, const uint8_t *label, int by_payload,
                 ci_shift *out)
{
    const int32_t n_kind = kinds_number(r->key, n, r->slot, r->count, r->kind);
    const int64_t wrong = wrong_of(r->kind, label, n, 0, n_kind, r->tally);
    int64_t least = wrong;
    int at = 0;

    for (int by = 1; by <= MOST; by++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const int64_t now = wrong_of(r->kind, label, n, sign * by, n_kind, r->tally);
            if (now < least) least = now, at = sign * by;
        }
    if (10 * wrong < out->attacks || 4 * least > wrong || 20 * least > out->attacks) return;
    if (out->rows && least >= out->wrong_shifted) return;
    out->rows = at;
    out->by_payload = by_payload;
    out->wrong = wrong;
    out->wrong_shifted = least;
}

static ci_rc capture_look(ci_scan_state *s, ci_loader *loader, struct room *r, ci_table *t,
                          ci_shift *out)
{
    ci_rc rc = CI_OK;
    const ci_capture *c = &s->plan.capture[out->capture];
    const int64_t from = CI_MAX(0, c->count.first_attack - MOST);
    int32_t b = c->first_block, n;
    ci_lid at;

    while (s->plan.block[b].first_row + s->plan.block[b].rows <= from) b++;
    CI_TRY(ci_table_load(loader, &s->plan, b, LOOK, t));
    at = (ci_lid)(from - t->first_row);
    n = CI_MIN(t->n - at, LOOK);
    for (int32_t i = MOST; i < n - MOST; i++) out->attacks += t->attack[at + i];
    if (out->attacks < ATTACKS) goto done;
    for (int32_t i = 0; i < n; i++) r->key[i] = t->id[at + i];
    look(r, n, t->attack + at, 0, out);
    for (int32_t i = 0; i < n; i++) {
        r->key[i] ^= t->data[at + i] * UINT64_C(0xff51afd7ed558ccd) + t->len[at + i];
        r->key[i] ^= r->key[i] >> 33;
    }
    look(r, n, t->attack + at, 1, out);
done:
    return rc;
}

/* Captures are shared out in turn. */
static ci_rc captures_look(ci_scan_state *s, ci_shift *mine, size_t *out_n)
{
    ci_rc rc = CI_OK;
    struct room r = {0};
    ci_loader *loader = NULL;
    ci_table t = {0};
    size_t n = 0, turn = 0;

    CI_TRY(room_init(&r));
    CI_TRY(ci_loader_create(&s->contract, &loader));
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        if (!ci_capture_used(c) || c->count.attack_rows == 0) continue;
        if (turn++ % (size_t)s->comm->size != (size_t)s->comm->rank) continue;
        CI_TRY(ci_scan_interrupted());
        mine[n] = (ci_shift){.capture = i};
        CI_TRY(capture_look(s, loader, &r, &t, &mine[n]));
        n++;
    }
    *out_n = n;
done:
    room_release(&r);
    ci_loader_destroy(&loader);
    ci_table_release(&t);
    return rc;
}

static int by_capture(const void *a, const void *b)
{
    const ci_shift *x = a, *y = b;

    return (x->capture > y->capture) - (x->capture < y->capture);
}

ci_rc ci_scan_shift(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_shift *mine = ci_new((size_t)s->plan.n_capture, sizeof *mine);
    size_t n = 0, bytes = 0;

    CI_TRY_ALL(s->comm, "scan.shift.look", mine ? captures_look(s, mine, &n)
                                                : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "no memory"));
    CI_TRY(ci_comm_gather(s->comm, "scan.shift.gather", mine, n * sizeof *mine, (void **)&s->shift, &bytes, NULL));
    s->n_shift = bytes / sizeof *s->shift;
    if (s->n_shift) qsort(s->shift, s->n_shift, sizeof *s->shift, by_capture);
done:
    free(mine);
    return rc;
}
