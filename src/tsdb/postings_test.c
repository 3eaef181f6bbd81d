// SPDX-License-Identifier: Apache-2.0
// The small structures under the head's index, each against a naive model.
#include "tsdb/postings.h"

#include "base/random.h"
#include "base/test.h"
#include "tsdb/head_full.h"
#include "tsdb/ref_map.h"

#define REFS 3000

static Postings postings_of(Pool *pool, const bool *in)
{
    Postings p = {0};
    for (uint64_t ref = 1; ref < REFS; ref++)
        if (in[ref])
            postings_add(&p, pool, ref);
    return p;
}

// Stretches of random length, so that runs and single refs mix.
static void fill(Random *random, bool *in)
{
    uint64_t ref = 0;
    uint64_t longest = 1 + random_below(random, 60);
    bool value = false;
    while (ref < REFS) {
        for (uint64_t n = 1 + random_below(random, longest); n && ref < REFS; n--)
            in[ref++] = value;
        value = !value;
    }
    in[0] = false;
}

static void check_runs(const RefRuns *runs, const bool *want)
{
    bool got[REFS] = {0};
    uint64_t end = 0;
    uint64_t refs = 0;
    for (size_t i = 0; i < runs->count; i++) {
        CHECK(runs->runs[i].length > 0);
        CHECK(i == 0 || runs->runs[i].first > end); // neither touching nor overlapping
        end = runs->runs[i].first + runs->runs[i].length;
        refs += runs->runs[i].length;
        for (uint64_t ref = runs->runs[i].first; ref < end; ref++)
            got[ref] = true;
    }
    CHECK_EQ(refs, runs->refs);
    CHECK(memcmp(got, want, sizeof got) == 0);
}

TEST(postings, sets_agree_with_a_naive_model)
{
    Pool pool;
    Random random;
    Arena arena = {0};
    pool_init(&pool);
    random_seed(&random, 42);

    for (int round = 0; round < 300; round++) {
        bool a[REFS], b[REFS], c[REFS], want[REFS];
        fill(&random, a);
        fill(&random, b);
        fill(&random, c);
        Postings p = postings_of(&pool, a);
        Postings q = postings_of(&pool, b);
        Postings r = postings_of(&pool, c);
        RefRuns x, y, z;
        postings_decode(&p, &pool, &arena, &x);
        postings_decode(&q, &pool, &arena, &y);
        postings_decode(&r, &pool, &arena, &z);
        check_runs(&x, a);
        CHECK_EQ(p.count, x.refs);

        for (size_t i = 0; i < REFS; i++)
            want[i] = a[i] && b[i];
        RefRuns both = ref_runs_and(&arena, &x, &y);
        check_runs(&both, want);
        RefRuns streamed = ref_runs_and_postings(&arena, &x, &q, &pool);
        check_runs(&streamed, want);
        for (size_t i = 0; i < REFS; i++)
            want[i] = a[i] && !b[i];
        RefRuns rest = ref_runs_without(&arena, &x, &y);
        check_runs(&rest, want);
        for (size_t i = 0; i < REFS; i++)
            want[i] = a[i] || b[i] || c[i];
        RefRuns lists[] = {x, y, z};
        RefRuns any = ref_runs_or(&arena, lists, 3);
        check_runs(&any, want);

        postings_clear(&p, &pool);
        postings_clear(&q, &pool);
        postings_clear(&r, &pool);
        arena_reset(&arena);
    }
    CHECK_EQ(pool.live_bytes, 0);
    pool_deinit(&pool);
    arena_deinit(&arena);
}

// Refs by blocks, each with a stretch of its own, so that marks are stepped over.
static RefRuns some_refs(Arena *arena, Random *random, uint64_t refs, size_t runs)
{
    RefRuns made = {0};
    uint64_t at = 1;
    for (size_t i = 0; i < runs && at < refs; i++) {
        at += random_below(random, 2 * refs / runs);
        uint64_t length = 1 + random_below(random, 40);
        if (at + length < refs)
            ref_runs_add(&made, arena, at, length);
        at += length + 1;
    }
    return made;
}

