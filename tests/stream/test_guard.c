/* What guard does not learn: counts worked out on paper. */
#include "ci_test.h"

#include "stream/stream_priv.h"
#include "stream_made.h"

enum { STEP = 10, CALM = 2200, A = 0x100, B = 0x200, X = 0x300, MS = 1000000 };

/** A and B in turn, a frame each ms; bit 0 of A flips each time. */
static void calm_put(ci_lid n)
{
    for (ci_lid i = 0; i < n; i++) {
        const ci_lid k = table.n;
        row_put((int64_t)k * MS, k % 2 ? B : A, k % 2 ? 0xBB : (uint64_t)(k / 2 % 2), 8, 0);
    }
}

static void calm_make(void)
{
    table.n = 0;
    calm_put(CALM);
}

/** Guard's stream over all rows; what is known and how the last step was. */
static ci_stream *guarded(ci_lid n)
{
    ci_stream *s = stream_of(CI_PAST_GUARD, STEP, STEP, 0);

    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, 0, n, NULL);
    return s;
}

static const struct known *known_of(const ci_profile *p, uint32_t id)
{
    const int32_t k = ci_profile_find(p, id);

    assert_in_range(k, 0, p->n_id - 1);
    return &p->known[k];
}

static uint32_t follows(const ci_profile *p, uint32_t u, uint32_t v)
{
    return p->follows[ci_profile_find(p, u) * p->cap_id + ci_profile_find(p, v)];
}

static void guard__learns_calm_traffic(void **state)
{
    (void)state;
    calm_make();
    ci_stream *s = guarded(CALM);
    const ci_profile *p = ci_stream_known(s);
    assert_false(ci_stream_odd(s));
    assert_int_equal(p->n, CALM);
    assert_int_equal(p->n_gap, CALM - 1);
    assert_int_equal(p->n_window, CALM / STEP);
    assert_int_equal(known_of(p, A)->n, CALM / 2);
    assert_int_equal(known_of(p, A)->n_pair, CALM / 2 - 1);
    assert_int_equal(known_of(p, A)->flips[0], CALM / 2 - 1);
    assert_int_equal(known_of(p, A)->interval[ci_bin(2 * MS)], CALM / 2 - 1);
    assert_int_equal(follows(p, A, B), CALM / 2);
    assert_int_equal(follows(p, B, A), CALM / 2 - 1);
    ci_stream_destroy(&s);
}

/** Three new frames in a step: no gap is learned of it, no window, nothing of X; A and B are. */
static void guard__passes_over_a_step_with_three_odd_frames(void **state)
{
    (void)state;
    calm_make();
    calm_put(STEP);
    for (ci_lid i = CALM + 2; i < CALM + STEP; i += 3) row_id[i] = X; /* instead of A, B, A */
    ci_stream *s = guarded(CALM + STEP);
    const ci_profile *p = ci_stream_known(s);
    assert_true(ci_stream_odd(s));
    assert_int_equal(p->n, CALM + 7);
    assert_int_equal(p->n_gap, CALM - 1);
    assert_int_equal(p->n_window, CALM / STEP);
    assert_int_equal(known_of(p, X)->n, 0);
    assert_int_equal(known_of(p, X)->n_last, 2);
    assert_int_equal(known_of(p, A)->n, CALM / 2 + 3);
    assert_int_equal(known_of(p, B)->n, CALM / 2 + 4);
    assert_int_equal(known_of(p, A)->n_pair, CALM / 2 - 1 + 3);
    assert_int_equal(follows(p, A, X) + follows(p, B, X) + follows(p, X, A) + follows(p, X, B) + follows(p, X, X), 0);
    /* A B X B A X A B X B: of the neighbours without X three are A B or B A, and A follows the step before */
    assert_int_equal(follows(p, A, B), CALM / 2 + 2);
    assert_int_equal(follows(p, B, A), CALM / 2 - 1 + 2);
    ci_stream_destroy(&s);
}

static void guard__learns_gaps_of_a_step_with_two(void **state)
{
    (void)state;
    calm_make();
    calm_put(STEP);
    row_id[CALM + 2] = row_id[CALM + 5] = X;
    ci_stream *s = guarded(CALM + STEP);
    const ci_profile *p = ci_stream_known(s);
    assert_int_equal(p->n, CALM + 8);
    assert_int_equal(p->n_gap, CALM - 1 + STEP - 4); /* two to X and two from it are not */
    assert_int_equal(p->n_window, CALM / STEP + 1);
    ci_stream_destroy(&s);
}

/** Four bits that never flipped: the frame is odd, and so is the next one, in which they flip back; of the one behind that there
 *  is no interval from an odd frame. */
