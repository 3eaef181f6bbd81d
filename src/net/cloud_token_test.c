// SPDX-License-Identifier: Apache-2.0
#include "net/cloud_token.h"

#include <gnutls/abstract.h>
#include <gnutls/pkcs12.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/json_reader.h"
#include "net/http_server.h"
#include "net/pem_fake.h"
#include "net/url.h"

#define ID "11111111-2222-3333-4444-555555555555"
#define TENANT "66666666-7777-8888-9999-000000000000"

// Entra, the metadata services and Google's token server in one; /guarded answers with the Authorization that it was shown.
typedef struct Fixture {
    HttpServer *server;
    int port;
    _Atomic int tokens;
    Lock lock;
    Buf seen; // of the last question for a token: method, path, query, headers of note, body
    const char *answer;
    int status;
    FakeFolder folder;
} Fixture;

static void note(Fixture *f, HttpRequest *request)
{
    static const char *const headers[] = {"Metadata", "Metadata-Flavor", "X-IDENTITY-HEADER"};
    lock_take(&f->lock);
    buf_reset(&f->seen);
    buf_printf(&f->seen, STR_FMT " " STR_FMT "\n", STR_ARG(request->method),
               STR_ARG(request->target));
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        Str value = http_header(request, str_from_c(headers[i]));
        if (value.len)
            buf_printf(&f->seen, "%s: " STR_FMT "\n", headers[i], STR_ARG(value));
    }
    buf_add_str(&f->seen, request->body);
    lock_give(&f->lock);
}

static void handle(void *arg, HttpRequest *request)
{
    Fixture *f = arg;
    if (str_is(request->path, "/guarded")) {
        http_reply(request, 200, S("text/plain"), http_header(request, S("Authorization")));
        return;
    }
    atomic_fetch_add(&f->tokens, 1);
    note(f, request);
    http_reply(request, f->status, S("application/json"), str_from_c(f->answer));
}

static const char *const variables[] = {"AZURE_AUTHORITY_HOST",
                                        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                                        "IDENTITY_ENDPOINT",
                                        "IDENTITY_HEADER",
                                        "AZURE_CLIENT_ID",
                                        "AZURE_TENANT_ID",
                                        "AZURE_CLIENT_SECRET",
                                        "AZURE_CLIENT_CERTIFICATE_PATH",
                                        "AZURE_FEDERATED_TOKEN_FILE",
                                        "GOOGLE_APPLICATION_CREDENTIALS",
                                        "GCE_METADATA_HOST",
                                        "HOME"};

static void start(Fixture *f)
{
    Error err;
    HttpServerOptions options;
    *f = (Fixture){.answer = "{\"access_token\":\"T\",\"expires_in\":3600}", .status = 200};
    fake_folder_make(&f->folder);
    lock_init(&f->lock, "test", 1);
    http_server_options_default(&options);
    options.handle = handle;
    options.arg = f;
    CHECK_OK(http_server_start(&options, &f->server, &f->port, &err), err);
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        unsetenv(variables[i]);
}

static void stop(Fixture *f)
{
    http_server_stop(f->server);
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    buf_deinit(&f->seen);
    lock_deinit(&f->lock);
    fake_folder_remove(&f->folder);
}

static Str origin(Fixture *f, const char *path)
{
    return arena_printf(&f->folder.arena, "http://127.0.0.1:%d%s", f->port, path);
}

static void set_to_origin(Fixture *f, const char *name, const char *path)
{
    setenv(name, str_to_c(&f->folder.arena, origin(f, path)), 1);
}

// Writes "FOLDER/" in place of each '@'.
static Str with_folder(Fixture *f, const char *text)
{
    Buf out = {0};
    for (; *text; text++) {
        if (*text == '@')
            buf_printf(&out, "%s/", f->folder.name);
        else
            buf_add_char(&out, *text);
    }
    Str done = arena_str(&f->folder.arena, buf_str(&out));
    buf_deinit(&out);
    return done;
}

