// SPDX-License-Identifier: Apache-2.0
// web_config.h: the file of --web.config.file: TLS and authentication of a server's own pages. Facts: prometheus.md section 1.12.
#pragma once

#include "config/config.h"

#define WEB_CONFIG_BYTES_MAX ((size_t)16 << 20)

// In the order of their strictness.
typedef enum WebClientAuth {
    WEB_CLIENT_NONE,
    WEB_CLIENT_REQUEST,          // asked for, not looked at
    WEB_CLIENT_REQUIRE_ANY,      // there must be one
    WEB_CLIENT_VERIFY_IF_GIVEN,  // if there is one, it must be good
    WEB_CLIENT_REQUIRE_VERIFIED, // there must be a good one
} WebClientAuth;

typedef struct WebTls {
    Str cert, cert_file;
    Str key, key_file;
    Str client_ca, client_ca_file;
    Str client_auth_type; // as written
    ConfigStrList client_allowed_sans;
    ConfigStrList cipher_suites;     // Go's names
    ConfigStrList curve_preferences; // CurveP256, CurveP384, CurveP521, X25519
    int min_version, max_version;    // 1..4 for TLS10..TLS13
    bool prefer_server_cipher_suites;
    // Made by the table's finish.
    bool is_enabled;
    WebClientAuth client_auth;
} WebTls;

typedef struct WebHttp {
    bool http2;
    ConfigStrMap headers; // sent with each answer
} WebHttp;

typedef struct WebRateLimit {
    int64_t interval_ms; // 0: no limit
    int64_t burst;
} WebRateLimit;

typedef struct WebConfig {
    WebTls tls;
    WebHttp http;
    WebRateLimit rate_limit;
    ConfigStrMap users; // bcrypt hashes by name
} WebConfig;

extern const ConfigTable web_config_table;

// Reads and checks the file. Everything lives in the arena. Fails with "file:line:column: ...".
bool web_config_load(Str path, Arena *arena, WebConfig *ret_config, Error *err) MUST_CHECK;

// The TLS material, from the files where it is not inline; each may be empty.
typedef struct WebTlsPem {
    Str cert, key, client_ca;
} WebTlsPem;
// Reads it and checks that certificate and key are a pair. Nothing to do unless tls.is_enabled.
bool web_config_read_pem(const WebConfig *config, Arena *arena, WebTlsPem *ret_pem,
                         Error *err) MUST_CHECK;
