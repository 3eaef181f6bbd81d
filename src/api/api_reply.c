// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>

#include "api/api_internal.h"
#include "base/number.h"
#include "base/timefmt.h"

enum {
    FLUSH_BYTES = 128 * 1024, // answers up to this go out in one piece
    ANNOTATIONS_MAX = 10,
    POINT_BYTES_MAX = 64 + NUMBER_BYTES_MAX,
    TIME_DIGITS_MAX = 20,
};

#define JSON_TYPE S("application/json")

// ---- errors ----

typedef struct ErrorRow {
    const char *name;
    int status;
} ErrorRow;

static const ErrorRow error_rows[] = {
    [API_BAD_DATA] = {"bad_data", 400},
    [API_EXECUTION] = {"execution", 422},
    [API_CANCELED] = {"canceled", 499},
    [API_TIMEOUT] = {"timeout", 503},
    [API_INTERNAL] = {"internal", 500},
    [API_NOT_FOUND] = {"not_found", 404},
    [API_NOT_ACCEPTABLE] = {"not_acceptable", 406},
    [API_UNAVAILABLE] = {"unavailable", 500}, // upstream has no status of its own for it
};

ApiErrorKind api_error_kind(ErrorCode code)
{
    switch (code) {
    case ERR_INVALID:
    case ERR_CONFLICT:
        return API_BAD_DATA;
    case ERR_NOT_FOUND:
        return API_NOT_FOUND;
    case ERR_LIMIT:
        return API_EXECUTION;
    case ERR_CANCELED:
        return API_CANCELED;
    case ERR_TIMEOUT:
        return API_TIMEOUT;
    case ERR_UNAVAILABLE:
        return API_UNAVAILABLE;
    case ERR_NONE:
    case ERR_IO:
    case ERR_CORRUPT:
        break;
    }
    return API_INTERNAL;
}

static void send_error(ApiCall *call, ApiErrorKind kind, Str text)
{
    Buf buf = {0};
    JsonWriter json;
    json_writer_init(&json, &buf);
    json_object(&json);
    json_key_c(&json, "status", "error");
    json_key_c(&json, "errorType", error_rows[kind].name);
    json_key_str(&json, "error", text);
    json_object_end(&json);
    api_bytes(call, error_rows[kind].status, JSON_TYPE, buf_str(&buf));
    buf_deinit(&buf);
}

void api_error(ApiCall *call, ApiErrorKind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    Str text = arena_vprintf(call->arena, fmt, args);
    va_end(args);
    send_error(call, kind, text);
}

void api_error_from(ApiCall *call, const Error *err)
{
    send_error(call, api_error_kind(err->code), str_from_c(err->text));
}

void api_bad_param(ApiCall *call, const char *name, const Error *err)
{
    api_error(call, API_BAD_DATA, "invalid parameter \"%s\": %s", name, err->text);
}

// ---- plain answers ----

void api_bytes(ApiCall *call, int status, Str content_type, Str bytes)
{
    call->status = status;
    call->sent_bytes += bytes.len;
    http_reply(call->request, status, content_type, bytes);
}

void api_text(ApiCall *call, int status, Str text)
{
    api_bytes(call, status, S("text/plain; charset=utf-8"), text);
}

void api_empty(ApiCall *call, int status)
{
    api_bytes(call, status, STR_NONE, STR_NONE);
}

// ---- success documents ----

static bool begin_stream(ApiReply *reply)
{
    ApiCall *call = reply->call;
    if (reply->streaming)
        return true;
    reply->streaming = true;
    call->status = 200;
    return http_stream_begin(call->request, 200, reply->content_type);
}

static bool send_on(void *arg, Str bytes)
{
    ApiReply *reply = arg;
    reply->call->sent_bytes += bytes.len;
    return begin_stream(reply) && http_stream_write(reply->call->request, bytes);
}

void api_stream_begin(ApiCall *call, ApiReply *reply)
{
    *reply = (ApiReply){.call = call, .content_type = JSON_TYPE};
    json_writer_init(&reply->json, &reply->buf);
    reply->json.flush_at = FLUSH_BYTES;
    reply->json.flush = send_on;
    reply->json.arg = reply;
    http_reply_compress(call->request);
}

