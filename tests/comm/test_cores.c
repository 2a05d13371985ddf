/* RANKS: 1 2 3 */
#define _GNU_SOURCE
/* Cores of a rank, for masks as launchers make them. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <sched.h>
#include <string.h>

#include "ci/types.h"
#include "comm/comm_priv.h"

/* Cores first to last. */
static cpu_set_t cores(int first, int last)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = first; i <= last; i++) CPU_SET((size_t)i, &set);
    return set;
}

static void share__of_masks_that_all_have_is_divided(void **state)
{
    const cpu_set_t mask[] = {cores(0, 15), cores(0, 15), cores(0, 15), cores(0, 15)};

    (void)state;
    for (int i = 0; i < 4; i++) assert_int_equal(comm_share(mask, 4, i), 4);
    assert_int_equal(comm_share(mask, 1, 0), 16);
}

/* srun --cpus-per-task=8, mpirun --map-by slot:PE=8 */
static void share__of_a_mask_of_its_own_is_whole(void **state)
{
    const cpu_set_t mask[] = {cores(0, 7), cores(8, 15), cores(16, 23), cores(24, 31)};

    (void)state;
    for (int i = 0; i < 4; i++) assert_int_equal(comm_share(mask, 4, i), 8);
}

/* mpirun --bind-to socket with 2 ranks on the first and 1 on the second of 2 sockets */
static void share__of_a_socket_is_divided_by_its_ranks(void **state)
{
    const cpu_set_t mask[] = {cores(0, 9), cores(10, 19), cores(0, 9)};

    (void)state;
    assert_int_equal(comm_share(mask, 3, 0), 5);
    assert_int_equal(comm_share(mask, 3, 1), 10);
    assert_int_equal(comm_share(mask, 3, 2), 5);
}

static void share__is_never_nothing(void **state)
{
    const cpu_set_t mask[] = {cores(3, 3), cores(3, 3), cores(3, 3), cores(1, 0)};

    (void)state;
    assert_int_equal(comm_share(mask, 4, 0), 1);
    assert_int_equal(comm_share(mask, 4, 3), 1);
}

static void cores__keep_a_mask_that_the_user_chose(void **state)
{
    const char *const said[][2] = {{"OMPI_MCA_hwloc_base_binding_policy", "core"}, {"OMPI_MCA_rmaps_base_mapping_policy", "slot:PE=1"},
                                   {"OMPI_MCA_hwloc_base_cpu_set", "0"}, {"OMPI_MCA_orte_rankfile", "ranks"}};
    struct ci_comm_state *s = ci_test_comm->state;
    const int by_mpirun = s->by_mpirun;
    char *binding = getenv("OMPI_MCA_hwloc_base_binding_policy") ? strdup(getenv("OMPI_MCA_hwloc_base_binding_policy")) : NULL;
    cpu_set_t all, one, now;
    int first = 0, n = 0;

    (void)state;
    s->by_mpirun = 1;
    for (size_t i = 0; i < CI_COUNT(said); i++) unsetenv(said[i][0]);
    assert_int_equal(ci_comm_cores(ci_test_comm, "test.cores.first", &n), CI_OK);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET((size_t)first, &all)) first++;
    one = cores(first, first);
    for (size_t i = 0; i < CI_COUNT(said); i++) {
        unsetenv("OMPI_MCA_hwloc_base_binding_policy");
        setenv(said[i][0], said[i][1], 1);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        assert_int_equal(ci_comm_cores(ci_test_comm, "test.cores.chosen", &n), CI_OK);
        assert_int_equal(n, 1);
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_true(CPU_EQUAL(&now, &one));
        unsetenv(said[i][0]);
    }
    s->by_mpirun = 0; /* srun --cpus-per-task=1 */
    assert_int_equal(ci_comm_cores(ci_test_comm, "test.cores.chosen", &n), CI_OK);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&now, &one));
    s->by_mpirun = 1; /* and this is what mpirun chose */
    assert_int_equal(ci_comm_cores(ci_test_comm, "test.cores.wide", &n), CI_OK);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&now, &all));
    assert_int_equal(n, CI_MAX(1, CPU_COUNT(&all) / ci_test_comm->node_size));
    s->by_mpirun = by_mpirun;
    if (binding) setenv("OMPI_MCA_hwloc_base_binding_policy", binding, 1);
    free(binding);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(share__of_masks_that_all_have_is_divided),
    cmocka_unit_test(share__of_a_mask_of_its_own_is_whole),
    cmocka_unit_test(share__of_a_socket_is_divided_by_its_ranks),
    cmocka_unit_test(share__is_never_nothing),
    cmocka_unit_test(cores__keep_a_mask_that_the_user_chose),
};
CI_TEST_MAIN(tests)
