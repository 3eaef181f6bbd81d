// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"
#include "base/reader.h"
#include "base/test.h"
#include "codec/compress.h"
#include "remote/remote_fake_source.h"
#include "remote/remote_request.h"
#include "remote/remote_write_internal.h"

typedef struct Fixture {
    FakeSource source;
    RemoteReadOptions options;
    Labels external;
    Buf message;
    FakeAnswer answer;
    Budget budget;
    Arena arena;
    bool begun;
    Error err;
} Fixture;

static void start(Fixture *f)
{
    *f = (Fixture){
        .options = {.frame_bytes_max = 1 << 20, .concurrent_max = 2, .encode = fake_encode},
        .budget = {.name = "--query.max-memory", .holder = "one query", .bytes_max = 1 << 20},
    };
    f->arena.budget = &f->budget;
    fake_source_init(&f->source);
}

static void stop(Fixture *f)
{
    arena_deinit(&f->arena);
    CHECK_EQ(budget_taken(&f->budget), 0);
    CHECK_EQ(f->source.open, 0);
    buf_deinit(&f->message);
    buf_deinit(&f->answer.body);
}

// One query for m with one matcher more.
static void add_query(Fixture *f, int64_t start_ms, int64_t end_ms, MatchKind kind,
                      const char *name, const char *value)
{
    Buf *m = &f->message;
    size_t query = proto_begin(m, 1);
    proto_add_varint(m, 1, (uint64_t)start_ms);
    proto_add_varint(m, 2, (uint64_t)end_ms);
    size_t first = proto_begin(m, 3);
    proto_add_bytes(m, 2, S("__name__"));
    proto_add_bytes(m, 3, S("m"));
    proto_end(m, first);
    size_t second = proto_begin(m, 3);
    proto_add_varint(m, 1, (uint64_t)kind);
    proto_add_bytes(m, 2, str_from_c(name));
    proto_add_bytes(m, 3, str_from_c(value));
    proto_end(m, second);
    proto_end(m, query);
}

static bool ask(Fixture *f)
{
    Buf body = {0};
    snappy_encode(buf_str(&f->message), &body);
    RemoteRead *remote = remote_read_new(&f->options);
    RemoteReadReply reply = fake_answer_reply(&f->answer);
    buf_reset(&f->answer.body);
    bool ok = remote_read_handle(remote, &f->source.source, f->external, buf_str(&body), &f->arena,
                                 &reply, &f->begun, &f->err);
    remote_read_free(remote);
    buf_deinit(&body);
    buf_reset(&f->message);
    return ok;
}

// "i" of each series with the number of its samples and histograms: "0=3+0;".
static void show_result(Str result, Buf *out)
{
    ProtoReader series = proto_reader(result);
    while (proto_next(&series)) {
        int samples = 0;
        int histograms = 0;
        ProtoReader part = proto_reader(series.bytes);
        while (proto_next(&part)) {
            samples += part.field == 2;
            histograms += part.field == 4;
            if (part.field != 1)
                continue;
            Str text[3] = {STR_NONE, STR_NONE, STR_NONE};
            ProtoReader label = proto_reader(part.bytes);
            while (proto_next(&label))
                text[MIN(label.field, 2u)] = label.bytes;
            if (!str_is(text[1], "__name__"))
                buf_printf(out, STR_FMT STR_FMT " ", STR_ARG(text[1]), STR_ARG(text[2]));
        }
        CHECK(!part.failed);
        buf_printf(out, "%d+%d; ", samples, histograms);
    }
    CHECK(!series.failed);
}

static Str show_whole(Fixture *f)
{
    Buf plain = {0};
    Buf out = {0};
    CHECK_STR(f->answer.content_type, S("application/x-protobuf"));
    CHECK_OK(snappy_decode(buf_str(&f->answer.body), 1 << 20, &plain, &f->err), f->err);
    ProtoReader results = proto_reader(buf_str(&plain));
    while (proto_next(&results)) {
        buf_add_c(&out, "[");
        show_result(results.bytes, &out);
        buf_add_c(&out, "]");
    }
    CHECK(!results.failed);
    Str text = arena_str(&f->arena, buf_str(&out));
    buf_deinit(&out);
    buf_deinit(&plain);
    return text;
}

