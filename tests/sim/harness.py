"""What the tests of simulated sets share: the program, and results as TAP."""
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.join(os.environ.get("CANIDS_BUILD", "build"), "canids")
failed = 0


def fact(name, good, why=""):
    global failed
    print(("ok - " if good else "not ok - ") + name + ("" if good else ": %s" % (why,)))
    failed += not good


def canids(verb, root, data, ranks=0, **settings):
    """The verb on root/data; a setting's point is two underscores."""
    given = dict({"data__root": root, "data__set": data, "run__dir": os.path.join(root, "run_" + data)}, **settings)
    command = [PROGRAM, verb] + [x for k, v in given.items() for x in ("--set", "%s=%s" % (k.replace("__", "."), v))]
    return subprocess.run((["mpirun", "-n", str(ranks)] if ranks else []) + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)


def must(ran):
    if ran.returncode:
        raise SystemExit("not ok - sim__runs: %d %s" % (ran.returncode, ran.stdout[-2000:]))


def run(main):
    """main(folder), in a folder that is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="canids_sim_")
    try:
        main(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)
