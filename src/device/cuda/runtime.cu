/* ci_runtime by the calls of the CUDA runtime: a device, its two streams, memory, and calls kept as a graph.
 *
 * Nothing is thrown and nothing printed: a failure is a code and a message.  After a failed kernel a device answers everything with
 * that failure, as CUDA itself does after an error of the sticky kind. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ci/cuda.h"

extern const ci_runtime ci_cuda_runtime;

enum { TEXT = 1024 };

struct block {
    void *p;
    size_t bytes;
};

struct ci_dev {
    int index;
    cudaStream_t kernels, copies;
    cudaEvent_t asked, copied; /* what copies wait for, what kernels wait for */
    struct block *block;       /* what alloc has given out */
    int n_block, room;
    size_t used;
    void **pinned;             /* host memory that CUDA gave; what is not here came from malloc */
    int n_pinned, pinned_room;
    const char *last;          /* the kernel asked last, and how many since the last sync */
    long asked_since;
    bool dead;
    bool stuck;                /* by a deadline: what frees memory would wait for what does not end */
    char why[TEXT];            /* of what it died */
};

struct ci_dev_graph {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    int n_kernel;
};

static thread_local char text[TEXT];

static const char *message(void) { return text; }

ci_rc ci_dev_fail(ci_rc rc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return rc;
}

/* 34, 35 and 100 alike are "no device", as far as the program is concerned; so are a device that is not allowed or fits no code. */
static ci_rc code_of(cudaError_t e)
{
    switch ((int)e) {
    case 0: return CI_OK;
    case 2: return CI_ENOMEM;
    case 34: case 35: case 46: case 100: case 101: case 209: case 222: case 802: case 803: case 804: return CI_ECONF;
    default: return CI_ETEMP;
    }
}

ci_rc ci_dev_error(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return CI_OK;
    cudaGetLastError(); /* what is not sticky is told once */
    return ci_dev_fail(code_of(error), "%s: %s (CUDA error %d, %s)", what, cudaGetErrorString(error), (int)error, cudaGetErrorName(error));
}

/* The first failure stays: what follows it is its consequence. */
static ci_rc die(ci_dev *d, ci_rc rc)
{
    if (rc == CI_OK || d->dead) return rc;
    d->dead = true;
    memcpy(d->why, text, sizeof text);
    return rc;
}

/* A kernel that fails while it runs is told by CUDA without its name, long after it was asked: the name is that of the launch only if
 * the launch itself failed, as all do under CUDA_LAUNCH_BLOCKING=1. */
static ci_rc failed_running(ci_dev *d, cudaError_t error, const char *site)
{
    const ci_rc rc = code_of(error) == CI_ENOMEM ? CI_ENOMEM : CI_ETEMP;

    cudaGetLastError();
    ci_dev_fail(rc, "%s: device %d failed in one of %ld kernels, the last asked was %s: %s (CUDA error %d, %s); CUDA_LAUNCH_BLOCKING=1 names the kernel", site,
                d->index, d->asked_since, d->last ? d->last : "none", cudaGetErrorString(error), (int)error, cudaGetErrorName(error));
    return die(d, rc);
}

/* A step takes about a millisecond: who slept through it would come late, who waits longer leaves the core to others. */
static void wait_a_little(double waited)
{
    const struct timespec nap = {.tv_sec = 0, .tv_nsec = 20000};

    if (waited < 2e-3) sched_yield();
    else nanosleep(&nap, NULL);
}

/* Also the first call of another thread: CUDA's current device is one of each thread.  Here a kernel that failed is often seen first. */
static ci_rc enter_for(ci_dev *d, const char *site)
{
    cudaError_t error;

    if (d->dead) return ci_dev_fail(CI_ETEMP, "%s", d->why);
    error = cudaSetDevice(d->index);
    return error == cudaSuccess ? CI_OK : failed_running(d, error, site);
}

static ci_rc enter(ci_dev *d) { return enter_for(d, "what is asked next"); }

static ci_rc doing(ci_dev *d, cudaError_t error, const char *what)
{
    const ci_rc rc = ci_dev_error(error, what);

    return rc == CI_ETEMP ? die(d, rc) : rc;
}

cudaStream_t ci_dev_stream(ci_dev *d) { return d->kernels; }

cudaError_t ci_dev_query(ci_dev *d)
{
    const cudaError_t error = cudaStreamQuery(d->kernels);

    if (error == cudaErrorNotReady) cudaGetLastError();
    return error;
}

