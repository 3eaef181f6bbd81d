// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"
#include "promql/functions.h"
#include "promql/parse.h"
#include "promql/promql.h"

#define PRETTY_BYTES_MAX (64u << 20)

static void tree_expr(JsonWriter *json, const Expr *expr);
static int tree_depth(const Expr *expr);

bool promql_parse_selector(Str text, Arena *arena, Matcher **ret_matchers, size_t *ret_count,
                           Error *err)
{
    return parse_metric_selector(text, arena, ret_matchers, ret_count, err);
}

bool promql_check(Str query, const PromqlFeatures *features, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Expr *expr;
    if (!promql_parse(query, features, &arena, &expr, err))
        return false;
    expr_free_regexes(expr);
    return true;
}

bool promql_print(Str query, const PromqlFeatures *features, Buf *out, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Expr *expr;
    if (!promql_parse(query, features, &arena, &expr, err))
        return false;
    expr_print(out, expr);
    expr_free_regexes(expr);
    return true;
}

bool promql_format(Str query, const PromqlFeatures *features, Buf *out, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Expr *expr;
    if (!promql_parse(query, features, &arena, &expr, err))
        return false;
    // Deep trees are indented: the form may be much longer than the query.
    Buf pretty;
    buf_init(&pretty, PRETTY_BYTES_MAX);
    expr_pretty(&pretty, expr, 0);
    expr_free_regexes(expr);
    bool ok = buf_ok(&pretty, "formatted query", err);
    if (ok)
        buf_add_str(out, buf_str(&pretty));
    buf_deinit(&pretty);
    return ok;
}

// The tree as JSON. Members are in alphabetical order, as the original writes its maps.

static void json_strings(JsonWriter *json, const char *key, const Str *items, size_t count)
{
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < count; i++)
        json_str(json, items[i]);
    json_array_end(json);
}

static void json_key_expr(JsonWriter *json, const char *key, const Expr *expr)
{
    json_key(json, str_from_c(key));
    if (expr)
        tree_expr(json, expr);
    else
        json_null(json);
}

static void json_key_number(JsonWriter *json, const char *key, double value)
{
    char text[NUMBER_BYTES_MAX];
    size_t len = number_format_f(value, text);
    json_key_str(json, key, str_make(text, len));
}

static const char *value_type_word(ValueType type)
{
    static const char *const words[] = {"none", "scalar", "vector", "matrix", "string"};
    return words[type];
}

static void tree_matchers(JsonWriter *json, const Matcher *matchers, size_t count)
{
    static const char *const kinds[] = {"=", "!=", "=~", "!~"};
    json_key(json, S("matchers"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "name", matchers[i].name);
        json_key_c(json, "type", kinds[matchers[i].kind]);
        json_key_str(json, "value", matchers[i].value);
        json_object_end(json);
    }
    json_array_end(json);
}

static void tree_at(JsonWriter *json, const TimeShift *shift)
{
    json_key(json, S("startOrEnd"));
    if (shift->at == AT_START || shift->at == AT_END)
        json_c(json, shift->at == AT_START ? "start" : "end");
    else
        json_null(json);
}

static void tree_timestamp(JsonWriter *json, const TimeShift *shift)
{
    json_key(json, S("timestamp"));
    if (shift->at == AT_TIME)
        json_i64(json, shift->at_ms);
    else
        json_null(json);
}

static void tree_selector(JsonWriter *json, const Expr *expr)
{
    bool has_range = expr->selector.has_range;
    const TimeShift *shift = &expr->selector.shift;
    json_key_bool(json, "anchored", expr->selector.anchored);
    tree_matchers(json, expr->selector.matchers, expr->selector.count);
    json_key_str(json, "name", expr->selector.metric_name);
    json_key_i64(json, "offset", shift->offset_expr ? 0 : shift->offset_ms);
    json_key_expr(json, "offsetExpr", shift->offset_expr);
    if (has_range) {
        json_key_i64(json, "range", expr->selector.range_ms);
        json_key_expr(json, "rangeExpr", expr->selector.range_expr);
    }
    json_key_bool(json, "smoothed", expr->selector.smoothed);
    tree_at(json, shift);
    tree_timestamp(json, shift);
    json_key_c(json, "type", has_range ? "matrixSelector" : "vectorSelector");
}

static void tree_subquery(JsonWriter *json, const Expr *expr)
{
    const TimeShift *shift = &expr->subquery.shift;
    json_key_expr(json, "expr", expr->subquery.expr);
    json_key_i64(json, "offset", shift->offset_expr ? 0 : shift->offset_ms);
    json_key_expr(json, "offsetExpr", shift->offset_expr);
    json_key_i64(json, "range", expr->subquery.range_ms);
    json_key_expr(json, "rangeExpr", expr->subquery.range_expr);
    tree_at(json, shift);
    json_key_i64(json, "step", expr->subquery.step_ms);
    json_key_expr(json, "stepExpr", expr->subquery.step_expr);
    tree_timestamp(json, shift);
    json_key_c(json, "type", "subquery");
}

