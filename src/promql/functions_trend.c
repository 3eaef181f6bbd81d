// SPDX-License-Identifier: Apache-2.0
// How a series moves: changes, resets, regression, smoothing.
#include <math.h>

#include "promql/function_bodies.h"

// changes and resets: pairs of neighbours that differ, counted along with the window ----------------------------------------------

typedef bool (*PairTest)(const RangeSeries *series, uint32_t i); // samples i - 1 and i

static bool is_change(const RangeSeries *series, uint32_t i)
{
    const Histogram *previous = range_histogram(series, i - 1),
                    *current = range_histogram(series, i);
    if (previous && current)
        return !histogram_equal(previous, current);
    if (previous || current)
        return true;
    double a = series->samples.value[i - 1], b = series->samples.value[i];
    return a != b && !(isnan(a) && isnan(b));
}

static bool is_reset(const RangeSeries *series, uint32_t i)
{
    if (range_start_reset(series, i))
        return true;
    const Histogram *previous = range_histogram(series, i - 1),
                    *current = range_histogram(series, i);
    if (previous && current)
        return histogram_detect_reset(previous, current);
    return previous || current || series->samples.value[i] < series->samples.value[i - 1];
}

// An anchored window begins with the newest sample at or before its start, if that is not too old.
static uint32_t anchored_first(const FunctionCall *call, const Value *matrix,
                               const RangeSeries *series, size_t step)
{
    uint32_t first = series->first[step];
    if (!matrix->anchored || first == 0)
        return first;
    int64_t start_ms = matrix->window_end_ms[step] - matrix->range_ms;
    return series->samples.t_ms[first - 1] > start_ms - call->context->lookback_ms ? first - 1
                                                                                   : first;
}

static void count_pairs(const FunctionCall *call, const RangeSeries *series, VectorSeries *out,
                        PairTest test)
{
    const Value *matrix = range_argument(call);
    uint32_t first = 0, last = 0, pairs = 0;
    for (size_t step = 0; step < call->steps->count; step++) {
        if (series->first[step] == series->last[step])
            continue;
        uint32_t new_first = anchored_first(call, matrix, series, step),
                 new_last = series->last[step];
        if (new_first >= last) {
            first = last = new_first;
            pairs = 0;
        }
        for (; last < new_last; last++)
            pairs += last > first && test(series, last);
        for (; first < new_first; first++)
            pairs -= first + 1 < last && test(series, first + 1);
        set_float(out, step, pairs);
    }
}

RANGE_FUNCTION(range_changes)
{
    (void)arena;
    count_pairs(call, series, out, is_change);
}

RANGE_FUNCTION(range_resets)
{
    (void)arena;
    count_pairs(call, series, out, is_reset);
}

// Linear regression --------------------------------------------------------------------------------------------------------------

typedef struct Line {
    double slope;
    double intercept; // at the time asked for
} Line;

static double kahan_value(const KahanSum *k)
{
    return k->sum + k->c;
}

// Least squares over at least one float.
static Line fit_line(const FloatView *view, uint32_t first, uint32_t last, int64_t at_ms)
{
    KahanSum x_sum = {0}, y_sum = {0}, xy_sum = {0}, xx_sum = {0};
    double y_first = view->value[first];
    bool constant = true;
    for (uint32_t i = first; i < last; i++) {
        double x = (double)(view->t_ms[i] - at_ms) / 1e3, y = view->value[i];
        if (i > first && y != y_first)
            constant = false;
        kahan_add(&x_sum, x);
        kahan_add(&y_sum, y);
        kahan_add(&xy_sum, x * y);
        kahan_add(&xx_sum, x * x);
    }
    if (constant)
        return isinf(y_first) ? (Line){NAN, NAN} : (Line){0, y_first};
    double n = last - first, sx = kahan_value(&x_sum), sy = kahan_value(&y_sum);
    double covariance = kahan_value(&xy_sum) - sx * sy / n,
           variance = kahan_value(&xx_sum) - sx * sx / n;
    double slope = covariance / variance;
    return (Line){slope, sy / n - slope * sx / n};
}

