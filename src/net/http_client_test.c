// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/test.h"
#include "codec/compress.h"
#include "net/http_server.h"
#include "net/pem_fake.h"
#include "net/web_gate.h"

// ---- a server that tells what it was asked ----

typedef struct Fixture {
    HttpServer *server;
    int port;
    int other_port; // of the server that /away points to
    _Atomic int handled;
    Arena arena;
} Fixture;

static void show(HttpRequest *request)
{
    Buf out = {0};
    buf_printf(&out, STR_FMT " " STR_FMT "|", STR_ARG(request->method), STR_ARG(request->target));
    static const char *const names[] = {"Authorization", "X-Secret",     "X-Mine",
                                        "Host",          "Content-Type", "User-Agent"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        buf_printf(&out, "%s=" STR_FMT "|", names[i],
                   STR_ARG(http_header(request, str_from_c(names[i]))));
    buf_printf(&out, "body=" STR_FMT "|", STR_ARG(request->body));
    http_reply(request, 200, S("text/plain; charset=utf-8"), buf_str(&out));
    buf_deinit(&out);
}

static void send_packed(HttpRequest *request, size_t bytes, bool zstd)
{
    Buf plain = {0};
    Buf zipped = {0};
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&plain, 'z');
    Error err;
    if (zstd)
        CHECK_OK(zstd_encode(buf_str(&plain), 3, &zipped, &err), err);
    else
        gzip_encode(buf_str(&plain), 6, &zipped);
    http_reply_header(request, S("Content-Encoding"), zstd ? S("zstd") : S("gzip"));
    http_reply(request, 200, S("text/plain"), buf_str(&zipped));
    buf_deinit(&plain);
    buf_deinit(&zipped);
}

static void redirect(HttpRequest *request, int status, Str location)
{
    http_reply_header(request, S("Location"), location);
    http_reply(request, status, S("text/plain"), S("this way"));
}

static void handle(void *arg, HttpRequest *request)
{
    Fixture *f = arg;
    atomic_fetch_add(&f->handled, 1);
    if (str_is(request->path, "/zip"))
        send_packed(request, 100000, false);
    else if (str_is(request->path, "/big"))
        send_packed(request, 3000000, false);
    else if (str_is(request->path, "/zstd"))
        send_packed(request, 100000, true);
    else if (str_is(request->path, "/zstd-big"))
        send_packed(request, 3000000, true);
    else if (str_is(request->path, "/zstd-bad")) {
        http_reply_header(request, S("Content-Encoding"), S("zstd"));
        http_reply(request, 200, S("text/plain"), S("a 1\n"));
    } else if (str_is(request->path, "/slow")) {
        while (!http_client_gone(request))
            usleep(1000);
    } else if (str_is(request->path, "/near"))
        redirect(request, 302, S("show?x=1"));
    else if (str_is(request->path, "/same"))
        redirect(request, 307, S("/show"));
    else if (str_is(request->path, "/circle"))
        redirect(request, 301, S("/circle"));
    else if (str_is(request->path, "/away"))
        redirect(request, 302,
                 arena_printf(request->arena, "http://127.0.0.1:%d/show", f->other_port));
    else if (str_is(request->path, "/file"))
        redirect(request, 302, S("file:///etc/passwd"));
    else if (str_is(request->path, "/teapot"))
        http_reply(request, 418, S("text/plain"), S("short and stout"));
    else
        show(request);
}

static void start_with(Fixture *f, HttpServerOptions options)
{
    Error err;
    options.handle = handle;
    options.arg = f;
    CHECK_OK(http_server_start(&options, &f->server, &f->port, &err), err);
}

static void start(Fixture *f)
{
    HttpServerOptions options;
    http_server_options_default(&options);
    start_with(f, options);
}

static void stop(Fixture *f)
{
    http_server_stop(f->server);
    arena_deinit(&f->arena);
}

static Str url_of(Fixture *f, const char *path)
{
    return arena_printf(&f->arena, "http://127.0.0.1:%d%s", f->port, path);
}

// The body of a successful fetch.
static Str fetch(Fixture *f, const HttpClientConfig *config, HttpCallOptions options)
{
    int status = 0;
    Str body = STR_NONE;
    Error err = {0};
    options.timeout_ms = 60000;
    CHECK_OK(http_fetch(config, &options, &f->arena, &status, &body, &err), err);
    return body;
}

