// SPDX-License-Identifier: Apache-2.0
#include "rules/rule_file.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/map.h"
#include "template/template.h"

typedef struct GroupsFile {
    ConfigList groups;
} GroupsFile;

// Schema -----------------------------------------------------------------------------------------------------------------------------

static bool note_rule_place(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    (void)reader;
    (void)err;
    RuleSpec *rule = object;
    rule->line = node->line;
    rule->column = node->column;
    return true;
}

static bool note_group_place(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    (void)reader;
    (void)err;
    RuleGroupSpec *group = object;
    group->line = node->line;
    group->column = node->column;
    return true;
}

static const ConfigField rule_fields[] = {
    {.key = "record",
     .kind = CONFIG_STR,
     .offset = offsetof(RuleSpec, record),
     .help = "Metric name under which a recording rule's result is kept."},
    {.key = "alert",
     .kind = CONFIG_STR,
     .offset = offsetof(RuleSpec, alert),
     .help = "Name of the alert."},
    {.key = "expr",
     .kind = CONFIG_STR,
     .offset = offsetof(RuleSpec, expr),
     .help = "PromQL expression."},
    {.key = "for",
     .kind = CONFIG_DURATION,
     .offset = offsetof(RuleSpec, for_ms),
     .help = "How long an alert is pending before it fires."},
    {.key = "keep_firing_for",
     .kind = CONFIG_DURATION,
     .offset = offsetof(RuleSpec, keep_firing_for_ms),
     .help = "How long an alert goes on firing once its expression has no result."},
    {.key = "labels",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(RuleSpec, labels),
     .help = "Labels that are set on results; in alerts they are templates."},
    {.key = "annotations",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(RuleSpec, annotations),
     .help = "What is told about an alert; templates."},
};
const ConfigTable rule_table = CONFIG_TABLE(RuleSpec, "rule", rule_fields, note_rule_place);

static const ConfigField group_fields[] = {
    {.key = "name",
     .kind = CONFIG_STR,
     .offset = offsetof(RuleGroupSpec, name),
     .help = "Name of the group, once in a file."},
    {.key = "interval",
     .kind = CONFIG_DURATION,
     .offset = offsetof(RuleGroupSpec, interval_ms),
     .help = "How often it is evaluated; the global evaluation_interval if not given."},
    {.key = "query_offset",
     .kind = CONFIG_DURATION,
     .offset = offsetof(RuleGroupSpec, query_offset_ms),
     .present_offset = offsetof(RuleGroupSpec, has_query_offset),
     .help = "How far back its rules look; the global rule_query_offset if not given."},
    {.key = "limit",
     .kind = CONFIG_I64,
     .offset = offsetof(RuleGroupSpec, limit),
     .help = "Most series of a recording rule and alerts of an alerting rule; 0: no limit."},
    {.key = "rules",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(RuleGroupSpec, rules),
     .table = &rule_table,
     .help = "The rules, evaluated one after the other."},
    {.key = "labels",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(RuleGroupSpec, labels),
     .help = "Labels of all its rules; a rule's own win."},
};
const ConfigTable rule_group_table =
    CONFIG_TABLE(RuleGroupSpec, "rule_group", group_fields, note_group_place);

static const ConfigField file_fields[] = {
    {.key = "groups",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(GroupsFile, groups),
     .table = &rule_group_table,
     .help = "Groups of rules."},
};
static const ConfigTable file_table = CONFIG_TABLE(GroupsFile, "rule_file", file_fields, NULL);

// Checks -----------------------------------------------------------------------------------------------------------------------------

typedef struct Check {
    const RuleFileOptions *options;
    Arena *arena;
    Str path;
    StrList errors;
    size_t cap;
    const YamlNode *groups; // the list
    const RuleGroupSpec *group;
    const RuleSpec *rule;
    size_t number;       // of the rule in its group, from 1
    const YamlNode *at;  // the rule's mapping
    TemplateSet *parser; // of annotations and labels
} Check;

static void add_error(Check *check, Str text)
{
    if (check->errors.count >= RULE_FILE_ERRORS_MAX)
        return;
    if (check->errors.count == check->cap) {
        size_t cap = check->cap ? check->cap * 2 : 8;
        check->errors.items = arena_grow(check->arena, check->errors.items,
                                         check->cap * sizeof(Str), cap * sizeof(Str));
        check->cap = cap;
    }
    check->errors.items[check->errors.count++] = text;
}

