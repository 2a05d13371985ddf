/** The classifier as a list of records. */
#include <math.h>
#include <stdio.h>
#include "model_priv.h"

static ci_lid pooled_cols(const ci_model *m, const ci_lid *in, ci_lid n)
{
    ci_lid sum = 0;
    for (ci_lid k = 0; k < n; k++) sum += m->tensor[in[k]].cols;
    return sum;
}

static struct record *record_of(ci_model *m, enum kind kind, const ci_lid *in, ci_lid n, ci_lid out)
{
    struct record *r = ci_model_record(m, kind, in[0], out);
    for (ci_lid k = 1; k < n; k++) r->in[r->n_in++] = in[k];
    return r;
}

static void score_param(ci_model *m, struct record *r, ci_lid cols, const char *name)
{
    ci_record_param(r, ci_model_param(m, cols, 1, INIT_UNIFORM, 1 / sqrt(cols), "%s.weight", name));
    ci_record_param(r, ci_model_param(m, 1, 1, INIT_UNIFORM, 1 / sqrt(cols), "%s.bias", name));
}

static ci_lid lstm(ci_model *m, const ci_lid *layer, ci_lid L, ci_lid D)
{
    const ci_lid h = L * D / 2, y = ci_model_tensor(m, PER_NODE, D, "jk");
    const ci_lstm_dim dim = {L, D, h};
    const double bound = 1 / sqrt(h);
    struct record *r = record_of(m, LSTM, layer, L, y);
    ci_record_param(r, ci_model_param(m, 2 * D, 4 * h, INIT_UNIFORM, bound, "jk.weight_ih"));
    ci_record_param(r, ci_model_param(m, 2 * h, 4 * h, INIT_UNIFORM, bound, "jk.weight_hh"));
    ci_record_param(r, ci_model_param(m, 2, 4 * h, INIT_UNIFORM, bound, "jk.bias_ih"));
    ci_record_param(r, ci_model_param(m, 2, 4 * h, INIT_UNIFORM, bound, "jk.bias_hh"));
    score_param(m, r, 2 * h, "jk.att");
    r->C = h;
    r->aux[0] = ci_model_tensor(m, PER_NODE, (ci_lid)ci_lstm_keep(dim), "jk.keep");
    m->tensor[r->aux[0]].grad_cols = (ci_lid)ci_lstm_work(dim);
    r->prepared = m->prepared_size;
    m->prepared_size += 8 * (ci_gid)h * (D + h);
    return y;
}

/** What the pooling sees: \return how many tensors in out. */
static ci_lid jump(ci_model *m, const ci_lid *layer, ci_lid *out)
{
    const ci_lid L = m->dim.layers, D = m->tensor[layer[0]].cols;
    ci_lid y;

    switch ((ci_jk)m->dim.jk) {
    case CI_JK_CAT:
        if (m->dim.pool != CI_POOL_ATTENTION || L == 1) {
            for (ci_lid k = 0; k < L; k++) out[k] = layer[k];
            return L;
        }
        y = ci_model_tensor(m, PER_NODE, pooled_cols(m, layer, L), "jk"); /* its gate scores the whole vector */
        record_of(m, CAT, layer, L, y);
        break;
    case CI_JK_LAST: y = layer[L - 1]; break;
    case CI_JK_LSTM: y = lstm(m, layer, L, D); break;
    case CI_JK_ATTENTION: {
        y = ci_model_tensor(m, PER_NODE, D, "jk");
        struct record *r = record_of(m, JK_ATTENTION, layer, L, y);
        score_param(m, r, D, "jk.att");
        r->aux[0] = ci_model_tensor(m, PER_NODE, L, "jk.p");
        break;
    }
    default:
        y = ci_model_tensor(m, PER_NODE, D, "jk");
        record_of(m, JK_MAX, layer, L, y);
    }
    out[0] = y;
    return 1;
}

static ci_lid mean_max(ci_model *m, const ci_lid *in, ci_lid n)
{
    const ci_lid cols = pooled_cols(m, in, n);
    const ci_lid part[2] = {ci_model_tensor(m, PER_GRAPH, cols, "pool.mean"), ci_model_tensor(m, PER_GRAPH, cols, "pool.max")};
    record_of(m, POOL_MEAN, in, n, part[0]);
    record_of(m, POOL_MAX, in, n, part[1]);
    const ci_lid y = ci_model_tensor(m, PER_GRAPH, 2 * cols, "pooled");
    record_of(m, CAT, part, 2, y);
    return y;
}

