// SPDX-License-Identifier: Apache-2.0
#include "metric/relabel.h"

#include "base/test.h"
#include "metric/md5.h"

static Str hex(Arena *arena, const uint8_t *bytes, size_t count)
{
    Str text = STR_NONE;

    for (size_t i = 0; i < count; i++)
        text = arena_printf(arena, STR_FMT "%02x", STR_ARG(text), bytes[i]);
    return text;
}

// The vectors of RFC 1321 A.5.
TEST(md5, has_the_digests_of_rfc_1321)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"empty", STR(""), STR("d41d8cd98f00b204e9800998ecf8427e")},
        {"a", STR("a"), STR("0cc175b9c0f1b6a831c399e269772661")},
        {"abc", STR("abc"), STR("900150983cd24fb0d6963f7d28e17f72")},
        {"message digest", STR("message digest"), STR("f96b697d7cb7938d525a2f31aaf161d0")},
        {"letters", STR("abcdefghijklmnopqrstuvwxyz"), STR("c3fcd3d76192e4007dfb496cca67e13b")},
        {"letters and digits",
         STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
         STR("d174ab98d277d9f5a5611c2c9f419d9f")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        uint8_t digest[16];
        md5(c->text, digest);
        CHECK_STR(hex(&arena, digest, 16), c->want);
    }
    arena_deinit(&arena);
}

TEST(md5, fills_blocks_of_every_length)
{
    static const struct {
        const char *name;
        size_t len;
        Str want;
    } cases[] = {
        {"55 bytes", 55, STR("ef1772b6dff9a122358552954ad0df65")},
        {"56 bytes", 56, STR("3b0c8ac703f828b04c6c197006d17218")},
        {"63 bytes", 63, STR("b06521f39153d618550606be297466d5")},
        {"64 bytes", 64, STR("014842d480b571495a4a0363793f7367")},
        {"65 bytes", 65, STR("c743a45e0d2e6a95cb859adae0248435")},
        {"200 bytes", 200, STR("887f30b43b2867f4a9accceee7d16e6c")},
    };
    static char many[200];
    Arena arena = {0};
    memset(many, 'a', sizeof many);

    EACH_CASE(c, cases) {
        uint8_t digest[16];
        md5(str_make(many, c->len), digest);
        CHECK_STR(hex(&arena, digest, 16), c->want);
    }
    arena_deinit(&arena);
}

// One rule over "a=1,b=2"; the want is the labels printed, or "dropped".
typedef struct RuleCase {
    const char *name;
    const char *labels;
    RelabelAction action;
    const char *source; // names with commas between
    const char *regex;  // NULL: the default
    const char *target;
    const char *replacement; // NULL: the default
    uint64_t modulus;
    bool legacy;
    const char *want;
} RuleCase;

static size_t split(Arena *arena, const char *text, Str **ret_list)
{
    Str rest = str_from_c(text);
    Str *list = ARENA_ARRAY(arena, Str, rest.len + 1);
    size_t count = 0;

    while (str_split_next(&rest, ',', &list[count]))
        count++;
    *ret_list = list;
    return count;
}

static RelabelRule make_rule(Arena *arena, const RuleCase *c)
{
    RelabelRule rule;

    relabel_rule_init(&rule);
    rule.action = c->action;
    rule.source_label_count = split(arena, c->source, &rule.source_labels);
    if (c->regex)
        rule.regex_text = str_from_c(c->regex);
    if (c->target)
        rule.target_label = str_from_c(c->target);
    if (c->replacement)
        rule.replacement = str_from_c(c->replacement);
    rule.modulus = c->modulus;
    return rule;
}

static Str run(Arena *arena, const RelabelRule *rule, const char *text)
{
    LabelsBuilder builder;
    Str *pairs;
    Buf buf = {0};
    size_t count = split(arena, text, &pairs);

    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < count; i++) {
        size_t eq = str_find_char(pairs[i], '=');
        labels_builder_set(&builder, str_sub(pairs[i], 0, eq), str_skip(pairs[i], eq + 1));
    }
    if (!relabel_apply(rule, 1, &builder))
        return S("dropped");
    labels_print(&buf, labels_builder_finish(&builder));
    Str printed = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return printed;
}

