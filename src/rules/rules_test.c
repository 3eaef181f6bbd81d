// SPDX-License-Identifier: Apache-2.0
// Rules over a store in memory, with the real engine and a clock that stands still.
#include "rules/rules.h"

#include "base/test.h"
#include "rules/rules_fake.h"

#define RECORD(name, expr) "  - record: " name "\n    expr: " expr "\n"
#define GROUP "groups:\n- name: g\n  interval: 60s\n  rules:\n"

// ---- recording ----

TEST(rules, recording_rules_write_under_their_name)
{
    Lab *lab = lab_new();
    Error err = {0};
    fake_put(lab->store, "m{job=\"a\",host=\"x\"}", 1000, 2);
    fake_put(lab->store, "m{job=\"b\",host=\"y\"}", 1000, 3);

    lab_apply(lab, "groups:\n- name: g\n  labels: {team: t, kind: group}\n  rules:\n" RECORD(
                       "r", "m * 2") "    labels: {kind: rule, host: ''}\n" RECORD("s", "7"));
    CHECK_OK(lab_evaluate(lab, 2000, &err), err);

    CHECK_STR(fake_show(lab->store, "r{job=\"a\",kind=\"rule\",team=\"t\"}", &lab->arena),
              S("2:4"));
    CHECK_STR(fake_show(lab->store, "r{job=\"b\",kind=\"rule\",team=\"t\"}", &lab->arena),
              S("2:6"));
    CHECK_STR(fake_show(lab->store, "s{kind=\"group\",team=\"t\"}", &lab->arena), S("2:7"));
    lab_free(lab);
}

TEST(rules, later_rules_see_earlier_results)
{
    Lab *lab = lab_new();
    Error err = {0};
    lab_apply(lab, GROUP RECORD("a", "1") RECORD("b", "a + 1") RECORD("c", "b + 1"));

    CHECK_OK(lab_evaluate(lab, 60000, &err), err);

    CHECK_STR(fake_show(lab->store, "c", &lab->arena), S("60:3"));
    lab_free(lab);
}

TEST(rules, series_that_vanish_get_a_marker)
{
    Lab *lab = lab_new();
    Error err = {0};
    lab_apply(lab, GROUP RECORD("r", "m > 1"));
    static const double values[][3] = {{2, 2, 2}, {2, 0, 2}, {2, 0, 0}, {2, 2, 0}};
    for (int t = 0; t < 4; t++) {
        fake_put(lab->store, "m{i=\"0\"}", t * 60000, values[t][0]);
        fake_put(lab->store, "m{i=\"1\"}", t * 60000, values[t][1]);
        fake_put(lab->store, "m{i=\"2\"}", t * 60000, values[t][2]);
        CHECK_OK(lab_evaluate(lab, t * 60000, &err), err);
    }

    CHECK_STR(fake_show(lab->store, "r{i=\"0\"}", &lab->arena), S("0:2 60:2 120:2 180:2"));
    CHECK_STR(fake_show(lab->store, "r{i=\"1\"}", &lab->arena), S("0:2 60:stale 180:2"));
    CHECK_STR(fake_show(lab->store, "r{i=\"2\"}", &lab->arena), S("0:2 60:2 120:stale"));
    lab_free(lab);
}

TEST(rules, known_series_are_not_asked_for_again)
{
    Lab *lab = lab_new();
    Error err = {0};
    lab_apply(lab, GROUP RECORD("r", "m"));
    for (int i = 0; i < 10; i++) {
        char series[64];
        snprintf(series, sizeof series, "m{i=\"%d\"}", i);
        for (int t = 0; t < 3; t++)
            fake_put(lab->store, series, t * 60000, 1);
    }
    CHECK_OK(lab_evaluate(lab, 0, &err), err);
    size_t asked = lab->store->asked;
    CHECK_OK(lab_evaluate(lab, 60000, &err), err);
    CHECK_EQ(lab->store->asked, asked);

    // The store forgets all series: they are asked for, and found, again.
    lab->store->gone_below = lab->store->count + 1;
    CHECK_OK(lab_evaluate(lab, 120000, &err), err);
    CHECK_EQ(lab->store->asked, asked + 10);
    CHECK_EQ(lab->store->count, 30);
    lab_free(lab);
}

