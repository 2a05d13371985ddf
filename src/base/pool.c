/* Threads that wait for jobs. */
#include "ci/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/types.h"

struct worker {
    ci_pool *pool;
    int thread;
    pthread_t id;
    ci_rc rc;
    char message[CI_MESSAGE_MAX];
};

struct ci_pool {
    int n;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    unsigned long round; /* of jobs given out */
    int busy, stop;
    ci_rc (*job)(void *, int);
    void *arg;
    struct worker *worker; /* (n), number 0 is the caller */
};

static void work(struct worker *w)
{
    w->rc = w->pool->job(w->pool->arg, w->thread);
    if (w->rc != CI_OK) strncpy(w->message, ci_message(), sizeof w->message - 1);
}

static void *loop(void *arg)
{
    struct worker *w = arg;
    ci_pool *p = w->pool;
    unsigned long seen = 0;

    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->round == seen && !p->stop) pthread_cond_wait(&p->begin, &p->lock);
        seen = p->round;
        pthread_mutex_unlock(&p->lock);
        if (p->stop) return NULL;
        work(w);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0) pthread_cond_signal(&p->end);
        pthread_mutex_unlock(&p->lock);
    }
}

ci_rc ci_pool_create(int n, ci_pool **out)
{
    ci_rc rc = CI_OK;
    ci_pool *p = ci_new(1, sizeof *p);

    *out = NULL;
    if (!p) CI_FAIL(CI_ENOMEM, "a pool of %d threads", n);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->end, NULL);
    p->worker = ci_new((size_t)n, sizeof *p->worker);
    if (!p->worker) CI_FAIL(CI_ENOMEM, "a pool of %d threads", n);
    p->worker[0].pool = p;
    for (p->n = 1; p->n < n; p->n++) {
        struct worker *w = &p->worker[p->n];
        w->pool = p;
        w->thread = p->n;
        if (pthread_create(&w->id, NULL, loop, w) != 0) CI_FAIL(CI_ENOMEM, "thread %d of %d", p->n, n);
    }
    *out = p;
    p = NULL;
done:
    ci_pool_destroy(&p);
    return rc;
}

void ci_pool_destroy(ci_pool **pool)
{
    ci_pool *p = *pool;

    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->n; i++) pthread_join(p->worker[i].id, NULL);
    pthread_cond_destroy(&p->begin);
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    free(p->worker);
    free(p);
    *pool = NULL;
}

int ci_pool_size(const ci_pool *p)
{
    return p->n;
}

ci_rc ci_pool_run(ci_pool *p, ci_rc (*job)(void *, int), void *arg)
{
    p->job = job;
    p->arg = arg;
    pthread_mutex_lock(&p->lock);
    p->busy = p->n - 1;
    p->round++;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    work(&p->worker[0]);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0) pthread_cond_wait(&p->end, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n; i++) {
        if (p->worker[i].rc == CI_OK) continue;
        ci_message_set(p->worker[i].message);
        return p->worker[i].rc;
    }
    return CI_OK;
}
