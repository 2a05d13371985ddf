#!/usr/bin/python3
# TIMEOUT: 240
"""A run of several models and seeds: each in its folder, skipped, stopped and gone on with one by one, all in one summary."""
import csv
import json
import os
import re
import shutil
import signal
import statistics

from common import JUDGED, PREPARED, ROOT, TRAINED, Place, Started, differ, hashes, main, run, sha, told

MODELS, SEEDS = ["gat_large", "gat_small_kd_standard"], [42, 123]
MEMBERS = ["%s/seed_%d" % (m, s) for m in MODELS for s in SEEDS]
MANY = {"models": "[%s]" % ", ".join(MODELS), "seeds": str(SEEDS), "train.epochs": 1}
METRICS = ["auroc", "average_precision", "f1", "mcc", "fpr", "accuracy"]


def left(there):
    """All that must not depend on how the run went."""
    names = PREPARED + ["summary.json", "summary.csv"] + [m + "/" + n for m in MEMBERS for n in TRAINED + JUDGED]
    return hashes(there, names + [m + "/cka.json" for m in MEMBERS if "kd" in m])


def attempts(there):
    with open(there + "/run.json", encoding="utf-8") as f:
        return [(a["step"], a.get("model"), a["outcome"]) for a in json.load(f)["attempts"]]


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def ranks(place):
    """The run that the others are held against."""
    found = []
    for n in (0, 3):
        there = place.path("on_%d" % n)
        done = run("run", place.conf, ranks=n, settings=dict(MANY, **{"run.dir": there}))
        told(done.code == 0 and not done.left, "models__are_trained_and_judged_%s" % ("alone" if n == 0 else "on_3_ranks"), done)
        found.append(left(there))
    told("missing" not in found[0].values() and found[0] == found[1], "models__leave_the_same_bytes_on_1_and_3_ranks", differ(*found))
    there = place.path("on_0")
    done = [(s, m) for s, m, outcome in attempts(there) if outcome == "done"]
    told(done == [("scan", None), ("build", None)] + [(s, m) for s in ("train", "eval") for m in MEMBERS],
         "models__are_in_the_record_by_name_and_in_order", done)
    seeds = {h for n, h in found[0].items() if n.endswith("last.h5")}
    told(len(seeds) == 4, "models__differ_by_size_and_seed", seeds)
    return there, found[0]


def summary(there):
    """Against results.json of each member, by Python's statistics."""
    whole, bad = load(there + "/summary.json"), []
    with open(there + "/summary.csv", encoding="utf-8", newline="") as f:
        table = {(r["model"], r["kind"], r["name"]): r for r in csv.DictReader(f)}
    cells = {(c["model"], c["kind"], c["name"]): c for c in whole["results"]}
    for model in MODELS:
        results = [load("%s/%s/seed_%d/results.json" % (there, model, s))["results"] for s in SEEDS]
        for lines in zip(*results):
            key = (model, lines[0]["kind"], lines[0]["name"])
            for m in METRICS:
                values = [line[m]["value"] for line in lines]
                cell, row = cells[key][m], table[key]
                if None in values:
                    bad += [key] if cell["mean"] is not None or row[m + "_mean"] else []
                    continue
                mean, sd = statistics.fmean(values), statistics.stdev(values)
                close = all(abs(a - b) < 1e-8 for a, b in ((cell["mean"], mean), (cell["sd"], sd), (float(row[m + "_mean"]), mean),
                                                           (float(row[m + "_sd"]), sd)))
                if not close or list(cell["of_seed"].values()) != values or list(cell["of_seed"]) != [str(s) for s in SEEDS]:
                    bad.append((key, m, cell, row[m + "_mean"], values))
    told(not bad and len(cells) == len(table) > 8, "summary__has_mean_and_spread_of_what_results_say", bad[:2])
    told([m["folder"] for m in whole["members"]] == MEMBERS and whole["simulated"] and all(r["traffic"] == "SIMULATED" for r in table.values()),
         "summary__names_members_and_says_simulated", whole["members"])


