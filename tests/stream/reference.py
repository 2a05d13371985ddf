"""The feature sets `agnostic` a second time, slowly: every column written down from include/ci/stream.h, include/ci/profile.h
and the formulas of src/graph/agnostic.c alone, to compare with.  Frames are tuples (time in ns, identifier, payload, label)."""
import math
from collections import Counter, defaultdict, namedtuple

WARM, IDS, BINS, TRIAL = 2000, 2048, 232, 10
Frame = namedtuple("Frame", "t id payload attack")
Graph = namedtuple("Graph", "row attack warm ids x src dst e edge_attack w")

FIRST = "newid idsurp early late early2 earlyq lateq flipx const range dlc ham alt".split()
LAST = "enov esurp".split()
FRAME = FIRST + LAST
NODE = [c + "_share" for c in FRAME] + [c + "_max" for c in FRAME] + "expected share_z time_z known".split()
EDGE = ["gap"] + LAST + FIRST
SELF = ("distinct entropy top_share top_ratio longest_run self_loops singletons edges reverse zero byte_entropy ham_mean ham_max cv_max "
        "least_min gap_50_10 gap_90_50 gap_98_50 duration length_changes lowest_share top_rank alternations alternations_max fast burst").split()
OCTAVES = {"top_ratio", "least_min", "gap_50_10", "gap_90_50", "gap_98_50", "duration"}
WINDOW = ([c + "_mean" for c in FRAME] + [c + "_top" for c in FRAME] + [c + "_max" for c in FRAME] +
          "kl share_z_max share_z_min time_z_max time_z_min excess deficit overdue duration_change known odd".split() + [c + "_z" for c in SELF])
NODE_NONE = "share rank ham interval_cv interval_least zero length_changes runs alternations".split()
EDGE_NONE = "frequency bidir gap ham length_change".split()


def columns(past):
    """(names of a node's columns, an edge's, a window's)"""
    if past == "none":
        return NODE_NONE, EDGE_NONE, SELF
    twice = past == "both"
    return tuple(begin + cols + ["guard_" + c for c in cols if twice]
                 for begin, cols in ((["share"], NODE), (["frequency", "bidir"], EDGE), ([], WINDOW)))


def clip(x, low, high):
    return min(max(x, low), high)


def log_time(ns):
    return math.log2(max(ns, 512))


def bin_of(ns, per_octave):
    """floor(per_octave (log2 ns - 9)), in whole numbers: a border is nobody's rounding."""
    return (max(ns, 512) ** per_octave).bit_length() - 1 - 9 * per_octave


def quantile(bins, percent, per_octave):
    """Centre of the first bin up to which at least so many percent lie."""
    total, below = sum(bins.values()), 0
    for b in sorted(bins):
        below += bins[b]
        if 100 * below >= percent * total:
            return 9 + (b + 0.5) / per_octave
    return None


def bits(payload):
    return int.from_bytes(payload.ljust(8, b"\0"), "little")


def differ(a, b):
    return bin(bits(a) ^ bits(b)).count("1")


def entropy(counts):
    total = sum(counts)
    return -sum(c / total * math.log2(c / total) for c in counts if c)


class Identifier:
    def __init__(self):
        self.n = self.pairs = 0
        self.intervals = Counter()
        self.flips = [0] * 64
        self.low, self.high = {}, {}
        self.lengths = set()

    def centre(self, percent):
        return quantile(self.intervals, percent, 8)

    def chance(self, b):
        return min(.98, (self.flips[b] + .25) / (self.pairs + .5))


