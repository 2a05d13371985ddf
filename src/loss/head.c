/* Linear layers with their loss in one, in tiles of rows: the logits of a tile are all that ever exists. */
#include "loss_priv.h"

struct head {
    const ci_ops *ops;
    const float *h, *w, *b, *wt;
    ci_lid K, Q;
    float *z;        /**< (CI_TILE, Q) logits, then their gradient */
    float *in, *din; /**< (CI_TILE, K) rows of h, their gradient   */
    float *dh, *dw, *db;
    ci_lid n, row[CI_TILE]; /**< rows of h in the tile */
};

ci_gid ci_softmax_head_work(ci_lid K, ci_lid Q) { return (ci_gid)CI_TILE * ((ci_gid)Q + 2 * (ci_gid)K); }

static struct head head_of(const ci_ops *ops, const float *h, ci_lid K, const float *w, const float *b, const float *wt,
                           ci_lid Q, float *work, float *dh, float *dw, float *db)
{
    float *in = work + (size_t)CI_TILE * Q;
    return (struct head){.ops = ops, .h = h, .w = w, .b = b, .wt = wt, .K = K, .Q = Q, .z = work, .in = in,
                         .din = in + (size_t)CI_TILE * K, .dh = dh, .dw = dw, .db = db};
}

static ci_rc head_check(ci_lid rows, ci_lid K, ci_lid Q, const float *wt, const float *dh, const float *dw, const float *db)
{
    ci_rc rc = CI_OK;

    if (rows < 0 || K < 1 || Q < 1) CI_FAIL(CI_EARG, "a head of %d rows, %d to %d", rows, K, Q);
    if (!dh != !dw || !dh != !db || (dh && !wt)) CI_FAIL(CI_EARG, "a head wants all its gradients or none");
done:
    return rc;
}

static void tile_forward(struct head *t)
{
    for (ci_lid r = 0; r < t->n; r++)
        memcpy(t->in + (size_t)r * t->K, t->h + (size_t)t->row[r] * t->K, (size_t)t->K * sizeof *t->in);
    t->ops->gemm(&(ci_gemm){.M = t->n, .N = t->Q, .K = t->K, .a = t->in, .a_row = t->K, .a_col = 1, .b = t->w,
                            .b_row = t->Q, .c = t->z, .c_row = t->Q, .start = CI_GEMM_BIAS, .bias = t->b});
}

/* z now holds its gradient.  Row by row and tile by tile every element is one chain over the rows. */
static void tile_backward(const struct head *t)
{
    t->ops->column_sum(t->z, t->n, t->Q, t->Q, t->db);
    t->ops->gemm(&(ci_gemm){.M = t->K, .N = t->Q, .K = t->n, .a = t->in, .a_row = 1, .a_col = t->K, .b = t->z,
                            .b_row = t->Q, .c = t->dw, .c_row = t->Q, .start = CI_GEMM_ADD});
    t->ops->gemm(&(ci_gemm){.M = t->n, .N = t->K, .K = t->Q, .a = t->z, .a_row = t->Q, .a_col = 1, .b = t->wt,
                            .b_row = t->K, .c = t->din, .c_row = t->K, .start = CI_GEMM_ZERO});
    for (ci_lid r = 0; r < t->n; r++) {
        float *to = t->dh + (size_t)t->row[r] * t->K;
        for (ci_lid k = 0; k < t->K; k++) to[k] += t->din[(size_t)r * t->K + k];
    }
}

ci_rc ci_softmax_head(const ci_ops *ops, const float *h, ci_lid rows, ci_lid K, const float *w, const float *b,
                      const float *wt, ci_lid Q, const int32_t *target, const float *row_scale, float *work, float *dh,
                      float *dw, float *db, double *loss, float *out_row)
{
    ci_rc rc = CI_OK;
    struct head t = head_of(ops, h, K, w, b, wt, Q, work, dh, dw, db);
    const struct loss_loops *loops = loss_loops(ops->name);
    double sum = 0;

    CI_TRY(head_check(rows, K, Q, wt, dh, dw, db));
    for (ci_lid i = 0; i < rows;) {
        for (t.n = 0; i < rows && t.n < CI_TILE; i++) {
            if (out_row) out_row[i] = 0;
            if (row_scale[i] == 0) continue;
            if (target[i] < 0 || target[i] >= Q) CI_FAIL(CI_EARG, "class %d of row %d, of %d", target[i], i, Q);
            t.row[t.n++] = i;
        }
        if (t.n == 0) continue;
        tile_forward(&t);
        for (ci_lid r = 0; r < t.n; r++) {
            const ci_lid at = t.row[r];
            const double c = loops->softmax_row(ops, t.z + (size_t)r * Q, Q, target[at], (double)row_scale[at], dh != NULL);
            if (!isfinite(c)) CI_FAIL(CI_ENUMERIC, "cross entropy of %d classes: %g in row %d of the shard", Q, c, at);
            sum += (double)row_scale[at] * c;
            if (out_row) out_row[at] = (float)c;
        }
        if (dh) tile_backward(&t);
    }
    if (!isfinite(sum)) CI_FAIL(CI_ENUMERIC, "cross entropy of %d classes is %g", Q, sum);
    *loss = sum;
done:
    return rc;
}

static ci_rc targets_check(const int32_t *target, ci_lid n, ci_lid Q, ci_lid row)
{
    ci_rc rc = CI_OK;

    if (n < 0) CI_FAIL(CI_EARG, "row %d has %d ones", row, n);
    for (ci_lid k = 0; k < n; k++)
        if (target[k] < 0 || target[k] >= Q || (k > 0 && target[k] <= target[k - 1]))
            CI_FAIL(CI_EARG, "one number %d of row %d is in column %d of %d: ascending, each once", k, row, target[k], Q);
done:
    return rc;
}

ci_rc ci_multi_hot_head(const ci_ops *ops, const float *h, ci_lid rows, ci_lid K, const float *w, const float *b,
                        const float *wt, ci_lid Q, const ci_lid *first, const int32_t *target, double scale,
                        float *work, float *dh, float *dw, float *db, double *loss, float *out_row)
{
    ci_rc rc = CI_OK;
    struct head t = head_of(ops, h, K, w, b, wt, Q, work, dh, dw, db);
    const struct loss_loops *loops = loss_loops(ops->name);
    double sum = 0;

    CI_TRY(head_check(rows, K, Q, wt, dh, dw, db));
    for (ci_lid i = 0; i < rows; i += t.n) {
        t.n = CI_MIN((ci_lid)CI_TILE, rows - i);
        for (ci_lid r = 0; r < t.n; r++) {
            t.row[r] = i + r;
            CI_TRY(targets_check(target + first[i + r], first[i + r + 1] - first[i + r], Q, i + r));
        }
        tile_forward(&t);
        for (ci_lid r = 0; r < t.n; r++) {
            const ci_lid begin = first[i + r];
            const double c = loops->multi_hot_row(ops, t.z + (size_t)r * Q, Q, target + begin, first[i + r + 1] - begin,
                                                  (float)scale, dh != NULL);
            if (!isfinite(c)) CI_FAIL(CI_ENUMERIC, "cross entropy of %d outputs: %g in row %d of the shard", Q, c, i + r);
            sum += c;
            if (out_row) out_row[i + r] = (float)(c / Q);
        }
        if (dh) tile_backward(&t);
    }
    *loss = scale * sum;
done:
    return rc;
}
