#ifndef CI_SPLIT_H
#define CI_SPLIT_H
/** Training and validation graphs of a store, and what one epoch makes of them. */
#include <stdbool.h>
#include "ci/conf.h"
#include "ci/store.h"

/** What split.folds leaves out in turn: whole captures, so that a model is judged on windows of which it has seen nothing.
 *
 *      vehicle   the captures of one of data.vehicles, in their order; those of none of them are one fold more, the last, for
 *                two of unknown vehicles may be of one
 *      capture   one capture
 *      attack    the captures of one kind of attack (by their names), in order of its code; those without attack are in
 *                no fold and always learned from
 *
 *  A capture with injected attacks (folder role 2) is in the fold of the capture it was made from, its base: number b of the
 *  training captures in order, from 1, where its name ends in -b<b>-c<copy>.csv.  Test captures are in no fold.
 *
 *  The vocabulary is that of all training captures: a model that sees identifiers (model.id_dim) knows those of a capture left
 *  out for known ones, though it has learned nothing of them.  Training warns of it. */
enum { CI_FOLDS_MAX = 256 };

typedef struct ci_folds {
    int32_t n;                   /**< 0 with split.folds: none                                       */
    int32_t *of;                 /**< (captures of the store) fold of each, -1: of none; owned       */
    char (*name)[CI_STORE_TEXT]; /**< (n) a vehicle, "unknown vehicle", a capture's path, an attack; owned */
} ci_folds;

/** Not collective: every rank finds the same.
 *  \return CI_OK; CI_ECONF when there are not two folds, or more than CI_FOLDS_MAX; CI_EDATA when an injected capture has no base here, or is said to be
 *          of another vehicle than that; CI_ENOMEM */
ci_rc ci_folds_find(const ci_store *st, const ci_conf *conf, ci_folds *out);
void ci_folds_release(ci_folds *f); /**< NULL-safe */

/** Are captures with injected attacks learned from: are there any, and is train.injected `with`? */
bool ci_injected_used(const ci_store *st, const ci_conf *conf);

/** Blocked: each training capture is cut into `blocks` runs of windows, every `every`-th validates
 *  (the first such run is number seed mod every); on the training side of each border
 *  max(1, ceil(W/S) - 1) windows belong to neither (embargo).  An injected capture is cut like others, on its own: frames
 *  of its base may train in one and validate in the other, and only split.folds tells how well a model does on others.
 *
 *  Random: floor(share n) of the n training windows validate, the first ones of the permutation that
 *  the seed gives (ci_permutation, CI_RANDOM_SPLIT, epoch 0); the others train.  Neighbours, and with
 *  S < W shared rows, land on both sides: a leak by construction.  Source: reference-system.md 4.8. */
typedef struct ci_split_conf {
    bool random;
    int32_t blocks, every; /**< blocked                                                         */
    double share;          /**< random                                                          */
    uint32_t seed;
    bool allow_leak;       /**< go on with a leak, stamped `leaky`; random is not made without  */
    bool need_attacks;     /**< for a classifier: both classes on both sides; else benign ones  */
    const ci_conf *conf;   /**< split.folds, split.fold and train.injected, which leave out whole captures; borrowed; NULL: none is */
} ci_split_conf;

typedef struct ci_split {
    int64_t n_train, n_valid, n_embargo;
    int64_t n_out;  /**< of captures that split.fold or train.injected leaves out */
    int64_t n_cold; /**< windows too early in their stream (ci_store_warm): in neither */
    int64_t n_train_attack, n_valid_attack;
    int64_t *train; /**< (n_train) graph numbers, ascending; owned */
    int64_t *valid; /**< (n_valid); owned                          */
    bool leaky;     /**< a leak was found and allowed              */
} ci_split;

/** Not collective: every rank finds the same.  Audited: no row of a capture is in a training and a validation
 *  window (blocked), and no capture that is tested or left out with a fold has the content of one that is not.
 *  \return CI_OK; what ci_folds_find returns; CI_ECONF for a leak, and for a fold that there is not; CI_EDATA when training or validation lacks a class that is
 *          needed; CI_ENOMEM */
ci_rc ci_split_make(const ci_store *st, const ci_split_conf *conf, ci_split *out);
void ci_split_release(ci_split *s); /**< NULL-safe */

/** Nodes and edges of n graphs together, without reading them; edges as the store has them: self-loops
 *  and repeats count, loops that a packer adds do not. */
void ci_graphs_count(const ci_store *st, const int64_t *graph, int64_t n, int64_t *out_nodes,
                     int64_t *out_raw_edges);

/** The global batches of an order of graphs: as many graphs as fit, at most max_graph, max_node nodes
 *  and max_edge stored edges (ci_graphs_count); 0 nodes or edges: no limit.
 *  \param [in]  max_graph  > 0
 *  \param [out] first      (n + 1 at most) position of the first graph of each batch, then n
 *  \return number of batches, or -1 when one graph is larger than a budget (its position in
 *          *out_bad) */
int64_t ci_batches_cut(const ci_store *st, const int64_t *graph, int64_t n, int64_t max_graph,
                       int64_t max_node, int64_t max_edge, int64_t *first, int64_t *out_bad);

/** The shards of a run of graphs: whole graphs in the given order, at most `rows` nodes and
 *  CI_SHARD_GRAPHS(rows) graphs each.
 *  \param [out] first  (n + 1 at most) position of the first graph of each shard, then n
 *  \return number of shards, or -1 when a graph has more than `rows` nodes (its position in
 *          *out_bad) */
#define CI_SHARD_GRAPHS(rows) CI_MAX(1, (rows) / 8)
int64_t ci_shards_cut(const ci_store *st, const int64_t *graph, int64_t n, int32_t rows,
                      int64_t *first, int64_t *out_bad);

#endif
