/* Streams: queues whose work is done when somebody waits or asks, any stream's head in any order that events leave. */
#include "emu_priv.h"
#include <chrono>
#include <sched.h>

struct asked {
    emu_op_ref op;
    std::shared_ptr<void> state;
};
struct emu_stream {
    std::deque<asked> queue;
    emu_graph *capture = nullptr;
    bool spoiled = false;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
};
struct emu_event {
    uint64_t recorded = 0; /* how often a record was asked for */
    std::shared_ptr<uint64_t> done = std::make_shared<uint64_t>(0); /* up to which it has passed */
    std::shared_ptr<double> when = std::make_shared<double>(0.0);
    emu_stream *captured = nullptr;
};

static std::vector<emu_stream *> streams;
static emu_stream *legacy()
{
    static emu_stream s;
    return &s;
}

emu_stream *emu_stream_of(cudaStream_t s)
{
    if (!s) return legacy();
    for (emu_stream *x : streams)
        if (x == s) return x;
    return nullptr;
}
bool emu_streams_any() { return !streams.empty(); }
void emu_streams_drop()
{
    for (emu_stream *s : streams) s->queue.clear();
    legacy()->queue.clear();
}
void emu_push(emu_stream *s, const emu_op_ref &op) { s->queue.push_back({op, nullptr}); }

/* The head of one stream: true when it is done and gone. */
static bool head(emu_stream *s)
{
    if (s->queue.empty()) return false;
    asked a = s->queue.front(); /* a failure empties the queue meanwhile */
    const bool done = a.op->run(a.state);
    if (s->queue.empty()) return true;
    if (done) s->queue.pop_front();
    else s->queue.front().state = a.state;
    return done;
}

/* One piece of work of any stream; false when none can go on. */
static bool step()
{
    static std::vector<unsigned> order;
    if (head(legacy())) return true;
    emu_arrange(order, (unsigned)streams.size());
    for (unsigned i : order)
        if (head(streams[i])) return true;
    return false;
}
void emu_run_all()
{
    const emu_inside inside;
    while (step()) {}
}

/* As what frees device memory waits: for ever, where something never ends. */
void emu_wait_all()
{
    const emu_inside inside;
    for (bool idle = false; !idle && emu_failed() == cudaSuccess;) {
        idle = legacy()->queue.empty();
        for (const emu_stream *s : streams) idle = idle && s->queue.empty();
        if (!idle && !step()) sched_yield();
    }
}

static cudaError_t wait_for(const std::function<bool()> &done)
{
    const emu_inside inside;
    while (emu_failed() == cudaSuccess && !done())
        if (!step()) sched_yield(); /* only what other ranks have to do is left */
    return emu_return(emu_failed());
}

cudaError_t emu_ask(cudaStream_t h, cudaGraphNodeType type, const char *name, std::function<bool(std::shared_ptr<void> &)> run)
{
    emu_stream *const s = emu_stream_of(h);
    if (!s) return cudaErrorInvalidResourceHandle;
    const emu_op_ref op = std::make_shared<emu_op>(emu_op{type, name, std::move(run)});
    if (s->capture) {
        if (s->spoiled) return cudaErrorStreamCaptureInvalidated;
        s->capture->ops.push_back(op);
        return cudaSuccess;
    }
    if (s == legacy()) {
        /* It waits for all the others and they for it. */
        for (emu_stream *x : streams)
            if (x->capture) return x->spoiled = true, cudaErrorStreamCaptureImplicit;
        emu_run_all();
        emu_push(s, op);
        emu_run_all();
        return emu_failed();
    }
    emu_push(s, op);
    return cudaSuccess;
}

cudaError_t emu_no_capture()
{
    for (emu_stream *s : streams)
        if (s->capture && s->mode != cudaStreamCaptureModeRelaxed) {
            s->spoiled = true;
            return cudaErrorStreamCaptureUnsupported;
        }
    return cudaSuccess;
}

/* ---- streams ---- */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned)
{
    EMU_NEED_DEVICE;
    streams.push_back(*out = new emu_stream);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *out) { return cudaStreamCreateWithFlags(out, 0); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int) { return cudaStreamCreateWithFlags(out, flags); }
cudaError_t cudaDeviceGetStreamPriorityRange(int *out_least, int *out_greatest)
{
    EMU_NEED_DEVICE;
    *out_least = 0;
    *out_greatest = -5;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t h)
{
    emu_stream *const s = emu_stream_of(h);
    if (!s || !h) return emu_return(cudaErrorInvalidResourceHandle);
    emu_run_all();
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == s) {
            streams.erase(streams.begin() + (long)i);
            break;
        }
    delete s->capture;
    delete s;
    return emu_return(cudaSuccess);
}

