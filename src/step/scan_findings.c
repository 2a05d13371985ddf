/* What of the data somebody should know: how bad, what, where, why it matters, what to do. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/source.h"
#include "scan_priv.h"

static const char *const severities[] = {"note", "warning", "error"};
enum severity { NOTE, WARNING, ERROR };

struct finding {
    enum severity severity;
    const char *kind;
    const char *path;        /* NULL: of the set                                             */
    int64_t line, column;    /* from 1; 0: unknown                                           */
    int64_t row;             /* of the capture, -1: none                                     */
    const char *why, *advice;
};

static void put(ci_json *list, const struct finding *f, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put(ci_json *list, const struct finding *f, const char *format, ...)
{
    ci_json *j = ci_json_object();
    char what[4 * CI_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    ci_json_str(j, "severity", severities[f->severity]);
    ci_json_str(j, "kind", f->kind);
    ci_json_str(j, "path", f->path);
    if (f->line > 0) ci_json_int(j, "line", f->line);
    if (f->column > 0) ci_json_int(j, "column", f->column);
    if (f->row >= 0) ci_json_int(j, "row", f->row);
    ci_json_str(j, "what", what);
    ci_json_str(j, "why", f->why);
    ci_json_str(j, "do", f->advice);
    ci_json_add(list, j);
}

static bool trains(const ci_scan_state *s)
{
    return !s->loose && strstr(s->conf->pipeline, "train") != NULL;
}

/* The line of a row, where every line but the header is a row; 0 elsewhere. */
static int64_t line_of(const ci_capture *c, int64_t row)
{
    int64_t others = c->repaired[CI_KIND_BLANK] + c->repaired[CI_KIND_ERROR_FRAME];

    for (int k = 0; k < CI_KIND_COUNT; k++) others += c->refused[k];
    return row >= 0 && others == 0 ? row + 1 + c->layout.header : 0;
}

/* ---- the contract */

static const ci_reject *reject_of(const ci_scan_state *s, int32_t capture, int kind)
{
    for (int32_t i = 0; i < s->rejects.n; i++)
        if (s->rejects.item[i].capture == capture && s->rejects.item[i].kind == kind)
            return &s->rejects.item[i];
    return NULL;
}

static const char *advice_of(const ci_capture *c, ci_kind kind, char out[CI_TEXT_MAX])
{
    const char *name = ci_kind_name(kind), *repair = ci_kind_repair(kind);
    const char *convert = ci_dialect_advice((ci_dialect)c->layout.dialect);

    if (kind == CI_KIND_DIALECT && convert) return convert;

    if (kind == CI_KIND_NO_LABEL)
        return "name its folder in data.attack_free if there is no attack in it; otherwise give it labels";
    if (kind == CI_KIND_HEADER || kind == CI_KIND_DIALECT)
        return "convert it to a layout that is read, or leave it out";
    if (repair)
        snprintf(out, CI_TEXT_MAX, "correct it, or set contract.%s=quarantine (left out) or =accept (%s)", name, repair);
    else
        snprintf(out, CI_TEXT_MAX, "correct it, or leave it out: contract.%s=quarantine", name);
    return out;
}

static void refused_put(const ci_scan_state *s, int32_t i, int kind, ci_json *list)
{
    const ci_capture *c = &s->plan.capture[i];
    const bool fails = s->policy[kind] != CI_POLICY_QUARANTINE;
    const ci_reject *r = reject_of(s, i, kind);
    char advice[CI_TEXT_MAX], place[CI_PATH_MAX + 1024] = "";
    const struct finding f = {fails ? ERROR : WARNING, ci_kind_name((ci_kind)kind), c->path,
                              r ? r->line : 0, r ? r->column : 0, -1,
                              c->left_out == kind ? fails ? "scan refuses the set" : "the whole capture is left out"
                              : fails             ? "scan refuses the set"
                                                  : "these lines are left out; windows close over them",
                              advice_of(c, (ci_kind)kind, advice)};

    if (r) ci_reject_value(r, place, sizeof place);
    if (ci_kind_of_file((ci_kind)kind))
        put(list, &f, "%s", ci_kind_reason((ci_kind)kind));
    else
        put(list, &f, "%lld line%s: %s%s%s", (long long)c->refused[kind],
            c->refused[kind] > 1 ? "s" : "", ci_kind_reason((ci_kind)kind),
            r ? "; the first has " : "", place);
}

/* Lines that would be in quarantine by the settings, all those of captures left out. */
static int64_t quarantined(const ci_scan_state *s)
{
    int64_t n = 0;

    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        const bool out = c->left_out && s->policy[c->left_out] == CI_POLICY_QUARANTINE;
        for (int32_t b = c->first_block; out && b < c->first_block + c->n_block; b++) n += s->lines[b];
        for (int k = 1; !out && k < CI_KIND_COUNT; k++)
            if (s->policy[k] == CI_POLICY_QUARANTINE) n += c->refused[k];
    }
    return n;
}

static void contract_put(const ci_scan_state *s, ci_json *list)
{
    const int64_t would = quarantined(s);

    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        for (int k = 1; k < CI_KIND_COUNT; k++) {
            const struct finding f = {NOTE, ci_kind_name((ci_kind)k), c->path, 0, 0, -1,
                                      "what training sees is not what the file says", "nothing, where this is meant"};
            if (c->refused[k]) refused_put(s, i, k, list);
            if (c->repaired[k])
                put(list, &f, "%lld repaired (%s): %s", (long long)c->repaired[k],
                    ci_kind_reason((ci_kind)k), ci_kind_repair((ci_kind)k));
        }
    }
    if (would > 0 && (double)would > s->max_share * (double)s->n_line) {
        const struct finding f = {ERROR, "quarantine", NULL, 0, 0, -1, "scan refuses the set",
                                  "correct the files, or raise contract.max_share"};
        put(list, &f, "%lld of %lld lines (%.4g %%) would be in quarantine, %.4g %% may",
            (long long)would, (long long)s->n_line, 100 * (double)would / (double)s->n_line, 100 * s->max_share);
    }
}

