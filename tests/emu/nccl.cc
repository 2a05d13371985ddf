/* NCCL over MPI: each collective is one of MPI's that do not block, on copies, so that one given up may still write. */
#include "emu_priv.h"
#include <atomic>
#include <mpi.h>
#include <nccl.h>
#include <sched.h>
#include <unistd.h>

/* What outlives the handle: operations asked of a stream still hold it. */
struct shared {
    MPI_Comm comm = MPI_COMM_NULL;
    std::atomic<bool> given_up = false;
    ncclResult_t failed = ncclSuccess;
    std::string why;
};
struct emu_comm {
    std::shared_ptr<shared> of = std::make_shared<shared>();
    MPI_Request starting = MPI_REQUEST_NULL;
    int n_rank = 0, rank = 0, polls_left = 0;
    unsigned asked = 0;
    bool blocking = true, finalizing = false;
    std::shared_ptr<char> graphs = std::make_shared<char>(); /* what graphs have of this communicator has a share */
    std::vector<std::function<ncclResult_t()>> later; /* what is asked of streams once it has been polled */
};

enum kind { REDUCE, GATHER, BROADCAST };
struct collective {
    kind what;
    const void *from;
    void *to;
    size_t n;
    MPI_Datatype type;
    MPI_Op op;
    int root, n_rank;
    size_t size;
};
/* One run of one collective. */
struct run {
    MPI_Request request = MPI_REQUEST_NULL;
    std::vector<unsigned char> from, to;
    bool never = false;
};

static int depth;
static std::vector<emu_comm *> in_group;

ncclResult_t ncclGetVersion(int *out)
{
    *out = NCCL_VERSION_CODE;
    return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId *out)
{
    static unsigned n;
    memset(out, 0, sizeof *out);
    snprintf(out->internal, sizeof out->internal, "emulated %ld %u", (long)getpid(), ++n);
    return ncclSuccess;
}
const char *ncclGetErrorString(ncclResult_t r)
{
    switch (r) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
    }
    return "unknown result code";
}
const char *ncclGetLastError(ncclComm_t c) { return c ? c->of->why.c_str() : ""; }

static bool failed(shared &s, int code)
{
    if (code == MPI_SUCCESS) return false;
    char words[MPI_MAX_ERROR_STRING];
    int n = 0;
    MPI_Error_string(code, words, &n);
    s.failed = ncclRemoteError;
    s.why = std::string(words, (size_t)n);
    return true;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int n_rank, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    int up = 0, size = 1, mine = 0;
    *out = nullptr;
    if (emu_ready() != cudaSuccess) return ncclUnhandledCudaError;
    MPI_Initialized(&up);
    if (up) {
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        MPI_Comm_rank(MPI_COMM_WORLD, &mine);
    }
    if (strncmp(id.internal, "emulated ", 9) != 0) return ncclInvalidArgument;
    if (n_rank != 1 && (n_rank != size || rank != mine)) return ncclInvalidArgument;
    if (n_rank == 1 && rank != 0) return ncclInvalidArgument;
    emu_comm *const c = new emu_comm;
    c->n_rank = n_rank;
    c->rank = rank;
    c->blocking = !config || config->blocking != 0;
    if (n_rank > 1 && MPI_Comm_idup(MPI_COMM_WORLD, &c->of->comm, &c->starting) != MPI_SUCCESS) {
        delete c;
        return ncclSystemError;
    }
    *out = c;
    if (!c->blocking) {
        c->polls_left = 3;
        return ncclInProgress;
    }
    if (n_rank > 1) MPI_Wait(&c->starting, MPI_STATUS_IGNORE);
    return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t *out, int n_rank, ncclUniqueId id, int rank)
{
    return ncclCommInitRankConfig(out, n_rank, id, rank, nullptr);
}

