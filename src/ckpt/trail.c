/* The files that a training leaves, and the lines of its metrics. */
#include "ci/trail.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"

ci_rc ci_trail_init(ci_trail *t, const char *dir)
{
    ci_rc rc = CI_OK;

    memset(t, 0, sizeof *t);
    CI_TRY(ci_path_join(t->best, dir, "best.h5"));
    CI_TRY(ci_path_join(t->last, dir, "last.h5"));
    CI_TRY(ci_path_join(t->metrics, dir, "metrics.jsonl"));
done:
    return rc;
}

void ci_trail_release(ci_trail *t)
{
    if (!t) return;
    free(t->line);
    t->line = NULL;
    t->n = t->cap = 0;
}

static ci_rc line_add(ci_trail *t, const char *text, size_t n)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_grow((void **)&t->line, &t->cap, t->n + n + 1, 1));
    memcpy(t->line + t->n, text, n);
    t->line[t->n + n] = '\n';
    t->n += n + 1;
done:
    return rc;
}

ci_rc ci_trail_add(ci_trail *t, const ci_json *epoch)
{
    ci_rc rc = CI_OK;
    char *text = ci_json_text(epoch, false);

    if (!text) CI_FAIL(CI_ENOMEM, "a line of metrics");
    CI_TRY(line_add(t, text, strlen(text)));
    CI_TRY(ci_commit_bytes(t->metrics, t->line, t->n));
done:
    free(text);
    return rc;
}

ci_rc ci_trail_restore(ci_trail *t, int64_t epoch)
{
    ci_rc rc = CI_OK;
    FILE *in = fopen(t->metrics, "r");
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;

    while (in && (n = getline(&text, &cap, in)) > 0) {
        long long e;
        if (text[n - 1] != '\n') break; /* torn */
        if (sscanf(text, "{\"epoch\": %lld,", &e) == 1 && e < epoch) CI_TRY(line_add(t, text, (size_t)n - 1));
    }
done:
    if (in) fclose(in);
    free(text);
    return rc;
}
