#!/usr/bin/python3
# TIMEOUT: 120
"""Attacks in captures that are there already: into real ones where ../shared has them, and into simulated ones."""
import collections
import hashlib
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy
    import oracle
except ImportError as e:
    print("skip - sim__inject: %s" % e)
    sys.exit(0)
from harness import canids, fact, must, run

SHARED = os.path.join(os.environ.get("CANIDS_SHARED", "../shared"), "data", "hcrl_sa")
FRAME_US, SEGMENT_NS = 220, 45 * 10**9


def digest(folder):
    total = hashlib.sha256()
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            total.update(name.encode() + hashlib.sha256(open(os.path.join(at, name), "rb").read()).digest())
    return total.hexdigest()


def base_rows(path):
    """Time in ns, identifier and payload as text, of the rows without attack."""
    rows = [line.rstrip("\r\n").split(",") for line in open(path).readlines()[1:]]
    out = []
    for r in rows:
        whole, part = r[0].split(".")
        out.append((int(whole) * 10**9 + int(part.ljust(9, "0")), r[1], r[2].upper(), r[3]))
    return out


def segments(rows):
    """45 s from the first benign row on, and so on; a jump of 10 s, ahead or back, ends one too; those of less than 20 s are left out."""
    out, now, latest = [], [], None
    for t, ident, data, label in rows:
        if label == "1":
            continue
        back = latest is not None and latest - t >= 10 * 10**9
        if latest is None or t > latest or back:
            if latest is not None and (back or t - start >= SEGMENT_NS or t - latest >= 10 * 10**9):
                if latest - start >= 20 * 10**9:
                    out.append(now)
                now, start = [], t
            start = t if latest is None else start
            latest = t
        now.append((t // 1000, ident, data))
    return out + [now] * (latest is not None and latest - start >= 20 * 10**9)


def is_subsequence(short, long):
    at = iter(long)
    return all(x in at for x in short)


def check(root, data, base):
    made = oracle.manifest(os.path.join(root, data))
    fact("inject__is_stamped_simulated %s" % data, made["state"] == "SIMULATED" and made["complete"] and made["base"] == base)
    real = {f["path"]: segments(base_rows(os.path.join(root, base, f["path"]))) for f in made["base_files"]}
    for f in made["base_files"]:
        fact("inject__names_its_base %s" % f["path"], hashlib.sha256(open(os.path.join(root, base, f["path"]), "rb").read()).hexdigest() == f["sha256"])
    kinds = collections.Counter()
    wrong = []
    for f in made["files"]:
        path = os.path.join(root, data, f["path"])
        c = oracle.Capture(path)
        mine = base_rows(path)
        want = real[f["base"]][f["segment"] - 1]
        benign = [(ident, d) for _, ident, d, label in mine if label == "0"]
        if f["attack"] == "none":
            good = [(t // 1000, i, d) for t, i, d, _ in mine] == want and not c.label.any()
        else:
            first = c.t[c.label][0] - c.t[0]
            replaced = len(want) - len(benign)
            good = is_subsequence(benign, [(i, d) for _, i, d in want]) and 0 <= replaced < .2 * len(want)
            good &= numpy.diff(c.t).min() >= FRAME_US - 1 and 10.9e6 < first < 30e6
            good &= .01 < c.label.mean() < .8
            kinds["masquerade"] += replaced > 0
            kinds["all there"] += replaced == 0
            kinds["flood"] += any(n > .05 * len(mine) for n in collections.Counter((i, d) for _, i, d, label in mine if label == "1").values())
            kinds["fuzz"] += len({i for _, i, _, label in mine if label == "1"} - {i for _, i, _ in want}) > 2
        if not good or len(mine) != f["rows"] or c.label.sum() != f["attack_rows"]:
            wrong.append(f["path"])
    fact("inject__keeps_the_benign_rows_of_its_base %s, %d files" % (data, len(made["files"])), not wrong, wrong)
    fact("inject__has_attacks_of_all_kinds %s" % data, all(kinds[k] for k in ("masquerade", "flood", "fuzz")), kinds)
    fact("scan__accepts_it %s" % data, canids("scan", root, data).returncode == 0)


def main(root):
    must(canids("sim", root, "vehicles", sim__seed=4, sim__vehicles=2, sim__seconds=66, sim__ids_min=8, sim__ids_max=12, sim__known="replay"))
    digests = set()
    for ranks in (0, 1, 2, 3, 5, 8):
        data = "inject%d" % ranks
        must(canids("sim", root, data, ranks, sim__base="vehicles", sim__copies=3))
        digests.add(digest(os.path.join(root, data)))
    fact("inject__has_one_digest_for_any_ranks", len(digests) == 1, digests)
    check(root, "inject0", "vehicles")
    again = canids("run", root, "inject0", pipeline="sim", sim__base="vehicles", sim__copies=3)
    fact("run__skips_what_is_true", again.returncode == 0 and "whole" in again.stdout and "done in" not in again.stdout, again.stdout)
    with open(os.path.join(root, "vehicles/train_01_attack_free/attack-free-carA.csv"), "a") as f:
        f.write("1700000000.000000,001,,0\n")
    again = canids("run", root, "inject0", pipeline="sim", sim__base="vehicles", sim__copies=3)
    fact("run__injects_again_when_the_base_changed", again.returncode == 0 and "there are no whole captures" in again.stdout, again.stdout)
    again = canids("run", root, "inject0", pipeline="sim", sim__base="vehicles", sim__copies=3, contract__policy="quarantine")
    fact("run__injects_again_when_the_contract_changed", again.returncode == 0 and "there are no whole captures" in again.stdout, again.stdout)
    shutil.copy(os.path.join(root, "vehicles/test_04_unknown_vehicle_unknown_attack/malfunction-carB.csv"), os.path.join(root, "vehicles/train_01_attack_free"))
    again = canids("run", root, "inject0", pipeline="sim", sim__base="vehicles", sim__copies=3, contract__policy="quarantine")
    fact("run__injects_again_when_the_base_has_another_capture", again.returncode == 0 and "there are no whole captures" in again.stdout
         and os.path.exists(os.path.join(root, "inject0/train_01_attack_free/attack-free-carB-b002-s0001.csv")), again.stdout)
    missing = canids("sim", root, "never", sim__base="missing")
    fact("inject__says_that_its_base_is_missing", missing.returncode == 66 and "missing" in missing.stdout, missing.stdout)
    rows = open(os.path.join(root, "vehicles/test_04_unknown_vehicle_unknown_attack/malfunction-carB.csv")).readlines()
    os.makedirs(os.path.join(root, "again/train_01"))
    with open(os.path.join(root, "again/train_01/twice-carB.csv"), "w") as f:
        f.writelines(rows + rows[1:] + rows[1:2])
    must(canids("sim", root, "twice", sim__base="again", sim__copies=12))
    fact("inject__begins_again_where_the_clock_does", {f["segment"] for f in oracle.manifest(os.path.join(root, "twice"))["files"] if f["attack"] == "none"} == {1, 2, 3, 4})
    check(root, "twice", "again")
    must(canids("sim", root, "extended", sim__vehicles=2, sim__seconds=50, sim__ids_min=5, sim__ids_max=10, sim__extended=1))
    must(canids("sim", root, "low", sim__base="extended", sim__copies=20))
    widths = {(len(ident), int(ident, 16) >> (11 if len(ident) == 3 else 29)) for f in oracle.manifest(os.path.join(root, "low"))["files"]
              for _, ident, _, _ in base_rows(os.path.join(root, "low", f["path"]))}
    fact("inject__forges_identifiers_of_11_or_29_bits", widths == {(3, 0), (8, 0)}, widths)
    must(canids("sim", root, "short", sim__vehicles=2, sim__seconds=15, sim__ids_min=5, sim__ids_max=10))
    short = canids("sim", root, "never", sim__base="short")
    fact("inject__refuses_a_base_that_is_too_short", short.returncode == 65 and "20 s" in short.stdout, short.stdout)
    if not os.path.isdir(SHARED):
        print("skip - inject__keeps_the_benign_rows_of_its_base hcrl_sa: no %s" % SHARED)
        return
    os.symlink(os.path.abspath(SHARED), os.path.join(root, "hcrl_sa"))
    must(canids("sim", root, "real", sim__base="hcrl_sa", sim__copies=1))
    check(root, "real", "hcrl_sa")


run(main)