void api_stream_end(ApiReply *reply)
{
    ApiCall *call = reply->call;
    if (!reply->streaming) {
        api_bytes(call, 200, reply->content_type, buf_str(&reply->buf));
    } else if (!reply->json.stopped) {
        call->sent_bytes += reply->buf.len;
        if (http_stream_write(call->request, buf_str(&reply->buf)))
            http_stream_end(call->request);
    }
    buf_deinit(&reply->buf);
}

void api_reply_begin(ApiCall *call, ApiReply *reply)
{
    api_stream_begin(call, reply);
    json_object(&reply->json);
    json_key_c(&reply->json, "status", "success");
    json_key(&reply->json, S("data"));
}

void api_reply_flush(ApiReply *reply)
{
    JsonWriter *json = &reply->json;
    if (LIKELY(reply->buf.len < FLUSH_BYTES))
        return;
    if (!json->stopped && !send_on(reply, buf_str(&reply->buf)))
        json->stopped = true;
    buf_reset(&reply->buf);
}

static void write_annotations(JsonWriter *json, const char *key, const char *what, StrList list)
{
    if (list.count == 0)
        return;
    json_key(json, str_from_c(key));
    json_array(json);
    for (size_t i = 0; i < MIN(list.count, (size_t)ANNOTATIONS_MAX); i++)
        json_str(json, list.items[i]);
    if (list.count > ANNOTATIONS_MAX) {
        char more[80];
        int len = snprintf(more, sizeof more, "%zu more %s annotations omitted",
                           list.count - ANNOTATIONS_MAX, what);
        json_str(json, str_make(more, (size_t)len));
    }
    json_array_end(json);
}

void api_json_annotations(JsonWriter *json, StrList warnings, StrList infos)
{
    write_annotations(json, "warnings", "warning", warnings);
    write_annotations(json, "infos", "info", infos);
}

void api_reply_end(ApiReply *reply, StrList warnings, StrList infos)
{
    api_json_annotations(&reply->json, warnings, infos);
    json_object_end(&reply->json);
    api_stream_end(reply);
}

void api_reply_done(ApiReply *reply)
{
    api_reply_end(reply, (StrList){0}, (StrList){0});
}

// ---- values ----

