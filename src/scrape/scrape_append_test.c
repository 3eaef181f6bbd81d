// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_append.h"

#include "base/test.h"
#include "codec/protobuf.h"
#include "codec/yaml.h"
#include "scrape/sink_fake.h"

// A target of one job, scraped by hand.
typedef struct Rig {
    Arena arena;
    ConfigReader reader;
    ScrapeConfig config;
    TargetSpec target;
    SinkFake *sink;
    ScrapeState state;
    ScrapeWork *work;
    ScrapeResult result;
    int64_t t_ms;
    bool start_times, zero_samples, synthesize, type_and_unit_labels;
} Rig;

static void rig_init(Rig *rig, const char *yaml)
{
    *rig = (Rig){0};
    Error err = {0};
    YamlNode *node;
    ScrapeGlobal global;
    rig->reader = (ConfigReader){.arena = &rig->arena, .file_name = S("job.yml")};
    YamlNode none = {.kind = YAML_NULL, .line = 1, .column = 1};
    Label *labels = ARENA_ARRAY(&rig->arena, Label, 2);
    labels[0] = (Label){S("instance"), S("i:1")};
    labels[1] = (Label){S("job"), S("j")};
    CHECK_OK(config_decode(&rig->reader, &scrape_global_table, &none, &global, &err), err);
    CHECK_OK(yaml_parse(arena_printf(&rig->arena, "job_name: j\n%s", yaml), S("job.yml"),
                        &rig->arena, &node, &err),
             err);
    CHECK_OK(config_decode(&rig->reader, &scrape_config_table, node, &rig->config, &err), err);
    CHECK_OK(scrape_config_complete(&rig->reader, node, &global, &rig->config, &err), err);
    rig->target = (TargetSpec){.labels = {labels, 2},
                               .interval_ms = 15000,
                               .timeout_ms = 10000,
                               .switches = rig->config.switches};
    rig->sink = sink_fake_new();
    rig->work = X_NEW(ScrapeWork);
    rig->t_ms = 1000;
}

static void rig_deinit(Rig *rig)
{
    scrape_state_deinit(&rig->state, rig->work);
    scrape_work_deinit(rig->work);
    free(rig->work);
    sink_fake_free(rig->sink);
    config_release(&rig->reader);
    arena_deinit(&rig->arena);
}

static double half_a_second(void *arg)
{
    (void)arg;
    return 0.5;
}

static void scrape_body(Rig *rig, ExpositionFormat format, Str body, const Error *failed)
{
    ScrapeInput input = {.config = &rig->config,
                         .target = &rig->target,
                         .body = body,
                         .format = format,
                         .failed = failed,
                         .t_ms = rig->t_ms,
                         .now_ms = rig->t_ms,
                         .start_times = rig->start_times,
                         .zero_samples = rig->zero_samples,
                         .synthesize = rig->synthesize,
                         .type_and_unit_labels = rig->type_and_unit_labels};
    buf_reset(&rig->sink->lines);
    scrape_append(&rig->state, rig->work, &rig->sink->sink, &input, half_a_second, NULL,
                  &rig->result);
    rig->t_ms += 1000;
}

static void scrape_as(Rig *rig, ExpositionFormat format, const char *body, const Error *failed)
{
    scrape_body(rig, format, str_from_c(body), failed);
}

static void scrape(Rig *rig, const char *body)
{
    scrape_as(rig, EXPOSITION_TEXT, body, NULL);
}

// What was stored without the five lines of the report, and without the target's labels.
static Str stored(Rig *rig)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Str rest = buf_str(&rig->sink->lines);
    Str line;
    while (str_split_next(&rest, '\n', &line)) {
        bool is_report = str_starts_with(line, S("up{")) || str_starts_with(line, S("up ")) ||
                         str_starts_with(line, S("scrape_"));
        if (line.len && !is_report)
            buf_printf(&out, STR_FMT "\n", STR_ARG(line));
    }
    return arena_str(&rig->arena, buf_str(&out));
}

TEST(scrape_append, a_page_becomes_samples_and_a_report)
{
    Rig rig;
    rig_init(&rig, "");

    scrape(&rig, "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n");

    CHECK_STR(buf_str(&rig.sink->lines),
              S("a{instance=\"i:1\", job=\"j\", x=\"1\"} 1 @1000\n"
                "a{instance=\"i:1\", job=\"j\", x=\"2\"} 2 @1000\n"
                "b{instance=\"i:1\", job=\"j\"} 3 @1000\n"
                "up{instance=\"i:1\", job=\"j\"} 1 @1000\n"
                "scrape_duration_seconds{instance=\"i:1\", job=\"j\"} 0.5 @1000\n"
                "scrape_samples_scraped{instance=\"i:1\", job=\"j\"} 3 @1000\n"
                "scrape_samples_post_metric_relabeling{instance=\"i:1\", job=\"j\"} 3 @1000\n"
                "scrape_series_added{instance=\"i:1\", job=\"j\"} 3 @1000\n"));
    CHECK(rig.result.up);
    rig_deinit(&rig);
}

