// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_alert.h"

#include "alertmanager/am_test_util.h"

TEST(am_alert, fingerprint_is_the_originals)
{
    CLEANUP(arena_deinit) Arena arena = {0};

    uint64_t got = am_alert_fingerprint(test_labels(&arena, "sev=x,alertname=B"));

    CHECK(got == UINT64_C(0x3b1618283c259772));
}

TEST(am_alert, missing_times_are_filled_in)
{
    static const struct {
        const char *name;
        int64_t starts, ends, want_starts, want_ends;
        bool want_timeout, want_ok;
    } cases[] = {
        {"nothing given", AM_TIME_ZERO, AM_TIME_ZERO, 1000, 1300, true, true},
        {"only an end", AM_TIME_ZERO, 700, 700, 700, false, true},
        {"only a start", 500, AM_TIME_ZERO, 500, 1300, true, true},
        {"both", 500, 900, 500, 900, false, true},
        {"the wrong way round", 900, 500, 0, 0, false, false},
    };

    EACH_CASE(c, cases) {
        AmAlertInput input = {.starts_ns = c->starts, .ends_ns = c->ends};
        bool timeout;
        Error err = {0};

        bool ok = am_alert_complete(&input, 1000, 300, &timeout, &err);

        CHECK_EQ(ok, c->want_ok);
        if (!ok) {
            CHECK_HAS(err.text, "start time must be before end time");
            continue;
        }
        CHECK_EQ(input.starts_ns, c->want_starts);
        CHECK_EQ(input.ends_ns, c->want_ends);
        CHECK_EQ(timeout, c->want_timeout);
    }
}

TEST(am_alert, updates_merge_as_in_the_original)
{
    static const struct {
        const char *name;
        int64_t old_starts, old_ends;
        bool old_timeout;
        int64_t new_starts, new_ends;
        bool new_timeout;
        int64_t want_starts, want_ends;
    } cases[] = {
        {"a later end of the same alert", 10, 110, false, 10, 120, false, 10, 120},
        {"the earliest start stays", 10, 110, false, 50, 120, false, 10, 120},
        {"resolved while it stands", 10, 110, true, 10, 40, false, 10, 40},
        {"an explicit later end outlives a shorter one", 10, 150, false, 10, 120, false, 10, 150},
        {"a later end from the timeout does not", 10, 150, true, 10, 120, false, 10, 120},
        {"no overlap replaces", 10, 40, false, 50, 120, false, 50, 120},
    };

    EACH_CASE(c, cases) {
        AmAlertStore store = {0};
        Label pair = {STR("a"), STR("b")};
        AmAlertInput before = {
            .labels = {&pair, 1}, .starts_ns = c->old_starts, .ends_ns = c->old_ends};
        AmAlertInput after = {
            .labels = {&pair, 1}, .starts_ns = c->new_starts, .ends_ns = c->new_ends};

        CHECK(am_alert_store_put(&store, am_alert_new(&before, 10, c->old_timeout), 100) != NULL);
        const AmAlert *got =
            am_alert_store_put(&store, am_alert_new(&after, 60, c->new_timeout), 100);

        CHECK_EQ(got->starts_ns, c->want_starts);
        CHECK_EQ(got->ends_ns, c->want_ends);
        CHECK_EQ(store.alerts.count, 1);
        am_alert_store_deinit(&store);
    }
}

TEST(am_alert, limit_per_name_lets_resolved_ones_go)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    AmAlertStore store = {.per_name_limit = 2};
    int64_t now = 100 * AM_S_NS;

    CHECK(am_alert_store_put(&store, test_alert(&arena, "alertname=A,i=1", 10, 500), now) != NULL);
    CHECK(am_alert_store_put(&store, test_alert(&arena, "alertname=A,i=2", 10, 50), now) != NULL);
    CHECK(am_alert_store_put(&store, test_alert(&arena, "alertname=A,i=3", 10, 500), now) != NULL);
    CHECK(am_alert_store_put(&store, test_alert(&arena, "alertname=A,i=4", 10, 500), now) == NULL);
    CHECK(am_alert_store_put(&store, test_alert(&arena, "alertname=B,i=4", 10, 500), now) != NULL);
    CHECK_EQ(store.alerts.count, 3);
    CHECK_EQ(am_alert_store_collect(&store, 600 * AM_S_NS), 3);
    CHECK_EQ(store.alerts.count, 0);
    CHECK_EQ(store.names.count, 0);

    am_alert_store_deinit(&store);
}

TEST(am_alert, order_is_job_then_instance_then_labels)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    static const char *const sorted[] = {
        "job=a,instance=1", "job=a,instance=2", "job=a", "job=b,a=1",
        "job=b,a=2",        "job=b,a=1,c=1",    "x=1"};
    for (size_t i = 0; i < COUNT_OF(sorted); i++)
        for (size_t k = 0; k < COUNT_OF(sorted); k++) {
            AmAlert *a = test_alert(&arena, sorted[i], 1, 2);
            AmAlert *b = test_alert(&arena, sorted[k], 1, 2);
            int c = am_alert_compare(a, b);
            CHECK_EQ((c > 0) - (c < 0), (i > k) - (i < k));
            am_alert_unref(a);
            am_alert_unref(b);
        }
}

TEST(am_alert, times_keep_their_nanoseconds)
{
    static const struct {
        const char *name;
        Str text, want;
    } cases[] = {
        {"nanoseconds", STR("2026-11-20T21:50:38.710788884Z"),
         STR("2026-11-20T21:50:38.710788884Z")},
        {"an offset", STR("2026-11-20T21:50:38.5+02:00"), STR("2026-11-20T19:50:38.5Z")},
        {"none", STR("2026-11-20T21:50:38Z"), STR("2026-11-20T21:50:38Z")},
        {"the zero time", STR("0001-01-01T00:00:00Z"), STR("0001-01-01T00:00:00Z")},
        {"beyond the range", STR("9999-01-01T00:00:00Z"), STR("2262-04-11T23:47:16.854775807Z")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        int64_t t = 0;
        Error err = {0};

        CHECK_OK(am_time_parse(c->text, &t, &err), err);
        am_time_print(&out, t);

        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST_MAIN(am_alert, TEST_ROW(am_alert, fingerprint_is_the_originals),
          TEST_ROW(am_alert, missing_times_are_filled_in),
          TEST_ROW(am_alert, updates_merge_as_in_the_original),
          TEST_ROW(am_alert, limit_per_name_lets_resolved_ones_go),
          TEST_ROW(am_alert, order_is_job_then_instance_then_labels),
          TEST_ROW(am_alert, times_keep_their_nanoseconds))
