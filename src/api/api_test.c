// SPDX-License-Identifier: Apache-2.0
// Whole requests against a small store: the bytes that clients see.
#include "api/api.h"

#include "base/number.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"

#define T0_MS 1700000000000

typedef struct Fixture {
    char dir[64];
    Tsdb *tsdb;
    Engine *engine;
    ClockFake clock;
    ApiContext api;
    ApiPhase phase;
    int reloads, quits;
    bool reload_fails;
    Arena arena;
    HttpRequest request;
    HttpFakeReply reply;
} Fixture;

static ApiPhase phase_of(void *owner)
{
    return ((Fixture *)owner)->phase;
}

static bool do_reload(void *owner, Error *err)
{
    Fixture *f = owner;
    f->reloads++;
    return !f->reload_fails || error_set(err, ERR_INVALID, "prometheus.yml:1:1: no good");
}

static void do_quit(void *owner)
{
    ((Fixture *)owner)->quits++;
}

static void write_yaml(void *owner, Buf *out)
{
    (void)owner;
    buf_add_c(out, "global:\n  scrape_interval: 1m\n");
}

static Labels externals(void *owner, Arena *arena)
{
    static const Label pairs[] = {{STR("replica"), STR("a")}};
    (void)owner;
    (void)arena;
    return (Labels){pairs, 1};
}

static void add(Tsdb *tsdb, const Label *pairs, size_t count, int64_t t_ms, double value)
{
    Error err;
    bool created;
    Sink *sink = tsdb_sink(tsdb);
    Appender *appender = sink->begin(sink);
    SeriesRef ref = appender->series(appender, (Labels){pairs, count}, &created, &err);
    SinkSample sample = {.ref = ref, .t_ms = t_ms, .value = value};
    CHECK(ref != 0);
    CHECK_EQ(appender->append(appender, &sample, 1), 1);
    CHECK_OK(appender->commit(appender, &err), err);
}

static void fill(Tsdb *tsdb)
{
    const Label m1[] = {{STR("__name__"), STR("m")}, {STR("a"), STR("1")}};
    const Label m2[] = {
        {STR("__name__"), STR("m")}, {STR("a"), STR("2")}, {STR("q"), STR("\"<\n")}};
    const Label dotted[] = {{STR("__name__"), STR("d.x")}, {STR("l e"), STR("v")}};
    for (int i = 0; i <= 10; i++) {
        add(tsdb, m1, 2, T0_MS + i * 1000, i * 0.5);
        add(tsdb, m2, 3, T0_MS + i * 1000, -i);
    }
    add(tsdb, dotted, 2, T0_MS + 10000, 1e-7);
}

