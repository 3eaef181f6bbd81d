// SPDX-License-Identifier: Apache-2.0
#include "net/http_oauth2.h"

#include <stdatomic.h>

#include "base/lock.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/json_reader.h"
#include "net/http_server.h"
#include "net/http_sigv4.h"
#include "net/pem_fake.h"
#include "net/url.h"

// A token server (/token...) and what it guards (all else), which answers with the Authorization that it was shown.
typedef struct Fixture {
    HttpServer *server;
    int port;
    _Atomic int tokens, asked;
    Lock lock;
    Buf last_form, last_login;
    FakeFolder folder;
} Fixture;

static void serve_token(Fixture *f, HttpRequest *request)
{
    Str login = http_header(request, S("Authorization"));
    int number = atomic_fetch_add(&f->tokens, 1);
    lock_take(&f->lock);
    buf_reset(&f->last_form);
    buf_add_str(&f->last_form, request->body);
    buf_reset(&f->last_login);
    buf_add_str(&f->last_login, login);
    lock_give(&f->lock);
    char text[200];
    const char *format = "{\"access_token\":\"t%d\",\"token_type\":\"bearer\",\"expires_in\":3600}";
    int status = 200;
    if (str_is(request->path, "/token/params") && login.len) {
        format = "{\"error\":\"invalid_client\",\"error_description\":\"no headers here\"}";
        status = 401;
    } else if (str_is(request->path, "/token/refused")) {
        format = "{\"error\":\"invalid_scope\",\"error_description\":\"not for you\"}";
        status = 400;
    } else if (str_is(request->path, "/token/short")) {
        format = "{\"access_token\":\"t%d\",\"expires_in\":\"5\"}"; // within the margin: never good
    } else if (str_is(request->path, "/token/empty")) {
        format = "{}";
    } else if (str_is(request->path, "/token/html")) {
        format = "<html>";
    } else if (str_is(request->path, "/token/slow")) {
        for (int i = 0; i < 60000 && !http_client_gone(request); i++)
            usleep(1000);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, format, number);
#pragma GCC diagnostic pop
    http_reply(request, status, S("application/json"), str_from_c(text));
}

static void handle(void *arg, HttpRequest *request)
{
    Fixture *f = arg;
    if (str_starts_with(request->path, S("/token"))) {
        serve_token(f, request);
        return;
    }
    atomic_fetch_add(&f->asked, 1);
    http_reply(request, 200, S("text/plain"), http_header(request, S("Authorization")));
}

static void start(Fixture *f)
{
    Error err;
    HttpServerOptions options;
    *f = (Fixture){0};
    fake_folder_make(&f->folder);
    lock_init(&f->lock, "test", 1);
    http_server_options_default(&options);
    options.handle = handle;
    options.arg = f;
    CHECK_OK(http_server_start(&options, &f->server, &f->port, &err), err);
}

static void stop(Fixture *f)
{
    http_server_stop(f->server);
    buf_deinit(&f->last_form);
    buf_deinit(&f->last_login);
    lock_deinit(&f->lock);
    fake_folder_remove(&f->folder);
}

static Str url_of(Fixture *f, const char *path)
{
    return arena_printf(&f->folder.arena, "http://127.0.0.1:%d%s", f->port, path);
}

// The client's configuration from its YAML, with the token URL's path put in.
static bool configure(Fixture *f, const char *path, const char *more, HttpClientConfig *ret_config,
                      Error *err)
{
    Arena *arena = &f->folder.arena;
    Str text = arena_printf(
        arena, "oauth2:\n  client_id: me & you\n  token_url: http://127.0.0.1:%d%s\n%s", f->port,
        path, more);
    YamlNode *root;
    ConfigReader reader = {
        .arena = arena, .file_name = STR("http.yml"), .folder = str_from_c(f->folder.name)};
    return yaml_parse(text, S("http.yml"), arena, &root, err) &&
           config_decode(&reader, &http_client_config_table, root, ret_config, err);
}

