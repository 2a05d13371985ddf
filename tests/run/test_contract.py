#!/usr/bin/python3
# TIMEOUT: 240
"""Every kind of violation under every policy; what is in quarantine is as if it had never been there; findings of the report and of doctor."""
import csv
import json
import os
import re
import shutil
import subprocess

from common import PREPARED, PROGRAM, ROOT, SHARED, Place, differ, hashes, main, parallel, run, skipped, told, unfinished

HEADER = "timestamp,arbitration_id,data_field,attack\n"
GOOD = "0.000100,1A0,00FF,0\n"
REST = GOOD.replace("100", "300", 1) + GOOD.replace("100", "400", 1)
DUMP = "(0.000100) can0 1A0#00FF\n"
ONLY = ["rejected.csv", "resolved.yaml", "run.json"]  # the last two are those of the step, not of scan


def line(text):
    """A capture whose third line is `text`, and three good rows."""
    return HEADER + GOOD + text + "\n" + REST


def dump(text):
    return DUMP + text + "\n" + DUMP.replace("100", "300")


# kind: capture, line, column, value in rejected.csv, rows in quarantine (None: the file is left out), rows accepted (None: beyond repair)
KINDS = {
    "empty_file": ("", 1, 1, "", None, 0),
    "header": ("alpha,beta,gamma,delta\n" + GOOD, 1, 1, "alpha,beta,gamma,delta", None, None),
    "no_label": ("timestamp,arbitration_id,data_field\n0.0001,1A0,00FF\n", 1, 36, "timestamp,arbitration_id,data_field", None, 1),
    "no_rows": (HEADER, 2, 1, "", None, 0),
    "long_line": (line("0.000200,1A0," + "0" * 5000 + ",0"), 3, 4097, None, 3, None),
    "nul": (line("0.000200,1A0,\0\0,0"), 3, 14, "0.000200,1A0,\\x00\\x00,0", 3, None),
    "blank": (line(""), 3, 1, "", 3, 3),
    "columns": (line("0.000200,1A0,00FF,0,7"), 3, 20, "0.000200,1A0,00FF,0,7", 3, 4),
    "time": (line("x.000200,1A0,00FF,0"), 3, 1, "x.000200", 3, None),
    "time_digits": (line("0.0002000001,1A0,00FF,0"), 3, 12, "0.0002000001", 3, 4),
    "time_range": (line("9999999999.0,1A0,00FF,0"), 3, 1, "9999999999.0", 3, None),
    "id": (line("0.000200,1G0,00FF,0"), 3, 11, "1G0", 3, None),
    "id_range": (line("0.000200,20000000,00FF,0"), 3, 10, "20000000", 3, None),
    "payload": (line("0.000200,1A0,00XF,0"), 3, 16, "00XF", 3, None),
    "payload_odd": (line("0.000200,1A0,00F,0"), 3, 17, "00F", 3, 4),
    "payload_long": (line("0.000200,1A0,000102030405060708,0"), 3, 30, "000102030405060708", 3, 4),
    "label": (line("0.000200,1A0,00FF,2"), 3, 19, "2", 3, None),
    "dlc": ("1.0,01a0,2,00,ff,R\n1.1,01a0,9,00,ff,R\n1.2,01a0,2,00,ff,R\n", 2, 10, "9", 2, 3),
    "fd": (dump("(0.000200) can0 1A0##0000102030405060708090A0B"), 2, None, None, 2, 3),
    "remote": (dump("(0.000200) can0 1A0#R"), 2, None, None, 2, 3),
    "error_frame": (dump("(0.000200) can0 20000080#0000000000000000"), 2, None, None, 2, 2),
    "dialect": ("SQLite format 3\0" + "\1" * 6000 + "\nx\n", 1, 1, None, None, None),
}


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def report(run_dir):
    return json.loads(text_of(run_dir + "/data_report.json"))


