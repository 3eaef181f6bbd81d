// SPDX-License-Identifier: Apache-2.0
// One unit test of rules: input series in memory, rules evaluated step by step, alerts and expressions compared.
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "tool/tool_alert_tests.h"
#include "tool/tool_store.h"
#include "tool/tool_tsdb.h"

#define EVALUATIONS_MAX 100000000
#define RESEND_DELAY_MS 60000 // the server's default

typedef struct InputSeries {
    Labels labels;
    SeriesTextValue *values;
    size_t count;
    SeriesRef ref;
} InputSeries;

typedef struct TestRun {
    const RuleTestFile *file;
    const RuleTest *test;
    const RuleTestOptions *options;
    Arena *arena;
    StrList failures;
    size_t failure_cap;
    ToolStore *store;
    Engine *engine;
    RulesManager *manager;
    InputSeries *input;
    size_t input_count;
    size_t loaded; // values of each series that are in the store
    int64_t interval_ms;
    RuleGroupInfo *groups; // in the order of evaluation; only their names are looked at
    size_t group_count;
    AlertTest *alerts; // the Alertmanager; NULL: none
    int64_t now_ms;    // of the evaluation
} TestRun;

static void add_failure(TestRun *run, Str text)
{
    StrList *list = &run->failures;
    if (list->count == run->failure_cap) {
        size_t cap = run->failure_cap ? run->failure_cap * 2 : 8;
        list->items =
            arena_grow(run->arena, list->items, run->failure_cap * sizeof(Str), cap * sizeof(Str));
        run->failure_cap = cap;
    }
    list->items[list->count++] = text;
}

static void fail(TestRun *run, const char *fmt, ...) PRINTF(2, 3);
static void fail(TestRun *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_failure(run, arena_vprintf(run->arena, fmt, args));
    va_end(args);
}

// Texts of times -----------------------------------------------------------------------------------------------------------------------

static Str go_duration(Arena *arena, int64_t ms)
{
    CLEANUP(buf_deinit) Buf out = {0};
    tool_tsdb_duration(&out, ms);
    return arena_str(arena, buf_str(&out));
}

static Str duration(Arena *arena, int64_t ms)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_duration(&out, ms);
    return arena_str(arena, buf_str(&out));
}

// Set up -------------------------------------------------------------------------------------------------------------------------------

static bool read_input(TestRun *run, Error *err)
{
    const RuleTestSeries *series = run->test->input.items;
    run->input_count = run->test->input.count;
    run->input = ARENA_ARRAY(run->arena, InputSeries, run->input_count + 1);
    for (size_t i = 0; i < run->input_count; i++) {
        InputSeries *input = &run->input[i];
        *input = (InputSeries){0};
        if (!promql_parse_metric(series[i].series, run->arena, &input->labels, err) ||
            !promql_parse_series_values(series[i].values, run->arena, &input->values, &input->count,
                                        err))
            return error_context(err, "series \"" STR_FMT "\"",
                                 STR_ARG(str_sub(series[i].series, 0, 200)));
    }
    return true;
}

static Labels labels_of_map(Arena *arena, const ConfigStrMap *map)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < map->count; i++)
        labels_builder_set(&builder, map->keys[i], map->values[i]);
    return labels_builder_finish(&builder);
}

static size_t place_in_order(const ConfigStrList *order, Str group)
{
    size_t i = 0;
    while (i < order->count && !str_equal(order->items[i], group))
        i++;
    return i;
}

// Groups that the file names come first, in its order; the others stay as they are.
static void order_groups(TestRun *run)
{
    RulesSnapshot shown;
    const ConfigStrList *order = &run->file->group_eval_order;
    rules_manager_snapshot(run->manager, false, run->arena, &shown);
    run->groups = ARENA_ARRAY(run->arena, RuleGroupInfo, shown.count + 1);
    for (size_t place = 0; place <= order->count; place++)
        for (size_t i = 0; i < shown.count; i++)
            if (place_in_order(order, shown.groups[i].name) == place) {
                RuleGroupInfo *group = &run->groups[run->group_count++];
                group->name = arena_str(run->arena, shown.groups[i].name);
                group->file = arena_str(run->arena, shown.groups[i].file);
            }
    rules_snapshot_free(&shown);
}

