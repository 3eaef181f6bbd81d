// SPDX-License-Identifier: Apache-2.0
// All decoders on foreign bytes; what they give, packed again, comes back the same.
#include "codec/compress.h"

#define OUTPUT_BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool (*const decoders[])(Str, size_t, Buf *, Error *) = {snappy_decode, zstd_decode,
                                                                    gzip_decode};
    Str bytes = {(const char *)data, size};
    for (size_t i = 0; i < COUNT_OF(decoders); i++) {
        CLEANUP(buf_deinit) Buf out = {0};
        CLEANUP(buf_deinit) Buf packed = {0};
        CLEANUP(buf_deinit) Buf again = {0};
        Error err = {0};
        if (!decoders[i](bytes, OUTPUT_BYTES_MAX, &out, &err)) {
            ASSERT(out.len == 0);
            ASSERT(err.code != ERR_NONE);
            continue;
        }
        ASSERT(out.len <= OUTPUT_BYTES_MAX);
        snappy_encode(buf_str(&out), &packed);
        bool ok = snappy_decode(buf_str(&packed), out.len, &again, &err);
        ASSERT(ok);
        ASSERT(str_equal(buf_str(&out), buf_str(&again)));
    }
    return 0;
}
