/* RANKS: 1 2 3 5 */
/* Graphs through put, open and get; with arguments: what tests/store/test_layout.py asks for. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "store/store_made.h"

static const ci_comm *comm;
static char folder[CI_PATH_MAX];

static int group_start(void **state)
{
    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    return ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) == CI_OK ? 0 : 1;
}

static const char *path_of(const char *name)
{
    static char path[CI_PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

#define THREE_CAPTURES {{"train_01", 0, "a.csv", 20, 0, NULL}, {"train_01", 0, "none.csv", 0, 0, NULL}, \
                        {"train_02", 0, "dos.csv", 13, 1, NULL}, {"test_01", 1, "b.csv", 18, 2, NULL}}

static const made plain = {.seed = 1, .frames = 100, .stride = 100, .n_id = 300, .n_vocab = 120, .max_node = 60, .capture = THREE_CAPTURES};

/* ---- what was put is what is got */

static void check_nodes(const ci_store *st, const ci_graphs *got, const ci_graphs *want)
{
    const ci_lid F = st->set->n_node;

    assert_int_equal(got->n_node, want->n_node);
    assert_memory_equal(got->id, want->id, (size_t)want->n_node * sizeof *want->id);
    if (st->head.layout == CI_FLOAT32) {
        assert_memory_equal(got->x, want->x, (size_t)(want->n_node * F) * sizeof *want->x);
        return;
    }
    for (ci_lid i = 0; i < want->n_node * F; i++) { /* half precision: 11 bits, and nothing here is subnormal or too large */
        const double put = (double)want->x[i], read = (double)got->x[i];
        const double least = ldexp(1, -14 - st->set->node[i % F].log2_scale);
        if (fabs(read - put) > fmax(fabs(put), least) * 0x1p-11)
            fail_msg("graph at row %lld node %d column %d: put %.9g, got %.9g", (long long)want->row[0], i / F, i % F, put, read);
    }
}

static void check_edges(const ci_store *st, const ci_graphs *got, const ci_graphs *want)
{
    const size_t n = (size_t)want->n_edge;

    assert_int_equal(got->n_edge, want->n_edge);
    assert_memory_equal(got->src, want->src, n * sizeof *want->src);
    assert_memory_equal(got->dst, want->dst, n * sizeof *want->dst);
    assert_memory_equal(got->e, want->e, n * (size_t)st->set->n_edge * sizeof *want->e);
}

static void check_head(const ci_store_head *want, const ci_store_head *got)
{
    assert_string_equal(got->set, want->set);
    assert_string_equal(got->source, want->source);
    assert_int_equal(got->compat, want->compat);
    assert_int_equal(got->layout, want->layout);
    assert_int_equal(got->n_frame, want->n_frame);
    assert_int_equal(got->simulated, want->simulated);
    assert_int_equal(got->frames, want->frames);
    assert_int_equal(got->stride, want->stride);
    assert_int_equal(got->n_graph, want->n_graph);
    assert_int_equal(got->n_node, want->n_node);
    assert_int_equal(got->n_edge, want->n_edge);
    assert_int_equal(got->n_vocab, want->n_vocab);
    assert_int_equal(got->n_folder, want->n_folder);
    assert_int_equal(got->n_capture, want->n_capture);
    assert_int_equal(got->n_id, want->n_id);
    assert_memory_equal(got->id, want->id, (size_t)want->n_id * sizeof *want->id);
    assert_memory_equal(got->vocab, want->vocab, (size_t)want->n_id * sizeof *want->vocab);
    for (int32_t i = 0; i < want->n_folder; i++) {
        assert_string_equal(got->folder[i].name, want->folder[i].name);
        assert_int_equal(got->folder[i].role, want->folder[i].role);
    }
    for (int32_t i = 0; i < want->n_capture; i++) {
        assert_string_equal(got->capture[i].path, want->capture[i].path);
        assert_string_equal(got->capture[i].hash, want->capture[i].hash);
        assert_int_equal(got->capture[i].folder, want->capture[i].folder);
        assert_int_equal(got->capture[i].attack, want->capture[i].attack);
        assert_int_equal(got->capture[i].rows, want->capture[i].rows);
        assert_int_equal(got->capture[i].first_graph, want->capture[i].first_graph);
        assert_int_equal(got->capture[i].n_graph, want->capture[i].n_graph);
    }
}

