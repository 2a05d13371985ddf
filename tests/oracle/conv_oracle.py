#!/usr/bin/env python3
"""What PyTorch and PyTorch Geometric compute, in float64, for the convolutions and the attention of src/ops/.

    conv_oracle.py            writes conv.txt beside this file
    conv_oracle.py --check    computes it again and compares with what is committed

The layers' projections are replaced by given tensors, which are what the kernels take; so the gradients are those of the
kernels' inputs.  All numbers come from Philox by formulas that tests/ops/test_conv_oracle.c repeats; of a tensor the file
has the largest value, the norm and 16 projections, or all of it where it has no more than 18 elements."""
import hashlib
import os
import sys

import numpy as np
import torch
import torch_geometric
from torch_geometric.nn import GATConv, GATv2Conv, TransformerConv

from gat_oracle import HERE, TEST, line, projected, same, stream, symmetric

SEED, NODES, MOST, ALL = 7, 31, 99, 18

# name: (heads, channels of a head, edge features)
GATV1 = {"gat": (4, 10, 0), "gat_edge": (4, 10, 11), "gat_one": (1, 35, 11)}
GATV2 = {"gatv2_35_bare": (1, 35, 0), "gatv2_35_edge": (1, 35, 11), "gatv2_120_bare": (4, 120, 0), "gatv2_120_edge": (4, 120, 11),
         "gatv2_mean": (4, 35, 11)}
TRANSFORMER = {"transformer": (4, 16, 0), "transformer_edge": (4, 16, 11), "transformer_5_edge": (3, 5, 11)}
ATTENTION = {"attention": (4, 16, 0), "attention_odd": (1, 35, 0)}
GRAPHS = (0, 17, 18, 31)  # for attention: first node of each


def graph():
    """Node 0 has MOST in-edges, node i < 10 has i % 4, the last takes no part; then every node has its self-loop."""
    word, src, dst = stream(MOST + 2 * NODES, SEED, TEST, 900), [], []
    at = 0
    for i in range(NODES):
        for _ in range(MOST if i == 0 else i % 4 if i < 10 else 0):
            src.append(int(word[at]) * (NODES - 1) >> 32)
            dst.append(i)
            at += 1
        src.append(i)
        dst.append(i)
    return torch.tensor([src, dst])


class Tensors:
    """Leaves in the order in which they are asked for: tensor k is stream k."""
    def __init__(self):
        self.leaves = []

    def __call__(self, name, *shape):
        n = int(np.prod(shape))
        t = torch.tensor(symmetric(stream(n, SEED, TEST, len(self.leaves))).astype(np.float64).reshape(shape), requires_grad=True)
        self.leaves.append((name, t))
        return t


class Given(torch.nn.Module):
    def __init__(self, t):
        super().__init__()
        self.t = t

    def forward(self, _):
        return self.t


def parameter(module, name, t):
    """A leaf in the place of a parameter, reshaped or transposed as it has to be."""
    delattr(module, name)
    setattr(module, name, t)


def gat(make, H, C, F, edges):
    D = H * C
    h, a_src, a_dst, bias = make("h", NODES, D), make("a_src", D), make("a_dst", D), make("bias", D)
    conv = GATConv(D, C, heads=H, edge_dim=F or None, add_self_loops=False).double()
    conv.lin_src = Given(h)
    parameter(conv, "att_src", a_src.view(1, H, C))
    parameter(conv, "att_dst", a_dst.view(1, H, C))
    parameter(conv, "bias", bias)
    e = None
    if F:
        a_e, w_e, e = make("a_e", D), make("w_e", F, D), make("e", edges.shape[1], F)
        parameter(conv, "att_edge", a_e.view(1, H, C))
        parameter(conv.lin_edge, "weight", w_e.t())
    return conv(h, edges, e)


def gatv2(make, H, C, F, edges, concat):
    D = H * C
    l, r, a = make("l", NODES, D), make("r", NODES, D), make("a", D)
    bias = make("bias", D if concat else C)
    conv = GATv2Conv(D, C, heads=H, concat=concat, edge_dim=F or None, add_self_loops=False).double()
    conv.lin_l, conv.lin_r = Given(l), Given(r)
    parameter(conv, "att", a.view(1, H, C))
    parameter(conv, "bias", bias)
    e = None
    if F:
        w_e, e = make("w_e", F, D), make("e", edges.shape[1], F)
        parameter(conv.lin_edge, "weight", w_e.t())
    return conv((l, r), edges, e)


def transformer(make, H, C, F, edges):
    D = H * C
    q, k, v, skip = (make(n, NODES, D) for n in ("q", "k", "v", "skip"))
    conv = TransformerConv(D, C, heads=H, edge_dim=F or None, root_weight=True).double()
    conv.lin_query, conv.lin_key, conv.lin_value, conv.lin_skip = Given(q), Given(k), Given(v), Given(skip)
    e = None
    if F:
        w_e, e = make("w_e", F, D), make("e", edges.shape[1], F)
        parameter(conv.lin_edge, "weight", w_e.t())
    return conv(q, edges, e)


def attention(make, H, C):
    D = H * C
    q, k, v = (make(n, NODES, D) for n in "qkv")
    layer = torch.nn.MultiheadAttention(D, H, batch_first=True).double()
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(D).repeat(3, 1))
        layer.in_proj_bias.zero_()
        layer.out_proj.weight.copy_(torch.eye(D))
        layer.out_proj.bias.zero_()
    return torch.cat([layer(q[a:b][None], k[a:b][None], v[a:b][None], need_weights=False)[0][0]
                      for a, b in zip(GRAPHS, GRAPHS[1:])])


def say(kind, name, t, number):
    v = t.detach().numpy().reshape(-1)
    if len(v) <= ALL:
        return line(kind, name, *map(float, v))
    return line(kind, name, float(np.abs(v).max()), float(np.linalg.norm(v)), *projected(v, number, ALL - 2))


def case(name, forward):
    make = Tensors()
    y = forward(make)
    dy = torch.from_numpy(symmetric(stream(y.numel(), SEED, TEST, 800)).astype(np.float64)).reshape(y.shape)
    (y * dy).sum().backward()
    return [line("case", name), say("y", "y", y, 0)] + [say("gradient", n, t.grad, k) for k, (n, t) in enumerate(make.leaves) if n != "e"]


def write():
    edges, out = graph(), []
    for name, shape in GATV1.items():
        out += case(name, lambda make: gat(make, *shape, edges))
    for name, shape in GATV2.items():
        out += case(name, lambda make: gatv2(make, *shape, edges, name != "gatv2_mean"))
    for name, shape in TRANSFORMER.items():
        out += case(name, lambda make: transformer(make, *shape, edges))
    for name, shape in ATTENTION.items():
        out += case(name, lambda make: attention(make, *shape[:2]))
    return out


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    lines = [f"# torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, float64, conv_oracle.py sha256 {digest}"] + write()
    path = os.path.join(HERE, "conv.txt")
    if "--check" not in sys.argv[1:]:
        open(path, "w").write("\n".join(lines) + "\n")
        return 0
    old = open(path).read().splitlines()
    good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
    print(("ok - " if good else "not ok - ") + "oracle__conv_is_what_pyg_computes")
    return not good


if __name__ == "__main__":
    sys.exit(main())
