#include "ci/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/json.h"

enum { N_SHORT = 2048 }; /* identifiers of 11 bits have a place of their own */

struct ci_vocab {
    ci_lid n;
    uint32_t *id;            /**< (n) ascending; owned               */
    ci_lid of_short[N_SHORT]; /**< number of each 11-bit identifier   */
};

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

size_t ci_ids_unique(uint32_t *id, size_t n)
{
    size_t m = 0;

    if (n) qsort(id, n, sizeof *id, by_value);
    for (size_t i = 0; i < n; i++)
        if (m == 0 || id[i] != id[m - 1]) id[m++] = id[i];
    return m;
}

void ci_id_text(uint32_t id, char out[9])
{
    const int extended = (int)(id >> 31);

    snprintf(out, 9, extended ? "%08X" : "%03X", id & 0x1fffffff);
}

ci_rc ci_vocab_of(const uint32_t *ids, ci_lid n, ci_vocab **out)
{
    ci_rc rc = CI_OK;
    ci_vocab *v = ci_new(1, sizeof *v);

    *out = NULL;
    if (!v) CI_FAIL(CI_ENOMEM, "no memory for a vocabulary");
    v->id = ci_new((size_t)n, sizeof *v->id);
    if (!v->id) CI_FAIL(CI_ENOMEM, "no memory for a vocabulary of %d identifiers", n);
    for (ci_lid i = 0; i < n; i++) {
        if (i && ids[i] <= ids[i - 1])
            CI_FAIL(CI_EARG, "identifier %d of a vocabulary is %x after %x", i, ids[i], ids[i - 1]);
        v->id[i] = ids[i];
        if (ids[i] < N_SHORT) v->of_short[ids[i]] = i + 1;
    }
    v->n = n;
    *out = v;
    v = NULL;
done:
    ci_vocab_destroy(&v);
    return rc;
}

ci_rc ci_vocab_build(const ci_comm *comm, const uint32_t *seen, ci_lid n, ci_vocab **out)
{
    ci_rc rc = CI_OK;
    uint32_t *ids = NULL;
    size_t bytes = 0;
    ci_vocab *v = NULL;

    *out = NULL;
    CI_TRY(ci_comm_gather(comm, "vocab.gather", seen, (size_t)n * sizeof *seen, (void **)&ids,
                          &bytes, NULL));
    bytes = ci_ids_unique(ids, bytes / sizeof *ids) * sizeof *ids;
    CI_TRY(ci_comm_bcast_new(comm, "vocab.bcast", 0, (void **)&ids, &bytes));
    CI_TRY_ALL(comm, "vocab.build", ci_vocab_of(ids, (ci_lid)(bytes / sizeof *ids), &v));
    *out = v;
    v = NULL;
done:
    ci_vocab_destroy(&v);
    free(ids);
    return rc;
}

const uint32_t *ci_vocab_ids(const ci_vocab *v, ci_lid *out_n)
{
    *out_n = v->n;
    return v->id;
}

void ci_vocab_destroy(ci_vocab **v)
{
    if (!v || !*v) return;
    free((*v)->id);
    free(*v);
    *v = NULL;
}

ci_lid ci_vocab_index(const ci_vocab *v, uint32_t id)
{
    const uint32_t *at;

    if (id < N_SHORT) return v->of_short[id];
    at = v->n ? bsearch(&id, v->id, (size_t)v->n, sizeof id, by_value) : NULL;
    return at ? (ci_lid)(at - v->id) + 1 : 0;
}

void ci_vocab_digest(const ci_vocab *v, char out[CI_SHA256_HEX])
{
    ci_sha256 *s = ci_sha256_begin();
    char line[16];

    if (!s) { /* equal to no other */
        snprintf(out, CI_SHA256_HEX, "%064d", 0);
        return;
    }
    for (ci_lid i = 0; i < v->n; i++) {
        snprintf(line, sizeof line, "%08x\n", v->id[i]);
        ci_sha256_add(s, line, 9);
    }
    ci_sha256_end(&s, out);
}

ci_rc ci_vocab_write(const ci_vocab *v, const char *scope, const char *path)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object(), *ids = ci_json_array();
    char digest[CI_SHA256_HEX], text[9], *all = NULL;

    ci_vocab_digest(v, digest);
    ci_json_str(j, "what", "canids vocabulary");
    ci_json_str(j, "scope", scope);
    ci_json_int(j, "count", v->n);
    ci_json_int(j, "unknown", 0);
    ci_json_int(j, "first", 1);
    ci_json_str(j, "sha256", digest);
    for (ci_lid i = 0; i < v->n; i++) {
        ci_id_text(v->id[i], text);
        ci_json_add_str(ids, text);
    }
    ci_json_put(j, "ids", ids);
    all = ci_json_text(j, true);
    if (!all) CI_FAIL(CI_ENOMEM, "%s: no memory for its text", path);
    CI_TRY(ci_commit_bytes(path, all, strlen(all)));
done:
    free(all);
    ci_json_free(&j);
    return rc;
}
