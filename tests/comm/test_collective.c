/* RANKS: 1 2 3 5 */
/* What collectives return.  With arguments the program is what tests/comm/test_stall.py starts: ranks that go through a
 * few sites with a deadline of 2 s while one of them misbehaves. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <signal.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "ci/random.h"
#include "comm/comm_priv.h"

static const ci_comm *comm;

static int group_start(void **state)
{
    (void)state;
    comm = ci_test_comm;
    return 0;
}

/* ---- agreement */

static void agree__is_ok_when_every_rank_is(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) assert_int_equal(ci_agree(comm, "test.agree.ok", CI_OK), CI_OK);
}

/* Each rank's verdict by a pattern of bits; the code says which rank it was. */
static ci_rc verdict(unsigned fails, int rank)
{
    static const ci_rc codes[] = {CI_EDATA, CI_EIO, CI_ENOMEM, CI_ENOENT, CI_ECONF};

    if (!(fails >> rank & 1)) return CI_OK;
    return ci_fail(codes[rank % 5], __FILE__, __LINE__, "rank %d fails in round %u", rank, fails);
}

static void agree__is_code_and_message_of_the_lowest_failing_rank(void **state)
{
    (void)state;
    for (unsigned fails = 1; fails < 1u << CI_MIN(comm->size, 5); fails++) {
        const int lowest = __builtin_ctz(fails);
        char want[80];
        ci_rc expected;
        ci_message_set("an older message");
        expected = verdict(1u << lowest, lowest);
        snprintf(want, sizeof want, "rank %d fails in round %u", lowest, fails);
        ci_message_set("an older message");
        assert_int_equal(ci_agree(comm, "test.agree.fails", verdict(fails, comm->rank)), expected);
        assert_string_equal(ci_message(), want);
    }
    assert_int_equal(ci_agree(comm, "test.agree.fails", CI_OK), CI_OK);
}

static void agree__carries_the_longest_message_whole(void **state)
{
    char want[CI_MESSAGE_MAX];
    const int last = comm->size - 1;
    ci_rc mine = CI_OK;

    (void)state;
    for (size_t i = 0; i < sizeof want - 1; i++) want[i] = (char)('a' + i % 26);
    want[sizeof want - 1] = 0;
    ci_message_set("");
    if (comm->rank == last) mine = ci_fail(CI_EDATA, __FILE__, __LINE__, "%s", want);
    assert_int_equal(ci_agree(comm, "test.agree.long", mine), CI_EDATA);
    assert_string_equal(ci_message(), want);
}

static ci_rc try_all(int failing)
{
    ci_rc rc = CI_OK;

    CI_TRY_ALL(comm, "test.try_all", comm->rank == failing ? ci_fail(CI_EIO, __FILE__, __LINE__, "no") : CI_OK);
    rc = CI_EINTERNAL; /* reached only when nobody failed */
done:
    return rc;
}

static void agree__injection_makes_one_rank_fail(void **state)
{
    ci_comm *c = ci_test_comm;
    const int last = comm->size - 1;

    (void)state;
    assert_int_equal(try_all(last), CI_EIO);
    assert_int_equal(try_all(-1), CI_EINTERNAL);
    ci_comm_inject(c, CI_INJECT_FAIL, last, "test.injected", 2, 0);
    assert_int_equal(ci_agree(comm, "test.injected", CI_OK), CI_OK);
    assert_int_equal(ci_agree(comm, "test.injected", CI_OK), CI_EIO);
    assert_non_null(strstr(ci_message(), "injected failure of rank"));
    assert_non_null(strstr(ci_message(), "test.injected"));
    assert_int_equal(ci_agree(comm, "test.injected", CI_OK), CI_OK);
    ci_comm_inject(c, CI_INJECT_NONE, 0, "", 0, 0);
}

/* ---- moving bytes */

static uint8_t pattern(int rank, size_t i)
{
    return (uint8_t)(ci_philox(7, 99, (uint32_t)rank, (uint32_t)i, 0, 0).v[0]);
}

/* Bytes of a rank in round `round`: rank 0 gives nothing in round 1, the last nothing in round 2, nobody anything in 3. */
static size_t share(int rank, int size, int round)
{
    if (round == 3 || (round == 1 && rank == 0) || (round == 2 && rank == size - 1)) return 0;
    return (size_t)(1 + 37 * rank + 1000 * (rank % 2));
}

