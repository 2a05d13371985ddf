/* Frames -> a profile.  A step is gone through twice: what each frame is to the one before it, then the counts, for
 * frames of a step are judged by what was known before it. */
#include "stream_priv.h"

static const struct known unknown = {.id = 0};

uint8_t ci_known_odd(const struct known *v, bool has_last, int64_t dt, uint64_t x, uint8_t len)
{
    if (v->n == 0) return v->trial < CI_STREAM_TRIAL ? NEW : FAIR;
    if (v->n >= 5 && !(v->lengths >> len & 1)) return EARLY;
    if (!has_last) return FAIR;
    /* log2 dt < q01 - 5/8, where no power of 2 is: whole sixteenths of an octave decide it */
    if (v->n_interval >= 5 && ci_bin16(dt) < 2 * v->at[0] - 9) return EARLY;
    return v->n_pair >= 20 && ci_bits(x & ~v->flipped) >= 3 ? BITS : FAIR;
}

static const uint8_t as_odd[] = {[FAIR] = NOT_ODD, [BITS] = ODD, [EARLY] = ODD_NOW, [NEW] = ODD};

/* What frame i is to the ones before it, which then are the last ones. */
static ci_rc follow(ci_profile *p, const struct frames *f, ci_lid i, bool judge, struct note *out, ci_lid *io_intruders)
{
    ci_rc rc = CI_OK;
    const struct seen now = {f->t_ns[i], f->data[i], f->len[i]};
    int32_t k = ci_profile_find(p, f->id[i]);

    if (k < 0) CI_TRY(ci_profile_keep(p, f->id[i], &k));
    struct known *const v = k < 0 ? NULL : &p->known[k];
    const bool has_last = v && v->n_last > 0;
    const int64_t dt = has_last ? now.t_ns - v->last[0].t_ns : 0;
    const uint64_t x = has_last ? now.data ^ v->last[0].data : 0;
    const uint8_t odd = judge ? ci_known_odd(v ? v : &unknown, has_last, dt, x, now.len) : FAIR;

    *out = (struct note){.x = x, .k = k, .u = -1, .odd = odd, .pair = has_last && v->last_odd != ODD, .pair_odd = has_last && v->last_odd == ODD_NOW,
                         .next = p->any && p->last_odd != ODD, .next_odd = p->any && p->last_odd == ODD_NOW};
    *io_intruders += odd == EARLY || odd == NEW;
    if (out->pair) out->bin = (uint8_t)ci_bin(dt);
    if (out->next) {
        out->gap = (uint8_t)ci_bin(now.t_ns - p->last_ns);
        out->u = p->last;
    }
    if (v) {
        v->last[1] = v->last[0];
        v->last[0] = now;
        v->n_last = (uint8_t)CI_MIN(v->n_last + 1, 2);
        v->last_odd = as_odd[odd];
    }
    if (!p->any) {
        p->any = true;
        p->first_ns = now.t_ns;
        p->first = k;
    }
    p->last_ns = now.t_ns;
    p->last = k;
    p->last_odd = as_odd[odd];
done:
    return rc;
}

static void bytes_count(struct known *v, uint64_t data, uint8_t len)
{
    typedef uint8_t eight __attribute__((vector_size(8)));
    const uint64_t beyond = len < 8 ? ~UINT64_C(0) << 8 * len : 0, low = data | beyond;
    eight a, b, least, most;

    memcpy(&a, &low, sizeof a);
    memcpy(&b, &data, sizeof b); /* 0 beyond its length */
    memcpy(&least, v->least, sizeof least);
    memcpy(&most, v->most, sizeof most);
    const eight less = (eight)(a < least), more = (eight)(b > most);
    least = (a & less) | (least & ~less);
    most = (b & more) | (most & ~more);
    memcpy(v->least, &least, sizeof least);
    memcpy(v->most, &most, sizeof most);
}

/* calm: an early frame is learned like any other, and a new identifier comes nearer to that. */
static void count(ci_profile *p, const struct frames *f, ci_lid i, const struct note *a, bool calm)
{
    const bool pair = a->pair && (calm || !a->pair_odd), next = a->next && (calm || !a->next_odd);

    if (a->odd == NEW && calm && a->k >= 0 && p->known[a->k].trial < CI_STREAM_TRIAL) p->known[a->k].trial++;
    if (a->odd == BITS || a->odd == NEW || (a->odd && !calm)) return;
    p->n++;
    if (next && calm) {
        p->n_gap++;
        p->gap[a->gap]++;
    }
    if (a->k < 0) {
        p->dropped++;
        return;
    }
    struct known *const v = &p->known[a->k];
    if (v->n++ == 0) v->first = (struct seen){f->t_ns[i], f->data[i], f->len[i]};
    v->lengths |= (uint16_t)(1u << f->len[i]);
    bytes_count(v, f->data[i], f->len[i]);
    if (next && a->u >= 0) p->follows[(size_t)a->u * (size_t)p->cap_id + (size_t)a->k]++;
    if (!pair) return;
    v->n_pair++;
    v->flipped |= a->x;
    for (uint64_t x = a->x; x; x &= x - 1) v->flips[__builtin_ctzll(x)]++;
    v->interval[a->bin]++;
    v->n_interval++;
    for (int j = 0; j < 3; j++) v->below[j] += a->bin < v->at[j];
    if (p->settled) ci_known_requantile(v);
}

/* The last frames of a step that is over. */
static void settle(ci_profile *p, const struct note *note, ci_lid n, bool calm)
{
    const uint8_t odd = calm ? NOT_ODD : ODD;

    for (ci_lid i = 0; i < n; i++)
        if (note[i].k >= 0 && p->known[note[i].k].last_odd == ODD_NOW) p->known[note[i].k].last_odd = odd;
    if (p->last_odd == ODD_NOW) p->last_odd = odd;
}

ci_rc ci_learn(ci_profile *p, enum learning how, const struct frames *f, ci_lid n, ci_lid judged, struct note *note, bool *out_odd, bool *out_calm)
{
    ci_rc rc = CI_OK;
    ci_lid intruders = 0;

    *out_odd = false;
    if (how == LEARN_GUARDED && judged < n && !p->settled) ci_profile_requantile(p);
    for (ci_lid i = 0; i < n; i++) {
        CI_TRY(follow(p, f, i, how == LEARN_GUARDED && i >= judged, &note[i], &intruders));
        *out_odd |= note[i].odd != FAIR;
    }
    *out_calm = intruders < CI_STREAM_INTRUDERS;
    for (ci_lid i = 0; i < n && how != FOLLOW; i++) count(p, f, i, &note[i], *out_calm);
    if (*out_odd) settle(p, note, n, *out_calm);
done:
    return rc;
}
