/* TIMEOUT: 240 */
#include "ci_test.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ci/commit.h"
#include "ci/json.h"

enum { BIG = 2 * CI_COMMIT_BLOCK + 12345, N_GENERATION = 4 };

/* What generation g of the file has in it. */
static struct { char *bytes; size_t n; char sha[CI_SHA256_HEX]; } gen[N_GENERATION];

static char dir[CI_PATH_MAX], path[CI_PATH_MAX];

static char *text_path(const char *suffix)
{
    static char out[CI_PATH_MAX];

    snprintf(out, sizeof out, "%.900s/.out.bin%s", dir, suffix);
    return out;
}

static void clear_dir(void)
{
    static const char *const left[] = {".tmp", ".next", ".commit"};

    unlink(path);
    for (size_t i = 0; i < 3; i++) unlink(text_path(left[i]));
}

static int set_up(void **state)
{
    (void)state;
    if (ci_path_join(dir, ci_test_tmp(), "commit") != CI_OK || ci_make_dir(dir) != CI_OK
        || ci_path_join(path, dir, "out.bin") != CI_OK)
        return 1;
    clear_dir();
    for (int g = 0; g < N_GENERATION; g++) {
        gen[g].n = g == 3 ? BIG : (size_t)(1000 + g);
        gen[g].bytes = malloc(gen[g].n);
        if (!gen[g].bytes) return 1;
        for (size_t i = 0; i < gen[g].n; i++)
            gen[g].bytes[i] = (char)((i * 2654435761u >> 16) + (size_t)g);
        ci_sha256_of(gen[g].bytes, gen[g].n, gen[g].sha);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clear_dir();
    for (int g = 0; g < N_GENERATION; g++) free(gen[g].bytes);
    return rmdir(dir); /* nothing else may be left */
}

static ci_rc commit_generation(int g) { return ci_commit_bytes(path, gen[g].bytes, gen[g].n); }

static bool is_there(const char *name) { return access(name, F_OK) == 0; }

/* Generation that the file is, -1 when there is none; anything else fails.  What the check says is
 * compared with the bytes themselves, and a second check must say the same. */
static int generation_now(void)
{
    char sha[CI_SHA256_HEX], again[CI_SHA256_HEX], disk[CI_SHA256_HEX];
    const ci_rc rc = ci_commit_check(path, sha);

    assert_int_equal(ci_commit_check(path, again), rc);
    if (rc == CI_ENOENT) return -1;
    assert_int_equal(rc, CI_OK);
    assert_string_equal(again, sha);
    assert_int_equal(ci_sha256_file(path, disk), CI_OK);
    assert_string_equal(disk, sha);
    for (int g = 0; g < N_GENERATION; g++)
        if (strcmp(gen[g].sha, sha) == 0) return g;
    fail_msg("the file is no generation that was ever committed");
    return -2;
}

/* Commits generation g in a child that dies at point k.  Did it die? */
static bool crash_while_committing(int g, int k)
{
    const pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        ci_commit_crash_at(k);
        _exit(g < 0 ? ci_commit_remove(path) : commit_generation(g));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CI_OK);
    return false;
}

static void commit__is_what_was_written_and_its_record_says_so(void **state)
{
    char sha[CI_SHA256_HEX], hex[CI_XXH_HEX];
    ci_json *record = NULL;
    const ci_json *blocks;

    (void)state;
    assert_int_equal(ci_commit_check(path, sha), CI_ENOENT);
    assert_int_equal(commit_generation(3), CI_OK);
    assert_int_equal(generation_now(), 3);
    assert_false(is_there(text_path(".tmp")));
    assert_false(is_there(text_path(".next")));
    assert_int_equal(ci_json_load(text_path(".commit"), &record), CI_OK);
    assert_int_equal(ci_json_get_int(record, "bytes"), BIG);
    assert_int_equal(ci_json_get_int(record, "block"), 4194304);
    assert_string_equal(ci_json_get_str(record, "sha256"), gen[3].sha);
    blocks = ci_json_get(record, "xxh128");
    assert_int_equal(ci_json_len(blocks), 3);
    for (size_t i = 0; i < 3; i++) {
        const size_t n = i < 2 ? CI_COMMIT_BLOCK : 12345;
        ci_xxh_hex(ci_xxh_of(gen[3].bytes + i * CI_COMMIT_BLOCK, n), hex);
        assert_string_equal(ci_json_as_str(ci_json_at(blocks, i)), hex);
    }
    ci_json_free(&record);
}