TEST(http_oauth2, grants_are_asked_for_as_the_rfc_says)
{
    static const struct {
        const char *name, *path, *more;
        const char *want; // in the Authorization that arrives; NULL: an error
        const char *want_error;
        const char *want_form, *want_login;
    } cases[] = {
        {"header first", "/token", "  client_secret: s3cret/+\n", "Bearer t0", NULL,
         "grant_type=client_credentials",
         "Basic bWUrJTI2K3lvdTpzM2NyZXQlMkYlMkI="}, // me+%26+you:s3cret%2F%2B
        {"then parameters", "/token/params", "  client_secret: s3cret\n", "Bearer t1", NULL,
         "grant_type=client_credentials&client_id=me+%26+you&client_secret=s3cret", ""},
        {"scopes and parameters", "/token",
         "  client_secret: s\n  scopes: [a, b]\n  endpoint_params: {audience: x y}\n", "Bearer t0",
         NULL, "grant_type=client_credentials&scope=a+b&audience=x+y", NULL},
        {"a grant of the server's own", "/token",
         "  client_secret: s\n  endpoint_params: {grant_type: own}\n", "Bearer t0", NULL,
         "grant_type=own", NULL},
        {"refused", "/token/refused", "  client_secret: s3cret\n", NULL,
         "oauth2: cannot fetch token: HTTP status 400: invalid_scope: not for you", NULL, NULL},
        {"without a token", "/token/empty", "  client_secret: s3cret\n", NULL,
         "oauth2: server response missing access_token", NULL, NULL},
        {"no JSON", "/token/html", "  client_secret: s3cret\n", NULL, "oauth2: cannot parse json",
         NULL, NULL},
        {"no secret file", "/token", "  client_secret_file: nowhere\n", NULL,
         "unable to read oauth2 client secret file", NULL, NULL},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err = {0};
        int status = 0;
        Str body = STR_NONE;
        start(&f);
        CHECK_OK(configure(&f, c->path, c->more, &config, &err), err);

        HttpCallOptions call = {.url = url_of(&f, "/"), .timeout_ms = 60000};
        bool ok = http_fetch(&config, &call, &f.folder.arena, &status, &body, &err);

        CHECK_EQ(ok, c->want != NULL);
        if (ok) {
            CHECK_STR(body, str_from_c(c->want));
            CHECK_STR(buf_str(&f.last_form), str_from_c(c->want_form));
        } else {
            CHECK_HAS(err.text, c->want_error);
            CHECK(strstr(err.text, "s3cret") == NULL);
            CHECK_EQ(f.asked, 0);
        }
        if (c->want_login)
            CHECK_STR(buf_str(&f.last_login), str_from_c(c->want_login));
        stop(&f);
    }
}

TEST(http_oauth2, a_slow_token_does_not_hold_a_call_beyond_its_time)
{
    Fixture f;
    HttpClientConfig config;
    Error err = {0};
    int status = 0;
    Str body = STR_NONE;
    start(&f);
    CHECK_OK(configure(&f, "/token/slow", "  client_secret: s\n", &config, &err), err);

    HttpCallOptions call = {.url = url_of(&f, "/"), .timeout_ms = 200};
    CHECK(!http_fetch(&config, &call, &f.folder.arena, &status, &body, &err));

    CHECK_EQ(err.code, ERR_TIMEOUT);
    CHECK_HAS(err.text, "context deadline exceeded");
    CHECK_EQ(f.asked, 0);
    stop(&f);
}

// Calls one after the other on one client.
typedef struct Walk {
    Fixture *f;
    Loop *loop;
    HttpClient *client;
    int left;
    int bodies_with_first;
    void (*between)(Fixture *f);
} Walk;

static void walk_done(void *arg, const HttpResponse *response)
{
    Walk *walk = arg;
    CHECK(response->err == NULL);
    walk->bodies_with_first += str_is(response->body, "Bearer t0");
    if (--walk->left == 0) {
        http_client_free(walk->client);
        loop_stop(walk->loop);
        return;
    }
    if (walk->between)
        walk->between(walk->f);
    http_call(walk->client, &(HttpCallOptions){.url = url_of(walk->f, "/"),
                                               .timeout_ms = 60000,
                                               .done = walk_done,
                                               .arg = walk});
}

