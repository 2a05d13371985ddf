#!/usr/bin/python3
# TIMEOUT: 120
"""data.injected: attacks put into the training captures of a set, and trained on beside them."""
import fcntl
import hashlib
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import h5py
    import oracle
except ImportError as e:
    print("skip - sim__injected: %s" % e)
    sys.exit(0)
from harness import canids, fact, must, run

CARS = ["carA", "carB", "carC"]


def sums(folder):
    """SHA-256 of each capture below, by name."""
    return {n: hashlib.sha256(open(os.path.join(at, n), "rb").read()).hexdigest() for at, _, names in os.walk(folder) for n in names if n.endswith(".csv")}


def load(*path):
    with open(os.path.join(*path)) as f:
        return json.load(f)


def prepared(root, name, ranks=0, pipeline="sim,scan,build", **settings):
    return canids("run", root, "cars", ranks, pipeline=pipeline, run__dir=os.path.join(root, "run_" + name), **settings)


def names(root, inj):
    """<vehicle> and b<base> say whose and which."""
    made = oracle.manifest(inj)
    base = [f["path"] for f in made["base_files"]]
    good = all(f["path"] == "train_02_with_attacks/mixed-%s-b%03d-c%04d.csv" % (f["vehicle"], base.index(f["base"]) + 1, k % 3 + 1)
               and f["vehicle"].lower() in f["base"].lower() and f["vehicle"] in CARS for k, f in enumerate(made["files"]))
    fact("injected__says_vehicle_base_and_copy", good and len(made["files"]) == 3 * len(base), [f["path"] for f in made["files"]])
    plan = load(root, "run_two", "plan.json")
    used = [c["path"] for c in plan["captures"] if plan["folders"][c["folder"]]["role"] == 0 and c["same_as"] < 0]
    fact("injected__numbers_bases_as_the_used_training_captures_are", base == used, (base, used))
    fact("injected__has_no_copies_without_attacks", sorted(n for n in os.listdir(inj) if not n.startswith(".")) == ["manifest.json", "train_02_with_attacks"])


