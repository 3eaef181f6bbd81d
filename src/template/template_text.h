// SPDX-License-Identifier: Apache-2.0
// template_text.h: runes and Go's string literals.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

// Letter, digit or underscore as Go's unicode package has them.
bool template_is_alphanumeric(uint32_t rune);
bool template_is_letter(uint32_t rune);
bool template_is_digit(uint32_t rune);
bool template_is_space(uint32_t rune);
uint32_t template_rune_upper(uint32_t rune);
uint32_t template_rune_lower(uint32_t rune);
uint32_t template_rune_title(uint32_t rune);

void template_add_rune(Buf *out, uint32_t rune);
// "U+0041 'A'", as %#U.
void template_add_rune_name(Buf *out, uint32_t rune);

// One character or escape of a Go literal inside `quote`; false if it is malformed. `*ret_is_byte`: a \x or octal escape, to be
// written as one byte.
bool template_unquote_char(Str *rest, char quote, uint32_t *ret_rune, bool *ret_is_byte);
// A "..." or `...` literal.
bool template_unquote(Str literal, Arena *arena, Str *ret_text);

// Go's net.SplitHostPort: "host:port", "[v6]:port"; false if it is neither.
bool template_split_host_port(Str address, Str *ret_host, Str *ret_port);
// Go's net.ParseIP would take it.
bool template_is_ip(Str host);
