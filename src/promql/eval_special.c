// SPDX-License-Identifier: Apache-2.0
// Functions that look at their argument's expression and not only at its value: absent, absent_over_time, timestamp, start_timestamp; info is in a file of its own.
#include <stdlib.h>

#include "promql/eval.h"

// Labels that a missing series would have had: those of equality matchers, unless the name stands in another matcher, too.
static Labels absent_labels(const Expr *argument, Arena *arena)
{
    const Expr *expr = expr_without_parens(argument);
    if (expr->kind != EXPR_SELECTOR)
        return LABELS_NONE;
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < expr->selector.count; i++) {
        const Matcher *matcher = &expr->selector.matchers[i];
        if (str_equal(matcher->name, LABEL_METRIC_NAME))
            continue;
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen |= str_equal(expr->selector.matchers[j].name, matcher->name) &&
                    expr->selector.matchers[j].kind == MATCH_EQUAL;
        bool keep = matcher->kind == MATCH_EQUAL && !seen;
        labels_builder_set(&builder, matcher->name, keep ? matcher->value : STR_NONE);
    }
    return labels_builder_finish(&builder);
}

// One series that is 1 at the steps where `present` is 0.
static void absent_value(const uint8_t *present, Labels labels, const Steps *steps, Arena *arena,
                         Value *ret_value)
{
    VectorSeries *series = ARENA_NEW(arena, VectorSeries);
    vector_series_init(arena, steps->count, labels, series);
    for (size_t i = 0; i < steps->count; i++)
        if (!present[i]) {
            series->kind[i] = POINT_FLOAT;
            series->value[i] = 1;
        }
    *ret_value = (Value){.type = TYPE_VECTOR, .series = series, .count = 1};
    eval_remove_empty(ret_value, steps->count);
}

static bool special_absent(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                           Value *ret_value, Error *err)
{
    Value argument;
    if (!eval(context, expr->call.args[0], steps, arena, &argument, err))
        return false;
    uint8_t *present = arena_zalloc(arena, steps->count);
    for (size_t s = 0; s < argument.count; s++)
        for (size_t i = 0; i < steps->count; i++)
            present[i] |= argument.series[s].kind[i] != POINT_NONE;
    absent_value(present, absent_labels(expr->call.args[0], arena), steps, arena, ret_value);
    return true;
}

static bool special_absent_over_time(EvalContext *context, const Expr *expr, const Steps *steps,
                                     Arena *arena, Value *ret_value, Error *err)
{
    Value argument;
    if (!eval_range_modifier_ok(expr, expr->call.args[0], err) ||
        !eval_matrix(context, expr->call.args[0], steps, arena, &argument, err))
        return false;
    uint8_t *present = arena_zalloc(arena, steps->count);
    for (size_t s = 0; s < argument.count; s++)
        for (size_t i = 0; i < steps->count; i++)
            present[i] |= argument.ranges[s].last[i] > argument.ranges[s].first[i];
    absent_value(present, absent_labels(expr->call.args[0], arena), steps, arena, ret_value);
    return true;
}

// The sample's own time for a selector, smoothed or not, the step's time for anything else.
static bool is_plain_selector(const Expr *expr)
{
    return expr->kind == EXPR_SELECTOR && !expr->selector.has_range;
}

static bool drop_names(EvalContext *context, const Steps *steps, Arena *arena, Value *vector,
                       Error *err)
{
    bool alike = eval_names_alike(vector);
    for (size_t s = 0; s < vector->count; s++)
        eval_drop_name(context, arena, &vector->series[s]);
    return alike || context->features.delayed_name_removal ||
           vector_merge_equal(arena, steps, vector, err);
}

static bool special_timestamp(EvalContext *context, const Expr *expr, const Steps *steps,
                              Arena *arena, Value *ret_value, Error *err)
{
    const Expr *argument = expr_without_parens(expr->call.args[0]);
    if (is_plain_selector(argument)) {
        if (!eval_vector_selector(context, argument, steps, WANT_TIMES, arena, ret_value, err))
            return false;
    } else {
        if (!eval(context, argument, steps, arena, ret_value, err))
            return false;
        for (size_t s = 0; s < ret_value->count; s++)
            for (size_t i = 0; i < steps->count; i++)
                if (ret_value->series[s].kind[i] != POINT_NONE) {
                    ret_value->series[s].kind[i] = POINT_FLOAT;
                    ret_value->series[s].value[i] = (double)step_time(steps, i) / 1000;
                }
    }
    return drop_names(context, steps, arena, ret_value, err);
}

// Without the feature, or of an expression, nothing is told.
static bool special_start_timestamp(EvalContext *context, const Expr *expr, const Steps *steps,
                                    Arena *arena, Value *ret_value, Error *err)
{
    const Expr *argument = expr_without_parens(expr->call.args[0]);
    if (!context->features.start_timestamps || !is_plain_selector(argument)) {
        if (!eval(context, argument, steps, arena, ret_value, err))
            return false;
        ret_value->count = 0;
        return true;
    }
    return eval_vector_selector(context, argument, steps, WANT_STARTS, arena, ret_value, err) &&
           drop_names(context, steps, arena, ret_value, err);
}

bool eval_special(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                  Value *ret_value, Error *err)
{
    static const struct {
        const char *name;
        bool (*run)(EvalContext *, const Expr *, const Steps *, Arena *, Value *, Error *);
    } specials[] = {
        {"absent", special_absent},
        {"absent_over_time", special_absent_over_time},
        {"timestamp", special_timestamp},
        {"start_timestamp", special_start_timestamp},
        {"info", eval_info},
    };
    for (size_t i = 0; i < COUNT_OF(specials); i++)
        if (strcmp(expr->call.function->name, specials[i].name) == 0)
            return specials[i].run(context, expr, steps, arena, ret_value, err);
    return error_set(err, ERR_INVALID, "no evaluation for function %s", expr->call.function->name);
}
