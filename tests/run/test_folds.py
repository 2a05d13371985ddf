#!/usr/bin/python3
# TIMEOUT: 240
"""Folds by vehicle of windows and frames, with injected attacks and without: what they leave, on 1 and 3 ranks, skipped, stopped and gone on with."""
import json
import os
import signal
import subprocess
import sys

import h5py

from common import JUDGED, PREPARED, ROOT, TRAINED, Place, Started, differ, hashes, main, run, told

TEXT = """data: {root: %(root)s, set: sim, vehicles: [carA, carB], injected: %(root)s/injected}
run: {dir: %(root)s/run}
pipeline: sim,scan,build,train,eval
models: [gat_small]
split: {folds: vehicle}
sim: {seed: 3, vehicles: 3, seconds: %(seconds)s, ids_min: 20, ids_max: 24, copies: 1}
features: {set: agnostic}
model: {id_dim: 0, message_head: mlp, heads: 2, channels: 8, layers: 1, head_layers: 2, head_dim: 16}
train: {epochs: 1, batch: 64, shard_rows: 128}
eval: {draws: 5}
"""
MEMBERS = ["gat_small", "gat_small_injected"]
FOLDS = ["%s/fold_%d/%s" % (m, k, n) for m in MEMBERS for k in (0, 1) for n in TRAINED]
LEFT = PREPARED + ["summary.json", "summary.csv"] + FOLDS + ["%s/%s" % (m, n) for m in MEMBERS for n in TRAINED + JUDGED + ["folds.json"]]


