// SPDX-License-Identifier: Apache-2.0
// wal.h: the write-ahead log. What it has accepted survives a crash of the process; after wal_sync also a power cut.
//
//     segment 00000041 (sealed)      segment 00000042 (open)
//     +--------+--------+--------+   +--------+--------+ - - -
//     | page 0 | page 1 | page 2 |   | page 0 | page 1 |        pages of 32 KiB
//     +--------+--------+--------+   +--------+--------+ - - -
//     fragment | type u8 | length u16 | CRC-32C u32 | data |    type: bits 0-2 0 end of page, 1 full, 2 first, 3 middle, 4 last;
//                                                              bit 3 snappy, bit 4 zstd
// (1) A record never crosses a segment; it may cross pages, as fragments first, middle, last. One that is longer than a segment makes
//     its segment longer.
// (2) The rest of a page that cannot take a fragment is zero. A segment may end anywhere behind a record.
// (3) A write that fails leaves the log as it was: the torn bytes are cut off at once, or before the next write.
// (4) A reader steps over damage to the next page that begins a record and tells what it stepped over.
//
// Thread: one writer at a time; any number of readers of segments that nobody writes.
// Format: prometheus.md 6.1, the same as Prometheus 2 and 3. Also used for wbl/ and checkpoints.
#pragma once

#include "base/clock.h"
#include "base/fs.h"
#include "tsdb/tsdb.h"

#define WAL_PAGE_BYTES 32768
#define WAL_HEADER_BYTES 7
#define WAL_RECORD_BYTES_MAX (64u * 1024 * 1024) // after decompression; more is taken for corrupt

typedef enum WalFlags { WAL_RAW = 0, WAL_SNAPPY = 8, WAL_ZSTD = 16 } WalFlags;

typedef struct WalRecord {
    Str bytes; // as they go to disk
    WalFlags flags;
    size_t raw_bytes; // before it was compressed; 0: not told, it is not counted
} WalRecord;

// Compresses a record behind `out`; raw if that is not smaller.
WalFlags wal_compress(TsdbCompression compression, Str record, Buf *out);

#define WAL_FSYNCS_KEPT 64

typedef struct WalCounters {
    uint64_t records, bytes, page_flushes, writes_failed, segments_removed;
    uint64_t truncations, truncations_failed; // of the log: wal_truncate
    uint64_t saved_bytes;                     // by compression of records
    uint64_t part_writes, part_bytes;         // pieces of records, with their heads
    uint64_t fsyncs;
    double fsync_seconds;
    double fsync_recent_s[WAL_FSYNCS_KEPT]; // a ring: fsync i lies at i % WAL_FSYNCS_KEPT
    uint64_t segment;                       // current
} WalCounters;

typedef struct Wal Wal;

// Opens the folder, made if missing, for writing: always in a new segment behind the last one (an empty last one is used again).
bool wal_open(Fs *fs, Str dir, uint64_t segment_bytes, Wal **ret_wal, Error *err) MUST_CHECK;
// Accepts NULL. Everything that was accepted is with the kernel already.
void wal_close(Wal *wal);

// Returns true when the kernel has all of them: one write for each segment touched. ERR_IO: none of them counts.
bool wal_write(Wal *wal, const WalRecord *records, size_t count, Error *err) MUST_CHECK;
// fdatasync of what was written since the last one.
bool wal_sync(Wal *wal, Error *err) MUST_CHECK;
// Goes on in a new segment and tells its number.
bool wal_cut(Wal *wal, uint32_t *ret_segment, Error *err) MUST_CHECK;
// Deletes the segments below `segment`.
bool wal_truncate(Wal *wal, uint32_t segment, Error *err) MUST_CHECK;
// Where the next record goes, and what lies before it there.
typedef struct WalPlace {
    uint32_t segment;
    uint64_t offset;
    uint32_t before_bytes; // of the segment before the place, at most as many as asked for
    uint32_t before_crc;   // CRC-32C of them
} WalPlace;
// The writer's.
bool wal_place(Wal *wal, uint32_t before_bytes, WalPlace *ret_place, Error *err) MUST_CHECK;
void wal_counters(const Wal *wal, WalCounters *ret_counters);

typedef struct WalSegment {
    uint32_t number;
    uint64_t bytes;
} WalSegment;

typedef struct WalSegments {
    WalSegment *items; // rising
    size_t count;
} WalSegments;

// Numbers of the segments in the folder; other names are ignored. A missing folder is empty.
bool wal_list(Fs *fs, Str dir, Arena *arena, WalSegments *ret_segments, Error *err) MUST_CHECK;
Str wal_segment_path(Arena *arena, Str dir, uint32_t number);

// Newest complete checkpoint.%08d in the folder; false if there is none.
bool wal_find_checkpoint(Fs *fs, Str dir, Arena *arena, Str *ret_path, uint32_t *ret_number,
                         Error *err);

// Records that are not wanted: of `types` (bit n: record type n), if they begin before `before`.
typedef struct WalSkip {
    size_t before;
    uint32_t types;
} WalSkip;

// Reads the records of one segment's bytes.
typedef struct WalReader {
    Str bytes;
    size_t at;
    size_t good_end;     // behind the newest good record
    size_t damage_start; // of the first damage; SIZE_MAX: none
    uint64_t lost_bytes; // stepped over
    uint64_t damages;
    bool tail_torn;   // the last thing seen was damage: nothing good lies behind good_end
    char reason[160]; // of the first damage
    Buf joined;       // fragments
    Buf plain;        // decompressed
    WalSkip skips[2];
} WalReader;

void wal_reader_init(WalReader *reader, Str bytes);
void wal_reader_deinit(WalReader *reader);
// The next good record, good until the next call. False at the end.
bool wal_reader_next(WalReader *reader, Str *ret_record);
// The same, appended to `out`, whose own limit counts, too. Nothing is appended where it has stepped over WAL_SKIP_BYTES of records that are not
// wanted: the caller may let go of what was read.
#define WAL_SKIP_BYTES (1024 * 1024)
bool wal_reader_next_into(WalReader *reader, Buf *out);
