// SPDX-License-Identifier: Apache-2.0
#include "net/web_config.h"

#include <gnutls/gnutls.h>
#include <stddef.h>

#include "base/fs.h"
#include "base/timefmt.h"

#define PEM_BYTES_MAX ((size_t)16 << 20)

// Words -------------------------------------------------------------------------------------------------------------------------------

static const char *const tls_versions[] = {"", "TLS10", "TLS11", "TLS12", "TLS13", NULL};

static const struct {
    const char *name;
    WebClientAuth auth;
} client_auths[] = {
    {"", WEB_CLIENT_NONE},
    {"NoClientCert", WEB_CLIENT_NONE},
    {"RequestClientCert", WEB_CLIENT_REQUEST},
    {"RequireAnyClientCert", WEB_CLIENT_REQUIRE_ANY},
    {"RequireClientCert", WEB_CLIENT_REQUIRE_ANY}, // an old name
    {"VerifyClientCertIfGiven", WEB_CLIENT_VERIFY_IF_GIVEN},
    {"RequireAndVerifyClientCert", WEB_CLIENT_REQUIRE_VERIFIED},
};

static const char *const cipher_suites[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    NULL,
};

static const char *const curves[] = {"CurveP256", "CurveP384", "CurveP521", "X25519", NULL};

// Headers that may be set, and the values that are allowed where not all are.
static const struct {
    const char *name;
    const char *values[2];
} headers[] = {
    {"Strict-Transport-Security", {NULL}},       {"X-Content-Type-Options", {"nosniff"}},
    {"X-Frame-Options", {"deny", "sameorigin"}}, {"X-XSS-Protection", {NULL}},
    {"Content-Security-Policy", {NULL}},
};

// The value's node below a mapping, for its place; the mapping itself where there is none.
static const YamlNode *place_of(const YamlNode *node, const char *key)
{
    const YamlNode *found = yaml_get(node, str_from_c(key));
    return found ? found : node;
}

// tls_server_config -------------------------------------------------------------------------------------------------------------------

static bool check_words(const ConfigReader *reader, const YamlNode *node, const char *key,
                        const ConfigStrList *list, const char *const *known, const char *what,
                        Error *err)
{
    const YamlNode *place = place_of(node, key);
    for (size_t i = 0; i < list->count; i++) {
        size_t k = 0;
        while (known[k] && !str_is(list->items[i], known[k]))
            k++;
        if (!known[k])
            return config_error(reader, place->kind == YAML_SEQUENCE ? place->items[i] : place, err,
                                "unknown %s: " STR_FMT, what,
                                STR_ARG(str_sub(list->items[i], 0, 100)));
    }
    return true;
}

static bool find_client_auth(const ConfigReader *reader, const YamlNode *node, WebTls *tls,
                             Error *err)
{
    for (size_t i = 0; i < COUNT_OF(client_auths); i++)
        if (str_is(tls->client_auth_type, client_auths[i].name)) {
            tls->client_auth = client_auths[i].auth;
            return true;
        }
    return config_error(reader, place_of(node, "client_auth_type"), err,
                        "invalid ClientAuth: " STR_FMT,
                        STR_ARG(str_sub(tls->client_auth_type, 0, 100)));
}

static bool finish_tls(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    WebTls *tls = object;
    bool has_ca = tls->client_ca.len || tls->client_ca_file.len;
    bool has_cert = tls->cert.len || tls->cert_file.len;
    bool has_key = tls->key.len || tls->key_file.len;
    if (!check_words(reader, node, "cipher_suites", &tls->cipher_suites, cipher_suites, "cipher",
                     err) ||
        !check_words(reader, node, "curve_preferences", &tls->curve_preferences, curves, "curve",
                     err))
        return false;
    tls->is_enabled = has_cert || has_key || has_ca || tls->client_auth_type.len;
    if (!tls->is_enabled)
        return true;
    if (!has_cert)
        return config_error(reader, node, err, "missing one of cert or cert_file");
    if (!has_key)
        return config_error(reader, node, err, "missing one of key or key_file");
    if (!find_client_auth(reader, node, tls, err))
        return false;
    if (has_ca && tls->client_auth == WEB_CLIENT_NONE)
        return config_error(reader, node, err,
                            "client CA's have been configured without a Client Auth Policy");
    if (tls->max_version && tls->min_version > tls->max_version)
        return config_error(reader, node, err, "min_version is above max_version");
    return true;
}

#define FIELD(name, of_kind, help_text, ...)                                                       \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = help_text,         \
        ##__VA_ARGS__                                                                              \
    }

