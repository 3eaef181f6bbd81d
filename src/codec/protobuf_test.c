// SPDX-License-Identifier: Apache-2.0
#include "codec/protobuf.h"

#include "base/test.h"

TEST(protobuf, reads_back_what_it_writes)
{
    CLEANUP(buf_deinit) Buf out = {0};
    proto_add_varint(&out, 1, 300);
    proto_add_zigzag(&out, 2, -5);
    proto_add_double(&out, 3, 1.25);
    size_t outer = proto_begin(&out, 200);
    proto_add_bytes(&out, 1, S("inner"));
    proto_end(&out, outer);

    ProtoReader r = proto_reader(buf_str(&out));
    CHECK(proto_next(&r));
    CHECK_EQ(r.field, 1);
    CHECK_EQ(r.number, 300);
    CHECK(proto_next(&r));
    CHECK_EQ(proto_zigzag(&r), -5);
    CHECK(proto_next(&r));
    CHECK_DOUBLE(proto_double(&r), 1.25);
    CHECK(proto_next(&r));
    CHECK_EQ(r.field, 200);
    ProtoReader inner = proto_reader(r.bytes);
    CHECK(proto_next(&inner));
    CHECK_STR(inner.bytes, S("inner"));
    CHECK(!proto_next(&inner));
    CHECK(!inner.failed);
    CHECK(!proto_next(&r));
    CHECK(!r.failed);
}

TEST(protobuf, long_messages_get_long_lengths)
{
    static const struct {
        const char *name;
        size_t bytes;
    } cases[] = {
        {"empty", 0},         {"one byte", 127}, {"two bytes", 128},
        {"still two", 16383}, {"three", 16384},  {"four", 1 << 21},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        size_t begin = proto_begin(&out, 1);
        char *at = buf_reserve(&out, c->bytes);
        memset(at, 'x', c->bytes);
        out.len += c->bytes;
        proto_end(&out, begin);
        proto_add_varint(&out, 2, 7);

        ProtoReader r = proto_reader(buf_str(&out));
        CHECK(proto_next(&r));
        CHECK_EQ(r.bytes.len, c->bytes);
        for (size_t i = 0; i < r.bytes.len; i++)
            CHECK_EQ(r.bytes.ptr[i], 'x');
        CHECK(proto_next(&r));
        CHECK_EQ(r.number, 7);
    }
}

TEST(protobuf, packed_values_come_one_by_one)
{
    static const struct {
        const char *name;
        Str bytes;
        ProtoWire wire;
        size_t want_count;
        bool want_failed;
        uint64_t want_last;
    } cases[] = {
        {"varints", STR("\x01\xac\x02"), PROTO_VARINT, 2, false, 300},
        {"fixed32", STR("\x01\0\0\0\x02\0\0\0"), PROTO_FIXED32, 2, false, 2},
        {"fixed64", STR("\x05\0\0\0\0\0\0\0"), PROTO_FIXED64, 1, false, 5},
        {"torn fixed64", STR("\x05\0\0\0\0\0\0\0\x01"), PROTO_FIXED64, 1, true, 5},
        {"torn varint", STR("\x07\x80"), PROTO_VARINT, 1, true, 7},
    };

    EACH_CASE(c, cases) {
        Reader packed = reader_from(c->bytes);
        uint64_t number = 0;
        size_t count = 0;

        while (proto_packed_next(&packed, c->wire, &number))
            count++;

        CHECK_EQ(count, c->want_count);
        CHECK_EQ(number, c->want_last);
        CHECK_EQ(packed.failed, c->want_failed);
    }
}

TEST(protobuf, malformed_messages_are_refused)
{
    static const struct {
        const char *name;
        Str bytes;
    } cases[] = {
        {"field zero", STR("\x00\x01")},
        {"group", STR("\x0b")},
        {"unused wire type", STR("\x0e")},
        {"length too long", STR("\x0a\x05"
                                "abc")},
        {"long length too long", STR("\x0a\x81\x01"
                                     "abc")},
        {"torn length", STR("\x0a\x81")},
        {"torn varint", STR("\x08\x80")},
        {"torn fixed64", STR("\x09\0\0\0")},
        {"torn fixed32", STR("\x0d\0")},
        {"field too large", STR("\x80\x80\x80\x80\x10\x01")},
        {"varint too long", STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    };

    EACH_CASE(c, cases) {
        ProtoReader r = proto_reader(c->bytes);

        CHECK(!proto_next(&r));

        CHECK(r.failed);
        CHECK(!proto_next(&r));
    }
}

TEST_MAIN(protobuf, TEST_ROW(protobuf, reads_back_what_it_writes),
          TEST_ROW(protobuf, long_messages_get_long_lengths),
          TEST_ROW(protobuf, packed_values_come_one_by_one),
          TEST_ROW(protobuf, malformed_messages_are_refused))
