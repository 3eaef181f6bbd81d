// SPDX-License-Identifier: Apache-2.0
// am_task.h: a flush and its tasks, as the files that notify share them. Private to the room; loop thread.
//
//     am_notify.c: flush --> task --> am_claim.c, where instances share an engine --> am_notify_go: attempts --> am_notify_end
#pragma once

#include "alertmanager/am_attempt.h"

typedef struct AmTask {
    AmFlush *flush;
    AmIntegration *integration;
    AmNote *notes; // those that are told
    size_t count;
    AmReason reason;
    int64_t seen_ns; // of the log's entry on which the reason stands; 0: none
    AmClaim *claim;  // the right to tell, once it was given; while it is asked for, what was asked
    bool is_claiming;
    LoopTimer *claim_timer;
    struct AmTask *next_waiting; // for its turn
    bool is_waiting, is_sending;
    size_t sending_bytes;
    uint64_t *firing, *resolved; // hashes for the log
    size_t firing_count, resolved_count;
    Str thread_ts, channel_id;
    AmData *data;
    AmAttempt attempt; // the last one
    Span span;         // of it
    Span retry;        // over all of them
    SpanContext stage; // the last one that has ended
    int attempts;
    int64_t attempt_mono_ns;
    double backoff_ms;
    LoopTimer *timer;
    Error fault; // of the last attempt
    bool is_done;
} AmTask;

struct AmFlush {
    AmFlush *next, *previous;
    Am *am;
    AmGeneration *generation;
    AmGroup *group;
    Arena arena;
    AmNote *notes; // all of the group, referenced
    size_t count;
    const AmNote *kept; // those that nothing holds back, in the same order
    size_t kept_count;
    int64_t now_ns, deadline_mono_ns, begun_mono_ns;
    AmTask *tasks;
    size_t task_count, pending;
    Span span, routing;
    SpanContext stage; // the last one that has ended for all integrations
    bool failed, is_cancelled;
};

// Asks the shared engine for the right to tell; goes on with am_notify_go() or ends the task.
void am_claim_begin(AmTask *task);
// Gives the right back, or forgets that it was asked for.
void am_claim_drop(AmTask *task);
// Whether the task may send now. If not, the right is asked for anew and am_notify_go() comes later.
bool am_claim_holds(AmTask *task);
// AmSend's name of what the task tells: of the group, the log entry before, and the alerts.
Str am_claim_idempotency(const AmTask *task, Arena *arena);

// Whether an attempt may be made now; if not, am_notify_attempt() comes later.
bool am_turn_take(AmTask *task);
// What is made ready to be sent counts until the attempt ends.
void am_turn_count(AmTask *task, size_t bytes);
// The attempt is over, or is not wanted any more: others have their turn.
void am_turn_end(AmTask *task);

// am_stages.c: the spans of a flush and its stages.
void am_stages_begin(AmFlush *flush);
// Which of the flush's notes nothing holds back, into `kept`. With the lock of Am. Returns how many.
size_t am_stages_keep(AmFlush *flush, AmNote *kept);
void am_stages_end(AmFlush *flush);
// The log was asked.
void am_stages_dedup(AmTask *task, bool is_needed);
// Attempts begin, and are over: `fault` is STR_NONE if it was told. What is not begun is not ended.
void am_stages_retry(AmTask *task);
void am_stages_retried(AmTask *task, Str fault);
void am_stages_attempt(AmTask *task);
void am_stages_attempted(AmTask *task, const Error *err); // err may be NULL
// The log was written. By the wall clock.
void am_stages_logged(AmTask *task, int64_t begun_ns);

// am_notify.c
void am_notify_attempt(AmTask *task);
// The task may tell: fills in the data if that is not done, and makes an attempt.
void am_notify_go(AmTask *task);
// Asks the log again; false if nothing is to be told any more. With the lock of Am.
bool am_notify_decide_again(AmTask *task);
// Ends a task without an attempt: somebody else has told (ok), or may be about to.
void am_notify_end(AmTask *task, bool ok);
