// SPDX-License-Identifier: Apache-2.0
#include "net/http_sigv4.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timefmt.h"
#include "net/aws_machine.h"
#include "net/http_secret.h"
#include "net/sigv4.h"
#include "net/url.h"

#define AMZ_HEADERS_MAX 16
#define FILE_BYTES_MAX ((size_t)1 << 20)
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

enum {
    FETCH_TIMEOUT_MS = 30000,
    RENEW_BEFORE_MS = 5 * 60 * 1000,
};

// Keys with memory of their own.
typedef struct Keys {
    Arena arena;
    SigV4Keys keys;
    int64_t good_until_ms; // INT64_MAX: for ever; 0: there are none
} Keys;

struct HttpSigv4 {
    Loop *loop;
    const HttpSigv4Config *config;
    Arena arena;
    Str region, service, profile;
    Str web_role, web_token_file;
    HttpSecret file;  // shared credentials
    HttpSecret token; // web identity
    Keys own;         // without role_arn
    Keys role;        // with it
    HttpClientConfig client_config;
    HttpClient *client;
    AwsMachine *machine;
    bool asks_role; // what the call is about
    LoopTimer *fail_timer;
    Error early;
    void (*on_end)(void *arg, const Error *err);
    void *arg;
};

// Where keys come from --------------------------------------------------------------------------------------------------------------------

static Str env(const char *name)
{
    const char *value = getenv(name);
    return value ? str_from_c(value) : STR_NONE;
}

static bool is_good(const Keys *keys)
{
    return keys->good_until_ms == INT64_MAX ||
           clock_now_ms(&clock_system) < keys->good_until_ms - RENEW_BEFORE_MS;
}

static void keys_set(Keys *into, SigV4Keys keys, int64_t good_until_ms)
{
    Arena old = into->arena;
    into->arena = (Arena){0};
    into->keys = (SigV4Keys){arena_str(&into->arena, keys.access_key),
                             arena_str(&into->arena, keys.secret_key),
                             arena_str(&into->arena, keys.session_token)};
    into->good_until_ms = good_until_ms;
    arena_deinit(&old);
}

bool http_sigv4_read_profile(Str file, Str profile, Str *ret_access_key, Str *ret_secret_key,
                             Str *ret_session_token)
{
    bool is_ours = false;
    Str line;
    Str access_key = STR_NONE, secret_key = STR_NONE, session_token = STR_NONE;
    while (str_split_next(&file, '\n', &line)) {
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
            continue;
        if (line.ptr[0] == '[') {
            Str name = str_trim(str_sub(line, 1, MIN(str_find_char(line, ']'), line.len) - 1));
            is_ours = str_equal(name, profile);
            continue;
        }
        size_t equals = str_find_char(line, '=');
        if (!is_ours || equals == STR_NOT_FOUND)
            continue;
        Str key = str_trim(str_sub(line, 0, equals));
        Str value = str_trim(str_skip(line, equals + 1));
        if (str_is(key, "aws_access_key_id"))
            access_key = value;
        else if (str_is(key, "aws_secret_access_key"))
            secret_key = value;
        else if (str_is(key, "aws_session_token"))
            session_token = value;
    }
    *ret_access_key = access_key;
    *ret_secret_key = secret_key;
    *ret_session_token = session_token;
    return access_key.len > 0 && secret_key.len > 0;
}

// Keys that are at hand. False: STS must be asked for them, or there are none.
static bool look_at_hand(HttpSigv4 *sigv4)
{
    const HttpSigv4Config *config = sigv4->config;
    SigV4Keys keys = {config->access_key, config->secret_key, STR_NONE};
    Error ignored;
    bool changed = false;
    if (keys.access_key.len == 0 && config->profile.len == 0)
        keys = (SigV4Keys){env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"),
                           env("AWS_SESSION_TOKEN")};
    if (keys.access_key.len == 0) {
        if (!sigv4->file.path || !http_secret_load(&sigv4->file, &changed, &ignored) ||
            !http_sigv4_read_profile(sigv4->file.text, sigv4->profile, &keys.access_key,
                                     &keys.secret_key, &keys.session_token))
            return false;
    }
    if (!str_equal(keys.access_key, sigv4->own.keys.access_key) ||
        !str_equal(keys.secret_key, sigv4->own.keys.secret_key) ||
        !str_equal(keys.session_token, sigv4->own.keys.session_token)) {
        keys_set(&sigv4->own, keys, INT64_MAX);
        sigv4->role.good_until_ms = 0;
    }
    return true;
}

