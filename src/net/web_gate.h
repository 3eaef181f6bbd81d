// SPDX-License-Identifier: Apache-2.0
// web_gate.h: who may come in, by the file of --web.config.file, which is read again when it or a certificate that it names has changed.
//
//     each connection, each request --> web_gate_rules: the file as it is now (counted, immutable), or none while it is broken
//
// All functions may be called by any thread.
#pragma once

#include "net/web_config.h"
#include "net/web_users.h"

typedef struct WebGate WebGate;
typedef struct WebRules WebRules; // one reading of the file

// `on_error` (may be NULL) is told once for each change of the files that breaks them. Fails as web_config_load does.
bool web_gate_open(Str path, void (*on_error)(void *arg, const Error *err), void *arg,
                   WebGate **ret_gate, Error *err) MUST_CHECK;
// All rules must have been given back. Accepts NULL.
void web_gate_close(WebGate *gate);

bool web_gate_has_tls(const WebGate *gate); // the same for its whole life

// Looks at the files. NULL: they are broken now, and nobody may come in. Give it back with web_rules_unref.
WebRules *web_gate_rules(WebGate *gate) MUST_CHECK;
void web_rules_unref(WebRules *rules); // accepts NULL
const WebConfig *web_rules_config(const WebRules *rules);
const WebTlsPem *web_rules_pem(const WebRules *rules);
// Before the handshake of the session (a gnutls_session_t), which the rules must outlive.
bool web_rules_secure(WebRules *rules, void *session) MUST_CHECK;

// False: too many requests.
bool web_gate_may_pass(WebGate *gate, const WebRules *rules);
// The value of a request's header Authorization: see web_users.h.
WebVerdict web_gate_recall(WebGate *gate, const WebRules *rules, Str authorization);
bool web_gate_check(WebGate *gate, const WebRules *rules, Str authorization);
