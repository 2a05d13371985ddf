#!/usr/bin/python3
"""results.json, results.csv and the printed table of a small run say the same, and count what the store holds."""
import csv
import json
import math
import os
import re
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
from small_run import PROGRAM, Report, run  # noqa: E402

METRICS = ["auroc", "average_precision", "f1", "mcc", "fpr", "accuracy"]
report = Report()


def csv_agrees(lines, path):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    wrong = []
    if len(rows) != len(lines):
        wrong.append("%d rows, %d lines" % (len(rows), len(lines)))
    for row, line in zip(rows, lines):
        want = {"kind": line["kind"], "name": line["name"], "traffic": "SIMULATED"}
        want.update({k: str(line[k]) for k in ("n", "attacks", "tp", "fp", "tn", "fn")})
        for m in METRICS:
            for k, column in (("value", m), ("lo", m + "_lo"), ("hi", m + "_hi")):
                v = line[m][k]
                want[column] = "" if v is None else "%.9g" % v
        want.update({k: "" if line[k] is None else "%.9g" % line[k] for k in ("precision", "recall")})
        if row != want:
            wrong.append({k: (row.get(k), v) for k, v in want.items() if row.get(k) != v})
    report(not wrong, "results_csv__says_what_results_json_says", wrong)


def table_agrees(lines, text):
    wrong = []
    for line in lines:
        numbers = ["-" if line[m]["value"] is None else "%.4f" % line[m]["value"] for m in METRICS]
        want = [line["name"], str(line["n"]), "%.1f" % (100 * line["attack_share"]), "%"] + numbers
        if not any(re.split(" +", row.strip()) == want for row in text.split("\n")):
            wrong.append(want)
    report(not wrong and "SIMULATED" in text, "table__says_what_results_json_says", (wrong, text))


def counts_agree(lines, store):
    with h5py.File(store, "r") as f:
        capture, label = f["graph_capture"][:], f["graph_label"][:]
        folder, attack = f["capture_folder"][:][capture], f["capture_attack"][:][capture]
        test, names = f["folder_role"][:][folder] == 1, [n.decode() for n in f["folder_name"][:]]
        want = [("folder", names[i], int((folder == i).sum()), int(label[folder == i].sum())) for i in range(len(names)) if f["folder_role"][i] == 1]
        want += [("attack", None, int((test & (attack == a)).sum()), int(label[test & (attack == a)].sum())) for a in np.unique(attack[test]) if a > 0]
    have = [(line["kind"], line["name"] if line["kind"] == "folder" else None, line["n"], line["attacks"]) for line in lines]
    report(have == want, "results__count_what_the_store_holds", (have, want))


def numbers_hold_together(lines):
    wrong = []
    for line in lines:
        tp, fp, tn, fn = (line[k] for k in ("tp", "fp", "tn", "fn"))
        root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        want = {"f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0, "mcc": (tp * tn - fp * fn) / root if root else 0,
                "fpr": fp / (fp + tn) if fp + tn else 0, "accuracy": (tp + tn) / line["n"]}
        if tp + fp + tn + fn != line["n"] or tp + fn != line["attacks"] or any(abs(line[k]["value"] - v) > 1e-12 for k, v in want.items()):
            wrong.append(line["name"])
        if any(not line[m]["lo"] <= line[m]["value"] <= line[m]["hi"] for m in ("f1", "fpr", "accuracy")):
            wrong.append(line["name"] + ": interval")
    report(not wrong, "results__follow_from_their_counts", wrong)


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - eval__has_its_program: %s is missing, run make" % PROGRAM)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        out, ran = run(folder)
        if ran.returncode:
            print("not ok - run: %d %s" % (ran.returncode, ran.stdout))
            return 1
        with open(os.path.join(out, "results.json")) as f:
            results = json.load(f, parse_constant=lambda c: report(False, "results_json__is_strict", c))
        lines = results["results"]
        csv_agrees(lines, os.path.join(out, "results.csv"))
        table_agrees(lines, ran.stdout)
        counts_agree(lines, os.path.join(out, "store.h5"))
        numbers_hold_together(lines)
        shas = [results[k] for k in ("settings_sha256", "store_tree_sha256", "weights_sha256")]
        fixed = ran.stdout.find("fixed before the first test score: settings " + shas[0])
        report(all(re.fullmatch("[0-9a-f]{64}", s) for s in shas) and 0 <= fixed < ran.stdout.find("test windows scored"),
               "settings__are_fixed_before_the_first_score", shas)
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
