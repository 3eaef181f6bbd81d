// SPDX-License-Identifier: Apache-2.0
// am_matcher.h: matchers as alertmanager.yml, the API and silences write them: alertmanager.md section 4.
#pragma once

#include "metric/matcher.h"

// --enable-feature chooses how texts are read.
typedef enum AmMatcherMode {
    AM_MATCHER_FALLBACK, // both ways; the classic reading wins where they differ
    AM_MATCHER_UTF8,
    AM_MATCHER_CLASSIC,
} AmMatcherMode;

typedef struct AmMatchers {
    Matcher *items;
    size_t count;
} AmMatchers;

// ^(?:value)$ where dots do not match line breaks. Strings are copied; am_matchers_deinit frees the regex.
bool am_matcher_init(Matcher *ret_matcher, MatchKind kind, Str name, Str value, Arena *arena,
                     Error *err) MUST_CHECK;

// A list: {a="b", c=~"d"} or without braces; may be empty.
bool am_matchers_parse(Str text, AmMatcherMode mode, Arena *arena, AmMatchers *ret_matchers,
                       Error *err) MUST_CHECK;
// Exactly one, without braces: filters of the API.
bool am_matcher_parse(Str text, AmMatcherMode mode, Arena *arena, Matcher *ret_matcher,
                      Error *err) MUST_CHECK;
void am_matchers_deinit(AmMatchers *matchers);

// By name, value, then = != =~ !~.
void am_matchers_sort(AmMatchers *matchers);
bool am_matchers_match(const AmMatchers *matchers, Labels labels);
bool am_matcher_equal(const Matcher *a, const Matcher *b);

// name="value"; both quoted as Go does if the name has a reserved character.
void am_matcher_print(Buf *buf, const Matcher *matcher);
// {a="b",c="d"}, without spaces: as in route keys.
void am_matchers_print(Buf *buf, const AmMatchers *matchers);
