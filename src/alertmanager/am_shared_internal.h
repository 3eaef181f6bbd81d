// SPDX-License-Identifier: Apache-2.0
// am_shared_internal.h: what am_shared.c (claims, the thread) and am_shared_rows.c (rows on their way) share. Private to them.
#pragma once

#include "alertmanager/am_shared.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/thread.h"

#define MS_NS INT64_C(1000000)

// One row that the engine does not have yet. A newer one with the same key takes its place.
typedef struct Pending {
    struct Pending *next;
    Str map_key; // table and key, behind the struct
    AmStoreTable table;
    AmRow row;      // body: on the heap
    AmClaim *claim; // ends with the write
    uint64_t ticket;
} Pending;

struct AmShared {
    const AmEngineKind *kind;
    AmEngine *engine;
    AmSharedOptions options;
    Arena arena; // of the options
    Thread thread;
    // Only the thread.
    int64_t retry_at_ns, beat_at_ns, fetch_at_ns, collect_at_ns;
    // Only whoever uses the engine: the thread, but while it waits anybody who has a result to write.
    bool is_connected;

    Lock lock; // rank 147; guards all below
    Condition changed;
    char id[AM_SHARED_ID_BYTES] GUARDED_BY(lock);
    uint64_t life GUARDED_BY(lock);
    int64_t lease_until_ns GUARDED_BY(lock); // by the clock that goes on while the machine sleeps
    int64_t away_since_ns GUARDED_BY(lock);  // 0: the engine is there
    bool is_synced GUARDED_BY(lock), is_closing GUARDED_BY(lock);
    AmClaim *first_claim GUARDED_BY(lock), *last_claim GUARDED_BY(lock);
    Map by_key GUARDED_BY(lock); // Pending
    Pending *first GUARDED_BY(lock), *last GUARDED_BY(lock);
    Pending *sent GUARDED_BY(lock); // begun, and its end not yet asked for
    bool engine_is_used GUARDED_BY(lock);
    uint64_t tickets GUARDED_BY(lock), done GUARDED_BY(lock);
    AmSharedState counts GUARDED_BY(lock);
    Arena member_arena GUARDED_BY(lock);
    AmMember *members GUARDED_BY(lock);
    size_t member_count GUARDED_BY(lock);
};

// By a clock that goes on while the machine sleeps.
int64_t am_shared_now_ns(void);

// am_shared_rows.c: for the thread, which uses the engine.
// What came of the result that went before all that waits.
bool am_shared_rows_end_sent(AmShared *shared, Error *err);
// Writes some of those that wait. False: the engine is away, and they still wait.
bool am_shared_rows_write(AmShared *shared, Error *err);
// Of a module without a thread.
void am_shared_rows_free(AmShared *shared);
