// SPDX-License-Identifier: Apache-2.0
// histogram_*: quantiles, fractions and moments of classic and native histograms. Rules: prometheus.md section 4.9.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "promql/function_bodies.h"
#include "promql/quantile.h"

#define LABEL_BUCKET S("le")

// Native only --------------------------------------------------------------------------------------------------------------------

typedef double (*HistogramFunction)(const Histogram *h, Arena *scratch);

static bool each_histogram(FunctionCall *call, HistogramFunction function, Value *ret_value,
                           Error *err)
{
    Value *vector = &call->args[0];
    Arena scratch = {0};
    for (size_t s = 0; s < vector->count; s++) {
        VectorSeries *series = &vector->series[s];
        for (size_t i = 0; i < call->steps->count; i++) {
            if (series->kind[i] != POINT_HISTOGRAM) {
                series->kind[i] = POINT_NONE;
                continue;
            }
            set_float(series, i, function(series->histogram[i], &scratch));
            arena_reset(&scratch);
        }
        series->histogram = NULL;
        function_drop_name(call, series);
    }
    arena_deinit(&scratch);
    return vector_finish(call, vector, ret_value, err);
}

static double histogram_count(const Histogram *h, Arena *scratch)
{
    (void)scratch;
    return h->count;
}

static double histogram_sum(const Histogram *h, Arena *scratch)
{
    (void)scratch;
    return h->sum;
}

static double histogram_avg(const Histogram *h, Arena *scratch)
{
    (void)scratch;
    return h->sum / h->count;
}

// Where in its bucket an observation is taken to be.
static double bucket_middle(const Histogram *h, const HistogramBucket *bucket)
{
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return (bucket->upper + bucket->lower) / 2.0;
    if (bucket->lower <= 0 && bucket->upper >= 0)
        return 0;
    double middle = sqrt(bucket->upper * bucket->lower);
    return bucket->upper < 0 ? -middle : middle;
}

static double histogram_stdvar(const Histogram *h, Arena *scratch)
{
    double mean = h->sum / h->count;
    KahanSum variance = {0};
    HistogramBucket *buckets;
    size_t count = histogram_buckets(scratch, h, &buckets);
    for (size_t i = 0; i < count; i++) {
        if (buckets[i].count == 0)
            continue;
        double delta = bucket_middle(h, &buckets[i]) - mean;
        kahan_add(&variance, buckets[i].count * delta * delta);
    }
    return (variance.sum + variance.c) / h->count;
}

static double histogram_stddev(const Histogram *h, Arena *scratch)
{
    return sqrt(histogram_stdvar(h, scratch));
}

GENERAL_FUNCTION(function_histogram_count)
{
    return each_histogram(call, histogram_count, ret_value, err);
}

GENERAL_FUNCTION(function_histogram_sum)
{
    return each_histogram(call, histogram_sum, ret_value, err);
}

GENERAL_FUNCTION(function_histogram_avg)
{
    return each_histogram(call, histogram_avg, ret_value, err);
}

GENERAL_FUNCTION(function_histogram_stddev)
{
    return each_histogram(call, histogram_stddev, ret_value, err);
}

GENERAL_FUNCTION(function_histogram_stdvar)
{
    return each_histogram(call, histogram_stdvar, ret_value, err);
}

// Classic and native together ----------------------------------------------------------------------------------------------------

// Series that are buckets of one classic histogram, sorted by bound.
typedef struct BucketSeries {
    double upper;
    uint32_t series;
} BucketSeries;

typedef struct ClassicGroup {
    Labels labels; // without le
    bool drop_name;
    BucketSeries *buckets;
    uint32_t count, cap;
    const VectorSeries *native; // with the same labels; NULL: none
} ClassicGroup;

