#ifndef CI_CONF_PRIV_H
#define CI_CONF_PRIV_H
/** What the files of conf/ share: the table's row, a layer of settings, the list of faults.
 *
 *      table.c    every setting, once                 yaml.c   events of one file -> one layer
 *      value.c    text <-> one typed value            set.c    --set overrides -> one layer
 *      text.c     UTF-8 and characters                read.c   layers -> one ci_conf
 *      nearest.c  what an unknown key may have meant  print.c  ci_conf -> YAML, canonical text
 *      faults.c   all errors of all sources           folder.c where config/ is
 *      member.c   models and seeds -> members         check.c  rules that no single row can state */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ci/conf.h"
#include "ci/rc.h"

typedef enum ci_kind {
    CI_I32,    /**< int32_t; `allowed` is an interval                                     */
    CI_I64,    /**< int64_t; the same                                                     */
    CI_BYTES,  /**< int64_t; the same, and 4Ki, 4Mi, 4Gi may be written                   */
    CI_F64,    /**< double, finite; the same                                              */
    CI_TEXT,   /**< any text of one line                                                  */
    CI_PATH,   /**< a text that is not empty                                              */
    CI_NAME,   /**< name of one folder (no slash, no comma), or empty                     */
    CI_CHOICE, /**< one of `allowed`, "a|b|c"                                             */
    CI_STEPS,  /**< several of `allowed` in that order, with commas between               */
    CI_LIST,   /**< ci_text_list of names; of `allowed` where there is such               */
    CI_INTS    /**< ci_int_list; `allowed` is an interval                                 */
} ci_kind;

typedef struct ci_setting {
    const char *key;     /**< "section.name", or "name" at the top level                  */
    ci_kind kind;
    size_t at, size;     /**< of the field in ci_conf, bytes                              */
    const char *init;    /**< default, as --set would have it                             */
    const char *allowed; /**< "[0, 1)" or "a|b"; "" where the kind says all               */
    const char *unit;    /**< "" where there is none                                      */
    const char *meaning;
} ci_setting;

enum { CI_SETTING_MAX = 224 }; /**< room for rows in a layer */

extern const ci_setting ci_settings[];
extern const int ci_n_setting;

int ci_setting_find(const char *key);                /**< row, or -1                      */
bool ci_setting_section(const char *name);           /**< is there a "name.*"?            */
const char *ci_setting_nearest(const char *path, bool *out_close);

/** Why a value was refused, and what to write instead. */
typedef struct ci_why { char text[400]; } ci_why;

/** Read `text` as row s; `quoted` when YAML had it in quotes.  Writes the field in *c and nothing
 *  else.  \return true, or false with *why filled */
bool ci_value_parse(const ci_setting *s, const char *text, size_t n, bool quoted, ci_conf *c,
                    ci_why *why);
bool ci_value_list(const ci_setting *s);             /**< a list of names or of numbers?  */
/** Append one item to a CI_LIST or CI_INTS. */
bool ci_value_item(const ci_setting *s, const char *text, size_t n, ci_conf *c, ci_why *why);
const char *ci_value_wanted(const ci_setting *s);    /**< "a whole number"; static        */

enum { CI_CHOICES_MAX = 320 };
void ci_value_choices(const char *allowed, char out[CI_CHOICES_MAX]); /**< "a, b" of "a|b|!c"   */

/** Well-formed UTF-8 character at s, n > 0 bytes left: its length, or 0. */
size_t ci_utf8_next(const char *s, size_t n, uint32_t *out_cp);
bool ci_utf8_yaml(uint32_t cp);                      /**< may YAML text hold it raw?      */
/** A copy of text for a message: one line, no control characters, clipped at 48 characters. */
typedef struct ci_quote { char text[256]; } ci_quote;
ci_quote ci_quoted(const char *text, size_t n);

/** Everything that is wrong, one a line; what does not fit is counted. */
typedef struct ci_faults {
    char text[CI_MESSAGE_MAX];
    size_t used;
    long n, n_left;
    bool no_memory;      /**< libyaml ran out of it: nothing to blame the file for        */
} ci_faults;

/** "where: key: what"; key may be "". */
void ci_faults_add(ci_faults *f, const char *where, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool ci_faults_full(const ci_faults *f);             /**< further ones are only counted   */
ci_rc ci_faults_fail(ci_faults *f);                  /**< CI_OK when there are none       */

typedef struct ci_place { int32_t line, column; } ci_place; /**< from 1; line 0: not set  */

enum { CI_WHERE_MAX = 1200 };
typedef struct ci_layer {
    char source[1024];   /**< path of the file, or "--set"                                */
    ci_conf value;
    ci_place place[CI_SETTING_MAX];
} ci_layer;

void ci_place_text(const char *source, ci_place p, char out[CI_WHERE_MAX]); /**< "f:3:5" */

enum { CI_YAML_BYTES = 1 << 20, CI_YAML_DEPTH = 32, CI_YAML_EVENTS = 20000 };
/** Parse n bytes of YAML into l; what is wrong goes to f. */
void ci_yaml_read(const char *bytes, size_t n, ci_layer *l, ci_faults *f);
void ci_set_read(const char *const *set, size_t n, ci_layer *l, ci_faults *f);

/** Rules that no single row can state; of those about the model only where `model` is true. */
void ci_conf_check(const ci_conf *c, const char (*origin)[CI_WHERE_MAX], bool model, ci_faults *f);

/** 2 where each of models is trained without and with the captures of data.injected, else 1. */
int32_t ci_member_ways(const ci_conf *base);
int32_t ci_member_count(const ci_conf *base);        /**< 0 where models and seeds are empty */
/** What member k has over all sources: models, seeds, run.dir, model.name, .scale, .auxiliary, train.seed.
 *  \return false when its folder is too long a path */
bool ci_member_settings(const ci_conf *base, int32_t k, ci_conf *out);
/** Name the folders that are empty and needed.  \return false when one is too long a path */
bool ci_member_beside(ci_conf *c);

/** Where row's value in the last ci_conf_read came from: "table", "demo.yaml:3", "--set:1". */
const char *ci_conf_origin(int row);

#endif
