"""All graphs of two captures and of a synthetic one, in both modes, against tests/oracle/kd35_oracle.py."""
import os
import random
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "oracle"))
import kd35_oracle as oracle  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"))
SHARED = os.path.join(ROOT, os.environ.get("CANIDS_SHARED", "../shared"))
INTEGERS = list(range(16, 25)) + [33, 34]  # columns of a node that hold integers; of an edge, all but 0


def compile_dump(folder):
    program = os.path.join(folder, "dump_graphs")
    san = ["-fsanitize=address,undefined"] if BUILD.rstrip("/").endswith("-san") else []
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-I" + os.path.join(ROOT, "include"), *san,
                    os.path.join(HERE, "dump", "dump_graphs.c"), os.path.join(BUILD, "libcanids.a"), "-lm", "-o", program],
                   check=True)
    return program


def dump(program, capture, frames, stride, compat, out):
    subprocess.run([program, capture, str(frames), str(stride), str(int(compat)), out], check=True)
    raw, at = open(out, "rb").read(), 0

    def take(kind, n):
        nonlocal at
        a = np.frombuffer(raw, kind, n, at)
        at += a.nbytes
        return a

    n_graph, n_node, n_edge = (int(v) for v in take("<i8", 3))
    g = dict(node_first=take("<i4", n_graph + 1), edge_first=take("<i4", n_graph + 1), row=take("<i8", n_graph),
             attack=take("u1", n_graph), id=take("<u4", n_node), x=take("<f4", 35 * n_node).reshape(-1, 35),
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


def compare(program, capture, frames, stride, out):
    rows = oracle.read(capture)
    got = [dump(program, capture, frames, stride, compat, out) for compat in ((False, True) if frames > 2 else (False,))]
    n = 0
    for i, (first, *want) in enumerate(oracle.graphs(rows, frames, stride)):
        for g, w in zip(got, want):
            what = f"window {i} of {os.path.basename(capture)}, W {frames}, S {stride}"
            nodes, edges = (slice(g[f][i], g[f][i + 1]) for f in ("node_first", "edge_first"))
            ids, x, src, dst, e, attack = w
            assert g["row"][i] == first and g["attack"][i] == attack, f"{what}: row or label"
            assert list(g["id"][nodes]) == ids, f"{what}: identifiers"
            assert list(g["src"][edges]) == src and list(g["dst"][edges]) == dst, f"{what}: edges"
            same(what + ", nodes", g["x"][nodes], x, INTEGERS)
            same(what + ", edges", g["e"][edges], e, list(range(1, 11)))
        n += 1
    assert all(len(g["row"]) == n for g in got), f"{len(got[0]['row'])} graphs, not {n}"
    return n


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
        for frames, stride in ((100, 100), (2, 5), (3, 1), (7, 3), (333, 150), (3000, 1)):
            good &= report(f"window_oracle__agrees_on_synthetic_frames_at_{frames}_{stride}",
                           lambda f=frames, s=stride: f"{compare(program, made, f, s, out)} graphs")
        for name, path, frames, stride in (
                ("malfunction_spark", "hcrl_sa/test_04_unknown_vehicle_unknown_attack/malfunction-spark.csv", 100, 100),
                ("targeted_payload_fuzzing_2", "set_01/train_02_with_attacks/targeted_payload_fuzzing-2.csv", 100, 100)):
            capture = os.path.join(SHARED, "data", path)
            test = f"window_oracle__agrees_on_{name}"
            if os.path.exists(capture):
                good &= report(test, lambda c=capture, f=frames, s=stride: f"{compare(program, c, f, s, out)} graphs")
            else:
                print(f"skip - {test}: {path} is not in the shared data")
    sys.exit(not good)


if __name__ == "__main__":
    main()