TEST(scrape_append, pages_that_change_are_followed)
{
    static const struct {
        const char *name;
        const char *before;
        const char *after;
        Str want;
        uint64_t want_added;
    } cases[] = {
        {"the same", "a 1\nb 2\n", "a 3\nb 4\n", STR("a 3\nb 4\n"), 0},
        {"one in front", "a 1\nb 2\n", "z 0\na 3\nb 4\n", STR("z 0\na 3\nb 4\n"), 1},
        {"one between", "a 1\nb 2\n", "a 3\nz 0\nb 4\n", STR("a 3\nz 0\nb 4\n"), 1},
        {"one behind", "a 1\nb 2\n", "a 3\nb 4\nz 0\n", STR("a 3\nb 4\nz 0\n"), 1},
        {"the first gone", "a 1\nb 2\nc 3\n", "b 4\nc 5\n", STR("b 4\nc 5\na stale\n"), 0},
        {"one between gone", "a 1\nb 2\nc 3\n", "a 4\nc 5\n", STR("a 4\nc 5\nb stale\n"), 0},
        {"the last gone", "a 1\nb 2\nc 3\n", "a 4\nb 5\n", STR("a 4\nb 5\nc stale\n"), 0},
        {"all gone", "a 1\nb 2\n", "\n", STR("a stale\nb stale\n"), 0},
        {"turned round", "a 1\nb 2\nc 3\n", "c 4\nb 5\na 6\n", STR("c 4\nb 5\na 6\n"), 0},
        {"all others", "a 1\nb 2\n", "c 3\nd 4\n", STR("c 3\nd 4\na stale\nb stale\n"), 2},
        {"another text of the same series", "a{x=\"1\",y=\"2\"} 1\n", "a{y=\"2\",x=\"1\"} 2\n",
         STR("a{x=\"1\", y=\"2\"} 2\n"), 1},
        {"more blanks", "a 1\nb 2\n", "a   3\nb\t4\n", STR("a 3\nb 4\n"), 0},
        {"a longer name", "a 1\nb 2\n", "ab 3\nb 4\n", STR("ab 3\nb 4\na stale\n"), 1},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, "");
        rig.target.labels = LABELS_NONE;

        scrape(&rig, c->before);
        scrape(&rig, c->after);

        CHECK(rig.result.up);
        CLEANUP(buf_deinit) Buf want = {0};
        for (Str rest = c->want, line; str_split_next(&rest, '\n', &line) && line.len;)
            buf_printf(&want, STR_FMT " @2000\n", STR_ARG(line));
        Str got = buf_str(&rig.sink->lines);
        CHECK_STR(str_sub(got, 0, str_find(got, S("up "))), buf_str(&want));
        CHECK_EQ(rig.result.added, c->want_added);
        rig_deinit(&rig);
    }
}

TEST(scrape_append, random_pages_agree_with_a_simple_model)
{
    // Each round shows some of 40 series in some order; what is shown is stored, what was shown before and is not now is stale.
    Rig rig;
    rig_init(&rig, "");
    rig.target.labels = LABELS_NONE;
    unsigned seed = 12345;
    bool before[40] = {0};
    for (int round = 0; round < 300; round++) {
        bool now[40] = {0};
        CLEANUP(buf_deinit) Buf page = {0};
        bool shuffle = rand_r(&seed) % 4 == 0;
        for (int i = 0; i < 40; i++) {
            int k = shuffle ? rand_r(&seed) % 40 : i;
            if (now[k] || rand_r(&seed) % 10 == 0)
                continue;
            now[k] = true;
            buf_printf(&page, "m{n=\"%d\"} %d\n", k, round);
        }
        buf_add_char(&page, 0);

        scrape(&rig, page.ptr);

        CHECK(rig.result.up);
        CLEANUP(buf_deinit) Buf lines = {0};
        buf_add_str(&lines, buf_str(&rig.sink->lines));
        buf_add_char(&lines, 0);
        for (int k = 0; k < 40; k++) {
            char value[80];
            char stale[80];
            snprintf(value, sizeof value, "m{n=\"%d\"} %d @", k, round);
            snprintf(stale, sizeof stale, "m{n=\"%d\"} stale @", k);
            CHECK_EQ(strstr(lines.ptr, value) != NULL, now[k]);
            CHECK_EQ(strstr(lines.ptr, stale) != NULL, before[k] && !now[k]);
        }
        memcpy(before, now, sizeof before);
    }
    rig_deinit(&rig);
}

