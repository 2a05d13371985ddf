/* RANKS: 1 2 3 5 */
/* Small captures in a folder that all ranks share; rank 0 looks at what was written. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ci/arena.h"
#include "ci/conf.h"
#include "ci/json.h"
#include "ci/log.h"
#include "ci/signal.h"
#include "ci/sim.h"
#include "ci/types.h"
#include "sim/sim_priv.h"

static const ci_comm *comm;
static char root[200];
static ci_conf conf; /* of the set that group_setup wrote: <root>/sim */

static void conf_small(const char *set, ci_conf *out)
{
    const char *const with[] = {"sim.seconds=4", "sim.seed=7"};

    assert_int_equal(ci_conf_read(NULL, with, CI_COUNT(with), out), CI_OK);
    snprintf(out->data.root, sizeof out->data.root, "%s", root);
    snprintf(out->data.set, sizeof out->data.set, "%s", set);
}

static void path_of(const ci_conf *c, const char *name, char out[CI_PATH_MAX])
{
    snprintf(out, CI_PATH_MAX, "%s/%s/%s", c->data.root, c->data.set, name);
}

/* ---- one file, read by code that shares nothing with the simulator's */

struct seen {
    int64_t rows, attack_rows, bytes;
    double first_s, last_s, first_attack_s;
    int ids, benign_ids;
    uint8_t id[0x800]; /* 1: in benign rows, 2: in attack rows */
};

static void read_row(const char *line, struct seen *s)
{
    unsigned whole, part, id, label;
    char data[32] = "", again[80];
    double t;

    if (sscanf(line, "%10u.%6u,%3X,,%1u", &whole, &part, &id, &label) != 4)
        assert_int_equal(sscanf(line, "%10u.%6u,%3X,%31[0-9A-F],%1u", &whole, &part, &id, data,
                                &label), 5);
    snprintf(again, sizeof again, "%010u.%06u,%03X,%s,%u\n", whole, part, id, data, label);
    assert_string_equal(line, again);
    assert_true(strlen(data) % 2 == 0 && strlen(data) <= 16 && id <= 0x7FF && label <= 1);
    t = whole + part * 1e-6;
    if (s->rows == 0) s->first_s = t;
    else assert_true(t >= s->last_s + 93e-6); /* the shortest frame takes 94 us */
    s->last_s = t;
    if (label && s->attack_rows == 0) s->first_attack_s = t;
    s->rows++;
    s->attack_rows += label;
    s->id[id] |= label ? 2 : 1;
}

static void read_file(const char *path, struct seen *s)
{
    char line[128];
    FILE *f = fopen(path, "r");

    *s = (struct seen){0};
    if (!f) fail_msg("%s is missing", path);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "timestamp,arbitration_id,data_field,attack\n");
    while (fgets(line, sizeof line, f)) read_row(line, s);
    fseek(f, 0, SEEK_END);
    s->bytes = ftell(f);
    fclose(f);
    for (int k = 0; k < 0x800; k++) {
        s->ids += s->id[k] != 0;
        s->benign_ids += s->id[k] & 1;
    }
}

static const struct { const char *path, *attack; } expected[] = {
    {"train_01_attack_free/attack-free-carA.csv", "none"},
    {"train_01_attack_free/attack-free-carB.csv", "none"},
    {"train_02_with_attacks/attack-free-carA.csv", "none"},
    {"train_02_with_attacks/attack-free-carB.csv", "none"},
    {"train_02_with_attacks/DoS-carA.csv", "DoS"},
    {"train_02_with_attacks/fuzzing-carB.csv", "fuzzing"},
    {"test_01_known_vehicle_known_attack/fuzzing-carA.csv", "fuzzing"},
    {"test_01_known_vehicle_known_attack/DoS-carB.csv", "DoS"},
    {"test_02_unknown_vehicle_known_attack/DoS-carC.csv", "DoS"},
    {"test_02_unknown_vehicle_known_attack/fuzzing-carC.csv", "fuzzing"},
    {"test_03_known_vehicle_unknown_attack/malfunction-carA.csv", "malfunction"},
    {"test_03_known_vehicle_unknown_attack/malfunction-carB.csv", "malfunction"},
    {"test_04_unknown_vehicle_unknown_attack/malfunction-carC.csv", "malfunction"},
};

