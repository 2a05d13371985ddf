#include "ci_test.h"

#include <string.h>

#include "ci/csv.h"
#include "ci/layout.h"
#include "ci/types.h"

static ci_layout found(const char *text)
{
    ci_layout l;

    ci_layout_find(text, strlen(text), CI_DIALECT_NONE, &l);
    return l;
}

#define H4 "timestamp,arbitration_id,data_field,attack\n"

/* What a capture begins with, and what it then is. */
static const struct {
    const char *text, *dialect;
    int32_t header, labelled, fast, bom;
    ci_kind fault;
} begins[] = {
    {H4 "1.5,110,AA,0\n", "four-column", 1, 1, 1, 0, 0},
    {H4, "four-column", 1, 1, 1, 0, 0},
    {"\xef\xbb\xbf" H4 "1.5,110,AA,0\n", "four-column", 1, 1, 1, 3, 0},
    {"timestamp,arbitration_id,data_field\n1.5,110,AA\n", "four-column", 1, 0, 1, 0, 0},
    {"Time, CAN-ID, Payload, Label\r\n1.5,110,AA,0\r\n", "four-column", 1, 1, 1, 0, 0},
    {"label,id,data,time\n0,110,AA,1.5\n", "four-column", 1, 1, 0, 0, 0},
    {"time,bus,id,data,label,note\n1.5,0,110,AA,1,x\n", "four-column", 1, 1, 0, 0, 0},
    {"1.5,110,AA,0\n1.6,110,AA,1\n", "four-column", 0, 1, 1, 0, 0},
    {"1.5,110,AA,0", "four-column", 0, 1, 1, 0, 0},
    {"1.5,110,AA\n", "four-column", 0, 0, 1, 0, 0},
    {"when,who,what,bad\n1.5,110,AA,0\n", "four-column", 1, 1, 1, 0, CI_KIND_HEADER},
    {"time,id,data,timestamp\n1.5,110,AA,0\n", "four-column", 1, 1, 1, 0, CI_KIND_HEADER},
    {"", "four-column", 1, 1, 1, 0, CI_KIND_EMPTY_FILE},
    {"1.5,0185,2,1b,fc,R\n1.6,0185,0,T\n", "hcrl", 0, 1, 0, 0, 0},
    {"1.5,0185,0,0\n", "hcrl", 0, 1, 0, 0, 0},
    {"Timestamp,ID,DLC,DATA0,DATA1,Flag\n1.5,0185,2,1b,fc,1\n", "hcrl", 1, 1, 0, 0, 0},
    {"Timestamp,ID,DLC,Data,Flag\n1.5,0185,2,1b,fc,R\n", "hcrl", 1, 1, 0, 0, 0},
    {"1.5,0185,2,1b,fc\n", "hcrl", 0, 0, 0, 0, 0},
    {"Timestamp,Arbitration_ID,DLC,Data,Class,SubClass\n1.5,185,1,1B,Normal,Normal\n", "hcrl-challenge", 1, 1, 0, 0, 0},
    {"Timestamp,Arbitration_ID,DLC,Data\n1.5,185,1,1B\n", "hcrl-challenge", 1, 0, 0, 0, 0},
    {"Timestamp: 1.5        ID: 0185    000    DLC: 2    1b fc\n", "hcrl-text", 0, 0, 0, 0, 0},
    {"(1.5) can0 185#1BFC\n", "candump", 0, 0, 0, 0, 0},
    {"(1.5) can0 185#R\n(1.6) can0 20000004#0008000000000000\n", "candump", 0, 0, 0, 0, 0},
    {"(1.5) can0 185#1BFC 0\n(1.6) can0 185#1BFC 1\n", "candump", 0, 1, 0, 0, 0},
    {"(1.5) can0 185#1BFC R\n", "candump", 0, 0, 0, 0, 0},
    {" (000.000000)  can0  185   [2]  1B FC\n", "candump-screen", 0, 0, 0, 0, 0},
    {"timestamp,arbitration_id,extended,remote,error,dlc,data\n0.5,0x185,0,0,0,2,G/w=\n", "python-can", 1, 0, 0, 0, 0},
    {"Time Stamp,ID,Extended,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n1,185,false,0,1,AA,00,00,00,00,00,00,00,\n", "gvret", 1, 0, 0, 0, 0},
    {"Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2\n1,185,false,Rx,0,1,AA,00\n", "gvret", 1, 0, 0, 0, 0},
    {"***BUSMASTER Ver 2.4.0***\n", "busmaster", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"166.064000 CXX GVRET-PC\n", "crtd", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"166.064000 R11 0000021A FE 36\n", "crtd", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"ID,Data Bytes\n0000021A,FE 36\n", "generic-id", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"//---\nMicrochip Technology Inc.\n", "microchip", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"date Thu Jan 1\nbase hex  timestamps absolute\n", "asc", 0, 0, 0, 0, CI_KIND_DIALECT},
    {";$FILEVERSION=2.1\n", "trc", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"LOGG\x90", "blf", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"MDF     4.10    ", "mf4", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"\xd4\xc3\xb2\xa1\x02", "pcap", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"\n\r\r\n", "pcap", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"Label,Time,ID,Signal1_of_ID\n", "syncan", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"This data set was recorded on a Tuesday.\n", "none", 0, 0, 0, 0, CI_KIND_DIALECT},
    {"\x01\x02,\x03\n", "none", 0, 0, 0, 0, CI_KIND_DIALECT},
};