bool http_sigv4_has_keys(HttpSigv4 *sigv4)
{
    if (!look_at_hand(sigv4) && !is_good(&sigv4->own))
        return false;
    return sigv4->config->role_arn.len == 0 || is_good(&sigv4->role);
}

// STS ----------------------------------------------------------------------------------------------------------------------------------------

// The text between <tag> and </tag>.
static Str xml_text(Str xml, const char *tag)
{
    char open[40];
    char close[40];
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(close, sizeof close, "</%s>", tag);
    const char *from = xml.len ? memmem(xml.ptr, xml.len, open, strlen(open)) : NULL;
    if (!from)
        return STR_NONE;
    Str rest = str_skip(xml, (size_t)(from - xml.ptr) + strlen(open));
    const char *to = rest.len ? memmem(rest.ptr, rest.len, close, strlen(close)) : NULL;
    return to ? str_sub(rest, 0, (size_t)(to - rest.ptr)) : STR_NONE;
}

static bool read_answer(HttpSigv4 *sigv4, const HttpResponse *response, Error *err)
{
    SigV4Keys keys = {xml_text(response->body, "AccessKeyId"),
                      xml_text(response->body, "SecretAccessKey"),
                      xml_text(response->body, "SessionToken")};
    Str until = xml_text(response->body, "Expiration");
    int64_t until_ms;
    if (response->status != 200)
        return error_set(err, ERR_UNAVAILABLE, "sigv4: STS answered with HTTP status %d: " STR_FMT,
                         response->status,
                         STR_ARG(str_sub(xml_text(response->body, "Message"), 0, 300)));
    Error why;
    if (keys.access_key.len == 0 || keys.secret_key.len == 0 ||
        !rfc3339_parse(until, &until_ms, &why))
        return error_set(err, ERR_INVALID, "sigv4: the answer of STS has no credentials");
    keys_set(sigv4->asks_role ? &sigv4->role : &sigv4->own, keys, until_ms);
    return true;
}

static void add_param(Buf *form, const char *name, Str value)
{
    buf_printf(form, "&%s=", name);
    url_add_query_escaped(form, value);
}

static Str sts_url(HttpSigv4 *sigv4)
{
    Str given = env("AWS_ENDPOINT_URL_STS");
    if (given.len)
        return given;
    return arena_printf(&sigv4->arena, "https://sts%s." STR_FMT ".amazonaws.com%s/",
                        sigv4->config->use_fips_sts_endpoint ? "-fips" : "", STR_ARG(sigv4->region),
                        str_starts_with(sigv4->region, S("cn-")) ? ".cn" : "");
}

static bool build_form(HttpSigv4 *sigv4, Buf *form, Error *err)
{
    bool changed = false;
    buf_printf(form, "Action=%s&Version=2011-06-15",
               sigv4->asks_role ? "AssumeRole" : "AssumeRoleWithWebIdentity");
    add_param(form, "RoleArn", sigv4->asks_role ? sigv4->config->role_arn : sigv4->web_role);
    Str session = env("AWS_ROLE_SESSION_NAME");
    add_param(form, "RoleSessionName", session.len ? session : S("narthex"));
    if (sigv4->asks_role) {
        if (sigv4->config->external_id.len)
            add_param(form, "ExternalId", sigv4->config->external_id);
        return true;
    }
    if (!http_secret_load(&sigv4->token, &changed, err))
        return false;
    add_param(form, "WebIdentityToken", http_secret_text(&sigv4->token));
    return true;
}

