#ifndef CI_CMD_PRIV_H
#define CI_CMD_PRIV_H
/* The command line, read once. */
#include <stdbool.h>
#include <stddef.h>
#include "ci/rc.h"

enum { SET_MAX = 256 };

struct options {
    const char *verb;
    const char *file;         /* the one operand, NULL when there is none */
    const char *set[SET_MAX]; /* key.path=value */
    size_t n_set;
    bool json, resume, help, version;
};

/* \return CI_OK or CI_EUSAGE */
ci_rc options_read(int argc, char **argv, struct options *out);

ci_rc verb_info(const struct options *o);
ci_rc verb_inspect(const struct options *o);
ci_rc verb_config(const struct options *o);
int verb_job(int *argc, char ***argv, const struct options *o); /* the verbs that need ranks; returns the exit code */

/* Say the last message, a line each, and: the exit code, 74 when standard output was lost. */
void failure_say(void);
int ended(ci_rc rc);

void help_print(const char *verb);
const char *code_version(void); /* "canids 0.1.0 (commit)" */

#endif
