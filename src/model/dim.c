/** The shapes of a model as text and back: what a checkpoint says of its weights. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model_priv.h"

#define FIELD(name) {#name, offsetof(ci_model_dim, name), false, false}
#define REAL(name) {#name, offsetof(ci_model_dim, name), true, false}
#define LATER(name) {#name, offsetof(ci_model_dim, name), false, true}
static const struct { const char *name; size_t at; bool real, later; } fields[] = {
    FIELD(kind), FIELD(n_id), FIELD(id_dim), FIELD(id_buckets), FIELD(id_probes), FIELD(n_feature), FIELD(x_first),
    FIELD(n_edge_feature), FIELD(edge_features), FIELD(project), FIELD(conv), FIELD(norm), FIELD(heads), FIELD(channels),
    FIELD(layers), FIELD(jk), FIELD(pool), FIELD(head_layers), FIELD(head_dim), FIELD(n_class), FIELD(n_hidden),
    FIELD(hidden[0]), FIELD(hidden[1]), FIELD(hidden[2]), FIELD(hidden[3]), FIELD(hidden[4]), FIELD(hidden[5]),
    FIELD(hidden[6]), FIELD(hidden[7]), FIELD(inner_heads), FIELD(decoder_heads), FIELD(latent), FIELD(sigmoid),
    FIELD(neighbour), FIELD(edge_head), FIELD(masked), FIELD(teacher), REAL(slope), REAL(logvar_limit),
    LATER(n_window_feature), LATER(window), LATER(message), LATER(group_drop),
};
_Static_assert(CI_COUNT(fields) * sizeof(ci_lid) == sizeof(ci_model_dim), "every field once");

char *ci_model_dim_text(const ci_model_dim *dim)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) return NULL;
    for (size_t k = 0; k < CI_COUNT(fields); k++) {
        const char *at = (const char *)dim + fields[k].at;
        if (fields[k].real) fprintf(f, "%s=%.9g\n", fields[k].name, (double)*(const float *)at);
        else fprintf(f, "%s=%d\n", fields[k].name, *(const ci_lid *)at);
    }
    if (fclose(f)) {
        free(text);
        return NULL;
    }
    return text;
}

ci_rc ci_model_dim_parse(const char *text, ci_model_dim *out)
{
    ci_rc rc = CI_OK;

    *out = (ci_model_dim){0};
    for (size_t k = 0; k < CI_COUNT(fields); k++) {
        char *at = (char *)out + fields[k].at, *end = NULL;
        const size_t n = strlen(fields[k].name);
        if (!*text && fields[k].later && !fields[k - 1].later) break; /* of an earlier version: all of them or none */
        if (strncmp(text, fields[k].name, n) != 0 || text[n] != '=')
            CI_FAIL(CI_EFORMAT, "shapes of a model: \"%.40s\" where %s= has to be", text, fields[k].name);
        text += n + 1;
        if (fields[k].real) *(float *)at = strtof(text, &end);
        else *(ci_lid *)at = (ci_lid)strtol(text, &end, 10);
        if (end == text || *end != '\n') CI_FAIL(CI_EFORMAT, "shapes of a model: %s is \"%.20s\", no number", fields[k].name, text);
        text = end + 1;
    }
    if (*text) CI_FAIL(CI_EFORMAT, "shapes of a model: \"%.40s\" behind the last one", text);
done:
    return rc;
}
