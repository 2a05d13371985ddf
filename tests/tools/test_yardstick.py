#!/usr/bin/python3
"""tools/yardstick.py: thresholds and figures worked out by hand, the linear model at its optimum, whose a capture is, and the whole tool on
a made store."""
import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools", "yardstick.py")
spec = importlib.util.spec_from_file_location("yardstick", TOOL)
yard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(yard)
VEHICLES = ["kia", "sonata", "Spark"]
# (path, folder, attack code, windows, from which on every second is an attack)
CAPTURES = [("train_01/attack-free-kia.csv", 0, 0, 60, 99), ("train_01/attack-free-sonata.csv", 0, 0, 60, 99), ("train_02/DoS-kia.csv", 1, 1, 60, 20),
            ("train_02/fuzzing-sonata.csv", 1, 2, 60, 20), ("test_01/DoS-spark.csv", 2, 1, 60, 20), ("test_02/odd.csv", 3, 3, 50, 20),
            ("injected/mixed-kia-b001-c0000.csv", 4, 0, 60, 20), ("injected/mixed-sonata-b004-c0001.csv", 4, 0, 60, 20)]
FOLDERS = [("train_01", 0), ("train_02", 0), ("test_01", 1), ("test_02", 1), ("injected", 2)]
COLD = 5
failed = 0


def told(good, name, why=""):
    global failed
    failed += not good
    print("%s - yardstick__%s%s" % ("ok" if good else "not ok", name, "" if good else ": %s" % (why,)))


def store_make(path, flip_test=False, columns=True):
    """Column 0 is an attack's, shifted by vehicle; the others are noise."""
    r = np.random.Generator(np.random.Philox(7))
    x, label, capture, row, warm = [], [], [], [], []
    for c, (name, _, _, n, start) in enumerate(CAPTURES):
        for k in range(n):
            attack = k >= start and k % 2
            x.append(r.normal(size=6) + [4 * attack + ("sonata" in name) * .5, 0, 0, 0, 0, 0])
            label.append(attack), capture.append(c), row.append(100 * k), warm.append(k >= COLD)
    x, label = np.array(x, np.float32), np.array(label, np.uint8)
    x[~np.array(warm)] = 0
    if flip_test:
        test = np.isin([CAPTURES[c][1] for c in capture], [2, 3])
        label[test] = 1 - label[test]
    with h5py.File(path, "w") as f:
        if columns:
            f["graph_window"] = x
        f["graph_warm"], f["graph_label"] = np.array(warm, np.uint8), label
        f["graph_capture"], f["graph_row"] = np.array(capture, np.int32), np.array(row, np.int64)
        f["capture_path"] = np.array([c[0] for c in CAPTURES], "S256")
        f["capture_hash"] = np.array(["%032x" % c for c in range(len(CAPTURES))], "S32")
        f["capture_folder"], f["capture_attack"] = np.array([c[1] for c in CAPTURES], np.int32), np.array([c[2] for c in CAPTURES], np.int32)
        f["folder_name"], f["folder_role"] = np.array([n for n, _ in FOLDERS], "S256"), np.array([r for _, r in FOLDERS], np.int32)
        f.attrs["features"], f.attrs["past"], f.attrs["simulated"] = np.bytes_("agnostic"), np.bytes_("guard"), 0


def started(*words, env=None):
    p = subprocess.run([sys.executable, TOOL] + list(words), capture_output=True, text=True, timeout=60, env=env, check=False)
    return p.returncode, p.stdout + p.stderr


def thresholds():
    score, label = np.array([5., 4, 3, 2, 1, 0]), np.array([1, 1, 0, 1, 0, 0])
    # Calling the upper 2, 4: F1 4/5 and 6/7.
    told(yard.t1(score, label) == 1.5, "t1_is_the_middle_of_the_best_gap", yard.t1(score, label))
    told(yard.t1(np.array([2., 2, 1]), np.array([1, 0, 1])) == 0, "t1_does_not_cut_equal_scores", yard.t1(np.array([2., 2, 1]), np.array([1, 0, 1])))
    benign = np.arange(1001.)
    told(abs(yard.b998(np.r_[benign, 5000.], np.r_[np.zeros(1001, int), 1]) - 998) < 1e-9, "b998_is_of_benign_windows_alone")


