/* Dialects with a column for each byte of the payload: hcrl and gvret. */
#include "csv_priv.h"
#include "ci/types.h"

enum { FIELDS_MAX = CI_LAYOUT_COLUMNS + 64 };

/* Fields first .. end - 1, without empty ones at the end, are bytes. */
static bool bytes_read(ci_reader *r, const ci_slice *field, size_t first, size_t end, size_t most)
{
    size_t n = 0;

    while (end > first && field[end - 1].n == 0) end--;
    for (size_t i = first; i < end && n < most; i++, n++)
        if (!ci_reader_byte(r, field[i], n)) return false;
    r->frame.len = (uint8_t)n;
    return end - first <= most
           || ci_reader_pass(r, CI_KIND_PAYLOAD_LONG, (ci_slice){0, r->n}, field[first + most].from);
}

static bool too_few(ci_reader *r)
{
    return ci_reader_refuse(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, r->n);
}

bool ci_line_hcrl(ci_reader *r)
{
    static const char *const benign[] = {"R", "0", NULL}, *const attack[] = {"T", "1", NULL};
    const size_t labelled = (size_t)r->layout->labelled;
    ci_slice field[FIELDS_MAX] = {{0}};
    const size_t n = ci_reader_split(r, field, FIELDS_MAX);
    int dlc = -1;

    if (n < 3 + labelled) return too_few(r);
    if (n > FIELDS_MAX) return ci_reader_refuse(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, 0);
    if (!ci_reader_time(r, field[0]) || !ci_reader_id(r, field[1], false)) return false;
    if (!ci_reader_length(r, field[2], 8, &dlc)) return false;
    /* Where the flag stands follows from the length: a row without one must not lose a byte to it. */
    if (labelled && dlc >= 0 && n == 3 + (size_t)dlc && field[n - 1].n == 2)
        return ci_reader_refuse(r, CI_KIND_LABEL, (ci_slice){r->n, 0}, 0);
    if (!bytes_read(r, field, 3, n - labelled, 8)) return false;
    if (!ci_reader_dlc(r, dlc, field[2])) return false;
    if (labelled && !ci_reader_label(r, field[n - 1], benign, attack)) return false;
    return ci_reader_special(r);
}

/* Bytes behind the length are filling, and 0. */
static bool filling_drop(ci_reader *r, int dlc)
{
    ci_frame *f = &r->frame;

    if (dlc < 0 || f->len <= dlc) return true;
    for (int k = dlc; k < f->len; k++)
        if (k < 8 ? f->data >> 8 * k & 255 : f->more[k - 8]) return true; /* no filling */
    f->len = (uint8_t)dlc;
    return true;
}

bool ci_line_gvret(ci_reader *r)
{
    const ci_layout *l = r->layout;
    ci_slice field[FIELDS_MAX] = {{0}};
    const size_t n = ci_reader_split(r, field, FIELDS_MAX), first = (size_t)l->payload;
    bool extended;
    int dlc = -1;

    if (n < first) return too_few(r);
    if (n > FIELDS_MAX) return ci_reader_refuse(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, 0);
    if (!ci_reader_time(r, field[l->time])) return false;
    extended = ci_slice_is(r, field[l->extended], "true") || ci_slice_is(r, field[l->extended], "1");
    if (!extended && !ci_slice_is(r, field[l->extended], "false")
        && !ci_slice_is(r, field[l->extended], "0"))
        return ci_reader_refuse(r, CI_KIND_COLUMNS, field[l->extended], 0);
    if (!ci_reader_id(r, field[l->id], extended)) return false;
    if (l->dir >= 0 && ci_slice_is(r, field[l->dir], "Tx")) r->frame.flags |= CI_FRAME_SENT;
    if (!ci_reader_length(r, field[l->dlc], 64, &dlc)) return false;
    return bytes_read(r, field, first, n, 64) && filling_drop(r, dlc)
           && ci_reader_dlc(r, dlc, field[l->dlc]) && ci_reader_special(r);
}
