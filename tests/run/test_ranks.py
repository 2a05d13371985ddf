#!/usr/bin/python3
# TIMEOUT: 240
"""What a run leaves does not depend on how many ranks, threads or which kernels made it."""
import re

from common import JUDGED, PREPARED, TRAINED, Place, differ, hashes, inspect, main, run, told

STEPS = {"pipeline": "scan,build,train,eval", "train.steps": 20, "train.epochs": 100, "run.log": "debug"}


def stores(place):
    first = None
    for ranks in (0, 1, 2, 3, 5, 8):
        there = place.path("store_%d" % ranks)
        done = run("run", place.conf, ranks=ranks, settings={"pipeline": "scan,build", "run.dir": there, "data.block": 16384, "store.chunk": 7})
        now = hashes(there, PREPARED)
        first = first or now
        told(done.code == 0 and now == first and "missing" not in now.values() and not done.left,
             "store__is_the_same_with_%s" % ("%d_ranks" % ranks if ranks else "no_mpirun"), differ(now, first) + str(done))
    return first


def weights(place):
    """One training for every row, all compared with the first."""
    rows = [("no_mpirun", 0, {}, {})]
    rows += [("%d_ranks_%d_threads" % (n, t), n, {"train.threads": t}, {}) for n in (1, 2, 3, 5) for t in (1, 2)]
    rows += [("2_ranks_as_haswell", 2, {}, {"OPENBLAS_CORETYPE": "Haswell"})]
    rows += [("2_ranks_" + isa, 2, {"train.isa": isa}, {}) for isa in machine()]
    first = weights_first = None
    shards = {}
    for name, ranks, settings, env in rows:
        there = place.path("weights_" + name)
        done = run("run", place.conf, ranks=ranks, env=env, settings=dict(STEPS, **{"run.dir": there}, **settings))
        now = hashes(there, TRAINED + JUDGED)
        said = inspect(there + "/last.h5") or {}
        first = first or now
        weights_first = weights_first or said.get("weights_sha256")
        good = done.code == 0 and now == first and "missing" not in now.values() and said.get("weights_sha256") == weights_first
        told(good and said.get("step") == 20 and weights_first, "weights__after_20_steps_are_the_same_with_" + name, differ(now, first) + " " + str(done))
        shards[name] = {int(r): int(n) for r, n in re.findall(r"rank (\d+) computed (\d+) shards", done.out)}
        if ranks > 1:
            print("# %s: shards of a rank %s" % (name, " ".join(str(shards[name][r]) for r in sorted(shards[name]))))
            told(len(shards[name]) == ranks and sum(n > 0 for n in shards[name].values()) >= 2, "shards__were_shared_out_with_" + name, shards[name])
    told(len({sum(s.values()) for s in shards.values()}) == 1, "shards__are_as_many_in_all_for_any_ranks", shards)


def machine():
    """Kernels that this machine can run."""
    flags = open("/proc/cpuinfo").read()
    return ["generic"] + ["avx2"] * (" avx2" in flags and " fma" in flags) + ["avx512"] * (" avx512bw" in flags and " avx512vl" in flags)


def test():
    with Place(seconds=3) as place:
        stores(place)
        weights(place)


main(test)
