// SPDX-License-Identifier: Apache-2.0
// tsdb bench write: how fast a storage of ours takes scrapes of many series.
#include "tool/tool_tsdb.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json_reader.h"

#define BATCH_SCRAPES 100
#define SERIES_A_COMMIT 1000
#define SCRAPE_MS 30000
#define LINE_BYTES_MAX (1u << 20)

typedef struct BenchOptions {
    Str out;
    int64_t metrics, scrapes;
} BenchOptions;

#define FLAG(flag, type, member, text, about, ...)                                                 \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(BenchOptions, member),                      \
        .default_text = text, .help = about, __VA_ARGS__                                           \
    }

static const FlagSpec flags[] = {
    FLAG("out", FLAG_STR, out, "benchout", "Set the output path.", .hidden = false),
    FLAG("metrics", FLAG_I64, metrics, "10000", "Number of metrics to read.", .min = 1,
         .max = 100000000),
    FLAG("scrapes", FLAG_I64, scrapes, "3000", "Number of scrapes to simulate.", .min = 1,
         .max = 100000000),
};

static const ToolArg args[] = {
    {.name = "file",
     .help =
         "Input file with samples data: a JSON object of labels on each line. Without it series "
         "are made up.",
     .is_optional = true,
     .is_file = true},
    {NULL}};

typedef struct Bench {
    Labels *labels;
    size_t count;
    Tsdb *tsdb;
    uint64_t samples;
} Bench;

// {__name__="bench_12", instance="host-345:9100", job="bench", path="/7"}
static void make_up(Bench *b, Arena *arena)
{
    for (size_t i = 0; i < b->count; i++) {
        Label *pairs = ARENA_ARRAY(arena, Label, 4);
        pairs[0] = (Label){S("__name__"), arena_printf(arena, "bench_%zu", i % 100)};
        pairs[1] = (Label){S("instance"), arena_printf(arena, "host-%zu:9100", i / 1000)};
        pairs[2] = (Label){S("job"), S("bench")};
        pairs[3] = (Label){S("path"), arena_printf(arena, "/%zu", i / 100 % 10)};
        b->labels[i] = (Labels){pairs, 4};
    }
}

static bool parse_line(Str line, Arena *arena, Labels *ret_labels, Error *err)
{
    LabelsBuilder builder;
    JsonValue *object;

    if (!json_read(line, arena, &object, err))
        return false;
    if (object->kind != JSON_OBJECT)
        return error_set(err, ERR_INVALID, "a line must be a JSON object of labels");
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < object->count; i++) {
        if (object->items[i].kind != JSON_STRING)
            return error_set(err, ERR_INVALID, "label " STR_FMT " is no string",
                             STR_ARG(object->keys[i]));
        labels_builder_set(&builder, object->keys[i], object->items[i].str);
    }
    *ret_labels = labels_copy(arena, labels_builder_finish(&builder)); // the line goes
    return true;
}

static bool read_labels(Bench *b, Str path, Arena *arena, Error *err)
{
    FsMap map;
    size_t count = 0;

    if (!fs_map(&fs_system, path, &map, err))
        return false;
    Str rest = map.bytes;
    bool ok = true;
    while (ok && rest.len && count < b->count) {
        size_t end = str_find_char(rest, '\n');
        Str line = str_sub(rest, 0, end == STR_NOT_FOUND ? rest.len : end);
        rest = str_skip(rest, line.len + (end != STR_NOT_FOUND));
        if (!line.len)
            continue;
        ok = line.len <= LINE_BYTES_MAX ||
             error_set(err, ERR_LIMIT, "a line has more than %u bytes", LINE_BYTES_MAX);
        ok = (ok && parse_line(line, arena, &b->labels[count], err)) ||
             error_context(err, "series %zu", count + 1);
        count += ok;
    }
    fs_unmap(&map);
    b->count = count;
    return ok;
}

