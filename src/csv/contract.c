/* The kinds of violation, and the policy of each. */
#include "ci/contract.h"

static const struct {
    const char *name, *reason, *repair;
} kinds[CI_KIND_COUNT] = {
    [CI_KIND_NONE] = {"none", "nothing is wrong", NULL},
    [CI_KIND_EMPTY_FILE] = {"empty_file", "the file is empty", NULL},
    [CI_KIND_HEADER] = {"header",
                        "the first line is not timestamp,arbitration_id,data_field,attack", NULL},
    [CI_KIND_NO_LABEL] = {"no_label",
                          "no attack column, and the folder is not in data.attack_free", NULL},
    [CI_KIND_NO_ROWS] = {"no_rows", "the file has no rows", NULL},
    [CI_KIND_LONG_LINE] = {"long_line", "the line is longer than 4096 bytes", NULL},
    [CI_KIND_NUL] = {"nul", "a zero byte", NULL},
    [CI_KIND_BLANK] = {"blank", "an empty line before the end of the file", NULL},
    [CI_KIND_COLUMNS] = {"columns", "another number of columns than the header names", NULL},
    [CI_KIND_TIME] = {"time", "not a decimal number of seconds, 0 or more", NULL},
    [CI_KIND_TIME_DIGITS] = {"time_digits", "more than 9 digits behind the point", NULL},
    [CI_KIND_TIME_RANGE] = {"time_range", "beyond 9223372036.854775807 seconds", NULL},
    [CI_KIND_ID] = {"id", "not a hexadecimal number without prefix", NULL},
    [CI_KIND_ID_RANGE] = {"id_range", "more than 29 bits or 8 digits", NULL},
    [CI_KIND_PAYLOAD] = {"payload", "not hexadecimal", NULL},
    [CI_KIND_PAYLOAD_ODD] = {"payload_odd", "an odd number of hexadecimal digits", NULL},
    [CI_KIND_PAYLOAD_LONG] = {"payload_long", "more than 8 bytes", NULL},
    [CI_KIND_LABEL] = {"label", "neither 0 nor 1", NULL},
    [CI_KIND_DLC] = {"dlc", "the length column and the payload do not agree", NULL},
    [CI_KIND_FD] = {"fd", "a CAN FD frame of more than 8 bytes", NULL},
    [CI_KIND_REMOTE] = {"remote", "a remote frame, which has no payload", NULL},
    [CI_KIND_ERROR_FRAME] = {"error_frame", "an error frame, which is no traffic", NULL},
    [CI_KIND_DIALECT] = {"dialect", "the layout of the file is none that this program reads", NULL},
};

const char *ci_kind_name(ci_kind k) { return kinds[k].name; }

const char *ci_kind_reason(ci_kind k) { return kinds[k].reason; }


const char *ci_kind_repair(ci_kind k) { return kinds[k].repair; }

ci_contract ci_contract_strict(void) { return (ci_contract){.max_share = 0}; }

ci_rc ci_contract_read(const ci_conf *conf, ci_contract *out)
{
    (void)conf; /* contract.policy can only be `fail` */
    *out = ci_contract_strict();
    return CI_OK;
}

uint64_t ci_contract_accepts(const ci_contract *c)
{
    uint64_t bits = 0;

    for (int k = 0; k < CI_KIND_COUNT; k++)
        if (c->policy[k] == CI_POLICY_ACCEPT) bits |= UINT64_C(1) << k;
    return bits;
}
