// SPDX-License-Identifier: Apache-2.0
// Queues between a feed in memory and a receiver that is our own (remote_write.h) behind a server that can refuse, hang and forget.
#include <ftw.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/test.h"
#include "codec/protobuf.h"
#include "net/http_server.h"
#include "remote/remote_fake_feed.h"
#include "remote/remote_fake_sink.h"
#include "remote/remote_queue.h"

enum {
    KEPT_BODIES = 64,
    WAIT_MS_MAX = 60000, // longer than a busy machine with sanitizers needs for anything here
};

typedef struct Receiver {
    HttpServer *server;
    int port;
    Lock lock; // guards the sink and what follows
    FakeSink sink;
    RemoteWrite *write;
    Arena arena;
    Str bodies[KEPT_BODIES];
    Str attempts[KEPT_BODIES];
    Str retry_after;
    int refusals; // this many more requests get refuse_status
    int refuse_status;
    size_t requests, refused_by_sink;
    int64_t last_ms[2]; // of the two newest requests
    Str authorization, custom;
    _Atomic bool hangs;  // takes what comes, answers nothing
    _Atomic bool silent; // takes nothing, answers nothing
} Receiver;

static void note(Receiver *receiver, const HttpRequest *request)
{
    if (receiver->requests < KEPT_BODIES) {
        receiver->bodies[receiver->requests] = arena_str(&receiver->arena, request->body);
        receiver->attempts[receiver->requests] =
            arena_str(&receiver->arena, http_header(request, S("Retry-Attempt")));
    }
    receiver->authorization = arena_str(&receiver->arena, http_header(request, S("Authorization")));
    receiver->custom = arena_str(&receiver->arena, http_header(request, S("X-Custom")));
    receiver->requests++;
    receiver->last_ms[0] = receiver->last_ms[1];
    receiver->last_ms[1] = clock_mono_ns(&clock_system) / 1000000;
}

static void add_count(HttpRequest *request, const char *name, uint64_t count)
{
    http_reply_header(request, str_from_c(name),
                      arena_printf(request->arena, "%llu", (unsigned long long)count));
}

static void receive(void *arg, HttpRequest *request)
{
    Receiver *receiver = arg;
    RemoteWriteAnswer answer = {0};
    // A request whose sender has stopped meanwhile is not taken: the test goes on as if it never came.
    if (receiver->silent || http_client_gone(request)) {
        while (receiver->silent && !http_client_gone(request))
            usleep(1000);
        http_reply(request, 503, S("text/plain"), S(""));
        return;
    }
    lock_take(&receiver->lock);
    note(receiver, request);
    bool refuses = receiver->refusals > 0;
    receiver->refusals -= refuses;
    if (refuses && receiver->retry_after.len)
        http_reply_header(request, S("Retry-After"), receiver->retry_after);
    if (!refuses) {
        RemoteWriteRequest write = {http_header(request, S("Content-Type")),
                                    http_header(request, S("Content-Encoding")), request->body};
        remote_write_handle(receiver->write, &receiver->sink.sink, &write, request->arena, &answer);
        receiver->refused_by_sink += answer.status != 204;
    }
    int refuse_status = receiver->refuse_status;
    lock_give(&receiver->lock);
    while (receiver->hangs && !http_client_gone(request))
        usleep(1000);
    if (refuses) {
        http_reply(request, refuse_status, S("text/plain"), S("not now\n"));
        return;
    }
    if (answer.counted) {
        add_count(request, "X-Prometheus-Remote-Write-Samples-Written", answer.samples);
        add_count(request, "X-Prometheus-Remote-Write-Histograms-Written", answer.histograms);
        add_count(request, "X-Prometheus-Remote-Write-Exemplars-Written", answer.exemplars);
    }
    http_reply(request, answer.status, S("text/plain"), answer.text);
}

typedef struct Rig {
    Receiver receiver;
    FakeFeed feed;
    Registry *registry;
    Arena arena;
    char dir[64];
    RemoteOut *out;
    RemoteWriteConfig config;
    int64_t
        flush_deadline_ms; // so long that a stop sees the answer to all that was taken, however slow the machine
} Rig;

