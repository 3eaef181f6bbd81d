// SPDX-License-Identifier: Apache-2.0
// The other side is a thread that plays a script: what it answers to each request, byte for byte.
#include "net/http_plain.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"

#define STEPS_MAX 4

typedef struct Step {
    Str answer;     // to one request
    bool dribbles;  // a byte at a time
    bool hangs_up;  // after the answer
    bool is_silent; // keeps the connection and says nothing
} Step;

typedef struct Script {
    Step steps[STEPS_MAX];
    size_t count;
    int listener;
    int port;
    Thread thread;
    _Atomic int connections;
    Buf seen; // all that was asked
} Script;

static void say(int fd, const Step *step)
{
    size_t piece = step->dribbles ? 1 : SIZE_MAX;
    for (Str rest = step->answer; rest.len; rest = str_skip(rest, piece)) {
        Str now = str_sub(rest, 0, piece);
        if (send(fd, now.ptr, now.len, MSG_NOSIGNAL) < 0)
            return;
        if (step->dribbles)
            usleep(200);
    }
}

// Reads up to the empty line and the body that Content-Length tells of. False: the client has gone.
static bool hear(int fd, Buf *seen)
{
    size_t start = seen->len;
    for (;;) {
        Str request = str_skip(buf_str(seen), start);
        size_t end = str_find(request, S("\r\n\r\n"));
        size_t length = str_find(request, S("Content-Length: "));
        size_t body = length == STR_NOT_FOUND ? 0 : (size_t)atoi(request.ptr + length + 16);
        if (end != STR_NOT_FOUND && request.len >= end + 4 + body)
            return true;
        char *at = buf_reserve(seen, 4096);
        ssize_t got = recv(fd, at, 4095, 0);
        if (got <= 0)
            return false;
        seen->len += (size_t)got;
        seen->ptr[seen->len] = '\0';
    }
}

static void play(void *arg)
{
    Script *script = arg;
    int fd = -1;
    for (size_t i = 0; i < script->count;) {
        if (fd < 0) {
            fd = accept(script->listener, NULL, NULL);
            if (fd < 0)
                return;
            script->connections++;
        }
        const Step *step = &script->steps[i];
        bool heard = hear(fd, &script->seen);
        if (heard) {
            say(fd, step);
            i++;
        }
        if (heard && step->is_silent)
            heard = hear(fd, &script->seen); // until the client goes
        if (!heard || step->hangs_up) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
}

static void script_start(Script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    Error err;
    script->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(script->listener, (struct sockaddr *)&address, bytes), 0);
    CHECK_EQ(listen(script->listener, 8), 0);
    CHECK_EQ(getsockname(script->listener, (struct sockaddr *)&address, &bytes), 0);
    script->port = ntohs(address.sin_port);
    CHECK_OK(thread_start(&script->thread, "script", play, script, &err), err);
}

static void script_stop(Script *script)
{
    shutdown(script->listener, SHUT_RDWR);
    thread_join(&script->thread);
    close(script->listener);
    buf_deinit(&script->seen);
}

// ---- one client ----

typedef struct Caller {
    Loop *loop;
    HttpPlain *plain;
    char url[64];
    int left; // calls to make, one after the other
    int status;
    int ended;
    int64_t announced;
    Buf body;
    Error err; // of the last call
    size_t body_bytes_max;
    int64_t timeout_ns;
    Str request_body;
    bool is_head_method;
} Caller;

static Buf *on_head(void *arg, int status, Str headers, int64_t announced)
{
    Caller *caller = arg;
    (void)headers;
    caller->status = status;
    caller->announced = announced;
    return &caller->body;
}

static void ask(Caller *caller);

static void on_end(void *arg, const Error *err)
{
    Caller *caller = arg;
    caller->ended++;
    caller->err = err ? *err : (Error){0};
    if (--caller->left > 0)
        ask(caller);
    else
        loop_stop(caller->loop);
}