void ci_dev_leave(ci_dev *d) { d->stuck = true; }

void ci_dev_launched(ci_dev *d, const char *kernel)
{
    const cudaError_t error = cudaGetLastError();

    d->last = kernel;
    d->asked_since++;
    if (error == cudaSuccess || d->dead) return;
    ci_dev_fail(CI_ETEMP, "device %d: kernel %s could not be launched or failed: %s (CUDA error %d, %s)", d->index, kernel,
                cudaGetErrorString(error), (int)error, cudaGetErrorName(error));
    die(d, CI_ETEMP);
}

/* ---- which devices there are */

static ci_rc no_device(cudaError_t error)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    int driver = 0, runtime = 0;

    cudaGetLastError();
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    switch ((int)error) {
    case 34:
        return ci_dev_fail(CI_ECONF, "the libcuda.so.1 that is found first is the stub of the toolkit, not a driver: take the folder stubs out of LD_LIBRARY_PATH");
    case 35:
        if (driver == 0)
            return ci_dev_fail(CI_ECONF, "no CUDA driver answers (CUDA error 35): install the NVIDIA driver, or run on a node with a GPU");
        return ci_dev_fail(CI_ECONF, "the CUDA driver is older than the toolkit: it knows CUDA %d.%d, the backend was built with %d.%d: update the driver, "
                           "or build canids with CUDA %d.%d", driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    case 0: case 100:
        if (visible)
            return ci_dev_fail(CI_ECONF, "no CUDA device can be used: CUDA_VISIBLE_DEVICES is '%s', which leaves none: unset it, or name devices that there are", visible);
        return ci_dev_fail(CI_ECONF, "no CUDA device: the driver (CUDA %d.%d) finds none: ask the batch system for a GPU, or see nvidia-smi",
                           driver / 1000, driver % 1000 / 10);
    default: {
        char what[160];
        snprintf(what, sizeof what, "CUDA does not start (driver of CUDA %d.%d, toolkit %d.%d)", driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
        ci_dev_error(error, what);
        return CI_ECONF;
    }
    }
}

static ci_rc count(int *out_n)
{
    int n = 0;
    const cudaError_t error = cudaGetDeviceCount(&n);

    *out_n = 0;
    if (error != cudaSuccess || n <= 0) return no_device(error);
    *out_n = n;
    return CI_OK;
}

/* What is free is known to a context alone, which would take the device: so it stays 0 here. */
static ci_rc info(int index, ci_dev_info *out)
{
    cudaDeviceProp p;
    ci_dev_info i;
    ci_rc rc;

    memset(&i, 0, sizeof i);
    rc = ci_dev_error(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
    if (rc == CI_OK) rc = ci_dev_error(cudaDeviceGetPCIBusId(i.bus, sizeof i.bus, index), "cudaDeviceGetPCIBusId");
    if (rc == CI_OK) rc = ci_dev_error(cudaDriverGetVersion(&i.driver), "cudaDriverGetVersion");
    if (rc == CI_OK) rc = ci_dev_error(cudaRuntimeGetVersion(&i.runtime), "cudaRuntimeGetVersion");
    if (rc != CI_OK) return rc;
    snprintf(i.name, sizeof i.name, "%.*s", (int)sizeof i.name - 1, p.name);
    i.arch = p.major * 10 + p.minor;
    i.processors = p.multiProcessorCount;
    i.bytes = p.totalGlobalMem;
    *out = i;
    return CI_OK;
}

/* ---- a device */

/* One thread.  Whether there is code for this device is seen by launching some. */
__global__ static void probe(int *at, int value)
{
    if (blockIdx.x == 0 && threadIdx.x == 0) *at = value;
}

static void close(ci_dev **d)
{
    ci_dev *x = *d;

    *d = NULL;
    if (!x) return;
    if (x->stuck) { /* the end of the process takes the rest */
        free(x->block);
        free(x->pinned);
        free(x);
        return;
    }
    cudaSetDevice(x->index);
    if (x->kernels && !x->dead) cudaStreamSynchronize(x->kernels);
    if (x->copies && !x->dead) cudaStreamSynchronize(x->copies);
    for (int i = 0; i < x->n_block; i++) cudaFree(x->block[i].p);
    for (int i = 0; i < x->n_pinned; i++) cudaFreeHost(x->pinned[i]);
    if (x->asked) cudaEventDestroy(x->asked);
    if (x->copied) cudaEventDestroy(x->copied);
    if (x->kernels) cudaStreamDestroy(x->kernels);
    if (x->copies) cudaStreamDestroy(x->copies);
    cudaGetLastError();
    free(x->block);
    free(x->pinned);
    free(x);
}

static ci_rc try_code(ci_dev *d)
{
    const int want = 0x5a17;
    int got = 0, *at = NULL;
    ci_dev_info i;
    ci_rc rc = ci_dev_error(cudaMalloc((void **)&at, sizeof got), "cudaMalloc");

    if (rc != CI_OK) return rc;
    rc = info(d->index, &i);
    if (rc == CI_OK) {
        CI_LAUNCH(d, probe, 1, 32, 0, at, want);
        if (d->dead)
            rc = ci_dev_fail(CI_ECONF, "device %d (%s, sm_%d) cannot be used: this backend may have no code for it: %s", d->index, i.name, i.arch, d->why);
    }
    if (rc == CI_OK) rc = ci_dev_error(cudaMemcpyAsync(&got, at, sizeof got, cudaMemcpyDeviceToHost, d->kernels), "cudaMemcpyAsync");
    if (rc == CI_OK) rc = ci_dev_error(cudaStreamSynchronize(d->kernels), "the first kernel on the device");
    if (rc == CI_OK && got != want) rc = ci_dev_fail(CI_ETEMP, "device %d (%s) answers %d where %d was asked: it is not in order", d->index, i.name, got, want);
    cudaFree(at);
    d->asked_since = 0;
    return rc;
}

static ci_rc open(int index, ci_dev **out)
{
    ci_dev *d = (ci_dev *)calloc(1, sizeof *d);
    ci_rc rc;

    *out = NULL;
    if (!d) return ci_dev_fail(CI_ENOMEM, "the state of a device");
    d->index = index;
    rc = ci_dev_error(cudaSetDevice(index), "cudaSetDevice");
    if (rc == CI_OK) rc = ci_dev_error(cudaStreamCreateWithFlags(&d->kernels, cudaStreamNonBlocking), "cudaStreamCreate");
    if (rc == CI_OK) rc = ci_dev_error(cudaStreamCreateWithFlags(&d->copies, cudaStreamNonBlocking), "cudaStreamCreate");
    if (rc == CI_OK) rc = ci_dev_error(cudaEventCreateWithFlags(&d->asked, cudaEventDisableTiming), "cudaEventCreate");
    if (rc == CI_OK) rc = ci_dev_error(cudaEventCreateWithFlags(&d->copied, cudaEventDisableTiming), "cudaEventCreate");
    if (rc == CI_OK) rc = try_code(d);
    if (rc != CI_OK) {
        close(&d);
        return rc == CI_ENOMEM ? rc : CI_ECONF; /* nothing has been lost yet: a device that cannot be had */
    }
    *out = d;
    return CI_OK;
}

/* ---- memory */

/* Room for one more item of `size` bytes. */
static bool more(void **items, int n, int *room, size_t size)
{
    const int to = *room > 0 ? 2 * *room : 64;
    void *p;

    if (n < *room) return true;
    p = realloc(*items, (size_t)to * size);
    if (!p) return false;
    *items = p;
    *room = to;
    return true;
}

static ci_rc memory(ci_dev *d, size_t *out_free, size_t *out_used)
{
    size_t unused = 0, total = 0;
    ci_rc rc = enter(d);

    if (rc == CI_OK) rc = doing(d, cudaMemGetInfo(&unused, &total), "cudaMemGetInfo");
    if (rc != CI_OK) return rc;
    *out_free = unused;
    *out_used = d->used;
    return CI_OK;
}

static ci_rc alloc(ci_dev *d, size_t bytes, void **out)
{
    size_t unused = 0, total = 0;
    cudaError_t error;
    ci_rc rc = enter(d);

    *out = NULL;
    if (rc != CI_OK) return rc;
    if (!more((void **)&d->block, d->n_block, &d->room, sizeof *d->block)) return ci_dev_fail(CI_ENOMEM, "the list of a device's memory");
    error = cudaMalloc(out, bytes > 0 ? bytes : 1);
    if (code_of(error) == CI_ENOMEM) {
        cudaGetLastError();
        *out = NULL;
        if (cudaMemGetInfo(&unused, &total) != cudaSuccess) unused = total = 0;
        return ci_dev_fail(CI_ENOMEM, "device %d is out of memory: %zu bytes were wanted, %zu of %zu are free, %zu are in use by this rank",
                           d->index, bytes, unused, total, d->used);
    }
    rc = doing(d, error, "cudaMalloc");
    if (rc != CI_OK) return rc;
    d->block[d->n_block++] = (struct block){*out, bytes};
    d->used += bytes;
    return CI_OK;
}

static void release(ci_dev *d, void *p)
{
    if (!p || d->stuck) return;
    for (int i = d->n_block - 1; i >= 0; i--) {
        if (d->block[i].p != p) continue;
        d->used -= d->block[i].bytes;
        d->block[i] = d->block[--d->n_block];
        cudaSetDevice(d->index);
        cudaFree(p);
        cudaGetLastError();
        return;
    }
}

/* Memory that cannot be pinned (a limit, a container) makes copies slower, not wrong. */
static ci_rc host_alloc(ci_dev *d, size_t bytes, void **out)
{
    ci_rc rc = enter(d);

    *out = NULL;
    if (rc != CI_OK) return rc;
    if (!more((void **)&d->pinned, d->n_pinned, &d->pinned_room, sizeof *d->pinned)) return ci_dev_fail(CI_ENOMEM, "the list of pinned memory");
    if (cudaMallocHost(out, bytes > 0 ? bytes : 1) == cudaSuccess) {
        d->pinned[d->n_pinned++] = *out;
        return CI_OK;
    }
    cudaGetLastError();
    *out = NULL;
    if (posix_memalign(out, 256, bytes > 0 ? bytes : 1) != 0) {
        *out = NULL;
        return ci_dev_fail(CI_ENOMEM, "%zu bytes of host memory", bytes);
    }
    return CI_OK;
}

static void host_release(ci_dev *d, void *p)
{
    if (!p || d->stuck) return;
    for (int i = d->n_pinned - 1; i >= 0; i--) {
        if (d->pinned[i] != p) continue;
        d->pinned[i] = d->pinned[--d->n_pinned];
        cudaSetDevice(d->index);
        cudaFreeHost(p);
        cudaGetLastError();
        return;
    }
    free(p);
}

/* ---- the stream of kernels */

static ci_rc upload(ci_dev *d, void *to, const void *from, size_t bytes)
{
    const ci_rc rc = enter(d);

    if (rc != CI_OK || bytes == 0) return rc;
    return doing(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, d->kernels), "a copy to the device");
}

static ci_rc download(ci_dev *d, void *to, const void *from, size_t bytes)
{
    const ci_rc rc = enter(d);

    if (rc != CI_OK || bytes == 0) return rc;
    return doing(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, d->kernels), "a copy from the device");
}

