#!/usr/bin/python3
"""Expected values for tests/metric, from scikit-learn and numpy; prints tests/oracle/metric_vectors.h.

    /usr/bin/python3 tests/oracle/metric_oracle.py > tests/oracle/metric_vectors.h
    /usr/bin/python3 tests/oracle/metric_oracle.py --check     compares with the committed file

Scores are multiples of 2^-20, exact in decimal and binary.  The bootstrap case takes its draws
from tests/oracle's own Philox4x32-10 below, so it shares nothing with src/.
"""
import contextlib
import hashlib
import io
import os
import sys

import numpy as np
import sklearn
from sklearn import metrics as sk


def philox(key, counter):
    """Philox4x32-10 as in Salmon et al. 2011."""
    k0, k1 = key
    c = list(counter)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def both(y):
    return 0 < y.sum() < len(y)


def numbers(s, y, t):
    called = (s >= t).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(y, called, labels=[0, 1]).ravel()
    auroc = ap = float("nan")
    if both(y):
        auroc, ap = sk.roc_auc_score(y, s), sk.average_precision_score(y, s)
    return dict(tp=tp, fp=fp, tn=tn, fn=fn, auroc=auroc, ap=ap,
                f1=sk.f1_score(y, called, zero_division=0),
                mcc=sk.matthews_corrcoef(y, called),
                fpr=fp / (fp + tn) if fp + tn else 0.0,
                accuracy=sk.accuracy_score(y, called),
                precision=sk.precision_score(y, called, zero_division=0),
                recall=sk.recall_score(y, called, zero_division=0))


def at_points(s, y):
    """Recall at FPR .05, .01, .001, precision at recall .95, recall at precision .99, of thresholds that are scores."""
    if not both(y):
        return [float("nan")] * 5
    fpr, tpr, _ = sk.roc_curve(y, s, drop_intermediate=False)
    precision, recall, _ = sk.precision_recall_curve(y, s)
    precision, recall = precision[:-1], recall[:-1]  # the last one has no threshold
    sure = recall[precision >= .99]
    return [tpr[fpr <= x].max() for x in (.05, .01, .001)] + [precision[recall >= .95].max(), sure.max() if len(sure) else 0.0]


def more(s, y, t):
    called = (s >= t).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(y, called, labels=[0, 1]).ravel()
    kappa = sk.cohen_kappa_score(y, called) if len(set(y) | set(called)) > 1 else 0.0  # scikit-learn: NaN
    return [tn / (tn + fp) if tn + fp else 0.0, fn / (fn + tp) if fn + tp else 0.0,
            sk.f1_score(y, called, labels=[0, 1], average="macro", zero_division=0), kappa] + at_points(s, y)


def calibration(s, y):
    """Brier score and expected calibration error over 15 bins; NaN where a score is no probability."""
    if s.min() < 0 or s.max() > 1:
        return [float("nan")] * 2
    bins = np.minimum(np.floor(15 * s), 14).astype(int)
    ece = sum((bins == b).mean() * abs(y[bins == b].mean() - s[bins == b].mean()) for b in set(bins))
    return [sk.brier_score_loss(y, s, pos_label=1), ece]


def curve(s, y, kind):
    """x, y, threshold in order of descending threshold; nothing is called an attack at the first point."""
    if kind == "roc":
        x, v, t = sk.roc_curve(y, s, drop_intermediate=False)
        return np.stack([x, v, np.r_[np.inf, t[1:]]], 1)
    precision, recall, t = sk.precision_recall_curve(y, s)
    return np.stack([recall, precision, np.r_[t, np.inf]], 1)[::-1]


def thin(points, keep, most):
    """Visvalingam and Whyatt, as in their paper: look at all triangles, drop the smallest, again."""
    left, floor = list(range(len(points))), 0.0
    while len(left) > most:
        area = []
        for a, k, b in zip(left, left[1:], left[2:]):
            (xa, ya, _), (xk, yk, _), (xb, yb, _) = points[a], points[k], points[b]
            if k != keep or most < 3:
                area.append((max(floor, abs((xk - xa) * (yb - ya) - (xb - xa) * (yk - ya))), k))
        floor, gone = min(area)
        left.remove(gone)
    return points[left]


