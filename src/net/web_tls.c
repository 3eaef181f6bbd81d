// SPDX-License-Identifier: Apache-2.0
#include "net/web_tls.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <stdlib.h>

#define SAN_BYTES_MAX 1024

struct WebTlsRules {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    WebClientAuth client_auth;
    Arena arena;
    ConfigStrList allowed_sans; // in the arena
};

// Settings in GnuTLS' words --------------------------------------------------------------------------------------------------------------

// Go's cipher suites. GnuTLS takes key exchange, cipher and MAC apart; as a certificate has one kind of key, each suite of that kind is
// still told exactly.
static const struct {
    const char *go_name;
    const char *words;
    enum { KEY_ANY, KEY_ELLIPTIC, KEY_RSA } key;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", ":+AES-128-GCM:+AEAD", KEY_ANY},
    {"TLS_AES_256_GCM_SHA384", ":+AES-256-GCM:+AEAD", KEY_ANY},
    {"TLS_CHACHA20_POLY1305_SHA256", ":+CHACHA20-POLY1305:+AEAD", KEY_ANY},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", ":+AES-128-CBC:+SHA1", KEY_ELLIPTIC},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ":+AES-256-CBC:+SHA1", KEY_ELLIPTIC},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", ":+AES-128-CBC:+SHA1", KEY_RSA},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ":+AES-256-CBC:+SHA1", KEY_RSA},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ":+AES-128-GCM:+AEAD", KEY_ELLIPTIC},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ":+AES-256-GCM:+AEAD", KEY_ELLIPTIC},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ":+AES-128-GCM:+AEAD", KEY_RSA},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ":+AES-256-GCM:+AEAD", KEY_RSA},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ":+CHACHA20-POLY1305:+AEAD", KEY_RSA},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ":+CHACHA20-POLY1305:+AEAD", KEY_ELLIPTIC},
};

static const struct {
    const char *go_name, *words;
} groups[] = {
    {"CurveP256", ":+GROUP-SECP256R1"},
    {"CurveP384", ":+GROUP-SECP384R1"},
    {"CurveP521", ":+GROUP-SECP521R1"},
    {"X25519", ":+GROUP-X25519"},
};

static const char *const versions[] = {NULL, ":+VERS-TLS1.0", ":+VERS-TLS1.1", ":+VERS-TLS1.2",
                                       ":+VERS-TLS1.3"};
enum { TLS12 = 3, TLS13 = 4 };

// Go's suites without a setting: all of the above.
static void add_suites(const ConfigStrList *wanted, bool key_is_elliptic, Buf *out)
{
    buf_add_str(out, S(":-CIPHER-ALL:-MAC-ALL"));
    if (wanted->count == 0)
        buf_add_str(out, S(":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC"
                           ":+AES-256-CBC:+AEAD:+SHA1"));
    for (size_t i = 0; i < wanted->count; i++)
        for (size_t s = 0; s < COUNT_OF(suites); s++)
            if (str_is(wanted->items[i], suites[s].go_name) &&
                (suites[s].key == KEY_ANY || (suites[s].key == KEY_ELLIPTIC) == key_is_elliptic))
                buf_add_str(out, str_from_c(suites[s].words));
}

static void add_groups(const ConfigStrList *wanted, Buf *out)
{
    buf_add_str(out, S(":-GROUP-ALL"));
    if (wanted->count == 0)
        buf_add_str(out, S(":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"));
    for (size_t i = 0; i < wanted->count; i++)
        for (size_t g = 0; g < COUNT_OF(groups); g++)
            if (str_is(wanted->items[i], groups[g].go_name))
                buf_add_str(out, str_from_c(groups[g].words));
}

void web_tls_priority(const WebTls *tls, bool key_is_elliptic, Buf *out)
{
    int low = tls->min_version ? tls->min_version : TLS12;
    int high = tls->max_version ? tls->max_version : TLS13;
    buf_add_str(out, S("NORMAL:-VERS-ALL"));
    for (int version = high; version >= low; version--)
        buf_add_str(out, str_from_c(versions[version]));
    buf_add_str(out, S(":-KX-ALL"));
    buf_add_str(out, key_is_elliptic ? S(":+ECDHE-ECDSA") : S(":+ECDHE-RSA"));
    add_suites(&tls->cipher_suites, key_is_elliptic, out);
    add_groups(&tls->curve_preferences, out);
    if (tls->prefer_server_cipher_suites)
        buf_add_str(out, S(":%SERVER_PRECEDENCE"));
}

// Clients' certificates --------------------------------------------------------------------------------------------------------------------

static bool is_listed(const ConfigStrList *list, Str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_equal(list->items[i], name))
            return true;
    return false;
}

// True if one of the certificate's alternative names (DNS, mail, URI, address) is allowed, letter for letter as in the original.
static bool has_allowed_san(const WebTlsRules *rules, gnutls_x509_crt_t certificate)
{
    for (unsigned i = 0;; i++) {
        char san[SAN_BYTES_MAX];
        size_t bytes = sizeof san;
        int kind = gnutls_x509_crt_get_subject_alt_name(certificate, i, san, &bytes, NULL);
        if (kind == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue; // longer than any name that is allowed
        if (kind < 0)
            return false;
        char address[INET6_ADDRSTRLEN] = "";
        Str name = str_make(san, bytes);
        if (kind == GNUTLS_SAN_IPADDRESS) {
            if ((bytes != 4 && bytes != 16) ||
                !inet_ntop(bytes == 4 ? AF_INET : AF_INET6, san, address, sizeof address))
                continue;
            name = str_from_c(address);
        }
        if (is_listed(&rules->allowed_sans, name))
            return true;
    }
}

static bool check_sans(const WebTlsRules *rules, const gnutls_datum_t *der)
{
    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return false;
    bool ok = gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) >= 0 &&
              has_allowed_san(rules, certificate);
    gnutls_x509_crt_deinit(certificate);
    return ok;
}

