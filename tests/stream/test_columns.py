#!/usr/bin/python3
# TIMEOUT: 240
"""Every column of `agnostic` of every window that `canids run` builds against the slow second implementation in reference.py, on made
captures and on parts of real ones; stores of any number of ranks have the same bytes."""
import concurrent.futures
import os
import sys

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "run"))
import captures  # noqa: E402
import reference  # noqa: E402
from common import SHARED, Place, hashes, main, parallel, run, skipped, told  # noqa: E402

# Both sides round to float once, 6e-8 of a value; a z-score divides by a spread of .02 or more what double leaves of a mean square less
# a squared mean, which a column of 16 brings to 1e-7.
TOLERANCE = 5e-7
PREFIX_S = 1.25
TEXT = "data: {root: %(root)s/data, set: made}\nrun: {dir: %(root)s/run}\nfeatures: {set: agnostic, prefix_s: 1.25}\nmodel: {preset: agnostic}\n"
REAL = (("hcrl_sa/train_02_with_attacks/fuzzing-sonata.csv", 37000, 43000),            # the attack begins at 40,494
        ("set_01/train_02_with_attacks/targeted_payload_fuzzing-2.csv", 6000, 12000))  # at 9,789; steps back from 10,226 on


def settings(place, past, W, S, there, of="made"):
    found = {"run.dir": place.path(there), "pipeline": "scan,build", "data.set": of, "features.past": past, "window.frames": W, "window.stride": S}
    if past == "profile":
        found["features.profile"] = place.path("made.profile")
    return found


def read(path):
    """{capture's name: its graphs}"""
    found = {}
    with h5py.File(path, "r") as f:
        get = {k: f[k][()] for k in f}
    for c, name in enumerate(get["capture_path"]):
        name = name.decode() if isinstance(name, bytes) else bytes(name).rstrip(b"\0").decode()
        graphs = []
        for g in range(get["capture_graph"][c], get["capture_graph"][c + 1]):
            n, e = (slice(get[k][g], get[k][g + 1]) for k in ("graph_node", "graph_edge"))
            graphs.append(reference.Graph(int(get["graph_row"][g]), int(get["graph_label"][g]), int(get["graph_warm"][g]), get["id_value"][get["node_id"][n]],
                                          get["node_x"][n], get["edge_src"][e], get["edge_dst"][e], get["edge_x"][e], get["edge_label"][e],
                                          get["graph_window"][g]))
        found[name] = graphs
    return found


def wrong(past, got, want):
    """What differs first, and in how many columns; '' when nothing does."""
    if len(got) != len(want):
        return "%d windows, not %d" % (len(got), len(want))
    node, edge, window = reference.columns(past)
    said = {}
    for a, b in zip(got, want):
        for what in ("row", "attack", "warm", "ids", "src", "dst", "edge_attack"):
            if not np.array_equal(getattr(a, what), getattr(b, what)):
                said.setdefault(what, "%s of row %d: %s, not %s" % (what, b.row, str(getattr(a, what))[:200], str(getattr(b, what))[:200]))
        for what, names in (("x", node), ("e", edge), ("w", window)):
            x, y = np.atleast_2d(getattr(a, what)), np.atleast_2d(np.array(getattr(b, what)))
            if x.shape != y.shape:
                said.setdefault(what, "%s of row %d: shape %s, not %s" % (what, b.row, x.shape, y.shape))
                continue
            for k in np.flatnonzero((~(np.abs(x - y) <= TOLERANCE * np.maximum(1, np.abs(y)))).any(axis=0)):
                i = int(np.argmax(np.abs(x[:, k] - y[:, k])))
                said.setdefault(what + "." + names[k], "%s.%s of row %d, %d: %.9g, not %.9g" % (what, names[k], b.row, i, x[i, k], y[i, k]))
    return "" if not said else "%d differ: %s" % (len(said), "; ".join(list(said.values())[:12]))


def expected(job):
    past, W, S, rows, known = job
    return list(reference.graphs(rows, past, W, S, int(PREFIX_S * 1e9), known))


def compare(place, pool, of, past, W, S, sets, known=None):
    """One set of captures built once, every window of it compared."""
    name = "columns__%s_of_%s_at_%d_%d" % (past, of, W, S)
    later = {path: pool.submit(expected, (past, W, S, rows, known if past == "profile" else None)) for path, rows in sets.items()}
    there = "%s_%s_%d_%d" % (of, past, W, S)
    done = run("run", place.conf, settings=settings(place, past, W, S, there, of))
    if not told(done.code == 0, name + "_is_built", done):
        return
    got = read(place.path(there, "store.h5"))
    bad = ["%s: %s" % (path, w) for path, w in ((path, wrong(past, got.get(path, []), want.result())) for path, want in later.items()) if w]
    graphs = [g for want in later.values() for g in want.result()]
    told(not bad and sum(g.warm for g in graphs) > 20 and any(g.attack for g in graphs), name, " / ".join(bad) or "few windows")


def ranks(place, past):
    """Blocks of a few hundred frames: nearly every rank begins inside a capture."""
    def one(n):
        there = "ranks_%s_%d" % (past, n)
        done = run("run", place.conf, ranks=n, settings=dict(settings(place, past, 50, 50, there), **{"data.block": 16384}))
        return done, hashes(place.path(there), ["store.h5"])["store.h5"]
    all_of = parallel(one, (1, 2, 3, 7), 2)
    told(all(d.code == 0 for d, _ in all_of) and len({h for _, h in all_of}) == 1, "columns__%s_has_one_hash_on_1_2_3_7_ranks" % past,
         [(d.code, h) for d, h in all_of])


def test():
    sets = {"train_01_made/a.csv": captures.made(1, 2.4, True), "train_01_made/short.csv": captures.made(2, .02, False),
            "test_01_made/b.csv": captures.made(3, 1.5, True, 400), "test_01_made/crowded.csv": captures.crowded(), "test_01_made/borders.csv": captures.borders()}
    recordings = [captures.made(1, 1.5, False)[:4050], captures.made(4, .8, False)]
    with Place(text=TEXT, simulate=False) as place, concurrent.futures.ProcessPoolExecutor(2) as pool:
        for path, rows in sets.items():
            place.write("data/made/" + path, captures.text(rows))
        names = [place.write("recording_%d.csv" % k, captures.text(rows)) for k, rows in enumerate(recordings)]
        done = run("profile", "learn", place.conf, "-o", place.path("made.profile"), *names, settings={"window.frames": 50, "window.stride": 50})
        told(done.code == 0, "columns__profile_is_learned", done)
        known = reference.learn(recordings, 50, 50)
        for past in ("none", "run", "guard", "prefix", "profile"):
            compare(place, pool, "made", past, 50, 50, sets, known)
        for past, W, S in (("none", 120, 45), ("none", 40, 55), ("both", 120, 45), ("both", 40, 55), ("prefix", 110, 25), ("prefix", 40, 55)):
            compare(place, pool, "made", past, W, S, sets)
        for past in ("run", "guard", "prefix"):
            ranks(place, past)
        parts = {}
        for path, first, last in REAL:
            name, source = "columns__of_" + os.path.basename(path), os.path.join(SHARED, "data", path)
            if os.path.exists(source):
                parts["train_01_part/" + os.path.basename(path)] = captures.part(source, first, last)
                place.write("data/real/train_01_part/" + os.path.basename(path), captures.text(parts["train_01_part/" + os.path.basename(path)]))
            else:
                skipped(name, path + " is not in the shared data")
        for past in ("run", "guard") if parts else ():
            compare(place, pool, "real", past, 100, 100, parts)


if __name__ == "__main__":
    main(test)
