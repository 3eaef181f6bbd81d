// SPDX-License-Identifier: Apache-2.0
#include "base/reader.h"

uint64_t reader_uvarint_slow(Reader *r)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t byte = reader_u8(r);
        if (r->failed)
            return 0;
        // The tenth byte holds one bit.
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    r->failed = true;
    return 0;
}