def in_the_plan(root):
    plan, plain = load(root, "run_two", "plan.json"), load(root, "run_without", "plan.json")
    roles = [f["role"] for f in plan["folders"]]
    fact("plan__has_injected_captures_between_training_and_test", roles == [0, 0, 2, 1, 1, 1, 1] and plan["folders"][2]["name"] == "injected", plan["folders"])
    mine = [c["path"] for c in plan["captures"] if c["folder"] == 2]
    fact("plan__names_them_below_injected", len(mine) == 12 and all(p.startswith("injected/mixed-car") for p in mine), mine)
    fact("plan__leaves_the_vocabulary_alone", plan["vocabulary"] == plain["vocabulary"] and set(plan["ids"]) > set(plain["ids"]))
    with_, without = (load(root, "run_" + r, "data_report.json") for r in ("two", "without"))
    apart = with_["totals"].pop("injected")
    fact("report__counts_them_apart", with_["totals"] == without["totals"] and "state" not in with_, (with_["totals"], without["totals"]))
    fact("report__says_that_they_are_simulated", apart["state"] == "SIMULATED" and apart["files"] == 12 and apart["attack_rows"] > 0
         and [f.get("state") for f in with_["folders"]] == [None, None, "SIMULATED", None, None, None, None], apart)
    fact("report__has_the_findings_of_the_set", with_["findings"] == without["findings"], with_["findings"])
    with h5py.File(os.path.join(root, "run_two", "store.h5"), "r") as two, h5py.File(os.path.join(root, "run_without", "store.h5"), "r") as plain:
        role = two["folder_role"][:][two["capture_folder"][:]]
        fact("store__has_their_role_and_is_not_simulated", list(two["folder_role"]) == roles and (role == 2).sum() == 12 and two.attrs["simulated"] == 0)
        first, was = two["capture_graph"][:], plain["capture_graph"][:]
        label, old = two["graph_label"][:], plain["graph_label"][:]
        mine = [label[a:b].tolist() for a, b, r in zip(first, first[1:], role) if r != 2]
        fact("store__has_the_other_windows_as_they_were", mine == [old[a:b].tolist() for a, b in zip(was, was[1:])])
        rows = {c["path"]: c["count"]["rows"] for c in plan["captures"]}
        fact("store__has_all_their_windows", all(b - a == max(0, rows[p.decode()] - 100) // 100 + 1 for a, b, r, p in zip(first, first[1:], role, two["capture_path"]) if r == 2))


def refusals(root, inj):
    scan = dict(pipeline="scan")
    ran = prepared(root, "no", data__injected=os.path.join(root, "nowhere"), **scan)
    fact("scan__says_how_to_make_what_is_not_there", ran.returncode == 66 and "canids sim" in ran.stdout and "nowhere" in ran.stdout, ran.stdout)
    shutil.copytree(inj, os.path.join(root, "other"))
    for key, value, says in (("base", "vans", "is not of attacks injected into cars"), ("complete", False, "not finished")):
        made = dict(oracle.manifest(inj), **{key: value})
        with open(os.path.join(root, "other", "manifest.json"), "w") as f:
            json.dump(made, f)
        ran = prepared(root, "no", data__injected=os.path.join(root, "other"), **scan)
        fact("scan__refuses_injected_captures_with_%s_%s" % (key, value), ran.returncode == 65 and says in ran.stdout, ran.stdout)
    ran = canids("sim", root, "cars", data__injected=os.path.join(root, "cars"))
    fact("sim__does_not_inject_into_the_place_of_the_set", ran.returncode == 78 and "the data set itself" in ran.stdout, ran.stdout)
    ran = canids("sim", root, "cars", data__injected=inj, sim__base="cars")
    fact("sim__has_one_base", ran.returncode == 78 and "sim.base" in ran.stdout, ran.stdout)
    ran = canids("sim", root, "cars", data__injected=os.path.join(root, "unclear"), data__vehicles="[carA, mixed-c]", sim__copies=1)
    fact("sim__refuses_names_that_say_another_vehicle", ran.returncode == 78 and "data.vehicles" in ran.stdout, ran.stdout)
    os.makedirs(os.path.join(root, "mine"))
    open(os.path.join(root, "mine", "diary.txt"), "w").close()
    ran = canids("sim", root, "cars", data__injected=os.path.join(root, "mine"))
    fact("sim__leaves_a_folder_of_somebody_alone", ran.returncode == 73 and "diary.txt" in ran.stdout, ran.stdout)
    with open(os.path.join(inj, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = canids("sim", root, "cars", data__injected=inj, sim__copies=2)
        fact("sim__waits_for_no_other_run", ran.returncode == 75 and "another run" in ran.stdout, ran.stdout)
    fact("sim__that_was_refused_leaves_what_was_there", oracle.manifest(inj)["copies"] == 3)


def of_other_captures(root, given):
    """What is tested now, or has another number, is no base: neither learned from nor in a wrong fold."""
    moved = dict(given, data__train="[train_02_with_attacks]", data__test="[train_01_attack_free]")
    ran = prepared(root, "no", pipeline="scan", **moved)
    fact("scan__refuses_attacks_injected_into_what_is_tested_now", ran.returncode == 65 and "of other training captures" in ran.stdout, ran.stdout)
    ran = prepared(root, "no", 2, pipeline="scan", **dict(given, data__duplicates="keep"))
    fact("scan__refuses_bases_that_have_other_numbers", ran.returncode == 65 and "of other training captures" in ran.stdout, ran.stdout)
    kept = dict(given, data__injected=os.path.join(root, "kept"))
    must(prepared(root, "kept", pipeline="sim,scan", **kept))
    ran = prepared(root, "kept", pipeline="sim,scan", **dict(kept, data__duplicates="keep"))
    base = [f["path"] for f in oracle.manifest(kept["data__injected"])["base_files"]]
    plan = load(root, "run_kept", "plan.json")
    fact("run__injects_again_when_duplicates_are_kept", ran.returncode == 0 and "sim: runs" in ran.stdout and base ==
         [c["path"] for c in plan["captures"] if plan["folders"][c["folder"]]["role"] == 0], ran.stdout)


def too_slow(root):
    """One identifier, at most 100 a second: attacks come before anything can be said against the past."""
    must(canids("sim", root, "lone", sim__vehicles=2, sim__seconds=21, sim__ids_min=1, sim__ids_max=1))
    ran = canids("sim", root, "lone", data__injected=os.path.join(root, "early"), sim__copies=1)
    fact("sim__warns_of_attacks_that_come_too_early", ran.returncode == 0 and "its first attack is behind" in ran.stdout, ran.stdout)


def killed(root, given):
    """What was cut short is no folder of captures, and is made whole by the same command."""
    for point in (5, 30):
        half = dict(given, data__injected=os.path.join(root, "half%d" % point))
        died = canids("sim", root, "cars", inject__crash_point=point, **half)
        ran = prepared(root, "no", pipeline="scan", **half)
        fact("scan__refuses_what_a_killed_sim_left, point %d" % point, died.returncode not in (0, 75) and ran.returncode in (65, 66) and "canids sim" in ran.stdout,
             (died.returncode, ran.stdout))
        must(canids("sim", root, "cars", **half))
        fact("sim__makes_whole_what_was_killed, point %d" % point, sums(half["data__injected"]) == sums(given["data__injected"]))


def main(root):
    must(canids("sim", root, "cars", sim__vehicles=3, sim__seconds=25, sim__ids_min=8, sim__ids_max=12, sim__known="DoS,replay"))
    os.remove(os.path.join(root, "cars", "manifest.json"))  # from here on they count as recorded
    inj = os.path.join(root, "inj")
    given = dict(data__injected=inj, data__vehicles="[%s]" % ",".join(CARS), sim__copies=3)
    must(prepared(root, "without", pipeline="scan,build"))
    must(prepared(root, "two", 2, **given))
    names(root, inj)
    in_the_plan(root)
    again = prepared(root, "two", 3, **given)
    fact("run__skips_what_is_true", again.returncode == 0 and "sim: skipped" in again.stdout and "build: skipped" in again.stdout, again.stdout)
    must(prepared(root, "one", 0, **dict(given, data__injected=os.path.join(root, "one"))))
    fact("injected__does_not_depend_on_ranks", sums(inj) == sums(os.path.join(root, "one")))
    store = [load(root, "run_" + r, "build.json")["store_sha256"] if "store_sha256" in load(root, "run_" + r, "build.json")
             else hashlib.sha256(open(os.path.join(root, "run_" + r, "store.h5"), "rb").read()).hexdigest() for r in ("one", "two")]
    fact("store__does_not_depend_on_ranks_nor_on_where_they_are", store[0] == store[1], store)
    must(canids("sim", root, "old", sim__base="cars", sim__copies=3))
    fact("injected__is_what_sim_base_makes", sums(inj) == sums(os.path.join(root, "old", "train_02_with_attacks")))
    refusals(root, inj)
    of_other_captures(root, given)
    killed(root, given)
    too_slow(root)
    must(prepared(root, "two", 2, **dict(given, sim__copies=2)))
    fact("run__replaces_it_when_settings_change", len(sums(inj)) == 8 and len(load(root, "run_two", "plan.json")["captures"]) - len(load(root, "run_without", "plan.json")["captures"]) == 8)
    with open(os.path.join(root, "cars/train_01_attack_free/attack-free-carA.csv"), "a") as f:
        f.write("1700000000.000000,001,,0\n")
    ran = prepared(root, "two", 2, pipeline="sim,scan", **dict(given, sim__copies=2))
    fact("run__injects_again_when_a_base_changed", ran.returncode == 0 and "sim: runs" in ran.stdout, ran.stdout)
    ran = prepared(root, "two", 2, pipeline="build", **dict(given, sim__copies=2))
    fact("build__finds_them_by_the_plan", ran.returncode == 0 and "taken over" in ran.stdout, ran.stdout)


run(main)
