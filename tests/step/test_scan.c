/* RANKS: 1 2 3 5 */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define CI_TEST_MPI
#include "ci_test.h"

#include "ci/json.h"
#include "ci/log.h"
#include "ci/scan.h"
#include "csv/capture_files.h"

static char root[CI_PATH_MAX];
static ci_conf conf;
static bool first_rank;

/* One folder for all ranks; only rank 0 writes. */
static int setup(void **state)
{
    (void)state;
    first_rank = ci_test_comm->rank == 0;
    if (first_rank) folder_new(root);
    assert_int_equal(ci_comm_bcast(ci_test_comm, "test.root", 0, root, sizeof root), CI_OK);
    conf_make(root, 4096, &conf);
    ci_log_setup(ci_test_comm->rank, ci_test_comm->size, CI_ERROR);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ci_comm_barrier(ci_test_comm, "test.over");
    if (first_rank) folder_remove(root);
    return 0;
}

static void put(const char *path, const char *text)
{
    if (first_rank) file_put_text(root, path, text);
}

static void put_capture(const char *path, uint32_t seed, int32_t n)
{
    if (first_rank) capture_put(root, path, seed, n);
}

static ci_rc scan(ci_plan *p)
{
    ci_comm_barrier(ci_test_comm, "test.written");
    *p = (ci_plan){0};
    return ci_scan(ci_test_comm, &conf, p);
}

static void refused(ci_rc rc, const char *part)
{
    ci_plan p;
    const ci_rc got = scan(&p);

    if (got != rc) fail_msg("%s instead of %s: %s", ci_rc_name(got), ci_rc_name(rc), ci_message());
    assert_message_has(part);
    assert_null(p.capture);
}

static char *slurp(const char *name)
{
    char path[2 * CI_PATH_MAX], *text = calloc(1, 1 << 20);
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", conf.run.dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static bool left(const char *name)
{
    char path[2 * CI_PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", conf.run.dir, name);
    return ci_commit_check(path, NULL) == CI_OK;
}

/* ---- what a capture's frames come to, by plain loops over the frames themselves */

static int64_t distinct(const ci_frame *f, int64_t n)
{
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;
        while (k < i && f[k].id != f[i].id) k++;
        count += k == i;
    }
    return count;
}

static int64_t distinct_pairs(const ci_frame *f, int64_t n)
{
    int64_t count = 0;

    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t k = 0;
        while (k < i && (f[k].id != f[i].id || f[k + 1].id != f[i + 1].id)) k++;
        count += k == i;
    }
    return count;
}

static void assert_capture(const ci_capture *c, uint32_t seed, int32_t n)
{
    ci_frame *f = calloc((size_t)n, sizeof *f);
    ci_count e = {.rows = n, .first_attack = -1, .last_attack = -1, .id_min = UINT32_MAX};

    frames_make(seed, n, f);
    for (int32_t i = 0; i < n; i++) {
        e.attack_rows += f[i].attack;
        e.by_len[f[i].len]++;
        e.sum_id += f[i].id & 0x1fffffff;
        for (int k = 0; k < 8; k++) e.sum_byte += (int64_t)(f[i].data >> 8 * k & 255);
        if (f[i].attack && e.first_attack < 0) e.first_attack = i;
        if (f[i].attack) e.last_attack = i;
        if (f[i].id < e.id_min) e.id_min = f[i].id;
        if (f[i].id > e.id_max) e.id_max = f[i].id;
        if (i == 0) continue;
        e.back += f[i].t_ns < f[i - 1].t_ns;
        e.equal += f[i].t_ns == f[i - 1].t_ns;
        e.switches += f[i].attack != f[i - 1].attack;
    }
    const int compat = strcmp(conf.features.compat, "reference") == 0, merged = strcmp(conf.features.set, "kd11") == 0;
    const int32_t rows = conf.window.frames + (merged && compat);
    for (int32_t r = 0; r + rows <= n; r += conf.window.stride) {
        int attack = 0;
        for (int32_t i = r; i < r + conf.window.frames; i++) attack |= f[i].attack;
        e.graphs++;
        e.attack_graphs += attack;
        e.nodes += distinct(f + r, rows);
        e.edges += merged ? distinct_pairs(f + r, rows) : rows - 1 - compat;
    }
    e.t_first = f[0].t_ns;
    e.t_last = f[n - 1].t_ns;
    e.label_first = f[0].attack;
    e.label_last = f[n - 1].attack;
    assert_int_equal(c->count.graphs, e.graphs);
    assert_int_equal(c->count.nodes, e.nodes);
    assert_int_equal(c->count.edges, e.edges);
    assert_memory_equal(&c->count, &e, sizeof e);
    assert_int_equal(c->n_id, distinct(f, n));
    free(f);
}

