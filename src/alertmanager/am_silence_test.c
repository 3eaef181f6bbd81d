// SPDX-License-Identifier: Apache-2.0
// Silences, the notification log and the database below both.
#include "alertmanager/am_silence.h"

#include <unistd.h>

#include "alertmanager/am_internal.h"
#include "alertmanager/am_test_util.h"
#include "base/fs.h"
#include "base/random.h"

#define S_NS AM_S_NS
#define NOW (INT64_C(1000) * S_NS)

static AmSilenceData silence_of(Arena *arena, const char *matchers, int64_t starts_s,
                                int64_t ends_s)
{
    AmSilenceData data = {.starts_ns = starts_s * S_NS,
                          .ends_ns = ends_s * S_NS,
                          .created_by = S("me"),
                          .comment = S("why")};
    Error err = {0};
    data.sets = ARENA_NEW(arena, AmMatchers);
    data.set_count = 1;
    CHECK_OK(am_matchers_parse(str_from_c(matchers), AM_MATCHER_FALLBACK, arena, data.sets, &err),
             err);
    return data;
}

static const AmSilence *set(AmSilences *silences, Arena *arena, const char *matchers,
                            int64_t starts_s, int64_t ends_s)
{
    AmSilenceData data = silence_of(arena, matchers, starts_s, ends_s);
    const AmSilence *made = NULL;
    uint64_t ticket;
    Error err = {0};
    CHECK_OK(am_silences_set(silences, &data, true, NOW, &made, &ticket, &err), err);
    am_matchers_deinit(data.sets);
    return made;
}

TEST(am_silence, matches_while_it_is_active)
{
    static const struct {
        const char *name;
        const char *matchers;
        int64_t starts_s, ends_s, at_s;
        const char *labels;
        bool want;
    } cases[] = {
        {"equal", "a=1", 1000, 1100, 1050, "a=1,b=2", true},
        {"another value", "a=1", 1000, 1100, 1050, "a=2", false},
        {"all must match", "a=1,b=2", 1000, 1100, 1050, "a=1,b=3", false},
        {"regex alone", "a=~\"1|2\"", 1000, 1100, 1050, "a=2", true},
        {"not equal", "a!=1,b=2", 1000, 1100, 1050, "b=2", true},
        {"pending", "a=1", 1060, 1100, 1050, "a=1", false},
        {"over", "a=1", 1000, 1040, 1050, "a=1", false},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        AmSilences silences = {.retention_ns = 100 * S_NS};
        const AmSilence *found;

        (void)set(&silences, &arena, c->matchers, c->starts_s, c->ends_s);
        size_t count =
            am_silences_match(&silences, test_labels(&arena, c->labels), c->at_s * S_NS, &found, 1);

        CHECK_EQ(count, c->want);
        am_silences_deinit(&silences);
    }
}

TEST(am_silence, index_finds_what_a_scan_finds)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    AmSilences silences = {.retention_ns = 100 * S_NS};
    Random random;
    char text[100];
    random_seed(&random, 7);
    for (int i = 0; i < 200; i++) {
        int x = (int)random_below(&random, 5);
        int y = x + (int)random_below(&random, 4);
        switch (random_below(&random, 4)) {
        case 0:
            snprintf(text, sizeof text, "a=%d,b=%d", x, y);
            break;
        case 1:
            snprintf(text, sizeof text, "a=~\"%d|9\",b=%d", x, y);
            break;
        case 2:
            snprintf(text, sizeof text, "a!=%d,c=%d", x, y);
            break;
        default:
            snprintf(text, sizeof text, "b=~\"[%d-%d]\"", x, y);
        }
        (void)set(&silences, &arena, text, 1000, 1001 + (int64_t)random_below(&random, 100));
    }
    for (int i = 0; i < 500; i++) {
        const AmSilence *found[300];
        size_t want = 0;
        int64_t at = NOW + (int64_t)random_below(&random, 110) * S_NS;
        snprintf(text, sizeof text, "a=%d,b=%d,c=%d", (int)random_below(&random, 6),
                 (int)random_below(&random, 6), (int)random_below(&random, 6));
        Labels labels = test_labels(&arena, text);
        for (MapEntry *e = NULL; (e = map_next(&silences.by_id, e));) {
            const AmSilenceData *data = &((AmSilence *)e->value)->data;
            want += am_silence_state(data, at) == AM_SILENCE_ACTIVE &&
                    am_matchers_match(&data->sets[0], labels);
        }
        CHECK_EQ(am_silences_match(&silences, labels, at, found, COUNT_OF(found)), want);
    }
    am_silences_deinit(&silences);
}

