// SPDX-License-Identifier: Apache-2.0
#include "rules/rule_file.h"

#include "base/test.h"

#define HEAD "groups:\n- name: g\n  rules:\n"

static bool parse(const char *text, const RuleFileOptions *options, Arena *arena, RuleFile *file,
                  StrList *errors)
{
    *errors = (StrList){0};
    return rule_file_parse(str_from_c(text), S("r.yml"), options, arena, file, errors);
}

TEST(rule_file, tells_each_mistake_with_its_place)
{
    static const struct {
        const char *name;
        const char *text;
        const char *want; // the first error
        size_t count;
    } cases[] = {
        {"unknown key", "groups:\n- name: g\n  rule: []\n",
         "r.yml:3:3: field rule not found in rule_group, did you mean rules?", 1},
        {"unknown key of a rule", HEAD "  - record: a\n    expr: b\n    labelz: {}\n",
         "r.yml:6:5: field labelz not found in rule, did you mean labels?", 1},
        {"a key twice", "groups: []\ngroups: []\n", "r.yml:2:1: ", 1},
        {"no YAML", "groups: [\n", "r.yml:", 1},
        {"a duration that is none", HEAD "  - alert: A\n    expr: b\n    for: 5x\n",
         "r.yml:6:10: for: ", 1},
        {"a group without a name", "groups:\n- rules: []\n",
         "r.yml:2:3: Groupname must not be empty", 1},
        {"a name twice", "groups:\n- name: a\n- name: a\n",
         "r.yml:3:9: groupname: \"a\" is repeated in the same file", 1},
        {"a label of a group", "groups:\n- name: g\n  labels: {__name__: x}\n",
         "r.yml:3:12: group \"g\": invalid label name: __name__", 1},
        {"both kinds", HEAD "  - record: a\n    alert: B\n    expr: c\n",
         "r.yml:4:13: group \"g\", rule 1, \"B\": only one of 'record' and 'alert' must be set", 1},
        {"neither kind", HEAD "  - expr: c\n",
         "r.yml:4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set", 1},
        {"no expression", HEAD "  - record: a\n",
         "r.yml:4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule", 1},
        {"a bad expression", HEAD "  - record: ok\n    expr: 1\n  - record: a\n    expr: sum(\n",
         "r.yml:7:11: group \"g\", rule 2, \"a\": could not parse expression: 1:5: parse error: ",
         1},
        {"annotations of a record", HEAD "  - record: a\n    expr: b\n    annotations: {c: d}\n",
         "r.yml:6:18: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule",
         1},
        {"for of a record", HEAD "  - record: a\n    expr: b\n    for: 1m\n",
         "r.yml:6:10: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule", 1},
        {"keep_firing_for of a record",
         HEAD "  - record: a\n    expr: b\n    keep_firing_for: 1m\n",
         "invalid field 'keep_firing_for' in recording rule", 1},
        {"braces", HEAD "  - record: 'a{b=\"c\"}'\n    expr: b\n",
         "braces present in the recording rule name; should it be in expr?: a{b=\"c\"}", 1},
        {"a label of a rule", HEAD "  - record: a\n    expr: b\n    labels: {__name__: c}\n",
         "invalid label name: __name__", 1},
        {"a template that is cut off",
         HEAD "  - alert: A\n    expr: b\n    annotations: {c: '{{ $value'}\n",
         "annotation \"c\": template: __alert_A:1: ", 1},
        {"an unknown function", HEAD "  - alert: A\n    expr: b\n    labels: {c: '{{ nope }}'}\n",
         "label \"c\": template: __alert_A:1: function \"nope\" not defined", 1},
        {"all are told",
         HEAD "  - record: a\n    expr: (\n  - record: b\n    expr: )\n  - expr: 1\n",
         "r.yml:5:11: ", 3},
        {"an item that is nothing", HEAD "  -\n", "r.yml:4:4: rules: empty or null rule in list",
         1},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        RuleFileOptions options = {.features = {.duration_expressions = true}};
        RuleFile file;
        StrList errors;

        bool ok = parse(c->text, &options, &arena, &file, &errors);

        CHECK(!ok);
        CHECK_EQ(errors.count, c->count);
        CHECK_HAS(str_to_c(&arena, errors.items[0]), c->want);
    }
}

