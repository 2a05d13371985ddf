"""kd35 graphs of a capture, slowly and obviously: another program's opinion of what canids builds.

Written from the formulas of reference-system.md 4.4 and 4.6 alone, a node and an edge at a time, with
Python's unbounded integers up to the last division.  Reads the four-column CSV itself.
"""
import math
from collections import Counter

import numpy as np


def nanoseconds(text):
    whole, _, part = text.partition(".")
    return int(whole) * 10**9 + int((part + "000000000")[:9])


def read(path):
    """Rows (time in ns, identifier, eight bytes, label); bit 31 of an identifier says that it has 29 bits."""
    rows = []
    with open(path) as f:
        next(f)
        for line in f:
            time, ident, payload, label = line.strip().split(",")
            ident = int(ident, 16)
            rows.append((nanoseconds(time), ident | (ident > 0x7FF) << 31,
                         list(bytes.fromhex(payload).ljust(8, b"\0")), int(label)))
    return rows


def entropy(byte):
    total = sum(byte)
    return -math.fsum(b / total * math.log(b / total) for b in byte if b)


def clip(v):
    return max(-10.0, min(10.0, v))


def moments(values):
    """Mean, sample standard deviation, skewness and kurtosis of a list of integers."""
    c = len(values)
    s1, s2, s3, s4 = (sum(v**p for v in values) for p in (1, 2, 3, 4))
    m2 = c * s2 - s1**2                                                 # times c^2
    m3 = c**2 * s3 - 3 * c * s1 * s2 + 2 * s1**3                        # times c^3
    m4 = c**3 * s4 - 4 * c**2 * s1 * s3 + 6 * c * s1**2 * s2 - 3 * s1**4  # times c^4
    std = math.sqrt(m2 / (c * (c - 1))) if c > 1 else 0.0
    if m2 == 0:
        return s1 / c, std, 0.0, 0.0
    return s1 / c, std, clip(m3 / m2**1.5), clip(m4 / m2**2 - 3)


def spread(values):
    """Sample standard deviation of integers, 0 of fewer than two."""
    k = len(values)
    if k < 2:
        return 0.0
    return math.sqrt((k * sum(v * v for v in values) - sum(values) ** 2) / (k * (k - 1)))


def own_columns(rows, at, frames):
    """Columns of a node that are not about edges: 0-27 and 29-32; at are its frames in the window."""
    c = len(at)
    per_byte = [moments([rows[t][2][k] for t in at]) for k in range(8)]
    byte_range = [max(rows[t][2][k] for t in at) - min(rows[t][2][k] for t in at) for k in range(8)]
    steps = list(zip(at[1:], at[:-1]))
    changed = sum(rows[t][2][k] != rows[p][2][k] for t, p in steps for k in range(8))
    iat = [rows[t][0] - rows[p][0] for t, p in steps]
    return ([m[0] for m in per_byte] + [m[1] for m in per_byte] + byte_range
            + [c, math.fsum(entropy(rows[t][2]) for t in at) / c,
               math.fsum(m[2] for m in per_byte) / 8, math.fsum(m[3] for m in per_byte) / 8],
            [sum(t < frames // 2 for t in at) / c,
             changed / 8 / (c - 1) if c > 1 else 0.0,
             sum(iat) / len(iat) / 1e9 if iat else 0.0,
             spread(iat) / 1e9])


def clustering(near, u):
    d = len(near[u])
    if d < 2:
        return 0.0
    pairs = sum(1 for v in near[u] for w in near[v] if w != u and w in near[u])
    return 2 * (pairs / 2) / (d * (d - 1))


def edges_of(rows, frames, compat):
    """(frame of the source, earlier and later frame of the differences) of every edge."""
    if compat:
        return [(t, t - 1, t) for t in range(1, frames - 1)]
    return [(t, t, t + 1) for t in range(frames - 1)]


def graph(rows, compat, own):
    """ids, x (N, 35), src, dst, e (E, 11), label; own caches what both modes share."""
    frames = len(rows)
    ids = sorted({r[1] for r in rows})
    place = {v: i for i, v in enumerate(ids)}
    kept = edges_of(rows, frames, compat)
    ends = [(place[rows[t][1]], place[rows[t + 1][1]]) for t, _, _ in kept]
    freq = Counter(ends)
    near = [set() for _ in ids]
    for s, d in ends:
        near[s].add(d)
        near[d].add(s)
    into, out = Counter(d for _, d in ends), Counter(s for s, _ in ends)
    if not own:
        at = {v: [] for v in ids}
        for t, r in enumerate(rows):
            at[r[1]].append(t)
        own.extend(own_columns(rows, at[v], frames) for v in ids)
    x = [own[u][0] + [clustering(near, u)] + own[u][1] + [into[u], out[u]] for u in range(len(ids))]
    e = [[(rows[b][0] - rows[a][0]) / 1e9] + [abs(p - q) for p, q in zip(rows[b][2], rows[a][2])]
         + [int((d, s) in freq), freq[s, d]] for (_, a, b), (s, d) in zip(kept, ends)]
    return ids, np.array(x), [s for s, _ in ends], [d for _, d in ends], np.array(e), int(any(r[3] for r in rows))


def graphs(rows, frames, stride):
    """(first row, graph, graph of the reference or None) of every complete window."""
    for first in range(0, len(rows) - frames + 1, stride):
        window, own = rows[first:first + frames], []
        yield first, graph(window, False, own), graph(window, True, own) if frames > 2 else None
