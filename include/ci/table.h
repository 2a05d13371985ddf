#ifndef CI_TABLE_H
#define CI_TABLE_H
/** Frames as columns, in file order: the rows of one block and, behind them, the first rows of
 *  what follows in the same capture (the halo), so that windows that start here are whole. */
#include <stdint.h>
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

#endif