TEST(scrape_append, a_failed_scrape_makes_all_stale_once)
{
    Rig rig;
    rig_init(&rig, "");
    Error failed = {.code = ERR_UNAVAILABLE, .text = "connection refused"};
    scrape(&rig, "a 1\nb 2\n");

    scrape_as(&rig, EXPOSITION_TEXT, "", &failed);
    CHECK(!rig.result.up);
    CHECK_HAS(rig.result.err.text, "connection refused");
    CHECK_STR(stored(&rig), S("a{instance=\"i:1\", job=\"j\"} stale @2000\nb{instance=\"i:1\", "
                              "job=\"j\"} stale @2000\n"));
    CHECK(str_find(buf_str(&rig.sink->lines), S("up{instance=\"i:1\", job=\"j\"} 0 @2000\n")) !=
          STR_NOT_FOUND);

    scrape_as(&rig, EXPOSITION_TEXT, "", &failed);
    CHECK_STR(stored(&rig), S(""));

    scrape(&rig, "a 1\nb 2\n");
    CHECK_STR(
        stored(&rig),
        S("a{instance=\"i:1\", job=\"j\"} 1 @4000\nb{instance=\"i:1\", job=\"j\"} 2 @4000\n"));
    CHECK_EQ(rig.result.added, 0);
    rig_deinit(&rig);
}

TEST(scrape_append, a_malformed_page_leaves_nothing_but_stale_markers)
{
    Rig rig;
    rig_init(&rig, "");
    scrape(&rig, "a 1\nb 2\n");

    scrape(&rig, "a 3\nb 4\nc{ 5\n");

    CHECK(!rig.result.up);
    CHECK_EQ(rig.sink->rollbacks, 1);
    CHECK_STR(stored(&rig), S("a{instance=\"i:1\", job=\"j\"} stale @2000\nb{instance=\"i:1\", "
                              "job=\"j\"} stale @2000\n"));
    rig_deinit(&rig);
}

TEST(scrape_append, limits_and_bad_names_fail_the_scrape)
{
    static const struct {
        const char *name;
        const char *config;
        const char *body;
        const char *want;
    } cases[] = {
        {"samples", "sample_limit: 1\n", "a 1\nb 2\n", "sample limit exceeded"},
        {"labels", "label_limit: 3\n", "a{x=\"1\"} 1\n",
         "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"},
        {"name length", "label_name_length_limit: 8\n", "a{long_name=\"1\"} 1\n",
         "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: "
         "8)"},
        {"value length", "label_value_length_limit: 3\n", "a{x=\"1234\"} 1\n",
         "label_value_length_limit exceeded (metric: a, label name: x, value: \"1234\", length: 4, "
         "limit: 3)"},
        {"no name", "metric_relabel_configs: [{regex: __name__, action: labeldrop}]\n", "a 1\n",
         "missing metric name"},
        {"UTF-8 name under the legacy scheme", "metric_name_validation_scheme: legacy\n",
         "{\"a.b\"} 1\n", "invalid metric name or label names"},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, c->config);

        scrape(&rig, c->body);

        CHECK(!rig.result.up);
        CHECK_HAS(rig.result.err.text, c->want);
        CHECK_STR(stored(&rig), S(""));
        rig_deinit(&rig);
    }
}

TEST(scrape_append, labels_meet_by_the_rules)
{
    static const struct {
        const char *name;
        const char *config;
        const char *body;
        Str want;
    } cases[] = {
        {"target wins", "", "a{job=\"x\"} 1\n",
         STR("a{exported_job=\"x\", instance=\"i:1\", job=\"j\"} 1 @1000\n")},
        {"scraped wins", "honor_labels: true\n", "a{job=\"x\"} 1\n",
         STR("a{instance=\"i:1\", job=\"x\"} 1 @1000\n")},
        {"exported is taken", "", "a{job=\"x\",exported_job=\"y\"} 1\n",
         STR("a{exported_exported_job=\"x\", exported_job=\"y\", instance=\"i:1\", job=\"j\"} 1 "
             "@1000\n")},
        {"relabelled", "metric_relabel_configs: [{regex: x, action: labeldrop}]\n",
         "a{x=\"1\"} 1\n", STR("a{instance=\"i:1\", job=\"j\"} 1 @1000\n")},
        {"dropped",
         "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]\n",
         "a 1\nb 2\n", STR("a{instance=\"i:1\", job=\"j\"} 1 @1000\n")},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, c->config);

        scrape(&rig, c->body);

        CHECK_OK(rig.result.up, rig.result.err);
        CHECK_STR(stored(&rig), c->want);
        rig_deinit(&rig);
    }
}