static Postings long_list(Pool *pool, Random *random, uint64_t refs)
{
    Postings p = {0};
    for (uint64_t ref = 1; ref < refs; ref += 1 + random_below(random, 9))
        postings_add(&p, pool, ref);
    return p;
}

TEST(postings, refs_in_any_order_are_sorted)
{
    static const struct {
        const char *name;
        uint64_t refs[6];
        size_t count;
    } cases[] = {
        {"none", {0}, 0},
        {"one", {7}, 1},
        {"in order already", {1, 2, 3, 9}, 4},
        {"falling", {9, 7, 5, 4}, 4},
        {"runs that interleave", {1, 3, 5, 2, 4, 6}, 6},
        {"far back and forth", {1, (UINT64_C(1) << 36) - 1, 2, 3, 1000000, 4}, 6},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Pool pool;
        Postings p = {0};
        RefRuns runs;
        uint64_t before = 0;
        size_t count = 0;
        pool_init(&pool);
        for (size_t i = 0; i < c->count; i++)
            postings_add(&p, &pool, c->refs[i]);

        postings_sort(&p, &pool);

        CHECK_EQ(p.count, c->count);
        postings_decode(&p, &pool, &arena, &runs);
        for (size_t i = 0; i < runs.count; i++)
            for (uint64_t k = 0; k < runs.runs[i].length; k++, count++) {
                uint64_t ref = runs.runs[i].first + k;
                bool given = false;
                for (size_t n = 0; n < c->count; n++)
                    given |= c->refs[n] == ref;
                CHECK(given);
                CHECK(ref > before);
                before = ref;
            }
        CHECK_EQ(count, c->count);
        pool_deinit(&pool);
    }
}

TEST(postings, marks_of_a_long_list_lead_to_what_reading_it_whole_finds)
{
    enum { LONG = 60000 };
    Pool pool;
    Random random;
    Arena arena = {0};
    pool_init(&pool);
    random_seed(&random, 11);

    for (size_t runs = 1; runs < 4000; runs = runs * 3 / 2 + 1) {
        Postings p = long_list(&pool, &random, LONG);
        CHECK(p.used > 8 * POSTINGS_STRIDE);
        RefRuns whole;
        postings_decode(&p, &pool, &arena, &whole);
        RefRuns refs = some_refs(&arena, &random, LONG, runs);
        RefRuns want = ref_runs_and(&arena, &refs, &whole);
        Postings q = p; // the same, read back from its bytes
        CHECK(postings_load(&q, &pool, (Str){(const char *)pool_at(&pool, p.bytes), p.used}));
        const Postings *lists[] = {&p, &q};
        for (size_t k = 0; k < COUNT_OF(lists); k++) {
            RefRuns got = ref_runs_and_postings(&arena, &refs, lists[k], &pool);
            CHECK_EQ(got.refs, want.refs);
            CHECK_EQ(got.count, want.count);
            CHECK(got.count == 0 || memcmp(got.runs, want.runs, got.count * sizeof(RefRun)) == 0);
        }
        postings_clear(&p, &pool);
        postings_clear(&q, &pool);
        arena_reset(&arena);
    }
    CHECK_EQ(pool.live_bytes, 0);
    pool_deinit(&pool);
    arena_deinit(&arena);
}

