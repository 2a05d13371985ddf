#!/usr/bin/python3
# TIMEOUT: 300
"""The three layouts hold the same graphs: of real captures and of simulated ones, both feature sets, both kinds of edges."""
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from common import BUILD, ROOT, SHARED, Place, inspect, main, run, sha, skipped, told  # noqa: E402

TEST = os.path.join(BUILD, "tests/store/test_store")
PARTS = ("n", "id", "x", "ends", "e")
LAYOUTS = {"kd35": ("compact", "float32", "messages"), "kd11": ("float32", "messages")}
REAL = {"train_01_attack_free/attack-free-sonata.csv": "train_01_attack_free", "test_02_unknown_vehicle_known_attack/fuzzing-Spark.csv": "test_02_unknown_vehicle_known_attack"}
TEXT = """data: {root: %(root)s, set: sim}
run: {dir: %(root)s/run}
sim: {seed: 3, vehicles: 2, seconds: %(seconds)s, ids_min: 20, ids_max: 30}
model: {id_dim: 8, heads: 2, channels: 8, layers: 1, head_layers: 2, head_dim: 16}
train: {epochs: 1, batch: 32, shard_rows: 128}
pipeline: scan,build
"""


def build(place, name, ranks=0, **settings):
    """A run of its own; returns the run directory, None when it failed."""
    folder = place.path(name)
    done = run("run", place.conf, ranks=ranks, settings=dict({"run.dir": folder}, **settings))
    if done.code != 0:
        told(False, "layouts__can_be_built", "%s: %s" % (name, done))
        return None
    return folder


def graphs(store):
    """All graphs of a store, as its reader gives them."""
    out = store + ".dump"
    subprocess.run([TEST, "dump", store, out], check=True, timeout=60)
    return {part: open(out + "." + part, "rb").read() for part in PARTS}


def half_of(x, scale):
    """Half precision by numpy alone: what a compact store holds for single-precision values."""
    with np.errstate(over="ignore"):
        return np.clip(x.astype(np.float64) * 2.0 ** scale, -65504, 65504).astype(np.float32).astype(np.float16)


def compact_is_rounded(compact, single):
    """[what is wrong] with a compact store whose values should be those of the float32 one."""
    wrong = []
    with h5py.File(compact, "r") as c, h5py.File(single, "r") as f:
        shared = [k for k in f if k not in ("node_x", "edge_x")]
        wrong += [k for k in shared if not np.array_equal(c[k][()], f[k][()])]
        half, x, scale = c["node_x"][()], f["node_x"][()], c["node_x"].attrs["log2_scale"].astype(float)
        wrong += ["node_x"] * (not np.array_equal(half.view(np.uint16), half_of(x, scale).view(np.uint16)))
        off = np.abs(half.astype(np.float64) * 2.0 ** -scale - x)
        inside = np.abs(x) * 2.0 ** scale <= 65504
        wrong += ["the bound"] * bool((off > np.maximum(np.abs(x) * 2.0 ** -11, 2.0 ** (-25 - scale)))[inside].any())
        edges = np.column_stack([c[k][()].astype(np.float32) for k in ("edge_iat", "edge_byte", "edge_bidir", "edge_freq")])
        wrong += ["edge_x"] * (not np.array_equal(edges, f["edge_x"][()]))
        bytes_node = sum(c[k].dtype.itemsize * (c[k].shape[1] if c[k].ndim > 1 else 1) for k in c if k.startswith("node_"))
        bytes_edge = sum(c[k].dtype.itemsize * (c[k].shape[1] if c[k].ndim > 1 else 1) for k in c if k.startswith("edge_"))
        wrong += ["%d bytes a node, %d an edge" % (bytes_node, bytes_edge)] * ((bytes_node, bytes_edge) != (72, 16))
    return wrong


def layouts_agree(place, what, **settings):
    for features, layouts in LAYOUTS.items():
        for compat in ("none", "reference"):
            name = "%s_%s_%s_" % (what, features, compat)
            folder = {l: build(place, name + l, **{"features.set": features, "features.compat": compat, "store.layout": l}, **settings) for l in layouts}
            if None in folder.values():
                continue
            store = {l: os.path.join(folder[l], "store.h5") for l in layouts}
            single, messages = graphs(store["float32"]), graphs(store["messages"])
            n = len(single["n"]) // 8
            told(n > 20 and single == messages, "messages__of_%s_give_the_graphs_of_float32_%s_%s" % (what, features, compat),
                 "%d graphs; %s differ" % (n, [p for p in PARTS if single[p] != messages[p]]))
            if features == "kd35":
                wrong = compact_is_rounded(store["compact"], store["float32"])
                read = np.frombuffer(graphs(store["compact"])["x"], np.float32)
                with h5py.File(store["compact"], "r") as f:
                    want = (f["node_x"][()].astype(np.float64) * 2.0 ** -f["node_x"].attrs["log2_scale"].astype(float)).astype(np.float32)
                wrong += ["what is read"] * (not np.array_equal(read, want.ravel()))
                told(not wrong, "compact__of_%s_is_float32_rounded_%s" % (what, compat), wrong)
            for f in folder.values():
                shutil.rmtree(f)


