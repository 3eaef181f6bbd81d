// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_pack.h"

#include <stdlib.h>

#include "base/number.h"
#include "base/random.h"
#include "base/test.h"
#include "codec/compress.h"
#include "tsdb/wal_record.h"

// Packs, lets the library unpack, compares. Returns the packed length.
static size_t round_trip(Str record, void (*pack)(Str record, Buf *out))
{
    Buf packed = {0};
    Buf plain = {0};
    Error err = {0};

    pack(record, &packed);
    CHECK_OK(snappy_decode(buf_str(&packed), record.len, &plain, &err), err);

    CHECK_STR(buf_str(&plain), record);
    size_t bytes = packed.len;
    buf_deinit(&packed);
    buf_deinit(&plain);
    return bytes;
}

typedef enum Kind { KIND_ZERO, KIND_SAME, KIND_COUNTER, KIND_GAUGE, KIND_BITS, KIND_COUNT } Kind;

static double value_of(Random *random, Kind kind)
{
    switch (kind) {
    case KIND_ZERO:
        return 0;
    case KIND_SAME:
        return (double)random_below(random, 8) / 7;
    case KIND_COUNTER:
        return (double)random_below(random, 100000000);
    case KIND_GAUGE:
        return 1.7e9 + (double)random_below(random, 100000) / 1000;
    default:
        return double_from_bits(random_u64(random));
    }
}

// A page of `count` samples whose kinds are mixed at random, each ref `step` at most behind the one before.
static void make_record(Random *random, size_t count, uint64_t step, int64_t t_step, Buf *out)
{
    WalSample *samples = X_ARRAY(WalSample, count);
    uint64_t ref = 1 + random_below(random, 1u << 30);
    int64_t t_ms = 1700000000000;

    for (size_t i = 0; i < count; i++) {
        samples[i] =
            (WalSample){ref, t_ms, value_of(random, (Kind)random_below(random, KIND_COUNT))};
        ref += 1 + random_below(random, step);
        t_ms += t_step;
    }
    WalRecordWriter writer = wal_record_begin(out, WAL_SAMPLES);
    wal_record_samples(&writer, samples, count);
    free(samples);
}

TEST(wal_pack, the_library_unpacks_what_was_packed)
{
    static const struct {
        const char *name;
        size_t count;
        uint64_t step;
        int64_t t_step;
    } cases[] = {
        {"one sample", 1, 1, 0},
        {"a few", 3, 1, 0},
        {"a page of a target", 1000, 1, 0},
        {"refs far apart", 1000, 1 << 28, 0},
        {"times of their own", 1000, 2, 1000000},
        {"further apart than a copy goes", 16384, 3, 0},
    };

    EACH_CASE(c, cases) {
        Random random;
        random_seed(&random, 7);
        for (int turn = 0; turn < 20; turn++) {
            Buf record = {0};
            make_record(&random, c->count, c->step, c->t_step, &record);

            round_trip(buf_str(&record), wal_pack_samples);
            round_trip(buf_str(&record), wal_pack_runs);

            buf_deinit(&record);
        }
    }
}

TEST(wal_pack, any_bytes_are_packed_rightly)
{
    Random random;
    random_seed(&random, 11);
    char bytes[300];

    for (size_t len = 0; len < sizeof bytes; len++) {
        // Few different bytes, so that much is alike; exactly as long as the block, so that a sanitizer sees one byte too many.
        char *exact = x_malloc(len ? len : 1);
        uint64_t letters = 1 + random_below(&random, 4);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(random_below(&random, letters) * 0x7f);
        memcpy(exact, bytes, len);

        round_trip(str_make(exact, len), wal_pack_pages);
        round_trip(str_make(exact, len), wal_pack_runs);

        free(exact);
    }
}