TEST(postings, pieces_do_not_overlap_and_empty_pages_go_back)
{
    enum { PIECES = 20000 };
    static PoolHandle handles[PIECES];
    static uint32_t sizes[PIECES];
    Pool pool;
    Random random;
    pool_init(&pool);
    random_seed(&random, 7);

    for (int step = 0; step < 200000; step++) {
        size_t i = (size_t)random_below(&random, PIECES);
        if (handles[i]) {
            uint8_t *at = pool_at(&pool, handles[i]);
            for (uint32_t k = 0; k < sizes[i]; k += 5)
                CHECK_EQ(at[k], (uint8_t)i);
            pool_free(&pool, handles[i]);
            handles[i] = 0;
            continue;
        }
        sizes[i] = (uint32_t)random_below(&random, i % 500 ? 300 : 20000) + 1;
        handles[i] = pool_alloc(&pool, sizes[i]);
        CHECK(pool_size(&pool, handles[i]) >= sizes[i]);
        memset(pool_at(&pool, handles[i]), (int)i, sizes[i]);
        if (step % 50000 == 0)
            pool_trim(&pool);
    }
    for (size_t i = 0; i < PIECES; i++)
        pool_free(&pool, handles[i]);
    uint64_t empty = pool_empty_bytes(&pool);

    CHECK_EQ(empty, pool.held_bytes);
    CHECK_EQ(pool_trim(&pool), empty);
    CHECK_EQ(pool.live_bytes, 0);
    CHECK_EQ(pool.held_bytes, 0);
    pool_deinit(&pool);
}

TEST(postings, ref_map_agrees_with_an_array)
{
    static uint64_t model[500];
    RefMap map = {0};
    Random random;
    random_seed(&random, 3);

    for (int step = 0; step < 100000; step++) {
        uint64_t ref = 1 + random_below(&random, COUNT_OF(model) - 1);
        if (random_below(&random, 2)) {
            model[ref] = (uint64_t)step + 1;
            ref_map_put(&map, ref << 20, model[ref]);
        } else {
            model[ref] = 0;
            ref_map_remove(&map, ref << 20);
        }
        uint64_t other = 1 + random_below(&random, COUNT_OF(model) - 1);
        uint64_t *got = ref_map_get(&map, other << 20);
        CHECK_EQ(got ? *got : 0, model[other]);
    }
    ref_map_deinit(&map);
}

TEST(postings, list_of_full_chunks_gives_back_what_was_added)
{
    static FullChunk want[2000];
    static FullChunk got[2000];
    Pool pool;
    Random random;
    PoolHandle list = 0;
    int64_t t = -5000000;
    pool_init(&pool);
    random_seed(&random, 9);

    for (size_t i = 0; i < COUNT_OF(want); i++) {
        want[i].ref = (uint64_t)(i / 300) << 32 | random_below(&random, 1u << 27);
        want[i].min_t_ms = t += (int64_t)random_below(&random, 100000) + 1;
        want[i].max_t_ms = t += (int64_t)random_below(&random, 7200000);
        list = head_full_add(&pool, list, want[i]);
        CHECK(list != 0);
    }
    CHECK_EQ(head_full_count(&pool, list), COUNT_OF(want));
    CHECK_EQ(head_full_first_time(&pool, list), want[0].min_t_ms);
    head_full_decode(&pool, list, got);
    CHECK(memcmp(got, want, sizeof got) == 0);

    list = head_full_replace(&pool, list, want + 1500, 500);
    CHECK_EQ(head_full_count(&pool, list), 500);
    head_full_decode(&pool, list, got);
    CHECK(memcmp(got, want + 1500, 500 * sizeof got[0]) == 0);
    list = head_full_replace(&pool, list, NULL, 0);
    CHECK_EQ(list, 0);
    CHECK_EQ(pool.live_bytes, 0);
    pool_deinit(&pool);
}

TEST_MAIN(postings, TEST_ROW(postings, sets_agree_with_a_naive_model),
          TEST_ROW(postings, refs_in_any_order_are_sorted),
          TEST_ROW(postings, marks_of_a_long_list_lead_to_what_reading_it_whole_finds),
          TEST_ROW(postings, pieces_do_not_overlap_and_empty_pages_go_back),
          TEST_ROW(postings, ref_map_agrees_with_an_array),
          TEST_ROW(postings, list_of_full_chunks_gives_back_what_was_added))
