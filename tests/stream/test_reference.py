#!/usr/bin/python3
"""Frames worked out on paper against reference.py, which every column of `agnostic` is compared with in test_columns.py."""
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "run"))
import reference  # noqa: E402
from common import main, told  # noqa: E402


# ---- on paper

A, B, C = 0x10, 0x20, 0x30
TICK = 1 << 20                      # log2 of it is 20, in the middle of its bin 20.0625


def paper_frames():
    """A every 2^20 ns, its only bit flipping each time, B right between; then 12 frames out of order."""
    rows = []
    for k in range(40):
        rows += [(k * TICK, A, bytes([k % 2]), 0), (k * TICK + TICK // 2, B, b"\xff\x00", 0)]
    t = 39 * TICK + (1 << 23)       # A's last frame was at 39 ticks, with payload 01
    rows += [(t, A, b"\x01", 0), (t + TICK // 4, A, b"\xe0", 1), (t + TICK // 2, C, b"", 1), (t + 3 * TICK // 4, B, b"\xff\x00\x04", 0)]
    t += TICK                       # 3 of these 4 are odd; of the next ones the first is, whose bits flip back
    rows += [(t, A, b"\x01", 0), (t + TICK, A, b"\x00", 0), (t + 2 * TICK, A, b"\x01", 0), (t + (1 << 23), B, b"\xff\x00", 0)]
    t += (1 << 23) + TICK // 2
    return rows + [(t, A, b"\x00", 0), (t + TICK, B, b"\xff\x00", 0), (t + 2 * TICK, B, b"\xff\x00", 0), (t + (1 << 25), B, b"\xff\x00", 0)]


def named(graph, past):
    """{name: value} of the window, and of each node and edge"""
    node, edge, window = reference.columns(past)
    return dict(zip(window, graph.w)), [dict(zip(node, x)) for x in graph.x], [dict(zip(edge, e)) for e in graph.e]


def on_paper(name, got, **wanted):
    wrong = {k: (got[k], v) for k, v in wanted.items() if abs(got[k] - v) > 1e-9}
    told(not wrong, "paper__" + name, wrong)


def paper():
    warm, reference.WARM = reference.WARM, 80
    run_, guard = ([g for g in reference.graphs(paper_frames(), past, 4, 4) if g.row >= 80] for past in ("run", "guard"))
    reference.WARM = warm
    w, x, e = named(run_[0], "run")
    told(run_[0].warm == 1 and run_[0].attack == 1 and run_[0].edge_attack == [1, 1, 0] and run_[0].ids == [A, B, C]
         and run_[0].src == [0, 0, 2] and run_[0].dst == [0, 2, 1], "paper__nodes_edges_and_labels", run_[0])
    # N = 80, n_A = n_B = 40, n_C = 0, H = 1 bit; A and B: 39 intervals of 2^20 ns, 39 pairs; gaps: 79 of 2^19 ns.
    # Frames: A 2^23 behind its last with the same payload; A 2^18 later, bit 0 and three bits that never flipped; C, new; B, longer.
    on_paper("first_edge", e[0], frequency=1 / 4, bidir=1, gap=18 - 19.0625, newid=0, idsurp=math.log2(81 / 40.5) - 1, early=2.0625, late=0,
             early2=1, earlyq=1.9375, lateq=0, flipx=0.29473364761541276, const=3 / 64, range=1 / 8, dlc=0, ham=4 / 64, alt=0, enov=1,
             esurp=6.357552004618084)
    on_paper("edge_to_a_new_identifier", e[1], newid=1, idsurp=6.339850002884624, early=0, earlyq=0, flipx=0, const=0, range=0, dlc=0, ham=0,
             enov=1, esurp=6.357552004618084)
    on_paper("edge_from_a_new_identifier", e[2], gap=18 - 19.0625, dlc=1, range=1 / 8, ham=1 / 64, const=1 / 64, enov=0, esurp=0, bidir=0)
    # Shares: e_A = e_B = 4*40/80; times: e = 3*2^18 / 2^20.0625.
    time = .75 * 2 ** -.0625
    on_paper("node", x[0], share=1 / 2, late_max=2.9375, late_share=2.9375 / 4, lateq_max=2.8125, early_share=2.0625 / 4, enov_share=1 / 4,
             flipx_max=0.29473364761541276, flipx_share=(0.04052814132541794 + 0.29473364761541276) / 4, expected=math.log2(1 + time),
             share_z=0, time_z=(2 - time) / math.sqrt(time + 1), known=1)
    on_paper("new_node", x[2], share=1 / 4, newid_share=1 / 4, newid_max=1, expected=0, share_z=1, time_z=1, known=0)
    # 20 windows are known, each A B A B: distinct and top_share 1/2, edges 2/3, one step of 3*2^19 ns, log2 of it 20.585, bin 20.59375.
    on_paper("window", w, newid_mean=1 / 4, newid_top=1 / 4, newid_max=1, enov_mean=1 / 2, enov_top=1 / 4, kl=2.236965594166206, share_z_max=1,
             share_z_min=-1 / math.sqrt(3), excess=(2 - time - 1) / 4, deficit=0, overdue=0, duration_change=math.log2(3 << 18) - 20.59375,
             known=3 / 4, odd=3 / 4, distinct_z=(3 / 4 - 1 / 2) / .02, top_share_z=0, edges_z=(1 - round(65536 * 2 / 3) / 65536) / .02,
             duration_z=(math.log2((3 << 18) / 1e9) - round(65536 * math.log2((3 << 19) / 1e9)) / 65536) / .07)
    # run has learned all 4, guard A's first frame alone: its interval and gap, but a step with 3 odd frames adds no gaps, no window.
    w, x, e = named(run_[1], "run")
    # A: 42 frames, 41 intervals; C: 1; B, A and C together 84.  T = 2^23.
    time = 2 ** (23 - 20.0625)
    on_paper("learned_by_run", x[0], share=3 / 4, share_z=(3 - 4 * 42 / 84) / math.sqrt(3), expected=math.log2(1 + time))
    on_paper("deficit", w, deficit=(time - 3 - 1 + time - 1 - 1) / 4, newid_max=0, odd=0, distinct_z=(1 / 2 - (20 * .5 + .75) / 21) /
             (math.sqrt((20 * .25 + .5625) / 21 - ((20 * .5 + .75) / 21) ** 2) + .02))
    w, x, e = named(guard[1], "guard")
    on_paper("not_learned_by_guard", x[0], share_z=(3 - 4 * 41 / 81) / math.sqrt(4 * 41 / 81 + 1), known=1, idsurp_max=math.log2(82 / 41.5) -
             -(41 / 81 * math.log2(41 / 81) + 40 / 81 * math.log2(40 / 81)))
    on_paper("nor_its_windows", w, distinct_z=0, deficit=(time - 3 - 1 + time - 1 - 1) / 4)
    on_paper("judged_by_guard", w, odd=1 / 4, const_max=3 / 64, earlyq_max=19.9375 - math.log2(3 << 18))
    # Of the last step guard learned 3 frames, but one interval of A alone (41, one of them 2^23: q99 is 23.0625) and none of B (39):
    # those from odd frames are not.  At the end A's last frame is 2^25 ns ago, B's none.
    w, x, e = named(guard[2], "guard")
    on_paper("overdue", w, overdue=1 / 2, deficit=5, odd=0)
    on_paper("counted_by_guard", x[0], share_z=(1 - 4 * 43 / 84) / math.sqrt(4 * 43 / 84 + 1))
    rows = [(t, A, p, 0) for t, p in zip((0, 500, 2500, 4500, 8500), (b"", b"\x03", b"", b"\x01", b"\x01"))] + [(8000, B, b"\x00", 0)]
    g = next(reference.graphs(rows, "none", 6, 6))
    w, x, e = named(g, "none")
    # Intervals of A 500, 2000, 2000, 4000: mean 2125, spread sqrt(1546875); 500 counts as 512 in logarithms.  Gaps: those and -500.
    on_paper("interval_cv", x[0], share=5 / 6, rank=0, interval_cv=0.5852867277097765, interval_least=-1.965784284662087, ham=(2 + 2 + 1) / 4 / 64,
             zero=2 / 5, length_changes=3 / 5, runs=4 / 5, alternations=1 / 5)
    on_paper("by_itself", w, distinct=1 / 3, top_ratio=math.log2(6 / 2), longest_run=5 / 6, self_loops=4 / 5, singletons=1 / 2, edges=2 / 5, reverse=1 / 2,
             zero=1 / 2, byte_entropy=1.5 / 8, cv_max=0.5852867277097765, fast=1 / 6, burst=4 / 5, gap_50_10=math.log2(2000 / 512),
             gap_90_50=0, duration=math.log2(8000 / 1e9), lowest_share=5 / 6, top_rank=0, alternations_max=1 / 6)
    on_paper("edge_alone", e[4], gap=9 - math.log2(2000), ham=0, length_change=0, frequency=1 / 6, bidir=0)


def test():
    paper()


if __name__ == "__main__":
    main(test)