static void layout__is_found_by_what_a_capture_begins_with(void **state)
{
    (void)state;
    for (size_t i = 0; i < CI_COUNT(begins); i++) {
        const ci_layout l = found(begins[i].text);
        if (strcmp(ci_dialect_name((ci_dialect)l.dialect), begins[i].dialect) != 0
            || l.header != begins[i].header || l.labelled != begins[i].labelled
            || l.fast != begins[i].fast || l.bom != begins[i].bom
            || l.fault != (int32_t)begins[i].fault || !ci_layout_sound(&l))
            fail_msg("'%s': %s, header %d, labelled %d, fast %d, bom %d, fault %s", begins[i].text,
                     ci_dialect_name((ci_dialect)l.dialect), l.header, l.labelled, l.fast, l.bom,
                     ci_kind_name((ci_kind)l.fault));
        if (l.dialect >= CI_DIALECT_READ) assert_non_null(ci_dialect_advice((ci_dialect)l.dialect));
    }
    ci_layout sqlite;
    ci_layout_find("SQLite format 3\0", 16, CI_DIALECT_NONE, &sqlite);
    assert_int_equal(sqlite.dialect, CI_DIALECT_SQLITE);
}

static void layout__is_as_told_when_told(void **state)
{
    const char *const text = "(1.5) can0 185#1BFC\n";
    ci_layout l;

    (void)state;
    assert_int_equal(ci_dialect_find("candump"), CI_DIALECT_CANDUMP);
    assert_int_equal(ci_dialect_find("auto"), CI_DIALECT_NONE);
    ci_layout_find(text, strlen(text), CI_DIALECT_CANDUMP, &l);
    assert_int_equal(l.dialect, CI_DIALECT_CANDUMP);
    ci_layout_find(text, strlen(text), CI_DIALECT_HCRL_TEXT, &l);
    assert_int_equal(l.dialect, CI_DIALECT_HCRL_TEXT); /* its lines say that it is not */
    ci_layout_find(text, strlen(text), CI_DIALECT_GVRET, &l);
    assert_int_equal(l.dialect, CI_DIALECT_NONE);
    assert_int_equal(l.fault, CI_KIND_DIALECT);
}

