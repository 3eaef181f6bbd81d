// SPDX-License-Identifier: Apache-2.0
// am_event_lines.h: between what makes the lines of events and what writes them. Private to both.
#pragma once

#include "alertmanager/am_events.h"

typedef enum AmEventKind {
    AM_EVENT_STARTED,
    AM_EVENT_STOPPED,
    AM_EVENT_CREATED,
    AM_EVENT_RESOLVED,
    AM_EVENT_GROUPED,
    AM_EVENT_NOTIFICATION,
    AM_EVENT_SILENCE_CREATED,
    AM_EVENT_SILENCE_UPDATED,
    AM_EVENT_SILENCED,
    AM_EVENT_INHIBITED,
    AM_EVENT_KINDS
} AmEventKind;
extern const char *const am_event_names[AM_EVENT_KINDS];

// Whether anybody wants events.
bool am_events_begin(AmEvents *events);
Str am_events_instance(const AmEvents *events, size_t *ret_position);
// Copies one line, its line break included.
void am_events_add(AmEvents *events, AmEventKind kind, Str text);
