// SPDX-License-Identifier: Apache-2.0
// http_server_bench.c: what a request costs this process, over one connection that is kept and over the HTTP client on its
// loop: microseconds of CPU of both sides together.
#include "net/http_server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/http_client.h"

enum { REQUESTS = 20000, CLIENT_CALLS = 16 };

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void handle(void *arg, HttpRequest *request)
{
    (void)arg;
    http_reply(request, 200, S("text/plain"), S("up 1\n"));
}

static void bare(int port)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    union {
        const struct sockaddr_in *v4;
        const struct sockaddr *any;
    } to = {.v4 = &address};
    int rc = connect(fd, to.any, sizeof address);
    ASSERT(rc == 0);
    int64_t start_ns = cpu_ns();
    for (int i = 0; i < REQUESTS; i++) {
        char answer[1024];
        ssize_t sent = send(fd, request, sizeof request - 1, 0);
        ASSERT(sent > 0);
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        ASSERT(got > 0);
    }
    printf("bare socket: %.2f us of CPU a request\n",
           (double)(cpu_ns() - start_ns) / REQUESTS / 1e3);
    close(fd);
}

typedef struct Calls {
    Loop *loop;
    HttpClient *client;
    Str url;
    int left, running;
    Buf bodies[CLIENT_CALLS];
} Calls;

typedef struct Slot {
    Calls *calls;
    Buf *body;
} Slot;

static void begin(Slot *slot);

static void done(void *arg, const HttpResponse *response)
{
    Slot *slot = arg;
    ASSERT(response->status == 200);
    if (slot->calls->left > 0) {
        slot->calls->left--;
        begin(slot);
    } else if (--slot->calls->running == 0) {
        loop_stop(slot->calls->loop);
    }
}

static void begin(Slot *slot)
{
    static const Str headers[] = {STR("Accept: text/plain"),
                                  STR("X-Prometheus-Scrape-Timeout-Seconds: 10")};
    http_call(slot->calls->client, &(HttpCallOptions){
                                       .url = slot->calls->url,
                                       .headers = headers,
                                       .header_count = COUNT_OF(headers),
                                       .timeout_ms = 10000,
                                       .accept_gzip = true,
                                       .body_buf = slot->body,
                                       .done = done,
                                       .arg = slot,
                                   });
}

static void with_client(int port)
{
    Error err;
    Arena arena = {0};
    Calls calls = {.left = REQUESTS - CLIENT_CALLS, .running = CLIENT_CALLS};
    Slot slots[CLIENT_CALLS];
    calls.url = arena_printf(&arena, "http://127.0.0.1:%d/metrics", port);
    bool ok = loop_new("bench", &calls.loop, &err) &&
              http_client_new(calls.loop, NULL, &calls.client, &err);
    ASSERT(ok);
    int64_t start_ns = cpu_ns();
    for (int i = 0; i < CLIENT_CALLS; i++) {
        slots[i] = (Slot){&calls, &calls.bodies[i]};
        begin(&slots[i]);
    }
    loop_run(calls.loop);
    printf("http client: %.2f us of CPU a request\n",
           (double)(cpu_ns() - start_ns) / REQUESTS / 1e3);
    http_client_free(calls.client);
    loop_free(calls.loop);
    for (int i = 0; i < CLIENT_CALLS; i++)
        buf_deinit(&calls.bodies[i]);
    arena_deinit(&arena);
}

int main(void)
{
    HttpServerOptions options;
    HttpServer *server;
    int port;
    Error err;
    http_server_options_default(&options);
    options.handle = handle;
    bool ok = http_server_start(&options, &server, &port, &err);
    ASSERT(ok);
    bare(port);
    with_client(port);
    http_server_stop(server);
    return 0;
}
