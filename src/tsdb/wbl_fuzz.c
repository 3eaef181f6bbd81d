// SPDX-License-Identifier: Apache-2.0
// Any records as the log of out-of-order samples beside a log that knows two series: replayed into a head, which must hold together, and
// replayed a second time, which must give as many samples.
#include <stdio.h>
#include <unistd.h>

#include "tsdb/head_internal.h"

static HeadOptions options_of(Str dir)
{
    return (HeadOptions){.dir = dir,
                         .fs = &fs_system,
                         .clock = &clock_system,
                         .min_block_ms = 7200000,
                         .out_of_order_window_ms = INT64_MAX / 4,
                         .min_valid_t_ms = INT64_MIN,
                         .wal_segment_bytes = 128u << 20,
                         .samples_per_chunk = 120};
}

static void write_log(Str dir, Str record)
{
    WalRecord r = {.bytes = record, .flags = WAL_RAW};
    Wal *wal;
    Error err = {0};

    bool ok = wal_open(&fs_system, dir, 1u << 20, &wal, &err) && wal_write(wal, &r, 1, &err);
    ASSERT(ok);
    wal_close(wal);
}

static void write_series(Str dir)
{
    CLEANUP(buf_deinit) Buf out = {.ptr = NULL};
    WalRecordWriter w = wal_record_begin(&out, WAL_SERIES);

    for (uint64_t ref = 1; ref <= 2; ref++) {
        Label pairs[] = {{S("__name__"), ref == 1 ? S("a") : S("b")}};
        wal_record_series(&w, ref, (Labels){pairs, 1});
    }
    write_log(dir, buf_str(&out));
}

static uint64_t count_samples(Head *head)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = head_source(head);
    Querier *querier;
    SeriesList list;
    uint64_t count = 0;
    Error err = {0};

    bool ok = source->open(source, INT64_MIN, INT64_MAX, &querier, &err) &&
              querier->select(querier, NULL, 0, NULL, &arena, &list, &err);
    ASSERT(ok);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns columns;
        ok = querier->read(querier, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &columns,
                           &err);
        ASSERT(ok);
        for (size_t k = 1; k < columns.count; k++)
            ASSERT(columns.t_ms[k - 1] < columns.t_ms[k]);
        count += columns.count;
    }
    querier->close(querier);
    return count;
}

static uint64_t replay(Str dir)
{
    HeadOptions options = options_of(dir);
    Head *head;
    Error err = {0};

    bool ok = head_open(&options, &head, &err);
    ASSERT(ok);
    head_check(head);
    uint64_t count = count_samples(head);
    head_close(head);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};

    if (size > 4096)
        return 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    Str dir = arena_printf(&arena, "/tmp/narthex-fuzz-wbl-%d", (int)getpid());
    bool ok = fs_remove_tree(&fs_system, dir, &err);
    ASSERT(ok);
    write_series(fs_join(&arena, dir, S("wal")));
    // The first byte tells where the bytes are cut in two records.
    size_t cut = size ? data[0] % size : 0;
    Str bytes = {(const char *)data, size};
    write_log(fs_join(&arena, dir, S("wbl")), str_sub(bytes, 0, cut));
    write_log(fs_join(&arena, dir, S("wbl")), str_skip(bytes, cut));
    uint64_t once = replay(dir);
    uint64_t twice = replay(dir);
    ASSERT(once == twice);
    ok = fs_remove_tree(&fs_system, dir, &err);
    ASSERT(ok);
    return 0;
}
