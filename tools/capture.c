#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "capture.h"

void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench: %s %s\n", what, ci_message());
    exit(EXIT_FAILURE);
}

double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void capture_put(ci_table *t, ci_frame f)
{
    must(t->n < t->cap || ci_table_reserve(t, t->cap ? 2 * t->cap : 65536) == CI_OK, "table");
    t->t_ns[t->n] = f.t_ns;
    t->id[t->n] = f.id;
    t->data[t->n] = f.data;
    t->len[t->n] = f.len;
    t->attack[t->n] = f.attack;
    t->n_own = ++t->n;
}

ci_lid capture_next(FILE *f, ci_lid n, ci_table *t)
{
    char line[CI_LINE_MAX + 2];
    ci_frame frame;
    size_t col;

    t->first_row += t->n;
    t->n = t->n_own = 0;
    while (t->n < n && fgets(line, sizeof line, f))
        if (ci_frame_parse(line, strcspn(line, "\r\n"), &frame, &col) == CI_OK) capture_put(t, frame);
    return t->n;
}

bool capture_read(const char *path, ci_table *t)
{
    FILE *const f = fopen(path, "r");

    if (!f) return false;
    capture_next(f, INT_MAX, t);
    fclose(f);
    return t->n > 0;
}

const char *capture_name(const char *path)
{
    const char *const slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}