static ncclResult_t ask_later(emu_comm *c)
{
    ncclResult_t r = ncclSuccess;
    for (auto &f : c->later)
        if (r == ncclSuccess) r = f();
    c->later.clear();
    if (r != ncclSuccess) c->of->failed = r;
    return r;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *out)
{
    if (!c || !out) return ncclInvalidArgument;
    if (c->starting != MPI_REQUEST_NULL) {
        int there = 0;
        if (failed(*c->of, MPI_Test(&c->starting, &there, MPI_STATUS_IGNORE))) c->starting = MPI_REQUEST_NULL;
        if (!there && c->of->failed == ncclSuccess) return *out = ncclInProgress, ncclSuccess;
        if (there) MPI_Comm_set_errhandler(c->of->comm, MPI_ERRORS_RETURN);
    }
    if (c->of->failed != ncclSuccess) return *out = c->of->failed, ncclSuccess;
    if (c->polls_left > 0 && --c->polls_left > 0) return *out = ncclInProgress, ncclSuccess;
    if (c->finalizing && c->graphs.use_count() > 1) return *out = ncclInProgress, ncclSuccess;
    *out = ask_later(c);
    return ncclSuccess;
}

/* ---- collectives ---- */
static bool begin(shared &s, const collective &x, run &r)
{
    const size_t bytes = x.n * x.size;
    r.from.assign((const unsigned char *)x.from, (const unsigned char *)x.from + bytes);
    r.to.resize(x.what == GATHER ? bytes * (size_t)x.n_rank : bytes);
    if (x.n_rank == 1) {
        r.to = r.from;
        return true;
    }
    switch (x.what) {
    case REDUCE: return !failed(s, MPI_Iallreduce(r.from.data(), r.to.data(), (int)x.n, x.type, x.op, s.comm, &r.request));
    case GATHER: return !failed(s, MPI_Iallgather(r.from.data(), (int)x.n, x.type, r.to.data(), (int)x.n, x.type, s.comm, &r.request));
    case BROADCAST: r.to = r.from; return !failed(s, MPI_Ibcast(r.to.data(), (int)x.n, x.type, x.root, s.comm, &r.request));
    }
    return false;
}

/* As a kernel that waits for its peers: done when they came, or when it was given up, and then its result is nothing. */
static bool carry_out(const std::shared_ptr<shared> &s, const collective &x, std::shared_ptr<void> &state)
{
    run *r = (run *)state.get();
    if (!r && s->given_up) return true;
    if (!r) {
        /* MPI may still write to a run that was given up: its memory stays. */
        state = std::shared_ptr<run>(new run, [](run *p) { if (p->request == MPI_REQUEST_NULL) delete p; });
        r = (run *)state.get();
        r->never = emu_fault_nccl();
        if (!r->never && !begin(*s, x, *r)) r->never = true;
    }
    if (s->given_up) return true;
    if (r->never) return false;
    int done = 1;
    if (r->request != MPI_REQUEST_NULL && failed(*s, MPI_Test(&r->request, &done, MPI_STATUS_IGNORE))) r->never = true;
    if (r->never || !done) return false;
    memcpy(x.to, r->to.data(), r->to.size());
    return true;
}

static bool type_of(ncclDataType_t t, MPI_Datatype *out, size_t *size)
{
    switch (t) {
    case ncclInt8: *out = MPI_INT8_T, *size = 1; return true;
    case ncclUint8: *out = MPI_UINT8_T, *size = 1; return true;
    case ncclInt32: *out = MPI_INT32_T, *size = 4; return true;
    case ncclUint32: *out = MPI_UINT32_T, *size = 4; return true;
    case ncclInt64: *out = MPI_INT64_T, *size = 8; return true;
    case ncclUint64: *out = MPI_UINT64_T, *size = 8; return true;
    case ncclFloat32: *out = MPI_FLOAT, *size = 4; return true;
    case ncclFloat64: *out = MPI_DOUBLE, *size = 8; return true;
    case ncclFloat16: break;
    }
    return false;
}

