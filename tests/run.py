#!/usr/bin/python3
"""Run the tests: tests/<folder>/test_<unit>.{c,py,sh}.

The first three lines of a test may say, in a comment,
    RANKS: 1 2 3 5    a C program runs under mpirun on each of these numbers of ranks
    TIMEOUT: 300      seconds until its processes are ended (default 120; under sanitizers 4 times that)
    SAN: yes | no     under sanitizers: C programs unless they say no, scripts only when they say yes
    SOAK: yes         only with --soak
    SOAK: too         also with --soak, which sets CANIDS_SOAK=1: every case of what is sampled else
A test prints `ok ...`, `not ok ...`, `skip - name: reason` lines; what exits non-zero, prints no line or leaves a process behind failed.
The last line is `N passed, N failed, N skipped`."""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Harness only: tests may run as root, with more ranks than cores, and on loopback.
MPI_ENV = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_tcp_if_include": "lo", "OMPI_MCA_oob_tcp_if_include": "lo",
}


class Case:
    """One start of one test."""

    def __init__(self, path, ranks, build, san):
        self.path, self.ranks, self.build, self.san = path, ranks, build, san
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        head = "\n".join(self.text.split("\n")[:3])
        found = re.search(r"TIMEOUT: *(\d+)", head)
        self.limit = int(found.group(1)) if found else 120
        if san:
            self.limit *= 4
        self.name = os.path.splitext(path[len("tests/"):])[0]
        if ranks:
            self.name += " -n %d" % ranks
        if san:
            self.name += " (san)"
        self.passed = self.failed = 0
        self.built, self.under = False, []
        self.skipped, self.why, self.out, self.err, self.seconds = [], [], "", "", 0.0

    def uses_mpi(self):
        return bool(self.ranks) or "CI_TEST_MPI" in self.text or "ci_comm_start" in self.text

    def alone(self):
        """What starts several processes has the machine for itself."""
        return bool(self.ranks and self.ranks > 1) or not self.path.endswith(".c")

    def target(self):
        return os.path.join(self.build, os.path.splitext(self.path)[0])

    def of_device(self):
        """Does it run kernels?  So it can on a real device, too."""
        return "cuda_test.h" in self.text

    def command(self):
        if self.path.endswith(".c"):
            return (["mpirun", "-n", str(self.ranks)] if self.ranks else []) + self.under + [self.target()]
        return [sys.executable if self.path.endswith(".py") else "bash", self.path]


def find(build, san, soak):
    cases = []
    for folder in sorted(os.listdir(os.path.join(ROOT, "tests"))):
        full = os.path.join(ROOT, "tests", folder)
        for name in sorted(os.listdir(full)) if os.path.isdir(full) else []:
            if not re.fullmatch(r"test_\w+\.(c|py|sh)", name):
                continue
            path = "tests/%s/%s" % (folder, name)
            with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
                head = "".join(f.readline() for _ in range(3))
            if ("SOAK: yes" in head) != soak and not (soak and "SOAK: too" in head):
                continue
            if san and ("SAN: no" in head if name.endswith(".c") else "SAN: yes" not in head):
                continue
            ranks = re.search(r"RANKS:((?: +\d+)+)", head)
            for n in [int(x) for x in ranks.group(1).split()] if ranks and name.endswith(".c") else [0]:
                cases.append(Case(path, n, build, san))
    return cases


def session_members(sid):
    """Live processes of a session that this runner started."""
    pids = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, encoding="utf-8", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == sid and fields[0] != "Z":
                pids.append(int(entry))
    return pids


def end_session(sid):
    for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        pids = session_members(sid)
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        end = time.monotonic() + patience
        while session_members(sid) and time.monotonic() < end:
            time.sleep(0.05)


