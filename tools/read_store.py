#!/usr/bin/python3
"""What is in a graph store, with h5py alone:  python3 tools/read_store.py runs/demo/store.h5 [GRAPH]"""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as f:
    label, graph = f["graph_label"][:], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print("%d graphs, %.1f %% attacks; windows of %d frames every %d, features %s" % (
        len(label), 100 * label.mean() if len(label) else 0, f.attrs["window_frames"], f.attrs["window_stride"], f.attrs["features"].decode()))
    for name in f:
        print("  %-15s %-9s %-16s %s" % (name, f[name].dtype, f[name].shape, f[name].attrs["meaning"].decode()))
    if graph < len(label):
        n0, n1 = f["graph_node"][graph:graph + 2]
        e0, e1 = f["graph_edge"][graph:graph + 2]
        x = f["node_x"][n0:n1].astype(np.float64) / 2.0 ** f["node_x"].attrs["log2_scale"]
        print("graph %d: row %d of %s, label %d, %d nodes, %d edges" % (
            graph, f["graph_row"][graph], f["capture_path"][f["graph_capture"][graph]].decode(), label[graph], n1 - n0, e1 - e0))
        for i, node in enumerate(f["node_id"][n0:n1]):
            print("  node %-3d id %-8X messages %-4g mean of byte 0 %g" % (i, f["id_value"][node], x[i, 24], x[i, 0]))
        for s, d, iat, byte in zip(f["edge_src"][e0:e1], f["edge_dst"][e0:e1], f["edge_iat"][e0:e1], f["edge_byte"][e0:e1]):
            print("  edge %d -> %d after %.6f s, bytes differ by %s" % (s, d, iat, byte))
