// SPDX-License-Identifier: Apache-2.0
// function_bodies.h: the functions that function_table.c names, and what they share. Private to the room.
#pragma once

#include "promql/eval.h"

// Neumaier's improved Kahan summation: the sum is sum + c.
typedef struct KahanSum {
    double sum;
    double c;
} KahanSum;

static inline void kahan_add(KahanSum *k, double increment)
{
    double t = k->sum + increment;
    if (__builtin_isinf(t))
        k->c = 0;
    else if (__builtin_fabs(k->sum) >= __builtin_fabs(increment))
        k->c += (k->sum - t) + increment;
    else
        k->c += (increment - t) + k->sum;
    k->sum = t;
}

// What is told about a range series, each thing once per series.
typedef enum RangeNote {
    NOTE_MIXED,
    NOTE_NOT_COUNTER,
    NOTE_NOT_GAUGE,
    NOTE_MIXED_SCHEMAS,
    NOTE_IGNORED,
    NOTE_NON_COUNTER_NAME,
    NOTE_BOUNDS_SUB,
    NOTE_BOUNDS_ADD,
    NOTE_BOUNDS_AGGREGATION,
    NOTE_RESET_COLLISION,
    NOTE_START_OVERLAP,
} RangeNote;

typedef struct RangeNotes {
    const FunctionCall *call;
    Labels labels;
    uint32_t told; // bit set of RangeNote
} RangeNotes;

void range_note(RangeNotes *notes, RangeNote note);
// A label value or name quoted as Go's %q, cut to what an annotation can hold.
typedef struct QuotedText {
    char text[300];
} QuotedText;
QuotedText quoted_text(Str s);

// The matrix argument of the call: what its windows are.
const Value *range_argument(const FunctionCall *call);

static inline const Histogram *range_histogram(const RangeSeries *series, uint32_t i)
{
    return series->samples.histograms ? series->samples.histograms[i] : NULL;
}

// True if the start of sample i (not the first) says that the counter was reset since the one before.
bool range_start_resets(const SampleColumns *samples, uint32_t i);
static inline bool range_start_reset(const RangeSeries *series, uint32_t i)
{
    return UNLIKELY(series->samples.start_ms != NULL) && range_start_resets(&series->samples, i);
}

// The floats of a range series alone, with what the windows become.
typedef struct FloatView {
    const int64_t *t_ms;
    const double *value;
    const uint32_t *before; // floats before sample i; NULL: all are floats
    void *heap;
} FloatView;

void float_view_init(FloatView *view, const RangeSeries *series);
void float_view_deinit(FloatView *view);

static inline uint32_t float_view_index(const FloatView *view, uint32_t sample)
{
    return view->before ? view->before[sample] : sample;
}

static inline void set_float(VectorSeries *out, size_t step, double value)
{
    out->value[step] = value;
    out->kind[step] = POINT_FLOAT;
}

// Room for `count` series, none yet.
Value vector_new(const FunctionCall *call, size_t count);
// Hands out the vector of a function that dropped names: without series that are empty now, equal ones merged.
bool vector_finish(const FunctionCall *call, Value *vector, Value *ret_value,
                   Error *err) MUST_CHECK;

#define RANGE_FUNCTION(name)                                                                       \
    void name(const FunctionCall *call, Arena *arena, const RangeSeries *series, VectorSeries *out)
#define GENERAL_FUNCTION(name) bool name(FunctionCall *call, Value *ret_value, Error *err)

// functions_rate.c
RANGE_FUNCTION(range_rate);
RANGE_FUNCTION(range_increase);
RANGE_FUNCTION(range_delta);
RANGE_FUNCTION(range_irate);
RANGE_FUNCTION(range_idelta);
// functions_rate_histogram.c
// A histogram on the line from h1 to h2; across a counter's reset h1 counts as empty.
typedef struct HistogramBetween {
    Histogram *histogram;            // NULL: buckets of both kinds
    bool mismatch_sub, mismatch_add; // custom bounds differed
} HistogramBetween;
HistogramBetween histogram_between(Arena *arena, const Histogram *h1, const Histogram *h2,
                                   double fraction, bool is_counter);
