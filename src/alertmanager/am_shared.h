// SPDX-License-Identifier: Apache-2.0
// am_shared.h: what several instances share: silences, the notification log, and which of them tells a group. All take the same alerts;
// before one tells, it claims the group's row of the log in the engine (am_engine.h).
//
//     am_shared_put -----> waiting --.
//     am_shared_claim ---> claims  --+--> thread am-shared: heartbeat, claims, writes, what others wrote --> row()
//                            '-- done() on the loop <--'
//
// (1) None is told twice: a claim is given to one instance, and only on the row that this one has seen. It holds while the heartbeat of
//     its instance does; am_shared_may_send() says, before each request, whether it surely still does.
// (2) None is lost: a claim whose instance is dead, paused or cut off for as long as the lease is free for the others.
// (3) While the engine is away each works alone: claims answer AM_CLAIM_ALONE, writes wait and go when it is back; the newer row wins.
//
// What remains: an instance that stops after its request has gone out and before the log is written leaves a group that another tells
// again. At least once is what is promised.
//
// Thread: any, unless said otherwise. Callbacks run without locks of this module.
#pragma once

#include "alertmanager/am_engine.h"
#include "net/loop.h"

#define AM_SHARED_ID_BYTES AM_ENGINE_ID_BYTES

typedef struct AmShared AmShared;

typedef struct AmSharedOptions {
    Str url;                  // of the engine
    const AmEngineKind *kind; // NULL: by the URL
    Str name, address;        // of this instance
    int64_t lease_ms;
    int64_t poll_ms; // how often what others wrote is fetched
    Loop *loop;      // where claims are answered
    // A row that the engine has. On the thread am-shared.
    void (*row)(void *arg, AmStoreTable table, const AmRow *row);
    // All rows have been fetched for the first time: what the engine lacks can be put.
    void (*synced)(void *arg);
    void *arg;
} AmSharedOptions;

// Fails on options that cannot be right; an engine that is away is no failure.
bool am_shared_open(const AmSharedOptions *options, AmShared **ret_shared, Error *err) MUST_CHECK;
// Waits until all has been fetched once, at most `timeout_ms`.
bool am_shared_settle(AmShared *shared, int64_t timeout_ms);
// Writes what waits if the engine is there, and leaves. Claims that wait are answered AM_CLAIM_ALONE on the loop, which must still
// run. Accepts NULL.
void am_shared_stop(AmShared *shared);
void am_shared_free(AmShared *shared); // accepts NULL

// Copies the row. Returns a ticket.
uint64_t am_shared_put(AmShared *shared, AmStoreTable table, const AmRow *row);
// Waits until the engine has it; false if that takes longer or the engine is away. It will have it later.
bool am_shared_wait(AmShared *shared, uint64_t ticket, int64_t timeout_ms);

typedef struct AmClaim AmClaim;
struct AmClaim {
    void (*done)(AmClaim *claim); // on the loop; the claim is the asker's again
    void *arg;
    AmVerdict verdict;
    AmRow row; // AM_CLAIM_STALE: what the log has
    Arena arena;
    // Private.
    AmClaim *next;
    AmShared *shared;
    Str key;
    int64_t seen_ns, asked_ns;
    uint64_t life; // under which life of the instance it was given
    char id[AM_SHARED_ID_BYTES];
};

// Asks for the right to tell the group whose row of the log has this key. `seen_ns`: the time of the entry that the asker knows,
// 0 for none. done() gets the claim that is returned.
AmClaim *am_shared_claim(AmShared *shared, Str key, int64_t seen_ns, void (*done)(AmClaim *claim),
                         void *arg);
// Whether a claim that was granted surely holds now.
bool am_shared_may_send(AmShared *shared, const AmClaim *claim);
// Ends a claim, whatever its verdict, and frees it. `row`: what the log is to say now; NULL: the group was not told.
void am_shared_finish(AmShared *shared, AmClaim *claim, const AmRow *row);

typedef struct AmSharedState {
    bool up; // the engine answers
    bool is_synced;
    uint64_t connects, failures, lapses, beats, writes, write_bytes, rows, row_bytes, waiting;
    uint64_t joined, left; // other members, as heartbeats showed them
    size_t failed_peers;   // that have left, until they come back
    uint64_t claims[AM_CLAIM_VERDICTS];
    AmMember *members; // in the arena; at least this instance
    size_t member_count;
    size_t position; // of this instance among them
    Str name;
} AmSharedState;
AmSharedState am_shared_state(AmShared *shared, Arena *arena);
