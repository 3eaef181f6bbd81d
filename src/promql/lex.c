// SPDX-License-Identifier: Apache-2.0
#include "promql/lex.h"

#include <stdio.h>

#define RUNE_END 0xFFFFFFFFu
#define RUNE_BAD 0xFFFDu

static const struct {
    Str word;
    TokenKind kind;
    int op;
} keywords[] = {
    {STR("and"), TOKEN_OPERATOR, OP_AND},
    {STR("or"), TOKEN_OPERATOR, OP_OR},
    {STR("unless"), TOKEN_OPERATOR, OP_UNLESS},
    {STR("atan2"), TOKEN_OPERATOR, OP_ATAN2},
    {STR("sum"), TOKEN_AGGREGATE, AGG_SUM},
    {STR("avg"), TOKEN_AGGREGATE, AGG_AVG},
    {STR("count"), TOKEN_AGGREGATE, AGG_COUNT},
    {STR("min"), TOKEN_AGGREGATE, AGG_MIN},
    {STR("max"), TOKEN_AGGREGATE, AGG_MAX},
    {STR("group"), TOKEN_AGGREGATE, AGG_GROUP},
    {STR("stddev"), TOKEN_AGGREGATE, AGG_STDDEV},
    {STR("stdvar"), TOKEN_AGGREGATE, AGG_STDVAR},
    {STR("topk"), TOKEN_AGGREGATE, AGG_TOPK},
    {STR("bottomk"), TOKEN_AGGREGATE, AGG_BOTTOMK},
    {STR("count_values"), TOKEN_AGGREGATE, AGG_COUNT_VALUES},
    {STR("quantile"), TOKEN_AGGREGATE, AGG_QUANTILE},
    {STR("limitk"), TOKEN_AGGREGATE, AGG_LIMITK},
    {STR("limit_ratio"), TOKEN_AGGREGATE, AGG_LIMIT_RATIO},
    {STR("offset"), TOKEN_OFFSET, 0},
    {STR("smoothed"), TOKEN_SMOOTHED, 0},
    {STR("anchored"), TOKEN_ANCHORED, 0},
    {STR("by"), TOKEN_BY, 0},
    {STR("without"), TOKEN_WITHOUT, 0},
    {STR("on"), TOKEN_ON, 0},
    {STR("ignoring"), TOKEN_IGNORING, 0},
    {STR("group_left"), TOKEN_GROUP_LEFT, 0},
    {STR("group_right"), TOKEN_GROUP_RIGHT, 0},
    {STR("fill"), TOKEN_FILL, 0},
    {STR("fill_left"), TOKEN_FILL_LEFT, 0},
    {STR("fill_right"), TOKEN_FILL_RIGHT, 0},
    {STR("bool"), TOKEN_BOOL, 0},
    {STR("start"), TOKEN_START_WORD, 0},
    {STR("end"), TOKEN_END_WORD, 0},
    {STR("step"), TOKEN_STEP, 0},
    {STR("range"), TOKEN_RANGE, 0},
    {STR("max_of"), TOKEN_MAX_OF, 0},
    {STR("min_of"), TOKEN_MIN_OF, 0},
    {STR("inf"), TOKEN_NUMBER, 0},
    {STR("nan"), TOKEN_NUMBER, 0},
};

void lexer_init(Lexer *lexer, Str input)
{
    *lexer = (Lexer){.input = input};
}

