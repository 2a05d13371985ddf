/* Types and errors of HDF5, in one place. */
#include <stdio.h>
#include <string.h>
#include "h5_priv.h"

static const struct {
    const char *name;
    size_t bytes;
} kinds[] = {
    [CI_TYPE_U8] = {"uint8", 1},     [CI_TYPE_U16] = {"uint16", 2},   [CI_TYPE_U32] = {"uint32", 4},
    [CI_TYPE_I32] = {"int32", 4},    [CI_TYPE_I64] = {"int64", 8},    [CI_TYPE_F16] = {"float16", 2},
    [CI_TYPE_F32] = {"float32", 4},  [CI_TYPE_F64] = {"float64", 8},  [CI_TYPE_TEXT] = {"bytes", 1},
};

size_t ci_type_bytes(ci_type kind)
{
    return kinds[kind].bytes;
}

const char *ci_type_name(ci_type kind)
{
    return kinds[kind].name;
}

void h5_setup(void)
{
    static int done;

    if (done) return;
    done = 1;
    H5dont_atexit(); /* its exit handler has crashed after a failed close */
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

hid_t h5_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

#if H5_VERSION_GE(1, 10, 7)
    /* A file changes under its temporary name alone; where flock() is missing, locking would keep it from being opened. */
    H5Pset_file_locking(access, false, true);
#endif
    return access;
}

/* IEEE half precision is not among HDF5's own types, but h5py knows this one as float16. */
static hid_t half_type(void)
{
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);

    H5Tset_fields(t, 15, 10, 5, 0, 10);
    H5Tset_size(t, 2);
    H5Tset_ebias(t, 15);
    return t;
}

static hid_t text_type(int64_t cols)
{
    hid_t t = H5Tcopy(H5T_C_S1);

    H5Tset_size(t, (size_t)cols);
    H5Tset_strpad(t, H5T_STR_NULLPAD);
    return t;
}

hid_t h5_type(ci_type kind, int64_t cols)
{
    switch (kind) {
    case CI_TYPE_U8: return H5Tcopy(H5T_STD_U8LE);
    case CI_TYPE_U16: return H5Tcopy(H5T_STD_U16LE);
    case CI_TYPE_U32: return H5Tcopy(H5T_STD_U32LE);
    case CI_TYPE_I32: return H5Tcopy(H5T_STD_I32LE);
    case CI_TYPE_I64: return H5Tcopy(H5T_STD_I64LE);
    case CI_TYPE_F16: return half_type();
    case CI_TYPE_F32: return H5Tcopy(H5T_IEEE_F32LE);
    case CI_TYPE_F64: return H5Tcopy(H5T_IEEE_F64LE);
    case CI_TYPE_TEXT: return text_type(cols);
    }
    return H5I_INVALID_HID;
}

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *out)
{
    (void)n;
    snprintf(out, 512, "%s", e->desc ? e->desc : "");
    return 0;
}

ci_rc h5_fail(ci_rc rc, const char *doing, const char *path)
{
    char why[512] = "";

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
    return ci_fail(rc, __FILE__, __LINE__, "%s: %s failed: %s", path, doing,
                   why[0] ? why : "HDF5 gave no reason");
}

const char *ci_h5_library(void)
{
    static char text[64];
    unsigned major, minor, release;

    h5_setup();
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "HDF5 %u.%u.%u, parallel", major, minor, release);
    return text;
}