/* Layouts to read single lines with. */
#define CHALLENGE "Timestamp,Arbitration_ID,DLC,Data,Class,SubClass\n"
#define PYTHON "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
#define GVRET "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
#define HCRL "1.5,1,1,AA,R\n"
#define TEXT "Timestamp: 1.5        ID: 0185    000    DLC: 2    1b fc\n"
#define DUMP "(1.5) can0 185#1BFC\n"
#define MIRGU "(1.5) can0 185#1BFC 0\n"
#define SCREEN " (000.000000)  can0  185   [2]  1B FC\n"

/* Lines that are right: time in ns, identifier, length, first bytes, label, flags. */
static const struct {
    const char *like, *line;
    int64_t t;
    uint32_t id;
    int len;
    uint64_t data;
    int attack, flags;
} good[] = {
    {H4, " 1.5 , 0x1a , 0x614008 ,1", 1500000000, 0x1a, 3, 0x084061, 1, 0},
    {H4, "1.5,1ED,614008F208E870DE\t,1", 1500000000, 0x1ed, 8, 0xde70e808f2084061, 1, 0},
    {H4, "1.5,1ED,61 40,0", 1500000000, 0x1ed, 2, 0x4061, 0, 0},
    {H4, "7,800,,0", 7000000000, 0x80000800, 0, 0, 0, 0},
    {"label,id,data,time\n", "1,110,AA,1.5", 1500000000, 0x110, 1, 0xaa, 1, 0},
    {CHALLENGE, "1.5,185,2,1B FC,Attack,Fuzzing", 1500000000, 0x185, 2, 0xfc1b, 1, 0},
    {CHALLENGE, "1.5,185,0,,Normal,Normal", 1500000000, 0x185, 0, 0, 0, 0},
    {PYTHON, "0.5,0x185,0,0,0,2,G/w=", 500000000, 0x185, 2, 0xfc1b, 0, 0},
    {PYTHON, "0.5,0x185,1,0,0,3,G/z+", 500000000, 0x80000185, 3, 0xfefc1b, 0, 0},
    {PYTHON, "0.5,0x185,0,0,0,0,", 500000000, 0x185, 0, 0, 0, 0},
    {PYTHON, "0.5,0x185,0,0,0,8,AAECAwQFBgc=", 500000000, 0x185, 8, 0x0706050403020100, 0, 0},
    {GVRET, "166064000,0000021A,false,Rx,0,7,FE,36,12,FE,69,05,07,00,", 166064000000, 0x21a, 7, 0x070569fe1236fe, 0, 0},
    {GVRET, "1,0000021A,true,Tx,0,1,FE", 1000, 0x8000021a, 1, 0xfe, 0, CI_FRAME_SENT},
    {HCRL, "1.5,01a0,2,1b,fc,T", 1500000000, 0x1a0, 2, 0xfc1b, 1, 0},
    {HCRL, "1.5,01a0,0,R", 1500000000, 0x1a0, 0, 0, 0, 0},
    {HCRL, "1.5,01a0,2,1b,fc,,,,,,,T", 1500000000, 0x1a0, 2, 0xfc1b, 1, 0},
    {HCRL, "1.5,18f,8,fe,5b,00,00,00,3c,00,00,1", 1500000000, 0x18f, 8, 0x00003c0000005bfe, 1, 0},
    {TEXT, "Timestamp: 1479121500.969313        ID: 0140    000    DLC: 8    00 01 02 03 04 05 06 07", 1479121500969313000, 0x140, 8, 0x0706050403020100, 0, 0},
    {TEXT, "Timestamp:          0.5        ID: 0140    000    DLC: 0", 500000000, 0x140, 0, 0, 0, 0},
    {DUMP, "(1436509052.249713) vcan0 044#2A366C2BBA", 1436509052249713000, 0x44, 5, 0xba2b6c362a, 0, 0},
    {DUMP, "(1.5) can0 00000044#", 1500000000, 0x80000044, 0, 0, 0, 0},
    {DUMP, "(1.5) can0 1FFFFFFF#AA T", 1500000000, 0x9fffffff, 1, 0xaa, 0, CI_FRAME_SENT},
    {DUMP, "(1.5) can0 123##3AABB", 1500000000, 0x123, 2, 0xbbaa, 0, CI_FRAME_FD | CI_FRAME_BRS | CI_FRAME_ESI},
    {DUMP, "(1.5) can0 123#0011223344556677_B", 1500000000, 0x123, 8, 0x7766554433221100, 0, 0},
    {MIRGU, "(1.5) can0 123#00 1", 1500000000, 0x123, 1, 0, 1, 0},
    {MIRGU, "(1.5) can0 123#00 R 0", 1500000000, 0x123, 1, 0, 0, 0},
    {SCREEN, " (1.5)  can0  185   [2]  1B FC   '..'", 1500000000, 0x185, 2, 0xfc1b, 0, 0},
    {SCREEN, " (1.5)  can0  TX - -  185   [2]  1B FC", 1500000000, 0x185, 2, 0xfc1b, 0, CI_FRAME_SENT},
    {SCREEN, " (1.5)  can0  00000185  [02]  1B FC", 1500000000, 0x80000185, 2, 0xfc1b, 0, CI_FRAME_FD},
};

