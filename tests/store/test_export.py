#!/usr/bin/python3
# TIMEOUT: 240
"""canids export: every array and every table is what h5py reads and the schema says; folders and errors."""
import csv
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small_run import PROGRAM, Report, run  # noqa: E402

report = Report()
KINDS = [("kd35", "compact", "none"), ("kd35", "float32", "reference"), ("kd11", "auto", "none"), ("kd11", "float32", "reference"),
         ("kd11", "messages", "none"), ("kd35", "messages", "none")]
DTYPE = dict(graph_capture="<i4", graph_row="<i8", graph_label="|u1", graph_node="<i8", graph_edge="<i8", node_id="<i4", node_x="<f4", edge_src="<i4",
             edge_dst="<i4", edge_x="<f4", capture_path="|S256", capture_hash="|S32", capture_folder="<i4", capture_attack="<i4",
             capture_rows="<i8", capture_graph="<i8", folder_name="|S256", folder_role="<i4", id_value="<u4", id_vocab="<i4")


def export(store, kind, folder, **more):
    return subprocess.run([PROGRAM, "export", store, "--to", kind, "--out", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, check=False, **more)


def arrays_of(store):
    """What the schema says, by h5py: features decoded, columns joined.  None for a store without graphs."""
    with h5py.File(store, "r") as f:
        if "node_x" not in f:
            return None
        a = {k: f[k][:] for k in f if k in DTYPE}
        scale = f["node_x"].attrs.get("log2_scale")
        a["node_x"] = a["node_x"].astype(np.float32) if scale is None else (a["node_x"].astype(np.float64) / 2.0**scale).astype(np.float32)
        if "edge_x" not in a:
            a["edge_x"] = np.column_stack([f[k][:].astype(np.float32) for k in ("edge_iat", "edge_byte", "edge_bidir", "edge_freq")])
    return a


def npy_is_what_h5py_reads(want, folder, name):
    names = sorted(n for n in os.listdir(folder) if not n.startswith("."))
    wrong = [] if names == sorted([n + ".npy" for n in DTYPE] + ["export.json"]) else ["files %s" % names]
    for n, dtype in DTYPE.items():
        path = os.path.join(folder, n + ".npy")
        with open(path, "rb") as f:
            version, start = np.lib.format.read_magic(f), np.lib.format.read_array_header_1_0(f) and f.tell()
        got = np.load(path)
        if version != (1, 0) or start % 64 or got.dtype != np.dtype(dtype) or got.shape != want[n].shape or not np.array_equal(got, want[n]):
            wrong.append("%s: %s %s at %d, wanted %s" % (n, got.dtype, got.shape, start, want[n].shape))
    report(not wrong, name, wrong)


def csv_is_what_h5py_reads(want, folder, features, name):
    wrong = []
    with open(os.path.join(folder, "export.json"), encoding="utf-8") as f:
        note = json.load(f)
    known = json.loads(subprocess.run([PROGRAM, "info", "--features", "--json"], capture_output=True, text=True, check=True).stdout)[features]

    def table(file, head):
        with open(os.path.join(folder, file), newline="", encoding="utf-8") as f:
            rows = list(csv.reader(f))
        if rows[0] != head:
            wrong.append("%s begins with %s" % (file, rows[0]))
        return rows[1:]

    names = {k: [c["name"] for c in known[k]] for k in ("node", "edge")}
    if any([c["name"] for c in note[k + "_columns"]] != names[k] for k in names):
        wrong.append("export.json has other columns")
    g = table("graphs.csv", ["graph", "capture", "row", "label", "nodes", "edges"])
    n = table("nodes.csv", ["graph", "node", "id", "vocab"] + names["node"])
    e = table("edges.csv", ["graph", "src", "dst"] + names["edge"])
    c = table("captures.csv", "capture path folder role attack xxh128 rows first_graph graphs".split())
    nodes, edges = np.diff(want["graph_node"]), np.diff(want["graph_edge"])
    each = np.arange(len(nodes))
    columns = np.column_stack([each, want["graph_capture"], want["graph_row"], want["graph_label"], nodes, edges])
    value = want["id_value"][want["node_id"]].astype(np.int64)
    ids = ["%08X" % (v & 0x1FFFFFFF) if v >> 31 else "%03X" % v for v in value]
    own = np.column_stack([np.repeat(each, nodes), np.arange(len(ids)) - np.repeat(want["graph_node"][:-1], nodes)])
    ends = np.column_stack([np.repeat(each, edges), want["edge_src"], want["edge_dst"]])
    checks = {
        "graphs": np.array_equal(np.array(g, np.int64), columns),
        "places of nodes": np.array_equal(np.array([r[:2] for r in n], np.int64), own),
        "identifiers": [r[2] for r in n] == ids,
        "vocabulary": np.array_equal(np.array([r[3] for r in n], np.int64), want["id_vocab"][want["node_id"]]),
        "node features": np.array_equal(np.array([r[4:] for r in n], np.float32), want["node_x"]),
        "ends": np.array_equal(np.array([r[:3] for r in e], np.int64), ends),
        "edge features": np.array_equal(np.array([r[3:] for r in e], np.float32), want["edge_x"]),
        "captures": [[r[1].encode(), r[5].encode(), int(r[6])] for r in c]
                    == [list(t) for t in zip(want["capture_path"], want["capture_hash"], want["capture_rows"].tolist())],
    }
    wrong += [k for k, good in checks.items() if not good]
    report(not wrong, name, wrong)


def every_store(folder):
    for features, layout, compat in KINDS:
        name = "%s_%s_%s" % (features, layout, compat)
        sets = ["features.set=" + features, "store.layout=" + layout, "features.compat=" + compat]
        out, done = run(folder, name=name, pipeline="sim,scan,build", sets=sets)
        store, npy, table = (os.path.join(folder, name, n) for n in ("store.h5", "npy", "csv"))
        ended = [export(store, "npy", npy), export(out, "csv", table)]  # a run directory names its store
        report(done.returncode == 0 and all(d.returncode == 0 for d in ended), "export__%s_is_written" % name, done.stdout + str(ended))
        want = arrays_of(store)
        if want is None:  # messages: as the float32 store of the same settings
            other, done = run(folder, name=name + "_f32", pipeline="scan,build", sets=sets[:1] + ["store.layout=float32"] + sets[2:])
            want = arrays_of(os.path.join(other, "store.h5"))
        npy_is_what_h5py_reads(want, npy, "export__%s_npy_is_what_h5py_reads" % name)
        csv_is_what_h5py_reads(want, table, features, "export__%s_csv_is_what_h5py_reads" % name)


def digests(folder):
    return {n: hashlib.sha256(open(os.path.join(folder, n), "rb").read()).hexdigest() for n in sorted(os.listdir(folder))}


def folders(folder):
    store, there = os.path.join(folder, KINDS[0][0] + "_compact_none", "store.h5"), os.path.join(folder, "there")
    first = export(store, "npy", there)
    was = digests(there)
    again = export(store, "npy", there)
    report(first.returncode == again.returncode == 0 and digests(there) == was, "export__again_gives_the_same_files", again.stdout)
    other = export(store, "csv", there)
    names = {n for n in os.listdir(there) if not n.startswith(".")}
    report(other.returncode == 0 and names == {"captures.csv", "graphs.csv", "nodes.csv", "edges.csv", "export.json"},
           "export__takes_the_place_of_an_earlier_one", names)
    os.rename(os.path.join(there, ".edges.csv.commit"), os.path.join(there, ".edges.csv.next"))
    os.unlink(os.path.join(there, "export.json"))
    cut = export(store, "csv", there)
    report(cut.returncode == 0 and not [n for n in os.listdir(there) if n.endswith((".next", ".tmp"))], "export__goes_on_where_one_was_cut_short", cut)
    for name, file in (("of_somebody_else", "mine.txt"), ("with_a_file_of_the_same_name", "graphs.csv")):
        full = os.path.join(folder, name)
        os.mkdir(full)
        with open(os.path.join(full, file), "w", encoding="utf-8") as f:
            f.write("mine\n")
        done = export(store, "csv", full)
        report(done.returncode == 73 and file in done.stdout and os.listdir(full) == [file], "export__leaves_a_folder_%s_alone" % name, done)
    done = export(store, "csv", os.path.join(folder, "of_somebody_else", "mine.txt"))
    report(done.returncode in (73, 66), "export__says_when_the_folder_is_a_file", done)


def errors(folder):
    store, bad = os.path.join(folder, KINDS[0][0] + "_compact_none", "store.h5"), os.path.join(folder, "bad.h5")

    def refused(name, code, words, done, out="out"):
        left = [n for n in os.listdir(os.path.join(folder, out)) if not n.startswith(".")] if os.path.isdir(os.path.join(folder, out)) else []
        report(done.returncode == code and words in done.stdout and "export.json" not in left, "export__%s" % name, done)

    out = os.path.join(folder, "out")
    refused("says_that_the_store_is_missing", 66, "nowhere", export(os.path.join(folder, "nowhere.h5"), "npy", out))
    with open(bad, "w", encoding="utf-8") as f:
        f.write("no store at all\n" * 100)
    refused("refuses_what_is_no_store", 65, "bad.h5", export(bad, "npy", out))
    shutil.copy(store, bad)
    shutil.copy(os.path.join(os.path.dirname(store), ".store.h5.commit"), os.path.join(folder, ".bad.h5.commit"))
    with open(bad, "r+b") as f:
        f.seek(os.path.getsize(bad) // 2)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 1]))
    refused("refuses_a_store_with_a_changed_bit", 65, "bad.h5", export(bad, "npy", out))
    refused("says_that_the_disk_is_full", 74, "", export(store, "npy", out, preexec_fn=small_files))
    for args, words in ((["export"], "wants a store"), (["export", store], "--to"), (["export", store, "--to", "xls", "--out", out], "xls"),
                        (["export", store, "--to", "csv"], "--out"), (["inspect", store, "--to", "csv"], "--to is for")):
        done = subprocess.run([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        report(done.returncode == 64 and words in done.stdout, "export__usage_%s" % words.strip("-").replace(" ", "_"), done)


def small_files():
    """No file beyond 100 kB: what a full disk is to fwrite."""
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))


def main():
    with tempfile.TemporaryDirectory() as folder:
        every_store(folder)
        folders(folder)
        errors(folder)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
