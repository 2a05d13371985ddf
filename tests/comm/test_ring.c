/* RANKS: 1 2 3 5 */
/* Which rank has which device, and sums over them, under emulation (CANIDS_BACKEND).  With an argument the program is what tests/comm/test_ring.py
 * starts: ranks that add over their devices while one of them does not come. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <signal.h>
#include <string.h>

#include "ci/log.h"
#include "ci/rc.h"
#include "ci/ring.h"

static const ci_comm *comm;

/* Devices of this host, those that this rank sees (NULL: all), and what fails on it. */
static void world(int devices, const char *visible, const char *fault)
{
    char n[16];

    snprintf(n, sizeof n, "%d", devices);
    setenv("CANIDS_EMU_DEVICES", n, 1);
    if (visible) setenv("CUDA_VISIBLE_DEVICES", visible, 1);
    else unsetenv("CUDA_VISIBLE_DEVICES");
    if (fault) setenv("CANIDS_EMU_FAULT", fault, 1);
    else unsetenv("CANIDS_EMU_FAULT");
}

static int group_start(void **state)
{
    (void)state;
    comm = ci_test_comm;
    return 0;
}

static void need_backend(void)
{
    const char *path = getenv("CANIDS_BACKEND");

    if (path && access(path, R_OK) == 0) return;
    print_message("CANIDS_BACKEND names no emulated backend\n");
    skip();
}

/* The same refusal on every rank, with each of the words. */
static void refused(const char *want, const char *const *words, int n)
{
    ci_device d;

    ci_message_set("");
    assert_int_equal(ci_device_assign(comm, want, &d), CI_ECONF);
    assert_true(!d.dev && !d.backend);
    for (int i = 0; i < n; i++)
        if (!strstr(ci_message(), words[i])) fail_msg("\"%s\" is not in: %s", words[i], ci_message());
}

static void assign__gives_each_rank_a_device_of_its_own(void **state)
{
    static const char *const want[] = {"auto", "cuda"};
    char *all;
    size_t n, *first;

    (void)state;
    need_backend();
    for (int k = 0; k < 2; k++) {
        ci_device d;
        world(comm->size + 1, NULL, NULL);
        assert_int_equal(ci_device_assign(comm, want[k], &d), CI_OK);
        assert_non_null(d.dev);
        assert_true(d.info.free > 0);
        assert_int_equal(ci_comm_allgather(comm, "test.bus", d.info.bus, sizeof d.info.bus, (void **)&all, &n, &first), CI_OK);
        for (int a = 0; a < comm->size; a++)
            for (int b = 0; b < a; b++) assert_string_not_equal(all + first[a], all + first[b]);
        free(all);
        free(first);
        ci_device_close(&d);
        assert_null(d.dev);
    }
}

static void assign__takes_the_one_that_a_rank_is_shown(void **state)
{
    char visible[16], bus[32];
    ci_device d;

    (void)state;
    need_backend();
    snprintf(visible, sizeof visible, "%d", comm->size - comm->rank); /* as srun --gpus-per-task=1 */
    world(comm->size + 1, visible, NULL);
    assert_int_equal(ci_device_assign(comm, "cuda", &d), CI_OK);
    snprintf(bus, sizeof bus, "0000:%02X:00.0", 0x10 + comm->size - comm->rank);
    assert_string_equal(d.info.bus, bus);
    ci_device_close(&d);
}

static void assign__leaves_the_cpu_where_it_is_asked_for_or_nothing_else_is_there(void **state)
{
    ci_device d = {0};

    (void)state;
    need_backend();
    world(comm->size, NULL, NULL);
    assert_int_equal(ci_device_assign(comm, "cpu", &d), CI_OK);
    assert_true(!d.dev && !d.backend);
    world(comm->size, NULL, "nodevice");
    assert_int_equal(ci_device_assign(comm, "auto", &d), CI_OK);
    assert_true(!d.dev && !d.backend);
    refused("cuda", (const char *const[]){"train.device is cuda", "no CUDA device", "rank 0"}, 3);
    world(comm->size, "", NULL);
    assert_int_equal(ci_device_assign(comm, "auto", &d), CI_OK);
    assert_true(!d.dev);
    refused("cuda", (const char *const[]){"CUDA_VISIBLE_DEVICES is ''"}, 1);
}

static void assign__names_both_versions_where_the_driver_is_older(void **state)
{
    ci_device d;

    (void)state;
    need_backend();
    world(comm->size, NULL, "driver");
    assert_int_equal(ci_device_assign(comm, "auto", &d), CI_OK);
    assert_null(d.dev);
    refused("cuda", (const char *const[]){"older than the toolkit", "11.4", "13.0"}, 3);
}