static void check_has(Str text, const char *part)
{
    CHECK_HAS(text.ptr, part); // arena_str ends in NUL
}

TEST(http_client, sends_what_it_is_told)
{
    Fixture f = {0};
    start(&f);
    const Str headers[] = {STR("X-Mine: 1"), STR("Content-Type: text/x")};

    Str got = fetch(&f, NULL, (HttpCallOptions){.url = url_of(&f, "/show?a=b")});
    check_has(got, "GET /show?a=b|Authorization=|X-Secret=|X-Mine=|Host=127.0.0.1:");
    check_has(got, "|Content-Type=|User-Agent=narthex/");
    got = fetch(&f, NULL,
                (HttpCallOptions){.method = S("POST"),
                                  .url = url_of(&f, "/p"),
                                  .body = S("data"),
                                  .headers = headers,
                                  .header_count = 2});
    check_has(got, "POST /p|");
    check_has(got, "X-Mine=1|");
    check_has(got, "Content-Type=text/x|");
    check_has(got, "body=data|");
    got = fetch(&f, NULL, (HttpCallOptions){.method = S("DELETE"), .url = url_of(&f, "/p")});
    check_has(got, "DELETE /p|");
    stop(&f);
}

TEST(http_client, undoes_compression_and_bounds_what_comes_out)
{
    Fixture f = {0};
    start(&f);
    Str got = fetch(&f, NULL, (HttpCallOptions){.url = url_of(&f, "/zip"), .accept_gzip = true});
    CHECK_EQ(got.len, 100000);
    got = fetch(&f, NULL, (HttpCallOptions){.url = url_of(&f, "/zstd"), .accept_gzip = true});
    CHECK_EQ(got.len, 100000);

    HttpCallOptions options = {
        .url = url_of(&f, "/big"), .accept_gzip = true, .body_bytes_max = 2000000};
    int status = 0;
    Str body = STR_NONE;
    Error err = {0};
    CHECK(!http_fetch(NULL, &options, &f.arena, &status, &body, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    options.url = url_of(&f, "/zstd-big");
    CHECK(!http_fetch(NULL, &options, &f.arena, &status, &body, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    options.url = url_of(&f, "/zstd-bad");
    CHECK(!http_fetch(NULL, &options, &f.arena, &status, &body, &err));
    CHECK_HAS(err.text, "zstd: not a zstd frame");
    options.url = url_of(&f, "/show");
    options.body_bytes_max = 10;
    CHECK(!http_fetch(NULL, &options, &f.arena, &status, &body, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_HAS(err.text, "response body is larger than 10 bytes");
    stop(&f);
}

typedef struct Taken {
    Loop *loop;
    Buf buf;
    int times;
    Str body;
    bool failed;
} Taken;

static Buf *take_one(void *arg)
{
    Taken *taken = arg;
    taken->times++;
    return &taken->buf;
}

static void on_taken(void *arg, const HttpResponse *response)
{
    Taken *taken = arg;
    taken->body = response->body;
    taken->failed = response->err != NULL;
    loop_stop(taken->loop);
}

TEST(http_client, a_buffer_is_asked_for_once_there_is_something_to_put_in_it)
{
    static const struct {
        const char *name, *path;
        size_t want_len;
    } cases[] = {
        {"as it comes", "/show", 0},
        {"compressed", "/zip", 100000},
        {"behind a redirect with a body", "/near", 0},
        {"nothing", "/slow", 0},
    };
    Fixture f = {0};
    start(&f);

    EACH_CASE(c, cases) {
        Taken taken = {0};
        Loop *loop;
        HttpClient *client;
        Error err = {0};
        CHECK_OK(loop_new("taken", &loop, &err), err);
        CHECK_OK(http_client_new(loop, NULL, &client, &err), err);
        bool comes = !str_is(str_from_c(c->path), "/slow");
        HttpCallOptions options = {.url = url_of(&f, c->path),
                                   .accept_gzip = true,
                                   .timeout_ms = comes ? 60000 : 20,
                                   .body_take = take_one,
                                   .done = on_taken,
                                   .arg = &taken};
        taken.loop = loop;
        http_call(client, &options);
        CHECK_EQ(taken.times, 0);
        loop_run(loop);
        CHECK_EQ(taken.times, comes);
        CHECK_EQ(taken.failed, !comes);
        CHECK(!comes || taken.body.ptr == taken.buf.ptr);
        CHECK(!c->want_len || taken.body.len == c->want_len);
        http_client_free(client);
        loop_free(loop);
        buf_deinit(&taken.buf);
    }
    stop(&f);
}

TEST(http_client, credentials_stay_with_the_first_host)
{
    Fixture f = {0};
    Fixture other = {0};
    start(&f);
    start(&other);
    f.other_port = other.port;
    HttpClientConfig config;
    HttpBasicAuth basic = {.username = STR("user"), .password = STR("pass")};
    Str secrets[] = {STR("hush")};
    HttpHeaderConfig header = {.name = STR("X-Secret"), .secrets = {secrets, 1}};
    http_client_config_default(&config);
    config.basic_auth = &basic;
    config.http_headers = (ConfigList){&header, 1};

    Str got = fetch(&f, &config, (HttpCallOptions){.url = url_of(&f, "/near")});
    check_has(got, "GET /show?x=1|Authorization=Basic dXNlcjpwYXNz|X-Secret=hush|");
    got = fetch(&f, &config, (HttpCallOptions){.url = url_of(&f, "/away")});
    check_has(got, "GET /show|Authorization=|X-Secret=|");
    CHECK_EQ(other.handled, 1);
    stop(&f);
    stop(&other);
}

TEST(http_client, redirects_change_the_method_as_browsers_do)
{
    Fixture f = {0};
    start(&f);
    HttpCallOptions post = {.method = S("POST"), .body = S("b")};
    post.url = url_of(&f, "/near");
    check_has(fetch(&f, NULL, post), "GET /show?x=1|");
    post.url = url_of(&f, "/same");
    Str got = fetch(&f, NULL, post);
    check_has(got, "POST /show|");
    check_has(got, "body=b|");

    int status = 0;
    Str body = STR_NONE;
    Error err = {0};
    HttpCallOptions circle = {.url = url_of(&f, "/circle"), .timeout_ms = 60000};
    CHECK(!http_fetch(NULL, &circle, &f.arena, &status, &body, &err));
    CHECK_HAS(err.text, "stopped after 10 redirects");
    HttpClientConfig config;
    http_client_config_default(&config);
    config.follow_redirects = false;
    CHECK_OK(http_fetch(&config, &circle, &f.arena, &status, &body, &err), err);
    CHECK_EQ(status, 301);
    HttpCallOptions file = {.url = url_of(&f, "/file"), .timeout_ms = 60000};
    CHECK(!http_fetch(NULL, &file, &f.arena, &status, &body, &err));
    stop(&f);
}

TEST(http_client, says_what_went_wrong)
{
    Fixture f = {0};
    start(&f);
    Str dead = arena_printf(&f.arena, "http://127.0.0.1:%d/", 1);
    const struct {
        const char *name;
        HttpCallOptions options;
        ErrorCode want_code;
        const char *want;
    } cases[] = {
        {"refused",
         {.url = dead},
         ERR_UNAVAILABLE,
         "dial tcp 127.0.0.1:1: connect: connection refused"},
        {"names the request", {.url = dead}, ERR_UNAVAILABLE, "Get \"http://127.0.0.1:1/\": "},
        {"too slow",
         {.url = url_of(&f, "/slow"), .timeout_ms = 100},
         ERR_TIMEOUT,
         "context deadline exceeded"},
        {"scheme", {.url = S("ftp://127.0.0.1/")}, ERR_INVALID, "ftp"},
        {"no url", {.url = S("")}, ERR_INVALID, ""},
        {"line break",
         {.url = url_of(&f, "/show"),
          .headers = (Str[]){S("X-Mine: 1\r\nX-Evil: 2")},
          .header_count = 1},
         ERR_INVALID,
         "line break"},
    };

    EACH_CASE(c, cases) {
        int status = 0;
        Str body = STR_NONE;
        Error err = {0};
        CHECK(!http_fetch(NULL, &c->options, &f.arena, &status, &body, &err));
        CHECK_EQ(err.code, c->want_code);
        CHECK_HAS(err.text, c->want);
    }
    stop(&f);
}

TEST(http_client, reads_a_password_file_anew_when_it_changes)
{
    Fixture f = {0};
    start(&f);
    char path[] = "/tmp/http_client_test.XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "one\n", 4), 4);
    HttpClientConfig config;
    HttpAuthorization auth = {.type = STR("Bearer"), .credentials_file = str_from_c(path)};
    http_client_config_default(&config);
    config.authorization = &auth;

    check_has(fetch(&f, &config, (HttpCallOptions){.url = url_of(&f, "/show")}),
              "Authorization=Bearer one|");
    CHECK_EQ(pwrite(fd, "three", 5, 0), 5);
    check_has(fetch(&f, &config, (HttpCallOptions){.url = url_of(&f, "/show")}),
              "Authorization=Bearer three|");
    unlink(path);
    int status = 0;
    Str body = STR_NONE;
    Error err = {0};
    HttpCallOptions options = {.url = url_of(&f, "/show")};
    CHECK(!http_fetch(&config, &options, &f.arena, &status, &body, &err));
    CHECK_HAS(err.text, "unable to read authorization credentials file");
    close(fd);
    stop(&f);
}

// ---- many calls on one client ----

enum { CALLS = 300 };

typedef struct Many {
    Fixture *f;
    Loop *loop;
    HttpClient *client;
    Str url;
    int left_to_start;
    int running;
    int good;
    int canceled;
} Many;

static void many_done(void *arg, const HttpResponse *response)
{
    Many *many = arg;
    many->running--;
    many->good += response->status == 418 && str_is(response->body, "short and stout");
    many->canceled += response->err && response->err->code == ERR_CANCELED;
    if (many->left_to_start > 0) {
        many->left_to_start--;
        many->running++;
        http_call(many->client,
                  &(HttpCallOptions){.url = many->url, .done = many_done, .arg = many});
    } else if (many->running == 0) {
        http_client_free(many->client); // also from inside `done`
        loop_stop(many->loop);
    }
}

TEST(http_client, keeps_connections_and_may_be_freed_from_inside)
{
    Fixture f = {0};
    Error err;
    start(&f);
    Many many = {.f = &f, .url = url_of(&f, "/teapot"), .left_to_start = CALLS - 5, .running = 5};
    CHECK_OK(loop_new("test", &many.loop, &err), err);
    CHECK_OK(http_client_new(many.loop, NULL, &many.client, &err), err);
    for (int i = 0; i < 5; i++)
        http_call(many.client,
                  &(HttpCallOptions){.url = many.url, .done = many_done, .arg = &many});

    loop_run(many.loop);

    CHECK_EQ(many.good, CALLS);
    loop_free(many.loop);
    stop(&f);
}

static void begin_and_free(void *arg)
{
    Many *many = arg;
    many->left_to_start = 0;
    many->running = 1000; // so that many_done does not free the client
    for (int i = 0; i < 10; i++)
        http_call(many->client,
                  &(HttpCallOptions){.url = many->url, .done = many_done, .arg = many});
    HttpCall *one = http_call(many->client,
                              &(HttpCallOptions){.url = many->url, .done = many_done, .arg = many});
    http_call_cancel(one);
    CHECK_EQ(many->canceled, 1);
    http_client_free(many->client);
}

TEST(http_client, freeing_tells_every_call)
{
    Fixture f = {0};
    Error err;
    start(&f);
    Many many = {.f = &f, .url = url_of(&f, "/slow")};
    CHECK_OK(loop_new("test", &many.loop, &err), err);
    CHECK_OK(http_client_new(many.loop, NULL, &many.client, &err), err);
    CHECK_OK(loop_start(many.loop, &err), err);

    loop_call(many.loop, begin_and_free, &many);

    CHECK_EQ(many.canceled, 11);
    loop_stop(many.loop);
    loop_join(many.loop);
    loop_free(many.loop);
    stop(&f);
}

// ---- TLS ----

TEST(http_client, tls_checks_both_sides)
{
    static Pem ca, server, client, stranger;
    pem_make(&ca, "test ca", NULL);
    pem_make(&server, "localhost", &ca);
    pem_make(&client, "client", &ca);
    pem_make(&stranger, "stranger", NULL);
    Fixture f = {0};
    HttpServerOptions options;
    http_server_options_default(&options);
    FakeFolder folder;
    Error gate_err;
    fake_folder_make(&folder);
    fake_folder_write(&folder, "cert.pem", str_from_c(server.cert));
    fake_folder_write(&folder, "key.pem", str_from_c(server.key));
    fake_folder_write(&folder, "ca.pem", str_from_c(ca.cert));
    fake_folder_write(&folder, "web.yml",
                      S("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
                        "  client_ca_file: ca.pem\n"
                        "  client_auth_type: RequireAndVerifyClientCert\n"));
    CHECK_OK(
        web_gate_open(fake_folder_path(&folder, "web.yml"), NULL, NULL, &options.gate, &gate_err),
        gate_err);
    start_with(&f, options);
    Str by_name = arena_printf(&f.arena, "https://localhost:%d/show", f.port);
    Str by_ip = arena_printf(&f.arena, "https://127.0.0.1:%d/show", f.port);
    Str good_ca = str_from_c(ca.cert), cert = str_from_c(client.cert), key = str_from_c(client.key);
    const struct {
        const char *name;
        Str url;
        HttpTlsConfig tls;
        bool want_ok;
    } cases[] = {
        {"all right", by_name, {.ca = good_ca, .cert = cert, .key = key}, true},
        {"tls 1.2 only",
         by_name,
         {.ca = good_ca, .cert = cert, .key = key, .max_version = 3},
         true},
        {"tls 1.0 only",
         by_name,
         {.ca = good_ca, .cert = cert, .key = key, .max_version = 1},
         false},
        {"server_name stands in",
         by_ip,
         {.ca = good_ca, .cert = cert, .key = key, .server_name = STR("localhost")},
         true},
        {"name in the certificate differs",
         by_ip,
         {.ca = good_ca, .cert = cert, .key = key},
         false},
        {"wrong server_name",
         by_name,
         {.ca = good_ca, .cert = cert, .key = key, .server_name = STR("elsewhere")},
         false},
        {"other ca", by_name, {.ca = str_from_c(stranger.cert), .cert = cert, .key = key}, false},
        {"other ca, but nobody looks",
         by_ip,
         {.ca = str_from_c(stranger.cert), .cert = cert, .key = key, .insecure_skip_verify = true},
         true},
        {"no client certificate", by_name, {.ca = good_ca}, false},
        {"client certificate of a stranger",
         by_name,
         {.ca = good_ca, .cert = str_from_c(stranger.cert), .key = str_from_c(stranger.key)},
         false},
    };

    EACH_CASE(c, cases) {
        HttpClientConfig config;
        int status = 0;
        Str body = STR_NONE;
        Error err = {0};
        http_client_config_default(&config);
        config.tls_config = c->tls;
        HttpCallOptions call = {.url = c->url, .timeout_ms = 60000};
        bool ok = http_fetch(&config, &call, &f.arena, &status, &body, &err);
        if (ok != c->want_ok)
            print_error("%s\n", err.text);
        CHECK_EQ(ok, c->want_ok);
        if (ok) // the Host header is what the caller asked for, whatever server_name says
            check_has(body, c->url.ptr == by_ip.ptr ? "Host=127.0.0.1:" : "Host=localhost:");
    }
    Str plain = arena_printf(&f.arena, "http://127.0.0.1:%d/show", f.port);
    HttpCallOptions call = {.url = plain, .timeout_ms = 60000};
    int status = 0;
    Str body = STR_NONE;
    Error err = {0};
    CHECK(!http_fetch(NULL, &call, &f.arena, &status, &body, &err));
    stop(&f);
    web_gate_close(options.gate);
    fake_folder_remove(&folder);
    pem_deinit(&ca);
    pem_deinit(&server);
    pem_deinit(&client);
    pem_deinit(&stranger);
}

// ---- configuration ----

TEST(http_client, configuration_is_checked)
{
    static const struct {
        const char *name;
        Str yaml;
        const char *want; // empty: fine
    } cases[] = {
        {"defaults", STR("{}"), ""},
        {"bearer is folded", STR("bearer_token: x"), ""},
        {"two kinds", STR("basic_auth: {username: u}\nauthorization: {credentials: c}"),
         "at most one of basic_auth, oauth2 & authorization must be configured"},
        {"basic type", STR("authorization: {type: Basic}"),
         "authorization type cannot be set to \"basic\""},
        {"both passwords", STR("basic_auth: {password: p, password_file: f}"),
         "at most one of basic_auth password & password_file must be configured"},
        {"key without certificate", STR("tls_config: {key: k}"),
         "exactly one of cert or cert_file"},
        {"version", STR("tls_config: {min_version: TLS14}"), "min_version"},
        {"no_proxy alone", STR("no_proxy: x"), "proxy_url must also be configured"},
        {"headers", STR("http_headers:\n  X-A: {values: [a, b], secrets: [c], files: [d]}"), ""},
        {"reserved header", STR("http_headers:\n  host: {values: [a]}"),
         "setting header \"host\" is not allowed"},
        {"bad header name", STR("http_headers:\n  'a b': {values: [a]}"), "is not a header name"},
        {"unknown", STR("basic_auth: {user: u}"), "user"},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        ConfigReader reader = {.arena = &arena, .file_name = STR("f.yml"), .folder = STR("/etc")};
        YamlNode *root = NULL;
        HttpClientConfig config;
        Error err = {0};
        CHECK_OK(yaml_parse(c->yaml, S("f.yml"), &arena, &root, &err), err);
        bool ok = config_decode(&reader, &http_client_config_table, root, &config, &err);
        CHECK_EQ(ok, *c->want == '\0');
        if (!ok) {
            CHECK_HAS(err.text, c->want);
            CHECK_HAS(err.text, "f.yml:");
        } else {
            CHECK(config.follow_redirects);
            CHECK_EQ(config.bearer_token.len, 0);
        }
        config_release(&reader);
        arena_deinit(&arena);
    }
}

TEST(http_client, configuration_prints_no_secret)
{
    Arena arena = {0};
    Buf out = {0};
    ConfigReader reader = {.arena = &arena, .file_name = STR("f.yml"), .folder = STR("/etc")};
    YamlNode *root = NULL;
    HttpClientConfig config;
    Error err = {0};
    Str yaml = S("basic_auth: {username: u, password: hush}\n"
                 "proxy_url: http://p\nproxy_connect_header: {X-P: [hush]}\n"
                 "http_headers:\n  X-A: {values: [a], secrets: [hush], files: [d]}\n"
                 "tls_config: {ca_file: ca.pem, cert: c, key: hush}\n");
    CHECK_OK(yaml_parse(yaml, S("f.yml"), &arena, &root, &err), err);
    CHECK_OK(config_decode(&reader, &http_client_config_table, root, &config, &err), err);

    config_print(&out, 0, &http_client_config_table, &config);
    buf_add_char(&out, '\0');

    CHECK(!strstr(out.ptr, "hush"));
    CHECK_HAS(out.ptr, "password: <secret>");
    CHECK_HAS(out.ptr, "http_headers:\n  X-A:\n    values:\n    - a\n    secrets:\n    - "
                       "<secret>\n    files:\n    - /etc/d\n");
    CHECK_HAS(out.ptr, "ca_file: /etc/ca.pem");
    buf_deinit(&out);
    config_release(&reader);
    arena_deinit(&arena);
}

TEST_MAIN(http_client, TEST_ROW(http_client, sends_what_it_is_told),
          TEST_ROW(http_client, undoes_compression_and_bounds_what_comes_out),
          TEST_ROW(http_client, a_buffer_is_asked_for_once_there_is_something_to_put_in_it),
          TEST_ROW(http_client, credentials_stay_with_the_first_host),
          TEST_ROW(http_client, redirects_change_the_method_as_browsers_do),
          TEST_ROW(http_client, says_what_went_wrong),
          TEST_ROW(http_client, reads_a_password_file_anew_when_it_changes),
          TEST_ROW(http_client, keeps_connections_and_may_be_freed_from_inside),
          TEST_ROW(http_client, freeing_tells_every_call),
          TEST_ROW(http_client, tls_checks_both_sides),
          TEST_ROW(http_client, configuration_is_checked),
          TEST_ROW(http_client, configuration_prints_no_secret))
