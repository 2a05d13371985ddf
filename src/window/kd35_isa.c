/** Rows of features of kd35 (reference-system.md 4.4 and 4.6), compiled once for each instruction set.
 *
 *  Eight bytes are eight lanes of double; their sums and sums of squares are integers below 2^53 and
 *  therefore exact.  Every other sum has a fixed order, so that all builds give the same bits. */
#include <math.h>
#include <string.h>

#include "window_priv.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

typedef uint8_t v8u8 __attribute__((vector_size(8)));
typedef int32_t v8i32 __attribute__((vector_size(32)));
typedef float v8f __attribute__((vector_size(32)));
typedef double v8d __attribute__((vector_size(64)));

/* Macros, as a vector of 64 bytes is passed differently by each instruction set. */
#define BYTES_I32(out, word)                                \
    do {                                                    \
        v8u8 bytes_;                                        \
        memcpy(&bytes_, &(word), sizeof bytes_);            \
        (out) = __builtin_convertvector(bytes_, v8i32);     \
    } while (0)
#define BYTES_F64(out, word)                                \
    do {                                                    \
        v8i32 wide_;                                        \
        BYTES_I32(wide_, word);                             \
        (out) = __builtin_convertvector(wide_, v8d);        \
    } while (0)
#define STORE_F32(to, v)                                    \
    do {                                                    \
        const v8f single_ = __builtin_convertvector(v, v8f); \
        memcpy((to), &single_, sizeof single_);             \
    } while (0)

static inline int64_t since(int64_t later, int64_t earlier)
{
    return (int64_t)((uint64_t)later - (uint64_t)earlier); /* wraps where a difference has no int64 */
}

static inline double mean_of_8(const double *v)
{
    return (((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]))) / 8;
}

/** -sum p ln p = (S ln S - sum b ln b) / S: exactly 0 for a single non-zero byte. */
static inline double entropy(const double *nlogn, uint64_t word)
{
    unsigned b[8], sum = 0;
    double part[8];

    for (int k = 0; k < 8; k++) {
        b[k] = word >> 8 * k & 0xFF;
        part[k] = nlogn[b[k]];
        sum += b[k];
    }
    if (!sum) return 0;
    return (nlogn[sum] - (((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7])))) /
           sum;
}

static void group_part(ci_builder *b, const ci_table *t, ci_lid r, ci_lid from, ci_lid to)
{
    for (ci_lid i = from; i < to; i++) {
        const ci_lid at = b->next[b->node[i]]++;
        b->data[at] = t->data[r + i];
        b->t_ns[at] = t->t_ns[r + i];
        b->entropy[at] = entropy(b->nlogn, t->data[r + i]);
    }
}

/** Frames by node, in order of time within a node. */
static void group(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node)
{
    const ci_lid half = b->frames / 2;

    memset(b->first, 0, (size_t)(n_node + 1) * sizeof *b->first);
    for (ci_lid i = 0; i < b->frames; i++) b->first[b->node[i] + 1]++;
    for (ci_lid v = 0; v < n_node; v++) b->first[v + 1] += b->first[v];
    memcpy(b->next, b->first, (size_t)n_node * sizeof *b->next);
    group_part(b, t, r, 0, half);
    for (ci_lid v = 0; v < n_node; v++) b->early[v] = b->next[v] - b->first[v];
    group_part(b, t, r, half, b->frames);
}

/** Twice the triangles at a node with neighbours near[u], and how many those are. */
static inline double cluster_dense(const uint64_t (*near)[2], ci_lid u)
{
    uint64_t other[2] = {near[u][0], near[u][1]};
    const int64_t deg = __builtin_popcountll(near[u][0]) + __builtin_popcountll(near[u][1]);
    int64_t twice = 0;

    other[u / 64] &= ~(UINT64_C(1) << u % 64);
    for (int w = 0; w < 2; w++)
        for (uint64_t left = near[u][w]; left; left &= left - 1) {
            const uint64_t *const v = near[64 * w + __builtin_ctzll(left)];
            twice += __builtin_popcountll(v[0] & other[0]) + __builtin_popcountll(v[1] & other[1]);
        }
    return deg > 1 ? (double)twice / (double)(deg * (deg - 1)) : 0;
}

