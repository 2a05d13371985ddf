#ifndef CAPTURE_FILES_H
#define CAPTURE_FILES_H
/** Captures for tests: written from frames that the test keeps, so that it knows what is right. */
#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ci/csv.h"
#include "ci/random.h"

#define HEADER "timestamp,arbitration_id,data_field,attack\n"

/** Text that grows. */
struct text {
    char *at;
    size_t n, cap;
};

__attribute__((unused, format(printf, 2, 3)))
static void text_add(struct text *t, const char *format, ...)
{
    va_list args;

    if (t->n + 256 > t->cap) t->at = realloc(t->at, t->cap = 2 * t->cap + 4096);
    assert_non_null(t->at);
    va_start(args, format);
    t->n += (size_t)vsnprintf(t->at + t->n, 256, format, args);
    va_end(args);
}

/** Frames of a vehicle that does not exist: identifiers of both kinds, equal and backward times,
 *  payloads of all lengths, bursts of attack. */
__attribute__((unused))
static void frames_make(uint32_t seed, int32_t n, ci_frame *out)
{
    int64_t t = 1513920254000000000 + (int64_t)seed * 1000007000;

    for (int32_t i = 0; i < n; i++) {
        const ci_u32x4 r = ci_philox(seed, 98, (uint32_t)i, 0, 0, 0);
        const uint32_t kind = ci_below(r.v[0], 50);
        ci_frame f = {.len = (uint8_t)ci_below(r.v[1], 9), .attack = (i / 37) % 5 == 4};

        t += kind == 0 ? 0 : kind == 1 ? -90000 : 1000 * (int64_t)ci_below(r.v[2], 900);
        f.t_ns = t;
        f.id = ci_below(r.v[3], 8) ? ci_below(r.v[3], 0x700) & 0x71f
                                   : UINT32_C(0x98da0000) + ci_below(r.v[3], 64);
        f.data = (uint64_t)r.v[2] << 32 | r.v[1];
        f.data &= f.len ? ~UINT64_C(0) >> (64 - 8 * f.len) : 0;
        out[i] = f;
    }
}

__attribute__((unused))
static void frame_text(struct text *t, const ci_frame *f, const char *end)
{
    text_add(t, "%lld.%06lld,%0*X,", (long long)(f->t_ns / 1000000000),
             (long long)(f->t_ns % 1000000000 / 1000), f->id >> 31 ? 8 : 3, f->id & 0x1fffffff);
    for (int k = 0; k < f->len; k++) text_add(t, "%02X", (int)(f->data >> 8 * k & 255));
    text_add(t, ",%d%s", f->attack, end);
}

/** A whole capture of n frames. */
__attribute__((unused))
static struct text capture_text(uint32_t seed, int32_t n, const char *end)
{
    struct text t = {0};
    ci_frame *f = calloc((size_t)n + 1, sizeof *f);

    assert_non_null(f);
    frames_make(seed, n, f);
    text_add(&t, "timestamp,arbitration_id,data_field,attack%s", end);
    for (int32_t i = 0; i < n; i++) frame_text(&t, &f[i], end);
    free(f);
    return t;
}

/** An empty folder of this test's own. */
__attribute__((unused))
static void folder_new(char out[CI_PATH_MAX])
{
    snprintf(out, CI_PATH_MAX, "%s/canids_XXXXXX", ci_test_tmp());
    assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    (void)s;
    (void)kind;
    (void)at;
    return remove(path);
}

__attribute__((unused))
static void folder_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/** Write ROOT/s/PATH; its folders are made. */
__attribute__((unused))
static void file_put(const char *root, const char *path, const void *bytes, size_t n)
{
    char name[2 * CI_PATH_MAX], *slash;
    FILE *f;

    snprintf(name, sizeof name, "%s/s/%s", root, path);
    slash = strrchr(name, '/');
    *slash = 0;
    assert_int_equal(ci_make_dir(name), CI_OK);
    *slash = '/';
    f = fopen(name, "wb");
    assert_non_null(f);
    if (n) assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

__attribute__((unused))
static void file_put_text(const char *root, const char *path, const char *text)
{
    file_put(root, path, text, strlen(text));
}

__attribute__((unused))
static void capture_put(const char *root, const char *path, uint32_t seed, int32_t n)
{
    struct text t = capture_text(seed, n, "\n");

    file_put(root, path, t.at, t.n);
    free(t.at);
}

/** Settings that scan data set "s" below root into root/run. */
__attribute__((unused))
static void conf_make(const char *root, int64_t block, ci_conf *out)
{
    *out = (ci_conf){.window = {.frames = 100, .stride = 100}};
    snprintf(out->data.root, sizeof out->data.root, "%.200s", root);
    strcpy(out->data.set, "s");
    out->data.block = block;
    snprintf(out->run.dir, sizeof out->run.dir, "%.200s/run", root);
    strcpy(out->features.set, "kd35");
    strcpy(out->features.compat, "none");
    strcpy(out->vocab.scope, "train");
    strcpy(out->contract.policy, "fail");
}

__attribute__((unused))
static void assert_message_has(const char *part)
{
    if (!strstr(ci_message(), part)) fail_msg("no '%s' in '%s'", part, ci_message());
}

#endif
