// SPDX-License-Identifier: Apache-2.0
// What holds alerts of a flush back, in the original's order and with its counters; and spans of these and of the later stages. As in the
// original the first is below the flush's notify.RoutingStage.Exec, and each one below the one before it.
#include "alertmanager/am_task.h"

#define INTERVALS_MAX 64

// None without a flush that is recorded.
static void begin_stage(AmFlush *flush, const SpanContext *before, Span *span, const char *name)
{
    *span = (Span){0};
    if (span_is_recorded(&flush->routing))
        span_begin(span, flush->am->tracer, before, SPAN_INTERNAL, str_from_c(name));
}

static void begin_mute(AmFlush *flush, Span *span, const char *name, size_t count)
{
    begin_stage(flush, &flush->stage, span, name);
    span_i64(span, "alerting.alerts.count", (int64_t)count);
    span_enter(span);
}

// The next one is below it.
static void end_stage(Span *span, SpanContext *ret_stage)
{
    if (span->tracer)
        *ret_stage = span->context;
    span_end(span);
}

static void tell_muted(Span *span, size_t muted, size_t left, Str reason)
{
    if (!muted)
        return;
    span_i64(span, "alerting.alerts.muted.count", (int64_t)muted);
    span_i64(span, "alerting.alerts.filtered.count", (int64_t)left);
    span_str(span, "alerting.suppressed.reason", reason);
}

static size_t keep_uninhibited(AmFlush *flush, AmNote *kept)
{
    Am *am = flush->am;
    Span span;
    size_t count = 0;
    const AmInhibitConfig *rules = flush->generation->config->file.inhibit_rules.items;
    CLEANUP(arena_deinit) Arena arena = {0};
    begin_mute(flush, &span, "notify.MuteStage.Exec", flush->count);
    for (size_t i = 0; i < flush->count; i++) {
        uint64_t source;
        size_t rule;
        arena_reset(&arena);
        const AmAlert *alert = flush->notes[i].alert;
        bool is_muted =
            am_inhibitor_mutes_by(flush->generation->inhibitor, am_alert_labels(alert, &arena),
                                  flush->now_ns, &source, &rule);
        am_group_note(flush->group, alert, AM_GROUP_INHIBITED, is_muted);
        if (!is_muted) {
            kept[count++] = flush->notes[i];
            continue;
        }
        counter_inc(am->metrics.suppressed_inhibition);
        if (am->events)
            am_event_inhibited(am->events, &rules[rule].source_matchers,
                               &rules[rule].target_matchers, &rules[rule].equal, alert, source);
    }
    tell_muted(&span, flush->count - count, count, S("inhibition"));
    end_stage(&span, &flush->stage);
    return count;
}

// The original has two stages; the second comes only if the first lets alerts through.
static bool is_time(AmFlush *flush, size_t count)
{
    const AmRoute *route = flush->group->route;
    Str names[INTERVALS_MAX];
    bool inactive;
    bool muted = am_notify_muted_by(route, flush->now_ns, names, INTERVALS_MAX, &inactive) != 0;
    flush->group->timed_ns = flush->now_ns;
    Span span;
    begin_mute(flush, &span, "notify.TimeActiveStage.Exec", count);
    span_str(&span, "alerting.route.id", route->id);
    if (inactive)
        span_event(&span, S("notify.TimeActiveStage.Exec not active, removing all alerts"), NULL,
                   0);
    end_stage(&span, &flush->stage);
    if (!inactive) {
        begin_mute(flush, &span, "notify.TimeMuteStage.Exec", count);
        span_str(&span, "alerting.route.id", route->id);
        span_str(&span, "alerting.group.key", flush->group->key);
        if (muted)
            span_event(&span, S("notify.TimeMuteStage.Exec muted the alerts"), NULL, 0);
        end_stage(&span, &flush->stage);
    }
    if (muted)
        counter_add(inactive ? flush->am->metrics.suppressed_active
                             : flush->am->metrics.suppressed_mute,
                    (double)count);
    return !muted;
}

static size_t keep_unsilenced(AmFlush *flush, AmNote *kept, size_t count)
{
    Am *am = flush->am;
    Span span;
    size_t left = 0;
    CLEANUP(arena_deinit) Arena arena = {0};
    begin_mute(flush, &span, "notify.MuteStage.Exec", count);
    for (size_t i = 0; i < count; i++) {
        const AmSilence *silence;
        arena_reset(&arena);
        Labels labels = am_alert_labels(kept[i].alert, &arena);
        bool is_muted = am_silences_mute(&am->silences, labels, flush->now_ns, &silence, 1) != 0;
        am_group_note(flush->group, kept[i].alert, AM_GROUP_SILENCED, is_muted);
        if (!is_muted) {
            kept[left++] = kept[i];
            continue;
        }
        counter_inc(am->metrics.suppressed_silence);
        am_event_silenced(am->events, &silence->data, kept[i].alert);
    }
    tell_muted(&span, count - left, left, S("silence"));
    end_stage(&span, &flush->stage);
    return left;
}

