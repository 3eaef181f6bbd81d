// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"
#include "base/test.h"
#include "metric/sample.h"

static Labels make(Arena *arena, Str text)
{
    // "a=1,b=2" in the order given.
    Label *pairs = ARENA_ARRAY(arena, Label, text.len + 1);
    size_t count = 0;
    Str piece;

    while (str_split_next(&text, ',', &piece)) {
        size_t eq = str_find_char(piece, '=');
        pairs[count++] = (Label){str_sub(piece, 0, eq), str_skip(piece, eq + 1)};
    }
    return (Labels){pairs, count};
}

static Str print(Arena *arena, Labels labels)
{
    Buf buf = {0};
    labels_print(&buf, labels);
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

TEST(labels, compare_goes_name_by_name_then_value)
{
    static const struct {
        const char *name;
        Str a, b;
        int want;
    } cases[] = {
        {"equal", STR("a=1,b=2"), STR("a=1,b=2"), 0},
        {"shorter first", STR("a=1"), STR("a=1,b=2"), -1},
        {"name before value", STR("a=9"), STR("b=1"), -1},
        {"value", STR("a=2"), STR("a=1"), 1},
        {"prefix value", STR("a=1"), STR("a=11"), -1},
        {"none against none", STR(""), STR(""), 0},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Labels a = make(&arena, c->a);
        Labels b = make(&arena, c->b);
        int got = labels_compare(a, b);
        CHECK_EQ((got > 0) - (got < 0), c->want);
        CHECK_EQ(labels_equal(a, b), c->want == 0);
    }
    arena_deinit(&arena);
}

// The bits of github.com/cespare/xxhash over the compact encoding, computed apart from this code.
TEST(labels, hash_has_the_bits_of_prometheus)
{
    static char long_value[2000];
    memset(long_value, 'x', sizeof long_value);
    Label one[] = {{S("__name__"), S("up")}, {S("job"), S("a")}};
    Label big[] = {{S("a"), {long_value, 254}}, {S("b"), {long_value, 255}}};
    Label huge[] = {{S("a"), {long_value, 2000}}, {S("b"), {long_value, 1500}}, {S("c"), S("d")}};

    CHECK_EQ(labels_hash(LABELS_NONE), (long long)0xef46db3751d8e999ULL);
    CHECK_EQ(labels_hash((Labels){one, 2}), (long long)0xabb35243313fbb0bULL);
    CHECK_EQ(labels_hash((Labels){big, 2}), (long long)0x1d398da960d8450dULL);
    CHECK_EQ(labels_hash((Labels){huge, 3}), (long long)0x193316a7e56e695aULL);
}

TEST(labels, hash_of_some_ignores_the_others)
{
    Arena arena = {0};
    static const Str names[] = {STR("a"), STR("c"), STR("x")};
    Labels a = make(&arena, S("a=1,b=2,c=3"));
    Labels b = make(&arena, S("a=1,b=9,c=3"));

    CHECK(labels_hash_only(a, names, 3) == labels_hash_only(b, names, 3));
    CHECK(labels_hash_without(a, names, 3) != labels_hash_without(b, names, 3));
    CHECK(labels_hash_only(a, names, 3) == labels_hash(make(&arena, S("a=1,c=3"))));
    CHECK(labels_hash_without(a, names, 3) == labels_hash(make(&arena, S("b=2"))));
    arena_deinit(&arena);
}

TEST(labels, sort_refuses_a_name_twice_and_drops_empties)
{
    Label pairs[] = {{S("z"), S("1")}, {S("a"), S("")}, {S("m"), S("2")}};
    Label twice[] = {{S("z"), S("1")}, {S("a"), S("2")}, {S("z"), S("3")}};
    size_t count = 3;
    Error err = {0};

    CHECK_OK(labels_sort(pairs, &count, &err), err);
    CHECK_EQ(count, 2);
    CHECK_STR(pairs[0].name, S("m"));
    CHECK_STR(pairs[1].name, S("z"));

    count = 3;
    CHECK(!labels_sort(twice, &count, &err));
    CHECK_EQ(err.code, ERR_INVALID);
    CHECK_HAS(err.text, "\"z\"");
}

TEST(labels, keep_drop_and_set_stay_sorted)
{
    Arena arena = {0};
    Labels base = make(&arena, S("b=1,d=2,f=3"));
    static const Str names[] = {STR("f"), STR("b")};

    CHECK_STR(print(&arena, labels_keep(&arena, base, names, 2)), S("{b=\"1\", f=\"3\"}"));
    CHECK_STR(print(&arena, labels_drop(&arena, base, names, 2)), S("{d=\"2\"}"));
    CHECK_STR(print(&arena, labels_set(&arena, base, S("a"), S("0"))),
              S("{a=\"0\", b=\"1\", d=\"2\", f=\"3\"}"));
    CHECK_STR(print(&arena, labels_set(&arena, base, S("d"), S("9"))),
              S("{b=\"1\", d=\"9\", f=\"3\"}"));
    CHECK_STR(print(&arena, labels_set(&arena, base, S("d"), S(""))), S("{b=\"1\", f=\"3\"}"));
    CHECK_STR(print(&arena, labels_set(&arena, base, S("g"), S("4"))),
              S("{b=\"1\", d=\"2\", f=\"3\", g=\"4\"}"));
    CHECK_STR(print(&arena, labels_set(&arena, LABELS_NONE, S("g"), S(""))), S("{}"));
    arena_deinit(&arena);
}

TEST(labels, copy_shares_nothing)
{
    Arena arena = {0};
    char text[] = "a=1,b=2";
    Labels copy = labels_copy(&arena, make(&arena, str_from_c(text)));

    memset(text, '#', sizeof text - 1);

    CHECK_STR(print(&arena, copy), S("{a=\"1\", b=\"2\"}"));
    CHECK_EQ(labels_copy(&arena, LABELS_NONE).count, 0);
    arena_deinit(&arena);
}

TEST(labels, print_quotes_as_go_does)
{
    static const struct {
        const char *name;
        Str value;
        Str want;
    } cases[] = {
        {"plain", STR("up"), STR("\"up\"")},
        {"empty", STR(""), STR("\"\"")},
        {"quote and backslash", STR("a\"b\\c"), STR("\"a\\\"b\\\\c\"")},
        {"named escapes", STR("\a\b\f\n\r\t\v"), STR("\"\\a\\b\\f\\n\\r\\t\\v\"")},
        {"control bytes", STR("\x01\x7f"), STR("\"\\x01\\x7f\"")},
        {"printable beyond ASCII", STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
         STR("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
        {"no-break space", STR("\xc2\xa0"), STR("\"\\u00a0\"")},
        {"line separator", STR("\xe2\x80\xa8"), STR("\"\\u2028\"")},
        {"real replacement rune", STR("\xef\xbf\xbd"), STR("\"\xef\xbf\xbd\"")},
        {"bytes that are no UTF-8", STR("a\xff\xc3"), STR("\"a\\xff\\xc3\"")},
        {"beyond the basic plane", STR("\xf3\xa0\x80\x81"), STR("\"\\U000e0001\"")},
        {"soft hyphen", STR("\xc2\xad"), STR("\"\\u00ad\"")},
    };

    EACH_CASE(c, cases) {
        Buf buf = {0};
        buf_add_go_quoted(&buf, c->value);
        CHECK_STR(buf_str(&buf), c->want);
        buf_deinit(&buf);
    }
}

TEST(labels, print_metric_puts_a_legacy_name_in_front)
{
    static const struct {
        const char *name;
        Str labels;
        Str want_all;
        Str want_metric;
    } cases[] = {
        {"name and label", STR("__name__=up,job=a"), STR("{__name__=\"up\", job=\"a\"}"),
         STR("up{job=\"a\"}")},
        {"name only", STR("__name__=up"), STR("{__name__=\"up\"}"), STR("up")},
        {"no name", STR("job=a"), STR("{job=\"a\"}"), STR("{job=\"a\"}")},
        {"nothing", STR(""), STR("{}"), STR("{}")},
        {"name with a dot", STR("__name__=a.b,x.y=1"), STR("{__name__=\"a.b\", \"x.y\"=\"1\"}"),
         STR("{__name__=\"a.b\", \"x.y\"=\"1\"}")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Buf buf = {0};
        Labels labels = make(&arena, c->labels);
        CHECK_STR(print(&arena, labels), c->want_all);
        labels_print_metric(&buf, labels);
        CHECK_STR(buf_str(&buf), c->want_metric);
        buf_deinit(&buf);
    }
    arena_deinit(&arena);
}

TEST(labels, names_are_judged_by_scheme)
{
    static const struct {
        const char *name;
        Str text;
        bool metric, label, utf8;
    } cases[] = {
        {"plain", STR("up_1"), true, true, true},
        {"colon", STR("job:up"), true, false, true},
        {"leading digit", STR("1up"), false, false, true},
        {"leading underscore", STR("_"), true, true, true},
        {"empty", STR(""), false, false, false},
        {"dot", STR("a.b"), false, false, true},
        {"broken UTF-8", STR("a\xff"), false, false, false},
        {"at sign is no letter", STR("@"), false, false, true},
        {"bracket is no letter", STR("[a"), false, false, true},
    };

    EACH_CASE(c, cases) {
        CHECK_EQ(metric_name_is_legacy(c->text), c->metric);
        CHECK_EQ(label_name_is_legacy(c->text), c->label);
        CHECK_EQ(name_is_utf8(c->text), c->utf8);
    }
}

TEST(labels, builder_lets_later_sets_win)
{
    Arena arena = {0};
    LabelsBuilder builder;
    labels_builder_init(&builder, &arena, make(&arena, S("a=1,b=2")));

    labels_builder_set(&builder, S("c"), S("3"));
    labels_builder_set(&builder, S("a"), S(""));
    labels_builder_set(&builder, S("c"), S("4"));
    labels_builder_set(&builder, S("0"), S("x"));
    labels_builder_set(&builder, S("gone"), S(""));

    CHECK_STR(labels_builder_get(&builder, S("c")), S("4"));
    CHECK_STR(labels_builder_get(&builder, S("a")), S(""));
    CHECK_STR(print(&arena, labels_builder_finish(&builder)), S("{\"0\"=\"x\", b=\"2\", c=\"4\"}"));
    arena_deinit(&arena);
}

TEST(labels, builder_grows_and_sorts_many)
{
    Arena arena = {0};
    LabelsBuilder builder;
    labels_builder_init(&builder, &arena, LABELS_NONE);

    for (int i = 99; i >= 0; i--)
        labels_builder_set(&builder, arena_printf(&arena, "n%02d", i), S("v"));
    Labels labels = labels_builder_finish(&builder);

    CHECK_EQ(labels.count, 100);
    for (size_t i = 1; i < labels.count; i++)
        CHECK(str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) < 0);
    arena_deinit(&arena);
}

// Names of all short lengths, with long common beginnings: the order is that of the bytes.
TEST(labels, sort_agrees_with_the_order_of_bytes)
{
    static const char text[] = "aaaaaaaaaaaabaaaaaaaaaaaac\xff\x80zza";
    Random random;
    random_seed(&random, 3);

    for (int round = 0; round < 2000; round++) {
        Label pairs[40];
        size_t count = 1 + random_below(&random, COUNT_OF(pairs));
        for (size_t i = 0; i < count; i++) {
            size_t from = random_below(&random, 20);
            pairs[i] = (Label){str_make(text + from, random_below(&random, 12)), S("v")};
        }
        Arena arena = {0};
        LabelsBuilder builder;
        labels_builder_init(&builder, &arena, (Labels){pairs, count});
        Labels sorted = labels_builder_finish(&builder);
        CHECK_EQ(sorted.count, count);
        for (size_t i = 1; i < count; i++)
            CHECK(str_compare(sorted.pairs[i - 1].name, sorted.pairs[i].name) <= 0);
        arena_deinit(&arena);
    }
}

TEST(sample, type_names_read_back)
{
    MetricType type;

    for (int i = METRIC_UNKNOWN; i <= METRIC_STATESET; i++) {
        CHECK(metric_type_parse(metric_type_name((MetricType)i), &type));
        CHECK_EQ(type, i);
    }
    CHECK(metric_type_parse(S("untyped"), &type));
    CHECK_EQ(type, METRIC_UNKNOWN);
    CHECK(!metric_type_parse(S("Counter"), &type));
    CHECK(!metric_type_parse(S(""), &type));
}

TEST_MAIN(labels, TEST_ROW(labels, compare_goes_name_by_name_then_value),
          TEST_ROW(labels, hash_has_the_bits_of_prometheus),
          TEST_ROW(labels, hash_of_some_ignores_the_others),
          TEST_ROW(labels, sort_refuses_a_name_twice_and_drops_empties),
          TEST_ROW(labels, keep_drop_and_set_stay_sorted), TEST_ROW(labels, copy_shares_nothing),
          TEST_ROW(labels, print_quotes_as_go_does),
          TEST_ROW(labels, print_metric_puts_a_legacy_name_in_front),
          TEST_ROW(labels, names_are_judged_by_scheme),
          TEST_ROW(labels, builder_lets_later_sets_win),
          TEST_ROW(labels, builder_grows_and_sorts_many),
          TEST_ROW(labels, sort_agrees_with_the_order_of_bytes),
          TEST_ROW(sample, type_names_read_back))
