/* RANKS: 1 2 3 */
#define CI_TEST_MPI
#include "ci_test.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/ckpt.h"
#include "ci/commit.h"
#include "ci/h5.h"
#include "ci/random.h"

static const ci_comm *comm;
static char folder[CI_PATH_MAX];
static ci_model *model;

static int group_start(void **state)
{
    const ci_model_dim dim = {.n_id = 9, .id_dim = 16, .n_feature = 35, .n_edge_feature = 11, .layers = 2, .heads = 2, .channels = 8,
                              .head_layers = 2, .head_dim = 16, .n_class = 2, .slope = 0.2f};

    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    if (ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) != CI_OK) return 1;
    return ci_model_create(&dim, "generic", &model) == CI_OK ? 0 : 1;
}

static int group_end(void **state)
{
    (void)state;
    ci_model_destroy(&model);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[CI_PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Floats of every kind of bits that weights and moments can have, and -0 and subnormals. */
static void fill(ci_ckpt *c, uint32_t seed)
{
    assert_int_equal(ci_ckpt_init(c, model, 9, 4), CI_OK);
    for (ci_gid i = 0; i < c->n; i++) {
        const ci_u32x4 r = ci_philox(seed, 94, (uint32_t)i, 0, 0, 0);
        for (int k = 0; k < 3; k++) {
            uint32_t u = r.v[k];
            if ((u >> 23 & 255) == 255) u = 0x80000000u; /* no infinity, no NaN */
            memcpy(k == 0 ? &c->w[i] : k == 1 ? &c->m[i] : &c->v[i], &u, sizeof u);
        }
    }
    for (ci_lid t = 0; t < c->n_tensor; t++) c->exponent[t] = 60 - 7 * t;
    for (int32_t i = 0; i < 9; i++) c->vocab[i] = 0x80000000u * (i > 5) + (uint32_t)(17 * i + 1);
    c->at = (ci_progress){.step = 12345678901, .epoch = 3, .batch = 7, .loss_sum = -5, .best_epoch = 2, .better_epoch = 1, .finished = 1,
                          .best_value = 0.1 + 0.2, .best_loss = 1e-300, .threshold = nextafter(0.5, 1),
                          .plateau = {-0.125, 1, 3, 2}};
    for (int k = 0; k < 8; k++) c->calibration[k] = 1.0 / (k + 7);
    memset(c->split, 'd', CI_SHA256_HEX - 1);
    memset(c->settings, 'b', CI_SHA256_HEX - 1);
    memset(c->store, 'c', CI_SHA256_HEX - 1);
    strcpy(c->set, "kd35");
    c->scaler.n_node = 35;
    c->scaler.n_edge = 11;
    c->scaler.clip = 10;
    for (int k = 0; k < 35; k++) {
        c->scaler.node_mean[k] = -1.0 / (k + 3);
        c->scaler.node_spread[k] = 1e-6 * (k + 1);
    }
    for (int k = 0; k < 11; k++) {
        c->scaler.edge_mean[k] = k / 7.0;
        c->scaler.edge_spread[k] = 1 + k / 3.0;
    }
}

/* As of a set that is built from the stream. */
static void fill_streamed(ci_ckpt *c, uint32_t seed)
{
    fill(c, seed);
    strcpy(c->set, "agnostic");
    c->scaler.n_window = 82;
    for (int k = 0; k < 82; k++) {
        c->scaler.window_mean[k] = (k - 40) / 9.0;
        c->scaler.window_spread[k] = 1e-6 + k / 3.0;
    }
}

static void check_same(const ci_ckpt *a, const ci_ckpt *b)
{
    assert_memory_equal(&a->at, &b->at, sizeof a->at);
    assert_memory_equal(&a->scaler, &b->scaler, sizeof a->scaler);
    assert_string_equal(a->settings, b->settings);
    assert_string_equal(a->store, b->store);
    assert_string_equal(a->set, b->set);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_tensor, b->n_tensor);
    assert_int_equal(a->n_vocab, b->n_vocab);
    assert_memory_equal(a->w, b->w, (size_t)a->n * sizeof *a->w);
    assert_memory_equal(a->m, b->m, (size_t)a->n * sizeof *a->m);
    assert_memory_equal(a->v, b->v, (size_t)a->n * sizeof *a->v);
    assert_memory_equal(a->exponent, b->exponent, (size_t)a->n_tensor * sizeof *a->exponent);
    assert_memory_equal(a->vocab, b->vocab, (size_t)a->n_vocab * sizeof *a->vocab);
}

static void write_by_rank_0(const ci_ckpt *c, const char *name)
{
    assert_int_equal(ci_agree(comm, "test.write", comm->rank == 0 ? ci_ckpt_write(c, model, path_of(name)) : CI_OK), CI_OK);
}

static void ckpt__of_a_streamed_set_has_the_scale_of_its_windows(void **state)
{
    ci_ckpt c = {0}, got = {0};
    ci_h5_view *v = NULL;
    const double *s;
    int64_t rows;

    (void)state;
    fill_streamed(&c, 3);
    write_by_rank_0(&c, "streamed.h5");
    assert_int_equal(ci_ckpt_read_all(comm, path_of("streamed.h5"), &got), CI_OK);
    check_same(&c, &got);
    assert_int_equal(ci_h5_open(path_of("streamed.h5"), &v), CI_OK);
    assert_int_equal(ci_h5_array(v, "scaler_window", CI_TYPE_F64, -1, 2, (const void **)&s, &rows), CI_OK);
    assert_int_equal(rows, 82);
    assert_true(s[2 * 81] == 41 / 9.0 && s[2 * 81 + 1] == 1e-6 + 27);
    ci_h5_close(&v);
    ci_ckpt_release(&got);
    c.scaler.n_window = 0; /* without them it says nothing of the windows it needs */
    if (comm->rank == 0) {
        assert_int_equal(ci_ckpt_write(&c, model, path_of("none.h5")), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), "scaler_window is missing"));
    }
    c.scaler.n_window = 82;
    c.scaler.window_spread[5] = 0;
    if (comm->rank == 0) {
        assert_int_equal(ci_ckpt_write(&c, model, path_of("none.h5")), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), "spread 0 of column 5"));
    }
    ci_ckpt_release(&c);
}

