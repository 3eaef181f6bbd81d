// SPDX-License-Identifier: Apache-2.0
// x509_identity.h: what services that know a machine by its certificate want of it (Oracle's instance principals), and keys for a session
// with them. By GnuTLS.
#pragma once

#include "base/arena.h"
#include "base/error.h"

typedef struct X509Identity {
    Str der_base64; // the certificate as it stands between the lines of its PEM, without line breaks
    Str fingerprint; // SHA-256: "0a:1b:..."
    Str tenant; // what stands behind "opc-tenant:" or "opc-identity:" in the subject; empty: nothing
    int64_t expires_s;
} X509Identity;

// The first certificate of the PEM; everything lives in the arena.
bool x509_identity_read(Str pem, Arena *arena, X509Identity *ret_identity, Error *err) MUST_CHECK;

// A new RSA key of 2048 bits: the private one in PEM, the public one (SubjectPublicKeyInfo) in base64.
bool x509_session_key(Arena *arena, Str *ret_private_pem, Str *ret_public_base64,
                      Error *err) MUST_CHECK;
