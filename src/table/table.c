#include "ci/table.h"

#include <assert.h>
#include <stdlib.h>

#include "ci/arena.h"

static ci_rc column_grow(void *column, ci_lid cap, size_t item)
{
    size_t none = 0;

    return ci_grow(column, &none, (size_t)cap, item);
}

ci_rc ci_table_reserve(ci_table *t, ci_lid n)
{
    ci_rc rc = CI_OK;
    const int64_t half = (int64_t)t->cap + t->cap / 2;
    ci_lid cap;

    assert(n >= 0);
    if (n <= t->cap && t->t_ns) goto done;
    cap = (ci_lid)CI_MIN(CI_MAX(CI_MAX(n, half), 64), INT32_MAX);
    CI_TRY(column_grow(&t->t_ns, cap, sizeof *t->t_ns));
    CI_TRY(column_grow(&t->id, cap, sizeof *t->id));
    CI_TRY(column_grow(&t->data, cap, sizeof *t->data));
    CI_TRY(column_grow(&t->len, cap, sizeof *t->len));
    CI_TRY(column_grow(&t->attack, cap, sizeof *t->attack));
    t->cap = cap;
done:
    return rc;
}

void ci_table_release(ci_table *t)
{
    if (!t) return;
    free(t->t_ns);
    free(t->id);
    free(t->data);
    free(t->len);
    free(t->attack);
    *t = (ci_table){0};
}
