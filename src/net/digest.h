// SPDX-License-Identifier: Apache-2.0
// digest.h: SHA-256, by GnuTLS.
#pragma once

#include "base/buf.h"

#define SHA256_BYTES 32

void digest_sha256(Str bytes, uint8_t ret_digest[SHA256_BYTES]);
// Lower-case hexadecimal digits.
void digest_add_sha256_hex(Buf *buf, Str bytes);