static void rows__are_well_formed_and_labelled(void **state)
{
    (void)state;
    for (size_t k = 0; k < CI_COUNT(expected) && comm->rank == 0; k++) {
        char path[CI_PATH_MAX];
        struct seen s;

        path_of(&conf, expected[k].path, path);
        read_file(path, &s);
        assert_true(s.rows > 1000);
        assert_true(s.last_s - s.first_s > 3 && s.last_s - s.first_s <= 4.001);
        if (!strcmp(expected[k].attack, "none")) {
            assert_int_equal(s.attack_rows, 0);
            continue;
        }
        assert_true(s.attack_rows > 200 && s.attack_rows < s.rows / 2);
        assert_true(s.first_attack_s - s.first_s >= .2 * 4);
        if (!strcmp(expected[k].attack, "DoS")) {
            assert_int_equal(s.id[0], 2);
            assert_int_equal(s.ids, s.benign_ids + 1);
        } else if (!strcmp(expected[k].attack, "fuzzing")) {
            assert_true(s.ids > s.benign_ids + 200);
        } else { /* one identifier, the vehicle's own */
            int forged = 0;

            for (int id = 0; id < 0x800; id++) forged += s.id[id] >> 1;
            assert_int_equal(forged, 1);
            assert_int_equal(s.ids, s.benign_ids);
        }
    }
}

/* Nothing but the expected files, their records and the manifest. */
static void folders__hold_the_expected_files_only(void **state)
{
    int n = 0;

    (void)state;
    for (int k = 0; k < 6 && comm->rank == 0; k++) {
        char path[CI_PATH_MAX];
        DIR *dir;
        const struct dirent *e;

        path_of(&conf, ci_sim_folder[k], path);
        assert_non_null(dir = opendir(path));
        while ((e = readdir(dir))) n += e->d_name[0] != '.';
        closedir(dir);
    }
    assert_int_equal(n, comm->rank == 0 ? (int)CI_COUNT(expected) : 0);
}

static void vehicles__have_20_to_100_identifiers_of_their_own(void **state)
{
    struct seen *s = calloc(4, sizeof *s);

    (void)state;
    assert_non_null(s);
    for (int car = 0; car < 3 && comm->rank == 0; car++) {
        char name[128], path[CI_PATH_MAX];

        snprintf(name, sizeof name, car < 2 ? "train_01_attack_free/attack-free-car%c.csv"
                 : "test_04_unknown_vehicle_unknown_attack/malfunction-car%c.csv", 'A' + car);
        path_of(&conf, name, path);
        read_file(path, &s[car]);
        assert_in_range(s[car].ids, 20, 100);
        for (int other = 0; other < car; other++) {
            int shared = 0;

            for (int id = 0; id < 0x800; id++) shared += s[car].id[id] && s[other].id[id];
            assert_true(shared < s[car].ids / 2);
        }
    }
    free(s);
}

static void sha_of(const ci_conf *c, const char *name, char out[CI_SHA256_HEX])
{
    char path[CI_PATH_MAX];

    path_of(c, name, path);
    assert_int_equal(ci_commit_check(path, out), CI_OK);
}

static void copies__are_identical_and_nothing_else_is(void **state)
{
    char sha[CI_COUNT(expected)][CI_SHA256_HEX];

    (void)state;
    if (comm->rank) return;
    for (size_t k = 0; k < CI_COUNT(expected); k++) {
        sha_of(&conf, expected[k].path, sha[k]);
        for (size_t j = 0; j < k; j++)
            assert_int_equal(!strcmp(sha[j], sha[k]), k == j + 2 && (k == 2 || k == 3));
    }
}

