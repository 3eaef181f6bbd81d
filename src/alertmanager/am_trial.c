// SPDX-License-Identifier: Apache-2.0
// POST narthex/test: sends one notification to each integration of a receiver and tells what came of it: docs/decisions/0035.
//
// It leaves no trace: nothing is written in the notification log, no timer of a group moves, no counter of notifications counts.
// The handler's thread waits; connections and steps belong to the loop, as for any notification.
#include <stdlib.h>

#include "alertmanager/am_attempt.h"
#include "alertmanager/am_sample.h"
#include "base/log.h"

#define TRIAL_MS_MAX 15000
#define GONE_CHECK_MS 200

typedef struct Trial Trial;

typedef struct Probe {
    Trial *trial;
    AmIntegration *integration; // gone once the trial is over
    const char *integration_name;
    uint32_t index;
    Arena arena;
    AmData *data; // of the alerts that the integration wants to hear of
    AmAttempt attempt;
    int64_t begun_mono_ns, took_ns;
    bool is_done, is_ok, is_skipped;
    Error fault;
} Probe;

struct Trial {
    Am *am;
    const AmSample *sample;
    AmReceiver receiver;
    Probe *probes;
    size_t probe_count, pending;
    int64_t deadline_mono_ns;
    bool is_cancelled; // loop thread
    bool has_failed;   // could not begin: fault
    Error fault;
    Lock lock; // rank 141
    Condition ended;
    bool is_over GUARDED_BY(lock);
};

static void finish_trial(void *arg)
{
    Trial *trial = arg;
    am_receiver_deinit(&trial->receiver);
    // The last touch: the handler frees the trial once it has the lock.
    lock_take(&trial->lock);
    trial->is_over = true;
    condition_signal(&trial->ended);
    lock_give(&trial->lock);
}

static void release_trial(Trial *trial)
{
    // Not from inside of what a client of the receiver has called.
    if (--trial->pending == 0)
        loop_post(trial->am->loop, finish_trial, trial);
}

static void end_probe(Probe *probe, bool ok, const Error *err)
{
    probe->is_done = true;
    probe->is_ok = ok;
    probe->took_ns = clock_mono_ns(probe->trial->am->clock) - probe->begun_mono_ns;
    if (err)
        probe->fault = *err;
    release_trial(probe->trial);
}

// ---- one integration, step by step; loop thread ----

static void on_attempt(AmAttempt *attempt, const Error *err)
{
    end_probe(attempt->arg, !err, err);
}

static void start_probe(Probe *probe)
{
    const AmSample *sample = probe->trial->sample;
    AmNote *notes = ARENA_ARRAY(&probe->arena, AmNote, sample->count);
    size_t count = am_notes_firing(sample->notes, sample->count, notes);
    probe->begun_mono_ns = clock_mono_ns(probe->trial->am->clock);
    if (probe->integration->config->send_resolved) {
        memcpy(notes, sample->notes, sample->count * sizeof *notes);
        count = sample->count;
    }
    if (count == 0) {
        probe->is_skipped = true;
        end_probe(probe, true, NULL);
        return;
    }
    probe->data = am_data_new(&probe->arena, sample->receiver->name, sample->data->external_url,
                              sample->group_labels, notes, count);
    probe->data->route_labels = sample->data->route_labels;
    probe->data->reason = AM_REASON_FIRST;
    const AmSend send = {
        .config = probe->integration->config,
        .data = probe->data,
        .templates = sample->templates,
        .group_key = sample->group_key,
        .state = &probe->integration->state,
        .is_first = true,
    };
    am_attempt_start(&probe->attempt, &send);
}

static void start_trial(void *arg)
{
    Trial *trial = arg;
    trial->pending = 1;
    if (am_receiver_init(trial->am, trial->sample->receiver, &trial->receiver, &trial->fault)) {
        trial->probe_count = trial->receiver.count;
        trial->pending += trial->probe_count;
        trial->probes = x_calloc(trial->probe_count + 1, sizeof *trial->probes);
        for (size_t i = 0; i < trial->probe_count; i++) {
            AmIntegration *integration = &trial->receiver.integrations[i];
            trial->probes[i] = (Probe){.trial = trial,
                                       .integration = integration,
                                       .integration_name = integration->kind->name,
                                       .index = integration->index,
                                       .attempt = {.am = trial->am,
                                                   .integration = integration,
                                                   .deadline_mono_ns = trial->deadline_mono_ns,
                                                   .done = on_attempt,
                                                   .arg = &trial->probes[i]}};
            start_probe(&trial->probes[i]);
        }
    } else {
        trial->has_failed = true;
    }
    release_trial(trial);
}

