// SPDX-License-Identifier: Apache-2.0
// Runs the scripts in tests/promql: a part of the test language of the field.
//
//     load 10s                                  series and their values, one each 10 s from t = 0
//       m{job="a"} 1+1x10 _ stale NaN
//     eval instant at 1m m                      or: eval range from 0 to 1m step 30s m
//       m{job="a"} 7                            what is expected, every series in any order; or
//       expect fail | warn | info               that it fails, or what is told
//     clear
//     features delayed_name_removal             ours: from here on; without a name none
#include <math.h>

#include "base/fs.h"
#include "base/test.h"
#include "base/timefmt.h"
#include "promql/promql.h"

enum { SERIES_MAX = 100, SCRIPT_BYTES_MAX = 1 << 20 };

typedef struct ScriptSeries {
    Labels labels;
    SeriesTextValue *values; // of a load: one a step; expected: one a step
    size_t count;
    int64_t step_ms;
} ScriptSeries;

typedef struct Script {
    Source source;
    Querier querier;
    Arena arena;
    Str rest, line;
    int number; // of the line
    const char *file;
    bool has_line;
    PromqlFeatures features;
    ScriptSeries series[SERIES_MAX];
    size_t count;
    int evals;
} Script;

#define FAIL(script, ...)                                                                          \
    do {                                                                                           \
        char why_[1000];                                                                           \
        snprintf(why_, sizeof why_, __VA_ARGS__);                                                  \
        CHECK_FAIL_("%s:%d: %s", (script)->file, (script)->number, why_);                          \
    } while (0)

// ---- the source ----

static bool script_select(Querier *querier, const Matcher *matchers, size_t count,
                          const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    Script *script = CONTAINER_OF(querier, Script, querier);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, script->count), 0};
    (void)hints;
    (void)err;
    for (size_t i = 0; i < script->count; i++)
        if (matchers_match(matchers, count, script->series[i].labels))
            list.series[list.count++] = (SeriesEntry){script->series[i].labels, i};
    *ret_list = list;
    return true;
}

static bool script_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                        Arena *arena, SampleColumns *ret_columns, Error *err)
{
    const ScriptSeries *series = &CONTAINER_OF(querier, Script, querier)->series[handle];
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, series->count),
                             ARENA_ARRAY(arena, double, series->count)};
    (void)err;
    for (size_t i = 0; i < series->count; i++)
        if (series->values[i].histogram && !columns.histograms)
            columns.histograms = arena_zalloc(arena, series->count * sizeof(const Histogram *));
    for (size_t i = 0; i < series->count; i++) {
        int64_t t_ms = (int64_t)i * series->step_ms;
        if (series->values[i].omitted || t_ms < min_t_ms || t_ms > max_t_ms)
            continue;
        if (columns.histograms && series->values[i].histogram)
            columns.histograms[columns.count] = histogram_copy(arena, series->values[i].histogram);
        columns.t_ms[columns.count] = t_ms;
        columns.value[columns.count++] = series->values[i].value;
    }
    *ret_columns = columns;
    return true;
}

static void script_close(Querier *querier)
{
    (void)querier;
}

static bool script_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                        Error *err)
{
    Script *script = CONTAINER_OF(source, Script, source);
    (void)min_t_ms;
    (void)max_t_ms;
    (void)err;
    *ret_querier = &script->querier;
    return true;
}

// ---- lines ----

// The next line that says something, with what it is indented by.
static bool next_line(Script *script)
{
    script->has_line = false;
    while (script->rest.len) {
        (void)str_split_next(&script->rest, '\n', &script->line);
        script->number++;
        Str text = str_trim(script->line);
        if (text.len && text.ptr[0] != '#') {
            script->has_line = true;
            return true;
        }
    }
    return false;
}

// A line that belongs to the command above it.
static bool next_indented(Script *script)
{
    return next_line(script) && script->line.ptr[0] == ' ';
}

