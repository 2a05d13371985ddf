/* Graphs: what a stream was asked while it captured, asked again at each launch. */
#include "emu_priv.h"

struct emu_graph_exec {
    std::vector<emu_op_ref> ops;
};

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long)
{
    EMU_NEED_DEVICE;
    if (!g) return emu_return(cudaErrorInvalidValue);
    *out = new emu_graph_exec{g->ops};
    return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t g, cudaStream_t)
{
    EMU_NEED_DEVICE;
    return emu_return(g ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t h)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    if (!g || !s) return emu_return(g ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue);
    cudaStreamCaptureStatus status;
    const cudaError_t e = cudaStreamIsCapturing(h, &status);
    if (e != cudaSuccess) return e;
    if (status != cudaStreamCaptureStatusNone) return emu_return(cudaErrorNotSupported); /* a graph within a graph is not emulated */
    for (const emu_op_ref &op : g->ops) emu_push(s, op);
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *out, size_t *io_n)
{
    if (!g || !io_n) return emu_return(cudaErrorInvalidValue);
    if (!out) {
        *io_n = g->ops.size();
        return cudaSuccess;
    }
    for (size_t i = 0; i < *io_n; i++) out[i] = i < g->ops.size() ? g->ops[i].get() : nullptr;
    *io_n = std::min(*io_n, g->ops.size());
    return cudaSuccess;
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t n, cudaGraphNodeType *out)
{
    if (!n) return emu_return(cudaErrorInvalidValue);
    *out = n->type;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    emu_run_all();
    delete g;
    return cudaSuccess;
}