static void commit__of_nothing_is_a_file_too(void **state)
{
    char sha[CI_SHA256_HEX];

    (void)state;
    assert_int_equal(ci_commit_bytes(path, "", 0), CI_OK);
    assert_int_equal(ci_commit_check(path, sha), CI_OK);
    assert_memory_equal(sha, "e3b0c442", 8);
}

static void commit__in_the_current_folder_needs_no_slash(void **state)
{
    char *before = getcwd(NULL, 0), temp[CI_PATH_MAX];

    (void)state;
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(ci_commit_temp("out.bin", temp), CI_OK);
    assert_string_equal(temp, ".out.bin.tmp");
    assert_int_equal(ci_commit_bytes("out.bin", gen[1].bytes, gen[1].n), CI_OK);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(generation_now(), 1);
}

/* Returns the number of points of one commit. */
static int crash_everywhere(int old, int new)
{
    int k = 1;
    bool crashed = true, saw_old = false, saw_new = false;

    for (; crashed; k++) {
        int now;
        clear_dir();
        if (old >= 0) assert_int_equal(commit_generation(old), CI_OK);
        crashed = crash_while_committing(new, k);
        now = generation_now();
        assert_true(now == old || now == new);
        if (!crashed || saw_new) assert_int_equal(now, new); /* never back again */
        saw_old |= now == old;
        saw_new |= crashed && now == new;
        assert_int_equal(commit_generation(2), CI_OK); /* what the crash left is no obstacle */
        assert_int_equal(generation_now(), 2);
        assert_false(is_there(text_path(".tmp")));
        assert_false(is_there(text_path(".next")));
    }
    assert_true(saw_old && saw_new);
    return k - 2;
}

static void commit__crashed_anywhere_leaves_the_old_generation_or_the_new(void **state)
{
    const int n = crash_everywhere(0, 1);

    (void)state;
    assert_in_range(n, 10, 30);
    assert_int_equal(crash_everywhere(-1, 1), n);
    assert_int_equal(crash_everywhere(0, 3), n);
    print_message("# %d points\n", n);
}

/* The second writer comes with nobody having checked in between: what counts is that .NAME.next is
 * not overwritten while it is the only record of NAME. */
static void commit__crashed_twice_leaves_one_of_the_generations(void **state)
{
    bool first = true, second = true;

    (void)state;
    for (int k = 1; first; k++) {
        second = true;
        for (int j = 1; second; j++) {
            int now;
            clear_dir();
            assert_int_equal(commit_generation(0), CI_OK);
            first = crash_while_committing(1, k);
            second = crash_while_committing(2, j);
            now = generation_now();
            assert_in_range(now, 0, 2);
            if (!first) assert_in_range(now, 1, 2);
            if (!second) assert_int_equal(now, 2);
        }
    }
}

static void commit_remove__crashed_anywhere_leaves_all_or_nothing(void **state)
{
    bool crashed = true;

    (void)state;
    for (int k = 1; crashed; k++) {
        int now;
        clear_dir();
        assert_int_equal(commit_generation(0), CI_OK);
        crashed = crash_while_committing(-1, k);
        now = generation_now();
        assert_true(now == -1 || now == 0);
        if (!crashed) assert_int_equal(now, -1);
        assert_int_equal(ci_commit_remove(path), CI_OK);
        assert_false(is_there(path));
        assert_false(is_there(text_path(".commit")));
    }
}

