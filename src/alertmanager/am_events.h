// SPDX-License-Identifier: Apache-2.0
// am_events.h: what happens to alerts and silences as lines of JSON, for whoever wants to look back: the event recorder of the original
// (alertmanager.md section 22), with its documents, to files, standard output, web servers and Kafka.
//
//     am_event_... --> lines that wait --> loop am-events --> each output (am_event_output.h)
//
// A line is made where the event happens; when more wait than the queue takes they are dropped and counted. An output that a reload does
// not change goes on; one that is gone still delivers what it has.
//
// Thread: any.
#pragma once

#include "alertmanager/am_dispatch.h"
#include "alertmanager/am_wire.h"
#include "client/registry.h"

typedef struct AmEvents AmEvents;

// `registry` may be NULL. Nothing is recorded before the first am_events_apply().
bool am_events_new(Registry *registry, Str instance, AmEvents **ret_events, Error *err) MUST_CHECK;
// Writes what waits. Accepts NULL.
void am_events_free(AmEvents *events);

// The outputs of a configuration, which is kept. The first function only looks whether they can be.
bool am_events_check(const AmConfig *config, Error *err) MUST_CHECK;
void am_events_apply(AmEvents *events, AmConfig *config);
void am_events_set_position(AmEvents *events, size_t position);

// All below accept NULL, and do nothing while there is no output.

void am_event_started(AmEvents *events, const char *version);
void am_event_stopped(AmEvents *events);
void am_event_created(AmEvents *events, const AmAlert *alert, int64_t now_ns);
void am_event_grouped(AmEvents *events, const AmGroup *group, const AmAlert *alert, int64_t now_ns);
void am_event_resolved(AmEvents *events, const AmGroup *group, const AmAlert *alert,
                       int64_t now_ns);

typedef struct AmEventNotification {
    const AmGroup *group;
    const AmNote *notes, *kept, *all; // told; not held back; of the group
    size_t count, kept_count, all_count;
    AmReason reason;
    const char *integration;
    uint32_t index;
} AmEventNotification;
void am_event_notified(AmEvents *events, const AmEventNotification *notification, int64_t now_ns);

void am_event_silence(AmEvents *events, const AmSilenceData *silence, bool updated);
void am_event_silenced(AmEvents *events, const AmSilenceData *silence, const AmAlert *alert);
void am_event_inhibited(AmEvents *events, const AmMatchers *source, const AmMatchers *target,
                        const ConfigStrList *equal, const AmAlert *alert, uint64_t by);
