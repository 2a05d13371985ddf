#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "scan_priv.h"

/* Nodes and labels of the windows that start in the block; those that reach over the end of the
 * capture do not count. */
static void windows_count(const ci_scan_state *s, ci_builder *builder, const ci_table *t,
                          ci_count *out)
{
    const ci_gid stride = s->plan.stride;
    const ci_gid end = CI_MIN(t->n_own, t->n - s->plan.frames + 1);
    ci_gid r = ci_window_at(t->first_row, stride) * stride - t->first_row;

    for (; r < end; r += stride) {
        uint8_t attack = 0;
        out->nodes += ci_window_nodes(builder, t, (ci_lid)r, &attack);
        out->attack_graphs += attack;
        out->graphs++;
    }
}

static bool may_lack_label(const ci_conf *conf, const char *folder)
{
    for (int32_t i = 0; i < conf->data.attack_free.n; i++)
        if (strcmp(conf->data.attack_free.item[i], folder) == 0) return true;
    return false;
}

/* A capture without label column where it must have one. */
static ci_rc label_check(ci_scan_state *s, int32_t capture)
{
    static const char header[] = "timestamp,arbitration_id,data_field";
    const ci_capture *c = &s->plan.capture[capture];
    const ci_fault fault = {CI_KIND_NO_LABEL, sizeof header - 1, 0, sizeof header - 1};

    if (c->columns == 4 || may_lack_label(s->conf, s->plan.folder[c->folder].name)) return CI_OK;
    return ci_rejects_add(&s->rejects, CI_POLICY_FAIL, capture, 1, 0, header, &fault);
}

/* A header, perhaps a blank line, and nothing else. */
static ci_rc no_rows_check(ci_scan_state *s, int32_t capture, const ci_table *t, int64_t rejected)
{
    const ci_capture *c = &s->plan.capture[capture];
    const ci_fault fault = {.kind = CI_KIND_NO_ROWS};
    int64_t lines = 0;

    for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) lines += s->lines[b];
    if (lines > 2 || t->n_own > 0 || rejected > 0) return CI_OK;
    return ci_rejects_add(&s->rejects, CI_POLICY_FAIL, capture, 2, c->bytes, "", &fault);
}

static ci_rc block_scan(ci_scan_state *s, ci_loader *loader, ci_builder *builder, int32_t b,
                        ci_table *t, ci_block_found *out)
{
    ci_rc rc = CI_OK;
    const ci_block *block = &s->plan.block[b];
    const int64_t rejected = s->rejects.total;

    if (block->offset == 0) CI_TRY(label_check(s, block->capture));
    CI_TRY(ci_table_scan(loader, &s->plan, b, s->plan.frames - 1, t, &s->rejects, &out->hash));
    if (block->offset == 0)
        CI_TRY(no_rows_check(s, block->capture, t, s->rejects.total - rejected));
    if (s->rejects.n > 0) goto done; /* there will be no plan: only more rejects matter */
    out->count = ci_count_rows(t);
    windows_count(s, builder, t, &out->count);
    CI_TRY(ci_seen_add(&s->seen, block->capture, t));
done:
    return rc;
}

static ci_rc blocks_scan(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    const int32_t first = ci_plan_part(&s->plan, s->comm->rank, s->comm->size);
    const int32_t end = ci_plan_part(&s->plan, s->comm->rank + 1, s->comm->size);
    ci_loader *loader = NULL;
    ci_builder *builder = NULL;
    ci_table t = {0};
    const double begun = ci_now_s();
    ci_heartbeat heart = {begun, 0};

    s->n_found = end - first;
    s->found = ci_new((size_t)s->n_found, sizeof *s->found);
    if (!s->found) CI_FAIL(CI_ENOMEM, "no memory for %d blocks", s->n_found);
    CI_TRY(ci_loader_create(&s->contract, &loader));
    CI_TRY(ci_builder_create(ci_feature_set_find("kd35"), s->plan.frames, false, &builder));
    for (int32_t b = first; b < end && s->rejects.n < CI_REJECT_MAX; b++) {
        CI_TRY(ci_scan_interrupted());
        CI_TRY(block_scan(s, loader, builder, b, &t, &s->found[b - first]));
        if (ci_heartbeat_due(&heart, b + 1 - first, end - first) && ci_now_s() - begun > 2)
            ci_log(CI_INFO, "%d of %d blocks of this rank", b + 1 - first, end - first);
    }
    CI_TRY(ci_seen_close(&s->seen));
done:
    ci_loader_destroy(&loader);
    ci_builder_destroy(&builder);
    ci_table_release(&t);
    return rc;
}

/* Blocks in order of ranks are blocks in order: merge the counts of captures, number the graphs
 * and nodes of the store. */
static ci_rc found_take(ci_scan_state *s, const ci_block_found *found, size_t n)
{
    ci_rc rc = CI_OK;
    ci_plan *p = &s->plan;

    if (n != (size_t)p->n_block)
        CI_FAIL(CI_EINTERNAL, "%zu of %d blocks were counted", n, p->n_block);
    for (int32_t i = 0; i < p->n_capture; i++) {
        ci_capture *c = &p->capture[i];
        const bool used = c->same_as < 0;
        c->count = ci_count_none();
        c->first_graph = p->graphs;
        c->first_node = p->nodes;
        for (int32_t b = c->first_block; b < c->first_block + c->n_block; b++) {
            const ci_count *f = &found[b].count;
            p->block[b].rows = f->rows;
            p->block[b].graphs = f->graphs;
            p->block[b].nodes = f->nodes;
            p->block[b].first_graph = p->graphs;
            p->block[b].first_node = p->nodes;
            p->block[b].hash = found[b].hash;
            if (p->block[b].first_row != c->count.rows && f->rows > 0)
                CI_FAIL(CI_EIO, "%s/%s: row %lld where row %lld was expected: the file changed "
                        "while it was read", p->root, c->path, (long long)c->count.rows,
                        (long long)p->block[b].first_row);
            ci_count_append(&c->count, f);
            if (used) p->graphs += f->graphs;
            if (used) p->nodes += f->nodes;
        }
    }
done:
    return rc;
}

ci_rc ci_scan_rows(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_block_found *found = NULL;
    int64_t rejected;
    size_t bytes = 0;

    CI_TRY_ALL(s->comm, "scan.rows.parse", blocks_scan(s));
    rejected = s->rejects.total;
    CI_TRY(ci_comm_sum_i64(s->comm, "scan.rows.rejected", &rejected, 1));
    if (rejected > 0) { /* scan.c says so */
        ci_reject *item = NULL;
        CI_TRY(ci_comm_gather(s->comm, "scan.rows.rejects", s->rejects.item,
                              (size_t)s->rejects.n * sizeof *item, (void **)&item, &bytes, NULL));
        if (s->comm->rank == 0) {
            free(s->rejects.item);
            s->rejects.item = item;
            s->rejects.n = (int32_t)CI_MIN(bytes / sizeof *item, CI_REJECT_MAX);
        }
        s->rejects.total = rejected;
        goto done;
    }
    CI_TRY(ci_comm_gather(s->comm, "scan.rows.gather", s->found,
                          (size_t)s->n_found * sizeof *s->found, (void **)&found, &bytes, NULL));
    CI_TRY_ALL(s->comm, "scan.rows.merge",
               s->comm->rank == 0 ? found_take(s, found, bytes / sizeof *found) : CI_OK);
done:
    free(found);
    return rc;
}
