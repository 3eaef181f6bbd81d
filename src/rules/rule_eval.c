// SPDX-License-Identifier: Apache-2.0
// One evaluation of a group: query, results to the sink, alerts onward.
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "rules/rules_internal.h"
#include "trace/trace.h"

// Queries --------------------------------------------------------------------------------------------------------------------------------

static bool is_stopping(void *arg)
{
    return atomic_load_explicit(&((RulesManager *)arg)->stopping, memory_order_relaxed);
}

bool rule_eval_query(const RuleEval *run, Str query, int64_t t_ms, QueryResult *ret_result,
                     Error *err)
{
    const RulesOptions *options = &run->manager->options;
    QueryRequest request = {
        .query = query,
        .start_ms = t_ms,
        .is_canceled = is_stopping,
        .arg = run->manager,
        .origin = {.rule_file = run->group->file, .rule_group = run->group->name},
    };
    if (!engine_query(options->engine, options->source, &request, run->arena, ret_result, err))
        return false;
    if (ret_result->kind == QUERY_VECTOR)
        return true;
    if (ret_result->kind != QUERY_SCALAR)
        return error_set(err, ERR_INVALID, "rule result is not a vector or scalar");
    QuerySeries *series = ARENA_NEW(run->arena, QuerySeries);
    series->samples.t_ms = ARENA_NEW(run->arena, int64_t);
    series->samples.value = ARENA_NEW(run->arena, double);
    series->samples.count = 1;
    *series->samples.t_ms = t_ms;
    *series->samples.value = ret_result->scalar;
    ret_result->series = series;
    ret_result->count = 1;
    ret_result->kind = QUERY_VECTOR;
    return true;
}

// Recording ------------------------------------------------------------------------------------------------------------------------------

typedef struct RecordSource {
    const Rule *rule;
    const QueryResult *result;
} RecordSource;

static Labels record_labels(void *arg, size_t index, Arena *arena)
{
    const RecordSource *source = arg;
    const Rule *rule = source->rule;
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, source->result->series[index].labels);
    labels_builder_set(&builder, LABEL_METRIC_NAME, rule->name);
    for (size_t i = 0; i < rule->labels.count; i++)
        labels_builder_set(&builder, rule->labels.pairs[i].name, rule->labels.pairs[i].value);
    return labels_builder_finish(&builder);
}

static bool make_record_batch(const RuleEval *run, const Rule *rule, const QueryResult *result,
                              RuleBatch *ret_batch, Error *err)
{
    if (run->group->limit > 0 && result->count > (size_t)run->group->limit)
        return error_set(err, ERR_LIMIT, "exceeded limit of %lld with %zu series",
                         (long long)run->group->limit, result->count);
    CLEANUP(buf_deinit) Buf scratch = {0};
    RecordSource *source = ARENA_NEW(run->arena, RecordSource);
    *source = (RecordSource){rule, result};
    *ret_batch = (RuleBatch){
        .samples = ARENA_ARRAY(run->arena, SinkSample, result->count + 1),
        .inputs = ARENA_ARRAY(run->arena, Hash128, result->count + 1),
        .count = result->count,
        .labels = record_labels,
        .arg = source,
    };
    for (size_t i = 0; i < result->count; i++) {
        const SampleColumns *samples = &result->series[i].samples;
        ret_batch->inputs[i] = rule_labels_hash(result->series[i].labels, &scratch);
        ret_batch->samples[i] = (SinkSample){
            .t_ms = run->sample_t_ms,
            .value = samples->value[0],
            .histogram = samples->histograms ? samples->histograms[0] : NULL,
        };
    }
    return true;
}

// Writing --------------------------------------------------------------------------------------------------------------------------------

static void tell_refused(const RuleEval *run, const Rule *rule, const RuleWritten *written)
{
    const struct {
        const char *message;
        size_t count;
    } rows[] = {
        {"error on ingesting out-of-order result from rule evaluation", written->out_of_order},
        {"error on ingesting too old result from rule evaluation", written->too_old},
        {"error on ingesting results from rule evaluation with different value but same timestamp",
         written->duplicates},
        {"rule evaluation result discarded", written->refused},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].count)
            log_warn(rows[i].message, KV("file", run->group->file), KV("group", run->group->name),
                     KV("name", rule->name), KV("index", rule->index),
                     KV("num_dropped", rows[i].count), KV("err", &written->err));
}

