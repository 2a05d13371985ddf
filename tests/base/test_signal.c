#include "ci_test.h"

#include <signal.h>
#include <sys/wait.h>

#include "ci/signal.h"

/* Exit code of a child that runs `body`; 128 + n when signal n ended it. */
static int child(int (*body)(int), int arg)
{
    const pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        ci_signal_setup();
        _exit(body(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int raise_once(int number)
{
    if (ci_signal_seen() != 0) return 1;
    raise(number);
    if (ci_signal_seen() != number) return 2;
    ci_signal_clear();
    return ci_signal_seen() ? 3 : 0;
}

static void signal__sets_the_flag(void **state)
{
    (void)state;
    assert_int_equal(child(raise_once, SIGUSR1), 0);
    assert_int_equal(child(raise_once, SIGUSR2), 0);
    assert_int_equal(child(raise_once, SIGTERM), 0);
    assert_int_equal(child(raise_once, SIGINT), 0);
}

static int raise_twice(int number)
{
    raise(number);
    raise(number);
    return 0;
}

static void signal__second_term_or_int_ends_with_75(void **state)
{
    (void)state;
    assert_int_equal(child(raise_twice, SIGTERM), 75);
    assert_int_equal(child(raise_twice, SIGINT), 75);
    assert_int_equal(child(raise_twice, SIGUSR1), 0);
    assert_int_equal(child(raise_twice, SIGUSR2), 0);
}

static int warn_then_term(int number)
{
    raise(SIGUSR1);
    raise(number);
    return ci_signal_seen() == number ? 0 : 1;
}

/* Slurm's warning comes before its TERM: the checkpoint that it asked for may be under way. */
static void signal__term_after_usr1_is_not_yet_the_end(void **state)
{
    (void)state;
    assert_int_equal(child(warn_then_term, SIGTERM), 0);
}

static int read_across_a_signal(int number)
{
    int ends[2];
    char c = 0;
    pid_t pid;

    if (pipe(ends) != 0) return 1;
    pid = fork();
    if (pid == 0) {
        usleep(100000);
        kill(getppid(), number);
        usleep(100000);
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    if (read(ends[0], &c, 1) != 1 || c != 'x') return 2;
    waitpid(pid, NULL, 0);
    return ci_signal_seen() == number ? 0 : 3;
}

static void signal__does_not_interrupt_a_read(void **state)
{
    (void)state;
    assert_int_equal(child(read_across_a_signal, SIGUSR1), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signal__sets_the_flag),
    cmocka_unit_test(signal__second_term_or_int_ends_with_75),
    cmocka_unit_test(signal__term_after_usr1_is_not_yet_the_end),
    cmocka_unit_test(signal__does_not_interrupt_a_read),
};
CI_TEST_MAIN(tests)
