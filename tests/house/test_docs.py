#!/usr/bin/python3
"""README, INSTALL and the man page speak of what is there."""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CANIDS = os.path.join(ROOT, os.environ.get("CANIDS_BUILD", "build"), "canids")
VERBS = {"sim", "scan", "build", "train", "eval", "run", "doctor", "convert", "profile", "inspect", "export", "info", "config"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def said(*command):
    p = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False, cwd=ROOT)
    return p.returncode, p.stdout + p.stderr


def readme_names_files_that_exist():
    text = read("README.md") + read("INSTALL.md")
    names = set(re.findall(r"\]\(([\w./]+)\)", text)) | set(re.findall(r"\b((?:config|jobs|doc|tools)/[\w/]+\.\w+)", text))
    return ["%s is named but not there" % n for n in sorted(names) if not os.path.exists(os.path.join(ROOT, n))]


def readme_names_goals_of_the_makefile():
    goals = set(re.search(r"^\.PHONY: (.*)$", read("Makefile"), re.M).group(1).split())
    text = read("README.md") + read("INSTALL.md")
    named = set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", text, re.M))
    return ["make %s is named but is no goal" % n for n in sorted(named - goals)]


def readme_names_the_verbs_and_the_program_has_them():
    bad = []
    table = set(re.findall(r"^\| `canids (\w+)", read("README.md"), re.M))
    if table != VERBS:
        bad.append("README has %s" % sorted(table ^ VERBS))
    code, text = said(CANIDS, "--help")
    if code != 0:
        bad.append("--help ended with %d" % code)
    bad += ["--help lacks %s" % v for v in sorted(VERBS) if not re.search(r"\b%s\b" % v, text)]
    return bad


def exit_codes_are_those_of_rc_h():
    codes = set(re.findall(r"exit (\d\d)", read("include/ci/rc.h")))
    page = set(re.findall(r"^\.It (\d\d)$", read("doc/canids.1"), re.M))
    readme = set(re.findall(r"\d\d", " ".join(re.findall(r"^\| ([\d, ]+) \|", read("README.md"), re.M))))
    return ["%s: %s" % (w, sorted(codes ^ got)) for w, got in (("man page", page), ("README", readme)) if codes != got]


def man_page_is_clean():
    if not shutil.which("mandoc"):
        return None
    # Which other pages this machine has indexed is not our concern.
    return [x for x in said("mandoc", "-T", "lint", "doc/canids.1")[1].split("\n") if x and "mandoc.db" not in x]


def version_and_help_need_no_mpi():
    bad = []
    for verb in ("--version", "--help", "info"):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "OMPI_MCA_ess": "none-such", "ASAN_OPTIONS": "detect_leaks=0"}
        p = subprocess.run([CANIDS, verb], capture_output=True, text=True, timeout=60, env=env, check=False)
        if p.returncode != 0 or not p.stdout:
            bad.append("%s ended with %d: %s" % (verb, p.returncode, p.stderr))
    return bad


def settings_files_resolve():
    """Those that one names on the command line; defaults.yaml and the folders beside it are layers below them."""
    files = [p for d in ("config", "config/reference") for p in sorted(glob.glob(os.path.join(ROOT, d, "*.yaml"))) if not p.endswith("/defaults.yaml")]
    said_of = [(os.path.relpath(p, ROOT), said(CANIDS, "config", "explain", p)) for p in files]
    return ["%s: %d %s" % (p, code, text[-300:]) for p, (code, text) in said_of if code != 0] + ([] if len(files) > 4 else ["few files: %s" % files])


def main():
    failed = 0
    for check in (readme_names_files_that_exist, readme_names_goals_of_the_makefile, readme_names_the_verbs_and_the_program_has_them,
                  exit_codes_are_those_of_rc_h, man_page_is_clean, settings_files_resolve, version_and_help_need_no_mpi):
        try:
            bad = check()
        except OSError as e:
            bad = [str(e)]
        if bad is None:
            print("skip - docs__%s: mandoc is not installed" % check.__name__)
            continue
        print("%s - docs__%s" % ("not ok" if bad else "ok", check.__name__))
        for line in bad:
            print("#   " + line)
        failed += bool(bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