TEST(am_silence, updates_keep_or_change_the_id)
{
    static const struct {
        const char *name;
        int64_t old_starts, old_ends;
        const char *matchers;
        int64_t starts, ends;
        bool want_same;
    } cases[] = {
        {"a later end", 1000, 1100, "a=1", 1000, 1200, true},
        {"another start of an active one", 1000, 1100, "a=1", 1010, 1200, false},
        {"other matchers", 1000, 1100, "a=2", 1000, 1200, false},
        {"a pending one moves", 1050, 1100, "a=1", 1060, 1200, true},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        AmSilences silences = {.retention_ns = 100 * S_NS};
        const AmSilence *made;
        uint64_t ticket;
        Error err = {0};
        Str id =
            arena_str(&arena, set(&silences, &arena, "a=1", c->old_starts, c->old_ends)->data.id);
        AmSilenceData change = silence_of(&arena, c->matchers, c->starts, c->ends);
        change.id = id;

        CHECK_OK(am_silences_set(&silences, &change, true, NOW, &made, &ticket, &err), err);

        CHECK_EQ(str_equal(made->data.id, id), c->want_same);
        if (!c->want_same)
            CHECK_EQ(am_silence_state(&am_silences_find(&silences, id)->data, NOW + 1),
                     AM_SILENCE_EXPIRED);
        am_matchers_deinit(change.sets);
        am_silences_deinit(&silences);
    }
}

