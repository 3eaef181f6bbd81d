// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_xor.h"

#include <math.h>

#include "base/random.h"
#include "base/test.h"

#define SAMPLES_MAX 300

typedef struct Track {
    int64_t t_ms[SAMPLES_MAX];
    double value[SAMPLES_MAX];
    size_t count;
} Track;

typedef struct Encoded {
    uint8_t *bytes;
    size_t cap;
    ChunkXor state;
} Encoded;

static Str encoded_str(const Encoded *e)
{
    return (Str){(const char *)e->bytes, chunk_xor_bytes(&e->state)};
}

static void encoded_free(Encoded *e)
{
    free(e->bytes);
}

// Grows byte by byte, so that every refusal is met.
static void encoded_add(Encoded *e, int64_t t_ms, double value)
{
    ChunkXor before = e->state;

    while (!chunk_xor_append(&e->state, e->bytes, e->cap, t_ms, value)) {
        CHECK(memcmp(&before, &e->state, sizeof before) == 0);
        e->bytes = (uint8_t *)x_realloc(e->bytes, ++e->cap);
    }
}

static Encoded encode(const Track *track)
{
    Encoded e = {(uint8_t *)x_malloc(2), 2, {.count = 0}};

    chunk_xor_start(&e.state, e.bytes);
    for (size_t i = 0; i < track->count; i++)
        encoded_add(&e, track->t_ms[i], track->value[i]);
    return e;
}

static void check_decodes_to(Str chunk, const Track *track)
{
    int64_t t_ms[SAMPLES_MAX];
    double value[SAMPLES_MAX];
    // A copy of exact length, so that a sanitizer sees reads behind the end.
    char *copy = (char *)x_malloc(chunk.len);

    memcpy(copy, chunk.ptr, chunk.len);
    size_t got = chunk_xor_decode((Str){copy, chunk.len}, t_ms, value, SAMPLES_MAX);
    free(copy);
    CHECK_EQ(got, track->count);
    for (size_t i = 0; i < got; i++) {
        CHECK_EQ(t_ms[i], track->t_ms[i]);
        CHECK(chunk_xor_to_bits(value[i]) == chunk_xor_to_bits(track->value[i]));
    }
}

static int64_t random_step(Random *random, int kind)
{
    static const int64_t spread[] = {1, 20, 8000, 60000, 500000, INT64_C(1) << 40};
    int64_t width = spread[(size_t)kind % COUNT_OF(spread)];
    return 15000 + (width > 1 ? (int64_t)random_below(random, (uint64_t)width) : 0);
}

static double random_value(Random *random, int kind, double last)
{
    switch (kind % 6) {
    case 0:
        return 42;
    case 1:
        return last + (double)random_below(random, 100);
    case 2:
        return random_double(random);
    case 3:
        return chunk_xor_from_bits(random_u64(random));
    case 4:
        return random_below(random, 3) ? last : -last - 1;
    default:
        return random_below(random, 2) ? NAN : 1e308 * random_double(random);
    }
}

static Track random_track(Random *random)
{
    int times = (int)random_below(random, 6), values = (int)random_below(random, 6);
    Track track = {.count = 1 + (size_t)random_below(random, SAMPLES_MAX)};
    int64_t t = (int64_t)random_below(random, UINT64_C(1) << 41) - (INT64_C(1) << 40);
    double v = 0;

    for (size_t i = 0; i < track.count; i++) {
        t += random_step(random, times);
        v = random_value(random, values, v);
        track.t_ms[i] = t;
        track.value[i] = v;
    }
    return track;
}

TEST(chunk_xor, gives_back_what_was_appended)
{
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        Random random;

        random_seed(&random, seed);
        Track track = random_track(&random);

        CLEANUP(encoded_free) Encoded e = encode(&track);

        check_decodes_to(encoded_str(&e), &track);
    }
}

TEST(chunk_xor, appends_on_after_resume)
{
    Track track = {.count = 120};
    Encoded e = {(uint8_t *)x_malloc(2), 2, {.count = 0}};

    for (size_t i = 0; i < track.count; i++) {
        track.t_ms[i] = (int64_t)i * 15000 + (int64_t)(i * 7 % 13);
        track.value[i] = (double)(i * i) / 3;
    }
    chunk_xor_start(&e.state, e.bytes);
    for (size_t i = 0; i < track.count; i++) {
        encoded_add(&e, track.t_ms[i], track.value[i]);
        ChunkXor resumed;
        CHECK(chunk_xor_resume(encoded_str(&e), &resumed));
        CHECK(memcmp(&resumed, &e.state, sizeof resumed) == 0);
    }
    encoded_free(&e);
}

