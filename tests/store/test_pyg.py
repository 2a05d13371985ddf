#!/usr/bin/python3
# TIMEOUT: 240
"""tools/read_pyg.py: PyTorch Geometric trains straight from a store, on graphs that are what an export says."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small_run import PROGRAM, Report, run  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.environ.get("CANIDS_ORACLE_PYTHON", "/usr/bin/python3")
LOOK = """
import os, sys
import numpy as np
sys.path.insert(0, "tools")
from read_pyg import Store
store, npy = sys.argv[1:]
want = {n[:-4]: np.load(os.path.join(npy, n)) for n in os.listdir(npy) if n.endswith(".npy")}
data = Store(store)
assert len(data) == len(want["graph_label"])
role = want["folder_role"][want["capture_folder"][want["graph_capture"]]]
assert len(Store(store, "train")) == (role == 0).sum() and len(Store(store, "test")) == (role == 1).sum()
for g, d in enumerate(data):
    n, e = (slice(*want[k][g:g + 2]) for k in ("graph_node", "graph_edge"))
    assert np.array_equal(d.x.numpy(), want["node_x"][n]) and np.array_equal(d.edge_attr.numpy(), want["edge_x"][e])
    assert np.array_equal(d.edge_index.numpy(), np.stack([want["edge_src"][e], want["edge_dst"][e]]))
    assert np.array_equal(d.ident.numpy(), want["id_vocab"][want["node_id"][n]]) and d.y.item() == want["graph_label"][g]
    if "graph_window" in want:
        assert np.array_equal(d.w.numpy()[0], want["graph_window"][g]) and d.warm.item() == want["graph_warm"][g]
        assert np.array_equal(d.edge_y.numpy(), want["edge_label"][e])
    assert d.row == want["graph_row"][g] and d.capture == want["graph_capture"][g]
"""


def said(*command):
    return subprocess.run([PYTHON, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200, check=False, cwd=ROOT)


def main():
    report = Report()
    if said("-c", "import h5py, torch_geometric").returncode:
        print("skip - pyg__trains_from_a_store: %s has no torch_geometric and h5py; CANIDS_ORACLE_PYTHON names one that has" % PYTHON)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for features, more in (("kd35", []), ("kd11", []), ("agnostic", ["model.preset=agnostic", "store.layout=compact"])):
            out, done = run(folder, name=features, pipeline="sim,scan,build", sets=["features.set=" + features, "sim.seconds=12"] + more)
            store, npy = os.path.join(out, "store.h5"), os.path.join(out, "npy")
            report(done.returncode == 0, "pyg__%s_store_is_built" % features, done.stdout)
            subprocess.run([PROGRAM, "export", store, "--to", "npy", "--out", npy], check=True, timeout=60, capture_output=True)
            done = said("-c", LOOK, store, npy)
            report(done.returncode == 0, "pyg__%s_graphs_are_those_of_the_store" % features, done.stdout)
            done = said("tools/read_pyg.py", store)
            loss = [float(line.split()[3].rstrip(",")) for line in done.stdout.split("\n") if line.startswith("step ")]
            report(done.returncode == 0 and len(loss) > 4 and loss[-1] < loss[0], "pyg__%s_trains_from_a_store" % features, done.stdout)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
