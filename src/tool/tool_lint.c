// SPDX-License-Identifier: Apache-2.0
// Facts: client_golang prometheus/testutil/promlint.
#include "tool/tool_lint.h"

#include <stdlib.h>

// Words of names that are units, and what to use instead; those that are base units name themselves.
static const struct {
    Str unit;
    Str base;
} units[] = {
    {STR("amperes"), STR("amperes")}, {STR("bytes"), STR("bytes")},
    {STR("celsius"), STR("celsius")}, {STR("grams"), STR("grams")},
    {STR("joules"), STR("joules")},   {STR("kelvin"), STR("kelvin")},
    {STR("meters"), STR("meters")},   {STR("metres"), STR("metres")},
    {STR("seconds"), STR("seconds")}, {STR("volts"), STR("volts")},
    {STR("minutes"), STR("seconds")}, {STR("hours"), STR("seconds")},
    {STR("days"), STR("seconds")},    {STR("weeks"), STR("seconds")},
    {STR("kelvins"), STR("kelvin")},  {STR("fahrenheit"), STR("celsius")},
    {STR("rankine"), STR("celsius")}, {STR("inches"), STR("meters")},
    {STR("yards"), STR("meters")},    {STR("miles"), STR("meters")},
    {STR("bits"), STR("bytes")},      {STR("calories"), STR("joules")},
    {STR("pounds"), STR("grams")},    {STR("ounces"), STR("grams")},
};

// As the original has them ("mibi" and "gibi").
static const Str unit_prefixes[] = {
    STR("pico"), STR("nano"),  STR("micro"), STR("milli"), STR("centi"), STR("deci"),
    STR("deca"), STR("hecto"), STR("kilo"),  STR("kibi"),  STR("mega"),  STR("mibi"),
    STR("giga"), STR("gibi"),  STR("tera"),  STR("tebi"),  STR("peta"),  STR("pebi"),
};

static const Str abbreviations[] = {
    STR("s"),  STR("ms"), STR("us"), STR("ns"), STR("sec"), STR("b"), STR("kb"),
    STR("mb"), STR("gb"), STR("tb"), STR("pb"), STR("m"),   STR("h"), STR("d"),
};

typedef struct Lint {
    Arena *arena;
    const PageFamily *family;
    Str lower_name;
    LintProblem *items;
    size_t count;
} Lint;

static void add_problem(Lint *lint, Str text)
{
    if ((lint->count & (lint->count - 1)) == 0)
        lint->items = arena_grow(lint->arena, lint->items, lint->count * sizeof *lint->items,
                                 MAX(lint->count * 2, (size_t)1) * sizeof *lint->items);
    lint->items[lint->count++] = (LintProblem){lint->family->name, text};
}

static bool is_camel_case(Str name)
{
    for (size_t i = 1; i < name.len; i++)
        if (name.ptr[i - 1] >= 'a' && name.ptr[i - 1] <= 'z' && name.ptr[i] >= 'A' &&
            name.ptr[i] <= 'Z')
            return true;
    return false;
}

// "_word_" or "_word" at the end.
static bool has_word(Str name, Str word)
{
    for (size_t i = 0; i + word.len < name.len; i++) {
        size_t behind = i + 1 + word.len;
        if (name.ptr[i] == '_' && str_equal(str_sub(name, i + 1, word.len), word) &&
            (behind == name.len || name.ptr[behind] == '_'))
            return true;
    }
    return false;
}

// One rule each -----------------------------------------------------------------------------------------------------------------------

static void lint_help(Lint *lint)
{
    if (!lint->family->has_help)
        add_problem(lint, S("no help text"));
}

static bool find_unit(Str word, Str *ret_base)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_equal(word, units[i].unit)) {
            *ret_base = units[i].base;
            return true;
        }
    return false;
}

static void lint_units(Lint *lint)
{
    Str rest = lint->family->name;
    Str word;
    while (str_split_next(&rest, '_', &word)) {
        Str base;
        bool found = find_unit(word, &base);
        for (size_t i = 0; i < COUNT_OF(unit_prefixes) && !found; i++)
            found = str_starts_with(word, unit_prefixes[i]) &&
                    find_unit(str_skip(word, unit_prefixes[i].len), &base);
        if (!found)
            continue;
        if (!str_equal(word, base))
            add_problem(lint,
                        arena_printf(lint->arena,
                                     "use base unit \"" STR_FMT "\" instead of \"" STR_FMT "\"",
                                     STR_ARG(base), STR_ARG(word)));
        return;
    }
}

static void lint_counter(Lint *lint)
{
    PageType type = lint->family->type;
    bool is_total = str_ends_with(lint->family->name, S("_total"));
    if (type == PAGE_COUNTER && !is_total)
        add_problem(lint, S("counter metrics should have \"_total\" suffix"));
    else if (type != PAGE_COUNTER && type != PAGE_UNTYPED && is_total)
        add_problem(lint, S("non-counter metrics should not have \"_total\" suffix"));
}

