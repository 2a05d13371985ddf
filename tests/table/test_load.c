#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "ci_test.h"

#include "ci/table.h"
#include "csv/capture_files.h"

static const ci_contract strict;

enum { ROWS = 30000 }; /* about 1 MB: several pieces of the reader */

static char root[CI_PATH_MAX];
static ci_conf conf;
static ci_frame frames[ROWS];

static int setup(void **state)
{
    (void)state;
    folder_new(root);
    frames_make(3, ROWS, frames);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(root);
    return 0;
}

static void assert_row(const ci_table *t, ci_lid i, const ci_frame *f)
{
    if (t->t_ns[i] != f->t_ns || t->id[i] != f->id || t->data[i] != f->data
        || t->len[i] != f->len || t->attack[i] != f->attack)
        fail_msg("row %lld is not what was written", (long long)(t->first_row + i));
}

/* Read every block as scan does, complete the plan with what it found. */
static void plan_complete(ci_loader *l, ci_plan *p, ci_rejects *rejects)
{
    ci_table t = {0};
    int64_t row = 0;

    for (int32_t b = 0; b < p->n_block; b++) {
        p->block[b].first_row = row;
        p->block[b].first_line = p->block[b].offset ? row + 2 : 1;
        assert_int_equal(ci_table_scan(l, p, b, 0, &t, rejects, &p->block[b].hash), CI_OK);
        p->block[b].rows = t.n_own;
        row += t.n_own;
    }
    ci_table_release(&t);
}

/* Write the frames as one capture in a given style and find them again in blocks. */
static void blocks_give_all_rows(int64_t block, ci_lid halo, const char *end, const char *tail)
{
    struct text text = capture_text(3, ROWS, end);
    ci_plan p = {0};
    ci_loader *l = NULL;
    ci_table t = {0};
    ci_rejects rejects = {0};
    int64_t row = 0;

    if (strcmp(tail, "cut") == 0)
        text.n -= strlen(end); /* no newline at the end */
    else
        text_add(&text, "%s", tail);
    file_put(root, "train_01/x.csv", text.at, text.n);
    conf_make(root, block, &conf);
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_int_equal(ci_loader_create(&strict, &l), CI_OK);
    plan_complete(l, &p, &rejects);
    assert_int_equal(rejects.total, 0);
    for (int32_t b = 0; b < p.n_block; b++) {
        if (ci_table_load(l, &p, b, halo, &t) != CI_OK) fail_msg("%s", ci_message());
        assert_int_equal(t.first_row, row);
        assert_int_equal(t.n, CI_MIN(t.n_own + halo, ROWS - row));
        for (ci_lid i = 0; i < t.n; i++) assert_row(&t, i, &frames[row + i]);
        row += t.n_own;
    }
    assert_int_equal(row, ROWS);
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
    free(text.at);
}

static void load__gives_every_row_once(void **state)
{
    (void)state;
    blocks_give_all_rows(4 << 20, 0, "\n", "");
    blocks_give_all_rows(300000, 99, "\n", "");
    blocks_give_all_rows(4096, 99, "\n", "");
    blocks_give_all_rows(4097, 5000, "\n", ""); /* a halo over many blocks */
    blocks_give_all_rows(50, 1, "\n", "");      /* blocks in which no row begins */
}

static void load__takes_any_line_end(void **state)
{
    (void)state;
    blocks_give_all_rows(4099, 7, "\r\n", "");
    blocks_give_all_rows(4099, 7, "\r\n", "\r\n");
    blocks_give_all_rows(4099, 7, "\n", "\n"); /* a blank last line */
    blocks_give_all_rows(4099, 7, "\n", "cut");
    blocks_give_all_rows(4 << 20, 7, "\r\n", "cut");
}

static void load__gives_all_rows_with_every_instruction_set(void **state)
{
    static const char *const isas[] = {"generic", "avx2", "avx512"};

    (void)state;
    for (size_t i = 0; i < CI_COUNT(isas); i++)
        if (ci_csv_isa(isas[i])) blocks_give_all_rows(100000, 10, "\n", "");
    ci_csv_isa("auto");
}

