#ifndef CI_COMM_H
#define CI_COMM_H
/** Ranks: work alone, agree, act together.  Every collective of the program goes through here.
 *
 *  Each call names its site ("scan.blocks.gather").  Before the operation itself the ranks
 *  exchange (site, how often it was passed); a rank that skipped a site or stands at another one
 *  is seen at once, a rank that does not come within the deadline is seen then, on this host or
 *  another: those who wait tell each other where.  In both cases
 *  every rank says where it is and what it waited for, and the job ends with exit code 75: such
 *  a stop does not return.  A failed MPI call is CI_EMPI on the rank that saw it.
 *
 *  All functions marked collective return the same code on every rank. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"
#include "ci/types.h"

typedef struct ci_comm {
    int rank, size;            /**< of this process, of all                                  */
    int node_rank, node_size;  /**< among the ranks of this host                             */
    struct ci_comm_state *state; /**< owned: communicators, board, deadline, injections      */
} ci_comm;

/** Start MPI (if it is not started yet) and make the communicator of all ranks.  Collective.
 *  argc, argv may be NULL.  Works without mpirun: one rank.
 *  \return CI_OK or CI_EMPI; on CI_OK *out is the caller's, to ci_comm_stop */
ci_rc ci_comm_start(int *argc, char ***argv, ci_comm **out);

/** Free the communicator and end MPI.  Collective.  NULL-safe, leaves *comm NULL.  For runs that end
 *  well, after all that they leave is on disk: MPI sometimes does not end, and then, after 60 s or
 *  the deadline if that is less, the process ends with a warning and exit code 0.  Open MPI's
 *  mpirun, for which MPI_Finalize was not passed, then returns another one. */
void ci_comm_stop(ci_comm **comm);

/** Seconds that a rank waits in one collective for the others; default 600.  Counted anew whenever
 *  another rank of the same host ticks (ci_tick): work that only some ranks have may take longer
 *  than the deadline as long as it gives signs of life.  Ticks are not heard on other hosts: there
 *  the deadline must exceed the longest work that one rank does alone, such as hashing a store or
 *  drawing intervals. */
void ci_comm_deadline(ci_comm *comm, double seconds);

/** What an injection does to one rank at one site, for tests of the behaviour above. */
typedef enum ci_inject_kind {
    CI_INJECT_NONE,
    CI_INJECT_SKIP,  /**< the rank does not enter the collective: returns CI_OK at once       */
    CI_INJECT_DELAY, /**< the rank sleeps `seconds` before it enters                          */
    CI_INJECT_FAIL,  /**< at a ci_agree or gather site: the rank's own code becomes CI_EIO    */
    CI_INJECT_DIE    /**< the rank kills itself with SIGKILL                                  */
} ci_inject_kind;

/** Arm one injection: rank `rank` at the `pass`-th (from 1) passing of `site`.  Not collective;
 *  `site` is copied. */
void ci_comm_inject(ci_comm *comm, ci_inject_kind kind, int rank, const char *site, int pass,
                    double seconds);

/** Write the name of every site passed so far by this rank, one a line, to `path` when the
 *  communicator stops (rank 0 only); how tests learn which sites there are.  `path` is copied. */
void ci_comm_trace(ci_comm *comm, const char *path);

/** A call of a library that waits for all ranks, such as HDF5's collective ones, between guard and
 *  unguard: when it does not return within the deadline, a thread of this module says which ranks
 *  of this host are where (other hosts cannot be asked while MPI waits), and ends the process with 75.  Collective in the sense that every rank
 *  makes the call; the guard itself does not wait.  With comm NULL, or one rank, nothing.
 *  The process ends by _exit: mpirun takes the others down, srun does with --kill-on-bad-exit=1. */
void ci_comm_guard(const ci_comm *comm, const char *site);
void ci_comm_unguard(const ci_comm *comm);

/** End the whole job now with this exit code.  Does not return.  Any rank, not collective. */
void ci_comm_abort(const ci_comm *comm, int exit_code) __attribute__((noreturn));

/** One verdict for all ranks.  Collective.
 *  \return CI_OK everywhere if every rank passed CI_OK; otherwise, everywhere, the code and the
 *          message of the lowest failing rank */
ci_rc ci_agree(const ci_comm *comm, const char *site, ci_rc mine);
#define CI_TRY_ALL(comm, site, call) CI_TRY(ci_agree((comm), (site), (call)))

ci_rc ci_comm_barrier(const ci_comm *comm, const char *site);  /**< collective */

/** n bytes from rank `root` to all.  Collective; n is the same everywhere (any size). */
ci_rc ci_comm_bcast(const ci_comm *comm, const char *site, int root, void *bytes, size_t n);

/** A block of bytes whose size and place only `root` knows.  Collective.  On other ranks *bytes
 *  is allocated (to free()) and *n set; on root both stay as they are. */
ci_rc ci_comm_bcast_new(const ci_comm *comm, const char *site, int root, void **bytes, size_t *n);

/** In-place reductions, the result on every rank.  Collective. */
ci_rc ci_comm_sum_i64(const ci_comm *comm, const char *site, int64_t *v, size_t n);
ci_rc ci_comm_max_i64(const ci_comm *comm, const char *site, int64_t *v, size_t n);
/** Of floats: rounded in an order that hangs on the number of ranks, and the same bits on each of them.  Two runs may differ. */
ci_rc ci_comm_sum_f32(const ci_comm *comm, const char *site, float *v, size_t n);

/** Every rank's n bytes, in the order of ranks, on rank 0.  Collective; n may differ and be 0.
 *  \param [out] out, out_n  on rank 0: allocated, to free(); elsewhere NULL and 0
 *  \param [out] out_first   may be NULL; on rank 0 (size + 1) byte offsets, to free() */
ci_rc ci_comm_gather(const ci_comm *comm, const char *site, const void *mine, size_t n,
                     void **out, size_t *out_n, size_t **out_first);

/** The same on every rank. */
ci_rc ci_comm_allgather(const ci_comm *comm, const char *site, const void *mine, size_t n,
                        void **out, size_t *out_n, size_t **out_first);

/** n bytes from every rank r to rank r + distance, those of the last ones to nobody.  Collective; n may differ and be 0.
 *  \param [out] out, out_n  what came: allocated, to free(); on the first ranks 0 bytes */
ci_rc ci_comm_shift(const ci_comm *comm, const char *site, int distance, const void *mine, size_t n,
                    void **out, size_t *out_n);

/** Exact sum over ranks of n 128-bit integers, in place, on every rank.  Collective.  Terms must
 *  be below 2^126 / size in absolute value. */
ci_rc ci_comm_sum_i128(const ci_comm *comm, const char *site, __int128 *v, size_t n);

/** Cores that this rank may keep busy: those of its mask, over the ranks of its host whose masks
 *  overlap it; at least 1.  Collective.  Open MPI's mpirun pins small jobs to one core a rank: unless
 *  its user said where ranks are to run (--bind-to, --map-by ...:PE=n, --cpu-set, --rankfile), the mask
 *  is widened to all cores first.  A mask that srun gave stays as it is. */
ci_rc ci_comm_cores(const ci_comm *comm, const char *site, int *out);

/** The MPI communicator (an MPI_Comm behind a pointer), for libraries that want one: store/. */
void *ci_comm_handle(const ci_comm *comm);

/** "Open MPI v4.1.4 ..." in one line; works without MPI being started.  Static. */
const char *ci_comm_library(void);

#endif
