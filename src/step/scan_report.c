#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/json.h"
#include "ci/log.h"
#include "scan_priv.h"

enum { IDS_LISTED = 4096 }; /* of those that only test has */

/* Nanoseconds as the shortest decimal with at least one fraction digit: "1513920254.785127". */
static void time_text(int64_t ns, char out[32])
{
    int n = snprintf(out, 32, "%lld.%09lld", (long long)(ns / 1000000000),
                     (long long)(ns % 1000000000));

    while (out[n - 1] == '0' && out[n - 2] != '.') out[--n] = 0;
}

static void hex_put(ci_json *j, const char *key, uint32_t id)
{
    char text[16];

    snprintf(text, sizeof text, "%X", id & 0x1fffffff);
    ci_json_str(j, key, text);
}

static void counts_put(ci_json *j, const ci_count *c)
{
    ci_json_int(j, "rows", c->rows);
    ci_json_int(j, "attack_rows", c->attack_rows);
    ci_json_num(j, "attack_ratio", c->rows ? (double)c->attack_rows / (double)c->rows : 0);
    ci_json_int(j, "windows", c->graphs);
    ci_json_int(j, "attack_windows", c->attack_graphs);
    ci_json_int(j, "nodes", c->nodes);
    ci_json_int(j, "edges", c->edges);
}

static ci_json *file_json(const ci_plan *p, const ci_capture *c)
{
    ci_json *j = ci_json_object(), *by_len = ci_json_array();
    char text[CI_XXH_HEX];

    ci_json_str(j, "path", c->path);
    ci_json_str(j, "folder", p->folder[c->folder].name);
    ci_json_str(j, "role", p->folder[c->folder].role == CI_TRAIN ? "train" : "test");
    ci_json_bool(j, "used", ci_capture_used(c));
    ci_json_str(j, "same_as", c->same_as < 0 ? NULL : p->capture[c->same_as].path);
    ci_json_str(j, "attack_type", ci_attack_name(c->attack_type));
    ci_json_int(j, "bytes", c->bytes);
    ci_json_str(j, "eol", c->crlf ? "crlf" : "lf");
    ci_xxh_hex(c->hash, text);
    ci_json_str(j, "xxh128", text);
    counts_put(j, &c->count);
    ci_json_int(j, "distinct_ids", c->n_id);
    hex_put(j, "id_min_hex", c->count.id_min);
    hex_put(j, "id_max_hex", c->count.id_max);
    time_text(c->count.t_first, text);
    ci_json_str(j, "t_first", text);
    time_text(c->count.t_last, text);
    ci_json_str(j, "t_last", text);
    ci_json_int(j, "backward_steps", c->count.back);
    ci_json_int(j, "equal_steps", c->count.equal);
    for (int k = 0; k < 9; k++) ci_json_add_int(by_len, c->count.by_len[k]);
    ci_json_put(j, "rows_by_payload_len_0_to_8", by_len);
    ci_json_int(j, "sum_of_ids", c->count.sum_id);
    ci_json_int(j, "sum_of_payload_bytes", c->count.sum_byte);
    ci_json_int(j, "first_attack_row", c->count.first_attack);
    ci_json_int(j, "last_attack_row", c->count.last_attack);
    ci_json_int(j, "label_switches", c->count.switches);
    return j;
}

/* Sums over files; what only makes sense along one file is left as it falls. */
static ci_count sum_of(const ci_plan *p, int32_t folder, bool used_only, int32_t *out_files)
{
    ci_count sum = ci_count_none();

    *out_files = 0;
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        if ((folder >= 0 && c->folder != folder) || (used_only && !ci_capture_used(c))) continue;
        ci_count_append(&sum, &c->count);
        ++*out_files;
    }
    return sum;
}

static ci_json *folders_json(const ci_plan *p)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < p->n_folder; i++) {
        ci_json *j = ci_json_object(), *used = ci_json_object();
        int32_t files;
        ci_count sum = sum_of(p, i, false, &files);

        ci_json_str(j, "name", p->folder[i].name);
        ci_json_str(j, "role", p->folder[i].role == CI_TRAIN ? "train" : "test");
        ci_json_int(j, "files", files);
        counts_put(j, &sum);
        sum = sum_of(p, i, true, &files);
        ci_json_int(used, "files", files);
        counts_put(used, &sum);
        ci_json_put(j, "used", used);
        ci_json_add(a, j);
        ci_log(CI_INFO, "%-40s %3d files %10lld rows %9lld attack %8lld graphs %8lld attack",
               p->folder[i].name, files, (long long)sum.rows, (long long)sum.attack_rows,
               (long long)sum.graphs, (long long)sum.attack_graphs);
    }
    return a;
}

