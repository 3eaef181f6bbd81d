// SPDX-License-Identifier: Apache-2.0
// parse_internal.h: the state of the parser, shared by parse.c, parse_duration.c and parse_selector.c.
//
// Recursive descent with one token ahead. A function parse_x begins at the first token of x and ends behind its last; on failure
// the error is set and everybody returns false.
#pragma once

#include "promql/lex.h"
#include "promql/parse.h"

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
    int term_count;
    size_t matcher_count;
    Matcher *regexes; // copies of the matchers that own one, to free them if parsing fails
    size_t regex_count, regex_cap;
} Parser;

#define PARSE_FAIL(p, offset, ...) parse_error((p)->err, (p)->query, (offset), __VA_ARGS__)

static inline bool token_is_op(const Token *token, BinaryOp op)
{
    return token->kind == TOKEN_OPERATOR && token->op == (int)op;
}

static inline bool token_is_sign(const Token *token)
{
    return token_is_op(token, OP_ADD) || token_is_op(token, OP_SUB);
}

// "<before><quoted><after>", quoted as Go does. Always false.
bool parse_fail_quoted(Parser *p, uint32_t offset, const char *before, Str text, const char *after);
// The token at hand cannot stand here. Always false.
bool parse_unexpected(Parser *p);
void parse_advance(Parser *p);
bool parse_accept(Parser *p, TokenKind kind);
// As parse_accept, or fails.
bool parse_expect(Parser *p, TokenKind kind);
Expr *parse_new_expr(Parser *p, ExprKind kind, uint32_t start, uint32_t end);

// parse_duration.c
// The number or duration at hand, in seconds.
bool parse_number(Parser *p, double *ret_value, bool *ret_is_duration);
// Of a DUR_NUMBER: a duration exactly, plain seconds as Go's time.Duration cut to milliseconds.
int64_t parse_duration_ms(const Expr *number);
// Behind `offset`: without parentheses only the first term belongs to it, so that `x offset -2 ^ 2` is `(x offset -2) ^ 2`.
// A lone number comes back as a DUR_NUMBER node.
bool parse_offset_duration(Parser *p, Expr **ret_expr);
// Operators that duration expressions have, too.
bool token_is_duration_op(const Token *token);
// A range or step: milliseconds if it is a lone number, else the expression.
bool parse_positive_duration(Parser *p, int64_t *ret_ms, Expr **ret_expr);

// parse_selector.c
// What the string literal at hand means; does not move on.
bool parse_string(Parser *p, Str *ret_string);
bool parse_selector(Parser *p, Expr **ret_expr);
// What may follow an expression: range, subquery, offset, @, anchored, smoothed.
bool parse_suffixes(Parser *p, Expr **expr);