static void line__is_read_in_every_dialect(void **state)
{
    (void)state;
    for (size_t i = 0; i < CI_COUNT(good); i++) {
        const ci_layout l = found(good[i].like);
        ci_frame f = {0};
        ci_fault fault = {0};
        const ci_line what = ci_line_read(&l, 0, good[i].line, strlen(good[i].line), &f, &fault);

        if (what != CI_LINE_FRAME || f.t_ns != good[i].t || f.id != good[i].id
            || f.len != good[i].len || f.data != good[i].data || f.attack != good[i].attack
            || f.flags != good[i].flags || f.repaired != 0)
            fail_msg("'%s': %s at %zu; %lld %x [%d] %llx %d %d", good[i].line, ci_kind_name(fault.kind),
                     fault.col, (long long)f.t_ns, f.id, f.len, (unsigned long long)f.data, f.attack,
                     f.flags);
    }
}

enum { NEVER = 99 };

/* Lines that are wrong: kind, byte, and what accepting the kind makes of it: a length, NEVER
 * when it cannot be accepted, -1 when the line is left out. */
static const struct {
    const char *like, *line;
    ci_kind kind;
    size_t col;
    int accepted;
} bad[] = {
    {H4, "", CI_KIND_BLANK, 0, -1},
    {H4, " \t", CI_KIND_BLANK, 0, -1},
    {H4, "1.5,1,AA", CI_KIND_COLUMNS, 8, NEVER},
    {H4, "1.5,1,AA,0,", CI_KIND_COLUMNS, 10, 1},
    {H4, "x,1,AA,0", CI_KIND_TIME, 0, NEVER},
    {H4, "1.0000000001,1,AA,0", CI_KIND_TIME_DIGITS, 11, 1},
    {H4, "9999999999.0,1,AA,0", CI_KIND_TIME_RANGE, 0, NEVER},
    {H4, "1.5,0x,AA,0", CI_KIND_ID, 5, NEVER},
    {H4, "1.5,0x0x1,AA,0", CI_KIND_ID, 7, NEVER},
    {H4, "1.5,0x20000000,AA,0", CI_KIND_ID_RANGE, 6, NEVER},
    {H4, "1.5,1,AA B,0", CI_KIND_PAYLOAD_ODD, 10, 1},
    {H4, "1.5,1,A AB,0", CI_KIND_PAYLOAD, 7, NEVER},
    {H4, "1.5,1,00112233445566778,0", CI_KIND_PAYLOAD_LONG, 22, 8},
    {H4, "1.5,1,AA,R", CI_KIND_LABEL, 9, NEVER},
    {H4, "1.5,1,AA,", CI_KIND_LABEL, 9, NEVER},
    {CHALLENGE, "1.5,185,3,1B FC,Normal,Normal", CI_KIND_DLC, 8, 2},
    {CHALLENGE, "1.5,185,9,1B FC,Normal,Normal", CI_KIND_DLC, 8, 2},
    {CHALLENGE, "1.5,185,2,1B FC,Odd,Normal", CI_KIND_LABEL, 16, NEVER},
    {CHALLENGE, "1.5,185,2,1B FC,Normal", CI_KIND_COLUMNS, 22, NEVER},
    {PYTHON, "0.5,0x185,0,0,0,3,G/w=", CI_KIND_DLC, 16, 2},
    {PYTHON, "0.5,0x185,0,0,0,2,G/w", CI_KIND_PAYLOAD, 21, NEVER},
    {PYTHON, "0.5,0x185,0,0,0,2,G/x=", CI_KIND_PAYLOAD, 22, NEVER},
    {PYTHON, "0.5,0x185,0,0,0,2,G-w=", CI_KIND_PAYLOAD, 19, NEVER},
    {PYTHON, "0.5,0x185,2,0,0,2,G/w=", CI_KIND_COLUMNS, 10, NEVER},
    {PYTHON, "0.5,0x185,0,1,0,4,", CI_KIND_REMOTE, 0, 0},
    {PYTHON, "0.5,0x185,0,0,1,0,", CI_KIND_ERROR_FRAME, 0, -1},
    {PYTHON, "0.5,0x185,0,0,0,12,AAECAwQFBgcICQoL", CI_KIND_FD, 0, 12},
    {GVRET, "1.5,21A,false,Rx,0,1,FE", CI_KIND_TIME, 1, NEVER},
    {GVRET, "9223372036854776,21A,false,Rx,0,1,FE", CI_KIND_TIME_RANGE, 0, NEVER},
    {GVRET, "1,21A,maybe,Rx,0,1,FE", CI_KIND_COLUMNS, 6, NEVER},
    {GVRET, "1,21A,false,Rx,0,2,FE", CI_KIND_DLC, 17, 1},
    {GVRET, "1,21A,false,Rx,0,1,FE,01", CI_KIND_DLC, 17, 2},
    {GVRET, "1,21A,false,Rx", CI_KIND_COLUMNS, 14, NEVER},
    {GVRET, "1,21A,false,Rx,0,1,F", CI_KIND_PAYLOAD, 19 + 1, NEVER},
    {HCRL, "1.5,1,2,AA,BB", CI_KIND_LABEL, 13, NEVER},
    {HCRL, "1.5,1,2,AA,R", CI_KIND_DLC, 6, 1},
    {HCRL, "1.5,1,1,AA,BB,R", CI_KIND_DLC, 6, 2},
    {HCRL, "1.5,1,9,AA,R", CI_KIND_DLC, 6, 1},
    {HCRL, "1.5,1,1,A,R", CI_KIND_PAYLOAD, 9, NEVER},
    {HCRL, "1.5,1,1,AA,X", CI_KIND_LABEL, 11, NEVER},
    {HCRL, "1.5,1,R", CI_KIND_COLUMNS, 7, NEVER},
    {HCRL, "1.5,1,0,00,11,22,33,44,55,66,77,88,R", CI_KIND_PAYLOAD_LONG, 32, NEVER},
    {TEXT, "Timestamp: 1.5 ID: 0185 000 DLC: 3 1b fc", CI_KIND_DLC, 33, 2},
    {TEXT, "Timestamp: 1.5 ID: 0185 000 DLC: 8 00 01 02 03 04 05 06 07 08", CI_KIND_PAYLOAD_LONG, 59, 8},
    {TEXT, "Timestamp: 1.5 ID: 0185 000 DLC: 2 1b f", CI_KIND_PAYLOAD, 39, NEVER},
    {TEXT, "Timestamp: 1.5 ID: 0185 00x DLC: 2 1b fc", CI_KIND_COLUMNS, 26, NEVER},
    {TEXT, "Timestamp: 1.5 Id 0185 000 DLC: 2 1b fc", CI_KIND_COLUMNS, 15, NEVER},
    {TEXT, "Timestamp: 1.5 ID: 0185 100 DLC: 8", CI_KIND_REMOTE, 0, 0},
    {DUMP, "1.5 can0 185#1BFC", CI_KIND_TIME, 0, NEVER},
    {DUMP, "(1.5 can0 185#1BFC", CI_KIND_TIME, 4, NEVER},
    {DUMP, "(1.x) can0 185#1BFC", CI_KIND_TIME, 2 + 1, NEVER},
    {DUMP, "(1.5) can0", CI_KIND_COLUMNS, 10, NEVER},
    {DUMP, "(1.5) can0 185", CI_KIND_COLUMNS, 14, NEVER},
    {DUMP, "(1.5) can0 85#1BFC", CI_KIND_ID, 13, NEVER},
    {DUMP, "(1.5) can0 18G#1BFC", CI_KIND_ID, 13, NEVER},
    {DUMP, "(1.5) can0 985#1BFC", CI_KIND_ID_RANGE, 11, NEVER},
    {DUMP, "(1.5) can0 40000000#1BFC", CI_KIND_ID_RANGE, 11, NEVER},
    {DUMP, "(1.5) can0 185#1BF", CI_KIND_PAYLOAD_ODD, 18, 1},
    {DUMP, "(1.5) can0 185#1BxF", CI_KIND_PAYLOAD, 17, NEVER},
    {DUMP, "(1.5) can0 185#001122334455667788", CI_KIND_PAYLOAD_LONG, 31, 8},
    {DUMP, "(1.5) can0 185##", CI_KIND_PAYLOAD, 16, NEVER},
    {DUMP, "(1.5) can0 185##0001122334455667788", CI_KIND_DLC, 34 + 1, NEVER}, /* FD as well */
    {DUMP, "(1.5) can0 185##0000102030405060708090A0B", CI_KIND_FD, 0, 12},
    {DUMP, "(1.5) can0 185#R4", CI_KIND_REMOTE, 0, 0},
    {DUMP, "(1.5) can0 185#R9", CI_KIND_DLC, 16, NEVER}, /* remote as well */
    {DUMP, "(1.5) can0 20000004#0008000000000000", CI_KIND_ERROR_FRAME, 0, -1},
    {DUMP, "(1.5) can0 185#1BFC 0", CI_KIND_COLUMNS, 20, 2},
    {MIRGU, "(1.5) can0 185#1BFC", CI_KIND_COLUMNS, 19, NEVER},
    {MIRGU, "(1.5) can0 185#1BFC 2", CI_KIND_LABEL, 20, NEVER},
    {SCREEN, " (1.5)  can0  185   2  1B FC", CI_KIND_DLC, 20, NEVER},
    {SCREEN, " (1.5)  can0  185   [3]  1B FC", CI_KIND_DLC, 21, 2},
    {SCREEN, " (1.5)  can0  185   [1]  remote request", CI_KIND_REMOTE, 0, 0},
    {SCREEN, " (1.5)  can0  20000004   [8]  00 08 00 00 00 00 00 00   ERRORFRAME", CI_KIND_ERROR_FRAME, 0, -1},
    {SCREEN, " (1.5)  can0  185   [2]  1B F", CI_KIND_PAYLOAD, 29, NEVER},
};

