// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal.h"

#include <errno.h>

#include "base/fs_journal.h"
#include "tsdb/head_test_util.h"
#include "tsdb/wal_record.h"

// The record number i: bytes that tell i, of a length that walks through all places in a page.
static Str record_of(Arena *arena, int i, size_t len)
{
    char *bytes = arena_alloc(arena, len);
    for (size_t k = 0; k < len; k++)
        bytes[k] = (char)((size_t)i * 31 + k * 7);
    return (Str){bytes, len};
}

static Wal *open_wal(Fs *fs, const char *dir, uint64_t segment_bytes)
{
    Wal *wal = NULL;
    Error err = {0};
    CHECK_OK(wal_open(fs, str_from_c(dir), segment_bytes, &wal, &err), err);
    return wal;
}

static bool write_one(Wal *wal, Str record, TsdbCompression compression, Error *err)
{
    Buf packed = {0};
    WalRecord r = {.flags = wal_compress(compression, record, &packed)};
    r.bytes = buf_str(&packed);
    bool ok = wal_write(wal, &r, 1, err);
    buf_deinit(&packed);
    return ok;
}

typedef struct ReadBack {
    Arena arena;
    Str *records;
    size_t count;
    uint64_t damages;
    size_t segments;
} ReadBack;

static void read_all(const char *dir, ReadBack *ret)
{
    WalSegments segments;
    Error err = {0};

    *ret = (ReadBack){0};
    CHECK_OK(wal_list(&fs_system, str_from_c(dir), &ret->arena, &segments, &err), err);
    ret->records = ARENA_ARRAY(&ret->arena, Str, 100000);
    ret->segments = segments.count;
    for (size_t i = 0; i < segments.count; i++) {
        FsMap map;
        WalReader reader;
        Str record;
        CHECK_OK(fs_map(&fs_system,
                        wal_segment_path(&ret->arena, str_from_c(dir), segments.items[i].number),
                        &map, &err),
                 err);
        wal_reader_init(&reader, map.bytes);
        while (wal_reader_next(&reader, &record))
            ret->records[ret->count++] = arena_str(&ret->arena, record);
        ret->damages += reader.damages;
        wal_reader_deinit(&reader);
        fs_unmap(&map);
    }
}

TEST(wal, gives_back_records_of_all_lengths_in_all_places)
{
    static const struct {
        const char *name;
        TsdbCompression compression;
    } cases[] = {{"none", TSDB_COMPRESSION_NONE},
                 {"snappy", TSDB_COMPRESSION_SNAPPY},
                 {"zstd", TSDB_COMPRESSION_ZSTD}};

    EACH_CASE(c, cases) {
        char dir[200];
        Arena arena = {0};
        Error err = {0};
        ReadBack back;
        test_dir_make(dir, sizeof dir);
        Wal *wal = open_wal(&fs_system, dir, 4 * WAL_PAGE_BYTES);

        for (int i = 0; i < 300; i++)
            CHECK_OK(
                write_one(wal, record_of(&arena, i, (size_t)i * 53 % 20011), c->compression, &err),
                err);
        CHECK_OK(write_one(wal, record_of(&arena, 300, 200000), TSDB_COMPRESSION_NONE, &err),
                 err); // longer than a segment
        CHECK_OK(write_one(wal, record_of(&arena, 301, 5), TSDB_COMPRESSION_NONE, &err), err);
        wal_close(wal);
        read_all(dir, &back);

        CHECK_EQ(back.count, 302);
        CHECK_EQ(back.damages, 0);
        for (int i = 0; i < 300; i++)
            CHECK(str_equal(back.records[i], record_of(&arena, i, (size_t)i * 53 % 20011)));
        CHECK(str_equal(back.records[300], record_of(&arena, 300, 200000)));
        if (c->compression == TSDB_COMPRESSION_NONE)
            CHECK(back.segments > 10);
        arena_deinit(&back.arena);
        arena_deinit(&arena);
        test_dir_remove(dir);
    }
    test_case_name = "";
}

// One segment of 60 records, its bytes, and where each record ends.
typedef struct Sample {
    Arena arena;
    Str bytes;
    size_t ends[60];
} Sample;

