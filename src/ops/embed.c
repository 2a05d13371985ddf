#include "ci/ops.h"

ci_lid ci_hash_bucket(int32_t index, int probe, ci_lid buckets)
{
    const int64_t mixed = (int64_t)index * 2654435761 + 42 + ((int64_t)probe << 30), left = mixed % buckets;
    return (ci_lid)(left < 0 ? left + buckets : left);
}