/* Waiting for a stream that captures spoils what it captures. */
static cudaError_t refused(emu_stream *s)
{
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s == legacy()) return emu_no_capture();
    if (!s->capture) return cudaSuccess;
    s->spoiled = true;
    return cudaErrorStreamCaptureUnsupported;
}
cudaError_t cudaStreamSynchronize(cudaStream_t h)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    const cudaError_t e = refused(s);
    if (e != cudaSuccess) return emu_return(e);
    return wait_for([=] { return s->queue.empty(); });
}
/* Does what can be done now; work that was found is told as not ready, so that whoever polls asks again. */
cudaError_t cudaStreamQuery(cudaStream_t h)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    const cudaError_t e = refused(s);
    if (e != cudaSuccess) return emu_return(e);
    if (s->queue.empty()) return cudaSuccess;
    {
        const emu_inside inside;
        while (!s->queue.empty() && step()) {}
    }
    return emu_return(emu_failed() != cudaSuccess ? emu_failed() : cudaErrorNotReady);
}
cudaError_t cudaDeviceSynchronize()
{
    EMU_NEED_DEVICE;
    const cudaError_t e = emu_no_capture();
    if (e != cudaSuccess) return emu_return(e);
    return wait_for([] {
        for (emu_stream *s : streams)
            if (!s->queue.empty()) return false;
        return legacy()->queue.empty();
    });
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *arg)
{
    EMU_NEED_DEVICE;
    return emu_return(emu_ask(s, cudaGraphNodeTypeHost, "host", [=](std::shared_ptr<void> &) {
        f(arg);
        return true;
    }));
}

/* ---- events ---- */
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
    EMU_NEED_DEVICE;
    *out = new emu_event;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *out) { return cudaEventCreateWithFlags(out, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    if (!e) return emu_return(cudaErrorInvalidResourceHandle);
    delete e; /* what is asked already has its own share of the rest */
    return emu_return(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t h)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    if (!s || !e) return emu_return(cudaErrorInvalidResourceHandle);
    e->captured = s->capture ? s : nullptr;
    if (s->capture) return emu_return(s->spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess); /* an edge, no node */
    const uint64_t number = ++e->recorded;
    const auto done = e->done;
    const auto when = e->when;
    return emu_return(emu_ask(h, cudaGraphNodeTypeEventRecord, "record", [=](std::shared_ptr<void> &) {
        if (*done < number) *done = number;
        *when = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
        return true;
    }));
}
cudaError_t cudaStreamWaitEvent(cudaStream_t h, cudaEvent_t e, unsigned)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    if (!s || !e) return emu_return(cudaErrorInvalidResourceHandle);
    if (e->captured || s->capture) {
        if (e->captured == s) return emu_return(s->spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
        if (s->capture) s->spoiled = true;
        if (e->captured) e->captured->spoiled = true; /* a second stream in a capture is not emulated */
        return emu_return(s->capture ? cudaErrorStreamCaptureIsolation : cudaErrorNotSupported);
    }
    if (!e->recorded) return cudaSuccess;
    const uint64_t number = e->recorded;
    const auto done = e->done;
    return emu_return(emu_ask(h, cudaGraphNodeTypeWaitEvent, "wait", [=](std::shared_ptr<void> &) { return *done >= number; }));
}
cudaError_t cudaEventQuery(cudaEvent_t e)
{
    EMU_NEED_DEVICE;
    if (!e) return emu_return(cudaErrorInvalidResourceHandle);
    if (e->captured) return e->captured->spoiled = true, emu_return(cudaErrorCapturedEvent);
    if (*e->done >= e->recorded) return cudaSuccess;
    {
        const emu_inside inside;
        while (*e->done < e->recorded && step()) {}
    }
    return emu_return(emu_failed() != cudaSuccess ? emu_failed() : cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    EMU_NEED_DEVICE;
    if (!e) return emu_return(cudaErrorInvalidResourceHandle);
    if (e->captured) return e->captured->spoiled = true, emu_return(cudaErrorCapturedEvent);
    const uint64_t number = e->recorded;
    return wait_for([=] { return *e->done >= number; });
}
cudaError_t cudaEventElapsedTime(float *out_ms, cudaEvent_t from, cudaEvent_t to)
{
    EMU_NEED_DEVICE;
    if (!from || !to || !from->recorded || !to->recorded) return emu_return(cudaErrorInvalidResourceHandle);
    if (*from->done < from->recorded || *to->done < to->recorded) return emu_return(cudaErrorNotReady);
    *out_ms = (float)(*to->when - *from->when);
    return cudaSuccess;
}

/* ---- captures ---- */
cudaError_t cudaStreamBeginCapture(cudaStream_t h, cudaStreamCaptureMode mode)
{
    EMU_NEED_DEVICE;
    emu_stream *const s = emu_stream_of(h);
    if (!s || !h) return emu_return(s ? cudaErrorStreamCaptureUnsupported : cudaErrorInvalidResourceHandle);
    if (s->capture) return s->spoiled = true, emu_return(cudaErrorInvalidValue);
    s->capture = new emu_graph;
    s->spoiled = false;
    s->mode = mode;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t h, cudaGraph_t *out)
{
    *out = nullptr;
    emu_stream *const s = emu_stream_of(h);
    if (!s) return emu_return(cudaErrorInvalidResourceHandle);
    if (!s->capture) return emu_return(cudaErrorInvalidValue);
    emu_graph *const g = s->capture;
    s->capture = nullptr;
    if (s->spoiled || emu_failed() != cudaSuccess) {
        delete g;
        return emu_return(cudaErrorStreamCaptureInvalidated);
    }
    *out = g;
    return emu_return(cudaSuccess);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t h, cudaStreamCaptureStatus *out)
{
    emu_stream *const s = emu_stream_of(h);
    if (!s) return emu_return(cudaErrorInvalidResourceHandle);
    *out = !s->capture ? cudaStreamCaptureStatusNone : s->spoiled ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    return emu_return(cudaSuccess);
}
