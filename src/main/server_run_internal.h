// SPDX-License-Identifier: Apache-2.0
// server_run_internal.h: one run of the server, as the files of its wiring share it.
//
//     server_run.c     flags, signals, from birth to death
//     server_reload.c  configuration: read, taken over, read again
//     server_start.c   storage, engine, scraping, rules
//     server_api.c     listeners, and what the API asks
#pragma once

#include "api/api.h"
#include "base/lock.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "main/server_agent.h"
#include "main/server_remote.h"
#include "main/server_rules.h"
#include "main/server_traces.h"
#include "metric/sink_gate.h"
#include "net/web_gate.h"
#include "server/server.h"

// What the API, the language and the formats are as. Clients choose what they may ask for by it: docs/decisions/0024.
#define PROMETHEUS_VERSION "3.14.0"
#define OWN_REVISION "narthex-" NARTHEX_VERSION
#define LISTENERS_MAX 16

typedef struct Run {
    Arena arena;
    ServerFlags flags;
    bool stack; // no configuration file: targets inside the process
    Str hostname;
    Str route_prefix, external_url;
    Registry *registry;
    NodeExporter *node; // stack only
    ServerTraces traces;
    Budget memory; // of all queries
    ThreadPool *query_pool;
    Tsdb *tsdb;
    TsdbProgress progress; // of its opening
    SinkGate sink_gate;    // before it
    int64_t last_work_ms;  // of the process before this one; 0: not known
    Engine *engine;
    ScrapeManager *scrapes;
    ServerRemote remote;
    AgentStore *agent; // instead of tsdb, engine and rules
    ServerRules rules;
    RuleSet *first_rules; // until they are applied
    ApiContext api;
    HttpServer *listeners[LISTENERS_MAX];
    size_t listener_count;
    WebGate *gate;
    int phase; // ApiPhase, atomic

    Lock reload_lock; // one reload at a time
    Lock lock;        // guards all below
    ServerConfig *config GUARDED_BY(lock);
    bool reload_ok GUARDED_BY(lock);
    int64_t reloaded_at_ms GUARDED_BY(lock), reload_failed_at_ms GUARDED_BY(lock);
    bool quit GUARDED_BY(lock);

    Gauge *reload_ok_gauge, *reload_at_gauge;
    uint64_t files_seen; // hash of the configuration files, for --config.auto-reload
} Run;

// server_run.c -----------------------------------------------------------------------------------------------------------------------

// "0.0.0.0:9090" gives "9090".
Str server_run_port(Str address);

// server_reload.c --------------------------------------------------------------------------------------------------------------------

// The configuration as the flags name it, not yet taken over.
bool server_reload_load(Run *run, ServerConfig **ret_config, Error *err) MUST_CHECK;
void server_reload_tell_warnings(const ServerConfig *config);
// For the metrics and the API.
void server_reload_note(Run *run, bool ok);
void server_reload_apply_scrapes(Run *run, ServerConfig *config);
// Reads it again. A bad file changes nothing, is told in the log, and fails.
bool server_reload(Run *run, Error *err);
// How long and how much to keep.
TsdbRetention server_reload_retention(const Run *run, const ServerConfig *config);
// 0 without the feature.
uint64_t server_reload_exemplars_max(const Run *run, const ServerConfig *config);
// When series that have ended leave the head.
TsdbStaleLimits server_reload_stale_limits(const ServerConfig *config);
// Whether blocks get floats in chunks of encoding 4.
bool server_reload_packs_xor2(const Run *run, const ServerConfig *config);

// server_start.c ---------------------------------------------------------------------------------------------------------------------

void server_start_registry(Run *run);
bool server_start_machines(Run *run, ServerConfig *config, Error *err) MUST_CHECK;

// server_api.c -----------------------------------------------------------------------------------------------------------------------

void server_api_set_phase(Run *run, ApiPhase phase);
void server_api_fill(Run *run, const FlagTable *table);
bool server_api_listen(Run *run, Error *err) MUST_CHECK;
