// SPDX-License-Identifier: Apache-2.0
// block_meta.h: a block's meta.json (prometheus.md 6.3).
#pragma once

#include "base/fs.h"
#include "codec/json_writer.h"
#include "tsdb/ulid.h"

#define BLOCK_META_BYTES_MAX (16u << 20)

typedef struct BlockParent {
    Ulid ulid;
    int64_t min_t_ms;
    int64_t max_t_ms;
} BlockParent;

typedef struct BlockStats {
    uint64_t samples;
    uint64_t float_samples;
    uint64_t histogram_samples;
    uint64_t series;
    uint64_t chunks;
    uint64_t tombstones;
} BlockStats;

typedef struct BlockMeta {
    Ulid ulid;
    int64_t min_t_ms;
    int64_t max_t_ms; // exclusive
    BlockStats stats;
    int level;
    Ulid *sources;
    size_t source_count;
    BlockParent *parents;
    size_t parent_count;
    Str *hints;
    size_t hint_count;
    bool deletable;   // compaction found nothing worth keeping in it
    bool failed;      // compaction of it failed: it is left alone
    bool has_foreign; // members that we do not know: then the file is never rewritten
} BlockMeta;

#define BLOCK_HINT_OUT_OF_ORDER S("from-out-of-order")
#define BLOCK_HINT_STALE_SERIES S("from-stale-series")
#define BLOCK_HINT_SELECTED_SERIES S("from-selected-series")

bool block_meta_has_hint(const BlockMeta *meta, Str hint);
// Of late samples alone, or of a mixture. (Blocks of stale series carry this hint, too: see block_writer.h.)
bool block_meta_is_late(const BlockMeta *meta);
// Of its span it has only some in-order samples, or none: the head, and the log, may have the others.
bool block_meta_is_partial(const BlockMeta *meta);

// Fails ERR_CORRUPT naming what is wrong, or ERR_INVALID of another version. Lists and strings live in the arena.
bool block_meta_parse(Str json, Arena *arena, BlockMeta *ret_meta, Error *err) MUST_CHECK;
// Of the block in `dir`.
bool block_meta_read(Fs *fs, Str dir, Arena *arena, BlockMeta *ret_meta, Error *err) MUST_CHECK;
// Atomic.
bool block_meta_write(Fs *fs, Str dir, const BlockMeta *meta, Error *err) MUST_CHECK;
// One object.
void block_meta_print(const BlockMeta *meta, JsonWriter *json);