static const char two_digits[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static char *put_u64(char *at, uint64_t value)
{
    enum { DIGITS_MAX = TIME_DIGITS_MAX };
    char digits[2 * DIGITS_MAX];
    size_t from = DIGITS_MAX;
    while (value >= 100) {
        from -= 2;
        memcpy(digits + from, two_digits + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        from -= 2;
        memcpy(digits + from, two_digits + value * 2, 2);
    } else {
        digits[--from] = (char)('0' + value);
    }
    memcpy(at, digits + from, DIGITS_MAX); // a constant length is two moves
    return at + (DIGITS_MAX - from);
}

// Exactly three decimals unless they are all zero (util/jsonutil.MarshalTimestamp).
static char *put_decimals(char *at, uint64_t ms)
{
    if (ms) {
        *at++ = '.';
        *at++ = (char)('0' + ms / 100);
        *at++ = (char)('0' + ms / 10 % 10);
        *at++ = (char)('0' + ms % 10);
    }
    return at;
}

// Seconds.
static char *put_time(char *at, int64_t t_ms)
{
    uint64_t ms = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
    if (t_ms < 0)
        *at++ = '-';
    return put_decimals(put_u64(at, ms / 1000), ms % 1000);
}

// What the time before tells of the next: its place among the steps, and its digits but the last four.
typedef struct TimeHint {
    size_t step;
    uint64_t front; // seconds / 10,000; 0: not known
    size_t front_len;
    char front_text[2 * TIME_DIGITS_MAX];
} TimeHint;

static char *put_time_near(char *at, TimeHint *hint, int64_t t_ms)
{
    if (t_ms < 10000 * 1000)
        return put_time(at, t_ms);
    uint64_t seconds = (uint64_t)t_ms / 1000, back = seconds % 10000;
    if (seconds / 10000 != hint->front) {
        hint->front = seconds / 10000;
        hint->front_len = (size_t)(put_u64(hint->front_text, hint->front) - hint->front_text);
    }
    memcpy(at, hint->front_text, TIME_DIGITS_MAX); // a constant length is two moves
    at += hint->front_len;
    memcpy(at, two_digits + back / 100 * 2, 2);
    memcpy(at + 2, two_digits + back % 100 * 2, 2);
    return put_decimals(at + 4, (uint64_t)t_ms % 1000);
}

void api_times_make(ApiTimes *times, int64_t start_ms, int64_t step_ms, size_t count, Arena *arena)
{
    *times = (ApiTimes){start_ms, step_ms, count, NULL};
    times->texts = (char(*)[API_TIME_BYTES])arena_array_alloc(arena, count, API_TIME_BYTES);
    for (size_t i = 0; i < count; i++) {
        char text[2 * TIME_DIGITS_MAX] = {0}; // put_time writes behind the end
        size_t len = (size_t)(put_time(text, start_ms + (int64_t)i * step_ms) - text);
        memcpy(times->texts[i], text, API_TIME_BYTES - 1);
        times->texts[i][API_TIME_BYTES - 1] = (char)len;
    }
}

// Where the point before stood helps to find the next.
static char *put_grid_time(char *at, const ApiTimes *times, TimeHint *hint, int64_t t_ms)
{
    size_t i = hint->step;
    if (i >= times->count || times->start_ms + (int64_t)i * times->step_ms != t_ms) {
        uint64_t past = (uint64_t)t_ms - (uint64_t)times->start_ms;
        if (times->count == 0 || t_ms < times->start_ms || past % (uint64_t)times->step_ms != 0 ||
            (i = past / (uint64_t)times->step_ms) >= times->count)
            return put_time_near(at, hint, t_ms);
    }
    hint->step = i + 1;
    const char *text = times->texts[i];
    memcpy(at, text, API_TIME_BYTES);
    return at + text[API_TIME_BYTES - 1];
}

void api_json_time(Buf *buf, int64_t t_ms)
{
    char *at = buf_reserve(buf, 32);
    if (at)
        buf->len += (size_t)(put_time(at, t_ms) - at);
}

void api_json_labels(JsonWriter *json, Labels labels)
{
    json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(json, labels.pairs[i].name);
        json_str(json, labels.pairs[i].value);
    }
    json_object_end(json);
}

static void put_point(ApiReply *reply, TimeHint *hint, int64_t t_ms, double value,
                      const Histogram *histogram)
{
    Buf *buf = &reply->buf;
    char *start = buf_reserve(buf, POINT_BYTES_MAX);
    if (!start)
        return;
    char *at = start;
    *at++ = '[';
    at = put_grid_time(at, &reply->times, hint, t_ms);
    *at++ = ',';
    if (!histogram) {
        *at++ = '"';
        at += number_format_json(value, at);
        *at++ = '"';
    }
    buf->len += (size_t)(at - start);
    if (histogram)
        histogram_print_json(buf, histogram);
    buf_add_char(buf, ']');
}

void api_json_point(ApiReply *reply, int64_t t_ms, double value, const Histogram *histogram)
{
    TimeHint hint = {.step = 0};
    put_point(reply, &hint, t_ms, value, histogram);
}

void api_json_points(ApiReply *reply, Str key, const SampleColumns *samples, bool histograms)
{
    JsonWriter *json = &reply->json;
    bool first = true;
    TimeHint hint = {.step = 0};
    for (size_t i = 0; i < samples->count; i++) {
        const Histogram *histogram = samples->histograms ? samples->histograms[i] : NULL;
        if ((histogram != NULL) != histograms)
            continue;
        if (first) {
            json_key(json, key);
            json_raw(json, S("["));
            first = false;
        } else {
            buf_add_char(&reply->buf, ',');
        }
        put_point(reply, &hint, samples->t_ms[i], samples->value[i], histogram);
        api_reply_flush(reply);
    }
    if (!first)
        buf_add_char(&reply->buf, ']');
}

void api_json_rfc3339(JsonWriter *json, int64_t t_ms)
{
    Buf text = {0};
    buf_add_rfc3339(&text, t_ms, 0);
    json_str(json, buf_str(&text));
    buf_deinit(&text);
}
