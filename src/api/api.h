// SPDX-License-Identifier: Apache-2.0
// api.h: the HTTP doors of a Prometheus server: API v1, federation, own metrics, lifecycle, embedded UI.
//
//     http_server --> api_handle --> routes.c (a table) --> api_query.c, api_series.c, ...
//
// Facts: prometheus.md section 3. Thread: any; a handler runs on whatever thread api_handle is called.
#pragma once

#include "base/clock.h"
#include "base/regex.h"
#include "client/registry.h"
#include "net/http_server.h"
#include "promql/promql.h"
#include "remote/remote.h"
#include "rules/rules.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

typedef enum ApiPhase { API_STARTING, API_READY, API_STOPPING } ApiPhase;

// What changes while the server runs and is not in the machines below.
typedef struct ApiRuntime {
    bool reload_succeeded;
    int64_t reloaded_at_ms; // last success
    Str storage_retention;  // "15d", "15d or 10GiB"
    Str gogc;               // as the configuration says
    uint64_t corruptions;   // WAL corruptions met
    bool reload_failed;     // the last attempt: shows as a notification
    int64_t reload_failed_at_ms;
} ApiRuntime;

typedef struct ApiWalReplay {
    int64_t min, max, current; // WAL segments
} ApiWalReplay;

typedef struct ApiBuild {
    Str version;  // of the Prometheus that the API is as: clients choose features by it
    Str revision; // with our own in it: "narthex-0.1.0"
    Str branch, user, date, compiler;
} ApiBuild;

typedef struct ApiState ApiState;

// Strings and machines outlive the context. `tsdb`, `scrapes` and `engine` are looked at only while `phase` tells API_READY,
// so that they may be filled in before that.
typedef struct ApiContext {
    Tsdb *tsdb;
    Source *source; // of queries; NULL: tsdb's
    Sink *sink;     // of what is pushed; NULL: tsdb's
    bool is_agent;  // there is no tsdb and no engine: nothing can be asked
    Engine *engine;
    ScrapeManager *scrapes; // NULL: nothing is scraped
    Otlp *otlp;             // NULL: OTLP is not taken
    RulesManager *rules;    // NULL: nothing is evaluated
    Notifier *notifier;     // NULL: no alerts are sent
    Registry *registry;
    Clock *clock;
    PromqlFeatures features;
    Budget *memory;            // of all calls together, the engine's, too; NULL: no limit
    uint64_t memory_bytes_max; // of one call; 0: no limit

    // Asked of the owner; all with `owner`. Strings they give live in the arena. NULL where nothing stands behind.
    void *owner;
    ApiPhase (*phase)(void *owner);
    void (*config_yaml)(void *owner, Buf *out);
    Labels (*external_labels)(void *owner, Arena *arena);
    void (*runtime)(void *owner, Arena *arena, ApiRuntime *ret_runtime);
    void (*wal_replay)(void *owner, ApiWalReplay *ret_replay);
    int (*start_percent)(void *owner); // of the start that is done; below 0: not known
    bool (*reload)(void *owner, Error *err);
    void (*quit)(void *owner);

    const HttpPair *flags; // name without dashes and its value, sorted by name
    size_t flag_count;
    const Str *enabled_features; // names of --enable-feature
    size_t enabled_feature_count;
    ApiBuild build;
    int64_t started_at_ms;
    int64_t lookback_ms; // of federation

    // Of remote read: --storage.remote.read-*; 0: no limit.
    uint64_t read_samples_max;
    int read_concurrent_max;
    size_t read_frame_bytes_max;

    int live_subscribers_max; // of live notifications; each has a thread
    bool enable_lifecycle;
    bool has_alertmanager; // one answers below /alertmanager on this port
    bool enable_admin;
    bool enable_remote_write;
    bool enable_search;                    // search-api
    int64_t search_limit_max;              // 0: none
    bool accept_write_v1, accept_write_v2; // --web.remote-write-receiver.accepted-protobuf-messages
    Str external_url;                      // "http://host:9090/prefix", for globalUrl
    Str route_prefix;                      // "" or "/prefix"
    Str listen_port;                       // "9090"
    Str page_title;
    Str cors_origin;                          // regular expression, anchored
    Str console_templates, console_libraries; // folders of /consoles/*
    Str user_assets;                          // folder of /user/*; empty: none

    ApiState *state; // api_init's
} ApiContext;

// Checks and compiles; registers prometheus_http_* and the remote write receiver's metrics. The context must stay where it is.
bool api_init(ApiContext *context, Error *err) MUST_CHECK;
void api_deinit(ApiContext *context);

// For HttpServerOptions: `context` is an ApiContext.
void api_handle(void *context, HttpRequest *request);
// Whether the server is alive, and its metrics: asked by what would end it for want of an answer.
bool api_is_urgent(void *context, const HttpRequest *request);