static void check_store(const made *m, const ci_store *st)
{
    ci_store_head h;
    ci_graphs g, got;

    made_head(m, &h);
    check_head(&h, &st->head);
    assert_int_equal(ci_graphs_init(&g, st->set, 1, m->max_node, made_edges(m)), CI_OK);
    assert_int_equal(ci_graphs_init(&got, st->set, 1, m->frames, m->frames), CI_OK);
    for (int32_t c = 0; c < h.n_capture; c++)
        for (int64_t i = 0; i < h.capture[c].n_graph; i++) {
            const int64_t k = h.capture[c].first_graph + i;
            ci_graphs_clear(&g);
            made_append(m, k, made_row(m, i), &g);
            assert_int_equal(st->graph_capture[k], c);
            assert_int_equal(st->graph_row[k], g.row[0]);
            assert_int_equal(st->graph_label[k], g.attack[0]);
            made_read(st, k, &got);
            check_nodes(st, &got, &g);
            check_edges(st, &got, &g);
        }
    ci_graphs_release(&g);
    ci_graphs_release(&got);
    ci_store_head_release(&h);
}

static void round_trip(const made *of, const char *name, int64_t chunk)
{
    ci_store *st = NULL;
    char sha[CI_SHA256_HEX], again[CI_SHA256_HEX];
    made m = *of;

    for (m.layout = CI_COMPACT; m.layout <= CI_FLOAT32; m.layout++) {
        made_write_in(comm, &m, chunk, path_of(name), sha);
        assert_int_equal(ci_store_open_all(comm, path_of(name), again, &st), CI_OK);
        assert_string_equal(again, sha);
        assert_int_equal(st->wide_local, m.frames > 255);
        assert_int_equal(st->wide_id, m.n_id > 65536);
        check_store(&m, st);
        ci_store_close(&st);
        assert_null(st);
    }
}

static void store__gives_back_what_was_put(void **state)
{
    (void)state;
    round_trip(&plain, "plain.h5", 4);
}

static void store__of_wide_windows_has_wide_positions(void **state)
{
    made m = {.seed = 2, .frames = 300, .stride = 50, .n_id = 1000, .n_vocab = 500, .max_node = 300, .capture = THREE_CAPTURES};

    (void)state;
    round_trip(&m, "wide.h5", 3);
    m.frames = 255;
    m.max_node = 255;
    round_trip(&m, "narrow.h5", 3);
    m.frames = 256;
    m.max_node = 256;
    round_trip(&m, "wide256.h5", 3);
}

static void store__of_the_reference_s_edges_has_one_less(void **state)
{
    made m = plain;

    (void)state;
    m.compat = true;
    round_trip(&m, "compat.h5", 5);
}

static void store__of_merged_edges_has_as_many_as_each_graph_has(void **state)
{
    made m = plain;

    (void)state;
    m.merged = true;
    round_trip(&m, "merged.h5", 1);
    round_trip(&m, "merged.h5", 5);
    m.frames = 300;
    round_trip(&m, "merged.h5", 64);
}

static void store__of_many_identifiers_has_wide_indices(void **state)
{
    made m = plain;

    (void)state;
    m.n_id = 70000;
    m.n_vocab = 30000;
    round_trip(&m, "ids.h5", 64);
    m.n_id = 65536; /* the largest index is 65535 */
    round_trip(&m, "ids.h5", 64);
}

static void store__has_the_same_bytes_however_it_was_put(void **state)
{
    const int64_t chunks[] = {1, 3, 64};
    char first[CI_SHA256_HEX] = "", sha[CI_SHA256_HEX];

    (void)state;
    for (size_t i = 0; i < CI_COUNT(chunks); i++) {
        made_write_in(comm, &plain, chunks[i], path_of("same.h5"), sha);
        if (i == 0) memcpy(first, sha, sizeof first);
        assert_string_equal(sha, first);
    }
}

static void store__of_nothing_is_a_store(void **state)
{
    const made empty = {.seed = 1, .frames = 100, .stride = 100, .n_id = 2, .n_vocab = 1, .max_node = 2, .capture = {{"train", 0, "a.csv", 0, 0, NULL}}};
    char sha[CI_SHA256_HEX];
    ci_store *st = made_store(comm, &empty, path_of("empty.h5"), sha);

    (void)state;
    assert_int_equal(st->head.n_graph, 0);
    ci_store_close(&st);
    ci_store_close(&st);
}

/* ---- refusals */

