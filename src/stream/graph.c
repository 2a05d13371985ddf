/* A window as a graph: the columns where ci_graphs has them. */
#include "stream_priv.h"

static float *node_row(const ci_graphs *g, ci_lid v)
{
    return g->x + (size_t)(g->n_node + v) * (size_t)g->set->n_node;
}

static float *edge_row(const ci_graphs *g, ci_lid i)
{
    return g->e + (size_t)(g->n_edge + i - 1) * (size_t)g->set->n_edge;
}

/* The columns that need no past, and are there in windows that are not warm, too: the first of nodes, two of edges. */
static void ends_fill(ci_graphs *g, const struct window *w)
{
    for (ci_lid v = 0; v < w->n_node; v++) node_row(g, v)[0] = (float)(w->own[v].c / (double)w->W);
    for (ci_lid i = 1; i < w->W; i++) {
        float *const e = edge_row(g, i);
        e[0] = (float)(w->count[w->pair_at[i]] / (double)w->W);
        e[1] = ci_window_pairs(w, w->node[i], w->node[i - 1]) > 0;
    }
}

void ci_graph_begin(ci_graphs *g, const struct window *w, ci_gid row, bool warm)
{
    const ci_lid n = g->n_graph, W = w->W;
    uint8_t attack = 0;

    g->row[n] = row;
    g->warm[n] = warm;
    memcpy(g->id + g->n_node, w->id, (size_t)w->n_node * sizeof *g->id);
    for (ci_lid i = 0; i < W; i++) attack |= w->f.attack[i] != 0;
    g->attack[n] = attack;
    for (ci_lid i = 1; i < W; i++) {
        const ci_lid e = g->n_edge + i - 1;
        g->src[e] = w->node[i - 1];
        g->dst[e] = w->node[i];
        g->edge_attack[e] = w->f.attack[i] != 0;
    }
    memset(g->w + (size_t)n * (size_t)g->set->n_window, 0, (size_t)g->set->n_window * sizeof *g->w);
    memset(g->x + (size_t)g->n_node * (size_t)g->set->n_node, 0, (size_t)w->n_node * (size_t)g->set->n_node * sizeof *g->x);
    memset(g->e + (size_t)g->n_edge * (size_t)g->set->n_edge, 0, (size_t)(W - 1) * (size_t)g->set->n_edge * sizeof *g->e);
    ends_fill(g, w);
}

void ci_graph_end(ci_graphs *g, const struct window *w)
{
    g->n_graph++;
    g->n_node += w->n_node;
    g->n_edge += w->W - 1;
    g->node_first[g->n_graph] = g->n_node;
    g->edge_first[g->n_graph] = g->n_edge;
}

void ci_graph_none(ci_graphs *g, const struct window *w, const struct logs *l, const double own[OWN])
{
    float *const out = g->w + (size_t)g->n_graph * (size_t)g->set->n_window;

    for (int k = 0; k < OWN; k++) out[k] = (float)own[k];
    for (ci_lid v = 0; v < w->n_node; v++) {
        const struct own_node *const o = &w->own[v];
        float *const x = node_row(g, v);
        x[1] = w->n_node > 1 ? (float)((double)v / (w->n_node - 1)) : 0;
        x[2] = o->c > 1 ? (float)((double)o->ham / (64.0 * (o->c - 1))) : 0;
        x[3] = (float)o->cv;
        x[4] = (float)o->least;
        x[5] = (float)((double)o->zero / o->c);
        x[6] = (float)((double)o->length_changes / o->c);
        x[7] = (float)((double)o->runs / o->c);
        x[8] = (float)((double)o->alternations / o->c);
    }
    for (ci_lid i = 1; i < w->W; i++) {
        const int32_t p = w->prev[i];
        float *const e = edge_row(g, i);
        e[2] = (float)(ci_log2_ns(l, w->f.t_ns[i] - w->f.t_ns[i - 1]) - w->gap_median);
        e[3] = p < 0 ? 0 : (float)(ci_bits(w->f.data[i] ^ w->f.data[p]) / 64.0);
        e[4] = p >= 0 && w->f.len[i] != w->f.len[p];
    }
}

void ci_graph_past(ci_graphs *g, const struct window *w, const struct past *a, int which)
{
    float *const out = g->w + (size_t)g->n_graph * (size_t)g->set->n_window + which * WINDOW_PAST;

    for (int k = 0; k < WINDOW_PAST; k++) out[k] = (float)a->window[k];
    for (ci_lid v = 0; v < w->n_node; v++) {
        const struct node_past *const n = &a->node[v];
        float *const x = node_row(g, v) + 1 + which * NODE_PAST;
        for (int k = 0; k < FRAME; k++) {
            x[k] = (float)(n->sum[k] / w->W);
            x[FRAME + k] = (float)n->most[k];
        }
        x[2 * FRAME] = (float)n->expected;
        x[2 * FRAME + 1] = (float)ci_clip(n->share_z, 30);
        x[2 * FRAME + 2] = (float)ci_clip(n->time_z, 30);
        x[2 * FRAME + 3] = n->v->n >= 10;
    }
    for (ci_lid i = 1; i < w->W; i++) {
        float *const e = edge_row(g, i) + 2 + which * FROM_GAP;
        e[0] = (float)a->gap[i];
        e[1] = (float)a->frame[i][13];
        e[2] = (float)a->frame[i][14];
        for (int k = 0; k < 13; k++) e[3 + k] = (float)a->frame[i][k];
    }
}