static void manifest__says_what_is_there(void **state)
{
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX];
    ci_json *j = NULL, *files;

    (void)state;
    if (comm->rank) return;
    sha_of(&conf, "manifest.json", sha);
    path_of(&conf, "manifest.json", path);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    assert_string_equal(ci_json_get_str(j, "state"), "SIMULATED");
    assert_true(ci_json_get_bool(j, "complete"));
    assert_int_equal(ci_json_get_int(j, "seed"), 7);
    files = ci_json_get(j, "files");
    assert_int_equal(ci_json_len(files), CI_COUNT(expected));
    for (size_t k = 0; k < CI_COUNT(expected); k++) {
        const ci_json *f = ci_json_at(files, k);
        const char *name = ci_json_get_str(f, "path");
        size_t at = 0;
        struct seen s;

        while (at < CI_COUNT(expected) && strcmp(expected[at].path, name)) at++;
        assert_true(at < CI_COUNT(expected));
        path_of(&conf, name, path);
        read_file(path, &s);
        sha_of(&conf, name, sha);
        assert_int_equal(ci_json_get_int(f, "rows"), s.rows);
        assert_int_equal(ci_json_get_int(f, "attack_rows"), s.attack_rows);
        assert_int_equal(ci_json_get_int(f, "bytes"), s.bytes);
        assert_string_equal(ci_json_get_str(f, "sha256"), sha);
        assert_string_equal(ci_json_get_str(f, "attack"), expected[at].attack);
        assert_non_null(strstr(name, ci_json_get_str(f, "vehicle")));
    }
    ci_json_free(&j);
}

/* Rank 0 alone makes every recording again, backwards, each in three pieces of no particular length. */
static void bytes__do_not_depend_on_ranks_and_slices(void **state)
{
    static const int64_t cut[] = {0, 1234567, 3000001, 4000000};
    recording *r = NULL;
    int32_t n = 0;
    bus *b = NULL;
    lines x = {0};

    (void)state;
    if (comm->rank) return;
    assert_int_equal(ci_sim_bus_new(&b), CI_OK);
    assert_int_equal(ci_sim_plan(&conf, &r, &n), CI_OK);
    assert_int_equal(n, CI_COUNT(expected));
    for (int32_t k = n - 1; k >= 0; k--) {
        char sha[CI_SHA256_HEX], again[CI_SHA256_HEX];

        ci_sim_text_clear(&x);
        assert_int_equal(ci_sim_text_header_put(&x), CI_OK);
        ci_sim_bus_load(&conf, &r[k], b);
        for (size_t i = 1; i < CI_COUNT(cut); i++)
            assert_int_equal(ci_sim_bus_run(b, cut[i - 1], cut[i], &x), CI_OK);
        sha_of(&conf, r[k].path, sha);
        ci_sha256_of(x.bytes, x.used, again);
        assert_string_equal(again, sha);
    }
    ci_sim_text_release(&x);
    ci_sim_bus_free(&b);
    free(r);
}

static ci_xxh hash_of_slices(bus *b, int64_t slice_us, lines *x)
{
    ci_sim_text_clear(x);
    for (int64_t at = 0; at < b->all_us; at += slice_us)
        assert_int_equal(ci_sim_bus_run(b, at, CI_MIN(at + slice_us, b->all_us), x), CI_OK);
    return ci_xxh_of(x->bytes, x->used);
}

/* Every attack, vehicles of 1, 150 and 100 identifiers, buses of three speeds, many bursts with short pauses.
   Of these a suppressed message is the only one for a second, and two replays are late for seconds. */
static void slices__of_any_length_give_the_same_bytes(void **state)
{
    static const int64_t slice_us[] = {SLICE_US, 3333333, 777777};
    static const struct { int32_t vehicle, ids, bitrate; } of[] = {{4, 1, 50000}, {2, 150, 1000000}, {4, 100, 500000}};
    ci_conf c = conf;
    bus *b = NULL;
    lines x = {0};

    (void)state;
    if (comm->size > 1) return;
    assert_int_equal(ci_sim_bus_new(&b), CI_OK);
    c.sim.seconds = 40;
    c.sim.attack_share = .5;
    for (int a = ATTACK_NONE; a < ATTACK_COUNT; a++)
        for (size_t v = 0; v < CI_COUNT(of); v++) {
            const recording r = {.vehicle = of[v].vehicle, .capture = 1 + a, .attack = (attack)a};
            ci_xxh whole, cut;

            c.sim.ids_min = c.sim.ids_max = of[v].ids;
            c.sim.bitrate = of[v].bitrate;
            ci_sim_bus_load(&c, &r, b);
            whole = hash_of_slices(b, b->all_us, &x);
            for (size_t k = 0; k < CI_COUNT(slice_us); k++) {
                cut = hash_of_slices(b, slice_us[k], &x);
                if (cut.lo != whole.lo || cut.hi != whole.hi)
                    fail_msg("%s, %d identifiers, slices of %d us", ci_sim_attack_name(r.attack), of[v].ids, (int)slice_us[k]);
            }
        }
    ci_sim_text_release(&x);
    ci_sim_bus_free(&b);
}