TEST(rules, failures_are_told_and_leave_the_series_alone)
{
    static const struct {
        const char *name;
        const char *yaml;
        const char *want;
    } cases[] = {
        {"equal label sets", GROUP RECORD("r", "m") "    labels: {i: ''}\n",
         "vector contains metrics with the same labelset after applying rule labels"},
        {"more than the limit", "groups:\n- name: g\n  limit: 1\n  rules:\n" RECORD("r", "m"),
         "exceeded limit of 1 with 2 series"},
        {"more alerts than the limit",
         "groups:\n- name: g\n  limit: 1\n  rules:\n  - alert: A\n    expr: m\n",
         "exceeded limit of 1 with 2 alerts"},
        {"equal alerts", GROUP "  - alert: A\n    expr: m\n    labels: {i: same}\n",
         "vector contains metrics with the same labelset after applying alert labels"},
        {"many to many", GROUP RECORD("r", "m + on () m"), "many-to-many"},
        {"a range", GROUP RECORD("r", "m[5m]"), "rule result is not a vector or scalar"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        Error err = {0};
        RulesSnapshot shown;
        fake_put(lab->store, "m{i=\"0\"}", 0, 1);
        fake_put(lab->store, "m{i=\"1\"}", 0, 1);
        lab_apply(lab, c->yaml);

        CHECK(!lab_evaluate(lab, 0, &err));

        CHECK_HAS(err.text, c->want);
        rules_manager_snapshot(lab->manager, true, &lab->arena, &shown);
        CHECK_EQ(shown.groups[0].rules[0].health, RULE_FAILED);
        CHECK_HAS(str_to_c(&lab->arena, shown.groups[0].rules[0].last_error), c->want);
        CHECK_EQ(shown.groups[0].rules[0].alert_count, 0);
        rules_snapshot_free(&shown);
        lab_free(lab);
    }
}

TEST(rules, a_commit_that_fails_is_a_failed_rule)
{
    Lab *lab = lab_new();
    Error err = {0};
    lab_apply(lab, GROUP RECORD("r", "1"));
    lab->store->refuse_commit = true;

    CHECK(!lab_evaluate(lab, 0, &err));

    CHECK_HAS(err.text, "the disk is full");
    lab->store->refuse_commit = false;
    CHECK_OK(lab_evaluate(lab, 60000, &err), err);
    CHECK_STR(fake_show(lab->store, "r", &lab->arena), S("60:1"));
    lab_free(lab);
}

TEST(rules, the_query_offset_moves_queries_and_results)
{
    Lab *lab = lab_new();
    Error err = {0};
    for (int t = 0; t <= 5; t++)
        fake_put(lab->store, "m", t * 60000, t);
    lab->query_offset_ms = 60000;
    lab_apply(lab, "groups:\n- name: a\n  rules:\n" RECORD(
                       "r", "m") "- name: b\n  query_offset: 2m\n  rules:\n" RECORD("s", "m"));

    CHECK_OK(lab_evaluate(lab, 300000, &err), err);

    CHECK_STR(fake_show(lab->store, "r", &lab->arena), S("240:4"));
    CHECK_STR(fake_show(lab->store, "s", &lab->arena), S("180:3"));
    lab_free(lab);
}

// ---- alerts ----

// Evaluates each minute with m at 1 or 0 and shows the state: '.' inactive, p pending, f firing.
static void play(Lab *lab, const char *values, int first, char *states)
{
    Error err = {0};
    for (int i = 0; values[i]; i++) {
        RulesSnapshot shown;
        int64_t t_ms = (first + i) * INT64_C(60000);
        fake_put(lab->store, "m", t_ms, values[i] - '0');
        CHECK_OK(lab_evaluate(lab, t_ms, &err), err);
        rules_manager_snapshot(lab->manager, true, &lab->arena, &shown);
        const RuleInfo *rule = &shown.groups[0].rules[0];
        states[i] = rule->alert_count ? ".pf"[rule->alerts[0].state] : '.';
        states[i + 1] = 0;
        rules_snapshot_free(&shown);
    }
}

TEST(rules, alerts_go_through_their_states)
{
    static const struct {
        const char *name;
        const char *times; // for, keep_firing_for
        const char *values;
        const char *want;
    } cases[] = {
        {"at once", "", "0110010", ".ff..f."},
        {"after a while", "    for: 2m\n", "01111001", ".ppff..p"},
        {"pending is forgotten", "    for: 2m\n", "0110110111", ".pp.pp.ppf"},
        {"kept for a while", "    keep_firing_for: 2m\n", "010000", ".fff.."},
        {"kept, back before its end", "    keep_firing_for: 2m\n", "0100100000", ".ffffff..."},
        {"both", "    for: 1m\n    keep_firing_for: 3m\n", "0110000011", ".pffff..pf"},
        {"pending is not kept", "    for: 2m\n    keep_firing_for: 9m\n", "0110011", ".pp..pp"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        char states[64];
        CLEANUP(buf_deinit) Buf yaml = {0};
        buf_printf(&yaml, GROUP "  - alert: A\n    expr: m > 0\n%s", c->times);
        buf_add_char(&yaml, 0);
        lab_apply(lab, yaml.ptr);

        play(lab, c->values, 0, states);

        CHECK_STR(str_from_c(states), str_from_c(c->want));
        lab_free(lab);
    }
}

TEST(rules, alerts_are_seen_as_series)
{
    Lab *lab = lab_new();
    char states[64];
    lab_apply(lab, GROUP "  - alert: A\n    expr: m > 0\n    for: 1m\n    labels: {sev: page}\n");

    play(lab, "0110", 10, states);

    CHECK_STR(fake_show(lab->store, "ALERTS{alertname=\"A\",alertstate=\"pending\",sev=\"page\"}",
                        &lab->arena),
              S("660:1 720:stale"));
    CHECK_STR(fake_show(lab->store, "ALERTS{alertname=\"A\",alertstate=\"firing\",sev=\"page\"}",
                        &lab->arena),
              S("720:1 780:stale"));
    CHECK_STR(fake_show(lab->store, "ALERTS_FOR_STATE{alertname=\"A\",sev=\"page\"}", &lab->arena),
              S("660:660 720:660 780:stale"));
    lab_free(lab);
}

TEST(rules, alerts_are_sent_when_they_are_due)
{
    static const struct {
        const char *name;
        const char *times;
        const char *values;
        const char *want;
    } cases[] = {
        {"fires, is repeated after more than the delay, is resolved", "", "0111100",
         "60 A 60-300\n180 A 60-420\n300 A 60-300\n"},
        {"pending is not told", "    for: 5m\n", "01111", ""},
        {"resolved is told again for a quarter of an hour", "", "100000000000000000000",
         "0 A 0-240\n60 A 0-60\n180 A 0-60\n300 A 0-60\n420 A 0-60\n540 A 0-60\n660 A 0-60\n"
         "780 A 0-60\n900 A 0-60\n"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        char states[64];
        CLEANUP(buf_deinit) Buf yaml = {0};
        buf_printf(&yaml, GROUP "  - alert: A\n    expr: m > 0\n%s", c->times);
        buf_add_char(&yaml, 0);
        lab_apply(lab, yaml.ptr);

        play(lab, c->values, 0, states);

        CHECK_STR(buf_str(&lab->sent), str_from_c(c->want));
        lab_free(lab);
    }
}

TEST(rules, templates_see_the_alert)
{
    static const struct {
        const char *name;
        const char *text;
        const char *want;
    } cases[] = {
        {"plain", "all of it", "all of it"},
        {"value and labels", "{{ $value }} on {{ $labels.host }}", "1.5 on x"},
        {"dot", "{{ .Labels.host }}={{ .Value | humanize }}", "x=1.5"},
        {"the metric's name", "{{ $labels.__name__ }}", "m"},
        {"a label that is not there", "[{{ $labels.nope }}]", "[]"},
        {"external", "{{ $externalLabels.dc }} {{ $externalURL }}", "east http://host:9090"},
        {"a query", "{{ with query \"m * 2\" }}{{ . | first | value }}{{ end }}", "3"},
        {"a failure", "{{ $value | first }}",
         "<error expanding template: error executing template __alert_"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        Error err = {0};
        RulesSnapshot shown;
        Label dc = {STR("dc"), STR("east")};
        CLEANUP(buf_deinit) Buf yaml = {0};
        lab->external = (Labels){&dc, 1};
        fake_put(lab->store, "m{host=\"x\"}", 0, 1.5);
        buf_printf(&yaml,
                   GROUP "  - alert: A\n    expr: m\n    labels: {l: 'l {{ $labels.host }}'}\n"
                         "    annotations: {a: '%s'}\n",
                   c->text);
        buf_add_char(&yaml, 0);
        lab_apply(lab, yaml.ptr);

        CHECK_OK(lab_evaluate(lab, 0, &err), err);

        rules_manager_snapshot(lab->manager, true, &lab->arena, &shown);
        const AlertInfo *alert = &shown.groups[0].rules[0].alerts[0];
        CHECK_STR(labels_get(alert->labels, S("l")), S("l x"));
        CHECK_STR(labels_get(alert->labels, S("__name__")), S(""));
        CHECK_HAS(str_to_c(&lab->arena, labels_get(alert->annotations, S("a"))), c->want);
        rules_snapshot_free(&shown);
        lab_free(lab);
    }
}

// ---- reload ----

TEST(rules, a_reload_keeps_what_is_the_same)
{
    static const struct {
        const char *name;
        const char *yaml; // after the reload
        const char *want; // states from then on
    } cases[] = {
        {"nothing changed", GROUP "  - alert: A\n    expr: m > 0\n    for: 3m\n", "pf"},
        {"another rule in front",
         GROUP RECORD("r", "1") "  - alert: A\n    expr: m > 0\n    for: 3m\n",
         ".."}, // shows the first rule
        {"another interval",
         "groups:\n- name: g\n  interval: 30s\n  rules:\n  - alert: A\n    expr: m > 0\n    for: "
         "3m\n",
         "pf"},
        {"another expression", GROUP "  - alert: A\n    expr: m >= 1\n    for: 3m\n", "pf"},
        {"longer", GROUP "  - alert: A\n    expr: m > 0\n    for: 4m\n", "pp"},
        {"other labels", GROUP "  - alert: A\n    expr: m > 0\n    for: 3m\n    labels: {a: b}\n",
         "pp"},
        {"another name", GROUP "  - alert: B\n    expr: m > 0\n    for: 3m\n", "pp"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        char states[64];
        lab_apply(lab, GROUP "  - alert: A\n    expr: m > 0\n    for: 3m\n");
        play(lab, "11", 0, states);
        CHECK_STR(str_from_c(states), S("pp"));

        lab_apply(lab, c->yaml);
        play(lab, "11", 2, states);

        CHECK_STR(str_from_c(states), str_from_c(c->want));
        lab_free(lab);
    }
}

TEST(rules, a_firing_alert_whose_for_grew_is_pending_again)
{
    Lab *lab = lab_new();
    char states[64];
    lab_apply(lab, GROUP "  - alert: A\n    expr: m > 0\n    for: 1m\n");
    play(lab, "111", 0, states);
    CHECK_STR(str_from_c(states), S("pff"));

    lab_apply(lab, GROUP "  - alert: A\n    expr: m > 0\n    for: 5m\n");
    play(lab, "1111", 3, states);

    CHECK_STR(str_from_c(states), S("ppff"));
    lab_free(lab);
}

TEST(rules, rules_that_a_reload_takes_away_leave_markers)
{
    Lab *lab = lab_new();
    Error err = {0};
    lab_apply(lab, GROUP RECORD("a", "1") RECORD("b", "2"));
    CHECK_OK(lab_evaluate(lab, 0, &err), err);

    lab_apply(lab, GROUP RECORD("b", "2"));
    CHECK_OK(lab_evaluate(lab, 60000, &err), err);

    CHECK_STR(fake_show(lab->store, "a", &lab->arena), S("0:1 60:stale"));
    CHECK_STR(fake_show(lab->store, "b", &lab->arena), S("0:2 60:2"));
    lab_free(lab);
}

TEST(rules, a_bad_file_changes_nothing)
{
    Lab *lab = lab_new();
    RuleSet *set;
    Error err = {0};
    lab_apply(lab, GROUP RECORD("a", "1"));

    CHECK(!lab_load(lab, GROUP RECORD("a", "1 +"), &set, &err));

    CHECK_HAS(err.text, "rules.yml:6:11: group \"g\", rule 1, \"a\": could not parse expression");
    CHECK_OK(lab_evaluate(lab, 0, &err), err);
    CHECK_STR(fake_show(lab->store, "a", &lab->arena), S("0:1"));
    lab_free(lab);
}

// ---- restoration ----

TEST(rules, the_for_state_survives_a_restart)
{
    static const struct {
        const char *name;
        int64_t for_min;
        int64_t pending_min; // before the stop
        int64_t down_min;
        int64_t want_active_s; // after the start, with times from the first start
    } cases[] = {
        // 20 of 60 minutes are served, 40 remain: the time away does not count.
        {"the time away does not count", 60, 20, 15, (60 + 15) * 60},
        // 5 minutes remain, less than the grace of 10: fires 10 minutes after the restoration.
        {"not before the grace period", 60, 55, 15, (60 + 55 + 15 + 10 - 60) * 60},
        // It was firing: the next evaluation makes it fire again by itself.
        {"firing begins anew", 20, 30, 15, (60 + 30 + 15) * 60},
        {"too long ago", 60, 20, 90, (60 + 20 + 90) * 60},
        {"shorter than the grace period", 5, 3, 1, (60 + 3 + 1) * 60},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        Error err = {0};
        RulesSnapshot shown;
        CLEANUP(buf_deinit) Buf yaml = {0};
        buf_printf(&yaml,
                   GROUP "  - alert: A\n    expr: vector(1)\n    for: %lldm\n    labels: {a: b}\n",
                   (long long)c->for_min);
        buf_add_char(&yaml, 0);
        lab_apply(lab, yaml.ptr);
        for (int64_t t = 60; t <= 60 + c->pending_min; t++)
            CHECK_OK(lab_evaluate(lab, t * 60000, &err), err);

        int64_t up_ms = (60 + c->pending_min + c->down_min) * 60000;
        lab->clock.now_ms_value = up_ms;
        lab_restart(lab, true);
        lab_apply(lab, yaml.ptr);
        RuleGroup *group = lab->manager->groups[0];
        CHECK_OK(lab_evaluate(lab, up_ms, &err), err);
        if (group->wants_restore)
            rule_group_restore(group, up_ms);

        CHECK(group->rules[0].restored);
        rules_manager_snapshot(lab->manager, true, &lab->arena, &shown);
        CHECK_EQ(shown.groups[0].rules[0].alerts[0].active_at_ms / 1000, c->want_active_s);
        rules_snapshot_free(&shown);
        lab_free(lab);
    }
}

TEST(rules, alert_series_wait_for_the_restoration)
{
    Lab *lab = lab_new();
    Error err = {0};
    const char *yaml = GROUP "  - alert: A\n    expr: vector(1)\n    for: 1h\n";
    lab_apply(lab, yaml);
    CHECK_OK(lab_evaluate(lab, 60000, &err), err);
    lab->clock.now_ms_value = 120000;
    lab_restart(lab, true);
    lab_apply(lab, yaml);

    CHECK_OK(lab_evaluate(lab, 120000, &err), err);
    CHECK_STR(fake_show(lab->store, "ALERTS_FOR_STATE{alertname=\"A\"}", &lab->arena), S("60:60"));
    rule_group_restore(lab->manager->groups[0], 120000);
    CHECK_OK(lab_evaluate(lab, 180000, &err), err);

    CHECK_STR(fake_show(lab->store, "ALERTS_FOR_STATE{alertname=\"A\"}", &lab->arena),
              S("60:60 180:120"));
    lab_free(lab);
}

// ---- times ----

TEST(rules, slots_are_those_of_the_original)
{
    // Seen in Prometheus 3.5.3.
    static const struct {
        const char *name;
        Str group;
        int64_t interval_ms;
        int64_t now_ms;
        int64_t want_ms;
    } cases[] = {
        {"g", STR("g"), 2000, 1795238709000, 1795238708773},
        {"h", STR("h"), 3000, 1795238709000, 1795238707995},
    };
    EACH_CASE(c, cases) {
        int64_t slot_ns = rules_slot_ns(S("rr.yml"), c->group, c->interval_ms, c->now_ms * 1000000);
        int64_t next_ns = slot_ns + c->interval_ms * 1000000;

        CHECK_EQ(slot_ns / 1000000, c->want_ms);
        CHECK_EQ(rules_slot_ns(S("rr.yml"), c->group, c->interval_ms, next_ns - 1), slot_ns);
        CHECK_EQ(rules_slot_ns(S("rr.yml"), c->group, c->interval_ms, next_ns), next_ns);
    }
}

TEST(rules, ticks_lead_from_slot_to_slot)
{
    static const struct {
        const char *name;
        int64_t end_ms;  // of the evaluation that was due at 0
        int64_t want_ms; // when the next is due
        int64_t now_ms;  // the wall clock then, slot at 0
        int64_t want_steps;
    } cases[] = {
        {"in time", 100, 1000, 1000, 1},
        {"a little early by the clock", 100, 1000, 999, 1},
        {"late, one tick waits", 1500, 1000, 1500, 1},
        {"very late, ticks are lost", 3700, 3000, 3700, 3},
        {"the clock was set back", 100, 1000, 500, 0},
        {"the clock was set back far", 100, 1000, -5000, -4},
        {"the clock was set forward", 100, 1000, 7000, 7},
    };
    EACH_CASE(c, cases) {
        RuleGroup group = {.interval_ms = 1000};

        rule_group_schedule_next(&group, c->end_ms * 1000000);

        CHECK_EQ(group.due_ns, c->want_ms * 1000000);
        CHECK_EQ(rule_group_advance(&group, c->now_ms), c->want_steps);
        CHECK_EQ(group.slot_ns, c->want_steps * 1000 * 1000000);
    }
}

// ---- dependencies ----

TEST(rules, dependencies_are_found)
{
    static const struct {
        const char *name;
        const char *rules;
        const char *
            want; // per rule: i independent, r is read, d depends, b both; ? for all: not to be told
    } cases[] = {
        {"none", RECORD("a", "x") RECORD("b", "y"), "ii"},
        {"a chain", RECORD("a", "x") RECORD("b", "a + y") RECORD("c", "sum(b)"), "rbd"},
        {"itself", RECORD("a", "a or vector(1)"), "b"},
        {"a later one", RECORD("a", "b") RECORD("b", "x"), "dr"},
        {"by pattern", RECORD("a", "'{__name__=~\"b.*\"}'") RECORD("bc", "x"), "dr"},
        {"any series", RECORD("a", "'{job=\"x\"}'") RECORD("b", "y"), "??"},
        {"alerts", RECORD("a", "ALERTS") "  - alert: B\n    expr: a\n", "??"},
        {"an alert reads", RECORD("a", "x") "  - alert: B\n    expr: a\n", "rd"},
        {"an alert of that name", RECORD("a", "B") "  - alert: B\n    expr: x\n", "ii"},
    };
    EACH_CASE(c, cases) {
        Lab *lab = lab_new();
        CLEANUP(buf_deinit) Buf yaml = {0};
        char got[16] = "";
        buf_printf(&yaml, GROUP "%s", c->rules);
        buf_add_char(&yaml, 0);
        lab_apply(lab, yaml.ptr);
        const RuleGroup *group = lab->manager->groups[0];
        for (size_t i = 0; i < group->rule_count; i++)
            got[i] =
                group->is_indeterminate
                    ? '?'
                    : "irdb"[group->rules[i].has_dependents + 2 * group->rules[i].has_dependencies];

        CHECK_STR(str_from_c(got), str_from_c(c->want));
        lab_free(lab);
    }
}

TEST_MAIN(rules, TEST_ROW(rules, recording_rules_write_under_their_name),
          TEST_ROW(rules, later_rules_see_earlier_results),
          TEST_ROW(rules, series_that_vanish_get_a_marker),
          TEST_ROW(rules, known_series_are_not_asked_for_again),
          TEST_ROW(rules, failures_are_told_and_leave_the_series_alone),
          TEST_ROW(rules, a_commit_that_fails_is_a_failed_rule),
          TEST_ROW(rules, the_query_offset_moves_queries_and_results),
          TEST_ROW(rules, alerts_go_through_their_states),
          TEST_ROW(rules, alerts_are_seen_as_series),
          TEST_ROW(rules, alerts_are_sent_when_they_are_due),
          TEST_ROW(rules, templates_see_the_alert),
          TEST_ROW(rules, a_reload_keeps_what_is_the_same),
          TEST_ROW(rules, a_firing_alert_whose_for_grew_is_pending_again),
          TEST_ROW(rules, rules_that_a_reload_takes_away_leave_markers),
          TEST_ROW(rules, a_bad_file_changes_nothing),
          TEST_ROW(rules, the_for_state_survives_a_restart),
          TEST_ROW(rules, alert_series_wait_for_the_restoration),
          TEST_ROW(rules, slots_are_those_of_the_original),
          TEST_ROW(rules, ticks_lead_from_slot_to_slot), TEST_ROW(rules, dependencies_are_found))
