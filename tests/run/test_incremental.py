#!/usr/bin/python3
# TIMEOUT: 300
"""A store that takes over what did not change has the bytes of one that was built from nothing."""
import ctypes
import ctypes.util
import hashlib
import json
import os
import random
import shutil

from common import Place, hashes, main, run, sha, skipped, told

TEXT = """data: {root: %(root)s, set: cars, block: 16384}
run: {dir: %(root)s/run}
store: {chunk: 7, flush: 30}
pipeline: scan,build
"""
WANT = ["store.h5", "plan.json"]
A, B, C, D = "train_01_a/a.csv", "train_01_a/b.csv", "test_01_b/c.csv", "test_01_b/d.csv"


def capture(seed, rows=1500, ids=range(0x100, 0x130), attack=False):
    """A log of a vehicle that does not exist."""
    r = random.Random(seed)
    ids = list(ids)
    out = ["timestamp,arbitration_id,data_field,attack"]
    for i in range(rows):
        n = r.choice((0, 2, 8, 8, 8))
        bad = attack and i // 150 % 3 == 1
        k = ids[i % len(ids)] if len(ids) > 1000 else 0x0aa if bad and i % 5 == 0 else r.choice(ids)
        out.append("%.6f,%s,%s,%d" % (1700000000 + i * .001 + r.random() * .0005, ("%08X" if k > 0x7ff else "%03X") % k,
                                      r.randbytes(n).hex().upper(), bad))
    return "\n".join(out) + "\n"


class Case:
    """One data set that changes, one run that goes with it, and fresh runs to compare with."""

    def __init__(self, place):
        self.place, self.n = place, 0
        for path, text in ((A, capture(1)), (B, capture(2, ids=range(0x110, 0x150), attack=True)), (C, capture(3, attack=True)), (D, capture(4, 2100))):
            self.put(path, text)

    def put(self, path, text):
        self.place.write("cars/" + path, text)

    def file(self, path):
        return self.place.path("cars", path)

    def run(self, ranks=0, **settings):
        return run("run", self.place.conf, ranks=ranks, settings=settings)

    def fresh(self, ranks=0, **settings):
        self.n += 1
        there = self.place.path("fresh_%d" % self.n)
        done = run("run", self.place.conf, ranks=ranks, settings=dict(settings, **{"run.dir": there}))
        return done, hashes(there, WANT)

    def identity(self):
        with open(self.place.path("run", ".store.h5.commit")) as f:
            return json.load(f)["tree_sha256"]

    def same(self, name, taken, of, ranks=0, **settings):
        """The run again, after a change: so many captures are taken over and the bytes are those of a fresh run."""
        done, (other, want) = self.run(ranks, **settings), self.fresh(**settings)
        said = json.load(open(self.place.path("run", "build.json")))
        now = hashes(self.place.path("run"), WANT)
        words = "%d of %d captures" % (taken, of) in done.out if taken else "are taken over" not in done.out
        good = done.code == 0 and other.code == 0 and now["store.h5"] == want["store.h5"] and words
        told(good and (said["captures_taken_over"], said["captures"], said["store_tree_sha256"]) == (taken, of, self.identity()) and not done.left,
             "incremental__" + name, "%s %s %s" % (said, now == want, done))


def places(c, ranks, name):
    """Captures that stay what they are, somewhere else or as something else."""
    os.rename(c.file(A), c.file("train_01_a/zz.csv"))
    c.same("capture_renamed" + name, 5, 5, ranks)
    os.makedirs(c.file("test_02_c"), exist_ok=True)
    os.rename(c.file(D), c.file("test_02_c/d.csv"))
    c.same("capture_in_another_folder" + name, 5, 5, ranks)
    os.rename(c.file("test_02_c"), c.file("train_02_c"))
    c.same("role_of_a_folder_changed" + name, 5, 5, ranks)
    os.rename(c.file("train_02_c/d.csv"), c.file(D))
    os.rename(c.file("train_01_a/zz.csv"), c.file(A))
    os.rmdir(c.file("train_02_c"))
    shutil.copy(c.file(A), c.file("train_01_a/twin.csv"))
    c.same("twin_in_training_is_no_capture" + name, 5, 5, ranks)
    os.unlink(c.file("train_01_a/twin.csv"))
    shutil.copy(c.file(A), c.file("test_01_b/twin.csv"))
    c.same("twin_in_test_is_taken_over_twice" + name, 6, 6, ranks)
    os.unlink(c.file("test_01_b/twin.csv"))


