// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_event_proto.h"

#include "base/test.h"
#include "codec/protobuf.h"

// The bytes of the innermost of nested messages.
static Str dig(Str message, const uint32_t *path, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        ProtoReader r = proto_reader(message);
        message = STR_NONE;
        while (proto_next(&r))
            if (r.field == path[i] && r.wire == PROTO_BYTES)
                message = r.bytes;
    }
    return message;
}

TEST(am_event_proto, members_become_fields)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf buf = {0};
    Error err = {0};
    Str json =
        S("{\"@timestamp\":\"1970-01-01T00:00:01.5Z\",\"instance\":\"me\",\"clusterPosition\":3,"
          "\"data\":{\"notification\":{\"repeatInterval\":\"2.500s\",\"reason\":\"NOTIFY_REASON_"
          "NEW_ALERTS_IN_GROUP\","
          "\"flushId\":\"18446744073709551615\"}}}");

    CHECK_OK(am_event_proto_add(&buf, json, &arena, &err), err);

    CHECK_STR(dig(buf_str(&buf), (const uint32_t[]){1}, 1), S("\x08\x01\x10\x80\xCA\xB5\xEE\x01"));
    CHECK_STR(dig(buf_str(&buf), (const uint32_t[]){2}, 1), S("me"));
    CHECK_STR(dig(buf_str(&buf), (const uint32_t[]){3, 6, 6}, 3),
              S("\x08\x02\x10\x80\xCA\xB5\xEE\x01"));
    ProtoReader r = proto_reader(dig(buf_str(&buf), (const uint32_t[]){3, 6}, 2));
    uint64_t reason = 0;
    uint64_t flush = 0;
    while (proto_next(&r)) {
        reason = r.field == 7 ? r.number : reason;
        flush = r.field == 8 ? r.number : flush;
    }
    CHECK_EQ(reason, 2u);
    CHECK(flush == UINT64_MAX);
}

TEST(am_event_proto, what_the_messages_do_not_have_is_an_error)
{
    static const struct {
        const char *name;
        Str json;
        const char *want;
    } cases[] = {
        {"an unknown member", STR("{\"other\":1}"), "no message has other"},
        {"an unknown event", STR("{\"data\":{\"x\":{}}}"), "no message has x"},
        {"a text that is a number", STR("{\"instance\":1}"), "instance is not"},
        {"a time that is none", STR("{\"@timestamp\":\"now\"}"), "@timestamp is not"},
        {"a number that is a text", STR("{\"clusterPosition\":\"x\"}"), "clusterPosition is not"},
        {"a message that is a text", STR("{\"data\":\"x\"}"), "an object is expected"},
        {"an unknown word", STR("{\"data\":{\"notification\":{\"reason\":\"x\"}}}"),
         "reason is not"},
        {"a length of time without a unit",
         STR("{\"data\":{\"notification\":{\"repeatInterval\":\"3\"}}}"), "repeatInterval is not"},
        {"no JSON", STR("{"), "1:2"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf buf = {0};
        Error err = {0};

        CHECK(!am_event_proto_add(&buf, c->json, &arena, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST_MAIN(am_event_proto, TEST_ROW(am_event_proto, members_become_fields),
          TEST_ROW(am_event_proto, what_the_messages_do_not_have_is_an_error))
