/* Reading a file of arrays: HDF5 says where they are, the bytes are mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ci/arena.h"
#include "h5_priv.h"

struct ci_h5_view {
    char path[CI_PATH_MAX];
    char *map; /* the whole file */
    int64_t bytes;
    size_t n_array, n_attribute;
    struct {
        char name[64];
        ci_type kind;
        int64_t rows, cols, offset;
    } array[DESCRIBED_MAX];
    struct {
        char name[64];
        int is_text;
        int64_t number;
        char text[1024];
    } attribute[DESCRIBED_MAX];
};

static int kind_of(hid_t type, ci_type *out, int64_t *text_bytes)
{
    *text_bytes = 1;
    if (H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type)) {
        *out = CI_TYPE_TEXT;
        *text_bytes = (int64_t)H5Tget_size(type);
        return 1;
    }
    for (int k = CI_TYPE_U8; k < CI_TYPE_TEXT; k++) {
        hid_t t = h5_type((ci_type)k, 1);
        const int equal = H5Tequal(t, type) > 0;
        H5Tclose(t);
        if (equal) {
            *out = (ci_type)k;
            return 1;
        }
    }
    return 0;
}

static herr_t array_read(hid_t root, const char *name, const H5L_info_t *info, void *out)
{
    ci_h5_view *v = out;
    hid_t id, type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    hsize_t dim[2] = {0, 1};
    herr_t e = -1;

    (void)info;
    if (v->n_array == DESCRIBED_MAX || strlen(name) >= sizeof v->array[0].name) return -1;
    id = H5Dopen2(root, name, H5P_DEFAULT);
    if (id < 0) return -1;
    type = H5Dget_type(id);
    space = H5Dget_space(id);
    if (H5Sget_simple_extent_ndims(space) > 0 && H5Sget_simple_extent_ndims(space) <= 2 &&
        H5Sget_simple_extent_dims(space, dim, NULL) > 0 && dim[0] < INT64_MAX / 256 && dim[1] > 0 && dim[1] < 65536) {
        int64_t text;
        strcpy(v->array[v->n_array].name, name);
        if (kind_of(type, &v->array[v->n_array].kind, &text)) {
            const haddr_t at = dim[0] ? H5Dget_offset(id) : 0;
            v->array[v->n_array].rows = (int64_t)dim[0];
            v->array[v->n_array].cols = (int64_t)dim[1] * text;
            v->array[v->n_array].offset = (int64_t)at;
            if (at != HADDR_UNDEF) {
                v->n_array++;
                e = 0;
            }
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(id);
    return e;
}

static herr_t attribute_read(hid_t root, const char *name, const H5A_info_t *info, void *out)
{
    ci_h5_view *v = out;
    const size_t n = v->n_attribute;
    hid_t a, type;
    herr_t e = -1;

    (void)info;
    if (n == DESCRIBED_MAX || strlen(name) >= sizeof v->attribute[0].name) return -1;
    a = H5Aopen(root, name, H5P_DEFAULT);
    type = H5Aget_type(a);
    strcpy(v->attribute[n].name, name);
    if (H5Tget_class(type) == H5T_INTEGER && H5Aget_storage_size(a) == sizeof(int64_t)) {
        e = H5Aread(a, H5T_NATIVE_INT64, &v->attribute[n].number);
    } else if (H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type) &&
               H5Aget_storage_size(a) < sizeof v->attribute[n].text) {
        v->attribute[n].is_text = 1;
        e = H5Aread(a, type, v->attribute[n].text);
    }
    if (e >= 0) v->n_attribute++;
    H5Tclose(type);
    H5Aclose(a);
    return e;
}

static ci_rc describe(ci_h5_view *v)
{
    ci_rc rc = CI_OK;
    hid_t fapl = h5_access(), file = H5Fopen(v->path, H5F_ACC_RDONLY, fapl), root = H5I_INVALID_HID;

    H5Pclose(fapl);
    if (file < 0) CI_TRY(h5_fail(CI_EFORMAT, "opening as HDF5", v->path));
    root = H5Gopen2(file, "/", H5P_DEFAULT);
    if (root < 0 || H5Literate(root, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, array_read, v) < 0 ||
        H5Aiterate2(root, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, attribute_read, v) < 0)
        CI_FAIL(CI_EFORMAT, "%s: not a file of flat arrays as canids writes them", v->path);
done:
    if (root >= 0) H5Gclose(root);
    if (file >= 0) H5Fclose(file);
    return rc;
}

static ci_rc map_file(ci_h5_view *v)
{
    ci_rc rc = CI_OK;
    struct stat st;
    int fd = open(v->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", v->path, strerror(errno));
    if (fstat(fd, &st) != 0) CI_FAIL(CI_EIO, "%s: %s", v->path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        CI_FAIL(CI_EFORMAT, "%s: %s", v->path, st.st_size ? "not a regular file" : "is empty");
    v->bytes = st.st_size;
    v->map = mmap(NULL, (size_t)v->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (v->map == MAP_FAILED) {
        v->map = NULL;
        CI_FAIL(CI_EIO, "%s: mmap: %s", v->path, strerror(errno));
    }
done:
    if (fd >= 0) close(fd);
    return rc;
}

ci_rc ci_h5_open(const char *path, ci_h5_view **out)
{
    ci_rc rc = CI_OK;
    ci_h5_view *v = ci_new(1, sizeof *v);

    *out = NULL;
    h5_setup();
    if (!v) CI_FAIL(CI_ENOMEM, "%s", path);
    strncpy(v->path, path, sizeof v->path - 1);
    CI_TRY(map_file(v));
    CI_TRY(describe(v));
    for (size_t i = 0; i < v->n_array; i++) {
        const int64_t row = v->array[i].cols * (int64_t)ci_type_bytes(v->array[i].kind);
        const int64_t room = v->bytes - v->array[i].offset;
        if (v->array[i].offset < 0 || room < 0 || v->array[i].rows > room / row)
            CI_FAIL(CI_EFORMAT, "%s: array %s lies beyond the end of the file", path,
                    v->array[i].name);
        if (v->array[i].offset % (int64_t)ci_type_bytes(v->array[i].kind) != 0)
            CI_FAIL(CI_EFORMAT, "%s: array %s is not aligned to its elements", path,
                    v->array[i].name);
    }
    *out = v;
    v = NULL;
done:
    ci_h5_close(&v);
    return rc;
}

void ci_h5_close(ci_h5_view **view)
{
    ci_h5_view *v = *view;

    if (v && v->map) munmap(v->map, (size_t)v->bytes);
    free(v);
    *view = NULL;
}

static int64_t find(const ci_h5_view *v, const char *name)
{
    for (size_t i = 0; i < v->n_array; i++)
        if (strcmp(v->array[i].name, name) == 0) return (int64_t)i;
    return -1;
}

ci_rc ci_h5_array(const ci_h5_view *v, const char *name, ci_type kind, int64_t rows, int64_t cols,
                  const void **out, int64_t *out_rows)
{
    ci_rc rc = CI_OK;
    const int64_t i = find(v, name);

    if (i < 0) CI_FAIL(CI_EFORMAT, "%s: array %s is missing", v->path, name);
    if (v->array[i].kind != kind || (rows >= 0 && v->array[i].rows != rows) ||
        (cols >= 0 && v->array[i].cols != cols))
        CI_FAIL(CI_EFORMAT, "%s: array %s is (%lld, %lld) %s, wanted (%lld, %lld) %s", v->path, name,
                (long long)v->array[i].rows, (long long)v->array[i].cols,
                ci_type_name(v->array[i].kind), (long long)rows, (long long)cols,
                ci_type_name(kind));
    *out = v->map + v->array[i].offset;
    if (out_rows) *out_rows = v->array[i].rows;
done:
    return rc;
}

void ci_h5_forget(const ci_h5_view *v, const void *at, int64_t bytes)
{
    const int64_t page = sysconf(_SC_PAGESIZE), begin = (const char *)at - v->map;
    const int64_t first = (begin + page - 1) / page * page, end = (begin + bytes) / page * page;

    if (first < end) (void)madvise(v->map + first, (size_t)(end - first), MADV_DONTNEED); /* read only: nothing is lost */
}

void ci_h5_forget_all(const ci_h5_view *v)
{
    (void)madvise(v->map, (size_t)v->bytes, MADV_DONTNEED);
}

ci_rc ci_h5_number(const ci_h5_view *v, const char *name, int64_t *out)
{
    for (size_t i = 0; i < v->n_attribute; i++)
        if (!v->attribute[i].is_text && strcmp(v->attribute[i].name, name) == 0) {
            *out = v->attribute[i].number;
            return CI_OK;
        }
    return ci_fail(CI_EFORMAT, __FILE__, __LINE__, "%s: attribute %s is missing", v->path, name);
}

ci_rc ci_h5_text(const ci_h5_view *v, const char *name, char *out, size_t n)
{
    for (size_t i = 0; i < v->n_attribute; i++)
        if (v->attribute[i].is_text && strcmp(v->attribute[i].name, name) == 0) {
            if (strlen(v->attribute[i].text) >= n) break;
            strcpy(out, v->attribute[i].text);
            return CI_OK;
        }
    return ci_fail(CI_EFORMAT, __FILE__, __LINE__, "%s: attribute %s is missing", v->path, name);
}
