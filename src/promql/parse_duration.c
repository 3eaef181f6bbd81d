// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "promql/parse_internal.h"

// Go's underscoreOK: only between digits, or behind the base prefix.
static bool underscores_ok(Str text)
{
    bool digit = false;
    size_t at = 0;
    if (text.len > 2 && text.ptr[0] == '0' && (text.ptr[1] | 32) == 'x') {
        digit = true;
        at = 2;
    }
    bool hex = digit, underscore = false;
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        bool is_digit = (c >= '0' && c <= '9') || (hex && (c | 32) >= 'a' && (c | 32) <= 'f');
        if (c == '_') {
            if (!digit)
                return false;
            underscore = true;
            digit = false;
            continue;
        }
        if (underscore && !is_digit)
            return false;
        underscore = false;
        digit = is_digit;
    }
    return !underscore;
}

// An integer with Go's base prefixes 0x and 0. False if it is none or too large: then it is read as a float.
static bool parse_based_integer(Str text, double *ret_value)
{
    int64_t base = 10;
    if (text.len > 1 && text.ptr[0] == '0') {
        bool hex = (text.ptr[1] | 32) == 'x';
        base = hex ? 16 : 8;
        text = str_skip(text, hex ? 2 : 1);
    }
    if (text.len == 0)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        int64_t digit = str_digit(text.ptr[i]);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = (double)value;
    return true;
}

static bool parse_number_text(Parser *p, const Token *token, double *ret_value)
{
    Str text = token->text;
    if (str_find_char(text, '_') != STR_NOT_FOUND) {
        if (!underscores_ok(text))
            return parse_fail_quoted(p, token->start,
                                     "error parsing number: strconv.ParseFloat: parsing ", text,
                                     ": invalid syntax");
        char *plain = arena_alloc(p->arena, text.len);
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] != '_')
                plain[len++] = text.ptr[i];
        text = str_make(plain, len);
    }
    double value;
    if (!parse_based_integer(text, &value) && !number_parse_double(text, &value)) {
        bool hex = text.len > 1 && (text.ptr[1] | 32) == 'x';
        return parse_fail_quoted(p, token->start,
                                 "error parsing number: strconv.ParseFloat: parsing ", token->text,
                                 hex ? ": invalid syntax" : ": value out of range");
    }
    *ret_value = value;
    return true;
}

// Says what is wrong with a duration in the original's words.
static bool fail_duration(Parser *p, const Token *token, const Error *fault)
{
    static const Str units[] = {STR("ms"), STR("s"), STR("m"), STR("h"),
                                STR("d"),  STR("w"), STR("y")};
    Str text = token->text;
    for (size_t at = 0; at < text.len;) {
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        size_t from = at;
        while (at < text.len && !(text.ptr[at] >= '0' && text.ptr[at] <= '9'))
            at++;
        Str unit = str_sub(text, from, at - from);
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(units); i++)
            known |= str_equal(unit, units[i]);
        if (!known)
            return PARSE_FAIL(p, token->start,
                              "unknown unit \"" STR_FMT "\" in duration \"" STR_FMT "\"",
                              STR_ARG(unit), STR_ARG(text));
    }
    if (strstr(fault->text, "out of range"))
        return PARSE_FAIL(p, token->start, "duration out of range");
    return parse_fail_quoted(p, token->start, "not a valid duration string: ", text, "");
}

bool parse_number(Parser *p, double *ret_value, bool *ret_is_duration)
{
    Token token = p->token;
    if (token.kind == TOKEN_DURATION) {
        int64_t ms;
        Error ignored = {0};
        if (!duration_parse(token.text, &ms, &ignored))
            return fail_duration(p, &token, &ignored);
        *ret_value = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
        *ret_is_duration = true;
    } else if (token.kind == TOKEN_NUMBER) {
        if (!parse_number_text(p, &token, ret_value))
            return false;
        *ret_is_duration = false;
    } else {
        return parse_unexpected(p);
    }
    parse_advance(p);
    return true;
}

int64_t parse_duration_ms(const Expr *number)
{
    double seconds = number->duration.number;
    if (isnan(seconds))
        return 0;
    // What was written as a duration is whole milliseconds; through nanoseconds some above 104 days would lose one.
    if (number->duration.is_duration)
        return llround(seconds * 1e3);
    return (int64_t)llround(seconds * 1e9) / 1000000;
}