// The window's floats; false if there are too few for a line.
static bool regression_window(RangeNotes *notes, const FloatView *view, const RangeSeries *series,
                              size_t step, uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t first = float_view_index(view, series->first[step]),
             last = float_view_index(view, series->last[step]);
    uint32_t floats = last - first, all = series->last[step] - series->first[step];
    if (floats > 0 && floats < all)
        range_note(notes, NOTE_IGNORED);
    *ret_first = first;
    *ret_last = last;
    return floats >= 2;
}

RANGE_FUNCTION(range_deriv)
{
    (void)arena;
    RangeNotes notes = {.call = call, .labels = series->labels};
    FloatView view;
    float_view_init(&view, series);
    uint32_t first, last;
    for (size_t step = 0; step < call->steps->count; step++)
        if (regression_window(&notes, &view, series, step, &first, &last))
            set_float(out, step, fit_line(&view, first, last, view.t_ms[first]).slope);
    float_view_deinit(&view);
}

RANGE_FUNCTION(range_predict_linear)
{
    (void)arena;
    RangeNotes notes = {.call = call, .labels = series->labels};
    FloatView view;
    float_view_init(&view, series);
    uint32_t first, last;
    for (size_t step = 0; step < call->steps->count; step++) {
        if (!regression_window(&notes, &view, series, step, &first, &last))
            continue;
        Line line = fit_line(&view, first, last, step_time(call->steps, step));
        set_float(out, step, line.slope * call->args[1].scalar[step] + line.intercept);
    }
    float_view_deinit(&view);
}

// Double exponential smoothing ---------------------------------------------------------------------------------------------------

static double smooth(const double *value, uint32_t count, double smoothing, double trend)
{
    double before = 0, smoothed = value[0], slope = value[1] - value[0];
    for (uint32_t i = 1; i < count; i++) {
        double x = smoothing * value[i];
        if (i > 1)
            slope = trend * (smoothed - before) + (1 - trend) * slope;
        double y = (1 - smoothing) * (smoothed + slope);
        before = smoothed;
        smoothed = x + y;
    }
    return smoothed;
}

static bool is_proper_factor(double factor, const char *name, Error *err)
{
    if (!(factor <= 0 || factor >= 1))
        return true;
    return error_set(err, ERR_LIMIT, "invalid %s factor. Expected: 0 < %cf < 1, got: %f", name,
                     name[0], factor);
}

static bool smooth_series(FunctionCall *call, const RangeSeries *series, VectorSeries *out,
                          Error *err)
{
    RangeNotes notes = {.call = call, .labels = series->labels};
    FloatView view;
    float_view_init(&view, series);
    bool ok = true;
    for (size_t step = 0; ok && step < call->steps->count; step++) {
        if (series->first[step] == series->last[step])
            continue;
        double smoothing = call->args[1].scalar[step], trend = call->args[2].scalar[step];
        ok = is_proper_factor(smoothing, "smoothing", err) && is_proper_factor(trend, "trend", err);
        uint32_t first, last;
        if (ok && regression_window(&notes, &view, series, step, &first, &last))
            set_float(out, step, smooth(view.value + first, last - first, smoothing, trend));
    }
    float_view_deinit(&view);
    return ok;
}

GENERAL_FUNCTION(function_double_exponential_smoothing)
{
    const Value *matrix = &call->args[0];
    Value result = vector_new(call, matrix->count);
    for (size_t i = 0; i < matrix->count; i++) {
        VectorSeries *out = &result.series[result.count++];
        vector_series_init(call->arena, call->steps->count, matrix->ranges[i].labels, out);
        out->drop_name = matrix->ranges[i].drop_name;
        if (!smooth_series(call, &matrix->ranges[i], out, err))
            return false;
        function_drop_name(call, out);
    }
    return vector_finish(call, &result, ret_value, err);
}
