/* Memory: limits of control groups, of the machine, and what is used. */
#include "ci/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/commit.h"
#include "ci/types.h"

/* The number in a file of one line; 0 when there is none ("max", or no file). */
static int64_t number_in(const char *path)
{
    FILE *f = fopen(path, "re");
    long long n = 0;

    if (!f) return 0;
    if (fscanf(f, "%lld", &n) != 1 || n < 0) n = 0;
    fclose(f);
    return n;
}

/* "no limit" is the word max in version 2, a number near 2^63 in version 1. */
static int64_t least(int64_t a, int64_t b)
{
    const int64_t none = (int64_t)1 << 60;

    if (b <= 0 || b >= none) return a;
    return a == 0 ? b : CI_MIN(a, b);
}

/* A group is held to its own limit and to those of all groups above it.  In a container the path may be one of
 * the host, which is not there: what counts is then the top, which the container sees as its own. */
static int64_t of_group(const char *top, char *group, const char *file)
{
    char path[2 * CI_PATH_MAX];
    int64_t limit = 0;

    for (;;) {
        char *slash;
        snprintf(path, sizeof path, "%s%s/%s", top, strcmp(group, "/") == 0 ? "" : group, file);
        limit = least(limit, number_in(path));
        slash = strrchr(group, '/');
        if (!slash || !*group) return limit;
        *slash = 0;
    }
}

/* Is it in the list, "cpu,memory"? */
static int listed(const char *list, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == 0 || at[n] == ',')) return 1;
    return 0;
}

static int64_t of_groups(const char *proc, const char *groups)
{
    char line[CI_PATH_MAX + 64], path[CI_PATH_MAX], top[CI_PATH_MAX];
    int64_t limit = 0;
    FILE *f;

    if (ci_path_join(path, proc, "self/cgroup") != CI_OK || !(f = fopen(path, "re"))) return 0;
    while (fgets(line, sizeof line, f)) { /* number:controllers:/path */
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        *list++ = *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        if (!*list) limit = least(limit, of_group(groups, group, "memory.max"));
        else if (listed(list, "memory") && ci_path_join(top, groups, "memory") == CI_OK)
            limit = least(limit, of_group(top, group, "memory.limit_in_bytes"));
    }
    fclose(f);
    return limit;
}

/* The number behind `key` in a file of lines "key:   number kB", in bytes. */
static int64_t kib_in(const char *path, const char *key)
{
    char line[256];
    int64_t bytes = 0;
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') bytes = 1024 * strtoll(line + strlen(key) + 1, NULL, 10);
    if (f) fclose(f);
    return bytes;
}

int64_t ci_memory_limit(const char *proc, const char *groups)
{
    char path[CI_PATH_MAX];
    const int64_t machine = ci_path_join(path, proc, "meminfo") == CI_OK ? kib_in(path, "MemTotal") : 0;

    return least(machine, of_groups(proc, groups));
}

int64_t ci_memory_now(const char *proc)
{
    char path[CI_PATH_MAX];

    if (ci_path_join(path, proc, "self/status") != CI_OK) return 0;
    return kib_in(path, "RssAnon") + kib_in(path, "RssShmem");
}

void ci_memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
