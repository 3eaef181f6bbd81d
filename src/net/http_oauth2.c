// SPDX-License-Identifier: Apache-2.0
#include "net/http_oauth2.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/random.h"
#include "codec/compress.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "net/http_secret.h"
#include "net/jwt.h"
#include "net/url.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define SECRET_BYTES_MAX ((size_t)1 << 20)
#define JWT_GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"

enum {
    FETCH_TIMEOUT_MS = 30000,
    EXPIRY_MARGIN_S = 10,
    ASSERTION_GOOD_S = 600,
};
static const int64_t LOOK_EVERY_NS = 1000000000;

// How the server wants to be told who we are; found out by trying, in this order.
typedef enum ClientAuth { AUTH_UNTRIED, AUTH_HEADER, AUTH_PARAMS } ClientAuth;

struct HttpOauth2 {
    Loop *loop;
    const HttpOauth2Config *config;
    HttpClientConfig client_config;
    HttpClient *client;
    HttpSecret secret; // of the client, or its key
    int64_t looked_ns;
    Buf line;              // empty: no token
    int64_t good_until_ns; // INT64_MAX: for ever
    ClientAuth auth;       // what has worked
    ClientAuth trying;
    HttpCall *call;
    LoopTimer *fail_timer; // tells what failed before it began
    Error early;
    void (*on_end)(void *arg, const Error *err);
    void *arg;
};

static bool is_jwt(const HttpOauth2Config *config)
{
    return str_is(config->grant_type, JWT_GRANT);
}

// The assertion ----------------------------------------------------------------------------------------------------------------------------

static bool is_claimed(const HttpOauth2Config *config, const char *key)
{
    for (size_t i = 0; i < config->claims.count; i++)
        if (str_is(config->claims.keys[i], key))
            return true;
    return false;
}

static void claim_str(JsonWriter *json, const HttpOauth2Config *config, const char *key, Str value)
{
    if (!is_claimed(config, key))
        json_key_str(json, key, value);
}

static void claim_i64(JsonWriter *json, const HttpOauth2Config *config, const char *key,
                      int64_t value)
{
    if (!is_claimed(config, key))
        json_key_i64(json, key, value);
}

static void add_scopes(const HttpOauth2Config *config, Buf *out)
{
    for (size_t i = 0; i < config->scopes.count; i++) {
        if (i)
            buf_add_char(out, ' ');
        buf_add_str(out, config->scopes.items[i]);
    }
}

static void add_claims(const HttpOauth2Config *config, int64_t now_s, Buf *out)
{
    CLEANUP(buf_deinit) Buf scopes = {0};
    char id[JWT_ID_BYTES + 1];
    JsonWriter json;
    json_writer_init(&json, out);
    json_object(&json);
    claim_str(&json, config, "aud", config->audience.len ? config->audience : config->token_url);
    claim_i64(&json, config, "exp", now_s + ASSERTION_GOOD_S);
    claim_i64(&json, config, "iat", now_s);
    claim_str(&json, config, "iss", config->iss.len ? config->iss : config->client_id);
    jwt_id(id);
    claim_str(&json, config, "jti", str_from_c(id));
    add_scopes(config, &scopes);
    if (scopes.len)
        claim_str(&json, config, "scope", buf_str(&scopes));
    claim_str(&json, config, "sub", config->client_id);
    for (size_t i = 0; i < config->claims.count; i++) {
        json_key(&json, config->claims.keys[i]);
        json_raw(&json, config->claims.values[i]);
    }
    json_object_end(&json);
}

static void add_jose_header(const HttpOauth2Config *config, Str algorithm, Buf *out)
{
    JsonWriter json;
    json_writer_init(&json, out);
    json_object(&json);
    json_key_str(&json, "alg", algorithm);
    if (config->client_certificate_key_id.len)
        json_key_str(&json, "kid", config->client_certificate_key_id);
    json_key_c(&json, "typ", "JWT");
    json_object_end(&json);
}

bool http_oauth2_assertion(const HttpOauth2Config *config, Str key_pem, int64_t now_s,
                           Buf *assertion, Error *err)
{
    static const char *const names[] = {
        [JWT_RS256] = "RS256", [JWT_RS384] = "RS384", [JWT_RS512] = "RS512"};
    CLEANUP(buf_deinit) Buf header = {0};
    CLEANUP(buf_deinit) Buf claims = {0};
    JwtAlgorithm algorithm = JWT_RS256;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_is(config->signature_algorithm, names[i]))
            algorithm = (JwtAlgorithm)i;
    add_jose_header(config, str_from_c(names[algorithm]), &header);
    add_claims(config, now_s, &claims);
    return jwt_sign(buf_str(&header), buf_str(&claims), key_pem, algorithm, assertion, err) ||
           error_context(err, "oauth2: client_certificate_key");
}

// The answer --------------------------------------------------------------------------------------------------------------------------------

