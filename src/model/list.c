/** Records, tensors and parameters, added one by one. */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "model_priv.h"

double ci_glorot(ci_lid in, ci_lid out) { return sqrt(6.0 / (in + out)); }

#define NAME(out, format)                            \
    do {                                             \
        va_list list;                                \
        va_start(list, format);                      \
        vsnprintf(out, sizeof(out), format, list);   \
        va_end(list);                                \
    } while (0)

ci_lid ci_model_param(ci_model *m, ci_lid rows, ci_lid cols, enum init how, double bound, const char *format, ...)
{
    assert(m->n_param < PARAM_MAX);
    ci_param *p = &m->param[m->n_param];
    NAME(p->name, format);
    p->rows = rows;
    p->cols = cols;
    p->first = m->size;
    m->init[m->n_param].how = how;
    m->init[m->n_param].bound = bound;
    m->size += (ci_gid)rows * cols;
    return m->n_param++;
}

ci_lid ci_model_tensor(ci_model *m, enum rows rows, ci_lid cols, const char *format, ...)
{
    assert(m->n_tensor < TENSOR_MAX);
    struct tensor *t = &m->tensor[m->n_tensor];
    NAME(t->name, format);
    t->rows = rows;
    t->cols = t->grad_cols = cols;
    return m->n_tensor++;
}

struct record *ci_model_record(ci_model *m, enum kind kind, ci_lid in, ci_lid out)
{
    assert(m->n_record < RECORD_MAX);
    struct record *r = &m->record[m->n_record];
    r->kind = kind;
    r->n_in = in != NONE;
    r->in[0] = in;
    r->out = out;
    for (int k = 0; k < AUX_OF; k++) r->aux[k] = NONE;
    for (int k = 0; k < PARAM_OF; k++) r->param[k] = NONE;
    r->operation = (uint32_t)m->n_record++;
    return r;
}

void ci_record_param(struct record *r, ci_lid param)
{
    assert(r->n_param < PARAM_OF);
    r->param[r->n_param++] = param;
}

void ci_model_cut(ci_model *m, int backward, ci_lid record, ci_lid n)
{
    assert(m->n_cut[backward] < CUT_MAX);
    m->cut[backward][m->n_cut[backward]++] = (struct cut){record, n};
}

void ci_model_linear(ci_model *m, ci_lid in, ci_lid out, enum bias bias, bool glorot, const char *format, ...)
{
    struct record *r = ci_model_record(m, LINEAR, in, out);
    const ci_lid K = m->tensor[in].cols, N = m->tensor[out].cols;
    char name[CI_PARAM_NAME - 8];
    NAME(name, format);
    ci_record_param(r, ci_model_param(m, K, N, INIT_UNIFORM, glorot ? ci_glorot(K, N) : 1 / sqrt(K), "%s.weight", name));
    if (bias != NO_BIAS)
        ci_record_param(r, ci_model_param(m, 1, N, bias == BIAS ? INIT_UNIFORM : INIT_ZERO, 1 / sqrt(K), "%s.bias", name));
    r->prepared = m->prepared_size;
    m->prepared_size += (ci_gid)m->tensor[in].grad_cols * N;
}
