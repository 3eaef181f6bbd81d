// SPDX-License-Identifier: Apache-2.0
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote.h"
#include "remote/remote_fake_sink.h"
#include "remote/remote_write_internal.h"

#define NOW_MS 1700000000000

typedef struct Fixture {
    FakeSink sink;
    ClockFake clock;
    RemoteWrite *remote;
    Arena arena;
    Buf message;
} Fixture;

static void start(Fixture *f)
{
    *f = (Fixture){0};
    fake_sink_init(&f->sink);
    clock_fake_init(&f->clock, NOW_MS);
    f->remote = remote_write_new(
        &(RemoteWriteOptions){.clock = &f->clock.clock, .accept_v1 = true, .accept_v2 = true});
}

static void stop(Fixture *f)
{
    remote_write_free(f->remote);
    fake_sink_deinit(&f->sink);
    arena_deinit(&f->arena);
    buf_deinit(&f->message);
}

#define V2_TYPE "application/x-protobuf;proto=io.prometheus.write.v2.Request"

// Sends f->message and empties it.
static RemoteWriteAnswer send_as(Fixture *f, const char *content_type)
{
    Buf body = {0};
    RemoteWriteAnswer answer;
    snappy_encode(buf_str(&f->message), &body);
    remote_write_handle(
        f->remote, &f->sink.sink,
        &(RemoteWriteRequest){.content_type = str_from_c(content_type), .body = buf_str(&body)},
        &f->arena, &answer);
    buf_deinit(&body);
    buf_reset(&f->message);
    CHECK(!f->sink.is_open);
    return answer;
}

static void add_label(Buf *m, const char *name, const char *value)
{
    size_t label = proto_begin(m, 1);
    proto_add_bytes(m, 1, str_from_c(name));
    proto_add_bytes(m, 2, str_from_c(value));
    proto_end(m, label);
}

static void add_sample(Buf *m, double value, int64_t t_ms)
{
    size_t sample = proto_begin(m, 2);
    proto_add_double(m, 1, value);
    proto_add_varint(m, 2, (uint64_t)t_ms);
    proto_end(m, sample);
}

// One series of 1.0 with name, job and a sample.
static void add_v1(Buf *m, const char *name, const char *job, double value, int64_t t_ms)
{
    size_t series = proto_begin(m, 1);
    if (name)
        add_label(m, "__name__", name);
    add_label(m, "job", job);
    add_sample(m, value, t_ms);
    proto_end(m, series);
}

// An integer histogram whose buckets 0 and 1 hold `first` and 1.
static void add_histogram_of(Buf *m, uint32_t field, uint64_t count, int64_t first, int64_t t_ms,
                             int32_t schema)
{
    size_t h = proto_begin(m, field);
    proto_add_varint(m, 1, count);
    proto_add_double(m, 3, 12.5);
    proto_add_zigzag(m, 4, schema);
    proto_add_double(m, 5, 0.001);
    proto_add_varint(m, 6, 0);
    size_t span = proto_begin(m, 11);
    proto_add_zigzag(m, 1, 0);
    proto_add_varint(m, 2, 2);
    proto_end(m, span);
    Buf deltas = {0};
    buf_add_varint(&deltas, first);
    buf_add_varint(&deltas, 1 - first);
    proto_add_bytes(m, 12, buf_str(&deltas));
    buf_deinit(&deltas);
    proto_add_varint(m, 15, (uint64_t)t_ms);
    proto_end(m, h);
}

static void add_histogram(Buf *m, uint32_t field, uint64_t count, int64_t first, int64_t t_ms)
{
    add_histogram_of(m, field, count, first, t_ms, 3);
}

TEST(remote_write, v1_is_taken_and_series_are_known_again)
{
    Fixture f;
    start(&f);
    for (int round = 0; round < 3; round++) {
        add_v1(&f.message, "up", "a", 1, NOW_MS + round);
        add_v1(&f.message, "up", "b", 1, NOW_MS + round);
        CHECK_EQ(send_as(&f, "").status, 204);
    }

    CHECK_EQ(fake_count(&f.sink, "up{job=\"a\"}"), 3);
    CHECK_EQ(fake_count(&f.sink, "up{job=\"b\"}"), 3);
    CHECK_EQ(f.sink.resolved, 2);
    stop(&f);
}

