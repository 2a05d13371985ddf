#!/usr/bin/python3
# TIMEOUT: 900
"""Every fuzz target for CANIDS_FUZZ_SECONDS (3) seconds, two at a time, under ASan and UBSan: no finding.

Seeds are tests/fuzz/corpus/<target>/ and, where the captures are here, the first bytes of real files for the targets that read text.
What libFuzzer finds on its way stays in a folder of this run; with CANIDS_FUZZ_KEEP=DIR it is put into DIR/<target> (tests/fuzz/grow.sh
makes the committed corpus of it)."""
import base64
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "run"))
from common import PROGRAM, ROOT, SHARED, skipped, told  # noqa: E402

PROGRAMS = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build") + "-fuzz", "tests", "fuzz")
SECONDS = int(os.environ.get("CANIDS_FUZZ_SECONDS", "3"))
KEEP = os.environ.get("CANIDS_FUZZ_KEEP")
SEED_BYTES = 3000
LIMITS = ["-timeout=20", "-rss_limit_mb=1024", "-malloc_limit_mb=600"]
# Targets that read what the fixtures are; the longest input that helps each target (libFuzzer's own guess is 4096).
REAL = {"rows": r"reencoded/ctt|edge/|crlf/", "four_column": r"reencoded/ctt|edge/|crlf/", "candump": r"candump(_L)?\.log",
        "candump_screen": r"candump_ta", "hcrl": r"hcrl_car_hacking", "hcrl_challenge": r"hcrl_challenge", "hcrl_text": r"hcrl_normal",
        "gvret": r"GVRET", "layout": r".", "table": r"."}
LONGEST = {"plan": 8000, "commit": 1000, "set": 1500, "vocab": 2000}


def fixtures():
    found = []
    for at, _, names in os.walk(os.path.join(SHARED, "data", "fixtures")):
        found += [os.path.join(at, n) for n in sorted(names)]
    return sorted(found)


