/** Events of one YAML file into one layer of settings.
 *
 *  Nothing is expanded and no tree is built, so that no file costs more than one pass over it:
 *  aliases are refused, and nesting ends the file at its 33rd level. */
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "conf_priv.h"

enum { KEY_MAX = 160 };

struct in {
    yaml_parser_t p;
    yaml_event_t e;      /* the current event; owned */
    ci_layer *l;
    ci_faults *f;
    const char *bytes;
    size_t n;
    int depth;
    long n_event;
    bool cut;            /* the bytes end early: what the parser says at their end is no news */
    bool section[CI_SETTING_MAX]; /* first rows of the sections seen */
};

static ci_place place_of(yaml_mark_t m)
{
    return (ci_place){(int32_t)m.line + 1, (int32_t)m.column + 1};
}

#define FAULT(in, mark, key, ...)                                                               \
    do {                                                                                        \
        char where_[CI_WHERE_MAX];                                                              \
        ci_place_text((in)->l->source, place_of(mark), where_);                                 \
        ci_faults_add((in)->f, where_, (key), __VA_ARGS__);                                     \
    } while (0)

#define ENDS " (the rest of the file is not read)"

/* Does the parser stand at a tab?  Its own words for that do not say so. */
static bool at_tab(const struct in *in, yaml_mark_t m)
{
    const char *t = in->bytes, *end = in->bytes + in->n;
    for (size_t line = 0; t < end && line < m.line; t++) line += *t == '\n';
    for (size_t column = 0; t < end && column < m.column; column++) {
        uint32_t cp;
        const size_t len = ci_utf8_next(t, (size_t)(end - t), &cp);
        t += len ? len : 1;
    }
    return t < end && *t == '\t';
}

static void syntax_fault(struct in *in)
{
    const yaml_mark_t m = in->p.problem_mark;
    if (in->p.error == YAML_MEMORY_ERROR)
        in->f->no_memory = true;
    else if (in->cut)
        return;
    else if (at_tab(in, m))
        FAULT(in, m, "", "a tab where YAML wants spaces; indent with spaces" ENDS);
    else
        FAULT(in, m, "", "%s%s%s; mend the YAML here" ENDS, in->p.context ? in->p.context : "",
              in->p.context ? ": " : "", in->p.problem ? in->p.problem : "not YAML");
}

static void refuse_marks(struct in *in, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        FAULT(in, in->e.start_mark, "", "an anchor \"&%s\"; write the value out where it is used",
              ci_quoted((const char *)anchor, strlen((const char *)anchor)).text);
    if (tag)
        FAULT(in, in->e.start_mark, "", "a tag \"%s\"; leave it out, the setting has its type",
              ci_quoted((const char *)tag, strlen((const char *)tag)).text);
}