/* Removing a file whose own commit was cut short must not leave it half true. */
static void commit_remove__after_a_crashed_commit_leaves_a_generation_or_nothing(void **state)
{
    bool first = true, second = true;

    (void)state;
    for (int k = 1; first; k++) {
        second = true;
        for (int j = 1; second; j++) {
            int now;
            clear_dir();
            assert_int_equal(commit_generation(0), CI_OK);
            first = crash_while_committing(1, k);
            second = crash_while_committing(-1, j);
            now = generation_now();
            assert_in_range(now + 1, 0, 2);
            if (!second) {
                assert_int_equal(now, -1);
                assert_false(is_there(text_path(".tmp")) || is_there(text_path(".next")));
            }
        }
    }
}

static void flip(const char *file, long at)
{
    FILE *f = fopen(file, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    c = fgetc(f);
    assert_int_not_equal(c, EOF);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, f), c ^ 1);
    assert_int_equal(fclose(f), 0);
}

static void check__finds_one_flipped_bit_and_names_the_block(void **state)
{
    static const struct { long at; const char *range; } cases[] = {
        {0, "bytes 0 to 4194303 "},
        {4194303, "bytes 0 to 4194303 "},
        {4194304, "bytes 4194304 to 8388607 "},
        {BIG - 1, "bytes 8388608 to 8400952 "},
    };

    (void)state;
    assert_int_equal(commit_generation(3), CI_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flip(path, cases[i].at);
        assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), path));
        assert_non_null(strstr(ci_message(), cases[i].range));
        flip(path, cases[i].at);
        assert_int_equal(ci_commit_check(path, NULL), CI_OK);
    }
}

static void check__finds_a_file_of_another_length(void **state)
{
    FILE *f;

    (void)state;
    assert_int_equal(commit_generation(3), CI_OK);
    f = fopen(path, "ab");
    assert_non_null(f);
    fputc(0, f);
    fclose(f);
    assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "8400954"));
    for (off_t n = BIG - 1; n > 0; n /= 17) {
        assert_int_equal(truncate(path, n), 0);
        assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
}

static void check__says_when_the_file_is_gone_or_was_never_committed(void **state)
{
    (void)state;
    assert_int_equal(commit_generation(0), CI_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ci_commit_check(path, NULL), CI_ENOENT);
    assert_int_equal(commit_generation(0), CI_OK);
    assert_int_equal(unlink(text_path(".commit")), 0);
    assert_int_equal(ci_commit_check(path, NULL), CI_ENOENT);
    assert_non_null(strstr(ci_message(), "never committed"));
}

/* Every bit of the record and every length: never CI_OK with another SHA-256, never a crash. */
static void check__does_not_believe_a_damaged_record(void **state)
{
    char record[CI_PATH_MAX], sha[CI_SHA256_HEX], text[1024];
    FILE *f;
    size_t n;

    (void)state;
    strcpy(record, text_path(".commit"));
    assert_int_equal(commit_generation(0), CI_OK);
    f = fopen(record, "rb");
    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_in_range(n, 100, 300);
    for (size_t at = 0; at < n; at++) {
        flip(record, (long)at);
        assert_int_equal(ci_commit_check(path, sha), CI_EFORMAT);
        flip(record, (long)at);
    }
    assert_int_equal(ci_commit_check(path, sha), CI_OK);
    for (size_t len = n; len-- > 0;) {
        assert_int_equal(truncate(record, (off_t)len), 0);
        assert_int_equal(ci_commit_check(path, sha), CI_EFORMAT);
    }
}