def real_seeds(target, folder):
    """The head and a piece from the middle of every real file of the right kind.  Never committed."""
    n = 0
    for path in fixtures():
        if not re.search(REAL.get(target, "(?!)"), path):
            continue
        with open(path, "rb") as f:
            head = f.read(SEED_BYTES)
            f.seek(os.path.getsize(path) // 2)
            rest = f.read(SEED_BYTES)
        for piece in (head, head.split(b"\n")[0] + b"\n" + rest.partition(b"\n")[2]):
            with open(os.path.join(folder, "real_%d" % n), "wb") as f:
                f.write(piece)
            n += 1
    return n


def made_seeds(target, folder):
    """A plan of this program's own, cut down: its version changes too often for a committed one."""
    if target != "plan" or not os.access(PROGRAM, os.X_OK):
        return
    with tempfile.TemporaryDirectory() as place:
        conf = os.path.join(place, "sim.yaml")
        with open(conf, "w", encoding="utf-8") as f:
            f.write("data: {root: %s, set: s}\nrun: {dir: %s/run}\nsim: {vehicles: 2, seconds: 3, ids_min: 4, ids_max: 5}\n" % (place, place))
        for verb in ("sim", "scan"):
            subprocess.run([PROGRAM, verb, conf], capture_output=True)
        try:
            with open(os.path.join(place, "run", "plan.json"), encoding="utf-8") as f:
                plan = json.load(f)
        except OSError:
            return
    for name in ("vocabulary", "ids"):
        plan[name] = plan[name][:4]
    plan["captures"], plan["blocks"], plan["root"] = plan["captures"][:2], [b for b in plan["blocks"] if b["capture"] < 2], "s"
    with open(os.path.join(folder, "made"), "w", encoding="utf-8") as f:
        json.dump(plan, f)


def words(target):
    """What inputs of this target are made of: keys of the settings' table, names in the seeds."""
    found = set()
    if target in ("conf", "set"):
        with open(os.path.join(ROOT, "src/conf/table.c"), encoding="ascii") as f:
            for key in re.findall(r'^ *ROW\(\w+, *([a-z0-9_.]+),', f.read(), re.M):
                found |= {key} | set(key.split("."))
    else:
        for name in os.listdir(os.path.join(HERE, "corpus", target)):
            with open(os.path.join(HERE, "corpus", target, name), "rb") as f:
                found |= set(re.findall(r'"(\w{2,20})"', f.read().decode("latin-1"), re.A))
    return sorted(found)


def fuzz(target, place):
    """libFuzzer's exit code, what it said, what it found and the number of its executions."""
    there = os.path.join(place, target)
    grown = os.path.join(KEEP, target) if KEEP else os.path.join(there, "grown")
    for folder in (grown, os.path.join(there, "real"), os.path.join(there, "scratch"), os.path.join(there, "found")):
        os.makedirs(folder, exist_ok=True)
    real_seeds(target, os.path.join(there, "real"))
    made_seeds(target, os.path.join(there, "real"))
    env = dict(os.environ, CANIDS_FUZZ_SCRATCH=os.path.join(there, "scratch"), CANIDS_CONFIG=os.path.join(ROOT, "config"),
               ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1", UBSAN_OPTIONS="print_stacktrace=1",
               LSAN_OPTIONS="print_suppressions=0:suppressions=" + os.path.join(ROOT, "tests/lsan.supp"))
    command = [os.path.join(PROGRAMS, "fuzz_" + target), "-max_total_time=%d" % SECONDS, "-print_final_stats=1", "-reload=0",
               "-artifact_prefix=" + os.path.join(there, "found", ""), "-max_len=%d" % LONGEST.get(target, 4096)]
    if words(target):
        with open(os.path.join(there, "words"), "w", encoding="ascii") as f:
            f.writelines('"%s"\n' % w for w in words(target))
        command.append("-dict=" + os.path.join(there, "words"))
    child = subprocess.Popen(command + LIMITS + [grown, os.path.join(HERE, "corpus", target), os.path.join(there, "real")], env=env,
                             cwd=there, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        said = child.communicate(timeout=SECONDS + 120)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        said = child.communicate()[0].decode("utf-8", "replace") + "\nwas still running after %d s" % (SECONDS + 120)
    found = []
    for name in sorted(os.listdir(os.path.join(there, "found"))):
        with open(os.path.join(there, "found", name), "rb") as f:
            found.append("%s: %s" % (name, base64.b64encode(f.read(3000)).decode()))
    runs = re.search(r"stat::number_of_executed_units: (\d+)", said)
    return child.returncode, said, found, int(runs.group(1)) if runs else 0


def headline(said):
    """What was wrong, out of all that libFuzzer and the sanitizers say."""
    lines = re.findall(r"^(?:\S+\.[ch]:\d+: .*|.*runtime error: .*|==\d+== ?ERROR: .*|ALARM: .*)$", said, re.M)
    return " | ".join(lines[:3]) or said[-600:]


def scratch_home():
    """Commits flush to disk: in memory that costs nothing."""
    return tempfile.mkdtemp(prefix="canids_fuzz_", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def main():
    targets = sorted(n[5:-2] for n in os.listdir(HERE) if n.startswith("fuzz_") and n.endswith(".c"))
    only = os.environ.get("CANIDS_FUZZ_ONLY", "").split()
    targets = [t for t in targets if not only or t in only]
    able = subprocess.run(["sh", os.path.join(HERE, "able.sh"), os.environ.get("FUZZ_CC", "clang")], capture_output=True, text=True)
    if able.returncode != 0:
        for target in targets:
            skipped("fuzz_" + target, able.stdout.strip())
        return 0
    place, bad = scratch_home(), 0
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            built = [t for t in targets if told(os.access(os.path.join(PROGRAMS, "fuzz_" + t), os.X_OK), "fuzz_%s__is_built" % t,
                                                "make fuzz did not build it")]
            bad += len(targets) - len(built)
            for target, done in [(t, pool.submit(fuzz, t, place)) for t in built]:
                code, said, found, runs = done.result()
                good = told(code == 0 and not found and runs > 0, "fuzz_%s__runs_without_a_finding" % target,
                            "code %d | %s | %s" % (code, headline(said), " | ".join(found)))
                print("# fuzz_%s: %d inputs in %d s" % (target, runs, SECONDS))
                bad += not good
                if not good:
                    print(said[-6000:], file=sys.stderr)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