static void ckpt__comes_back_bit_for_bit_on_every_rank(void **state)
{
    ci_ckpt c = {0}, got = {0};

    (void)state;
    fill(&c, 1);
    write_by_rank_0(&c, "last.h5");
    assert_int_equal(ci_ckpt_read(path_of("last.h5"), &got), CI_OK);
    check_same(&c, &got);
    ci_ckpt_release(&got);
    assert_int_equal(ci_ckpt_read_all(comm, path_of("last.h5"), &got), CI_OK);
    check_same(&c, &got);
    ci_ckpt_release(&got);
    ci_ckpt_release(&got);
    ci_ckpt_release(&c);
}

static void ckpt__is_replaced_whole(void **state)
{
    ci_ckpt c = {0}, d = {0}, got = {0};
    char one[CI_SHA256_HEX], two[CI_SHA256_HEX];

    (void)state;
    fill(&c, 1);
    fill(&d, 2);
    write_by_rank_0(&c, "next.h5");
    assert_int_equal(ci_sha256_file(path_of("next.h5"), one), CI_OK);
    assert_int_equal(ci_comm_barrier(comm, "test.looked"), CI_OK);
    write_by_rank_0(&d, "next.h5");
    assert_int_equal(ci_ckpt_read_all(comm, path_of("next.h5"), &got), CI_OK);
    check_same(&d, &got);
    ci_ckpt_release(&got);
    write_by_rank_0(&c, "next.h5");
    assert_int_equal(ci_sha256_file(path_of("next.h5"), two), CI_OK);
    assert_string_equal(one, two); /* bytes are a function of the content */
    ci_ckpt_release(&c);
    ci_ckpt_release(&d);
}

static void ckpt_weights__is_the_digest_of_the_weights_alone(void **state)
{
    ci_ckpt c = {0};
    char a[CI_SHA256_HEX], b[CI_SHA256_HEX], want[CI_SHA256_HEX];

    (void)state;
    fill(&c, 1);
    ci_ckpt_weights(&c, a);
    ci_sha256_of(c.w, (size_t)c.n * 4, want);
    assert_string_equal(a, want);
    c.m[0] = 1;
    c.at.step++;
    ci_ckpt_weights(&c, b);
    assert_string_equal(a, b);
    c.w[c.n - 1] = -c.w[c.n - 1];
    ci_ckpt_weights(&c, b);
    assert_string_not_equal(a, b);
    ci_ckpt_release(&c);
}

/* ---- refusals */