static void make_sample(Sample *s)
{
    char dir[200];
    Error err = {0};
    Arena scratch = {0};
    *s = (Sample){0};
    test_dir_make(dir, sizeof dir);
    Wal *wal = open_wal(&fs_system, dir, 64 * WAL_PAGE_BYTES);
    Str path = wal_segment_path(&scratch, str_from_c(dir), 0);
    for (int i = 0; i < 60; i++) {
        CHECK_OK(write_one(wal, record_of(&scratch, i, (size_t)(i * i % 50) * 40 + 1),
                           TSDB_COMPRESSION_NONE, &err),
                 err);
        CHECK_OK(fs_read_file(&fs_system, path, &s->arena, SIZE_MAX, &s->bytes, &err), err);
        s->ends[i] = s->bytes.len;
    }
    wal_close(wal);
    arena_deinit(&scratch);
    test_dir_remove(dir);
}

TEST(wal, a_torn_end_loses_only_the_torn_record)
{
    Sample s;
    make_sample(&s);

    for (size_t len = 0; len <= s.bytes.len; len += len < 2000 ? 1 : 17) {
        WalReader reader;
        Str record;
        size_t count = 0;
        size_t want = 0;
        while (want < 60 && s.ends[want] <= len)
            want++;
        wal_reader_init(&reader, str_sub(s.bytes, 0, len));

        while (wal_reader_next(&reader, &record))
            count++;

        CHECK_EQ(count, want);
        size_t end = want ? s.ends[want - 1] : 0;
        CHECK_EQ(reader.good_end, end);
        if (len == end)
            CHECK_EQ(reader.damages, 0);
        wal_reader_deinit(&reader);
    }
    arena_deinit(&s.arena);
}

TEST(wal, a_flipped_byte_never_gives_a_wrong_record_and_spares_other_pages)
{
    Sample s;
    make_sample(&s);
    char *bytes = arena_alloc(&s.arena, s.bytes.len);
    Arena arena = {0};

    for (size_t at = 0; at < s.bytes.len; at += 97) {
        WalReader reader;
        Str record;
        size_t count = 0;
        size_t below = 0; // whole records of other pages
        memcpy(bytes, s.bytes.ptr, s.bytes.len);
        bytes[at] = (char)(bytes[at] ^ 0x40);
        for (int i = 0; i < 60; i++) {
            size_t start = i ? s.ends[i - 1] : 0;
            below += (start / WAL_PAGE_BYTES != at / WAL_PAGE_BYTES &&
                      (s.ends[i] - 1) / WAL_PAGE_BYTES != at / WAL_PAGE_BYTES) ||
                     s.ends[i] <= at;
        }
        wal_reader_init(&reader, (Str){bytes, s.bytes.len});

        int next = 0;
        while (wal_reader_next(&reader, &record)) {
            arena_reset(&arena);
            while (next < 60 &&
                   !str_equal(record, record_of(&arena, next, (size_t)(next * next % 50) * 40 + 1)))
                next++;
            CHECK(next < 60);
            next++;
            count++;
        }

        CHECK(count >= below);
        CHECK(count == 60 || reader.damages > 0);
        wal_reader_deinit(&reader);
    }
    arena_deinit(&arena);
    arena_deinit(&s.arena);
}

TEST(wal, a_failed_write_leaves_the_log_as_it_was)
{
    static const size_t torn[] = {0, 1, 6, 7, 100, 40000};

    for (size_t k = 0; k < COUNT_OF(torn); k++) {
        for (uint64_t fail_at = 1; fail_at < 40; fail_at++) {
            char dir[200];
            Arena arena = {0};
            FsFault fault = {.fail_at = fail_at + 2, .error_number = ENOSPC, .torn_bytes = torn[k]};
            Fs fs = {.fault = &fault};
            Error err = {0};
            ReadBack back;
            int acknowledged[64];
            size_t count = 0;
            Wal *wal = NULL;
            test_dir_make(dir, sizeof dir);
            if (!wal_open(&fs, str_from_c(dir), 2 * WAL_PAGE_BYTES, &wal, &err)) {
                test_dir_remove(dir);
                continue;
            }

            for (int i = 0; i < 20; i++)
                if (write_one(wal, record_of(&arena, i, 9000), TSDB_COMPRESSION_NONE, &err))
                    acknowledged[count++] = i;
            wal_close(wal);
            read_all(dir, &back);

            CHECK(count >= 18);
            CHECK_EQ(back.count, count);
            CHECK_EQ(back.damages, 0);
            for (size_t i = 0; i < count; i++)
                CHECK(str_equal(back.records[i], record_of(&arena, acknowledged[i], 9000)));
            arena_deinit(&back.arena);
            arena_deinit(&arena);
            test_dir_remove(dir);
        }
    }
}

