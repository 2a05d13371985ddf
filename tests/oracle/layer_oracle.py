#!/usr/bin/env python3
"""What PyTorch (Geometric) computes, in float64, for the norms, jumping knowledge and pooling of src/ops/.

    layer_oracle.py            writes layer.txt beside this file
    layer_oracle.py --check    computes it again and compares with what is committed

Input k of a case is symmetric(stream(n, SEED, TEST, 100 * case + k)) times a scale, which tests/ops/test_layer_oracle.c repeats;
the gradient of the output is number 99.  A linear weight is written transposed, as ours lie.  For each tensor: its
largest value, its norm and projections on 32 vectors with elements in [-1,1)."""
import hashlib
import os
import sys

import numpy as np
import torch
import torch_geometric
from torch_geometric.nn import AttentionalAggregation, GraphNorm, JumpingKnowledge, global_max_pool

from gat_oracle import HERE, TEST, line, projected, same, stream, symmetric

SEED, PROJECTIONS = 43, 32
FIRST = [0, 5, 6, 33, 63]  # graphs: one of a single node


def numbers(case, k, shape, scale=1.0):
    v = np.float32(scale) * symmetric(stream(int(np.prod(shape)), SEED, TEST, 100 * case + k))
    return torch.from_numpy(v.astype(np.float64).reshape(shape))


def leaf(*args):
    return numbers(*args).requires_grad_()


def report(name, tensors):
    out = []
    for number, (tensor, v) in enumerate(tensors):
        v = v.detach().numpy().reshape(-1)
        out.append(line(name, tensor, len(v), float(np.abs(v).max()), float(np.linalg.norm(v)), *projected(v, number, PROJECTIONS)))
    return out


def norm(case, name, module, cols, params, *args):
    """A module with parameters of (cols) and input (rows, cols)."""
    rows, x = FIRST[-1], leaf(case, 0, (FIRST[-1], cols))
    module = module.double().train()
    for k, p in enumerate(params):
        getattr(module, p).data = numbers(case, 1 + k, (cols,))
    y = module(x, *args)
    y.backward(numbers(case, 99, (rows, cols)))
    tensors = [("y", y), ("dx", x.grad)] + [("d" + p, getattr(module, p).grad) for p in params]
    if name == "batch_norm":
        tensors += [("run_mean", module.running_mean), ("run_var", module.running_var)]
    return report(name, tensors)


def graphs():
    return torch.from_numpy(np.repeat(np.arange(len(FIRST) - 1), np.diff(FIRST)))


def lstm(case, name, layers, d, rows):
    jk, h = JumpingKnowledge("lstm", d, layers).double(), layers * d // 2
    scale, k, shapes = 1 / np.sqrt(h), 0, {}
    x = [leaf(case, l, (rows, d)) for l in range(layers)]
    shapes["w_ih"], shapes["w_hh"] = (2, d, 4 * h), (2, h, 4 * h)
    shapes["b_ih"] = shapes["b_hh"] = (2, 4 * h)
    theirs = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"}
    for k, p in enumerate(theirs):
        v = numbers(case, 10 + k, shapes[p], scale)
        for direction, end in enumerate(("", "_reverse")):
            getattr(jk.lstm, theirs[p] + end).data = v[direction].T.contiguous() if v.dim() == 3 else v[direction]
    jk.att.weight.data = numbers(case, 14, (1, 2 * h))
    jk.att.bias.data = numbers(case, 15, (1,))
    y = jk(x)
    y.backward(numbers(case, 99, (rows, d)))
    tensors = [("y", y)] + [("d%dx" % l, v.grad) for l, v in enumerate(x)]
    for p in theirs:
        g = [getattr(jk.lstm, theirs[p] + end).grad for end in ("", "_reverse")]
        tensors.append(("d" + p, torch.stack([v.T if v.dim() == 2 else v for v in g])))
    return report(name, tensors + [("datt_w", jk.att.weight.grad)])


def jk_max(case):
    """Layer 1 repeats half of layer 0, so that there are equal ones."""
    x = [leaf(case, l, (20, 30)) for l in range(3)]
    with torch.no_grad():
        x[1][:, :15] = x[0][:, :15]
    y = JumpingKnowledge("max")(x)
    y.backward(numbers(case, 99, (20, 30)))
    return report("jk_max", [("y", y)] + [("d%dx" % l, v.grad) for l, v in enumerate(x)])


def jk_attention(case):
    """The cheaper jumping knowledge, written down: softmax over layers of a linear score of each."""
    x, a, b = [leaf(case, l, (20, 30)) for l in range(3)], leaf(case, 10, (30,)), leaf(case, 11, (1,))
    s = torch.softmax(torch.stack([v @ a + b for v in x], 1), 1)
    y = sum(s[:, l:l + 1] * v for l, v in enumerate(x))
    y.backward(numbers(case, 99, (20, 30)))
    return report("jk_attention", [("y", y)] + [("d%dx" % l, v.grad) for l, v in enumerate(x)] + [("da", a.grad)])


def pool_attention(case):
    pool, x = AttentionalAggregation(torch.nn.Linear(50, 1)).double(), leaf(case, 0, (FIRST[-1], 50))
    pool.gate_nn.weight.data, pool.gate_nn.bias.data = numbers(case, 1, (1, 50)), numbers(case, 2, (1,))
    y = pool(x, graphs(), dim_size=len(FIRST) - 1)
    y.backward(numbers(case, 99, tuple(y.shape)))
    return report("pool_attention", [("y", y), ("dx", x.grad), ("da", pool.gate_nn.weight.grad)])


def pool_max(case):
    """Values on a grid of quarters, so that there are equal nodes; never 0, as torch 1.13 counts the zeros that it
    starts from among the equal ones."""
    x = torch.floor(4 * numbers(case, 0, (FIRST[-1], 50))).div(4).add(0.125).requires_grad_()
    y = global_max_pool(x, graphs(), len(FIRST) - 1)
    y.backward(numbers(case, 99, tuple(y.shape)))
    return report("pool_max", [("y", y), ("dx", x.grad)])


def write():
    return (norm(0, "graph_norm", GraphNorm(40), 40, ("weight", "bias", "mean_scale"), graphs(), len(FIRST) - 1)
            + norm(1, "layer_norm", torch.nn.LayerNorm(41), 41, ("weight", "bias"))
            + norm(2, "batch_norm", torch.nn.BatchNorm1d(42), 42, ("weight", "bias"))
            + lstm(3, "lstm_two", 2, 96, 30) + lstm(4, "lstm_three", 3, 64, 40) + jk_max(5) + jk_attention(6)
            + pool_attention(7) + pool_max(8))


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    lines = [f"# torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, float64, layer_oracle.py sha256 {digest}"]
    lines += write()
    path = os.path.join(HERE, "layer.txt")
    if "--check" not in sys.argv[1:]:
        open(path, "w").write("\n".join(lines) + "\n")
        return 0
    old = open(path).read().splitlines()
    good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
    print(("ok - " if good else "not ok - ") + "oracle__layer_is_what_pyg_computes")
    return not good


if __name__ == "__main__":
    sys.exit(main())
