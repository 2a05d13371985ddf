"""What the whole-program tests share: simulated data, a start of the program that cannot get lost, results as TAP."""
import concurrent.futures
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"))
SHARED = os.path.join(ROOT, os.environ.get("CANIDS_SHARED", "../shared"))
PROGRAM = os.path.join(BUILD, "canids")
SETTINGS = """data: {root: %(root)s, set: sim}
run: {dir: %(root)s/run}
sim: {seed: 3, vehicles: 2, seconds: %(seconds)s, ids_min: 20, ids_max: 30}
model: {id_dim: 8, heads: 2, channels: 8, layers: 1, head_layers: 2, head_dim: 16}
train: {epochs: 2, batch: 32, shard_rows: 128}
eval: {draws: 20}
"""
# What a run leaves and what must not depend on how it was run.  run.json has times, resolved.yaml the run's own folder.
PREPARED = ["store.h5", "plan.json", "vocabulary.json", "data_report.json", "data_report.html", "rejected.csv"]
TRAINED = ["last.h5", "best.h5", "metrics.jsonl"]
JUDGED = ["results.json", "results.csv", "scores.h5"]


def runner():
    """tests/run.py, whose environment for mpirun holds here too."""
    spec = importlib.util.spec_from_file_location("runner", os.path.join(ROOT, "tests", "run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# mpirun gives ranks of a job that was aborted a second before it kills them, and there are hundreds of such jobs here.
MPI_ENV = dict(runner().MPI_ENV, OMPI_MCA_odls_base_sigkill_timeout="0")
failures = 0


def told(good, name, why=""):
    """One result; why is said when it is bad."""
    global failures
    failures += not good
    print(("ok - " if good else "not ok - ") + name + ("" if good else ": " + " | ".join(str(why).strip().split("\n"))[-1500:]), flush=True)
    return good


def skipped(name, why):
    print("skip - %s: %s" % (name, why), flush=True)


class Started:
    """The program, on `ranks` ranks under mpirun or without it (0), whose processes are found again by a mark in their environment."""

    def __init__(self, *arguments, ranks=0, settings=None, env=None, cwd=None, wrap=()):
        self.mark = "CANIDS_TEST_MARK=" + uuid.uuid4().hex
        self.command = list(wrap) + (["mpirun", "-n", str(ranks)] if ranks else []) + [PROGRAM] + [str(a) for a in arguments]
        for key, value in (settings or {}).items():
            self.command += ["--set", "%s=%s" % (key, value)]
        environment = dict(os.environ, **MPI_ENV)
        if not wrap: # two Open MPI jobs that begin at once trip over one folder for their sessions
            environment["OMPI_MCA_orte_tmpdir_base"] = tempfile.mkdtemp(prefix="s")
        environment.update(env or {})
        environment.update([self.mark.split("=")])
        self.began = time.monotonic()
        self.file = tempfile.TemporaryFile()
        self.child = subprocess.Popen(self.command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=self.file,
                                      stderr=subprocess.STDOUT)

    def live(self, program_only=False):
        """Processes of this start, {pid: program}; with program_only the ranks alone."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/environ" % entry, "rb") as f:
                    if self.mark.encode() not in f.read().split(b"\0"):
                        continue
                with open("/proc/%s/stat" % entry, encoding="utf-8", errors="replace") as f:
                    if f.read().rpartition(")")[2].split()[0] == "Z":
                        continue
                if program_only and os.path.realpath(os.readlink("/proc/%s/exe" % entry)) != os.path.realpath(PROGRAM):
                    continue
            except OSError:
                continue
            found.append(int(entry))
        return sorted(found)

    def end(self, timeout=60):
        """Wait, collect.  A hang has the code "hang"; what is left running is counted and ended."""
        try:
            self.code = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.code = "hang"
        self.seconds = time.monotonic() - self.began
        patience = time.monotonic() + (0.0 if self.code == "hang" else 1.0)
        left = self.live()
        while left and time.monotonic() < patience:
            time.sleep(0.05)
            left = self.live()
        self.left = [] if self.code == "hang" else left
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()
        self.file.seek(0)
        self.out = self.file.read().decode("utf-8", "replace")
        self.file.close()
        return self

    def said(self, words, timeout=30):
        """Wait until the output has these words; False when the program ended before."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ended = self.child.poll() is not None
            if words.encode() in os.pread(self.file.fileno(), 1 << 22, 0):
                return True
            if ended:
                return False
            time.sleep(0.002)
        return False

    def __str__(self):
        said = [x for x in self.out.split("\n") if " ERROR " in x or " WARN " in x] or self.out.split("\n")[-4:]
        return "code %s after %.1f s, %d left running: %s" % (self.code, self.seconds, len(self.left), "\n".join(said)[:800])


def run(*arguments, timeout=60, **how):
    return Started(*arguments, **how).end(timeout)


def parallel(work, items, workers=4):
    """work(item) for each, in order of items.  Jobs that are stopped or fail mostly wait, for mpirun to see it: several share the cores."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def sha(path):
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()
    except OSError:
        return "missing"


def hashes(folder, names):
    return {name: sha(os.path.join(folder, name)) for name in names}


def differ(a, b):
    return ", ".join(sorted(n for n in set(a) | set(b) if a.get(n) != b.get(n)))


def inspect(path):
    """What `canids inspect --json` says, or None."""
    done = subprocess.run([PROGRAM, "inspect", "--json", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else None


def unfinished(folder):
    """Half-written files.  A record .NAME.next is whole, and the committed one until the next commit of that name."""
    return [os.path.join(where, n) for where, _, names in os.walk(folder) for n in names if n.endswith(".tmp")]


class Place:
    """A folder with simulated captures and the settings file that names it; gone when the test ends."""

    def __init__(self, seconds=2, text=SETTINGS, simulate=True, within=None):
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="canids_run_", dir=within))
        self.conf = self.write("conf.yaml", text % {"root": self.root, "seconds": seconds})
        if simulate:
            done = run("sim", self.conf, settings={"run.dir": self.path("sim_run")})
            if done.code != 0:
                raise SystemExit("not ok - simulated data could be made: %s" % done)

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)


def main(test):
    """Run test(), which says its results by told()."""
    if not os.path.exists(PROGRAM):
        told(False, "program__is_built", PROGRAM + " is missing, run make")
    else:
        test()
    sys.exit(1 if failures else 0)
