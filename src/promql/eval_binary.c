// SPDX-License-Identifier: Apache-2.0
// Binary operators. Vector with vector: series are put into groups by their matching labels once; inside a group the steps are walked.
#include <math.h>

#include "promql/eval_match.h"

#define SERIES_BETWEEN_CHECKS 64

static bool is_comparison(BinaryOp op)
{
    return op >= OP_EQ && op <= OP_GE;
}

static bool is_set_operator(BinaryOp op)
{
    return op == OP_AND || op == OP_OR || op == OP_UNLESS;
}

// Filters keep the name; everything that computes drops it.
static bool drops_name(BinaryOp op)
{
    return !is_comparison(op) && !is_set_operator(op) && op != OP_TRIM_UPPER && op != OP_TRIM_LOWER;
}

static double float_op(BinaryOp op, double l, double r)
{
    switch (op) {
    case OP_ADD:
        return l + r;
    case OP_SUB:
        return l - r;
    case OP_MUL:
        return l * r;
    case OP_DIV:
        return l / r;
    case OP_MOD:
        return fmod(l, r);
    case OP_POW:
        return pow(l, r);
    case OP_ATAN2:
        return atan2(l, r);
    default:
        ASSERT(false);
        return 0;
    }
}

static bool float_compare(BinaryOp op, double l, double r)
{
    switch (op) {
    case OP_EQ:
        return l == r;
    case OP_NE:
        return l != r;
    case OP_LT:
        return l < r;
    case OP_LE:
        return l <= r;
    case OP_GT:
        return l > r;
    case OP_GE:
        return l >= r;
    default:
        ASSERT(false);
        return false;
    }
}

// A point of either kind.
typedef struct Point {
    double value;
    const Histogram *histogram; // NULL: a float
} Point;

static Point point_at(const VectorSeries *series, size_t step)
{
    return (Point){series->value[step],
                   series->kind[step] == POINT_HISTOGRAM ? series->histogram[step] : NULL};
}

static void set_point(Arena *arena, size_t steps, VectorSeries *series, size_t step, Point point)
{
    if (point.histogram) {
        vector_series_set_histogram(arena, steps, series, step, point.histogram);
    } else {
        series->value[step] = point.value;
        series->kind[step] = POINT_FLOAT;
    }
}

typedef struct BinaryRun {
    EvalContext *context;
    const Expr *expr;
    const Steps *steps;
    Arena *arena;
} BinaryRun;

typedef enum PointFate {
    FATE_DROP,
    FATE_KEEP,
    FATE_FALSE
} PointFate; // FATE_FALSE: a comparison that does not hold

static PointFate incompatible(const BinaryRun *run, const char *left, const char *right)
{
    const char *op = binary_op_text(run->expr->binary.op);
    annotate_info(run->context, run->expr,
                  "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
                  left, op, right);
    return FATE_DROP;
}

static PointFate add_histograms(const BinaryRun *run, const Histogram *l, const Histogram *r,
                                Point *ret_point)
{
    bool is_add = run->expr->binary.op == OP_ADD;
    Histogram *result;
    bool mismatch = false;
    bool ok = is_add ? histogram_add(run->arena, l, r, &result, &mismatch)
                     : histogram_sub(run->arena, l, r, &result, &mismatch);
    if (!ok) {
        annotate_warning(run->context, run->expr,
                         "incompatible bucket layout encountered for binary operator %s",
                         binary_op_text(run->expr->binary.op));
        return FATE_DROP;
    }
    const char *operation = is_add ? "addition" : "subtraction";
    if ((l->hint == HINT_RESET && r->hint == HINT_NO_RESET) ||
        (l->hint == HINT_NO_RESET && r->hint == HINT_RESET))
        annotate_warning(run->context, run->expr, "conflicting counter resets during histogram %s",
                         operation);
    if (mismatch)
        annotate_info(run->context, run->expr,
                      "mismatched custom buckets were reconciled during %s", operation);
    *ret_point = (Point){0, histogram_compact(run->arena, result, 0)};
    return FATE_KEEP;
}

