// SPDX-License-Identifier: Apache-2.0
// A new configuration is read and checked whole before any of it is taken over.
#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "main/server_run_internal.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define RETENTION_MS_DEFAULT (15 * DAY_MS)
// docs/decisions/0045
#define STALE_RATIO_DEFAULT 0.3
#define STALE_SERIES_MIN_DEFAULT 10000
#define STACK_INTERVAL_MS 15000
#define STACK_TIMEOUT_MS 10000

// What the stack scrapes when nobody says otherwise; the two jobs have targets inside the process (see apply_scrapes).
static Str stack_config(Run *run)
{
    return arena_printf(
        &run->arena,
        "global:\n  scrape_interval: %ds\n  scrape_timeout: %ds\n"
        "scrape_configs:\n"
        "  - job_name: narthex\n    static_configs:\n      - targets: ['localhost:" STR_FMT "']\n"
        "  - job_name: node\n    static_configs:\n      - targets: ['" STR_FMT "']\n",
        STACK_INTERVAL_MS / 1000, STACK_TIMEOUT_MS / 1000,
        STR_ARG(server_run_port(run->flags.web_listen_address.items[0])), STR_ARG(run->hostname));
}

// What the configuration may not say with these flags.
static bool check_with_flags(const Run *run, const ServerConfig *config, Error *err)
{
    if (server_feature(&run->flags, "st-storage") &&
        str_is(config->file.storage.tsdb.chunk_encoding.floats, "xor"))
        return error_set(err, ERR_INVALID,
                         "float chunk encoding \"xor\" is incompatible with start-timestamp "
                         "storage; XOR chunks do not store start timestamps, use \"xor2\"");
    return !server_is_agent(&run->flags) || server_agent_check_config(config, err);
}

bool server_reload_packs_xor2(const Run *run, const ServerConfig *config)
{
    Str floats = config->file.storage.tsdb.chunk_encoding.floats;
    return floats.len ? str_is(floats, "xor2") : server_feature(&run->flags, "xor2-encoding");
}

bool server_reload_load(Run *run, ServerConfig **ret_config, Error *err)
{
    if (run->stack)
        return server_config_parse(stack_config(run), S("built-in"), ret_config, err);
    ServerConfig *config;
    if (!server_config_load(run->flags.config_file, &config, err))
        return false;
    if (!check_with_flags(run, config, err)) {
        server_config_unref(config);
        return false;
    }
    *ret_config = config;
    return true;
}

// A section of the file takes the place of both flags, with what it leaves out: `retention: {}` keeps all. Without it and without flags, 15
// days.
TsdbRetention server_reload_retention(const Run *run, const ServerConfig *config)
{
    const StorageRetention *file = config->file.storage.tsdb.retention;
    const ServerFlags *flags = &run->flags;

    if (file)
        return (TsdbRetention){file->time_ms, file->bytes, file->percentage};
    if (flags->retention_time_ms == 0 && flags->retention_bytes == 0)
        return (TsdbRetention){.ms = RETENTION_MS_DEFAULT};
    return (TsdbRetention){.ms = flags->retention_time_ms, .bytes = flags->retention_bytes};
}

uint64_t server_reload_exemplars_max(const Run *run, const ServerConfig *config)
{
    const StorageExemplars *file = config->file.storage.exemplars;

    if (!server_feature(&run->flags, "exemplar-storage"))
        return 0;
    return file ? (uint64_t)MAX(file->max_exemplars, INT64_C(0)) : STORAGE_EXEMPLARS_DEFAULT;
}

// An explicit threshold is taken as the original takes it, and 0 is its own default.
TsdbStaleLimits server_reload_stale_limits(const ServerConfig *config)
{
    const StorageTsdb *file = &config->file.storage.tsdb;

    if (file->has_stale_series_compaction_threshold)
        return (TsdbStaleLimits){file->stale_series_compaction_threshold, 0};
    return (TsdbStaleLimits){STALE_RATIO_DEFAULT, STALE_SERIES_MIN_DEFAULT};
}

static void write_own_metrics(void *arg, Buf *out)
{
    registry_write(((Run *)arg)->registry, REGISTRY_TEXT, out);
}

