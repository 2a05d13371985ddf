/* RANKS: 1 2 3 5 */
/* Files of flat arrays: every kind through write, finish and open, on ranks that have rows and ranks that have none, and each
 * error that can be provoked. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/h5.h"
#include "ci/random.h"

enum { ROWS = 601, WIDE = 5 };

static const ci_comm *comm;
static char folder[CI_PATH_MAX];

static int group_start(void **state)
{
    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    return ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) == CI_OK ? 0 : 1;
}

static const char *path_of(const char *name)
{
    static char path[CI_PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A file of this process alone needs a name of its own. */
static const char *own_path(const char *name)
{
    char own[64];

    snprintf(own, sizeof own, "%d_%s", comm->rank, name);
    return path_of(own);
}

static const int16_t scale[WIDE] = {0, -3, 7, 14, -1};
static const ci_array arrays[] = {
    {"u8", CI_TYPE_U8, ROWS, 1, NULL, "bytes", NULL},
    {"u16", CI_TYPE_U16, ROWS, WIDE, "row", "a table", NULL},
    {"u32", CI_TYPE_U32, ROWS, 1, "s", "words", NULL},
    {"i32", CI_TYPE_I32, ROWS, 1, NULL, "integers", NULL},
    {"i64", CI_TYPE_I64, ROWS, 1, NULL, "long ones", NULL},
    {"f16", CI_TYPE_F16, ROWS, WIDE, NULL, "halves", scale},
    {"f32", CI_TYPE_F32, ROWS, 1, NULL, "floats", NULL},
    {"f64", CI_TYPE_F64, ROWS, 2, NULL, "doubles", NULL},
    {"text", CI_TYPE_TEXT, ROWS, 9, NULL, "names", NULL},
    {"nothing", CI_TYPE_F32, 0, 1, NULL, "an array without rows", NULL},
    {"nothing2", CI_TYPE_U8, 0, 3, NULL, "a table without rows", NULL},
};
static const ci_attribute attributes[] = {{"format", "test", 0}, {"version", NULL, -123456789012345}, {"empty", "", 0}};

static int64_t row_bytes(size_t i)
{
    return arrays[i].cols * (int64_t)ci_type_bytes(arrays[i].kind);
}

static uint8_t byte(size_t array, int64_t at)
{
    return (uint8_t)ci_philox(5, 96, (uint32_t)array, (uint32_t)at, 0, 0).v[0];
}

static void content(size_t i, int64_t first, int64_t n, uint8_t *out)
{
    const int64_t row = row_bytes(i);

    for (int64_t k = 0; k < n * row; k++) out[k] = byte(i, first * row + k);
}

/* The first rank writes one half, the last the other; those between them have nothing. */
static ci_rc write_all(ci_h5 *f, int rank, int size)
{
    ci_rc rc = CI_OK;
    uint8_t *b = ci_new(ROWS * 64, 1);
    const int64_t half = ROWS / 2;
    const int64_t first = rank == 0 ? 0 : half, n = size == 1 ? ROWS : rank == 0 ? half : rank == size - 1 ? ROWS - half : 0;

    for (size_t i = 0; i < CI_COUNT(arrays); i++) {
        if (arrays[i].rows == 0) continue;
        content(i, first, n, b);
        for (int64_t k = 0; k < n; k += 100) /* several blocks, the last one shorter */
            CI_TRY(ci_h5_write(f, i, first + k, CI_MIN(100, n - k), b + k * row_bytes(i)));
    }
done:
    free(b);
    return rc;
}

static ci_rc make(const ci_comm *c, const char *path, char sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_h5 *f = NULL;

    CI_TRY(ci_h5_create(c, path, arrays, CI_COUNT(arrays), attributes, CI_COUNT(attributes), &f));
    rc = write_all(f, c ? c->rank : 0, c ? c->size : 1);
    if (c) rc = ci_agree(c, "test.write", rc);
    CI_TRY(rc);
    CI_TRY(ci_h5_finish(&f));
    assert_null(f);
    CI_TRY(ci_sha256_file(path, sha));
done:
    ci_h5_abandon(&f);
    return rc;
}

