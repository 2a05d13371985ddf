#!/usr/bin/python3
"""What evaluation found, again from every window's score, with h5py alone:  python3 tools/read_scores.py runs/demo/scores.h5 [--json]"""
import json
import sys

import h5py
import numpy as np


def ratio(part, whole):
    return float(part) / float(whole) if whole else 0.0


def ranks(score):
    """1 for the lowest; equal scores share the middle of their ranks."""
    _, place, n = np.unique(score, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n - 1) / 2)[place]


def figures(score, label, cold, threshold):
    attacks, benign = int(label.sum()), int((label == 0).sum())
    called = (score >= threshold) & ~cold
    tp, fp = int((called & (label == 1)).sum()), int((called & (label == 0)).sum())
    fn, tn = attacks - tp, benign - fp
    root = float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    out = {"n": len(score), "attacks": attacks, "cold": int(cold.sum()), "tp": tp, "fp": fp, "tn": tn, "fn": fn, "auroc": None, "average_precision": None,
           "f1": ratio(2 * tp, 2 * tp + fp + fn), "mcc": (float(tp) * tn - float(fp) * fn) / root ** .5 if root else 0.0,
           "fpr": ratio(fp, benign), "accuracy": ratio(tp + tn, len(score)), "precision": ratio(tp, tp + fp), "recall": ratio(tp, attacks)}
    score, label = score[~cold], label[~cold]
    attacks, benign = int(label.sum()), int((label == 0).sum())
    if attacks and benign:
        out["auroc"] = (ranks(score)[label == 1].sum() - attacks * (attacks + 1) / 2) / (attacks * benign)
        order = np.argsort(-score, kind="stable")
        step = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
        found = np.cumsum(label[order])[step]
        out["average_precision"] = float((np.diff(np.r_[0, found]) * found / (step + 1)).sum() / attacks)
    return out


def lines(f):
    """(kind, name, figures) of each test folder with windows, then of each attack in test captures."""
    capture, score, label, test = f["capture"][:], f["score"][:], f["label"][:], f["split"][:] == 1
    cold = f["cold"][:] == 1
    folder, attack, threshold = f["capture_folder"][:][capture], f["attack"][:], f["threshold"][0]
    groups = [("folder", f["folder_name"][k].decode(), folder == k) for k in range(len(f["folder_name"]))]
    groups += [("attack", f["attack_name"][k].decode(), attack == k) for k in range(1, len(f["attack_name"]))]
    groups += [("validation", "all", ~test)]
    for kind, name, mine in groups:
        mine = mine & (test if kind != "validation" else True)
        if mine.any():
            yield kind, name, figures(score[mine], label[mine], cold[mine], threshold)


def main():
    with h5py.File(sys.argv[1], "r") as f:
        found = list(lines(f))
        if sys.argv[2:] == ["--json"]:
            print(json.dumps([dict(v, kind=kind, name=name) for kind, name, v in found], indent=2))
            return
        if f.attrs["simulated"]:
            print("SIMULATED traffic: these scores say nothing about quality")
        print("score: %s, threshold %.6f, %s weights %.12s" % (f["score"].attrs["meaning"].decode(), f["threshold"][0], f.attrs["weights"].decode(), f.attrs["weights_sha256"].decode()))
        for kind, name, v in found:
            print("%-10s %-40s %8d %8d attacks" % (kind, name, v["n"], v["attacks"]) + "".join(
                "  %s %s" % (k, "-" if v[k] is None else "%.4f" % v[k]) for k in ("auroc", "average_precision", "f1", "mcc", "fpr", "accuracy")))
        label = f["label"][:] == 1
        for k, name in enumerate(f["output_name"]):
            column = f["output"][:, k]
            print("output %-12s" % name.decode() + "".join("  %s %.4g to %.4g, mean %.4g" % (what, v.min(), v.max(), v.mean(dtype=np.float64)) for what, v in (("benign", column[~label]), ("attack", column[label])) if len(v)))


if __name__ == "__main__":
    main()
