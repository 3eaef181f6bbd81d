// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "api/api_internal.h"
#include "base/number.h"
#include "base/timefmt.h"

// The original prints its widest times like this and takes them back.
static const struct {
    Str text;
    int64_t t_ms;
} special_times[] = {
    {STR("-292273086-05-16T16:47:06Z"), API_MIN_T_MS},
    {STR("292277025-08-18T07:12:54.999999999Z"), API_MAX_T_MS},
};

bool api_time_parse(Str text, int64_t *ret_ms, Error *err)
{
    double seconds;
    if (number_parse_double(text, &seconds) && isfinite(seconds) && fabs(seconds) < 9.2e15) {
        double whole;
        double fraction = modf(seconds, &whole);
        *ret_ms = (int64_t)whole * 1000 + (int64_t)round(fraction * 1000);
        return true;
    }
    Error ignored; // the text below tells more than RFC 3339's parser
    if (rfc3339_parse(text, ret_ms, &ignored))
        return true;
    for (size_t i = 0; i < COUNT_OF(special_times); i++)
        if (str_equal(text, special_times[i].text)) {
            *ret_ms = special_times[i].t_ms;
            return true;
        }
    return error_set(err, ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid timestamp",
                     STR_ARG(text));
}

bool api_duration_parse(Str text, int64_t *ret_ms, Error *err)
{
    double seconds;
    if (number_parse_double(text, &seconds)) {
        double ns = seconds * 1e9;
        if (!(ns < 9223372036854775807.0 && ns > -9223372036854775808.0))
            return error_set(err, ERR_INVALID,
                             "cannot parse \"" STR_FMT "\" to a valid duration. It overflows int64",
                             STR_ARG(text));
        *ret_ms = (int64_t)ns / 1000000;
        return true;
    }
    Error ignored; // the text below stands for it
    if (duration_parse(text, ret_ms, &ignored))
        return true;
    return error_set(err, ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid duration",
                     STR_ARG(text));
}

bool api_bool_parse(Str text, bool *ret_value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        if (str_is(text, yes[i]) || str_is(text, no[i])) {
            *ret_value = str_is(text, yes[i]);
            return true;
        }
    return false;
}

bool api_time_param(ApiCall *call, const char *name, int64_t fallback_ms, int64_t *ret_ms)
{
    Str text = http_param(call->request, str_from_c(name));
    Error err;
    if (text.len == 0) {
        *ret_ms = fallback_ms;
        return true;
    }
    if (api_time_parse(text, ret_ms, &err))
        return true;
    api_bad_param(call, name, &err);
    return false;
}

bool api_limit_param(ApiCall *call, const char *name, size_t *ret_limit)
{
    Str text = http_param(call->request, str_from_c(name));
    int64_t limit = 0;
    Error err;
    *ret_limit = 0;
    if (text.len == 0)
        return true;
    if (!number_parse_i64(text, &limit))
        error_set(&err, ERR_INVALID, "cannot parse \"" STR_FMT "\" to a number", STR_ARG(text));
    else if (limit < 0)
        error_set(&err, ERR_INVALID, "limit must be non-negative");
    else {
        *ret_limit = (size_t)limit;
        return true;
    }
    api_bad_param(call, name, &err);
    return false;
}

static bool has_non_empty_matcher(const Matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!matchers[i].matches_empty)
            return true;
    return false;
}

static bool read_selectors(ApiCall *call, Str name, bool wide, ApiSelectors *ret_selectors)
{
    const HttpRequest *request = call->request;
    ApiSelectors selectors = {
        .sets = ARENA_ARRAY(call->arena, Matcher *, MAX(request->param_count, 1u)),
        .counts = ARENA_ARRAY(call->arena, size_t, MAX(request->param_count, 1u)),
    };
    Error err = {0};
    for (size_t i = 0; i < request->param_count && err.code == ERR_NONE; i++) {
        if (!str_equal(request->params[i].name, name))
            continue;
        Matcher *set = NULL;
        size_t count = 0;
        if (!promql_parse_selector(request->params[i].value, call->arena, &set, &count, &err))
            break;
        selectors.sets[selectors.count] = set;
        selectors.counts[selectors.count++] = count;
        if (wide ? !count : !has_non_empty_matcher(set, count))
            error_set(&err, ERR_INVALID, STR_FMT " must contain at least one non-empty matcher",
                      STR_ARG(name));
    }
    if (err.code != ERR_NONE) {
        api_selectors_free(&selectors);
        api_bad_param(call, str_to_c(call->arena, name), &err);
        return false;
    }
    *ret_selectors = selectors;
    return true;
}

bool api_selectors_param(ApiCall *call, Str name, ApiSelectors *ret_selectors)
{
    return read_selectors(call, name, false, ret_selectors);
}

bool api_wide_selectors_param(ApiCall *call, Str name, ApiSelectors *ret_selectors)
{
    return read_selectors(call, name, true, ret_selectors);
}

void api_selectors_free(ApiSelectors *selectors)
{
    for (size_t i = 0; i < selectors->count; i++)
        promql_matchers_free(selectors->sets[i], selectors->counts[i]);
    selectors->count = 0;
}

bool api_truncate(size_t *count, size_t limit)
{
    if (limit == 0 || *count <= limit)
        return false;
    *count = limit;
    return true;
}

StrList api_truncated_warning(ApiCall *call, bool truncated)
{
    if (!truncated)
        return (StrList){0};
    Str *items = ARENA_ARRAY(call->arena, Str, 1);
    items[0] = API_TRUNCATED;
    return (StrList){items, 1};
}

StrList api_str_union(Arena *arena, StrList a, StrList b)
{
    if (a.count == 0)
        return b;
    if (b.count == 0)
        return a;
    Str *items = ARENA_ARRAY(arena, Str, a.count + b.count);
    size_t i = 0, j = 0, count = 0;
    while (i < a.count || j < b.count) {
        int order = i == a.count ? 1 : j == b.count ? -1 : str_compare(a.items[i], b.items[j]);
        items[count++] = order <= 0 ? a.items[i] : b.items[j];
        i += order <= 0;
        j += order >= 0;
    }
    return (StrList){items, count};
}

static SeriesList series_union(Arena *arena, SeriesList a, SeriesList b)
{
    if (a.count == 0)
        return b;
    if (b.count == 0)
        return a;
    SeriesEntry *series = ARENA_ARRAY(arena, SeriesEntry, a.count + b.count);
    size_t i = 0, j = 0, count = 0;
    while (i < a.count || j < b.count) {
        int order = i == a.count   ? 1
                    : j == b.count ? -1
                                   : labels_compare(a.series[i].labels, b.series[j].labels);
        series[count++] = order <= 0 ? a.series[i] : b.series[j];
        i += order <= 0;
        j += order >= 0;
    }
    return (SeriesList){series, count};
}

bool api_select(Querier *querier, const ApiSelectors *selectors, const SelectHints *hints,
                Arena *arena, SeriesList *ret_list, Error *err)
{
    SeriesList all = {0};
    for (size_t i = 0; i < selectors->count; i++) {
        SeriesList one = {0};
        if (!querier->select(querier, selectors->sets[i], selectors->counts[i], hints, arena, &one,
                             err))
            return false;
        all = series_union(arena, all, one);
        if (!arena_ok(arena, err))
            return false;
    }
    *ret_list = all;
    return true;
}