static void flip(const char *path, off_t at)
{
    uint8_t b;
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void ckpt_read__refuses_any_changed_byte(void **state)
{
    ci_ckpt c = {0}, got = {0};
    struct stat st;

    (void)state;
    fill(&c, 1);
    write_by_rank_0(&c, "corrupt.h5");
    assert_int_equal(stat(path_of("corrupt.h5"), &st), 0);
    for (int k = 0; k < 12; k++) {
        const off_t at = k == 11 ? st.st_size - 1 : st.st_size * k / 11;
        if (comm->rank == 0) flip(path_of("corrupt.h5"), at);
        assert_int_equal(ci_ckpt_read_all(comm, path_of("corrupt.h5"), &got), CI_EFORMAT);
        assert_null(got.w);
        if (comm->rank == 0) flip(path_of("corrupt.h5"), at);
    }
    assert_int_equal(ci_ckpt_read_all(comm, path_of("corrupt.h5"), &got), CI_OK);
    ci_ckpt_release(&got);
    if (comm->rank == 0) assert_int_equal(truncate(path_of("corrupt.h5"), st.st_size / 2), 0);
    assert_int_equal(ci_ckpt_read_all(comm, path_of("corrupt.h5"), &got), CI_EFORMAT);
    ci_ckpt_release(&c);
}

/* A committed file of arrays with these attributes and nothing else. */
static void alien(const char *name, const char *format, int64_t version)
{
    const ci_array array = {"weight", CI_TYPE_F32, 4, 1, NULL, "four", NULL};
    const ci_attribute attribute[] = {{"format", format, 0}, {"format_version", NULL, version}};
    const float w[4] = {0};
    char temp[CI_PATH_MAX];
    ci_h5 *f = NULL;

    assert_int_equal(ci_commit_temp(path_of(name), temp), CI_OK);
    assert_int_equal(ci_h5_create(NULL, temp, &array, 1, attribute, 2, &f), CI_OK);
    assert_int_equal(ci_h5_write(f, 0, 0, 4, w), CI_OK);
    assert_int_equal(ci_h5_finish(&f), CI_OK);
    assert_int_equal(ci_commit_publish(path_of(name), NULL, NULL), CI_OK);
}

static void ckpt_read__refuses_other_versions_and_other_files(void **state)
{
    ci_ckpt got = {0};

    (void)state;
    if (comm->rank == 0) {
        alien("version.h5", "canids checkpoint", CI_CKPT_VERSION + 1);
        alien("store.h5", "canids graph store", CI_CKPT_VERSION);
        alien("bare.h5", "canids checkpoint", CI_CKPT_VERSION);
        assert_int_equal(ci_commit_bytes(path_of("text.h5"), "no HDF5\n", 8), CI_OK);
    }
    assert_int_equal(ci_ckpt_read_all(comm, path_of("version.h5"), &got), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "checkpoint of version 3, this program reads 2"));
    assert_int_equal(ci_ckpt_read_all(comm, path_of("store.h5"), &got), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "not a checkpoint of canids (format \"canids graph store\")"));
    assert_int_equal(ci_ckpt_read_all(comm, path_of("bare.h5"), &got), CI_EFORMAT);
    assert_int_equal(ci_ckpt_read_all(comm, path_of("text.h5"), &got), CI_EFORMAT);
    assert_int_equal(ci_ckpt_read_all(comm, path_of("missing.h5"), &got), CI_ENOENT);
    assert_non_null(strstr(ci_message(), "missing.h5"));
}

/* Nor does it replace the one that is there. */
static void ckpt_write__refuses_what_a_reader_would_refuse(void **state)
{
    static const double spreads[] = {0, -1, NAN, INFINITY};
    ci_ckpt c = {0}, good = {0}, got = {0};

    (void)state;
    fill(&c, 1);
    fill(&good, 2);
    write_by_rank_0(&good, "scaler.h5");
    for (size_t i = 0; i < CI_COUNT(spreads); i++) {
        c.scaler.edge_spread[3] = spreads[i];
        assert_int_equal(ci_agree(comm, "test.write", comm->rank == 0 ? ci_ckpt_write(&c, model, path_of("scaler.h5")) : CI_OK), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), "scaler_edge"));
    }
    c.scaler.edge_spread[3] = 1;
    c.scaler.clip = -1;
    assert_int_equal(ci_agree(comm, "test.write", comm->rank == 0 ? ci_ckpt_write(&c, model, path_of("scaler.h5")) : CI_OK), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "scaler_clip -1"));
    assert_int_equal(ci_ckpt_read_all(comm, path_of("scaler.h5"), &got), CI_OK);
    check_same(&good, &got);
    ci_ckpt_release(&got);
    ci_ckpt_release(&good);
    ci_ckpt_release(&c);
}

static void ckpt_write__says_when_it_cannot(void **state)
{
    ci_ckpt c = {0};

    (void)state;
    fill(&c, 1);
    assert_int_equal(ci_ckpt_write(&c, model, path_of("no/such/last.h5")), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "no/such/"));
    ci_ckpt_release(&c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ckpt__comes_back_bit_for_bit_on_every_rank),
    cmocka_unit_test(ckpt__of_a_streamed_set_has_the_scale_of_its_windows),
    cmocka_unit_test(ckpt__is_replaced_whole),
    cmocka_unit_test(ckpt_weights__is_the_digest_of_the_weights_alone),
    cmocka_unit_test(ckpt_read__refuses_any_changed_byte),
    cmocka_unit_test(ckpt_read__refuses_other_versions_and_other_files),
    cmocka_unit_test(ckpt_write__refuses_what_a_reader_would_refuse),
    cmocka_unit_test(ckpt_write__says_when_it_cannot),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, group_end));
}
