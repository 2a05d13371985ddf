#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/tick.h"
#include "table_priv.h"

/* A line that is cut by the end of a piece stays in front of the next one. */
enum { CARRY = CI_LINE_MAX + 64 };

ci_rc ci_loader_create(const ci_contract *contract, ci_loader **out)
{
    ci_rc rc = CI_OK;
    ci_loader *l = ci_new(1, sizeof *l);

    *out = NULL;
    if (!l) CI_FAIL(CI_ENOMEM, "no memory for a loader");
    l->contract = contract;
    l->accepts = ci_contract_accepts(contract);
    l->raw = ci_new(CI_ROWS_BEFORE + CARRY + CI_PIECE + CI_ROWS_BEHIND, 1);
    if (!l->raw) CI_FAIL(CI_ENOMEM, "no memory for a buffer of %d bytes", CI_PIECE);
    *out = l;
    l = NULL;
done:
    ci_loader_destroy(&l);
    return rc;
}

void ci_loader_destroy(ci_loader **l)
{
    if (!l || !*l) return;
    ci_source_close(&(*l)->source);
    ci_sidecar_release(&(*l)->sidecar);
    free((*l)->raw);
    free(*l);
    *l = NULL;
}

static ci_rc sidecar_take(ci_loader *l, const ci_capture *c)
{
    ci_rc rc = CI_OK;
    char name[CI_PATH_MAX + sizeof CI_SIDECAR_END];

    snprintf(name, sizeof name, "%s" CI_SIDECAR_END, l->path);
    CI_TRY(ci_sidecar_read(name, &l->sidecar));
    if (l->sidecar.hash.lo != c->sidecar_hash.lo || l->sidecar.hash.hi != c->sidecar_hash.hi)
        CI_FAIL(CI_EIO, "%s: the file changed; run scan again", name);
done:
    return rc;
}

/* Blocks of one capture follow each other: its file stays open. */
static ci_rc file_open(ci_loader *l, const char *path, const ci_capture *c)
{
    ci_rc rc = CI_OK;
    int64_t now = 0;

    if (!l->source || strcmp(l->path, path) != 0) {
        ci_source_close(&l->source);
        ci_sidecar_release(&l->sidecar);
        strcpy(l->path, path);
        if (c->sidecar) CI_TRY(sidecar_take(l, c));
        CI_TRY(ci_source_open(path, &l->source));
    }
    CI_TRY(ci_source_file_bytes(l->source, &now));
    if (now != c->file_bytes)
        CI_FAIL(CI_EIO, "%s: has %lld bytes, had %lld when scan began: the file changed; run scan "
                "again", path, (long long)now, (long long)c->file_bytes);
done:
    return rc;
}

ci_rc ci_place_fill(ci_place *s)
{
    ci_rc rc = CI_OK;
    char *text = s->loader->raw + CI_ROWS_BEFORE;
    const size_t left = (size_t)(s->end - s->p);
    const size_t want = (size_t)CI_MIN(CI_PIECE, s->size - s->at);
    size_t got = 0;

    if (left) memmove(text, s->p, left);
    CI_TRY(ci_source_read(s->loader->source, s->at, text + left, want, &got));
    if (got < want)
        CI_FAIL(CI_EIO, "%s: ends at byte %lld of %lld: the file changed; run scan again",
                s->loader->path, (long long)(s->at + (int64_t)got), (long long)s->size);
    ci_tick();
    const int64_t a = CI_MAX(s->at, s->from), b = CI_MIN(s->at + (int64_t)got, s->to);
    if (a < b) ci_xxh_add(s->hash, text + left + (a - s->at), (size_t)(b - a));
    s->p = text;
    s->end = text + left + got;
    s->at += (int64_t)got;
done:
    return rc;
}

ci_rc ci_place_line(ci_place *s, size_t *out_n, const char **out_next)
{
    ci_rc rc = CI_OK;
    const char *end;

    while (!(end = memchr(s->p, '\n', (size_t)(s->end - s->p))) && !ci_place_last(s)
           && s->end - s->p <= CI_LINE_MAX + 1)
        CI_TRY(ci_place_fill(s));
    *out_next = end ? end + 1 : ci_place_last(s) ? s->end : NULL;
    if (!end) end = s->end;
    *out_n = (size_t)(end - s->p) - (end > s->p && end[-1] == '\r' && *out_next);
done:
    return rc;
}

ci_rc ci_place_skip(ci_place *s, int64_t most)
{
    ci_rc rc = CI_OK;

    s->within = 1;
    while (ci_place_offset(s) < most) {
        const char *end = memchr(s->p, '\n', (size_t)(s->end - s->p));
        s->p = end ? end + 1 : s->end;
        s->within = !end && !ci_place_last(s);
        if (!s->within) break;
        CI_TRY(ci_place_fill(s));
    }
done:
    return rc;
}

ci_rc ci_place_open(ci_loader *l, const ci_plan *p, int32_t block, ci_place *out)
{
    ci_rc rc = CI_OK;
    const ci_block *b = &p->block[block];
    char path[CI_PATH_MAX];
    ci_place s = {.loader = l, .size = p->capture[b->capture].bytes, .from = b->offset,
                  .to = b->offset + b->bytes};

    CI_TRY(ci_plan_path(p, b->capture, path));
    CI_TRY(file_open(l, path, &p->capture[b->capture]));
    s.hash = ci_xxh_begin();
    if (!s.hash) CI_FAIL(CI_ENOMEM, "%s: no memory for its hash", path);
    /* A line begins here when the byte before is a newline: look for it from there. */
    s.at = b->offset - (b->offset > 0);
    s.p = s.end = l->raw + CI_ROWS_BEFORE;
    CI_TRY(ci_place_fill(&s));
    if (b->offset > 0) CI_TRY(ci_place_skip(&s, s.to));
    *out = s;
    s.hash = NULL;
done:
    ci_place_release(&s);
    return rc;
}

ci_rc ci_place_finish(ci_place *s, ci_xxh *out)
{
    ci_rc rc = CI_OK;

    while (s->at < s->to) {
        s->p = s->end;
        CI_TRY(ci_place_fill(s));
    }
    *out = ci_xxh_end(&s->hash);
done:
    return rc;
}

void ci_place_release(ci_place *s)
{
    if (s->hash) ci_xxh_end(&s->hash);
}