/** Columns bidir and edge_freq of the edges and b->clustering, up to DENSE nodes. */
static void relation_dense(ci_builder *b, ci_lid n, const ci_lid *src, const ci_lid *dst, float *e)
{
    uint16_t *const count = b->matrix;

    memset(b->near, 0, (size_t)n * sizeof b->near[0]);
    for (ci_lid i = 0; i < b->n_edge; i++) {
        const ci_lid s = src[i], d = dst[i];
        count[s * n + d]++;
        b->near[s][d / 64] |= UINT64_C(1) << d % 64;
        b->near[d][s / 64] |= UINT64_C(1) << s % 64;
    }
    for (ci_lid i = 0; i < b->n_edge; i++) {
        e[KD35_EDGE * i + 9] = count[dst[i] * n + src[i]] != 0;
        e[KD35_EDGE * i + 10] = count[src[i] * n + dst[i]];
    }
    for (ci_lid i = 0; i < b->n_edge; i++) count[src[i] * n + dst[i]] = 0;
    for (ci_lid u = 0; u < n; u++) b->clustering[u] = cluster_dense((const uint64_t(*)[2])b->near, u);
}

/** Ends of the edges, their times and byte differences. */
static void edges(const ci_builder *b, const ci_table *t, ci_lid r, ci_lid *src, ci_lid *dst, float *e)
{
    const ci_lid lag = b->first_edge; /* the reference's differences are one frame behind */

    for (ci_lid i = 0; i < b->n_edge; i++, e += KD35_EDGE) {
        const ci_lid from = r + i, to = from + 1;
        v8i32 x, y, sign;
        src[i] = b->node[lag + i];
        dst[i] = b->node[lag + i + 1];
        e[0] = (float)((double)since(t->t_ns[to], t->t_ns[from]) / 1e9);
        BYTES_I32(x, t->data[from]);
        BYTES_I32(y, t->data[to]);
        y -= x;
        sign = y >> 31;
        y = (y ^ sign) - sign;
        STORE_F32(e + 1, y);
    }
}

/** Columns 26 and 27.  With a = c b - s1, an integer, and V = c s2 - s1^2 = c^2 m2, exact:
 *      m3 / m2^(3/2) = (sum a^3 / c) / (V sqrt V)        m4 / m2^2 = (sum a^4 / c) / V^2 */
static void shape(const uint64_t *data, ci_lid n, const double *s1, const double *var, float *x)
{
    const double c = n;
    v8d a3 = {0}, a4 = {0}, sum;
    double p3[8], p4[8], skew[8], kurt[8];

    memcpy(&sum, s1, sizeof sum);
    for (ci_lid i = 0; i < n; i++) {
        v8d a, aa;
        BYTES_F64(a, data[i]);
        a = a * c - sum;
        aa = a * a;
        a3 += aa * a;
        a4 += aa * aa;
    }
    memcpy(p3, &a3, sizeof p3);
    memcpy(p4, &a4, sizeof p4);
    for (int k = 0; k < 8; k++) {
        const double v = var[k] > 0 ? var[k] : 1;
        const double g = p3[k] / c / (v * sqrt(v)), h = p4[k] / c / (v * v) - 3;
        const double g1 = g < -10 ? -10 : g > 10 ? 10 : g, h1 = h > 10 ? 10 : h;
        skew[k] = var[k] > 0 ? g1 : 0;
        kurt[k] = var[k] > 0 ? h1 : 0;
    }
    x[26] = (float)mean_of_8(skew);
    x[27] = (float)mean_of_8(kurt);
}

