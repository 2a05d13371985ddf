#!/usr/bin/python3
"""The order of the tree: who may include whom, one library a folder, and what a file may not have in it."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# The tree of STYLE.md from top to bottom: a folder includes only what stands before it, and itself.
ORDER = ("base conf device comm graph sim csv table vocab window stream store batch ops loss model optim ckpt metric train fusion eval "
         "detect step registry report cmd").split()
PREPARE = {"csv", "table", "vocab", "window", "stream"}  # what training does not see
TRAIN = set(ORDER[ORDER.index("store") + 1:ORDER.index("eval") + 1])

# Which folder offers a header of include/ci/.
OWNER = {
    "base": "arena commit elementary elementary32 philox hash json log memory pool random rc signal tick types",
    "conf": "conf",
    "device": "device cuda",
    "comm": "comm ring",
    "graph": "graph feature attack",
    "sim": "sim",
    "csv": "csv contract frame layout plan source sidecar convert",
    "table": "table shard",
    "vocab": "vocab",
    "window": "window",
    "stream": "stream profile",
    "store": "store h5 export",
    "batch": "batch scaler split curriculum",
    "ops": "ops kernels kernel",
    "model": "model devmodel explain gat",
    "loss": "loss",
    "optim": "optim schedule",
    "ckpt": "ckpt trail",
    "metric": "metric",
    "train": "train",
    "fusion": "fusion",
    "eval": "eval summary",
    "step": "step scan build run",
}
HEADER = {name: folder for folder, names in OWNER.items() for name in names.split()}

# Which folder may include a library; everything else in <> is C or POSIX.
LIBRARY = [(r"yaml\.h", "conf"), (r"mpi\.h", "comm"), (r"(hdf5|H5\w*)\.h", "store"), (r"jansson\.h", "base"), (r"xxh\w*\.h", "base"),
           (r"openssl/.*", "base"), (r"Random123/.*", "base"), (r"zlib\.h", "csv"), (r"lzma\.h", "csv"), (r"zstd\w*\.h", "csv"), (r"sqlite3\.h", "registry"),
           (r"cuda\w*\.h", "device"), (r"nccl\.h", "comm"), (r"type_traits", "train"), (r"dlfcn\.h", "device")]
SYSTEM = set("""aio assert complex ctype errno fenv float inttypes limits locale math setjmp signal stdalign stdarg stdatomic stdbool stddef
stdint stdio stdlib stdnoreturn string tgmath threads time dirent fcntl glob libgen malloc poll pthread sched semaphore strings termios
unistd fnmatch ftw getopt spawn alloca immintrin x86intrin cpuid execinfo sys/file sys/ioctl sys/mman sys/prctl sys/resource
sys/random sys/select sys/socket sys/stat sys/statfs sys/statvfs sys/syscall sys/sysinfo sys/time sys/times sys/types sys/un sys/utsname
sys/wait linux/magic linux/mempolicy""".split())
TEXT = (".c", ".h", ".py", ".sh", ".md", ".yaml", ".yml", ".sbatch", ".1", ".mk")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def files(root):
    """What git tracks or would track; in a source archive, everything but build folders."""
    try:
        out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True).stdout
        if os.path.exists(os.path.join(root, ".git")):
            return [f for f in sorted(set(out.split("\n"))) if f and os.path.isfile(os.path.join(root, f))]
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for at, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if not d.startswith("build") and d != ".git"]
        found += [os.path.relpath(os.path.join(at, n), root) for n in names]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def folder_of(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1]
    return HEADER.get(os.path.splitext(parts[-1])[0], "?")


def includes(root):
    """Complaints about the includes of src/ and include/."""
    bad = []
    for path in files(root):
        if not path.endswith((".c", ".h", ".cu")) or path.split("/")[0] not in ("src", "include"):
            continue
        folder, text = folder_of(path), read(root, path)
        if folder not in ORDER:
            bad.append("%s: belongs to no folder of the tree" % path)
            continue
        for found in INCLUDE.finditer(text):
            name, quoted = found.group(2), found.group(1) == '"'
            where = "%s:%d" % (path, line_of(text, found.start()))
            if name.startswith("ci/"):
                other = HEADER.get(name[3:-2])
                if other is None:
                    bad.append("%s: %s is in no row of the table of headers" % (where, name))
                elif ORDER.index(other) > ORDER.index(folder):
                    bad.append("%s: %s/ stands above %s/ and must not include %s" % (where, folder, other, name))
                elif folder in TRAIN and other in PREPARE:
                    bad.append("%s: %s/ trains and must not include %s of %s/" % (where, folder, name, other))
            elif quoted:
                own = os.path.normpath(os.path.join(os.path.dirname(path), name))
                if name == "version.h" and folder == "cmd":
                    continue
                if not own.startswith("src/%s/" % folder):
                    bad.append("%s: \"%s\" is not a header of %s/" % (where, name, folder))
                elif not os.path.exists(os.path.join(root, own)):
                    bad.append("%s: \"%s\" does not exist" % (where, name))
            else:
                owners = [f for pattern, f in LIBRARY if re.fullmatch(pattern, name)]
                if owners and (folder != owners[0] or path.startswith("include/")) and path != "include/ci/cuda.h":
                    bad.append("%s: <%s> belongs to src/%s/ alone" % (where, name, owners[0]))
                elif not owners and name[:-2] not in SYSTEM:
                    bad.append("%s: <%s> is neither C, POSIX nor a library of the table" % (where, name))
    return bad


def complaints(root, pattern, why, flags=0):
    return ["%s:%d: %s" % (p, line_of(text, m.start()), why)
            for p in files(root) if p.endswith(TEXT) or os.path.basename(p) in ("Makefile", "run")
            for text in [read(root, p)] for m in re.finditer(pattern, text, flags)]


def whitespace(root):
    return complaints(root, r"[ \t\r]+$", "white space at the end of the line", re.M) + \
        ["%s: no newline at the end" % p for p in files(root) if p.endswith(TEXT) and not read(root, p).endswith("\n")]


def paths(root):
    # Written in pieces, so that this file does not complain of itself.
    return complaints(root, r"(?<![\w.$}])/(?:" + "|".join(("wor" + "k/", "roo" + "t/", "hom" + "e/[a-z]", "Use" + "rs/")) + ")", "a path of one machine")


def leftovers(root):
    return complaints(root, r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b", "work left undone")


def long_files(root):
    code = (".c", ".h", ".py", ".sh", ".sbatch")
    return ["%s: %d lines, at most 600" % (p, n) for p in files(root) if p.endswith(code) for n in [read(root, p).count("\n")] if n > 600]


def tree(root, content):
    for path, text in content.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)


def red():
    """Each check, on a tree that breaks it once: (fact, check, files, expected part of the complaint)."""
    return [
        ("a folder that includes one below it", includes, {"src/csv/a.c": '#include "ci/store.h"\n'}, "must not include ci/store.h"),
        ("training that includes preparation", includes, {"src/train/a.c": '#include "ci/vocab.h"\n'}, "trains and must not include"),
        ("a header in no row", includes, {"src/csv/a.c": '#include "ci/nobody.h"\n'}, "no row"),
        ("MPI outside comm", includes, {"src/store/a.c": "#include <mpi.h>\n"}, "src/comm/ alone"),
        ("HDF5 in a public header", includes, {"include/ci/store.h": "#include <hdf5.h>\n"}, "src/store/ alone"),
        ("another folder's private header", includes, {"src/csv/a.c": '#include "../table/table_priv.h"\n', "src/table/table_priv.h": "\n"},
         "not a header of csv/"),
        ("an unknown library", includes, {"src/csv/a.c": "#include <bzlib.h>\n"}, "neither C"),
        ("a folder outside the tree", includes, {"src/misc/a.c": "\n"}, "no folder of the tree"),
        ("a space at the end", whitespace, {"src/csv/a.c": "int a; \n"}, "a.c:1: white space"),
        ("a missing last newline", whitespace, {"src/csv/a.c": "int a;"}, "no newline"),
        ("a path of one machine", paths, {"src/csv/a.c": '"/' + 'home/me/data"\n'}, "a.c:1: a path"),
        ("work left undone", leftovers, {"src/csv/a.c": "/* TO" + "DO */\n"}, "left undone"),
        ("a file of 601 lines", long_files, {"src/csv/a.c": "\n" * 601}, "601 lines"),
    ]


def main():
    failed = 0

    def report(name, bad):
        nonlocal failed
        print("%s - includes__%s" % ("not ok" if bad else "ok", name))
        for line in bad:
            print("#   " + line)
        failed += bool(bad)

    report("folders_include_only_what_stands_above_them", includes(ROOT))
    report("no_line_ends_in_white_space", whitespace(ROOT))
    report("no_file_names_a_path_of_one_machine", paths(ROOT))
    report("no_work_is_left_undone", leftovers(ROOT))
    report("no_file_is_over_600_lines", long_files(ROOT))
    for fact, check, content, expected in red():
        with tempfile.TemporaryDirectory() as tmp:
            tree(tmp, content)
            got = check(tmp)
            report("sees_" + fact.replace(" ", "_").replace("'", ""), [] if len(got) == 1 and expected in got[0] else ["got %r" % got])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
