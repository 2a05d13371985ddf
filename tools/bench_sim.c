/** Bytes of CSV a second, on one core, that the simulator makes in memory and writes to a file, beside the writing of
 *  the same bytes alone.
 *
 *      bench_sim DIR [ROWS] [ROUNDS]
 *
 *  Before it times anything it checks that the capture has the rows it says, each of which the slow parser of csv/ reads,
 *  and that slices of another length give the same bytes.  Rounds alternate; medians. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../src/sim/sim_priv.h"
#include "ci/csv.h"

enum { ROUNDS_MAX = 99 };

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench_sim: %s %s\n", what, ci_message());
    exit(EXIT_FAILURE);
}

/** The whole capture in slices; fd -1: nowhere.  \return bytes */
static int64_t make(bus *b, int64_t slice_us, int fd, lines *t, ci_xxh_state *hash, int64_t *out_rows)
{
    int64_t bytes = 0;

    *out_rows = 0;
    for (int64_t at = 0; at < b->all_us; at += slice_us) {
        ci_sim_text_clear(t);
        must(ci_sim_bus_run(b, at, at + slice_us < b->all_us ? at + slice_us : b->all_us, t) == CI_OK, "slice");
        if (hash) ci_xxh_add(hash, t->bytes, t->used);
        if (fd >= 0) must(pwrite(fd, t->bytes, t->used, bytes) == (ssize_t)t->used, "write");
        bytes += (int64_t)t->used;
        *out_rows += t->rows;
    }
    return bytes;
}

static void check(bus *b, lines *t)
{
    static const int64_t slice[2] = {SLICE_US, 3333333};
    ci_xxh hash[2];
    int64_t rows[2];
    ci_frame f;
    size_t col;

    for (int k = 0; k < 2; k++) {
        ci_xxh_state *s = ci_xxh_begin();

        must(s && make(b, slice[k], -1, t, s, &rows[k]) > 0, "no bytes");
        hash[k] = ci_xxh_end(&s);
    }
    must(rows[0] == rows[1] && !memcmp(&hash[0], &hash[1], sizeof hash[0]), "slices of another length give other bytes");
    for (const char *p = t->bytes, *end = p + t->used; p < end; p += strcspn(p, "\n") + 1) {
        must(ci_frame_parse(p, strcspn(p, "\n"), &f, &col) == CI_OK, "a row that is none");
        rows[1]--;
    }
    must(rows[1] >= 0, "more lines than rows");
}

static int file_new(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    must(fd >= 0, path);
    return fd;
}

/** What a writer costs that has its bytes already: the last slice over and over. */
static double copy(const char *path, const lines *t, int64_t bytes)
{
    const int fd = file_new(path);
    const double began = now(CLOCK_MONOTONIC);

    for (int64_t at = 0; at < bytes; at += (int64_t)t->used) {
        const size_t n = bytes - at < (int64_t)t->used ? (size_t)(bytes - at) : t->used;

        must(pwrite(fd, t->bytes, n, at) == (ssize_t)n, "write");
    }
    close(fd);
    return now(CLOCK_MONOTONIC) - began;
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static void measure(const char *name, bus *b, lines *t, const char *path, int rounds)
{
    double made[ROUNDS_MAX], wrote[ROUNDS_MAX], copied[ROUNDS_MAX];
    int64_t bytes = 0, rows = 0;

    check(b, t);
    for (int k = 0; k < rounds; k++) {
        double began = now(CLOCK_PROCESS_CPUTIME_ID);
        int fd;

        bytes = make(b, SLICE_US, -1, t, NULL, &rows);
        made[k] = now(CLOCK_PROCESS_CPUTIME_ID) - began;
        fd = file_new(path);
        began = now(CLOCK_MONOTONIC);
        make(b, SLICE_US, fd, t, NULL, &rows);
        close(fd);
        wrote[k] = now(CLOCK_MONOTONIC) - began;
        copied[k] = copy(path, t, bytes);
    }
    printf("  %-12s %9lld frames %7.1f MB   made %6.0f MB/s, %5.2f M frames/s   made and written %6.0f MB/s   written alone %6.0f MB/s\n",
           name, (long long)rows, (double)bytes / 1e6, (double)bytes / 1e6 / median(made, rounds),
           (double)rows / 1e6 / median(made, rounds), (double)bytes / 1e6 / median(wrote, rounds),
           (double)bytes / 1e6 / median(copied, rounds));
    unlink(path);
}

int main(int argc, char **argv)
{
    static const attack kinds[] = {ATTACK_NONE, ATTACK_FLOOD, ATTACK_REPLAY};
    const int rounds = argc > 3 ? atoi(argv[3]) : 5;
    char path[CI_PATH_MAX];
    ci_conf conf;
    lines t = {0};
    bus *b = NULL;

    must(argc > 1 && rounds > 0 && rounds <= ROUNDS_MAX, "usage: bench_sim DIR [ROWS] [ROUNDS]");
    must(ci_conf_read(NULL, NULL, 0, &conf) == CI_OK && ci_sim_bus_new(&b) == CI_OK, "start");
    must(ci_path_join(path, argv[1], "bench_sim.csv") == CI_OK, "path");
    conf.sim.rows = argc > 2 ? atoll(argv[2]) : 2000000;
    printf("one core, capture of about %lld frames, vehicle of %d to %d identifiers, medians of %d alternating rounds; MB/s = bytes of CSV / time\n",
           (long long)conf.sim.rows, conf.sim.ids_min, conf.sim.ids_max, rounds);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const recording r = {.vehicle = 0, .capture = 1, .attack = kinds[k]};

        ci_sim_bus_load(&conf, &r, b);
        measure(ci_sim_attack_name(kinds[k]), b, &t, path, rounds);
    }
    ci_sim_text_release(&t);
    ci_sim_bus_free(&b);
    return 0;
}