TEST(wal_pack, tells_runs_from_pages)
{
    static const WalSample one[] = {{5, 1000, 1}}, two[] = {{5, 1000, 1}, {6, 1000, 1}},
                           same[] = {{5, 1000, 1}, {5, 2000, 1}};
    static const struct {
        const char *name;
        const WalSample *samples;
        size_t count;
        bool want;
    } cases[] = {{"one sample", one, 1, false},
                 {"two series", two, 2, false},
                 {"one series", same, 2, true}};

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf record = {0};
        WalRecordWriter writer = wal_record_begin(&record, WAL_SAMPLES);
        wal_record_samples(&writer, c->samples, c->count);

        CHECK_EQ(wal_pack_has_runs(buf_str(&record)), c->want);
    }
    CHECK(!wal_pack_has_runs(STR_NONE));
}

// `run` samples of each of `series` series; in half of the series they are all the same.
static void make_runs(Random *random, size_t series, size_t run, int64_t t_step, Buf *out)
{
    WalSample *samples = X_ARRAY(WalSample, series * run);
    for (size_t k = 0; k < series; k++) {
        Kind kind = (Kind)random_below(random, KIND_COUNT);
        double value = value_of(random, kind);
        bool changes = random_below(random, 2);
        for (size_t j = 0; j < run; j++) {
            value = changes ? value_of(random, kind) : value;
            samples[k * run + j] =
                (WalSample){1 + 3 * k, 1700000000000 + (int64_t)j * t_step, value};
        }
    }
    WalRecordWriter writer = wal_record_begin(out, WAL_SAMPLES);
    wal_record_samples(&writer, samples, series * run);
    free(samples);
}

TEST(wal_pack, the_library_unpacks_runs)
{
    static const struct {
        const char *name;
        size_t series, run;
        int64_t t_step;
    } cases[] = {
        {"two samples", 1, 2, 15000},
        {"one long run", 1, 5000, 15000},
        {"a few", 3, 4, 1},
        {"times far apart", 500, 10, INT64_C(1) << 40},
        {"times backwards", 50, 10, -15},
        {"as a sender that catches up", 1000, 10, 15000},
    };

    EACH_CASE(c, cases) {
        Random random;
        random_seed(&random, 13);
        for (int turn = 0; turn < 10; turn++) {
            Buf record = {0};
            make_runs(&random, c->series, c->run, c->t_step, &record);

            round_trip(buf_str(&record), wal_pack_samples);
            round_trip(buf_str(&record), wal_pack_pages);

            buf_deinit(&record);
        }
    }
}

TEST(wal_pack, packs_runs_to_within_an_eighth_of_the_library)
{
    Random random;
    random_seed(&random, 17);
    Buf record = {0};
    Buf library = {0};
    make_runs(&random, 1000, 10, 15000, &record);

    size_t ours = round_trip(buf_str(&record), wal_pack_runs);
    snappy_encode(buf_str(&record), &library);

    CHECK(ours * 8 <= library.len * 9);
    buf_deinit(&record);
    buf_deinit(&library);
}

TEST(wal_pack, packs_to_within_an_eighth_of_the_library)
{
    Random random;
    random_seed(&random, 3);
    Buf record = {0};
    Buf library = {0};
    make_record(&random, 1000, 1, 0, &record);

    size_t ours = round_trip(buf_str(&record), wal_pack_pages);
    snappy_encode(buf_str(&record), &library);

    CHECK(ours * 8 <= library.len * 9);
    buf_deinit(&record);
    buf_deinit(&library);
}

TEST_MAIN(wal_pack, TEST_ROW(wal_pack, the_library_unpacks_what_was_packed),
          TEST_ROW(wal_pack, any_bytes_are_packed_rightly),
          TEST_ROW(wal_pack, tells_runs_from_pages), TEST_ROW(wal_pack, the_library_unpacks_runs),
          TEST_ROW(wal_pack, packs_runs_to_within_an_eighth_of_the_library),
          TEST_ROW(wal_pack, packs_to_within_an_eighth_of_the_library))