def messages_hardly_grow(place):
    """Another stride costs a messages store 29 bytes a graph: no more than its arrays of graphs."""
    size = {}
    for stride in (100, 10):
        for layout in ("compact", "messages"):
            folder = build(place, "grow", **{"store.layout": layout, "window.stride": stride})
            with h5py.File(os.path.join(folder, "store.h5"), "r") as f:
                size[layout, stride] = sum(f[k].size * f[k].dtype.itemsize for k in f), len(f["graph_row"])
                said = inspect(os.path.join(folder, "store.h5"))
                told(said["layout"] == layout and abs(said["bytes_per_graph"] - size[layout, stride][0] / size[layout, stride][1]) < 1e-6,
                     "inspect__says_bytes_of_a_graph_%s_%d" % (layout, stride), said)
    (a, m), (b, n) = size["messages", 100], size["messages", 10]
    told(b - a == 29 * (n - m), "messages__cost_29_bytes_for_a_further_graph", size)
    (a, m), (b, n) = size["compact", 100], size["compact", 10]
    told(3000 < a / m < 4700 and 3000 < b / n < 4700, "compact__has_4_5_kilobytes_for_a_graph_at_most", size)


def ranks_write_the_same(place):
    for features, layouts in LAYOUTS.items():
        for layout in layouts:
            shas = {}
            for ranks in (0, 1, 2, 3, 5, 8):
                folder = build(place, "ranks", ranks, **{"features.set": features, "store.layout": layout, "window.stride": 30, "data.block": 8192})
                shas[ranks] = sha(os.path.join(folder, "store.h5")) if folder else "failed"
                shutil.rmtree(folder or "", ignore_errors=True)
            told(len(set(shas[r] for r in shas)) == 1, "%s__of_%s_has_one_sha256_for_1_2_3_5_8_ranks" % (layout, features), shas)


def training_is_the_same(place):
    """Of what is the same graphs.  compact rounds: it may give other weights."""
    for features in LAYOUTS:
        weights = {}
        for layout in ("float32", "messages"):
            folder = build(place, "train", **{"features.set": features, "store.layout": layout, "pipeline": "scan,build,train,eval"})
            weights[layout] = inspect(os.path.join(folder, "best.h5"))["weights_sha256"], sha(os.path.join(folder, "results.csv"))
            if features == "kd11" and layout == "float32":
                with h5py.File(os.path.join(folder, "best.h5"), "r") as f:
                    told(f["scaler_node"][0].tolist() == [0, 1e300], "scaler__makes_nothing_of_a_number_of_the_vocabulary", f["scaler_node"][0])
            shutil.rmtree(folder)
        told(weights["float32"] == weights["messages"], "training__on_messages_gives_the_weights_of_float32_%s" % features, weights)


def another_layout_builds_again(place):
    first = build(place, "again")
    told(inspect(os.path.join(first, "store.h5"))["layout"] == "compact", "auto__is_compact_for_kd35")
    for layout in ("float32", "messages", "compact"):
        done = run("run", place.conf, settings={"run.dir": first, "store.layout": layout})
        told(done.code == 0 and "build: runs: " in done.out and inspect(os.path.join(first, "store.h5"))["layout"] == layout,
             "build__again_for_layout_" + layout, done)
        done = run("run", place.conf, settings={"run.dir": first, "store.layout": layout})
        told(done.code == 0 and "build: skipped" in done.out, "build__is_skipped_for_the_same_layout_" + layout, done.out)
    done = run("train", place.conf, settings={"run.dir": first, "store.layout": "float32"})
    told(done.code == 78 and "store.layout" in done.out, "train__refuses_a_store_of_another_layout", done)
    folder = build(place, "auto", **{"features.set": "kd11"})
    told(inspect(os.path.join(folder, "store.h5"))["layout"] == "float32", "auto__is_float32_for_kd11")
    done = run("run", place.conf, settings={"run.dir": folder, "store.layout": "compact", "features.set": "kd11"})
    told(done.code == 78 and "no compact form" in done.out, "compact__is_refused_for_kd11", done)


