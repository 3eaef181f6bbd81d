// SPDX-License-Identifier: Apache-2.0
// am_sample.h: what a client wants to try out: alerts of its own, of a group that stands, or a built-in one, with a receiver. Private
// to the room.
//
//     {"receiver": "x", "groupKey": "{}:{...}"}                       alerts of that group
//     {"receiver": "x", "alerts": [...], "groupLabels": {...}}        those that are given
//     {"receiver": "x"}                                               one that fires now
//
// Thread: a handler's; the lock of Am is taken only while it is read.
#pragma once

#include "alertmanager/am_api.h"

#define AM_SAMPLE_ALERTS_MAX 1000
#define AM_TRIALS_MAX 4 // previews and tests at the same time

typedef struct AmSample {
    Am *am;
    AmGeneration *generation;         // held
    AmTemplates *templates;           // of this thread
    const AmReceiverConfig *receiver; // NULL: none was asked for
    const AmRoute *route; // the group's, or the first that leads to the receiver; may be NULL
    AmNote *notes;        // referenced
    size_t count;
    Labels group_labels;
    Str group_key;
    AmData *data; // without its route labels
} AmSample;

// Reads the body; takes one of AM_TRIALS_MAX places. False if the answer has been given. am_sample_deinit it in any case.
bool am_sample_init(AmSample *sample, AmCall *call, const JsonValue *body);
void am_sample_deinit(AmSample *sample);
// Fills in the route's labels.
bool am_sample_route_labels(AmSample *sample, Arena *arena, Error *err) MUST_CHECK;

// "error": {...}: what is wrong, in which template, where. `text` is the one that was to be filled in.
void am_sample_json_fault(JsonWriter *json, const AmSample *sample, const Error *err);
// "receiver", "groupKey", "groupLabels", "alerts": what was tried.
void am_sample_json_head(JsonWriter *json, const AmSample *sample);