// GnuTLS asks during the handshake. Not 0 ends it.
static int verify_client(gnutls_session_t session)
{
    const WebTlsRules *rules = gnutls_session_get_ptr(session);
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (!chain || count == 0)
        return rules->client_auth == WEB_CLIENT_REQUIRE_ANY ||
                       rules->client_auth == WEB_CLIENT_REQUIRE_VERIFIED
                   ? GNUTLS_E_CERTIFICATE_REQUIRED
                   : 0;
    if (rules->client_auth >= WEB_CLIENT_VERIFY_IF_GIVEN) {
        unsigned char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
        gnutls_typed_vdata_st data = {GNUTLS_DT_KEY_PURPOSE_OID, purpose, 0};
        unsigned status = 0;
        if (gnutls_certificate_verify_peers(session, &data, 1, &status) < 0 || status != 0)
            return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    }
    if (rules->allowed_sans.count && !check_sans(rules, &chain[0]))
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    return 0;
}

// Life ---------------------------------------------------------------------------------------------------------------------------------------

static gnutls_datum_t datum(Str bytes)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len};
}

static bool load_certificates(WebTlsRules *rules, const WebTlsPem *pem, Error *err)
{
    gnutls_datum_t cert = datum(pem->cert);
    gnutls_datum_t key = datum(pem->key);
    gnutls_datum_t ca = datum(pem->client_ca);
    int code =
        gnutls_certificate_set_x509_key_mem(rules->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (code < 0)
        return error_set(err, ERR_INVALID, "TLS certificate or key: %s", gnutls_strerror(code));
    if (pem->client_ca.len == 0)
        return true;
    code = gnutls_certificate_set_x509_trust_mem(rules->credentials, &ca, GNUTLS_X509_FMT_PEM);
    return code > 0 || error_set(err, ERR_INVALID, "TLS client CA: %s",
                                 code < 0 ? gnutls_strerror(code) : "no certificate in it");
}

static bool is_elliptic(gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_privkey_t key;
    if (gnutls_certificate_get_x509_key(credentials, 0, &key) < 0)
        return false;
    int algorithm = gnutls_x509_privkey_get_pk_algorithm(key);
    gnutls_x509_privkey_deinit(key);
    return algorithm != GNUTLS_PK_RSA && algorithm != GNUTLS_PK_RSA_PSS;
}

static bool make_priority(WebTlsRules *rules, const WebTls *tls, Error *err)
{
    Buf words = {0};
    web_tls_priority(tls, is_elliptic(rules->credentials), &words);
    buf_add_char(&words, '\0');
    int code = gnutls_priority_init(&rules->priority, words.ptr, NULL);
    buf_deinit(&words);
    return code >= 0 || error_set(err, ERR_INVALID,
                                  "TLS versions, cipher suites and curves do not go together: %s",
                                  gnutls_strerror(code));
}

bool web_tls_new(const WebTls *tls, const WebTlsPem *pem, WebTlsRules **ret_rules, Error *err)
{
    WebTlsRules *rules = X_NEW(WebTlsRules);
    arena_init(&rules->arena);
    rules->client_auth = tls->client_auth;
    rules->allowed_sans.count = tls->client_allowed_sans.count;
    rules->allowed_sans.items = ARENA_ARRAY(&rules->arena, Str, MAX(rules->allowed_sans.count, 1u));
    for (size_t i = 0; i < rules->allowed_sans.count; i++)
        rules->allowed_sans.items[i] = arena_str(&rules->arena, tls->client_allowed_sans.items[i]);
    if (gnutls_certificate_allocate_credentials(&rules->credentials) < 0)
        out_of_memory(sizeof rules->credentials);
    gnutls_certificate_set_verify_function(rules->credentials, verify_client);
    if (!load_certificates(rules, pem, err) || !make_priority(rules, tls, err)) {
        web_tls_free(rules);
        return false;
    }
    *ret_rules = rules;
    return true;
}

void web_tls_free(WebTlsRules *rules)
{
    if (!rules)
        return;
    if (rules->priority)
        gnutls_priority_deinit(rules->priority);
    gnutls_certificate_free_credentials(rules->credentials);
    arena_deinit(&rules->arena);
    free(rules);
}

bool web_tls_apply(WebTlsRules *rules, gnutls_session_t session)
{
    static const gnutls_certificate_request_t requests[] = {
        [WEB_CLIENT_NONE] = GNUTLS_CERT_IGNORE,
        [WEB_CLIENT_REQUEST] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_ANY] = GNUTLS_CERT_REQUIRE,
        [WEB_CLIENT_VERIFY_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_VERIFIED] = GNUTLS_CERT_REQUIRE,
    };
    gnutls_session_set_ptr(session, rules);
    gnutls_certificate_server_set_request(session, requests[rules->client_auth]);
    return gnutls_priority_set(session, rules->priority) >= 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, rules->credentials) >= 0;
}
