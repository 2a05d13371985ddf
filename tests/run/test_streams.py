#!/usr/bin/python3
# TIMEOUT: 120
"""Graphs against the stream's past: one store for any number of ranks and any block; profiles; what is wrong is said before anything is written."""
import json
import os
import re
import shutil

from common import Place, parallel, run, sha, told, main

TEXT = """data: {root: %(root)s, set: sim, block: 8192, vehicles: [car1, car2]}
run: {dir: %(root)s/run}
sim: {seed: 3, vehicles: 2, seconds: %(seconds)s, ids_min: 20, ids_max: 30}
features: {set: agnostic, past: run, prefix_s: 2, profile: %(root)s/known.profile}
store: {chunk: 7, flush: 30}
model: {preset: agnostic}
pipeline: scan,build
"""


class Case:
    def __init__(self, place):
        self.place, self.n = place, 0
        self.captures = sorted(os.path.relpath(os.path.join(at, f), place.path("sim")) for at, _, names in os.walk(place.path("sim"))
                               for f in names if f.endswith(".csv"))
        self.free = [c for c in self.captures if "attack_free" in c]

    def dir(self):
        self.n += 1
        return self.place.path("run_%d" % self.n)

    def build(self, ranks=0, there=None, **settings):
        there = there or self.dir()
        done = run("run", self.place.conf, ranks=ranks, settings=dict({k.replace("__", "."): v for k, v in settings.items()}, **{"run.dir": there}))
        done.there = there
        done.store = sha(os.path.join(there, "store.h5"))
        return done

    def learn(self, to, *captures, ranks=0, **settings):
        return run("profile", "learn", self.place.conf, "-o", self.place.path(to), *captures, ranks=ranks,
                   settings=dict({k.replace("__", "."): v for k, v in settings.items()}))


# past, stride, (ranks, bytes of a block): windows side by side, overlapping (then captures are whole, unless nothing is known), with gaps.
SAME = [("run", 100, ((1, 1 << 20), (2, 8192), (3, 8192), (5, 4096), (7, 8192))),
        ("prefix", 100, ((1, 1 << 20), (2, 8192), (3, 4096), (5, 8192), (7, 8192))),
        ("profile", 100, ((1, 1 << 20), (3, 8192), (7, 4096))),
        ("guard", 100, ((1, 1 << 20), (3, 8192), (5, 4096))),
        ("both", 100, ((1, 1 << 20), (7, 8192))),
        ("none", 37, ((1, 1 << 20), (2, 8192), (7, 4096))),
        ("run", 37, ((1, 1 << 20), (5, 8192))),
        ("prefix", 250, ((1, 1 << 20), (7, 8192))),
        ("profile", 250, ((0, 1 << 20), (5, 4096)))]


def ranks(c):
    for past, stride, jobs in SAME:
        said = {"features__past": past, "window__stride": stride, "run__log": "debug"}
        all_ = parallel(lambda j: c.build(j[0], **dict(said, data__block=j[1])), jobs, 3)
        bad = [str(d) for d in all_ if d.code != 0 or d.left or d.store == "missing"] + [j for j, d in zip(jobs, all_) if d.store != all_[0].store]
        cut = [len(re.findall(r"learned before its blocks", d.out)) for d in all_]
        may = past != "none" and past not in ("guard", "both") and stride >= 100
        told(not bad and any(cut) == may, "streams__%s_with_stride_%d_are_one_store_for_any_ranks_and_blocks" % (past, stride), (bad, cut))
        for d in all_:
            shutil.rmtree(d.there, ignore_errors=True)


def test():
    with Place(seconds=10, text=TEXT) as place:
        c = Case(place)
        done = c.learn("known.profile", *c.free)
        told(done.code == 0, "profile__is_learned", done)
        ranks(c)


main(test)
