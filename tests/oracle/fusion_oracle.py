#!/usr/bin/env python3
"""What PyTorch and numpy compute, in float64, for the networks, losses, ridges and states of src/fusion/.

    fusion_oracle.py            writes fusion.txt beside this file
    fusion_oracle.py --check    computes it again and compares with what is committed

Weights and inputs come from Philox by formulas that tests/fusion/test_oracle.c repeats.  Needs torch; `make oracle`
starts the interpreter named by CANIDS_ORACLE_PYTHON."""
import hashlib
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

from gat_oracle import INIT, TEST, line, projected, same, stream, symmetric

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, ROWS, LAYERS = 42, 24, 9


class Net:
    """Layers of a flat vector: weight (in, out), bias, and of a norm its weight and bias."""

    def __init__(self, dims, hidden, norm, number, first):
        self.layers, self.hidden, tensor = [], hidden, 2 * LAYERS * number
        self.init, at = [], first
        for k in range(len(dims) - 1):
            n, m = dims[k], dims[k + 1]
            bound = np.float32(1) / np.sqrt(np.float32(n))
            parts = [bound * symmetric(stream(n * m, SEED, INIT, tensor)), bound * symmetric(stream(m, SEED, INIT, tensor + 1))]
            tensor += 2
            if norm and k < hidden:
                parts += [np.ones(m, np.float32), np.zeros(m, np.float32)]
            self.layers.append((n, m, [(at + sum(map(len, parts[:i])), at + sum(map(len, parts[:i + 1]))) for i in range(len(parts))]))
            self.init += parts
            at += sum(map(len, parts))
        self.end = at

    def __call__(self, w, x):
        for k, (n, m, at) in enumerate(self.layers):
            part = [w[a:b] for a, b in at]
            x = x @ part[0].reshape(n, m) + part[1]
            if len(part) > 2:
                x = F.layer_norm(x, (m,), part[2], part[3], 1e-5)
            if k < self.hidden:
                x = torch.relu(x)
        return x


def nets(dims, hidden, norm):
    out, first = [], 0
    for number, d in enumerate(dims):
        out.append(Net(d, hidden[number], norm, number, first))
        first = out[-1].end
    w = np.concatenate([v for n in out for v in n.init]).astype(np.float32)
    w += np.float32(0.1) * symmetric(stream(len(w), SEED, TEST, 1))
    return out, torch.tensor(w.astype(np.float64), requires_grad=True)


def inputs(state):
    x = np.float32(2) * symmetric(stream(ROWS * state, SEED, TEST, 2)).reshape(ROWS, state)
    word = stream(ROWS, SEED, TEST, 3)
    below = lambda n: ((word * np.uint64(n)) >> np.uint64(32)).astype(np.int64)
    return torch.tensor(x.astype(np.float64)), below(21), below(2), 3 * symmetric(stream(ROWS, SEED, TEST, 4))


def report(name, loss, y, all_nets, w):
    loss.backward()
    out = [line("case", name, len(w), float(loss)), line("output", *projected(y.detach().numpy().reshape(-1), 0, 8))]
    g, number = w.grad.numpy(), 0
    for net in all_nets:
        for _, _, at in net.layers:
            for a, b in at:
                out.append(line("gradient", a, b - a, float(np.abs(g[a:b]).max()), float(np.linalg.norm(g[a:b])), *projected(g[a:b], number, 16)))
                number += 1
    return out


def write_nets():
    out = []
    for name, state, hidden, layers, norm in (("q_norm", 15, 64, 2, True), ("q_plain", 18, 128, 3, False)):
        dims = [state] + [hidden] * layers + [21]
        net, w = nets([dims], [layers], norm)
        x, action, _, wanted = inputs(state)
        q = net[0](w, x)
        loss = F.smooth_l1_loss(q[torch.arange(ROWS), torch.tensor(action)], torch.tensor(wanted.astype(np.float64)))
        out += report(name, loss, q, net, w)
    for name, state in (("mlp_few", 15), ("mlp_many", 18)):
        net, w = nets([[state, 64, 32, 1]], [2], False)
        x, _, label, _ = inputs(state)
        z = net[0](w, x)
        out += report(name, F.binary_cross_entropy_with_logits(z[:, 0], torch.tensor(label.astype(np.float64))), z, net, w)
    mlp = [18, 64, 32, 1]
    net, w = nets([mlp, mlp, mlp, [18, 32, 3]], [2, 2, 2, 1], False)
    x, _, label, _ = inputs(18)
    p = torch.sigmoid(torch.cat([n(w, x) for n in net[:3]], 1))
    g = torch.softmax(net[3](w, x), 1)
    mix = (p * g).sum(1)
    loss = F.binary_cross_entropy(mix.clamp(1e-7, 1 - 1e-7), torch.tensor(label.astype(np.float64))) + 0.01 * 3 * (g.mean(0) ** 2).sum()
    return out + report("moe", loss, mix, net, w)