def rejected(run_dir):
    with open(run_dir + "/rejected.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def left(run_dir):
    return sorted(n for n in os.listdir(run_dir) if not n.startswith("."))


def kinds_of_the_settings():
    section = text_of(ROOT + "/config/defaults.yaml").split("\ncontract:\n")[1]
    return re.findall(r"^  (\w+): \"default\"", re.split(r"^\w", section, maxsplit=1, flags=re.M)[0], re.M)


def one(job):
    """What is wrong with a kind under a policy: a list of complaints."""
    place, kind, policy = job
    content, at_line, column, value, quarantined, accepted = KINDS[kind]
    root = place.path("k_%s_%s" % (kind, policy))
    place.write(root + "/data/s/train_01/good.csv", HEADER + GOOD * 5)
    place.write(root + "/data/s/train_02/x.csv", content.encode())
    settings = {"data.root": root + "/data", "data.set": "s", "run.dir": root + "/run", "contract.max_share": 1}
    if policy != "fail":
        settings["contract." + kind] = policy
    if content.startswith(("(", "1.0,")):
        settings["data.attack_free"] = "train_02"
    done = run("scan", place.path("empty.yaml"), settings=settings)
    code = 65 if policy == "fail" else 0 if policy == "quarantine" or accepted is not None else 78
    bad = [] if done.code == code and not done.left else ["exit %s, not %s: %s" % (done.code, code, done)]
    if bad or code == 78:
        return bad + ([] if bad or "contract." + kind in done.out else ["the setting is not named: %s" % done])
    rows = [r for r in rejected(root + "/run") if r["file"].startswith("train_02")]
    if policy == "accept":
        bad += ["rejected: %r" % rows] if rows else []
    else:
        r = rows[0] if rows else {}
        at = len("".join(content.splitlines(True)[:at_line - 1]))
        got = (len(rows), r.get("kind"), r.get("policy"), r.get("line"), r.get("offset"))
        want = (1, kind, policy, str(at_line), str(at))
        bad += [] if got == want else ["rejected.csv has %r, not %r" % (got, want)]
        bad += ["column %s, not %s" % (r.get("column"), column)] if column and r.get("column") != str(column) else []
        bad += ["value %r, not %r" % (r.get("value"), value)] if value is not None and r.get("value") != value else []
    if policy == "fail":
        place_said = "train_02/x.csv:%d:" % at_line
        bad += [] if place_said in done.out and kind in done.out else ["not said: %s %s: %s" % (place_said, kind, done)]
        return bad + ([] if left(root + "/run") == ONLY else ["left: %s" % left(root + "/run")])
    entry = [f for f in report(root + "/run")["files"] if f["path"] == "train_02/x.csv"][0]
    count = {kind: 1}
    if policy == "quarantine":
        want = (quarantined or 0, kind if quarantined is None else None, count, {}, quarantined is not None)
    else:
        want = (accepted, None, {}, count, True)
    got = (entry["rows"], entry["left_out"], entry["quarantined"], entry["repaired"], entry["used"])
    return bad + ([] if got == want else ["the report has %r, not %r" % (got, want)])


def policies(place):
    told(sorted(KINDS) == sorted(kinds_of_the_settings()), "contract__is_tested_with_every_kind", set(KINDS) ^ set(kinds_of_the_settings()))
    jobs = [(place, kind, policy) for kind in KINDS for policy in ("fail", "quarantine", "accept")]
    for (_, kind, policy), bad in zip(jobs, parallel(one, jobs, 4)):
        told(not bad, "contract__%s_under_%s" % (kind, policy), bad)


def defaults(place):
    """contract.policy holds for the kinds that say default; what accept cannot repair fails."""
    def scan(name, text, **settings):
        place.write("d_%s/s/train_01/x.csv" % name, HEADER + GOOD * 3 + text)
        settings = {k.replace("__", "."): v for k, v in settings.items()}
        return run("scan", place.path("empty.yaml"), settings=dict({"data.root": place.path("d_" + name), "data.set": "s", "run.dir": place.path("d_" + name, "run"),
                                                                    "contract.max_share": 1}, **settings))

    cases = [("repaired", "\n" + GOOD, 0, {"contract__policy": "accept"}, {"blank": 1}),
             ("beyond_repair", "x" + GOOD, 65, {"contract__policy": "accept"}, None),
             ("too_few", "1.0,1A0\n", 65, {"contract__columns": "accept"}, None),
             ("one_fails", "x" + GOOD, 65, {"contract__policy": "quarantine", "contract__time": "fail"}, None),
             ("one_does_not", "x" + GOOD, 0, {"contract__time": "quarantine"}, {})]
    for name, text, code, settings, repaired in cases:
        done = scan(name, text, **settings)
        got = report(place.path("d_" + name, "run"))["files"][0]["repaired"] if done.code == 0 else None
        told(done.code == code and got == repaired, "contract_policy__%s" % name, "%s %s" % (got, done))
    done = scan("bound_out_of_range", GOOD, contract__max_share=1.5)
    told(done.code == 78 and "contract.max_share" in done.out, "contract_policy__has_bounds", done)


# ---- larger sets

def rows(n, seed=0):
    """Benign and attack rows of a made-up vehicle; identifiers of both lengths."""
    out = []
    for i in range(n):
        attack = i // 400 % 3 == 2 and i % 2 == 0
        ident = "000" if attack else "%03X" % (0x100 + (i * 7 + seed) % 13) if i % 11 else "18DAF1%02X" % (i % 5)
        out.append("%d.%06d,%s,%s,%d" % (1000 + i // 1000, i % 1000 * 1000, ident, "%04X" % ((i * 31 + seed) % 65536) * (i % 5), attack))
    return out


def spoil(lines, at):
    """Every way in which a line can go wrong and be left out, by turns; what is left when they are."""
    ways = [lambda r: r + "9", lambda r: r.replace(",", ";", 1), lambda r: "x" + r, lambda r: "", lambda r: r + ",1", lambda r: r[:-1]]
    return [ways[k % len(ways)](r) if (k := at.index(i) if i in at else -1) >= 0 else r for i, r in enumerate(lines)], \
        [r for i, r in enumerate(lines) if i not in at]


LENIENT = {"contract.policy": "quarantine", "contract.max_share": 0.1}
PLACES = {"train_01/a.csv": (4000, [0, 1, 99, 100, 2500, 3998]), "train_01/b.csv": (3000, []), "train_02/c.csv": (2500, [1200]),
          "test_01/d.csv": (1500, [700, 701, 1499])}


def write_sets(place):
    for name, (n, at) in PLACES.items():
        bad, good = spoil(rows(n, len(name) + n), at)
        place.write("big/s/" + name, HEADER + "\n".join(bad) + "\n")
        place.write("by_hand/s/" + name, HEADER + "\n".join(good) + "\n")


def prepare(place, data, where, ranks=0, **settings):
    where = place.path(where)
    more = dict({"pipeline": "scan,build", "window.stride": 7, "data.root": place.path(data), "data.set": "s", "run.dir": where}, **settings)
    return run("run", place.path("empty.yaml"), ranks=ranks, settings=more), where


def as_if_by_hand(place):
    """h5py's view of both stores; only the hashes of files differ."""
    import h5py
    import numpy
    same = "quarantine__builds_the_%s_store_of_the_same_set_without_these_lines"
    for features in ("kd11", "kd35"):
        bad, names = [], []
        more = {"features.set": features, "features.compat": "reference" if features == "kd11" else "none", "data.block": 4096}
        spoilt, a = prepare(place, "big", "run_big_" + features, **dict(LENIENT, **more))
        hand, b = prepare(place, "by_hand", "run_by_hand_" + features, **more)
        if told(spoilt.code == 0 and hand.code == 0, "quarantine__has_%s_stores_to_compare" % features, "%s %s" % (spoilt, hand)):
            with h5py.File(a + "/store.h5") as x, h5py.File(b + "/store.h5") as y:
                x.visititems(lambda name, o: names.append(name) if isinstance(o, h5py.Dataset) else None)
                bad = [n for n in names if n != "capture_hash" and not numpy.array_equal(x[n][()], y[n][()])]
                told(len(names) > 10 and not bad and x["graph_label"].shape[0] > 100, same % features, bad)
    want = [(name, i + 2) for name, (_, at) in sorted(PLACES.items(), key=lambda e: e[0].startswith("test")) for i in at]
    got = [(r["file"], int(r["line"])) for r in rejected(a)]
    told(got == want, "quarantine__lists_every_line", "%r, not %r" % (got, want))


def for_any_ranks(place):
    first = {}
    for block in (4096, 1 << 22):
        for ranks in (0, 1, 2, 3, 5, 8) if block == 4096 else (0, 3):
            done, there = prepare(place, "big", "any_%d_%d" % (block, ranks), ranks, **dict(LENIENT, **{"data.block": block}))
            now = hashes(there, PREPARED)
            first.setdefault(block, now)
            told(done.code == 0 and now == first[block] and "missing" not in now.values() and not done.left,
                 "quarantine__leaves_the_same_bytes_with_%d_ranks_and_blocks_of_%d" % (ranks, block), differ(now, first[block]) + str(done))
    other = differ(*first.values())
    told(other == "plan.json", "quarantine__leaves_the_same_bytes_whatever_the_size_of_blocks", other)


def long_lines(place):
    """Windows reach over a quarantined line that is longer than any buffer; its end, which looks like a row, is none."""
    lines = rows(6000)
    text = HEADER + "\n".join(lines) + "\n"
    middle, edge = text.rfind("\n", 0, 65000) + 1, text.rfind("\n", 0, 65536) + 1
    spoilt = {"out_of_a_block": text[:middle] + "9" * ((1 << 18) - middle) + "7.5,7FF,AA,1\n" + text[middle:],
              "where_a_block_begins": text[:edge] + " " * (65536 - edge - 1) + "\n" + "9" * 600000 + "\n" + text[edge:]}
    graphs = ("graphs", "nodes", "edges")
    place.write("unspoilt/s/train_01/a.csv", text)
    done, there = prepare(place, "unspoilt", "run_unspoilt", pipeline="scan")
    want = {k: json.loads(text_of(there + "/plan.json"))[k] for k in graphs} if done.code == 0 else {}
    for name, bad in spoilt.items():
        place.write(name + "/s/train_01/a.csv", bad)
        for ranks in (0, 3):
            done, there = prepare(place, name, "run_%s_%d" % (name, ranks), ranks, **dict(LENIENT, **{"data.block": 65536}))
            plan = json.loads(text_of(there + "/plan.json")) if done.code == 0 else {}
            told(done.code == 0 and want and {k: plan.get(k) for k in graphs} == want, "quarantine__of_a_long_line_%s_leaves_the_other_rows_with_%d_ranks" % (name, ranks),
                 "%s %s" % (want, done))


def quoted(place):
    """Names of files may have quotes and commas."""
    name = 'train_01/a "b", c.csv'
    place.write("quoted/s/" + name, HEADER + GOOD + "1.5,1A0,00,7\n")
    done, there = prepare(place, "quoted", "run_quoted", pipeline="scan")
    got = [(r["file"], r["line"], r["kind"]) for r in rejected(there)]
    told(done.code == 65 and got == [(name, "3", "label")], "rejected_csv__has_names_with_quotes_and_commas", "%s %s" % (got, done))


def planted(place):
    """A bad row in the very last line of the last shard, on five ranks, under both policies."""
    last = "test_09/z.csv"
    lines = rows(3000)
    lines[-1] = lines[-1][:-1] + "7"
    text = HEADER + "\n".join(lines)
    for name in ("train_01/a.csv", "train_01/b.csv", last):
        place.write("planted/s/" + name, text if name == last else HEADER + "\n".join(rows(3000, len(name))) + "\n")
    want = {"file": last, "line": "3001", "column": str(len(lines[-1])), "offset": str(len(text) - len(lines[-1])), "kind": "label", "value": "7"}
    for policy, code in (("fail", 65), ("quarantine", 0)):
        done, there = prepare(place, "planted", "planted_" + policy, 5, **{"contract.label": policy, "data.block": 4096})
        got = rejected(there)
        good = len(got) == 1 and all(got[0][k] == v for k, v in want.items()) and got[0]["policy"] == policy
        told(done.code == code and good, "planted_row__is_located_by_five_ranks_under_%s" % policy, "%s %s" % (got, done))
        if code:
            told("%s:3001:%s: label: '7'" % (last, want["column"]) in done.out and left(there) == ONLY, "planted_row__is_named_and_nothing_is_left", done)


def said_once(place):
    """By the first rank, though mpirun wakes the others a second before it kills them."""
    done = run("scan", place.path("empty.yaml"), ranks=5, env={"OMPI_MCA_odls_base_sigkill_timeout": "1"},
               settings={"data.root": place.path("planted"), "data.set": "s", "run.dir": place.path("once"), "data.block": 4096})
    told(done.code == 65 and done.out.count(" ERROR ") == 1, "planted_row__is_said_once_by_five_ranks", done)


def bounds(place):
    """More than may be: nothing is written, what was there before is as it was."""
    done, there = prepare(place, "by_hand", "bounded")
    before = hashes(there, [n for n in left(there) if n not in ("rejected.csv", "run.json", "resolved.yaml")])
    spoilt, _ = prepare(place, "big", "bounded", **dict(LENIENT, **{"contract.max_share": 0.0009}))  # 10 of 11,004 lines are .000909
    now = hashes(there, before)
    said = "10 of 11004 lines" in spoilt.out and "contract.max_share" in spoilt.out
    told(done.code == 0 and spoilt.code == 65 and now == before and said and len(rejected(there)) == 10, "quarantine__beyond_its_bound_changes_nothing",
         "%s %s" % (differ(now, before), spoilt))
    spoilt, fresh = prepare(place, "big", "bounded_fresh", 3, **dict(LENIENT, **{"contract.max_share": 0.0009}))
    told(spoilt.code == 65 and left(fresh) == ONLY, "quarantine__beyond_its_bound_writes_nothing", "%s %s" % (left(fresh), spoilt))
    done, _ = prepare(place, "big", "bounded", **dict(LENIENT, **{"contract.max_share": 0.00091}))
    told(done.code == 0, "quarantine__within_its_bound_goes_on", done)


def many(place):
    """More lines in quarantine than are kept, and a failing one behind them."""
    text = HEADER + "".join("%d.5,1A0,00FF,%s\n" % (i, "9" if i % 2 else "0") for i in range(6000))
    place.write("many/s/train_01/a.csv", text)
    for ranks in (0, 3):
        done, there = prepare(place, "many", "many_%d" % ranks, ranks, **{"contract.label": "quarantine", "contract.max_share": 0.6, "data.block": 4096, "pipeline": "scan"})
        entry = report(there) if done.code == 0 else {}
        got = (len(rejected(there)), entry.get("contract", {}).get("rejected"), entry.get("totals", {}).get("rows"))
        told(got == (1000, 3000, 3000), "quarantine__keeps_the_first_thousand_with_%d_ranks" % ranks, "%s %s" % (got, done))
    place.write("many/s/train_01/a.csv", text + "1.5,1A0,0,0\n")
    done, there = prepare(place, "many", "many_fail", 3, **{"contract.label": "quarantine", "contract.max_share": 0.6, "data.block": 4096})
    told(done.code == 65 and "a.csv:6002:" in done.out and left(there) == ONLY, "contract__names_what_fails_behind_many_in_quarantine", done)


def killed(place):
    """A scan that dies while it publishes leaves each file of the previous one, or its own; the same command then ends well."""
    prepare(place, "by_hand", "old", pipeline="scan")
    prepare(place, "big", "new", pipeline="scan", **LENIENT)
    names = [n for n in PREPARED if n != "store.h5"]
    old, new = hashes(place.path("old"), names), hashes(place.path("new"), names)
    bad = []
    for point in (5, 12, 19, 26, 33, 40):
        there = place.path("killed_%d" % point)
        shutil.copytree(place.path("old"), there)
        done, _ = prepare(place, "big", "killed_%d" % point, pipeline="scan", **dict(LENIENT, **{"inject.crash_point": point}))
        now = hashes(there, names)
        bad += ["%d: %s" % (point, n) for n in names if now[n] not in (old[n], new[n])] + (["%d: %s" % (point, done)] if done.code == 0 else [])
        done, _ = prepare(place, "big", "killed_%d" % point, pipeline="scan", **LENIENT)
        if done.code or hashes(there, names) != new or unfinished(there):
            bad.append("%d again: %s %s" % (point, differ(hashes(there, names), new), done))
    told(not bad and old != new, "killed_scan__leaves_whole_files_and_is_done_again", bad)


# ---- findings

def findings(data, **settings):
    command = [PROGRAM, "doctor", "--json", data]
    for key, value in settings.items():
        command += ["--set", "%s=%s" % (key.replace("__", "."), value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    said = json.loads(done.stdout) if done.returncode in (0, 65) else {"findings": []}
    return done.returncode, {(f["kind"], f["path"] or ""): f for f in said["findings"]}, done.stderr


def times(place):
    """One capture for each thing that time can do."""
    def capture(name, steps, gap_at, gap):
        t, out = 1000 * 10 ** 9, []
        for i in range(steps):
            t += gap if i == gap_at else 1000000
            out.append("%d.%09d,1A0,%02X,%d" % (t // 10 ** 9, t % 10 ** 9, i % 256, i % 50 == 0))
        place.write("times/s/train_01/%s.csv" % name, HEADER + "\n".join(out) + "\n")

    capture("even", 1000, -1, 0)
    capture("gap", 1000, 600, 2 * 10 ** 9)
    capture("short_gap", 1000, 600, 10 ** 9)           # below 2^30 ns
    capture("ahead", 1000, 600, 70 * 10 ** 9)
    capture("back", 1000, 600, -(2 * 10 ** 8))
    capture("little_back", 1000, 600, -(10 ** 5))
    spoilt = text_of(place.path("times/s/train_01/ahead.csv")).split("\n")
    place.write("times/s/train_01/hurt.csv", "\n".join(spoilt[:300] + ["x" + spoilt[300]] + spoilt[300:]))  # row 600 is on line 603
    code, found, err = findings(place.path("times/s"), contract__time="quarantine")
    want = {("gap", "train_01/gap.csv"), ("clock_ahead", "train_01/ahead.csv"), ("clock_back", "train_01/back.csv"), ("steps_back", "train_01/little_back.csv")}
    hurt = found.pop(("clock_ahead", "train_01/hurt.csv"), {})
    told((hurt.get("line"), hurt.get("row")) == (None, 600), "findings__say_no_line_where_a_line_is_no_row", hurt)
    got = {k for k in found if k[0] in ("gap", "clock_ahead", "clock_back", "steps_back")}
    told(code == 0 and got == want, "findings__of_time_are_those_that_were_made", "%s %s %s" % (code, got, err))
    _, again, _ = findings(place.path("times/s"), data__block=4096, contract__time="quarantine")
    told(again == found | {("clock_ahead", "train_01/hurt.csv"): hurt}, "findings__do_not_depend_on_the_size_of_blocks", again)
    told(all(found[k].get("line") == 602 and found[k].get("row") == 600 for k in want & got), "findings__of_time_say_the_line", found)


def sets(place):
    """Duplicates, leaks, one class, empties, identifiers of test only."""
    a, b = HEADER + "\n".join(rows(1000)) + "\n", HEADER + "\n".join(rows(1000, 5)) + "\n"
    files = {"train_01/a.csv": a, "train_01/same.csv": a, "test_01/leak.csv": a, "test_02/DoS-1.csv": HEADER + GOOD * 200,
             "test_02/short.csv": b[:600].rpartition("\n")[0] + "\n", "test_03/only.csv": HEADER + "1.5,7FF,,1\n" * 150, "test_03/bad.csv": line("1.5,1A0,0,0")}
    for name, text in files.items():
        place.write("sets/s/" + name, text)
    code, found, err = findings(place.path("sets/s"))
    want = {("duplicate", "train_01/same.csv"): "note", ("leak", "test_01/leak.csv"): "error", ("no_attack_rows", "test_02/DoS-1.csv"): "warning",
            ("no_window", "test_02/short.csv"): "warning", ("only_attack_rows", "test_03/only.csv"): "warning", ("payload_odd", "test_03/bad.csv"): "error",
            ("ids_only_in_test", ""): "note", ("one_class", "test_02"): "warning"}
    missing = [k for k, severity in want.items() if found.get(k, {}).get("severity") != severity]
    told(code == 65 and not missing, "findings__of_a_set_are_those_that_were_made", "%s %s %s %s" % (code, missing, sorted(found), err))
    f = found.get(("payload_odd", "test_03/bad.csv"), {})
    told((f.get("line"), f.get("column")) == (3, 10) and "contract.payload_odd" in f.get("do", ""), "findings__name_line_column_and_setting", f)
    told(not [n for n in os.listdir(place.root) if n == "runs"] and not os.path.exists("runs"), "doctor__leaves_nothing")
    alone = subprocess.run([PROGRAM, "doctor", place.path("sets/s/train_01/a.csv")], stdout=subprocess.PIPE, text=True, timeout=60)
    told(alone.returncode == 0 and "1 files, 1000 rows" in alone.stdout, "doctor__looks_at_one_file", alone)
    place.write("others/t/log.dat", a)
    place.write("others/t/bad.csv.gz", b"\x1f\x8b\x08\0 no stream of gzip")
    place.write("others/t/none.csv.attacks.csv", "start_s,end_s\n")
    alone = subprocess.run([PROGRAM, "doctor", place.path("others/t/log.dat")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    told(alone.returncode == 0 and "1 files, 1000 rows" in alone.stdout, "doctor__looks_at_one_file_whatever_lies_beside_it_and_its_name_ends_in", alone)
    folder = run("doctor", place.path("sets/s/test_03"), ranks=3)
    told(folder.code == 65 and "test_03/bad.csv:3:10" in folder.out and folder.out.count("error: ") == 1, "doctor__looks_at_a_folder_with_three_ranks", folder.out)
    gone = run("doctor", place.path("sets/nothing"))
    told(gone.code == 66 and "sets/nothing" in gone.out, "doctor__says_that_nothing_is_there", gone)


def shifted(place):
    """Labels of a real flood moved by 1 to 5 rows; none of the real captures is suspected."""
    source = os.path.join(SHARED, "data/hcrl_sa/train_02_with_attacks/DoS-kia.csv")
    if not os.path.exists(source):
        return skipped("findings__see_labels_that_moved", "no real captures")
    body = text_of(source).split("\n")[1:-1]
    first = [r[-1] for r in body].index("1")
    body = body[first - 100:first + 20000]
    for by in (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5):
        moved = [r[:-1] + (body[i - by][-1] if 0 <= i - by < len(body) else "0") for i, r in enumerate(body)]
        place.write("shifted/s/train_01/by%+d.csv" % by, HEADER + "\n".join(moved) + "\n")
    done, there = prepare(place, "shifted", "run_shifted", 2, pipeline="scan")
    _, other = prepare(place, "shifted", "run_shifted_5", 5, **{"pipeline": "scan", "data.block": 16384})
    told(hashes(there, ["data_report.json"]) == hashes(other, ["data_report.json"]), "findings__do_not_depend_on_ranks_and_blocks")
    got = {f["path"][11:-4]: f["label_shift"]["rows"] for f in report(there)["files"]} if done.code == 0 else {}
    told(len(got) == 11 and all(int(k) == v for k, v in got.items()), "findings__see_labels_that_moved", "%s %s" % (got, done))
    for name in ("hcrl_sa", "set_01"):
        code, found, err = findings(os.path.join(SHARED, "data", name))
        told(code == 0 and {k[0] for k in found} <= {"duplicate", "ids_only_in_test", "steps_back"}, "findings__suspect_nothing_in_" + name, "%s %s %s" % (code, found, err))


def page(place):
    done, there = prepare(place, "big", "run_page", pipeline="scan", **LENIENT)
    text = text_of(there + "/data_report.html") if done.code == 0 else ""
    missing = [w for w in ("Findings", "train_01/a.csv", "<td>quarantine</td>", "<td>label</td>", "Files of equal content") if w not in text]
    told(not missing and "<script" not in text and "http" not in text and text.count("<table>") == text.count("</table>"), "data_report_html__has_it_all", "%s %s" % (missing, done))


def test():
    with Place(simulate=False) as place:
        place.write("empty.yaml", "")
        policies(place)
        defaults(place)
        write_sets(place)
        as_if_by_hand(place)
        for_any_ranks(place)
        long_lines(place)
        quoted(place)
        planted(place)
        said_once(place)
        bounds(place)
        many(place)
        killed(place)
        times(place)
        sets(place)
        shifted(place)
        page(place)


main(test)
