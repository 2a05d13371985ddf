#ifndef CI_HASH_H
#define CI_HASH_H
/** Content hashes: SHA-256 (OpenSSL) where people compare, XXH3-128 where speed counts. */
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"

enum { CI_SHA256_HEX = 65, CI_XXH_HEX = 33 }; /**< bytes of the hexadecimal text with its 0 */

typedef struct ci_xxh { uint64_t lo, hi; } ci_xxh; /**< an XXH3-128 value */

ci_xxh ci_xxh_of(const void *bytes, size_t n);
void ci_xxh_hex(ci_xxh h, char out[CI_XXH_HEX]);

/** A running XXH3-128.  Allocates; NULL when memory is short. */
typedef struct ci_xxh_state ci_xxh_state;
ci_xxh_state *ci_xxh_begin(void);
void ci_xxh_add(ci_xxh_state *s, const void *bytes, size_t n);
ci_xxh ci_xxh_end(ci_xxh_state **s); /**< frees the state, leaves *s NULL */

/** A running SHA-256.  Allocates; NULL when memory is short. */
typedef struct ci_sha256 ci_sha256;
ci_sha256 *ci_sha256_begin(void);
void ci_sha256_add(ci_sha256 *s, const void *bytes, size_t n);
void ci_sha256_end(ci_sha256 **s, char out[CI_SHA256_HEX]); /**< frees, leaves *s NULL */

void ci_sha256_of(const void *bytes, size_t n, char out[CI_SHA256_HEX]);

/** SHA-256 of a whole file.  \return CI_OK, CI_ENOENT, CI_EPERM or CI_EIO */
ci_rc ci_sha256_file(const char *path, char out[CI_SHA256_HEX]);

#endif
