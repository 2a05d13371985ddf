#!/usr/bin/python3
# TIMEOUT: 300   SAN: yes
"""CANIDS_MUTANTS (20,000) random mutations of pieces of real captures, and a fifth of that of every other dialect: read by the program's loader, on every instruction set and in
blocks of any size, and by the second reader in second.py.  Never a crash, never another row, never another verdict on a line.

Without the captures the pieces are of simulated ones, which is said.  CANIDS_SEED repeats a run; a failure prints its seed."""
import base64
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
REAL = {
    "four-column": ("hcrl_sa/test_02_unknown_vehicle_known_attack/fuzzing-Spark.csv",
                    "set_01/test_04_unknown_vehicle_unknown_attack/systematic-4.csv", "set_01/train_01_attack_free/accessory-1.csv",
                    "fixtures/crlf/DoS-1.csv", "fixtures/edge/payload_empty.csv", "fixtures/edge/timestamp_steps_back.csv",
                    "fixtures/edge/payload_trailing_tab.csv", "fixtures/reencoded/ctt.csv"),
    "hcrl": ("fixtures/reencoded/hcrl_car_hacking_style.csv",), "hcrl-challenge": ("fixtures/reencoded/hcrl_challenge_style.csv",),
    "hcrl-text": ("fixtures/reencoded/hcrl_normal_run_style.txt",), "gvret": ("fixtures/same_log_six_formats/GVRET_Log.csv",),
    "candump": ("fixtures/reencoded/candump_L.log", "fixtures/same_log_six_formats/candump.log"),
    "candump-screen": ("fixtures/reencoded/candump_ta_relative.log",), "python-can": (), "candump-labelled": (),
}


def written(dialect, capture):
    """Rows of a four-column capture as another tool writes them."""
    rows = [line.split(",") for line in capture.decode().split()[1:2001]]
    lines = []
    for t, ident, data, label in rows:
        raw = bytes.fromhex(data)
        wide = len(ident) > 3
        if dialect == "four-column":
            lines.append(",".join((t, ident, data, label)))
        elif dialect == "hcrl":
            lines.append(",".join((t, ident.zfill(4), str(len(raw)), *("%02x" % b for b in raw), "RT"[int(label)])))
        elif dialect == "hcrl-challenge":
            lines.append("%s,%s,%d,%s,%s" % (t, ident, len(raw), raw.hex(" ").upper(), ("Normal,Normal", "Attack,Flooding")[int(label)]))
        elif dialect == "hcrl-text":
            lines.append("Timestamp: %s        ID: %s    000    DLC: %d    %s" % (t, ident.zfill(4), len(raw), raw.hex(" ")))
        elif dialect == "python-can":
            lines.append("%s,0x%s,%d,0,0,%d,%s" % (t, ident, wide, len(raw), base64.b64encode(raw).decode()))
        elif dialect == "gvret":
            second, _, fraction = t.partition(".")
            lines.append(",".join((second + fraction.ljust(6, "0")[:6], ident.zfill(8), "true" if wide else "false", "0", str(len(raw)),
                                   *("%02X" % b for b in raw), "")))
        elif dialect == "candump-screen":
            lines.append(" (%s)  can0  %s   [%d]  %s" % (t, ident, len(raw), raw.hex(" ").upper()))
        else:
            lines.append("(%s) can0 %s#%s%s" % (t, ident, data, " " + label if dialect == "candump-labelled" else ""))
    header = {"four-column": "timestamp,arbitration_id,data_field,attack\n",
              "hcrl-challenge": "Timestamp,Arbitration_ID,DLC,Data,Class,SubClass\n",
              "python-can": "timestamp,arbitration_id,extended,remote,error,dlc,data\n",
              "gvret": "Time Stamp,ID,Extended,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"}.get(dialect, "")
    return (header + "\n".join(lines) + "\n").encode()


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


def captures_of(dialect, plain):
    """Real captures of the dialect, or the plain ones written in it."""
    paths = [os.path.join(SHARED, "data", p) for p in REAL[dialect]]
    found = []
    for path in [p for p in paths if os.path.exists(p)]:
        with open(path, "rb") as f:
            found.append(f.read(4 << 20))
    return found or [written(dialect, p) for p in plain]


def pieces_of(draw, captures):
    """First line and some more of every capture, from a few places."""
    pieces = []
    for data in captures:
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


def batch(draw, program, pieces, dialect, n):
    """n mutants, and what is wrong with the first that is read differently, or None."""
    mutants = [mutated(draw, draw.choice(pieces), pieces) for _ in range(n)]
    done = subprocess.run([program, program + ".base"], input=b"".join(struct.pack("<I", len(m)) + m for m in mutants), capture_output=True)
    if done.returncode != 0:
        return "code %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[-1500:])
    got = list(answers(done.stdout))
    if len(got) != len(mutants):
        return "%d answers for %d mutants" % (len(got), len(mutants))
    for mutant, answer in zip(mutants, got):
        want = second.read(dialect, mutant)
        if answer != want:
            return "%s; mutant %r" % (differing(mutant, answer, want), mutant[:900])
    return None


def check(draw, program, dialect, captures, n):
    """n mutants of one dialect.  What is wrong, or None."""
    pieces, left, began, bad = pieces_of(draw, captures), n, time.monotonic(), None
    with open(program + ".base", "wb") as f:
        f.write(captures[0])
    while left > 0 and not bad:
        bad = batch(draw, program, pieces, dialect, min(BATCH, left))
        left -= BATCH
    print("# %s: %d mutants in %.1f s" % (dialect, n - max(left, 0), time.monotonic() - began))
    return bad


def main():
    good = True
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder)
        plain = [os.path.join(SHARED, "data", p) for p in REAL["four-column"] if p.endswith("ctt.csv")]
        if not os.path.exists(plain[0]):
            print("# no captures in CANIDS_SHARED: the pieces are of simulated ones")
            plain = simulated(folder)
        plain = [open(p, "rb").read() for p in plain]
        for dialect in second.READERS:
            n = N if dialect == "four-column" else N // 5
            bad = check(random.Random("%d %s" % (SEED, dialect)), program, dialect, captures_of(dialect, plain), n)
            good &= told(not bad, "mutants__of_%s_are_read_as_by_a_second_reader" % dialect.replace("-", "_"), "%s; CANIDS_SEED=%d" % (bad, SEED))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