// A segment whose folder could not be synced when it was made: what is synced later is there after a power cut, so its name must be.
TEST(wal, what_is_synced_has_a_name)
{
    char dir[200];
    char cut[220];
    Arena arena = {0};
    Error err = {0};
    ReadBack back;
    uint32_t segment;
    test_dir_make(dir, sizeof dir);
    snprintf(cut, sizeof cut, "%s-cut", dir);
    FsFault fault = {.error_number = EIO, .kinds = FS_CALL_SYNC_DIR};
    Fs fs = {.journal = fs_journal_new(str_from_c(dir)), .fault = &fault, .skip_sync = true};
    Wal *wal = open_wal(&fs, dir, 1u << 20);
    CHECK_OK(write_one(wal, record_of(&arena, 1, 100), TSDB_COMPRESSION_NONE, &err), err);
    fault.fail_at = fault.calls + 1;
    CHECK(!wal_cut(wal, &segment, &err));

    CHECK_OK(write_one(wal, record_of(&arena, 2, 100), TSDB_COMPRESSION_NONE, &err), err);
    CHECK_OK(wal_sync(wal, &err), err);

    size_t calls = fs_journal_length(fs.journal);
    CHECK_OK(fs_journal_cut(fs.journal, calls, FS_LOSS_NAMES, 1, str_from_c(cut), &err), err);
    read_all(cut, &back);
    CHECK_EQ(back.count, 2);
    CHECK(str_equal(back.records[1], record_of(&arena, 2, 100)));
    wal_close(wal);
    fs_journal_free(fs.journal);
    arena_deinit(&back.arena);
    arena_deinit(&arena);
    test_dir_remove(cut);
    test_dir_remove(dir);
}

