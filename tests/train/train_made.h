#ifndef TRAIN_MADE_H
#define TRAIN_MADE_H
/** A small store and small settings for tests of training: 90 training windows, a model of some thousand parameters. */
#include "ci/conf.h"
#include "store/store_made.h"
#include "train/train_priv.h"

static const ci_comm *comm;
static char folder[CI_PATH_MAX];

MADE uint8_t made_every_third(int64_t g)
{
    return g % 3 == 1;
}

static const made small = {.seed = 31, .frames = 30, .stride = 30, .n_id = 40, .n_vocab = 12, .max_node = 20, .label = made_every_third,
                           .capture = {{"train_01", 0, "a.csv", 70, 0, NULL}, {"train_02", 0, "b.csv", 50, 1, NULL}, {"test_01", 1, "c.csv", 20, 1, NULL}}};

MADE const char *path_of(const char *name)
{
    static char path[4][CI_PATH_MAX + 64];
    static int k;

    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
    return path[k];
}

/** Settings of a run directory of its own; `more` ends with NULL. */
MADE void small_conf(const char *name, const char *const *more, ci_conf *out)
{
    char dir[CI_PATH_MAX + 96];
    const char *set[32] = {dir, "model.id_dim=16", "model.heads=2", "model.channels=8", "model.layers=2", "model.head_layers=2", "model.head_dim=16",
                           "train.batch=24", "train.shard_rows=64", "train.threads=2", "train.epochs=2", "train.isa=generic", "run.log=error",
                           "split.blocks=5", "split.every=5"};
    size_t n = 15;

    snprintf(dir, sizeof dir, "run.dir=%s", path_of(name));
    while (more && *more && n < CI_COUNT(set)) set[n++] = *more++;
    assert_int_equal(ci_conf_read(NULL, set, n, out), CI_OK);
    assert_int_equal(ci_agree(comm, "test.dir", comm->rank == 0 ? ci_make_dir(out->run.dir) : CI_OK), CI_OK);
}

MADE int small_start(void)
{
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    return ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) == CI_OK ? 0 : 1;
}

#endif
