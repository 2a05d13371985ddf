#include "sim_priv.h"

/* A state of the stuffing: 4 value + run - 1, a run of 1 to 4 equal bits. */
typedef struct stuffing { uint8_t next, added; } stuffing;

static stuffing stuff_table[8][256];
static uint16_t crc_table[256];
static uint8_t crc8_table[256];

static int stuff_bit(int state, int bit, int *added)
{
    if (bit != state / 4) return 4 * bit;
    if (state % 4 < 3) return state + 1;
    ++*added;
    return 4 * !bit;
}

static void tables_fill(void)
{
    for (int v = 0; v < 256; v++) {
        int crc = v << 7, crc8 = v;

        for (int k = 0; k < 8; k++) {
            crc = crc & 0x4000 ? (crc << 1 ^ 0x4599) & 0x7FFF : crc << 1 & 0x7FFF;
            crc8 = crc8 & 0x80 ? (crc8 << 1 ^ 0x1D) & 0xFF : crc8 << 1;
        }
        crc_table[v] = (uint16_t)crc;
        crc8_table[v] = (uint8_t)crc8;
        for (int state = 0; state < 8; state++) {
            int s = state, added = 0;

            for (int k = 7; k >= 0; k--) s = stuff_bit(s, v >> k & 1, &added);
            stuff_table[state][v] = (stuffing){(uint8_t)s, (uint8_t)added};
        }
    }
}

static void tables_need(void)
{
    if (!crc8_table[1]) tables_fill();
}

uint32_t ci_sim_rank(uint32_t id)
{
    if (!(id & EXTENDED)) return id << 19;
    id &= EXTENDED - 1;
    return id >> 18 << 19 | 1U << 18 | (id & 0x3FFFF); /* of equal first 11 bits the short one wins */
}

/* The bits before the payload, most significant first: start bit 0, identifier, control. */
static uint64_t head_bits(uint32_t id, int len, int *out_n)
{
    if (!(id & EXTENDED)) {
        *out_n = 19;
        return (uint64_t)id << 7 | (uint64_t)len;
    }
    id &= EXTENDED - 1;
    *out_n = 39;
    return (uint64_t)(id >> 18) << 27 | (uint64_t)3 << 25 | (uint64_t)(id & 0x3FFFF) << 7 | (uint64_t)len;
}

header ci_sim_header(uint32_t id, int len)
{
    int n, state = 4, added = 0; /* before the start bit the bus is at 1 */
    const uint64_t bits = head_bits(id, len, &n);
    header h = {.rank = ci_sim_rank(id)};

    tables_need();
    for (int k = n - 1; k >= 0; k--) {
        const int bit = bits >> k & 1;
        const bool turn = bit ^ h.crc >> 14;

        state = stuff_bit(state, bit, &added);
        h.crc = (uint16_t)((h.crc << 1 ^ (turn ? 0x4599 : 0)) & 0x7FFF);
    }
    h.stuff = (uint8_t)state;
    h.bits = (uint8_t)(n + added);
    return h;
}

int ci_sim_frame_bits(const header *h, const uint8_t *payload, int len)
{
    uint32_t crc = h->crc, tail;
    unsigned state = h->stuff;
    int n = h->bits + 8 * len + 15 + 13; /* check sequence; delimiter, acknowledge, end, pause */

    for (int k = 0; k < len; k++) {
        const stuffing s = stuff_table[state][payload[k]];

        crc = (crc << 8 ^ crc_table[(crc >> 7 ^ payload[k]) & 0xFF]) & 0x7FFF;
        state = s.next;
        n += s.added;
    }
    tail = crc << 1 | (~crc & 1); /* a sixteenth bit that adds no stuffing */
    n += stuff_table[state][tail >> 8].added;
    state = stuff_table[state][tail >> 8].next;
    return n + stuff_table[state][tail & 0xFF].added;
}

uint8_t ci_sim_crc8(const uint8_t *bytes, int n)
{
    uint8_t crc = 0xFF;

    tables_need();
    for (int k = 0; k < n; k++) crc = crc8_table[crc ^ bytes[k]];
    return crc ^ 0xFF;
}
