// SPDX-License-Identifier: Apache-2.0
#include "net/digest.h"

#include <gnutls/crypto.h>

static void hash(gnutls_digest_algorithm_t kind, Str bytes, uint8_t *ret_digest)
{
    int status = gnutls_hash_fast(kind, bytes.ptr ? bytes.ptr : "", bytes.len, ret_digest);
    ASSERT(status == 0);
}

void digest_sha256(Str bytes, uint8_t ret_digest[SHA256_BYTES])
{
    hash(GNUTLS_DIG_SHA256, bytes, ret_digest);
}

void digest_add_sha256_hex(Buf *buf, Str bytes)
{
    uint8_t digest[SHA256_BYTES];
    digest_sha256(bytes, digest);
    digest_add_hex(buf, digest, sizeof digest);
}

void digest_hmac_sha256(Str key, Str bytes, uint8_t ret_mac[SHA256_BYTES])
{
    int status = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.ptr ? key.ptr : "", key.len,
                                  bytes.ptr ? bytes.ptr : "", bytes.len, ret_mac);
    ASSERT(status == 0);
}

void digest_sha1(Str bytes, uint8_t ret_digest[SHA1_BYTES])
{
    hash(GNUTLS_DIG_SHA1, bytes, ret_digest);
}

void digest_add_hex(Buf *buf, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        buf_add_char(buf, digits[bytes[i] >> 4]);
        buf_add_char(buf, digits[bytes[i] & 15]);
    }
}
