#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_priv.h"
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/tick.h"
#include "ci/types.h"

static const char hex_digits[] = "0123456789abcdef";

/* Blocks of a file of n bytes. */
static size_t n_block_of(int64_t n)
{
    return (size_t)(n / CI_COMMIT_BLOCK + (n % CI_COMMIT_BLOCK != 0));
}

/* Opens a file whose pages are on disk and, where the system obliges, no longer in memory. */
static ci_rc open_cold(const char *path, int *out_fd)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_file_open(path, out_fd));
    CI_TRY(ci_file_sync(*out_fd, path)); /* only clean pages can be dropped */
    (void)posix_fadvise(*out_fd, 0, 0, POSIX_FADV_DONTNEED);
done:
    return rc;
}

/* The text that stands for the file when several processes hash it. */
static ci_rc tree_of(ci_record *r)
{
    ci_rc rc = CI_OK;
    char line[64], hex[CI_XXH_HEX];
    ci_sha256 *s = ci_sha256_begin();

    if (!s) CI_FAIL(CI_ENOMEM, "no memory to hash %zu hashes", r->n_block);
    snprintf(line, sizeof line, "bytes %lld block %d\n", (long long)r->bytes, CI_COMMIT_BLOCK);
    ci_sha256_add(s, line, strlen(line));
    for (size_t i = 0; i < r->n_block; i++) {
        ci_xxh_hex(r->block[i], hex);
        hex[CI_XXH_HEX - 1] = '\n';
        ci_sha256_add(s, hex, sizeof hex);
    }
    ci_sha256_end(&s, r->tree);
done:
    return rc;
}

ci_rc ci_record_of_file(const char *path, bool whole, ci_record *out)
{
    ci_rc rc = CI_OK;
    int fd = -1;
    size_t n = 0, room = 0;
    struct stat st;
    ci_record r = {0};
    unsigned char *buffer = malloc(CI_COMMIT_BLOCK);
    ci_sha256 *sha = whole ? ci_sha256_begin() : NULL;

    *out = r;
    if (!buffer || (whole && !sha)) CI_FAIL(CI_ENOMEM, "%s: no memory to hash it", path);
    CI_TRY(open_cold(path, &fd));
    if (fstat(fd, &st)) CI_FAIL(CI_EIO, "%s: cannot stat: %s", path, strerror(errno));
    CI_TRY(ci_grow((void **)&r.block, &room, n_block_of(st.st_size) + 1, sizeof *r.block));
    do {
        CI_TRY(ci_file_read(fd, path, buffer, CI_COMMIT_BLOCK, &n));
        ci_tick();
        if (n == 0) break;
        /* A file that grows while it is read has more blocks than its size told. */
        CI_TRY(ci_grow((void **)&r.block, &room, r.n_block + 1, sizeof *r.block));
        r.block[r.n_block++] = ci_xxh_of(buffer, n);
        r.bytes += (int64_t)n;
        if (sha) ci_sha256_add(sha, buffer, n);
    } while (n == CI_COMMIT_BLOCK);
    if (sha) ci_sha256_end(&sha, r.sha);
    CI_TRY(tree_of(&r));
    *out = r;
    r = (ci_record){0};
done:
    if (sha) ci_sha256_end(&sha, r.sha);
    ci_record_release(&r);
    ci_file_close(&fd);
    free(buffer);
    return rc;
}

ci_rc ci_record_of_blocks(const char *path, const ci_hashed *h, ci_record *out)
{
    ci_rc rc = CI_OK;
    ci_record r = {.bytes = h->bytes, .n_block = h->n, .block = ci_new(h->n, sizeof *r.block)};

    *out = (ci_record){0};
    if (!r.block) CI_FAIL(CI_ENOMEM, "%s: %zu hashes", path, h->n);
    if (h->n != n_block_of(h->bytes))
        CI_FAIL(CI_EARG, "%s: %zu hashes of %lld bytes", path, h->n, (long long)h->bytes);
    if (h->n) memcpy(r.block, h->block, h->n * sizeof *r.block);
    CI_TRY(tree_of(&r));
    *out = r;
    r = (ci_record){0};
done:
    ci_record_release(&r);
    return rc;
}

