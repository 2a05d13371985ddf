#!/usr/bin/python3
# TIMEOUT: 240
"""The real captures from scan to store: graphs and attack graphs of every folder, every row of the manifest, one store for 1 and 3 ranks."""
import csv
import decimal
import json
import os

from common import PREPARED, ROOT, SHARED, Place, differ, hashes, inspect, main, run, skipped, told

DATA = os.path.join(SHARED, "data")
# Graphs and attack graphs at W = S = 100, duplicates in training folders used once.
HCRL_SA = {
    "train_01_attack_free": (3096, 0), "train_02_with_attacks": (3175, 1298),
    "test_01_known_vehicle_known_attack": (3994, 1928), "test_02_unknown_vehicle_known_attack": (1861, 752),
    "test_03_known_vehicle_unknown_attack": (3060, 1159), "test_04_unknown_vehicle_unknown_attack": (797, 311),
}
# Column of manifest.csv: key of data_report.json, where they differ.
KEYS = {"windows_100": "windows", "attack_windows_100": "attack_windows"}
DECIMAL = ["t_first", "t_last"]
TEXT = ["id_min_hex", "id_max_hex", "eol"]


def manifest(name):
    with open(os.path.join(DATA, "manifest.csv"), newline="") as f:
        rows = [r for r in csv.DictReader(f) if r["path"].startswith(name + "/")]
    return {r["path"][len(name) + 1:]: r for r in rows}


def row_differs(want, got):
    bad = []
    for column, value in want.items():
        if column in ("path", "sha256"):
            continue
        have = got[KEYS.get(column, column)]
        if column in TEXT:
            same = have == value
        elif column in DECIMAL:
            same = decimal.Decimal(have) == decimal.Decimal(value)
        elif column == "attack_ratio":
            same = "%.6f" % have == value
        elif column == "rows_by_payload_len_0_to_8":
            same = have == [int(x) for x in value.split()]
        else:
            same = have == int(value)
        if not same:
            bad.append("%s: %s is %s, not %s" % (want["path"], column, have, value))
    return bad


def one_set(place, name, folders):
    digests = []
    for ranks in (1, 3):
        there = place.path("%s_%d" % (name, ranks))
        conf = os.path.join(ROOT, "config", name + ".yaml")
        done = run("run", conf, ranks=ranks, timeout=100, settings={
            "pipeline": "scan,build", "data.root": DATA, "run.dir": there, "window.frames": 100, "window.stride": 100})
        if not told(done.code == 0, "answer_key__%s_is_built_on_%d_ranks" % (name, ranks), done):
            return
        digests.append(hashes(there, PREPARED))
    told(digests[0] == digests[1] and "missing" not in digests[0].values(), "answer_key__%s_has_one_store_on_1_and_3_ranks" % name, differ(*digests))
    said = inspect(there + "/store.h5")
    want = manifest(name)
    with open(there + "/data_report.json") as f:
        report = json.load(f)
    got = {entry["path"]: entry for entry in report["files"]}
    bad = [p for p in set(want) ^ set(got)] + [x for p in sorted(set(want) & set(got)) for x in row_differs(want[p], got[p])]
    told(not bad and want, "answer_key__all_%d_rows_of_the_manifest_for_%s_equal_the_report" % (len(want), name), "\n".join(bad))
    graphs = {n: (v["graphs"], v["attack_graphs"]) for n, v in said["folders"].items()}
    if not folders:  # as the manifest has it, files of equal content in training folders once, the first path of them
        seen = set()
        for path in sorted(want, key=lambda p: (not p.startswith("train_"), p)):
            row, folder = want[path], path.split("/")[0]
            n, attacks = folders.get(folder, (0, 0))
            if folder.startswith("train_") and row["sha256"] in seen:
                continue
            seen.add(row["sha256"])
            folders[folder] = (n + int(row["windows_100"]), attacks + int(row["attack_windows_100"]))
    told(graphs == folders, "answer_key__folders_of_%s_have_the_graphs_of_the_key" % name, "%s, not %s" % (graphs, folders))
    if name == "hcrl_sa":
        training = sum(v[0] for n, v in graphs.items() if n.startswith("train_"))
        told(training == 6271, "answer_key__hcrl_sa_has_6271_training_graphs", training)


def test():
    sets = {"hcrl_sa": HCRL_SA, "set_01": {}}
    for name, folders in sets.items():
        if not os.path.isdir(os.path.join(DATA, name)):
            skipped("answer_key__" + name, "no captures in " + DATA)
            continue
        with Place(simulate=False) as place:
            one_set(place, name, folders)


main(test)
