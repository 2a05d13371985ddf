/** Passes over all shards of a rank at once. */
#include <assert.h>
#include <string.h>
#include "device_priv.h"

uint32_t ci_device_overwrite(const struct devpass *p, const struct record *r)
{
    const bool *add = p->dm->add[dev_at(p, r)];
    uint32_t bits = 0;
    for (ci_lid j = 0; j < r->n_in; j++) {
        bool earlier = add[j];
        for (ci_lid k = 0; k < j; k++) earlier = earlier || r->in[k] == r->in[j];
        if (!earlier) bits |= 1u << j;
    }
    return bits;
}

ci_k_grad ci_device_grad(const struct devpass *p, const struct record *r, ci_lid k)
{
    const ci_k_optim *o = p->a->optim;
    const ci_lid at = r->param[k];
    if (at == NONE) return (ci_k_grad){0};
    return (ci_k_grad){o->sum + p->m->param[at].first, o->exponent + at, o->largest + at};
}

ci_k_loss ci_device_loss(const struct devpass *p, ci_term term)
{
    const ci_k_optim *o = p->a->optim;
    return (ci_k_loss){o->sum + o->n + term, o->largest + o->n_tensor};
}

struct devcut *ci_device_cut_of(const struct devpass *p, int backward, const struct record *r)
{
    const ci_lid at = dev_at(p, r);
    ci_lid k = 0;
    while (p->m->cut[backward][k].record != at) k++;
    assert(k < p->m->n_cut[backward]);
    return &p->dm->cut[backward][k];
}

ci_rc ci_device_cut(struct devpass *p, const ci_k_cut *cut)
{
    ci_rc rc = CI_OK;
    if (p->a->ring) CI_TRY(ci_ring_gather_f64(p->a->ring, cut->own, cut->all, (size_t)p->dm->room.most_shard * (size_t)cut->n));
    p->k->cut_total(p->dev, p->b, cut);
done:
    return rc;
}

static void products_make(struct devpass *p)
{
    if (p->n_product) p->k->gemm_grad(p->dev, p->b, p->dm->room.precision, p->product, p->n_product);
    p->n_product = 0;
}

void ci_device_product(struct devpass *p, ci_k_gemm_grad g)
{
    if (p->n_product == PRODUCT_MAX) products_make(p);
    p->product[p->n_product++] = g;
}

/** Gradients that this record is the first to write start as 0, unless its kind writes them whole. */
static ci_rc gradients_begin(const struct devpass *p, const struct record *r)
{
    ci_rc rc = CI_OK;
    const ci_runtime *run = p->dm->device.backend->runtime;
    const uint32_t first = ci_device_kinds[r->kind].writes ? 0 : ci_device_overwrite(p, r);
    for (ci_lid j = 0; j < r->n_in; j++) {
        const struct tensor *t = &p->m->tensor[r->in[j]];
        const size_t n = (size_t)p->dm->room.most[t->rows] * (size_t)t->grad_cols;
        if (first >> j & 1 && n) CI_TRY(ci_device_rc(&p->dm->device, run->zero(p->dev, dev_grad(p, r->in[j]), n * sizeof(float))));
    }
done:
    return rc;
}

/** Records of the launch at `first`, those that this pass wants; \return behind the last. */
static ci_lid launch_of(const struct devpass *p, const struct order *o, ci_lid first, ci_lid to, ci_lid *out, ci_lid *out_n)
{
    ci_lid i = first;
    *out_n = 0;
    for (; i < o->n && o->group[i] == o->group[first]; i++)
        if (o->record[i] < to && (p->b->training || !p->m->record[o->record[i]].training)) out[(*out_n)++] = o->record[i];
    return i;
}

ci_rc ci_device_forward(struct devpass *p, ci_lid to)
{
    ci_rc rc = CI_OK;
    const struct order *o = &p->dm->order[0];
    ci_lid at[RECORD_MAX], n;
    for (ci_lid i = 0; i < o->n;) {
        i = launch_of(p, o, i, to, at, &n);
        if (!n) continue;
        const struct record *r = &p->m->record[at[0]];
        if (r->kind == LINEAR) ci_device_linears(p, at, n);
        else if (ci_device_kinds[r->kind].forward) CI_TRY(ci_device_kinds[r->kind].forward(p, r));
    }
done:
    return rc;
}

static ci_rc backward(struct devpass *p)
{
    ci_rc rc = CI_OK;
    const struct order *o = &p->dm->order[1];
    ci_lid at[RECORD_MAX], n;
    for (ci_lid i = 0; i < o->n;) {
        i = launch_of(p, o, i, p->m->n_record, at, &n);
        const struct record *r = &p->m->record[at[0]];
        if (r->kind == LINEAR) {
            ci_device_linears_back(p, at, n);
        } else if (ci_device_kinds[r->kind].backward) {
            CI_TRY(gradients_begin(p, r));
            CI_TRY(ci_device_kinds[r->kind].backward(p, r));
        }
        if (!p->dm->grouped) products_make(p);
    }
    products_make(p);
done:
    return rc;
}

void ci_device_pass(ci_devmodel *dm, const ci_devmodel_pass *a, const ci_k_batch *b, struct devpass *out)
{
    for (int k = 0; k < CI_ROWS_COUNT; k++) assert(b->most[k] <= dm->room.most[k]);
    assert(b->most_shard <= dm->room.most_shard);
    out->dm = dm;
    out->m = dm->m;
    out->a = a;
    out->b = b;
    out->k = dm->device.backend->kernels;
    out->dev = dm->device.dev;
    out->n_product = 0;
}

ci_rc ci_devmodel_forward(ci_devmodel *dm, const ci_devmodel_pass *a, bool all)
{
    struct devpass p;
    assert(!a->b->training);
    ci_device_pass(dm, a, a->b, &p);
    return ci_device_forward(&p, all ? dm->m->n_record : dm->m->n_recon);
}

ci_rc ci_devmodel_train(ci_devmodel *dm, const ci_devmodel_pass *a)
{
    ci_rc rc = CI_OK;
    struct devpass p;

    assert(a->b->training && dm->room.training);
    ci_device_pass(dm, a, a->b, &p);
    CI_TRY(ci_device_forward(&p, dm->m->n_record));
    CI_TRY(backward(&p));
done:
    return rc;
}

ci_rc ci_devmodel_running(ci_devmodel *dm, const ci_devmodel_pass *a, float *state)
{
    ci_k_running run[CUT_MAX];
    int n = 0;

    for (ci_lid k = 0; k < dm->m->n_cut[0]; k++) {
        const struct record *r = &dm->m->record[dm->m->cut[0][k].record];
        const ci_lid cols = dm->m->tensor[r->in[0]].cols;
        if (r->kind == BATCH_NORM) run[n++] = (ci_k_running){cols, dm->cut[0][k].sum.total, state + r->state, state + r->state + cols};
    }
    if (n) dm->device.backend->kernels->running(dm->device.dev, a->b, a->optim, run, n);
    return CI_OK;
}

const float *ci_devmodel_tensor(const ci_devmodel *dm, const char *name, ci_lid *out_cols)
{
    for (ci_lid t = 0; t < dm->m->n_tensor; t++)
        if (!strcmp(dm->m->tensor[t].name, name)) {
            if (out_cols) *out_cols = dm->m->tensor[t].cols;
            return dm->value[t];
        }
    return NULL;
}
