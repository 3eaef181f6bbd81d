// SPDX-License-Identifier: Apache-2.0
// Connections of clients, ours and libcurl's, and of a server.
#include "net/conn_track.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/http_client.h"
#include "net/http_server.h"

static void handle(void *arg, HttpRequest *request)
{
    (void)arg;
    http_reply(request, 200, S("text/plain"), S("ok"));
}

typedef struct Calls {
    Loop *loop;
    HttpClient *client;
    Str urls[4];
    size_t count, next;
    Registry *registry;
} Calls;

static void on_done(void *arg, const HttpResponse *response);

static void ask_next(Calls *calls)
{
    if (calls->next == calls->count) {
        loop_stop(calls->loop);
        return;
    }
    HttpCallOptions options = {
        .url = calls->urls[calls->next++], .timeout_ms = 20000, .done = on_done, .arg = calls};
    http_call(calls->client, &options);
}

static void on_done(void *arg, const HttpResponse *response)
{
    (void)response;
    ask_next(arg);
}

static void begin(void *arg)
{
    ask_next(arg);
}

// One after the other, by one client that is then freed.
static void run(Calls *calls)
{
    Error err;
    CHECK_OK(loop_new("calls", &calls->loop, &err), err);
    CHECK_OK(http_client_new(calls->loop, NULL, &calls->client, &err), err);
    http_client_track(calls->client, calls->registry, S("job"));
    loop_post(calls->loop, begin, calls);
    loop_run(calls->loop);
    http_client_free(calls->client);
    loop_free(calls->loop);
}

TEST(conn_track, connections_are_counted_by_what_becomes_of_them)
{
    static const struct {
        const char *name, *host, *bad;
        int attempted, established, closed, refused, resolution;
    } cases[] = {
        {"our own", "127.0.0.1", "http://127.0.0.1:1/", 2, 1, 1, 1, 0},
        {"our own, by name", "localhost", "http://localhost:1/", 2, 1, 1, 1, 0},
        {"libcurl's", "a.localhost", "http://a.localhost:1/", -1, 1, 1, 1, 0},
        {"a name that nobody has", "127.0.0.1", "http://nowhere.invalid/", 2, 1, 1, 0, 1},
    };
    EACH_CASE(c, cases) {
        HttpServerOptions options;
        HttpServer *server;
        int port;
        Error err;
        char url[100];
        Registry *registry = registry_new();
        http_server_options_default(&options);
        options.listen_address = S("127.0.0.1:0");
        options.handle = handle;
        options.registry = registry;
        CHECK_OK(http_server_start(&options, &server, &port, &err), err);
        snprintf(url, sizeof url, "http://%s:%d/", c->host, port);
        Calls calls = {.urls = {str_from_c(url), str_from_c(url), str_from_c(c->bad)},
                       .count = 3,
                       .registry = registry};

        run(&calls);
        http_server_stop(server);

        ConnDialer dialer = conn_track_dialer(registry, S("job"));
        // A name may have an address that nobody listens at, too.
        if (c->attempted >= 0)
            CHECK_EQ((int)counter_value(dialer.attempted), c->attempted);
        CHECK(counter_value(dialer.attempted) >= 2);
        CHECK_EQ((int)counter_value(dialer.established), c->established);
        CHECK_EQ((int)counter_value(dialer.closed), c->closed);
        CHECK_EQ((int)counter_value(dialer.failed[CONN_REFUSED]), c->refused);
        CHECK_EQ((int)counter_value(dialer.failed[CONN_RESOLUTION]), c->resolution);
        ConnListener listener = conn_track_listener(registry, S("http"));
        CHECK_EQ((int)counter_value(listener.accepted), 1);
        CHECK_EQ((int)counter_value(listener.closed), 1);
        registry_free(registry);
    }
}

TEST(conn_track, failures_have_reasons)
{
    CHECK_EQ(conn_track_failure(ECONNREFUSED), CONN_REFUSED);
    CHECK_EQ(conn_track_failure(ETIMEDOUT), CONN_TIMEOUT);
    CHECK_EQ(conn_track_failure(ENETUNREACH), CONN_UNKNOWN);
    CHECK(conn_track_dialer(NULL, S("x")).attempted == NULL);
    conn_track_count(NULL);
}

TEST_MAIN(conn_track, TEST_ROW(conn_track, connections_are_counted_by_what_becomes_of_them),
          TEST_ROW(conn_track, failures_have_reasons))
