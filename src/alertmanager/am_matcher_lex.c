// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_matcher_lex.h"

static bool is_space(uint32_t rune)
{
    return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 || rune == 0xA0 ||
           rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 ||
           rune == 0x2029 || rune == 0x202F || rune == 0x205F || rune == 0x3000;
}

bool am_matcher_lex_is_reserved(uint32_t rune)
{
    return is_space(rune) || (rune < 128 && rune && strchr("{}!=~,\\\"'`", (int)rune));
}

static bool fail(AmMatcherLex *lex)
{
    lex->failed = true;
    return false;
}

AmMatcherLex am_matcher_lex(Str text, bool classic, Arena *arena)
{
    AmMatcherLex lex = {.text = text, .rest = text, .arena = arena, .classic = classic};
    if (!classic)
        return lex;
    if (str_starts_with(lex.rest, S("{")))
        lex.rest = str_skip(lex.rest, 1);
    if (str_ends_with(lex.rest, S("}")))
        lex.rest.len--;
    return lex;
}

// The operator at the start of the text; its length, or 0.
static size_t operator_at(Str text, MatchKind *ret_kind)
{
    static const struct {
        Str text;
        MatchKind kind;
    } operators[] = {
        {STR("=~"), MATCH_REGEX},
        {STR("!~"), MATCH_NOT_REGEX},
        {STR("!="), MATCH_NOT_EQUAL},
        {STR("="), MATCH_EQUAL},
    };
    for (size_t i = 0; i < COUNT_OF(operators); i++)
        if (str_starts_with(text, operators[i].text)) {
            *ret_kind = operators[i].kind;
            return operators[i].text.len;
        }
    return 0;
}

// Classic ----------------------------------------------------------------------------------------

// Cuts at the next comma that stands outside of quotes.
static Str classic_piece(AmMatcherLex *lex, bool *ret_cut)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < lex->rest.len; i++) {
        char c = lex->rest.ptr[i];
        if (c == '\\' && i + 1 < lex->rest.len)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted && !lex->one)
            break;
    }
    Str piece = str_sub(lex->rest, 0, i);
    *ret_cut = i < lex->rest.len;
    lex->rest = *ret_cut ? str_skip(lex->rest, i + 1) : STR_NONE;
    return piece;
}

static bool bad_value(AmMatcherLex *lex, Str value, const char *what, Error *err)
{
    error_set(err, ERR_INVALID, "%s: " STR_FMT, what, STR_ARG(str_sub(value, 0, 200)));
    return fail(lex);
}

static bool classic_value(AmMatcherLex *lex, Str raw, Str *ret_value, Error *err)
{
    bool expects_quote = str_starts_with(raw, S("\""));
    Str value = expects_quote ? str_skip(raw, 1) : raw;
    char *text = arena_alloc(lex->arena, value.len + 1);
    size_t len = 0;
    if (!str_is_utf8(raw))
        return bad_value(lex, S(""), "matcher value not valid UTF-8", err);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' && i + 1 < value.len && strchr("\"\\n", value.ptr[i + 1])) {
            i++;
            text[len++] = value.ptr[i] == 'n' ? '\n' : value.ptr[i];
        } else if (c == '"') {
            if (!expects_quote || i + 1 < value.len)
                return bad_value(lex, raw, "matcher value contains unescaped double quote", err);
            expects_quote = false;
        } else {
            text[len++] = c;
        }
    }
    if (expects_quote)
        return bad_value(lex, raw, "matcher value contains unescaped double quote", err);
    *ret_value = str_make(text, len);
    return true;
}

