// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_config.h"

#include "alertmanager/am_route.h"
#include "alertmanager/am_test_util.h"

#define RECEIVERS "receivers: [{name: a}, {name: b}, {name: c}, {name: d}]\n"

static AmConfig *parse(const char *text, Error *err)
{
    AmConfig *config;
    return am_config_parse(str_from_c(text), S("am.yml"), STR_NONE, AM_MATCHER_FALLBACK, &config,
                           err)
               ? config
               : NULL;
}

TEST(am_config, settings_that_the_original_takes_are_taken)
{
    static const char *const cases[] = {
        "email_configs: [{to: x, from: y, smarthost: 'z:1', auth_secret: a, auth_secret_file: b}]",
        "mattermost_configs: [{webhook_url: 'http://x', priority: {priority: other}}]",
        "mattermost_configs: [{webhook_url: 'http://x', priority: {}}]",
        "incidentio_configs: [{url: 'http://x'}]",
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(buf_deinit) Buf text = {0};
        Error err = {0};
        buf_printf(&text, "route: {receiver: a}\nreceivers: [{name: a, %s}]\n", cases[i]);

        buf_add_char(&text, 0);

        AmConfig *config = parse(buf_str(&text).ptr, &err);

        CHECK_STR(str_from_c(err.text), STR_NONE);
        CHECK(config != NULL);
        am_config_unref(config);
    }
}

TEST(am_config, faults_name_their_place)
{
    static const struct {
        const char *name;
        const char *text, *want;
    } cases[] = {
        {"empty", "", "no route provided in config"},
        {"no receiver", "route: {}\n" RECEIVERS,
         "am.yml:1:8: root route must specify a default receiver"},
        {"unknown receiver", "route: {receiver: x}\n" RECEIVERS,
         "undefined receiver \"x\" used in route"},
        {"matchers at the root", "route: {receiver: a, matchers: [a=b]}\n" RECEIVERS,
         "root route must not have any matchers"},
        {"continue at the root", "route: {receiver: a, continue: true}\n" RECEIVERS, "continue"},
        {"twice the same receiver", "route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n",
         "am.yml:2:24: notification config name \"a\" is not unique"},
        {"unknown key", "route: {receiver: a, foo: 1}\n" RECEIVERS, "foo"},
        {"unknown interval",
         "route: {receiver: a, routes: [{mute_time_intervals: [x]}]}\n" RECEIVERS,
         "undefined time interval \"x\" used in route"},
        {"all and more", "route: {receiver: a, group_by: ['...', b]}\n" RECEIVERS,
         "cannot have wildcard group_by (`...`) and other labels at the same time"},
        {"twice the same label", "route: {receiver: a, group_by: [b, b]}\n" RECEIVERS,
         "duplicated label \"b\" in group_by"},
        {"no interval", "route: {receiver: a, group_interval: 0s}\n" RECEIVERS,
         "group_interval cannot be zero"},
        {"no repeat", "route: {receiver: a, repeat_interval: 0s}\n" RECEIVERS,
         "repeat_interval cannot be zero"},
        {"receiver without a name", "route: {receiver: a}\nreceivers: [{}]\n",
         "missing name in receiver"},
        {"webhook without URL",
         "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{}]}]\n",
         "one of url or url_file must be configured"},
        {"webhook with a bad URL",
         "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'ftp://x'}]}]\n",
         "unsupported scheme \"ftp\" for URL"},
        {"bad matcher", "route: {receiver: a, routes: [{matchers: ['foo']}]}\n" RECEIVERS,
         "am.yml:1:43: bad matcher format: foo"},
        {"bad weekday",
         "route: {receiver: a}\ntime_intervals: [{name: x, time_intervals: [{weekdays: "
         "['saturday:sunday']}]}]\n" RECEIVERS,
         "start day cannot be after end day"},
        {"bad day",
         "route: {receiver: a}\ntime_intervals: [{name: x, time_intervals: [{days_of_month: "
         "['0']}]}]\n" RECEIVERS,
         "0 is not a valid day of the month"},
        {"a bad template for a URL",
         "route: {receiver: a}\n"
         "receivers: [{name: a, webhook_configs: [{url: '{{ .x'}]}]\n",
         "invalid template syntax: "},
        {"a mail server without a port",
         "route: {receiver: a}\n"
         "receivers: [{name: a, email_configs: [{to: x, from: y, smarthost: z}]}]\n",
         "address z: missing port in address"},
        {"an external id of no role",
         "route: {receiver: a}\n"
         "receivers: [{name: a, sns_configs: [{topic_arn: x, sigv4: {external_id: y}}]}]\n",
         "external_id can only be used with role_arn"},
        {"slack without a URL",
         "route: {receiver: a}\n"
         "receivers: [{name: a, slack_configs: [{http_config: {authorization: {credentials: "
         "x}}}]}]\n",
         "no Slack API URL nor App token set"},
        {"a bad template for a type",
         "route: {receiver: a}\n"
         "receivers: [{name: a, opsgenie_configs: [{api_key: x, responders: [{id: y, type: '{{ "
         ".x'}]}]}]\n",
         "type contains invalid template syntax: "},
        {"an empty name of a label",
         "route: {receiver: a}\ninhibit_rules: [{equal: ['']}]\n" RECEIVERS,
         "invalid label name \"\" in equal list"},
    };

    EACH_CASE(c, cases) {
        Error err = {0};

        AmConfig *config = parse(c->text, &err);

        CHECK(config == NULL);
        CHECK_HAS(err.text, c->want);
    }
}

