// SPDX-License-Identifier: Apache-2.0
// wal_pack_bench.c: what the records of samples in a log cost packed one way or the other.
//
//     wal_pack_bench [DIR]     a wal/ folder; without one, a page like those of a node exporter
#include "tsdb/wal_pack.h"

#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/random.h"
#include "codec/compress.h"
#include "codec/snappy_unpack.h"
#include "tsdb/head_bench.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"

#define RECORDS_MAX 20000
#define TURNS 5

typedef struct Records {
    Arena arena;
    Str items[RECORDS_MAX];
    size_t count;
    size_t samples;
    size_t bytes;
} Records;

static void keep(Records *to, Str record)
{
    WalEntry entry;
    Arena scratch = {0};
    WalRecordReader reader = wal_record_read(record, &scratch);

    while (wal_record_next(&reader, &entry))
        to->samples++;
    to->bytes += record.len;
    to->items[to->count++] = arena_str(&to->arena, record);
    arena_deinit(&scratch);
}

static void read_log(const char *dir, Records *to)
{
    WalSegments segments;
    Error err = {0};

    if (!wal_list(&fs_system, str_from_c(dir), &to->arena, &segments, &err))
        bench_die("list", &err);
    for (size_t i = 0; i < segments.count && to->count < RECORDS_MAX; i++) {
        Str bytes;
        Str path = wal_segment_path(&to->arena, str_from_c(dir), segments.items[i].number);
        if (!fs_read_file(&fs_system, path, &to->arena, 1u << 30, &bytes, &err))
            bench_die("read", &err);
        WalReader reader;
        Str record;
        wal_reader_init(&reader, bytes);
        while (to->count < RECORDS_MAX && wal_reader_next(&reader, &record))
            if (record.len && record.ptr[0] == WAL_SAMPLES)
                keep(to, record);
        wal_reader_deinit(&reader);
    }
}

// Half zeros and other numbers that do not change, counters, gauges.
static void make_page(Records *to)
{
    Random random;
    WalSample samples[1000];
    Buf out = {0};

    random_seed(&random, 1);
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        uint64_t kind = random_below(&random, 4);
        double value = kind == 0   ? 0
                       : kind == 1 ? (double)random_below(&random, 3)
                       : kind == 2 ? (double)random_below(&random, 1u << 30)
                                   : random_double(&random) * 1e6;
        samples[i] = (WalSample){1000 + i, 1700000000000, value};
    }
    WalRecordWriter writer = wal_record_begin(&out, WAL_SAMPLES);
    wal_record_samples(&writer, samples, COUNT_OF(samples));
    keep(to, buf_str(&out));
    buf_deinit(&out);
}

static void pack_zstd(Str record, Buf *out)
{
    Error err = {0};
    if (!zstd_encode(record, 1, out, &err))
        bench_die("zstd", &err);
}

static void measure(const Records *records, const char *name, void (*pack)(Str record, Buf *out))
{
    Buf out = {0};
    size_t bytes = 0;
    double best_s = 1e9;

    for (int turn = 0; turn < TURNS; turn++) {
        double start_s = bench_seconds();
        bytes = 0;
        for (size_t i = 0; i < records->count; i++) {
            buf_reset(&out);
            pack(records->items[i], &out);
            bytes += out.len;
        }
        best_s = MIN(best_s, bench_seconds() - start_s);
    }
    printf("%-12s %6.2f bytes %6.1f ns a sample\n", name, (double)bytes / (double)records->samples,
           best_s / (double)records->samples * 1e9);
    buf_deinit(&out);
}

static bool unpack_library(Str block, uint8_t *out, size_t bytes)
{
    return snappy_uncompress(block.ptr, block.len, (char *)out, &bytes) == SNAPPY_OK;
}

static void measure_unpack(const Records *records, const char *name,
                           bool (*unpack)(Str block, uint8_t *out, size_t bytes))
{
    Arena arena = {0};
    Str *packed = X_ARRAY(Str, records->count);
    double best_s = 1e9;
    size_t most = 0;

    for (size_t i = 0; i < records->count; i++) {
        Buf out = {0};
        wal_pack_samples(records->items[i], &out);
        packed[i] = arena_str(&arena, buf_str(&out));
        most = MAX(most, records->items[i].len);
        buf_deinit(&out);
    }
    uint8_t *plain = x_malloc(most);
    for (int turn = 0; turn < TURNS; turn++) {
        double start_s = bench_seconds();
        for (size_t i = 0; i < records->count; i++)
            if (!unpack(packed[i], plain, records->items[i].len))
                abort();
        best_s = MIN(best_s, bench_seconds() - start_s);
    }
    printf("%-12s unpacks in %4.1f ns a sample\n", name, best_s / (double)records->samples * 1e9);
    free(plain);
    free(packed);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    Records *records = X_NEW(Records);

    if (argc > 1)
        read_log(argv[1], records);
    else
        make_page(records);
    printf("%zu records, %zu samples, %.2f bytes a sample as they are\n", records->count,
           records->samples, (double)records->bytes / (double)MAX(records->samples, (size_t)1));
    measure(records, "snappy", snappy_encode);
    measure(records, "wal_pack", wal_pack_samples);
    measure(records, "as runs", wal_pack_runs);
    measure(records, "zstd 1", pack_zstd);
    measure_unpack(records, "library", unpack_library);
    measure_unpack(records, "ours", snappy_unpack);
    arena_deinit(&records->arena);
    free(records);
    return 0;
}