static void h5__gives_back_every_kind(void **state)
{
    char sha[CI_SHA256_HEX], text[16];
    ci_h5_view *v = NULL;
    uint8_t *want = ci_new(ROWS * 64, 1);
    int64_t number = 0, rows;
    const void *got;

    (void)state;
    assert_int_equal(make(comm, path_of("kinds.h5"), sha), CI_OK);
    assert_int_equal(ci_h5_open(path_of("kinds.h5"), &v), CI_OK);
    for (size_t i = 0; i < CI_COUNT(arrays); i++) {
        const ci_array *a = &arrays[i];
        assert_int_equal(ci_h5_array(v, a->name, a->kind, a->rows, a->cols, &got, &rows), CI_OK);
        assert_int_equal(rows, a->rows);
        assert_int_equal(ci_h5_array(v, a->name, a->kind, -1, -1, &got, NULL), CI_OK);
        content(i, 0, a->rows, want);
        assert_memory_equal(got, want, (size_t)(a->rows * row_bytes(i)));
    }
    assert_int_equal(ci_h5_number(v, "version", &number), CI_OK);
    assert_true(number == -123456789012345);
    assert_int_equal(ci_h5_text(v, "format", text, sizeof text), CI_OK);
    assert_string_equal(text, "test");
    assert_int_equal(ci_h5_text(v, "empty", text, sizeof text), CI_OK);
    assert_string_equal(text, "");
    ci_h5_close(&v);
    ci_h5_close(&v);
    free(want);
}

static void h5__has_the_same_bytes_each_time(void **state)
{
    char sha[2][CI_SHA256_HEX];

    (void)state;
    for (int i = 0; i < 2; i++) assert_int_equal(make(comm, path_of(i ? "second.h5" : "first.h5"), sha[i]), CI_OK);
    assert_string_equal(sha[0], sha[1]);
    for (int i = 0; i < 2; i++) assert_int_equal(make(NULL, own_path(i ? "second.h5" : "first.h5"), sha[i]), CI_OK);
    assert_string_equal(sha[0], sha[1]);
}

static void h5_array__refuses_another_name_kind_or_shape(void **state)
{
    char sha[CI_SHA256_HEX], text[4];
    ci_h5_view *v = NULL;
    const void *got;
    int64_t number;

    (void)state;
    assert_int_equal(make(NULL, own_path("shape.h5"), sha), CI_OK);
    assert_int_equal(ci_h5_open(own_path("shape.h5"), &v), CI_OK);
    assert_int_equal(ci_h5_array(v, "u9", CI_TYPE_U8, -1, -1, &got, NULL), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "array u9 is missing"));
    assert_int_equal(ci_h5_array(v, "u8", CI_TYPE_U16, -1, -1, &got, NULL), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "uint16"));
    assert_int_equal(ci_h5_array(v, "u8", CI_TYPE_U8, ROWS + 1, -1, &got, NULL), CI_EFORMAT);
    assert_int_equal(ci_h5_array(v, "f16", CI_TYPE_F16, ROWS, WIDE - 1, &got, NULL), CI_EFORMAT);
    assert_int_equal(ci_h5_array(v, "text", CI_TYPE_TEXT, ROWS, 8, &got, NULL), CI_EFORMAT);
    assert_int_equal(ci_h5_number(v, "format", &number), CI_EFORMAT);
    assert_int_equal(ci_h5_text(v, "version", text, sizeof text), CI_EFORMAT);
    assert_int_equal(ci_h5_text(v, "format", text, sizeof text), CI_EFORMAT); /* no room for it */
    ci_h5_close(&v);
}

/* ---- failures of creation and writing */

static void h5_create__says_why_it_cannot(void **state)
{
    ci_h5 *f = NULL;

    (void)state;
    assert_int_equal(ci_h5_create(comm, path_of("no/such.h5"), arrays, 1, NULL, 0, &f), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "no/such.h5"));
    assert_null(f);
    assert_int_equal(ci_h5_create(NULL, folder, arrays, 1, NULL, 0, &f), CI_ECREATE); /* a folder is there */
    if (geteuid() != 0) {
        assert_int_equal(mkdir(own_path("closed"), 0500), 0);
        assert_int_equal(ci_h5_create(NULL, own_path("closed/x.h5"), arrays, 1, NULL, 0, &f), CI_EPERM);
    }
}

