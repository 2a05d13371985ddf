#include "capture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/sidecar.h"
#include "ci/source.h"
#include "ci/types.h"

static bool ends(const char *name, size_t n, const char *tail)
{
    const size_t m = strlen(tail);

    return n > m && strncasecmp(name + n - m, tail, m) == 0;
}

ci_name_kind ci_capture_name(const char *name)
{
    static const char *const packed[] = {".gz", ".xz", ".zst"};
    static const char *const maybe[] = {".log", ".txt", ".asc", ".trc", ".blf", ".mf4", ".mdf",
                                        ".pcap", ".pcapng", ".db", ".crtd"};
    size_t n = strlen(name);

    if (ends(name, n, CI_SIDECAR_END)) return CI_NAME_SIDECAR;
    for (size_t i = 0; i < CI_COUNT(packed); i++)
        if (ends(name, n, packed[i])) {
            n -= strlen(packed[i]);
            break;
        }
    if (ends(name, n, ".csv")) return CI_NAME_CSV;
    for (size_t i = 0; i < CI_COUNT(maybe); i++)
        if (ends(name, n, maybe[i])) return CI_NAME_MAYBE;
    return CI_NAME_OTHER;
}

bool ci_capture_is_text(const char *name) { return ends(name, strlen(name), ".txt"); }

/* Labels of a capture that has none, if they are there. */
static ci_rc sidecar_look(const char *path, ci_capture *c)
{
    ci_rc rc = CI_OK;
    ci_sidecar s = {0};
    char name[CI_PATH_MAX + sizeof CI_SIDECAR_END];
    struct stat st;

    snprintf(name, sizeof name, "%s" CI_SIDECAR_END, path);
    if (stat(name, &st) != 0) {
        if (errno != ENOENT) CI_FAIL(ci_rc_errno(errno), "%s: %s", name, strerror(errno));
        goto done;
    }
    if (c->layout.labelled)
        CI_FAIL(CI_EDATA, "%s: the capture has labels of its own; one of the two must go", name);
    CI_TRY(ci_sidecar_read(name, &s));
    c->sidecar = 1;
    c->sidecar_hash = s.hash;
done:
    ci_sidecar_release(&s);
    return rc;
}

ci_rc ci_capture_open(const char *path, ci_dialect format, ci_capture *c, bool *is_capture)
{
    ci_rc rc = CI_OK;
    ci_source *s = NULL;
    char text[CI_LAYOUT_SAMPLE];
    struct stat st;
    size_t n = 0;

    *is_capture = false;
    if (ci_capture_name(path) == CI_NAME_MAYBE && stat(path, &st) == 0 && !S_ISREG(st.st_mode)) goto done;
    CI_TRY(ci_source_open(path, &s));
    CI_TRY(ci_source_file_bytes(s, &c->file_bytes));
    c->packing = (int32_t)ci_source_packing(s);
    c->bytes = c->packing == CI_PLAIN ? c->file_bytes : -1;
    CI_TRY(ci_source_read(s, 0, text, sizeof text, &n));
    ci_layout_find(text, n, format, &c->layout);
    c->fault = c->layout.fault;
    *is_capture = ci_capture_name(path) == CI_NAME_CSV
                  || (c->layout.dialect != CI_DIALECT_NONE && c->fault != CI_KIND_HEADER
                      && c->fault != CI_KIND_EMPTY_FILE);
    if (*is_capture) CI_TRY(sidecar_look(path, c));
done:
    ci_source_close(&s);
    return rc;
}

ci_rc ci_csv_measure(const ci_plan *p, int32_t capture, int64_t most, int64_t *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];
    ci_source *s = NULL;

    *out = p->capture[capture].bytes;
    if (*out >= 0) goto done;
    CI_TRY(ci_plan_path(p, capture, path));
    CI_TRY(ci_source_open(path, &s));
    CI_TRY(ci_source_measure(s, most, out));
done:
    ci_source_close(&s);
    return rc;
}

/* An empty file has one empty block, so that somebody says that it is empty. */
ci_rc ci_csv_cut(ci_plan *p, int64_t block)
{
    ci_rc rc = CI_OK;
    int64_t n = 0;

    if (block < 1) CI_FAIL(CI_ECONF, "data.block: %lld bytes", (long long)block);
    for (int32_t i = 0; i < p->n_capture; i++)
        n += CI_MAX(1, (p->capture[i].bytes + block - 1) / block);
    if (n > INT32_MAX)
        CI_FAIL(CI_ECONF, "data.block: %lld bytes make %lld blocks; choose a larger one",
                (long long)block, (long long)n);
    p->block = ci_new((size_t)n, sizeof *p->block);
    if (!p->block) CI_FAIL(CI_ENOMEM, "no memory for %lld blocks", (long long)n);
    for (int32_t i = 0; i < p->n_capture; i++) {
        ci_capture *c = &p->capture[i];
        int64_t offset = 0;
        c->first_block = p->n_block;
        do {
            const int64_t bytes = CI_MIN(block, c->bytes - offset);
            p->block[p->n_block++] = (ci_block){.capture = i, .offset = offset, .bytes = bytes};
            offset += bytes;
        } while (offset < c->bytes);
        c->n_block = p->n_block - c->first_block;
    }
done:
    return rc;
}
