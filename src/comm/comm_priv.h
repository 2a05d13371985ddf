#ifndef CI_COMM_PRIV_H
#define CI_COMM_PRIV_H
/* What the files of comm/ share: the state of a communicator and the way into every collective. */
#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>
#include "ci/comm.h"

enum { SITE_MAX = 48, SITES_MAX = 512, TRACE_MAX = 1024 };

/* What a rank tells the others when it comes to a site; also what stands on its place of the board. */
struct arrival {
    char site[SITE_MAX];
    int64_t pass; /* how often this rank came here, from 1 */
    int64_t rc;   /* ci_agree: this rank's own verdict */
};

/* A rank's place on the board of its host, in shared memory: readable though the rank is stuck. */
struct place {
    struct arrival at;
    int32_t inside; /* 1 while it waits in a collective */
    int32_t rank, pid;
    _Atomic int64_t tick; /* signs of life while it works outside the collectives */
};

/* How long a rank has heard nothing.  Zeroed at the start of a wait. */
struct patience {
    double since; /* of the last tick on this host, or of the first look */
    int64_t tick; /* of all other ranks of this host then                */
};

struct site {
    char name[SITE_MAX];
    int64_t pass;
    int guard; /* 1: a call of a library, see ci_comm_guard */
};

struct injection {
    ci_inject_kind kind;
    int rank;
    char site[SITE_MAX];
    int pass;
    double seconds;
};

/* The thread that ends the process when a call of a library does not return; asleep between them. */
struct watch {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int there, stop;
    double seconds;      /* 0: nothing is watched */
    double begin;
    struct patience patience;
    int quiet, exit_code;
    char site[SITE_MAX];
};

struct ci_comm_state {
    MPI_Comm all, node;
    MPI_Comm alarm;       /* of all, for the last words alone */
    MPI_Win win;          /* of the board */
    struct place *board;  /* (node_size) places, in order of node ranks */
    struct arrival *seen; /* (size) what the ranks said at the present site */
    struct arrival *last; /* (size) their last words; no site: nothing came */
    double deadline;
    struct watch watch;
    struct injection inject;
    struct site site[SITES_MAX];
    int n_site;
    char trace[TRACE_MAX];
    int by_mpirun; /* 1 when Open MPI's mpirun started this process */
    int own_mpi; /* 1 when ci_comm_start called MPI_Init */
};

/* Come to a site: injections, then everybody says where it stands.  Ends the job with 75 when the
 * ranks stand at different sites or one does not come.  Collective.  *out_skip: this rank is to
 * go on without the operation. */
ci_rc comm_enter(const ci_comm *c, const char *site, ci_rc mine, int *out_skip);

/* The operation behind a request: wait within the deadline. */
ci_rc comm_finish(const ci_comm *c, const char *site, int started, MPI_Request *request);

void comm_leave(const ci_comm *c);

/* Count a pass of a site. */
ci_rc comm_arrive(const ci_comm *c, const char *site, int guard, struct arrival *at);

/* Write on the board that this rank waits there. */
void comm_stand(const ci_comm *c, const struct arrival *at);

/* Seconds since the wait began or another rank of this host last ticked. */
double comm_waited(const ci_comm *c, struct patience *p);

/* Say that this rank waited too long, and where the others are; returns.  call: ask the ranks of other
 * hosts too, which takes MPI; who waits there hears it and stops as well. */
void comm_say_stalled(const ci_comm *c, const char *site, double seconds, int call);

/* Has a rank of another host called? */
int comm_called(const ci_comm *c);
void comm_say_mismatch(const ci_comm *c, const struct arrival *mine);
int comm_same_place(const struct arrival *a, const struct arrival *b);

/* Everybody gets time to say its line before the first takes all down. */
enum { LAST_WORDS_MS = 400 };

void comm_sleep(double seconds);

/* The watchdog.  Armed, it ends the process after so many seconds without a tick of others with exit_code: 75 with the lines
 * of a stall, 0 with a warning that MPI does not end, and quietly without a site. */
ci_rc watch_start(ci_comm *c);
void watch_stop(ci_comm *c);
void watch_arm(const ci_comm *c, const char *site, double seconds, int exit_code);
void watch_disarm(const ci_comm *c);

/* ci_agree.  transfer: MPI calls without a site of their own follow at once, and a rank that skipped the
 * verdict must not come to them before the others. */
ci_rc comm_agree(const ci_comm *c, const char *site, ci_rc mine, int transfer);

/* Cores of mask `me` of n (cpu_set_t each) over the number of masks that overlap it; at least 1. */
int comm_share(const void *masks, int n, int me);

/* Was this process started as one of several, by mpirun, srun or another launcher? */
int comm_launched(void);

/* ci_comm_start with the deadline of its own calls.  apart: every rank as if on a host of its own. */
ci_rc comm_start(int *argc, char ***argv, double deadline, int apart, ci_comm **out);

/* What an MPI error says, as CI_EMPI. */
ci_rc comm_error(const char *site, int code);

#endif
