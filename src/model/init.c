/** Initial weights. */
#include <math.h>
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

static int ends(const char *name, const char *tail)
{
    const size_t n = strlen(name), k = strlen(tail);
    return n >= k && !strcmp(name + n - k, tail);
}

void ci_model_init(const ci_model *m, uint32_t seed, float *w)
{
    for (ci_lid k = 0; k < m->n_param; k++) {
        const ci_param *p = &m->param[k];
        const ci_gid n = (ci_gid)p->rows * p->cols;
        const double glorot = sqrt(6.0 / (p->rows + p->cols));
        const bool head = !strncmp(p->name, "head", 4);
        /* A bias follows its weight in the table: the rows of that are the layer's inputs. */
        const double inputs = head && ends(p->name, "weight") ? p->rows : k ? m->param[k - 1].rows : 1;
        if (!strcmp(p->name, "embed.weight")) normal(seed, k, n, w + p->first);
        else if (head || ends(p->name, "lin_l.bias") || ends(p->name, "lin_r.bias"))
            uniform(seed, k, n, 1.0 / sqrt(inputs), w + p->first);
        else if (ends(p->name, ".bias")) memset(w + p->first, 0, (size_t)n * sizeof *w);
        else uniform(seed, k, n, glorot, w + p->first);
    }
}