static void start_receiver(Receiver *receiver)
{
    HttpServerOptions options;
    Error err;
    lock_init(&receiver->lock, "receiver", 500);
    fake_sink_init(&receiver->sink);
    receiver->write = remote_write_new(
        &(RemoteWriteOptions){.clock = &clock_system, .accept_v1 = true, .accept_v2 = true});
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 8;
    options.handle = receive;
    options.arg = receiver;
    CHECK_OK(http_server_start(&options, &receiver->server, &receiver->port, &err), err);
}

static Rig *rig_new(bool v2)
{
    Rig *rig = X_NEW(Rig);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    start_receiver(&rig->receiver);
    fake_feed_init(&rig->feed);
    rig->registry = registry_new();
    snprintf(rig->dir, sizeof rig->dir, "/tmp/narthex-remote-XXXXXX");
    CHECK(mkdtemp(rig->dir) != NULL);
    config_defaults(&rig->arena, &remote_write_config_table, &rig->config);
    rig->config.url = arena_printf(&rig->arena, "http://127.0.0.1:%d/write", rig->receiver.port);
    rig->config.queue.batch_send_deadline_ms = 20;
    rig->flush_deadline_ms = WAIT_MS_MAX;
    if (v2)
        rig->config.protobuf_message = REMOTE_WRITE_MESSAGE_V2;
    return rig;
}

static void apply(Rig *rig, size_t writes, Labels external)
{
    Error err = {0};
    RemoteOutConfig config = {.writes = {&rig->config, writes}, .external = external};
    CHECK_OK(remote_out_apply(rig->out, &config, &err), err);
}

static void start(Rig *rig)
{
    RemoteOutOptions options = {
        .registry = rig->registry,
        .clock = &clock_system,
        .fs = &fs_system,
        .dir = str_from_c(rig->dir),
        .flush_deadline_ms = rig->flush_deadline_ms,
    };
    rig->out = remote_out_new(&options, &rig->feed.feed);
    apply(rig, 1, LABELS_NONE);
}

