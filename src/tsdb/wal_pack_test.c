// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_pack.h"

#include <stdlib.h>

#include "base/number.h"
#include "base/random.h"
#include "base/test.h"
#include "codec/compress.h"
#include "tsdb/wal_record.h"

// Packs, lets the library unpack, compares. Returns the packed length.
static size_t round_trip(Str record)
{
    Buf packed = {0};
    Buf plain = {0};
    Error err = {0};

    wal_pack_samples(record, &packed);
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

            round_trip(buf_str(&record));

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

        round_trip(str_make(exact, len));

        free(exact);
    }
}

TEST(wal_pack, suits_samples_of_different_series_alone)
{
    static const WalSample one[] = {{5, 1000, 1}}, two[] = {{5, 1000, 1}, {6, 1000, 1}},
                           same[] = {{5, 1000, 1}, {5, 2000, 1}};
    static const struct {
        const char *name;
        const WalSample *samples;
        size_t count;
        bool want;
    } cases[] = {
        {"one sample", one, 1, true}, {"two series", two, 2, true}, {"one series", same, 2, false}};

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf record = {0};
        WalRecordWriter writer = wal_record_begin(&record, WAL_SAMPLES);
        wal_record_samples(&writer, c->samples, c->count);

        CHECK_EQ(wal_pack_suits(buf_str(&record)), c->want);
    }
    CHECK(wal_pack_suits(STR_NONE));
}

TEST(wal_pack, packs_to_within_an_eighth_of_the_library)
{
    Random random;
    random_seed(&random, 3);
    Buf record = {0};
    Buf library = {0};
    make_record(&random, 1000, 1, 0, &record);

    size_t ours = round_trip(buf_str(&record));
    snappy_encode(buf_str(&record), &library);

    CHECK(ours * 8 <= library.len * 9);
    buf_deinit(&record);
    buf_deinit(&library);
}

TEST_MAIN(wal_pack, TEST_ROW(wal_pack, the_library_unpacks_what_was_packed),
          TEST_ROW(wal_pack, any_bytes_are_packed_rightly),
          TEST_ROW(wal_pack, suits_samples_of_different_series_alone),
          TEST_ROW(wal_pack, packs_to_within_an_eighth_of_the_library))