static void write_node_metrics(void *arg, Buf *out)
{
    node_exporter_write(((Run *)arg)->node, out);
}

static void config_ref(void *owner)
{
    server_config_ref(owner);
}

static void config_unref(void *owner)
{
    server_config_unref(owner);
}

void server_reload_apply_scrapes(Run *run, ServerConfig *config)
{
    Arena arena = {0};
    ScrapeJob *jobs = arena_zalloc(&arena, (config->job_count + 1) * sizeof *jobs);
    for (size_t i = 0; i < config->job_count; i++)
        jobs[i].config = config->jobs[i];
    if (run->stack) {
        jobs[0].local_write = write_own_metrics;
        jobs[0].local_arg = run;
        jobs[1].local_write = write_node_metrics;
        jobs[1].local_arg = run;
    }
    scrape_manager_apply(run->scrapes, &(ScrapeJobs){
                                           .jobs = jobs,
                                           .count = config->job_count,
                                           .external = config->file.global.external,
                                           .owner = config,
                                           .ref = config_ref,
                                           .unref = config_unref,
                                       });
    arena_deinit(&arena);
}

void server_reload_tell_warnings(const ServerConfig *config)
{
    for (size_t i = 0; i < config->warning_count; i++)
        log_warn("configuration", KV("warning", config->warnings[i]));
}

void server_reload_note(Run *run, bool ok)
{
    lock_take(&run->lock);
    int64_t now_ms = clock_now_ms(&clock_system);
    run->reload_ok = ok;
    if (ok)
        run->reloaded_at_ms = now_ms;
    else
        run->reload_failed_at_ms = now_ms;
    lock_give(&run->lock);
    gauge_set(run->reload_ok_gauge, ok);
    if (ok)
        gauge_set(run->reload_at_gauge, (double)now_ms / 1000);
}

// All that can fail is behind us, but for traces: these are told, and the rest goes on.
static void apply_config(Run *run, ServerConfig *config, RuleSet *rules)
{
    Error err;
    if (run->tsdb) {
        tsdb_reconfigure(run->tsdb, &(TsdbSettings){
                                        .retention = server_reload_retention(run, config),
                                        .stale = server_reload_stale_limits(config),
                                        .out_of_order_window_ms =
                                            config->file.storage.tsdb.out_of_order_time_window_ms,
                                        .max_exemplars = server_reload_exemplars_max(run, config),
                                    });
        tsdb_pack_xor2(run->tsdb, server_reload_packs_xor2(run, config));
        engine_set_default_step(run->engine, config->file.global.evaluation_interval_ms);
    }
    server_remote_apply(&run->remote, config);
    if (!server_traces_apply(&run->traces, config->file.tracing, &err))
        log_error("there are no traces", KV("err", &err));
    server_reload_apply_scrapes(run, config);
    if (run->tsdb)
        server_rules_apply(&run->rules, config, rules);
    else
        rule_set_free(rules);
}

// A bad file changes nothing.
bool server_reload(Run *run, Error *err)
{
    lock_take(&run->reload_lock);
    ServerConfig *fresh = NULL;
    RuleSet *rules = NULL;
    bool ok = server_reload_load(run, &fresh, err) &&
              server_rules_load(&run->flags, fresh, run->external_url, &rules, err);
    // Opened anew each time: a file that was moved away is not written to any longer.
    if (ok && run->engine &&
        (!engine_set_query_log(run->engine, fresh->file.global.query_log_file, err) ||
         !server_alerts_reload(&run->rules.alerts, err))) {
        rule_set_free(rules);
        ok = false;
    }
    if (!ok)
        server_config_unref(fresh);
    if (ok) {
        server_reload_tell_warnings(fresh);
        apply_config(run, fresh, rules);
        lock_take(&run->lock);
        ServerConfig *old = run->config;
        run->config = fresh;
        lock_give(&run->lock);
        server_config_unref(old);
    }
    server_reload_note(run, ok);
    if (ok)
        log_info("completed loading of configuration file", KV("filename", run->flags.config_file));
    else
        log_error("error reloading the configuration, keeping the old one", KV("err", err));
    lock_give(&run->reload_lock);
    return ok;
}
