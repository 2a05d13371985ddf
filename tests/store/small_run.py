"""A whole run in less than a second, for scripts that look at what it leaves: 797 graphs of SIMULATED traffic, one epoch."""
import os
import subprocess

BUILD = os.environ.get("CANIDS_BUILD", "build")
PROGRAM = os.path.join(BUILD, "canids")


def run(folder, ranks=0, name="run", pipeline="sim,scan,build,train,eval", more=(), sets=()):
    """Returns (run directory, completed process)."""
    out = os.path.join(folder, name)
    settings = ["pipeline=" + pipeline, "data.root=" + os.path.join(folder, "data"), "data.set=sim", "run.dir=" + out, "sim.seconds=3",
                "train.epochs=1", "train.threads=1", "eval.draws=50"] + list(sets)
    command = (["mpirun", "-n", str(ranks)] if ranks else []) + [PROGRAM, "run"] + list(more)
    for s in settings:
        command += ["--set", s]
    return out, subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)


class Report:
    """TAP lines and how many failed."""

    def __init__(self):
        self.failed = 0

    def __call__(self, good, name, why=""):
        print(("ok - " if good else "not ok - ") + name + ("" if good else ": %s" % (why,)), flush=True)
        self.failed += not good

    def code(self):
        return 1 if self.failed else 0
