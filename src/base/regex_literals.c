// SPDX-License-Identifier: Apache-2.0
// Reads just enough of a pattern to see that it is a set of literals, or which literal it begins with: what users write as
// (a|b|c), prod-(eu|us)-[12] or api-.*. Everything else is left to RE2. The grammar read here:
//
//     alternation = concat { "|" concat }      atom = rune | "\" punctuation | "[" runes and ranges "]"
//     concat      = { atom ["?"] }                  | "(" alternation ")" | "(?:" alternation ")"
#include "base/regex.h"

#define NESTING_MAX 20

typedef struct LiteralSet {
    Str *items;
    size_t count;
} LiteralSet;

typedef struct LiteralReader {
    Str rest;
    Arena *arena;
    size_t max;
    int depth;
} LiteralReader;

static bool is_meta(char c)
{
    return strchr("\\.+*?()|[]{}^$", c) != NULL && c != '\0';
}

static bool is_punctuation(char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

static char peek(const LiteralReader *r)
{
    return r->rest.len ? r->rest.ptr[0] : '\0';
}

static LiteralSet set_one(LiteralReader *r, Str s)
{
    LiteralSet set = {ARENA_ARRAY(r->arena, Str, 1), 1};
    set.items[0] = s;
    return set;
}

static bool set_union(LiteralReader *r, LiteralSet *set, LiteralSet more)
{
    if (set->count + more.count > r->max)
        return false;
    Str *items = ARENA_ARRAY(r->arena, Str, set->count + more.count);
    if (set->count)
        memcpy(items, set->items, set->count * sizeof *items);
    memcpy(items + set->count, more.items, more.count * sizeof *items);
    set->items = items;
    set->count += more.count;
    return true;
}

static bool set_product(LiteralReader *r, LiteralSet *set, LiteralSet tail)
{
    if (set->count * tail.count > r->max)
        return false;
    Str *items = ARENA_ARRAY(r->arena, Str, set->count * tail.count);
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; j < tail.count; j++) {
            Str a = set->items[i];
            Str b = tail.items[j];
            char *joined = arena_alloc_aligned(r->arena, a.len + b.len + 1, 1);
            if (a.len)
                memcpy(joined, a.ptr, a.len);
            if (b.len)
                memcpy(joined + a.len, b.ptr, b.len);
            items[n++] = (Str){joined, a.len + b.len};
        }
    set->items = items;
    set->count = n;
    return true;
}

// A rune that stands for itself, escaped or not.
static bool read_rune(LiteralReader *r, Str *ret_rune)
{
    char c = peek(r);
    if (c == '\\') {
        if (r->rest.len < 2 || !is_punctuation(r->rest.ptr[1]))
            return false;
        *ret_rune = str_sub(r->rest, 1, 1);
        r->rest = str_skip(r->rest, 2);
        return true;
    }
    uint32_t rune;
    size_t len = str_rune(r->rest, &rune);
    if (len == 0 || is_meta(c) || (rune == 0xFFFD && len == 1))
        return false;
    *ret_rune = str_sub(r->rest, 0, len);
    r->rest = str_skip(r->rest, len);
    return true;
}

// [abc0-9]: single bytes only, not negated, no named classes.
static bool read_class(LiteralReader *r, LiteralSet *ret_set)
{
    LiteralSet set = {NULL, 0};
    r->rest = str_skip(r->rest, 1);
    if (peek(r) == '^' || peek(r) == ']')
        return false;
    while (r->rest.len && peek(r) != ']') {
        unsigned char lo = (unsigned char)peek(r);
        if (lo >= 0x80 || lo == '\\' || lo == '[')
            return false;
        r->rest = str_skip(r->rest, 1);
        unsigned char hi = lo;
        if (peek(r) == '-' && r->rest.len > 1 && r->rest.ptr[1] != ']') {
            hi = (unsigned char)r->rest.ptr[1];
            if (hi >= 0x80 || hi == '\\' || hi == '[' || hi < lo)
                return false;
            r->rest = str_skip(r->rest, 2);
        }
        for (unsigned c = lo; c <= hi; c++) {
            char byte = (char)c;
            if (!set_union(r, &set, set_one(r, arena_str(r->arena, str_make(&byte, 1)))))
                return false;
        }
    }
    if (peek(r) != ']')
        return false;
    r->rest = str_skip(r->rest, 1);
    *ret_set = set;
    return true;
}

