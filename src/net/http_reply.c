// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <stdlib.h>

#include "codec/compress.h"
#include "net/http_server_internal.h"

// ---- what handlers ask ----

Str http_param(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (str_equal(request->params[i].name, name))
            return request->params[i].value;
    return STR_NONE;
}

bool http_has_param(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (str_equal(request->params[i].name, name))
            return true;
    return false;
}

Str http_header(const HttpRequest *request, Str name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_equal_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    return STR_NONE;
}

bool http_client_gone(const HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake)
        return exchange->fake->client_gone;
    if (atomic_load_explicit(&exchange->server->hurry, memory_order_relaxed))
        return true;

    lock_take(&exchange->lock);
    bool gone = exchange->gone;
    if (!gone) {
        struct pollfd watch = {.fd = exchange->fd, .events = POLLRDHUP};
        gone =
            poll(&watch, 1, 0) > 0 && (watch.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
    }
    lock_give(&exchange->lock);
    return gone;
}

// ---- answers ----

void http_reply_header(HttpRequest *request, Str name, Str value)
{
    Exchange *exchange = exchange_of(request);
    UrlParams *headers = exchange->fake ? &exchange->fake->headers : &exchange->reply_headers;
    if (headers->count == headers->cap) {
        size_t cap = MAX(headers->cap * 2, 8u);
        headers->items =
            arena_grow(request->arena, headers->items, headers->cap * sizeof *headers->items,
                       cap * sizeof *headers->items);
        headers->cap = cap;
    }
    headers->items[headers->count++] =
        (HttpPair){arena_str(request->arena, name), arena_str(request->arena, value)};
}

void http_reply_compress(HttpRequest *request)
{
    http_reply_header(request, S("Vary"), S("Accept-Encoding"));
    exchange_of(request)->encoding =
        http_encoding_choose(http_header(request, S("Accept-Encoding")));
}

static void add_headers(Exchange *exchange, struct MHD_Response *response, Str content_type)
{
    Arena *arena = &exchange->arena;
    if (content_type.len)
        (void)MHD_add_response_header(response, "Content-Type", str_to_c(arena, content_type));
    if (exchange->encoding != HTTP_ENCODING_IDENTITY)
        (void)MHD_add_response_header(response, "Content-Encoding",
                                      http_encoding_name(exchange->encoding).ptr);
    const ConfigStrMap *fixed =
        exchange->rules ? &web_rules_config(exchange->rules)->http.headers : NULL;
    for (size_t i = 0; fixed && i < fixed->count; i++)
        (void)MHD_add_response_header(response, str_to_c(arena, fixed->keys[i]),
                                      str_to_c(arena, fixed->values[i]));
    // A header that MHD refuses (a control character from a foreign string) is left out.
    for (size_t i = 0; i < exchange->reply_headers.count; i++) {
        HttpPair *pair = &exchange->reply_headers.items[i];
        (void)MHD_add_response_header(response, pair->name.ptr, pair->value.ptr);
    }
}

static void give_response(Exchange *exchange, int status, struct MHD_Response *response)
{
    lock_take(&exchange->lock);
    exchange->status = status;
    exchange->response = response;
    lock_give(&exchange->lock);
    // Suspended, so it cannot be gone yet. Without the lock: the poll thread, which takes it next, need not sleep once more.
    MHD_resume_connection(exchange->connection);
}

bool http_exchange_has_answered(const Exchange *exchange)
{
    return exchange->response != NULL || exchange->stream_begun;
}

static void fake_reply(HttpFakeReply *fake, int status, Str content_type, Str body)
{
    ASSERT(fake->status == 0);
    fake->status = status;
    fake->content_type = content_type;
    buf_add_str(&fake->body, body);
    fake->ended = true;
}

static struct MHD_Response *response_compressed(Exchange *exchange, Str body)
{
    Buf out = {0};
    Error ignored; // only a Buf with a maximum could be too small
    if (exchange->encoding == HTTP_ENCODING_GZIP)
        gzip_encode(body, COMPRESS_LEVEL, &out);
    else if (exchange->encoding == HTTP_ENCODING_DEFLATE)
        zlib_encode(body, COMPRESS_LEVEL, &out);
    else if (!zstd_encode(body, 1, &out, &ignored))
        out_of_memory(body.len);
    return MHD_create_response_from_buffer_with_free_callback(out.len, out.ptr, free);
}

static void reply(HttpRequest *request, int status, Str content_type, Str body, bool is_static)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        fake_reply(exchange->fake, status, arena_str(request->arena, content_type), body);
        return;
    }
    ASSERT(!http_exchange_has_answered(exchange));
    if (body.len < COMPRESS_BYTES_MIN || exchange->is_head)
        exchange->encoding = HTTP_ENCODING_IDENTITY;
    union { // MHD only reads
        const char *from;
        void *to;
    } bytes = {.from = body.len ? body.ptr : ""};
    struct MHD_Response *response =
        exchange->encoding != HTTP_ENCODING_IDENTITY
            ? response_compressed(exchange, body)
            : MHD_create_response_from_buffer(
                  body.len, bytes.to, is_static ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    if (!response)
        out_of_memory(body.len);
    add_headers(exchange, response, content_type);
    give_response(exchange, status, response);
}

