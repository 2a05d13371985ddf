#ifndef CI_LOG_H
#define CI_LOG_H
/** Log lines: `time level rRANK/SIZE phase: text`, at most 4 KiB, each one write(2) to stderr,
 *  so that lines of different ranks never tear.  Rank 0 says everything, others only warnings
 *  and errors.  No colour, no carriage return. */
#include <stdbool.h>
#include <stdint.h>

typedef enum ci_level { CI_ERROR, CI_WARN, CI_INFO, CI_DEBUG } ci_level;

/** Who speaks and how much is said.  Not collective; call once a rank is known. */
void ci_log_setup(int rank, int size, ci_level most);

/** The phase that the lines of this process carry from now on ("scan", "train"); copied. */
void ci_log_phase(const char *phase);

void ci_log(ci_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The same, said by any rank whatever its level: for a stall, where every rank must be heard. */
void ci_log_any(ci_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A heartbeat for long work: returns true when a line is due, which is every 60 s and at every
 *  5 % of `total`.  State is the caller's, zeroed at the start. */
typedef struct ci_heartbeat {
    double last_s;   /**< monotonic seconds of the last line */
    int last_step;   /**< last twentieth that was reported   */
} ci_heartbeat;
bool ci_heartbeat_due(ci_heartbeat *h, double done, double total);

double ci_now_s(void);     /**< monotonic clock, seconds                     */
double ci_cpu_s(void);     /**< CPU seconds of this process, all threads     */
long ci_peak_kib(void);    /**< peak resident memory of this process, KiB    */

/** What a device had to do since ci_device_noted was last asked: bytes of its memory that were taken, of which the largest is kept, and
 *  seconds that it was waited for, which add up.  One thread of a process notes. */
void ci_device_note(int64_t bytes, double seconds);
void ci_device_noted(int64_t *out_bytes, double *out_seconds);

#endif
