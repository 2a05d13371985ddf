#!/usr/bin/python3
"""What is in a graph store, with h5py alone:  python3 tools/read_store.py runs/demo/store.h5 [GRAPH]"""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as f:
    label, graph, layout = f["graph_label"][:], int(sys.argv[2]) if len(sys.argv) > 2 else 0, f.attrs["layout"].decode()
    print("%d graphs, %.1f %% attacks; windows of %d frames every %d, features %s, layout %s" % (len(label), 100 * label.mean() if len(label) else 0,
          f.attrs["window_frames"], f.attrs["window_stride"], f.attrs["features"].decode(), layout))
    for name in f:
        print("  %-15s %-9s %-16s %s" % (name, f[name].dtype, f[name].shape, f[name].attrs["meaning"].decode()))
    if graph < len(label):
        (n0, n1), (e0, e1), capture, row = f["graph_node"][graph:graph + 2], f["graph_edge"][graph:graph + 2], f["graph_capture"][graph], f["graph_row"][graph]
        print("graph %d: row %d of %s, label %d, %d nodes, %d edges" % (
            graph, row, f["capture_path"][capture].decode(), label[graph], n1 - n0, e1 - e0))
        if layout == "messages":
            for i in range(f["capture_frame"][capture] + row, f["capture_frame"][capture] + row + f.attrs["window_frames"]):
                print("  frame at %d.%09d s id %-8X %s" % (*divmod(f["frame_time"][i], 10**9), f["id_value"][f["frame_id"][i]], f["frame_data"][i, :f["frame_len"][i]].tobytes().hex()))
        else:
            x = f["node_x"][n0:n1].astype(np.float64) / 2.0 ** f["node_x"].attrs.get("log2_scale", 0)
            e = f["edge_x"][e0:e1] / 2.0 ** f["edge_x"].attrs.get("log2_scale", 0) if "edge_x" in f else np.column_stack([f["edge_" + k][e0:e1] for k in ("iat", "byte", "bidir", "freq")])
            if "graph_window" in f:
                print("  window %s, past %s, features %s" % ("warm" if f["graph_warm"][graph] else "too early", f.attrs["past"].decode(), f["graph_window"][graph].round(4).tolist()))
            for i, node in enumerate(f["node_id"][n0:n1]):
                print("  node %-3d id %-8X features %s" % (i, f["id_value"][node], x[i].round(4).tolist()))
            for s, d, features in zip(f["edge_src"][e0:e1], f["edge_dst"][e0:e1], e):
                print("  edge %d -> %d features %s" % (s, d, features.round(6).tolist()))