TEST(scrape_append, dropped_series_stay_dropped_without_another_look)
{
    Rig rig;
    rig_init(&rig,
             "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]\n");
    scrape(&rig, "a 1\nb 2\n");

    scrape(&rig, "a 3\nb 4\n");

    CHECK_STR(stored(&rig), S("a{instance=\"i:1\", job=\"j\"} 3 @2000\n"));
    CHECK_EQ(rig.result.scraped, 2);
    CHECK_EQ(rig.result.post_relabel, 1);
    rig_deinit(&rig);
}

TEST(scrape_append, timestamps_are_honoured_or_not)
{
    static const struct {
        const char *name;
        const char *config;
        Str want_first;
        Str want_second; // after the series has vanished
    } cases[] = {
        {"honoured, not tracked", "", STR("a 1 @900\n"), STR("")},
        {"honoured and tracked", "track_timestamps_staleness: true\n", STR("a 1 @900\n"),
         STR("a stale @2000\n")},
        {"ignored", "honor_timestamps: false\n", STR("a 1 @1000\n"), STR("a stale @2000\n")},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, c->config);
        rig.target.labels = LABELS_NONE;

        scrape(&rig, "a 1 900\n");
        Str got = buf_str(&rig.sink->lines);
        CHECK_STR(str_sub(got, 0, str_find(got, S("up "))), c->want_first);

        scrape(&rig, "\n");
        got = buf_str(&rig.sink->lines);
        CHECK_STR(str_sub(got, 0, str_find(got, S("up "))), c->want_second);
        rig_deinit(&rig);
    }
}

TEST(scrape_append, single_bad_samples_are_counted)
{
    Rig rig;
    rig_init(&rig, "");

    scrape(&rig, "a 1\nb 2\na 3\nc 4 99999999999\n");
    scrape(&rig, "a 1\nb 2 1\na 3\n");

    CHECK(rig.result.up);
    CHECK_EQ(rig.result.faults.out_of_order, 1);
    CHECK_EQ(rig.result.faults.duplicate_timestamp, 1);
    rig_deinit(&rig);
}

TEST(scrape_append, series_that_the_store_forgot_are_made_again)
{
    Rig rig;
    rig_init(&rig, "");
    scrape(&rig, "# TYPE a counter\na 1\nb 2\n");
    rig.sink->gone_below = rig.sink->count + 1;

    scrape(&rig, "# TYPE a counter\na 3\nb 4\n");
    CHECK(rig.result.up);
    CHECK_STR(
        stored(&rig),
        S("a{instance=\"i:1\", job=\"j\"} 3 @2000\nb{instance=\"i:1\", job=\"j\"} 4 @2000\n"));
    CHECK(str_find(buf_str(&rig.sink->lines), S("up{instance=\"i:1\", job=\"j\"} 1 @2000\n")) !=
          STR_NOT_FOUND);

    scrape(&rig, "# TYPE a counter\na 5\nb 6\n");
    CHECK_STR(
        stored(&rig),
        S("a{instance=\"i:1\", job=\"j\"} 5 @3000\nb{instance=\"i:1\", job=\"j\"} 6 @3000\n"));
    rig_deinit(&rig);
}

// A page of protobuf: a family of gauges "a" with a label "n" of 0 to count - 1, whose values begin at `value`, and one of a gauge "b".
static Str gauges(Rig *rig, int count, double value)
{
    CLEANUP(buf_deinit) Buf page = {0};
    for (int family = 0; family < 2; family++) {
        CLEANUP(buf_deinit) Buf message = {0};
        proto_add_bytes(&message, 1, family ? S("b") : S("a"));
        proto_add_varint(&message, 3, 1);
        for (int i = 0; i < (family ? 1 : count); i++) {
            size_t metric = proto_begin(&message, 4);
            size_t label = proto_begin(&message, 1);
            proto_add_bytes(&message, 1, S("n"));
            proto_add_bytes(&message, 2, arena_printf(&rig->arena, "%d", i));
            proto_end(&message, label);
            size_t gauge = proto_begin(&message, 2);
            proto_add_double(&message, 1, value + i);
            proto_end(&message, gauge);
            proto_end(&message, metric);
        }
        buf_add_uvarint(&page, message.len);
        buf_add_str(&page, buf_str(&message));
    }
    return arena_str(&rig->arena, buf_str(&page));
}

