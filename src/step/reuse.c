/* Captures whose bytes did not change keep their graphs: which ones, and under what settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "build_priv.h"
#include "ci/arena.h"
#include "ci/json.h"
#include "ci/log.h"

/* Captures of the previous store by hash. */
struct earlier {
    const char *hash;
    int32_t number;
};

static int by_hash(const void *a, const void *b)
{
    const struct earlier *x = a, *y = b;
    const int c = strcmp(x->hash, y->hash);

    return c ? c : x->number - y->number;
}

static int find_hash(const void *hash, const void *known)
{
    return strcmp(hash, ((const struct earlier *)known)->hash);
}

/* Equal bytes give equal rows only where they are read alike, so what was counted is held against it too. */
static bool same(const ci_store *st, int32_t number, const ci_capture *c)
{
    const ci_store_capture *was = &st->head.capture[number];
    const int64_t end = was->first_graph + was->n_graph;
    int64_t attacks = 0;

    for (int64_t g = was->first_graph; g < end; g++) attacks += st->graph_label[g];
    return was->rows == c->count.rows && was->n_graph == c->count.graphs && attacks == c->count.attack_graphs &&
           st->graph_node[end] - st->graph_node[was->first_graph] == c->count.nodes &&
           st->graph_edge[end] - st->graph_edge[was->first_graph] == c->count.edges;
}

/* A capture's name decides which profile it is held against. */
static bool same_profile(const ci_conf *conf, const ci_store_head *h, int32_t number, const ci_capture *c)
{
    return ci_past_of(h->past) != CI_PAST_PROFILE || ci_conf_vehicle(conf, h->capture[number].path) == ci_conf_vehicle(conf, c->path);
}

static ci_rc match(const ci_conf *conf, const ci_plan *p, const ci_store *st, struct reuse *r)
{
    ci_rc rc = CI_OK;
    const int32_t n = st->head.n_capture;
    struct earlier *known = ci_new((size_t)n, sizeof *known);
    char hash[CI_XXH_HEX];

    if (!known) CI_FAIL(CI_ENOMEM, "%d captures", n);
    for (int32_t i = 0; i < n; i++) known[i] = (struct earlier){st->head.capture[i].hash, i};
    qsort(known, (size_t)n, sizeof *known, by_hash);
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        const struct earlier *k;
        ci_xxh_hex(c->hash, hash);
        k = r->skip[i] ? NULL : bsearch(hash, known, (size_t)n, sizeof *known, find_hash);
        if (!k || !same(st, k->number, c) || !same_profile(conf, &st->head, k->number, c)) continue;
        r->was[i] = k->number;
        r->skip[i] = true;
        r->captures++;
        r->graphs += c->count.graphs;
    }
done:
    free(known);
    return rc;
}

ci_rc reuse_find(const ci_conf *conf, const ci_plan *p, const ci_store_head *h, const ci_store *previous, struct reuse *out)
{
    ci_rc rc = CI_OK;
    struct reuse r = {.was = ci_new((size_t)p->n_capture, sizeof *r.was), .skip = ci_new((size_t)p->n_capture, sizeof *r.skip),
                      .number = ci_new((size_t)p->n_capture, sizeof *r.number)};
    int32_t stored = 0;

    if (!r.was || !r.skip || !r.number) CI_FAIL(CI_ENOMEM, "%d captures", p->n_capture);
    for (int32_t i = 0; i < p->n_capture; i++) {
        r.was[i] = -1;
        r.number[i] = stored; /* the used ones are stored: what is left when the others go */
        stored += ci_capture_used(&p->capture[i]);
        r.skip[i] = !ci_capture_used(&p->capture[i]) || p->capture[i].count.graphs == 0;
    }
    if (previous && !ci_store_alike(&previous->head, h))
        ci_log(CI_INFO, "the previous store has other windows, features or columns: nothing of it is used");
    else if (previous)
        CI_TRY(match(conf, p, previous, &r));
    r.from = r.captures ? previous : NULL;
    if (r.from)
        ci_log(CI_INFO, "%d of %d captures, %lld of %lld graphs, are taken over from the previous store", r.captures, h->n_capture,
               (long long)r.graphs, (long long)h->n_graph);
    *out = r;
    r = (struct reuse){0};
done:
    reuse_release(&r);
    return rc;
}