bool parse_duration_out_of_range(double seconds)
{
    return seconds > 0x1p63 / 1e9 || seconds < -0x1p63 / 1e9;
}

// Duration expressions. A lone number is a DUR_NUMBER node until the caller takes it out.

enum { DURATION_SUM = 1, DURATION_PRODUCT = 2, DURATION_POWER = 3 };

static bool parse_duration_expr(Parser *p, int precedence_min, Expr **ret_expr);

static bool duration_is_number(const Expr *expr)
{
    return expr->duration.op == DUR_NUMBER;
}

static Expr *duration_new(Parser *p, DurationOp op, uint32_t start, Expr *left, Expr *right)
{
    Expr *expr = parse_new_expr(p, EXPR_DURATION, start, p->last_end);
    expr->type = TYPE_SCALAR;
    expr->duration.op = op;
    expr->duration.left = left;
    expr->duration.right = right;
    return expr;
}

static bool duration_enabled(Parser *p, uint32_t start)
{
    return p->features->duration_expressions ||
           PARSE_FAIL(p, start, "experimental duration expression is not enabled");
}

static bool parse_duration_number(Parser *p, Expr **ret_expr)
{
    uint32_t start = p->token.start;
    double value;
    bool is_duration;
    if (!parse_number(p, &value, &is_duration))
        return false;
    if (parse_duration_out_of_range(value))
        return PARSE_FAIL(p, start, "duration out of range");
    Expr *expr = duration_new(p, DUR_NUMBER, start, NULL, NULL);
    expr->duration.number = value;
    expr->duration.is_duration = is_duration;
    *ret_expr = expr;
    return true;
}

// step(), range(), min_of(a, b), max_of(a, b)
static bool parse_duration_call(Parser *p, Expr **ret_expr)
{
    Token word = p->token;
    parse_advance(p);
    if (!parse_expect(p, TOKEN_LEFT_PAREN))
        return false;
    Expr *left = NULL, *right = NULL;
    bool binary = word.kind == TOKEN_MIN_OF || word.kind == TOKEN_MAX_OF;
    if (binary && (!parse_duration_expr(p, DURATION_SUM, &left) || !parse_expect(p, TOKEN_COMMA) ||
                   !parse_duration_expr(p, DURATION_SUM, &right)))
        return false;
    if (!parse_expect(p, TOKEN_RIGHT_PAREN) || !duration_enabled(p, word.start))
        return false;
    DurationOp op = word.kind == TOKEN_STEP     ? DUR_STEP
                    : word.kind == TOKEN_RANGE  ? DUR_RANGE
                    : word.kind == TOKEN_MIN_OF ? DUR_MIN
                                                : DUR_MAX;
    *ret_expr = duration_new(p, op, word.start, left, right);
    return true;
}

// Marks (…); a lone number is lifted into a unary plus that can carry the mark.
static Expr *duration_wrap(Parser *p, Expr *inner, uint32_t start)
{
    if (duration_is_number(inner))
        inner = duration_new(p, DUR_POS, start, inner, NULL);
    inner->duration.wrapped = true;
    return inner;
}

// (…) without the feature check.
static bool parse_duration_paren(Parser *p, Expr **ret_expr)
{
    uint32_t start = p->token.start;
    parse_advance(p);
    Expr *inner;
    if (!parse_duration_expr(p, DURATION_SUM, &inner) || !parse_expect(p, TOKEN_RIGHT_PAREN))
        return false;
    *ret_expr = duration_wrap(p, inner, start);
    return true;
}

static bool duration_apply_sign(Parser *p, const Token *sign, Expr *operand, Expr **ret_expr)
{
    bool minus = sign->op == OP_SUB;
    if (duration_is_number(operand)) {
        if (minus)
            operand->duration.number = -operand->duration.number;
        operand->start = sign->start;
        *ret_expr = operand;
    } else {
        *ret_expr = minus ? duration_new(p, DUR_NEG, sign->start, operand, NULL) : operand;
    }
    return true;
}

