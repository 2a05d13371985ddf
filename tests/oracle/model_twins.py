"""The models of src/model/ as PyTorch Geometric has them, from reference-system.md 5 and its own layers; model_oracle.py uses them.

A twin lists its tensors in the order of our flat vector: Entry(name, parts, init), a part being (tensor, rows or None, whether ours is
its transpose), init "normal", "zero", "one" or the bound of a uniform distribution."""
import math

import numpy as np
import torch
from torch import nn
from torch_geometric.nn import (AttentionalAggregation, GATConv, GATv2Conv, GPSConv, GraphNorm, JumpingKnowledge, TransformerConv,
                                global_add_pool, global_max_pool, global_mean_pool)
from torch_geometric.utils import add_self_loops, remove_self_loops

from gat_oracle import philox, symmetric

FIELDS = ("kind n_id id_dim id_buckets id_probes n_feature x_first n_edge_feature edge_features project conv norm heads channels layers jk "
          "pool head_layers head_dim n_class n_hidden hidden[0] hidden[1] hidden[2] hidden[3] hidden[4] hidden[5] hidden[6] hidden[7] "
          "inner_heads decoder_heads latent sigmoid neighbour edge_head masked teacher slope logvar_limit "
          "n_window_feature window message group_drop").split()
GAT, VGAE = 0, 1
GATV1, GATV2, TRANSFORMER, GPS = range(4)
NONE, GRAPH, BATCH, LAYER = range(4)
CAT, LSTM, ATTENTION, MAX, LAST = range(5)
POOL_MEAN, POOL_MAX, POOL_SUM, POOL_ATTENTION, POOL_MEANMAX = range(5)
WINDOW_POOL, WINDOW_LINEAR, WINDOW_BOTH = 1, 2, 3
GAUSSIAN, EXACT = 1, 2
PURPOSE_MASK, PURPOSE_LATENT, PURPOSE_GROUP = 7, 8, 9
GROUPS = 7
MASKS = 7


class Entry:
    def __init__(self, name, parts, init):
        self.name, self.parts, self.init = name, parts, init

    def ours(self, gradient=False):
        out = []
        for p, rows, flip in self.parts:
            t = p if not gradient else p.grad if p.grad is not None else torch.zeros_like(p)
            t = t.detach() if rows is None else t.detach()[rows]
            out.append((t.T if flip else t).reshape(-1))
        return torch.cat(out).numpy()

    def put(self, v):
        at = 0
        for p, rows, flip in self.parts:
            t = p.data if rows is None else p.data[rows]
            n = t.numel()
            new = torch.from_numpy(v[at:at + n]).to(t.dtype)
            t.copy_(new.reshape(t.T.shape).T if flip else new.reshape(t.shape))
            at += n


class Part(Entry):
    """Columns a .. b - 1 of a linear layer's weight."""

    def __init__(self, name, p, a, b, init):
        super().__init__(name, [(p, None, True)], init)
        self.a, self.b = a, b

    def ours(self, gradient=False):
        p = self.parts[0][0]
        return (p.grad if gradient else p).detach()[:, self.a:self.b].T.reshape(-1).numpy()

    def put(self, v):
        w = self.parts[0][0].data[:, self.a:self.b]
        w.copy_(torch.from_numpy(v).to(w.dtype).reshape(w.T.shape).T)


def vector(name, p, init):
    return Entry(name, [(p, None, False)], init)


def glorot(a, b):
    return math.sqrt(6.0 / (a + b))


def linear(name, l, bound=None, bias=None):
    root = 1 / math.sqrt(l.weight.shape[1])
    out = [Entry(name + ".weight", [(l.weight, None, True)], root if bound is None else bound)]
    return out + ([vector(name + ".bias", l.bias, root if bias is None else bias)] if l.bias is not None else [])


def glorot_linear(name, l):
    return linear(name, l, glorot(*l.weight.shape))


