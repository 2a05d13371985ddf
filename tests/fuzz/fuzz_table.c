#define _GNU_SOURCE /* memfd_create */
/** The loader: a capture of any dialect, packed or not, under any contract, in blocks of any size
 *  and on every instruction set gives the same rows and refuses the same lines; and what was scanned
 *  is loaded. */
#include "fuzz.h"

#include "ci/arena.h"
#include "ci/csv.h"
#include "ci/source.h"
#include "ci/table.h"

enum { MOST = 5000, HALO = 3, BYTES_MAX = 1 << 20 };

struct rows {
    int64_t n, n_bad;
    struct {
        int64_t t;
        uint64_t data;
        uint32_t id;
        uint8_t len, attack;
    } row[MOST];
    struct {
        int64_t line, offset;
        int32_t kind, column;
    } bad[MOST];
};
static struct rows whole, parts;
static char text[BYTES_MAX];

static void rows_add(struct rows *r, const ci_table *t, const ci_rejects *bad)
{
    for (ci_lid i = 0; i < t->n_own && r->n < MOST; i++, r->n++) {
        r->row[r->n].t = t->t_ns[i];
        r->row[r->n].data = t->data[i];
        r->row[r->n].id = t->id[i];
        r->row[r->n].len = t->len[i];
        r->row[r->n].attack = t->attack[i];
    }
    for (int32_t i = 0; i < bad->n && r->n_bad < MOST; i++, r->n_bad++) {
        r->bad[r->n_bad].line = bad->item[i].line;
        r->bad[r->n_bad].offset = bad->item[i].offset;
        r->bad[r->n_bad].kind = bad->item[i].kind;
        r->bad[r->n_bad].column = bad->item[i].column;
    }
}

/* What is behind a block's own rows are the rows that follow in the capture. */
static void halo_check(const ci_table *t, int64_t first, const struct rows *all)
{
    const int64_t n = t->n_own ? CI_MIN(HALO, all->n - first) : 0;

    MUST(t->n - t->n_own == n, "%d rows behind the block, not %lld", t->n - t->n_own, (long long)n);
    for (ci_lid i = 0; i < n; i++) {
        const ci_lid k = t->n_own + i;
        MUST(t->t_ns[k] == all->row[first + i].t && t->id[k] == all->row[first + i].id && t->data[k] == all->row[first + i].data
             && t->len[k] == all->row[first + i].len && t->attack[k] == all->row[first + i].attack, "row %lld behind a block is another",
             (long long)first + i);
    }
}

/* Block by block; afterwards every block is loaded as build does.  `want`: what it should have read, NULL when
 * this is the first time. */
static void scan(ci_loader *l, ci_plan *p, ci_table *t, int64_t bytes, const struct rows *want, struct rows *out)
{
    const int64_t all = p->capture->bytes;
    int64_t at = 0;

    memset(out, 0, sizeof *out); /* padding is compared, too */
    do {
        ci_rejects bad = {0};
        ci_block *b = p->block;
        ci_rc rc;
        *b = (ci_block){.offset = at, .bytes = CI_MIN(bytes, all - at), .first_row = out->n,
                        .first_line = at ? 2 + ci_newlines(text, (size_t)at - 1) : 1};
        rc = ci_table_scan(l, p, 0, 0, t, &bad, &b->hash);
        MUST(rc == CI_OK, "code %d", rc);
        MUST(bad.failing <= CI_REJECT_MAX && bad.n <= bad.total, "%d kept", bad.n);
        rows_add(out, t, &bad);
        if (bad.failing == 0) {
            b->rows = t->n_own;
            rc = ci_table_load(l, p, 0, HALO, t);
            MUST(rc == CI_OK || rc == CI_EDATA, "loading what was scanned: code %d", rc); /* a bad halo */
            MUST(rc != CI_OK || t->n_own == b->rows, "%d rows of %lld", t->n_own, (long long)b->rows);
            if (rc == CI_OK && want && want->n < MOST && want->n_bad < CI_REJECT_MAX) halo_check(t, out->n, want);
        }
        ci_rejects_release(&bad);
        at += bytes;
    } while (at < all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    static ci_loader *l;
    static ci_contract contract;
    static ci_table t;
    ci_plan p = {.n_folder = 1, .n_capture = 1, .n_block = 1, .frames = 100, .stride = 100};
    ci_folder folder = {.name = "f"};
    ci_capture c = {.same_as = -1};
    ci_block b = {0};
    ci_source *s = NULL;
    char path[64];
    int64_t bytes = 0;
    size_t got = 0;

    contract = ci_contract_strict();
    for (int k = 1; k < CI_KIND_COUNT && n % 3; k++)
        contract.policy[k] = n % 3 == 2 && ci_kind_repair((ci_kind)k) ? CI_POLICY_ACCEPT : CI_POLICY_QUARANTINE;
    ci_loader_destroy(&l);
    MUST(ci_loader_create(&contract, &l) == CI_OK, "no loader");
    file_of(data, n, path);
    if (ci_source_open(path, &s) != CI_OK) return 0;
    c.packing = ci_source_packing(s);
    if (ci_source_measure(s, BYTES_MAX, &bytes) != CI_OK || ci_source_read(s, 0, text, BYTES_MAX, &got) != CI_OK) goto done;
    ci_layout_find(text, CI_MIN(got, (size_t)CI_LAYOUT_SAMPLE), CI_DIALECT_NONE, &c.layout);
    c.bytes = bytes;
    c.file_bytes = (int64_t)n;
    snprintf(p.root, sizeof p.root, "/proc/self/fd");
    snprintf(c.path, sizeof c.path, "%s", strrchr(path, '/') + 1);
    p.folder = &folder;
    p.capture = &c;
    p.block = &b;
    ci_csv_isa("generic");
    scan(l, &p, &t, bytes + 1, NULL, &whole);
    for (size_t k = 1; k < CI_COUNT(isas); k++) {
        if (!ci_csv_isa(isas[k])) continue;
        scan(l, &p, &t, k == 1 || bytes < 8 ? bytes + 1 : 1 + bytes / (2 + (int64_t)(n % 5)), &whole, &parts);
        if (whole.n_bad >= CI_REJECT_MAX || whole.n == MOST) continue; /* reading may have stopped */
        MUST(whole.n == parts.n && whole.n_bad == parts.n_bad, "%s: %lld rows and %lld bad, not %lld and %lld", isas[k],
             (long long)parts.n, (long long)parts.n_bad, (long long)whole.n, (long long)whole.n_bad);
        MUST(memcmp(&whole, &parts, sizeof whole) == 0, "%s: other rows", isas[k]);
    }
done:
    ci_source_close(&s);
    return 0;
}