static bool load_rules(TestRun *run)
{
    RulesConfig config = {
        .patterns = run->file->rule_files.items,
        .pattern_count = run->file->rule_files.count,
        .interval_ms = run->interval_ms,
        .external_labels = labels_of_map(run->arena, &run->test->external_labels),
        .external_url = run->test->external_url,
        .file = {.features = run->options->features,
                 .ignore_unknown_fields = run->options->ignore_unknown_fields},
    };
    RuleSet *set;
    StrList errors = {0};
    Error err = {0};
    if (!rule_set_load(&config, run->arena, &set, &errors, &err)) {
        for (size_t i = 0; i < errors.count; i++)
            add_failure(run, errors.items[i]);
        return false;
    }
    rules_manager_apply(run->manager, set);
    order_groups(run);
    return true;
}

static void send_alerts(void *arg, const NotifierAlert *alerts, size_t count)
{
    TestRun *run = arg;
    Error err = {0};
    if (run->alerts && !alert_test_send(run->alerts, run->now_ms, alerts, count, &err))
        fail(run, "    the Alertmanager refuses alerts: %s", err.text);
}

static bool set_up(TestRun *run)
{
    Error err = {0};
    EngineOptions engine;
    engine_options_default(&engine);
    engine.features = run->options->features;
    engine.default_step_ms = run->file->evaluation_interval_ms;
    run->interval_ms =
        run->test->interval_ms ? run->test->interval_ms : run->file->evaluation_interval_ms;
    run->store = tool_store_new();
    run->engine = engine_new(&engine);
    run->manager = rules_manager_new(&(RulesOptions){
        .sink = tool_store_sink(run->store),
        .source = tool_store_source(run->store),
        .engine = run->engine,
        .clock = &clock_system,
        .resend_delay_ms = RESEND_DELAY_MS,
        .send = send_alerts,
        .send_arg = run,
    });
    if (!read_input(run, &err) ||
        !alert_test_new(run->file, run->test, run->arena, &run->alerts, &err)) {
        fail(run, "%s", err.text);
        return false;
    }
    return load_rules(run);
}

static void tear_down(TestRun *run)
{
    alert_test_free(run->alerts);
    rules_manager_free(run->manager);
    engine_free(run->engine);
    tool_store_free(run->store);
}

// Input and rules ----------------------------------------------------------------------------------------------------------------------

static bool put_values(TestRun *run, size_t index, int64_t t_ms, Error *err)
{
    Sink *sink = tool_store_sink(run->store);
    Appender *appender = sink->begin(sink);
    for (size_t i = 0; i < run->input_count; i++) {
        InputSeries *input = &run->input[i];
        bool created;
        if (index >= input->count || input->values[index].omitted)
            continue;
        if (!input->ref)
            input->ref = appender->series(appender, input->labels, &created, err);
        SinkSample sample = {.ref = input->ref,
                             .t_ms = t_ms,
                             .value = input->values[index].value,
                             .histogram = input->values[index].histogram};
        if (appender->append(appender, &sample, 1) != 1) {
            appender->rollback(appender);
            return error_set(err, ERR_INVALID,
                             "series \"" STR_FMT "\" has two values at the same time",
                             STR_ARG(((const RuleTestSeries *)run->test->input.items)[i].series));
        }
    }
    return appender->commit(appender, err);
}

static bool put_input_until(TestRun *run, int64_t t_ms)
{
    Error err = {0};
    for (;; run->loaded++) {
        int64_t at_ms = run->test->start_ms + (int64_t)run->loaded * run->interval_ms;
        size_t longest = 0;
        for (size_t i = 0; i < run->input_count; i++)
            longest = MAX(longest, run->input[i].count);
        if (at_ms > t_ms || run->loaded >= longest)
            return true;
        if (!put_values(run, run->loaded, at_ms, &err)) {
            fail(run, "%s", err.text);
            return false;
        }
    }
}