/* Captures of many blocks, of one block, shorter than a window; equal ones; both roles. */
static void put_many(void)
{
    put_capture("train_01/a.csv", 1, 3000);
    put_capture("train_01/b.csv", 2, 99);
    put_capture("train_02/a.csv", 1, 3000); /* as train_01/a.csv */
    put_capture("train_02/c.csv", 3, 1234);
    put_capture("test_01/x.csv", 4, 700);
    put_capture("test_01/y.csv", 3, 1234); /* as train_02/c.csv */
}

static void scan__counts_what_was_written(void **state)
{
    ci_plan p;

    (void)state;
    put_many();
    conf.window.stride = 30;
    if (scan(&p) != CI_OK) fail_msg("%s", ci_message());
    assert_int_equal(p.n_capture, 6);
    assert_capture(&p.capture[0], 1, 3000);
    assert_capture(&p.capture[1], 2, 99);
    assert_capture(&p.capture[2], 1, 3000);
    assert_capture(&p.capture[3], 3, 1234);
    assert_capture(&p.capture[4], 4, 700);
    assert_capture(&p.capture[5], 3, 1234);
    assert_int_equal(p.capture[2].same_as, 0);
    for (int i = 0; i < 6; i++)
        if (i != 2) assert_int_equal(p.capture[i].same_as, -1);
    ci_plan_release(&p);
}

/** Merged edges vary, and the reference's windows read one frame more: the last one of a capture may be lost. */
static void scan__counts_what_the_feature_set_makes(void **state)
{
    static const char *const mode[] = {"none", "reference"}, *const set[] = {"kd35", "kd11"};

    (void)state;
    put_many();
    conf.window.stride = 50;
    for (int k = 0; k < 4; k++) {
        ci_plan p;
        snprintf(conf.features.set, sizeof conf.features.set, "%s", set[k / 2]);
        snprintf(conf.features.compat, sizeof conf.features.compat, "%s", mode[k % 2]);
        if (scan(&p) != CI_OK) fail_msg("%s", ci_message());
        assert_int_equal(p.rows, k == 3 ? 101 : 100);
        assert_int_equal(p.capture[0].count.graphs, k == 3 ? 58 : 59);
        assert_capture(&p.capture[0], 1, 3000);
        assert_capture(&p.capture[3], 3, 1234);
        assert_int_equal(p.capture[3].first_edge, p.capture[0].count.edges);
        assert_int_equal(p.edges, p.capture[0].count.edges + 2 * p.capture[3].count.edges + p.capture[4].count.edges);
        ci_plan_release(&p);
    }
}

static void scan__counts_across_the_borders_of_blocks(void **state)
{
    enum { N = 2000 };
    ci_plan p;

    (void)state;
    if (first_rank) {
        struct text back = {0}, equal = {0};
        text_add(&back, HEADER);
        text_add(&equal, HEADER);
        for (int i = 0; i < N; i++) {
            text_add(&back, "%d.5,1,AA,%d\n", 9000 - i, i % 2);
            text_add(&equal, "1.5,1,AA,%d\n", i >= N / 2);
        }
        file_put(root, "train_01/back.csv", back.at, back.n);
        file_put(root, "train_01/equal.csv", equal.at, equal.n);
        free(back.at);
        free(equal.at);
    }
    if (scan(&p) != CI_OK) fail_msg("%s", ci_message());
    assert_true(p.capture[0].n_block > 3);
    assert_int_equal(p.capture[0].count.back, N - 1);
    assert_int_equal(p.capture[0].count.switches, N - 1);
    assert_int_equal(p.capture[1].count.equal, N - 1);
    assert_int_equal(p.capture[1].count.switches, 1);
    assert_int_equal(p.capture[1].count.first_attack, N / 2);
    assert_int_equal(p.capture[1].count.last_attack, N - 1);
    ci_plan_release(&p);
}

