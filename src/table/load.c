#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "table_priv.h"

/* Enough bytes that a line of the common shape ends in them. */
enum { AHEAD = 128 };

/* One block while it is read. */
struct reading {
    const ci_plan *plan;
    int32_t capture;
    const ci_layout *layout;
    ci_place at;
    ci_table *t;
    int64_t line;        /**< number of the line at at.p                                       */
    ci_rejects *rejects; /**< NULL: the first bad row is an error                              */
    bool stop;           /**< nothing more to find here: bad halo or enough that fails         */
};

static ci_policy policy_of(const struct reading *r, ci_kind kind)
{
    const ci_contract *c = r->at.loader->contract;

    return (ci_policy)(c->policy[kind] == CI_POLICY_ACCEPT ? c->otherwise : c->policy[kind]);
}

static ci_rc refuse(struct reading *r, const char *text, const ci_fault *fault)
{
    ci_rc rc = CI_OK;
    ci_rejects one = {0};
    char message[2 * CI_PATH_MAX];
    const ci_policy policy = policy_of(r, fault->kind);

    if (r->rejects) {
        CI_TRY(ci_rejects_add(r->rejects, policy, r->capture, r->line, ci_place_offset(&r->at), text, fault));
        r->stop = r->rejects->failing >= CI_REJECT_MAX;
    } else if (policy != CI_POLICY_QUARANTINE) {
        CI_TRY(ci_rejects_add(&one, policy, r->capture, r->line, ci_place_offset(&r->at), text, fault));
        ci_reject_text(r->plan, one.item, message, sizeof message);
        CI_FAIL(CI_EDATA, "%s", message);
    }
done:
    ci_rejects_release(&one);
    return rc;
}

/* What is wrong with the capture as a whole is said of line 1; a header is no row. */
static ci_rc header_take(struct reading *r)
{
    ci_rc rc = CI_OK;
    const ci_kind fault = (ci_kind)r->layout->fault;
    const char *next;
    size_t n;

    r->at.p += r->layout->bom;
    CI_TRY(ci_place_line(&r->at, &n, &next));
    if (fault != CI_KIND_NONE || (r->layout->header && n > CI_LINE_MAX)) {
        const ci_fault f = {.kind = fault ? fault : CI_KIND_LONG_LINE, .n = n};
        CI_TRY(refuse(r, r->at.p, &f));
    }
    if (!r->layout->header) goto done;
    if (next)
        r->at.p = next;
    else
        CI_TRY(ci_place_skip(&r->at, r->at.to));
    r->line++;
done:
    return rc;
}

static void frame_append(ci_table *t, const ci_frame *f)
{
    t->t_ns[t->n] = f->t_ns;
    t->id[t->n] = f->id;
    t->data[t->n] = f->data;
    t->len[t->n] = CI_MIN(f->len, 8); /* the rest of a CAN FD payload stays outside */
    t->attack[t->n++] = f->attack;
}

/* One line, whatever it looks like. */
static ci_rc line_take(struct reading *r, bool own)
{
    ci_rc rc = CI_OK;
    const char *next;
    size_t n;
    ci_frame frame;
    ci_fault fault;
    ci_line what;

    CI_TRY(ci_place_line(&r->at, &n, &next));
    if (n == 0 && ci_place_last(&r->at) && next == r->at.end) { /* a blank last line */
        r->at.p = next;
        goto done;
    }
    what = ci_line_read(r->layout, r->at.loader->accepts, r->at.p, n, &frame, &fault);
    if (what != CI_LINE_BAD) {
        if (what == CI_LINE_FRAME) frame_append(r->t, &frame);
        if (own && r->rejects) ci_rejects_repaired(r->rejects, frame.repaired);
    } else if (own || !r->rejects) {
        CI_TRY(refuse(r, r->at.p, &fault));
    } else if (policy_of(r, fault.kind) != CI_POLICY_QUARANTINE) {
        r->stop = true;
    }
    if (next)
        r->at.p = next;
    else
        CI_TRY(ci_place_skip(&r->at, own ? r->at.to : r->at.size));
    r->line++;
done:
    return rc;
}