/* Files of equal content: the second one of a pair, and whether it is used all the same. */
static ci_json *duplicates_json(const ci_plan *p)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        for (int32_t k = 0; k < i; k++) {
            const ci_capture *d = &p->capture[k];
            ci_json *j;
            if (c->bytes != d->bytes || c->hash.lo != d->hash.lo || c->hash.hi != d->hash.hi)
                continue;
            j = ci_json_object();
            ci_json_str(j, "path", c->path);
            ci_json_str(j, "same_as", d->path);
            ci_json_bool(j, "used", ci_capture_used(c));
            ci_json_bool(j, "leak", p->folder[c->folder].role != p->folder[d->folder].role);
            ci_json_add(a, j);
            break;
        }
    }
    return a;
}

static void warn(ci_json *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(ci_json *warnings, const char *format, ...)
{
    char text[2 * CI_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ci_json_add_str(warnings, text);
    ci_log(CI_WARN, "%s", text);
}

/* "" while both classes are there. */
static const char *only_class(const ci_count *c)
{
    return c->attack_rows == 0 ? "benign" : c->attack_rows == c->rows ? "attack" : "";
}

static ci_json *warnings_json(const ci_scan_state *s)
{
    const ci_plan *p = &s->plan;
    ci_json *a = ci_json_array();
    ci_count train = ci_count_none();
    int32_t files;

    for (int32_t i = 0; i < p->n_folder; i++) {
        const ci_count sum = sum_of(p, i, false, &files);
        const bool free_of_attacks = strstr(p->folder[i].name, "attack_free") != NULL;
        if (p->folder[i].role == CI_TRAIN) ci_count_append(&train, &sum);
        if (*only_class(&sum) && !(free_of_attacks && sum.attack_rows == 0))
            warn(a, "%s: all rows are %s", p->folder[i].name, only_class(&sum));
        if (free_of_attacks && sum.attack_rows > 0)
            warn(a, "%s: %lld attack rows in an attack-free folder", p->folder[i].name,
                 (long long)sum.attack_rows);
    }
    if (*only_class(&train)) warn(a, "training: all rows are %s", only_class(&train));
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        if (c->attack_type != 0 && c->count.attack_rows == 0)
            warn(a, "%s: named after an attack (%s), but no row is labelled attack", c->path,
                 ci_attack_name(c->attack_type));
        if (c->count.attack_rows == c->count.rows)
            warn(a, "%s: all rows are attack", c->path);
        if (c->count.graphs == 0)
            warn(a, "%s: %lld rows make no window of %d", c->path, (long long)c->count.rows,
                 p->frames);
    }
    return a;
}

static ci_json *test_only_json(const ci_scan_state *s)
{
    ci_json *j = ci_json_object(), *ids = ci_json_array();
    char text[9];

    ci_json_int(j, "count", (int64_t)s->n_test_only);
    for (size_t i = 0; i < s->n_test_only && i < IDS_LISTED; i++) {
        ci_id_text(s->test_only[i], text);
        ci_json_add_str(ids, text);
    }
    ci_json_put(j, "ids", ids);
    return j;
}

static ci_json *totals_json(const ci_plan *p)
{
    ci_json *j = ci_json_object();
    int32_t files;
    ci_count sum = sum_of(p, -1, false, &files);

    ci_json_int(j, "files", files);
    counts_put(j, &sum);
    ci_json_int(j, "distinct_ids", p->n_id);
    ci_json_int(j, "vocabulary", p->n_vocab);
    sum = sum_of(p, -1, true, &files);
    ci_json_int(j, "used_files", files);
    ci_json_int(j, "used_rows", sum.rows);
    ci_json_int(j, "used_windows", sum.graphs);
    ci_log(CI_INFO, "%d files used, %lld rows, %lld graphs, %lld nodes, %d identifiers, %d in the "
           "vocabulary", files, (long long)sum.rows, (long long)sum.graphs, (long long)sum.nodes,
           p->n_id, p->n_vocab);
    return j;
}

ci_rc ci_scan_report(const ci_scan_state *s, const char *path)
{
    ci_rc rc = CI_OK;
    const ci_plan *p = &s->plan;
    ci_json *j = ci_json_object(), *files = ci_json_array();
    char digest[CI_SHA256_HEX], *text = NULL;

    ci_plan_digest(p, digest);
    ci_json_str(j, "what", "canids data report");
    ci_json_str(j, "set", s->conf->data.set);
    ci_json_int(j, "frames", p->frames);
    ci_json_int(j, "stride", p->stride);
    if (p->simulated) ci_json_str(j, "state", "SIMULATED");
    ci_json_str(j, "policy", s->conf->contract.policy);
    ci_json_str(j, "plan_sha256", digest);
    for (int32_t i = 0; i < p->n_capture; i++) ci_json_add(files, file_json(p, &p->capture[i]));
    ci_json_put(j, "totals", totals_json(p));
    ci_json_put(j, "folders", folders_json(p));
    ci_json_put(j, "warnings", warnings_json(s));
    ci_json_put(j, "duplicates", duplicates_json(p));
    ci_json_put(j, "ids_only_in_test", test_only_json(s));
    ci_json_put(j, "files", files);
    text = ci_json_text(j, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for its text", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    ci_json_free(&j);
    return rc;
}