// clang-format off
static const RuleCase rule_cases[] = {
    {"replace copies", "a=foo,b=bar", RELABEL_REPLACE, "a", NULL, "d", NULL, 0, false, "{a=\"foo\", b=\"bar\", d=\"foo\"}"},
    {"replace joins", "a=foo,b=bar", RELABEL_REPLACE, "a,b", NULL, "d", NULL, 0, false, "{a=\"foo\", b=\"bar\", d=\"foo;bar\"}"},
    {"replace takes groups", "a=foo,b=bar", RELABEL_REPLACE, "a,b", "f(.*);(.*)r", "a", "b${1}${2}m", 0, false, "{a=\"boobam\", b=\"bar\"}"},
    {"replace without a match does nothing", "a=boo", RELABEL_REPLACE, "a", "f", "b", "bar", 0, false, "{a=\"boo\"}"},
    {"replace is anchored", "a=boofoo", RELABEL_REPLACE, "a", "foo", "b", "bar", 0, false, "{a=\"boofoo\"}"},
    {"replace with nothing deletes", "a=foo", RELABEL_REPLACE, "a", "(f).*", "a", "$2", 0, false, "{}"},
    {"replace without source sets", "a=1", RELABEL_REPLACE, "", NULL, "b", "x", 0, false, "{a=\"1\", b=\"x\"}"},
    {"target from the match", "a=some-name-value", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "${1}", "${2}", 0, false, "{a=\"some-name-value\", name=\"value\"}"},
    {"named group", "a=x-y", RELABEL_REPLACE, "a", "(?P<left>.)-.", "b", "${left}!", 0, false, "{a=\"x-y\", b=\"x!\"}"},
    {"legacy: invalid target does nothing", "a=some-0name-value", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "${1}", "${2}", 0, true, "{a=\"some-0name-value\"}"},
    {"utf8: any target", "a=some-0name-value", RELABEL_REPLACE, "a", "some-([^-]+)-([^,]+)", "${1}", "${2}", 0, false, "{\"0name\"=\"value\", a=\"some-0name-value\"}"},
    {"empty regex takes only nothing", "a=x", RELABEL_REPLACE, "a", "", "b", "y", 0, false, "{a=\"x\"}"},
    {"dot takes a newline", "a=x\ny", RELABEL_REPLACE, "a", "x.(y)", "b", NULL, 0, false, "{a=\"x\\ny\", b=\"y\"}"},
    {"keep keeps a match", "a=foo", RELABEL_KEEP, "a", "fo.", NULL, NULL, 0, false, "{a=\"foo\"}"},
    {"keep drops the others", "a=foo", RELABEL_KEEP, "a", "no-match", NULL, NULL, 0, false, "dropped"},
    {"keep sees a missing label as empty", "a=foo", RELABEL_KEEP, "b", "", NULL, NULL, 0, false, "{a=\"foo\"}"},
    {"drop drops a match", "a=foo", RELABEL_DROP, "a", ".*o.*", NULL, NULL, 0, false, "dropped"},
    {"drop keeps the others", "a=foo", RELABEL_DROP, "a", "f", NULL, NULL, 0, false, "{a=\"foo\"}"},
    {"keepequal keeps equals", "a=x,b=x", RELABEL_KEEPEQUAL, "a", NULL, "b", NULL, 0, false, "{a=\"x\", b=\"x\"}"},
    {"keepequal drops others", "a=x,b=y", RELABEL_KEEPEQUAL, "a", NULL, "b", NULL, 0, false, "dropped"},
    {"dropequal drops equals", "a=x,b=x", RELABEL_DROPEQUAL, "a", NULL, "b", NULL, 0, false, "dropped"},
    {"dropequal of two missing", "c=x", RELABEL_DROPEQUAL, "a", NULL, "b", NULL, 0, false, "dropped"},
    {"dropequal keeps others", "a=x,b=y", RELABEL_DROPEQUAL, "a", NULL, "b", NULL, 0, false, "{a=\"x\", b=\"y\"}"},
    {"hashmod", "c=baz", RELABEL_HASHMOD, "c", NULL, "d", NULL, 1000, false, "{c=\"baz\", d=\"976\"}"},
    {"hashmod of a line", "a=foo\nbar", RELABEL_HASHMOD, "a", NULL, "b", NULL, 1000, false, "{a=\"foo\\nbar\", b=\"734\"}"},
    {"labelmap", "a=foo,b1=bar,b2=baz", RELABEL_LABELMAP, "", "(b.*)", NULL, "bar_${1}", 0, false, "{a=\"foo\", b1=\"bar\", b2=\"baz\", bar_b1=\"bar\", bar_b2=\"baz\"}"},
    {"labelmap of meta", "a=foo,__meta_my_bar=aaa,__meta_my_baz=bbb", RELABEL_LABELMAP, "", "__meta_(my.*)", NULL, "${1}", 0, false, "{__meta_my_bar=\"aaa\", __meta_my_baz=\"bbb\", a=\"foo\", my_bar=\"aaa\", my_baz=\"bbb\"}"},
    {"labeldrop", "a=foo,b1=bar,b2=baz", RELABEL_LABELDROP, "", "(b.*)", NULL, NULL, 0, false, "{a=\"foo\"}"},
    {"labelkeep", "a=foo,b1=bar,b2=baz", RELABEL_LABELKEEP, "", "(b.*)", NULL, NULL, 0, false, "{b1=\"bar\", b2=\"baz\"}"},
    {"lowercase", "a=BaR", RELABEL_LOWERCASE, "a", NULL, "b", NULL, 0, false, "{a=\"BaR\", b=\"bar\"}"},
    {"uppercase", "a=BaR-1", RELABEL_UPPERCASE, "a", NULL, "b", NULL, 0, false, "{a=\"BaR-1\", b=\"BAR-1\"}"},
    {"lowercase beyond ASCII", "a=\xc3\x84\xce\xa9\xd0\x96", RELABEL_LOWERCASE, "a", NULL, "a", NULL, 0, false, "{a=\"\xc3\xa4\xcf\x89\xd0\xb6\"}"},
    {"uppercase beyond ASCII", "a=\xc3\xa4\xcf\x89\xd0\xb6", RELABEL_UPPERCASE, "a", NULL, "a", NULL, 0, false, "{a=\"\xc3\x84\xce\xa9\xd0\x96\"}"},
    {"lowercase of nothing deletes", "b=x", RELABEL_LOWERCASE, "a", NULL, "b", NULL, 0, false, "{}"},
};
// clang-format on

