#!/usr/bin/python3
# TIMEOUT: 240
"""What is wrong with the input is said with its value and its place, the exit code is the kind of it, and nothing half-written is left."""
import fcntl
import os
import resource
import shutil
import subprocess
import time

from common import PROGRAM, TRAINED, Place, Started, hashes, main, run, skipped, told, unfinished

HEADER = "timestamp,arbitration_id,data_field,attack\n"
GOOD = "0.000100,1A0,00FF,0\n"


def nobody():
    """How to start a program that has no right to everything; None when that cannot be."""
    if os.getuid() != 0:
        return []
    wrap = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if shutil.which("setpriv") and subprocess.run(wrap + [PROGRAM, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return wrap
    return None


NOBODY = nobody()


def rows(n, attack=lambda i: 0, first=0):
    return "".join("%d.%06d,%03X,%04X,%d\n" % ((first + i) // 1000, (first + i) % 1000 * 1000, 0x100 + i % 7, i % 65536, attack(i)) for i in range(n))


def half(i):
    """Attacks in every other 400 rows: both classes on both sides of the split."""
    return int(i // 400 % 2 and i % 3 == 0)


class Set:
    """A data set of files given by their content, and what the program says of it."""

    number = 0

    def __init__(self, place, files, more=""):
        Set.number += 1
        self.root = place.path("set_%d" % Set.number)
        self.run_dir = self.root + "/run"
        os.makedirs(self.root)
        for name, content in files.items():
            place.write("set_%d/data/s/%s" % (Set.number, name), content)
        self.conf = place.write("set_%d.yaml" % Set.number, "data: {root: %s/data, set: s}\nrun: {dir: %s}\n%s" % (self.root, self.run_dir, more))

    def scan(self, verb="scan", **settings):
        return run(verb, self.conf, settings=settings)


def said(name, done, code, *parts, left=None, clean=None):
    """Did it end with this code and say all the parts?  clean: a folder in which nothing half-written may be; left: names that may not be."""
    missing = [p for p in parts if p not in done.out]
    wrong = [n for n in (left or []) if os.path.exists(n)]
    half_written = unfinished(clean) if clean else []
    told(done.code == code and not missing and not wrong and not half_written and not done.left, "bad_input__%s_is_%d" % (name.replace(" ", "_"), code),
         "not said: %s; left: %s %s; %s" % (missing, wrong, half_written, done))


# name, what x.csv of a training folder holds, place (line:column), parts of the message
ROWS = [
    ("an empty file", "", "1:1", ["is empty"]),
    ("a header only", HEADER, "2:1", ["no rows"]),
    ("another header", "when,who,what,bad\n" + GOOD, "1:1", ["'when,who,what,bad'", "the first line is not"]),
    ("five columns", HEADER + GOOD + "0.000200,1A0,00FF,0,7\n", "3:", ["another number of columns"]),
    ("three columns", HEADER + GOOD + "0.000200,1A0,00FF\n", "3:", ["another number of columns"]),
    ("letters in time", HEADER + GOOD + "0.0x02,1A0,00FF,0\n", "3:", ["0.0x02", "not a decimal number of seconds"]),
    ("a negative time", HEADER + GOOD + "-1.0,1A0,00FF,0\n", "3:1", ["-1.0", "not a decimal number of seconds"]),
    ("odd hex", HEADER + GOOD + "0.000200,1A0,00F,0\n", "3:17", ["'00F'", "odd number"]),
    ("no hex", HEADER + GOOD + "0.000200,1A0,00XY,0\n", "3:", ["00XY", "not hexadecimal"]),
    ("an identifier above 29 bits", HEADER + GOOD + "0.000200,20000000,00FF,0\n", "3:10", ["'20000000'", "29 bits"]),
    ("an identifier with two prefixes", HEADER + GOOD + "0.000200,0x0x1A0,00FF,0\n", "3:", ["0x0x1A0", "not a hexadecimal number"]),
    ("no identifier", HEADER + GOOD + "0.000200,,00FF,0\n", "3:10", ["not a hexadecimal number"]),
    ("a payload over 8 bytes", HEADER + GOOD + "0.000200,1A0,000102030405060708,0\n", "3:30", ["'000102030405060708'", "more than 8 bytes"]),
    ("label 2", HEADER + GOOD + "0.000200,1A0,00FF,2\n", "3:19", ["'2'", "neither 0 nor 1"]),
    ("NUL bytes", HEADER.encode() + GOOD.encode() + b"0.000200,1A0,\0\0,0\n", "3:14", ["\\x00", "a zero byte"]),
    ("an empty line", HEADER + GOOD + "\n" + GOOD, "3:1", ["an empty line"]),
    ("a truncated last line", HEADER + GOOD + "0.000200,1A", "3:", ["another number of columns"]),
    ("a file cut before its label", HEADER + GOOD + "0.000200,1A0,00FF,", "3:19", ["neither 0 nor 1"]),
    ("no label column outside attack_free", "timestamp,arbitration_id,data_field\n0.0001,1A0,00FF\n", "1:36", ["no attack column"]),
]


def captures(place):
    for name, content, where, parts in ROWS:
        s = Set(place, {"train_01/good.csv": HEADER + GOOD, "train_01/x.csv": content})
        done = s.scan("run")
        said(name, done, 65, "train_01/x.csv:" + where, *parts, clean=s.root,
             left=[s.run_dir + "/" + n for n in ("plan.json", "store.h5", "vocabulary.json", "data_report.json")])
        with open(s.run_dir + "/rejected.csv", encoding="utf-8") as f:
            text = f.read()
        told("train_01/x.csv" in text, "bad_input__%s_is_in_rejected.csv" % name.replace(" ", "_"), text)


def folders(place):
    empty = place.write("empty.yaml", "")
    there = place.path("nowhere")
    common = {"run.dir": place.path("folders_run")}
    said("no root", run("scan", empty, settings=dict(common, **{"data.root": there, "data.set": "s"})), 66, there, "no such folder")
    said("no set named", run("scan", empty, settings=dict(common, **{"data.root": place.root})), 78, "data.set")
    said("no such set", run("scan", empty, settings=dict(common, **{"data.root": place.root, "data.set": "sum"})), 66, place.path("sum"))
    said("an empty root", Set(place, {}).scan(), 66, "no such folder")
    s = Set(place, {"train_01/x.txt": ""})
    said("an empty folder", s.scan(), 66, "train_01", "no *.csv")
    s = Set(place, {"test_01/x.csv": HEADER + GOOD})
    said("no training folder", s.scan(), 66, "no folder train_*")
    s = Set(place, {"train_01/x.csv": HEADER + GOOD})
    said("a folder that is not there", s.scan(**{"data.train": "train_07"}), 66, "train_07", "no such folder")
    said("a path as folder", s.scan(**{"data.train": "../s"}), 78, "\"../s\"", "data.train")
    os.mkdir(s.root + "/data/s/train_01/folder.csv")
    said("a directory as file", s.scan(), 65, "train_01/folder.csv", "a folder, not a file")
    s = Set(place, {"train_01": "a file\n"})
    said("a file as folder", s.scan(**{"data.train": "train_01"}), 66, "train_01", "not a folder")


def rights():
    """As a user who may not do everything, in a folder that such a user can come to."""
    if NOBODY is None:
        skipped("bad_input__an_unreadable_file_is_77", "this user may read everything, and there is no setpriv")
        skipped("bad_input__a_read-only_run.dir_is_77", "this user may write everywhere, and there is no setpriv")
        return
    with Place(simulate=False, within="/tmp") as place:
        how = {"wrap": NOBODY, "env": {"TMPDIR": "/tmp"}}
        os.chmod(place.root, 0o755)
        s = Set(place, {"train_01/x.csv": HEADER + GOOD})
        os.chmod(s.root, 0o777)
        os.chmod(s.root + "/data/s/train_01/x.csv", 0)
        said("an unreadable file", run("scan", s.conf, **how), 77, "train_01/x.csv", "ermission denied", clean=s.root)
        os.mkdir(place.path("read_only"), 0o555)
        said("a read-only run.dir", run("scan", s.conf, settings={"run.dir": place.path("read_only")}, **how), 77, place.path("read_only"), "ermission denied")


def long_line(place):
    """A gigabyte without a newline, of holes, refused at once and in little memory."""
    s = Set(place, {"train_01/x.csv": HEADER + GOOD})
    with open(s.root + "/data/s/train_01/x.csv", "r+b") as f:
        f.truncate(1 << 30)
    child = subprocess.Popen([PROGRAM, "scan", s.conf], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    text = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds, mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # of the processor: the machine may have other work
    told(child.returncode == 65 and "train_01/x.csv:3:4097" in text and "longer than 4096 bytes" in text, "bad_input__a_line_of_1_GB_is_65", text[-500:])
    told(seconds < 10 and mib < 200, "bad_input__a_line_of_1_GB_is_refused_soon_and_in_little_memory", "%.1f s, %.0f MiB" % (seconds, mib))


# name, text, place and parts of the message
YAML = [
    ("yaml syntax", "window:\n  frames: [1\n", "3:1", ["did not find expected ',' or ']'"]),
    ("a tab in yaml", "window:\n\tframes: 5\n", "2:1", ["a tab where YAML wants spaces"]),
    ("an unknown key", "window:\n  frmaes: 5\n", "2:3", ["window.frmaes: unknown key; did you mean window.frames?"]),
    ("a duplicate key", "window:\n  frames: 5\n  frames: 6\n", "3:3", ["window.frames: a duplicate key, first on line 2"]),
    ("a wrong type", "window:\n  frames: abc\n", "2:11", ["window.frames: \"abc\" is not a whole number"]),
    ("a value out of range", "window:\n  frames: 1\n", "2:11", ["window.frames: 1 is out of range", "[2, 65535]"]),
    ("a choice that is none", "vocab:\n  scope: all\n", "2:10", ["vocab.scope: \"all\"", "train, benign"]),
    ("an unknown model", "model:\n  name: nonesuch\n", "2:9", ["model.name: \"nonesuch\""]),
    ("an anchor", "window: &a\n  frames: 5\n", "1:9", ["an anchor \"&a\""]),
    ("an alias", "window: &a\n  frames: 5\ntrain: *a\n", "3:8", ["an alias \"*a\""]),
    ("a tag", "window:\n  frames: !!int 5\n", "2:11", ["a tag \"tag:yaml.org,2002:int\""]),
    ("yaml too deep", "a: " + "[" * 40 + "]" * 40 + "\n", "1:35", ["nested deeper than 32 levels"]),
    ("yaml too large", "# " + "x" * (1 << 20) + "\n", "1:1", ["more than 1048576 bytes"]),
    ("two documents", "window:\n  frames: 5\n---\nwindow:\n  frames: 6\n", "3:1", ["a second document"]),
    ("several errors at once", "window:\n  frames: 1\n  strid: 3\ntrain:\n  lr: -1\n", "2:11", ["3:3: window.strid", "5:7: train.lr"]),
]


def settings(place):
    for name, text, where, parts in YAML:
        path = place.write("bad.yaml", text)
        said(name, run("scan", path), 78, "%s:%s: " % (path, where), *parts)
    good = place.write("good.yaml", "")
    said("an unknown key in --set", run("scan", good, settings={"window.frame": 3}), 78, "--set", "window.frames")
    said("a value out of range in --set", run("scan", good, settings={"window.frames": 0}), 78, "--set", "window.frames", "0")
    said("a file of settings that is not there", run("scan", place.path("none.yaml")), 66, place.path("none.yaml"))
    said("a folder as file of settings", run("scan", place.root), 78, place.root, "a folder")
    said("no verb", run(), 64, "verb")
    said("an unknown verb", run("scna", good), 64, "\"scna\" is no verb")
    said("an unknown option", run("scan", good, "--sett"), 64, "\"--sett\" is no option")
    said("--set without a value", run("scan", good, "--set"), 64, "--set wants KEY=VALUE")
    said("two files", run("scan", good, good), 64, "one file")
    said("inspect of nothing", run("inspect"), 64, "inspect wants a file")
    for ranks in (0, 2):
        done = run("scan", good, ranks=ranks, settings={"window.frames": 1})
        said("a bad setting on %s" % (ranks or "no mpirun"), done, 78, "window.frames")


def one_class(place):
    benign = {"train_01/a.csv": HEADER + rows(8000), "test_01/b.csv": HEADER + rows(2000, half, 9)}
    s = Set(place, benign)
    said("one-class training data", s.scan("run"), 65, "0 of them attacks", "both classes are needed", clean=s.root, left=[s.run_dir + "/" + n for n in TRAINED])
    s = Set(place, {"train_01/a.csv": HEADER + rows(8000, lambda i: 1)})
    said("training data of attacks alone", s.scan("run"), 65, "both classes are needed", clean=s.root, left=[s.run_dir + "/" + n for n in TRAINED])
    s = Set(place, {"train_01/a.csv": HEADER + rows(60)})
    said("less than a window", s.scan("run"), 78, "60 rows make no window of 100", "window.frames", clean=s.root, left=[s.run_dir + "/" + n for n in TRAINED])


def leak(place):
    text = HEADER + rows(20000, half)
    s = Set(place, {"train_01/a.csv": text, "test_01/b.csv": text}, "train: {epochs: 1}\n")
    said("a leak", s.scan("run"), 78, "leak", "train_01/a.csv", "test_01/b.csv", left=[s.run_dir + "/" + n for n in TRAINED])
    done = s.scan("run", **{"split.allow_leak": "reference", "eval.draws": 0})
    told(done.code == 0 and "LEAKY" in done.out, "bad_input__a_leak_that_is_allowed_is_stamped", done)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 16]))


def record(path):
    return os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".commit")


def files(place, good):
    """A store and checkpoints that are another version's, corrupt, cut, missing."""
    import h5py
    number = [0]

    def copy(*without):
        number[0] += 1
        there = place.path("files_%d" % number[0])
        shutil.copytree(good, there)
        for name in without:
            os.remove(there + "/" + name)
            os.remove(record(there + "/" + name))
        return there

    def version(path):
        with h5py.File(path, "r+") as f:
            f.attrs["format_version"] = f.attrs["format_version"].dtype.type(99)
        os.remove(record(path))

    def go(verb, there, *arguments, **more):
        return run(verb, place.conf, *arguments, settings=dict({"run.dir": there, "train.epochs": 1}, **more))

    for name, words in (("store.h5", "store of version 99"), ("last.h5", "checkpoint of version 99")):
        there = copy()
        version(there + "/" + name)
        said("%s of another version" % name, run("inspect", there + "/" + name), 65, words, name)
        there = copy()
        flip(there + "/" + name, os.path.getsize(there + "/" + name) // 2)
        said("%s with a flipped bit" % name, run("inspect", there + "/" + name), 65, name, "byte")
        there = copy()
        os.truncate(there + "/" + name, os.path.getsize(there + "/" + name) * 2 // 3)
        said("%s cut short" % name, run("inspect", there + "/" + name), 65, name)
        os.remove(record(there + "/" + name))
        said("%s cut short without record" % name, run("inspect", there + "/" + name), 65, name)
        os.truncate(there + "/" + name, 0)
        said("%s empty" % name, run("inspect", there + "/" + name), 65, name)
        for at in range(0, 2048, 256):  # what HDF5 reads first
            shutil.copy(good + "/" + name, there + "/" + name)
            flip(there + "/" + name, at + 5)
            done = run("inspect", there + "/" + name)
            told(done.code in (0, 65), "bad_input__%s_with_a_flip_at_%d_does_not_crash" % (name, at + 5), done)
    said("a file that is none of ours", run("inspect", place.conf), 65, place.conf)
    said("a file that is not there", run("inspect", place.path("none.h5")), 66, "none.h5")
    there = copy()
    flip(there + "/store.h5", os.path.getsize(there + "/store.h5") // 2)
    for ranks in (0, 2):
        done = run("train", place.conf, ranks=ranks, settings={"run.dir": there})
        said("training on a corrupt store on %s" % (ranks or "no mpirun"), done, 65, "store.h5")
    there = copy()
    flip(there + "/best.h5", os.path.getsize(there + "/best.h5") // 2)
    said("eval with a corrupt checkpoint", go("eval", there), 65, "best.h5")
    there = copy()
    flip(there + "/last.h5", os.path.getsize(there + "/last.h5") // 2)
    done = go("train", there)
    told(done.code == 0 and "training starts anew" in done.out and hashes(there, TRAINED) == hashes(good, TRAINED),
         "bad_input__a_corrupt_last.h5_is_told_and_made_again", done)
    said("--resume from a corrupt last.h5", (flip(there + "/last.h5", 4000), go("train", there, "--resume"))[1], 66, "last.h5")
    said("no plan", go("build", place.path("nothing_yet")), 66, "plan.json", "scan")
    said("no store", go("train", copy("store.h5")), 66, "store.h5")
    said("no best.h5", go("eval", copy("best.h5")), 66, "best.h5")
    said("eval with another model", go("eval", copy(), **{"model.head_dim": 32}), 78, "trained with other", "train again")
    said("build with another stride than the plan", go("build", copy(), **{"window.stride": 50}), 78, "scan again")
    there = copy()
    version(there + "/best.h5")
    done = go("eval", there)
    told(done.code in (65, 66) and "best.h5" in done.out, "bad_input__eval_with_best.h5_without_record_is_refused", done)


def changed(place):
    """Blocks in which no window starts have rows of windows of the block before, or the end of one: row 202 goes from one to the next."""
    files = {"train_01/a.csv": HEADER + rows(500, half), "train_01/b.csv": HEADER + rows(1000, half, 7), "test_01/c.csv": HEADER + rows(900, half, 11)}
    for name, window, layout, row, back, byte in (("last_block", (100, 70), "compact", 420, 3, "F"), ("last_block", (100, 70), "messages", 420, 3, "F"),
                                                  ("end_of_a_row", (203, 300), "compact", 202, 1, "1")):
        s = Set(place, files, "window: {frames: %d, stride: %d}\nstore: {layout: %s}\n" % (*window, layout))
        path, scanned = s.root + "/data/s/train_01/a.csv", s.scan(**{"data.block": 4096})
        with open(path, "r+b") as f:
            f.seek(len(HEADER) + 20 * row + 19 - back)
            f.write(byte.encode())
        told(scanned.code == 0 and len(rows(1)) == 20, "bad_input__is_scanned_before_its_%s_changes" % name, scanned)
        said("a %s that changed since scan in %s" % (name, layout), s.scan("build"), 74, "the file changed", path, left=[s.run_dir + "/store.h5"])


def directories(place, good):
    with open(good + "/.lock") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        for ranks in (0, 2):
            said("a second run in one directory on %s" % (ranks or "no mpirun"), run("run", place.conf, ranks=ranks, settings={"run.dir": good}), 75,
                 "another run works in", good)
    there = place.path("real_second")
    first = Started("run", place.conf, ranks=2, settings={"run.dir": there, "train.epochs": 200, "train.patience": 1000, "model.head_dim": 64})
    first.said("epoch 1:")
    second = run("run", place.conf, settings={"run.dir": there})
    ended = first.end()
    told(second.code == 75 and ended.code == 0 and "another run works in" in second.out, "bad_input__two_runs_in_one_directory_is_75", "%s; %s" % (second, ended))
    said("a file as run.dir", run("run", place.conf, settings={"run.dir": place.conf}), 73, place.conf)
    said("a run.dir below a file", run("run", place.conf, settings={"run.dir": place.conf + "/run"}), 73, place.conf)
    said("train.shard_rows too small", run("run", place.conf, settings={"run.dir": place.path("shards"), "train.shard_rows": 3}), 78, "train.shard_rows", "3")


def test():
    with Place(seconds=1) as place:
        captures(place)
        folders(place)
        rights()
        long_line(place)
        settings(place)
        one_class(place)
        leak(place)
        changed(place)
        good = place.path("good")
        done = run("run", place.conf, settings={"run.dir": good, "train.epochs": 1})
        if told(done.code == 0, "bad_input__has_a_good_run", done):
            files(place, good)
            directories(place, good)


main(test)
