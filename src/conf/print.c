/** ci_conf as YAML for people, and as canonical text for hashes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

/* The shortest decimal that reads back as the same double; with a point in it, because other
 * readers of YAML take 1e-08 for a text. */
static void put_real(FILE *f, double v)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    if (strchr(text, 'e') && !strchr(text, '.'))
        fprintf(f, "%.*s.0%s", (int)strcspn(text, "e"), text, strchr(text, 'e'));
    else
        fputs(text, f);
}

static void put_quoted(FILE *f, const char *text)
{
    putc('"', f);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putc('\\', f);
        putc(*text, f);
    }
    putc('"', f);
}

static void put_ints(FILE *f, const ci_int_list *list, const char *between)
{
    putc('[', f);
    for (int32_t i = 0; i < list->n; i++) fprintf(f, "%s%" PRId32, i ? between : "", list->item[i]);
    putc(']', f);
}

static void put_value(FILE *f, const ci_setting *s, const void *v)
{
    const ci_text_list *list = v;
    switch (s->kind) {
    case CI_I32: fprintf(f, "%" PRId32, *(const int32_t *)v); break;
    case CI_I64:
    case CI_BYTES: fprintf(f, "%" PRId64, *(const int64_t *)v); break;
    case CI_F64: put_real(f, *(const double *)v); break;
    case CI_LIST:
        putc('[', f);
        for (int32_t i = 0; i < list->n; i++) {
            if (i) fputs(", ", f);
            put_quoted(f, list->item[i]);
        }
        putc(']', f);
        break;
    case CI_INTS: put_ints(f, v, ", "); break;
    default: put_quoted(f, v); break;
    }
}

static void put_comment(FILE *f, const ci_setting *s, int row, bool explain)
{
    char list[CI_CHOICES_MAX];

    if (explain) {
        fprintf(f, "  # %s\n", ci_conf_origin(row));
        return;
    }
    fprintf(f, "  # %s%s%s", s->unit, *s->unit ? ": " : "", s->meaning);
    if (s->kind == CI_CHOICE || s->kind == CI_STEPS)
        ci_value_choices(s->allowed, list);
    else
        snprintf(list, sizeof list, "%s", s->allowed);
    fprintf(f, "%s%s\n", *list ? "; " : "", list);
}

char *ci_conf_yaml(const ci_conf *c, bool explain)
{
    char *text = NULL, section[64] = "";
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) return NULL;
    for (int i = 0; i < ci_n_setting; i++) {
        const ci_setting *s = &ci_settings[i];
        const char *dot = strchr(s->key, '.');
        const int n = dot ? (int)(dot - s->key) : 0;
        if (n && strncmp(section, s->key, (size_t)n + 1) != 0) {
            snprintf(section, sizeof section, "%.*s.", n, s->key);
            fprintf(f, "%.*s:\n", n, s->key);
        }
        fprintf(f, "%s%s: ", dot ? "  " : "", dot ? dot + 1 : s->key);
        put_value(f, s, (const char *)c + s->at);
        put_comment(f, s, i, explain);
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void put_canonical(FILE *f, const ci_setting *s, const void *v)
{
    const ci_text_list *list = v;

    fprintf(f, "%s=", s->key);
    if (s->kind == CI_F64)
        fprintf(f, "%.17g", *(const double *)v);
    else if (s->kind == CI_LIST) /* names have no comma in them */
        for (int32_t i = 0; i < list->n; i++) fprintf(f, "%s%s", i ? "," : "", list->item[i]);
    else if (s->kind <= CI_BYTES || s->kind == CI_INTS)
        put_value(f, s, v);
    else
        fputs(v, f);
    putc('\n', f);
}

static bool begins(const char *key, const char *const *prefix, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(key, prefix[i], strlen(prefix[i])) == 0) return true;
    return false;
}

static bool named_whole(const char *key, const char *const *prefix, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, prefix[i]) == 0) return true;
    return false;
}

static bool hashed(const char *key, const char *const *prefix, size_t n)
{
    static const char *const never[] = {"train.threads", "train.checkpoint_s", "train.isa", "train.device",
                                        "train.difficulty", "distill.teacher", "fusion.vgae", "fusion.gat"};
    static const char *const not_by_itself[] = {"run.", "comm.", "inject.", "sim."};

    if (begins(key, never, CI_COUNT(never))) return named_whole(key, prefix, n);
    return n ? begins(key, prefix, n) : !begins(key, not_by_itself, CI_COUNT(not_by_itself));
}

void ci_conf_hash(const ci_conf *c, const char *const *prefix, size_t n, char out[CI_SHA256_HEX])
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    memset(out, 0, CI_SHA256_HEX);
    if (!f) return;
    for (int i = 0; i < ci_n_setting; i++)
        if (hashed(ci_settings[i].key, prefix, n))
            put_canonical(f, &ci_settings[i], (const char *)c + ci_settings[i].at);
    if (fclose(f) == 0) ci_sha256_of(text, size, out);
    free(text);
}