// False: nothing is written.
static bool write_batch(const RuleEval *run, Rule *rule, RuleBatch *batch, RuleWritten *written,
                        Error *err)
{
    Sink *sink = run->manager->options.sink;
    if (batch->count == 0 && rule->output.count == 0)
        return true;
    Span span;
    span_open(&span, S("newAppender"));
    Appender *appender = sink->begin(sink);
    span_end(&span);
    if (batch->inputs)
        rule_output_predict(&rule->output, batch, run->arena);
    rule_output_resolve(batch, appender, run->arena, written);
    if (!rule_output_is_distinct(&rule->output, batch, run->arena)) {
        appender->rollback(appender);
        return error_set(
            err, ERR_INVALID,
            "vector contains metrics with the same labelset after applying rule labels");
    }
    span_open(&span, S("ruleAppendResults"));
    rule_output_append(batch, appender, run->arena, written);
    rule_output_mark_gone(&rule->output, batch, run->sample_t_ms, appender, run->arena);
    span_end(&span);
    span_open(&span, S("ruleCommit"));
    bool ok = appender->commit(appender, err);
    if (!ok)
        span_fail(&span, str_from_c(err->text));
    span_end(&span);
    if (!ok)
        return error_context(err, "rule sample appending failed");
    rule_output_take(&rule->output, batch);
    return true;
}

// One rule -------------------------------------------------------------------------------------------------------------------------------

static bool evaluate(const RuleEval *run, Rule *rule, size_t *ret_samples, RuleWritten *written,
                     Error *err)
{
    QueryResult result;
    RuleBatch batch = {0};
    if (!rule_eval_query(run, rule->query, run->sample_t_ms, &result, err))
        return false;
    bool ok = rule->is_alert ? rule_alert_update(run, rule, &result, &batch, err)
                             : make_record_batch(run, rule, &result, &batch, err);
    if (!ok)
        return false;
    *ret_samples = batch.count;
    if (rule->is_alert)
        rule_alert_send(run, rule);
    return write_batch(run, rule, &batch, written, err);
}

static void note_outcome(const RuleEval *run, Rule *rule, const Error *err, double seconds,
                         int64_t began_ms)
{
    union {
        const char *view;
        void *heap;
    } old;
    lock_take(&run->group->lock);
    old.view = rule->last_error.ptr;
    rule->health = err->code ? RULE_FAILED : RULE_OK;
    rule->last_error = STR_NONE;
    if (err->code) {
        size_t len = strlen(err->text);
        rule->last_error = (Str){memcpy(x_malloc(len + 1), err->text, len + 1), len};
    }
    rule->evaluation_s = seconds;
    rule->evaluated_at_ms = began_ms;
    lock_give(&run->group->lock);
    free(old.heap);
}

// Below its group, also on a thread that helps.
static void begin_rule_span(Span *span, const RuleEval *run, const Rule *rule)
{
    span->tracer = NULL;
    if (!run->span)
        return;
    span_child(span, run->span, SPAN_INTERNAL, S("rule"));
    span_enter(span);
    if (!span_is_recorded(span))
        return;
    CLEANUP(buf_deinit) Buf offset = {0};
    buf_add_duration(&offset, run->group->query_offset_ms);
    span_str(span, "group", run->group->name);
    span_str(span, "name", rule->name);
    span_str(span, "query_offset", buf_str(&offset));
    span_i64(span, "index", (int64_t)rule->index);
}

// False if it failed. *ret_samples is what it had as its result.
static bool evaluate_rule(const RuleEval *run, Rule *rule, size_t *ret_samples, Error *err)
{
    Clock *clock = run->manager->options.clock;
    int64_t began_ns = clock_mono_ns(clock);
    int64_t began_ms = clock_now_ms(clock);
    RuleWritten written = {0};
    Error why = {0};
    Span span;
    begin_rule_span(&span, run, rule);
    bool ok = evaluate(run, rule, ret_samples, &written, &why);
    if (ok)
        span_i64(&span, "num_series", (int64_t)*ret_samples);
    else
        span_fail(&span, str_from_c(why.text));
    span_end(&span);
    double seconds = (double)(clock_mono_ns(clock) - began_ns) / 1e9;
    rules_metrics_rule(run->group, seconds, !ok);
    bool tells = run->manager->options.threads > 0;
    if (!ok && tells && why.code != ERR_CANCELED)
        log_warn("evaluating rule failed", KV("file", run->group->file),
                 KV("group", run->group->name), KV("name", rule->name), KV("index", rule->index),
                 KV("err", &why));
    if (tells)
        tell_refused(run, rule, &written);
    note_outcome(run, rule, ok ? &written.err : &why, seconds, began_ms);
    if (!ok)
        *err = why;
    return ok;
}

// The group ------------------------------------------------------------------------------------------------------------------------------

// Rules that are evaluated beside each other.
typedef struct Side {
    RuleGroup *group;
    int64_t t_ms;
    Rule **rules;
    _Atomic size_t *samples;
    const Span *span;
} Side;

static RuleEval run_of(RuleGroup *group, int64_t t_ms, const Span *span, Arena *arena)
{
    return (RuleEval){group->manager, group, t_ms, t_ms - group->query_offset_ms, arena, span};
}

static void evaluate_beside(void *arg, size_t index)
{
    const Side *side = arg;
    CLEANUP(arena_deinit) Arena arena = {0};
    RuleEval run = run_of(side->group, side->t_ms, side->span, &arena);
    size_t samples = 0;
    Error err;
    (void)evaluate_rule(&run, side->rules[index], &samples, &err); // told by it
    atomic_fetch_add_explicit(side->samples, samples, memory_order_relaxed);
}

