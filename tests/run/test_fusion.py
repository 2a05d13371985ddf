#!/usr/bin/python3
# TIMEOUT: 120
"""A vgae, a gat and their fusion in one run: the same on any ranks, made of what the two say, refused when one of them changed."""
import shutil
import signal

import h5py
import numpy as np

from common import JUDGED, TRAINED, Place, Started, differ, hashes, inspect, main, run, told

SMALL = {"model.hidden": "[16]", "model.latent": 8, "model.decoder_heads": 1, "train.epochs": 2, "fusion.episodes": 4, "fusion.sample": 256,
         "fusion.hidden": 16, "train.threads": 1, "eval.explain": 2}
ALL = "[vgae_small, gat_small, dqn_small]"


def scores(folder):
    with h5py.File(folder + "/scores.h5", "r") as f:
        names = [n.decode() for n in f["output_name"][:]]
        return f["graph"][:], f["score"][:], dict(zip(names, f["output"][:].astype(np.float64).T))


def made_of_both(there):
    """A and G from what vgae and gat left of the same windows, the score from them and from the policy."""
    graph, score, fused = scores(there + "/dqn_small")
    same, _, vgae = scores(there + "/vgae_small")
    also, _, gat = scores(there + "/gat_small")
    w = np.maximum(.4 * vgae["recon"] + .35 * vgae["neighbour"] + .25 * vgae["id"], 0)
    g = 1 / (1 + np.exp(gat["logit0"] - gat["logit1"]))
    q = np.stack([fused["q_%d" % k] for k in range(21)], 1)
    alpha = q.argmax(1) / 20
    off = {"windows": float(not (np.array_equal(graph, same) and np.array_equal(graph, also))),
           "A": np.abs(fused["anomaly"] - w / (1 + w)).max(), "G": np.abs(fused["classifier"] - g).max(), "alpha": np.abs(fused["alpha"] - alpha).max(),
           "score": np.abs((1 - alpha) * w / (1 + w) + alpha * g - score).max()}
    told(max(off.values()) < 1e-5, "fusion__scores_are_made_of_what_both_models_say", off)
    with h5py.File(there + "/dqn_small/explain.h5", "r") as f:
        names, row = [n.decode() for n in f["output_name"][:]], f["output"][:]
        chosen = np.searchsorted(graph, f["graph"][:])
    told(np.array_equal(row, np.stack([fused[n] for n in names], 1)[chosen].astype(np.float32)), "fusion__policy_is_in_explain", (names, row))


def the_same(place):
    there = place.path("fused")
    settings = dict(SMALL, **{"run.dir": there, "models": ALL})
    done = run("run", place.conf, settings=settings)
    told(done.code == 0 and not done.left, "fusion__is_trained_and_judged_after_its_models", done)
    names = ["dqn_small/" + n for n in TRAINED + JUDGED + ["explain.h5"]]
    whole = hashes(there, names)
    shutil.rmtree(there + "/dqn_small")
    done = run("run", place.conf, ranks=3, settings=settings)
    again = hashes(there, names)
    told(done.code == 0 and "missing" not in whole.values() and again == whole, "fusion__leaves_the_same_bytes_on_1_and_3_ranks", differ(whole, again))
    return there, settings


def said(there):
    f, gat = inspect(there + "/dqn_small/best.h5"), inspect(there + "/gat_small/best.h5")
    told(f["kind"] == "fusion" and f["method"] == "dqn" and f["gat_sha256"] == gat["weights_sha256"] and f["store_tree_sha256"] == gat["store_tree_sha256"],
         "inspect__says_what_a_fusion_is_made_of", f)


def other_models(place, there, settings):
    only = dict(settings, models="[dqn_small]")
    done = run("train", place.conf, settings=dict(settings, models="[gat_small]", **{"train.lr": 0.002}))
    told(done.code == 0, "fusion__its_gat_is_trained_anew", done)
    done = run("eval", place.conf, settings=only)
    told(done.code == 78 and "learned from gat" in done.out, "fusion__of_another_gat_is_not_judged", done)
    done = run("train", place.conf, settings=dict(only, **{"fusion.gat": there + "/vgae_small"}))
    told(done.code == 78 and "is no gat" in done.out, "fusion__wants_a_gat_for_a_gat", done)
    done = run("train", place.conf, settings=dict(only, **{"train.seed": 7}))
    told(done.code == 78 and "another split" in done.out, "fusion__wants_models_of_its_split", done)
    shutil.copy(there + "/vgae_small/best.h5", place.path("kept.h5"))
    with open(there + "/vgae_small/best.h5", "r+b") as f:
        f.seek(3000)
        f.write(b"damage")
    done = run("train", place.conf, settings=only)
    told(done.code == 65, "fusion__of_a_damaged_vgae_is_refused", done)
    shutil.copy(place.path("kept.h5"), there + "/vgae_small/best.h5")


def stopped(place, settings):
    started = Started("train", place.conf, settings=dict(settings, models="[dqn_small]", **{"fusion.episodes": 2000}))
    begun = started.said("episode 100:")
    started.child.send_signal(signal.SIGUSR1)
    done = started.end()
    at = inspect(settings["run.dir"] + "/dqn_small/last.h5")
    told(begun and done.code == 75 and 100 <= at["episodes_done"] < 2000, "fusion__stops_after_an_episode_with_75", (str(done), at))


def test():
    with Place() as place:
        there, settings = the_same(place)
        made_of_both(there)
        said(there)
        other_models(place, there, settings)
        stopped(place, settings)


main(test)