class Conv(nn.Module):
    """One layer of message passing with its norm and ReLU."""

    def __init__(self, d, x, H, C, bare=False):
        super().__init__()
        edge = d["n_edge_feature"] if d["edge_features"] else None
        how = dict(heads=H, edge_dim=edge)
        self.kind, self.bare, self.norm_kind, self.edge, self.lin_in = d["conv"], bare, d["norm"], edge, None
        if self.kind == GATV1:
            self.conv = GATConv(x, C, negative_slope=d["slope"], **how)
        elif self.kind == GATV2:
            self.conv = GATv2Conv(x, C, negative_slope=d["slope"], **how)
        elif self.kind == TRANSFORMER:
            self.conv = TransformerConv(x, C, **how)
        else:
            D = H * C
            self.lin_in = nn.Linear(x, D) if x != D else None
            self.conv = GPSConv(D, GATv2Conv(D, D, concat=False, negative_slope=d["slope"], **how), heads=H)
        self.norm = None
        if self.norm_kind and not bare:
            self.norm = {GRAPH: GraphNorm, BATCH: nn.BatchNorm1d, LAYER: nn.LayerNorm}[self.norm_kind](H * C)

    def forward(self, x, g):
        e = g.e if self.edge else None
        if self.kind == GPS:
            x = x if self.lin_in is None else self.lin_in(x)
            x = self.conv(x, g.edges, g.batch, edge_attr=e)
        elif self.kind == TRANSFORMER:  # adds none itself
            edges, e = remove_self_loops(g.edges, g.e)
            edges, e = add_self_loops(edges, e, fill_value="mean", num_nodes=len(x))
            x = self.conv(x, edges, e if self.edge else None)
        else:
            x = self.conv(x, g.edges, e)
        if self.bare:
            return x
        if self.norm is not None:
            x = self.norm(x, g.batch) if self.norm_kind == GRAPH else self.norm(x)
        return torch.relu(x)

    def gat_table(self, name, c, bias=True):
        H, C = c.att.shape[1:]
        out = glorot_linear(name + ".lin_l", c.lin_l) + glorot_linear(name + ".lin_r", c.lin_r)
        for l in out[1::2]:
            l.init = 1 / math.sqrt(c.lin_l.weight.shape[1])
        out += glorot_linear(name + ".lin_edge", c.lin_edge) if self.edge else []
        return out + [vector(name + ".att", c.att, glorot(H, C)), vector(name + ".bias", c.bias, "zero")]

    def table(self, name):
        c, out = self.conv, []
        if self.kind == GATV1:
            att = lambda k: [vector(f"{name}.att_{k}", getattr(c, "att_" + k), glorot(*c.att_src.shape[1:]))]
            out = glorot_linear(name + ".lin", c.lin_src) + (glorot_linear(name + ".lin_edge", c.lin_edge) if self.edge else [])
            out += att("src") + att("dst") + (att("edge") if self.edge else []) + [vector(name + ".bias", c.bias, "zero")]
        elif self.kind == GATV2:
            out = self.gat_table(name, c)
        elif self.kind == TRANSFORMER:
            for k in ("query", "key", "value", "skip"):
                out += linear(f"{name}.lin_{k}", getattr(c, "lin_" + k))
            out += linear(name + ".lin_edge", c.lin_edge) if self.edge else []
        else:
            out = self.gps_table(name, c)
        if self.norm is not None:
            out += norm_table(name + ".norm", self.norm)
        return out

    def gps_table(self, name, c):
        D = c.channels
        out = linear(name + ".lin_in", self.lin_in) if self.lin_in is not None else []
        out += self.gat_table(name, c.conv) + norm_table(name + ".norm1", c.norm1.module)
        for k, part in enumerate(("query", "key", "value")):
            rows = slice(k * D, (k + 1) * D)
            out += [Entry(f"{name}.att_{part}.weight", [(c.attn.in_proj_weight, rows, True)], glorot(D, 3 * D)),
                    Entry(f"{name}.att_{part}.bias", [(c.attn.in_proj_bias, rows, False)], "zero")]
        out += linear(name + ".att_out", c.attn.out_proj, bias="zero") + norm_table(name + ".norm2", c.norm2.module)
        return out + linear(name + ".mlp0", c.mlp[0]) + linear(name + ".mlp1", c.mlp[3]) + norm_table(name + ".norm3", c.norm3.module)

    def batch_norms(self):
        if self.kind == GPS:
            own = [self.conv.norm1.module, self.conv.norm2.module, self.conv.norm3.module]
        else:
            own = []
        return own + ([self.norm] if isinstance(self.norm, nn.BatchNorm1d) else [])

    def records(self):
        """How many steps ours takes: the place of the sample among them is a part of its random numbers."""
        return {GATV1: 2, GATV2: 3, TRANSFORMER: 5}[self.kind] + (self.norm is not None) + 1