static bool is_space(uint32_t r)
{
    return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

static bool is_digit(uint32_t r)
{
    return r >= '0' && r <= '9';
}

static bool is_alpha(uint32_t r)
{
    return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static bool is_alnum(uint32_t r)
{
    return is_alpha(r) || is_digit(r);
}

static uint32_t lex_peek(const Lexer *l, size_t *ret_width)
{
    uint32_t rune = RUNE_END;
    *ret_width = 0;
    if (l->pos < l->input.len)
        *ret_width = str_rune(str_skip(l->input, l->pos), &rune);
    return rune;
}

static uint32_t lex_take(Lexer *l)
{
    size_t width;
    uint32_t rune = lex_peek(l, &width);
    l->pos += width;
    return rune;
}

// The next byte, 0 at the end: enough where only ASCII matters.
static char lex_byte(const Lexer *l)
{
    return l->pos < l->input.len ? l->input.ptr[l->pos] : '\0';
}

static bool lex_is(const Lexer *l, const char *set)
{
    char c = lex_byte(l);
    return c && strchr(set, c);
}

static bool lex_accept(Lexer *l, const char *set)
{
    if (!lex_is(l, set))
        return false;
    l->pos++;
    return true;
}

static void lex_accept_run(Lexer *l, const char *set)
{
    while (lex_accept(l, set))
        ;
}

static Token lex_emit_op(Lexer *l, TokenKind kind, int op)
{
    Token token = {.kind = kind,
                   .op = op,
                   .start = (uint32_t)l->start,
                   .text = str_sub(l->input, l->start, l->pos - l->start)};
    l->start = l->pos;
    return token;
}

static Token lex_emit(Lexer *l, TokenKind kind)
{
    return lex_emit_op(l, kind, 0);
}

// Writes 'x' as Go's %q of a rune.
static size_t rune_quote(uint32_t rune, char *out, size_t size)
{
    static const char escapes[] = "a\ab\bf\fn\nr\rt\tv\v\\\\''";
    if (rune == RUNE_END || rune == RUNE_BAD)
        return (size_t)snprintf(out, size, "'\xEF\xBF\xBD'");
    for (size_t i = 0; i + 1 < sizeof escapes; i += 2)
        if (rune == (uint8_t)escapes[i + 1])
            return (size_t)snprintf(out, size, "'\\%c'", escapes[i]);
    if (rune < 0x20 || rune == 0x7f)
        return (size_t)snprintf(out, size, "'\\x%02x'", rune);
    if (rune < 0x80)
        return (size_t)snprintf(out, size, "'%c'", (int)rune);
    if (!rune_is_printable(rune))
        return (size_t)snprintf(out, size, rune < 0x10000 ? "'\\u%04x'" : "'\\U%08x'", rune);
    char bytes[4];
    int len = (int)str_put_rune(bytes, rune);
    return (size_t)snprintf(out, size, "'%.*s'", len, bytes);
}

static Token lex_error_token(Lexer *l)
{
    Token token = {.kind = TOKEN_ERROR, .start = (uint32_t)l->start, .text = str_from_c(l->error)};
    l->pos = l->start = l->input.len;
    l->paren_depth = 0;
    l->bracket_open = l->brace_open = l->in_duration = false;
    return token;
}

static Token lex_error(Lexer *l, const char *text)
{
    snprintf(l->error, sizeof l->error, "%s", text);
    return lex_error_token(l);
}

// "<text><quoted rune><rest>"
static Token lex_error_rune(Lexer *l, const char *text, uint32_t rune, const char *rest)
{
    char quoted[20];
    rune_quote(rune, quoted, sizeof quoted);
    snprintf(l->error, sizeof l->error, "%s%s%s", text, quoted, rest);
    return lex_error_token(l);
}

// "<text>U+0063 'c'<rest>"
static Token lex_error_code_point(Lexer *l, const char *text, uint32_t rune, const char *rest)
{
    char quoted[20];
    rune_quote(rune, quoted, sizeof quoted);
    bool shown = rune_is_printable(rune);
    snprintf(l->error, sizeof l->error, "%sU+%04X%s%s%s", text, rune, shown ? " " : "",
             shown ? quoted : "", rest);
    return lex_error_token(l);
}

// "<text><quoted token so far>", cut where it becomes unreadable.
static Token lex_error_text(Lexer *l, const char *text)
{
    Buf buf;
    buf_init(&buf, 0);
    buf_add_c(&buf, text);
    buf_add_go_quoted(&buf, str_sub(l->input, l->start, l->pos - l->start));
    snprintf(l->error, sizeof l->error, "%.*s", (int)MIN(buf.len, sizeof l->error - 1), buf.ptr);
    buf_deinit(&buf);
    return lex_error_token(l);
}

// Behind a backslash. False: *ret_error is the token to give.
static bool lex_escape(Lexer *l, uint32_t quote, Token *ret_error)
{
    static const struct {
        char letter;
        int digits;
        unsigned base;
        uint32_t max;
    } numeric[] = {{'x', 2, 16, 255}, {'u', 4, 16, 0x10FFFF}, {'U', 8, 16, 0x10FFFF}};

    uint32_t c = lex_take(l);
    if (c < 0x80 && c && (strchr("abfnrtv\\", (int)c) || c == quote))
        return true;

    int digits = 0;
    unsigned base = 0;
    uint32_t max = 0;
    if (c >= '0' && c <= '7') {
        digits = 3, base = 8, max = 255;
    } else {
        for (size_t i = 0; i < COUNT_OF(numeric); i++)
            if (c == (uint32_t)numeric[i].letter)
                digits = numeric[i].digits, base = numeric[i].base, max = numeric[i].max;
        if (c == RUNE_END) {
            *ret_error = lex_error(l, "escape sequence not terminated");
            return false;
        }
        if (!digits) {
            *ret_error = lex_error_code_point(l, "unknown escape sequence ", c, "");
            return false;
        }
        c = lex_take(l);
    }

    uint64_t value = 0;
    for (; digits > 0; digits--) {
        unsigned d = str_digit(c < 0x80 ? (char)c : 0);
        if (d >= base) {
            *ret_error = c == RUNE_END ? lex_error(l, "escape sequence not terminated")
                                       : lex_error_code_point(l, "illegal character ", c,
                                                              " in escape sequence");
            return false;
        }
        value = value * (uint64_t)base + (uint64_t)d;
        if (digits > 1)
            c = lex_take(l);
    }
    if (value > max || (value >= 0xD800 && value < 0xE000)) {
        *ret_error = lex_error(l, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

// Behind the opening quote.
static Token lex_string(Lexer *l, uint32_t quote)
{
    for (;;) {
        uint32_t r = lex_take(l);
        if (r == quote)
            return lex_emit(l, TOKEN_STRING);
        if (r == RUNE_BAD)
            return lex_error(l, "invalid UTF-8 rune");
        if (quote == '`') {
            if (r == RUNE_END)
                return lex_error(l, "unterminated raw string");
            continue;
        }
        if (r == RUNE_END || r == '\n')
            return lex_error(l, "unterminated quoted string");
        Token error;
        if (r == '\\' && !lex_escape(l, quote, &error))
            return error;
    }
}

// The part of a number behind its first digits: digits, dots, exponents and underscores, none of them twice in a row.
static bool lex_number_rest(Lexer *l, const char *digits, bool hex)
{
    bool dot = false, exponent = false;
    while (lex_is(l, digits) || lex_is(l, "._eE")) {
        if (lex_is(l, ".")) {
            l->pos++;
            if (dot || lex_accept(l, "_.") || hex)
                return false;
            dot = true;
        } else if (lex_is(l, "eE")) {
            l->pos++;
            if (exponent)
                return false;
            exponent = true;
            (void)lex_accept(l, "+-");
            if (lex_accept(l, "._eE") || l->pos >= l->input.len)
                return false;
        } else if (lex_accept(l, "_")) {
            if (lex_accept(l, "._eE") || l->pos >= l->input.len)
                return false;
        } else {
            lex_accept_run(l, digits);
        }
    }
    return true;
}

static bool lex_scan_number(Lexer *l)
{
    const char *digits = "0123456789";
    bool hex = false;
    size_t from = l->pos;
    if (lex_accept(l, "0") && lex_accept(l, "xX")) {
        (void)lex_accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    (void)lex_accept(l, ".");
    (void)lex_accept(l, digits);
    if (!lex_number_rest(l, digits, hex) || l->pos == from)
        return false;
    return !is_alnum((uint8_t)lex_byte(l));
}

static bool lex_scan_duration_rest(Lexer *l)
{
    if (!lex_accept(l, "smhdwy"))
        return false;
    (void)lex_accept(l, "s");
    while (lex_is(l, "0123456789")) {
        lex_accept_run(l, "0123456789");
        if (!lex_accept(l, "smhdw"))
            return false;
        (void)lex_accept(l, "s");
    }
    if (!is_alnum((uint8_t)lex_byte(l)))
        return true;
    l->pos++; // the error shows the byte that does not belong
    return false;
}

static Token lex_number_or_duration(Lexer *l)
{
    l->in_duration = false;
    if (lex_scan_number(l))
        return lex_emit(l, TOKEN_NUMBER);
    if (lex_scan_duration_rest(l))
        return lex_emit(l, TOKEN_DURATION);
    return lex_error_text(l, "bad number or duration syntax: ");
}

static bool lex_paren_follows(const Lexer *l)
{
    size_t at = l->pos;
    while (at < l->input.len && is_space((uint8_t)l->input.ptr[at]))
        at++;
    return at < l->input.len && l->input.ptr[at] == '(';
}

static Token lex_word(Lexer *l)
{
    while (is_alnum((uint8_t)lex_byte(l)) || lex_byte(l) == ':')
        l->pos++;
    Str word = str_sub(l->input, l->start, l->pos - l->start);
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        if (!str_equal_nocase(keywords[i].word, word))
            continue;
        TokenKind kind = keywords[i].kind;
        // These three may be metric names, too.
        if ((kind == TOKEN_FILL || kind == TOKEN_FILL_LEFT || kind == TOKEN_FILL_RIGHT) &&
            !lex_paren_follows(l))
            return lex_emit(l, TOKEN_IDENTIFIER);
        return lex_emit_op(l, kind, keywords[i].op);
    }
    return lex_emit(l, str_find_char(word, ':') == STR_NOT_FOUND ? TOKEN_IDENTIFIER
                                                                 : TOKEN_METRIC_IDENTIFIER);
}

// A word inside brackets, its first letter taken. False if it is none of the four.
static bool lex_duration_word(Lexer *l, Token *ret_token)
{
    while (is_alpha((uint8_t)lex_byte(l)))
        l->pos++;
    Str word = str_sub(l->input, l->start, l->pos - l->start);
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        TokenKind kind = keywords[i].kind;
        if ((kind == TOKEN_STEP || kind == TOKEN_RANGE || kind == TOKEN_MAX_OF ||
             kind == TOKEN_MIN_OF) &&
            str_equal_nocase(keywords[i].word, word)) {
            *ret_token = lex_emit(l, kind);
            return true;
        }
    }
    return false;
}

static bool is_duration_word_start(uint32_t r)
{
    return r < 0x80 && r && strchr("sSrRmM", (int)r);
}

static Token lex_right_paren(Lexer *l)
{
    Token token = lex_emit(l, TOKEN_RIGHT_PAREN);
    if (--l->paren_depth < 0)
        return lex_error(l, "unexpected right parenthesis ')'");
    return token;
}

static Token lex_left_paren(Lexer *l)
{
    l->paren_depth++;
    return lex_emit(l, TOKEN_LEFT_PAREN);
}

static Token lex_right_bracket(Lexer *l)
{
    l->bracket_open = l->got_colon = l->in_duration = false;
    return lex_emit(l, TOKEN_RIGHT_BRACKET);
}

static Token lex_inside_braces(Lexer *l)
{
    uint32_t r = lex_take(l);
    switch (r) {
    case RUNE_END:
        return lex_error(l, "unexpected end of input inside braces");
    case ',':
        return lex_emit(l, TOKEN_COMMA);
    case '"':
    case '\'':
    case '`':
        return lex_string(l, r);
    case '=':
        return lex_emit(l, lex_accept(l, "~") ? TOKEN_EQUAL_REGEX : TOKEN_EQUAL);
    case '!':
        if (lex_accept(l, "~"))
            return lex_emit(l, TOKEN_NOT_REGEX);
        if (lex_accept(l, "="))
            return lex_emit_op(l, TOKEN_OPERATOR, OP_NE);
        return lex_error_rune(l, "unexpected character after '!' inside braces: ", lex_take(l), "");
    case '{':
        return lex_error(l, "unexpected left brace '{'");
    case '}':
        l->brace_open = false;
        return lex_emit(l, TOKEN_RIGHT_BRACE);
    default:
        break;
    }
    if (!is_alpha(r))
        return lex_error_rune(l, "unexpected character inside braces: ", r, "");
    while (is_alnum((uint8_t)lex_byte(l)))
        l->pos++;
    return lex_emit(l, TOKEN_IDENTIFIER);
}

static bool lex_arithmetic(Lexer *l, uint32_t r, Token *ret_token)
{
    static const char signs[] = "+-*/%^";
    static const BinaryOp ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_POW};
    const char *at = r < 0x80 && r ? strchr(signs, (int)r) : NULL;
    if (!at)
        return false;
    *ret_token = lex_emit_op(l, TOKEN_OPERATOR, (int)ops[at - signs]);
    return true;
}

// Directly behind '[' and until the first number there.
static Token lex_inside_duration(Lexer *l)
{
    uint32_t r = lex_take(l);
    Token token;
    if (lex_arithmetic(l, r, &token))
        return token;
    switch (r) {
    case RUNE_END:
        return lex_error(l, "unexpected end of input in duration expression");
    case ']':
        return lex_right_bracket(l);
    case ':':
        token = lex_emit(l, TOKEN_COLON);
        if (!l->got_duration)
            return lex_error(l, "unexpected colon before duration in duration expression");
        if (l->got_colon)
            return lex_error(l, "unexpected repeated colon in duration expression");
        l->got_colon = true;
        return token;
    case '(':
        return lex_left_paren(l);
    case ')':
        return lex_right_paren(l);
    case ',':
        return lex_emit(l, TOKEN_COMMA);
    default:
        break;
    }
    if (is_duration_word_start(r) && lex_duration_word(l, &token))
        return token;
    if (is_digit(r) || (r == '.' && is_digit((uint8_t)lex_byte(l)))) {
        l->pos--;
        l->got_duration = true;
        return lex_number_or_duration(l);
    }
    return lex_error_rune(l, "unexpected character in duration expression: ", r, "");
}

static Token lex_end(Lexer *l)
{
    if (l->paren_depth != 0)
        return lex_error(l, "unclosed left parenthesis");
    if (l->bracket_open)
        return lex_error(l, "unclosed left bracket");
    return lex_emit(l, TOKEN_END);
}

// A letter or colon inside brackets, behind the first number.
static Token lex_bracket_word(Lexer *l, uint32_t r)
{
    Token token;
    if (r == ':') {
        if (l->got_colon)
            return lex_error(l, "unexpected colon ':'");
        l->got_colon = true;
        return lex_emit(l, TOKEN_COLON);
    }
    if (is_duration_word_start(r) && lex_duration_word(l, &token))
        return token;
    return lex_error_rune(l, "unexpected character: ", r, ", expected ':'");
}

static Token lex_comparison(Lexer *l, uint32_t r)
{
    switch (r) {
    case '=':
        if (lex_accept(l, "="))
            return lex_emit_op(l, TOKEN_OPERATOR, OP_EQ);
        if (lex_byte(l) == '~')
            return lex_error(l, "unexpected character after '=': '~'");
        return lex_emit(l, TOKEN_EQUAL);
    case '!':
        if (lex_accept(l, "="))
            return lex_emit_op(l, TOKEN_OPERATOR, OP_NE);
        return lex_error_rune(l, "unexpected character after '!': ", lex_take(l), "");
    case '<':
        if (lex_accept(l, "="))
            return lex_emit_op(l, TOKEN_OPERATOR, OP_LE);
        return lex_emit_op(l, TOKEN_OPERATOR, lex_accept(l, "/") ? OP_TRIM_UPPER : OP_LT);
    default:
        if (lex_accept(l, "="))
            return lex_emit_op(l, TOKEN_OPERATOR, OP_GE);
        return lex_emit_op(l, TOKEN_OPERATOR, lex_accept(l, "/") ? OP_TRIM_LOWER : OP_GT);
    }
}

static Token lex_left_bracket(Lexer *l)
{
    if (l->bracket_open)
        return lex_error(l, "unexpected left bracket '['");
    Token token = lex_emit(l, TOKEN_LEFT_BRACKET);
    l->got_colon = false;
    l->bracket_open = l->in_duration = true;
    return token;
}

static Token lex_statement(Lexer *l)
{
    uint32_t r = lex_take(l);
    Token token;
    if (lex_arithmetic(l, r, &token))
        return token;
    switch (r) {
    case RUNE_END:
        return lex_end(l);
    case ',':
        return lex_emit(l, TOKEN_COMMA);
    case '=':
    case '!':
    case '<':
    case '>':
        return lex_comparison(l, r);
    case '"':
    case '\'':
    case '`':
        return lex_string(l, r);
    case '(':
        return lex_left_paren(l);
    case ')':
        return lex_right_paren(l);
    case '{':
        l->brace_open = true;
        return lex_emit(l, TOKEN_LEFT_BRACE);
    case '[':
        return lex_left_bracket(l);
    case ']':
        if (!l->bracket_open)
            return lex_error(l, "unexpected right bracket ']'");
        return lex_right_bracket(l);
    case '@':
        return lex_emit(l, TOKEN_AT);
    default:
        break;
    }
    if (is_digit(r) || (r == '.' && is_digit((uint8_t)lex_byte(l)))) {
        l->pos--;
        return lex_number_or_duration(l);
    }
    if (is_alpha(r) || r == ':')
        return l->bracket_open ? lex_bracket_word(l, r) : lex_word(l);
    return lex_error_rune(l, "unexpected character: ", r, "");
}

static void lex_skip_blank(Lexer *l)
{
    for (; l->pos < l->input.len; l->pos++) {
        char c = l->input.ptr[l->pos];
        // Directly behind '[' a comment is not known.
        if (c == '#' && !l->in_duration) {
            while (l->pos < l->input.len && l->input.ptr[l->pos] != '\n' &&
                   l->input.ptr[l->pos] != '\r')
                l->pos++;
            l->pos--;
        } else if (!is_space((uint8_t)c)) {
            break;
        }
    }
    l->start = l->pos;
}

Token lexer_next(Lexer *lexer)
{
    lex_skip_blank(lexer);
    if (lexer->in_duration)
        return lex_inside_duration(lexer);
    if (lexer->brace_open)
        return lex_inside_braces(lexer);
    return lex_statement(lexer);
}