/* Lines of the common shape, as many as are here. */
static void lines_take(struct reading *r, bool own, ci_lid most)
{
    ci_table *t = r->t;
    ci_rows rows = {t->t_ns, t->id, t->data, t->len, t->attack, t->n, most};
    const int64_t beyond = own ? r->at.at - r->at.to : 0;
    const char *stop = r->at.end - CI_MAX(beyond, 0);

    r->at.p = ci_rows_parse(r->at.p, stop, r->at.end, r->layout->columns, &rows);
    r->line += rows.n - t->n;
    t->n = rows.n;
}

/* Rows that begin in the block, or, with own false, behind it until the table has `most`. */
static ci_rc rows_take(struct reading *r, bool own, ci_lid most)
{
    ci_rc rc = CI_OK;

    while (!r->stop && (own ? ci_place_offset(&r->at) < r->at.to : r->t->n < most)) {
        const char *before;

        if (r->at.end - r->at.p < AHEAD && !ci_place_last(&r->at)) CI_TRY(ci_place_fill(&r->at));
        if (r->at.p == r->at.end) break;
        if (own && r->t->n == r->t->cap) CI_TRY(ci_table_reserve(r->t, r->t->n + 1));
        before = r->at.p;
        if (r->layout->fast) lines_take(r, own, own ? r->t->cap : most);
        if (r->at.p == before) CI_TRY(line_take(r, own));
    }
done:
    return rc;
}

/* No window begins in a block without rows, and none is built where a line fails: these need nothing
 * of what follows, be it a line of a gigabyte. */
static ci_rc halo_take(struct reading *r, ci_lid halo)
{
    ci_rc rc = CI_OK;
    ci_table *t = r->t;

    if (t->n_own == 0 || (r->rejects && r->rejects->failing > 0)) goto done;
    if (r->at.within && !r->stop) CI_TRY(ci_place_skip(&r->at, r->at.size));
    CI_TRY(ci_table_reserve(t, t->n + halo));
    CI_TRY(rows_take(r, false, t->n + halo));
done:
    return rc;
}

static ci_rc block_read(ci_loader *l, const ci_plan *p, int32_t block, ci_lid halo, ci_table *t,
                        ci_rejects *rejects, ci_xxh *out_hash)
{
    ci_rc rc = CI_OK;
    const ci_block *b = &p->block[block];
    struct reading r = {.plan = p, .capture = b->capture, .t = t, .rejects = rejects,
                        .layout = &p->capture[b->capture].layout,
                        .line = b->offset ? b->first_line : 1};

    t->first_row = b->first_row;
    t->n = t->n_own = 0;
    CI_TRY(ci_table_reserve(t, (ci_lid)CI_MIN(b->rows + halo, INT32_MAX / 2)));
    CI_TRY(ci_place_open(l, p, block, &r.at));
    if (b->offset == 0) CI_TRY(header_take(&r));
    if (r.layout->fault == CI_KIND_DIALECT || r.layout->fault == CI_KIND_EMPTY_FILE) r.stop = true;
    CI_TRY(rows_take(&r, true, 0));
    t->n_own = t->n;
    CI_TRY(halo_take(&r, halo));
    if (p->capture[b->capture].sidecar)
        for (ci_lid i = 0; i < t->n; i++)
            t->attack[i] = ci_sidecar_attack(&l->sidecar, t->t_ns[i], t->id[i]);
    CI_TRY(ci_place_finish(&r.at, out_hash));
done:
    ci_place_release(&r.at);
    return rc;
}

ci_rc ci_table_load(ci_loader *l, const ci_plan *p, int32_t block, ci_lid halo, ci_table *t)
{
    ci_rc rc = CI_OK;
    const ci_block *b = &p->block[block];
    ci_xxh hash;

    CI_TRY(block_read(l, p, block, halo, t, NULL, &hash));
    if (t->n_own != b->rows || hash.lo != b->hash.lo || hash.hi != b->hash.hi)
        CI_FAIL(CI_EIO, "%s: bytes %lld to %lld are not those that scan read: the file changed; "
                "run scan again", l->path, (long long)b->offset, (long long)(b->offset + b->bytes));
done:
    return rc;
}

ci_rc ci_table_scan(ci_loader *l, const ci_plan *p, int32_t block, ci_lid halo, ci_table *t,
                    ci_rejects *rejects, ci_xxh *out_hash)
{
    return block_read(l, p, block, halo, t, rejects, out_hash);
}