def norm_table(name, norm):
    out = [vector(name + ".weight", norm.weight, "one"), vector(name + ".bias", norm.bias, "zero")]
    return out + ([vector(name + ".mean_scale", norm.mean_scale, "one")] if isinstance(norm, GraphNorm) else [])


class Input(nn.Module):
    def __init__(self, d, rows):
        super().__init__()
        self.d, self.cols = d, d["id_dim"] + d["n_feature"] - d["x_first"]
        self.embed = nn.Embedding(d["id_buckets"] or rows, d["id_dim"]) if d["id_dim"] else None
        self.project = nn.Linear(self.cols, d["project"]) if d["project"] else None
        self.cols = d["project"] or self.cols

    def forward(self, g, hidden=None):
        d, x, ident = self.d, g.x[:, self.d["x_first"]:], g.ident
        if hidden is not None:
            x, ident = torch.where(hidden[:, None], 0.0, x), torch.where(hidden, d["n_id"] + 1, ident)
        if self.embed is None:
            e = x[:, :0]
        elif d["id_buckets"]:
            row = lambda probe: torch.remainder(ident * 2654435761 + 42 + (probe << 30), d["id_buckets"])
            e = sum(self.embed(row(k)) for k in range(d["id_probes"]))
        else:
            e = self.embed(ident)
        x = torch.cat([e, x], 1)
        return x if self.project is None else self.project(x)

    def table(self):
        embed = [vector("embed.weight", self.embed.weight, "normal")] if self.embed is not None else []
        return embed + (linear("project", self.project) if self.project else [])


