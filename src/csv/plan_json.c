#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ci/arena.h"
#include "ci/json.h"
#include "ci/plan.h"

enum { PLAN_VERSION = 4 };

/* The whole numbers of a count, a capture and a block by name: one table writes and reads them. */
struct field {
    const char *name;
    size_t at;
    int bytes; /**< 4 or 8 */
};
#define FIELD(type, name) {#name, offsetof(type, name), (int)sizeof(((type *)0)->name)}

static const struct field count_fields[] = {
    FIELD(ci_count, rows),         FIELD(ci_count, attack_rows), FIELD(ci_count, back),
    FIELD(ci_count, equal),        FIELD(ci_count, sum_id),      FIELD(ci_count, sum_byte),
    FIELD(ci_count, first_attack), FIELD(ci_count, last_attack), FIELD(ci_count, switches),
    FIELD(ci_count, t_first),      FIELD(ci_count, t_last),      FIELD(ci_count, id_min),
    FIELD(ci_count, id_max),       FIELD(ci_count, label_first), FIELD(ci_count, label_last),
    FIELD(ci_count, graphs),       FIELD(ci_count, attack_graphs), FIELD(ci_count, nodes),
    FIELD(ci_count, edges),
};

static const struct field capture_fields[] = {
    FIELD(ci_capture, folder),      FIELD(ci_capture, same_as),     FIELD(ci_capture, bytes),
    FIELD(ci_capture, packing),     FIELD(ci_capture, file_bytes),
    FIELD(ci_capture, sidecar),     FIELD(ci_capture, n_id),
    FIELD(ci_capture, fault),       FIELD(ci_capture, left_out),
    FIELD(ci_capture, attack_type), FIELD(ci_capture, first_graph), FIELD(ci_capture, first_node),
    FIELD(ci_capture, first_block), FIELD(ci_capture, n_block),
    FIELD(ci_capture, first_edge),
};

static const struct field layout_fields[] = {
    FIELD(ci_layout, fault),    FIELD(ci_layout, bom),     FIELD(ci_layout, header),
    FIELD(ci_layout, crlf),     FIELD(ci_layout, labelled), FIELD(ci_layout, fast),
    FIELD(ci_layout, columns),  FIELD(ci_layout, time),    FIELD(ci_layout, id),
    FIELD(ci_layout, payload),  FIELD(ci_layout, label),   FIELD(ci_layout, dlc),
    FIELD(ci_layout, extended), FIELD(ci_layout, remote),  FIELD(ci_layout, error),
    FIELD(ci_layout, dir),
};

static const struct field block_fields[] = {
    FIELD(ci_block, capture),     FIELD(ci_block, offset), FIELD(ci_block, bytes),
    FIELD(ci_block, first_line),  FIELD(ci_block, first_row),   FIELD(ci_block, rows),   FIELD(ci_block, first_graph),
    FIELD(ci_block, graphs),      FIELD(ci_block, first_node), FIELD(ci_block, nodes),
    FIELD(ci_block, first_edge),  FIELD(ci_block, edges),
};

static int64_t field_get(const struct field *f, const void *from)
{
    int64_t wide;
    int32_t narrow;

    if (f->bytes == 8) {
        memcpy(&wide, (const char *)from + f->at, 8);
        return wide;
    }
    memcpy(&narrow, (const char *)from + f->at, 4);
    return narrow;
}

static void field_set(const struct field *f, void *to, int64_t value)
{
    const int32_t narrow = (int32_t)value;

    if (f->bytes == 8)
        memcpy((char *)to + f->at, &value, 8);
    else
        memcpy((char *)to + f->at, &narrow, 4);
}

static void fields_put(ci_json *j, const struct field *f, size_t n, const void *from)
{
    for (size_t i = 0; i < n; i++) ci_json_int(j, f[i].name, field_get(&f[i], from));
}

static void fields_read(const ci_json *j, const struct field *f, size_t n, void *to)
{
    for (size_t i = 0; i < n; i++) field_set(&f[i], to, ci_json_get_int(j, f[i].name));
}

