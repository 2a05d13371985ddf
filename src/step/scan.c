#include "ci/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "scan_priv.h"

ci_rc ci_scan_interrupted(void)
{
    ci_rc rc = CI_OK;

    if (ci_signal_seen()) CI_FAIL(CI_ETEMP, "stopped by signal %d while scanning; the same command "
                                  "begins scan again", ci_signal_seen());
done:
    return rc;
}

static ci_rc rejects_write(const ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], *text = NULL;
    size_t n = 0;

    CI_TRY(ci_make_dir(s->conf->run.dir));
    CI_TRY(ci_path_join(path, s->conf->run.dir, "rejected.csv"));
    text = ci_rejects_csv(&s->plan, &s->rejects, &n);
    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for its text", path);
    CI_TRY(ci_commit_bytes(path, text, n));
done:
    free(text);
    return rc;
}

/* Rank 0: nothing is left but rejected.csv. */
static ci_rc rejects_fail(const ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    const bool failing = s->rejects.failing > 0;
    char first[CI_PATH_MAX + 1024], more[128] = "";

    CI_TRY(rejects_write(s));
    ci_reject_text(&s->plan, failing ? &s->rejects.first : s->rejects.item, first, sizeof first);
    if (!failing)
        CI_FAIL(CI_EDATA, "%lld of %lld lines (%.4g %%) would be in quarantine; contract.max_share allows "
                "%.4g %%; the first: %s; see %s/rejected.csv", (long long)s->n_quarantine,
                (long long)s->n_line, 100 * (double)s->n_quarantine / (double)s->n_line,
                100 * s->contract.max_share, first, s->conf->run.dir);
    if (s->rejects.failing > 1)
        snprintf(more, sizeof more, "; %s%lld rows break the contract",
                 s->rejects.failing >= CI_REJECT_MAX ? "at least " : "", (long long)s->rejects.failing);
    CI_FAIL(CI_EDATA, "%s%s; see %s/rejected.csv", first, more, s->conf->run.dir);
done:
    return rc;
}

static ci_rc text_write(const ci_scan_state *s, const char *name, const char *text, size_t n)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    CI_TRY(ci_path_join(path, s->conf->run.dir, name));
    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for its text", path);
    CI_TRY(ci_commit_bytes(path, text, n));
done:
    return rc;
}

static ci_rc report_write(const ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    ci_json *report = ci_scan_report(s);
    char *text = ci_json_text(report, true), *page;
    size_t n = 0;

    page = text ? ci_scan_page(report, &n) : NULL;
    CI_TRY(text_write(s, "data_report.json", text, text ? strlen(text) : 0));
    CI_TRY(text_write(s, "data_report.html", page, n));
done:
    free(text);
    free(page);
    ci_json_free(&report);
    return rc;
}

static ci_rc publish(const ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    CI_TRY(rejects_write(s));
    CI_TRY(ci_path_join(path, s->conf->run.dir, "vocabulary.json"));
    CI_TRY(ci_vocab_write(s->vocab, s->conf->vocab.scope, path));
    CI_TRY(report_write(s));
    CI_TRY(ci_path_join(path, s->conf->run.dir, "plan.json"));
    CI_TRY(ci_plan_write(&s->plan, path));
done:
    return rc;
}

void ci_scan_state_release(ci_scan_state *s)
{
    ci_plan_release(&s->plan);
    free(s->lines);
    free(s->found);
    free(s->look);
    free(s->shift);
    ci_rejects_release(&s->rejects);
    ci_seen_release(&s->seen);
    free(s->all);
    ci_vocab_destroy(&s->vocab);
    free(s->test_only);
}

/* When each capture last changed, for rank 0: the two passes must read the same bytes. */
static ci_rc stamps_take(const ci_plan *p, struct timespec **out)
{
    ci_rc rc = CI_OK;
    struct timespec *t = ci_new((size_t)p->n_capture, sizeof *t);
    char path[CI_PATH_MAX];
    struct stat s;

    if (!t) CI_FAIL(CI_ENOMEM, "%d captures", p->n_capture);
    for (int32_t i = 0; i < p->n_capture; i++) {
        CI_TRY(ci_plan_path(p, i, path));
        if (stat(path, &s) != 0) CI_FAIL(ci_rc_errno(errno), "%s: %s", path, strerror(errno));
        t[i] = s.st_mtim;
    }
    *out = t;
    t = NULL;
done:
    free(t);
    return rc;
}

