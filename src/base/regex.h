// SPDX-License-Identifier: Apache-2.0
// regex.h: RE2, the syntax that Prometheus' users write, in linear time. Always anchored at both ends, dot matches newline, as
// ^(?s:RE)$.
#pragma once

#include "base/arena.h"
#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Regex Regex;

#define REGEX_BYTES_MAX 65536 // longest pattern accepted

// Fails ERR_INVALID with the pattern's fault in words, ERR_LIMIT if the compiled program is too large.
bool regex_new(Str pattern, Regex **ret_regex, Error *err) MUST_CHECK;
void regex_free(Regex *regex);

bool regex_match(const Regex *regex, Str text);

// If `text` matches, expands $1, ${1}, $name, ${name}, $$ of `replacement` as Go's Regexp.Expand into the arena.
bool regex_expand(const Regex *regex, Str text, Str replacement, Arena *arena, Str *ret_text);

// For templates: not anchored, and dot does not match newline, as Go's regexp.Compile.
bool regex_new_search(Str pattern, Regex **ret_regex, Error *err) MUST_CHECK;
// Go's MatchString: true if the pattern matches somewhere.
bool regex_search(const Regex *regex, Str text);
// Go's ReplaceAllString: every match replaced, $1 and the like expanded. ERR_LIMIT if the result is larger than max_bytes.
bool regex_replace_all(const Regex *regex, Str text, Str replacement, size_t max_bytes,
                       Arena *arena, Str *ret_text, Error *err) MUST_CHECK;

// Literal strings that the pattern is equivalent to, as in (a|b|c) and prefixes of them: at most `max`.
// False if the pattern is more than a set of literals.
bool regex_literals(Str pattern, Arena *arena, size_t max, Str **ret_list, size_t *ret_count);
// A literal prefix that every match begins with (maybe empty) of a case-sensitive pattern.
Str regex_prefix(Str pattern, Arena *arena);

#ifdef __cplusplus
}
#endif