static void fail_group(Check *check, const YamlNode *at, const char *fmt, ...) PRINTF(3, 4);
static void fail_group(Check *check, const YamlNode *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(check->arena, fmt, args);
    va_end(args);
    add_error(check, arena_printf(check->arena, STR_FMT ":%d:%d: " STR_FMT, STR_ARG(check->path),
                                  at->line, at->column, STR_ARG(what)));
}

// The place is that of the key's value, or of the rule if it has no such key.
static void fail_rule(Check *check, const char *key, const char *fmt, ...) PRINTF(3, 4);
static void fail_rule(Check *check, const char *key, const char *fmt, ...)
{
    const YamlNode *at = key ? yaml_get(check->at, str_from_c(key)) : NULL;
    if (!at)
        at = check->at;
    CLEANUP(buf_deinit) Buf names = {0};
    buf_add_c(&names, "group ");
    buf_add_go_quoted(&names, check->group->name);
    buf_printf(&names, ", rule %zu, ", check->number);
    buf_add_go_quoted(&names, rule_spec_name(check->rule));
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(check->arena, fmt, args);
    va_end(args);
    add_error(check, arena_printf(check->arena, STR_FMT ":%d:%d: " STR_FMT ": " STR_FMT,
                                  STR_ARG(check->path), at->line, at->column,
                                  STR_ARG(buf_str(&names)), STR_ARG(what)));
}

static bool is_label_name(const Check *check, Str name)
{
    return check->options->legacy_names ? label_name_is_legacy(name) : name_is_utf8(name);
}

static bool is_metric_name(const Check *check, Str name)
{
    return check->options->legacy_names ? metric_name_is_legacy(name) : name_is_utf8(name);
}

static void check_group_labels(Check *check, const YamlNode *node)
{
    const ConfigStrMap *labels = &check->group->labels;
    const YamlNode *at = yaml_get(node, S("labels"));
    for (size_t i = 0; i < labels->count; i++)
        if (!is_label_name(check, labels->keys[i]) || str_equal(labels->keys[i], LABEL_METRIC_NAME))
            fail_group(check, at->keys[i], "group \"" STR_FMT "\": invalid label name: " STR_FMT,
                       STR_ARG(check->group->name), STR_ARG(labels->keys[i]));
}

static void check_name(Check *check)
{
    const RuleSpec *rule = check->rule;
    if (rule->record.len && rule->alert.len)
        fail_rule(check, "record", "only one of 'record' and 'alert' must be set");
    if (!rule->record.len && !rule->alert.len)
        fail_rule(check, NULL, "one of 'record' or 'alert' must be set");
}

static void check_expr(Check *check)
{
    Error err = {0};
    if (check->rule->expr.len == 0)
        fail_rule(check, "expr", "field 'expr' must be set in rule");
    else if (!promql_check(check->rule->expr, &check->options->features, &err))
        fail_rule(check, "expr", "could not parse expression: %s", err.text);
}

static void check_record(Check *check)
{
    const RuleSpec *rule = check->rule;
    if (rule->annotations.count)
        fail_rule(check, "annotations", "invalid field 'annotations' in recording rule");
    if (rule->for_ms)
        fail_rule(check, "for", "invalid field 'for' in recording rule");
    if (rule->keep_firing_for_ms)
        fail_rule(check, "keep_firing_for", "invalid field 'keep_firing_for' in recording rule");
    if (!is_metric_name(check, rule->record))
        fail_rule(check, "record", "invalid recording rule name: " STR_FMT, STR_ARG(rule->record));
    if (str_find_char(rule->record, '{') != STR_NOT_FOUND ||
        str_find_char(rule->record, '}') != STR_NOT_FOUND)
        fail_rule(check, "record",
                  "braces present in the recording rule name; should it be in expr?: " STR_FMT,
                  STR_ARG(rule->record));
}

static void check_template(Check *check, const char *key, const char *what, Str name, Str text)
{
    Error err = {0};
    CLEANUP(buf_deinit) Buf whole = {0};
    buf_add_c(&whole, TEMPLATE_ALERT_PREFIX);
    buf_add_str(&whole, text);
    Str title = arena_printf(check->arena, "__alert_" STR_FMT, STR_ARG(check->rule->alert));
    if (!check->parser)
        check->parser = template_set_new(&(TemplateOptions){.tables = template_prometheus_tables,
                                                            .missing_key = TEMPLATE_MISSING_ZERO});
    TemplateSet *child = template_set_new_child(check->parser);
    if (!template_set_parse(child, title, buf_str(&whole), &err))
        fail_rule(check, key, "%s \"" STR_FMT "\": %s", what, STR_ARG(name), err.text);
    template_set_free(child);
}

