// SPDX-License-Identifier: Apache-2.0
// The parts of http_config about proxies, OAuth 2.0 and Signature Version 4. Error texts are those of prometheus/common and
// prometheus/sigv4 where they have one.
#include <stddef.h>

#include "base/number.h"
#include "codec/json_writer.h"
#include "net/http_client_config_internal.h"

// ---- shared ----

bool http_config_one_at_most(const ConfigReader *reader, const YamlNode *node, const char *text,
                             Str a, Str b, Error *err)
{
    if (a.len == 0 || b.len == 0)
        return true;
    return config_error(reader, node, err, "at most one of %s must be configured", text);
}

bool http_config_is_header_name(Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  (c && strchr("!#$%&'*+-.^_`|~", c));
        if (!ok)
            return false;
    }
    return name.len > 0;
}

// Headers that the protocol or the client owns.
static bool is_protocol_header(Str name)
{
    static const char *const reserved[] = {
        "authorization",
        "host",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "www-authenticate",
        "accept-encoding",
        "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
    };
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (str_equal_nocase(name, str_from_c(reserved[i])))
            return true;
    return false;
}

bool http_config_check_headers(ConfigReader *reader, const YamlNode *node,
                               const ConfigStrMap *headers, const char *authorization_text,
                               Error *err)
{
    for (size_t i = 0; i < headers->count; i++) {
        Str name = headers->keys[i];
        Str value = headers->values[i];
        Str shown = str_sub(name, 0, 100);
        if (str_equal_nocase(name, S("authorization")))
            return config_error(reader, node, err, "%s", authorization_text);
        if (is_protocol_header(name))
            return config_error(reader, node, err,
                                STR_FMT " is a reserved header. It must not be changed",
                                STR_ARG(shown));
        if (str_find_char(value, '\n') != STR_NOT_FOUND ||
            str_find_char(value, '\r') != STR_NOT_FOUND)
            return config_error(reader, node, err, "header " STR_FMT " has a line break",
                                STR_ARG(shown));
    }
    return true;
}

void http_config_indent(Buf *buf, int indent)
{
    for (int i = 0; i < indent; i++)
        buf_add_char(buf, ' ');
}

void http_config_print_list(Buf *buf, int indent, const char *key, ConfigStrList list,
                            bool is_secret)
{
    if (list.count == 0)
        return;
    if (key) {
        http_config_indent(buf, indent);
        buf_printf(buf, "%s:\n", key);
    }
    for (size_t i = 0; i < list.count; i++) {
        http_config_indent(buf, indent);
        buf_add_c(buf, "- ");
        if (is_secret)
            config_print_secret(buf, list.items[i]);
        else
            yaml_write_scalar(buf, list.items[i]);
        buf_add_char(buf, '\n');
    }
}

// ---- proxy_connect_header: a map from the name to a list of secrets ----

static bool connect_headers_decode(ConfigReader *reader, const YamlNode *node, void *member,
                                   Error *err)
{
    ConfigStrListMap *map = member;
    if (node->kind != YAML_MAPPING)
        return config_error(reader, node, err,
                            "proxy_connect_header must be a map of header names");
    map->keys = ARENA_ARRAY(reader->arena, Str, MAX(node->count, 1u));
    map->values = ARENA_ARRAY(reader->arena, ConfigStrList, MAX(node->count, 1u));
    for (size_t i = 0; i < node->count; i++) {
        const YamlNode *list = node->items[i];
        if (list->kind != YAML_SEQUENCE)
            return config_error(reader, list, err, "the values of a header must be a list");
        if (!http_config_is_header_name(node->keys[i]->scalar))
            return config_error(reader, node->keys[i], err, "\"" STR_FMT "\" is not a header name",
                                STR_ARG(node->keys[i]->scalar));
        map->keys[i] = node->keys[i]->scalar;
        map->values[i].items = ARENA_ARRAY(reader->arena, Str, MAX(list->count, 1u));
        map->values[i].count = list->count;
        for (size_t v = 0; v < list->count; v++) {
            if (list->items[v]->kind != YAML_SCALAR)
                return config_error(reader, list->items[v], err, "a header value must be a string");
            map->values[i].items[v] = list->items[v]->scalar;
        }
    }
    map->count = node->count;
    return true;
}

static void connect_headers_print(Buf *buf, int indent, const char *key, const void *member)
{
    const ConfigStrListMap *map = member;
    if (map->count == 0)
        return;
    http_config_indent(buf, indent);
    buf_printf(buf, "%s:\n", key);
    for (size_t i = 0; i < map->count; i++) {
        http_config_indent(buf, indent + 2);
        yaml_write_scalar(buf, map->keys[i]);
        buf_add_c(buf, ":\n");
        http_config_print_list(buf, indent + 2, NULL, map->values[i], true);
    }
}

