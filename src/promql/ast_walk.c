// SPDX-License-Identifier: Apache-2.0
#include "promql/ast.h"

typedef void Visit(void *arg, Expr *selector);

// A chain of operators takes no stack: see binary_innermost.
static void each_in_chain(Expr *expr, Visit *visit, void *arg)
{
    Expr *inner = expr;
    while (inner->binary.left->kind == EXPR_BINARY)
        inner = inner->binary.left;
    expr_each_selector(inner->binary.left, visit, arg);
    for (;; inner = inner->binary.above) {
        expr_each_selector(inner->binary.right, visit, arg);
        if (inner == expr)
            return;
    }
}

void expr_each_selector(Expr *expr, Visit *visit, void *arg)
{
    if (!expr)
        return;
    switch (expr->kind) {
    case EXPR_SELECTOR:
        visit(arg, expr);
        return;
    case EXPR_SUBQUERY:
        expr_each_selector(expr->subquery.expr, visit, arg);
        return;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            expr_each_selector(expr->call.args[i], visit, arg);
        return;
    case EXPR_AGGREGATE:
        expr_each_selector(expr->aggregate.param, visit, arg);
        expr_each_selector(expr->aggregate.expr, visit, arg);
        return;
    case EXPR_BINARY:
        each_in_chain(expr, visit, arg);
        return;
    case EXPR_UNARY:
        expr_each_selector(expr->unary.expr, visit, arg);
        return;
    case EXPR_PAREN:
        expr_each_selector(expr->paren, visit, arg);
        return;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        return;
    }
}
