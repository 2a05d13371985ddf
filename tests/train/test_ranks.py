#!/usr/bin/python3
"""Every kind of training has the weights of one rank on 2, 3 and 5 ranks, stopped and taken up again; on 5 some have no shard.
TIMEOUT: 300"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "run"))
import common

PROGRAM = os.path.join(common.BUILD, "tests", "train", "test_kinds")


def weights(ranks):
    """\\return {kind: SHA-256}, what was said"""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(prefix="s") as session:
        env = dict(os.environ, **common.MPI_ENV, TMPDIR=folder, OMPI_MCA_orte_tmpdir_base=session, CANIDS_TEST_ONCE="1")
        done = subprocess.run(["mpirun", "-n", str(ranks), PROGRAM], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120)
    text = done.stdout.decode(errors="replace")
    return dict(re.findall(r"^weights (\w+) ([0-9a-f]{64})$", text, re.M)) if done.returncode == 0 else {}, text


def main():
    one, said = weights(1)
    common.told(len(one) > 10, "ranks__one_trains_each_kind", said)
    for ranks in (2, 3, 5):
        some, said = weights(ranks)
        other = [k for k in one if some.get(k) != one[k]]
        common.told(one and not other, "ranks__%d_have_the_weights_of_one" % ranks, "%s differ: %s" % (other, said))
    return common.failures != 0


if __name__ == "__main__":
    sys.exit(main())
