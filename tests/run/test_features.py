#!/usr/bin/python3
# TIMEOUT: 240
"""Every feature set in both modes from scan to results: the same bytes on any ranks, and steps that know which features they are of."""
import csv
import json
import os

from common import JUDGED, PREPARED, ROOT, SHARED, TRAINED, Place, differ, hashes, inspect, main, run, skipped, told

KINDS = [("kd35", "none"), ("kd35", "reference"), ("kd11", "none"), ("kd11", "reference")]
# Graphs of the test folders at W = S = 100, reference-system.md 4.9: no window of them is lost to the frame that kd11 reads behind it.
TESTS = {"test_01": 3994, "test_02": 1861, "test_03": 3060, "test_04": 797}


def kind(place, features, compat):
    name = "%s_%s" % (features, compat)
    first, steps = None, {"train.steps": 12, "features.set": features, "features.compat": compat, "data.block": 16384, "store.chunk": 7}
    for ranks in (0, 2, 3):
        there = place.path("%s_%d" % (name, ranks))
        done = run("run", place.conf, ranks=ranks, settings=dict(steps, **{"run.dir": there, "pipeline": "scan,build,train,eval"}))
        now = hashes(there, PREPARED + TRAINED + JUDGED)
        first = first or now
        told(done.code == 0 and now == first and "missing" not in now.values(), "features__%s_is_the_same_with_%d_ranks" % (name, ranks),
             differ(now, first) + " " + str(done))
    for ranks in (5, 8):
        there = place.path("%s_%d" % (name, ranks))
        done = run("run", place.conf, ranks=ranks, settings=dict(steps, **{"run.dir": there, "pipeline": "scan,build"}))
        told(done.code == 0 and hashes(there, ["store.h5"])["store.h5"] == first["store.h5"],
             "features__store_of_%s_is_the_same_with_%d_ranks" % (name, ranks), done)
    said, plan = inspect(place.path(name + "_0", "store.h5")) or {}, json.load(open(place.path(name + "_0", "plan.json"), encoding="utf-8"))
    told(said.get("features") == features and said.get("compat") == compat and [said.get(k) for k in ("graphs", "nodes", "edges")]
         == [plan[k] for k in ("graphs", "nodes", "edges")], "features__%s_store_is_what_scan_counted" % name, said)
    return first


def changed(place):
    """A plan and a checkpoint belong to one feature set."""
    other = {"run.dir": place.path("kd35_none_0"), "features.set": "kd11"}
    done = run("build", place.conf, settings=other)
    told(done.code == 78 and "features.*" in done.out, "features__build_refuses_the_plan_of_others", done)
    done = run("run", place.conf, settings=dict(other, pipeline="scan,build"))
    said = inspect(place.path("kd35_none_0", "store.h5")) or {}
    told(done.code == 0 and "skipped" not in done.out and said.get("features") == "kd11", "features__of_another_set_are_scanned_and_built_again", done)


def refused(place):
    for name, settings, words in (
            ("compact_kd11", {"features.set": "kd11", "store.layout": "compact"}, "store.layout"),
            ("agnostic_with_identifiers", {"features.set": "agnostic"}, "model.preset: agnostic"),
            ("two_frames_of_the_reference", {"features.compat": "reference", "window.frames": 2}, "window.frames")):
        done = run("run", place.conf, settings=dict(settings, **{"run.dir": place.path("refused"), "pipeline": "scan,build"}))
        told(done.code == 78 and words in done.out, "features__refuse_" + name, done)


def real(place):
    data, there = os.path.join(SHARED, "data"), place.path("real")
    if not os.path.isdir(os.path.join(data, "hcrl_sa")):
        skipped("features__reference_windows_of_hcrl_sa", "no shared data")
        return
    done = run("run", os.path.join(ROOT, "config", "hcrl_sa.yaml"), timeout=100, settings={
        "pipeline": "scan,build", "data.root": data, "run.dir": there, "models": "[]", "features.set": "kd11", "features.compat": "reference"})
    folders = (inspect(os.path.join(there, "store.h5")) or {}).get("folders", {})
    told(done.code == 0 and {k[:7]: v["graphs"] for k, v in folders.items() if k.startswith("test")} == TESTS,
         "features__reference_windows_of_hcrl_sa_are_as_published", [done, folders])
    with open(os.path.join(data, "manifest.csv"), newline="", encoding="utf-8") as f:
        rows = {r["path"].partition("/")[2]: int(r["rows"]) for r in csv.DictReader(f) if r["path"].startswith("hcrl_sa/")}
    report = json.load(open(os.path.join(there, "data_report.json"), encoding="utf-8"))
    told({c["path"]: c["windows"] for c in report["files"]} == {k: (n - 101) // 100 + 1 for k, n in rows.items()},
         "features__reference_windows_end_a_frame_later", report["totals"])


def test():
    with Place() as place:
        made = [kind(place, *k) for k in KINDS]
        told(len({m["store.h5"] for m in made}) == len(KINDS), "features__give_stores_of_their_own", made)
        changed(place)
        refused(place)
        real(place)


main(test)
