#include "ci/signal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "ci/rc.h"

/* Lock-free atomics are what a handler may touch, on whatever thread the signal lands. */
static atomic_int seen, n_stop;

static void on_signal(int number)
{
    const int stop = number == SIGTERM || number == SIGINT;

    if (stop && atomic_fetch_add(&n_stop, 1) > 0) _exit(75); /* CI_ETEMP, see ci_rc_exit */
    atomic_store(&seen, number);
}

void ci_signal_setup(void)
{
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = SA_RESTART; /* libraries that do not expect EINTR go on */
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &act, NULL);
}

int ci_signal_seen(void) { return atomic_load(&seen); }

void ci_signal_clear(void)
{
    atomic_store(&seen, 0);
    atomic_store(&n_stop, 0);
}
