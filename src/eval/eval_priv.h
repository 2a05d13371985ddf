#ifndef CI_EVAL_PRIV_H
#define CI_EVAL_PRIV_H
#include <stdbool.h>
#include <stdio.h>
#include "ci/eval.h"
#include "ci/fusion.h"
#include "ci/h5.h"
#include "ci/metric.h"
#include "ci/train.h"

/* What the model says of windows: those of the test folders and those of validation, in order of graphs. */
struct scored {
    int64_t n, n_test;
    int64_t n_valid_attack; /* attacks that validation had                             */
    int64_t *graph;        /* (n); owned                                               */
    uint8_t *test;         /* (n) 1 of a test folder, 0 of validation; owned           */
    double *score;         /* (n); owned                                               */
    float *output;         /* (n, n_output) of which the score is made; owned          */
    int32_t n_output;
    int64_t *frame;        /* (n + 1) where frames of a window begin; NULL: frames are not judged; owned */
    float *frame_odds;     /* (frame[n]) of all frames of each window but its first; owned */
    const char *const *output_name; /* (n_output); borrowed                            */
    const char *score_name; /* "probability of attack"                                  */
    bool probability;      /* scores are in 0 .. 1 and mean a probability              */
    bool odds;             /* asked for: where the score would be a probability of two logits, their difference */
};

/* One line of the results: a folder, or an attack over all test folders. */
struct line {
    char kind[16]; /* "folder", "attack" */
    char name[CI_STORE_TEXT];
    ci_scores s;
    ci_curve roc, pr;   /* of no points with one class                                  */
    ci_calibration cal; /* where `calibrated`                                           */
    bool calibrated;    /* the scores are probabilities                                 */
    bool framed;        /* frames are judged, too                                       */
    ci_scores frames;   /* where `framed`                                               */
    ci_counts frames_t1, frames_b998; /* with rules of folds                            */
    int64_t n_unknown;  /* frames whose label the store does not tell                   */
};

struct results {
    int32_t n;
    struct line *line; /* (n); owned */
    double threshold;
    char settings[CI_SHA256_HEX], store[CI_SHA256_HEX], weights[CI_SHA256_HEX];
    char threshold_from[128]; /* what rule, on which windows                            */
    double frame_threshold, frame_t1, frame_b998; /* of frames; the last two NaN without folds */
    const char *frame_from;   /* where frame_threshold is from                          */
    char folds[CI_SHA256_HEX]; /* of folds.json; "": validation decided                 */
    const char *code, *which, *score; /* which weights: best, last; what the score is   */
    const char *past, *injected; /* what windows are judged against (features.past), whether injected attacks were learned from; "-": neither here nor there */
    int leaky, simulated;
    int64_t best_epoch, weights_epoch;
};

/* What judges windows: a trained gat or vgae, or the fusion of both (model.name dqn). */
struct judge {
    ci_compute at; /* the models know where it is: it stays there */
    bool fusion;
    ci_trained one;
    ci_fused both;
};

/* Open what run.dir holds, and see that it is of this store and these settings.  Collective. */
ci_rc judge_open(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const char *store_sha, struct judge *j);
void judge_release(struct judge *j);
const char *judge_weights(const struct judge *j); /* SHA-256 */
int64_t judge_epoch(const struct judge *j);       /* of its weights, from 1 */
/* The settings that the training of such a model reads. */
void trained_settings(const ci_conf *conf, char out[CI_SHA256_HEX]);
void judge_stamp(const struct judge *j, struct results *r); /* weights, threshold, epochs */
/* Scores and outputs of out->graph.  Collective. */
ci_rc judge_score(const ci_comm *comm, const ci_conf *conf, const ci_store *st, const struct judge *j, struct scored *out);

/* Frames of windows: each frame once, although windows may overlap.  The first frame of a window, to which no edge leads, has the
 * window's own log-odds; where the store does not tell its label (in a window with other attacks) it is left out and counted. */
struct frames {
    int64_t n, n_attack, n_unknown;
    size_t cap_score, cap_label, cap_cold;
    double *score; /* (n) owned */
    uint8_t *label, *cold; /* (n) owned */
};
/* Add the frames of window i of `all`.  Not collective. */
ci_rc frames_add(struct frames *f, const ci_store *st, const struct scored *all, int64_t i);
void frames_release(struct frames *f); /* NULL-safe */
/* The threshold of frames, where they are judged and folds have not given it: Youden-J on the validation windows' frames. */
ci_rc frames_rule(const ci_store *st, const struct scored *all, struct results *r);
/* What the frames of the windows of this line are worth. */
ci_rc frames_worth(const struct frames *f, const struct results *r, struct line *l);

void scored_release(struct scored *s);

/* Were captures with injected attacks learned from: "with", "without", "-" where there are none. */
const char *injected_name(const ci_store *st, const ci_conf *conf);

/* What windows are judged against: features.past, "-" where each is judged alone by the feature set. */
const char *past_name(const ci_store *st);

/* Which rule decides, "youden", "t1" or "b998", what it is called, and of rules of folds the threshold.  Not collective: rank 0. */
ci_rc rule_choose(const ci_conf *conf, const ci_store *st, const char *store_sha, int64_t n_valid_attack, struct results *r);

/* Numbers of a line that are single ratios without an interval, in the order of the files' columns. */
struct ratio { const char *name; double value; };
enum { RATIOS = 12 };
void line_ratios(const struct line *l, struct ratio out[RATIOS]);

void results_release(struct results *r);

enum { ATTACKS = 32 }; /* codes of attacks are below */

/* A line for each test folder with windows, then for each attack in test captures. */
ci_rc results_tabulate(const ci_conf *conf, const ci_store *st, const struct scored *all, struct results *r);

/* results.csv, results.json, and the table on standard output. */
ci_rc results_write(const struct results *r, const char *run_dir);
char *results_json(const struct results *r); /* to free(); NULL: memory is short */

void csv_number(FILE *f, double v); /* ",1.5"; "," where it is not finite */
/* A field of text, quoted where it has to be (RFC 4180): folders may be named anything. */
void csv_field(FILE *f, const char *s);
/* dir/name gets this text, which is freed; NULL: memory was short. */
ci_rc text_publish(char *text, const char *dir, const char *name);

/* scores.h5.  Not collective: rank 0. */
ci_rc scores_write(const struct scored *all, const ci_store *st, const ci_conf *conf, const struct results *r);

/* Array `array`: n texts of at most `room` bytes, filled up with zeros. */
ci_rc names_put(ci_h5 *f, size_t array, int32_t n, size_t room, const char *(*text)(const void *, int32_t), const void *arg);
const char *scored_name(const void *scored, int32_t i); /* of an output  */
const char *capture_path(const void *store, int32_t i);

/* explain.h5, of eval.explain windows of each test folder; 0: there is none.  Not collective: rank 0.  t NULL: of a model that sees no graphs. */
ci_rc explain_write(const ci_trained *t, const struct scored *all, const ci_store *st, const ci_conf *conf, const struct results *r);

#endif
