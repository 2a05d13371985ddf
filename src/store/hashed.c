/* The hashes of a file's blocks, each taken by one rank. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ci/arena.h"
#include "h5_priv.h"

/* A block whose hash is known. */
struct known {
    int64_t block;
    ci_xxh hash;
};

static ci_rc size_of(const char *path, int64_t *out)
{
    ci_rc rc = CI_OK;
    struct stat s;

    if (stat(path, &s) != 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", path, strerror(errno));
    *out = s.st_size;
done:
    return rc;
}

static ci_rc gather(const ci_comm *comm, bool all, const struct known *mine, size_t n, struct known **out, size_t *out_n)
{
    ci_rc rc = CI_OK;

    *out = NULL;
    *out_n = 0;
    if (!comm) {
        *out = ci_new(n, sizeof **out);
        if (!*out) CI_FAIL(CI_ENOMEM, "%zu hashes", n);
        if (n) memcpy(*out, mine, n * sizeof **out);
        *out_n = n * sizeof **out;
    } else if (all)
        CI_TRY(ci_comm_allgather(comm, "store.hash.known", mine, n * sizeof *mine, (void **)out, out_n, NULL));
    else
        CI_TRY(ci_comm_gather(comm, "store.hash.rest", mine, n * sizeof *mine, (void **)out, out_n, NULL));
    *out_n /= sizeof **out;
done:
    return rc;
}

/* This rank's part of the blocks that are not among the known ones. */
static ci_rc rest_hash(const char *path, int64_t n_block, int rank, int size, const struct known *known, size_t n_known, bool cold,
                       struct known **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    bool *have = ci_new((size_t)n_block, sizeof *have);
    int64_t *want = ci_new((size_t)n_block, sizeof *want), n = 0, first, end;
    ci_xxh *hash = ci_new((size_t)n_block, sizeof *hash);

    *out = NULL;
    *out_n = 0;
    if (!have || !want || !hash) CI_FAIL(CI_ENOMEM, "%lld hashes", (long long)n_block);
    for (size_t i = 0; i < n_known; i++)
        if (known[i].block >= 0 && known[i].block < n_block) have[known[i].block] = true;
    for (int64_t i = 0; i < n_block; i++)
        if (!have[i]) want[n++] = i;
    first = ci_part(n, rank, size);
    end = ci_part(n, rank + 1, size);
    *out = ci_new((size_t)(end - first), sizeof **out);
    if (!*out) CI_FAIL(CI_ENOMEM, "%lld hashes", (long long)n_block);
    if (end > first) CI_TRY(ci_commit_blocks(path, want + first, (size_t)(end - first), cold, hash));
    for (int64_t i = first; i < end; i++) (*out)[(*out_n)++] = (struct known){want[i], hash[i - first]};
done:
    free(have);
    free(want);
    free(hash);
    return rc;
}

static ci_rc put_together(const char *path, int64_t bytes, const struct known *a, size_t n_a, const struct known *b, size_t n_b,
                          ci_hashed *out)
{
    ci_rc rc = CI_OK;
    const int64_t n = (bytes + CI_COMMIT_BLOCK - 1) / CI_COMMIT_BLOCK;
    int64_t got = 0;

    out->block = ci_new((size_t)n, sizeof *out->block);
    if (!out->block) CI_FAIL(CI_ENOMEM, "%lld hashes", (long long)n);
    out->bytes = bytes;
    out->n = (size_t)n;
    for (size_t i = 0; i < n_a + n_b; i++) {
        const struct known *k = i < n_a ? &a[i] : &b[i - n_a];
        if (k->block < 0 || k->block >= n) continue;
        out->block[k->block] = k->hash;
        got++;
    }
    if (got != n) CI_FAIL(CI_EINTERNAL, "%s: %lld hashes of %lld blocks", path, (long long)got, (long long)n);
done:
    return rc;
}

static ci_rc agreed(const ci_comm *comm, const char *site, ci_rc mine)
{
    return comm ? ci_agree(comm, site, mine) : mine;
}

static ci_rc hash_all(const ci_comm *comm, const char *path, const struct known *mine, size_t n_mine, bool cold, ci_hashed *out)
{
    ci_rc rc = CI_OK;
    const int rank = comm ? comm->rank : 0, size = comm ? comm->size : 1;
    struct known *known = NULL, *here = NULL, *rest = NULL;
    size_t n_known = 0, n_here = 0, n_rest = 0;
    int64_t bytes = 0;

    CI_TRY(agreed(comm, "store.hash.size", rank == 0 ? size_of(path, &bytes) : CI_OK));
    if (comm) CI_TRY(ci_comm_bcast(comm, "store.hash.bytes", 0, &bytes, sizeof bytes));
    CI_TRY(gather(comm, true, mine, n_mine, &known, &n_known));
    CI_TRY(agreed(comm, "store.hash.read", rest_hash(path, (bytes + CI_COMMIT_BLOCK - 1) / CI_COMMIT_BLOCK, rank, size, known, n_known,
                                                      cold, &here, &n_here)));
    CI_TRY(gather(comm, false, here, n_here, &rest, &n_rest));
    CI_TRY(agreed(comm, "store.hash.whole", rank == 0 ? put_together(path, bytes, known, n_known, rest, n_rest, out) : CI_OK));
done:
    if (rc != CI_OK) ci_hashed_release(out);
    free(known);
    free(here);
    free(rest);
    return rc;
}

ci_rc h5_hash_rest(const ci_comm *comm, const char *path, const ci_extent *read, size_t n, ci_hashed *out)
{
    ci_rc rc = CI_OK;
    struct known *mine = ci_new(n, sizeof *mine);
    size_t n_mine = 0;

    CI_TRY(agreed(comm, "store.hash.room", mine ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%zu hashes", n)));
    for (size_t i = 0; i < n; i++)
        if (read[i].offset % CI_COMMIT_BLOCK == 0 && read[i].bytes == CI_COMMIT_BLOCK)
            mine[n_mine++] = (struct known){read[i].offset / CI_COMMIT_BLOCK, read[i].hash};
    CI_TRY(hash_all(comm, path, mine, n_mine, false, out));
done:
    free(mine);
    return rc;
}

ci_rc ci_h5_check(const ci_comm *comm, const char *path, char out_sha[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    ci_hashed h = {0};
    int64_t there = 0;

    if (comm->rank == 0) there = access(path, F_OK) == 0 || errno != ENOENT;
    CI_TRY(ci_comm_bcast(comm, "store.check.there", 0, &there, sizeof there));
    if (!there) CI_FAIL(CI_ENOENT, "%s: is not there", path); /* the same everywhere */
    CI_TRY(hash_all(comm, path, NULL, 0, true, &h));
    CI_TRY_ALL(comm, "store.check", comm->rank == 0 ? ci_commit_check_hashed(path, &h, out_sha) : CI_OK);
    CI_TRY(ci_comm_bcast(comm, "store.check.sha", 0, out_sha, CI_SHA256_HEX));
done:
    ci_hashed_release(&h);
    return rc;
}
