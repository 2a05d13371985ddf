#!/usr/bin/python3
# TIMEOUT: 120
"""What simulated traffic is like, seen by a reader of its own: the bus, the senders, and one fact or more of every attack."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy
    import oracle
except ImportError as e:
    print("skip - sim__attacks: %s" % e)
    sys.exit(0)
from harness import canids, fact, must, run

KNOWN = "DoS,fuzzing,systematic,malfunction_random,malfunction_constant,malfunction_replayed"
UNKNOWN = "malfunction_altered,malfunction_after,replay,suppress,masquerade,masquerade_timed,correlated,diagnostic"
SECONDS, SHARE, BITRATE = 16, .25, 500000
LOOKBACK_US = 1500000


def overlaps(c, bitrate):
    """Frames that begin before the one before them is over, and those that begin just then."""
    bits = oracle.frame_bits(c)
    whole, seen = -(-bits * 1000000 // bitrate), -(-(bits - 3) * 1000000 // bitrate)
    start = c.t - seen
    free = start + whole
    return int((start[1:] < free[:-1]).sum()), int((start[1:] == free[:-1]).sum()), whole.sum() / (c.t[-1] - c.t[0])


def burst(c):
    """First and last time of the attack: one burst in a capture of this length."""
    t = c.t[c.label]
    return t[0], t[-1]


def rows_of(c, which):
    return list(zip(c.id[which].tolist(), c.len[which].tolist(), [bytes(d) for d in c.data[which]]))


def distance(a, b):
    return sum(bin(x ^ y).count("1") for x, y in zip(a, b))


# ---- the bus and the senders


def bus(captures):
    for c in captures:
        bad, tight, load = overlaps(c, BITRATE)
        fact("bus__frames_do_not_overlap %s" % os.path.basename(c.path), bad == 0 and tight > 100 and .1 < load < .95, (bad, tight, load))


def slower_bus(root):
    must(canids("sim", root, "slow", sim__vehicles=2, sim__seconds=4, sim__bitrate=125000, sim__ids_max=40))
    c = oracle.Capture(os.path.join(root, "slow/test_02_unknown_vehicle_known_attack/DoS-carB.csv"))
    fact("bus__has_the_bit_rate_that_was_asked_for", overlaps(c, 125000)[0] == 0 and overlaps(c, 62500)[0] > 100)


def checksums(free):
    kinds = {"sum": 0, "xor": 0, "crc8": 0}
    n = 0
    for ident in sorted(set(free.id.tolist())):
        rows = [d[:k] for _, k, d in rows_of(free, free.of(ident))][:50]
        if len(set(rows)) < 10:
            continue
        n += 1
        hold = {"sum": all((ident + sum(d[:-1])) & 0xFF == d[-1] for d in rows),
                "xor": all(numpy.bitwise_xor.reduce(list(d[:-1])) == d[-1] for d in rows),
                "crc8": all(oracle.crc8(d[:-1]) == d[-1] for d in rows)}
        for k in kinds:
            kinds[k] += hold[k]
    assert oracle.crc8(oracle.CRC8_CHECK[0]) == oracle.CRC8_CHECK[1]
    fact("senders__have_checksums_of_three_kinds", min(kinds.values()) > 0 and .2 * n < sum(kinds.values()) < .8 * n, (kinds, n))


def wide(free, ident, at):
    d = free.data[free.of(ident)].astype(float)
    return free.t[free.of(ident)], 256 * d[:, at] + d[:, at + 1]


def four_wheels(free):
    """Identifiers that show four things that go together, and those that are sent often."""
    ids = sorted(i for i in set(free.id.tolist()) if (free.of(i).sum() > 500))
    wheels = []
    for i in ids:
        if free.len[free.of(i)][0] != 8:
            continue
        four = [wide(free, i, k)[1] for k in (0, 2, 4, 6)]
        if all(f.std() > 0 for f in four) and numpy.corrcoef(four).min() > .98:
            wheels.append(i)
    return wheels, ids


def correlated(free):
    wheels, ids = four_wheels(free)
    fact("senders__show_four_wheels_in_one_message", len(wheels) == 1, wheels)
    if len(wheels) != 1:
        return
    t, wheel = wide(free, wheels[0], 0)
    like = 0
    for i in ids:
        for at in range(7):
            u, v = wide(free, i, at)
            if i != wheels[0] and v.std() > 0:
                like += abs(numpy.corrcoef(v, numpy.interp(u, t, wheel))[0, 1]) > .98
    fact("senders__of_other_identifiers_show_the_same_speed", like >= 1, like)
    # a whole trip in 16 s: a leg of it takes 0.27 s
    stands, fast = (wheel == 0).mean(), (wheel > 80 * 64).mean()
    fact("driving__stands_and_goes_fast_in_one_trip", stands > .1 and fast > .1 and abs(numpy.diff(wheel)).max() < 10 * 64, (stands, fast, abs(numpy.diff(wheel)).max()))


def period_of(t):
    """The nearest class of periods, us."""
    return 1000 * min((10, 20, 50, 100, 200, 500, 1000), key=lambda ms: abs(numpy.median(numpy.diff(t)) / 1000 - ms))


def timing(free):
    periodic = events = 0
    for i in set(free.id.tolist()):
        t = free.t[free.of(i)]
        if len(t) < 6:
            continue
        dt = numpy.diff(t)
        nominal = period_of(t)
        near = abs(dt - nominal) < max(.05 * nominal, 2500)
        periodic += near.mean() > .9
        if len(t) % 3 == 0:
            repeats = dt[numpy.arange(len(dt)) % 3 != 2]
            events += bool((abs(repeats - 20000) < 4000).all() and (dt[2::3] > 40000).all())
    fact("senders__are_mostly_periodic_and_some_send_events_three_times", periodic > .6 * len(set(free.id.tolist())) and events > 0, (periodic, events))
    share = ((free.id >> 29) & 1)[numpy.unique(free.id, return_index=True)[1]].mean()
    fact("senders__have_some_identifiers_of_29_bits", .1 < share < .4, share)


# ---- attacks


def all_attacks(captures):
    for name, c in captures.items():
        first, last = burst(c)
        span = SECONDS * SHARE * 1e6
        good = first - c.t[0] > .24 * SECONDS * 1e6 and .9 * span < last - first < 1.1 * span
        fact("%s__begins_after_a_quarter_and_lasts_its_share" % name, good, (first - c.t[0], last - first))


def own_ids(free):
    return set(free.id.tolist())


def flood(c):
    first, last = burst(c)
    inside = (c.t >= first) & (c.t <= last)
    gaps = numpy.diff(c.t[c.label])
    fact("DoS__is_identifier_0_with_zeros", set(c.id[c.label]) == {0} and not c.data[c.label].any())
    fact("DoS__has_most_of_the_bus", c.label[inside].mean() > .55, c.label[inside].mean())
    fact("DoS__wins_every_arbitration", gaps.max() < 320 + 330, gaps.max())


def fuzzing(c, free):
    rows = rows_of(c, c.label)
    fact("fuzzing__has_identifiers_and_lengths_of_all_kinds", len({r[0] for r in rows}) > 800 and {r[1] for r in rows} == set(range(9)))
    fact("fuzzing__leaves_genuine_identifiers_alone", own_ids(free) >= set(c.id[~c.label].tolist()))


def systematic(c):
    rows = rows_of(c, c.label)
    step = [(b[0] - a[0]) % 0x800 * 9 + b[1] - a[1] for a, b in zip(rows, rows[1:])]
    fact("systematic__sweeps_lengths_and_identifiers", set(step) == {1} and len(rows) > 500 and not c.data[c.label].any(), set(step))


def spoofs(captures, free):
    for how in ("random", "constant", "replayed", "altered", "after"):
        c = captures["malfunction_" + how]
        ids = set(c.id[c.label].tolist())
        fact("malfunction_%s__is_of_one_identifier_of_the_vehicle" % how, len(ids) == 1 and ids <= own_ids(free))
        ident = ids.pop()
        forged = [d for _, _, d in rows_of(c, c.label)]
        genuine, t = [d for _, _, d in rows_of(c, c.of(ident, False))], c.t[c.of(ident, False)]
        first, last = burst(c)
        before = [d for d, at in zip(genuine, t) if first - LOOKBACK_US - 2000 <= at < first + 1000]
        if how == "random":
            fact("malfunction_random__is_new_each_time", len(set(forged)) == len(forged))
        elif how == "constant":
            fact("malfunction_constant__is_one_payload", len(set(forged)) == 1)
        elif how == "replayed":
            fact("malfunction_replayed__was_seen_before_the_burst", set(forged) <= set(before) and len(set(forged)) > 5, len(set(forged)))
        elif how == "altered":
            far = [min(distance(d, b) for b in before[-3:]) for d in forged]
            fact("malfunction_altered__differs_in_up_to_four_bits", max(far) <= 4 and numpy.mean(far) > 1, max(far))
        else:
            at = c.t[c.of(ident, True)]
            lag = at - t[numpy.searchsorted(t, at) - 1]
            fact("malfunction_after__comes_just_behind_a_genuine_one", lag.min() >= 200 and numpy.median(lag) < 4000, (lag.min(), lag.max()))
            inside = ((t >= first - 5000) & (t < last)).sum()
            fact("malfunction_after__is_one_for_each", abs(inside - len(at)) <= 2, (inside, len(at)))


def replay(c):
    first, _ = burst(c)
    window = rows_of(c, ~c.label & (c.t >= first - LOOKBACK_US) & (c.t < first))
    sent = rows_of(c, c.label)
    found = [k for k in range(len(window)) if window[k:] == sent[:len(window) - k] and len(window) - k > 100]
    if not found:  # the last genuine frame may have begun before the burst and ended in it
        found = [k for k in range(len(window)) if window[k:-1] == sent[:len(window) - k - 1] and len(window) - k > 100]
    fact("replay__repeats_what_was_there_before", len(found) == 1, (len(window), len(sent)))
    if found:
        n = len(window) - found[0]
        was, now = (c.t[~c.label & (c.t >= first - LOOKBACK_US) & (c.t < first)][found[0]:], c.t[c.label][:n])
        late = numpy.median(abs((now - now[0])[:n - 1] - (was - was[0])[:n - 1]))
        fact("replay__keeps_the_time_between_frames", late < 5000, late)
        again = sum(a == b for a, b in zip(sent, sent[n:])) / max(1, len(sent) - n)
        fact("replay__goes_round", len(sent) <= n or max(again, sum(a == b for a, b in zip(sent, sent[n + 1:])) / (len(sent) - n - 1)) > .99, again)


def suppress(c, free):
    first, last = burst(c)
    gap = {i: numpy.diff(c.t[c.of(i)]).max() for i in set(c.id.tolist()) if c.of(i).sum() > 300}
    ident = max((i for i in gap), key=lambda i: gap[i] * c.of(i).sum())
    inside = c.of(ident) & (c.t >= first) & (c.t < last)
    period = period_of(free.t[free.of(ident)])
    fact("suppress__leaves_none", inside.sum() == 0 and gap[ident] > .95 * SHARE * SECONDS * 1e6, (hex(ident), inside.sum(), gap[ident]))
    fact("suppress__labels_a_frame_for_each_that_is_absent", abs(c.label.sum() - (last - first) / period) < 3, (c.label.sum(), (last - first) / period))


def masquerade(c, free):
    ids = set(c.id[c.label].tolist())
    fact("masquerade__is_of_one_identifier", len(ids) == 1)
    ident = ids.pop()
    first, last = burst(c)
    mine = c.of(ident)
    t = c.t[mine]
    period = period_of(free.t[free.of(ident)])
    jitter = min(period / 50, 1000)
    k = numpy.round((t - t[0]) / period)
    off = t - t[0] - k * period
    fact("masquerade__leaves_no_genuine_one_between", c.label[mine & (c.t >= first) & (c.t <= last)].all())
    fact("masquerade__keeps_the_period", set(numpy.diff(k)) == {1} and numpy.ptp(off) < 2 * jitter + 4000, (numpy.ptp(off), period))
    genuine = rows_of(c, mine & ~c.label)
    forged = rows_of(c, mine & c.label)
    data = c.data[mine].astype(int)
    counters = [b for b in range(genuine[0][1]) if len(set(((numpy.diff(data[:200, b])) % 256).tolist())) == 1 and data[:200, b].std() > 0]
    fact("masquerade__has_a_counter_and_a_checksum_to_keep", counters and oracle.crc8(genuine[0][2][:genuine[0][1] - 1]) == genuine[0][2][genuine[0][1] - 1])
    step = [set((numpy.diff(data[:, b]) % 256).tolist()) for b in counters]
    fact("masquerade__goes_on_with_the_counter", all(len(s) == 1 for s in step), (counters, step))
    for name, holds in (("sum", lambda d: (ident + sum(d[:-1])) & 0xFF == d[-1]), ("xor", lambda d: numpy.bitwise_xor.reduce(list(d[:-1])) == d[-1]),
                        ("crc8", lambda d: oracle.crc8(d[:-1]) == d[-1])):
        if all(holds(d[:n]) for _, n, d in genuine):
            fact("masquerade__keeps_the_checksum %s" % name, all(holds(d[:n]) for _, n, d in forged))
    rest = [b for b in range(genuine[0][1] - 1) if b not in counters]
    shown = [{tuple(d[b] for b in rest) for _, _, d in rows} for rows in (genuine, forged)]
    fact("masquerade__shows_one_other_thing_beside_them", rest and len(shown[1]) == 1 and not shown[0] & shown[1], shown)


def in_step(c, ident):
    """Time of each frame of an identifier of 10 or 20 ms against an even step; what is sent late for a busy bus is left out by the median."""
    t = c.t[c.of(ident)]
    period = period_of(t)
    return t, t - t[0] - numpy.round((t - t[0]) / period) * period, c.label[c.of(ident)], period


def masquerade_timed(c, plain):
    """Beside `plain`, a masquerade of the same vehicle at the genuine times."""
    ids = set(c.id[c.label].tolist())
    fact("masquerade_timed__is_of_the_identifier_that_masquerade_forges", ids == set(plain.id[plain.label].tolist()) and len(ids) == 1, ids)
    ident = ids.pop()
    first, last = burst(c)
    t, off, label, period = in_step(c, ident)
    fact("masquerade_timed__leaves_no_genuine_one_between", label[(t >= first) & (t <= last)].all())
    fact("masquerade_timed__sends_as_many_as_the_genuine_sender", abs(label.sum() - (last - first) / period - 1) < 2, label.sum())
    late = numpy.median(off[label]) - numpy.median(off[~label])
    fact("masquerade_timed__is_late_by_less_than_a_sixteenth_of_a_period", 50 < late < period / 16 + 100, (late, period))
    spread = [numpy.percentile(off[w], 90) - numpy.percentile(off[w], 10) for w in (label, ~label)]
    fact("masquerade_timed__has_the_jitter_of_the_genuine_sender", .6 < spread[0] / spread[1] < 1.7, spread)


def correlated_attack(c, free):
    wheels, _ = four_wheels(free)
    ids = set(c.id[c.label].tolist())
    fact("correlated__is_of_one_identifier_and_not_the_wheels", len(ids) == 1 and len(wheels) == 1 and not ids & set(wheels), (ids, wheels))
    ident = ids.pop()
    t, off, label, period = in_step(c, ident)
    first, last = burst(c)
    speed = wide(c, ident, 0)[1] / 64
    other = numpy.interp(t, *wide(c, wheels[0], 0)) / 64
    fact("correlated__leaves_no_genuine_one_between", label[(t >= first) & (t <= last)].all())
    fact("correlated__keeps_the_times", abs(numpy.median(off[label]) - numpy.median(off[~label])) < 500)
    fact("correlated__says_what_the_wheels_say_but_in_the_attack", numpy.median(abs(speed - other)[~label]) < 2 and abs(speed - other)[label].max() > 20,
         (numpy.median(abs(speed - other)[~label]), abs(speed - other)[label].max()))
    step, inside = abs(numpy.diff(speed)), label[1:] | label[:-1]
    fact("correlated__is_no_steeper_than_the_true_speed_is_elsewhere", step[inside].max() <= 1.1 * step[~inside].max(), (step[inside].max(), step[~inside].max()))
    data = c.data[c.of(ident)].astype(int)
    fact("correlated__goes_on_with_the_counter", set((numpy.diff(data[:, 6]) % 256).tolist()) == {1})
    fact("correlated__keeps_the_checksum", all(oracle.crc8(bytes(d[:7].tolist())) == d[7] for d in data[label]))
    engine, order = wide(c, ident, 2)[1], numpy.argsort(other[~label], kind="stable")
    usual = numpy.interp(other[label], other[~label][order], engine[~label][order])  # at that speed of the wheels
    wrong = numpy.interp(speed[label], other[~label][order], engine[~label][order])
    far = [numpy.median(abs(engine[label] - e)) for e in (usual, wrong)]
    fact("correlated__leaves_the_engine_to_the_genuine_speed", far[0] < 200 < far[1], far)


def diagnostic(c):
    services = {0x10, 0x11, 0x14, 0x19, 0x22, 0x27, 0x3E}  # ISO 14229-1
    rows = rows_of(c, c.label)
    fact("diagnostic__asks_7DF_and_7E0_to_7E7", {r[0] for r in rows} == {0x7DF} | set(range(0x7E0, 0x7E8)))
    fact("diagnostic__sends_single_frames_of_services", all(d[0] in (2, 3, 4) and d[1] in services and not any(d[1 + d[0]:]) for _, _, d in rows))


# ---- files


def files(root):
    must(canids("sim", root, "rows", sim__vehicles=2, sim__rows=40001, sim__seconds=1, sim__known="DoS", sim__unknown="replay"))
    for f in oracle.manifest(os.path.join(root, "rows"))["files"]:
        c = oracle.Capture(os.path.join(root, "rows", f["path"]))
        good = len(c.t) == 40001 == f["rows"] and f["attack_rows"] == c.label.sum() and f["bytes"] == os.path.getsize(c.path)
        fact("rows__are_as_many_as_asked_for %s" % f["path"], good and (c.label.sum() > 0) == (f["attack"] != "none"), (len(c.t), f))
    for set_, seconds in (("whole", 0), ("parts", 3.7)):
        must(canids("sim", root, set_, sim__vehicles=2, sim__seconds=23, sim__known="DoS", sim__unknown="masquerade,masquerade_timed,correlated", sim__file_seconds=seconds))
    for f in oracle.manifest(os.path.join(root, "whole"))["files"]:
        lines = open(os.path.join(root, "whole", f["path"])).readlines()
        parts = ["%s-%04d.csv" % (os.path.join(root, "parts", f["path"])[:-4], k + 1) for k in range(7)]
        again = [line for p in parts for line in open(p).readlines()[1:]]
        fact("parts__are_the_whole %s" % f["path"], again == lines[1:])


def refusals(root):
    for wrong, says in (({"sim.known": "DoS,flod"}, "flod"), ({"sim.unknown": "DoS"}, "sim.known"), ({"sim.known": "DoS,DoS"}, "twice"), ({"sim.unknown": " "}, "no attack"),
                        ({"sim.bitrate": 20000}, "no room"), ({"sim.rows": 5, "sim.file_seconds": 2}, "file_seconds"), ({"sim.attack_share": .8}, "0.8"),
                        ({"sim.rows": 4 * 10**10}, "at most"), ({"sim.unknown": "correlated", "sim.ids_min": 2}, "correlated"),
                        ({"sim.base": "never"}, "data.set"), ({"sim.base": "../x"}, "sim.base"), ({"sim.bitrate": 5}, "sim.bitrate"), ({"sim.extended": 2}, "sim.extended")):
        ran = canids("sim", root, "never", **{k.replace(".", "__"): v for k, v in wrong.items()})
        fact("sim__refuses %s" % wrong, ran.returncode == 78 and says in ran.stdout and not os.path.exists(os.path.join(root, "never")), (ran.returncode, ran.stdout[-500:]))


def main(root):
    must(canids("sim", root, "all", sim__vehicles=2, sim__seconds=SECONDS, sim__attack_share=SHARE, sim__known=KNOWN, sim__unknown=UNKNOWN,
                sim__ids_min=50, sim__ids_max=60, sim__extended=.25, sim__seed=23))
    ran = canids("scan", root, "all")
    fact("scan__accepts_every_row", ran.returncode == 0, ran.stdout[-1000:])
    free = oracle.Capture(os.path.join(root, "all/train_01_attack_free/attack-free-carA.csv"))
    one = {a: oracle.Capture(os.path.join(root, "all", "test_01_known_vehicle_known_attack" if a in KNOWN.split(",") else "test_03_known_vehicle_unknown_attack", a + "-carA.csv"))
           for a in (KNOWN + "," + UNKNOWN).split(",")}
    bus([free] + list(one.values()))
    slower_bus(root)
    checksums(free)
    correlated(free)
    timing(free)
    all_attacks(one)
    flood(one["DoS"])
    fuzzing(one["fuzzing"], free)
    systematic(one["systematic"])
    spoofs(one, free)
    replay(one["replay"])
    suppress(one["suppress"], free)
    masquerade(one["masquerade"], free)
    masquerade_timed(one["masquerade_timed"], one["masquerade"])
    correlated_attack(one["correlated"], free)
    diagnostic(one["diagnostic"])
    files(root)
    refusals(root)


run(main)