/* Limits and marks that hold for every event.  False ends the file. */
static bool check_event(struct in *in)
{
    const yaml_event_t *e = &in->e;
    switch (e->type) {
    case YAML_SCALAR_EVENT: refuse_marks(in, e->data.scalar.anchor, e->data.scalar.tag); break;
    case YAML_ALIAS_EVENT:
        FAULT(in, e->start_mark, "", "an alias \"*%s\"; write the value out",
              ci_quoted((const char *)e->data.alias.anchor,
                        strlen((const char *)e->data.alias.anchor)).text);
        break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_marks(in, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        in->depth++;
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_marks(in, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        in->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: in->depth--; break;
    case YAML_DOCUMENT_START_EVENT:
        if (e->data.document_start.tag_directives.start !=
            e->data.document_start.tag_directives.end)
            FAULT(in, e->start_mark, "", "a %%TAG directive; leave it out");
        break;
    default: break;
    }
    if (in->depth > CI_YAML_DEPTH) {
        FAULT(in, e->start_mark, "", "nested deeper than %d levels; settings have two" ENDS,
              CI_YAML_DEPTH);
        return false;
    }
    if (++in->n_event > CI_YAML_EVENTS) {
        FAULT(in, e->start_mark, "", "more than %d items; leave some out" ENDS, CI_YAML_EVENTS);
        return false;
    }
    return true;
}

static bool next(struct in *in)
{
    yaml_event_delete(&in->e);
    if (!yaml_parser_parse(&in->p, &in->e)) {
        memset(&in->e, 0, sizeof in->e);
        syntax_fault(in);
        return false;
    }
    return check_event(in);
}

/* Pass over the node that the current event begins. */
static bool skip(struct in *in)
{
    int depth = 0;
    for (;;) {
        const yaml_event_type_t t = in->e.type;
        if (t == YAML_SEQUENCE_START_EVENT || t == YAML_MAPPING_START_EVENT) depth++;
        if (t == YAML_SEQUENCE_END_EVENT || t == YAML_MAPPING_END_EVENT) depth--;
        if (depth == 0) return true;
        if (!next(in)) return false;
    }
}

static bool plain_nothing(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0 &&
           e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *found(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_START_EVENT    ? "keys"
           : e->type == YAML_SEQUENCE_START_EVENT ? "a list"
           : plain_nothing(e)                     ? "nothing"
                                                  : "a single value";
}

static bool read_list(struct in *in, const ci_setting *s)
{
    ci_why why;
    bool full = false; /* a list of a million items is one error */

    memset((char *)&in->l->value + s->at, 0, s->size);
    for (;;) {
        if (!next(in)) return false;
        if (in->e.type == YAML_SEQUENCE_END_EVENT) return true;
        if (in->e.type == YAML_ALIAS_EVENT) continue;
        if (in->e.type != YAML_SCALAR_EVENT) {
            FAULT(in, in->e.start_mark, s->key, "%s in a list; write single items only",
                  found(&in->e));
            if (!skip(in)) return false;
        } else if (!full && !ci_value_item(s, (const char *)in->e.data.scalar.value,
                                           in->e.data.scalar.length, &in->l->value, &why)) {
            FAULT(in, in->e.start_mark, s->key, "%s", why.text);
            full = *(const int32_t *)((const char *)&in->l->value + s->at) == (s->kind == CI_INTS ? CI_INTS_MAX : CI_LIST_MAX);
        }
    }
}

/* The current event is the value of row `row`. */
static bool read_value(struct in *in, int row, yaml_mark_t key_mark)
{
    const ci_setting *s = &ci_settings[row];
    const yaml_mark_t m = in->e.start_mark;
    ci_why why;

    in->l->place[row] = place_of(key_mark);
    if (in->e.type == YAML_ALIAS_EVENT) return true; /* already refused */
    if (ci_value_list(s) && in->e.type == YAML_SEQUENCE_START_EVENT) return read_list(in, s);
    if (in->e.type != YAML_SCALAR_EVENT || ci_value_list(s) || plain_nothing(&in->e)) {
        FAULT(in, m, s->key, "wants %s, found %s; write %s%s", ci_value_wanted(s), found(&in->e),
              ci_value_list(s)    ? "[first, second], or [] for none"
              : *s->init          ? "a value such as "
              : s->kind == CI_PATH ? "a path"
                                  : "\"\" for an empty text",
              ci_value_list(s) ? "" : s->init);
        return skip(in);
    }
    if (!ci_value_parse(s, (const char *)in->e.data.scalar.value, in->e.data.scalar.length,
                        in->e.data.scalar.style != YAML_PLAIN_SCALAR_STYLE, &in->l->value, &why))
        FAULT(in, m, s->key, "%s", why.text);
    return true;
}

static void unknown_key(struct in *in, const char *path)
{
    bool near = false;
    const char *nearest;

    if (ci_faults_full(in->f)) { /* a file of keys that are all unknown costs no time */
        ci_faults_add(in->f, "", "", "more");
        return;
    }
    nearest = ci_setting_nearest(path, &near);
    if (ci_setting_find(path) >= 0)
        FAULT(in, in->e.start_mark, path, "a dot in a key; write %.*s: and below it %s:",
              (int)strcspn(path, "."), path, strchr(path, '.') + 1);
    else
        FAULT(in, in->e.start_mark, path,
              near ? "unknown key; did you mean %s?"
                   : "unknown key; the nearest is %s (`canids config explain` lists all)",
              nearest);
}

static int first_row(const char *section)
{
    const size_t n = strlen(section);
    int i = 0;
    while (strncmp(ci_settings[i].key, section, n) != 0 || ci_settings[i].key[n] != '.') i++;
    return i;
}

static bool read_mapping(struct in *in, const char *section);

/* The current event is what stands behind `section:`. */
static bool read_section(struct in *in, const char *section)
{
    if (in->e.type == YAML_MAPPING_START_EVENT) return read_mapping(in, section);
    if (!plain_nothing(&in->e) && in->e.type != YAML_ALIAS_EVENT)
        FAULT(in, in->e.start_mark, section,
              "wants keys below it, found %s; write %s on a line of its own below",
              found(&in->e), strchr(ci_settings[first_row(section)].key, '.') + 1);
    return skip(in);
}

/* The current event is a key.  Its path goes to `path`; the row, or -1, is returned. */
static int read_key(struct in *in, const char *section, char path[KEY_MAX], bool *out_section)
{
    const ci_quote q = ci_quoted((const char *)in->e.data.scalar.value, in->e.data.scalar.length);
    const bool dot = strchr(q.text, '.');
    int row;

    snprintf(path, KEY_MAX, "%s%s%.100s", section, *section ? "." : "", q.text);
    row = dot ? -1 : ci_setting_find(path);
    *out_section = !dot && !*section && ci_setting_section(path);
    if (row >= 0 && in->l->place[row].line > 0)
        FAULT(in, in->e.start_mark, path, "a duplicate key, first on line %d; keep one of the two",
              in->l->place[row].line);
    if (*out_section) {
        bool *seen = &in->section[first_row(path)];
        if (*seen)
            FAULT(in, in->e.start_mark, path, "a duplicate key; put all of it below the first");
        *seen = true;
    }
    if (row < 0 && !*out_section) unknown_key(in, path);
    return row;
}

/* The current event begins the mapping of a section ("" is the file's top level). */
static bool read_mapping(struct in *in, const char *section)
{
    for (;;) {
        char path[KEY_MAX] = "";
        yaml_mark_t mark;
        bool is_section = false;
        int row = -1;

        if (!next(in)) return false;
        if (in->e.type == YAML_MAPPING_END_EVENT) return true;
        mark = in->e.start_mark;
        if (in->e.type == YAML_SCALAR_EVENT)
            row = read_key(in, section, path, &is_section);
        else if (in->e.type != YAML_ALIAS_EVENT)
            FAULT(in, mark, section, "%s as a key; write a setting's name", found(&in->e));
        if (!skip(in) || !next(in)) return false;
        if (row >= 0) {
            if (!read_value(in, row, mark)) return false;
        } else if (is_section) {
            if (!read_section(in, path)) return false;
        } else if (!skip(in)) {
            return false;
        }
    }
}

static void read_stream(struct in *in)
{
    if (!next(in) || !next(in) || in->e.type == YAML_STREAM_END_EVENT) return;
    if (!next(in)) return; /* the document's one node */
    if (in->e.type == YAML_MAPPING_START_EVENT) {
        if (!read_mapping(in, "")) return;
    } else {
        if (!plain_nothing(&in->e))
            FAULT(in, in->e.start_mark, "",
                  "wants keys, found %s; write section: and below it key: value", found(&in->e));
        if (!skip(in)) return;
    }
    if (!next(in) || !next(in)) return; /* the document's end, and what follows it */
    if (in->e.type != YAML_STREAM_END_EVENT)
        FAULT(in, in->e.start_mark, "", "a second document; put all settings into one" ENDS);
}

/* Length of what libyaml may see: up to the line with the first byte that is not text. */
static size_t text_length(const char *bytes, size_t n, struct in *in)
{
    size_t line_at = 0, line = 0, column = 0;

    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp = 0;
        yaml_mark_t m = {at, line, column};
        len = ci_utf8_next(bytes + at, n - at, &cp);
        if (len == 0)
            FAULT(in, m, "", "byte 0x%02X is not UTF-8; save the file as UTF-8 text" ENDS,
                  (unsigned char)bytes[at]);
        else if (!ci_utf8_yaml(cp))
            FAULT(in, m, "", "character U+%04X; remove it" ENDS, (unsigned)cp);
        if (len == 0 || !ci_utf8_yaml(cp)) return line_at;
        column++;
        if (cp == '\n' || (cp == '\r' && (at + 1 == n || bytes[at + 1] != '\n'))) {
            line++;
            column = 0;
            line_at = at + 1;
        }
    }
    return n;
}

void ci_yaml_read(const char *bytes, size_t n, ci_layer *l, ci_faults *f)
{
    /* A byte order mark has no column, which libyaml does not know. */
    const size_t bom = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    struct in in = {.l = l, .f = f, .bytes = bytes += bom};

    n -= bom;
    in.n = text_length(bytes, n, &in);
    in.cut = in.n < n;
    if (!yaml_parser_initialize(&in.p)) {
        f->no_memory = true;
        return;
    }
    yaml_parser_set_encoding(&in.p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in.p, (const unsigned char *)bytes, in.n);
    read_stream(&in);
    yaml_event_delete(&in.e);
    yaml_parser_delete(&in.p);
}
