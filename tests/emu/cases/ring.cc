/* NCCL over MPI, on any number of ranks. */
#include "case.h"
#include <mpi.h>
#include <nccl.h>
#include <unistd.h>

static int rank, n_rank;

/* As the backend does: polled until it has been asked. */
static bool settled(ncclComm_t c, ncclResult_t r, int *polls = nullptr)
{
    for (int k = 0; r == ncclInProgress && k < 5000; k++) {
        if (ncclCommGetAsyncError(c, &r) != ncclSuccess) return false;
        if (polls) ++*polls;
        if (r == ncclInProgress) usleep(200);
    }
    return r == ncclSuccess;
}
static ncclComm_t together(int *polls)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId id;
    ncclComm_t c = nullptr;
    MPI_Init(nullptr, nullptr);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_rank);
    if (rank == 0) EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
    MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
    config.blocking = 0;
    const ncclResult_t r = ncclCommInitRankConfig(&c, n_rank, id, rank, &config);
    EXPECT(r == ncclInProgress && c);
    EXPECT(settled(c, r, polls));
    return c;
}

CASE(ring)
{
    emu_bench d;
    int polls = 0, in_progress = 0;
    ncclComm_t c = together(&polls);
    EXPECT(polls > 1);
    const long long big = 1ll << 58;
    long long *v = d.up(std::vector<long long>{rank + 1, -7 * rank, rank == 1 ? big : 3});
    long long *m = d.up(std::vector<long long>{rank + 1, -7 * rank, rank == 1 ? big : 3});
    float *f = d.up(std::vector<float>{0.5f * (float)rank, 1});
    double *own = d.up(std::vector<double>{(double)rank, 10.0 * rank}), *all = d.room<double>(2 * (size_t)n_rank);
    for (int captured = 0; captured < 2; captured++) {
        cudaGraph_t g;
        cudaGraphExec_t x;
        if (captured) must(cudaStreamBeginCapture(d.s, cudaStreamCaptureModeThreadLocal));
        ncclResult_t r = ncclAllReduce(v, v, 3, ncclInt64, ncclSum, c, d.s);
        in_progress += r == ncclInProgress;
        EXPECT(settled(c, r));
        EXPECT(settled(c, ncclAllReduce(m, m, 3, ncclInt64, ncclMax, c, d.s)));
        EXPECT(settled(c, ncclAllReduce(f, f, 2, ncclFloat32, ncclSum, c, d.s)));
        EXPECT(ncclGroupStart() == ncclSuccess);
        EXPECT(ncclAllGather(own, all, 2, ncclFloat64, c, d.s) == ncclSuccess);
        EXPECT(settled(c, ncclGroupEnd()));
        if (captured) {
            must(cudaStreamEndCapture(d.s, &g));
            must(cudaGraphInstantiate(&x, g, 0));
            must(cudaGraphLaunch(x, d.s));
            must(cudaGraphLaunch(x, d.s));
            must(cudaStreamSynchronize(d.s));
            must(cudaGraphExecDestroy(x));
            must(cudaGraphDestroy(g));
        } else {
            must(cudaStreamSynchronize(d.s));
        }
        const int n = n_rank, times = captured ? n * n * n : n;
        const long long sum = n * (n + 1) / 2, down = -7 * (n * (n - 1) / 2), wide = n > 1 ? big + 3 * (n - 1) : 3;
        EXPECT((d.down(v, 3) == std::vector<long long>{sum * (captured ? n * n : 1), down * (captured ? n * n : 1), wide * (captured ? n * n : 1)}));
        EXPECT((d.down(m, 3) == std::vector<long long>{n, 0, n > 1 ? big : 3}));
        EXPECT(d.down(f, 2)[0] == 0.5f * (float)(n * (n - 1) / 2) * (float)(captured ? n * n : 1) && d.down(f, 2)[1] == (float)times);
        const std::vector<double> a = d.down(all, 2 * (size_t)n);
        for (int i = 0; i < n; i++) EXPECT(a[2 * (size_t)i] == i && a[2 * (size_t)i + 1] == 10.0 * i);
    }
    EXPECT(in_progress > 0);
    EXPECT(settled(c, ncclCommFinalize(c)) && ncclCommDestroy(c) == ncclSuccess);
    for (void *p : {(void *)v, (void *)m, (void *)f, (void *)own, (void *)all}) must(cudaFree(p));
    if (rank == 0) puts("good");
    MPI_Finalize();
}

/* Under nccl:3@1: the third never ends on any rank; the deadline passes, it is given up, and the stream goes on. */
CASE(ring_lost)
{
    emu_bench d;
    ncclComm_t c = together(nullptr);
    long long *v = d.up(std::vector<long long>{1});
    int done = 0;
    for (; done < 5; done++) {
        EXPECT(settled(c, ncclAllReduce(v, v, 1, ncclInt64, ncclSum, c, d.s)));
        int polls = 0;
        while (cudaStreamQuery(d.s) == cudaErrorNotReady && ++polls < 100) usleep(1000);
        if (polls == 100) break;
    }
    EXPECT(ncclCommAbort(c) == ncclSuccess);
    must(cudaStreamSynchronize(d.s));
    must(cudaFree(v));
    printf("rank %d gave up after %d\n", rank, done);
    fflush(stdout);
    MPI_Barrier(MPI_COMM_WORLD);
    _Exit(0);
}
