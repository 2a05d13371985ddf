/* Writing a file of arrays: everything is declared first, then rows go to their places. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/log.h"
#include "ci/tick.h"
#include "h5_priv.h"

static ci_rc agreed(const ci_h5 *f, const char *site, ci_rc mine)
{
    return f->comm ? ci_agree(f->comm, site, mine) : mine;
}

static herr_t attribute_text(hid_t on, const char *name, const char *text)
{
    hid_t type = h5_type(CI_TYPE_TEXT, CI_MAX((int64_t)strlen(text), 1)), space = H5Screate(H5S_SCALAR);
    hid_t a;
    herr_t e;

    H5Tset_cset(type, H5T_CSET_UTF8);
    a = H5Acreate2(on, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    e = a < 0 ? -1 : H5Awrite(a, type, text);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
    return e;
}

static herr_t attribute_ints(hid_t on, const char *name, hid_t stored, hid_t given, hsize_t n,
                             const void *v)
{
    hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL);
    hid_t a = H5Acreate2(on, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t e = a < 0 ? -1 : H5Awrite(a, given, v);

    H5Aclose(a);
    H5Sclose(space);
    return e;
}

static herr_t describe(hid_t on, const ci_array *a)
{
    if (a->unit && attribute_text(on, "unit", a->unit) < 0) return -1;
    if (a->meaning && attribute_text(on, "meaning", a->meaning) < 0) return -1;
    if (!a->log2_scale) return 0;
    return attribute_ints(on, "log2_scale", H5T_STD_I16LE, H5T_NATIVE_INT16, (hsize_t)a->cols,
                          a->log2_scale);
}

static herr_t array_create(ci_h5 *f, const ci_array *a, hid_t dcpl)
{
    struct h5_set *s = &f->set[f->n];
    const hsize_t dim[2] = {(hsize_t)a->rows, (hsize_t)a->cols};
    hid_t type = h5_type(a->kind, a->cols);
    hid_t space = H5Screate_simple(a->cols == 1 || a->kind == CI_TYPE_TEXT ? 1 : 2, dim, NULL);

    *s = (struct h5_set){H5Dcreate2(f->file, a->name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT),
                         a->kind, a->rows, a->cols, 0, .base = -1};
    H5Sclose(space);
    H5Tclose(type);
    if (s->id < 0) return -1;
    f->n++;
    return describe(s->id, a);
}

static herr_t arrays_create(ci_h5 *f, const ci_array *array, size_t n)
{
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    herr_t e = 0;

    H5Pset_obj_track_times(dcpl, 0);
    H5Pset_layout(dcpl, H5D_CONTIGUOUS);
    H5Pset_alloc_time(dcpl, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(dcpl, H5D_FILL_TIME_NEVER);
    for (size_t i = 0; i < n && e >= 0; i++) e = array_create(f, &array[i], dcpl);
    H5Pclose(dcpl);
    return e;
}

static herr_t attributes_create(ci_h5 *f, const ci_attribute *a, size_t n)
{
    hid_t root = H5Gopen2(f->file, "/", H5P_DEFAULT);
    herr_t e = root < 0 ? -1 : 0;

    for (size_t i = 0; i < n && e >= 0; i++)
        e = a[i].text ? attribute_text(root, a[i].name, a[i].text)
                      : attribute_ints(root, a[i].name, H5T_STD_I64LE, H5T_NATIVE_INT64, 1,
                                       &a[i].number);
    H5Gclose(root);
    return e;
}

static hid_t file_create(const ci_h5 *f)
{
    hid_t fapl = h5_access(), fcpl = H5Pcreate(H5P_FILE_CREATE), file;

    H5Pset_obj_track_times(fcpl, 0);
    H5Pset_alignment(fapl, 1, 64); /* arrays are mapped: their elements must be aligned in the file */
    H5Pset_libver_bounds(fapl, H5F_LIBVER_V18, H5F_LIBVER_V18);
    if (f->comm) {
        H5Pset_fapl_mpio(fapl, *(MPI_Comm *)ci_comm_handle(f->comm), MPI_INFO_NULL);
        H5Pset_all_coll_metadata_ops(fapl, 1);
        H5Pset_coll_metadata_write(fapl, 1);
    }
    file = H5Fcreate(f->path, H5F_ACC_TRUNC, fcpl, fapl);
    H5Pclose(fcpl);
    H5Pclose(fapl); /* frees the communicator's copy, which is collective too */
    return file;
}