// The client's configuration with the YAML of its azuread or google_iam block.
static bool configure(Fixture *f, const char *block, const char *yaml, HttpClientConfig *ret_config,
                      Error *err)
{
    Arena *arena = &f->folder.arena;
    YamlNode *root;
    ConfigReader reader = {.arena = arena, .file_name = STR("prometheus.yml")};
    http_client_config_default(ret_config);
    if (!yaml_parse(with_folder(f, yaml), S("prometheus.yml"), arena, &root, err))
        return false;
    if (strcmp(block, "google_iam") == 0) {
        ret_config->google_iam = ARENA_NEW(arena, HttpGoogleIamConfig);
        return config_decode(&reader, &http_google_iam_config_table, root, ret_config->google_iam,
                             err);
    }
    ret_config->azuread = ARENA_NEW(arena, HttpAzureadConfig);
    return config_decode(&reader, &http_azuread_config_table, root, ret_config->azuread, err);
}

static bool fetch(Fixture *f, const HttpClientConfig *config, Str *ret_body, Error *err)
{
    int status;
    HttpCallOptions call = {.url = origin(f, "/guarded"), .timeout_ms = 20000};
    return http_fetch(config, &call, &f->folder.arena, &status, ret_body, err);
}

TEST(cloud_token, azure_is_asked_in_each_way)
{
    static const struct {
        const char *name, *yaml, *environment, *want;
    } cases[] = {
        {"secret", "oauth: {client_id: " ID ", client_secret: s3cret/+, tenant_id: " TENANT "}", "",
         "POST /" TENANT "/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=" ID
         "&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default&client_secret=s3cret%2F%2B"},
        {"another cloud",
         "{cloud: AzureChina, oauth: {client_id: " ID ", client_secret: s, tenant_id: t}}", "",
         "POST /t/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=" ID
         "&scope=https%3A%2F%2Fmonitor.azure.cn%2F%2F.default&client_secret=s"},
        {"another scope",
         "{scope: 'api://x/.default', oauth: {client_id: " ID ", client_secret: s, tenant_id: t}}",
         "",
         "POST /t/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=" ID
         "&scope=api%3A%2F%2Fx%2F.default&client_secret=s"},
        {"machine", "managed_identity: {}", "",
         "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="
         "https%3A%2F%2Fmonitor.azure.com%2F\nMetadata: true\n"},
        {"one of the machine's identities", "managed_identity: {client_id: " ID "}", "",
         "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="
         "https%3A%2F%2Fmonitor.azure.com%2F&client_id=" ID "\nMetadata: true\n"},
        {"app service", "managed_identity: {client_id: " ID "}",
         "IDENTITY_ENDPOINT=/msi/token IDENTITY_HEADER:secret",
         "GET /msi/token?api-version=2019-08-01&resource="
         "https%3A%2F%2Fmonitor.azure.com%2F&client_id=" ID "\nX-IDENTITY-HEADER: secret\n"},
        {"workload",
         "workload_identity: {client_id: " ID ", tenant_id: " TENANT ", token_file_path: '@token'}",
         "",
         "POST /" TENANT "/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=" ID
         "&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default&client_assertion_type=urn%3Aietf%3A"
         "params%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=from.a.pod"},
        {"workload by the webhook", "workload_identity: {client_id: " ID ", tenant_id: " TENANT "}",
         "AZURE_FEDERATED_TOKEN_FILE@token",
         "POST /" TENANT "/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=" ID
         "&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default&client_assertion_type=urn%3Aietf%3A"
         "params%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=from.a.pod"},
        {"environment: secret", "sdk: {}",
         "AZURE_CLIENT_ID:c AZURE_TENANT_ID:t AZURE_CLIENT_SECRET:s",
         "POST /t/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=c"
         "&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default&client_secret=s"},
        {"environment: workload", "sdk: {tenant_id: mine}",
         "AZURE_CLIENT_ID:c AZURE_FEDERATED_TOKEN_FILE@token",
         "POST /mine/oauth2/v2.0/token\ngrant_type=client_credentials&client_id=c"
         "&scope=https%3A%2F%2Fmonitor.azure.com%2F%2F.default&client_assertion_type=urn%3Aietf%3A"
         "params%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=from.a.pod"},
        {"environment: machine", "sdk: {}", "AZURE_CLIENT_ID:c",
         "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="
         "https%3A%2F%2Fmonitor.azure.com%2F&client_id=c\nMetadata: true\n"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err;
        Str body, rest, item;
        start(&f);
        fake_folder_write(&f.folder, "token", S("from.a.pod\n"));
        set_to_origin(&f, "AZURE_AUTHORITY_HOST", "/");
        set_to_origin(&f, "AZURE_POD_IDENTITY_AUTHORITY_HOST", "");
        rest = str_from_c(c->environment);
        while (str_split_next(&rest, ' ', &item)) {
            size_t end = 0;
            while (end < item.len && !strchr("=:@", item.ptr[end]))
                end++;
            char *name = str_to_c(&f.folder.arena, str_sub(item, 0, end));
            const char *value = str_to_c(&f.folder.arena, str_skip(item, end + 1));
            if (item.ptr[end] == '=')
                set_to_origin(&f, name, value);
            else if (item.ptr[end] == '@')
                setenv(name,
                       str_to_c(&f.folder.arena,
                                arena_printf(&f.folder.arena, "%s/%s", f.folder.name, value)),
                       1);
            else
                setenv(name, value, 1);
        }
        CHECK_OK(configure(&f, "azuread", c->yaml, &config, &err), err);

        CHECK_OK(fetch(&f, &config, &body, &err), err);

        CHECK_STR(body, S("Bearer T"));
        CHECK_STR(buf_str(&f.seen), str_from_c(c->want));
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

// A certificate with an RSA key, as the clouds want it; the files are cert.pem, key.pem and both.p12 (password "word").
static void make_rsa(Fixture *f, gnutls_x509_crt_t *ret_cert, Str *ret_key_pem)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t cert_pem, key_pem, cert_der, key_der;
    gnutls_x509_privkey_init(&key);
    CHECK_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    gnutls_x509_crt_init(ret_cert);
    gnutls_x509_crt_set_version(*ret_cert, 3);
    gnutls_x509_crt_set_key(*ret_cert, key);
    gnutls_x509_crt_set_serial(*ret_cert, "\1", 1);
    gnutls_x509_crt_set_activation_time(*ret_cert, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(*ret_cert, time(NULL) + 86400);
    CHECK_EQ(gnutls_x509_crt_sign2(*ret_cert, *ret_cert, key, GNUTLS_DIG_SHA256, 0), 0);
    CHECK_EQ(gnutls_x509_crt_export2(*ret_cert, GNUTLS_X509_FMT_PEM, &cert_pem), 0);
    CHECK_EQ(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem), 0);
    CHECK_EQ(gnutls_x509_crt_export2(*ret_cert, GNUTLS_X509_FMT_DER, &cert_der), 0);
    CHECK_EQ(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, "word",
                                               GNUTLS_PKCS_PBES2_AES_256, &key_der),
             0);
    fake_folder_write(&f->folder, "cert.pem", str_make((const char *)cert_pem.data, cert_pem.size));
    fake_folder_write(&f->folder, "key.pem", str_make((const char *)key_pem.data, key_pem.size));
    *ret_key_pem = arena_str(&f->folder.arena, str_make((const char *)key_pem.data, key_pem.size));

    gnutls_pkcs12_t box;
    gnutls_pkcs12_bag_t bags[2];
    gnutls_datum_t p12;
    unsigned char id[20];
    size_t id_bytes = sizeof id;
    gnutls_datum_t id_datum = {id, sizeof id};
    CHECK_EQ(gnutls_x509_crt_get_key_id(*ret_cert, 0, id, &id_bytes), 0);
    gnutls_pkcs12_init(&box);
    for (int i = 0; i < 2; i++) {
        gnutls_pkcs12_bag_init(&bags[i]);
        int at =
            i == 0 ? gnutls_pkcs12_bag_set_crt(bags[i], *ret_cert)
                   : gnutls_pkcs12_bag_set_data(bags[i], GNUTLS_BAG_PKCS8_ENCRYPTED_KEY, &key_der);
        CHECK(at >= 0);
        gnutls_pkcs12_bag_set_key_id(bags[i], (unsigned)at, &id_datum);
        CHECK_EQ(gnutls_pkcs12_set_bag(box, bags[i]), 0);
        gnutls_pkcs12_bag_deinit(bags[i]);
    }
    CHECK_EQ(gnutls_pkcs12_generate_mac(box, "word"), 0);
    CHECK_EQ(gnutls_pkcs12_export2(box, GNUTLS_X509_FMT_DER, &p12), 0);
    fake_folder_write(&f->folder, "both.p12", str_make((const char *)p12.data, p12.size));
    gnutls_pkcs12_deinit(box);
    gnutls_x509_privkey_deinit(key);
    gnutls_datum_t *all[] = {&cert_pem, &key_pem, &cert_der, &key_der, &p12};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        gnutls_free(all[i]->data);
}

// Of a form: the value of `name`, which needs no unescaping.
static Str form_value(Str form, const char *name)
{
    Str item;
    while (str_split_next(&form, '&', &item))
        if (str_starts_with(item, str_from_c(name)) && item.ptr[strlen(name)] == '=')
            return str_skip(item, strlen(name) + 1);
    return STR_NONE;
}

static void check_signature(gnutls_x509_crt_t cert, Str signed_text, Str signature)
{
    gnutls_pubkey_t key;
    gnutls_datum_t data = {(unsigned char *)(uintptr_t)signed_text.ptr, (unsigned)signed_text.len};
    gnutls_datum_t sig = {(unsigned char *)(uintptr_t)signature.ptr, (unsigned)signature.len};
    gnutls_pubkey_init(&key);
    CHECK_EQ(gnutls_pubkey_import_x509(key, cert, 0), 0);
    CHECK(gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &sig) >= 0);
    gnutls_pubkey_deinit(key);
}