static PointFate histogram_op(const BinaryRun *run, const Histogram *l, const Histogram *r,
                              Point *ret_point)
{
    BinaryOp op = run->expr->binary.op;
    if (op == OP_ADD || op == OP_SUB)
        return add_histograms(run, l, r, ret_point);
    if (op == OP_EQ || op == OP_NE) {
        *ret_point = (Point){0, l};
        return histogram_equal(l, r) == (op == OP_EQ) ? FATE_KEEP : FATE_FALSE;
    }
    return incompatible(run, "histogram", "histogram");
}

// One pair of points.
static PointFate point_op(const BinaryRun *run, Point l, Point r, Point *ret_point)
{
    BinaryOp op = run->expr->binary.op;
    if (l.histogram && r.histogram)
        return histogram_op(run, l.histogram, r.histogram, ret_point);
    if (l.histogram) {
        if (op == OP_MUL || op == OP_DIV) {
            Histogram *result = op == OP_MUL ? histogram_scale(run->arena, l.histogram, r.value)
                                             : histogram_div(run->arena, l.histogram, r.value);
            *ret_point = (Point){0, result};
            return FATE_KEEP;
        }
        if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER) {
            *ret_point =
                (Point){0, histogram_trim(run->arena, l.histogram, r.value, op == OP_TRIM_UPPER)};
            return FATE_KEEP;
        }
        return incompatible(run, "histogram", "float");
    }
    if (r.histogram) {
        if (op == OP_MUL) {
            *ret_point = (Point){0, histogram_scale(run->arena, r.histogram, l.value)};
            return FATE_KEEP;
        }
        return incompatible(run, "float", "histogram");
    }
    if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)
        return incompatible(run, "float", "float");
    if (is_comparison(op)) {
        *ret_point = l;
        return float_compare(op, l.value, r.value) ? FATE_KEEP : FATE_FALSE;
    }
    *ret_point = (Point){float_op(op, l.value, r.value), NULL};
    return FATE_KEEP;
}

// `bool` turns the outcome of a comparison into 1 or 0; else what does not hold is dropped.
static bool finish_point(const BinaryRun *run, PointFate fate, Point *point)
{
    if (fate == FATE_DROP)
        return false;
    if (run->expr->binary.return_bool) {
        *point = (Point){fate == FATE_KEEP, NULL};
        return true;
    }
    return fate == FATE_KEEP;
}

// Scalars ------------------------------------------------------------------------------------------------------------------------

static void scalar_scalar(const BinaryRun *run, const Value *l, const Value *r, Value *ret_value)
{
    BinaryOp op = run->expr->binary.op;
    size_t n = run->steps->count;
    double *out = l->scalar;
    for (size_t i = 0; i < n; i++)
        out[i] = is_comparison(op) ? (double)float_compare(op, l->scalar[i], r->scalar[i])
                                   : float_op(op, l->scalar[i], r->scalar[i]);
    *ret_value = (Value){.type = TYPE_SCALAR, .scalar = out};
}

// Arithmetic on floats alone: the compiler unrolls what stays in the loop.
static bool scalar_columns(BinaryOp op, double *v, const uint8_t *kind, const double *s,
                           bool scalar_left, size_t n)
{
    if (memchr(kind, POINT_HISTOGRAM, n))
        return false;
    switch (op) {
    case OP_ADD:
        for (size_t i = 0; i < n; i++)
            v[i] += s[i];
        return true;
    case OP_SUB:
        for (size_t i = 0; i < n; i++)
            v[i] = scalar_left ? s[i] - v[i] : v[i] - s[i];
        return true;
    case OP_MUL:
        for (size_t i = 0; i < n; i++)
            v[i] *= s[i];
        return true;
    case OP_DIV:
        for (size_t i = 0; i < n; i++)
            v[i] = scalar_left ? s[i] / v[i] : v[i] / s[i];
        return true;
    default:
        return false;
    }
}

