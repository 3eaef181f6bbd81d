// SPDX-License-Identifier: Apache-2.0
// From a group that is due to what its receivers are told: alertmanager.md section 10.
//
//     flush: mute stages, one task for each integration that the log says is to be told      (with the lock)
//     task:  attempt --fails, may be tried again--> backoff --> attempt ... until the flush's deadline
//              '--> written in the log
//     When the last task ends, the flush ends; only if all went well are resolved alerts dropped.
#include <stdlib.h>

#include "alertmanager/am_task.h"
#include "base/log.h"
#include "base/random.h"

#define FLUSH_MS_MIN 10000
#define BACKOFF_FIRST_MS 500.0
#define BACKOFF_FACTOR 1.5
#define BACKOFF_JITTER 0.5
#define BACKOFF_MS_MAX 60000.0

// ---- decisions ----

AmReason am_notify_decide(const AmLogEntry *entry, const uint64_t *firing, size_t firing_count,
                          const uint64_t *resolved, size_t resolved_count, bool send_resolved,
                          int64_t repeat_ns, int64_t now_ns)
{
    if (!entry)
        return firing_count ? AM_REASON_FIRST : AM_REASON_NONE;
    const AmLogData *told = &entry->data;
    if (!am_log_is_subset(firing, firing_count, told->firing, told->firing_count))
        return told->firing_count ? AM_REASON_NEW : AM_REASON_FIRST;
    if (firing_count == 0)
        return told->firing_count ? AM_REASON_ALL_RESOLVED : AM_REASON_NONE;
    if (send_resolved &&
        !am_log_is_subset(resolved, resolved_count, told->resolved, told->resolved_count))
        return AM_REASON_SOME_RESOLVED;
    return told->at_ns < now_ns - repeat_ns ? AM_REASON_REPEAT : AM_REASON_NONE;
}

