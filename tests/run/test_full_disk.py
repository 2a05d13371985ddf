#!/usr/bin/python3
# TIMEOUT: 300
"""A whole run on disks of 12 sizes that are too small or just not: no wrong bytes with exit 0, no hang, no lost generation."""
import os
import shutil
import subprocess
import sys

from common import JUDGED, PREPARED, TRAINED, Place, differ, hashes, inspect, main, parallel, run, skipped, told, unfinished

WANT = PREPARED + TRAINED + JUDGED
SHORT = {"train.epochs": 1}


def kib(folder):
    """As a tmpfs counts: whole pages, one for every name."""
    return sum(4 * (1 + (os.path.getsize(os.path.join(where, n)) + 4095) // 4096) for where, _, names in os.walk(folder) for n in names) + 8


def mounted(place, name, size):
    there = place.path(name)
    os.makedirs(there)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk" % size, "none", there], check=True)
    return there


def unmount(there):
    subprocess.run(["umount", "-l", there], check=True)


def sizes(place, want):
    whole = kib(place.path("whole"))
    largest = whole
    return [64] + [64 + (largest - 64) * k // 11 for k in range(1, 12)], whole


def fill(place, want):
    chosen, whole = sizes(place, want)
    print("# disks of %s KiB for a run that leaves %d KiB" % (" ".join(map(str, chosen)), whole))

    def one(job):
        size, ranks = job
        there = mounted(place, "disk_%d_%d" % (size, ranks), size)
        done = run("run", place.conf, ranks=ranks, settings=dict(SHORT, **{"run.dir": there + "/run"}))
        now = hashes(there + "/run", WANT)
        right = now == want if done.code == 0 else done.code in (73, 74) and "No space left" in done.out
        why = "" if right and not done.left else "%d KiB, %d ranks: differ: %s; %s" % (size, ranks, differ(now, want), done)
        if not why and done.code and 0 < size == chosen[6]:  # with room again, the same command goes on
            subprocess.run(["mount", "-o", "remount,size=%dk" % (2 * chosen[-1]), there], check=True)
            done = run("run", place.conf, ranks=ranks, settings=dict(SHORT, **{"run.dir": there + "/run"}))
            now = hashes(there + "/run", WANT)
            if done.code or now != want or unfinished(there):
                why = "with room again, %d ranks: differ: %s; left %s; %s" % (ranks, differ(now, want), unfinished(there), done)
        unmount(there)
        return job, done.code, why

    ended = parallel(one, [(size, ranks) for ranks in (1, 3) for size in chosen], 2)
    for (size, ranks), code, why in ended:
        told(not why, "full_disk__of_%d_KiB_with_%d_ranks_is_told_or_enough (%s)" % (size, ranks, code), why)
    told({code for _, code, _ in ended} >= {0, 74}, "full_disk__sizes_are_too_small_and_large_enough", [e[:2] for e in ended])


def generation(place, want):
    """A good store that another one was to replace."""
    old = hashes(place.path("old"), ["store.h5", "best.h5"])
    for ranks in (1, 3):
        there = mounted(place, "generation_%d" % ranks, 2 * kib(place.path("old")))
        shutil.copytree(place.path("old"), there + "/run")
        room = kib(there) + os.path.getsize(place.path("whole", "store.h5")) // 2048
        subprocess.run(["mount", "-o", "remount,size=%dk" % room, there], check=True)
        done = run("run", place.conf, ranks=ranks, settings=dict(SHORT, **{"run.dir": there + "/run"}))
        now, said = hashes(there + "/run", ["store.h5", "best.h5"]), inspect(there + "/run/store.h5")
        told(done.code == 74 and now == old and said and said["window_stride"] == 50 and not done.left,
             "full_disk__leaves_the_older_generation_with_%d_ranks" % ranks, "%s %s %s" % (differ(now, old), said, done))
        unmount(there)


def disks():
    with Place(seconds=1) as place:
        done = run("run", place.conf, settings=dict(SHORT, **{"run.dir": place.path("whole")}))
        old = run("run", place.conf, settings=dict(SHORT, **{"run.dir": place.path("old"), "window.stride": 50}))
        if told(done.code == 0 and old.code == 0, "full_disk__has_a_run_to_compare_with", "%s %s" % (done, old)):
            want = hashes(place.path("whole"), WANT)
            fill(place, want)
            generation(place, want)


def test():
    """Mounts belong to a namespace of our own, which goes with this process."""
    if sys.argv[1:] == ["disks"]:
        return disks()
    with Place(simulate=False) as place:
        may = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", place.root], stderr=subprocess.DEVNULL).returncode == 0
    if not may:
        return skipped("full_disk", "no right to mount a tmpfs")
    sys.stdout.flush()
    sys.exit(subprocess.run(["unshare", "-m", sys.executable, os.path.abspath(__file__), "disks"]).returncode)


main(test)
