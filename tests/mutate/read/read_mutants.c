#define _GNU_SOURCE /* memfd_create */
/** Captures through the program's own loader, many in one process.
 *
 *      read_mutants CAPTURE < MUTANTS > ROWS
 *
 *  All are laid out like CAPTURE.  MUTANTS: for each, its number of bytes (uint32) and the bytes.  ROWS: for each, the number of
 *  rows (uint32) and the rows, packed: int64 t_ns, uint32 id, uint64 data, uint8 len, uint8 attack;
 *  then the number of refused lines and their numbers (uint32).  Every instruction set and several
 *  sizes of blocks read it, and must agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ci/arena.h"
#include "ci/table.h"

enum { MOST = 1 << 20, ROW = 22 };

struct result {
    size_t n_row, n_bad;
    unsigned char *row;
    uint32_t *bad;
};

static long mutant; /* which one */

static void must(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "mutant %ld: %s: %s\n", mutant, what, ci_message());
    exit(1);
}

static void row_put(unsigned char *to, const ci_table *t, ci_lid i)
{
    memcpy(to, &t->t_ns[i], 8);
    memcpy(to + 8, &t->id[i], 4);
    memcpy(to + 12, &t->data[i], 8);
    to[20] = t->len[i];
    to[21] = t->attack[i];
}

/* The file in blocks of `bytes`, one after the other as scan reads them. */
static void load(ci_loader *l, ci_plan *p, ci_table *t, const char *text, int64_t bytes,
                 struct result *out)
{
    ci_capture *c = p->capture;

    out->n_row = out->n_bad = 0;
    for (int64_t at = 0; at == 0 || at < c->bytes; at += bytes) {
        ci_rejects rejects = {0};
        ci_xxh hash;
        *p->block = (ci_block){.offset = at, .bytes = CI_MIN(bytes, c->bytes - at),
                               .first_row = (int64_t)out->n_row,
                               .first_line = at ? 2 + ci_newlines(text, (size_t)at - 1) : 1};
        must(ci_table_scan(l, p, 0, 0, t, &rejects, &hash) == CI_OK, "not read");
        must(rejects.total == rejects.n, "too many bad lines to keep");
        for (ci_lid i = 0; i < t->n_own; i++) row_put(out->row + ROW * out->n_row++, t, i);
        for (int32_t i = 0; i < rejects.n; i++)
            out->bad[out->n_bad++] = (uint32_t)rejects.item[i].line;
        ci_rejects_release(&rejects);
    }
}

static struct result result_new(void)
{
    struct result r = {0, 0, malloc((size_t)ROW * MOST), malloc(sizeof(uint32_t) * MOST)};

    must(r.row && r.bad, "memory");
    return r;
}

static int same(const struct result *a, const struct result *b)
{
    return a->n_row == b->n_row && a->n_bad == b->n_bad && memcmp(a->row, b->row, ROW * a->n_row) == 0
           && memcmp(a->bad, b->bad, sizeof *a->bad * a->n_bad) == 0;
}

static void tell(const struct result *r)
{
    const uint32_t n[2] = {(uint32_t)r->n_row, (uint32_t)r->n_bad};

    fwrite(&n[0], 4, 1, stdout);
    fwrite(r->row, ROW, r->n_row, stdout);
    fwrite(&n[1], 4, 1, stdout);
    fwrite(r->bad, 4, r->n_bad, stdout);
}

/* A block of one line, of a few, of all: which of them is left to chance. */
static int64_t block_of(int k, int64_t bytes)
{
    return k == 0 || bytes == 0 ? bytes + 1 : 1 + (mutant * 2654435761 + k * 40503) % (bytes < 400 ? bytes : 400);
}

/* What scan would find of the capture before anything was changed in it. */
static ci_layout layout_of(const char *path)
{
    char text[CI_LAYOUT_SAMPLE];
    FILE *f = fopen(path, "rb");
    ci_layout l;

    must(f != NULL, path);
    ci_layout_find(text, fread(text, 1, sizeof text, f), CI_DIALECT_NONE, &l);
    must(l.dialect < CI_DIALECT_READ && l.fault == CI_KIND_NONE, "a capture of no dialect");
    fclose(f);
    return l;
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    const int fd = memfd_create("mutant", MFD_CLOEXEC);
    const ci_contract contract = ci_contract_strict();
    struct result first = result_new(), other = result_new();
    ci_plan p = {.n_folder = 1, .n_capture = 1, .n_block = 1, .frames = 100, .stride = 100};
    ci_loader *l = NULL;
    ci_table t = {0};
    uint32_t n;

    p.folder = ci_new(1, sizeof *p.folder);
    p.capture = ci_new(1, sizeof *p.capture);
    p.block = ci_new(1, sizeof *p.block);
    must(fd >= 0 && p.folder && p.capture && p.block, "memory");
    strcpy(p.root, "/proc/self/fd");
    snprintf(p.capture->path, sizeof p.capture->path, "%d", fd);
    must(argc == 2, "usage: read_mutants CAPTURE");
    p.capture->layout = layout_of(argv[1]);
    p.capture->same_as = -1;
    must(ci_loader_create(&contract, &l) == CI_OK, "loader");
    for (; fread(&n, sizeof n, 1, stdin) == 1; mutant++) {
        char *text = malloc(n + 1);
        must(text && fread(text, 1, n, stdin) == n, "the rest of a mutant");
        must(ftruncate(fd, 0) == 0 && pwrite(fd, text, n, 0) == (ssize_t)n, "its file");
        p.capture->bytes = p.capture->file_bytes = n;
        for (int k = 0; k < (int)CI_COUNT(isas); k++) {
            if (!ci_csv_isa(isas[k])) continue;
            load(l, &p, &t, text, block_of(k, n), k == 0 ? &first : &other);
            if (k > 0) must(same(&first, &other), isas[k]);
        }
        tell(&first);
        free(text);
    }
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
    free(first.row);
    free(first.bad);
    free(other.row);
    free(other.bad);
    return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
}