static void check_gathered(const void *out, size_t n, const size_t *first, int round)
{
    size_t at = 0;

    assert_non_null(first);
    for (int r = 0; r < comm->size; r++) {
        assert_int_equal(first[r], at);
        for (size_t i = 0; i < share(r, comm->size, round); i++) assert_int_equal(((const uint8_t *)out)[at + i], pattern(r, i));
        at += share(r, comm->size, round);
    }
    assert_int_equal(n, at);
    assert_int_equal(first[comm->size], at);
}

static void gather__orders_unequal_shares_by_rank(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        const size_t n = share(comm->rank, comm->size, round);
        uint8_t *mine = ci_new(n, 1);
        void *out = mine;
        size_t out_n = 77, *first = &out_n;
        for (size_t i = 0; i < n; i++) mine[i] = pattern(comm->rank, i);
        assert_int_equal(ci_comm_gather(comm, "test.gather", n ? mine : NULL, n, &out, &out_n, &first), CI_OK);
        if (comm->rank == 0) {
            check_gathered(out, out_n, first, round);
            free(first);
        } else {
            assert_null(out);
            assert_null(first);
            assert_int_equal(out_n, 0);
        }
        free(out);
        assert_int_equal(ci_comm_allgather(comm, "test.allgather", mine, n, &out, &out_n, &first), CI_OK);
        check_gathered(out, out_n, first, round);
        free(first);
        free(out);
        assert_int_equal(ci_comm_allgather(comm, "test.allgather", mine, n, &out, &out_n, NULL), CI_OK);
        free(out);
        free(mine);
    }
}

static void shift__brings_the_bytes_of_the_rank_so_far_before(void **state)
{
    (void)state;
    for (int distance = 1; distance < 2 * comm->size + 2; distance *= 2) {
        const int from = comm->rank - distance;
        const size_t n = share(comm->rank, comm->size, distance), want = from < 0 ? 0 : share(from, comm->size, distance);
        uint8_t *mine = ci_new(n, 1), *got;
        void *out = NULL;
        size_t out_n = 77;
        for (size_t i = 0; i < n; i++) mine[i] = pattern(comm->rank, i);
        assert_int_equal(ci_comm_shift(comm, "test.shift", distance, n ? mine : NULL, n, &out, &out_n), CI_OK);
        assert_int_equal(out_n, want);
        got = out;
        for (size_t i = 0; i < want; i++) assert_int_equal(got[i], pattern(from, i));
        free(out);
        free(mine);
    }
}

static void bcast__gives_the_bytes_of_any_root_to_all(void **state)
{
    uint8_t bytes[3000];

    (void)state;
    for (int root = 0; root < comm->size; root++) {
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = comm->rank == root ? pattern(root, i) : 0;
        assert_int_equal(ci_comm_bcast(comm, "test.bcast", root, bytes, sizeof bytes), CI_OK);
        for (size_t i = 0; i < sizeof bytes; i++) assert_int_equal(bytes[i], pattern(root, i));
    }
    assert_int_equal(ci_comm_bcast(comm, "test.bcast", 0, NULL, 0), CI_OK);
}

static void bcast_new__tells_size_and_bytes(void **state)
{
    (void)state;
    for (int root = 0; root < comm->size; root++)
        for (size_t size = 0; size < 5000; size = size * 3 + 1) {
            uint8_t own[5000];
            void *bytes = comm->rank == root ? own : NULL;
            size_t n = comm->rank == root ? size : 12345;
            for (size_t i = 0; i < size; i++) own[i] = pattern(root + 9, i);
            assert_int_equal(ci_comm_bcast_new(comm, "test.bcast_new", root, &bytes, &n), CI_OK);
            assert_int_equal(n, size);
            for (size_t i = 0; i < size; i++) assert_int_equal(((uint8_t *)bytes)[i], pattern(root + 9, i));
            assert_int_equal(bytes == own, comm->rank == root);
            if (comm->rank != root) free(bytes);
        }
}

/* A rank without memory for the gather says so before the others wait for its share. */
static void gather__of_a_rank_that_fails_before_it_fails_on_all(void **state)
{
    void *out;
    size_t n;

    (void)state;
    ci_comm_inject(ci_test_comm, CI_INJECT_FAIL, comm->size - 1, "test.gather.room", 1, 0);
    ci_message_set("");
    assert_int_equal(ci_comm_allgather(comm, "test.gather.room", "x", 1, &out, &n, NULL), CI_EIO);
    assert_non_null(strstr(ci_message(), "injected failure of rank"));
    assert_null(out);
    assert_int_equal(n, 0);
    assert_int_equal(ci_comm_allgather(comm, "test.gather.room", "x", 1, &out, &n, NULL), CI_OK);
    assert_int_equal(n, comm->size);
    free(out);
    ci_comm_inject(ci_test_comm, CI_INJECT_NONE, 0, "", 0, 0);
}