// The parts of an assertion, the signature checked.
static void take_apart(Fixture *f, Str assertion, gnutls_x509_crt_t cert, JsonValue **ret_header,
                       JsonValue **ret_claims)
{
    Str rest = assertion, header = STR_NONE, claims = STR_NONE;
    Error err;
    CHECK(str_split_next(&rest, '.', &header) && str_split_next(&rest, '.', &claims));
    check_signature(cert, str_sub(assertion, 0, header.len + 1 + claims.len),
                    decode_part(&f->folder.arena, rest));
    CHECK_OK(json_read(decode_part(&f->folder.arena, header), &f->folder.arena, ret_header, &err),
             err);
    CHECK_OK(json_read(decode_part(&f->folder.arena, claims), &f->folder.arena, ret_claims, &err),
             err);
}

TEST(cloud_token, azure_takes_a_certificate_of_each_form)
{
    static const struct {
        const char *name, *files;
        bool has_chain;
    } cases[] = {
        {"two files", "certificate_path: '@cert.pem', certificate_key_path: '@key.pem'", false},
        {"PKCS #12 and the chain",
         "certificate_path: '@both.p12', certificate_password: word, send_certificate_chain: true",
         true},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err;
        Str body, key_pem;
        gnutls_x509_crt_t cert;
        JsonValue *header, *claims;
        start(&f);
        make_rsa(&f, &cert, &key_pem);
        set_to_origin(&f, "AZURE_AUTHORITY_HOST", "");
        Str yaml = arena_printf(&f.folder.arena,
                                "certificate: {client_id: " ID ", tenant_id: t, %s}", c->files);
        CHECK_OK(configure(&f, "azuread", str_to_c(&f.folder.arena, yaml), &config, &err), err);

        CHECK_OK(fetch(&f, &config, &body, &err), err);

        CHECK_STR(body, S("Bearer T"));
        take_apart(&f, form_value(buf_str(&f.seen), "client_assertion"), cert, &header, &claims);
        CHECK_EQ(json_get(header, S("x5t"))->str.len, 27);
        CHECK_EQ(json_get(header, S("x5c")) != NULL, c->has_chain);
        CHECK_STR(json_get(claims, S("iss"))->str, S(ID));
        CHECK_STR(json_get(claims, S("sub"))->str, S(ID));
        CHECK_STR(json_get(claims, S("aud"))->str, origin(&f, "/t/oauth2/v2.0/token"));
        gnutls_x509_crt_deinit(cert);
        stop(&f);
    }
}