static ci_rc zero(ci_dev *d, void *to, size_t bytes)
{
    const ci_rc rc = enter(d);

    if (rc != CI_OK || bytes == 0) return rc;
    return doing(d, cudaMemsetAsync(to, 0, bytes, d->kernels), "cudaMemsetAsync");
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ci_rc sync(ci_dev *d, double deadline, const char *site)
{
    const double start = now();
    cudaError_t error;
    ci_rc rc = enter_for(d, site);

    if (rc != CI_OK) return rc;
    while ((error = ci_dev_query(d)) == cudaErrorNotReady) {
        const double waited = now() - start;
        wait_a_little(waited);
        if (deadline > 0 && waited > deadline) {
            ci_dev_fail(CI_ETEMP, "%s: device %d has not finished in %g s; %ld kernels were asked, the last was %s", site, d->index, deadline,
                        d->asked_since, d->last ? d->last : "none");
            d->stuck = true;
            return die(d, CI_ETEMP);
        }
    }
    if (error != cudaSuccess) return failed_running(d, error, site);
    d->asked_since = 0;
    return CI_OK;
}

/* ---- copies ahead */

static ci_rc ahead(ci_dev *d, void *to, const void *from, size_t bytes)
{
    const ci_rc rc = enter(d);

    if (rc != CI_OK || bytes == 0) return rc;
    return doing(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, d->copies), "a copy to the device");
}

