#!/usr/bin/python3
# TIMEOUT: 240
"""Graphs against the stream's past: one store for any number of ranks and any block; profiles; what is wrong is said before anything is written."""
import json
import os
import random
import re
import shutil
import signal
import subprocess

import h5py

from common import PROGRAM, Place, inspect, main, parallel, run, sha, told

TEXT = """data: {root: %(root)s, set: sim, block: 8192, vehicles: [carA, carB]}
run: {dir: %(root)s/run}
sim: {seed: 3, vehicles: 2, seconds: %(seconds)s, ids_min: 20, ids_max: 30}
features: {set: agnostic, past: run, prefix_s: 2, profile: %(root)s/known.profile}
store: {chunk: 7, flush: 30}
model: {preset: agnostic}
pipeline: scan,build
"""


def rows(path):
    with open(path) as f:
        return sum(1 for _ in f) - 1


class Case:
    def __init__(self, place):
        self.place, self.n = place, 0
        self.captures = sorted(os.path.relpath(os.path.join(at, f), place.path("sim")) for at, _, names in os.walk(place.path("sim"))
                               for f in names if f.endswith(".csv"))
        self.free = [c for c in self.captures if "attack-free" in c]

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
SAME = [("run", 100, ((1, 1 << 20), (2, 8192), (3, 4096), (5, 8192), (7, 8192))),
        ("prefix", 100, ((0, 1 << 20), (3, 4096), (7, 8192))),
        ("profile", 100, ((1, 1 << 20), (5, 8192))),
        ("guard", 100, ((1, 1 << 20), (3, 8192))),
        ("both", 100, ((1, 1 << 20), (7, 4096))),
        ("none", 37, ((1, 1 << 20), (5, 4096))),
        ("run", 37, ((1, 1 << 20), (3, 8192))),
        ("prefix", 250, ((1, 1 << 20), (5, 8192)))]


def ranks(c):
    for past, stride, jobs in SAME:
        said = {"features__past": past, "window__stride": stride, "run__log": "debug", "data__train": "[train_01_attack_free]",
                "data__test": "[test_03_known_vehicle_unknown_attack]"} # two captures: several ranks share each
        all_ = parallel(lambda j: c.build(j[0], **dict(said, data__block=j[1])), jobs, 3)
        bad = [str(d) for d in all_ if d.code != 0 or d.left or d.store == "missing"] + [j for j, d in zip(jobs, all_) if d.store != all_[0].store]
        cut = [len(re.findall(r"learned before its blocks", d.out)) for d in all_]
        may = past != "none" and past not in ("guard", "both") and stride >= 100
        told(not bad and any(cut) == may, "streams__%s_with_stride_%d_are_one_store_for_any_ranks_and_blocks" % (past, stride), (bad, cut))
        for d in all_:
            shutil.rmtree(d.there, ignore_errors=True)


def store_of(c, there):
    """Attributes and arrays that another profile must change, and others must not."""
    with h5py.File(os.path.join(there, "store.h5"), "r") as f:
        return {name: f[name][:] for name in ("graph_window", "graph_warm", "graph_label", "edge_label")}


