/* Limits of control groups as files say them; files are as the kernels write them. */
#include "ci_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ci/commit.h"
#include "ci/memory.h"

static char root[CI_PATH_MAX], proc[CI_PATH_MAX + 8], groups[CI_PATH_MAX + 8];

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "%s/canids_memory_XXXXXX", ci_test_tmp());
    assert_non_null(mkdtemp(root));
    snprintf(proc, sizeof proc, "%s/proc", root);
    snprintf(groups, sizeof groups, "%s/groups", root);
    return 0;
}

static int teardown(void **state)
{
    char command[CI_PATH_MAX + 16];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[3 * CI_PATH_MAX], *slash;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(ci_make_dir(path), CI_OK);
    *slash = '/';
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#define MACHINE "MemTotal:       24584308 kB\nMemFree:          519000 kB\n"
enum { KIB = 1024, MIB = 1024 * KIB };

static int64_t limit(void) { return ci_memory_limit(proc, groups); }

static void memory_limit__without_files_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(limit(), 0);
}

static void memory_limit__without_groups_is_the_machine_s(void **state)
{
    (void)state;
    put(proc, "meminfo", MACHINE);
    assert_int_equal(limit(), (int64_t)24584308 * KIB);
}

static void memory_limit__of_version_2_is_the_least_up_the_tree(void **state)
{
    (void)state;
    put(proc, "meminfo", MACHINE);
    put(proc, "self/cgroup", "0::/slurm/job_7/step_0\n");
    put(groups, "slurm/job_7/step_0/memory.max", "max\n");
    assert_int_equal(limit(), (int64_t)24584308 * KIB);
    put(groups, "slurm/job_7/memory.max", "536870912\n");
    put(groups, "slurm/memory.max", "8589934592\n");
    assert_int_equal(limit(), 512 * MIB);
    put(groups, "slurm/job_7/step_0/memory.max", "268435456\n");
    assert_int_equal(limit(), 256 * MIB);
    put(groups, "slurm/job_7/step_0/memory.max", "99999999999999\n");
    put(groups, "slurm/job_7/memory.max", "99999999999999\n");
    put(groups, "slurm/memory.max", "max\n");
    assert_int_equal(limit(), (int64_t)24584308 * KIB); /* a limit above the machine's memory is none */
}

static void memory_limit__of_a_container_is_that_of_the_top(void **state)
{
    (void)state;
    put(proc, "meminfo", MACHINE);
    put(proc, "self/cgroup", "0::/\n");
    put(groups, "memory.max", "134217728\n");
    assert_int_equal(limit(), 128 * MIB);
    put(proc, "self/cgroup", "0::/a/path/of/the/host\n");
    assert_int_equal(limit(), 128 * MIB);
}

static void memory_limit__of_version_1_is_the_memory_controller_s(void **state)
{
    (void)state;
    put(proc, "meminfo", MACHINE);
    put(proc, "self/cgroup", "12:pids:/x\n4:memory:/docker/abc\n3:cpuset,cpu:/y\n0::/\n");
    put(groups, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(groups, "memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(limit(), (int64_t)24584308 * KIB);
    put(groups, "memory/docker/abc/memory.limit_in_bytes", "67108864\n");
    put(groups, "pids/x/memory.limit_in_bytes", "1\n"); /* not this one's business */
    assert_int_equal(limit(), 64 * MIB);
    put(proc, "self/cgroup", "4:hugetlb,memory:/docker/abc\n");
    assert_int_equal(limit(), 64 * MIB);
    put(proc, "self/cgroup", "4:memoryless:/docker/abc\n");
    assert_int_equal(limit(), (int64_t)24584308 * KIB);
}

static void memory_now__grows_with_what_is_touched_and_not_with_files(void **state)
{
    const size_t n = 64 * MIB;
    const int64_t before = ci_memory_now("/proc");
    char path[CI_PATH_MAX + 16], *p, *q;
    FILE *f;

    (void)state;
    if (!before) skip();
    p = malloc(n);
    assert_non_null(p);
    memset(p, 1, n);
    assert_in_range(ci_memory_now("/proc") - before, n - 4 * MIB, n + 4 * MIB);
    snprintf(path, sizeof path, "%s/file", root);
    f = fopen(path, "w+");
    assert_int_equal(fwrite(p, 1, n, f), n);
    fflush(f);
    q = mmap(NULL, n, PROT_READ, MAP_SHARED, fileno(f), 0);
    assert_true(q != MAP_FAILED);
    for (size_t i = 0; i < n; i += 4096) assert_int_equal(q[i], 1);
    assert_in_range(ci_memory_now("/proc") - before, n - 4 * MIB, n + 4 * MIB);
    munmap(q, n);
    fclose(f);
    free(p);
    ci_memory_trim();
    if (!getenv("CANIDS_SAN")) assert_true(ci_memory_now("/proc") - before < 8 * MIB); /* a sanitizer keeps what was freed */
    assert_int_equal(ci_memory_now("/nowhere"), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(memory_limit__without_files_is_unknown, setup, teardown),
    cmocka_unit_test_setup_teardown(memory_limit__without_groups_is_the_machine_s, setup, teardown),
    cmocka_unit_test_setup_teardown(memory_limit__of_version_2_is_the_least_up_the_tree, setup, teardown),
    cmocka_unit_test_setup_teardown(memory_limit__of_a_container_is_that_of_the_top, setup, teardown),
    cmocka_unit_test_setup_teardown(memory_limit__of_version_1_is_the_memory_controller_s, setup, teardown),
    cmocka_unit_test_setup_teardown(memory_now__grows_with_what_is_touched_and_not_with_files, setup, teardown),
};
CI_TEST_MAIN(tests)
