"""A second reader of captures: slow, obvious, and written from the data contract alone (no code of the program in it).

read(dialect, text) gives the rows of a file, packed as `<qIQBB` (time in ns, identifier with bit 31 for the 29-bit kind, payload with
byte k in bits 8k.., length, label), and the numbers of the lines that break the contract."""
import re
import struct

LINE_MAX = 4096
TIME_MAX = 2**63 - 1
ROW = struct.Struct("<qIQBB")
BLANK = b" \t"
TIME = re.compile(rb"([0-9]+)(?:\.([0-9]{1,9}))?")
IDENT = re.compile(rb"(?:0[xX](?=.))?([0-9A-Fa-f]{1,8})")
BYTES = re.compile(rb"(?:0[xX](?=.))?((?:[ \t]*[0-9A-Fa-f]{2})*)[ \t]*")


def nanoseconds(text):
    m = TIME.fullmatch(text)
    t = int(m[1]) * 10**9 + int((m[2] or b"").ljust(9, b"0")) if m else TIME_MAX + 1
    return t if t <= TIME_MAX else None


def pack(t, ident, payload, label):
    if t is None or ident is None or payload is None or len(payload) > 8:
        return None
    return ROW.pack(t, ident, int.from_bytes(payload, "little"), len(payload), label)


def identifier(text, extended=False):
    """29 bits at most; of the 29-bit kind when its value is, or the dialect says so."""
    m = IDENT.fullmatch(text)
    value = int(m[1], 16) if m else 1 << 31
    if value > 0x1FFFFFFF:
        return None
    return value | 1 << 31 if extended or value > 0x7FF else value


def payload_of(text):
    """Pairs of digits, blanks between them; None for anything else."""
    m = BYTES.fullmatch(text)
    return bytes.fromhex(m[1].decode()) if m else None


def four_column(line):
    """Blanks around a field, 0x before an identifier or a payload: harmless.  The rest is not."""
    fields = [f.strip(BLANK) for f in line.split(b",")]
    if len(fields) != 4 or fields[3] not in (b"0", b"1"):
        return None
    return pack(nanoseconds(fields[0]), identifier(fields[1]), payload_of(fields[2]), int(fields[3]))


READERS = {"four-column": four_column}
HAS_HEADER = {"four-column": True}
seen = {}


def row(dialect, line):
    """The packed row of one line without its end, None for a bad one.  Most lines come again and again."""
    key = dialect, line
    if key not in seen:
        if len(seen) > 500000:
            seen.clear()
        seen[key] = READERS[dialect](line) if len(line) <= LINE_MAX and 0 not in line else None
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
