#ifndef CI_RUN_PRIV_H
#define CI_RUN_PRIV_H
/* A run under way, its steps, and its members: each of several models that it trains and judges. */
#include "ci/plan.h"
#include "ci/store.h"
#include "step_priv.h"

struct run {
    const ci_comm *comm;
    const ci_conf *base;   /* of the run: captures, plan, store and record are in its run.dir */
    const ci_conf *conf;   /* of what is trained and judged now: base, or a member */
    const ci_conf *member; /* (n_member) borrowed; NULL: base alone */
    int32_t n_member;
    const char *code;
    bool resume;
    bool planned;       /* plan is that of a scan in this process */
    ci_plan plan;
    ci_store *store;
    ci_rc checked;      /* what a look of all ranks at the store's bytes said, its hash, and why not */
    char checked_sha[CI_SHA256_HEX], checked_why[CI_MESSAGE_MAX];
    char previous[CI_SHA256_HEX]; /* hash of the store that the next one replaces; "": none, or not to be trusted */
    char store_sha[CI_SHA256_HEX];
    int lock;           /* rank 0: the run directory is ours; -1 elsewhere */
};

/* What rank 0 found of a step's work, told to all. */
struct verdict {
    int64_t skip;
    int64_t usable;          /* the store is not what is wanted, but its bytes are true */
    char why[512];
    char sha[CI_SHA256_HEX]; /* of the store, when it was found true */
};

/* A step: what it stands on, whether its work is there and true, the work, what follows when it is not done. */
struct step {
    const char *name, *site;
    bool each;                                            /* once for each member */
    ci_rc (*before)(struct run *);                        /* collective; NULL: nothing */
    bool (*there)(const struct run *, struct verdict *);  /* rank 0; says why or why not */
    ci_rc (*work)(struct run *, struct attempt *);        /* collective */
    ci_rc (*skipped)(struct run *, const struct verdict *); /* collective; NULL: nothing */
};

extern const struct step step_sim, step_scan, step_build, step_train, step_eval;

/* The plan and the store that training stands on, from an earlier step where this process has done none.  Collective. */
ci_rc store_have(struct run *r);

/* Is `step` among "scan,build"? */
bool step_named(const char *steps, const char *step);

/* Rank 0: are the models that others need trained before them, or on disk?  \return CI_OK; CI_ECONF naming who lacks whom,
 * CI_ENOENT where base is alone or --resume has nothing to go on from. */
ci_rc members_check(const struct run *r, const char *steps);

/* Rank 0: the folder, and resolved.yaml in it.  freeze: the settings become those of the run; evaluation alone leaves them as training had them. */
ci_rc settings_keep(const ci_conf *conf, bool freeze);

/* Rank 0: may this training be asked to go on? */
bool training_begun(const ci_conf *c);

/* What a checkpoint says of its training. */
struct kept {
    char settings[CI_SHA256_HEX], store[CI_SHA256_HEX], weights[CI_SHA256_HEX];
    char from[2][CI_SHA256_HEX]; /* weights of its teacher and of the vgae its curriculum asked; dqn: of its gat and its vgae */
    bool finished;               /* by the settings of now */
};

/* Rank 0: of c->run.dir/name. */
ci_rc kept_read(const ci_conf *c, const char *name, struct kept *out);
void kept_settings(const ci_conf *c, char out[CI_SHA256_HEX]); /* that such a training reads */
/* Which model that it was made from is another one now; NULL: none. */
const char *kept_stale(const ci_conf *c, const struct kept *k);

/* "gat_small/seed_42"; NULL where base is alone. */
const char *member_name(const struct run *r);

#endif
