/** Where the settings that come with the program are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf_priv.h"

#ifndef CI_PREFIX
#define CI_PREFIX "/usr/local"
#endif

enum { FOLDER_MAX = 1000 };
static char found[FOLDER_MAX];

static bool holds_defaults(const char *folder)
{
    char path[FOLDER_MAX + 16];
    snprintf(path, sizeof path, "%s/defaults.yaml", folder);
    return access(path, F_OK) == 0;
}

static bool try(const char *base, const char *below)
{
    const int n = snprintf(found, sizeof found, "%s%s", base, below);
    return n > 0 && (size_t)n < sizeof found && holds_defaults(found);
}

/* A program in build/ or build/asan/ belongs to a checkout; one in bin/ to an installation. */
static bool near_program(void)
{
    char dir[FOLDER_MAX];
    const ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);

    if (n <= 0 || (size_t)n >= sizeof dir - 1) return false;
    dir[n] = 0;
    for (int up = 0; up < 6; up++) {
        char *slash = strrchr(dir, '/');
        if (!slash) return false;
        *slash = 0;
        if (try(dir, "/config") || try(dir, "/share/canids/config")) return true;
    }
    return false;
}

const char *ci_conf_folder(void)
{
    const char *told = getenv("CANIDS_CONFIG");

    if (told && *told) {
        /* What was told is used even where it holds nothing: that is then said as an error. */
        const int n = snprintf(found, sizeof found, "%s", told);
        if (n > 0 && (size_t)n < sizeof found) return found;
    }
    if (near_program() || try(CI_PREFIX, "/share/canids/config") || try("", "config"))
        return found;
    found[0] = 0;
    return found;
}