TEST(wal, truncation_keeps_the_open_segment)
{
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    uint32_t segment;
    WalSegments segments;
    test_dir_make(dir, sizeof dir);
    Wal *wal = open_wal(&fs_system, dir, 2 * WAL_PAGE_BYTES);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(write_one(wal, record_of(&arena, i, 10), TSDB_COMPRESSION_NONE, &err), err);
        CHECK_OK(wal_cut(wal, &segment, &err), err);
    }
    CHECK_EQ(segment, 3);

    CHECK_OK(wal_truncate(wal, 100, &err), err);

    CHECK_OK(wal_list(&fs_system, str_from_c(dir), &arena, &segments, &err), err);
    CHECK_EQ(segments.count, 1);
    CHECK_EQ(segments.items[0].number, 3);
    wal_close(wal);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(wal, records_say_what_was_written)
{
    static const HistogramSpan spans[] = {{-2, 2}, {3, 1}};
    static const double counts[] = {3, 0, 7};
    static const double bounds[] = {0.5, 1, 2};
    static const HistogramSpan custom_span = {0, 3};
    Label pairs[] = {{S("__name__"), S("up")}, {S("job"), S("a")}};
    Exemplar exemplar = {{pairs, 2}, 4.5, -7, true};
    Histogram whole = {.is_integer = true,
                       .schema = 3,
                       .zero_threshold = 0.01,
                       .zero_count = 2,
                       .count = 12,
                       .sum = 1.25,
                       .positive_spans = spans,
                       .positive_span_count = 2,
                       .positive_buckets = counts,
                       .positive_count = 3};
    Histogram custom = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                        .count = 10,
                        .sum = 3,
                        .positive_spans = &custom_span,
                        .positive_span_count = 1,
                        .positive_buckets = counts,
                        .positive_count = 3,
                        .custom_bounds = bounds,
                        .custom_count = 3};
    Histogram stale = {.is_integer = true, .sum = double_from_bits(NAN_STALE_BITS)};
    const Histogram *histograms[] = {&whole, &custom, &stale};
    Arena arena = {0};
    Buf out = {0};
    WalEntry e;

    WalRecordWriter w = wal_record_begin(&out, WAL_SERIES);
    wal_record_series(&w, 77, (Labels){pairs, 2});
    WalRecordReader r = wal_record_read(buf_str(&out), &arena);
    CHECK(wal_record_next(&r, &e));
    CHECK_EQ(e.ref, 77);
    CHECK(labels_equal(e.labels, (Labels){pairs, 2}));
    CHECK(!wal_record_next(&r, &e));
    CHECK(!r.failed);

    buf_reset(&out);
    WalSample samples[] = {{5, 1000, 1.5}, {3, -1000, -0.0}, {1ull << 35, INT64_MAX, 2}};
    w = wal_record_begin(&out, WAL_SAMPLES);
    wal_record_samples(&w, samples, 2);
    wal_record_samples(&w, samples + 2, 1);
    r = wal_record_read(buf_str(&out), &arena);
    for (size_t i = 0; i < 3; i++) {
        CHECK(wal_record_next(&r, &e));
        CHECK_EQ(e.ref, samples[i].ref);
        CHECK_EQ(e.t_ms, samples[i].t_ms);
        CHECK_DOUBLE(e.value, samples[i].value);
    }
    CHECK(!wal_record_next(&r, &e));

    for (size_t i = 0; i < COUNT_OF(histograms); i++) {
        buf_reset(&out);
        w = wal_record_begin(&out, wal_record_histogram_type(histograms[i], false));
        wal_record_histogram(&w, 9, 1234, 0, histograms[i]);
        r = wal_record_read(buf_str(&out), &arena);
        CHECK(wal_record_next(&r, &e));
        CHECK_EQ(e.t_ms, 1234);
        CHECK(histogram_equal(e.histogram, histograms[i]));
        CHECK_EQ(e.histogram->is_integer, histograms[i]->is_integer);
    }

    buf_reset(&out);
    w = wal_record_begin(&out, WAL_EXEMPLARS);
    wal_record_exemplar(&w, 8, &exemplar);
    r = wal_record_read(buf_str(&out), &arena);
    CHECK(wal_record_next(&r, &e));
    CHECK_EQ(e.exemplar.t_ms, -7);
    CHECK(labels_equal(e.exemplar.labels, exemplar.labels));

    buf_reset(&out);
    w = wal_record_begin(&out, WAL_TOMBSTONES);
    wal_record_tombstone(&w, 8, (Interval){-5, 9});
    r = wal_record_read(buf_str(&out), &arena);
    CHECK(wal_record_next(&r, &e));
    CHECK_EQ(e.interval.min_t_ms, -5);
    CHECK_EQ(e.interval.max_t_ms, 9);

    buf_reset(&out);
    w = wal_record_begin(&out, WAL_METADATA);
    wal_record_metadata(&w, 300, (Metadata){METRIC_GAUGE, S("help"), S("seconds")});
    r = wal_record_read(buf_str(&out), &arena);
    CHECK(wal_record_next(&r, &e));
    CHECK_EQ(e.ref, 300);
    CHECK_EQ(e.metadata.type, METRIC_GAUGE);
    CHECK_STR(e.metadata.unit, S("seconds"));
    buf_deinit(&out);
    arena_deinit(&arena);
}

// Three samples as Prometheus 3.10's encoder writes record type 11: the first with its start time, then one without (marker 0), one
// with the same (1) and one with its own (2).
TEST(wal, version_two_records_are_read)
{
    Buf out = {0};
    Arena arena = {0};
    WalEntry e;
    static const struct {
        uint64_t ref;
        int64_t t_ms;
        int marker;
        int64_t start_ms;
    } more[] = {{12, 1005, 0, 0}, {13, 1000, 1, 0}, {11, 990, 2, 577}, {11, 991, 1, 577}};
    buf_add_char(&out, WAL_SAMPLES_V2);
    buf_add_varint(&out, 10);
    buf_add_varint(&out, 1000);
    buf_add_varint(&out, 500);
    buf_add_u64be(&out, double_bits(1.0));
    uint64_t ref = 10;
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        buf_add_varint(&out, (int64_t)(more[i].ref - ref));
        buf_add_varint(&out, more[i].t_ms - 1000);
        buf_add_char(&out, (char)more[i].marker);
        if (more[i].marker == 2)
            buf_add_varint(&out, 77);
        buf_add_u64be(&out, double_bits((double)i + 2));
        ref = more[i].ref;
    }

    WalRecordReader r = wal_record_read(buf_str(&out), &arena);

    CHECK(wal_record_next(&r, &e));
    CHECK_EQ(e.ref, 10);
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        CHECK(wal_record_next(&r, &e));
        CHECK_EQ(e.ref, more[i].ref);
        CHECK_EQ(e.t_ms, more[i].t_ms);
        CHECK_EQ(e.start_ms, more[i].start_ms);
        CHECK_DOUBLE(e.value, (double)i + 2);
    }
    CHECK(!wal_record_next(&r, &e));
    CHECK(!r.failed);
    buf_deinit(&out);
    arena_deinit(&arena);
}

