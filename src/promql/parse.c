// SPDX-License-Identifier: Apache-2.0
#include "promql/parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "promql/functions.h"
#include "promql/lex.h"

// What an unexpected token interrupts: the innermost construct that has words of its own for it.
typedef struct ParseContext {
    const char *place;    // "" none
    const char *expected; // "" unknown
} ParseContext;

typedef struct Parser {
    Lexer lexer;
    Token token; // not yet consumed
    Str query;
    const PromqlFeatures *features;
    Arena *arena;
    Error *err;
    ParseContext context;
    uint32_t last_end; // where the last consumed token ended
    int depth;
    size_t matcher_count;
    Matcher *regexes; // copies of the matchers that own one, to free them if parsing fails
    size_t regex_count, regex_cap;
} Parser;

static const ParseContext in_nothing = {"", ""};
static const ParseContext in_aggregation = {"aggregation", ""};
static const ParseContext in_grouping = {"grouping opts", "\"(\""};
static const ParseContext in_grouping_label = {"grouping opts", "label"};
static const ParseContext in_grouping_list = {"grouping opts", "\",\" or \")\""};
static const ParseContext in_offset = {"offset", "number, duration, step(), or range()"};
static const ParseContext in_at = {"@", "timestamp"};
static const ParseContext in_brackets = {"subquery or range selector", "number, duration, step(), or range()"};
static const ParseContext in_range_end = {"subquery or range", "\":\" or \"]\""};
static const ParseContext in_step = {"subquery selector", "number, duration, step(), range(), or \"]\""};
static const ParseContext in_step_end = {"subquery selector", "\"]\""};
static const ParseContext in_matcher = {"label matching", "identifier or \"}\""};
static const ParseContext in_matcher_op = {"label matching", "label matching operator"};
static const ParseContext in_matcher_value = {"label matching", "string"};
static const ParseContext in_matcher_list = {"label matching", "\",\" or \"}\""};

void query_position(Str query, uint32_t offset, int *ret_line, int *ret_column)
{
    int line = 1;
    int64_t last_break = -1;
    for (uint32_t i = 0; i < offset && i < query.len; i++) {
        if (query.ptr[i] == '\n') {
            last_break = i;
            line++;
        }
    }
    *ret_line = line;
    *ret_column = (int)((int64_t)offset - last_break);
}

bool parse_error(Error *err, Str query, uint32_t offset, const char *fmt, ...)
{
    Buf buf;
    buf_init(&buf, 0);
    if (query.len == 0) {
        buf_add_c(&buf, "unknown position");
    } else {
        int line, column;
        query_position(query, offset, &line, &column);
        buf_printf(&buf, "%d:%d", line, column);
    }
    buf_add_c(&buf, ": parse error: ");
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&buf, fmt, args);
    va_end(args);
    error_set(err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&buf)));
    buf_deinit(&buf);
    return false;
}

#define PARSE_FAIL(p, offset, ...) parse_error((p)->err, (p)->query, (offset), __VA_ARGS__)

// "<before><quoted><after>", quoted as Go does.
static bool parse_fail_quoted(Parser *p, uint32_t offset, const char *before, Str text, const char *after)
{
    Buf quoted;
    buf_init(&quoted, 0);
    buf_add_go_quoted(&quoted, text);
    PARSE_FAIL(p, offset, "%s" STR_FMT "%s", before, STR_ARG(buf_str(&quoted)), after);
    buf_deinit(&quoted);
    return false;
}

