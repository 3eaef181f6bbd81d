// SPDX-License-Identifier: Apache-2.0
// An answer in frames: ChunkedReadResponse {chunked_series = 1 {labels = 1, chunks = 2 {min 1, max 2, type 3, data 4}}, query_index = 2}.
//
// A series may stand in several frames that follow each other, each with its labels.
#include "base/crc32c.h"
#include "remote/remote_read_internal.h"

enum { CHUNK_HEAD_BYTES = 48 }; // tags, times, type and length

typedef struct StreamAnswer {
    ReadRun *run;
    size_t query;
    ReadBuf frame; // room for length and checksum, then the message
    uint64_t samples;
} StreamAnswer;

#define STREAM_TYPE S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")

static bool gone(Error *err)
{
    return error_set(err, ERR_CANCELED, "the client of a remote read left");
}

static bool begin_stream(ReadRun *run, Error *err)
{
    if (run->begun)
        return true;
    run->begun = true;
    return run->reply->begin(run->reply->arg, STREAM_TYPE) || gone(err);
}

static bool send_frame(StreamAnswer *answer, Str message, Error *err)
{
    char head[16];
    size_t len = 0;
    uint64_t rest = message.len;
    for (; rest >= 0x80; rest >>= 7)
        head[len++] = (char)(rest | 0x80);
    head[len++] = (char)rest;
    uint32_t crc = crc32c(message);
    for (int shift = 24; shift >= 0; shift -= 8)
        head[len++] = (char)(crc >> shift);
    const RemoteReadReply *reply = answer->run->reply;
    return begin_stream(answer->run, err) &&
           ((reply->write(reply->arg, str_make(head, len)) && reply->write(reply->arg, message)) ||
            gone(err));
}

static void add_chunk(Buf *buf, const RemoteChunk *chunk)
{
    size_t begin = proto_begin(buf, 2);
    if (chunk->min_t_ms)
        proto_add_varint(buf, 1, (uint64_t)chunk->min_t_ms);
    if (chunk->max_t_ms)
        proto_add_varint(buf, 2, (uint64_t)chunk->max_t_ms);
    proto_add_varint(buf, 3, (uint64_t)chunk->encoding);
    proto_add_bytes(buf, 4, chunk->bytes);
    proto_end(buf, begin);
}

// Chunks for one frame: as many as fit behind the labels, at least one.
static size_t chunks_that_fit(size_t bytes_max, size_t label_bytes, const RemoteChunk *chunks,
                              size_t count, size_t *ret_bytes)
{
    size_t bytes = label_bytes + CHUNK_HEAD_BYTES;
    size_t fit = 0;
    while (fit < count) {
        size_t more = chunks[fit].bytes.len + CHUNK_HEAD_BYTES;
        if (fit > 0 && bytes + more > bytes_max)
            break;
        bytes += more;
        fit++;
    }
    *ret_bytes = bytes;
    return fit;
}

static bool send_chunks(StreamAnswer *answer, Labels labels, const RemoteChunk *chunks,
                        size_t count, size_t bytes, Error *err)
{
    Buf *buf = &answer->frame.buf;
    buf_reset(buf);
    if (!read_buf_reserve(&answer->frame, bytes, err))
        return false;
    size_t begin = proto_begin(buf, 1);
    read_add_labels(buf, labels);
    for (size_t i = 0; i < count; i++)
        add_chunk(buf, &chunks[i]);
    proto_end(buf, begin);
    if (answer->query)
        proto_add_varint(buf, 2, answer->query);
    return send_frame(answer, buf_str(buf), err);
}

static bool send_series(void *arg, Labels labels, SampleColumns *samples, Arena *scratch,
                        Error *err)
{
    StreamAnswer *answer = arg;
    const RemoteReadOptions *options = &answer->run->remote->options;
    RemoteChunk *chunks = NULL;
    size_t count = 0;
    size_t label_bytes = read_labels_bytes(labels);
    answer->samples += samples->count;
    if (samples->count)
        options->encode(samples, scratch, &chunks, &count);
    if (!arena_ok(scratch, err))
        return false;
    size_t sent = 0;
    do { // a series without samples is a frame of its labels
        size_t bytes;
        size_t fit = chunks_that_fit(options->frame_bytes_max, label_bytes, chunks + sent,
                                     count - sent, &bytes);
        if (!send_chunks(answer, labels, chunks + sent, fit, bytes, err))
            return false;
        sent += fit;
    } while (sent < count);
    return true;
}

bool read_answer_stream(ReadRun *run, Error *err)
{
    StreamAnswer answer = {.run = run, .frame.budget = run->arena->budget};
    bool ok = true;
    for (size_t i = 0; i < run->query_count && ok; i++) {
        answer.query = i;
        ok = read_each_series(run, &run->queries[i], send_series, &answer, err);
    }
    ok = ok && begin_stream(run, err);
    if (run->remote->samples)
        counter_add(run->remote->samples, (double)answer.samples);
    read_buf_free(&answer.frame);
    return ok;
}