class Known:
    """What is known of a stream: a profile."""

    def __init__(self):
        self.N = 0
        self.ids = {}
        self.edges = Counter()
        self.trial = Counter()                             # guard: frames of a new identifier in calm steps
        self.gaps, self.durations = Counter(), Counter()
        self.n_window = 0
        self.sums, self.squares = [0] * len(SELF), [0] * len(SELF)

    def learn(self, frames, i, before, odd, gaps):
        """Frame i, whose identifier came last as number before[i] (None: never).  odd[j]: is nothing learned of frame j?"""
        if odd[i]:
            return
        f = frames[i]
        self.N += 1
        if gaps and i and not odd[i - 1]:
            self.gaps[min(bin_of(f.t - frames[i - 1].t, 8), BINS - 1)] += 1
        if f.id not in self.ids:
            if len(self.ids) == IDS:
                return
            self.ids[f.id] = Identifier()
        v = self.ids[f.id]
        v.n += 1
        v.lengths.add(len(f.payload))
        for k, byte in enumerate(f.payload[:8]):
            v.low[k], v.high[k] = min(v.low.get(k, 255), byte), max(v.high.get(k, 0), byte)
        if before[i] is not None and not odd[before[i]]:
            last = frames[before[i]]
            v.intervals[min(bin_of(f.t - last.t, 8), BINS - 1)] += 1
            v.pairs += 1
            for b in range(64):
                v.flips[b] += (bits(f.payload) ^ bits(last.payload)) >> b & 1
        if i and not odd[i - 1] and frames[i - 1].id in self.ids:
            self.edges[frames[i - 1].id, f.id] += 1

    def learn_window(self, window):
        self.n_window += 1
        self.durations[bin_of(lasts(window), 16)] += 1
        for k, x in enumerate(by_itself(window)):
            whole = round(65536 * x)
            self.sums[k] += whole
            self.squares[k] += whole * whole

    def entropy(self):
        return entropy([v.n for v in self.ids.values()]) if self.N == sum(v.n for v in self.ids.values()) else \
            -sum(v.n / self.N * math.log2(v.n / self.N) for v in self.ids.values())

    def n(self, v):
        return self.ids[v].n if v in self.ids else 0


# ---- a window by itself

def lasts(window):
    """T"""
    return max(1000, window[-1].t - window[0].t)


def of_each(window):
    """identifier -> its frames, identifiers ascending"""
    found = defaultdict(list)
    for f in window:
        found[f.id].append(f)
    return dict(sorted(found.items()))


def neighbours(values):
    return list(zip(values, values[1:]))


