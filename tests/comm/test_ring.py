#!/usr/bin/python3
"""Sums over devices whose peers do not come: the others say their rank and the site, and the job ends with 75; what cannot start ends with 78.
The program is tests/comm/test_ring started with arguments, on the emulated backend of CANIDS_BACKEND; three ranks, a deadline of 1 s."""
import os
import sys
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_stall as stall  # pylint: disable=wrong-import-position

BUILD = os.environ.get("CANIDS_BUILD", "build")
PROGRAM = os.path.join(BUILD, "tests/comm/test_ring")
BACKEND = os.environ.get("CANIDS_BACKEND") or os.path.abspath(os.path.join(BUILD, "tests/emu/libcanids_cuda.so"))

# name, arguments, exit code, what the output has to have, seconds, devices, CANIDS_EMU_FAULT
CASES = [
    ("ring__of_three_ranks_ends_well", "plain 0", 0, [r"^sum 108$"], 10, 3, ""),
    ("ring__whose_peer_does_not_come_ends_with_rank_and_site", "gone 1", 75, [r"test\.step: rank [02] of 3 has waited 1 s"], 10, 3, ""),
    ("ring__whose_peer_does_not_come_to_a_graph_ends_and_lets_go_of_the_device", "graph 1", 75,
     [r"test\.step: rank [02] of 3 has waited 1 s", r"the device is given back"], 10, 3, ""),
    ("ring__whose_network_fails_ends_with_rank_and_site", "plain 0", 75, [r"test\.step: rank \d of 3 has waited 1 s for its peers"], 10, 3, "nccl:2@1"),
    ("ring__whose_peer_is_killed_ends", "dead 2", 137, [r"signal 9"], 10, 3, ""),
    ("ring__without_a_device_for_each_does_not_start", "plain 0", 78, [r"3 ranks and 2 devices: ranks 0 and 2 would share 0000:10:00\.0: 2 ranks fit"], 10, 2, ""),
    ("ring__with_an_older_driver_does_not_start", "plain 0", 78, [r"older than the toolkit: it knows CUDA 11\.4"], 10, 3, "driver"),
]


def play(case):
    return stall.play(case[:5], PROGRAM, more=dict(CANIDS_BACKEND=BACKEND, CANIDS_EMU_DEVICES=str(case[5]), CANIDS_EMU_FAULT=case[6],
                                                  OMPI_MCA_odls_base_sigkill_timeout="0"))


def main():
    if not os.path.exists(BACKEND):
        print("skip - ring: there is no emulated backend")
        return 0
    failed = 0
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(play, CASES))
    for name, took, why, text in done:
        print(("ok - %s (%.1f s)" % (name, took)) if not why else "not ok - %s: %s\n%s" % (name, "; ".join(why), text))
        failed += bool(why)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
