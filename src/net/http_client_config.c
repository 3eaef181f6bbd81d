// SPDX-License-Identifier: Apache-2.0
// The http_config block: prometheus.md section 1.5. Error texts are those of prometheus/common where it has one.
#include <stddef.h>

#include "net/http_client.h"
#include "net/http_client_config_internal.h"

// ---- tls_config ----

static const char *const tls_versions[] = {"", "TLS10", "TLS11", "TLS12", "TLS13", NULL};

#define FIELD(name, of_kind, help_text, ...)                                                       \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = help_text,         \
        ##__VA_ARGS__                                                                              \
    }

#define OWNER HttpTlsConfig
static const ConfigField tls_fields[] = {
    FIELD(ca, CONFIG_STR, "CA certificates in PEM that the server's is checked against"),
    FIELD(cert, CONFIG_STR, "client certificate in PEM"),
    FIELD(key, CONFIG_SECRET, "private key of the client certificate in PEM"),
    FIELD(ca_file, CONFIG_PATH, "file with the CA certificates"),
    FIELD(cert_file, CONFIG_PATH, "file with the client certificate"),
    FIELD(key_file, CONFIG_PATH, "file with the private key"),
    FIELD(server_name, CONFIG_STR,
          "name asked for (SNI) and expected in the certificate instead of the host"),
    FIELD(insecure_skip_verify, CONFIG_BOOL, "accept any server certificate", .always_print = true),
    FIELD(min_version, CONFIG_ENUM, "lowest TLS version; TLS12 if unset", .words = tls_versions),
    FIELD(max_version, CONFIG_ENUM, "highest TLS version", .words = tls_versions),
};
#undef OWNER

static bool tls_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpTlsConfig *tls = object;
    bool has_cert = tls->cert.len || tls->cert_file.len;
    bool has_key = tls->key.len || tls->key_file.len;
    if (!http_config_one_at_most(reader, node, "ca and ca_file", tls->ca, tls->ca_file, err) ||
        !http_config_one_at_most(reader, node, "cert and cert_file", tls->cert, tls->cert_file,
                                 err) ||
        !http_config_one_at_most(reader, node, "key and key_file", tls->key, tls->key_file, err))
        return false;
    if (has_cert && !has_key)
        return config_error(reader, node, err,
                            "exactly one of key or key_file must be configured when a client "
                            "certificate is configured");
    if (has_key && !has_cert)
        return config_error(reader, node, err,
                            "exactly one of cert or cert_file must be configured when a client key "
                            "is configured");
    if (tls->max_version && tls->max_version < tls->min_version)
        return config_error(reader, node, err,
                            "tls_config max_version must be greater than or equal to "
                            "min_version if both are specified");
    return true;
}

const ConfigTable http_tls_config_table =
    CONFIG_TABLE(HttpTlsConfig, "tls_config", tls_fields, tls_finish);

// ---- basic_auth, authorization ----

#define OWNER HttpBasicAuth
static const ConfigField basic_auth_fields[] = {
    FIELD(username, CONFIG_STR, "user name"),
    FIELD(username_file, CONFIG_PATH, "file with the user name"),
    FIELD(password, CONFIG_SECRET, "password"),
    FIELD(password_file, CONFIG_PATH, "file with the password"),
};
#undef OWNER

static bool basic_auth_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpBasicAuth *auth = object;
    return http_config_one_at_most(reader, node, "basic_auth username & username_file",
                                   auth->username, auth->username_file, err) &&
           http_config_one_at_most(reader, node, "basic_auth password & password_file",
                                   auth->password, auth->password_file, err);
}

static const ConfigTable basic_auth_table =
    CONFIG_TABLE(HttpBasicAuth, "basic_auth", basic_auth_fields, basic_auth_finish);

#define OWNER HttpAuthorization
static const ConfigField authorization_fields[] = {
    FIELD(type, CONFIG_STR, "authentication scheme", .default_text = "Bearer",
          .always_print = true),
    FIELD(credentials, CONFIG_SECRET, "what stands behind the scheme"),
    FIELD(credentials_file, CONFIG_PATH, "file with the credentials"),
};
#undef OWNER

