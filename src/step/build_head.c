/* What a store will be about, from the plan and the settings. */
#include <stdio.h>
#include <string.h>
#include "ci/arena.h"
#include "build_priv.h"
#include "ci/vocab.h"

static ci_rc ids_fill(const ci_plan *p, ci_store_head *h)
{
    ci_rc rc = CI_OK;
    ci_vocab *v = NULL;

    CI_TRY(ci_vocab_of(p->vocab, p->n_vocab, &v));
    h->id = ci_new((size_t)p->n_id, sizeof *h->id);
    h->vocab = ci_new((size_t)p->n_id, sizeof *h->vocab);
    if (!h->id || !h->vocab) CI_FAIL(CI_ENOMEM, "%d identifiers", p->n_id);
    h->n_id = p->n_id;
    h->n_vocab = p->n_vocab;
    for (int32_t i = 0; i < p->n_id; i++) {
        h->id[i] = p->id[i];
        h->vocab[i] = ci_vocab_index(v, p->id[i]);
    }
done:
    ci_vocab_destroy(&v);
    return rc;
}

static ci_rc captures_fill(const ci_plan *p, ci_store_head *h)
{
    ci_rc rc = CI_OK;

    h->folder = ci_new((size_t)p->n_folder, sizeof *h->folder);
    h->capture = ci_new((size_t)p->n_capture, sizeof *h->capture);
    if (!h->folder || !h->capture) CI_FAIL(CI_ENOMEM, "%d captures", p->n_capture);
    h->n_folder = p->n_folder;
    for (int32_t i = 0; i < p->n_folder; i++) {
        snprintf(h->folder[i].name, CI_STORE_TEXT, "%s", p->folder[i].name);
        h->folder[i].role = p->folder[i].role;
    }
    for (int32_t i = 0; i < p->n_capture; i++) {
        const ci_capture *c = &p->capture[i];
        ci_store_capture *s = &h->capture[h->n_capture];
        if (!ci_capture_used(c)) continue;
        if (c->count.graphs != ci_window_count(c->count.rows, p->rows, p->stride))
            CI_FAIL(CI_EINTERNAL, "%s: %lld windows counted in %lld rows", c->path, (long long)c->count.graphs,
                    (long long)c->count.rows);
        snprintf(s->path, CI_STORE_TEXT, "%s", c->path);
        ci_xxh_hex(c->hash, s->hash);
        s->folder = c->folder;
        s->attack = c->attack_type;
        s->rows = c->count.rows;
        s->first_graph = c->first_graph;
        s->n_graph = c->count.graphs;
        h->n_capture++;
    }
done:
    return rc;
}

void known_source(const ci_plan *p, const struct known *k, char out[CI_SHA256_HEX])
{
    char text[2 * CI_SHA256_HEX];

    ci_plan_digest(p, out);
    snprintf(text, sizeof text, "%s\n%s", out, k->all);
    ci_sha256_of(text, strlen(text), out);
}

ci_rc ci_build_source(const ci_plan *p, const ci_conf *conf, char out[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    const ci_feature_set *set = ci_feature_set_of(conf->features.set, conf->features.past);
    struct known k = {0};

    ci_plan_digest(p, out);
    if (!set || !set->stream) goto done;
    CI_TRY(known_of_plan(conf, p, &k));
    known_source(p, &k, out);
done:
    known_release(&k);
    return rc;
}

ci_rc ci_build_head(const ci_plan *p, const ci_conf *conf, ci_store_head *out)
{
    ci_rc rc = CI_OK;
    const ci_feature_set *set = ci_feature_set_of(conf->features.set, conf->features.past);
    ci_store_head h = {.frames = p->frames, .stride = p->stride, .n_graph = p->graphs, .n_node = p->nodes,
                       .n_edge = p->edges};

    if (!set) CI_FAIL(CI_ECONF, "features.set: \"%s\" is unknown", conf->features.set);
    if (p->graphs == 0)
        CI_FAIL(CI_ECONF, "window.frames: no capture has %d frames: no graph can be built", p->rows);
    snprintf(h.set, sizeof h.set, "%s", set->name);
    if (set->stream) snprintf(h.past, sizeof h.past, "%.15s", conf->features.past);
    h.simulated = p->simulated;
    h.compat = strcmp(conf->features.compat, "reference") == 0;
    CI_TRY(ci_store_layout_of(conf->store.layout, set, &h.layout));
    CI_TRY(ci_build_source(p, conf, h.source));
    CI_TRY(captures_fill(p, &h));
    for (int32_t i = 0; i < h.n_capture; i++) h.n_frame += h.capture[i].n_graph ? h.capture[i].rows : 0;
    CI_TRY(ids_fill(p, &h));
    *out = h;
    h = (ci_store_head){0};
done:
    ci_store_head_release(&h);
    return rc;
}