def alike(there):
    """The one layer of each; never of a model without a teacher."""
    found = [load("%s/%s/cka.json" % (there, m)) for m in MEMBERS if "kd" in m]
    good = all([len(row) for row in c["cka"]] == [1] and all(0 < v <= 1 for row in c["cka"] for v in row) for c in found)
    told(good and found[0]["cka"] != found[1]["cka"] and not os.path.exists("%s/%s/cka.json" % (there, MEMBERS[0])), "students__are_held_against_their_teacher", found)


def again(place, there, whole):
    """Nothing is done twice; verbs do what the run does."""
    done = run("run", place.conf, settings=dict(MANY, **{"run.dir": there}))
    told(done.code == 0 and done.out.count("skipped:") == 9 and left(there) == whole, "models__that_are_done_are_skipped", done)
    told("model x test folder, mean and standard deviation over 2 seeds" in done.out and "SIMULATED" in done.out.split("model x test folder")[-1],
         "models__end_in_one_table", done.out[-600:])
    before = hashes(there, [MEMBERS[2] + "/resolved.yaml"])
    os.remove(there + "/" + MEMBERS[2] + "/results.json")
    os.remove(there + "/gat_large/seed_123/last.h5")
    os.remove(there + "/" + MEMBERS[2] + "/cka.json")
    done = run("eval", place.conf, settings=dict(MANY, **{"run.dir": there, "run.log": "warn"}))
    told(done.code == 0 and hashes(there, [MEMBERS[2] + "/resolved.yaml"]) == before, "eval__judges_all_models_and_leaves_their_settings", done)
    done = run("train", place.conf, settings=dict(MANY, **{"run.dir": there}))
    told(done.code == 0 and done.out.count("skipped:") == 2 and "cka.json is gone" in done.out and left(there) == whole, "train__trains_the_one_that_is_gone", done)


def stopped(place, store, whole):
    """Killed at the third model, told to stop at the second."""
    there = place.path("killed")
    settings = dict(MANY, **{"run.dir": there})
    done = run("run", place.conf, ranks=2, settings=dict(settings, **{"inject.kind": "die", "inject.site": "run.train.verdict", "inject.rank": 1,
                                                                       "inject.pass": 3}))
    there_are = [m for m in MEMBERS if os.path.exists(there + "/" + m + "/last.h5")]
    told(done.code != 0 and there_are == MEMBERS[:2], "kill__between_models_leaves_those_before", done)
    done = run("run", place.conf, "--resume", settings=settings)
    told(done.code == 0 and done.out.count("skipped:") == 3 and left(there) == whole, "kill__and_the_same_command_end_in_the_undisturbed_bytes",
         differ(left(there), whole))
    there = place.path("told")
    settings = dict(MANY, **{"run.dir": there, "train.epochs": 30, "train.patience": 1000})
    started = Started("run", place.conf, settings=settings)
    started.said("train gat_large/seed_123: epoch 5:")
    started.child.send_signal(signal.SIGUSR1)
    done = started.end()
    told(done.code == 75 and not os.path.exists(there + "/" + MEMBERS[2] + "/last.h5"), "usr1__ends_with_75_at_a_later_model", done)
    done = run("run", place.conf, "--resume", settings=settings)
    told(done.code == 0 and "gat_large/seed_42: skipped" in done.out and "gat_large/seed_123: going on from" in done.out,
         "usr1__and_the_same_command_goes_on_with_that_model", done)


