#!/usr/bin/python3
# TIMEOUT: 60
"""The window table and the identifiers of the source document, from captures to the store, read with h5py."""
import h5py
import numpy as np

from common import Place, inspect, main, run, told

HEADER = "timestamp,arbitration_id,data_field,attack\n"
TABLE = [(100, 100, 100, 1), (200, 100, 100, 2), (150, 100, 50, 2), (50, 100, 100, 0)]  # rows, W, S, graphs


def capture(n, ids):
    return HEADER + "".join("%d.%06d,%s,%04X,0\n" % (i // 1000, i % 1000 * 1000, ids[i % len(ids)], i) for i in range(n))


def built(place, name, files, **settings):
    """Scan and build captures {path: content}; where they are, and how it ended."""
    for path, text in files.items():
        place.write("%s/s/%s" % (name, path), text)
    there = place.path(name + "_run")
    return there, run("run", place.conf, settings=dict({"pipeline": "scan,build", "data.root": place.path(name), "data.set": "s", "run.dir": there}, **settings))


def windows(place):
    """A second capture of 400 rows, where the first makes no window: a store of no graph is refused."""
    for n, w, s, want in TABLE:
        name = "table_%d_%d_%d" % (n, w, s)
        files = {"train_01/a.csv": capture(n, ["1A", "FF"]), "train_02/b.csv": capture(400, ["1A", "FF", "0"])}
        there, done = built(place, name, files, **{"window.frames": w, "window.stride": s})
        said = inspect(there + "/store.h5")
        got = said and said["folders"].get("train_01", {}).get("graphs")
        told(done.code == 0 and got == want, "source__%d_rows_W_%d_S_%d_make_%d_graphs" % (n, w, s, want), "%s %s" % (got, done))


def identifiers(place):
    there, done = built(place, "ids", {"train_01/a.csv": capture(200, ["1A", "FF", "0", "7DF"]), "test_01/b.csv": capture(100, ["1A", "123", "7DF"])})
    if not told(done.code == 0, "source__identifiers_are_built", done):
        return
    with h5py.File(there + "/store.h5", "r") as f:
        value, vocab = np.ravel(f["id_value"][()]), np.ravel(f["id_vocab"][()])
        known = dict(zip(value.tolist(), vocab.tolist()))
        told(sorted(value.tolist()) == [0, 26, 255, 0x123, 2015], "source__1A_FF_0_7DF_are_26_255_0_2015", value)
        told([known.get(v) for v in (0, 26, 255, 2015)] == [1, 2, 3, 4], "source__the_vocabulary_counts_in_ascending_order", known)
        told(known.get(0x123) == 0, "source__an_identifier_training_never_saw_is_0", known)
    told((inspect(there + "/store.h5") or {}).get("vocabulary") == 4, "source__the_vocabulary_does_not_grow", inspect(there + "/store.h5"))
    alone, done = built(place, "alone", {"train_01/a.csv": capture(200, ["1A", "FF", "0", "7DF"])})
    same = done.code == 0 and open(alone + "/vocabulary.json").read() == open(there + "/vocabulary.json").read()
    told(same, "source__the_vocabulary_is_the_same_without_the_test_folder", done)


def test():
    with Place(simulate=False) as place:
        windows(place)
        identifiers(place)


main(test)