static ci_rc stamps_same(const ci_plan *p, const struct timespec *before)
{
    ci_rc rc = CI_OK;
    struct timespec *now = NULL;
    char path[CI_PATH_MAX];

    CI_TRY(stamps_take(p, &now));
    for (int32_t i = 0; i < p->n_capture; i++) {
        if (now[i].tv_sec == before[i].tv_sec && now[i].tv_nsec == before[i].tv_nsec) continue;
        CI_TRY(ci_plan_path(p, i, path));
        CI_FAIL(CI_EIO, "%s changed while it was scanned: wait until nothing writes to it, and scan again", path);
    }
done:
    free(now);
    return rc;
}

void ci_scan_settings(const ci_conf *conf, char out[CI_SHA256_HEX])
{
    static const char *const reads[] = {"data.root", "data.set", "data.train", "data.test", "data.attack_free", "data.injected",
                                        "data.format", "data.duplicates", "window.", "features.set", "features.compat", "vocab.", "contract."};

    ci_conf_hash(conf, reads, CI_COUNT(reads), out);
}

/* Sizes of compressed captures, of which each rank reads its share to the end. */
static ci_rc sizes_mine(const ci_scan_state *s, int64_t *bytes)
{
    ci_rc rc = CI_OK;
    int32_t k = 0;

    for (int32_t i = 0; i < s->plan.n_capture; i++)
        if (s->plan.capture[i].bytes < 0 && k++ % s->comm->size == s->comm->rank)
            CI_TRY(ci_csv_measure(&s->plan, i, s->conf->data.expand_max, &bytes[i]));
done:
    return rc;
}

static ci_rc cut(ci_scan_state *s)
{
    ci_rc rc = CI_OK;
    const size_t n = (size_t)s->plan.n_capture;
    int64_t *bytes = ci_new(n, sizeof *bytes);

    CI_TRY_ALL(s->comm, "scan.sizes.room", bytes ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__,
               "no memory for the sizes of %zu captures", n));
    CI_TRY_ALL(s->comm, "scan.sizes.measure", sizes_mine(s, bytes));
    CI_TRY(ci_comm_sum_i64(s->comm, "scan.sizes.sum", bytes, n));
    for (size_t i = 0; i < n; i++)
        if (s->plan.capture[i].bytes < 0) s->plan.capture[i].bytes = bytes[i];
    CI_TRY_ALL(s->comm, "scan.cut", ci_csv_cut(&s->plan, s->conf->data.block));
done:
    free(bytes);
    return rc;
}

ci_rc ci_scan_survey(ci_scan_state *s, const char *only)
{
    ci_rc rc = CI_OK;
    const ci_comm *comm = s->comm;
    const bool first = comm->rank == 0;
    struct timespec *before = NULL;

    s->seen.capture = -1;
    CI_TRY_ALL(comm, "scan.find", first ? ci_csv_list(s->conf, only, &s->plan) : CI_OK);
    ci_scan_settings(s->conf, s->plan.settings);
    CI_TRY(ci_plan_bcast(comm, &s->plan));
    CI_TRY_ALL(comm, "scan.stamps", first ? stamps_take(&s->plan, &before) : CI_OK);
    CI_TRY(cut(s));
    ci_scan_files(s);
    CI_TRY(ci_scan_lines(s));
    CI_TRY(ci_scan_rows(s));
    CI_TRY_ALL(comm, "scan.unchanged", first ? stamps_same(&s->plan, before) : CI_OK);
    s->refused = s->rejects.failing > 0
                 || (double)s->n_quarantine > s->contract.max_share * (double)s->n_line;
    if (s->refused) goto done;
    CI_TRY(ci_scan_ids(s));
    if (!first) ci_plan_release(&s->plan);
    CI_TRY(ci_plan_bcast(comm, &s->plan));
    CI_TRY(ci_scan_shift(s));
done:
    free(before);
    return rc;
}

ci_rc ci_scan(const ci_comm *comm, const ci_conf *conf, ci_plan *out)
{
    ci_rc rc = CI_OK;
    const bool first = comm->rank == 0;
    ci_scan_state s = {.comm = comm, .conf = conf};

    CI_TRY_ALL(comm, "scan.contract", ci_contract_read(conf, &s.contract));
    memcpy(s.policy, s.contract.policy, sizeof s.policy);
    s.max_share = s.contract.max_share;
    CI_TRY(ci_scan_survey(&s, NULL));
    if (s.refused) CI_TRY_ALL(comm, "scan.reject", first ? rejects_fail(&s) : CI_OK);
    CI_TRY_ALL(comm, "scan.injected", first ? ci_csv_injected_bases(conf, &s.plan) : CI_OK);
    CI_TRY_ALL(comm, "scan.publish", first ? publish(&s) : CI_OK);
    *out = s.plan;
    s.plan = (ci_plan){0};
done:
    ci_scan_state_release(&s);
    return rc;
}