TEST(remote_write, v1_faults_take_the_whole_request_back)
{
    static const struct {
        const char *name;
        double value;
        int64_t t_ms;
        const char *want;
    } cases[] = {
        {"out of order", 1, NOW_MS - 1,
         "out of order sample for series {__name__=\"up\", job=\"a\"}"},
        {"duplicate", 2, NOW_MS, "duplicate sample for timestamp"},
        {"future", 1, NOW_MS + REMOTE_WRITE_FUTURE_MS + 1, "out of bounds"},
    };
    Fixture f;
    start(&f);
    add_v1(&f.message, "up", "a", 1, NOW_MS);
    CHECK_EQ(send_as(&f, "application/x-protobuf").status, 204);

    EACH_CASE(c, cases) {
        add_v1(&f.message, "good", "a", 1, NOW_MS);
        add_v1(&f.message, "up", "a", c->value, c->t_ms);
        RemoteWriteAnswer answer = send_as(&f, "");
        CHECK_EQ(answer.status, 400);
        CHECK_HAS(answer.text.ptr, c->want);
    }
    CHECK_EQ(fake_count(&f.sink, "good{job=\"a\"}"), 0);
    CHECK_EQ(fake_count(&f.sink, "up{job=\"a\"}"), 1);
    stop(&f);
}

TEST(remote_write, v1_leaves_out_series_with_bad_labels)
{
    Fixture f;
    start(&f);
    add_v1(&f.message, NULL, "nameless", 1, NOW_MS);
    add_v1(&f.message, "bad\xff", "x", 1, NOW_MS);
    size_t twice = proto_begin(&f.message, 1);
    add_label(&f.message, "__name__", "twice");
    add_label(&f.message, "a", "1");
    add_label(&f.message, "a", "2");
    add_sample(&f.message, 1, NOW_MS);
    proto_end(&f.message, twice);
    size_t empty = proto_begin(&f.message, 1);
    add_label(&f.message, "__name__", "named");
    add_label(&f.message, "z", "1");
    add_label(&f.message, "a", "");
    add_label(&f.message, "b", "2");
    add_sample(&f.message, 1, NOW_MS);
    proto_end(&f.message, empty);

    CHECK_EQ(send_as(&f, "").status, 204);

    CHECK_EQ(f.sink.series_count, 1);
    CHECK_EQ(fake_count(&f.sink, "named{b=\"2\", z=\"1\"}"), 1);
    stop(&f);
}

TEST(remote_write, labels_behind_samples_belong_to_the_series)
{
    Fixture f;
    start(&f);
    for (int i = 0; i < 2; i++) {
        size_t series = proto_begin(&f.message, 1);
        add_label(&f.message, "__name__", "odd");
        add_sample(&f.message, 1, NOW_MS);
        add_label(&f.message, "n", i ? "1" : "2");
        proto_end(&f.message, series);
    }

    CHECK_EQ(send_as(&f, "").status, 204);

    CHECK_EQ(fake_count(&f.sink, "odd{n=\"1\"}"), 1);
    CHECK_EQ(fake_count(&f.sink, "odd{n=\"2\"}"), 1);
    stop(&f);
}

TEST(remote_write, a_series_that_the_store_dropped_comes_back)
{
    Fixture f;
    start(&f);
    add_v1(&f.message, "up", "a", 1, NOW_MS);
    CHECK_EQ(send_as(&f, "").status, 204);
    f.sink.series[0]->gone = true;

    add_v1(&f.message, "up", "a", 1, NOW_MS + 1);
    CHECK_EQ(send_as(&f, "").status, 204);

    CHECK_EQ(f.sink.series_count, 2);
    CHECK_EQ(fake_count(&f.sink, "up{job=\"a\"}"), 1);
    stop(&f);
}

