/* The kinds of violation, and the policy of each. */
#include "ci/contract.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *reason, *repair;
} kinds[CI_KIND_COUNT] = {
    [CI_KIND_NONE] = {"nothing is wrong", NULL},
    [CI_KIND_EMPTY_FILE] = {"the file is empty", "a capture without rows"},
    [CI_KIND_HEADER] = {"the first line is not timestamp,arbitration_id,data_field,attack", NULL},
    [CI_KIND_NO_LABEL] = {"no attack column, and the folder is not in data.attack_free",
                          "every row is labelled 0"},
    [CI_KIND_NO_ROWS] = {"the file has no rows", "a capture without rows"},
    [CI_KIND_LONG_LINE] = {"the line is longer than 4096 bytes", NULL},
    [CI_KIND_NUL] = {"a zero byte", NULL},
    [CI_KIND_BLANK] = {"an empty line before the end of the file", "the line is passed over"},
    [CI_KIND_COLUMNS] = {"another number of columns than the header names",
                         "columns too many are left out; a line with too few fails"},
    [CI_KIND_TIME] = {"not a decimal number of seconds, 0 or more", NULL},
    [CI_KIND_TIME_DIGITS] = {"more than 9 digits behind the point",
                             "digits behind the ninth are cut off"},
    [CI_KIND_TIME_RANGE] = {"beyond 9223372036.854775807 seconds", NULL},
    [CI_KIND_ID] = {"not a hexadecimal number", NULL},
    [CI_KIND_ID_RANGE] = {"more than 29 bits or 8 digits", NULL},
    [CI_KIND_PAYLOAD] = {"not hexadecimal", NULL},
    [CI_KIND_PAYLOAD_ODD] = {"an odd number of hexadecimal digits", "the last digit is left out"},
    [CI_KIND_PAYLOAD_LONG] = {"more than 8 bytes", "bytes behind the eighth are left out"},
    [CI_KIND_LABEL] = {"neither 0 nor 1", NULL},
    [CI_KIND_DLC] = {"the length column and the payload do not agree",
                     "the length of the payload counts"},
    [CI_KIND_FD] = {"a CAN FD frame of more than 8 bytes", "bytes behind the eighth are left out"},
    [CI_KIND_REMOTE] = {"a remote frame, which has no payload", "a frame with an empty payload"},
    [CI_KIND_ERROR_FRAME] = {"an error frame, which is no traffic", "the line is passed over"},
    [CI_KIND_DIALECT] = {"the layout of the file is none that this program reads", NULL},
};

/* Names, and where the settings have their policies: no kind can be forgotten. */
#define NAME(KIND, name, what) [CI_KIND_##KIND] = {#name, offsetof(ci_conf, contract.name)},
static const struct {
    const char *name;
    size_t at;
} settings[CI_KIND_COUNT] = {[CI_KIND_NONE] = {"none", 0}, CI_CONTRACT_KINDS(NAME)};
#define ONE(KIND, name, what) +1
_Static_assert(CI_CONTRACT_KINDS(ONE) == CI_KIND_COUNT - 1, "each kind has a setting");

const char *ci_kind_name(ci_kind k) { return settings[k].name; }

const char *ci_kind_reason(ci_kind k) { return kinds[k].reason; }

const char *ci_kind_repair(ci_kind k) { return kinds[k].repair; }

bool ci_kind_of_file(ci_kind k)
{
    return k == CI_KIND_EMPTY_FILE || k == CI_KIND_HEADER || k == CI_KIND_NO_LABEL
           || k == CI_KIND_NO_ROWS || k == CI_KIND_DIALECT;
}

const char *ci_policy_name(ci_policy p)
{
    static const char *const names[] = {"fail", "quarantine", "accept"};

    return names[p];
}

ci_contract ci_contract_strict(void) { return (ci_contract){.max_share = 0}; }

static ci_policy policy_of(const char *text)
{
    return strcmp(text, "accept") == 0       ? CI_POLICY_ACCEPT
           : strcmp(text, "quarantine") == 0 ? CI_POLICY_QUARANTINE
                                             : CI_POLICY_FAIL;
}

/* "blank, dlc, ...": the kinds that can be accepted. */
static void repairable(char *out, size_t n)
{
    size_t used = 0;

    for (int k = 1; k < CI_KIND_COUNT; k++)
        if (kinds[k].repair && used < n)
            used += (size_t)snprintf(out + used, n - used, "%s%s", used ? ", " : "",
                                     settings[k].name);
}

ci_rc ci_contract_read(const ci_conf *conf, ci_contract *out)
{
    ci_rc rc = CI_OK;
    ci_contract c = {.max_share = conf->contract.max_share};
    const ci_policy all = policy_of(conf->contract.policy);
    char list[512] = "";

    for (int k = 1; k < CI_KIND_COUNT; k++) {
        const char *text = (const char *)conf + settings[k].at;
        const bool own = text[0] && strcmp(text, "default") != 0;
        const ci_policy p = own ? policy_of(text) : all;
        if (p == CI_POLICY_ACCEPT && !kinds[k].repair && own) {
            repairable(list, sizeof list);
            CI_FAIL(CI_ECONF, "contract.%s: accept, but this cannot be repaired; fail or quarantine "
                    "it.  What can be accepted: %s", settings[k].name, list);
        }
        c.policy[k] = (uint8_t)(p == CI_POLICY_ACCEPT && !kinds[k].repair ? CI_POLICY_FAIL : p);
    }
    *out = c;
done:
    return rc;
}

uint64_t ci_contract_accepts(const ci_contract *c)
{
    uint64_t bits = 0;

    for (int k = 0; k < CI_KIND_COUNT; k++)
        if (c->policy[k] == CI_POLICY_ACCEPT) bits |= UINT64_C(1) << k;
    return bits;
}
