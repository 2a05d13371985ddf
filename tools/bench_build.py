#!/usr/bin/python3
"""Captures to a written store, scan and build, beside what bounds it: reading the captures, computing, writing as many bytes.

The captures are real ones, replicated (../shared/tools/replicate.py) to BENCH_ROWS rows (17 million, 0.7 GB); with BENCH_FULL=1 also to
six times as many.  BENCH_DIR says where (the build folder), BENCH_ROUNDS how often (3); medians of alternating rounds.  Read is
`dd iflag=direct` of the captures, write `dd oflag=direct conv=fsync` of as many bytes as the store has, compute tools/bench_build.c on the
same plan; the floor is the largest of the three.  The captures are in the page cache when scan and build read them."""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("CANIDS_BUILD", "build"))
SHARED = os.path.join(ROOT, os.environ.get("CANIDS_SHARED", "../shared"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import run as runner

ENV = dict(os.environ, **runner.MPI_ENV)
SETS = [("train_01_a", 0), ("train_01_a", 1), ("train_02_b", 2), ("train_02_b", 3), ("test_01_c", 4), ("test_01_c", 5), ("test_02_d", 6), ("test_02_d", 7)]


def sources():
    found = []
    for where, _, names in os.walk(os.path.join(SHARED, "data")):
        found += [os.path.join(where, n) for n in names if n.endswith(".csv") and re.search(r"/(train|test)_\d\d_", where)]
    return sorted(found)


def captures(folder, rows):
    """Eight files, each of all sources, in another order."""
    files = sources()
    for folder_name, k in SETS:
        path = os.path.join(folder, "big", folder_name, "%d.csv" % k)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        turned = files[k * len(files) // 8:] + files[:k * len(files) // 8]
        subprocess.run([sys.executable, os.path.join(SHARED, "tools", "replicate.py"), path, str(rows // 8)] + turned, check=True)
    paths = [os.path.join(folder, "big", f, "%d.csv" % k) for f, k in SETS]
    return paths, sum(os.path.getsize(p) for p in paths)


def timed(command, shell=False):
    began = time.monotonic()
    subprocess.run(command, shell=shell, env=ENV, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def canids(ranks, folder, there):
    """Seconds of scan, of build until the store is flushed, of reading it back, and the peaks of both."""
    shutil.rmtree(there, ignore_errors=True)
    done = subprocess.run(["mpirun", "-n", str(ranks), os.path.join(BUILD, "canids"), "run", "--set", "data.root=" + folder, "--set", "data.set=big",
                           "--set", "run.dir=" + there, "--set", "pipeline=scan,build", "--set", "run.log=debug"], env=ENV, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("bench_build: " + done.stdout + done.stderr)
    with open(os.path.join(there, "run.json")) as f:
        steps = {a["step"]: a for a in json.load(f)["attempts"] if a["outcome"] == "done"}
    back = float(re.search(r"read back and compared in ([0-9.]+) s", done.stdout + done.stderr).group(1))
    return (steps["scan"]["wall_s"], steps["build"]["wall_s"] - back, back, steps["scan"]["peak_kib"], steps["build"]["peak_kib"])


def compute(ranks, there):
    return float(subprocess.run(["mpirun", "-n", str(ranks), os.path.join(BUILD, "tools", "bench_build"), there, "1"], env=ENV, capture_output=True,
                                text=True, check=True).stdout)


def again(folder, there, path):
    """One capture changed: the rest is taken over."""
    with open(path, "r+b") as f:
        f.seek(-2, 2)
        last = f.read(1)
        f.seek(-1, 1)
        f.write(b"1" if last == b"0" else b"0")
    done = subprocess.run([os.path.join(BUILD, "canids"), "run", "--set", "data.root=" + folder, "--set", "data.set=big", "--set", "run.dir=" + there,
                           "--set", "pipeline=scan,build"], env=ENV, capture_output=True, text=True, check=True)
    with open(os.path.join(there, "run.json")) as f:
        return [a for a in json.load(f)["attempts"] if a["outcome"] == "done" and a["step"] == "build"][-1], "taken over" in done.stdout + done.stderr


def bench(rows, folder):
    paths, size = captures(folder, rows)
    there = os.path.join(folder, "run")
    ours, floor = {1: [], 2: []}, {"read": [], "write": [], 1: [], 2: []}
    canids(2, folder, there)  # the captures into the page cache, and the size of the store
    store = os.path.getsize(os.path.join(there, "store.h5"))
    mib = -(-store // (4 << 20))
    for _ in range(ROUNDS):
        floor["write"].append(timed("dd if=/dev/zero of='%s/dd.bin' bs=4M count=%d oflag=direct conv=fsync" % (folder, mib), True))
        os.unlink(folder + "/dd.bin")
        floor["read"].append(timed("for f in %s; do dd if=$f of=/dev/null bs=4M iflag=direct; done" % " ".join(paths), True))
        timed("cat %s > /dev/null" % " ".join(paths), True)
        for ranks in (1, 2):
            ours[ranks].append(canids(ranks, folder, there))
            floor[ranks].append(compute(ranks, there))
    read, write = (statistics.median(floor[k]) for k in ("read", "write"))
    print("%.2f GB of captures to a store of %.2f GB; medians of %d alternating rounds" % (size / 1e9, store / 1e9, ROUNDS))
    print("  read, dd iflag=direct of the captures        %6.2f s  %6.0f MB/s" % (read, size / read / 1e6))
    print("  write, dd oflag=direct conv=fsync            %6.2f s  %6.0f MB/s" % (write, store / write / 1e6))
    whole = {}
    for ranks in (1, 2):
        work = statistics.median(floor[ranks])
        scan, build, back, peak_scan, peak_build = (statistics.median(o[k] for o in ours[ranks]) for k in range(5))
        whole[ranks] = scan + build
        least, hot = max(read, work, write), max(work, write)
        print("%d rank%s" % (ranks, "s" if ranks > 1 else ""))
        print("  compute, parse and graphs, nothing written   %6.2f s" % work)
        print("  scan %.2f s, build until flushed %.2f s       %6.2f s  %6.0f MB/s of captures; %.2f s of reading back beside it" % (
            scan, build, scan + build, size / (scan + build) / 1e6, back))
        print("  of the floor max(read, compute, write)       %6.0f %%  (%.2f s; without the read, for the captures are hot: %.0f %%)" % (
            100 * least / (scan + build), least, 100 * hot / (scan + build)))
        print("  build alone, of that floor                   %6.0f %%" % (100 * least / build))
        print("  peak memory of a rank: scan %.0f MiB, build %.0f MiB" % (peak_scan / 1024, peak_build / 1024))
    print("2 ranks are %.2f times 1 rank (the goal is 1.9 where the disk allows: %.2f s of it are writing)" % (whole[1] / whole[2], write))
    attempt, taken = again(folder, there, paths[0])
    print("one of eight captures changed, 1 rank: build %.2f s, peak memory %.0f MiB%s" % (
        attempt["wall_s"], attempt["peak_kib"] / 1024, "" if taken else "  NOTHING WAS TAKEN OVER"))


def main():
    if not sources() or not os.path.exists(os.path.join(SHARED, "tools", "replicate.py")):
        print("captures to a store: no real captures here (CANIDS_SHARED): missed")
        return
    rows = int(os.environ.get("BENCH_ROWS", "17340000"))
    for times in (1, 6) if os.environ.get("BENCH_FULL") == "1" else (1,):
        folder = tempfile.mkdtemp(prefix="bench_build.", dir=os.environ.get("BENCH_DIR", BUILD))
        try:
            bench(rows * times, folder)
        finally:
            shutil.rmtree(folder)


main()
