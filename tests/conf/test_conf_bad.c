/* What is wrong with a file of settings: the first error, its place, and how long it takes. */
#include "ci_test.h"
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include "ci/conf.h"
#include "ci/log.h"
#include "ci/types.h"

#define CASE(name, yaml, want) {name, yaml, sizeof(yaml) - 1, want}

/* `want` begins what stands behind the file's name in the message; places are counted by hand. */
static const struct bad {
    const char *name, *yaml;
    size_t n;
    const char *want;
} bad[] = {
    /* keys */
    CASE("unknown section", "windwo:\n  frames: 5\n", ":1:1: windwo: unknown key; did you mean window?"),
    CASE("unknown key", "window:\n  frmaes: 5\n", ":2:3: window.frmaes: unknown key; did you mean window.frames?"),
    CASE("key of another section", "window:\n  epochs: 5\n", ":2:3: window.epochs: unknown key; did you mean train.epochs?"),
    CASE("key without its section", "patience: 5\n", ":1:1: patience: unknown key; did you mean train.patience?"),
    CASE("nothing near", "wxyzwxyzwxyz: 5\n", ":1:1: wxyzwxyzwxyz: unknown key; the nearest is "),
    CASE("capitals", "Window:\n  frames: 5\n", ":1:1: Window: unknown key; did you mean window?"),
    CASE("dotted key", "window.frames: 5\n", ":1:1: window.frames: a dot in a key; write window: and below it frames:"),
    CASE("section in a section", "window:\n  train: 3\n", ":2:3: window.train: unknown key; "),
    CASE("empty key", "window:\n  \"\": 3\n", ":2:3: window.: unknown key; "),
    CASE("merge key", "window:\n  <<: 3\n", ":2:3: window.<<: unknown key; "),
    CASE("key with a NUL", "window:\n  \"frames\\0\": 3\n", ":2:3: window.frames?: unknown key; did you mean window.frames?"),
    CASE("list as a key", "window:\n  ? [a, b]\n  : 3\n", ":2:5: window: a list as a key; write a setting's name"),
    CASE("mapping as a key", "? {a: b}\n: 3\n", ":1:3: keys as a key; write a setting's name"),
    CASE("duplicate key", "window:\n  frames: 5\n  frames: 6\n", ":3:3: window.frames: a duplicate key, first on line 2; keep one"),
    CASE("duplicate key with a bad value", "window:\n  stride: 5\n  stride: 0\n", ":3:3: window.stride: a duplicate key, first on line 2"),
    CASE("duplicate section", "window:\n  frames: 5\nrun:\n  dir: a\nwindow:\n  stride: 5\n", ":5:1: window: a duplicate key; put all of it below the first"),
    CASE("duplicate top key", "pipeline: scan\npipeline: scan\n", ":2:1: pipeline: a duplicate key, first on line 1"),
    CASE("duplicate in flow form", "window: {frames: 5, frames: 5}\n", ":1:21: window.frames: a duplicate key, first on line 1"),
    /* kinds */
    CASE("list at the top", "- window\n", ":1:1: wants keys, found a list; write section:"),
    CASE("text at the top", "window\n", ":1:1: wants keys, found a single value; write section:"),
    CASE("section with a value", "window: 100\n", ":1:9: window: wants keys below it, found a single value; write frames"),
    CASE("section with a list", "window: [100]\n", ":1:9: window: wants keys below it, found a list; write frames"),
    CASE("section with an empty text", "window: \"\"\n", ":1:9: window: wants keys below it, found a single value"),
    CASE("number with a list", "window:\n  frames: [1]\n", ":2:11: window.frames: wants a whole number, found a list; write a value such as 100"),
    CASE("number with keys", "window:\n  frames: {a: 1}\n", ":2:11: window.frames: wants a whole number, found keys; write a value such as 100"),
    CASE("number with nothing", "window:\n  frames:\n", ":2:10: window.frames: wants a whole number, found nothing; write a value such as 100"),
    CASE("name with nothing", "data:\n  set:\n", ":2:7: data.set: wants a folder's name, found nothing; write \"\" for an empty text"),
    CASE("path with keys", "run:\n  dir:\n    a: 1\n", ":3:5: run.dir: wants a path, found keys; write a value such as runs/run"),
    CASE("choice with a list", "vocab:\n  scope: [train]\n", ":2:10: vocab.scope: wants one word, found a list; write a value such as train"),
    CASE("list with one value", "data:\n  train: train_01\n", ":2:10: data.train: wants a list of folder names, found a single value; write [first, second], or [] for none"),
    CASE("list with nothing", "data:\n  train:\n", ":2:9: data.train: wants a list of folder names, found nothing; write [first"),
    CASE("list with keys", "data:\n  train: {a: b}\n", ":2:10: data.train: wants a list of folder names, found keys; "),
    CASE("list in a list", "data:\n  test: [a, [b]]\n", ":2:13: data.test: a list in a list; write single items only"),
    CASE("keys in a list", "data:\n  test:\n    - a: 1\n", ":3:7: data.test: keys in a list; write single items only"),
    CASE("steps as a list", "pipeline: [scan, build]\n", ":1:11: pipeline: wants steps with commas between, found a list; write a value such as scan,build"),
    /* numbers */
    CASE("letters", "window:\n  frames: abc\n", ":2:11: window.frames: \"abc\" is not a whole number; write digits only, such as 100"),
    CASE("fraction", "window:\n  frames: 10.5\n", ":2:11: window.frames: \"10.5\" is not a whole number"),
    CASE("whole number with a point", "window:\n  frames: 100.0\n", ":2:11: window.frames: \"100.0\" is not a whole number"),
    CASE("whole number with an exponent", "window:\n  frames: 1e2\n", ":2:11: window.frames: \"1e2\" is not a whole number"),
    CASE("leading zero", "window:\n  frames: 010\n", ":2:11: window.frames: 010 has a leading zero; write it without"),
    CASE("negative with a leading zero", "window:\n  frames: -010\n", ":2:11: window.frames: -010 has a leading zero"),
    CASE("hexadecimal", "window:\n  frames: 0x64\n", ":2:11: window.frames: \"0x64\" is not a whole number"),
    CASE("octal", "window:\n  frames: 0o144\n", ":2:11: window.frames: \"0o144\" is not a whole number"),
    CASE("base 60", "window:\n  frames: 1:30\n", ":2:11: window.frames: \"1:30\" is not a whole number"),
    CASE("underscore", "window:\n  frames: 1_000\n", ":2:11: window.frames: \"1_000\" is not a whole number"),
    CASE("plus", "window:\n  frames: +100\n", ":2:11: window.frames: \"+100\" is not a whole number"),
    CASE("null", "window:\n  frames: null\n", ":2:11: window.frames: \"null\" is not a whole number"),
    CASE("tilde", "window:\n  frames: ~\n", ":2:11: window.frames: \"~\" is not a whole number"),
    CASE("true", "window:\n  frames: true\n", ":2:11: window.frames: \"true\" is not a whole number"),
    CASE("two numbers", "window:\n  frames: 1 2\n", ":2:11: window.frames: \"1 2\" is not a whole number"),
    CASE("quoted number", "window:\n  frames: \"100\"\n", ":2:11: window.frames: \"100\" in quotes is a text; write a whole number without quotes"),
    CASE("block text as a number", "window:\n  frames: |\n    100\n", ":2:11: window.frames: \"100?\" in quotes is a text"),
    CASE("below the range", "window:\n  frames: 1\n", ":2:11: window.frames: 1 is out of range; write a value in [2, 65535] frames (default 100)"),
    CASE("above the range", "window:\n  frames: 1048577\n", ":2:11: window.frames: 1048577 is out of range"),
    CASE("negative", "window:\n  stride: -1\n", ":2:11: window.stride: -1 is out of range"),
    CASE("2^31", "train:\n  seed: 2147483648\n", ":2:9: train.seed: 2147483648 is out of range"),
    CASE("2^32 + 42", "train:\n  seed: 4294967338\n", ":2:9: train.seed: 4294967338 is out of range"),
    CASE("2^63", "train:\n  steps: 9223372036854775808\n", ":2:10: train.steps: 9223372036854775808 is out of range"),
    CASE("2^64 + 1", "train:\n  steps: 18446744073709551617\n", ":2:10: train.steps: 18446744073709551617 is out of range"),
    CASE("a long number", "train:\n  steps: 11111111111111111111111111111111111111111111111111111111111111111111\n", ":2:10: train.steps: 111111111111111111111111111111111111111111111111... is out of range"),
    CASE("bytes with a wrong suffix", "data:\n  block: 4MB\n", ":2:10: data.block: \"4MB\" is not a number of bytes; write digits and perhaps Ki, Mi or Gi, such as 4194304"),
    CASE("bytes that overflow", "data:\n  block: 9007199254740992Gi\n", ":2:10: data.block: 9007199254740992Gi is out of range"),
    CASE("bytes that wrap into the range", "data:\n  block: 17179869185Gi\n", ":2:10: data.block: 17179869185Gi is out of range"),
    CASE("bytes below the range", "data:\n  block: 4095\n", ":2:10: data.block: 4095 is out of range; write a value in [4096, 1073741824] bytes"),
    CASE("suffix where there are no bytes", "window:\n  frames: 1Ki\n", ":2:11: window.frames: \"1Ki\" is not a whole number"),
    CASE("nan", "train:\n  lr: .nan\n", ":2:7: train.lr: .nan is not finite; write a value in (0, 10]"),
    CASE("NaN", "train:\n  lr: NaN\n", ":2:7: train.lr: NaN is not finite"),
    CASE("inf", "train:\n  clip: .inf\n", ":2:9: train.clip: .inf is not finite"),
    CASE("-inf", "train:\n  clip: -.Inf\n", ":2:9: train.clip: -.Inf is not finite"),
    CASE("beyond a double", "train:\n  clip: 1e999\n", ":2:9: train.clip: 1e999 is out of range"),
    CASE("below a double", "train:\n  decay: 1e-999\n", ":2:10: train.decay: 1e-999 is too small for a double"),
    CASE("hexadecimal real", "train:\n  lr: 0x1p-3\n", ":2:7: train.lr: \"0x1p-3\" is not a number; write digits with a decimal point or exponent, such as 0.001"),
    CASE("decimal comma", "train:\n  lr: 0,001\n", ":2:7: train.lr: \"0,001\" is not a number"),
    CASE("exponent without digits", "train:\n  lr: 1e\n", ":2:7: train.lr: \"1e\" is not a number"),
    CASE("a point alone", "train:\n  lr: .\n", ":2:7: train.lr: \".\" is not a number"),
    CASE("open end below", "train:\n  lr: 0\n", ":2:7: train.lr: 0 is out of range; write a value in (0, 10]"),
    CASE("open end above", "train:\n  dropout: 1\n", ":2:12: train.dropout: 1 is out of range; write a value in [0, 1)"),
    /* texts */
    CASE("unknown choice", "features:\n  set: kd36\n", ":2:8: features.set: \"kd36\" is not known; write one of kd35, kd11"),
    CASE("a model that is none", "models: [gat_small, gat_medium]\n", ":1:21: models: \"gat_medium\" is not known; write one of gat_small, gat_large, gat_small_kd_standard, gat_large_kd_standard, vgae_small, vgae_large, vgae_small_kd_standard, vgae_large_kd_standard, dqn_small, dqn_large, dqn_small_kd_standard"),
    CASE("a number of a list", "seeds: [42, x]\n", ":1:13: seeds: \"x\" is not a whole number; write digits only, such as 1"),
    CASE("choice in capitals", "vocab:\n  scope: Train\n", ":2:10: vocab.scope: \"Train\" is not known; write one of train, benign"),
    CASE("empty choice", "run:\n  log: \"\"\n", ":2:8: run.log: \"\" is not known; write one of error, warn, info, debug"),
    CASE("path out of the models folder", "model:\n  name: ../../gat\n", ":2:9: model.name: \"../../gat\" is not known; write one of gat, vgae, dqn"),
    CASE("unknown step", "pipeline: scan,biuld\n", ":1:11: pipeline: \"biuld\" is not known; write one of sim, scan, build, train, eval"),
    CASE("steps out of order", "pipeline: train,scan\n", ":1:11: pipeline: \"scan\" comes twice or after a later step"),
    CASE("step twice", "pipeline: scan,scan\n", ":1:11: pipeline: \"scan\" comes twice or after a later step"),
    CASE("comma at the end of steps", "pipeline: scan,\n", ":1:11: pipeline: \"\" is not known"),
    CASE("no steps", "pipeline: \"\"\n", ":1:11: pipeline: \"\" is not known"),
    CASE("empty path", "run:\n  dir: \"\"\n", ":2:8: run.dir: an empty path; write a folder's path"),
    CASE("name with a slash", "data:\n  set: a/b\n", ":2:8: data.set: \"a/b\" is not a folder's name; write one name without / and comma"),
    CASE("name that goes up", "data:\n  set: ..\n", ":2:8: data.set: \"..\" is not a folder's name"),
    CASE("item that goes up", "data:\n  train: [a, ../b]\n", ":2:14: data.train: \"../b\" is not a folder's name"),
    CASE("item twice", "data:\n  train:\n    - a\n    - a\n", ":4:7: data.train: \"a\" is in the list twice; write it once"),
    CASE("empty item", "data:\n  train: [\"\"]\n", ":2:11: data.train: an empty item; write a name or leave it out"),
    CASE("newline in a text", "run:\n  dir: \"a\\nb\"\n", ":2:8: run.dir: character U+000A in \"a?b\"; write printable"),
    CASE("NUL in a text", "run:\n  dir: \"a\\0b\"\n", ":2:8: run.dir: character U+0000 in \"a?b\"; write printable"),
    CASE("NUL in a number", "window:\n  frames: \"1\\0\"\n", ":2:11: window.frames: \"1?\" in quotes is a text"),
    CASE("line separator in a text", "run:\n  dir: \"a\\u2028b\"\n", ":2:8: run.dir: character U+2028 in"),
    CASE("C1 control in a text", "run:\n  dir: \"a\\x9bb\"\n", ":2:8: run.dir: character U+009B in \"a?b\""),
    /* YAML that is refused */
    CASE("anchor", "window: &w\n  frames: 5\n", ":1:9: an anchor \"&w\"; write the value out where it is used"),
    CASE("anchor at a value", "window:\n  frames: &f 5\n", ":2:11: an anchor \"&f\""),
    CASE("alias", "window:\n  frames: *f\n", ":2:11: an alias \"*f\"; write the value out"),
    CASE("alias as a key", "*k : 3\n", ":1:1: an alias \"*k\""),
    CASE("tag", "window:\n  frames: !!int 5\n", ":2:11: a tag \"tag:yaml.org,2002:int\"; leave it out, the setting has its type"),
    CASE("tag of one's own", "window: !x\n  frames: 5\n", ":1:9: a tag \"!x\""),
    CASE("python tag", "run:\n  dir: !!python/object/apply:os.system [ls]\n", ":2:8: a tag \"tag:yaml.org,2002:python/object/apply:os.s"),
    CASE("TAG directive", "%TAG ! tag:x,2000:\n---\nrun: {dir: a}\n", ":1:1: a %TAG directive; leave it out"),
    CASE("two documents", "run:\n  dir: a\n---\nrun:\n  dir: b\n", ":3:1: a second document; put all settings into one"),
    CASE("document after its end", "run:\n  dir: a\n...\n---\n", ":4:1: a second document"),
    /* YAML that is none */
    CASE("tab as indentation", "window:\n\tframes: 5\n", ":2:1: a tab where YAML wants spaces; indent with spaces"),
    CASE("tab after spaces", "window:\n  frames: 5\n  \tstride: 5\n", ":3:3: a tab where YAML wants spaces"),
    CASE("open bracket", "data:\n  train: [a, b\n", ":3:1: while parsing a flow sequence: did not find expected ',' or ']'"),
    CASE("open brace", "window: {frames: 5\n", ":2:1: while parsing a flow mapping: did not find expected ',' or '}'"),
    CASE("open quote", "run:\n  dir: \"a\n", ":3:1: while scanning a quoted scalar: found unexpected end of stream"),
    CASE("two colons", "window: frames: 5\n", ":1:9: window: wants keys below it, found a single value; write frames on a line of its own below\n"),
    CASE("uneven indentation", "window:\n   frames: 5\n  stride: 5\n", ":3:3: while parsing a block mapping: did not find expected key"),
    CASE("bracket too many", "window: {frames: 5}}\n", ":1:20: while parsing a block mapping: did not find expected key"),
    CASE("at sign", "run:\n  dir: @home\n", ":2:8: while scanning for the next token: found character that cannot start any token"),
    CASE("unknown escape", "run:\n  dir: \"a\\qb\"\n", ":2:10: while parsing a quoted scalar: found unknown escape character"),
    CASE("another version of YAML", "%YAML 2.0\n---\nrun: {dir: a}\n", ":1:1: found incompatible YAML document"),
    CASE("NUL byte", "run:\n  dir: a\0b\n", ":2:9: character U+0000; remove it"),
    CASE("escape byte", "run:\n  dir: \033[31m\n", ":2:8: character U+001B; remove it"),
    CASE("Latin-1", "run:\n  dir: caf\xE9\n", ":2:11: byte 0xE9 is not UTF-8; save the file as UTF-8 text"),
    CASE("overlong slash", "run:\n  dir: a\xC0\xAF\n", ":2:9: byte 0xC0 is not UTF-8"),
    CASE("half a surrogate pair", "run:\n  dir: a\xED\xA0\x80\n", ":2:9: byte 0xED is not UTF-8"),
    CASE("beyond Unicode", "run:\n  dir: a\xF4\x90\x80\x80\n", ":2:9: byte 0xF4 is not UTF-8"),
    CASE("a character cut short", "run:\n  dir: caf\xC3", ":2:11: byte 0xC3 is not UTF-8"),
    CASE("NUL byte in a list", "data:\n  train: [a,\n    b\0]\n", ":3:6: character U+0000; remove it"),
    CASE("UTF-16", "\xFF\xFE" "r\0u\0n\0", ":1:1: byte 0xFF is not UTF-8"),
    CASE("column counts characters", "run: {dir: \"\xC3\xA9\", x: 1}\n", ":1:17: run.x: unknown key"),
    CASE("CRLF keeps the place", "run:\r\n  dir: a\r\nwindow:\r\n  frames: x\r\n", ":4:11: window.frames: \"x\" is not"),
    CASE("BOM keeps the place", "\xEF\xBB\xBFwindw:\n  frames: 5\n", ":1:1: windw: unknown key; did you mean window?"),
    /* settings that do not fit together */
    CASE("ids_min above ids_max", "sim:\n  ids_min: 50\n  ids_max: 40\n", ":2:3: sim.ids_min: 50 is above sim.ids_max, 40; lower it or raise the other"),
    CASE("nothing validates", "split:\n  blocks: 4\n  every: 5\n", ":3:3: split.every: 5 is above split.blocks, 4"),
    CASE("injection without a place", "inject:\n  kind: skip\n", ":2:3: inject.kind: \"skip\" needs a place; set inject.site"),
};

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", ci_test_tmp(), name);
    return path;
}