def changes(c, ranks, all_of_them):
    """One change after the other, each on the store that the last one left."""
    name = "_with_%d_ranks" % ranks if ranks else "_alone"
    c.put("train_01_a/new.csv", capture(10 + ranks, 900, ids=range(0x118, 0x140)))
    c.same("capture_added" + name, 4, 5, ranks)
    c.put("test_01_b/another.csv", capture(20 + ranks, 1234))
    c.same("capture_added_to_the_test_folder" + name, 5, 6, ranks)
    c.put(B, capture(30 + ranks, 1700, attack=True))
    c.same("capture_changed" + name, 5, 6, ranks)
    os.unlink(c.file("test_01_b/another.csv"))
    c.same("capture_removed" + name, 5, 5, ranks)
    if all_of_them:
        places(c, ranks, name)
    c.put(C, capture(40 + ranks, 2000, ids=range(0x0f0, 0x170)))
    c.same("identifiers_before_and_between" + name, 4, 5, ranks)
    os.unlink(c.file("train_01_a/new.csv"))
    c.same("back_to_four" + name, 4, 4, ranks)


def wide(c):
    """Identifiers of one store in two bytes, of the next in four, and back."""
    c.put("test_01_b/wide.csv", capture(50, 70000, range(0x10000000, 0x10000000 + 70000)))
    c.same("identifiers_beyond_65536", 4, 5, 2)
    c.put("test_01_b/e.csv", capture(51, 800))
    c.same("identifiers_stay_beyond_65536", 5, 6, 3)
    os.unlink(c.file("test_01_b/wide.csv"))
    c.same("identifiers_below_65536_again", 5, 5, 2)
    os.unlink(c.file("test_01_b/e.csv"))
    c.same("short_capture_gone", 4, 4)


