/* RANKS: 1 2 3 5 */
/* A store of messages gives the graphs that are built from the rows it was made of, whatever their identifiers are called. */
#define CI_TEST_MPI
#include "ci_test.h"

#include <string.h>

#include "ci/arena.h"
#include "ci/random.h"
#include "ci/store.h"
#include "ci/window.h"

enum { BLOCK = 173, CAPTURES = 4 };

static const ci_comm *comm;
static const int64_t rows_of[CAPTURES] = {1000, 30, 0, 517}; /* the second and third have no window */

/* What a store is made of: rows that are functions of their number, in blocks with a halo. */
struct kind {
    const char *set;
    bool compat;
    int32_t frames, stride, n_id;
};

static uint32_t id_of(int64_t capture, int64_t row, int32_t n_id)
{
    const ci_u32x4 r = ci_philox(3, 0, (uint32_t)capture, (uint32_t)row, 0, 0);

    return 7 * ci_below(r.v[0], r.v[1] % 4 ? 12 : (uint32_t)n_id) + (r.v[2] % 8 == 0 && n_id > 100 ? 0 : 1);
}

static void table_fill(ci_table *t, int64_t capture, int64_t first, int64_t n_own, int64_t n, int32_t n_id)
{
    assert_int_equal(ci_table_reserve(t, (ci_lid)n), CI_OK);
    t->first_row = first;
    t->n_own = (ci_lid)n_own;
    t->n = (ci_lid)n;
    for (int64_t i = 0; i < n; i++) {
        const ci_u32x4 r = ci_philox(4, 0, (uint32_t)capture, (uint32_t)(first + i), 0, 0);
        t->t_ns[i] = (first + i) * 500000 + r.v[0] % 100000;
        t->id[i] = id_of(capture, first + i, n_id);
        t->len[i] = (uint8_t)(r.v[3] % 9);
        t->data[i] = (uint64_t)(r.v[1] & 0x0F0F0F0F) << 32 | (r.v[2] & 0xFF00FF);
        if (t->len[i] < 8) t->data[i] &= ((uint64_t)1 << 8 * t->len[i]) - 1;
        t->attack[i] = r.v[3] % 300 == 0;
    }
}

static int32_t ids_fill(const struct kind *k, ci_store_head *h)
{
    const int32_t n = 7 * k->n_id + 2;

    h->id = ci_new((size_t)n, sizeof *h->id);
    h->vocab = ci_new((size_t)n, sizeof *h->vocab);
    for (int32_t v = 0; v < n; v++) /* every identifier that can be, so that it is ascending */
        if (v % 7 < 2) {
            if (v % 3) h->vocab[h->n_id] = ++h->n_vocab;
            h->id[h->n_id++] = (uint32_t)v;
        }
    return h->n_id;
}

static void head_fill(const struct kind *k, ci_store_head *h)
{
    const int32_t W = k->frames;

    *h = (ci_store_head){.compat = k->compat, .layout = CI_MESSAGES, .frames = W, .stride = k->stride, .n_folder = 1, .n_capture = CAPTURES};
    strcpy(h->set, k->set);
    memset(h->source, 'b', CI_SHA256_HEX - 1);
    h->folder = ci_new(1, sizeof *h->folder);
    h->capture = ci_new(CAPTURES, sizeof *h->capture);
    strcpy(h->folder[0].name, "train_01");
    for (int32_t c = 0; c < CAPTURES; c++) {
        ci_store_capture *s = &h->capture[c];
        snprintf(s->path, CI_STORE_TEXT, "train_01/%d.csv", c);
        ci_xxh_hex(ci_xxh_of(s->path, strlen(s->path)), s->hash);
        s->rows = rows_of[c];
        s->first_graph = h->n_graph;
        s->n_graph = ci_window_count(s->rows, ci_feature_rows(ci_feature_set_find(k->set), W, k->compat), k->stride);
        h->n_graph += s->n_graph;
        h->n_frame += s->n_graph ? s->rows : 0;
    }
    ids_fill(k, h);
}

/* Graphs of all captures, from whole tables: what must be read, and where each run goes. */
struct want {
    ci_store_head head;
    ci_graphs all;
};

static void want_make(const struct kind *k, struct want *w)
{
    ci_builder *b = NULL;
    const ci_feature_set *set = ci_feature_set_find(k->set);

    head_fill(k, &w->head);
    assert_int_equal(ci_builder_create(set, k->frames, k->compat, &b), CI_OK);
    ci_builder_number(b, w->head.id, w->head.vocab, w->head.n_id);
    assert_int_equal(ci_graphs_init(&w->all, set, (ci_lid)w->head.n_graph, k->frames + 1, k->frames), CI_OK);
    for (int32_t c = 0; c < CAPTURES; c++) {
        ci_table t = {0};
        table_fill(&t, c, 0, rows_of[c], rows_of[c], k->n_id);
        for (int64_t g = 0; g < w->head.capture[c].n_graph; g++)
            assert_int_equal(ci_window_build(b, &t, (ci_lid)(g * k->stride), &w->all), CI_OK);
        ci_table_release(&t);
    }
    w->head.n_node = w->all.n_node;
    w->head.n_edge = w->all.n_edge;
    ci_builder_destroy(&b);
}