def refused(place, there):
    """Before anything is done."""
    nowhere = place.path("nowhere")
    trained = there + "/gat_large/seed_42"
    for name, settings, code, words in (
            ("a_student_before_its_teacher", {"models": "[gat_small_kd_standard, gat_large]"}, 78,
             "models: gat_small_kd_standard comes before gat_large, which it needs (distill.teacher); put gat_large first"),
            ("a_student_without_a_teacher", {"models": "[gat_small_kd_standard]"}, 78, "neither in models before it nor on disk"),
            ("another_seeds_teacher_only", {"models": "[gat_small_kd_standard]", "seeds": "[1]"}, 78, "nowhere/gat_large/seed_1 (distill.teacher)"),
            ("a_fusion_without_its_models", {"models": "[gat_small, dqn_small]"}, 78, "dqn_small needs the model in %s/vgae_small (fusion.vgae)" % nowhere),
            ("a_curriculum_without_its_vgae", {"models": "[gat_small]", "train.curriculum": "hard"}, 78, "(train.difficulty)"),
            ("one_student_without_a_teacher", {"model.auxiliary": "kd_standard"}, 66, "distill.teacher: no trained model is in"),
            ("nothing_to_go_on_from", {"models": "[gat_small]", "--resume": 1}, 66, "no model in %s has a checkpoint" % nowhere)):
        flags = ["--resume"] if settings.pop("--resume", None) else []
        done = run("run", place.conf, *flags, settings=dict(settings, **{"run.dir": nowhere}))
        told(done.code == code and words in done.out and not os.path.exists(nowhere), "models__refuse_" + name, done)
    done = run("scan", place.conf, settings={"models": "[gat_small_kd_standard]", "run.dir": place.path("scanned")})
    told(done.code == 0 and not os.path.exists(place.path("scanned", "gat_small_kd_standard")), "scan__needs_no_teacher", done)
    done = run("run", place.conf, settings={"models": "[gat_small_kd_standard]", "run.dir": place.path("taught"), "pipeline": "scan,build,train",
                                            "distill.teacher": trained, "train.epochs": 1})
    told(done.code == 0 and sha(place.path("taught", "gat_small_kd_standard", "last.h5")) == sha(there + "/" + MEMBERS[2] + "/last.h5"),
         "models__take_a_teacher_from_elsewhere", done)


def another_teacher(place, there):
    """A student of a teacher that is gone is no student of the one in its place."""
    for name in ("best.h5", ".best.h5.commit"):
        shutil.copy("%s/%s/%s" % (there, MEMBERS[1], name), "%s/%s/%s" % (there, MEMBERS[0], name))
    done = run("train", place.conf, settings=dict(MANY, **{"run.dir": there}))
    told(done.code == 78 and MEMBERS[2] + ": runs: the teacher that last.h5 was made from is another one now" in done.out and
         "trained on another split" in done.out, "students__are_trained_again_when_their_teacher_changed", done)


def every(place):
    """The models of config/hcrl_sa.yaml in their order, as small as they can be."""
    with open(os.path.join(ROOT, "config", "hcrl_sa.yaml"), encoding="utf-8") as f:
        models = re.search(r"^models: \[(.*)\]$", f.read(), re.M).group(1)
    settings = {"models": models, "train.epochs": 1, "model.hidden": "[16]", "model.latent": 8, "model.id_dim": 4, "model.decoder_heads": 1,
                "fusion.episodes": 2, "fusion.sample": 64, "fusion.steps": 2, "fusion.batch": 32, "fusion.hidden": 8}
    found = []
    for n in (0, 3):
        there = place.path("every_%d" % n)
        done = run("run", place.conf, ranks=n, settings=dict(settings, **{"run.dir": there}))
        told(done.code == 0, "every_model__of_hcrl_sa_is_trained_and_judged_" + ("alone" if n == 0 else "on_3_ranks"), done)
        found.append(hashes(there, ["summary.csv"] + ["%s/%s" % (m, x) for m in models.split(", ") for x in TRAINED + JUDGED]))
    told(len(models.split(", ")) >= 6 and "missing" not in found[0].values() and found[0] == found[1],
         "every_model__leaves_the_same_bytes_on_1_and_3_ranks", differ(*found))
    done = run("run", place.conf, settings=dict(settings, **{"run.dir": place.path("every_0")}))
    told(done.code == 0 and done.out.count("skipped:") == 1 + 2 * len(models.split(", ")), "every_model__is_skipped_when_it_is_done", done)


def test():
    with Place() as place:
        there, whole = ranks(place)
        summary(there)
        alike(there)
        again(place, there, whole)
        stopped(place, there, whole)
        refused(place, there)
        another_teacher(place, there)
        every(place)


main(test)
