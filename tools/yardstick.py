#!/usr/bin/python3
"""The yardstick beside the graph networks: gradient-boosted trees (hgb), logistic regression (lr) and the sum of their log-odds, each
clipped at 12 (avg), on the window columns of the graphs that a run of `features.set: agnostic` built:

    python3 tools/yardstick.py RUN [--set split.folds=vehicle] [--models hgb,lr,avg] [--seeds 0,1,2] [--out FOLDER]

RUN is the run directory (its resolved.yaml says data.vehicles and split.folds); a table, yardstick.csv and yardstick.json come out, figures
as in summary.csv of the run, whose models stand in the table, too.  Everything is learned from warm training windows, with injected
captures and without; a block of windows in five, another by seed, is left out, as validation is in the run.  Thresholds are out of fold by
split.folds: t1, the largest F1, and b998, the .998 quantile of benign windows; the table shows b998 with injected captures and t1 without,
the files both.  Windows before warm-up count as called benign, and are left out of the AUROC.  Source: detection.md, sections 2 and 3.

lr needs numpy and h5py alone; hgb and avg need scikit-learn (Debian: python3-sklearn).  Nothing of canids needs this tool."""
import argparse
import csv
import json
import os
import re
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE") # trees on a machine that others use, too
import h5py
import numpy as np

USAGE, DATA, MISSING, UNAVAILABLE, SETTINGS = 64, 65, 66, 69, 78
CLIP, TRAIN, TEST, INJECTED = 12.0, 0, 1, 2
FIGURES = ("auroc", "average_precision", "f1", "mcc", "fpr", "accuracy")


def fail(code, *words):
    print("yardstick: " + " ".join(str(w) for w in words), file=sys.stderr)
    sys.exit(code)


# ---- what the run says

def settings_of(path):
    """resolved.yaml -> {"data.vehicles": [...]}: two levels, values written as JSON."""
    found, section = {}, ""
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"( *)([\w]+): *(.*)$", line)
            if not m:
                continue
            section = section if m.group(1) else ""
            if not m.group(3) or m.group(3).startswith("#"):
                section = m.group(2) + "."
                continue
            try:
                found[section + m.group(2)] = json.JSONDecoder().raw_decode(m.group(3))[0]
            except ValueError:
                found[section + m.group(2)] = m.group(3).split(" #")[0].strip()
    return found


