#ifndef CI_RING_H
#define CI_RING_H
/** Sums over the devices of all ranks: NCCL, bootstrapped over MPI.  No device pointer ever reaches MPI.
 *
 *  Calls are asked of the device's stream and may be captured; nothing blocks but start.  Whether a peer was lost is seen while waiting
 *  (sync): the communicator is aborted, every rank ends with CI_ETEMP, its rank and the site. */
#include "ci/device.h"
#ifdef __cplusplus
extern "C" {
#endif

enum { CI_RING_ID = 128 }; /**< bytes */

typedef struct ci_dev_ring ci_dev_ring;

typedef struct ci_ring_table {
    const char *name; /**< "NCCL 2.28.9" */
    ci_rc (*id)(unsigned char out[CI_RING_ID]);
    /** Non-blocking, polled until all are there; after `deadline` seconds aborted: CI_ETEMP. */
    ci_rc (*start)(ci_dev *d, int n_rank, int rank, const unsigned char id[CI_RING_ID], double deadline, ci_dev_ring **out);
    void (*stop)(ci_dev_ring **r);  /**< NULL-safe; after a failure: abort */
    ci_rc (*sum_i64)(ci_dev_ring *r, int64_t *v, size_t n);
    ci_rc (*max_i64)(ci_dev_ring *r, int64_t *v, size_t n);
    ci_rc (*sum_f32)(ci_dev_ring *r, float *v, size_t n);
    ci_rc (*gather_f64)(ci_dev_ring *r, const double *own, double *all, size_t n); /**< all: (n_rank, n) */
    /** As ci_runtime.sync, watching the peers, too.  CI_ETEMP: a peer or the network failed, or the deadline passed; aborted. */
    ci_rc (*sync)(ci_dev_ring *r, double deadline, const char *site);
} ci_ring_table;

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus
#include "ci/comm.h"

/** Which rank has which device: those of one host take the visible ones by their local order.  Collective.
 *  \param [in]  want  "auto", "cpu" or "cuda"
 *  \param [out] out   dev NULL: this rank computes on the CPU, as all of them do then
 *  \return CI_OK, the same on every rank; CI_ECONF: "cuda" and none can be had (why, and on which host), more ranks on a host than
 *          devices, or two ranks on one device (host, ranks, bus id), each with the number of ranks that would fit */
ci_rc ci_device_assign(const ci_comm *comm, const char *want, ci_device *out);

typedef struct ci_ring {
    const ci_comm *comm;
    const ci_device *device;
    ci_dev_ring *ring; /**< NULL with one rank: sums are what they are */
} ci_ring;

/** Collective.  \return CI_OK, CI_ECONF (a backend without NCCL, more than one rank), CI_ETEMP (a peer did not come) */
ci_rc ci_ring_start(const ci_comm *comm, const ci_device *d, double deadline, ci_ring *out);
void ci_ring_stop(ci_ring *r); /**< NULL-safe */

/** Enqueue; with one rank nothing.  Codes as ci_ring_table. */
ci_rc ci_ring_sum_i64(const ci_ring *r, int64_t *v, size_t n);
ci_rc ci_ring_max_i64(const ci_ring *r, int64_t *v, size_t n);
ci_rc ci_ring_sum_f32(const ci_ring *r, float *v, size_t n);
/** all (n_rank, n); with one rank a copy that the caller need not make: pass all == own. */
ci_rc ci_ring_gather_f64(const ci_ring *r, const double *own, double *all, size_t n);
/** Wait for the stream.  CI_ETEMP names rank and site; the caller leaves for good: the others cannot be waited for. */
ci_rc ci_ring_sync(const ci_ring *r, double deadline, const char *site);
#endif
#endif
