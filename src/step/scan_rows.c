#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "scan_priv.h"

/* Nodes, edges and labels of the windows that start in the block; those that reach over the end of the
 * capture do not count. */
static void windows_count(const ci_scan_state *s, ci_builder *builder, const ci_table *t,
                          ci_count *out)
{
    const ci_gid stride = s->plan.stride;
    const ci_gid end = CI_MIN(t->n_own, t->n - s->plan.rows + 1);
    ci_gid r = ci_window_at(t->first_row, stride) * stride - t->first_row;

    for (; r < end; r += stride) {
        uint8_t attack = 0;
        const ci_lid nodes = ci_window_nodes(builder, t, (ci_lid)r, &attack);
        out->nodes += nodes;
        out->edges += ci_window_edges(builder, t, (ci_lid)r, nodes);
        out->attack_graphs += attack;
        out->graphs++;
    }
}

ci_rc ci_scan_block(ci_scan_state *s, ci_loader *loader, ci_builder *builder, int32_t b,
                    ci_table *t, ci_rejects *rejects, ci_block_found *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_table_scan(loader, &s->plan, b, s->plan.rows - 1, t, rejects, &out->hash));
    out->count.rows = t->n_own;
    if (rejects->failing > 0) goto done; /* there will be no plan: only more rejects matter */
    out->count = ci_count_rows(t);
    windows_count(s, builder, t, &out->count);
done:
    return rc;
}

/* What of the counts of rejects is this block's. */
static void kinds_since(const ci_rejects *now, const ci_rejects *before, ci_block_found *out)
{
    for (int k = 0; k < CI_KIND_COUNT; k++) {
        out->refused[k] = (int32_t)(now->refused[k] - before->refused[k]);
        out->repaired[k] = (int32_t)(now->repaired[k] - before->repaired[k]);
    }
}

static ci_rc block_read(ci_scan_state *s, ci_loader *loader, ci_builder *builder, int32_t b,
                        ci_table *t, ci_block_found *out)
{
    ci_rc rc = CI_OK;
    const ci_rejects before = s->rejects;
    bool rows;

    CI_TRY(ci_scan_file(s, loader, b, t, &rows));
    out->count = ci_count_none();
    if (rows) CI_TRY(ci_scan_block(s, loader, builder, b, t, &s->rejects, out));
    if (rows && s->rejects.failing == 0) {
        const int32_t capture = s->plan.block[b].capture;
        const ci_look look = ci_look_rows(t, b, capture);
        CI_TRY(ci_seen_add(&s->seen, capture, t));
        ci_look_append(&s->look[capture], &look);
    }
    kinds_since(&s->rejects, &before, out);
    out->scanned = 1;
done:
    return rc;
}

ci_rc ci_scan_builder(const ci_scan_state *s, ci_builder **out)
{
    return ci_builder_create(ci_feature_set_of(s->conf->features.set, s->conf->features.past), s->plan.frames,
                             strcmp(s->conf->features.compat, "reference") == 0, out);
}

static ci_rc blocks_scan(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_loader *loader = NULL;
    ci_builder *builder = NULL;
    ci_table t = {0};
    const double begun = ci_now_s();
    ci_heartbeat heart = {begun, 0};

    s->first = ci_plan_part(&s->plan, s->comm->rank, s->comm->size);
    s->end = ci_plan_part(&s->plan, s->comm->rank + 1, s->comm->size);
    s->found = ci_new((size_t)(s->end - s->first), sizeof *s->found);
    s->look = ci_new((size_t)s->plan.n_capture, sizeof *s->look);
    if (!s->found || !s->look) CI_FAIL(CI_ENOMEM, "no memory for %d blocks", s->end - s->first);
    for (int32_t i = 0; i < s->plan.n_capture; i++) s->look[i] = ci_look_none(i);
    CI_TRY(ci_loader_create(&s->contract, &loader));
    CI_TRY(ci_scan_builder(s, &builder));
    for (int32_t b = s->first; b < s->end && s->rejects.failing < CI_REJECT_MAX; b++) {
        CI_TRY(ci_scan_interrupted());
        CI_TRY(block_read(s, loader, builder, b, &t, &s->found[b - s->first]));
        if (ci_heartbeat_due(&heart, b + 1 - s->first, s->end - s->first) && ci_now_s() - begun > 2)
            ci_log(CI_INFO, "%d of %d blocks of this rank", b + 1 - s->first, s->end - s->first);
    }
    CI_TRY(ci_seen_close(&s->seen));
done:
    ci_loader_destroy(&loader);
    ci_builder_destroy(&builder);
    ci_table_release(&t);
    return rc;
}

ci_rc ci_scan_rows(ci_scan_state *s)
{
    ci_rc rc = CI_OK;

    CI_TRY_ALL(s->comm, "scan.rows.parse", blocks_scan(s));
    CI_TRY(ci_scan_settle(s));
done:
    return rc;
}
