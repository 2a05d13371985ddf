#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "ci/source.h"
#include "ci/tick.h"
#include "scan_priv.h"

/* A capture's hash is made of the hashes of pieces of this size, whatever size blocks have. */
enum { PIECE = 4 << 20, READ = 256 << 10 };

struct piece {
    int32_t capture;
    int64_t offset, bytes;
};

static ci_rc pieces_cut(const ci_plan *p, struct piece **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    struct piece *all = NULL;
    size_t n = 0, cap = 0;

    for (int32_t i = 0; i < p->n_capture; i++) {
        int64_t at = 0;
        do {
            const int64_t bytes = CI_MIN(PIECE, p->capture[i].bytes - at);
            CI_TRY(ci_grow((void **)&all, &cap, n + 1, sizeof *all));
            all[n++] = (struct piece){i, at, bytes};
            at += bytes;
        } while (at < p->capture[i].bytes);
    }
    *out = all;
    *out_n = n;
    all = NULL;
done:
    free(all);
    return rc;
}

/* A newline at q begins a line at q + 1, in the block that q + 1 lies in; the one at the very end
 * of the file begins none. */
static void lines_count(ci_scan_state *s, int32_t capture, const char *text, int64_t at,
                        int64_t n)
{
    const ci_capture *c = &s->plan.capture[capture];
    const int64_t block = s->conf->data.block;
    const int64_t end = CI_MIN(at + n, c->bytes - 1);

    for (int64_t q = at; q < end;) {
        const int64_t k = (q + 1) / block, to = CI_MIN(end, (k + 1) * block - 1);
        s->lines[c->first_block + k] += ci_newlines(text + (q - at), (size_t)(to - q));
        q = to;
    }
}

/* Pieces of one capture follow each other: its file stays open. */
static ci_rc source_take(const ci_plan *p, int32_t capture, ci_source **source)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    CI_TRY(ci_plan_path(p, capture, path));
    if (*source && strcmp(ci_source_path(*source), path) == 0) goto done;
    ci_source_close(source);
    CI_TRY(ci_source_open(path, source));
done:
    return rc;
}

static ci_rc piece_read(ci_scan_state *s, const struct piece *piece, char *buffer, ci_source **source,
                        ci_xxh *out)
{
    ci_rc rc = CI_OK;
    const int64_t to = piece->offset + piece->bytes;
    ci_xxh_state *hash = ci_xxh_begin();

    if (!hash) CI_FAIL(CI_ENOMEM, "no memory for a hash");
    CI_TRY(source_take(&s->plan, piece->capture, source));
    for (int64_t at = piece->offset; at < to;) {
        size_t n = 0;
        CI_TRY(ci_source_read(*source, at, buffer, (size_t)CI_MIN(READ, to - at), &n));
        if (n == 0) CI_FAIL(CI_EIO, "%s: ends at byte %lld of %lld: the file changed",
                            ci_source_path(*source), (long long)at,
                            (long long)s->plan.capture[piece->capture].bytes);
        ci_xxh_add(hash, buffer, n);
        lines_count(s, piece->capture, buffer, at, (int64_t)n);
        at += (int64_t)n;
        ci_tick();
    }
    *out = ci_xxh_end(&hash);
done:
    if (hash) ci_xxh_end(&hash);
    return rc;
}

/* This rank's share of the pieces, by count: all but the last of a capture are of one size. */
static ci_rc pieces_read(ci_scan_state *s, const struct piece *piece, size_t n, ci_xxh **out,
                         size_t *out_n)
{
    ci_rc rc = CI_OK;
    const size_t first = (size_t)ci_part((ci_gid)n, s->comm->rank, s->comm->size);
    const size_t end = (size_t)ci_part((ci_gid)n, s->comm->rank + 1, s->comm->size);
    char *buffer = ci_new(READ, 1);
    ci_source *source = NULL;
    ci_xxh *hash = ci_new(end - first, sizeof *hash);

    if (!buffer || !hash) CI_FAIL(CI_ENOMEM, "no memory for %zu hashes", end - first);
    for (size_t i = first; i < end; i++) {
        CI_TRY(ci_scan_interrupted());
        CI_TRY(piece_read(s, &piece[i], buffer, &source, &hash[i - first]));
    }
    *out = hash;
    *out_n = end - first;
    hash = NULL;
done:
    ci_source_close(&source);
    free(buffer);
    free(hash);
    return rc;
}

