// SPDX-License-Identifier: Apache-2.0
// server.h: a whole prometheus.yml as one generation: read, checked across its parts, printed back. Facts: prometheus.md sections 1.1,
// 1.10, 1.13.
#pragma once

#include "net/trace_export.h"
#include "remote/remote.h"
#include "rules/rules.h"
#include "scrape/scrape.h"

// Of the original's run time: taken and shown, without an effect.
typedef struct ServerRuntime {
    int64_t gogc; // percent, -1: off
} ServerRuntime;

typedef struct StorageRetention {
    int64_t time_ms;
    uint64_t bytes;
    double percentage; // of the file system
} StorageRetention;

typedef struct StorageChunkEncoding {
    Str floats;
} StorageChunkEncoding;

typedef struct StorageTsdb {
    int64_t out_of_order_time_window_ms;
    double stale_series_compaction_threshold;
    bool has_stale_series_compaction_threshold;
    StorageChunkEncoding chunk_encoding;
    StorageRetention
        *retention; // NULL: absent, the flags count; else they do not, whatever it lacks
} StorageTsdb;

#define STORAGE_EXEMPLARS_DEFAULT 100000

typedef struct StorageExemplars {
    int64_t max_exemplars;
} StorageExemplars;

typedef struct ServerStorage {
    StorageTsdb tsdb;
    StorageExemplars *exemplars; // NULL: absent
} ServerStorage;

// What stands in the file.
typedef struct ServerFile {
    ScrapeGlobal global;
    AlertingConfig alerting;
    ServerRuntime runtime;
    TraceConfig *tracing;    // NULL: absent
    ConfigList remote_write; // RemoteWriteConfig
    ConfigList remote_read;  // RemoteReadConfig
    OtlpConfig otlp;
    ConfigStrList rule_files;
    ConfigStrList scrape_config_files;
    ConfigList scrape_configs; // ScrapeConfig
    ServerStorage storage;
} ServerFile;

// One generation. Nobody changes it; the last user frees it.
typedef struct ServerConfig {
    _Atomic int refs; // starts at 1
    Arena arena;      // of everything in it
    ConfigReader reader;
    Str path;
    ServerFile file;
    ScrapeConfig **jobs; // of the file and of its scrape_config_files
    size_t job_count;
    Str *rule_patterns; // rule_files, joined to the folder of the file
    size_t rule_pattern_count;
    Str *scrape_patterns; // scrape_config_files, joined too
    size_t scrape_pattern_count;
    Str *warnings; // sentences with their place, for the log
    size_t warning_count;
} ServerConfig;

#define SERVER_CONFIG_BYTES_MAX ((size_t)64 << 20)

// Fails with "file:line:column: ..." and changes nothing. The caller has the first reference.
bool server_config_load(Str path, ServerConfig **ret_config, Error *err) MUST_CHECK;
// The same from text; relative paths in it belong to the folder of `path`.
bool server_config_parse(Str text, Str path, ServerConfig **ret_config, Error *err) MUST_CHECK;
void server_config_ref(ServerConfig *config);
void server_config_unref(ServerConfig *config); // accepts NULL

// As /api/v1/status/config shows it: defaults filled in, secrets masked.
void server_config_print(const ServerConfig *config, Buf *out);
