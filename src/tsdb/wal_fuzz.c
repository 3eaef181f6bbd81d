// SPDX-License-Identifier: Apache-2.0
// wal_fuzz.c: a segment's bytes. Whatever is read from them is written again and must read the same.
#include "tsdb/wal.h"

#include "base/number.h"
#include "codec/compress.h"
#include "tsdb/wal_pack.h"
#include "tsdb/wal_record.h"

static void write_entry(WalRecordWriter *w, WalRecordType type, const WalEntry *e)
{
    switch (type) {
    case WAL_SERIES:
        wal_record_series(w, e->ref, e->labels);
        break;
    case WAL_SAMPLES:
        wal_record_samples(w, &(WalSample){e->ref, e->t_ms, e->value}, 1);
        break;
    case WAL_SAMPLES_V2:
        wal_record_samples_v2(w, &(WalSample){e->ref, e->t_ms, e->value}, &e->start_ms, 1);
        break;
    case WAL_TOMBSTONES:
        wal_record_tombstone(w, e->ref, e->interval);
        break;
    case WAL_EXEMPLARS:
        wal_record_exemplar(w, e->ref, &e->exemplar);
        break;
    case WAL_MMAP_MARKERS:
        wal_record_marker(w, e->ref, e->chunk_ref);
        break;
    case WAL_METADATA:
        wal_record_metadata(w, e->ref, e->metadata);
        break;
    default:
        wal_record_histogram(w, e->ref, e->t_ms, e->start_ms, e->histogram);
    }
}

static void check_same(WalRecordType type, const WalEntry *a, const WalEntry *b)
{
    ASSERT(a->ref == b->ref);
    ASSERT(a->t_ms == b->t_ms);
    ASSERT(a->start_ms == b->start_ms);
    ASSERT(memcmp(&a->value, &b->value, 8) == 0);
    ASSERT(a->chunk_ref == b->chunk_ref);
    ASSERT(a->interval.min_t_ms == b->interval.min_t_ms);
    ASSERT(a->interval.max_t_ms == b->interval.max_t_ms);
    ASSERT(labels_equal(a->labels, b->labels));
    ASSERT(labels_equal(a->exemplar.labels, b->exemplar.labels));
    ASSERT(str_equal(a->metadata.help, b->metadata.help));
    ASSERT(str_equal(a->metadata.unit, b->metadata.unit));
    // A threshold that is no number equals nothing, as in the original; what a stale marker carries besides is nothing.
    if (type >= WAL_HISTOGRAMS && type != WAL_SAMPLES_V2 && !is_stale_nan(a->histogram->sum) &&
        a->histogram->zero_threshold == b->histogram->zero_threshold)
        ASSERT(histogram_equal(a->histogram, b->histogram));
}

static WalRecordType type_to_write(WalRecordType type, const WalEntry *e)
{
    bool with_starts = type == WAL_HISTOGRAMS_V2 || type == WAL_FLOAT_HISTOGRAMS_V2;
    return e->histogram ? wal_record_histogram_type(e->histogram, with_starts) : type;
}

static void check_record(Str record)
{
    Arena arena = {0};
    Buf out = {0};
    WalEntry entry;
    WalEntry again;
    WalRecordReader reader = wal_record_read(record, &arena);

    while (wal_record_next(&reader, &entry)) {
        buf_reset(&out);
        WalRecordWriter w = wal_record_begin(&out, type_to_write(reader.type, &entry));
        write_entry(&w, reader.type, &entry);
        WalRecordReader second = wal_record_read(buf_str(&out), &arena);
        ASSERT(wal_record_next(&second, &again));
        check_same(reader.type, &entry, &again);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
}

// Any bytes are packed rightly.
static void check_packed(Str record, void (*pack)(Str record, Buf *out))
{
    Buf packed = {0};
    Buf plain = {0};
    Error err;

    pack(record, &packed);
    ASSERT(snappy_decode(buf_str(&packed), record.len, &plain, &err));
    ASSERT(str_equal(buf_str(&plain), record));
    buf_deinit(&packed);
    buf_deinit(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WalReader reader;
    Str record;

    wal_reader_init(&reader, (Str){(const char *)data, size});
    while (wal_reader_next(&reader, &record))
        check_record(record);
    ASSERT(reader.at <= size);
    ASSERT(reader.good_end <= size);
    wal_reader_deinit(&reader);
    check_record((Str){(const char *)data, size}); // so that checksums are no wall for the fuzzer
    check_packed((Str){(const char *)data, size}, wal_pack_pages);
    check_packed((Str){(const char *)data, size}, wal_pack_runs);
    return 0;
}