static void bad_check(size_t i)
{
    const ci_layout l = found(bad[i].like);
    const size_t n = strlen(bad[i].line);
    ci_frame f = {.t_ns = -7};
    ci_fault fault = {0};
    ci_line what = ci_line_read(&l, 0, bad[i].line, n, &f, &fault);

    if (what != CI_LINE_BAD || fault.kind != bad[i].kind || fault.col != bad[i].col || f.t_ns != -7
        || fault.from + fault.n > n)
        fail_msg("'%s': %s at %zu", bad[i].line, ci_kind_name(fault.kind), fault.col);
    what = ci_line_read(&l, UINT64_C(1) << bad[i].kind, bad[i].line, n, &f, &fault);
    if (bad[i].accepted == NEVER ? what != CI_LINE_BAD
        : bad[i].accepted < 0    ? what != CI_LINE_NONE || f.repaired != UINT64_C(1) << bad[i].kind
                                 : what != CI_LINE_FRAME || f.len != bad[i].accepted
                                    || f.repaired != UINT64_C(1) << bad[i].kind)
        fail_msg("'%s' accepted: %d, %s, length %d", bad[i].line, what, ci_kind_name(fault.kind), f.len);
}

static void line__is_refused_where_it_is_bad_or_repaired(void **state)
{
    (void)state;
    for (size_t i = 0; i < CI_COUNT(bad); i++) bad_check(i);
}