static void keep_token(HttpOauth2 *oauth2, Str type, Str token, int64_t expires_s)
{
    if (type.len == 0 || str_equal_nocase(type, S("bearer")))
        type = S("Bearer");
    else if (str_equal_nocase(type, S("mac")))
        type = S("MAC");
    else if (str_equal_nocase(type, S("basic")))
        type = S("Basic");
    buf_reset(&oauth2->line);
    buf_add_c(&oauth2->line, "Authorization: ");
    buf_add_str(&oauth2->line, type);
    buf_add_char(&oauth2->line, ' ');
    buf_add_str(&oauth2->line, token);
    buf_add_char(&oauth2->line, '\0');
    int64_t left_s = MIN(expires_s, (int64_t)1 << 31) - EXPIRY_MARGIN_S;
    oauth2->good_until_ns =
        expires_s > 0 ? loop_now_ns(oauth2->loop) + left_s * 1000000000 : INT64_MAX;
}

static Str json_text(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

// A number, or one in quotes as some servers send it.
static int64_t json_seconds(const JsonValue *object)
{
    const JsonValue *value = json_get(object, S("expires_in"));
    double number = 0;
    if (value && value->kind == JSON_NUMBER)
        number = value->number;
    else if (value && value->kind == JSON_STRING)
        (void)number_parse_double(value->str, &number);
    return number > 0 && number < 1e15 ? (int64_t)number : 0;
}

static bool read_token(HttpOauth2 *oauth2, const HttpResponse *response, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *root;
    Error why;
    bool is_json = json_read(response->body, &arena, &root, &why);
    // Of what a stranger's server says only the two words that RFC 6749 5.2 names are repeated.
    Str error = is_json ? json_text(root, "error") : STR_NONE;
    Str reason = is_json ? json_text(root, "error_description") : STR_NONE;
    if (response->status < 200 || response->status > 299 || error.len)
        return error_set(err, ERR_UNAVAILABLE,
                         "oauth2: cannot fetch token: HTTP status %d%s" STR_FMT "%s" STR_FMT,
                         response->status, error.len ? ": " : "", STR_ARG(str_sub(error, 0, 100)),
                         reason.len ? ": " : "", STR_ARG(str_sub(reason, 0, 200)));
    if (!is_json)
        return error_set(err, ERR_INVALID, "oauth2: cannot parse json: %s", why.text);
    Str token = json_text(root, "access_token");
    if (token.len == 0)
        return error_set(err, ERR_INVALID, "oauth2: server response missing access_token");
    keep_token(oauth2, json_text(root, "token_type"), token, json_seconds(root));
    return true;
}

// The request -------------------------------------------------------------------------------------------------------------------------------

static void add_param(Buf *form, Str name, Str value)
{
    if (form->len)
        buf_add_char(form, '&');
    url_add_query_escaped(form, name);
    buf_add_char(form, '=');
    url_add_query_escaped(form, value);
}

static bool build_form(HttpOauth2 *oauth2, Buf *form, Error *err)
{
    const HttpOauth2Config *config = oauth2->config;
    CLEANUP(buf_deinit) Buf text = {0};
    Str grant = is_jwt(config) ? S(JWT_GRANT) : S("client_credentials");
    for (size_t i = 0; i < config->endpoint_params.count; i++)
        if (str_is(config->endpoint_params.keys[i], "grant_type"))
            grant = config->endpoint_params.values[i]; // for servers with names of their own
    add_param(form, S("grant_type"), grant);
    if (is_jwt(config)) {
        if (!http_oauth2_assertion(config, http_secret_text(&oauth2->secret),
                                   clock_now_ms(&clock_system) / 1000, &text, err))
            return false;
        add_param(form, S("assertion"), buf_str(&text));
    } else if (oauth2->trying == AUTH_PARAMS) {
        add_param(form, S("client_id"), config->client_id);
        add_param(form, S("client_secret"), http_secret_text(&oauth2->secret));
    }
    buf_reset(&text);
    add_scopes(config, &text);
    if (text.len)
        add_param(form, S("scope"), buf_str(&text));
    for (size_t i = 0; i < config->endpoint_params.count; i++)
        if (!str_is(config->endpoint_params.keys[i], "grant_type"))
            add_param(form, config->endpoint_params.keys[i], config->endpoint_params.values[i]);
    return true;
}

// "Authorization: Basic ..." of the escaped id and secret: RFC 6749 2.3.1.
static void add_basic(const HttpOauth2 *oauth2, Buf *line)
{
    CLEANUP(buf_deinit) Buf login = {0};
    url_add_query_escaped(&login, oauth2->config->client_id);
    buf_add_char(&login, ':');
    url_add_query_escaped(&login, http_secret_text(&oauth2->secret));
    buf_add_c(line, "Authorization: Basic ");
    base64_encode(buf_str(&login), line);
}

static bool ask(HttpOauth2 *oauth2, Error *err);

static void end_fetch(HttpOauth2 *oauth2, const Error *err)
{
    void (*on_end)(void *, const Error *) = oauth2->on_end;
    oauth2->on_end = NULL;
    if (on_end)
        on_end(oauth2->arg, err);
}

static void on_answer(void *arg, const HttpResponse *response)
{
    HttpOauth2 *oauth2 = arg;
    Error err = {0};
    oauth2->call = NULL;
    if (!oauth2->on_end)
        return; // being freed
    bool ok = response->err ? (err = *response->err, false) : read_token(oauth2, response, &err);
    // A server may know the client only by one of the two ways.
    if (!ok && !response->err && oauth2->auth == AUTH_UNTRIED && oauth2->trying == AUTH_HEADER &&
        !is_jwt(oauth2->config)) {
        Error again;
        oauth2->trying = AUTH_PARAMS;
        if (ask(oauth2, &again))
            return;
    }
    if (ok)
        oauth2->auth = oauth2->trying;
    end_fetch(oauth2, ok ? NULL : &err);
}

static bool ask(HttpOauth2 *oauth2, Error *err)
{
    CLEANUP(buf_deinit) Buf form = {0};
    CLEANUP(buf_deinit) Buf basic = {0};
    if (!build_form(oauth2, &form, err))
        return false;
    Str headers[3] = {STR("Content-Type: application/x-www-form-urlencoded"),
                      STR("Accept: application/json")};
    size_t count = 2;
    if (!is_jwt(oauth2->config) && oauth2->trying == AUTH_HEADER) {
        add_basic(oauth2, &basic);
        headers[count++] = buf_str(&basic);
    }
    HttpCallOptions call = {.method = STR("POST"),
                            .url = oauth2->config->token_url,
                            .headers = headers,
                            .header_count = count,
                            .body = buf_str(&form),
                            .timeout_ms = FETCH_TIMEOUT_MS,
                            .body_bytes_max = ANSWER_BYTES_MAX,
                            .done = on_answer,
                            .arg = oauth2};
    oauth2->call = http_call(oauth2->client, &call);
    return true;
}

static void on_fail_timer(void *arg)
{
    HttpOauth2 *oauth2 = arg;
    end_fetch(oauth2, &oauth2->early);
}

void http_oauth2_fetch(HttpOauth2 *oauth2, void (*on_end)(void *arg, const Error *err), void *arg)
{
    bool changed = false;
    if (oauth2->on_end)
        return;
    oauth2->on_end = on_end;
    oauth2->arg = arg;
    oauth2->trying = oauth2->auth == AUTH_UNTRIED ? AUTH_HEADER : oauth2->auth;
    if (!http_secret_load(&oauth2->secret, &changed, &oauth2->early) ||
        !ask(oauth2, &oauth2->early))
        loop_timer_set(oauth2->fail_timer, 0);
}

// Life ---------------------------------------------------------------------------------------------------------------------------------------

bool http_oauth2_has_token(HttpOauth2 *oauth2, int64_t now_ns)
{
    Error ignored; // told when the next token is fetched
    bool changed = false;
    if (now_ns - oauth2->looked_ns >= LOOK_EVERY_NS) {
        oauth2->looked_ns = now_ns;
        if (http_secret_load(&oauth2->secret, &changed, &ignored) && changed)
            buf_reset(&oauth2->line);
    }
    return oauth2->line.len > 0 && now_ns < oauth2->good_until_ns;
}

Str http_oauth2_line(const HttpOauth2 *oauth2)
{
    return buf_str(&oauth2->line);
}

bool http_oauth2_new(Loop *loop, const HttpOauth2Config *config, HttpOauth2 **ret_oauth2,
                     Error *err)
{
    HttpOauth2 *oauth2 = X_NEW(HttpOauth2);
    oauth2->loop = loop;
    oauth2->config = config;
    http_client_config_default(&oauth2->client_config);
    oauth2->client_config.tls_config = config->tls_config;
    oauth2->client_config.proxy = config->proxy;
    if (!http_client_new(loop, &oauth2->client_config, &oauth2->client, err)) {
        free(oauth2);
        return false;
    }
    oauth2->fail_timer = loop_timer_new(loop, on_fail_timer, oauth2);
    if (is_jwt(config))
        http_secret_init(&oauth2->secret, "oauth2 client certificate key file",
                         config->client_certificate_key, config->client_certificate_key_file,
                         SECRET_BYTES_MAX);
    else
        http_secret_init(&oauth2->secret, "oauth2 client secret file", config->client_secret,
                         config->client_secret_file, SECRET_BYTES_MAX);
    *ret_oauth2 = oauth2;
    return true;
}

void http_oauth2_free(HttpOauth2 *oauth2)
{
    if (!oauth2)
        return;
    oauth2->on_end = NULL;
    http_client_free(oauth2->client);
    loop_timer_free(oauth2->fail_timer);
    http_secret_deinit(&oauth2->secret);
    if (oauth2->line.ptr)
        explicit_bzero(oauth2->line.ptr, oauth2->line.cap);
    buf_deinit(&oauth2->line);
    free(oauth2);
}
