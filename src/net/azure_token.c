// SPDX-License-Identifier: Apache-2.0
// What azuread asks for a token: Entra's token endpoint with a secret, an assertion signed by a certificate's key, or the token of a
// Kubernetes service account; or the managed identity of the machine.
#include <gnutls/gnutls.h>
#include <gnutls/pkcs12.h>
#include <gnutls/x509.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/compress.h"
#include "codec/json_writer.h"
#include "net/cloud_token.h"
#include "net/digest.h"
#include "net/jwt.h"
#include "net/url.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define ASSERTION_GOOD_S 600
#define CHAIN_MAX 16
#define KEY_ID_BYTES 20
#define TOKEN_FILE_DEFAULT "/var/run/secrets/azure/tokens/azure-identity-token"

static const struct {
    const char *name, *login, *scope;
} clouds[] = {
    {"AzurePublic", "https://login.microsoftonline.com", "https://monitor.azure.com//.default"},
    {"AzureChina", "https://login.chinacloudapi.cn", "https://monitor.azure.cn//.default"},
    {"AzureGovernment", "https://login.microsoftonline.us", "https://monitor.azure.us//.default"},
};

static size_t cloud_of(const HttpAzureadConfig *config)
{
    for (size_t i = 0; i < COUNT_OF(clouds); i++)
        if (str_is(config->cloud, clouds[i].name))
            return i;
    return 0;
}

static Str scope_of(const HttpAzureadConfig *config)
{
    return config->scope.len ? config->scope : str_from_c(clouds[cloud_of(config)].scope);
}

static Str environment(const char *name)
{
    const char *value = getenv(name);
    return value ? str_from_c(value) : STR_NONE;
}

// Entra ------------------------------------------------------------------------------------------------------------------------------

// The endpoint, and what all grants of client_credentials say.
static void ask_entra(const HttpAzureadConfig *config, Str tenant, Str client, CloudAsk *ask)
{
    Str host = environment("AZURE_AUTHORITY_HOST");
    if (host.len == 0)
        host = str_from_c(clouds[cloud_of(config)].login);
    while (str_ends_with(host, S("/")))
        host.len--;
    buf_add_str(&ask->url, host);
    buf_add_char(&ask->url, '/');
    url_add_query_escaped(&ask->url, tenant);
    buf_add_c(&ask->url, "/oauth2/v2.0/token");
    cloud_token_add_param(&ask->body, "grant_type", S("client_credentials"));
    cloud_token_add_param(&ask->body, "client_id", client);
    cloud_token_add_param(&ask->body, "scope", scope_of(config));
}

