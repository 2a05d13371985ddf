/* What a store has: the one table that writing, reading and documentation go by. */
#include <stdlib.h>
#include <string.h>
#include "store_priv.h"

ci_type store_id_kind(const ci_store_head *h)
{
    return h->n_id <= 65536 ? CI_TYPE_U16 : CI_TYPE_U32;
}

ci_type store_local_kind(const ci_store_head *h)
{
    return h->frames <= 255 ? CI_TYPE_U8 : CI_TYPE_U16;
}

static const int16_t *node_scale(const ci_feature_set *set)
{
    static int16_t scale[128];

    for (ci_lid k = 0; k < set->n_node; k++) scale[k] = set->node[k].log2_scale;
    return scale;
}

size_t ci_store_schema(const ci_store_head *h, ci_array out[CI_STORE_ARRAYS])
{
    const ci_feature_set *set = ci_feature_set_find(h->set);
    const int64_t G = h->n_graph, N = h->n_node, E = h->n_edge, C = h->n_capture;
    const ci_type id = store_id_kind(h), local = store_local_kind(h);
    const ci_array table[A_COUNT] = {
        [A_GRAPH_CAPTURE] = {"graph_capture", CI_TYPE_I32, G, 1, NULL, "capture the window is from", NULL},
        [A_GRAPH_ROW] = {"graph_row", CI_TYPE_I64, G, 1, "row", "first row of the window in its capture", NULL},
        [A_GRAPH_LABEL] = {"graph_label", CI_TYPE_U8, G, 1, NULL, "1 when any frame of the window is an attack", NULL},
        [A_GRAPH_NODE] = {"graph_node", CI_TYPE_I64, G + 1, 1, NULL, "first node of each graph; last: number of nodes", NULL},
        [A_GRAPH_EDGE] = {"graph_edge", CI_TYPE_I64, G + 1, 1, NULL, "first edge of each graph; last: number of edges", NULL},
        [A_NODE_ID] = {"node_id", id, N, 1, NULL, "index into id_value, ascending within a graph", NULL},
        [A_NODE_X] = {"node_x", CI_TYPE_F16, N, set->n_node, NULL, "features of the nodes times 2^log2_scale", node_scale(set)},
        [A_EDGE_SRC] = {"edge_src", local, E, 1, NULL, "node of a frame, position in its graph", NULL},
        [A_EDGE_DST] = {"edge_dst", local, E, 1, NULL, "node of the next frame, position in its graph", NULL},
        [A_EDGE_IAT] = {"edge_iat", CI_TYPE_F32, E, 1, "s", "time from one frame to the next", NULL},
        [A_EDGE_BYTE] = {"edge_byte", CI_TYPE_U8, E, 8, NULL, "absolute difference of byte k", NULL},
        [A_EDGE_BIDIR] = {"edge_bidir", CI_TYPE_U8, E, 1, NULL, "1 when the graph has an edge back", NULL},
        [A_EDGE_FREQ] = {"edge_freq", local, E, 1, "count", "edges of the graph with these ends", NULL},
        [A_CAPTURE_PATH] = {"capture_path", CI_TYPE_TEXT, C, CI_STORE_TEXT, NULL, "path below the data set", NULL},
        [A_CAPTURE_HASH] = {"capture_hash", CI_TYPE_TEXT, C, CI_XXH_HEX - 1, NULL, "XXH3-128 over the hashes of its blocks", NULL},
        [A_CAPTURE_FOLDER] = {"capture_folder", CI_TYPE_I32, C, 1, NULL, "index into folder_name", NULL},
        [A_CAPTURE_ATTACK] = {"capture_attack", CI_TYPE_I32, C, 1, NULL, "kind of attack its name says, 0 none", NULL},
        [A_CAPTURE_ROWS] = {"capture_rows", CI_TYPE_I64, C, 1, "row", "frames of the capture", NULL},
        [A_CAPTURE_GRAPH] = {"capture_graph", CI_TYPE_I64, C + 1, 1, NULL, "first graph of each capture; last: number of graphs", NULL},
        [A_FOLDER_NAME] = {"folder_name", CI_TYPE_TEXT, h->n_folder, CI_STORE_TEXT, NULL, "folder of the data set", NULL},
        [A_FOLDER_ROLE] = {"folder_role", CI_TYPE_I32, h->n_folder, 1, NULL, "0 training, 1 test", NULL},
        [A_ID_VALUE] = {"id_value", CI_TYPE_U32, h->n_id, 1, NULL, "identifiers, ascending; bit 31 set for the 29-bit kind", NULL},
        [A_ID_VOCAB] = {"id_vocab", CI_TYPE_I32, h->n_id, 1, NULL, "number in the vocabulary of training, 0 unknown", NULL},
    };

    memcpy(out, table, sizeof table);
    return A_COUNT;
}

void ci_store_head_release(ci_store_head *h)
{
    if (!h) return;
    free(h->folder);
    free(h->capture);
    free(h->id);
    free(h->vocab);
    *h = (ci_store_head){0};
}
