// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_dispatch.h"

#include "alertmanager/am_inhibit.h"
#include "alertmanager/am_test_util.h"

#define S_NS AM_S_NS

// A tree, a dispatcher and a clock of seconds that only the test moves.
typedef struct Rig {
    Arena arena;
    AmConfig *config;
    AmRouteTree tree;
    AmDispatch dispatch;
} Rig;

static void rig_init(Rig *rig, const char *config)
{
    Error err = {0};
    *rig = (Rig){0};
    CHECK_OK(am_config_parse(str_from_c(config), S("am.yml"), STR_NONE, AM_MATCHER_FALLBACK,
                             &rig->config, &err),
             err);
    CHECK_OK(am_route_tree_init(&rig->tree, rig->config, &err), err);
    am_dispatch_init(&rig->dispatch, rig->tree.root, 0);
}

static void rig_deinit(Rig *rig)
{
    am_dispatch_deinit(&rig->dispatch);
    am_route_tree_deinit(&rig->tree);
    am_config_unref(rig->config);
    arena_deinit(&rig->arena);
}

static void arrive(Rig *rig, const char *labels, int64_t starts_s, int64_t ends_s, int64_t now_s)
{
    AmAlert *alert = test_alert(&rig->arena, labels, starts_s, ends_s);
    am_dispatch_alert(&rig->dispatch, alert, now_s * S_NS, now_s * S_NS);
    am_alert_unref(alert);
}

// Flushes what is due: "key=firing/resolved" of each group.
static void flush(Rig *rig, int64_t now_s, bool ok, Buf *out)
{
    AmGroup *group;
    buf_reset(out);
    while ((group = am_dispatch_take(&rig->dispatch, now_s * S_NS))) {
        size_t count;
        size_t resolved = 0;
        AmNote *notes = am_group_notes(group, now_s * S_NS, &rig->arena, &count);
        for (size_t i = 0; i < count; i++)
            resolved += notes[i].resolved;
        buf_printf(out, "%s" STR_FMT "=%zu/%zu", out->len ? " " : "", STR_ARG(group->key),
                   count - resolved, resolved);
        am_dispatch_finish(&rig->dispatch, group, notes, count, ok, now_s * S_NS);
        for (size_t i = 0; i < count; i++)
            am_alert_unref(notes[i].alert);
    }
}

#define CONFIG(more)                                                                               \
    "route: {receiver: a, group_by: [g], group_wait: 10s, group_interval: 60s" more                \
    "}\nreceivers: [{name: a}, {name: b}]\n"

TEST(am_dispatch, groups_wait_then_follow_their_interval)
{
    static const struct {
        const char *name;
        int64_t at_s;
        const char *arrives; // NULL: nothing
        int64_t starts_s, ends_s;
        const char *want;
    } steps[] = {
        {"the first alert waits", 1000, "g=x,i=1", 999, 9999, ""},
        {"a second joins", 1005, "g=x,i=2", 1005, 9999, ""},
        {"before the wait is over", 1009, NULL, 0, 0, ""},
        {"the wait is over", 1010, NULL, 0, 0, "{}:{g=\"x\"}=2/0"},
        {"one resolves", 1020, "g=x,i=1", 999, 1020, ""},
        {"another group begins", 1025, "g=y", 1025, 9999, ""},
        {"its wait is its own", 1035, NULL, 0, 0, "{}:{g=\"y\"}=1/0"},
        {"the interval of the first", 1070, NULL, 0, 0, "{}:{g=\"x\"}=1/1"},
        {"the resolved one is gone", 1130, NULL, 0, 0, "{}:{g=\"y\"}=1/0 {}:{g=\"x\"}=1/0"},
        {"an old alert of a new group is told at once", 1140, "g=z", 100, 9999, "{}:{g=\"z\"}=1/0"},
    };
    CLEANUP(buf_deinit) Buf out = {0};
    Rig rig;
    rig_init(&rig, CONFIG(""));

    EACH_CASE(s, steps) {
        if (s->arrives)
            arrive(&rig, s->arrives, s->starts_s, s->ends_s, s->at_s);

        flush(&rig, s->at_s, true, &out);

        CHECK_STR(buf_str(&out), str_from_c(s->want));
    }
    rig_deinit(&rig);
}

