/** Initial weights. */
#include <string.h>
#include "ci/random.h"
#include "model_priv.h"

static void uniform(uint32_t seed, ci_lid tensor, ci_gid n, double bound, float *w)
{
    for (ci_gid i = 0; i < n; i += 4) {
        const ci_u32x4 r = ci_philox(seed, CI_RANDOM_INIT, (uint32_t)tensor, (uint32_t)(i / 4), 0, 0);
        for (ci_gid k = 0; k < 4 && i + k < n; k++) w[i + k] = (float)bound * (2.0f * ci_unit(r.v[k]) - 1.0f);
    }
}

/** Elements 4k..4k+3 are two pairs; each takes its first accepted attempt, counter (tensor, k, attempt, 0). */
static void normal(uint32_t seed, ci_lid tensor, ci_gid n, float *w)
{
    for (ci_gid i = 0; i < n; i += 4) {
        float x[4];
        int have[2] = {0, 0};
        for (uint32_t attempt = 0; !have[0] || !have[1]; attempt++) {
            const ci_u32x4 r = ci_philox(seed, CI_RANDOM_INIT, (uint32_t)tensor, (uint32_t)(i / 4), attempt, 0);
            ci_normal_attempt(r, have, x);
        }
        memcpy(w + i, x, (size_t)CI_MIN(n - i, 4) * sizeof *w);
    }
}

void ci_model_init(const ci_model *m, uint32_t seed, float *w, float *state)
{
    for (ci_lid k = 0; k < m->n_param; k++) {
        const ci_param *p = &m->param[k];
        const ci_gid n = (ci_gid)p->rows * p->cols;
        switch (m->init[k].how) {
        case INIT_NORMAL: normal(seed, k, n, w + p->first); break;
        case INIT_UNIFORM: uniform(seed, k, n, m->init[k].bound, w + p->first); break;
        default:
            for (ci_gid i = 0; i < n; i++) w[p->first + i] = m->init[k].how == INIT_ONE ? 1 : 0;
        }
    }
    for (ci_lid k = 0; k < m->n_record; k++) {
        const struct record *r = &m->record[k];
        const ci_lid cols = r->kind == BATCH_NORM ? m->tensor[r->out].cols : 0;
        for (ci_lid d = 0; d < cols; d++) {
            state[r->state + d] = 0;
            state[r->state + cols + d] = 1;
        }
    }
}