static void seed__changes_every_file(void **state)
{
    ci_conf other;

    (void)state;
    conf_small("seed8", &other);
    other.sim.seed = 8;
    assert_int_equal(ci_sim(comm, &other), CI_OK);
    for (size_t k = 0; k < CI_COUNT(expected) && comm->rank == 0; k++) {
        char a[CI_SHA256_HEX], b[CI_SHA256_HEX];

        sha_of(&conf, expected[k].path, a);
        sha_of(&other, expected[k].path, b);
        assert_string_not_equal(a, b);
    }
}

static void sim__replaces_an_earlier_set_and_removes_what_is_obsolete(void **state)
{
    ci_conf c;
    char path[CI_PATH_MAX], sha[CI_SHA256_HEX], want[CI_SHA256_HEX];

    (void)state;
    conf_small("again", &c);
    c.sim.vehicles = 4;
    assert_int_equal(ci_sim(comm, &c), CI_OK);
    path_of(&c, "train_01_attack_free/attack-free-carC.csv", path);
    if (comm->rank == 0) assert_int_equal(ci_commit_check(path, NULL), CI_OK);
    c.sim.vehicles = 3;
    assert_int_equal(ci_sim(comm, &c), CI_OK);
    if (comm->rank) return;
    assert_int_equal(ci_commit_check(path, NULL), CI_ENOENT);
    assert_int_equal(access(path, F_OK), -1);
    for (size_t k = 0; k < CI_COUNT(expected); k++) {
        sha_of(&c, expected[k].path, sha);
        sha_of(&conf, expected[k].path, want);
        assert_string_equal(sha, want);
    }
}

static void sim__refuses_a_folder_that_no_simulation_wrote(void **state)
{
    ci_conf c;
    char path[CI_PATH_MAX];
    struct stat st;

    (void)state;
    conf_small("precious", &c);
    path_of(&c, "train_01_attack_free", path);
    if (comm->rank == 0) assert_int_equal(ci_make_dir(path), CI_OK);
    assert_int_equal(ci_sim(comm, &c), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "train_01_attack_free"));
    path_of(&c, "train_02_with_attacks", path);
    assert_int_equal(stat(path, &st), -1);
    path_of(&c, "manifest.json", path);
    if (comm->rank == 0)
        assert_int_equal(ci_commit_bytes(path, "{\"files\": []}\n", 14), CI_OK);
    assert_int_equal(ci_sim(comm, &c), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "no simulation"));
}

static void sim__says_when_it_cannot_create(void **state)
{
    ci_conf c;

    (void)state;
    conf_small("file/set", &c);
    if (comm->rank == 0) {
        char path[CI_PATH_MAX];

        snprintf(path, sizeof path, "%s/file", root);
        close(open(path, O_WRONLY | O_CREAT, 0666));
    }
    assert_int_equal(ci_sim(comm, &c), CI_ECREATE);
}

/* The last rank may not write files as long as a capture. */
static void sim__fails_everywhere_when_one_rank_cannot_write(void **state)
{
    ci_conf c;
    struct rlimit was, now;
    char path[CI_PATH_MAX];
    ci_json *j = NULL;
    ci_rc rc;

    (void)state;
    conf_small("full", &c);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    now = was;
    now.rlim_cur = 100000;
    if (comm->rank == comm->size - 1) assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    rc = ci_sim(comm, &c);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(rc, CI_EIO);
    assert_non_null(strstr(ci_message(), "cannot write"));
    if (comm->rank) return;
    path_of(&c, "manifest.json", path);
    assert_int_equal(ci_commit_check(path, NULL), CI_OK);
    assert_int_equal(ci_json_load(path, &j), CI_OK);
    assert_false(ci_json_get_bool(j, "complete"));
    ci_json_free(&j);
}

