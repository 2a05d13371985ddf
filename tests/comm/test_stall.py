#!/usr/bin/python3
"""Ranks that do not come: every one of the others says where it is and what it waited for, and the job ends in time, whole.
The program is tests/comm/test_collective started with arguments; three ranks, a deadline of 2 s."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

BUILD = os.environ.get("CANIDS_BUILD", "build")
PROGRAM = os.path.join(BUILD, "tests/comm/test_collective")
DEADLINE = 2

# name, arguments (kind rank site pass seconds), exit code, what the output has to have, seconds until the end at most
CASES = [
    ("comm__passes_undisturbed", "none 0 - 0 0", 0, [r"^done$"], 7),
    ("skip__of_a_barrier_in_a_loop_is_seen_at_once", "skip 1 work.loop 2 0", 75,
     [r"rank 0 is at work\.loop \(pass 2\).*rank 1 is at .*work\.loop", r"rank 1 is at behind work\.loop.*rank 0 is at work\.loop \(pass 2\)"], 7),
    ("skip__of_an_agreement_is_seen_at_once", "skip 2 work.agree 3 0", 75,
     [r"rank 0 is at work\.agree \(pass 3\); rank 2 is at work\.sum \(pass 3\)"], 7),
    ("skip__of_a_sum_is_seen_at_once", "skip 0 work.sum 1 0", 75, [r"rank 1 is at work\.sum \(pass 1\); rank 0 is at behind work\.sum"], 7),
    ("skip__of_a_gather_is_seen_at_once", "skip 1 work.gather 4 0", 75, [r"rank 2 is at work\.gather \(pass 4\); rank 1 is at behind work\.gather"], 7),
    ("skip__of_the_last_collective_is_seen", "skip 1 comm.stop 1 0", 75, [r"rank 0 is at comm\.stop.*rank 1 is at behind comm\.stop"], 7),
    ("delay__beyond_the_deadline_ends_the_job", "delay 1 work.loop 3 60", 75,
     [r"stalled: rank 0 waited 2 s at work\.loop \(pass 3\); rank 1 has not come: it was last at comm\.gather\.room \(pass 2\)",
      r"stalled: rank 2 waited 2 s at work\.loop \(pass 3\)"], DEADLINE + 5),
    ("delay__within_the_deadline_is_waited_for", "delay 2 work.sum 1 0.5", 0, [r"^done$"], 7),
    ("stop__of_a_rank_ends_the_job", "stop 1 - 0 0", 75,
     [r"stalled: rank 0 waited 2 s at work\.loop \(pass 3\); rank 1 has not come: it was last at comm\.gather\.room \(pass 2\)"], DEADLINE + 5),
    ("die__ends_the_job", "die 2 work.gather 2 0", 137, [r"rank 2.*signal 9|signal 9"], DEADLINE + 5),
    ("fail__is_told_by_every_rank_and_ends_in_order", "fail 1 work.agree 2 0", 74,
     [r"r0/3.*injected failure of rank 1 at work\.agree", r"r2/3.*injected failure of rank 1 at work\.agree"], 7),
]


def members(session):
    """Live processes of the session, stopped ones too."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, encoding="utf-8", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry))
    return found


def end(session):
    for pid in members(session):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def play(case, program=PROGRAM, ranks=3, more=None):
    name, arguments, code, wanted, limit = case
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        # Cases run side by side, and two Open MPI jobs that begin at once trip over one folder for their sessions.
        env = dict(os.environ, OMPI_MCA_orte_tmpdir_base=tempfile.mkdtemp(prefix="s"), **(more or {}))
        job = subprocess.Popen(["mpirun", "-n", str(ranks), program] + arguments.split(), stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=env)
        try:
            job.wait(40)
        except subprocess.TimeoutExpired:
            pass
        took = time.monotonic() - began
        left = members(job.pid)
        if left:
            time.sleep(1)
            left = members(job.pid)
        end(job.pid)
        job.wait()
        out.seek(0)
        text = out.read()
    why = []
    if job.returncode != code:
        why.append("exit code %d, wanted %d" % (job.returncode, code))
    why += ["no line like %s" % w for w in wanted if not re.search(w, text, re.M)]
    if took > limit:
        why.append("took %.1f s, at most %d" % (took, limit))
    if left:
        why.append("left processes %s" % left)
    return name, took, why, text


def traced():
    """The names of the sites, for whoever wants to disturb each of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sites")
        subprocess.run(["mpirun", "-n", "3", PROGRAM, "none", "0", "-", "0", "0", path], check=True, stdout=subprocess.DEVNULL, timeout=30)
        lines = open(path).read().split("\n")[:-1]
    wanted = ["comm.start 1", "work.loop 4", "work.agree 4", "work.sum 4", "work.gather 4", "comm.gather.room 4", "comm.stop 1"]
    return "trace__names_every_site_and_counts_its_passes", 0, [] if lines == wanted else ["%s" % lines], ""


def run(program, cases, more=()):
    """Play the cases, say how each ended; the exit code."""
    if not os.path.exists(program):
        print("not ok - %s: %s is missing, run make tests" % (os.path.basename(program), program))
        return 1
    failed = 0
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda case: play(case, program), cases))
    for name, took, why, text in done + [one() for one in more]:
        print(("ok - %s (%.1f s)" % (name, took)) if not why else "not ok - %s: %s\n%s" % (name, "; ".join(why), text))
        failed += bool(why)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(PROGRAM, CASES, [traced]))
