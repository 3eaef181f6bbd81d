// SPDX-License-Identifier: Apache-2.0
#include "base/budget.h"

#include "base/arena.h"
#include "base/test.h"
#include "base/thread.h"

static Budget all;
static Budget one;

static void set_up(uint64_t all_max, uint64_t one_max)
{
    all = (Budget){.name = "--all", .holder = "all queries together", .bytes_max = all_max};
    one = (Budget){.parent = &all, .name = "--one", .holder = "one query", .bytes_max = one_max};
}

TEST(budget, names_the_limit_and_what_was_asked)
{
    Error err = {0};
    set_up(1000, 100);

    CHECK(budget_take(&one, 60, &err));
    CHECK(!budget_take(&one, 41, &err));

    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_STR(str_from_c(err.text),
              S("not enough memory for the query: it asked for 41 bytes more, but 60 of the 100 "
                "bytes that one query may hold are taken (--one)"));
    CHECK_EQ(budget_taken(&one), 60);
    CHECK_EQ(budget_taken(&all), 60);
}

TEST(budget, of_all_together_refuses_one_and_takes_nothing)
{
    Error err = {0};
    set_up(100, 90);
    CHECK(budget_take(&all, 50, &err));

    CHECK(!budget_take(&one, 51, &err));

    CHECK(strstr(err.text, "all queries together") != NULL);
    CHECK_EQ(budget_taken(&one), 0);
    CHECK_EQ(budget_taken(&all), 50);
    CHECK(budget_take(&one, 50, &err));
    budget_give(&one, 50);
    CHECK_EQ(budget_taken(&all), 50);
    CHECK_EQ(all.peak, 100);
}

TEST(budget, is_over_for_good_once_something_was_forced)
{
    Error err = {0};
    set_up(0, 100);

    budget_force(&one, 100);
    CHECK(budget_ok(&one, &err));
    budget_force(&one, 7);

    CHECK(!budget_ok(&one, &err));
    CHECK(strstr(err.text, "asked for 7 bytes") != NULL);
    budget_give(&one, 107);
    CHECK_EQ(all.refused, 1);
    CHECK(!budget_ok(&one, &err));
    CHECK_EQ(budget_taken(&all), 0);
}

TEST(budget, a_sum_beyond_64_bits_is_refused)
{
    Error err = {0};
    set_up(1000, 500);

    CHECK(budget_take(&one, 10, &err));
    CHECK(!budget_take(&one, UINT64_MAX - 5, &err));
    CHECK_EQ(budget_taken(&one), 10);
}

TEST(budget, of_an_arena_is_given_back_with_it)
{
    Error err = {0};
    set_up(0, 1 << 20);
    Arena arena = {.budget = &one};

    (void)arena_alloc(&arena, 100000);
    CHECK(budget_taken(&one) >= 100000);
    CHECK_EQ(budget_taken(&one), arena.held_bytes);
    (void)arena_alloc(&arena, 200000);
    arena_reset(&arena);
    CHECK_EQ(budget_taken(&one), arena.held_bytes);
    CHECK(arena_reserve(&arena, 700000, &err));
    CHECK(budget_ok(&one, &err));
    arena_deinit(&arena);
    CHECK_EQ(budget_taken(&one), 0);
}

TEST(budget, of_an_arena_refuses_a_reservation_and_marks_what_goes_past)
{
    Error err = {0};
    set_up(0, 64 << 10);
    Arena arena = {.budget = &one};

    CHECK(!arena_reserve(&arena, (64 << 10) + 1, &err));
    CHECK_EQ(budget_taken(&one), 0);
    CHECK(!budget_ok(&one, &err));

    set_up(0, 64 << 10);
    CHECK(arena_reserve(&arena, 60 << 10, &err));
    char *at = arena_alloc(&arena, 60 << 10);
    memset(at, 1, 60 << 10);
    CHECK(budget_ok(&one, &err));
    memset(arena_alloc(&arena, 8 << 10), 1, 8 << 10);

    CHECK(!budget_ok(&one, &err));
    arena_deinit(&arena);
}

static void forget_blocks(void)
{
    arena_trim();
    arena_trim(); // those that the first saw in use
}

// Leaves one block, of a megabyte, for the next arena; none is left where memory is looked after by a sanitizer.
static void keep_a_block(void)
{
    Arena arena = {.next = NULL};
    forget_blocks();
    (void)arena_alloc(&arena, 1000000);
    arena_deinit(&arena);
}

TEST(budget, counts_the_whole_of_a_kept_block)
{
    Error err = {0};
    set_up(0, 2 << 20);
    Arena arena = {.budget = &one};
    keep_a_block();

    CHECK(arena_reserve(&arena, 700000, &err));

    CHECK(arena.held_bytes >= (MEMORY_SANITIZED ? 700000 : 1000000));
    CHECK_EQ(budget_taken(&one), arena.held_bytes);
    arena_deinit(&arena);
    CHECK_EQ(budget_taken(&one), 0);
    forget_blocks();
}

TEST(budget, leaves_a_kept_block_that_is_too_large_for_it)
{
    Error err = {0};
    set_up(0, 900000);
    Arena arena = {.budget = &one};
    keep_a_block();

    CHECK(arena_reserve(&arena, 700000, &err));

    CHECK(arena.held_bytes <= 900000);
    CHECK_EQ(budget_taken(&one), arena.held_bytes);
    CHECK(budget_ok(&one, &err));
    arena_deinit(&arena);
    forget_blocks();
}

enum { ROUNDS = 20000, TAKERS = 4 };

static void take_and_give(void *arg, size_t index)
{
    Budget *budget = arg;
    Budget own = {.parent = budget, .name = "own", .holder = "one", .bytes_max = 0};
    for (size_t i = 0; i < ROUNDS; i++)
        if (budget_try(&own, 30 + index)) {
            ASSERT(budget_taken(budget) >= 30 + index);
            budget_give(&own, 30 + index);
        }
    ASSERT(budget_taken(&own) == 0);
}

TEST(budget, shared_by_threads_is_never_passed_and_ends_at_nothing)
{
    set_up(70, 0);
    ThreadPool *pool = thread_pool_new("budget", TAKERS - 1);

    thread_pool_each(pool, take_and_give, &all, TAKERS);
    thread_pool_free(pool);

    CHECK_EQ(budget_taken(&all), 0);
    CHECK(all.peak <= 70);
}

TEST(budget, memory_of_this_machine_is_known)
{
    CHECK(memory_limit_bytes() >= 16 << 20);
    CHECK(memory_limit_bytes() < UINT64_C(1) << 50);
}

TEST_MAIN(budget, TEST_ROW(budget, names_the_limit_and_what_was_asked),
          TEST_ROW(budget, of_all_together_refuses_one_and_takes_nothing),
          TEST_ROW(budget, is_over_for_good_once_something_was_forced),
          TEST_ROW(budget, a_sum_beyond_64_bits_is_refused),
          TEST_ROW(budget, of_an_arena_is_given_back_with_it),
          TEST_ROW(budget, of_an_arena_refuses_a_reservation_and_marks_what_goes_past),
          TEST_ROW(budget, counts_the_whole_of_a_kept_block),
          TEST_ROW(budget, leaves_a_kept_block_that_is_too_large_for_it),
          TEST_ROW(budget, shared_by_threads_is_never_passed_and_ends_at_nothing),
          TEST_ROW(budget, memory_of_this_machine_is_known))