TEST(cloud_token, google_is_asked_by_each_kind_of_credentials)
{
    Fixture f;
    HttpClientConfig config;
    Error err;
    Str body, key_pem;
    gnutls_x509_crt_t cert;
    JsonValue *header, *claims;
    Buf file = {0};
    start(&f);
    make_rsa(&f, &cert, &key_pem);
    buf_printf(&file,
               "{\"type\":\"service_account\",\"client_email\":\"me@project\",\"private_key_id\":"
               "\"k1\",\"token_uri\":\"http://127.0.0.1:%d/google\",\"private_key\":\"",
               f.port);
    for (size_t i = 0; i < key_pem.len; i++)
        if (key_pem.ptr[i] == '\n')
            buf_add_c(&file, "\\n");
        else
            buf_add_char(&file, key_pem.ptr[i]);
    buf_add_c(&file, "\"}");
    fake_folder_write(&f.folder, "service.json", buf_str(&file));
    buf_deinit(&file);

    CHECK_OK(configure(&f, "google_iam", "credentials_file: '@service.json'", &config, &err), err);
    CHECK_OK(fetch(&f, &config, &body, &err), err);

    CHECK_STR(body, S("Bearer T"));
    CHECK(str_starts_with(buf_str(&f.seen),
                          S("POST /google\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type"
                            "%3Ajwt-bearer&assertion=")));
    take_apart(&f, form_value(buf_str(&f.seen), "assertion"), cert, &header, &claims);
    CHECK_STR(json_get(header, S("kid"))->str, S("k1"));
    CHECK_STR(json_get(claims, S("iss"))->str, S("me@project"));
    CHECK_STR(json_get(claims, S("aud"))->str, origin(&f, "/google"));
    CHECK_STR(json_get(claims, S("scope"))->str,
              S("https://www.googleapis.com/auth/monitoring.write"));

    setenv("GCE_METADATA_HOST",
           str_to_c(&f.folder.arena, arena_printf(&f.folder.arena, "127.0.0.1:%d", f.port)), 1);
    CHECK_OK(configure(&f, "google_iam", "{}", &config, &err), err);
    CHECK_OK(fetch(&f, &config, &body, &err), err);

    CHECK_STR(body, S("Bearer T"));
    CHECK_STR(buf_str(&f.seen),
              S("GET /computeMetadata/v1/instance/service-accounts/default/token?scopes="
                "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fmonitoring.write\n"
                "Metadata-Flavor: Google\n"));
    gnutls_x509_crt_deinit(cert);
    stop(&f);
}

