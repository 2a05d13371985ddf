#ifndef CI_STEP_PRIV_H
#define CI_STEP_PRIV_H
/* What run and its record share. */
#include "ci/run.h"

/* The record of a run: every attempt of every step.  Rank 0 writes, all ranks call. */
struct attempt {
    const char *step, *why;
    double wall_s, cpu_s;
    const char *unit; /* of what was done: "rows", "graphs"; NULL: not counted */
    int64_t done;
};

/* Whose record it is, and of what. */
struct record {
    const ci_comm *comm;
    const char *dir;     /* that run.json is in */
    const ci_conf *conf; /* of the step */
    const char *code;
    const char *model;   /* a member of the run; NULL: not of one */
};

/* The clock of an attempt starts; run.json says that it has begun.  Collective. */
ci_rc attempt_begin(const struct record *r, struct attempt *a, const char *step, const char *why);

/* A step that is not done again: said and recorded.  Collective. */
ci_rc attempt_skip(const struct record *r, const char *step, const char *why);

/* The attempt is over: append it to run.json.  Collective.  Returns rc, or what went wrong with the
 * record when rc is CI_OK. */
ci_rc attempt_end(const struct record *r, struct attempt *a, ci_rc rc);

/* Scan the set that is injected into (ci_sim_base_name), with the results in conf->run.dir/base, and inject attacks
 * into its training captures (ci/sim.h).  With data.injected the folder is locked meanwhile: CI_ETEMP when another
 * run works in it.  Collective. */
ci_rc inject_do(const ci_comm *comm, const ci_conf *conf);

/* Which captures of that set would be read, and how, as a hash.  Not collective. */
ci_rc inject_reading(const ci_conf *conf, char out[CI_SHA256_HEX]);

#endif
