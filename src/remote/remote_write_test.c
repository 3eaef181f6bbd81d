// SPDX-License-Identifier: Apache-2.0
// The receiver over a Sink that keeps a log of what was poured into it.
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote.h"

typedef struct LogSink {
    Sink sink;
    Appender appender;
    Arena arena;
    Labels series[16];
    bool gone[16];
    size_t series_count;
    size_t series_calls;
    char pending[1000];
    char committed[1000];
    AppendStatus refuse; // what samples with the value 666 get
    bool commit_fails;
} LogSink;

static SeriesRef log_series(Appender *appender, Labels labels, bool *ret_created, Error *err)
{
    LogSink *log = CONTAINER_OF(appender, LogSink, appender);
    (void)err;
    log->series_calls++;
    for (size_t i = 0; i < log->series_count; i++)
        if (!log->gone[i] && labels_equal(log->series[i], labels)) {
            *ret_created = false;
            return i + 1;
        }
    *ret_created = true;
    log->series[log->series_count++] = labels_copy(&log->arena, labels);
    return log->series_count;
}

static size_t log_append(Appender *appender, SinkSample *samples, size_t count)
{
    LogSink *log = CONTAINER_OF(appender, LogSink, appender);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        SinkSample *s = &samples[i];
        s->status = log->gone[s->ref - 1] ? APPEND_GONE : s->value == 666 ? log->refuse : APPEND_OK;
        if (s->status != APPEND_OK)
            continue;
        taken++;
        size_t len = strlen(log->pending);
        Str name = labels_get(log->series[s->ref - 1], LABEL_METRIC_NAME);
        if (s->histogram)
            snprintf(log->pending + len, sizeof log->pending - len, "%.*s@%lld=h%g/%g ",
                     STR_ARG(name), (long long)s->t_ms, s->histogram->count,
                     s->histogram->positive_count
                         ? s->histogram->positive_buckets[s->histogram->positive_count - 1]
                         : 0);
        else
            snprintf(log->pending + len, sizeof log->pending - len, "%.*s@%lld=%g ", STR_ARG(name),
                     (long long)s->t_ms, s->value);
    }
    return taken;
}

static bool log_commit(Appender *appender, Error *err)
{
    LogSink *log = CONTAINER_OF(appender, LogSink, appender);
    if (log->commit_fails)
        return error_set(err, ERR_IO, "write wal: No space left on device");
    strcat(log->committed, log->pending);
    return true;
}

static void log_rollback(Appender *appender)
{
    (void)appender;
}

static Appender *log_begin(Sink *sink)
{
    LogSink *log = CONTAINER_OF(sink, LogSink, sink);
    log->pending[0] = '\0';
    log->appender = (Appender){
        .series = log_series, .append = log_append, .commit = log_commit, .rollback = log_rollback};
    return &log->appender;
}

static void add_label(Buf *buf, const char *name, const char *value)
{
    size_t label = proto_begin(buf, 1);
    proto_add_bytes(buf, 1, str_from_c(name));
    proto_add_bytes(buf, 2, str_from_c(value));
    proto_end(buf, label);
}

static void add_sample(Buf *buf, double value, int64_t t_ms)
{
    size_t sample = proto_begin(buf, 2);
    proto_add_double(buf, 1, value);
    proto_add_varint(buf, 2, (uint64_t)t_ms);
    proto_end(buf, sample);
}

// name "": no __name__ label.
static void add_series_v1(Buf *buf, const char *name, double value, int64_t t_ms)
{
    size_t series = proto_begin(buf, 1);
    add_label(buf, "job", "x");
    if (*name)
        add_label(buf, "__name__", name);
    add_sample(buf, value, t_ms);
    proto_end(buf, series);
}

static const uint32_t refs_a[] = {1, 2};
static const uint32_t refs_b[] = {1, 3};

