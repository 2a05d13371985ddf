/** The table of kinds on a device. */
#include "device_priv.h"

#define BOTH(name) .forward = ci_device_##name, .backward = ci_device_##name##_back
#define DATA(name) .forward = ci_device_##name, .writes = true
#define LOSS(name) .backward = ci_device_##name##_back
#define SPACE(name) .space = ci_device_##name##_space

const struct devkind ci_device_kinds[KIND_COUNT] = {
    [EMBED] = {BOTH(embed), .writes = true},
    [EDGE_INPUT] = {DATA(edge_input)},
    [RAW_INPUT] = {DATA(raw_input)},
    [WINDOW_INPUT] = {DATA(window_input)},
    [LINEAR] = {.writes = true, .products = true}, /* ci_device_linears */
    [GATV1] = {BOTH(gatv1), SPACE(gatv1), .writes = true},
    [GATV2] = {BOTH(gatv2), SPACE(gatv2), .writes = true, .sums = true},
    [TRANSFORMER] = {BOTH(transformer), SPACE(gatv2), .writes = true},
    [ATTENTION] = {BOTH(attention), SPACE(attention), .writes = true},
    [HEADS_MEAN] = {BOTH(heads_mean), .writes = true, .sums = true},
    [ADD] = {BOTH(add), .writes = true},
    [CAT] = {BOTH(cat), .writes = true},
    [GRAPH_NORM] = {BOTH(graph_norm), SPACE(graph_norm), .writes = true},
    [BATCH_NORM] = {BOTH(batch_norm), .writes = true},
    [LAYER_NORM] = {BOTH(layer_norm), SPACE(layer_norm), .writes = true},
    [RELU] = {BOTH(relu), .writes = true},
    [DROPOUT] = {BOTH(dropout), .writes = true},
    [SIGMOID] = {BOTH(sigmoid), .writes = true},
    [LSTM] = {BOTH(lstm), SPACE(lstm), .writes = true, .products = true},
    [JK_ATTENTION] = {BOTH(jk_attention), SPACE(jk_attention), .writes = true},
    [JK_MAX] = {BOTH(jk_max), .writes = true},
    [POOL_MEAN] = {BOTH(pool), .writes = true},
    [POOL_MAX] = {BOTH(pool), .writes = true},
    [POOL_SUM] = {BOTH(pool), .writes = true},
    [POOL_ATTENTION] = {BOTH(pool), SPACE(pool_attention), .writes = true},
    [SAMPLE] = {BOTH(sample), SPACE(sample)},
    [NEIGHBOUR_MEAN] = {BOTH(neighbour_mean)},
    [EDGE_PAIR] = {BOTH(edge_pair)},
    [PAIR_ADD] = {BOTH(pair_add)},
    [CLASSIFY] = {LOSS(classify)},
    [MESSAGE_LOSS] = {LOSS(message_loss)},
    [TEACHER_LOGIT] = {LOSS(teacher_logit)},
    [RECON] = {LOSS(recon)},
    [KL] = {LOSS(kl)},
    [ID_HEAD] = {LOSS(id_head), SPACE(head), .products = true},
    [NEIGHBOUR_HEAD] = {LOSS(near_head), SPACE(head), .products = true},
    [GAUSSIAN] = {BOTH(gaussian)},
    [EDGE_LOSS] = {LOSS(edge_loss)},
    [TEACHER_LATENT] = {LOSS(teacher_latent)},
    [TEACHER_RECON] = {LOSS(teacher_recon)},
};
