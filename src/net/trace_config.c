// SPDX-License-Identifier: Apache-2.0
// The `tracing` block. Error texts are the original's.
#include <stddef.h>

#include "net/http_client.h"
#include "net/trace_export.h"

#define FIELD(name, of_kind, help_text, ...)                                                       \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(TraceConfig, name), .help = help_text,   \
        ##__VA_ARGS__                                                                              \
    }

static const char *const clients[] = {"grpc", "http", NULL};

static const ConfigField fields[] = {
    FIELD(client_type, CONFIG_ENUM, "grpc or http", .words = clients, .default_text = "grpc",
          .always_print = true),
    FIELD(endpoint, CONFIG_STR, "host:port of the OTLP receiver"),
    FIELD(sampling_fraction, CONFIG_DOUBLE, "share of the traces that begin here, 0 to 1"),
    FIELD(insecure, CONFIG_BOOL, "without TLS"),
    {.key = "tls_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(TraceConfig, tls_config),
     .table = &http_tls_config_table,
     .always_print = true,
     .help = "certificates"},
    FIELD(headers, CONFIG_STR_MAP, "sent with each request"),
    FIELD(compression, CONFIG_STR, "gzip, or nothing"),
    {.key = "timeout",
     .kind = CONFIG_DURATION,
     .offset = offsetof(TraceConfig, timeout_ms),
     .help = "longest wait for an answer; 10s unless it is given"},
};

static bool finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const TraceConfig *config = object;
    if (!http_config_check_headers(reader, node, &config->headers,
                                   "custom authorization header configuration is not yet supported",
                                   err))
        return false;
    if (config->endpoint.len == 0)
        return config_error(reader, node, err, "tracing endpoint must be set");
    if (config->compression.len && !str_is(config->compression, "gzip"))
        return config_error(reader, node, err,
                            "invalid compression type " STR_FMT " provided, valid options: gzip",
                            STR_ARG(str_sub(config->compression, 0, 50)));
    return true;
}

const ConfigTable trace_config_table = CONFIG_TABLE(TraceConfig, "tracing", fields, finish);
