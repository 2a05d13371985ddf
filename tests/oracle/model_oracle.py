#!/usr/bin/env python3
"""What PyTorch Geometric computes, in float64, for every model of src/model/: presets and options.

    model_oracle.py            writes model.txt beside this file
    model_oracle.py --check    computes it again and compares with what is committed

The models are in model_twins.py.  Weights are the initial ones plus a tenth of symmetric noise, so that no tensor is special; a graph
norm's scales of the mean are a quarter less, for near 1 a graph of one node is a difference of equal numbers there.  Graphs, noise, masks
and what a teacher says come from Philox by formulas that tests/model/case.c and zoo.c repeat.  For each tensor: its largest value, its
norm and projections on vectors with elements in [-1,1), fewer of them where it is large; for a gradient, before these, what PyTorch
Geometric in float32 is off by."""
import hashlib
import os
import sys
import types

import numpy as np
import torch
import torch_geometric

import gat_oracle
from gat_oracle import HERE, INIT, N_E, N_ID, PROJECT, SEED, line, normal, same, stream, symmetric, unit, words
from model_twins import (ATTENTION, BATCH, EXACT, FIELDS, GAT, GATV1, GATV2, GAUSSIAN, GPS, GRAPH, LAST, LAYER, LSTM, MASKS, MAX,
                         POOL_ATTENTION, POOL_MAX, POOL_MEANMAX, POOL_SUM, TRANSFORMER, WINDOW_BOTH, WINDOW_LINEAR, WINDOW_POOL, VGAE, GROUPS, Gat, Vgae, gaussian, hidden_groups, hidden_nodes, near_ids, near_mean)

NOISE, N_WINDOW = 102, 9
STEP_SEED, STEP_EPOCH = 7, 3
ZOO = [(0, 17, 99, "any"), (3, 1, 0, "any"), (4, 30, 99, "star"), (5, 5, 9, "loops"), (6, 12, 40, "isolated"), (8, 26, 99, "any")]
FEW = ZOO[:2]

KD35 = dict(n_feature=35, x_first=0, edge_features=1, conv=GATV2)
KD11 = dict(n_feature=11, x_first=1, edge_features=0, conv=GATV1)
CE, FOCAL, WEIGHTED = range(3)


def gat(heads, channels, layers, **more):
    return dict(kind=GAT, heads=heads, channels=channels, layers=layers, n_class=2, logvar_limit=10, **more)


def vgae(hidden, heads, latent, **more):
    d = dict(kind=VGAE, heads=heads, latent=latent, n_hidden=len(hidden), inner_heads=1, decoder_heads=4, logvar_limit=10, **more)
    return {**d, **{f"hidden[{k}]": v for k, v in enumerate(hidden)}}


def small_gat(**more):
    return {**gat(2, 8, 2, id_dim=8, head_layers=2, head_dim=16), **KD35, **more}


def small_vgae(**more):
    return {**vgae([24, 16], 2, 8, id_dim=8, norm=GRAPH), **KD35, "neighbour": GAUSSIAN, "edge_head": 1, **more}


G4 = dict(id_dim=32, norm=GRAPH, neighbour=GAUSSIAN, edge_head=1, masked=1, **KD35)
PAPER = dict(id_dim=8, norm=GRAPH, neighbour=GAUSSIAN, edge_head=1, masked=1, **KD35)
G2 = dict(norm=BATCH, neighbour=EXACT, sigmoid=1, **KD11)
FOCAL_2 = dict(loss=FOCAL, gamma=2.0)
WEIGHTS_4 = dict(weight=[1, 0.1, 0.1, 0.01, 0.1, 0], mask=0.15)
WEIGHTS_2 = dict(weight=[1, 0.1, 0.05, 0.01, 0, 0])
BLIND = dict(id_dim=0, n_id=0)
WINDOW = dict(n_window_feature=9)
JUDGED = dict(weight=[1, 0, 0, 0, 0, 0, 0.5])
TAUGHT = dict(weight=[0.3, 0.03, 0.03, 0.003, 0.03, 0.7], latent=0.5, recon=0.5)

