// SPDX-License-Identifier: Apache-2.0
// am_task.h: a flush and its tasks, as the files that notify share them. Private to the room; loop thread.
//
//     am_notify.c: flush --> task --> am_claim.c, where instances share an engine --> am_notify_go: attempts --> am_notify_end
#pragma once

#include "alertmanager/am_internal.h"
#include "alertmanager/am_mail.h"

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
    Arena arena; // of one attempt
    AmSend send;
    AmData *data;
    int attempts;
    int64_t attempt_mono_ns;
    double backoff_ms;
    HttpCall *call;
    LoopTimer *timer;
    Error fault; // of the last attempt
    bool is_done;
    // For the mail pool.
    bool mail_ok, mail_retry, is_mailing;
    Error mail_fault;
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
    bool failed, is_cancelled;
};

// Asks the shared engine for the right to tell; goes on with am_notify_go() or ends the task.
void am_claim_begin(AmTask *task);
// Gives the right back, or forgets that it was asked for.
void am_claim_drop(AmTask *task);
// Whether the task may send now. If not, the right is asked for anew and am_notify_go() comes later.
bool am_claim_holds(AmTask *task);
// A name of what the task tells: an instance that tells the same again, because it cannot know whether this one did, gives the same.
Str am_claim_idempotency(const AmTask *task, Arena *arena);

// Whether an attempt may be made now; if not, am_notify_attempt() comes later.
bool am_turn_take(AmTask *task);
// What is made ready to be sent counts until the attempt ends.
void am_turn_count(AmTask *task, size_t bytes);
// The attempt is over, or is not wanted any more: others have their turn.
void am_turn_end(AmTask *task);

// am_notify.c
void am_notify_attempt(AmTask *task);
// The task may tell: fills in the data if that is not done, and makes an attempt.
void am_notify_go(AmTask *task);
// Asks the log again; false if nothing is to be told any more. With the lock of Am.
bool am_notify_decide_again(AmTask *task);
// Ends a task without an attempt: somebody else has told (ok), or may be about to.
void am_notify_end(AmTask *task, bool ok);