/* ---- sums */

static void sum_and_max_i64__are_over_all_ranks(void **state)
{
    int64_t sum[3] = {comm->rank + 1, -comm->rank, INT64_MAX / 8}, most[3] = {comm->rank, -comm->rank, INT64_MIN};
    const int64_t n = comm->size;

    (void)state;
    assert_int_equal(ci_comm_sum_i64(comm, "test.sum", sum, 3), CI_OK);
    assert_int_equal(sum[0], n * (n + 1) / 2);
    assert_int_equal(sum[1], -n * (n - 1) / 2);
    assert_true(sum[2] == INT64_MAX / 8 * n);
    if (comm->rank == n - 1) most[2] = 5;
    assert_int_equal(ci_comm_max_i64(comm, "test.max", most, 3), CI_OK);
    assert_int_equal(most[0], n - 1);
    assert_int_equal(most[1], 0);
    assert_int_equal(most[2], 5);
    assert_int_equal(ci_comm_sum_i64(comm, "test.sum", NULL, 0), CI_OK);
}

static __int128 term(int rank, size_t i)
{
    const ci_u32x4 r = ci_philox(3, 99, (uint32_t)rank, (uint32_t)i, 0, 0);
    const unsigned __int128 u = (unsigned __int128)((uint64_t)r.v[0] << 32 | r.v[1]) << 64 | ((uint64_t)r.v[2] << 32 | r.v[3]);
    const __int128 near = (__int128)1 << 120;

    switch (i % 6) { /* negative and positive, of all sizes, and the neighbours of 2^120 and 2^32 */
    case 0: return near - rank;
    case 1: return -near + rank;
    case 2: return -(__int128)(rank + 1);
    case 3: return ((__int128)1 << 32) - (rank & 1);
    case 4: return -((__int128)1 << 96) + 1;
    default: return (__int128)u >> (i % 100 + 8);
    }
}

/* Thirds are rounded, so the order of the sum shows; all ranks must have the bits of rank 0. */
static void sum_f32__is_the_same_on_every_rank(void **state)
{
    enum { N = 1000 };
    float v[N], of_0[N];
    (void)state;

    for (int i = 0; i < N; i++) v[i] = (float)(i + 1) / (float)(3 * (comm->rank + 1));
    assert_int_equal(ci_comm_sum_f32(comm, "test.sum_f32", v, N), CI_OK);
    memcpy(of_0, v, sizeof v);
    assert_int_equal(ci_comm_bcast(comm, "test.sum_f32.first", 0, of_0, sizeof of_0), CI_OK);
    assert_memory_equal(v, of_0, sizeof v);
    for (int i = 0; i < N; i++) {
        double want = 0;
        for (int r = 0; r < comm->size; r++) want += (double)(i + 1) / (3.0 * (r + 1));
        assert_true((double)v[i] > want * (1 - 1e-6) && (double)v[i] < want * (1 + 1e-6));
    }
    assert_int_equal(ci_comm_sum_f32(comm, "test.sum_f32", NULL, 0), CI_OK);
}

static void sum_i128__is_exact_with_negative_and_huge_terms(void **state)
{
    enum { N = 600 };
    __int128 v[N];

    (void)state;
    for (size_t i = 0; i < N; i++) v[i] = term(comm->rank, i);
    assert_int_equal(ci_comm_sum_i128(comm, "test.sum_i128", v, N), CI_OK);
    for (size_t i = 0; i < N; i++) {
        __int128 want = 0;
        for (int r = 0; r < comm->size; r++) want += term(r, i);
        assert_true(v[i] == want);
    }
    assert_int_equal(ci_comm_sum_i128(comm, "test.sum_i128", NULL, 0), CI_OK);
}

/* ---- sites */

static int64_t passes(const char *site)
{
    const struct ci_comm_state *s = comm->state;

    for (int i = 0; i < s->n_site; i++)
        if (strcmp(s->site[i].name, site) == 0) return s->site[i].pass;
    return 0;
}

static void site__counts_its_passes(void **state)
{
    (void)state;
    assert_int_equal(passes("comm.start"), 1);
    for (int i = 0; i < 4; i++) assert_int_equal(ci_comm_barrier(comm, "test.site.one"), CI_OK);
    assert_int_equal(ci_agree(comm, "test.site.two", CI_OK), CI_OK);
    assert_int_equal(passes("test.site.one"), 4);
    assert_int_equal(passes("test.site.two"), 1);
    assert_int_equal(passes("test.site.three"), 0);
    for (int r = 0; r < comm->size; r++) {
        assert_string_equal(comm->state->seen[r].site, "test.site.two");
        assert_int_equal(comm->state->seen[r].pass, 1);
    }
}