static void cancel_trial(void *arg)
{
    Trial *trial = arg;
    trial->is_cancelled = true;
    for (size_t i = 0; i < trial->probe_count; i++)
        (void)am_attempt_cancel(&trial->probes[i].attempt); // what is under way ends by itself
}

// ---- the handler ----

// Waits for the end; a client that goes away ends it early.
static void wait_for(Trial *trial, const HttpRequest *request)
{
    bool was_gone = false;
    lock_take(&trial->lock);
    while (!trial->is_over) {
        (void)condition_wait_ms(&trial->ended, &trial->lock, GONE_CHECK_MS);
        bool is_over = trial->is_over;
        lock_give(&trial->lock);
        if (!is_over && !was_gone && http_client_gone(request)) {
            was_gone = true;
            loop_call(trial->am->loop, cancel_trial, trial);
        }
        lock_take(&trial->lock);
    }
    lock_give(&trial->lock);
}

static void json_probe(JsonWriter *json, const Probe *probe)
{
    json_object(json);
    json_key_c(json, "integration", probe->integration_name);
    json_key_u64(json, "index", probe->index);
    json_key_c(json, "status", probe->is_skipped ? "skipped" : probe->is_ok ? "success" : "failed");
    json_key_u64(json, "requests", (uint64_t)probe->attempt.requests);
    if (probe->attempt.http_status)
        json_key_i64(json, "httpStatus", probe->attempt.http_status);
    json_key_double(json, "durationSeconds", (double)probe->took_ns / 1e9);
    if (probe->is_skipped)
        json_key_c(json, "error", "all alerts are resolved, and send_resolved is false");
    else if (!probe->is_ok)
        json_key_c(json, "error", probe->fault.text);
    json_object_end(json);
}

static void answer(AmCall *call, const AmSample *sample, const Trial *trial)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    am_api_writer(&json, &buf);
    json_object(&json);
    am_sample_json_head(&json, sample);
    json_key(&json, S("results"));
    json_array(&json);
    for (size_t i = 0; i < trial->probe_count; i++)
        json_probe(&json, &trial->probes[i]);
    json_array_end(&json);
    json_object_end(&json);
    am_api_json(call, 200, &buf);
}

static void run(AmCall *call, AmSample *sample)
{
    Am *am = call->am;
    Trial trial = {
        .am = am,
        .sample = sample,
        .deadline_mono_ns = clock_mono_ns(am->clock) + TRIAL_MS_MAX * AM_MS_NS,
    };
    lock_init(&trial.lock, "am.trial", 141);
    condition_init(&trial.ended);
    loop_post(am->loop, start_trial, &trial);
    wait_for(&trial, call->request);
    if (trial.has_failed)
        am_api_fault(call, 500, "%s", trial.fault.text);
    else
        answer(call, sample, &trial);
    for (size_t i = 0; i < trial.probe_count; i++) {
        if (!trial.probes[i].is_ok)
            log_warn("test notification failed", KV("receiver", sample->receiver->name),
                     KV("integration", trial.probes[i].integration_name),
                     KV("err", &trial.probes[i].fault));
        am_attempt_deinit(&trial.probes[i].attempt);
        arena_deinit(&trial.probes[i].arena);
    }
    free(trial.probes);
    condition_deinit(&trial.ended);
    lock_deinit(&trial.lock);
}

void am_trial_handle(AmCall *call)
{
    CLEANUP(am_sample_deinit) AmSample sample = {0};
    JsonValue *body;
    Error err = {0};
    if (!call->am->options.test_notifications) {
        am_api_fault(call, 403, "test notifications are switched off");
        return;
    }
    if (!am_api_body(call, "test", &body) || !am_sample_init(&sample, call, body))
        return;
    if (!sample.receiver)
        am_api_fault(call, 400, "no receiver is given");
    else if (!am_sample_route_labels(&sample, call->arena, &err))
        am_api_fault(call, 400, "%s", err.text);
    else
        run(call, &sample);
}
