/* ci_ring_table by NCCL: communicators that do not block, so that a peer that is gone is seen and not waited for for ever.
 *
 * Every call of NCCL on such a communicator may answer "in progress"; the next one may come only when that is over.  Wherever a
 * failure is seen the communicator is aborted at once: its kernels end, and the stream with them.
 *
 * The abort itself comes back only when the last graph that has calls of the communicator is destroyed, as do all ends of it in NCCL; and
 * graphs are destroyed by who waits here for the answer.  So a thread of its own aborts. */
#include <nccl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ci/cuda.h"
#include "ci/ring.h"

extern const ci_runtime ci_cuda_runtime; /* src/device/cuda */
extern const ci_ring_table ci_cuda_ring;

static const double patience = 10; /* seconds for an abort to be over; after them it is left alone */

/* A communicator on its way out. */
typedef struct ending {
    ncclComm_t comm;
    pthread_t thread;
    int over;
} ending;

struct ci_dev_ring {
    ci_dev *dev;
    ncclComm_t comm;   /* NULL once aborted */
    ending *aborted;   /* or NULL           */
    int rank, n_rank;
    double deadline;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(void)
{
    const struct timespec t = {.tv_sec = 0, .tv_nsec = 20000};

    nanosleep(&t, NULL);
}

static void *abort_run(void *arg)
{
    ending *a = (ending *)arg;

    ncclCommAbort(a->comm);
    __atomic_store_n(&a->over, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void drop(ci_dev_ring *r)
{
    ending *a = (ending *)calloc(1, sizeof *a);

    if (!r->comm || !a) {
        free(a);
        if (r->comm) ci_dev_leave(r->dev); /* its kernels go on */
        r->comm = NULL;
        return;
    }
    a->comm = r->comm;
    r->comm = NULL;
    if (pthread_create(&a->thread, NULL, abort_run, a) == 0) {
        r->aborted = a;
        return;
    }
    free(a);
    ci_dev_leave(r->dev);
}

/* The abort is over, or never will be: then its thread keeps what it has. */
static void settle(ci_dev_ring *r)
{
    const double begin = now();
    ending *a = r->aborted;

    r->aborted = NULL;
    if (!a) return;
    while (!__atomic_load_n(&a->over, __ATOMIC_ACQUIRE)) {
        if (now() - begin > patience) {
            pthread_detach(a->thread);
            return;
        }
        nap();
    }
    pthread_join(a->thread, NULL);
    free(a);
}

/* What is on the device ends soon after an abort; if it does not, nobody shall wait for it. */
static void calm(ci_dev_ring *r)
{
    const double begin = now();

    while (ci_dev_query(r->dev) == cudaErrorNotReady) {
        if (now() - begin > patience) {
            ci_dev_leave(r->dev);
            return;
        }
        nap();
    }
    cudaGetLastError();
}

static ci_rc lost(ci_dev_ring *r, const char *site, ncclResult_t why)
{
    const char *words = ncclGetLastError(r->comm);

    ci_dev_fail(CI_ETEMP, "%s: rank %d of %d: a peer or the network failed: %s (NCCL error %d)%s%.400s", site, r->rank, r->n_rank, ncclGetErrorString(why),
                (int)why, words && *words ? ": " : "", words ? words : "");
    drop(r);
    return CI_ETEMP;
}

static ci_rc late(ci_dev_ring *r, const char *site, double deadline)
{
    drop(r);
    return ci_dev_fail(CI_ETEMP, "%s: rank %d of %d has waited %g s for its peers: one was lost, or is slower than comm.deadline", site, r->rank, r->n_rank,
                       deadline);
}

/* Until what was asked of NCCL is asked, as far as this rank is concerned. */
static ci_rc asked(ci_dev_ring *r, const char *site, ncclResult_t result, double deadline)
{
    const double start = now();

    while (result == ncclInProgress) {
        const ncclResult_t could = ncclCommGetAsyncError(r->comm, &result);
        if (could != ncclSuccess) result = could;
        if (result != ncclInProgress) break;
        if (deadline > 0 && now() - start > deadline) return late(r, site, deadline);
        nap();
    }
    return result == ncclSuccess ? CI_OK : lost(r, site, result);
}

static ci_rc id(unsigned char out[CI_RING_ID])
{
    ncclUniqueId unique;
    ncclResult_t result;

    static_assert(sizeof unique.internal == CI_RING_ID, "an id of NCCL has another size");
    result = ncclGetUniqueId(&unique);
    if (result != ncclSuccess) return ci_dev_fail(CI_ETEMP, "NCCL finds no way to its peers: %s; NCCL_DEBUG=INFO tells more", ncclGetErrorString(result));
    memcpy(out, unique.internal, CI_RING_ID);
    return CI_OK;
}

/* With a device that has failed the peers are not asked to end together: that would wait for them, and they for this rank. */
static void stop(ci_dev_ring **ring)
{
    ci_dev_ring *r = *ring;
    size_t unused, used;

    *ring = NULL;
    if (!r) return;
    if (ci_cuda_runtime.memory(r->dev, &unused, &used) != CI_OK) drop(r);
    if (r->comm && asked(r, "ring.stop", ncclCommFinalize(r->comm), r->deadline) == CI_OK) ncclCommDestroy(r->comm);
    settle(r);
    free(r);
}

static ci_rc start(ci_dev *d, int n_rank, int rank, const unsigned char in[CI_RING_ID], double deadline, ci_dev_ring **out)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId unique;
    ci_dev_ring *r = (ci_dev_ring *)calloc(1, sizeof *r);
    ncclResult_t result;
    ci_rc rc;

    *out = NULL;
    if (!r) return ci_dev_fail(CI_ENOMEM, "the state of a ring");
    r->dev = d;
    r->n_rank = n_rank;
    r->rank = rank;
    r->deadline = deadline;
    config.blocking = 0;
    memcpy(unique.internal, in, CI_RING_ID);
    result = ncclCommInitRankConfig(&r->comm, n_rank, unique, rank, &config);
    rc = r->comm ? asked(r, "ring.start", result, deadline)
                 : ci_dev_fail(CI_ETEMP, "ring.start: rank %d of %d: NCCL does not start: %s", rank, n_rank, ncclGetErrorString(result));
    if (rc != CI_OK) {
        drop(r);
        settle(r);
        free(r);
        return rc;
    }
    *out = r;
    return CI_OK;
}

static ci_rc gone(const ci_dev_ring *r)
{
    return ci_dev_fail(CI_ETEMP, "rank %d of %d: its peers are lost already", r->rank, r->n_rank);
}

static ci_rc reduce(ci_dev_ring *r, const char *site, void *v, size_t n, ncclDataType_t type, ncclRedOp_t op)
{
    if (!r->comm) return gone(r);
    if (n == 0) return CI_OK;
    return asked(r, site, ncclAllReduce(v, v, n, type, op, r->comm, ci_dev_stream(r->dev)), r->deadline);
}

static ci_rc sum_i64(ci_dev_ring *r, int64_t *v, size_t n) { return reduce(r, "ring.sum_i64", v, n, ncclInt64, ncclSum); }
static ci_rc max_i64(ci_dev_ring *r, int64_t *v, size_t n) { return reduce(r, "ring.max_i64", v, n, ncclInt64, ncclMax); }
static ci_rc sum_f32(ci_dev_ring *r, float *v, size_t n) { return reduce(r, "ring.sum_f32", v, n, ncclFloat32, ncclSum); }

static ci_rc gather_f64(ci_dev_ring *r, const double *own, double *all, size_t n)
{
    if (!r->comm) return gone(r);
    if (n == 0) return CI_OK;
    return asked(r, "ring.gather_f64", ncclAllGather(own, all, n, ncclFloat64, r->comm, ci_dev_stream(r->dev)), r->deadline);
}

/* Of the stream and of the peers in turn: a kernel of NCCL whose peer is gone does not end by itself. */
static ci_rc watch(ci_dev_ring *r, double deadline, const char *site)
{
    const double begin = now();

    while (ci_dev_query(r->dev) == cudaErrorNotReady) {
        const double waited = now() - begin;
        if (waited < 2e-3) { /* a step takes about a millisecond */
            sched_yield();
            continue;
        }
        ncclResult_t state = ncclSuccess;
        const ncclResult_t could = ncclCommGetAsyncError(r->comm, &state);
        if (could != ncclSuccess) state = could;
        if (state != ncclSuccess && state != ncclInProgress) return lost(r, site, state);
        if (deadline > 0 && waited > deadline) return late(r, site, deadline);
        nap();
    }
    return CI_OK;
}

static ci_rc sync(ci_dev_ring *r, double deadline, const char *site)
{
    ci_rc rc;

    if (!r->comm) return gone(r);
    rc = watch(r, deadline, site);
    if (rc != CI_OK) {
        calm(r);
        return rc;
    }
    rc = ci_cuda_runtime.sync(r->dev, deadline, site);
    if (rc != CI_OK) drop(r); /* the message is the device's */
    return rc;
}

#define WORD_(x) #x
#define WORD(x) WORD_(x)
const ci_ring_table ci_cuda_ring = {
    "NCCL " WORD(NCCL_MAJOR) "." WORD(NCCL_MINOR) "." WORD(NCCL_PATCH), id, start, stop, sum_i64, max_i64, sum_f32, gather_f64, sync,
};
