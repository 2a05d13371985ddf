#!/usr/bin/python3
# TIMEOUT: 360 SOAK: too
"""A rank that skips a collective, fails, sleeps or dies at one: the others say so and the job ends, at every site of a run."""
import os
import re
import shutil

from common import JUDGED, PREPARED, ROOT, TRAINED, Place, differ, hashes, main, parallel, run, told

DEADLINE = 2
APART = 1 if os.environ.get("CANIDS_SOAK") == "1" else 3
# Passed before the settings with the injection are there.
TOO_EARLY = ["comm.start", "job.settings.read", "job.settings.tell", "job.members.count", "job.members.room", "job.members.tell"]
SHORT = {"train.epochs": 1, "comm.deadline_s": DEADLINE, "pipeline": "sim,scan,build,train,eval"}

PATIENT = {"comm.deadline_s": 60}


def source():
    """Sites named in src/, and those of them where ranks agree on a verdict."""
    text = ""
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in sorted(names):
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    text += f.read()
    call = r'\(\s*[\w>.-]+,\s*"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"'
    return set(re.findall(r"\b(?:CI_TRY_ALL|agree|ci_agree|ci_comm_\w+)" + call, text)), set(re.findall(r"\b(?:CI_TRY_ALL|agree|ci_agree)" + call, text))


class Sites:
    """The sites of a first run and, of a second in the same folder, those that the first has not."""

    def __init__(self, place):
        self.place = place
        self.first = self.trace("first")
        self.again = [s for s in self.trace("again") if s not in self.first]

    def settings(self, there, more):
        return dict(SHORT, **{"data.root": there + "/data", "run.dir": there + "/run"}, **more)

    def trace(self, name):
        path = self.place.path(name + ".trace")
        done = run("run", self.place.conf, ranks=3, settings=dict(self.settings(self.place.path("made"), {"comm.trace": path}), **PATIENT))
        if not told(done.code == 0, "sites__of_the_%s_run_are_known" % name, done):
            return []
        with open(path) as f:
            return [line.split()[0] for line in f]

    def run(self, site, kind, rank, **more):
        there = self.place.path("%s_%s_%d" % (site, kind, rank))
        if site in self.again:
            shutil.copytree(self.place.path("made"), there)
        settings = self.settings(there, {"inject.kind": kind, "inject.site": site, "inject.rank": rank})
        done = run("run", self.place.conf, ranks=3, settings=dict(settings, **more), timeout=DEADLINE + 30)
        done.there = there
        return done

    def sweep(self, kind, jobs, good):
        """Complaints of all (site, rank) whose end is not a good one."""
        def one(job):
            done = self.run(job[0], kind, job[1])
            shutil.rmtree(done.there, ignore_errors=True)
            return "" if good(done, *job) and not done.left and done.seconds < DEADLINE + 5 else "%s by rank %d: %s" % (*job, done)

        return "\n".join(filter(None, parallel(one, jobs)))


def skip_told(done, site, rank):
    return done.code == 75 and any("exit code 75" in x and site in x and re.search(r"rank %d\b" % rank, x) for x in done.out.split("\n"))


def fail_told(done, site, rank):
    return done.code == 74 and "injected failure of rank %d at %s" % (rank, site) in done.out


def others(sites, want):
    done = sites.run("build.round", "delay", 1, **{"inject.seconds": DEADLINE + 20})
    told(done.code == 75 and re.search(r"stalled: rank [02] waited 2 s at build.round.*rank 1 has not come", done.out) and not done.left and
         done.seconds < DEADLINE + 5, "delay__beyond_the_deadline_is_75_and_names_who_has_not_come", done)
    shutil.rmtree(done.there)
    done = sites.run("build.round", "delay", 1, **dict(PATIENT, **{"inject.seconds": 1}))
    now = hashes(done.there + "/run", want)
    told(done.code == 0 and now == want, "delay__within_the_deadline_changes_nothing", "%s %s" % (differ(now, want), done))
    done = sites.run("build.round", "die", 1)
    told(done.code not in (0, "hang") and not done.left and done.seconds < DEADLINE + 5, "die__takes_the_job_down", done)
    again = run("run", sites.place.conf, ranks=2, settings=dict(sites.settings(done.there, {}), **PATIENT))
    now = hashes(done.there + "/run", want)
    told(again.code == 0 and now == want, "die__is_made_good_by_the_same_command", "%s %s" % (differ(now, want), again))


def test():
    with Place(seconds=1, simulate=False) as place:
        sites = Sites(place)
        named, verdicts = source()
        every = [s for s in sites.first + sites.again if s not in TOO_EARLY]
        want = hashes(place.path("made", "run"), [n for n in PREPARED + TRAINED + JUDGED if n != "plan.json"])  # which names data.root
        print("# %d sites passed, %d of them verdicts; in the source alone: %s" %
              (len(every), len(verdicts & set(every)), " ".join(sorted(named - set(every) - set(TOO_EARLY)))))
        told(len(every) > 60 and "missing" not in want.values(), "sites__are_many", every)
        for name, kind, jobs, good in (
                ("skip__of_%d_sites_by_rank_1_is_told_with_75", "skip", [(s, 1) for s in every[::APART]], skip_told),
                ("skip__of_%d_sites_by_rank_0_is_told_with_75", "skip", [(s, 0) for s in every[1::2 * APART]], skip_told),
                ("fail__at_%d_verdicts_is_74_with_rank_and_site", "fail", [(s, i % 3) for i, s in enumerate(every) if s in verdicts], fail_told)):
            bad = sites.sweep(kind, jobs, good)
            told(jobs and not bad, name % len(jobs), bad)
        others(sites, want)


main(test)
