#ifndef CI_EXPORT_H
#define CI_EXPORT_H
/** A store as plain files, the same ones whatever its layout.  A folder of them:
 *
 *      npy   graph_capture graph_row graph_label graph_node graph_edge node_id node_x edge_src edge_dst
 *            edge_x capture_path capture_hash capture_folder capture_attack capture_rows capture_graph
 *            folder_name folder_role id_value id_vocab, of streamed sets graph_window graph_warm edge_label, each NAME.npy,
 *            format 1.0, C order.  As in the
 *            store (store.h), but features are float32 without a scale, one column each in the order of
 *            the feature set, and positions and indices are int32.
 *      csv   captures.csv graphs.csv nodes.csv edges.csv: a header, then a line each; numbers have the
 *            digits that give the same float32 back.
 *
 *  and export.json, written last: what it is, and the columns of node_x and edge_x by name. */
#include "ci/store.h"

typedef enum ci_export_kind { CI_EXPORT_NPY, CI_EXPORT_CSV } ci_export_kind;

/** Write the files, each committed (commit.h).  Not collective; memory is a graph and the buffers of
 *  the files, whatever the size of the store.  The folder is made, or is empty, or has nothing in it
 *  but what an export left, which is removed first.
 *  \return CI_OK, CI_ECREATE (the folder has other files), CI_EPERM, CI_EIO, CI_ENOMEM */
ci_rc ci_export(const ci_store *st, ci_export_kind kind, const char *folder);

#endif
