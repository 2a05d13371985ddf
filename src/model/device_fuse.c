/** Which records are made in one launch.  The processor's passes, record by record, are what these are held against. */
#include "device_priv.h"

static bool is_conv(enum kind kind) { return kind == GATV1 || kind == GATV2 || kind == TRANSFORMER; }

/** A relu in the place of what record k makes, right behind it. */
static bool relu_behind(const ci_model *m, ci_lid k)
{
    const enum kind kind = m->record[k].kind;
    const struct record *r = k + 1 < m->n_record ? &m->record[k + 1] : NULL;
    if (kind != LINEAR && kind != GRAPH_NORM && !is_conv(kind)) return false;
    return r && r->kind == RELU && r->out == m->record[k].out && r->training == m->record[k].training && (k + 1 < m->n_recon) == (k < m->n_recon);
}

/** Linear layers of one input, next to each other: gradients of it are made together, when the last one's is. */
static ci_lid backward_group(ci_devmodel *dm, ci_lid from)
{
    const ci_model *m = dm->m;
    ci_lid k = from;
    while (k + 1 < m->n_record && m->record[k + 1].kind == LINEAR && m->record[k + 1].in[0] == m->record[from].in[0]) dm->fused[k++].backward = true;
    dm->fused[k].n_back = k + 1 - from;
    return k + 1;
}

/** Backward of a relu that linear layers are the first to read, so the last to write its gradient. */
static void gate(ci_devmodel *dm, ci_lid relu)
{
    const ci_model *m = dm->m;
    const ci_lid x = m->record[relu].out;
    for (ci_lid k = relu + 1; k < m->n_record; k++)
        for (ci_lid j = 0; j < m->record[k].n_in; j++) {
            if (m->record[k].in[j] != x) continue;
            if (m->record[k].kind != LINEAR || m->tensor[x].grad_cols != m->tensor[x].cols) return;
            while (dm->fused[k].backward) k++;
            dm->fused[k].gate = dm->fused[relu].gated = true;
            return;
        }
}

void ci_device_fuse(ci_devmodel *dm)
{
    const ci_model *m = dm->m;
    for (ci_lid k = 0; k < m->n_record; k++) {
        if (!relu_behind(m, k)) continue;
        dm->fused[k].relu = true;
        dm->fused[k + 1].forward = true;
    }
    for (ci_lid k = 0; k < m->n_record;) k = m->record[k].kind == LINEAR ? backward_group(dm, k) : k + 1;
    for (ci_lid k = 0; k < m->n_record; k++)
        if (m->record[k].kind == RELU) gate(dm, k);
    for (ci_lid k = 0; k + 1 < m->n_record; k++)
        if (dm->fused[k].relu && is_conv(m->record[k].kind) && !dm->fused[k + 1].gated) dm->fused[k].gates = dm->fused[k + 1].gated = true;
}