static void start(Fixture *f)
{
    Error err;
    *f = (Fixture){.phase = API_READY};
    strcpy(f->dir, "/tmp/api_test.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    clock_fake_init(&f->clock, T0_MS + 10500);
    TsdbOptions tsdb;
    tsdb_options_default(&tsdb);
    tsdb.dir = str_from_c(f->dir);
    tsdb.clock = &f->clock.clock;
    CHECK_OK(tsdb_open(&tsdb, &f->tsdb, &err), err);
    EngineOptions engine;
    engine_options_default(&engine);
    engine.clock = &f->clock.clock;
    f->engine = engine_new(&engine);
    fill(f->tsdb);

    static const HttpPair flags[] = {{STR("config.file"), STR("x.yml")}};
    f->api = (ApiContext){
        .tsdb = f->tsdb,
        .engine = f->engine,
        .registry = registry_new(),
        .clock = &f->clock.clock,
        .owner = f,
        .phase = phase_of,
        .config_yaml = write_yaml,
        .external_labels = externals,
        .reload = do_reload,
        .quit = do_quit,
        .flags = flags,
        .flag_count = 1,
        .started_at_ms = T0_MS,
        .lookback_ms = 300000,
        .enable_lifecycle = true,
        .enable_admin = true,
        .enable_remote_write = true,
        .accept_write_v1 = true,
        .accept_write_v2 = true,
        .external_url = STR("http://outside:9090"),
        .page_title = STR("A <title>"),
    };
    CHECK_OK(api_init(&f->api, &err), err);
}

static void stop(Fixture *f)
{
    Error err;
    api_deinit(&f->api);
    engine_free(f->engine);
    tsdb_close(f->tsdb);
    registry_free(f->api.registry);
    buf_deinit(&f->reply.body);
    arena_deinit(&f->arena);
    CHECK_OK(fs_remove_tree(&fs_system, str_from_c(f->dir), &err), err);
}

// The body, with a NUL behind it.
static const char *ask(Fixture *f, const char *method, const char *target, const char *form)
{
    buf_deinit(&f->reply.body);
    http_fake_request(&f->request, &f->reply, &f->arena, str_from_c(method), str_from_c(target),
                      str_from_c(form));
    api_handle(&f->api, &f->request);
    CHECK(f->reply.status != 0);
    CHECK(f->reply.ended);
    buf_add_char(&f->reply.body, '\0');
    return f->reply.body.ptr;
}

static const char *get(Fixture *f, const char *target)
{
    return ask(f, "GET", target, "");
}

static Str header(Fixture *f, const char *name)
{
    for (size_t i = 0; i < f->reply.headers.count; i++)
        if (str_equal_nocase(f->reply.headers.items[i].name, str_from_c(name)))
            return f->reply.headers.items[i].value;
    return STR_NONE;
}

#define OK_(data) "{\"status\":\"success\",\"data\":" data "}"
#define OK_WARN_(data, warning)                                                                    \
    "{\"status\":\"success\",\"data\":" data ",\"warnings\":[\"" warning "\"]}"
#define BAD_(text) "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"" text "\"}"

TEST(api, answers_in_the_exact_form)
{
    static const struct {
        const char *name;
        const char *target;
        int want_status;
        const char *want;
    } cases[] = {
        {"vector", "/api/v1/query?query=m%7Ba=%221%22%7D&time=1700000010", 200,
         OK_("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"m\",\"a\":\"1\"},"
             "\"value\":[1700000010,"
             "\"5\"]}]}")},
        {"time with a fraction has three digits", "/api/v1/query?query=vector(1)&time=5.05", 200,
         OK_("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[5.050,\"1\"]}]}")},
        {"scalar never has an exponent", "/api/v1/query?query=1e21&time=1.5", 200,
         OK_("{\"resultType\":\"scalar\",\"result\":[1.5,\"1000000000000000000000\"]}")},
        {"string", "/api/v1/query?query=%22x%22&time=0", 200,
         OK_("{\"resultType\":\"string\",\"result\":[0,\"x\"]}")},
        {"range",
         "/api/v1/query_range?query=m%7Ba=%221%22%7D&start=1700000000&end=1700000004&step=2", 200,
         OK_("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"m\",\"a\":\"1\"},"
             "\"values\":[[1700000000,"
             "\"0\"],[1700000002,\"1\"],[1700000004,\"2\"]]}]}")},
        {"nothing found", "/api/v1/query?query=none", 200,
         OK_("{\"resultType\":\"vector\",\"result\":[]}")},
        {"limit", "/api/v1/query?query=sort(m)&limit=1&time=1700000010", 200,
         OK_WARN_("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"m\",\"a\":"
                  "\"2\",\"q\":\"\\\"\\u003c\\n\"},"
                  "\"value\":[1700000010,\"-10\"]}]}",
                  "results truncated due to limit")},
        {"small values have an exponent", "/api/v1/query?query=%7B%22d.x%22%7D&time=1700000010",
         200,
         OK_("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"d.x\",\"l "
             "e\":\"v\"},\"value\":[1700000010,\"1e-07\"]}]}")},
        {"series", "/api/v1/series?match[]=m&match[]=m%7Ba=%221%22%7D", 200,
         OK_("[{\"__name__\":\"m\",\"a\":\"1\"},{\"__name__\":\"m\",\"a\":\"2\",\"q\":"
             "\"\\\"\\u003c\\n\"}]")},
        {"series limit", "/api/v1/series?match[]=m&limit=1", 200,
         OK_WARN_("[{\"__name__\":\"m\",\"a\":\"1\"}]", "results truncated due to limit")},
        {"labels", "/api/v1/labels?match[]=m", 200, OK_("[\"__name__\",\"a\",\"q\"]")},
        {"labels of several sets", "/api/v1/labels?match[]=%7B%22d.x%22%7D&match[]=m", 200,
         OK_("[\"__name__\",\"a\",\"l e\",\"q\"]")},
        {"labels of another time", "/api/v1/labels?start=1&end=2", 200, OK_("[]")},
        {"label values of another time", "/api/v1/label/a/values?start=1&end=2", 200, OK_("[]")},
        {"label values", "/api/v1/label/a/values", 200, OK_("[\"1\",\"2\"]")},
        {"label values cut", "/api/v1/label/a/values?limit=1", 200,
         OK_WARN_("[\"1\"]", "results truncated due to limit")},
        {"escaped label name", "/api/v1/label/U__l_20_e/values", 200, OK_("[\"v\"]")},
        {"percent-encoded label name", "/api/v1/label/l%20e/values", 200, OK_("[\"v\"]")},
        {"format", "/api/v1/format_query?query=a%2Bb", 200, OK_("\"a + b\"")},
        {"no rules", "/api/v1/rules?type=alert", 200, OK_("{\"groups\":[]}")},
        {"no alertmanagers", "/api/v1/alertmanagers", 200,
         OK_("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}")},
        {"no targets", "/api/v1/targets", 200,
         OK_("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}")},
        {"config", "/api/v1/status/config", 200,
         OK_("{\"yaml\":\"global:\\n  scrape_interval: 1m\\n\"}")},
        {"flags", "/api/v1/status/flags", 200, OK_("{\"config.file\":\"x.yml\"}")},
        {"exemplars of nothing", "/api/v1/query_exemplars?query=m", 200, OK_("[]")},
        {"exemplars without a selector", "/api/v1/query_exemplars?query=1", 204, ""},

        {"bad time", "/api/v1/query?query=m&time=bogus", 400,
         BAD_("invalid parameter \\\"time\\\": cannot parse \\\"bogus\\\" to a valid timestamp")},
        {"bad timeout", "/api/v1/query?query=m&timeout=x", 400,
         BAD_("invalid parameter \\\"timeout\\\": cannot parse \\\"x\\\" to a valid duration")},
        {"end before start", "/api/v1/query_range?query=m&start=2&end=1&step=1", 400,
         BAD_("invalid parameter \\\"end\\\": end timestamp must not be before start time")},
        {"step of zero", "/api/v1/query_range?query=m&start=1&end=2&step=0", 400,
         BAD_("invalid parameter \\\"step\\\": zero or negative query resolution step widths are "
              "not accepted. Try a "
              "positive integer")},
        {"too many points", "/api/v1/query_range?query=m&start=0&end=11001&step=1", 400,
         BAD_("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
              "query resolution "
              "(?step=XX)")},
        {"the widest range there is", "/api/v1/query_range?query=m&start=-9e15&end=9e15&step=1",
         400,
         BAD_("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
              "query resolution "
              "(?step=XX)")},
        {"negative limit", "/api/v1/series?match[]=m&limit=-1", 400,
         BAD_("invalid parameter \\\"limit\\\": limit must be non-negative")},
        {"no selector", "/api/v1/series", 400, BAD_("no match[] parameter provided")},
        {"selector that matches everything", "/api/v1/series?match[]=%7Ba=~%22.*%22%7D", 400, NULL},
        {"invalid label name", "/api/v1/label/%FF/values", 400,
         BAD_("invalid label name: \\\"\\\\xff\\\"")},
        {"unknown path", "/api/v1/nosuch", 404, "404 page not found\n"},
        {"admin needs a selector", "/nosuch", 404, "404 page not found\n"},
    };
    Fixture f;
    start(&f);

    EACH_CASE(c, cases) {
        const char *body = get(&f, c->target);
        CHECK_EQ(f.reply.status, c->want_status);
        if (c->want)
            CHECK_STR(str_from_c(body), str_from_c(c->want));
    }
    stop(&f);
}

TEST(api, forms_and_urls_are_one)
{
    Fixture f;
    start(&f);

    const char *body = ask(&f, "POST", "/api/v1/query?query=1%2B1", "time=5");

    CHECK_STR(str_from_c(body), S(OK_("{\"resultType\":\"scalar\",\"result\":[5,\"2\"]}")));
    stop(&f);
}

TEST(api, methods_are_checked_and_named)
{
    static const struct {
        const char *name;
        const char *method;
        const char *target;
        int want_status;
        Str want_allow;
    } cases[] = {
        {"put a query", "PUT", "/api/v1/query", 405, STR("GET, POST")},
        {"delete a query", "DELETE", "/api/v1/query", 405, STR("GET, POST")},
        {"options", "OPTIONS", "/api/v1/query", 204, STR("")},
        {"options of anything", "OPTIONS", "/api/v1/nosuch", 204, STR("")},
        {"post a label", "POST", "/api/v1/label/a/values", 405, STR("GET")},
        {"get a snapshot", "GET", "/api/v1/admin/tsdb/snapshot", 405, STR("POST, PUT")},
        {"get write", "GET", "/api/v1/write", 405, STR("POST")},
        {"get reload", "GET", "/-/reload", 405, STR("POST, PUT")},
        {"head health", "HEAD", "/-/healthy", 200, STR("")},
        {"post health", "POST", "/-/healthy", 405, STR("GET, HEAD")},
        {"post federate", "POST", "/federate", 405, STR("GET")},
        {"post nowhere", "POST", "/nosuch", 404, STR("")},
    };
    Fixture f;
    start(&f);

    EACH_CASE(c, cases) {
        ask(&f, c->method, c->target, "");
        CHECK_EQ(f.reply.status, c->want_status);
        CHECK_STR(header(&f, "Allow"), c->want_allow);
    }
    stop(&f);
}

TEST(api, waits_until_the_store_is_open)
{
    static const struct {
        const char *name;
        const char *target;
        bool waits;
    } cases[] = {
        {"query", "/api/v1/query?query=1", true},
        {"ready", "/-/ready", true},
        {"federate", "/federate", true},
        {"healthy", "/-/healthy", false},
        {"metrics", "/metrics", false},
        {"walreplay", "/api/v1/status/walreplay", false},
        {"notifications", "/api/v1/notifications", false},
        {"page", "/query", false},
    };
    Fixture f;
    start(&f);

    EACH_CASE(c, cases) {
        f.phase = API_STARTING;
        get(&f, c->target);
        CHECK_EQ(f.reply.status, c->waits ? 503 : 200);
        if (c->waits)
            CHECK_STR(header(&f, "X-Prometheus-Stopping"), S("false"));
        f.phase = API_STOPPING;
        get(&f, c->target);
        if (c->waits)
            CHECK_STR(header(&f, "X-Prometheus-Stopping"), S("true"));
    }
    f.phase = API_STARTING;
    CHECK_HAS(get(&f, "/api/v1/notifications"), "replaying the write-ahead log");
    stop(&f);
}

TEST(api, lifecycle_and_admin_can_be_shut)
{
    Fixture f;
    start(&f);
    ask(&f, "POST", "/-/reload", "");
    CHECK_EQ(f.reply.status, 200);
    f.reload_fails = true;
    CHECK_STR(str_from_c(ask(&f, "PUT", "/-/reload", "")),
              S("failed to reload config: prometheus.yml:1:1: no good\n"));
    CHECK_EQ(f.reply.status, 500);
    ask(&f, "POST", "/-/quit", "");
    CHECK_EQ(f.quits, 1);
    CHECK_HAS(ask(&f, "POST", "/api/v1/admin/tsdb/snapshot", ""), "{\"name\":\"");

    f.api.enable_lifecycle = false;
    f.api.enable_admin = false;
    ask(&f, "POST", "/-/quit", "");
    CHECK_EQ(f.reply.status, 403);
    CHECK_EQ(f.quits, 1);
    ask(&f, "POST", "/-/reload", "");
    CHECK_EQ(f.reply.status, 403);
    CHECK_EQ(f.reloads, 2);
    CHECK_HAS(ask(&f, "POST", "/api/v1/admin/tsdb/snapshot", ""), "\"errorType\":\"unavailable\"");
    CHECK_EQ(f.reply.status, 500);
    stop(&f);
}

TEST(api, deletes_series)
{
    Fixture f;
    start(&f);

    ask(&f, "POST", "/api/v1/admin/tsdb/delete_series?match[]=m%7Ba=%222%22%7D", "");
    CHECK_EQ(f.reply.status, 204);
    CHECK_EQ(f.reply.body.len, 1);

    CHECK_STR(str_from_c(get(&f, "/api/v1/query?query=count(m)&time=1700000010")),
              S(OK_("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1700000010,"
                    "\"1\"]}]}")));
    stop(&f);
}

TEST(api, federates_the_newest_samples)
{
    Fixture f;
    start(&f);

    CHECK_STR(str_from_c(get(&f, "/federate?match[]=m&match[]=%7B%22d.x%22%7D")),
              S("# TYPE d_x untyped\n"
                "d_x{l_e=\"v\",instance=\"\",replica=\"a\"} 1e-07 1700000010000\n"
                "# TYPE m untyped\n"
                "m{a=\"1\",instance=\"\",replica=\"a\"} 5 1700000010000\n"
                "m{a=\"2\",q=\"\\\"<\\n\",instance=\"\",replica=\"a\"} -10 1700000010000\n"));
    CHECK_STR(str_from_c(get(&f, "/federate")), S(""));
    CHECK_EQ(f.reply.status, 200);
    get(&f, "/federate?match[]=%7B");
    CHECK_EQ(f.reply.status, 400);
    f.clock.now_ms_value += 400000; // beyond the lookback
    CHECK_STR(str_from_c(get(&f, "/federate?match[]=m")), S(""));
    stop(&f);
}

TEST(api, cors_headers_follow_the_origin)
{
    static const struct {
        const char *name;
        Str allowed;
        Str origin;
        Str want;
    } cases[] = {
        {"any", STR(".*"), STR("http://x"), STR("*")},
        {"one that matches", STR("https?://good"), STR("http://good"), STR("http://good")},
        {"one that does not", STR("https?://good"), STR("http://good.evil"), STR("")},
        {"no origin", STR(".*"), STR(""), STR("")},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        Error err;
        start(&f);
        api_deinit(&f.api);
        f.api.cors_origin = c->allowed;
        CHECK_OK(api_init(&f.api, &err), err);
        http_fake_request(&f.request, &f.reply, &f.arena, S("GET"), S("/api/v1/query?query=1"),
                          S(""));
        HttpPair origin = {S("Origin"), c->origin};
        f.request.headers = &origin;
        f.request.header_count = c->origin.len > 0;
        api_handle(&f.api, &f.request);
        CHECK_STR(header(&f, "Access-Control-Allow-Origin"), c->want);
        CHECK_STR(header(&f, "Vary"), S("Origin"));
        stop(&f);
    }
}

TEST(api, everything_stands_below_the_route_prefix)
{
    static const struct {
        const char *name;
        const char *target;
        int want_status;
        Str want_location;
    } cases[] = {
        {"sign post", "/", 302, STR("/p/")},
        {"root", "/p/", 302, STR("/p/query")},
        {"root without slash", "/p", 302, STR("/p/query")},
        {"old address keeps its query", "/p/graph?g0.expr=up", 302, STR("/p/query?g0.expr=up")},
        {"api", "/p/api/v1/query?query=1", 200, STR("")},
        {"outside", "/api/v1/query?query=1", 404, STR("")},
        {"a longer name is not below it", "/px/query", 404, STR("")},
    };
    Fixture f;
    Error err;
    start(&f);
    api_deinit(&f.api);
    f.api.route_prefix = S("/p");
    CHECK_OK(api_init(&f.api, &err), err);

    EACH_CASE(c, cases) {
        get(&f, c->target);
        CHECK_EQ(f.reply.status, c->want_status);
        CHECK_STR(header(&f, "Location"), c->want_location);
    }
    stop(&f);
}

TEST(api, pages_have_their_tokens_filled_in)
{
    Fixture f;
    start(&f);

    const char *page = get(&f, "/query");
    CHECK_EQ(f.reply.status, 200);
    CHECK_HAS(page, "A &lt;title&gt;");
    CHECK(!strstr(page, "{{"));
    CHECK(str_starts_with(header(&f, "Content-Security-Policy"), S("default-src 'self';")));
    HttpPair tag = {S("If-None-Match"), header(&f, "ETag")};
    buf_deinit(&f.reply.body);
    http_fake_request(&f.request, &f.reply, &f.arena, S("GET"), S("/targets"), S(""));
    f.request.headers = &tag;
    f.request.header_count = 1;
    api_handle(&f.api, &f.request);
    CHECK_EQ(f.reply.status, 304);
    get(&f, "/assets/nosuch.js");
    CHECK_EQ(f.reply.status, 404);
    stop(&f);
}

TEST(api, requests_are_counted_by_handler_and_code)
{
    Fixture f;
    start(&f);
    get(&f, "/api/v1/query?query=1");
    get(&f, "/api/v1/query?query=1");
    get(&f, "/api/v1/query?query=(");

    const char *text = get(&f, "/metrics");

    CHECK_HAS(text, "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"200\"} 2\n");
    CHECK_HAS(text, "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"400\"} 1\n");
    CHECK_HAS(text,
              "prometheus_http_request_duration_seconds_count{handler=\"/api/v1/query\"} 3\n");
    // Of what nobody asked there is a counter alone.
    CHECK_HAS(text, "prometheus_http_requests_total{handler=\"/api/v1/labels\",code=\"200\"} 0\n");
    CHECK(!strstr(text, "_bucket{handler=\"/api/v1/labels\""));
    CHECK_HAS(text, "promhttp_metric_handler_requests_in_flight 1\n");
    stop(&f);
}

TEST(api, large_answers_are_streamed_whole)
{
    Fixture f;
    start(&f);

    const char *body = get(
        &f, "/api/v1/query_range?query=vector(1)%20or%20m&start=1699990000&end=1700000010&step=1");

    CHECK_EQ(f.reply.status, 200);
    CHECK(f.reply.body.len > 150000);
    CHECK_HAS(body, "[1699990000,\"1\"],[1699990001,\"1\"]");
    CHECK(str_ends_with(str_from_c(body), S("]]}]}}")));
    size_t points = 0;
    for (const char *at = body; (at = strstr(at, ",\"1\"]")); at++)
        points++;
    CHECK(points >= 10011);
    stop(&f);
}

// The answer to a range query for a client that takes columns.
static Str get_columns(Fixture *f, const char *target, const char *accept)
{
    buf_deinit(&f->reply.body);
    http_fake_request(&f->request, &f->reply, &f->arena, S("GET"), str_from_c(target), S(""));
    HttpPair pair = {S("Accept"), str_from_c(accept)};
    f->request.headers = &pair;
    f->request.header_count = 1;
    api_handle(&f->api, &f->request);
    CHECK(f->reply.ended);
    return buf_str(&f->reply.body);
}

static uint64_t take(Str *bytes, size_t count)
{
    uint64_t value = 0;
    CHECK(bytes->len >= count);
    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)(unsigned char)bytes->ptr[i] << (8 * i);
    *bytes = str_skip(*bytes, count);
    return value;
}