def refused(c):
    """What is not of the same making is not used."""
    c.same("vocabulary_changed", 4, 4, 2, **{"vocab.scope": "benign"})
    c.same("other_stride", 0, 4, 2, **{"window.stride": 50})
    c.same("other_frames", 0, 4, 0, **{"window.frames": 80})
    c.same("other_edges", 0, 4, 2, **{"features.compat": "reference", "window.frames": 80})
    c.same("back_to_the_default", 0, 4)
    c.put("train_01_a/new.csv", capture(60))
    store = c.place.path("run", "store.h5")
    with open(store, "r+b") as f:
        f.seek(os.path.getsize(store) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    done, (_, want) = c.run(2), c.fresh()
    told(done.code == 0 and "the store is not usable" in done.out and "taken over" not in done.out and
         sha(store) == want["store.h5"], "incremental__damaged_store_is_said_and_not_used", done)
    c.put("train_01_a/newer.csv", capture(61))
    os.unlink(c.place.path("run", "build.json"))
    c.same("no_word_of_how_it_was_read", 0, 6, 2)
    os.unlink(c.file("train_01_a/newer.csv"))
    c.same("word_of_how_it_was_read", 5, 5, 2)


def stopped(c):
    """A rank that dies while it takes over leaves the previous store, and the next run takes over again."""
    before, die = sha(c.place.path("run", "store.h5")), {"inject.kind": "die", "inject.site": "build.round", "inject.rank": 1, "inject.pass": 1}
    done, temp = c.run(2, **dict(die, **{"window.stride": 30})), c.place.path("run", ".store.h5.tmp")
    left, back = os.path.exists(temp), c.run()
    told(done.code not in (0, "hang") and left and back.code == 0 and "build: skipped" in back.out and not os.path.exists(temp) and
         sha(c.place.path("run", "store.h5")) == before, "incremental__skipped_build_clears_what_a_killed_one_left", "%s; %s" % (done, back))
    os.unlink(c.file("train_01_a/new.csv"))
    done = c.run(2, **die)
    told(done.code not in (0, "hang") and sha(c.place.path("run", "store.h5")) == before, "incremental__killed_leaves_the_previous_store", done)
    c.same("after_a_kill", 4, 4, 2)


class Halves(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh128(text):
    """As a commit record has it, by the library itself; None without it."""
    name = ctypes.util.find_library("xxhash")
    if not name:
        return None
    hashed = ctypes.CDLL(name).XXH3_128bits
    hashed.restype, hashed.argtypes = Halves, [ctypes.c_char_p, ctypes.c_size_t]
    got = hashed(text, len(text))
    return "%016x%016x" % (got.high, got.low)


def other_program(c):
    """What an older program read otherwise is not copied."""
    path = c.place.path("run", "build.json")
    if not xxh128(b""):
        return skipped("incremental__another_program_read_it", "no libxxhash")
    for name, older, taken in (("the_word_written_again", 0, 4), ("another_program_read_it", 1, 0)):
        word = json.load(open(path))
        text = json.dumps(dict(word, reading_version=word["reading_version"] - older)).encode()
        with open(path, "wb") as f:
            f.write(text)
        with open(c.place.path("run", ".build.json.commit"), "w") as f:
            json.dump({"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest(), "block": 4 << 20, "xxh128": [xxh128(text)]}, f)
        c.put("train_01_a/other.csv", capture(63 + older))
        c.same(name, taken, 5, 2)
    os.unlink(c.file("train_01_a/other.csv"))
    c.same("this_program_read_it", 4, 4, 2)


def died_before_the_word(c):
    """The store is there, build.json is not: the next run finds the store true and says how it was read."""
    os.unlink(c.place.path("run", "build.json"))
    os.unlink(c.place.path("run", ".build.json.commit"))
    done = c.run(2)
    said = json.load(open(c.place.path("run", "build.json")))
    told(done.code == 0 and "build: skipped" in done.out and said["store_tree_sha256"] == c.identity() and
         "captures_taken_over" not in said, "incremental__the_word_is_given_when_the_store_is_found", "%s %s" % (said, done))
    c.put("train_01_a/newest.csv", capture(62))
    c.same("after_the_word_was_given_again", 4, 5, 2)


def reading(c):
    """The labels of a side-car are content, though counts stay; the contract says what is read."""
    c.put("test_01_b/x.log", "".join("(%.6f) can0 %03X#%04X\n" % (1700000000 + i * .001, 0x100 + i % 37, i) for i in range(900)))
    for name, first, taken in (("log_with_a_side_car", .150, 5), ("side_car_that_labels_another_window", .250, 5), ("side_car_as_it_was", .250, 6)):
        c.put("test_01_b/x.log.attacks.csv", "start_s,end_s\n%.3f,%.3f\n" % (1700000000 + first, 1700000000 + first + .01))
        if taken == 6:
            c.put("train_01_a/more.csv", capture(70))
        c.same(name, taken, 6 + (taken == 6), 2)
    c.put("train_01_a/more.csv", capture(71))
    c.same("other_contract", 0, 7, 2, **{"contract.dlc": "accept"})
    c.put("train_01_a/more.csv", capture(72))
    c.same("other_bounds_and_the_same_reading", 6, 7, 2, **{"contract.dlc": "accept", "contract.max_share": 1, "data.expand_max": 1 << 30,
                                                            "data.attack_free": "[train_01_a]", "data.block": 4096})


def test():
    with Place(text=TEXT, simulate=False) as place:
        c = Case(place)
        told(c.run().code == 0, "incremental__first_run")
        for ranks in (0, 1, 2, 3, 5):
            changes(c, ranks, ranks in (0, 3))
        wide(c)
        refused(c)
        stopped(c)
        other_program(c)
        died_before_the_word(c)
        reading(c)


main(test)