TEST(scrape_append, pages_of_protobuf_are_told_by_their_bytes)
{
    Rig rig;
    rig_init(&rig, "");

    for (int turn = 0; turn < 3; turn++) {
        scrape_body(&rig, EXPOSITION_PROTOBUF, gauges(&rig, 2, 1 + turn), NULL);

        CHECK(rig.result.up);
        CHECK_EQ(rig.result.scraped, 3);
        CHECK_EQ(rig.result.added, turn ? 0 : 3);
        CHECK_STR(stored(&rig),
                  arena_printf(&rig.arena,
                               "a{instance=\"i:1\", job=\"j\", n=\"0\"} %d @%d000\n"
                               "a{instance=\"i:1\", job=\"j\", n=\"1\"} %d @%d000\n"
                               "b{instance=\"i:1\", job=\"j\", n=\"0\"} %d @%d000\n",
                               1 + turn, 1 + turn, 2 + turn, 1 + turn, 1 + turn, 1 + turn));
    }
    scrape_body(&rig, EXPOSITION_PROTOBUF, gauges(&rig, 3, 7), NULL);
    CHECK_EQ(rig.result.added, 1);
    CHECK(str_find(stored(&rig), S("n=\"2\"} 9 @4000")) != STR_NOT_FOUND);

    scrape_body(&rig, EXPOSITION_PROTOBUF, gauges(&rig, 1, 8), NULL);
    CHECK(str_find(stored(&rig), S("n=\"1\"} stale @5000")) != STR_NOT_FOUND);
    CHECK(str_find(stored(&rig), S("n=\"2\"} stale @5000")) != STR_NOT_FOUND);
    rig_deinit(&rig);
}

TEST(scrape_append, a_page_of_protobuf_is_read_again_if_the_store_forgot_a_series)
{
    Rig rig;
    rig_init(&rig, "");
    scrape_body(&rig, EXPOSITION_PROTOBUF, gauges(&rig, 600, 1), NULL);
    rig.sink->gone_below = rig.sink->count + 1;

    for (int turn = 2; turn < 4; turn++) {
        scrape_body(&rig, EXPOSITION_PROTOBUF, gauges(&rig, 600, turn), NULL);

        CHECK(rig.result.up);
        CHECK_EQ(rig.result.scraped, 601);
        CHECK_EQ(rig.result.post_relabel, 601);
        CHECK(str_find(stored(&rig), S("n=\"599\"}")) != STR_NOT_FOUND);
        CHECK(str_find(stored(&rig), S("stale")) == STR_NOT_FOUND);
    }
    rig_deinit(&rig);
}

TEST(scrape_append, a_refused_commit_is_told)
{
    Rig rig;
    rig_init(&rig, "");
    rig.sink->refuse_commit = true;

    scrape(&rig, "a 1\n");

    CHECK_HAS(rig.result.commit_err.text, "disk full");
    rig_deinit(&rig);
}

TEST(scrape_append, a_target_that_goes_leaves_stale_markers)
{
    Rig rig;
    rig_init(&rig, "");
    scrape(&rig, "a 1\n");
    ScrapeInput input = {
        .config = &rig.config, .target = &rig.target, .t_ms = 16000, .now_ms = 32000};
    buf_reset(&rig.sink->lines);

    scrape_append_stale(&rig.state, rig.work, &rig.sink->sink, &input);

    CHECK_STR(stored(&rig), S("a{instance=\"i:1\", job=\"j\"} stale @16000\n"));
    CHECK(str_find(buf_str(&rig.sink->lines),
                   S("up{instance=\"i:1\", job=\"j\"} stale @16000\n")) != STR_NOT_FOUND);
    rig_deinit(&rig);
}

TEST(scrape_append, large_pages_come_in_batches)
{
    Rig rig;
    rig_init(&rig, "extra_scrape_metrics: true\n");
    rig.target.labels = LABELS_NONE;
    CLEANUP(buf_deinit) Buf page = {0};
    for (int i = 0; i < 3000; i++)
        buf_printf(&page, "m{n=\"%d\"} %d\n", i, i);
    buf_add_char(&page, 0);

    for (int round = 0; round < 3; round++) {
        scrape(&rig, page.ptr);
        CHECK_EQ(rig.result.scraped, 3000);
        CHECK_EQ(rig.result.added, round ? 0 : 3000);
        size_t lines = 0;
        for (Str rest = buf_str(&rig.sink->lines), line; str_split_next(&rest, '\n', &line);)
            lines += line.len > 0;
        CHECK_EQ(lines, 3008);
    }
    rig_deinit(&rig);
}

