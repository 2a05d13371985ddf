#ifndef CI_SPLIT_H
#define CI_SPLIT_H
/** Training and validation graphs of a store, and what one epoch makes of them. */
#include <stdbool.h>
#include "ci/store.h"

/** Each training capture is cut into `blocks` runs of windows, every `every`-th validates (the
 *  first such run is number seed mod every); on the training side of each border
 *  max(1, ceil(W/S) - 1) windows belong to neither (embargo). */
typedef struct ci_split {
    int64_t n_train, n_valid, n_embargo;
    int64_t n_train_attack, n_valid_attack;
    int64_t *train; /**< (n_train) graph numbers, ascending; owned */
    int64_t *valid; /**< (n_valid); owned                          */
    bool leaky;     /**< a leak was found and allowed              */
} ci_split;

/** Not collective: every rank finds the same.  Audited: no row is in a training and a validation
 *  window, and no test capture has the content of a training capture.
 *  \param [in] allow_leak  go on with such a leak, stamped `leaky`
 *  \return CI_OK; CI_ECONF for a leak; CI_EDATA when training or validation lacks a class;
 *          CI_ENOMEM */
ci_rc ci_split_make(const ci_store *st, int32_t blocks, int32_t every, uint32_t seed,
                    bool allow_leak, ci_split *out);
void ci_split_release(ci_split *s); /**< NULL-safe */

/** The shards of a run of graphs: whole graphs in the given order, at most `rows` nodes and
 *  CI_SHARD_GRAPHS(rows) graphs each.
 *  \param [out] first  (n + 1 at most) position of the first graph of each shard, then n
 *  \return number of shards, or -1 when a graph has more than `rows` nodes (its position in
 *          *out_bad) */
#define CI_SHARD_GRAPHS(rows) CI_MAX(1, (rows) / 8)
int64_t ci_shards_cut(const ci_store *st, const int64_t *graph, int64_t n, int32_t rows,
                      int64_t *first, int64_t *out_bad);

#endif