TEST(remote_read, answers_samples_in_one_piece)
{
    static const struct {
        const char *name;
        int64_t start_ms, end_ms;
        MatchKind kind;
        const char *label, *value, *want;
    } cases[] = {
        {"equal", 0, 2000, MATCH_EQUAL, "i", "1", "[i1 3+0; ]"},
        {"histograms", 1000, 2000, MATCH_EQUAL, "i", "2", "[i2 0+2; ]"},
        {"not equal", 0, 0, MATCH_NOT_REGEX, "i", "[0-3]", "[i4 1+0; i5 0+1; ]"},
        {"regular expression", 5000, 5999, MATCH_REGEX, "i", "0|3", "[i0 1+0; i3 1+0; ]"},
        {"nothing matches", 0, 1000, MATCH_EQUAL, "i", "9", "[]"},
        {"nothing in time", 100000, 200000, MATCH_EQUAL, "i", "1", "[]"},
        {"end before start", 5, 1, MATCH_EQUAL, "i", "1", "[]"},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        add_query(&f, c->start_ms, c->end_ms, c->kind, c->label, c->value);
        CHECK_OK(ask(&f), f.err);
        CHECK_STR(show_whole(&f), str_from_c(c->want));
        stop(&f);
    }
}

TEST(remote_read, adds_external_labels_and_looks_behind_them)
{
    static const Label pairs[] = {{STR("a"), STR("x")}, {STR("i"), STR("7")}, {STR("z"), STR("y")}};
    Fixture f;
    start(&f);
    f.external = (Labels){pairs, 3};

    add_query(&f, 0, 0, MATCH_EQUAL, "z", "y"); // ours: as if it were not asked for
    add_query(&f, 0, 0, MATCH_EQUAL, "z", "other");
    add_query(&f, 0, 0, MATCH_EQUAL, "i", "3"); // the series' own wins
    CHECK_OK(ask(&f), f.err);

    CHECK_STR(show_whole(&f), S("[ax i0 zy 1+0; ax i1 zy 1+0; ax i2 zy 0+1; ax i3 zy 1+0; ax i4 zy "
                                "1+0; ax i5 zy 0+1; ][][ax i3 zy 1+0; ]"));
    stop(&f);
}

TEST(remote_read, refuses_what_is_no_request)
{
    static const struct {
        const char *name;
        Str message;
        const char *want;
    } cases[] = {
        {"cut", STR("\x0a\x7f\x0a"), "malformed protobuf"},
        {"bad matcher type", STR("\x0a\x06\x1a\x04\x08\x07\x12\x00"), "invalid matcher type"},
        {"bad pattern",
         STR("\x0a\x0a\x1a\x08\x08\x02\x12\x01"
             "a\x1a\x01("),
         "error parsing regexp"},
        {"unknown type of answer", STR("\x10\x05"), "does not support any"},
        {"packed unknown types", STR("\x12\x02\x05\x06"), "does not support any"},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        buf_add_str(&f.message, c->message);
        CHECK(!ask(&f));
        CHECK_EQ(f.err.code, ERR_INVALID);
        CHECK(!f.begun);
        CHECK_HAS(f.err.text, c->want);
        stop(&f);
    }
}

TEST(remote_read, has_limits_of_samples_and_memory)
{
    Fixture f;
    start(&f);
    f.options.samples_max = 20;

    add_query(&f, 0, 9000, MATCH_REGEX, "i", "[01]");
    CHECK_OK(ask(&f), f.err);
    add_query(&f, 0, 10000, MATCH_REGEX, "i", "[01]");
    CHECK(!ask(&f));
    CHECK_EQ(f.err.code, ERR_LIMIT);
    CHECK_STR(str_from_c(f.err.text), S("exceeded sample limit (20)"));

    f.options.samples_max = 0;
    arena_deinit(&f.arena);
    f.budget = (Budget){.name = "--query.max-memory", .holder = "one query", .bytes_max = 9000};
    for (int i = 0; i < 30; i++)
        add_query(&f, 0, 50000, MATCH_REGEX, "i", ".*");
    CHECK(!ask(&f));
    CHECK_EQ(f.err.code, ERR_LIMIT);
    CHECK_HAS(f.err.text, "--query.max-memory");
    CHECK(!f.begun);
    stop(&f);
}

TEST(remote_read, a_failing_store_is_told)
{
    Fixture f;
    start(&f);
    f.source.fails = true;
    add_query(&f, 0, 9000, MATCH_REGEX, "i", ".*");

    CHECK(!ask(&f));

    CHECK_EQ(f.err.code, ERR_IO);
    CHECK(!f.begun);
    stop(&f);
}

// Takes frames apart: checks length and checksum, counts chunks; returns the number of frames.
static size_t take_frames(Fixture *f, size_t *ret_chunks, uint64_t *ret_last_query)
{
    Reader r = reader_from(buf_str(&f->answer.body));
    size_t frames = 0;
    *ret_chunks = 0;
    while (r.at < r.end) {
        uint64_t len = reader_uvarint(&r);
        uint32_t crc = reader_u32be(&r);
        Str message = reader_bytes(&r, (size_t)len);
        CHECK(!r.failed);
        CHECK_EQ(crc32c(message), crc);
        ProtoReader part = proto_reader(message);
        *ret_last_query = 0;
        while (proto_next(&part)) {
            if (part.field == 2)
                *ret_last_query = part.number;
            ProtoReader series = proto_reader(part.bytes);
            while (part.field == 1 && proto_next(&series))
                *ret_chunks += series.field == 2;
        }
        frames++;
    }
    return frames;
}

