// SPDX-License-Identifier: Apache-2.0
#include "promql/query_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "trace/trace.h"

#define UNFINISHED_BYTES_MAX (16u << 20)

struct QueryTracker {
    char *map;
    size_t bytes;
    int slots;
    bool *used;
};

// ---- unfinished queries ----

// What stands in the file without the zeros and without the last comma.
static Str read_unfinished(int fd, Arena *arena)
{
    struct stat about;
    if (fstat(fd, &about) != 0 || about.st_size <= 1)
        return STR_NONE;
    size_t bytes = MIN((size_t)about.st_size, (size_t)UNFINISHED_BYTES_MAX);
    char *text = arena_alloc(arena, bytes + 1);
    ssize_t got = pread(fd, text, bytes, 0);
    size_t len = 0;
    for (ssize_t i = 0; i < got; i++)
        if (text[i])
            text[len++] = text[i];
    if (len <= 1 || text[0] != '[')
        return STR_NONE;
    if (text[len - 1] == ',')
        len--;
    text[len++] = ']';
    return str_make(text, len);
}

bool query_tracker_open(Str path, int slots, Arena *arena, QueryTracker **ret_tracker,
                        Str *ret_unfinished, Error *err)
{
    size_t bytes = 1 + (size_t)slots * QUERY_SLOT_BYTES;
    int fd = open(str_to_c(arena, path), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(err, errno, "open " STR_FMT, STR_ARG(path));
    Str unfinished = read_unfinished(fd, arena);
    void *map = MAP_FAILED;
    // Cut first: what stood there is told and forgotten. Blocks are taken now: a full disk must not become SIGBUS later.
    bool ok = ftruncate(fd, 0) == 0;
    int failure = ok ? posix_fallocate(fd, 0, (off_t)bytes) : errno;
    if (failure == 0) {
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        failure = map == MAP_FAILED ? errno : 0;
    }
    close(fd);
    if (failure)
        return error_set_errno(err, failure, "file of running queries " STR_FMT, STR_ARG(path));
    QueryTracker *tracker = X_NEW(QueryTracker);
    *tracker = (QueryTracker){map, bytes, slots, X_ARRAY(bool, (size_t)slots)};
    tracker->map[0] = '[';
    *ret_tracker = tracker;
    *ret_unfinished = unfinished;
    return true;
}

void query_tracker_close(QueryTracker *tracker)
{
    if (!tracker)
        return;
    munmap(tracker->map, tracker->bytes);
    free(tracker->used);
    free(tracker);
}

// As much of the query as has room, whole runes and whole escapes.
static void write_entry(Buf *out, Str query, int64_t now_ms)
{
    Str part = query;
    for (;;) {
        JsonWriter json;
        buf_reset(out);
        json_writer_init(&json, out);
        json_object(&json);
        json_key_str(&json, "query", part);
        json_key_i64(&json, "timestamp_sec", now_ms / 1000);
        json_object_end(&json);
        if (out->len < QUERY_SLOT_BYTES)
            return;
        size_t over = out->len - QUERY_SLOT_BYTES + 1;
        part.len -= MIN(part.len, MAX(over / 6, (size_t)1)); // an escape has at most six bytes
        while (part.len && ((unsigned char)part.ptr[part.len] & 0xC0) == 0x80)
            part.len--;
    }
}

int query_tracker_add(QueryTracker *tracker, Str query, int64_t now_ms)
{
    int slot = 0;
    while (slot < tracker->slots && tracker->used[slot])
        slot++;
    ASSERT(slot < tracker->slots);
    tracker->used[slot] = true;
    Buf entry = {0};
    write_entry(&entry, str_sub(query, 0, MIN(query.len, (size_t)QUERY_SLOT_BYTES)), now_ms);
    char *at = tracker->map + 1 + (size_t)slot * QUERY_SLOT_BYTES;
    memcpy(at, entry.ptr, entry.len);
    at[QUERY_SLOT_BYTES - 1] = ',';
    buf_deinit(&entry);
    return slot;
}

void query_tracker_remove(QueryTracker *tracker, int slot)
{
    memset(tracker->map + 1 + (size_t)slot * QUERY_SLOT_BYTES, 0, QUERY_SLOT_BYTES);
    tracker->used[slot] = false;
}

// ---- lines ----

static void write_per_step(JsonWriter *json, const char *key, const uint64_t *counts,
                           const QueryRequest *query)
{
    int64_t step_ms = query->is_range ? query->step_ms : 1;
    int64_t end_ms = query->is_range ? query->end_ms : query->start_ms;
    size_t i = 0;
    json_key(json, str_from_c(key));
    json_array(json);
    for (int64_t t_ms = query->start_ms; t_ms <= end_ms; t_ms += step_ms) {
        json_array(json);
        json_double(json, (double)t_ms / 1000);
        json_u64(json, counts[i++]);
        json_array_end(json);
    }
    json_array_end(json);
}

void promql_stats_json(JsonWriter *json, const QueryStats *stats, const QueryRequest *query)
{
    json_object(json);
    json_key(json, S("timings"));
    json_object(json);
    json_key_double(json, "evalTotalTime", stats->eval_total_s);
    json_key_double(json, "resultSortTime", stats->result_sort_s);
    json_key_double(json, "queryPreparationTime", stats->preparation_s);
    json_key_double(json, "innerEvalTime", stats->inner_eval_s);
    json_key_double(json, "execQueueTime", stats->queue_s);
    json_key_double(json, "execTotalTime", stats->exec_total_s);
    json_object_end(json);
    json_key(json, S("samples"));
    json_object(json);
    if (stats->samples_per_step)
        write_per_step(json, "totalQueryableSamplesPerStep", stats->samples_per_step, query);
    json_key_u64(json, "totalQueryableSamples", stats->samples_total);
    if (stats->read_per_step)
        write_per_step(json, "samplesReadPerStep", stats->read_per_step, query);
    json_key_u64(json, "samplesRead", stats->samples_read);
    json_key_u64(json, "peakSamples", stats->samples_peak);
    json_object_end(json);
    json_object_end(json);
}

// 2020-02-08T14:59:50.368Z, always with three digits.
static void write_time(JsonWriter *json, const char *key, int64_t t_ms)
{
    Buf text = {0};
    buf_add_rfc3339(&text, t_ms, 0);
    Str whole = buf_str(&text); // "...:50Z", "...:50.3Z"
    size_t dot = str_find_char(whole, '.');
    size_t digits = dot == STR_NOT_FOUND ? 0 : whole.len - dot - 2;
    text.len--;
    if (digits == 0)
        buf_add_char(&text, '.');
    for (; digits < 3; digits++)
        buf_add_char(&text, '0');
    buf_add_char(&text, 'Z');
    json_key_str(json, key, buf_str(&text));
    buf_deinit(&text);
}

static void write_origin(JsonWriter *json, const QueryOrigin *origin)
{
    if (origin->rule_group.len) {
        json_key(json, S("ruleGroup"));
        json_object(json);
        json_key_str(json, "file", origin->rule_file);
        json_key_str(json, "name", origin->rule_group);
        json_object_end(json);
    }
    if (origin->method.len) {
        json_key(json, S("httpRequest"));
        json_object(json);
        json_key_str(json, "clientIP", origin->client_ip);
        json_key_str(json, "method", origin->method);
        json_key_str(json, "path", origin->path);
        json_object_end(json);
    }
}

// All zero without tracing, as the original's.
static void write_span(JsonWriter *json)
{
    static const SpanContext none;
    const Span *span = span_current();
    char parent[SPAN_PARENT_BYTES + 1]; // 00-trace-span-flags
    span_context_print(span ? &span->context : &none, parent);
    json_key_str(json, "spanID", str_make(parent + 36, 16));
    json_key_str(json, "traceID", str_make(parent + 3, 32));
}

void query_log_line(Buf *out, const QueryRequest *request, const QueryStats *stats,
                    const Error *err, int64_t now_ms)
{
    JsonWriter json;
    json_writer_init(&json, out);
    json_object(&json);
    write_time(&json, "time", now_ms);
    json_key_c(&json, "level", "INFO");
    json_key_c(&json, "msg", "promql query logged");
    json_key(&json, S("params"));
    json_object(&json);
    write_time(&json, "end", request->is_range ? request->end_ms : request->start_ms);
    json_key_str(&json, "query", request->query);
    write_time(&json, "start", request->start_ms);
    json_key_i64(&json, "step", request->is_range ? request->step_ms / 1000 : 0);
    json_object_end(&json);
    if (err)
        json_key_c(&json, "error", err->text);
    json_key(&json, S("stats"));
    promql_stats_json(&json, stats, request);
    write_span(&json);
    write_origin(&json, &request->origin);
    json_object_end(&json);
    buf_add_char(out, '\n');
}
