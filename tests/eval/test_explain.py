#!/usr/bin/python3
"""explain.h5 of a small run: chosen windows, their graphs, attention and importance hold together, for a classifier and an autoencoder."""
import os
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
from small_run import PROGRAM, Report, run  # noqa: E402

N = 6
report = Report()


def chosen_evenly(f, s):
    """Of each test folder N windows, half of them attacks where there are enough of both, spread over the folder."""
    wrong = []
    folder, label, graph = s["capture_folder"][:][s["capture"][:]], s["label"][:], s["graph"][:]
    mine = s["capture_folder"][:][f["capture"][:]]
    for k in np.unique(folder[s["split"][:] == 1]):
        n = [int(((folder == k) & (label == y)).sum()) for y in (0, 1)]
        attacks = min(n[1], max(N // 2, N - n[0]))
        have = f["label"][:][mine == k]
        if have.sum() != attacks or len(have) != min(N, sum(n)):
            wrong.append((k, n, have.tolist()))
        at = f["graph"][:][mine == k]
        if at.tolist() != sorted(set(at.tolist())) or not np.isin(at, graph[folder == k]).all():
            wrong.append((k, at.tolist()))
        if attacks > 1:
            gaps = np.diff(np.searchsorted(graph[(folder == k) & (label == 1)], at[have == 1]))
            if gaps.max() - gaps.min() > 1:
                wrong.append((k, gaps.tolist()))
    return wrong


def of_the_store(f, store):
    """Nodes and edges are those of the store; the last edge into a node is its self-loop."""
    wrong = []
    for i, g in enumerate(f["graph"][:]):
        n, e = slice(f["node"][i], f["node"][i + 1]), slice(f["edge"][i], f["edge"][i + 1])
        sn, se = slice(*store["graph_node"][g:g + 2]), slice(*store["graph_edge"][g:g + 2])
        if f["node_id"][n].tolist() != store["id_value"][:][store["node_id"][sn]].tolist():
            wrong.append((i, "identifiers"))
        pairs = [(a, b) for a, b in zip(store["edge_src"][se].tolist(), store["edge_dst"][se].tolist()) if a != b]
        mine = list(zip(f["edge_src"][e].tolist(), f["edge_dst"][e].tolist()))
        loops = [(k, k) for k in range(n.stop - n.start)]
        if sorted(mine) != sorted(pairs + loops):
            wrong.append((i, "edges"))
        last = {b: a for a, b in mine}
        if any(last[k] != k for k in range(n.stop - n.start)):
            wrong.append((i, "loops"))
    return wrong


def arithmetic(f):
    wrong = [] if np.allclose(f["node_importance"][:], f["node_x"][:] * f["node_gradient"][:], rtol=1e-6, atol=0) else ["node importance"]
    if not np.allclose(f["edge_feature_importance"][:], f["edge_x"][:] * f["edge_gradient"][:], rtol=1e-6, atol=0):
        wrong.append("edge feature importance")
    if not np.allclose(f["edge_importance"][:], np.sqrt((f["edge_feature_importance"][:].astype(np.float64) ** 2).sum(1)), rtol=1e-5):
        wrong.append("edge importance")
    for name in (n for n in f if n.startswith("attention")):
        into = np.repeat(f["node"][:-1], np.diff(f["edge"][:])) + f["edge_dst"][:]
        p = f[name][:].astype(np.float64).reshape(len(into), -1)  # of one head it has one dimension
        total = np.zeros((f["node"][-1], p.shape[1]))
        np.add.at(total, into, p)
        if abs(total - 1).max() > 1e-5:
            wrong.append(name)
    return wrong + [n for n in ("node_gradient", "edge_gradient") if not np.isfinite(f[n][:]).all() or not abs(f[n][:]).max() > 0]


def looked_into(folder, name, sets):
    out, ran = run(folder, name=name, pipeline="scan,build,train,eval", sets=["eval.explain=%d" % N, "store.layout=float32", "eval.draws=0"] + sets)
    if ran.returncode:
        report(False, "run__%s" % name, ran.stdout)
        return out
    with h5py.File(os.path.join(out, "explain.h5"), "r") as f, h5py.File(os.path.join(out, "scores.h5"), "r") as s, h5py.File(os.path.join(out, "store.h5"), "r") as store:
        wrong = chosen_evenly(f, s)
        report(not wrong, "windows__are_spread_over_attacks_and_benign_ones_%s" % name, wrong)
        at = np.searchsorted(s["graph"][:], f["graph"][:])
        report(all(np.array_equal(f[k][:], s[k][:][at]) for k in ("graph", "capture", "row", "label", "score", "output")), "windows__are_those_of_scores_h5_%s" % name)
        wrong = of_the_store(f, store)
        report(not wrong, "graphs__are_those_of_the_store_%s" % name, wrong)
        wrong = arithmetic(f)
        report(not wrong, "importance__is_gradient_times_input_%s" % name, wrong)
        names = [n.decode() for n in f["output_name"][:]]
        if "emb_mean" in names:
            good = np.allclose(f["embedding"][:].mean(1), f["output"][:, names.index("emb_mean")], rtol=1e-4, atol=1e-6)
        else:
            good = np.allclose(f["embedding"][:], f["output"][:, [names.index("mu_%d" % k) for k in range(f["embedding"].shape[1])]], rtol=1e-4, atol=1e-6)
        report(good, "embedding__is_what_the_outputs_speak_of_%s" % name)
        report(len(f["node_feature"]) == f["node_x"].shape[1] and len(f["edge_feature"]) == f["edge_x"].shape[1] and len(f.attrs["target"]) > 4, "columns__have_names_%s" % name)
    return out


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - explain__has_its_program: %s is missing, run make" % PROGRAM)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        run(folder, pipeline="sim")
        out = looked_into(folder, "gat", [])
        looked_into(folder, "vgae", ["model.name=vgae"])
        os.remove(os.path.join(out, "explain.h5"))
        again = run(folder, name="gat", pipeline="eval", sets=["eval.explain=%d" % N, "store.layout=float32", "eval.draws=0"])[1]
        report(again.returncode == 0 and os.path.exists(os.path.join(out, "explain.h5")), "explain_h5__is_made_again_when_it_is_gone", again.stdout)
        again = run(folder, name="gat", pipeline="eval", sets=["store.layout=float32", "eval.draws=0"])[1]
        report(again.returncode == 0 and not os.path.exists(os.path.join(out, "explain.h5")), "explain_h5__goes_when_nothing_is_to_be_explained", again.stdout)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
