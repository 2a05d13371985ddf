/* Sums over devices, as the program sees them: the backend's ring, and nothing at all with one rank. */
#include <string.h>

#include "ci/ring.h"

static const ci_ring_table *table(const ci_ring *r) { return r->device->backend->ring; }
static ci_rc taken(const ci_ring *r, ci_rc rc) { return ci_device_rc(r->device, rc); }

ci_rc ci_ring_start(const ci_comm *comm, const ci_device *d, double deadline, ci_ring *out)
{
    unsigned char id[CI_RING_ID] = {0};
    ci_ring r = {.comm = comm, .device = d};
    ci_rc rc = CI_OK;

    *out = (ci_ring){0};
    if (comm->size > 1) {
        CI_TRY_ALL(comm, "ring.there", d->backend->ring ? CI_OK : ci_fail(CI_ECONF, __FILE__, __LINE__,
                   "the CUDA backend was built without NCCL, so that %d ranks cannot add over their devices: build with NCCL=1, or start one rank", comm->size));
        CI_TRY_ALL(comm, "ring.id", comm->rank == 0 ? taken(&r, d->backend->ring->id(id)) : CI_OK);
        CI_TRY(ci_comm_bcast(comm, "ring.id.bcast", 0, id, sizeof id));
        CI_TRY_ALL(comm, "ring.start", taken(&r, d->backend->ring->start(d->dev, comm->size, comm->rank, id, deadline, &r.ring)));
    }
    *out = r;
    r.ring = NULL;
done:
    ci_ring_stop(&r);
    return rc;
}

void ci_ring_stop(ci_ring *r)
{
    if (!r) return;
    if (r->ring) table(r)->stop(&r->ring);
    *r = (ci_ring){0};
}

ci_rc ci_ring_sum_i64(const ci_ring *r, int64_t *v, size_t n)
{
    return r->ring ? taken(r, table(r)->sum_i64(r->ring, v, n)) : CI_OK;
}

ci_rc ci_ring_max_i64(const ci_ring *r, int64_t *v, size_t n)
{
    return r->ring ? taken(r, table(r)->max_i64(r->ring, v, n)) : CI_OK;
}

ci_rc ci_ring_sum_f32(const ci_ring *r, float *v, size_t n)
{
    return r->ring ? taken(r, table(r)->sum_f32(r->ring, v, n)) : CI_OK;
}

ci_rc ci_ring_gather_f64(const ci_ring *r, const double *own, double *all, size_t n)
{
    return r->ring ? taken(r, table(r)->gather_f64(r->ring, own, all, n)) : CI_OK;
}

ci_rc ci_ring_sync(const ci_ring *r, double deadline, const char *site)
{
    if (r->ring) return taken(r, table(r)->sync(r->ring, deadline, site));
    return taken(r, r->device->backend->runtime->sync(r->device->dev, deadline, site));
}
