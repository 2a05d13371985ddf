#ifndef TEST_LOSS_ORACLE_H
#define TEST_LOSS_ORACLE_H
/** What PyTorch computed (tests/oracle/loss.txt), and the inputs it did so from. */
#include <stddef.h>
#include <stdint.h>

/** n numbers in [-factor, factor): array k of tests/oracle/loss_oracle.py. */
void oracle_fill(uint32_t k, size_t n, float factor, float *out);

/** n integers in 0..limit-1, likewise. */
void oracle_below(uint32_t k, size_t n, uint32_t limit, int32_t *out);

/** Fails the test unless got is within 1e-5 of the largest of the values of this name: the tolerance of the project for
 *  float32 against float64. */
void oracle_same(const char *name, const float *got, size_t n);
void oracle_value(const char *name, double got);

#endif