def middle(values):
    return sorted(values)[(len(values) - 1) // 2]


def steps(frames):
    """Intervals or gaps between frames, each at least 0."""
    return [max(0, b.t - a.t) for a, b in neighbours(frames)]


def cv(frames):
    d = steps(frames)
    if len(frames) < 4 or sum(d) == 0:
        return 0.
    mean = sum(d) / len(d)
    return math.sqrt(sum((x - mean) ** 2 for x in d) / len(d)) / mean


def least(frames):
    d = steps(frames)
    return log_time(min(d)) - log_time(middle(d)) if len(frames) >= 3 else 0.


def zeros(frames):
    return sum(not any(f.payload) for f in frames)


def length_changes(frames):
    return sum(len(a.payload) != len(b.payload) for a, b in neighbours(frames))


def alternations(frames):
    return sum(a.payload == c.payload != b.payload for a, b, c in zip(frames, frames[1:], frames[2:]))


def hams(frames):
    return [differ(a.payload, b.payload) / 64 for a, b in neighbours(frames)]


def mean(values):
    return sum(values) / len(values) if values else 0.


def by_itself(window):
    """The columns SELF."""
    W, nodes = len(window), of_each(window)
    counts = sorted((len(f) for f in nodes.values()), reverse=True)
    pairs = [(a.id, b.id) for a, b in neighbours(window)]
    gaps = sorted(steps(window))
    longest = run = 1
    for a, b in pairs:
        run = run + 1 if a == b else 1
        longest = max(longest, run)
    g = {q: log_time(gaps[q * (W - 2) // 100]) for q in (10, 50, 90, 98)}
    top = next(k for k, f in enumerate(nodes.values()) if len(f) == counts[0])
    found = set(pairs)
    fast = 0
    for frames in nodes.values():
        if len(frames) >= 3:
            fast += sum(d < .3 * middle(steps(frames)) for d in steps(frames))
    value = {
        "distinct": len(nodes) / W,
        "entropy": entropy(counts) / math.log2(W),
        "top_share": counts[0] / W,
        "top_ratio": math.log2((counts[0] + 1) / ((counts[1] if len(counts) > 1 else 0) + 1)),
        "longest_run": longest / W,
        "self_loops": sum(a == b for a, b in pairs) / (W - 1),
        "singletons": counts.count(1) / len(counts),
        "edges": len(found) / (W - 1),
        "reverse": sum((b, a) in found for a, b in found) / len(found),
        "zero": zeros(window) / W,
        "byte_entropy": entropy(Counter(b for f in window for b in f.payload).values()) / 8 if any(f.payload for f in window) else 0.,
        "ham_mean": mean([h for f in nodes.values() for h in hams(f)]),
        "ham_max": max(mean(hams(f)) for f in nodes.values()),
        "cv_max": max([cv(f) for f in nodes.values() if len(f) >= 4], default=0.),
        "least_min": min([least(f) for f in nodes.values() if len(f) >= 3], default=0.),
        "gap_50_10": g[50] - g[10],
        "gap_90_50": g[90] - g[50],
        "gap_98_50": g[98] - g[50],
        "duration": math.log2(lasts(window) / 1e9),
        "length_changes": sum(length_changes(f) for f in nodes.values()) / W,
        "lowest_share": len(next(iter(nodes.values()))) / W,
        "top_rank": top / (len(nodes) - 1) if len(nodes) > 1 else 0.,
        "alternations": sum(alternations(f) for f in nodes.values()) / W,
        "alternations_max": max(alternations(f) for f in nodes.values()) / W,
        "fast": fast / W,
        "burst": sum(x < 1.5 * gaps[2] for x in gaps) / (W - 1),
    }
    return [value[name] for name in SELF]


def alone(window):
    """Node, edge and window columns of agnostic-none."""
    W, nodes = len(window), of_each(window)
    x = []
    for place, (v, frames) in enumerate(nodes.items()):
        c = len(frames)
        x.append([c / W, place / (len(nodes) - 1) if len(nodes) > 1 else 0., mean(hams(frames)), cv(frames), least(frames), zeros(frames) / c,
                  length_changes(frames) / c, sum(a.id == b.id == v for a, b in neighbours(window)) / c, alternations(frames) / c])
    logs = [log_time(d) for d in steps(window)]
    e, seen = [], {window[0].id: window[0]}
    for base, log, f in zip(edge_self(window), logs, window[1:]):
        last = seen.get(f.id)
        e.append(base + [log - middle(logs), differ(last.payload, f.payload) / 64 if last else 0.,
                         float(last is not None and len(last.payload) != len(f.payload))])
        seen[f.id] = f
    return x, e, by_itself(window)


def edge_self(window):
    pairs = Counter((a.id, b.id) for a, b in neighbours(window))
    return [[pairs[a.id, b.id] / len(window), float((b.id, a.id) in pairs)] for a, b in neighbours(window)]


# ---- against the past

def of_frame(known, frames, i, before, H):
    """The columns FRAME of frame i, and why it is odd (None: it is not)."""
    f, one, two = frames[i], before[i], None if before[i] is None else before[before[i]]
    v, n = known.ids.get(f.id), known.n(f.id)
    value = dict.fromkeys(FRAME, 0.)
    value["newid"] = float(n == 0)
    value["idsurp"] = min(20, math.log2(known.N + 1) - math.log2(n + .5)) - H
    if v and one is not None and sum(v.intervals.values()) >= 5:
        dt = log_time(f.t - frames[one].t)
        value["early"] = clip(v.centre(50) - dt, 0, 6)
        value["late"] = clip(dt - v.centre(50), 0, 6)
        value["early2"] = float(dt - v.centre(50) < -1)
        value["earlyq"] = clip(v.centre(1) - 1 / 8 - dt, 0, 6)
        value["lateq"] = clip(dt - v.centre(99) - 1 / 8, 0, 6)
    if v and one is not None:
        flipped = bits(f.payload) ^ bits(frames[one].payload)
        if v.pairs >= 5:
            surprise = 0.
            for b in range(64):
                p = v.chance(b)
                surprise += -math.log2(p) if flipped >> b & 1 else -math.log2(1 - p)
                surprise -= -p * math.log2(p) - (1 - p) * math.log2(1 - p)
            value["flipx"] = clip(surprise, -32, 200) / 64
        if v.pairs >= 20:
            value["const"] = sum(flipped >> b & 1 and v.flips[b] == 0 for b in range(64)) / 64
    if n >= 20:
        value["range"] = sum(k not in v.low or not v.low[k] <= byte <= v.high[k] for k, byte in enumerate(f.payload[:8])) / 8
    if n >= 5:
        value["dlc"] = float(len(f.payload) not in v.lengths)
    if one is not None:
        value["ham"] = differ(f.payload, frames[one].payload) / 64
    if two is not None:
        value["alt"] = float(frames[two].payload == f.payload != frames[one].payload)
    if i and known.n(frames[i - 1].id) >= 20:
        u = frames[i - 1].id
        value["enov"] = float(known.edges[u, f.id] == 0)
        value["esurp"] = min(16, math.log2(known.n(u) + 1) - math.log2(known.edges[u, f.id] + .5))
    odd = "new" if n == 0 and known.trial[f.id] < TRIAL else "early" if value["earlyq"] > .5 or value["dlc"] == 1 else \
        "bits" if n and value["const"] >= 3 / 64 else None
    return [value[c] for c in FRAME], odd


def against(known, frames, r, W, before, comparable):
    """Node, edge and window columns of a warm window against what is known."""
    window, H, T = frames[r:r + W], known.entropy(), lasts(frames[r:r + W])
    nodes = of_each(window)
    of = [of_frame(known, frames, i, before, H) for i in range(r, r + W)]
    values = [value for value, _ in of]

    def by_share(v):
        return W * known.n(v) / known.N

    def by_time(v):
        if known.n(v) == 0:
            return 0.
        if sum(known.ids[v].intervals.values()) < 5:
            return by_share(v)
        return min(20 * W, T / 2 ** known.ids[v].centre(50))

    def z(c, e):
        return clip((c - e) / math.sqrt(e + 1), -30, 30)

    x, tops = [], []
    for v, its in nodes.items():
        mine = [value for value, f in zip(values, window) if f.id == v]
        sums = [sum(column) / W for column in zip(*mine)]
        tops.append(sums)
        x.append(sums + [max(column) for column in zip(*mine)] +
                 [math.log2(1 + by_time(v)), z(len(its), by_share(v)), z(len(its), by_time(v)), float(known.n(v) >= 10)])

    e = []
    for i in range(r + 1, r + W):
        gap = 0.
        if sum(known.gaps.values()) >= 20:
            gap = clip(log_time(frames[i].t - frames[i - 1].t) - quantile(known.gaps, 50, 8), -12, 12)
        value = values[i - r]
        e.append([gap] + value[len(FIRST):] + value[:len(FIRST)])

    count = {v: len(nodes.get(v, [])) for v in set(nodes) | {v for v in known.ids if known.n(v)}}
    share_z = [z(c, by_share(v)) for v, c in count.items()]
    time_z = [z(c, by_time(v)) for v, c in count.items()]
    often = [v for v in known.ids if sum(known.ids[v].intervals.values()) >= 10]
    overdue = 0
    for v in often:
        last = next((f for f in reversed(frames[:r + W]) if f.id == v), None)
        overdue += last is not None and log_time(window[-1].t - last.t) > known.ids[v].centre(99) + .5
    w = [mean(column) for column in zip(*values)] + [max(column) for column in zip(*tops)] + [max(column) for column in zip(*values)] + [
        sum(len(its) / W * math.log2(len(its) / W / ((known.n(v) + .5) / (known.N + 100))) for v, its in nodes.items()),
        max(share_z), min(share_z), max(time_z), min(time_z),
        min(5, sum(max(0, c - by_time(v) - 1) for v, c in count.items()) / W),
        min(5, sum(max(0, by_time(v) - c - 1) for v, c in count.items()) / W),
        overdue / len(often) if often else 0.,
        clip(math.log2(T) - quantile(known.durations, 50, 16), -12, 12) if known.durations and comparable else 0.,
        sum(known.n(f.id) >= 10 for f in window) / W,
        sum(odd is not None for _, odd in of) / W]
    for k, value in enumerate(by_itself(window)):
        if known.n_window < 20 or not comparable:
            w.append(0.)
            continue
        n, total = known.n_window, known.sums[k]
        spread = math.sqrt((n * known.squares[k] - total * total) / (n * n)) / 65536
        w.append(clip((value - total / n / 65536) / (spread + (.07 if SELF[k] in OCTAVES else .02)), -30, 30))
    return x, e, w


class Stream:
    """One past: what is known of a capture as windows and frames pass."""

    def __init__(self, frames, W, S, past, prefix_ns, before, known=None):
        self.frames, self.W, self.S, self.past = frames, W, S, past
        self.known = known or Known()
        self.before = list(before)
        self.kept = set(self.known.ids)                    # identifiers whose last two frames are known: the first IDS that come
        self.odd = [False] * len(frames)
        self.many = {}                                     # step -> had it 3 or more new and early frames?
        self.learns = len(frames)                          # frames before this one are learned
        if past == "profile":
            self.learns = 0
        if past == "prefix":
            self.learns = next((i for i, f in enumerate(frames) if f.t - frames[0].t > prefix_ns), len(frames))

    def begin(self, k):
        """The frames before window k are there: the window m before it is known of from now on."""
        for i in range(k * self.S, min(k * self.S + max(self.W, self.S), len(self.frames))):
            if self.frames[i].id not in self.kept and self.before[i] is not None and self.before[i] < k * self.S:
                self.before[i] = None
        m = -(-self.W // self.S)
        if k >= m and (k - m) % m == 0 and k * self.S <= self.learns and not self.many[k - m]:
            self.known.learn_window(self.frames[(k - m) * self.S:(k - m) * self.S + self.W])

    def warm(self, k):
        r = k * self.S
        if self.past in ("run", "guard"):
            return r >= WARM
        return self.known.N >= WARM and r >= self.learns

    def end(self, k):
        """The frames of step k are learned."""
        step = range(k * self.S, min((k + 1) * self.S, len(self.frames)))
        why = {}
        if self.past == "guard":
            H = self.known.entropy() if self.known.N else 0.
            why = {i: of_frame(self.known, self.frames, i, self.before, H)[1] for i in step if i >= WARM}
        calm = sum(odd in ("new", "early") for odd in why.values()) < 3
        self.many[k] = not calm
        for i, odd in why.items():
            self.odd[i] = odd is not None and not (odd == "early" and calm)
        for i in step:
            if len(self.kept) < IDS:
                self.kept.add(self.frames[i].id)
            if calm and why.get(i) == "new" and self.frames[i].id in self.kept:
                self.known.trial[self.frames[i].id] += 1
            if i < self.learns:
                self.known.learn(self.frames, i, self.before, self.odd, not self.many[k])


def befores(frames):
    last, before = {}, []
    for i, f in enumerate(frames):
        before.append(last.get(f.id))
        last[f.id] = i
    return before


def learn(captures, W, S):
    """The profile of several recordings: no interval, flip, gap or succession from one to the next."""
    known = Known()
    for rows in captures:
        frames = [Frame(*row) for row in rows]
        s = Stream(frames, W, S, "run", 0, befores(frames), known)
        for k in range(len(frames) // S + 1):
            s.begin(k)
            s.end(k)
    return known


def graphs(rows, past, W, S, prefix_ns=10 ** 10, profile=None, profile_windows=None):
    """Every window of a capture.  profile: a Known; profile_windows: the (W, S) that it was learned with, if not these."""
    frames = [Frame(*row) for row in rows]
    before = befores(frames)
    streams = [Stream(frames, W, S, p, prefix_ns, before, profile) for p in {"none": (), "both": ("run", "guard")}.get(past, (past,))]
    for k in range(-(-len(frames) // S)):
        for s in streams:
            s.begin(k)
        r = k * S
        if r + W <= len(frames):
            window = frames[r:r + W]
            ids = list(of_each(window))
            at = {v: i for i, v in enumerate(ids)}
            warm = all(s.warm(k) for s in streams)
            if past == "none":
                x, e, w = alone(window)
            else:
                x, e, w = [[len(f) / W] for f in of_each(window).values()], edge_self(window), []
                for s in streams:
                    if warm:
                        more = against(s.known, frames, r, W, s.before, profile_windows in (None, (W, S)))
                    else:
                        more = [[0.] * len(NODE)] * len(ids), [[0.] * len(EDGE)] * (W - 1), [0.] * len(WINDOW)
                    x, e, w = [a + b for a, b in zip(x, more[0])], [a + b for a, b in zip(e, more[1])], w + more[2]
            yield Graph(r, int(any(f.attack for f in window)), int(warm), ids, x, [at[f.id] for f in window[:-1]],
                        [at[f.id] for f in window[1:]], e, [int(f.attack) for f in window[1:]], w)
        for s in streams:
            s.end(k)
