#!/usr/bin/python3
"""A store of a streamed set: what h5py and the exports see of its windows and labels is what was put, on any number of ranks; damaged
ones are refused; the layout messages is."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small_run import BUILD, PROGRAM, Report, run  # noqa: E402

TEST = os.path.join(BUILD, "tests/store/test_streamed")
WINDOW = {"none": 26, "guard": 82, "both": 164}
SETS = {"none": "agnostic-none", "guard": "agnostic", "both": "agnostic-both"}
report = Report()


def start(program, *args, ranks=0):
    command = (["mpirun", "-n", str(ranks)] if ranks else []) + [program, *args]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def made(folder, past):
    """The graphs as they were made."""
    out = os.path.join(folder, "made_" + past)
    if start(TEST, "made", past, out).returncode:
        raise SystemExit("not ok - made: %s" % out)
    read = {k: np.fromfile(out + "." + k, t) for k, t in (("w", "<f4"), ("warm", "u1"), ("e", "<f4"), ("label", "u1"), ("x", "<f4"))}
    read["w"] = read["w"].reshape(-1, WINDOW[past])
    read["e"] = read["e"].reshape(len(read["label"]), -1)
    return read


def is_what_was_put(folder, past, layout):
    path, want = os.path.join(folder, "%s_%s.h5" % (past, layout)), made(folder, past)
    start(TEST, "write", past, layout, path)
    half = layout == "compact"
    with h5py.File(path, "r") as f:
        e, kept = f["edge_x"][()], want["e"].astype(np.float16) if half else want["e"]
        checks = {
            "graph_window": f["graph_window"].dtype == np.float32 and np.array_equal(f["graph_window"][()], want["w"]),
            "graph_warm": f["graph_warm"].dtype == np.uint8 and np.array_equal(f["graph_warm"][()], want["warm"]) and 0 < want["warm"].mean() < 1,
            "edge_label": f["edge_label"].dtype == np.uint8 and np.array_equal(f["edge_label"][()], want["label"]) and 0 < want["label"].mean() < 1,
            "edge_x": e.dtype == kept.dtype and np.array_equal(e, kept) and ("log2_scale" in f["edge_x"].attrs) == half,
            "node_x": np.array_equal(f["node_x"][()].ravel(), want["x"].astype(np.float16) if half else want["x"]),
            "attributes": f.attrs["past"].decode() == past and f.attrs["features"].decode() == SETS[past] and f.attrs["layout"].decode() == layout,
            "meanings": all("meaning" in f[k].attrs for k in f),
            "arrays": len(f) == 23,
        }
    bad = [k for k, good in checks.items() if not good]
    report(not bad, "store__of_%s_%s_is_what_was_put" % (past, layout), bad)
    return path, want


def ranks_write_the_same(folder):
    shas = {}
    for ranks in (0, 1, 2, 3, 5):
        path = os.path.join(folder, "made%d.h5" % ranks)
        ran = start(TEST, "write", "guard", "float32", path, ranks=ranks)
        shas[ranks] = ran.stdout.strip()
        if ran.returncode or hashlib.sha256(open(path, "rb").read()).hexdigest() != shas[ranks]:
            shas[ranks] = "failed: " + ran.stderr
    report(len(set(shas.values())) == 1, "store__has_one_sha256_for_1_2_3_5_ranks", shas)


def exports_tell(folder, store, want):
    npy, table = os.path.join(folder, "npy"), os.path.join(folder, "csv")
    ran = [start(PROGRAM, "export", store, "--to", "npy", "--out", npy), start(PROGRAM, "export", store, "--to", "csv", "--out", table)]
    if any(r.returncode for r in ran):
        report(False, "export__is_written", ran)
        return
    got = {k: np.load(os.path.join(npy, k + ".npy")) for k in ("graph_window", "graph_warm", "edge_label", "edge_x")}
    lines = [[line.rstrip("\n").split(",") for line in open(os.path.join(table, n), encoding="utf-8")] for n in ("graphs.csv", "edges.csv")]
    with open(os.path.join(npy, "export.json"), encoding="utf-8") as f:
        note = json.load(f)
    known = json.loads(start(PROGRAM, "info", "--features", "--json").stdout)["agnostic"]
    names = [c["name"] for c in known["window"]]
    rows = np.array(lines[0][1:])
    edges = np.array(lines[1][1:])
    checks = {
        "npy": np.array_equal(got["graph_window"], want["w"]) and np.array_equal(got["graph_warm"], want["warm"])
               and np.array_equal(got["edge_label"], want["label"]) and np.array_equal(got["edge_x"], want["e"]),
        "heads": lines[0][0] == ["graph", "capture", "row", "label", "nodes", "edges", "warm"] + names
                 and lines[1][0][:4] == ["graph", "src", "dst", "label"],
        "csv windows": np.array_equal(rows[:, 6].astype(int), want["warm"]) and np.array_equal(rows[:, 7:].astype(np.float32), want["w"]),
        "csv edges": np.array_equal(edges[:, 3].astype(int), want["label"]) and np.array_equal(edges[:, 4:].astype(np.float32), want["e"]),
        "note": note["past"] == "guard" and [c["name"] for c in note["window_columns"]] == names and "graph_warm.npy" in note["files"],
        "groups": {c["group"] for c in known["window"]} == {"novelty", "edge", "timing", "rate", "shape", "payload"}
                  and {c["scaling"] for c in known["window"]} == {"z-all"},
    }
    said = json.loads(start(PROGRAM, "inspect", "--json", store).stdout)
    checks["inspect"] = said["past"] == "guard" and said["warm_graphs"] == int(want["warm"].sum()) and said["features"] == "agnostic"
    bad = [k for k, good in checks.items() if not good]
    report(not bad, "export__has_windows_and_labels", bad)


def without(name):
    return lambda f: f.__delitem__(name)


def replaced(name, make):
    def change(f):
        old = f[name][()]
        del f[name]
        f.create_dataset(name, data=make(old))
    return change


def put(name, i, value):
    return lambda f: f[name].__setitem__(i, value)


def attribute(name, value):
    return lambda f: f.attrs.__delitem__(name) if value is None else f.attrs.__setitem__(name, value)


CASES = [
    ("no_windows", without("graph_window"), "graph_window is missing"),
    ("no_warmth", without("graph_warm"), "graph_warm is missing"),
    ("no_labels_of_edges", without("edge_label"), "edge_label is missing"),
    ("a_window_too_few", replaced("graph_window", lambda a: a[:-1]), "graph_window"),
    ("a_column_too_few", replaced("graph_window", lambda a: a[:, 1:]), "graph_window is"),
    ("windows_in_halves", replaced("graph_window", lambda a: a.astype(np.float16)), "graph_window is"),
    ("a_label_too_few", replaced("edge_label", lambda a: a[:-1]), "edge_label"),
    ("warmth_2", put("graph_warm", 4, 2), "graph_warm 2"),
    ("an_edge_label_2", put("edge_label", 1000, 2), "edge_label 2"),
    ("no_past", attribute("past", None), "attribute past is missing"),
    ("an_unknown_past", attribute("past", np.bytes_("yore")), "of the past \"yore\""),
    ("the_past_of_another_set", attribute("past", np.bytes_("both")), "of the past \"both\""),
    ("frames_instead", attribute("layout", np.bytes_("messages")), "in the layout messages"),
    ("halves_instead", attribute("layout", np.bytes_("compact")), "float32, wanted (-1, 35) float16"),
]


def refusals(folder, store):
    path, bad = os.path.join(folder, "case.h5"), []
    for name, change, message in CASES:
        shutil.copy(store, path)
        with h5py.File(path, "r+") as f:
            change(f)
        ran = start(TEST, "open", path)
        code, _, said = ran.stdout.strip().partition(" ")
        if ran.returncode or code != "CI_EFORMAT" or message not in said:
            bad.append("%s: %d %s %s" % (name, ran.returncode, ran.stdout.strip(), ran.stderr[-300:]))
    report(not bad, "store_open__refuses_%d_streamed_files" % len(CASES), "\n".join(bad))


def settings_are_refused(folder):
    out, ran = run(folder, pipeline="sim,scan,build", sets=["features.set=agnostic", "model.preset=agnostic", "store.layout=messages"])
    report(ran.returncode == 78 and "set it to auto, float32 or compact" in ran.stdout and not os.path.exists(os.path.join(out, "store.h5")),
           "build__refuses_messages", ran)
    out, ran = run(folder, name="compat", pipeline="scan,build", sets=["features.set=agnostic", "model.preset=agnostic", "features.compat=reference"])
    report(ran.returncode == 78 and "features.compat" in ran.stdout, "scan__refuses_compat", ran)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for past in WINDOW:
            for layout in ("compact", "float32"):
                kept = is_what_was_put(folder, past, layout)
                if (past, layout) == ("guard", "float32"):
                    store, want = kept
        ranks_write_the_same(folder)
        exports_tell(folder, store, want)
        refusals(folder, store)
        settings_are_refused(folder)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