TEST(scrape_append, metadata_is_remembered_for_ten_rounds)
{
    Rig rig;
    rig_init(&rig, "");
    scrape(&rig, "# HELP a A thing.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n");
    CHECK_EQ(rig.state.metadata.count, 2);
    const FamilyText *a = rig.state.metadata.slots[0].family;
    CHECK_STR(a->name, S("a"));
    CHECK_STR(a->metadata.help, S("A thing."));
    CHECK_EQ(a->metadata.type, METRIC_COUNTER);

    scrape(&rig, "# HELP a Another thing.\n# TYPE a counter\na 1\n");
    CHECK_STR(rig.state.metadata.slots[0].family->metadata.help, S("Another thing."));
    for (int i = 0; i < 9; i++)
        scrape(&rig, "# HELP a Another thing.\n# TYPE a counter\na 1\n");
    CHECK_EQ(rig.state.metadata.count, 2);
    scrape(&rig, "# HELP a Another thing.\n# TYPE a counter\na 1\n");
    CHECK_EQ(rig.state.metadata.count, 1);
    CHECK_EQ(rig.work->metadata.families.count, 1);
    rig_deinit(&rig);
}

TEST(scrape_append, classic_histograms_are_converted)
{
    static const char page[] = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
                               "h_count 2\nh_sum 3\n# TYPE x gauge\nx 1\n";
    static const char torn[] = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
                               "h_count 5\nh_sum 3\n# TYPE x gauge\nx 1\n";
    Rig rig;
    rig_init(&rig, "convert_classic_histograms_to_nhcb: true\n");

    for (int i = 0; i < 3; i++) {
        scrape(&rig, page);
        CHECK_STR(stored(&rig),
                  arena_printf(&rig.arena,
                               "h{instance=\"i:1\", job=\"j\"} {count:2, sum:3, [-Inf,1]:1, "
                               "(1,+Inf]:1} @%d\nx{instance=\"i:1\", job=\"j\"} 1 @%d\n",
                               1000 * (i + 1), 1000 * (i + 1)));
        CHECK_EQ(rig.result.scraped, 2);
    }
    scrape(&rig, torn);
    CHECK_STR(stored(&rig), S("x{instance=\"i:1\", job=\"j\"} 1 @4000\n"
                              "h{instance=\"i:1\", job=\"j\"} stale @4000\n"));
    rig_deinit(&rig);

    rig_init(&rig, "convert_classic_histograms_to_nhcb: true\n"
                   "always_scrape_classic_histograms: true\n");
    scrape(&rig, page);
    CHECK_EQ(rig.result.scraped, 6);
    CHECK_HAS(str_to_c(&rig.arena, stored(&rig)),
              "h_bucket{instance=\"i:1\", job=\"j\", le=\"1.0\"} 1");
    CHECK_HAS(str_to_c(&rig.arena, stored(&rig)), "[-Inf,1]:1, (1,+Inf]:1} @1000");
    rig_deinit(&rig);
}

TEST(scrape_append, start_timestamps_come_from_created_lines)
{
    static const struct {
        const char *name, *page, *want;
    } cases[] = {
        {"counters, each its own",
         "# TYPE c counter\nc_total{a=\"1\"} 5\nc_created{a=\"1\"} 0.5\n"
         "c_total{a=\"2\"} 6\nc_created{a=\"2\"} 0.25\nc_total{a=\"3\"} 7\n# EOF\n",
         "c_total{a=\"1\"} 5 @1000 since 500\nc_total{a=\"2\"} 6 @1000 since 250\n"
         "c_total{a=\"3\"} 7 @1000\n"},
        {"all totals first",
         "# TYPE c counter\nc_total{a=\"1\"} 5\nc_total{a=\"2\"} 6\n"
         "c_created{a=\"1\"} 0.5\nc_created{a=\"2\"} 0.25\n# EOF\n",
         "c_total{a=\"1\"} 5 @1000 since 500\nc_total{a=\"2\"} 6 @1000 since 250\n"},
        {"a histogram",
         "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1.0\"} 5\nh_bucket{a=\"1\",le=\"+Inf\"} 6\n"
         "h_count{a=\"1\"} 6\nh_sum{a=\"1\"} 1\nh_created{a=\"1\"} 0.5\n# EOF\n",
         "h_bucket{a=\"1\", le=\"1.0\"} 5 @1000 since 500\n"
         "h_bucket{a=\"1\", le=\"+Inf\"} 6 @1000 since 500\nh_count{a=\"1\"} 6 @1000 since 500\n"
         "h_sum{a=\"1\"} 1 @1000 since 500\n"},
        {"a summary without labels",
         "# TYPE s summary\ns{quantile=\"0.5\"} 5\ns_count 6\ns_created 0.5\n# EOF\n",
         "s{quantile=\"0.5\"} 5 @1000 since 500\ns_count 6 @1000 since 500\n"},
        {"a gauge's is a series", "# TYPE g gauge\ng_created 3\n# EOF\n", "g_created 3 @1000\n"},
        {"another family's is not taken",
         "# TYPE c counter\nc_total 1\n# TYPE d counter\nd_total 2\nd_created 0.5\n# EOF\n",
         "c_total 1 @1000\nd_total 2 @1000 since 500\n"},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, "");
        rig.target.labels = LABELS_NONE;
        rig.start_times = true;
        for (int round = 0; round < 2; round++) {
            rig.t_ms = 1000; // the second page is predicted
            for (size_t i = 0; i <= rig.sink->count; i++)
                rig.sink->newest[i] = INT64_MIN;
            scrape_as(&rig, EXPOSITION_OPENMETRICS, c->page, NULL);
            CHECK_STR(stored(&rig), str_from_c(c->want));
        }
        rig_deinit(&rig);
    }
}