static void hash_put(ci_json *j, const char *key, ci_xxh h)
{
    char hex[CI_XXH_HEX];

    ci_xxh_hex(h, hex);
    ci_json_str(j, key, hex);
}

static bool hash_read(const ci_json *j, const char *key, ci_xxh *out)
{
    const char *hex = ci_json_get_str(j, key);
    unsigned long long hi, lo;

    if (!hex || strlen(hex) != CI_XXH_HEX - 1 || sscanf(hex, "%16llx%16llx", &hi, &lo) != 2)
        return false;
    *out = (ci_xxh){.hi = hi, .lo = lo};
    return true;
}

static ci_json *ids_json(const uint32_t *id, int32_t n)
{
    ci_json *a = ci_json_array();

    for (int32_t i = 0; i < n; i++) ci_json_add_int(a, id[i]);
    return a;
}

/* By name, those that there are. */
static void kinds_put(ci_json *j, const char *key, const int64_t n[CI_KIND_COUNT])
{
    ci_json *o = ci_json_object();

    for (int k = 1; k < CI_KIND_COUNT; k++)
        if (n[k]) ci_json_int(o, ci_kind_name((ci_kind)k), n[k]);
    ci_json_put(j, key, o);
}

static bool kinds_read(const ci_json *j, const char *key, int64_t n[CI_KIND_COUNT])
{
    const ci_json *o = ci_json_get(j, key);

    for (int k = 1; k < CI_KIND_COUNT; k++)
        n[k] = CI_MAX(0, ci_json_get_int(o, ci_kind_name((ci_kind)k)));
    return o;
}

static ci_json *capture_json(const ci_capture *c)
{
    ci_json *j = ci_json_object(), *count = ci_json_object(), *by_len = ci_json_array(),
            *layout = ci_json_object();

    ci_json_str(j, "path", c->path);
    fields_put(j, capture_fields, CI_COUNT(capture_fields), c);
    hash_put(j, "hash", c->hash);
    hash_put(j, "sidecar_hash", c->sidecar_hash);
    ci_json_str(layout, "dialect", ci_dialect_name((ci_dialect)c->layout.dialect));
    fields_put(layout, layout_fields, CI_COUNT(layout_fields), &c->layout);
    ci_json_put(j, "layout", layout);
    fields_put(count, count_fields, CI_COUNT(count_fields), &c->count);
    for (int k = 0; k < 9; k++) ci_json_add_int(by_len, c->count.by_len[k]);
    ci_json_put(count, "by_len", by_len);
    ci_json_put(j, "count", count);
    kinds_put(j, "refused", c->refused);
    kinds_put(j, "repaired", c->repaired);
    return j;
}

static ci_json *plan_json(const ci_plan *p)
{
    ci_json *j = ci_json_object(), *folders = ci_json_array(), *captures = ci_json_array(),
            *blocks = ci_json_array();

    ci_json_str(j, "what", "canids plan");
    ci_json_int(j, "version", PLAN_VERSION);
    ci_json_str(j, "settings_sha256", p->settings);
    ci_json_str(j, "root", p->root);
    ci_json_str(j, "injected", p->injected);
    ci_json_int(j, "frames", p->frames);
    ci_json_int(j, "rows", p->rows);
    ci_json_int(j, "stride", p->stride);
    ci_json_int(j, "simulated", p->simulated);
    ci_json_int(j, "graphs", p->graphs);
    ci_json_int(j, "nodes", p->nodes);
    ci_json_int(j, "edges", p->edges);
    for (int32_t i = 0; i < p->n_folder; i++) {
        ci_json *f = ci_json_object();
        ci_json_str(f, "name", p->folder[i].name);
        ci_json_int(f, "role", p->folder[i].role);
        ci_json_add(folders, f);
    }
    for (int32_t i = 0; i < p->n_capture; i++) ci_json_add(captures, capture_json(&p->capture[i]));
    for (int32_t i = 0; i < p->n_block; i++) {
        ci_json *b = ci_json_object();
        fields_put(b, block_fields, CI_COUNT(block_fields), &p->block[i]);
        hash_put(b, "hash", p->block[i].hash);
        ci_json_add(blocks, b);
    }
    ci_json_put(j, "folders", folders);
    ci_json_put(j, "captures", captures);
    ci_json_put(j, "blocks", blocks);
    ci_json_put(j, "vocabulary", ids_json(p->vocab, p->n_vocab));
    ci_json_put(j, "ids", ids_json(p->id, p->n_id));
    return j;
}

