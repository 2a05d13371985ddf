/** UTF-8 and the characters that settings may hold. */
#include <stdio.h>
#include <string.h>
#include "conf_priv.h"

size_t ci_utf8_next(const char *s, size_t n, uint32_t *out_cp)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char c = (unsigned char)s[0];
    const size_t len = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
    uint32_t cp = len == 1 ? c : len ? c & (0x7Fu >> len) : 0;

    if (len == 0 || len > n) return 0;
    for (size_t i = 1; i < len; i++) {
        const unsigned char t = (unsigned char)s[i];
        if (t >> 6 != 2) return 0;
        cp = cp << 6 | (t & 0x3Fu);
    }
    /* An overlong form, half a surrogate pair, or beyond Unicode. */
    if (cp < least[len] || (cp >= 0xD800 && cp < 0xE000) || cp > 0x10FFFF) return 0;
    *out_cp = cp;
    return len;
}

/* "c-printable" of YAML 1.1, section 5.1, without the byte order mark. */
bool ci_utf8_yaml(uint32_t cp)
{
    return cp == 9 || cp == 10 || cp == 13 || (cp >= 0x20 && cp <= 0x7E) || cp == 0x85 ||
           (cp >= 0xA0 && cp <= 0xFFFD && cp != 0xFEFF) || cp >= 0x10000;
}

ci_quote ci_quoted(const char *text, size_t n)
{
    ci_quote q = {{0}};
    size_t used = 0, at = 0;

    for (int chars = 0; at < n && chars < 48; chars++) {
        uint32_t cp = 0;
        const size_t len = ci_utf8_next(text + at, n - at, &cp);
        if (len == 0 || cp < 0x20 || !ci_utf8_yaml(cp) || cp == 0x85) {
            q.text[used++] = '?';
            at += len ? len : 1;
        } else {
            memcpy(q.text + used, text + at, len);
            used += len;
            at += len;
        }
    }
    if (at < n) memcpy(q.text + used, "...", 4);
    return q;
}