/** Columns 0 to 23, 26, 27 and 30 of a node with n >= 2 frames. */
static void payload(const uint64_t *data, ci_lid n, float *x)
{
    const double c = n;
    v8d s1 = {0}, s2 = {0}, v;
    double sum[8], var[8], std[8];
    uint8_t least[8], most[8];
    int changed = 0, varies = 0;

    memcpy(least, data, sizeof least);
    memcpy(most, data, sizeof most);
    for (ci_lid i = 0; i < n; i++) {
        uint8_t byte[8];
        v8d d;
        BYTES_F64(d, data[i]);
        s1 += d;
        s2 += d * d;
        memcpy(byte, &data[i], sizeof byte);
        for (int k = 0; k < 8; k++) least[k] = CI_MIN(least[k], byte[k]);
        for (int k = 0; k < 8; k++) most[k] = CI_MAX(most[k], byte[k]);
    }
    v = s1 / c;
    STORE_F32(x, v);
    v = c * s2 - s1 * s1;
    memcpy(sum, &s1, sizeof sum);
    memcpy(var, &v, sizeof var);
    for (int k = 0; k < 8; k++) std[k] = sqrt(var[k] / (c * (c - 1)));
    for (int k = 0; k < 8; k++) x[8 + k] = (float)std[k];
    for (int k = 0; k < 8; k++) x[16 + k] = (float)(most[k] - least[k]);
    for (int k = 0; k < 8; k++) varies |= most[k] != least[k];
    x[26] = x[27] = x[30] = 0;
    if (!varies) return;
    shape(data, n, sum, var, x);
    for (ci_lid i = 1; i < n; i++) {
        const uint64_t low = UINT64_C(0x7F7F7F7F7F7F7F7F), diff = data[i] ^ data[i - 1];
        changed += __builtin_popcountll((((diff & low) + low) | diff) & ~low); /* bytes that differ */
    }
    x[30] = (float)(changed / (8 * (c - 1)));
}

/** Columns 31 and 32 of a node with n >= 2 frames; times in nanoseconds until the last division. */
static void times(const int64_t *t_ns, ci_lid n, float *x)
{
    const double total = (double)since(t_ns[n - 1], t_ns[0]), mean = total / (n - 1);
    double squares = 0;

    x[31] = (float)(total / ((n - 1) * 1e9));
    x[32] = 0;
    if (n < 3) return;
    for (ci_lid i = 1; i < n; i++) {
        const double d = (double)since(t_ns[i], t_ns[i - 1]) - mean;
        squares += d * d;
    }
    x[32] = (float)(sqrt(squares / (n - 2)) / 1e9);
}

/** Row of node v; its degrees are added afterwards. */
static void node_row(const ci_builder *b, ci_lid v, float *x)
{
    const ci_lid at = b->first[v], n = b->first[v + 1] - at;
    double total = 0;

    for (ci_lid i = 0; i < n; i++) total += b->entropy[at + i];
    if (n > 1) {
        payload(b->data + at, n, x);
        times(b->t_ns + at, n, x);
    } else {
        v8i32 byte;
        BYTES_I32(byte, b->data[at]);
        memset(x, 0, KD35_NODE * sizeof *x);
        STORE_F32(x, byte);
    }
    x[24] = (float)n;
    x[25] = (float)(total / n);
    x[28] = (float)b->clustering[v];
    x[29] = (float)((double)b->early[v] / n);
    x[33] = x[34] = (float)n;
}

/** Every frame is source and target of an edge, but for those at the window's ends. */
static void degrees(const ci_builder *b, float *x)
{
    const ci_lid last = b->frames - 1;

    for (ci_lid i = 0; i <= b->first_edge; i++) x[KD35_NODE * b->node[i] + 33]--;
    if (b->first_edge) x[KD35_NODE * b->node[0] + 34]--;
    x[KD35_NODE * b->node[last] + 34]--;
}

ci_lid JOIN(ci_kd35, CI_ISA)(ci_builder *b, const ci_table *t, ci_lid r, ci_lid n_node, ci_graphs *g)
{
    ci_lid *const src = g->src + g->n_edge, *const dst = g->dst + g->n_edge;
    float *const e = g->e + (size_t)g->n_edge * KD35_EDGE;
    float *const x = g->x + (size_t)g->n_node * KD35_NODE;

    edges(b, t, r, src, dst, e);
    if (n_node <= DENSE)
        relation_dense(b, n_node, src, dst, e);
    else
        ci_relation_sparse(b, n_node, src, dst, e);
    group(b, t, r, n_node);
    for (ci_lid v = 0; v < n_node; v++) node_row(b, v, x + (size_t)v * KD35_NODE);
    degrees(b, x);
    return b->n_edge;
}
