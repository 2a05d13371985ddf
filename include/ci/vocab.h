#ifndef CI_VOCAB_H
#define CI_VOCAB_H
/** Arbitration identifiers as small numbers: 1 .. n in ascending order, 0 for all others.  Frozen
 *  once it is built. */
#include <stddef.h>
#include <stdint.h>
#include "ci/comm.h"
#include "ci/hash.h"
#include "ci/types.h"

typedef struct ci_vocab ci_vocab;

/** Union of what all ranks saw, gathered, ordered and broadcast by rank 0, so the result depends
 *  neither on the number of ranks nor on which shard went where.  Collective.
 *  \param [in]  seen, n  arbitration ids, any order, repeats welcome; borrowed
 *  \param [out] out      on CI_OK the caller's, to ci_vocab_destroy; otherwise NULL on every rank
 *  \return CI_OK, CI_ENOMEM or CI_EMPI, the same on every rank */
ci_rc ci_vocab_build(const ci_comm *comm, const uint32_t *seen, ci_lid n, ci_vocab **out);

/** The vocabulary of n ids in ascending order (a plan's, a checkpoint's).  Not collective.
 *  \return CI_OK, CI_ENOMEM, or CI_EARG when they do not ascend */
ci_rc ci_vocab_of(const uint32_t *ids, ci_lid n, ci_vocab **out);

void ci_vocab_destroy(ci_vocab **v); /**< NULL-safe; leaves *v NULL */

/** The identifiers in order of their numbers; borrowed, until v is destroyed. */
const uint32_t *ci_vocab_ids(const ci_vocab *v, ci_lid *out_n);

/** Number of an identifier (bit 31 set for the 29-bit kind): 1 .. n, or 0 when it is unknown. */
ci_lid ci_vocab_index(const ci_vocab *v, uint32_t id);

/** SHA-256 over the identifiers in order, each as eight hexadecimal digits and a newline. */
void ci_vocab_digest(const ci_vocab *v, char out[CI_SHA256_HEX]);

/** Commit vocabulary.json: scope, digest, and the identifiers in the order of their numbers, as
 *  three hexadecimal digits (11 bits) or eight (29 bits).  Not collective. */
ci_rc ci_vocab_write(const ci_vocab *v, const char *scope, const char *path);

/** Sort n ids and drop repeats.  \return how many are left */
size_t ci_ids_unique(uint32_t *id, size_t n);

/** Identifier as text: "1A5" or "18DAF110". */
void ci_id_text(uint32_t id, char out[9]);

#endif
