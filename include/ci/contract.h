#ifndef CI_CONTRACT_H
#define CI_CONTRACT_H
/** The data contract: how a line of a capture can break it, and what then happens. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/conf.h"
#include "ci/rc.h"

/** How a line can break the data contract.  CI_KIND_NONE: it does not. */
typedef enum ci_kind {
    CI_KIND_NONE,
    CI_KIND_EMPTY_FILE,    /**< not even a header                                              */
    CI_KIND_HEADER,        /**< line 1 is not the header                                       */
    CI_KIND_NO_LABEL,      /**< no label column outside data.attack_free                       */
    CI_KIND_NO_ROWS,       /**< a header and nothing else                                      */
    CI_KIND_LONG_LINE,     /**< more than CI_LINE_MAX bytes                                    */
    CI_KIND_NUL,           /**< a zero byte                                                    */
    CI_KIND_BLANK,         /**< an empty line that is not the last one                         */
    CI_KIND_COLUMNS,       /**< too few or too many columns                                    */
    CI_KIND_TIME,          /**< not a decimal number of seconds                                */
    CI_KIND_TIME_DIGITS,   /**< more than 9 fraction digits                                    */
    CI_KIND_TIME_RANGE,    /**< beyond 9223372036.854775807 s                                  */
    CI_KIND_ID,            /**< not hexadecimal, or empty                                      */
    CI_KIND_ID_RANGE,      /**< more than 29 bits or 8 digits                                  */
    CI_KIND_PAYLOAD,       /**< not hexadecimal                                                */
    CI_KIND_PAYLOAD_ODD,   /**< an odd number of digits                                        */
    CI_KIND_PAYLOAD_LONG,  /**< more than 8 bytes                                              */
    CI_KIND_LABEL,         /**< neither 0 nor 1                                                */
    CI_KIND_DLC,           /**< a length column that the payload does not have                 */
    CI_KIND_FD,            /**< a CAN FD frame of more than 8 bytes                            */
    CI_KIND_REMOTE,        /**< a remote frame: no payload                                     */
    CI_KIND_ERROR_FRAME,   /**< an error frame: no traffic                                     */
    CI_KIND_DIALECT,       /**< the file's layout is none that this program reads              */
    CI_KIND_COUNT
} ci_kind;

/** What happens to a line that breaks the contract. */
typedef enum ci_policy {
    CI_POLICY_FAIL,        /**< exit 65, no store                                              */
    CI_POLICY_QUARANTINE,  /**< the line goes to rejected.csv and is left out                  */
    CI_POLICY_ACCEPT,      /**< it is repaired as ci_kind_repair says, and counted             */
} ci_policy;

/** The policies in force. */
typedef struct ci_contract {
    uint8_t policy[CI_KIND_COUNT];  /**< ci_policy of each kind                                */
    uint8_t otherwise;              /**< of lines that are accepted but beyond repair: fail, or
                                         quarantine for who only looks                         */
    double max_share;               /**< of all lines that may be quarantined                  */
} ci_contract;

const char *ci_kind_name(ci_kind k);   /**< "payload_odd"; static                              */
const char *ci_kind_reason(ci_kind k); /**< "an odd number of hexadecimal digits"; static      */

/** What policy `accept` does to such a line: "the last digit is left out"; NULL when there is no
 *  repair, so that the kind cannot be accepted.  Static. */
const char *ci_kind_repair(ci_kind k);

/** Does the kind concern a whole capture?  Quarantined, the capture is left out. */
bool ci_kind_of_file(ci_kind k);

const char *ci_policy_name(ci_policy p); /**< "quarantine"; static */

/** Every kind fails. */
ci_contract ci_contract_strict(void);

/** The contract of these settings.  contract.policy accept repairs the kinds that can be repaired; the
 *  others fail.  \return CI_OK; CI_ECONF: a kind without repair is to be
 *  accepted */
ci_rc ci_contract_read(const ci_conf *conf, ci_contract *out);

/** Bits (1 << kind) of what is accepted. */
uint64_t ci_contract_accepts(const ci_contract *c);

/** Where a line breaks the contract, and which of its bytes are to blame. */
typedef struct ci_fault {
    ci_kind kind;
    size_t col;       /**< 0-based byte where reading stopped                                  */
    size_t from, n;   /**< the field, or the whole line                                        */
} ci_fault;

#endif