static bool evaluate(TestRun *run, int64_t t_ms)
{
    size_t before = run->failures.count;
    for (size_t g = 0; g < run->group_count; g++) {
        Error err = {0};
        RulesSnapshot shown;
        if (rules_manager_evaluate(run->manager, run->groups[g].file, run->groups[g].name, t_ms,
                                   &err))
            continue;
        CLEANUP(arena_deinit) Arena scratch = {0};
        rules_manager_snapshot(run->manager, false, &scratch, &shown);
        for (size_t i = 0; i < shown.count; i++)
            for (size_t r = 0; r < shown.groups[i].rule_count; r++) {
                const RuleInfo *rule = &shown.groups[i].rules[r];
                if (rule->last_error.len && str_equal(shown.groups[i].name, run->groups[g].name) &&
                    str_equal(shown.groups[i].file, run->groups[g].file))
                    fail(run, "    rule: " STR_FMT ", time: " STR_FMT ", err: " STR_FMT,
                         STR_ARG(rule->name),
                         STR_ARG(go_duration(run->arena, t_ms - run->test->start_ms)),
                         STR_ARG(rule->last_error));
            }
        rules_snapshot_free(&shown);
    }
    return run->failures.count == before;
}

// Alerts -------------------------------------------------------------------------------------------------------------------------------

typedef struct AlertText {
    Labels labels;
    Labels annotations;
} AlertText;

static int compare_alerts(const void *a, const void *b)
{
    const AlertText *x = a;
    const AlertText *y = b;
    int order = labels_compare(x->labels, y->labels);
    return order ? order : labels_compare(x->annotations, y->annotations);
}

static Str show_alerts(Arena *arena, const AlertText *alerts, size_t count)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_c(&out, "[");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%s\n            %zu:\n              Labels:", i ? "," : "", i);
        labels_print(&out, alerts[i].labels);
        buf_add_c(&out, "\n              Annotations:");
        labels_print(&out, alerts[i].annotations);
    }
    buf_add_c(&out, count ? "\n            ]" : "]");
    return arena_str(arena, buf_str(&out));
}

static AlertText *expected_alerts(TestRun *run, const RuleTestAlerts *want)
{
    const RuleTestAlert *expected = want->expected.items;
    AlertText *alerts = ARENA_ARRAY(run->arena, AlertText, want->expected.count + 1);
    for (size_t i = 0; i < want->expected.count; i++) {
        Labels labels = labels_of_map(run->arena, &expected[i].labels);
        alerts[i].labels = labels_set(run->arena, labels, S("alertname"), want->alertname);
        alerts[i].annotations = labels_of_map(run->arena, &expected[i].annotations);
    }
    qsort(alerts, want->expected.count, sizeof *alerts, compare_alerts);
    return alerts;
}

static AlertText *firing_alerts(TestRun *run, Str name, const RulesSnapshot *shown,
                                size_t *ret_count)
{
    AlertText *alerts = NULL;
    size_t count = 0;
    for (size_t g = 0; g < shown->count; g++)
        for (size_t r = 0; r < shown->groups[g].rule_count; r++) {
            const RuleInfo *rule = &shown->groups[g].rules[r];
            if (!rule->is_alert || !str_equal(rule->name, name))
                continue;
            alerts = arena_grow(run->arena, alerts, count * sizeof *alerts,
                                (count + rule->alert_count + 1) * sizeof *alerts);
            for (size_t a = 0; a < rule->alert_count; a++)
                if (rule->alerts[a].state == ALERT_FIRING)
                    alerts[count++] =
                        (AlertText){labels_copy(run->arena, rule->alerts[a].labels),
                                    labels_copy(run->arena, rule->alerts[a].annotations)};
        }
    if (count)
        qsort(alerts, count, sizeof *alerts, compare_alerts);
    *ret_count = count;
    return alerts;
}

static bool same_alerts(const AlertText *a, size_t a_count, const AlertText *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; i < a_count && same; i++)
        same = labels_equal(a[i].labels, b[i].labels) &&
               labels_equal(a[i].annotations, b[i].annotations);
    return same;
}

