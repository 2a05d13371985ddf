/* Dialects of words: candump's log and screen forms, HCRL's text. */
#include "csv_priv.h"
#include "ci/types.h"

static const char *const benign[] = {"0", NULL}, *const attack[] = {"1", NULL};

static bool missing(ci_reader *r)
{
    return ci_reader_refuse(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, r->at);
}

/* (1436509052.249713) and what follows a blank. */
static bool time_in_parens(ci_reader *r)
{
    const ci_slice w = ci_reader_word(r);

    if (w.n < 2 || r->s[w.from] != '(') return ci_reader_pass(r, CI_KIND_TIME, w, 0);
    if (r->s[w.from + w.n - 1] != ')') return ci_reader_pass(r, CI_KIND_TIME, w, w.n);
    return ci_reader_time(r, (ci_slice){w.from + 1, w.n - 2});
}

/* ##<flags>bytes */
static bool body_fd(ci_reader *r, ci_slice f)
{
    const int flags = f.n ? ci_hex_digit(r->s[f.from]) : -1;

    r->frame.flags |= CI_FRAME_FD;
    if (flags < 0) return ci_reader_pass(r, CI_KIND_PAYLOAD, f, 0);
    if (flags & 1) r->frame.flags |= CI_FRAME_BRS;
    if (flags & 2) r->frame.flags |= CI_FRAME_ESI;
    f.from++, f.n--;
    if (!ci_reader_hex(r, f, 64)) return false;
    return ci_fd_length(r->frame.len) || ci_reader_pass(r, CI_KIND_DLC, f, f.n);
}

/* #R or #R4, perhaps with _9 to _F behind it as below */
static bool body_remote(ci_reader *r, ci_slice f)
{
    r->frame.flags |= CI_FRAME_REMOTE;
    if (f.n == 1) return true;
    if (!ci_is_digit(r->s[f.from + 1]) || r->s[f.from + 1] > '8')
        return ci_reader_pass(r, CI_KIND_DLC, f, 1);
    r->frame.dlc = (uint8_t)(r->s[f.from + 1] - '0');
    if (f.n > 2 && !(f.n == 4 && r->s[f.from + 2] == '_' && ci_hex_digit(r->s[f.from + 3]) > 8))
        return ci_reader_pass(r, CI_KIND_PAYLOAD, f, 2);
    return true;
}

/* Behind the # of a classic frame.  A length code above 8 stands behind eight bytes as _9 to _F:
 * the bytes are eight all the same. */
static bool body_read(ci_reader *r, ci_slice f)
{
    const char *s = r->s + f.from;

    if (f.n && s[0] == '#') return body_fd(r, (ci_slice){f.from + 1, f.n - 1});
    if (f.n && s[0] == 'R') return body_remote(r, f);
    if (f.n == 18 && s[16] == '_' && ci_hex_digit(s[17]) > 8) f.n = 16;
    return ci_reader_hex(r, f, 8);
}

/* What may stand behind the frame: R or T, then the label of CAN-MIRGU. */
static bool tail_read(ci_reader *r)
{
    ci_slice w = ci_reader_word(r);

    if (ci_slice_is(r, w, "R") || ci_slice_is(r, w, "T")) {
        if (r->s[w.from] == 'T') r->frame.flags |= CI_FRAME_SENT;
        w = ci_reader_word(r);
    }
    if (r->layout->labelled) {
        if (w.n == 0) return missing(r);
        if (!ci_reader_label(r, w, benign, attack)) return false;
        w = ci_reader_word(r);
    }
    return w.n == 0 || ci_reader_pass(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, w.from);
}

bool ci_line_candump(ci_reader *r)
{
    ci_slice w;
    size_t n = 0;

    if (!time_in_parens(r)) return false;
    if (ci_reader_word(r).n == 0) return missing(r);
    w = ci_reader_word(r);
    if (w.n == 0) return missing(r);
    while (n < w.n && r->s[w.from + n] != '#') n++;
    if (n == w.n) return ci_reader_refuse(r, CI_KIND_COLUMNS, (ci_slice){0, r->n}, w.from + n);
    return ci_reader_id_by_width(r, (ci_slice){w.from, n})
           && body_read(r, (ci_slice){w.from + n + 1, w.n - n - 1}) && tail_read(r)
           && ci_reader_special(r);
}

