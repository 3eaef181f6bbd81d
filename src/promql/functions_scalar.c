// SPDX-License-Identifier: Apache-2.0
// Numbers and dates: what looks at each float by itself.
#include <math.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "promql/function_bodies.h"

double math_sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

double math_deg(double v)
{
    return v * 180 / M_PI;
}

double math_rad(double v)
{
    return v * M_PI / 180;
}

// Go's math.Max and math.Min: an infinity that decides goes before NaN, +0 is above -0.
static double go_max(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double go_min(double a, double b)
{
    if (a == -INFINITY || b == -INFINITY)
        return -INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

// Scalars ------------------------------------------------------------------------------------------------------------------------

static Value scalar_new(const FunctionCall *call)
{
    return (Value){.type = TYPE_SCALAR,
                   .scalar = ARENA_ARRAY(call->arena, double, call->steps->count)};
}

// The same number at every step.
static bool constant(FunctionCall *call, double value, Value *ret_value)
{
    *ret_value = scalar_new(call);
    for (size_t i = 0; i < call->steps->count; i++)
        ret_value->scalar[i] = value;
    return true;
}

GENERAL_FUNCTION(function_pi)
{
    (void)err;
    return constant(call, M_PI, ret_value);
}

// Of the whole query, also inside a subquery.
GENERAL_FUNCTION(function_start)
{
    (void)err;
    return constant(call, (double)call->context->start_ms / 1000, ret_value);
}

GENERAL_FUNCTION(function_end)
{
    (void)err;
    return constant(call, (double)call->context->end_ms / 1000, ret_value);
}

GENERAL_FUNCTION(function_step)
{
    (void)err;
    const EvalContext *context = call->context;
    bool is_one = context->start_ms == context->end_ms; // also of a range
    return constant(call, is_one ? 0 : (double)context->request->step_ms / 1000, ret_value);
}

GENERAL_FUNCTION(function_range)
{
    (void)err;
    return constant(call, (double)(call->context->end_ms - call->context->start_ms) / 1000,
                    ret_value);
}

GENERAL_FUNCTION(function_time)
{
    (void)err;
    *ret_value = scalar_new(call);
    for (size_t i = 0; i < call->steps->count; i++)
        ret_value->scalar[i] = (double)step_time(call->steps, i) / 1000;
    return true;
}

GENERAL_FUNCTION(function_max_of)
{
    (void)err;
    *ret_value = scalar_new(call);
    for (size_t i = 0; i < call->steps->count; i++)
        ret_value->scalar[i] = go_max(call->args[0].scalar[i], call->args[1].scalar[i]);
    return true;
}

GENERAL_FUNCTION(function_min_of)
{
    (void)err;
    *ret_value = scalar_new(call);
    for (size_t i = 0; i < call->steps->count; i++)
        ret_value->scalar[i] = go_min(call->args[0].scalar[i], call->args[1].scalar[i]);
    return true;
}

GENERAL_FUNCTION(function_scalar)
{
    (void)err;
    *ret_value = scalar_new(call);
    const Value *vector = &call->args[0];
    for (size_t i = 0; i < call->steps->count; i++) {
        size_t found = 0;
        for (size_t s = 0; s < vector->count && found < 2; s++) {
            if (vector->series[s].kind[i] != POINT_FLOAT)
                continue;
            found++;
            ret_value->scalar[i] = vector->series[s].value[i];
        }
        if (found != 1)
            ret_value->scalar[i] = double_from_bits(NAN_NORMAL_BITS);
    }
    return true;
}

GENERAL_FUNCTION(function_vector)
{
    (void)err;
    Value result = vector_new(call, 1);
    VectorSeries *series = &result.series[result.count++];
    vector_series_init(call->arena, call->steps->count, LABELS_NONE, series);
    for (size_t i = 0; i < call->steps->count; i++)
        set_float(series, i, call->args[0].scalar[i]);
    *ret_value = result;
    return true;
}

// Elementwise over a vector --------------------------------------------------------------------------------------------------------

// The new value of a float at a step; false: it is left out.
typedef bool (*ElementFunction)(const FunctionCall *call, size_t step, double *value);

static bool each_element(FunctionCall *call, ElementFunction function, Value *ret_value, Error *err)
{
    Value *vector = &call->args[0];
    for (size_t s = 0; s < vector->count; s++) {
        VectorSeries *series = &vector->series[s];
        for (size_t i = 0; i < call->steps->count; i++)
            if (series->kind[i] != POINT_FLOAT || !function(call, i, &series->value[i]))
                series->kind[i] = POINT_NONE;
        series->histogram = NULL;
        function_drop_name(call, series);
    }
    return vector_finish(call, vector, ret_value, err);
}

static bool clamp_element(const FunctionCall *call, size_t step, double *value)
{
    double low = call->args[1].scalar[step], high = call->args[2].scalar[step];
    *value = go_max(low, go_min(high, *value));
    return !(high < low);
}

static bool clamp_min_element(const FunctionCall *call, size_t step, double *value)
{
    *value = go_max(call->args[1].scalar[step], *value);
    return true;
}

static bool clamp_max_element(const FunctionCall *call, size_t step, double *value)
{
    *value = go_min(call->args[1].scalar[step], *value);
    return true;
}

static bool round_element(const FunctionCall *call, size_t step, double *value)
{
    // Through the inverse, which is the more accurate way for 0.1 and the like.
    double inverse = 1.0 / (call->count > 1 ? call->args[1].scalar[step] : 1);
    *value = floor(*value * inverse + 0.5) / inverse;
    return true;
}

GENERAL_FUNCTION(function_clamp)
{
    return each_element(call, clamp_element, ret_value, err);
}

GENERAL_FUNCTION(function_clamp_min)
{
    return each_element(call, clamp_min_element, ret_value, err);
}

GENERAL_FUNCTION(function_clamp_max)
{
    return each_element(call, clamp_max_element, ret_value, err);
}

GENERAL_FUNCTION(function_round)
{
    return each_element(call, round_element, ret_value, err);
}

// Dates --------------------------------------------------------------------------------------------------------------------------

// Go's calendar begins in the year -292277022399; a time before that, and what is no number of seconds at all (it converts to the
// smallest), comes out as many years behind the epoch instead.
#define DATE_S_MIN (-INT64_C(9223372028715321600))

typedef double (*DatePart)(const CivilTime *time);

static CivilTime civil_of(double seconds)
{
    bool fits = seconds >= (double)DATE_S_MIN && seconds < 0x1p63;
    return civil_from_s(fits ? (int64_t)seconds : INT64_MAX);
}

static bool date_function(FunctionCall *call, DatePart part, Value *ret_value, Error *err)
{
    if (call->count == 0) {
        Value result = vector_new(call, 1);
        VectorSeries *series = &result.series[result.count++];
        vector_series_init(call->arena, call->steps->count, LABELS_NONE, series);
        for (size_t i = 0; i < call->steps->count; i++) {
            CivilTime time = civil_from_s(step_time(call->steps, i) / 1000);
            set_float(series, i, part(&time));
        }
        *ret_value = result;
        return true;
    }
    Value *vector = &call->args[0];
    for (size_t s = 0; s < vector->count; s++) {
        VectorSeries *series = &vector->series[s];
        for (size_t i = 0; i < call->steps->count; i++) {
            if (series->kind[i] == POINT_FLOAT) {
                CivilTime time = civil_of(series->value[i]);
                series->value[i] = part(&time);
            } else {
                series->kind[i] = POINT_NONE;
            }
        }
        series->histogram = NULL;
        function_drop_name(call, series);
    }
    return vector_finish(call, vector, ret_value, err);
}

static double date_minute(const CivilTime *time)
{
    return time->minute;
}

static double date_hour(const CivilTime *time)
{
    return time->hour;
}

static double date_day_of_week(const CivilTime *time)
{
    return time->weekday;
}

static double date_day_of_month(const CivilTime *time)
{
    return time->day;
}

static double date_day_of_year(const CivilTime *time)
{
    return time->yearday;
}

static double date_days_in_month(const CivilTime *time)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = time->year % 4 == 0 && (time->year % 100 != 0 || time->year % 400 == 0);
    return days[time->month - 1] + (leap && time->month == 2);
}

static double date_month(const CivilTime *time)
{
    return time->month;
}

static double date_year(const CivilTime *time)
{
    return (double)time->year;
}

GENERAL_FUNCTION(function_minute)
{
    return date_function(call, date_minute, ret_value, err);
}

GENERAL_FUNCTION(function_hour)
{
    return date_function(call, date_hour, ret_value, err);
}

GENERAL_FUNCTION(function_day_of_week)
{
    return date_function(call, date_day_of_week, ret_value, err);
}

GENERAL_FUNCTION(function_day_of_month)
{
    return date_function(call, date_day_of_month, ret_value, err);
}

GENERAL_FUNCTION(function_day_of_year)
{
    return date_function(call, date_day_of_year, ret_value, err);
}

GENERAL_FUNCTION(function_days_in_month)
{
    return date_function(call, date_days_in_month, ret_value, err);
}

GENERAL_FUNCTION(function_month)
{
    return date_function(call, date_month, ret_value, err);
}

GENERAL_FUNCTION(function_year)
{
    return date_function(call, date_year, ret_value, err);
}
