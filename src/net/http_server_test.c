// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "codec/compress.h"

// What the handler below does is told by the path.
typedef struct Probe {
    _Atomic int handled;
    _Atomic int gone_seen;
    _Atomic int write_failed;
} Probe;

static void stream_much(HttpRequest *request, Probe *probe)
{
    static char block[64 * 1024];
    memset(block, 'x', sizeof block);
    http_reply_compress(request);
    if (!http_stream_begin(request, 200, S("text/plain")))
        return;
    for (int i = 0; i < 160; i++) // 10 MiB
        if (!http_stream_write(request, str_make(block, sizeof block))) {
            atomic_fetch_add(&probe->write_failed, 1);
            return;
        }
    http_stream_end(request);
}

static void echo(HttpRequest *request)
{
    Buf out = {0};
    buf_printf(&out, STR_FMT " " STR_FMT "\n", STR_ARG(request->method), STR_ARG(request->path));
    for (size_t i = 0; i < request->param_count; i++)
        buf_printf(&out, STR_FMT "=" STR_FMT "\n", STR_ARG(request->params[i].name),
                   STR_ARG(request->params[i].value));
    buf_printf(&out, "body " STR_FMT "\n", STR_ARG(request->body));
    buf_printf(&out, "x " STR_FMT "\n", STR_ARG(http_header(request, S("x-probe"))));
    http_reply_header(request, S("X-Reply"), S("yes"));
    http_reply_compress(request);
    http_reply(request, 200, S("text/plain"), buf_str(&out));
    buf_deinit(&out);
}

static void handle(void *arg, HttpRequest *request)
{
    Probe *probe = arg;
    atomic_fetch_add(&probe->handled, 1);
    if (str_is(request->path, "/stream")) {
        stream_much(request, probe);
    } else if (str_is(request->path, "/broken")) {
        if (http_stream_begin(request, 200, S("text/plain")) &&
            http_stream_write(request, S("half")))
            return;
    } else if (str_is(request->path, "/silent")) {
        return;
    } else if (str_is(request->path, "/wait")) {
        while (!http_client_gone(request))
            usleep(1000);
        atomic_fetch_add(&probe->gone_seen, 1);
        http_reply(request, 503, S("text/plain"), S("gone\n"));
    } else {
        echo(request);
    }
}

typedef struct Fixture {
    HttpServer *server;
    Probe probe;
    int port;
} Fixture;

static void start_with(Fixture *fixture, HttpServerOptions options)
{
    Error err;
    options.handle = handle;
    options.arg = &fixture->probe;
    CHECK_OK(http_server_start(&options, &fixture->server, &fixture->port, &err), err);
}

static void start(Fixture *fixture)
{
    HttpServerOptions options;
    http_server_options_default(&options);
    start_with(fixture, options);
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    union {
        const struct sockaddr_in *v4;
        const struct sockaddr *any;
    } to = {.v4 = &address};
    CHECK_EQ(connect(fd, to.any, sizeof address), 0);
    return fd;
}