static void walk(Walk *walk, const HttpClientConfig *config)
{
    Error err;
    CHECK_OK(loop_new("test", &walk->loop, &err), err);
    CHECK_OK(http_client_new(walk->loop, config, &walk->client, &err), err);
    http_call(walk->client, &(HttpCallOptions){.url = url_of(walk->f, "/"),
                                               .timeout_ms = 60000,
                                               .done = walk_done,
                                               .arg = walk});
    loop_run(walk->loop);
    loop_free(walk->loop);
}

static void new_secret(Fixture *f)
{
    usleep(
        1100000); // a file is looked at once a second of the loop's clock, which stands still in a callback
    fake_folder_write(&f->folder, "secret", S("second\n"));
}

TEST(http_oauth2, a_token_is_kept_until_it_runs_out_or_the_secret_changes)
{
    static const struct {
        const char *name, *path, *more;
        int calls;
        void (*between)(Fixture *f);
        int want_tokens, want_first, want_first_min;
    } cases[] = {
        {"kept", "/token", "  client_secret: s\n", 5, NULL, 1, 5, 5},
        {"out at once", "/token/short", "  client_secret: s\n", 3, NULL, 3, 1, 1},
        // On a busy machine the second is already put in after the file's second has passed.
        {"another secret", "/token", "  client_secret_file: secret\n", 3, new_secret, 2, 2, 1},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err;
        start(&f);
        fake_folder_write(&f.folder, "secret", S("first\n"));
        CHECK_OK(configure(&f, c->path, c->more, &config, &err), err);
        Walk w = {.f = &f, .left = c->calls, .between = c->between};

        walk(&w, &config);

        CHECK_EQ(f.tokens, c->want_tokens);
        CHECK(w.bodies_with_first >= c->want_first_min);
        CHECK(w.bodies_with_first <= c->want_first);
        stop(&f);
    }
}

static Str decode_part(Arena *arena, Str part)
{
    Buf text = {0}, out = {0};
    Error err;
    for (size_t i = 0; i < part.len; i++)
        buf_add_char(&text, part.ptr[i] == '-' ? '+' : part.ptr[i] == '_' ? '/' : part.ptr[i]);
    while (text.len % 4)
        buf_add_char(&text, '=');
    CHECK_OK(base64_decode(buf_str(&text), &out, &err), err);
    Str bytes = arena_str(arena, buf_str(&out));
    buf_deinit(&text);
    buf_deinit(&out);
    return bytes;
}

TEST(http_oauth2, an_assertion_is_signed_and_says_who_and_for_whom)
{
    Fixture f;
    HttpClientConfig config;
    Error err;
    Buf assertion = {0};
    char pem[8192];
    size_t pem_bytes = sizeof pem;
    gnutls_x509_privkey_t key;
    start(&f);
    gnutls_x509_privkey_init(&key);
    CHECK_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    CHECK_EQ(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, pem, &pem_bytes), 0);
    CHECK_OK(configure(&f, "/token",
                       "  grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n"
                       "  client_certificate_key: x\n  client_certificate_key_id: k1\n"
                       "  signature_algorithm: RS384\n  scopes: [a, b]\n"
                       "  claims: {sub: other, n: 7, deep: {yes: true}}\n",
                       &config, &err),
             err);

    CHECK_OK(http_oauth2_assertion(config.oauth2, str_make(pem, pem_bytes), 1000, &assertion, &err),
             err);

    Str rest = buf_str(&assertion), header = STR_NONE, claims = STR_NONE, signature = STR_NONE;
    CHECK(str_split_next(&rest, '.', &header) && str_split_next(&rest, '.', &claims) &&
          str_split_next(&rest, '.', &signature));
    CHECK_STR(decode_part(&f.folder.arena, header),
              S("{\"alg\":\"RS384\",\"kid\":\"k1\",\"typ\":\"JWT\"}"));
    JsonValue *root;
    CHECK_OK(json_read(decode_part(&f.folder.arena, claims), &f.folder.arena, &root, &err), err);
    CHECK_EQ(json_get(root, S("exp"))->integer, 1600);
    CHECK_EQ(json_get(root, S("iat"))->integer, 1000);
    CHECK_STR(json_get(root, S("iss"))->str, S("me & you"));
    CHECK_STR(json_get(root, S("sub"))->str, S("other"));
    CHECK_STR(json_get(root, S("scope"))->str, S("a b"));
    CHECK_STR(json_get(root, S("aud"))->str, config.oauth2->token_url);
    CHECK_EQ(json_get(root, S("n"))->integer, 7);
    CHECK_EQ(json_get(root, S("jti"))->str.len, 36);
    CHECK_EQ(decode_part(&f.folder.arena, signature).len, 256);
    gnutls_x509_privkey_deinit(key);
    buf_deinit(&assertion);
    stop(&f);
}

