// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "promql/parse_internal.h"

static const ParseContext in_offset = {"offset", "number, duration, step(), or range()"};
static const ParseContext in_at = {"@", "timestamp"};
static const ParseContext in_brackets = {"subquery or range selector",
                                         "number, duration, step(), or range()"};
static const ParseContext in_range_end = {"subquery or range", "\":\" or \"]\""};
static const ParseContext in_step = {"subquery selector",
                                     "number, duration, step(), range(), or \"]\""};
static const ParseContext in_step_end = {"subquery selector", "\"]\""};
static const ParseContext in_matcher = {"label matching", "identifier or \"}\""};
static const ParseContext in_matcher_op = {"label matching", "label matching operator"};
static const ParseContext in_matcher_value = {"label matching", "string"};
static const ParseContext in_matcher_list = {"label matching", "\",\" or \"}\""};

bool parse_string(Parser *p, Str *ret_string)
{
    if (!string_unquote(p->token.text, p->arena, ret_string))
        return parse_fail_quoted(p, p->token.start, "error unquoting string ", p->token.text,
                                 ": invalid syntax");
    return true;
}

typedef struct MatcherList {
    Matcher *items;
    size_t count, cap;
} MatcherList;

static bool parse_add_matcher(Parser *p, MatcherList *list, MatchKind kind, Str name, Str value,
                              uint32_t start)
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
        list->items = arena_grow(p->arena, list->items, list->cap * sizeof *list->items,
                                 cap * sizeof *list->items);
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

bool parse_selector(Parser *p, Expr **ret_expr)
{
    Expr *expr = parse_new_expr(p, EXPR_SELECTOR, p->token.start, 0);
    MatcherList list = {0};
    if (p->token.kind != TOKEN_LEFT_BRACE) {
        expr->selector.metric_name = p->token.text;
        parse_advance(p);
    }
    if (p->token.kind == TOKEN_LEFT_BRACE &&
        !parse_matchers(p, &list, &expr->selector.name_in_braces))
        return false;
    expr->end = p->last_end;
    if (expr->selector.metric_name.len &&
        !parse_add_matcher(p, &list, MATCH_EQUAL, LABEL_METRIC_NAME, expr->selector.metric_name,
                           expr->start))
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

    Expr *subquery = parse_new_expr(p, EXPR_SUBQUERY, (*expr)->start, p->last_end);
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
    return expr->kind == EXPR_SELECTOR   ? &expr->selector.shift
           : expr->kind == EXPR_SUBQUERY ? &expr->subquery.shift
                                         : NULL;
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
                          "offset modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
    if (shift_has_offset(shift))
        return PARSE_FAIL(p, expr->start, "offset may not be set multiple times");
    if (offset->duration.op == DUR_NUMBER)
        shift->offset_ms = parse_duration_ms(offset);
    else
        shift->offset_expr = offset;
    shift->offset_ends = token_is_duration_op(&p->token);
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
                              isnan(seconds) ? "NaN"
                              : seconds > 0  ? "+Inf"
                                             : "-Inf");
        return PARSE_FAIL(p, expr->start, "timestamp out of bounds for @ modifier: %f", seconds);
    }
    TimeShift *shift = expr_shift(expr);
    if (!shift)
        return PARSE_FAIL(p, expr->start,
                          "@ modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
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
        return PARSE_FAIL(p, expr->start,
                          "anchored and smoothed modifiers cannot be used together");
    expr->end = p->last_end;
    return true;
}

bool parse_suffixes(Parser *p, Expr **expr)
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