// Some series of one scrape, in one commit.
static bool commit_some(Bench *b, SeriesRef *refs, size_t from, size_t to, int64_t t_ms,
                        double value, Error *err)
{
    static SinkSample samples[SERIES_A_COMMIT];
    Sink *sink = tsdb_sink(b->tsdb);
    Appender *appender = sink->begin(sink);

    for (size_t i = from; i < to; i++) {
        if (!refs[i])
            refs[i] = appender->series(appender, b->labels[i], NULL, err);
        if (!refs[i]) {
            appender->rollback(appender);
            return false;
        }
        samples[i - from] = (SinkSample){.ref = refs[i], .t_ms = t_ms, .value = value + (double)i};
    }
    size_t taken = appender->append(appender, samples, to - from);
    for (size_t i = from; i < to; i++)
        if (samples[i - from].status == APPEND_GONE)
            refs[i] = 0;
    b->samples += taken;
    return appender->commit(appender, err);
}

static bool ingest(Bench *b, int64_t scrapes, Arena *arena, Error *err)
{
    SeriesRef *refs = (SeriesRef *)arena_zalloc(arena, (b->count + 1) * sizeof(SeriesRef));
    int64_t start_ms = clock_now_ms(&clock_system) - scrapes * SCRAPE_MS;

    for (int64_t k = 0; k < scrapes; k++) {
        for (size_t from = 0; from < b->count; from += SERIES_A_COMMIT)
            if (!commit_some(b, refs, from, MIN(from + SERIES_A_COMMIT, b->count),
                             start_ms + k * SCRAPE_MS, (double)(1234 + 1000 * k), err))
                return false;
        if (k % BATCH_SCRAPES == BATCH_SCRAPES - 1 && !tsdb_compact(b->tsdb, err))
            return false;
    }
    return true;
}

static int64_t begin_stage(const char *name)
{
    printf(">> start stage=%s\n", name);
    fflush(stdout);
    return clock_mono_ns(&clock_system);
}

static double end_stage(const char *name, int64_t started_ns)
{
    CLEANUP(buf_deinit) Buf took = {0};
    int64_t ns = clock_mono_ns(&clock_system) - started_ns;

    tool_tsdb_duration(&took, ns / 1000000);
    printf(">> completed stage=%s duration=" STR_FMT "\n", name, STR_ARG(buf_str(&took)));
    return (double)ns / 1e9;
}

static bool bench(const ToolCall *call, Bench *b, Error *err)
{
    const BenchOptions *o = call->options;
    TsdbOptions options;

    b->count = (size_t)o->metrics;
    b->labels = ARENA_ARRAY(call->arena, Labels, b->count);
    int64_t started = begin_stage("readData");
    if (!call->arg_count)
        make_up(b, call->arena);
    else if (!read_labels(b, call->args[0], call->arena, err))
        return false;
    (void)end_stage("readData", started);

    tsdb_options_default(&options);
    options.dir = o->out;
    if (fs_exists(&fs_system, o->out))
        return error_set(err, ERR_CONFLICT, STR_FMT " is there already", STR_ARG(o->out));
    if (!tsdb_open(&options, &b->tsdb, err))
        return false;
    started = begin_stage("ingestScrapes");
    bool ok = ingest(b, o->scrapes, call->arena, err);
    printf("ingestion completed\n");
    double seconds = end_stage("ingestScrapes", started);
    printf(" > total samples: %llu\n > samples/sec: %.0f\n", (unsigned long long)b->samples,
           (double)b->samples / seconds);
    started = begin_stage("stopStorage");
    tsdb_close(b->tsdb);
    (void)end_stage("stopStorage", started);
    return ok;
}

static int run(ToolCall *call)
{
    Bench b = {0};
    Error err = {0};

    log_setup(LOG_WARN, LOG_LOGFMT);
    return bench(call, &b, &err) ? TOOL_OK : tool_fail("%s", err.text);
}

const ToolVerb tool_tsdb_bench_write = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(BenchOptions),
    .args = args,
    .run = run,
};
