#ifndef CI_STORE_PRIV_H
#define CI_STORE_PRIV_H
#include "ci/store.h"

/* Arrays of a store, in the order of its schema: first what every store has, then what its layout has. */
enum {
    A_GRAPH_CAPTURE, A_GRAPH_ROW, A_GRAPH_LABEL, A_GRAPH_NODE, A_GRAPH_EDGE, A_CAPTURE_PATH, A_CAPTURE_HASH,
    A_CAPTURE_FOLDER, A_CAPTURE_ATTACK, A_CAPTURE_ROWS, A_CAPTURE_GRAPH, A_FOLDER_NAME, A_FOLDER_ROLE, A_ID_VALUE,
    A_ID_VOCAB, A_SHARED,

    A_NODE_ID = A_SHARED, A_NODE_X, A_EDGE_SRC, A_EDGE_DST, A_BUILT, /* compact and float32 */
    A_EDGE_IAT = A_BUILT, A_EDGE_BYTE, A_EDGE_BIDIR, A_EDGE_FREQ, A_COMPACT,
    A_EDGE_X = A_BUILT, A_FLOAT32, /* compact of streamed sets, too */
    A_GRAPH_WINDOW = A_FLOAT32, A_GRAPH_WARM, A_EDGE_LABEL, A_STREAM, /* behind them */

    A_CAPTURE_FRAME = A_SHARED, A_FRAME_TIME, A_FRAME_ID, A_FRAME_DATA, A_FRAME_LEN, A_FRAME_LABEL, A_MESSAGES
};

/* A store being written. */
struct ci_store_writer {
    const ci_comm *comm;
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];
    const ci_feature_set *set;
    ci_store_layout layout;
    ci_type id_kind, local_kind;
    int32_t n_capture;
    int64_t *frame;           /* (n_capture + 1) first frame of each capture */
    int32_t n_id;
    uint32_t *id;             /* (n_id) ascending */
    int32_t standard[2048];   /* where the 11-bit ones are in it, -1: not there */
    ci_h5 *file;
    void *room;               /* where a column takes its stored form */
    size_t cap_room;
    ci_array array[CI_STORE_ARRAYS]; /* its schema */
    size_t n_array;
    const ci_store *from;     /* where ci_store_copy copies from; borrowed, NULL: nowhere */
    int64_t seen;             /* bytes of it that were looked at since its pages were let go of */
    int32_t *map;             /* (from->head.n_id) index of its identifiers here, -1: not here; owned */
};

ci_rc store_room(ci_store_writer *w, size_t bytes);               /* w->room has so many */
int32_t store_id_index(const ci_store_writer *w, uint32_t id);    /* in w->id, -1: not there */

bool store_exact(const ci_store_head *h, const ci_feature_set *set); /* edges in the exact columns of kd35 */
ci_type store_id_kind(const ci_store_head *h);    /* of node_id, frame_id: index into id_value */
ci_type store_local_kind(const ci_store_head *h); /* of edge_src, edge_dst, edge_freq */

/* Rows of a capture that a messages store keeps. */
static inline int64_t store_frames(const ci_store_capture *c)
{
    return c->n_graph ? c->rows : 0;
}

/* Index into head.id number i of node_id or frame_id. */
static inline int32_t store_id(const ci_store *st, const void *column, int64_t i)
{
    return st->wide_id ? (int32_t)((const uint32_t *)column)[i] : ((const uint16_t *)column)[i];
}

/* Number i of a column of small or wide integers. */
static inline int32_t store_local(const ci_store *st, const void *column, int64_t i)
{
    return st->wide_local ? ((const uint16_t *)column)[i] : ((const uint8_t *)column)[i];
}

#endif
