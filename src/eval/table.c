/* Results as CSV and for the eye. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/types.h"
#include "eval_priv.h"

static char *csv_text(const struct results *r)
{
    char *text = NULL;
    size_t n = 0;
    struct ratio ratio[RATIOS];
    FILE *f = open_memstream(&text, &n);

    if (!f) return NULL;
    fprintf(f, "kind,name,traffic,past,injected,n,attacks,cold");
    for (int m = 0; m < CI_METRIC_COUNT; m++) {
        const char *name = ci_metric_name((ci_metric)m);
        fprintf(f, ",%s,%s_lo,%s_hi", name, name, name);
    }
    fprintf(f, ",precision,recall,tp,fp,tn,fn");
    line_ratios(&(const struct line){0}, ratio);
    for (int k = 0; k < RATIOS; k++) fprintf(f, ",%s", ratio[k].name);
    fprintf(f, ",weights\n");
    for (int32_t i = 0; i < r->n; i++) {
        const ci_scores *s = &r->line[i].s;
        fprintf(f, "%s,", r->line[i].kind);
        csv_field(f, r->line[i].name);
        fprintf(f, ",%s,%s,%s,%lld,%lld,%lld", r->simulated ? "SIMULATED" : "recorded", r->past, r->injected, (long long)s->n,
                (long long)s->n_attack, (long long)s->n_cold);
        for (int m = 0; m < CI_METRIC_COUNT; m++) {
            csv_number(f, ci_scores_value(s, (ci_metric)m));
            csv_number(f, s->lo[m]);
            csv_number(f, s->hi[m]);
        }
        csv_number(f, s->precision);
        csv_number(f, s->recall);
        fprintf(f, ",%lld,%lld,%lld,%lld", (long long)s->at.tp, (long long)s->at.fp, (long long)s->at.tn,
                (long long)s->at.fn);
        line_ratios(&r->line[i], ratio);
        for (int k = 0; k < RATIOS; k++) csv_number(f, ratio[k].value);
        fprintf(f, ",%s\n", r->which);
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

ci_rc results_write(const struct results *r, const char *run_dir)
{
    ci_rc rc = CI_OK;

    CI_TRY(text_publish(csv_text(r), run_dir, "results.csv"));
    CI_TRY(text_publish(results_json(r), run_dir, "results.json"));
    CI_TRY(ci_eval_print(run_dir));
done:
    return rc;
}

static double value(const ci_json *line, ci_metric m)
{
    return ci_json_get_num(ci_json_get(line, ci_metric_name(m)), "value");
}

static const char *said(const ci_json *line, const char *key)
{
    const char *text = ci_json_get_str(line, key);
    return text ? text : "-";
}

static void line_print(const ci_json *l)
{
    static const ci_metric column[] = {CI_METRIC_AUROC, CI_METRIC_AP,  CI_METRIC_F1,
                                       CI_METRIC_MCC,   CI_METRIC_FPR, CI_METRIC_ACCURACY};

    printf("%-39s %-7s %-8s %8lld %5lld %6.1f %%", ci_json_get_str(l, "name"), said(l, "past"), said(l, "injected"),
           (long long)ci_json_get_int(l, "n"), (long long)CI_MAX(ci_json_get_int(l, "cold"), 0), 100 * ci_json_get_num(l, "attack_share"));
    for (size_t i = 0; i < CI_COUNT(column); i++) {
        const double v = value(l, column[i]);
        if (isfinite(v)) printf(" %8.4f", v);
        else printf(" %8s", "-");
    }
    printf("\n");
}

static double number(const ci_json *frames, const char *key) { return ci_json_get_num(frames, key); }

/* Frame by frame, where frames were judged. */
static void frames_print(const ci_json *lines)
{
    bool begun = false;

    for (size_t i = 0; i < ci_json_len(lines); i++) {
        const ci_json *l = ci_json_at(lines, i), *f = ci_json_get(l, "frames");
        const char *kind = ci_json_get_str(l, "kind");

        if (!f || !kind || strcmp(kind, "folder") != 0) continue;
        if (!begun)
            printf("\n%-39s %-7s %-8s %10s %10s %8s %8s %8s %8s %8s\n", "frames of test folder", "past", "injected", "n", "attacks", "AUROC", "F1",
                   "recall", "FPR", "F1 b998");
        begun = true;
        printf("%-39s %-7s %-8s %10lld %10lld", ci_json_get_str(l, "name"), said(l, "past"), said(l, "injected"), (long long)ci_json_get_int(f, "n"),
               (long long)ci_json_get_int(f, "attacks"));
        const double v[] = {number(f, "auroc"), number(f, "f1"), number(f, "recall"), number(f, "fpr"), number(ci_json_get(f, "b998"), "f1")};
        for (size_t k = 0; k < CI_COUNT(v); k++) {
            if (isfinite(v[k])) printf(" %8.4f", v[k]);
            else printf(" %8s", "-");
        }
        printf("\n");
    }
}

ci_rc ci_eval_print(const char *run_dir)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    const ci_json *lines;
    char path[CI_PATH_MAX];
    const char *before = "", *which;

    CI_TRY(ci_path_join(path, run_dir, "results.json"));
    CI_TRY(ci_json_load(path, &j));
    which = ci_json_get_str(j, "weights");
    lines = ci_json_get(j, "results");
    if (ci_json_get_bool(j, "simulated")) printf("SIMULATED traffic: these scores say nothing about quality\n\n");
    for (size_t i = 0; i < ci_json_len(lines); i++) {
        const ci_json *l = ci_json_at(lines, i);
        const char *kind = ci_json_get_str(l, "kind");
        if (!kind) CI_FAIL(CI_EFORMAT, "%s: line %zu has no kind", path, i);
        if (strcmp(kind, before) != 0)
            printf("%s%-39s %-7s %-8s %8s %5s %8s %8s %8s %8s %8s %8s %8s\n", i ? "\n" : "",
                   strcmp(kind, "folder") == 0 ? "test folder" : "attack", "past", "injected", "n", "cold", "attack", "AUROC", "AP", "F1", "MCC", "FPR",
                   "accuracy");
        before = kind;
        line_print(l);
    }
    frames_print(lines);
    if (which && strcmp(which, "best") != 0) printf("\nweights: %s, not the best on validation\n", which);
    if (ci_json_get_bool(j, "leak_allowed")) printf("\nLEAKY PROTOCOL: split.allow_leak is reference\n");
    if (fflush(stdout) != 0 || ferror(stdout)) CI_FAIL(CI_EIO, "the table could not be written to standard output");
done:
    ci_json_free(&j);
    return rc;
}
