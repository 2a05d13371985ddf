#include "ci/rc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_message[CI_MESSAGE_MAX];

static const struct { const char *name; int exit_code; } table[CI_RC_COUNT] = {
    [CI_OK] = {"CI_OK", 0},
    [CI_EUSAGE] = {"CI_EUSAGE", 64},
    [CI_EFORMAT] = {"CI_EFORMAT", 65},
    [CI_EDATA] = {"CI_EDATA", 65},
    [CI_ENOENT] = {"CI_ENOENT", 66},
    [CI_EARG] = {"CI_EARG", 70},
    [CI_ENOMEM] = {"CI_ENOMEM", 70},
    [CI_EINTERNAL] = {"CI_EINTERNAL", 70},
    [CI_EMPI] = {"CI_EMPI", 70},
    [CI_ENUMERIC] = {"CI_ENUMERIC", 70},
    [CI_ENOTBUILT] = {"CI_ENOTBUILT", 70},
    [CI_ECREATE] = {"CI_ECREATE", 73},
    [CI_EIO] = {"CI_EIO", 74},
    [CI_EHDF5] = {"CI_EHDF5", 74},
    [CI_ETEMP] = {"CI_ETEMP", 75},
    [CI_EPERM] = {"CI_EPERM", 77},
    [CI_ECONF] = {"CI_ECONF", 78},
    [CI_EGATE] = {"CI_EGATE", 79},
};

static int known(ci_rc rc) { return (int)rc >= 0 && rc < CI_RC_COUNT; }

int ci_rc_exit(ci_rc rc) { return known(rc) ? table[rc].exit_code : 70; }

const char *ci_rc_name(ci_rc rc) { return known(rc) ? table[rc].name : "CI_?"; }

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

ci_rc ci_fail(ci_rc rc, const char *file, int line, const char *format, ...)
{
    char text[CI_MESSAGE_MAX]; /* the arguments may point into the last message */
    size_t n = 0;
    va_list ap;

    if (rc == CI_EARG || rc == CI_EINTERNAL || rc == CI_EMPI)
        n = (size_t)snprintf(text, sizeof text, "%.200s:%d: ", file_name(file), line);
    va_start(ap, format);
    vsnprintf(text + n, sizeof text - n, format, ap);
    va_end(ap);
    ci_message_set(text);
    return rc;
}

ci_rc ci_rc_errno(int err)
{
    switch (err) {
    case 0: return CI_OK;
    case ENOENT:
    case ENOTDIR: return CI_ENOENT;
    case EACCES:
    case EPERM:
    case EROFS: return CI_EPERM;
    case ENOMEM: return CI_ENOMEM;
    default: return CI_EIO;
    }
}

const char *ci_message(void) { return last_message; }

void ci_message_set(const char *message)
{
    size_t n = message ? strnlen(message, CI_MESSAGE_MAX - 1) : 0;

    if (n) memmove(last_message, message, n);
    last_message[n] = 0;
}