def load(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def counted(store, injected):
    """Windows and attacks that each fold leaves out, from the store: vehicles by the end of the captures' names."""
    found = {}
    with h5py.File(store, "r") as f:
        warm = f["graph_warm"][:] == 1
        label, capture = f["graph_label"][:][warm], f["graph_capture"][:][warm]
        for i, path in enumerate(p.decode() for p in f["capture_path"][:]):
            role = f["folder_role"][:][f["capture_folder"][i]]
            if role == 1 or (role == 2 and not injected):
                continue
            name = "carA" if "carA" in path.split("/")[-1] else "carB"
            n, attacks = found.get(name, (0, 0))
            found[name] = (n + int((capture == i).sum()), attacks + int(label[capture == i].sum()))
    return [(k, name) + found[name] for k, name in enumerate(sorted(found))]


def frames(store):
    """Of each test folder: frames, attacks, those without a label, those of cold windows; cold windows.  Windows do not overlap here."""
    found = []
    with h5py.File(store, "r") as f:
        folder = f["capture_folder"][:][f["graph_capture"][:]]
        windows = list(zip(folder, f["graph_label"][:], f["graph_warm"][:], f["graph_edge"][:], f["graph_edge"][1:]))
        edge = f["edge_label"][:]
        for k, role in enumerate(f["folder_role"][:]):
            if role != 1:
                continue
            n = attacks = unknown = cold = cold_windows = 0
            for where, label, warm, first, end in windows:
                if where != k:
                    continue
                others = int(edge[first:end].sum())
                known = not (label and others) # otherwise the first frame may be an attack or not
                n, attacks, unknown = n + int(end - first) + known, attacks + others + int(known and label), unknown + (not known)
                cold, cold_windows = cold + (0 if warm else int(end - first) + known), cold_windows + (not warm)
            found.append((n, attacks, unknown, cold, cold_windows))
    return found


def folds(there):
    bad = []
    for member in MEMBERS:
        j = load(there, member, "folds.json")
        with_injected = member.endswith("injected")
        have = [(r["fold"], r["name"], r["n"], r["attacks"]) for r in j["results"]]
        if have != counted(there + "/store.h5", with_injected) or j["pooled"]["n"] != sum(h[2] for h in have) or j["injected"] != ("with" if with_injected else "without"):
            bad.append((member, have))
        benign = j["pooled"]["n"] - j["pooled"]["attacks"]
        above = benign - 1 - int(.998 * (benign - 1)) # the quantile lies between two of them; injected captures share windows, whose scores are equal
        if not 0 <= above - round(j["pooled"]["b998"]["fpr"] * benign) <= (2 if with_injected else 0) or j["pooled"]["t1"]["f1"] < j["pooled"]["b998"]["f1"]: # F1 is largest at t1
            bad.append((member, j["pooled"]))
        result, rule = load(there, member, "results.json"), "b998" if with_injected else "t1" # eval.threshold: auto
        if result["threshold"] != j["threshold"][rule] or not result["threshold_from"].startswith(rule) or result["score"] != "log-odds of attack":
            bad.append((member, result["threshold"], result["threshold_from"]))
        if any(line["injected"] != j["injected"] or line["past"] != "guard" for line in result["results"]):
            bad.append((member, "lines"))
        if frames(there + "/store.h5") != [tuple(line["frames"][k] for k in ("n", "attacks", "unlabelled", "cold")) + (line["cold"],)
                                           for line in result["results"] if line["kind"] == "folder"]:
            bad.append((member, "frames", frames(there + "/store.h5"), [line["frames"] for line in result["results"] if line["kind"] == "folder"]))
        if any(line["frames"]["threshold"] != j["frames"]["threshold"]["t1"] for line in result["results"]):
            bad.append((member, "threshold of frames"))
        told_again = subprocess.run([sys.executable, ROOT + "/tools/read_scores.py", "%s/%s/scores.h5" % (there, member), "--json"], stdout=subprocess.PIPE)
        again = {(v["kind"], v["name"]): v for v in json.loads(told_again.stdout)}
        for line in result["results"]:
            v = again[line["kind"], line["name"]]
            if any(v[k] != line[k] for k in ("n", "attacks", "cold", "tp", "fp", "tn", "fn")) or abs(v["auroc"] - line["auroc"]["value"]) > 1e-12:
                bad.append((member, v))
    told(not bad, "folds__hold_the_captures_of_a_vehicle_and_give_the_threshold", bad)


def stopped(place, whole):
    """In the second fold of the second model; then the same command."""
    there = place.path("told")
    settings = {"run.dir": there}
    done = run("run", place.conf, ranks=2, settings=dict(settings, **{"inject.kind": "die", "inject.site": "folds.windows", "inject.rank": 1, "inject.pass": 3}))
    left = [n for n in FOLDS if os.path.exists(os.path.join(there, n))]
    told(done.code != 0 and len(left) == len(FOLDS) and not os.path.exists(there + "/gat_small_injected/folds.json") and
         not os.path.exists(there + "/gat_small_injected/last.h5"), "kill__between_folds_and_their_scores_leaves_the_folds", done)
    done = run("run", place.conf, "--resume", settings=settings)
    told(done.code == 0 and done.out.count("fold 1 of 2: carB is left out") == 1 and "epoch 1:" in done.out and hashes(there, LEFT) == whole,
         "kill__and_the_same_command_end_in_the_undisturbed_bytes", differ(hashes(there, LEFT), whole))
    settings = {"run.dir": there, "models": "", "train.injected": "without", "train.epochs": 40, "train.patience": 1000, "pipeline": "scan,build,train"}
    started = Started("run", place.conf, settings=settings)
    started.said("fold 1 of 2")
    started.said("epoch 3:")
    started.child.send_signal(signal.SIGUSR1)
    done = started.end()
    told(done.code == 75, "usr1__ends_with_75_in_a_fold", done)
    done = run("run", place.conf, "--resume", settings=settings)
    told(done.code == 0 and "going on from" in done.out and done.out.count("trained:") <= 2, "usr1__and_the_same_command_goes_on_with_that_fold", done)


def again(place, there, whole):
    done = run("run", place.conf, settings={"run.dir": there})
    told(done.code == 0 and done.out.count("skipped:") == 6 and hashes(there, LEFT) == whole, "folds__that_are_done_are_skipped", done)
    os.remove(there + "/gat_small/fold_1/best.h5")
    done = run("train", place.conf, settings={"run.dir": there})
    told(done.code == 0 and "best.h5 is gone" in done.out and done.out.count("epoch 1:") == 1 and hashes(there, LEFT) == whole,
         "folds__are_trained_again_when_one_is_gone", done)


def blind(place, there):
    """Other payloads and labels in the captures of one vehicle: the model without it is the same, bit for bit."""
    changed = 0
    for folder in ("train_01_attack_free", "train_02_with_attacks"):
        for name in os.listdir(os.path.join(place.root, "sim", folder)):
            if not name.endswith("carA.csv"):
                continue
            path = os.path.join(place.root, "sim", folder, name)
            with open(path, encoding="utf-8") as f:
                rows = [line.split(",") for line in f.read().splitlines()]
            for i, row in enumerate(rows[1:]):
                row[2] = row[2] if i % 3 else row[2][::-1]
                row[3] = "1" if "free" not in name and i % 7 == 0 else row[3]
            with open(path, "w", encoding="utf-8") as f:
                f.write("\n".join(",".join(row) for row in rows) + "\n")
            changed += 1
    done = run("run", place.conf, settings={"run.dir": place.path("blind"), "data.injected": "", "pipeline": "scan,build,train"})
    was, now = ([r["weights_sha256"] for r in load(d, "gat_small", "folds.json")["results"]] for d in (there, place.path("blind")))
    told(done.code == 0 and changed > 1 and was[0] == now[0] and was[1] != now[1], "folds__learn_nothing_of_what_is_left_out", (changed, was, now, done))


def refused(place, there):
    base = {"run.dir": there, "models": "", "pipeline": "scan,build,train,eval"}
    for name, settings, code, words in (
            ("a_fold_that_there_is_not", {"split.fold": 2}, 78, "split.fold: 2, and split.folds: vehicle gives 2"),
            ("folds_of_unknown_vehicles", {"data.vehicles": ""}, 78, "no vehicle is known"),
            ("one_fold", {"data.vehicles": "[car]", "data.injected": ""}, 78, "vehicle gives 1 fold"),
            ("thresholds_without_folds", {"split.folds": "none", "eval.threshold": "b998"}, 78, "is of windows that were left out"),
            ("a_fold_of_no_folds", {"split.folds": "none", "split.fold": 0}, 78, "split.fold: 0, and split.folds is none")):
        done = run("run", place.conf, settings=dict(base, **{"run.dir": place.path("refused_" + name)}, **settings))
        told(done.code == code and words in done.out, "folds__refuse_" + name, done)
    one = place.path("one")
    done = run("run", place.conf, settings=dict(base, **{"run.dir": one, "data.injected": "", "split.folds": "capture", "split.fold": 2}))
    told(done.code == 0 and not os.path.exists(one + "/folds.json") and load(one, "results.json")["threshold_from"].startswith("Youden"),
         "one_fold__alone_is_a_model_like_others", done)


def test():
    with Place(seconds=21, text=TEXT, simulate=False) as place:
        done = run("sim", place.conf, settings={"run.dir": place.path("sim_run"), "data.injected": "", "models": ""})
        told(done.code == 0, "captures__are_made", done)
        found = []
        for n in (0, 3):
            there = place.path("on_%d" % n)
            done = run("run", place.conf, ranks=n, settings={"run.dir": there})
            told(done.code == 0 and not done.left, "folds__are_trained_%s" % ("alone" if n == 0 else "on_3_ranks"), done)
            found.append(hashes(there, LEFT))
        told("missing" not in found[0].values() and found[0] == found[1], "folds__leave_the_same_bytes_on_1_and_3_ranks",
             differ(*found) + str([n for n in found[0] if found[0][n] == "missing"]))
        there = place.path("on_0")
        folds(there)
        again(place, there, found[0])
        stopped(place, found[0])
        refused(place, there)
        blind(place, there)


main(test)
