/* Attacks into traffic that is there already: detection.md, section 6. */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/types.h"
#include "sim_priv.h"

enum { MS = 1000000, FRAME_NS = 220000, OFTEN = 10, STREAM_MIX = 1 << 26 };

typedef struct mix {
    dice dice;
    ci_sim_frame *own;        /* (n_own) genuine frames, times never going back; owned */
    size_t n_own;
    ci_sim_frames added;      /* the attacker's */
    uint32_t *id;             /* (n_id) identifiers ascending; owned */
    size_t *count, n_id;      /* (n_id) frames of each; owned */
    int64_t rate;             /* frames a second */
} mix;

static ci_rc add(mix *m, int64_t t_ns, uint32_t id, uint64_t data, int len)
{
    ci_rc rc = CI_OK;
    void *p = m->added.v;

    CI_TRY(ci_grow(&p, &m->added.cap, m->added.n + 1, sizeof *m->added.v));
    m->added.v = p;
    m->added.v[m->added.n++] = (ci_sim_frame){.t_ns = t_ns, .id = id, .len = (uint8_t)len, .attack = 1,
                                              .data = len < 8 ? data & (((uint64_t)1 << 8 * len) - 1) : data};
done:
    return rc;
}

static uint64_t word64(dice *d)
{
    const uint64_t high = ci_sim_word(d);

    return high << 32 | ci_sim_word(d);
}

/* From low on, so many 256ths of an octave wide: uniform in the logarithm, straight within an octave. */
static int64_t log_uniform(dice *d, int64_t low, uint32_t octaves_256)
{
    const uint32_t x = ci_sim_below(d, octaves_256);

    return low * (256 + (x & 255)) << (x >> 8) >> 8;
}

/* About 1/rate, give or take a twentieth. */
static int64_t gap_ns(dice *d, int64_t rate)
{
    const int64_t ns = 1000000000 / CI_MAX(rate, 1);

    return ns - ns / 20 + (int64_t)(word64(d) % (uint64_t)(ns / 10 + 1));
}