static bool vector_scalar(const BinaryRun *run, Value *vector, const Value *scalar,
                          bool scalar_left, Value *ret_value, Error *err)
{
    BinaryOp op = run->expr->binary.op;
    size_t n = run->steps->count;
    bool drops = drops_name(op) || run->expr->binary.return_bool;
    bool alike = !drops || eval_names_alike(vector);
    for (size_t s = 0; s < vector->count; s++) {
        if (s % SERIES_BETWEEN_CHECKS == 0 && !eval_check(run->context, run->arena, err))
            return false;
        VectorSeries *series = &vector->series[s];
        if (!scalar_columns(op, series->value, series->kind, scalar->scalar, scalar_left, n)) {
            for (size_t i = 0; i < n; i++) {
                if (series->kind[i] == POINT_NONE)
                    continue;
                Point own = point_at(series, i);
                Point number = {scalar->scalar[i], NULL};
                Point result = own;
                PointFate fate = scalar_left ? point_op(run, number, own, &result)
                                             : point_op(run, own, number, &result);
                // A filter always keeps the vector's element, also from the right-hand side.
                if (is_comparison(op))
                    result = own;
                if (finish_point(run, fate, &result))
                    set_point(run->arena, n, series, i, result);
                else
                    series->kind[i] = POINT_NONE;
            }
        }
        if (drops)
            eval_drop_name(run->context, run->arena, series);
    }
    *ret_value = *vector;
    eval_remove_empty(ret_value, n);
    return alike || run->context->features.delayed_name_removal ||
           vector_merge_equal(run->arena, run->steps, ret_value, err);
}

// Arithmetic and comparison between vectors --------------------------------------------------------------------------------------

typedef struct MatchRun {
    BinaryRun base;
    EvalMatch matching;
    EvalMatchGroups groups;
    const Value *many; // the left side, or the right side of group_right
    const Value *one;
    bool swapped; // many is the right-hand side of the operator
    bool has_fill_one, has_fill_many;
    double fill_one, fill_many;
    // Results by label set.
    VectorSeries *out;
    size_t out_count, out_cap;
    uint32_t *table;
    size_t slots;
    uint32_t *out_group; // group that made an output series
} MatchRun;

