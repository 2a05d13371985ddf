#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "sim_priv.h"

const char *const ci_sim_folder[6] = {
    "train_01_attack_free", CI_SIM_INJECTED,
    "test_01_known_vehicle_known_attack", "test_02_unknown_vehicle_known_attack",
    "test_03_known_vehicle_unknown_attack", "test_04_unknown_vehicle_unknown_attack",
};

ci_rc ci_sim_set(const ci_conf *conf, char out[CI_PATH_MAX])
{
    if (!conf->data.injected[0]) return ci_path_join(out, conf->data.root, conf->data.set);
    snprintf(out, CI_PATH_MAX, "%s", conf->data.injected);
    return CI_OK;
}

const char *ci_sim_attack_name(attack a)
{
    static const char *const name[ATTACK_COUNT + 1] = {
        "none", "DoS", "fuzzing", "systematic", "malfunction", "malfunction_random", "malfunction_constant",
        "malfunction_replayed", "malfunction_altered", "malfunction_after", "replay", "suppress", "masquerade",
        "masquerade_timed", "correlated", "diagnostic", "mixed"};

    return name[a];
}

void ci_sim_vehicle_name(int32_t car, char out[16])
{
    if (car < 26) snprintf(out, 16, "car%c", 'A' + car);
    else snprintf(out, 16, "car%d", car + 1);
}

static attack attack_named(const char *name, size_t n)
{
    for (int a = ATTACK_NONE + 1; a < ATTACK_COUNT; a++)
        if (strlen(ci_sim_attack_name(a)) == n && !strncmp(ci_sim_attack_name(a), name, n)) return (attack)a;
    return ATTACK_NONE;
}

static ci_rc no_attack(const char *setting, const char *name, size_t n)
{
    char all[512] = "";

    for (int a = ATTACK_NONE + 1; a < ATTACK_COUNT; a++) {
        if (a > ATTACK_NONE + 1) strcat(all, ", ");
        strcat(all, ci_sim_attack_name(a));
    }
    return ci_fail(CI_ECONF, __FILE__, __LINE__, "%s: \"%.*s\" is no attack; write some of %s", setting, (int)n, name, all);
}

ci_rc ci_sim_attacks(const char *setting, const char *list, attack out[ATTACK_COUNT], int *out_n)
{
    ci_rc rc = CI_OK;
    int n = 0;

    for (const char *p = list; *p;) {
        const size_t len = strcspn(p, ", ");
        const attack a = attack_named(p, len);

        if (a == ATTACK_NONE) CI_TRY(no_attack(setting, p, len));
        for (int k = 0; k < n; k++)
            if (out[k] == a) CI_FAIL(CI_ECONF, "%s: %s stands there twice", setting, ci_sim_attack_name(a));
        out[n++] = a;
        p += len;
        p += strspn(p, ", ");
    }
    if (n == 0) CI_TRY(no_attack(setting, "", 0));
    *out_n = n;
done:
    return rc;
}

struct plan {
    recording *r;
    int32_t n, parts;
    int64_t part_us;
};

static void add(struct plan *p, int folder, attack a, int32_t car, int32_t capture)
{
    char name[16], part[16] = "";

    ci_sim_vehicle_name(car, name);
    for (int32_t k = 0; k < p->parts; k++) {
        recording *r = &p->r[p->n++];

        *r = (recording){.vehicle = car, .capture = capture, .attack = a, .track = (capture - 1) * p->parts + k,
                         .from_us = k * p->part_us, .to_us = k == p->parts - 1 ? INT64_MAX : (k + 1) * p->part_us};
        if (p->parts > 1) snprintf(part, sizeof part, "-%04d", k + 1);
        snprintf(r->path, sizeof r->path, "%s/%s-%s%s.csv", ci_sim_folder[folder],
                 a == ATTACK_NONE ? "attack-free" : ci_sim_attack_name(a), name, part);
    }
}

/* Attacks that training has are split: of each vehicle every other one is trained on, the others
   are tested; with one known vehicle both see all. */
static void plan_all(struct plan *p, int32_t known, const attack *seen, int n_seen, const attack *unseen,
                     int n_unseen)
{
    int32_t capture = known; /* 1 .. known are the attack-free ones */

    for (int32_t v = 0; v < known; v++) add(p, 0, ATTACK_NONE, v, v + 1);
    for (int32_t v = 0; v < known; v++) add(p, 1, ATTACK_NONE, v, v + 1);
    for (int32_t v = 0; v < known; v++) {
        for (int k = 0; k < n_seen; k++)
            if ((v + k) % 2 == 0 || known == 1) add(p, 1, seen[k], v, ++capture);
        for (int k = 0; k < n_seen; k++)
            if ((v + k) % 2 == 1 || known == 1) add(p, 2, seen[k], v, ++capture);
        for (int k = 0; k < n_unseen; k++) add(p, 4, unseen[k], v, ++capture);
    }
    for (int k = 0; k < n_seen; k++) add(p, 3, seen[k], known, ++capture);
    for (int k = 0; k < n_unseen; k++) add(p, 5, unseen[k], known, ++capture);
}

static ci_rc parts_of(const ci_conf *conf, struct plan *out)
{
    ci_rc rc = CI_OK;
    const double all = conf->sim.seconds, part = conf->sim.file_seconds;

    out->parts = 1;
    if (part == 0 || part >= all) return CI_OK;
    if (conf->sim.rows) CI_FAIL(CI_ECONF, "sim.file_seconds: %g; with sim.rows a capture is one file", part);
    out->part_us = (int64_t)(part * 1e6);
    if (all / part > 9999) CI_FAIL(CI_ECONF, "sim.file_seconds: %g cuts a capture into more than 9999 files", part);
    out->parts = (int32_t)(((int64_t)(all * 1e6) + out->part_us - 1) / out->part_us);
done:
    return rc;
}

ci_rc ci_sim_plan(const ci_conf *conf, recording **out, int32_t *out_n)
{
    ci_rc rc = CI_OK;
    const int32_t known = conf->sim.vehicles - 1;
    attack seen[ATTACK_COUNT], unseen[ATTACK_COUNT];
    int n_seen = 0, n_unseen = 0;
    struct plan p = {0};

    CI_TRY(ci_sim_attacks("sim.known", conf->sim.known, seen, &n_seen));
    CI_TRY(ci_sim_attacks("sim.unknown", conf->sim.unknown, unseen, &n_unseen));
    for (int k = 0; k < n_seen * n_unseen; k++)
        if (seen[k % n_seen] == unseen[k / n_seen])
            CI_FAIL(CI_ECONF, "sim.unknown: %s is in sim.known too; an attack is either in training or it is not",
                    ci_sim_attack_name(seen[k % n_seen]));
    for (int k = 0; k < n_seen + n_unseen; k++)
        if ((k < n_seen ? seen[k] : unseen[k - n_seen]) == ATTACK_CORRELATED && conf->sim.ids_min <= SLOT_SPEED)
            CI_FAIL(CI_ECONF, "sim.ids_min: %d; correlated takes wheels and a speed of their own, and so %d identifiers",
                    conf->sim.ids_min, SLOT_SPEED + 1);
    CI_TRY(parts_of(conf, &p));
    p.r = ci_new((size_t)conf->sim.vehicles * (2 + 2 * (size_t)(n_seen + n_unseen)) * (size_t)p.parts, sizeof *p.r);
    if (!p.r) CI_FAIL(CI_ENOMEM, "%d vehicles", conf->sim.vehicles);
    plan_all(&p, known, seen, n_seen, unseen, n_unseen);
    *out = p.r;
    *out_n = p.n;
done:
    return rc;
}