def cold_windows():
    # Two cold ones, an attack among them; of four warm ones 3 1 2 0, attacks 3 and 1, those above 1.5 are called.
    label, warm = np.array([1, 0, 1, 1, 0, 0]), np.array([False, False, True, True, True, True])
    f = yard.figures(np.array([3., 1, 2, 0]), label, warm, 1.5)
    told((f["tp"], f["fp"], f["tn"], f["fn"], f["cold"], f["n"]) == (1, 1, 2, 2, 2, 6), "cold_windows_are_called_benign", f)
    told(abs(f["f1"] - .4) < 1e-12 and abs(f["accuracy"] - .5) < 1e-12 and abs(f["fpr"] - 1 / 3) < 1e-12 and abs(f["mcc"]) < 1e-12, "figures_are_those_of_all_windows", f)
    told(f["auroc"] == .75 and abs(f["average_precision"] - (1 + 2 / 3) / 2) < 1e-12, "auroc_is_of_warm_windows", f)


def optimum():
    r = np.random.Generator(np.random.Philox(3))
    x = r.normal(size=(300, 5)) * [1, 10, .1, 1, 1] + [0, 5, 0, 0, 0]
    y = (r.random(300) < 1 / (1 + np.exp(-2 * x[:, 0] - .2 * (x[:, 1] - 5)))).astype(int)
    m = yard.Linear(x, y, 0)
    a = np.clip((x - x.mean(0)) / x.std(0), -10, 10)
    value = lambda w: sum(np.log1p(np.exp(-z if t else z)) for z, t in zip(a @ w[:-1] + w[-1], y)) + (w[:-1] ** 2).sum() / 2
    slope = [(value(m.w + h) - value(m.w - h)) / 2e-4 for h in 1e-4 * np.eye(6)]
    told(np.abs(slope).max() < 1e-3, "linear_model_is_at_its_optimum", slope)
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        print("skip - yardstick__linear_model_is_scikit_learns: scikit-learn is not installed")
        return
    other = LogisticRegression(C=1, tol=1e-10, max_iter=5000).fit(a, y)
    told(np.abs(other.coef_[0] - m.w[:-1]).max() < 1e-4, "linear_model_is_scikit_learns", (other.coef_, m.w))


def whose(folder):
    told([yard.vehicle_of(p, ["car", "kia", "carkia"]) for p in ("x/DoS-KIA.csv", "kia/DoS-1.csv", "x/carkia.csv")] == [1, -1, 2],
         "vehicle_is_the_longest_in_the_file_name")
    w = yard.Windows(os.path.join(folder, "store.h5"))
    fold, names = yard.folds_of(w, "vehicle", VEHICLES)
    told((fold.tolist(), names) == ([0, 1, 0, 1, -1, -1, 0, 1], ["kia", "sonata"]), "folds_by_vehicle", (fold, names))
    fold, _ = yard.folds_of(w, "capture", [])
    told(fold.tolist() == [0, 1, 2, 3, -1, -1, 0, 3],
         "an_injected_capture_follows_its_base", fold)
    fold, names = yard.folds_of(w, "vehicle", VEHICLES[:1])
    told((fold.tolist(), names) == ([0, 1, 0, 1, -1, -1, 0, 1], ["kia", "unknown vehicle"]), "unknown_vehicles_are_one_fold", (fold, names))
    fold, names = yard.folds_of(w, "attack", [])
    told(fold.tolist() == [-1, -1, 0, 1, -1, -1, -1, 1], "attack_free_captures_stay_in_folds_by_attack", fold)


