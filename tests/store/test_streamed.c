/* RANKS: 1 2 3 5 */
/* Stores of the sets that are built from the stream: their windows, warmth and labels of edges beside what every store has.
 * With arguments: what tests/store/test_streamed.py asks for. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <math.h>

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

static const made plain = {.seed = 3, .frames = 50, .stride = 50, .past = "guard", .n_id = 300, .n_vocab = 120, .max_node = 30, .layout = CI_FLOAT32,
                           .capture = {{"train_01", 0, "a.csv", 20, 0, NULL}, {"train_01", 0, "none.csv", 0, 0, NULL},
                                       {"train_02", 2, "dos.csv", 13, 1, NULL}, {"test_01", 1, "b.csv", 18, 2, NULL}}};

/* ---- what was put is what is got */

static void check_values(const ci_store *st, const float *got, const float *want, int32_t n)
{
    if (st->head.layout == CI_FLOAT32) {
        assert_memory_equal(got, want, (size_t)n * sizeof *want);
        return;
    }
    for (int32_t i = 0; i < n; i++) /* half precision: 11 bits, subnormal below 2^-14 */
        if (fabs((double)got[i] - (double)want[i]) > fmax(fabs((double)want[i]) * 0x1p-11, 0x1p-25))
            fail_msg("number %d: put %.9g, got %.9g", i, (double)want[i], (double)got[i]);
}

static void check_graph(const ci_store *st, const ci_graphs *got, const ci_graphs *want)
{
    const ci_feature_set *set = st->set;

    assert_int_equal(got->n_node, want->n_node);
    assert_int_equal(got->n_edge, want->n_edge);
    assert_int_equal(got->row[0], want->row[0]);
    assert_int_equal(got->attack[0], want->attack[0]);
    assert_int_equal(got->warm[0], want->warm[0]);
    assert_memory_equal(got->w, want->w, (size_t)set->n_window * sizeof *want->w); /* in every layout */
    assert_memory_equal(got->id, want->id, (size_t)want->n_node * sizeof *want->id);
    assert_memory_equal(got->src, want->src, (size_t)want->n_edge * sizeof *want->src);
    assert_memory_equal(got->dst, want->dst, (size_t)want->n_edge * sizeof *want->dst);
    assert_memory_equal(got->edge_attack, want->edge_attack, (size_t)want->n_edge);
    check_values(st, got->x, want->x, want->n_node * set->n_node);
    check_values(st, got->e, want->e, want->n_edge * set->n_edge);
}

static void check_store(const made *m, const ci_store *st)
{
    ci_store_head h;
    ci_graphs want, got;

    made_head(m, &h);
    assert_string_equal(st->head.past, m->past);
    assert_string_equal(st->head.set, made_set(m)->name);
    assert_true(ci_store_alike(&h, &st->head));
    assert_int_equal(st->head.folder[1].role, 2);
    assert_int_equal(ci_graphs_init(&want, st->set, 1, m->max_node, made_edges(m)), CI_OK);
    assert_int_equal(ci_graphs_init(&got, st->set, 1, m->frames, m->frames), CI_OK);
    for (int32_t c = 0; c < h.n_capture; c++)
        for (int64_t i = 0; i < h.capture[c].n_graph; i++) {
            const int64_t g = h.capture[c].first_graph + i;
            ci_graphs_clear(&want);
            made_append(m, g, made_row(m, i), &want);
            made_read(st, g, &got);
            check_graph(st, &got, &want);
            assert_int_equal(ci_store_warm(st, g), g % 7 > 1);
        }
    ci_graphs_release(&want);
    ci_graphs_release(&got);
    ci_store_head_release(&h);
}

static void streamed_store__gives_back_what_was_put(void **state)
{
    static const char *const pasts[] = {"none", "guard", "both", "prefix"};
    static const int frames[] = {50, 300};
    char sha[CI_SHA256_HEX];

    (void)state;
    for (size_t p = 0; p < CI_COUNT(pasts); p++)
        for (size_t f = 0; f < CI_COUNT(frames); f++)
            for (int layout = CI_COMPACT; layout <= CI_FLOAT32; layout++) {
                made m = plain;
                ci_store *st;
                m.past = pasts[p];
                m.frames = frames[f];
                m.layout = (ci_store_layout)layout;
                st = made_store(comm, &m, path_of("round.h5"), sha);
                check_store(&m, st);
                ci_store_close(&st);
            }
}