/* In progress at the first, and every third: then it reaches the stream only when somebody polls. */
static ncclResult_t settle(emu_comm *c)
{
    if (c->of->failed != ncclSuccess) return c->of->failed;
    if (c->blocking || c->asked++ % 3 != 0) return ask_later(c);
    c->polls_left = 2;
    return ncclInProgress;
}

static ncclResult_t collect(ncclComm_t c, ncclDataType_t type, cudaStream_t s, collective x)
{
    if (!c || (!x.from && x.n) || (!x.to && x.n) || x.n > INT_MAX || !type_of(type, &x.type, &x.size)) return ncclInvalidArgument;
    if (c->starting != MPI_REQUEST_NULL || (depth == 0 && !c->later.empty())) {
        c->of->why = "a call came while the one before was still in progress";
        return ncclInvalidUsage;
    }
    x.n_rank = c->n_rank;
    const auto of = c->of;
    c->later.push_back([=]() {
        cudaStreamCaptureStatus capturing;
        std::shared_ptr<char> share;
        if (cudaStreamIsCapturing(s, &capturing) == cudaSuccess && capturing != cudaStreamCaptureStatusNone) share = c->graphs;
        const cudaError_t e = emu_ask(s, cudaGraphNodeTypeKernel, "nccl", [of, x, share](std::shared_ptr<void> &state) { return carry_out(of, x, state); });
        return e == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
    });
    if (depth == 0) return settle(c);
    for (emu_comm *g : in_group)
        if (g == c) return ncclSuccess;
    in_group.push_back(c);
    return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t c, cudaStream_t s)
{
    static const MPI_Op ops[] = {MPI_SUM, MPI_PROD, MPI_MAX, MPI_MIN};
    if (op > ncclMin) return ncclInvalidArgument;
    return collect(c, type, s, {REDUCE, from, to, n, MPI_DATATYPE_NULL, ops[op], 0, 0, 0});
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t c, cudaStream_t s)
{
    return collect(c, type, s, {GATHER, from, to, n, MPI_DATATYPE_NULL, MPI_OP_NULL, 0, 0, 0});
}
ncclResult_t ncclBroadcast(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t c, cudaStream_t s)
{
    return collect(c, type, s, {BROADCAST, from, to, n, MPI_DATATYPE_NULL, MPI_OP_NULL, root, 0, 0});
}

ncclResult_t ncclGroupStart()
{
    depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd()
{
    ncclResult_t r = ncclSuccess;
    if (depth == 0) return ncclInvalidUsage;
    if (--depth > 0) return ncclSuccess;
    for (emu_comm *c : in_group) {
        const ncclResult_t one = settle(c);
        if (r == ncclSuccess || r == ncclInProgress) r = one == ncclSuccess ? r : one;
    }
    in_group.clear();
    return r;
}

/* ---- ends ---- */
ncclResult_t ncclCommFinalize(ncclComm_t c)
{
    if (!c) return ncclInvalidArgument;
    if (c->blocking) return ncclSuccess;
    c->polls_left = 2;
    c->finalizing = true;
    return ncclInProgress;
}
/* As NCCL does, for ever where nobody destroys them. */
static void wait_for_graphs(const emu_comm *c)
{
    while (c->graphs.use_count() > 1) sched_yield();
}
ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    if (!c) return ncclSuccess;
    emu_run_all();
    wait_for_graphs(c);
    c->of->given_up = true;
    /* Not freed: MPI would wait for ranks that are slower.  It goes with MPI. */
    delete c;
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t c)
{
    if (!c) return ncclSuccess;
    c->of->given_up = true; /* what streams hold of it is over at their next turn */
    wait_for_graphs(c);
    delete c;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(ncclComm_t c, int *out) { return c ? (*out = c->n_rank, ncclSuccess) : ncclInvalidArgument; }
ncclResult_t ncclCommUserRank(ncclComm_t c, int *out) { return c ? (*out = c->rank, ncclSuccess) : ncclInvalidArgument; }
