#!/usr/bin/python3
# TIMEOUT: 400
"""The Makefile: what it refuses and in which words, what it installs, what it ships."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def make(*args, env=None, cwd=ROOT, limit=300):
    e = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    e.update(env or {})
    p = subprocess.run(["make", "--no-print-directory", *args], cwd=cwd, env=e, capture_output=True, text=True, timeout=limit,
                       stdin=subprocess.DEVNULL, check=False)
    return p.returncode, p.stdout + p.stderr


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def pc(name, include=""):
    return "Name: %s\nDescription: for a test\nVersion: 1\nCflags: %s\nLibs:\n" % (name, include)


def tools_only(tmp):
    """A PATH with what the Makefile calls, and no h5pcc or mpicc."""
    path = os.path.join(tmp, "bin")
    os.makedirs(path)
    for tool in ("sh cat mkdir mktemp cksum printf cmp git grep tr sed rm cc gcc as ld pkg-config head test echo dirname make true").split():
        full = shutil.which(tool)
        if full:
            os.symlink(full, os.path.join(path, tool))
    return path


def serial_hdf5(tmp):
    """pkg-config that knows the real MPI, and under the parallel name an HDF5 without MPI."""
    write(tmp + "/inc/H5pubconf.h", "/* no parallel */\n#define H5_VERSION \"1.10.8\"\n")
    write(tmp + "/pc/hdf5-openmpi.pc", pc("hdf5-openmpi", "-I" + tmp + "/inc"))
    rc, out = make("BUILD=" + tmp + "/b", "lib", env={"PKG_CONFIG_PATH": tmp + "/pc"})
    return rc != 0 and "is a serial one" in out and "libhdf5-openmpi-dev" in out and "hdf5+mpi" in out, out


def missing_library(tmp):
    """pkg-config that knows nothing, a compiler that finds nothing of ours."""
    os.makedirs(tmp + "/none")
    write(tmp + "/cc", "#!/bin/sh\ncase \"$*\" in *-E*) exit 1 ;; esac\nexec gcc \"$@\"\n", 0o755)
    rc, out = make("BUILD=" + tmp + "/b", "CC=" + tmp + "/cc", "lib",
                   env={"PATH": tools_only(tmp), "PKG_CONFIG_LIBDIR": tmp + "/none", "PKG_CONFIG_PATH": ""})
    words = ["MPI was not found: install Debian libopenmpi-dev", "parallel HDF5 was not found", "Debian libyaml-dev, Fedora libyaml-devel, Spack libyaml",
             "Debian libjansson-dev", "Debian libxxhash-dev", "Debian libssl-dev", "Debian librandom123-dev", "Debian zlib1g-dev", "Debian liblzma-dev", "Debian libzstd-dev"]
    return rc != 0 and all(w in out for w in words), out


def info_without_libraries(tmp):
    os.makedirs(tmp + "/none")
    rc, out = make("info", env={"PATH": tools_only(tmp), "PKG_CONFIG_LIBDIR": tmp + "/none", "PKG_CONFIG_PATH": ""})
    return rc == 0 and "MPI was not found" in out, out


def cuda_is_not_there(tmp):
    """CUDA=1 where there is no nvcc is an error, CUDA=auto says what is missing and goes on; NCCL likewise."""
    odd, said = make("BUILD=" + tmp + "/b", "CUDA=yes", "lib")
    if odd == 0 or "not 'yes'" not in said:
        return False, said
    rc, out = make("BUILD=" + tmp + "/b", "CUDA=1", "NVCC=" + tmp + "/none", tmp + "/b/found.mk")
    if rc == 0 or "CUDA=1, but nvcc was not found: install the CUDA toolkit" not in out:
        return False, out
    rc, out = make("BUILD=" + tmp + "/b", "NVCC=" + tmp + "/none", tmp + "/b/found.mk", "info")
    if rc != 0 or "none: nvcc was not found" not in out:
        return False, out
    write(tmp + "/nvcc", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'release 11.8, V11.8.89' && exit 0\necho 'no such standard' >&2; exit 1\n", 0o755)
    rc, out = make("BUILD=" + tmp + "/b", "NVCC=" + tmp + "/nvcc", "info")
    return rc == 0 and "nvcc (11.8.89) compiles nothing, 12.0 or later is needed" in out and "no such standard" in out, out


def nccl_is_not_there(tmp):
    """A toolkit without NCCL, with one that is too old, and with a header alone, by an nvcc that hides the machine's."""
    write(tmp + "/nvcc", """#!/bin/sh
case "$*" in
*--version*) echo 'release 12.4, V12.4.131' ;;
*--list-gpu-code*) printf 'sm_70\\nsm_80\\nsm_90\\n' ;;
*--list-gpu-arch*) printf 'compute_70\\ncompute_80\\ncompute_90\\n' ;;
*-E*) in=$(cat); case "$in" in *nccl.h*) case "$SAYS" in none) exit 1 ;; *) echo "version $SAYS" ;; esac ;; esac ;;
*) exit 1 ;;
esac
""", 0o755)
    for says, words in (("none", "nccl.h was not found"), ("21602 2 16 2", "NCCL 2.16.2 is older than 2.18"), ("21803 2 18 3", "a header here and no library")):
        rc, out = make("BUILD=" + tmp + "/b", "NVCC=" + tmp + "/nvcc", "info", env={"SAYS": says})
        if rc != 0 or words not in out or "12.4.131: sm_70 sm_80 sm_90 compute_90" not in out:
            return False, out
    rc, out = make("BUILD=" + tmp + "/b", "NVCC=" + tmp + "/nvcc", "NCCL=1", tmp + "/b/found.mk", env={"SAYS": "none"})
    return rc != 0 and "NCCL=1, but nccl.h was not found" in out, out