ci_rc ci_plan_write(const ci_plan *p, const char *path)
{
    ci_rc rc = CI_OK;
    ci_json *j = plan_json(p);
    char *text = ci_json_text(j, false);

    if (!text) CI_FAIL(CI_ENOMEM, "%s: no memory for its text", path);
    CI_TRY(ci_commit_bytes(path, text, strlen(text)));
done:
    ci_json_free(&j);
    free(text);
    return rc;
}

static bool text_read(const ci_json *j, const char *key, char *out, size_t n)
{
    const char *text = ci_json_get_str(j, key);

    return text && (size_t)snprintf(out, n, "%s", text) < n;
}

static bool ids_read(const ci_json *j, uint32_t *out, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const int64_t v = ci_json_as_int(ci_json_at(j, (size_t)i));
        if (v < 0 || v > UINT32_MAX || (i && v <= out[i - 1])) return false;
        out[i] = (uint32_t)v;
    }
    return true;
}

/* Columns index what a line is cut into: a plan from elsewhere must not lead the readers astray. */
static bool layout_read(const ci_json *j, ci_layout *l)
{
    const char *name = ci_json_get_str(j, "dialect");

    fields_read(j, layout_fields, CI_COUNT(layout_fields), l);
    l->dialect = name ? (int32_t)ci_dialect_find(name) : CI_DIALECT_NONE;
    return ci_layout_sound(l);
}

static bool capture_read(const ci_json *j, const ci_plan *p, int32_t i, ci_capture *c)
{
    const ci_json *count = ci_json_get(j, "count"), *by_len = ci_json_get(count, "by_len");

    fields_read(j, capture_fields, CI_COUNT(capture_fields), c);
    fields_read(count, count_fields, CI_COUNT(count_fields), &c->count);
    for (size_t k = 0; k < 9; k++) c->count.by_len[k] = ci_json_as_int(ci_json_at(by_len, k));
    return text_read(j, "path", c->path, sizeof c->path) && hash_read(j, "hash", &c->hash)
           && hash_read(j, "sidecar_hash", &c->sidecar_hash)
           && layout_read(ci_json_get(j, "layout"), &c->layout)
           && c->folder >= 0 && c->folder < p->n_folder && c->same_as >= -1 && c->same_as < i
           && c->bytes >= 0 && c->file_bytes >= 0 && c->first_block >= 0
           && c->n_block >= 1 && c->n_block <= p->n_block - c->first_block && count
           && c->left_out >= 0 && c->left_out < CI_KIND_COUNT
           && kinds_read(j, "refused", c->refused) && kinds_read(j, "repaired", c->repaired);
}

static bool block_read(const ci_json *j, const ci_plan *p, ci_block *b)
{
    fields_read(j, block_fields, CI_COUNT(block_fields), b);
    return hash_read(j, "hash", &b->hash) && b->capture >= 0 && b->capture < p->n_capture
           && b->offset >= 0 && b->bytes >= 0
           && b->bytes <= p->capture[b->capture].bytes - b->offset && b->first_line >= 1 && b->first_row >= 0
           && b->rows >= 0 && b->rows <= b->bytes && b->graphs >= 0 && b->graphs <= b->rows
           && b->nodes >= b->graphs && b->edges >= b->graphs;
}

static int32_t length(const ci_json *j, const char *key)
{
    const size_t n = ci_json_len(ci_json_get(j, key));

    return n > INT32_MAX ? 0 : (int32_t)n;
}

