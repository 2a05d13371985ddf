#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#define _DEFAULT_SOURCE
#include "ci_test.h"

#include "csv/capture_files.h"

static char root[CI_PATH_MAX];
static ci_conf conf;

static int setup(void **state)
{
    (void)state;
    folder_new(root);
    conf_make(root, 4096, &conf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(root);
    return 0;
}

static void refused(ci_rc rc, const char *part)
{
    ci_plan p = {0};
    const ci_rc got = ci_csv_find(&conf, &p);

    if (got != rc) fail_msg("%s instead of %s: %s", ci_rc_name(got), ci_rc_name(rc), ci_message());
    assert_message_has(part);
    assert_null(p.capture);
}

static void list_add(ci_text_list *l, const char *item) { strcpy(l->item[l->n++], item); }

static void find__needs_root_set_and_folders(void **state)
{
    (void)state;
    refused(CI_ENOENT, "/s: there is no such folder (data.set)");
    strcat(conf.data.root, "/none");
    refused(CI_ENOENT, "/none: there is no such folder (data.root)");
    file_put_text(root, "file", "");
    snprintf(conf.data.root, sizeof conf.data.root, "%.200s/s/file", root);
    refused(CI_ENOENT, "not a folder (data.root)");
    snprintf(conf.data.root, sizeof conf.data.root, "%.200s", root);
    conf.data.set[0] = 0;
    refused(CI_ECONF, "data.set");
    strcpy(conf.data.set, "s");
    refused(CI_ENOENT, "/s: no folder train_*");
    list_add(&conf.data.train, "train_07");
    refused(CI_ENOENT, "/s/train_07: there is no such folder (data.train)");
    file_put_text(root, "train_07", "");
    refused(CI_ENOENT, "/s/train_07: not a folder (data.train)");
    assert_int_equal(ci_rc_exit(CI_ENOENT), 66);
}

static void find__refuses_an_empty_folder(void **state)
{
    (void)state;
    file_put_text(root, "train_01/readme.txt", "");
    file_put_text(root, "train_01/.hidden.csv", HEADER);
    refused(CI_ENOENT, "/s/train_01: no *.csv in it");
}

static void find__refuses_a_folder_named_as_a_file(void **state)
{
    (void)state;
    file_put_text(root, "train_01/x.csv/y", "");
    refused(CI_EDATA, "/s/train_01/x.csv: a folder, not a file");
    assert_int_equal(ci_rc_exit(CI_EDATA), 65);
}

static void find__refuses_a_simulation_that_was_not_finished(void **state)
{
    ci_plan p = {0};

    (void)state;
    file_put_text(root, "train_01/a.csv", HEADER "1.0,001,,0\n");
    file_put_text(root, "manifest.json", "{\"state\": \"SIMULATED\", \"complete\": false}");
    refused(CI_EDATA, "/s/manifest.json: this simulation was not finished");
    file_put_text(root, "manifest.json", "{\"state\": \"SIMULATED\", \"complete\": true}");
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_true(p.simulated);
    ci_plan_release(&p);
    file_put_text(root, "manifest.json", "{\"state\": \"of somebody else\"}");
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_false(p.simulated);
    ci_plan_release(&p);
}

static void find__refuses_what_it_may_not_read(void **state)
{
    char path[2 * CI_PATH_MAX];

    (void)state;
    if (geteuid() == 0) {
        print_message("root may read everything\n");
        skip();
    }
    file_put_text(root, "train_01/x.csv", HEADER);
    snprintf(path, sizeof path, "%s/s/train_01/x.csv", root);
    assert_int_equal(chmod(path, 0), 0);
    refused(CI_EPERM, "/s/train_01/x.csv: cannot open");
}

static void find__refuses_odd_folder_names(void **state)
{
    (void)state;
    file_put_text(root, "train_01/x.csv", HEADER);
    list_add(&conf.data.test, "train_01");
    refused(CI_ECONF, "data.train: empty");
    list_add(&conf.data.train, "train_01");
    refused(CI_ECONF, "'train_01' is named twice");
    strcpy(conf.data.test.item[0], "../s");
    refused(CI_ECONF, "data.test: '../s' is not the name of a folder");
}

static void find__refuses_names_that_the_plan_cannot_hold(void **state)
{
    (void)state;
    file_put_text(root, "train_01/caf\xc3\xa9.csv", "timestamp,arbitration_id,data_field,attack\n1.5,1,AA,0\n");
    file_put_text(root, "train_01/caf\xe9.csv", "timestamp,arbitration_id,data_field,attack\n1.5,1,AA,0\n");
    refused(CI_EDATA, "/s/train_01/caf\xe9.csv: not UTF-8");
}

static void find__sorts_captures_and_cuts_blocks(void **state)
{
    ci_plan p = {0};
    struct text t = capture_text(1, 500, "\n");
    int64_t end = 0;

    (void)state;
    file_put(root, "test_01/a.csv", t.at, t.n);
    file_put_text(root, "train_02/b.csv", HEADER "1,2,,0\n");
    file_put_text(root, "train_02/B.csv", "timestamp,arbitration_id,data_field\r\n1,2,\r\n");
    file_put_text(root, "train_01/empty.csv", "");
    file_put_text(root, "other/c.csv", HEADER);
    assert_int_equal(ci_csv_find(&conf, &p), CI_OK);
    assert_int_equal(p.n_folder, 3);
    assert_string_equal(p.folder[0].name, "train_01");
    assert_string_equal(p.folder[2].name, "test_01");
    assert_int_equal(p.folder[2].role, CI_TEST);
    assert_int_equal(p.n_capture, 4);
    assert_string_equal(p.capture[0].path, "train_01/empty.csv");
    assert_string_equal(p.capture[1].path, "train_02/B.csv");
    assert_string_equal(p.capture[2].path, "train_02/b.csv");
    assert_int_equal(p.capture[0].n_block, 1);
    assert_int_equal(p.capture[1].layout.columns, 3);
    assert_int_equal(p.capture[1].layout.crlf, 1);
    assert_int_equal(p.capture[2].layout.columns, 4);
    assert_int_equal(p.capture[3].bytes, t.n);
    assert_int_equal(p.capture[3].n_block, (t.n + 4095) / 4096);
    for (int32_t b = 3; b < p.n_block; b++, end += 4096) {
        assert_int_equal(p.block[b].capture, 3);
        assert_int_equal(p.block[b].offset, end);
    }
    assert_int_equal(p.block[p.n_block - 1].offset + p.block[p.n_block - 1].bytes, t.n);
    ci_plan_release(&p);
    free(t.at);
}

static void attack_type__is_the_first_name_that_occurs(void **state)
{
    static const struct {
        const char *path;
        int32_t type;
    } cases[] = {
        {"train_02_with_attacks/DoS-1.csv", 1},
        {"train_02_with_attacks/targeted_payload_fuzzing-2.csv", 2},
        {"test_02_unknown_vehicle_known_attack/fuzzing-Spark.csv", 2},
        {"t/force-neutral-3.csv", 3},
        {"t/rpm-accessory-1.csv", 12},
        {"t/rpm-1.csv", 4},
        {"t/flooding.csv", 5},
        {"t/malfunction-kia.csv", 6},
        {"t/double-1.csv", 7},
        {"t/triple-1.csv", 8},
        {"t/interval-1.csv", 9},
        {"t/speed-2.csv", 10},
        {"t/speed-accessory-2.csv", 11},
        {"t/standstill-1.csv", 13},
        {"t/systematic-4.csv", 14},
        {"t/suppress-1.csv", 15},
        {"t/masquerade-1.csv", 16},
        {"t/masquerade_timed-carA.csv", 20},
        {"t/correlated-carA.csv", 21},
        {"t/replay-carA.csv", 17},
        {"t/diagnostic-carA.csv", 18},
        {"t/mixed-kia.csv", 19},
        {"t/malfunction_replayed-carA.csv", 6},
        {"train_01_attack_free/attack-free-kia.csv", 0},
        {"train_02_with_attacks/accessory-1.csv", 0},
        {"train_01_attack_free/DoS.csv", 0}, /* "attack_free" stands before "dos" in the table */
    };

    (void)state;
    for (size_t i = 0; i < CI_COUNT(cases); i++)
        if (ci_attack_type(cases[i].path) != cases[i].type)
            fail_msg("%s: %d", cases[i].path, ci_attack_type(cases[i].path));
    assert_string_equal(ci_attack_name(6), "malfunction");
    assert_string_equal(ci_attack_name(12), "rpm_accessory");
    assert_string_equal(ci_attack_name(0), "none");
    assert_string_equal(ci_attack_name(99), "unknown");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(find__needs_root_set_and_folders, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_an_empty_folder, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_a_folder_named_as_a_file, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_a_simulation_that_was_not_finished, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_what_it_may_not_read, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_odd_folder_names, setup, teardown),
    cmocka_unit_test_setup_teardown(find__refuses_names_that_the_plan_cannot_hold, setup, teardown),
    cmocka_unit_test_setup_teardown(find__sorts_captures_and_cuts_blocks, setup, teardown),
    cmocka_unit_test(attack_type__is_the_first_name_that_occurs),
};
CI_TEST_MAIN(tests)
