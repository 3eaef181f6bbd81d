// SPDX-License-Identifier: Apache-2.0
#include "remote/otlp.h"

#include "base/test.h"
#include "codec/compress.h"
#include "remote/otlp_internal.h"
#include "remote/remote_fake_sink.h"

#define T "\"timeUnixNano\":\"1000000000\""
#define RESOURCE(attributes, metrics)                                                              \
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[" attributes                             \
    "]},\"scopeMetrics\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1\",\"attributes\":["         \
    "{\"key\":\"a.b\",\"value\":{\"stringValue\":\"c\"}}]},\"metrics\":[" metrics "]}]}]}"
#define ATTRIBUTE(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define GAUGE(name, unit, attributes, value)                                                       \
    "{\"name\":\"" name "\",\"unit\":\"" unit                                                      \
    "\",\"gauge\":{\"dataPoints\":[{\"attributes\":[" attributes "]," T ",\"asDouble\":" value     \
    "}]}}"
#define SUM(name, unit, temporality, monotonic, time, value)                                       \
    "{\"name\":\"" name "\",\"unit\":\"" unit                                                      \
    "\",\"sum\":{\"aggregationTemporality\":" temporality ",\"isMonotonic\":" monotonic            \
    ",\"dataPoints\":[{\"timeUnixNano\":\"" time "\",\"asInt\":\"" value "\"}]}}"

typedef struct Fixture {
    FakeSink sink;
    Otlp *otlp;
    Arena arena;
    ClockFake clock;
    OtlpConfig config;
} Fixture;

static void fixture_init(Fixture *f, const OtlpOptions *options)
{
    OtlpOptions with = options ? *options : (OtlpOptions){0};
    *f = (Fixture){0};
    fake_sink_init(&f->sink);
    clock_fake_init(&f->clock, 10000);
    with.clock = &f->clock.clock;
    f->otlp = otlp_new(&with);
    config_defaults(&f->arena, &otlp_config_table, &f->config);
}

static void fixture_deinit(Fixture *f)
{
    otlp_free(f->otlp);
    fake_sink_deinit(&f->sink);
    arena_deinit(&f->arena);
}

static int send(Fixture *f, const char *json, Str *ret_text)
{
    OtlpAnswer answer;
    otlp_handle(f->otlp, &f->sink.sink,
                &(OtlpRequest){S("application/json"), STR_NONE, str_from_c(json)}, &f->arena,
                &answer);
    if (ret_text)
        *ret_text = answer.text;
    return answer.status;
}