TEST(http_oauth2, configuration_is_checked_and_printed_without_secrets)
{
    static const struct {
        const char *name, *more, *want;
    } bad[] = {
        {"two secrets", "  client_secret: a\n  client_secret_file: b\n",
         "at most one of oauth2 client_secret & client_secret_file must be configured"},
        {"beside basic_auth", "basic_auth: {username: a}\n",
         "at most one of basic_auth, oauth2 & authorization must be configured"},
        {"beside a bearer token", "bearer_token: a\n", "bearer_token & bearer_token_file must"},
        {"grant", "  grant_type: password\n", "unknown oauth2 grant_type \"password\""},
        {"algorithm", "  signature_algorithm: HS256\n", "valid signature algorithms are"},
        {"claims", "  claims: [a]\n", "claims must be a map"},
        {"proxy", "  no_proxy: x\n", "proxy_url must also be configured"},
    };
    Fixture f;
    start(&f);
    EACH_CASE(c, bad) {
        HttpClientConfig config;
        Error err = {0};
        CHECK(!configure(&f, "/token", c->more, &config, &err));
        CHECK_HAS(err.text, c->want);
    }

    HttpClientConfig config;
    Error err;
    Buf text = {0};
    CHECK_OK(configure(&f, "/token",
                       "  client_secret: hidden1\n  client_certificate_key: hidden2\n"
                       "  proxy_url: http://u:hidden3@p:1\n"
                       "  proxy_connect_header: {A: [hidden4]}\n"
                       "  tls_config: {cert: c, key: hidden5}\n  claims: {a: [1, x]}\n"
                       "http_headers: {B: {secrets: [hidden6]}}\n",
                       &config, &err),
             err);
    config_print(&text, 0, &http_client_config_table, &config);
    buf_add_char(&text, '\0');
    CHECK(strstr(text.ptr, "hidden") == NULL);
    CHECK_HAS(text.ptr, "  client_secret: <secret>\n");
    CHECK_HAS(text.ptr, "  proxy_url: http://u:xxxxx@p:1\n");
    CHECK_HAS(text.ptr, "    a: [1,\"x\"]\n");
    // A reload still sees that one has changed.
    Str before = config_fingerprint(&f.folder.arena, &http_client_config_table, &config);
    CHECK_HAS(str_to_c(&f.folder.arena, before), "hidden6");
    CHECK_HAS(str_to_c(&f.folder.arena, before), "hidden4");
    buf_deinit(&text);
    stop(&f);
}

TEST(http_oauth2, passwords_in_urls_are_not_told_in_errors)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    HttpCallOptions call = {.url = STR("http://me:hidden@127.0.0.1:1/x"), .timeout_ms = 2000};
    int status;
    Str body;
    Error err;

    CHECK(!http_fetch(NULL, &call, &arena, &status, &body, &err));

    CHECK_HAS(err.text, "Get \"http://me:***@127.0.0.1:1/x\"");
    CHECK(strstr(err.text, "hidden") == NULL);
}

