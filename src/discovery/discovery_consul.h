// SPDX-License-Identifier: Apache-2.0
// discovery_consul.h: the parts of Consul discovery that need no network.
#pragma once

#include "codec/json_reader.h"
#include "discovery/discovery_kind.h"
#include "net/http_client.h"

typedef struct ConsulConfig {
    Str server, path_prefix, token, datacenter, namespace, partition, tag_separator, scheme;
    Str username, password;
    bool allow_stale;
    int64_t refresh_interval_ms;
    ConfigStrList services, tags;
    ConfigStrMap node_meta;
    Str filter, health_filter;
    HttpClientConfig http;
} ConsulConfig;

// "http://localhost:8500/prefix"; the server's own scheme wins, "unix://path" gives *ret_socket.
void consul_add_base_url(Buf *url, const ConsulConfig *config, Str *ret_socket);
// Whether a service of the catalog, with these tags (a JSON list), is to be watched.
bool consul_wants_service(const ConsulConfig *config, Str name, const JsonValue *tags);
// An answer of health/service/<name> as the one group of that service. Scratch memory comes from the arena.
bool consul_group_read(const JsonValue *json, const ConsulConfig *config, Str service,
                       Str datacenter, Arena *arena, GroupSnapshot *found, Error *err) MUST_CHECK;