# name: shapes, step, parameters by DESIGN.md "Shapes" and reference-system.md 5.2, 5.3 (n = rows of the id head; None: no formula there)
n = N_ID + 1
MODELS = {
    "gat_small_default": ({**gat(4, 24, 2, id_dim=16, head_layers=3, head_dim=192), **KD35}, FOCAL_2, 105602 + 16 * n),
    "gat_large_default": ({**gat(4, 64, 3, id_dim=16, head_layers=2, head_dim=256), **KD35}, FOCAL_2, None),
    "gat_small_paper": ({**gat(4, 24, 2, id_dim=8, project=32, jk=LSTM, head_layers=2), **KD35}, {**FOCAL_2, "train": 1e-3}, 187555 + 8 * n),
    "gat_large_paper": ({**gat(4, 64, 3, id_dim=8, project=48, jk=LSTM, head_layers=4), **KD35}, FOCAL_2, 2471235 + 8 * n),
    "gat_small_g4": ({**gat(4, 24, 2, id_dim=16, jk=LSTM, head_layers=3), **KD35}, FOCAL_2, 199107 + 16 * n),
    "gat_large_g4": ({**gat(8, 64, 3, id_dim=16, jk=LSTM, head_layers=3), **KD35}, FOCAL_2, 9528323 + 16 * n),
    "gat_small_g2": ({**gat(4, 24, 2, id_dim=8, head_layers=2), **KD11}, {}, 48962 + 8 * n),
    "gat_large_g2": ({**gat(8, 48, 3, id_dim=16, head_layers=1), **KD11}, {}, 310658 + 16 * n),
    "vgae_small_paper": ({**vgae([80, 40], 1, 16), **PAPER, "decoder_heads": 1}, WEIGHTS_4, 23616 + 25 * n),
    "vgae_large_paper": ({**vgae([480, 240], 4, 64), **PAPER, "inner_heads": 4}, WEIGHTS_4, 389312 + 73 * n),
    "vgae_small_g4": ({**vgae([64], 4, 64), **G4}, {**WEIGHTS_4, "train": 3e-3}, 44536 + 97 * n),
    "vgae_large_g4": ({**vgae([128], 4, 128), **G4}, WEIGHTS_4, 145848 + 161 * n),
    "vgae_small_g2": ({**vgae([80, 40], 1, 16, id_dim=4), **G2, "logvar_limit": 20}, {**WEIGHTS_2, "train": 2e-3}, 9186 + 38 * (n - 30)),
    "vgae_large_g2": ({**vgae([480, 240], 4, 48, id_dim=32), **G2, "logvar_limit": 20}, WEIGHTS_2, 185850 + 130 * (n - 30)),
    "gat_gatv1": (small_gat(conv=GATV1), FOCAL_2, None),
    "gat_gatv1_blind": (small_gat(conv=GATV1, edge_features=0), FOCAL_2, None),
    "gat_gatv2_blind": (small_gat(edge_features=0), FOCAL_2, None),
    "gat_transformer": (small_gat(conv=TRANSFORMER), FOCAL_2, None),
    "gat_transformer_blind": (small_gat(conv=TRANSFORMER, edge_features=0), FOCAL_2, None),
    "gat_gps": (small_gat(conv=GPS), FOCAL_2, None),
    "gat_gps_blind": (small_gat(conv=GPS, edge_features=0, project=16, norm=LAYER), FOCAL_2, None),
    "gat_graph_norm": (small_gat(norm=GRAPH), FOCAL_2, None),
    "gat_batch_norm": (small_gat(norm=BATCH), FOCAL_2, None),
    "gat_layer_norm": (small_gat(norm=LAYER), FOCAL_2, None),
    "gat_lstm": (small_gat(jk=LSTM, layers=3), FOCAL_2, None),
    "gat_jk_attention": (small_gat(jk=ATTENTION, layers=3), FOCAL_2, None),
    "gat_jk_max": (small_gat(jk=MAX), FOCAL_2, None),
    "gat_jk_last": (small_gat(jk=LAST), FOCAL_2, None),
    "gat_pool_max": (small_gat(pool=POOL_MAX), FOCAL_2, None),
    "gat_pool_sum": (small_gat(pool=POOL_SUM), FOCAL_2, None),
    "gat_pool_attention": (small_gat(pool=POOL_ATTENTION), FOCAL_2, None),
    "gat_pool_attention_last": (small_gat(pool=POOL_ATTENTION, jk=LAST), FOCAL_2, None),
    "gat_hash": (small_gat(id_buckets=13, id_probes=3), FOCAL_2, None),
    "gat_project": (small_gat(project=12), FOCAL_2, None),
    "gat_one_layer": (small_gat(layers=1, head_layers=1, pool=POOL_ATTENTION, slope=0.1), FOCAL_2, None),
    "gat_weighted": (small_gat(), dict(loss=WEIGHTED, class_weight=[1.0, 5.0]), None),
    "gat_curriculum": (small_gat(), {**FOCAL_2, "curriculum": 1}, None),
    "gat_teacher": (small_gat(teacher=1), {**FOCAL_2, "weight": [0.3, 0, 0, 0, 0, 0.7], "temperature": 4.0}, None),
    "gat_no_id": (small_gat(**BLIND), FOCAL_2, None),
    "gat_no_id_project": (small_gat(**BLIND, project=12), FOCAL_2, None),
    "gat_pool_meanmax": (small_gat(pool=POOL_MEANMAX), FOCAL_2, None),
    "gat_window_pool": (small_gat(**WINDOW, window=WINDOW_POOL), FOCAL_2, None),
    "gat_window_linear": (small_gat(**WINDOW, window=WINDOW_LINEAR, pool=POOL_ATTENTION), FOCAL_2, None),
    "gat_window_none": (small_gat(**WINDOW, head_layers=1), FOCAL_2, None),
    "gat_message": (small_gat(message=1), {**FOCAL_2, **JUDGED}, None),
    "gat_message_weighted": (small_gat(message=1, conv=TRANSFORMER, norm=BATCH, layers=1),
                             {**JUDGED, "loss": WEIGHTED, "class_weight": [1.0, 5.0]}, None),
    "gat_groups": (small_gat(group_drop=1), {**FOCAL_2, "group_drop": 0.4}, None),
    "gat_agnostic": (small_gat(**BLIND, **WINDOW, window=WINDOW_BOTH, pool=POOL_MEANMAX, norm=LAYER, message=1, group_drop=1, teacher=1),
                     {**FOCAL_2, "weight": [0.3, 0, 0, 0, 0, 0.7, 0.2], "temperature": 4.0, "group_drop": 0.3}, None),
    "vgae_no_id": (small_vgae(**BLIND, neighbour=0, masked=1), WEIGHTS_4, None),
    "vgae_groups": (small_vgae(**BLIND, neighbour=0, group_drop=1, masked=1), {**WEIGHTS_4, "group_drop": 0.3}, None),
    "vgae_exact": (small_vgae(neighbour=EXACT, norm=BATCH), WEIGHTS_2, None),
    "vgae_gaussian": (small_vgae(edge_head=0), WEIGHTS_4, None),
    "vgae_alone": (small_vgae(neighbour=0, edge_head=0, norm=0), WEIGHTS_4, None),
    "vgae_sigmoid": (small_vgae(sigmoid=1, norm=LAYER), WEIGHTS_4, None),
    "vgae_masks": (small_vgae(masked=1), {**WEIGHTS_4, "mask": 0.4}, None),
    "vgae_masks_hash": (small_vgae(masked=1, id_buckets=13, id_probes=2, norm=BATCH), WEIGHTS_4, None),
    "vgae_gatv1": (small_vgae(conv=GATV1, project=12), WEIGHTS_4, None),
    "vgae_transformer": (small_vgae(conv=TRANSFORMER, inner_heads=2), WEIGHTS_4, None),
    "vgae_clamped": (small_vgae(logvar_limit=0.2), WEIGHTS_4, None),
    "vgae_teacher_same": (small_vgae(teacher=8), TAUGHT, None),
    "vgae_teacher_wider": (small_vgae(teacher=12, masked=1), {**TAUGHT, "mask": 0.15}, None),
}


