"""Training in PyTorch Geometric: the yardstick of bench_train.py (float32, one thread) and of bench_gpu.py, which import this.

The models are the twins of tests/oracle/model_twins.py, which compute what ours do; here with dropout, unknown identifiers, hidden nodes
and latent noise from torch's own generator.  Tuned: self-loops are put in once, beforehand; gradients are freed, not zeroed; only
hidden nodes go through the head of identifiers; the C library keeps freed memory (bench_train.py sets that); the batch is the best of several."""
import os
import sys
import time
import types

import torch
from torch.nn import functional
from torch_geometric.utils import add_self_loops, remove_self_loops

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "oracle"))
import model_oracle as oracle  # noqa: E402
import model_twins  # noqa: E402
from model_twins import GAT, Gat, Vgae, near_mean  # noqa: E402

NODES, EDGES, IDS = 27, 99, 60  # of a graph, as tools/shard.h has them
BATCHES = (4, 16, 64, 256)


def batch(n):
    """n graphs as tools/shard.c makes them."""
    torch.manual_seed(1)
    base = torch.arange(n).repeat_interleave(EDGES) * NODES
    dst = (torch.arange(EDGES) * NODES // EDGES).repeat(n) + base
    edges = torch.stack([torch.randint(0, NODES, (n * EDGES,)) + base, dst])
    g = types.SimpleNamespace(x=torch.rand(n * NODES, oracle.gat_oracle.N_X) * 2 - 1, ident=torch.arange(1, NODES + 1).repeat(n), edges=edges,
                              e=torch.rand(n * EDGES, oracle.N_E) * 2 - 1, batch=torch.arange(n).repeat_interleave(NODES), label=torch.arange(n) % 2)
    looped, e = add_self_loops(*remove_self_loops(edges, g.e), fill_value="mean", num_nodes=n * NODES)
    g.looped = types.SimpleNamespace(edges=looped, e=e, batch=g.batch)
    return g


def gaussian(p, t):
    """The twins' one, on whichever device; always in float32."""
    d = p.shape[1]
    with torch.autocast(p.device.type, enabled=False):
        return divergence(p.float(), t.float(), d)


def divergence(p, t, d):
    eye = torch.eye(d, dtype=p.dtype, device=p.device)
    sp, st, delta = eye + torch.cov(p.T).reshape(d, d), eye + torch.cov(t.T).reshape(d, d), p.mean(0) - t.mean(0)
    inverse = torch.linalg.inv(st)
    return 0.5 * (torch.logdet(st) - torch.logdet(sp) - d + torch.trace(inverse @ sp) + delta @ inverse @ delta)


class Training:
    """One of the presets `paper`; settings: what ours says of itself."""

    def __init__(self, model, scale, settings):
        shape, self.step, _ = oracle.MODELS[f"{model}_{scale}_paper"]
        self.d = oracle.dims({**shape, "n_id": IDS})
        self.dropout, self.unk_drop, self.mask = (float(settings[k]) for k in ("dropout", "unk_drop", "mask"))
        torch.manual_seed(1)
        self.m = (Gat if self.d["kind"] == GAT else Vgae)(self.d).train()
        self.weight = self.step.get("weight", [1])
        for conv in self.convs():
            conv.conv.add_self_loops = False
            conv.register_forward_pre_hook(lambda module, args: (args[0], args[1].looped))
        for module in self.dropped():
            module.register_forward_hook(lambda module, args, y: functional.dropout(y, self.dropout))
        count = sum(p.numel() for p in self.m.parameters())
        assert count == int(settings["parameters"]), f"{count} parameters, ours has {settings['parameters']}"
        if isinstance(self.m, Vgae):
            self.m.noise = lambda g, seed, epoch: torch.randn(len(g.x), self.d["latent"], device=g.x.device)

    def convs(self):
        return list(self.m.conv) if self.d["kind"] == GAT else list(self.m.enc) + list(self.m.dec)

    def dropped(self):
        """What is followed by dropout: it may as well come before ReLU."""
        if self.d["kind"] == GAT:
            return list(self.m.conv) + list(self.m.head)[:-1]
        return list(self.m.enc) + list(self.m.dec)[:-1] + list(self.m.edge)[:-1] + list(self.m.neigh)[:-1]

    def loss(self, g):
        if self.unk_drop > 0:
            g = types.SimpleNamespace(**{**vars(g), "ident": torch.where(torch.rand(len(g.ident), device=g.x.device) < self.unk_drop, 0, g.ident)})
        if self.d["kind"] == GAT:
            return oracle.classify(self.m(g)[0], g, self.step)[0]
        hidden, w, m = torch.rand(len(g.x), device=g.x.device) < self.mask, self.weight, self.m
        mu, logvar, z, recon = m(g, 0, 0, hidden)
        return (w[0] * functional.mse_loss(recon, g.x) + w[1] * self.named(z, g, hidden)
                + w[2] * gaussian(m.predicted(z), near_mean(z, g)) + w[3] * -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).mean()
                + w[4] * functional.mse_loss(m.edges(z, g), g.e))

    def named(self, z, g, hidden):
        return functional.cross_entropy(self.m.id(z[hidden]), g.ident[hidden])

    def rate(self, n, seconds):
        """Graphs a second of processor time."""
        g, batches, began = self.batch[n], 0, time.process_time()
        while True:
            self.m.zero_grad(set_to_none=True)
            loss = self.loss(g)
            loss.backward()
            batches += 1
            spent = time.process_time() - began
            if spent > seconds:
                assert torch.isfinite(loss)
                return n * batches / spent

    def tune(self, seconds):
        """\return the batch size with the highest rate"""
        self.batch, rates = {}, {}
        for n in BATCHES:
            self.batch[n] = batch(n)
            self.rate(n, 0)
            rates[n] = max(self.rate(n, seconds) for _ in range(2))
            if rates[n] < 0.9 * max(rates.values()):
                break
        return max(rates, key=rates.get)