static void site__of_a_long_name_is_cut_but_counted(void **state)
{
    const char *name = "test.a-site-whose-name-is-much-longer-than-the-place-that-is-kept-for-it";

    (void)state;
    for (int i = 0; i < 3; i++) assert_int_equal(ci_comm_barrier(comm, name), CI_OK);
    assert_int_equal(comm->state->seen[0].pass, 3);
}

static void delay__within_the_deadline_is_waited_for(void **state)
{
    const double begin = ci_now_s();

    (void)state;
    ci_comm_inject(ci_test_comm, CI_INJECT_DELAY, 0, "test.delay", 1, 0.3);
    assert_int_equal(ci_comm_barrier(comm, "test.delay"), CI_OK);
    assert_true(ci_now_s() - begin > 0.25);
    ci_comm_inject(ci_test_comm, CI_INJECT_NONE, 0, "", 0, 0);
}

static void comm__knows_the_ranks_of_its_host(void **state)
{
    (void)state;
    assert_int_equal(comm->node_size, comm->size);
    assert_int_equal(comm->node_rank, comm->rank);
    assert_non_null(ci_comm_handle(comm));
    assert_true(strlen(ci_comm_library()) > 5 && !strchr(ci_comm_library(), '\n'));
}

/* ---- what test_stall.py starts: KIND RANK SITE PASS SECONDS [TRACE] */

static ci_rc rounds(ci_comm *c, int stopped)
{
    ci_rc rc = CI_OK;
    int64_t n = 1;
    void *out = NULL;
    size_t out_n;

    for (int i = 0; i < 4; i++) {
        if (i == 2 && c->rank == stopped) raise(SIGSTOP);
        CI_TRY(ci_comm_barrier(c, "work.loop"));
        CI_TRY(ci_agree(c, "work.agree", CI_OK));
        CI_TRY(ci_comm_sum_i64(c, "work.sum", &n, 1));
        CI_TRY(ci_comm_allgather(c, "work.gather", &n, sizeof n, &out, &out_n, NULL));
        free(out);
    }
done:
    return rc;
}

static int misbehave(ci_comm *c, int argc, char **argv)
{
    static const char *const kinds[] = {"none", "skip", "delay", "fail", "die"};
    const int rank = atoi(argv[2]);
    ci_rc rc;

    ci_comm_deadline(c, 2);
    for (size_t k = 0; k < CI_COUNT(kinds); k++)
        if (strcmp(argv[1], kinds[k]) == 0)
            ci_comm_inject(c, (ci_inject_kind)k, rank, argv[3], atoi(argv[4]), atof(argv[5]));
    if (argc > 6) ci_comm_trace(c, argv[6]);
    rc = rounds(c, strcmp(argv[1], "stop") == 0 ? rank : -1);
    if (rc != CI_OK) ci_log(CI_ERROR, "%s", ci_message());
    else if (c->rank == 0) printf("done\n");
    ci_comm_stop(&c);
    return ci_rc_exit(rc);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agree__is_ok_when_every_rank_is),
    cmocka_unit_test(agree__is_code_and_message_of_the_lowest_failing_rank),
    cmocka_unit_test(agree__carries_the_longest_message_whole),
    cmocka_unit_test(agree__injection_makes_one_rank_fail),
    cmocka_unit_test(gather__orders_unequal_shares_by_rank),
    cmocka_unit_test(shift__brings_the_bytes_of_the_rank_so_far_before),
    cmocka_unit_test(gather__of_a_rank_that_fails_before_it_fails_on_all),
    cmocka_unit_test(bcast__gives_the_bytes_of_any_root_to_all),
    cmocka_unit_test(bcast_new__tells_size_and_bytes),
    cmocka_unit_test(sum_and_max_i64__are_over_all_ranks),
    cmocka_unit_test(sum_f32__is_the_same_on_every_rank),
    cmocka_unit_test(sum_i128__is_exact_with_negative_and_huge_terms),
    cmocka_unit_test(site__counts_its_passes),
    cmocka_unit_test(site__of_a_long_name_is_cut_but_counted),
    cmocka_unit_test(delay__within_the_deadline_is_waited_for),
    cmocka_unit_test(comm__knows_the_ranks_of_its_host),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    if (argc > 5) return misbehave(ci_test_comm, argc, argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
