#include "ci_test.h"

#include <ctype.h>
#include <string.h>
#include <sys/wait.h>

#include "ci/log.h"

enum { N_CHILD = 6, N_LINE = 150, LINE_MAX_BYTES = 4096, CAPTURE_MAX = 8 << 20 };

/* Everything that speak(i), run in n children at once, writes to their common stderr. */
static char *capture(int n, void (*speak)(int))
{
    char *text = calloc(1, CAPTURE_MAX);
    size_t used = 0;
    ssize_t k;
    int ends[2];

    assert_non_null(text);
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < n; i++) {
        if (fork() != 0) continue;
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        speak(i);
        _exit(0);
    }
    close(ends[1]);
    while ((k = read(ends[0], text + used, CAPTURE_MAX - 1 - used)) > 0) used += (size_t)k;
    close(ends[0]);
    for (int i = 0; i < n; i++) wait(NULL);
    return text;
}

static int n_line_of(const char *text)
{
    int n = 0;

    for (; *text; text++) n += *text == '\n';
    return n;
}

static void speak_plainly(int i)
{
    (void)i;
    ci_log_setup(0, 3, CI_INFO);
    ci_log_phase("scan");
    ci_log(CI_INFO, "%d shards", 7);
    ci_log(CI_DEBUG, "never said");
    ci_log(CI_ERROR, "two\nlines\rand \x1b[31mcolour");
}

static void log__has_time_level_rank_phase_and_text(void **state)
{
    char *text = capture(1, speak_plainly);
    const char *second = strchr(text, '\n') + 1;

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_true(i % 3 == 2 ? text[i] == ':' : isdigit((unsigned char)text[i]));
    assert_memory_equal(text + 8, " INFO  r0/3 scan: 7 shards\n", 27);
    assert_string_equal(second + 8, " ERROR r0/3 scan: two lines and  [31mcolour\n");
    free(text);
}

static void speak_as_rank_2(int i)
{
    (void)i;
    ci_log_setup(2, 3, CI_DEBUG);
    ci_log(CI_INFO, "info");
    ci_log(CI_WARN, "warn");
    ci_log(CI_ERROR, "error");
    ci_log_any(CI_INFO, "stalled");
}

static void log__lets_other_ranks_say_only_warnings_and_errors(void **state)
{
    char *text = capture(1, speak_as_rank_2);

    (void)state;
    assert_null(strstr(text, ": info"));
    assert_non_null(strstr(text, "WARN  r2/3 start: warn\n"));
    assert_non_null(strstr(text, "ERROR r2/3 start: error\n"));
    assert_non_null(strstr(text, "INFO  r2/3 start: stalled\n"));
    assert_int_equal(n_line_of(text), 3);
    free(text);
}

/* Lines of every length up to what is cut. */
static int length_of(int child, int i) { return (child * 977 + i * 131) % 5000; }

static void speak_much(int child)
{
    char text[5001];

    ci_log_setup(child, N_CHILD, CI_INFO);
    for (int i = 0; i < N_LINE; i++) {
        const int n = length_of(child, i);
        memset(text, 'a' + child, (size_t)n);
        text[n] = 0;
        ci_log_any(CI_INFO, "%d %s|", i, text);
    }
}

/* Is this a whole line of one child, and the one that this child has to say next? */
static void line_check(const char *line, int n, int *said)
{
    int child = -1, i = -1, at = 0, run = 0;

    assert_true(n + 1 <= LINE_MAX_BYTES);
    assert_int_equal(sscanf(line + 8, " INFO  r%d/6 start: %d %n", &child, &i, &at), 2);
    assert_in_range(child, 0, N_CHILD - 1);
    assert_int_equal(i, said[child]++);
    at += 8;
    while (at + run < n && line[at + run] == 'a' + child) run++;
    if (length_of(child, i) + at + 1 <= LINE_MAX_BYTES - 1) {
        assert_int_equal(run, length_of(child, i));
        assert_int_equal(line[at + run], '|');
        assert_int_equal(at + run + 1, n);
    } else {
        assert_int_equal(n, LINE_MAX_BYTES - 1);
        assert_memory_equal(line + n - 3, "...", 3);
        assert_int_equal(at + run, n - 3);
    }
}

static void log__lines_of_processes_writing_at_once_do_not_tear(void **state)
{
    char *text = capture(N_CHILD, speak_much), *end;
    int said[N_CHILD] = {0};

    (void)state;
    for (char *line = text; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        line_check(line, (int)(end - line), said);
    }
    for (int c = 0; c < N_CHILD; c++) assert_int_equal(said[c], N_LINE);
    free(text);
}

static void heartbeat__beats_every_twentieth_and_every_minute(void **state)
{
    ci_heartbeat h = {0};
    int n = 0;

    (void)state;
    for (int done = 0; done <= 1000; done++) {
        const bool due = ci_heartbeat_due(&h, done, 1000);
        assert_int_equal(due, done > 0 && done % 50 == 0);
        n += due;
    }
    assert_int_equal(n, 20);
    h = (ci_heartbeat){0};
    assert_false(ci_heartbeat_due(&h, 1, 1000));
    h.last_s -= 61;
    assert_true(ci_heartbeat_due(&h, 2, 1000));
    assert_false(ci_heartbeat_due(&h, 3, 1000));
    assert_false(ci_heartbeat_due(&h, 3, 0)); /* a total nobody knows: minutes only */
    h.last_s -= 61;
    assert_true(ci_heartbeat_due(&h, 3, 0));
}

static void clocks__run_forward_and_memory_is_counted(void **state)
{
    const double wall = ci_now_s(), cpu = ci_cpu_s();

    (void)state;
    while (ci_cpu_s() - cpu < 0.02) continue;
    assert_true(ci_now_s() - wall >= 0.019);
    assert_in_range(ci_peak_kib(), 500, 64L << 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(log__has_time_level_rank_phase_and_text),
    cmocka_unit_test(log__lets_other_ranks_say_only_warnings_and_errors),
    cmocka_unit_test(log__lines_of_processes_writing_at_once_do_not_tear),
    cmocka_unit_test(heartbeat__beats_every_twentieth_and_every_minute),
    cmocka_unit_test(clocks__run_forward_and_memory_is_counted),
};
CI_TEST_MAIN(tests)
