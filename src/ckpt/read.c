/* Reading a checkpoint, believing nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ckpt_priv.h"
#include "ci/commit.h"
#include "ci/graph.h"
#include "ci/h5.h"

static ci_rc attributes_read(const ci_h5_view *v, const char *path, ci_ckpt *c)
{
    ci_rc rc = CI_OK;
    char format[64] = "", dim[2048] = "";
    int64_t version = 0, clip = 0, seen, bad, drops;

    if (ci_h5_text(v, "format", format, sizeof format) != CI_OK || strcmp(format, "canids checkpoint") != 0)
        CI_FAIL(CI_EFORMAT, "%s: not a checkpoint of canids (format \"%s\")", path, format);
    CI_TRY(ci_h5_number(v, "format_version", &version));
    if (version != CI_CKPT_VERSION)
        CI_FAIL(CI_EFORMAT, "%s: checkpoint of version %lld, this program reads %d; train again", path,
                (long long)version, CI_CKPT_VERSION);
    CI_TRY(ci_h5_text(v, "features", c->set, sizeof c->set));
    CI_TRY(ci_h5_number(v, "scaler_clip", &clip));
    if (clip < 0) CI_FAIL(CI_EFORMAT, "%s: scaler_clip %lld", path, (long long)clip);
    c->scaler.clip = (double)clip;
    CI_TRY(ci_h5_text(v, "settings_sha256", c->settings, sizeof c->settings));
    CI_TRY(ci_h5_text(v, "store_tree_sha256", c->store, sizeof c->store));
    CI_TRY(ci_h5_text(v, "split_sha256", c->split, sizeof c->split));
    CI_TRY(ci_h5_text(v, "teacher_sha256", c->teacher, sizeof c->teacher));
    CI_TRY(ci_h5_text(v, "difficulty_sha256", c->difficulty, sizeof c->difficulty));
    CI_TRY(ci_h5_text(v, "model", dim, sizeof dim));
    CI_TRY(ci_model_dim_parse(dim, &c->dim));
    CI_TRY(ci_h5_number(v, "plateau_seen", &seen));
    CI_TRY(ci_h5_number(v, "plateau_bad", &bad));
    CI_TRY(ci_h5_number(v, "plateau_drops", &drops));
    c->at.plateau = (ci_plateau){0, (int32_t)seen, (int32_t)bad, (int32_t)drops};
    CI_TRY(ci_h5_number(v, "step", &c->at.step));
    CI_TRY(ci_h5_number(v, "epoch", &c->at.epoch));
    CI_TRY(ci_h5_number(v, "batch", &c->at.batch));
    CI_TRY(ci_h5_number(v, "loss_sum", &c->at.loss_sum));
    CI_TRY(ci_h5_number(v, "best_epoch", &c->at.best_epoch));
    CI_TRY(ci_h5_number(v, "better_epoch", &c->at.better_epoch));
    CI_TRY(ci_h5_number(v, "finished", &c->at.finished));
done:
    return rc;
}

static ci_rc scaler_read(const ci_h5_view *v, const char *name, ci_lid *n, double *mean, double *spread)
{
    ci_rc rc = CI_OK;
    const double *s;
    int64_t rows;

    CI_TRY(ci_h5_array(v, name, CI_TYPE_F64, -1, 2, (const void **)&s, &rows));
    if (rows > CI_SCALER_MAX) CI_FAIL(CI_EFORMAT, "array %s has %lld rows", name, (long long)rows);
    *n = (ci_lid)rows;
    for (int64_t k = 0; k < rows; k++) {
        mean[k] = s[2 * k];
        spread[k] = s[2 * k + 1];
        if (!isfinite(mean[k]) || !(spread[k] > 0) || !isfinite(spread[k]))
            CI_FAIL(CI_EFORMAT, "array %s: mean %g and spread %g of column %lld", name, mean[k], spread[k],
                    (long long)k);
    }
done:
    return rc;
}

static ci_rc arrays_read(const ci_h5_view *v, ci_ckpt *c)
{
    ci_rc rc = CI_OK;
    const void *w, *m, *u, *exponent, *vocab, *score, *state, *calibration;

    CI_TRY(ci_h5_array(v, "weight", CI_TYPE_F32, c->n, 1, &w, NULL));
    CI_TRY(ci_h5_array(v, "moment1", CI_TYPE_F32, c->n, 1, &m, NULL));
    CI_TRY(ci_h5_array(v, "moment2", CI_TYPE_F32, c->n, 1, &u, NULL));
    CI_TRY(ci_h5_array(v, "exponent", CI_TYPE_I32, c->n_tensor, 1, &exponent, NULL));
    CI_TRY(ci_h5_array(v, "vocabulary", CI_TYPE_U32, c->n_vocab, 1, &vocab, NULL));
    CI_TRY(ci_h5_array(v, "score", CI_TYPE_F64, SCORES, 1, &score, NULL));
    CI_TRY(ci_h5_array(v, "state", CI_TYPE_F32, c->n_state, 1, &state, NULL));
    CI_TRY(ci_h5_array(v, "calibration", CI_TYPE_F64, c->n_calibration, 2, &calibration, NULL));
    memcpy(c->state, state, (size_t)c->n_state * sizeof *c->state);
    memcpy(c->calibration, calibration, (size_t)c->n_calibration * 2 * sizeof *c->calibration);
    memcpy(c->w, w, (size_t)c->n * sizeof *c->w);
    memcpy(c->m, m, (size_t)c->n * sizeof *c->m);
    memcpy(c->v, u, (size_t)c->n * sizeof *c->v);
    memcpy(c->exponent, exponent, (size_t)c->n_tensor * sizeof *c->exponent);
    memcpy(c->vocab, vocab, (size_t)c->n_vocab * sizeof *c->vocab);
    c->at.best_value = ((const double *)score)[SCORE_BEST_VALUE];
    c->at.best_loss = ((const double *)score)[SCORE_BEST_LOSS];
    c->at.threshold = ((const double *)score)[SCORE_THRESHOLD];
    c->at.plateau.best = ((const double *)score)[SCORE_PLATEAU];
done:
    return rc;
}

/* Whose weights they are: the tensors that the file names. */
static ci_rc tensors_read(const ci_h5_view *v, ci_ckpt *c)
{
    ci_rc rc = CI_OK;
    const void *name, *rows, *cols, *first;

    CI_TRY(ci_h5_array(v, "tensor_name", CI_TYPE_TEXT, c->n_tensor, CI_PARAM_NAME, &name, NULL));
    CI_TRY(ci_h5_array(v, "tensor_rows", CI_TYPE_I32, c->n_tensor, 1, &rows, NULL));
    CI_TRY(ci_h5_array(v, "tensor_cols", CI_TYPE_I32, c->n_tensor, 1, &cols, NULL));
    CI_TRY(ci_h5_array(v, "tensor_first", CI_TYPE_I64, c->n_tensor, 1, &first, NULL));
    ckpt_tensors(c->n_tensor, name, rows, cols, first, c->tensors);
done:
    return rc;
}

