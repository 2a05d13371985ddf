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
        done, got, _ = build(place, "large", 2, **{"store.flush": 1000000000, "store.chunk": 100000})
        told(done.code == 0 and got == want, "store__does_not_depend_on_large_runs", done)


main(test)
