#!/usr/bin/env python3
"""What PyTorch computes, in float64, for the losses of src/loss/, the optimisers and schedules of src/optim/, and what the
formulas of curricula give.

    loss_oracle.py            writes loss.txt, adamw.txt, schedule.txt and curriculum.txt beside this file
    loss_oracle.py --check    computes them again and compares with what is committed

Inputs come from Philox: element i of array k is symmetric(word i % 4 of counter (k, i / 4, 0, 0), key (1, 100)) times a
factor, as tests/loss/oracle.c repeats it; so the file holds results alone.  Needs torch; `make oracle` starts the interpreter
named by CANIDS_ORACLE_PYTHON."""
import hashlib
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

from gat_oracle import HERE, TEST, line, philox, same, stream, symmetric

LIMIT = 10.0


def array(k, *shape, factor=1.0, grad=True):
    v = symmetric(stream(int(np.prod(shape)), 1, TEST, k)) * np.float32(factor)
    return torch.from_numpy(v.astype(np.float64)).reshape(shape).requires_grad_(grad)


def below(k, n, limit):
    """n integers in 0..limit-1: word times limit, upper 32 bits."""
    return (stream(n, 1, TEST, k).astype(np.uint64) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)


def result(name, loss, **tensors):
    return [line(name, float(loss))] + [line(f"{name}.{k}", *map(float, v.detach().reshape(-1))) for k, v in tensors.items()]


def classes():
    z, t = array(1, 9, 2, factor=3), torch.from_numpy(below(2, 9, 2))
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0], dtype=torch.float64))(z, t)
    loss.backward()
    out = result("weighted_ce", loss, dlogit=z.grad)
    z, u = array(1, 9, 2, factor=3), torch.from_numpy(below(3, 9, 2)).double()
    loss = (u * F.cross_entropy(z, t, reduction="none")).sum() / max(float(u.sum()), 1.0)
    loss.backward()
    return out + result("curriculum_ce", loss, dlogit=z.grad)


def distill():
    out = []
    for name, temperature, factor in (("distill", 4.0, 6), ("distill_cold", 1.0, 40)):
        s, t = array(4, 9, 2, factor=factor), array(5, 9, 2, factor=factor, grad=False)
        kl = F.kl_div(torch.log_softmax(s / temperature, 1), torch.log_softmax(t / temperature, 1), log_target=True, reduction="batchmean")
        loss = 0.7 * temperature ** 2 * kl
        loss.backward()
        out += result(name, loss, ds=s.grad)
    return out


def square():
    y, t = array(6, 6, 5), array(7, 6, 8, grad=False)
    loss = 0.3 * F.mse_loss(y, t[:, 3:])
    loss.backward()
    return result("square", loss, dy=y.grad, row=((y - t[:, 3:]) ** 2).mean(1))


def latent():
    mu, lv, eps = array(8, 5, 19), array(9, 5, 19, factor=14), array(10, 5, 19, grad=False)
    clamped = lv.clamp(-LIMIT, LIMIT)
    loss = 0.01 * -0.5 * (1 + clamped - mu ** 2 - clamped.exp()).mean()
    loss.backward()
    out = result("kl", loss, dmu=mu.grad, dlogvar=lv.grad)
    mu, lv = array(8, 5, 19), array(9, 5, 19, factor=14)
    z = mu + eps * torch.exp(0.5 * lv.clamp(-LIMIT, LIMIT))
    (z * array(11, 5, 19, grad=False)).sum().backward()
    return out + result("sample", 0, z=z, dmu=mu.grad, dlogvar=lv.grad)


def softmax_head():
    out = []
    for name, rows, K, Q in (("softmax", 70, 13, 45), ("softmax_few", 5, 3, 2)):
        h, w, b = array(12, rows, K), array(13, K, Q, factor=2), array(14, Q)
        target, masked = torch.from_numpy(below(15, rows, Q)), torch.from_numpy(below(16, rows, 3) == 0)
        ce = F.cross_entropy(h @ w + b, target, reduction="none")
        loss = 0.1 * ce[masked].mean()
        loss.backward()
        out += result(name, loss, dh=h.grad, dw=w.grad, db=b.grad, row=torch.where(masked, ce, torch.zeros_like(ce)))
    return out


