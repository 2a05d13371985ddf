#include <stdio.h>
#include <stdlib.h>
#include "ci/arena.h"
#include "sim_priv.h"

const char *const ci_sim_folder[6] = {
    "train_01_attack_free", "train_02_with_attacks",
    "test_01_known_vehicle_known_attack", "test_02_unknown_vehicle_known_attack",
    "test_03_known_vehicle_unknown_attack", "test_04_unknown_vehicle_unknown_attack",
};

const char *ci_sim_attack_name(attack a)
{
    static const char *const name[ATTACK_COUNT] = {"none", "DoS", "fuzzing", "malfunction"};

    return name[a];
}

void ci_sim_vehicle_name(int32_t car, char out[16])
{
    if (car < 26) snprintf(out, 16, "car%c", 'A' + car);
    else snprintf(out, 16, "car%d", car + 1);
}

struct plan { recording *r; int32_t n; };

static void add(struct plan *p, int folder, attack a, int32_t car, int32_t capture)
{
    recording *r = &p->r[p->n++];
    char name[16];

    ci_sim_vehicle_name(car, name);
    *r = (recording){.vehicle = car, .capture = capture, .attack = a};
    snprintf(r->path, sizeof r->path, "%s/%s-%s.csv", ci_sim_folder[folder],
             a == ATTACK_NONE ? "attack-free" : ci_sim_attack_name(a), name);
}

ci_rc ci_sim_plan(const ci_conf *conf, recording **out, int32_t *out_n)
{
    const int32_t known = conf->sim.vehicles - 1;
    struct plan p = {ci_new((size_t)conf->sim.vehicles * 7, sizeof *p.r), 0};
    int32_t capture = known; /* 1 .. known are the attack-free ones */

    if (!p.r) return ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d vehicles", conf->sim.vehicles);
    for (int32_t v = 0; v < known; v++) add(&p, 0, ATTACK_NONE, v, v + 1);
    for (int32_t v = 0; v < known; v++) add(&p, 1, ATTACK_NONE, v, v + 1);
    for (int32_t v = 0; v < known; v++) {
        const bool even = v % 2 == 0;

        if (even || known == 1) add(&p, 1, ATTACK_FLOOD, v, ++capture);
        if (!even || known == 1) add(&p, 1, ATTACK_FUZZ, v, ++capture);
        if (!even || known == 1) add(&p, 2, ATTACK_FLOOD, v, ++capture);
        if (even || known == 1) add(&p, 2, ATTACK_FUZZ, v, ++capture);
        add(&p, 4, ATTACK_SPOOF, v, ++capture);
    }
    add(&p, 3, ATTACK_FLOOD, known, ++capture);
    add(&p, 3, ATTACK_FUZZ, known, ++capture);
    add(&p, 5, ATTACK_SPOOF, known, ++capture);
    *out = p.r;
    *out_n = p.n;
    return CI_OK;
}