static void send_text(int fd, Str text)
{
    while (text.len > 0) {
        ssize_t count = send(fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        text = str_skip(text, (size_t)count);
    }
}

// Reads until the peer closes, `stop` has arrived, or a minute has passed.
static Str read_until(int fd, Buf *buf, const char *stop)
{
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    while (poll(&watch, 1, 60000) > 0) {
        char *at = buf_reserve(buf, 65537);
        ssize_t count = recv(fd, at, 65536, 0);
        if (count <= 0)
            break;
        buf->len += (size_t)count;
        buf->ptr[buf->len] = '\0';
        if (stop && strstr(buf->ptr, stop))
            break;
    }
    return buf_str(buf);
}

// One request on a connection of its own; the whole answer with its head.
static void exchange(int port, Str request, Buf *ret_answer)
{
    int fd = dial(port);
    send_text(fd, request);
    read_until(fd, ret_answer, NULL);
    buf_add_char(ret_answer, '\0');
    ret_answer->len--;
    close(fd);
}

TEST(http_server, hands_over_method_path_parameters_and_body)
{
    static const struct {
        const char *name;
        Str request;
        const char *want;
    } cases[] = {
        {"query",
         STR("GET /a%20b?x=1&y=%2B&x=2 HTTP/1.1\r\nHost: h\r\nX-Probe: 7\r\nConnection: "
             "close\r\n\r\n"),
         "GET /a b\nx=1\ny=+\nx=2\nbody \nx 7\n"},
        {"form first, then query",
         STR("POST /f?q=url HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: "
             "7\r\nContent-Type: "
             "application/x-www-form-urlencoded\r\n\r\nq=a%2Bb"),
         "POST /f\nq=a+b\nq=url\nbody q=a%2Bb\n"},
        {"other bodies are not parsed",
         STR("POST /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b"),
         "POST /f\nbody a=b\n"},
        {"chunked",
         STR("PUT /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: "
             "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
         "PUT /f\nbody abcde\n"},
        {"headers", STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "X-Reply: yes\r\n"},
    };
    Fixture f = {0};
    start(&f);

    EACH_CASE(c, cases) {
        Buf answer = {0};
        exchange(f.port, c->request, &answer);
        CHECK_HAS(answer.ptr, "HTTP/1.1 200 OK\r\n");
        CHECK_HAS(answer.ptr, c->want);
        buf_deinit(&answer);
    }
    http_server_stop(f.server);
}

TEST(http_server, refuses_what_is_too_much)
{
    Fixture f = {0};
    HttpServerOptions options;
    http_server_options_default(&options);
    options.body_bytes_max = 100;
    options.header_bytes_max = 4096;
    start_with(&f, options);
    Buf many = {0};
    buf_add_c(&many, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 500; i++)
        buf_printf(&many, "X-Header-%d: 0123456789012345678901234567890123456789\r\n", i);
    buf_add_c(&many, "\r\n");
    Buf chunked = {0};
    buf_add_c(
        &chunked,
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++)
        buf_add_c(&chunked, "a\r\n0123456789\r\n");
    buf_add_c(&chunked, "0\r\n\r\n");
    const struct {
        const char *name;
        Str request;
        const char *want;
    } cases[] = {
        {"announced body", STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),
         " 413 "},
        {"chunked body", buf_str(&chunked), " 413 "},
        {"headers", buf_str(&many), " 431 "},
        {"bad escape in the path", STR("GET /%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         " 400 "},
        {"no host", STR("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), " 400 "},
        {"garbage", STR("\x01\x02\x03\r\n\r\n"), ""},
    };

    EACH_CASE(c, cases) {
        Buf answer = {0};
        exchange(f.port, c->request, &answer);
        CHECK_HAS(answer.ptr, c->want);
        buf_deinit(&answer);
    }
    CHECK_EQ(f.probe.handled, 0);
    http_server_stop(f.server);
    buf_deinit(&many);
    buf_deinit(&chunked);
}

TEST(http_server, keeps_the_connection_and_says_so_when_a_handler_is_silent)
{
    Fixture f = {0};
    start(&f);
    int fd = dial(f.port);
    Buf answer = {0};

    for (int i = 0; i < 3; i++) {
        buf_reset(&answer);
        send_text(fd, S("GET /one HTTP/1.1\r\nHost: h\r\n\r\n"));
        read_until(fd, &answer, "x \n");
        CHECK_HAS(answer.ptr, "GET /one\n");
    }
    buf_reset(&answer);
    send_text(fd, S("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n"));
    read_until(fd, &answer, "no answer\n");
    CHECK_HAS(answer.ptr, "HTTP/1.1 500 ");

    close(fd);
    buf_deinit(&answer);
    http_server_stop(f.server);
}

TEST(http_server, streams_more_than_it_buffers)
{
    Fixture f = {0};
    start(&f);
    Buf answer = {0};
    exchange(f.port, S("GET /stream HTTP/1.0\r\nHost: h\r\n\r\n"), &answer);

    const char *body = strstr(answer.ptr, "\r\n\r\n");
    CHECK(body != NULL);
    CHECK_EQ(strspn(body + 4, "x"), 160 * 64 * 1024);
    buf_deinit(&answer);

    Buf zipped = {0};
    Buf plain = {0};
    Error err;
    exchange(f.port, S("GET /stream HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n"),
             &zipped);
    CHECK_HAS(zipped.ptr, "Content-Encoding: gzip\r\n");
    size_t head = str_find(buf_str(&zipped), S("\r\n\r\n")) + 4;
    CHECK_OK(gzip_decode(str_skip(buf_str(&zipped), head), 1 << 26, &plain, &err), err);
    CHECK_EQ(plain.len, 160 * 64 * 1024);
    CHECK(zipped.len < 1024 * 1024);
    buf_deinit(&zipped);
    buf_deinit(&plain);

    exchange(f.port, S("GET /stream HTTP/1.0\r\nHost: h\r\nAccept-Encoding: zstd, gzip\r\n\r\n"),
             &zipped);
    CHECK_HAS(zipped.ptr, "Content-Encoding: zstd\r\n");
    head = str_find(buf_str(&zipped), S("\r\n\r\n")) + 4;
    CHECK_OK(zstd_decode(str_skip(buf_str(&zipped), head), 1 << 26, &plain, &err), err);
    CHECK_EQ(plain.len, 160 * 64 * 1024);
    buf_deinit(&zipped);
    buf_deinit(&plain);

    Buf none = {0};
    exchange(f.port, S("HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &none);
    CHECK(str_ends_with(buf_str(&none), S("\r\n\r\n")));
    CHECK_EQ(f.probe.write_failed, 0);
    buf_deinit(&none);
    http_server_stop(f.server);
}

TEST(http_server, an_unfinished_stream_is_seen_as_cut_off)
{
    Fixture f = {0};
    start(&f);
    Buf answer = {0};
    exchange(f.port, S("GET /broken HTTP/1.1\r\nHost: h\r\n\r\n"), &answer);

    CHECK_HAS(answer.ptr, "half");
    CHECK(!strstr(answer.ptr, "\r\n0\r\n"));
    buf_deinit(&answer);
    http_server_stop(f.server);
}

static void wait_for(_Atomic int *value, int want)
{
    for (int i = 0; i < 60000 && atomic_load(value) != want; i++)
        usleep(1000);
    CHECK_EQ(atomic_load(value), want);
}

TEST(http_server, handlers_learn_that_the_client_has_gone)
{
    Fixture f = {0};
    start(&f);
    int fd = dial(f.port);
    send_text(fd, S("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(&f.probe.handled, 1);
    CHECK_EQ(f.probe.gone_seen, 0);
    close(fd);
    wait_for(&f.probe.gone_seen, 1);

    fd = dial(f.port);
    send_text(fd, S("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(&f.probe.handled, 2);
    close(fd);
    wait_for(&f.probe.write_failed, 1);
    http_server_stop(f.server);
}

TEST(http_server, as_many_handlers_as_allowed_run_at_once_though_few_workers_run_before)
{
    enum { WORKERS = 6 };
    Fixture fixture = {0};
    HttpServerOptions options;
    http_server_options_default(&options);
    options.workers = WORKERS;
    start_with(&fixture, options);
    int fds[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        fds[i] = dial(fixture.port);
        send_text(fds[i], S("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    wait_for(&fixture.probe.handled, WORKERS); // none returns before its client has gone
    for (int i = 0; i < WORKERS; i++)
        close(fds[i]);
    wait_for(&fixture.probe.gone_seen, WORKERS);
    http_server_stop(fixture.server);
}

// It waits a second for answers that are under way, and for nothing else: not for the five minutes that clients have.
TEST(http_server, stops_soon_whatever_clients_do)
{
    Fixture f = {0};
    start(&f);
    Buf answer = {0};
    int idle = dial(f.port);
    send_text(idle, S("GET /one HTTP/1.1\r\nHost: h\r\n\r\n"));
    read_until(idle, &answer, "x \n");
    int half = dial(f.port);
    send_text(half, S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nabc"));
    int waiting = dial(f.port);
    send_text(waiting, S("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
    int slow = dial(f.port);
    send_text(slow, S("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(&f.probe.handled, 3);

    int64_t start_ns = clock_mono_ns(&clock_system);
    http_server_stop(f.server);
    int64_t took_ms = (clock_mono_ns(&clock_system) - start_ns) / 1000000;

    CHECK(took_ms < 60000);
    buf_reset(&answer);
    read_until(waiting, &answer, NULL);
    CHECK_HAS(answer.ptr, " 503 ");
    close(idle);
    close(half);
    close(waiting);
    close(slow);
    buf_deinit(&answer);
}

enum { STOPS = 20, ASKING = 3 };

// Which listening sockets somebody has taken out of a set. libmicrohttpd ends the process where two threads do so at once, which no test can
// wait for. Sanitizers have their own epoll_ctl.
static atomic_int taken_out;
#if !MEMORY_SANITIZED
int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    int listens = 0;
    socklen_t bytes = sizeof listens;

    if (operation == EPOLL_CTL_DEL &&
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0)
        taken_out += listens;
    return (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}
#endif

// Asks until the server hangs up.
static void *keep_asking(void *arg)
{
    static const Str request = STR("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    char answer[1024];
    int fd = *(int *)arg;

    while (send(fd, request.ptr, request.len, MSG_NOSIGNAL) == (ssize_t)request.len &&
           recv(fd, answer, sizeof answer, 0) > 0)
        ;
    close(fd);
    return NULL;
}

// The thread that accepts connections is awake all the time then.
TEST(http_server, stops_while_it_is_asked)
{
    for (int i = 0; i < STOPS; i++) {
        Fixture f = {0};
        pthread_t threads[ASKING];
        int fds[ASKING];
        start(&f);
        for (int k = 0; k < ASKING; k++) {
            fds[k] = dial(f.port);
            CHECK_EQ(pthread_create(&threads[k], NULL, keep_asking, &fds[k]), 0);
        }
        usleep(2000);

        http_server_stop(f.server);

        for (int k = 0; k < ASKING; k++)
            pthread_join(threads[k], NULL);
    }
    CHECK_EQ(taken_out, 0);
}

TEST(http_server, cuts_off_who_sends_too_slowly)
{
    Fixture f = {0};
    HttpServerOptions options;
    http_server_options_default(&options);
    options.read_timeout_ms = 300;
    start_with(&f, options);
    int fd = dial(f.port);
    ssize_t sent = 1;
    send_text(fd, S("GET / HTTP/1.1\r\nHost: h\r\n"));
    // One byte now and then keeps any idle timer from firing.
    for (int i = 0; i < 1200 && sent == 1; i++) {
        usleep(50000);
        sent = send(fd, i % 2 ? "a" : "b", 1, MSG_NOSIGNAL);
    }

    CHECK(sent != 1);
    close(fd);
    http_server_stop(f.server);
}

TEST(http_server, says_why_it_cannot_listen)
{
    static const struct {
        const char *name;
        Str address;
        const char *want;
    } cases[] = {
        {"no port", STR("localhost"), "missing port"},
        {"no such address", STR("203.0.113.77:0"), "listen tcp 203.0.113.77:0"},
        {"no such service", STR("127.0.0.1:nonsense"), "listen tcp"},
    };

    EACH_CASE(c, cases) {
        HttpServerOptions options;
        HttpServer *server = NULL;
        Error err = {0};
        http_server_options_default(&options);
        options.listen_address = c->address;
        options.handle = handle;
        CHECK(!http_server_start(&options, &server, NULL, &err));
        CHECK_HAS(err.text, c->want);
    }

    Fixture f = {0};
    start(&f);
    HttpServerOptions options;
    HttpServer *server = NULL;
    Error err = {0};
    Arena arena = {0};
    http_server_options_default(&options);
    options.listen_address = arena_printf(&arena, "127.0.0.1:%d", f.port);
    options.handle = handle;
    CHECK(!http_server_start(&options, &server, NULL, &err));
    CHECK_HAS(err.text, "Address already in use");
    arena_deinit(&arena);
    http_server_stop(f.server);
}

enum { CLIENT_THREADS = 8, REQUESTS_EACH = 200 };

static void *hammer(void *arg)
{
    Fixture *f = arg;
    int fd = dial(f->port);
    Buf answer = {0};
    intptr_t good = 0;
    for (int i = 0; i < REQUESTS_EACH; i++) {
        buf_reset(&answer);
        send_text(fd, S("POST /p?a=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"));
        read_until(fd, &answer, "x \n");
        good += strstr(answer.ptr, "body hello\n") != NULL;
    }
    close(fd);
    buf_deinit(&answer);
    return (void *)good; // NOLINT: a count in a pointer
}

TEST(http_server, many_clients_at_once_are_all_answered)
{
    Fixture f = {0};
    start(&f);
    pthread_t threads[CLIENT_THREADS];
    intptr_t good = 0;
    for (int i = 0; i < CLIENT_THREADS; i++)
        pthread_create(&threads[i], NULL, hammer, &f);
    for (int i = 0; i < CLIENT_THREADS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        good += (intptr_t)count;
    }

    CHECK_EQ(good, CLIENT_THREADS * REQUESTS_EACH);
    CHECK_EQ(f.probe.handled, CLIENT_THREADS * REQUESTS_EACH);
    http_server_stop(f.server);
}

TEST(http_server, two_servers_live_side_by_side_on_both_families)
{
    Fixture f = {0};
    Fixture g = {0};
    HttpServerOptions options;
    http_server_options_default(&options);
    options.listen_address = S(":0");
    start(&f);
    start_with(&g, options);
    Buf answer = {0};

    exchange(g.port, S("GET /v4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &answer);

    CHECK_HAS(answer.ptr, "GET /v4\n");
    CHECK_EQ(f.probe.handled, 0);
    CHECK_EQ(g.probe.handled, 1);
    buf_deinit(&answer);
    http_server_stop(f.server);
    http_server_stop(g.server);
}

TEST(http_server, a_fake_request_answers_into_memory)
{
    Arena arena = {0};
    HttpRequest request;
    HttpFakeReply reply;

    http_fake_request(&request, &reply, &arena, S("POST"), S("/p%20q?b=2"), S("a=1"));
    echo(&request);

    CHECK_EQ(reply.status, 200);
    CHECK_STR(buf_str(&reply.body), S("POST /p q\na=1\nb=2\nbody a=1\nx \n"));
    CHECK_STR(reply.content_type, S("text/plain"));
    CHECK_STR(reply.headers.items[0].name, S("X-Reply"));
    buf_deinit(&reply.body);
    arena_deinit(&arena);
}

TEST_MAIN(http_server, TEST_ROW(http_server, hands_over_method_path_parameters_and_body),
          TEST_ROW(http_server, refuses_what_is_too_much),
          TEST_ROW(http_server, keeps_the_connection_and_says_so_when_a_handler_is_silent),
          TEST_ROW(http_server, streams_more_than_it_buffers),
          TEST_ROW(http_server, an_unfinished_stream_is_seen_as_cut_off),
          TEST_ROW(http_server, handlers_learn_that_the_client_has_gone),
          TEST_ROW(http_server,
                   as_many_handlers_as_allowed_run_at_once_though_few_workers_run_before),
          TEST_ROW(http_server, stops_soon_whatever_clients_do),
          TEST_ROW(http_server, stops_while_it_is_asked),
          TEST_ROW(http_server, cuts_off_who_sends_too_slowly),
          TEST_ROW(http_server, says_why_it_cannot_listen),
          TEST_ROW(http_server, many_clients_at_once_are_all_answered),
          TEST_ROW(http_server, two_servers_live_side_by_side_on_both_families),
          TEST_ROW(http_server, a_fake_request_answers_into_memory))