static void streamed_store__has_the_same_bytes_however_it_was_put(void **state)
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

/* ---- taken over from another store */

/* Captures of `m` one at a time out of `from`, whose capture number c was number `was[c]`. */
static void copied(const made *m, const made *from, const int32_t *was, const char *name, char sha[CI_SHA256_HEX])
{
    char other[CI_SHA256_HEX];
    ci_store *st = made_store(comm, from, path_of("from.h5"), other);
    ci_store_writer *w = NULL;
    ci_store_head h;
    ci_rc rc = CI_OK;
    int64_t node = 0, edge = 0;

    made_head(m, &h);
    assert_true(ci_store_alike(&h, &st->head));
    h.n_node = h.n_edge = 0;
    for (int32_t c = 0; c < h.n_capture; c++) {
        const ci_store_capture *k = &st->head.capture[was[c]];
        h.n_node += st->graph_node[k->first_graph + k->n_graph] - st->graph_node[k->first_graph];
        h.n_edge += st->graph_edge[k->first_graph + k->n_graph] - st->graph_edge[k->first_graph];
    }
    assert_int_equal(ci_store_create(comm, path_of(name), &h, &w), CI_OK);
    assert_int_equal(ci_store_reuse(w, st), CI_OK);
    for (int32_t c = 0; c < h.n_capture; c++) {
        const ci_store_capture *k = &st->head.capture[was[c]];
        const int64_t end = k->first_graph + k->n_graph;
        if (c % comm->size == comm->rank && rc == CI_OK)
            rc = ci_store_copy(w, k->first_graph, k->n_graph, c, h.capture[c].first_graph, node, edge);
        node += st->graph_node[end] - st->graph_node[k->first_graph];
        edge += st->graph_edge[end] - st->graph_edge[k->first_graph];
    }
    assert_int_equal(ci_agree(comm, "test.copy", rc), CI_OK);
    assert_int_equal(ci_store_commit(&w, sha), CI_OK);
    ci_store_head_release(&h);
    ci_store_close(&st);
}

static void store_copy__takes_over_windows_and_labels(void **state)
{
    const int32_t same[] = {0, 1, 2, 3}, turned[] = {3, 1, 2, 0};
    char want[CI_SHA256_HEX], sha[CI_SHA256_HEX];
    made m = plain;
    ci_store *a = NULL, *b = NULL;
    const made_capture first = plain.capture[0];

    (void)state;
    for (int layout = CI_COMPACT; layout <= CI_FLOAT32; layout++) {
        m.layout = (ci_store_layout)layout;
        made_write_in(comm, &m, 4, path_of("want.h5"), want);
        copied(&m, &m, same, "copy.h5", sha);
        assert_string_equal(sha, want);
    }
    m.capture[0] = plain.capture[3];
    m.capture[3] = first;
    m.capture[0].folder = first.folder, m.capture[0].role = first.role; /* the folders keep their order */
    m.capture[3].folder = plain.capture[3].folder, m.capture[3].role = plain.capture[3].role;
    copied(&m, &plain, turned, "turned.h5", sha);
    assert_int_equal(ci_store_open(path_of("turned.h5"), &b), CI_OK);
    a = made_store(comm, &plain, path_of("want.h5"), want);
    for (int64_t g = 0; g < 18; g++) { /* what was behind is in front */
        const int64_t edge = a->graph_edge[33 + g], n = a->graph_edge[34 + g] - edge;
        assert_memory_equal(b->graph_window + g * b->set->n_window, a->graph_window + (33 + g) * a->set->n_window, (size_t)b->set->n_window * 4);
        assert_int_equal(b->graph_warm[g], a->graph_warm[33 + g]);
        assert_int_equal(b->graph_edge[g + 1] - b->graph_edge[g], n);
        assert_memory_equal(b->edge_label + b->graph_edge[g], a->edge_label + edge, (size_t)n);
    }
    ci_store_close(&a);
    ci_store_close(&b);
}

