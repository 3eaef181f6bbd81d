// SPDX-License-Identifier: Apache-2.0
// Any text is a rule file or is refused with places; a file that is taken becomes groups, and its rules print what parses again.
#include "rules/rules_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_group(const RuleGroupSpec *spec, const RuleFileOptions *file)
{
    RulesConfig config = {.interval_ms = 60000, .external_url = S("http://h"), .file = *file};
    RuleGroup *group;
    Error err;
    bool ok = rule_group_new(&config, S("f.yml"), spec, &group, &err);
    ASSERT(ok);
    ASSERT(group->rule_count == spec->rules.count);
    for (size_t i = 0; i < group->rule_count; i++) {
        const Rule *rule = &group->rules[i];
        ok = promql_check(rule->query, &file->features, &err);
        ASSERT(ok);
        ASSERT(rule->is_alert == (rule->label_texts != NULL));
    }
    int64_t slot_ns = rule_group_slot(group, INT64_C(1700000000) * 1000000000);
    ASSERT(rule_group_slot(group, slot_ns) == slot_ns);
    rule_group_unref(group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    RuleFileOptions options = {
        .features = {.experimental_functions = true, .duration_expressions = true}};
    RuleFile file;
    StrList errors = {0};
    if (size == 0)
        return 0;
    options.legacy_names = data[0] & 1;
    options.ignore_unknown_fields = data[0] & 2;
    Str text = {(const char *)data + 1, size - 1};
    if (!rule_file_parse(text, S("f.yml"), &options, &arena, &file, &errors)) {
        ASSERT(errors.count > 0);
        for (size_t i = 0; i < errors.count; i++)
            ASSERT(str_starts_with(errors.items[i], S("f.yml")));
        return 0;
    }
    for (size_t i = 0; i < file.groups.count; i++)
        check_group((const RuleGroupSpec *)file.groups.items + i, &options);
    return 0;
}
