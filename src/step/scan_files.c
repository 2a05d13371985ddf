/* What is wrong with captures as a whole, before their rows are read. */
#include <string.h>

#include "scan_priv.h"

static bool may_lack_label(const ci_conf *conf, const char *folder)
{
    for (int32_t i = 0; i < conf->data.attack_free.n; i++)
        if (strcmp(conf->data.attack_free.item[i], folder) == 0) return true;
    return false;
}

static ci_kind fault_of(const ci_scan_state *s, const ci_capture *c)
{
    if (c->fault != CI_KIND_NONE) return (ci_kind)c->fault;
    if (!c->layout.labelled && !c->sidecar && !may_lack_label(s->conf, s->plan.folder[c->folder].name))
        return CI_KIND_NO_LABEL;
    return CI_KIND_NONE;
}

void ci_scan_files(ci_scan_state *s)
{
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        ci_capture *c = &s->plan.capture[i];
        c->fault = fault_of(s, c);
        if (c->fault && s->contract.policy[c->fault] == CI_POLICY_QUARANTINE)
            c->left_out = c->fault;
    }
}

/* The first line alone, for the loader to say what is wrong with it. */
static ci_rc first_line_scan(ci_scan_state *s, ci_loader *loader, int32_t b, ci_table *t)
{
    ci_block *block = &s->plan.block[b];
    const int64_t bytes = block->bytes;
    ci_xxh unused;
    ci_rc rc;

    block->bytes = CI_MIN(1, bytes);
    rc = ci_table_scan(loader, &s->plan, b, 0, t, &s->rejects, &unused);
    block->bytes = bytes;
    return rc;
}

static ci_rc no_label_add(ci_scan_state *s, int32_t capture, ci_policy policy)
{
    static const char header[] = "timestamp,arbitration_id,data_field";
    const ci_layout *l = &s->plan.capture[capture].layout;
    const bool named = l->header && l->dialect == CI_DIALECT_FOUR_COLUMN;
    const size_t n = named ? sizeof header - 1 : 0; /* where the column is missing, if there are names */
    const ci_fault fault = {CI_KIND_NO_LABEL, n, 0, n};

    return ci_rejects_add(&s->rejects, policy, capture, 1, 0, header, &fault);
}

ci_rc ci_scan_file(ci_scan_state *s, ci_loader *loader, int32_t b, ci_table *t, bool *out_rows)
{
    ci_rc rc = CI_OK;
    const ci_block *block = &s->plan.block[b];
    const ci_kind fault = (ci_kind)s->plan.capture[block->capture].fault;
    const ci_policy policy = (ci_policy)s->contract.policy[fault];
    const bool accepted = policy == CI_POLICY_ACCEPT, head = block->offset == 0;

    *out_rows = true;
    if (fault == CI_KIND_NONE) goto done;
    if (accepted && head) ci_rejects_repaired(&s->rejects, UINT64_C(1) << fault);
    if (fault == CI_KIND_NO_LABEL) {
        if (!accepted && head) CI_TRY(no_label_add(s, block->capture, policy));
        *out_rows = policy != CI_POLICY_QUARANTINE;
    } else if (policy != CI_POLICY_FAIL) {
        if (!accepted && head) CI_TRY(first_line_scan(s, loader, b, t));
        *out_rows = false;
    }
done:
    return rc;
}
