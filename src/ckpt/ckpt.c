/* A checkpoint's memory. */
#include "ci/ckpt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ckpt_priv.h"
#include "ci/arena.h"

ci_rc ckpt_room(ci_ckpt *c, const ci_ckpt *like)
{
    ci_rc rc = CI_OK;

    *c = (ci_ckpt){.n = like->n, .n_tensor = like->n_tensor, .n_vocab = like->n_vocab, .n_state = like->n_state,
                   .n_calibration = like->n_calibration};
    c->at.best_epoch = c->at.better_epoch = -1;
    c->w = ci_new((size_t)c->n, sizeof *c->w);
    c->m = ci_new((size_t)c->n, sizeof *c->m);
    c->v = ci_new((size_t)c->n, sizeof *c->v);
    c->exponent = ci_new((size_t)c->n_tensor, sizeof *c->exponent);
    c->vocab = ci_new((size_t)c->n_vocab, sizeof *c->vocab);
    c->state = ci_new((size_t)c->n_state, sizeof *c->state);
    c->calibration = ci_new((size_t)c->n_calibration, 2 * sizeof *c->calibration);
    if (!c->w || !c->m || !c->v || !c->exponent || !c->vocab || !c->state || !c->calibration)
        CI_FAIL(CI_ENOMEM, "a checkpoint of %lld parameters", (long long)c->n);
done:
    if (rc != CI_OK) ci_ckpt_release(c);
    return rc;
}

ci_rc ci_ckpt_init(ci_ckpt *c, const ci_model *m, int32_t n_vocab, int32_t n_calibration)
{
    ci_ckpt like = {.n = ci_model_size(m), .n_vocab = n_vocab, .n_state = ci_model_state_size(m), .n_calibration = n_calibration};
    ci_rc rc;

    ci_model_params(m, &like.n_tensor);
    rc = ckpt_room(c, &like);
    if (rc == CI_OK) {
        c->dim = *ci_model_dims(m);
        ci_ckpt_tensors(m, c->tensors);
    }
    return rc;
}

void ci_ckpt_release(ci_ckpt *c)
{
    if (!c) return;
    free(c->w);
    free(c->m);
    free(c->v);
    free(c->exponent);
    free(c->vocab);
    free(c->state);
    free(c->calibration);
    *c = (ci_ckpt){0};
}

static void tensor_add(ci_sha256 *s, const char *name, int32_t rows, int32_t cols, int64_t first)
{
    char text[CI_PARAM_NAME + 64];

    ci_sha256_add(s, text, (size_t)snprintf(text, sizeof text, "%.*s (%d,%d) at %lld\n", CI_PARAM_NAME, name, rows, cols, (long long)first));
}

void ckpt_tensors(ci_lid n, const char *name, const int32_t *rows, const int32_t *cols, const int64_t *first, char out[CI_SHA256_HEX])
{
    ci_sha256 *s = ci_sha256_begin();

    out[0] = 0; /* without memory, as ci_sha256_of */
    if (!s) return;
    for (ci_lid i = 0; i < n; i++) tensor_add(s, name + (size_t)i * CI_PARAM_NAME, rows[i], cols[i], first[i]);
    ci_sha256_end(&s, out);
}

void ci_ckpt_tensors(const ci_model *m, char out[CI_SHA256_HEX])
{
    ci_lid n;
    const ci_param *p = ci_model_params(m, &n);
    ci_sha256 *s = ci_sha256_begin();

    out[0] = 0;
    if (!s) return;
    for (ci_lid i = 0; i < n; i++) tensor_add(s, p[i].name, p[i].rows, p[i].cols, p[i].first);
    ci_sha256_end(&s, out);
}

void ci_ckpt_weights(const ci_ckpt *c, char out[CI_SHA256_HEX])
{
    ci_sha256_of(c->w, (size_t)c->n * sizeof *c->w, out);
}