static const int64_t RESERVE_PIECE = (int64_t)1 << 30; /* where zeros are written, that takes a while */

/* A disk that is too small is found here, before anything is written to it. */
static ci_rc reserve(const ci_h5 *f)
{
    ci_rc rc = CI_OK;
    int64_t end = 0;
    int fd = open(f->path, O_RDWR | O_CLOEXEC), err = 0;

    if (fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", f->path, strerror(errno));
    for (size_t i = 0; i < f->n; i++) {
        const struct h5_set *s = &f->set[i];
        const int64_t bytes = s->rows * s->cols * (int64_t)ci_type_bytes(s->kind);
        end = CI_MAX(end, s->offset + bytes);
    }
    for (int64_t at = 0; err == 0 && at < end; at += RESERVE_PIECE, ci_tick())
        err = posix_fallocate(fd, at, CI_MIN(end - at, RESERVE_PIECE));
    if (err != 0 && err != EOPNOTSUPP && err != EINVAL)
        CI_FAIL(CI_EIO, "%s: %lld bytes cannot be reserved: %s; free some space or use another run.dir",
                f->path, (long long)end, strerror(err));
done:
    if (fd >= 0) close(fd);
    return rc;
}

/* Whether a file can be made there at all is asked of the system, whose answer is plain. */
static ci_rc creatable(const char *path)
{
    ci_rc rc = CI_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        CI_FAIL(errno == EACCES || errno == EPERM ? CI_EPERM : CI_ECREATE, "%s: %s", path,
                strerror(errno));
    close(fd);
done:
    return rc;
}

static ci_rc offsets(ci_h5 *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const haddr_t at = f->set[i].rows ? H5Dget_offset(f->set[i].id) : 0;
        if (at == HADDR_UNDEF) return h5_fail(CI_EHDF5, "placing an array", f->path);
        f->set[i].offset = (int64_t)at;
    }
    return CI_OK;
}

ci_rc ci_h5_create(const ci_comm *comm, const char *path, const ci_array *array, size_t n_array,
                   const ci_attribute *attribute, size_t n_attribute, ci_h5 **out)
{
    ci_rc rc = CI_OK;
    ci_h5 *f = ci_new(1, sizeof *f);
    const int first = !comm || comm->rank == 0;
    ci_rc made;

    *out = NULL;
    h5_setup();
    made = !f ? ci_fail(CI_ENOMEM, __FILE__, __LINE__, "a file of arrays") : CI_OK;
    if (made == CI_OK && n_array > DESCRIBED_MAX)
        made = ci_fail(CI_EARG, __FILE__, __LINE__, "%zu arrays, at most %d", n_array, DESCRIBED_MAX);
    if (made == CI_OK && first) made = creatable(path);
    rc = comm ? ci_agree(comm, "h5.create.possible", made) : made;
    if (rc != CI_OK) goto done;
    f->comm = comm;
    f->fd = f->direct = -1;
    strncpy(f->path, path, sizeof f->path - 1);
    ci_comm_guard(comm, "h5.create.file.call");
    f->file = file_create(f);
    ci_comm_unguard(comm);
    CI_TRY(agreed(f, "h5.create.file", f->file < 0 ? h5_fail(CI_ECREATE, "creating", path) : CI_OK));
    ci_comm_guard(comm, "h5.create.arrays.call");
    made = arrays_create(f, array, n_array) < 0 || attributes_create(f, attribute, n_attribute) < 0 ||
                   H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0
               ? h5_fail(CI_EHDF5, "declaring arrays", path)
               : offsets(f);
    ci_comm_unguard(comm);
    CI_TRY(agreed(f, "h5.create.arrays", made));
    CI_TRY(agreed(f, "h5.create.space", first ? reserve(f) : CI_OK));
    CI_TRY(agreed(f, "h5.create.open", h5_rows_open(f)));
    *out = f;
    f = NULL;
done:
    if (rc != CI_OK && f && f->path[0] && first) unlink(path);
    if (f && f->path[0]) h5_rows_close(f);
    free(f);
    return rc;
}