ci_rc ci_commit_blocks(const char *path, const int64_t *block, size_t n, bool cold, ci_xxh *out)
{
    ci_rc rc = CI_OK;
    int fd = -1;
    unsigned char *buffer = malloc(CI_COMMIT_BLOCK);

    if (!buffer) CI_FAIL(CI_ENOMEM, "%s: no memory to hash it", path);
    CI_TRY(ci_file_open(path, &fd));
    if (cold && n) { /* only these: others are read by others now */
        CI_TRY(ci_file_sync(fd, path));
        (void)posix_fadvise(fd, block[0] * CI_COMMIT_BLOCK, (block[n - 1] - block[0] + 1) * CI_COMMIT_BLOCK, POSIX_FADV_DONTNEED);
    }
    for (size_t i = 0; i < n; i++) {
        const int64_t at = block[i] * CI_COMMIT_BLOCK;
        size_t got = 0;
        if (lseek(fd, at, SEEK_SET) < 0) CI_FAIL(CI_EIO, "%s: cannot seek to byte %lld: %s", path, (long long)at, strerror(errno));
        CI_TRY(ci_file_read(fd, path, buffer, CI_COMMIT_BLOCK, &got));
        if (got == 0) CI_FAIL(CI_EIO, "%s: ends before byte %lld", path, (long long)at);
        ci_tick();
        out[i] = ci_xxh_of(buffer, got);
    }
done:
    ci_file_close(&fd);
    free(buffer);
    return rc;
}

void ci_hashed_release(ci_hashed *h)
{
    if (!h) return;
    free(h->block);
    *h = (ci_hashed){0};
}

char *ci_record_text(const ci_record *r)
{
    ci_json *j = ci_json_object(), *blocks = ci_json_array();
    char hex[CI_XXH_HEX], *text;

    ci_json_int(j, "bytes", r->bytes);
    if (r->sha[0]) ci_json_str(j, "sha256", r->sha);
    else ci_json_str(j, "tree_sha256", r->tree);
    ci_json_int(j, "block", CI_COMMIT_BLOCK);
    for (size_t i = 0; i < r->n_block; i++) {
        ci_xxh_hex(r->block[i], hex);
        ci_json_add_str(blocks, hex);
    }
    ci_json_put(j, "xxh128", blocks);
    text = ci_json_text(j, false);
    ci_json_free(&j);
    return text;
}

static bool is_hex(const char *s, size_t n)
{
    return s && strlen(s) == n && strspn(s, hex_digits) == n;
}

static uint64_t hex_u64(const char *s)
{
    uint64_t v = 0;

    for (int i = 0; i < 16; i++) v = v << 4 | (uint64_t)(strchr(hex_digits, s[i]) - hex_digits);
    return v;
}

static bool parse(const ci_json *j, ci_record *r)
{
    const ci_json *blocks = ci_json_get(j, "xxh128");
    const char *sha = ci_json_get_str(j, "sha256"), *tree = ci_json_get_str(j, "tree_sha256");

    r->bytes = ci_json_get_int(j, "bytes");
    r->n_block = ci_json_len(blocks);
    if (r->bytes < 0 || ci_json_get_int(j, "block") != CI_COMMIT_BLOCK
        || !is_hex(sha ? sha : tree, CI_SHA256_HEX - 1) || r->n_block != n_block_of(r->bytes))
        return false;
    memcpy(sha ? r->sha : r->tree, sha ? sha : tree, sizeof r->sha);
    for (size_t i = 0; i < r->n_block; i++) {
        const char *hex = ci_json_as_str(ci_json_at(blocks, i));
        if (!is_hex(hex, CI_XXH_HEX - 1)) return false;
        r->block[i] = (ci_xxh){.hi = hex_u64(hex), .lo = hex_u64(hex + 16)};
    }
    return true;
}

ci_rc ci_record_load(const char *path, ci_record *out)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    ci_record r = {0};

    *out = r;
    CI_TRY(ci_json_load(path, &j));
    r.block = ci_new(ci_json_len(ci_json_get(j, "xxh128")), sizeof *r.block);
    if (!r.block) CI_FAIL(CI_ENOMEM, "%s: no memory for its blocks", path);
    if (!parse(j, &r)) CI_FAIL(CI_EFORMAT, "%s: not a commit record", path);
    *out = r;
    r = (ci_record){0};
