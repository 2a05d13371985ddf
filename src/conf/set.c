/** --set overrides into one layer of settings. */
#include <stdio.h>
#include <string.h>
#include "conf_priv.h"

static void read_one(const char *text, ci_place place, ci_layer *l, ci_faults *f)
{
    const char *eq = strchr(text, '=');
    const size_t n = eq ? (size_t)(eq - text) : strlen(text);
    const ci_quote key = ci_quoted(text, n);
    char where[CI_WHERE_MAX];
    bool near = false;
    ci_why why;
    int row;

    ci_place_text(l->source, place, where);
    if (!eq) {
        ci_faults_add(f, where, key.text, "no value; write --set key.path=value");
        return;
    }
    row = ci_setting_find(key.text);
    if (row < 0) {
        const char *nearest = ci_setting_nearest(key.text, &near);
        ci_faults_add(f, where, key.text,
                      near ? "unknown key; did you mean %s?"
                           : "unknown key; the nearest is %s (`canids config explain` lists all)",
                      nearest);
        return;
    }
    l->place[row] = place;
    if (!ci_value_parse(&ci_settings[row], eq + 1, strlen(eq + 1), false, &l->value, &why))
        ci_faults_add(f, where, key.text, "%s", why.text);
}

void ci_set_read(const char *const *set, size_t n, ci_layer *l, ci_faults *f)
{
    for (size_t i = 0; i < n; i++) read_one(set[i], (ci_place){(int32_t)i + 1, 0}, l, f);
}