// The vector taken apart, once for all steps.
typedef struct HistogramSet {
    FunctionCall *call;
    const Value *vector;
    const Expr *at; // where the vector stands
    ClassicGroup *groups;
    size_t group_count;
    uint32_t *natives;            // series with histograms
    ClassicGroup **native_groups; // the group with the same labels, or NULL
    size_t native_count;
    ClassicBucket *scratch_buckets; // room for the largest group
    Arena scratch;
    uint32_t *slots; // groups by labels: index + 1
    size_t mask;
    // Forced monotonicity, told once for the whole call.
    MonotonicFix fixes;
    size_t fix_count;
    int64_t fix_first_ms, fix_last_ms;
    Str fix_name;
} HistogramSet;

// The metric name for annotations: after names were dropped there is none.
static Str shown_name(const HistogramSet *set, Labels labels)
{
    return set->call->delayed_name_removal ? labels_get(labels, LABEL_METRIC_NAME) : STR_NONE;
}

// " for metric name "x"", or nothing.
static void annotate_named(const HistogramSet *set, bool is_warning, const char *text,
                           Labels labels)
{
    Str name = shown_name(set, labels);
    QuotedText quoted = quoted_text(name);
    (is_warning ? annotate_warning : annotate_info)(set->call->context, set->at, "%s%s%s", text,
                                                    name.len ? " for metric name " : "",
                                                    name.len ? quoted.text : "");
}

// Go's ParseFloat takes more forms than a sender of histograms uses; these are read.
static bool parse_bound(Str text, double *ret_bound)
{
    return text.len > 0 && number_parse_double(text, ret_bound);
}

static ClassicGroup *find_group(HistogramSet *set, Labels labels, bool may_add)
{
    for (size_t at = labels_hash(labels) & set->mask;; at = (at + 1) & set->mask) {
        if (set->slots[at] == 0) {
            if (!may_add)
                return NULL;
            set->slots[at] = (uint32_t)++set->group_count;
            ClassicGroup *group = &set->groups[set->group_count - 1];
            *group = (ClassicGroup){.labels = labels};
            return group;
        }
        ClassicGroup *group = &set->groups[set->slots[at] - 1];
        if (labels_equal(group->labels, labels))
            return group;
    }
}

static void annotate_bad_bucket(HistogramSet *set, const VectorSeries *series)
{
    Str bound = labels_get(series->labels, LABEL_BUCKET), name = shown_name(set, series->labels);
    QuotedText quoted_bound = quoted_text(bound), quoted_name = quoted_text(name);
    annotate_warning(set->call->context, set->at,
                     "bucket label \"le\" is missing or has a malformed value of %s%s%s",
                     quoted_bound.text, name.len ? " for metric name " : "",
                     name.len ? quoted_name.text : "");
}

static void add_bucket_series(HistogramSet *set, uint32_t index)
{
    const VectorSeries *series = &set->vector->series[index];
    double upper;
    if (!parse_bound(labels_get(series->labels, LABEL_BUCKET), &upper)) {
        annotate_bad_bucket(set, series);
        return;
    }
    ClassicGroup *group =
        find_group(set, labels_drop(set->call->arena, series->labels, &LABEL_BUCKET, 1), true);
    group->drop_name = series->drop_name;
    if (group->count == group->cap) {
        uint32_t cap = group->cap ? 2 * group->cap : 16;
        group->buckets = arena_grow(set->call->arena, group->buckets,
                                    group->cap * sizeof(BucketSeries), cap * sizeof(BucketSeries));
        group->cap = cap;
    }
    group->buckets[group->count++] = (BucketSeries){upper, index};
}