static void sim__stops_everywhere_when_one_rank_gets_a_signal(void **state)
{
    ci_conf c;

    (void)state;
    conf_small("signal", &c);
    ci_signal_setup();
    if (comm->rank == comm->size - 1) raise(SIGUSR1);
    assert_int_equal(ci_sim(comm, &c), CI_ETEMP);
    ci_signal_clear();
    assert_int_equal(ci_sim(comm, &c), CI_OK);
}

static void sim__refuses_settings_that_do_not_fit(void **state)
{
    ci_conf c;

    (void)state;
    conf_small("never", &c);
    c.sim.vehicles = 1;
    assert_int_equal(ci_sim(comm, &c), CI_ECONF);
    conf_small("never", &c);
    c.sim.attack_share = .8;
    assert_int_equal(ci_sim(comm, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "0.8"));
    conf_small("never", &c);
    c.sim.ids_min = 101;
    assert_int_equal(ci_sim(comm, &c), CI_ECONF);
    conf_small("never", &c);
    c.sim.ids_max = 0x800;
    assert_int_equal(ci_sim(comm, &c), CI_ECONF);
    conf_small("never", &c);
    c.sim.seconds = NAN;
    assert_int_equal(ci_sim(comm, &c), CI_ECONF);
}

static void sim__takes_the_smallest_and_the_largest_fleet(void **state)
{
    ci_conf c;
    char path[CI_PATH_MAX];
    struct seen s;

    (void)state;
    conf_small("fleet", &c);
    c.sim.vehicles = 2;
    c.sim.ids_min = c.sim.ids_max = 1;
    c.sim.attack_share = 0;
    assert_int_equal(ci_sim(comm, &c), CI_OK);
    path_of(&c, "test_01_known_vehicle_known_attack/DoS-carA.csv", path);
    if (comm->rank == 0) {
        read_file(path, &s);
        assert_int_equal(s.ids, 1);
        assert_int_equal(s.attack_rows, 0);
    }
    c.sim.vehicles = 28;
    c.sim.ids_min = c.sim.ids_max = 2000;
    c.sim.attack_share = .7;
    c.sim.seconds = 1;
    assert_int_equal(ci_sim(comm, &c), CI_OK);
    path_of(&c, "test_04_unknown_vehicle_unknown_attack/malfunction-car28.csv", path);
    if (comm->rank == 0) {
        read_file(path, &s);
        assert_true(s.ids > 1000 && s.attack_rows > 0);
    }
}

static int group_setup(void **state)
{
    (void)state;
    comm = ci_test_comm;
    ci_log_setup(comm->rank, comm->size, CI_WARN);
    snprintf(root, sizeof root, "%s/canids_sim_XXXXXX", ci_test_tmp());
    if (comm->rank == 0 && !mkdtemp(root)) return -1;
    if (ci_comm_bcast(comm, "test.root", 0, root, sizeof root) != CI_OK) return -1;
    conf_small("sim", &conf);
    return ci_sim(comm, &conf) == CI_OK ? 0 : -1;
}

static int group_teardown(void **state)
{
    char command[256];

    (void)state;
    if (ci_comm_barrier(comm, "test.over") != CI_OK) return -1;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return comm->rank == 0 ? system(command) : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows__are_well_formed_and_labelled),
        cmocka_unit_test(folders__hold_the_expected_files_only),
        cmocka_unit_test(vehicles__have_20_to_100_identifiers_of_their_own),
        cmocka_unit_test(copies__are_identical_and_nothing_else_is),
        cmocka_unit_test(manifest__says_what_is_there),
        cmocka_unit_test(bytes__do_not_depend_on_ranks_and_slices),
        cmocka_unit_test(slices__of_any_length_give_the_same_bytes),
        cmocka_unit_test(seed__changes_every_file),
        cmocka_unit_test(sim__replaces_an_earlier_set_and_removes_what_is_obsolete),
        cmocka_unit_test(sim__refuses_a_folder_that_no_simulation_wrote),
        cmocka_unit_test(sim__says_when_it_cannot_create),
        cmocka_unit_test(sim__fails_everywhere_when_one_rank_cannot_write),
        cmocka_unit_test(sim__stops_everywhere_when_one_rank_gets_a_signal),
        cmocka_unit_test(sim__refuses_settings_that_do_not_fit),
        cmocka_unit_test(sim__takes_the_smallest_and_the_largest_fleet),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_setup, group_teardown));
}
