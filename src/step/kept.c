/* What a checkpoint says of the training it comes from, whatever kind of model it is of. */
#include <string.h>
#include "ci/ckpt.h"
#include "ci/commit.h"
#include "ci/fusion.h"
#include "ci/train.h"
#include "run_priv.h"

static bool is_dqn(const ci_conf *c) { return strcmp(c->model.name, "dqn") == 0; }

static ci_rc fusion_read(const ci_conf *c, const char *path, struct kept *out)
{
    ci_rc rc = CI_OK;
    ci_fusion *f = NULL;

    CI_TRY(ci_fusion_read(path, c->train.isa, &f));
    memcpy(out->settings, ci_fusion_of_get(f)->settings, CI_SHA256_HEX);
    memcpy(out->store, ci_fusion_of_get(f)->store, CI_SHA256_HEX);
    memcpy(out->from[0], ci_fusion_of_get(f)->gat, CI_SHA256_HEX);
    memcpy(out->from[1], ci_fusion_of_get(f)->vgae, CI_SHA256_HEX);
    out->finished = ci_fusion_progress_get(f)->finished == 1;
    ci_fusion_weights(f, out->weights);
done:
    ci_fusion_destroy(&f);
    return rc;
}

static ci_rc model_read(const ci_conf *c, const char *path, struct kept *out)
{
    ci_rc rc = CI_OK;
    ci_ckpt ck = {0};

    CI_TRY(ci_ckpt_read(path, &ck));
    memcpy(out->settings, ck.settings, CI_SHA256_HEX);
    memcpy(out->store, ck.store, CI_SHA256_HEX);
    memcpy(out->from[0], ck.teacher, CI_SHA256_HEX);
    memcpy(out->from[1], ck.difficulty, CI_SHA256_HEX);
    out->finished = ci_train_finished(c, &ck.at) == 1;
    ci_ckpt_weights(&ck, out->weights);
done:
    ci_ckpt_release(&ck);
    return rc;
}

ci_rc kept_read(const ci_conf *c, const char *name, struct kept *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    memset(out, 0, sizeof *out);
    CI_TRY(ci_path_join(path, c->run.dir, name));
    CI_TRY((is_dqn(c) ? fusion_read : model_read)(c, path, out));
done:
    return rc;
}

void kept_settings(const ci_conf *c, char out[CI_SHA256_HEX])
{
    if (is_dqn(c)) ci_fusion_settings(c, out);
    else ci_train_settings(c, out);
}

/* Is the model in dir the one with these weights? */
static bool same_weights(const char *dir, const char *weights)
{
    ci_ckpt ck = {0};
    char path[CI_PATH_MAX], now[CI_SHA256_HEX] = "";

    if (ci_path_join(path, dir, "best.h5") == CI_OK && ci_ckpt_read(path, &ck) == CI_OK) ci_ckpt_weights(&ck, now);
    ci_ckpt_release(&ck);
    return strcmp(now, weights) == 0;
}

const char *kept_stale(const ci_conf *c, const struct kept *k)
{
    if (!is_dqn(c)) {
        if (c->distill.alpha > 0 && !same_weights(c->distill.teacher, k->from[0])) return "the teacher";
        return strcmp(c->train.curriculum, "none") != 0 && !same_weights(c->train.difficulty, k->from[1]) ? "the vgae of the curriculum" : NULL;
    }
    if (!same_weights(c->fusion.gat, k->from[0])) return "the gat";
    return same_weights(c->fusion.vgae, k->from[1]) ? NULL : "the vgae";
}