// Of the window [first, last], all histograms; NULL: nothing. Time in ms.
Histogram *histogram_window_rate(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                                 uint32_t first, uint32_t last, bool is_counter);
// a + b; false: they do not go together, which is noted.
bool histogram_window_add(RangeNotes *notes, Arena *arena, const Histogram *a, const Histogram *b,
                          Histogram **ret);
Histogram *histogram_window_extended(RangeNotes *notes, Arena *arena, const RangeSeries *series,
                                     uint32_t first, uint32_t last, int64_t start_ms,
                                     int64_t end_ms, bool smoothed, bool is_counter);

// functions_trend.c
RANGE_FUNCTION(range_changes);
RANGE_FUNCTION(range_resets);
RANGE_FUNCTION(range_deriv);
RANGE_FUNCTION(range_predict_linear);
GENERAL_FUNCTION(function_double_exponential_smoothing);

// functions_over_time.c
RANGE_FUNCTION(range_min_over_time);
RANGE_FUNCTION(range_max_over_time);
RANGE_FUNCTION(range_stddev_over_time);
RANGE_FUNCTION(range_stdvar_over_time);
RANGE_FUNCTION(range_quantile_over_time);
RANGE_FUNCTION(range_mad_over_time);
RANGE_FUNCTION(range_ts_of_min_over_time);
RANGE_FUNCTION(range_ts_of_max_over_time);
// functions_over_time_any.c: those that take histograms, too
RANGE_FUNCTION(range_count_over_time);
RANGE_FUNCTION(range_present_over_time);
RANGE_FUNCTION(range_first_over_time);
RANGE_FUNCTION(range_last_over_time);
RANGE_FUNCTION(range_ts_of_first_over_time);
RANGE_FUNCTION(range_ts_of_last_over_time);
RANGE_FUNCTION(range_sum_over_time);
RANGE_FUNCTION(range_avg_over_time);

// functions_scalar.c
double math_sgn(double v);
double math_deg(double v);
double math_rad(double v);
GENERAL_FUNCTION(function_pi);
GENERAL_FUNCTION(function_time);
GENERAL_FUNCTION(function_start);
GENERAL_FUNCTION(function_end);
GENERAL_FUNCTION(function_step);
GENERAL_FUNCTION(function_range);
GENERAL_FUNCTION(function_vector);
GENERAL_FUNCTION(function_scalar);
GENERAL_FUNCTION(function_max_of);
GENERAL_FUNCTION(function_min_of);
GENERAL_FUNCTION(function_clamp);
GENERAL_FUNCTION(function_clamp_min);
GENERAL_FUNCTION(function_clamp_max);
GENERAL_FUNCTION(function_round);
GENERAL_FUNCTION(function_minute);
GENERAL_FUNCTION(function_hour);
GENERAL_FUNCTION(function_day_of_week);
GENERAL_FUNCTION(function_day_of_month);
GENERAL_FUNCTION(function_day_of_year);
GENERAL_FUNCTION(function_days_in_month);
GENERAL_FUNCTION(function_month);
GENERAL_FUNCTION(function_year);

// functions_label.c
GENERAL_FUNCTION(function_label_replace);
GENERAL_FUNCTION(function_label_join);
GENERAL_FUNCTION(function_sort);
GENERAL_FUNCTION(function_sort_desc);
GENERAL_FUNCTION(function_sort_by_label);
GENERAL_FUNCTION(function_sort_by_label_desc);
// Digits compare as numbers, all else bytewise: <0, 0, >0.
int natural_compare(Str a, Str b);

// functions_histogram.c
GENERAL_FUNCTION(function_histogram_avg);
GENERAL_FUNCTION(function_histogram_count);
GENERAL_FUNCTION(function_histogram_sum);
GENERAL_FUNCTION(function_histogram_stddev);
GENERAL_FUNCTION(function_histogram_stdvar);
GENERAL_FUNCTION(function_histogram_fraction);
GENERAL_FUNCTION(function_histogram_quantile);
GENERAL_FUNCTION(function_histogram_quantiles);
