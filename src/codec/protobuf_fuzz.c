// SPDX-License-Identifier: Apache-2.0
// A message that reads to its end, written again field by field, reads the same; bytes are tried as nested messages.
#include "codec/protobuf.h"

#define DEPTH_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool rewrite(Str message, int depth, Buf *out)
{
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.wire == PROTO_VARINT) {
            proto_add_varint(out, r.field, r.number);
        } else if (r.wire == PROTO_FIXED64) {
            proto_add_double(out, r.field, proto_double(&r));
        } else if (r.wire == PROTO_BYTES) {
            size_t nested = out->len;
            size_t begin = proto_begin(out, r.field);
            if (depth < DEPTH_MAX && rewrite(r.bytes, depth + 1, out)) {
                proto_end(out, begin);
            } else {
                out->len = nested;
                proto_add_bytes(out, r.field, r.bytes);
            }
        } else {
            proto_add_varint(out, r.field, r.number);
        }
    }
    Reader packed = reader_from(message);
    uint64_t number;
    size_t count = 0;
    while (proto_packed_next(&packed, PROTO_VARINT, &number))
        count++;
    ASSERT(count <= message.len);
    return !r.failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) Buf first = {0};
    CLEANUP(buf_deinit) Buf second = {0};
    if (!rewrite(str_make((const char *)data, size), 0, &first))
        return 0;
    bool ok = rewrite(buf_str(&first), 0, &second);
    ASSERT(ok);
    ASSERT(str_equal(buf_str(&first), buf_str(&second)));
    return 0;
}