size_t am_stages_keep(AmFlush *flush, AmNote *kept)
{
    flush->stage = flush->routing.context;
    size_t count = keep_uninhibited(flush, kept);
    return count && is_time(flush, count) ? keep_unsilenced(flush, kept, count) : 0;
}

void am_stages_begin(AmFlush *flush)
{
    span_begin(&flush->span, flush->am->tracer, NULL, SPAN_INTERNAL,
               S("dispatch.AggregationGroup.flush"));
    span_str(&flush->span, "alerting.aggregation_group.key", flush->group->key);
    span_i64(&flush->span, "alerting.alerts.count", (int64_t)flush->count);
    flush->routing = (Span){0};
    if (!flush->span.tracer)
        return;
    span_child(&flush->routing, &flush->span, SPAN_INTERNAL, S("notify.RoutingStage.Exec"));
    span_str(&flush->routing, "alerting.notify.receiver.name", flush->group->route->receiver);
    span_i64(&flush->routing, "alerting.alerts.count", (int64_t)flush->count);
}

void am_stages_end(AmFlush *flush)
{
    span_end(&flush->routing);
    if (flush->failed)
        span_fail(&flush->span, S("notification failed"));
    span_end(&flush->span);
}

void am_stages_dedup(AmTask *task, bool is_needed)
{
    Span span;
    AmFlush *flush = task->flush;
    begin_stage(flush, &flush->stage, &span, "notify.DedupStage.Exec");
    span_str(&span, "alerting.group.key", flush->group->key);
    span_i64(&span, "alerting.alerts.count", (int64_t)flush->kept_count);
    if (is_needed)
        span_event(&span, S("notify.DedupStage.Exec nflog needs update"), NULL, 0);
    end_stage(&span, &task->stage);
}

void am_stages_retry(AmTask *task)
{
    AmFlush *flush = task->flush;
    Str receiver = flush->group->route->receiver;
    Str integration = str_from_c(task->integration->kind->name);
    const Str labels[] = {integration, receiver};
    begin_stage(flush, &task->stage, &task->retry, "notify.RetryStage.Exec");
    span_str(&task->retry, "alerting.group.name", receiver);
    span_str(&task->retry, "alerting.integration.name", integration);
    span_strs(&task->retry, "alerting.label.values", labels,
              flush->am->metrics.integration.by_receiver ? 2 : 1);
    span_i64(&task->retry, "alerting.alerts.count", (int64_t)flush->kept_count);
}

void am_stages_retried(AmTask *task, Str fault)
{
    if (fault.len)
        span_fail(&task->retry, fault);
    end_stage(&task->retry, &task->stage);
}

void am_stages_attempt(AmTask *task)
{
    // What is not recorded is passed on all the same: receivers are to know that.
    const Span *above = task->retry.tracer ? &task->retry : &task->flush->span;
    span_child(&task->span, above, SPAN_CLIENT, S("notify.Integration.Notify"));
    span_str(&task->span, "alerting.notify.integration.name",
             str_from_c(task->integration->kind->name));
    span_i64(&task->span, "alerting.alerts.count", (int64_t)task->count);
}

void am_stages_attempted(AmTask *task, const Error *err)
{
    span_bool(&task->span, "alerting.notify.error.recoverable", err && task->attempt.send.retry);
    if (err)
        span_fail(&task->span, str_from_c(err->text));
    span_end(&task->span);
}

void am_stages_logged(AmTask *task, int64_t begun_ns)
{
    Span span;
    const AmFlush *flush = task->flush;
    begin_stage(task->flush, &task->stage, &span, "notify.SetNotifiesStage.Exec");
    span_started_at(&span, begun_ns);
    span_str(&span, "alerting.group.key", flush->group->key);
    span_i64(&span, "alerting.alerts.count", (int64_t)flush->kept_count);
    span_i64(&span, "alerting.alerts.firing.count", (int64_t)task->firing_count);
    span_i64(&span, "alerting.alerts.resolved.count", (int64_t)task->resolved_count);
    span_end(&span);
}
