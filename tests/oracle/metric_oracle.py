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

struct metric_vector {{
    const char *name;
    int n;
    double threshold;
    int tp, fp, tn, fn;
    double auroc, ap, f1, mcc, fpr, accuracy, precision, recall, balanced;
    double youden, j;
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
        print("     {\n" + wrap([str(v) for v in y]) + "\n     }, {\n" + wrap([c_number(v) for v in s]) + "\n     }},")
    print("};")
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