TEST(scrape_append, type_and_unit_become_labels_on_request)
{
    Rig rig;
    rig_init(&rig, "");
    rig.target.labels = LABELS_NONE;
    rig.type_and_unit_labels = true;
    rig.t_ms = 10000;

    scrape_as(&rig, EXPOSITION_OPENMETRICS,
              "# TYPE c_bytes counter\n# UNIT c_bytes bytes\nc_bytes_total{__type__=\"mine\"} 5\n"
              "# TYPE g gauge\ng{a=\"b\"} 1\nplain 2\n# EOF\n",
              NULL);

    CHECK_STR(stored(&rig), S("c_bytes_total{__type__=\"counter\", __unit__=\"bytes\"} 5 @10000\n"
                              "g{__type__=\"gauge\", a=\"b\"} 1 @10000\nplain 2 @10000\n"));
    rig_deinit(&rig);
}

TEST(scrape_append, a_sample_of_zero_stands_at_each_new_start)
{
    Rig rig;
    rig_init(&rig, "");
    rig.target.labels = LABELS_NONE;
    rig.zero_samples = true;
    rig.t_ms = 10000;

    scrape_as(&rig, EXPOSITION_OPENMETRICS, "# TYPE c counter\nc_total 5\nc_created 0.5\n# EOF\n",
              NULL);
    CHECK_STR(stored(&rig), S("c_total 0 @500\nc_total 5 @10000 since 500\n"));
    scrape_as(&rig, EXPOSITION_OPENMETRICS, "# TYPE c counter\nc_total 6\nc_created 0.5\n# EOF\n",
              NULL);
    CHECK_STR(stored(&rig), S("c_total 6 @11000 since 500\n"));
    scrape_as(&rig, EXPOSITION_OPENMETRICS, "# TYPE c counter\nc_total 1\nc_created 11.5\n# EOF\n",
              NULL);
    CHECK_STR(stored(&rig), S("c_total 0 @11500\nc_total 1 @12000 since 11500\n"));
    CHECK_EQ(rig.result.post_relabel, 1);
    CHECK_EQ(rig.result.faults.out_of_order, 0);
    rig_deinit(&rig);
}

