/* Writing a checkpoint. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ckpt_priv.h"
#include "ci/arena.h"
#include "ci/h5.h"

enum { A_WEIGHT, A_MOMENT1, A_MOMENT2, A_EXPONENT, A_NAME, A_ROWS, A_COLS, A_FIRST, A_NODE, A_EDGE, A_VOCAB, A_SCORE, A_STATE, A_CALIBRATION, A_WINDOW, A_COUNT };

static ci_rc tensors_write(ci_h5 *f, const ci_model *m)
{
    ci_rc rc = CI_OK;
    ci_lid n;
    const ci_param *p = ci_model_params(m, &n);
    char *name = ci_new((size_t)n, CI_PARAM_NAME);
    int32_t *rows = ci_new((size_t)n, sizeof *rows), *cols = ci_new((size_t)n, sizeof *cols);
    int64_t *first = ci_new((size_t)n, sizeof *first);

    if (!name || !rows || !cols || !first) CI_FAIL(CI_ENOMEM, "%d tensors", n);
    for (ci_lid i = 0; i < n; i++) {
        memcpy(name + i * CI_PARAM_NAME, p[i].name, CI_PARAM_NAME);
        rows[i] = p[i].rows;
        cols[i] = p[i].cols;
        first[i] = p[i].first;
    }
    CI_TRY(ci_h5_write(f, A_NAME, 0, n, name));
    CI_TRY(ci_h5_write(f, A_ROWS, 0, n, rows));
    CI_TRY(ci_h5_write(f, A_COLS, 0, n, cols));
    CI_TRY(ci_h5_write(f, A_FIRST, 0, n, first));
done:
    free(name);
    free(rows);
    free(cols);
    free(first);
    return rc;
}

static ci_rc scaler_write(ci_h5 *f, size_t array, ci_lid n, const double *mean, const double *spread)
{
    double v[2 * CI_SCALER_MAX];

    for (ci_lid k = 0; k < n; k++) {
        v[2 * k] = mean[k];
        v[2 * k + 1] = spread[k];
    }
    return ci_h5_write(f, array, 0, n, v);
}

static ci_rc arrays_write(ci_h5 *f, const ci_ckpt *c, const ci_model *m)
{
    ci_rc rc = CI_OK;
    const ci_scaler *s = &c->scaler;
    const double score[SCORES] = {c->at.best_value, c->at.best_loss, c->at.threshold, c->at.plateau.best};

    CI_TRY(ci_h5_write(f, A_WEIGHT, 0, c->n, c->w));
    CI_TRY(ci_h5_write(f, A_MOMENT1, 0, c->n, c->m));
    CI_TRY(ci_h5_write(f, A_MOMENT2, 0, c->n, c->v));
    CI_TRY(ci_h5_write(f, A_EXPONENT, 0, c->n_tensor, c->exponent));
    CI_TRY(tensors_write(f, m));
    CI_TRY(scaler_write(f, A_NODE, s->n_node, s->node_mean, s->node_spread));
    CI_TRY(scaler_write(f, A_EDGE, s->n_edge, s->edge_mean, s->edge_spread));
    CI_TRY(ci_h5_write(f, A_VOCAB, 0, c->n_vocab, c->vocab));
    CI_TRY(ci_h5_write(f, A_SCORE, 0, SCORES, score));
    CI_TRY(ci_h5_write(f, A_STATE, 0, c->n_state, c->state));
    CI_TRY(ci_h5_write(f, A_CALIBRATION, 0, c->n_calibration, c->calibration));
    if (s->n_window) CI_TRY(scaler_write(f, A_WINDOW, s->n_window, s->window_mean, s->window_spread));
done:
    return rc;
}

ci_rc ci_ckpt_write(const ci_ckpt *c, const ci_model *m, const char *path)
{
    ci_rc rc = CI_OK;
    ci_h5 *f = NULL;
    ci_ckpt read = {0}; /* what a reader would see of it */
    char temp[CI_PATH_MAX] = "", *dim = ci_model_dim_text(&c->dim);
    const int64_t P = c->n, T = c->n_tensor;
    const ci_array array[A_COUNT] = { /* scaler_window, the last one, where windows have columns */
        [A_WEIGHT] = {"weight", CI_TYPE_F32, P, 1, NULL, "parameters, tensor after tensor", NULL},
        [A_MOMENT1] = {"moment1", CI_TYPE_F32, P, 1, NULL, "first moment of Adam", NULL},
        [A_MOMENT2] = {"moment2", CI_TYPE_F32, P, 1, NULL, "second moment of Adam", NULL},
        [A_EXPONENT] = {"exponent", CI_TYPE_I32, T, 1, NULL, "gradients are summed in units of 2^-this", NULL},
        [A_NAME] = {"tensor_name", CI_TYPE_TEXT, T, CI_PARAM_NAME, NULL, "name of each tensor", NULL},
        [A_ROWS] = {"tensor_rows", CI_TYPE_I32, T, 1, NULL, "rows: inputs of a linear layer", NULL},
        [A_COLS] = {"tensor_cols", CI_TYPE_I32, T, 1, NULL, "columns: outputs of a linear layer", NULL},
        [A_FIRST] = {"tensor_first", CI_TYPE_I64, T, 1, NULL, "its first element in weight", NULL},
        [A_NODE] = {"scaler_node", CI_TYPE_F64, c->scaler.n_node, 2, NULL, "mean and spread of node features", NULL},
        [A_EDGE] = {"scaler_edge", CI_TYPE_F64, c->scaler.n_edge, 2, NULL, "mean and spread of edge features", NULL},
        [A_VOCAB] = {"vocabulary", CI_TYPE_U32, c->n_vocab, 1, NULL, "identifier number 1, 2, ...", NULL},
        [A_SCORE] = {"score", CI_TYPE_F64, SCORES, 1, NULL, "best monitored value on validation, its loss, threshold of these weights, best of the plateau", NULL},
        [A_STATE] = {"state", CI_TYPE_F32, c->n_state, 1, NULL, "running means and variances of batch norm", NULL},
        [A_CALIBRATION] = {"calibration", CI_TYPE_F64, c->n_calibration, 2, NULL, "mean and spread on benign validation windows", NULL},
        [A_WINDOW] = {"scaler_window", CI_TYPE_F64, c->scaler.n_window, 2, NULL, "mean and spread of window features", NULL},
    };
    const ci_attribute attribute[] = {
        {"format", "canids checkpoint", 0},
        {"format_version", NULL, CI_CKPT_VERSION},
        {"features", c->set, 0},
        {"scaler_clip", NULL, (int64_t)c->scaler.clip},
        {"settings_sha256", c->settings, 0},
        {"store_tree_sha256", c->store, 0},
        {"split_sha256", c->split, 0},
        {"teacher_sha256", c->teacher, 0},
        {"difficulty_sha256", c->difficulty, 0},
        {"model", dim, 0},
        {"plateau_seen", NULL, c->at.plateau.seen},
        {"plateau_bad", NULL, c->at.plateau.bad},
        {"plateau_drops", NULL, c->at.plateau.drops},
        {"step", NULL, c->at.step},
        {"epoch", NULL, c->at.epoch},
        {"batch", NULL, c->at.batch},
        {"loss_sum", NULL, c->at.loss_sum},
        {"best_epoch", NULL, c->at.best_epoch},
        {"better_epoch", NULL, c->at.better_epoch},
        {"finished", NULL, c->at.finished},
    };

    if (!dim) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_temp(path, temp));
    CI_TRY(ci_h5_create(NULL, temp, array, c->scaler.n_window ? A_COUNT : A_WINDOW, attribute, CI_COUNT(attribute), &f));
    CI_TRY(arrays_write(f, c, m));
    CI_TRY(ci_h5_finish(&f));
    CI_TRY(ci_ckpt_load(temp, &read));
    CI_TRY(ci_commit_publish(path, NULL, NULL));
done:
    free(dim);
    ci_h5_abandon(&f);
    ci_ckpt_release(&read);
    if (rc != CI_OK && temp[0]) unlink(temp);
    return rc;
}
