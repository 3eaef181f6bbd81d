// SPDX-License-Identifier: Apache-2.0
#include "net/digest.h"

#include <gnutls/crypto.h>

void digest_sha256(Str bytes, uint8_t ret_digest[SHA256_BYTES])
{
    int status =
        gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.ptr ? bytes.ptr : "", bytes.len, ret_digest);
    ASSERT(status == 0);
}

void digest_add_sha256_hex(Buf *buf, Str bytes)
{
    uint8_t digest[SHA256_BYTES];
    digest_sha256(bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(buf, "%02x", digest[i]);
}
