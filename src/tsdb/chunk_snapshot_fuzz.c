// SPDX-License-Identifier: Apache-2.0
// chunk_snapshot_fuzz.c: records of a snapshot of open chunks. Whatever is read from them is written again and must read the same.
#include "tsdb/chunk_snapshot.h"

#include "tsdb/chunk_xor.h"
#include "tsdb/wal.h"

static void check_series(Str record)
{
    Arena arena = {0};
    Buf out = {0};
    ChunkSnapshotSeries once;
    ChunkSnapshotSeries again;
    ChunkColumns columns = {.arena = &arena};
    Error err = {0};

    if (chunk_snapshot_read_series(record, &arena, &once, &err)) {
        chunk_snapshot_add_series(&out, &once);
        bool ok = chunk_snapshot_read_series(buf_str(&out), &arena, &again, &err);
        ASSERT(ok);
        ASSERT(once.ref == again.ref);
        ASSERT(labels_equal(once.labels, again.labels));
        ASSERT(once.encoding == again.encoding);
        ASSERT(str_equal(once.chunk, again.chunk));
        ASSERT(chunk_xor_to_bits(once.value) == chunk_xor_to_bits(again.value));
        if (once.encoding != CHUNK_NONE)
            (void)chunk_decode(once.encoding, once.chunk, INT64_MIN, INT64_MAX, &columns, &err);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
}

static void check_tombstones(Str record)
{
    Tombstones once = {0};
    Tombstones again = {0};
    Buf out = {0};
    Error err = {0};

    if (!chunk_snapshot_read_tombstones(record, &once, &err))
        return;
    chunk_snapshot_add_tombstones(&out, &once);
    bool ok = chunk_snapshot_read_tombstones(buf_str(&out), &again, &err);
    ASSERT(ok);
    ASSERT(tombstones_total(&once) == tombstones_total(&again));
    tombstones_deinit(&once);
    tombstones_deinit(&again);
    buf_deinit(&out);
}

static void check_exemplars(Str record)
{
    Arena arena = {0};
    Buf out = {0};
    Str log_record = chunk_snapshot_read_exemplars(record, &arena);

    chunk_snapshot_add_exemplars(&out, log_record);
    ASSERT(str_equal(str_skip(buf_str(&out), 1), str_skip(record, 1)));
    buf_deinit(&out);
    arena_deinit(&arena);
}

static void check_record(Str record)
{
    check_series(record);
    check_tombstones(record);
    if (record.len)
        check_exemplars(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WalReader reader;
    Str record;

    wal_reader_init(&reader, (Str){(const char *)data, size});
    while (wal_reader_next(&reader, &record))
        check_record(record);
    wal_reader_deinit(&reader);
    check_record((Str){(const char *)data, size}); // so that checksums are no wall for the fuzzer
    return 0;
}
