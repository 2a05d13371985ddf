#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "ci_test.h"

#include "csv/capture_files.h"

static char root[CI_PATH_MAX], path[CI_PATH_MAX];

static int setup(void **state)
{
    (void)state;
    folder_new(root);
    snprintf(path, sizeof path, "%.900s/plan.json", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(root);
    return 0;
}

/* Two captures, three blocks, every number another one. */
static ci_plan plan_make(void)
{
    static const ci_folder folders[] = {{"train_01", CI_TRAIN}, {"test_01", CI_TEST}};
    ci_plan p = {.root = "data/s", .frames = 100, .rows = 101, .stride = 50, .n_folder = 2, .n_capture = 2,
                 .n_block = 3, .n_vocab = 2, .n_id = 3, .graphs = 30, .nodes = 300, .edges = 3000};

    p.folder = calloc(2, sizeof *p.folder);
    p.capture = calloc(2, sizeof *p.capture);
    p.block = calloc(3, sizeof *p.block);
    p.vocab = calloc(2, sizeof *p.vocab);
    p.id = calloc(3, sizeof *p.id);
    memcpy(p.folder, folders, sizeof folders);
    for (int i = 0; i < 2; i++) {
        ci_capture *c = &p.capture[i];
        snprintf(c->path, sizeof c->path, "%s/x%d.csv", folders[i].name, i);
        c->folder = i;
        c->same_as = -1;
        c->bytes = c->file_bytes = 10000 + i;
        c->hash = (ci_xxh){UINT64_C(0xfedcba9876543210) + (uint64_t)i, 1};
        c->layout = ci_layout_plain(4 - i);
        c->layout.crlf = i;
        c->sidecar = i;
        c->sidecar_hash = (ci_xxh){.lo = 5, .hi = 6 + i};
        c->n_id = 2 + i;
        c->attack_type = 7;
        c->first_graph = 10 * i;
        c->first_node = 100 * i;
        c->first_edge = 1000 * i;
        c->first_block = i;
        c->n_block = 1 + i;
        c->count = (ci_count){.rows = 100 + i, .attack_rows = 3, .back = 4, .equal = 5,
                              .by_len = {1, 2, 3, 4, 5, 6, 7, 8, 9}, .sum_id = INT64_C(1) << 40,
                              .sum_byte = 6, .first_attack = -1, .last_attack = 8, .switches = 9,
                              .t_first = 1513920254785127001, .t_last = INT64_MAX,
                              .id_min = 1, .id_max = 0x9fffffff, .label_first = -1,
                              .label_last = 1, .graphs = 11, .attack_graphs = 12, .nodes = 13, .edges = 14};
    }
    for (int i = 0; i < 3; i++)
        p.block[i] = (ci_block){.capture = i > 0, .offset = i == 2 ? 4096 : 0, .bytes = 4096 - i,
                                .first_line = i + 1, .first_row = i, .rows = 50 + i, .first_graph = 7 + i, .graphs = i,
                                .first_node = 70 + i, .nodes = 5 * i,
                                .first_edge = 80 + i, .edges = 9 * i, .hash = {(uint64_t)i, 2}};
    p.vocab[0] = 5;
    p.vocab[1] = 0x98da0001;
    p.id[0] = 5;
    p.id[1] = 0x7ff;
    p.id[2] = 0x98da0001;
    return p;
}

static void plan__reads_back_what_it_wrote(void **state)
{
    ci_plan p = plan_make(), q = {0};
    char a[CI_SHA256_HEX], b[CI_SHA256_HEX];

    (void)state;
    assert_int_equal(ci_plan_write(&p, path), CI_OK);
    assert_int_equal(ci_plan_read(path, &q), CI_OK);
    assert_string_equal(p.root, q.root);
    assert_int_equal(q.frames, 100);
    assert_int_equal(q.stride, 50);
    assert_int_equal(q.graphs, 30);
    assert_int_equal(q.nodes, 300);
    assert_int_equal(q.edges, 3000);
    assert_int_equal(q.rows, 101);
    assert_int_equal(q.n_folder, 2);
    assert_int_equal(q.n_block, 3);
    assert_memory_equal(p.folder, q.folder, 2 * sizeof *p.folder);
    assert_memory_equal(p.capture, q.capture, 2 * sizeof *p.capture);
    assert_memory_equal(p.block, q.block, 3 * sizeof *p.block);
    assert_memory_equal(p.vocab, q.vocab, 2 * sizeof *p.vocab);
    assert_memory_equal(p.id, q.id, 3 * sizeof *p.id);
    ci_plan_digest(&p, a);
    ci_plan_digest(&q, b);
    assert_string_equal(a, b);
    ci_plan_release(&p);
    ci_plan_release(&q);
}

static void plan__refuses_what_is_missing_changed_or_another(void **state)
{
    ci_plan p = plan_make(), q = {0};
    FILE *f;

    (void)state;
    assert_int_equal(ci_plan_read(path, &q), CI_ENOENT);
    assert_int_equal(ci_plan_write(&p, path), CI_OK);
    f = fopen(path, "r+");
    fputc('[', f);
    fclose(f);
    assert_int_equal(ci_plan_read(path, &q), CI_EFORMAT);
    assert_int_equal(ci_commit_bytes(path, "{\"what\":\"canids plan\",\"version\":99}", 35), CI_OK);
    assert_int_equal(ci_plan_read(path, &q), CI_EFORMAT);
    assert_message_has("version 99");
    assert_int_equal(ci_commit_bytes(path, "{}", 2), CI_OK);
    assert_int_equal(ci_plan_read(path, &q), CI_EFORMAT);
    p.capture[1].folder = 2; /* points at nothing */
    assert_int_equal(ci_plan_write(&p, path), CI_OK);
    assert_int_equal(ci_plan_read(path, &q), CI_EFORMAT);
    assert_message_has("capture 1");
    p.capture[1].folder = 1;
    p.block[2].bytes = 1 << 20; /* beyond the file */
    assert_int_equal(ci_plan_write(&p, path), CI_OK);
    assert_int_equal(ci_plan_read(path, &q), CI_EFORMAT);
    assert_message_has("block 2");
    assert_null(q.capture);
    ci_plan_release(&p);
}

static void plan_digest__sees_content_and_nothing_else(void **state)
{
    ci_plan p = plan_make();
    char a[CI_SHA256_HEX], b[CI_SHA256_HEX];

    (void)state;
    ci_plan_digest(&p, a);
    strcpy(p.root, "elsewhere");
    p.block[1].bytes = 5;
    ci_plan_digest(&p, b);
    assert_string_equal(a, b);
    p.vocab[1]++;
    ci_plan_digest(&p, b);
    assert_string_not_equal(a, b);
    p.vocab[1]--;
    p.capture[0].hash.hi++;
    ci_plan_digest(&p, b);
    assert_string_not_equal(a, b);
    p.capture[0].hash.hi--;
    p.stride++;
    ci_plan_digest(&p, b);
    assert_string_not_equal(a, b);
    ci_plan_release(&p);
}

/* Files of 10 GB, of 1 KB by the thousand and of 50 MB in between, as find cuts them. */
static ci_plan plan_of_sizes(void)
{
    enum { FILES = 2 + 10000 + 40 };
    const int64_t piece = 4 << 20;
    ci_plan p = {.n_capture = FILES, .capture = calloc(FILES, sizeof *p.capture), .block = calloc(20000, sizeof *p.block)};

    for (int32_t c = 0; c < FILES; c++) {
        const int64_t bytes = c % 5021 == 0 ? (int64_t)10 << 30 : c < 10002 ? 1000 + c % 48 : (int64_t)50 << 20;
        for (int64_t at = 0; at < bytes; at += piece)
            p.block[p.n_block++] = (ci_block){.capture = c, .offset = at, .bytes = CI_MIN(piece, bytes - at)};
    }
    assert_in_range(p.n_block, 15000, 20000);
    return p;
}

static void plan_part__keeps_long_and_short_captures_in_balance(void **state)
{
    static const int sizes[] = {1, 2, 3, 5, 64};
    ci_plan p = plan_of_sizes();
    bool *skip = calloc((size_t)p.n_capture, sizeof *skip);

    (void)state;
    for (int but = 0; but < 2; but++) {
        int64_t whole = 0;
        for (int32_t c = 0; c < p.n_capture; c++) skip[c] = but && c % 3 == 0; /* one of the two of 10 GB among them */
        for (int32_t b = 0; b < p.n_block; b++)
            if (!skip[p.block[b].capture]) whole += p.block[b].bytes + (p.block[b].offset == 0 ? CI_PLAN_OPEN : 0);
        for (size_t i = 0; i < CI_COUNT(sizes); i++) {
            const int n = sizes[i];
            for (int r = 0; r < n; r++) {
                int64_t bytes = 0, files = 0;
                for (int32_t b = ci_plan_part_but(&p, skip, r, n); b < ci_plan_part_but(&p, skip, r + 1, n); b++) {
                    if (skip[p.block[b].capture]) continue;
                    bytes += p.block[b].bytes;
                    files += p.block[b].offset == 0;
                }
                assert_true(bytes + files * CI_PLAN_OPEN <= whole / n + (4 << 20) + CI_PLAN_OPEN + 1);
            }
        }
    }
    free(skip);
    ci_plan_release(&p);
}

static void plan_part__gives_every_block_to_one_rank(void **state)
{
    ci_plan p = plan_make();

    (void)state;
    for (int n = 1; n <= 7; n++) {
        assert_int_equal(ci_plan_part(&p, 0, n), 0);
        assert_int_equal(ci_plan_part(&p, n, n), p.n_block);
        for (int r = 0; r < n; r++)
            assert_true(ci_plan_part(&p, r, n) <= ci_plan_part(&p, r + 1, n));
    }
    assert_int_equal(ci_plan_part(&p, 1, 3), 1); /* three blocks of nearly equal size */
    assert_int_equal(ci_plan_part(&p, 2, 3), 2);
    ci_plan_release(&p);
}

static void rejects__are_escaped_and_cut(void **state)
{
    ci_plan p = plan_make();
    ci_rejects r = {0};
    char long_value[200], message[4096], *csv;
    const ci_fault fault = {CI_KIND_PAYLOAD, 7, 0, 5}, longer = {CI_KIND_ID, 0, 0, 200};
    size_t n = 0;

    (void)state;
    memset(long_value, 'x', sizeof long_value);
    assert_int_equal(ci_rejects_add(&r, CI_POLICY_FAIL, 0, 19, 540, "a\"\t\0z", &fault), CI_OK);
    assert_int_equal(ci_rejects_add(&r, CI_POLICY_FAIL, 1, 1, 0, long_value, &longer), CI_OK);
    csv = ci_rejects_csv(&p, &r, &n);
    assert_non_null(strstr(csv, "\"train_01/x0.csv\",19,8,540,payload,\"a\"\"\\x09\\x00z\",\"not hex"));
    assert_non_null(strstr(csv, "xxx...\""));
    assert_int_equal(n, strlen(csv));
    free(csv);
    ci_reject_text(&p, r.item, message, sizeof message);
    assert_string_equal(message,
                        "data/s/train_01/x0.csv:19:8: payload: 'a\"\\x09\\x00z': not hexadecimal");
    for (int i = 0; i < 2000; i++)
        assert_int_equal(ci_rejects_add(&r, CI_POLICY_FAIL, 1, i, i, "", &(ci_fault){.kind = CI_KIND_BLANK}), CI_OK);
    assert_int_equal(r.n, CI_REJECT_MAX);
    assert_int_equal(r.total, 2002);
    ci_rejects_release(&r);
    ci_plan_release(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(plan__reads_back_what_it_wrote, setup, teardown),
    cmocka_unit_test_setup_teardown(plan__refuses_what_is_missing_changed_or_another, setup,
                                    teardown),
    cmocka_unit_test(plan_digest__sees_content_and_nothing_else),
    cmocka_unit_test(plan_part__keeps_long_and_short_captures_in_balance),
    cmocka_unit_test(plan_part__gives_every_block_to_one_rank),
    cmocka_unit_test(rejects__are_escaped_and_cut),
};
CI_TEST_MAIN(tests)
