#define _GNU_SOURCE /* memfd_create */
/** The vocabulary: any identifiers, four bytes each, become numbers 1 .. n, and vocabulary.json
 *  names them in that order. */
#include "fuzz.h"

#include "ci/json.h"
#include "ci/vocab.h"

static void file_check(const ci_vocab *v, const uint32_t *ids, ci_lid n)
{
    const char *path = scratch("vocabulary.json");
    ci_json *j = NULL, *list;
    char text[9], digest[CI_SHA256_HEX];

    MUST(ci_vocab_write(v, "train", path) == CI_OK, "not written");
    MUST(ci_json_load(path, &j) == CI_OK, "not read");
    list = ci_json_get(j, "ids");
    ci_vocab_digest(v, digest);
    MUST(ci_json_len(list) == (size_t)n && ci_json_get_int(j, "count") == n, "%d identifiers", n);
    MUST(strcmp(ci_json_get_str(j, "sha256"), digest) == 0, "another digest");
    for (ci_lid i = 0; i < n; i++) {
        ci_id_text(ids[i], text);
        MUST(strcmp(ci_json_as_str(ci_json_at(list, (size_t)i)), text) == 0, "identifier %d", i);
    }
    ci_json_free(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const size_t given = CI_MIN(n / 4, (size_t)5000);
    uint32_t *all = calloc(given + 1, sizeof *all), *ids = calloc(given + 1, sizeof *ids);
    ci_vocab *v = NULL;
    ci_lid n_kept, n_seen = 0;

    MUST(all && ids, "no memory");
    if (given) memcpy(all, data, 4 * given);
    for (size_t i = 0; i < given; i++) {
        all[i] &= 0x9fffffff;
        if (!(all[i] >> 31)) all[i] &= 0x7ff;
    }
    memcpy(ids, all, given * sizeof *ids);
    if (ci_vocab_of(ids, (ci_lid)given, &v) == CI_OK) /* only ascending ones are a vocabulary */
        for (size_t i = 1; i < given; i++) MUST(ids[i] > ids[i - 1], "%zu does not ascend", i);
    ci_vocab_destroy(&v);
    n_kept = (ci_lid)ci_ids_unique(ids, given);
    MUST(ci_vocab_of(ids, n_kept, &v) == CI_OK, "%d sorted identifiers", n_kept);
    MUST(memcmp(ci_vocab_ids(v, &n_seen), ids, (size_t)n_kept * sizeof *ids) == 0 && n_seen == n_kept,
         "%d of %d", n_seen, n_kept);
    for (size_t i = 0; i < given; i++) {
        const ci_lid k = ci_vocab_index(v, all[i]);
        MUST(k >= 1 && k <= n_kept && ids[k - 1] == all[i], "%x has number %d", all[i], k);
        MUST(ci_vocab_index(v, all[i] ^ 0x60000000) == 0, "%x is known", all[i] ^ 0x60000000);
    }
    if (n % 16 == 0) file_check(v, ids, n_kept);
    ci_vocab_destroy(&v);
    free(all);
    free(ids);
    return 0;
}
