// SPDX-License-Identifier: Apache-2.0
// /read: the remote read endpoint.
#include "api/api_internal.h"

void api_read_encode(const SampleColumns *samples, Arena *arena, RemoteChunk **ret_chunks,
                     size_t *ret_count)
{
    TsdbChunk *chunks;
    size_t count;
    tsdb_encode_chunks(samples, arena, &chunks, &count);
    RemoteChunk *out = ARENA_ARRAY(arena, RemoteChunk, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (RemoteChunk){chunks[i].min_t_ms, chunks[i].max_t_ms, chunks[i].encoding,
                               chunks[i].bytes};
    *ret_chunks = out;
    *ret_count = count;
}

typedef struct ReadCall {
    ApiCall *call;
    bool streaming;
} ReadCall;

static void send_whole(void *arg, Str content_type, Str bytes)
{
    ApiCall *call = ((ReadCall *)arg)->call;
    http_reply_header(call->request, S("Content-Encoding"), S("snappy"));
    api_bytes(call, 200, content_type, bytes);
}

static bool begin(void *arg, Str content_type)
{
    ReadCall *read = arg;
    read->streaming = true;
    read->call->status = 200;
    return http_stream_begin(read->call->request, 200, content_type);
}

static bool write_on(void *arg, Str bytes)
{
    ApiCall *call = ((ReadCall *)arg)->call;
    call->sent_bytes += bytes.len;
    return http_stream_write(call->request, bytes);
}

static bool is_gone(void *arg)
{
    return http_client_gone(((ReadCall *)arg)->call->request);
}

static int status_of(const Error *err)
{
    return err->code == ERR_INVALID || err->code == ERR_LIMIT ? 400 : 500;
}

void api_remote_read(ApiCall *call)
{
    ApiContext *api = call->api;
    ReadCall read = {.call = call};
    Labels external =
        api->external_labels ? api->external_labels(api->owner, call->arena) : LABELS_NONE;
    RemoteReadReply reply = {
        .arg = &read, .whole = send_whole, .begin = begin, .write = write_on, .is_gone = is_gone};
    Error err = {0};
    bool begun = false;
    bool ok = remote_read_handle(api->state->remote_read, tsdb_source(api->tsdb), external,
                                 call->request->body, call->arena, &reply, &begun, &err);
    if (!ok && !begun)
        api_text(call, status_of(&err), arena_printf(call->arena, "%s\n", err.text));
    else if (ok && read.streaming)
        http_stream_end(call->request);
    // A stream that failed on its way is left unfinished, so that the client sees that it is not whole.
}
