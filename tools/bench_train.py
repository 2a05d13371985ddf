#!/usr/bin/env python3
"""Training graphs a second of all four models, presets `paper`, beside PyTorch Geometric on one thread, in turn in the same run; then
`canids train` itself on simulated traffic.

Run by an interpreter that has torch_geometric (CANIDS_ORACLE_PYTHON), or by any: then the yardstick is said to be absent.  Rates are of
processor time of one thread; medians of BENCH_ROUNDS (7) rounds, the ratio that of each round.  Neither side takes an optimiser step."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(os.environ.get("CANIDS_BUILD", "build"), "tools", "bench_train")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SECONDS = 0.3
ROWS = (256, 1024)  # nodes of a shard; 256 is the default of train.shard_rows
GOALS = (("gat", "small", 1.8), ("vgae", "small", 3.0), ("gat", "large", 1.3), ("vgae", "large", 1.8))
PEAK_GOAL = 0.7
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_TOP_PAD_": "67108864"}


def yardstick():
    """The module of PyTorch Geometric's side, or None."""
    if any(os.environ.get(k) != v for k, v in MALLOC.items()):  # read when a process starts; OpenMP's threads as well
        os.execve(sys.executable, [sys.executable, os.path.abspath(__file__)], {**os.environ, **MALLOC, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    sys.path.insert(0, HERE)
    try:
        import bench_pyg
        return bench_pyg
    except ImportError as e:
        print(f"PyTorch Geometric: absent ({e}; set CANIDS_ORACLE_PYTHON): yardstick missed")
        return None


def ours(model, scale, rows):
    out = subprocess.run([BENCH, model, scale, "paper", str(rows), str(SECONDS)], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    return dict(word.split("=") for word in out.stdout.split())


def beside(pyg, model, scale, goal):
    said = ours(model, scale, ROWS[0])
    twin = pyg and pyg.Training(model, scale, said)
    best = twin and twin.tune(SECONDS)
    rates, theirs, share = {rows: [] for rows in ROWS}, [], {rows: [] for rows in ROWS}
    for _ in range(ROUNDS):
        for rows in ROWS:
            said = ours(model, scale, rows)
            rates[rows].append(float(said["rate"]))
            share[rows].append((float(said["share"]), float(said["forward_gflops"])))
        if twin:
            theirs.append(twin.rate(best, SECONDS))
    print(f"{model} {scale}, {said['parameters']} parameters, {said['isa']} kernels")
    if twin:
        print(f"  PyTorch Geometric, batch of {best:4d} graphs  {statistics.median(theirs):9.1f} graphs/s")
    for rows in ROWS:
        text = f"  canids, shards of {rows:4d} rows            {statistics.median(rates[rows]):9.1f} graphs/s"
        if twin:
            ratio = statistics.median(a / b for a, b in zip(rates[rows], theirs))
            text += f"   {ratio:5.2f}x, goal {goal:.1f}x: {'met' if ratio >= goal else 'missed'}"
        if model == "gat":
            part, speed = statistics.median_low(share[rows])
            text += f"   forward {speed:.1f} GFLOP/s, {100 * part:.0f} % of the matrix peak"
            text += f", goal {100 * PEAK_GOAL:.0f} %: {'met' if part >= PEAK_GOAL else 'missed'}" if part else " (not known here)"
        print(text, flush=True)


def default_preset():
    """Ours alone: what a training does unless it says otherwise, with each set of kernels."""
    print("training, presets `default`, the same way")
    for model in ("gat", "vgae"):
        rates = []
        for isa in ("bf16", "avx512", "avx2", "generic"):
            done = subprocess.run([BENCH, model, "small", "default", str(ROWS[0]), str(SECONDS), "train.precision=bf16" if isa == "bf16" else f"train.isa={isa}"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, universal_newlines=True)
            if done.returncode < 0:
                sys.exit(f"bench_train: {model} small with {isa} kernels died of signal {-done.returncode}")
            rates.append(f"{isa} {done.stdout.split()[0].split('=')[1]} graphs/s" if done.returncode == 0 else f"{isa}: not on this machine")
        print(f"  {model} small: " + ", ".join(rates), flush=True)


def whole():
    """`canids train`: reading, packing, integer sums and the optimiser too."""
    build = os.environ.get("CANIDS_BUILD", "build")
    folder = tempfile.mkdtemp(prefix="train.", dir=build)
    if os.getuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def canids(verb, *sets):
        sets = ("data.root=" + os.path.join(folder, "data"), "data.set=sim", "run.dir=" + os.path.join(folder, "run")) + sets
        done = subprocess.run([os.path.join(build, "canids"), verb] + [w for s in sets for w in ("--set", s)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode:
            sys.exit(f"bench_train: canids {verb} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    try:
        canids("run", "pipeline=sim,scan,build", "sim.vehicles=3", "sim.seconds=20")
        print("canids train, presets `default`, SIMULATED traffic, one rank of one thread: graphs of an epoch by its wall time, median of 4")
        for model in ("gat", "vgae"):
            log = canids("train", f"model.name={model}", "train.epochs=4", "train.threads=1")
            rates = [float(r) for r in re.findall(r"epoch .*, (\d+) graphs/s", log)]
            print(f"  {model} small: {statistics.median(rates):.0f} graphs/s")
    finally:
        shutil.rmtree(folder)


def main():
    if not os.access(BENCH, os.X_OK):
        return f"bench_train: {BENCH} is missing: make benches"
    pyg = yardstick()
    print("training, presets `paper`, one core, float32: 27 nodes, 99 edges and the self-loops a graph; forward, losses, backward;"
          f" medians of {ROUNDS} rounds in turn" + (f"; {pyg.versions()}" if pyg else ""))
    for model, scale, goal in GOALS:
        beside(pyg, model, scale, goal)
    default_preset()
    whole()
    return 0


if __name__ == "__main__":
    sys.exit(main())