// The samples [from, to).
static Track part_of(const Track *track, size_t from, size_t to)
{
    Track part = {.count = to - from};

    memcpy(part.t_ms, track->t_ms + from, part.count * sizeof *part.t_ms);
    memcpy(part.value, track->value + from, part.count * sizeof *part.value);
    return part;
}

// Appends `part` as a finished chunk. Refused as long as there is no room, without a change.
static void append_part(Encoded *e, const Track *part)
{
    int64_t t_ms[SAMPLES_MAX];
    double value[SAMPLES_MAX];
    CLEANUP(encoded_free) Encoded next = encode(part);
    ChunkXor end, before = e->state;

    CHECK(chunk_xor_decode_end(encoded_str(&next), t_ms, value, SAMPLES_MAX, &end));
    CHECK(memcmp(&end, &next.state, sizeof end) == 0);
    e->cap = chunk_xor_bytes(&e->state);
    while (!chunk_xor_append_chunk(&e->state, e->bytes, e->cap, encoded_str(&next), &end)) {
        CHECK(memcmp(&before, &e->state, sizeof before) == 0);
        e->bytes = (uint8_t *)x_realloc(e->bytes, ++e->cap);
    }
    CHECK_EQ(chunk_xor_bytes(&e->state), e->cap);
}

TEST(chunk_xor, chunks_put_together_hold_the_samples_of_both_and_go_on)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        Random random;

        random_seed(&random, seed);
        Track track = random_track(&random);
        size_t first = 1 + (size_t)random_below(&random, MIN(track.count, seed % 4 ? 300 : 2));
        size_t second = first + (size_t)random_below(&random, track.count - first + 1);
        Track head = part_of(&track, 0, first), middle = part_of(&track, first, second);
        CLEANUP(encoded_free) Encoded e = encode(&head);

        if (middle.count)
            append_part(&e, &middle);
        for (size_t i = second; i < track.count; i++)
            encoded_add(&e, track.t_ms[i], track.value[i]);

        check_decodes_to(encoded_str(&e), &track);
    }
}

TEST(chunk_xor, takes_two_bits_for_an_unchanged_sample)
{
    Track track = {.count = 120};

    for (size_t i = 0; i < track.count; i++) {
        track.t_ms[i] = 1600000000000 + (int64_t)i * 15000;
        track.value[i] = 17;
    }

    CLEANUP(encoded_free) Encoded e = encode(&track);

    // Header, first time, first value, second delta, then 1 + 118 * 2 bits.
    CHECK_EQ(chunk_xor_bytes(&e.state), 2 + 6 + 8 + 2 + 30);
}

// Runs of all lengths into room that is sometimes too little, as one by one.
TEST(chunk_xor, a_run_leaves_what_its_samples_leave_one_by_one)
{
    size_t taken_in_runs = 0;

    for (uint64_t seed = 1; seed <= 1000; seed++) {
        Random random;
        uint8_t bytes[8192];
        ChunkXor xor_state;

        random_seed(&random, seed);
        Track track = random_track(&random);
        CLEANUP(encoded_free) Encoded want = encode(&track);
        size_t cap = chunk_xor_bytes(&want.state);
        chunk_xor_start(&xor_state, bytes);
        for (size_t i = 0; i < track.count;) {
            size_t count = 1 + (size_t)random_below(&random, track.count - i);
            uint32_t left_ms = UINT32_MAX;
            size_t tight = MIN(cap, chunk_xor_bytes(&xor_state) + random_below(&random, 60));
            if (xor_state.count >= 2) {
                size_t took = chunk_xor_append_run(&xor_state, bytes, MAX(tight, 8), track.t_ms + i,
                                                   track.value + i, count, &left_ms);
                if (took)
                    CHECK_EQ(left_ms, UINT32_MAX - (track.t_ms[i + took - 1] - track.t_ms[i - 1]));
                taken_in_runs += took;
                i += took;
            }
            if (i < track.count)
                CHECK(chunk_xor_append(&xor_state, bytes, sizeof bytes, track.t_ms[i],
                                       track.value[i]));
            i++;
        }
        CHECK_EQ(chunk_xor_bytes(&xor_state), cap);
        CHECK(memcmp(bytes, want.bytes, cap) == 0);
        CHECK(memcmp(&xor_state, &want.state, sizeof xor_state) == 0);
    }
    CHECK(taken_in_runs > 10000);
}