static int compare_bounds(const void *a, const void *b)
{
    double x = ((const BucketSeries *)a)->upper, y = ((const BucketSeries *)b)->upper;
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

static void histogram_set_init(HistogramSet *set, FunctionCall *call, size_t vector_arg)
{
    const Value *vector = &call->args[vector_arg];
    *set = (HistogramSet){.call = call, .vector = vector, .at = call->expr->call.args[vector_arg]};
    size_t slots = 16, steps = call->steps->count;
    while (slots < 2 * vector->count)
        slots *= 2;
    set->mask = slots - 1;
    set->slots = x_calloc(slots, sizeof(uint32_t));
    set->groups = ARENA_ARRAY(call->arena, ClassicGroup, vector->count);
    set->natives = ARENA_ARRAY(call->arena, uint32_t, vector->count);
    set->native_groups = ARENA_ARRAY(call->arena, ClassicGroup *, vector->count);
    for (size_t i = 0; i < vector->count; i++) {
        if (memchr(vector->series[i].kind, POINT_FLOAT, steps))
            add_bucket_series(set, (uint32_t)i);
        if (vector->series[i].histogram && memchr(vector->series[i].kind, POINT_HISTOGRAM, steps))
            set->natives[set->native_count++] = (uint32_t)i;
    }
    uint32_t largest = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        qsort(set->groups[i].buckets, set->groups[i].count, sizeof(BucketSeries), compare_bounds);
        largest = MAX(largest, set->groups[i].count);
    }
    for (size_t i = 0; i < set->native_count; i++) {
        const VectorSeries *native = &vector->series[set->natives[i]];
        set->native_groups[i] = find_group(set, native->labels, false);
        if (set->native_groups[i])
            set->native_groups[i]->native = native;
    }
    set->scratch_buckets = ARENA_ARRAY(call->arena, ClassicBucket, largest);
}

static void histogram_set_deinit(HistogramSet *set)
{
    free(set->slots);
    arena_deinit(&set->scratch);
}

// The group's buckets that have a value at the step.
static size_t gather_buckets(HistogramSet *set, const ClassicGroup *group, size_t step)
{
    size_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const VectorSeries *series = &set->vector->series[group->buckets[i].series];
        if (series->kind[step] == POINT_FLOAT)
            set->scratch_buckets[count++] =
                (ClassicBucket){group->buckets[i].upper, series->value[step]};
    }
    return count;
}

static bool group_has_buckets(const HistogramSet *set, const ClassicGroup *group, size_t step)
{
    for (uint32_t i = 0; i < group->count; i++)
        if (set->vector->series[group->buckets[i].series].kind[step] == POINT_FLOAT)
            return true;
    return false;
}

static void remember_fix(HistogramSet *set, const MonotonicFix *fix, size_t step, Labels labels)
{
    int64_t t_ms = step_time(set->call->steps, step);
    if (set->fix_count++ == 0) {
        set->fixes = *fix;
        set->fix_first_ms = set->fix_last_ms = t_ms;
        set->fix_name = shown_name(set, labels);
        return;
    }
    set->fixes.bucket_min = fmin(set->fixes.bucket_min, fix->bucket_min);
    set->fixes.bucket_max = fmax(set->fixes.bucket_max, fix->bucket_max);
    set->fixes.diff_max = fmax(set->fixes.diff_max, fix->diff_max);
    set->fix_first_ms = MIN(set->fix_first_ms, t_ms);
    set->fix_last_ms = MAX(set->fix_last_ms, t_ms);
}