def profiles(c):
    """Learned on any ranks the same; what is merged is what is learned from all; what is wrong is refused."""
    p = c.place.path
    done = [c.learn("learned_%d" % n, *c.free, ranks=n) for n in (1, 3)]
    told(all(d.code == 0 and not d.left for d in done) and len({sha(p("learned_%d" % n)) for n in (1, 3)} | {sha(p("known.profile"))}) == 1,
         "profile__is_the_same_for_any_ranks", done)
    for k, one in enumerate(c.free):
        c.learn("one_%d" % k, one)
    done = run("profile", "merge", "-o", p("merged"), *[p("one_%d" % k) for k in range(len(c.free))])
    told(done.code == 0 and sha(p("merged")) == sha(p("known.profile")) and len(c.free) > 1, "profile__merged_is_learned_from_all", done)
    done = c.learn("plain", *[p("sim", x) for x in c.free], ranks=0)
    told(done.code == 0 and sha(p("plain")) == sha(p("known.profile")), "profile__captures_may_be_named_by_their_paths", done)
    said, again = inspect(p("known.profile")), run("profile", "inspect", p("known.profile"), "--json")
    told(said and said["kind"] == "profile" and said["frames"] == sum(rows(p("sim", x)) for x in c.free) and said["identifiers"] == len(said["ids"]) > 10 and
         said["version"] == 1 and said["window_frames"] == 100 and said == json.loads(again.out.strip().split("\n")[-1]), "profile__inspect_says_what_it_knows", said)
    gone = subprocess.Popen([PROGRAM, "inspect", p("known.profile")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    gone.stdout.close()
    words = gone.stderr.read().decode()
    told(gone.wait() == -signal.SIGPIPE and "corrupt" not in words, "profile__inspect_to_a_reader_that_has_gone_says_nothing_of_the_file", words)
    bad = [x for x in c.captures if "DoS" in x][0]
    done = c.learn("attacked", c.free[0], bad, ranks=2)
    first = next(i for i, line in enumerate(open(p("sim", bad)).read().split("\n")[1:]) if line.endswith(",1"))
    told(done.code == 65 and "row %d is an attack" % first in done.out and bad in done.out and not os.path.exists(p("attacked")),
         "profile__attack_rows_are_refused_with_the_row", done)
    done = c.learn("missing", c.free[0], "nowhere.csv")
    told(done.code == 66 and "nowhere.csv" in done.out, "profile__missing_capture_is_66", done)
    c.place.write("sim/train_01_attack_free/bad.csv", "timestamp,arbitration_id,data_field,attack\nno,frame,at,all\n")
    done = c.learn("nothing", c.free[0], "train_01_attack_free/bad.csv", contract__policy="quarantine", contract__max_share=1)
    os.unlink(p("sim/train_01_attack_free/bad.csv"))
    told(done.code == 65 and "bad.csv: none of its lines" in done.out and not os.path.exists(p("nothing")), "profile__capture_without_frames_is_refused", done)
    c.learn("other", c.free[0], window__stride=50)
    done = run("profile", "merge", "-o", p("no"), p("known.profile"), p("other"))
    told(done.code == 65 and "one every 100" in done.out and not os.path.exists(p("no")), "profile__of_other_windows_is_not_merged", done)
    for words in (("profile",), ("profile", "learn", c.place.conf, c.free[0]), ("profile", "merge", "-o", "x", "a"), ("profile", "inspect", "-o", "x", "a"), ("profile", "forget")):
        done = run(*words)
        told(done.code == 64, "profile__usage_%s" % "_".join(w for w in words if w.isalpha()), done)


def refusals(c):
    """Said with path and what to do, before anything is written."""
    p = c.place.path
    shutil.copy(p("known.profile"), p("damaged.profile"))
    with open(p("damaged.profile"), "r+b") as f:
        f.seek(9000)
        f.write(b"?????")
    os.makedirs(p("vehicles"), exist_ok=True)
    shutil.copy(p("known.profile"), p("vehicles", "carA.profile"))
    cases = [("no_profile_named", "", 78, "features.profile is empty"), ("missing", p("nobody.profile"), 66, "canids profile learn"),
             ("damaged", p("damaged.profile"), 65, "damaged.profile is damaged"), ("none", p("conf.yaml"), 65, "is no profile"),
             ("folder_without_one_of_the_vehicles", p("vehicles"), 66, "carB.profile")]
    for name, path, code, words in cases:
        done = c.build(2, features__past="profile", features__profile=path)
        told(done.code == code and words in done.out and done.store == "missing", "refused__profile_%s" % name, done)
    done = c.build(2, features__past="profile", features__profile=p("vehicles"), data__vehicles="[carA]")
    told(done.code == 78 and "none of data.vehicles" in done.out and done.store == "missing", "refused__capture_of_no_vehicle", done)
    shutil.copy(p("known.profile"), p("vehicles", "carB.profile"))
    one, each = c.build(1, features__past="profile"), c.build(2, features__past="profile", features__profile=p("vehicles"))
    a, b = store_of(c, one.there), store_of(c, each.there)
    told(each.code == 0 and all((a[k] == b[k]).all() for k in a) and a["graph_warm"].all(), "profile__of_each_vehicle_is_that_of_all_when_they_are_equal", each)


def hosts(c):
    """A profile that is another one on one host: all ranks say so, none waits for the others."""
    p, there = c.place.path, c.dir()
    wrap = ("mpirun", "-n", "2", "sh", "-c", 'cd "%s$OMPI_COMM_WORLD_RANK" && exec "$@"' % p("host"), "sh")
    for k in range(2): # what is free of attacks is one capture twice
        os.makedirs(p("host%d" % k), exist_ok=True)
        c.learn("host%d/my.profile" % k, *c.free[:1 + k])
    said = {"features.past": "profile", "features.profile": "my.profile", "run.dir": there, "comm.deadline_s": 5}  # a rank that leaves alone speaks for itself
    done = run("run", c.place.conf, settings=said, wrap=wrap)
    told(done.code == 74 and "not the same on every host" in done.out and sha(os.path.join(there, "store.h5")) == "missing", "hosts__of_other_profiles_build_no_store", done)
    built = run("run", c.place.conf, settings=said, cwd=p("host0"))
    done = run("run", c.place.conf, settings=dict(said, pipeline="train"), wrap=wrap)
    told(built.code == 0 and done.code == 78 and re.search("ERROR r0/2 .* was built from other data", done.out), "hosts__of_other_profiles_train_on_no_store", done)


JOBS = [("build.before.shift", "skip", 1), ("comm.shift.room", "skip", 0), ("build.dropped.sum", "skip", 1), ("build.before.learn", "fail", 2),
        ("build.before.merge", "fail", 0), ("build.before.prefix", "fail", 1), ("build.before.merge", "die", 1)]


def stopped(c):
    """Every site of the scan over ranks: a rank that skips it, fails at it or dies leaves no store, and the same command builds it."""
    trace = c.place.path("trace")
    whole = c.build(3, features__past="prefix", comm__trace=trace)
    sites = [x for x in dict.fromkeys(line.split()[0] for line in open(trace)) if re.match(r"build\.(before|dropped)|comm\.shift", x)]
    told(whole.code == 0 and {s for s, _, _ in JOBS} <= set(sites), "stopped__sites_are_known", sites)

    def one(job):
        done = c.build(3, features__past="prefix", comm__deadline_s=2, inject__site=job[0], inject__kind=job[1], inject__rank=job[2])
        want = {"skip": done.code == 75, "fail": done.code == 74, "die": done.code not in (0, "hang")}[job[1]]
        again = c.build(2, there=done.there, features__past="prefix") if job[1] == "die" else None
        good = want and done.store == "missing" and not done.left and (not again or (again.code == 0 and again.store == whole.store))
        return "" if good else "%s: %s %s" % (job, done, again)

    bad = [x for x in parallel(one, JOBS) if x]
    told(not bad, "stopped__in_the_scan_over_ranks_there_is_no_store", bad)


def reused(c):
    """Captures that did not change keep their graphs, as long as they would be judged as they were."""
    there = c.dir()
    first = c.build(2, there, features__past="profile")
    new = c.place.path("sim", os.path.dirname(c.free[0]), "new_carA.csv")
    with open(c.place.path("sim", c.captures[-1])) as f:
        c.place.write(new, "".join(f.readlines()[:3000]))
    again, fresh = c.build(3, there, features__past="profile"), c.build(1, features__past="profile")
    said = json.load(open(os.path.join(there, "build.json")))
    told(first.code == 0 and again.code == 0 and again.store == fresh.store and said["captures_taken_over"] == said["captures"] - 1 and said["frames_dropped"] == 0,
         "reused__captures_keep_their_graphs", "%s %s" % (said, again))
    os.unlink(new)
    c.learn("known.profile", c.free[0])
    other, fresh = c.build(3, there, features__past="profile"), c.build(1, features__past="profile")
    told(other.code == 0 and other.store == fresh.store != first.store and "taken over" not in other.out, "reused__not_against_another_profile", other)
    renamed(c)
    one = c.build(2, there, features__past="prefix")
    two = c.build(2, there, features__past="prefix", features__prefix_s=1)
    told(two.code == 0 and two.store != one.store and "taken over" not in two.out + one.out, "reused__not_with_another_past_or_prefix", two)
    same = c.build(2, there, features__past="prefix", features__prefix_s=1)
    told(same.code == 0 and "build: skipped" in same.out, "reused__same_settings_are_skipped", same)


def renamed(c):
    """A capture whose name now says another vehicle is held against another profile: equal bytes are not enough."""
    there, p = c.dir(), c.place.path
    os.makedirs(p("two"), exist_ok=True)
    for k, car in enumerate("AB"): # what is free of attacks is one capture twice
        c.learn("two/car%s.profile" % car, *c.free[:1 + k])
    said = {"features__past": "profile", "features__profile": p("two")}
    first = c.build(2, there, **said)
    was = p("sim", next(x for x in c.captures if "DoS-carA" in x))
    now = was.replace("carA", "carB")
    os.rename(was, now)
    again, want = c.build(2, there, **said), c.build(0, **said)
    os.rename(now, was)
    n = json.load(open(os.path.join(there, "build.json")))
    told(first.code == 0 and again.code == 0 and again.store == want.store and n["captures_taken_over"] == n["captures"] - 1,
         "reused__not_under_the_name_of_another_vehicle", "%s %s %s" % (n, again, want))


def many(c):
    """More identifiers than are kept: one rank reads the capture, and what is dropped is said."""
    r = random.Random(5)
    for folder, n in (("train_01_a", 2500), ("test_01_b", 300)):
        lines = ["timestamp,arbitration_id,data_field,attack"]
        lines += ["%.6f,%08X,0102,0" % (1 + i * .001, 0x10000000 + (i if i < n else r.randrange(n))) for i in range(6000)]
        c.place.write("many/%s/x.csv" % folder, "\n".join(lines) + "\n")
    done = [c.build(k, data__set="many", features__past="run") for k in (1, 3)]
    said = json.load(open(os.path.join(done[1].there, "build.json")))
    ids = [int(line.split(",")[1], 16) - 0x10000000 for line in open(c.place.path("many/train_01_a/x.csv")).read().split("\n")[1:-1]]
    want = sum(i >= 2048 for i in ids)
    told(all(d.code == 0 for d in done) and done[0].store == done[1].store and said["frames_dropped"] == want and
         "%d frames have identifiers beyond the first 2048" % want in done[1].out and "train_01_a/x.csv" in done[1].out, "many__identifiers_are_dropped_and_said", (said, want, done[1]))


def test():
    with Place(seconds=6, text=TEXT) as place:
        c = Case(place)
        done = c.learn("known.profile", *c.free)
        if not told(done.code == 0 and len(c.free) > 1, "profile__is_learned", done):
            return
        ranks(c)
        profiles(c)
        refusals(c)
        hosts(c)
        stopped(c)
        many(c)
        reused(c)


main(test)