static void scan__numbers_blocks_graphs_and_nodes(void **state)
{
    ci_plan p, q = {0};
    int64_t graphs = 0, nodes = 0, edges = 0;
    char path[2 * CI_PATH_MAX];

    (void)state;
    put_many();
    if (scan(&p) != CI_OK) fail_msg("%s", ci_message());
    for (int32_t i = 0; i < p.n_capture; i++) {
        int64_t row = 0;
        assert_int_equal(p.capture[i].first_graph, graphs);
        for (int32_t k = 0; k < p.capture[i].n_block; k++) {
            const int32_t b = p.capture[i].first_block + k;
            assert_int_equal(p.block[b].first_row, row);
            row += p.block[b].rows;
            if (p.capture[i].same_as >= 0) continue;
            assert_int_equal(p.block[b].first_graph, graphs);
            assert_int_equal(p.block[b].first_node, nodes);
            assert_int_equal(p.block[b].first_edge, edges);
            graphs += p.block[b].graphs;
            nodes += p.block[b].nodes;
            edges += p.block[b].edges;
        }
        assert_int_equal(row, p.capture[i].count.rows);
    }
    assert_int_equal(p.graphs, graphs);
    assert_int_equal(p.nodes, nodes);
    assert_int_equal(p.edges, edges);
    assert_int_equal(edges, 99 * graphs);
    assert_int_equal(graphs, 30 + 0 + 12 + 7 + 12); /* floor(rows / 100) of the used ones */
    if (first_rank) {
        snprintf(path, sizeof path, "%s/plan.json", conf.run.dir);
        assert_int_equal(ci_plan_read(path, &q), CI_OK);
        assert_memory_equal(p.capture, q.capture, (size_t)p.n_capture * sizeof *p.capture);
        assert_memory_equal(p.block, q.block, (size_t)p.n_block * sizeof *p.block);
        assert_int_equal(p.n_vocab, q.n_vocab);
        ci_plan_release(&q);
    }
    ci_plan_release(&p);
}

static void scan__does_not_depend_on_the_size_of_blocks(void **state)
{
    ci_plan a, b;
    char x[CI_SHA256_HEX], y[CI_SHA256_HEX];

    (void)state;
    put_many();
    if (scan(&a) != CI_OK) fail_msg("%s", ci_message());
    conf.data.block = 4 << 20;
    if (scan(&b) != CI_OK) fail_msg("%s", ci_message());
    assert_true(a.n_block > b.n_block);
    ci_plan_digest(&a, x);
    ci_plan_digest(&b, y);
    assert_string_equal(x, y);
    for (int32_t i = 0; i < a.n_capture; i++) {
        b.capture[i].first_block = a.capture[i].first_block;
        b.capture[i].n_block = a.capture[i].n_block;
    }
    assert_memory_equal(a.capture, b.capture, (size_t)a.n_capture * sizeof *a.capture);
    assert_int_equal(a.n_vocab, b.n_vocab);
    assert_int_equal(a.n_id, b.n_id);
    assert_memory_equal(a.vocab, b.vocab, (size_t)a.n_vocab * sizeof *a.vocab);
    ci_plan_release(&a);
    ci_plan_release(&b);
}

