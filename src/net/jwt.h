// SPDX-License-Identifier: Apache-2.0
// jwt.h: JSON Web Tokens (RFC 7519) signed with an RSA key, as authorization servers take them for a grant (RFC 7523).
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef enum JwtAlgorithm { JWT_RS256, JWT_RS384, JWT_RS512 } JwtAlgorithm;

// Appends header.claims.signature; header and claims are JSON texts. Fails ERR_INVALID if the key (PEM) is none.
bool jwt_sign(Str header, Str claims, Str key_pem, JwtAlgorithm algorithm, Buf *out,
              Error *err) MUST_CHECK;

// Base64 with - and _ and without padding.
void jwt_add_base64url(Buf *out, Str bytes);

#define JWT_ID_BYTES 36
// A random ID: a version 4 UUID and a NUL.
void jwt_id(char ret_text[JWT_ID_BYTES + 1]);

// What an RSA key signs of SHA-256 over the text: the bare signature, in base64 with padding. `passphrase` may be empty.
bool jwt_sign_text(Str text, Str key_pem, Str passphrase, Buf *out, Error *err) MUST_CHECK;