static bool classic_next(AmMatcherLex *lex, MatchKind *ret_kind, Str *ret_name, Str *ret_value,
                         Error *err)
{
    if (lex->rest.len == 0)
        return false;
    bool cut;
    Str piece = str_trim(classic_piece(lex, &cut));
    if (piece.len == 0 && !cut)
        return false; // blanks, after a comma or alone
    size_t name = 0;
    while (name < piece.len && (piece.ptr[name] == '_' || piece.ptr[name] == ':' ||
                                (piece.ptr[name] >= 'a' && piece.ptr[name] <= 'z') ||
                                (piece.ptr[name] >= 'A' && piece.ptr[name] <= 'Z') ||
                                (name && piece.ptr[name] >= '0' && piece.ptr[name] <= '9')))
        name++;
    Str after = str_trim(str_skip(piece, name));
    size_t op = operator_at(after, ret_kind);
    if (name == 0 || op == 0) {
        error_set(err, ERR_INVALID, "bad matcher format: " STR_FMT,
                  STR_ARG(str_sub(piece, 0, 200)));
        return fail(lex);
    }
    *ret_name = arena_str(lex->arena, str_sub(piece, 0, name));
    return classic_value(lex, str_trim(str_skip(after, op)), ret_value, err);
}

// UTF-8 ------------------------------------------------------------------------------------------

// In runes from the start, as the original counts columns.
static size_t column(const AmMatcherLex *lex, size_t at)
{
    size_t runes = 0;
    uint32_t rune;
    for (size_t i = 0; i < at; runes++)
        i += str_rune(str_skip(lex->text, i), &rune);
    return runes;
}

static size_t place(const AmMatcherLex *lex)
{
    return lex->text.len - lex->rest.len;
}

static void skip_space(AmMatcherLex *lex)
{
    uint32_t rune;
    size_t len;
    while ((len = str_rune(lex->rest, &rune)) && is_space(rune))
        lex->rest = str_skip(lex->rest, len);
}

static bool expected(AmMatcherLex *lex, const char *what, Error *err)
{
    uint32_t rune;
    size_t len = str_rune(lex->rest, &rune);
    if (len == 0)
        error_set(err, ERR_INVALID, "end of input: expected %s", what);
    else
        error_set(err, ERR_INVALID, "%zu:%zu: unexpected " STR_FMT ": expected %s",
                  column(lex, place(lex)), column(lex, place(lex)) + 1,
                  STR_ARG(str_sub(lex->rest, 0, len)), what);
    return fail(lex);
}

