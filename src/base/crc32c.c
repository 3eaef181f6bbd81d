// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/vectors.h"

// isa-l leaves out the two inversions that the checksum has in the field.
uint32_t crc32c_more(uint32_t crc, Str bytes)
{
    // isa-l takes a pointer to non-const and only reads.
    union {
        const char *in;
        unsigned char *out;
    } cast = {bytes.ptr};
    while (bytes.len > INT32_MAX) {
        crc = ~crc32_iscsi(cast.out, INT32_MAX, ~crc);
        cast.out += INT32_MAX;
        bytes.len -= INT32_MAX;
    }
    if (bytes.len)
        crc = ~crc32_iscsi(cast.out, (int)bytes.len, ~crc);
    vectors_clean();
    return crc;
}

uint32_t crc32c(Str bytes)
{
    return crc32c_more(0, bytes);
}