class OnDevice(Training):
    """The same with AdamW, the batch already on the device, wall time.  Tuned: nothing waits for the device (sizes are told, hidden nodes are
    weighed, not picked), the optimiser is one launch where torch has that."""

    def __init__(self, model, scale, settings, n, device="cuda"):
        super().__init__(model, scale, settings)
        self.n, self.device = n, torch.device(device)
        self.m.to(self.device)
        self.g = self.moved(batch(n))
        self.optim = torch.optim.AdamW(self.m.parameters(), lr=1e-4, **({"fused": True} if self.device.type == "cuda" and torch.__version__ >= "2" else {}))
        for name in ("mean", "max", "add"):
            pool = getattr(oracle.torch_geometric.nn, f"global_{name}_pool")
            setattr(model_twins, f"global_{name}_pool", lambda x, where, pool=pool: pool(x, where, size=n))

    def moved(self, g):
        to = lambda v: v.to(self.device) if torch.is_tensor(v) else types.SimpleNamespace(**{k: to(x) for k, x in vars(v).items()})
        return to(g)

    def named(self, z, g, hidden):
        one = functional.cross_entropy(self.m.id(z), g.ident, reduction="none")
        return (one * hidden).sum() / hidden.sum()

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def stepped(self, loss, precision):
        self.optim.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
            value = loss(self.g)
        value.backward()
        self.optim.step()
        return value

    def compiled(self):
        """\return the loss compiled, or None before torch 2"""
        return torch.compile(self.loss) if hasattr(torch, "compile") else None

    def speed(self, loss, precision, seconds):
        """Graphs a second."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        for _ in range(3):
            value = self.stepped(loss, precision)
        self.wait()
        steps, began = 0, time.perf_counter()
        while True:
            for _ in range(4):
                value = self.stepped(loss, precision)
            self.wait()
            steps += 4
            spent = time.perf_counter() - began
            if spent > seconds:
                assert torch.isfinite(value)
                return self.n * steps / spent


def versions():
    return f"PyTorch Geometric {oracle.torch_geometric.__version__}, torch {torch.__version__}"


torch.set_num_threads(1)