static bool proxy_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpProxyConfig *config = object;
    if (config->proxy_from_environment && config->proxy_url.len)
        return config_error(
            reader, node, err,
            "if proxy_from_environment is configured, proxy_url must not be configured");
    if (config->proxy_from_environment && config->no_proxy.len)
        return config_error(
            reader, node, err,
            "if proxy_from_environment is configured, no_proxy must not be configured");
    if (config->no_proxy.len && !config->proxy_url.len)
        return config_error(reader, node, err,
                            "if no_proxy is configured, proxy_url must also be configured");
    if (config->proxy_connect_header.count && !config->proxy_url.len &&
        !config->proxy_from_environment)
        return config_error(
            reader, node, err,
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment "
            "must also be configured");
    return true;
}

#define FIELD(name, of_kind, help_text, ...)                                                       \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = help_text,         \
        ##__VA_ARGS__                                                                              \
    }

#define OWNER HttpProxyConfig
static const ConfigField proxy_fields[] = {
    FIELD(proxy_url, CONFIG_URL, "http, https or socks5 proxy"),
    FIELD(no_proxy, CONFIG_STR,
          "comma-separated hosts, addresses and networks reached without the proxy"),
    FIELD(proxy_from_environment, CONFIG_BOOL,
          "take the proxy from HTTP_PROXY, HTTPS_PROXY and NO_PROXY"),
    FIELD(proxy_connect_header, CONFIG_CUSTOM, "headers sent to the proxy with CONNECT",
          .decode = connect_headers_decode, .print = connect_headers_print),
};
#undef OWNER
const ConfigTable http_proxy_config_table =
    CONFIG_TABLE(HttpProxyConfig, "proxy_config", proxy_fields, proxy_finish);

// ---- oauth2 ----

#define CLAIMS_DEPTH_MAX 32

static bool add_json(ConfigReader *reader, const YamlNode *node, JsonWriter *json, int depth,
                     Error *err)
{
    bool boolean;
    int64_t integer;
    double number;
    if (depth > CLAIMS_DEPTH_MAX)
        return config_error(reader, node, err, "claims: nested too deeply");
    switch (node->kind) {
    case YAML_NULL:
        json_null(json);
        return true;
    case YAML_SCALAR:
        if (node->quoted)
            json_str(json, node->scalar);
        else if (yaml_bool(node, &boolean))
            json_bool(json, boolean);
        else if (yaml_i64(node, &integer))
            json_i64(json, integer);
        else if (yaml_double(node, &number) && number - number == 0)
            json_double(json, number);
        else
            json_str(json, node->scalar);
        return true;
    case YAML_SEQUENCE:
        json_array(json);
        for (size_t i = 0; i < node->count; i++)
            if (!add_json(reader, node->items[i], json, depth + 1, err))
                return false;
        json_array_end(json);
        return true;
    case YAML_MAPPING:
        json_object(json);
        for (size_t i = 0; i < node->count; i++) {
            json_key(json, node->keys[i]->scalar);
            if (!add_json(reader, node->items[i], json, depth + 1, err))
                return false;
        }
        json_object_end(json);
        return true;
    }
    return true;
}

static bool claims_decode(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    ConfigStrMap *map = member;
    if (node->kind != YAML_MAPPING)
        return config_error(reader, node, err, "claims must be a map");
    map->keys = ARENA_ARRAY(reader->arena, Str, MAX(node->count, 1u));
    map->values = ARENA_ARRAY(reader->arena, Str, MAX(node->count, 1u));
    for (size_t i = 0; i < node->count; i++) {
        CLEANUP(buf_deinit) Buf text = {0};
        JsonWriter json;
        json_writer_init(&json, &text);
        if (!add_json(reader, node->items[i], &json, 0, err))
            return false;
        map->keys[i] = node->keys[i]->scalar;
        map->values[i] = arena_str(reader->arena, buf_str(&text));
    }
    map->count = node->count;
    return true;
}

// JSON is YAML, too.
static void claims_print(Buf *buf, int indent, const char *key, const void *member)
{
    const ConfigStrMap *map = member;
    if (map->count == 0)
        return;
    http_config_indent(buf, indent);
    buf_printf(buf, "%s:\n", key);
    for (size_t i = 0; i < map->count; i++) {
        http_config_indent(buf, indent + 2);
        yaml_write_scalar(buf, map->keys[i]);
        buf_add_c(buf, ": ");
        buf_add_str(buf, map->values[i]);
        buf_add_char(buf, '\n');
    }
}

