/* A checkpoint's memory. */
#include "ci/ckpt.h"
#include <stdlib.h>
#include <string.h>
#include "ckpt_priv.h"
#include "ci/arena.h"

ci_rc ckpt_room(ci_ckpt *c, ci_gid n, ci_lid n_tensor, int32_t n_vocab)
{
    ci_rc rc = CI_OK;

    *c = (ci_ckpt){.n = n, .n_tensor = n_tensor, .n_vocab = n_vocab};
    c->at.best_epoch = c->at.better_epoch = -1;
    c->w = ci_new((size_t)n, sizeof *c->w);
    c->m = ci_new((size_t)n, sizeof *c->m);
    c->v = ci_new((size_t)n, sizeof *c->v);
    c->exponent = ci_new((size_t)n_tensor, sizeof *c->exponent);
    c->vocab = ci_new((size_t)n_vocab, sizeof *c->vocab);
    if (!c->w || !c->m || !c->v || !c->exponent || !c->vocab)
        CI_FAIL(CI_ENOMEM, "a checkpoint of %lld parameters", (long long)n);
done:
    if (rc != CI_OK) ci_ckpt_release(c);
    return rc;
}

ci_rc ci_ckpt_init(ci_ckpt *c, const ci_model *m, int32_t n_vocab)
{
    ci_lid n_tensor;

    ci_model_params(m, &n_tensor);
    return ckpt_room(c, ci_model_size(m), n_tensor, n_vocab);
}

void ci_ckpt_release(ci_ckpt *c)
{
    if (!c) return;
    free(c->w);
    free(c->m);
    free(c->v);
    free(c->exponent);
    free(c->vocab);
    *c = (ci_ckpt){0};
}

void ci_ckpt_weights(const ci_ckpt *c, char out[CI_SHA256_HEX])
{
    ci_sha256_of(c->w, (size_t)c->n * sizeof *c->w, out);
}
