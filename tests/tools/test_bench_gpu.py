#!/usr/bin/python3
"""`make bench-gpu` on the emulated device (CANIDS_BACKEND), a few graphs: what it prints, what it refuses to print, and its exit codes.
TIMEOUT: 120"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"))
BENCH = os.path.join(BUILD, "tools", "bench_gpu")
BACKEND = os.path.join(BUILD, "tests", "emu", "libcanids_cuda.so")
SMALL = ["gat", "small", "default", "2", "27", "0"]
failed = 0


def told(good, name, why=""):
    global failed
    failed += not good
    print("%s - bench_gpu__%s" % ("ok" if good else "not ok", name))
    if not good:
        print("# %s" % (why,))


def run(*command, **more):
    env = dict(os.environ, CANIDS_BUILD=BUILD, CANIDS_BACKEND=BACKEND, CANIDS_ORACLE_PYTHON=sys.executable, **more)
    if "nobackend" in more:
        env["CANIDS_BACKEND"] = os.path.join(BUILD, "none.so")
    return subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=100, check=False)


def words(done):
    return dict(w.split("=", 1) for w in done.stdout.split())


def one(name, *settings):
    done = run(BENCH, *SMALL, *settings)
    if done.returncode:
        told(False, name, done.stderr)
        return {}
    return words(done)


def main():
    if not os.access(BENCH, os.X_OK) or not os.path.exists(BACKEND):
        told(False, "was_built", "%s and %s" % (BENCH, BACKEND))
        return 1
    name = "an_emulated_device_has_no_rate"
    said = one(name)
    told(said.get("emulated") == "1" and not {"rate", "ms", "share_fp32"} & set(said), name, said)
    told(abs(float(said.get("check_loss", "nan")) / float(said.get("check_cpu", "nan")) - 1) < 1e-4 and said.get("shards") == "2" and int(said.get("kernels", 0)) > 10,
         "loss_is_that_of_the_cpu", said)
    name = "settings_reach_the_step"
    said = one(name, "train.precision=bf16", "train.reduce=fast")
    told((said.get("precision"), said.get("reduce")) == ("bf16", "fast"), name, said)

    done = run("sh", "tools/bench_gpu.sh", BENCH_MODELS="vgae_small", BENCH_BATCHES="2", BENCH_PRECISIONS="fp32", BENCH_SECONDS="0", BENCH_ROWS="27")
    text = done.stdout
    told(done.returncode == 0 and re.search(r"^vgae small, batch of 2 graphs\n  fp32, emulated: no rate; \d+ kernels and 1 launch a step, goal 40: ", text, re.M)
         and "graphs/s" not in text, "script_prints_no_speed_of_an_emulation", (done.returncode, text, done.stderr))
    told("no yardstick ran: PyTorch Geometric" in text, "script_says_that_no_yardstick_ran", text)
    done = run("sh", "tools/bench_gpu.sh", nobackend="1")
    told(done.returncode == 78 and done.stderr.startswith("bench_gpu: no device: ") and done.stderr.count("\n") == 1 and not done.stdout,
         "without_a_device_it_ends_with_78_and_one_line", (done.returncode, done.stdout, done.stderr))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