def changed_captures_alone_are_built(place):
    """Incremental: graphs, or frames, of the captures that stayed are taken over, to the same bytes."""
    data = place.path("sim")
    captures = sorted(os.path.join(where, n) for where, _, names in os.walk(data) for n in names if n.endswith(".csv"))
    changed = next(c for c in captures if "/train_" in c)
    with open(changed, encoding="utf-8") as f:
        lines = f.read().split("\n")
    shorter = lines[:-300] + [""]
    renamed = lines[:-1] + [lines[-2].split(",")[0] + ",001,00,0", ""]  # all numbers of the vocabulary change
    for features, layout, content, taken in (("kd35", "float32", shorter, True), ("kd35", "messages", shorter, True), ("kd11", "float32", shorter, True),
                                             ("kd11", "messages", shorter, True), ("kd11", "float32", renamed, False), ("kd11", "messages", renamed, True)):
        settings = {"features.set": features, "store.layout": layout, "window.stride": 30, "store.chunk": 7, "data.block": 8192}
        place.write(changed, "\n".join(lines))
        folder = build(place, "part", **settings)
        place.write(changed, "\n".join(content))
        done = run("run", place.conf, ranks=2, settings=dict(settings, **{"run.dir": folder}))
        other = build(place, "whole", **settings)
        a, b = sha(os.path.join(folder, "store.h5")), sha(os.path.join(other, "store.h5"))
        told(done.code == 0 and a == b and ("are taken over" in done.out) == taken,
             "incremental__%s_of_%s_is_what_a_full_build_gives%s" % (layout, features, "_of_another_vocabulary" * (content is renamed)), "%s %s: %s" % (a, b, done.out))
        shutil.rmtree(folder)
        shutil.rmtree(other)


def damage_is_refused(place):
    for layout in ("compact", "float32", "messages"):
        store, bad = os.path.join(build(place, "damage", **{"store.layout": layout}), "store.h5"), []
        with open(store, "rb") as f:
            good = f.read()
        for what, content in (("a bit", good[:len(good) // 2] + bytes([good[len(good) // 2] ^ 4]) + good[len(good) // 2 + 1:]), ("the end", good[:-1]), ("half", good[:len(good) // 2])):
            with open(store, "wb") as f:
                f.write(content)
            code = subprocess.run([os.path.join(BUILD, "canids"), "inspect", store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode
            opened = subprocess.run([TEST, "open", store], stdout=subprocess.PIPE, text=True, timeout=60).stdout
            train = run("train", place.conf, settings={"run.dir": os.path.dirname(store), "store.layout": layout})
            if code != 65 or train.code != 65 or (what != "a bit" and "CI_EFORMAT" not in opened):
                bad.append("%s: inspect %d, train %s, %s" % (what, code, train.code, opened))
        for name, change, want in (("a row beyond its capture", lambda f: f["graph_row"].__setitem__(2, 10**7), "begins at row"),
                                   ("version 1", lambda f: f.attrs.__setitem__("format_version", np.int64(1)), "version 1, this program reads 2; build it again"),
                                   ("frames elsewhere", lambda f: f["capture_frame"].__setitem__(1, 5) if layout == "messages" else f["graph_node"].__setitem__(1, 10**6), "wanted" if layout == "messages" else "cannot be")):
            with open(store, "wb") as f:
                f.write(good)
            with h5py.File(store, "r+") as f:
                change(f)
            opened = subprocess.run([TEST, "open", store], stdout=subprocess.PIPE, text=True, timeout=60).stdout
            if not opened.startswith("CI_EFORMAT") or want not in opened:
                bad.append("%s: %s" % (name, opened))
        told(not bad, "store_open__refuses_what_is_damaged_of_layout_" + layout, bad)


def tool_reads(place):
    for layout, last in (("compact", "  edge "), ("float32", "  edge "), ("messages", "  frame at ")):
        store = os.path.join(build(place, "tool", **{"store.layout": layout}), "store.h5")
        ran = subprocess.run([sys.executable, os.path.join(ROOT, "tools/read_store.py"), store, "3"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        told(ran.returncode == 0 and "layout " + layout in ran.stdout and ran.stdout.count("\n" + last) == (100 if layout == "messages" else 99), "read_store.py__reads_layout_" + layout, ran.stdout[-300:])


def real(place):
    source = os.path.join(SHARED, "data", "hcrl_sa")
    if not os.path.isdir(source):
        skipped("layouts__of_real_captures", source + " is not there")
        return
    for path, folder in REAL.items():
        os.makedirs(place.path("real", folder))
        shutil.copy(os.path.join(source, path), place.path("real", folder))
    layouts_agree(place, "real_captures", **{"data.set": "real"})


def test():
    if not os.path.exists(TEST):
        told(False, "layouts__have_their_program", TEST + " is missing, run make tests")
        return
    with Place(text=TEXT) as place:
        layouts_agree(place, "simulated_captures", **{"window.stride": 20})
        real(place)
        messages_hardly_grow(place)
        ranks_write_the_same(place)
        training_is_the_same(place)
        another_layout_builds_again(place)
        changed_captures_alone_are_built(place)
        damage_is_refused(place)
        tool_reads(place)


if __name__ == "__main__":
    main(test)