TEST(remote_write, histograms_are_read_and_checked)
{
    Fixture f;
    start(&f);
    size_t series = proto_begin(&f.message, 1);
    add_label(&f.message, "__name__", "h");
    add_histogram(&f.message, 4, 3, 2, NOW_MS);
    proto_end(&f.message, series);
    CHECK_EQ(send_as(&f, "").status, 204);
    CHECK_EQ(fake_count(&f.sink, "h"), 1);
    CHECK_DOUBLE(f.sink.series[0]->last_value, 3);

    series = proto_begin(&f.message, 1);
    add_label(&f.message, "__name__", "h");
    add_histogram(&f.message, 4, 3, -2, NOW_MS + 1); // a negative bucket
    proto_end(&f.message, series);
    RemoteWriteAnswer answer = send_as(&f, "");
    CHECK_EQ(answer.status, 400);
    CHECK_HAS(answer.text.ptr, "observation count is negative for series {__name__=\"h\"}");

    static const struct {
        const char *name;
        int32_t schema;
        int want_status;
    } schemas[] = {
        {"finer than we know", 52, 204}, {"beyond all", 53, 400}, {"too coarse", -5, 400}};
    EACH_CASE(c, schemas) {
        series = proto_begin(&f.message, 1);
        add_label(&f.message, "__name__", "h");
        add_histogram_of(&f.message, 4, 3, 2, NOW_MS + 2, c->schema);
        proto_end(&f.message, series);
        CHECK_EQ(send_as(&f, "").status, c->want_status);
    }
    stop(&f);
}

// ---- 2.0 ----

// Symbols: "" __name__ up job a b help unit.
static void add_symbols(Buf *m)
{
    static const char *const symbols[] = {"",  "__name__", "up",       "job",
                                          "a", "b",        "the help", "seconds"};
    for (size_t i = 0; i < COUNT_OF(symbols); i++)
        proto_add_bytes(m, 4, str_from_c(symbols[i]));
}

static void add_refs(Buf *m, const uint8_t *refs, size_t count)
{
    proto_add_bytes(m, 1,
                    str_make((const char *)refs, count)); // each below 128: a varint of one byte
}

// up{job=<symbol>}
static void add_v2(Buf *m, uint8_t job, double value, int64_t t_ms)
{
    size_t series = proto_begin(m, 5);
    add_refs(m, (const uint8_t[]){1, 2, 3, job}, 4);
    add_sample(m, value, t_ms);
    size_t metadata = proto_begin(m, 5);
    proto_add_varint(m, 1, 2);
    proto_add_varint(m, 3, 6);
    proto_add_varint(m, 4, 7);
    proto_end(m, metadata);
    proto_end(m, series);
}

TEST(remote_write, v2_keeps_what_is_good_and_counts_it)
{
    Fixture f;
    start(&f);
    add_symbols(&f.message);
    add_v2(&f.message, 4, 1, NOW_MS);
    CHECK_EQ(send_as(&f, V2_TYPE).status, 204);
    CHECK_EQ(f.sink.metadata, 1);

    add_symbols(&f.message);
    add_v2(&f.message, 4, 1, NOW_MS - 1); // out of order
    add_v2(&f.message, 5, 1, NOW_MS);
    add_v2(&f.message, 99, 1, NOW_MS); // no such symbol
    size_t nothing = proto_begin(&f.message, 5);
    add_refs(&f.message, (const uint8_t[]){1, 2}, 2);
    proto_end(&f.message, nothing);
    size_t h = proto_begin(&f.message, 5);
    add_refs(&f.message, (const uint8_t[]){1, 4}, 2);
    add_histogram(&f.message, 3, 3, 2, NOW_MS);
    proto_end(&f.message, h);
    RemoteWriteAnswer answer = send_as(&f, V2_TYPE);

    CHECK_EQ(answer.status, 400);
    CHECK_EQ(answer.samples, 1);
    CHECK_EQ(answer.histograms, 1);
    CHECK_STR(answer.text,
              S("parsing labels for series [1 2 3 99]: labelRefs 3 (name) = 99 (value) outside of "
                "symbols table (size 8)\n"
                "TimeSeries must contain at least one sample or histogram for series "
                "{__name__=\"up\"}\n"
                "out of order sample for series {__name__=\"up\", job=\"a\"} at 1699999999999"));
    CHECK_EQ(fake_count(&f.sink, "up{job=\"b\"}"), 1);
    stop(&f);
}

