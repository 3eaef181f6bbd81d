// SPDX-License-Identifier: Apache-2.0
// What google_iam asks for a token: by the key of a service account (RFC 7523), by what gcloud left for a user, or at the metadata
// service of the machine.
#include <stdlib.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "net/cloud_token.h"
#include "net/jwt.h"

#define SCOPE "https://www.googleapis.com/auth/monitoring.write"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define FILE_BYTES_MAX ((size_t)1 << 20)
#define ASSERTION_GOOD_S 3600

static Str text_of(const JsonValue *object, const char *key)
{
    const JsonValue *value = json_get(object, str_from_c(key));
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

static void ask_metadata_service(CloudAsk *ask)
{
    const char *host = getenv("GCE_METADATA_HOST");
    buf_printf(&ask->url, "http://%s/computeMetadata/v1/instance/service-accounts/default/token?",
               host && *host ? host : "metadata.google.internal");
    cloud_token_add_param(&ask->url, "scopes", S(SCOPE));
    buf_add_c(&ask->header, "Metadata-Flavor: Google");
}

static void ask_as_user(const JsonValue *file, CloudAsk *ask)
{
    buf_add_c(&ask->url, TOKEN_URL);
    cloud_token_add_param(&ask->body, "grant_type", S("refresh_token"));
    cloud_token_add_param(&ask->body, "client_id", text_of(file, "client_id"));
    cloud_token_add_param(&ask->body, "client_secret", text_of(file, "client_secret"));
    cloud_token_add_param(&ask->body, "refresh_token", text_of(file, "refresh_token"));
}

static void add_assertion_parts(const JsonValue *file, Str url, Buf *header, Buf *claims)
{
    int64_t now_s = clock_now_ms(&clock_system) / 1000;
    JsonWriter json;
    json_writer_init(&json, header);
    json_object(&json);
    json_key_c(&json, "alg", "RS256");
    json_key_c(&json, "typ", "JWT");
    json_key_str(&json, "kid", text_of(file, "private_key_id"));
    json_object_end(&json);
    json_writer_init(&json, claims);
    json_object(&json);
    json_key_str(&json, "iss", text_of(file, "client_email"));
    json_key_c(&json, "scope", SCOPE);
    json_key_str(&json, "aud", url);
    json_key_i64(&json, "exp", now_s + ASSERTION_GOOD_S);
    json_key_i64(&json, "iat", now_s);
    json_object_end(&json);
}

static bool ask_as_service(const JsonValue *file, CloudAsk *ask, Error *err)
{
    CLEANUP(buf_deinit) Buf header = {0};
    CLEANUP(buf_deinit) Buf claims = {0};
    CLEANUP(buf_deinit) Buf assertion = {0};
    Str url = text_of(file, "token_uri");
    url = url.len ? url : S(TOKEN_URL);
    add_assertion_parts(file, url, &header, &claims);
    if (!jwt_sign(buf_str(&header), buf_str(&claims), text_of(file, "private_key"), JWT_RS256,
                  &assertion, err))
        return false;
    buf_add_str(&ask->url, url);
    cloud_token_add_param(&ask->body, "grant_type",
                          S("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    cloud_token_add_param(&ask->body, "assertion", buf_str(&assertion));
    return true;
}

static bool ask_by_file(Str path, CloudAsk *ask, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str text;
    JsonValue *file;
    if (!fs_read_file(&fs_system, path, &arena, FILE_BYTES_MAX, &text, err))
        return error_context(err, "error reading Google credentials file");
    if (!json_read(text, &arena, &file, err))
        return error_context(err, "error parsing Google credentials file " STR_FMT, STR_ARG(path));
    Str type = text_of(file, "type");
    if (str_is(type, "authorized_user")) {
        ask_as_user(file, ask);
        return true;
    }
    if (str_is(type, "service_account"))
        return ask_as_service(file, ask, err) ||
               error_context(err, "error parsing Google credentials file " STR_FMT, STR_ARG(path));
    return error_set(err, ERR_INVALID,
                     "error parsing Google credentials file " STR_FMT ": type \"" STR_FMT
                     "\" is neither service_account nor authorized_user",
                     STR_ARG(path), STR_ARG(str_sub(type, 0, 100)));
}

bool google_token_ask(const HttpGoogleIamConfig *config, CloudAsk *ask, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    const char *named = getenv("GOOGLE_APPLICATION_CREDENTIALS");
    const char *home = getenv("HOME");
    if (config->credentials_file.len)
        return ask_by_file(config->credentials_file, ask, err);
    if (named && *named)
        return ask_by_file(str_from_c(named), ask, err);
    Str own = arena_printf(&arena, "%s/.config/gcloud/application_default_credentials.json",
                           home ? home : "");
    if (home && *home && fs_exists(&fs_system, own))
        return ask_by_file(own, ask, err);
    ask_metadata_service(ask);
    return true;
}