static void check_alerts_of(TestRun *run, const RuleTestAlerts *want, const RulesSnapshot *shown)
{
    size_t got_count;
    const AlertText *expected = expected_alerts(run, want);
    const AlertText *got = firing_alerts(run, want->alertname, shown, &got_count);
    if (same_alerts(expected, want->expected.count, got, got_count))
        return;
    Str name = run->test->name.len
                   ? arena_printf(run->arena, "    name: " STR_FMT ",\n", STR_ARG(run->test->name))
                   : STR_NONE;
    Str expected_text = show_alerts(run->arena, expected, want->expected.count);
    Str got_text = show_alerts(run->arena, got, got_count);
    Str time = duration(run->arena, want->eval_time_ms);
    if (run->options->diff) {
        CLEANUP(buf_deinit) Buf diff = {0};
        rule_test_diff(expected_text, got_text, run->arena, &diff);
        fail(run, STR_FMT "    alertname: " STR_FMT ", time: " STR_FMT ", \n        diff: " STR_FMT,
             STR_ARG(name), STR_ARG(want->alertname), STR_ARG(time), STR_ARG(buf_str(&diff)));
    } else {
        fail(run,
             STR_FMT "    alertname: " STR_FMT ", time: " STR_FMT ", \n        exp:" STR_FMT
                     ", \n        got:" STR_FMT,
             STR_ARG(name), STR_ARG(want->alertname), STR_ARG(time), STR_ARG(expected_text),
             STR_ARG(got_text));
    }
}

// Tests whose time lies in [t, t + interval).
static void check_alerts_at(TestRun *run, int64_t since_ms)
{
    const RuleTestAlerts *wants = run->test->alerts.items;
    RulesSnapshot shown = {0};
    CLEANUP(arena_deinit) Arena scratch = {0};
    for (size_t i = 0; i < run->test->alerts.count; i++) {
        if (wants[i].eval_time_ms < since_ms ||
            wants[i].eval_time_ms >= since_ms + run->file->evaluation_interval_ms)
            continue;
        if (!shown.held)
            rules_manager_snapshot(run->manager, true, &scratch, &shown);
        check_alerts_of(run, &wants[i], &shown);
    }
    rules_snapshot_free(&shown);
}

// Expressions --------------------------------------------------------------------------------------------------------------------------

typedef struct SampleText {
    Labels labels;
    double value;
    Str histogram;
} SampleText;

static int compare_samples(const void *a, const void *b)
{
    return labels_compare(((const SampleText *)a)->labels, ((const SampleText *)b)->labels);
}

static bool same_float(double a, double b, bool fuzzy)
{
    if (a == b || (isnan(a) && isnan(b)))
        return true;
    return fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b);
}

static bool same_samples(const TestRun *run, const SampleText *a, size_t a_count,
                         const SampleText *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; i < a_count && same; i++)
        same = labels_equal(a[i].labels, b[i].labels) &&
               str_equal(a[i].histogram, b[i].histogram) &&
               (a[i].histogram.len || same_float(a[i].value, b[i].value, run->file->fuzzy_compare));
    return same;
}

static Str show_samples(Arena *arena, const SampleText *samples, size_t count)
{
    CLEANUP(buf_deinit) Buf out = {0};
    if (count == 0)
        return S("nil");
    for (size_t i = 0; i < count; i++) {
        char number[NUMBER_BYTES_MAX];
        size_t len = number_format_e(samples[i].value, number);
        for (size_t k = 0; k < len; k++)
            number[k] = number[k] == 'e' ? 'E' : number[k];
        buf_add_c(&out, i ? ", " : "");
        labels_print(&out, samples[i].labels);
        buf_add_char(&out, ' ');
        buf_add_str(&out, samples[i].histogram.len ? samples[i].histogram : str_make(number, len));
    }
    return arena_str(arena, buf_str(&out));
}

static Str show_histogram(Arena *arena, const Histogram *histogram)
{
    CLEANUP(buf_deinit) Buf out = {0};
    promql_print_series_histogram(&out, histogram);
    return arena_str(arena, buf_str(&out));
}

static bool read_expected(TestRun *run, const RuleTestSample *sample, SampleText *ret_text,
                          Error *err)
{
    *ret_text = (SampleText){.value = sample->value};
    bool ok = promql_parse_metric(sample->labels, run->arena, &ret_text->labels, err);
    if (ok && sample->histogram.len) {
        SeriesTextValue *values;
        size_t count;
        ok = promql_parse_series_values(sample->histogram, run->arena, &values, &count, err);
        if (ok && count != 1)
            ok = error_set(err, ERR_INVALID, "expected 1 value, got %zu", count);
        if (ok && !values[0].histogram)
            ok = error_set(err, ERR_INVALID, "expected histogram");
        if (ok)
            ret_text->histogram = show_histogram(run->arena, values[0].histogram);
    }
    return ok ||
           error_context(err, "labels \"" STR_FMT "\"", STR_ARG(str_sub(sample->labels, 0, 200)));
}

