// SPDX-License-Identifier: Apache-2.0
// web_tls.h: what tls_server_config asks of a TLS session: certificate, versions, cipher suites, curves, clients' certificates.
//
// Immutable once made, so that sessions of all threads may use one. Private to the room.
#pragma once

#include <gnutls/gnutls.h>

#include "net/web_config.h"

typedef struct WebTlsRules WebTlsRules;

// Keeps nothing of what is passed.
bool web_tls_new(const WebTls *tls, const WebTlsPem *pem, WebTlsRules **ret_rules,
                 Error *err) MUST_CHECK;
void web_tls_free(WebTlsRules *rules); // accepts NULL

// Before the handshake of `session`, whose pointer (gnutls_session_set_ptr) is taken. The rules must outlive the handshake.
bool web_tls_apply(WebTlsRules *rules, gnutls_session_t session) MUST_CHECK;

// GnuTLS' words for the settings, for a certificate with an elliptic or an RSA key. For tests.
void web_tls_priority(const WebTls *tls, bool key_is_elliptic, Buf *out);
