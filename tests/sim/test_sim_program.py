#!/usr/bin/python3
# TIMEOUT: 300
"""The program itself: one digest over simulated sets of one slice a capture, of several, and of a number of rows, for 1, 2, 3, 5 and 8
ranks; and disks of 7 sizes that are too small or just not."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get("CANIDS_BUILD", "build")
PROGRAM = os.path.join(BUILD, "canids")
SETTINGS = "sim: {seed: 5, vehicles: 3, seconds: 2}\n"
LONGER = "sim: {seed: 5, vehicles: 2, seconds: 32, ids_min: 8, ids_max: 12, extended: 0.3, known: 'DoS,replay', unknown: 'masquerade,suppress'}\n"
ROWS = "sim: {seed: 5, vehicles: 2, rows: 12345, ids_min: 8, ids_max: 12, bitrate: 250000, known: 'malfunction_replayed', unknown: 'DoS'}\n"
SIZES_KIB = [8, 160, 640, 1500, 2300, 4000, 8000]


def simulate(ranks, conf, root):
    command = (["mpirun", "-n", str(ranks)] if ranks else []) + [PROGRAM, "sim", conf, "--set", "data.root=" + root, "--set", "data.set=sim"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)


def digest(root):
    total = hashlib.sha256()
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            total.update(os.path.relpath(path, root).encode() + b"\0" + hashlib.sha256(open(path, "rb").read()).digest())
    return total.hexdigest()


def whole(root):
    """Does the manifest promise a whole set, and is it there?"""
    try:
        manifest = json.load(open(os.path.join(root, "sim/manifest.json")))
    except (OSError, ValueError):
        return False
    if not manifest["complete"]:
        return False
    for f in manifest["files"]:
        if hashlib.sha256(open(os.path.join(root, "sim", f["path"]), "rb").read()).hexdigest() != f["sha256"]:
            raise AssertionError(f["path"] + " is not what the manifest says")
    return True


def report(good, name, why=""):
    print(("ok - " if good else "not ok - ") + name + ("" if good else ": " + why))
    return 0 if good else 1


def ranks_agree(conf, tmp, text):
    failed, first = 0, None
    with open(conf, "w") as f:
        f.write(text)
    for ranks in (0, 1, 2, 3, 5, 8):
        root = os.path.join(tmp, "ranks%d" % ranks)
        ran = simulate(ranks, conf, root)
        now = digest(root)
        first = first or now
        name = "sim__has_one_digest_for_any_ranks %s" % (ranks or "no mpirun")
        failed += report(ran.returncode == 0 and whole(root) and now == first, name, "%d %s %s" % (ran.returncode, now, ran.stdout[-2000:]))
        shutil.rmtree(root)
    return failed


def can_mount(tmp):
    """Only in a mount namespace of our own, which goes with this process."""
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", tmp], stderr=subprocess.DEVNULL).returncode == 0


def disks_fill(conf, tmp):
    """Runs inside the namespace."""
    failed, codes = 0, set()
    for ranks in (1, 3):
        for kib in SIZES_KIB:
            root = os.path.join(tmp, "disk%d_%d" % (ranks, kib))
            os.mkdir(root)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk" % kib, "none", root], check=True)
            ran = simulate(ranks, conf, root)
            good = ran.returncode == 0 and whole(root) or ran.returncode == 74 and not whole(root) and "space" in ran.stdout
            failed += report(good, "sim__survives_a_disk_of %d KiB, %d ranks" % (kib, ranks), "%d %s" % (ran.returncode, ran.stdout[-2000:]))
            codes.add(ran.returncode)
            subprocess.run(["umount", root], check=True)
    return failed + report(codes == {0, 74}, "disks__were_too_small_and_large_enough", str(codes))


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - sim__has_a_program: %s is missing, run make" % PROGRAM)
        return 1
    tmp = tempfile.mkdtemp(prefix="canids_sim_")
    try:
        conf = os.path.join(tmp, "sim.yaml")
        with open(conf, "w") as f:
            f.write(SETTINGS)
        if sys.argv[1:] == ["disks"]:
            return disks_fill(conf, tmp)
        failed = sum(ranks_agree(conf, tmp, text) for text in (LONGER, ROWS, SETTINGS))
        if not can_mount(tmp):
            print("skip - sim__survives_a_full_disk: no right to mount a tmpfs")
            return failed
        sys.stdout.flush()
        return failed + subprocess.run(["unshare", "-m", sys.executable, os.path.abspath(__file__), "disks"]).returncode
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


sys.exit(1 if main() else 0)