static void scan__vocabulary_is_of_training_and_of_its_scope(void **state)
{
    ci_plan p;
    char *text;

    (void)state;
    put("train_01/a.csv", HEADER "1.0,1A,,0\n1.1,FF,,0\n1.2,0,,1\n1.3,7DF,,1\n1.4,18DAF110,,0\n");
    put("test_01/a.csv", HEADER "1.0,123,,0\n1.1,1A,,1\n");
    assert_int_equal(scan(&p), CI_OK);
    assert_int_equal(p.n_vocab, 5);
    assert_int_equal(p.vocab[0], 0);
    assert_int_equal(p.vocab[1], 26);
    assert_int_equal(p.vocab[2], 255);
    assert_int_equal(p.vocab[3], 2015);
    assert_int_equal(p.vocab[4], 0x98daf110);
    assert_int_equal(p.n_id, 6);
    assert_int_equal(p.id[3], 0x123);
    if (first_rank) {
        text = slurp("data_report.json");
        assert_non_null(strstr(text, "\"count\": 1,\n    \"ids\": [\n      \"123\"\n"));
        free(text);
        text = slurp("vocabulary.json");
        assert_non_null(strstr(text, "\"000\",\n    \"01A\",\n    \"0FF\",\n    \"7DF\",\n    \"18DAF110\"\n"));
        free(text);
    }
    ci_plan_release(&p);
    strcpy(conf.vocab.scope, "benign");
    assert_int_equal(scan(&p), CI_OK);
    assert_int_equal(p.n_vocab, 3);
    assert_int_equal(p.vocab[2], 0x98daf110);
    ci_plan_release(&p);
}

static void scan__reports_duplicates_and_leaks(void **state)
{
    ci_plan p;
    ci_json *j = NULL, *list;
    char path[2 * CI_PATH_MAX];

    (void)state;
    put_many();
    assert_int_equal(scan(&p), CI_OK);
    if (first_rank) {
        snprintf(path, sizeof path, "%s/data_report.json", conf.run.dir);
        assert_int_equal(ci_json_load(path, &j), CI_OK);
        list = ci_json_get(j, "duplicates");
        assert_int_equal(ci_json_len(list), 2);
        assert_string_equal(ci_json_get_str(ci_json_at(list, 0), "path"), "train_02/a.csv");
        assert_string_equal(ci_json_get_str(ci_json_at(list, 0), "same_as"), "train_01/a.csv");
        assert_false(ci_json_get_bool(ci_json_at(list, 0), "used"));
        assert_false(ci_json_get_bool(ci_json_at(list, 0), "leak"));
        assert_string_equal(ci_json_get_str(ci_json_at(list, 1), "path"), "test_01/y.csv");
        assert_true(ci_json_get_bool(ci_json_at(list, 1), "used"));
        assert_true(ci_json_get_bool(ci_json_at(list, 1), "leak"));
        ci_json_free(&j);
    }
    ci_plan_release(&p);
}

static void scan__keeps_duplicates_on_request(void **state)
{
    ci_plan once, kept;
    char settings[CI_SHA256_HEX], other[CI_SHA256_HEX], path[2 * CI_PATH_MAX];
    ci_json *j = NULL, *list;

    (void)state;
    put_many();
    assert_int_equal(scan(&once), CI_OK);
    ci_scan_settings(&conf, settings);
    snprintf(conf.data.duplicates, sizeof conf.data.duplicates, "keep");
    ci_scan_settings(&conf, other);
    assert_string_not_equal(settings, other);
    assert_int_equal(scan(&kept), CI_OK);
    assert_int_equal(once.capture[2].same_as, 0);
    for (int i = 0; i < kept.n_capture; i++) assert_int_equal(kept.capture[i].same_as, -1);
    assert_true(once.capture[1].first_graph > 0);
    assert_int_equal(kept.capture[3].first_graph - once.capture[3].first_graph, once.capture[1].first_graph); /* the first capture's, again */
    if (first_rank) {
        snprintf(path, sizeof path, "%s/data_report.json", conf.run.dir);
        assert_int_equal(ci_json_load(path, &j), CI_OK);
        list = ci_json_get(j, "duplicates");
        assert_int_equal(ci_json_len(list), 2);
        assert_true(ci_json_get_bool(ci_json_at(list, 0), "used"));
        assert_false(ci_json_get_bool(ci_json_at(list, 0), "leak"));
        assert_true(ci_json_get_bool(ci_json_at(list, 1), "leak")); /* between training and test, still */
        ci_json_free(&j);
    }
    ci_plan_release(&once);
    ci_plan_release(&kept);
}

/* ---- bad input */

