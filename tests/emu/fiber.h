#ifndef EMU_FIBER_H
#define EMU_FIBER_H
/** Stacks that one thread of the host runs in turn.  Fibers are pooled; each runs the same body for ever, so a body that has nothing
 *  to do leaves through emu_fiber_go and continues after it when it is asked again. */
#include <cstddef>

struct emu_fiber;

/** A fiber that nobody uses, its body not begun or waiting in emu_fiber_go after emu_fiber_idle. */
emu_fiber *emu_fiber_get(void (*body)());
/** The running fiber has nothing to do from its next emu_fiber_go on. */
void emu_fiber_idle();
/** Continue `to`; NULL is the host, which called first.  Returns when somebody continues the caller. */
void emu_fiber_go(emu_fiber *to);
emu_fiber *emu_fiber_now();
/** The host: every fiber begins anew, whatever it waited for. */
void emu_fiber_forget();

#endif