class Windows:
    """The windows of a store and whose they are."""

    def __init__(self, path):
        try:
            f = h5py.File(path, "r")
        except OSError as e:
            fail(MISSING if not os.path.exists(path) else DATA, "%s: %s" % (path, e))
        with f:
            if "graph_window" not in f:
                fail(DATA, "%s has no graph_window: build it with features.set=agnostic" % path)
            self.x = np.asarray(f["graph_window"][:], np.float64)
            self.warm, self.label = f["graph_warm"][:] == 1, f["graph_label"][:].astype(np.int64)
            self.capture = f["graph_capture"][:]
            text = lambda name: [v.decode() if isinstance(v, bytes) else str(v) for v in f[name][:]]
            self.path, self.folder_name = text("capture_path"), text("folder_name")
            self.capture_folder, self.attack = f["capture_folder"][:], f["capture_attack"][:]
            self.capture_role = f["folder_role"][:][self.capture_folder]
            said = lambda name, other: (lambda v: v.decode() if isinstance(v, bytes) else v)(f.attrs.get(name, other))
            self.past, self.set, self.simulated = said("past", "-"), said("features", "-"), bool(said("simulated", 0))
        self.role, self.folder = self.capture_role[self.capture], self.capture_folder[self.capture]

    def blocks(self, seed):
        """True where a window is learned from: 20 blocks a capture, every fifth one is not."""
        first = np.searchsorted(self.capture, np.arange(len(self.path)))
        n = np.bincount(self.capture, minlength=len(self.path))
        place = np.arange(len(self.capture)) - first[self.capture]
        return (place * 20 // n[self.capture] + seed) % 5 != 4


def vehicle_of(path, vehicles):
    """The longest of vehicles that the file's name contains, whatever the case; -1 none."""
    name, best = os.path.basename(path).lower(), -1
    for k, v in enumerate(vehicles):
        if v.lower() in name and (best < 0 or len(v) > len(vehicles[best])):
            best = k
    return best


def bases_of(w):
    """Of an injected capture, ...-b<base>-c<copy>.csv, the training capture that it is made of: number <base> of them in order, from 1."""
    real, found = [k for k, r in enumerate(w.capture_role) if r == TRAIN], {}
    for k, path in enumerate(w.path):
        m = re.search(r"-b(\d+)-[cs]\d+", os.path.basename(path))
        if w.capture_role[k] == INJECTED and not (m and 1 <= int(m.group(1)) <= len(real)):
            fail(DATA, "%s: of which training capture is it made?" % path)
        if w.capture_role[k] == INJECTED:
            found[k] = real[int(m.group(1)) - 1]
    return found


def folds_of(w, how, vehicles):
    """(fold of each capture, -1: always learned from; names), as include/ci/split.h has them."""
    n, bases = len(w.path), bases_of(w)
    if how == "capture":
        key = [w.path[bases.get(k, k)] for k in range(n)]
    elif how == "vehicle":
        key = [(vehicles + ["unknown vehicle"])[vehicle_of(w.path[bases.get(k, k)], vehicles)] for k in range(n)]
    elif how == "attack":
        key = ["attack %d" % a if a > 0 else "" for a in w.attack[[bases.get(k, k) for k in range(n)]]]
    else:
        fail(SETTINGS, "split.folds is %s: say --set split.folds=vehicle, capture or attack" % how)
    mine = [k for k in range(n) if w.capture_role[k] != TEST and key[k]]
    names = sorted({key[k] for k in mine})
    fold = np.full(n, -1)
    fold[mine] = [names.index(key[k]) for k in mine]
    if len(names) < 2:
        fail(SETTINGS, "split.folds %s: there is nothing to leave out in turn (%s)" % (how, ", ".join(names) or "none"))
    return fold, names


# ---- what judges

class Linear:
    """Logistic regression, columns in units of their spread, clipped at 10; Newton's method on the sum of losses + |w|^2 / 2."""

    def __init__(self, x, y, _seed):
        self.mean, spread = x.mean(0), x.std(0)
        self.spread = np.maximum(spread, 1e-6 * np.maximum(1, np.abs(self.mean)))
        a = self.columns(x)
        ridge = np.r_[np.ones(x.shape[1]), 1e-9]
        self.w = np.zeros(a.shape[1])
        value = self.loss(a, y, self.w, ridge)
        for _ in range(100):
            p = 1 / (1 + np.exp(-np.clip(a @ self.w, -500, 500)))
            slope = a.T @ (p - y) + ridge * self.w
            step = np.linalg.solve((a * np.maximum(p * (1 - p), 1e-12)[:, None]).T @ a + np.diag(ridge), slope)
            size = 1.0
            while size > 1e-6 and self.loss(a, y, self.w - size * step, ridge) > value:
                size /= 2
            self.w = self.w - size * step
            before, value = value, self.loss(a, y, self.w, ridge)
            if before - value <= 1e-10 * max(1.0, value):
                break

    def columns(self, x):
        return np.column_stack([np.clip((x - self.mean) / self.spread, -10, 10), np.ones(len(x))])

    @staticmethod
    def loss(a, y, w, ridge):
        z = a @ w
        return float((np.logaddexp(0, z) - y * z).sum() + (ridge * w * w).sum() / 2)

    def score(self, x):
        return self.columns(x) @ self.w


class Trees:
    def __init__(self, x, y, seed):
        from sklearn.ensemble import HistGradientBoostingClassifier
        self.model = HistGradientBoostingClassifier(max_iter=200, early_stopping=False, random_state=seed).fit(x, y)

    def score(self, x):
        return self.model.decision_function(x)


def scores_of(models, x, y, seed, rows, at):
    """Scores of windows `at` by each of models, trained on `rows`; one class there is an error that says so."""
    if len(set(y[rows].tolist())) < 2:
        return None
    got = {}
    if {"lr", "avg"} & set(models):
        got["lr"] = Linear(x[rows], y[rows], seed).score(x[at])
    if {"hgb", "avg"} & set(models):
        got["hgb"] = Trees(x[rows], y[rows], seed).score(x[at])
    if "avg" in models:
        got["avg"] = np.clip(got["lr"], -CLIP, CLIP) + np.clip(got["hgb"], -CLIP, CLIP)
    return {m: got[m] for m in models}


# ---- thresholds and figures

def t1(score, label):
    """The middle of the gap at which calling what lies above an attack has the largest F1; of equals the highest."""
    order = np.argsort(-score, kind="stable")
    s, hit = score[order], np.cumsum(label[order])
    end = np.flatnonzero(np.r_[np.diff(s) != 0, True])
    f1 = 2 * hit[end] / (end + 1 + label.sum())
    k = int(np.argmax(f1))
    last = s[end[k]]
    return float((last + s[end[k] + 1]) / 2) if end[k] + 1 < len(s) else float(last - 1)


def b998(score, label):
    return float(np.quantile(score[label == 0], .998))


RULES = {"t1": t1, "b998": b998}


def ranks(score):
    _, place, n = np.unique(score, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n - 1) / 2)[place]