// The token at hand cannot stand here.
static bool parse_unexpected(Parser *p)
{
    if (p->token.kind == TOKEN_ERROR)
        return PARSE_FAIL(p, p->token.start, STR_FMT, STR_ARG(p->token.text));
    Buf text;
    buf_init(&text, 0);
    token_describe(&text, &p->token);
    if (*p->context.place)
        buf_printf(&text, " in %s", p->context.place);
    if (*p->context.expected)
        buf_printf(&text, ", expected %s", p->context.expected);
    PARSE_FAIL(p, p->token.start, "unexpected " STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

static void parse_advance(Parser *p)
{
    p->last_end = p->token.start + (uint32_t)p->token.text.len;
    p->token = lexer_next(&p->lexer);
}

static bool parse_accept(Parser *p, TokenKind kind)
{
    if (p->token.kind != kind)
        return false;
    parse_advance(p);
    return true;
}

static bool parse_expect(Parser *p, TokenKind kind)
{
    return parse_accept(p, kind) || parse_unexpected(p);
}

static bool token_is_op(const Token *token, BinaryOp op)
{
    return token->kind == TOKEN_OPERATOR && token->op == (int)op;
}

static bool token_is_sign(const Token *token)
{
    return token_is_op(token, OP_ADD) || token_is_op(token, OP_SUB);
}

static Expr *expr_new(Parser *p, ExprKind kind, uint32_t start, uint32_t end)
{
    Expr *expr = ARENA_NEW(p->arena, Expr);
    expr->kind = kind;
    expr->start = start;
    expr->end = end;
    return expr;
}

static bool parse_expr(Parser *p, int precedence_min, Expr **ret_expr);

// Numbers and durations.

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
        char c = text.ptr[i];
        int64_t digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
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
            return parse_fail_quoted(p, token->start, "error parsing number: strconv.ParseFloat: parsing ", text,
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
        return parse_fail_quoted(p, token->start, "error parsing number: strconv.ParseFloat: parsing ", token->text,
                                 hex ? ": invalid syntax" : ": value out of range");
    }
    *ret_value = value;
    return true;
}

// The number or duration at hand, in seconds.
static bool parse_number(Parser *p, double *ret_value, bool *ret_is_duration)
{
    Token token = p->token;
    if (token.kind == TOKEN_DURATION) {
        int64_t ms;
        Error ignored = {0};
        if (!duration_parse(token.text, &ms, &ignored))
            return ignored.code == ERR_LIMIT ? PARSE_FAIL(p, token.start, "duration out of range")
                                             : parse_fail_quoted(p, token.start, "not a valid duration string: ", token.text, "");
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

// Seconds as Go's time.Duration, then cut to milliseconds.
static int64_t seconds_to_ms(double seconds)
{
    return (int64_t)llround(seconds * 1e9) / 1000000;
}

static bool duration_out_of_range(double seconds)
{
    return !(seconds <= 0x1p63 / 1e9 && seconds >= -0x1p63 / 1e9);
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
    Expr *expr = expr_new(p, EXPR_DURATION, start, p->last_end);
    expr->type = TYPE_SCALAR;
    expr->duration.op = op;
    expr->duration.left = left;
    expr->duration.right = right;
    return expr;
}

static bool duration_enabled(Parser *p, uint32_t start)
{
    return p->features->duration_expressions || PARSE_FAIL(p, start, "experimental duration expression is not enabled");
}

static bool parse_duration_number(Parser *p, Expr **ret_expr)
{
    uint32_t start = p->token.start;
    double value;
    bool is_duration;
    if (!parse_number(p, &value, &is_duration))
        return false;
    if (duration_out_of_range(value))
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
        inner = duration_new(p, DUR_POS, start, NULL, inner);
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
        *ret_expr = minus ? duration_new(p, DUR_NEG, sign->start, NULL, operand) : operand;
    }
    return true;
}

static bool parse_duration_operand(Parser *p, Expr **ret_expr)
{
    Token token = p->token;
    if (token_is_sign(&token)) {
        parse_advance(p);
        Expr *operand;
        return parse_duration_expr(p, DURATION_POWER, &operand) && duration_apply_sign(p, &token, operand, ret_expr);
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
        {OP_ADD, DUR_ADD, DURATION_SUM},     {OP_SUB, DUR_SUB, DURATION_SUM},     {OP_MUL, DUR_MUL, DURATION_PRODUCT},
        {OP_DIV, DUR_DIV, DURATION_PRODUCT}, {OP_MOD, DUR_MOD, DURATION_PRODUCT}, {OP_POW, DUR_POW, DURATION_POWER},
    };
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        if (token_is_op(token, ops[i].op)) {
            *ret_op = ops[i].duration_op;
            return ops[i].precedence;
        }
    }
    return 0;
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
        if (!parse_duration_expr(p, op == DUR_POW ? precedence : precedence + 1, &right) || !duration_enabled(p, left->start))
            return false;
        if ((op == DUR_DIV || op == DUR_MOD) && duration_is_number(right) && right->duration.number == 0)
            return PARSE_FAIL(p, token.start, op == DUR_DIV ? "division by zero" : "modulo by zero");
        left = duration_new(p, op, left->start, left, right);
    }
    *ret_expr = left;
    return true;
}

static bool parse_duration_expr(Parser *p, int precedence_min, Expr **ret_expr)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        return PARSE_FAIL(p, p->token.start, "expression is nested too deeply (more than %d levels)", PARSE_DEPTH_MAX);
    Expr *left;
    bool ok = parse_duration_operand(p, &left) && parse_duration_rest(p, precedence_min, left, ret_expr);
    p->depth--;
    return ok;
}

// Behind `offset`: without parentheses only the first term belongs to it, so that `x offset -2 ^ 2` is `(x offset -2) ^ 2`.
static bool parse_offset_duration(Parser *p, Expr **ret_expr)
{
    Token token = p->token;
    if (token.kind == TOKEN_LEFT_PAREN) {
        Expr *left;
        return parse_duration_operand(p, &left) && parse_duration_rest(p, DURATION_SUM, left, ret_expr);
    }
    if (!token_is_sign(&token))
        return parse_duration_operand(p, ret_expr);
    parse_advance(p);
    Expr *operand;
    if (p->token.kind == TOKEN_LEFT_PAREN)
        return parse_duration_paren(p, &operand) && duration_apply_sign(p, &token, operand, ret_expr);
    if (token_is_sign(&p->token)) {
        Expr *left;
        return parse_duration_expr(p, DURATION_POWER, &operand) && duration_apply_sign(p, &token, operand, &left) &&
               parse_duration_rest(p, DURATION_SUM, left, ret_expr);
    }
    return parse_duration_operand(p, &operand) && duration_apply_sign(p, &token, operand, ret_expr);
}

