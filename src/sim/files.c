/* Slices of all captures, in order, are dealt to ranks in rounds.  A slice is made in memory; then
   all ranks hear how long the slices of the round are, so that each knows where its own go. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ci/arena.h"
#include "ci/signal.h"
#include "ci/tick.h"
#include "ci/types.h"
#include "sim_priv.h"

enum { HAND = 4 }; /* slices of a rank in a round */

/* A capture, or a part of one, and the files that have its bytes. */
typedef struct track {
    int32_t file[2], n_file;
    int64_t next, n_slice; /* of its slices, those that were dealt, those that are planned */
    int64_t from_us, to_us;
    written sum;
    ci_extent *wrote;      /* (n_wrote) what this rank wrote; owned */
    size_t n_wrote, cap_wrote;
} track;

typedef struct piece { int32_t track; int64_t slice; } piece;

typedef struct size { int64_t bytes, rows, attack_rows; } size;

typedef struct job {
    const ci_comm *comm;
    const ci_conf *conf;
    const char *set;
    const recording *r;
    int32_t n, n_track, first; /* recordings; tracks; the first track that is not complete */
    track *t;                  /* (n_track) */
    piece *piece;              /* (n_piece) of the round, piece i of rank i % size */
    int32_t n_piece;
    bus *bus;
    lines text[HAND];
} job;

static int64_t want_rows(const job *j) { return j->conf->sim.rows ? j->conf->sim.rows : INT64_MAX; }

static void tracks_plan(job *j)
{
    for (int32_t k = 0; k < j->n; k++) {
        const recording *r = &j->r[k];
        track *t = &j->t[r->track];

        t->file[t->n_file++] = k;
        j->n_track = CI_MAX(j->n_track, r->track + 1);
        if (t->n_file > 1) continue;
        ci_sim_bus_load(j->conf, r, j->bus);
        t->from_us = CI_MIN(r->from_us, j->bus->all_us);
        t->to_us = CI_MIN(r->to_us, j->bus->all_us);
        t->n_slice = CI_MAX(1, (t->to_us - t->from_us + SLICE_US - 1) / SLICE_US);
        if (j->conf->sim.rows) t->to_us = INT64_MAX; /* as long as it takes */
    }
}

/* The pieces of the next round: the same on every rank. */
static void deal(job *j)
{
    const int32_t most = HAND * j->comm->size;

    j->n_piece = 0;
    while (j->first < j->n_track && j->t[j->first].next == j->t[j->first].n_slice) j->first++;
    for (int32_t k = j->first; k < j->n_track && j->n_piece < most; k++)
        while (j->t[k].next < j->t[k].n_slice && j->n_piece < most)
            j->piece[j->n_piece++] = (piece){k, j->t[k].next++};
}

static ci_rc make(job *j, const piece *p, lines *out)
{
    ci_rc rc = CI_OK;
    const track *t = &j->t[p->track];
    const recording *r = &j->r[t->file[0]];
    const int64_t from = t->from_us + p->slice * SLICE_US;

    if (ci_signal_seen())
        CI_FAIL(CI_ETEMP, "signal %d while simulating %s; start again", ci_signal_seen(), r->path);
    ci_sim_text_clear(out);
    if (p->slice == 0) CI_TRY(ci_sim_text_header_put(out));
    ci_sim_bus_load(j->conf, r, j->bus);
    CI_TRY(ci_sim_bus_run(j->bus, from, CI_MIN(from + SLICE_US, t->to_us), out));
    ci_tick();
done:
    return rc;
}

static ci_rc make_hand(job *j)
{
    ci_rc rc = CI_OK;

    for (int32_t i = j->comm->rank; i < j->n_piece; i += j->comm->size)
        CI_TRY(make(j, &j->piece[i], &j->text[i / j->comm->size]));
done:
    return rc;
}

static ci_rc write_at(const char *path, const char *bytes, size_t n, int64_t offset)
{
    ci_rc rc = CI_OK;
    int fd;

    CI_TRY(ci_extent_open(path, &fd));
    CI_TRY(ci_extent_write(fd, path, offset, bytes, n));
done:
    if (fd >= 0) close(fd); /* what did not arrive is seen when it is read back */
    return rc;
}

static ci_rc temp_of(const job *j, int32_t file, char path[CI_PATH_MAX], char temp[CI_PATH_MAX])
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_path_join(path, j->set, j->r[file].path));
    CI_TRY(ci_commit_temp(path, temp));