static Str take_word(Str *rest)
{
    *rest = str_trim(*rest);
    size_t end = 0;
    while (end < rest->len && rest->ptr[end] != ' ')
        end++;
    Str word = str_sub(*rest, 0, end);
    *rest = str_trim(str_skip(*rest, end));
    return word;
}

static int64_t take_duration(Script *script, Str *rest)
{
    Error err = {0};
    int64_t ms = 0;
    Str word = take_word(rest);
    if (!str_is(word, "0") && !duration_parse(word, &ms, &err))
        FAIL(script, "%s", err.text);
    return ms;
}

static void want_word(Script *script, Str *rest, const char *want)
{
    if (!str_is(take_word(rest), want))
        FAIL(script, "expected %s", want);
}

// Where the metric of "m{a="b c"} 1 2" ends.
static size_t metric_end(Str text)
{
    bool braces = false, quoted = false;
    size_t i = 0;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"' && text.ptr[i - (i > 0)] != '\\')
            quoted = !quoted;
        braces = quoted ? braces : c == '{' ? true : c == '}' ? false : braces;
        if (c == ' ' && !braces && !quoted)
            break;
    }
    return i;
}

static ScriptSeries take_series(Script *script, int64_t step_ms)
{
    ScriptSeries series = {.step_ms = step_ms};
    Error err = {0};
    Str text = str_trim(script->line);
    size_t end = metric_end(text);
    if (!promql_parse_metric(str_sub(text, 0, end), &script->arena, &series.labels, &err) ||
        !promql_parse_series_values(str_trim(str_skip(text, end)), &script->arena, &series.values,
                                    &series.count, &err))
        FAIL(script, "%s", err.text);
    return series;
}

// ---- commands ----

static void run_load(Script *script, Str rest)
{
    int64_t step_ms = take_duration(script, &rest);
    while (next_indented(script)) {
        if (script->count == SERIES_MAX)
            FAIL(script, "too many series");
        script->series[script->count++] = take_series(script, step_ms);
    }
}

typedef struct Expected {
    ScriptSeries series[SERIES_MAX];
    size_t count;
    bool fails, warns, informs;
} Expected;

static void take_expected(Script *script, Expected *expected)
{
    while (next_indented(script)) {
        Str rest = str_trim(script->line);
        if (!str_starts_with(rest, S("expect "))) {
            if (expected->count == SERIES_MAX)
                FAIL(script, "too many series");
            expected->series[expected->count++] = take_series(script, 0);
            continue;
        }
        (void)take_word(&rest);
        expected->fails |= str_is(rest, "fail");
        expected->warns |= str_is(rest, "warn");
        expected->informs |= str_is(rest, "info");
    }
}