def curve_case(name, s, y, t, kind, most):
    whole = curve(s, y, kind)
    keep = int(np.flatnonzero(whole[:, 2] >= t)[-1])
    points = thin(whole, keep, most)
    print(f"""    {{"{name}", CI_CURVE_{kind.upper()}, {most}, {len(whole)}, {len(points)}, {{""")
    print(wrap(["INFINITY" if np.isinf(v) else c_number(v) for v in points.reshape(-1)]) + "\n     }},")


def curves():
    print("""
/* The whole curve by scikit-learn, thinned by the oracle's own loop: x, y, threshold of each point. */
struct curve_vector {
    const char *name;
    ci_curve_kind kind;
    int max, n_whole, n;
    double point[240];
};

static const struct curve_vector curve_vectors[] = {""")
    for name, s, y, t in cases():
        if name in ("smooth", "ties", "reversed", "all_equal", "two"):
            for kind in ("roc", "pr"):
                for most in (200, 11, 7, 3, 2):
                    if most == 200 or name == "smooth":
                        curve_case(name, s, y, t, kind, most)
    print("};")


def youden(s, y):
    """Threshold and J from sklearn's ROC curve; the highest threshold among equals."""
    if not both(y):
        return float("nan"), float("nan")
    fpr, tpr, thr = sk.roc_curve(y, s, drop_intermediate=False)
    j = tpr - fpr
    k = int(np.flatnonzero(j >= j.max() - 1e-12)[0])
    distinct = np.unique(s)
    if k == 0:
        return float(np.nextafter(distinct[-1], np.inf)), 0.0
    below = distinct[distinct < thr[k]]
    return float((below[-1] + thr[k]) / 2), float(j[k])


def cases():
    rng = np.random.default_rng(20240611)
    q = lambda v: np.round(np.asarray(v, float) * 2**20) / 2**20
    y = (rng.random(60) < .3).astype(int)
    yield "smooth", q(rng.random(60) + .3 * y), y, .6
    y = (rng.random(80) < .4).astype(int)
    yield "ties", q(np.clip(rng.integers(0, 5, 80) + y, 0, 5) / 4), y, .75
    yield "all_equal", q([.5] * 9), np.array([0, 1, 0, 0, 1, 1, 0, 0, 0]), .5
    y = (rng.random(70) < .35).astype(int)
    yield "probabilities", q(np.clip(rng.random(70) * .7 + .3 * y, 0, 1)), y, .5
    yield "ends_of_bins", q([0, .2, .2, .4, .4, .6, 1, 1, 1]), np.array([0, 0, 1, 0, 1, 1, 1, 0, 1]), .5
    y = np.array([0] * 12 + [1] * 5)
    yield "separated", q(np.r_[rng.random(12) * .4, .6 + rng.random(5) * .4]), y, .5
    yield "reversed", q(np.r_[.6 + rng.random(12) * .4, rng.random(5) * .4]), y, .5
    yield "equal_cuts", q([.1, .2, .3, .4, .5, .6]), np.array([0, 0, 1, 0, 0, 1]), .45
    yield "negative_scores", q([-3, -2, -2, -1, 0, 4]), np.array([0, 0, 1, 0, 1, 1]), -1.5
    yield "only_benign", q([.1, .9, .4]), np.array([0, 0, 0]), .5
    yield "only_attack", q([.1, .9, .4]), np.array([1, 1, 1]), .5
    yield "one_benign", q([.25]), np.array([0]), .5
    yield "one_attack", q([.75]), np.array([1]), .5
    yield "two", q([.25, .75]), np.array([0, 1]), .5


def c_number(v):
    return "NAN" if v != v else repr(float(v))


def wrap(values):
    lines, line = [], "       "
    for v in values:
        if len(line) + len(v) + 2 > 98:
            lines.append(line)
            line = "       "
        line += " " + v + ","
    return "\n".join(lines + [line])