static void add_series_v2(Buf *buf, const uint32_t refs[2], double value, int64_t t_ms)
{
    size_t series = proto_begin(buf, 5);
    size_t packed = proto_begin(buf, 1);
    buf_add_uvarint(buf, refs[0]);
    buf_add_uvarint(buf, refs[1]);
    proto_end(buf, packed);
    add_sample(buf, value, t_ms);
    proto_end(buf, series);
}

static void add_symbols(Buf *buf)
{
    static const char *const symbols[] = {"", "__name__", "a", "b"};
    for (size_t i = 0; i < COUNT_OF(symbols); i++)
        proto_add_bytes(buf, 4, str_from_c(symbols[i]));
}

#define V2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"

typedef struct Bench {
    LogSink log;
    ClockFake clock;
    RemoteWriteReceiver *receiver;
} Bench;

static void bench_init(Bench *bench)
{
    memset(bench, 0, sizeof *bench);
    bench->log.sink.begin = log_begin;
    bench->log.refuse = APPEND_OUT_OF_ORDER;
    clock_fake_init(&bench->clock, 1000000);
    bench->receiver = remote_write_receiver_new(&(RemoteWriteOptions){.sink = &bench->log.sink,
                                                                      .clock = &bench->clock.clock,
                                                                      .accept_v1 = true,
                                                                      .accept_v2 = true});
}

static void bench_deinit(Bench *bench)
{
    remote_write_receiver_free(bench->receiver);
    arena_deinit(&bench->log.arena);
}

static RemoteWriteReply post(Bench *bench, const char *type, Buf *message)
{
    Arena arena = {0};
    Buf packed = {0};
    RemoteWriteReply reply;
    snappy_encode(buf_str(message), &packed);
    remote_write_receive(bench->receiver, str_from_c(type), S("snappy"), buf_str(&packed), &arena,
                         &reply);
    buf_deinit(&packed);
    buf_deinit(message);
    arena_deinit(&arena);
    return reply;
}

TEST(remote_write, v1_is_all_or_nothing)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);

    add_series_v1(&message, "good", 1, 500);
    add_series_v1(&message, "", 2, 500);
    RemoteWriteReply reply = post(&bench, "", &message);
    CHECK_EQ(reply.status, 204);
    CHECK_EQ(reply.samples_written, 0);
    add_series_v1(&message, "good", 3, 600);
    add_series_v1(&message, "bad", 666, 600);
    reply = post(&bench, "application/x-protobuf", &message);

    CHECK_EQ(reply.status, 400);
    CHECK_HAS(reply.err.text, "out of order sample");
    CHECK_STR(str_from_c(bench.log.committed), S("good@500=1 "));
    bench_deinit(&bench);
}

TEST(remote_write, v2_keeps_the_valid_part)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);

    add_symbols(&message);
    add_series_v2(&message, refs_a, 1, 500);
    add_series_v2(&message, refs_b, 666, 500);
    RemoteWriteReply reply = post(&bench, V2, &message);

    CHECK_EQ(reply.status, 400);
    CHECK_EQ(reply.samples_written, 1);
    CHECK_STR(str_from_c(bench.log.committed), S("a@500=1 "));
    bench_deinit(&bench);
}

TEST(remote_write, known_series_are_found_without_their_labels)
{
    Bench bench;
    bench_init(&bench);

    for (int i = 0; i < 5; i++) {
        Buf message = {0};
        add_series_v1(&message, "m", i, 500 + i);
        CHECK_EQ(post(&bench, "", &message).status, 204);
    }

    CHECK_EQ(bench.log.series_calls, 1);
    bench_deinit(&bench);
}

TEST(remote_write, a_series_that_is_gone_is_looked_up_again)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);
    add_series_v1(&message, "m", 1, 500);
    CHECK_EQ(post(&bench, "", &message).status, 204);
    bench.log.gone[0] = true;

    add_series_v1(&message, "m", 2, 600);
    CHECK_EQ(post(&bench, "", &message).status, 204);

    CHECK_STR(str_from_c(bench.log.committed), S("m@500=1 m@600=2 "));
    bench_deinit(&bench);
}

