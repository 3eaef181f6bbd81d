// SPDX-License-Identifier: Apache-2.0
// remote_rates.h: how many shards a queue needs. Private to the room. Facts: prometheus.md section 7.2, "Shards".
#pragma once

#include "base/macros.h"

#define REMOTE_RATES_MS 10000 // between two looks

// Moving averages per second.
typedef struct RemoteRate {
    uint64_t events; // since the last tick
    double per_s;
    bool is_begun;
} RemoteRate;

typedef struct RemoteRates {
    RemoteRate in;      // entries read
    RemoteRate dropped; // of them, by relabelling and so on
    RemoteRate out;     // sent
    RemoteRate busy_ns; // time that requests took
} RemoteRates;

// Every REMOTE_RATES_MS.
void remote_rates_tick(RemoteRates *rates);

typedef struct RemoteShardsNow {
    int64_t count, min, max;
    double behind_s; // newest sample read against newest sent
} RemoteShardsNow;

// *ret_desired is what the formula gives, before rounding and limits. Returns how many shards there should be.
int64_t remote_rates_shards(const RemoteRates *rates, RemoteShardsNow now, double *ret_desired);