// A range or step: milliseconds if it is a lone number, else the expression.
static bool parse_positive_duration(Parser *p, int64_t *ret_ms, Expr **ret_expr)
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
    *ret_ms = seconds_to_ms(expr->duration.number);
    *ret_expr = NULL;
    return true;
}

// Selectors.

static bool parse_string(Parser *p, Str *ret_string)
{
    if (!string_unquote(p->token.text, p->arena, ret_string))
        return parse_fail_quoted(p, p->token.start, "error unquoting string ", p->token.text, ": invalid syntax");
    return true;
}

typedef struct MatcherList {
    Matcher *items;
    size_t count, cap;
} MatcherList;

static bool parse_add_matcher(Parser *p, MatcherList *list, MatchKind kind, Str name, Str value, uint32_t start)
{
    if (++p->matcher_count > QUERY_MATCHERS_MAX)
        return PARSE_FAIL(p, start, "more than %d matchers in one query", QUERY_MATCHERS_MAX);
    Matcher matcher;
    Error fault = {0};
    if (!matcher_init(&matcher, kind, name, value, p->arena, &fault))
        return PARSE_FAIL(p, start, "%s", fault.text);
    if (matcher.regex) {
        if (p->regex_count == p->regex_cap) {
            p->regex_cap = p->regex_cap ? 2 * p->regex_cap : 8;
            p->regexes = x_realloc(p->regexes, p->regex_cap * sizeof *p->regexes);
        }
        p->regexes[p->regex_count++] = matcher;
    }
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 4;
        list->items = arena_grow(p->arena, list->items, list->cap * sizeof *list->items, cap * sizeof *list->items);
        list->cap = cap;
    }
    list->items[list->count++] = matcher;
    return true;
}

static bool token_match_kind(const Token *token, MatchKind *ret_kind)
{
    switch (token->kind) {
    case TOKEN_EQUAL:
        *ret_kind = MATCH_EQUAL;
        return true;
    case TOKEN_EQUAL_REGEX:
        *ret_kind = MATCH_REGEX;
        return true;
    case TOKEN_NOT_REGEX:
        *ret_kind = MATCH_NOT_REGEX;
        return true;
    default:
        *ret_kind = MATCH_NOT_EQUAL;
        return token_is_op(token, OP_NE);
    }
}

// name="value", "name"="value" or "metric name"
static bool parse_matcher(Parser *p, MatcherList *list, bool *ret_quoted_name)
{
    p->context = in_matcher;
    Token token = p->token;
    bool quoted = token.kind == TOKEN_STRING;
    if (!quoted && token.kind != TOKEN_IDENTIFIER)
        return parse_unexpected(p);
    Str name = token.text;
    if (quoted && !parse_string(p, &name))
        return false;
    parse_advance(p);

    MatchKind kind;
    if (!token_match_kind(&p->token, &kind)) {
        if (quoted) {
            *ret_quoted_name = true;
            return parse_add_matcher(p, list, MATCH_EQUAL, LABEL_METRIC_NAME, name, token.start);
        }
        p->context = in_matcher_op;
        return parse_unexpected(p);
    }
    parse_advance(p);
    p->context = in_matcher_value;
    Str value;
    if (p->token.kind != TOKEN_STRING)
        return parse_unexpected(p);
    if (!parse_string(p, &value))
        return false;
    parse_advance(p);
    return parse_add_matcher(p, list, kind, name, value, token.start);
}

// {…}
static bool parse_matchers(Parser *p, MatcherList *list, bool *ret_quoted_name)
{
    ParseContext outer = p->context;
    parse_advance(p);
    while (p->token.kind != TOKEN_RIGHT_BRACE) {
        if (!parse_matcher(p, list, ret_quoted_name))
            return false;
        if (p->token.kind == TOKEN_RIGHT_BRACE)
            break;
        p->context = in_matcher_list;
        if (!parse_expect(p, TOKEN_COMMA))
            return false;
    }
    parse_advance(p);
    p->context = outer;
    return true;
}

static bool parse_selector(Parser *p, Expr **ret_expr)
{
    Expr *expr = expr_new(p, EXPR_SELECTOR, p->token.start, 0);
    MatcherList list = {0};
    if (p->token.kind != TOKEN_LEFT_BRACE) {
        expr->selector.metric_name = p->token.text;
        parse_advance(p);
    }
    if (p->token.kind == TOKEN_LEFT_BRACE && !parse_matchers(p, &list, &expr->selector.name_in_braces))
        return false;
    expr->end = p->last_end;
    if (expr->selector.metric_name.len &&
        !parse_add_matcher(p, &list, MATCH_EQUAL, LABEL_METRIC_NAME, expr->selector.metric_name, expr->start))
        return false;
    expr->selector.matchers = list.items;
    expr->selector.count = list.count;
    *ret_expr = expr;
    return true;
}

// What may follow a selector: range, offset, @, anchored, smoothed.

static bool shift_has_offset(const TimeShift *shift)
{
    return shift->offset_ms != 0 || shift->offset_expr;
}