/* Blocks dealt to the ranks in turn; a block has the windows that begin in it. */
static ci_rc blocks_put(const struct kind *k, const struct want *w, ci_store_writer *writer)
{
    ci_rc rc = CI_OK;
    ci_builder *b = NULL;
    ci_graphs g;
    ci_table t = {0};
    int64_t number = 0;
    const ci_feature_set *set = ci_feature_set_find(k->set);
    const ci_lid rows = ci_feature_rows(set, k->frames, k->compat);

    assert_int_equal(ci_builder_create(set, k->frames, k->compat, &b), CI_OK);
    assert_int_equal(ci_graphs_init(&g, set, BLOCK, k->frames + 1, k->frames), CI_OK);
    for (int32_t c = 0; c < CAPTURES && rc == CI_OK; c++)
        for (int64_t row = 0; row < rows_of[c] && w->head.capture[c].n_graph && rc == CI_OK; row += BLOCK, number++) {
            const int64_t own = CI_MIN(BLOCK, rows_of[c] - row), n = CI_MIN(own + rows - 1, rows_of[c] - row);
            const int64_t first = ci_window_at(row, k->stride), last = CI_MIN(ci_window_at(row + own, k->stride), w->head.capture[c].n_graph);
            const int64_t at = w->head.capture[c].first_graph + first;
            if (number % comm->size != comm->rank) continue;
            table_fill(&t, c, row, own, n, k->n_id);
            ci_graphs_clear(&g);
            for (int64_t i = first; i < last; i++) assert_int_equal(ci_window_outline(b, &t, (ci_lid)(i * k->stride - row), &g), CI_OK);
            rc = ci_store_put_frames(writer, c, &t);
            if (rc == CI_OK && last > first) rc = ci_store_put(writer, c, at, w->all.node_first[at], w->all.edge_first[at], &g);
        }
    ci_table_release(&t);
    ci_graphs_release(&g);
    ci_builder_destroy(&b);
    return rc;
}

static void same_graph(const ci_store *st, ci_reader *r, int64_t g, const ci_graphs *all)
{
    const ci_lid node = all->node_first[g], edge = all->edge_first[g], F = all->set->n_node, K = all->set->n_edge;
    ci_graph_view v;

    ci_store_graph(r, g, &v);
    assert_int_equal(st->graph_row[g], all->row[g]);
    assert_int_equal(st->graph_label[g], all->attack[g]);
    assert_int_equal(v.n_node, all->node_first[g + 1] - node);
    assert_int_equal(v.n_edge, all->edge_first[g + 1] - edge);
    for (ci_lid i = 0; i < v.n_node; i++) assert_int_equal(st->head.id[v.id[i]], all->id[node + i]);
    assert_memory_equal(v.x, all->x + (size_t)node * (size_t)F, (size_t)(v.n_node * F) * sizeof *v.x);
    assert_memory_equal(v.src, all->src + edge, (size_t)v.n_edge * sizeof *v.src);
    assert_memory_equal(v.dst, all->dst + edge, (size_t)v.n_edge * sizeof *v.dst);
    assert_memory_equal(v.e, all->e + (size_t)edge * (size_t)K, (size_t)(v.n_edge * K) * sizeof *v.e);
}

static char path[CI_PATH_MAX + 16];

static void round_trip(const struct kind *k)
{
    struct want w = {0};
    ci_store_writer *writer = NULL;
    ci_store *st = NULL;
    ci_reader *r = NULL;
    char sha[CI_SHA256_HEX], again[CI_SHA256_HEX];

    want_make(k, &w);
    assert_true(w.all.n_graph > 2);
    assert_int_equal(ci_store_create(comm, path, &w.head, &writer), CI_OK);
    assert_int_equal(ci_agree(comm, "test.put", blocks_put(k, &w, writer)), CI_OK);
    assert_int_equal(ci_store_commit(&writer, sha), CI_OK);
    assert_int_equal(ci_store_open_all(comm, path, again, &st), CI_OK);
    assert_string_equal(sha, again);
    assert_int_equal(st->wide_id, w.head.n_id > 65536);
    assert_int_equal(st->head.n_node, w.head.n_node);
    assert_int_equal(st->head.n_edge, w.head.n_edge);
    assert_int_equal(ci_reader_create(st, &r), CI_OK);
    for (int64_t g = st->head.n_graph - 1; g >= 0; g--) same_graph(st, r, g, &w.all);
    ci_reader_destroy(&r);
    ci_store_close(&st);
    ci_graphs_release(&w.all);
    ci_store_head_release(&w.head);
}