static ci_rc ahead_after(ci_dev *d)
{
    ci_rc rc = enter(d);

    if (rc == CI_OK) rc = doing(d, cudaEventRecord(d->asked, d->kernels), "cudaEventRecord");
    if (rc == CI_OK) rc = doing(d, cudaStreamWaitEvent(d->copies, d->asked, 0), "cudaStreamWaitEvent");
    return rc;
}

static ci_rc after_ahead(ci_dev *d)
{
    ci_rc rc = enter(d);

    if (rc == CI_OK) rc = doing(d, cudaEventRecord(d->copied, d->copies), "cudaEventRecord");
    if (rc == CI_OK) rc = doing(d, cudaStreamWaitEvent(d->kernels, d->copied, 0), "cudaStreamWaitEvent");
    return rc;
}

static ci_rc ahead_sync(ci_dev *d)
{
    const ci_rc rc = enter(d);

    return rc != CI_OK ? rc : doing(d, cudaStreamSynchronize(d->copies), "copies to the device");
}

/* ---- calls kept and launched together */

static ci_rc capture_begin(ci_dev *d)
{
    const ci_rc rc = enter(d);

    return rc != CI_OK ? rc : doing(d, cudaStreamBeginCapture(d->kernels, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

static void graph_destroy(ci_dev_graph **g)
{
    ci_dev_graph *x = *g;

    *g = NULL;
    if (!x) return;
    if (x->exec) cudaGraphExecDestroy(x->exec);
    if (x->graph) cudaGraphDestroy(x->graph);
    cudaGetLastError();
    free(x);
}

static ci_rc count_kernels(ci_dev *d, ci_dev_graph *g)
{
    size_t n = 0;
    cudaGraphNode_t *node = NULL;
    ci_rc rc = doing(d, cudaGraphGetNodes(g->graph, NULL, &n), "cudaGraphGetNodes");

    if (rc != CI_OK || n == 0) return rc;
    node = (cudaGraphNode_t *)calloc(n, sizeof *node);
    if (!node) return ci_dev_fail(CI_ENOMEM, "the %zu nodes of a graph", n);
    rc = doing(d, cudaGraphGetNodes(g->graph, node, &n), "cudaGraphGetNodes");
    for (size_t i = 0; rc == CI_OK && i < n; i++) {
        enum cudaGraphNodeType type;
        rc = doing(d, cudaGraphNodeGetType(node[i], &type), "cudaGraphNodeGetType");
        if (rc == CI_OK) g->n_kernel += type == cudaGraphNodeTypeKernel;
    }
    free(node);
    return rc;
}

static cudaError_t instantiate(ci_dev_graph *g)
{
#if CUDART_VERSION >= 12000
    return cudaGraphInstantiate(&g->exec, g->graph, 0);
#else
    return cudaGraphInstantiate(&g->exec, g->graph, NULL, NULL, 0);
#endif
}

static ci_rc capture_end(ci_dev *d, ci_dev_graph **out)
{
    ci_dev_graph *g = (ci_dev_graph *)calloc(1, sizeof *g);
    cudaGraph_t ended = NULL;
    const cudaError_t error = cudaStreamEndCapture(d->kernels, &ended); /* before any return: the stream must not stay as it is */
    ci_rc rc = enter(d);

    *out = NULL;
    if (rc == CI_OK) rc = doing(d, error, "cudaStreamEndCapture");
    if (!g) {
        if (ended) cudaGraphDestroy(ended);
        return rc != CI_OK ? rc : ci_dev_fail(CI_ENOMEM, "a graph");
    }
    g->graph = ended;
    if (rc == CI_OK) rc = count_kernels(d, g);
    if (rc == CI_OK) rc = doing(d, instantiate(g), "cudaGraphInstantiate");
    if (rc != CI_OK) {
        graph_destroy(&g);
        return rc;
    }
    d->asked_since = 0;
    *out = g;
    return CI_OK;
}

static ci_rc launch(ci_dev *d, ci_dev_graph *g)
{
    const ci_rc rc = enter(d);

    if (rc != CI_OK) return rc;
    d->last = "a graph";
    d->asked_since += g->n_kernel;
    return doing(d, cudaGraphLaunch(g->exec, d->kernels), "cudaGraphLaunch");
}

static int graph_kernels(const ci_dev_graph *g) { return g->n_kernel; }

const ci_runtime ci_cuda_runtime = {
    message, count, info, open, close, alloc, release, host_alloc, host_release, memory, upload, download, zero, sync,
    ahead, ahead_after, after_ahead, ahead_sync, capture_begin, capture_end, launch, graph_kernels, graph_destroy,
};