/* Room like that of `head`, with its particulars. */
static ci_rc like(const ci_ckpt *head, ci_ckpt *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(ckpt_room(out, head));
    out->at = head->at;
    out->scaler = head->scaler;
    memcpy(out->settings, head->settings, sizeof out->settings);
    memcpy(out->store, head->store, sizeof out->store);
    memcpy(out->set, head->set, sizeof out->set);
    memcpy(out->split, head->split, sizeof out->split);
    memcpy(out->teacher, head->teacher, sizeof out->teacher);
    memcpy(out->difficulty, head->difficulty, sizeof out->difficulty);
    memcpy(out->tensors, head->tensors, sizeof out->tensors);
    out->dim = head->dim;
done:
    return rc;
}

ci_rc ci_ckpt_read(const char *path, ci_ckpt *out)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_commit_check(path, NULL));
    CI_TRY(ci_ckpt_load(path, out));
done:
    return rc;
}

ci_rc ci_ckpt_load(const char *path, ci_ckpt *out)
{
    ci_rc rc = CI_OK;
    ci_h5_view *v = NULL;
    ci_ckpt c = {0}, head = {0};
    const ci_feature_set *set;
    const void *any;
    int64_t n, n_tensor, n_vocab, n_state, n_calibration;

    CI_TRY(ci_h5_open(path, &v));
    CI_TRY(attributes_read(v, path, &head));
    CI_TRY(scaler_read(v, "scaler_node", &head.scaler.n_node, head.scaler.node_mean, head.scaler.node_spread));
    CI_TRY(scaler_read(v, "scaler_edge", &head.scaler.n_edge, head.scaler.edge_mean, head.scaler.edge_spread));
    set = ci_feature_set_find(head.set);
    if (set && set->n_window)
        CI_TRY(scaler_read(v, "scaler_window", &head.scaler.n_window, head.scaler.window_mean, head.scaler.window_spread));
    CI_TRY(ci_h5_array(v, "weight", CI_TYPE_F32, -1, 1, &any, &n));
    CI_TRY(ci_h5_array(v, "exponent", CI_TYPE_I32, -1, 1, &any, &n_tensor));
    CI_TRY(ci_h5_array(v, "vocabulary", CI_TYPE_U32, -1, 1, &any, &n_vocab));
    CI_TRY(ci_h5_array(v, "state", CI_TYPE_F32, -1, 1, &any, &n_state));
    CI_TRY(ci_h5_array(v, "calibration", CI_TYPE_F64, -1, 2, &any, &n_calibration));
    head.n_state = n_state;
    head.n_calibration = (int32_t)n_calibration;
    head.n = n;
    head.n_tensor = (ci_lid)n_tensor;
    head.n_vocab = (int32_t)n_vocab;
    CI_TRY(tensors_read(v, &head));
    CI_TRY(like(&head, &c));
    CI_TRY(arrays_read(v, &c));
    *out = c;
    c = (ci_ckpt){0};
done:
    ci_ckpt_release(&c);
    ci_h5_close(&v);
    return rc;
}

ci_rc ci_ckpt_read_all(const ci_comm *comm, const char *path, ci_ckpt *out)
{
    ci_rc rc = CI_OK;
    ci_ckpt c = {0}, head;

    CI_TRY_ALL(comm, "ckpt.read", comm->rank == 0 ? ci_ckpt_read(path, &c) : CI_OK);
    head = c;
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.head", 0, &head, sizeof head));
    CI_TRY_ALL(comm, "ckpt.read.room", comm->rank == 0 ? CI_OK : like(&head, &c));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.weights", 0, c.w, (size_t)c.n * sizeof *c.w));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.moment1", 0, c.m, (size_t)c.n * sizeof *c.m));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.moment2", 0, c.v, (size_t)c.n * sizeof *c.v));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.exponent", 0, c.exponent, (size_t)c.n_tensor * sizeof *c.exponent));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.vocab", 0, c.vocab, (size_t)c.n_vocab * sizeof *c.vocab));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.state", 0, c.state, (size_t)c.n_state * sizeof *c.state));
    CI_TRY(ci_comm_bcast(comm, "ckpt.read.calibration", 0, c.calibration, (size_t)c.n_calibration * 2 * sizeof *c.calibration));
    *out = c;
    c = (ci_ckpt){0};
done:
    ci_ckpt_release(&c);
    return rc;
}
