// SPDX-License-Identifier: Apache-2.0
// alertmanager.h: the Alertmanager: takes alerts, groups, inhibits and silences them, and notifies receivers.
//
//     am_receive / POST alerts --> store --> inhibitor
//                                    '--> route tree --> groups --due--> mute --> log --> integration --> HTTP, mail
//
// (1) Silences and the notification log are on the disk before anybody is told that they are: am_store.h. Alerts live in memory,
//     as in the original: whoever sends them sends them again.
// (2) One loop owns timers, connections and notifications. What the API shows and changes stands behind one lock, which is not
//     held while templates are filled in or anything is sent.
// (3) A reload builds a whole new generation (configuration, tree, receivers, templates); a bad file changes nothing.
//
// Names in this room begin with am_. Facts: alertmanager.md.
#pragma once

#include "alertmanager/am_alert.h"
#include "alertmanager/am_matcher.h"
#include "client/registry.h"
#include "net/http_server.h"

#define AM_VERSION "0.34.0" // whose behaviour this is; clients compare it with their own

typedef struct Am Am;

typedef struct AmOptions {
    Str config_file;
    Str config_text;  // in place of the file, if that is empty
    Str storage_path; // folder; empty: nothing is kept
    Str external_url; // as it is, without a slash at its end
    Str route_prefix; // "" or "/x"
    int64_t retention_ms;
    int64_t maintenance_ms;
    int64_t gc_interval_ms;
    int64_t start_delay_ms;
    int64_t per_alertname_limit;
    int64_t silences_max, silence_bytes_max;
    bool log_silences;
    bool events; // what event_recorder names is written
    // More labels: receiver_name, alertname, group_key.
    bool receiver_names_in_metrics, alert_names_in_metrics, group_keys_in_metrics;
    int64_t
        reminder_ms; // how long before its end a silence that mutes something is reminded of; 0: never
    bool test_notifications; // clients may have some sent: docs/decisions/0035
    Str database; // URL of what instances share, postgres://...; empty: this is the only one
    Str peer_name, peer_address; // of this instance, for the others
    int64_t lease_ms;            // how long an instance that is silent keeps the right to tell
    int64_t poll_ms;             // how often what others wrote is fetched
    int64_t get_concurrency;     // 0: from the number of cores
    AmMatcherMode matchers;
    Registry *registry;
    struct Tracer
        *tracer; // of the process; NULL: one of its own, as `tracing` of its configuration says
    Clock *clock;
} AmOptions;

void am_options_default(AmOptions *ret_options);

// Reads the configuration and what is kept, and begins to notify. Strings of the options are copied.
bool am_open(const AmOptions *options, Am **ret_am, Error *err) MUST_CHECK;
// Cancels what is being sent, writes what waits. Accepts NULL.
void am_close(Am *am);
bool am_reload(Am *am, Error *err) MUST_CHECK;

// Takes alerts as the API does. Those that are valid are taken even if others are not.
//
// Fails   ERR_INVALID with all faults, line by line
// Thread  any
bool am_receive(Am *am, AmAlertInput *alerts, size_t count, Error *err) MUST_CHECK;

// For spans of requests; good until am_close().
struct Tracer *am_tracer(const Am *am);

// Answers a request for anything below the route prefix: API, pages, metrics.
//
// Thread  any
void am_handle(Am *am, HttpRequest *request);

// For commands that check and try out without a running instance.

// A configuration: a file, or the text that a running instance prints (its secrets are masked).
typedef struct AmConfigSource {
    Str path; // empty: the text
    Str text;
    AmMatcherMode mode;
} AmConfigSource;

// Checks a file with its templates; `out` gets what amtool says of it. False, and err, if anything is wrong.
bool am_check_config(Str path, AmMatcherMode mode, Buf *out, Error *err) MUST_CHECK;
// Draws the tree.
bool am_check_routes(const AmConfigSource *source, Buf *out, Error *err) MUST_CHECK;
// Names the receivers of an alert with these labels, with commas. `tree` (may be NULL): the routes that it takes are drawn.
bool am_check_route_of(const AmConfigSource *source, Labels labels, Buf *tree, Buf *out,
                       Error *err) MUST_CHECK;
// Fills in a text with the definitions of the files that the patterns name. `data` is the JSON form of a notification's data;
// empty: amtool's sample.
bool am_check_render(const Str *patterns, size_t count, Str text, bool html, Str data, Buf *out,
                     Error *err) MUST_CHECK;

#include "alertmanager/am_simulation.h"
