/* Commits of files whose blocks were hashed by others: the same protocol, another identity. */
#include "ci_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ci/commit.h"

enum { BYTES = 2 * CI_COMMIT_BLOCK + 12345 };

static char dir[CI_PATH_MAX], path[CI_PATH_MAX], temp[CI_PATH_MAX];
static char *bytes[2];
static char identity[2][CI_SHA256_HEX];
static ci_hashed hashed[2];

static void put(const char *to, const char *b, size_t n)
{
    FILE *f = fopen(to, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* By the words of commit.h, not by the code behind it. */
static void expect(int g)
{
    static char text[1024];
    char hex[CI_XXH_HEX];

    snprintf(text, sizeof text, "bytes %d block %d\n", BYTES, CI_COMMIT_BLOCK);
    hashed[g] = (ci_hashed){BYTES, 3, calloc(3, sizeof(ci_xxh))};
    for (int i = 0; i < 3; i++) {
        hashed[g].block[i] = ci_xxh_of(bytes[g] + (size_t)i * CI_COMMIT_BLOCK, i < 2 ? CI_COMMIT_BLOCK : 12345);
        ci_xxh_hex(hashed[g].block[i], hex);
        strcat(strcat(text, hex), "\n");
    }
    ci_sha256_of(text, strlen(text), identity[g]);
}

static int set_up(void **state)
{
    (void)state;
    if (ci_path_join(dir, ci_test_tmp(), "hashed") != CI_OK || ci_make_dir(dir) != CI_OK ||
        ci_path_join(path, dir, "out.bin") != CI_OK || ci_commit_temp(path, temp) != CI_OK)
        return 1;
    for (int g = 0; g < 2; g++) {
        bytes[g] = malloc(BYTES);
        for (int i = 0; i < BYTES; i++) bytes[g][i] = (char)(i * 31 + i / 4099 + g);
        expect(g);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ci_commit_remove(path);
    for (int g = 0; g < 2; g++) {
        free(bytes[g]);
        ci_hashed_release(&hashed[g]);
    }
    return rmdir(dir);
}

static ci_rc commit(int g)
{
    char sha[CI_SHA256_HEX] = "";
    ci_rc rc;

    put(temp, bytes[g], BYTES);
    rc = ci_commit_publish_hashed(path, &hashed[g], sha);
    if (rc == CI_OK) assert_string_equal(sha, identity[g]);
    return rc;
}

static int generation(void)
{
    char sha[CI_SHA256_HEX];

    if (ci_commit_check(path, sha) != CI_OK) return -1;
    return strcmp(sha, identity[0]) == 0 ? 0 : strcmp(sha, identity[1]) == 0 ? 1 : -2;
}

static void publish_hashed__is_told_by_size_and_blocks(void **state)
{
    char sha[CI_SHA256_HEX] = "", small[CI_SHA256_HEX];
    ci_xxh some[2];
    const int64_t which[2] = {0, 2}, beyond = 3;

    (void)state;
    assert_int_equal(commit(0), CI_OK);
    assert_int_equal(generation(), 0);
    assert_int_equal(ci_commit_check_hashed(path, &hashed[0], sha), CI_OK);
    assert_string_equal(sha, identity[0]);
    assert_int_equal(ci_commit_blocks(path, which, 2, true, some), CI_OK);
    assert_memory_equal(&some[0], &hashed[0].block[0], sizeof some[0]);
    assert_memory_equal(&some[1], &hashed[0].block[2], sizeof some[1]);
    assert_int_equal(ci_commit_blocks(path, &beyond, 1, false, some), CI_EIO);
    assert_int_equal(ci_commit_bytes(path, "other", 5), CI_OK); /* a record of the other kind, over this one */
    ci_sha256_of("other", 5, small);
    assert_int_equal(ci_commit_check(path, sha), CI_OK);
    assert_string_equal(sha, small);
    assert_int_equal(commit(1), CI_OK);
    assert_int_equal(generation(), 1);
}

static void check_hashed__does_not_believe_other_hashes_nor_other_bytes(void **state)
{
    char sha[CI_SHA256_HEX];
    FILE *f;

    (void)state;
    assert_int_equal(commit(0), CI_OK);
    assert_int_equal(ci_commit_check_hashed(path, &hashed[1], sha), CI_OK); /* a wrong rumour: the file itself is right */
    assert_string_equal(sha, identity[0]);
    f = fopen(path, "r+b");
    fseek(f, CI_COMMIT_BLOCK + 7, SEEK_SET);
    fputc(bytes[0][CI_COMMIT_BLOCK + 7] ^ 1, f);
    fclose(f);
    assert_int_equal(ci_commit_check(path, sha), CI_EFORMAT);
    assert_non_null(strstr(ci_message(), "bytes 4194304 to 8388607"));
    assert_int_equal(commit(0), CI_OK);
    hashed[0].n = 2;
    put(temp, bytes[0], BYTES);
    assert_int_equal(ci_commit_publish_hashed(path, &hashed[0], sha), CI_EARG); /* not the hashes of so many bytes */
    hashed[0].n = 3;
    unlink(temp);
    assert_int_equal(generation(), 0);
}

/* A process that commits generation g dies at point k.  Did it? */
static bool crash(int g, int k)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        ci_commit_crash_at(k);
        _exit(commit(g) != CI_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

static void publish_hashed__crashed_anywhere_leaves_the_old_generation_or_the_new(void **state)
{
    int died = 0, seen[2] = {0, 0};

    (void)state;
    for (int k = 1; k < 100; k++) {
        assert_int_equal(commit(0), CI_OK);
        if (!crash(1, k)) break;
        died++;
        assert_in_range(generation(), 0, 1);
        seen[generation()]++;
        assert_int_equal(commit(1), CI_OK); /* the next writer finishes */
        assert_int_equal(generation(), 1);
    }
    assert_true(died >= 7 && seen[0] > 0 && seen[1] > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(publish_hashed__is_told_by_size_and_blocks),
    TEST(check_hashed__does_not_believe_other_hashes_nor_other_bytes),
    TEST(publish_hashed__crashed_anywhere_leaves_the_old_generation_or_the_new),
};
CI_TEST_MAIN(tests)
