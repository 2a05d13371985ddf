#!/usr/bin/python3
# SOAK: yes   TIMEOUT: 7200
"""`make soak`: one run directory, disturbed again and again, ends in the bytes of a run that nothing disturbed.

CANIDS_SOAK disturbances (100) are spread over as many run directories as they take: a random rank is killed, or all are told to stop,
at a random moment of the whole job, on 1 to 5 ranks; then the same command follows on another number of ranks."""
import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from common import JUDGED, PREPARED, TRAINED, Place, Started, differ, hashes, main, run, told, unfinished  # noqa: E402

DISTURBANCES = int(os.environ.get("CANIDS_SOAK", "100"))
SETTINGS = {"train.epochs": 25, "train.patience": 1000, "store.chunk": 4}
IN_A_ROW = 6  # so often at most is one run disturbed, before it is let through


def disturbed(place, there, longest):
    """One start, met by a kill or a signal.  What ended badly otherwise, or None; and whether it was met alive."""
    started = Started("run", place.conf, ranks=random.randint(1, 5), settings=dict(SETTINGS, **{"run.dir": there}))
    time.sleep(random.uniform(0, longest))
    kill = random.random() < 0.7
    pids = started.live(program_only=True)
    try:
        if kill and pids:
            os.kill(random.choice(pids), signal.SIGKILL)
        elif not kill and pids:
            started.child.send_signal(signal.SIGUSR1)
    except ProcessLookupError:
        pids = []
    done = started.end()
    # 137: a rank was killed.  138: mpirun or a rank had not yet begun to listen to USR1; mpirun itself may then end by SIGPIPE.
    # 75: stopped.  0: it was done already.
    good = done.code in (0, 75, 137, 138, -signal.SIGUSR1, -signal.SIGPIPE) and not done.left
    return (None if good else "%s, %s" % ("kill" if kill else "USR1", done)), bool(pids) and done.code != 0


def test():
    seed = int(os.environ.get("CANIDS_SOAK_SEED", time.time()))
    random.seed(seed)
    with Place(seconds=6) as place:
        whole = place.path("whole")
        began = time.monotonic()
        done = run("run", place.conf, ranks=2, settings=dict(SETTINGS, **{"run.dir": whole}))
        longest = time.monotonic() - began
        want = hashes(whole, PREPARED + TRAINED + JUDGED)
        if not told(done.code == 0 and "missing" not in want.values(), "soak__has_an_undisturbed_run", done):
            return
        count = met = runs = 0
        bad = []
        while count < DISTURBANCES:
            there = place.path("run_%d" % runs)
            runs += 1
            for _ in range(min(random.randint(1, IN_A_ROW), DISTURBANCES - count)):
                count += 1
                wrong, alive = disturbed(place, there, longest)
                met += alive
                if wrong:
                    bad.append("disturbance %d: %s" % (count, wrong))
            done = run("run", place.conf, ranks=random.randint(1, 5), settings=dict(SETTINGS, **{"run.dir": there}))
            now = hashes(there, list(want))
            if done.code != 0 or now != want or unfinished(there):
                bad.append("run %d: %s; differ: %s; left: %s" % (runs, done, differ(now, want), unfinished(there)))
            shutil.rmtree(there, ignore_errors=True)
        print("# %d disturbances of %d runs, %d met a live rank, seed %d" % (count, runs, met, seed))
        told(not bad, "soak__ends_in_the_undisturbed_bytes", "\n".join(bad[:3]))
        told(met >= 0.5 * count, "soak__met_live_ranks", met)


main(test)