def left_out(folder):
    w = yard.Windows(os.path.join(folder, "store.h5"))
    # One vehicle's labels upside down: who has seen the other alone is wrong of it, every time.
    w.label[[VEHICLES[1] in w.path[c] for c in w.capture]] ^= 1
    fold, names = yard.folds_of(w, "vehicle", VEHICLES)
    line = yard.judged(w, fold, names, ["lr"], 0, "without")[0]
    told(line["out_of_fold"]["auroc"] < .25, "who_scores_a_fold_has_not_seen_it", line["out_of_fold"])
    out = sum((~w.blocks(seed)).astype(int) for seed in range(5))
    told((out == 1).all() and all((~w.blocks(1)[w.capture == c]).sum() == n // 5 for c, (_, _, _, n, _) in enumerate(CAPTURES)), "a_seed_leaves_out_a_fifth_of_each_capture")


def whole(folder):
    with open(os.path.join(folder, "resolved.yaml"), "w", encoding="utf-8") as f:
        f.write('data:\n  root: "x"  # here\n  vehicles: ["kia", "sonata", "Spark"]  # config/x.yaml:3:1\nsplit:\n  folds: "vehicle"\n')
    with open(os.path.join(folder, "summary.csv"), "w", encoding="utf-8") as f:
        f.write("model,kind,name,traffic,protocol,past,injected,seeds,n,attacks,cold,auroc_mean,f1_mean,f1_sd,mcc_mean,fpr_mean,accuracy_mean\n"
                "gat_small,folder,test_01,recorded,honest,guard,with,3,60,20,5,.99,.9876,.01,.98,,.99\ngat_small,attack,dos,recorded,honest,guard,with,3,60,20,5,.99,.5,.01,.98,.01,.99\n")
    with open(os.path.join(folder, "summary.json"), "w", encoding="utf-8") as f:
        json.dump({"members": [{"model": "gat_small", "threshold_from": "b998: the .998 quantile"}]}, f)
    code, text = started(folder, "--models", "lr", "--seeds", "0,1")
    told(code == 0, "runs_without_scikit_learn", text)
    told(re.search(r"gat_small +with +b998 +guard +test_01 .* 0\.9876\+-0\.010", text), "the_runs_models_stand_beside", text)
    with open(os.path.join(folder, "yardstick.csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    told({(r["injected"], r["rule"], r["name"]) for r in rows} == {(i, k, n) for i in ("with", "without") for k in ("t1", "b998") for n in ("test_01", "test_02")} and
         all(r["past"] == "guard" and r["cold"] == str(COLD) and r["seeds"] == "2" for r in rows), "says_past_rule_and_injection", rows)
    with open(os.path.join(folder, "yardstick.json"), encoding="utf-8") as f:
        before = json.load(f)
    told(all(line["auroc"] > .9 and line["fpr"] < .5 for line in before["seeds"]), "finds_what_is_there", before["seeds"][0])
    # Out of fold: the vehicles' real windows, 220 of them warm, and injected ones, 110.
    told({(line["injected"], line["out_of_fold"]["n"]) for line in before["seeds"]} == {("without", 220), ("with", 330)}, "thresholds_are_out_of_fold", before["seeds"][0])
    store_make(os.path.join(folder, "store.h5"), flip_test=True)
    started(folder, "--models", "lr", "--seeds", "0,1")
    with open(os.path.join(folder, "yardstick.json"), encoding="utf-8") as f:
        after = json.load(f)
    told([line["threshold"] for line in before["seeds"]] == [line["threshold"] for line in after["seeds"]] and
         all(abs(a["auroc"] + b["auroc"] - 1) < 1e-9 for a, b in zip(before["seeds"], after["seeds"])), "no_label_of_a_test_window_is_learned_from")


def refusals(folder):
    hide = os.path.join(folder, "hide")
    os.makedirs(hide)
    with open(os.path.join(hide, "sklearn.py"), "w", encoding="utf-8") as f:
        f.write("raise ImportError('hidden')\n")
    code, text = started(folder, env=dict(os.environ, PYTHONPATH=hide))
    told(code == 69 and "python3-sklearn" in text and "--models lr" in text, "missing_scikit_learn_is_said", (code, text))
    code, text = started(folder, "--models", "lr", "--set", "split.folds=none")
    told(code == 78 and "split.folds" in text, "folds_are_needed", (code, text))
    store_make(os.path.join(folder, "store.h5"), columns=False)
    code, text = started(folder, "--models", "lr")
    told(code == 65 and "features.set=agnostic" in text, "another_feature_set_is_refused", (code, text))
    code, text = started(os.path.join(folder, "none"), "--models", "lr")
    told(code == 66, "a_missing_store_is_said", (code, text))


def main():
    thresholds()
    cold_windows()
    optimum()
    with tempfile.TemporaryDirectory() as folder:
        store_make(os.path.join(folder, "store.h5"))
        whose(folder)
        left_out(folder)
        whole(folder)
        refusals(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
