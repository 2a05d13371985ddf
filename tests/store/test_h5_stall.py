#!/usr/bin/python3
"""A rank that is stopped inside HDF5: the others say so and the job ends, instead of waiting in MPI for ever."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "comm"))
import test_stall

CASES = [
    ("h5__passes_undisturbed", "none", 0, [], 7),
    ("h5__stop_while_a_file_is_created_is_told_with_75", "create", 75,
     [r"stalled: rank 0 waited 2 s at h5\.create\.file\.call \(pass 1\); rank 1 .*h5\.create\.file\.call.*, its process is stopped",
      r"stalled: rank 2 waited 2 s at h5\.create\.file\.call"], 7),
    ("h5__stop_while_a_file_is_closed_is_told_with_75", "close", 75,
     [r"stalled: rank [02] waited 2 s at h5\.finish\.[a-z.]+ \(pass 1\); rank 1 .*h5\.finish\.close\.call.*, its process is stopped"], 7),
]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        cases = [(name, "%s %s/%s.h5" % (kind, folder, kind), code, wanted, limit) for name, kind, code, wanted, limit in CASES]
        sys.exit(test_stall.run(os.path.join(test_stall.BUILD, "tests/store/test_h5_stall"), cases))
