// SPDX-License-Identifier: Apache-2.0
// conn_track.h: connections counted by who dials or listens, under the original's names (net_conntrack_*).
#pragma once

#include "client/registry.h"

typedef enum ConnFailure {
    CONN_REFUSED,
    CONN_RESOLUTION,
    CONN_TIMEOUT,
    CONN_UNKNOWN,
    CONN_FAILURES
} ConnFailure;

// Of one dialer; all NULL: nothing is counted.
typedef struct ConnDialer {
    Counter *attempted, *established, *closed;
    Counter *failed[CONN_FAILURES];
} ConnDialer;

// Those of the same name are the same. `registry` may be NULL.
ConnDialer conn_track_dialer(Registry *registry, Str name);
ConnFailure conn_track_failure(int error_number);

typedef struct ConnListener {
    Counter *accepted, *closed;
} ConnListener;

ConnListener conn_track_listener(Registry *registry, Str name);

// Nothing for NULL.
void conn_track_count(Counter *counter);
