#include "ci/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, PHASE_MAX = 64 }; /* 4096 is PIPE_BUF: such a write cannot tear */

static int my_rank, n_rank = 1;
static ci_level most_said = CI_INFO;
static char my_phase[PHASE_MAX] = "start";

void ci_log_setup(int rank, int size, ci_level most)
{
    my_rank = rank;
    n_rank = size;
    most_said = most;
}

void ci_log_phase(const char *phase) { snprintf(my_phase, sizeof my_phase, "%s", phase); }

/* One line: whatever would end or overwrite it becomes a space. */
static void flatten(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = ' ';
}

static void say(ci_level level, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void say(ci_level level, const char *format, va_list ap)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    const int saved_errno = errno;
    const time_t now = time(NULL);
    char line[LINE_MAX_BYTES], clock[16] = "--:--:--";
    struct tm tm;
    size_t n;
    ssize_t wrote;
    int k;

    if (localtime_r(&now, &tm)) strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    n = (size_t)snprintf(line, sizeof line, "%s %-5s r%d/%d %s: ", clock, names[level], my_rank,
                         n_rank, my_phase);
    k = vsnprintf(line + n, sizeof line - n, format, ap);
    if (k > 0) n += (size_t)k;
    if (n > sizeof line - 1) {
        n = sizeof line - 1;
        memcpy(line + n - 3, "...", 3);
    }
    flatten(line, n);
    line[n++] = '\n';
    do
        wrote = write(STDERR_FILENO, line, n);
    while (wrote < 0 && errno == EINTR);
    errno = saved_errno;
}

void ci_log(ci_level level, const char *format, ...)
{
    va_list ap;

    if (level > most_said || (my_rank != 0 && level > CI_WARN)) return;
    va_start(ap, format);
    say(level, format, ap);
    va_end(ap);
}

void ci_log_any(ci_level level, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say(level, format, ap);
    va_end(ap);
}

bool ci_heartbeat_due(ci_heartbeat *h, double done, double total)
{
    const double now = ci_now_s();
    const double part = total > 0 ? done / total : 0;
    const int step = part >= 1 ? 20 : part > 0 ? (int)(part * 20) : 0;

    if (h->last_s == 0) h->last_s = now;
    if (step <= h->last_step && now - h->last_s < 60) return false;
    h->last_s = now;
    h->last_step = step;
    return true;
}

static double clock_s(clockid_t id)
{
    struct timespec t = {0, 0};

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ci_now_s(void) { return clock_s(CLOCK_MONOTONIC); }

double ci_cpu_s(void) { return clock_s(CLOCK_PROCESS_CPUTIME_ID); }

long ci_peak_kib(void)
{
    struct rusage u;

    return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_maxrss : 0;
}

static int64_t device_bytes;
static double device_seconds;

void ci_device_note(int64_t bytes, double seconds)
{
    if (bytes > device_bytes) device_bytes = bytes;
    device_seconds += seconds;
}

void ci_device_noted(int64_t *out_bytes, double *out_seconds)
{
    *out_bytes = device_bytes;
    *out_seconds = device_seconds;
    device_bytes = 0;
    device_seconds = 0;
}
