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
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define INTERVALS_MAX 64

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

static void tell_inhibited(const AmFlush *flush, const AmAlert *alert, Labels labels)
{
    const AmInhibitor *inhibitor = flush->generation->inhibitor;
    uint64_t source;
    size_t rule;
    if (!flush->am->events ||
        !am_inhibitor_mutes_by(inhibitor, labels, flush->now_ns, &source, &rule))
        return;
    const AmInhibitConfig *rules = flush->generation->config->file.inhibit_rules.items;
    am_event_inhibited(flush->am->events, &rules[rule].source_matchers,
                       &rules[rule].target_matchers, &rules[rule].equal, alert, source);
}

// Drops what may not be told now. The order of the stages is the original's, for the counters.
static size_t keep_unmuted(AmFlush *flush, AmNote *kept)
{
    Am *am = flush->am;
    Str names[INTERVALS_MAX];
    bool inactive;
    size_t count = 0;
    CLEANUP(arena_deinit) Arena arena = {0};
    for (size_t i = 0; i < flush->count; i++) {
        uint64_t source;
        arena_reset(&arena);
        Labels labels = am_alert_labels(flush->notes[i].alert, &arena);
        if (!am_inhibitor_mutes(flush->generation->inhibitor, labels, flush->now_ns, &source)) {
            kept[count++] = flush->notes[i];
            continue;
        }
        counter_inc(am->metrics.suppressed_inhibition);
        tell_inhibited(flush, flush->notes[i].alert, labels);
    }
    if (count &&
        am_notify_muted_by(flush->group->route, flush->now_ns, names, INTERVALS_MAX, &inactive)) {
        counter_add(inactive ? am->metrics.suppressed_active : am->metrics.suppressed_mute,
                    (double)count);
        return 0;
    }
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        const AmSilence *silence;
        arena_reset(&arena);
        if (!am_silences_match(&am->silences, am_alert_labels(kept[i].alert, &arena), flush->now_ns,
                               &silence, 1)) {
            kept[left++] = kept[i];
            continue;
        }
        counter_inc(am->metrics.suppressed_silence);
        am_event_silenced(am->events, &silence->data, kept[i].alert);
    }
    return left;
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

static size_t firing_of(const AmNote *notes, size_t count, AmNote *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!notes[i].resolved)
            out[found++] = notes[i];
    return found;
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
        arena_deinit(&flush->tasks[i].arena);
    }
    am_generation_unref(flush->generation);
    arena_deinit(&flush->arena);
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

static void end_task(AmTask *task, bool ok)
{
    AmFlush *flush = task->flush;
    ASSERT(!task->is_done);
    task->is_done = true;
    flush->failed |= !ok;
    am_turn_end(task);
    arena_deinit(&task->arena);
    if (ok) {
        lock_take(&flush->am->lock);
        write_log(task);
        lock_give(&flush->am->lock);
    } else {
        am_claim_drop(task);
    }
    release_flush(flush);
}

void am_notify_end(AmTask *task, bool ok)
{
    ASSERT(!task->is_done);
    task->is_done = true;
    task->flush->failed |= !ok;
    am_turn_end(task);
    am_claim_drop(task);
    release_flush(task->flush);
}

// ---- attempts ----

static void attempt(AmTask *task);
static void go_on(AmTask *task);

static void fail_for_good(AmTask *task, AmFailure failure)
{
    const AmFlush *flush = task->flush;
    counter_inc(task->integration->metrics->failed[failure]);
    if (!flush->is_cancelled)
        log_error("notify for alerts failed", KV("receiver", flush->group->route->receiver),
                  KV("integration", task->integration->kind->name),
                  KV("index", task->integration->index), KV("group", flush->group->key),
                  KV("alerts", task->count), KV("attempts", task->attempts),
                  KV("err", &task->fault));
    end_task(task, false);
}

void am_notify_attempt(AmTask *task)
{
    if (clock_mono_ns(task->flush->am->clock) >= task->flush->deadline_mono_ns)
        fail_for_good(task, task->send.failure ? task->send.failure : AM_FAILURE_DEADLINE);
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
    histogram_observe(task->integration->metrics->latency, (double)took_ns / 1e9);
}

