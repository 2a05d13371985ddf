"""A second reader of captures: slow, obvious, and written from the data contract alone (no code of the program in it).

read(dialect, text) gives the rows of a file, packed as `<qIQBB` (time in ns, identifier with bit 31 for the 29-bit kind, payload with
byte k in bits 8k.., length, label), and the numbers of the lines that break the contract."""
import re
import struct

LINE_MAX = 4096
TIME_MAX = 2**63 - 1
ROW = struct.Struct("<qIQBB")
FOUR = re.compile(rb"([0-9]+)(?:\.([0-9]{1,9}))?,([0-9A-Fa-f]{1,8}),((?:[0-9A-Fa-f]{2}){0,8}),([01])")
HEADER = b"timestamp,arbitration_id,data_field,attack"


def nanoseconds(second, fraction):
    t = int(second) * 10**9 + int((fraction or b"").ljust(9, b"0"))
    return t if t <= TIME_MAX else None


def pack(t, ident, payload, label):
    if t is None or ident is None or len(payload) > 8:
        return None
    return ROW.pack(t, ident, int.from_bytes(payload, "little"), len(payload), label)


def identifier(value, extended=None):
    """29 bits at most; of the 29-bit kind when its value is, or the dialect says so."""
    if value > 0x1FFFFFFF:
        return None
    return value | 1 << 31 if extended or value > 0x7FF else value


def four_column(line):
    m = FOUR.fullmatch(line)
    if not m:
        return None
    return pack(nanoseconds(m[1], m[2]), identifier(int(m[3], 16)), bytes.fromhex(m[4].decode()), int(m[5]))


READERS = {"four-column": four_column}
HAS_HEADER = {"four-column": True}
seen = {}


def row(dialect, line):
    """The packed row of one line without its end, None for a bad one.  Most lines come again and again."""
    key = dialect, line
    if key not in seen:
        if len(seen) > 500000:
            seen.clear()
        seen[key] = READERS[dialect](line) if len(line) <= LINE_MAX else None
    return seen[key]


def lines_of(text):
    """Lines without their ends, LF or CR LF; what stands behind the last end is a line when it is not empty."""
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line[:-1] if line.endswith(b"\r") else line for line in lines]


def read(dialect, text):
    rows, bad = [], []
    lines = lines_of(text)
    for number, line in enumerate(lines, 1):
        if number == 1 and HAS_HEADER[dialect]:
            continue
        if line == b"" and number == len(lines):
            continue  # a blank last line is none
        got = row(dialect, line)
        if got is None:
            bad.append(number)
        else:
            rows.append(got)
    return b"".join(rows), bad
