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

bool store_exact(const ci_store_head *h, const ci_feature_set *set)
{
    return h->layout == CI_COMPACT && !set->stream;
}

static const int16_t *node_scale(const ci_feature_set *set)
{
    static int16_t scale[192];

    for (ci_lid k = 0; k < set->n_node; k++) scale[k] = set->node[k].log2_scale;
    return scale;
}

static const int16_t *edge_scale(const ci_feature_set *set)
{
    static int16_t scale[192];

    for (ci_lid k = 0; k < set->n_edge; k++) scale[k] = set->edge[k].log2_scale;
    return scale;
}

static void shared_arrays(const ci_store_head *h, ci_array *out)
{
    const int64_t G = h->n_graph, C = h->n_capture;
    const ci_array table[A_SHARED] = {
        [A_GRAPH_CAPTURE] = {"graph_capture", CI_TYPE_I32, G, 1, NULL, "capture the window is from", NULL},
        [A_GRAPH_ROW] = {"graph_row", CI_TYPE_I64, G, 1, "row", "first row of the window in its capture", NULL},
        [A_GRAPH_LABEL] = {"graph_label", CI_TYPE_U8, G, 1, NULL, "1 when any frame of the window is an attack", NULL},
        [A_GRAPH_NODE] = {"graph_node", CI_TYPE_I64, G + 1, 1, NULL, "first node of each graph; last: number of nodes", NULL},
        [A_GRAPH_EDGE] = {"graph_edge", CI_TYPE_I64, G + 1, 1, NULL, "first edge of each graph; last: number of edges", NULL},
        [A_CAPTURE_PATH] = {"capture_path", CI_TYPE_TEXT, C, CI_STORE_TEXT, NULL, "path below the data set", NULL},
        [A_CAPTURE_HASH] = {"capture_hash", CI_TYPE_TEXT, C, CI_XXH_HEX - 1, NULL, "XXH3-128 over the hashes of its blocks", NULL},
        [A_CAPTURE_FOLDER] = {"capture_folder", CI_TYPE_I32, C, 1, NULL, "index into folder_name", NULL},
        [A_CAPTURE_ATTACK] = {"capture_attack", CI_TYPE_I32, C, 1, NULL, "kind of attack its name says, 0 none", NULL},
        [A_CAPTURE_ROWS] = {"capture_rows", CI_TYPE_I64, C, 1, "row", "frames of the capture", NULL},
        [A_CAPTURE_GRAPH] = {"capture_graph", CI_TYPE_I64, C + 1, 1, NULL, "first graph of each capture; last: number of graphs", NULL},
        [A_FOLDER_NAME] = {"folder_name", CI_TYPE_TEXT, h->n_folder, CI_STORE_TEXT, NULL, "folder of the data set", NULL},
        [A_FOLDER_ROLE] = {"folder_role", CI_TYPE_I32, h->n_folder, 1, NULL, "0 training, 1 test, 2 training with injected attacks", NULL},
        [A_ID_VALUE] = {"id_value", CI_TYPE_U32, h->n_id, 1, NULL, "identifiers, ascending; bit 31 set for the 29-bit kind", NULL},
        [A_ID_VOCAB] = {"id_vocab", CI_TYPE_I32, h->n_id, 1, NULL, "number in the vocabulary of training, 0 unknown", NULL},
    };

    memcpy(out, table, sizeof table);
}

static void built_arrays(const ci_store_head *h, const ci_feature_set *set, ci_array *out)
{
    const int64_t N = h->n_node, E = h->n_edge;
    const ci_type local = store_local_kind(h);
    const bool half = h->layout == CI_COMPACT;

    out[A_NODE_ID] = (ci_array){"node_id", store_id_kind(h), N, 1, NULL, "index into id_value, ascending within a graph", NULL};
    out[A_NODE_X] = half ? (ci_array){"node_x", CI_TYPE_F16, N, set->n_node, NULL, "features of the nodes times 2^log2_scale", node_scale(set)}
                         : (ci_array){"node_x", CI_TYPE_F32, N, set->n_node, NULL, "features of the nodes", NULL};
    out[A_EDGE_SRC] = (ci_array){"edge_src", local, E, 1, NULL, "node of a frame, position in its graph", NULL};
    out[A_EDGE_DST] = (ci_array){"edge_dst", local, E, 1, NULL, "node of the next frame, position in its graph", NULL};
    if (!store_exact(h, set)) {
        out[A_EDGE_X] = half ? (ci_array){"edge_x", CI_TYPE_F16, E, set->n_edge, NULL, "features of the edges times 2^log2_scale", edge_scale(set)}
                             : (ci_array){"edge_x", CI_TYPE_F32, E, set->n_edge, NULL, "features of the edges", NULL};
        return;
    }
    out[A_EDGE_IAT] = (ci_array){"edge_iat", CI_TYPE_F32, E, 1, "s", "time from one frame to the next", NULL};
    out[A_EDGE_BYTE] = (ci_array){"edge_byte", CI_TYPE_U8, E, 8, NULL, "absolute difference of byte k", NULL};
    out[A_EDGE_BIDIR] = (ci_array){"edge_bidir", CI_TYPE_U8, E, 1, NULL, "1 when the graph has an edge back", NULL};
    out[A_EDGE_FREQ] = (ci_array){"edge_freq", local, E, 1, "count", "edges of the graph with these ends", NULL};
}

