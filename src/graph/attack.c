#define _GNU_SOURCE /* strcasestr */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ci/attack.h"
#include "ci/commit.h"
#include "ci/types.h"

/* reference-system.md 1.7, and behind them the simulator's: the first name that occurs decides, so
   their order matters. */
static const struct {
    const char *part;
    int32_t type;
} parts[] = {
    {"normal", 0},      {"attack_free", 0},   {"benign", 0},      {"dos", 1},
    {"fuzzy", 2},       {"fuzzing", 2},       {"force-neutral", 3}, {"gear", 3},
    {"rpm-accessory", 12}, {"rpm", 4},        {"flooding", 5},    {"malfunction", 6},
    {"double", 7},      {"triple", 8},        {"interval", 9},    {"speed-accessory", 11},
    {"speed", 10},      {"standstill", 13},   {"systematic", 14}, {"suppress", 15},
    {"masquerade_timed", 20}, {"masquerade", 16}, {"replay", 17}, {"diagnostic", 18}, {"correlated", 21},
    {"mixed", 19},
};

static const char *const names[] = {
    "none",     "dos",    "fuzzing",  "gear",  "rpm",             "flooding",
    "malfunction", "double", "triple", "interval", "speed",       "speed_accessory",
    "rpm_accessory", "standstill", "systematic", "suppress", "masquerade",
    "replay",   "diagnostic", "mixed", "masquerade_timed", "correlated",
};

int32_t ci_attack_type(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *stem = slash ? slash + 1 : path;
    const char *dot = strrchr(stem, '.');
    const int n_stem = (int)(dot ? dot - stem : (long)strlen(stem));
    const int n_folder = slash ? (int)(slash - path) : 0;
    char text[2 * CI_PATH_MAX + 2];

    snprintf(text, sizeof text, "%.*s %.*s", n_stem, stem, n_folder, path);
    for (size_t i = 0; i < CI_COUNT(parts); i++)
        if (strcasestr(text, parts[i].part)) return parts[i].type;
    return 0;
}

const char *ci_attack_name(int32_t type)
{
    return type >= 0 && type < (int32_t)CI_COUNT(names) ? names[type] : "unknown";
}
