# TIMEOUT: 400
"""All graphs of four captures and of a synthetic one, of both feature sets, in both modes, against tests/oracle/kd*_oracle.py."""
import itertools
import os
import random
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "oracle"))
import kd11_oracle  # noqa: E402
import kd35_oracle  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"))
SAN = BUILD.rstrip("/").endswith("-san")
SHARED = os.path.join(ROOT, os.environ.get("CANIDS_SHARED", "../shared"))
# Columns of a node and of an edge that hold integers.
INTEGERS = {"kd35": (list(range(16, 25)) + [33, 34], list(range(1, 11))), "kd11": ([0], [0, 8, 9])}
REAL = (
    "hcrl_sa/test_04_unknown_vehicle_unknown_attack/malfunction-spark.csv",
    "hcrl_sa/test_02_unknown_vehicle_known_attack/fuzzing-Spark.csv",     # 1,946 identifiers
    "set_01/train_02_with_attacks/targeted_payload_fuzzing-2.csv",        # 56 time steps back
    "set_01/test_04_unknown_vehicle_unknown_attack/systematic-4.csv",     # 61 empty payloads
)
COLUMNS = {"kd35": 35, "kd11": 11}


def compile_dump(folder):
    program = os.path.join(folder, "dump_graphs")
    san = ["-fsanitize=address,undefined"] if SAN else []
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-I" + os.path.join(ROOT, "include"), *san,
                    os.path.join(HERE, "dump", "dump_graphs.c"), os.path.join(BUILD, "libcanids.a"), "-lm", "-o", program],
                   check=True)
    return program


def dump(program, name, capture, frames, stride, compat, out):
    subprocess.run([program, name, capture, str(frames), str(stride), str(int(compat)), out], check=True)
    raw, at = open(out, "rb").read(), 0

    def take(kind, n):
        nonlocal at
        a = np.frombuffer(raw, kind, n, at)
        at += a.nbytes
        return a

    n_graph, n_node, n_edge = (int(v) for v in take("<i8", 3))
    g = dict(node_first=take("<i4", n_graph + 1), edge_first=take("<i4", n_graph + 1), row=take("<i8", n_graph),
             attack=take("u1", n_graph), id=take("<u4", n_node), x=take("<f4", COLUMNS[name] * n_node).reshape(-1, COLUMNS[name]),
             src=take("<i4", n_edge), dst=take("<i4", n_edge), e=take("<f4", 11 * n_edge).reshape(-1, 11))
    assert at == len(raw), "bytes left over"
    return g


def same(what, got, want, integers):
    """Integers exactly.  Others to 1e-6 relative: both are rounded to float32 once, 6e-8 each; 1e-12 absolute, as
    eight terms of up to 10 may cancel and leave rounding errors of double."""
    want = want.astype(np.float32)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    assert np.array_equal(got[:, integers], want[:, integers]), f"{what}: integers differ"
    g, w = got.astype(np.float64), want.astype(np.float64)
    bad = np.argwhere(~(np.abs(g - w) <= 1e-6 * np.abs(w) + 1e-12))
    assert not len(bad), f"{what}: row {bad[0][0]} column {bad[0][1]} is {g[tuple(bad[0])]!r}, not {w[tuple(bad[0])]!r}"


def wanted(name, rows, frames, stride):
    """(first row, graphs of our mode and of the reference's; None where a mode has no such window)."""
    if name == "kd35":
        yield from kd35_oracle.graphs(rows, frames, stride)
        return
    ids = sorted({r[1] for r in rows})
    known = [v for i, v in enumerate(ids) if i % 5 != 4]  # as dump_graphs
    number = {v: i + 1 for i, v in enumerate(known)}
    theirs = dict(kd11_oracle.graphs(rows, frames, stride, True, number))
    for first, ours in kd11_oracle.graphs(rows, frames, stride, False, number):
        yield first, ours, theirs.pop(first, None)
    assert not theirs


