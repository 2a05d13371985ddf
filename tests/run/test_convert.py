#!/usr/bin/python3
# TIMEOUT: 300
"""`canids convert`: round trips, every fixture, packed captures, bad rows; and can-utils' own tools read what it writes."""
import gzip
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from common import PROGRAM, ROOT, SHARED, main, skipped, told

FIXTURES = os.path.join(SHARED, "data", "fixtures")
HEADER = "timestamp,arbitration_id,data_field,attack\n"
KINDS = """(1436509052.249713) can0 044#2A366C2BBA
(1436509052.449847) can0 18DAF110#
(1436509053.000001) can0 123##1112233445566778899AABBCC
(1436509053.100000) can0 123#R4
(1436509053.200000) can0 20000004#0004000000000000
(1436509053.300000) can0 7FF#1122334455667788
(1436509053.400000) can0 00000001#01
(1436509053.500000) can0 123#R
(1436509053.600000) can0 123##01122
(1436509053.700000001) can0 123#AA T
"""


def convert(*arguments, code=0):
    """Standard output and standard error of one run; None with another exit code than expected."""
    done = subprocess.run([PROGRAM, "convert", *arguments], capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode != code:
        told(False, "convert %s" % " ".join(arguments), "exit %d: %s" % (done.returncode, done.stderr.decode()[-800:]))
        return None, ""
    return done.stdout.decode(), done.stderr.decode()


def put(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def frames(n, seed=5):
    """Four-column rows, of the kinds that four columns have."""
    draw, t, rows = random.Random(seed), 1513920250 * 10**6, []
    for _ in range(n):
        t += draw.randrange(0, 3000)
        ident = "%03X" % draw.randrange(0x800) if draw.random() < 0.8 else "%08X" % draw.randrange(0x800, 1 << 29)
        rows.append("%d.%06d,%s,%s,%d\n" % (t // 10**6, t % 10**6, ident, draw.randbytes(draw.choice((8, 8, 8, 0, 3))).hex().upper(),
                                            draw.random() < 0.1))
    return HEADER + "".join(rows)


def bodies(text):
    """id#payload of candump lines, in order, without time, label or direction."""
    return [line.split()[2] for line in text.splitlines()]


def round_trips(folder):
    text = frames(5000)
    four = put(folder, "four.csv", text)
    there, said = convert(four, "--to", "candump")
    told(there is not None and there.count("\n") == 5000 and "four-column, found by its first bytes, with labels" in said,
         "convert__four_columns_become_candump", said)
    log = put(folder, "four.log", there or "")
    back, _ = convert(log, "--to", "four-column")
    told(back == text, "convert__through_candump_and_back_are_the_same_bytes", "differ")
    again, _ = convert(log, "--to", "candump")
    told(again == there, "convert__candump_of_candump_is_itself", "differs")
    plain = put(folder, "plain.log", re.sub(r" [01]\n", "\n", there or ""))
    three, _ = convert(plain, "--to", "four-column")
    told(three == re.sub(r",[^,\n]*\n", "\n", text), "convert__without_labels_there_is_no_label_column", (three or "")[:200])
    told(convert(four, log, "--to", "candump")[0] == (there or "") * 2, "convert__captures_follow_each_other", "differ")
    _, said = convert(four, plain, "--to", "candump", code=65)
    told("has labels" in said and "one by one" in said, "convert__labels_and_none_are_not_mixed", said)
    side = put(folder, "four.log.attacks.csv", "start_s,end_s\n1,2\n")
    _, said = convert(log, "--to", "four-column", code=65)
    told("four.log.attacks.csv: the capture has labels of its own" in said, "convert__refuses_labels_beside_a_side_car", said)
    os.remove(side)
    out = os.path.join(folder, "out.csv")
    nothing, _ = convert(log, "--to", "four-column", "--out", out)
    told(nothing == "" and open(out).read() == text and os.path.exists(os.path.join(folder, ".out.csv.commit")),
         "convert__out_is_committed", "no")


def kinds(folder):
    log = put(folder, "kinds.log", KINDS)
    told(convert(log, "--to", "candump")[0] == KINDS, "convert__extended_fd_remote_and_error_frames_stay_in_candump", convert(log, "--to", "candump")[0])
    four, said = convert(log, "--to", "four-column")
    told(four == "timestamp,arbitration_id,data_field\n1436509052.249713,044,2A366C2BBA\n1436509052.449847,18DAF110,\n"
         "1436509053.300000,7FF,1122334455667788\n1436509053.600000,123,1122\n1436509053.700000001,123,AA\n",
         "convert__four_columns_hold_what_they_can", four)
    for what in ("1 CAN FD frames of more than 8 bytes", "2 remote frames", "1 error frames", "1 frames with a 29-bit identifier not above 7FF",
                 "1 CAN FD frames of at most 8 bytes look like classic ones"):
        told(what in said, "convert__says_%s" % re.sub(r"\W+", "_", what), said)


def refusals(folder):
    bad = put(folder, "bad.csv", frames(3000) + "1513920299.5,12G,AA,0\n")
    out = os.path.join(folder, "bad.log")
    _, said = convert(bad, "--to", "candump", "--out", out, code=65)
    told("bad.csv:3002:16: id: '12G'" in said, "convert__names_the_bad_row", said)
    told(not [n for n in os.listdir(folder) if "bad.log" in n], "convert__leaves_nothing_of_a_bad_capture", os.listdir(folder))
    for name, text in (("empty.csv", ""), ("odd.csv", "what,is,this\n1,2,3\n"), ("x.asc", "date Fri Jul 10\nbase hex timestamps absolute\n"),
                       ("long.csv", HEADER + "1" * 9000 + "\n")):
        convert(put(folder, name, text), "--to", "candump", code=65)
        told(True, "convert__refuses_" + name.replace(".", "_"))
    for arguments, code in ((("nowhere.csv", "--to", "candump"), 66), ((bad,), 64), ((bad, "--to", "gvret"), 64), (("--to", "candump"), 64),
                            ((bad, "--to", "candump", "--format", "nothing"), 64), ((bad, "--to"), 64)):
        told(convert(*arguments, code=code)[0] is not None, "convert__exit_%d_%d" % (code, len(arguments)))


def blank_end(folder):
    """A blank last line is none, wherever pieces of 256 KiB end; any other is a violation."""
    text = frames(8000)
    text = text[:text.rfind("\n", 0, (1 << 18) - 60) + 1]
    text += "1513920299.5,12F,AA,0" + " " * ((1 << 18) - len(text) - 23) + "\n\n"
    told(len(text) == 1 << 18 and convert(put(folder, "end.csv", text), "--to", "candump")[0], "convert__passes_over_a_blank_last_line_at_the_end_of_a_piece")
    _, said = convert(put(folder, "inside.csv", text + "1513920299.5,12F,AA,0\n"), "--to", "candump", code=65)
    told("inside.csv:%d:1: blank" % text.count("\n") in said, "convert__refuses_a_blank_line_at_the_end_of_a_piece", said)


def packed(folder):
    text = frames(4000).encode()
    want, _ = convert(put(folder, "p.csv", text), "--to", "candump")
    made = [put(folder, "p.csv.gz", gzip.compress(text)), put(folder, "p.csv.xz", lzma.compress(text))]
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", "-f", os.path.join(folder, "p.csv")], check=True)
        made.append(os.path.join(folder, "p.csv.zst"))
    else:
        skipped("convert__zst", "no zstd to make one: install Debian zstd")
    for path in made:
        told(convert(path, "--to", "candump")[0] == want, "convert__reads_" + path.rsplit(".", 1)[1], "differs")


def memory(folder):
    """40 MB pass through in less memory than they are."""
    path = put(folder, "much.csv", HEADER + frames(20000)[len(HEADER):] * 55)
    # A process that begins small: what it starts takes over the peak of whom it was forked from.
    asks = ("import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
            "print(r.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    said = subprocess.run([sys.executable, "-c", asks, PROGRAM, "convert", path, "--to", "candump"], capture_output=True, text=True).stdout.split()
    told(said[:1] == ["0"] and int(said[1]) < 32 << 10 < os.path.getsize(path) >> 10, "convert__needs_little_memory",
         "exit and KiB %s for %d bytes" % (said, os.path.getsize(path)))


def fixtures():
    folder = os.path.join(FIXTURES, "reencoded")
    if not os.path.isdir(folder):
        skipped("convert__fixtures", "the captures of CANIDS_SHARED are not here")
        return
    want = bodies(convert(os.path.join(folder, "ctt.csv"), "--to", "candump")[0])
    for name in sorted(os.listdir(folder)):
        got = convert(os.path.join(folder, name), "--to", "candump")[0]
        told(got is not None and len(want) == 3000 and bodies(got) == want, "convert__same_3000_frames_in_" + name, "differ")
    for name, code in (("GVRET_Log.csv", 0), ("candump.log", 0), ("BusMasterLog.log", 65), ("CRTD_Log.txt", 65), ("GenericID_Log.csv", 65),
                       ("MicrochipLog.log", 65)):
        out, said = convert(os.path.join(FIXTURES, "same_log_six_formats", name), "--to", "candump", code=code)
        told(out is not None and (code == 0 or "save" in said), "convert__" + name, said)
    a, b = (convert(os.path.join(FIXTURES, "same_log_six_formats", n), "--to", "candump")[0] for n in ("GVRET_Log.csv", "candump.log"))
    told(bodies(a) == bodies(b), "convert__one_log_in_gvret_and_candump_is_the_same", "differ")


def times(text):
    """Microseconds since the first line."""
    all_ = [int(m[1]) * 10**6 + int(m[2]) for m in re.finditer(r"^\((\d+)\.(\d{6})\)", text, re.M)]
    return [t - all_[0] for t in all_]


def can_utils(folder):
    """log2asc reads our candump, asc2log writes it back: the same identifiers, payloads and steps of time."""
    if not shutil.which("log2asc") or not shutil.which("asc2log"):
        skipped("convert__can_utils", "no log2asc or asc2log: install Debian can-utils")
        return
    # asc2log knows error frames as such, without what was wrong.
    log = "".join(line for line in KINDS.splitlines(keepends=True) if "20000004" not in line and " T" not in line)
    more = convert(put(folder, "u.csv", frames(2000)), "--to", "candump")[0] or ""
    path = put(folder, "u0.log", log + re.sub(r" [01]\n", "\n", more))
    ours = convert(path, "--to", "candump")[0] or ""
    path = put(folder, "u.log", ours)
    subprocess.run(["log2asc", "-I", path, "-O", path + ".asc", "can0"], check=True, capture_output=True)
    subprocess.run(["asc2log", "-I", path + ".asc", "-O", path + ".back"], check=True, capture_output=True)
    with open(path + ".back", encoding="ascii") as f:
        theirs = f.read()
    read, _ = convert(path + ".back", "--to", "candump")
    told(len(bodies(ours)) == 2008 and bodies(read or "x x x") == bodies(ours), "convert__can_utils_and_back_are_the_same_frames",
         [p for p in zip(bodies(read or ""), bodies(ours)) if p[0] != p[1]][:5])
    told(times(theirs) == times(ours) == times(read or "(0.000000)"), "convert__can_utils_sees_the_same_times", "differ")


def tests():
    with tempfile.TemporaryDirectory() as folder:
        for test in (round_trips, kinds, refusals, blank_end, packed, memory, can_utils):
            test(folder)
        fixtures()


if __name__ == "__main__":
    main(tests)
