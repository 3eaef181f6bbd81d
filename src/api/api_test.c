// SPDX-License-Identifier: Apache-2.0
// Whole requests against a small store: the bytes that clients see.
#include "api/api_test_util.h"

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
        {"times pass what they have in common",
         "/api/v1/query?query=vector(1)[2s:500ms]&time=1700000001", 200,
         OK_("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1699999999.500,"
             "\"1\"],"
             "[1700000000,\"1\"],[1700000000.500,\"1\"],[1700000001,\"1\"]]}]}")},
        {"times become longer", "/api/v1/query?query=vector(1)[3s:1s]&time=10001", 200,
         OK_("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[9999,\"1\"],"
             "[10000,\"1\"],[10001,\"1\"]]}]}")},
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

TEST_MAIN(api, TEST_ROW(api, answers_in_the_exact_form), TEST_ROW(api, forms_and_urls_are_one),
          TEST_ROW(api, methods_are_checked_and_named),
          TEST_ROW(api, waits_until_the_store_is_open),
          TEST_ROW(api, lifecycle_and_admin_can_be_shut), TEST_ROW(api, deletes_series),
          TEST_ROW(api, federates_the_newest_samples),
          TEST_ROW(api, cors_headers_follow_the_origin),
          TEST_ROW(api, everything_stands_below_the_route_prefix),
          TEST_ROW(api, pages_have_their_tokens_filled_in),
          TEST_ROW(api, requests_are_counted_by_handler_and_code),
          TEST_ROW(api, large_answers_are_streamed_whole))
