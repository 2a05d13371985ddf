#ifndef CI_CMD_PRIV_H
#define CI_CMD_PRIV_H
/* The command line, read once. */
#include <stdbool.h>
#include <stddef.h>
#include "ci/json.h"
#include "ci/comm.h"
#include "ci/conf.h"
#include "ci/hash.h"
#include "ci/log.h"
#include "ci/rc.h"

enum { SET_MAX = 256, FILES_MAX = 1024 };

struct options {
    const char *verb;
    const char *file;         /* the one operand, the first of several, NULL when there is none */
    const char *files[FILES_MAX];
    size_t n_file;
    const char *set[SET_MAX]; /* key.path=value */
    size_t n_set;
    const char *to, *out;     /* convert: dialect, file; export: npy or csv, its folder; profile: out, its file */
    const char *format;       /* dialect of the captures; also in set, as data.format */
    bool json, resume, help, version, features;
};

/* \return CI_OK or CI_EUSAGE */
ci_rc options_read(int argc, char **argv, struct options *out);

ci_rc verb_info(const struct options *o);
ci_rc verb_inspect(const struct options *o);
ci_rc verb_config(const struct options *o);
ci_rc verb_convert(const struct options *o);

/* Devices that this process sees, without taking one: "devices", and in "device" a line of them, or of what is missing.  True: there are some. */
bool device_put(ci_json *j);

/* doctor.c: what is looked at beside the settings. */
struct doctor {
    char only[256]; /* one file of the folder; "": all of them */
    bool loose;     /* captures that somebody looks at, no set to train with */
};
bool doctor_of_data(const struct options *o); /* is the operand data, not a file of settings? */
/* Point the settings to the operand, where it is data.  Rank 0. */
ci_rc doctor_settings(const struct options *o, ci_conf *c, struct doctor *out);
/* Collective; rank 0 prints. */
ci_rc doctor_run(const ci_comm *comm, const ci_conf *conf, const struct options *o, const struct doctor *d, bool *out_stops);

ci_rc verb_export(const struct options *o);
/* What the verbs that need ranks share: how much is logged; deadline, trace and injections; the end of a failure that all
 * ranks know of. */
ci_level job_level(const char *name);
void job_comm(ci_comm *comm, const ci_conf *c);
void job_give_up(const ci_comm *comm, ci_rc rc) __attribute__((noreturn));

ci_rc profile_complete(const struct options *o); /* CI_OK or CI_EUSAGE */
int verb_profile(int *argc, char ***argv, const struct options *o);
int verb_job(int *argc, char ***argv, const struct options *o); /* the verbs that need ranks; returns the exit code */

/* Against its record when there is one; a copy without a record is read all the same, and its identity is "". */
ci_rc file_check(const char *path, char identity[CI_SHA256_HEX]);

/* Do it in a child that may crash, and end the process as the child ended; returns only when it crashed. */
ci_rc in_child(const struct options *o, ci_rc (*work)(const struct options *));

/* Say the last message, a line each, and: the exit code, 74 when standard output was lost. */
void failure_say(void);
int ended(ci_rc rc);

void help_print(const char *verb);
const char *code_version(void); /* "canids 0.1.0 (commit)" */

#endif
