/** Writing graphs into the store, beside dd writing the same bytes.
 *
 *      mpirun -n N bench_store FOLDER [GRAPHS] [ROUNDS]
 *
 *  The graphs are those of a window of 100 frames with 38 nodes, in memory before the clock starts.
 *  A round is one store (create, put, close, fsync, read back, hash, rename, record) and one
 *  `dd conv=fsync` of as many bytes, turn about; medians are printed.  The last store is checked
 *  against its record before any figure is believed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ci/comm.h"
#include "ci/commit.h"
#include "ci/log.h"
#include "ci/random.h"
#include "ci/store.h"

enum { W = 100, NODES = 38, RUN = 256, ROUNDS_MAX = 32 };

static void must(const ci_comm *comm, ci_rc rc)
{
    if (rc == CI_OK) return;
    fprintf(stderr, "bench_store: %s\n", ci_message());
    ci_comm_abort(comm, ci_rc_exit(rc));
}

static void graphs_make(const ci_comm *comm, ci_graphs *g)
{
    const ci_feature_set *set = ci_feature_set_find("kd35");

    must(comm, ci_graphs_init(g, set, RUN, W, W - 1));
    for (int i = 0; i < RUN; i++) {
        g->node_first[i] = g->n_node;
        g->edge_first[i] = g->n_edge;
        g->row[i] = (ci_gid)i * W;
        g->attack[i] = i % 8 == 0;
        for (int k = 0; k < NODES; k++, g->n_node++) {
            g->id[g->n_node] = (uint32_t)k;
            for (ci_lid c = 0; c < set->n_node; c++)
                g->x[g->n_node * set->n_node + c] = ci_unit(ci_philox(1, 0, (uint32_t)g->n_node, (uint32_t)c, 0, 0).v[0]);
        }
        for (int k = 0; k < W - 1; k++, g->n_edge++) {
            g->src[g->n_edge] = k % NODES;
            g->dst[g->n_edge] = (k + 1) % NODES;
            for (ci_lid c = 0; c < set->n_edge; c++) g->e[g->n_edge * set->n_edge + c] = (float)((k * 7 + c) % 256);
        }
        g->n_graph++;
    }
    g->node_first[RUN] = g->n_node;
    g->edge_first[RUN] = g->n_edge;
}

/* Seconds of one store and, of those, of creating and putting. */
static double store_write(const ci_comm *comm, const char *path, int64_t runs, const ci_graphs *g, double *out_put)
{
    static uint32_t id[NODES];
    static int32_t vocab[NODES];
    ci_store_folder folder = {"train_01", 0};
    ci_store_capture capture = {"train_01/a.csv", "0123456789abcdef0123456789abcdef", 0, 0, runs * RUN * W, 0, runs * RUN};
    const ci_store_head head = {.set = "kd35", .frames = W, .stride = W, .source = "bench", .n_folder = 1, .n_capture = 1,
                                .n_id = NODES, .n_vocab = NODES, .folder = &folder, .capture = &capture, .id = id,
                                .vocab = vocab, .n_graph = runs * RUN, .n_node = runs * RUN * NODES,
                                .n_edge = runs * RUN * (W - 1)};
    char sha[CI_SHA256_HEX];
    ci_store_writer *w = NULL;
    const double begun = ci_now_s();

    for (int i = 0; i < NODES; i++) {
        id[i] = (uint32_t)i;
        vocab[i] = i + 1;
    }
    must(comm, ci_store_create(comm, path, &head, &w));
    for (int64_t r = ci_part(runs, comm->rank, comm->size); r < ci_part(runs, comm->rank + 1, comm->size); r++)
        must(comm, ci_store_put(w, 0, r * RUN, r * RUN * NODES, r * RUN * (W - 1), g));
    must(comm, ci_comm_barrier(comm, "bench.put"));
    *out_put = ci_now_s() - begun;
    must(comm, ci_store_commit(&w, sha));
    return ci_now_s() - begun;
}

static double dd_write(const ci_comm *comm, const char *folder, int64_t bytes)
{
    char command[CI_PATH_MAX + 256], path[CI_PATH_MAX];
    const double begun = ci_now_s();

    if (comm->rank != 0) return 0;
    must(comm, ci_path_join(path, folder, "dd.bin"));
    snprintf(command, sizeof command, "dd if=/dev/zero of='%s' bs=4M count=%lld iflag=count_bytes conv=fsync 2>/dev/null", path,
             (long long)bytes);
    if (system(command) != 0) fprintf(stderr, "bench_store: dd failed\n");
    const double s = ci_now_s() - begun;
    unlink(path);
    return s;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    ci_comm *comm = NULL;
    ci_graphs g;
    char path[CI_PATH_MAX];
    const char *folder = argc > 1 ? argv[1] : ".";
    const int64_t runs = (argc > 2 ? atoll(argv[2]) : 65536) / RUN;
    const int rounds = argc > 3 ? CI_MIN(atoi(argv[3]), ROUNDS_MAX) : 5;
    const int64_t bytes = runs * RUN * (NODES * 72 + (W - 1) * 16);
    double whole[ROUNDS_MAX], put[ROUNDS_MAX], dd[ROUNDS_MAX];

    if (ci_comm_start(&argc, &argv, &comm) != CI_OK) return 70;
    must(comm, ci_path_join(path, folder, "bench_store.h5"));
    graphs_make(comm, &g);
    for (int i = 0; i < rounds; i++) {
        whole[i] = store_write(comm, path, runs, &g, &put[i]);
        dd[i] = dd_write(comm, folder, bytes);
        must(comm, ci_comm_barrier(comm, "bench.dd"));
    }
    if (comm->rank == 0) {
        const double mb = (double)bytes / 1e6, d = median(dd, rounds);
        must(comm, ci_commit_check(path, NULL));
        printf("store, %d rank%s: %lld graphs, %.0f MB (72 B a node, 16 B an edge); medians of %d alternating rounds\n", comm->size,
               comm->size == 1 ? "" : "s", (long long)(runs * RUN), mb, rounds);
        printf("  put (no fsync)                         %7.0f MB/s\n", mb / median(put, rounds));
        printf("  put, fsync, read back, hash, publish   %7.0f MB/s\n", mb / median(whole, rounds));
        printf("  dd conv=fsync of equal bytes           %7.0f MB/s   ratio %.2f\n", mb / d, d / median(whole, rounds));
        ci_commit_remove(path);
    }
    ci_graphs_release(&g);
    ci_comm_stop(&comm);
    return 0;
}
