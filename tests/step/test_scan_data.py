#!/usr/bin/python3
# TIMEOUT: 300
"""The real captures: every row of data/manifest.csv, made by another program, against the data report; the fixtures; one plan whatever the ranks."""
import csv
import decimal
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get("CANIDS_BUILD", "build")
DATA = os.path.join(os.environ.get("CANIDS_SHARED", "../shared"), "data")
PROGRAM = os.path.join(BUILD, "canids")
failed = []
LEFT = ("plan.json", "data_report.json", "vocabulary.json", "rejected.csv")


def say(name, complaints):
    for text in complaints[:10]:
        print("# " + text)
    print(("not ok - " if complaints else "ok - ") + name, flush=True)
    failed.extend(complaints)


def scan(ranks, root, name, run, *more):
    settings = ["data.root=" + root, "data.set=" + name, "run.dir=" + run, *more]
    conf = os.path.join(os.path.dirname(run), "empty.yaml")
    open(conf, "w").close()
    command = (["mpirun", "-n", str(ranks)] if ranks else []) + [PROGRAM, "scan", conf]
    for text in settings:
        command += ["--set", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def manifest(prefix):
    with open(os.path.join(DATA, "manifest.csv"), newline="") as f:
        return {row["path"][len(prefix):]: row for row in csv.DictReader(f) if row["path"].startswith(prefix)}


TEXT = {"id_min_hex": "id_min_hex", "id_max_hex": "id_max_hex", "eol": "eol"}
WHOLE = {"bytes": "bytes", "rows": "rows", "attack_rows": "attack_rows", "distinct_ids": "distinct_ids", "backward_steps": "backward_steps",
         "equal_steps": "equal_steps", "sum_of_ids": "sum_of_ids", "sum_of_payload_bytes": "sum_of_payload_bytes",
         "first_attack_row": "first_attack_row", "last_attack_row": "last_attack_row", "label_switches": "label_switches"}


def differences(path, want, got, windows=True):
    """Each column of the manifest but sha256; attack_ratio has six digits there."""
    bad = []

    def check(column, a, b):
        if a != b:
            bad.append("%s: %s is %r, not %r" % (path, column, a, b))

    for column, key in TEXT.items():
        check(column, got[key], want[column])
    for column, key in WHOLE.items():
        check(column, got[key], int(want[column]))
    for column in ("t_first", "t_last"):
        check(column, decimal.Decimal(got[column]), decimal.Decimal(want[column]))
    check("lengths", got["rows_by_payload_len_0_to_8"], [int(n) for n in want["rows_by_payload_len_0_to_8"].split()])
    check("attack_ratio", "%.6f" % got["attack_ratio"], want["attack_ratio"])
    if windows:
        check("windows", got["windows"], int(want["windows_100"]))
        check("attack windows", got["attack_windows"], int(want["attack_windows_100"]))
    return bad


def compare(name, run):
    with open(os.path.join(run, "data_report.json")) as f:
        report = json.load(f)
    want, got = manifest(name + "/"), {entry["path"]: entry for entry in report["files"]}
    bad = ["%s: in one of manifest and report only" % p for p in sorted(set(want) ^ set(got))]
    for path in sorted(set(want) & set(got)):
        bad += differences(path, want[path], got[path])
    return bad, report


def real_set(name, work, files):
    digests = {}
    for ranks in (1, 3, 2, 5):
        run = os.path.join(work, "%s_%d" % (name, ranks))
        done = scan(ranks, DATA, name, run)
        if done.returncode:
            say("scan__%s_ends_well_on_%d_ranks" % (name, ranks), [done.stderr[-2000:]])
            return None
        if ranks in (1, 3):
            bad, report = compare(name, run)
            if len(report["files"]) != files:
                bad.append("%d files, not %d" % (len(report["files"]), files))
            say("scan__%s_equals_the_manifest_on_%d_ranks" % (name, ranks), bad)
        digests[ranks] = [hashlib.sha256(open(os.path.join(run, f), "rb").read()).hexdigest() for f in LEFT]
    say("scan__%s_leaves_the_same_bytes_on_1_2_3_5_ranks" % name, [] if len(set(map(tuple, digests.values()))) == 1 else [str(digests)])
    return report


def windows_of_hcrl_sa(report):
    """The figures of data/README.md: training files of equal content once, test folders as they are."""
    want = {"train_01_attack_free": (3096, 0), "train_02_with_attacks": (3175, 1298), "test_01_known_vehicle_known_attack": (3994, 1928),
            "test_02_unknown_vehicle_known_attack": (1861, 752), "test_03_known_vehicle_unknown_attack": (3060, 1159),
            "test_04_unknown_vehicle_unknown_attack": (797, 311)}
    got = {f["name"]: (f["used"]["windows"], f["used"]["attack_windows"]) for f in report["folders"]}
    all_02 = [f["windows"] for f in report["folders"] if f["name"] == "train_02_with_attacks"]
    bad = [] if got == want else ["%r, not %r" % (got, want)]
    if all_02 != [6271]:
        bad.append("train_02 with duplicates: %r windows, not 6271" % all_02)
    used = [d["used"] for d in report["duplicates"]]
    if used != [False, False]:
        bad.append("duplicates: %r" % report["duplicates"])
    say("scan__hcrl_sa_has_the_windows_of_its_readme", bad)


def windows_with_duplicates(work):
    """The windows that the reference trains on (reference-system.md, appendix A): 9,367, of them 1,298 attacks."""
    run = os.path.join(work, "hcrl_sa_keep")
    done = scan(0, DATA, "hcrl_sa", run, "data.duplicates=keep")
    bad = [done.stderr[-2000:]] if done.returncode else []
    if not bad:
        with open(os.path.join(run, "data_report.json")) as f:
            used = [f["used"] for f in json.load(f)["folders"] if f["name"].startswith("train_")]
        got = sum(u["windows"] for u in used), sum(u["attack_windows"] for u in used)
        bad = [] if got == (9367, 1298) else ["%d windows, %d attacks" % got]
    say("scan__hcrl_sa_with_duplicates_has_the_windows_of_the_reference", bad)


def fixture(path, work, name):
    """One file as a set of its own."""
    root = os.path.join(work, "fixture_" + name)
    os.makedirs(os.path.join(root, "s", "train_01"))
    shutil.copy(os.path.join(DATA, "fixtures", path), os.path.join(root, "s", "train_01", "x.csv"))
    run = os.path.join(root, "run")
    return scan(0, root, "s", run), run


def good_fixture(path, work):
    name = os.path.basename(path)[:-4]
    done, run = fixture(path, work, name)
    if done.returncode:
        return ["%s: %s" % (path, done.stderr[-500:])]
    with open(os.path.join(run, "data_report.json")) as f:
        want = manifest("fixtures/")
        # The layouts that the manifest does not list are written from the same frames: all but the size is equal.
        same = dict(want["reencoded/ctt.csv"], bytes=os.path.getsize(os.path.join(DATA, "fixtures", path)))
        return differences(path, want.get(path, same), json.load(f)["files"][0])


def bad_fixture(path, where, work):
    done, run = fixture(path, work, os.path.basename(path)[:-4])
    bad = [] if done.returncode == 65 else ["%s: exit %d" % (path, done.returncode)]
    if where not in done.stderr:
        bad.append("%s: no '%s' in '%s'" % (path, where, done.stderr[-500:]))
    if not os.path.exists(os.path.join(run, "rejected.csv")) or os.path.exists(os.path.join(run, "plan.json")):
        bad.append("%s: rejected.csv and nothing else is left" % path)
    return bad


def main():
    names = ["scan__hcrl_sa", "scan__set_01", "scan__fixtures"]
    if not os.path.exists(os.path.join(DATA, "manifest.csv")):
        for name in names:
            print("skip - %s: no captures in %s" % (name, DATA))
        return 0
    work = tempfile.mkdtemp(prefix="scan_data_")
    try:
        report = real_set("hcrl_sa", work, 13)
        if report:
            windows_of_hcrl_sa(report)
            windows_with_duplicates(work)
        real_set("set_01", work, 9)
        say("scan__good_fixtures_equal_the_manifest",
            [c for p in ("crlf/DoS-1.csv", "edge/payload_empty.csv", "edge/timestamp_steps_back.csv", "edge/payload_trailing_tab.csv",
                       "reencoded/ctt.csv", "reencoded/ctt_crlf.csv", "reencoded/ctt_noheader.csv", "reencoded/ctt_bom_no_final_newline.csv",
                       "reencoded/ctt_lowercase_unpadded_0x.csv", "reencoded/hcrl_car_hacking_style.csv", "reencoded/hcrl_challenge_style.csv")
             for c in good_fixture(p, work)])
        say("scan__bad_fixtures_are_refused_where_they_are_bad",
            bad_fixture("same_log_six_formats/GenericID_Log.csv", "x.csv:1:1: dialect: 'ID,Data Bytes'", work)
            + bad_fixture("same_log_six_formats/BusMasterLog.log", "x.csv:1:1: dialect: '***BUSMASTER Ver 2.4.0***'", work)
            + bad_fixture("same_log_six_formats/CRTD_Log.txt", "x.csv:1:1: dialect", work)
            + bad_fixture("same_log_six_formats/MicrochipLog.log", "x.csv:1:1: dialect", work)
            + bad_fixture("same_log_six_formats/GVRET_Log.csv", "x.csv:1:1: no_label", work))
    finally:
        shutil.rmtree(work)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