/* What was recognised, where it is not the plain form. */
static void layouts_put(const ci_scan_state *s, ci_json *list)
{
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        const ci_dialect dialect = (ci_dialect)c->layout.dialect;
        const struct finding f = {NOTE, "layout", c->path, 0, 0, -1, "another layout would give other frames",
                                  "nothing, where it is right; otherwise data.format names the dialect"};
        if (c->fault == CI_KIND_DIALECT || c->fault == CI_KIND_EMPTY_FILE) continue;
        if (dialect != CI_DIALECT_FOUR_COLUMN || c->packing != CI_PLAIN || c->sidecar)
            put(list, &f, "read as %s, compression %s%s", ci_dialect_name(dialect), ci_scan_packing(c),
                c->sidecar ? ", labels from the intervals of its side-car" : "");
    }
}

/* ---- duplicates, identifiers */

static void duplicates_put(const ci_scan_state *s, ci_json *list)
{
    const ci_plan *p = &s->plan;
    const bool allowed = strcmp(s->conf->split.allow_leak, "reference") == 0;

    for (int32_t i = 0; i < p->n_capture; i++)
        for (int32_t k = 0; k < i; k++) {
            const ci_capture *c = &p->capture[i], *d = &p->capture[k];
            const bool leak = p->folder[c->folder].role != p->folder[d->folder].role;
            const struct finding twice = {NOTE, "duplicate", c->path, 0, 0, -1, c->same_as >= 0
                                          ? "it is used once" : "its windows count twice",
                                          c->same_as >= 0 ? "nothing" : "leave one of them out"};
            const struct finding leaks = {trains(s) && !allowed ? ERROR : WARNING, "leak", c->path, 0, 0, -1,
                                          "what is tested was trained on: train refuses it, results would be too good",
                                          "take one of them away, or split.allow_leak=reference for the published protocol"};
            if (c->bytes == 0 || !ci_capture_same(c, d)) continue;
            put(list, leak ? &leaks : &twice, "the same bytes as %s", d->path);
            break;
        }
}