static bool fail_duplicate(const MatchRun *run, const EvalMatchGroup *group, uint32_t a, uint32_t b,
                           Error *err)
{
    Buf text = {0};
    Arena *arena = run->base.arena;
    buf_add_c(&text, "found duplicate series for the match group ");
    labels_print(&text, eval_match_labels(&run->matching, arena, group->example));
    buf_printf(&text, " on the %s hand-side of the operation: [", run->swapped ? "left" : "right");
    Labels first = run->one->series[a].labels;
    Labels second = run->one->series[b].labels;
    bool ordered = labels_compare(first, second) <= 0;
    labels_print(&text, ordered ? first : second);
    buf_add_c(&text, ", ");
    labels_print(&text, ordered ? second : first);
    buf_add_c(&text,
              "];many-to-many matching not allowed: matching labels must be unique on one side");
    error_set(err, ERR_LIMIT, STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

// Where the other side is empty nothing matches, and duplicates are nobody's concern.
static bool other_side_present(const MatchRun *run, size_t step)
{
    for (size_t s = 0; s < run->many->count; s++)
        if (run->many->series[s].kind[step] != POINT_NONE)
            return true;
    return run->has_fill_many || run->has_fill_one;
}

// Puts the series of the one side into groups; two of a group at the same step are an error.
static bool group_one_side(MatchRun *run, Error *err)
{
    size_t n = run->base.steps->count;
    for (size_t s = 0; s < run->one->count; s++) {
        const VectorSeries *series = &run->one->series[s];
        EvalMatchGroup *group =
            eval_match_group(&run->groups, &run->matching, series->labels, true);
        if (group->one_count++ == 0) {
            group->one_first = (uint32_t)s;
            continue;
        }
        if (!group->one_at) {
            group->one_at = ARENA_ARRAY(run->base.arena, uint32_t, n);
            const VectorSeries *first = &run->one->series[group->one_first];
            for (size_t i = 0; i < n; i++)
                group->one_at[i] = first->kind[i] ? group->one_first : EVAL_MATCH_NONE;
        }
        for (size_t i = 0; i < n; i++) {
            if (series->kind[i] == POINT_NONE)
                continue;
            if (group->one_at[i] != EVAL_MATCH_NONE && other_side_present(run, i))
                return fail_duplicate(run, group, group->one_at[i], (uint32_t)s, err);
            group->one_at[i] = (uint32_t)s;
        }
    }
    return true;
}

static uint32_t one_at_step(const MatchRun *run, const EvalMatchGroup *group, size_t step)
{
    if (group->one_at)
        return group->one_at[step];
    if (group->one_first == EVAL_MATCH_NONE ||
        run->one->series[group->one_first].kind[step] == POINT_NONE)
        return EVAL_MATCH_NONE;
    return group->one_first;
}

// Labels of the result of a pair.
static Labels result_labels(const MatchRun *run, Labels many, Labels one)
{
    const Expr *expr = run->base.expr;
    LabelsBuilder builder;
    labels_builder_init(&builder, run->base.arena, many);
    // Only the name that `bool` drops waits for the end of the query.
    if (drops_name(expr->binary.op) ||
        (expr->binary.return_bool && !run->base.context->features.delayed_name_removal)) {
        labels_builder_set(&builder, S("__name__"), STR_NONE);
        labels_builder_set(&builder, S("__type__"), STR_NONE);
        labels_builder_set(&builder, S("__unit__"), STR_NONE);
    }
    Labels labels = labels_builder_finish(&builder);
    if (expr->binary.card == CARD_ONE_TO_ONE)
        labels = run->matching.on ? labels_keep(run->base.arena, labels, expr->binary.labels,
                                                expr->binary.label_count)
                                  : labels_drop(run->base.arena, labels, expr->binary.labels,
                                                expr->binary.label_count);
    for (size_t i = 0; i < expr->binary.include_count; i++) {
        Str name = expr->binary.include[i];
        labels = labels_set(run->base.arena, labels, name, labels_get(one, name));
    }
    return labels;
}

static void out_rehash(MatchRun *run)
{
    size_t slots = run->slots ? run->slots * 2 : 64;
    run->table = arena_zalloc(run->base.arena, slots * sizeof(uint32_t));
    run->slots = slots;
    for (size_t i = 0; i < run->out_count; i++) {
        size_t slot = labels_hash(run->out[i].labels) & (slots - 1);
        while (run->table[slot])
            slot = (slot + 1) & (slots - 1);
        run->table[slot] = (uint32_t)i + 1;
    }
}

static uint32_t out_series(MatchRun *run, const EvalMatchGroup *group, Labels labels)
{
    if ((run->out_count + 1) * 2 > run->slots)
        out_rehash(run);
    size_t slot = labels_hash(labels) & (run->slots - 1);
    for (; run->table[slot]; slot = (slot + 1) & (run->slots - 1))
        if (labels_equal(run->out[run->table[slot] - 1].labels, labels))
            return run->table[slot] - 1;
    if (run->out_count == run->out_cap) {
        size_t cap = run->out_cap ? run->out_cap * 2 : 32;
        run->out = arena_grow(run->base.arena, run->out, run->out_cap * sizeof *run->out,
                              cap * sizeof *run->out);
        run->out_group = arena_grow(run->base.arena, run->out_group,
                                    run->out_cap * sizeof(uint32_t), cap * sizeof(uint32_t));
        run->out_cap = cap;
    }
    VectorSeries *series = &run->out[run->out_count];
    vector_series_init(run->base.arena, run->base.steps->count, labels, series);
    const Expr *expr = run->base.expr;
    series->drop_name =
        run->base.context->features.delayed_name_removal && expr->binary.return_bool;
    run->out_group[run->out_count] = (uint32_t)(group - run->groups.groups);
    run->table[slot] = (uint32_t)++run->out_count;
    return run->table[slot] - 1;
}

// An output series' kind where a pair met and the comparison took the point away. Only while pairs are matched.
#define POINT_MET 3

// Which output series the last pair of (many, one) went to: pairs repeat from step to step.
typedef struct PairMemo {
    uint32_t one;
    uint32_t out;
} PairMemo;

// The members of the group that met at this step must give different series, kept or not.
static bool claim_output(const MatchRun *run, const EvalMatchGroup *group, uint32_t out_index,
                         size_t step, Error *err)
{
    uint8_t kind = run->out[out_index].kind[step];
    bool same_group = run->out_group[out_index] == (uint32_t)(group - run->groups.groups);
    if (kind != POINT_NONE && same_group)
        return error_set(err, ERR_LIMIT,
                         "multiple matches for labels: grouping labels must ensure unique matches");
    if (kind != POINT_NONE && kind != POINT_MET)
        return error_set(err, ERR_LIMIT, "vector cannot contain metrics with the same labelset");
    return true;
}

// A pair of the group gave something at this step; one to one that may be said once.
static bool claim_group(const MatchRun *run, EvalMatchGroup *group, size_t step, Error *err)
{
    if (!group->taken)
        group->taken = arena_zalloc(run->base.arena, run->base.steps->count);
    if (group->taken[step] && run->base.expr->binary.card == CARD_ONE_TO_ONE)
        return error_set(err, ERR_LIMIT,
                         "multiple matches for labels: many-to-one matching must be explicit "
                         "(group_left/group_right)");
    group->taken[step] = 1;
    return true;
}

// One pair at one step. `many_labels` are given, as a filled side has no series.
static bool match_pair(MatchRun *run, EvalMatchGroup *group, Labels many_labels, Point many,
                       uint32_t one_index, Labels one_labels, Point one, size_t step,
                       PairMemo *memo, Error *err)
{
    Point result = {0};
    PointFate fate = run->swapped ? point_op(&run->base, one, many, &result)
                                  : point_op(&run->base, many, one, &result);
    if (fate == FATE_DROP)
        return true;
    if (is_comparison(run->base.expr->binary.op))
        result = run->swapped ? one : many;
    bool keep = finish_point(&run->base, fate, &result);
    bool one_to_one = run->base.expr->binary.card == CARD_ONE_TO_ONE;
    if ((one_to_one || run->has_fill_many) && !claim_group(run, group, step, err))
        return false;
    if (one_to_one && !keep)
        return true;

    if (memo->out == EVAL_MATCH_NONE || memo->one != one_index) {
        memo->one = one_index;
        memo->out = out_series(run, group, result_labels(run, many_labels, one_labels));
    }
    if (!claim_output(run, group, memo->out, step, err))
        return false;
    VectorSeries *out = &run->out[memo->out];
    if (keep)
        set_point(run->base.arena, run->base.steps->count, out, step, result);
    else
        out->kind[step] = POINT_MET;
    return true;
}

// What the comparison took away leaves no point behind.
static void clear_met(MatchRun *run)
{
    if (!is_comparison(run->base.expr->binary.op))
        return;
    for (size_t s = 0; s < run->out_count; s++)
        for (size_t i = 0; i < run->base.steps->count; i++)
            if (run->out[s].kind[i] == POINT_MET)
                run->out[s].kind[i] = POINT_NONE;
}

// A value that stands in for a missing counterpart has the matching labels of the one that is there.
static bool match_many_series(MatchRun *run, size_t s, Error *err)
{
    const VectorSeries *many = &run->many->series[s];
    EvalMatchGroup *group =
        eval_match_group(&run->groups, &run->matching, many->labels, run->has_fill_one);
    if (!group)
        return true;
    PairMemo memo = {EVAL_MATCH_NONE, EVAL_MATCH_NONE};
    PairMemo fill_memo = {EVAL_MATCH_NONE, EVAL_MATCH_NONE};
    Labels filled = run->has_fill_one
                        ? eval_match_labels(&run->matching, run->base.arena, many->labels)
                        : LABELS_NONE;
    for (size_t i = 0; i < run->base.steps->count; i++) {
        if (many->kind[i] == POINT_NONE)
            continue;
        uint32_t one = one_at_step(run, group, i);
        bool ok = true;
        if (one != EVAL_MATCH_NONE)
            ok = match_pair(run, group, many->labels, point_at(many, i), one,
                            run->one->series[one].labels, point_at(&run->one->series[one], i), i,
                            &memo, err);
        else if (run->has_fill_one)
            ok = match_pair(run, group, many->labels, point_at(many, i), EVAL_MATCH_NONE - 1,
                            filled, (Point){run->fill_one, NULL}, i, &fill_memo, err);
        if (!ok)
            return false;
    }
    return true;
}

// Members of the one side that met nobody at a step, or only what their operator does not take: as in the original a float beside
// a histogram is as good as missing.
static bool fill_many_side(MatchRun *run, Error *err)
{
    size_t n = run->base.steps->count;
    for (size_t s = 0; s < run->one->count; s++) {
        const VectorSeries *one = &run->one->series[s];
        EvalMatchGroup *group = eval_match_group(&run->groups, &run->matching, one->labels, false);
        Labels filled = eval_match_labels(&run->matching, run->base.arena, one->labels);
        PairMemo memo = {EVAL_MATCH_NONE, EVAL_MATCH_NONE};
        for (size_t i = 0; i < n; i++) {
            if (one->kind[i] == POINT_NONE || (group->taken && group->taken[i]))
                continue;
            if (!match_pair(run, group, filled, (Point){run->fill_many, NULL}, (uint32_t)s,
                            one->labels, point_at(one, i), i, &memo, err))
                return false;
        }
    }
    return true;
}

static bool vector_vector(const BinaryRun *base, const Value *l, const Value *r, Value *ret_value,
                          Error *err)
{
    const Expr *expr = base->expr;
    bool swapped = expr->binary.card == CARD_ONE_TO_MANY;
    MatchRun run = {
        .base = *base,
        .matching = eval_match_of(expr, base->arena),
        .many = swapped ? r : l,
        .one = swapped ? l : r,
        .swapped = swapped,
        // fill_left always stands for the many side, also with group_right, as in the original.
        .has_fill_one = expr->binary.has_fill_right,
        .has_fill_many = expr->binary.has_fill_left,
        .fill_one = expr->binary.fill_right,
        .fill_many = expr->binary.fill_left,
    };
    *ret_value = (Value){.type = TYPE_VECTOR};
    eval_match_groups_init(&run.groups, base->arena,
                           run.one->count + (run.has_fill_one ? run.many->count : 0));
    if (!group_one_side(&run, err))
        return false;
    for (size_t s = 0; s < run.many->count; s++) {
        if (s % SERIES_BETWEEN_CHECKS == 0 && !eval_check(base->context, base->arena, err))
            return false;
        if (!match_many_series(&run, s, err))
            return false;
    }
    if (run.has_fill_many && !fill_many_side(&run, err))
        return false;
    clear_met(&run);
    ret_value->series = run.out;
    ret_value->count = run.out_count;
    eval_remove_empty(ret_value, base->steps->count);
    return true;
}

// One operator on values that may be changed in place.
static bool apply_operator(const BinaryRun *run, Value *l, Value *r, Value *ret_value, Error *err)
{
    if (l->type == TYPE_SCALAR && r->type == TYPE_SCALAR) {
        scalar_scalar(run, l, r, ret_value);
        return true;
    }
    if (l->type == TYPE_SCALAR)
        return vector_scalar(run, r, l, true, ret_value, err);
    if (r->type == TYPE_SCALAR)
        return vector_scalar(run, l, r, false, ret_value, err);
    if (is_set_operator(run->expr->binary.op))
        return eval_set_operation(run->expr, run->steps, run->arena, l, r, ret_value, err);
    return vector_vector(run, l, r, ret_value, err);
}

bool eval_binary(EvalContext *context, const Expr *expr, const Steps *steps, Arena *arena,
                 Value *ret_value, Error *err)
{
    // Down the chain of left operands, but not into a part that is the same at every step.
    const Expr *inner = expr;
    while (inner->binary.left->kind == EXPR_BINARY && !eval_hoists(inner->binary.left, steps))
        inner = inner->binary.left;
    uint64_t before = eval_held(context);
    Value l;
    if (!eval(context, inner->binary.left, steps, arena, &l, err))
        return false;
    for (;; inner = inner->binary.above) {
        BinaryRun run = {context, inner, steps, arena};
        Value r;
        Value result;
        if (!eval(context, inner->binary.right, steps, arena, &r, err) ||
            !apply_operator(&run, &l, &r, &result, err) ||
            !eval_hold_only(context, before, &result, steps, err))
            return false;
        l = result;
        if (inner == expr)
            break;
    }
    *ret_value = l;
    return true;
}