TEST(am_dispatch, a_failed_flush_keeps_what_is_resolved)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Rig rig;
    rig_init(&rig, CONFIG(""));
    arrive(&rig, "g=x", 1000, 1002, 1001);

    flush(&rig, 1011, false, &out);
    CHECK_STR(buf_str(&out), S("{}:{g=\"x\"}=0/1"));
    flush(&rig, 1071, true, &out);
    CHECK_STR(buf_str(&out), S("{}:{g=\"x\"}=0/1"));
    CHECK_EQ(rig.dispatch.groups.count, 0);
    CHECK(am_dispatch_due(&rig.dispatch) == INT64_MAX);

    rig_deinit(&rig);
}

TEST(am_dispatch, a_running_group_is_not_taken_again_but_then_at_once)
{
    Rig rig;
    size_t count;
    rig_init(&rig, CONFIG(""));
    arrive(&rig, "g=x", 1000, 9999, 1000);

    AmGroup *group = am_dispatch_take(&rig.dispatch, 1010 * S_NS);
    CHECK(group != NULL);
    CHECK(am_dispatch_take(&rig.dispatch, 1075 * S_NS) == NULL);
    AmNote *notes = am_group_notes(group, 1010 * S_NS, &rig.arena, &count);
    am_dispatch_finish(&rig.dispatch, group, notes, count, true, 1080 * S_NS);
    am_alert_unref(notes[0].alert);
    CHECK(am_dispatch_due(&rig.dispatch) == 1080 * S_NS);

    rig_deinit(&rig);
}

TEST(am_dispatch, an_update_during_a_flush_survives_it)
{
    Rig rig;
    size_t count;
    rig_init(&rig, CONFIG(""));
    arrive(&rig, "g=x", 1000, 1005, 1000);
    AmGroup *group = am_dispatch_take(&rig.dispatch, 1010 * S_NS);
    AmNote *notes = am_group_notes(group, 1010 * S_NS, &rig.arena, &count);
    CHECK(notes[0].resolved);

    arrive(&rig, "g=x", 1011, 9999, 1011);
    am_dispatch_finish(&rig.dispatch, group, notes, count, true, 1012 * S_NS);
    am_alert_unref(notes[0].alert);

    CHECK_EQ(rig.dispatch.groups.count, 1);
    CHECK_EQ(group->alerts.count, 1);
    rig_deinit(&rig);
}

static uint8_t mark_of(const AmGroup *group, const AmAlert *alert)
{
    const AmTableSlot *slot = am_table_find(&group->alerts, alert->fingerprint);
    CHECK(slot);
    return *am_table_mark(&group->alerts, slot);
}

TEST(am_dispatch, what_a_flush_notes_of_an_alert_stays_with_it)
{
    enum { ALERTS = 200 };
    Rig rig;
    size_t count;
    rig_init(&rig, CONFIG(""));
    arrive(&rig, "g=x,n=0", 1000, 9999, 1000);
    AmGroup *group = am_dispatch_take(&rig.dispatch, 1010 * S_NS);
    AmNote *notes = am_group_notes(group, 1010 * S_NS, &rig.arena, &count);
    AmAlert *first = notes[0].alert;
    CHECK_EQ(mark_of(group, first), 0);
    am_group_note(group, first, AM_GROUP_INHIBITED, true);
    am_group_note(group, first, AM_GROUP_SILENCED, true);
    am_group_note(group, first, AM_GROUP_INHIBITED, false);
    CHECK_EQ(mark_of(group, first), AM_GROUP_SEEN | AM_GROUP_SILENCED);

    // The table grows, the alert is updated, others end and go.
    for (int i = 0; i < ALERTS; i++)
        arrive(&rig, arena_printf(&rig.arena, "g=x,n=%d%c", i, 0).ptr, 1001,
               i % 3 == 1 ? 1005 : 9999, 1001);
    am_dispatch_finish(&rig.dispatch, group, notes, count, true, 1010 * S_NS);
    Buf out = {0};
    flush(&rig, 2000, true, &out);
    CHECK_STR(buf_str(&out), S("{}:{g=\"x\"}=133/67"));
    buf_deinit(&out);
    CHECK_EQ(group->alerts.count, 133);
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));)
        CHECK_EQ(*am_table_mark(&group->alerts, s),
                 s->key == first->fingerprint ? AM_GROUP_SEEN | AM_GROUP_SILENCED : 0);
    am_alert_unref(first);
    rig_deinit(&rig);
}

