#!/usr/bin/python3
"""What h5py sees in a store is what the schema says; the bytes do not depend on ranks; what is no store is refused with its code."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small_run import BUILD, PROGRAM, Report, run  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST = os.path.join(BUILD, "tests/store/test_store")
report = Report()


def start(*args, ranks=0):
    command = (["mpirun", "-n", str(ranks)] if ranks else []) + [TEST, *args]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def schema_matches(store):
    lines = [line.split("|") for line in start("schema", store).stdout.split("\n")[:-1]]
    wrong = []
    with h5py.File(store, "r") as f:
        if sorted(f) != sorted(line[0] for line in lines) or len(lines) != 23:
            wrong.append("arrays %s" % sorted(f))
        for name, dtype, rows, cols, unit, meaning, scale in lines:
            a, rows, cols = f[name], int(rows), int(cols)
            text = dtype == "bytes"
            if a.dtype != (np.dtype("S%d" % cols) if text else np.dtype(dtype)) or a.shape != ((rows,) if text or cols == 1 else (rows, cols)):
                wrong.append("%s is %s %s" % (name, a.dtype, a.shape))
            want = {k: v for k, v in (("unit", unit), ("meaning", meaning), ("log2_scale", scale)) if v}
            have = {k: v.decode() if isinstance(v, bytes) else ",".join(str(x) for x in v) for k, v in a.attrs.items()}
            if have != want:
                wrong.append("%s: attributes %s" % (name, have))
            if a.chunks or a.compression or (rows and a.id.get_offset() is None):
                wrong.append(name + " is not contiguous")
        if f["node_x"].attrs["log2_scale"].dtype != np.int16 or len(f["node_x"].attrs["log2_scale"]) != 35:
            wrong.append("log2_scale")
        attrs = {k: v.decode() if isinstance(v, bytes) else int(v) for k, v in f.attrs.items()}
        source = attrs.pop("source_sha256")
        want = {"format": "canids graph store", "format_version": 2, "layout": "compact", "features": "kd35", "features_version": 1, "compat": "none", "window_frames": 100, "window_stride": 100, "simulated": 1,
                "vocabulary": int((f["id_vocab"][:] > 0).sum()), "title": "sliding-window graphs of CAN captures"}
        if attrs != want or len(source) != 64:
            wrong.append("file attributes %s" % attrs)
    report(not wrong, "schema__is_what_h5py_sees", wrong)


def content_holds_together(store):
    """What every reader relies on, said with numpy."""
    with h5py.File(store, "r") as f:
        node, edge, w = f["graph_node"][:], f["graph_edge"][:], int(f.attrs["window_frames"])
        n, e = np.diff(node), np.diff(edge)
        owner = np.repeat(np.arange(len(e)), e)
        x = f["node_x"][:].astype(np.float64) / 2.0 ** f["node_x"].attrs["log2_scale"]
        same = np.ones(len(f["node_id"]) - 1, bool)
        same[node[1:-1] - 1] = False
        checks = {
            "offsets": node[0] == 0 and edge[0] == 0 and node[-1] == len(f["node_id"]) and edge[-1] == len(f["edge_src"]),
            "edges": (e == w - 1).all() and (f["edge_src"][:] < n[owner]).all() and (f["edge_dst"][:] < n[owner]).all(),
            "messages": np.array_equal(np.add.reduceat(x[:, 24], node[:-1]), np.full(len(n), w)),
            "ids ascend": (np.diff(f["node_id"][:].astype(int))[same] > 0).all() and (np.diff(f["id_value"][:].astype(np.int64)) > 0).all(),
            "captures": np.array_equal(np.repeat(np.arange(len(f["capture_rows"])), np.diff(f["capture_graph"][:])), f["graph_capture"][:]),
            "windows": np.array_equal(np.diff(f["capture_graph"][:]), np.maximum(0, (f["capture_rows"][:] - w) // w + 1)),
        }
    bad = [k for k, v in checks.items() if not v]
    report(not bad, "store__holds_together", bad)


def readers_read(folder):
    store, best = os.path.join(folder, "store.h5"), os.path.join(folder, "best.h5")
    with h5py.File(store, "r") as f:
        label, ids = f["graph_label"][:], f["id_value"][:][f["node_id"][f["graph_node"][5]:f["graph_node"][6]]]
    out = {}
    for script, args in (("read_store.py", [store, "5"]), ("read_checkpoint.py", [best])):
        path = os.path.join(ROOT, "tools", script)
        ran = subprocess.run([sys.executable, path] + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        out[script] = ran.stdout
        report(ran.returncode == 0 and len(open(path).readlines()) <= 30, script + "__reads_in_30_lines", ran.stdout)
    text = out["read_store.py"]
    report(text.startswith("%d graphs, %.1f %% attacks" % (len(label), 100 * label.mean())) and "graph 5: row 500 of" in text and
           text.count("\n  node ") == len(ids) and text.count("\n  edge ") == 99 and all(" id %-8X" % i in text for i in ids), "read_store.py__tells_the_truth", text[:500])
    with h5py.File(best, "r") as f:
        report("%d parameters" % len(f["weight"]) in out["read_checkpoint.py"] and "embed.weight" in out["read_checkpoint.py"],
               "read_checkpoint.py__tells_the_truth", out["read_checkpoint.py"])


def ranks_write_the_same(folder):
    shas = {}
    for ranks in (0, 1, 2, 3, 5):
        path = os.path.join(folder, "made%d.h5" % ranks)
        ran = start("write", path, ranks=ranks)
        shas[ranks] = ran.stdout.strip()
        if ran.returncode or hashlib.sha256(open(path, "rb").read()).hexdigest() != shas[ranks]:
            shas[ranks] = "failed: " + ran.stderr
    report(len(set(shas.values())) == 1, "store__has_one_sha256_for_1_2_3_5_ranks", shas)


# ---- files that are no store

def without(name):
    def change(f):
        del f[name]
    return change


def replaced(name, make):
    def change(f):
        old = f[name][()]
        del f[name]
        f.create_dataset(name, **make(old))
    return change


def element(name, i, value):
    def change(f):
        f[name][i] = value
    return change


def attribute(name, value):
    def change(f):
        if value is None:
            del f.attrs[name]
        else:
            f.attrs[name] = value
    return change


def text(s):
    return np.bytes_(s)


def no_captures(f):
    """And fewer than no graphs."""
    for name in [n for n in f if n.startswith("capture_") and n != "capture_graph"] + ["graph_node", "graph_edge"]:
        replaced(name, lambda a: {"data": a[:0]})(f)
    replaced("capture_graph", lambda a: {"data": np.array([-1], dtype=a.dtype)})(f)


CASES = [
    ("an_older_version", attribute("format_version", np.int64(1)), "store of version 1, this program reads 2; build it again"),
    ("no_layout", attribute("layout", None), "attribute layout is missing"),
    ("unknown_layout", attribute("layout", text("zip")), "unknown layout \"zip\""),
    ("another_layout", attribute("layout", text("float32")), "node_x is"),
    ("a_layout_without_its_arrays", attribute("layout", text("messages")), "capture_frame is missing"),
    ("no_version", attribute("format_version", None), "attribute format_version is missing"),
    ("another_format", attribute("format", text("canids checkpoint")), "not a graph store"),
    ("no_format", attribute("format", None), "not a graph store"),
    ("features_of_another_version", attribute("features_version", np.int64(7)), "features kd35 of version 7"),
    ("unknown_features", attribute("features", text("kd99")), "kd99"),
    ("windows_of_one_frame", attribute("window_frames", np.int64(1)), "windows of 1 frames"),
    ("windows_of_70000_frames", attribute("window_frames", np.int64(70000)), "windows of 70000 frames"),
    ("wider_windows_than_its_indices", attribute("window_frames", np.int64(300)), "edge_src is"),
    ("narrower_windows_than_its_graphs", attribute("window_frames", np.int64(8)), "cannot be"),
    ("negative_vocabulary", attribute("vocabulary", np.int64(-1)), "vocabulary of -1"),
    ("short_vocabulary", attribute("vocabulary", np.int64(3)), "of a vocabulary of 3"),
    ("missing_array", without("node_x"), "array node_x is missing"),
    ("missing_head", without("capture_graph"), "array capture_graph is missing"),
    ("wrong_shape", replaced("node_x", lambda a: {"data": a[:, :34]}), "node_x is"),
    ("wrong_rows", replaced("edge_iat", lambda a: {"data": a[:-1]}), "wanted"),
    ("wrong_type", replaced("edge_iat", lambda a: {"data": a.astype(np.float64)}), "float64"),
    ("big_endian", replaced("edge_iat", lambda a: {"data": a.astype(">f4")}), "not a file of flat arrays"),
    ("chunked", replaced("edge_iat", lambda a: {"data": a, "chunks": (1000,)}), "not a file of flat arrays"),
    ("scalar", replaced("folder_role", lambda a: {"data": 1}), "not a file of flat arrays"),
    ("a_group", lambda f: f.create_group("more"), "not a file of flat arrays"),
    ("a_link_to_nowhere", lambda f: f.__setitem__("more", h5py.SoftLink("/nothing")), "not a file of flat arrays"),
    ("no_columns", lambda f: f.create_dataset("more", shape=(0, 0), dtype="u1"), "not a file of flat arrays"),
    ("70_arrays", lambda f: [f.create_dataset("more%d" % i, data=np.zeros(2)) for i in range(50)], "not a file of flat arrays"),
    ("node_offsets_that_fall", element("graph_node", 7, 0), "cannot be"),
    ("node_offsets_that_end_early", element("graph_node", -1, 5), "do not span"),
    ("edge_offsets_that_fall", element("graph_edge", 7, 0), "cannot be"),
    ("edge_offsets_that_start_late", element("graph_edge", 0, 1), "do not span"),
    ("label_2", element("graph_label", 3, 2), "cannot be"),
    ("capture_that_is_not_there", element("graph_capture", 3, 11), "cannot be"),
    ("folder_that_is_not_there", element("capture_folder", 0, 6), "out of order"),
    ("captures_out_of_order", element("capture_graph", 1, 10**6), "out of order"),
    ("graphs_before_the_first", no_captures, "out of order"),
    ("graphs_without_an_end", element("capture_graph", -1, 10**15), "wanted"),
]


def refusals(store, folder):
    path, bad = os.path.join(folder, "case.h5"), []
    for name, change, message in CASES:
        shutil.copy(store, path)
        with h5py.File(path, "r+") as f:
            change(f)
        ran = start("open", path)
        code, _, said = ran.stdout.strip().partition(" ")
        if ran.returncode or code != "CI_EFORMAT" or message not in said:
            bad.append("%s: %d %s %s" % (name, ran.returncode, ran.stdout.strip(), ran.stderr[-300:]))
    report(not bad, "store_open__refuses_%d_files_that_are_no_store" % len(CASES), "\n".join(bad))
    bad = []
    size = os.path.getsize(store)
    for n in (0, 1, 8, 100, 2000, 4096, size // 2, size - 1):
        shutil.copy(store, path)
        os.truncate(path, n)
        ran = start("open", path)
        if ran.returncode or not ran.stdout.startswith("CI_EFORMAT"):
            bad.append("%d bytes: %d %s" % (n, ran.returncode, ran.stdout))
    report(not bad, "store_open__refuses_a_store_that_was_cut", bad)


def main():
    for program in (TEST, PROGRAM):
        if not os.path.exists(program):
            print("not ok - store__has_its_programs: %s is missing, run make all tests" % program)
            return 1
    with tempfile.TemporaryDirectory() as folder:
        out, ran = run(folder)
        if ran.returncode:
            print("not ok - run: %d %s" % (ran.returncode, ran.stdout))
            return 1
        store = os.path.join(out, "store.h5")
        schema_matches(store)
        content_holds_together(store)
        readers_read(out)
        ranks_write_the_same(folder)
        refusals(store, folder)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
