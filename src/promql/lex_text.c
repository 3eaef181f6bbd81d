// SPDX-License-Identifier: Apache-2.0
// What a token is called in an error, and what a string literal means.
#include "promql/lex.h"

// Go's %.10q...: the first ten runes.
static void quote_short(Buf *buf, Str text)
{
    if (text.len <= 10) {
        buf_add_go_quoted(buf, text);
        return;
    }
    size_t at = 0;
    uint32_t rune;
    for (int i = 0; i < 10 && at < text.len; i++)
        at += str_rune(str_skip(text, at), &rune);
    buf_add_go_quoted(buf, str_sub(text, 0, at));
    buf_add_c(buf, "...");
}

static void describe_word(Buf *buf, const char *kind, Str text)
{
    buf_add_c(buf, kind);
    buf_add_go_quoted(buf, text);
}

void token_describe(Buf *buf, const Token *token)
{
    Str text = token->text;
    switch (token->kind) {
    case TOKEN_END:
        buf_add_c(buf, "end of input");
        return;
    case TOKEN_IDENTIFIER:
        describe_word(buf, "identifier ", text);
        return;
    case TOKEN_METRIC_IDENTIFIER:
        describe_word(buf, "metric identifier ", text);
        return;
    case TOKEN_NUMBER:
        buf_add_c(buf, "number ");
        break;
    case TOKEN_DURATION:
        buf_add_c(buf, "duration ");
        break;
    case TOKEN_STRING:
        buf_add_c(buf, "string ");
        break;
    case TOKEN_OPERATOR:
    case TOKEN_EQUAL_REGEX:
    case TOKEN_NOT_REGEX:
    case TOKEN_AT:
        buf_add_c(buf, "<op:");
        buf_add_str(buf, text);
        buf_add_char(buf, '>');
        return;
    case TOKEN_AGGREGATE:
        buf_add_c(buf, "<aggr:");
        buf_add_str(buf, text);
        buf_add_char(buf, '>');
        return;
    case TOKEN_BOOL ... TOKEN_ANCHORED:
        buf_add_char(buf, '<');
        buf_add_str(buf, text);
        buf_add_char(buf, '>');
        return;
    default:
        break;
    }
    quote_short(buf, text);
}

// One escape at s[*at], behind the backslash. Writes what it means; false if it is none.
static bool unescape(Str s, size_t *at, char quote, char **out)
{
    static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    if (*at >= s.len)
        return false;
    char c = s.ptr[(*at)++];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter || c == quote) {
        *(*out)++ = letter ? values[letter - letters] : quote;
        return true;
    }
    unsigned base = 16;
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c >= '0' && c <= '7') {
        base = 8, digits = 3;
        (*at)--;
    }
    if (!digits || s.len - *at < (size_t)digits)
        return false;
    uint32_t value = 0;
    for (int i = 0; i < digits; i++) {
        unsigned digit = str_digit(s.ptr[(*at)++]);
        if (digit >= base)
            return false;
        value = value * base + digit;
    }
    if (c == 'u' || c == 'U') {
        if (value > 0x10FFFF)
            return false;
        *out += str_put_rune(*out, value);
    } else {
        if (value > 255)
            return false;
        *(*out)++ = (char)value;
    }
    return true;
}

bool string_unquote(Str literal, Arena *arena, Str *ret_string)
{
    if (literal.len < 2)
        return false;
    char quote = literal.ptr[0];
    Str body = str_sub(literal, 1, literal.len - 2);
    if (quote == '`' || str_find_char(body, '\\') == STR_NOT_FOUND) {
        *ret_string = body;
        return true;
    }
    // Every escape is at least as long as what it means.
    char *text = arena_alloc(arena, body.len), *out = text;
    for (size_t at = 0; at < body.len;) {
        if (body.ptr[at] != '\\') {
            *out++ = body.ptr[at++];
            continue;
        }
        at++;
        if (!unescape(body, &at, quote, &out))
            return false;
    }
    *ret_string = str_make(text, (size_t)(out - text));
    return true;
}