TEST(chunk_xor, a_run_ends_where_its_time_does)
{
    static const struct {
        const char *name;
        int64_t t_ms[3];
        uint32_t left_ms;
        size_t want;
    } cases[] = {{"all of them", {300, 400, 500}, 301, 3},
                 {"the time is up", {300, 400, 500}, 300, 2},
                 {"no time", {300, 400, 500}, 0, 0},
                 {"the same time", {300, 300, 400}, 1000, 1},
                 {"an earlier time", {300, 250, 400}, 1000, 1},
                 {"earlier than the newest", {100, 250, 400}, 1000, 0}};

    EACH_CASE(c, cases) {
        uint8_t bytes[200];
        ChunkXor xor_state;
        uint32_t left_ms = c->left_ms;
        chunk_xor_start(&xor_state, bytes);
        CHECK(chunk_xor_append(&xor_state, bytes, sizeof bytes, 100, 1));
        CHECK(chunk_xor_append(&xor_state, bytes, sizeof bytes, 200, 2));

        CHECK_EQ(chunk_xor_append_run(&xor_state, bytes, sizeof bytes, c->t_ms,
                                      (const double[]){1, 2, 3}, 3, &left_ms),
                 c->want);
        CHECK_EQ(xor_state.count, 2 + c->want);
        CHECK_EQ(xor_state.t_ms, c->want ? c->t_ms[c->want - 1] : 200);
        CHECK_EQ(left_ms, c->left_ms - (uint32_t)(xor_state.t_ms - 200));
    }
}

TEST(chunk_xor, stops_at_torn_bytes)
{
    Track track = {.count = 120};
    int64_t t_ms[SAMPLES_MAX];
    double value[SAMPLES_MAX];

    for (size_t i = 0; i < track.count; i++) {
        track.t_ms[i] = (int64_t)i * 15000 + (int64_t)(i * 7 % 13);
        track.value[i] = sin((double)i);
    }
    CLEANUP(encoded_free) Encoded e = encode(&track);

    for (size_t len = 0; len < chunk_xor_bytes(&e.state); len++) {
        char *copy = (char *)x_malloc(len + 1);
        memcpy(copy, e.bytes, len);
        size_t got = chunk_xor_decode((Str){copy, len}, t_ms, value, SAMPLES_MAX);
        ChunkXor resumed;
        CHECK(got < track.count);
        CHECK(!chunk_xor_resume((Str){copy, len}, &resumed));
        for (size_t i = 0; i < got; i++)
            CHECK_EQ(t_ms[i], track.t_ms[i]);
        free(copy);
    }
}

TEST(chunk_xor, writes_the_bits_of_the_format)
{
    static const int64_t t_ms[] = {0, 1, 2, 4, 20000};
    static const double value[] = {1, 1, 2, 2, 3};
    // Worked by hand from prometheus.md 6.6.
    static const char want[] =
        "0000000000000101 00000000 "                                        // count, t0
        "0011111111110000000000000000000000000000000000000000000000000000 " // v0
        "00000001 0 "                                                       // t1 - t0, same
        "0 11 00001 001011 11111111111 "                                    // dod 0, new window
        "10 00000000000001 0 "                                              // dod 1, same
        "110 00100111000011010 11 01100 000001 1";                          // dod 19994
    Track track = {.count = COUNT_OF(t_ms)};

    memcpy(track.t_ms, t_ms, sizeof t_ms);
    memcpy(track.value, value, sizeof value);
    CLEANUP(encoded_free) Encoded e = encode(&track);

    size_t bit = 0;
    for (const char *c = want; *c; c++)
        if (*c != ' ') {
            CHECK_EQ(e.bytes[bit / 8] >> (7 - bit % 8) & 1, *c - '0');
            bit++;
        }
    CHECK_EQ(e.state.bits, bit);
    check_decodes_to(encoded_str(&e), &track);
}

TEST_MAIN(chunk_xor, TEST_ROW(chunk_xor, gives_back_what_was_appended),
          TEST_ROW(chunk_xor, appends_on_after_resume),
          TEST_ROW(chunk_xor, chunks_put_together_hold_the_samples_of_both_and_go_on),
          TEST_ROW(chunk_xor, takes_two_bits_for_an_unchanged_sample),
          TEST_ROW(chunk_xor, a_run_leaves_what_its_samples_leave_one_by_one),
          TEST_ROW(chunk_xor, a_run_ends_where_its_time_does),
          TEST_ROW(chunk_xor, stops_at_torn_bytes),
          TEST_ROW(chunk_xor, writes_the_bits_of_the_format))
