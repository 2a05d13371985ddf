/** What an unknown key may have meant. */
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

enum { LEN = 64 }; /* longer keys are compared by their first characters */

/* Edit distance where a swap of neighbours counts as one (optimal string alignment). */
static int distance(const char *a, const char *b)
{
    const int n = (int)strnlen(a, LEN), m = (int)strnlen(b, LEN);
    int d[LEN + 1][LEN + 1];

    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = CI_MIN(best, CI_MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = CI_MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    return d[n][m];
}

static const char *leaf(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

/* A right name in the wrong section is one mistake, however far the sections are apart. */
static int mistakes(const char *path, const char *key)
{
    const int d = distance(path, key);
    return strcmp(leaf(path), leaf(key)) == 0 ? CI_MIN(d, 1) : d;
}

/* The section of row i, when it is the first row of that section. */
static bool section_of(int i, char out[LEN])
{
    const char *key = ci_settings[i].key, *dot = strchr(key, '.');
    if (!dot) return false;
    const size_t n = (size_t)(dot - key);
    if (i > 0 && strncmp(ci_settings[i - 1].key, key, n + 1) == 0) return false;
    memcpy(out, key, n);
    out[n] = 0;
    return true;
}

const char *ci_setting_nearest(const char *path, bool *out_close)
{
    static char section[LEN];
    const char *best = ci_settings[0].key;
    int least = LEN;

    for (int i = 0; i < ci_n_setting; i++) {
        char name[LEN];
        const int d = mistakes(path, ci_settings[i].key);
        if (d < least) {
            least = d;
            best = ci_settings[i].key;
        }
        if (!strchr(path, '.') && section_of(i, name) && distance(path, name) < least) {
            least = distance(path, name);
            best = strcpy(section, name);
        }
    }
    *out_close = least <= CI_MAX(2, (int)strnlen(path, LEN) / 3);
    return best;
}