static bool query(TestRun *run, Str expr, int64_t t_ms, SampleText **ret_samples, size_t *ret_count,
                  Error *err)
{
    QueryResult result;
    QueryRequest request = {.query = expr, .start_ms = t_ms};
    if (!engine_query(run->engine, tool_store_source(run->store), &request, run->arena, &result,
                      err))
        return false;
    SampleText *samples = ARENA_ARRAY(run->arena, SampleText, result.count + 1);
    if (result.kind == QUERY_SCALAR) {
        samples[0] = (SampleText){.value = result.scalar};
        *ret_count = 1;
    } else if (result.kind == QUERY_VECTOR) {
        for (size_t i = 0; i < result.count; i++) {
            const SampleColumns *columns = &result.series[i].samples;
            samples[i] =
                (SampleText){.labels = result.series[i].labels, .value = columns->value[0]};
            if (columns->histograms && columns->histograms[0])
                samples[i].histogram = show_histogram(run->arena, columns->histograms[0]);
        }
        *ret_count = result.count;
    } else {
        return error_set(err, ERR_INVALID, "rule result is not a vector or scalar");
    }
    *ret_samples = samples;
    return true;
}

static void check_expr(TestRun *run, const RuleTestExpr *want)
{
    Error err = {0};
    SampleText *got;
    size_t got_count;
    size_t count = want->expected.count;
    SampleText *expected = ARENA_ARRAY(run->arena, SampleText, count + 1);
    Str time = duration(run->arena, want->eval_time_ms);
    CLEANUP(buf_deinit) Buf quoted = {0};
    buf_add_go_quoted(&quoted, want->expr);
    bool ok =
        query(run, want->expr, run->test->start_ms + want->eval_time_ms, &got, &got_count, &err);
    for (size_t i = 0; i < count && ok; i++)
        ok = read_expected(run, (const RuleTestSample *)want->expected.items + i, &expected[i],
                           &err);
    if (!ok) {
        fail(run, "    expr: " STR_FMT ", time: " STR_FMT ", err: %s", STR_ARG(buf_str(&quoted)),
             STR_ARG(time), err.text);
        return;
    }
    qsort(expected, count, sizeof *expected, compare_samples);
    qsort(got, got_count, sizeof *got, compare_samples);
    if (!same_samples(run, expected, count, got, got_count))
        fail(run,
             "    expr: " STR_FMT ", time: " STR_FMT ",\n        exp: " STR_FMT
             "\n        got: " STR_FMT,
             STR_ARG(buf_str(&quoted)), STR_ARG(time),
             STR_ARG(show_samples(run->arena, expected, count)),
             STR_ARG(show_samples(run->arena, got, got_count)));
}

// The run ------------------------------------------------------------------------------------------------------------------------------

static int64_t last_time(const RuleTest *test)
{
    int64_t last_ms = 0;
    for (size_t i = 0; i < test->alerts.count; i++)
        last_ms = MAX(last_ms, ((const RuleTestAlerts *)test->alerts.items)[i].eval_time_ms);
    for (size_t i = 0; i < test->exprs.count; i++)
        last_ms = MAX(last_ms, ((const RuleTestExpr *)test->exprs.items)[i].eval_time_ms);
    return MAX(last_ms, alert_test_last(test));
}

static bool check_names(TestRun *run)
{
    const RuleTestAlerts *wants = run->test->alerts.items;
    for (size_t i = 0; i < run->test->alerts.count; i++) {
        if (wants[i].alertname.len)
            continue;
        Str in_group = run->test->name.len ? arena_printf(run->arena, " (in TestGroup " STR_FMT ")",
                                                          STR_ARG(run->test->name))
                                           : STR_NONE;
        fail(run,
             "an item under alert_rule_test misses required attribute alertname at "
             "eval_time " STR_FMT STR_FMT,
             STR_ARG(duration(run->arena, wants[i].eval_time_ms)), STR_ARG(in_group));
        return false;
    }
    return true;
}

