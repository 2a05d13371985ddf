#ifndef CI_EVAL_PRIV_H
#define CI_EVAL_PRIV_H
#include "ci/eval.h"
#include "ci/metric.h"

/* One line of the results: a folder, or an attack over all test folders. */
struct line {
    char kind[16]; /* "folder", "attack" */
    char name[CI_STORE_TEXT];
    ci_scores s;
};

struct results {
    int32_t n;
    struct line *line; /* (n); owned */
    double threshold;
    char settings[CI_SHA256_HEX], store[CI_SHA256_HEX], weights[CI_SHA256_HEX];
    const char *code;
    int leaky, simulated;
    int64_t best_epoch;
};

ci_rc results_write(const struct results *r, const char *run_dir);

#endif
