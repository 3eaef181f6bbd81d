// SPDX-License-Identifier: Apache-2.0
// wal_record.h: what the records of the log say (prometheus.md 6.1). Type byte, then the payload.
//
// Writers append to a Buf; a record that got no entry is only its type byte and need not be written. Readers are asked for the next entry
// until they say false; then `failed` tells whether the record was malformed, and what was read before is good.
#pragma once

#include "base/number.h"
#include "base/reader.h"
#include "metric/sample.h"
#include "tsdb/intervals.h"

typedef enum WalRecordType {
    WAL_SERIES = 1,
    WAL_SAMPLES = 2,
    WAL_TOMBSTONES = 3,
    WAL_EXEMPLARS = 4,
    WAL_MMAP_MARKERS = 5,
    WAL_METADATA = 6,
    WAL_HISTOGRAMS = 7,
    WAL_FLOAT_HISTOGRAMS = 8,
    WAL_CUSTOM_HISTOGRAMS = 9,
    WAL_CUSTOM_FLOAT_HISTOGRAMS = 10,
    WAL_SAMPLES_V2 = 11,
    WAL_HISTOGRAMS_V2 = 12,
    WAL_FLOAT_HISTOGRAMS_V2 = 13,
} WalRecordType;

typedef struct WalSample {
    uint64_t ref;
    int64_t t_ms;
    double value;
} WalSample;

// Remembers what entries of a record are written against.
typedef struct WalRecordWriter {
    Buf *out;
    size_t start; // of the record
    uint64_t first_ref;
    int64_t first_t;
    size_t count;
    WalRecordType type;
    uint64_t ref; // newest; of the records with starts
    int64_t first_start_ms;
    int64_t start_ms;
} WalRecordWriter;

WalRecordWriter wal_record_begin(Buf *out, WalRecordType type);

void wal_record_series(WalRecordWriter *writer, uint64_t ref, Labels labels);
void wal_record_samples(WalRecordWriter *writer, const WalSample *samples, size_t count);
// With the start timestamp of each (NULL: none has one), for WAL_SAMPLES_V2.
void wal_record_samples_v2(WalRecordWriter *writer, const WalSample *samples,
                           const int64_t *start_ms, size_t count);
void wal_record_tombstone(WalRecordWriter *writer, uint64_t ref, Interval interval);
void wal_record_exemplar(WalRecordWriter *writer, uint64_t ref, const Exemplar *exemplar);
void wal_record_marker(WalRecordWriter *writer, uint64_t ref, uint64_t chunk_ref);
void wal_record_metadata(WalRecordWriter *writer, uint64_t ref, Metadata metadata);
// The type for this histogram; the kinds do not mix in a record.
WalRecordType wal_record_histogram_type(const Histogram *h, bool with_starts);
// start_ms is written by the types that have starts.
void wal_record_histogram(WalRecordWriter *writer, uint64_t ref, int64_t t_ms, int64_t start_ms,
                          const Histogram *h);

// Parts of entries, for the other formats that have them.
void wal_record_labels(Buf *out, Labels labels);
void wal_record_histogram_body(Buf *out, const Histogram *h);

typedef struct WalRecordReader {
    Reader in;
    WalRecordType type; // 0: none that we know
    Arena *arena;
    size_t count; // entries so far
    uint64_t first_ref;
    uint64_t ref; // newest
    int64_t first_t;
    int64_t first_st;
    int64_t st;
    bool failed;
} WalRecordReader;

// What an entry holds; which members count depends on the type. Strings point into the record, arrays live in the arena.
typedef struct WalEntry {
    uint64_t ref;
    int64_t t_ms;
    int64_t start_ms; // 0: none
    double value;
    Labels labels;
    Interval interval;
    Exemplar exemplar;
    uint64_t chunk_ref;
    Metadata metadata;
    Histogram *histogram;
} WalEntry;

WalRecordReader wal_record_read(Str record, Arena *arena);
bool wal_record_next(WalRecordReader *reader, WalEntry *ret_entry);
// Up to `max` entries of a record of float samples, with their start timestamps (0: none; WAL_SAMPLES never has any, and NULL will do). Fewer:
// the record is at its end, or failed.
size_t wal_record_next_samples(WalRecordReader *reader, WalSample *samples, int64_t *start_ms,
                               size_t max);

// Reads a zig-zag varint that is known to end within the bytes, or to be longer than ten.
static inline const uint8_t *wal_quick_varint(const uint8_t *at, int64_t *ret_value)
{
    uint64_t value = at[0];

    if (value < 0x80) {
        at++;
    } else if (at[1] < 0x80) { // what is far from the record's first mostly is no farther
        value = (value & 0x7f) | (uint64_t)at[1] << 7;
        at += 2;
    } else {
        value &= 0x7f;
        for (unsigned shift = 7; *at++ & 0x80 && shift < 70; shift += 7)
            value |= (uint64_t)(*at & 0x7f) << shift;
    }
    *ret_value = (int64_t)(value >> 1 ^ -(value & 1));
    return at;
}

// Entries of WAL_SAMPLES that are far from the record's end: read without a look at it, and without a call. The reader must have read one,
// and stands where it stood until wal_quick_end.
typedef struct WalQuickSamples {
    const uint8_t *at, *end;
    uint64_t first_ref;
    int64_t first_t;
    size_t count;
} WalQuickSamples;

#define WAL_QUICK_BYTES_MAX (10 + 10 + 8)

static inline WalQuickSamples wal_quick_begin(const WalRecordReader *r)
{
    bool fits = r->type == WAL_SAMPLES && r->count > 0 && !r->failed;
    return (WalQuickSamples){r->in.at, fits ? r->in.end : r->in.at, r->first_ref, r->first_t, 0};
}

// False: wal_record_next has to look at it.
static inline bool wal_quick_next(WalQuickSamples *q, WalSample *ret_sample)
{
    int64_t ref_delta;
    int64_t t_delta;
    uint64_t be;

    if (q->end - q->at < WAL_QUICK_BYTES_MAX)
        return false;
    const uint8_t *next = wal_quick_varint(wal_quick_varint(q->at, &ref_delta), &t_delta);
    if (UNLIKELY(next - q->at > 10)) // one of ten bytes may be malformed: looked at with care
        return false;
    memcpy(&be, next, 8);
    *ret_sample = (WalSample){q->first_ref + (uint64_t)ref_delta,
                              (int64_t)((uint64_t)q->first_t + (uint64_t)t_delta),
                              double_from_bits(__builtin_bswap64(be))};
    q->at = next + 8;
    q->count++;
    return true;
}

static inline void wal_quick_end(const WalQuickSamples *q, WalRecordReader *r)
{
    r->in.at = q->at;
    r->count += q->count;
}

// What the two above wrote; in->failed tells whether it was good. Strings point into the input, arrays live in the arena.
Labels wal_record_read_labels(Reader *in, Arena *arena);
const Histogram *wal_record_read_histogram_body(Reader *in, bool is_integer, Arena *arena);