static bool parse_range(Parser *p, Expr *expr, uint32_t bracket, int64_t range_ms, Expr *range_expr)
{
    const char *fault = NULL;
    if (expr->kind != EXPR_SELECTOR || expr->selector.has_range)
        fault = "ranges only allowed for vector selectors";
    else if (shift_has_offset(&expr->selector.shift))
        fault = "no offset modifiers allowed before range";
    else if (expr->selector.shift.at != AT_NONE)
        fault = "no @ modifiers allowed before range";
    if (fault)
        return PARSE_FAIL(p, bracket, "%s", fault);
    expr->selector.has_range = true;
    expr->selector.range_ms = range_ms;
    expr->selector.range_expr = range_expr;
    expr->end = p->last_end;
    return true;
}

// [range] or [range:step]
static bool parse_brackets(Parser *p, Expr **expr)
{
    ParseContext outer = p->context;
    uint32_t bracket = p->token.start;
    p->context = in_brackets;
    parse_advance(p);
    int64_t range_ms, step_ms = 0;
    Expr *range_expr, *step_expr = NULL;
    if (!parse_positive_duration(p, &range_ms, &range_expr))
        return false;
    p->context = in_range_end;
    if (parse_accept(p, TOKEN_RIGHT_BRACKET)) {
        p->context = outer;
        return parse_range(p, *expr, bracket, range_ms, range_expr);
    }
    if (!parse_expect(p, TOKEN_COLON))
        return false;
    p->context = in_step;
    if (p->token.kind != TOKEN_RIGHT_BRACKET && !parse_positive_duration(p, &step_ms, &step_expr))
        return false;
    p->context = in_step_end;
    if (!parse_expect(p, TOKEN_RIGHT_BRACKET))
        return false;
    p->context = outer;

    Expr *subquery = expr_new(p, EXPR_SUBQUERY, (*expr)->start, p->last_end);
    subquery->subquery.expr = *expr;
    subquery->subquery.range_ms = range_ms;
    subquery->subquery.range_expr = range_expr;
    subquery->subquery.step_ms = step_ms;
    subquery->subquery.step_expr = step_expr;
    *expr = subquery;
    return true;
}

static TimeShift *expr_shift(Expr *expr)
{
    return expr->kind == EXPR_SELECTOR ? &expr->selector.shift : expr->kind == EXPR_SUBQUERY ? &expr->subquery.shift : NULL;
}

static bool parse_offset(Parser *p, Expr *expr)
{
    ParseContext outer = p->context;
    p->context = in_offset;
    parse_advance(p);
    Expr *offset;
    if (!parse_offset_duration(p, &offset))
        return false;
    p->context = outer;

    TimeShift *shift = expr_shift(expr);
    if (!shift)
        return PARSE_FAIL(p, expr->start,
                          "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery");
    if (shift_has_offset(shift))
        return PARSE_FAIL(p, expr->start, "offset may not be set multiple times");
    if (duration_is_number(offset))
        shift->offset_ms = seconds_to_ms(offset->duration.number);
    else
        shift->offset_expr = offset;
    expr->end = p->last_end;
    return true;
}

// The time behind @: a number of seconds, start() or end().
static bool parse_at_time(Parser *p, AtKind *ret_kind, double *ret_seconds)
{
    Token token = p->token;
    if (token.kind == TOKEN_START_WORD || token.kind == TOKEN_END_WORD) {
        parse_advance(p);
        *ret_kind = token.kind == TOKEN_START_WORD ? AT_START : AT_END;
        *ret_seconds = 0;
        return parse_expect(p, TOKEN_LEFT_PAREN) && parse_expect(p, TOKEN_RIGHT_PAREN);
    }
    if (token_is_sign(&token))
        parse_advance(p);
    bool is_duration;
    double seconds;
    if (!parse_number(p, &seconds, &is_duration))
        return false;
    *ret_kind = AT_TIME;
    *ret_seconds = token_is_op(&token, OP_SUB) ? -seconds : seconds;
    return true;
}

static bool parse_at(Parser *p, Expr *expr)
{
    ParseContext outer = p->context;
    p->context = in_at;
    parse_advance(p);
    AtKind kind;
    double seconds;
    if (!parse_at_time(p, &kind, &seconds))
        return false;
    p->context = outer;

    if (!(seconds < 0x1p63 && seconds > -0x1p63)) {
        if (isnan(seconds) || isinf(seconds))
            return PARSE_FAIL(p, expr->start, "timestamp out of bounds for @ modifier: %s",
                              isnan(seconds) ? "NaN" : seconds > 0 ? "+Inf" : "-Inf");
        return PARSE_FAIL(p, expr->start, "timestamp out of bounds for @ modifier: %f", seconds);
    }
    TimeShift *shift = expr_shift(expr);
    if (!shift)
        return PARSE_FAIL(p, expr->start,
                          "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery");
    if (shift->at != AT_NONE)
        return PARSE_FAIL(p, expr->start, "@ <timestamp> may not be set multiple times");
    double ms = round(seconds * 1000);
    shift->at = kind;
    shift->at_ms = ms >= 0x1p63 ? INT64_MAX : ms <= -0x1p63 ? INT64_MIN : (int64_t)ms;
    expr->end = p->last_end;
    return true;
}