size_t am_notify_muted_by(const AmRoute *route, int64_t now_ns, Str *names, size_t max,
                          bool *ret_inactive)
{
    int64_t s;
    int32_t ns;
    size_t count = 0;
    bool active = route->active_count == 0;
    am_time_split(now_ns, &s, &ns);
    for (size_t i = 0; i < route->active_count; i++)
        active |= am_interval_contains(route->active[i], s);
    *ret_inactive = !active;
    for (size_t i = 0; !active && i < route->active_count && count < max; i++)
        names[count++] = route->active[i]->name;
    for (size_t i = 0; active && i < route->mute_count && count < max; i++)
        if (am_interval_contains(route->mute[i], s))
            names[count++] = route->mute[i]->name;
    return count;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t *hashes_of(Arena *arena, const AmNote *notes, size_t count, bool resolved,
                           size_t *ret_count)
{
    uint64_t *hashes = ARENA_ARRAY(arena, uint64_t, count + 1);
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (notes[i].resolved == resolved)
            hashes[found++] = notes[i].alert->hash;
    if (found > 1)
        qsort(hashes, found, sizeof *hashes, compare_hashes);
    *ret_count = found;
    return hashes;
}

// The times of a group's entries rise, whichever instance writes them and whatever its clock says.
static void write_log(AmTask *task)
{
    const AmFlush *flush = task->flush;
    Am *am = flush->am;
    int64_t now_ns = MAX(am_now_ns(am->clock), task->seen_ns + 1);
    int64_t keep_ms = MIN(2 * flush->group->route->repeat_interval_ms, am->options.retention_ms);
    AmLogData entry = {
        .group_key = flush->group->key,
        .receiver = flush->group->route->receiver,
        .integration = str_from_c(task->integration->kind->name),
        .index = task->integration->index,
        .at_ns = now_ns,
        .expires_ns = am_time_add(now_ns, keep_ms * AM_MS_NS),
        .firing = task->firing,
        .resolved = task->resolved,
        .firing_count = task->firing_count,
        .resolved_count = task->resolved_count,
        .thread_ts = task->thread_ts,
        .channel_id = task->channel_id,
    };
    am_log_put(&am->log, &entry, task->claim);
    task->claim = NULL;
    am_stages_logged(task, now_ns);
}

// ---- the end ----

static void free_flush(AmFlush *flush)
{
    for (size_t i = 0; i < flush->count; i++)
        am_alert_unref(flush->notes[i].alert);
    for (size_t i = 0; i < flush->task_count; i++) {
        if (flush->tasks[i].timer)
            loop_timer_free(flush->tasks[i].timer);
        if (flush->tasks[i].claim_timer)
            loop_timer_free(flush->tasks[i].claim_timer);
        am_attempt_deinit(&flush->tasks[i].attempt);
    }
    am_generation_unref(flush->generation);
    arena_deinit(&flush->arena);
    am_stages_end(flush);
    free(flush);
}

static void end_flush(AmFlush *flush)
{
    Am *am = flush->am;
    lock_take(&am->lock);
    if (!flush->generation->is_stopped) {
        am_dispatch_finish(&flush->generation->dispatch, flush->group, flush->notes, flush->count,
                           !flush->failed, clock_mono_ns(am->clock));
        am_notify_arm(am);
    }
    lock_give(&am->lock);
    if (flush->previous)
        flush->previous->next = flush->next;
    else
        am->flushes = flush->next;
    if (flush->next)
        flush->next->previous = flush->previous;
    free_flush(flush);
}

static void release_flush(AmFlush *flush)
{
    if (--flush->pending == 0)
        end_flush(flush);
}

void am_notify_end(AmTask *task, bool ok)
{
    ASSERT(!task->is_done);
    task->is_done = true;
    task->flush->failed |= !ok;
    am_turn_end(task);
    am_attempt_deinit(&task->attempt);
    span_end(&task->retry);
    am_claim_drop(task);
    release_flush(task->flush);
}

// ---- attempts ----

static void attempt(AmTask *task);

// Explain tells it. After a reload the group is gone.
static void note_outcome(const AmTask *task, const Error *err)
{
    const AmFlush *flush = task->flush;
    Am *am = flush->am;
    lock_take(&am->lock);
    if (!flush->generation->is_stopped)
        am_group_attempted(flush->group, task->integration->kind->name, task->integration->index,
                           err ? str_from_c(err->text) : STR_NONE, task->attempts,
                           am_now_ns(am->clock));
    lock_give(&am->lock);
}

static void fail_for_good(AmTask *task, AmFailure failure)
{
    const AmFlush *flush = task->flush;
    counter_inc(task->integration->metrics.failed[failure]);
    if (!flush->is_cancelled)
        log_error("notify for alerts failed", KV("receiver", flush->group->route->receiver),
                  KV("integration", task->integration->kind->name),
                  KV("index", task->integration->index), KV("group", flush->group->key),
                  KV("alerts", task->count), KV("attempts", task->attempts),
                  KV("err", &task->fault));
    am_stages_retried(task, task->fault.text[0] ? str_from_c(task->fault.text) : S("canceled"));
    am_notify_end(task, false);
}

void am_notify_attempt(AmTask *task)
{
    if (clock_mono_ns(task->flush->am->clock) >= task->flush->deadline_mono_ns)
        fail_for_good(task, task->attempt.send.failure ? task->attempt.send.failure
                                                       : AM_FAILURE_DEADLINE);
    else
        attempt(task);
}

static void on_backoff(void *arg)
{
    am_notify_attempt(arg);
}

static void wait_for_next(AmTask *task)
{
    AmFlush *flush = task->flush;
    uint64_t random;
    random_system(&random, sizeof random);
    double spread = (double)(random >> 11) / (double)(1ull << 53) * 2 - 1;
    double wait_ms = task->backoff_ms * (1 + BACKOFF_JITTER * spread);
    int64_t at = clock_mono_ns(flush->am->clock) + (int64_t)(wait_ms * 1e6);
    task->backoff_ms = MIN(task->backoff_ms * BACKOFF_FACTOR, BACKOFF_MS_MAX);
    if (!task->timer)
        task->timer = loop_timer_new(flush->am->loop, on_backoff, task);
    loop_timer_set(task->timer, MIN(at, flush->deadline_mono_ns));
}

static void observe_attempt(AmTask *task)
{
    int64_t took_ns = clock_mono_ns(task->flush->am->clock) - task->attempt_mono_ns;
    histogram_observe(task->integration->metrics.latency, (double)took_ns / 1e9);
}

static void attempt_failed(AmTask *task, const Error *err)
{
    AmFlush *flush = task->flush;
    observe_attempt(task);
    counter_inc(task->integration->metrics.requests_failed);
    task->fault = *err;
    note_outcome(task, err);
    if (flush->is_cancelled) {
        fail_for_good(task, AM_FAILURE_CANCELED);
        return;
    }
    if (!task->attempt.send.retry) {
        fail_for_good(task, task->attempt.send.failure);
        return;
    }
    if (task->attempts == 1)
        log_warn("notify attempt failed, retrying", KV("receiver", flush->group->route->receiver),
                 KV("integration", task->integration->kind->name),
                 KV("index", task->integration->index), KV("group", flush->group->key),
                 KV("err", err));
    am_turn_end(task);
    wait_for_next(task);
}

static void tell_notified(const AmTask *task)
{
    const AmFlush *flush = task->flush;
    const AmEventNotification told = {
        .group = flush->group,
        .notes = task->notes,
        .count = task->count,
        .all = flush->notes,
        .all_count = flush->count,
        .kept = flush->kept,
        .kept_count = flush->kept_count,
        .reason = task->reason,
        .integration = task->integration->kind->name,
        .index = task->integration->index,
    };
    // After a reload the group is gone.
    if (!flush->generation->is_stopped)
        am_event_notified(flush->am->events, &told, flush->now_ns);
}

// The log first: until the shared engine has it, an instance that is stopped leaves in doubt what was told.
static void attempt_done(AmTask *task)
{
    Am *am = task->flush->am;
    // What the kind wants to keep lives in the attempt's arena.
    if (task->attempt.send.keep_thread_ts.len) {
        task->thread_ts = arena_str(&task->flush->arena, task->attempt.send.keep_thread_ts);
        task->channel_id = arena_str(&task->flush->arena, task->attempt.send.keep_channel_id);
    }
    am_stages_attempted(task, NULL);
    am_stages_retried(task, STR_NONE);
    lock_take(&am->lock);
    write_log(task);
    lock_give(&am->lock);
    observe_attempt(task);
    tell_notified(task);
    note_outcome(task, NULL);
    am_notify_end(task, true);
}

static void on_attempt(AmAttempt *attempt, const Error *err)
{
    AmTask *task = attempt->arg;
    if (!err) {
        attempt_done(task);
        return;
    }
    am_stages_attempted(task, err);
    attempt_failed(task, err);
}

static void on_sends(AmAttempt *attempt, size_t bytes)
{
    am_turn_count(attempt->arg, bytes);
}

static void attempt(AmTask *task)
{
    AmFlush *flush = task->flush;
    if (!am_claim_holds(task) || !am_turn_take(task))
        return;
    task->attempts++;
    task->attempt_mono_ns = clock_mono_ns(flush->am->clock);
    counter_inc(task->integration->metrics.requests);
    const AmSend send = {
        .config = task->integration->config,
        .data = task->data,
        .templates = flush->generation->templates,
        .group_key = flush->group->key,
        .state = &task->integration->state,
        .thread_ts = task->thread_ts,
        .channel_id = task->channel_id,
        .is_first = task->reason == AM_REASON_FIRST,
        .idempotency = am_claim_idempotency(task, &flush->arena),
    };
    am_stages_attempt(task);
    am_attempt_start(&task->attempt, &send);
}

// ---- the beginning ----

// Asks the log.
static AmReason decide(AmTask *task)
{
    const AmFlush *flush = task->flush;
    Am *am = flush->am;
    const AmRoute *route = flush->group->route;
    const AmIntegration *integration = task->integration;
    const AmLogEntry *entry =
        am_log_find(&am->log, flush->group->key, route->receiver, integration->kind->name,
                    integration->index, flush->now_ns);
    task->reason = am_notify_decide(entry, task->firing, task->firing_count, task->resolved,
                                    task->resolved_count, integration->config->send_resolved,
                                    route->repeat_interval_ms * AM_MS_NS, am_now_ns(am->clock));
    task->seen_ns = MAX(task->seen_ns, entry ? entry->data.at_ns : 0);
    task->thread_ts = task->channel_id = STR_NONE;
    if (entry && task->reason != AM_REASON_FIRST) {
        task->thread_ts = arena_str(&task->flush->arena, entry->data.thread_ts);
        task->channel_id = arena_str(&task->flush->arena, entry->data.channel_id);
    }
    return task->reason;
}

bool am_notify_decide_again(AmTask *task)
{
    return decide(task) != AM_REASON_NONE;
}

// Asks the log; true if the integration is to be told. What need not be sent is written down at once.
static bool make_task(AmFlush *flush, AmIntegration *integration, const AmNote *kept, size_t count,
                      const uint64_t *firing, size_t firing_count, const uint64_t *resolved,
                      size_t resolved_count, AmTask *task)
{
    *task = (AmTask){
        .flush = flush,
        .integration = integration,
        .firing = (uint64_t *)(uintptr_t)firing,
        .resolved = (uint64_t *)(uintptr_t)resolved,
        .firing_count = firing_count,
        .resolved_count = resolved_count,
        .backoff_ms = BACKOFF_FIRST_MS,
        .attempt =
            {
                .am = flush->am,
                .integration = integration,
                .deadline_mono_ns = flush->deadline_mono_ns,
                .done = on_attempt,
                .sends = on_sends,
                .arg = task,
                .span = &task->span,
            },
    };
    bool is_needed = decide(task) != AM_REASON_NONE;
    am_stages_dedup(task, is_needed);
    if (!is_needed)
        return false;
    task->notes = ARENA_ARRAY(&flush->arena, AmNote, count + 1);
    task->count = count;
    memcpy(task->notes, kept, count * sizeof *kept);
    if (!integration->config->send_resolved)
        task->count = am_notes_firing(kept, count, task->notes);
    if (task->count)
        return true;
    counter_inc(integration->metrics.notifications);
    am_stages_retry(task);
    am_stages_retried(task, STR_NONE);
    write_log(task);
    return false;
}

static void make_tasks(AmFlush *flush, const AmNote *kept, size_t count)
{
    size_t firing_count, resolved_count;
    const AmReceiver *receiver =
        am_generation_receiver(flush->generation, flush->group->route->receiver);
    uint64_t *firing = hashes_of(&flush->arena, kept, count, false, &firing_count);
    uint64_t *resolved = hashes_of(&flush->arena, kept, count, true, &resolved_count);
    flush->tasks = arena_zalloc(&flush->arena, (receiver->count + 1) * sizeof *flush->tasks);
    for (size_t i = 0; i < receiver->count; i++)
        flush->task_count +=
            make_task(flush, &receiver->integrations[i], kept, count, firing, firing_count,
                      resolved, resolved_count, &flush->tasks[flush->task_count]);
}

// Most of what a flush needs in one block of the right size: thousands may be due at once.
static void reserve_flush(AmFlush *flush)
{
    Error err = {0};
    size_t alerts = flush->group->alerts.count + 1;
    const AmReceiver *receiver =
        am_generation_receiver(flush->generation, flush->group->route->receiver);
    size_t per_task = sizeof(AmTask) + alerts * sizeof(AmNote) + sizeof(AmData) + 1024;
    size_t bytes =
        alerts * (2 * sizeof(AmNote) + 2 * sizeof(uint64_t)) + receiver->count * per_task;
    bool is_reserved = arena_reserve(&flush->arena, bytes, &err);
    ASSERT(is_reserved); // without a budget there is nothing that could refuse
}

// With the lock. NULL if nobody is to be told, then the flush is over already.
static AmFlush *begin_flush(Am *am, AmGroup *group)
{
    AmFlush *flush = X_NEW(AmFlush);
    int64_t interval_ms = MAX(group->route->group_interval_ms, FLUSH_MS_MIN);
    flush->am = am;
    flush->generation = am_generation_ref(am->generation);
    flush->group = group;
    flush->now_ns = am_now_ns(am->clock);
    flush->begun_mono_ns = clock_mono_ns(am->clock);
    flush->deadline_mono_ns = flush->begun_mono_ns + interval_ms * AM_MS_NS;
    reserve_flush(flush);
    flush->notes = am_group_notes(group, flush->now_ns, &flush->arena, &flush->count);
    am_stages_begin(flush);
    AmNote *kept = ARENA_ARRAY(&flush->arena, AmNote, flush->count + 1);
    size_t count = am_stages_keep(flush, kept);
    flush->kept = kept;
    flush->kept_count = count;
    if (count)
        make_tasks(flush, kept, count);
    if (flush->task_count)
        return flush;
    am_dispatch_finish(&flush->generation->dispatch, group, flush->notes, flush->count, true,
                       flush->begun_mono_ns);
    free_flush(flush);
    return NULL;
}

void am_notify_go(AmTask *task)
{
    AmFlush *flush = task->flush;
    const AmGroup *group = flush->group;
    Error err = {0};
    if (task->data) {
        task->data->reason = task->reason;
        attempt(task);
        return;
    }
    counter_inc(task->integration->metrics.notifications);
    am_stages_retry(task);
    task->data = am_data_new(&flush->arena, group->route->receiver, flush->am->options.external_url,
                             group->labels, task->notes, task->count);
    if (!am_data_route_labels(task->data, flush->generation->templates, &group->route->labels,
                              &flush->arena, &err)) {
        task->fault = err;
        note_outcome(task, &err);
        fail_for_good(task, AM_FAILURE_OTHER);
        return;
    }
    task->data->reason = task->reason;
    attempt(task);
}

static void start_task(AmTask *task)
{
    if (task->flush->am->shared)
        am_claim_begin(task);
    else
        am_notify_go(task);
}

static void start_flush(AmFlush *flush)
{
    Am *am = flush->am;
    flush->next = am->flushes;
    if (am->flushes)
        am->flushes->previous = flush;
    am->flushes = flush;
    flush->pending = flush->task_count + 1;
    for (size_t i = 0; i < flush->task_count; i++)
        start_task(&flush->tasks[i]);
    release_flush(flush);
}

void am_notify_due(void *arg)
{
    Am *am = arg;
    for (;;) {
        AmFlush *flush = NULL;
        AmGroup *group;
        lock_take(&am->lock);
        int64_t mono_ns = clock_mono_ns(am->clock);
        while (!flush && (group = am_dispatch_take(&am->generation->dispatch, mono_ns)))
            flush = begin_flush(am, group);
        if (!flush) {
            am->armed_mono_ns = INT64_MAX;
            am_notify_arm(am);
        }
        lock_give(&am->lock);
        if (!flush)
            return;
        start_flush(flush);
    }
}

static void rearm(void *arg)
{
    Am *am = arg;
    lock_take(&am->lock);
    int64_t due = am->armed_mono_ns;
    lock_give(&am->lock);
    if (due != INT64_MAX)
        loop_timer_set(am->due_timer, due);
}

void am_notify_arm(Am *am)
{
    int64_t due = am_dispatch_due(&am->generation->dispatch);
    if (due >= am->armed_mono_ns)
        return;
    am->armed_mono_ns = due;
    if (loop_is_current(am->loop))
        loop_timer_set(am->due_timer, due);
    else
        loop_post(am->loop, rearm, am);
}

static void cancel_task(AmTask *task)
{
    if (task->is_done || am_attempt_cancel(&task->attempt))
        return;
    if (task->timer)
        loop_timer_clear(task->timer);
    if (task->claim_timer)
        loop_timer_clear(task->claim_timer);
    fail_for_good(task, AM_FAILURE_CANCELED);
}

void am_notify_stop(Am *am, AmGeneration *generation)
{
    generation->is_stopped = true;
    for (AmFlush *flush = am->flushes, *next; flush; flush = next) {
        next = flush->next;
        if (flush->generation != generation)
            continue;
        flush->is_cancelled = true;
        flush->pending++;
        for (size_t i = 0; i < flush->task_count; i++)
            cancel_task(&flush->tasks[i]);
        release_flush(flush);
    }
}
