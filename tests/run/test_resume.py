#!/usr/bin/python3
# TIMEOUT: 420 SOAK: too
"""Whatever stops a run, the same command ends in the bytes of a run that nothing stopped."""
import os
import random
import shutil
import signal
import time

from common import JUDGED, PREPARED, TRAINED, Place, Started, differ, hashes, inspect, main, parallel, run, told, unfinished

SOAK = os.environ.get("CANIDS_SOAK") == "1"
KILLS = 20 if SOAK else 8
APART = 1 if SOAK else 3  # of the crash points, every third is enough for a commit; odd and even ones take turns
LONG = {"train.epochs": 35, "train.patience": 1000, "train.batch": 24}


def prepared(place, settings=None):
    """A run directory with a store, to be copied."""
    there = place.path("prepared")
    done = run("run", place.conf, settings=dict({"pipeline": "scan,build", "run.dir": there}, **(settings or {})))
    return there if told(done.code == 0, "resume__has_a_store_to_start_from", done) else None


def signals(place, store, whole):
    """2 ranks, USR1, 3 ranks, USR1, 1 rank."""
    there = place.path("signals")
    shutil.copytree(store, there)
    settings = dict(LONG, **{"pipeline": "train", "run.dir": there})
    steps = [0]
    for ranks, epoch in ((2, 4), (3, 12)):
        started = Started("run", place.conf, ranks=ranks, settings=settings)
        started.said("epoch %d:" % epoch)
        started.child.send_signal(signal.SIGUSR1)
        done = started.end()
        steps.append((inspect(there + "/last.h5") or {}).get("step", 0))
        told(done.code == 75 and "stopped by signal" in done.out and not done.left, "usr1__ends_with_75_on_%d_ranks" % ranks, done)
        told(steps[-1] > steps[-2], "usr1__leaves_a_checkpoint_further_on_with_%d_ranks" % ranks, steps)
    done = run("run", place.conf, "--resume", ranks=1, settings=settings)
    now = hashes(there, TRAINED)
    told(done.code == 0 and "going on from" in done.out, "resume__goes_on_with_1_rank", done)
    told(now == whole, "resume__on_2_3_1_ranks_ends_in_the_undisturbed_bytes", differ(now, whole))