TEST(http_oauth2, profiles_of_the_shared_credentials_file)
{
    Str file =
        S("# keys\n[default]\naws_access_key_id = A1\naws_secret_access_key=S1\n\n[ two ]\n"
          "aws_access_key_id=A2\naws_secret_access_key = S2=\naws_session_token = T2\n[three]\n");
    Str access, secret, token;

    CHECK(http_sigv4_read_profile(file, S("default"), &access, &secret, &token));
    CHECK_STR(access, S("A1"));
    CHECK_STR(secret, S("S1"));
    CHECK_EQ(token.len, 0);
    CHECK(http_sigv4_read_profile(file, S("two"), &access, &secret, &token));
    CHECK_STR(secret, S("S2="));
    CHECK_STR(token, S("T2"));
    CHECK(!http_sigv4_read_profile(file, S("three"), &access, &secret, &token));
    CHECK(!http_sigv4_read_profile(file, S("four"), &access, &secret, &token));
}

// A fake of STS: the answer tells by its keys who asked for what.
// The metadata service of a machine, version 2.
static void handle_machine(HttpRequest *request)
{
    Str path = request->path;
    bool is_known = str_is(http_header(request, S("X-aws-ec2-metadata-token")), "secret");
    if (str_is(path, "/latest/api/token") && str_is(request->method, "PUT") &&
        str_is(http_header(request, S("X-aws-ec2-metadata-token-ttl-seconds")), "21600"))
        http_reply(request, 200, S("text/plain"), S("secret"));
    else if (is_known && str_is(path, "/latest/meta-data/iam/security-credentials/"))
        http_reply(request, 200, S("text/plain"), S("role-1\n"));
    else if (is_known && str_is(path, "/latest/meta-data/iam/security-credentials/role-1"))
        http_reply(request, 200, S("application/json"),
                   S("{\"AccessKeyId\": \"MACHINE\", \"SecretAccessKey\": \"hidden\","
                     " \"Token\": \"st\", \"Expiration\": \"2999-01-01T00:00:00Z\"}"));
    else
        http_reply(request, 401, S("text/plain"), S("who are you"));
}

static void handle_sts(void *arg, HttpRequest *request)
{
    Fixture *f = arg;
    if (str_starts_with(request->path, S("/latest/"))) {
        handle_machine(request);
        return;
    }
    if (!str_is(request->path, "/sts")) {
        http_reply(request, 200, S("text/plain"), http_header(request, S("Authorization")));
        return;
    }
    bool is_web = str_is(http_param(request, S("Action")), "AssumeRoleWithWebIdentity");
    lock_take(&f->lock);
    buf_printf(&f->last_form, STR_FMT ";", STR_ARG(http_param(request, S("RoleArn"))));
    lock_give(&f->lock);
    bool is_signed = http_header(request, S("Authorization")).len > 0;
    if (is_signed == is_web ||
        (is_web && !str_is(http_param(request, S("WebIdentityToken")), "tok"))) {
        http_reply(request, 403, S("text/xml"),
                   S("<ErrorResponse><Error><Message>not you</Message></Error></ErrorResponse>"));
        return;
    }
    Str id = is_web ? S("WEB") : S("ROLE");
    http_reply(
        request, 200, S("text/xml"),
        arena_printf(request->arena,
                     "<R><Credentials><AccessKeyId>" STR_FMT "</AccessKeyId>"
                     "<SecretAccessKey>hidden</SecretAccessKey><SessionToken>st</SessionToken>"
                     "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></R>",
                     STR_ARG(id)));
}

