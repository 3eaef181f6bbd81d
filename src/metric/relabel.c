// SPDX-License-Identifier: Apache-2.0
#include "metric/relabel.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "base/number.h"
#include "metric/md5.h"

static const Str action_names[] = {
    [RELABEL_REPLACE] = STR("replace"),     [RELABEL_KEEP] = STR("keep"),
    [RELABEL_DROP] = STR("drop"),           [RELABEL_KEEPEQUAL] = STR("keepequal"),
    [RELABEL_DROPEQUAL] = STR("dropequal"), [RELABEL_HASHMOD] = STR("hashmod"),
    [RELABEL_LABELMAP] = STR("labelmap"),   [RELABEL_LABELDROP] = STR("labeldrop"),
    [RELABEL_LABELKEEP] = STR("labelkeep"), [RELABEL_LOWERCASE] = STR("lowercase"),
    [RELABEL_UPPERCASE] = STR("uppercase"),
};

void relabel_rule_init(RelabelRule *rule)
{
    *rule = (RelabelRule){.separator = RELABEL_SEPARATOR,
                          .regex_text = RELABEL_REGEX,
                          .replacement = RELABEL_REPLACEMENT,
                          .action = RELABEL_REPLACE,
                          .utf8_names = true};
}

Str relabel_action_name(RelabelAction action)
{
    return action_names[action];
}

bool relabel_action_parse(Str name, RelabelAction *ret_action)
{
    for (size_t i = 0; i < COUNT_OF(action_names); i++) {
        if (str_equal_nocase(action_names[i], name)) {
            *ret_action = (RelabelAction)i;
            return true;
        }
    }
    return false;
}

// ---- checks

static bool has_variable(Str text)
{
    return str_find_char(text, '$') != STR_NOT_FOUND;
}

static bool label_name_is_valid(const RelabelRule *rule, Str name)
{
    return rule->utf8_names ? name_is_utf8(name) : label_name_is_legacy(name);
}

static bool is_word(char c)
{
    return label_name_is_legacy((Str){&c, 1}) || (c >= '0' && c <= '9');
}

// Length of $name, ${name}, $1, ${1} at the front, or 0.
static size_t variable_len(Str text)
{
    if (text.len < 2 || text.ptr[0] != '$')
        return 0;

    bool braces = text.ptr[1] == '{';
    size_t begin = braces ? 2 : 1;
    size_t at = begin;
    while (at < text.len && is_word(text.ptr[at]))
        at++;
    if (at == begin)
        return 0;
    if (!braces)
        return at;
    return at < text.len && text.ptr[at] == '}' ? at + 1 : 0;
}

// A legacy label name in which any part may come from a variable: ^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$
static bool is_legacy_template(Str text)
{
    if (text.len == 0 || (text.ptr[0] >= '0' && text.ptr[0] <= '9'))
        return false;

    while (text.len > 0) {
        size_t len = variable_len(text);
        if (len == 0) {
            if (!is_word(text.ptr[0]))
                return false;
            len = 1;
        }
        text = str_skip(text, len);
    }
    return true;
}

static bool template_is_valid(const RelabelRule *rule, Str text)
{
    return rule->utf8_names ? name_is_utf8(text) : is_legacy_template(text);
}

static bool is_one_of(RelabelAction action, const RelabelAction *actions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (actions[i] == action)
            return true;

    return false;
}

static bool check_target(const RelabelRule *rule, Error *err)
{
    static const RelabelAction with_target[] = {RELABEL_REPLACE,   RELABEL_HASHMOD,
                                                RELABEL_LOWERCASE, RELABEL_UPPERCASE,
                                                RELABEL_KEEPEQUAL, RELABEL_DROPEQUAL};
    Str action = relabel_action_name(rule->action);
    bool valid;

    if (!is_one_of(rule->action, with_target, COUNT_OF(with_target)))
        return true;
    if (rule->target_label.len == 0)
        return error_set(err, ERR_INVALID,
                         "relabel configuration for " STR_FMT
                         " action requires 'target_label' value",
                         STR_ARG(action));

    if (rule->action == RELABEL_REPLACE && has_variable(rule->target_label))
        valid = template_is_valid(rule, rule->target_label);
    else
        valid = label_name_is_valid(rule, rule->target_label);
    if (!valid)
        return error_set(err, ERR_INVALID,
                         "\"" STR_FMT "\" is invalid 'target_label' for " STR_FMT " action",
                         STR_ARG(rule->target_label), STR_ARG(action));
    return true;
}