static void messages__give_the_graphs_of_their_rows(void **state)
{
    const struct kind kinds[] = {
        {"kd35", false, 100, 100, 60}, {"kd35", true, 100, 100, 60}, {"kd35", false, 100, 7, 60}, /* strides below W */
        {"kd35", false, 40, 200, 60},  /* and above a block: some of them have no window */
        {"kd35", false, 300, 50, 1000}, {"kd35", false, 100, 100, 40000}, /* as wide indices */
        {"kd11", false, 100, 10, 60},  {"kd11", true, 100, 100, 60}, {"kd11", true, 255, 30, 700},
    };

    (void)state;
    for (size_t i = 0; i < CI_COUNT(kinds); i++) round_trip(&kinds[i]);
}

enum { GOOD, BAD_ID, LONG, LABELLED, BEYOND };

static ci_rc put_bad(const struct want *w, int32_t capture, int64_t first, int what)
{
    ci_store_writer *writer = NULL;
    ci_table t = {0};
    ci_rc rc;

    table_fill(&t, 0, first, 20, 25, 60);
    t.len[3] = what == LONG ? 9 : what == BEYOND ? 2 : 8;
    if (what == BAD_ID) t.id[3] = 0x800;
    if (what == LABELLED) t.attack[3] = 2;
    if (what == BEYOND) t.data[3] = 0x30000;
    assert_int_equal(ci_store_create(comm, path, &w->head, &writer), CI_OK);
    rc = ci_agree(comm, "test.bad", comm->rank == comm->size - 1 ? ci_store_put_frames(writer, capture, &t) : CI_OK); /* one alone */
    ci_store_abandon(&writer);
    ci_table_release(&t);
    return rc;
}

static void store_put_frames__refuses_what_has_no_place(void **state)
{
    const struct kind k = {"kd35", false, 100, 100, 60};
    struct want w = {0};

    (void)state;
    want_make(&k, &w);
    assert_int_equal(put_bad(&w, 0, 0, 0), CI_OK);
    assert_int_equal(put_bad(&w, 0, 980, 0), CI_OK);
    assert_int_equal(put_bad(&w, 0, 981, 0), CI_EARG);
    assert_int_equal(put_bad(&w, 0, -1, 0), CI_EARG);
    assert_int_equal(put_bad(&w, 1, 0, 0), CI_EARG); /* has no window: its frames are not kept */
    assert_int_equal(put_bad(&w, CAPTURES, 0, 0), CI_EARG);
    assert_int_equal(put_bad(&w, 0, 0, BAD_ID), CI_EDATA);
    for (int what = LONG; what <= BEYOND; what++) {
        assert_int_equal(put_bad(&w, 0, 40, what), CI_EINTERNAL);
        assert_non_null(strstr(ci_message(), "row 43: "));
    }
    w.head.layout = CI_FLOAT32;
    assert_int_equal(put_bad(&w, 0, 0, 0), CI_EARG);
    ci_graphs_release(&w.all);
    ci_store_head_release(&w.head);
}

static void layout__is_what_the_features_can_have(void **state)
{
    const ci_feature_set *kd35 = ci_feature_set_find("kd35"), *kd11 = ci_feature_set_find("kd11");
    ci_store_layout l;

    (void)state;
    assert_true(ci_store_layout_of("auto", kd35, &l) == CI_OK && l == CI_COMPACT);
    assert_true(ci_store_layout_of("auto", kd11, &l) == CI_OK && l == CI_FLOAT32);
    for (ci_store_layout k = CI_COMPACT; k <= CI_MESSAGES; k++) assert_true(ci_store_layout_of(ci_store_layout_name(k), kd35, &l) == CI_OK && l == k);
    assert_true(ci_store_layout_of("messages", kd11, &l) == CI_OK && l == CI_MESSAGES);
    assert_int_equal(ci_store_layout_of("compact", kd11, &l), CI_ECONF);
    assert_non_null(strstr(ci_message(), "features kd11 have no compact form"));
    assert_int_equal(ci_store_layout_of("zip", kd35, &l), CI_ECONF);
}

static int group_start(void **state)
{
    char folder[CI_PATH_MAX];

    (void)state;
    comm = ci_test_comm;
    snprintf(folder, sizeof folder, "%s", ci_test_tmp());
    if (ci_comm_bcast(comm, "test.folder", 0, folder, sizeof folder) != CI_OK) return 1;
    snprintf(path, sizeof path, "%s/frames.h5", folder);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages__give_the_graphs_of_their_rows),
    cmocka_unit_test(store_put_frames__refuses_what_has_no_place),
    cmocka_unit_test(layout__is_what_the_features_can_have),
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    ci_test_start(&argc, &argv);
    return ci_test_stop(cmocka_run_group_tests(tests, group_start, NULL));
}