TEST(remote_write, integer_histograms_come_as_counts)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);
    size_t series = proto_begin(&message, 1);
    add_label(&message, "__name__", "h");
    size_t histogram = proto_begin(&message, 4);
    proto_add_varint(&message, 1, 7);
    proto_add_double(&message, 3, 12.5);
    size_t span = proto_begin(&message, 11);
    proto_add_zigzag(&message, 1, 0);
    proto_add_varint(&message, 2, 2);
    proto_end(&message, span);
    size_t deltas = proto_begin(&message, 12);
    buf_add_varint(&message, 3);
    buf_add_varint(&message, 1);
    proto_end(&message, deltas);
    proto_add_varint(&message, 15, 500);
    proto_end(&message, histogram);
    proto_end(&message, series);

    RemoteWriteReply reply = post(&bench, "", &message);

    CHECK_EQ(reply.status, 204);
    CHECK_STR(str_from_c(bench.log.committed), S("h@500=h7/4 "));
    bench_deinit(&bench);
}

TEST(remote_write, refuses_what_it_cannot_take)
{
    static const struct {
        const char *name;
        const char *type;
        const char *encoding;
        Str body; // as sent
        int status;
    } cases[] = {
        {"other media type",          "text/plain",                           "snappy", STR(""),                     415},
        {"unknown message",           "application/x-protobuf;proto=unknown", "snappy", STR(""),                     415},
        {"gzip",                      "",                                     "gzip",   STR(""),                     415},
        {"no snappy",                 "",                                     "",       STR("\x0a\x01\xff"),         400},
        {"empty",                     "",                                     "snappy", STR(""),                     400},
        {"no protobuf",               "",                                     "snappy", STR("\x03\x08\xff\xff\xff"), 400},
        {"first symbol is not empty", V2,                                     "snappy", STR("\x03\x08\x22\x01\x61"), 400},
    };

    EACH_CASE(c, cases) {
        Bench bench;
        Arena arena = {0};
        RemoteWriteReply reply;
        bench_init(&bench);

        remote_write_receive(bench.receiver, str_from_c(c->type), str_from_c(c->encoding), c->body,
                             &arena, &reply);

        CHECK_EQ(reply.status, c->status);
        CHECK(reply.err.text[0] != '\0');
        arena_deinit(&arena);
        bench_deinit(&bench);
    }
}

TEST(remote_write, the_far_future_is_out_of_bounds)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);
    add_series_v1(&message, "m", 1, 1000000 + 600001);

    RemoteWriteReply reply = post(&bench, "", &message);

    CHECK_EQ(reply.status, 400);
    CHECK_HAS(reply.err.text, "out of bounds");
    bench_deinit(&bench);
}

TEST(remote_write, a_store_that_fails_is_told_as_500)
{
    Bench bench;
    Buf message = {0};
    bench_init(&bench);
    bench.log.commit_fails = true;
    add_symbols(&message);
    add_series_v2(&message, refs_a, 1, 500);

    RemoteWriteReply reply = post(&bench, V2, &message);

    CHECK_EQ(reply.status, 500);
    CHECK_EQ(reply.samples_written, 0);
    CHECK_HAS(reply.err.text, "No space left");
    bench_deinit(&bench);
}

TEST_MAIN(remote_write, TEST_ROW(remote_write, v1_is_all_or_nothing),
          TEST_ROW(remote_write, v2_keeps_the_valid_part),
          TEST_ROW(remote_write, known_series_are_found_without_their_labels),
          TEST_ROW(remote_write, a_series_that_is_gone_is_looked_up_again),
          TEST_ROW(remote_write, integer_histograms_come_as_counts),
          TEST_ROW(remote_write, refuses_what_it_cannot_take),
          TEST_ROW(remote_write, the_far_future_is_out_of_bounds),
          TEST_ROW(remote_write, a_store_that_fails_is_told_as_500))