// Alerts that come from elsewhere, until this moment.
static bool play_alerts(TestRun *run, int64_t t_ms)
{
    Error err = {0};
    if (!run->alerts || alert_test_send_others(run->alerts, t_ms, &err))
        return true;
    fail(run, "    alerts: %s", err.text);
    return false;
}

static void check_notifications(TestRun *run)
{
    StrList failures = {0};
    if (!play_alerts(run, run->test->start_ms + last_time(run->test)))
        return;
    if (run->alerts)
        failures = alert_test_check(run->alerts, run->test->start_ms + last_time(run->test));
    for (size_t i = 0; i < failures.count; i++)
        add_failure(run, failures.items[i]);
}

static void play(TestRun *run)
{
    int64_t step_ms = run->file->evaluation_interval_ms;
    int64_t last_ms = last_time(run->test);
    if (last_ms / step_ms > EVALUATIONS_MAX) {
        fail(run, "more than %d evaluations", EVALUATIONS_MAX);
        return;
    }
    for (int64_t since_ms = 0; since_ms <= last_ms; since_ms += step_ms) {
        int64_t t_ms = run->test->start_ms + since_ms;
        run->now_ms = t_ms;
        if (!put_input_until(run, t_ms) || !play_alerts(run, t_ms) || !evaluate(run, t_ms))
            return;
        check_alerts_at(run, since_ms);
    }
    // Expressions may be asked between two evaluations.
    if (!put_input_until(run, run->test->start_ms + last_ms))
        return;
    for (size_t i = 0; i < run->test->exprs.count; i++)
        check_expr(run, (const RuleTestExpr *)run->test->exprs.items + i);
    check_notifications(run);
}

// Everything that is in the store at the end, as the engine's matrices are printed.
static void dump(TestRun *run)
{
    int64_t span_ms = (last_time(run->test) + 1000) / 1000 * 1000;
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    QueryResult result;
    QueryRequest request = {
        .query = arena_printf(&arena, "{__name__=~\".+\"}[%lldms]", (long long)span_ms + 1),
        .start_ms = run->test->start_ms + span_ms};
    Str span = go_duration(&arena, span_ms);
    if (!engine_query(run->engine, tool_store_source(run->store), &request, &arena, &result,
                      &err)) {
        printf("DEBUG: Failed query exec, expr: \"" STR_FMT "\", err: %s\n", STR_ARG(request.query),
               err.text);
        return;
    }
    printf("DEBUG: Dump of all data (input_series and rules) at " STR_FMT ":\n", STR_ARG(span));
    for (size_t i = 0; i < result.count; i++) {
        const SampleColumns *columns = &result.series[i].samples;
        labels_print(&out, result.series[i].labels);
        buf_add_c(&out, " =>");
        for (size_t k = 0; k < columns->count; k++) {
            buf_add_char(&out, '\n');
            if (columns->histograms && columns->histograms[k])
                histogram_print(&out, columns->histograms[k]);
            else
                buf_add_double_f(&out, columns->value[k]);
            buf_printf(&out, " @[%lld]", (long long)columns->t_ms[k]);
        }
        buf_add_char(&out, '\n');
    }
    buf_add_c(&out, result.count ? "" : "\n");
    (void)tool_write(buf_str(&out)); // the frame looks at stdout at the end
}

StrList rule_test_run(const RuleTestFile *file, const RuleTest *test, Str name,
                      const RuleTestOptions *options, Arena *arena)
{
    TestRun run = {.file = file, .test = test, .options = options, .arena = arena};
    int64_t began_ns = clock_mono_ns(&clock_system);
    if (options->debug)
        printf("DEBUG: Starting test " STR_FMT "\n", STR_ARG(name));
    if (set_up(&run) && check_names(&run)) {
        play(&run);
        if (options->debug)
            dump(&run);
    }
    tear_down(&run);
    if (options->debug)
        printf("DEBUG: Test " STR_FMT " finished, took %.3fms\n", STR_ARG(name),
               (double)(clock_mono_ns(&clock_system) - began_ns) / 1e6);
    return run.failures;
}
