/** Training of one model on one core, as `key=value` words that tools/bench_train.py puts beside PyTorch Geometric.
 *
 *      bench_train gat|vgae small|large PRESET ROWS SECONDS [KEY=VALUE]
 *
 *  A batch of BATCH graphs (shard.h) in shards of at most ROWS nodes, whole batches until SECONDS have gone by; a model that is cut
 *  goes over all shards in each pass, as in training, the others through forward and backward shard by shard.  No optimiser step, no
 *  integer sum.  Seconds are of processor time of the thread.  The forward pass of evaluation is timed beside the matrix peak, both
 *  in turn; its operations are those of ci_model_flops. */
#include <stdio.h>
#include <stdlib.h>
#include "ci/ops.h"
#include "peak.h"
#include "trial.h"

enum { BATCH = 256 };

/** GFLOP/s of the forward pass of evaluation; *out_share: of the peak. */
static double forward(trial *t, double *out_share)
{
    const double flop = ci_model_flops(t->m, SHARD_NODES, SHARD_NODES + SHARD_EDGES, SHARD_EDGES) * t->b[0].n_graph;
    const int loops = (int)(1e9 / flop) + 1;
    const ci_ops *ops = ci_ops_get(t->conf.train.isa);
    double best = 0, most = 0;

    for (int run = 0; run < 5; run++) {
        const double begun = thread_s();
        for (int k = 0; k < loops; k++) trial_must(ci_model_forward(t->m, t->w, t->state, t->s[0], &t->b[0]));
        best = CI_MAX(best, flop * loops / (thread_s() - begun) / 1e9);
        most = CI_MAX(most, peak(ops->lanes));
    }
    *out_share = most > 0 ? best / most : 0;
    return best;
}

int main(int argc, char **argv)
{
    static trial t;
    double begun, spent, share = 0, speed = 0;
    int batches = 0;

    if (argc < 6 || argc > 7) {
        fprintf(stderr, "usage: bench_train gat|vgae small|large PRESET ROWS SECONDS [KEY=VALUE]\n");
        return 64;
    }
    trial_settle(&t, argv[1], argv[2], argv[3], (const char *const *)argv + 6, argc - 6, false);
    trial_make(&t, BATCH, atoi(argv[4]));
    trial_forward(&t, 0); /* touches memory */
    begun = thread_s();
    do {
        trial_run(&t);
        batches++;
        spent = thread_s() - begun;
    } while (spent < atof(argv[5]));
    if (ci_model_dims(t.m)->kind == CI_GAT) speed = forward(&t, &share);
    printf("rate=%.1f parameters=%lld dropout=%g unk_drop=%g mask=%g isa=%s shards=%d loss=%.6f forward_gflops=%.1f share=%.3f\n",
           t.n_graph * batches / spent, (long long)ci_model_size(t.m), (double)t.step.dropout, (double)t.step.unk_drop,
           (double)t.step.mask, ci_model_isa(t.m), t.n_shard, t.loss, speed, share);
    trial_release(&t);
    return 0;
}