static void line__keeps_a_long_payload_whole(void **state)
{
    const char *const line = "(1.5) can0 185##0000102030405060708090A0B";
    const ci_layout l = found(DUMP);
    ci_frame f;
    ci_fault fault;

    (void)state;
    assert_int_equal(ci_line_read(&l, ~UINT64_C(0), line, strlen(line), &f, &fault), CI_LINE_FRAME);
    assert_int_equal(f.len, 12);
    assert_true(f.data == 0x0706050403020100 && f.more[0] == 8 && f.more[3] == 11);
}

static void line__of_any_bytes_stays_within_itself(void **state)
{
    static const char *const likes[] = {H4, CHALLENGE, PYTHON, GVRET, HCRL, TEXT, DUMP, MIRGU, SCREEN};

    (void)state;
    for (size_t i = 0; i < CI_COUNT(likes); i++) {
        const ci_layout l = found(likes[i]);
        for (size_t k = 0; k < CI_COUNT(good); k++)
            for (size_t n = 0; n <= strlen(good[k].line); n++) {
                char *copy = malloc(n ? n : 1); /* the sanitizer knows where it ends */
                ci_frame f;
                ci_fault fault = {0};
                assert_non_null(copy);
                memcpy(copy, good[k].line, n);
                if (ci_line_read(&l, k % 2 ? ~UINT64_C(0) : 0, copy, n, &f, &fault) == CI_LINE_BAD
                    && (fault.col > n || fault.from + fault.n > n))
                    fail_msg("'%.*s': %s at %zu", (int)n, copy, ci_kind_name(fault.kind), fault.col);
                free(copy);
            }
    }
}