def version_of(program):
    with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as f:
        version = f.read().strip()
    if not os.path.exists(program):
        return False, program + " was not built"
    p = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    return p.returncode == 0 and version in p.stdout, p.stdout + p.stderr


def source_archive(tmp):
    """The archive of the commit, unpacked, built and installed; in an unpacked archive, that tree itself."""
    if os.path.isdir(os.path.join(ROOT, ".git")):
        rc, out = make("BUILD=" + tmp + "/b", "dist")
        if rc != 0:
            return False, out
        archive = os.path.join(ROOT, out.strip().split("\n")[-1])
        subprocess.run(["tar", "-xf", archive, "-C", tmp], check=True)
        tree = os.path.join(tmp, [d for d in os.listdir(tmp) if d.startswith("canids-")][0])
    else:
        tree = ROOT
    build = "BUILD=" + tmp + "/out"
    rc, out = make("-j2", "CFLAGS=-O0", "CUDA=0", build, "all", cwd=tree)
    if rc != 0:
        return False, out[-3000:]
    good, said = version_of(tmp + "/out/canids")
    if not good or os.path.exists(tmp + "/out/libcanids_cuda.so"):
        return False, said
    rc, out = make("CFLAGS=-O0", "CUDA=0", build, "DESTDIR=" + tmp + "/d", "PREFIX=/opt/canids", "install", cwd=tree)
    at = tmp + "/d/opt/canids"
    there = [p for p in ("bin/canids", "share/man/man1/canids.1", "share/canids/config/defaults.yaml", "share/canids/jobs/canids.sbatch",
                         "share/canids/LICENSE") if os.path.exists(at + "/" + p)]
    if rc != 0 or len(there) != 5:
        return False, out + "\ninstalled: %s" % there
    good, said = version_of(at + "/bin/canids")
    if not good:
        return False, said
    p = subprocess.run([at + "/bin/canids", "info"], capture_output=True, text=True, timeout=60, check=False, cwd="/")
    return at + "/share/canids/config" in p.stdout and "left out: CUDA=0" in p.stdout, p.stdout + p.stderr


def main():
    failed = 0
    for check, name in ((serial_hdf5, "refuses_a_serial_hdf5"), (missing_library, "names_the_package_of_what_is_missing"),
                        (info_without_libraries, "info_works_without_the_libraries"), (cuda_is_not_there, "names_what_a_backend_lacks"),
                        (nccl_is_not_there, "names_what_nccl_lacks"),
                        (source_archive, "archive_of_the_commit_builds_and_installs_below_destdir")):
        with tempfile.TemporaryDirectory() as tmp:
            good, said = check(tmp)
        print("%s - make__%s" % ("ok" if good else "not ok", name))
        if not good:
            print("".join("#   %s\n" % line for line in said.split("\n")))
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
