/* Windows of a stream: what they depend on, and what not.  That columns are right is test_columns.py's. */
#include "ci_test.h"

#include "stream_made.h"

enum { N = 7000, PASTS = 6 };
static const int64_t prefix_ns = 210000000; /* some 2,100 frames */

static ci_lid behind_prefix(void)
{
    ci_lid i = 0;

    while (i < table.n && row_t[i] <= row_t[0] + prefix_ns) i++;
    return i;
}

/** All graphs when the capture is cut into chunks of whole steps that begin at first[] (steps). */
static void graphs_of_chunks(ci_graphs *g, ci_past past, ci_lid W, ci_lid S, const ci_profile *known, const ci_lid *first, int n_chunk)
{
    ci_stream *s = stream_of(past, W, S, prefix_ns);
    ci_profile *before;

    graphs_room(g, past, N / S + 1, W);
    assert_int_equal(ci_profile_create(W, S, &before), CI_OK);
    for (int c = 0; c < n_chunk; c++) {
        const ci_lid from = first[c] * S, to = c + 1 < n_chunk ? first[c + 1] * S : N;
        ci_profile *p = learned(W, S, from, to);
        const bool told = past == CI_PAST_PROFILE || (past == CI_PAST_PREFIX && from >= behind_prefix());
        assert_int_equal(ci_stream_resume(s, before, told ? known : NULL, from), CI_OK);
        rows_push(s, from, to, g);
        assert_int_equal(ci_profile_merge(before, p, false), CI_OK);
        ci_profile_destroy(&p);
    }
    ci_profile_destroy(&before);
    ci_stream_destroy(&s);
}

/** What the prefix says, or a profile of another part of the traffic. */
static ci_profile *known_make(ci_past past, ci_lid W, ci_lid S)
{
    ci_stream *s = stream_of(CI_PAST_PREFIX, W, S, prefix_ns);
    ci_profile *p;

    if (past == CI_PAST_PROFILE) {
        ci_stream_destroy(&s);
        return learned(W, S, 0, N / 2);
    }
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, 0, behind_prefix() + S, NULL);
    assert_int_equal(ci_profile_create(W, S, &p), CI_OK);
    assert_int_equal(ci_profile_copy(p, ci_stream_known(s)), CI_OK);
    ci_stream_destroy(&s);
    return p;
}

static void chunks_compare(ci_past past, ci_lid W, ci_lid S, const ci_graphs *serial, const ci_profile *known, const ci_lid *first, int n_chunk)
{
    ci_graphs g;

    graphs_of_chunks(&g, past, W, S, known, first, n_chunk);
    assert_int_equal(g.n_graph, serial->n_graph);
    assert_true(graphs_same(&g, serial, g.n_graph, true));
    ci_graphs_release(&g);
}

static void resume__is_the_serial_pass(void **state)
{
    static const ci_past pasts[] = {CI_PAST_NONE, CI_PAST_RUN, CI_PAST_PREFIX, CI_PAST_PROFILE};
    static const ci_lid sizes[][2] = {{50, 50}, {40, 55}};
    static const int chunks[] = {1, 2, 3, 7};

    (void)state;
    capture_make(N);
    assert_in_range(behind_prefix(), CI_STREAM_WARM, N / 3);
    for (size_t k = 0; k < CI_COUNT(sizes) * CI_COUNT(pasts); k++) {
        const ci_past past = pasts[k / 2];
        const ci_lid W = sizes[k % 2][0], S = sizes[k % 2][1];
        ci_profile *known = known_make(past, W, S);
        ci_graphs serial;
        graphs_make(&serial, past, W, S, prefix_ns, known, N);
        for (ci_lid border = 1; border * S < N; border += past == CI_PAST_RUN && k % 2 == 0 ? 1 : 16) chunks_compare(past, W, S, &serial, known, (ci_lid[]){0, border}, 2);
        for (size_t c = 0; c < CI_COUNT(chunks); c++) {
            ci_lid first[7];
            for (int i = 0; i < chunks[c]; i++) first[i] = (ci_lid)ci_part(N / S, i, chunks[c]);
            chunks_compare(past, W, S, &serial, known, first, chunks[c]);
        }
        ci_graphs_release(&serial);
        ci_profile_destroy(&known);
    }
}