def dims(d):
    full = {k: 0 for k in FIELDS}
    full.update(n_id=N_ID, n_edge_feature=N_E, heads=1, slope=0.2)
    full.update(d)
    for k in ("slope", "logvar_limit"):
        full[k] = float(np.float32(full[k]))
    return full


def pack(graphs, n_feature):
    (x, ident, edges, e, where, _), label = gat_oracle.batch(graphs)
    g = types.SimpleNamespace(x=x[:, :n_feature], ident=ident, edges=edges, e=e, batch=where, label=label,
                              number=[k[0] for k in graphs], size=[k[1] for k in graphs])
    g.first = np.concatenate([[0], np.cumsum(g.size)])
    g.w = torch.from_numpy(np.stack([2 * symmetric(words(k, 8, 1, N_WINDOW)[0][0]) for k in g.number]).astype(np.float64))
    g.frame_label = torch.from_numpy(np.concatenate([words(k[0], 9, k[2], 1)[0][:, 0] >> np.uint64(31) for k in graphs]).astype(np.int64))
    return g


def hide(g, d, s, epoch):
    """The graphs as training sees them: columns of hidden groups are 0.  Group of column k: (k + 0, 1 or 2) modulo GROUPS, of nodes, edges
    and windows."""
    if not d["group_drop"]:
        return g
    hidden = hidden_groups(g, STEP_SEED, epoch, s["group_drop"])
    mask = lambda v, where, at: torch.where(torch.from_numpy(hidden[:, (np.arange(v.shape[1]) + at) % GROUPS][where]), torch.zeros_like(v), v)
    out = types.SimpleNamespace(**vars(g))
    where = g.batch.numpy()
    out.x, out.e, out.w = mask(g.x, where, 0), mask(g.e, where[g.edges[0].numpy()], 1), mask(g.w, np.arange(len(g.size)), 2)
    return out