def environment(case, tmp, shared):
    env = dict(os.environ, **MPI_ENV)
    env.update(CANIDS_BUILD=case.build, CANIDS_SHARED=shared, CMOCKA_MESSAGE_OUTPUT="TAP", TMPDIR=tmp, LC_ALL="C.UTF-8",
               PYTHONDONTWRITEBYTECODE="1")
    emulated = os.path.join(ROOT, case.build, "tests/emu/libcanids_cuda.so")
    # For those alone that ask for it: with one emulated device no other run of several ranks would find a device each.
    if os.path.exists(emulated) and re.search(r"cuda_test\.h|CANIDS_BACKEND", case.text):
        env.setdefault("CANIDS_BACKEND", emulated)
    if case.san:
        leaks = case.path.endswith(".c") and not case.uses_mpi()
        env["ASAN_OPTIONS"] = "detect_leaks=%d" % leaks
        env["LSAN_OPTIONS"] = "print_suppressions=0:suppressions=" + os.path.join(ROOT, "tests/lsan.supp")
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        env["CANIDS_SAN"] = "1"
    return env


def judge(case, code):
    plan = None
    for line in case.out.split("\n"):
        line = line.strip()
        # cmocka 1.1.5 prints a skipped test as "not ok 2 # SKIP name"
        if re.match(r"(not )?ok\b.*# *SKIP", line, re.I) or re.match(r"skip\b", line):
            case.skipped.append(re.sub(r"^((not )?ok +\d+ *(- *)?# *SKIP *|skip *-? *)", "", line, flags=re.I))
        elif re.match(r"ok\b", line):
            case.passed += 1
        elif re.match(r"not ok\b", line):
            case.failed += 1
            case.why.append(line)
        elif re.fullmatch(r"1\.\.\d+", line):
            plan = int(line[3:])
    seen = case.passed + case.failed + len(case.skipped)
    if code != 0 and not case.failed:
        case.why.append("exit code %d" % code)
        case.failed += 1
    elif plan is not None and seen < plan:
        case.why.append("%d results of %d announced" % (seen, plan))
        case.failed += 1
    elif not seen:
        case.why.append("no result line")
        case.failed += 1


def built(case):
    """Asked before the first test starts: a test may build something itself."""
    if not case.path.endswith(".c"):
        return True
    program = os.path.join(ROOT, case.target())
    needs = [os.path.join(ROOT, case.path), os.path.join(ROOT, case.build, "libcanids.a")]
    return os.path.exists(program) and all(os.path.getmtime(program) >= os.path.getmtime(n) for n in needs if os.path.exists(n))


def run(case, shared):
    if not case.built:
        case.failed, case.why = 1, ["was not built, or not since its source or the library changed"]
        return case
    tmp = tempfile.mkdtemp(prefix="ci-")
    began = time.monotonic()
    late = False
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(case.command(), cwd=ROOT, env=environment(case, tmp, shared), stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=err, start_new_session=True)
        try:
            child.wait(case.limit)
        except subprocess.TimeoutExpired:
            late = True
            end_session(child.pid)
            child.wait()
        case.seconds = time.monotonic() - began
        time.sleep(0.0 if not session_members(child.pid) else 0.5)
        left = session_members(child.pid)
        if left:
            end_session(child.pid)
        for stream, attribute in ((out, "out"), (err, "err")):
            stream.seek(0)
            setattr(case, attribute, stream.read().decode("utf-8", "replace"))
    shutil.rmtree(tmp, ignore_errors=True)
    judge(case, 0 if late else child.returncode)
    if late:
        case.why.append("stopped after %d s" % case.limit)
        case.failed += 1
    elif left:
        case.why.append("left %d processes running" % len(left))
        case.failed += 1
    return case


def tell(case):
    mark = "FAIL" if case.failed else "ok  " if case.passed else "skip"
    note = "".join("; skipped %s" % s for s in case.skipped)
    print("%s %-44s %3d passed %6.1f s%s" % (mark, case.name, case.passed, case.seconds, note), flush=True)
    if case.failed:
        print("     %s" % "; ".join(case.why))
        for title, text in (("stdout", case.out), ("stderr", case.err)):
            for line in text.rstrip().split("\n") if text.strip() else []:
                print("     %s| %s" % (title, line))
        sys.stdout.flush()


