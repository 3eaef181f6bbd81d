// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml.h"

#include "base/test.h"

// The tree in one line: {k: v} [v] plain "quoted" ~.
static void show(Buf *out, const YamlNode *node)
{
    switch (node->kind) {
    case YAML_NULL:
        buf_add_char(out, '~');
        break;
    case YAML_SCALAR:
        buf_printf(out, node->quoted ? "\"" STR_FMT "\"" : STR_FMT, STR_ARG(node->scalar));
        break;
    case YAML_SEQUENCE:
    case YAML_MAPPING:
        buf_add_char(out, node->kind == YAML_MAPPING ? '{' : '[');
        for (size_t i = 0; i < node->count; i++) {
            if (i)
                buf_add_char(out, ' ');
            if (node->kind == YAML_MAPPING) {
                show(out, node->keys[i]);
                buf_add_char(out, ':');
            }
            show(out, node->items[i]);
        }
        buf_add_char(out, node->kind == YAML_MAPPING ? '}' : ']');
    }
}

TEST(yaml, reads_what_stands_there)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"empty", STR(""), STR("~")},
        {"only a comment", STR("# nothing\n"), STR("~")},
        {"block mapping", STR("a: 1\nb:\n- x\n- y: z\n"), STR("{a:1 b:[x {y:z}]}")},
        {"flow", STR("{a: [1, 'two', \"th\\nree\"], b: }"), STR("{a:[1 \"two\" \"th\nree\"] b:~}")},
        {"block scalars are strings", STR("a: |\n  x\n  y\nb: >-\n  1\n"),
         STR("{a:\"x\ny\n\" b:\"1\"}")},
        {"list of nulls under a key", STR("a:\n-\n- b\n-\n"), STR("{a:[~ b ~]}")},
        {"null words", STR("[~, null, Null, NULL, 'null', nul]"), STR("[~ ~ ~ ~ \"null\" nul]")},
        {"alias", STR("a: &x {k: v}\nb: *x\n"), STR("{a:{k:v} b:{k:v}}")},
        {"merge keeps own keys", STR("a: &x {k: v, l: w}\nb:\n  <<: *x\n  k: own\n"),
         STR("{a:{k:v l:w} b:{k:own l:w}}")},
        {"merge of a list", STR("a: &x {k: v}\nb: &y {k: w, m: n}\nc: {<<: [*x, *y]}\n"),
         STR("{a:{k:v} b:{k:w m:n} c:{k:v m:n}}")},
        {"doubled quotes", STR("a: 'f(x, '''''''', ''a'''')'\n"), STR("{a:\"f(x, '''', 'a'')\"}")},
        {"block scalars deeper than their keys",
         STR("a:\n- b: |\n\n   x\n     y\n- |\n x\nc: >2\n    z\n"),
         STR("{a:[{b:\"\nx\n  y\n\"} \"x\n\"] c:\"  z\n\"}")},
        {"literal at the root", STR(" |\n ` [x:\n   'y: \"z"), STR("\"` [x:\n  'y: \"z\"")},
        {"chomping", STR("a: |-\n  x\n\nb: |+\n  x\n\nc: |\n  x\n\nd: >-\n\n  x\n"),
         STR("{a:\"x\" b:\"x\n\n\" c:\"x\n\" d:\"\nx\"}")},
        {"folding", STR("a: >\n  x\n  y\n\n  z\n    deep\n  back\n"),
         STR("{a:\"x y\nz\n  deep\nback\n\"}")},
        {"indicator and comment", STR("- a: |2- # | x\n     y\n    z\n"), STR("[{a:\" y\nz\"}]")},
        {"comment behind a literal", STR("a: |\n  x\n# c\nb: 1\n"), STR("{a:\"x\n\" b:1}")},
        {"empty literal", STR("a: |\nb: >-\n\nc: 1\n"), STR("{a:\"\" b:\"\" c:1}")},
        {"doubled quotes over lines", STR("a: 'x ''''\n  y  \n\n\n  '''' z'\n"),
         STR("{a:\"x '' y\n\n'' z\"}")},
        {"document marks", STR("---\na: 1\n...\n"), STR("{a:1}")},
        {"a string by its tag", STR("a: !!str 12\nb: !!int 3\n"), STR("{a:\"12\" b:3}")},
        {"JSON", STR("{\"a\":[1,2,{\"b\":null}]}"), STR("{\"a\":[1 2 {\"b\":~}]}")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        YamlNode *root = NULL;
        Error err = {0};

        CHECK_OK(yaml_parse(c->text, S("f.yml"), &arena, &root, &err), err);

        show(&out, root);
        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST(yaml, faults_name_their_place)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
        ErrorCode want_code;
    } cases[] = {
        {"duplicate key", STR("a: 1\nb: 2\na: 3\n"),
         "f.yml:3:1: key \"a\" already set in map (line 1)", ERR_INVALID},
        {"duplicate among many",
         STR("{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, m: 1, n: 1, "
             "o: 1, p: 1, q: 1, c: 2}"),
         "key \"c\" already set", ERR_INVALID},
        {"tab as indentation", STR("a:\n\t- b\n"), "f.yml:2:", ERR_INVALID},
        {"unclosed flow", STR("a: [1, 2\n"), "f.yml:", ERR_INVALID},
        {"unclosed quote", STR("a: \"x\n"),
         "f.yml:2:1: while scanning a quoted scalar that begins at 1:4: found unexpected end of "
         "stream",
         ERR_INVALID},
        {"unknown alias", STR("a: *x\n"), "f.yml:1:", ERR_INVALID},
        {"alias inside itself", STR("a: &x [*x]\n"), "f.yml:1:", ERR_INVALID},
        {"two documents", STR("a: 1\n---\nb: 1\n"), "only one document", ERR_INVALID},
        {"merge of a scalar", STR("a:\n  <<: 5\n"), "f.yml:2:7: map merge requires", ERR_INVALID},
        {"collection as key", STR("? [a]\n: 1\n"), "a key must be a scalar", ERR_INVALID},
        {"foreign tag", STR("a: !ruby/object x\n"), "f.yml:1:", ERR_INVALID},
        {"block scalar not deeper", STR("a:\n- j: |\n  b\n      c\n"),
         "f.yml:5:1: while scanning a simple key that begins at 3:3", ERR_INVALID},
        {"control character", STR("a: b\nc: \x01\n"),
         "f.yml:2:4: control characters are not allowed", ERR_INVALID},
        {"not UTF-8", STR("a: \xff\n"), "f.yml: not valid UTF-8", ERR_INVALID},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        YamlNode *root = NULL;
        Error err = {0};

        CHECK(!yaml_parse(c->text, S("f.yml"), &arena, &root, &err));

        CHECK_HAS(err.text, c->want);
        CHECK_EQ(err.code, c->want_code);
        CHECK(root == NULL);
    }
}