static void check_labels(Check *check)
{
    const RuleSpec *rule = check->rule;
    for (size_t i = 0; i < rule->labels.count; i++) {
        Str name = rule->labels.keys[i];
        if (!is_label_name(check, name) || str_equal(name, LABEL_METRIC_NAME))
            fail_rule(check, "labels", "invalid label name: " STR_FMT, STR_ARG(name));
        if (!str_is_utf8(rule->labels.values[i]))
            fail_rule(check, "labels", "invalid label value: " STR_FMT,
                      STR_ARG(rule->labels.values[i]));
        if (rule->alert.len)
            check_template(check, "labels", "label", name, rule->labels.values[i]);
    }
    for (size_t i = 0; i < rule->annotations.count; i++) {
        Str name = rule->annotations.keys[i];
        if (!is_label_name(check, name))
            fail_rule(check, "annotations", "invalid annotation name: " STR_FMT, STR_ARG(name));
        if (rule->alert.len)
            check_template(check, "annotations", "annotation", name, rule->annotations.values[i]);
    }
}

static void check_rule(Check *check)
{
    check_name(check);
    check_expr(check);
    if (check->rule->record.len)
        check_record(check);
    check_labels(check);
}

static void check_group(Check *check, const YamlNode *node, Map *names)
{
    const RuleGroupSpec *group = check->group;
    const YamlNode *name = yaml_get(node, S("name"));
    if (group->name.len == 0)
        fail_group(check, name ? name : node, "Groupname must not be empty");
    else if (map_put(names, group->name, check))
        fail_group(check, name, "groupname: \"" STR_FMT "\" is repeated in the same file",
                   STR_ARG(group->name));
    check_group_labels(check, node);
    const YamlNode *rules = yaml_get(node, S("rules"));
    for (size_t i = 0; i < group->rules.count; i++) {
        check->rule = (const RuleSpec *)group->rules.items + i;
        check->number = i + 1;
        check->at = rules->items[i];
        check_rule(check);
    }
}

static void check_groups(Check *check, const GroupsFile *file)
{
    Map names = {0};
    for (size_t i = 0; i < file->groups.count; i++) {
        check->group = (const RuleGroupSpec *)file->groups.items + i;
        check_group(check, check->groups->items[i], &names);
    }
    map_deinit(&names);
    template_set_free(check->parser);
}

bool rule_file_parse(Str text, Str path, const RuleFileOptions *options, Arena *arena,
                     RuleFile *ret_file, StrList *ret_errors)
{
    Error err = {0};
    YamlNode *root;
    GroupsFile groups;
    Check check = {.options = options, .arena = arena, .path = path};
    RuleFile file = {.path = path};
    ConfigReader reader = {
        .arena = arena, .file_name = path, .ignores_unknown = options->ignore_unknown_fields};
    if (!yaml_parse_first(text, path, arena, &root, &file.second_line, &err) ||
        !config_decode(&reader, &file_table, root, &groups, &err)) {
        add_error(&check, arena_str(arena, str_from_c(err.text)));
    } else {
        check.groups = yaml_get(root, S("groups"));
        check_groups(&check, &groups);
        file.groups = groups.groups;
    }
    if (check.errors.count) {
        *ret_errors = check.errors;
        return false;
    }
    *ret_file = file;
    return true;
}

bool rule_file_load(Str path, const RuleFileOptions *options, Arena *arena, RuleFile *ret_file,
                    StrList *ret_errors)
{
    Error err = {0};
    Str text;
    if (fs_read_file(&fs_system, path, arena, RULE_FILE_BYTES_MAX, &text, &err))
        return rule_file_parse(text, path, options, arena, ret_file, ret_errors);
    Str *items = ARENA_NEW(arena, Str);
    *items = arena_str(arena, str_from_c(err.text));
    *ret_errors = (StrList){items, 1};
    return false;
}

static int compare_pairs(const void *a, const void *b)
{
    return str_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

Labels rule_spec_labels(const RuleGroupSpec *group, const RuleSpec *rule, Arena *arena)
{
    Label *pairs = ARENA_ARRAY(arena, Label, group->labels.count + rule->labels.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < rule->labels.count; i++)
        pairs[count++] = (Label){rule->labels.keys[i], rule->labels.values[i]};
    for (size_t i = 0; i < group->labels.count; i++) {
        bool hidden = false;
        for (size_t k = 0; k < rule->labels.count && !hidden; k++)
            hidden = str_equal(rule->labels.keys[k], group->labels.keys[i]);
        if (!hidden)
            pairs[count++] = (Label){group->labels.keys[i], group->labels.values[i]};
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    return (Labels){pairs, count};
}
