#ifndef CI_FUSION_PRIV_H
#define CI_FUSION_PRIV_H
/* What the files of fusion/ share: dense networks, the model, its learning on rank 0. */
#include "ci/arena.h"
#include "ci/fusion.h"
#include "ci/ops.h"
#include "ci/optim.h"

enum { NET_LAYERS = 9, NETS = 4, EXPERTS = 3, CHUNK = 512 };

/* A dense network: linear layers, of which the first `hidden` are followed by layer norm (if `norm`), ReLU
 * and dropout.  Of layer k: weight (in, out), bias (out), and of a norm its weight and bias (out). */
struct net {
    char name[16];
    ci_lid n, hidden;
    ci_lid dim[NET_LAYERS + 1];
    bool norm;
    ci_gid first; /* its first float in the flat vector */
    ci_gid size;
};

/* Networks that learn on a device; NULL: on the processor. */
struct devnet;

/* What one pass of a net computes in and backward looks at. */
struct tape {
    struct devnet *dev;     /* borrowed; then passes are of device_net.c, and of what follows y of the last layer alone is used */
    int at;                 /* which of its networks this is of */
    ci_lid rows;            /* at most */
    ci_arena arena;         /* owned: all of the following */
    float *pre[NET_LAYERS]; /* (rows, out) before the norm; of layers with one */
    float *stat[NET_LAYERS];
    float *y[NET_LAYERS];   /* (rows, out) what the layer gives */
    float *d[2];            /* (rows, widest) gradients on their way */
    float *wt;              /* a weight, transposed */
};

/* What masks of dropout depend on; p 0: nothing is dropped. */
struct drop { uint32_t seed, step; float p; };

/* Where the parts of a layer begin in the flat vector. */
struct parts { ci_gid weight, bias, norm_weight, norm_bias; };

static inline bool normed(const struct net *net, ci_lid k) { return net->norm && k < net->hidden; }
struct parts net_parts(const struct net *net, ci_lid k);
void net_shape(struct net *net, const char *name, ci_gid first, bool norm, ci_lid hidden, const ci_lid *dim, ci_lid n);
void net_init(const struct net *net, uint32_t seed, uint32_t tensor, float *w);
ci_rc tape_create(const struct net *net, ci_lid rows, struct tape *out);
void tape_release(struct tape *t);
/* w is the flat vector (on a device: which one is meant, the model's or its target's); x (rows, dim[0]); drop NULL: none.
 * \return (rows, last dim) in the tape */
float *net_forward(const ci_ops *ops, const struct net *net, const float *w, const float *x, ci_lid rows,
                   const struct drop *drop, struct tape *t);
/* After net_forward with the same arguments.  dy (rows, last dim); grad (flat vector) is added to; on a device adam() makes the
 * gradients, and dy stays what it is until then. */
void net_backward(const ci_ops *ops, const struct net *net, const float *w, const float *x, ci_lid rows,
                  const struct drop *drop, struct tape *t, const float *dy, float *grad);

enum method { DQN, LINUCB, MLP, MOE, AVERAGE, METHODS };

struct ci_fusion {
    ci_fusion_shape shape;
    enum method method;
    ci_fusion_scale scale;
    ci_fusion_progress at;
    ci_fusion_of of;
    const ci_ops *ops;
    struct net net[NETS]; /* dqn, linucb, mlp: one; moe: experts, then the gate; average: none */
    int n_net;
    ci_gid n;
    float *w, *m, *v;     /* (n) parameters and moments of Adam */
    float *target;        /* dqn: (n) the target network */
    double *inverse, *b;  /* linucb: (actions, h, h) and (actions, h) of each arm's ridge */
    float *theta;         /* linucb: (h, actions) inverse b */
    int32_t memory;       /* windows remembered, a ring; 0: none */
    int32_t *past_state, *past_action; /* (memory) which training state, what was chosen ... */
    float *past_reward;                /* ... and what for */
    struct tape tape[NETS]; /* for CHUNK rows */
};

static inline ci_lid width(const ci_fusion *f) { return f->net[0].dim[f->net[0].n]; } /* linucb: h */
static inline float alpha_of(const ci_fusion *f, ci_lid a) { return (float)a / (float)(f->shape.actions - 1); }
/* A mean of probabilities is one; rounded, it may be a little more. */
static inline float at_most_1(float p) { return p > 1 ? 1 : p; }
static inline float fused(ci_fusion_fact f, float alpha) { return at_most_1((1 - alpha) * f.anomaly + alpha * f.attack); }

/* Values of all actions: Q of dqn, theta z of linucb.  x is standardised; (rows, actions) to q. */
void action_values(const ci_fusion *f, struct tape *t, const float *x, ci_lid rows, float *q);
ci_lid largest(const float *q, ci_lid n, ci_lid from); /* the first largest, beginning at `from` and going round */
/* Expert probabilities p (rows, EXPERTS), gates g (rows, EXPERTS) and their mixture (rows); tape (NETS). */
void mixture(const ci_fusion *f, struct tape *tape, const float *x, ci_lid rows, const struct drop *drop, float *p,
             float *g, float *mix);
