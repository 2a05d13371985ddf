#!/usr/bin/python3
"""Work that rank 0 has alone and that takes longer than the deadline: the others wait while it gives signs of life."""
from common import Place, main, run, told

DEADLINE = 2


def test():
    with Place(seconds=2) as place:
        there = {"run.dir": place.path("run"), "comm.deadline_s": 60, "train.epochs": 1}
        done = run("run", place.conf, ranks=2, settings=dict(there, pipeline="scan,build,train"))
        if not told(done.code == 0, "alone__has_something_to_judge", done):
            return
        done = run("eval", place.conf, ranks=2, settings=dict(there, **{"comm.deadline_s": DEADLINE, "eval.draws": 1000000}), timeout=300)
        told(done.code == 0 and done.seconds > 2 * DEADLINE, "alone__a_million_draws_pass_a_deadline_of_2_s_in_%.0f_s" % done.seconds, done)


main(test)
