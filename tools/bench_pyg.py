#!/usr/bin/env python3
"""Training graphs a second of the small classifier in PyTorch Geometric, float32, one thread: the yardstick of bench_ops.

Shapes as there: 27 nodes, 99 edges and the self-loops a graph; forward, focal loss, backward (no optimiser step on either side),
best of batch sizes and of 3 runs each.  CANIDS_ORACLE_PYTHON names an interpreter that has torch_geometric."""
import os
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "oracle"))
import gat_oracle as oracle  # noqa: E402

NODES, EDGES = 27, 99


def batch(n):
    torch.manual_seed(1)
    base = torch.arange(n).repeat_interleave(EDGES) * NODES
    src, dst = (torch.randint(0, NODES, (n * EDGES,)) + base for _ in range(2))
    x = torch.rand(n * NODES, oracle.N_X) * 2 - 1
    ident = torch.randint(1, oracle.N_ID, (n * NODES,))
    args = (x, ident, torch.stack([src, dst]), torch.rand(n * EDGES, oracle.N_E) * 2 - 1,
            torch.arange(n).repeat_interleave(NODES), n)
    return args, torch.arange(n) % 2


class Training(oracle.Gat):
    """With dropout, as it is trained."""

    def forward(self, x, ident, edge_index, edge_attr, where, n_graph):
        drop = torch.nn.functional.dropout
        ident = torch.where(torch.rand(ident.shape) < 0.05, torch.zeros_like(ident), ident)
        h, layers = torch.cat([self.embed(ident), x], 1), []
        for conv in self.conv:
            h = drop(torch.relu(conv(h, edge_index, edge_attr)), 0.2)
            layers.append(h)
        z = oracle.global_mean_pool(torch.cat(layers, 1), where, n_graph)
        for k, linear in enumerate(self.head):
            z = linear(z) if k == 2 else drop(torch.relu(linear(z)), 0.2)
        return z


def main():
    torch.set_num_threads(1)
    model, best = Training(), (0.0, 0)
    for n in (8, 32, 128, 256):
        args, label = batch(n)
        loops = max(1, 256 // n)
        for _ in range(3):
            t = time.monotonic()
            for _ in range(loops):
                model.zero_grad()
                oracle.focal(model(*args), label).backward()
            rate = n * loops / (time.monotonic() - t)
            best = max(best, (rate, n))
    print("training, PyTorch Geometric %s, torch %s, one thread, batch of %d: %.0f graphs/s"
          % (oracle.torch_geometric.__version__, torch.__version__, best[1], best[0]))


if __name__ == "__main__":
    main()