static bool check_replacement(const RelabelRule *rule, Error *err)
{
    static const RelabelAction without[] = {RELABEL_LOWERCASE, RELABEL_UPPERCASE, RELABEL_KEEPEQUAL,
                                            RELABEL_DROPEQUAL};
    Str action = relabel_action_name(rule->action);

    if (is_one_of(rule->action, without, COUNT_OF(without)) &&
        !str_equal(rule->replacement, RELABEL_REPLACEMENT))
        return error_set(err, ERR_INVALID, "'replacement' can not be set for " STR_FMT " action",
                         STR_ARG(action));
    if (rule->action == RELABEL_LABELMAP && !template_is_valid(rule, rule->replacement))
        return error_set(err, ERR_INVALID,
                         "\"" STR_FMT "\" is invalid 'replacement' for " STR_FMT " action",
                         STR_ARG(rule->replacement), STR_ARG(action));
    return true;
}

static bool check_others(const RelabelRule *rule, Error *err)
{
    Str action = relabel_action_name(rule->action);
    bool plain = rule->modulus == 0 && str_equal(rule->separator, RELABEL_SEPARATOR) &&
                 str_equal(rule->replacement, RELABEL_REPLACEMENT);

    if ((rule->action == RELABEL_KEEPEQUAL || rule->action == RELABEL_DROPEQUAL) &&
        !(plain && str_equal(rule->regex_text, RELABEL_REGEX)))
        return error_set(err, ERR_INVALID,
                         STR_FMT " action requires only 'source_labels' and `target_label`, and "
                                 "no other fields",
                         STR_ARG(action));
    if ((rule->action == RELABEL_LABELDROP || rule->action == RELABEL_LABELKEEP) &&
        !(plain && rule->source_label_count == 0 && rule->target_label.len == 0))
        return error_set(err, ERR_INVALID,
                         STR_FMT " action requires only 'regex', and no other fields",
                         STR_ARG(action));
    return true;
}

static bool check_source_labels(const RelabelRule *rule, Error *err)
{
    for (size_t i = 0; i < rule->source_label_count; i++)
        if (!label_name_is_valid(rule, rule->source_labels[i]))
            return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is not a valid label name",
                             STR_ARG(rule->source_labels[i]));

    return true;
}

bool relabel_rule_set_names(RelabelRule *rule, bool utf8_names, Error *err)
{
    RelabelRule checked = *rule;

    checked.utf8_names = utf8_names;
    if (rule->action == RELABEL_HASHMOD && rule->modulus == 0)
        return error_set(err, ERR_INVALID,
                         "relabel configuration for hashmod requires non-zero modulus");
    if (!check_source_labels(&checked, err) || !check_target(&checked, err) ||
        !check_replacement(&checked, err) || !check_others(&checked, err))
        return false;

    rule->utf8_names = utf8_names;
    return true;
}

bool relabel_rule_finish(RelabelRule *rule, bool utf8_names, Error *err)
{
    if (!relabel_rule_set_names(rule, utf8_names, err))
        return false;
    if (rule->regex_text.len > REGEX_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "regex is longer than %d bytes", REGEX_BYTES_MAX);

    return regex_new(rule->regex_text, &rule->regex, err);
}

void relabel_rule_deinit(RelabelRule *rule)
{
    if (!rule)
        return;
    regex_free(rule->regex);
    rule->regex = NULL;
}

// ---- actions

// The default pattern takes every text: no automaton for it.
static bool takes_all(const RelabelRule *rule)
{
    return str_equal(rule->regex_text, RELABEL_REGEX);
}

static bool matches(const RelabelRule *rule, Str text)
{
    return takes_all(rule) || regex_match(rule->regex, text);
}

// The source labels' values with the separator between them.
static Str join_sources(const RelabelRule *rule, const LabelsBuilder *builder)
{
    if (rule->source_label_count == 0)
        return STR_NONE;
    if (rule->source_label_count == 1)
        return labels_builder_get(builder, rule->source_labels[0]);

    size_t bytes = (rule->source_label_count - 1) * rule->separator.len;
    for (size_t i = 0; i < rule->source_label_count; i++)
        bytes += labels_builder_get(builder, rule->source_labels[i]).len;

    char *joined = arena_alloc_aligned(builder->arena, bytes, 1);
    char *at = joined;
    for (size_t i = 0; i < rule->source_label_count; i++) {
        Str value = labels_builder_get(builder, rule->source_labels[i]);
        if (i > 0 && rule->separator.len) {
            memcpy(at, rule->separator.ptr, rule->separator.len);
            at += rule->separator.len;
        }
        if (value.len) {
            memcpy(at, value.ptr, value.len);
            at += value.len;
        }
    }
    return str_make(joined, bytes);
}

