#include "ci/tick.h"

#include <stddef.h>

static void (*called)(void *);
static void *call_arg;

void ci_tick(void)
{
    if (called) called(call_arg);
}

void ci_tick_hook(void (*hook)(void *arg), void *arg)
{
    called = hook;
    call_arg = arg;
}
