// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_exemplars.h"

#include "base/test.h"

TEST(head_exemplars, series_that_came_back_under_another_ref_is_one)
{
    static const Label pairs[] = {{S("__name__"), S("m")}};
    static const struct {
        uint64_t ref;
        int64_t t_ms;
    } given[] = {{1, 10}, {1, 30}, {2, 20}, {2, 40}};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    HeadExemplars *store = head_exemplars_new(10);
    TsdbExemplars found;

    for (size_t i = 0; i < COUNT_OF(given); i++) {
        Exemplar e = {.t_ms = given[i].t_ms, .has_t = true, .value = 1};
        CHECK(head_exemplars_add(store, given[i].ref, (Labels){pairs, 1}, &e, 0));
    }
    head_exemplars_select(store, NULL, 0, INT64_MIN, INT64_MAX, &arena, &found);

    CHECK_EQ(found.count, 1);
    CHECK_EQ(found.exemplar_counts[0], COUNT_OF(given));
    for (size_t i = 0; i < COUNT_OF(given); i++)
        CHECK_EQ(found.exemplars[0][i].t_ms, 10 * (int64_t)(i + 1));
    head_exemplars_free(store);
}

// Ten exemplars of two series in turn, in a ring of `from`; then the ring changes, and two more come.
TEST(head_exemplars, newest_stay_when_the_ring_changes_its_size)
{
    static const Label pairs[] = {{S("__name__"), S("m")}};
    static const struct {
        const char *name;
        uint64_t from, to, kept, kept_later;
    } cases[] = {
        {"larger, not yet full", 20, 40, 10, 12},
        {"larger, went around", 7, 40, 7, 9},
        {"larger, full now", 7, 9, 7, 9},
        {"the same", 7, 7, 7, 7},
        {"smaller, all still fit", 20, 10, 10, 10},
        {"smaller", 20, 3, 3, 3},
        {"smaller, went around", 7, 3, 3, 3},
        {"one", 7, 1, 1, 1},
        {"none", 7, 0, 0, 0},
        {"from none", 0, 5, 0, 2},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        HeadExemplars *store = head_exemplars_new(c->from);
        TsdbExemplars found;
        uint64_t count, series;
        int64_t oldest_ms, t_ms = 0;

        for (; t_ms < 10; t_ms++) {
            Exemplar e = {.t_ms = t_ms, .has_t = true};
            CHECK_EQ(head_exemplars_add(store, 1 + (uint64_t)t_ms % 2, (Labels){pairs, 1}, &e, 0),
                     c->from > 0);
        }
        head_exemplars_resize(store, c->to);

        CHECK_EQ(head_exemplars_max(store), c->to);
        head_exemplars_count(store, &count, &series, &oldest_ms);
        CHECK_EQ(count, c->kept);
        CHECK_EQ(series, MIN(c->kept, 2));
        CHECK_EQ(oldest_ms, c->kept ? 10 - (int64_t)c->kept : INT64_MIN);
        Exemplar late = {.t_ms = 7, .has_t = true, .value = 1};
        if (c->kept > 1) // what a series is judged by came along
            CHECK_EQ(head_exemplars_judge(store, 1, &late, 0), APPEND_OUT_OF_ORDER);
        for (; t_ms < 12; t_ms++) {
            Exemplar e = {.t_ms = t_ms, .has_t = true};
            CHECK_EQ(head_exemplars_add(store, 1 + (uint64_t)t_ms % 2, (Labels){pairs, 1}, &e, 0),
                     c->to > 0);
        }
        head_exemplars_select(store, NULL, 0, INT64_MIN, INT64_MAX, &arena, &found);
        CHECK_EQ(found.count, c->kept_later > 0);
        if (found.count) {
            CHECK_EQ(found.exemplar_counts[0], c->kept_later);
            for (uint64_t i = 0; i < c->kept_later; i++)
                CHECK_EQ(found.exemplars[0][i].t_ms, 12 - (int64_t)(c->kept_later - i));
        }
        head_exemplars_free(store);
    }
}

TEST_MAIN(head_exemplars, TEST_ROW(head_exemplars, series_that_came_back_under_another_ref_is_one),
          TEST_ROW(head_exemplars, newest_stay_when_the_ring_changes_its_size))