done:
    return rc;
}

static ci_rc put(job *j, track *t, const lines *x)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];
    void *grown = t->wrote;

    if (x->used == 0) return CI_OK;
    CI_TRY(ci_grow(&grown, &t->cap_wrote, t->n_wrote + 1, sizeof *t->wrote));
    t->wrote = grown;
    for (int k = 0; k < t->n_file; k++) {
        CI_TRY(temp_of(j, t->file[k], path, temp));
        CI_TRY(write_at(temp, x->bytes, x->used, t->sum.bytes));
    }
    t->wrote[t->n_wrote++] = (ci_extent){t->sum.bytes, (int64_t)x->used, ci_xxh_of(x->bytes, x->used)};
done:
    return rc;
}

/* Piece i as `s` says, cut to the rows that its capture still wants, to its place.
   \param [in,out] s  what is kept */
static ci_rc place(job *j, int32_t i, size *s)
{
    ci_rc rc = CI_OK;
    track *t = &j->t[j->piece[i].track];
    const int64_t room = want_rows(j) - t->sum.rows;

    if (i % j->comm->size != j->comm->rank) {
        *s = (size){0};
        return CI_OK;
    }
    lines *x = &j->text[i / j->comm->size];
    if (s->rows > room) ci_sim_text_cut(x, room, j->piece[i].slice == 0);
    if (room == 0) x->used = 0;
    *s = (size){(int64_t)x->used, x->rows, x->attack_rows};
    CI_TRY(put(j, t, x));
done:
    return rc;
}

/* The sizes of all pieces as they were made, in the order of pieces. */
static ci_rc sizes_gather(job *j, size **out)
{
    ci_rc rc = CI_OK;
    size mine[HAND] = {0}, *s = ci_new((size_t)j->n_piece + 1, sizeof *s);
    void *all = NULL;
    size_t n = 0;

    for (int k = 0; k < HAND; k++) mine[k] = (size){(int64_t)j->text[k].used, j->text[k].rows, j->text[k].attack_rows};
    CI_TRY_ALL(j->comm, "sim.sizes.agree", s ? CI_OK : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d slices", j->n_piece));
    CI_TRY(ci_comm_allgather(j->comm, "sim.sizes.allgather", mine, sizeof mine, &all, &n, NULL));
    for (int32_t i = 0; i < j->n_piece; i++)
        s[i] = ((size *)all)[HAND * (i % j->comm->size) + i / j->comm->size];
    *out = s;
    s = NULL;
done:
    free(all);
    free(s);
    return rc;
}

static ci_rc place_hand(job *j, const size *s, size *kept, bool *out_cut)
{
    ci_rc rc = CI_OK;

    *out_cut = false;
    for (int32_t i = 0; i < j->n_piece; i++) {
        track *t = &j->t[j->piece[i].track];

        kept[i] = s[i];
        *out_cut |= s[i].rows > want_rows(j) - t->sum.rows;
        if (rc == CI_OK) rc = place(j, i, &kept[i]);
        t->sum.rows = CI_MIN(t->sum.rows + s[i].rows, want_rows(j));
        t->sum.bytes += s[i].bytes;
        t->sum.attack_rows += s[i].attack_rows;
    }
    return rc;
}

/* Where a capture was cut its sums are of what was made: mend them by what was kept. */
static ci_rc mend(job *j, const size *s, size *kept)
{
    ci_rc rc = CI_OK;

    CI_TRY(ci_comm_sum_i64(j->comm, "sim.cut.sum", (int64_t *)kept, (size_t)j->n_piece * 3));
    for (int32_t i = 0; i < j->n_piece; i++) {
        track *t = &j->t[j->piece[i].track];

        t->sum.bytes += kept[i].bytes - s[i].bytes;
        t->sum.attack_rows += kept[i].attack_rows - s[i].attack_rows;
    }
done:
    return rc;
}

/* Captures that are at their planned end and still short of rows: as many slices more as will do,
   going by those that there are. */
static void extend(job *j)
{
    for (int32_t k = j->first; k < j->n_track; k++) {
        track *t = &j->t[k];
        const int64_t need = j->conf->sim.rows - t->sum.rows;

        if (t->next == t->n_slice && need > 0) t->n_slice += CI_MAX(1, need / CI_MAX(1, t->sum.rows / t->next));
    }
}

static ci_rc one_round(job *j)
{
    ci_rc rc = CI_OK;
    size *s = NULL, *kept = NULL;
    bool cut = false;

    CI_TRY_ALL(j->comm, "sim.slices.agree", make_hand(j));
    CI_TRY(sizes_gather(j, &s));
    kept = ci_new((size_t)j->n_piece, sizeof *kept);
    CI_TRY_ALL(j->comm, "sim.files.agree", kept ? place_hand(j, s, kept, &cut)
               : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d slices", j->n_piece));
    if (cut) CI_TRY(mend(j, s, kept));
    if (j->conf->sim.rows) extend(j);
done:
    free(kept);
    free(s);
    return rc;
}

/* ---- behind the last round */

static ci_rc verify(const job *j)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];

    for (int32_t k = 0; k < j->n_track; k++)
        for (int f = 0; f < j->t[k].n_file && j->t[k].n_wrote; f++) {
            CI_TRY(temp_of(j, j->t[k].file[f], path, temp));
            CI_TRY(ci_extent_verify(temp, j->t[k].wrote, j->t[k].n_wrote));
            ci_tick();
        }
done:
    return rc;
}