static void ids_put(const ci_scan_state *s, ci_json *list)
{
    const struct finding f = {NOTE, "ids_only_in_test", NULL, 0, 0, -1,
                              "the model knows them as unknown only",
                              "nothing, where another vehicle is tested; otherwise look at data.train"};

    if (s->n_test_only) put(list, &f, "%zu identifiers are in test captures only", s->n_test_only);
}

/* ---- labels */

/* "" while both classes are there. */
static const char *only_class(const ci_count *c)
{
    return c->rows == 0 ? "" : c->attack_rows == 0 ? "benign" : c->attack_rows == c->rows ? "attack" : "";
}

static void folders_put(const ci_scan_state *s, ci_json *list)
{
    const ci_plan *p = &s->plan;
    ci_count train = ci_count_none();

    for (int32_t i = 0; i < p->n_folder; i++) {
        const ci_count sum = ci_scan_sum(p, i, false, NULL);
        const bool free_of_attacks = strstr(p->folder[i].name, "attack_free") != NULL;
        const struct finding one = {WARNING, "one_class", p->folder[i].name, 0, 0, -1,
                                    "a folder of one class gives counts, no curves", "look at its labels"};
        const struct finding not_free = {WARNING, "attacks_in_attack_free", p->folder[i].name, 0, 0, -1,
                                         "what is taken as normal traffic is not", "look at its labels, or rename the folder"};
        if (p->folder[i].role == CI_TRAIN) ci_count_append(&train, &sum);
        if (*only_class(&sum) && !(free_of_attacks && sum.attack_rows == 0))
            put(list, &one, "all rows are %s", only_class(&sum));
        if (free_of_attacks && sum.attack_rows > 0)
            put(list, &not_free, "%lld attack rows in an attack-free folder", (long long)sum.attack_rows);
    }
    if (*only_class(&train)) {
        const struct finding f = {trains(s) ? ERROR : WARNING, "one_class_training", NULL, 0, 0, -1,
                                  "a classifier needs both classes: train ends with 65",
                                  "add captures of the other class to data.train"};
        put(list, &f, "all training rows are %s", only_class(&train));
    }
}

static void captures_put(const ci_scan_state *s, ci_json *list)
{
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        const struct finding named = {WARNING, "no_attack_rows", c->path, 0, 0, -1,
                                      "its attacks would be trained and judged as normal", "look at its labels"};
        const struct finding all = {WARNING, "only_attack_rows", c->path, 0, 0, -1,
                                    "there is nothing normal to tell the attack from", "look at its labels"};
        const struct finding none = {WARNING, "no_window", c->path, 0, 0, -1, "no graph comes of it",
                                     "a smaller window.frames, or leave it out"};
        if (c->left_out || c->count.rows == 0) continue;
        if (c->attack_type != 0 && c->count.attack_rows == 0)
            put(list, &named, "named after an attack (%s), but no row is labelled attack", ci_attack_name(c->attack_type));
        if (c->count.attack_rows == c->count.rows) put(list, &all, "all rows are attack");
        if (c->count.graphs == 0)
            put(list, &none, "%lld rows make no window of %d", (long long)c->count.rows, s->plan.frames);
    }
    if (s->plan.graphs == 0) {
        const struct finding f = {trains(s) ? ERROR : WARNING, "no_graph", NULL, 0, 0, -1, "build ends with 78",
                                  "a smaller window.frames, or longer captures"};
        put(list, &f, "no capture has %d frames", s->plan.frames);
    }
}

static void shifts_put(const ci_scan_state *s, ci_json *list)
{
    for (size_t i = 0; i < s->n_shift; i++) {
        const ci_shift *x = &s->shift[i];
        const ci_capture *c = &s->plan.capture[x->capture];
        const struct finding f = {WARNING, "label_shift", c->path, line_of(c, c->count.first_attack), 0,
                                  c->count.first_attack,
                                  "normal frames would be learnt as attacks, and attacks as normal",
                                  "move the label column, and look at how the file was made"};
        if (x->rows == 0) continue;
        put(list, &f, "labels fit the frames %d rows %s: %lld of %lld contradict where they are, %lld there",
            abs(x->rows), x->rows > 0 ? "above" : "below", (long long)x->wrong, (long long)x->attacks,
            (long long)x->wrong_shifted);
    }
}