static void h5_write__refuses_rows_that_are_not_there(void **state)
{
    ci_h5 *f = NULL;
    uint8_t b[10] = {0};

    (void)state;
    assert_int_equal(ci_h5_create(NULL, own_path("rows.h5"), arrays, 1, NULL, 0, &f), CI_OK);
    assert_int_equal(ci_h5_write(f, 0, ROWS - 10, 10, b), CI_OK);
    assert_int_equal(ci_h5_write(f, 0, ROWS - 9, 10, b), CI_EARG);
    assert_int_equal(ci_h5_write(f, 0, -1, 5, b), CI_EARG);
    assert_int_equal(ci_h5_write(f, 0, ROWS + 5, 0, b), CI_OK);
    ci_h5_abandon(&f);
    ci_h5_abandon(&f);
}

/* A limit on the size of files stands for a full disk. */
static void limit(rlim_t bytes)
{
    const struct rlimit most = {bytes, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
}

static void h5_create__finds_that_the_disk_is_too_small(void **state)
{
    const ci_array big = {"big", CI_TYPE_U8, 1 << 22, 1, NULL, "4 MiB", NULL};
    ci_h5 *f = NULL;
    ci_rc rc;

    (void)state;
    limit(1 << 20);
    rc = ci_h5_create(NULL, own_path("small.h5"), &big, 1, NULL, 0, &f);
    limit(RLIM_INFINITY);
    assert_true(rc == CI_EIO || rc == CI_EHDF5);
    assert_non_null(strstr(ci_message(), "small.h5"));
    assert_null(f);
    assert_int_equal(access(own_path("small.h5"), F_OK), -1);
}

static void h5_write__fails_on_a_full_disk(void **state)
{
    const ci_array big = {"big", CI_TYPE_U8, 1 << 22, 1, NULL, "4 MiB", NULL};
    uint8_t *b = ci_new(1 << 22, 1);
    ci_h5 *f = NULL;
    ci_rc rc;

    (void)state;
    assert_int_equal(ci_h5_create(NULL, own_path("full.h5"), &big, 1, NULL, 0, &f), CI_OK);
    limit(1 << 20);
    rc = ci_h5_write(f, 0, 0, 1 << 22, b);
    if (rc == CI_OK) rc = ci_h5_flush(f, true);
    limit(RLIM_INFINITY);
    assert_int_equal(rc, CI_EIO);
    assert_non_null(strstr(ci_message(), "full.h5: cannot write: File too large"));
    ci_h5_abandon(&f);
    assert_null(f);
    free(b);
}

/* Runs that begin and end anywhere, in sectors that they share with others, flushed and not. */
static void h5_write__takes_runs_of_any_place_and_length(void **state)
{
    enum { N = 9 << 20, SHORT = 3001 };
    const ci_array array[2] = {{"a", CI_TYPE_U8, SHORT, 1, NULL, "first", NULL}, {"b", CI_TYPE_U8, N, 1, NULL, "second", NULL}};
    static uint8_t b[N], small[SHORT];
    ci_h5_view *v = NULL;
    const void *there;
    ci_h5 *f = NULL;

    (void)state;
    for (int i = 0; i < N; i++) b[i] = (uint8_t)(i * 131 + i / 257);
    for (int i = 0; i < SHORT; i++) small[i] = (uint8_t)(i * 7);
    for (uint32_t seed = 0; seed < 6; seed++) {
        assert_int_equal(ci_h5_create(NULL, own_path("runs.h5"), array, 2, NULL, 0, &f), CI_OK);
        for (int part = 0, at; part < 2; part++) /* odd pieces first, then even ones: no run goes on */
            for (at = 0; at < N;) {
                const uint32_t k = ci_philox(seed, 5, (uint32_t)at, 0, 0, 0).v[0];
                const int n = CI_MIN(N - at, 1 + (int)(k % (seed < 3 ? 9999 : 3 << 20)));
                if ((int)(k >> 31) == part || seed % 3 == 0) {
                    if (part == 0 || seed % 3) assert_int_equal(ci_h5_write(f, 1, at, n, b + at), CI_OK);
                    if (k % 11 == 0) assert_int_equal(ci_h5_flush(f, k % 2), CI_OK);
                }
                at += n;
            }
        assert_int_equal(ci_h5_write(f, 0, 0, SHORT, small), CI_OK);
        assert_int_equal(ci_h5_finish(&f), CI_OK);
        assert_int_equal(ci_h5_open(own_path("runs.h5"), &v), CI_OK);
        assert_int_equal(ci_h5_array(v, "b", CI_TYPE_U8, N, 1, &there, NULL), CI_OK);
        assert_memory_equal(there, b, N);
        assert_int_equal(ci_h5_array(v, "a", CI_TYPE_U8, SHORT, 1, &there, NULL), CI_OK);
        assert_memory_equal(there, small, SHORT);
        ci_h5_close(&v);
    }
}

static void h5_finish__notices_bytes_that_did_not_arrive(void **state)
{
    const ci_array big = {"big", CI_TYPE_U8, 1 << 20, 1, NULL, "1 MiB", NULL};
    uint8_t *b = ci_new(1 << 20, 1);
    ci_h5 *f = NULL;
    int fd;

    (void)state;
    assert_int_equal(ci_h5_create(NULL, own_path("lost.h5"), &big, 1, NULL, 0, &f), CI_OK);
    memset(b, 7, 1 << 20);
    assert_int_equal(ci_h5_write(f, 0, 0, 1 << 20, b), CI_OK);
    assert_int_equal(ci_h5_flush(f, false), CI_OK);
    fd = open(own_path("lost.h5"), O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 1 << 19), 1);
    close(fd);
    assert_int_equal(ci_h5_finish(&f), CI_EIO);
    assert_null(f);
    free(b);
}