def multi_hot_head():
    out = []
    for name, rows, K, Q, share in (("multi_hot", 40, 13, 45, 9), ("multi_hot_wide", 2, 3, 1100, 50)):
        h, w, b = array(17, rows, K), array(18, K, Q, factor=4), array(19, Q)
        y = torch.from_numpy(below(20, rows * Q, share) == 0).double().reshape(rows, Q)
        bce = F.binary_cross_entropy_with_logits(h @ w + b, y, reduction="none")
        loss = 0.05 * bce.mean()
        loss.backward()
        tensors = dict(dh=h.grad, row=bce.mean(1))
        if Q < 100:
            tensors.update(dw=w.grad, db=b.grad)
        out += result(name, loss, **tensors)
    return out


def edges():
    """60 edges of 23 nodes, within rows 0..7, 8..14, 15..22: three shards; node 22 points to nobody."""
    first, shard = np.array([0, 8, 15, 23]), below(21, 60, 3)
    size = (first[1:] - first[:-1])[shard]
    src = np.minimum(first[shard] + below(22, 60, 8) % size, 21)
    dst = first[shard] + below(23, 60, 8) % size
    return torch.from_numpy(src), torch.from_numpy(dst)


def neighbour_mean(z, src, dst):
    count = torch.zeros(len(z), dtype=torch.float64).index_add(0, src, torch.ones(len(src), dtype=torch.float64))
    return torch.zeros_like(z).index_add(0, src, z[dst]) / count.clamp(min=1)[:, None]


def gaussian(p, t):
    def moments(x):
        c = x - x.mean(0)
        return x.mean(0), c.T @ c / (len(x) - 1) + torch.eye(x.shape[1], dtype=torch.float64)
    (m_p, s_p), (m_t, s_t) = moments(p), moments(t)
    inverse, d = torch.linalg.inv(s_t), m_p - m_t
    return 0.5 * (torch.logdet(s_t) - torch.logdet(s_p) - len(d) + torch.trace(inverse @ s_p) + d @ inverse @ d)


def neighbours():
    src, dst = edges()
    out = []
    for name, d in (("gaussian", 6), ("gaussian_wide", 11)):
        p, z = array(24, 23, d, factor=2), array(25, 23, d, factor=2)
        m = neighbour_mean(z, src, dst)
        loss = 0.1 * gaussian(p, m)
        loss.backward()
        out += result(name, loss, dp=p.grad, dz=z.grad, m=m)
    p, t = array(24, 2, 3), array(25, 2, 3)
    loss = 0.1 * gaussian(p, t)
    loss.backward()
    out += result("gaussian_two", loss, dp=p.grad, dt=t.grad)
    z = array(25, 23, 6, factor=2, grad=False)
    like = F.cosine_similarity(z[src], z[dst], dim=1, eps=1e-8)
    count = torch.zeros(23, dtype=torch.float64).index_add(0, src, torch.ones(60, dtype=torch.float64))
    affinity = (1 - torch.zeros(23, dtype=torch.float64).index_add(0, src, like) / count.clamp(min=1)).mean()
    x = z[:, :5]
    rayleigh = ((x[src] - x[dst]) ** 2).sum() / ((x ** 2).sum() + 1e-8)
    return out + result("affinity", affinity) + result("rayleigh", rayleigh)


def cka():
    x, y = array(26, 30, 5, grad=False), array(27, 30, 8, grad=False)
    y = y + 2 * x @ array(28, 5, 8, grad=False)
    a, b = x - x.mean(0), y - y.mean(0)
    norm = torch.linalg.matrix_norm
    return [line("cka", float(norm(b.T @ a) ** 2 / (norm(a.T @ a) * norm(b.T @ b))))] + result("cka_y", 0, y=y)


def write_loss():
    return classes() + distill() + square() + latent() + softmax_head() + multi_hot_head() + neighbours() + cka()


def write_adamw():
    """As adam.txt: w, then per step g, norm and w after it; weight decay 0.3, so that it shows."""
    w = torch.nn.Parameter(array(29, 10).detach())
    adam = torch.optim.AdamW([w], lr=1e-2, weight_decay=0.3, betas=(0.9, 0.999), eps=1e-8)
    out = [line("w", *map(float, w.detach()))]
    for step in range(6):
        g = symmetric(stream(10, 2, TEST, step)) * np.float32(10.0 ** (step - 3))
        w.grad = torch.from_numpy(g.astype(np.float64))
        norm = torch.nn.utils.clip_grad_norm_([w], 1.0)
        adam.step()
        out += [line("g", *map(float, g)), line("norm", float(norm)), line("w", *map(float, w.detach()))]
    return out


