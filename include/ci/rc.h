#ifndef CI_RC_H
#define CI_RC_H
/** Return codes and the one error idiom.
 *
 *  A function that can fail returns ci_rc, declares `rc` first and cleans up once, at `done`.
 *  The message of the last failure of a thread is kept beside the code, so that whoever decides
 *  to report it can: only cmd/ prints it, only cmd/ ends the process. */
#include <stddef.h>

typedef enum ci_rc {
    CI_OK = 0,
    CI_EUSAGE,    /**< the command line is wrong                                    exit 64 */
    CI_EFORMAT,   /**< bytes that are not what their format says                    exit 65 */
    CI_EDATA,     /**< well-formed input that breaks the data contract              exit 65 */
    CI_ENOENT,    /**< an input is missing                                          exit 66 */
    CI_EARG,      /**< a caller broke a contract that only a caller can break       exit 70 */
    CI_ENOMEM,    /**< memory could not be had                                      exit 70 */
    CI_EINTERNAL, /**< a state that should not exist                                exit 70 */
    CI_EMPI,      /**< MPI returned an error                                        exit 70 */
    CI_ENUMERIC,  /**< a loss or gradient is not finite                             exit 70 */
    CI_ENOTBUILT, /**< left out of this build                                       exit 70 */
    CI_ECREATE,   /**< an output cannot be created                                  exit 73 */
    CI_EIO,       /**< reading or writing failed                                    exit 74 */
    CI_EHDF5,     /**< HDF5 returned an error                                       exit 74 */
    CI_ETEMP,     /**< stopped for now; the same command goes on from here          exit 75 */
    CI_EPERM,     /**< permission denied                                            exit 77 */
    CI_ECONF,     /**< the settings are wrong or do not fit together                exit 78 */
    CI_EGATE,     /**< a quality gate failed                                        exit 79 */
    CI_RC_COUNT
} ci_rc;

enum { CI_MESSAGE_MAX = 4096 }; /**< bytes of one error message with its final 0 */

/** Process exit code of rc (sysexits and 79).  Not collective. */
int ci_rc_exit(ci_rc rc);

/** The name of rc, "CI_EFORMAT" for instance; static. */
const char *ci_rc_name(ci_rc rc);

/** Remember a message for this thread and return rc.  file:line is where the code stands; it is
 *  kept only for CI_EARG, CI_EINTERNAL and CI_EMPI, which a user cannot mend.  Not collective. */
ci_rc ci_fail(ci_rc rc, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Return code for errno value `err` of a failed read or write: ENOENT, EACCES, ... */
ci_rc ci_rc_errno(int err);

const char *ci_message(void);              /**< this thread's last message; "" when none        */
void ci_message_set(const char *message);  /**< replace it: how a rank takes over another's     */

#define CI_TRY(call)                                                                            \
    do {                                                                                        \
        rc = (call);                                                                            \
        if (rc != CI_OK) goto done;                                                             \
    } while (0)

#define CI_FAIL(code, ...)                                                                      \
    do {                                                                                        \
        rc = ci_fail((code), __FILE__, __LINE__, __VA_ARGS__);                                  \
        goto done;                                                                              \
    } while (0)

#endif
