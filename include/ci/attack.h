#ifndef CI_ATTACK_H
#define CI_ATTACK_H
/** Kinds of attack, as the names of captures tell them. */
#include <stdint.h>

/** Attack type of a capture: the first name of reference-system.md 1.7 (the later, longer list;
 *  behind it replay, diagnostic, mixed, masquerade_timed and correlated)
 *  that is a part of "STEM FOLDER", upper and lower case alike; 0 when there is none.
 *  \param [in] path  "train_02_with_attacks/DoS-1.csv" */
int32_t ci_attack_type(const char *path);

/** "dos" for 1; "none" for 0; "unknown" for a code that is no type.  Static. */
const char *ci_attack_name(int32_t type);

#endif