static bool parse_extension(Parser *p, Expr *expr)
{
    bool anchored = p->token.kind == TOKEN_ANCHORED;
    const char *name = anchored ? "anchored" : "smoothed";
    parse_advance(p);
    if (!p->features->extended_range_selectors)
        return PARSE_FAIL(p, expr->start, "%s modifier is experimental and not enabled", name);
    if (expr->kind == EXPR_SUBQUERY)
        return PARSE_FAIL(p, expr->start, "%s modifier is not supported for subqueries", name);
    if (expr->kind != EXPR_SELECTOR)
        return PARSE_FAIL(p, expr->start, "%s modifier not implemented", name);
    *(anchored ? &expr->selector.anchored : &expr->selector.smoothed) = true;
    if (expr->selector.anchored && expr->selector.smoothed)
        return PARSE_FAIL(p, expr->start, "anchored and smoothed modifiers cannot be used together");
    expr->end = p->last_end;
    return true;
}

static bool parse_suffixes(Parser *p, Expr **expr)
{
    // Subqueries of subqueries nest to the left; the type check bounds how deep.
    for (;;) {
        bool ok = true;
        switch (p->token.kind) {
        case TOKEN_LEFT_BRACKET:
            ok = parse_brackets(p, expr);
            break;
        case TOKEN_OFFSET:
            ok = parse_offset(p, *expr);
            break;
        case TOKEN_AT:
            ok = parse_at(p, *expr);
            break;
        case TOKEN_ANCHORED:
        case TOKEN_SMOOTHED:
            ok = parse_extension(p, *expr);
            break;
        default:
            return true;
        }
        if (!ok)
            return false;
    }
}

// Grouping labels.

typedef struct StrArray {
    Str *items;
    size_t count, cap;
} StrArray;

static bool token_is_label(const Token *token)
{
    if (token->kind == TOKEN_OPERATOR)
        return token->op == OP_AND || token->op == OP_OR || token->op == OP_UNLESS || token->op == OP_ATAN2;
    return token->kind == TOKEN_IDENTIFIER || token->kind == TOKEN_METRIC_IDENTIFIER || token->kind == TOKEN_AGGREGATE ||
           (token->kind >= TOKEN_BOOL && token->kind != TOKEN_WITHOUT);
}

static bool parse_grouping_label(Parser *p, StrArray *labels)
{
    p->context = in_grouping_label;
    Str name = p->token.text;
    bool quoted = p->token.kind == TOKEN_STRING;
    if (!quoted && !token_is_label(&p->token))
        return parse_unexpected(p);
    if (quoted && !parse_string(p, &name))
        return false;
    if (!name_is_utf8(name))
        return parse_fail_quoted(p, p->token.start, "invalid label name for grouping: ", name, "");
    parse_advance(p);
    if (labels->count == labels->cap) {
        size_t cap = labels->cap ? 2 * labels->cap : 4;
        labels->items = arena_grow(p->arena, labels->items, labels->cap * sizeof(Str), cap * sizeof(Str));
        labels->cap = cap;
    }
    labels->items[labels->count++] = name;
    return true;
}

// (a, b,)
static bool parse_grouping(Parser *p, StrArray *labels)
{
    ParseContext outer = p->context;
    p->context = in_grouping;
    if (!parse_expect(p, TOKEN_LEFT_PAREN))
        return false;
    while (p->token.kind != TOKEN_RIGHT_PAREN) {
        if (!parse_grouping_label(p, labels))
            return false;
        if (p->token.kind == TOKEN_RIGHT_PAREN)
            break;
        p->context = in_grouping_list;
        if (!parse_expect(p, TOKEN_COMMA))
            return false;
    }
    parse_advance(p);
    p->context = outer;
    return true;
}

// Calls and aggregations.

typedef struct ExprArray {
    Expr **items;
    size_t count, cap;
} ExprArray;

static bool token_begins_expr(const Token *token)
{
    switch (token->kind) {
    case TOKEN_OPERATOR:
        return token_is_sign(token) || token->op == OP_AND || token->op == OP_OR || token->op == OP_UNLESS;
    case TOKEN_END:
    case TOKEN_ERROR:
    case TOKEN_RIGHT_PAREN:
    case TOKEN_RIGHT_BRACE:
    case TOKEN_RIGHT_BRACKET:
    case TOKEN_LEFT_BRACKET:
    case TOKEN_COMMA:
    case TOKEN_COLON:
    case TOKEN_EQUAL:
    case TOKEN_EQUAL_REGEX:
    case TOKEN_NOT_REGEX:
    case TOKEN_AT:
    case TOKEN_BOOL:
    case TOKEN_ON:
    case TOKEN_IGNORING:
    case TOKEN_GROUP_LEFT:
    case TOKEN_GROUP_RIGHT:
        return false;
    default:
        return true;
    }
}

