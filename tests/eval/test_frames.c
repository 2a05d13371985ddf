/* Frames of windows that overlap, counted by hand. */
#include "ci_test.h"

#include <math.h>

#include "eval/eval_priv.h"

/* Windows of four frames, two on from each other: three of capture 0, the second cold, one of capture 1.  Frames of capture 0:
 *
 *      0 1 2 3            attack: 2
 *          2 3 4 5        attack: 2 and 5; the window before has had 2 and 3
 *              4 5 6 7    attack: 5 and 6
 *
 * Capture 1: frame 0 alone is an attack, which no edge says, but the window's label. */
static const ci_store_capture capture[2] = {{.first_graph = 0, .n_graph = 3}, {.first_graph = 3, .n_graph = 1}};
static const int32_t graph_capture[4] = {0, 0, 0, 1};
static const int64_t graph_edge[5] = {0, 3, 6, 9, 12};
static const uint8_t graph_label[4] = {1, 1, 1, 1}, graph_warm[4] = {1, 0, 1, 1};
static const uint8_t edge_label[12] = {0, 1, 0, /**/ 0, 0, 1, /**/ 1, 1, 0, /**/ 0, 0, 0};
static int64_t graph[4] = {0, 1, 2, 3}, frame[5] = {0, 3, 6, 9, 12};
static float odds[12] = {1, 2, 3, /**/ 4, 5, 6, /**/ 7, 8, 9, /**/ 10, 11, 12}, output[8] = {0, -1, 0, -2, 0, -3, 1, -3};

static void made(ci_store *st, struct scored *all)
{
    *st = (ci_store){.head = {.frames = 4, .stride = 2, .n_capture = 2, .capture = (ci_store_capture *)capture}, .graph_capture = graph_capture,
                     .graph_edge = graph_edge, .graph_label = graph_label, .graph_warm = graph_warm, .edge_label = edge_label};
    *all = (struct scored){.n = 4, .graph = graph, .frame = frame, .frame_odds = odds, .output = output, .n_output = 2};
}

static void frames__are_taken_once(void **state)
{
    static const double score[9] = {1, 2, 3, /**/ 5, 6, /**/ 8, 9, /**/ -4, 10};
    static const uint8_t label[9] = {0, 1, 0, /**/ 0, 1, /**/ 1, 0, /**/ 1, 0}, cold[9] = {0, 0, 0, 1, 1, 0, 0, 0, 0};
    ci_store st;
    struct scored all;
    struct frames f = {0};

    (void)state;
    made(&st, &all);
    for (int64_t i = 0; i < 4; i++) assert_int_equal(frames_add(&f, &st, &all, i), CI_OK);
    assert_int_equal(f.n, 11); /* 3 of 4, for the label of frame 0 is not told; 2; 2; 4 */
    assert_int_equal(f.n_unknown, 1);
    assert_int_equal(f.n_attack, 4);
    for (int i = 0; i < 9; i++) {
        assert_true(f.score[i] == score[i]);
        assert_int_equal(f.label[i], label[i]);
        assert_int_equal(f.cold[i], cold[i]);
    }
    frames_release(&f);
    st.head.stride = 4; /* no overlap: all frames, of which the first of windows 0 to 2 are not told */
    for (int64_t i = 0; i < 4; i++) assert_int_equal(frames_add(&f, &st, &all, i), CI_OK);
    assert_int_equal(f.n, 13);
    assert_int_equal(f.n_unknown, 3);
    frames_release(&f);
}

static void frames__are_worth_what_a_person_counts(void **state)
{
    const struct results r = {.frame_threshold = 5.5, .frame_t1 = 1.5, .frame_b998 = NAN};
    ci_store st;
    struct scored all;
    struct frames f = {0};
    struct line l = {0};

    (void)state;
    made(&st, &all);
    for (int64_t i = 0; i < 4; i++) assert_int_equal(frames_add(&f, &st, &all, i), CI_OK);
    assert_int_equal(frames_worth(&f, &r, &l), CI_OK);
    assert_true(l.framed);
    assert_int_equal(l.frames.n, 11);
    assert_int_equal(l.frames.n_cold, 2);
    assert_int_equal(l.frames.at.tp, 1); /* 8; the cold 6 is a miss */
    assert_int_equal(l.frames.at.fn, 3);
    assert_int_equal(l.frames.at.fp, 4); /* 9 10 11 12 */
    assert_int_equal(l.frames.at.tn, 3);
    assert_int_equal(l.frames_t1.tp, 2);
    assert_int_equal(l.frames_t1.fp, 5);
    assert_int_equal(l.n_unknown, 1);
    /* warm: attacks 2 8 -4, benign 1 3 9 10 11 12: above pairs 1 + 2 + 0 of 18 */
    assert_true(fabs(l.frames.auroc - 3. / 18) < 1e-15);
    frames_release(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(frames__are_taken_once),
    cmocka_unit_test(frames__are_worth_what_a_person_counts),
};

CI_TEST_MAIN(tests)