TEST(relabel, does_what_prometheus_does)
{
    Arena arena = {0};

    EACH_CASE(c, rule_cases) {
        Error err = {0};
        RelabelRule rule = make_rule(&arena, c);
        CHECK_OK(relabel_rule_finish(&rule, !c->legacy, &err), err);
        CHECK_STR(run(&arena, &rule, c->labels), str_from_c(c->want));
        relabel_rule_deinit(&rule);
    }
    arena_deinit(&arena);
}

TEST(relabel, rules_run_in_order_until_one_drops)
{
    Arena arena = {0};
    Error err = {0};
    RuleCase first = {"", "", RELABEL_REPLACE, "a", NULL, "b", NULL, 0, false, ""};
    RuleCase second = {"", "", RELABEL_DROP, "b", "foo", NULL, NULL, 0, false, ""};
    RuleCase third = {"", "", RELABEL_REPLACE, "a", NULL, "c", NULL, 0, false, ""};
    RelabelRule rules[3];
    LabelsBuilder builder;
    rules[0] = make_rule(&arena, &first);
    rules[1] = make_rule(&arena, &second);
    rules[2] = make_rule(&arena, &third);
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(relabel_rule_finish(&rules[i], true, &err), err);
    labels_builder_init(&builder, &arena, LABELS_NONE);
    labels_builder_set(&builder, S("a"), S("foo"));

    CHECK(!relabel_apply(rules, 3, &builder));

    CHECK_STR(labels_builder_get(&builder, S("b")), S("foo"));
    CHECK_STR(labels_builder_get(&builder, S("c")), S(""));
    for (size_t i = 0; i < 3; i++)
        relabel_rule_deinit(&rules[i]);
    arena_deinit(&arena);
}

