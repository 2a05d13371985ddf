/* Calls of libraries that wait for other ranks: MPI's own and HDF5's.  They cannot be left, so a thread
 * ends the process when one does not return. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ci/log.h"
#include "comm_priv.h"

static void end_process(const ci_comm *c) __attribute__((noreturn));
static void end_process(const ci_comm *c)
{
    const struct watch *w = &c->state->watch;

    if (w->exit_code == ci_rc_exit(CI_ETEMP) && !w->quiet) {
        comm_say_stalled(c, w->site, w->seconds, 0);
        comm_sleep(LAST_WORDS_MS * 1e-3);
    } else if (!w->quiet) {
        ci_log_any(CI_WARN, "MPI did not end within %g s; the results are on disk, rank %d ends without it", w->seconds, c->rank);
        if (fflush(stdout) != 0) _exit(ci_rc_exit(CI_EIO));
    }
    _exit(w->exit_code);
}

static struct timespec at(double seconds)
{
    const double whole = floor(seconds);

    return (struct timespec){(time_t)whole, (long)((seconds - whole) * 1e9)};
}

/* Who aborts or ends does not wait for others to work on. */
static double waited(const ci_comm *c, struct watch *w)
{
    return w->quiet || w->exit_code == 0 ? ci_now_s() - w->begin : comm_waited(c, &w->patience);
}

static void *look(void *arg)
{
    const ci_comm *c = arg;
    struct watch *w = &c->state->watch;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (w->seconds == 0) {
            pthread_cond_wait(&w->wake, &w->lock);
        } else if (waited(c, w) > w->seconds) {
            end_process(c);
        } else {
            const struct timespec t = at(ci_now_s() + fmin(1, w->seconds / 10));
            pthread_cond_timedwait(&w->wake, &w->lock, &t);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

ci_rc watch_start(ci_comm *c)
{
    ci_rc rc = CI_OK;
    struct watch *w = &c->state->watch;
    pthread_condattr_t how;

    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC); /* the clock of ci_now_s */
    pthread_cond_init(&w->wake, &how);
    pthread_condattr_destroy(&how);
    if (pthread_create(&w->id, NULL, look, c) != 0) CI_FAIL(CI_ENOMEM, "no thread to watch over MPI");
    w->there = 1;
done:
    return rc;
}

void watch_stop(ci_comm *c)
{
    struct watch *w = &c->state->watch;

    if (!w->there) return;
    pthread_mutex_lock(&w->lock);
    w->stop = 1;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->id, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    w->there = 0;
}

void watch_arm(const ci_comm *c, const char *site, double seconds, int exit_code)
{
    struct watch *w = &c->state->watch;

    pthread_mutex_lock(&w->lock);
    w->begin = ci_now_s();
    w->patience = (struct patience){0, 0};
    w->seconds = seconds;
    w->exit_code = exit_code;
    w->quiet = !site[0];
    strncpy(w->site, site, sizeof w->site - 1);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void watch_disarm(const ci_comm *c)
{
    struct watch *w = &c->state->watch;

    pthread_mutex_lock(&w->lock);
    w->seconds = 0;
    pthread_mutex_unlock(&w->lock);
}

void ci_comm_guard(const ci_comm *c, const char *site)
{
    struct arrival at = {"", 0, CI_OK};

    if (!c || c->size == 1 || comm_arrive(c, site, 1, &at) != CI_OK) return;
    comm_stand(c, &at);
    watch_arm(c, site, c->state->deadline, ci_rc_exit(CI_ETEMP));
}

void ci_comm_unguard(const ci_comm *c)
{
    if (!c || c->size == 1) return;
    watch_disarm(c);
    comm_leave(c);
}
