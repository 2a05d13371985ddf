#!/usr/bin/python3
"""results.json, results.csv and the printed table of a small run say the same, and count what the store holds."""
import csv
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "store"))
from small_run import PROGRAM, Report, run  # noqa: E402

METRICS = ["auroc", "average_precision", "f1", "mcc", "fpr", "accuracy"]
RATIOS = ["specificity", "fnr", "balanced_accuracy", "macro_f1", "kappa", "recall_at_fpr_0.05", "recall_at_fpr_0.01", "recall_at_fpr_0.001",
          "precision_at_recall_0.95", "recall_at_precision_0.99", "brier", "calibration_error"]
READ_SCORES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools", "read_scores.py")
report = Report()


def csv_agrees(lines, path):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    wrong = []
    if len(rows) != len(lines):
        wrong.append("%d rows, %d lines" % (len(rows), len(lines)))
    for row, line in zip(rows, lines):
        want = {"kind": line["kind"], "name": line["name"], "traffic": "SIMULATED"}
        want.update({k: str(line[k]) for k in ("past", "injected", "n", "attacks", "cold", "tp", "fp", "tn", "fn")})
        for m in METRICS:
            for k, column in (("value", m), ("lo", m + "_lo"), ("hi", m + "_hi")):
                v = line[m][k]
                want[column] = "" if v is None else "%.9g" % v
        want.update({k: "" if line[k] is None else "%.9g" % line[k] for k in ["precision", "recall"] + RATIOS})
        want["weights"] = "best"
        if row != want:
            wrong.append({k: (row.get(k), v) for k, v in want.items() if row.get(k) != v})
    report(not wrong, "results_csv__says_what_results_json_says", wrong)


def table_agrees(lines, text):
    wrong = []
    for line in lines:
        numbers = ["-" if line[m]["value"] is None else "%.4f" % line[m]["value"] for m in METRICS]
        want = [line["name"], line["past"], line["injected"], str(line["n"]), str(line["cold"]), "%.1f" % (100 * line["attack_share"]), "%"] + numbers
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


def close(a, b, off=1e-12):
    return a is None and b is None or a is not None and b is not None and abs(a - b) <= off


def scores_lead_to_the_same_figures(lines, results, path):
    """tools/read_scores.py works with h5py and numpy alone."""
    said = subprocess.run([sys.executable, READ_SCORES, path, "--json"], capture_output=True, text=True, timeout=60, check=False)
    again = json.loads(said.stdout) if said.returncode == 0 else []
    found = {(v["kind"], v["name"]): v for v in again}
    wrong = [said.stderr] if said.returncode else []
    for line in lines:
        v = found.get((line["kind"], line["name"]), {})
        wrong += [(line["name"], k, v.get(k), line[k]) for k in ("n", "attacks", "tp", "fp", "tn", "fn") if v.get(k) != line[k]]
        wrong += [(line["name"], k, v.get(k), line[k]["value"]) for k in METRICS if not close(v.get(k), line[k]["value"])]
        wrong += [(line["name"], k, v.get(k), line[k]) for k in ("precision", "recall") if not close(v.get(k), line[k])]
    if len(again) != len(lines) + 1 or found.get(("validation", "all"), {}).get("attacks", 0) == 0:
        wrong.append(sorted(found))
    report(not wrong, "scores_h5__leads_to_the_same_figures", wrong)
    said = subprocess.run([sys.executable, READ_SCORES, path], capture_output=True, text=True, timeout=60, check=False)
    report(said.returncode == 0 and "SIMULATED" in said.stdout and lines[0]["name"] in said.stdout, "read_scores__prints_a_table", said)
    with h5py.File(path, "r") as f:
        valid = f["split"][:] == 0
        score, label = f["score"][:][valid], f["label"][:][valid]
        column = {n.decode(): f["output"][:, k].astype(np.float64) for k, n in enumerate(f["output_name"])}
        if "logit0" in column:
            p = 1 / (1 + np.exp(column["logit0"] - column["logit1"]))
        else:  # the largest of four, each against benign validation windows
            four = np.stack([column[k] for k in ("recon_masked", "recon_max", "affinity", "rayleigh")])
            benign = four[:, valid][:, label == 0]
            p = ((four - benign.mean(1, keepdims=True)) / benign.std(1, keepdims=True)).max(0)
        off = abs(p - f["score"][:]).max()
        report(off < 1e-6 * max(1, abs(p).max()) and f["score"].attrs["meaning"].decode() == results["score"] and f["threshold"][0] == results["threshold"],
               "scores_h5__has_what_the_score_is_made_of", (off, p[:5], f["score"][:5]))
    cuts = np.unique(score)
    j = [(score[label == 1] >= t).mean() - (score[label == 0] >= t).mean() for t in cuts]
    best = np.flatnonzero(np.array(j) >= max(j) - 1e-12)[-1]
    threshold = (cuts[best] + cuts[best - 1]) / 2 if best and j[best] > 0 else np.nextafter(cuts[-1], np.inf)
    report(abs(threshold - results["threshold"]) < 1e-9 * max(1, abs(threshold)), "threshold__is_that_of_validation", (threshold, results["threshold"]))


