/* The data report as one page that needs nothing else: what a browser shows of data_report.json. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan_priv.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>canids data report</title>\n<style>\n"
    "body{font:14px/1.4 sans-serif;margin:2em;max-width:110em;color:#222}\n"
    "table{border-collapse:collapse;margin:.5em 0 2em}\n"
    "th,td{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".error{background:#fbd5d5}.warning{background:#fdf0c8}\n"
    "code{font-size:90%}\n</style></head><body>\n";

static void escaped(FILE *f, const char *text)
{
    for (; text && *text; text++)
        if (*text == '<') fputs("&lt;", f);
        else if (*text == '>') fputs("&gt;", f);
        else if (*text == '&') fputs("&amp;", f);
        else if (*text == '"') fputs("&quot;", f);
        else fputc(*text, f);
}

/* A column: title, key in the row's object, and whether it is a number. */
struct column {
    const char *title, *key;
    bool number;
};

static void cell(FILE *f, const ci_json *row, const struct column *c)
{
    if (c->number) {
        const int64_t v = ci_json_get_int(row, c->key);
        fputs("<td class=\"n\">", f);
        if (v >= 0) fprintf(f, "%" PRId64, v);
    } else {
        fputs("<td>", f);
        escaped(f, ci_json_get_str(row, c->key));
    }
    fputs("</td>", f);
}

