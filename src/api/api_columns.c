// SPDX-License-Identifier: Apache-2.0
// The answer of /query_range in columns, for the web UI: docs/formats/columns.md says how it is laid out. Numbers go out
// as they are in memory; a browser needs 2 ms for what takes 900 ms as JSON (20 graphs of 50 series of 1,000 points).
#include <string.h>

#include "api/api_internal.h"
#include "base/number.h"

#define COLUMNS_TYPE S("application/vnd.narthex.columns")

bool api_wants_columns(const ApiCall *call)
{
    Str accept = http_header(call->request, S("Accept"));
    Str range;
    while (str_split_next(&accept, ',', &range)) {
        Str type;
        if (str_split_next(&range, ';', &type) && str_equal(str_trim(type), COLUMNS_TYPE))
            return true;
    }
    return false;
}

static void put(ApiReply *reply, uint64_t value, size_t bytes)
{
    char out[8];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(value >> (8 * i));
    buf_add(&reply->buf, out, bytes);
}

// Its length, padding included, so that what comes behind it begins at a multiple of eight; then the text itself.
static void put_text(ApiReply *reply, Str json)
{
    size_t padding = -json.len & 7;
    put(reply, json.len + padding, 8);
    buf_add_str(&reply->buf, json);
    for (size_t i = 0; i < padding; i++)
        buf_add_char(&reply->buf, ' ');
}

// The series as in JSON, without its "values".
static void write_series(ApiReply *reply, ApiReply *part, const QuerySeries *series)
{
    buf_reset(&part->buf);
    json_writer_init(&part->json, &part->buf);
    json_object(&part->json);
    json_key(&part->json, S("metric"));
    api_json_labels(&part->json, series->labels);
    if (series->samples.histograms)
        api_json_points(part, S("histograms"), &series->samples, true);
    json_object_end(&part->json);
    put_text(reply, buf_str(&part->buf));
}

// One number for each step, in the byte order of the machines that we run on.
static void write_values(ApiReply *reply, const SampleColumns *samples, const QueryRequest *query,
                         size_t points)
{
    const double gap = double_from_bits(NAN_STALE_BITS);
    size_t next = 0;
    for (size_t i = 0; i < points; i++) {
        int64_t t_ms = query->start_ms + (int64_t)i * query->step_ms;
        double value = gap;
        if (next < samples->count && samples->t_ms[next] == t_ms) {
            if (!samples->histograms || !samples->histograms[next])
                value = samples->value[next];
            next++;
        }
        put(reply, double_bits(value), sizeof value);
        api_reply_flush(reply);
    }
}

static void write_head(ApiReply *reply, const QueryRequest *query, size_t points, size_t count)
{
    buf_add_str(&reply->buf, S("NTXCOL1\n"));
    put(reply, (uint64_t)query->start_ms, 8);
    put(reply, (uint64_t)query->step_ms, 8);
    put(reply, points, 4);
    put(reply, count, 4);
}

// {"status":"success","stats":{...},"warnings":[...],"infos":[...]}: an answer without it was cut off.
static void write_tail(ApiReply *reply, const QueryResult *result, const QueryRequest *query,
                       StrList warnings)
{
    Buf text = {0};
    JsonWriter json;
    json_writer_init(&json, &text);
    json_object(&json);
    json_key_c(&json, "status", "success");
    if (http_param(reply->call->request, S("stats")).len) {
        json_key(&json, S("stats"));
        promql_stats_json(&json, &result->stats, query);
    }
    api_json_annotations(&json, warnings, result->infos);
    json_object_end(&json);
    put_text(reply, buf_str(&text));
    buf_deinit(&text);
}

void api_reply_columns(ApiCall *call, const QueryRequest *query, const QueryResult *result,
                       size_t count, StrList warnings)
{
    ApiReply reply;
    ApiReply part = {.call = call}; // gathers one text at a time, sends nothing
    size_t points = (size_t)((query->end_ms - query->start_ms) / query->step_ms) + 1;
    api_stream_begin(call, &reply);
    reply.content_type = COLUMNS_TYPE;
    write_head(&reply, query, points, count);
    for (size_t i = 0; i < count; i++) {
        write_series(&reply, &part, &result->series[i]);
        write_values(&reply, &result->series[i].samples, query, points);
    }
    write_tail(&reply, result, query, warnings);
    api_stream_end(&reply);
    buf_deinit(&part.buf);
}
