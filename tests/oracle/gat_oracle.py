#!/usr/bin/env python3
"""What PyTorch Geometric computes, in float64, for the classifier of src/model/.

    gat_oracle.py            writes gat.txt, focal.txt and adam.txt beside this file
    gat_oracle.py --check    computes them again and compares with what is committed

Weights, graphs and projections come from Philox by formulas that tests/model/case.c repeats, so that the files hold
little: for each gradient its largest value, its norm and projections on 64 vectors with elements in [-1,1).
Needs torch and torch_geometric 2.4; `make oracle` starts the interpreter named by CANIDS_ORACLE_PYTHON."""
import hashlib
import math
import os
import sys

import numpy as np
import torch
import torch_geometric
from torch_geometric.nn import GATv2Conv, global_mean_pool

HERE = os.path.dirname(os.path.abspath(__file__))
INIT, TEST, PROJECT = 2, 100, 101
N_ID, ID_DIM, N_X, N_E, HEADS, CHANNELS, LAYERS = 20, 16, 35, 11, 4, 24, 2
SEED = 42


def philox(k0, k1, c0, c1, c2, c3):
    """Philox4x32-10 of arrays; four arrays of words."""
    c = [np.asarray(v, np.uint64) for v in np.broadcast_arrays(c0, c1, c2, c3)]
    low, k0, k1 = np.uint64(0xFFFFFFFF), int(k0), int(k1)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def unit(word):
    return ((word >> np.uint64(8)).astype(np.float32)) * np.float32(2.0 ** -24)