def curves_agree(lines, path):
    """The curves of results.json from the scores: every point is one of the whole curve, its ends and the operating point are there."""
    wrong = []
    with h5py.File(path, "r") as f:
        test, names = f["split"][:] == 1, [n.decode() for n in f["folder_name"][:]]
        folder, score, label = f["capture_folder"][:][f["capture"][:]], f["score"][:], f["label"][:]
        threshold = f["threshold"][0]
    for line in (v for v in lines if v["kind"] == "folder"):
        mine = test & (folder == names.index(line["name"]))
        s, y = score[mine], label[mine]
        if y.all() or not y.any():
            wrong += [(line["name"], k) for k in ("roc", "precision_recall") if line[k] is not None]
            continue
        for key in ("roc", "precision_recall"):
            c = line[key]
            if len(c["threshold"]) > 9 or c["threshold"][0] is not None or c["points_before_thinning"] != len(np.unique(s)) + 1:
                wrong.append((line["name"], key, len(c["threshold"]), c["points_before_thinning"]))
            for i, t in enumerate(c["threshold"]):
                called = s >= (np.inf if t is None else t)
                tp, fp = (called & (y == 1)).sum(), (called & (y == 0)).sum()
                want = {"fpr": fp / (y == 0).sum(), "recall": tp / y.sum(), "precision": tp / (tp + fp) if tp + fp else 1}
                wrong += [(line["name"], key, k, i) for k in want if k in c and not close(c[k][i], want[k])]
            if not any(close(r, line["recall"]) for r in c["recall"]):
                wrong.append((line["name"], key, "operating point"))
            if c["threshold"][-1] != s.min():
                wrong.append((line["name"], key, "end"))
        r = line["reliability"]
        if r is None:
            continue
        bins = np.minimum(np.floor(15 * s), 14).astype(int)
        if r["n"] != np.bincount(bins, minlength=15).tolist() or r["attacks"] != np.bincount(bins, y, minlength=15).astype(int).tolist():
            wrong.append((line["name"], "reliability", r))
        ece = sum((bins == b).mean() * abs(y[bins == b].mean() - s[bins == b].mean()) for b in set(bins))
        if not close(line["calibration_error"], ece, 1e-9) or not close(line["brier"], ((s - y) ** 2).mean(), 1e-9):
            wrong.append((line["name"], "calibration", line["calibration_error"], ece))
    report(not wrong, "curves__follow_from_the_scores", wrong)


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - eval__has_its_program: %s is missing, run make" % PROGRAM)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        out, ran = run(folder, sets=["eval.curve=9"])
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
        scores_lead_to_the_same_figures(lines, results, os.path.join(out, "scores.h5"))
        curves_agree(lines, os.path.join(out, "scores.h5"))
        shas = [results[k] for k in ("settings_sha256", "store_tree_sha256", "weights_sha256")]
        fixed = ran.stdout.find("fixed before the first test score: settings " + shas[0])
        report(all(re.fullmatch("[0-9a-f]{64}", s) for s in shas) and 0 <= fixed < ran.stdout.find("test windows scored"),
               "settings__are_fixed_before_the_first_score", shas)
        # an autoencoder: its score is no probability
        out, ran = run(folder, name="vgae", pipeline="scan,build,train,eval", sets=["eval.curve=9", "model.name=vgae"])
        if ran.returncode:
            report(False, "run_of_a_vgae", ran.stdout)
            return report.code()
        with open(os.path.join(out, "results.json")) as f:
            results = json.load(f)
        lines = results["results"]
        csv_agrees(lines, os.path.join(out, "results.csv"))
        scores_lead_to_the_same_figures(lines, results, os.path.join(out, "scores.h5"))
        curves_agree(lines, os.path.join(out, "scores.h5"))
        report(results["score"] != "probability of attack" and all(v["reliability"] is None and v["brier"] is None and v["calibration_error"] is None for v in lines),
               "calibration__is_of_probabilities_alone", results["score"])
    return report.code()


if __name__ == "__main__":
    sys.exit(main())
