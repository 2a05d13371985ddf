#ifndef CI_CAPTURE_PRIV_H
#define CI_CAPTURE_PRIV_H
/** One file of a data set's folder: what find.c asks of it. */
#include "csv_priv.h"

typedef enum ci_name_kind {
    CI_NAME_OTHER,   /**< no capture                                                           */
    CI_NAME_CSV,     /**< a capture, whatever is in it: *.csv, perhaps compressed              */
    CI_NAME_MAYBE,   /**< a capture if its dialect is known: *.log, *.txt, and what tools write */
    CI_NAME_SIDECAR  /**< *.attacks.csv                                                        */
} ci_name_kind;

ci_name_kind ci_capture_name(const char *name);
bool ci_capture_is_text(const char *name); /**< *.txt: mostly words for people */

/** Layout, packing, side-car and size of a capture (-1 where it is compressed).
 *  \param [out] is_capture  false: of no dialect that is known, and not named *.csv
 *  \return CI_OK, CI_ENOMEM, CI_ENOENT, CI_EPERM, CI_EIO; CI_EDATA: no file, a damaged stream, a
 *          wrong side-car, or labels beside a side-car */
ci_rc ci_capture_open(const char *path, ci_dialect format, ci_capture *c, bool *is_capture);

#endif
