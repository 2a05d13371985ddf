#!/usr/bin/python3
"""TIMEOUT: 240
make bundle: the folder is made, moved, and used where the machine's MPI, HDF5 and the other libraries are hidden (a mount namespace)."""
import os
import subprocess
import sys
import tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from common import BUILD, MPI_ENV, PROGRAM, ROOT, SETTINGS, skipped, told  # pylint: disable=wrong-import-position
import common  # pylint: disable=wrong-import-position

BACKEND = os.path.join(BUILD, "libcanids_cuda.so")
HIDE = """#!/bin/sh
# On a name of their own: a library that is empty cannot be loaded, a program that is empty not be started.
while read -r kind path; do
    if [ "$kind" = d ]; then mount -t tmpfs none "$path"; else mount --bind "$EMPTY" "$path"; fi || exit 99
done < "$LIST"
exec "$@"
"""


def run(*command, **env):
    environment = {k: v for k, v in dict(os.environ, **MPI_ENV).items() if k not in ("LD_LIBRARY_PATH", "CANIDS_BACKEND")}
    environment.update(env)
    p = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL, check=False, env=environment, cwd="/")
    return p.returncode, p.stdout + p.stderr


def libraries(*programs):
    """Libraries by name: where the machine has them."""
    words = [line.split() for line in run("ldd", *programs)[1].split("\n")]
    return {w[0]: os.path.realpath(w[2]) for w in words if len(w) > 2 and w[1] == "=>" and w[2].startswith("/")}


def to_hide(bundle):
    """What the bundle has is taken from the machine, but for what a shell needs; and Open MPI as a whole."""
    info = dict(line.split(":", 2)[1:] for line in run("ompi_info", "--parsable", "--path", "all")[1].strip().split("\n"))
    folders = {os.path.realpath(info[k]) for k in ("pkglibdir", "pkgdatadir", "sysconfdir")}
    plugins = [os.path.join(info["pkglibdir"], n) for n in os.listdir(info["pkglibdir"]) if n.startswith("mca_pmix_") and n.endswith(".so")]
    mine = libraries(PROGRAM, info["bindir"] + "/orterun", *plugins)
    keep = set(libraries("/bin/sh", "/bin/mount", "/bin/readlink").values())
    files = {mine[n] for n in os.listdir(bundle + "/lib") if n in mine} - keep
    files |= {os.path.realpath(os.path.join(info["bindir"], n)) for n in ("orterun", "orted", "mpirun")}
    return sorted("d " + f for f in folders) + sorted("f " + f for f in files if not any(f.startswith(d + "/") for d in folders))


def main():
    if not os.path.exists(PROGRAM):
        return 0 if told(False, "bundle", PROGRAM + " was not built") else 1
    with tempfile.TemporaryDirectory() as tmp:
        made = tmp + "/made"
        rc, out = run("sh", ROOT + "/tools/bundle.sh", PROGRAM, BACKEND if os.path.exists(BACKEND) else "-", made)
        if "the only MPI that make bundle knows" in out or "make bundle needs" in out:
            skipped("bundle", out.strip())
            return 0
        if not told(rc == 0, "bundle__is_made", out):
            return 1
        bundle = tmp + "/another place"
        os.rename(made, bundle)
        told(os.path.exists(bundle + "/lib/canids/libcanids_cuda.so") == os.path.exists(BACKEND), "bundle__has_the_backend_that_was_built")
        told(not any(n.startswith(("libnccl", "libcu", "libc.so", "libm.so")) and n != "libcurl.so.4" for n in os.listdir(bundle + "/lib")),
             "bundle__has_neither_glibc_nor_the_libraries_of_cuda", os.listdir(bundle + "/lib"))
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            skipped("bundle__runs_where_no_mpi_is", "no mount namespace can be had here")
            return 1 if common.failures else 0
        for name, text in (("hide", HIDE), ("list", "\n".join(to_hide(bundle)) + "\n"), ("empty", ""),
                           ("sim.yaml", SETTINGS % {"root": tmp + "/data", "seconds": 20})):
            with open(tmp + "/" + name, "w", encoding="utf-8") as f:
                f.write(text)

        def hidden(*command):
            return run("unshare", "-m", "sh", tmp + "/hide", *command, EMPTY=tmp + "/empty", LIST=tmp + "/list", TMPDIR=tmp)

        rc, out = hidden(PROGRAM, "--version")
        told(rc == 127 and "shared libraries" in out, "bundle__is_tested_where_the_machine_has_no_mpi", out)
        rc, out = hidden(bundle + "/bin/canids", "--version")
        told(rc == 0 and out.startswith("canids "), "bundle__tells_its_version", out)
        mpirun = [bundle + "/bin/mpirun", "-n", "2", bundle + "/bin/canids"]
        rc, out = hidden(*mpirun, "sim", tmp + "/sim.yaml")
        told(rc == 0, "bundle__simulates_on_two_ranks", out)
        rc, out = hidden(*mpirun, "run", tmp + "/sim.yaml")
        told(rc == 0 and "r0/2" in out and os.path.exists(tmp + "/data/run"), "bundle__runs_the_pipeline_on_two_ranks", out)
        rc, out = hidden(bundle + "/bin/canids", "scan", tmp + "/sim.yaml", "--set", "run.dir=" + tmp + "/alone")
        told(rc == 0, "bundle__runs_without_mpirun", out)
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
