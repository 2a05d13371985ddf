#!/usr/bin/python3
"""A checkpoint as h5py sees it: the names of ckpt.h, a table of tensors without holes, the scaler as numpy computes it from the
store, the digest of its weights; the same bytes on 1, 2, 3 and 5 ranks."""
import hashlib
import json
import os
import re
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
from small_run import PROGRAM, Report, run  # noqa: E402

report = Report()


def identity(path):
    """Of a file that several ranks hash: SHA-256 over its size and the hashes of its blocks, which its commit record lists."""
    with open(os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".commit")) as f:
        record = json.load(f)
    text = "bytes %d block %d\n" % (os.path.getsize(path), 4 << 20) + "".join(h + "\n" for h in record["xxh128"])
    return hashlib.sha256(text.encode()).hexdigest() if len(record["xxh128"]) == -(-os.path.getsize(path) // (4 << 20)) else None


def arrays_are_there(c, store):
    n_param, n_tensor, n_vocab = len(c["weight"]), len(c["tensor_name"]), int(store.attrs["vocabulary"])
    want = {"weight": ("f4", (n_param,)), "moment1": ("f4", (n_param,)), "moment2": ("f4", (n_param,)), "exponent": ("i4", (n_tensor,)),
            "tensor_name": ("S32", (n_tensor,)), "tensor_rows": ("i4", (n_tensor,)), "tensor_cols": ("i4", (n_tensor,)),
            "tensor_first": ("i8", (n_tensor,)), "scaler_node": ("f8", (35, 2)), "scaler_edge": ("f8", (11, 2)), "vocabulary": ("u4", (n_vocab,)),
            "score": ("f8", (4,)), "state": ("f4", (0,)), "calibration": ("f8", (0, 2))}
    have = {k: (c[k].dtype.str[1:], c[k].shape) for k in c}
    report(have == want, "checkpoint__has_the_arrays_of_its_header", have)
    attrs = {k: v.decode() if isinstance(v, bytes) else int(v) for k, v in c.attrs.items()}
    sha = attrs.pop("store_tree_sha256"), attrs.pop("settings_sha256"), attrs.pop("split_sha256")
    model = dict(line.split("=") for line in attrs.pop("model").split())
    loss = attrs.pop("loss_sum")
    want = {"format": "canids checkpoint", "format_version": 2, "features": "kd35", "scaler_clip": 10, "step": 1, "epoch": 1, "batch": 0, "best_epoch": 0,
            "better_epoch": 0, "finished": 1, "teacher_sha256": "", "difficulty_sha256": "", "plateau_seen": 1, "plateau_bad": 0, "plateau_drops": 0}
    report(attrs == want and loss == 0 and sha[0] == identity(store.filename) and len(sha[1]) == 64 and len(sha[2]) == 64 and model["n_feature"] == "35",
           "checkpoint__has_the_attributes_of_its_header", attrs)


def tensors_cover_the_weights(c):
    at, names = 0, []
    for name, rows, cols, first in zip(c["tensor_name"], c["tensor_rows"], c["tensor_cols"], c["tensor_first"]):
        if first != at:
            break
        at += int(rows) * int(cols)
        names.append(name.decode())
    n_vocab = len(c["vocabulary"])
    report(at == len(c["weight"]) == 105602 + 16 * (n_vocab + 1) and len(set(names)) == len(names), "tensors__cover_the_weights_without_holes",
           (at, names))
    report(np.isfinite(c["weight"][:]).all() and (c["moment2"][:] >= 0).all(), "weights__are_finite")


def training_graphs(f, seed, blocks=20, every=5):
    """The sentence of split.h, said in Python."""
    w, s, out = int(f.attrs["window_frames"]), int(f.attrs["window_stride"]), []
    embargo = max(1, -(-w // s) - 1)
    first, role = f["capture_graph"][:], f["folder_role"][:][f["capture_folder"][:]]
    for c in np.flatnonzero(role == 0):
        n = int(first[c + 1] - first[c])
        edges = [n // blocks * b + n % blocks * b // blocks for b in range(blocks + 1)]
        valid = np.zeros(n, bool)
        for b in range(blocks):
            valid[edges[b]:edges[b + 1]] = b % every == seed % every
        for i in range(n):
            if not valid[max(0, i - embargo):i + embargo + 1].any() and ("graph_warm" not in f or f["graph_warm"][int(first[c]) + i]):
                out.append(int(first[c]) + i)
    return np.array(out)


def streamed_scaler_is_numpy_s(c, f, log):
    """All warm training windows, attacks too; values are counted in units of 2^-24 (edges 2^-30)."""
    train = training_graphs(f, 42)
    told = int(re.search(r"split: (\d+) training windows", log).group(1))
    report(len(train) == told and 0 < f["graph_label"][:][train].mean() < 1, "split__has_no_window_that_is_too_early", (len(train), told))
    node, edge = f["graph_node"][:], f["graph_edge"][:]
    rows = {"scaler_node": (f["node_x"][:], np.concatenate([np.arange(node[g], node[g + 1]) for g in train])),
            "scaler_edge": (f["edge_x"][:], np.concatenate([np.arange(edge[g], edge[g + 1]) for g in train])),
            "scaler_window": (f["graph_window"][:], train)}
    for name, (v, at) in rows.items():
        unit = 2.0 ** (30 if name == "scaler_edge" else 24)
        v = np.rint(v[at].astype(np.float64) * unit) / unit
        mean, spread = v.mean(0), v.std(0)
        spread = np.maximum(spread, 1e-6 * np.maximum(1, np.abs(mean)))
        got = c[name][:]
        bad = np.flatnonzero((np.abs(got[:, 0] - mean) > 1e-12 * np.maximum(np.abs(mean), spread)) | (np.abs(got[:, 1] - spread) > 1e-9 * spread))
        report(got.shape == (v.shape[1], 2) and not len(bad), name + "__is_what_numpy_finds_in_warm_training_graphs",
               [(int(k), got[k].tolist(), mean[k], spread[k]) for k in bad])


def scaler_is_numpy_s(c, f, log):
    train = training_graphs(f, 42)
    told = int(re.search(r"split: (\d+) training windows", log).group(1))
    report(len(train) == told, "split__is_what_its_sentence_says", (len(train), told))
    benign = train[f["graph_label"][:][train] == 0]
    node, edge = f["graph_node"][:], f["graph_edge"][:]
    rows = np.concatenate([np.arange(node[g], node[g + 1]) for g in benign])
    x = f["node_x"][:].astype(np.float64)[rows] / 2.0 ** f["node_x"].attrs["log2_scale"]
    rows = np.concatenate([np.arange(edge[g], edge[g + 1]) for g in benign])
    e = np.column_stack([f["edge_iat"][:].astype(np.float64), f["edge_byte"][:], f["edge_bidir"][:], f["edge_freq"][:]])[rows]
    for name, v, slack in (("scaler_node", x, 0), ("scaler_edge", e, 2.0**-30)):  # times are counted in units of 2^-30 s
        mean, spread = v.mean(0), v.std(0)
        spread = np.maximum(spread, 1e-6 * np.maximum(1, np.abs(mean)))
        got = c[name][:]
        bad = np.flatnonzero((np.abs(got[:, 0] - mean) > 1e-12 * np.maximum(np.abs(mean), spread) + slack * (np.arange(len(mean)) == 0)) |
                             (np.abs(got[:, 1] - spread) > 1e-9 * spread + slack * (np.arange(len(mean)) == 0)))
        report(not len(bad), name + "__is_what_numpy_finds_in_benign_training_graphs", [(int(k), got[k].tolist(), mean[k], spread[k]) for k in bad])


def ranks_leave_the_same(folder, first, sha):
    seen = {}
    for ranks in (1, 2, 3, 5):
        out, ran = run(folder, ranks, "ranks%d" % ranks, "scan,build,train,eval", sets=["run.log=debug"])
        shards = [int(n) for n in re.findall(r"computed (\d+) shards", ran.stdout)]
        seen[ranks] = hashlib.sha256(open(os.path.join(out, "best.h5"), "rb").read()).hexdigest() if ran.returncode == 0 else ran.stdout
        report(len(shards) == ranks and sum(n > 0 for n in shards) >= min(ranks, 2), "training__on_%d_ranks_is_shared: shards %s" % (ranks, shards), ran.stdout)
        report(sha in ran.stdout, "weights__on_%d_ranks_are_those_of_one" % ranks, ran.stdout)
        same = all(open(os.path.join(out, n), "rb").read() == open(os.path.join(first, n), "rb").read() for n in ("results.json", "results.csv", "scores.h5", "last.h5", "store.h5"))
        report(same, "run__on_%d_ranks_leaves_the_same_files" % ranks)
    want = hashlib.sha256(open(os.path.join(first, "best.h5"), "rb").read()).hexdigest()
    report(set(seen.values()) == {want}, "checkpoint__has_one_sha256_for_1_2_3_5_ranks", seen)


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - checkpoint__has_its_program: %s is missing, run make" % PROGRAM)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        out, ran = run(folder)
        if ran.returncode:
            print("not ok - run: %d %s" % (ran.returncode, ran.stdout))
            return 1
        with h5py.File(os.path.join(out, "best.h5"), "r") as c, h5py.File(os.path.join(out, "store.h5"), "r") as f:
            arrays_are_there(c, f)
            tensors_cover_the_weights(c)
            scaler_is_numpy_s(c, f, ran.stdout)
            sha = hashlib.sha256(c["weight"][:].tobytes()).hexdigest()
            report("last weights " + sha in ran.stdout, "weights__have_the_digest_that_was_logged", sha)
            known = f["id_value"][:][f["id_vocab"][:] > 0]
            report(np.array_equal(c["vocabulary"][:], known), "vocabulary__is_the_store_s")
        ranks_leave_the_same(folder, out, sha)
        out, ran = run(folder, name="streamed", pipeline="scan,build,train", sets=["features.set=agnostic", "model.preset=agnostic"])
        report(ran.returncode == 0, "run__of_a_streamed_set_trains", ran.stdout)
        if ran.returncode == 0:
            with h5py.File(os.path.join(out, "best.h5"), "r") as c, h5py.File(os.path.join(out, "store.h5"), "r") as f:
                streamed_scaler_is_numpy_s(c, f, ran.stdout)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