/* Words of two digits, up to the end or to the text that candump -a adds; length is checked
 * against the one that the line says. */
static bool bytes_by_words(ci_reader *r, size_t most, int dlc, ci_slice where)
{
    const bool screen = r->layout->dialect == CI_DIALECT_CANDUMP_SCREEN;
    size_t n = 0;

    for (;;) {
        const ci_slice w = ci_reader_word(r);
        if (w.n == 0 || (screen && (r->s[w.from] == '\'' || ci_slice_is(r, w, "ERRORFRAME")))) break;
        if (n == most) {
            r->frame.len = (uint8_t)n;
            if (!ci_reader_pass(r, CI_KIND_PAYLOAD_LONG, w, 0)) return false;
            break;
        }
        if (!ci_reader_byte(r, w, n++)) return false;
    }
    r->frame.len = (uint8_t)n;
    return ci_reader_dlc(r, dlc, where);
}

bool ci_line_candump_screen(ci_reader *r)
{
    ci_slice w, length;
    bool fd;
    int dlc;

    if (!time_in_parens(r)) return false;
    if (ci_reader_word(r).n == 0) return missing(r);
    w = ci_reader_word(r);
    if (ci_slice_is(r, w, "RX") || ci_slice_is(r, w, "TX")) { /* candump -x: direction, two flags */
        if (r->s[w.from] == 'T') r->frame.flags |= CI_FRAME_SENT;
        ci_reader_word(r);
        ci_reader_word(r);
        w = ci_reader_word(r);
    }
    if (w.n == 0) return missing(r);
    if (!ci_reader_id_by_width(r, w)) return false;
    w = ci_reader_word(r);
    if (w.n < 3 || r->s[w.from] != '[' || r->s[w.from + w.n - 1] != ']')
        return w.n == 0 ? missing(r) : ci_reader_refuse(r, CI_KIND_DLC, w, 0);
    length = (ci_slice){w.from + 1, w.n - 2};
    fd = length.n == 2; /* candump writes the length of FD frames with two digits */
    if (!ci_reader_length(r, length, fd ? 64 : 8, &dlc)) return false;
    w = ci_reader_word(r);
    if (ci_slice_is(r, w, "remote")) {
        r->frame.flags |= CI_FRAME_REMOTE;
        r->frame.dlc = (uint8_t)(fd ? 0 : CI_MAX(dlc, 0));
        if (fd && !ci_reader_pass(r, CI_KIND_DLC, length, 0)) return false; /* CAN FD has none */
    } else {
        if (fd) r->frame.flags |= CI_FRAME_FD;
        r->at = w.from;
        if (!bytes_by_words(r, fd ? 64 : 8, dlc, length)) return false;
    }
    return ci_reader_special(r);
}

static bool word_expect(ci_reader *r, const char *word)
{
    const size_t before = r->at;

    if (ci_slice_is(r, ci_reader_word(r), word)) return true;
    r->at = before;
    while (r->at < r->n && ci_is_blank(r->s[r->at])) r->at++;
    return missing(r);
}

bool ci_line_hcrl_text(ci_reader *r)
{
    ci_slice flags, length;
    int dlc;

    if (!word_expect(r, "Timestamp:") || !ci_reader_time(r, ci_reader_word(r))) return false;
    if (!word_expect(r, "ID:") || !ci_reader_id(r, ci_reader_word(r), false)) return false;
    flags = ci_reader_word(r);
    for (size_t i = 0; i < flags.n; i++) {
        const char c = r->s[flags.from + i];
        if (c != '0' && c != '1') return ci_reader_refuse(r, CI_KIND_COLUMNS, flags, i);
        if (c == '1') r->frame.flags |= CI_FRAME_REMOTE;
    }
    if (!word_expect(r, "DLC:")) return false;
    length = ci_reader_word(r);
    if (!ci_reader_length(r, length, 8, &dlc)) return false;
    if (r->frame.flags & CI_FRAME_REMOTE) {
        r->frame.dlc = (uint8_t)CI_MAX(dlc, 0);
        return ci_reader_special(r);
    }
    return bytes_by_words(r, 8, dlc, length) && ci_reader_special(r);
}
