/* Dialects whose header says what each column is: four-column, hcrl-challenge, python-can. */
#include "csv_priv.h"
#include "ci/types.h"

/* Base64 with its padding.  Source: RFC 4648, section 4. */
static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static bool base64_read(ci_reader *r, ci_slice f, size_t most)
{
    const char *s = r->s + f.from;
    size_t n = 0, pad = 0, behind = f.n;
    unsigned v = 0;

    while (pad < 2 && pad < f.n && s[f.n - 1 - pad] == '=') pad++;
    for (size_t i = 0; i < f.n - pad; i++) {
        const int digit = base64_digit(s[i]);
        if (digit < 0) return ci_reader_pass(r, CI_KIND_PAYLOAD, f, i);
        v = (v << 6 | (unsigned)digit) & 0xffffff;
        if (i % 4 == 0) continue;
        if (n < most)
            ci_frame_byte_put(&r->frame, n++, (int)(v >> (6 - 2 * (i % 4)) & 255));
        else if (behind == f.n)
            behind = i;
    }
    r->frame.len = (uint8_t)n;
    /* Bits that no byte uses are 0, or something was cut. */
    if (f.n % 4 || (pad && v & (pad == 2 ? 15u : 3u))) return ci_reader_pass(r, CI_KIND_PAYLOAD, f, f.n);
    return behind == f.n || ci_reader_pass(r, CI_KIND_PAYLOAD_LONG, f, behind);
}

/* A column of yes and no. */
static bool flag_read(ci_reader *r, const ci_slice *field, int column, bool *out)
{
    static const char *const yes[] = {"1", "true"}, *const no[] = {"0", "false"};

    *out = false;
    if (column < 0) return true;
    for (size_t i = 0; i < CI_COUNT(yes); i++) {
        *out = ci_slice_is(r, field[column], yes[i]);
        if (*out || ci_slice_is(r, field[column], no[i])) return true;
    }
    return ci_reader_refuse(r, CI_KIND_COLUMNS, field[column], 0);
}

static bool count_check(ci_reader *r, const ci_slice *field, size_t n)
{
    const ci_slice all = {0, r->n};
    const size_t want = (size_t)r->layout->columns;
    size_t comma = r->n;

    if (n == want) return true;
    if (n < want) return ci_reader_refuse(r, CI_KIND_COLUMNS, all, r->n);
    comma = field[want - 1].from + field[want - 1].n;
    while (comma < r->n && r->s[comma] != ',') comma++;
    return ci_reader_pass(r, CI_KIND_COLUMNS, all, comma);
}

bool ci_line_columns(ci_reader *r)
{
    static const char *const benign[] = {"0", NULL}, *const attack[] = {"1", NULL},
                      *const class_benign[] = {"normal", "0", NULL},
                      *const class_attack[] = {"attack", "1", NULL};
    const ci_layout *l = r->layout;
    const bool base64 = l->dialect == CI_DIALECT_PYTHON_CAN, class = l->dialect == CI_DIALECT_HCRL_CHALLENGE;
    const size_t most = base64 ? 64 : 8;
    ci_slice field[CI_LAYOUT_COLUMNS] = {{0}};
    const size_t n = ci_reader_split(r, field, CI_LAYOUT_COLUMNS);
    bool extended, remote, error;
    int dlc = -1;

    if (!count_check(r, field, n)) return false;
    if (!ci_reader_time(r, field[l->time])) return false;
    if (!flag_read(r, field, l->extended, &extended) || !flag_read(r, field, l->remote, &remote)
        || !flag_read(r, field, l->error, &error))
        return false;
    if (error) r->frame.flags |= CI_FRAME_ERROR;
    if (remote) r->frame.flags |= CI_FRAME_REMOTE;
    if (!ci_reader_id(r, field[l->id], extended || error)) return false; /* classes of errors have 29 bits */
    if (!(base64 ? base64_read : ci_reader_hex)(r, field[l->payload], most)) return false;
    if (l->dlc >= 0) {
        if (!ci_reader_length(r, field[l->dlc], remote ? 8 : (int)most, &dlc)) return false;
        if (remote && r->frame.len == 0)
            r->frame.dlc = (uint8_t)CI_MAX(dlc, 0);
        else if (!ci_reader_dlc(r, dlc, field[l->dlc]))
            return false;
    }
    if (l->label >= 0
        && !ci_reader_label(r, field[l->label], class ? class_benign : benign,
                            class ? class_attack : attack))
        return false;
    return ci_reader_special(r);
}
