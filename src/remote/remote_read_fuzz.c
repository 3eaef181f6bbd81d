// SPDX-License-Identifier: Apache-2.0
// remote_read_fuzz.c: a request as it lies under snappy. Whatever it asks for, the answer is an error with a text or whole frames whose
// checksums hold; no memory stays counted, no Querier stays open.
#include "base/crc32c.h"
#include "base/reader.h"
#include "codec/compress.h"
#include "remote/remote_fake_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_frames(Str body)
{
    Reader r = reader_from(body);
    while (r.at < r.end) {
        uint64_t bytes = reader_uvarint(&r);
        uint32_t crc = reader_u32be(&r);
        Str message = reader_bytes(&r, (size_t)bytes);
        ASSERT(!r.failed);
        ASSERT(crc32c(message) == crc);
    }
}

static void check_whole(Str body)
{
    Buf plain = {0};
    Error err;
    bool ok = snappy_decode(body, 64 << 20, &plain, &err);
    ASSERT(ok);
    ProtoReader results = proto_reader(buf_str(&plain));
    while (proto_next(&results))
        ASSERT(results.field == 1);
    ASSERT(!results.failed);
    buf_deinit(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    FakeSource source;
    FakeAnswer answer = {0};
    Buf body = {0};
    Error err = {0};
    bool begun = false;
    Budget budget = {.name = "--max", .holder = "one query", .bytes_max = 4 << 20};
    Arena arena = {.budget = &budget};
    static const Label external[] = {{STR("cluster"), STR("eu")}};
    fake_source_init(&source);
    RemoteRead *remote = remote_read_new(&(RemoteReadOptions){
        .samples_max = 2000, .concurrent_max = 1, .frame_bytes_max = 200, .encode = fake_encode});
    RemoteReadReply reply = fake_answer_reply(&answer);
    snappy_encode(str_make((const char *)bytes, len), &body);

    bool ok = remote_read_handle(remote, &source.source, (Labels){external, 1}, buf_str(&body),
                                 &arena, &reply, &begun, &err);
    ASSERT(ok || err.text[0]);
    ASSERT(ok || err.code == ERR_INVALID || err.code == ERR_LIMIT);
    ASSERT(ok == begun || answer.writes > 0);
    if (answer.writes > 0)
        check_frames(buf_str(&answer.body));
    else if (ok && str_is(answer.content_type, "application/x-protobuf"))
        check_whole(buf_str(&answer.body));

    remote_read_free(remote);
    arena_deinit(&arena);
    ASSERT(budget_taken(&budget) == 0);
    ASSERT(source.open == 0);
    buf_deinit(&answer.body);
    buf_deinit(&body);
    return 0;
}