TEST(wal, start_timestamps_come_back)
{
    Buf out = {0};
    Arena arena = {0};
    WalEntry e;
    static const int64_t starts[] = {0, 500, 500, 0, 0, INT64_MIN, 500, INT64_MAX};
    Histogram h = {.sum = 1, .count = 2, .zero_count = 2, .is_integer = true};

    for (int histograms = 0; histograms < 2; histograms++) {
        buf_reset(&out);
        WalRecordWriter w = wal_record_begin(&out, histograms ? wal_record_histogram_type(&h, true)
                                                              : WAL_SAMPLES_V2);
        for (size_t i = 0; i < COUNT_OF(starts); i++) {
            WalSample sample = {100 - i, (int64_t)i * 15, (double)i};
            if (histograms)
                wal_record_histogram(&w, sample.ref, sample.t_ms, starts[i], &h);
            else
                wal_record_samples_v2(&w, &sample, &starts[i], 1);
        }
        WalRecordReader r = wal_record_read(buf_str(&out), &arena);
        for (size_t i = 0; i < COUNT_OF(starts); i++) {
            CHECK(wal_record_next(&r, &e));
            CHECK_EQ(e.ref, 100 - i);
            CHECK_EQ(e.t_ms, (int64_t)i * 15);
            CHECK_EQ(e.start_ms, starts[i]);
            CHECK_EQ(e.histogram != NULL, histograms);
        }
        CHECK(!wal_record_next(&r, &e));
        CHECK(!r.failed);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
}

// In batches of all sizes, with starts that come and go.
TEST(wal, samples_in_batches_are_the_samples_one_by_one)
{
    Buf out = {0};
    Arena arena = {0};

    for (uint64_t seed = 1; seed <= 300; seed++) {
        Random random;
        WalSample want[200], got[64];
        int64_t starts[200], got_starts[64];
        bool with_starts = seed % 2;
        random_seed(&random, seed);
        size_t count = 1 + (size_t)random_below(&random, COUNT_OF(want));
        for (size_t i = 0; i < count; i++) {
            uint64_t ref = random_below(&random, 20) ? i : random_u64(&random) >> 28;
            want[i] = (WalSample){ref, (int64_t)random_below(&random, 3), random_double(&random)};
            starts[i] =
                with_starts && random_below(&random, 2) ? (int64_t)random_below(&random, 3) : 0;
        }
        buf_reset(&out);
        WalRecordType type = seed % 3 ? WAL_SAMPLES_V2 : WAL_SAMPLES;
        WalRecordWriter w = wal_record_begin(&out, type);
        if (type == WAL_SAMPLES)
            wal_record_samples(&w, want, count);
        else
            wal_record_samples_v2(&w, want, with_starts ? starts : NULL, count);
        WalRecordReader r = wal_record_read(buf_str(&out), &arena);
        size_t at = 0;
        for (size_t n;
             (n = wal_record_next_samples(&r, got, got_starts, 1 + random_below(&random, 64)));) {
            CHECK(at + n <= count);
            for (size_t i = 0; i < n; i++, at++) {
                CHECK_EQ(got[i].ref, want[at].ref);
                CHECK_EQ(got[i].t_ms, want[at].t_ms);
                CHECK_DOUBLE(got[i].value, want[at].value);
                CHECK_EQ(got_starts[i], type == WAL_SAMPLES ? 0 : starts[at]);
            }
        }
        CHECK_EQ(at, count);
        CHECK(!r.failed);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
}

TEST_MAIN(wal, TEST_ROW(wal, gives_back_records_of_all_lengths_in_all_places),
          TEST_ROW(wal, a_torn_end_loses_only_the_torn_record),
          TEST_ROW(wal, a_flipped_byte_never_gives_a_wrong_record_and_spares_other_pages),
          TEST_ROW(wal, a_failed_write_leaves_the_log_as_it_was),
          TEST_ROW(wal, what_is_synced_has_a_name),
          TEST_ROW(wal, truncation_keeps_the_open_segment),
          TEST_ROW(wal, records_say_what_was_written), TEST_ROW(wal, version_two_records_are_read),
          TEST_ROW(wal, start_timestamps_come_back),
          TEST_ROW(wal, samples_in_batches_are_the_samples_one_by_one))