static ci_lid pool(ci_model *m, const ci_lid *in, ci_lid n)
{
    static const enum kind kind[] = {[CI_POOL_MEAN] = POOL_MEAN, [CI_POOL_MAX] = POOL_MAX, [CI_POOL_SUM] = POOL_SUM,
                                     [CI_POOL_ATTENTION] = POOL_ATTENTION};
    if (m->dim.pool == CI_POOL_MEANMAX) return mean_max(m, in, n);
    const ci_lid y = ci_model_tensor(m, PER_GRAPH, pooled_cols(m, in, n), "pooled");
    struct record *r = record_of(m, kind[m->dim.pool], in, n, y);
    if (r->kind != POOL_ATTENTION) return y;
    score_param(m, r, m->tensor[in[0]].cols, "pool.gate");
    r->aux[0] = ci_model_tensor(m, PER_NODE, 1, "pool.p");
    return y;
}

/** What is known of the window, as the model sees it. */
static ci_lid window(ci_model *m)
{
    const ci_lid w = ci_model_tensor(m, PER_GRAPH, m->dim.n_window_feature, "w");
    m->tensor[w].grad_cols = 0; /* data */
    ci_model_record(m, WINDOW_INPUT, NONE, w);
    return w;
}

static ci_lid beside(ci_model *m, ci_lid pooled, ci_lid w)
{
    const ci_lid y = ci_model_tensor(m, PER_GRAPH, m->dim.heads * m->dim.channels, "window");
    ci_model_linear(m, w, y, BIAS, false, "window");
    ci_model_record(m, RELU, y, y);
    const ci_lid in[2] = {pooled, y}, both = ci_model_tensor(m, PER_GRAPH, m->tensor[pooled].cols + m->tensor[y].cols, "head_in");
    record_of(m, CAT, in, 2, both);
    return both;
}

/** \return logits: of the head, and of a linear term of w, which begins as 0 */
static ci_lid head(ci_model *m, ci_lid x, ci_lid w, bool linear)
{
    const ci_model_dim *d = &m->dim;
    const ci_lid width = d->head_dim ? d->head_dim : m->tensor[x].cols;
    for (ci_lid k = 0; k < d->head_layers; k++) {
        const bool last = k == d->head_layers - 1;
        const ci_lid y = last && !linear ? ci_model_tensor(m, PER_GRAPH, d->n_class, "logit")
                                         : ci_model_tensor(m, PER_GRAPH, last ? d->n_class : width, "head%d", k);
        ci_model_linear(m, x, y, BIAS, false, "head%d", k);
        if (!last) ci_model_record(m, RELU, y, y);
        x = y;
    }
    if (!linear) return x;
    const ci_lid in[2] = {x, ci_model_tensor(m, PER_GRAPH, d->n_class, "window_term")};
    ci_model_linear(m, w, in[1], NO_BIAS, false, "window_term");
    m->init[m->n_param - 1].how = INIT_ZERO;
    const ci_lid y = ci_model_tensor(m, PER_GRAPH, d->n_class, "logit");
    record_of(m, ADD, in, 2, y);
    return y;
}

void ci_model_list_gat(ci_model *m)
{
    const ci_model_dim *d = &m->dim;
    ci_lid layer[CI_MODEL_LAYERS], in[CI_MODEL_LAYERS] = {0}, n, w = NONE, message = NONE;
    ci_lid x = ci_model_input(m, d->n_id + 1);

    for (ci_lid k = 0; k < d->layers; k++) {
        char name[16], out[16];
        snprintf(name, sizeof name, "conv%d", k);
        snprintf(out, sizeof out, "x%d", k + 1);
        layer[k] = x = ci_model_layer(m, x, d->heads, d->channels, false, name, out);
    }
    n = jump(m, layer, in);
    x = pool(m, in, n);
    m->tensor[x].kept = true; /* statistics of it are said of a graph */
    if (d->window) w = window(m);
    if (d->window & CI_WINDOW_POOL) x = beside(m, x, w);
    x = head(m, x, w, d->window & CI_WINDOW_LINEAR);
    m->n_recon = m->n_record;
    if (d->message) message = ci_model_message(m, layer[d->layers - 1]);
    ci_model_record(m, CLASSIFY, x, NONE);
    if (d->teacher) ci_model_record(m, TEACHER_LOGIT, x, NONE);
    if (d->message) ci_model_record(m, MESSAGE_LOSS, message, NONE);
}
