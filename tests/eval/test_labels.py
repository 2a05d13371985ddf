#!/usr/bin/python3
"""From captures to results: labels of test captures decide nothing, and nothing was scored before the settings were fixed."""
import glob
import json
import os
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
from small_run import PROGRAM, Report, run  # noqa: E402

report = Report()


def relabel(folder, change):
    """Rewrite the last column of every test capture."""
    for path in glob.glob(os.path.join(folder, "data", "sim", "test_*", "*.csv")):
        with open(path, encoding="ascii") as f:
            head, *rows = f.read().splitlines()
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join([head] + [row[:-1] + change(row[-1]) for row in rows]) + "\n")


def arrays(path):
    with h5py.File(path, "r") as f:
        return {name: f[name][()] for name in f}, {k: v for k, v in f.attrs.items() if k != "store_tree_sha256"}


def same_checkpoint(a, b):
    """All but the hash of the store, in which the labels are."""
    (x, p), (y, q) = arrays(a), arrays(b)
    return x.keys() == y.keys() and all(np.array_equal(x[k], y[k]) for k in x) and p == q


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - honest__has_its_program: %s is missing, run make" % PROGRAM)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        out, ran = run(folder, sets=["train.epochs=2", "eval.draws=0"])
        results = {}
        for name, change in (("hidden", lambda _: "0"), ("all", lambda _: "1")):
            relabel(folder, change)
            other, again = run(folder, name=name, pipeline="scan,build,train,eval", sets=["train.epochs=2", "eval.draws=0"])
            if ran.returncode or again.returncode:
                print("not ok - run: %s %s" % (ran.stdout, again.stdout))
                return 1
            for file in ("best.h5", "last.h5"):
                report(same_checkpoint(os.path.join(out, file), os.path.join(other, file)), "%s__is_the_same_with_test_labels_%s" % (file[:-3], name))
            a, b = (json.load(open(os.path.join(d, "results.json"), encoding="utf-8")) for d in (out, other))
            keys = ("threshold", "best_epoch", "weights_sha256", "settings_sha256")
            report(all(a[k] == b[k] for k in keys) and a["store_tree_sha256"] != b["store_tree_sha256"],
                   "decision__is_the_same_with_test_labels_%s" % name, [(a[k], b[k]) for k in keys])
            results[name] = b["results"]
            with h5py.File(os.path.join(out, "scores.h5"), "r") as f, h5py.File(os.path.join(other, "scores.h5"), "r") as g:
                report(np.array_equal(f["score"][:], g["score"][:]) and not np.array_equal(f["label"][:], g["label"][:]),
                       "scores__are_the_same_with_test_labels_%s" % name)
        for name, want in (("hidden", 0), ("all", 1)):
            wrong = [v["name"] for v in results[name] if v["attacks"] != want * v["n"] or v["auroc"]["value"] is not None or v["roc"] is not None
                     or v["recall_at_fpr_0.01"] is not None or v["tp"] + v["fp"] + v["tn"] + v["fn"] != v["n"] or v["calibration_error"] is None]
            report(not wrong and results[name], "one_class__reports_counts_with_test_labels_%s" % name, wrong)
        fixed = ran.stdout.find("fixed before the first test score: settings " + a["settings_sha256"])
        report(0 <= fixed < ran.stdout.find("test windows scored"), "settings__are_fixed_before_the_first_test_score", ran.stdout[-2000:])
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