// (expr, expr)
static bool parse_arguments(Parser *p, ExprArray *args)
{
    if (!parse_expect(p, TOKEN_LEFT_PAREN))
        return false;
    if (parse_accept(p, TOKEN_RIGHT_PAREN))
        return true;
    for (;;) {
        Expr *arg;
        if (!parse_expr(p, 0, &arg))
            return false;
        if (args->count == args->cap) {
            size_t cap = args->cap ? 2 * args->cap : 4;
            args->items = arena_grow(p->arena, args->items, args->cap * sizeof(Expr *), cap * sizeof(Expr *));
            args->cap = cap;
        }
        args->items[args->count++] = arg;
        if (p->token.kind != TOKEN_COMMA)
            return parse_expect(p, TOKEN_RIGHT_PAREN);
        uint32_t comma = p->token.start;
        parse_advance(p);
        if (p->token.kind != TOKEN_ERROR && !token_begins_expr(&p->token))
            return PARSE_FAIL(p, comma, "trailing commas not allowed in function call args");
    }
}

// The word is taken; '(' is at hand.
static bool parse_call(Parser *p, const Token *word, Expr **ret_expr)
{
    ExprArray args = {0};
    if (!parse_arguments(p, &args))
        return false;
    const FunctionInfo *function = function_find(word->text);
    if (!function)
        return parse_fail_quoted(p, word->start, "unknown function with name ", word->text, "");
    if (function->experimental && !p->features->experimental_functions)
        return parse_fail_quoted(p, word->start, "function ", word->text, " is not enabled");
    Expr *expr = expr_new(p, EXPR_CALL, word->start, p->last_end);
    expr->call.function = function;
    expr->call.args = args.items;
    expr->call.count = args.count;
    *ret_expr = expr;
    return true;
}

static bool parse_aggregate_modifier(Parser *p, Expr *expr)
{
    expr->aggregate.without = p->token.kind == TOKEN_WITHOUT;
    parse_advance(p);
    StrArray labels = {0};
    if (!parse_grouping(p, &labels))
        return false;
    expr->aggregate.grouping = labels.items;
    expr->aggregate.grouping_count = labels.count;
    return true;
}

