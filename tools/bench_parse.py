#!/usr/bin/python3
"""Parsing beside its yardsticks in one run, on the same file from the page cache: wc -l and a typed scan by DuckDB, one thread each.
DuckDB comes from the interpreter that CANIDS_ORACLE_PYTHON names.  MB are 10^6 bytes of CSV a second of wall time; ours: of CPU time."""
import os
import re
import statistics
import subprocess
import sys
import time

BUILD = os.environ.get("CANIDS_BUILD", "build")
SHARED = os.environ.get("CANIDS_SHARED", "../shared")
CAPTURE = os.path.join(SHARED, "data/hcrl_sa/test_01_known_vehicle_known_attack/fuzzing-kia.csv")
ROUNDS = 7
DUCKDB = """
import sys, time, duckdb
db = duckdb.connect(config={"threads": 1})
query = ("select count(*), sum(timestamp), sum(attack), max(arbitration_id), max(length(data_field)) from read_csv('%s', header=true, "
         "columns={'timestamp': 'DOUBLE', 'arbitration_id': 'VARCHAR', 'data_field': 'VARCHAR', 'attack': 'TINYINT'})" % sys.argv[1])
db.execute(query).fetchall()
for line in sys.stdin:
    start = time.perf_counter()
    rows = db.execute(query).fetchall()[0]
    print(time.perf_counter() - start, rows[0], flush=True)
"""


def synthetic(path):
    """Without captures: the same shape, 250,000 rows."""
    with open(path, "w") as f:
        f.write("timestamp,arbitration_id,data_field,attack\n")
        for i in range(250000):
            f.write("%.6f,%03X,%016X,%d\n" % (1513920254 + i * 4e-4, i * 37 % 1900, i * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF, i % 7 == 0))


def ours(path):
    out = subprocess.run([os.path.join(BUILD, "tools/bench_parse"), path, "5"], check=True, capture_output=True, text=True).stdout
    return {name: float(mid) for name, mid in re.findall(r"^canids (\S+) +[0-9.]+ MB/s best, +([0-9.]+) median", out, re.M)}


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else CAPTURE
    if not os.path.exists(path):
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "bench_parse_%d.csv" % os.getpid())
        synthetic(path)
    mb = os.path.getsize(path) / 1e6
    python, duck = os.environ.get("CANIDS_ORACLE_PYTHON"), None
    if python and subprocess.run([python, "-c", "import duckdb"], capture_output=True).returncode == 0:
        duck = subprocess.Popen([python, "-c", DUCKDB, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    figures, rows = {}, 0
    for _ in range(ROUNDS):  # alternating, so that all share what else the machine does
        for name, value in ours(path).items():
            figures.setdefault("canids " + name, []).append(value)
        start = time.perf_counter()
        rows = int(subprocess.run(["wc", "-l", path], check=True, capture_output=True, text=True).stdout.split()[0])
        figures.setdefault("wc -l (whole process)", []).append(mb / (time.perf_counter() - start))
        if duck:
            duck.stdin.write("\n")
            duck.stdin.flush()
            figures.setdefault("DuckDB typed scan", []).append(mb / float(duck.stdout.readline().split()[0]))
    if duck:
        duck.stdin.close()
        duck.wait()
    print("parse: %s, %.1f MB, %d lines, %d rounds, one thread" % (os.path.basename(path), mb, rows, ROUNDS))
    for name, values in figures.items():
        print("  %-24s %8.0f MB/s best %8.0f median" % (name, max(values), statistics.median(values)))
    if not duck:
        print("  DuckDB                   absent: its yardstick is missing (CANIDS_ORACLE_PYTHON names no interpreter that has it); its goal is MISSED")
    name, best = max(((k, statistics.median(v)) for k, v in figures.items() if k.startswith("canids")), key=lambda kv: kv[1])
    print("  goal 2500 MB/s a core: %s, %.0f MB/s median of %s" % ("met" if best >= 2500 else "MISSED", best, name))
    if duck:
        ratio = best / statistics.median(figures["DuckDB typed scan"])
        print("  goal 8 times DuckDB's typed scan: %s, %.1f times" % ("met" if ratio >= 8 else "MISSED", ratio))
    if path != CAPTURE and len(sys.argv) < 2:
        os.remove(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
