#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/json.h"
#include "ci/log.h"
#include "ci/source.h"
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

/* By name, those that there are. */
static void kinds_put(ci_json *j, const char *key, const int64_t n[CI_KIND_COUNT])
{
    ci_json *o = ci_json_object();

    for (int k = 1; k < CI_KIND_COUNT; k++)
        if (n[k]) ci_json_int(o, ci_kind_name((ci_kind)k), n[k]);
    ci_json_put(j, key, o);
}

static void seconds_put(ci_json *j, const char *key, int64_t ns)
{
    char text[32];

    time_text(ns, text);
    ci_json_str(j, key, text);
}

static void look_put(ci_json *j, const ci_look *l)
{
    const int gap = ci_look_gap(l);

    seconds_put(j, "gap_is_from_s", (int64_t)1 << gap);
    ci_json_int(j, "gaps", ci_look_beyond(l->ahead, gap));
    seconds_put(j, "longest_step_s", l->most_ahead.ns);
    ci_json_int(j, "longest_step_row", l->most_ahead.row);
    ci_json_int(j, "clock_jumps_ahead", ci_look_beyond(l->ahead, CI_GAP_AHEAD));
    ci_json_int(j, "clock_jumps_back", ci_look_beyond(l->back, CI_GAP_BACK));
    seconds_put(j, "longest_step_back_s", l->most_back.ns);
    ci_json_int(j, "longest_step_back_row", l->most_back.row);
}

/* null: it has no attacks; rows 0: the labels are where they belong. */
static void shift_put(ci_json *j, const ci_scan_state *s, int32_t capture)
{
    ci_json *o = NULL;

    for (size_t i = 0; i < s->n_shift; i++) {
        const ci_shift *x = &s->shift[i];
        if (x->capture != capture) continue;
        o = ci_json_object();
        ci_json_int(o, "rows", x->rows);
        ci_json_int(o, "attack_rows_looked_at", x->attacks);
        ci_json_put(j, "label_shift", o);
    }
    if (!o) ci_json_str(j, "label_shift", NULL);
}

const char *ci_scan_packing(const ci_capture *c)
{
    static const char *const names[] = {[CI_PLAIN] = "none", [CI_GZIP] = "gzip", [CI_XZ] = "xz", [CI_ZSTD] = "zstd"};

    return names[c->packing];
}

static const char *role_name(const ci_plan *p, int32_t folder)
{
    static const char *const name[] = {[CI_TRAIN] = "train", [CI_TEST] = "test", [CI_INJECTED] = "injected"};

    return name[p->folder[folder].role];
}

static ci_json *file_json(const ci_scan_state *s, int32_t i)
{
    const ci_plan *p = &s->plan;
    const ci_capture *c = &p->capture[i];
    ci_json *j = ci_json_object(), *by_len = ci_json_array();
    char text[CI_XXH_HEX];

    ci_json_str(j, "path", c->path);
    ci_json_str(j, "folder", p->folder[c->folder].name);
    ci_json_str(j, "role", role_name(p, c->folder));
    ci_json_bool(j, "used", ci_capture_used(c));
    ci_json_str(j, "same_as", c->same_as < 0 ? NULL : p->capture[c->same_as].path);
    ci_json_str(j, "attack_type", ci_attack_name(c->attack_type));
    ci_json_int(j, "bytes", c->bytes);
    ci_json_str(j, "dialect", ci_dialect_name((ci_dialect)c->layout.dialect));
    ci_json_str(j, "compression", ci_scan_packing(c));
    ci_json_int(j, "file_bytes", c->file_bytes);
    ci_json_bool(j, "sidecar", c->sidecar != 0);
    ci_json_bool(j, "header", c->layout.header != 0);
    ci_json_str(j, "eol", c->layout.crlf ? "crlf" : "lf");
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
    look_put(j, &s->look[i]);
    shift_put(j, s, i);
    ci_json_str(j, "left_out", c->left_out ? ci_kind_name((ci_kind)c->left_out) : NULL);
    kinds_put(j, "quarantined", c->refused);
    kinds_put(j, "repaired", c->repaired);
    return j;
}

ci_count ci_scan_sum(const ci_plan *p, int32_t folder, bool used_only, int32_t *out_files)
{
    ci_count sum = ci_count_none();
    int32_t files = 0;

    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        if (folder >= 0 ? c->folder != folder : p->folder[c->folder].role == CI_INJECTED) continue;
        if (used_only && !ci_capture_used(c)) continue;
        ci_count_append(&sum, &c->count);
        files++;
    }
    if (out_files) *out_files = files;
    return sum;
}

static ci_json *folders_json(const ci_plan *p)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < p->n_folder; i++) {
        ci_json *j = ci_json_object(), *used = ci_json_object();
        int32_t files;
        ci_count sum = ci_scan_sum(p, i, false, &files);

        ci_json_str(j, "name", p->folder[i].name);
        ci_json_str(j, "role", role_name(p, i));
        if (p->folder[i].role == CI_INJECTED) ci_json_str(j, "state", "SIMULATED");
        ci_json_int(j, "files", files);
        counts_put(j, &sum);
        sum = ci_scan_sum(p, i, true, &files);
        ci_json_int(used, "files", files);
        counts_put(used, &sum);
        ci_json_put(j, "used", used);
        ci_json_add(a, j);
        ci_log(CI_INFO, "%-40s %3d files %10lld rows %9lld attack %8lld graphs %8lld attack",
               p->folder[i].role == CI_INJECTED ? CI_INJECTED_NAME " (SIMULATED attacks)" : p->folder[i].name, files, (long long)sum.rows, (long long)sum.attack_rows,
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
            if (!ci_capture_same(c, d)) continue;
            j = ci_json_object();
            ci_json_str(j, "path", c->path);
            ci_json_str(j, "same_as", d->path);
            ci_json_bool(j, "used", ci_capture_used(c));
            ci_json_bool(j, "leak", (p->folder[c->folder].role == CI_TEST) != (p->folder[d->folder].role == CI_TEST));
            ci_json_add(a, j);
            break;
        }
    }
    return a;
}

