// SPDX-License-Identifier: Apache-2.0
// tsdb_internal.h: what the tsdb_*.c files share. For nobody else.
#pragma once

#include "base/lock.h"
#include "base/thread.h"
#include "tsdb/block.h"
#include "tsdb/compact.h"
#include "tsdb/compact_uploads.h"
#include "tsdb/dir_lock.h"
#include "tsdb/head.h"
#include "tsdb/retention.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal_tail.h"

// Ranks; those of the head lie between 300 and 379.
enum {
    TSDB_MAINTENANCE_RANK = 250,
    TSDB_WORK_RANK = 260,
    TSDB_LIST_RANK = 290,
};

#define TSDB_NO_CUT_DUE INT64_MIN

typedef struct TsdbCounters {
    uint64_t stale_compactions, stale_compactions_failed;
    uint64_t compactions, compactions_failed, compactions_triggered, vertical_compactions;
    uint64_t reloads, reloads_failed;
    uint64_t time_retentions, size_retentions;
    uint64_t blocks_corrupt;     // not loaded
    uint64_t blocks_quarantined; // of them: renamed aside
    uint64_t blocks_unreadable;  // now: the disk refused, tried again
    uint64_t populating;         // 1: a block is being written
    int clean_start;
} TsdbCounters;

struct Tsdb {
    Arena arena;
    TsdbOptions options; // its strings live in the arena
    Str blocks_dir;
    DirLock dir_lock;
    Head *head;
    Source source;
    WalTail *tail;
    // NULL: no registry. The last three are of chunks that the head gives to blocks.
    HistogramMetric *compaction_seconds, *cleanup_seconds, *stale_seconds, *chunk_bytes,
        *chunk_samples, *chunk_seconds;

    // One at a time: compaction, retention, deletion, snapshot.
    Lock work_lock;

    Lock list_lock;
    Block **blocks; // GUARDED_BY(list_lock): by min time, then name
    size_t block_count;
    bool opening; // GUARDED_BY(work_lock): the blocks are looked at for the first time
    Str *corrupt; // GUARDED_BY(work_lock): names of blocks that were told of already
    size_t corrupt_count;
    // GUARDED_BY(work_lock): a folder of a block that must go may still be there, or come back after a power cut.
    int64_t
        unreadable_end; // of in-order samples in blocks that cannot be opened now; INT64_MIN: none
    bool unsettled;
    Ulid *unfit; // GUARDED_BY(work_lock): blocks that cannot be compacted
    size_t unfit_count;
    int64_t cut_delay_ms;    // how long a cut of the head waits once it is due
    int64_t cut_due_ns;      // GUARDED_BY(work_lock): since when one is; TSDB_NO_CUT_DUE: none is
    TsdbRetention retention; // GUARDED_BY(list_lock)
    TsdbStaleLimits stale;   // GUARDED_BY(list_lock)
    TsdbCounters counters;   // atomic

    Lock maintenance_lock;
    Condition wake;
    bool stop;      // atomic
    bool triggered; // GUARDED_BY(maintenance_lock)
    Thread maintenance;
};

static inline void tsdb_count(uint64_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

// References to all blocks now; on the heap.
typedef struct TsdbBlocks {
    Block **items;
    size_t count;
} TsdbBlocks;

TsdbBlocks tsdb_blocks_take(Tsdb *tsdb);
void tsdb_blocks_give(TsdbBlocks *blocks);
// In-order samples older than this have had their block; INT64_MIN: none have.
int64_t tsdb_in_order_end(const TsdbBlocks *blocks);
// Whether of all blocks only this one tells it. Such a block stays, also without a sample: the log and the head's chunks may still hold what it
// had, and a start would take it from there.
bool tsdb_tells_in_order_end(Tsdb *tsdb, const Block *block);

// Looks at the folder: opens what is new, forgets what is gone, removes what newer blocks were made of.
bool tsdb_reload(Tsdb *tsdb, Error *err) MUST_CHECK REQUIRES(tsdb->work_lock);
// Makes sure that no folder is left of blocks that were merged into others: only those name them as gone, so none may go before.
bool tsdb_settle(Tsdb *tsdb, Error *err) MUST_CHECK REQUIRES(tsdb->work_lock);
// The block is open.
bool tsdb_has_block(Tsdb *tsdb, const Ulid *ulid);
// Forgets the block and removes its folder.
bool tsdb_drop_block(Tsdb *tsdb, Block *block, Error *err) MUST_CHECK REQUIRES(tsdb->work_lock);
// Removes folders that were to be deleted; and those half made, which only at the start are nobody's.
bool tsdb_remove_leftovers(Tsdb *tsdb, bool half_made, Error *err) MUST_CHECK;

// Of a new block made of others.
CompactOutput tsdb_compact_output(const Tsdb *tsdb);
// All that the maintenance thread does.
bool tsdb_compact_locked(Tsdb *tsdb, Error *err) MUST_CHECK REQUIRES(tsdb->work_lock);

void tsdb_metrics_register(Tsdb *tsdb);
