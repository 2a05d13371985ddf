#!/usr/bin/python3
# TIMEOUT: 300   SAN: yes
"""CANIDS_MUTANTS (20,000) random mutations of pieces of real captures: read by the program's loader, on every instruction set and in
blocks of any size, and by the second reader in second.py.  Never a crash, never another row, never another verdict on a line.

Without the captures the pieces are of simulated ones, which is said.  CANIDS_SEED repeats a run; a failure prints its seed."""
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "run"))
import second  # noqa: E402
from common import BUILD, PROGRAM, ROOT, SETTINGS, SHARED, told  # noqa: E402

N = int(os.environ.get("CANIDS_MUTANTS", "20000"))
SEED = int(os.environ.get("CANIDS_SEED", "20261121"))
BATCH = 2000
# What means something in a capture, beside what means nothing.
ALPHABET = b"0123456789abcdefABCDEF,,..\r\n\n\t -+xX\"#()\x00\xff\xef\xbb\xbf"
REAL = ("hcrl_sa/test_02_unknown_vehicle_known_attack/fuzzing-Spark.csv", "set_01/test_04_unknown_vehicle_unknown_attack/systematic-4.csv",
        "set_01/train_01_attack_free/accessory-1.csv", "fixtures/crlf/DoS-1.csv", "fixtures/edge/payload_empty.csv",
        "fixtures/edge/timestamp_steps_back.csv", "fixtures/edge/payload_trailing_tab.csv", "fixtures/reencoded/ctt.csv")


def compiled(folder):
    """read_mutants, by the compiler and with the libraries of the build."""
    program, libs = os.path.join(folder, "read_mutants"), []
    with open(os.path.join(BUILD, "found.mk"), encoding="utf-8") as f:
        for value in re.findall(r"^(?:hdf5|mpi|yaml|jansson|xxhash|crypto|z|lzma|zstd)\.lib := *(.*)$", f.read(), re.M):
            libs += value.split()
    san = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if BUILD.rstrip("/").endswith("-san") else []
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-I" + os.path.join(ROOT, "include"), *san,
                    os.path.join(HERE, "read", "read_mutants.c"), os.path.join(BUILD, "libcanids.a"), *libs, "-lm", "-pthread",
                    "-o", program], check=True)
    return program


def simulated(folder):
    conf = os.path.join(folder, "sim.yaml")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(SETTINGS % {"root": folder, "seconds": 3})
    subprocess.run([PROGRAM, "sim", conf], check=True, capture_output=True)
    found = []
    for at, _, names in os.walk(os.path.join(folder, "sim")):
        found += [os.path.join(at, n) for n in sorted(names) if n.endswith(".csv")]
    return sorted(found)[:6]


def pieces_of(draw, paths):
    """Header and some lines of every file, from a few places."""
    pieces = []
    for path in paths:
        with open(path, "rb") as f:
            data = f.read(4 << 20)
        lines = data.splitlines(keepends=True)
        for _ in range(20):
            first, n = draw.randrange(1, max(2, len(lines) - 30)), draw.randrange(4, 30)
            pieces.append(lines[0] + b"".join(lines[first:first + n]))
    return pieces


def mutated(draw, piece, others):
    """One to six changes behind the header."""
    start = piece.index(b"\n") + 1
    text = bytearray(piece)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        if len(text) <= start:
            break
        at, how = draw.randrange(start, len(text)), draw.randrange(10)
        end = text.find(b"\n", at) + 1 or len(text)
        if how == 0:
            text[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            text[at] = draw.choice(ALPHABET)
        elif how == 2:
            del text[at:at + draw.choice((1, 1, 1, 2, 5, 40))]
        elif how == 3:
            text[at:at] = bytes(draw.choice(ALPHABET) for _ in range(draw.choice((1, 1, 2, 9))))
        elif how == 4:  # two lines become one
            del text[end - 1:end]
        elif how == 5:  # cut off
            del text[at:]
        elif how == 6:  # a line twice
            begin = max(start, text.rfind(b"\n", 0, at) + 1)
            text[end:end] = text[begin:end]
        elif how == 7:  # another digit
            digits = [i for i in range(at, min(at + 30, len(text))) if chr(text[i]) in "0123456789abcdefABCDEF"]
            if digits:
                text[draw.choice(digits)] = draw.choice(b"0123456789ABCDEFabcdef")
        elif how == 8:  # a field grows
            text[at:at] = bytes([draw.choice(b"0F9")]) * draw.choice((1, 2, 8, 17, 60, 5000 if draw.random() < 0.02 else 3))
        else:  # a piece of another file
            other = draw.choice(others)
            begin = draw.randrange(len(other))
            text[at:at] = other[begin:begin + draw.randrange(1, 60)]
    return bytes(text)


def answers(raw):
    """What read_mutants said: rows and line numbers of each mutant."""
    at = 0
    while at < len(raw):
        n = struct.unpack_from("<I", raw, at)[0]
        rows = raw[at + 4:at + 4 + n * second.ROW.size]
        at += 4 + len(rows)
        n = struct.unpack_from("<I", raw, at)[0]
        yield rows, list(struct.unpack_from("<%dI" % n, raw, at + 4))
        at += 4 + 4 * n


def differing(mutant, got, want):
    for i in range(0, max(len(got[0]), len(want[0])), second.ROW.size):
        a, b = (x[0][i:i + second.ROW.size] for x in (got, want))
        if a != b:
            return "row %d: %s, the second reader has %s" % (i // second.ROW.size, *(second.ROW.unpack(x) if x else None for x in (a, b)))
    return "refused lines %s, the second reader refuses %s" % (got[1][:20], want[1][:20])


def batch(draw, program, pieces, dialect):
    """Mutants, and what is wrong with the first that is read differently, or None."""
    mutants = [mutated(draw, draw.choice(pieces), pieces) for _ in range(min(BATCH, N))]
    done = subprocess.run([program], input=b"".join(struct.pack("<I", len(m)) + m for m in mutants), capture_output=True)
    if done.returncode != 0:
        return len(mutants), "code %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[-1500:])
    got = list(answers(done.stdout))
    if len(got) != len(mutants):
        return len(mutants), "%d answers for %d mutants" % (len(got), len(mutants))
    for mutant, answer in zip(mutants, got):
        want = second.read(dialect, mutant)
        if answer != want:
            return len(mutants), "%s; mutant %r" % (differing(mutant, answer, want), mutant[:1500])
    return len(mutants), None


def main():
    draw = random.Random(SEED)
    real = [os.path.join(SHARED, "data", p) for p in REAL]
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder)
        there = [p for p in real if os.path.exists(p)]
        if not there:
            print("# no captures in CANIDS_SHARED: the pieces are of simulated ones")
        pieces = pieces_of(draw, there or simulated(folder))
        n, bad, began = 0, None, time.monotonic()
        while n < N and not bad:
            more, bad = batch(draw, program, pieces, "four-column")
            n += more
        print("# four-column: %d mutants in %.1f s" % (n, time.monotonic() - began))
        good = told(not bad, "mutants__are_read_as_by_a_second_reader", "CANIDS_SEED=%d: %s" % (SEED, bad))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
