// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_matcher.h"

#include <stdlib.h>

#include "alertmanager/am_matcher_lex.h"
#include "base/log.h"

bool am_matcher_init(Matcher *ret_matcher, MatchKind kind, Str name, Str value, Arena *arena,
                     Error *err)
{
    bool is_regex = kind == MATCH_REGEX || kind == MATCH_NOT_REGEX;
    // The house's regexes let a dot match a line break; these must not.
    if (!is_regex || str_find_char(value, '.') == STR_NOT_FOUND || str_is(value, ".*") ||
        str_is(value, ".+"))
        return matcher_init(ret_matcher, kind, name, value, arena, err);
    Str pattern = arena_printf(arena, "(?-s:" STR_FMT ")", STR_ARG(value));
    if (!matcher_init(ret_matcher, kind, name, pattern, arena, err))
        return false;
    ret_matcher->value = arena_str(arena, value);
    return true;
}

// Reading ----------------------------------------------------------------------------------------

typedef struct MatcherText {
    MatchKind kind;
    Str name, value;
} MatcherText;

typedef struct MatcherTexts {
    MatcherText *items;
    size_t count, cap;
} MatcherTexts;

static void add_text(MatcherTexts *texts, Arena *arena, MatcherText text)
{
    if (texts->count == texts->cap) {
        size_t cap = texts->cap ? texts->cap * 2 : 4;
        texts->items = arena_grow(arena, texts->items, texts->cap * sizeof *texts->items,
                                  cap * sizeof *texts->items);
        texts->cap = cap;
    }
    texts->items[texts->count++] = text;
}

typedef enum Grammar { GRAMMAR_CLASSIC, GRAMMAR_CLASSIC_ONE, GRAMMAR_UTF8 } Grammar;

static bool read_list(Str text, Grammar grammar, Arena *arena, MatcherTexts *ret_texts, Error *err)
{
    MatcherTexts texts = {0};
    AmMatcherLex lex = am_matcher_lex(text, grammar != GRAMMAR_UTF8, arena);
    lex.one = grammar == GRAMMAR_CLASSIC_ONE;
    MatcherText one;
    while (am_matcher_lex_next(&lex, &one.kind, &one.name, &one.value, err))
        add_text(&texts, arena, one);
    if (lex.failed)
        return false;
    *ret_texts = texts;
    return true;
}

static void print_texts(const MatcherTexts *texts, Buf *out)
{
    static const char *const operators[] = {"=", "!=", "=~", "!~"};
    for (size_t i = 0; i < texts->count; i++) {
        const MatcherText *t = &texts->items[i];
        buf_printf(out, "%s" STR_FMT "%s", i ? "," : "", STR_ARG(t->name), operators[t->kind]);
        buf_add_go_quoted(out, t->value);
    }
}

static bool are_same(const MatcherTexts *a, const MatcherTexts *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].kind == b->items[i].kind &&
               str_equal(a->items[i].name, b->items[i].name) &&
               str_equal(a->items[i].value, b->items[i].value);
    return same;
}

// What the next parser would read otherwise, or not at all: users of the fallback should know before it goes. `why` is NULL if both
// could read the text.
static void warn_of_reading(Str text, const MatcherTexts *classic, const Error *why)
{
    CLEANUP(buf_deinit) Buf suggestion = {0};
    print_texts(classic, &suggestion);
    Str input = str_sub(text, 0, 1000);
    if (why)
        log_warn("matchers are read by the classic parser, as the UTF-8 parser cannot",
                 KV("input", input), KV("err", why), KV("suggestion", buf_str(&suggestion)));
    else
        log_warn("Matchers input has disagreement: the classic parser's reading is taken",
                 KV("input", input), KV("suggestion", buf_str(&suggestion)));
}

// The reading that the mode asks for.
static bool read_texts(Str text, AmMatcherMode mode, Grammar classic, Arena *arena,
                       MatcherTexts *ret_texts, Error *err)
{
    if (mode == AM_MATCHER_CLASSIC)
        return read_list(text, classic, arena, ret_texts, err);
    if (mode == AM_MATCHER_UTF8)
        return read_list(text, GRAMMAR_UTF8, arena, ret_texts, err);
    Error why = {0};
    MatcherTexts modern;
    bool is_modern = read_list(text, GRAMMAR_UTF8, arena, &modern, &why);
    if (read_list(text, classic, arena, ret_texts, err)) {
        if (!is_modern || !are_same(ret_texts, &modern))
            warn_of_reading(text, ret_texts, is_modern ? NULL : &why);
        return true;
    }
    if (is_modern)
        *ret_texts = modern;
    return is_modern;
}