def said(g, what, rows, cols):
    """What a teacher says: numbers of each graph."""
    v = [symmetric(words(number, what, rows or n, cols)[0]) for number, n in zip(g.number, g.size)]
    return torch.from_numpy(np.concatenate(v)).to(g.x.dtype)


def classify(z, g, s):
    """\return loss, what the sum of the graphs' losses is divided by"""
    c = torch.nn.functional.cross_entropy(z, g.label, reduction="none")
    if s.get("loss", CE) == FOCAL:
        c = torch.softmax(z, 1).gather(1, 1 - g.label[:, None])[:, 0] ** s["gamma"] * c
    if s.get("loss", CE) == WEIGHTED:
        w = torch.tensor(s["class_weight"]).to(z.dtype)
        return torch.nn.functional.cross_entropy(z, g.label, weight=w), float(w[g.label].sum())
    if s.get("curriculum"):
        w = torch.from_numpy(np.concatenate([unit(words(k, 7, 1, 1)[0])[0] for k in g.number])).to(z.dtype)
        return (w * c).sum() / w.sum(), float(w.sum())
    return c.mean(), float(len(c))


def frame_loss(z, g, s):
    """Of each frame's edge, as that of the graphs; always divided by their number."""
    loss, weight = classify(z, types.SimpleNamespace(label=g.frame_label), {**s, "curriculum": 0})
    return loss * weight / len(z)