TEST(yaml, nodes_know_their_place)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    YamlNode *root = NULL;
    Error err = {0};

    CHECK_OK(yaml_parse(S("a:\n  - b: x\n    c: y\n"), S("f.yml"), &arena, &root, &err), err);

    YamlNode *c = yaml_get(yaml_get(root, S("a"))->items[0], S("c"));
    CHECK_EQ(c->line, 3);
    CHECK_EQ(c->column, 8);
    CHECK(yaml_get(root, S("z")) == NULL);
}

TEST(yaml, aliases_cannot_blow_up)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    YamlNode *root = NULL;
    Error err = {0};
    buf_add_c(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_add_c(&text, "]\n");
    }

    CHECK(!yaml_parse(buf_str(&text), S("f.yml"), &arena, &root, &err));

    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_HAS(err.text, "too many nodes");
}

TEST(yaml, depth_is_limited)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    YamlNode *root = NULL;
    Error err = {0};
    for (int i = 0; i < YAML_DEPTH_MAX + 2; i++)
        buf_printf(&text, "%*sa:\n", i, "");

    CHECK(!yaml_parse(buf_str(&text), S("f.yml"), &arena, &root, &err));

    CHECK_HAS(err.text, "nested too deep");
}

TEST(yaml, scalars_resolve_as_in_yaml_v2)
{
    static const struct {
        const char *name;
        Str text;
        bool is_bool, is_i64, is_double;
        int64_t want_i64;
        double want_double;
    } cases[] = {
        {"yes", STR("yes"), true, false, false, 0, 0},
        {"off", STR("off"), true, false, false, 0, 0},
        {"quoted yes", STR("'yes'"), false, false, false, 0, 0},
        {"decimal", STR("1_000"), false, true, true, 1000, 1000},
        {"negative", STR("-12"), false, true, true, -12, -12},
        {"octal", STR("0644"), false, true, true, 420, 420},
        {"new octal", STR("0o17"), false, true, true, 15, 15},
        {"hex", STR("0xFF"), false, true, true, 255, 255},
        {"binary", STR("0b101"), false, true, true, 5, 5},
        {"smallest", STR("-9223372036854775808"), false, true, true, INT64_MIN, -0x1p63},
        {"too large", STR("9223372036854775808"), false, false, true, 0, 0x1p63},
        {"float", STR("1.5e3"), false, false, true, 0, 1500},
        {"infinity", STR("-.inf"), false, false, true, 0, -__builtin_inf()},
        {"a word", STR("inf"), false, false, false, 0, 0},
        {"quoted number", STR("\"12\""), false, false, false, 0, 0},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        YamlNode *root = NULL;
        Error err = {0};
        bool boolean;
        int64_t integer = 0;
        double number = 0;

        CHECK_OK(yaml_parse(c->text, S("f.yml"), &arena, &root, &err), err);

        CHECK_EQ(yaml_bool(root, &boolean), c->is_bool);
        CHECK_EQ(yaml_i64(root, &integer), c->is_i64);
        CHECK_EQ(yaml_double(root, &number), c->is_double);
        CHECK_EQ(integer, c->want_i64);
        CHECK_DOUBLE(number, c->want_double);
    }
}

