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

TEST_MAIN(head_exemplars, TEST_ROW(head_exemplars, series_that_came_back_under_another_ref_is_one))