static void ask_by_assertion(const HttpAzureadConfig *config, Str tenant, Str client, Str assertion,
                             CloudAsk *ask)
{
    ask_entra(config, tenant, client, ask);
    cloud_token_add_param(&ask->body, "client_assertion_type",
                          S("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    cloud_token_add_param(&ask->body, "client_assertion", assertion);
}

static bool ask_by_workload(const HttpAzureadConfig *config, const HttpAzureIdentity *identity,
                            CloudAsk *ask, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str path = identity->token_file_path;
    Str token;
    if (path.len == 0)
        path = environment("AZURE_FEDERATED_TOKEN_FILE");
    if (path.len == 0)
        path = S(TOKEN_FILE_DEFAULT);
    if (!fs_read_file(&fs_system, path, &arena, FILE_BYTES_MAX, &token, err))
        return error_context(err, "workload identity token file");
    ask_by_assertion(config, identity->tenant_id, identity->client_id, str_trim(token), ask);
    return true;
}

// Certificates -----------------------------------------------------------------------------------------------------------------------

typedef struct Signer {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t *chain;
    unsigned chain_count;
    gnutls_datum_t key_pem;
} Signer;

static void signer_deinit(Signer *signer)
{
    for (unsigned i = 0; i < signer->chain_count; i++)
        gnutls_x509_crt_deinit(signer->chain[i]);
    gnutls_free(signer->chain);
    if (signer->key)
        gnutls_x509_privkey_deinit(signer->key);
    if (signer->key_pem.data)
        explicit_bzero(signer->key_pem.data, signer->key_pem.size);
    gnutls_free(signer->key_pem.data);
}

static int read_pem(Signer *signer, const gnutls_datum_t *data)
{
    int code = gnutls_x509_crt_list_import2(&signer->chain, &signer->chain_count, data,
                                            GNUTLS_X509_FMT_PEM, 0);
    if (code >= 0)
        code = gnutls_x509_privkey_init(&signer->key);
    if (code >= 0)
        code = gnutls_x509_privkey_import2(signer->key, data, GNUTLS_X509_FMT_PEM, NULL, 0);
    return code;
}

static int read_pkcs12(Signer *signer, const gnutls_datum_t *data, const char *password)
{
    gnutls_pkcs12_t box;
    int code = gnutls_pkcs12_init(&box);
    if (code < 0)
        return code;
    code = gnutls_pkcs12_import(box, data, GNUTLS_X509_FMT_DER, 0);
    if (code >= 0)
        code = gnutls_pkcs12_simple_parse(box, password, &signer->key, &signer->chain,
                                          &signer->chain_count, NULL, NULL, NULL, 0);
    gnutls_pkcs12_deinit(box);
    return code;
}

static bool read_signer(Str bytes, Str password, Signer *signer, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    gnutls_datum_t data = {(unsigned char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len};
    int code = str_find(bytes, S("-----BEGIN")) != STR_NOT_FOUND
                   ? read_pem(signer, &data)
                   : read_pkcs12(signer, &data, str_to_c(&arena, password));
    if (code >= 0 && (!signer->key || signer->chain_count == 0))
        return error_set(err, ERR_INVALID,
                         "failed to parse certificate data: found no certificate and key");
    if (code >= 0)
        code = gnutls_x509_privkey_export2(signer->key, GNUTLS_X509_FMT_PEM, &signer->key_pem);
    return code >= 0 || error_set(err, ERR_INVALID, "failed to parse certificate data: %s",
                                  gnutls_strerror(code));
}

// The certificate that the key belongs to.
static gnutls_x509_crt_t own_certificate(const Signer *signer)
{
    unsigned char of_key[KEY_ID_BYTES], of_cert[KEY_ID_BYTES];
    size_t bytes = sizeof of_key;
    if (gnutls_x509_privkey_get_key_id(signer->key, 0, of_key, &bytes) < 0)
        return NULL;
    for (unsigned i = 0; i < signer->chain_count; i++) {
        size_t cert_bytes = sizeof of_cert;
        if (gnutls_x509_crt_get_key_id(signer->chain[i], 0, of_cert, &cert_bytes) >= 0 &&
            memcmp(of_key, of_cert, sizeof of_key) == 0)
            return signer->chain[i];
    }
    return NULL;
}

static void add_chain(JsonWriter *json, const Signer *signer)
{
    json_key(json, S("x5c"));
    json_array(json);
    for (unsigned i = 0; i < MIN(signer->chain_count, CHAIN_MAX); i++) {
        CLEANUP(buf_deinit) Buf text = {0};
        gnutls_datum_t der = {NULL, 0};
        if (gnutls_x509_crt_export2(signer->chain[i], GNUTLS_X509_FMT_DER, &der) < 0)
            continue;
        base64_encode(str_make((const char *)der.data, der.size), &text);
        gnutls_free(der.data);
        json_str(json, buf_str(&text));
    }
    json_array_end(json);
}

static bool add_jose_header(const Signer *signer, bool sends_chain, Buf *out, Error *err)
{
    CLEANUP(buf_deinit) Buf thumbprint = {0};
    gnutls_x509_crt_t own = own_certificate(signer);
    uint8_t sha1[SHA1_BYTES];
    size_t bytes = sizeof sha1;
    JsonWriter json;
    if (!own || gnutls_x509_crt_get_fingerprint(own, GNUTLS_DIG_SHA1, sha1, &bytes) < 0)
        return error_set(err, ERR_INVALID, "the certificate and the key do not belong together");
    jwt_add_base64url(&thumbprint, str_make((const char *)sha1, sizeof sha1));
    json_writer_init(&json, out);
    json_object(&json);
    json_key_c(&json, "alg", "RS256");
    json_key_c(&json, "typ", "JWT");
    json_key_str(&json, "x5t", buf_str(&thumbprint));
    if (sends_chain)
        add_chain(&json, signer);
    json_object_end(&json);
    return true;
}

static void add_claims(Str audience, Str client, Buf *out)
{
    int64_t now_s = clock_now_ms(&clock_system) / 1000;
    char id[JWT_ID_BYTES + 1];
    JsonWriter json;
    jwt_id(id);
    json_writer_init(&json, out);
    json_object(&json);
    json_key_str(&json, "aud", audience);
    json_key_i64(&json, "exp", now_s + ASSERTION_GOOD_S);
    json_key_str(&json, "iss", client);
    json_key_c(&json, "jti", id);
    json_key_i64(&json, "nbf", now_s);
    json_key_str(&json, "sub", client);
    json_object_end(&json);
}

static bool read_files(const HttpAzureIdentity *identity, Buf *out, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Str bytes;
    if (!fs_read_file(&fs_system, identity->certificate_path, &arena, FILE_BYTES_MAX, &bytes, err))
        return error_context(err, "failed to read certificate file");
    buf_add_str(out, bytes);
    if (identity->certificate_key_path.len == 0)
        return true;
    if (!fs_read_file(&fs_system, identity->certificate_key_path, &arena, FILE_BYTES_MAX, &bytes,
                      err))
        return error_context(err, "failed to read private key file");
    buf_add_char(out, '\n');
    buf_add_str(out, bytes);
    return true;
}

static bool ask_by_certificate(const HttpAzureadConfig *config, const HttpAzureIdentity *identity,
                               CloudAsk *ask, Error *err)
{
    CLEANUP(buf_deinit) Buf bytes = {0};
    CLEANUP(buf_deinit) Buf header = {0};
    CLEANUP(buf_deinit) Buf claims = {0};
    CLEANUP(buf_deinit) Buf assertion = {0};
    CLEANUP(signer_deinit) Signer signer = {0};
    if (!read_files(identity, &bytes, err) ||
        !read_signer(buf_str(&bytes), identity->certificate_password, &signer, err) ||
        !add_jose_header(&signer, identity->send_certificate_chain, &header, err))
        return false;
    // The audience is the endpoint that the assertion is sent to.
    CloudAsk trial = {0};
    ask_entra(config, identity->tenant_id, identity->client_id, &trial);
    add_claims(buf_str(&trial.url), identity->client_id, &claims);
    buf_deinit(&trial.url);
    buf_deinit(&trial.body);
    if (!jwt_sign(buf_str(&header), buf_str(&claims),
                  str_make((const char *)signer.key_pem.data, signer.key_pem.size), JWT_RS256,
                  &assertion, err))
        return false;
    ask_by_assertion(config, identity->tenant_id, identity->client_id, buf_str(&assertion), ask);
    return true;
}

// The machine ------------------------------------------------------------------------------------------------------------------------

// The scope without its last part is the resource.
static Str resource_of(const HttpAzureadConfig *config)
{
    Str scope = scope_of(config);
    return str_ends_with(scope, S("/.default")) ? str_sub(scope, 0, scope.len - strlen("/.default"))
                                                : scope;
}

static void ask_machine(const HttpAzureadConfig *config, Str client, CloudAsk *ask)
{
    Str endpoint = environment("IDENTITY_ENDPOINT");
    Str secret = environment("IDENTITY_HEADER");
    bool is_app = endpoint.len && secret.len;
    Str host = environment("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    if (is_app) {
        buf_printf(&ask->url, STR_FMT "?api-version=2019-08-01", STR_ARG(endpoint));
        buf_printf(&ask->header, "X-IDENTITY-HEADER: " STR_FMT, STR_ARG(secret));
    } else {
        while (str_ends_with(host, S("/")))
            host.len--;
        buf_printf(&ask->url, STR_FMT "/metadata/identity/oauth2/token?api-version=2018-02-01",
                   STR_ARG(host.len ? host : S("http://169.254.169.254")));
        buf_add_c(&ask->header, "Metadata: true");
    }
    cloud_token_add_param(&ask->url, "resource", resource_of(config));
    if (client.len)
        cloud_token_add_param(&ask->url, "client_id", client);
}

// As the library's default chain, without the programs of a person at a desk.
static bool ask_by_environment(const HttpAzureadConfig *config, CloudAsk *ask, Error *err)
{
    Str tenant = config->sdk->tenant_id;
    HttpAzureIdentity found = {
        .client_id = environment("AZURE_CLIENT_ID"),
        .tenant_id = environment("AZURE_TENANT_ID"),
        .client_secret = environment("AZURE_CLIENT_SECRET"),
        .certificate_path = environment("AZURE_CLIENT_CERTIFICATE_PATH"),
        .certificate_password = environment("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        .token_file_path = environment("AZURE_FEDERATED_TOKEN_FILE"),
    };
    bool is_known = found.client_id.len && found.tenant_id.len;
    if (is_known && found.client_secret.len) {
        ask_entra(config, found.tenant_id, found.client_id, ask);
        cloud_token_add_param(&ask->body, "client_secret", found.client_secret);
        return true;
    }
    if (is_known && found.certificate_path.len)
        return ask_by_certificate(config, &found, ask, err);
    if (tenant.len)
        found.tenant_id = tenant;
    if (found.client_id.len && found.tenant_id.len && found.token_file_path.len)
        return ask_by_workload(config, &found, ask, err);
    ask_machine(config, found.client_id, ask);
    return true;
}

bool azure_token_ask(const HttpAzureadConfig *config, CloudAsk *ask, Error *err)
{
    if (config->workload_identity)
        return ask_by_workload(config, config->workload_identity, ask, err);
    if (config->certificate)
        return ask_by_certificate(config, config->certificate, ask, err);
    if (config->sdk)
        return ask_by_environment(config, ask, err);
    if (config->oauth) {
        ask_entra(config, config->oauth->tenant_id, config->oauth->client_id, ask);
        cloud_token_add_param(&ask->body, "client_secret", config->oauth->client_secret);
    } else {
        ask_machine(config, config->managed_identity->client_id, ask);
    }
    return true;
}
