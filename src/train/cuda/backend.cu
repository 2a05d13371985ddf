/* The backend as the program sees it: one table behind one symbol. */
#include <type_traits>
#include "ci/kernels.h"
#include "ci/ring.h"

extern const ci_runtime ci_cuda_runtime;   /* src/device/cuda */
extern const ci_ring_table ci_cuda_ring __attribute__((weak)); /* src/comm/cuda; NULL in a build without NCCL */

#define EACH(X)                                                                                                                    \
    X(assemble) X(gemm) X(gemm_grad) X(embed) X(embed_back) X(input) X(gatv2) X(gatv2_back) X(gat) X(gat_back) X(transformer)      \
    X(transformer_back) X(attention) X(attention_back) X(heads_mean) X(heads_mean_back) X(relu) X(relu_back) X(dropout) X(sigmoid) \
    X(sigmoid_back) X(add) X(add_to) X(cat) X(zero) X(graph_norm) X(graph_norm_back) X(layer_norm) X(layer_norm_back)              \
    X(batch_norm_sums) X(batch_norm_close) X(batch_norm_known) X(batch_norm) X(batch_norm_back_sums) X(batch_norm_back)            \
    X(cut_total) X(lstm_keep) X(lstm_work) X(lstm) X(lstm_back) X(jk_attention) X(jk_attention_back) X(jk_max) X(jk_max_back)      \
    X(pool) X(pool_back) X(sample) X(sample_back) X(neighbour_mean) X(neighbour_mean_back) X(edge_pair) X(edge_pair_back)          \
    X(pair_add) X(pair_add_back) X(classify) X(distill) X(square) X(kl) X(id_head) X(near_head) X(gaussian_sums)                   \
    X(gaussian_close) X(gaussian_back) X(optim_work) X(optim_begin) X(optim_agree) X(optim_float) X(optim_finish) X(running) X(blend)

/* Each is ci_cuda_<name>, of exactly the type that the table says. */
#define DECLARE(name) extern std::remove_pointer_t<decltype(ci_kernels::name)> ci_cuda_##name;
EACH(DECLARE)

#define ENTRY(name) .name = ci_cuda_##name,
static const ci_kernels kernels = {EACH(ENTRY)};

#ifdef CI_EMULATED
#define NAME "emulated"
#else
#define NAME "cuda"
#endif
#ifndef CI_CUDA_ARCH
#define CI_CUDA_ARCH "host"
#endif

static const ci_backend backend = {.abi = CI_BACKEND_ABI, .bytes = sizeof(ci_backend), .key = CI_BACKEND_KEY, .name = NAME, .arch = CI_CUDA_ARCH,
                                   .runtime = &ci_cuda_runtime, .ring = &ci_cuda_ring, .kernels = &kernels};

extern "C" __attribute__((visibility("default"))) const ci_backend *ci_backend_entry(void) { return &backend; }