TEST(am_silence, refuses_what_would_silence_everything)
{
    static const struct {
        const char *name;
        const char *matchers, *want;
    } cases[] = {
        {"an empty value", "a=\"\"", "at least one matcher must not match the empty string"},
        {"a regex that matches nothing, too", "a=~\".*\"",
         "at least one matcher must not match the empty string"},
        {"no matcher", "{}", "at least one matcher required"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        AmSilences silences = {0};
        const AmSilence *made;
        uint64_t ticket;
        Error err = {0};
        AmSilenceData data = silence_of(&arena, c->matchers, 1000, 1100);

        CHECK(!am_silences_set(&silences, &data, true, NOW, &made, &ticket, &err));

        CHECK_HAS(err.text, c->want);
        am_matchers_deinit(data.sets);
        am_silences_deinit(&silences);
    }
}

TEST(am_silence, what_is_stored_comes_back_and_goes_when_it_is_over)
{
    char folder[] = "/tmp/am_silence_XXXXXX";
    CLEANUP(arena_deinit) Arena arena = {0};
    AmStore *store;
    bool is_new;
    Error err = {0};
    CHECK(mkdtemp(folder) != NULL);
    Str path = arena_printf(&arena, "%s/am.db", folder);
    uint64_t firing[] = {3, 1};
    AmLogData entry = {.group_key = S("{}:{a=\"b\"}"),
                       .receiver = S("r"),
                       .integration = S("webhook"),
                       .index = 2,
                       .at_ns = NOW,
                       .expires_ns = NOW + 50 * S_NS,
                       .firing = firing,
                       .firing_count = 2,
                       .thread_ts = S("1.2"),
                       .channel_id = S("C")};

    CHECK_OK(am_store_open(path, &store, &is_new, &err), err);
    CHECK(is_new);
    AmSilences silences = {.retention_ns = 100 * S_NS, .store = store};
    AmLog log = {.store = store};
    Str id = arena_str(&arena, set(&silences, &arena, "a=1,b!~c", 1000, 1100)->data.id);
    am_log_put(&log, &entry, NULL);
    CHECK_OK(am_store_wait(store, am_store_put(store, AM_STORE_LOG, S("x"), S("")), &err), err);
    am_silences_deinit(&silences);
    am_log_deinit(&log);
    am_store_close(store);

    CHECK_OK(am_store_open(path, &store, &is_new, &err), err);
    CHECK(!is_new);
    silences = (AmSilences){.retention_ns = 100 * S_NS, .store = store};
    log = (AmLog){.store = store};
    CHECK_OK(am_silences_load(&silences, NOW, &err), err);
    CHECK_OK(am_log_load(&log, NOW, &err), err);
    const AmSilence *silence = am_silences_find(&silences, id);
    CHECK(silence != NULL);
    CHECK_STR(silence->data.comment, S("why"));
    CHECK_EQ(silence->data.sets[0].count, 2);
    const AmLogEntry *found = am_log_find(&log, entry.group_key, S("r"), "webhook", 2, NOW);
    CHECK(found != NULL);
    CHECK_EQ(found->data.firing[0], 1);
    CHECK_STR(found->data.channel_id, S("C"));
    CHECK(am_log_find(&log, entry.group_key, S("r"), "webhook", 2, NOW + 60 * S_NS) == NULL);
    CHECK_EQ(am_log_collect(&log, NOW + 60 * S_NS), 1);
    CHECK_EQ(am_silences_collect(&silences, 1150 * S_NS), 0);
    CHECK_EQ(am_silences_collect(&silences, 1201 * S_NS), 1);
    am_silences_deinit(&silences);
    am_log_deinit(&log);
    am_store_close(store);
    CHECK_OK(fs_remove_tree(&fs_system, str_from_c(folder), &err), err);
}

TEST(am_silence, the_log_decides_who_is_told)
{
    static const struct {
        const char *name;
        bool has_entry;
        uint64_t told[2];
        size_t told_count, told_resolved;
        uint64_t firing[2];
        size_t firing_count, resolved_count;
        bool send_resolved;
        int64_t age_s;
        AmReason want;
    } cases[] = {
        {"nothing was told, something fires",
         false,
         {0},
         0,
         0,
         {1},
         1,
         0,
         true,
         0,
         AM_REASON_FIRST},
        {"nothing was told, nothing fires", false, {0}, 0, 0, {0}, 0, 1, true, 0, AM_REASON_NONE},
        {"the same", true, {1}, 1, 0, {1}, 1, 0, true, 10, AM_REASON_NONE},
        {"a new one", true, {1}, 1, 0, {1, 2}, 2, 0, true, 10, AM_REASON_NEW},
        {"fires after all was resolved", true, {0}, 0, 1, {2}, 1, 0, true, 10, AM_REASON_FIRST},
        {"less fires", true, {1, 2}, 2, 0, {1}, 1, 0, true, 10, AM_REASON_NONE},
        {"one resolved", true, {1, 2}, 2, 0, {1}, 1, 1, true, 10, AM_REASON_SOME_RESOLVED},
        {"one resolved, not to be told", true, {1, 2}, 2, 0, {1}, 1, 1, false, 10, AM_REASON_NONE},
        {"all resolved", true, {1}, 1, 0, {0}, 0, 1, true, 10, AM_REASON_ALL_RESOLVED},
        {"all resolved, not to be told",
         true,
         {1},
         1,
         0,
         {0},
         0,
         1,
         false,
         10,
         AM_REASON_ALL_RESOLVED},
        {"all resolved and told", true, {0}, 0, 1, {0}, 0, 1, true, 10, AM_REASON_NONE},
        {"time to repeat", true, {1}, 1, 0, {1}, 1, 0, true, 61, AM_REASON_REPEAT},
    };
    uint64_t resolved[] = {9};

    EACH_CASE(c, cases) {
        AmLogEntry entry = {.data = {.at_ns = NOW - c->age_s * S_NS,
                                     .firing = (uint64_t *)(uintptr_t)c->told,
                                     .firing_count = c->told_count,
                                     .resolved = resolved,
                                     .resolved_count = c->told_resolved}};

        AmReason got =
            am_notify_decide(c->has_entry ? &entry : NULL, c->firing, c->firing_count, resolved,
                             c->resolved_count, c->send_resolved, 60 * S_NS, NOW);

        CHECK_EQ(got, c->want);
    }
}

TEST_MAIN(am_silence, TEST_ROW(am_silence, matches_while_it_is_active),
          TEST_ROW(am_silence, index_finds_what_a_scan_finds),
          TEST_ROW(am_silence, updates_keep_or_change_the_id),
          TEST_ROW(am_silence, refuses_what_would_silence_everything),
          TEST_ROW(am_silence, what_is_stored_comes_back_and_goes_when_it_is_over),
          TEST_ROW(am_silence, the_log_decides_who_is_told))
