#ifndef CI_DEVICE_H
#define CI_DEVICE_H
/** Accelerators: what a backend offers, how the program finds one, and which rank has which.  C and C++.
 *
 *  A backend is a shared object with one exported symbol, ci_backend_entry: one table of functions, no other way in.  The program is
 *  linked against none; ci_device_open looks for libcanids_cuda.so beside the program (or at CANIDS_BACKEND, for tests) and says in one
 *  line what is missing: the driver, the libraries of the toolkit, the device.  A CPU rank never loads it.
 *
 *  A ci_dev is one device with one stream in which kernels run in the order of the calls, and a second one for copies ahead of them.
 *  Calls of kernels (ci/kernels.h) return nothing: a launch that fails is remembered with the kernel's name and told by the next
 *  sync, after which the device is of no more use to this process.  One thread of a process uses a ci_dev. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"
#ifdef __cplusplus
extern "C" {
#endif

enum { CI_BACKEND_ABI = 1 };

typedef struct ci_dev ci_dev;             /**< the backend's device */
typedef struct ci_dev_graph ci_dev_graph; /**< calls that are launched together */

typedef struct ci_dev_info {
    char name[64];
    char bus[32];        /**< PCI bus id, "0000:3b:00.0": what makes a device this one       */
    int32_t arch;        /**< 90 is compute capability 9.0                                   */
    int32_t processors;  /**< streaming multiprocessors                                      */
    int32_t driver, runtime; /**< versions, 13000 is 13.0: of the driver, of the toolkit built with */
    size_t bytes, free;  /**< of its memory, and what of it is free now                      */
} ci_dev_info;

/** Codes: CI_ECONF where there is no device that this backend can use (the message says why), CI_ENOMEM where memory is short (the
 *  message has wanted and free bytes), CI_ETEMP for a device or a peer that failed while running: the last checkpoint is what is left. */
typedef struct ci_runtime {
    const char *(*message)(void);                     /**< of this thread's last failure; static */
    ci_rc (*count)(int *out_n);                       /**< devices that this process may use: CUDA_VISIBLE_DEVICES; \return CI_OK (above 0), CI_ECONF */
    ci_rc (*info)(int index, ci_dev_info *out);       /**< without taking the device */
    ci_rc (*open)(int index, ci_dev **out);
    void (*close)(ci_dev **d);                        /**< NULL-safe */
    ci_rc (*alloc)(ci_dev *d, size_t bytes, void **out); /**< 256-byte aligned, not zeroed */
    void (*release)(ci_dev *d, void *p);              /**< NULL-safe */
    ci_rc (*host_alloc)(ci_dev *d, size_t bytes, void **out); /**< pinned; where that cannot be had, plain memory */
    void (*host_release)(ci_dev *d, void *p);
    ci_rc (*memory)(ci_dev *d, size_t *out_free, size_t *out_used); /**< used: what alloc has given out and not got back */

    /* In the stream of kernels.  Host memory must stay until the stream has passed. */
    ci_rc (*upload)(ci_dev *d, void *to, const void *from, size_t bytes);
    ci_rc (*download)(ci_dev *d, void *to, const void *from, size_t bytes);
    ci_rc (*zero)(ci_dev *d, void *to, size_t bytes);
    /** Until the stream has passed all that was asked; CI_ETEMP with the failed kernel's name, or with `site` after `deadline` seconds (0: none). */
    ci_rc (*sync)(ci_dev *d, double deadline, const char *site);

    /* Copies ahead: in a stream of their own. */
    ci_rc (*ahead)(ci_dev *d, void *to, const void *from, size_t bytes);
    ci_rc (*ahead_after)(ci_dev *d); /**< copies asked from here on wait for the kernels asked so far */
    ci_rc (*after_ahead)(ci_dev *d); /**< kernels asked from here on wait for the copies asked so far */
    ci_rc (*ahead_sync)(ci_dev *d);  /**< the host waits for the copies: their memory may be written again */

    /** What is asked of the stream between begin and end is not done but kept, launched as often as one likes.  Pointers and grids are
     *  those of the capture.  No alloc, sync or ahead in between. */
    ci_rc (*capture_begin)(ci_dev *d);
    ci_rc (*capture_end)(ci_dev *d, ci_dev_graph **out);
    ci_rc (*launch)(ci_dev *d, ci_dev_graph *g);
    int (*graph_kernels)(const ci_dev_graph *g); /**< kernels among its nodes */
    void (*graph_destroy)(ci_dev_graph **g);     /**< NULL-safe */
} ci_runtime;

typedef struct ci_backend {
    uint32_t abi;         /**< CI_BACKEND_ABI                                  */
    uint32_t bytes;       /**< of this table                                   */
    uint32_t key;         /**< checksum of the headers that say what calls mean, by the Makefile: a backend of other days is refused */
    const char *name;     /**< "cuda", "emulated"                              */
    const char *arch;     /**< what code is inside: "sm_80 sm_90 compute_90"   */
    const ci_runtime *runtime;
    const struct ci_ring_table *ring; /**< ci/ring.h: NCCL; NULL without       */
    const struct ci_kernels *kernels; /**< ci/kernels.h                        */
} ci_backend;

/** The one exported symbol. */
const ci_backend *ci_backend_entry(void);

/* ---- the program's side, not in the backend ---- */

/** A device that this rank has. */
typedef struct ci_device {
    const ci_backend *backend;
    ci_dev *dev;
    ci_dev_info info;
    void *library; /**< of dlopen */
} ci_device;

/** Load the backend.  Not collective.
 *  \param [out] out_why  when there is none, one line that says what is missing and how to get it
 *  \return true when at least one device can be used; then out_n says how many this process sees */
bool ci_backend_find(const ci_backend **out, void **out_library, int *out_n, char *out_why, size_t size);

/** Device `index` of those this process sees.  \return CI_OK, CI_ECONF, CI_ENOMEM */
ci_rc ci_device_open(int index, ci_device *out);
void ci_device_close(ci_device *d); /**< NULL-safe; leaves *d zero */

/** The code of a call of the backend with its message taken over: CI_TRY(ci_device_rc(d, d->backend->runtime->sync(...))) */
ci_rc ci_device_rc(const ci_device *d, ci_rc rc);

/** How many bytes of device memory may be planned with: what is free less a reserve, or `limit` if that is not 0 and less. */
ci_rc ci_device_budget(const ci_device *d, size_t limit, size_t *out);

#ifdef __cplusplus
}
#endif
#endif