static void lint_reserved(Lint *lint)
{
    const PageFamily *family = lint->family;
    bool is_histogram = family->type == PAGE_HISTOGRAM;
    bool is_summary = family->type == PAGE_SUMMARY;
    if (family->type == PAGE_UNTYPED)
        return;
    if (!is_histogram && str_ends_with(family->name, S("_bucket")))
        add_problem(lint, S("non-histogram metrics should not have \"_bucket\" suffix"));
    if (!is_histogram && !is_summary && str_ends_with(family->name, S("_count")))
        add_problem(lint,
                    S("non-histogram and non-summary metrics should not have \"_count\" suffix"));
    if (!is_histogram && !is_summary && str_ends_with(family->name, S("_sum")))
        add_problem(lint,
                    S("non-histogram and non-summary metrics should not have \"_sum\" suffix"));
    for (size_t m = 0; m < family->metric_count; m++)
        for (size_t i = 0; i < family->metrics[m].label_count; i++) {
            Str name = family->metrics[m].labels[i].name;
            if (!is_histogram && str_is(name, "le"))
                add_problem(lint, S("non-histogram metrics should not have \"le\" label"));
            if (!is_summary && str_is(name, "quantile"))
                add_problem(lint, S("non-summary metrics should not have \"quantile\" label"));
        }
}

static void lint_type_in_name(Lint *lint)
{
    const char *type = page_type_name(lint->family->type);
    if (lint->family->type != PAGE_UNTYPED && has_word(lint->lower_name, str_from_c(type)))
        add_problem(lint,
                    arena_printf(lint->arena, "metric name should not include type '%s'", type));
}

static void lint_colons(Lint *lint)
{
    if (str_find_char(lint->family->name, ':') != STR_NOT_FOUND)
        add_problem(lint, S("metric names should not contain ':'"));
}

static void lint_camel_case(Lint *lint)
{
    const PageFamily *family = lint->family;
    if (is_camel_case(family->name))
        add_problem(lint, S("metric names should be written in 'snake_case' not 'camelCase'"));
    for (size_t m = 0; m < family->metric_count; m++)
        for (size_t i = 0; i < family->metrics[m].label_count; i++)
            if (is_camel_case(family->metrics[m].labels[i].name))
                add_problem(lint,
                            S("label names should be written in 'snake_case' not 'camelCase'"));
}

static void lint_abbreviations(Lint *lint)
{
    for (size_t i = 0; i < COUNT_OF(abbreviations); i++)
        if (has_word(lint->lower_name, abbreviations[i]))
            add_problem(lint, S("metric names should not contain abbreviated units"));
}

typedef struct Fingerprint {
    uint64_t hash; // of the labels as they stand
    size_t index;
} Fingerprint;

static int compare_fingerprints(const void *a, const void *b)
{
    const Fingerprint *one = a;
    const Fingerprint *other = b;
    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

static uint64_t hash_labels(const PageMetric *metric)
{
    uint64_t hash = metric->label_count;
    for (size_t i = 0; i < metric->label_count; i++) {
        hash = hash * 0x9e3779b97f4a7c15ULL + str_hash(metric->labels[i].name);
        hash = hash * 0x9e3779b97f4a7c15ULL + str_hash(metric->labels[i].value);
    }
    return hash;
}

static bool same_labels(const PageMetric *a, const PageMetric *b)
{
    if (a->label_count != b->label_count)
        return false;
    for (size_t i = 0; i < a->label_count; i++)
        if (!str_equal(a->labels[i].name, b->labels[i].name) ||
            !str_equal(a->labels[i].value, b->labels[i].value))
            return false;
    return true;
}

// Labels are compared as they stand: another order is another metric to the original, too.
static void lint_duplicates(Lint *lint)
{
    const PageFamily *family = lint->family;
    CLEANUP(arena_deinit) Arena arena = {0};
    Fingerprint *all = ARENA_ARRAY(&arena, Fingerprint, family->metric_count);
    for (size_t i = 0; i < family->metric_count; i++)
        all[i] = (Fingerprint){hash_labels(&family->metrics[i]), i};
    qsort(all, family->metric_count, sizeof *all, compare_fingerprints);
    for (size_t i = 1; i < family->metric_count; i++)
        for (size_t k = i; k-- > 0 && all[k].hash == all[i].hash;)
            if (same_labels(&family->metrics[all[k].index], &family->metrics[all[i].index])) {
                add_problem(lint, S("metric not unique"));
                break;
            }
}

static int compare_problems(const void *a, const void *b)
{
    const LintProblem *one = a;
    const LintProblem *other = b;
    int order = str_compare(one->metric, other->metric);
    return order ? order : str_compare(one->text, other->text);
}

void lint_page(const Page *page, Arena *arena, LintProblems *ret_problems)
{
    static void (*const rules[])(Lint *) = {
        lint_help,   lint_units,      lint_counter,       lint_reserved,   lint_type_in_name,
        lint_colons, lint_camel_case, lint_abbreviations, lint_duplicates,
    };
    Lint lint = {.arena = arena};
    for (size_t f = 0; f < page->count; f++) {
        lint.family = page->items[f];
        char *lower = str_to_c(arena, lint.family->name);
        for (size_t i = 0; i < lint.family->name.len; i++)
            if (lower[i] >= 'A' && lower[i] <= 'Z')
                lower[i] = (char)(lower[i] | 0x20);
        lint.lower_name = str_make(lower, lint.family->name.len);
        for (size_t i = 0; i < COUNT_OF(rules); i++)
            rules[i](&lint);
    }
    if (lint.count)
        qsort(lint.items, lint.count, sizeof *lint.items, compare_problems);
    *ret_problems = (LintProblems){lint.items, lint.count};
}
