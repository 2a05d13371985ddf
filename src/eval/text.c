/* Texts of results: fields of CSV, and whole files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ci/commit.h"
#include "eval_priv.h"

void csv_number(FILE *f, double v)
{
    if (isfinite(v)) fprintf(f, ",%.9g", v);
    else fputc(',', f);
}

void csv_field(FILE *f, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

ci_rc text_publish(char *text, const char *dir, const char *name)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    if (!text) CI_FAIL(CI_ENOMEM, "%s", name);
    CI_TRY(ci_path_join(path, dir, name));
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    return rc;
}