void linucb_reset(ci_fusion *f);
void linucb_theta(ci_fusion *f);
/* One sample of an arm: A^-1 -= (A^-1 z)(A^-1 z)^T / (1 + z^T A^-1 z), b += r z. */
void linucb_update(ci_lid h, double *inverse, double *b, const float *z, double r, double *work);

/* Learning on rank 0.  R rows are gathered at a time, at most; a draw has `sample` or `batch` windows. */
struct learner {
    const ci_conf *conf;
    const ci_fusion_data *data;
    ci_fusion *f;
    struct tape tape[NETS];    /* for R rows: all that learns; f's own are for those who judge, on the processor */
    struct devnet *dev;
    float *x;                  /* (n_train, state) standardised */
    ci_fusion_fact *fact;      /* (n_train) */
    int32_t *order;            /* (n_train) of a supervised epoch */
    float *grad;               /* (n) */
    float *xb;                 /* (R, state) gathered */
    uint8_t *label;            /* (R) */
    float *q, *dq, *p, *g;     /* (R, widest output) */
    float *mix;                /* (R) of moe; what dqn wants */
    uint32_t *word, *other;    /* (draw) random ones */
    int32_t *pick, *action;    /* (draw) training states, and what was chosen */
    float *reward;             /* (draw) */
    float *z, *side, *inverse; /* linucb: (CHUNK, h) features and products, (h, h) of one arm */
    double *work;              /* (h) */
};

ci_rc learner_init(struct learner *l, const ci_conf *conf, const ci_compute *at, const ci_fusion_data *data, ci_fusion *f);
void learner_release(struct learner *l);

/* device_net.c: weights and moments of f live on the device until the end.  Passes tell no errors: where the device failed they leave NaN,
 * and whoever asks next is told.  `tape` (NETS) is of f's networks, and of `rows` rows. */
ci_rc devnet_create(const ci_compute *at, ci_fusion *f, ci_lid rows, struct tape *tape, struct devnet **out);
void devnet_destroy(struct devnet **d); /* NULL-safe */
void devnet_forward(struct devnet *d, const struct net *net, const float *w, const float *x, ci_lid rows, const struct drop *drop,
                    struct tape *t);
void devnet_backward(struct devnet *d, const struct net *net, struct tape *t, const float *dy);
ci_rc devnet_told(const struct devnet *d);                               /* whether it failed */
ci_rc devnet_adam(struct devnet *d, const ci_adam *a, ci_gid t);         /* of the backward passes of all networks */
void devnet_follow(struct devnet *d, float keep);                        /* the target, of the weights */
ci_rc devnet_pull(struct devnet *d);                                     /* to f: for whoever judges or writes it */

enum use { USE_PICK = 1, USE_EXPLORE, USE_ACTION, USE_REPLAY, USE_ARM };
/* Words 0..n-1 of counter (at, element / 4, use, 0). */
void words(const struct learner *l, int64_t at, enum use use, int32_t n, uint32_t *out);
void pick(struct learner *l, int32_t n);                          /* training states at random, for an episode */
void gather(struct learner *l, const int32_t *state, ci_lid n);   /* to xb */
void judge_actions(struct learner *l, int32_t n);                 /* reward[] of pick[] and action[], remembered */
void replay(struct learner *l, int32_t n);                        /* xb, action[] and reward[] of what is remembered */
ci_rc adam(struct learner *l, double lr, double decay, double clip, double loss);
void follow(struct learner *l, float keep); /* target = keep target + (1 - keep) weights */
ci_rc dqn_episode(struct learner *l);
ci_rc linucb_episode(struct learner *l);
ci_rc supervised_epoch(struct learner *l);

/* The two models that states come from.  Collective. */
enum { WINDOWS_AT_A_TIME = 16384 };
ci_rc both_open(const ci_comm *comm, const ci_conf *conf, const ci_compute *at, const ci_store *st, const char *store_sha, ci_trained *gat, ci_trained *vgae);
void of_make(const ci_conf *conf, const char *store_sha, const ci_trained *gat, const ci_trained *vgae, ci_fusion_of *of);
/* States of n windows, to rank 0, whose scale is not NULL; others compute their share of the outputs.  With labels, the scale
 * is calibrated by these windows first. */
ci_rc states_make(const ci_comm *comm, const ci_conf *conf, const ci_trained *gat, const ci_trained *vgae, const ci_store *st,
                  const int64_t *graph, int64_t n, ci_fusion_scale *scale, const uint8_t *label, const int32_t *nodes, float *state);

/* Losses: means over n rows; gradients are overwritten, and not finite when an input is not. */
double smooth_l1(const float *q, ci_lid cols, const int32_t *action, const float *wanted, ci_lid n, float *dq);
double bce_logit(const float *logit, const uint8_t *label, ci_lid n, float *dlogit);
double bce(const float *p, const uint8_t *label, ci_lid n, float *dp);
double moe_loss(const float *p, const float *g, const float *mix, const uint8_t *label, ci_lid n, double balance,
                float *dlogit, float *dgate);

#endif