static void ask(Caller *caller)
{
    HttpPlainRequest request = {
        .body = caller->request_body,
        .is_head_method = caller->is_head_method,
        .deadline_ns = caller->timeout_ns ? clock_mono_ns(&clock_system) + caller->timeout_ns : 0,
        .body_bytes_max = caller->body_bytes_max ? caller->body_bytes_max : 1 << 20,
        .on_head = on_head,
        .on_end = on_end,
        .arg = caller,
    };
    Buf head = {0};
    Error err;
    HttpPlainCall *call;
    CHECK(http_plain_url_read(str_from_c(caller->url), &request.url));
    buf_printf(&head, "%s " STR_FMT " HTTP/1.1\r\n", caller->is_head_method ? "HEAD" : "GET",
               STR_ARG(request.url.target));
    if (request.body.len)
        buf_printf(&head, "Content-Length: %zu\r\n", request.body.len);
    buf_add_c(&head, "\r\n");
    request.head = buf_str(&head);
    buf_reset(&caller->body);
    caller->status = 0;
    CHECK_OK(http_plain_start(caller->plain, &request, &call, &err), err);
    buf_deinit(&head);
}

// Makes `calls` calls to `host`; what the last one brought stays in *caller.
static void talk_to(const char *host, Script *script, Caller *caller, int calls)
{
    Error err;
    script_start(script);
    snprintf(caller->url, sizeof caller->url, "http://%s:%d/x?y", host, script->port);
    caller->left = calls;
    CHECK_OK(loop_new("test", &caller->loop, &err), err);
    caller->plain = http_plain_new(caller->loop, 60000000000, NULL);
    ask(caller);
    loop_run(caller->loop);
    http_plain_free(caller->plain);
    loop_free(caller->loop);
    script_stop(script);
    CHECK_EQ(caller->ended, calls);
}

static void talk(Script *script, Caller *caller, int calls)
{
    talk_to("127.0.0.1", script, caller, calls);
}

TEST(http_plain, knows_what_is_for_libcurl)
{
    static const struct {
        const char *name;
        const char *url;
        bool want;
        const char *target;
    } cases[] = {
        {"an address", "http://127.0.0.1/metrics", true, "/metrics"},
        {"with a port", "http://10.1.2.3:9100/m?a=b&c", true, "/m?a=b&c"},
        {"IPv6", "http://[::1]:9100/m", true, "/m"},
        {"no path", "http://127.0.0.1:1", true, ""},
        {"TLS", "https://127.0.0.1/", false, NULL},
        {"the own machine", "http://localhost:9090/m", true, "/m"},
        {"the own machine alone", "http://localhost", true, ""},
        {"a name", "http://other:9090/", false, NULL},
        {"a name that begins like the own machine's", "http://localhosts:9090/", false, NULL},
        {"a name below the own machine's", "http://a.localhost/", false, NULL},
        {"a name that begins with a digit", "http://1.example/", false, NULL},
        {"the short form of an address", "http://127.1/", false, NULL},
        {"user and password", "http://1.2.3.4:5@6.7.8.9/", false, NULL},
        {"port 0", "http://127.0.0.1:0/", false, NULL},
        {"port too large", "http://127.0.0.1:65536/", false, NULL},
        {"an empty port", "http://127.0.0.1:/", false, NULL},
        {"parameters without a path", "http://127.0.0.1?x", false, NULL},
        {"a fragment", "http://127.0.0.1/x#y", false, NULL},
        {"a space", "http://127.0.0.1/a b", false, NULL},
        {"a line break", "http://127.0.0.1/a\r\nX: y", false, NULL},
        {"beyond ASCII", "http://127.0.0.1/\xc3\xa4", false, NULL},
        {"dot segments", "http://127.0.0.1/a/../b", false, NULL},
        {"an unclosed bracket", "http://[::1", false, NULL},
        {"nothing", "", false, NULL},
    };

    EACH_CASE(c, cases) {
        HttpPlainUrl url;
        bool can = http_plain_url_read(str_from_c(c->url), &url);
        CHECK_EQ(can, c->want);
        if (can)
            CHECK(str_is(url.target, c->target));
    }
}