// "series=value" of all that was committed, in the order in which they came, " | " between.
static Str stored(Fixture *f)
{
    Buf text = {0};
    for (size_t i = 0; i < f->sink.series_count; i++) {
        const FakeSeries *series = f->sink.series[i];
        if (series->count == 0)
            continue;
        buf_printf(&text, "%s" STR_FMT "=%g", text.len ? " | " : "", STR_ARG(series->text),
                   series->last_value);
    }
    Str copy = arena_str(&f->arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

TEST(otlp, metrics_become_samples)
{
    static const struct {
        const char *name;
        const char *json;
        const char *want;
    } cases[] = {
        {"a gauge", RESOURCE("", GAUGE("my.gauge", "", ATTRIBUTE("x.y", "z"), "1.5")),
         "my_gauge{x_y=\"z\"}=1.5"},
        {"job and instance",
         RESOURCE(ATTRIBUTE("service.name", "n") "," ATTRIBUTE(
                      "service.namespace", "ns") "," ATTRIBUTE("service.instance.id", "i"),
                  GAUGE("g", "", "", "1")),
         "g{instance=\"i\", job=\"ns/n\"}=1"},
        {"target_info",
         RESOURCE(ATTRIBUTE("service.name", "n") "," ATTRIBUTE("host.name", "h"),
                  GAUGE("g", "", "", "1")),
         "g{job=\"n\"}=1 | target_info{host_name=\"h\", job=\"n\"}=1"},
        {"a counter", RESOURCE("", SUM("requests", "", "2", "true", "1000000000", "7")),
         "requests_total=7"},
        {"a sum that goes down", RESOURCE("", SUM("size", "By", "2", "false", "1000000000", "7")),
         "size_bytes=7"},
        {"a histogram",
         RESOURCE("",
                  "{\"name\":\"h\",\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":2,"
                  "\"dataPoints\":[{" T ",\"count\":\"6\",\"sum\":2.5,\"explicitBounds\":[0.1,1],"
                  "\"bucketCounts\":[\"1\",\"2\",\"3\"]}]}}"),
         "h_seconds_sum=2.5 | h_seconds_count=6 | h_seconds_bucket{le=\"0.1\"}=1 | "
         "h_seconds_bucket{le=\"1\"}=3 | h_seconds_bucket{le=\"+Inf\"}=6"},
        {"a summary",
         RESOURCE("", "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" T
                      ",\"count\":\"3\",\"sum\":9,\"quantileValues\":[{\"quantile\":0.5,"
                      "\"value\":4}]}]}}"),
         "s_sum=9 | s_count=3 | s{quantile=\"0.5\"}=4"},
        {"an exponential histogram",
         RESOURCE("",
                  "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,"
                  "\"dataPoints\":[{" T ",\"count\":\"5\",\"sum\":10,\"scale\":1,"
                  "\"zeroCount\":\"1\",\"positive\":{\"offset\":2,\"bucketCounts\":[\"1\",\"3\"]"
                  "}}]}}"),
         "e=5"},
        {"no value",
         RESOURCE("", "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"flags\":1}]}}"),
         "g=nan"},
        {"attributes whose names become one",
         RESOURCE("", GAUGE("g", "", ATTRIBUTE("a.b", "1") "," ATTRIBUTE("a_b", "2"), "1")),
         "g{a_b=\"1;2\"}=1"},
        {"values of all kinds",
         RESOURCE("", GAUGE("g", "",
                            "{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
                            "{\"key\":\"i\",\"value\":{\"intValue\":\"-3\"}},"
                            "{\"key\":\"d\",\"value\":{\"doubleValue\":0.5}},"
                            "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":["
                            "{\"stringValue\":\"x\"},{\"intValue\":1}]}}}",
                            "1")),
         "g{b=\"true\", d=\"0.5\", i=\"-3\", l=\"[\\\"x\\\",1]\"}=1"},
        {"a map is sorted by key, and is no HTML",
         RESOURCE("", GAUGE("g", "",
                            "{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":[" ATTRIBUTE(
                                "z", "<") "," ATTRIBUTE("a", "&") "]}}}",
                            "1")),
         "g{m=\"{\\\"a\\\":\\\"&\\\",\\\"z\\\":\\\"<\\\"}\"}=1"},
        {"a namespace without a name of it",
         RESOURCE(ATTRIBUTE("service.name", "n") "," ATTRIBUTE("service.namespace", ""),
                  GAUGE("g", "", "", "1")),
         "g{job=\"/n\"}=1"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        Str text = STR_NONE;
        fixture_init(&f, NULL);
        if (send(&f, c->json, &text) != 200)
            CHECK_STR(text, S("taken"));
        CHECK_STR(stored(&f), str_from_c(c->want));
        fixture_deinit(&f);
    }
}

TEST(otlp, names_follow_the_strategy)
{
    static const struct {
        const char *name, *metric, *unit;
        OtlpNameKind kind;
        const char *want[4]; // in the order of OtlpStrategy
    } cases[] = {
        {"a counter with unit",
         "http.server.duration",
         "ms",
         OTLP_NAME_COUNTER,
         {"http_server_duration_milliseconds_total", "http.server.duration_milliseconds_total",
          "http_server_duration", "http.server.duration"}},
        {"a unit that is there",
         "mem_bytes",
         "By",
         OTLP_NAME_PLAIN,
         {"mem_bytes", "mem_bytes", "mem_bytes", "mem_bytes"}},
        {"a rate",
         "speed",
         "m/s",
         OTLP_NAME_PLAIN,
         {"speed_meters_per_second", "speed_meters_per_second", "speed", "speed"}},
        {"per something only",
         "rps",
         "{r}/s",
         OTLP_NAME_PLAIN,
         {"rps_per_second", "rps_per_second", "rps", "rps"}},
        {"a ratio", "load", "1", OTLP_NAME_GAUGE, {"load_ratio", "load_ratio", "load", "load"}},
        {"total moves to the end",
         "total_things",
         "",
         OTLP_NAME_COUNTER,
         {"things_total", "total_things_total", "total_things", "total_things"}},
        {"a digit in front",
         "1st.one",
         "",
         OTLP_NAME_PLAIN,
         {"_1st_one", "1st.one", "_1st_one", "1st.one"}},
        {"an annotation", "x", "{items}", OTLP_NAME_PLAIN, {"x", "x", "x", "x"}},
        {"runs of odd bytes",
         "a..b--c",
         "%",
         OTLP_NAME_PLAIN,
         {"a_b_c_percent", "a..b--c_percent", "a_b_c", "a..b--c"}},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        for (int strategy = 0; strategy < 4; strategy++) {
            OtlpRules rules = {.escapes = strategy % 2 == 0, .suffixes = strategy < 2};
            CHECK_STR(otlp_metric_name(&rules, str_from_c(c->metric), str_from_c(c->unit), c->kind,
                                       &arena),
                      str_from_c(c->want[strategy]));
        }
    }
}

TEST(otlp, label_names_are_made_legacy)
{
    static const struct {
        const char *name, *label;
        bool sanitizes, preserves;
        const char *want;
    } cases[] = {
        {"dots", "a.b", true, true, "a_b"},
        {"a digit", "1a", true, true, "key_1a"},
        {"one underscore", "_a", true, true, "key_a"},
        {"one underscore stays", "_a", false, true, "_a"},
        {"two underscores", "__a", true, true, "__a"},
        {"a run stays", "a__b", true, true, "a__b"},
        {"a run becomes one", "a..b", true, false, "a_b"},
        {"reserved names stay", "__a__", true, false, "__a__"},
        {"a rune is one underscore", "a\u00e9", true, true, "a_"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        OtlpRules rules = {.escapes = true,
                           .config = {.label_name_underscore_sanitization = c->sanitizes,
                                      .label_name_preserve_multiple_underscores = c->preserves}};
        CHECK_STR(otlp_label_name(&rules, str_from_c(c->label), &arena), str_from_c(c->want));
    }
}

TEST(otlp, the_configuration_chooses_labels)
{
    Str host[] = {STR("host.name")};
    const char *json = RESOURCE(
        ATTRIBUTE("service.name", "n") "," ATTRIBUTE("host.name", "h") "," ATTRIBUTE("os", "o"),
        GAUGE("g.h", "", "", "1"));
    static const struct {
        const char *name;
        OtlpConfig set;
        bool promotes_host, ignores_host;
        const char *want;
        const char *json; // NULL: the one above
    } cases[] = {
        {"nothing",
         {0},
         false,
         false,
         "g_h{job=\"n\"}=1 | target_info{host_name=\"h\", job=\"n\", os=\"o\"}=1"},
        {"one is promoted",
         {0},
         true,
         false,
         "g_h{host_name=\"h\", job=\"n\"}=1 | target_info{host_name=\"h\", job=\"n\", os=\"o\"}=1"},
        {"all but one",
         {.promote_all_resource_attributes = true},
         false,
         true,
         "g_h{job=\"n\", os=\"o\", service_name=\"n\"}=1 | target_info{host_name=\"h\", job=\"n\", "
         "os=\"o\"}=1"},
        {"identifying ones stay",
         {.keep_identifying_resource_attributes = true},
         false,
         false,
         "g_h{job=\"n\"}=1 | target_info{host_name=\"h\", job=\"n\", os=\"o\", "
         "service_name=\"n\"}=1"},
        {"the scope",
         {.promote_scope_metadata = true},
         false,
         false,
         "g_h{job=\"n\", otel_scope_a_b=\"c\", otel_scope_name=\"lib\", "
         "otel_scope_version=\"1\"}=1 | "
         "target_info{host_name=\"h\", job=\"n\", os=\"o\"}=1"},
        {"identifying ones alone tell nothing of the target",
         {.keep_identifying_resource_attributes = true},
         false,
         false,
         "g{job=\"n\"}=1",
         RESOURCE(ATTRIBUTE("service.name", "n"), GAUGE("g", "", "", "1"))},
        {"of two that are called the same the last",
         {.promote_all_resource_attributes = true},
         false,
         false,
         "g{a_b=\"2\"}=1",
         RESOURCE(ATTRIBUTE("a.b", "1") "," ATTRIBUTE("a_b", "2"), GAUGE("g", "", "", "1"))},
        {"the scope's own name, not its attribute's",
         {.promote_scope_metadata = true},
         false,
         false,
         "g{otel_scope_name=\"lib\"}=1",
         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"scope\":{\"name\":\"lib\",\"attributes\":"
         "[" ATTRIBUTE("name", "x") "," ATTRIBUTE("version", "y") "]},\"metrics\":[" GAUGE(
             "g", "", "", "1") "]}]}]}"},
        {"no translation",
         {.translation_strategy = OTLP_NO_TRANSLATION},
         false,
         false,
         "{\"g.h\", job=\"n\"}=1 | target_info{\"host.name\"=\"h\", job=\"n\", os=\"o\"}=1"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        fixture_init(&f, NULL);
        OtlpConfig config = c->set;
        config.label_name_underscore_sanitization = true;
        config.label_name_preserve_multiple_underscores = true;
        if (c->promotes_host)
            config.promote_resource_attributes = (ConfigStrList){host, 1};
        if (c->ignores_host)
            config.ignore_resource_attributes = (ConfigStrList){host, 1};
        otlp_configure(f.otlp, &config);
        CHECK_EQ(send(&f, c->json ? c->json : json, NULL), 200);
        Buf got = {0};
        buf_add_str(&got, stored(&f));
        // The fake prints odd names its own way: only what is legacy is compared to the letter.
        if (config.translation_strategy != OTLP_NO_TRANSLATION)
            CHECK_STR(buf_str(&got), str_from_c(c->want));
        else
            CHECK(str_find(buf_str(&got), S("g.h")) != STR_NOT_FOUND);
        buf_deinit(&got);
        fixture_deinit(&f);
    }
}

TEST(otlp, known_series_are_not_translated_again)
{
    Fixture f;
    const char *first = RESOURCE("", GAUGE("g", "", ATTRIBUTE("x", "y"), "1"));
    fixture_init(&f, NULL);
    CHECK_EQ(send(&f, first, NULL), 200);
    CHECK_EQ(f.sink.resolved, 1);
    CHECK_EQ(send(&f, first, NULL), 200);
    CHECK_EQ(f.sink.resolved, 1);
    // Under other rules it is another series.
    OtlpConfig config = f.config;
    config.translation_strategy = OTLP_NO_TRANSLATION;
    otlp_configure(f.otlp, &config);
    CHECK_EQ(send(&f, first, NULL), 200);
    CHECK_EQ(f.sink.resolved, 2);
    fixture_deinit(&f);
}

TEST(otlp, refuses_the_whole_request)
{
    static const struct {
        const char *name, *json;
        int want;
        const char *text;
    } cases[] = {
        {"no JSON", "{", 400, ""},
        {"a value of the wrong kind", "{\"resourceMetrics\":7}", 400, "resourceMetrics"},
        {"a delta",
         RESOURCE("", GAUGE("g", "", "", "1") "," SUM("d", "", "1", "true", "1000000000", "1")),
         500, "invalid temporality and type combination for metric \"d\""},
        {"no temporality", RESOURCE("", SUM("d", "", "0", "true", "1000000000", "1")), 500,
         "invalid temporality"},
        {"from the future", RESOURCE("", SUM("d", "", "2", "true", "99999000000000", "1")), 400,
         "out of bounds"},
        {"an attribute without a name",
         RESOURCE("", "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T
                      ",\"asDouble\":1,\"attributes\":[{\"key\":\"\",\"value\":{\"stringValue\":"
                      "\"x\"}}]}]}}"),
         500, "metric \"g\": its name, or that of a label, is empty"},
        {"a metric without a name", RESOURCE("", GAUGE("", "", "", "1")), 500, "metric \"\""},
        {"buckets that do not add up",
         RESOURCE("", "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,"
                      "\"dataPoints\":[{" T ",\"count\":\"2\",\"scale\":0}]}}"),
         500, "0 observations found in buckets, but the Count field is 2"},
        {"a scale that is too coarse",
         RESOURCE("", "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,"
                      "\"dataPoints\":[{" T ",\"scale\":-5}]}}"),
         500, "Scale must be >= -4"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        Str text;
        fixture_init(&f, NULL);
        CHECK_EQ(send(&f, c->json, &text), c->want);
        CHECK_HAS(str_to_c(&f.arena, text), c->text);
        CHECK_STR(stored(&f), S(""));
        fixture_deinit(&f);
    }
}

TEST(otlp, deltas_are_stored_or_added_up)
{
    Fixture f;
    fixture_init(&f, &(OtlpOptions){.native_delta = true});
    CHECK_EQ(send(&f, RESOURCE("", SUM("d", "", "1", "true", "1000000000", "5")), NULL), 200);
    CHECK_EQ(send(&f, RESOURCE("", SUM("d", "", "1", "true", "2000000000", "3")), NULL), 200);
    CHECK_STR(stored(&f), S("d_total=3"));
    fixture_deinit(&f);

    fixture_init(&f, &(OtlpOptions){.delta_to_cumulative = true});
    CHECK_EQ(send(&f, RESOURCE("", SUM("d", "", "1", "true", "1000000000", "5")), NULL), 200);
    CHECK_EQ(send(&f, RESOURCE("", SUM("d", "", "1", "true", "2000000000", "3")), NULL), 200);
    CHECK_EQ(send(&f, RESOURCE("", SUM("d", "", "1", "true", "1500000000", "9")), NULL), 200);
    CHECK_STR(stored(&f), S("d_total=8"));
    fixture_deinit(&f);
}

#define DELTA(start, time, rest)                                                                   \
    "{\"startTimeUnixNano\":\"" start "\",\"timeUnixNano\":\"" time "\"," rest "}"
#define DELTAS(kind, points)                                                                       \
    RESOURCE("", "{\"name\":\"d\",\"" kind                                                         \
                 "\":{\"aggregationTemporality\":1,\"dataPoints\":[" points "]}}")

TEST(otlp, totals_have_what_each_delta_had)
{
    static const struct {
        const char *name, *json, *want;
    } cases[] = {
        {"a gap is a stale marker, and adds nothing",
         DELTAS("sum", DELTA("0", "1000000000", "\"asInt\":\"5\"") "," DELTA(
                           "0", "2000000000", "\"flags\":1") "," DELTA("0", "3000000000",
                                                                       "\"asInt\":\"2\"")),
         "d=7"},
        {"what began before the stream is of another",
         DELTAS("sum", DELTA("1000000000", "2000000000", "\"asInt\":\"5\"") "," DELTA(
                           "500000000", "3000000000", "\"asInt\":\"2\"")),
         "d=5"},
        {"without one sum there is none",
         DELTAS("histogram", DELTA("0", "1000000000", "\"count\":\"1\"") "," DELTA(
                                 "0", "2000000000", "\"count\":\"2\",\"sum\":9")),
         "d_count=3 | d_bucket{le=\"+Inf\"}=3"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        fixture_init(&f, &(OtlpOptions){.delta_to_cumulative = true});
        CHECK_EQ(send(&f, c->json, NULL), 200);
        CHECK_STR(stored(&f), str_from_c(c->want));
        fixture_deinit(&f);
    }
}

TEST(otlp, exponential_deltas_add_up_at_the_coarser_scale)
{
    static const struct {
        const char *name;
        int32_t scale, offset;
        uint64_t counts[4];
        size_t count;
        int32_t want_scale, want_offset;
        uint64_t want[8];
        size_t want_count;
        uint64_t want_total;
    } steps[] = {
        {"the first", 3, 4, {1, 2}, 2, 3, 4, {1, 2}, 2, 3},
        {"below and above", 3, 2, {5, 0, 1, 0}, 4, 3, 2, {5, 0, 2, 2}, 4, 9},
        {"coarser", 2, 2, {1}, 1, 2, 1, {5, 5}, 2, 10},
        {"finer", 4, -1, {2}, 1, 2, -1, {2, 0, 5, 5}, 4, 12},
        {"nothing", 2, 0, {0}, 0, 2, -1, {2, 0, 5, 5}, 4, 12},
        {"far away", 2, 1000000, {1}, 1, -11, -1, {2, 0}, 0, 13},
    };
    OtlpDeltas *deltas = otlp_deltas_new();
    Arena arena = {0};
    int64_t t_ms = 1000;

    EACH_CASE(c, steps) {
        uint64_t counts[4], total = 0;
        memcpy(counts, c->counts, sizeof counts);
        for (size_t i = 0; i < c->count; i++)
            total += counts[i];
        OtlpHistogramPoint point = {.start_ms = 1,
                                    .t_ms = t_ms += 1000,
                                    .count = total,
                                    .sum = 1,
                                    .scale = c->scale,
                                    .positive = {c->offset, counts, c->count}};
        OtlpHistogramPoint late = point;
        late.t_ms = 500;

        CHECK(otlp_deltas_add_exponential(deltas, (RemoteSeriesKey){1, 2}, &point, &arena));
        CHECK(!otlp_deltas_add_exponential(deltas, (RemoteSeriesKey){1, 2}, &late, &arena));

        uint64_t held = 0;
        for (size_t i = 0; i < point.positive.count; i++)
            held += point.positive.counts[i];
        CHECK_EQ(held, c->want_total);
        CHECK_EQ(point.count, c->want_total);
        CHECK(point.positive.count <= 160);
        if (c->want_count == 0)
            continue;
        CHECK_EQ(point.scale, c->want_scale);
        CHECK_EQ(point.positive.offset, c->want_offset);
        CHECK_EQ(point.positive.count, c->want_count);
        for (size_t i = 0; i < c->want_count; i++)
            CHECK_EQ(point.positive.counts[i], c->want[i]);
    }
    otlp_deltas_free(deltas);
    arena_deinit(&arena);
}

TEST(otlp, exponential_buckets_keep_their_places)
{
    static const struct {
        const char *name;
        int32_t scale, offset;
        uint64_t counts[8];
        size_t count;
        int32_t want_schema, want_first;
        uint32_t want_spans;
        double want[8];
        uint32_t want_count;
    } cases[] = {
        {"as they are", 3, 5, {1, 2, 3}, 3, 3, 6, 1, {1, 2, 3}, 3},
        {"zeros at the edges", 3, 5, {0, 2, 0}, 3, 3, 7, 1, {2}, 1},
        {"a small gap", 3, 0, {1, 0, 0, 4}, 4, 3, 1, 1, {1, 0, 0, 4}, 4},
        {"a gap of three", 3, 0, {1, 0, 0, 0, 4}, 5, 3, 1, 2, {1, 4}, 2},
        {"too fine by one", 9, 0, {1, 2, 3, 4}, 4, 8, 1, 1, {3, 7}, 2},
        {"too fine, below zero", 9, -3, {1, 2, 3}, 3, 8, -1, 1, {1, 5}, 2},
        {"none", 3, 5, {0}, 1, 3, 0, 0, {0}, 0},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        uint64_t counts[8];
        Histogram *h;
        Error err;
        memcpy(counts, c->counts, sizeof counts);
        OtlpHistogramPoint point = {.scale = c->scale, .positive = {c->offset, counts, c->count}};
        CHECK_OK(otlp_histogram_exponential(&point, HINT_UNKNOWN, &arena, &h, &err), err);
        CHECK_EQ(h->schema, c->want_schema);
        CHECK_EQ(h->positive_span_count, c->want_spans);
        if (c->want_spans)
            CHECK_EQ(h->positive_spans[0].offset, c->want_first);
        CHECK_EQ(h->positive_count, c->want_count);
        for (uint32_t i = 0; i < c->want_count; i++)
            CHECK_DOUBLE(h->positive_buckets[i], c->want[i]);
    }
}

TEST(otlp, bodies_come_packed_and_as_protobuf)
{
    Fixture f;
    Buf message = {0};
    Buf packed = {0};
    Error err;
    OtlpAnswer answer;
    const char *json = RESOURCE("", GAUGE("g", "", "", "1"));
    fixture_init(&f, NULL);
    CHECK_OK(otlp_json_decode(str_from_c(json), &f.arena, &message, &err), err);
    gzip_encode(buf_str(&message), 1, &packed);

    otlp_handle(f.otlp, &f.sink.sink,
                &(OtlpRequest){S("application/x-protobuf"), S("gzip"), buf_str(&packed)}, &f.arena,
                &answer);
    CHECK_EQ(answer.status, 200);
    CHECK_STR(stored(&f), S("g=1"));
    otlp_handle(f.otlp, &f.sink.sink,
                &(OtlpRequest){S("application/x-protobuf"), S("zstd"), buf_str(&packed)}, &f.arena,
                &answer);
    CHECK_EQ(answer.status, 400);
    otlp_handle(f.otlp, &f.sink.sink, &(OtlpRequest){S("text/plain"), STR_NONE, buf_str(&message)},
                &f.arena, &answer);
    CHECK_EQ(answer.status, 400);
    buf_deinit(&message);
    buf_deinit(&packed);
    fixture_deinit(&f);
}

TEST_MAIN(otlp, TEST_ROW(otlp, metrics_become_samples), TEST_ROW(otlp, names_follow_the_strategy),
          TEST_ROW(otlp, label_names_are_made_legacy),
          TEST_ROW(otlp, the_configuration_chooses_labels),
          TEST_ROW(otlp, known_series_are_not_translated_again),
          TEST_ROW(otlp, refuses_the_whole_request), TEST_ROW(otlp, deltas_are_stored_or_added_up),
          TEST_ROW(otlp, totals_have_what_each_delta_had),
          TEST_ROW(otlp, exponential_deltas_add_up_at_the_coarser_scale),
          TEST_ROW(otlp, exponential_buckets_keep_their_places),
          TEST_ROW(otlp, bodies_come_packed_and_as_protobuf))