/* Errors and warnings are said, notes stay in the report. */
static ci_json *findings_json(const ci_scan_state *s)
{
    ci_json *list = ci_scan_findings(s);
    char text[4 * CI_TEXT_MAX + CI_PATH_MAX];

    for (size_t i = 0; i < ci_json_len(list); i++) {
        const ci_json *f = ci_json_at(list, i);
        const char *severity = ci_json_get_str(f, "severity");
        ci_finding_text(f, text, sizeof text);
        if (severity && strcmp(severity, "note") != 0) ci_log(CI_WARN, "%s", text);
    }
    return list;
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

/* Apart from what was recorded. */
static void injected_put(ci_json *j, const ci_plan *p)
{
    for (int32_t i = 0; i < p->n_folder; i++) {
        ci_json *o;
        int32_t files;
        ci_count sum;

        if (p->folder[i].role != CI_INJECTED) continue;
        o = ci_json_object();
        sum = ci_scan_sum(p, i, false, &files);
        ci_json_str(o, "state", "SIMULATED");
        ci_json_int(o, "files", files);
        counts_put(o, &sum);
        ci_json_put(j, "injected", o);
        ci_log(CI_INFO, "beside them %d files with injected attacks, SIMULATED: %lld rows, %lld graphs, %lld of attacks", files,
               (long long)sum.rows, (long long)sum.graphs, (long long)sum.attack_graphs);
    }
}

ci_json *ci_scan_totals(const ci_scan_state *s)
{
    const ci_plan *p = &s->plan;
    ci_json *j = ci_json_object();
    int32_t files;
    ci_count sum = ci_scan_sum(p, -1, false, &files);

    ci_json_int(j, "files", files);
    counts_put(j, &sum);
    ci_json_int(j, "distinct_ids", (int64_t)s->n_recorded);
    ci_json_int(j, "vocabulary", p->n_vocab);
    sum = ci_scan_sum(p, -1, true, &files);
    ci_json_int(j, "used_files", files);
    ci_json_int(j, "used_rows", sum.rows);
    ci_json_int(j, "used_windows", sum.graphs);
    ci_log(CI_INFO, "%d files used, %lld rows, %lld graphs, %lld nodes, %d identifiers, %d in the "
           "vocabulary", files, (long long)sum.rows, (long long)sum.graphs, (long long)sum.nodes,
           (int)s->n_recorded, p->n_vocab);
    injected_put(j, p);
    return j;
}

/* The policies, what they came to, and what each repair does. */
static ci_json *contract_json(const ci_scan_state *s)
{
    ci_json *j = ci_json_object(), *kinds = ci_json_array();

    ci_json_num(j, "max_share", s->max_share);
    ci_json_int(j, "lines", s->n_line);
    ci_json_int(j, "quarantined_lines", s->n_quarantine);
    ci_json_int(j, "rejected_kept", s->rejects.n);
    ci_json_int(j, "rejected", s->rejects.total);
    for (int k = 1; k < CI_KIND_COUNT; k++) {
        ci_json *o = ci_json_object();
        int64_t refused = 0, repaired = 0;
        for (int32_t i = 0; i < s->plan.n_capture; i++) {
            refused += s->plan.capture[i].refused[k];
            repaired += s->plan.capture[i].repaired[k];
        }
        ci_json_str(o, "kind", ci_kind_name((ci_kind)k));
        ci_json_str(o, "policy", ci_policy_name((ci_policy)s->policy[k]));
        ci_json_int(o, "quarantined", refused);
        ci_json_int(o, "repaired", repaired);
        ci_json_str(o, "repair", ci_kind_repair((ci_kind)k));
        ci_json_add(kinds, o);
        if (repaired)
            ci_log(CI_INFO, "%s: %lld repaired: %s", ci_kind_name((ci_kind)k), (long long)repaired,
                   ci_kind_repair((ci_kind)k));
        if (refused)
            ci_log(CI_INFO, "%s: %lld in quarantine", ci_kind_name((ci_kind)k), (long long)refused);
    }
    ci_json_put(j, "kinds", kinds);
    return j;
}

ci_json *ci_scan_report(const ci_scan_state *s)
{
    const ci_plan *p = &s->plan;
    ci_json *j = ci_json_object(), *files = ci_json_array();
    char digest[CI_SHA256_HEX];

    ci_plan_digest(p, digest);
    ci_json_str(j, "what", "canids data report");
    ci_json_str(j, "set", s->conf->data.set);
    ci_json_int(j, "frames", p->frames);
    ci_json_int(j, "stride", p->stride);
    if (p->simulated) ci_json_str(j, "state", "SIMULATED");
    ci_json_str(j, "policy", s->conf->contract.policy);
    ci_json_str(j, "plan_sha256", digest);
    for (int32_t i = 0; i < p->n_capture; i++) ci_json_add(files, file_json(s, i));
    ci_json_put(j, "totals", ci_scan_totals(s));
    ci_json_put(j, "folders", folders_json(p));
    ci_json_put(j, "findings", findings_json(s));
    ci_json_put(j, "contract", contract_json(s));
    ci_json_put(j, "duplicates", duplicates_json(p));
    ci_json_put(j, "ids_only_in_test", test_only_json(s));
    ci_json_put(j, "files", files);
    return j;
}
