/* scores.h5: what the model says of each window, so that every figure of the results can be found again. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/attack.h"
#include "ci/commit.h"
#include "ci/h5.h"
#include "eval_priv.h"

enum { SCORES_VERSION = 1, NAME = 32 };
enum { A_GRAPH, A_CAPTURE, A_ROW, A_LABEL, A_COLD, A_ATTACK, A_SPLIT, A_SCORE, A_OUTPUT, A_OUTPUT_NAME, A_THRESHOLD, A_PATH, A_FOLDER,
       A_FOLDER_NAME, A_FOLDER_ROLE, A_ATTACK_NAME, A_COUNT,
       A_FRAME = A_COUNT, A_FRAME_ODDS, A_COUNT_FRAMES };

static ci_rc windows_write(ci_h5 *f, const struct scored *all, const ci_store *st)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)all->n;
    int32_t *capture = ci_new(n, sizeof *capture), *attack = ci_new(n, sizeof *attack);
    int64_t *row = ci_new(n, sizeof *row);
    uint8_t *label = ci_new(n, sizeof *label), *cold = ci_new(n, sizeof *cold);

    if (!capture || !attack || !row || !label || !cold) CI_FAIL(CI_ENOMEM, "%zu windows", n);
    for (int64_t i = 0; i < all->n; i++) {
        const int64_t g = all->graph[i];

        capture[i] = st->graph_capture[g];
        attack[i] = st->head.capture[capture[i]].attack;
        row[i] = st->graph_row[g];
        label[i] = st->graph_label[g];
        cold[i] = !ci_store_warm(st, g);
    }
    CI_TRY(ci_h5_write(f, A_GRAPH, 0, all->n, all->graph));
    CI_TRY(ci_h5_write(f, A_CAPTURE, 0, all->n, capture));
    CI_TRY(ci_h5_write(f, A_ROW, 0, all->n, row));
    CI_TRY(ci_h5_write(f, A_LABEL, 0, all->n, label));
    CI_TRY(ci_h5_write(f, A_COLD, 0, all->n, cold));
    CI_TRY(ci_h5_write(f, A_ATTACK, 0, all->n, attack));
    CI_TRY(ci_h5_write(f, A_SPLIT, 0, all->n, all->test));
    CI_TRY(ci_h5_write(f, A_SCORE, 0, all->n, all->score));
    CI_TRY(ci_h5_write(f, A_OUTPUT, 0, all->n, all->output));
done:
    free(capture);
    free(attack);
    free(row);
    free(label);
    free(cold);
    return rc;
}

ci_rc names_put(ci_h5 *f, size_t array, int32_t n, size_t room, const char *(*text)(const void *, int32_t), const void *arg)
{
    ci_rc rc = CI_OK;
    char *all = ci_new((size_t)n, room);

    if (!all) CI_FAIL(CI_ENOMEM, "%d names", n);
    for (int32_t i = 0; i < n; i++) memcpy(all + (size_t)i * room, text(arg, i), strnlen(text(arg, i), room));
    CI_TRY(ci_h5_write(f, array, 0, n, all));
done:
    free(all);
    return rc;
}

const char *scored_name(const void *all, int32_t i) { return ((const struct scored *)all)->output_name[i]; }
const char *capture_path(const void *st, int32_t i) { return ((const ci_store *)st)->head.capture[i].path; }
static const char *folder_name(const void *st, int32_t i) { return ((const ci_store *)st)->head.folder[i].name; }
static const char *attack_name(const void *none, int32_t i)
{
    (void)none;
    return ci_attack_name(i);
}

static ci_rc names_write(ci_h5 *f, const struct scored *all, const ci_store *st)
{
    ci_rc rc = CI_OK;
    const int32_t C = st->head.n_capture, F = st->head.n_folder;
    int32_t *folder = ci_new((size_t)C, sizeof *folder), *role = ci_new((size_t)F, sizeof *role);

    if (!folder || !role) CI_FAIL(CI_ENOMEM, "%d captures", C);
    for (int32_t c = 0; c < C; c++) folder[c] = st->head.capture[c].folder;
    for (int32_t k = 0; k < F; k++) role[k] = st->head.folder[k].role;
    CI_TRY(names_put(f, A_OUTPUT_NAME, all->n_output, NAME, scored_name, all));
    CI_TRY(names_put(f, A_PATH, C, CI_STORE_TEXT, capture_path, st));
    CI_TRY(ci_h5_write(f, A_FOLDER, 0, C, folder));
    CI_TRY(names_put(f, A_FOLDER_NAME, F, CI_STORE_TEXT, folder_name, st));
    CI_TRY(ci_h5_write(f, A_FOLDER_ROLE, 0, F, role));
    CI_TRY(names_put(f, A_ATTACK_NAME, ATTACKS, NAME, attack_name, NULL));
done:
    free(folder);
    free(role);
    return rc;
}

static ci_rc file_write(const char *temp, const struct scored *all, const ci_store *st, const ci_conf *conf, const struct results *r)
{
    ci_rc rc = CI_OK;
    ci_h5 *f = NULL;
    const int64_t N = all->n, K = all->n_output, C = st->head.n_capture, F = st->head.n_folder;
    const bool frames = all->frame && conf->eval.explain > 0;
    const int64_t M = frames ? all->frame[N] : 0;
    const ci_array array[A_COUNT_FRAMES] = {
        [A_GRAPH] = {"graph", CI_TYPE_I64, N, 1, NULL, "number of the window in the store, ascending", NULL},
        [A_CAPTURE] = {"capture", CI_TYPE_I32, N, 1, NULL, "capture it is from", NULL},
        [A_ROW] = {"row", CI_TYPE_I64, N, 1, NULL, "its first frame in the capture", NULL},
        [A_LABEL] = {"label", CI_TYPE_U8, N, 1, NULL, "1 when a frame of it is an attack", NULL},
        [A_COLD] = {"cold", CI_TYPE_U8, N, 1, NULL, "1 too early in its stream to be judged: called benign whatever its score, not ranked", NULL},
        [A_ATTACK] = {"attack", CI_TYPE_I32, N, 1, NULL, "attack that its capture holds, 0 none", NULL},
        [A_SPLIT] = {"split", CI_TYPE_U8, N, 1, NULL, "0 validation, 1 test", NULL},
        [A_SCORE] = {"score", CI_TYPE_F64, N, 1, NULL, all->score_name, NULL},
        [A_OUTPUT] = {"output", CI_TYPE_F32, N, K, NULL, "what the model says of the window; output_name has the columns", NULL},
        [A_OUTPUT_NAME] = {"output_name", CI_TYPE_TEXT, K, NAME, NULL, "columns of output", NULL},
        [A_THRESHOLD] = {"threshold", CI_TYPE_F64, 1, 1, NULL, "a window with at least this score is called an attack", NULL},
        [A_PATH] = {"capture_path", CI_TYPE_TEXT, C, CI_STORE_TEXT, NULL, "path of each capture below the data set", NULL},
        [A_FOLDER] = {"capture_folder", CI_TYPE_I32, C, 1, NULL, "folder it is in", NULL},
        [A_FOLDER_NAME] = {"folder_name", CI_TYPE_TEXT, F, CI_STORE_TEXT, NULL, "name of each folder", NULL},
        [A_FOLDER_ROLE] = {"folder_role", CI_TYPE_I32, F, 1, NULL, "0 training, 1 test, 2 training with injected attacks", NULL},
        [A_ATTACK_NAME] = {"attack_name", CI_TYPE_TEXT, ATTACKS, NAME, NULL, "name of each kind of attack", NULL},
        [A_FRAME] = {"frame", CI_TYPE_I64, N + 1, 1, NULL, "where the frames of each window begin in frame_odds, then their number", NULL},
        [A_FRAME_ODDS] = {"frame_odds", CI_TYPE_F32, M, 1, NULL, "log-odds of attack of every frame of a window but its first", NULL},
    };
    const ci_attribute attribute[] = {
        {"format", "canids scores", 0},
        {"format_version", NULL, SCORES_VERSION},
        {"settings_sha256", r->settings, 0},
        {"store_tree_sha256", r->store, 0},
        {"weights", r->which, 0},
        {"weights_sha256", r->weights, 0},
        {"simulated", NULL, r->simulated},
        {"leak_allowed", NULL, r->leaky},
        {"bootstrap_seed", NULL, conf->train.seed},
        {"bootstrap_block", NULL, conf->eval.block},
        {"bootstrap_draws", NULL, conf->eval.draws},
    };

    CI_TRY(ci_h5_create(NULL, temp, array, frames ? A_COUNT_FRAMES : A_COUNT, attribute, CI_COUNT(attribute), &f));
    CI_TRY(windows_write(f, all, st));
    CI_TRY(names_write(f, all, st));
    CI_TRY(ci_h5_write(f, A_THRESHOLD, 0, 1, &r->threshold));
    if (frames) CI_TRY(ci_h5_write(f, A_FRAME, 0, N + 1, all->frame));
    if (frames) CI_TRY(ci_h5_write(f, A_FRAME_ODDS, 0, M, all->frame_odds));
    CI_TRY(ci_h5_finish(&f));
done:
    ci_h5_abandon(&f);
    return rc;
}

ci_rc scores_write(const struct scored *all, const ci_store *st, const ci_conf *conf, const struct results *r)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], temp[CI_PATH_MAX] = "";

    CI_TRY(ci_path_join(path, conf->run.dir, "scores.h5"));
    CI_TRY(ci_commit_temp(path, temp));
    CI_TRY(file_write(temp, all, st, conf, r));
    CI_TRY(ci_commit_publish(path, NULL, NULL));
done:
    if (rc != CI_OK && temp[0]) unlink(temp);
    return rc;
}
