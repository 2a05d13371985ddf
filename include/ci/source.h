#ifndef CI_SOURCE_H
#define CI_SOURCE_H
/** The bytes of a capture, compressed or not: gzip, xz and Zstandard are found by what the file
 *  begins with and read through a bounded window (zlib, liblzma, libzstd).
 *
 *  Offsets are those of the uncompressed bytes.  A plain file is read anywhere at once.  A
 *  compressed one is read forward; going back further than CI_SOURCE_KEEP begins it again. */
#include <stddef.h>
#include <stdint.h>
#include "ci/rc.h"

typedef enum ci_packing { CI_PLAIN, CI_GZIP, CI_XZ, CI_ZSTD } ci_packing;

enum {
    CI_SOURCE_KEEP = 1 << 20,     /**< bytes behind the last one read that are still there       */
    CI_SOURCE_WINDOW = 16 << 20   /**< a stream that needs a larger window is refused: no rank may
                                       need more memory than that to read a file                 */
};

typedef struct ci_source ci_source;

/** Open a file.  Not collective.
 *  \param [out] out  on CI_OK the caller's, to ci_source_close
 *  \return CI_OK, CI_ENOENT, CI_EPERM, CI_EIO, CI_ENOMEM; CI_EDATA: not a regular file */
ci_rc ci_source_open(const char *path, ci_source **out);
void ci_source_close(ci_source **s); /**< NULL-safe; leaves *s NULL */

const char *ci_source_path(const ci_source *s);
ci_packing ci_source_packing(const ci_source *s);

/** Bytes of the file itself, now.  \return CI_OK or CI_EIO */
ci_rc ci_source_file_bytes(const ci_source *s, int64_t *out);

/** Read n bytes at offset `at`, fewer only at the end.  Not collective.
 *  \param [out] out_n  how many
 *  \return CI_OK, CI_EIO; CI_EDATA: the stream is damaged, cut short, followed by something else,
 *          or needs too large a window */
ci_rc ci_source_read(ci_source *s, int64_t at, void *out, size_t n, size_t *out_n);

/** Uncompressed size, for which a compressed file is read to its end.  Not collective.
 *  \param [in] most  more bytes than these are CI_EDATA, too
 *  \return as ci_source_read; CI_ETEMP after a signal */
ci_rc ci_source_measure(ci_source *s, int64_t most, int64_t *out);

#endif
