"""A second reader of captures: slow, obvious, and written from the data contract alone (no code of the program in it).

read(dialect, text) gives the rows of a file, packed as `<qIQBB` (time in ns, identifier with bit 31 for the 29-bit kind, payload with
byte k in bits 8k.., length, label), and the numbers of the lines that break the contract."""
import base64
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


def words(line):
    return [w for w in re.split(rb"[ \t]+", line) if w]


def byte_list(fields):
    """Each two digits."""
    return bytes.fromhex(b"".join(fields).decode()) if all(re.fullmatch(rb"[0-9A-Fa-f]{2}", f) for f in fields) else None


def length(text, most):
    return int(text) if re.fullmatch(rb"[0-9]{1,3}", text) and int(text) <= most else None


def hcrl(line):
    """t,id,dlc,b0,...,flag: the flag is the last field, R or 0 benign, T or 1 injected; empty fields may fill up to it."""
    fields = [f.strip(BLANK) for f in line.split(b",")]
    if len(fields) < 4 or fields[-1].upper() not in (b"R", b"T", b"0", b"1"):
        return None
    data = fields[3:-1]
    while data and data[-1] == b"":
        data.pop()
    if length(fields[2], 8) != len(data):
        return None
    return pack(nanoseconds(fields[0]), identifier(fields[1]), byte_list(data), fields[-1].upper() in (b"T", b"1"))


def hcrl_challenge(line):
    """Timestamp,Arbitration_ID,DLC,Data,Class,SubClass."""
    fields = [f.strip(BLANK) for f in line.split(b",")]
    if len(fields) != 6 or fields[4].lower() not in (b"normal", b"attack", b"0", b"1"):
        return None
    data = payload_of(fields[3])
    if data is None or length(fields[2], 8) != len(data):
        return None
    return pack(nanoseconds(fields[0]), identifier(fields[1]), data, fields[4].lower() in (b"attack", b"1"))


def hcrl_text(line):
    """Timestamp: t ID: id flags DLC: n bytes; flags are 000, or tell a remote frame, which is no row."""
    w = words(line)
    if len(w) < 7 or [w[0].lower(), w[2].lower(), w[5].lower()] != [b"timestamp:", b"id:", b"dlc:"] or not re.fullmatch(rb"0+", w[4]):
        return None
    if length(w[6], 8) != len(w) - 7:
        return None
    return pack(nanoseconds(w[1]), identifier(w[3]), byte_list(w[7:]), 0)


def flag(text):
    return {b"0": 0, b"false": 0, b"1": 1, b"true": 1}.get(text.lower())


def python_can(line):
    """timestamp,arbitration_id,extended,remote,error,dlc,data in base64; remote and error frames are no rows."""
    fields = [f.strip(BLANK) for f in line.split(b",")]
    if len(fields) != 7 or flag(fields[2]) is None or flag(fields[3]) != 0 or flag(fields[4]) != 0:
        return None
    try:
        data = base64.b64decode(fields[6], validate=True)
    except ValueError:
        return None
    if base64.b64encode(data) != fields[6] or length(fields[5], 64) != len(data):
        return None
    return pack(nanoseconds(fields[0]), identifier(fields[1], flag(fields[2])), data, 0)


def gvret(line):
    """Time Stamp,ID,Extended,Bus,LEN,D1,...: microseconds; bytes of 0 may fill up behind the length."""
    fields = [f.strip(BLANK) for f in line.split(b",")]
    if len(fields) < 5 or flag(fields[2]) is None or not re.fullmatch(rb"[0-9]+", fields[0]):
        return None
    data = fields[5:]
    while data and data[-1] == b"":
        data.pop()
    data, n, t = byte_list(data), length(fields[4], 64), int(fields[0]) * 1000
    if data is None or n is None or len(data) > 64 or len(data) < n or any(data[n:]) or t > TIME_MAX:
        return None
    return pack(t, identifier(fields[1], flag(fields[2])), data[:n], 0)


def in_parens(text):
    return nanoseconds(text[1:-1]) if text[:1] == b"(" and text[-1:] == b")" and len(text) > 1 else None


def by_width(text):
    """Three digits: 11 bits; eight: 29 bits, or an error frame, which is no row."""
    if re.fullmatch(rb"[0-9A-Fa-f]{3}", text) and int(text, 16) <= 0x7FF:
        return int(text, 16)
    if re.fullmatch(rb"[0-9A-Fa-f]{8}", text) and int(text, 16) <= 0x1FFFFFFF:
        return int(text, 16) | 1 << 31
    return None


def candump(line, labelled=False):
    """(t) interface id#bytes, or ##, a digit and the bytes of CAN FD; R or T may follow, then the label."""
    w = words(line)
    if len(w) < 3 or b"#" not in w[2]:
        return None
    ident, _, body = w[2].partition(b"#")
    m = re.fullmatch(rb"#[0-9A-Fa-f]((?:[0-9A-Fa-f]{2}){0,8})|((?:[0-9A-Fa-f]{2}){8})_[9A-Fa-f]|((?:[0-9A-Fa-f]{2}){0,8})", body)
    rest = w[3:]
    if rest and rest[0].upper() in (b"R", b"T"):
        rest = rest[1:]
    if not m or len(rest) != labelled or (labelled and rest[0] not in (b"0", b"1")):
        return None
    data = next((g for g in m.groups() if g is not None), b"")
    return pack(in_parens(w[0]), by_width(ident), bytes.fromhex(data.decode()), int(rest[0]) if labelled else 0)


def candump_labelled(line):
    return candump(line, True)


def candump_screen(line):
    """(t) interface [RX|TX flags flags] id [n] bytes, perhaps 'text' behind them; two digits of length are CAN FD."""
    w = words(line)
    if len(w) > 2 and w[2].upper() in (b"RX", b"TX"):
        del w[2:5]
    if len(w) < 4 or len(w[3]) < 3 or w[3][:1] != b"[" or w[3][-1:] != b"]":
        return None
    n, data = length(w[3][1:-1], 64 if len(w[3]) == 4 else 8), w[4:]
    for i, word in enumerate(data):
        if word[:1] == b"'" or word.upper() == b"ERRORFRAME":
            data = data[:i]
            break
    if n is None or n != len(data):
        return None
    return pack(in_parens(w[0]), by_width(w[2]), byte_list(data), 0)


READERS = {"four-column": four_column, "hcrl": hcrl, "hcrl-challenge": hcrl_challenge, "hcrl-text": hcrl_text, "python-can": python_can,
           "gvret": gvret, "candump": candump, "candump-labelled": candump_labelled, "candump-screen": candump_screen}
HAS_HEADER = {"four-column", "hcrl-challenge", "python-can", "gvret"}
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
        if number == 1 and dialect in HAS_HEADER:
            continue
        if line == b"" and number == len(lines):
            continue  # a blank last line is none
        got = row(dialect, line)
        if got is None:
            bad.append(number)
        else:
            rows.append(got)
    return b"".join(rows), bad
