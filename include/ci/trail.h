#ifndef CI_TRAIL_H
#define CI_TRAIL_H
/** What a training leaves on its way: best.h5, last.h5, and a line of metrics.jsonl for each epoch.
 *
 *  Rank 0 keeps the lines in memory and publishes the whole file with each new one (commit.h).  Not collective. */
#include <stddef.h>
#include <stdint.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/rc.h"

typedef struct ci_trail {
    char best[CI_PATH_MAX], last[CI_PATH_MAX], metrics[CI_PATH_MAX];
    char *line;    /**< (n of cap) bytes of metrics.jsonl; owned */
    size_t n, cap;
} ci_trail;

/** Paths in a run directory; no lines yet.  \return CI_OK or CI_ECONF (too long) */
ci_rc ci_trail_init(ci_trail *t, const char *dir);
void ci_trail_release(ci_trail *t); /**< NULL-safe */

/** One more epoch: its object, which begins with "epoch", as a line of the file.
 *  \return CI_OK, CI_ENOMEM, CI_ECREATE, CI_EIO, CI_EPERM */
ci_rc ci_trail_add(ci_trail *t, const ci_json *epoch);

/** Take up the lines of the epochs before `epoch` from the file: later ones will be computed again.
 *  \return CI_OK, also without a file, or CI_ENOMEM */
ci_rc ci_trail_restore(ci_trail *t, int64_t epoch);

#endif
