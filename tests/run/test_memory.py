#!/usr/bin/python3
# TIMEOUT: 120
"""A limit of memory: said before starting, buffers written early, never another store for it."""
import os
import re

from common import Place, main, run, sha, told

MIB = 1 << 20


def build(place, name, ranks, **settings):
    there = place.path(name)
    done = run("run", place.conf, ranks=ranks, settings=dict({"pipeline": "scan,build", "run.log": "debug", "run.dir": there}, **settings))
    return done, sha(there + "/store.h5"), there


def flood(place):
    """A log whose windows have as many nodes as frames, so that what settings allow is taken."""
    for path, n in (("train_01_a/a.csv", 90000), ("test_01_b/b.csv", 1000)):
        place.write("flood/" + path, "timestamp,arbitration_id,data_field,attack\n" + "".join(
            "%.6f,%08X,%016X,0\n" % (1700000000 + i * .001, 0x1000000 + i * 7919 % 60000, i * 0x9E3779B97F4A7C15 % 2**64) for i in range(n)))
    more = {"data.set": "flood", "store.chunk": 4000, "window.stride": 20}
    free, want, _ = build(place, "flood_free", 0, **more)
    taken, need = (float(v) for v in re.search(r"memory: ([0-9.]+) MiB taken, up to ([0-9.]+) needed", free.out).groups())
    for ranks in (0, 2):
        done, got, _ = build(place, "flood_%d" % ranks, ranks, **dict(more, **{"run.memory": int((need - taken + 18) * MIB)}))
        told(done.code == 0 and got == want and "buffers go to the disk early" in done.out,
             "memory__that_is_nearly_all_taken_sends_buffers_to_the_disk_with_%d_ranks" % ranks, done)
        peak = max(float(m) for m in re.findall(r"build: done in .* peak memory of a rank ([0-9.]+) MiB", done.out) or [1e9])
        print("# %.1f MiB of a rank at most, files among them, %.1f needed" % (peak, need))


def test():
    with Place(seconds=20) as place:
        free, want, _ = build(place, "free", 0)
        says = re.search(r"memory: ([0-9.]+) MiB taken, up to ([0-9.]+) needed, ([0-9.]+) is the limit", free.out)
        told(free.code == 0 and says and float(says.group(3)) > 100 and "taken: buffers" not in free.out, "memory__limit_is_found", free)
        taken, need = float(says.group(1)), float(says.group(2))
        print("# %.1f MiB taken, %.1f needed" % (taken, need))
        for ranks in (0, 2):
            done, _, there = build(place, "none_%d" % ranks, ranks, **{"run.memory": int((need + 1) * MIB) // 2})
            told(done.code == 78 and "may take" in done.out and "store.chunk" in done.out and not os.path.exists(there + "/store.h5") and not done.left,
                 "memory__too_little_is_78_before_anything_is_written_with_%d_ranks" % ranks, done)
        # what settings allow is more than this data takes: a limit that lets it start is tight when most of it is taken already
        done, got, _ = build(place, "tight", 0, **{"run.memory": int((need + .5) * MIB), "store.flush": 200})
        told(done.code == 0 and got == want, "memory__just_enough_is_enough", done)
        done, got, _ = build(place, "flushed", 0, **{"store.flush": 1, "store.chunk": 1})
        told(done.code == 0 and got == want, "store__does_not_depend_on_when_it_is_flushed", done)
        flood(place)
        done, got, _ = build(place, "large", 2, **{"store.flush": 1000000000, "store.chunk": 100000})
        told(done.code == 0 and got == want, "store__does_not_depend_on_large_runs", done)


main(test)
