#!/usr/bin/python3
"""Calls that wait for ranks without asking: MPI's own at the start and the end, and a library's.  Three ranks, a deadline of 2 s."""
import os
import re
import subprocess
import sys
import tempfile
import time

import test_stall

PROGRAM = os.path.join(test_stall.BUILD, "tests/comm/test_watch")
CASES = [
    ("hosts__pass_undisturbed", "apart", 0, [r"^done"], 7),
    ("hosts__name_the_rank_that_has_not_come_and_no_other", "apart-stop", 75,
     [r"stalled: rank 0 waited 2 s at test\.missing \(pass 1\); rank 1 on another host has not come; stopping",
      r"stalled: rank 2 waited [01](\.\d)? s at test\.missing \(pass 1\); rank 1 on another host has not come; stopping"], 7),
    ("watch__passes_undisturbed", "none", 0, [r"^done"], 7),
    ("watch__ends_a_start_without_a_rank_with_75", "start", 75, [r"r0/3 .*stalled: waited 2 s at MPI_Comm_dup", r"r2/3 .*stalled: waited 2 s at MPI_Comm_dup"], 7),
    ("watch__ends_a_guarded_call_with_75", "guard", 75,
     [r"stalled: rank 0 waited 2 s at test\.library \(pass 1\); every rank came, the call itself does not return", r"stalled: rank 1 waited 2 s at test\.library"], 7),
    ("tick__of_long_work_is_waited_for", "tick", 0, [r"^done"], 11),
    ("tick__of_long_work_is_waited_for_in_a_guarded_call", "tick-guard", 0, [r"^done"], 11),
    ("tick__that_is_missing_is_75", "silent", 75, [r"stalled: rank 1 waited 2 s at test\.work \(pass 1\); rank 0 has not come: it was last at comm\.start"], 7),
    ("tick__that_is_missing_in_a_guarded_call_is_75", "silent-guard", 75,
     [r"stalled: rank 2 waited 2 s at test\.library \(pass 1\); rank 0 has not come: it was last at comm\.start"], 7),
]



def unended():
    """Ranks that end without MPI_Finalize leave Open MPI's mpirun in no order (code 1, a crash or a hang): only the ranks are judged."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        env = dict(os.environ, OMPI_MCA_orte_tmpdir_base=tempfile.mkdtemp(prefix="s"))
        job = subprocess.Popen(["mpirun", "-n", "3", PROGRAM, "finalize"], stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                               env=env)
        text, wanted = "", r"(?s)^(?=.*\bdone)(?=.*WARN  r0/3 .*MPI did not end within 2 s; the results are on disk, rank 0 ends without it)"
        while time.monotonic() - began < 7 and not re.search(wanted, text):
            time.sleep(0.1)
            out.seek(0)
            text = out.read()
        took = time.monotonic() - began
        time.sleep(0.5)
        test_stall.end(job.pid)
        job.wait()
    return "watch__ends_ranks_whose_mpi_does_not_end", took, [] if re.search(wanted, text) else ["no warning"], text


def started(name, env, wanted):
    """What a process that is alone chose, by what its launcher said of itself."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_MCA_pml", "OMPI_COMM", "PMI", "SLURM"))}
    done = subprocess.run([PROGRAM, "settings"], env=dict(clean, **env), stdout=subprocess.PIPE, universal_newlines=True, timeout=30, check=False)
    return name, 0, [] if done.stdout == wanted + "done" else ["%r" % done.stdout], ""


MORE = [unended,
        lambda: started("start__alone_needs_no_network", {}, "pml ob1, signal 0\n"),
        lambda: started("start__by_srun_leaves_the_network_alone", {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "1"}, "pml none, signal 9\n")]

if __name__ == "__main__":
    sys.exit(test_stall.run(PROGRAM, CASES, MORE))