void http_reply(HttpRequest *request, int status, Str content_type, Str body)
{
    reply(request, status, content_type, body, false);
}

void http_reply_static(HttpRequest *request, int status, Str content_type, Str body)
{
    reply(request, status, content_type, body, true);
}

// Poll thread: hands over up to `max` bytes of the stream.
static ssize_t stream_read(void *arg, uint64_t position, char *out, size_t max)
{
    (void)position;
    Exchange *exchange = arg;
    ssize_t result;

    lock_take(&exchange->lock);
    if (exchange->drained == exchange->drain.len && exchange->fill.len > 0) {
        Buf empty = exchange->drain;
        exchange->drain = exchange->fill;
        exchange->fill = empty;
        buf_reset(&exchange->fill);
        exchange->drained = 0;
        condition_signal(&exchange->room);
    }
    size_t left = exchange->drain.len - exchange->drained;
    if (left > 0) {
        size_t count = MIN(left, max);
        memcpy(out, exchange->drain.ptr + exchange->drained, count);
        exchange->drained += count;
        result = (ssize_t)count;
    } else if (exchange->broken) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (exchange->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        exchange->waiting = true;
        MHD_suspend_connection(exchange->connection);
        result = 0;
    }
    lock_give(&exchange->lock);
    return result;
}

bool http_stream_begin(HttpRequest *request, int status, Str content_type)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        ASSERT(exchange->fake->status == 0);
        exchange->fake->status = status;
        exchange->fake->content_type = arena_str(request->arena, content_type);
        return !exchange->fake->client_gone;
    }
    ASSERT(!http_exchange_has_answered(exchange));
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES,
                                                                      stream_read, exchange, NULL);
    if (!response)
        out_of_memory(CHUNK_BYTES);
    add_headers(exchange, response, content_type);
    if (exchange->encoding != HTTP_ENCODING_IDENTITY)
        exchange->gzip = http_gzip_new(exchange->encoding);
    exchange->stream_begun = true;
    give_response(exchange, status, response);
    return true;
}

// Gives the lock; the reader has something to do now. One that waits is suspended, so it cannot be gone before it is resumed.
static void give_and_wake(Exchange *exchange) RELEASE(exchange->lock)
{
    bool wake = exchange->waiting && !exchange->gone;
    if (wake)
        exchange->waiting = false;
    lock_give(&exchange->lock);
    if (wake)
        MHD_resume_connection(exchange->connection);
}

static bool stream_put(Exchange *exchange, Str bytes)
{
    while (bytes.len > 0) {
        lock_take(&exchange->lock);
        while (exchange->fill.len >= STREAM_BYTES_MAX && !exchange->gone &&
               !atomic_load_explicit(&exchange->server->hurry, memory_order_relaxed))
            (void)condition_wait_ms(&exchange->room, &exchange->lock, 100);
        if (exchange->gone || exchange->fill.len >= STREAM_BYTES_MAX) {
            lock_give(&exchange->lock);
            return false;
        }
        Str piece = str_sub(bytes, 0, STREAM_BYTES_MAX - exchange->fill.len);
        buf_add_str(&exchange->fill, piece);
        bytes = str_skip(bytes, piece.len);
        give_and_wake(exchange);
    }
    return true;
}

static bool stream_put_encoded(Exchange *exchange, Str bytes, bool flush, bool is_last)
{
    buf_reset(&exchange->gzip_out);
    http_gzip_write(exchange->gzip, bytes, flush, is_last, &exchange->gzip_out);
    return stream_put(exchange, buf_str(&exchange->gzip_out));
}

bool http_stream_write(HttpRequest *request, Str bytes)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        buf_add_str(&exchange->fake->body, bytes);
        return !exchange->fake->client_gone;
    }
    if (exchange->is_head)
        return true; // nobody reads: the answer has no body
    if (exchange->gzip)
        return stream_put_encoded(exchange, bytes, false, false);
    return stream_put(exchange, bytes);
}

bool http_stream_flush(HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake)
        return !exchange->fake->client_gone;
    if (exchange->gzip && !exchange->is_head)
        return stream_put_encoded(exchange, STR_NONE, true, false);
    return true;
}

void http_exchange_end_stream(Exchange *exchange, bool whole)
{
    lock_take(&exchange->lock);
    exchange->ended = true;
    exchange->broken = !whole;
    give_and_wake(exchange);
}

void http_stream_end(HttpRequest *request)
{
    Exchange *exchange = exchange_of(request);
    if (exchange->fake) {
        exchange->fake->ended = true;
        return;
    }
    bool whole = true;
    if (exchange->gzip && !exchange->is_head)
        whole = stream_put_encoded(exchange, STR_NONE, false, true);
    http_exchange_end_stream(exchange, whole);
}
