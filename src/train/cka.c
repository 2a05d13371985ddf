/* How alike teacher and student see the validation windows. */
#include <stdlib.h>
#include <string.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/loss.h"
#include "ci/tick.h"
#include "train_priv.h"

/* What a model makes of a window: a vector for each, of a gat one of each layer behind the other. */
static const char *const seen_by[] = {[CI_GAT] = "pooled", [CI_VGAE] = "mu"};

static void window_take(const ci_model *m, const ci_scratch *s, const ci_batch *b, float *out)
{
    ci_lid cols;
    const float *v = ci_scratch_tensor(m, s, seen_by[ci_model_dims(m)->kind], &cols);

    for (ci_lid g = 0; g < b->n_graph; g++, out += cols) {
        const ci_lid first = b->first[g], n = b->first[g + 1] - first;
        if (ci_model_dims(m)->kind == CI_GAT) {
            memcpy(out, v + (size_t)g * (size_t)cols, (size_t)cols * sizeof *out);
            continue;
        }
        memset(out, 0, (size_t)cols * sizeof *out);
        for (ci_lid i = first; i < first + n; i++)
            for (ci_lid d = 0; d < cols; d++) out[d] += v[(size_t)i * (size_t)cols + (size_t)d] / (float)n;
    }
}

static ci_lid columns(const ci_model *m, const ci_scratch *s)
{
    ci_lid cols;
    ci_scratch_tensor(m, s, seen_by[ci_model_dims(m)->kind], &cols);
    return cols;
}

/* Blocks of a vector that are a layer's own: those of a gat whose pooling has all of them, else one. */
static ci_lid layers(const ci_model *m)
{
    const ci_model_dim *d = ci_model_dims(m);
    return d->kind == CI_GAT && d->jk == CI_JK_CAT ? d->layers : 1;
}

/* Columns from .. from + n of each row. */
static float *block(const float *v, ci_lid rows, ci_lid cols, ci_lid from, ci_lid n)
{
    float *out = ci_new((size_t)rows * (size_t)n, sizeof *out);
    for (ci_lid i = 0; out && i < rows; i++)
        memcpy(out + (size_t)i * (size_t)n, v + (size_t)i * (size_t)cols + from, (size_t)n * sizeof *out);
    return out;
}

static ci_rc compare(const float *t, ci_lid p, ci_lid L, const float *s, ci_lid q, ci_lid K, ci_lid n, ci_json *rows)
{
    ci_rc rc = CI_OK;
    float *x = NULL, *y = NULL;

    for (ci_lid i = 0; i < L; i++) {
        ci_json *row = ci_json_array();
        for (ci_lid k = 0; k < K; k++) {
            double cka;
            x = block(t, n, p, i * (p / L), p / L);
            y = block(s, n, q, k * (q / K), q / K);
            if (!x || !y) CI_FAIL(CI_ENOMEM, "CKA of %d windows", n);
            CI_TRY(ci_cka(x, p / L, y, q / K, n, &cka));
            ci_json_add_num(row, cka);
            free(x);
            free(y);
            x = y = NULL;
        }
        ci_json_add(rows, row);
    }
done:
    free(x);
    free(y);
    return rc;
}

static ci_rc leave(const struct trainer *t, const ci_json *j)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], *text = ci_json_text(j, true);

    if (!text) CI_FAIL(CI_ENOMEM, "cka.json");
    CI_TRY(ci_path_join(path, t->conf->run.dir, "cka.json"));
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
    ci_log(CI_INFO, "alike (CKA of layers, teacher by student): %s", path);
done:
    free(text);
    return rc;
}

static ci_rc both_see(struct trainer *t, ci_lid n, float *teacher, float *student)
{
    ci_rc rc = CI_OK;
    const ci_lid p = columns(t->teacher.model, t->worker[0].teacher), q = columns(t->model, t->lane[0].scratch);

    for (ci_lid i = 0; i < n; i++) {
        ci_tick();
        const ci_batch *b = ci_packer_pack(t->lane[0].packer, &t->split.valid[(int64_t)i * t->split.n_valid / n], 1);
        CI_TRY(ci_model_forward(t->teacher.model, t->teacher.ck.w, t->teacher.ck.state, t->worker[0].teacher, b));
        window_take(t->teacher.model, t->worker[0].teacher, b, teacher + (size_t)i * (size_t)p);
        CI_TRY(ci_model_forward(t->model, t->ck.w, t->ck.state, t->lane[0].scratch, b));
        window_take(t->model, t->lane[0].scratch, b, student + (size_t)i * (size_t)q);
    }
done:
    return rc;
}

ci_rc cka_report(struct trainer *t)
{
    ci_rc rc = CI_OK;
    const ci_lid n = (ci_lid)CI_MIN(t->conf->distill.cka, t->split.n_valid);
    float *teacher = NULL, *student = NULL;
    char weights[CI_SHA256_HEX];
    ci_json *j = ci_json_object(), *rows = ci_json_array();

    if (!t->teacher.model || n < 2) goto done;
    const ci_lid p = columns(t->teacher.model, t->worker[0].teacher), q = columns(t->model, t->lane[0].scratch);
    teacher = ci_new((size_t)n * (size_t)p, sizeof *teacher);
    student = ci_new((size_t)n * (size_t)q, sizeof *student);
    if (!teacher || !student) CI_FAIL(CI_ENOMEM, "CKA of %d windows", n);
    CI_TRY(both_see(t, n, teacher, student));
    CI_TRY(compare(teacher, p, layers(t->teacher.model), student, q, layers(t->model), n, rows));
    ci_ckpt_weights(&t->ck, weights);
    ci_json_str(j, "teacher_weights_sha256", t->teacher.weights);
    ci_json_str(j, "student_weights_sha256", weights);
    ci_json_str(j, "of", "last weights; rows: layers of the teacher, columns: layers of the student");
    ci_json_int(j, "windows", n);
    ci_json_put(j, "cka", rows);
    rows = NULL;
    CI_TRY(leave(t, j));
done:
    free(teacher);
    free(student);
    ci_json_free(&rows);
    ci_json_free(&j);
    return rc;
}
