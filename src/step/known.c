/* What streams are judged against: profiles as files, and what of the settings takes part in the identity of a store. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "build_priv.h"
#include "ci/arena.h"

static void add(ci_sha256 *s, const char *text)
{
    if (s) ci_sha256_add(s, text, strlen(text));
}

static ci_rc profile_read(const ci_conf *c, int32_t vehicle, bool folder, ci_profile **out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], name[CI_ITEM_MAX + 16], message[CI_MESSAGE_MAX];

    snprintf(path, sizeof path, "%s", c->features.profile);
    if (folder) {
        snprintf(name, sizeof name, "%s.profile", c->data.vehicles.item[vehicle]);
        CI_TRY(ci_path_join(path, c->features.profile, name));
    }
    rc = ci_profile_read(path, out);
    if (rc == CI_ENOENT) {
        snprintf(message, sizeof message, "%s", ci_message());
        CI_FAIL(CI_ENOENT, "%s (features.profile): learn it from captures without attacks, `canids profile learn SETTINGS.yaml -o %s CAPTURE ...`",
                message, path);
    }
done:
    return rc;
}

/* Which profile a capture is held against; the first one that needs it reads it. */
static ci_rc profile_of(const ci_conf *c, const char *path, bool folder, struct known *k, int32_t *out)
{
    ci_rc rc = CI_OK;
    const int32_t v = folder ? ci_conf_vehicle(c, path) : 0;

    if (v < 0)
        CI_FAIL(CI_ECONF, "%s: its name has none of data.vehicles in it, and features.profile is a folder with a profile of each: name its "
                "vehicle in data.vehicles, or set features.profile to one file", path);
    if (!k->profile[v]) CI_TRY(profile_read(c, v, folder, &k->profile[v]));
    *out = v;
done:
    return rc;
}

static ci_rc profiles_read(const ci_conf *c, const char *const *path, int32_t n, struct known *k)
{
    ci_rc rc = CI_OK;
    struct stat s;
    const bool folder = stat(c->features.profile, &s) == 0 && S_ISDIR(s.st_mode);

    if (!c->features.profile[0])
        CI_FAIL(CI_ECONF, "features.past is profile, and features.profile is empty: name the file that `canids profile learn` wrote, or a "
                "folder with <vehicle>.profile of each of data.vehicles");
    k->n = folder ? c->data.vehicles.n : 1;
    k->n_of = n;
    k->profile = ci_new((size_t)k->n, sizeof *k->profile);
    k->of = ci_new((size_t)n, sizeof *k->of);
    if (!k->profile || !k->of) CI_FAIL(CI_ENOMEM, "%d profiles of %d captures", k->n, n);
    for (int32_t i = 0; i < n; i++)
        if (path[i]) CI_TRY(profile_of(c, path[i], folder, k, &k->of[i]));
done:
    return rc;
}

/* Hash of each profile, "" of one that is not there; (k->n) to free(). */
static ci_rc hashes_of(const struct known *k, char (**out)[CI_SHA256_HEX])
{
    ci_rc rc = CI_OK;
    char (*sha)[CI_SHA256_HEX] = ci_new((size_t)k->n, sizeof *sha);

    if (!sha) CI_FAIL(CI_ENOMEM, "hashes of %d profiles", k->n);
    for (int32_t i = 0; i < k->n; i++) {
        size_t n = 0;
        void *bytes = k->profile[i] ? ci_profile_pack(k->profile[i], &n) : NULL;
        if (k->profile[i] && !bytes) CI_FAIL(CI_ENOMEM, "a profile as bytes");
        if (bytes) ci_sha256_of(bytes, n, sha[i]);
        free(bytes);
    }
    *out = sha;
    sha = NULL;
done:
    free(sha);
    return rc;
}

static ci_rc digests(const ci_conf *c, const char *const *path, struct known *k)
{
    ci_rc rc = CI_OK;
    const ci_past past = ci_past_of(c->features.past);
    const ci_feature_set *set = ci_feature_set_of(c->features.set, c->features.past);
    ci_sha256 *all = ci_sha256_begin(), *settings = ci_sha256_begin();
    char text[CI_TEXT_MAX + CI_SHA256_HEX + 64], (*sha)[CI_SHA256_HEX] = NULL;

    if (!all || !settings) CI_FAIL(CI_ENOMEM, "hashes");
    CI_TRY(hashes_of(k, &sha));
    snprintf(text, sizeof text, "%s %d past %s\n", set->name, set->version, c->features.past);
    if (past == CI_PAST_PREFIX)
        snprintf(text + strlen(text), sizeof text - strlen(text), "prefix %lld ns\n", (long long)llround(c->features.prefix_s * 1e9));
    add(all, text);
    add(settings, text);
    for (int32_t i = 0; i < k->n; i++) {
        snprintf(text, sizeof text, "profile %d %s\n", i, sha[i]);
        if (sha[i][0]) add(settings, text);
    }
    for (int32_t i = 0; i < k->n_of; i++) {
        snprintf(text, sizeof text, "%s %s\n", sha[k->of[i]], path[i] ? path[i] : "");
        if (path[i]) add(all, text);
    }
done:
    if (all) ci_sha256_end(&all, k->all);
    if (settings) ci_sha256_end(&settings, k->settings);
    free(sha);
    return rc;
}

ci_rc known_read(const ci_conf *conf, const char *const *path, int32_t n, struct known *out)
{
    ci_rc rc = CI_OK;
    struct known k = {0};

    if (ci_past_of(conf->features.past) == CI_PAST_PROFILE) CI_TRY(profiles_read(conf, path, n, &k));
    CI_TRY(digests(conf, path, &k));
    *out = k;
    k = (struct known){0};
done:
    known_release(&k);
    return rc;
}

ci_rc known_of_plan(const ci_conf *conf, const ci_plan *p, struct known *out)
{
    ci_rc rc = CI_OK;
    const char **path = ci_new((size_t)p->n_capture, sizeof *path);

    if (!path) CI_FAIL(CI_ENOMEM, "%d captures", p->n_capture);
    for (int32_t i = 0; i < p->n_capture; i++)
        if (ci_capture_used(&p->capture[i]) && p->capture[i].count.graphs > 0) path[i] = p->capture[i].path;
    CI_TRY(known_read(conf, path, p->n_capture, out));
done:
    free(path);
    return rc;
}

ci_rc known_of_head(const ci_conf *conf, const ci_store_head *h, struct known *out)
{
    ci_rc rc = CI_OK;
    const char **path = ci_new((size_t)h->n_capture, sizeof *path);

    if (!path) CI_FAIL(CI_ENOMEM, "%d captures", h->n_capture);
    for (int32_t i = 0; i < h->n_capture; i++)
        if (h->capture[i].n_graph > 0) path[i] = h->capture[i].path;
    CI_TRY(known_read(conf, path, h->n_capture, out));
done:
    free(path);
    return rc;
}

void known_release(struct known *k)
{
    for (int32_t i = 0; k->profile && i < k->n; i++) ci_profile_destroy(&k->profile[i]);
    free(k->profile);
    free(k->of);
    *k = (struct known){0};
}
