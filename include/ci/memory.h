#ifndef CI_MEMORY_H
#define CI_MEMORY_H
/** How much memory a host gives, and how much a process has taken. */
#include <stdint.h>

/** The least of: the limits of the control groups (version 1 and 2) that this process and those above
 *  it are in, and the memory of the machine.  Bytes; 0 when nothing says.
 *  \param [in] proc, groups  "/proc" and "/sys/fs/cgroup" */
int64_t ci_memory_limit(const char *proc, const char *groups);

/** Bytes that only this process holds and that no file could give back: anonymous pages and shared
 *  memory, not mapped files.  0 when the system does not say. */
int64_t ci_memory_now(const char *proc);

/** Give freed memory back to the system. */
void ci_memory_trim(void);

#endif
