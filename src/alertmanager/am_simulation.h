// SPDX-License-Identifier: Apache-2.0
// am_simulation.h: an Alertmanager whose time is given and whose receivers are a callback: for unit tests of configurations.
//
//     receive(alerts, t) --> store, inhibitor, groups          advance(t) --> flushes in the order of their times --> tell()
//
// (1) Routes, groups, inhibition, silences, time intervals and the decision of the notification log are those of the real one. A
//     notification takes no time and never fails.
// (2) What arrives at a moment is there for flushes of that moment: receive first, then advance.
//
// Thread: one at a time.
#pragma once

#include "alertmanager/alertmanager.h"

typedef struct AmSimulation AmSimulation;

// One integration is told. Good until tell() returns.
typedef struct AmSimulationNote {
    int64_t at_ms;
    Str receiver;
    const char *integration; // "webhook"; "" for a receiver that has none
    uint32_t index;
    const char *
        reason; // as .NotificationReason; "fails: ..." where the route's labels cannot be filled in
    Labels group_labels;
    const struct AmNote *notes;
    size_t count;
    AmSimulation *simulation;
    struct AmData *data;
} AmSimulationNote;

typedef struct AmSimulationOptions {
    AmConfigSource config;
    Str external_url;
    int64_t start_ms;
    void (*tell)(void *arg, const AmSimulationNote *note);
    void *arg;
} AmSimulationOptions;

bool am_simulation_new(const AmSimulationOptions *options, AmSimulation **ret_simulation,
                       Error *err) MUST_CHECK;
void am_simulation_free(AmSimulation *simulation); // accepts NULL

// Moves on to a time, not before the last; every flush that is due until then and at it runs.
void am_simulation_advance(AmSimulation *simulation, int64_t t_ms);
// Alerts that come in at t_ms; flushes before it run first. ERR_INVALID names what an alert may not be.
bool am_simulation_receive(AmSimulation *simulation, int64_t t_ms, AmAlertInput *alerts,
                           size_t count, Error *err) MUST_CHECK;
// Silences what matches from one moment to another, neither before the simulation's time. `matchers`: as in the configuration.
bool am_simulation_silence(AmSimulation *simulation, const Str *matchers, size_t count,
                           int64_t starts_ms, int64_t ends_ms, Error *err) MUST_CHECK;

// Inside of tell(): fills in a text with the notification's data.
bool am_simulation_render(const AmSimulationNote *note, Str text, Arena *arena, Str *ret_text,
                          Error *err) MUST_CHECK;
// One alert of a note; the lists in the arena.
Labels am_simulation_labels(const AmSimulationNote *note, size_t index, Arena *arena);
Labels am_simulation_annotations(const AmSimulationNote *note, size_t index, Arena *arena);
bool am_simulation_is_resolved(const AmSimulationNote *note, size_t index);
