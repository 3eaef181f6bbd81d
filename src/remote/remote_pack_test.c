// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_pack.h"

#include "base/random.h"
#include "base/test.h"
#include "remote/remote_pack_naive.h"

#define NOW_MS INT64_C(1700000000000)

typedef struct Rig {
    PackPair both;
    Arena arena;
    Random random;
} Rig;

static void rig_init(Rig *rig, uint64_t seed)
{
    *rig = (Rig){0};
    pack_pair_init(&rig->both);
    random_seed(&rig->random, seed);
}

static void rig_deinit(Rig *rig)
{
    pack_pair_deinit(&rig->both);
    arena_deinit(&rig->arena);
}

static uint64_t draw(Rig *rig, uint64_t bound)
{
    return random_below(&rig->random, bound);
}

static double draw_value(Rig *rig)
{
    switch (draw(rig, 6)) {
    case 0:
        return 0;
    case 1:
        return -0.0;
    case 2:
        return (double)draw(rig, 5);
    case 3:
        return 1.7e9 + (double)draw(rig, 100000) / 1000;
    case 4:
        return (double)draw(rig, UINT64_C(1) << 40);
    default:
        return double_from_bits(random_u64(&rig->random));
    }
}

// Pairs of which some are those of neighbours, some of series further back, some of none.
static void draw_series(Rig *rig, size_t i, size_t wide, PackSeries *series)
{
    Arena *arena = &rig->arena;
    size_t count = 1 + draw(rig, 12);
    *series = (PackSeries){0};
    for (size_t k = 0; k < count; k++) {
        uint64_t value = k % 3 == 0 ? i / 20 : k % 3 == 1 ? i % 20 : draw(rig, 1 + wide);
        pack_series_add(&rig->both, series,
                        (Label){arena_printf(arena, "name_%zu", k),
                                arena_printf(arena, "%0*llu", (int)(1 + k * 9 % 70),
                                             (unsigned long long)value)});
    }
}

TEST(remote_pack, the_library_unpacks_the_message_that_was_meant)
{
    static const struct {
        const char *name;
        size_t series, wide, times;
    } cases[] = {
        {"nothing", 0, 1, 1},
        {"one series", 1, 1, 1},
        {"a target", 1000, 5, 1},
        {"labels that are mostly new", 1000, 100000, 1},
        {"many times", 1000, 5, 3},
        {"more times than have numbers", 6000, 1, 5000},
        {"more pieces than are remembered", 6000, 50, 2},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, 5);
        for (int turn = 0; turn < 3; turn++) {
            size_t packed;
            PackSeries series;
            for (size_t i = 0; i < c->series; i++) {
                draw_series(&rig, i, c->wide, &series);
                int64_t t_ms = NOW_MS + (int64_t)draw(&rig, c->times);
                pack_pair_sample(&rig.both, &series, t_ms, draw_value(&rig));
                if (draw(&rig, 3) == 0)
                    pack_pair_sample(&rig.both, &series, t_ms + 1, draw_value(&rig));
            }

            CHECK(pack_pair_equal(&rig.both, &packed));
        }
        rig_deinit(&rig);
    }
}

TEST(remote_pack, knows_any_time)
{
    static const int64_t times[] = {INT64_MIN,
                                    -1,
                                    0,
                                    1,
                                    (INT64_C(1) << 35) - 1,
                                    INT64_C(1) << 35,
                                    (INT64_C(1) << 42) - 1,
                                    INT64_C(1) << 42,
                                    INT64_MAX};
    Rig rig;
    rig_init(&rig, 6);
    PackSeries series = {0};
    size_t packed;
    pack_series_add(&rig.both, &series, (Label){S("__name__"), S("up")});
    for (size_t i = 0; i < 2000; i++)
        pack_pair_sample(&rig.both, &series, times[draw(&rig, COUNT_OF(times))], draw_value(&rig));

    CHECK(pack_pair_equal(&rig.both, &packed));
    rig_deinit(&rig);
}

TEST(remote_pack, takes_other_fields_between_samples)
{
    Rig rig;
    rig_init(&rig, 7);
    char fields[300];
    memset(fields, 0x22, sizeof fields);
    for (size_t i = 0; i < 3000; i++) {
        PackSeries series;
        draw_series(&rig, i, 3, &series);
        if (draw(&rig, 4) == 0)
            pack_pair_fields(&rig.both, &series, (Str){fields, draw(&rig, sizeof fields)});
        else
            pack_pair_sample(&rig.both, &series, NOW_MS, draw_value(&rig));
    }
    size_t packed;

    CHECK(pack_pair_equal(&rig.both, &packed));
    rig_deinit(&rig);
}

