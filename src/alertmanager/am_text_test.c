// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_text.h"

#include "alertmanager/am_test_util.h"

static Str value_of(const void *labels, size_t index)
{
    return ((const Labels *)labels)->pairs[index].value;
}

TEST(am_text, what_labels_say_is_left_out_and_comes_back)
{
    static const struct {
        const char *name, *labels;
        Str text, want_kept;
    } cases[] = {
        {"values become marks", "namespace=team-1,pod=web-7d9f", STR("Pod team-1/web-7d9f is down"),
         STR("Pod \xFF\x00/\xFF\x01 is down")},
        {"the longest value", "a=web,b=web-1", STR("web-1 web"), STR("\xFF\x01 \xFF\x00")},
        {"the first of equal ones", "a=same,b=same", STR("same"), STR("\xFF\x00")},
        {"short values stay", "a=ab", STR("ab ab"), STR("ab ab")},
        {"no value in it", "a=value", STR("val valu vvalu"), STR("val valu vvalu")},
        {"a byte that is the mark", "a=value", STR("\xFFvalue\xFF"),
         STR("\xFF\xFF\xFF\x00\xFF\xFF")},
        {"an empty text", "a=value", STR(""), STR("")},
        {"no labels", "", STR("text"), STR("text")},
        {"a value cut short at the end", "a=value", STR("value valu"), STR("\xFF\x00 valu")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf kept = {0};
        AmTextCoder coder;
        Labels labels = test_labels(&arena, c->labels);

        am_text_coder_init(&coder, labels);
        am_text_add(&kept, &coder, c->text);

        CHECK_STR(buf_str(&kept), c->want_kept);
        CHECK_STR(am_text_read(buf_str(&kept), value_of, &labels, &arena), c->text);
        CHECK(am_text_is(buf_str(&kept), value_of, &labels, c->text));
        CHECK(!am_text_is(buf_str(&kept), value_of, &labels, S("other")));
        CHECK(c->text.len == 0 || !am_text_is(buf_str(&kept), value_of, &labels, STR_NONE));
    }
}

TEST(am_text, alerts_of_a_rule_share_what_is_left)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    AmAlert *alerts[20];
    for (size_t i = 0; i < COUNT_OF(alerts); i++) {
        Str pod = arena_printf(&arena, "pod-%zu", i);
        Label labels[] = {{S("pod"), pod}};
        Label annotations[] = {
            {S("summary"), arena_printf(&arena, "the " STR_FMT " is down", STR_ARG(pod))},
            {S("url"), S("https://x")}};
        AmAlertInput input = {.labels = {labels, 1}, .annotations = {annotations, 2}};

        alerts[i] = am_alert_new(&input, 0, false);

        Labels got = am_alert_annotations(alerts[i], &arena);
        CHECK_STR(got.pairs[0].value, annotations[0].value);
        CHECK(am_alert_has_annotation(alerts[i], annotations[0]));
        CHECK(i == 0 || !am_alert_has_annotation(alerts[0], annotations[0]));
        CHECK(am_alert_has_annotation(alerts[i], (Label){S("other"), STR_NONE}));
    }
    // Pods, and once for all: the summary, the url, no generator URL.
    CHECK_EQ(am_pairs_count(), COUNT_OF(alerts) + 3);

    for (size_t i = 0; i < COUNT_OF(alerts); i++)
        am_alert_unref(alerts[i]);
    CHECK_EQ(am_pairs_count(), 0u);
}

TEST(am_text, more_labels_than_a_mark_can_name)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf kept = {0};
    AmTextCoder coder;
    Label many[300];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] =
            (Label){arena_printf(&arena, "name%03zu", i), arena_printf(&arena, "value%03zu", i)};
    Labels labels = {many, COUNT_OF(many)};
    Str text = S("value000 value253 value254 value255 value299");

    am_text_coder_init(&coder, labels);
    am_text_add(&kept, &coder, text);

    CHECK_STR(buf_str(&kept), S("\xFF\x00 \xFF\xFD value254 value255 value299"));
    CHECK_STR(am_text_read(buf_str(&kept), value_of, &labels, &arena), text);
}

TEST_MAIN(am_text, TEST_ROW(am_text, what_labels_say_is_left_out_and_comes_back),
          TEST_ROW(am_text, alerts_of_a_rule_share_what_is_left),
          TEST_ROW(am_text, more_labels_than_a_mark_can_name))