static void stores__of_another_past_are_not_alike(void **state)
{
    ci_store_head a, b;
    made m = plain;

    (void)state;
    made_head(&plain, &a);
    m.past = "run";
    made_head(&m, &b);
    assert_string_equal(a.set, b.set);
    assert_false(ci_store_alike(&a, &b));
    ci_store_head_release(&b);
    m.past = "guard";
    made_head(&m, &b);
    assert_true(ci_store_alike(&a, &b));
    ci_store_head_release(&a);
    ci_store_head_release(&b);
}

static void store_layout_of__knows_what_streamed_sets_have(void **state)
{
    const ci_feature_set *set = ci_feature_set_of("agnostic", "guard");
    ci_store_layout layout;

    (void)state;
    assert_int_equal(ci_store_layout_of("auto", set, &layout), CI_OK);
    assert_int_equal(layout, CI_FLOAT32);
    assert_int_equal(ci_store_layout_of("float32", set, &layout), CI_OK);
    assert_int_equal(layout, CI_FLOAT32);
    assert_int_equal(ci_store_layout_of("compact", set, &layout), CI_OK);
    assert_int_equal(layout, CI_COMPACT);
    assert_int_equal(ci_store_layout_of("messages", set, &layout), CI_ECONF);
    assert_non_null(strstr(ci_message(), "set it to auto, float32 or compact"));
}

/* ---- for the script */

/* Every graph as it was made, not as a store has it: OUT.w, OUT.warm, OUT.e, OUT.label, OUT.x. */
static int made_dump(const made *m, const char *out)
{
    static const char *const name[] = {"w", "warm", "e", "label", "x"};
    FILE *f[CI_COUNT(name)];
    ci_store_head h;
    ci_graphs g;

    for (size_t i = 0; i < CI_COUNT(name); i++) {
        char to[CI_PATH_MAX];
        snprintf(to, sizeof to, "%s.%s", out, name[i]);
        f[i] = fopen(to, "wb");
        if (!f[i]) return 1;
    }
    made_head(m, &h);
    if (ci_graphs_init(&g, made_set(m), (ci_lid)h.n_graph, m->max_node, made_edges(m)) != CI_OK) return 1;
    for (int64_t k = 0; k < h.n_graph; k++) made_append(m, k, 0, &g);
    fwrite(g.w, sizeof *g.w, (size_t)g.n_graph * (size_t)g.set->n_window, f[0]);
    fwrite(g.warm, 1, (size_t)g.n_graph, f[1]);
    fwrite(g.e, sizeof *g.e, (size_t)g.n_edge * (size_t)g.set->n_edge, f[2]);
    fwrite(g.edge_attack, 1, (size_t)g.n_edge, f[3]);
    fwrite(g.x, sizeof *g.x, (size_t)g.n_node * (size_t)g.set->n_node, f[4]);
    for (size_t i = 0; i < CI_COUNT(name); i++) fclose(f[i]);
    ci_graphs_release(&g);
    ci_store_head_release(&h);
    return 0;
}

static int open_print(const char *path)
{
    ci_store *st = NULL;
    const ci_rc rc = ci_store_open(path, &st);

    printf("%s %s\n", ci_rc_name(rc), rc == CI_OK ? "" : ci_message());
    ci_store_close(&st);
    return 0;
}

/* open PATH; made PAST OUT; write PAST LAYOUT PATH */
static int act(int argc, char **argv)
{
    char sha[CI_SHA256_HEX] = "";
    made m = plain;

    if (strcmp(argv[1], "open") == 0) return open_print(argv[2]);
    m.past = argv[2];
    if (strcmp(argv[1], "made") == 0) return made_dump(&m, argv[3]);
    m.layout = strcmp(argv[3], "compact") == 0 ? CI_COMPACT : CI_FLOAT32;
    ci_test_start(&argc, &argv);
    comm = ci_test_comm;
    made_write_in(comm, &m, 4, argv[4], sha);
    if (comm->rank == 0) printf("%s\n", sha);
    ci_comm_stop(&ci_test_comm);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(streamed_store__gives_back_what_was_put),
    cmocka_unit_test(streamed_store__has_the_same_bytes_however_it_was_put),
    cmocka_unit_test(store_copy__takes_over_windows_and_labels),
    cmocka_unit_test(stores__of_another_past_are_not_alike),
    cmocka_unit_test(store_layout_of__knows_what_streamed_sets_have),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2) return act(argc, argv);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
