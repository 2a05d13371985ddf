#ifndef CI_POOL_H
#define CI_POOL_H
/** Threads of a rank: a job is one function that all of them run at the same time. */
#include <stdatomic.h>
#include "ci/rc.h"

typedef struct ci_pool ci_pool;

/** Start n - 1 threads beside the caller's; n >= 1.  \return CI_OK or CI_ENOMEM */
ci_rc ci_pool_create(int n, ci_pool **out);
void ci_pool_destroy(ci_pool **p); /**< NULL-safe */
int ci_pool_size(const ci_pool *p);

/** Run job(arg, thread) on every thread, 0 <= thread < size, and wait for all.  The message of a
 *  failed thread becomes the caller's.
 *  \return CI_OK, or the code of the lowest thread that failed */
ci_rc ci_pool_run(ci_pool *p, ci_rc (*job)(void *arg, int thread), void *arg);

#endif
