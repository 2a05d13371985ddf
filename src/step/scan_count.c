#include <string.h>

#include "scan_priv.h"

ci_count ci_count_none(void)
{
    return (ci_count){.first_attack = -1, .last_attack = -1, .id_min = UINT32_MAX,
                      .label_first = -1, .label_last = -1};
}

static int64_t bytes_sum(uint64_t v)
{
    const uint64_t every_second = UINT64_C(0x00ff00ff00ff00ff);
    const uint64_t pairs = (v & every_second) + (v >> 8 & every_second);

    return (int64_t)(pairs * UINT64_C(0x0001000100010001) >> 48);
}

static void labels_count(const ci_table *t, ci_count *c)
{
    for (ci_lid i = 0; i < t->n_own; i++) {
        if (i && t->attack[i] != t->attack[i - 1]) c->switches++;
        if (!t->attack[i]) continue;
        if (c->first_attack < 0) c->first_attack = t->first_row + i;
        c->last_attack = t->first_row + i;
        c->attack_rows++;
    }
    c->label_first = t->attack[0];
    c->label_last = t->attack[t->n_own - 1];
}

ci_count ci_count_rows(const ci_table *t)
{
    ci_count c = ci_count_none();

    if (t->n_own == 0) return c;
    c.rows = t->n_own;
    for (ci_lid i = 0; i < t->n_own; i++) {
        const uint32_t id = t->id[i];
        c.by_len[t->len[i]]++;
        c.sum_id += id & 0x7fffffff;
        c.sum_byte += bytes_sum(t->data[i]);
        c.id_min = CI_MIN(c.id_min, id);
        c.id_max = CI_MAX(c.id_max, id);
    }
    for (ci_lid i = 1; i < t->n_own; i++) {
        c.back += t->t_ns[i] < t->t_ns[i - 1];
        c.equal += t->t_ns[i] == t->t_ns[i - 1];
    }
    c.t_first = t->t_ns[0];
    c.t_last = t->t_ns[t->n_own - 1];
    labels_count(t, &c);
    return c;
}

void ci_count_append(ci_count *a, const ci_count *b)
{
    ci_count c = *a;

    c.graphs += b->graphs;
    c.attack_graphs += b->attack_graphs;
    c.nodes += b->nodes;
    c.edges += b->edges;
    if (b->rows > 0 && a->rows > 0) {
        c.back += b->t_first < a->t_last;
        c.equal += b->t_first == a->t_last;
        c.switches += b->label_first != a->label_last;
    }
    if (b->rows > 0) {
        if (a->rows == 0) {
            c.t_first = b->t_first;
            c.label_first = b->label_first;
        }
        c.t_last = b->t_last;
        c.label_last = b->label_last;
        if (c.first_attack < 0) c.first_attack = b->first_attack;
        if (b->last_attack >= 0) c.last_attack = b->last_attack;
    }
    c.rows += b->rows;
    c.attack_rows += b->attack_rows;
    c.back += b->back;
    c.equal += b->equal;
    c.switches += b->switches;
    for (int k = 0; k < 9; k++) c.by_len[k] += b->by_len[k];
    c.sum_id += b->sum_id;
    c.sum_byte += b->sum_byte;
    c.id_min = CI_MIN(c.id_min, b->id_min);
    c.id_max = CI_MAX(c.id_max, b->id_max);
    *a = c;
}
