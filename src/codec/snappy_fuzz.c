// SPDX-License-Identifier: Apache-2.0
// All decoders on foreign bytes; what they give, packed again, comes back the same.
#include <snappy-c.h>
#include <stdlib.h>

#include "codec/compress.h"
#include "codec/snappy_unpack.h"

#define OUTPUT_BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The library reads a literal of 4 GiB as one of no bytes; ours refuses it, as Go's does.
static bool has_huge_literal(Str block)
{
    return memmem(block.ptr, block.len, "\xfc\xff\xff\xff\xff", 5);
}

// Ours and the library accept the same blocks and find the same in them.
static void compare_snappy(Str block)
{
    size_t bytes;

    if (!snappy_unpacked_bytes(block, &bytes) || bytes > OUTPUT_BYTES_MAX)
        return;
    size_t library_bytes = bytes;
    char *ours = x_malloc(bytes + 1);
    char *theirs = x_malloc(bytes + 1);
    bool ok = snappy_unpack(block, (uint8_t *)ours, bytes);
    bool library_ok = !snappy_uncompress(block.ptr, block.len, theirs, &library_bytes);
    ASSERT(ok == library_ok || (library_ok && has_huge_literal(block)));
    ASSERT(!ok || memcmp(ours, theirs, bytes) == 0);
    free(ours);
    free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool (*const decoders[])(Str, size_t, Buf *, Error *) = {snappy_decode, zstd_decode,
                                                                    gzip_decode};
    Str bytes = {(const char *)data, size};

    compare_snappy(bytes);
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