class Gat(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.d, D, L = d, d["heads"] * d["channels"], d["layers"]
        self.input = Input(d, d["n_id"] + 1)
        self.conv = nn.ModuleList(Conv(d, self.input.cols if k == 0 else D, d["heads"], d["channels"]) for k in range(L))
        self.jump = {CAT: lambda: JumpingKnowledge("cat"), LSTM: lambda: JumpingKnowledge("lstm", D, L), MAX: lambda: JumpingKnowledge("max"),
                     ATTENTION: lambda: nn.Linear(D, 1), LAST: lambda: None}[d["jk"]]()
        width = L * D if d["jk"] == CAT else D
        self.gate = AttentionalAggregation(nn.Linear(width, 1)) if d["pool"] == POOL_ATTENTION else None
        width *= 2 if d["pool"] == POOL_MEANMAX else 1
        self.window = nn.Linear(d["n_window_feature"], D) if d["window"] & WINDOW_POOL else None
        self.term = nn.Linear(d["n_window_feature"], d["n_class"], bias=False) if d["window"] & WINDOW_LINEAR else None
        if d["message"]:
            self.message = nn.ModuleList([nn.Linear(2 * D + d["n_edge_feature"], D), nn.Linear(D, 2)])
        width += D if self.window else 0
        between = d["head_dim"] or width
        cols = [width] + [between] * (d["head_layers"] - 1) + [d["n_class"]]
        self.head = nn.ModuleList(nn.Linear(a, b) for a, b in zip(cols, cols[1:]))

    def forward(self, g):
        x, layers = self.input(g), []
        for conv in self.conv:
            x = conv(x, g)
            layers.append(x)
        self.last = x
        if self.d["jk"] == ATTENTION:
            every = torch.stack(layers, 1)
            y = (torch.softmax(self.jump(every), 1) * every).sum(1)
        else:
            y = x if self.jump is None else self.jump(layers)
        pool = {POOL_MEAN: global_mean_pool, POOL_MAX: global_max_pool, POOL_SUM: global_add_pool,
                POOL_MEANMAX: lambda x, where: torch.cat([global_mean_pool(x, where), global_max_pool(x, where)], 1)}
        z = pooled = self.gate(y, g.batch) if self.gate else pool[self.d["pool"]](y, g.batch)
        if self.window is not None:
            z = torch.cat([z, torch.relu(self.window(g.w))], 1)
        for k, l in enumerate(self.head):
            z = torch.relu(l(z)) if k + 1 < len(self.head) else l(z)
        if self.term is not None:
            z = z + self.term(g.w)
        return z, pooled

    def frames(self, g):
        """Logits of each frame's edge, of the last forward pass."""
        x = self.last
        h = torch.relu(self.message[0](torch.cat([x[g.edges[0]], x[g.edges[1]], g.e], 1)))
        return self.message[1](h)

    def message_table(self):
        first, D = self.message[0], self.d["heads"] * self.d["channels"]
        root, w = 1 / math.sqrt(first.weight.shape[1]), first.weight
        part = lambda name, a, b: Part(name, w, a, b, root)
        return [part("message.src.weight", 0, D), part("message.dst.weight", D, 2 * D), part("message0.weight", 2 * D, w.shape[1]),
                vector("message0.bias", first.bias, root)] + linear("message1", self.message[1])

    def table(self):
        out = self.input.table()
        for k, c in enumerate(self.conv):
            out += c.table(f"conv{k}")
        if self.d["jk"] == LSTM:
            l, bound = self.jump.lstm, 1 / math.sqrt(self.jump.lstm.hidden_size)
            for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                flip = k.startswith("weight")
                out.append(Entry("jk." + k, [(getattr(l, k + "_l0"), None, flip), (getattr(l, k + "_l0_reverse"), None, flip)], bound))
            out += linear("jk.att", self.jump.att)
        if self.d["jk"] == ATTENTION:
            out += linear("jk.att", self.jump)
        out += linear("pool.gate", self.gate.gate_nn) if self.gate else []
        out += linear("window", self.window) if self.window is not None else []
        for k, l in enumerate(self.head):
            out += linear(f"head{k}", l)
        out += linear("window_term", self.term, "zero") if self.term is not None else []
        return out + (self.message_table() if self.d["message"] else [])

    def batch_norms(self):
        return [b for c in self.conv for b in c.batch_norms()]


def normals(n, seed, c0, c1, c2):
    """Polar method, vectorised: each pair takes its first accepted attempt."""
    quads = (n + 3) // 4
    out, have = np.zeros((quads, 4)), np.zeros((quads, 2), bool)
    for attempt in range(64):
        todo = np.flatnonzero(~have.all(1))
        if not len(todo):
            break
        w = [symmetric(v) for v in philox(seed, PURPOSE_LATENT, c0, c1, c2, todo + (attempt << 24))]
        for j in range(2):
            u, v = w[2 * j], w[2 * j + 1]
            s = (u * u + v * v).astype(np.float64)
            good = (s > 0) & (s < 1) & ~have[todo, j]
            f = np.sqrt(-2 * np.log(np.where(good, s, 0.5)) / np.where(good, s, 0.5))
            at = todo[good]
            out[at, 2 * j], out[at, 2 * j + 1] = (u * f)[good], (v * f)[good]
            have[at, j] = True
    return out.reshape(-1)[:n]


class Vgae(nn.Module):
    def __init__(self, d):
        super().__init__()
        hidden, z = [d[f"hidden[{k}]"] for k in range(d["n_hidden"])], d["latent"]
        self.d, self.F = d, d["n_feature"] - d["x_first"]
        self.input = Input(d, d["n_id"] + 1 + (1 if d["masked"] else 0))
        heads = lambda cols, h: h if cols % h == 0 else 1
        conv = lambda x, cols, h, bare=False: Conv(d, x, heads(cols, h), cols // heads(cols, h), bare)
        cols = [self.input.cols] + hidden
        self.enc = nn.ModuleList(conv(cols[k], hidden[k], d["heads"] if k == 0 else d["inner_heads"]) for k in range(len(hidden)))
        self.mu, self.logvar = nn.Linear(hidden[-1], z), nn.Linear(hidden[-1], z)
        back = [z] + hidden[:0:-1]
        self.dec = nn.ModuleList([conv(a, b, d["decoder_heads"]) for a, b in zip(back, back[1:])] + [conv(back[-1], self.F, 1, True)])
        self.id = nn.Linear(z, d["n_id"] + 1) if d["id_dim"] else None
        self.edge = nn.ModuleList([nn.Linear(2 * z, z), nn.Linear(z, d["n_edge_feature"])]) if d["edge_head"] else None
        self.distill = nn.Linear(z, d["teacher"]) if d["teacher"] not in (0, z) else None
        last = d["n_id"] + 1 if d["neighbour"] == EXACT else z
        self.neigh = nn.ModuleList([nn.Linear(z, z), nn.Linear(z, z), nn.Linear(z, last)]) if d["neighbour"] else None

    def forward(self, g, seed=None, epoch=0, hidden=None):
        """seed None: the mean of the latent distribution."""
        x = self.input(g, hidden)
        for c in self.enc:
            x = c(x, g)
        mu, logvar = self.mu(x), self.logvar(x).clamp(-self.d["logvar_limit"], self.d["logvar_limit"])
        z = mu if seed is None else mu + self.noise(g, seed, epoch).to(mu.dtype) * torch.exp(logvar / 2)
        x = z
        for c in self.dec:
            x = c(x, g)
        return mu, logvar, z, torch.sigmoid(x) if self.d["sigmoid"] else x

    def noise(self, g, seed, epoch):
        at = 1 + (self.d["project"] > 0) + (self.d["group_drop"] and self.d["edge_features"]) + sum(c.records() for c in self.enc) + 2
        return torch.from_numpy(np.concatenate([normals(n * self.d["latent"], seed, epoch, number, at).reshape(n, -1)
                                                for number, n in zip(g.number, g.size)]))

    def predicted(self, z):
        return self.neigh[2](torch.relu(self.neigh[1](torch.relu(self.neigh[0](z)))))

    def edges(self, z, g):
        return self.edge[1](torch.relu(self.edge[0](torch.cat([z[g.edges[0]], z[g.edges[1]]], 1))))

    def table(self):
        out = self.input.table()
        for k, c in enumerate(self.enc):
            out += c.table(f"enc{k}")
        out += linear("mu", self.mu) + linear("logvar", self.logvar)
        for k, c in enumerate(self.dec):
            out += c.table(f"dec{k}")
        out += linear("id", self.id) if self.id is not None else []
        for name in ("edge", "distill", "neigh"):
            part = getattr(self, name)
            if isinstance(part, nn.ModuleList):
                out += [e for k, l in enumerate(part) for e in linear(f"{name}{k}", l)]
            elif part is not None:
                out += linear(name, part)
        return out

    def batch_norms(self):
        return [b for c in list(self.enc) + list(self.dec) for b in c.batch_norms()]


def hidden_nodes(g, seed, epoch, share):
    bar = int(np.float64(np.float32(share)) * 2.0 ** 32)
    return torch.from_numpy(np.concatenate([philox(seed, PURPOSE_MASK, epoch, number, np.arange(n), 0)[0] < np.uint64(bar)
                                            for number, n in zip(g.number, g.size)]))


def hidden_groups(g, seed, epoch, share):
    """(graphs, GROUPS): group 0 is never hidden."""
    bar = int(np.float64(np.float32(share)) * 2.0 ** 32)
    w = philox(seed, PURPOSE_GROUP, epoch, np.asarray(g.number)[:, None], np.arange(GROUPS)[None, :], 0)[0] < np.uint64(bar)
    w[:, 0] = False
    return w


def near_mean(z, g):
    """Mean of z over a node's out-edges, repeats counted; 0 without any."""
    src, dst = g.edges
    total = torch.zeros_like(z).index_add(0, src, z[dst])
    count = torch.bincount(src, minlength=len(z)).to(z.dtype)
    return total / count.clamp(min=1)[:, None]


def near_ids(g, n):
    t = torch.zeros(len(g.x), n, dtype=g.x.dtype)
    t[g.edges[0], g.ident[g.edges[1]]] = 1
    return t


def gaussian(p, t):
    n, d = p.shape
    eye = torch.eye(d, dtype=p.dtype)
    sp, st, delta = eye + torch.cov(p.T).reshape(d, d), eye + torch.cov(t.T).reshape(d, d), p.mean(0) - t.mean(0)
    inverse = torch.linalg.inv(st)
    return 0.5 * (torch.logdet(st) - torch.logdet(sp) - d + torch.trace(inverse @ sp) + delta @ inverse @ delta)
