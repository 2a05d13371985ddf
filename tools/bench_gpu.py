#!/usr/bin/env python3
"""Training graphs a second of all four models, presets `paper`, on one device, beside PyTorch Geometric on the same one, in turn.

Run by an interpreter that has torch_geometric (CANIDS_ORACLE_PYTHON), or by any: then ours stands alone, which is said.  Both sides have
their graphs in device memory and take optimiser steps; medians of BENCH_ROUNDS (5) rounds of BENCH_SECONDS (1), the ratio that of each
round, to the faster of eager and compiled.  BENCH_BATCHES, BENCH_MODELS, BENCH_PRECISIONS and BENCH_ROWS choose less.

Exit status 78 without a device, 70 when ours fails."""
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(os.environ.get("CANIDS_BUILD", "build"), "tools", "bench_gpu")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
GOALS = {"gat_small": 5, "vgae_small": 10, "gat_large": 2.5, "vgae_large": 6}
MODELS = os.environ.get("BENCH_MODELS", " ".join(GOALS)).split()
BATCHES = [int(n) for n in os.environ.get("BENCH_BATCHES", "1024 4096").split()]
PRECISIONS = os.environ.get("BENCH_PRECISIONS", "fp32 tf32 bf16").split()
ROWS = os.environ.get("BENCH_ROWS", "2048")  # nodes of a shard; the default of train.shard_rows is 256
KERNELS = 40


class Failed(Exception):
    pass


def ours(model, batch, precision):
    done = subprocess.run([BENCH, *model.split("_"), "paper", str(batch), ROWS, str(SECONDS), f"train.precision={precision}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
    if done.returncode == 78:
        print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
        sys.exit(78)
    if done.returncode:
        raise Failed(f"bench_gpu {model}, {batch} graphs, {precision}: ended with {done.returncode}: {done.stderr.strip()}")
    return dict(word.split("=") for word in done.stdout.split())


def yardstick():
    """The module of PyTorch Geometric's side, or None; why not is said."""
    sys.path.insert(0, HERE)
    try:
        import bench_pyg
    except ImportError as e:
        print(f"no yardstick ran: PyTorch Geometric is absent ({e}; set CANIDS_ORACLE_PYTHON)")
        return None
    if not bench_pyg.torch.cuda.is_available():
        print(f"no yardstick ran: {bench_pyg.versions()} sees no device (torch.cuda)")
        return None
    return bench_pyg


class Theirs:
    """Eager and compiled; one that fails says so once and runs no more."""

    def __init__(self, pyg, model, batch, said):
        self.torch = pyg.torch
        self.twin = pyg.OnDevice(*model.split("_"), said, batch)
        self.ways = {"eager": self.twin.loss, "compiled": self.twin.compiled()}
        self.rates = {}
        if self.ways["compiled"] is None:
            del self.ways["compiled"]
            print("  torch.compile: not in this torch")

    def round(self, precision):
        """\return the faster rate, None without any"""
        best = None
        for way, loss in list(self.ways.items()):
            try:
                rate = self.twin.speed(loss, precision, SECONDS)
            except Exception as e:  # whatever a compiler throws: the other way remains
                print(f"  PyTorch Geometric, {way}, {precision}: failed: {str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__}")
                del self.ways[way]
                continue
            self.rates.setdefault(way, []).append(rate)
            best = max(rate, best or 0)
        self.torch.cuda.empty_cache()
        return best


def share(said):
    names = (("share_fp32", "the fp32 floor"), ("share_bf16", "the bf16 floor"), ("share_bytes", "the fused byte floor"))
    return ", ".join(f"{100 * float(said[k]):.1f} % of {what}" for k, what in names if k in said) or "this device's peaks are not known here"


def precision_line(pyg, model, batch, precision):
    said = ours(model, batch, precision)
    kernels = f"{said['kernels']} kernels and {said['launches']} launch a step, goal {KERNELS}: {'met' if int(said['kernels']) <= KERNELS else 'missed'}"
    memory = f"{int(said['bytes']) / 2 ** 20:.0f} MiB"
    checked = f"loss {said['check_loss']}, the CPU's {said['check_cpu']}"
    if "emulated" in said:
        print(f"  {precision}, emulated: no rate; {kernels}; {memory}; {checked}", flush=True)
        return
    rates, ms, ratios, twin = [], [], [], pyg and Theirs(pyg, model, batch, said)
    for _ in range(ROUNDS):
        said = ours(model, batch, precision)
        rates.append(float(said["rate"]))
        ms.append(float(said["ms"]))
        other = twin and twin.round(precision)
        if other:
            ratios.append(rates[-1] / other)
    print(f"  {precision}: canids {statistics.median(rates):10.0f} graphs/s, {statistics.median(ms):.3f} ms a step; {share(said)}; {kernels};"
          f" {memory}; {checked}")
    for way, theirs in twin.rates.items() if twin else ():
        print(f"        PyTorch Geometric, {way:8s} {statistics.median(theirs):10.0f} graphs/s")
    if ratios:
        ratio = statistics.median(ratios)
        print(f"        {ratio:.2f}x, goal {GOALS[model]:g}x: {'met' if ratio >= GOALS[model] else 'missed'}", flush=True)
    else:
        print(f"        goal {GOALS[model]:g}x: no yardstick ran", flush=True)


def main():
    if not os.access(BENCH, os.X_OK):
        print(f"bench_gpu: {BENCH} is missing: make benches", file=sys.stderr)
        return 70
    said = ours(MODELS[0], 1, PRECISIONS[0])  # ends here without a device
    print(f"training on {said['device'].replace('_', ' ')}, presets `paper`: 27 nodes, 99 edges and the self-loops a graph, in device memory; forward,"
          f" losses, backward, optimiser; shards of {ROWS} rows; medians of {ROUNDS} rounds in turn")
    pyg = yardstick()
    if pyg:
        print(f"{pyg.versions()}, CUDA {pyg.torch.version.cuda}")
    failed = 0
    for model in MODELS:
        for batch in BATCHES:
            print(f"{model.replace('_', ' ')}, batch of {batch} graphs")
            for precision in PRECISIONS:
                try:
                    precision_line(pyg, model, batch, precision)
                except Failed as e:
                    print(f"  FAILED: {e}")
                    failed = 70
    return failed


if __name__ == "__main__":
    sys.exit(main())