def stream(n, seed, purpose, tensor):
    """n words: element i is word i % 4 of counter (tensor, i / 4, 0, 0)."""
    return np.stack(philox(seed, purpose, tensor, np.arange((n + 3) // 4), 0, 0), 1).reshape(-1)[:n]


def symmetric(word):
    return np.float32(2) * unit(word) - np.float32(1)


def normal(n, seed, tensor):
    quads = np.zeros(((n + 3) // 4, 4), np.float32)
    for k in range(len(quads)):
        have, attempt = [False, False], 0
        while not all(have):
            w = [symmetric(v) for v in philox(seed, INIT, tensor, k, attempt, 0)]
            for j in range(2):
                u, v = float(w[2 * j]), float(w[2 * j + 1])
                s = float(np.float32(np.float32(u * u) + np.float32(v * v)))
                if not have[j] and 0 < s < 1:
                    f = math.sqrt(-2 * math.log(s) / s)
                    quads[k, 2 * j:2 * j + 2] = u * f, v * f
                    have[j] = True
            attempt += 1
    return quads.reshape(-1)[:n]


class Gat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        d = HEADS * CHANNELS
        self.embed = torch.nn.Embedding(N_ID + 1, ID_DIM)
        self.conv = torch.nn.ModuleList(
            GATv2Conv(ID_DIM + N_X if k == 0 else d, CHANNELS, heads=HEADS, edge_dim=N_E, negative_slope=0.2)
            for k in range(LAYERS))
        self.head = torch.nn.ModuleList(
            [torch.nn.Linear(LAYERS * d, 192), torch.nn.Linear(192, 192), torch.nn.Linear(192, 2)])

    def forward(self, x, ident, edge_index, edge_attr, batch, n_graph):
        h, layers = torch.cat([self.embed(ident), x], 1), []
        for conv in self.conv:
            h = torch.relu(conv(h, edge_index, edge_attr))
            layers.append(h)
        z = global_mean_pool(torch.cat(layers, 1), batch, n_graph)
        for k, linear in enumerate(self.head):
            z = linear(z) if k == 2 else torch.relu(linear(z))
        return z

    def table(self):
        """(name, tensor, kind) in the order of our flat vector; a linear weight is transposed there."""
        out = [("embed.weight", self.embed.weight, "normal")]
        for k, c in enumerate(self.conv):
            out += [(f"conv{k}.lin_l.weight", c.lin_l.weight, "linear"), (f"conv{k}.lin_l.bias", c.lin_l.bias, "bias"),
                    (f"conv{k}.lin_r.weight", c.lin_r.weight, "linear"), (f"conv{k}.lin_r.bias", c.lin_r.bias, "bias"),
                    (f"conv{k}.lin_edge.weight", c.lin_edge.weight, "linear"), (f"conv{k}.att", c.att, "att"),
                    (f"conv{k}.bias", c.bias, "zero")]
        for k, l in enumerate(self.head):
            out += [(f"head{k}.weight", l.weight, "head"), (f"head{k}.bias", l.bias, "bias")]
        return out


def ours(t, kind):
    t = t.detach().numpy()
    return (t.T if kind in ("linear", "head") else t).reshape(-1)


def initialise(model):
    inputs = 1
    for number, (_, t, kind) in enumerate(model.table()):
        n = t.numel()
        if kind == "normal":
            v = normal(n, SEED, number)
        elif kind == "zero":
            v = np.zeros(n, np.float32)
        else:
            if kind == "linear" or kind == "head":
                inputs = t.shape[1]
            fans = sum(t.shape[-2:])
            bound = math.sqrt(6.0 / fans) if kind in ("linear", "att") else 1.0 / math.sqrt(inputs)
            v = np.float32(bound) * symmetric(stream(n, SEED, INIT, number))
        shape = tuple(t.shape[::-1]) if kind in ("linear", "head") else tuple(t.shape)
        v = v.reshape(shape)
        with torch.no_grad():
            t.copy_(torch.from_numpy(np.array((v.T if kind in ("linear", "head") else v), np.float64)))


# ---- graphs: (number, nodes, edges, shape); tests/model/case.c makes the same
CASES = {
    "normal": [(0, 17, 99, "any"), (1, 30, 99, "any"), (2, 23, 99, "any")],
    "one_node": [(3, 1, 0, "any")],
    "star": [(4, 30, 99, "star")],
    "mixed": [(5, 5, 9, "loops"), (6, 12, 40, "isolated"), (7, 1, 3, "loops"), (8, 26, 99, "any")],
}


def words(graph, what, rows, cols):
    r, c = np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")
    return philox(SEED, TEST, graph, what, r, c)


def graph(number, n, m, shape):
    x = 2 * symmetric(words(number, 0, n, N_X)[0])
    e = 2 * symmetric(words(number, 1, m, N_E)[0])
    below = lambda w, k: ((w * np.uint64(k)) >> np.uint64(32)).astype(np.int64)
    ident = below(words(number, 2, n, 1)[0][:, 0], N_ID + 1)
    a, b = (v[:, 0] for v in words(number, 3, m, 1)[:2])
    src, dst = below(a, n), below(b, n)
    if shape == "loops":
        dst = src
    if shape == "star":
        src, dst = 1 + below(a, n - 1), np.zeros(m, np.int64)
    if shape == "isolated":
        src, dst = below(a, 4), below(b, 4)
    return x, ident, src, dst, e, number % 2


def batch(graphs):
    parts, first = [graph(*g) for g in graphs], 0
    x, ident, src, dst, e, where = [], [], [], [], [], []
    for k, (gx, gi, gs, gd, ge, _) in enumerate(parts):
        x.append(gx), ident.append(gi), src.append(gs + first), dst.append(gd + first), e.append(ge)
        where.append(np.full(len(gx), k))
        first += len(gx)
    cat = lambda v, kind: torch.from_numpy(np.concatenate(v).astype(kind))
    edges = torch.stack([cat(src, np.int64), cat(dst, np.int64)])
    return (cat(x, np.float64), cat(ident, np.int64), edges, cat(e, np.float64), cat(where, np.int64), len(graphs)), \
        torch.tensor([p[5] for p in parts])


def focal(z, t, gamma=2.0):
    """Mean of (1 - p_t)^gamma times cross entropy; 1 - p_t is the other class's probability, without cancellation."""
    log_p = torch.log_softmax(z, 1)
    c, q = -log_p.gather(1, t[:, None])[:, 0], log_p.gather(1, 1 - t[:, None])[:, 0].exp()
    return (q ** gamma * c).mean()


def projected(v, number, count):
    v = np.asarray(v, np.float64)
    return [float(np.dot(v, symmetric(stream(len(v), k, PROJECT, number)).astype(np.float64))) for k in range(count)]


def line(*fields):
    return " ".join(f if isinstance(f, str) else str(f) if isinstance(f, int) else "%.9g" % f for f in fields)


def write_gat():
    model = Gat().double()
    initialise(model)
    out = []
    for number, (name, t, kind) in enumerate(model.table()):
        v = ours(t, kind)
        out.append(line("init", name, float(np.abs(v).max()), float(np.linalg.norm(v)), *projected(v, number, 8)))
    for name, graphs in CASES.items():
        args, label = batch(graphs)
        model.zero_grad()
        z = model(*args)
        loss = focal(z, label)
        loss.backward()
        out.append(line("case", name, float(loss)))
        out += [line("logit", float(a), float(b)) for a, b in z.detach()]
        for number, (tensor, t, kind) in enumerate(model.table()):
            v = ours(t.grad, kind)
            out.append(line("gradient", tensor, float(np.abs(v).max()), float(np.linalg.norm(v)),
                            *projected(v, number, 64)))
    args, label = batch(CASES["normal"])
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for step in range(20):
        adam.zero_grad()
        loss = focal(model(*args), label)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        out.append(line("step", float(loss), float(norm)))
    for number, (name, t, kind) in enumerate(model.table()):
        v = ours(t, kind)
        out.append(line("final", name, float(np.abs(v).max()), float(np.linalg.norm(v)), *projected(v, number, 16)))
    return out


def write_focal():
    out = []
    for gamma in (0.0, 1.0, 1.5, 2.0, 3.0):
        for d in (-100, -50, -20, -9.25, -3, -0.5, 0, 0.5, 3, 9.25, 20, 50, 100):
            z = torch.tensor([[d / 2 + 0.25, -d / 2 + 0.25]], dtype=torch.float64, requires_grad=True)
            loss = focal(z, torch.tensor([1]), gamma)
            loss.backward()
            out.append(line(gamma, float(z[0, 0]), float(z[0, 1]), float(loss), *map(float, z.grad[0])))
    return out


def write_adam():
    """A gradient of 10 elements over 6 steps: w, then per step g, norm and w after it."""
    w = torch.nn.Parameter(torch.from_numpy(symmetric(stream(10, 1, TEST, 0)).astype(np.float64)))
    adam = torch.optim.Adam([w], lr=1e-2, weight_decay=1e-2, betas=(0.9, 0.999), eps=1e-8)
    out = [line("w", *map(float, w.detach()))]
    for step in range(6):
        g = symmetric(stream(10, 2, TEST, step)) * np.float32(10.0 ** (step - 3))
        w.grad = torch.from_numpy(g.astype(np.float64))
        norm = torch.nn.utils.clip_grad_norm_([w], 1.0)
        adam.step()
        out.append(line("g", *map(float, g)))
        out.append(line("norm", float(norm)))
        out.append(line("w", *map(float, w.detach())))
    return out


def same(a, b):
    """Numbers within 1e-6 of the line's largest: what another machine's float64 may differ by."""
    if len(a) != len(b):
        return False
    for p, q in zip(a, b):
        p, q = p.split(), q.split()
        if len(p) != len(q):
            return False
        number = lambda s: float(s) if s[-1].isdigit() else s
        p, q = [number(s) for s in p], [number(s) for s in q]
        most = max([abs(v) for v in q if isinstance(v, float)], default=0)
        for v, w in zip(p, q):
            if isinstance(w, str) != isinstance(v, str) or (isinstance(w, str) and v != w):
                return False
            if isinstance(w, float) and not abs(v - w) <= 1e-6 * most:
                return False
    return True


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    head = f"# torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, float64, gat_oracle.py sha256 {digest}"
    failed = 0
    for name, make in (("gat.txt", write_gat), ("focal.txt", write_focal), ("adam.txt", write_adam)):
        lines, path = [head] + make(), os.path.join(HERE, name)
        if "--check" not in sys.argv[1:]:
            open(path, "w").write("\n".join(lines) + "\n")
            continue
        old = open(path).read().splitlines()
        good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
        print(("ok - " if good else "not ok - ") + f"oracle__{name[:-4]}_is_what_{'torch' if name != 'gat.txt' else 'pyg'}_computes")
        failed += not good
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
