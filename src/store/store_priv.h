#ifndef CI_STORE_PRIV_H
#define CI_STORE_PRIV_H
#include "ci/store.h"

/* Arrays of a store, in the order of the schema. */
enum {
    A_GRAPH_CAPTURE, A_GRAPH_ROW, A_GRAPH_LABEL, A_GRAPH_NODE, A_GRAPH_EDGE, A_NODE_ID, A_NODE_X,
    A_EDGE_SRC, A_EDGE_DST, A_EDGE_IAT, A_EDGE_BYTE, A_EDGE_BIDIR, A_EDGE_FREQ, A_CAPTURE_PATH,
    A_CAPTURE_HASH, A_CAPTURE_FOLDER, A_CAPTURE_ATTACK, A_CAPTURE_ROWS, A_CAPTURE_GRAPH,
    A_FOLDER_NAME, A_FOLDER_ROLE, A_ID_VALUE, A_ID_VOCAB, A_COUNT
};

ci_type store_id_kind(const ci_store_head *h);    /* of node_id: index into id_value */
ci_type store_local_kind(const ci_store_head *h); /* of edge_src, edge_dst, edge_freq */
int64_t store_edges(const ci_store_head *h);      /* of every graph */

#endif