static bool ask(HttpSigv4 *sigv4, Error *err);

static void end_fetch(HttpSigv4 *sigv4, const Error *err)
{
    void (*on_end)(void *, const Error *) = sigv4->on_end;
    sigv4->on_end = NULL;
    if (on_end)
        on_end(sigv4->arg, err);
}

static void on_answer(void *arg, const HttpResponse *response)
{
    HttpSigv4 *sigv4 = arg;
    Error err = {0};
    if (!sigv4->on_end)
        return; // being freed
    bool ok = response->err ? (err = *response->err, false) : read_answer(sigv4, response, &err);
    if (ok && !http_sigv4_has_keys(sigv4) && !sigv4->asks_role) {
        if (ask(sigv4, &err))
            return; // now for the role
        ok = false;
    }
    end_fetch(sigv4, ok ? NULL : &err);
}

static void on_machine_keys(void *arg, const SigV4Keys *keys, int64_t good_until_ms,
                            const Error *err)
{
    HttpSigv4 *sigv4 = arg;
    Error own = {0};
    if (!sigv4->on_end)
        return; // being freed
    if (err) {
        own = *err;
        (void)error_context(&own, "sigv4: no credentials in the configuration, the environment or "
                                  "the shared credentials file");
        end_fetch(sigv4, &own);
        return;
    }
    keys_set(&sigv4->own, *keys, good_until_ms);
    if (http_sigv4_has_keys(sigv4))
        end_fetch(sigv4, NULL);
    else if (!ask(sigv4, &own)) // for the role
        end_fetch(sigv4, &own);
}

static bool ask(HttpSigv4 *sigv4, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf form = {0};
    Str headers[1 + SIGV4_LINES_MAX] = {STR("Content-Type: application/x-www-form-urlencoded")};
    size_t signed_count = 0;
    bool has_own = look_at_hand(sigv4) || is_good(&sigv4->own);
    sigv4->asks_role = has_own;
    bool has_web = sigv4->web_role.len > 0 && sigv4->token.path;
    if (!has_own && !has_web && aws_machine_can_ask())
        return aws_machine_fetch(sigv4->machine, on_machine_keys, sigv4, err);
    if (!has_own && !has_web)
        return error_set(err, ERR_INVALID,
                         "sigv4: no credentials in the configuration, the environment or the "
                         "shared credentials file");
    Str url = sts_url(sigv4);
    if (!build_form(sigv4, &form, err))
        return false;
    SigV4Request request = {.method = STR("POST"),
                            .url = url,
                            .body = buf_str(&form),
                            .region = sigv4->region,
                            .service = STR("sts"),
                            .now_ms = clock_now_ms(&clock_system)};
    if (has_own && !sigv4_sign(&request, &sigv4->own.keys, &arena, headers + 1, &signed_count, err))
        return false;
    HttpCallOptions call = {.method = STR("POST"),
                            .url = url,
                            .headers = headers,
                            .header_count = 1 + signed_count,
                            .body = buf_str(&form),
                            .timeout_ms = FETCH_TIMEOUT_MS,
                            .body_bytes_max = ANSWER_BYTES_MAX,
                            .done = on_answer,
                            .arg = sigv4};
    http_call(sigv4->client, &call);
    return true;
}

static void on_fail_timer(void *arg)
{
    HttpSigv4 *sigv4 = arg;
    end_fetch(sigv4, &sigv4->early);
}

void http_sigv4_fetch(HttpSigv4 *sigv4, void (*on_end)(void *arg, const Error *err), void *arg)
{
    if (sigv4->on_end)
        return;
    sigv4->on_end = on_end;
    sigv4->arg = arg;
    if (!ask(sigv4, &sigv4->early))
        loop_timer_set(sigv4->fail_timer, 0);
}

