#!/usr/bin/python3
# TIMEOUT: 300
"""Compressed captures, side-cars of attacks and logs of several dialects: one store whatever the ranks, the rows of the plain text, and what is refused."""
import base64
import gzip
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from common import Place, differ, hashes, main, parallel, run, skipped, told  # noqa: E402

DIALECTS = {"four-column", "hcrl", "hcrl-challenge", "hcrl-text", "candump", "candump-screen", "python-can", "gvret"}
LEFT = ["store.h5", "plan.json", "vocabulary.json", "data_report.json", "rejected.csv"]


def frames(seed, n):
    """(time in microseconds, id, payload, label); bursts of attack."""
    r, t = random.Random(seed), 1513920000000000 + seed
    for i in range(n):
        t += r.randrange(1, 900)
        yield t, r.choice((0x110, 0x1A0, 0x2B0, 0x4B1, 0x7DF)) if r.random() < .98 else r.randrange(0x800), r.randbytes(r.randrange(9)), int(i // 50 % 7 == 3)


def seconds(t):
    return "%d.%06d" % (t // 1000000, t % 1000000)


def four(rows, head="timestamp,arbitration_id,data_field,attack\n"):
    return (head + "".join("%s,%03X,%s,%d\n" % (seconds(t), i, p.hex().upper(), a) for t, i, p, a in rows)).encode()


def candump(rows):
    return "".join("(%s) can0 %03X#%s\n" % (seconds(t), i, p.hex().upper()) for t, i, p, _ in rows).encode()


def hcrl(rows):
    return "".join("%s,%04x,%d,%s%s\n" % (seconds(t), i, len(p), "".join("%02x," % b for b in p), "RT"[a]) for t, i, p, a in rows).encode()


def intervals(rows):
    """Runs of attack, as a side-car."""
    out, since, last = "start_s,end_s\n", None, None
    for t, _, _, a in rows:
        if a and since is None:
            since = t
        if not a and since is not None:
            out += "%s,%s\n" % (seconds(since), seconds(last))
            since = None
        last = t
    return out.encode() + (("%s,%s\n" % (seconds(since), seconds(last))).encode() if since is not None else b"")


def zstd(content, *how):
    return subprocess.run(["zstd", "-q", "-c", *how], input=content, stdout=subprocess.PIPE, check=True).stdout


def skipped_frame(n):
    """Of Zstandard, as pzstd writes them.  Source: RFC 8878, section 3.1.2."""
    return struct.pack("<II", 0x184D2A50, n) + b"x" * n


def report(folder):
    with open(os.path.join(folder, "data_report.json"), encoding="utf-8") as f:
        return json.load(f)["files"]


def facts(entry):
    """What does not depend on how rows are written."""
    return {k: entry[k] for k in ("rows", "attack_rows", "distinct_ids", "sum_of_ids", "sum_of_payload_bytes", "t_first", "t_last", "first_attack_row",
                                  "last_attack_row", "label_switches", "windows", "attack_windows")}


def scan(place, name, files, verb="scan", ranks=0, **settings):
    """A set of these files."""
    shutil.rmtree(place.path("data", name), ignore_errors=True)
    for path, content in files.items():
        place.write("data/%s/%s" % (name, path), content)
    conf = place.write(name + ".yaml", "pipeline: scan,build\ndata: {root: %s, set: %s, block: 64Ki}\nrun: {dir: %s}\n"
                       % (place.path("data"), name, place.path("run_" + name)))
    return run(verb, conf, ranks=ranks, settings={k.replace("__", "."): v for k, v in settings.items()})


def same_store(place):
    a, b, c = list(frames(1, 12000)), list(frames(2, 9000)), list(frames(3, 6000))
    files = {"train_01/a.csv.gz": gzip.compress(four(a), 6), "train_01/b.log.xz": lzma.compress(candump(b), preset=6),
             "train_01/b.log.xz.attacks.csv": intervals(b), "train_01/c.csv.zst": zstd(hcrl(c)), "test_01/d.csv": hcrl(a), "test_01/README.txt": b"words\n"}
    done = scan(place, "packed", files, "run", ranks=1)
    if not told(done.code == 0, "packed__captures_are_built", done):
        return
    got = {}
    for ranks in (1, 2, 3, 5, 8):
        folder = place.path("ranks_%d" % ranks)
        done = run("run", place.path("packed.yaml"), ranks=ranks, settings={"run.dir": folder})
        got[ranks] = hashes(folder, LEFT) if done.code == 0 else {"run": str(done)}
    told(all(g == got[1] for g in got.values()) and "missing" not in got[1].values(), "packed__leave_the_same_bytes_on_1_2_3_5_8_ranks", got)
    entries = {e["path"]: e for e in report(place.path("ranks_1"))}
    plain = {"train_01/a.csv": four(a), "train_01/b.csv": four(b), "train_01/c.csv": four(c), "test_01/d.csv": four(a)}
    done = scan(place, "plain", plain, "run")
    want = {e["path"][:10]: facts(e) for e in report(place.path("run_plain"))}
    bad = [p for p, e in entries.items() if facts(e) != want[p[:10]]]
    told(done.code == 0 and len(entries) == 4 and not bad, "packed__have_the_rows_labels_and_windows_of_the_plain_text", "%s %s" % (bad, done))
    same_graphs(place.path("ranks_1/store.h5"), place.path("run_plain/store.h5"))
    place.write("data/packed/train_01/torn.log", b"\0" * 5000 + candump(b))
    said = [x for x in run("scan", place.path("packed.yaml")).out.split("\n") if "left out" in x]
    told(any("README.txt" in x and " INFO " in x for x in said), "packed__a_text_that_is_no_log_is_left_out_and_named", said)
    told(any("torn.log" in x and " WARN " in x for x in said), "packed__a_log_of_no_dialect_is_left_out_with_a_warning", said)


def same_graphs(one, other):
    try:
        import h5py
    except ImportError:
        skipped("packed__graphs_are_those_of_the_plain_text", "no h5py")
        return
    unlike = []
    with h5py.File(one, "r") as a, h5py.File(other, "r") as b:
        a.visititems(lambda name, item: unlike.append(name) if isinstance(item, h5py.Dataset)
                     and (name not in b or item.shape != b[name].shape or item[()].tobytes() != b[name][()].tobytes()) else None)
    # The names of the files are in the store, and their hashes, which are of the text.
    told(all(u.startswith("captures/") or "capture" in u or "block" in u or "hash" in u for u in unlike), "packed__graphs_are_those_of_the_plain_text", unlike)
    print("# unlike in the two stores: %s" % ", ".join(unlike))


def dialects(rows):
    """Every dialect and every way to write four columns: {end of the name: text}, and whether lines are labelled."""
    def words(p, between=" "):
        return between.join("%02X" % b for b in p)

    four_ways = {
        "bom_crlf.csv": (b"\xef\xbb\xbf" + four(rows).replace(b"\n", b"\r\n"), True),
        "bare.csv": (four(rows, ""), True),
        "loose.csv": ("time,can_id,data,label\n" + "".join("%s,0x%x,%s ,%d\n" % (seconds(t), i, p.hex(), a) for t, i, p, a in rows), True),
        "turned.csv": ("attack,payload,id,timestamp\n" + "".join("%d,%s,%X,%s\n" % (a, p.hex(), i, seconds(t)) for t, i, p, a in rows), True),
        "three.csv": ("timestamp,arbitration_id,data_field\n" + "".join("%s,%X,%s\n" % (seconds(t), i, p.hex()) for t, i, p, a in rows), False)}
    logs = {
        "candump.log": (candump(rows), False),
        "mirgu.log": ("".join("(%s) can0 %03X#%s %d\n" % (seconds(t), i, p.hex(), a) for t, i, p, a in rows), True),
        "screen.log": ("".join("(%s)  can0  %03X   [%d]  %s\n" % (seconds(t), i, len(p), words(p)) for t, i, p, a in rows), False),
        "hcrl.csv": (hcrl(rows), True),
        "challenge.csv": ("Timestamp,Arbitration_ID,DLC,Data,Class,SubClass\n" + "".join(
            "%s,%X,%d,%s,%s,x\n" % (seconds(t), i, len(p), words(p), ("Normal", "Attack")[a]) for t, i, p, a in rows), True),
        "hcrl.txt": ("".join("Timestamp: %s        ID: %04x    000    DLC: %d    %s\n" % (seconds(t), i, len(p), words(p)) for t, i, p, a in rows), False),
        "python.csv": ("timestamp,arbitration_id,extended,remote,error,dlc,data\n" + "".join(
            "%s,0x%x,0,0,0,%d,%s\n" % (seconds(t), i, len(p), base64.b64encode(p).decode()) for t, i, p, a in rows), False),
        "gvret.csv": ("Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n" + "".join(
            "%d,%08X,false,Rx,0,%d,%s,\n" % (t, i, len(p), words(p, ",")) for t, i, p, a in rows), False)}
    return {k: (v if isinstance(v, bytes) else v.encode(), labelled) for k, (v, labelled) in {**four_ways, **logs}.items()}


def every_dialect(place):
    """Each in a set of its own folders, in blocks that cut its lines anywhere: one store, and the rows that were meant."""
    made, n = {}, 2500
    files, plain = {}, {}
    for k, name in enumerate(dialects([])):
        rows = list(frames(20 + k, n))
        text, labelled = dialects(rows)[name]
        files["train_01/%02d.%s" % (k, name)] = text
        plain["train_01/%02d.plain.csv" % k] = four(rows)
        if not labelled:
            files["train_01/%02d.%s.attacks.csv" % (k, name)] = intervals(rows)
    for ranks in (1, 2, 3, 5, 8):
        done = scan(place, "every", files, "run", ranks=ranks, data__block=4096, window__stride=20)
        made[ranks] = hashes(place.path("run_every"), LEFT) if done.code == 0 else {"run": str(done)}
        entries = report(place.path("run_every")) if done.code == 0 else []
        shutil.rmtree(place.path("run_every"), ignore_errors=True)
    told(all(g == made[1] for g in made.values()) and "missing" not in made[1].values(), "dialects__leave_the_same_bytes_on_1_2_3_5_8_ranks",
         {r: differ(made[1], g) or g.get("run") for r, g in made.items()})
    done = scan(place, "meant", plain, window__stride=20)
    want = {e["path"][:11]: facts(e) for e in report(place.path("run_meant"))}
    bad = [(e["path"], e["dialect"]) for e in entries if facts(e) != want[e["path"][:11]]]
    told(len(entries) == len(want) == 13 and not bad and {e["dialect"] for e in entries} == DIALECTS, "dialects__have_the_rows_that_were_meant", "%s %s" % (bad, done))


def equal_content(place):
    text = four(frames(4, 3000))
    half = len(text) // 2
    forms = {"a.csv": text, "b.csv.gz": gzip.compress(text), "c.csv.gz": gzip.compress(text[:half]) + gzip.compress(text[half:]) + b"\0" * 512,
             "d.csv.xz": lzma.compress(text[:half]) + lzma.compress(text[half:]), "e.csv.zst": zstd(text[:half]) + zstd(text[half:]),
             "f.csv.gz": text, "g.csv": gzip.compress(text, 1), "h.csv.zst": skipped_frame(4) + zstd(text[:half]) + skipped_frame(0) + zstd(text[half:])}
    done = scan(place, "equal", {"train_01/" + k: v for k, v in forms.items()})
    entries = report(place.path("run_equal")) if done.code == 0 else []
    told(len(entries) == len(forms) and all(e["same_as"] == "train_01/a.csv" for e in entries[1:]),
         "packed__of_one_text_are_duplicates_also_in_members", "%s %s" % (done, [(e["path"], e["same_as"]) for e in entries]))


def refused(place):
    text = four(frames(5, 3000))
    gz, xz, zs = gzip.compress(text), lzma.compress(text), zstd(text)
    hit = lambda b: b[:len(b) // 2] + bytes((b[len(b) // 2] ^ 0x55,)) + b[len(b) // 2 + 1:]  # noqa: E731
    cases = [("gzip cut short", "x.csv.gz", gz[:-700], "is cut short"), ("gzip without its end", "x.csv.gz", gz[:-3], "is cut short"),
             ("xz cut short", "x.csv.xz", xz[:-700], "is cut short"), ("zstd cut short", "x.csv.zst", zs[:-700], "is cut short"),
             ("gzip with garbage behind", "x.csv.gz", gz + b"more", "is followed by something else"),
             ("gzip with garbage behind zeros", "x.csv.gz", gz + b"\0\0more", "is followed by something else"),
             ("xz with garbage behind", "x.csv.xz", xz + b"more, and more", "followed by something else"),
             ("zstd with garbage behind", "x.csv.zst", zs + b"more", "is followed by something else"),
             ("gzip with a wrong byte", "x.csv.gz", hit(gz), "is damaged"), ("xz with a wrong byte", "x.csv.xz", hit(xz), "is damaged"),
             ("zstd with a wrong byte", "x.csv.zst", hit(zstd(text, "--check")), "is damaged"),
             ("a window of xz -9", "x.csv.xz", lzma.compress(text, preset=9), "a window of more than 16 MiB; compress the file with xz -6"),
             ("a window of zstd --long=27", "x.csv.zst", zstd(text, "--long=27"), "a window of more than 16 MiB")]

    def one(case):
        name, path, content, words = case
        done = scan(place, name.replace(" ", "_"), {"train_01/" + path: content})
        told(done.code == 65 and words in done.out and "train_01/" + path in done.out, "packed__%s_is_65" % name.replace(" ", "_"), done)

    parallel(one, cases, 2)
    done = scan(place, "bomb", {"train_01/x.csv.gz": gzip.compress(b"0" * 5000000)}, data__expand_max=1 << 20)
    told(done.code == 65 and "expands to more than 1048576 bytes (data.expand_max)" in done.out, "packed__what_expands_beyond_its_bound_is_65", done)
    done = scan(place, "bad_rank", {"train_01/a.csv.gz": gz, "train_01/b.csv.gz": gz[:-700]}, ranks=3)
    told(done.code == 65 and "b.csv.gz" in done.out and not done.left, "packed__one_bad_stream_ends_all_ranks", done)


def sidecars(place):
    rows = [(1500000 * i, 0x100 + i % 2, b"\xAA", 0) for i in range(1, 400)]
    log, head = candump(rows), "start_s,end_s,arbitration_id\n"

    def one(name, side, code, *words, log=log):
        done = scan(place, "side_" + name, {"train_01/x.log": log, "train_01/x.log.attacks.csv": side.encode()})
        told(done.code == code and all(w in done.out for w in words), "sidecar__" + name, done)
        return report(place.path("run_side_" + name))[0] if done.code == 0 else None

    e = one("labels_both_ends_of_its_intervals", "start_s,end_s\n30.0,45.0\n3.0,6.0\n4.5,4.6\n", 0)
    told(e and (e["attack_rows"], e["first_attack_row"], e["last_attack_row"]) == (3 + 11, 1, 29), "sidecar__labels_the_rows_of_its_intervals", e)
    e = one("labels_one_identifier", head + "3.0,6.0,101\r\n30,45,0100\r\n", 0)
    told(e and e["attack_rows"] == 1 + 6, "sidecar__labels_rows_of_its_identifier", e)
    e = one("labels_identifiers_at_the_same_time", head + "3.0,60.0,101\n30,33,100\n9,9,7FF\n", 0)
    told(e and e["attack_rows"] == 19 + 2, "sidecar__labels_rows_of_two_identifiers", e)
    at = "x.log.attacks.csv:"
    one("with_another_header_is_65", "start,end\n1,2\n", 65, at + "1:1: header")
    one("that_is_empty_is_65", "", 65, at + "1:1: header")
    one("with_letters_is_65", "start_s,end_s\n1,2\n1,x\n", 65, at + "3:3: time: 'x'")
    one("with_too_few_columns_is_65", head + "1,2\n", 65, at + "2:4: 2 columns; the header names 3")
    one("with_a_wrong_identifier_is_65", head + "1,2,20000000\n", 65, at + "2:5: id_range")
    one("that_ends_before_it_starts_is_65", "start_s,end_s\n2,1\n", 65, at + "2:3: the attack ends before it starts")
    one("beside_labels_is_65", "start_s,end_s\n", 65, "the capture has labels of its own", log=four(rows))
    done = scan(place, "side_alone", {"train_01/x.log": log, "train_01/y.log.attacks.csv": b"start_s,end_s\n"})
    told(done.code == 65 and "there is no capture y.log beside it" in done.out, "sidecar__without_its_capture_is_65", done)
    done = scan(place, "side_none", {"train_01/x.log": log})
    told(done.code == 65 and "x.log:1:1: no_label" in done.out, "sidecar__that_is_missing_leaves_a_log_without_labels", done)
    done = scan(place, "side_twice", {"train_01/x.log": log, "train_01/x.log.attacks.csv": b"start_s,end_s\n1,9\n",
                                      "train_01/y.log": log, "train_01/y.log.attacks.csv": b"start_s,end_s\n1,8\n",
                                      "train_01/z.log": log, "train_01/z.log.attacks.csv": b"start_s,end_s\n1,9\n"})
    same = [e["same_as"] for e in report(place.path("run_side_twice"))]
    told(same == [None, None, "train_01/x.log"], "sidecar__is_part_of_the_content", same)


def changed(place):
    """Build refuses what scan did not read."""
    rows = list(frames(6, 4000))
    done = scan(place, "changed", {"train_01/x.log.gz": gzip.compress(candump(rows)), "train_01/x.log.gz.attacks.csv": intervals(rows)})
    place.write("data/changed/train_01/x.log.gz.attacks.csv", "start_s,end_s\n1,2\n")
    again = run("build", place.path("changed.yaml"))
    told(done.code == 0 and again.code == 74 and "the file changed; run scan again" in again.out, "sidecar__that_changed_ends_build", again)


def formats(place):
    rows = list(frames(7, 500))
    files = {"train_01/x.csv": four(rows, "when,what,which,bad\n")}
    done = scan(place, "told", files, contract__header="fail")
    told(done.code == 65 and "x.csv:1:1: header" in done.out, "format__a_wrong_header_is_no_capture_of_another_dialect", done)
    done = scan(place, "told_log", {"train_01/x.csv": candump(rows)}, data__format="hcrl-text", data__attack_free="train_01")
    told(done.code == 65 and "x.csv:1:1: columns" in done.out, "format__that_is_told_is_the_one_that_is_read", done)
    done = scan(place, "told_auto", {"train_01/x.csv": candump(rows)}, data__attack_free="train_01")
    told(done.code == 0 and "dialect candump: captures 1" in done.out, "format__that_is_found_is_said", done)
    done = run("scan", place.path("told_auto.yaml"), "--format", "gvret")
    told(done.code == 65 and "dialect" in done.out, "format__of_the_command_line_counts", done)
    done = run("scan", place.path("told_auto.yaml"), "--format", "odd")
    told(done.code == 78 and "data.format" in done.out, "format__that_is_unknown_is_78", done)
    done = scan(place, "asc", {"train_01/x.asc": b"date Thu Jan 1 00:00:00 1970\nbase hex  timestamps absolute\n"})
    told(done.code == 65 and "asc2log" in done.out, "format__that_is_not_read_names_the_tool", done)


def located(place):
    """Bad lines at the end, in the middle and in the halo of blocks, in a log that is packed: where they are, on any number of ranks; in quarantine,
    one store."""
    lines = candump(frames(8, 20000)).decode().splitlines(keepends=True)
    hurt = {7: ("#", "=", "columns"), 9999: ("(", "[", "time"), 20000: ("can0 ", "can0 8", "id")}
    want = []
    for number, (old, new, kind) in hurt.items():
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
    at = [0]
    for text in lines:
        at.append(at[-1] + len(text))
    for number, (_, _, kind) in hurt.items():
        column = {"columns": len(lines[number - 1]), "time": 1, "id": lines[number - 1].find("#") + 1}[kind]
        want.append('"train_01/x.log.zst",%d,%d,%d,%s,' % (number, column, at[number - 1], kind))
    files = {"train_01/x.log.zst": zstd("".join(lines).encode()), "train_01/a.csv": four(frames(9, 5000))}
    for ranks in (1, 5):
        done = scan(place, "located", files, ranks=ranks, data__attack_free="train_01")
        with open(place.path("run_located/rejected.csv"), encoding="utf-8") as f:
            got = f.read().split("\n")[1:-1]
        told(done.code == 65 and len(got) == 3 and all(g.startswith(w) for g, w in zip(got, want)), "located__bad_lines_on_%d_ranks" % ranks, "%s %s %s" % (got, want, done))
    got = {}
    for ranks in (1, 2, 3, 5):
        done = scan(place, "located", files, "run", ranks=ranks, data__attack_free="train_01", contract__policy="quarantine", contract__max_share=0.5,
                    window__stride=7)
        got[ranks] = hashes(place.path("run_located"), LEFT) if done.code == 0 else {"run": str(done)}
        shutil.rmtree(place.path("run_located"), ignore_errors=True)
    told(all(g == got[1] for g in got.values()) and "missing" not in got[1].values(), "located__lines_in_quarantine_leave_one_store_on_1_2_3_5_ranks",
         {r: differ(got[1], g) or g.get("run") for r, g in got.items()})


def test():
    if not shutil.which("zstd"):
        skipped("packed", "no program zstd")
        return
    with Place(simulate=False) as place:
        same_store(place)
        every_dialect(place)
        equal_content(place)
        refused(place)
        sidecars(place)
        changed(place)
        formats(place)
        located(place)


if __name__ == "__main__":
    main(test)
