#define _GNU_SOURCE /* memrchr */
#include <stdlib.h>
#include <string.h>
#include "ci/arena.h"
#include "sim_priv.h"

enum { ROW_MAX = 64, GROW = 1 << 20 };

const char ci_sim_text_header[] = "timestamp,arbitration_id,data_field,attack\n";

/* Two digits of every byte and of every number below 100. */
static struct { char hex[256][2], decimal[100][2]; bool filled; } pairs;

static void pairs_fill(void)
{
    static const char digit[] = "0123456789ABCDEF";

    for (int v = 0; v < 256; v++) memcpy(pairs.hex[v], (char[2]){digit[v >> 4], digit[v & 15]}, 2);
    for (int v = 0; v < 100; v++) memcpy(pairs.decimal[v], (char[2]){digit[v / 10], digit[v % 10]}, 2);
    pairs.filled = true;
}

static ci_rc room(lines *t, size_t n)
{
    ci_rc rc = CI_OK;
    void *p = t->bytes;

    if (!pairs.filled) pairs_fill();
    if (t->used + n <= t->cap) return CI_OK;
    CI_TRY(ci_grow(&p, &t->cap, t->used + n + GROW, 1));
    t->bytes = p;
done:
    return rc;
}

ci_rc ci_sim_text_header_put(lines *t)
{
    ci_rc rc = CI_OK;

    CI_TRY(room(t, ROW_MAX));
    memcpy(t->bytes + t->used, ci_sim_text_header, strlen(ci_sim_text_header));
    t->used += strlen(ci_sim_text_header);
done:
    return rc;
}

/* "1600000007." changes once a second. */
static void second_set(lines *t, int64_t second)
{
    int64_t v = t->second = second;

    for (int k = 8; k >= 0; k -= 2, v /= 100) memcpy(t->digits + k, pairs.decimal[v % 100], 2);
    t->digits[10] = '.';
}

static char *put_id(char *p, uint32_t id)
{
    if (id & EXTENDED) {
        id &= EXTENDED - 1;
        for (int shift = 24; shift > 8; shift -= 8, p += 2) memcpy(p, pairs.hex[id >> shift & 0xFF], 2);
        memcpy(p, pairs.hex[id >> 8 & 0xFF], 2);
        p += 2;
    } else {
        *p++ = pairs.hex[id >> 8][1];
    }
    memcpy(p, pairs.hex[id & 0xFF], 2);
    return p + 2;
}

ci_rc ci_sim_text_row(lines *t, int64_t t_us, uint32_t id, const uint8_t *payload, int len,
                      int label)
{
    ci_rc rc = CI_OK;
    const int64_t second = t_us / 1000000;
    const uint32_t us = (uint32_t)(t_us - second * 1000000);
    char *p;

    CI_TRY(room(t, ROW_MAX));
    if (second != t->second) second_set(t, second);
    p = t->bytes + t->used;
    memcpy(p, t->digits, 16);
    memcpy(p + 11, pairs.decimal[us / 10000], 2);
    memcpy(p + 13, pairs.decimal[us / 100 % 100], 2);
    memcpy(p + 15, pairs.decimal[us % 100], 2);
    p[17] = ',';
    p = put_id(p + 18, id);
    *p++ = ',';
    for (int k = 0; k < len; k++, p += 2) memcpy(p, pairs.hex[payload[k]], 2);
    *p++ = ',';
    *p++ = (char)('0' + label);
    *p++ = '\n';
    t->used = (size_t)(p - t->bytes);
    t->rows++;
    t->attack_rows += label;
done:
    return rc;
}

void ci_sim_text_clear(lines *t)
{
    t->used = 0;
    t->rows = t->attack_rows = 0;
}

void ci_sim_text_cut(lines *t, int64_t rows, bool headed)
{
    while (t->rows > rows) { /* a row ends in "0\n" or "1\n" */
        const size_t from = headed && t->rows == 1 ? strlen(ci_sim_text_header) : 0;
        const char *before = t->used > from + 1 ? memrchr(t->bytes + from, '\n', t->used - 1 - from) : NULL;

        t->attack_rows -= t->bytes[t->used - 2] == '1';
        t->used = before ? (size_t)(before + 1 - t->bytes) : from;
        t->rows--;
    }
}

void ci_sim_text_release(lines *t)
{
    free(t->bytes);
    *t = (lines){0};
}