void reuse_release(struct reuse *r)
{
    free(r->was);
    free(r->skip);
    free(r->number);
    *r = (struct reuse){0};
}

/* Settings that decide what the bytes of a capture mean: those of the data and its contract, but not where the
 * captures are, what each is used for, how they are cut, and when all of them are refused; of streamed sets also what they know
 * of the past. */
static ci_rc reading(const ci_conf *conf, const ci_store_head *h, char out[CI_SHA256_HEX])
{
    static const char *const prefix[] = {"data.", "contract."};
    ci_rc rc = CI_OK;
    const ci_feature_set *set = ci_feature_set_of(conf->features.set, conf->features.past);
    ci_conf c = *conf;
    struct known k = {0};
    char text[2 * CI_SHA256_HEX];

    memset(c.data.root, 0, sizeof c.data.root);
    memset(c.data.set, 0, sizeof c.data.set);
    memset(&c.data.train, 0, sizeof c.data.train);
    memset(&c.data.test, 0, sizeof c.data.test);
    memset(&c.data.attack_free, 0, sizeof c.data.attack_free);
    memset(c.data.injected, 0, sizeof c.data.injected);
    if (!set || !set->stream || ci_past_of(conf->features.past) != CI_PAST_PROFILE) memset(&c.data.vehicles, 0, sizeof c.data.vehicles);
    c.data.expand_max = c.data.block = 0;
    c.contract.max_share = 0;
    ci_conf_hash(&c, prefix, CI_COUNT(prefix), out);
    if (!set || !set->stream) goto done;
    CI_TRY(known_of_head(conf, h, &k));
    snprintf(text, sizeof text, "%s\n%s", out, k.settings);
    ci_sha256_of(text, strlen(text), out);
done:
    known_release(&k);
    return rc;
}

bool reuse_reads_same(const ci_conf *conf, const ci_store_head *h, const char *store_sha)
{
    ci_json *j = NULL;
    char path[CI_PATH_MAX], now[CI_SHA256_HEX];
    const char *was, *of;
    bool good = false;

    if (reading(conf, h, now) == CI_OK && ci_path_join(path, conf->run.dir, "build.json") == CI_OK && ci_commit_check(path, NULL) == CI_OK &&
        ci_json_load(path, &j) == CI_OK) {
        was = ci_json_get_str(j, "reading_sha256");
        of = ci_json_get_str(j, "store_tree_sha256");
        good = was && of && now[0] && strcmp(was, now) == 0 && strcmp(of, store_sha) == 0 &&
               ci_json_get_int(j, "reading_version") == CI_PLAN_READING;
    }
    ci_json_free(&j);
    return good;
}

ci_rc reuse_record(const ci_conf *conf, const struct reuse *r, const ci_store_head *h, int64_t dropped, const char *store_sha)
{
    ci_rc rc = CI_OK;
    ci_json *j = ci_json_object();
    char path[CI_PATH_MAX], digest[CI_SHA256_HEX], *text = NULL;

    CI_TRY(reading(conf, h, digest));
    ci_json_str(j, "store_tree_sha256", store_sha);
    ci_json_str(j, "reading_sha256", digest);
    ci_json_int(j, "reading_version", CI_PLAN_READING);
    ci_json_int(j, "captures", h->n_capture);
    if (r) ci_json_int(j, "captures_taken_over", r->captures);
    ci_json_int(j, "graphs", h->n_graph);
    if (r) ci_json_int(j, "graphs_taken_over", r->graphs);
    if (dropped >= 0) ci_json_int(j, "frames_dropped", dropped);
    CI_TRY(ci_path_join(path, conf->run.dir, "build.json"));
    text = ci_json_text(j, true);
    if (!text) CI_FAIL(CI_ENOMEM, "%s", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    free(text);
    ci_json_free(&j);
    return rc;
}

ci_rc ci_build_recorded(const ci_conf *conf, const ci_store_head *h, const char *store_sha)
{
    return reuse_reads_same(conf, h, store_sha) ? CI_OK : reuse_record(conf, NULL, h, -1, store_sha);
}