def figures(score, label, warm, threshold):
    """score is of the warm windows, label of all; the others are called benign."""
    called = np.zeros(len(label), bool)
    called[warm] = score > threshold
    attacks, judged = label == 1, label[warm]
    tp, fp = int((called & attacks).sum()), int((called & ~attacks).sum())
    fn, tn = int(attacks.sum()) - tp, int((~attacks).sum()) - fp
    root = float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    a, b = int(judged.sum()), int((judged == 0).sum())
    out = {"n": len(label), "cold": int((~warm).sum()), "attacks": int(attacks.sum()), "tp": tp, "fp": fp, "tn": tn, "fn": fn, "auroc": None,
           "average_precision": None, "f1": 2 * tp / max(1, 2 * tp + fp + fn), "mcc": (float(tp) * tn - float(fp) * fn) / root ** .5 if root else 0.0,
           "fpr": fp / max(1, fp + tn), "accuracy": (tp + tn) / max(1, len(label))}
    if a and b:
        out["auroc"] = float((ranks(score)[judged == 1].sum() - a * (a + 1) / 2) / (a * b))
        order = np.argsort(-score, kind="stable")
        step = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
        found = np.cumsum(judged[order])[step]
        out["average_precision"] = float((np.diff(np.r_[0, found]) * found / (step + 1)).sum() / a)
    return out


# ---- the whole

def judged(w, fold, names, models, seed, injected):
    """One seed, injected captures `with`, `without`, or `-` where there are none: lines of every model, rule and test folder."""
    usable = w.warm & ((w.role == TRAIN) | ((w.role == INJECTED) & (injected == "with")))
    learned, of = usable & w.blocks(seed), fold[w.capture]
    pooled, labels = {m: [] for m in models}, []
    for k, name in enumerate(names):
        at = np.flatnonzero(usable & (of == k))
        if len(at) == 0:
            continue
        got = scores_of(models, w.x, w.label, seed, np.flatnonzero(learned & (of != k)), at)
        if got is None:
            fail(DATA, "fold %s: what is left to learn from has one class alone" % name)
        labels.append(w.label[at])
        for m in models:
            pooled[m].append(got[m])
    label = np.concatenate(labels) if labels else np.zeros(0, int)
    if len(set(label.tolist())) < 2:
        fail(DATA, "windows left out by split.folds have one class alone: no threshold")
    test = np.flatnonzero(w.warm & (w.role == TEST))
    got = scores_of(models, w.x, w.label, seed, np.flatnonzero(learned), test)
    lines = []
    for m in models:
        full = np.full(len(w.label), np.nan)
        full[test] = got[m]
        out_of_fold = np.concatenate(pooled[m])
        for rule, threshold_of in RULES.items():
            threshold = threshold_of(out_of_fold, label)
            seen = figures(out_of_fold, label, np.ones(len(label), bool), threshold)
            for k in sorted(set(w.folder[w.role == TEST].tolist())):
                mine = np.flatnonzero((w.folder == k) & (w.role == TEST))
                warm = w.warm[mine]
                lines.append({"model": m, "name": w.folder_name[k], "rule": rule, "injected": injected, "seed": seed,
                              "threshold": threshold, "out_of_fold": {"n": len(label), "attacks": int(label.sum()), "auroc": seen["auroc"], "f1": seen["f1"]},
                              **figures(full[mine][warm], w.label[mine], warm, threshold)})
    return lines


def table_of(lines, w):
    """Mean and spread over the seeds, one row a model, rule and folder."""
    rows, groups = [], {}
    for line in lines:
        groups.setdefault(tuple(line[k] for k in ("model", "injected", "rule", "name")), []).append(line)
    for (model, injected, rule, name), of in groups.items():
        row = {"model": model, "kind": "folder", "name": name, "traffic": "SIMULATED" if w.simulated else "recorded", "protocol": "honest",
               "past": w.past, "injected": injected, "rule": rule, "seeds": len(of), "n": of[0]["n"], "attacks": of[0]["attacks"], "cold": of[0]["cold"]}
        for f in FIGURES:
            v = [line[f] for line in of if line[f] is not None]
            row[f + "_mean"] = float(np.mean(v)) if v else None
            row[f + "_sd"] = float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 if v else None
        rows.append(row)
    return rows


