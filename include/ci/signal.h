#ifndef CI_SIGNAL_H
#define CI_SIGNAL_H
/** One flag for all signals: USR1, USR2, TERM and INT ask for a checkpoint and exit 75.  The
 *  handler only sets the flag; a second INT or TERM ends the process at once with 75. */
#include <stdbool.h>

void ci_signal_setup(void);
int ci_signal_seen(void);   /**< the signal's number, 0 while none came */
void ci_signal_clear(void); /**< for tests */

#endif
