// SPDX-License-Identifier: Apache-2.0
// am_matcher_lex.h: takes a text of matchers apart, one by one, in the classic or in the UTF-8 grammar. Private to the room.
#pragma once

#include "metric/matcher.h"

typedef struct AmMatcherLex {
    Str text, rest;
    Arena *arena;
    bool classic;
    bool one; // classic grammar: the whole text is one matcher, and commas belong to its value
    bool failed;
    bool has_brace, started, done; // UTF-8 grammar
} AmMatcherLex;

AmMatcherLex am_matcher_lex(Str text, bool classic, Arena *arena);
// The next matcher's parts, unescaped, in the arena; false at the end or on failure (lex->failed, err is full).
bool am_matcher_lex_next(AmMatcherLex *lex, MatchKind *ret_kind, Str *ret_name, Str *ret_value,
                         Error *err);

// White space and { } ! = ~ , \ " ' `: what an unquoted name must not have.
bool am_matcher_lex_is_reserved(uint32_t rune);