static void resume__refuses_what_cannot_begin_there(void **state)
{
    ci_profile *p, *other;
    ci_stream *s;

    (void)state;
    assert_int_equal(ci_profile_create(50, 50, &p), CI_OK);
    assert_int_equal(ci_profile_create(50, 60, &other), CI_OK);
    s = stream_of(CI_PAST_RUN, 50, 50, 0);
    assert_int_equal(ci_stream_resume(s, p, NULL, 60), CI_EARG);
    assert_int_equal(ci_stream_resume(s, p, NULL, -50), CI_EARG);
    assert_int_equal(ci_stream_resume(s, other, NULL, 100), CI_EARG);
    assert_int_equal(ci_stream_resume(s, p, NULL, 100), CI_OK);
    ci_stream_destroy(&s);
    s = stream_of(CI_PAST_RUN, 50, 25, 0);
    assert_int_equal(ci_stream_resume(s, p, NULL, 100), CI_EARG);
    ci_stream_destroy(&s);
    for (ci_past past = CI_PAST_GUARD; past <= CI_PAST_BOTH; past++) {
        s = stream_of(past, 50, 50, 0);
        assert_int_equal(ci_stream_resume(s, p, NULL, 100), CI_EARG);
        ci_stream_destroy(&s);
    }
    ci_profile_destroy(&p);
    ci_profile_destroy(&other);
}

/** Frames come so many at a time, graphs go so many at a time. */
static void pieces_compare(ci_past past, ci_lid W, ci_lid S, const ci_profile *known, const ci_graphs *want, ci_lid piece, ci_lid room)
{
    ci_stream *s = stream_of(past, W, S, prefix_ns);
    ci_graphs g, all;
    ci_lid at = 0, taken;

    graphs_room(&g, past, room, W);
    graphs_room(&all, past, N / S + 1, W);
    assert_int_equal(ci_stream_begin(s, known), CI_OK);
    for (ci_lid n = 0; at < N; at += taken) {
        const ci_lid to = CI_MIN(at + piece, N);
        assert_int_equal(ci_stream_push(s, &table, at, to, room == want->n_graph ? &all : &g, &taken), CI_OK);
        if (room == want->n_graph) continue;
        if (taken < to - at) assert_int_equal(g.n_graph, room);
        for (ci_lid i = 0; i < g.n_graph; i++) assert_int_equal(g.row[i], want->row[n++]);
        ci_graphs_clear(&g);
    }
    if (room == want->n_graph) assert_true(all.n_graph == want->n_graph && graphs_same(&all, want, want->n_graph, true));
    ci_graphs_release(&g);
    ci_graphs_release(&all);
    ci_stream_destroy(&s);
}

static void push__of_any_number_of_frames_builds_the_same(void **state)
{
    static const ci_lid sizes[][2] = {{50, 50}, {60, 25}, {40, 55}, {4, 1}};
    static const ci_lid pieces[] = {1, 7, 100, N};

    (void)state;
    capture_make(N);
    for (size_t k = 0; k < CI_COUNT(sizes) * PASTS; k++) {
        const ci_lid W = sizes[k % 4][0], S = sizes[k % 4][1];
        ci_profile *known = learned(W, S, 0, N / 2);
        ci_graphs want;
        if (S == 1 && k / 4 != CI_PAST_BOTH) {
            ci_profile_destroy(&known);
            continue;
        }
        graphs_make(&want, (ci_past)(k / 4), W, S, prefix_ns, known, N);
        for (size_t p = 0; p < CI_COUNT(pieces); p++) pieces_compare((ci_past)(k / 4), W, S, known, &want, pieces[p], want.n_graph);
        pieces_compare((ci_past)(k / 4), W, S, known, &want, 333, 3);
        ci_graphs_release(&want);
        ci_profile_destroy(&known);
    }
}