TEST(rule_file, takes_all_that_the_original_takes)
{
    static const struct {
        const char *name;
        const char *text;
        size_t groups;
    } cases[] = {
        {"nothing", "", 0},
        {"a comment", "# nothing\n", 0},
        {"no groups", "groups:\n", 0},
        {"a group without rules", "groups:\n- name: g\n", 1},
        {"for of nothing in a record", HEAD "  - record: a\n    expr: 1\n    for: 0s\n", 1},
        {"a colon in the name", HEAD "  - record: a:b:c\n    expr: 1\n", 1},
        {"UTF-8", HEAD "  - record: 'größe.x'\n    expr: 1\n    labels: {'a.b': c}\n", 1},
        {"the same rule twice", HEAD "  - record: a\n    expr: 1\n  - record: a\n    expr: 1\n", 1},
        {"templates in a record are text",
         HEAD "  - record: a\n    expr: 1\n    labels: {b: '{{'}\n", 1},
        {"expressions that are numbers", HEAD "  - record: a\n    expr: 1\n", 1},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        RuleFileOptions options = {.features = {.duration_expressions = true}};
        RuleFile file;
        StrList errors;

        bool ok = parse(c->text, &options, &arena, &file, &errors);

        if (!ok)
            CHECK_STR(errors.items[0], S(""));
        CHECK_EQ(file.groups.count, c->groups);
    }
}

TEST(rule_file, fields_are_read)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    RuleFileOptions options = {0};
    RuleFile file;
    StrList errors;

    CHECK(parse("groups:\n- name: g\n  interval: 15s\n  query_offset: 1m\n  limit: 7\n"
                "  labels: {team: a, kind: g}\n  rules:\n  - alert: A\n    expr: up == 0\n"
                "    for: 5m\n    keep_firing_for: 90s\n    labels: {kind: r, job: ''}\n"
                "    annotations: {s: '{{ $value }}'}\n---\nmore: 1\n",
                &options, &arena, &file, &errors));

    const RuleGroupSpec *group = file.groups.items;
    const RuleSpec *rule = group->rules.items;
    CHECK_EQ(group->interval_ms, 15000);
    CHECK(group->has_query_offset);
    CHECK_EQ(group->query_offset_ms, 60000);
    CHECK_EQ(group->limit, 7);
    CHECK_EQ(rule->for_ms, 300000);
    CHECK_EQ(rule->keep_firing_for_ms, 90000);
    CHECK_EQ(rule->line, 8);
    CHECK_EQ(file.second_line, 14);
    Labels labels = rule_spec_labels(group, rule, &arena);
    CHECK_EQ(labels.count, 3);
    CHECK_STR(labels_get(labels, S("team")), S("a"));
    CHECK_STR(labels_get(labels, S("kind")), S("r"));
    CHECK_STR(labels.pairs[0].name, S("job"));
}

TEST(rule_file, options_change_what_is_allowed)
{
    static const struct {
        const char *name;
        const char *text;
        RuleFileOptions options;
        bool want;
    } cases[] = {
        {"unknown fields", "groups: []\nx: 1\n", .want = false},
        {"unknown fields, ignored", "groups: []\nx: 1\n", {.ignore_unknown_fields = true}, true},
        {"a UTF-8 name", HEAD "  - record: a.b\n    expr: 1\n", .want = true},
        {"a UTF-8 name, legacy",
         HEAD "  - record: a.b\n    expr: 1\n",
         {.legacy_names = true},
         false},
        {"a UTF-8 label, legacy",
         HEAD "  - record: a\n    expr: 1\n    labels: {a.b: c}\n",
         {.legacy_names = true},
         false},
        {"an experimental function", HEAD "  - record: a\n    expr: max_by(1)\n", .want = false},
        {"sort_by_label without its feature",
         HEAD "  - record: a\n    expr: sort_by_label(b, 'c')\n", .want = false},
        {"sort_by_label with its feature",
         HEAD "  - record: a\n    expr: sort_by_label(b, 'c')\n",
         {.features = {.experimental_functions = true}},
         true},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        RuleFile file;
        StrList errors;

        CHECK_EQ(parse(c->text, &c->options, &arena, &file, &errors), c->want);
    }
}

TEST_MAIN(rule_file, TEST_ROW(rule_file, tells_each_mistake_with_its_place),
          TEST_ROW(rule_file, takes_all_that_the_original_takes),
          TEST_ROW(rule_file, fields_are_read), TEST_ROW(rule_file, options_change_what_is_allowed))