/* ---- time */

static void times_put(const ci_scan_state *s, ci_json *list)
{
    for (int32_t i = 0; i < s->plan.n_capture; i++) {
        const ci_capture *c = &s->plan.capture[i];
        const ci_look *l = &s->look[i];
        const int gap = ci_look_gap(l);
        const int64_t back = ci_look_beyond(l->back, CI_GAP_BACK), ahead = ci_look_beyond(l->ahead, CI_GAP_AHEAD),
                      gaps = ci_look_beyond(l->ahead, gap), steps = ci_look_beyond(l->back, 0);
        const struct finding jumped = {WARNING, "clock_back", c->path, line_of(c, l->most_back.row), 0, l->most_back.row,
                                       "times between frames are features; these are wrong",
                                       "cut the file there: nothing reaches over the end of a file"};
        const struct finding leapt = {WARNING, "clock_ahead", c->path, line_of(c, l->most_ahead.row), 0, l->most_ahead.row,
                                      "times between frames are features; a window spans the jump",
                                      "cut the file there: nothing reaches over the end of a file"};
        const struct finding silent = {NOTE, "gap", c->path, line_of(c, l->most_ahead.row), 0, l->most_ahead.row,
                                       "a window spans the silence", "cut the file there if the recording was interrupted"};
        const struct finding small = {NOTE, "steps_back", c->path, line_of(c, l->most_back.row), 0, l->most_back.row,
                                      "file order is kept; such steps are short on merged channels", "nothing, where it is known"};
        if (back)
            put(list, &jumped, "the clock goes back %lld times by more than %.2f s, at most by %.6f s", (long long)back,
                (double)(INT64_C(1) << CI_GAP_BACK) / 1e9, (double)l->most_back.ns / 1e9);
        else if (steps)
            put(list, &small, "%lld time step%s back, at most by %.6f s", (long long)steps, steps > 1 ? "s" : "", (double)l->most_back.ns / 1e9);
        if (ahead)
            put(list, &leapt, "the clock jumps ahead %lld times by more than %.0f s, at most by %.6f s", (long long)ahead,
                (double)(INT64_C(1) << CI_GAP_AHEAD) / 1e9, (double)l->most_ahead.ns / 1e9);
        else if (gaps)
            put(list, &silent, "%lld gaps of more than %.2f s, at most %.6f s", (long long)gaps,
                (double)(UINT64_C(1) << gap) / 1e9, (double)l->most_ahead.ns / 1e9);
    }
}

ci_json *ci_scan_findings(const ci_scan_state *s)
{
    ci_json *list = ci_json_array();

    contract_put(s, list);
    layouts_put(s, list);
    duplicates_put(s, list);
    ids_put(s, list);
    folders_put(s, list);
    captures_put(s, list);
    shifts_put(s, list);
    times_put(s, list);
    return list;
}

void ci_finding_text(const ci_json *finding, char *out, size_t n)
{
    const char *path = ci_json_get_str(finding, "path"), *what = ci_json_get_str(finding, "what");
    char place[64] = "";
    const int64_t line = ci_json_get_int(finding, "line"), column = ci_json_get_int(finding, "column"),
                  row = ci_json_get_int(finding, "row");

    if (line > 0 && column > 0)
        snprintf(place, sizeof place, ":%lld:%lld", (long long)line, (long long)column);
    else if (line > 0)
        snprintf(place, sizeof place, ":%lld", (long long)line);
    else if (row >= 0)
        snprintf(place, sizeof place, " row %lld", (long long)row);
    snprintf(out, n, "%s%s%s%s", path ? path : "", place, path ? ": " : "", what ? what : "");
}