static void attempt_failed(AmTask *task, const Error *err)
{
    AmFlush *flush = task->flush;
    observe_attempt(task);
    counter_inc(task->integration->metrics->requests_failed);
    task->fault = *err;
    if (flush->is_cancelled) {
        fail_for_good(task, AM_FAILURE_CANCELED);
        return;
    }
    if (!task->send.retry) {
        fail_for_good(task, task->send.failure);
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

static void attempt_done(AmTask *task)
{
    observe_attempt(task);
    // What the kind wants to keep lives in the attempt's arena.
    if (task->send.keep_thread_ts.len) {
        task->thread_ts = arena_str(&task->flush->arena, task->send.keep_thread_ts);
        task->channel_id = arena_str(&task->flush->arena, task->send.keep_channel_id);
    }
    tell_notified(task);
    end_task(task, true);
}

static int64_t time_left_ms(const AmTask *task)
{
    int64_t left_ns = task->flush->deadline_mono_ns - clock_mono_ns(task->flush->am->clock);
    return MAX(left_ns / AM_MS_NS, 1);
}

static void on_response(void *arg, const HttpResponse *response)
{
    AmTask *task = arg;
    task->call = NULL;
    task->send.response = response;
    if (response->err && task->flush->is_cancelled) {
        attempt_failed(task, response->err);
        return;
    }
    task->send.step++;
    go_on(task);
}

static void send_request(AmTask *task)
{
    AmSend *send = &task->send;
    HttpCallOptions *request = &send->request;
    int64_t left_ms = time_left_ms(task);
    am_send_header(send, "User-Agent", S("Alertmanager/" AM_VERSION));
    if (task->claim && task->integration->kind == am_receiver_kinds[AM_WEBHOOK])
        am_send_header(send, "Idempotency-Key", am_claim_idempotency(task, send->arena));
    request->headers = send->headers;
    request->header_count = send->header_count;
    request->timeout_ms =
        send->timeout_ms && send->timeout_ms < left_ms ? send->timeout_ms : left_ms;
    request->body_bytes_max = ANSWER_BYTES_MAX;
    am_turn_count(task, request->body.len + task->arena.held_bytes);
    request->done = on_response;
    request->arg = task;
    task->call = http_call(task->integration->client, request);
}

static void mail_done(void *arg)
{
    AmTask *task = arg;
    task->is_mailing = false;
    task->send.step++;
    if (task->mail_ok && !task->flush->is_cancelled) {
        go_on(task);
        return;
    }
    task->send.retry = task->mail_retry;
    attempt_failed(task, &task->mail_fault);
}

static void send_mail(void *arg)
{
    AmTask *task = arg;
    task->mail_retry = true;
    task->mail_ok = smtp_send(&task->send.mail->smtp, &task->mail_retry, &task->mail_fault);
    loop_post(task->flush->am->loop, mail_done, task);
}

static void start_mail(AmTask *task)
{
    SmtpMail *smtp = &task->send.mail->smtp;
    smtp->timeout_ms = MIN(smtp->timeout_ms, time_left_ms(task));
    task->is_mailing = true;
    task->mail_fault = (Error){0};
    thread_pool_add(task->flush->am->mail_pool, send_mail, task);
}

static void go_on(AmTask *task)
{
    Error err = {0};
    AmSend *send = &task->send;
    send->header_count = 0;
    send->request = (HttpCallOptions){0};
    switch (task->integration->kind->step(send, &err)) {
    case AM_STEP_REQUEST:
        send_request(task);
        break;
    case AM_STEP_MAIL:
        start_mail(task);
        break;
    case AM_STEP_DONE:
        attempt_done(task);
        break;
    case AM_STEP_FAILED:
        attempt_failed(task, &err);
        break;
    }
}

static void attempt(AmTask *task)
{
    AmFlush *flush = task->flush;
    if (!am_claim_holds(task) || !am_turn_take(task))
        return;
    task->attempts++;
    task->attempt_mono_ns = clock_mono_ns(flush->am->clock);
    counter_inc(task->integration->metrics->requests);
    arena_reset(&task->arena);
    task->send = (AmSend){
        .arena = &task->arena,
        .config = task->integration->config,
        .data = task->data,
        .templates = flush->generation->templates,
        .group_key = flush->group->key,
        .state = &task->integration->state,
        .clock = flush->am->clock,
        .thread_ts = task->thread_ts,
        .channel_id = task->channel_id,
        .is_first = task->reason == AM_REASON_FIRST,
    };
    go_on(task);
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
    };
    if (decide(task) == AM_REASON_NONE)
        return false;
    task->notes = ARENA_ARRAY(&flush->arena, AmNote, count + 1);
    task->count = count;
    memcpy(task->notes, kept, count * sizeof *kept);
    if (!integration->config->send_resolved)
        task->count = firing_of(kept, count, task->notes);
    if (task->count)
        return true;
    counter_inc(integration->metrics->notifications);
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
    flush->notes = am_group_notes(group, flush->now_ns, &flush->arena, &flush->count);
    AmNote *kept = ARENA_ARRAY(&flush->arena, AmNote, flush->count + 1);
    size_t count = keep_unmuted(flush, kept);
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
    counter_inc(task->integration->metrics->notifications);
    task->data = am_data_new(&flush->arena, group->route->receiver, flush->am->options.external_url,
                             group->labels, task->notes, task->count);
    if (!am_data_route_labels(task->data, flush->generation->templates, &group->route->labels,
                              &flush->arena, &err)) {
        task->fault = err;
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
    if (task->is_done || task->is_mailing)
        return;
    if (task->call) {
        http_call_cancel(task->call);
        return;
    }
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