def gat_losses(m, g, s, out, epoch):
    seen = hide(g, m.d, s, epoch)
    z, _ = m(seen)
    weight, terms = s["weight"], torch.zeros(7, dtype=z.dtype)
    if m.d["message"]:
        out["message"] = m.frames(seen)
        terms[6] = weight[6] * frame_loss(out["message"], g, s)
    loss, out["graph_weight"] = classify(z, g, s)
    terms[0] = weight[0] * loss
    if m.d["teacher"]:
        t, T = 3 * said(g, 4, 1, 2), s["temperature"]
        log_q, p = torch.log_softmax(z / T, 1), torch.softmax(t / T, 1)
        terms[5] = weight[5] * T * T * torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    out["logit"] = z
    return terms


def vgae_losses(m, g, s, out, epoch):
    mse, weight, d = torch.nn.functional.mse_loss, s["weight"], m.d
    hidden = hidden_nodes(g, STEP_SEED, epoch, s["mask"]) if d["masked"] else torch.zeros(len(g.x), dtype=torch.bool)
    mu, logvar, z, recon = m(hide(g, d, s, epoch), STEP_SEED, epoch, hidden if d["masked"] else None)
    counted = hidden if hidden.any() else ~hidden
    terms = torch.zeros(7, dtype=mu.dtype)
    terms[0] = weight[0] * mse(recon, g.x[:, d["x_first"]:])
    if m.id is not None:
        terms[1] = weight[1] * torch.nn.functional.cross_entropy(m.id(z)[counted], g.ident[counted])
    if d["neighbour"] == GAUSSIAN:
        terms[2] = weight[2] * gaussian(m.predicted(z), near_mean(z, g))
    if d["neighbour"] == EXACT:
        terms[2] = weight[2] * torch.nn.functional.binary_cross_entropy_with_logits(m.predicted(z), near_ids(g, N_ID + 1))
    terms[3] = weight[3] * -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).mean()
    if d["edge_head"]:
        terms[4] = weight[4] * mse(m.edges(z, g), g.e)
    if d["teacher"]:
        mine = z if m.distill is None else m.distill(z)
        terms[5] = weight[5] * (s["latent"] * mse(mine, said(g, 5, 0, d["teacher"])) + s["recon"] * mse(recon, said(g, 6, 0, m.F)))
    out.update(mu=mu, recon=recon, n_masked=int(hidden.sum()))
    return terms


def losses(m, g, s, out, epoch=STEP_EPOCH):
    return gat_losses(m, g, s, out, epoch) if m.d["kind"] == GAT else vgae_losses(m, g, s, out, epoch)


def stats(x):
    x = x.reshape(-1)
    return [float(x.mean()), float(x.std()) if len(x) > 1 else 0.0, float(x.max()), float(x.min())]


def affinity(z, g, lo, hi):
    near = torch.zeros(len(z), dtype=torch.float64)
    src, dst = g.edges
    unitary = z / z.norm(dim=1, keepdim=True)
    count = torch.zeros(len(z), dtype=torch.float64).index_add(0, src, torch.ones(len(src), dtype=torch.float64))
    near = near.index_add(0, src, (unitary[src] * unitary[dst]).sum(1)) / count.clamp(min=1)
    return float((1 - near)[lo:hi].mean())