static void stream_arrays(const ci_store_head *h, const ci_feature_set *set, ci_array *out)
{
    const int64_t G = h->n_graph;

    out[A_GRAPH_WINDOW] = (ci_array){"graph_window", CI_TYPE_F32, G, set->n_window, NULL, "features of the windows", NULL};
    out[A_GRAPH_WARM] = (ci_array){"graph_warm", CI_TYPE_U8, G, 1, NULL, "0 when too little is known yet to judge the window", NULL};
    out[A_EDGE_LABEL] = (ci_array){"edge_label", CI_TYPE_U8, h->n_edge, 1, NULL, "1 when the frame that the edge leads to is an attack", NULL};
}

static void message_arrays(const ci_store_head *h, ci_array *out)
{
    const int64_t M = h->n_frame;

    out[A_CAPTURE_FRAME] = (ci_array){"capture_frame", CI_TYPE_I64, h->n_capture + 1, 1, NULL, "first frame of each capture; last: number of frames", NULL};
    out[A_FRAME_TIME] = (ci_array){"frame_time", CI_TYPE_I64, M, 1, "ns", "time of the frame", NULL};
    out[A_FRAME_ID] = (ci_array){"frame_id", store_id_kind(h), M, 1, NULL, "index into id_value", NULL};
    out[A_FRAME_DATA] = (ci_array){"frame_data", CI_TYPE_U8, M, 8, NULL, "payload, 0 beyond its length", NULL};
    out[A_FRAME_LEN] = (ci_array){"frame_len", CI_TYPE_U8, M, 1, "byte", "length of the payload", NULL};
    out[A_FRAME_LABEL] = (ci_array){"frame_label", CI_TYPE_U8, M, 1, NULL, "1 when the frame is an attack", NULL};
}

size_t ci_store_schema(const ci_store_head *h, ci_array out[CI_STORE_ARRAYS])
{
    const ci_feature_set *set = ci_feature_set_find(h->set);

    shared_arrays(h, out);
    if (h->layout == CI_MESSAGES) message_arrays(h, out);
    else built_arrays(h, set, out);
    if (set->stream) stream_arrays(h, set, out);
    return h->layout == CI_MESSAGES ? A_MESSAGES : set->stream ? A_STREAM : h->layout == CI_COMPACT ? A_COMPACT : A_FLOAT32;
}

int64_t ci_store_bytes(const ci_store_head *h)
{
    ci_array array[CI_STORE_ARRAYS];
    const size_t n = ci_store_schema(h, array);
    int64_t bytes = 0;

    for (size_t i = 0; i < n; i++) bytes += array[i].rows * array[i].cols * (int64_t)ci_type_bytes(array[i].kind);
    return bytes;
}

static const char *const layouts[] = {[CI_COMPACT] = "compact", [CI_FLOAT32] = "float32", [CI_MESSAGES] = "messages"};

const char *ci_store_layout_name(ci_store_layout layout)
{
    return layouts[layout];
}

/* kd35 has exact columns of edges; halves, which err by 2^-11, are taken for a streamed set only when asked for. */
static bool has_compact(const ci_feature_set *set)
{
    return set->stream || strcmp(set->name, "kd35") == 0;
}

ci_rc ci_store_layout_of(const char *wanted, const ci_feature_set *set, ci_store_layout *out)
{
    ci_rc rc = CI_OK;
    ci_store_layout layout = set && has_compact(set) && !set->stream ? CI_COMPACT : CI_FLOAT32;

    if (!set) CI_FAIL(CI_ECONF, "features.set: there is none of this name");
    if (strcmp(wanted, "auto") != 0) {
        layout = CI_COMPACT;
        while (layout < CI_MESSAGES && strcmp(wanted, layouts[layout]) != 0) layout++;
        if (strcmp(wanted, layouts[layout]) != 0) CI_FAIL(CI_ECONF, "store.layout: \"%s\" is unknown", wanted);
    }
    if (layout == CI_COMPACT && !has_compact(set))
        CI_FAIL(CI_ECONF, "store.layout: features %s have no compact form; set it to auto, float32 or messages", set->name);
    if (layout == CI_MESSAGES && set->stream)
        CI_FAIL(CI_ECONF, "store.layout: features %s cannot be built from the frames of a window alone, which is what messages keeps; "
                "set it to auto, float32 or compact", set->name);
    *out = layout;
done:
    return rc;
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