static bool is_close(double a, double b)
{
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static void check_points(Script *script, const QueryRequest *request, const ScriptSeries *want,
                         const SampleColumns *got)
{
    size_t k = 0;
    for (size_t i = 0; i < want->count; i++) {
        const SeriesTextValue *value = &want->values[i];
        int64_t t_ms = request->start_ms + (request->is_range ? (int64_t)i * request->step_ms : 0);
        if (value->omitted)
            continue;
        if (k == got->count || got->t_ms[k] != t_ms)
            FAIL(script, "no value at %lld ms", (long long)t_ms);
        const Histogram *h = got->histograms ? got->histograms[k] : NULL;
        bool same = value->histogram ? h && histogram_equal(h, value->histogram)
                                     : !h && is_close(got->value[k], value->value);
        if (!same)
            FAIL(script, "another value at %lld ms: %.17g", (long long)t_ms, got->value[k]);
        k++;
    }
    if (k != got->count)
        FAIL(script, "%zu values too many", got->count - k);
}

static void check_result(Script *script, const QueryRequest *request, const Expected *expected,
                         const QueryResult *result)
{
    if (result->count != expected->count)
        FAIL(script, "%zu series, expected %zu", result->count, expected->count);
    for (size_t e = 0; e < expected->count; e++) {
        const ScriptSeries *want = &expected->series[e];
        size_t s = 0;
        while (s < result->count && !labels_equal(result->series[s].labels, want->labels))
            s++;
        if (s == result->count)
            FAIL(script, "the series number %zu that is expected is not there", e + 1);
        else
            check_points(script, request, want, &result->series[s].samples);
    }
    if (expected->warns != (result->warnings.count > 0) ||
        expected->informs != (result->infos.count > 0))
        FAIL(script, "%zu warnings, %zu infos", result->warnings.count, result->infos.count);
}

static void run_eval(Script *script, Str rest)
{
    QueryRequest request = {.step_ms = 1};
    request.is_range = str_is(take_word(&rest), "range");
    want_word(script, &rest, request.is_range ? "from" : "at");
    request.start_ms = request.end_ms = take_duration(script, &rest);
    if (request.is_range) {
        want_word(script, &rest, "to");
        request.end_ms = take_duration(script, &rest);
        want_word(script, &rest, "step");
        request.step_ms = take_duration(script, &rest);
    }
    request.query = rest;
    int number = script->number;
    Expected *expected = X_NEW(Expected);
    take_expected(script, expected);

    EngineOptions options;
    engine_options_default(&options);
    options.features = script->features;
    Engine *engine = engine_new(&options);
    Arena arena = {0};
    QueryResult result = {0};
    Error err = {0};
    int after = script->number;
    script->number = number;
    bool ok = engine_query(engine, &script->source, &request, &arena, &result, &err);
    if (ok == expected->fails)
        FAIL(script, "%s", ok ? "does not fail" : err.text);
    if (ok)
        check_result(script, &request, expected, &result);
    script->number = after;
    script->evals++;
    engine_free(engine);
    arena_deinit(&arena);
    free(expected);
}

static void run_features(Script *script, Str rest)
{
    script->features =
        (PromqlFeatures){.experimental_functions = true,
                         .duration_expressions = true,
                         .extended_range_selectors = true,
                         .fill_modifiers = true,
                         .delayed_name_removal = str_is(rest, "delayed_name_removal"),
                         .type_and_unit_labels = str_is(rest, "type_and_unit_labels")};
    (void)next_line(script);
}

static void run_script(const char *file)
{
    Script *script = X_NEW(Script);
    script->file = file;
    script->source.open = script_open;
    script->querier =
        (Querier){.select = script_select, .read = script_read, .close = script_close};
    Error err = {0};
    static const char here[] = __FILE__;
    Str folder = str_sub(str_from_c(here), 0, str_rfind_char(str_from_c(here), '/'));
    Str path = fs_join(&script->arena, fs_join(&script->arena, folder, S("../../tests/promql")),
                       str_from_c(file));
    if (!fs_exists(&fs_system, path))
        path = fs_join(&script->arena, S("tests/promql"), str_from_c(file));
    CHECK_OK(fs_read_file(&fs_system, path, &script->arena, SCRIPT_BYTES_MAX, &script->rest, &err),
             err);
    (void)next_line(script);
    while (script->has_line) {
        Str rest = script->line;
        Str word = take_word(&rest);
        if (str_is(word, "load")) {
            run_load(script, rest);
        } else if (str_is(word, "eval")) {
            run_eval(script, rest);
        } else if (str_is(word, "features")) {
            run_features(script, rest);
        } else if (str_is(word, "clear")) {
            script->count = 0;
            (void)next_line(script);
        } else {
            FAIL(script, "no such command");
        }
    }
    CHECK(script->evals > 0);
    arena_deinit(&script->arena);
    free(script);
}

TEST(promql_script, names)
{
    run_script("names.test");
}

TEST(promql_script, mixed)
{
    run_script("mixed.test");
}

TEST(promql_script, info)
{
    run_script("info.test");
}

TEST_MAIN(promql_script, TEST_ROW(promql_script, names), TEST_ROW(promql_script, mixed),
          TEST_ROW(promql_script, info))