def vgae_scores(m, g):
    d, rows = m.d, []
    target = g.x[:, d["x_first"]:]
    error = lambda recon: ((recon - target) ** 2).mean(1)
    mu, logvar, _, recon = m(g)
    seen, unseen = error(recon), torch.zeros(len(g.x), dtype=torch.float64)
    local = torch.from_numpy(np.concatenate([np.arange(k) for k in g.size]))
    for k in range(MASKS):
        hidden = local % MASKS == k
        unseen = torch.where(hidden, error(m(g, hidden=hidden)[3]) if d["masked"] else seen, unseen)
    near = ident = torch.zeros(len(g.x), dtype=torch.float64)
    if m.id is not None:
        ident = torch.nn.functional.cross_entropy(m.id(mu), g.ident, reduction="none")
    if d["neighbour"] == GAUSSIAN:
        near = ((m.predicted(mu) - near_mean(mu, g)) ** 2).mean(1)
    if d["neighbour"] == EXACT:
        near = torch.nn.functional.binary_cross_entropy_with_logits(m.predicted(mu), near_ids(g, N_ID + 1), reduction="none").mean(1)
    kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).mean(1)
    for k in range(len(g.size)):
        lo, hi = g.first[k], g.first[k + 1]
        z, x = mu[lo:hi], target[lo:hi]
        src, dst = g.edges[:, (g.edges[0] >= lo) & (g.edges[0] < hi)]
        quotient = ((target[src] - target[dst]) ** 2).sum() / ((x ** 2).sum() + 1e-8)
        mean = lambda v: float(v[lo:hi].mean())
        rows.append([mean(seen), mean(unseen), float(unseen[lo:hi].max()), mean(ident), mean(near), mean(kl), affinity(mu, g, lo, hi),
                     float(quotient), *stats(z), float(z.mean(1).mean()), float(z.std(1).mean()), *z.mean(0).tolist(),
                     *(z ** 2).mean(0).tolist()])
    return rows


def scores(m, g):
    m.eval()
    with torch.no_grad():
        if m.d["kind"] == VGAE:
            rows = vgae_scores(m, g)
        else:
            z, pooled = m(g)
            rows = [[*map(float, z[k]), *stats(pooled[k])] for k in range(len(g.size))]
    m.train()
    return rows


def initialise(m):
    """Initial weights, as their own lines say; then the noise.  All in float32, as ours are."""
    out = []
    for k, e in enumerate(m.table()):
        size = len(e.ours())
        if e.init == "normal":
            v = normal(size, SEED, k)
        elif isinstance(e.init, str):
            v = np.full(size, {"zero": 0, "one": 1}[e.init], np.float32)
        else:
            v = np.float32(e.init) * symmetric(stream(size, SEED, INIT, k))
        out.append(tensor("init", e.name, v, k))
        v = v + np.float32(0.1) * symmetric(stream(size, SEED, NOISE, k))
        e.put(v - np.float32(0.25) if e.name.endswith("mean_scale") else v)
    return out


def tensor(what, name, v, number, *more):
    v = np.asarray(v, np.float64).reshape(-1)
    count = 2 if len(v) > 65536 or what == "init" else 6
    return line(what, name, *more, float(np.abs(v).max()), float(np.linalg.norm(v)),
                *[float(np.dot(v, symmetric(stream(len(v), k, PROJECT, number)).astype(np.float64))) for k in range(count)])


def step_line(s, out):
    return line("step", s.get("loss", CE), float(s.get("gamma", 0)), *map(float, s.get("class_weight", [1, 1])), *map(float, s["weight"]),
                float(s.get("temperature", 1)), float(s.get("latent", 0)), float(s.get("recon", 0)), float(np.float32(s["mask"])),
                s.get("curriculum", 0), float(out.get("graph_weight", 1)), out.get("n_masked", 0), float(np.float32(s.get("group_drop", 0))))


def float32_errors(make, graphs, d, s, m):
    """What PyTorch Geometric in float32 is off by in each gradient, relative to its largest element or 1e-3 of the model's."""
    own, g = make(d).double().train(), pack(graphs, d["n_feature"])
    initialise(own)
    own, g.x, g.e, g.w = own.float(), g.x.float(), g.e.float(), g.w.float()
    losses(own, g, s, {}).sum().backward()
    pairs = [(e.ours(gradient=True), f.ours(gradient=True).astype(np.float64)) for e, f in zip(m.table(), own.table())]
    most = max(np.abs(a).max() for a, _ in pairs)
    return ["%.0e" % (np.abs(a - b).max() / max(np.abs(a).max(), 1e-3 * most)) for a, b in pairs]


