/** The table of kinds. */
#include "model_priv.h"

#define BOTH(name) .forward = ci_##name##_forward, .backward = ci_##name##_backward
#define LOSS(name) .backward = ci_##name##_backward

const struct kind_of ci_model_kinds[KIND_COUNT] = {
    [EMBED] = {"embed", BOTH(embed)},
    [LINEAR] = {"linear", BOTH(linear), .overwrite = true},
    [GATV1] = {"gatv1", BOTH(gatv1), .work = ci_gatv1_room, .overwrite = true},
    [GATV2] = {"gatv2", BOTH(gatv2), .overwrite = true},
    [TRANSFORMER] = {"transformer", BOTH(transformer), .overwrite = true},
    [ATTENTION] = {"attention", BOTH(attention), .work = ci_attention_room, .overwrite = true},
    [HEADS_MEAN] = {"heads mean", BOTH(heads_mean), .blind = true, .overwrite = true},
    [ADD] = {"add", BOTH(add), .blind = true},
    [CAT] = {"concatenate", BOTH(cat), .blind = true},
    [GRAPH_NORM] = {"graph norm", BOTH(graph_norm)},
    [BATCH_NORM] = {"batch norm", BOTH(batch_norm), .sums = {ci_batch_norm_sum, ci_batch_norm_back_sum}},
    [LAYER_NORM] = {"layer norm", BOTH(layer_norm)},
    [RELU] = {"relu", BOTH(relu), .overwrite = true},
    [DROPOUT] = {"dropout", BOTH(dropout_record), .blind = true, .overwrite = true},
    [SIGMOID] = {"sigmoid", BOTH(sigmoid), .overwrite = true},
    [LSTM] = {"lstm", BOTH(lstm)},
    [JK_ATTENTION] = {"jk attention", BOTH(jk_attention)},
    [JK_MAX] = {"jk max", BOTH(jk_max)},
    [POOL_MEAN] = {"pool", BOTH(pool_mean), .blind = true, .overwrite = true},
    [POOL_MAX] = {"pool max", BOTH(pool_max)},
    [POOL_SUM] = {"pool sum", BOTH(pool_sum), .blind = true},
    [POOL_ATTENTION] = {"pool attention", BOTH(pool_attention)},
    [SAMPLE] = {"sample", BOTH(sample)},
    [NEIGHBOUR_MEAN] = {"neighbour mean", BOTH(neighbour_mean_record), .work = ci_neighbour_mean_room, .blind = true},
    [EDGE_PAIR] = {"edge pair", BOTH(edge_pair), .blind = true},
    [CLASSIFY] = {"label loss", LOSS(classify_loss)},
    [TEACHER_LOGIT] = {"teacher logit", LOSS(teacher_logit)},
    [RECON] = {"node loss", LOSS(recon)},
    [KL] = {"kl loss", LOSS(kl)},
    [ID_HEAD] = {"id loss", LOSS(id_head), .work = ci_head_room},
    [NEIGHBOUR_HEAD] = {"near id loss", LOSS(neighbour_head), .work = ci_head_room},
    [GAUSSIAN] = {"near loss", LOSS(near_loss), .sums = {ci_gaussian_sum, NULL}},
    [EDGE_LOSS] = {"edge loss", LOSS(edge_loss)},
    [TEACHER_LATENT] = {"teacher latent", LOSS(teacher_latent)},
    [TEACHER_RECON] = {"teacher node", LOSS(teacher_recon)},
};
