// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_batch.h"

#include "base/test.h"

#define CHUNK_CAP 4000

// Chunks of one sample each second; their values are their times.
typedef struct Piece {
    int from_s, count;
} Piece;

static Str encode(Arena *arena, Piece piece)
{
    uint8_t *bytes = ARENA_ARRAY(arena, uint8_t, CHUNK_CAP);
    ChunkXor chunk;

    chunk_xor_start(&chunk, bytes);
    for (int i = 0; i < piece.count; i++)
        CHECK(chunk_xor_append(&chunk, bytes, CHUNK_CAP, (piece.from_s + i) * INT64_C(1000),
                               piece.from_s + i));
    return (Str){(const char *)bytes, chunk_xor_bytes(&chunk)};
}

typedef struct Case {
    Piece pieces[3];
    size_t narrow_from; // pieces from here on are narrowed
    int narrow_min_s, narrow_max_s;
    int min_s, max_s;
    bool refused;
    int want_from_s, want_count;
} Case;

#define WIDE 9, 0, 0

static const Case cases[] = {
    {{{0, 100}, {100, 50}, {150, 20}}, WIDE, 0, 1000, false, 0, 170},
    {{{0, 100}, {100, 50}}, WIDE, 30, 119, false, 30, 90},
    {{{0, 100}, {100, 50}}, WIDE, 100, 100, false, 100, 1},
    {{{0, 100}, {100, 50}, {150, 50}}, WIDE, 10, 20, false, 10, 11},
    {{{10, 5}}, WIDE, 0, 9, false, 0, 0},
    {{{0, 100}, {50, 100}}, WIDE, 0, 1000, true, 0, 0},
    {{{100, 100}, {0, 50}}, WIDE, 0, 1000, true, 0, 0},
    {{{0, 100}, {100, 50}}, 0, 20, 130, 0, 1000, false, 20, 111},
    {{{0, 100}, {100, 50}}, 1, 20, 130, 0, 1000, false, 0, 131},
    {{{0, 100}, {100, 50}}, 1, 120, 130, 0, 1000, true, 0, 0},
    {{{0, 100}, {100, 50}}, 1, 0, 50, 0, 1000, false, 0, 100},
};

static void add_case(ChunkBatch *batch, Arena *arena, const Case *c)
{
    chunk_batch_begin(batch);
    for (size_t i = 0; i < COUNT_OF(c->pieces); i++) {
        if (i == c->narrow_from)
            chunk_batch_narrow(batch, c->narrow_min_s * INT64_C(1000),
                               c->narrow_max_s * INT64_C(1000));
        if (c->pieces[i].count)
            chunk_batch_add(batch, CHUNK_XOR, encode(arena, c->pieces[i]));
    }
}

static void check_case(const Case *c, const SampleColumns *columns, bool done)
{
    CHECK_EQ(done, !c->refused);
    if (!done)
        return;
    CHECK_EQ(columns->count, c->want_count);
    for (int i = 0; i < c->want_count; i++) {
        CHECK_EQ(columns->t_ms[i], (c->want_from_s + i) * INT64_C(1000));
        CHECK(columns->value[i] == c->want_from_s + i);
    }
}

TEST(chunk_batch, gives_each_series_its_samples_in_the_range)
{
    for (const Case *c = cases; c < cases + COUNT_OF(cases); c++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        ChunkBatch batch;
        SampleColumns columns[3];
        bool done[3];
        Error err = {0};

        // A neighbour on either side, which must not notice.
        const Case plain = {{{0, 120}, {120, 120}}, WIDE, c->min_s, c->max_s, false, 0, 0};
        chunk_batch_init(&batch, 3, &arena);
        add_case(&batch, &arena, &plain);
        add_case(&batch, &arena, c);
        add_case(&batch, &arena, &plain);
        CHECK_OK(chunk_batch_decode(&batch, c->min_s * INT64_C(1000), c->max_s * INT64_C(1000),
                                    &arena, columns, done, &err),
                 err);
        check_case(c, &columns[1], done[1]);
        CHECK(done[0] && done[2]);
        CHECK_EQ(columns[0].count, MIN(c->max_s, 239) - c->min_s + 1);
        CHECK_EQ(columns[2].count, columns[0].count);
    }
}

TEST(chunk_batch, leaves_to_others_what_it_does_not_know)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    ChunkBatch batch;
    SampleColumns columns[3];
    bool done[3];
    Error err = {0};
    Str chunk = encode(&arena, (Piece){0, 100});

    chunk_batch_init(&batch, 3, &arena);
    chunk_batch_begin(&batch);
    chunk_batch_add(&batch, CHUNK_XOR, chunk);
    chunk_batch_add(&batch, CHUNK_HISTOGRAM, chunk);
    chunk_batch_begin(&batch);
    chunk_batch_add(&batch, CHUNK_XOR, str_sub(chunk, 0, chunk.len / 2)); // torn
    chunk_batch_begin(&batch);
    chunk_batch_add(&batch, CHUNK_XOR, chunk);
    CHECK_OK(chunk_batch_decode(&batch, 0, INT64_MAX, &arena, columns, done, &err), err);
    CHECK(!done[0]);
    CHECK(!done[1]);
    CHECK(done[2]);
    CHECK_EQ(columns[2].count, 100);
}

TEST(chunk_batch, stays_in_the_budget)
{
    Budget budget = {.bytes_max = 4096, .name = "test", .holder = "the test"};
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    CLEANUP(arena_deinit) Arena arena = {.budget = &budget};
    ChunkBatch batch;
    SampleColumns columns[1];
    bool done[1];
    Error err = {0};

    chunk_batch_init(&batch, 1, &scratch);
    chunk_batch_begin(&batch);
    for (int i = 0; i < 10; i++)
        chunk_batch_add(&batch, CHUNK_XOR, encode(&scratch, (Piece){i * 100, 100}));
    CHECK(!chunk_batch_decode(&batch, 0, INT64_MAX, &arena, columns, done, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
}

TEST_MAIN(chunk_batch, TEST_ROW(chunk_batch, gives_each_series_its_samples_in_the_range),
          TEST_ROW(chunk_batch, leaves_to_others_what_it_does_not_know),
          TEST_ROW(chunk_batch, stays_in_the_budget))
