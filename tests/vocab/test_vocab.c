/* RANKS: 1 2 3 5 */
#define CI_TEST_MPI
#include "ci_test.h"

#include <string.h>

#include "ci/vocab.h"

static void vocab__is_the_union_of_all_ranks_in_order(void **state)
{
    const int rank = ci_test_comm->rank, size = ci_test_comm->size;
    uint32_t mine[9] = {2015, 0x98da0000, 255, 255, 26, 0, 0, 0};
    ci_lid n_mine = 0, n = 0;
    ci_vocab *v = NULL;
    const uint32_t *id;

    (void)state;
    for (int i = 0; i < 8; i++) /* each identifier on some rank, none on the last */
        if (i % size == rank && rank < CI_MAX(1, size - 1)) mine[n_mine++] = mine[i];
    if (rank == 0) mine[n_mine++] = 0x123;
    assert_int_equal(ci_vocab_build(ci_test_comm, mine, n_mine, &v), CI_OK);
    id = ci_vocab_ids(v, &n);
    for (ci_lid i = 0; i < n; i++) {
        if (i) assert_true(id[i] > id[i - 1]);
        assert_int_equal(ci_vocab_index(v, id[i]), i + 1);
    }
    for (ci_lid i = 0; i < n_mine; i++) assert_true(ci_vocab_index(v, mine[i]) > 0);
    ci_vocab_destroy(&v);
    assert_null(v);
}

static void vocab__does_not_depend_on_the_ranks(void **state)
{
    static const uint32_t all[] = {26, 255, 0, 2015, 0x98da0001, 26, 7};
    const int rank = ci_test_comm->rank, size = ci_test_comm->size;
    uint32_t mine[CI_COUNT(all)];
    char digest[CI_SHA256_HEX];
    ci_lid n = 0;
    ci_vocab *v = NULL;

    (void)state;
    for (size_t i = 0; i < CI_COUNT(all); i++)
        if ((int)(i * 5 % (size_t)size) == rank) mine[n++] = all[i];
    assert_int_equal(ci_vocab_build(ci_test_comm, mine, n, &v), CI_OK);
    ci_vocab_ids(v, &n);
    assert_int_equal(n, 6);
    assert_int_equal(ci_vocab_index(v, 0), 1);
    assert_int_equal(ci_vocab_index(v, 7), 2);
    assert_int_equal(ci_vocab_index(v, 26), 3);
    assert_int_equal(ci_vocab_index(v, 255), 4);
    assert_int_equal(ci_vocab_index(v, 2015), 5);
    assert_int_equal(ci_vocab_index(v, 0x98da0001), 6);
    ci_vocab_digest(v, digest);
    /* printf '%08x\n' 0 7 26 255 2015 2564423681 | sha256sum */
    assert_string_equal(digest, "406150efb97f659c3fdb0e212226b8bd9567c40afecb0eca72b319d5144ad1e2");
    ci_vocab_destroy(&v);
}

static void vocab__maps_strangers_to_0_and_does_not_grow(void **state)
{
    static const uint32_t ids[] = {0, 26, 255, 2015, 0x80000800};
    ci_vocab *v = NULL;
    ci_lid n;

    (void)state;
    assert_int_equal(ci_vocab_of(ids, 5, &v), CI_OK);
    assert_int_equal(ci_vocab_index(v, 27), 0);
    assert_int_equal(ci_vocab_index(v, 0x7ff), 0);
    assert_int_equal(ci_vocab_index(v, 0x800), 0);
    assert_int_equal(ci_vocab_index(v, 0x80000801), 0);
    assert_int_equal(ci_vocab_index(v, UINT32_MAX), 0);
    ci_vocab_ids(v, &n);
    assert_int_equal(n, 5);
    ci_vocab_destroy(&v);
    assert_int_equal(ci_vocab_of(NULL, 0, &v), CI_OK);
    assert_int_equal(ci_vocab_index(v, 0x80000801), 0);
    ci_vocab_destroy(&v);
}

static void vocab__refuses_ids_that_do_not_ascend(void **state)
{
    static const uint32_t ids[] = {5, 5};
    ci_vocab *v = NULL;

    (void)state;
    assert_int_equal(ci_vocab_of(ids, 2, &v), CI_EARG);
    assert_null(v);
}

static void id_text__has_three_or_eight_digits(void **state)
{
    char text[9];

    (void)state;
    ci_id_text(0x1a, text);
    assert_string_equal(text, "01A");
    ci_id_text(0x98daf110, text);
    assert_string_equal(text, "18DAF110");
    ci_id_text(0x80000800, text);
    assert_string_equal(text, "00000800");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(vocab__is_the_union_of_all_ranks_in_order),
    cmocka_unit_test(vocab__does_not_depend_on_the_ranks),
    cmocka_unit_test(vocab__maps_strangers_to_0_and_does_not_grow),
    cmocka_unit_test(vocab__refuses_ids_that_do_not_ascend),
    cmocka_unit_test(id_text__has_three_or_eight_digits),
};
CI_TEST_MAIN(tests)