TEST(http_plain, reads_every_framing_of_a_body)
{
    static const struct {
        const char *name;
        const char *answer;
        bool hangs_up;
        int status;
        const char *body;
    } cases[] = {
        {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello"},
        {"length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, ""},
        {"the same length twice",
         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi"},
        {"chunks",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
         "chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
         false, 200, "hello0123456789"},
        {"chunks with a trailer",
         "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\n\r\n",
         false, 200, "x"},
        {"to the end", "HTTP/1.1 200 OK\r\n\r\nall of it", true, 200, "all of it"},
        {"to the end of 1.0", "HTTP/1.0 200 OK\r\n\r\nold", true, 200, "old"},
        {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", false, 200, "hi"},
        {"no reason", "HTTP/1.1 503\r\nContent-Length: 2\r\n\r\nno", false, 503, "no"},
        {"204 has none", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, 204, ""},
        {"interim answers first",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
         "OK\r\nContent-Length: 1\r\n\r\n!",
         false, 200, "!"},
    };

    EACH_CASE(c, cases) {
        for (int dribbles = 0; dribbles < 2; dribbles++) {
            Script script = {
                .count = 1,
                .steps = {{str_from_c(c->answer), .dribbles = dribbles, .hangs_up = c->hangs_up}}};
            Caller caller = {0};
            talk(&script, &caller, 1);
            CHECK_EQ(caller.err.code, ERR_NONE);
            CHECK_EQ(caller.status, c->status);
            CHECK(str_is(buf_str(&caller.body), c->body));
            buf_deinit(&caller.body);
        }
    }
}

TEST(http_plain, says_what_is_wrong_with_an_answer)
{
    static const struct {
        const char *name;
        const char *answer;
        ErrorCode code;
        const char *text;
    } cases[] = {
        {"nothing", "", ERR_IO, "EOF"},
        {"half a head", "HTTP/1.1 200 OK\r\nConte", ERR_IO, "unexpected EOF"},
        {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", ERR_IO,
         "unexpected EOF"},
        {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", ERR_IO,
         "unexpected EOF"},
        {"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", ERR_IO, "malformed HTTP response"},
        {"a status that is none", "HTTP/1.1 abc\r\n\r\n", ERR_IO, "malformed HTTP response"},
        {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
         ERR_IO, "length"},
        {"a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ERR_IO, "length"},
        {"a length beyond all", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
         ERR_IO, "length"},
        {"an encoding nobody asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
         ERR_IO, "transfer encoding"},
        {"no size of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
         ERR_IO, "invalid size"},
        {"a chunk beyond all",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", ERR_IO,
         "invalid size"},
        {"a chunk longer than it said",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", ERR_IO,
         "no end of chunk"},
        {"more than is allowed", "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", ERR_LIMIT,
         "response body is larger than 100 bytes"},
        {"more than is allowed, in chunks",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"
         "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90123456789"
         "0\r\n0\r\n\r\n",
         ERR_LIMIT, "response body is larger than 100 bytes"},
    };

    EACH_CASE(c, cases) {
        Script script = {.count = 1, .steps = {{str_from_c(c->answer), .hangs_up = true}}};
        Caller caller = {.body_bytes_max = 100};
        talk(&script, &caller, 1);
        CHECK_EQ(caller.err.code, c->code);
        CHECK_HAS(caller.err.text, c->text);
        buf_deinit(&caller.body);
    }
}

// The script listens at 127.0.0.1 alone.
TEST(http_plain, tries_both_addresses_of_the_own_machine)
{
    Script script = {.count = 2,
                     .steps = {{.answer = STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")},
                               {.answer = STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2")}}};
    Caller caller = {0};

    talk_to("localhost", &script, &caller, 2);

    CHECK_OK(caller.err.code == ERR_NONE, caller.err);
    CHECK_STR(buf_str(&caller.body), S("2"));
    CHECK_EQ(script.connections, 1);
    buf_deinit(&caller.body);
}

TEST(http_plain, bounds_heads_and_interim_answers)
{
    Buf head = {0};
    buf_add_c(&head, "HTTP/1.1 200 OK\r\nX: ");
    while (head.len <= HTTP_PLAIN_HEAD_BYTES_MAX)
        buf_add_c(&head, "0123456789");
    Buf interim = {0};
    for (int i = 0; i < 100; i++)
        buf_add_c(&interim, "HTTP/1.1 100 Continue\r\n\r\n");
    const struct {
        const char *name;
        Str answer;
        const char *text;
    } cases[] = {
        {"a head without end", buf_str(&head), "response headers are larger than"},
        {"interim answers without end", buf_str(&interim), "too many 1xx"},
    };

    EACH_CASE(c, cases) {
        Script script = {.count = 1, .steps = {{c->answer, .hangs_up = true}}};
        Caller caller = {0};
        talk(&script, &caller, 1);
        CHECK(caller.err.code != ERR_NONE);
        CHECK_HAS(caller.err.text, c->text);
    }
    buf_deinit(&head);
    buf_deinit(&interim);
}

#define OK_1 STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")

TEST(http_plain, keeps_a_connection_only_while_it_is_good)
{
    static const struct {
        const char *name;
        Step first;
        int connections; // for two calls
    } cases[] = {
        {"a whole answer", {OK_1}, 1},
        {"an empty one", {STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}, 1},
        {"in chunks", {STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}, 1},
        {"it is told to close",
         {STR("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\n1")},
         2},
        {"1.0 closes", {STR("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1")}, 2},
        {"1.0 that is kept",
         {STR("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n1")},
         1},
        {"more than was promised",
         {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1")},
         2},
        {"the other side hung up meanwhile", {OK_1, .hangs_up = true}, 2},
    };

    EACH_CASE(c, cases) {
        Script script = {.count = 2, .steps = {c->first, {OK_1}}};
        Caller caller = {0};
        talk(&script, &caller, 2);
        CHECK_EQ(caller.err.code, ERR_NONE);
        CHECK_EQ(caller.status, 200);
        CHECK(str_is(buf_str(&caller.body), "1"));
        CHECK_EQ(script.connections, c->connections);
        buf_deinit(&caller.body);
    }
}

TEST(http_plain, gives_up_at_the_deadline)
{
    static const struct {
        const char *name;
        Step step;
    } cases[] = {
        {"no answer", {STR(""), .is_silent = true}},
        {"half a head", {STR("HTTP/1.1 200 OK\r\n"), .is_silent = true}},
        {"half a body", {STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"), .is_silent = true}},
    };

    EACH_CASE(c, cases) {
        Script script = {.count = 1, .steps = {c->step}};
        Caller caller = {.timeout_ns = 50000000};
        talk(&script, &caller, 1);
        CHECK_EQ(caller.err.code, ERR_TIMEOUT);
        CHECK_HAS(caller.err.text, "context deadline exceeded");
        buf_deinit(&caller.body);
    }
}

TEST(http_plain, sends_bodies_of_any_size_and_reads_large_ones)
{
    Buf sent = {0};
    for (int i = 0; i < 3000000; i++)
        buf_add_char(&sent, (char)('a' + i % 26));
    Buf answer = {0};
    buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sent.len);
    buf_add_str(&answer, buf_str(&sent));
    Buf chunked = {0};
    buf_printf(&chunked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", sent.len);
    buf_add_str(&chunked, buf_str(&sent));
    buf_add_c(&chunked, "\r\n0\r\n\r\n");

    Script script = {.count = 2, .steps = {{buf_str(&chunked)}, {buf_str(&answer)}}};
    Caller caller = {.body_bytes_max = 4000000, .request_body = buf_str(&sent)};
    talk(&script, &caller, 2);
    CHECK_EQ(caller.err.code, ERR_NONE);
    CHECK(str_equal(buf_str(&caller.body), buf_str(&sent)));
    CHECK_EQ(script.connections, 1);
    buf_deinit(&caller.body);
    buf_deinit(&sent);
    buf_deinit(&answer);
    buf_deinit(&chunked);
}

TEST(http_plain, a_head_request_has_no_body_to_wait_for)
{
    Script script = {.count = 1, .steps = {{STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")}}};
    Caller caller = {.is_head_method = true};
    talk(&script, &caller, 1);
    CHECK_EQ(caller.err.code, ERR_NONE);
    CHECK_EQ(caller.status, 200);
    CHECK_EQ(caller.announced, 5);
}

TEST_MAIN(http_plain, TEST_ROW(http_plain, knows_what_is_for_libcurl),
          TEST_ROW(http_plain, reads_every_framing_of_a_body),
          TEST_ROW(http_plain, says_what_is_wrong_with_an_answer),
          TEST_ROW(http_plain, tries_both_addresses_of_the_own_machine),
          TEST_ROW(http_plain, bounds_heads_and_interim_answers),
          TEST_ROW(http_plain, keeps_a_connection_only_while_it_is_good),
          TEST_ROW(http_plain, gives_up_at_the_deadline),
          TEST_ROW(http_plain, sends_bodies_of_any_size_and_reads_large_ones),
          TEST_ROW(http_plain, a_head_request_has_no_body_to_wait_for))