// The text with the variables filled in from the match of `value`, which does match.
static Str expand(const RelabelRule *rule, Str value, Str text, Arena *arena)
{
    Str expanded = STR_NONE;

    if (!has_variable(text))
        return text;
    if (takes_all(rule) && str_equal(text, RELABEL_REPLACEMENT))
        return value;
    return regex_expand(rule->regex, value, text, arena, &expanded) ? expanded : STR_NONE;
}

static void replace(const RelabelRule *rule, Str value, LabelsBuilder *builder)
{
    if (!matches(rule, value))
        return;

    Str target = expand(rule, value, rule->target_label, builder->arena);
    if (label_name_is_valid(rule, target))
        labels_builder_set(builder, target, expand(rule, value, rule->replacement, builder->arena));
}

static void hashmod(const RelabelRule *rule, Str value, LabelsBuilder *builder)
{
    uint8_t digest[16];
    uint64_t number = 0;

    md5(value, digest);
    for (int i = 8; i < 16; i++)
        number = number << 8 | digest[i];
    labels_builder_set(
        builder, rule->target_label,
        arena_printf(builder->arena, "%llu", (unsigned long long)(number % rule->modulus)));
}

// Copies under new names; the labels as they were decide, not those just added.
static void labelmap(const RelabelRule *rule, LabelsBuilder *builder)
{
    size_t count = builder->count;
    Label *before = ARENA_ARRAY(builder->arena, Label, count);

    if (count)
        memcpy(before, builder->pairs, count * sizeof(Label));
    for (size_t i = 0; i < count; i++)
        if (matches(rule, before[i].name))
            labels_builder_set(builder,
                               expand(rule, before[i].name, rule->replacement, builder->arena),
                               before[i].value);
}

static void remove_labels(const RelabelRule *rule, LabelsBuilder *builder, bool those_that_match)
{
    size_t kept = 0;

    for (size_t i = 0; i < builder->count; i++)
        if (matches(rule, builder->pairs[i].name) != those_that_match)
            builder->pairs[kept++] = builder->pairs[i];
    builder->count = kept;
}

// ---- letters

static locale_t utf8_locale;

static void make_utf8_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t rune_map(uint32_t rune, bool to_upper)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (rune < 0x80) {
        char first = to_upper ? 'a' : 'A';
        return rune - (uint32_t)first < 26 ? rune ^ 0x20 : rune;
    }
    pthread_once(&once, make_utf8_locale);
    if (!utf8_locale)
        return (uint32_t)(to_upper ? towupper((wint_t)rune) : towlower((wint_t)rune));
    return (uint32_t)(to_upper ? towupper_l((wint_t)rune, utf8_locale)
                               : towlower_l((wint_t)rune, utf8_locale));
}

// Rune by rune, as Go's strings.ToLower and ToUpper: a byte that is no UTF-8 becomes U+FFFD.
static Str map_case(Arena *arena, Str text, bool to_upper)
{
    char *mapped = arena_alloc_aligned(arena, text.len * 4, 1);
    char *at = mapped;

    while (text.len > 0) {
        uint32_t rune;
        size_t len = str_rune(text, &rune);
        at += str_put_rune(at, rune_map(rune, to_upper));
        text = str_skip(text, len);
    }
    return str_make(mapped, (size_t)(at - mapped));
}

static bool apply_rule(const RelabelRule *rule, LabelsBuilder *builder)
{
    Str value = join_sources(rule, builder);

    switch (rule->action) {
    case RELABEL_REPLACE:
        replace(rule, value, builder);
        return true;
    case RELABEL_KEEP:
        return matches(rule, value);
    case RELABEL_DROP:
        return !matches(rule, value);
    case RELABEL_KEEPEQUAL:
        return str_equal(labels_builder_get(builder, rule->target_label), value);
    case RELABEL_DROPEQUAL:
        return !str_equal(labels_builder_get(builder, rule->target_label), value);
    case RELABEL_HASHMOD:
        hashmod(rule, value, builder);
        return true;
    case RELABEL_LABELMAP:
        labelmap(rule, builder);
        return true;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        remove_labels(rule, builder, rule->action == RELABEL_LABELDROP);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        labels_builder_set(builder, rule->target_label,
                           map_case(builder->arena, value, rule->action == RELABEL_UPPERCASE));
        return true;
    }
    return true;
}

bool relabel_apply(const RelabelRule *rules, size_t count, LabelsBuilder *builder)
{
    for (size_t i = 0; i < count; i++)
        if (!apply_rule(&rules[i], builder))
            return false;

    return true;
}