/* ---- real files */

struct rows {
    ci_frame *f;
    size_t n;
    ci_layout layout;
};

static struct rows rows_of(const char *name)
{
    struct rows r = {0};
    char path[4096], *text;
    FILE *f;
    long size;

    snprintf(path, sizeof path, "%s/data/fixtures/%s", ci_test_shared(), name);
    f = fopen(path, "rb");
    if (!f) {
        print_message("no %s\n", path);
        skip();
    }
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    text = malloc((size_t)size);
    r.f = calloc(20000, sizeof *r.f);
    assert_true(text && r.f && fread(text, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    ci_layout_find(text, CI_MIN((size_t)size, (size_t)CI_LAYOUT_SAMPLE), CI_DIALECT_NONE, &r.layout);
    size_t line = 0;
    for (const char *p = text + r.layout.bom, *end = text + size, *next; p < end; p = next, line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        ci_fault fault = {0};
        size_t n;
        next = stop ? stop + 1 : end;
        n = (size_t)((stop ? stop : end) - p);
        if (n && p[n - 1] == '\r') n--;
        if (line == 0 && r.layout.header) continue;
        if (ci_line_read(&r.layout, 0, p, n, &r.f[r.n++], &fault) != CI_LINE_FRAME)
            fail_msg("%s:%zu:%zu: %s", name, line + 1, fault.col + 1, ci_kind_name(fault.kind));
    }
    free(text);
    return r;
}

static void fixtures__of_one_stretch_are_the_same_frames(void **state)
{
    static const char *const names[] = {
        "ctt_bom_no_final_newline.csv", "ctt_crlf.csv", "ctt_lowercase_unpadded_0x.csv",
        "ctt_noheader.csv", "hcrl_car_hacking_style.csv", "hcrl_challenge_style.csv",
        "hcrl_normal_run_style.txt", "candump_L.log", "candump_ta_relative.log"};
    const struct rows want = rows_of("reencoded/ctt.csv");

    (void)state;
    assert_int_equal(want.n, 3000);
    for (size_t i = 0; i < CI_COUNT(names); i++) {
        char name[128];
        struct rows got;
        snprintf(name, sizeof name, "reencoded/%s", names[i]);
        got = rows_of(name);
        assert_int_equal(got.n, want.n);
        const int64_t zero = got.layout.dialect == CI_DIALECT_CANDUMP_SCREEN ? want.f[0].t_ns : 0;
        for (size_t k = 0; k < want.n; k++) {
            const ci_frame *a = &want.f[k], *b = &got.f[k];
            if (a->id != b->id || a->len != b->len || a->data != b->data || a->t_ns != b->t_ns + zero
                || (got.layout.labelled && a->attack != b->attack))
                fail_msg("%s: frame %zu", name, k);
        }
        free(got.f);
    }
    free(want.f);
}

static void fixtures__of_one_log_agree_where_they_say_the_same(void **state)
{
    static const struct {
        const char *name;
        ci_dialect dialect;
    } others[] = {{"BusMasterLog.log", CI_DIALECT_BUSMASTER}, {"CRTD_Log.txt", CI_DIALECT_CRTD},
                  {"GenericID_Log.csv", CI_DIALECT_GENERIC_ID}, {"MicrochipLog.log", CI_DIALECT_MICROCHIP}};
    const struct rows a = rows_of("same_log_six_formats/candump.log"),
                      b = rows_of("same_log_six_formats/GVRET_Log.csv");

    (void)state;
    assert_int_equal(a.n, 12974);
    assert_int_equal(b.n, 12974);
    for (size_t k = 0; k < a.n; k++) /* SavvyCAN wrote whole seconds into the candump form */
        if (a.f[k].id != b.f[k].id || a.f[k].len != b.f[k].len || a.f[k].data != b.f[k].data
            || a.f[k].t_ns != b.f[k].t_ns / 1000000000 * 1000000000)
            fail_msg("frame %zu", k);
    free(a.f);
    free(b.f);
    for (size_t i = 0; i < CI_COUNT(others); i++) {
        char path[4096], text[CI_LAYOUT_SAMPLE];
        ci_layout l;
        snprintf(path, sizeof path, "%s/data/fixtures/same_log_six_formats/%s", ci_test_shared(), others[i].name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        ci_layout_find(text, fread(text, 1, sizeof text, f), CI_DIALECT_NONE, &l);
        fclose(f);
        assert_int_equal(l.dialect, others[i].dialect);
        assert_int_equal(l.fault, CI_KIND_DIALECT);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(layout__is_found_by_what_a_capture_begins_with),
    cmocka_unit_test(layout__is_as_told_when_told),
    cmocka_unit_test(line__is_read_in_every_dialect),
    cmocka_unit_test(line__is_refused_where_it_is_bad_or_repaired),
    cmocka_unit_test(line__keeps_a_long_payload_whole),
    cmocka_unit_test(line__of_any_bytes_stays_within_itself),
    cmocka_unit_test(fixtures__of_one_stretch_are_the_same_frames),
    cmocka_unit_test(fixtures__of_one_log_agree_where_they_say_the_same),
};
CI_TEST_MAIN(tests)