static void h5_open__refuses_what_is_no_file_of_arrays(void **state)
{
    char sha[CI_SHA256_HEX];
    ci_h5_view *v = NULL;
    FILE *out;

    (void)state;
    assert_int_equal(ci_h5_open(own_path("missing.h5"), &v), CI_ENOENT);
    assert_int_equal(ci_h5_open(folder, &v), CI_EFORMAT);
    out = fopen(own_path("text.h5"), "w");
    fclose(out);
    assert_int_equal(ci_h5_open(own_path("text.h5"), &v), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "is empty"));
    out = fopen(own_path("text.h5"), "w");
    for (int i = 0; i < 1000; i++) fputs("no HDF5 at all\n", out);
    fclose(out);
    assert_int_equal(ci_h5_open(own_path("text.h5"), &v), CI_EFORMAT);
    assert_int_equal(make(NULL, own_path("cut.h5"), sha), CI_OK);
    assert_int_equal(truncate(own_path("cut.h5"), 4000), 0);
    assert_int_equal(ci_h5_open(own_path("cut.h5"), &v), CI_EFORMAT);
    assert_null(v);
}

static void type__has_the_name_and_size_that_numpy_gives_it(void **state)
{
    static const struct { ci_type t; const char *name; size_t n; } all[] = {
        {CI_TYPE_U8, "uint8", 1}, {CI_TYPE_U16, "uint16", 2}, {CI_TYPE_U32, "uint32", 4}, {CI_TYPE_I32, "int32", 4}, {CI_TYPE_I64, "int64", 8},
        {CI_TYPE_F16, "float16", 2}, {CI_TYPE_F32, "float32", 4}, {CI_TYPE_F64, "float64", 8},
    };

    (void)state;
    for (size_t i = 0; i < CI_COUNT(all); i++) {
        assert_string_equal(ci_type_name(all[i].t), all[i].name);
        assert_int_equal(ci_type_bytes(all[i].t), all[i].n);
    }
    assert_non_null(strstr(ci_h5_library(), "HDF5 1."));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(h5__gives_back_every_kind),
    cmocka_unit_test(h5__has_the_same_bytes_each_time),
    cmocka_unit_test(h5_array__refuses_another_name_kind_or_shape),
    cmocka_unit_test(h5_create__says_why_it_cannot),
    cmocka_unit_test(h5_write__refuses_rows_that_are_not_there),
    cmocka_unit_test(h5_create__finds_that_the_disk_is_too_small),
    cmocka_unit_test(h5_write__fails_on_a_full_disk),
    cmocka_unit_test(h5_write__takes_runs_of_any_place_and_length),
    cmocka_unit_test(h5_finish__notices_bytes_that_did_not_arrive),
    cmocka_unit_test(h5_open__refuses_what_is_no_file_of_arrays),
    cmocka_unit_test(type__has_the_name_and_size_that_numpy_gives_it),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
