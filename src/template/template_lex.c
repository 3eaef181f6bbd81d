// SPDX-License-Identifier: Apache-2.0
#include "template/template_lex.h"

#include "metric/labels.h"
#include "template/template_text.h"

static const struct {
    const char *word;
    TemplateToken token;
} keywords[] = {
    {"block", TEMPLATE_TOKEN_BLOCK},       {"break", TEMPLATE_TOKEN_BREAK},
    {"continue", TEMPLATE_TOKEN_CONTINUE}, {"define", TEMPLATE_TOKEN_DEFINE},
    {"else", TEMPLATE_TOKEN_ELSE},         {"end", TEMPLATE_TOKEN_END},
    {"false", TEMPLATE_TOKEN_BOOL},        {"if", TEMPLATE_TOKEN_IF},
    {"nil", TEMPLATE_TOKEN_NIL},           {"range", TEMPLATE_TOKEN_RANGE},
    {"template", TEMPLATE_TOKEN_TEMPLATE}, {"true", TEMPLATE_TOKEN_BOOL},
    {"with", TEMPLATE_TOKEN_WITH},
};

void template_lexer_init(TemplateLexer *lexer, Str input, Arena *arena)
{
    *lexer = (TemplateLexer){.input = input, .arena = arena, .line = 1};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static Str rest(const TemplateLexer *lexer)
{
    return str_skip(lexer->input, lexer->at);
}

static TemplateItem item(TemplateLexer *lexer, TemplateToken token, size_t from, size_t to)
{
    while (lexer->line_at < from)
        lexer->line += lexer->input.ptr[lexer->line_at++] == '\n';
    return (TemplateItem){token, str_sub(lexer->input, from, to - from), (uint32_t)from,
                          lexer->line};
}

// An error is told at the token that it spoils; nothing is read after it.
static TemplateItem fail(TemplateLexer *lexer, size_t from, Str message)
{
    TemplateItem error = item(lexer, TEMPLATE_TOKEN_ERROR, from, from);
    error.text = message;
    lexer->in_action = false;
    lexer->at = lexer->input.len;
    return error;
}

static TemplateItem fail_rune(TemplateLexer *lexer, size_t from, const char *what)
{
    Buf text = {0};
    uint32_t rune;
    str_rune(rest(lexer), &rune);
    buf_add_c(&text, what);
    template_add_rune_name(&text, rune);
    Str message = arena_str(lexer->arena, buf_str(&text));
    buf_deinit(&text);
    return fail(lexer, from, message);
}

// "-}}" behind white space, or "}}".
static bool at_right_delim(Str s, bool *ret_trims)
{
    *ret_trims = s.len > 1 && is_space(s.ptr[0]) && s.ptr[1] == '-' &&
                 str_starts_with(str_skip(s, 2), S("}}"));
    return *ret_trims || str_starts_with(s, S("}}"));
}

static bool has_left_trim(Str after_delim)
{
    return after_delim.len > 1 && after_delim.ptr[0] == '-' && is_space(after_delim.ptr[1]);
}

// Behind "}}" or "-}}": a trim marker eats the white space of the text that follows.
static void leave_action(TemplateLexer *lexer, bool trims)
{
    lexer->at += trims ? 4 : 2;
    lexer->in_action = false;
    while (trims && lexer->at < lexer->input.len && is_space(lexer->input.ptr[lexer->at]))
        lexer->at++;
}

// At "{{" of a comment, `marker` bytes of trim marker behind it.
static bool skip_comment(TemplateLexer *lexer, size_t marker, TemplateItem *ret_error)
{
    size_t from = lexer->at;
    bool trims;

    lexer->at += 2 + marker;
    size_t end = str_find(rest(lexer), S("*/"));
    if (end == STR_NOT_FOUND) {
        *ret_error = fail(lexer, from, S("unclosed comment"));
        return false;
    }
    lexer->at += end + 2;
    if (!at_right_delim(rest(lexer), &trims)) {
        *ret_error = fail(lexer, from, S("comment ends before closing delimiter"));
        return false;
    }
    leave_action(lexer, trims);
    return true;
}

// Text up to the next action, if there is any; else the delimiter.
static TemplateItem lex_text(TemplateLexer *lexer)
{
    for (;;) {
        size_t from = lexer->at;
        size_t len = str_find(rest(lexer), S("{{"));
        bool to_end = len == STR_NOT_FOUND;
        size_t end = to_end ? lexer->input.len : from + len;
        bool trims = !to_end && has_left_trim(str_skip(lexer->input, end + 2));
        size_t shown = end;

        while (trims && shown > from && is_space(lexer->input.ptr[shown - 1]))
            shown--;
        lexer->at = end;
        if (shown > from)
            return item(lexer, TEMPLATE_TOKEN_TEXT, from, shown);
        if (to_end)
            return item(lexer, TEMPLATE_TOKEN_EOF, end, end);

        size_t marker = trims ? 2 : 0;
        if (!str_starts_with(str_skip(lexer->input, end + 2 + marker), S("/*"))) {
            lexer->at = end + 2 + marker;
            lexer->in_action = true;
            lexer->paren_depth = 0;
            return item(lexer, TEMPLATE_TOKEN_LEFT_DELIM, end, end + 2);
        }
        TemplateItem error;
        if (!skip_comment(lexer, marker, &error))
            return error;
    }
}

static bool at_terminator(const TemplateLexer *lexer)
{
    if (lexer->at >= lexer->input.len)
        return true;

    char c = lexer->input.ptr[lexer->at];
    return is_space(c) || (c && strchr(".,|:)(", c)) || str_starts_with(rest(lexer), S("}}"));
}

static void skip_word(TemplateLexer *lexer)
{
    uint32_t rune;
    size_t len;

    while ((len = str_rune(rest(lexer), &rune)) && template_is_alphanumeric(rune))
        lexer->at += len;
}

static TemplateItem lex_identifier(TemplateLexer *lexer)
{
    size_t from = lexer->at;

    skip_word(lexer);
    if (!at_terminator(lexer))
        return fail_rune(lexer, from, "bad character ");

    TemplateItem word = item(lexer, TEMPLATE_TOKEN_IDENTIFIER, from, lexer->at);
    for (size_t i = 0; i < COUNT_OF(keywords); i++)
        if (str_is(word.text, keywords[i].word))
            word.token = keywords[i].token;
    return word;
}

// At '.' or '$'.
static TemplateItem lex_field_or_variable(TemplateLexer *lexer, TemplateToken token)
{
    size_t from = lexer->at++;

    if (at_terminator(lexer))
        return item(lexer, token == TEMPLATE_TOKEN_FIELD ? TEMPLATE_TOKEN_DOT : token, from,
                    lexer->at);
    skip_word(lexer);
    if (!at_terminator(lexer))
        return fail_rune(lexer, from, "bad character ");
    return item(lexer, token, from, lexer->at);
}

static TemplateItem lex_quoted(TemplateLexer *lexer, char quote, TemplateToken token)
{
    size_t from = lexer->at++;

    for (; lexer->at < lexer->input.len; lexer->at++) {
        char c = lexer->input.ptr[lexer->at];
        if (c == quote) {
            lexer->at++;
            return item(lexer, token, from, lexer->at);
        }
        if (c == '\n' && quote != '`')
            break;
        if (c == '\\' && quote != '`') {
            lexer->at++;
            if (lexer->at >= lexer->input.len || lexer->input.ptr[lexer->at] == '\n')
                break;
        }
    }
    return fail(lexer, from,
                quote == '\''  ? S("unterminated character constant")
                : quote == '"' ? S("unterminated quoted string")
                               : S("unterminated raw quoted string"));
}

static void skip_any(TemplateLexer *lexer, const char *set)
{
    while (lexer->at < lexer->input.len && lexer->input.ptr[lexer->at] &&
           strchr(set, lexer->input.ptr[lexer->at]))
        lexer->at++;
}

static bool accept(TemplateLexer *lexer, const char *set)
{
    if (lexer->at >= lexer->input.len || !lexer->input.ptr[lexer->at] ||
        !strchr(set, lexer->input.ptr[lexer->at]))
        return false;
    lexer->at++;
    return true;
}

// Go's number syntax in the rough; the parser reads the value. False if a letter follows.
static bool scan_number(TemplateLexer *lexer)
{
    const char *digits = "0123456789_";
    uint32_t rune;

    accept(lexer, "+-");
    if (accept(lexer, "0")) {
        if (accept(lexer, "xX"))
            digits = "0123456789abcdefABCDEF_";
        else if (accept(lexer, "oO"))
            digits = "01234567_";
        else if (accept(lexer, "bB"))
            digits = "01_";
    }
    skip_any(lexer, digits);
    if (accept(lexer, "."))
        skip_any(lexer, digits);
    bool decimal = strlen(digits) == 11;
    bool hexadecimal = strlen(digits) == 23;
    if ((decimal && accept(lexer, "eE")) || (hexadecimal && accept(lexer, "pP"))) {
        accept(lexer, "+-");
        skip_any(lexer, "0123456789_");
    }
    accept(lexer, "i");
    size_t len = str_rune(rest(lexer), &rune);
    if (len && template_is_alphanumeric(rune)) {
        lexer->at += len;
        return false;
    }
    return true;
}

static TemplateItem lex_number(TemplateLexer *lexer)
{
    size_t from = lexer->at;
    TemplateToken token = TEMPLATE_TOKEN_NUMBER;
    bool ok = scan_number(lexer);

    if (ok && lexer->at < lexer->input.len &&
        (lexer->input.ptr[lexer->at] == '+' || lexer->input.ptr[lexer->at] == '-')) {
        ok = scan_number(lexer) && lexer->input.ptr[lexer->at - 1] == 'i';
        token = TEMPLATE_TOKEN_COMPLEX;
    }
    if (!ok) {
        Buf text = {0};
        buf_add_c(&text, "bad number syntax: ");
        buf_add_go_quoted(&text, str_sub(lexer->input, from, lexer->at - from));
        Str message = arena_str(lexer->arena, buf_str(&text));
        buf_deinit(&text);
        return fail(lexer, from, message);
    }
    return item(lexer, token, from, lexer->at);
}

// White space; the last byte of it may belong to " -}}".
static TemplateItem lex_space(TemplateLexer *lexer)
{
    size_t from = lexer->at;
    bool trims;

    while (lexer->at < lexer->input.len && is_space(lexer->input.ptr[lexer->at]))
        lexer->at++;
    if (at_right_delim(str_skip(lexer->input, lexer->at - 1), &trims) && trims)
        lexer->at--;
    return item(lexer, TEMPLATE_TOKEN_SPACE, from, lexer->at);
}

static TemplateItem lex_punctuation(TemplateLexer *lexer, char c)
{
    size_t from = lexer->at;
    TemplateToken token = TEMPLATE_TOKEN_CHAR;

    switch (c) {
    case '=':
        token = TEMPLATE_TOKEN_ASSIGN;
        break;
    case '|':
        token = TEMPLATE_TOKEN_PIPE;
        break;
    case ':':
        lexer->at++;
        if (!accept(lexer, "="))
            return fail(lexer, from, S("expected :="));
        return item(lexer, TEMPLATE_TOKEN_DECLARE, from, lexer->at);
    case '(':
        token = TEMPLATE_TOKEN_LEFT_PAREN;
        lexer->paren_depth++;
        break;
    case ')':
        token = TEMPLATE_TOKEN_RIGHT_PAREN;
        if (--lexer->paren_depth < 0)
            return fail(lexer, from, S("unexpected right paren"));
        break;
    default:
        if (c < ' ' || c > '~')
            return fail_rune(lexer, from, "unrecognized character in action: ");
    }
    lexer->at++;
    return item(lexer, token, from, lexer->at);
}

static TemplateItem lex_action(TemplateLexer *lexer)
{
    size_t from = lexer->at;
    bool trims;

    if (at_right_delim(rest(lexer), &trims)) {
        if (lexer->paren_depth > 0)
            return fail(lexer, from, S("unclosed left paren"));
        TemplateItem delim =
            item(lexer, TEMPLATE_TOKEN_RIGHT_DELIM, from + (trims ? 2 : 0), from + (trims ? 4 : 2));
        leave_action(lexer, trims);
        return delim;
    }
    if (from >= lexer->input.len)
        return fail(lexer, from, S("unclosed action"));

    char c = lexer->input.ptr[from];
    char next = from + 1 < lexer->input.len ? lexer->input.ptr[from + 1] : 0;
    uint32_t rune;
    if (is_space(c))
        return lex_space(lexer);
    if (c == '"')
        return lex_quoted(lexer, c, TEMPLATE_TOKEN_STRING);
    if (c == '`')
        return lex_quoted(lexer, c, TEMPLATE_TOKEN_RAW_STRING);
    if (c == '\'')
        return lex_quoted(lexer, c, TEMPLATE_TOKEN_CHAR_CONSTANT);
    if (c == '$')
        return lex_field_or_variable(lexer, TEMPLATE_TOKEN_VARIABLE);
    if (c == '.' && !(next >= '0' && next <= '9'))
        return lex_field_or_variable(lexer, TEMPLATE_TOKEN_FIELD);
    if (c == '.' || c == '+' || c == '-' || (c >= '0' && c <= '9'))
        return lex_number(lexer);
    str_rune(rest(lexer), &rune);
    if (template_is_alphanumeric(rune))
        return lex_identifier(lexer);
    return lex_punctuation(lexer, c);
}

TemplateItem template_lexer_next(TemplateLexer *lexer)
{
    return lexer->in_action ? lex_action(lexer) : lex_text(lexer);
}

void template_item_print(Buf *out, const TemplateItem *it)
{
    Buf quoted = {0};

    if (it->token == TEMPLATE_TOKEN_EOF) {
        buf_add_c(out, "EOF");
    } else if (it->token == TEMPLATE_TOKEN_ERROR) {
        buf_add_str(out, it->text);
    } else if (it->token >= TEMPLATE_TOKEN_DOT) {
        buf_printf(out, "<" STR_FMT ">", STR_ARG(it->text));
    } else {
        Str shown = it->text;
        size_t runes = 0;
        size_t len = 0;
        for (uint32_t rune; len < shown.len && runes < 10; runes++)
            len += str_rune(str_skip(shown, len), &rune);
        // Go: %.10q... if it has more than ten bytes.
        buf_add_go_quoted(&quoted, it->text.len > 10 ? str_sub(shown, 0, len) : shown);
        buf_add_str(out, buf_str(&quoted));
        if (it->text.len > 10)
            buf_add_c(out, "...");
        buf_deinit(&quoted);
    }
}
