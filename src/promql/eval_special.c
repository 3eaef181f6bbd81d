// SPDX-License-Identifier: Apache-2.0
// Functions that look at their argument's expression and not only at its value: absent, absent_over_time, timestamp, start_timestamp, info.
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

// The sample's own time for a plain selector, the step's time for anything else.
static bool is_plain_selector(const Expr *expr)
{
    return expr->kind == EXPR_SELECTOR && !expr->selector.has_range && !expr->selector.smoothed;
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

// info(v, {selector}) -------------------------------------------------------------------------------------------------------------

static const Str identifying_names[] = {STR("instance"), STR("job")};

typedef struct InfoRun {
    EvalContext *context;
    const Steps *steps;
    Arena *arena;
    const Matcher *matchers; // of the second argument, or the default name
    size_t matcher_count;
    Value info; // info series; values are their samples' times
    VectorSeries *out;
    size_t out_count, out_cap;
} InfoRun;

static bool is_data_matcher(const Matcher *matcher)
{
    return !str_equal(matcher->name, LABEL_METRIC_NAME);
}

static bool is_info_metric(const InfoRun *run, Labels labels)
{
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    bool any = false;
    for (size_t i = 0; i < run->matcher_count; i++) {
        if (is_data_matcher(&run->matchers[i]))
            continue;
        if (!matcher_matches(&run->matchers[i], name))
            return false;
        any = true;
    }
    return any;
}

static bool same_identity(Labels a, Labels b)
{
    for (size_t i = 0; i < COUNT_OF(identifying_names); i++)
        if (!str_equal(labels_get(a, identifying_names[i]), labels_get(b, identifying_names[i])))
            return false;
    return true;
}

// Data labels are all of the info series but its name and the identifying ones; with data matchers only the named ones.
static bool is_wanted_label(const InfoRun *run, Str name)
{
    if (str_equal(name, LABEL_METRIC_NAME))
        return false;
    bool any = false;
    for (size_t i = 0; i < run->matcher_count; i++) {
        if (!is_data_matcher(&run->matchers[i]))
            continue;
        any = true;
        if (str_equal(run->matchers[i].name, name))
            return true;
    }
    return !any;
}

static bool needs_info(const InfoRun *run)
{
    for (size_t i = 0; i < run->matcher_count; i++)
        if (is_data_matcher(&run->matchers[i]) && !run->matchers[i].matches_empty)
            return true;
    return false;
}

static bool fail_duplicate_info(const VectorSeries *a, const VectorSeries *b, size_t step,
                                Error *err)
{
    Buf text = {0};
    buf_add_c(&text, "found duplicate series for info metric: existing ");
    labels_print(&text, a->labels);
    buf_printf(&text, " @ %lld, new ", (long long)(a->value[step] * 1000));
    labels_print(&text, b->labels);
    buf_printf(&text, " @ %lld", (long long)(b->value[step] * 1000));
    error_set(err, ERR_LIMIT, STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

// The newest info series of the same metric name and identity at this step; `candidate` itself if it is that one.
static bool is_newest(const InfoRun *run, const uint32_t *candidates, size_t count,
                      size_t candidate, size_t step, bool *ret_newest, Error *err)
{
    const VectorSeries *own = &run->info.series[candidates[candidate]];
    Str name = labels_get(own->labels, LABEL_METRIC_NAME);
    *ret_newest = true;
    for (size_t c = 0; c < count; c++) {
        const VectorSeries *other = &run->info.series[candidates[c]];
        if (c == candidate || other->kind[step] == POINT_NONE ||
            !str_equal(labels_get(other->labels, LABEL_METRIC_NAME), name))
            continue;
        if (other->value[step] == own->value[step])
            return fail_duplicate_info(other, own, step, err);
        if (other->value[step] > own->value[step])
            *ret_newest = false;
    }
    return true;
}

// Adds the data labels of one info series; base labels win, two info series must agree.
static bool add_data_labels(const InfoRun *run, Labels base, Labels info, LabelsBuilder *added,
                            Error *err)
{
    for (size_t i = 0; i < info.count; i++) {
        Label label = info.pairs[i];
        if (!is_wanted_label(run, label.name) || labels_get(base, label.name).len)
            continue;
        Str before = labels_builder_get(added, label.name);
        if (before.len && !str_equal(before, label.value))
            return error_set(err, ERR_LIMIT, "conflicting label: " STR_FMT, STR_ARG(label.name));
        labels_builder_set(added, label.name, label.value);
    }
    return true;
}

static VectorSeries *info_out(InfoRun *run, Labels labels, size_t first_of_base)
{
    for (size_t i = first_of_base; i < run->out_count; i++)
        if (labels_equal(run->out[i].labels, labels))
            return &run->out[i];
    if (run->out_count == run->out_cap) {
        size_t cap = run->out_cap ? run->out_cap * 2 : 32;
        run->out = arena_grow(run->arena, run->out, run->out_cap * sizeof *run->out,
                              cap * sizeof *run->out);
        run->out_cap = cap;
    }
    vector_series_init(run->arena, run->steps->count, labels, &run->out[run->out_count]);
    return &run->out[run->out_count++];
}

static bool enrich_series(InfoRun *run, const VectorSeries *base, Error *err)
{
    size_t n = run->steps->count;
    size_t first_out = run->out_count;
    bool pass = is_info_metric(run, base->labels);
    uint32_t *candidates = ARENA_ARRAY(run->arena, uint32_t, run->info.count);
    size_t count = 0;
    for (size_t s = 0; !pass && s < run->info.count; s++)
        if (same_identity(base->labels, run->info.series[s].labels))
            candidates[count++] = (uint32_t)s;

    for (size_t i = 0; i < n; i++) {
        if (base->kind[i] == POINT_NONE)
            continue;
        LabelsBuilder added;
        labels_builder_init(&added, run->arena, LABELS_NONE);
        bool found = false;
        for (size_t c = 0; c < count; c++) {
            const VectorSeries *info = &run->info.series[candidates[c]];
            bool newest;
            if (info->kind[i] == POINT_NONE)
                continue;
            if (!is_newest(run, candidates, count, c, i, &newest, err))
                return false;
            if (newest && !add_data_labels(run, base->labels, info->labels, &added, err))
                return false;
            found = true;
        }
        Labels data = labels_builder_finish(&added);
        if (!pass && data.count == 0 && !found && needs_info(run))
            continue;
        LabelsBuilder all;
        labels_builder_init(&all, run->arena, base->labels);
        for (size_t d = 0; d < data.count; d++)
            labels_builder_set(&all, data.pairs[d].name, data.pairs[d].value);
        VectorSeries *out = info_out(run, labels_builder_finish(&all), first_out);
        out->drop_name = base->drop_name;
        if (base->kind[i] == POINT_HISTOGRAM) {
            vector_series_set_histogram(run->arena, n, out, i, base->histogram[i]);
        } else {
            out->value[i] = base->value[i];
            out->kind[i] = POINT_FLOAT;
        }
    }
    return true;
}

// The offset and @ of the first selector inside an expression, subqueries around it included: they govern the look-up of info
// series. False if there is no selector.
static bool governing_shift(const Expr *expr, TimeShift *ret_shift)
{
    switch (expr->kind) {
    case EXPR_SELECTOR:
        *ret_shift = expr->selector.shift;
        return true;
    case EXPR_SUBQUERY:
        if (!governing_shift(expr->subquery.expr, ret_shift))
            return false;
        // An @ inside is absolute; else the subquery's own times move what is inside.
        if (ret_shift->at == AT_NONE) {
            ret_shift->at = expr->subquery.shift.at;
            ret_shift->at_ms = expr->subquery.shift.at_ms;
            ret_shift->offset_ms += expr->subquery.shift.offset_ms;
        }
        return true;
    case EXPR_CALL:
        for (size_t i = 0; i < expr->call.count; i++)
            if (governing_shift(expr->call.args[i], ret_shift))
                return true;
        return false;
    case EXPR_AGGREGATE:
        return governing_shift(expr->aggregate.expr, ret_shift);
    case EXPR_BINARY: {
        const Expr *inner = binary_innermost(expr);
        if (governing_shift(inner->binary.left, ret_shift))
            return true;
        for (; inner && inner->kind == EXPR_BINARY; inner = inner->binary.above)
            if (governing_shift(inner->binary.right, ret_shift))
                return true;
        return false;
    }
    case EXPR_UNARY:
        return governing_shift(expr->unary.expr, ret_shift);
    case EXPR_PAREN:
        return governing_shift(expr->paren, ret_shift);
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_DURATION:
        break;
    }
    return false;
}

// Info metrics carry their labels on floats.
static bool check_info_floats(EvalContext *context, const Expr *lookup, const Steps *steps,
                              Arena *arena, Error *err)
{
    Value values;
    if (!eval_vector_selector(context, lookup, steps, WANT_VALUES, arena, &values, err))
        return false;
    for (size_t s = 0; s < values.count; s++) {
        if (!values.series[s].histogram)
            continue;
        Buf text = {0};
        labels_print(&text, values.series[s].labels);
        error_set(err, ERR_LIMIT, "this should be an info metric, with float samples: " STR_FMT,
                  STR_ARG(buf_str(&text)));
        buf_deinit(&text);
        return false;
    }
    return true;
}

// Without a positive matcher on the name, target_info is meant; with only negative ones, any name that ends in _info.
static bool info_matchers(InfoRun *run, const Expr *selector, Error *err)
{
    size_t count = selector ? selector->selector.count : 0;
    Matcher *matchers = ARENA_ARRAY(run->arena, Matcher, count + 1);
    bool has_name = false;
    bool has_positive = false;
    for (size_t i = 0; i < count; i++) {
        matchers[i] = selector->selector.matchers[i];
        if (is_data_matcher(&matchers[i]))
            continue;
        has_name = true;
        has_positive |= matchers[i].kind == MATCH_EQUAL || matchers[i].kind == MATCH_REGEX;
    }
    run->matchers = matchers;
    run->matcher_count = count;
    if (has_positive)
        return true;
    MatchKind kind = has_name ? MATCH_REGEX : MATCH_EQUAL;
    Str value = has_name ? S(".+_info") : S("target_info");
    if (!matcher_init(&matchers[count], kind, LABEL_METRIC_NAME, value, run->arena, err))
        return false;
    run->matcher_count++;
    return true;
}

static bool special_info(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                         Value *ret_value, Error *err)
{
    InfoRun run = {.context = context, .steps = steps, .arena = arena};
    const Expr *selector = expr->call.count > 1 ? expr_without_parens(expr->call.args[1]) : NULL;
    Value base;
    if (!eval(context, expr->call.args[0], steps, arena, &base, err) ||
        !info_matchers(&run, selector, err))
        return false;

    // Only series that carry an identity can be looked up.
    Expr *lookup = ARENA_NEW(arena, Expr);
    lookup->kind = EXPR_SELECTOR;
    lookup->type = TYPE_VECTOR;
    lookup->selector.matchers = ARENA_ARRAY(arena, Matcher, run.matcher_count);
    memcpy(lookup->selector.matchers, run.matchers, run.matcher_count * sizeof(Matcher));
    lookup->selector.count = run.matcher_count;
    (void)governing_shift(expr->call.args[0], &lookup->selector.shift); // none: the step's own time
    bool ok = check_info_floats(context, lookup, steps, arena, err) &&
              eval_vector_selector(context, lookup, steps, WANT_TIMES, arena, &run.info, err);
    for (size_t s = 0; ok && s < base.count; s++)
        ok = enrich_series(&run, &base.series[s], err);
    if (!selector || run.matcher_count > selector->selector.count) {
        Matcher own = run.matchers[run.matcher_count - 1];
        matcher_deinit(&own);
    }
    if (!ok)
        return false;
    *ret_value = (Value){.type = TYPE_VECTOR, .series = run.out, .count = run.out_count};
    return vector_merge_equal(arena, steps, ret_value, err);
}

bool eval_special(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                  Value *ret_value, Error *err)
{
    static const struct {
        const char *name;
        bool (*run)(EvalContext *, const Expr *, const Steps *, Arena *, Value *, Error *);
    } specials[] = {
        {"absent", special_absent},       {"absent_over_time", special_absent_over_time},
        {"timestamp", special_timestamp}, {"start_timestamp", special_start_timestamp},
        {"info", special_info},
    };
    for (size_t i = 0; i < COUNT_OF(specials); i++)
        if (strcmp(expr->call.function->name, specials[i].name) == 0)
            return specials[i].run(context, expr, steps, arena, ret_value, err);
    return error_set(err, ERR_INVALID, "no evaluation for function %s", expr->call.function->name);
}