#define OWNER WebTls
static const ConfigField tls_fields[] = {
    FIELD(cert, CONFIG_STR, "the server's certificate in PEM"),
    FIELD(key, CONFIG_SECRET, "its private key in PEM"),
    FIELD(client_ca, CONFIG_STR, "CA certificates in PEM that clients' are checked against"),
    FIELD(cert_file, CONFIG_PATH, "file with the certificate"),
    FIELD(key_file, CONFIG_PATH, "file with the private key"),
    FIELD(client_auth_type, CONFIG_STR, "what clients' certificates are asked for"),
    FIELD(client_ca_file, CONFIG_PATH, "file with the CA certificates"),
    FIELD(cipher_suites, CONFIG_STR_LIST, "cipher suites below TLS 1.3; all good ones if empty"),
    FIELD(curve_preferences, CONFIG_STR_LIST, "elliptic curves, the best first"),
    FIELD(min_version, CONFIG_ENUM, "lowest TLS version", .default_text = "TLS12",
          .words = tls_versions),
    FIELD(max_version, CONFIG_ENUM, "highest TLS version", .default_text = "TLS13",
          .words = tls_versions),
    FIELD(prefer_server_cipher_suites, CONFIG_BOOL, "the server's order of cipher suites counts",
          .default_text = "true"),
    FIELD(client_allowed_sans, CONFIG_STR_LIST,
          "names of which one must stand in a client's certificate"),
};
#undef OWNER
static const ConfigTable tls_table =
    CONFIG_TABLE(WebTls, "tls_server_config", tls_fields, finish_tls);

// http_server_config ------------------------------------------------------------------------------------------------------------------

static bool check_header(const ConfigReader *reader, const YamlNode *place, Str name, Str value,
                         Error *err)
{
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        if (!str_is(name, headers[i].name))
            continue;
        const char *const *allowed = headers[i].values;
        for (size_t v = 0; v < COUNT_OF(headers[i].values) && allowed[v]; v++)
            if (str_is(value, allowed[v]))
                return true;
        if (!allowed[0])
            return str_find_char(value, '\n') == STR_NOT_FOUND ||
                   config_error(reader, place, err, "the value of %s has a line break",
                                headers[i].name);
        return config_error(reader, place, err,
                            "invalid value for %s. Expected one of: [\"%s\"%s%s%s], but got: "
                            "\"" STR_FMT "\"",
                            headers[i].name, allowed[0], allowed[1] ? " \"" : "",
                            allowed[1] ? allowed[1] : "", allowed[1] ? "\"" : "",
                            STR_ARG(str_sub(value, 0, 100)));
    }
    return config_error(reader, place, err, "HTTP header \"" STR_FMT "\" can not be configured",
                        STR_ARG(str_sub(name, 0, 100)));
}

static bool finish_http(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const WebHttp *http = object;
    const YamlNode *map = yaml_get(node, S("headers"));
    for (size_t i = 0; i < http->headers.count; i++)
        if (!check_header(reader, map ? map->keys[i] : node, http->headers.keys[i],
                          http->headers.values[i], err))
            return false;
    return true;
}

#define OWNER WebHttp
static const ConfigField http_fields[] = {
    FIELD(http2, CONFIG_BOOL, "offer HTTP/2 over TLS", .default_text = "true"),
    FIELD(headers, CONFIG_STR_MAP, "security headers sent with each answer"),
};
#undef OWNER
static const ConfigTable http_table =
    CONFIG_TABLE(WebHttp, "http_server_config", http_fields, finish_http);

// rate_limit --------------------------------------------------------------------------------------------------------------------------

static bool decode_interval(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    Error why = {0};
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_SCALAR || !go_duration_parse(node->scalar, member, &why))
        return config_error(reader, node, err, "interval: %s",
                            why.code ? why.text : "expected a duration");
    return *(int64_t *)member >= 0 ||
           config_error(reader, node, err, "interval: must not be negative");
}

static const ConfigField rate_fields[] = {
    {.key = "burst",
     .kind = CONFIG_I64,
     .offset = offsetof(WebRateLimit, burst),
     .help = "requests that may come at once"},
    {.key = "interval",
     .kind = CONFIG_CUSTOM,
     .decode = decode_interval,
     .offset = offsetof(WebRateLimit, interval_ms),
     .help = "time in which one more request is allowed"},
};
static const ConfigTable rate_table = CONFIG_TABLE(WebRateLimit, "rate_limit", rate_fields, NULL);