static void stop(Rig *rig)
{
    remote_out_free(rig->out);
    rig->out = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void rig_free(Rig *rig)
{
    rig->receiver.hangs = rig->receiver.silent = false;
    stop(rig);
    http_server_stop(rig->receiver.server);
    remote_write_free(rig->receiver.write);
    fake_sink_deinit(&rig->receiver.sink);
    arena_deinit(&rig->receiver.arena);
    lock_deinit(&rig->receiver.lock);
    fake_feed_deinit(&rig->feed);
    registry_free(rig->registry);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_deinit(&rig->arena);
    free(rig);
}

// All that the sink has taken.
static size_t taken(Rig *rig)
{
    size_t count = 0;
    lock_take(&rig->receiver.lock);
    for (size_t i = 0; i < rig->receiver.sink.series_count; i++)
        count += rig->receiver.sink.series[i]->count;
    lock_give(&rig->receiver.lock);
    return count;
}

static size_t requests(Rig *rig)
{
    lock_take(&rig->receiver.lock);
    size_t count = rig->receiver.requests;
    lock_give(&rig->receiver.lock);
    return count;
}

static size_t taken_of(Rig *rig, const char *series)
{
    lock_take(&rig->receiver.lock);
    size_t count = fake_count(&rig->receiver.sink, series);
    lock_give(&rig->receiver.lock);
    return count;
}

static size_t exemplars_taken(Rig *rig)
{
    lock_take(&rig->receiver.lock);
    size_t count = rig->receiver.sink.exemplars;
    lock_give(&rig->receiver.lock);
    return count;
}

// The value of a metric of the one queue.
static double metric(Rig *rig, const char *name)
{
    Buf text = {0};
    double value = -1;
    registry_write(rig->registry, REGISTRY_TEXT, &text);
    Str rest = buf_str(&text);
    Str line;
    while (str_split_next(&rest, '\n', &line)) {
        if (!str_starts_with(line, str_from_c(name)))
            continue;
        size_t space = str_rfind_char(line, ' ');
        value = strtod(str_to_c(&rig->arena, str_skip(line, space)), NULL);
        break;
    }
    buf_deinit(&text);
    return value;
}

// Waits until it holds; the check behind it tells if it never did.
#define WAIT_UNTIL(condition)                                                                      \
    for (int64_t waited_ms = 0; waited_ms < WAIT_MS_MAX && !(condition); waited_ms += 10)          \
    usleep(10000)

static void wait_taken(Rig *rig, size_t count)
{
    WAIT_UNTIL(taken(rig) >= count);
    CHECK_EQ(taken(rig), count);
}

static void wait_requests(Rig *rig, size_t count)
{
    WAIT_UNTIL(requests(rig) >= count);
    CHECK(requests(rig) >= count);
}

static void wait_metric(Rig *rig, const char *name, double value)
{
    WAIT_UNTIL(metric(rig, name) == value);
    CHECK_DOUBLE(metric(rig, name), value);
}

static void put_rounds(Rig *rig, uint64_t series, int from, int to)
{
    for (int i = from; i < to; i++)
        fake_feed_samples(&rig->feed, series, 1000 + i * 1000);
}

TEST(remote_out, every_sample_arrives_in_order)
{
    static const struct {
        const char *name;
        bool v2;
        int64_t shards;
    } cases[] = {
        {"1.0, one shard", false, 1},
        {"1.0, four shards", false, 4},
        {"2.0, one shard", true, 1},
        {"2.0, four shards", true, 4},
    };

    EACH_CASE(c, cases) {
        Rig *rig = rig_new(c->v2);
        rig->config.queue.min_shards = c->shards;
        rig->config.queue.max_samples_per_send = 70;
        start(rig);
        fake_feed_series(&rig->feed, 100);
        put_rounds(rig, 100, 0, 30);

        wait_taken(rig, 3000);
        CHECK_EQ(rig->receiver.refused_by_sink, 0);
        CHECK_EQ(taken_of(rig, "m{i=\"42\"}"), 30);
        wait_metric(rig, "prometheus_remote_storage_samples_total{", 3000.0);
        CHECK_DOUBLE(metric(rig, "prometheus_remote_storage_samples_failed_total{"), 0.0);
        rig_free(rig);
    }
}

TEST(remote_out, external_labels_and_relabelling_are_applied)
{
    Rig *rig = rig_new(false);
    Error err;
    RelabelRule rule;
    Str sources[] = {STR("i")};
    relabel_rule_init(&rule);
    rule.action = RELABEL_DROP;
    rule.source_labels = sources;
    rule.source_label_count = 1;
    rule.regex_text = S("3");
    CHECK_OK(relabel_rule_finish(&rule, true, &err), err);
    rig->config.write_relabel = (ConfigList){&rule, 1};
    RemoteOutOptions options = {.registry = rig->registry,
                                .clock = &clock_system,
                                .fs = &fs_system,
                                .dir = str_from_c(rig->dir),
                                .flush_deadline_ms = rig->flush_deadline_ms};
    rig->out = remote_out_new(&options, &rig->feed.feed);
    Label external[] = {{S("i"), S("not used")}, {S("zone"), S("z1")}};
    apply(rig, 1, (Labels){external, 2});
    fake_feed_series(&rig->feed, 5);
    put_rounds(rig, 5, 0, 1);

    wait_taken(rig, 4);
    CHECK_EQ(taken_of(rig, "m{i=\"2\", zone=\"z1\"}"), 1);
    CHECK_EQ(taken_of(rig, "m{i=\"3\", zone=\"z1\"}"), 0);
    stop(rig);
    rig_free(rig);
    relabel_rule_deinit(&rule);
}

TEST(remote_out, tries_again_until_it_is_taken)
{
    static const struct {
        const char *name;
        int status;
        bool retry_429;
        size_t want_taken;
        double want_failed;
    } cases[] = {
        {"500 is tried again", 500, false, 10, 0},
        {"503 is tried again", 503, false, 10, 0},
        {"429 is tried again if asked", 429, true, 10, 0},
        {"429 is dropped if not", 429, false, 0, 10},
        {"400 is dropped", 400, false, 0, 10},
        {"404 is dropped", 404, true, 0, 10},
    };

    EACH_CASE(c, cases) {
        Rig *rig = rig_new(false);
        rig->config.queue.retry_on_http_429 = c->retry_429;
        rig->receiver.refusals = c->want_taken ? 3 : 1;
        rig->receiver.refuse_status = c->status;
        start(rig);
        fake_feed_series(&rig->feed, 10);
        put_rounds(rig, 10, 0, 1);

        wait_requests(rig, c->want_taken ? 4 : 1);
        wait_taken(rig, c->want_taken);
        if (c->want_taken)
            wait_metric(rig, "prometheus_remote_storage_samples_total{", 10.0);
        wait_metric(rig, "prometheus_remote_storage_samples_failed_total{", c->want_failed);
        if (c->want_taken) {
            CHECK_STR(rig->receiver.attempts[0], S(""));
            CHECK_STR(rig->receiver.attempts[3], S("3"));
            CHECK_STR(rig->receiver.bodies[3], rig->receiver.bodies[0]);
            CHECK_DOUBLE(metric(rig, "prometheus_remote_storage_samples_retried_total{"), 30.0);
        }
        // What was dropped does not stop what comes behind it.
        put_rounds(rig, 10, 5, 6);
        wait_taken(rig, c->want_taken + 10);
        rig_free(rig);
    }
}

TEST(remote_out, waits_as_long_as_retry_after_says)
{
    Rig *rig = rig_new(false);
    rig->receiver.refusals = 1;
    rig->receiver.refuse_status = 503;
    rig->receiver.retry_after = S("1");
    start(rig);
    fake_feed_series(&rig->feed, 1);
    put_rounds(rig, 1, 0, 1);

    wait_taken(rig, 1);
    CHECK(rig->receiver.last_ms[1] - rig->receiver.last_ms[0] >= 990);
    rig_free(rig);
}

TEST(remote_out, goes_on_where_it_was_after_a_restart)
{
    Rig *rig = rig_new(false);
    rig->config.queue.max_samples_per_send = 30;
    rig->config.queue.min_shards = 3;
    start(rig);
    fake_feed_series(&rig->feed, 100);
    put_rounds(rig, 100, 0, 5);
    wait_taken(rig, 500);
    stop(rig);

    put_rounds(rig, 100, 5, 9); // while nobody reads
    CHECK_EQ(taken(rig), 500);
    start(rig);
    put_rounds(rig, 100, 9, 12);
    wait_taken(rig, 1200);
    usleep(100000);
    CHECK_EQ(taken(rig), 1200);
    CHECK_EQ(rig->receiver.refused_by_sink, 0);
    rig_free(rig);
}

TEST(remote_out, nothing_is_lost_while_the_receiver_is_away)
{
    Rig *rig = rig_new(true);
    rig->config.queue.capacity = 100;
    rig->config.queue.max_samples_per_send = 50;
    rig->config.remote_timeout_ms = 300;
    rig->receiver.silent = true;
    start(rig);
    fake_feed_series(&rig->feed, 10);
    put_rounds(rig, 10, 0, 500);
    WAIT_UNTIL(metric(rig, "prometheus_remote_storage_samples_pending{") >= 100);
    usleep(50000);
    // A full shard stops the reading: the rest waits in the log.
    CHECK(metric(rig, "prometheus_remote_storage_samples_pending{") >= 100);
    CHECK(metric(rig, "prometheus_remote_storage_samples_pending{") <= 110);
    stop(rig); // gives up at once
    CHECK_EQ(taken(rig), 0);

    rig->receiver.silent = false;
    rig->config.remote_timeout_ms = WAIT_MS_MAX; // a slow answer is not a lost one
    start(rig);
    wait_taken(rig, 5000);
    CHECK_EQ(rig->receiver.refused_by_sink, 0);
    rig_free(rig);
}

// The receiver has the request, but the answer was never seen.
TEST(remote_out, sends_the_same_request_again_after_a_kill)
{
    Rig *rig = rig_new(false);
    rig->config.queue.max_samples_per_send = 25;
    rig->flush_deadline_ms = 200; // of what hangs nothing comes
    start(rig);
    fake_feed_series(&rig->feed, 10);
    put_rounds(rig, 10, 0, 3);
    wait_metric(rig, "prometheus_remote_storage_samples_total{", 30.0); // it has seen the answers
    size_t before = requests(rig);
    rig->receiver.hangs = true;
    put_rounds(rig, 10, 3, 10);
    wait_requests(rig, before + 1);
    // As a kill: the places on disk are those of the moment the request went out.
    char copy[300];
    snprintf(copy, sizeof copy, "cp -r %s %s.kill", rig->dir, rig->dir);
    CHECK_EQ(system(copy), 0);
    stop(rig);
    snprintf(copy, sizeof copy, "rm -r %s && mv %s.kill %s", rig->dir, rig->dir, rig->dir);
    CHECK_EQ(system(copy), 0);

    rig->receiver.hangs = false;
    rig->config.queue.max_samples_per_send = 13; // other limits do not change its bounds
    size_t between = requests(rig);
    start(rig);
    wait_requests(rig, between + 1);
    CHECK_STR(rig->receiver.bodies[between], rig->receiver.bodies[before]);
    WAIT_UNTIL(taken_of(rig, "m{i=\"10\"}") == 10);
    // The one request twice: the sink refuses it whole the second time, as samples of it are older than the newest.
    CHECK_EQ(rig->receiver.refused_by_sink, 1);
    CHECK_EQ(taken(rig), 100);
    rig_free(rig);
}

TEST(remote_out, a_reload_keeps_queues_that_are_the_same)
{
    Rig *rig = rig_new(false);
    start(rig);
    fake_feed_series(&rig->feed, 10);
    put_rounds(rig, 10, 0, 1);
    wait_taken(rig, 10);
    double sent = metric(rig, "prometheus_remote_storage_samples_total{");

    apply(rig, 1, LABELS_NONE);
    CHECK(metric(rig, "prometheus_remote_storage_samples_total{") >= sent);
    put_rounds(rig, 10, 1, 2);
    wait_taken(rig, 20);

    // Another block for the same place goes on where the old one was.
    rig->config.queue.max_samples_per_send = 7;
    apply(rig, 1, LABELS_NONE);
    put_rounds(rig, 10, 2, 3);
    wait_taken(rig, 30);

    // Without it its place is forgotten, and its metrics go.
    apply(rig, 0, LABELS_NONE);
    CHECK_DOUBLE(metric(rig, "prometheus_remote_storage_samples_total{"), -1.0);
    put_rounds(rig, 10, 3, 4);
    apply(rig, 1, LABELS_NONE);
    put_rounds(rig, 10, 4, 5);
    wait_taken(rig, 40);
    CHECK_EQ(rig->receiver.refused_by_sink, 0);
    rig_free(rig);
}

TEST(remote_out, histograms_exemplars_and_metadata_go_along)
{
    static const struct {
        const char *name;
        bool v2;
    } cases[] = {
        {"1.0", false},
        {"2.0", true},
    };
    static const HistogramSpan spans[] = {{-1, 2}, {3, 1}};
    static const double buckets[] = {1, 2, 3};
    static const Histogram histogram = {.schema = 3,
                                        .is_integer = true,
                                        .zero_threshold = 0.001,
                                        .zero_count = 4,
                                        .count = 10,
                                        .sum = 2.5,
                                        .positive_spans = spans,
                                        .positive_span_count = 2,
                                        .positive_buckets = buckets,
                                        .positive_count = 3};
    static const Histogram *const histograms[] = {&histogram};
    static const uint64_t refs[] = {1};
    static const int64_t t_ms[] = {5000};
    static const Label trace[] = {{STR("trace_id"), STR("abc")}};
    static const Exemplar exemplars[] = {
        {.labels = {trace, 1}, .value = 0.5, .t_ms = 5000, .has_t = true}};
    static const Metadata metadata[] = {{METRIC_HISTOGRAM, STR("What it is."), STR("seconds")}};

    EACH_CASE(c, cases) {
        Rig *rig = rig_new(c->v2);
        rig->config.send_exemplars = true;
        rig->config.send_native_histograms = true;
        start(rig);
        fake_feed_series(&rig->feed, 1);
        fake_feed_put(
            &rig->feed,
            (FeedBatch){.kind = FEED_METADATA, .count = 1, .refs = refs, .metadata = metadata});
        fake_feed_put(&rig->feed, (FeedBatch){.kind = FEED_HISTOGRAMS,
                                              .count = 1,
                                              .refs = refs,
                                              .t_ms = t_ms,
                                              .histograms = histograms});
        wait_taken(rig, 1);
        if (!c->v2) // 2.0 wants a sample beside each exemplar
            fake_feed_put(&rig->feed, (FeedBatch){.kind = FEED_EXEMPLARS,
                                                  .count = 1,
                                                  .refs = refs,
                                                  .t_ms = t_ms,
                                                  .exemplars = exemplars});
        WAIT_UNTIL(c->v2 || exemplars_taken(rig) > 0);
        CHECK_EQ(exemplars_taken(rig), !c->v2);
        CHECK_EQ(rig->receiver.sink.metadata, c->v2);
        CHECK_EQ(rig->receiver.refused_by_sink, 0);
        rig_free(rig);
    }
}

static Str symbol_at(const RemoteRequest *request, uint64_t index)
{
    ProtoReader symbols = proto_reader(buf_str(&request->symbols));
    for (uint64_t i = 0; proto_next(&symbols); i++)
        if (i == index)
            return symbols.bytes.len ? symbols.bytes : S("-");
    return S("no such symbol");
}

// "type help unit" of the first series' metadata, if there is any.
static void print_metadata(const RemoteRequest *request, Buf *out)
{
    uint64_t numbers[5] = {0};
    bool found = false;
    ProtoReader all = proto_reader(buf_str(&request->message));
    CHECK(proto_next(&all));
    for (ProtoReader series = proto_reader(all.bytes); proto_next(&series);) {
        if (series.field != 5)
            continue;
        found = true;
        for (ProtoReader metadata = proto_reader(series.bytes); proto_next(&metadata);)
            if (metadata.field < COUNT_OF(numbers))
                numbers[metadata.field] = metadata.number;
    }
    if (!found)
        return;
    Str help = symbol_at(request, numbers[3]), unit = symbol_at(request, numbers[4]);
    buf_printf(out, "%d " STR_FMT " " STR_FMT, (int)numbers[1], STR_ARG(help), STR_ARG(unit));
}

// With the feature type-and-unit-labels: nobody told of metadata, the labels know.
TEST(remote_request, labels_of_type_and_unit_become_metadata)
{
    static const RemoteMetadata nothing = {0};
    static const RemoteMetadata told = {
        .type = METRIC_GAUGE, .help = STR("Text."), .is_known = true};
    static const struct {
        const char *name;
        Str type, unit;
        const RemoteMetadata *told;
        const char *want; // type, help, unit; "": no metadata
    } cases[] = {
        {"both", STR("counter"), STR("seconds"), &nothing, "1 - seconds"},
        {"a type", STR("gaugehistogram"), STR(""), &nothing, "4 - -"},
        {"a unit", STR(""), STR("bytes"), &nothing, "0 - bytes"},
        {"neither", STR(""), STR(""), &nothing, ""},
        {"a type that there is not", STR("odd"), STR(""), &nothing, ""},
        {"what was told counts first", STR("counter"), STR("seconds"), &told, "2 Text. seconds"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf got = {0};
        RemoteRequest request;
        Label labels[] = {
            {S("__name__"), S("m")}, {S("__type__"), c->type}, {S("__unit__"), c->unit}};
        RemoteSeries *series = remote_series_new(NULL, 1, (Labels){labels, 3});
        series->v2->metadata = c->told;
        remote_request_init(&request, true, NULL);

        remote_request_sample(&request, series, 1000, 1.5, 0);

        print_metadata(&request, &got);
        CHECK_STR(buf_str(&got), str_from_c(c->want));
        remote_request_deinit(&request);
        free(series);
    }
}

TEST(remote_request, can_be_printed_for_the_log)
{
    static const Label labels[][2] = {{{STR("__name__"), STR("a")}, {STR("x"), STR("1")}},
                                      {{STR("__name__"), STR("b")}, {STR("x"), STR("1")}}};
    static const Label trace[] = {{STR("id"), STR("7")}};
    static const Histogram histogram = {.is_integer = true, .count = 1, .zero_count = 1, .sum = 3};
    CLEANUP(buf_deinit) Buf body = {0};
    CLEANUP(buf_deinit) Buf whole = {0};
    CLEANUP(buf_deinit) Buf part = {0};
    RemoteRequest request;
    RemoteSeries *a = remote_series_new(NULL, 1, (Labels){labels[0], 2});
    RemoteSeries *b = remote_series_new(NULL, 2, (Labels){labels[1], 2});
    remote_request_init(&request, true, NULL);
    remote_request_sample(&request, a, 1000, 1.5, 0);
    remote_request_histogram(&request, b, 2000, &histogram, 0);
    remote_request_exemplar(&request, a,
                            &(Exemplar){.labels = {trace, 1}, .value = 2, .t_ms = 3000});
    remote_request_finish(&request, &body, NULL);

    remote_request_print_v2(buf_str(&body), 3, &whole);
    remote_request_print_v2(buf_str(&body), 1, &part);

    CHECK_STR(buf_str(&whole), S("a{x=\"1\"} 1.5 @1000; b{x=\"1\"} 3 @2000; a{x=\"1\"} 2 @3000"));
    CHECK_STR(buf_str(&part), S("a{x=\"1\"} 1.5 @1000; and 2 more"));
    remote_request_deinit(&request);
    free(a);
    free(b);
}

TEST(remote_out, sends_the_headers_that_it_was_given)
{
    Rig *rig = rig_new(false);
    Str keys[] = {STR("X-Custom")};
    Str values[] = {STR("yes")};
    HttpBasicAuth basic = {.username = STR("u"), .password = STR("p")};
    rig->config.headers = (ConfigStrMap){keys, values, 1};
    rig->config.http.basic_auth = &basic;
    start(rig);
    fake_feed_series(&rig->feed, 1);
    put_rounds(rig, 1, 0, 1);

    wait_taken(rig, 1);
    CHECK_STR(rig->receiver.custom, S("yes"));
    CHECK_STR(rig->receiver.authorization, S("Basic dTpw"));
    rig_free(rig);
}

TEST(remote_out, round_robin_dns_asks_the_addresses_of_the_name)
{
    Rig *rig = rig_new(false);
    rig->config.url = arena_printf(&rig->arena, "http://localhost:%d/write", rig->receiver.port);
    rig->config.round_robin_dns = true;
    start(rig);
    fake_feed_series(&rig->feed, 10);
    for (int i = 0; i < 6; i++) {
        put_rounds(rig, 10, i, i + 1);
        usleep(50000);
    }

    // Of the name's addresses only one is listened on; the others are tried in turn and fail.
    wait_taken(rig, 60);
    CHECK_EQ(rig->receiver.refused_by_sink, 0);
    rig_free(rig);
}

TEST(remote_resolver, takes_the_host_of_a_url)
{
    static const struct {
        const char *name, *url, *want;
    } cases[] = {
        {"plain", "http://localhost/x", "localhost"},
        {"with a port", "http://localhost:9090/x?y#z", "localhost"},
        {"with a user", "https://u:p@localhost:1/@", "localhost"},
        {"without path", "http://127.0.0.1", "127.0.0.1"},
        {"IPv6", "http://[::1]:80/", ""},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        RemoteResolver resolver;
        remote_resolver_init(&resolver, str_from_c(c->url), &arena);
        CHECK_STR(str_from_c(resolver.host ? resolver.host : ""), str_from_c(c->want));
        CHECK((remote_resolver_next(&resolver).len > 0) == (c->want[0] != 0));
    }
}

TEST(remote_out, samples_that_became_too_old_are_dropped)
{
    Rig *rig = rig_new(false);
    rig->config.queue.sample_age_limit_ms = 3600 * 1000;
    rig->config.name = S("old");
    start(rig);
    fake_feed_series(&rig->feed, 10);
    fake_feed_samples(&rig->feed, 10, 1000);
    fake_feed_samples(&rig->feed, 10, clock_now_ms(&clock_system));

    wait_taken(rig, 10);
    char name[200];
    snprintf(name, sizeof name,
             "prometheus_remote_storage_samples_dropped_total{remote_name=\"old\",url=\"%s\","
             "reason=\"too_old\"}",
             str_to_c(&rig->arena, rig->config.url));
    CHECK_DOUBLE(metric(rig, name), 10.0);
    rig_free(rig);
}

TEST(remote_request, old_entries_are_taken_out_of_a_finished_request)
{
    static const struct {
        const char *name;
        bool v2;
    } cases[] = {
        {"1.0", false},
        {"2.0", true},
    };
    Label pairs[] = {{S("__name__"), S("m")}};

    EACH_CASE(c, cases) {
        RemotePairs numbers = {0};
        RemoteSeries *series = remote_series_new(c->v2 ? NULL : &numbers, 1, (Labels){pairs, 1});
        RemoteRequest request;
        RemoteRequestCounts left;
        Buf body = {0};
        Error err;
        remote_request_init(&request, c->v2, c->v2 ? NULL : &numbers);
        for (int64_t t = 1; t <= 10; t++)
            remote_request_sample(&request, series, t, 1, 0);
        remote_request_finish(&request, &body, NULL);

        CHECK_OK(remote_request_drop_old(&body, c->v2, 8, &left, &err), err);
        CHECK_EQ(left.samples, 3);
        CHECK_OK(remote_request_drop_old(&body, c->v2, 10, &left, &err), err);
        CHECK_EQ(left.samples, 1);

        buf_deinit(&body);
        remote_request_deinit(&request);
        remote_series_free(&numbers, series);
        remote_pairs_deinit(&numbers);
    }
}

TEST(remote_places, the_newest_whole_slot_counts)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    char dir[] = "/tmp/narthex-places-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    Str path = fs_join(&arena, str_from_c(dir), S("p"));
    RemotePlacesFile file;
    RemoteShardPlace *shards;
    size_t count;
    Error err;
    CHECK_OK(remote_places_open(&fs_system, path, &arena, &file, &shards, &count, &err), err);
    CHECK_EQ(count, 0);
    RemoteShardPlace place = {0};
    for (uint32_t i = 1; i <= 5; i++) {
        place.acked[0] = (FeedPlace){i, i + 1, i + 2};
        CHECK_OK(remote_places_write(&file, &place, 1, &err), err);
    }
    remote_places_close(&file);

    CHECK_OK(remote_places_open(&fs_system, path, &arena, &file, &shards, &count, &err), err);
    CHECK_EQ(count, 1);
    CHECK_EQ(shards[0].acked[0].segment, 5);
    CHECK_EQ(shards[0].acked[0].entry, 6);
    CHECK_EQ(shards[0].acked[0].offset, 7);
    // The fifth lies in slot 1: tear it, the fourth counts.
    CHECK_OK(file_write_at(&file.file, (128u << 10) + 20, S("torn"), &err), err);
    remote_places_close(&file);
    CHECK_OK(remote_places_open(&fs_system, path, &arena, &file, &shards, &count, &err), err);
    CHECK_EQ(shards[0].acked[0].segment, 4);
    remote_places_close(&file);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TEST(remote_rates, shards_follow_the_load)
{
    static const struct {
        const char *name;
        uint64_t in, dropped, out, busy_ms; // in ten seconds
        double behind_s;
        int64_t now, want;
    } cases[] = {
        {"nothing sent yet", 1000, 0, 0, 0, 0, 1, 1},
        {"as it is", 100000, 0, 100000, 10000, 0, 1, 1},
        {"a little more is left", 100000, 0, 100000, 12000, 0, 1, 1},
        {"requests take longer than time", 100000, 0, 100000, 40000, 0, 1, 4},
        {"less to do", 100000, 0, 100000, 10000, 0, 8, 1},
        {"less to do, but far behind", 100000, 0, 100000, 10000, 60, 8, 8},
        {"a backlog asks for more", 100000, 0, 100000, 10000, 60, 1, 4},
        {"what is dropped needs none", 100000, 90000, 10000, 40000, 0, 1, 4},
        {"not above the most", 100000, 0, 100000, 990000, 0, 1, 10},
    };

    EACH_CASE(c, cases) {
        RemoteRates rates = {.in = {.events = c->in},
                             .dropped = {.events = c->dropped},
                             .out = {.events = c->out},
                             .busy_ns = {.events = c->busy_ms * 1000000}};
        double desired;
        remote_rates_tick(&rates);
        CHECK_EQ(
            remote_rates_shards(&rates, (RemoteShardsNow){c->now, 1, 10, c->behind_s}, &desired),
            c->want);
    }
}

TEST_MAIN(remote_out, TEST_ROW(remote_out, every_sample_arrives_in_order),
          TEST_ROW(remote_out, external_labels_and_relabelling_are_applied),
          TEST_ROW(remote_out, tries_again_until_it_is_taken),
          TEST_ROW(remote_out, waits_as_long_as_retry_after_says),
          TEST_ROW(remote_out, goes_on_where_it_was_after_a_restart),
          TEST_ROW(remote_out, nothing_is_lost_while_the_receiver_is_away),
          TEST_ROW(remote_out, sends_the_same_request_again_after_a_kill),
          TEST_ROW(remote_out, a_reload_keeps_queues_that_are_the_same),
          TEST_ROW(remote_out, histograms_exemplars_and_metadata_go_along),
          TEST_ROW(remote_request, labels_of_type_and_unit_become_metadata),
          TEST_ROW(remote_request, can_be_printed_for_the_log),
          TEST_ROW(remote_out, sends_the_headers_that_it_was_given),
          TEST_ROW(remote_out, round_robin_dns_asks_the_addresses_of_the_name),
          TEST_ROW(remote_resolver, takes_the_host_of_a_url),
          TEST_ROW(remote_out, samples_that_became_too_old_are_dropped),
          TEST_ROW(remote_request, old_entries_are_taken_out_of_a_finished_request),
          TEST_ROW(remote_places, the_newest_whole_slot_counts),
          TEST_ROW(remote_rates, shards_follow_the_load))
