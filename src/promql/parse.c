// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdlib.h>

#include "promql/functions.h"
#include "promql/parse_internal.h"

static const ParseContext in_nothing = {"", ""};
static const ParseContext in_aggregation = {"aggregation", ""};
static const ParseContext in_grouping = {"grouping opts", "\"(\""};
static const ParseContext in_grouping_label = {"grouping opts", "label"};
static const ParseContext in_grouping_list = {"grouping opts", "\",\" or \")\""};

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

// "<before><quoted><after>", quoted as Go does.
bool parse_fail_quoted(Parser *p, uint32_t offset, const char *before, Str text, const char *after)
{
    Buf quoted;
    buf_init(&quoted, 0);
    buf_add_go_quoted(&quoted, text);
    PARSE_FAIL(p, offset, "%s" STR_FMT "%s", before, STR_ARG(buf_str(&quoted)), after);
    buf_deinit(&quoted);
    return false;
}

// The token at hand cannot stand here.
bool parse_unexpected(Parser *p)
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

void parse_advance(Parser *p)
{
    p->last_end = p->token.start + (uint32_t)p->token.text.len;
    p->token = lexer_next(&p->lexer);
}

bool parse_accept(Parser *p, TokenKind kind)
{
    if (p->token.kind != kind)
        return false;
    parse_advance(p);
    return true;
}

bool parse_expect(Parser *p, TokenKind kind)
{
    return parse_accept(p, kind) || parse_unexpected(p);
}

Expr *parse_new_expr(Parser *p, ExprKind kind, uint32_t start, uint32_t end)
{
    Expr *expr = ARENA_NEW(p->arena, Expr);
    expr->kind = kind;
    expr->start = start;
    expr->end = end;
    return expr;
}

static bool parse_expr(Parser *p, int precedence_min, Expr **ret_expr);

// Grouping labels.

typedef struct StrArray {
    Str *items;
    size_t count, cap;
} StrArray;

static bool token_is_label(const Token *token)
{
    if (token->kind == TOKEN_OPERATOR)
        return token->op == OP_AND || token->op == OP_OR || token->op == OP_UNLESS ||
               token->op == OP_ATAN2;
    return token->kind == TOKEN_IDENTIFIER || token->kind == TOKEN_METRIC_IDENTIFIER ||
           token->kind == TOKEN_AGGREGATE ||
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
        labels->items =
            arena_grow(p->arena, labels->items, labels->cap * sizeof(Str), cap * sizeof(Str));
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
        return token_is_sign(token) || token->op == OP_AND || token->op == OP_OR ||
               token->op == OP_UNLESS;
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
            args->items =
                arena_grow(p->arena, args->items, args->cap * sizeof(Expr *), cap * sizeof(Expr *));
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
    Expr *expr = parse_new_expr(p, EXPR_CALL, word->start, p->last_end);
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
                              "%s() is experimental and must be enabled with "
                              "--enable-feature=promql-experimental-functions",
                              aggregate_op_text(op));
        want = 2;
        expr->aggregate.param = args->items[0];
    }
    if (args->count != want)
        return PARSE_FAIL(
            p, expr->start,
            "wrong number of arguments for aggregate expression provided, expected %zu, got %zu",
            want, args->count);
    expr->aggregate.expr = args->items[want - 1];
    return true;
}

// The operator is taken; '(', by or without is at hand.
static bool parse_aggregate(Parser *p, const Token *word, Expr **ret_expr)
{
    ParseContext outer = p->context;
    p->context = in_aggregation;
    Expr *expr = parse_new_expr(p, EXPR_AGGREGATE, word->start, 0);
    expr->aggregate.op = (AggregateOp)word->op;
    bool modifier_first = p->token.kind != TOKEN_LEFT_PAREN;
    if (modifier_first && !parse_aggregate_modifier(p, expr))
        return false;
    ExprArray args = {0};
    if (!parse_arguments(p, &args))
        return false;
    if (!modifier_first && (p->token.kind == TOKEN_BY || p->token.kind == TOKEN_WITHOUT) &&
        !parse_aggregate_modifier(p, expr))
        return false;
    p->context = outer;
    expr->end = p->last_end;
    *ret_expr = expr;
    return aggregate_set_arguments(p, expr, &args);
}

// Primaries.

