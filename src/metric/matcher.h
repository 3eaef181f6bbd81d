// SPDX-License-Identifier: Apache-2.0
// matcher.h: one condition on a label: = != =~ !~. A missing label has the empty value.
#pragma once

#include "base/regex.h"
#include "metric/labels.h"

typedef enum MatchKind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX } MatchKind;

// Patterns that need no automaton: .* .+ and a literal prefix before either, and a set of literals between .* and .*
typedef enum MatchShortcut {
    MATCH_SHORTCUT_NONE,
    MATCH_SHORTCUT_ANY,
    MATCH_SHORTCUT_SOME,
    MATCH_SHORTCUT_WITHIN
} MatchShortcut;

typedef struct Matcher {
    MatchKind kind;
    Str name;
    Str value;     // the literal or the pattern
    Regex *regex;  // only for regex kinds without a literal set and without a shortcut
    Str *literals; // regex kinds whose pattern is a set of literals (at most 256), sorted
    size_t literal_count;
    Str prefix; // literal prefix of a pattern, maybe empty
    MatchShortcut
        shortcut; // what may follow the prefix: anything, at least one byte, something with one of `within`
    Str *within;
    size_t within_count;
    bool matches_empty;
} Matcher;

// Strings are copied into the arena; the compiled regex is held by the matcher: matcher_deinit. Fails ERR_INVALID on a bad pattern.
bool matcher_init(Matcher *ret_matcher, MatchKind kind, Str name, Str value, Arena *arena,
                  Error *err) MUST_CHECK;
void matcher_deinit(Matcher *matcher);
bool matcher_matches(const Matcher *matcher, Str value);
// All matchers against one label set.
bool matchers_match(const Matcher *matchers, size_t count, Labels labels);
// name=~"value", as Matcher.String().
void matcher_print(Buf *buf, const Matcher *matcher);