def shown(rows):
    line = "%-18s %-8s %-5s %-7s %-41s %6s %6s  %-6s %-13s %-6s %-6s %s"
    print(line % ("model", "injected", "rule", "past", "test folder", "n", "attack", "acc", "F1", "MCC", "FPR", "AUROC"))
    for r in sorted(rows, key=lambda r: (r["name"], r["injected"] == "with")):
        if r["model"] in ("hgb", "lr", "avg") and r["rule"] != ("b998" if r["injected"] == "with" else "t1"):
            continue
        cell = lambda k, r=r: "-" if r[k + "_mean"] in ("", None) else "%.4f" % float(r[k + "_mean"])
        print(line % (r["model"], r["injected"], r["rule"], r["past"], r["name"], r["n"], r["attacks"], cell("accuracy"),
                      cell("f1") + "+-%.3f" % float(r["f1_sd"] or 0), cell("mcc"), cell("fpr"), cell("auroc")))


def graph_networks(run):
    """What the run's own models reached, to stand beside: summary.csv of several, and of which rule their thresholds are."""
    try:
        with open(os.path.join(run, "summary.json"), encoding="utf-8") as f:
            rule = {m["model"]: m.get("threshold_from", "-").split(":")[0].split(" ")[0] for m in json.load(f)["members"]}
        with open(os.path.join(run, "summary.csv"), encoding="utf-8", newline="") as f:
            return [dict(r, rule=rule.get(r["model"], "-")) for r in csv.DictReader(f) if r["kind"] == "folder"]
    except OSError:
        return []


def written(folder, rows, lines, about):
    def number(v):
        return "" if v is None else "%.9g" % v if isinstance(v, float) else v
    for name, put in (("yardstick.csv", None), ("yardstick.json", dict(about, table=rows, seeds=lines))):
        path = os.path.join(folder, name)
        with open(path + ".part", "w", encoding="utf-8", newline="") as f:
            if put is None:
                out = csv.writer(f, lineterminator="\n")
                out.writerow(rows[0])
                out.writerows([number(v) for v in r.values()] for r in rows)
            else:
                json.dump(put, f, indent=1)
        os.replace(path + ".part", path)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("run", help="run directory, or a store")
    a.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="split.folds, data.vehicles instead of the run's")
    a.add_argument("--models", default="hgb,lr,avg")
    a.add_argument("--seeds", default="0,1,2")
    a.add_argument("--out", metavar="FOLDER", help="for yardstick.csv and yardstick.json; else beside the store")
    o = a.parse_args()
    store = o.run if os.path.isfile(o.run) else os.path.join(o.run, "store.h5")
    models, seeds = o.models.split(","), [int(s) for s in o.seeds.split(",")]
    if set(models) - {"hgb", "lr", "avg"}:
        fail(USAGE, "--models %s: hgb, lr and avg are there" % o.models)
    libraries = {"numpy": np.__version__, "h5py": h5py.__version__}
    if set(models) & {"hgb", "avg"}:
        try:
            import sklearn
            libraries["scikit-learn"] = sklearn.__version__
        except ImportError:
            fail(UNAVAILABLE, "scikit-learn is missing (Debian: apt install python3-sklearn; else pip install scikit-learn); --models lr does without")
    w = Windows(store)
    resolved = os.path.join(os.path.dirname(store) or ".", "resolved.yaml")
    said = settings_of(resolved) if os.path.exists(resolved) else {}
    for word in o.set:
        key, _, value = word.partition("=")
        said[key] = value.strip("[]").replace('"', "").replace(" ", "").split(",") if key == "data.vehicles" else value
    how, vehicles = said.get("split.folds", "none"), said.get("data.vehicles") or []
    fold, names = folds_of(w, how, vehicles)
    print("%s: %d windows of %d columns (%s, past %s), %d training, %d injected, %d test, %d before warm-up; folds by %s: %s" % (
        store, len(w.label), w.x.shape[1], w.set, w.past, (w.role == TRAIN).sum(), (w.role == INJECTED).sum(), (w.role == TEST).sum(), (~w.warm).sum(),
        how, ", ".join(names)))
    if w.simulated:
        print("SIMULATED traffic: these scores say nothing about quality")
    lines = []
    for seed in seeds:
        for injected in ("without", "with") if (w.role == INJECTED).any() else ("-",):
            lines += judged(w, fold, names, models, seed, injected)
            print("seed %d, injected captures %s: done" % (seed, injected), file=sys.stderr, flush=True)
    rows = table_of(lines, w)
    shown(rows + graph_networks(os.path.dirname(store)))
    written(o.out or os.path.dirname(store) or ".", rows, lines, {"store": store, "features": w.set, "past": w.past, "folds": how, "fold_names": names,
                                                                  "libraries": libraries})


if __name__ == "__main__":
    main()
