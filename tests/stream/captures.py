"""Captures to compare on: made ones that have whatever is legal in them, and parts of real ones."""
import heapq
import itertools
import random

EXTENDED = 1 << 31


def periodic(rnd, ids, end):
    """Frames of identifiers with periods, jitter and payloads of their own; a few never come again, some start late."""
    frames = []
    for number, v in enumerate(ids):
        period, length, kind = rnd.choice((2_000_000, 5_000_000, 10_000_000, 10_000_000, 20_000_000, 50_000_000)), number % 9, number % 5
        t, count, constant = rnd.randrange(period), 0, rnd.randbytes(8)
        while t < end:
            payload = bytearray(constant)
            if kind == 1:
                payload[0] = count & 255                               # a counter
            if kind == 2:
                payload[:] = rnd.randbytes(8)                          # noise
            if kind == 3:
                payload[2] ^= rnd.random() < .02                       # a bit that hardly ever moves
                payload[5] = sum(payload[:5]) & 255
            if kind == 4:
                payload[:] = bytes(8) if count % 2 else constant       # alternates
            frames.append((t, v, bytes(payload[:length if rnd.random() > .002 else rnd.randrange(9)]), 0))
            t, count = t + max(1, int(rnd.gauss(period, period / 30))), count + 1
    return frames


def attacks(rnd, ids, frames, start, end):
    """New identifiers, a flood, one identifier spoofed, traffic replayed: a tenth of the time each, with pauses."""
    part, more = (end - start) // 10, []
    for k in range(25):
        more.append((start + rnd.randrange(part), rnd.randrange(1, 0x7ff) | rnd.choice((0, EXTENDED + 0x10000)), rnd.randbytes(rnd.randrange(9)), 1))
    for k in range(200):
        more.append((start + 2 * part + k * 250_000, 0, bytes(8), 1))
    victim = ids[3]
    for k in range(80):
        more.append((start + 4 * part + k * 700_000, victim, rnd.randbytes(3), 1))
    more += [(t + 6 * part, v, payload, 1) for t, v, payload, _ in frames if start <= t < start + part // 2]
    return more


def made(seed, seconds, attacked, jump=0):
    """jump: seconds without a frame, after four fifths of it"""
    rnd = random.Random(seed)
    ids = sorted(rnd.sample(range(1, 0x7ff), 11)) + sorted(EXTENDED + rnd.randrange(0x10000, 1 << 29) for _ in range(4))
    end = int(seconds * 1e9)
    frames = periodic(rnd, ids, end)
    frames = [f for f in frames if f[1] != ids[5] or f[0] < .7 * end]  # one that falls silent
    if attacked:
        frames += attacks(rnd, ids, frames, end // 2, end)
    frames = list(heapq.merge(sorted(frames)))
    for i in range(40, len(frames), 97):                               # equal times, and steps back
        t, v, payload, attack = frames[i]
        frames[i] = (frames[i - 1][0] - (rnd.randrange(3_000_000) if i % 2 else 0), v, payload, attack)
    return [(1_600_000_000_000_000_000 + t // 100 * 100 + jump * 10 ** 9 * (t > end * 4 // 5), *rest) for t, *rest in frames]


def crowded():
    """2,088 identifiers, more than a profile keeps; the last 80 come again, at once and later."""
    rnd = random.Random(9)
    ids = sorted(rnd.sample(range(1, 0x7ff), 8))
    frames = sorted(periodic(rnd, ids, 2_500_000_000))[:2600]
    new = [EXTENDED + k for k in rnd.sample(range(0x10000, 1 << 29), 2080)]
    order = [v for k in range(0, 2080, 40) for v in new[k:k + 40] for _ in range(1 + k // 2000)] + new[2000:] * 3
    start, end = frames[2050][0], frames[-1][0]
    frames += [(start + (end - start) * k // len(order), v, bytes([k & 3]), 1) for k, v in enumerate(order)]
    return [(1_600_000_000_000_000_000 + t // 100 * 100, *rest) for t, *rest in sorted(frames)]


def borders():
    """Counts and times that are just what something needs, or one less: identifiers that come once in 50 frames, so that windows find each
    count of them, and fall silent after 10, 11, 12 and 25 frames; a new one as last cold frame and as first warm one; intervals of .3 medians;
    frame 2,500 the first one behind 1.25 s, 2,499 at 1.25 s; and 10 s
    in which all are missed."""
    rows, count, before = [], {}, {}
    for i in range(3500):
        slot, t = i % 8, i * 500_200 + 200 * (i == 2499) + 10 ** 10 * (i > 3420)
        v = 0x100 + slot
        payload = bytes([i // 8 & 15, 7, slot])
        if slot == 7 and i % 50 >= 2:
            j = i % 50 // 8
            if i >= (1850 if j < 4 else 2050) and count.get(j, 0) < (10 + j if j < 3 else 25):
                c = count[j] = count.get(j, 0) + 1
                v, payload = 0x200 + j, (1 << c).to_bytes(8, "little") if j % 2 else (bytes([c]) * 8)[:c % 9]
        if slot == 0 and i % 400 == 0 and i:
            t = before[v] + 1_200_480
        if i in (1999, 2000):
            v, payload = 0x700 + i % 2, b"\1\2"
        before[v] = t
        rows.append((1_600_000_000_000_000_000 + t, v, payload, int(i > 3000)))
    return rows


def part(path, first, last):
    """Rows first .. last-1 of a four-column file."""
    rows = []
    with open(path, encoding="utf-8") as f:
        for line in itertools.islice(f, 1 + first, 1 + last):
            time, v, payload, attack = line.strip().split(",")
            seconds, _, fraction = time.partition(".")
            v = int(v, 16)
            rows.append((int(seconds) * 10 ** 9 + int(fraction.ljust(9, "0")), v | EXTENDED if v > 0x7ff else v, bytes.fromhex(payload), int(attack)))
    return rows


def text(rows):
    """As a four-column file."""
    lines = ["timestamp,arbitration_id,data_field,attack"]
    for t, v, payload, attack in rows:
        lines.append("%d.%09d,%03X,%s,%d" % (t // 10 ** 9, t % 10 ** 9, v & ~EXTENDED, payload.hex().upper(), attack))
    return "\n".join(lines) + "\n"
