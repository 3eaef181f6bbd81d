// SPDX-License-Identifier: Apache-2.0
// http_client.h: HTTP requests on libcurl multi, driven by one event loop thread that owns all connections of a HttpClient. Scrapes, remote
// write, webhooks.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "client/registry.h"
#include "config/config.h"
#include "net/loop.h"

// The http_config block of the configuration (prometheus.md section 1.5), with its field table.
typedef struct HttpTlsConfig {
    Str ca, ca_file, cert, cert_file, key, key_file, server_name;
    bool insecure_skip_verify;
    int min_version, max_version; // 0 unset, else 1..4 for TLS10..TLS13
} HttpTlsConfig;

typedef struct HttpBasicAuth {
    Str username, username_file, password, password_file;
} HttpBasicAuth;

typedef struct HttpAuthorization {
    Str type, credentials, credentials_file;
} HttpAuthorization;

typedef struct HttpHeaderConfig {
    Str name;
    ConfigStrList values, secrets, files; // each item becomes a header line of its own
} HttpHeaderConfig;

typedef struct HttpProxyConfig {
    Str proxy_url, no_proxy;
    bool proxy_from_environment;
    ConfigStrListMap proxy_connect_header;
} HttpProxyConfig;

typedef struct HttpOauth2Config {
    Str client_id, client_secret, client_secret_file;
    // Of the grant urn:ietf:params:oauth:grant-type:jwt-bearer, for which the key signs.
    Str client_certificate_key_id, client_certificate_key, client_certificate_key_file;
    Str grant_type, signature_algorithm, iss, audience;
    ConfigStrMap claims; // the values are JSON
    ConfigStrList scopes;
    Str token_url;
    ConfigStrMap endpoint_params;
    HttpTlsConfig tls_config; // towards the token's server, as what follows
    HttpProxyConfig proxy;
} HttpOauth2Config;

// Signature Version 4. Beside http_config and not in it: remote_write and alertmanagers have a key of their own for it.
typedef struct HttpSigv4Config {
    Str region, access_key, secret_key, profile, role_arn, external_id, service_name;
    bool use_fips_sts_endpoint;
} HttpSigv4Config;

// One of the ways of azuread: which members count is told by its table.
typedef struct HttpAzureIdentity {
    Str client_id, tenant_id, client_secret, token_file_path;
    Str certificate_path, certificate_key_path, certificate_password;
    bool send_certificate_chain;
} HttpAzureIdentity;

// Tokens of Microsoft Entra; one of the pointers is set.
typedef struct HttpAzureadConfig {
    HttpAzureIdentity *managed_identity, *workload_identity, *oauth, *sdk, *certificate;
    Str cloud, scope;
} HttpAzureadConfig;

// Tokens of Google's cloud.
typedef struct HttpGoogleIamConfig {
    Str credentials_file;
} HttpGoogleIamConfig;

typedef struct HttpClientConfig {
    HttpBasicAuth *basic_auth;           // NULL: absent
    HttpAuthorization *authorization;    // NULL: absent
    HttpOauth2Config *oauth2;            // NULL: absent
    HttpSigv4Config *sigv4;              // NULL: absent; not in the table
    HttpAzureadConfig *azuread;          // likewise
    HttpGoogleIamConfig *google_iam;     // likewise
    Str bearer_token, bearer_token_file; // legacy; folded into authorization by the table's finish
    bool follow_redirects;
    bool enable_http2;
    HttpTlsConfig tls_config;
    HttpProxyConfig proxy;
    ConfigList http_headers; // HttpHeaderConfig
} HttpClientConfig;

extern const ConfigTable http_client_config_table;
extern const ConfigTable http_tls_config_table;
extern const ConfigTable
    http_proxy_config_table; // proxy_url and what goes with it; to be put inline
extern const ConfigTable http_oauth2_config_table;
extern const ConfigTable http_sigv4_config_table;
extern const ConfigTable http_azuread_config_table;
extern const ConfigTable http_google_iam_config_table;

// What the table's defaults are: redirects are followed, HTTP/2 is offered.
void http_client_config_default(HttpClientConfig *ret_config);

// For headers that a user adds to requests of a protocol of ours: none that the protocol or the client owns
// (Authorization: `authorization_text` is the error), none with a line break.
bool http_config_check_headers(ConfigReader *reader, const YamlNode *node,
                               const ConfigStrMap *headers, const char *authorization_text,
                               Error *err) MUST_CHECK;

typedef struct HttpClient HttpClient;

// One per configuration block (it keeps connections, certificates and credentials files; files are read anew when they change).
// `config` must outlive the client (NULL: the defaults). All requests run on `loop`'s thread.
//
// Credentials and http_headers go to the host that was asked for alone: a redirect to another host, port or from https to http
// is followed without them.
bool http_client_new(Loop *loop, const HttpClientConfig *config, HttpClient **ret_client,
                     Error *err) MUST_CHECK;
// Its connections are counted from now on, under that name; a NULL registry counts nothing. On the loop's thread or before its start.
void http_client_track(HttpClient *client, Registry *registry, Str dialer_name);
// On the loop's thread. Cancels what runs (their done is called with ERR_CANCELED). Accepts NULL.
void http_client_free(HttpClient *client);

typedef struct HttpCall HttpCall;

typedef struct HttpResponse {
    int status; // 0 if there was no answer
    Str body;   // decompressed (gzip, deflate, zstd if asked for); a view, good until done returns
    Str content_type;
    Str headers;       // as received: "Name: value" CRLF ...; see http_response_header
    size_t wire_bytes; // of the body as received, before decompression
    int64_t took_ns;
    const Error *err; // NULL: an answer came (any status)
} HttpResponse;

// The first header of that name (without regard to case), or the empty Str.
Str http_response_header(const HttpResponse *response, Str name);

typedef struct HttpCallOptions {
    Str method; // empty: GET
    Str url;
    const Str *headers; // "Name: value" each
    size_t header_count;
    Str body;
    Str unix_socket; // path of a socket to ask instead of the URL's host; empty: none
    Str connect_address; // an address (IPv6 in brackets) to ask instead of looking the URL's host up; empty: none
    int64_t timeout_ms;
    size_t body_bytes_max; // of the answer after decompression; 0: 1 GiB. Above: ERR_LIMIT
    const struct Span
        *span; // the request is a span below it, and tells the other side; NULL: neither
    const char *sigv4_service; // a literal: signed for this one; NULL: the configuration's
    bool accept_gzip;          // asks for it and undoes it
    bool http2_only;           // also without TLS, where the other side is known to speak it: gRPC
    Buf *
        body_buf; // gathers the answer; the caller keeps it for reuse from call to call. NULL: one of the client's
    Buf *(*body_take)(
        void *arg); // asked for such a buffer once there is something to put in it; NULL: body_buf
    void (*done)(void *arg, const HttpResponse *response); // on the loop's thread
    void *arg;
} HttpCallOptions;

// Loop thread only. Strings are copied. `done` is called exactly once, never from inside http_call. The HttpCall is good until then.
HttpCall *http_call(HttpClient *client, const HttpCallOptions *options);
// `done` is called with ERR_CANCELED before this returns.
void http_call_cancel(HttpCall *call);

// A blocking call for tools and tests: own loop, own thread. The body lives in the arena.
bool http_fetch(const HttpClientConfig *config, const HttpCallOptions *options, Arena *arena,
                int *ret_status, Str *ret_body, Error *err) MUST_CHECK;
