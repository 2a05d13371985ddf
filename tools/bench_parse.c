/** MB/s of captures into columns, on one core, from the page cache.
 *
 *      bench_parse FILE.csv [ROUNDS]
 *
 *  Every round reads the file block by block as build does: pread, parse, hash of the bytes.  Before
 *  it times anything it checks rows, sums and labels against the slow parser.  Each round runs all
 *  instruction sets, so that they share whatever else the machine does.  MB are 10^6 bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "ci/table.h"

enum { BLOCK = 4 << 20, ROUNDS_MAX = 101 };

/* What any parser must agree on. */
struct sums {
    int64_t rows, attack, id, time;
    uint64_t data;
};

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench_parse: %s: %s\n", what, ci_message());
    exit(EXIT_FAILURE);
}

static void row_add(struct sums *s, int64_t t_ns, uint32_t id, uint64_t data, uint8_t attack)
{
    s->rows++;
    s->attack += attack;
    s->id += id;
    s->time += t_ns % 1000000007;
    s->data = s->data * 31 + data;
}

/* One capture as a plan of its own. */
static void plan_of(const char *path, ci_plan *p)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    FILE *f = fopen(path, "rb");

    must(f && fseek(f, 0, SEEK_END) == 0, path);
    *p = (ci_plan){.n_folder = 1, .n_capture = 1, .frames = 100, .stride = 100};
    p->folder = ci_new(1, sizeof *p->folder);
    p->capture = ci_new(1, sizeof *p->capture);
    must(p->folder && p->capture, "memory");
    snprintf(p->root, sizeof p->root, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    snprintf(p->capture->path, sizeof p->capture->path, "%s", name);
    p->capture->bytes = p->capture->file_bytes = ftell(f);
    p->capture->layout = ci_layout_plain(4);
    p->capture->same_as = -1;
    fclose(f);
    p->n_block = p->capture->n_block = (int32_t)((p->capture->bytes + BLOCK - 1) / BLOCK);
    p->block = ci_new((size_t)p->n_block, sizeof *p->block);
    must(p->block != NULL, "memory");
    for (int32_t b = 0; b < p->n_block; b++) {
        p->block[b].offset = (int64_t)b * BLOCK;
        p->block[b].bytes = CI_MIN(BLOCK, p->capture->bytes - p->block[b].offset);
    }
}

/* Rows and hashes of the blocks, as scan finds them. */
static const ci_contract strict;

static void plan_complete(ci_loader *l, ci_plan *p, ci_table *t)
{
    int64_t row = 0;

    for (int32_t b = 0; b < p->n_block; b++) {
        ci_rejects rejects = {0};
        p->block[b].first_row = row;
        p->block[b].first_line = row ? row + 2 : 1;
        must(ci_table_scan(l, p, b, 0, t, &rejects, &p->block[b].hash) == CI_OK, "scan");
        must(rejects.total == 0, "the file breaks the contract");
        row += p->block[b].rows = t->n_own;
    }
}

static struct sums slow(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[CI_LINE_MAX + 2];
    struct sums s = {0};
    ci_frame frame;
    size_t col;

    must(f && fgets(line, sizeof line, f), path);
    while (fgets(line, sizeof line, f)) {
        must(ci_frame_parse(line, strcspn(line, "\r\n"), &frame, &col) == CI_OK, "row");
        row_add(&s, frame.t_ns, frame.id, frame.data, frame.attack);
    }
    fclose(f);
    return s;
}

static struct sums fast(ci_loader *l, const ci_plan *p, ci_table *t)
{
    struct sums s = {0};

    for (int32_t b = 0; b < p->n_block; b++) {
        must(ci_table_load(l, p, b, 0, t) == CI_OK, "load");
        for (ci_lid i = 0; i < t->n; i++)
            row_add(&s, t->t_ns[i], t->id[i], t->data[i], t->attack[i]);
    }
    return s;
}

static double seconds(ci_loader *l, const ci_plan *p, ci_table *t)
{
    const double start = ci_cpu_s();

    for (int32_t b = 0; b < p->n_block; b++)
        must(ci_table_load(l, p, b, 0, t) == CI_OK, "load");
    return ci_cpu_s() - start;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    static double time[CI_COUNT(isas)][ROUNDS_MAX];
    const int rounds = CI_MIN(ROUNDS_MAX, argc > 2 ? atoi(argv[2]) : 15);
    ci_plan p;
    ci_loader *l = NULL;
    ci_table t = {0};
    struct sums want;

    if (argc < 2 || rounds < 1) {
        fprintf(stderr, "usage: bench_parse FILE.csv [ROUNDS]\n");
        return 64;
    }
    plan_of(argv[1], &p);
    must(ci_loader_create(&strict, &l) == CI_OK, "loader");
    plan_complete(l, &p, &t);
    want = slow(argv[1]);
    for (size_t i = 0; i < CI_COUNT(isas); i++) {
        struct sums got;
        if (!ci_csv_isa(isas[i])) continue;
        got = fast(l, &p, &t);
        must(memcmp(&got, &want, sizeof got) == 0, "the parsers differ");
    }
    for (int r = 0; r < rounds; r++)
        for (size_t i = 0; i < CI_COUNT(isas); i++)
            if (ci_csv_isa(isas[i])) time[i][r] = seconds(l, &p, &t);
    for (size_t i = 0; i < CI_COUNT(isas); i++) {
        const double mb = 1e-6 * (double)p.capture->bytes;
        if (!ci_csv_isa(isas[i])) continue;
        qsort(time[i], (size_t)rounds, sizeof **time, by_value);
        printf("canids %-8s %8.0f MB/s best, %8.0f median (file bytes / CPU second; %.1f MB, %lld "
               "rows, %d rounds)\n", isas[i], mb / time[i][0], mb / time[i][rounds / 2], mb,
               (long long)want.rows, rounds);
    }
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
    return 0;
}