done:
    ci_record_release(&r);
    ci_json_free(&j);
    return rc;
}

static bool same_hash(ci_xxh a, ci_xxh b) { return a.lo == b.lo && a.hi == b.hi; }

bool ci_record_same(const ci_record *file, const ci_record *record)
{
    const bool whole = record->sha[0];

    if (file->bytes != record->bytes || file->n_block != record->n_block ||
        strcmp(whole ? file->sha : file->tree, whole ? record->sha : record->tree) != 0)
        return false;
    for (size_t i = 0; i < file->n_block; i++)
        if (!same_hash(file->block[i], record->block[i])) return false;
    return true;
}

const char *ci_record_identity(const ci_record *record)
{
    return record->sha[0] ? record->sha : record->tree;
}

ci_rc ci_record_differs(const char *path, const ci_record *file, const ci_record *record)
{
    const size_t n = CI_MIN(file->n_block, record->n_block);
    const int64_t shorter = CI_MIN(file->bytes, record->bytes);
    int64_t first, end;
    size_t i = 0;

    if (file->bytes != record->bytes)
        return ci_fail(CI_EFORMAT, __FILE__, __LINE__,
                       "%s: has %lld bytes, its commit record says %lld; it differs from byte %lld "
                       "on or before; make it again", path, (long long)file->bytes,
                       (long long)record->bytes, (long long)shorter);
    while (i < n && same_hash(file->block[i], record->block[i])) i++;
    if (i == n)
        return ci_fail(CI_EFORMAT, __FILE__, __LINE__,
                       "%s: its commit record contradicts itself (bytes 0 to %lld have another "
                       "SHA-256); make it again", path, (long long)record->bytes);
    first = (int64_t)i * CI_COMMIT_BLOCK;
    end = CI_MIN(first + CI_COMMIT_BLOCK, file->bytes);
    return ci_fail(CI_EFORMAT, __FILE__, __LINE__,
                   "%s: bytes %lld to %lld are not those of its commit record; make it again", path,
                   (long long)first, (long long)end - 1);
}

void ci_record_release(ci_record *r)
{
    free(r->block);
    *r = (ci_record){0};
}

/* Reads one extent in pieces; a file that is too short differs too. */
static ci_rc extent_verify(int fd, const char *path, const ci_extent *e, unsigned char *buffer)
{
    ci_rc rc = CI_OK;
    int64_t done = 0;
    ci_xxh h;
    ci_xxh_state *s = ci_xxh_begin();

    if (!s) CI_FAIL(CI_ENOMEM, "%s: no memory to hash it", path);
    if (lseek(fd, e->offset, SEEK_SET) < 0)
        CI_FAIL(CI_EIO, "%s: cannot seek to byte %lld: %s", path, (long long)e->offset,
                strerror(errno));
    while (done < e->bytes) {
        const size_t want = (size_t)CI_MIN(e->bytes - done, (int64_t)CI_COMMIT_BLOCK);
        size_t n = 0;
        CI_TRY(ci_file_read(fd, path, buffer, want, &n));
        ci_tick();
        ci_xxh_add(s, buffer, n);
        done += (int64_t)n;
        if (n < want) break;
    }
    h = ci_xxh_end(&s);
    if (done < e->bytes || !same_hash(h, e->hash))
        CI_FAIL(CI_EIO, "%s: bytes %lld to %lld read back are not those that were written", path,
                (long long)e->offset, (long long)(e->offset + e->bytes - 1));
done:
    if (s) ci_xxh_end(&s);
    return rc;
}

ci_rc ci_extent_verify(const char *path, const ci_extent *e, size_t n)
{
    ci_rc rc = CI_OK;
    int fd = -1;
    unsigned char *buffer = malloc(CI_COMMIT_BLOCK);

    if (!buffer) CI_FAIL(CI_ENOMEM, "%s: no memory to read it back", path);
    CI_TRY(open_cold(path, &fd));
    for (size_t i = 0; i < n; i++) CI_TRY(extent_verify(fd, path, &e[i], buffer));
done:
    ci_file_close(&fd);
    free(buffer);
    return rc;
}
