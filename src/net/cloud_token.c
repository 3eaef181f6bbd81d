// SPDX-License-Identifier: Apache-2.0
#include "net/cloud_token.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/number.h"
#include "codec/json_reader.h"
#include "net/url.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)

enum {
    FETCH_TIMEOUT_MS = 30000,
    MARGIN_S = 10,
    LIFE_S_DEFAULT = 300, // of a token that does not say
};

struct CloudToken {
    Loop *loop;
    const HttpClientConfig *config;
    HttpClientConfig client_config;
    HttpClient *client;
    Buf line; // empty: no token
    int64_t good_until_ns;
    LoopTimer *fail_timer; // tells what failed before it began
    Error early;
    void (*on_end)(void *arg, const Error *err);
    void *arg;
};

void cloud_token_add_param(Buf *form, const char *name, Str value)
{
    if (form->len && form->ptr[form->len - 1] != '?')
        buf_add_char(form, '&');
    buf_add_c(form, name);
    buf_add_char(form, '=');
    url_add_query_escaped(form, value);
}

// The answer -------------------------------------------------------------------------------------------------------------------------

static Str text_of(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

// A number, or one in quotes; 0: none.
static int64_t seconds_of(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    double number = 0;
    if (value && value->kind == JSON_NUMBER)
        number = value->number;
    else if (value && value->kind == JSON_STRING)
        (void)number_parse_double(value->str, &number);
    return number > 0 && number < 1e15 ? (int64_t)number : 0;
}

static int64_t life_s(const JsonValue *root)
{
    int64_t life = seconds_of(root, "expires_in");
    int64_t end = seconds_of(root, "expires_on");
    if (life == 0 && end)
        life = MAX(end - clock_now_ms(&clock_system) / 1000, 1);
    return life ? MIN(life, 7 * 24 * 3600) : LIFE_S_DEFAULT;
}

static void keep(CloudToken *token, Str text, int64_t life)
{
    int64_t good_s = token->config->azuread ? MAX(life / 2, 1) : life - MARGIN_S;
    buf_reset(&token->line);
    buf_add_c(&token->line, "Authorization: Bearer ");
    buf_add_str(&token->line, text);
    buf_add_char(&token->line, '\0');
    token->good_until_ns = loop_now_ns(token->loop) + good_s * 1000000000;
}

static bool read_answer(CloudToken *token, const HttpResponse *response, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    JsonValue *root;
    Error why;
    bool is_json = json_read(response->body, &arena, &root, &why);
    // Of what a stranger's server says only the two words that RFC 6749 5.2 names are repeated.
    Str error = is_json ? text_of(root, "error") : STR_NONE;
    Str reason = is_json ? text_of(root, "error_description") : STR_NONE;
    if (response->status != 200)
        return error_set(err, ERR_UNAVAILABLE, "HTTP status %d%s" STR_FMT "%s" STR_FMT,
                         response->status, error.len ? ": " : "", STR_ARG(str_sub(error, 0, 100)),
                         reason.len ? ": " : "", STR_ARG(str_sub(reason, 0, 200)));
    if (!is_json)
        return error_set(err, ERR_INVALID, "the answer is no JSON: %s", why.text);
    Str text = text_of(root, "access_token");
    if (text.len == 0)
        return error_set(err, ERR_INVALID, "access token is empty");
    keep(token, text, life_s(root));
    return true;
}

// The question -----------------------------------------------------------------------------------------------------------------------

static void end_fetch(CloudToken *token, const Error *err)
{
    void (*on_end)(void *, const Error *) = token->on_end;
    Error told;
    token->on_end = NULL;
    if (!on_end)
        return;
    if (err) {
        told = *err;
        error_context(&told, token->config->azuread ? "azuread: failed to get access token"
                                                    : "google_iam: failed to get access token");
    }
    on_end(token->arg, err ? &told : NULL);
}

static void on_answer(void *arg, const HttpResponse *response)
{
    CloudToken *token = arg;
    Error err = {0};
    if (!token->on_end)
        return; // being freed
    bool ok = response->err ? (err = *response->err, false) : read_answer(token, response, &err);
    end_fetch(token, ok ? NULL : &err);
}

static void ask_deinit(CloudAsk *ask)
{
    if (ask->body.ptr)
        explicit_bzero(ask->body.ptr, ask->body.cap);
    buf_deinit(&ask->url);
    buf_deinit(&ask->body);
    buf_deinit(&ask->header);
}

static bool begin(CloudToken *token, Error *err)
{
    CLEANUP(ask_deinit) CloudAsk ask = {0};
    if (!(token->config->azuread ? azure_token_ask(token->config->azuread, &ask, err)
                                 : google_token_ask(token->config->google_iam, &ask, err)))
        return false;
    Str headers[3] = {STR("Accept: application/json")};
    size_t count = 1;
    if (ask.header.len)
        headers[count++] = buf_str(&ask.header);
    if (ask.body.len)
        headers[count++] = S("Content-Type: application/x-www-form-urlencoded");
    http_call(token->client, &(HttpCallOptions){
                                 .method = ask.body.len ? S("POST") : S("GET"),
                                 .url = buf_str(&ask.url),
                                 .headers = headers,
                                 .header_count = count,
                                 .body = buf_str(&ask.body),
                                 .timeout_ms = FETCH_TIMEOUT_MS,
                                 .body_bytes_max = ANSWER_BYTES_MAX,
                                 .done = on_answer,
                                 .arg = token,
                             });
    return true;
}

static void on_fail_timer(void *arg)
{
    CloudToken *token = arg;
    end_fetch(token, &token->early);
}

void cloud_token_fetch(CloudToken *token, void (*on_end)(void *arg, const Error *err), void *arg)
{
    if (token->on_end)
        return;
    token->on_end = on_end;
    token->arg = arg;
    if (!begin(token, &token->early))
        loop_timer_set(token->fail_timer, 0);
}

// Life -------------------------------------------------------------------------------------------------------------------------------

bool cloud_token_is_good(const CloudToken *token, int64_t now_ns)
{
    return token->line.len > 0 && now_ns < token->good_until_ns;
}

Str cloud_token_line(const CloudToken *token)
{
    return buf_str(&token->line);
}

bool cloud_token_new(Loop *loop, const HttpClientConfig *config, CloudToken **ret_token, Error *err)
{
    CloudToken *token = X_NEW(CloudToken);
    token->loop = loop;
    token->config = config;
    http_client_config_default(&token->client_config);
    token->client_config.follow_redirects = false; // a token's server has no reason to
    token->client_config.proxy = config->proxy;
    if (!http_client_new(loop, &token->client_config, &token->client, err)) {
        free(token);
        return false;
    }
    token->fail_timer = loop_timer_new(loop, on_fail_timer, token);
    *ret_token = token;
    return true;
}

void cloud_token_free(CloudToken *token)
{
    if (!token)
        return;
    token->on_end = NULL;
    http_client_free(token->client);
    loop_timer_free(token->fail_timer);
    if (token->line.ptr)
        explicit_bzero(token->line.ptr, token->line.cap);
    buf_deinit(&token->line);
    free(token);
}
