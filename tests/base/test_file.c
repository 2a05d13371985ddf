#include "ci_test.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ci/commit.h"

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void path_join__puts_one_slash_between(void **state)
{
    char out[CI_PATH_MAX], name[CI_PATH_MAX];

    (void)state;
    assert_int_equal(ci_path_join(out, "a/b", "c"), CI_OK);
    assert_string_equal(out, "a/b/c");
    assert_int_equal(ci_path_join(out, "a/", "c"), CI_OK);
    assert_string_equal(out, "a/c");
    assert_int_equal(ci_path_join(out, "/", "c"), CI_OK);
    assert_string_equal(out, "/c");
    assert_int_equal(ci_path_join(out, "", "c"), CI_OK);
    assert_string_equal(out, "c");
    memset(name, 'n', sizeof name);
    name[CI_PATH_MAX - 3] = 0; /* with "d/" exactly what fits */
    assert_int_equal(ci_path_join(out, "d", name), CI_OK);
    assert_int_equal(strlen(out), CI_PATH_MAX - 1);
    assert_int_equal(ci_path_join(out, "dd", name), CI_EARG);
}

static void make_dir__makes_all_levels_and_welcomes_what_is_there(void **state)
{
    char top[CI_PATH_MAX], deep[CI_PATH_MAX];

    (void)state;
    assert_int_equal(ci_path_join(top, ci_test_tmp(), "m"), CI_OK);
    assert_int_equal(ci_path_join(deep, top, "a//b/c/"), CI_OK);
    assert_int_equal(ci_make_dir(deep), CI_OK);
    assert_true(is_dir(deep));
    assert_int_equal(ci_make_dir(deep), CI_OK);
    assert_int_equal(ci_make_dir("/"), CI_OK);
    assert_int_equal(ci_make_dir("."), CI_OK);
    rmdir(deep);
    assert_int_equal(ci_path_join(deep, top, "a/b"), CI_OK);
    rmdir(deep);
    assert_int_equal(ci_path_join(deep, top, "a"), CI_OK);
    rmdir(deep);
    assert_int_equal(rmdir(top), 0);
}

static void make_dir__says_what_stands_in_the_way(void **state)
{
    char file[CI_PATH_MAX], below[CI_PATH_MAX];
    FILE *f;

    (void)state;
    assert_int_equal(ci_path_join(file, ci_test_tmp(), "plain"), CI_OK);
    assert_int_equal(ci_path_join(below, file, "a/b"), CI_OK);
    f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(ci_make_dir(file), CI_ECREATE);
    assert_int_equal(ci_make_dir(below), CI_ECREATE);
    assert_non_null(strstr(ci_message(), file));
    assert_int_equal(ci_make_dir(""), CI_ECREATE);
    unlink(file);
}

static void make_dir__needs_permission(void **state)
{
    char top[CI_PATH_MAX], below[CI_PATH_MAX];

    (void)state;
    assert_int_equal(ci_path_join(top, ci_test_tmp(), "locked"), CI_OK);
    assert_int_equal(ci_path_join(below, top, "a/b"), CI_OK);
    assert_int_equal(ci_make_dir(top), CI_OK);
    assert_int_equal(chmod(top, 0555), 0);
    if (geteuid() == 0 && seteuid(65534) != 0) skip();
    assert_int_equal(ci_make_dir(below), CI_EPERM);
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
    rmdir(top);
}

/* Ranks make the same folder at the same time. */
static void make_dir__may_be_raced(void **state)
{
    char top[CI_PATH_MAX], deep[CI_PATH_MAX], tail[32];

    (void)state;
    assert_int_equal(ci_path_join(top, ci_test_tmp(), "race"), CI_OK);
    for (int round = 0; round < 20; round++) {
        int status[4];
        pid_t pid[4];
        snprintf(tail, sizeof tail, "%d", round);
        assert_int_equal(ci_path_join(deep, top, tail), CI_OK);
        for (int i = 0; i < 4; i++) {
            pid[i] = fork();
            if (pid[i] == 0) _exit(ci_make_dir(deep));
        }
        for (int i = 0; i < 4; i++) waitpid(pid[i], &status[i], 0);
        for (int i = 0; i < 4; i++) assert_int_equal(status[i], 0);
        assert_int_equal(rmdir(deep), 0);
        assert_int_equal(rmdir(top), 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(path_join__puts_one_slash_between),
    cmocka_unit_test(make_dir__makes_all_levels_and_welcomes_what_is_there),
    cmocka_unit_test(make_dir__says_what_stands_in_the_way),
    cmocka_unit_test(make_dir__needs_permission),
    cmocka_unit_test(make_dir__may_be_raced),
};
CI_TEST_MAIN(tests)