// The file ----------------------------------------------------------------------------------------------------------------------------

// $2a$10$ and 53 characters of salt and hash.
static bool is_bcrypt(Str hash)
{
    if (hash.len < 59 || !str_starts_with(hash, S("$2")))
        return false;
    Str rest = str_skip(hash, hash.ptr[2] == '$' ? 3 : 4);
    if (hash.ptr[2] != '$' && hash.ptr[3] != '$')
        return false;
    int cost = (rest.ptr[0] - '0') * 10 + (rest.ptr[1] - '0');
    return rest.ptr[0] >= '0' && rest.ptr[0] <= '9' && rest.ptr[1] >= '0' && rest.ptr[1] <= '9' &&
           rest.ptr[2] == '$' && cost >= 4 && cost <= 31;
}

static bool finish_web(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const WebConfig *config = object;
    const YamlNode *map = yaml_get(node, S("basic_auth_users"));
    for (size_t i = 0; i < config->users.count; i++)
        if (!is_bcrypt(config->users.values[i]))
            return config_error(reader, map ? map->items[i] : node, err,
                                "the password of user \"" STR_FMT "\" is not a bcrypt hash",
                                STR_ARG(str_sub(config->users.keys[i], 0, 100)));
    return true;
}

static const ConfigField web_fields[] = {
    {.key = "tls_server_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(WebConfig, tls),
     .table = &tls_table,
     .help = "TLS; plain HTTP without it"},
    {.key = "http_server_config",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(WebConfig, http),
     .table = &http_table,
     .help = "HTTP/2 and headers"},
    {.key = "rate_limit",
     .kind = CONFIG_STRUCT,
     .offset = offsetof(WebConfig, rate_limit),
     .table = &rate_table,
     .help = "requests in time; more are answered 429"},
    {.key = "basic_auth_users",
     .kind = CONFIG_STR_MAP,
     .offset = offsetof(WebConfig, users),
     .help = "bcrypt hashes of passwords, by user"},
};
const ConfigTable web_config_table = CONFIG_TABLE(WebConfig, "web_config", web_fields, finish_web);

bool web_config_load(Str path, Arena *arena, WebConfig *ret_config, Error *err)
{
    size_t slash = str_rfind_char(path, '/');
    ConfigReader reader = {
        .arena = arena,
        .file_name = path,
        .folder = slash == STR_NOT_FOUND ? S(".") : str_sub(path, 0, MAX(slash, (size_t)1))};
    Str text;
    YamlNode *root;
    return fs_read_file(&fs_system, path, arena, WEB_CONFIG_BYTES_MAX, &text, err) &&
           config_yaml(text, path, arena, &root, err) &&
           config_decode(&reader, &web_config_table, root, ret_config, err);
}

static bool read_part(const char *key, Str inline_text, Str path, Arena *arena, Str *ret_text,
                      Error *err)
{
    if (path.len == 0) {
        *ret_text = inline_text;
        return true;
    }
    return fs_read_file(&fs_system, path, arena, PEM_BYTES_MAX, ret_text, err) ||
           error_context(err, "failed to read %s", key);
}

static gnutls_datum_t datum(Str bytes)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len};
}

bool web_config_read_pem(const WebConfig *config, Arena *arena, WebTlsPem *ret_pem, Error *err)
{
    const WebTls *tls = &config->tls;
    WebTlsPem pem = {0};
    if (!tls->is_enabled) {
        *ret_pem = pem;
        return true;
    }
    if (!read_part("cert_file", tls->cert, tls->cert_file, arena, &pem.cert, err) ||
        !read_part("key_file", tls->key, tls->key_file, arena, &pem.key, err) ||
        !read_part("client_ca_file", tls->client_ca, tls->client_ca_file, arena, &pem.client_ca,
                   err))
        return false;
    gnutls_certificate_credentials_t credentials;
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_datum_t cert = datum(pem.cert);
    gnutls_datum_t key = datum(pem.key);
    gnutls_datum_t client_ca = datum(pem.client_ca);
    int code = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    const char *what = "certificate and key";
    if (code >= 0 && pem.client_ca.len) {
        code = gnutls_certificate_set_x509_trust_mem(credentials, &client_ca, GNUTLS_X509_FMT_PEM);
        what = "client CA";
    }
    gnutls_certificate_free_credentials(credentials);
    if (code < 0)
        return error_set(err, ERR_INVALID, "failed to load %s: %s", what, gnutls_strerror(code));
    *ret_pem = pem;
    return true;
}