/** The rest of the capture, and all labels, may be anything. */
static void columns__depend_on_no_later_frame_and_no_label(void **state)
{
    (void)state;
    for (int past = 0; past < PASTS; past++) {
        const ci_lid W = 60, S = past % 2 ? 60 : 25;
        ci_profile *known;
        ci_graphs want, g;
        capture_make(N);
        known = learned(W, S, 0, N / 2);
        graphs_make(&want, (ci_past)past, W, S, prefix_ns, known, N);
        graphs_make(&g, (ci_past)past, W, S, prefix_ns, known, 3777);
        assert_true(graphs_same(&g, &want, g.n_graph, true));
        ci_graphs_release(&g);
        for (ci_lid i = 0; i < N; i++) row_attack[i] ^= 1;
        for (ci_lid i = 3777; i < N; i++) row_t[i] += INT64_C(77777777);
        graphs_make(&g, (ci_past)past, W, S, prefix_ns, known, N);
        assert_true(graphs_same(&g, &want, (3777 - W) / S + 1, false));
        assert_false(graphs_same(&g, &want, want.n_graph, false));
        assert_false(graphs_same(&g, &want, 10, true));
        ci_graphs_release(&g);
        ci_graphs_release(&want);
        ci_profile_destroy(&known);
    }
}

static void labels__are_those_of_frames(void **state)
{
    ci_graphs g;
    ci_lid attacked = 0;

    (void)state;
    capture_make(N);
    graphs_make(&g, CI_PAST_NONE, 50, 30, 0, NULL, N);
    for (ci_lid i = 0; i < g.n_graph; i++) {
        uint8_t any = row_attack[g.row[i]];
        assert_int_equal(g.row[i], i * 30);
        assert_int_equal(g.warm[i], 1);
        for (ci_lid k = 1; k < 50; k++) {
            const ci_lid e = g.edge_first[i] + k - 1;
            any |= row_attack[g.row[i] + k];
            assert_int_equal(g.edge_attack[e], row_attack[g.row[i] + k]);
            assert_int_equal(g.id[g.node_first[i] + g.src[e]], row_id[g.row[i] + k - 1]);
            assert_int_equal(g.id[g.node_first[i] + g.dst[e]], row_id[g.row[i] + k]);
        }
        assert_int_equal(g.attack[i], any);
        attacked += any;
    }
    assert_in_range(attacked, 20, g.n_graph - 20);
    ci_graphs_release(&g);
}

static void push__without_graphs_learns_the_same(void **state)
{
    static const ci_lid sizes[][2] = {{50, 50}, {60, 25}, {40, 55}};

    (void)state;
    capture_make(N);
    for (size_t k = 0; k < CI_COUNT(sizes) * PASTS; k++) {
        const ci_past past = (ci_past)(k / 3);
        const ci_lid W = sizes[k % 3][0], S = sizes[k % 3][1];
        ci_stream *a = stream_of(past, W, S, prefix_ns), *b = stream_of(past, W, S, prefix_ns);
        ci_graphs g;
        graphs_room(&g, past, N / S + 1, W);
        assert_int_equal(ci_stream_begin(a, NULL), CI_OK);
        assert_int_equal(ci_stream_begin(b, NULL), CI_OK);
        rows_push(a, 0, N - 7, &g);
        rows_push(b, 0, N / 2, NULL);
        rows_push(b, N / 2, N - 7, NULL);
        assert_int_equal(ci_stream_end(a), CI_OK);
        assert_int_equal(ci_stream_end(b), CI_OK);
        assert_true(profiles_same(ci_stream_known(a), ci_stream_known(b)));
        if (past == CI_PAST_RUN || past == CI_PAST_BOTH) assert_int_equal(ci_profile_tell(ci_stream_known(b)).n, N - 7);
        if (past == CI_PAST_PREFIX) { /* windows, every m-th, whose next one could begin in it */
            assert_int_equal(ci_profile_tell(ci_stream_known(b)).n, behind_prefix());
            assert_int_equal(ci_profile_tell(ci_stream_known(b)).n_window, behind_prefix() / ((W + S - 1) / S * S));
        }
        ci_graphs_release(&g);
        ci_stream_destroy(&a);
        ci_stream_destroy(&b);
    }
}

static void begin__forgets_the_capture_before(void **state)
{
    (void)state;
    capture_make(N);
    for (int past = 0; past < PASTS; past++) {
        ci_stream *s = stream_of((ci_past)past, 50, 50, prefix_ns);
        ci_profile *known = learned(50, 50, 0, N / 2);
        ci_graphs want, g;
        graphs_make(&want, (ci_past)past, 50, 50, prefix_ns, known, N);
        graphs_room(&g, (ci_past)past, N / 50 + 1, 50);
        assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
        rows_push(s, 700, 4021, NULL);
        assert_int_equal(ci_stream_begin(s, known), CI_OK);
        rows_push(s, 0, N, &g);
        assert_true(g.n_graph == want.n_graph && graphs_same(&g, &want, g.n_graph, true));
        ci_graphs_release(&g);
        ci_graphs_release(&want);
        ci_profile_destroy(&known);
        ci_stream_destroy(&s);
    }
}