static ci_rc put_one(const ci_store_head *h, int32_t edges, uint32_t id, int64_t first_graph, int64_t first_node,
                     int64_t first_edge)
{
    ci_store_writer *w = NULL;
    ci_graphs g;
    ci_rc rc, all;

    assert_int_equal(ci_graphs_init(&g, ci_feature_set_find("kd35"), 1, 60, 200), CI_OK);
    made_append(&plain, 0, 0, &g);
    g.n_edge = g.edge_first[1] = edges;
    if (id) g.id[g.n_node - 1] = id;
    assert_int_equal(ci_store_create(comm, path_of("refused.h5"), h, &w), CI_OK);
    rc = comm->rank == comm->size - 1 ? ci_store_put(w, 0, first_graph, first_node, first_edge, &g) : CI_OK; /* one rank alone */
    all = ci_agree(comm, "test.put", rc);
    ci_store_abandon(&w);
    ci_store_abandon(&w);
    ci_graphs_release(&g);
    return all;
}

static void store_put__refuses_what_has_no_place(void **state)
{
    ci_store_head h;
    char temp[CI_PATH_MAX];

    (void)state;
    made_head(&plain, &h);
    assert_int_equal(put_one(&h, 99, 0, 0, 0, 0), CI_OK);
    assert_int_equal(put_one(&h, 99, 4, 0, 0, 0), CI_EDATA);
    assert_non_null(strstr(ci_message(), "identifier 4 was not there"));
    assert_int_equal(put_one(&h, 99, 0, h.n_graph, 0, 0), CI_EARG);
    assert_int_equal(put_one(&h, 99, 0, -1, 0, 0), CI_EARG);
    assert_int_equal(put_one(&h, 99, 0, 0, h.n_node, 0), CI_EARG);
    assert_int_equal(put_one(&h, 99, 0, 0, 0, h.n_edge - 98), CI_EARG);
    assert_int_equal(ci_commit_temp(path_of("refused.h5"), temp), CI_OK);
    if (comm->rank == 0) { /* which removes what was begun */
        assert_int_equal(access(temp, F_OK), -1);
        assert_int_equal(access(path_of("refused.h5"), F_OK), -1);
    }
    ci_store_head_release(&h);
}

static void store_abandon__keeps_the_previous_store(void **state)
{
    char sha[CI_SHA256_HEX];
    ci_store_head h;
    ci_store *st = made_store(comm, &plain, path_of("refused.h5"), sha);

    (void)state;
    ci_store_close(&st);
    made_head(&plain, &h);
    assert_int_equal(put_one(&h, 99, 0, 0, 0, -1), CI_EARG);
    assert_int_equal(ci_store_open_all(comm, path_of("refused.h5"), sha, &st), CI_OK);
    check_store(&plain, st);
    ci_store_close(&st);
    ci_store_head_release(&h);
}

static void store_create__refuses_other_features_and_folders(void **state)
{
    ci_store_head h;
    ci_store_writer *w = NULL;

    (void)state;
    made_head(&plain, &h);
    assert_int_equal(ci_store_create(comm, path_of("no/such/folder.h5"), &h, &w), CI_ECREATE);
    assert_non_null(strstr(ci_message(), "no/such/"));
    assert_null(w);
    strcpy(h.set, "kd11");
    assert_int_equal(ci_store_create(comm, path_of("features.h5"), &h, &w), CI_ECONF);
    assert_non_null(strstr(ci_message(), "kd11"));
    assert_null(w);
    ci_store_head_release(&h);
}

