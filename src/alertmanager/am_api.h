// SPDX-License-Identifier: Apache-2.0
// am_api.h: what handlers of the API share. Private to the room.
#pragma once

#include "alertmanager/am_internal.h"
#include "alertmanager/am_json.h"
#include "base/regex.h"
#include "codec/json_reader.h"

#define AM_API_MATCHED_MAX 100 // silences shown beside an alert
#define AM_API_FILTERS_MAX 100
#define AM_API_INTERVALS_MAX 64 // that mute a group

typedef struct AmCall {
    Am *am;
    HttpRequest *request;
    Arena *arena;
    Str rest;         // of the path, behind what chose the handler
    const char *name; // of the handler, for metrics
    int status;
    uint64_t sent_bytes;
} AmCall;

// ---- answers ----

void am_api_bytes(AmCall *call, int status, Str content_type, Str body);
void am_api_empty(AmCall *call, int status);
// A writer that leaves < > & alone, as the original's framework does.
void am_api_writer(JsonWriter *json, Buf *buf);
// JSON that was gathered in `buf`; a line break is added.
void am_api_json(AmCall *call, int status, Buf *buf);
// A bare JSON string, as handlers answer.
void am_api_fault(AmCall *call, int status, const char *fmt, ...) PRINTF(3, 4);
// {"code":602,"message":"..."}, as the framework around the handlers answers.
void am_api_refuse(AmCall *call, int status, int code, const char *fmt, ...) PRINTF(4, 5);

// A body that cannot be read: 400.
void am_api_unreadable(AmCall *call, const char *what, const Error *err);
// Packs the answer for clients that ask for it; others are told nothing of it.
void am_api_compress(AmCall *call);

// ---- parameters: false if the answer has been given ----

bool am_api_flag(AmCall *call, const char *name, bool fallback, bool *ret_value);
// All values of a parameter as one matcher each. am_matchers_deinit them.
bool am_api_matchers(AmCall *call, const char *name, AmMatchers *ret_matchers);
// NULL without the parameter.
bool am_api_regex(AmCall *call, const char *name, Regex **ret_regex);
// The body as JSON.
bool am_api_body(AmCall *call, const char *what, JsonValue **ret_body);

// ---- pieces of documents ----

void am_api_labels(JsonWriter *json, const char *key, Labels labels);
// Labels or annotations of a body; false with the message for the client.
bool am_api_read_labels(AmCall *call, const JsonValue *object, Labels *ret_labels,
                        Error *err) MUST_CHECK;

// One alert of a body, as clients post them; false if the answer has been given.
bool am_api_read_alert(AmCall *call, const JsonValue *value, size_t index, AmAlertInput *ret_input);

// Whether an alert passes the filters of the API, which treat absent labels in a way of their own.
bool am_api_passes(const AmMatchers *filters, Labels labels);

// ---- the door ----

// `path` is what stands behind /api/v2.
void am_api_handle(AmCall *call, Str path);

// ---- handlers ----

void am_api_status(AmCall *call);
void am_api_receivers(AmCall *call);
void am_api_alerts_get(AmCall *call);
void am_api_alerts_post(AmCall *call);
void am_api_groups(AmCall *call);
void am_api_silences_get(AmCall *call);
void am_api_silences_post(AmCall *call);
void am_api_silence_get(AmCall *call);
void am_api_silence_delete(AmCall *call);

// Ours, below /narthex: docs/alerting.md.
void am_explain_handle(AmCall *call);
void am_preview_handle(AmCall *call);
void am_trial_handle(AmCall *call);