// What refers to no string is told of; the sample beside it is taken.
TEST(remote_write, v2_tells_of_references_to_nothing)
{
    static const struct {
        const char *name;
        uint8_t label, exemplar_label, help, unit;
        AppendStatus exemplar_status;
        uint64_t want_samples;
        const char *want;
    } cases[] = {
        {"all are there", 4, 4, 1, 2, APPEND_OK, 1, ""},
        {"exemplar", 4, 99, 1, 2, APPEND_OK, 1,
         "parsing exemplar for series {__name__=\"up\", job=\"a\"}: labelRefs 3 (name) = 99 "
         "(value) "
         "outside of symbols table (size 8)"},
        {"exemplar out of order", 4, 4, 1, 2, APPEND_OUT_OF_ORDER, 1,
         "out of order exemplar for series {__name__=\"up\", job=\"a\"}"},
        {"help", 4, 4, 99, 2, APPEND_OK, 0,
         "parsing metadata for series [1 2 3 4]: metadata help_ref 99 outside of symbols table "
         "(size 8)"},
        {"unit", 4, 4, 99, 98, APPEND_OK, 0,
         "parsing metadata for series [1 2 3 4]: metadata unit_ref 98 outside of symbols table "
         "(size 8)"},
        {"label and unit", 97, 4, 1, 98, APPEND_OK, 0,
         "parsing labels for series [1 2 3 97]: labelRefs 3 (name) = 97 (value) outside of symbols "
         "table (size 8)"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        f.sink.exemplar_status = c->exemplar_status;
        for (int i = 0; i < 2; i++) { // the second time the series is known
            add_symbols(&f.message);
            size_t series = proto_begin(&f.message, 5);
            add_refs(&f.message, (const uint8_t[]){1, 2, 3, c->label}, 4);
            size_t sample = proto_begin(&f.message, 2);
            proto_add_double(&f.message, 1, 7);
            proto_add_varint(&f.message, 2, (uint64_t)(NOW_MS + i));
            proto_end(&f.message, sample);
            size_t exemplar = proto_begin(&f.message, 4);
            add_refs(&f.message, (const uint8_t[]){3, c->exemplar_label}, 2);
            proto_add_varint(&f.message, 3, NOW_MS);
            proto_end(&f.message, exemplar);
            size_t metadata = proto_begin(&f.message, 5);
            proto_add_varint(&f.message, 3, c->help);
            proto_add_varint(&f.message, 4, c->unit);
            proto_end(&f.message, metadata);
            proto_end(&f.message, series);

            RemoteWriteAnswer answer = send_as(&f, V2_TYPE);

            CHECK_EQ(answer.status, c->want[0] ? 400 : 204);
            CHECK_EQ(answer.samples, c->want_samples);
            CHECK_STR(answer.text, str_from_c(c->want));
        }
        CHECK_EQ(f.sink.series_count, c->want_samples);
        stop(&f);
    }
}

TEST(remote_write, v2_tells_of_labels_that_no_series_may_have)
{
    static const struct {
        const char *name;
        const char *labels[6];
        bool empty; // without samples
        const char *want;
    } cases[] = {
        {"no name", {"job", "a"}, false, "invalid metric name or labels, got {job=\"a\"}"},
        {"empty name",
         {"job", "a", "__name__", ""},
         false,
         "invalid metric name or labels, got {__name__=\"\", job=\"a\"}"},
        {"label without a name",
         {"__name__", "up", "", "a"},
         false,
         "invalid metric name or labels, got {\"\"=\"a\", __name__=\"up\"}"},
        {"twice",
         {"__name__", "up", "job", "b", "job", "a"},
         false,
         "invalid labels for series, labels {__name__=\"up\", job=\"b\", job=\"a\"}, duplicated "
         "label job"},
        {"nothing of it", {"job", "a"}, true, "invalid metric name or labels, got {job=\"a\"}"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        uint8_t refs[COUNT_OF(c->labels)];
        size_t count = 0;
        for (; count < COUNT_OF(c->labels) && c->labels[count]; count++) {
            proto_add_bytes(&f.message, 4, str_from_c(c->labels[count]));
            refs[count] = (uint8_t)count;
        }
        size_t series = proto_begin(&f.message, 5);
        add_refs(&f.message, refs, count);
        if (!c->empty)
            add_sample(&f.message, 7, NOW_MS);
        proto_end(&f.message, series);

        RemoteWriteAnswer answer = send_as(&f, V2_TYPE);

        CHECK_EQ(answer.status, 400);
        CHECK_STR(answer.text, str_from_c(c->want));
        CHECK_EQ(f.sink.series_count, 0);
        stop(&f);
    }
}

TEST(remote_write, v2_features_add_zeros_and_labels)
{
    static const struct {
        const char *name;
        bool zeros, labels;
        const char *series;
        size_t want; // samples: two of one count, one of the next
    } cases[] = {
        {"neither", false, false, "up{job=\"a\"}", 3},
        {"a zero at each start", true, false, "up{job=\"a\"}", 5},
        {"type and unit", false, true, "up{__type__=\"gauge\", __unit__=\"seconds\", job=\"a\"}",
         3},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        f.remote->options.zero_samples = c->zeros;
        f.remote->options.type_and_unit_labels = c->labels;
        for (int i = 0; i < 3; i++) {
            add_symbols(&f.message);
            size_t series = proto_begin(&f.message, 5);
            add_refs(&f.message, (const uint8_t[]){1, 2, 3, 4}, 4);
            size_t sample = proto_begin(&f.message, 2);
            proto_add_double(&f.message, 1, 7);
            proto_add_varint(&f.message, 2, (uint64_t)(NOW_MS - 100 + 10 * i));
            proto_add_varint(&f.message, 3, (uint64_t)(i < 2 ? NOW_MS - 500 : NOW_MS - 85));
            proto_end(&f.message, sample);
            size_t metadata = proto_begin(&f.message, 5);
            proto_add_varint(&f.message, 1, 2);
            proto_add_varint(&f.message, 4, 7);
            proto_end(&f.message, metadata);
            proto_end(&f.message, series);
            RemoteWriteAnswer answer = send_as(&f, V2_TYPE);
            CHECK_EQ(answer.status, 204);
            CHECK_EQ(answer.samples, 1);
        }

        CHECK_EQ(fake_count(&f.sink, c->series), c->want);
        CHECK_EQ(f.sink.series_count, 1);
        stop(&f);
    }
}

TEST(remote_write, v2_knows_a_series_under_other_numbers)
{
    Fixture f;
    start(&f);
    add_symbols(&f.message);
    add_v2(&f.message, 4, 1, NOW_MS);
    CHECK_EQ(send_as(&f, V2_TYPE).status, 204);

    // The same strings in another order, the table behind the series.
    size_t series = proto_begin(&f.message, 5);
    add_refs(&f.message, (const uint8_t[]){4, 3, 2, 1}, 4);
    add_sample(&f.message, 1, NOW_MS + 1);
    proto_end(&f.message, series);
    static const char *const symbols[] = {"", "a", "job", "up", "__name__"};
    for (size_t i = 0; i < COUNT_OF(symbols); i++)
        proto_add_bytes(&f.message, 4, str_from_c(symbols[i]));
    CHECK_EQ(send_as(&f, V2_TYPE).status, 204);

    CHECK_EQ(f.sink.resolved, 1);
    CHECK_EQ(fake_count(&f.sink, "up{job=\"a\"}"), 2);
    stop(&f);
}

TEST(remote_write, the_store_s_faults_are_500)
{
    Fixture f;
    start(&f);
    f.sink.refuse_series = true;
    add_v1(&f.message, "up", "a", 1, NOW_MS);
    CHECK_EQ(send_as(&f, "").status, 500);
    f.sink.refuse_series = false;
    f.sink.full = true;
    add_v1(&f.message, "up", "a", 1, NOW_MS);
    CHECK_EQ(send_as(&f, "").status, 500);
    f.sink.full = false;
    f.sink.refuse_commit = true;
    add_symbols(&f.message);
    add_v2(&f.message, 4, 1, NOW_MS);
    RemoteWriteAnswer answer = send_as(&f, V2_TYPE);
    CHECK_EQ(answer.status, 500);
    CHECK_EQ(answer.samples, 0);
    CHECK_STR(answer.text, S("disk full"));
    stop(&f);
}

TEST(remote_write, many_samples_go_in_batches)
{
    Fixture f;
    start(&f);
    size_t series = proto_begin(&f.message, 1);
    add_label(&f.message, "__name__", "many");
    for (int i = 0; i < 5000; i++)
        add_sample(&f.message, i, NOW_MS - 5000 + i);
    proto_end(&f.message, series);

    CHECK_EQ(send_as(&f, "").status, 204);

    CHECK_EQ(fake_count(&f.sink, "many"), 5000);
    stop(&f);
}

TEST(remote_write, negotiates)
{
    static const struct {
        const char *name;
        Str type;
        Str encoding;
        Str body;
        int want;
        bool want_counted;
    } cases[] = {
        {"nothing said", STR(""), STR(""), STR("\0"), 204},
        {"proto of 1.0", STR("application/x-protobuf; proto=prometheus.WriteRequest"),
         STR("snappy"), STR("\0"), 204},
        {"unknown message", STR("application/x-protobuf;proto=x"), STR(""), STR("\0"), 415},
        {"text", STR("text/plain"), STR(""), STR("\0"), 415},
        {"gzip", STR(""), STR("gzip"), STR("\0"), 415},
        {"empty body", STR(""), STR(""), STR(""), 400},
        {"not snappy", STR(""), STR(""), STR("\xff\xff\xff\xff\xff\xff"), 400},
        {"claims too much", STR(""), STR(""), STR("\x81\x80\x80\x10xx"), 400},
        {"not protobuf", STR(""), STR(""), STR("\x03\x08\xff\xff\xff"), 400},
        {"2.0", STR(V2_TYPE), STR(""), STR("\0"), 204, true},
        {"not protobuf of 2.0", STR(V2_TYPE), STR(""), STR("\x03\x08\xff\xff\xff"), 400, true},
        {"2.0 that is not snappy", STR(V2_TYPE), STR(""), STR("\xff\xff\xff\xff\xff\xff"), 400},
    };
    Fixture f;
    start(&f);

    EACH_CASE(c, cases) {
        RemoteWriteAnswer answer;
        remote_write_handle(f.remote, &f.sink.sink,
                            &(RemoteWriteRequest){c->type, c->encoding, c->body}, &f.arena,
                            &answer);
        CHECK_EQ(answer.status, c->want);
        CHECK_EQ(answer.text.len > 0, c->want != 204);
        CHECK_EQ(answer.counted, c->want_counted);
    }
    stop(&f);
}

TEST_MAIN(remote_write, TEST_ROW(remote_write, v1_is_taken_and_series_are_known_again),
          TEST_ROW(remote_write, v1_faults_take_the_whole_request_back),
          TEST_ROW(remote_write, v1_leaves_out_series_with_bad_labels),
          TEST_ROW(remote_write, labels_behind_samples_belong_to_the_series),
          TEST_ROW(remote_write, a_series_that_the_store_dropped_comes_back),
          TEST_ROW(remote_write, histograms_are_read_and_checked),
          TEST_ROW(remote_write, v2_keeps_what_is_good_and_counts_it),
          TEST_ROW(remote_write, v2_tells_of_references_to_nothing),
          TEST_ROW(remote_write, v2_tells_of_labels_that_no_series_may_have),
          TEST_ROW(remote_write, v2_knows_a_series_under_other_numbers),
          TEST_ROW(remote_write, v2_features_add_zeros_and_labels),
          TEST_ROW(remote_write, the_store_s_faults_are_500),
          TEST_ROW(remote_write, many_samples_go_in_batches), TEST_ROW(remote_write, negotiates))