TEST(am_dispatch, inhibition_is_the_originals)
{
    static const struct {
        const char *name;
        const char *rule;
        const char *source;
        int64_t source_ends_s;
        const char *target;
        bool want;
    } cases[] = {
        {"equal labels", "{source_matchers: [s=c], target_matchers: [s=w], equal: [h]}", "s=c,h=1",
         2000, "s=w,h=1", true},
        {"other labels", "{source_matchers: [s=c], target_matchers: [s=w], equal: [h]}", "s=c,h=1",
         2000, "s=w,h=2", false},
        {"missing on both sides", "{source_matchers: [s=c], target_matchers: [s=w], equal: [h]}",
         "s=c", 2000, "s=w", true},
        {"the source is over", "{source_matchers: [s=c], target_matchers: [s=w]}", "s=c", 900,
         "s=w", false},
        {"the old form", "{source_match: {s: c}, target_match_re: {s: 'w|x'}}", "s=c", 2000, "s=x",
         true},
        {"both sides match both", "{source_matchers: [a=1], target_matchers: [a=1]}", "a=1,i=1",
         2000, "a=1,i=2", false},
        {"only the source matches both", "{source_matchers: [a=1], target_matchers: ['b=~\".*\"']}",
         "a=1,b=1", 2000, "b=2", true},
    };

    EACH_CASE(c, cases) {
        char text[500];
        Rig rig;
        AmInhibitor *in;
        Error err = {0};
        uint64_t source;
        snprintf(text, sizeof text,
                 "route: {receiver: a}\ninhibit_rules: [%s]\nreceivers: [{name: a}]\n", c->rule);
        rig_init(&rig, text);
        CHECK_OK(am_inhibitor_new(rig.config, &in, &err), err);
        AmAlert *alert = test_alert(&rig.arena, c->source, 100, c->source_ends_s);

        am_inhibitor_note(in, alert);
        bool got = am_inhibitor_mutes(in, test_labels(&rig.arena, c->target), 1000 * S_NS, &source);

        CHECK_EQ(got, c->want);
        if (got)
            CHECK(source == alert->fingerprint);
        am_inhibitor_collect(in, 3000 * S_NS);
        CHECK(!am_inhibitor_mutes(in, test_labels(&rig.arena, c->target), 1000 * S_NS, &source));
        am_alert_unref(alert);
        am_inhibitor_free(in);
        rig_deinit(&rig);
    }
}

TEST_MAIN(am_dispatch, TEST_ROW(am_dispatch, groups_wait_then_follow_their_interval),
          TEST_ROW(am_dispatch, a_failed_flush_keeps_what_is_resolved),
          TEST_ROW(am_dispatch, a_running_group_is_not_taken_again_but_then_at_once),
          TEST_ROW(am_dispatch, an_update_during_a_flush_survives_it),
          TEST_ROW(am_dispatch, what_a_flush_notes_of_an_alert_stays_with_it),
          TEST_ROW(am_dispatch, inhibition_is_the_originals))