static bool parse_number_literal(Parser *p, Expr **ret_expr)
{
    Expr *expr = parse_new_expr(p, EXPR_NUMBER, p->token.start, 0);
    if (!parse_number(p, &expr->number.value, &expr->number.is_duration))
        return false;
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool parse_string_literal(Parser *p, Expr **ret_expr)
{
    Expr *expr = parse_new_expr(p, EXPR_STRING, p->token.start, 0);
    if (!parse_string(p, &expr->string))
        return false;
    parse_advance(p);
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool parse_paren(Parser *p, Expr **ret_expr)
{
    Expr *expr = parse_new_expr(p, EXPR_PAREN, p->token.start, 0);
    parse_advance(p);
    if (!parse_expr(p, 0, &expr->paren) || !parse_expect(p, TOKEN_RIGHT_PAREN))
        return false;
    expr->end = p->last_end;
    *ret_expr = expr;
    return true;
}

static bool token_may_name_metric(const Token *token)
{
    return token->kind == TOKEN_IDENTIFIER || token->kind == TOKEN_METRIC_IDENTIFIER ||
           token->kind == TOKEN_LEFT_BRACE || token->kind == TOKEN_AGGREGATE ||
           (token->kind == TOKEN_OPERATOR && token_begins_expr(token) && !token_is_sign(token)) ||
           (token->kind >= TOKEN_BOOL && token_begins_expr(token));
}

// The word at hand and a '(' or the like behind it decide together what it is.
static bool parse_word(Parser *p, Expr **ret_expr)
{
    Token word = p->token;
    Lexer ahead = p->lexer;
    Token next = lexer_next(&ahead);
    if (word.kind == TOKEN_AGGREGATE &&
        (next.kind == TOKEN_LEFT_PAREN || next.kind == TOKEN_BY || next.kind == TOKEN_WITHOUT)) {
        parse_advance(p);
        return parse_aggregate(p, &word, ret_expr);
    }
    if (next.kind == TOKEN_LEFT_PAREN &&
        (word.kind == TOKEN_IDENTIFIER || word.kind >= TOKEN_START_WORD)) {
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

enum {
    PRECEDENCE_OR = 1,
    PRECEDENCE_AND,
    PRECEDENCE_COMPARE,
    PRECEDENCE_SUM,
    PRECEDENCE_PRODUCT,
    PRECEDENCE_POWER
};

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
            expr->binary.card =
                p->token.kind == TOKEN_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
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
    Expr *expr = parse_new_expr(p, EXPR_BINARY, (*left)->start, 0);
    expr->binary.op = op;
    expr->binary.left = *left;
    if ((*left)->kind == EXPR_BINARY)
        (*left)->binary.above = expr;
    expr->binary.has_matching = true;
    if (!parse_binary_modifiers(p, expr) ||
        !parse_expr(p, op == OP_POW ? precedence : precedence + 1, &expr->binary.right))
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
    Expr *expr = parse_new_expr(p, EXPR_UNARY, sign.start, operand->end);
    expr->unary.negative = minus;
    expr->unary.expr = operand;
    *ret_expr = expr;
    return true;
}

static bool parse_expr_inner(Parser *p, int precedence_min, Expr **ret_expr)
{
    Expr *left;
    bool ok = token_is_sign(&p->token) ? parse_signed(p, &left)
                                       : parse_primary(p, &left) && parse_suffixes(p, &left);
    while (ok && p->token.kind == TOKEN_OPERATOR &&
           binary_precedence((BinaryOp)p->token.op) >= precedence_min)
        ok = parse_binary(p, &left);
    if (ok)
        *ret_expr = left;
    return ok;
}

static bool parse_expr(Parser *p, int precedence_min, Expr **ret_expr)
{
    if (++p->depth > PARSE_DEPTH_MAX)
        return PARSE_FAIL(p, p->token.start,
                          "expression is nested too deeply (more than %d levels)", PARSE_DEPTH_MAX);
    if (++p->term_count > QUERY_TERMS_MAX)
        return PARSE_FAIL(p, p->token.start, "expression has more than %d terms", QUERY_TERMS_MAX);
    bool ok = parse_expr_inner(p, precedence_min, ret_expr);
    p->depth--;
    return ok;
}

// Entries.

static void parser_init(Parser *p, Str query, const PromqlFeatures *features, Arena *arena,
                        Error *err)
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
    return query.len <= QUERY_BYTES_MAX ||
           error_set(err, ERR_LIMIT, "query is longer than %u bytes", QUERY_BYTES_MAX);
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

bool promql_parse(Str query, const PromqlFeatures *features, Arena *arena, Expr **ret_expr,
                  Error *err)
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

bool parse_metric_selector(Str text, Arena *arena, Matcher **ret_matchers, size_t *ret_count,
                           Error *err)
{
    if (!query_fits(text, err))
        return false;
    Parser p;
    parser_init(&p, text, NULL, arena, err);
    Expr *expr;
    bool ok = (token_may_name_metric(&p.token) || parse_unexpected(&p)) &&
              parse_selector(&p, &expr) && (p.token.kind == TOKEN_END || parse_unexpected(&p));
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
        for (; expr->kind == EXPR_BINARY; expr = expr->binary.left)
            expr_free_regexes(expr->binary.right);
        expr_free_regexes(expr);
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
