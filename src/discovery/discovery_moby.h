// SPDX-License-Identifier: Apache-2.0
// discovery_moby.h: what docker and dockerswarm discovery share: where the daemon is, filters, networks.
#pragma once

#include "discovery/discovery_meta.h"
#include "discovery/discovery_poll.h"

typedef struct MobyFilter {
    Str name;
    ConfigStrList values;
} MobyFilter;

extern const ConfigTable moby_filter_table;

typedef struct MobyConfig {
    Str host;
    int64_t port;
    ConfigList filters; // MobyFilter
    int64_t refresh_interval_ms;
    HttpClientConfig http;
    Str host_networking_host; // docker
    bool match_first_network; // docker
    int role;                 // dockerswarm
} MobyConfig;

// Asks the daemon for "/containers/json" and the like; the answer comes to *slot.
void moby_get(Round *round, const char *path, bool filtered, const JsonValue **slot);
// The network of that ID as prefix + "network_*" labels: nothing if there is none.
void moby_network_labels(LabelsBuilder *labels, const JsonValue *networks, Str id,
                         const char *prefix);
// "10.0.0.3" of "10.0.0.3/24"; false if there is no prefix length.
bool moby_address_of_network(Str text, Str *ret_address);