static void scan__finds_a_bad_last_line_of_the_last_file(void **state)
{
    char *text;

    (void)state;
    put_many();
    if (first_rank) {
        struct text t = capture_text(9, 2000, "\n");
        t.n--; /* no newline behind ... */
        t.at[t.n - 1] = '2'; /* ... the last label */
        file_put(root, "test_02/z.csv", t.at, t.n);
        free(t.at);
    }
    refused(CI_EDATA, "/s/test_02/z.csv:2001:");
    assert_message_has(": label: '2': neither 0 nor 1; see ");
    assert_int_equal(ci_rc_exit(CI_EDATA), 65);
    if (first_rank) {
        text = slurp("rejected.csv");
        assert_non_null(strstr(text, "file,line,column,offset,kind,value,reason,policy\n\"test_02/z.csv\",2001,"));
        free(text);
        assert_true(left("rejected.csv"));
        assert_false(left("plan.json"));
        assert_false(left("data_report.json"));
        assert_false(left("vocabulary.json"));
    }
}

static const struct {
    const char *name, *text, *message;
} bad[] = {
    {"empty file", "", ":1:1: empty_file"},
    {"header only", HEADER, ":2:1: no_rows"},
    {"header and a blank line", HEADER "\n", ":2:1: no_rows"},
    {"header without newline", "timestamp,arbitration_id,data_field,attack", ":2:1: no_rows"},
    {"wrong header", "when,who,what,bad\n1.5,1,AA,0\n", ":1:1: header: 'when,who,what,bad'"},
    {"header that names a column twice", "time,id,data,timestamp\n1.5,1,AA,0\n", ":1:1: header"},
    {"byte order mark alone", "\xef\xbb\xbf", ":1:1: empty_file"},
    {"a log that is not read", "***BUSMASTER Ver 2.4.0***\n", ":1:1: dialect"},
    {"three columns", "timestamp,arbitration_id,data_field\n1.5,1,AA\n", ":1:36: no_label"},
    {"five columns", HEADER "1.5,1,AA,0\n1.5,1,AA,0,7\n", ":3:11: columns"},
    {"letters in time", HEADER "1.5,1,AA,0\n1.x,1,AA,0\n", ":3:3: time: '1.x'"},
    {"negative time", HEADER "-1.5,1,AA,0\n", ":2:1: time: '-1.5'"},
    {"odd hex", HEADER "1.5,1,AA,0\n1.5,1,AAA,0\n", ":3:10: payload_odd: 'AAA'"},
    {"not hex", HEADER "1.5,1,AA,0\n1.5,1,GG,0\n", ":3:7: payload: 'GG'"},
    {"identifier above 29 bits", HEADER "1.5,20000000,AA,0\n", ":2:5: id_range: '20000000'"},
    {"payload over 8 bytes", HEADER "1.5,1,001122334455667788,0\n", ":2:23: payload_long"},
    {"label 2", HEADER "1.5,1,AA,0\n1.5,1,AA,2\n", ":3:10: label: '2'"},
    {"truncated last line", HEADER "1.5,1,AA,0\n1.6,1,A", ":3:8: columns: '1.6,1,A'"},
    {"blank line inside", HEADER "1.5,1,AA,0\n\n1.6,1,AA,0\n", ":3:1: blank"},
    {"tab between digits", HEADER "1.5,1ED,61400\t8F208E870DE,1\n", ":2:14: payload: '61400\\x098F208E870DE'"},
};

static void scan__refuses_each_violation_where_it_is(void **state)
{
    char expected[128];

    (void)state;
    put_capture("train_01/a.csv", 1, 50);
    for (size_t i = 0; i < CI_COUNT(bad); i++) {
        put("train_02/bad.csv", bad[i].text);
        snprintf(expected, sizeof expected, "/s/train_02/bad.csv%s", bad[i].message);
        refused(CI_EDATA, expected);
        ci_comm_barrier(ci_test_comm, "test.next");
    }
}

static void scan__refuses_zero_bytes(void **state)
{
    static const char text[] = HEADER "1.5,1,A\0,0\n";

    (void)state;
    if (first_rank) file_put(root, "train_01/a.csv", text, sizeof text - 1);
    refused(CI_EDATA, "/s/train_01/a.csv:2:8: nul: '1.5,1,A\\x00,0'");
}