def write_schedule():
    """Rates of epochs 0, 1, ...; of plateaus, the monitored value of the epoch and the rate after it."""
    out = []
    new = lambda: torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
    at = torch.optim.lr_scheduler

    def rates(name, optimizer, schedule, epochs):
        lr = []
        for _ in range(epochs):
            lr.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        out.append(line(name, *lr))

    o = new()
    rates("cosine", o, at.CosineAnnealingLR(o, 10, eta_min=1e-4), 11)
    o = new()
    rates("step", o, at.StepLR(o, 3, gamma=0.3), 11)
    o = new()
    rise = at.LinearLR(o, start_factor=0.25, total_iters=3)  # (epoch + 1) / 4
    rates("warm", o, at.SequentialLR(o, [rise, at.CosineAnnealingLR(o, 7)], [4]), 11)
    for mode in ("min", "max"):
        o = new()
        schedule = at.ReduceLROnPlateau(o, mode=mode, factor=0.5, patience=2, threshold=0.01, min_lr=3e-4)
        for value in (1.0 + symmetric(stream(40, 1, TEST, 30)).astype(np.float64) * np.linspace(1, 0.2, 40)):
            schedule.step(float(value))
            out.append(line("plateau_" + mode, float(value), o.param_groups[0]["lr"]))
    return out


def score(k, n):
    """n scores with many ties."""
    return [float(v) for v in np.floor(symmetric(stream(n, 1, TEST, k)) * 16) / 16]


def hard(s, n_attack, epoch, epochs):
    p = min(epoch / epochs, 1)
    threshold = sorted(s)[int(len(s) * (75 + 20 * p) / 100)]
    chosen = [i for i, v in enumerate(s) if v >= threshold]
    return chosen[:min(int(n_attack * (1 + 9 * p)), len(chosen))]


def easy(s, label, epoch, epochs):
    f = (1 + 9 * min(epoch / (epochs - 1), 1)) / 10
    benign = [i for i in range(len(s)) if not label[i]]
    visible = set(sorted(benign, key=lambda i: (s[i], i))[:max(math.ceil(f * len(benign)), 1)])
    return [1 if label[i] or i in visible else 0 for i in range(len(s))]


def momentum(seed, label, s, t, tau):
    n, CURRICULUM = len(s), 20
    k = int((1 - math.exp(-t / tau)) * n + 0.5)
    order = list(range(n))  # Fisher-Yates as ci_permutation has it
    for i in range(n - 1, 0, -1):
        j = int(philox(seed, CURRICULUM, t, i, 0, 0)[0]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    of = [[i for i in range(n) if label[i] == c] for c in (0, 1)]
    balanced = []
    for j in range(n - k):
        c = of[j % 2] or of[1 - j % 2]
        balanced.append(c[int(philox(seed, CURRICULUM, t, j, 1, 0)[0]) * len(c) >> 32])
    return order[:k] + balanced + sorted(range(n), key=lambda i: (-s[i], i))[:n // 5]


def write_curriculum():
    """The formulas of the reference, and our momentum sample, in plain Python.  hard: epoch, places.  easy: epoch, weights.
    momentum: t, places."""
    label = [int(v) for v in below(51, 40, 4) == 0]
    out = [line("hard", e, *hard(score(50, 40), 3, e, 6)) for e in range(8)]
    out += [line("easy", e, *easy(score(50, 40), label, e, 6)) for e in range(8)]
    out += [line("momentum", t, *momentum(9, label, score(50, 40), t, 3.0)) for t in range(0, 20, 3)]
    return out + [line("momentum_one_class", 0, *momentum(9, [1] * 40, score(50, 40), 0, 3.0))]


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    head = f"# torch {torch.__version__}, float64, loss_oracle.py sha256 {digest}"
    failed = 0
    for name, make in (("loss.txt", write_loss), ("adamw.txt", write_adamw), ("schedule.txt", write_schedule), ("curriculum.txt", write_curriculum)):
        lines, path = [head] + make(), os.path.join(HERE, name)
        if "--check" not in sys.argv[1:]:
            open(path, "w").write("\n".join(lines) + "\n")
            continue
        old = open(path).read().splitlines()
        good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
        print(("ok - " if good else "not ok - ") + f"oracle__{name[:-4]}_is_what_{'python' if name[0] == 'c' else 'torch'}_computes")
        failed += not good
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
