#include "ci/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"

void ci_plan_release(ci_plan *p)
{
    if (!p) return;
    free(p->folder);
    free(p->capture);
    free(p->block);
    free(p->vocab);
    free(p->id);
    *p = (ci_plan){0};
}

ci_rc ci_plan_path(const ci_plan *p, int32_t capture, char out[CI_PATH_MAX])
{
    ci_rc rc = CI_OK;
    const ci_capture *c = &p->capture[capture];
    const bool injected = p->folder[c->folder].role == CI_INJECTED;
    const char *slash = strchr(c->path, '/'), *root = injected ? p->injected : p->root;
    const char *path = injected && slash ? slash + 1 : c->path;
    const int n = snprintf(out, CI_PATH_MAX, "%s/%s", root, path);

    if (n >= CI_PATH_MAX) CI_FAIL(CI_EDATA, "%s/%s: a path of %d bytes; %d are the most", root, path, n, CI_PATH_MAX - 1);
done:
    return rc;
}

static int64_t weight(const ci_plan *p, const bool *skip, int32_t block)
{
    const ci_block *b = &p->block[block];

    if (skip && skip[b->capture]) return 0;
    return b->bytes + (b->offset == 0 ? CI_PLAN_OPEN : 0);
}

int32_t ci_plan_part_but(const ci_plan *p, const bool *skip, int32_t part, int32_t n_part)
{
    int64_t total = 0, before = 0, limit;
    int32_t b = 0;

    if (part >= n_part) return p->n_block;
    for (int32_t i = 0; i < p->n_block; i++) total += weight(p, skip, i);
    limit = ci_part(total, part, n_part);
    while (b < p->n_block && before < limit) before += weight(p, skip, b++);
    return b;
}

int32_t ci_plan_part(const ci_plan *p, int32_t part, int32_t n_part) { return ci_plan_part_but(p, NULL, part, n_part); }

/* The arrays of a plan, in the order in which they are packed. */
enum { N_ARRAY = 5 };
struct array {
    void **at;
    size_t bytes;
};

static void arrays_of(ci_plan *p, struct array out[N_ARRAY])
{
    const struct array a[N_ARRAY] = {
        {(void **)&p->folder, (size_t)p->n_folder * sizeof *p->folder},
        {(void **)&p->capture, (size_t)p->n_capture * sizeof *p->capture},
        {(void **)&p->block, (size_t)p->n_block * sizeof *p->block},
        {(void **)&p->vocab, (size_t)p->n_vocab * sizeof *p->vocab},
        {(void **)&p->id, (size_t)p->n_id * sizeof *p->id},
    };

    memcpy(out, a, sizeof a);
}

static ci_rc pack(ci_plan *p, char **out, size_t *out_n)
{
    ci_rc rc = CI_OK;
    struct array a[N_ARRAY];
    size_t n = sizeof *p;
    char *bytes;

    arrays_of(p, a);
    for (int i = 0; i < N_ARRAY; i++) n += a[i].bytes;
    bytes = ci_new(n, 1);
    if (!bytes) CI_FAIL(CI_ENOMEM, "no memory for a plan of %zu bytes", n);
    *out = bytes;
    *out_n = n;
    memcpy(bytes, p, sizeof *p);
    bytes += sizeof *p;
    for (int i = 0; i < N_ARRAY; bytes += a[i++].bytes)
        if (a[i].bytes) memcpy(bytes, *a[i].at, a[i].bytes);
done:
    return rc;
}

static ci_rc unpack(const char *bytes, ci_plan *out)
{
    ci_rc rc = CI_OK;
    ci_plan p;
    struct array a[N_ARRAY];

    memcpy(&p, bytes, sizeof p);
    p.folder = NULL;
    p.capture = NULL;
    p.block = NULL;
    p.vocab = p.id = NULL;
    bytes += sizeof p;
    arrays_of(&p, a);
    for (int i = 0; i < N_ARRAY; bytes += a[i++].bytes) {
        *a[i].at = ci_new(a[i].bytes, 1);
        if (!*a[i].at) CI_FAIL(CI_ENOMEM, "no memory for %zu bytes of a plan", a[i].bytes);
        memcpy(*a[i].at, bytes, a[i].bytes);
    }
    *out = p;
    p = (ci_plan){0};
done:
    ci_plan_release(&p);
    return rc;
}

ci_rc ci_plan_bcast(const ci_comm *comm, ci_plan *p)
{
    ci_rc rc = CI_OK;
    char *bytes = NULL;
    size_t n = 0;

    CI_TRY_ALL(comm, "plan.pack", comm->rank == 0 ? pack(p, &bytes, &n) : CI_OK);
    CI_TRY(ci_comm_bcast_new(comm, "plan.bcast", 0, (void **)&bytes, &n));
    CI_TRY_ALL(comm, "plan.unpack", comm->rank == 0 ? CI_OK : unpack(bytes, p));
done:
    free(bytes);
    return rc;
}

static void digest_add(ci_sha256 *s, const char *text) { ci_sha256_add(s, text, strlen(text)); }

void ci_plan_digest(const ci_plan *p, char out[CI_SHA256_HEX])
{
    ci_sha256 *s = ci_sha256_begin();
    char line[2 * CI_TEXT_MAX], hex[CI_XXH_HEX];

    if (!s) { /* a digest that equals no other: the step is done again */
        snprintf(out, CI_SHA256_HEX, "%064d", 0);
        return;
    }
    snprintf(line, sizeof line, "plan %d frames %d stride %d\n", CI_PLAN_READING, p->frames, p->stride);
    digest_add(s, line);
    if (p->simulated) digest_add(s, "simulated\n");
    for (int32_t i = 0; i < p->n_folder; i++) {
        snprintf(line, sizeof line, "folder %d %s\n", p->folder[i].role, p->folder[i].name);
        digest_add(s, line);
    }
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        if (!ci_capture_used(c)) continue;
        ci_xxh_hex(c->hash, hex);
        snprintf(line, sizeof line, "capture %d %s %lld %s %s\n", c->folder, hex,
                 (long long)c->bytes, ci_dialect_name((ci_dialect)c->layout.dialect), c->path);
        digest_add(s, line);
        for (int k = 1; k < CI_KIND_COUNT; k++) {
            if (!c->refused[k] && !c->repaired[k]) continue;
            snprintf(line, sizeof line, "%s refused %lld repaired %lld\n", ci_kind_name((ci_kind)k),
                     (long long)c->refused[k], (long long)c->repaired[k]);
            digest_add(s, line);
        }
    }
    for (int32_t i = 0; i < p->n_vocab; i++) {
        snprintf(line, sizeof line, "id %08x\n", p->vocab[i]);
        digest_add(s, line);
    }
    ci_sha256_end(&s, out);
}