static void write_text(const char *file, const char *text)
{
    FILE *f = fopen(file, "wb");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void check__believes_the_next_record_and_the_next_writer_finishes(void **state)
{
    char next[CI_PATH_MAX];

    (void)state;
    strcpy(next, text_path(".next"));
    assert_int_equal(commit_generation(0), CI_OK);
    assert_int_equal(rename(text_path(".commit"), next), 0); /* as after the first rename */
    assert_int_equal(generation_now(), 0);
    assert_true(is_there(next)); /* a reader changes nothing */
    assert_true(crash_while_committing(1, 9)); /* somewhere behind the settling */
    assert_in_range(generation_now(), 0, 1);
    assert_true(is_there(text_path(".commit")));
}

static void check__does_not_look_at_a_torn_next_record(void **state)
{
    char next[CI_PATH_MAX];

    (void)state;
    strcpy(next, text_path(".next"));
    assert_int_equal(commit_generation(0), CI_OK);
    write_text(next, "{\"bytes\":10");
    assert_int_equal(generation_now(), 0);
    assert_true(is_there(next)); /* it may be a live writer's */
    write_text(path, "neither of them");
    assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
    assert_int_equal(commit_generation(1), CI_OK);
    assert_int_equal(generation_now(), 1);
    assert_false(is_there(next));
}

/* A record whose list of blocks does not fit its length, as a hand or another version made it. */
static void check__refuses_records_that_do_not_add_up(void **state)
{
    static const char *const sha =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char *const forms[] = {
        "{\"bytes\":0,\"sha256\":\"%s\",\"block\":4194304,\"xxh128\":[\"x\"]}",
        "{\"bytes\":5,\"sha256\":\"%s\",\"block\":4194304,\"xxh128\":[]}",
        "{\"bytes\":-1,\"sha256\":\"%s\",\"block\":4194304,\"xxh128\":[]}",
        "{\"bytes\":0,\"sha256\":\"%s\",\"block\":8192,\"xxh128\":[]}",
        "{\"bytes\":0,\"sha256\":\"%s0\",\"block\":4194304,\"xxh128\":[]}",
        "{\"bytes\":0,\"sha256\":[\"%s\"],\"block\":4194304,\"xxh128\":[]}",
        "{\"bytes\":1e30,\"sha256\":\"%s\",\"block\":4194304,\"xxh128\":[]}",
        "[\"%s\"]",
    };
    char text[256], record[CI_PATH_MAX];

    (void)state;
    strcpy(record, text_path(".commit"));
    write_text(path, "");
    snprintf(text, sizeof text, "{\"bytes\":0,\"sha256\":\"%s\",\"block\":4194304,\"xxh128\":[]}",
             sha);
    write_text(record, text); /* so much for the form: this one is right */
    assert_int_equal(ci_commit_check(path, NULL), CI_OK);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(text, sizeof text, forms[i], sha);
        write_text(record, text);
        assert_int_equal(ci_commit_check(path, NULL), CI_EFORMAT);
        assert_non_null(strstr(ci_message(), ".out.bin.commit"));
    }
}

static void publish__refuses_what_reads_back_differently(void **state)
{
    char temp[CI_PATH_MAX], sha[CI_SHA256_HEX];
    FILE *f;

    (void)state;
    assert_int_equal(commit_generation(0), CI_OK);
    assert_int_equal(ci_commit_temp(path, temp), CI_OK);
    f = fopen(temp, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(gen[1].bytes, 1, gen[1].n, f), gen[1].n);
    fclose(f);
    assert_int_equal(ci_commit_publish(path, gen[2].sha, sha), CI_EIO);
    assert_non_null(strstr(ci_message(), gen[2].sha));
    assert_false(is_there(temp));
    assert_int_equal(generation_now(), 0);
    assert_int_equal(ci_commit_publish(path, gen[2].sha, sha), CI_ENOENT);
    assert_int_equal(generation_now(), 0);
}

static void publish__says_what_it_cannot_create(void **state)
{
    char long_path[2 * CI_PATH_MAX], lost[CI_PATH_MAX];

    (void)state;
    assert_int_equal(ci_path_join(lost, dir, "no/such/out.bin"), CI_OK);
    assert_int_equal(ci_commit_bytes(lost, "x", 1), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "no/such"));
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    assert_int_equal(ci_commit_bytes(long_path, "x", 1), CI_EARG);
    long_path[250] = 0; /* a name that fits the path, not a folder's entry with its suffix */
    assert_int_equal(ci_commit_bytes(long_path, "x", 1), CI_EARG);
    assert_int_equal(ci_commit_bytes("dir/", "x", 1), CI_EARG);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(ci_commit_bytes(path, "x", 1), CI_ECREATE); /* a folder of that name */
    assert_int_equal(rmdir(path), 0);
    assert_false(is_there(text_path(".tmp")) || is_there(text_path(".next")));
}

