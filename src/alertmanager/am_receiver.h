// SPDX-License-Identifier: Apache-2.0
// am_receiver.h: what a kind of integration is: a field table and a function that makes its requests, one after the other.
//
//     step(send) --AM_STEP_REQUEST--> HTTP --> step(send) --AM_STEP_REQUEST--> HTTP --> step(send) --AM_STEP_DONE
//     send->step: 0                            1, with send->response                  2
//
// To add a kind, write receiver/receiver_x.c and one row in am_receiver_kinds.c.
//
// Thread: step() runs on the loop of Am, without its lock; it reads nothing but its send.
#pragma once

#include "alertmanager/am_config.h"
#include "alertmanager/am_template.h"
#include "net/loop.h"

// What every integration's settings begin with.
typedef struct AmCommon {
    bool send_resolved;
    HttpClientConfig *http; // NULL only for email
    const YamlNode *node;
} AmCommon;

#define AM_COMMON_RESOLVED(type, text)                                                             \
    {                                                                                              \
        .key = "send_resolved", .kind = CONFIG_BOOL,                                               \
        .offset = offsetof(type, common.send_resolved), .default_text = text,                      \
        .always_print = true, .help = "tell of alerts that are resolved"                           \
    }
#define AM_COMMON_FIELDS(type, text)                                                               \
    AM_COMMON_RESOLVED(type, text),                                                                \
    {                                                                                              \
        .key = "http_config", .kind = CONFIG_STRUCT_PTR, .offset = offsetof(type, common.http),    \
        .table = &http_client_config_table, .help = "how requests are sent; global's if not given" \
    }

// The call of a built-in definition, as a setting's default.
#define AM_TEMPLATE(kind, name) "{{ template \"" kind ".default." name "\" . }}"

typedef enum AmStep {
    AM_STEP_REQUEST, // send->request is to be sent
    AM_STEP_MAIL,    // send->mail is to be sent
    AM_STEP_DONE,
    AM_STEP_FAILED, // err is full, send->retry says whether to try again
} AmStep;

// Why a notification failed, as the label `reason`.
typedef enum AmFailure {
    AM_FAILURE_OTHER,
    AM_FAILURE_CLIENT,
    AM_FAILURE_SERVER,
    AM_FAILURE_CANCELED,
    AM_FAILURE_DEADLINE,
    AM_FAILURE_AUTH,
    AM_FAILURE_RATE,
    AM_FAILURE_COUNT
} AmFailure;
extern const char *const am_failure_names[AM_FAILURE_COUNT];

typedef struct AmMail AmMail;

// What a kind keeps from notification to notification of one integration (tokens).
typedef struct AmReceiverState {
    Buf token;
    int64_t token_at_ms;
} AmReceiverState;

#define AM_SEND_HEADERS_MAX 8

typedef struct AmSend {
    // Given.
    Arena *arena; // of this attempt
    const void *config;
    const AmData *data;
    const AmTemplates *templates;
    Str group_key;
    AmReceiverState *state;
    Clock *clock;
    Str thread_ts, channel_id; // what the log keeps for slack's update_message
    bool is_first;             // no notification of this group stands before
    // A name of this notification: the same however often it is tried, and when another instance, or this one after a crash, tells it
    // again because nobody knows whether it came through. Empty in test notifications.
    Str idempotency;
    int step;
    const HttpResponse *response; // of the request before
    // Made.
    HttpCallOptions request; // url, method, body; headers from the list below
    Str headers[AM_SEND_HEADERS_MAX];
    size_t header_count;
    AmMail *mail;
    int64_t timeout_ms; // 0: none beside the group's deadline
    bool retry;
    AmFailure failure;
    Str keep_thread_ts, keep_channel_id;
    bool render_failed;
    Error render_error;
    void *scratch; // the kind's own, from step to step
} AmSend;

typedef struct AmReceiverKind {
    const char *name; // "webhook"
    const ConfigTable *table;
    // Fills from global and checks; runs once for each item.
    bool (*complete)(ConfigReader *reader, const AmGlobal *global, void *config, Error *err);
    AmStep (*step)(AmSend *send, Error *err);
} AmReceiverKind;

// At most one of two: "at most one of a & b must be configured".
bool am_receiver_one_of(const ConfigReader *reader, const AmCommon *common, const char *names,
                        Str a, Str b, Error *err) MUST_CHECK;
// Takes what `global` has where neither is set. False if nothing is left; the text tells.
bool am_receiver_inherit(const ConfigReader *reader, const AmCommon *common, Str *value, Str *file,
                         Str global_value, Str global_file, const char *fault,
                         Error *err) MUST_CHECK;

// By AmKind.
extern const AmReceiverKind *const am_receiver_kinds[AM_KIND_COUNT];

// ---- for kinds ----

// Runs as the `finish` of each table: notes the place.
bool am_receiver_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err);

// The text with its templates filled in. After the first failure it gives empty texts; am_send_rendered tells.
Str am_send_text(AmSend *send, Str text);
Str am_send_html(AmSend *send, Str text);
bool am_send_rendered(AmSend *send, Error *err) MUST_CHECK;
// A secret: inline or from a file, trimmed.
bool am_send_secret(AmSend *send, Str text, Str file, Str *ret_secret, Error *err) MUST_CHECK;
// SHA-256 of the group key in hexadecimal digits.
Str am_send_key(AmSend *send);

// Cuts to `max` runes, the last of which is an ellipsis / to `max` bytes, whole runes and an ellipsis.
Str am_truncate_runes(Arena *arena, Str text, size_t max);
Str am_truncate_bytes(Arena *arena, Str text, size_t max);

void am_send_header(AmSend *send, const char *name, Str value);
// POST of a JSON body; a line break is added behind it. Takes the buffer over.
AmStep am_send_json(AmSend *send, Str url, Buf *body);
AmStep am_send_request(AmSend *send, const char *method, Str url, Str content_type, Str body);
// am_send_json() once everything is filled in; the failure that filling in met otherwise.
AmStep am_send_finish(AmSend *send, Str url, Buf *body, Error *err);
// The answer's status: 2xx is done; 5xx and `retry_status` may be tried again. The transport's failures too.
AmStep am_send_check(AmSend *send, const int *retry_statuses, size_t count, Error *err);
#define AM_CHECK(send, err, ...)                                                                   \
    am_send_check(send, (const int[]){0, ##__VA_ARGS__},                                           \
                  sizeof((const int[]){0, ##__VA_ARGS__}) / sizeof(int), err)
// "key": text, filled in; left out when it is empty, unless `always`.
void am_send_member(AmSend *send, JsonWriter *json, const char *key, Str text, bool always);
// For good.
AmStep am_send_fail(AmSend *send, Error *err, const char *fmt, ...) PRINTF(3, 4);
// A text that is YAML of another type than a string becomes that type.
void am_send_typed(AmSend *send, JsonWriter *json, Str text);
// A YAML tree as JSON: its strings are templates, typed once they are filled in.
void am_send_tree(AmSend *send, JsonWriter *json, const YamlNode *node);
// Its strings as JSON object, each filled in; keys sorted.
void am_send_map(AmSend *send, JsonWriter *json, ConfigStrMap map);

// The webhook's document, which others use too. It tells how many alerts above `max_alerts` (0: no limit) it leaves out; those that
// `only_first` leaves out are not counted, as by the original.
void am_send_message(AmSend *send, JsonWriter *json, const char *version, size_t max_alerts,
                     bool only_first);