def write_ridge():
    """One arm: 40 samples of 12 features; theta = (I + sum z z^T)^-1 sum r z and the diagonal of the inverse."""
    n, h = 40, 12
    z = symmetric(stream(n * h, SEED, TEST, 5)).reshape(n, h).astype(np.float64)
    r = (3 * symmetric(stream(n, SEED, TEST, 6))).astype(np.float64)
    a = np.eye(h) + z.T @ z
    return [line("theta", *map(float, np.linalg.solve(a, z.T @ r))), line("diagonal", *map(float, np.diag(np.linalg.inv(a))))]


VGAE = "recon recon_masked recon_max id neighbour kl affinity rayleigh z_mean z_std z_max z_min node_mean node_std".split()
GAT = "logit0 logit1 emb_mean emb_std emb_max emb_min".split()
LATENT, WINDOWS = 5, 12


def write_states():
    cols = len(VGAE) + 2 * LATENT
    v = np.abs(2 * symmetric(stream(WINDOWS * cols, SEED, TEST, 7))).reshape(WINDOWS, cols)
    v[:, len(VGAE) + LATENT:] += np.float32(4)  # squares beyond those of the means
    v = v.astype(np.float64)
    g = (3 * symmetric(stream(WINDOWS * len(GAT), SEED, TEST, 8))).astype(np.float64).reshape(WINDOWS, len(GAT))
    vgae, gat = dict(zip(VGAE, v.T)), dict(zip(GAT, g.T))
    mu, mu2 = v[:, len(VGAE):len(VGAE) + LATENT], v[:, len(VGAE) + LATENT:]
    p = np.exp(g[:, :2]) / np.exp(g[:, :2]).sum(1, keepdims=True)
    c = np.clip(1 + (p * np.log(p + 1e-8)).sum(1) / math.log(2), 0, 1)
    benign, nodes = np.arange(WINDOWS) % 3 != 1, 1 + np.arange(WINDOWS)
    weight = (nodes * benign)[:, None] / (nodes * benign).sum()
    m = (weight * mu).sum(0)
    s = np.sqrt((weight * mu2).sum(0) - m ** 2)
    far = ((mu2 - 2 * m * mu + m ** 2) / np.maximum(s, 1e-3) ** 2).sum(1)
    emb = [gat[k] for k in ("emb_mean", "emb_std", "emb_max", "emb_min")]
    old = np.stack([vgae["recon"], vgae["neighbour"], vgae["id"], vgae["z_mean"], vgae["z_std"], vgae["z_max"], vgae["z_min"],
                    1 / (1 + vgae["recon"]), p[:, 0], p[:, 1], *emb, c], 1)
    new = np.stack([c, *emb, p[:, 0], p[:, 1], vgae["affinity"], 1 / (1 + vgae["recon_masked"]), vgae["recon_masked"], far, vgae["kl"],
                    vgae["rayleigh"], vgae["recon_max"], vgae["node_mean"], vgae["node_std"], vgae["z_max"], vgae["z_min"]], 1)
    out = []
    for state in (old, new):
        w = state[:, [0, 1, 2]] @ [.4, .35, .25] if state is old else state[:, [9, 10, 11]] @ [.4, .3, .3]
        scaled = np.clip((state - state.mean(0)) / state.std(0), -10, 10)
        sure = np.sort(w[benign])
        share = np.interp(w, np.quantile(sure, np.arange(257) / 256), np.arange(257) / 256)
        for i in range(WINDOWS):
            out += [line("state", *map(float, state[i])), line("scaled", *map(float, scaled[i])),
                    line("anomaly", float(w[i] / (1 + w[i])), float(share[i]))]
    return out


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    lines = [f"# torch {torch.__version__}, numpy {np.__version__}, float64, fusion_oracle.py sha256 {digest}"]
    lines += write_nets() + write_ridge() + write_states()
    path = os.path.join(HERE, "fusion.txt")
    if "--check" not in sys.argv[1:]:
        open(path, "w").write("\n".join(lines) + "\n")
        return False
    old = open(path).read().splitlines()
    good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
    print(("ok - " if good else "not ok - ") + "oracle__fusion_is_what_torch_and_numpy_compute")
    return not good


if __name__ == "__main__":
    sys.exit(main())
