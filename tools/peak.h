#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H
/** What one core can do at most, and a clock that others on the machine disturb little; for tools/bench_*.c. */

/** GFLOP/s of independent fused multiply-adds in registers, `lanes` floats wide; 0 where it is not known. */
double peak(int lanes);

/** Seconds of processor time that this thread has had. */
double thread_s(void);

#endif
