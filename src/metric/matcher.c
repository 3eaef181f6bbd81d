// SPDX-License-Identifier: Apache-2.0
#include "metric/matcher.h"

#include <stdlib.h>

#include "base/regex_cache.h"

#define LITERALS_MAX 256      // larger sets go to the automaton
#define LITERALS_LINEAR_MAX 8 // smaller sets are walked, larger ones searched
#define WITHIN_MAX 8          // so many literals are looked for one by one

static int compare_literals(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// True if the byte stands for itself in a pattern.
static bool is_plain(char c)
{
    return !memchr("\\.+*?()|[]{}^$", c, 14);
}

// `literal.*` and `literal.+`, the literal maybe empty.
static bool find_shortcut(Str pattern, Str *ret_prefix, MatchShortcut *ret_shortcut)
{
    if (pattern.len < 2 || pattern.ptr[pattern.len - 2] != '.')
        return false;

    char last = pattern.ptr[pattern.len - 1];
    Str prefix = str_sub(pattern, 0, pattern.len - 2);
    if (last != '*' && last != '+')
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (!is_plain(prefix.ptr[i]))
            return false;

    *ret_prefix = prefix;
    *ret_shortcut = last == '*' ? MATCH_SHORTCUT_ANY : MATCH_SHORTCUT_SOME;
    return true;
}

// a|b binds weaker than what stands before and behind it. In a class, too, brackets would be miscounted: that is not told apart.
static bool may_alternate(Str pattern)
{
    int depth = 0;

    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '\\')
            i++;
        else if (c == '(')
            depth++;
        else if (c == ')')
            depth--;
        else if (c == '[' || (c == '|' && depth == 0))
            return true;
    }
    return false;
}

// `.*literals.*`
static bool find_within(Matcher *matcher, Arena *arena)
{
    Str pattern = matcher->value;

    if (pattern.len < 5 || !str_starts_with(pattern, S(".*")) || !str_ends_with(pattern, S(".*")))
        return false;
    Str middle = str_sub(pattern, 2, pattern.len - 4);
    if (may_alternate(middle) ||
        !regex_literals(middle, arena, WITHIN_MAX, &matcher->within, &matcher->within_count))
        return false;
    matcher->shortcut = MATCH_SHORTCUT_WITHIN;
    return true;
}

static bool compile(Matcher *matcher, Arena *arena, Error *err)
{
    if (matcher->value.len > REGEX_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "regular expression is longer than %d bytes",
                         REGEX_BYTES_MAX);
    if (!str_is_utf8(matcher->value))
        return error_set(err, ERR_INVALID, "regular expression is not valid UTF-8");
    if (find_shortcut(matcher->value, &matcher->prefix, &matcher->shortcut) ||
        find_within(matcher, arena))
        return true;

    if (regex_literals(matcher->value, arena, LITERALS_MAX, &matcher->literals,
                       &matcher->literal_count)) {
        if (matcher->literal_count > 1)
            qsort(matcher->literals, matcher->literal_count, sizeof(Str), compare_literals);
        return true;
    }
    matcher->literals = NULL;
    matcher->literal_count = 0;
    if (!regex_cache_take(matcher->value, &matcher->regex, err))
        return false;
    matcher->prefix = regex_prefix(matcher->value, arena);
    return true;
}

bool matcher_init(Matcher *ret_matcher, MatchKind kind, Str name, Str value, Arena *arena,
                  Error *err)
{
    Matcher matcher = {.kind = kind};

    matcher.name = arena_str(arena, name);
    matcher.value = arena_str(arena, value);
    if (kind == MATCH_REGEX || kind == MATCH_NOT_REGEX)
        if (!compile(&matcher, arena, err))
            return false;

    matcher.matches_empty = matcher_matches(&matcher, STR_NONE);
    *ret_matcher = matcher;
    return true;
}

void matcher_deinit(Matcher *matcher)
{
    if (!matcher)
        return;
    regex_cache_give(matcher->regex);
    matcher->regex = NULL;
}

static bool in_literals(const Matcher *matcher, Str value)
{
    size_t low = 0;
    size_t high = matcher->literal_count;

    if (high <= LITERALS_LINEAR_MAX) {
        for (size_t i = 0; i < high; i++)
            if (str_equal(matcher->literals[i], value))
                return true;
        return false;
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_compare(matcher->literals[mid], value);
        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static bool holds_any(Str value, const Str *literals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!literals[i].len ||
            (value.len && memmem(value.ptr, value.len, literals[i].ptr, literals[i].len)))
            return true;
    return false;
}

static bool pattern_matches(const Matcher *matcher, Str value)
{
    if (!matcher->shortcut && !matcher->regex)
        return in_literals(matcher, value);
    if (!str_starts_with(value, matcher->prefix))
        return false;
    if (matcher->shortcut == MATCH_SHORTCUT_WITHIN)
        return holds_any(value, matcher->within, matcher->within_count);
    if (matcher->shortcut)
        return matcher->shortcut == MATCH_SHORTCUT_ANY || value.len > matcher->prefix.len;
    return regex_match(matcher->regex, value);
}

bool matcher_matches(const Matcher *matcher, Str value)
{
    switch (matcher->kind) {
    case MATCH_EQUAL:
        return str_equal(matcher->value, value);
    case MATCH_NOT_EQUAL:
        return !str_equal(matcher->value, value);
    case MATCH_REGEX:
        return pattern_matches(matcher, value);
    case MATCH_NOT_REGEX:
        return !pattern_matches(matcher, value);
    }
    return false;
}

bool matchers_match(const Matcher *matchers, size_t count, Labels labels)
{
    for (size_t i = 0; i < count; i++)
        if (!matcher_matches(&matchers[i], labels_get(labels, matchers[i].name)))
            return false;

    return true;
}

void matcher_print(Buf *buf, const Matcher *matcher)
{
    static const char *const signs[] = {"=", "!=", "=~", "!~"};

    if (label_name_is_legacy(matcher->name))
        buf_add_str(buf, matcher->name);
    else
        buf_add_go_quoted(buf, matcher->name);
    buf_add_c(buf, signs[matcher->kind]);
    buf_add_go_quoted(buf, matcher->value);
}