static void flip(const char *path, off_t at, int whence)
{
    uint8_t b;
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    at = lseek(fd, at, whence);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 16;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void store_open__refuses_bytes_that_were_not_committed(void **state)
{
    char sha[CI_SHA256_HEX];
    ci_store *st = made_store(comm, &plain, path_of("corrupt.h5"), sha);
    const off_t places[] = {0, 4000, -1000};

    (void)state;
    ci_store_close(&st);
    for (size_t i = 0; i < CI_COUNT(places); i++) {
        const int whence = places[i] < 0 ? SEEK_END : SEEK_SET;
        if (comm->rank == 0) flip(path_of("corrupt.h5"), places[i], whence);
        assert_int_equal(ci_store_open_all(comm, path_of("corrupt.h5"), sha, &st), CI_EFORMAT);
        assert_null(st);
        if (comm->rank == 0) flip(path_of("corrupt.h5"), places[i], whence);
    }
    assert_int_equal(ci_store_open_all(comm, path_of("corrupt.h5"), sha, &st), CI_OK);
    ci_store_close(&st);
    assert_int_equal(ci_comm_barrier(comm, "test.corrupt"), CI_OK);
    if (comm->rank == 0) assert_int_equal(truncate(path_of("corrupt.h5"), 20000), 0);
    assert_int_equal(ci_store_open_all(comm, path_of("corrupt.h5"), sha, &st), CI_EFORMAT);
    assert_int_equal(ci_store_open_all(comm, path_of("missing.h5"), sha, &st), CI_ENOENT);
}

/* ---- for the script */

static int open_print(const char *path)
{
    ci_store *st = NULL;
    const ci_rc rc = ci_store_open(path, &st);

    printf("%s %s\n", ci_rc_name(rc), rc == CI_OK ? "" : ci_message());
    ci_store_close(&st);
    return 0;
}

static int schema_print(const char *path)
{
    ci_store *st = NULL;
    ci_array array[CI_STORE_ARRAYS];

    if (ci_store_open(path, &st) != CI_OK) return 1;
    for (size_t i = 0, n = ci_store_schema(&st->head, array); i < n; i++) {
        const ci_array *a = &array[i];
        printf("%s|%s|%lld|%lld|%s|%s|", a->name, ci_type_name(a->kind), (long long)a->rows, (long long)a->cols,
               a->unit ? a->unit : "", a->meaning);
        for (int64_t k = 0; a->log2_scale && k < a->cols; k++) printf("%s%d", k ? "," : "", a->log2_scale[k]);
        printf("\n");
    }
    ci_store_close(&st);
    return 0;
}

/* Every graph as a reader gives it: OUT.n pairs of counts, OUT.id identifiers, OUT.x, OUT.ends, OUT.e. */
static int dump(const char *path, const char *out)
{
    static const char *const name[] = {"n", "id", "x", "ends", "e"};
    FILE *f[CI_COUNT(name)];
    ci_store *st = NULL;
    ci_graphs g;

    if (ci_store_open(path, &st) != CI_OK) return 1;
    for (size_t i = 0; i < CI_COUNT(name); i++) {
        char to[CI_PATH_MAX];
        snprintf(to, sizeof to, "%s.%s", out, name[i]);
        f[i] = fopen(to, "wb");
        if (!f[i]) return 1;
    }
    if (ci_graphs_init(&g, st->set, 1, st->head.frames + 1, st->head.frames) != CI_OK) return 1;
    for (int64_t k = 0; k < st->head.n_graph; k++) {
        made_read(st, k, &g);
        fwrite((int32_t[]){g.n_node, g.n_edge}, sizeof(int32_t), 2, f[0]);
        fwrite(g.id, sizeof *g.id, (size_t)g.n_node, f[1]);
        fwrite(g.x, sizeof *g.x, (size_t)g.n_node * (size_t)st->set->n_node, f[2]);
        fwrite(g.src, sizeof *g.src, (size_t)g.n_edge, f[3]);
        fwrite(g.dst, sizeof *g.dst, (size_t)g.n_edge, f[3]);
        fwrite(g.e, sizeof *g.e, (size_t)g.n_edge * (size_t)st->set->n_edge, f[4]);
    }
    for (size_t i = 0; i < CI_COUNT(name); i++) fclose(f[i]);
    ci_graphs_release(&g);
    ci_store_close(&st);
    return 0;
}

static int act(int argc, char **argv)
{
    char sha[CI_SHA256_HEX] = "";

    if (strcmp(argv[1], "open") == 0) return open_print(argv[2]);
    if (strcmp(argv[1], "schema") == 0) return schema_print(argv[2]);
    if (strcmp(argv[1], "dump") == 0) return dump(argv[2], argv[3]);
    ci_test_start(&argc, &argv);
    comm = ci_test_comm;
    made_write_in(comm, &plain, 4, argv[2], sha);
    if (comm->rank == 0) printf("%s\n", sha);
    ci_comm_stop(&ci_test_comm);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(store__gives_back_what_was_put),
    cmocka_unit_test(store__of_wide_windows_has_wide_positions),
    cmocka_unit_test(store__of_the_reference_s_edges_has_one_less),
    cmocka_unit_test(store__of_merged_edges_has_as_many_as_each_graph_has),
    cmocka_unit_test(store__of_many_identifiers_has_wide_indices),
    cmocka_unit_test(store__has_the_same_bytes_however_it_was_put),
    cmocka_unit_test(store__of_nothing_is_a_store),
    cmocka_unit_test(store_put__refuses_what_has_no_place),
    cmocka_unit_test(store_abandon__keeps_the_previous_store),
    cmocka_unit_test(store_create__refuses_other_features_and_folders),
    cmocka_unit_test(store_open__refuses_bytes_that_were_not_committed),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2) return act(argc, argv);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