TEST(am_config, what_is_printed_can_be_read_and_printed_again)
{
    static const char text[] =
        "global: {slack_api_url: 'http://x/y', smtp_smarthost: 'h:25', smtp_from: a@b.c}\n"
        "route: {receiver: a, group_by: ['...'], routes: [{matchers: ['a=\"b\",c=~\"d.*\"'], "
        "continue: true, "
        "group_wait: 0s, receiver: a}]}\n"
        "inhibit_rules: [{source_matchers: [a=b], target_match: {c: d}, equal: [e]}]\n"
        "time_intervals: [{name: t, time_intervals: [{weekdays: ['monday:friday'], times: "
        "[{start_time: '09:00', "
        "end_time: '24:00'}], location: Europe/Berlin}]}]\n"
        "receivers: [{name: a, slack_configs: [{channel: c}], email_configs: [{to: x@y.z}], "
        "webhook_configs: [{url: 'http://x', payload: {a: [1, 'x'], b: {c: null}}}]}]\n";
    CLEANUP(buf_deinit) Buf once = {0};
    CLEANUP(buf_deinit) Buf twice = {0};
    Error err = {0};
    AmConfig *config = parse(text, &err);
    CHECK_OK(config != NULL, err);
    am_config_print(&once, config);
    am_config_unref(config);
    buf_add_char(&once, 0);
    once.len--;

    config = parse(once.ptr, &err);
    CHECK_OK(config != NULL, err);
    am_config_print(&twice, config);
    CHECK_STR(buf_str(&twice), buf_str(&once));
    CHECK_HAS(once.ptr, "slack_api_url: <secret>");
    CHECK_HAS(once.ptr, "group_wait: 0s");
    am_config_unref(config);
}

TEST(am_config, routes_are_taken_in_order)
{
    static const char text[] =
        "route:\n  receiver: a\n  group_by: [job]\n  routes:\n"
        "  - {matchers: [s=x], receiver: b, continue: true}\n"
        "  - {match_re: {s: x|y}, receiver: c, group_by: [], routes: "
        "[{matchers: [deep=1], receiver: d}]}\n"
        "  - {matchers: [s=x], receiver: d, group_by: ['...', '...']}\n" RECEIVERS;
    static const struct {
        const char *name;
        const char *labels, *want;
    } cases[] = {
        {"nothing fits", "s=z", "a{}"},
        {"goes on", "s=x", "b{}/{s=\"x\"} c{}/{s=~\"^(?:x|y)$\"}"},
        {"stops", "s=y", "c{}/{s=~\"^(?:x|y)$\"}"},
        {"a child takes it", "s=y,deep=1", "d{}/{s=~\"^(?:x|y)$\"}/{deep=\"1\"}"},
    };
    Error err = {0};
    AmConfig *config = parse(text, &err);
    AmRouteTree tree = {0};
    CHECK_OK(config != NULL, err);
    CHECK_OK(am_route_tree_init(&tree, config, &err), err);

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        AmRouteList list = {0};

        am_route_match(tree.root, test_labels(&arena, c->labels), &list);

        for (size_t i = 0; i < list.count; i++)
            buf_printf(&got, "%s" STR_FMT STR_FMT, i ? " " : "", STR_ARG(list.items[i]->receiver),
                       STR_ARG(list.items[i]->key));
        CHECK_STR(buf_str(&got), str_from_c(c->want));
        am_route_list_deinit(&list);
    }

    CHECK_EQ(tree.root->children[0].group_by_count, 1);
    CHECK_EQ(tree.root->children[1].group_by_count, 0);
    CHECK(!tree.root->children[1].group_by_all);
    CHECK(tree.root->children[2].group_by_all);
    am_route_tree_deinit(&tree);
    am_config_unref(config);
}

TEST(am_config, intervals_hold_moments)
{
    static const struct {
        const char *name;
        const char *spec;
        int64_t unix_s; // 2026-11-20 is a Friday
        bool want;
    } cases[] = {
        {"nothing said is always", "{}", 1795174200, true},
        {"an empty list is never", "{weekdays: []}", 1795174200, false},
        {"a weekday", "{weekdays: [friday]}", 1795174200, true},
        {"another", "{weekdays: ['monday:thursday']}", 1795174200, false},
        {"begin is inside", "{times: [{start_time: '10:30', end_time: '11:00'}]}", 1795170600,
         true},
        {"end is outside", "{times: [{start_time: '10:00', end_time: '10:30'}]}", 1795170600,
         false},
        {"to midnight", "{times: [{start_time: '10:00', end_time: '24:00'}]}", 1795170600, true},
        {"a zone", "{times: [{start_time: '11:00', end_time: '12:00'}], location: Europe/Berlin}",
         1795170600, true},
        {"days from the end", "{days_of_month: ['-11']}", 1795170600, true},
        {"days", "{days_of_month: ['1:19']}", 1795170600, false},
        {"a month by name", "{months: ['october:december']}", 1795170600, true},
        {"a month by number", "{months: ['10']}", 1795170600, false},
        {"years", "{years: ['2020:2026']}", 1795170600, true},
        {"all must hold", "{weekdays: [friday], months: [may]}", 1795170600, false},
    };

    EACH_CASE(c, cases) {
        char text[500];
        Error err = {0};
        snprintf(
            text, sizeof text,
            "route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [%s]}]\n" RECEIVERS,
            c->spec);
        AmConfig *config = parse(text, &err);
        CHECK_OK(config != NULL, err);

        CHECK_EQ(am_interval_contains(am_config_interval(config, S("t")), c->unix_s), c->want);
        am_config_unref(config);
    }
}

TEST_MAIN(am_config, TEST_ROW(am_config, settings_that_the_original_takes_are_taken),
          TEST_ROW(am_config, faults_name_their_place),
          TEST_ROW(am_config, what_is_printed_can_be_read_and_printed_again),
          TEST_ROW(am_config, routes_are_taken_in_order),
          TEST_ROW(am_config, intervals_hold_moments))
