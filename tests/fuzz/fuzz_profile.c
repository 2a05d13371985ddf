#define _GNU_SOURCE /* memfd_create */
/** A profile from bytes: what is refused is refused, what is taken has these bytes again, and frames can be held against it
 *  without a number that is none.  Inputs of the first kind (first byte even) are the bytes; of the second, changes of a good
 *  profile: two bytes of place, one of value. */
#include "fuzz.h"

#include "ci/stream.h"

enum { FRAMES = 120, W = 20, S = 20 };

static ci_table frames;

static void frames_make(void)
{
    uint32_t r = 1;

    if (frames.n) return;
    MUST(ci_table_reserve(&frames, FRAMES) == CI_OK, "no memory");
    for (ci_lid i = 0; i < FRAMES; i++) {
        r = r * 1664525 + 1013904223;
        frames.t_ns[i] = 1000000 * (int64_t)i + r % 700000;
        frames.id[i] = r >> 28 ? 0x100 + (r >> 29) : 0x80000000 | 5;
        frames.len[i] = (uint8_t)((r >> 29) + 1);
        frames.data[i] = (r >> 8) % 7 * 0x0101010101010101 & ~UINT64_C(0) >> (64 - 8 * frames.len[i]);
        frames.attack[i] = 0;
    }
    frames.n = frames.n_own = FRAMES;
}

/* The bytes of a good profile; to free(). */
static uint8_t *good(size_t *n)
{
    ci_stream *s = NULL;
    ci_lid taken;
    uint8_t *bytes;

    MUST(ci_stream_create(ci_feature_set_of("agnostic", "run"), CI_PAST_RUN, W, S, 0, &s) == CI_OK, "no stream");
    MUST(ci_stream_begin(s, NULL) == CI_OK, "not begun");
    MUST(ci_stream_push(s, &frames, 0, FRAMES, NULL, &taken) == CI_OK && taken == FRAMES, "not taken");
    MUST(ci_stream_end(s) == CI_OK, "not ended");
    bytes = ci_profile_pack(ci_stream_known(s), n);
    MUST(bytes, "no memory");
    ci_stream_destroy(&s);
    return bytes;
}

static void use(const ci_profile *p)
{
    const ci_feature_set *set = ci_feature_set_of("agnostic", "profile");
    ci_stream *s = NULL;
    ci_graphs g = {0};
    ci_lid taken;

    MUST(ci_graphs_init(&g, set, FRAMES / S, W, W - 1) == CI_OK, "no room");
    MUST(ci_stream_create(set, CI_PAST_PROFILE, W, S, 0, &s) == CI_OK, "no stream");
    MUST(ci_stream_begin(s, p) == CI_OK, "not begun");
    MUST(ci_stream_push(s, &frames, 0, FRAMES, &g, &taken) == CI_OK && taken == FRAMES, "not taken");
    MUST(ci_graphs_check(&g) == CI_OK, "graphs that cannot be");
    ci_stream_destroy(&s);
    ci_graphs_release(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ci_profile *p = NULL;
    size_t size = 0, again = 0;
    uint8_t *bytes, *packed;
    ci_rc rc;

    frames_make();
    bytes = good(&size);
    if (n > 0 && data[0] % 2 == 0) {
        bytes = realloc(bytes, n);
        MUST(bytes, "no memory");
        size = n - 1;
        memcpy(bytes, data + 1, size);
    }
    for (size_t i = 1; n > 0 && data[0] % 2 && i + 3 <= n; i += 3) {
        const size_t at = (size_t)(data[i] << 8 | data[i + 1]);
        if (at < size) bytes[at] = data[i + 2];
    }
    rc = ci_profile_unpack(bytes, size, &p);
    MUST(rc == CI_OK || (rc == CI_EFORMAT && !p), "%s", ci_rc_name(rc));
    if (rc == CI_OK) {
        packed = ci_profile_pack(p, &again);
        MUST(packed && again == size && memcmp(packed, bytes, size) == 0, "other bytes");
        free(packed);
        use(p);
    }
    free(bytes);
    ci_profile_destroy(&p);
    return 0;
}