static void windows__of_one_identifier_of_four_frames_and_of_many(void **state)
{
    ci_graphs g;

    (void)state;
    for (int past = 0; past < PASTS; past++) {
        table.n = 0;
        for (int i = 0; i < 3000; i++) row_put(INT64_C(1000000) * i, 0x100, (uint64_t)i, 8, 0);
        ci_profile *known = learned(4, 4, 0, 2500);
        graphs_make(&g, (ci_past)past, 4, 4, prefix_ns, known, 3000);
        for (ci_lid i = 0; i < g.n_graph; i++) assert_int_equal(g.node_first[i + 1], i + 1);
        ci_graphs_release(&g);
        ci_profile_destroy(&known);
        table.n = 0;
        seed = 3;
        for (int i = 0; i < 9000; i++) row_put(i % 2 ? 0 : INT64_C(4000000000000000000), (uint32_t)next_random(), next_random(), (uint8_t)(i % 9), 0);
        graphs_make(&g, (ci_past)past, 300, 300, prefix_ns, NULL, 9000);
        ci_graphs_release(&g);
    }
}

static void times__may_be_as_late_and_as_far_apart_as_they_can_be(void **state)
{
    enum { FAST = 24 };
    ci_stream *s = stream_of(CI_PAST_PREFIX, 100, 100, INT64_C(2000000000));
    ci_graphs g;

    (void)state;
    table.n = 0;
    for (int i = 0; i < 2500; i++) row_put(INT64_MAX - 1000000000 + 100000 * i, 0x100, (uint64_t)i, 8, 0);
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, 0, 2500, NULL);
    assert_int_equal(ci_profile_tell(ci_stream_known(s)).n, 2500); /* all of it is in the prefix */
    ci_stream_destroy(&s);

    assert_string_equal(ci_feature_set_of("agnostic", "none")->window[FAST].name, "fast");
    table.n = 0;
    for (int i = 0; i < 4; i++) row_put(INT64_C(1900000000000000000) * i, 0x100, 0, 8, 0);
    graphs_make(&g, CI_PAST_NONE, 4, 4, 0, NULL, 4);
    assert_int_equal(g.n_graph, 1);
    assert_true(g.w[FAST] == 0); /* equal intervals, ten of which are more than 64 bits hold */
    ci_graphs_release(&g);
}

static void create__refuses_windows_that_cannot_be(void **state)
{
    const ci_feature_set *const run = ci_feature_set_of("agnostic", "run");
    ci_stream *s;

    (void)state;
    assert_int_equal(ci_stream_create(run, CI_PAST_RUN, 3, 3, 0, &s), CI_ECONF);
    assert_null(s);
    assert_int_equal(ci_stream_create(run, CI_PAST_RUN, 65536, 3, 0, &s), CI_ECONF);
    assert_int_equal(ci_stream_create(run, CI_PAST_NONE, 100, 100, 0, &s), CI_ECONF);
    for (int past = 0; past < PASTS; past++) assert_int_equal(ci_past_of(ci_past_name((ci_past)past)), past);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(resume__is_the_serial_pass),
    cmocka_unit_test(resume__refuses_what_cannot_begin_there),
    cmocka_unit_test(push__of_any_number_of_frames_builds_the_same),
    cmocka_unit_test(columns__depend_on_no_later_frame_and_no_label),
    cmocka_unit_test(labels__are_those_of_frames),
    cmocka_unit_test(push__without_graphs_learns_the_same),
    cmocka_unit_test(begin__forgets_the_capture_before),
    cmocka_unit_test(windows__of_one_identifier_of_four_frames_and_of_many),
    cmocka_unit_test(times__may_be_as_late_and_as_far_apart_as_they_can_be),
    cmocka_unit_test(create__refuses_windows_that_cannot_be),
};
CI_TEST_MAIN(tests)