static Str take_text(Str *bytes)
{
    size_t len = take(bytes, 8);
    CHECK(len % 8 == 0 && len <= bytes->len);
    Str text = str_trim(str_sub(*bytes, 0, len));
    *bytes = str_skip(*bytes, len);
    return text;
}

TEST(api, a_range_is_answered_in_columns_to_those_who_take_them)
{
    const char *target = "/api/v1/query_range?query=m&start=1699999998&end=1700000004&step=2";
    Fixture f;
    start(&f);

    Str rest = get_columns(&f, target, "text/html, application/vnd.narthex.columns;q=1");

    CHECK_STR(f.reply.content_type, S("application/vnd.narthex.columns"));
    CHECK(str_starts_with(rest, S("NTXCOL1\n")));
    rest = str_skip(rest, 8);
    CHECK_EQ(take(&rest, 8), 1699999998000);
    CHECK_EQ(take(&rest, 8), 2000);
    CHECK_EQ(take(&rest, 4), 4);
    CHECK_EQ(take(&rest, 4), 2);
    CHECK_STR(take_text(&rest), S("{\"metric\":{\"__name__\":\"m\",\"a\":\"1\"}}"));
    CHECK_EQ(take(&rest, 8), NAN_STALE_BITS); // no sample yet
    for (double want = 0; want < 3; want++)
        CHECK_EQ(take(&rest, 8), double_bits(want));
    CHECK_STR(take_text(&rest),
              S("{\"metric\":{\"__name__\":\"m\",\"a\":\"2\",\"q\":\"\\\"\\u003c\\n\"}}"));
    rest = str_skip(rest, 4 * sizeof(double));
    CHECK_STR(take_text(&rest), S("{\"status\":\"success\"}"));
    CHECK_EQ(rest.len, 0);
    stop(&f);
}

