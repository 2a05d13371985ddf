#ifndef CI_TABLE_H
#define CI_TABLE_H
/** Frames as columns, in file order: the rows of one block and, behind them, the first rows of
 *  what follows in the same capture (the halo), so that windows that start here are whole. */
#include <stdint.h>
#include "ci/csv.h"
#include "ci/plan.h"
#include "ci/rc.h"
#include "ci/types.h"

typedef struct ci_table {
    ci_gid first_row;  /**< number of row 0 within its capture                                 */
    ci_lid n_own;      /**< rows of the block                                                  */
    ci_lid n;          /**< rows of block and halo                                             */
    ci_lid cap;        /**< room; grows                                                        */
    int64_t *t_ns;     /**< (n) time, integer nanoseconds; owned                               */
    uint32_t *id;      /**< (n) identifier, bit 31 set for the 29-bit kind; owned              */
    uint64_t *data;    /**< (n) payload, byte k in bits 8k..8k+7, 0 beyond its length; owned   */
    uint8_t *len;      /**< (n) payload length, 0..8 bytes; owned                              */
    uint8_t *attack;   /**< (n) label 0 or 1; owned                                            */
} ci_table;

ci_rc ci_table_reserve(ci_table *t, ci_lid n); /**< room for n rows; CI_OK or CI_ENOMEM */
void ci_table_release(ci_table *t);            /**< NULL-safe; leaves *t zero           */

/** What reads blocks: one open file and one buffer of 260 KiB, whatever the size of blocks. */
typedef struct ci_loader ci_loader;

/** \param [in] contract  what happens to lines that break it; borrowed  \return CI_OK or CI_ENOMEM */
ci_rc ci_loader_create(const ci_contract *contract, ci_loader **out);
void ci_loader_destroy(ci_loader **l);    /**< NULL-safe; leaves *l NULL                  */

/** Read the rows of one block of a finished plan and up to `halo` further rows of the same
 *  capture (none where the block has no row).  Not collective.  The table keeps its memory from
 *  call to call.
 *  \return CI_OK, CI_ENOMEM, CI_ENOENT, CI_EPERM; CI_EIO: reading failed, or the bytes are not
 *          those that were scanned; CI_EDATA: a row breaks the contract, as path:line:column
 *          (it did not when it was scanned) */
ci_rc ci_table_load(ci_loader *l, const ci_plan *p, int32_t block, ci_lid halo, ci_table *t);

/** The same while the plan is made: block.first_line must be known, block.first_row and .rows are
 *  only guesses, of where windows begin and of the room.  Rows that break the contract and are not
 *  repaired go to `rejects` and are left out of the table; reading stops when CI_REJECT_MAX of them
 *  fail.  In the halo, rows in quarantine are passed over, one that fails ends it; both are left
 *  to the block that owns them.
 *  \param [out] out_hash  XXH3-128 of the block's bytes
 *  \return CI_OK, CI_ENOMEM, CI_ENOENT, CI_EPERM or CI_EIO */
ci_rc ci_table_scan(ci_loader *l, const ci_plan *p, int32_t block, ci_lid halo, ci_table *t,
                    ci_rejects *rejects, ci_xxh *out_hash);

#endif
