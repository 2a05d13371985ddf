#define _DEFAULT_SOURCE /* strsep */
/* The program: which verb, and with which exit code it ends. */
#include <stdio.h>
#include <string.h>
#include "ci/log.h"
#include "cmd_priv.h"
#include "version.h"

const char *code_version(void)
{
    return "canids " CI_VERSION " (" CI_COMMIT ")";
}

int ended(ci_rc rc)
{
    if (rc != CI_OK) failure_say();
    return fflush(stdout) == 0 && !ferror(stdout) ? ci_rc_exit(rc) : ci_rc_exit(CI_EIO);
}

void failure_say(void)
{
    char message[CI_MESSAGE_MAX];
    char *rest = message;

    snprintf(message, sizeof message, "%s", ci_message());
    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0]) ci_log_any(CI_ERROR, "%s", line);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    const ci_rc rc = options_read(argc, argv, &o);

    if (rc != CI_OK) return ended(rc);
    if (o.version) {
        printf("%s\n", code_version());
        return ended(CI_OK);
    }
    if (o.help) {
        help_print(o.verb);
        return ended(CI_OK);
    }
    if (strcmp(o.verb, "info") == 0) return ended(verb_info(&o));
    if (strcmp(o.verb, "inspect") == 0) return ended(verb_inspect(&o));
    if (strcmp(o.verb, "export") == 0) return ended(verb_export(&o));
    if (strcmp(o.verb, "config") == 0) return ended(verb_config(&o));
    if (strcmp(o.verb, "convert") == 0) return ended(verb_convert(&o));
    if (strcmp(o.verb, "profile") == 0) return verb_profile(&argc, &argv, &o);
    return verb_job(&argc, &argv, &o);
}