static const char *write_file(const char *bytes, size_t n)
{
    const char *path = path_of("bad.yaml");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* What the message says behind the path of the file; the message itself when it begins otherwise. */
static const char *said(const char *path)
{
    const size_t n = strlen(path);
    return strncmp(ci_message(), path, n) == 0 ? ci_message() + n : ci_message();
}

static void conf_read__names_each_kind_of_error_and_its_place(void **state)
{
    int wrong = 0;
    (void)state;
    for (size_t k = 0; k < CI_COUNT(bad); k++) {
        const char *path = write_file(bad[k].yaml, bad[k].n);
        ci_conf c;
        const ci_rc rc = ci_conf_read(path, NULL, 0, &c);
        if (rc == CI_ECONF && strncmp(said(path), bad[k].want, strlen(bad[k].want)) == 0) continue;
        print_error("%s: %s\n  got  %s\n  want %s\n", bad[k].name, ci_rc_name(rc),
                    rc ? said(path) : "", bad[k].want);
        wrong++;
    }
    print_message("%zu files\n", CI_COUNT(bad));
    assert_int_equal(wrong, 0);
}

/* One mistake is one line: no error brings others with it. */
static void conf_read__says_one_mistake_once(void **state)
{
    static const char *const twice[] = {
        /* these files have two mistakes */
        "python tag", "two colons", "duplicate key with a bad value"};
    int wrong = 0;
    (void)state;
    for (size_t k = 0; k < CI_COUNT(bad); k++) {
        const char *path = write_file(bad[k].yaml, bad[k].n);
        bool skip = false;
        ci_conf c;
        for (size_t t = 0; t < CI_COUNT(twice); t++) skip |= !strcmp(twice[t], bad[k].name);
        assert_int_equal(ci_conf_read(path, NULL, 0, &c), CI_ECONF);
        if (skip || !strchr(ci_message(), '\n')) continue;
        print_error("%s:\n%s\n", bad[k].name, ci_message());
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* ---- files made to cost time or memory: all are refused within 50 ms of processor time ---- */

static double limit_s(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return 1.0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return 1.0;
#endif
#endif
    return 0.05;
}

static void refused_soon(const char *name, const char *bytes, size_t n, const char *want)
{
    const char *path = write_file(bytes, n);
    double took = 1e9;
    char whole[256];
    ci_rc rc = CI_OK;

    /* The best of five: what others do on this machine is not the file's fault. */
    for (int i = 0; i < 5 && took > limit_s(); i++) {
        const double start = ci_cpu_s();
        ci_conf c;
        rc = ci_conf_read(path, NULL, 0, &c);
        took = CI_MIN(took, ci_cpu_s() - start);
    }
    snprintf(whole, sizeof whole, "bad.yaml%s", want);
    if (!strstr(ci_message(), whole))
        print_error("%s: got %.300s\n  want %s\n", name, said(path), want);
    assert_int_equal(rc, CI_ECONF);
    assert_non_null(strstr(ci_message(), whole));
    if (took > limit_s()) print_error("%s: %.3f s\n", name, took);
    assert_true(took <= limit_s());
}

/* `unit` over and over, up to n bytes. */
static void refused_when_repeated(const char *name, const char *head, const char *unit, size_t n,
                                  const char *want)
{
    char *bytes = malloc(n);
    const size_t first = strlen(head), each = strlen(unit);
    size_t used = first;

    assert_non_null(bytes);
    memcpy(bytes, head, first);
    for (; used + each <= n; used += each) memcpy(bytes + used, unit, each);
    refused_soon(name, bytes, used, want);
    free(bytes);
}

static void conf_read__refuses_bombs_at_once(void **state)
{
    const size_t max = 1 << 20;
    (void)state;
    refused_when_repeated("brackets", "", "[", 400000, ":1:33: nested deeper than 32 levels");
    refused_when_repeated("brackets on lines", "", "[\n", max, ":33:1: nested deeper than 32");
    refused_when_repeated("braces", "a: ", "{a: ", max, ":1:128: nested deeper than 32 levels");
    refused_when_repeated("dashes", "", "- ", max, ":1:65: nested deeper than 32 levels");
    refused_when_repeated("questions", "", "? ", max, ":1:65: nested deeper than 32 levels");
    refused_when_repeated("closing brackets", "", "]", max, ":1:1: while parsing a block node");
    refused_when_repeated("items", "data:\n  train:\n", "  - [a]\n", max,
                          ":3:5: data.train: a list in a list");
    refused_when_repeated("names", "data:\n  train:\n", "  - a\n", max,
                          ":4:5: data.train: \"a\" is in the list twice");
    refused_when_repeated("unknown keys", "", "unknown_key_of_some_length: 5\n", max,
                          ":1:1: unknown_key_of_some_length: unknown key");
    refused_when_repeated("short unknown keys", "", "q: 5\n", max, ":1:1: q: unknown key");
    refused_when_repeated("duplicates", "window:\n", "  frames: 5\n", max,
                          ":3:3: window.frames: a duplicate key");
    refused_when_repeated("aliases", "data:\n  train: [", "*a,", max, ":2:11: an alias \"*a\"");
    refused_when_repeated("one long text", "run:\n  dir: ", "abcdefgh", max,
                          ":2:8: run.dir: 10485");
    refused_when_repeated("one long key", "", "abcdefgh", max, ":1:1: wants keys, found a single");
    refused_when_repeated("a long quoted key", "\"", "abcdefgh", max,
                          ":1:1048");
    refused_when_repeated("anchors", "", "&a ", max, ":1:4: ");
    refused_when_repeated("tags", "", "!a ", max, ":1:4: ");
}

static void conf_read__never_expands_an_alias(void **state)
{
    static const char bomb[] =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    (void)state;
    refused_soon("alias bomb", bomb, sizeof bomb - 1, ":1:1: a: unknown key");
    assert_non_null(strstr(ci_message(), "bad.yaml:1:4: an anchor \"&a\""));
    assert_non_null(strstr(ci_message(), "bad.yaml:2:8: an alias \"*a\""));
}

static void conf_read__takes_1_mib_and_not_a_byte_more(void **state)
{
    const size_t max = 1 << 20;
    char *bytes = malloc(max + 1);
    ci_conf c;
    (void)state;

    assert_non_null(bytes);
    memset(bytes, '#', max + 1);
    assert_int_equal(ci_conf_read(write_file(bytes, max), NULL, 0, &c), CI_OK);
    refused_soon("1 MiB + 1", bytes, max + 1, ":1:1: more than 1048576 bytes");
    free(bytes);
    assert_int_equal(ci_conf_read("/dev/zero", NULL, 0, &c), CI_ECONF);
}

/* ---- files that cannot be read ---- */

static void conf_read__says_what_is_missing(void **state)
{
    const char *path = path_of("nowhere.yaml");
    ci_conf c;
    (void)state;

    assert_int_equal(ci_conf_read(path, NULL, 0, &c), CI_ENOENT);
    assert_non_null(strstr(ci_message(), path));
}

static void conf_read__refuses_a_folder(void **state)
{
    ci_conf c;
    (void)state;
    assert_int_equal(ci_conf_read(ci_test_tmp(), NULL, 0, &c), CI_ECONF);
    assert_non_null(strstr(ci_message(), "a folder; name a YAML file"));
}

static void conf_read__refuses_a_path_that_is_too_long(void **state)
{
    char path[3000];
    ci_conf c;
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(ci_conf_read(path, NULL, 0, &c), CI_ECONF);
}

/* Root reads everything, so root is somebody else here for a moment. */
static void conf_read__says_what_may_not_be_read(void **state)
{
    const char *path = write_file("", 0);
    const bool root = geteuid() == 0;
    char config[1200];
    bool config_open;
    ci_conf c;
    ci_rc rc = CI_OK;
    (void)state;

    snprintf(config, sizeof config, "%s/defaults.yaml", ci_conf_folder());
    assert_int_equal(chmod(path, 0), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    config_open = faccessat(AT_FDCWD, config, R_OK, AT_EACCESS) == 0;
    if (config_open) rc = ci_conf_read(path, NULL, 0, &c);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0600), 0);
    if (!config_open) {
        print_message("skip - conf_read__says_what_may_not_be_read: only root reads %s\n", config);
        skip();
    }
    assert_int_equal(rc, CI_EPERM);
    assert_non_null(strstr(ci_message(), path));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conf_read__names_each_kind_of_error_and_its_place),
    cmocka_unit_test(conf_read__says_one_mistake_once),
    cmocka_unit_test(conf_read__refuses_bombs_at_once),
    cmocka_unit_test(conf_read__never_expands_an_alias),
    cmocka_unit_test(conf_read__takes_1_mib_and_not_a_byte_more),
    cmocka_unit_test(conf_read__says_what_is_missing),
    cmocka_unit_test(conf_read__refuses_a_folder),
    cmocka_unit_test(conf_read__refuses_a_path_that_is_too_long),
    cmocka_unit_test(conf_read__says_what_may_not_be_read),
};
CI_TEST_MAIN(tests)
