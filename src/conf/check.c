/** Rules that no single row can state. */
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

/* What is checked, where its values come from, and where to complain. */
struct whole {
    const ci_conf *c;
    const char (*origin)[CI_WHERE_MAX];
    ci_faults *f;
};

static const char *from(const struct whole *w, const char *key)
{
    const char *origin = w->origin[ci_setting_find(key)];
    return *origin ? origin : "defaults";
}

static bool is(const char *value, const char *word) { return strcmp(value, word) == 0; }

#define FAULT(w, key, ...) ci_faults_add((w)->f, from((w), (key)), (key), __VA_ARGS__)

static void check_any(const struct whole *w)
{
    const ci_conf *c = w->c;

    if (c->data.injected[0] && c->sim.base[0])
        FAULT(w, "sim.base", "\"%s\", and data.injected is made of data.set; leave one of them empty", c->sim.base);
    if (c->sim.ids_min > c->sim.ids_max)
        FAULT(w, "sim.ids_min", "%d is above sim.ids_max, %d; lower it or raise the other", c->sim.ids_min, c->sim.ids_max);
    if (c->split.every > c->split.blocks)
        FAULT(w, "split.every", "%d is above split.blocks, %d, and nothing would validate; lower it", c->split.every,
              c->split.blocks);
    if (is(c->split.mode, "random") && is(c->split.allow_leak, "none"))
        FAULT(w, "split.mode", "\"random\" puts neighbours of training windows into validation; write blocked, or "
              "split.allow_leak: reference, which is stamped on every result");
    if (!is(c->inject.kind, "none") && c->inject.site[0] == 0)
        FAULT(w, "inject.kind", "\"%s\" needs a place; set inject.site", c->inject.kind);
    for (int32_t i = 0; i < c->seeds.n; i++)
        for (int32_t k = 0; k < i; k++)
            if (c->seeds.item[i] == c->seeds.item[k])
                FAULT(w, "seeds", "%d is in the list twice; write it once", c->seeds.item[i]);
}

/* What is left out, and what is made of it. */
static void check_folds(const struct whole *w)
{
    const ci_conf *c = w->c;
    const bool folds = !is(c->split.folds, "none");

    if (is(c->split.folds, "vehicle") && c->data.vehicles.n == 0)
        FAULT(w, "split.folds", "\"vehicle\", and no vehicle is known; name them in data.vehicles");
    if (!folds && c->split.fold >= 0)
        FAULT(w, "split.fold", "%d, and split.folds is none; write -1, or say what the folds are", c->split.fold);
    if ((is(c->eval.threshold, "t1") || is(c->eval.threshold, "b998")) && !ci_conf_folded(c))
        FAULT(w, "eval.threshold", "\"%s\" is of windows that were left out; set split.folds, with split.fold -1, or write youden",
              c->eval.threshold);
}

static void check_optimiser(const struct whole *w)
{
    const ci_conf *c = w->c;

    if (!is(c->train.schedule, "none") && c->train.lr_min > c->train.lr)
        FAULT(w, "train.lr_min", "%g is above train.lr, %g; lower it", c->train.lr_min, c->train.lr);
    if (c->train.warmup > c->train.epochs)
        FAULT(w, "train.warmup", "%g epochs are more than train.epochs, %d; lower it", c->train.warmup, c->train.epochs);
}

/* What only one kind of model can do. */
static void check_kind(const struct whole *w)
{
    static const char *const of_errors[] = {"gap", "max_gap", "ratio"};
    const ci_conf *c = w->c;
    const bool gat = is(c->model.name, "gat"), vgae = is(c->model.name, "vgae");

    for (size_t i = 0; i < CI_COUNT(of_errors); i++)
        if (!vgae && is(c->train.monitor, of_errors[i]))
            FAULT(w, "train.monitor", "\"%s\" is of reconstruction errors, which a %s has not; write auroc", c->train.monitor,
                  c->model.name);
    if (gat && is(c->train.population, "benign"))
        FAULT(w, "train.population", "\"benign\" leaves a gat no attack to learn; write all");
    if (!gat && !is(c->train.curriculum, "none"))
        FAULT(w, "train.curriculum", "\"%s\" is for a gat, model.name is %s; write none", c->train.curriculum, c->model.name);
}

/* Features that say nothing of identifiers, and models that do not see them. */
static void check_agnostic(const struct whole *w)
{
    const ci_conf *c = w->c;
    const bool agnostic = is(c->features.set, "agnostic");

    if (is(c->model.name, "dqn")) return;
    if (agnostic && c->model.id_dim > 0)
        FAULT(w, "model.id_dim", "%d columns of an identifier, which features.set agnostic is to do without; write model.preset: agnostic, "
              "or 0", c->model.id_dim);
    if (is(c->model.name, "vgae") && c->model.id_dim == 0 && !is(c->model.neighbour, "none"))
        FAULT(w, "model.neighbour", "\"%s\" knows neighbours by their identifiers, which a model with model.id_dim 0 does not see; write none",
              c->model.neighbour);
    if (is(c->model.name, "gat") && !is(c->model.message_head, "none") && !agnostic)
        FAULT(w, "model.message_head", "\"%s\" learns from labels of frames, which features.set %s has not; write none, or features.set: agnostic",
              c->model.message_head, c->features.set);
}

static void check_distill(const struct whole *w)
{
    const ci_conf *c = w->c;
    const bool dqn = is(c->model.name, "dqn");

    if (dqn && is(c->model.auxiliary, "none") && c->distill.alpha > 0)
        FAULT(w, "distill.alpha", "%g, and a dqn has no teacher; write 0, or model.auxiliary: kd_standard to fuse models that had one",
              c->distill.alpha);
    if (!dqn && c->distill.alpha > 0 && is(c->distill.teacher, c->run.dir))
        FAULT(w, "distill.teacher", "\"%s\" is the model's own folder; name another model's, or set distill.alpha to 0",
              c->distill.teacher);
}

static void check_fusion(const struct whole *w)
{
    const ci_conf *c = w->c;

    if (!is(c->model.name, "dqn")) return;
    if (c->fusion.state != 15 && c->fusion.state != 18)
        FAULT(w, "fusion.state", "%d is no state that is known; write 15 or 18", c->fusion.state);
    if (c->fusion.epsilon_end > c->fusion.epsilon)
        FAULT(w, "fusion.epsilon_end", "%g is above fusion.epsilon, %g; lower it", c->fusion.epsilon_end, c->fusion.epsilon);
    if (c->fusion.batch > c->fusion.buffer)
        FAULT(w, "fusion.batch", "%d windows are more than fusion.buffer remembers, %d; lower it", c->fusion.batch,
              c->fusion.buffer);
}

void ci_conf_check(const ci_conf *c, const char (*origin)[CI_WHERE_MAX], bool model, ci_faults *f)
{
    const struct whole w = {c, origin, f};

    check_any(&w);
    check_folds(&w);
    if (!model) return;
    check_optimiser(&w);
    check_kind(&w);
    check_agnostic(&w);
    check_distill(&w);
    check_fusion(&w);
}