static bool oauth2_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpOauth2Config *oauth2 = object;
    if (oauth2->client_id.len == 0)
        return config_error(reader, node, err, "oauth2 client_id must be configured");
    if (oauth2->token_url.len == 0)
        return config_error(reader, node, err, "oauth2 token_url must be configured");
    if (!http_config_one_at_most(reader, node, "oauth2 client_secret & client_secret_file",
                                 oauth2->client_secret, oauth2->client_secret_file, err) ||
        !http_config_one_at_most(
            reader, node, "oauth2 client_certificate_key & client_certificate_key_file",
            oauth2->client_certificate_key, oauth2->client_certificate_key_file, err))
        return false;
    if (oauth2->grant_type.len && !str_is(oauth2->grant_type, "client_credentials") &&
        !str_is(oauth2->grant_type, "urn:ietf:params:oauth:grant-type:jwt-bearer"))
        return config_error(reader, node, err, "unknown oauth2 grant_type \"" STR_FMT "\"",
                            STR_ARG(str_sub(oauth2->grant_type, 0, 100)));
    if (oauth2->signature_algorithm.len && !str_is(oauth2->signature_algorithm, "RS256") &&
        !str_is(oauth2->signature_algorithm, "RS384") &&
        !str_is(oauth2->signature_algorithm, "RS512"))
        return config_error(reader, node, err,
                            "valid signature algorithms are [RS256 RS384 RS512], got \"" STR_FMT
                            "\"",
                            STR_ARG(str_sub(oauth2->signature_algorithm, 0, 100)));
    return true;
}

#define OWNER HttpOauth2Config
static const ConfigField oauth2_fields[] = {
    FIELD(client_id, CONFIG_STR, "the name of this client", .always_print = true),
    FIELD(client_secret, CONFIG_SECRET, "its secret"),
    FIELD(client_certificate_key_id, CONFIG_STR, "kid of the key that signs assertions"),
    FIELD(client_certificate_key, CONFIG_SECRET, "RSA key in PEM that signs assertions"),
    FIELD(client_certificate_key_file, CONFIG_PATH, "file with the key"),
    FIELD(client_secret_file, CONFIG_PATH, "file with the client's secret"),
    FIELD(grant_type, CONFIG_STR,
          "client_credentials (if empty) or urn:ietf:params:oauth:grant-type:jwt-bearer"),
    FIELD(signature_algorithm, CONFIG_STR, "RS256 (if empty), RS384 or RS512"),
    FIELD(iss, CONFIG_STR, "issuer of assertions; the client if empty"),
    FIELD(audience, CONFIG_STR, "audience of assertions; the token URL if empty"),
    FIELD(claims, CONFIG_CUSTOM, "more claims of assertions", .decode = claims_decode,
          .print = claims_print),
    FIELD(scopes, CONFIG_STR_LIST, "scopes asked for"),
    FIELD(token_url, CONFIG_STR, "where tokens come from", .always_print = true),
    FIELD(endpoint_params, CONFIG_STR_MAP, "more parameters for the token URL"),
    FIELD(tls_config, CONFIG_STRUCT, "TLS towards the token URL", .table = &http_tls_config_table),
    {.kind = CONFIG_INLINE,
     .offset = offsetof(HttpOauth2Config, proxy),
     .table = &http_proxy_config_table},
};
#undef OWNER
const ConfigTable http_oauth2_config_table =
    CONFIG_TABLE(HttpOauth2Config, "oauth2", oauth2_fields, oauth2_finish);

// ---- sigv4 ----

static bool sigv4_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpSigv4Config *sigv4 = object;
    if ((sigv4->access_key.len == 0) != (sigv4->secret_key.len == 0))
        return config_error(reader, node, err,
                            "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                            "specified in the SigV4 config");
    if (sigv4->external_id.len && sigv4->role_arn.len == 0)
        return config_error(reader, node, err, "external_id can only be used with role_arn");
    return true;
}

#define OWNER HttpSigv4Config
static const ConfigField sigv4_fields[] = {
    FIELD(region, CONFIG_STR, "AWS region; from the environment if empty"),
    FIELD(access_key, CONFIG_STR, "access key; from the environment or a profile if empty"),
    FIELD(secret_key, CONFIG_SECRET, "its secret"),
    FIELD(profile, CONFIG_STR, "profile of the shared credentials file"),
    FIELD(role_arn, CONFIG_STR, "role to take on before signing"),
    FIELD(external_id, CONFIG_STR, "external id for taking on the role"),
    FIELD(use_fips_sts_endpoint, CONFIG_BOOL, "take on the role at the FIPS endpoint"),
    FIELD(service_name, CONFIG_STR, "AWS service that requests are signed for; aps if empty"),
};
#undef OWNER
const ConfigTable http_sigv4_config_table =
    CONFIG_TABLE(HttpSigv4Config, "sigv4", sigv4_fields, sigv4_finish);