ci_rc ci_h5_write(ci_h5 *f, size_t i, int64_t first, int64_t n, const void *rows)
{
    ci_rc rc = CI_OK;
    const struct h5_set *s = &f->set[i];
    const int64_t row = s->cols * (int64_t)ci_type_bytes(s->kind);

    if (n == 0) goto done;
    if (first < 0 || n < 0 || first + n > s->rows)
        CI_FAIL(CI_EARG, "rows %lld to %lld of an array of %lld", (long long)first,
                (long long)(first + n), (long long)s->rows);
    CI_TRY(h5_rows_put(f, &f->set[i], s->offset + first * row, rows, n * row));
done:
    return rc;
}

static ci_rc sync_file(const char *path)
{
    ci_rc rc = CI_OK;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) CI_FAIL(CI_EIO, "%s: fsync: %s", path, strerror(errno));
done:
    if (fd >= 0) close(fd);
    return rc;
}

/* Nothing fills what nobody wrote: the ranges of all ranks must make up all arrays. */
static ci_rc all_written(const ci_h5 *f)
{
    ci_rc rc = CI_OK;
    int64_t wrote = 0, whole = 0;

    for (size_t i = 0; i < f->n_wrote; i++) wrote += f->wrote[i].bytes;
    for (size_t i = 0; i < f->n; i++)
        whole += f->set[i].rows * f->set[i].cols * (int64_t)ci_type_bytes(f->set[i].kind);
    if (f->comm) CI_TRY(ci_comm_sum_i64(f->comm, "h5.finish.bytes", &wrote, 1));
    if (wrote != whole)
        CI_FAIL(CI_EINTERNAL, "%s: %lld bytes were written into arrays of %lld", f->path, (long long)wrote,
                (long long)whole);
done:
    return rc;
}

/* By place in the file, for reading back. */
static int by_offset(const void *a, const void *b)
{
    const ci_extent *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Everything is on the disk, closed, and what this rank wrote is read back. */
static ci_rc finish(ci_h5 *f)
{
    ci_rc rc = CI_OK;
    herr_t e = 0;
    double begun;

    CI_TRY(agreed(f, "h5.finish.flush", ci_h5_flush(f, true)));
    h5_rows_close(f);
    ci_comm_guard(f->comm, "h5.finish.close.call");
    for (size_t i = 0; i < f->n; i++)
        if (H5Dclose(f->set[i].id) < 0) e = -1;
    if (H5Fclose(f->file) < 0) e = -1;
    ci_comm_unguard(f->comm);
    CI_TRY(all_written(f));
    CI_TRY(agreed(f, "h5.finish.close", e < 0 ? h5_fail(CI_EHDF5, "closing", f->path) : CI_OK));
    CI_TRY(agreed(f, "h5.finish.sync", sync_file(f->path)));
    begun = ci_now_s();
    if (f->n_wrote) qsort(f->wrote, f->n_wrote, sizeof *f->wrote, by_offset);
    CI_TRY(agreed(f, "h5.finish.verify", ci_extent_verify(f->path, f->wrote, f->n_wrote)));
    if (f->comm) ci_log(CI_DEBUG, "written and flushed, then read back and compared in %.2f s", ci_now_s() - begun);
done:
    return rc;
}

ci_rc ci_h5_finish(ci_h5 **file)
{
    const ci_rc rc = finish(*file);

    ci_h5_abandon(file);
    return rc;
}

ci_rc ci_h5_finish_hashed(ci_h5 **file, ci_hashed *out)
{
    ci_rc rc = CI_OK;
    ci_h5 *f = *file;

    *out = (ci_hashed){0};
    CI_TRY(finish(f));
    CI_TRY(h5_hash_rest(f->comm, f->path, f->wrote, f->n_wrote, out));
done:
    ci_h5_abandon(file);
    return rc;
}

void ci_h5_abandon(ci_h5 **f)
{
    if (*f) {
        h5_rows_close(*f);
        free((*f)->wrote);
    }
    free(*f);
    *f = NULL;
}