// First what depends on nothing, then what stands between, one by one, then what nothing depends on: as the original's batches.
static void evaluate_concurrently(RuleGroup *group, int64_t t_ms, const Span *span, Arena *arena,
                                  _Atomic size_t *samples)
{
    Rule **rules = ARENA_ARRAY(arena, Rule *, group->rule_count + 1);
    Side side = {group, t_ms, rules, samples, span};
    ThreadPool *pool = group->manager->helpers;
    size_t count = 0;
    for (size_t i = 0; i < group->rule_count; i++)
        if (!group->rules[i].has_dependencies)
            rules[count++] = &group->rules[i];
    thread_pool_each(pool, evaluate_beside, &side, count);
    for (size_t i = 0; i < group->rule_count; i++)
        if (group->rules[i].has_dependencies && group->rules[i].has_dependents) {
            rules[0] = &group->rules[i];
            evaluate_beside(&side, 0);
        }
    count = 0;
    for (size_t i = 0; i < group->rule_count; i++)
        if (group->rules[i].has_dependencies && !group->rules[i].has_dependents)
            rules[count++] = &group->rules[i];
    thread_pool_each(pool, evaluate_beside, &side, count);
}

static bool evaluate_in_order(RuleGroup *group, int64_t t_ms, const Span *span,
                              _Atomic size_t *samples, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    bool all_ok = true;
    for (size_t i = 0; i < group->rule_count; i++) {
        if (is_stopping(group->manager))
            break;
        RuleEval run = run_of(group, t_ms, span, &arena);
        size_t count = 0;
        Error why;
        if (!evaluate_rule(&run, &group->rules[i], &count, &why)) {
            if (all_ok)
                *err = why;
            all_ok = false;
        }
        atomic_fetch_add_explicit(samples, count, memory_order_relaxed);
        arena_reset(&arena);
    }
    return all_ok;
}

void rule_group_mark_stale(RuleGroup *group, int64_t t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Sink *sink = group->manager->options.sink;
    Error err = {0};
    if (group->stale_count == 0)
        return;
    Appender *appender = sink->begin(sink);
    rule_output_mark_refs(group->stale, group->stale_count, t_ms - group->query_offset_ms, appender,
                          &arena);
    if (appender->commit(appender, &err)) {
        free(group->stale);
        group->stale = NULL;
        group->stale_count = 0;
    } else {
        log_warn("stale samples could not be written, retrying", KV("file", group->file),
                 KV("group", group->name), KV("err", &err));
    }
}

static double sum_of_rules(RuleGroup *group)
{
    double sum = 0;
    lock_take(&group->lock);
    for (size_t i = 0; i < group->rule_count; i++)
        sum += group->rules[i].evaluation_s;
    lock_give(&group->lock);
    return sum;
}

// From the scheduled time on, so that it shows if the group came late.
static void begin_group_span(Span *span, RuleGroup *group, int64_t t_ms)
{
    span_begin(span, group->manager->options.tracer, NULL, SPAN_INTERNAL, S("rule group"));
    if (!span_is_recorded(span))
        return;
    CLEANUP(buf_deinit) Buf text = {0};
    int64_t now_ns = span->start_ns;
    span_started_at(span, MIN(t_ms * 1000000, now_ns));
    span_str(span, "name", group->name);
    span_str(span, "file", group->file);
    buf_add_duration(&text, group->interval_ms);
    span_str(span, "interval", buf_str(&text));
    buf_reset(&text);
    buf_add_rfc3339(&text, t_ms, 0);
    span_str(span, "scheduled", buf_str(&text));
    if (t_ms * 1000000 < now_ns) {
        Span delay;
        span_child(&delay, span, SPAN_INTERNAL, S("scheduleDelay"));
        span_started_at(&delay, t_ms * 1000000);
        span_end_at(&delay, now_ns);
    }
}

bool rule_group_evaluate(RuleGroup *group, int64_t t_ms, Error *err)
{
    Clock *clock = group->manager->options.clock;
    int64_t began_ns = clock_mono_ns(clock);
    int64_t began_ms = clock_now_ms(clock);
    _Atomic size_t samples = 0;
    bool ok = true;
    Span span;
    begin_group_span(&span, group, t_ms);
    if (group->manager->helpers && !group->is_indeterminate && group->rule_count > 1) {
        CLEANUP(arena_deinit) Arena arena = {0};
        evaluate_concurrently(group, t_ms, &span, &arena, &samples);
    } else {
        ok = evaluate_in_order(group, t_ms, &span, &samples, err);
    }
    rule_group_mark_stale(group, t_ms);
    span_end(&span);
    double seconds = (double)(clock_mono_ns(clock) - began_ns) / 1e9;
    lock_take(&group->lock);
    group->evaluation_s = seconds;
    group->evaluated_at_ms = began_ms;
    lock_give(&group->lock);
    rules_metrics_evaluated(group, seconds, sum_of_rules(group), samples, t_ms);
    return ok;
}
