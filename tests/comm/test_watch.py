#!/usr/bin/python3
"""Calls that wait for ranks without asking: MPI's own at the start and the end, and a library's.  Three ranks, a deadline of 2 s."""
import os
import sys

import test_stall

CASES = [
    ("watch__passes_undisturbed", "none", 0, [r"^done"], 7),
    ("watch__ends_a_start_without_a_rank_with_75", "start", 75, [r"r0/3 .*stalled: waited 2 s at MPI_Comm_dup", r"r2/3 .*stalled: waited 2 s at MPI_Comm_dup"], 7),
    ("watch__ends_a_guarded_call_with_75", "guard", 75,
     [r"stalled: rank 0 waited 2 s at test\.library \(pass 1\); every rank came, the call itself does not return", r"stalled: rank 1 waited 2 s at test\.library"], 7),
    ("tick__of_long_work_is_waited_for", "tick", 0, [r"^done"], 11),
    ("tick__of_long_work_is_waited_for_in_a_guarded_call", "tick-guard", 0, [r"^done"], 11),
    ("tick__that_is_missing_is_75", "silent", 75, [r"stalled: rank 1 waited 2 s at test\.work \(pass 1\); rank 0 has not come: it was last at comm\.start"], 7),
    ("tick__that_is_missing_in_a_guarded_call_is_75", "silent-guard", 75,
     [r"stalled: rank 2 waited 2 s at test\.library \(pass 1\); rank 0 has not come: it was last at comm\.start"], 7),
    # Open MPI's mpirun calls an end without MPI_Finalize 1, whatever the process says.
    ("watch__ends_mpi_that_does_not_end_with_a_warning", "finalize", 1,
     [r"^done", r"WARN  r0/3 .*MPI did not end within 2 s; the results are on disk, rank 0 ends without it"], 7),
]

if __name__ == "__main__":
    sys.exit(test_stall.run(os.path.join(test_stall.BUILD, "tests/comm/test_watch"), CASES))