TEST(api, columns_are_cut_warned_of_and_streamed_as_json_is)
{
    Fixture f;
    start(&f);

    Str rest = get_columns(&f,
                           "/api/v1/query_range?query=vector(1)%20or%20m&limit=1&stats=true&"
                           "start=1699990000&end=1700000010&step=1",
                           "application/vnd.narthex.columns");

    CHECK_EQ(f.reply.status, 200);
    rest = str_skip(rest, 24);
    CHECK_EQ(take(&rest, 4), 10011);
    CHECK_EQ(take(&rest, 4), 1);
    CHECK_STR(take_text(&rest), S("{\"metric\":{}}"));
    for (size_t i = 0; i < 10011; i++)
        CHECK_EQ(take(&rest, 8), double_bits(1));
    Str tail = take_text(&rest);
    CHECK(str_starts_with(tail, S("{\"status\":\"success\",\"stats\":{\"timings\":")));
    CHECK(str_ends_with(tail, S("\"warnings\":[\"results truncated due to limit\"]}")));
    CHECK_EQ(rest.len, 0);
    stop(&f);
}

TEST(api, what_is_no_range_or_wrong_is_answered_in_json_all_the_same)
{
    static const struct {
        const char *name, *target, *accept;
    } cases[] = {
        {"an instant", "/api/v1/query?query=m&time=1700000000", "application/vnd.narthex.columns"},
        {"an error", "/api/v1/query_range?query=(&start=0&end=1&step=1",
         "application/vnd.narthex.columns"},
        {"another type", "/api/v1/query_range?query=m&start=0&end=1&step=1",
         "application/vnd.narthex.columns2, */*"},
        {"anything", "/api/v1/query_range?query=m&start=0&end=1&step=1", "*/*"},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        CHECK(str_starts_with(get_columns(&f, c->target, c->accept), S("{\"status\":")));
        CHECK_STR(f.reply.content_type, S("application/json"));
        stop(&f);
    }
}