def bootstrap():
    """300 windows of captures of 137, 3 and 160; blocks of 20; 200 draws; seed 7."""
    rng = np.random.default_rng(11)
    capture = np.repeat([4, 9, 2], [137, 3, 160])
    n = len(capture)
    y = (np.arange(n) // 13 % 4 == 1).astype(int)
    s = np.round((rng.random(n) + .35 * y) * 64) / 64
    t, seed, size, draws = .75, 7, 20, 200
    blocks = []
    for c in (4, 9, 2):
        at = np.flatnonzero(capture == c)
        blocks += [at[k:k + size] for k in range(0, len(at), size)]
    rows = []
    for d in range(draws):
        take = [philox((seed, 5), (d, k, 0, 0))[0] * len(blocks) >> 32 for k in range(len(blocks))]
        at = np.concatenate([blocks[b] for b in take])
        if both(y[at]):
            m = numbers(s[at], y[at], t)
            rows.append([m[k] for k in ("auroc", "ap", "f1", "mcc", "fpr", "accuracy")])
    lo, hi = np.percentile(np.array(rows), [2.5, 97.5], axis=0)
    print(f"""
/* Percentiles by numpy of sklearn's values over {draws} draws of blocks of {size}; seed {seed}. */
enum {{ BOOT_N = {n}, BOOT_BLOCK = {size}, BOOT_DRAWS = {draws}, BOOT_SEED = {seed}, BOOT_BLOCKS = {len(blocks)},
       BOOT_KEPT = {len(rows)} }};
static const double boot_threshold = {t};
static const int32_t boot_capture[BOOT_N] = {{
{wrap([str(v) for v in capture])}
}};
static const uint8_t boot_label[BOOT_N] = {{
{wrap([str(v) for v in y])}
}};
static const double boot_score[BOOT_N] = {{
{wrap([c_number(v) for v in s])}
}};
static const double boot_lo[6] = {{{", ".join(c_number(v) for v in lo)}}};
static const double boot_hi[6] = {{{", ".join(c_number(v) for v in hi)}}};""")


def main():
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    print(f"""/* Written by tests/oracle/metric_oracle.py (SHA-256 {digest[:16]}...)
   with scikit-learn {sklearn.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}; do not edit. */
#ifndef METRIC_VECTORS_H
#define METRIC_VECTORS_H
#include <math.h>
#include <stdint.h>
#include "ci/metric.h"

struct metric_vector {{
    const char *name;
    int n;
    double threshold;
    int tp, fp, tn, fn;
    double auroc, ap, f1, mcc, fpr, accuracy, precision, recall, balanced;
    double youden, j;
    double more[9];       /* specificity, FNR, macro F1, kappa, recall at 3 FPR, precision at recall, recall at precision */
    double brier, ece;    /* NaN: a score is no probability */
    uint8_t label[80];
    double score[80];
}};

static const struct metric_vector metric_vectors[] = {{""")
    for name, s, y, t in cases():
        m = numbers(s, y, t)
        specificity = m["tn"] / (m["tn"] + m["fp"]) if m["tn"] + m["fp"] else 0.0
        order = ("auroc", "ap", "f1", "mcc", "fpr", "accuracy", "precision", "recall")
        print(f"    {{\"{name}\", {len(s)}, {t}, {m['tp']}, {m['fp']}, {m['tn']}, {m['fn']},")
        print(wrap([c_number(m[k]) for k in order] + [c_number((m["recall"] + specificity) / 2)]
                   + [c_number(v) for v in youden(s, y)]))
        print("     {\n" + wrap([c_number(v) for v in more(s, y, t)]) + "\n     },\n" + wrap([c_number(v) for v in calibration(s, y)]))
        print("     {\n" + wrap([str(v) for v in y]) + "\n     }, {\n" + wrap([c_number(v) for v in s]) + "\n     }},")
    print("};")
    curves()
    bootstrap()
    print("\n#endif")


def values(text):
    """What is not about versions: another scikit-learn may give the same numbers."""
    return text[text.index("#ifndef"):]


def check():
    made = io.StringIO()
    with contextlib.redirect_stdout(made):
        main()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metric_vectors.h")) as f:
        same = values(made.getvalue()) == values(f.read())
    print(("ok" if same else "not ok") + " - metric_vectors.h is what scikit-learn %s gives" % sklearn.__version__)
    return 0 if same else 1


if sys.argv[1:] == ["--check"]:
    sys.exit(check())
main()