static bool compile(const MatcherTexts *texts, Arena *arena, AmMatchers *ret_matchers, Error *err)
{
    AmMatchers made = {arena_zalloc(arena, MAX(texts->count, 1u) * sizeof(Matcher)), 0};
    for (size_t i = 0; i < texts->count; i++) {
        const MatcherText *t = &texts->items[i];
        if (!am_matcher_init(&made.items[i], t->kind, t->name, t->value, arena, err)) {
            am_matchers_deinit(&made);
            return false;
        }
        made.count++;
    }
    *ret_matchers = made;
    return true;
}

bool am_matchers_parse(Str text, AmMatcherMode mode, Arena *arena, AmMatchers *ret_matchers,
                       Error *err)
{
    MatcherTexts texts;
    return read_texts(text, mode, GRAMMAR_CLASSIC, arena, &texts, err) &&
           compile(&texts, arena, ret_matchers, err);
}

bool am_matcher_parse(Str text, AmMatcherMode mode, Arena *arena, Matcher *ret_matcher, Error *err)
{
    MatcherTexts texts;
    AmMatchers made;
    if (mode != AM_MATCHER_CLASSIC &&
        (str_starts_with(text, S("{")) || str_ends_with(text, S("}"))))
        return error_set(err, ERR_INVALID, "unexpected open or close brace: " STR_FMT,
                         STR_ARG(str_sub(text, 0, 200)));
    if (!read_texts(text, mode, GRAMMAR_CLASSIC_ONE, arena, &texts, err))
        return false;
    if (texts.count == 0)
        return error_set(err, ERR_INVALID, "bad matcher format: ");
    if (texts.count > 1)
        return error_set(err, ERR_INVALID, "expected 1 matcher, found %zu", texts.count);
    if (!compile(&texts, arena, &made, err))
        return false;
    *ret_matcher = made.items[0];
    return true;
}

void am_matchers_deinit(AmMatchers *matchers)
{
    for (size_t i = 0; i < matchers->count; i++)
        matcher_deinit(&matchers->items[i]);
    matchers->count = 0;
}

// Use --------------------------------------------------------------------------------------------

static int compare(const void *x, const void *y)
{
    const Matcher *a = x;
    const Matcher *b = y;
    int c = str_compare(a->name, b->name);
    if (c == 0)
        c = str_compare(a->value, b->value);
    return c ? c : (int)a->kind - (int)b->kind;
}

void am_matchers_sort(AmMatchers *matchers)
{
    if (matchers->count > 1)
        qsort(matchers->items, matchers->count, sizeof *matchers->items, compare);
}

bool am_matchers_match(const AmMatchers *matchers, Labels labels)
{
    return matchers_match(matchers->items, matchers->count, labels);
}

bool am_matcher_equal(const Matcher *a, const Matcher *b)
{
    return compare(a, b) == 0;
}

static bool has_reserved(Str name)
{
    for (size_t at = 0, len; at < name.len; at += len) {
        uint32_t rune;
        len = str_rune(str_skip(name, at), &rune);
        if (am_matcher_lex_is_reserved(rune))
            return true;
    }
    return false;
}

static void add_escaped(Buf *buf, Str value)
{
    buf_add_char(buf, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\n')
            buf_add_c(buf, "\\n");
        else {
            if (c == '"' || c == '\\')
                buf_add_char(buf, '\\');
            buf_add_char(buf, c);
        }
    }
    buf_add_char(buf, '"');
}

void am_matcher_print(Buf *buf, const Matcher *matcher)
{
    static const char *const operators[] = {"=", "!=", "=~", "!~"};
    bool quoted = has_reserved(matcher->name);
    if (quoted)
        buf_add_go_quoted(buf, matcher->name);
    else
        buf_add_str(buf, matcher->name);
    buf_add_c(buf, operators[matcher->kind]);
    if (quoted)
        buf_add_go_quoted(buf, matcher->value);
    else
        add_escaped(buf, matcher->value);
}

void am_matchers_print(Buf *buf, const AmMatchers *matchers)
{
    buf_add_char(buf, '{');
    for (size_t i = 0; i < matchers->count; i++) {
        if (i)
            buf_add_char(buf, ',');
        am_matcher_print(buf, &matchers->items[i]);
    }
    buf_add_char(buf, '}');
}