static void table(FILE *f, const char *title, const ci_json *rows, const struct column *c, size_t n)
{
    fprintf(f, "<h2>%s</h2>\n", title);
    if (ci_json_len(rows) == 0) {
        fputs("<p>none</p>\n", f);
        return;
    }
    fputs("<table><tr>", f);
    for (size_t k = 0; k < n; k++) fprintf(f, "<th%s>%s</th>", c[k].number ? " class=\"n\"" : "", c[k].title);
    fputs("</tr>\n", f);
    for (size_t i = 0; i < ci_json_len(rows); i++) {
        const ci_json *row = ci_json_at(rows, i);
        const char *severity = ci_json_get_str(row, "severity");
        fprintf(f, "<tr class=\"%s\">", severity ? severity : "");
        for (size_t k = 0; k < n; k++) cell(f, row, &c[k]);
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
}

static void summary(FILE *f, const ci_json *report)
{
    static const struct column total[] = {
        {"files", "files", true}, {"used", "used_files", true}, {"rows", "rows", true}, {"attack rows", "attack_rows", true},
        {"windows", "windows", true}, {"attack windows", "attack_windows", true}, {"identifiers", "distinct_ids", true},
        {"in the vocabulary", "vocabulary", true},
    };
    const ci_json *totals = ci_json_get(report, "totals"), *contract = ci_json_get(report, "contract");

    fputs("<h1>Data report: ", f);
    escaped(f, ci_json_get_str(report, "set"));
    fputs("</h1>\n", f);
    if (ci_json_get_str(report, "state")) fputs("<p><b>SIMULATED traffic</b></p>\n", f);
    fprintf(f, "<p>Windows of %" PRId64 " frames, one every %" PRId64 "; %" PRId64 " of %" PRId64
            " lines in quarantine; plan <code>", ci_json_get_int(report, "frames"), ci_json_get_int(report, "stride"),
            ci_json_get_int(contract, "quarantined_lines"), ci_json_get_int(contract, "lines"));
    escaped(f, ci_json_get_str(report, "plan_sha256"));
    fputs("</code></p>\n<table><tr>", f);
    for (size_t k = 0; k < CI_COUNT(total); k++) fprintf(f, "<th class=\"n\">%s</th>", total[k].title);
    fputs("</tr><tr>", f);
    for (size_t k = 0; k < CI_COUNT(total); k++) cell(f, totals, &total[k]);
    fputs("</tr></table>\n", f);
}

static void tables(FILE *f, const ci_json *report)
{
    static const struct column finding[] = {
        {"", "severity", false}, {"file", "path", false}, {"line", "line", true}, {"what", "what", false},
        {"why it matters", "why", false}, {"what to do", "do", false},
    };
    static const struct column folder[] = {
        {"folder", "name", false}, {"for", "role", false}, {"files", "files", true}, {"rows", "rows", true},
        {"attack rows", "attack_rows", true}, {"windows", "windows", true}, {"attack windows", "attack_windows", true},
    };
    static const struct column kind[] = {
        {"kind", "kind", false}, {"policy", "policy", false}, {"in quarantine", "quarantined", true},
        {"repaired", "repaired", true}, {"repair", "repair", false},
    };
    static const struct column file[] = {
        {"file", "path", false}, {"same as", "same_as", false}, {"left out", "left_out", false}, {"dialect", "dialect", false}, {"compression", "compression", false},
        {"attack", "attack_type", false},
        {"bytes", "bytes", true}, {"rows", "rows", true}, {"attack rows", "attack_rows", true}, {"windows", "windows", true},
        {"attack windows", "attack_windows", true}, {"identifiers", "distinct_ids", true}, {"first", "id_min_hex", false},
        {"last", "id_max_hex", false}, {"from s", "t_first", false}, {"to s", "t_last", false}, {"back", "backward_steps", true},
        {"equal", "equal_steps", true}, {"gaps", "gaps", true}, {"longest step s", "longest_step_s", false},
    };
    static const struct column duplicate[] = {{"file", "path", false}, {"same as", "same_as", false}};

    table(f, "Findings", ci_json_get(report, "findings"), finding, CI_COUNT(finding));
    table(f, "Folders", ci_json_get(report, "folders"), folder, CI_COUNT(folder));
    table(f, "Files", ci_json_get(report, "files"), file, CI_COUNT(file));
    table(f, "Files of equal content", ci_json_get(report, "duplicates"), duplicate, CI_COUNT(duplicate));
    table(f, "The contract", ci_json_get(ci_json_get(report, "contract"), "kinds"), kind, CI_COUNT(kind));
}

/* Rows by payload length, and the identifiers that training never has. */
static void lists(FILE *f, const ci_json *report)
{
    const ci_json *files = ci_json_get(report, "files"), *test = ci_json_get(report, "ids_only_in_test"),
                  *ids = ci_json_get(test, "ids");

    fputs("<h2>Rows by payload length</h2>\n<table><tr><th>file</th>", f);
    for (int k = 0; k < 9; k++) fprintf(f, "<th class=\"n\">%d</th>", k);
    fputs("</tr>\n", f);
    for (size_t i = 0; i < ci_json_len(files); i++) {
        const ci_json *row = ci_json_at(files, i), *n = ci_json_get(row, "rows_by_payload_len_0_to_8");
        fputs("<tr><td>", f);
        escaped(f, ci_json_get_str(row, "path"));
        for (size_t k = 0; k < 9; k++) fprintf(f, "</td><td class=\"n\">%" PRId64, ci_json_as_int(ci_json_at(n, k)));
        fputs("</td></tr>\n", f);
    }
    fprintf(f, "</table>\n<h2>Identifiers in test captures only: %" PRId64 "</h2>\n<p><code>", ci_json_get_int(test, "count"));
    for (size_t i = 0; i < ci_json_len(ids); i++) {
        escaped(f, ci_json_as_str(ci_json_at(ids, i)));
        fputc(' ', f);
    }
    fputs("</code></p>\n", f);
}

static const char notes[] =
    "<h2>How to read this</h2>\n<ul>\n"
    "<li>A file of the same bytes as another one in the training folders is used once.</li>\n"
    "<li>A gap is a step of time of at least 2^k ns, where 2^k is the first power of two that is not below 1 s and 128 times the "
    "median step (itself rounded up to a power of two).</li>\n"
    "<li>The clock jumps when it goes back by 0.13 s or ahead by 69 s. Smaller steps back are counted; file order is kept.</li>\n"
    "<li>Labels look shifted when, called attack or benign as most of their kind (the same identifier, or identifier and payload) "
    "are, at least a tenth of the attacks contradict where they stand, and at most a fourth of that with the labels moved by up "
    "to 8 rows. 65,536 rows from the first attack on are looked at.</li>\n"
    "<li>Lines in quarantine are left out of everything that is counted here; the first 1,000 are in rejected.csv.</li>\n</ul>\n";

char *ci_scan_page(const ci_json *report, size_t *out_n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, out_n);
    bool bad;

    if (!f) return NULL;
    fputs(head, f);
    summary(f, report);
    tables(f, report);
    lists(f, report);
    fputs(notes, f);
    fputs("</body></html>\n", f);
    bad = ferror(f);
    bad = fclose(f) != 0 || bad;
    if (bad) {
        free(text);
        text = NULL;
    }
    return text;
}
