// SPDX-License-Identifier: Apache-2.0
// digest.h: SHA-256, SHA-1 and HMAC, by GnuTLS.
#pragma once

#include "base/buf.h"

#define SHA256_BYTES 32
#define SHA1_BYTES 20

void digest_sha256(Str bytes, uint8_t ret_digest[SHA256_BYTES]);
// Lower-case hexadecimal digits.
void digest_add_sha256_hex(Buf *buf, Str bytes);

// RFC 2104 over SHA-256; `ret_mac` may be the key's own memory.
void digest_hmac_sha256(Str key, Str bytes, uint8_t ret_mac[SHA256_BYTES]);

void digest_sha1(Str bytes, uint8_t ret_digest[SHA1_BYTES]);

// Appends lower-case hexadecimal digits.
void digest_add_hex(Buf *buf, const uint8_t *bytes, size_t count);
