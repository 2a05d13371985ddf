#include "ci_test.h"

#include <string.h>
#include <sys/stat.h>

#include "ci/commit.h"
#include "ci/hash.h"

static void assert_sha(const char *text, size_t n, const char *want)
{
    char got[CI_SHA256_HEX];

    ci_sha256_of(text, n, got);
    assert_string_equal(got, want);
}

/* Values of FIPS 180-4's examples. */
static void sha256__equals_the_published_vectors(void **state)
{
    char *million = malloc(1000000);

    (void)state;
    assert_non_null(million);
    memset(million, 'a', 1000000);
    assert_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_sha(million, 1000000,
               "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static unsigned char *some_bytes(size_t n)
{
    unsigned char *b = malloc(n);
    uint32_t x = 12345;

    assert_non_null(b);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b[i] = (unsigned char)(x >> 24);
    }
    return b;
}

static void hashes__do_not_depend_on_the_pieces(void **state)
{
    enum { N = 70001 };
    unsigned char *b = some_bytes(N);
    const ci_xxh whole = ci_xxh_of(b, N);
    char want[CI_SHA256_HEX], got[CI_SHA256_HEX];

    (void)state;
    ci_sha256_of(b, N, want);
    for (size_t piece = 1; piece < N; piece = piece * 3 + 1) {
        ci_xxh_state *x = ci_xxh_begin();
        ci_sha256 *s = ci_sha256_begin();
        ci_xxh h;
        assert_non_null(x);
        assert_non_null(s);
        for (size_t i = 0; i < N; i += piece) {
            const size_t n = i + piece < N ? piece : N - i;
            ci_xxh_add(x, b + i, n);
            ci_sha256_add(s, b + i, n);
        }
        h = ci_xxh_end(&x);
        ci_sha256_end(&s, got);
        assert_null(x);
        assert_null(s);
        assert_true(h.lo == whole.lo && h.hi == whole.hi);
        assert_string_equal(got, want);
    }
    free(b);
}

/* Values printed by the Python package xxhash. */
static void xxh__equals_other_programs(void **state)
{
    char hex[CI_XXH_HEX];
    unsigned char counted[1000];

    (void)state;
    for (int i = 0; i < 1000; i++) counted[i] = (unsigned char)(i % 251);
    ci_xxh_hex(ci_xxh_of(counted, sizeof counted), hex);
    assert_string_equal(hex, "18bf41bc8229e27733ef703fb2b20ed1");
    ci_xxh_hex(ci_xxh_of("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    ci_xxh_hex(ci_xxh_of("abc", 3), hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
}

static void sha256_file__equals_sha256sum(void **state)
{
    static const size_t sizes[] = {0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3000000};
    char path[CI_PATH_MAX], command[CI_PATH_MAX + 32], want[CI_SHA256_HEX], got[CI_SHA256_HEX];

    (void)state;
    assert_int_equal(ci_path_join(path, ci_test_tmp(), "hash.bin"), CI_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *b = some_bytes(sizes[i] + 1);
        FILE *f = fopen(path, "wb"), *p;
        assert_non_null(f);
        assert_int_equal(fwrite(b, 1, sizes[i], f), sizes[i]);
        fclose(f);
        free(b);
        snprintf(command, sizeof command, "sha256sum '%s'", path);
        p = popen(command, "r");
        assert_non_null(p);
        assert_non_null(fgets(want, sizeof want, p));
        pclose(p);
        assert_int_equal(ci_sha256_file(path, got), CI_OK);
        assert_string_equal(got, want);
    }
    unlink(path);
}

static void sha256_file__says_what_it_cannot_read(void **state)
{
    char path[CI_PATH_MAX], got[CI_SHA256_HEX];

    (void)state;
    assert_int_equal(ci_path_join(path, ci_test_tmp(), "absent.bin"), CI_OK);
    assert_int_equal(ci_sha256_file(path, got), CI_ENOENT);
    assert_non_null(strstr(ci_message(), path));
    assert_int_equal(ci_sha256_file(ci_test_tmp(), got), CI_EIO);
    assert_non_null(strstr(ci_message(), ci_test_tmp()));
}

static void sha256_file__needs_permission(void **state)
{
    char path[CI_PATH_MAX], got[CI_SHA256_HEX];
    FILE *f;

    (void)state;
    assert_int_equal(ci_path_join(path, ci_test_tmp(), "locked.bin"), CI_OK);
    f = fopen(path, "wb");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() == 0 && seteuid(65534) != 0) skip();
    assert_int_equal(ci_sha256_file(path, got), CI_EPERM);
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sha256__equals_the_published_vectors),
    cmocka_unit_test(hashes__do_not_depend_on_the_pieces),
    cmocka_unit_test(xxh__equals_other_programs),
    cmocka_unit_test(sha256_file__equals_sha256sum),
    cmocka_unit_test(sha256_file__says_what_it_cannot_read),
    cmocka_unit_test(sha256_file__needs_permission),
};
CI_TEST_MAIN(tests)