static void scan__refuses_a_line_of_a_gigabyte_quickly(void **state)
{
    const double start = ci_now_s();
    const long before = ci_peak_kib();
    char path[2 * CI_PATH_MAX];

    (void)state;
    conf.data.block = 4 << 20;
    put_capture("train_01/a.csv", 1, 500);
    put("train_02/long.csv", HEADER "1.5,1,AA,0\n1.5,1,");
    snprintf(path, sizeof path, "%s/s/train_02/long.csv", root);
    if (first_rank) assert_int_equal(truncate(path, 1 << 30), 0); /* zeros, but of no disk */
    refused(CI_EDATA, "/s/train_02/long.csv:3:4097: long_line: '1.5,1,\\x00");
    assert_true(ci_now_s() - start < 60); /* about 0.5 s where nothing else runs */
    assert_true(ci_peak_kib() - before < 64 << 10);
}

static void scan__keeps_the_first_thousand_rejects(void **state)
{
    (void)state;
    if (first_rank) {
        struct text t = {0};
        text_add(&t, HEADER "1.5,1,AA,0\n");
        for (int i = 0; i < 5000; i++) text_add(&t, "1.5,1,AA,9\n");
        file_put(root, "train_01/a.csv", t.at, t.n);
        free(t.at);
    }
    refused(CI_EDATA, "/s/train_01/a.csv:3:10: label: '9': neither 0 nor 1; at least ");
    if (first_rank) {
        char *text = slurp("rejected.csv");
        int lines = 0;
        for (const char *c = text; *c; c++) lines += *c == '\n';
        assert_int_equal(lines, 1001);
        assert_non_null(strstr(text, "\"train_01/a.csv\",1002,10,11043,label,\"9\""));
        free(text);
    }
}

static void scan__accepts_three_columns_where_declared(void **state)
{
    ci_plan p;

    (void)state;
    put("train_01/a.csv", "timestamp,arbitration_id,data_field\n1.5,1,AA\n1.6,2,\n");
    conf.data.attack_free.n = 1;
    strcpy(conf.data.attack_free.item[0], "train_01");
    if (scan(&p) != CI_OK) fail_msg("%s", ci_message());
    assert_int_equal(p.capture[0].count.rows, 2);
    assert_int_equal(p.capture[0].count.attack_rows, 0);
    ci_plan_release(&p);
}

static void scan__says_what_is_missing_on_every_rank(void **state)
{
    (void)state;
    refused(CI_ENOENT, "/s: there is no such folder (data.set)");
    put("train_01/readme.txt", "");
    refused(CI_ENOENT, "/s/train_01: no *.csv in it");
    conf.data.set[0] = 0;
    refused(CI_ECONF, "data.set");
}

static void scan__says_when_the_run_folder_cannot_be_made(void **state)
{
    (void)state;
    put_capture("train_01/a.csv", 1, 500);
    put("file", "");
    snprintf(conf.run.dir, sizeof conf.run.dir, "%.200s/s/file/run", root);
    refused(CI_ECREATE, "/s/file");
}

static void scan__refuses_windows_that_cannot_be_built(void **state)
{
    (void)state;
    put_capture("train_01/a.csv", 1, 500);
    conf.window.frames = 1 << 17;
    refused(CI_ECONF, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    T(scan__counts_what_was_written),
    T(scan__counts_what_the_feature_set_makes),
    T(scan__counts_across_the_borders_of_blocks),
    T(scan__numbers_blocks_graphs_and_nodes),
    T(scan__does_not_depend_on_the_size_of_blocks),
    T(scan__vocabulary_is_of_training_and_of_its_scope),
    T(scan__reports_duplicates_and_leaks),
    T(scan__keeps_duplicates_on_request),
    T(scan__finds_a_bad_last_line_of_the_last_file),
    T(scan__refuses_each_violation_where_it_is),
    T(scan__refuses_zero_bytes),
    T(scan__refuses_a_line_of_a_gigabyte_quickly),
    T(scan__keeps_the_first_thousand_rejects),
    T(scan__accepts_three_columns_where_declared),
    T(scan__says_what_is_missing_on_every_rank),
    T(scan__says_when_the_run_folder_cannot_be_made),
    T(scan__refuses_windows_that_cannot_be_built),
};
CI_TEST_MAIN(tests)