TEST(remote_pack, a_number_that_comes_to_mean_another_pair_is_no_copy_of_the_old)
{
    Rig rig;
    rig_init(&rig, 8);
    size_t packed;
    for (size_t i = 0; i < 200; i++) {
        PackSeries series = {0};
        pack_series_add(&rig.both, &series, (Label){S("a"), arena_printf(&rig.arena, "%03zu", i)});
        pack_pair_sample(&rig.both, &series, NOW_MS, 1);
        pack_series_drop(&rig.both, &series);
    }

    CHECK(rig.both.pairs.count <= REMOTE_PAIR_FIRST + 1);
    CHECK(pack_pair_equal(&rig.both, &packed));
    rig_deinit(&rig);
}

// Families of metrics with a series for each of the same pods, as a kubelet shows them: what repeats lies further apart than the library
// looks.
TEST(remote_pack, finds_more_than_the_library)
{
    enum { PODS = 100, FAMILIES = 20 };
    Rig rig;
    rig_init(&rig, 9);
    Buf library = {0};
    Str ids[PODS];
    size_t packed = SIZE_MAX;
    for (size_t i = 0; i < PODS; i++)
        ids[i] = arena_printf(&rig.arena, "/kubepods/%016llx/%016llx",
                              (unsigned long long)random_u64(&rig.random),
                              (unsigned long long)random_u64(&rig.random));
    for (size_t i = 0; i < PODS * FAMILIES; i++) {
        PackSeries series = {0};
        pack_series_add(&rig.both, &series,
                        (Label){S("__name__"), arena_printf(&rig.arena, "family_%zu", i / PODS)});
        pack_series_add(&rig.both, &series, (Label){S("id"), ids[i % PODS]});
        pack_series_add(&rig.both, &series, (Label){S("job"), S("kubelet")});
        pack_series_add(&rig.both, &series, (Label){S("name"), str_skip(ids[i % PODS], 10)});
        pack_pair_sample(&rig.both, &series, NOW_MS, draw_value(&rig));
    }
    snappy_encode(buf_str(&rig.both.message), &library);

    CHECK(pack_pair_equal(&rig.both, &packed));

    CHECK(packed * 4 < library.len * 3);
    buf_deinit(&library);
    rig_deinit(&rig);
}

TEST(remote_pairs, are_kept_once_and_as_long_as_they_have_users)
{
    RemotePairs pairs = {0};
    Arena arena = {0};
    uint32_t numbers[5000];
    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < COUNT_OF(numbers); i++)
            numbers[i] =
                remote_pairs_take(&pairs, (Label){S("n"), arena_printf(&arena, "%zu", i % 2500)});
        CHECK_EQ(pairs.live_count, 2500);
        CHECK_EQ(numbers[7], numbers[2507]);
        CHECK_STR(remote_pairs_text(&pairs, numbers[7]), S("\n\x06\n\x01n\x12\x01"
                                                           "7"));
        for (size_t i = 0; i < 2500; i++)
            remote_pairs_give(&pairs, numbers[i]);
        CHECK_EQ(pairs.live_count, 2500);
        for (size_t i = 2500; i < 5000; i++)
            remote_pairs_give(&pairs, numbers[i]);
        CHECK_EQ(pairs.live_count, 0);
    }
    CHECK_EQ(pairs.count, REMOTE_PAIR_FIRST + 2500);
    remote_pairs_deinit(&pairs);
    arena_deinit(&arena);
}

TEST_MAIN(remote_pack, TEST_ROW(remote_pack, the_library_unpacks_the_message_that_was_meant),
          TEST_ROW(remote_pack, knows_any_time),
          TEST_ROW(remote_pack, takes_other_fields_between_samples),
          TEST_ROW(remote_pack, a_number_that_comes_to_mean_another_pair_is_no_copy_of_the_old),
          TEST_ROW(remote_pack, finds_more_than_the_library),
          TEST_ROW(remote_pairs, are_kept_once_and_as_long_as_they_have_users))