def kill_one(place, settings, words, longest):
    """Start on 3 ranks, kill one of them some time after the words; was it a live rank of a run that did not end by itself?"""
    started = Started("run", place.conf, ranks=3, settings=settings)
    pids = []
    if started.said(words):
        time.sleep(random.uniform(0, longest))
        pids = started.live(program_only=True)
    hit = bool(pids)
    if hit:
        try:
            os.kill(random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            hit = False
    done = started.end()
    return done, hit and done.code != 0


def kills(place, name, base, settings, words, longest, want):
    """KILLS times, up to `longest` seconds after one of the words: progress, not time, so that a busy machine changes nothing."""
    seed = int(time.time())
    random.seed(seed)
    live, bad = 0, []
    for k in range(KILLS):
        there = place.path("kill_%s_%d" % (name, k))
        prepare(base, there)
        mine = dict(settings, **{"run.dir": there})
        killed, hit = kill_one(place, mine, random.choice(words), longest)
        live += hit
        done = run("run", place.conf, ranks=random.choice([1, 2, 3]), settings=mine)
        now = hashes(there, want)
        if killed.code == "hang" or killed.left or done.code != 0 or now != want or unfinished(there):
            bad.append("kill %d: %s; then %s; differ: %s; left: %s" % (k, killed, done, differ(now, want), unfinished(there)))
        shutil.rmtree(there)
    print("# %d of %d kills in %s hit a live rank, seed %d" % (live, KILLS, name, seed))
    told(not bad, "kill__in_%s_changes_no_byte" % name, "\n".join(bad[:2]))
    told(live >= 0.8 * KILLS, "kill__in_%s_hit_live_ranks" % name, live)


def prepare(base, there):
    if base:
        shutil.copytree(base, there)


def crash_points(place, want):
    """Rank 0 dies at the k-th point of the commit protocol, in a new folder or over an older generation."""
    old = place.path("old")
    short = {"train.epochs": 1}
    done = run("run", place.conf, settings=dict(short, **{"run.dir": old, "window.stride": 50, "train.seed": 7}))
    told(done.code == 0, "crash__has_an_older_generation_to_start_over", done)

    def crash(k):
        """Complaints, and whether the run has fewer points than k."""
        there = place.path("crash_%d" % k)
        if k % 2:
            shutil.copytree(old, there)
        settings = dict(short, **{"run.dir": there})
        crashed = run("run", place.conf, settings=dict(settings, **{"inject.crash_point": k}))
        done = crashed if crashed.code == 0 else run("run", place.conf, settings=settings)
        now, left = hashes(there, want), unfinished(there)
        shutil.rmtree(there)
        good = crashed.code in (0, -9) and done.code == 0 and now == want and not left
        return "" if good else "point %d: %s; then %s; differ: %s; left: %s" % (k, crashed, done, differ(now, want), left), crashed.code == 0

    k, bad, through = 1, [], False
    while not through and k < 1000 and not bad:
        ended = parallel(crash, range(k, k + 8 * APART, APART), 2)
        bad = [why for why, _ in ended if why]
        through = ended[-1][1] and ended[-2][1]  # one over the old generation, one in a new folder
        k += 8 * APART
    print("# between %d and %d crash points in a run, every %d of them tried" % (k - 16 * APART, k - 1, APART))
    told(not bad and k > 40 and through, "crash__at_a_point_is_followed_by_the_undisturbed_bytes", "\n".join(bad) or k)


def skips(place):
    there = place.path("skips")

    def go(**settings):
        return run("run", place.conf, settings=dict({"run.dir": there}, **settings))

    go()
    again = go()
    told(again.code == 0 and "build: skipped: the store is of this data and these settings" in again.out, "skip__build_is_skipped_with_its_reason", again.out)
    told("eval: skipped: the results are of these weights, settings and this program" in again.out, "skip__eval_is_skipped_with_its_reason", again.out)
    told(" train: epoch " not in again.out and "attack free" not in again.out, "skip__a_finished_training_is_not_repeated", again.out)
    changed = go(**{"window.stride": 50})
    told(changed.code == 0 and "build: runs: the data or the settings of windows and features changed" in changed.out, "skip__another_stride_builds_again", changed.out)
    told(" train: epoch 1" in changed.out and "eval: runs: the weights, the settings or the program changed" in changed.out,
         "skip__another_store_trains_and_judges_again", changed.out)
    changed = go(**{"window.stride": 50, "train.lr": 0.01})
    told(changed.code == 0 and "build: skipped" in changed.out and " train: epoch 1" in changed.out and "eval: runs" in changed.out,
         "skip__another_learning_rate_trains_again_on_the_same_store", changed.out)
    changed = go(**{"window.stride": 50, "train.lr": 0.01, "eval.draws": 10})
    told(" train: epoch " not in changed.out and "eval: runs" in changed.out, "skip__other_draws_judge_again_the_same_training", changed.out)
    with open(there + "/store.h5", "r+b") as f:
        f.seek(os.path.getsize(there + "/store.h5") // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 4]))
    changed = go(**{"window.stride": 50, "train.lr": 0.01, "eval.draws": 10})
    told(changed.code == 0 and "build: runs: the store is not usable" in changed.out, "skip__a_damaged_store_is_built_again", changed.out)


def test():
    with Place(seconds=2) as place:
        done = run("run", place.conf, "--resume", settings={"run.dir": place.path("none")})
        told(done.code == 66 and "--resume" in done.out and "last.h5" in done.out, "resume__without_a_checkpoint_is_66", done)
        skips(place)
        whole = place.path("whole")
        run("run", place.conf, settings={"run.dir": whole, "train.epochs": 1})
        crash_points(place, hashes(whole, PREPARED + TRAINED + JUDGED))
        store = prepared(place)
        if not store:
            return
        long = place.path("long")
        shutil.copytree(store, long)
        done = run("run", place.conf, ranks=2, settings=dict(LONG, **{"pipeline": "train", "run.dir": long}))
        trained = hashes(long, TRAINED)
        if told(done.code == 0 and "missing" not in trained.values(), "resume__has_an_undisturbed_training", done):
            signals(place, store, trained)
            words = ["train: runs"] + ["epoch %d:" % e for e in range(1, LONG["train.epochs"] - 8)]
            kills(place, "training", store, dict(LONG, pipeline="train"), words, 0.03, trained)
    with Place(seconds=8) as place:
        store = prepared(place, {"store.chunk": 1})
        if store:
            kills(place, "build", None, {"pipeline": "scan,build", "store.chunk": 1}, ["scan: done", "build: runs"], 0.06, hashes(store, PREPARED))


main(test)
