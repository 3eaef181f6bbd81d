// SPDX-License-Identifier: Apache-2.0
// am_internal.h: the state of the Alertmanager as the room's files share it. Private to the room.
#pragma once

#include "alertmanager/alertmanager.h"
#include "alertmanager/am_dispatch.h"
#include "alertmanager/am_events.h"
#include "alertmanager/am_inhibit.h"
#include "alertmanager/am_metrics.h"
#include "alertmanager/am_nflog.h"
#include "alertmanager/am_receiver.h"
#include "alertmanager/am_silence.h"
#include "base/lock.h"
#include "base/thread.h"
#include "trace/trace.h"
#include "ui/ui.h"

// One item of a receiver's <kind>_configs.
typedef struct AmIntegration {
    const AmReceiverKind *kind;
    const AmCommon *config;
    uint32_t index; // among those of its kind
    HttpClient *client;
    AmReceiverState state;
    size_t sending; // attempts under way
    AmIntegrationMetrics metrics;
} AmIntegration;

typedef struct AmReceiver {
    const AmReceiverConfig *config;
    AmIntegration *integrations;
    size_t count;
} AmReceiver;

// All that a reload replaces. Loop thread, but for what the API reads under the lock or while it holds the generation.
typedef struct AmGeneration {
    _Atomic int refs;
    bool is_stopped;
    AmConfig *config;
    AmRouteTree tree;
    AmTemplates *templates;
    AmInhibitor *inhibitor;
    AmReceiver *receivers; // those that routes use
    size_t receiver_count;
    AmDispatch dispatch;
    Buf printed; // the configuration as the API shows it
} AmGeneration;

typedef struct AmFlush AmFlush;

struct Am {
    AmOptions options;
    Arena arena; // of the options
    Clock *clock;
    Loop *loop;
    LoopTimer *due_timer, *gc_timer, *maintenance_timer, *trim_timer;
    LoopTimer *reminder_timer; // NULL: no reminders
    ThreadPool *mail_pool;
    AmMetrics metrics;
    struct Tracer *tracer;
    struct TraceExport *trace_export; // NULL: the tracer is the process'
    AmFlush *flushes;                 // running; loop thread
    // Attempts that wait until less is under way; loop thread. am_turn.c
    struct AmTask *first_waiting, *last_waiting;
    size_t sending_bytes;
    bool turn_is_posted;
    int64_t started_ms;
    _Atomic int gets_running;
    _Atomic int trials_running; // previews and test notifications
    UiSite *ui;

    Lock reload_lock; // rank 139: one reload at a time
    Lock lock;        // rank 140; guards all below
    AmGeneration *generation GUARDED_BY(lock);
    AmAlertStore alerts GUARDED_BY(lock);
    AmSilences silences GUARDED_BY(lock);
    AmLog log GUARDED_BY(lock);
    AmStore *store;                         // has its own lock
    AmEvents *events;                       // has its own lock; NULL without the feature
    AmShared *shared;                       // has its own lock; NULL: this instance is the only one
    int64_t armed_mono_ns GUARDED_BY(lock); // what the due timer is set to
};

// am_generation.c
bool am_generation_new(Am *am, AmGeneration **ret_generation, Error *err) MUST_CHECK;
AmGeneration *am_generation_ref(AmGeneration *generation);
void am_generation_unref(AmGeneration *generation); // loop thread
const AmReceiver *am_generation_receiver(const AmGeneration *generation, Str name);
// The current generation, for a thread of the API: its configuration, tree and templates stay. Give it back.
AmGeneration *am_generation_hold(Am *am);
void am_generation_give(Am *am, AmGeneration *generation); // accepts NULL
// A receiver with connections of its own. Loop thread; deinit it on failure, too.
bool am_receiver_init(Am *am, const AmReceiverConfig *config, AmReceiver *ret_receiver,
                      Error *err) MUST_CHECK;
void am_receiver_deinit(AmReceiver *receiver);

// am_trace.c
void am_trace_init(Am *am);
void am_trace_apply(Am *am, const AmConfig *config);
void am_trace_deinit(Am *am); // after everything that records

// am_reminder.c: loop thread.
void am_reminder_start(Am *am);

// am_notify.c: loop thread.
void am_notify_due(void *am);
// Cancels the flushes of a generation.
void am_notify_stop(Am *am, AmGeneration *generation);
// Sets the timer to the next due group. With the lock.
void am_notify_arm(Am *am);

// Why now nothing of a route is notified: names of time intervals. Returns how many were written; *ret_inactive: it is none of
// the active ones.
size_t am_notify_muted_by(const AmRoute *route, int64_t now_ns, Str *names, size_t max,
                          bool *ret_inactive);

// The decision of the log: whether an integration is told, and why.
AmReason am_notify_decide(const AmLogEntry *entry, const uint64_t *firing, size_t firing_count,
                          const uint64_t *resolved, size_t resolved_count, bool send_resolved,
                          int64_t repeat_ns, int64_t now_ns);
