#ifndef CI_TICK_H
#define CI_TICK_H
/** Signs of life of long work: whoever loops calls ci_tick, whoever waits for it hears. */

/** Work goes on.  Any thread; costs one atomic addition, so call it per block, shard or draw. */
void ci_tick(void);

/** What a tick calls from now on; NULL: nothing.  `hook` runs on the thread that ticks.  Not to be
 *  changed while other threads work. */
void ci_tick_hook(void (*hook)(void *arg), void *arg);

#endif