static void extent_verify__names_the_range_that_differs(void **state)
{
    const int64_t cut = CI_COMMIT_BLOCK + 77;
    ci_extent e[3] = {{.offset = 0, .bytes = 100}, {.offset = 100, .bytes = cut},
                      {.offset = 100 + cut, .bytes = BIG - 100 - cut}};

    (void)state;
    assert_int_equal(commit_generation(3), CI_OK);
    for (int i = 0; i < 3; i++)
        e[i].hash = ci_xxh_of(gen[3].bytes + e[i].offset, (size_t)e[i].bytes);
    assert_int_equal(ci_extent_verify(path, e, 3), CI_OK);
    assert_int_equal(ci_extent_verify(path, NULL, 0), CI_OK);
    flip(path, 100);
    assert_int_equal(ci_extent_verify(path, e, 3), CI_EIO);
    assert_non_null(strstr(ci_message(), "bytes 100 to 4194480 "));
    flip(path, 100);
    flip(path, BIG - 1);
    assert_int_equal(ci_extent_verify(path, e, 3), CI_EIO);
    assert_int_equal(ci_extent_verify(path, e, 2), CI_OK);
    flip(path, BIG - 1);
    assert_int_equal(truncate(path, BIG - 1), 0);
    assert_int_equal(ci_extent_verify(path, e, 3), CI_EIO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ci_extent_verify(path, e, 3), CI_ENOENT);
}

/* A reader that checks all the time while a writer commits all the time: always some generation. */
static void check__beside_a_live_writer_always_finds_a_generation(void **state)
{
    const pid_t writer = (assert_int_equal(commit_generation(0), CI_OK), fork());
    int status = 0, n_check = 0;

    (void)state;
    if (writer == 0) {
        for (int i = 0; i < 150; i++) {
            memcpy(gen[1].bytes, &i, sizeof i); /* no two generations alike */
            if (commit_generation(1) != CI_OK) _exit(1);
        }
        _exit(commit_generation(2) != CI_OK);
    }
    while (waitpid(writer, &status, WNOHANG) == 0) {
        assert_int_equal(ci_commit_check(path, NULL), CI_OK);
        n_check++;
    }
    assert_int_equal(status, 0);
    assert_true(n_check > 10);
    assert_int_equal(generation_now(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(commit__is_what_was_written_and_its_record_says_so),
    TEST(commit__of_nothing_is_a_file_too),
    TEST(commit__in_the_current_folder_needs_no_slash),
    TEST(commit__crashed_anywhere_leaves_the_old_generation_or_the_new),
    TEST(commit__crashed_twice_leaves_one_of_the_generations),
    TEST(commit_remove__crashed_anywhere_leaves_all_or_nothing),
    TEST(commit_remove__after_a_crashed_commit_leaves_a_generation_or_nothing),
    TEST(check__finds_one_flipped_bit_and_names_the_block),
    TEST(check__finds_a_file_of_another_length),
    TEST(check__says_when_the_file_is_gone_or_was_never_committed),
    TEST(check__does_not_believe_a_damaged_record),
    TEST(check__believes_the_next_record_and_the_next_writer_finishes),
    TEST(check__does_not_look_at_a_torn_next_record),
    TEST(check__refuses_records_that_do_not_add_up),
    TEST(check__beside_a_live_writer_always_finds_a_generation),
    TEST(publish__refuses_what_reads_back_differently),
    TEST(publish__says_what_it_cannot_create),
    TEST(extent_verify__names_the_range_that_differs),
};
CI_TEST_MAIN(tests)
