// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_write_usual.h"

#include "base/test.h"
#include "codec/protobuf.h"
#include "metric/sink.h"

#define VALUE "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f" // 1.5
#define TIME "\x10\xab\xcd\x83\xf2\xbc\x31"

static const struct {
    const char *name;
    Str bytes;
    bool usual;
} rows[] = {
    {"value and time", STR("\x12\x10" VALUE TIME), true},
    {"another field behind", STR("\x12\x10" VALUE TIME "\x12\x07" TIME), true},
    {"a value of 0 is not written", STR("\x12\x07" TIME), true},
    {"the last time of six bytes", STR("\x12\x07\x10\xff\xff\xff\xff\xff\x7f"), true},
    {"a time before 2004", STR("\x12\x06\x10\xab\xcd\x83\xf2\x3c"), false},
    {"a time of seven bytes", STR("\x12\x08\x10\xab\xcd\x83\xf2\xbc\xb1\x01"), false},
    {"a time that says it is longer than its sample", STR("\x12\x07\x10\xab\xcd\x83\xf2\xbc\xb1"),
     false},
    {"a time before 1970", STR("\x12\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), false},
    {"time before value", STR("\x12\x10" TIME VALUE), false},
    {"a start timestamp, too", STR("\x12\x17" VALUE TIME "\x18\xab\xcd\x83\xf2\xbc\x31"), false},
    {"only a value", STR("\x12\x09" VALUE), false},
    {"another field", STR("\x1a\x10" VALUE TIME), false},
    {"cut off", STR("\x12\x10" VALUE "\x10\xab\xcd\x83\xf2\xbc"), false},
    {"cut off without a value", STR("\x12\x07\x10\xab\xcd\x83\xf2\xbc"), false},
    {"nothing", STR(""), false},
};

// Field by field.
static SinkSample slowly(Str message)
{
    SinkSample sample = {.value = 0};
    ProtoReader r = proto_reader(message);

    while (proto_next(&r)) {
        if (r.field == 1)
            sample.value = proto_double(&r);
        else if (r.field == 2)
            sample.t_ms = (int64_t)r.number;
    }
    CHECK(!r.failed);
    return sample;
}

TEST(remote_write_usual, reads_what_field_by_field_would_and_leaves_the_rest)
{
    EACH_CASE(c, rows) {
        int64_t t_ms;
        double value;
        Reader in = reader_from(c->bytes);
        ProtoReader whole = proto_reader(c->bytes);

        CHECK_EQ(usual_sample(&in, &t_ms, &value), c->usual);
        if (!c->usual) {
            CHECK(in.at == reader_from(c->bytes).at);
            continue;
        }
        CHECK(proto_next(&whole) && whole.field == 2);
        SinkSample wanted = slowly(whole.bytes);
        CHECK(in.at == whole.reader.at);
        CHECK_EQ(t_ms, wanted.t_ms);
        CHECK(value == wanted.value);
    }
}

TEST_MAIN(remote_write_usual,
          TEST_ROW(remote_write_usual, reads_what_field_by_field_would_and_leaves_the_rest))
