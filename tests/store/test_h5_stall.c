/* A rank that is stopped inside HDF5's own waiting: test_h5_stall.py starts this with `create PATH`, `close PATH` or
 * `none PATH`.  MPI tells of a communicator's copies and frees, so the stop comes exactly there. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <mpi.h>
#include <signal.h>
#include <string.h>

#include "ci/h5.h"
#include "ci/log.h"

static int stop_at_copy, stop_at_free;

static int copied(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag)
{
    (void)comm;
    (void)key;
    (void)extra;
    *(void **)out = in;
    *flag = 1;
    if (stop_at_copy) raise(SIGSTOP);
    return MPI_SUCCESS;
}

static int freed(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm;
    (void)key;
    (void)value;
    (void)extra;
    if (stop_at_free) raise(SIGSTOP);
    return MPI_SUCCESS;
}

static ci_rc write_file(ci_comm *c, const char *kind, const char *path)
{
    ci_rc rc = CI_OK;
    const ci_array array = {.name = "a", .kind = CI_TYPE_I32, .rows = c->size, .cols = 1};
    const int32_t row = c->rank;
    ci_h5 *f = NULL;
    int key;

    MPI_Comm_create_keyval(copied, freed, &key, NULL);
    MPI_Comm_set_attr(*(MPI_Comm *)ci_comm_handle(c), key, NULL);
    stop_at_copy = c->rank == 1 && strcmp(kind, "create") == 0;
    CI_TRY(ci_h5_create(c, path, &array, 1, NULL, 0, &f));
    CI_TRY(ci_agree(c, "test.write", ci_h5_write(f, 0, c->rank, 1, &row)));
    stop_at_free = c->rank == 1 && strcmp(kind, "close") == 0;
    CI_TRY(ci_h5_finish(&f));
done:
    return rc;
}

static void h5__of_this_process_alone_is_not_watched(void **state)
{
    char path[CI_PATH_MAX];
    const ci_array array = {.name = "a", .kind = CI_TYPE_I32, .rows = 1, .cols = 1};
    const int32_t row = 7;
    ci_h5 *f = NULL;

    (void)state;
    snprintf(path, sizeof path, "%s/alone.h5", ci_test_tmp());
    assert_int_equal(ci_h5_create(NULL, path, &array, 1, NULL, 0, &f), CI_OK);
    assert_int_equal(ci_h5_write(f, 0, 0, 1, &row), CI_OK);
    assert_int_equal(ci_h5_finish(&f), CI_OK);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(h5__of_this_process_alone_is_not_watched),
};

int main(int argc, char **argv)
{
    ci_rc rc;

    ci_test_start(&argc, &argv);
    if (argc < 3) return ci_test_stop(cmocka_run_group_tests(tests, NULL, NULL));
    ci_comm_deadline(ci_test_comm, 2);
    rc = write_file(ci_test_comm, argv[1], argv[2]);
    if (rc != CI_OK) ci_log_any(CI_ERROR, "%s", ci_message());
    ci_comm_stop(&ci_test_comm);
    return ci_rc_exit(rc);
}