/* One small capture, scanned, then changed to `text`; what loading it says. */
static ci_rc after_change(const char *text)
{
    ci_plan p = {0};
    ci_loader *l = NULL;
    ci_table t = {0};
    ci_rejects rejects = {0};
    ci_rc rc;

    file_put_text(root, "train_01/x.csv", HEADER "1.5,1,AA,0\n2.5,2,BB,1\n");
    conf_make(root, 4096, &conf);
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_int_equal(ci_loader_create(&strict, &l), CI_OK);
    plan_complete(l, &p, &rejects);
    assert_int_equal(ci_table_load(l, &p, 0, 9, &t), CI_OK);
    assert_int_equal(t.n, 2);
    file_put_text(root, "train_01/x.csv", text);
    rc = ci_table_load(l, &p, 0, 9, &t);
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
    return rc;
}

static void load__sees_that_a_file_changed(void **state)
{
    (void)state;
    assert_int_equal(after_change(HEADER "1.5,1,AA,0\n"), CI_EIO); /* shorter */
    assert_message_has("the file changed");
    assert_int_equal(after_change(HEADER "1.5,1,AA,0\n2.5,2,BC,1\n"), CI_EIO); /* one digit */
    assert_message_has("the file changed");
    assert_int_equal(after_change(HEADER "1.5,1,AA,0\n2.5,2,BB,7\n"), CI_EDATA);
    assert_message_has("/s/train_01/x.csv:3:10: label: '7'");
    assert_int_equal(after_change(HEADER "1.5,1,AA,0\n2.5,2,BB,1\n"), CI_OK);
}

static void load__says_when_a_file_is_gone(void **state)
{
    ci_plan p = {0};
    ci_loader *l = NULL;
    ci_table t = {0};
    char path[CI_PATH_MAX];

    (void)state;
    file_put_text(root, "train_01/x.csv", HEADER "1.5,1,AA,0\n");
    conf_make(root, 4096, &conf);
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_int_equal(ci_plan_path(&p, 0, path), CI_OK);
    assert_int_equal(remove(path), 0);
    assert_int_equal(ci_loader_create(&strict, &l), CI_OK);
    assert_int_equal(ci_table_load(l, &p, 0, 9, &t), CI_ENOENT);
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
}

static void scan__rejects_rows_and_goes_on(void **state)
{
    ci_plan p = {0};
    ci_loader *l = NULL;
    ci_table t = {0};
    ci_rejects r = {0};
    ci_xxh hash;

    (void)state;
    file_put_text(root, "train_01/x.csv",
                  HEADER "1.5,1,AA,0\n\n2.5,2,BB,3\n3.5,2,BB,1\n4.5,2,B,1\n5.5,2");
    conf_make(root, 4096, &conf);
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_int_equal(ci_loader_create(&strict, &l), CI_OK);
    assert_int_equal(ci_table_scan(l, &p, 0, 9, &t, &r, &hash), CI_OK);
    assert_int_equal(t.n_own, 2);
    assert_int_equal(r.total, 4);
    assert_int_equal(r.item[0].kind, CI_KIND_BLANK);
    assert_int_equal(r.item[0].line, 3);
    assert_int_equal(r.item[1].kind, CI_KIND_LABEL);
    assert_int_equal(r.item[1].line, 4);
    assert_int_equal(r.item[2].kind, CI_KIND_PAYLOAD_ODD);
    assert_int_equal(r.item[2].line, 6);
    assert_int_equal(r.item[3].kind, CI_KIND_COLUMNS);
    assert_int_equal(r.item[3].line, 7);
    assert_int_equal(r.item[3].column, 6);
    ci_rejects_release(&r);
    ci_table_release(&t);
    ci_loader_destroy(&l);
    ci_plan_release(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(load__gives_every_row_once, setup, teardown),
    cmocka_unit_test_setup_teardown(load__takes_any_line_end, setup, teardown),
    cmocka_unit_test_setup_teardown(load__gives_all_rows_with_every_instruction_set, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(load__sees_that_a_file_changed, setup, teardown),
    cmocka_unit_test_setup_teardown(load__says_when_a_file_is_gone, setup, teardown),
    cmocka_unit_test_setup_teardown(scan__rejects_rows_and_goes_on, setup, teardown),
};
CI_TEST_MAIN(tests)
