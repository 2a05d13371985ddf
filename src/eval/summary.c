/* Results of the members of a run, beside each other. */
#include "ci/summary.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/json.h"
#include "ci/types.h"
#include "eval_priv.h"

/* Member m * n_seed + s is model m with seed s. */
struct summary {
    const ci_conf *base, *member;
    int32_t n, n_model, n_seed;
    ci_json **root;       /* (n) results.json of each; owned */
    const ci_json *lines; /* of the first member: the others have the same ones */
    bool simulated, leaky;
};

static void summary_release(struct summary *s)
{
    for (int32_t i = 0; s->root && i < s->n; i++) ci_json_free(&s->root[i]);
    free(s->root);
}

static ci_rc summary_load(struct summary *s)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    s->root = ci_new((size_t)s->n, sizeof *s->root);
    if (!s->root) CI_FAIL(CI_ENOMEM, "results of %d models", s->n);
    for (int32_t i = 0; i < s->n; i++) {
        CI_TRY(ci_path_join(path, s->member[i].run.dir, "results.json"));
        CI_TRY(ci_commit_check(path, NULL));
        CI_TRY(ci_json_load(path, &s->root[i]));
        s->simulated = s->simulated || ci_json_get_bool(s->root[i], "simulated");
        s->leaky = s->leaky || ci_json_get_bool(s->root[i], "leak_allowed");
    }
    s->lines = ci_json_get(s->root[0], "results");
done:
    return rc;
}

static const char *text_of(const ci_json *line, const char *key)
{
    const char *text = ci_json_get_str(line, key);
    return text ? text : "";
}

/* What is said of all lines of a model: of its first seed as of the others. */
static const ci_json *root_of(const struct summary *s, int32_t model) { return s->root[model * s->n_seed]; }

/* The same line of another member; NULL when it has none. */
static const ci_json *line_of(const struct summary *s, int32_t member, const ci_json *like)
{
    const ci_json *lines = ci_json_get(s->root[member], "results");

    for (size_t i = 0; i < ci_json_len(lines); i++) {
        const ci_json *l = ci_json_at(lines, i);
        if (strcmp(text_of(l, "kind"), text_of(like, "kind")) == 0 && strcmp(text_of(l, "name"), text_of(like, "name")) == 0)
            return l;
    }
    return NULL;
}

static double value_of(const struct summary *s, int32_t member, const ci_json *like, ci_metric m)
{
    return ci_json_get_num(ci_json_get(line_of(s, member, like), ci_metric_name(m)), "value");
}

/* Over the seeds; one without a value leaves none. */
struct spread {
    double mean, sd;
};

static struct spread spread_of(const struct summary *s, int32_t model, const ci_json *like, ci_metric m)
{
    const int32_t n = s->n_seed;
    double sum = 0, square = 0, mean;

    for (int32_t k = 0; k < n; k++) sum += value_of(s, model * n + k, like, m);
    mean = sum / n;
    for (int32_t k = 0; k < n; k++) square += pow(value_of(s, model * n + k, like, m) - mean, 2);
    return (struct spread){mean, n > 1 ? sqrt(square / (n - 1)) : (double)NAN};
}

/* The folder of a model: that of its members without the seed's. */
static void model_name(const struct summary *s, int32_t model, char out[CI_ITEM_MAX])
{
    const char *name = ci_conf_member_name(s->base, &s->member[model * s->n_seed]);
    snprintf(out, CI_ITEM_MAX, "%.*s", (int)strcspn(name, "/"), name);
}

static ci_json *member_json(const struct summary *s, int32_t i)
{
    static const char *const kept[] = {"settings_sha256", "code", "store_tree_sha256", "weights_sha256"};
    ci_json *j = ci_json_object();
    char name[CI_ITEM_MAX];

    model_name(s, i / s->n_seed, name);
    ci_json_str(j, "model", name);
    ci_json_int(j, "seed", s->member[i].train.seed);
    ci_json_str(j, "folder", ci_conf_member_name(s->base, &s->member[i]));
    for (size_t k = 0; k < CI_COUNT(kept); k++) ci_json_str(j, kept[k], ci_json_get_str(s->root[i], kept[k]));
    ci_json_num(j, "threshold", ci_json_get_num(s->root[i], "threshold"));
    ci_json_str(j, "threshold_from", ci_json_get_str(s->root[i], "threshold_from"));
    return j;
}

static ci_json *cell_json(const struct summary *s, int32_t model, const ci_json *like)
{
    ci_json *j = ci_json_object();
    char text[CI_ITEM_MAX];

    model_name(s, model, text);
    ci_json_str(j, "model", text);
    ci_json_str(j, "kind", ci_json_get_str(like, "kind"));
    ci_json_str(j, "name", ci_json_get_str(like, "name"));
    ci_json_str(j, "past", text_of(root_of(s, model), "past"));
    ci_json_str(j, "injected", text_of(root_of(s, model), "injected"));
    ci_json_int(j, "n", ci_json_get_int(like, "n"));
    ci_json_int(j, "attacks", ci_json_get_int(like, "attacks"));
    ci_json_int(j, "cold", ci_json_get_int(like, "cold"));
    for (int m = 0; m < CI_METRIC_COUNT; m++) {
        const struct spread v = spread_of(s, model, like, (ci_metric)m);
        ci_json *o = ci_json_object(), *of = ci_json_object();
        for (int32_t k = 0; k < s->n_seed; k++) {
            snprintf(text, sizeof text, "%d", s->member[model * s->n_seed + k].train.seed);
            ci_json_num(of, text, value_of(s, model * s->n_seed + k, like, (ci_metric)m));
        }
        ci_json_num(o, "mean", v.mean);
        ci_json_num(o, "sd", v.sd);
        ci_json_put(o, "of_seed", of);
        ci_json_put(j, ci_metric_name((ci_metric)m), o);
    }
    return j;
}

