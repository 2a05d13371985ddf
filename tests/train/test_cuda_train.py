#!/usr/bin/python3
"""Whole trainings on devices, under the emulated backend (CANIDS_BACKEND): the same files on any number of ranks, from either memory, and
across a change of device; and what is left when a device, a peer or memory fails.
TIMEOUT: 300"""
import glob
import json
import math
import os
import re
import shutil
import signal
import sys

import h5py
import numpy

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "run"))
import common

SETTINGS = """data: {root: %(root)s, set: sim}
run: {dir: %(root)s/run}
sim: {seed: 3, vehicles: 2, seconds: %(seconds)s, ids_min: 8, ids_max: 10}
window: {frames: 30, stride: 30}
model: {id_dim: 4, heads: 2, channels: 4, layers: 1, head_layers: 2, head_dim: 8}
train: {epochs: 2, batch: 24, shard_rows: 64, threads: 1}
eval: {draws: 20}
"""
VGAE = {"model.name": "vgae", "model.hidden": "8", "model.latent": "4", "model.decoder_heads": 1, "model.neighbour": "gaussian", "train.monitor": "loss",
        "train.epochs": 1}
LEFT = common.TRAINED


class Case:
    """A run directory with the store in it, and trainings there."""

    def __init__(self, place, name):
        self.place, self.folder = place, place.path(name)
        shutil.copytree(place.path("run"), self.folder)

    def settings(self, device, more):
        return dict({"run.dir": self.folder, "train.device": device}, **(more or {}))

    def train(self, ranks=1, device="cuda", env=None, verb="train", **more):
        how = {key.replace("__", "."): value for key, value in more.items()}
        environment = dict({"CANIDS_EMU_DEVICES": "5", "OMPI_MCA_mpi_show_mpi_alloc_mem_leaks": "0"}, **(env or {}))
        return common.Started(verb, self.place.conf, ranks=ranks if ranks > 1 else 0, settings=self.settings(device, how), env=environment)

    def trained(self, *arguments, timeout=100, **how):
        return self.train(*arguments, **how).end(timeout)

    def left(self):
        return common.hashes(self.folder, LEFT)

    def metrics(self):
        with open(os.path.join(self.folder, "metrics.jsonl"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]


def dotted(settings):
    return {key.replace(".", "__"): value for key, value in settings.items()}


def on_ranks(place, name, ranks, **settings):
    """\\return a case trained on each of these numbers of ranks"""
    made = {}
    for n in ranks:
        made[n] = Case(place, "%s_%d" % (name, n))
        done = made[n].trained(n, **settings)
        made[n].said = done.out
        if done.code != 0:
            common.told(False, "cuda_train__%s_on_%d_ranks" % (name, n), done)
    return made


def same_on_any_ranks(place):
    cases = on_ranks(place, "gat", (1, 2, 3, 5), run__log="debug")
    for n in (2, 3, 5):
        common.told(not common.differ(cases[1].left(), cases[n].left()), "cuda_train__%d_devices_leave_the_files_of_one" % n,
                    common.differ(cases[1].left(), cases[n].left()))
    again = Case(place, "again")
    done = again.trained(1)
    common.told(done.code == 0 and again.left() == cases[1].left(), "cuda_train__two_runs_leave_the_same", done)
    common.told("resident" in done.out, "cuda_train__says_that_data_is_resident", done.out)
    common.told(re.search(r"computes on 1 device.*emulated", done.out) and "0000:" in done.out, "cuda_train__says_which_device", done.out)
    stream = Case(place, "stream")
    done = stream.trained(3, train__device_data="stream", train__threads=2)
    common.told(done.code == 0 and "streamed" in done.out and stream.left() == cases[1].left(), "cuda_train__streamed_data_leaves_the_same", done)
    with open(os.path.join(again.folder, "run.json"), encoding="utf-8") as f:
        last = json.load(f)["attempts"][-1]
    common.told(last.get("peak_device_kib", 0) > 0 and last.get("device_s_rank0", 0) > 0, "cuda_train__memory_of_the_device_is_in_the_record", last)
    return cases[1]


def close(a, b, tolerance):
    return len(a) == len(b) and all(math.isclose(x["loss"], y["loss"], rel_tol=tolerance) and math.isclose(x["valid_loss"], y["valid_loss"], rel_tol=tolerance) and
                                    abs(x["valid_auroc"] - y["valid_auroc"]) < 0.01 for x, y in zip(a, b))


def cpu_and_device(place):
    cpu, both = Case(place, "cpu"), Case(place, "both")
    cpu.trained(1, device="cpu", train__epochs=3)
    for n, device in enumerate(("cpu", "cuda", "cpu"), 1):
        done = both.trained(2 if device == "cuda" else 1, device=device, train__epochs=n)
        common.told(done.code == 0 and (n == 1 or "going on from" in done.out), "cuda_train__goes_on_from_the_other_device_%d" % n, done)
    common.told(close(cpu.metrics(), both.metrics(), 1e-3), "cuda_train__losses_are_those_of_the_cpu", "%s\n%s" % (cpu.metrics(), both.metrics()))
    scores = []
    for device in ("cuda", "cpu"):
        done = both.trained(2, device=device, verb="eval", train__epochs=3)
        with h5py.File(os.path.join(both.folder, "scores.h5")) as f:
            scores.append(numpy.array(f["score"]))
        for path in glob.glob(os.path.join(both.folder, "results.*")):
            os.remove(path)
        common.told(done.code == 0, "cuda_train__evaluates_on_%s" % device, done)
    common.told(scores[0].shape == scores[1].shape and numpy.abs(scores[0] - scores[1]).max() < 1e-5 and scores[0].std() > 0,
                "cuda_train__scores_are_those_of_the_cpu", scores)


def statistics(case):
    with h5py.File(os.path.join(case.folder, "last.h5")) as f:
        return numpy.array(f["state"])


def kinds(place, teacher):
    for name, settings in (("vgae", VGAE), ("batch_norm", {"model.norm": "batch", "train.steps": 4}),
                           ("taught", {"distill.teacher": teacher.folder, "distill.alpha": 0.5, "train.steps": 4, "distill.cka": 4}),
                           ("bf16", {"train.precision": "bf16", "train.steps": 4})):
        cases = on_ranks(place, name, (1, 3), **dotted(settings))
        common.told(not common.differ(cases[1].left(), cases[3].left()), "cuda_train__%s_is_the_same_on_3_devices" % name,
                    common.differ(cases[1].left(), cases[3].left()))
        if name == "bf16":
            continue
        cpu = Case(place, name + "_cpu")
        cpu.trained(1, device="cpu", **dotted(settings))
        common.told(close(cpu.metrics(), cases[1].metrics(), 1e-3), "cuda_train__%s_learns_as_on_the_cpu" % name, "%s\n%s" % (cpu.metrics(), cases[1].metrics()))
        if name == "batch_norm":
            mean = [statistics(case) for case in (cpu, cases[1])]
            common.told(mean[0].size > 0 and mean[0].std() > 0 and numpy.allclose(mean[0], mean[1], rtol=1e-2, atol=1e-3),
                        "cuda_train__running_statistics_are_in_the_checkpoint", mean)
    grown = on_ranks(place, "grown", (1, 2), train__batch=6, train__shard_rows=30, train__epochs=4)
    common.told(not common.differ(grown[1].left(), grown[2].left()) and "has larger batches" in grown[1].said, "cuda_train__room_that_grows_between_epochs_changes_nothing",
                grown[1].said)
    fast = [Case(place, "fast_%s" % device) for device in ("cuda", "cpu")]
    done = [case.trained(2, device=device, train__reduce="fast", train__steps=4) for case, device in zip(fast, ("cuda", "cpu"))]
    common.told(all(d.code == 0 for d in done) and close(fast[0].metrics(), fast[1].metrics(), 1e-3), "cuda_train__float_sums_learn_alike_on_both",
                "%s\n%s" % (done[0], done[1]))


def stopped(place, whole):
    case = Case(place, "stopped")
    start = case.train(3)
    start.said("epoch 1: ", 60)
    for pid in start.live(program_only=True)[:1]:
        os.kill(pid, signal.SIGUSR1)
    done = start.end()
    common.told(done.code == 75 and "stopped by signal %d" % signal.SIGUSR1 in done.out, "cuda_train__a_signal_ends_in_a_checkpoint", done)
    done = case.trained(2)
    common.told(done.code == 0 and case.left() == whole.left(), "cuda_train__goes_on_to_the_same_files", done)


def fault_in_the_middle(place, whole, name, fault, words):
    """The second epoch fails; what the first left is gone on from."""
    case = Case(place, name)
    done = case.trained(3, env={"CANIDS_EMU_FAULT": fault}, comm__deadline_s=8)
    common.told(done.code == 75 and re.search(words, done.out), "cuda_train__%s_is_75_and_says_so" % name, done.out[-1500:])
    common.told(common.inspect(os.path.join(case.folder, "last.h5")), "cuda_train__%s_leaves_a_checkpoint" % name, "none")
    done = case.trained(2)
    common.told(done.code == 0 and "going on from" in done.out and case.left() == whole.left(), "cuda_train__%s_is_gone_on_from" % name, done)


def refusals(place):
    case = Case(place, "refused")
    done = Case(place, "little").trained(1, env={"CANIDS_EMU_BYTES": "600000"}, train__steps=1)
    common.told(done.code == 0 and "streamed" in done.out, "cuda_train__data_that_does_not_fit_is_streamed", done)
    for name, code, words, ranks, how in (
            ("too_little_memory", 78, r"wants [0-9.]+ MiB of device memory.*may be planned with.*lower train.batch", 1, {"env": {"CANIDS_EMU_BYTES": "400000"}}),
            ("too_little_memory_for_all_data", 78, r"write train.device_data: stream", 1,
             {"env": {"CANIDS_EMU_BYTES": "600000"}, "train__device_data": "resident"}),
            ("memory_that_is_not_given", 70, r"memory", 2, {"env": {"CANIDS_EMU_FAULT": "oom:300000@1"}}),
            ("a_first_step_that_fails", 75, r"rank 1: train.device.warm: device 1 failed.*kernel assemble", 2,
             {"env": {"CANIDS_EMU_FAULT": "kernel:assemble:1@1"}, "comm__deadline_s": 60}),
            ("an_old_driver", 78, r"older than the toolkit", 1, {"env": {"CANIDS_EMU_FAULT": "driver"}}),
            ("no_visible_device", 78, r"CUDA_VISIBLE_DEVICES", 1, {"env": {"CUDA_VISIBLE_DEVICES": ""}}),
            ("more_ranks_than_devices", 78, r"3 ranks and 2 devices", 3, {"env": {"CANIDS_EMU_DEVICES": "2"}}),
            ("tf32_on_the_cpu", 78, r"train.precision: tf32", 1, {"device": "cpu", "train__precision": "tf32"})):
        done = case.trained(ranks, **how)
        common.told(done.code == code and re.search(words, done.out), "cuda_train__%s_is_%d" % (name, code), done.out[-1500:])
    done = case.trained(1, device="auto", env={"CANIDS_EMU_FAULT": "driver"}, train__steps=1)
    common.told(done.code == 0 and re.search(r"computes on the CPU: .*older than the toolkit", done.out), "cuda_train__auto_says_why_it_is_the_cpu", done.out[-1500:])


def test():
    if not os.environ.get("CANIDS_BACKEND"):
        return common.skipped("cuda_train", "there is no emulated backend")
    with common.Place(seconds=2, text=SETTINGS) as place:
        done = common.run("run", place.conf, settings={"pipeline": "scan,build"})
        if done.code != 0:
            return common.told(False, "cuda_train__store_is_built", done)
        whole = same_on_any_ranks(place)
        common.parallel(lambda work: work(), [
            lambda: kinds(place, whole), lambda: cpu_and_device(place), lambda: stopped(place, whole), lambda: refusals(place),
            lambda: fault_in_the_middle(place, whole, "a_kernel_that_fails", "kernel:optim_adam:9@0", "kernel optim_adam"),
            lambda: fault_in_the_middle(place, whole, "a_lost_peer", "nccl:18@1", "a peer or the network failed|its peers")], workers=3)
    return None


common.main(test)