static void tree_function(JsonWriter *json, const FunctionInfo *function)
{
    json_key(json, S("func"));
    json_object(json);
    json_key(json, S("argTypes"));
    json_array(json);
    for (int i = 0; i < function->arg_count; i++)
        json_c(json, value_type_word(function->args[i]));
    json_array_end(json);
    json_key_c(json, "name", function->name);
    json_key_c(json, "returnType", value_type_word(function->returns));
    json_key_i64(json, "variadic", function->variadic);
    json_object_end(json);
}

static void tree_call(JsonWriter *json, const Expr *expr)
{
    json_key(json, S("args"));
    json_array(json);
    for (size_t i = 0; i < expr->call.count; i++)
        tree_expr(json, expr->call.args[i]);
    json_array_end(json);
    tree_function(json, expr->call.function);
    json_key_c(json, "type", "call");
}

static void json_key_fill(JsonWriter *json, const char *key, bool is_set, double value)
{
    json_key(json, str_from_c(key));
    if (is_set && value - value == 0)
        json_double(json, value);
    else
        json_null(json);
}

static void tree_matching(JsonWriter *json, const Expr *expr)
{
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
    json_key(json, S("matching"));
    if (!expr->binary.has_matching) {
        json_null(json);
        return;
    }
    json_object(json);
    json_key_c(json, "card", cards[expr->binary.card]);
    json_key(json, S("fillValues"));
    json_object(json);
    json_key_fill(json, "lhs", expr->binary.has_fill_left, expr->binary.fill_left);
    json_key_fill(json, "rhs", expr->binary.has_fill_right, expr->binary.fill_right);
    json_object_end(json);
    json_strings(json, "include", expr->binary.include, expr->binary.include_count);
    json_strings(json, "labels", expr->binary.labels, expr->binary.label_count);
    json_key_bool(json, "on", expr->binary.on);
    json_object_end(json);
}

static void tree_binary(JsonWriter *json, const Expr *expr)
{
    json_key_bool(json, "bool", expr->binary.return_bool);
    json_key_expr(json, "lhs", expr->binary.left);
    tree_matching(json, expr);
    json_key_c(json, "op", binary_op_text(expr->binary.op));
    json_key_expr(json, "rhs", expr->binary.right);
    json_key_c(json, "type", "binaryExpr");
}

static void tree_aggregate(JsonWriter *json, const Expr *expr)
{
    json_key_expr(json, "expr", expr->aggregate.expr);
    json_strings(json, "grouping", expr->aggregate.grouping, expr->aggregate.grouping_count);
    json_key_c(json, "op", aggregate_op_text(expr->aggregate.op));
    json_key_expr(json, "param", expr->aggregate.param);
    json_key_c(json, "type", "aggregation");
    json_key_bool(json, "without", expr->aggregate.without);
}

static const char *duration_op_text(DurationOp op)
{
    static const char *const texts[] = {
        [DUR_ADD] = "+",     [DUR_SUB] = "-",       [DUR_MUL] = "*",      [DUR_DIV] = "/",
        [DUR_MOD] = "%",     [DUR_POW] = "^",       [DUR_NEG] = "-",      [DUR_POS] = "+",
        [DUR_STEP] = "step", [DUR_RANGE] = "range", [DUR_MIN] = "min_of", [DUR_MAX] = "max_of",
    };
    return texts[op];
}

static void tree_duration(JsonWriter *json, const Expr *expr)
{
    if (expr->duration.op == DUR_NUMBER) {
        json_key_bool(json, "duration", expr->duration.is_duration);
        json_key_c(json, "type", "numberLiteral");
        json_key_number(json, "val", expr->duration.number);
        return;
    }
    // The operand of a sign is shown as the right side.
    bool is_sign = expr->duration.op == DUR_NEG || expr->duration.op == DUR_POS;
    json_key_expr(json, "lhs", is_sign ? NULL : expr->duration.left);
    json_key_c(json, "op", duration_op_text(expr->duration.op));
    json_key_expr(json, "rhs", is_sign ? expr->duration.left : expr->duration.right);
    json_key_c(json, "type", "durationExpr");
    json_key_bool(json, "wrapped", expr->duration.wrapped);
}