static void assign__refuses_more_ranks_than_devices(void **state)
{
    char fits[32], host[64] = "", ranks[32];

    (void)state;
    need_backend();
    if (comm->size < 2) return;
    gethostname(host, sizeof host - 1);
    world(comm->size - 1, NULL, NULL);
    snprintf(fits, sizeof fits, ": %d rank", comm->size - 1);
    snprintf(ranks, sizeof ranks, "%d ranks and %d device", comm->size, comm->size - 1);
    const char *const words[] = {host, ranks, fits, "0000:10:00.0"};
    refused("cuda", words, 4);
    refused("auto", words, 4);
}

static void assign__refuses_two_ranks_on_one_device(void **state)
{
    (void)state;
    need_backend();
    if (comm->size < 2) return;
    world(comm->size, comm->rank < 2 ? "1" : NULL, NULL);
    if (comm->size == 2) refused("auto", (const char *const[]){"ranks 0 and 1", "0000:11:00.0", "2 ranks and 1 device"}, 3);
    else refused("auto", (const char *const[]){"ranks 0 and 1", "0000:11:00.0", "CUDA_VISIBLE_DEVICES differs"}, 3);
}

static void assign__refuses_a_mixture_of_devices_and_cpus(void **state)
{
    (void)state;
    need_backend();
    if (comm->size < 2) return;
    world(comm->size, comm->rank == 1 ? "" : NULL, NULL);
    refused("auto", (const char *const[]){"rank 0 on host", "rank 1 on host", "has none", "CUDA_VISIBLE_DEVICES is ''", "ranks fit"}, 5);
}

/* ---- sums */

static void *on_device(const ci_device *d, const void *from, size_t bytes)
{
    void *p = NULL;

    assert_int_equal(d->backend->runtime->alloc(d->dev, bytes, &p), CI_OK);
    assert_int_equal(d->backend->runtime->upload(d->dev, p, from, bytes), CI_OK);
    return p;
}

static void back(const ci_ring *r, void *to, const void *from, size_t bytes)
{
    assert_int_equal(r->device->backend->runtime->download(r->device->dev, to, from, bytes), CI_OK);
    assert_int_equal(ci_ring_sync(r, 30, "test.sync"), CI_OK);
}

static void ring__adds_and_gathers_as_mpi_does(void **state)
{
    enum { N = 1000 };
    const int R = comm->size;
    ci_device d;
    ci_ring ring;
    int64_t v[N], *dev;
    float f[N], *dev_f;
    double own[3] = {comm->rank + 0.25, -comm->rank, 7}, all[3 * 8], *dev_own, *dev_all;

    (void)state;
    need_backend();
    world(R, NULL, NULL);
    assert_int_equal(ci_device_assign(comm, "cuda", &d), CI_OK);
    assert_int_equal(ci_ring_start(comm, &d, 30, &ring), CI_OK);
    assert_true((ring.ring != NULL) == (R > 1));

    for (int i = 0; i < N; i++) v[i] = ((int64_t)1 << 60) / 8 * (comm->rank + 1) - i;
    dev = on_device(&d, v, sizeof v);
    assert_int_equal(ci_ring_sum_i64(&ring, dev, N), CI_OK);
    back(&ring, v, dev, sizeof v);
    for (int i = 0; i < N; i++) assert_true(v[i] == ((int64_t)1 << 60) / 8 * (R * (R + 1) / 2) - (int64_t)R * i);

    for (int i = 0; i < N; i++) v[i] = (i % R == comm->rank) ? i : -i - 1;
    assert_int_equal(d.backend->runtime->upload(d.dev, dev, v, sizeof v), CI_OK);
    assert_int_equal(ci_ring_max_i64(&ring, dev, N), CI_OK);
    back(&ring, v, dev, sizeof v);
    for (int i = 0; i < N; i++) assert_true(v[i] == i);

    for (int i = 0; i < N; i++) f[i] = (float)(comm->rank * i);
    dev_f = on_device(&d, f, sizeof f);
    assert_int_equal(ci_ring_sum_f32(&ring, dev_f, N), CI_OK);
    back(&ring, f, dev_f, sizeof f);
    for (int i = 0; i < N; i++) assert_true(f[i] == (float)(R * (R - 1) / 2 * i));

    dev_own = on_device(&d, own, sizeof own);
    dev_all = R > 1 ? on_device(&d, all, (size_t)R * sizeof own) : dev_own;
    assert_int_equal(ci_ring_gather_f64(&ring, dev_own, dev_all, 3), CI_OK);
    back(&ring, all, dev_all, (size_t)R * sizeof own);
    for (int r = 0; r < R; r++) assert_true(all[3 * r] == r + 0.25 && all[3 * r + 1] == -r && all[3 * r + 2] == 7);
    ci_ring_stop(&ring);
    assert_null(ring.ring);
    ci_ring_stop(NULL);
    ci_device_close(&d);
}