static bool parse_duration_operand(Parser *p, Expr **ret_expr)
{
    Token token = p->token;
    if (token_is_sign(&token)) {
        parse_advance(p);
        Expr *operand;
        return parse_duration_expr(p, DURATION_POWER, &operand) &&
               duration_apply_sign(p, &token, operand, ret_expr);
    }
    switch (token.kind) {
    case TOKEN_LEFT_PAREN:
        return parse_duration_paren(p, ret_expr) && duration_enabled(p, token.start + 1);
    case TOKEN_STEP:
    case TOKEN_RANGE:
    case TOKEN_MIN_OF:
    case TOKEN_MAX_OF:
        return parse_duration_call(p, ret_expr);
    default:
        return parse_duration_number(p, ret_expr);
    }
}

// 0 if the token is no operator of duration expressions.
static int duration_precedence(const Token *token, DurationOp *ret_op)
{
    static const struct {
        BinaryOp op;
        DurationOp duration_op;
        int precedence;
    } ops[] = {
        {OP_ADD, DUR_ADD, DURATION_SUM},     {OP_SUB, DUR_SUB, DURATION_SUM},
        {OP_MUL, DUR_MUL, DURATION_PRODUCT}, {OP_DIV, DUR_DIV, DURATION_PRODUCT},
        {OP_MOD, DUR_MOD, DURATION_PRODUCT}, {OP_POW, DUR_POW, DURATION_POWER},
    };
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        if (token_is_op(token, ops[i].op)) {
            *ret_op = ops[i].duration_op;
            return ops[i].precedence;
        }
    }
    return 0;
}

bool token_is_duration_op(const Token *token)
{
    DurationOp op;
    return duration_precedence(token, &op) != 0;
}

static bool parse_duration_rest(Parser *p, int precedence_min, Expr *left, Expr **ret_expr)
{
    for (;;) {
        Token token = p->token;
        DurationOp op = DUR_ADD;
        int precedence = duration_precedence(&token, &op);
        if (precedence == 0 || precedence < precedence_min)
            break;
        parse_advance(p);
        Expr *right;
        if (!parse_duration_expr(p, op == DUR_POW ? precedence : precedence + 1, &right) ||
            !duration_enabled(p, left->start))
            return false;
        if ((op == DUR_DIV || op == DUR_MOD) && duration_is_number(right) &&
            right->duration.number == 0)
            return PARSE_FAIL(p, token.start,
                              op == DUR_DIV ? "division by zero" : "modulo by zero");
        left = duration_new(p, op, left->start, left, right);
    }
    *ret_expr = left;
    return true;
}

static bool fail_depth(Parser *p)
{
    return PARSE_FAIL(p, p->token.start, "expression is nested too deeply (more than %d levels)",
                      PARSE_DEPTH_MAX);
}

static bool parse_duration_expr(Parser *p, int precedence_min, Expr **ret_expr)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        return fail_depth(p);
    Expr *left;
    bool ok =
        parse_duration_operand(p, &left) && parse_duration_rest(p, precedence_min, left, ret_expr);
    p->depth--;
    return ok;
}

bool parse_offset_duration(Parser *p, Expr **ret_expr)
{
    Token token = p->token;
    if (token.kind == TOKEN_LEFT_PAREN) {
        Expr *left;
        return parse_duration_operand(p, &left) &&
               parse_duration_rest(p, DURATION_SUM, left, ret_expr);
    }
    if (!token_is_sign(&token))
        return parse_duration_operand(p, ret_expr);
    parse_advance(p);
    Expr *operand;
    if (p->token.kind == TOKEN_LEFT_PAREN)
        return parse_duration_paren(p, &operand) &&
               duration_apply_sign(p, &token, operand, ret_expr);
    // Further signs belong to the same first term.
    if (token_is_sign(&p->token)) {
        if (++p->depth > PARSE_DEPTH_MAX)
            return fail_depth(p);
        bool ok =
            parse_offset_duration(p, &operand) && duration_apply_sign(p, &token, operand, ret_expr);
        p->depth--;
        return ok;
    }
    return parse_duration_operand(p, &operand) && duration_apply_sign(p, &token, operand, ret_expr);
}

bool parse_positive_duration(Parser *p, int64_t *ret_ms, Expr **ret_expr)
{
    Expr *expr;
    if (!parse_duration_expr(p, DURATION_SUM, &expr))
        return false;
    if (!duration_is_number(expr)) {
        *ret_ms = 0;
        *ret_expr = expr;
        return true;
    }
    if (expr->duration.number <= 0)
        return PARSE_FAIL(p, expr->start, "duration must be greater than 0");
    *ret_ms = parse_duration_ms(expr);
    *ret_expr = NULL;
    return true;
}