def compare(program, name, capture, frames, stride, out):
    rows = kd35_oracle.read(capture)
    got = [dump(program, name, capture, frames, stride, compat, out) if frames > 2 or not compat or name == "kd11" else None for compat in (False, True)]
    n, edges_met = [0, 0], 0
    for i, (first, *want) in enumerate(wanted(name, rows, frames, stride)):
        for mode, (g, w) in enumerate(zip(got, want)):
            if g is None or w is None:
                continue
            what = f"{name}, window {i} of {os.path.basename(capture)}, W {frames}, S {stride}, mode {mode}"
            nodes, edges = (slice(g[f][i], g[f][i + 1]) for f in ("node_first", "edge_first"))
            ids, x, src, dst, e, attack = w
            assert g["row"][i] == first and g["attack"][i] == attack, f"{what}: row or label"
            assert list(g["id"][nodes]) == ids, f"{what}: identifiers"
            assert list(g["src"][edges]) == src and list(g["dst"][edges]) == dst, f"{what}: edges"
            same(what + ", nodes", g["x"][nodes], x, INTEGERS[name][0])
            same(what + ", edges", g["e"][edges], e, INTEGERS[name][1])
            n[mode] += 1
    for g, want in zip(got, n):
        assert g is None or len(g["row"]) == want, f"{len(g['row'])} graphs, not {want}"
    return f"{n[0]} and {n[1]} graphs, {len(got[0]['id']) / max(n[0], 1):.1f} nodes and {len(got[0]['src']) / max(n[0], 1):.1f} edges each"


def part_of(capture, folder):
    """The capture, or under sanitizers, which make everything twice, its first 30,000 rows."""
    if not SAN:
        return capture
    part = os.path.join(folder, os.path.basename(capture))
    with open(capture, encoding="utf-8") as f, open(part, "w", encoding="utf-8") as out:
        out.writelines(itertools.islice(f, 30001))
    return part


def synthesise(path):
    """Everything that is legal: both kinds of identifiers, all lengths, constant and random payloads, equal times,
    steps back, and a flood of identifiers that fills a window with more than 128 nodes."""
    rnd = random.Random(7)
    ns = 1513920189391211000
    with open(path, "w") as f:
        f.write("timestamp,arbitration_id,data_field,attack\n")
        for i in range(3000):
            ns += rnd.choice((0, 23000, 1000, 250000, 999999999 if i % 500 == 0 else 7, -4000))
            few = i < 1800
            ident = rnd.choice((0x7FF, 0, 0x18FEF100, 0x800, 0x123, 0x1FFFFFFF)) if few else rnd.randrange(1 << rnd.choice((9, 29)))
            n = rnd.randrange(9) if ident & 1 else 8
            payload = bytes(rnd.choice((0, 255, 1, rnd.randrange(256))) for _ in range(n)) if ident & 3 else b"\x10\x20\0\0\xff\0\0\1"
            f.write(f"{ns // 10**9}.{ns % 10**9:09d},{ident:X},{payload.hex().upper()},{int(i % 701 == 0)}\n")


def report(name, run):
    try:
        print(f"ok - {name} # {run()}", flush=True)
        return True
    except (AssertionError, subprocess.CalledProcessError) as error:
        print(f"not ok - {name}\n# {error}", flush=True)
        return False


def main():
    good = True
    with tempfile.TemporaryDirectory() as folder:
        program, out = compile_dump(folder), os.path.join(folder, "graphs.bin")
        made = os.path.join(folder, "synthetic.csv")
        synthesise(made)
        for name in sorted(COLUMNS):
            for frames, stride in ((100, 100), (2, 5), (3, 1), (7, 3), (333, 150), (3000, 1)):
                good &= report(f"window_oracle__agrees_on_{name}_of_synthetic_frames_at_{frames}_{stride}",
                               lambda k=name, f=frames, s=stride: compare(program, k, made, f, s, out))
            for path in REAL:
                capture = os.path.join(SHARED, "data", path)
                test = f"window_oracle__agrees_on_{name}_of_{os.path.basename(path)[:-4].replace('-', '_')}"
                if os.path.exists(capture):
                    good &= report(test, lambda k=name, c=part_of(capture, folder): compare(program, k, c, 100, 100, out))
                else:
                    print(f"skip - {test}: {path} is not in the shared data")
    sys.exit(not good)


if __name__ == "__main__":
    main()