// One escape of a Go string literal, `at` behind the backslash; its length, or 0.
static size_t unescape(Str rest, Buf *out)
{
    static const char names[] = "abfnrtv\\\"";
    static const char values[] = "\a\b\f\n\r\t\v\\\"";
    if (rest.len == 0)
        return 0;
    char c = rest.ptr[0];
    const char *simple = c ? strchr(names, c) : NULL;
    if (simple) {
        buf_add_char(out, values[simple - names]);
        return 1;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0;
    size_t from = digits == 3 ? 0 : 1;
    uint32_t value = 0;
    if (digits == 0 || rest.len < from + digits)
        return 0;
    for (size_t i = from; i < from + digits; i++) {
        unsigned base = digits == 3 ? 8 : 16;
        unsigned digit = str_digit(rest.ptr[i]);
        if (digit >= base)
            return 0;
        value = value * base + digit;
    }
    if (digits <= 3) {
        if (value > 255)
            return 0;
        buf_add_char(out, (char)value);
    } else {
        if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
            return 0;
        buf_add_rune(out, value);
    }
    return from + digits;
}

static bool quoted_text(AmMatcherLex *lex, Str *ret_text, Error *err)
{
    CLEANUP(buf_deinit) Buf out = {0};
    size_t begin = place(lex);
    Str rest = str_skip(lex->rest, 1);
    while (rest.len && rest.ptr[0] != '"') {
        size_t len = 1;
        if (rest.ptr[0] == '\\') {
            size_t escape = unescape(str_skip(rest, 1), &out);
            if (escape == 0) {
                error_set(err, ERR_INVALID, "%zu:%zu: invalid input: " STR_FMT, column(lex, begin),
                          column(lex, lex->text.len), STR_ARG(str_sub(lex->rest, 0, 200)));
                return fail(lex);
            }
            len += escape;
        } else {
            buf_add_char(&out, rest.ptr[0]);
        }
        rest = str_skip(rest, len);
    }
    if (rest.len == 0) {
        error_set(err, ERR_INVALID, "%zu:%zu: " STR_FMT ": missing end \"", column(lex, begin),
                  column(lex, lex->text.len), STR_ARG(str_sub(lex->rest, 0, 200)));
        return fail(lex);
    }
    lex->rest = str_skip(rest, 1);
    if (!str_is_utf8(buf_str(&out))) {
        error_set(err, ERR_INVALID, "%zu:%zu: invalid UTF-8", column(lex, begin),
                  column(lex, place(lex)));
        return fail(lex);
    }
    *ret_text = arena_str(lex->arena, buf_str(&out));
    return true;
}

static bool name_or_value(AmMatcherLex *lex, const char *what, Str *ret_text, Error *err)
{
    uint32_t rune;
    size_t len;
    size_t bytes = 0;
    skip_space(lex);
    if (lex->rest.len && lex->rest.ptr[0] == '"')
        return quoted_text(lex, ret_text, err);
    while ((len = str_rune(str_skip(lex->rest, bytes), &rune)) && !am_matcher_lex_is_reserved(rune))
        bytes += len;
    if (bytes == 0)
        return expected(lex, what, err);
    if (!str_is_utf8(str_sub(lex->rest, 0, bytes))) {
        error_set(err, ERR_INVALID, "%zu:%zu: invalid UTF-8", column(lex, place(lex)),
                  column(lex, place(lex) + bytes));
        return fail(lex);
    }
    *ret_text = arena_str(lex->arena, str_sub(lex->rest, 0, bytes));
    lex->rest = str_skip(lex->rest, bytes);
    return true;
}

// What may stand behind the last matcher: the brace that was opened, then nothing.
static bool finish(AmMatcherLex *lex, Error *err)
{
    lex->done = true;
    if (lex->has_brace) {
        if (!str_starts_with(lex->rest, S("}")))
            return expected(lex, "close brace", err);
        lex->rest = str_skip(lex->rest, 1);
        skip_space(lex);
    }
    return lex->rest.len ? expected(lex, "end of input", err) : false;
}

static bool utf8_next(AmMatcherLex *lex, MatchKind *ret_kind, Str *ret_name, Str *ret_value,
                      Error *err)
{
    skip_space(lex);
    if (!lex->started && str_starts_with(lex->rest, S("{"))) {
        lex->has_brace = true;
        lex->rest = str_skip(lex->rest, 1);
        skip_space(lex);
    } else if (lex->started) {
        if (!str_starts_with(lex->rest, S(",")))
            return finish(lex, err);
        lex->rest = str_skip(lex->rest, 1);
        skip_space(lex);
    }
    lex->started = true;
    if (lex->rest.len == 0 || lex->rest.ptr[0] == '}')
        return finish(lex, err);
    if (!name_or_value(lex, "label name", ret_name, err))
        return false;
    skip_space(lex);
    size_t op = operator_at(lex->rest, ret_kind);
    if (op == 0)
        return expected(lex, "one of '=', '!=', '=~' or '!~'", err);
    lex->rest = str_skip(lex->rest, op);
    if (!name_or_value(lex, "label value", ret_value, err))
        return false;
    skip_space(lex);
    return true;
}

bool am_matcher_lex_next(AmMatcherLex *lex, MatchKind *ret_kind, Str *ret_name, Str *ret_value,
                         Error *err)
{
    if (lex->failed || lex->done)
        return false;
    return lex->classic ? classic_next(lex, ret_kind, ret_name, ret_value, err)
                        : utf8_next(lex, ret_kind, ret_name, ret_value, err);
}