def make(build, san, cases, jobs):
    targets = sorted({c.target() for c in cases if c.san == san and c.path.endswith(".c")})
    programs = any(c.san == san and not c.path.endswith(".c") for c in cases)
    if targets or programs:
        subprocess.call(["make", "-k", "--no-print-directory", "-j%d" % jobs, "BUILD=" + build] +
                        (["all"] if programs else []) +
                        (["SAN=address,undefined"] if san else []) + targets, cwd=ROOT)


def main():
    p = argparse.ArgumentParser(description="run the tests of canids")
    p.add_argument("filter", nargs="*", help="a folder, or a part of <folder>/test_<unit>")
    p.add_argument("--build", default=os.environ.get("CANIDS_BUILD", "build"))
    p.add_argument("--san", action="store_true", help="run under sanitizers, in BUILD-san, instead of plain")
    p.add_argument("--both", action="store_true", help="plain, then under sanitizers")
    p.add_argument("--soak", action="store_true", help="the long tests instead of the usual ones")
    p.add_argument("--device", action="store_true", help="the tests of kernels on this machine's device, one at a time")
    p.add_argument("--under", default="", help="a program that C tests run under, with its options: compute-sanitizer --tool memcheck")
    p.add_argument("--no-build", action="store_true", help="run what is built")
    p.add_argument("-j", type=int, default=min(2, os.cpu_count() or 1), help="single-process tests at a time")
    p.add_argument("-l", "--list", action="store_true")
    a = p.parse_args()
    if a.soak:
        os.environ["CANIDS_SOAK"] = "1"
    a.build = os.path.relpath(os.path.abspath(a.build), ROOT)
    shared = os.path.abspath(os.environ.get("CANIDS_SHARED", os.path.join(ROOT, "..", "shared")))
    cases = []
    if not a.san:
        cases += find(a.build, False, a.soak)
    if a.san or a.both:
        cases += find(a.build + "-san", True, a.soak)
    cases = [c for c in cases if not a.filter or
             any(c.path.startswith("tests/%s/" % f.rstrip("/")) or f in c.path for f in a.filter)]
    if a.device:
        os.environ["CANIDS_BACKEND"] = os.path.join(ROOT, a.build, "libcanids_cuda.so")
        a.j, cases = 1, [c for c in cases if c.of_device()]
    for c in cases:
        c.under = a.under.split()
        c.limit *= 20 if c.under else 1
    if a.list:
        print("\n".join(c.name for c in cases))
        return 0
    if not a.no_build:
        for san in (False, True):
            make(a.build, san, cases, a.j)
    began = time.monotonic()
    for c in cases:
        c.built = built(c)
    for san in (False, True):
        batch = [c for c in cases if c.san == san]
        with concurrent.futures.ThreadPoolExecutor(a.j) as pool:
            for done in concurrent.futures.as_completed([pool.submit(run, c, shared) for c in batch if not c.alone()]):
                tell(done.result())
        for c in batch:
            if c.alone():
                tell(run(c, shared))
    print("\nslowest:")
    for c in sorted(cases, key=lambda c: -c.seconds)[:10]:
        print("  %7.1f s  %s" % (c.seconds, c.name))
    failed = [c for c in cases if c.failed]
    if failed:
        print("failed:")
    for c in failed:
        print("  %s: %s" % (c.name, "; ".join(c.why)))
    skips = [(c.name, s) for c in cases for s in c.skipped]
    totals = (sum(c.passed for c in cases), sum(c.failed for c in cases), len(skips))
    os.makedirs(os.path.join(ROOT, a.build), exist_ok=True)
    with open(os.path.join(ROOT, a.build, "tests.json"), "w", encoding="utf-8") as f:
        json.dump({"passed": totals[0], "failed": totals[1], "skipped": skips,
                   "cases": [{"name": c.name, "passed": c.passed, "failed": c.failed, "seconds": round(c.seconds, 2)} for c in cases]},
                  f, indent=1)
    print("%.0f s" % (time.monotonic() - began))
    print("%d passed, %d failed, %d skipped" % totals, flush=True)
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