static void ring__sums_are_kept_in_a_graph(void **state)
{
    ci_device d;
    ci_ring ring;
    ci_dev_graph *g = NULL;
    int64_t v[5] = {1, 2, 3, 4, 5}, factor = 1, *dev;

    (void)state;
    need_backend();
    world(comm->size, NULL, NULL);
    assert_int_equal(ci_device_assign(comm, "cuda", &d), CI_OK);
    assert_int_equal(ci_ring_start(comm, &d, 30, &ring), CI_OK);
    dev = on_device(&d, v, sizeof v);
    assert_int_equal(ci_ring_sync(&ring, 30, "test.before"), CI_OK);
    assert_int_equal(d.backend->runtime->capture_begin(d.dev), CI_OK);
    for (int k = 0; k < 3; k++) assert_int_equal(ci_ring_sum_i64(&ring, dev, 5), CI_OK);
    assert_int_equal(d.backend->runtime->capture_end(d.dev, &g), CI_OK);
    for (int k = 0; k < 2; k++) assert_int_equal(d.backend->runtime->launch(d.dev, g), CI_OK);
    back(&ring, v, dev, sizeof v);
    for (int k = 0; k < 6; k++) factor *= comm->size;
    for (int i = 0; i < 5; i++) assert_int_equal(v[i], factor * (i + 1));
    d.backend->runtime->graph_destroy(&g);
    ci_ring_stop(&ring);
    ci_device_close(&d);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(assign__gives_each_rank_a_device_of_its_own),
    cmocka_unit_test(assign__takes_the_one_that_a_rank_is_shown),
    cmocka_unit_test(assign__leaves_the_cpu_where_it_is_asked_for_or_nothing_else_is_there),
    cmocka_unit_test(assign__names_both_versions_where_the_driver_is_older),
    cmocka_unit_test(assign__refuses_more_ranks_than_devices),
    cmocka_unit_test(assign__refuses_two_ranks_on_one_device),
    cmocka_unit_test(assign__refuses_a_mixture_of_devices_and_cpus),
    cmocka_unit_test(ring__adds_and_gathers_as_mpi_does),
    cmocka_unit_test(ring__sums_are_kept_in_a_graph),
};

/* ---- what test_ring.py starts: `gone RANK` never asks for the sum, `graph RANK` never launches what all have captured, `dead RANK` is killed, `plain 0` does all; deadline 1 s */

static ci_rc job(const char *how, int who)
{
    const bool me = comm->rank == who;
    ci_device d = {0};
    ci_ring ring = {0};
    int64_t v[4] = {1, 2, 3, 4};
    void *dev = NULL;
    ci_dev_graph *g = NULL;
    const bool graph = strcmp(how, "graph") == 0;
    ci_rc rc = CI_OK;

    CI_TRY(ci_device_assign(comm, "cuda", &d));
    CI_TRY(ci_ring_start(comm, &d, 1, &ring));
    CI_TRY(ci_device_rc(&d, d.backend->runtime->alloc(d.dev, sizeof v, &dev)));
    CI_TRY(ci_device_rc(&d, d.backend->runtime->upload(d.dev, dev, v, sizeof v)));
    if (me && strcmp(how, "dead") == 0) raise(SIGKILL);
    if (me && strcmp(how, "gone") == 0) sleep(30);
    if (graph) CI_TRY(ci_device_rc(&d, d.backend->runtime->capture_begin(d.dev)));
    for (int k = 0; k < 3; k++) CI_TRY(ci_ring_sum_i64(&ring, dev, 4));
    if (graph) CI_TRY(ci_device_rc(&d, d.backend->runtime->capture_end(d.dev, &g)));
    if (me && graph) sleep(30);
    if (graph) CI_TRY(ci_device_rc(&d, d.backend->runtime->launch(d.dev, g)));
    CI_TRY(ci_ring_sync(&ring, 1, "test.step"));
    CI_TRY(ci_device_rc(&d, d.backend->runtime->download(d.dev, v, dev, sizeof v)));
    CI_TRY(ci_ring_sync(&ring, 1, "test.read"));
    if (comm->rank == 0) printf("sum %lld\n", (long long)v[3]);
done:
    if (rc != CI_OK) ci_log_any(CI_ERROR, "%s", ci_message());
    if (g) d.backend->runtime->graph_destroy(&g);
    ci_ring_stop(&ring);
    ci_device_close(&d); /* waits for what is on the device */
    if (rc != CI_OK) {
        ci_log_any(CI_ERROR, "the device is given back");
        ci_comm_abort(comm, ci_rc_exit(rc));
    }
    return rc;
}

/* What tests/device/test_device.py starts: `assign auto cuda`, one after the other; the exit code is that of the last. */
static int assign(int n, char **want)
{
    ci_rc rc = CI_OK;

    for (int i = 0; i < n; i++) {
        ci_device d;
        rc = ci_device_assign(comm, want[i], &d);
        printf("%s: %s\n", want[i], rc != CI_OK ? ci_message() : d.dev ? d.info.name : "the CPU");
        ci_device_close(&d);
    }
    ci_test_stop(0);
    return ci_rc_exit(rc);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    comm = ci_test_comm;
    if (argc > 2 && strcmp(argv[1], "assign") == 0) return assign(argc - 2, argv + 2);
    if (argc > 2) {
        job(argv[1], atoi(argv[2]));
        return ci_test_stop(0);
    }
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
