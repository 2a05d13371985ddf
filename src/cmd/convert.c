/* `canids convert`: captures of any dialect, one after the other, as four columns or as candump. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "ci/commit.h"
#include "ci/convert.h"
#include "ci/log.h"
#include "cmd_priv.h"

/* All captures are opened before anything is written: they must agree on labels. */
static ci_rc files_open(const struct options *o, ci_convert **files, bool *out_labelled)
{
    ci_rc rc = CI_OK;
    const ci_dialect format = o->format ? ci_dialect_find(o->format) : CI_DIALECT_NONE;

    for (size_t i = 0; i < o->n_file; i++) {
        CI_TRY(ci_convert_open(o->files[i], format, &files[i]));
        const bool labelled = ci_convert_labelled(files[i]);
        ci_log_any(CI_INFO, "%s: %s%s, %s", o->files[i],
                   ci_dialect_name((ci_dialect)ci_convert_layout(files[i])->dialect),
                   format == CI_DIALECT_NONE ? ", found by its first bytes" : "", labelled ? "with labels" : "without labels");
        if (i == 0) *out_labelled = labelled;
        if (labelled != *out_labelled)
            CI_FAIL(CI_EDATA, "%s has %s and %s has %s: convert them one by one", o->files[0], *out_labelled ? "labels" : "none",
                    o->files[i], labelled ? "labels" : "none");
    }
done:
    return rc;
}

static void left_out_say(int64_t n, const char *what, const char *to)
{
    if (n > 0) ci_log_any(CI_WARN, "%lld %s left out: %s has no place for them", (long long)n, what, to);
}

static void sum_say(const ci_converted *s, const char *to)
{
    ci_log_any(CI_INFO, "%lld frames written as %s", (long long)s->frames, to);
    left_out_say(s->fd, "CAN FD frames of more than 8 bytes", to);
    left_out_say(s->remote, "remote frames", to);
    left_out_say(s->error, "error frames", to);
    left_out_say(s->narrow, "frames with a 29-bit identifier not above 7FF", to);
    if (s->flags > 0)
        ci_log_any(CI_WARN, "%lld CAN FD frames of at most 8 bytes look like classic ones in %s", (long long)s->flags, to);
}

static ci_rc all_write(const struct options *o, ci_convert **files, bool labelled, FILE *out)
{
    ci_rc rc = CI_OK;
    const ci_dialect to = ci_dialect_find(o->to);
    ci_converted sum = {0};

    if (fputs(ci_convert_header(to, labelled), out) < 0) CI_FAIL(CI_EIO, "cannot write: %s", strerror(errno));
    for (size_t i = 0; i < o->n_file; i++) CI_TRY(ci_convert_write(files[i], to, labelled, out, &sum));
    if (fflush(out) != 0) CI_FAIL(CI_EIO, "cannot write: %s", strerror(errno));
    sum_say(&sum, o->to);
done:
    return rc;
}

static ci_rc committed(const struct options *o, ci_convert **files, bool labelled)
{
    ci_rc rc = CI_OK;
    char temp[CI_PATH_MAX] = "";
    FILE *out = NULL;

    CI_TRY(ci_commit_temp(o->out, temp));
    out = fopen(temp, "wb");
    if (!out) CI_FAIL(CI_ECREATE, "%s: cannot create: %s", temp, strerror(errno));
    CI_TRY(all_write(o, files, labelled, out));
    if (fclose(out) != 0) {
        out = NULL;
        CI_FAIL(CI_EIO, "%s: %s", temp, strerror(errno));
    }
    out = NULL;
    CI_TRY(ci_commit_publish(o->out, NULL, NULL));
    temp[0] = 0;
done:
    if (out) fclose(out);
    if (temp[0]) remove(temp);
    return rc;
}

ci_rc verb_convert(const struct options *o)
{
    ci_rc rc = CI_OK;
    ci_convert **files = ci_new(o->n_file, sizeof *files);
    bool labelled = false;

    if (!files) CI_FAIL(CI_ENOMEM, "no memory for %zu captures", o->n_file);
    CI_TRY(files_open(o, files, &labelled));
    if (o->out && strcmp(o->out, "-") != 0)
        CI_TRY(committed(o, files, labelled));
    else
        CI_TRY(all_write(o, files, labelled, stdout));
done:
    for (size_t i = 0; files && i < o->n_file; i++) ci_convert_close(&files[i]);
    free(files);
    return rc;
}