static void tree_expr(JsonWriter *json, const Expr *expr)
{
    json_object(json);
    switch (expr->kind) {
    case EXPR_NUMBER:
        json_key_c(json, "type", "numberLiteral");
        json_key_number(json, "val", expr->number.value);
        break;
    case EXPR_STRING:
        json_key_c(json, "type", "stringLiteral");
        json_key_str(json, "val", expr->string);
        break;
    case EXPR_SELECTOR:
        tree_selector(json, expr);
        break;
    case EXPR_SUBQUERY:
        tree_subquery(json, expr);
        break;
    case EXPR_CALL:
        tree_call(json, expr);
        break;
    case EXPR_AGGREGATE:
        tree_aggregate(json, expr);
        break;
    case EXPR_BINARY:
        tree_binary(json, expr);
        break;
    case EXPR_UNARY:
        json_key_expr(json, "expr", expr->unary.expr);
        json_key_c(json, "op", expr->unary.negative ? "-" : "+");
        json_key_c(json, "type", "unaryExpr");
        break;
    case EXPR_PAREN:
        json_key_expr(json, "expr", expr->paren);
        json_key_c(json, "type", "parenExpr");
        break;
    case EXPR_DURATION:
        tree_duration(json, expr);
        break;
    }
    json_object_end(json);
}

static int chain_depth(const Expr *expr)
{
    int above = 0;
    int deepest = 0;
    for (; expr->kind == EXPR_BINARY; expr = expr->binary.left, above++)
        deepest = MAX(deepest, above + 1 + MAX(tree_depth(expr->binary.right), 2));
    return MAX(deepest, above + tree_depth(expr));
}

// Levels of JSON nesting that the tree needs at most.
static int tree_depth(const Expr *expr)
{
    int below = 0;
    if (!expr)
        return 0;
    switch (expr->kind) {
    case EXPR_SELECTOR:
        below = MAX(MAX(tree_depth(expr->selector.range_expr),
                        tree_depth(expr->selector.shift.offset_expr)),
                    2);
        break;
    case EXPR_SUBQUERY:
        below =
            MAX(MAX(tree_depth(expr->subquery.range_expr), tree_depth(expr->subquery.step_expr)),
                MAX(tree_depth(expr->subquery.shift.offset_expr), tree_depth(expr->subquery.expr)));
        break;
    case EXPR_CALL:
        below = 2;
        for (size_t i = 0; i < expr->call.count; i++)
            below = MAX(below, 1 + tree_depth(expr->call.args[i]));
        break;
    case EXPR_AGGREGATE:
        below = MAX(tree_depth(expr->aggregate.param), tree_depth(expr->aggregate.expr));
        break;
    case EXPR_BINARY:
        return chain_depth(expr);
    case EXPR_UNARY:
        below = tree_depth(expr->unary.expr);
        break;
    case EXPR_PAREN:
        below = tree_depth(expr->paren);
        break;
    case EXPR_DURATION:
        below = MAX(tree_depth(expr->duration.left), tree_depth(expr->duration.right));
        break;
    case EXPR_NUMBER:
    case EXPR_STRING:
        break;
    }
    return below + 1;
}

bool promql_tree_json(Str query, const PromqlFeatures *features, JsonWriter *json, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Expr *expr;
    if (!promql_parse(query, features, &arena, &expr, err))
        return false;
    bool fits = json->depth + tree_depth(expr) <= JSON_DEPTH_MAX;
    if (fits)
        tree_expr(json, expr);
    else
        error_set(err, ERR_LIMIT,
                  "the expression's tree is nested too deeply to be shown (more than %d levels)",
                  JSON_DEPTH_MAX);
    expr_free_regexes(expr);
    return fits;
}

typedef struct SelectorList {
    Arena *arena;
    Matcher **matchers;
    size_t *counts;
    size_t count, cap;
} SelectorList;

static void collect_selector(void *arg, Expr *expr)
{
    SelectorList *list = arg;
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 4;
        list->matchers = arena_grow(list->arena, list->matchers, list->cap * sizeof(Matcher *),
                                    cap * sizeof(Matcher *));
        list->counts =
            arena_grow(list->arena, list->counts, list->cap * sizeof(size_t), cap * sizeof(size_t));
        list->cap = cap;
    }
    list->matchers[list->count] = expr->selector.matchers;
    list->counts[list->count++] = expr->selector.count;
}

bool promql_selectors(Str query, const PromqlFeatures *features, Arena *arena,
                      Matcher ***ret_matchers, size_t **ret_counts, size_t *ret_count, Error *err)
{
    Expr *expr;
    if (!promql_parse(query, features, arena, &expr, err))
        return false;
    SelectorList list = {.arena = arena};
    expr_each_selector(expr, collect_selector, &list);
    *ret_matchers = list.matchers;
    *ret_counts = list.counts;
    *ret_count = list.count;
    return true;
}