TEST(cloud_token, what_is_wrong_is_said_without_secrets)
{
    static const struct {
        const char *name, *block, *yaml, *answer;
        int status;
        const char *want;
    } cases[] = {
        {"refused", "azuread", "oauth: {client_id: " ID ", client_secret: s3cret, tenant_id: t}",
         "{\"error\":\"invalid_client\",\"error_description\":\"no such client\",\"x\":\"s3cret\"}",
         401,
         "azuread: failed to get access token: HTTP status 401: invalid_client: no such client"},
        {"no token", "azuread", "managed_identity: {}", "{}", 200, "access token is empty"},
        {"no JSON", "azuread", "managed_identity: {}", "<html>", 200, "the answer is no JSON"},
        {"no token file", "azuread",
         "workload_identity: {client_id: " ID ", tenant_id: " TENANT ", token_file_path: '@gone'}",
         "", 200, "workload identity token file"},
        {"no certificate", "azuread",
         "certificate: {client_id: " ID ", tenant_id: t, certificate_path: '@gone'}", "", 200,
         "failed to read certificate file"},
        {"a file that is none", "azuread",
         "certificate: {client_id: " ID ", tenant_id: t, certificate_path: '@junk', "
         "certificate_password: s3cret}",
         "", 200, "failed to parse certificate data"},
        {"no credentials", "google_iam", "credentials_file: '@gone'", "", 200,
         "google_iam: failed to get access token: error reading Google credentials file"},
        {"credentials of another kind", "google_iam", "credentials_file: '@kind'", "", 200,
         "type \"external\" is neither"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err;
        Str body;
        start(&f);
        f.answer = c->answer;
        f.status = c->status;
        fake_folder_write(&f.folder, "junk", S("s3cret\n"));
        fake_folder_write(&f.folder, "kind", S("{\"type\":\"external\",\"k\":\"s3cret\"}"));
        set_to_origin(&f, "AZURE_AUTHORITY_HOST", "");
        set_to_origin(&f, "AZURE_POD_IDENTITY_AUTHORITY_HOST", "");
        CHECK_OK(configure(&f, c->block, c->yaml, &config, &err), err);

        CHECK(!fetch(&f, &config, &body, &err));

        CHECK_HAS(err.text, c->want);
        CHECK(strstr(err.text, "s3cret") == NULL);
        stop(&f);
    }
}

TEST(cloud_token, a_bad_azuread_block_is_refused_in_the_original_s_words)
{
    static const struct {
        const char *name, *yaml, *want;
    } cases[] = {
        {"no way", "{}",
         "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure "
         "Certificate or Azure SDK in the Azure AD config"},
        {"two ways", "{sdk: {}, managed_identity: {}}",
         "cannot provide multiple authentication methods in the Azure AD config"},
        {"cloud", "{cloud: Heaven, sdk: {}}", "must provide a cloud in the Azure AD config"},
        {"identity", "managed_identity: {client_id: x}",
         "the provided Azure Managed Identity client_id is invalid"},
        {"no secret", "oauth: {client_id: " ID ", tenant_id: t}",
         "must provide an Azure OAuth client_secret in the Azure AD config"},
        {"workload without a client", "workload_identity: {tenant_id: " TENANT "}",
         "must provide an Azure Workload Identity client_id in the Azure AD config"},
        {"workload's tenant", "workload_identity: {client_id: " ID ", tenant_id: t}",
         "the provided Azure Workload Identity tenant_id is invalid"},
        {"no certificate", "certificate: {client_id: " ID ", tenant_id: t}",
         "must provide an Azure Certificate certificate_path in the Azure AD config"},
        {"scope", "{sdk: {}, scope: 'a?b'}", "the provided scope contains invalid characters"},
    };

    EACH_CASE(c, cases) {
        Fixture f;
        HttpClientConfig config;
        Error err = {0};
        start(&f);

        CHECK(!configure(&f, "azuread", c->yaml, &config, &err));

        CHECK_HAS(err.text, c->want);
        stop(&f);
    }
}

TEST_MAIN(cloud_token, TEST_ROW(cloud_token, azure_is_asked_in_each_way),
          TEST_ROW(cloud_token, azure_takes_a_certificate_of_each_form),
          TEST_ROW(cloud_token, google_is_asked_by_each_kind_of_credentials),
          TEST_ROW(cloud_token, what_is_wrong_is_said_without_secrets),
          TEST_ROW(cloud_token, a_bad_azuread_block_is_refused_in_the_original_s_words))