// clang-format off
static const RuleCase bad_cases[] = {
    {"replace needs a target", "", RELABEL_REPLACE, "a", NULL, NULL, NULL, 0, false, "relabel configuration for replace action requires 'target_label' value"},
    {"hashmod needs a modulus", "", RELABEL_HASHMOD, "a", NULL, "b", NULL, 0, false, "relabel configuration for hashmod requires non-zero modulus"},
    {"lowercase needs a target", "", RELABEL_LOWERCASE, "a", NULL, NULL, NULL, 0, false, "relabel configuration for lowercase action requires 'target_label' value"},
    {"lowercase takes no replacement", "", RELABEL_LOWERCASE, "a", NULL, "b", "x", 0, false, "'replacement' can not be set for lowercase action"},
    {"legacy target", "", RELABEL_REPLACE, "a", NULL, "0b", NULL, 0, true, "\"0b\" is invalid 'target_label' for replace action"},
    {"legacy target with variable", "", RELABEL_REPLACE, "a", NULL, "$1-b", NULL, 0, true, "\"$1-b\" is invalid 'target_label' for replace action"},
    {"legacy variable left open", "", RELABEL_REPLACE, "a", NULL, "${1", NULL, 0, true, "is invalid 'target_label' for replace action"},
    {"legacy labelmap", "", RELABEL_LABELMAP, "", NULL, NULL, "a-b", 0, true, "\"a-b\" is invalid 'replacement' for labelmap action"},
    {"keepequal takes no regex", "", RELABEL_KEEPEQUAL, "a", "x", "b", NULL, 0, false, "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
    {"labeldrop takes no source", "", RELABEL_LABELDROP, "a", "x", NULL, NULL, 0, false, "labeldrop action requires only 'regex', and no other fields"},
    {"labelkeep takes no target", "", RELABEL_LABELKEEP, "", "x", "b", NULL, 0, false, "labelkeep action requires only 'regex', and no other fields"},
    {"bad regex", "", RELABEL_KEEP, "a", "(x", NULL, NULL, 0, false, "missing"},
    {"legacy source", "", RELABEL_KEEP, "a.b", NULL, NULL, NULL, 0, true, "\"a.b\" is not a valid label name"},
};
// clang-format on

TEST(relabel, refuses_rules_that_make_no_sense)
{
    Arena arena = {0};

    EACH_CASE(c, bad_cases) {
        Error err = {0};
        RelabelRule rule = make_rule(&arena, c);
        CHECK(!relabel_rule_finish(&rule, !c->legacy, &err));
        CHECK_EQ(err.code, ERR_INVALID);
        CHECK_HAS(err.text, c->want);
    }
    arena_deinit(&arena);
}

TEST(relabel, legacy_templates_are_taken)
{
    static const struct {
        const char *name;
        const char *target;
        bool want;
    } cases[] = {
        {"variable", "$1", true},       {"braces", "${name}_x", true},
        {"inside", "a_${1}_b$2", true}, {"digit first", "1$1", false},
        {"bare dollar", "a$", false},   {"empty braces", "a${}", false},
        {"plain", "abc_9", true},       {"dash", "$1-", false},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Error err = {0};
        RelabelRule rule;
        relabel_rule_init(&rule);
        rule.target_label = str_from_c(c->target);
        CHECK_EQ(relabel_rule_finish(&rule, false, &err), c->want);
        relabel_rule_deinit(&rule);
    }
    arena_deinit(&arena);
}

TEST(relabel, action_names_ignore_case)
{
    RelabelAction action;

    CHECK(relabel_action_parse(S("LabelDrop"), &action));
    CHECK_EQ(action, RELABEL_LABELDROP);
    CHECK(!relabel_action_parse(S("label_drop"), &action));
    for (int i = RELABEL_REPLACE; i <= RELABEL_UPPERCASE; i++) {
        CHECK(relabel_action_parse(relabel_action_name((RelabelAction)i), &action));
        CHECK_EQ(action, i);
    }
}

TEST_MAIN(relabel, TEST_ROW(md5, has_the_digests_of_rfc_1321),
          TEST_ROW(md5, fills_blocks_of_every_length), TEST_ROW(relabel, does_what_prometheus_does),
          TEST_ROW(relabel, rules_run_in_order_until_one_drops),
          TEST_ROW(relabel, refuses_rules_that_make_no_sense),
          TEST_ROW(relabel, legacy_templates_are_taken),
          TEST_ROW(relabel, action_names_ignore_case))