// Those that must be signed; they live in the arena.
static size_t amz_headers(Str headers, Arena *arena, Str **ret_headers)
{
    size_t count = 0;
    Str *found = ARENA_ARRAY(arena, Str, AMZ_HEADERS_MAX);
    for (Str line; count < AMZ_HEADERS_MAX && str_split_next(&headers, '\0', &line);)
        if (str_equal_nocase(str_sub(line, 0, strlen("X-Amz-")), S("X-Amz-")))
            found[count++] = line;
    *ret_headers = found;
    return count;
}

bool http_sigv4_sign(const HttpSigv4 *sigv4, const HttpSigv4Request *wanted, Buf *lines, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str *own;
    size_t own_count = amz_headers(wanted->headers, &arena, &own);
    SigV4Request request = {.method = wanted->method,
                            .url = wanted->url,
                            .headers = own,
                            .header_count = own_count,
                            .body = wanted->body,
                            .region = sigv4->region,
                            .service =
                                wanted->service ? str_from_c(wanted->service) : sigv4->service,
                            .now_ms = clock_now_ms(&clock_system)};
    Str made[SIGV4_LINES_MAX];
    size_t count;
    const Keys *keys = sigv4->config->role_arn.len ? &sigv4->role : &sigv4->own;
    if (!sigv4_sign(&request, &keys->keys, &arena, made, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        buf_add_str(lines, made[i]);
        buf_add_char(lines, '\0');
    }
    return true;
}

// Life ---------------------------------------------------------------------------------------------------------------------------------------

static Str first_of(Str a, Str b, Str c)
{
    return a.len ? a : b.len ? b : c;
}

static void find_files(HttpSigv4 *sigv4)
{
    Str file = env("AWS_SHARED_CREDENTIALS_FILE");
    Str home = env("HOME");
    if (file.len == 0 && home.len)
        file = arena_printf(&sigv4->arena, STR_FMT "/.aws/credentials", STR_ARG(home));
    http_secret_init(&sigv4->file, "shared credentials file", STR_NONE, file, FILE_BYTES_MAX);
    http_secret_init(&sigv4->token, "web identity token file", STR_NONE,
                     env("AWS_WEB_IDENTITY_TOKEN_FILE"), FILE_BYTES_MAX);
    sigv4->web_role = arena_str(&sigv4->arena, env("AWS_ROLE_ARN"));
}

bool http_sigv4_new(Loop *loop, const HttpSigv4Config *config, HttpSigv4 **ret_sigv4, Error *err)
{
    Str region = first_of(config->region, env("AWS_REGION"), env("AWS_DEFAULT_REGION"));
    if (region.len == 0)
        return error_set(err, ERR_INVALID,
                         "region not configured in sigv4 or in default credentials chain");
    HttpSigv4 *sigv4 = X_NEW(HttpSigv4);
    sigv4->loop = loop;
    sigv4->config = config;
    sigv4->region = arena_str(&sigv4->arena, region);
    sigv4->service = first_of(config->service_name, S("aps"), STR_NONE);
    sigv4->profile =
        arena_str(&sigv4->arena, first_of(config->profile, env("AWS_PROFILE"), S("default")));
    find_files(sigv4);
    http_client_config_default(&sigv4->client_config);
    if (!http_client_new(loop, &sigv4->client_config, &sigv4->client, err)) {
        http_sigv4_free(sigv4);
        return false;
    }
    sigv4->machine = aws_machine_new(sigv4->client);
    sigv4->fail_timer = loop_timer_new(loop, on_fail_timer, sigv4);
    *ret_sigv4 = sigv4;
    return true;
}

void http_sigv4_free(HttpSigv4 *sigv4)
{
    if (!sigv4)
        return;
    sigv4->on_end = NULL;
    http_client_free(sigv4->client);
    aws_machine_free(sigv4->machine);
    if (sigv4->fail_timer)
        loop_timer_free(sigv4->fail_timer);
    http_secret_deinit(&sigv4->file);
    http_secret_deinit(&sigv4->token);
    arena_deinit(&sigv4->own.arena);
    arena_deinit(&sigv4->role.arena);
    arena_deinit(&sigv4->arena);
    free(sigv4);
}