// Tells of what remember_fix gathered.
static void annotate_fixes(HistogramSet *set)
{
    if (set->fix_count == 0)
        return;
    Buf text;
    buf_init(&text, 0);
    if (set->fix_name.len) {
        buf_add_c(&text, " for metric name ");
        buf_add_go_quoted(&text, set->fix_name);
    }
    buf_add_c(&text, ", from buckets ");
    buf_add_double_g(&text, set->fixes.bucket_min);
    buf_add_c(&text, " to ");
    buf_add_double_g(&text, set->fixes.bucket_max);
    buf_printf(&text, ", with a max diff of %.2g, over %zu samples from ", set->fixes.diff_max,
               set->fix_count);
    buf_add_rfc3339(&text, set->fix_first_ms / 1000 * 1000, 0);
    buf_add_c(&text, " to ");
    buf_add_rfc3339(&text, set->fix_last_ms / 1000 * 1000, 0);
    annotate_info(set->call->context, set->at,
                  "input to histogram_quantile needed to be fixed for monotonicity (see "
                  "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                  "#histogram_quantile)" STR_FMT,
                  STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    set->fix_count = 0;
}

static void annotate_effect(const HistogramSet *set, NanEffect effect, Labels labels)
{
    static const char *const texts[] = {
        [NAN_EFFECT_RESULT] = "input to histogram_quantile has NaN observations, result is NaN",
        [NAN_EFFECT_SKEW] =
            "input to histogram_quantile has NaN observations, result is skewed higher",
        [NAN_EFFECT_EXCLUDED] = "input to histogram_fraction has NaN observations, which are "
                                "excluded from all fractions",
    };
    if (effect != NAN_EFFECT_NONE)
        annotate_named(set, false, texts[effect], labels);
}

// What is asked of each histogram: a quantile, or the share between two values; per step. A label is added if `label` is set.
typedef struct HistogramQuestion {
    const double *q;     // NULL: a fraction
    const double *lower; // with upper
    const double *upper;
    bool has_only; // asked only at the steps where q is only_q
    double only_q;
    Str label, label_value;
} HistogramQuestion;

static double ask_native(HistogramSet *set, const HistogramQuestion *question, size_t step,
                         const VectorSeries *series)
{
    NanEffect effect;
    const Histogram *h = series->histogram[step];
    double answer = question->q
                        ? histogram_quantile_of(question->q[step], h, &set->scratch, &effect)
                        : histogram_fraction_of(question->lower[step], question->upper[step], h,
                                                &set->scratch, &effect);
    arena_reset(&set->scratch);
    annotate_effect(set, effect, series->labels);
    return answer;
}

static double ask_classic(HistogramSet *set, const HistogramQuestion *question, size_t step,
                          const ClassicGroup *group, size_t count)
{
    if (!question->q)
        return bucket_fraction(question->lower[step], question->upper[step], set->scratch_buckets,
                               count);
    MonotonicFix fix;
    double answer = bucket_quantile(question->q[step], set->scratch_buckets, count, &fix);
    if (fix.forced)
        remember_fix(set, &fix, step, group->labels);
    return answer;
}

// A result series with the labels of what was asked.
static VectorSeries *new_answer(HistogramSet *set, const HistogramQuestion *question, Labels labels,
                                bool drop_name, Value *result)
{
    FunctionCall *call = set->call;
    VectorSeries *out = &result->series[result->count++];
    vector_series_init(call->arena, call->steps->count, labels, out);
    out->drop_name = drop_name;
    function_drop_name(call, out);
    if (question->label.len)
        out->labels = labels_set(call->arena, out->labels, question->label, question->label_value);
    return out;
}

static bool is_same_quantile(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool is_asked(const HistogramQuestion *question, size_t step)
{
    return !question->has_only || is_same_quantile(question->q[step], question->only_q);
}

static void answer_natives(HistogramSet *set, const HistogramQuestion *question, Value *result)
{
    for (size_t i = 0; i < set->native_count; i++) {
        const VectorSeries *series = &set->vector->series[set->natives[i]];
        const ClassicGroup *group = set->native_groups[i];
        VectorSeries *out = new_answer(set, question, series->labels, series->drop_name, result);
        bool told = false;
        for (size_t step = 0; step < set->call->steps->count; step++) {
            if (series->kind[step] != POINT_HISTOGRAM || !is_asked(question, step))
                continue;
            // With both under the same labels neither counts.
            if (!group || !group_has_buckets(set, group, step)) {
                set_float(out, step, ask_native(set, question, step, series));
            } else if (!told) {
                annotate_named(set, true, "vector contains a mix of classic and native histograms",
                               series->labels);
                told = true;
            }
        }
    }
}

static void answer_classics(HistogramSet *set, const HistogramQuestion *question, Value *result)
{
    for (size_t i = 0; i < set->group_count; i++) {
        const ClassicGroup *group = &set->groups[i];
        VectorSeries *out = new_answer(set, question, group->labels, group->drop_name, result);
        for (size_t step = 0; step < set->call->steps->count; step++) {
            if (!is_asked(question, step))
                continue;
            size_t count = gather_buckets(set, group, step);
            bool conflicts = group->native && group->native->kind[step] == POINT_HISTOGRAM;
            if (count && !conflicts)
                set_float(out, step, ask_classic(set, question, step, group, count));
        }
    }
}

static void annotate_bad_quantiles(const FunctionCall *call, size_t arg)
{
    for (size_t i = 0; i < call->steps->count; i++) {
        double q = call->args[arg].scalar[i];
        if (q >= 0 && q <= 1)
            continue;
        // Each value once is enough: constants are the rule.
        if (i > 0 && double_bits(q) == double_bits(call->args[arg].scalar[i - 1]))
            continue;
        char text[NUMBER_BYTES_MAX];
        text[number_format_g(q, text)] = '\0';
        annotate_warning(call->context, call->expr->call.args[arg],
                         "quantile value should be between 0 and 1, got %s", text);
    }
}

GENERAL_FUNCTION(function_histogram_quantile)
{
    HistogramSet set;
    annotate_bad_quantiles(call, 0);
    histogram_set_init(&set, call, 1);
    HistogramQuestion question = {.q = call->args[0].scalar};
    Value result = vector_new(call, set.native_count + set.group_count);
    answer_natives(&set, &question, &result);
    answer_classics(&set, &question, &result);
    annotate_fixes(&set);
    histogram_set_deinit(&set);
    return vector_finish(call, &result, ret_value, err);
}

GENERAL_FUNCTION(function_histogram_fraction)
{
    HistogramSet set;
    histogram_set_init(&set, call, 2);
    HistogramQuestion question = {.lower = call->args[0].scalar, .upper = call->args[1].scalar};
    Value result = vector_new(call, set.native_count + set.group_count);
    answer_natives(&set, &question, &result);
    answer_classics(&set, &question, &result);
    histogram_set_deinit(&set);
    return vector_finish(call, &result, ret_value, err);
}

// As labels.FormatOpenMetricsFloat: always with a dot or an exponent.
static Str format_quantile(Arena *arena, double q)
{
    char text[NUMBER_BYTES_MAX + 2];
    size_t len = number_format_g(q, text);
    if (isfinite(q) && !memchr(text, '.', len) && !memchr(text, 'e', len)) {
        text[len++] = '.';
        text[len++] = '0';
    }
    return arena_str(arena, str_make(text, len));
}

// The value of q at `step` did not stand at an earlier step.
static bool is_new_quantile(const double *q, size_t step)
{
    for (size_t i = step; i-- > 0;)
        if (is_same_quantile(q[i], q[step]))
            return false;
    return true;
}

static size_t count_new_quantiles(const FunctionCall *call)
{
    size_t count = 0;
    for (size_t arg = 2; arg < call->count; arg++)
        for (size_t step = 0; step < call->steps->count; step++)
            count += is_new_quantile(call->args[arg].scalar, step);
    return count;
}

// The quantile becomes a label, so one that changes from step to step makes a series for each of its values.
GENERAL_FUNCTION(function_histogram_quantiles)
{
    HistogramSet set;
    for (size_t arg = 2; arg < call->count; arg++)
        annotate_bad_quantiles(call, arg);
    histogram_set_init(&set, call, 0);
    size_t answers = (set.native_count + set.group_count) * count_new_quantiles(call);
    if (!eval_hold_samples(call->context, answers * call->steps->count, err)) {
        histogram_set_deinit(&set);
        return false;
    }
    Value result = vector_new(call, answers);
    for (size_t arg = 2; arg < call->count; arg++) {
        const double *q = call->args[arg].scalar;
        for (size_t step = 0; step < call->steps->count; step++) {
            if (!is_new_quantile(q, step))
                continue;
            HistogramQuestion question = {.q = q,
                                          .has_only = true,
                                          .only_q = q[step],
                                          .label = call->args[1].string,
                                          .label_value = format_quantile(call->arena, q[step])};
            answer_natives(&set, &question, &result);
            answer_classics(&set, &question, &result);
        }
    }
    eval_drop_samples(call->context, answers * call->steps->count);
    annotate_fixes(&set);
    histogram_set_deinit(&set);
    return vector_finish(call, &result, ret_value, err);
}