static bool aggregate_set_arguments(Parser *p, Expr *expr, const ExprArray *args)
{
    AggregateOp op = expr->aggregate.op;
    if (args->count == 0)
        return PARSE_FAIL(p, expr->start, "no arguments for aggregate expression provided");
    size_t want = 1;
    if (aggregate_op_has_param(op)) {
        if ((op == AGG_LIMITK || op == AGG_LIMIT_RATIO) && !p->features->experimental_functions)
            return PARSE_FAIL(p, expr->start,
                              "%s() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                              aggregate_op_text(op));
        want = 2;
        expr->aggregate.param = args->items[0];
    }
    if (args->count != want)
        return PARSE_FAIL(p, expr->start, "wrong number of arguments for aggregate expression provided, expected %zu, got %zu", want,
                          args->count);
    expr->aggregate.expr = args->items[want - 1];
    return true;
}

// The operator is taken; '(', by or without is at hand.
static bool parse_aggregate(Parser *p, const Token *word, Expr **ret_expr)
{
    ParseContext outer = p->context;
    p->context = in_aggregation;
    Expr *expr = expr_new(p, EXPR_AGGREGATE, word->start, 0);
    expr->aggregate.op = (AggregateOp)word->op;
    bool modifier_first = p->token.kind != TOKEN_LEFT_PAREN;
    if (modifier_first && !parse_aggregate_modifier(p, expr))
        return false;
    ExprArray args = {0};
    if (!parse_arguments(p, &args))
        return false;
    if (!modifier_first && (p->token.kind == TOKEN_BY || p->token.kind == TOKEN_WITHOUT) && !parse_aggregate_modifier(p, expr))
        return false;
    p->context = outer;
    expr->end = p->last_end;
    *ret_expr = expr;
    return aggregate_set_arguments(p, expr, &args);
}

// Primaries.

static bool parse_number_literal(Parser *p, Expr **ret_expr)
{
    Expr *expr = expr_new(p, EXPR_NUMBER, p->token.start, 0);
    if (!parse_number(p, &expr->number.value, &expr->number.is_duration))
        return false;
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool parse_string_literal(Parser *p, Expr **ret_expr)
{
    Expr *expr = expr_new(p, EXPR_STRING, p->token.start, 0);
    if (!parse_string(p, &expr->string))
        return false;
    parse_advance(p);
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool parse_paren(Parser *p, Expr **ret_expr)
{
    Expr *expr = expr_new(p, EXPR_PAREN, p->token.start, 0);
    parse_advance(p);
    if (!parse_expr(p, 0, &expr->paren) || !parse_expect(p, TOKEN_RIGHT_PAREN))
        return false;
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool token_may_name_metric(const Token *token)
{
    return token->kind == TOKEN_IDENTIFIER || token->kind == TOKEN_METRIC_IDENTIFIER || token->kind == TOKEN_LEFT_BRACE ||
           token->kind == TOKEN_AGGREGATE ||
           (token->kind == TOKEN_OPERATOR && token_begins_expr(token) && !token_is_sign(token)) ||
           (token->kind >= TOKEN_BOOL && token_begins_expr(token));
}

// The word at hand and a '(' or the like behind it decide together what it is.
static bool parse_word(Parser *p, Expr **ret_expr)
{
    Token word = p->token;
    Lexer ahead = p->lexer;
    Token next = lexer_next(&ahead);
    if (word.kind == TOKEN_AGGREGATE && (next.kind == TOKEN_LEFT_PAREN || next.kind == TOKEN_BY || next.kind == TOKEN_WITHOUT)) {
        parse_advance(p);
        return parse_aggregate(p, &word, ret_expr);
    }
    if (next.kind == TOKEN_LEFT_PAREN && (word.kind == TOKEN_IDENTIFIER || word.kind >= TOKEN_START_WORD)) {
        parse_advance(p);
        return parse_call(p, &word, ret_expr);
    }
    return parse_selector(p, ret_expr);
}

static bool parse_primary(Parser *p, Expr **ret_expr)
{
    switch (p->token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        return parse_number_literal(p, ret_expr);
    case TOKEN_STRING:
        return parse_string_literal(p, ret_expr);
    case TOKEN_LEFT_PAREN:
        return parse_paren(p, ret_expr);
    case TOKEN_LEFT_BRACE:
        return parse_selector(p, ret_expr);
    default:
        return token_may_name_metric(&p->token) ? parse_word(p, ret_expr) : parse_unexpected(p);
    }
}

// Operators, lowest first.

enum { PRECEDENCE_OR = 1, PRECEDENCE_AND, PRECEDENCE_COMPARE, PRECEDENCE_SUM, PRECEDENCE_PRODUCT, PRECEDENCE_POWER };

static int binary_precedence(BinaryOp op)
{
    switch (op) {
    case OP_OR:
        return PRECEDENCE_OR;
    case OP_AND:
    case OP_UNLESS:
        return PRECEDENCE_AND;
    case OP_ADD:
    case OP_SUB:
        return PRECEDENCE_SUM;
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
    case OP_ATAN2:
        return PRECEDENCE_PRODUCT;
    case OP_POW:
        return PRECEDENCE_POWER;
    default:
        return PRECEDENCE_COMPARE;
    }
}

// (1), (-1) or (5m)
static bool parse_fill_value(Parser *p, double *ret_value)
{
    parse_advance(p);
    if (!parse_expect(p, TOKEN_LEFT_PAREN))
        return false;
    bool minus = token_is_op(&p->token, OP_SUB), is_duration;
    if (token_is_sign(&p->token))
        parse_advance(p);
    double value;
    if (!parse_number(p, &value, &is_duration) || !parse_expect(p, TOKEN_RIGHT_PAREN))
        return false;
    *ret_value = minus ? -value : value;
    return true;
}

static bool parse_fill(Parser *p, Expr *expr)
{
    if (p->token.kind == TOKEN_FILL) {
        if (!parse_fill_value(p, &expr->binary.fill_left))
            return false;
        expr->binary.fill_right = expr->binary.fill_left;
        expr->binary.has_fill_left = expr->binary.has_fill_right = true;
        return true;
    }
    while ((p->token.kind == TOKEN_FILL_LEFT && !expr->binary.has_fill_left) ||
           (p->token.kind == TOKEN_FILL_RIGHT && !expr->binary.has_fill_right)) {
        bool left = p->token.kind == TOKEN_FILL_LEFT;
        if (!parse_fill_value(p, left ? &expr->binary.fill_left : &expr->binary.fill_right))
            return false;
        *(left ? &expr->binary.has_fill_left : &expr->binary.has_fill_right) = true;
    }
    return true;
}

// bool, on/ignoring, group_left/group_right, fill: in this order.
static bool parse_binary_modifiers(Parser *p, Expr *expr)
{
    expr->binary.return_bool = parse_accept(p, TOKEN_BOOL);
    if (p->token.kind == TOKEN_ON || p->token.kind == TOKEN_IGNORING) {
        expr->binary.on = p->token.kind == TOKEN_ON;
        parse_advance(p);
        StrArray labels = {0};
        if (!parse_grouping(p, &labels))
            return false;
        expr->binary.labels = labels.items;
        expr->binary.label_count = labels.count;
        if (p->token.kind == TOKEN_GROUP_LEFT || p->token.kind == TOKEN_GROUP_RIGHT) {
            expr->binary.card = p->token.kind == TOKEN_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
            parse_advance(p);
            StrArray include = {0};
            if (p->token.kind == TOKEN_LEFT_PAREN && !parse_grouping(p, &include))
                return false;
            expr->binary.include = include.items;
            expr->binary.include_count = include.count;
        }
    }
    return parse_fill(p, expr);
}

// The operator is at hand.
static bool parse_binary(Parser *p, Expr **left)
{
    BinaryOp op = (BinaryOp)p->token.op;
    int precedence = binary_precedence(op);
    parse_advance(p);
    Expr *expr = expr_new(p, EXPR_BINARY, (*left)->start, 0);
    expr->binary.op = op;
    expr->binary.left = *left;
    expr->binary.has_matching = true;
    if (!parse_binary_modifiers(p, expr) || !parse_expr(p, op == OP_POW ? precedence : precedence + 1, &expr->binary.right))
        return false;
    expr->end = expr->binary.right->end;
    if (!p->features->fill_modifiers && (expr->binary.has_fill_left || expr->binary.has_fill_right))
        return PARSE_FAIL(p, expr->start, "binop fill modifiers are experimental and not enabled");
    *left = expr;
    return true;
}

// A sign binds as * does, so -1 ^ 2 is -(1 ^ 2).
static bool parse_signed(Parser *p, Expr **ret_expr)
{
    Token sign = p->token;
    parse_advance(p);
    Expr *operand;
    if (!parse_expr(p, PRECEDENCE_PRODUCT + 1, &operand))
        return false;
    bool minus = sign.op == OP_SUB;
    if (operand->kind == EXPR_NUMBER) {
        if (minus)
            operand->number.value = -operand->number.value;
        operand->start = sign.start;
        *ret_expr = operand;
        return true;
    }
    Expr *expr = expr_new(p, EXPR_UNARY, sign.start, operand->end);
    expr->unary.negative = minus;
    expr->unary.expr = operand;
    *ret_expr = expr;
    return true;
}

static bool parse_expr_inner(Parser *p, int precedence_min, Expr **ret_expr)
{
    Expr *left;
    bool ok = token_is_sign(&p->token) ? parse_signed(p, &left) : parse_primary(p, &left) && parse_suffixes(p, &left);
    while (ok && p->token.kind == TOKEN_OPERATOR && binary_precedence((BinaryOp)p->token.op) >= precedence_min)
        ok = parse_binary(p, &left);
    if (ok)
        *ret_expr = left;
    return ok;
}

static bool parse_expr(Parser *p, int precedence_min, Expr **ret_expr)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        return PARSE_FAIL(p, p->token.start, "expression is nested too deeply (more than %d levels)", PARSE_DEPTH_MAX);
    bool ok = parse_expr_inner(p, precedence_min, ret_expr);
    p->depth--;
    return ok;
}

// Entries.

static void parser_init(Parser *p, Str query, const PromqlFeatures *features, Arena *arena, Error *err)
{
    static const PromqlFeatures no_features = {.duration_expressions = true};
    *p = (Parser){.arena = arena, .err = err, .context = in_nothing};
    p->features = features ? features : &no_features;
    p->query = arena_str(arena, query);
    lexer_init(&p->lexer, p->query);
    p->token = lexer_next(&p->lexer);
}

static bool query_fits(Str query, Error *err)
{
    return query.len <= QUERY_BYTES_MAX || error_set(err, ERR_LIMIT, "query is longer than %u bytes", QUERY_BYTES_MAX);
}

// Frees what a failed parse has left.
static bool parser_finish(Parser *p, bool ok)
{
    if (!ok)
        for (size_t i = 0; i < p->regex_count; i++)
            matcher_deinit(&p->regexes[i]);
    free(p->regexes);
    return ok;
}

bool promql_parse(Str query, const PromqlFeatures *features, Arena *arena, Expr **ret_expr, Error *err)
{
    if (!query_fits(query, err))
        return false;
    Parser p;
    parser_init(&p, query, features, arena, err);
    if (p.token.kind == TOKEN_END)
        return PARSE_FAIL(&p, 0, "no expression found in input");
    Expr *expr;
    bool ok = parse_expr(&p, 0, &expr) && (p.token.kind == TOKEN_END || parse_unexpected(&p)) &&
              expr_type_check(expr, p.query, err);
    if (!parser_finish(&p, ok))
        return false;
    *ret_expr = expr;
    return true;
}

bool parse_metric_selector(Str text, Arena *arena, Matcher **ret_matchers, size_t *ret_count, Error *err)
{
    if (!query_fits(text, err))
        return false;
    Parser p;
    parser_init(&p, text, NULL, arena, err);
    Expr *expr;
    bool ok = (token_may_name_metric(&p.token) || parse_unexpected(&p)) && parse_selector(&p, &expr) &&
              (p.token.kind == TOKEN_END || parse_unexpected(&p));
    if (!parser_finish(&p, ok))
        return false;
    *ret_matchers = expr->selector.matchers;
    *ret_count = expr->selector.count;
    return true;
}

void promql_matchers_free(Matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        matcher_deinit(&matchers[i]);
}

void expr_free_regexes(Expr *expr)
{
    if (!expr)
        return;
    switch (expr->kind) {
    case EXPR_SELECTOR:
        promql_matchers_free(expr->selector.matchers, expr->selector.count);
        return;
    case EXPR_SUBQUERY:
        expr_free_regexes(expr->subquery.expr);
        return;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            expr_free_regexes(expr->call.args[i]);
        return;
    case EXPR_AGGREGATE:
        expr_free_regexes(expr->aggregate.param);
        expr_free_regexes(expr->aggregate.expr);
        return;
    case EXPR_BINARY:
        expr_free_regexes(expr->binary.left);
        expr_free_regexes(expr->binary.right);
        return;
    case EXPR_UNARY:
        expr_free_regexes(expr->unary.expr);
        return;
    case EXPR_PAREN:
        expr_free_regexes(expr->paren);
        return;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        return;
    }
}
