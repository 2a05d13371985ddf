"""kd11 graphs of a capture, slowly and obviously: another program's opinion of what canids builds.

Written from the formulas of reference-system.md 4.3 and 4.6 alone, a node and an edge at a time, with
Python's unbounded integers and NumPy's means and deviations.
"""
from collections import defaultdict

import numpy as np


def graph(rows, compat, number):
    """ids, x (N, 11), src, dst, e (E, 11), label.  rows: a window's frames, with compat and the one behind them."""
    w = len(rows) - 1
    pairs = [(rows[i][1], rows[i + 1][1]) for i in range(w)]
    ids = sorted({v for pair in pairs for v in pair})
    own, positions = defaultdict(list), defaultdict(list)
    for i, (s, d) in enumerate(pairs):
        own[s].append(i)
        positions[s, d].append(i)
    count = [len(own[v]) for v in ids]
    ends = [s for s, _ in pairs] + [d for _, d in pairs]
    deg = {v: ends.count(v) for v in ids}
    x = []
    for v, c in zip(ids, count):
        mean = np.mean([[b / 255 for b in rows[i][2]] for i in own[v]], axis=0) if c else np.zeros(8)
        share = (c - min(count)) / (max(count) - min(count)) if max(count) > min(count) else c
        x.append([number.get(v, 0), *mean, share, max(own[v]) / max(w - 1, 1) if c else 0])
    e = []
    for s, d in sorted(positions):
        p = np.array(positions[s, d])
        c, gaps = len(p), np.diff(p)
        sigma = np.std(gaps) if c > 1 else 0
        e.append([c, c / w, np.mean(gaps) if c > 1 else 0, sigma, 1 / (1 + sigma) if c > 1 else 0, p[0] / w, p[-1] / w,
                  (p[-1] - p[0]) / w, int((d, s) in positions), deg[s] * deg[d], deg[s] / deg[d]])
    place = {v: i for i, v in enumerate(ids)}
    return (ids, np.array(x), [place[s] for s, _ in sorted(positions)], [place[d] for _, d in sorted(positions)], np.array(e),
            int(any(r[3] for r in (rows[:-1] if compat else rows))))


def graphs(rows, frames, stride, compat, number):
    """(first row, graph) of every complete window; number gives the vocabulary's number of an identifier."""
    for first in range(0, len(rows) - (frames + compat) + 1, stride):
        yield first, graph(rows[first:first + frames + compat], compat, number)