static bool read_alternation(LiteralReader *r, LiteralSet *ret_set);

static bool read_atom(LiteralReader *r, LiteralSet *ret_set)
{
    char c = peek(r);
    if (c == '[')
        return read_class(r, ret_set);
    if (c != '(') {
        Str rune;
        if (!read_rune(r, &rune))
            return false;
        *ret_set = set_one(r, rune);
        return true;
    }

    bool plain = str_starts_with(r->rest, S("(?:"));
    if (!plain && str_starts_with(r->rest, S("(?")))
        return false;
    r->rest = str_skip(r->rest, plain ? 3 : 1);
    if (++r->depth > NESTING_MAX || !read_alternation(r, ret_set) || peek(r) != ')')
        return false;
    r->depth--;
    r->rest = str_skip(r->rest, 1);
    return true;
}

static bool read_concat(LiteralReader *r, LiteralSet *ret_set)
{
    LiteralSet set = set_one(r, STR_NONE);
    while (r->rest.len && peek(r) != '|' && peek(r) != ')') {
        LiteralSet atom;
        if (!read_atom(r, &atom))
            return false;
        if (peek(r) == '?') {
            r->rest = str_skip(r->rest, 1);
            if (!set_union(r, &atom, set_one(r, STR_NONE)))
                return false;
        }
        if (strchr("*+{?", peek(r)) && r->rest.len)
            return false;
        if (!set_product(r, &set, atom))
            return false;
    }
    *ret_set = set;
    return true;
}

static bool read_alternation(LiteralReader *r, LiteralSet *ret_set)
{
    LiteralSet set = {NULL, 0};
    for (;;) {
        LiteralSet one;
        if (!read_concat(r, &one) || !set_union(r, &set, one))
            return false;
        if (peek(r) != '|')
            break;
        r->rest = str_skip(r->rest, 1);
    }
    *ret_set = set;
    return true;
}

bool regex_literals(Str pattern, Arena *arena, size_t max, Str **ret_list, size_t *ret_count)
{
    LiteralReader r = {pattern, arena, max, 0};
    LiteralSet set;
    if (!read_alternation(&r, &set) || r.rest.len)
        return false;
    *ret_list = set.items;
    *ret_count = set.count;
    return true;
}

// True if the pattern has a "|" outside of all brackets: then nothing is common to all matches.
static bool has_top_alternation(Str pattern)
{
    int depth = 0;
    bool in_class = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '\\')
            i++;
        else if (in_class)
            in_class = c != ']';
        else if (c == '[')
            in_class = true;
        else if (c == '(')
            depth++;
        else if (c == ')')
            depth--;
        else if (c == '|' && depth == 0)
            return true;
    }
    return false;
}

Str regex_prefix(Str pattern, Arena *arena)
{
    if (has_top_alternation(pattern) || str_find(pattern, S("\\Q")) != STR_NOT_FOUND)
        return STR_NONE;
    char *prefix = arena_alloc_aligned(arena, pattern.len + 1, 1);
    size_t len = 0;
    LiteralReader r = {pattern, arena, 1, 0};
    Str rune;
    while (read_rune(&r, &rune)) {
        // A repeated or optional rune belongs to the rest.
        if (r.rest.len && strchr("*+?{", peek(&r)))
            break;
        memcpy(prefix + len, rune.ptr, rune.len);
        len += rune.len;
    }
    prefix[len] = '\0';
    return (Str){prefix, len};
}
