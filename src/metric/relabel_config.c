// SPDX-License-Identifier: Apache-2.0
#include "metric/relabel_config.h"

// source_labels and source_label_count are read as one ConfigStrList.
_Static_assert(offsetof(RelabelRule, source_label_count) - offsetof(RelabelRule, source_labels) ==
                   offsetof(ConfigStrList, count),
               "a list of names is an array and its length");
_Static_assert(offsetof(ConfigStrList, items) == 0, "the array comes first");

static bool decode_action(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    if (node->kind != YAML_SCALAR)
        return config_error(reader, node, err, "action: want the name of a relabel action");
    if (!relabel_action_parse(node->scalar, member))
        return config_error(reader, node, err, "action: unknown relabel action \"" STR_FMT "\"",
                            STR_ARG(node->scalar));
    return true;
}

static void print_action(Buf *buf, int indent, const char *key, const void *member)
{
    Str name = relabel_action_name(*(const RelabelAction *)member);

    buf_printf(buf, "%*s%s: " STR_FMT "\n", indent, "", key, STR_ARG(name));
}

// A null is the empty pattern, not the default.
static bool decode_regex(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    if (node->kind == YAML_NULL) {
        *(Str *)member = STR_NONE;
        return true;
    }
    if (node->kind != YAML_SCALAR)
        return config_error(reader, node, err, "regex: want a string");

    // The rule compiles it for itself; here a mistake still has its own place.
    Regex *probe;
    Error cause = {0};
    if (!regex_new(node->scalar, &probe, &cause))
        return config_error(reader, node, err, "regex: %s", cause.text);
    regex_free(probe);
    *(Str *)member = arena_str(reader->arena, node->scalar);
    return true;
}

static void print_regex(Buf *buf, int indent, const char *key, const void *member)
{
    Str text = *(const Str *)member;

    if (str_equal(text, RELABEL_REGEX))
        return;
    buf_printf(buf, "%*s%s: ", indent, "", key);
    if (text.len)
        yaml_write_scalar(buf, text);
    else
        buf_add_c(buf, "null");
    buf_add_char(buf, '\n');
}

// clang-format 14 crashes on rows of unequal length.
// clang-format off
static const ConfigField fields[] = {
    {.key = "source_labels",
     .kind = CONFIG_STR_LIST,
     .offset = offsetof(RelabelRule, source_labels),
     .flow = true,
     .help = "labels whose values are joined to the text that the rule looks at"},
    {.key = "separator",
     .kind = CONFIG_STR,
     .offset = offsetof(RelabelRule, separator),
     .default_text = ";",
     .always_print = true,
     .help = "stands between the joined values"},
    {.key = "regex",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(RelabelRule, regex_text),
     .default_text = "(.*)",
     .decode = decode_regex,
     .print = print_regex,
     .help = "RE2 pattern, anchored at both ends"},
    {.key = "modulus",
     .kind = CONFIG_U64,
     .offset = offsetof(RelabelRule, modulus),
     .help = "of action hashmod"},
    {.key = "target_label",
     .kind = CONFIG_STR,
     .offset = offsetof(RelabelRule, target_label),
     .help = "the label that is written or compared; may hold variables in action replace"},
    {.key = "replacement",
     .kind = CONFIG_STR,
     .offset = offsetof(RelabelRule, replacement),
     .default_text = "$1",
     .always_print = true,
     .help = "the new value, with $1 and ${name} from the match"},
    {.key = "action",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(RelabelRule, action),
     .default_text = "replace",
     .always_print = true,
     .decode = decode_action,
     .print = print_action,
     .help = "what the rule does, as replace, keep, drop or hashmod"},
};
// clang-format on

static void release_regex(void *regex)
{
    regex_free(regex);
}

static bool finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    RelabelRule *rule = object;
    Error cause = {0};

    if (!relabel_rule_finish(rule, true, &cause))
        return config_error(reader, node, err, "%s", cause.text);

    config_on_release(reader, release_regex, rule->regex);
    return true;
}

const ConfigTable relabel_rule_table = CONFIG_TABLE(RelabelRule, "relabel_config", fields, finish);
