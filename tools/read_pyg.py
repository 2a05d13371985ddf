#!/usr/bin/env python3
"""A graph store of canids as a PyTorch Geometric dataset: its columns are mapped, not read.

    from read_pyg import Store
    train = Store("runs/demo/store.h5", role="train")
    for batch in torch_geometric.loader.DataLoader(train, batch_size=256, shuffle=True): ...

A graph has x, edge_attr (unscaled, in the order of the feature set), edge_index, ident (number in the vocabulary, 0 unknown), y, and
the numbers of its capture and first row; of features agnostic w (the window's columns), warm and edge_y (labels of edges), too.  Needs h5py; python3 tools/read_pyg.py STORE trains a small network for a few steps."""
import sys

import h5py
import numpy as np
import torch
from torch_geometric.data import Data, Dataset
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATv2Conv, global_mean_pool


class Store(Dataset):
    def __init__(self, path, role=None):
        super().__init__()
        with h5py.File(path, "r") as f:
            if f.attrs["layout"] == b"messages":
                raise ValueError("%s has messages, no graphs: build it with store.layout=float32 or export it" % path)
            for name in f:
                a = f[name]
                at = a.id.get_offset()
                setattr(self, "_" + name, a[:] if at is None else np.memmap(path, a.dtype, "r", at, a.shape))
            scale = f["node_x"].attrs.get("log2_scale", np.zeros(f["node_x"].shape[1]))
            self._by = np.float32(2.0) ** -scale.astype(np.float32)
            self._edge_by = np.float32(2.0) ** -f["edge_x"].attrs.get("log2_scale", np.zeros(1)).astype(np.float32) if "edge_x" in f else 1
            self.frames, self.features = int(f.attrs["window_frames"]), f.attrs["features"].decode()
        roles = self._folder_role[self._capture_folder[self._graph_capture]]
        self._chosen = np.arange(len(roles)) if role is None else np.flatnonzero(roles == ("train", "test", "injected").index(role))

    def len(self):
        return len(self._chosen)

    def get(self, idx):
        g = self._chosen[idx]
        n, e = (slice(a[g], a[g + 1]) for a in (self._graph_node, self._graph_edge))
        if hasattr(self, "_edge_x"):
            attr = self._edge_x[e].astype(np.float32) * self._edge_by
        else:
            attr = np.column_stack([a[e].astype(np.float32) for a in (self._edge_iat, self._edge_byte, self._edge_bidir, self._edge_freq)])
        more = {}
        if hasattr(self, "_graph_window"):
            more = {"w": torch.from_numpy(self._graph_window[g:g + 1].copy()), "warm": torch.tensor([int(self._graph_warm[g])]),
                    "edge_y": torch.from_numpy(self._edge_label[e].astype(np.int64))}
        return Data(x=torch.from_numpy(self._node_x[n].astype(np.float32) * self._by), edge_attr=torch.from_numpy(attr),
                    edge_index=torch.from_numpy(np.stack([self._edge_src[e], self._edge_dst[e]]).astype(np.int64)),
                    ident=torch.from_numpy(self._id_vocab[self._node_id[n]].astype(np.int64)),
                    y=torch.tensor([int(self._graph_label[g])]), capture=int(self._graph_capture[g]), row=int(self._graph_row[g]), **more)


def main(path, steps=30):
    torch.manual_seed(1)
    data = Store(path, role="train")
    first = next(iter(DataLoader(data, batch_size=256, shuffle=True)))
    mean, std = first.x.mean(0), first.x.std(0).clamp(min=1e-6)
    conv, out = GATv2Conv(first.x.shape[1], 16, heads=4), torch.nn.Linear(64, 2)
    adam = torch.optim.Adam([*conv.parameters(), *out.parameters()], lr=0.01)
    for step, b in zip(range(steps), DataLoader(data, batch_size=256, shuffle=True)):
        h = conv(((b.x - mean) / std).clamp(-10, 10), b.edge_index).relu()
        loss = torch.nn.functional.cross_entropy(out(global_mean_pool(h, b.batch)), b.y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        print("step %d loss %.4f, %d graphs, %d attacks" % (step, loss.item(), b.num_graphs, int(b.y.sum())))


if __name__ == "__main__":
    main(sys.argv[1])