TEST(http_oauth2, sigv4_signs_with_keys_roles_and_web_identities)
{
    static const struct {
        const char *name;
        HttpSigv4Config sigv4;
        const char *web_role;
        const char *want;  // in the Authorization
        const char *roles; // that STS was asked for
        bool machine;      // has a metadata service
    } cases[] = {
        {"the machine's role", {.region = STR("eu")}, "", "Credential=MACHINE/", "", true},
        {"a role by the machine's role",
         {.region = STR("eu"), .role_arn = STR("arn:x")},
         "",
         "Credential=ROLE/",
         "arn:x;",
         true},
        {"keys",
         {.region = STR("eu"), .access_key = STR("AK"), .secret_key = STR("hidden")},
         "",
         "AWS4-HMAC-SHA256 Credential=AK/",
         ""},
        {"a role",
         {.region = STR("eu"),
          .access_key = STR("AK"),
          .secret_key = STR("hidden"),
          .role_arn = STR("arn:x")},
         "",
         "Credential=ROLE/",
         "arn:x;"},
        {"a web identity", {.region = STR("eu")}, "arn:web", "Credential=WEB/", "arn:web;"},
        {"a role by a web identity",
         {.region = STR("eu"), .role_arn = STR("arn:x")},
         "arn:web",
         "Credential=ROLE/",
         "arn:web;arn:x;"},
        {"a service",
         {.region = STR("eu"),
          .access_key = STR("AK"),
          .secret_key = STR("hidden"),
          .service_name = STR("es")},
         "",
         "/eu/es/aws4_request",
         ""},
        {"nothing", {.region = STR("eu")}, "", NULL, ""},
    };

    EACH_CASE(c, cases) {
        Fixture f = {0};
        HttpServerOptions options;
        HttpClientConfig config;
        Error err = {0};
        int status = 0;
        Str body = STR_NONE;
        fake_folder_make(&f.folder);
        fake_folder_write(&f.folder, "token", S("tok\n"));
        lock_init(&f.lock, "test", 1);
        http_server_options_default(&options);
        options.handle = handle_sts;
        options.arg = &f;
        CHECK_OK(http_server_start(&options, &f.server, &f.port, &err), err);
        setenv("AWS_ENDPOINT_URL_STS", url_of(&f, "/sts").ptr, 1);
        setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
        setenv("AWS_ROLE_ARN", c->web_role, 1);
        setenv("AWS_WEB_IDENTITY_TOKEN_FILE",
               *c->web_role ? fake_folder_path(&f.folder, "token").ptr : "", 1);
        unsetenv("AWS_ACCESS_KEY_ID");
        setenv("AWS_EC2_METADATA_DISABLED", c->machine ? "false" : "true", 1);
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url_of(&f, "").ptr, 1);
        http_client_config_default(&config);
        HttpSigv4Config sigv4 = c->sigv4;
        config.sigv4 = &sigv4;

        HttpCallOptions call = {.url = url_of(&f, "/"), .timeout_ms = 60000};
        bool ok = http_fetch(&config, &call, &f.folder.arena, &status, &body, &err);

        CHECK_EQ(ok, c->want != NULL);
        if (ok)
            CHECK_HAS(str_to_c(&f.folder.arena, body), c->want);
        else
            CHECK_HAS(err.text, "sigv4: no credentials");
        CHECK_STR(buf_str(&f.last_form), str_from_c(c->roles));
        stop(&f);
    }
}

TEST_MAIN(http_oauth2, TEST_ROW(http_oauth2, grants_are_asked_for_as_the_rfc_says),
          TEST_ROW(http_oauth2, a_slow_token_does_not_hold_a_call_beyond_its_time),
          TEST_ROW(http_oauth2, a_token_is_kept_until_it_runs_out_or_the_secret_changes),
          TEST_ROW(http_oauth2, an_assertion_is_signed_and_says_who_and_for_whom),
          TEST_ROW(http_oauth2, configuration_is_checked_and_printed_without_secrets),
          TEST_ROW(http_oauth2, passwords_in_urls_are_not_told_in_errors),
          TEST_ROW(http_oauth2, profiles_of_the_shared_credentials_file),
          TEST_ROW(http_oauth2, sigv4_signs_with_keys_roles_and_web_identities))