TEST(scrape_append, counters_without_a_start_are_given_one)
{
    static const struct {
        const char *name;
        const char *pages[5];
        const char *want[5];
    } cases[] = {
        {"a counter that goes on, is reset, and goes on",
         {"# TYPE c counter\nc 100\n", "# TYPE c counter\nc 103\n", "# TYPE c counter\nc 2\n",
          "# TYPE c counter\nc 7\n", "# TYPE c counter\nc 7\n"},
         {"", "c 3 @2000 since 1000\n", "c 2 @3000 since 2999\n", "c 7 @4000 since 2999\n",
          "c 7 @5000 since 2999\n"}},
        {"a gauge and what nobody tells the type of stay",
         {"# TYPE g gauge\ng 5\nu 1\n", "# TYPE g gauge\ng 4\nu 2\n"},
         {"g 5 @1000\nu 1 @1000\n", "g 4 @2000\nu 2 @2000\n"}},
        {"a classic histogram and a summary, but not its quantiles",
         {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 6\nh_count 6\n"
          "# TYPE s summary\ns{quantile=\"0.5\"} 5\ns_sum 9\n",
          "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 7\nh_count 7\n"
          "# TYPE s summary\ns{quantile=\"0.5\"} 6\ns_sum 12\n"},
         {"s{quantile=\"0.5\"} 5 @1000\n",
          "h_bucket{le=\"+Inf\"} 1 @2000 since 1000\nh_count 1 @2000 since 1000\n"
          "s{quantile=\"0.5\"} 6 @2000\ns_sum 3 @2000 since 1000\n"}},
        {"one that goes and comes back begins anew",
         {"# TYPE c counter\nc 1\n", "# TYPE c counter\nc 3\n", "d 1\n", "# TYPE c counter\nc 5\n",
          "# TYPE c counter\nc 6\n"},
         {"", "c 2 @2000 since 1000\n", "d 1 @3000\nc stale @3000\n", "d stale @4000\n",
          "c 1 @5000 since 4000\n"}},
        {"after a page that failed all begin anew",
         {"# TYPE c counter\nc 1\n", "# TYPE c counter\nc 3\n", "c 4\n}", "# TYPE c counter\nc 5\n",
          "# TYPE c counter\nc 6\n"},
         {"", "c 2 @2000 since 1000\n", "c stale @3000\n", "", "c 1 @5000 since 4000\n"}},
        {"times of their own, one of them late",
         {"# TYPE c counter\nc 1 500\n", "# TYPE c counter\nc 3 600\n",
          "# TYPE c counter\nc 4 550\n", "# TYPE c counter\nc 9 700\n",
          "# TYPE c counter\nc 11 800\n"},
         {"", "c 2 @600 since 500\n", "", "", "c 2 @800 since 700\n"}},
    };

    EACH_CASE(c, cases) {
        Rig rig;
        rig_init(&rig, "");
        rig.target.labels = LABELS_NONE;
        rig.synthesize = true;
        for (size_t i = 0; i < 5 && c->pages[i]; i++) {
            scrape(&rig, c->pages[i]);
            CHECK_STR(stored(&rig), str_from_c(c->want[i]));
        }
        rig_deinit(&rig);
    }
}

TEST(scrape_append, a_page_that_is_read_twice_gives_each_counter_one_first_sample)
{
    Rig rig;
    rig_init(&rig, "");
    rig.target.labels = LABELS_NONE;
    rig.synthesize = true;
    scrape(&rig, "# TYPE c counter\nc 1\n");
    scrape(&rig, "# TYPE c counter\nc 3\n");
    rig.sink->gone_below = rig.sink->count + 1;

    scrape(&rig, "# TYPE c counter\nc 7\nd 1\n");
    CHECK_STR(stored(&rig), S("c 6 @3000 since 1000\nd 1 @3000\n"));
    scrape(&rig, "# TYPE c counter\nc 8\nd 1\n");
    CHECK_STR(stored(&rig), S("c 7 @4000 since 1000\nd 1 @4000\n"));
    rig_deinit(&rig);
}

TEST_MAIN(scrape_append, TEST_ROW(scrape_append, counters_without_a_start_are_given_one),
          TEST_ROW(scrape_append, a_page_that_is_read_twice_gives_each_counter_one_first_sample),
          TEST_ROW(scrape_append, a_page_becomes_samples_and_a_report),
          TEST_ROW(scrape_append, pages_that_change_are_followed),
          TEST_ROW(scrape_append, random_pages_agree_with_a_simple_model),
          TEST_ROW(scrape_append, a_failed_scrape_makes_all_stale_once),
          TEST_ROW(scrape_append, a_malformed_page_leaves_nothing_but_stale_markers),
          TEST_ROW(scrape_append, limits_and_bad_names_fail_the_scrape),
          TEST_ROW(scrape_append, labels_meet_by_the_rules),
          TEST_ROW(scrape_append, dropped_series_stay_dropped_without_another_look),
          TEST_ROW(scrape_append, timestamps_are_honoured_or_not),
          TEST_ROW(scrape_append, single_bad_samples_are_counted),
          TEST_ROW(scrape_append, series_that_the_store_forgot_are_made_again),
          TEST_ROW(scrape_append, a_refused_commit_is_told),
          TEST_ROW(scrape_append, a_target_that_goes_leaves_stale_markers),
          TEST_ROW(scrape_append, pages_of_protobuf_are_told_by_their_bytes),
          TEST_ROW(scrape_append, a_page_of_protobuf_is_read_again_if_the_store_forgot_a_series),
          TEST_ROW(scrape_append, large_pages_come_in_batches),
          TEST_ROW(scrape_append, metadata_is_remembered_for_ten_rounds),
          TEST_ROW(scrape_append, classic_histograms_are_converted),
          TEST_ROW(scrape_append, start_timestamps_come_from_created_lines),
          TEST_ROW(scrape_append, type_and_unit_become_labels_on_request),
          TEST_ROW(scrape_append, a_sample_of_zero_stands_at_each_new_start))