TEST(yaml, scalars_are_quoted_only_where_needed)
{
    static const struct {
        const char *name;
        Str value;
        Str want;
    } cases[] = {
        {"word", STR("prometheus"), STR("prometheus")},
        {"regex", STR("(.*)"), STR("(.*)")},
        {"separator", STR(";"), STR(";")},
        {"dollar", STR("$1"), STR("$1")},
        {"url", STR("http://a:9090/x"), STR("http://a:9090/x")},
        {"host and port", STR("localhost:9090"), STR("localhost:9090")},
        {"empty", STR(""), STR("\"\"")},
        {"boolean", STR("true"), STR("\"true\"")},
        {"number", STR("12"), STR("\"12\"")},
        {"null", STR("null"), STR("\"null\"")},
        {"base 60", STR("1:20"), STR("\"1:20\"")},
        {"address", STR("127.0.0.1:9090"), STR("127.0.0.1:9090")},
        {"minutes past sixty", STR("1:75"), STR("1:75")},
        {"date", STR("2001-01-02"), STR("\"2001-01-02\"")},
        {"not a date", STR("12-34"), STR("12-34")},
        {"colon and blank", STR("a: b"), STR("'a: b'")},
        {"comment", STR("a #b"), STR("'a #b'")},
        {"quote inside", STR("'a'"), STR("'''a'''")},
        {"star", STR("*.yml"), STR("'*.yml'")},
        {"brace", STR("{a}"), STR("'{a}'")},
        {"line break", STR("a\nb"), STR("\"a\\nb\"")},
        {"blank in front", STR(" a"), STR("' a'")},
        {"secret", STR("<secret>"), STR("<secret>")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf out = {0};
        YamlNode *root = NULL;
        Error err = {0};

        yaml_write_scalar(&out, c->value);

        CHECK_STR(buf_str(&out), c->want);
        CHECK_OK(yaml_parse(buf_str(&out), S("f.yml"), &arena, &root, &err), err);
        CHECK_STR(root->scalar, c->value);
    }
}

TEST_MAIN(yaml, TEST_ROW(yaml, reads_what_stands_there), TEST_ROW(yaml, faults_name_their_place),
          TEST_ROW(yaml, nodes_know_their_place), TEST_ROW(yaml, aliases_cannot_blow_up),
          TEST_ROW(yaml, depth_is_limited), TEST_ROW(yaml, scalars_resolve_as_in_yaml_v2),
          TEST_ROW(yaml, scalars_are_quoted_only_where_needed))