static void write_file(const Fixture *f, const char *name, const char *text)
{
    char path[200];
    Error err;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    CHECK_OK(fs_write_atomic(&fs_system, str_from_c(path), str_from_c(text), &err), err);
}

TEST(api, consoles_are_pages_of_templates)
{
    Fixture f;
    start(&f);
    f.api.console_templates = f.api.console_libraries = str_from_c(f.dir);
    write_file(&f, "menu.lib", "{{ define \"head\" }}<title>{{ . }}</title>{{ end }}");
    write_file(&f, "index.html",
               "{{ template \"head\" .Path }}{{ range query \"m{a='2'}\" }}<p title=\"{{ .Labels.q "
               "}}\">{{ .Value }}</p>"
               "{{ end }}<i>{{ $params.x }}{{ index .RawParams.x 1 }}[{{ .Params.nope }}]{{ "
               "$externalLabels.dc }}</i>"
               "{{ tmpl \"head\" \"<\" }}<a href=\"{{ pathPrefix }}/?q={{ $params.x }}\">{{ "
               "externalURL }}</a>");
    write_file(&f, "bad.html", "{{ .Nope }}");

    CHECK_HAS(get(&f, "/consoles/index.html?x=%3Cb%3E&x=2&a=1"),
              "<title>index.html</title><p title=\"&#34;&lt;\n\">-10</p><i>&lt;b&gt;2[]");
    CHECK_HAS(f.reply.body.ptr,
              "</i><title>&lt;</title><a href=\"/?q=%3cb%3e\">http://outside:9090</a>");
    CHECK_EQ(f.reply.status, 200);
    CHECK_STR(f.reply.content_type, S("text/html; charset=utf-8"));
    CHECK_HAS(get(&f, "/consoles/bad.html"),
              "error executing template __console_/bad.html: template: __console_/bad.html:1:");
    CHECK_EQ(f.reply.status, 500);
    get(&f, "/consoles/none.html");
    CHECK_EQ(f.reply.status, 404);
    get(&f, "/consoles/%2e%2e/etc/passwd");
    CHECK_EQ(f.reply.status, 404);
    stop(&f);
}

TEST_MAIN(api, TEST_ROW(api, consoles_are_pages_of_templates),
          TEST_ROW(api, answers_in_the_exact_form), TEST_ROW(api, forms_and_urls_are_one),
          TEST_ROW(api, methods_are_checked_and_named),
          TEST_ROW(api, waits_until_the_store_is_open),
          TEST_ROW(api, lifecycle_and_admin_can_be_shut), TEST_ROW(api, deletes_series),
          TEST_ROW(api, federates_the_newest_samples),
          TEST_ROW(api, cors_headers_follow_the_origin),
          TEST_ROW(api, everything_stands_below_the_route_prefix),
          TEST_ROW(api, pages_have_their_tokens_filled_in),
          TEST_ROW(api, requests_are_counted_by_handler_and_code),
          TEST_ROW(api, large_answers_are_streamed_whole),
          TEST_ROW(api, a_range_is_answered_in_columns_to_those_who_take_them),
          TEST_ROW(api, columns_are_cut_warned_of_and_streamed_as_json_is),
          TEST_ROW(api, what_is_no_range_or_wrong_is_answered_in_json_all_the_same))
