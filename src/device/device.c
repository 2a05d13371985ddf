#define _GNU_SOURCE
/* The program's side of a device: where the backend is, whether it is of this build, and what stands in its way. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/commit.h"
#include "ci/device.h"

static const char *const library_name = "libcanids_cuda.so";

#define WHY(...) (snprintf(why, size, __VA_ARGS__), false)

static bool says_no(char *why, size_t size, const char *path, const char *error)
{
    static const char tail[] = ": cannot open shared object file";
    const char *at = error ? strstr(error, tail) : NULL;

    if (at && strncmp(error, path, strlen(path)) != 0)
        return WHY("%.*s is missing, which %s needs: put its folder into LD_LIBRARY_PATH, or load the module it comes with", (int)(at - error), error, path);
    return WHY("%s cannot be loaded: %s", path, error ? error : "no reason was given");
}

/* Beside the program, as it is built, or where make install puts it. */
static bool beside(char *path, char *why, size_t size)
{
    static const char *const where[] = {"", "../lib/canids/"};
    char exe[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash;

    if (n <= 0) return WHY("no CUDA backend: /proc/self/exe cannot be read, so that nothing is known of what is beside the program");
    exe[n] = 0;
    slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    for (size_t i = 0; i < sizeof where / sizeof where[0]; i++)
        if (snprintf(path, CI_PATH_MAX, "%s/%s%s", exe, where[i], library_name) < CI_PATH_MAX && access(path, R_OK) == 0) return true;
    return WHY("no CUDA backend: there is no %s in %s or %s/../lib/canids: build with CUDA=1, where nvcc is", library_name, exe, exe);
}

static bool suits(const ci_backend *b, const char *path, char *why, size_t size)
{
    if (!b) return WHY("%s has no table", path);
    if (b->abi != CI_BACKEND_ABI)
        return WHY("%s is of ABI %u and this program of ABI %d: install both from one build", path, b->abi, (int)CI_BACKEND_ABI);
    if (b->bytes != sizeof(ci_backend))
        return WHY("%s has a table of %u bytes where this program has %zu: install both from one build", path, b->bytes, sizeof(ci_backend));
    if (b->key != CI_BACKEND_KEY)
        return WHY("%s has kernels of contract %08x and this program asks by %08x: build and install both together", path, b->key,
                   (unsigned)CI_BACKEND_KEY);
    if (!b->runtime || !b->kernels) return WHY("%s has an empty table", path);
    return true;
}

/* The driver is asked for first: that costs nothing where there is none, and the backend brings hundreds of megabytes with it. */
static bool look(const ci_backend **out, void **out_library, int *out_n, char *why, size_t size)
{
    const char *given = secure_getenv("CANIDS_BACKEND");
    char path[CI_PATH_MAX];
    const ci_backend *(*entry)(void) = NULL;
    void *library;

    if (given && *given) {
        if (snprintf(path, sizeof path, "%s", given) >= (int)sizeof path) return WHY("CANIDS_BACKEND is longer than a path can be");
        if (access(path, R_OK) != 0) return WHY("no CUDA backend: CANIDS_BACKEND names %s, which cannot be read", path);
    } else {
        if (!dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL))
            return WHY("no CUDA driver: libcuda.so.1 cannot be opened: install the NVIDIA driver, or run on a node with a GPU");
        if (!beside(path, why, size)) return false;
    }
    /* Never unloaded: the runtime of CUDA has things to do when the process ends. */
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) return says_no(why, size, path, dlerror());
    *(void **)&entry = dlsym(library, "ci_backend_entry");
    if (!entry) {
        dlclose(library);
        return WHY("%s is no backend of canids: it has no symbol ci_backend_entry", path);
    }
    *out = entry();
    if (!suits(*out, path, why, size)) {
        dlclose(library);
        return false;
    }
    if ((*out)->runtime->count(out_n) != CI_OK) {
        snprintf(why, size, "%s", (*out)->runtime->message());
        dlclose(library);
        return false;
    }
    *out_library = library;
    return true;
}

bool ci_backend_find(const ci_backend **out, void **out_library, int *out_n, char *out_why, size_t size)
{
    *out = NULL;
    *out_library = NULL;
    *out_n = 0;
    out_why[0] = 0;
    if (look(out, out_library, out_n, out_why, size)) return true;
    *out = NULL;
    *out_n = 0;
    return false;
}

ci_rc ci_device_open(int index, ci_device *out)
{
    ci_rc rc = CI_OK;
    ci_device d = {0};
    char why[512];
    size_t used;
    int n;

    *out = (ci_device){0};
    if (!ci_backend_find(&d.backend, &d.library, &n, why, sizeof why)) CI_FAIL(CI_ECONF, "%s", why);
    if (index < 0 || index >= n) CI_FAIL(CI_ECONF, "there is no device %d: this process sees %d (CUDA_VISIBLE_DEVICES), counted from 0", index, n);
    CI_TRY(ci_device_rc(&d, d.backend->runtime->info(index, &d.info)));
    CI_TRY(ci_device_rc(&d, d.backend->runtime->open(index, &d.dev)));
    CI_TRY(ci_device_rc(&d, d.backend->runtime->memory(d.dev, &d.info.free, &used)));
    *out = d;
    d = (ci_device){0};
done:
    ci_device_close(&d);
    return rc;
}

void ci_device_close(ci_device *d)
{
    if (!d) return;
    if (d->dev) d->backend->runtime->close(&d->dev);
    if (d->library) dlclose(d->library);
    *d = (ci_device){0};
}

ci_rc ci_device_rc(const ci_device *d, ci_rc rc)
{
    return rc == CI_OK ? CI_OK : ci_fail(rc, __FILE__, __LINE__, "%s", d->backend->runtime->message());
}

/* What kernels need when they are first launched, NCCL's buffers and other programs are not known beforehand: a sixteenth stays
 * free, at most 512 MiB. */
ci_rc ci_device_budget(const ci_device *d, size_t limit, size_t *out)
{
    ci_rc rc = CI_OK;
    size_t unused = 0, used = 0, budget, reserve;

    CI_TRY(ci_device_rc(d, d->backend->runtime->memory(d->dev, &unused, &used)));
    reserve = unused / 16 < (size_t)512 << 20 ? unused / 16 : (size_t)512 << 20;
    budget = unused - reserve;
    *out = limit > 0 && limit < budget ? limit : budget;
done:
    return rc;
}