static bool authorization_finish(ConfigReader *reader, const YamlNode *node, void *object,
                                 Error *err)
{
    HttpAuthorization *auth = object;
    auth->type = str_trim(auth->type);
    if (auth->type.len == 0)
        auth->type = S("Bearer");
    if (str_equal_nocase(auth->type, S("basic")))
        return config_error(
            reader, node, err,
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return http_config_one_at_most(reader, node, "authorization credentials & credentials_file",
                                   auth->credentials, auth->credentials_file, err);
}

static const ConfigTable authorization_table =
    CONFIG_TABLE(HttpAuthorization, "authorization", authorization_fields, authorization_finish);

// ---- http_headers: a map from the name to values, secrets and files ----

#define OWNER HttpHeaderConfig
static const ConfigField header_fields[] = {
    FIELD(values, CONFIG_STR_LIST, "header values"),
    FIELD(secrets, CONFIG_STR_LIST, "header values that are not shown"),
    FIELD(files, CONFIG_STR_LIST, "files with header values"),
};
#undef OWNER

static const ConfigTable header_table =
    CONFIG_TABLE(HttpHeaderConfig, "http_header", header_fields, NULL);

static bool is_reserved_header(Str name)
{
    static const Str reserved[] = {
        STR("Authorization"),
        STR("Host"),
        STR("Content-Encoding"),
        STR("Content-Length"),
        STR("Content-Type"),
        STR("User-Agent"),
        STR("Connection"),
        STR("Keep-Alive"),
        STR("Proxy-Authenticate"),
        STR("Proxy-Authorization"),
        STR("Www-Authenticate"),
        STR("Accept-Encoding"),
        STR("X-Prometheus-Remote-Write-Version"),
        STR("X-Prometheus-Remote-Read-Version"),
        STR("X-Prometheus-Scrape-Timeout-Seconds"),
        STR("X-Amz-Date"),
        STR("X-Amz-Security-Token"),
        STR("X-Amz-Content-Sha256"),
    };
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (str_equal_nocase(reserved[i], name))
            return true;
    return false;
}

static Str path_in_folder(const ConfigReader *reader, Str path)
{
    if (path.len == 0 || path.ptr[0] == '/' || reader->folder.len == 0)
        return path;
    return arena_printf(reader->arena, STR_FMT "/" STR_FMT, STR_ARG(reader->folder), STR_ARG(path));
}

static bool headers_decode(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    ConfigList *list = member;
    if (node->kind != YAML_MAPPING && node->kind != YAML_NULL)
        return config_error(reader, node, err, "http_headers must be a map of header names");
    HttpHeaderConfig *headers = ARENA_ARRAY(reader->arena, HttpHeaderConfig, MAX(node->count, 1u));
    for (size_t i = 0; i < node->count; i++) {
        Str name = node->keys[i]->scalar;
        if (!http_config_is_header_name(name))
            return config_error(reader, node->keys[i], err, "\"" STR_FMT "\" is not a header name",
                                STR_ARG(name));
        if (is_reserved_header(name))
            return config_error(reader, node->keys[i], err,
                                "setting header \"" STR_FMT "\" is not allowed", STR_ARG(name));
        if (!config_decode(reader, &header_table, node->items[i], &headers[i], err))
            return false;
        headers[i].name = name;
        for (size_t f = 0; f < headers[i].files.count; f++)
            headers[i].files.items[f] = path_in_folder(reader, headers[i].files.items[f]);
    }
    *list = (ConfigList){headers, node->count};
    return true;
}

static void headers_print(Buf *buf, int indent, const char *key, const void *member)
{
    const ConfigList *list = member;
    const HttpHeaderConfig *headers = list->items;
    if (list->count == 0)
        return;
    http_config_indent(buf, indent);
    buf_printf(buf, "%s:\n", key);
    for (size_t i = 0; i < list->count; i++) {
        http_config_indent(buf, indent + 2);
        yaml_write_scalar(buf, headers[i].name);
        buf_add_c(buf, ":\n");
        http_config_print_list(buf, indent + 4, "values", headers[i].values, false);
        http_config_print_list(buf, indent + 4, "secrets", headers[i].secrets, true);
        http_config_print_list(buf, indent + 4, "files", headers[i].files, false);
    }
}

// ---- the block ----

#define OWNER HttpClientConfig
static const ConfigField client_fields[] = {
    FIELD(basic_auth, CONFIG_STRUCT_PTR, "HTTP basic authentication", .table = &basic_auth_table),
    FIELD(authorization, CONFIG_STRUCT_PTR, "Authorization header", .table = &authorization_table),
    FIELD(oauth2, CONFIG_STRUCT_PTR, "tokens from an OAuth 2.0 server",
          .table = &http_oauth2_config_table),
    FIELD(bearer_token, CONFIG_SECRET, "old form of authorization: credentials"),
    FIELD(bearer_token_file, CONFIG_PATH, "old form of authorization: credentials_file"),
    FIELD(tls_config, CONFIG_STRUCT, "TLS towards the server", .table = &http_tls_config_table),
    FIELD(follow_redirects, CONFIG_BOOL, "follow HTTP 3xx", .default_text = "true",
          .always_print = true),
    FIELD(enable_http2, CONFIG_BOOL, "offer HTTP/2 over TLS", .default_text = "true",
          .always_print = true),
    {.kind = CONFIG_INLINE,
     .offset = offsetof(HttpClientConfig, proxy),
     .table = &http_proxy_config_table},
    FIELD(http_headers, CONFIG_CUSTOM, "headers sent with each request", .decode = headers_decode,
          .print = headers_print),
};
#undef OWNER

static bool check_auth(ConfigReader *reader, const YamlNode *node, const HttpClientConfig *config,
                       Error *err)
{
    bool bearer = config->bearer_token.len || config->bearer_token_file.len;
    if (!http_config_one_at_most(reader, node, "bearer_token & bearer_token_file",
                                 config->bearer_token, config->bearer_token_file, err))
        return false;
    if ((config->basic_auth || config->oauth2) && bearer)
        return config_error(
            reader, node, err,
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must "
            "be configured");
    if (config->authorization && bearer)
        return config_error(
            reader, node, err,
            "authorization is not compatible with bearer_token & bearer_token_file");
    if (!!config->authorization + !!config->basic_auth + !!config->oauth2 > 1)
        return config_error(reader, node, err,
                            "at most one of basic_auth, oauth2 & authorization must be configured");
    return true;
}

static bool client_finish(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    HttpClientConfig *config = object;
    if (!check_auth(reader, node, config, err))
        return false;

    if (config->bearer_token.len || config->bearer_token_file.len) {
        config->authorization = ARENA_NEW(reader->arena, HttpAuthorization);
        *config->authorization = (HttpAuthorization){
            .type = STR("Bearer"),
            .credentials = config->bearer_token,
            .credentials_file = config->bearer_token_file,
        };
        config->bearer_token = STR_NONE;
        config->bearer_token_file = STR_NONE;
    }
    return true;
}

const ConfigTable http_client_config_table =
    CONFIG_TABLE(HttpClientConfig, "http_config", client_fields, client_finish);

void http_client_config_default(HttpClientConfig *ret_config)
{
    *ret_config = (HttpClientConfig){.follow_redirects = true, .enable_http2 = true};
}