TEST(remote_read, streams_frames_of_chunks)
{
    static const struct {
        const char *name;
        size_t frame_bytes_max, want_frames;
    } cases[] = {
        {"one for each series", 1 << 20, 4},
        {"two chunks in each", 300, 12},
        {"one chunk does not fit", 1, 20},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        size_t chunks = 0;
        uint64_t last_query = 0;
        start(&f);
        f.options.frame_bytes_max = c->frame_bytes_max;
        add_query(&f, 0, 50000, MATCH_REGEX, "i", "[01]");
        add_query(&f, 0, 50000, MATCH_REGEX, "i", "[34]");
        proto_add_varint(&f.message, 2, 9);
        proto_add_varint(&f.message, 2, 1);
        CHECK_OK(ask(&f), f.err);
        CHECK(f.begun);
        CHECK_STR(f.answer.content_type,
                  S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"));
        CHECK_EQ(take_frames(&f, &chunks, &last_query), c->want_frames);
        CHECK_EQ(chunks, 20);
        CHECK_EQ(last_query, 1);
        stop(&f);
    }
}

TEST(remote_read, stops_when_the_client_leaves)
{
    Fixture f;
    start(&f);
    f.answer.gone = true;
    add_query(&f, 0, 50000, MATCH_REGEX, "i", ".*");
    proto_add_varint(&f.message, 2, 1);

    CHECK(!ask(&f));

    CHECK_EQ(f.err.code, ERR_CANCELED);
    CHECK(f.begun);
    CHECK_EQ(f.answer.writes, 1);
    stop(&f);
}

TEST(remote_histogram, comes_back_as_it_was_sent)
{
    static const HistogramSpan spans[] = {{-3, 2}, {4, 1}};
    static const HistogramSpan pair[] = {{0, 2}};
    static const double counts[] = {5, 2, 300};
    static const double bounds[] = {0.1, 2.5};
    static const struct {
        const char *name;
        Histogram h;
    } cases[] = {
        {"integer",
         {.is_integer = true,
          .schema = 2,
          .count = 320,
          .sum = -1.5,
          .zero_threshold = 1e-9,
          .zero_count = 13,
          .hint = HINT_NO_RESET,
          .positive_spans = spans,
          .positive_span_count = 2,
          .positive_buckets = counts,
          .positive_count = 3}},
        {"float with negative buckets",
         {.schema = -1,
          .count = 614.5,
          .sum = 1e300,
          .zero_count = 0.5,
          .hint = HINT_GAUGE,
          .positive_spans = spans,
          .positive_span_count = 2,
          .positive_buckets = counts,
          .positive_count = 3,
          .negative_spans = spans,
          .negative_span_count = 2,
          .negative_buckets = counts,
          .negative_count = 3}},
        {"custom",
         {.is_integer = true,
          .schema = HISTOGRAM_SCHEMA_CUSTOM,
          .count = 7,
          .sum = 3,
          .positive_spans = pair,
          .positive_span_count = 1,
          .positive_buckets = counts,
          .positive_count = 2,
          .custom_bounds = bounds,
          .custom_count = 2}},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        Buf buf = {0};
        SinkSample back = {0};
        remote_histogram_encode(&buf, 4, &c->h, 1234567890123, 0);
        CHECK(buf.len <= remote_histogram_bytes(&c->h));
        ProtoReader field = proto_reader(buf_str(&buf));
        CHECK(proto_next(&field));
        CHECK(remote_histogram_decode(field.bytes, &arena, &back));
        CHECK_EQ(back.t_ms, 1234567890123);
        CHECK(histogram_equal(back.histogram, &c->h));
        CHECK_EQ(back.histogram->hint, c->h.hint);
        CHECK_EQ(back.histogram->is_integer, c->h.is_integer);
        buf_deinit(&buf);
        arena_deinit(&arena);
    }
}

TEST_MAIN(remote_read, TEST_ROW(remote_read, answers_samples_in_one_piece),
          TEST_ROW(remote_read, adds_external_labels_and_looks_behind_them),
          TEST_ROW(remote_read, refuses_what_is_no_request),
          TEST_ROW(remote_read, has_limits_of_samples_and_memory),
          TEST_ROW(remote_read, a_failing_store_is_told),
          TEST_ROW(remote_read, streams_frames_of_chunks),
          TEST_ROW(remote_read, stops_when_the_client_leaves),
          TEST_ROW(remote_histogram, comes_back_as_it_was_sent))