static ci_rc publish(const job *j, written *mine, int32_t *out_n)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX];

    for (int32_t k = j->comm->rank; k < j->n; k += j->comm->size) {
        CI_TRY(ci_path_join(path, j->set, j->r[k].path));
        mine[*out_n].file = k;
        CI_TRY(ci_commit_publish(path, NULL, mine[(*out_n)++].sha256));
        ci_tick();
    }
done:
    return rc;
}

static void report(const job *j, const written *p, size_t n, written *out)
{
    for (int32_t k = 0; k < j->n; k++) out[k] = j->t[j->r[k].track].sum;
    for (size_t k = 0; k < n; k++) memcpy(out[p[k].file].sha256, p[k].sha256, CI_SHA256_HEX);
}

static ci_rc publish_all(const job *j, written *out)
{
    ci_rc rc = CI_OK;
    written *mine = ci_new((size_t)j->n, sizeof *mine);
    void *all = NULL;
    size_t n = 0;
    int32_t n_mine = 0;

    CI_TRY_ALL(j->comm, "sim.verify.agree", mine ? verify(j) : ci_fail(CI_ENOMEM, __FILE__, __LINE__, "%d files", j->n));
    CI_TRY_ALL(j->comm, "sim.publish.agree", publish(j, mine, &n_mine));
    CI_TRY(ci_comm_gather(j->comm, "sim.files.gather", mine, (size_t)n_mine * sizeof *mine, &all, &n, NULL));
    if (j->comm->rank == 0) report(j, all, n / sizeof *mine, out);
done:
    free(all);
    free(mine);
    return rc;
}

void ci_sim_files_clear(const char *set, const recording *r, int32_t n)
{
    const job j = {.set = set, .r = r};
    char path[CI_PATH_MAX], temp[CI_PATH_MAX];

    for (int32_t k = 0; k < n; k++)
        if (temp_of(&j, k, path, temp) == CI_OK) unlink(temp);
}

static ci_rc job_start(job *j)
{
    ci_rc rc = CI_OK;

    j->t = ci_new((size_t)j->n, sizeof *j->t);
    j->piece = ci_new((size_t)HAND * (size_t)j->comm->size, sizeof *j->piece);
    if (!j->t || !j->piece) CI_FAIL(CI_ENOMEM, "%d files", j->n);
    CI_TRY(ci_sim_bus_new(&j->bus));
    tracks_plan(j);
done:
    return rc;
}

static void job_release(job *j)
{
    for (int32_t k = 0; j->t && k < j->n_track; k++) free(j->t[k].wrote);
    for (int k = 0; k < HAND; k++) ci_sim_text_release(&j->text[k]);
    ci_sim_bus_free(&j->bus);
    free(j->piece);
    free(j->t);
}

ci_rc ci_sim_files(const ci_comm *comm, const ci_conf *conf, const char *set, const recording *r,
                   int32_t n, written *out)
{
    ci_rc rc = CI_OK;
    job j = {.comm = comm, .conf = conf, .set = set, .r = r, .n = n};

    CI_TRY_ALL(comm, "sim.start.agree", job_start(&j));
    for (deal(&j); j.n_piece; deal(&j)) CI_TRY(one_round(&j));
    CI_TRY(publish_all(&j, out));
done:
    if (rc != CI_OK && comm->rank == 0) ci_sim_files_clear(set, r, n);
    job_release(&j);
    return rc;
}