static char *json_text(const struct summary *s)
{
    ci_json *j = ci_json_object(), *members = ci_json_array(), *cells = ci_json_array();
    char *text;

    ci_json_bool(j, "leak_allowed", s->leaky);
    ci_json_bool(j, "simulated", s->simulated);
    for (int32_t i = 0; i < s->n; i++) ci_json_add(members, member_json(s, i));
    for (int32_t m = 0; m < s->n_model; m++)
        for (size_t i = 0; i < ci_json_len(s->lines); i++) ci_json_add(cells, cell_json(s, m, ci_json_at(s->lines, i)));
    ci_json_put(j, "members", members);
    ci_json_put(j, "results", cells);
    text = ci_json_text(j, true);
    ci_json_free(&j);
    return text;
}

static void csv_line(FILE *f, const struct summary *s, int32_t model, const ci_json *like)
{
    char name[CI_ITEM_MAX];

    model_name(s, model, name);
    fprintf(f, "%s,%s,", name, text_of(like, "kind"));
    csv_field(f, text_of(like, "name"));
    fprintf(f, ",%s,%s,%s,%s,%d,%lld,%lld,%lld", s->simulated ? "SIMULATED" : "recorded", s->leaky ? "LEAKY" : "honest",
            text_of(root_of(s, model), "past"), text_of(root_of(s, model), "injected"), s->n_seed, (long long)ci_json_get_int(like, "n"),
            (long long)ci_json_get_int(like, "attacks"), (long long)ci_json_get_int(like, "cold"));
    for (int m = 0; m < CI_METRIC_COUNT; m++) {
        const struct spread v = spread_of(s, model, like, (ci_metric)m);
        csv_number(f, v.mean);
        csv_number(f, v.sd);
    }
    fputc('\n', f);
}

static char *csv_text(const struct summary *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) return NULL;
    fputs("model,kind,name,traffic,protocol,past,injected,seeds,n,attacks,cold", f);
    for (int m = 0; m < CI_METRIC_COUNT; m++)
        fprintf(f, ",%s_mean,%s_sd", ci_metric_name((ci_metric)m), ci_metric_name((ci_metric)m));
    fputc('\n', f);
    for (int32_t m = 0; m < s->n_model; m++)
        for (size_t i = 0; i < ci_json_len(s->lines); i++) csv_line(f, s, m, ci_json_at(s->lines, i));
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* test_01_known_vehicle_known_attack is a wide head of a column: test_01. */
static int head_width(const char *name)
{
    const size_t n = strcspn(name, "_"), m = name[n] ? strcspn(name + n + 1, "_") + 1 : 0;
    return (int)CI_MIN(n + m, 12);
}

static void block_print(const struct summary *s, ci_metric m, const char *title)
{
    const int width = s->n_seed > 1 ? 17 : 9;
    char name[CI_ITEM_MAX];

    printf("\n%-31s %-7s %-8s", title, "past", "injected");
    for (size_t i = 0; i < ci_json_len(s->lines); i++) {
        const ci_json *l = ci_json_at(s->lines, i);
        if (strcmp(text_of(l, "kind"), "folder") == 0) printf(" %*.*s", width, head_width(text_of(l, "name")), text_of(l, "name"));
    }
    for (int32_t k = 0; k < s->n_model; k++) {
        model_name(s, k, name);
        printf("\n%-31s %-7s %-8s", name, text_of(root_of(s, k), "past"), text_of(root_of(s, k), "injected"));
        for (size_t i = 0; i < ci_json_len(s->lines); i++) {
            const ci_json *l = ci_json_at(s->lines, i);
            const struct spread v = spread_of(s, k, l, m);
            char cell[64] = "-";
            if (strcmp(text_of(l, "kind"), "folder") != 0) continue;
            if (isfinite(v.sd)) snprintf(cell, sizeof cell, "%.4f +- %.4f", v.mean, v.sd);
            else if (isfinite(v.mean)) snprintf(cell, sizeof cell, "%.4f", v.mean);
            printf(" %*s", width, cell);
        }
    }
    printf("\n");
}

static ci_rc summary_print(const struct summary *s)
{
    ci_rc rc = CI_OK;

    printf("\nmodel x test folder");
    if (s->n_seed > 1) printf(", mean and standard deviation over %d seeds", s->n_seed);
    printf("\n%s", s->simulated ? "SIMULATED traffic: these scores say nothing about quality\n" : "");
    block_print(s, CI_METRIC_AUROC, "AUROC");
    block_print(s, CI_METRIC_F1, "F1");
    block_print(s, CI_METRIC_MCC, "MCC");
    block_print(s, CI_METRIC_FPR, "FPR");
    block_print(s, CI_METRIC_ACCURACY, "accuracy");
    if (s->leaky) printf("\nLEAKY PROTOCOL: split.allow_leak is reference\n");
    if (fflush(stdout) != 0 || ferror(stdout)) CI_FAIL(CI_EIO, "the table could not be written to standard output");
done:
    return rc;
}

ci_rc ci_summary_write(const ci_conf *base, const ci_conf *member, int32_t n)
{
    ci_rc rc = CI_OK;
    struct summary s = {.base = base, .member = member, .n = n, .n_seed = CI_MAX(1, base->seeds.n)};

    s.n_model = n / s.n_seed;
    CI_TRY(summary_load(&s));
    CI_TRY(text_publish(csv_text(&s), base->run.dir, "summary.csv"));
    CI_TRY(text_publish(json_text(&s), base->run.dir, "summary.json"));
    CI_TRY(summary_print(&s));
done:
    summary_release(&s);
    return rc;
}
