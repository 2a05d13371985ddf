/* The dialects by name, and those that are not read by their looks. */
#include <strings.h>

#include "ci/types.h"
#include "csv_priv.h"

static const struct {
    const char *name, *advice;
} dialects[CI_DIALECT_COUNT] = {
    [CI_DIALECT_NONE] = {"none", NULL},
    [CI_DIALECT_FOUR_COLUMN] = {"four-column", NULL},
    [CI_DIALECT_HCRL] = {"hcrl", NULL},
    [CI_DIALECT_HCRL_CHALLENGE] = {"hcrl-challenge", NULL},
    [CI_DIALECT_HCRL_TEXT] = {"hcrl-text", NULL},
    [CI_DIALECT_CANDUMP] = {"candump", NULL},
    [CI_DIALECT_CANDUMP_SCREEN] = {"candump-screen", NULL},
    [CI_DIALECT_PYTHON_CAN] = {"python-can", NULL},
    [CI_DIALECT_GVRET] = {"gvret", NULL},
    [CI_DIALECT_BUSMASTER] = {"busmaster", "a BUSMASTER log: open it in SavvyCAN and save it as a GVRET log"},
    [CI_DIALECT_CRTD] = {"crtd", "a CRTD log: open it in SavvyCAN and save it as a GVRET log"},
    [CI_DIALECT_GENERIC_ID] = {"generic-id", "SavvyCAN's generic ID CSV has no times: save the log from SavvyCAN again, as a GVRET log"},
    [CI_DIALECT_MICROCHIP] = {"microchip", "a Microchip CAN BUS Analyzer log: open it in SavvyCAN and save it as a GVRET log"},
    [CI_DIALECT_ASC] = {"asc", "Vector ASC: asc2log -I in.asc -O out.log (can-utils) makes a candump log of it"},
    [CI_DIALECT_TRC] = {"trc", "PEAK TRC: can_logconvert in.trc out.log (python-can) makes a candump log of it"},
    [CI_DIALECT_BLF] = {"blf", "Vector BLF: can_logconvert in.blf out.log (python-can) makes a candump log of it"},
    [CI_DIALECT_MF4] = {"mf4", "ASAM MDF: export its CAN frames with asammdf, to a format that this program reads"},
    [CI_DIALECT_PCAP] = {"pcap", "a packet capture: tshark prints its frames as fields (can.id, can.len, data.data, frame.time_epoch)"},
    [CI_DIALECT_SQLITE] = {"sqlite", "an SQLite log: can_logconvert in.db out.log (python-can) makes a candump log of it"},
    [CI_DIALECT_SYNCAN] = {"syncan", "SynCAN holds decoded signals, no frames: there is nothing to convert it to"},
};

const char *ci_dialect_name(ci_dialect d) { return dialects[d].name; }

const char *ci_dialect_advice(ci_dialect d) { return dialects[d].advice; }

ci_dialect ci_dialect_find(const char *name)
{
    for (int d = CI_DIALECT_NONE + 1; d < CI_DIALECT_COUNT; d++)
        if (strcmp(dialects[d].name, name) == 0) return (ci_dialect)d;
    return CI_DIALECT_NONE;
}

/* What files begin with. */
static const struct {
    ci_dialect dialect;
    size_t n;
    const char *bytes;
} signatures[] = {
    {CI_DIALECT_BLF, 4, "LOGG"},
    {CI_DIALECT_MF4, 8, "MDF     "},
    {CI_DIALECT_MF4, 8, "UnFinMF "},
    {CI_DIALECT_PCAP, 4, "\xa1\xb2\xc3\xd4"},
    {CI_DIALECT_PCAP, 4, "\xd4\xc3\xb2\xa1"},
    {CI_DIALECT_PCAP, 4, "\xa1\xb2\x3c\x4d"},
    {CI_DIALECT_PCAP, 4, "\x4d\x3c\xb2\xa1"},
    {CI_DIALECT_PCAP, 4, "\x0a\x0d\x0d\x0a"},
    {CI_DIALECT_SQLITE, 16, "SQLite format 3"},
    {CI_DIALECT_BUSMASTER, 12, "***BUSMASTER"},
    {CI_DIALECT_TRC, 13, ";$FILEVERSION"},
    {CI_DIALECT_GENERIC_ID, 13, "ID,Data Bytes"},
    {CI_DIALECT_SYNCAN, 14, "Label,Time,ID,"},
};

/* What stands at the beginning of a line among the first ones. */
static const struct {
    ci_dialect dialect;
    const char *text;
} early[] = {
    {CI_DIALECT_MICROCHIP, "Microchip Technology Inc."},
    {CI_DIALECT_ASC, "base hex"},
    {CI_DIALECT_ASC, "base dec"},
    {CI_DIALECT_TRC, ";$FILEVERSION"},
};

/* 166.064000 R11 0000021A FE: a time, then kind of record and width. */
static bool is_crtd(const char *line, size_t n)
{
    static const char *const kinds[] = {"R11 ", "R29 ", "T11 ", "T29 ", "CXX ", "CEV "};
    size_t i = 0;

    while (i < n && (ci_is_digit(line[i]) || line[i] == '.')) i++;
    if (i == 0 || i + 5 > n || line[i] != ' ') return false;
    for (size_t k = 0; k < CI_COUNT(kinds); k++)
        if (memcmp(line + i + 1, kinds[k], 4) == 0) return true;
    return false;
}

ci_dialect ci_dialect_by_signature(const char *text, size_t n)
{
    const char *line = text, *const end = text + n;

    for (size_t i = 0; i < CI_COUNT(signatures); i++)
        if (n >= signatures[i].n && memcmp(text, signatures[i].bytes, signatures[i].n) == 0)
            return signatures[i].dialect;
    for (int k = 0; k < 8 && line < end; k++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const size_t len = (size_t)((stop ? stop : end) - line);
        for (size_t i = 0; i < CI_COUNT(early); i++)
            if (len >= strlen(early[i].text)
                && strncasecmp(line, early[i].text, strlen(early[i].text)) == 0)
                return early[i].dialect;
        if (is_crtd(line, len)) return CI_DIALECT_CRTD;
        line = stop ? stop + 1 : end;
    }
    return CI_DIALECT_NONE;
}