static void guard__takes_an_odd_frame_as_the_previous_one(void **state)
{
    (void)state;
    calm_make();
    calm_put(2 * STEP);
    row_data[CALM + 3] = 0xB4;                                     /* of B: 0xBB ^ 0x0F */
    ci_stream *s = guarded(CALM + STEP);
    const ci_profile *p = ci_stream_known(s);
    assert_true(ci_stream_odd(s));
    assert_int_equal(p->n, CALM + STEP - 2);
    assert_int_equal(known_of(p, B)->n, CALM / 2 + 3);
    assert_int_equal(known_of(p, B)->n_pair, CALM / 2 - 1 + 2);    /* of frames 1 and 9 of the step, not 3, 5, 7 */
    assert_int_equal(known_of(p, B)->interval[ci_bin(2 * MS)], CALM / 2 - 1 + 2);
    assert_int_equal(known_of(p, B)->flipped, 0);
    assert_int_equal(known_of(p, B)->most[0], 0xBB);
    assert_int_equal(known_of(p, B)->least[0], 0xBB);
    ci_stream_destroy(&s);
}

/** A quarter of an interval is early by 2 octaves; a third of an octave is not early enough.  Three such frames are not
 *  learned; what comes once in a step is. */
static void guard__does_not_learn_early_frames_and_lengths(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        calm_make();
        calm_put(STEP);
        for (ci_lid i = 3; i < (kind < 3 ? 9 : 5); i += 2) {
            if (kind % 3 == 0) row_t[CALM + i] = row_t[CALM + i - 2] + MS / 2; /* of B, each half a ms behind the one before */
            if (kind % 3 == 1) row_t[CALM + i] -= MS / 3;
            if (kind % 3 == 2) row_len[CALM + i] = 4;
        }
        ci_stream *s = guarded(CALM + STEP);
        assert_int_equal(ci_stream_odd(s), kind % 3 != 1);
        assert_int_equal(known_of(ci_stream_known(s), B)->n, CALM / 2 + (kind == 0 || kind == 2 ? 2 : 5));
        ci_stream_destroy(&s);
    }
}

static float column_of(const ci_graphs *g, ci_lid graph, uint32_t id, const char *name)
{
    for (ci_lid v = g->node_first[graph]; v < g->node_first[graph + 1]; v++)
        for (ci_lid k = 0; k < g->set->n_node; k++)
            if (g->id[v] == id && strcmp(g->set->node[k].name, name) == 0) return g->x[v * g->set->n_node + k];
    fail_msg("no %s of %X", name, id);
    return 0;
}

/** X comes in every step, from the end of calm: run knows it from the second step on, guard when it came CI_STREAM_TRIAL
 *  times; but never when three come in each step. */
static void guard__learns_a_new_identifier_after_a_trial(void **state)
{
    (void)state;
    for (int flood = 0; flood < 2; flood++) {
        ci_graphs g;
        calm_make();
        calm_put(40 * STEP);
        for (ci_lid i = CALM; i < table.n; i++)
            if (i % STEP == 4 || (flood && (i % STEP == 1 || i % STEP == 7))) row_id[i] = X;
        graphs_make(&g, CI_PAST_BOTH, STEP, STEP, 0, NULL, table.n);
        for (ci_lid k = CALM / STEP; k < g.n_graph; k++) {
            const ci_lid came = k - CALM / STEP;
            assert_true(column_of(&g, k, X, "newid_max") == (came == 0));
            assert_true(column_of(&g, k, X, "guard_newid_max") == (flood || came <= CI_STREAM_TRIAL));
            assert_true(column_of(&g, k, A, "guard_newid_max") == 0);
        }
        ci_graphs_release(&g);
    }
}

/** Before frame CI_STREAM_WARM nothing is odd, even in the middle of a step. */
static void guard__begins_at_frame_2000(void **state)
{
    (void)state;
    table.n = 0;
    calm_put(2020);
    row_id[1970] = row_id[1999] = X;
    row_id[2000] = row_id[2003] = X;
    ci_stream *s = stream_of(CI_PAST_GUARD, 30, 30, 0);
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, 0, 2020, NULL);
    assert_int_equal(ci_stream_end(s), CI_OK);
    assert_int_equal(known_of(ci_stream_known(s), X)->n, 4); /* 1970 is before the step that 2000 is in */
    ci_stream_destroy(&s);
    row_id[1970] = A;
    s = stream_of(CI_PAST_GUARD, 30, 30, 0);
    assert_int_equal(ci_stream_begin(s, NULL), CI_OK);
    rows_push(s, 0, 2020, NULL);
    assert_int_equal(ci_stream_end(s), CI_OK);
    assert_int_equal(known_of(ci_stream_known(s), X)->n, 1); /* that step began at 1980 */
    ci_stream_destroy(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(guard__learns_calm_traffic),
    cmocka_unit_test(guard__passes_over_a_step_with_three_odd_frames),
    cmocka_unit_test(guard__learns_gaps_of_a_step_with_two),
    cmocka_unit_test(guard__takes_an_odd_frame_as_the_previous_one),
    cmocka_unit_test(guard__does_not_learn_early_frames_and_lengths),
    cmocka_unit_test(guard__learns_a_new_identifier_after_a_trial),
    cmocka_unit_test(guard__begins_at_frame_2000),
};
CI_TEST_MAIN(tests)
