/* In which order what may come in any order comes. */
#include "emu_priv.h"

emu_order emu_order_now = EMU_FORWARD;
uint64_t emu_order_state;
static uint64_t launches;

void emu_order_read()
{
    const char *v = getenv("CANIDS_EMU_ORDER");
    emu_order_now = !v ? EMU_FORWARD : strcmp(v, "reverse") == 0 ? EMU_REVERSE : strcmp(v, "shuffle") == 0 ? EMU_SHUFFLE : EMU_FORWARD;
    launches = 0;
    emu_order_seed();
}

void emu_order_seed() { emu_order_state = 0x9e3779b97f4a7c15u * ++launches + 88172645463325252u; }

void emu_arrange(std::vector<unsigned> &out, unsigned n)
{
    out.resize(n);
    for (unsigned i = 0; i < n; i++) out[i] = emu_order_now == EMU_REVERSE ? n - 1 - i : i;
    if (emu_order_now == EMU_SHUFFLE)
        for (unsigned i = n; i > 1; i--) std::swap(out[i - 1], out[emu_below(i)]);
}