static ci_rc arrays_new(const ci_json *j, const char *path, ci_plan *p)
{
    ci_rc rc = CI_OK;

    p->n_folder = length(j, "folders");
    p->n_capture = length(j, "captures");
    p->n_block = length(j, "blocks");
    p->n_vocab = length(j, "vocabulary");
    p->n_id = length(j, "ids");
    p->folder = ci_new((size_t)p->n_folder, sizeof *p->folder);
    p->capture = ci_new((size_t)p->n_capture, sizeof *p->capture);
    p->block = ci_new((size_t)p->n_block, sizeof *p->block);
    p->vocab = ci_new((size_t)p->n_vocab, sizeof *p->vocab);
    p->id = ci_new((size_t)p->n_id, sizeof *p->id);
    if (!p->folder || !p->capture || !p->block || !p->vocab || !p->id)
        CI_FAIL(CI_ENOMEM, "%s: no memory for a plan of %d blocks", path, p->n_block);
done:
    return rc;
}

static ci_rc plan_fill(const ci_json *j, const char *path, ci_plan *p)
{
    ci_rc rc = CI_OK;
    const ci_json *folders = ci_json_get(j, "folders"), *captures = ci_json_get(j, "captures"),
                  *blocks = ci_json_get(j, "blocks");

    CI_TRY(arrays_new(j, path, p));
    p->frames = (int32_t)ci_json_get_int(j, "frames");
    p->rows = (int32_t)ci_json_get_int(j, "rows");
    p->stride = (int32_t)ci_json_get_int(j, "stride");
    p->simulated = ci_json_get_int(j, "simulated") == 1;
    p->graphs = ci_json_get_int(j, "graphs");
    p->nodes = ci_json_get_int(j, "nodes");
    p->edges = ci_json_get_int(j, "edges");
    if (!text_read(j, "settings_sha256", p->settings, sizeof p->settings) || !text_read(j, "root", p->root, sizeof p->root) ||
        !text_read(j, "injected", p->injected, sizeof p->injected) || p->frames < 1 || p->rows < p->frames || p->stride < 1)
        CI_FAIL(CI_EFORMAT, "%s: root, frames, rows or stride are wrong", path);
    for (int32_t i = 0; i < p->n_folder; i++) {
        const ci_json *f = ci_json_at(folders, (size_t)i);
        p->folder[i].role = (int32_t)ci_json_get_int(f, "role");
        if (!text_read(f, "name", p->folder[i].name, sizeof p->folder[i].name)
            || p->folder[i].role < CI_TRAIN || p->folder[i].role > CI_INJECTED)
            CI_FAIL(CI_EFORMAT, "%s: folder %d is wrong", path, i);
    }
    for (int32_t i = 0; i < p->n_capture; i++)
        if (!capture_read(ci_json_at(captures, (size_t)i), p, i, &p->capture[i]))
            CI_FAIL(CI_EFORMAT, "%s: capture %d is wrong", path, i);
    for (int32_t i = 0; i < p->n_block; i++)
        if (!block_read(ci_json_at(blocks, (size_t)i), p, &p->block[i]))
            CI_FAIL(CI_EFORMAT, "%s: block %d is wrong", path, i);
    if (!ids_read(ci_json_get(j, "vocabulary"), p->vocab, p->n_vocab)
        || !ids_read(ci_json_get(j, "ids"), p->id, p->n_id))
        CI_FAIL(CI_EFORMAT, "%s: identifiers are wrong or not ascending", path);
done:
    return rc;
}

ci_rc ci_plan_read(const char *path, ci_plan *out)
{
    ci_rc rc = CI_OK;
    ci_json *j = NULL;
    ci_plan p = {0};

    CI_TRY(ci_commit_check(path, NULL));
    CI_TRY(ci_json_load(path, &j));
    const char *what = ci_json_get_str(j, "what");
    if (!what || strcmp(what, "canids plan") != 0)
        CI_FAIL(CI_EFORMAT, "%s: not a canids plan", path);
    if (ci_json_get_int(j, "version") != PLAN_VERSION)
        CI_FAIL(CI_EFORMAT, "%s: a plan of version %lld; this program reads version %d: run scan "
                "again", path, (long long)ci_json_get_int(j, "version"), PLAN_VERSION);
    CI_TRY(plan_fill(j, path, &p));
    *out = p;
    p = (ci_plan){0};
done:
    ci_plan_release(&p);
    ci_json_free(&j);
    return rc;
}