static int by_id(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static ci_rc ids_count(mix *m)
{
    ci_rc rc = CI_OK;

    m->id = ci_new(m->n_own, sizeof *m->id);
    m->count = ci_new(m->n_own, sizeof *m->count);
    if (!m->id || !m->count) CI_FAIL(CI_ENOMEM, "%zu identifiers", m->n_own);
    for (size_t i = 0; i < m->n_own; i++) m->id[i] = m->own[i].id;
    qsort(m->id, m->n_own, sizeof *m->id, by_id);
    for (size_t i = 0; i < m->n_own; i++) {
        if (m->n_id && m->id[m->n_id - 1] == m->id[i]) m->count[m->n_id - 1]++;
        else m->id[m->n_id] = m->id[i], m->count[m->n_id++] = 1;
    }
done:
    return rc;
}

static ci_rc mix_start(mix *m, const ci_sim_frame *in, size_t n)
{
    ci_rc rc = CI_OK;

    m->own = ci_new(n, sizeof *m->own);
    if (!m->own) CI_FAIL(CI_ENOMEM, "%zu frames", n);
    m->n_own = n;
    for (size_t i = 0; i < n; i++) {
        m->own[i] = in[i];
        m->own[i].attack = 0;
        if (i && m->own[i].t_ns < m->own[i - 1].t_ns) m->own[i].t_ns = m->own[i - 1].t_ns;
    }
    m->rate = (int64_t)n * 1000 / CI_MAX((m->own[n - 1].t_ns - m->own[0].t_ns) / MS, 1);
    CI_TRY(ids_count(m));
done:
    return rc;
}

/* The first genuine frame at t_ns or later. */
static size_t first_at(const mix *m, int64_t t_ns)
{
    size_t low = 0, high = m->n_own;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (m->own[mid].t_ns < t_ns) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* One of the identifiers that are sent often; any, when none is. */
static uint32_t own_id(mix *m)
{
    size_t often = 0, k;

    for (size_t i = 0; i < m->n_id; i++) often += m->count[i] >= OFTEN;
    k = ci_sim_below(&m->dice, (uint32_t)(often ? often : m->n_id));
    for (size_t i = 0; i < m->n_id; i++)
        if ((!often || m->count[i] >= OFTEN) && k-- == 0) return m->id[i];
    return m->id[0];
}

/* The last frame of an identifier before position i, else its first one. */
static const ci_sim_frame *last_before(const mix *m, uint32_t id, size_t i)
{
    for (size_t k = i; k-- > 0;)
        if (m->own[k].id == id) return &m->own[k];
    for (size_t k = i; k < m->n_own; k++)
        if (m->own[k].id == id) return &m->own[k];
    return m->own;
}

/* ---- payloads of a forged identifier */

typedef struct forger {
    uint32_t id;
    enum { FORGED_RANDOM, FORGED_CONSTANT, FORGED_REPLAYED, FORGED_ALTERED } how;
    size_t before; /* where the burst begins */
    uint64_t constant;
} forger;

static forger forger_draw(mix *m, size_t before)
{
    return (forger){.id = own_id(m), .how = ci_sim_below(&m->dice, 4), .before = before, .constant = word64(&m->dice)};
}

/* \param [in] at  position of the genuine frames by now */
static uint64_t forge(mix *m, const forger *f, size_t at, int *out_len)
{
    const ci_sim_frame *last = last_before(m, f->id, at);
    uint64_t data = last->data;

    *out_len = last->len;
    switch (f->how) {
    case FORGED_RANDOM: return word64(&m->dice);
    case FORGED_CONSTANT: return f->constant;
    case FORGED_REPLAYED: return last_before(m, f->id, ci_sim_below(&m->dice, (uint32_t)f->before + 1))->data;
    default:
        for (uint32_t k = 1 + ci_sim_below(&m->dice, 4); k && last->len; k--)
            data ^= (uint64_t)1 << ci_sim_below(&m->dice, 8 * (uint32_t)last->len);
        return data;
    }
}

/* ---- bursts, each from t to end */

/* Of 11 bits even where all identifiers have 29. */
static uint32_t unused_low(mix *m)
{
    const uint32_t most = CI_MIN(CI_MAX(16, m->id[0]), SLOT_MAX);

    for (int k = 0; k < 64; k++) {
        const uint32_t id = 1 + ci_sim_below(&m->dice, most);

        if (!bsearch(&id, m->id, m->n_id, sizeof id, by_id)) return id;
    }
    return 0;
}

static ci_rc flood(mix *m, int64_t t, int64_t end)
{
    ci_rc rc = CI_OK;
    const uint32_t choice = ci_sim_below(&m->dice, 3);
    const uint32_t own = m->id[ci_sim_below(&m->dice, (uint32_t)CI_MIN(m->n_id, 5))];
    const uint32_t id = choice == 0 ? 0 : choice == 1 ? unused_low(m) : own;
    const uint64_t data = ci_sim_below(&m->dice, 2) ? word64(&m->dice) : 0;
    const int64_t rate = m->rate * ci_sim_between(&m->dice, 30, 180) / 100;

    for (; t < end; t += gap_ns(&m->dice, rate)) CI_TRY(add(m, t, id, data, 8));
done:
    return rc;
}

static ci_rc fuzz(mix *m, int64_t t, int64_t end)
{
    ci_rc rc = CI_OK;
    const bool sweep = ci_sim_below(&m->dice, 2), zero = ci_sim_below(&m->dice, 2), any_len = ci_sim_below(&m->dice, 2);
    const int64_t rate = log_uniform(&m->dice, 4, 2106); /* to 1200 */
    uint32_t id = ci_sim_below(&m->dice, 0x800);

    for (; t < end; t += gap_ns(&m->dice, rate)) {
        const uint64_t data = zero ? 0 : word64(&m->dice);

        id = sweep ? (id + 1) & 0x7FF : ci_sim_below(&m->dice, 0x800);
        CI_TRY(add(m, t, id, data, any_len ? (int)ci_sim_below(&m->dice, 9) : 8));
    }
done:
    return rc;
}

static ci_rc spoof_after(mix *m, const forger *f, int64_t t, int64_t end)
{
    ci_rc rc = CI_OK;

    for (size_t i = first_at(m, t); i < m->n_own && m->own[i].t_ns < end; i++) {
        int len;
        uint64_t data;

        if (m->own[i].id != f->id) continue;
        data = forge(m, f, i + 1, &len);
        CI_TRY(add(m, m->own[i].t_ns + ci_sim_between(&m->dice, MS / 5, 3 * MS), f->id, data, len));
    }
done:
    return rc;
}

static ci_rc spoof_one(mix *m, int64_t t, int64_t end)
{
    ci_rc rc = CI_OK;
    const forger f = forger_draw(m, first_at(m, t));
    const bool after = ci_sim_below(&m->dice, 2);
    const int64_t rate = log_uniform(&m->dice, 8, 1783); /* to 1000 */

    if (after) return spoof_after(m, &f, t, end);
    for (; t < end; t += gap_ns(&m->dice, rate)) {
        int len;
        const uint64_t data = forge(m, &f, first_at(m, t), &len);

        CI_TRY(add(m, t, f.id, data, len));
    }
done:
    return rc;
}

static ci_rc spoof(mix *m, int64_t t, int64_t end)
{
    const uint32_t two = ci_sim_below(&m->dice, 2);
    ci_rc rc = spoof_one(m, t, end);

    if (rc == CI_OK && two) rc = spoof_one(m, t, end);
    return rc;
}

static ci_rc replay(mix *m, int64_t t, int64_t end)
{
    ci_rc rc = CI_OK;
    const int64_t window = CI_MIN(end - t, ci_sim_between(&m->dice, 300, 1500) * MS);

    for (size_t i = first_at(m, t - window); i < m->n_own && m->own[i].t_ns < t; i++)
        CI_TRY(add(m, m->own[i].t_ns + window, m->own[i].id, m->own[i].data, m->own[i].len));
done:
    return rc;
}

static void masquerade(mix *m, int64_t t, int64_t end)
{
    const forger f = forger_draw(m, first_at(m, t));

    for (size_t i = first_at(m, t); i < m->n_own && m->own[i].t_ns < end; i++) {
        ci_sim_frame *x = &m->own[i];
        int len;
        uint64_t data;

        if (x->id != f.id) continue;
        data = forge(m, &f, f.how == FORGED_ALTERED ? i + 1 : f.before, &len);
        x->data = x->len < 8 ? data & (((uint64_t)1 << 8 * x->len) - 1) : data;
        x->attack = 1;
    }
}

static ci_rc burst(mix *m, int64_t t, int64_t end)
{
    switch (ci_sim_below(&m->dice, 6)) {
    case 0: return flood(m, t, end);
    case 1: return fuzz(m, t, end);
    case 2: case 3: return spoof(m, t, end);
    case 4: return replay(m, t, end);
    default: masquerade(m, t, end); return CI_OK;
    }
}

/* ---- one bus for both */

static int by_time(const void *a, const void *b)
{
    const int64_t x = ((const ci_sim_frame *)a)->t_ns, y = ((const ci_sim_frame *)b)->t_ns;

    return (x > y) - (x < y);
}

/* The attacker's frames of overlapping loops are put in order; equal times can only come from equal
   bursts, and then order is that of drawing: by position. */
static void added_sort(mix *m)
{
    for (size_t i = 1; i < m->added.n; i++)
        if (by_time(&m->added.v[i - 1], &m->added.v[i]) > 0) {
            const ci_sim_frame x = m->added.v[i];
            size_t k = i;

            for (; k && m->added.v[k - 1].t_ns > x.t_ns; k--) m->added.v[k] = m->added.v[k - 1];
            m->added.v[k] = x;
        }
}

static ci_rc serialise(const mix *m, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    const size_t n = m->n_own + m->added.n;
    size_t i = 0, k = 0;
    void *p = out->v;

    CI_TRY(ci_grow(&p, &out->cap, n, sizeof *out->v));
    out->v = p;
    for (out->n = 0; out->n < n; out->n++) {
        const bool own = k == m->added.n || (i < m->n_own && m->own[i].t_ns <= m->added.v[k].t_ns);

        out->v[out->n] = own ? m->own[i++] : m->added.v[k++];
        if (out->n) out->v[out->n].t_ns = CI_MAX(out->v[out->n].t_ns, out->v[out->n - 1].t_ns + FRAME_NS);
    }
done:
    return rc;
}

ci_rc ci_sim_mix(uint32_t seed, int32_t base, int32_t copy, const ci_sim_frame *in, size_t n, ci_sim_frames *out)
{
    ci_rc rc = CI_OK;
    mix m = {.dice = {.key = {seed, (uint32_t)base, (uint32_t)copy}, .stream = STREAM_MIX}};
    int64_t t, end;

    out->n = 0;
    if (n == 0) return CI_OK;
    CI_TRY(mix_start(&m, in, n));
    t = m.own[0].t_ns + ci_sim_between(&m.dice, 11000, 15000) * MS;
    while (t < m.own[n - 1].t_ns) {
        end = CI_MIN(t + ci_sim_between(&m.dice, 800, 4000) * MS, m.own[n - 1].t_ns);
        CI_TRY(burst(&m, t, end));
        t = end + ci_sim_between(&m.dice, 800, 4000) * MS;
    }
    added_sort(&m);
    CI_TRY(serialise(&m, out));
done:
    free(m.own);
    free(m.id);
    free(m.count);
    free(m.added.v);
    return rc;
}