def trained(m, g, s):
    """20 steps of Adam from here."""
    adam, out = torch.optim.Adam(m.parameters(), lr=s["train"], weight_decay=1e-4), []
    for step in range(20):
        adam.zero_grad()
        loss = losses(m, g, s, {}, step).sum()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        adam.step()
        out.append(line("train", float(loss), float(norm)))
    return out


def write(name, d, s, formula):
    d, s, out = dims(d), {"weight": [1], "mask": 0.0, **s}, {}
    s["weight"] = s["weight"] + [0] * (7 - len(s["weight"]))
    torch.manual_seed(0)
    make = Gat if d["kind"] == GAT else Vgae
    m = make(d).double().train()
    count = sum(p.numel() for p in m.parameters())
    assert formula in (None, count), f"{name}: {count} parameters, {formula} by the formula"
    graphs = FEW if count > 300000 else ZOO
    g = pack(graphs, d["n_feature"])
    lines = [line("model", name, "few" if graphs is FEW else "zoo"), "dim " + " ".join(f"{k}={d[k]:.9g}" for k in FIELDS)]
    init = initialise(m)
    terms = losses(m, g, s, out)
    terms.sum().backward()
    lines += [step_line(s, out), line("count", count)] + init + [line("loss", *map(float, terms))]
    if d["kind"] == GAT:
        lines += [line("logit", *map(float, z)) for z in out["logit"].detach()]
        lines += [tensor("message", "message", out["message"].detach(), 904)] if d["message"] else []
    else:
        lines += [tensor("mu", "mu", out["mu"].detach(), 900), tensor("recon", "recon", out["recon"].detach(), 901)]
    errors = float32_errors(make, graphs, d, s, m)
    lines += [tensor("gradient", e.name, e.ours(gradient=True), k, errors[k]) for k, e in enumerate(m.table())]
    state = [v for b in m.batch_norms() for v in (b.running_mean, b.running_var)]
    if state:
        lines.append(tensor("state", "state", torch.cat(state), 902))
    for row in scores(m, g):
        lines.append(line("score", *row[:14]))
        if d["kind"] == VGAE:
            lines.append(tensor("moments", "moments", row[14:], 903))
    if d["message"]:
        m.eval()
        m(g)
        lines.append(tensor("judged", "message", m.frames(g).detach(), 905))
        m.train()
    if "train" in s:
        lines += trained(m, g, s)
    return lines


def as_before(old, new):
    """Shapes and names to the letter, numbers as gat_oracle has it; not what float32 is off by, another machine's has other digits."""
    words_of = lambda lines: [v for v in lines if v.split()[0] in ("model", "dim")]
    numbers = lambda lines: [" ".join(v.split()[:2] + v.split()[3:]) if v.startswith("gradient") else v for v in lines
                             if v.split()[0] not in ("model", "dim")]
    return words_of(old) == words_of(new) and same(numbers(old), numbers(new))


def main():
    torch.set_num_threads(1)
    digest = hashlib.sha256(b"".join(open(os.path.join(HERE, f), "rb").read() for f in ("model_oracle.py", "model_twins.py"))).hexdigest()
    head = (f"# torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, float64, model_oracle.py and model_twins.py "
            f"sha256 {digest}")
    lines, path = [head], os.path.join(HERE, "model.txt")
    for name, model in MODELS.items():
        lines += write(name, *model)
    if "--check" not in sys.argv[1:]:
        open(path, "w").write("\n".join(lines) + "\n")
        return 0
    old = open(path).read().splitlines()
    good = as_before(old[1:], lines[1:]) and old[0].split()[-1] == digest
    print(("ok - " if good else "not ok - ") + "oracle__models_are_what_pyg_computes")
    return not good


if __name__ == "__main__":
    sys.exit(main())
