#!/usr/bin/python3
"""The backend as a file, and what stands in its way: what it exports and needs, the architectures inside, and each reason for which the
program goes on without it (auto) or stops (cuda), in one line.  No GPU is needed; what needs the absence of a driver says so."""
import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"))
PROGRAM, ASSIGN = os.path.join(BUILD, "canids"), os.path.join(BUILD, "tests/comm/test_ring")
BACKEND, EMULATED = os.path.join(BUILD, "libcanids_cuda.so"), os.path.join(BUILD, "tests/emu/libcanids_cuda.so")
failures = 0


def told(good, name, why=""):
    global failures
    failures += not good
    print(("ok - " if good else "not ok - ") + name + ("" if good else ": " + str(why).strip().replace("\n", " | ")[-1500:]), flush=True)


def run(*command, **env):
    environment = {k: v for k, v in os.environ.items() if k not in ("CANIDS_BACKEND", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")}
    environment.update(env)
    p = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False, env=environment)
    return p.returncode, p.stdout + p.stderr


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def has_driver():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def shared(tmp, name, text):
    """A shared object of our own, by the compiler of the tests."""
    subprocess.run(["cc", "-shared", "-fPIC", "-I" + ROOT + "/include", "-o", tmp + "/" + name, write(tmp + "/" + name + ".c", text)], check=True)
    return tmp + "/" + name


# ---- the file

def sections(data):
    """Sections of a little-endian 64-bit ELF file: name -> bytes."""
    at, size, n, names = struct.unpack_from("<Q", data, 0x28)[0], *struct.unpack_from("<HHH", data, 0x3A)
    head = [struct.unpack_from("<IIQQQQ", data, at + i * size) for i in range(n)]
    strings = head[names][4]
    return {data[strings + h[0]:data.index(b"\0", strings + h[0])].decode(): data[h[4]:h[4] + h[5]] for h in head if h[1] != 8}


def fat(section):
    """What each fat binary of a section holds: sets of sm_NN (code) and compute_NN (PTX)."""
    at, found = 0, []
    while at + 16 <= len(section):
        magic, _, head, size = struct.unpack_from("<IHHQ", section, at)
        if magic != 0xBA55ED50:
            at += 8  # each begins on 8 bytes
            continue
        end, entry, inside = at + head + size, at + head, set()
        while entry < end:
            kind, _, entry_head, entry_size = struct.unpack_from("<HHIQ", section, entry)
            arch = struct.unpack_from("<I", section, entry + 28)[0]
            inside.add({1: "compute_%d", 2: "sm_%d"}[kind] % arch)
            entry += entry_head + entry_size
        found.append(inside)
        at = end
    return found


def claimed():
    with open(os.path.join(BUILD, "found.mk"), encoding="utf-8") as f:
        return re.search(r"^cuda\.arch := (.*)$", f.read(), re.M).group(1).split()


def of_the_file():
    with open(BACKEND, "rb") as f:
        data = f.read()
    out = subprocess.run(["nm", "-D", "--defined-only", BACKEND], capture_output=True, text=True, check=True).stdout.split()
    told(out[1:] == ["T", "ci_backend_entry"], "backend__exports_one_symbol", out)
    needs = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", BACKEND], capture_output=True, text=True, check=True).stdout)
    allowed = r"lib(nccl\.so\.2|c\.so\.6|m\.so\.6|pthread\.so\.0|dl\.so\.2|rt\.so\.1)|ld-linux[\w-]*\.so\.\d"
    told(all(re.fullmatch(allowed, n) for n in needs), "backend__needs_no_driver_and_nothing_of_cuda_but_nccl", needs)
    want, got = claimed(), fat(sections(data)[".nv_fatbin"])
    told(want and got and all(g == set(want) for g in got), "backend__has_code_for_each_architecture_it_claims", "%s, inside %s" % (want, got))
    told(" ".join(want).encode() in data, "backend__says_which_architectures", want)


# ---- what stands in its way

def refusals(name, line, prefix=(), **env):
    """One reason: under auto one line and the CPU, under cuda the same reason and exit code 78."""
    rc, out = run(*prefix, ASSIGN, "assign", "auto", "cuda", **env)
    logged = re.findall("computes on the CPU: (.*)", out)
    told(rc == 78 and re.search("^auto: the CPU$", out, re.M) and len(logged) == 1 and re.search(line, logged[0])
         and re.search("^cuda: .*" + line, out, re.M), "refusal__" + name, "%d: %s" % (rc, out))


def hidden(library):
    """A command prefix for a mount namespace in which the folder of a library that the backend needs is empty; None where that cannot be."""
    found = re.search(r"%s => (\S+)" % re.escape(library), run("ldd", BACKEND)[1])
    if not found or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        return None
    folders = {os.path.dirname(os.path.realpath(found.group(1))), os.path.dirname(found.group(1))}
    if any(os.path.exists(f + "/libc.so.6") for f in folders):
        return None
    return ["unshare", "-m", "sh", "-c", "".join("mount -t tmpfs none '%s' && " % f for f in sorted(folders)) + "exec \"$@\"", "sh"]


def of_the_loader(tmp):
    refusals("of_a_file_that_is_not_there", r"no CUDA backend: CANIDS_BACKEND names \S*/none\.so", CANIDS_BACKEND=tmp + "/none.so")
    refusals("of_a_file_that_is_no_library", r"odd\.so cannot be loaded: ", CANIDS_BACKEND=write(tmp + "/odd.so", "no library\n"))
    refusals("of_a_library_that_is_no_backend", r"plain\.so is no backend of canids", CANIDS_BACKEND=shared(tmp, "plain.so", "int a;\n"))
    table = '#include "ci/device.h"\nstatic const ci_backend b = {.abi = %s, .bytes = %s};\nconst ci_backend *ci_backend_entry(void) { return &b; }\n'
    refusals("of_another_abi", r"abi\.so is of ABI 77 and this program of ABI \d+", CANIDS_BACKEND=shared(tmp, "abi.so", table % ("77", "sizeof b")))
    refusals("of_a_table_of_another_size", r"size\.so has a table of 8 bytes", CANIDS_BACKEND=shared(tmp, "size.so", table % ("CI_BACKEND_ABI", "8")))
    refusals("of_kernels_of_another_contract", r"key\.so has kernels of contract 00000005 and this program asks by [0-9a-f]{8}: build",
             CANIDS_BACKEND=shared(tmp, "key.so", table % ("CI_BACKEND_ABI", "sizeof b, .key = 5")))
    if not os.path.exists(EMULATED):
        print("skip - refusal__by_the_environment: there is no emulated backend")
    else:
        refusals("of_an_older_driver", r"older than the toolkit: it knows CUDA 11\.4", CANIDS_BACKEND=EMULATED, CANIDS_EMU_FAULT="driver")
        refusals("of_no_device", r"no CUDA device: the driver", CANIDS_BACKEND=EMULATED, CANIDS_EMU_FAULT="nodevice")
        refusals("of_devices_that_are_hidden", r"CUDA_VISIBLE_DEVICES is ''", CANIDS_BACKEND=EMULATED, CUDA_VISIBLE_DEVICES="")
    if has_driver():
        print("skip - refusal__without_a_driver: this machine has one")
    else:
        refusals("of_a_machine_without_a_driver", r"no CUDA driver: libcuda\.so\.1 cannot be opened: install the NVIDIA driver")


def of_the_place(tmp):
    """Where the program looks, with a driver that is none: an empty libcuda.so.1."""
    os.makedirs(tmp + "/driver")
    shared(tmp, "driver/libcuda.so.1", "int a;\n")
    os.makedirs(tmp + "/bin")
    shutil.copy(PROGRAM, tmp + "/bin/canids")

    def says(words, name):
        rc, out = run(tmp + "/bin/canids", "info", LD_LIBRARY_PATH=tmp + "/driver")
        told(rc == 0 and re.search(r"^device +" + words, out, re.M), "place__" + name, out)

    says(r"no CUDA backend: there is no libcanids_cuda\.so in \S+/bin or \S+/bin/\.\./lib/canids: build with CUDA=1", "that_has_no_backend_is_named")
    if not os.path.exists(EMULATED):
        print("skip - place__of_a_backend: there is no emulated backend")
        return
    os.makedirs(tmp + "/lib/canids")
    shutil.copy(EMULATED, tmp + "/lib/canids/libcanids_cuda.so")
    says("emulated device 0 sm_90 0000:10:00.0, driver 13.0", "may_be_lib_canids_of_an_installation")
    shutil.rmtree(tmp + "/lib")
    shutil.copy(EMULATED, tmp + "/bin/libcanids_cuda.so")
    says("emulated device 0", "may_be_beside_the_program")


def of_the_doctor(tmp):
    """canids doctor says where training would run; cuda and none is an error, as a run would stop."""
    settings = write(tmp + "/sim.yaml", "data: {root: %s/data, set: sim}\nrun: {dir: %s/run}\nsim: {seed: 3, vehicles: 2, seconds: 10}\n" % (tmp, tmp))
    rc, out = run(PROGRAM, "sim", settings)
    told(rc == 0, "doctor__has_data_to_look_at", out)
    for want, env, code, line in (("auto", {"CANIDS_BACKEND": "/none"}, 0, "training would run on the CPU: no CUDA backend: "),
                                  ("cuda", {"CANIDS_BACKEND": "/none"}, 65, "error: train.device is cuda; no CUDA backend: .*; to do: "),
                                  ("auto", {"CANIDS_BACKEND": EMULATED}, 0, "training would run on emulated device 0 sm_90"),
                                  ("cpu", {"CANIDS_BACKEND": EMULATED}, 0, "training would run on the CPU, as train.device says, though there is emulated device 0")):
        if env["CANIDS_BACKEND"] == EMULATED and not os.path.exists(EMULATED):
            continue
        rc, out = run(PROGRAM, "doctor", settings, "--set", "train.device=" + want, **env)
        told(rc == code and re.search("^" + line, out, re.M), "doctor__%s_%d_%s" % (want, code, os.path.basename(env["CANIDS_BACKEND"])), "%d: %s" % (rc, out))


def of_the_toolkit(tmp):
    """The real backend without a driver, without NCCL, and with the toolkit's stub in the driver's place."""
    if has_driver():
        print("skip - toolkit__without_a_driver: this machine has one")
    else:
        refusals("of_a_driver_that_does_not_answer", r"no CUDA driver answers \(CUDA error 35\)", CANIDS_BACKEND=BACKEND)
    prefix = hidden("libnccl.so.2")
    if not prefix:
        print("skip - refusal__of_a_missing_nccl: built without it, or folders cannot be hidden here")
    else:
        refusals("of_a_missing_nccl", r"libnccl\.so\.2 is missing, which \S+libcanids_cuda\.so needs: put its folder into LD_LIBRARY_PATH", prefix,
                 CANIDS_BACKEND=BACKEND)
    nvcc = re.search(r"^cuda\.nvcc := (\S+)", open(os.path.join(BUILD, "found.mk"), encoding="utf-8").read(), re.M).group(1)
    stub = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(nvcc))), "lib64/stubs/libcuda.so")
    if not os.path.exists(stub):
        print("skip - refusal__of_the_stub: the toolkit has none")
        return
    os.makedirs(tmp + "/stub")
    os.symlink(stub, tmp + "/stub/libcuda.so.1")
    rc, out = run(PROGRAM, "info", LD_LIBRARY_PATH=tmp + "/stub")
    told(rc == 0 and re.search(r"^device +the libcuda\.so\.1 that is found first is the stub", out, re.M), "refusal__of_the_stub_of_the_toolkit", out)


def main():
    for path in (PROGRAM, ASSIGN):
        if not os.path.exists(path):
            print("not ok - device: %s was not built" % path)
            return 1
    with tempfile.TemporaryDirectory() as tmp:
        of_the_loader(tmp)
        of_the_place(tmp)
        of_the_doctor(tmp)
        if os.path.exists(BACKEND):
            of_the_file()
            of_the_toolkit(tmp)
        else:
            print("skip - backend: %s" % re.search(r"^cuda +(.*)$", run(PROGRAM, "info")[1], re.M).group(1))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