static ci_rc captures_hash(ci_plan *p, const struct piece *piece, const ci_xxh *hash, size_t n)
{
    ci_rc rc = CI_OK;
    size_t i = 0;

    for (int32_t c = 0; c < p->n_capture; c++) {
        ci_xxh_state *state = ci_xxh_begin();
        if (!state) CI_FAIL(CI_ENOMEM, "no memory for a hash");
        for (; i < n && piece[i].capture == c; i++) ci_xxh_add(state, &hash[i], sizeof *hash);
        if (p->capture[c].sidecar) /* the labels are content, too */
            ci_xxh_add(state, &p->capture[c].sidecar_hash, sizeof *hash);
        p->capture[c].hash = ci_xxh_end(&state);
    }
done:
    return rc;
}

/* Inside the training folders, which come first, equal files are used once, unless data.duplicates keeps them. */
static void duplicates_mark(const ci_conf *conf, ci_plan *p)
{
    if (strcmp(conf->data.duplicates, "keep") == 0) return;
    for (int32_t i = 0; i < p->n_capture; i++) {
        if (p->folder[p->capture[i].folder].role != CI_TRAIN || p->capture[i].left_out) continue;
        for (int32_t k = 0; k < i && p->capture[i].same_as < 0; k++)
            if (ci_capture_used(&p->capture[k]) && ci_capture_same(&p->capture[k], &p->capture[i]))
                p->capture[i].same_as = k;
    }
}

/* A header, line 1, is no row. */
static void blocks_number(ci_scan_state *s)
{
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        int64_t line = 0;
        for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) {
            s->plan.block[b].first_line = line + 1;
            s->plan.block[b].first_row = CI_MAX(0, line - c->layout.header);
            s->plan.block[b].rows = s->lines[b];
            line += s->lines[b];
        }
    }
}

static ci_rc lines_init(ci_scan_state *s)
{
    ci_rc rc = CI_OK;

    s->lines = ci_new((size_t)s->plan.n_block, sizeof *s->lines);
    if (!s->lines) CI_FAIL(CI_ENOMEM, "no memory for %d blocks", s->plan.n_block);
    if (s->comm->rank == 0)
        for (int32_t i = 0; i < s->plan.n_capture; i++)
            s->lines[s->plan.capture[i].first_block] = s->plan.capture[i].bytes > 0;
done:
    return rc;
}

ci_rc ci_scan_lines(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    struct piece *piece = NULL;
    ci_xxh *mine = NULL, *hash = NULL;
    size_t n = 0, n_mine = 0, bytes = 0;

    CI_TRY_ALL(s->comm, "scan.lines.plan", lines_init(s));
    CI_TRY_ALL(s->comm, "scan.lines.cut", pieces_cut(&s->plan, &piece, &n));
    CI_TRY_ALL(s->comm, "scan.lines.read", pieces_read(s, piece, n, &mine, &n_mine));
    CI_TRY(ci_comm_sum_i64(s->comm, "scan.lines.sum", s->lines, (size_t)s->plan.n_block));
    CI_TRY(ci_comm_allgather(s->comm, "scan.lines.hash", mine, n_mine * sizeof *mine,
                             (void **)&hash, &bytes, NULL));
    CI_TRY_ALL(s->comm, "scan.lines.digest", captures_hash(&s->plan, piece, hash, n));
    duplicates_mark(s->conf, &s->plan);
    blocks_number(s);
done:
    free(piece);
    free(mine);
    free(hash);
    return rc;
}
