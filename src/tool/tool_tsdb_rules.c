// SPDX-License-Identifier: Apache-2.0
// tsdb create-blocks-from rules: what recording rules would have recorded in the past, asked of a server, becomes blocks.
//
// Time is cut into the ranges of blocks. In each, every recording rule is one range query at the times at which its group would have
// been evaluated; all results of a range go into one block.
#include <math.h>

#include "base/clock.h"
#include "base/fs.h"
#include "rules/rules.h"
#include "tool/tool_query.h"
#include "tool/tool_store.h"
#include "tool/tool_time.h"
#include "tool/tool_tsdb.h"

#define BLOCK_MS (INT64_C(2) * 3600 * 1000)
#define RANGES 10
#define END_BEFORE_NOW_S (3 * 3600)

typedef struct BackfillOptions {
    Str http_config_file;
    Str url;
    Str start;
    Str end;
    Str output_dir;
    int64_t eval_interval_ms;
} BackfillOptions;

#define FLAG(flag, type, member, text, about)                                                      \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(BackfillOptions, member),                   \
        .default_text = text, .help = about                                                        \
    }
static const FlagSpec flags[] = {
    FLAG("http.config.file", FLAG_STR, http_config_file, NULL,
         "HTTP client configuration file: the keys of http_config."),
    FLAG("url", FLAG_STR, url, "http://localhost:9090",
         "The URL for the Prometheus API with the data where the rule will be backfilled from."),
    FLAG("start", FLAG_STR, start, NULL,
         "The time to start backfilling the new rule from. Must be a RFC3339 formatted date or "
         "Unix timestamp. Required."),
    FLAG("end", FLAG_STR, end, NULL,
         "If an end time is provided, all recording rules in the rule files provided will be "
         "backfilled to the end time. Default will backfill up to 3 hours ago. Must be a RFC3339 "
         "formatted date or Unix timestamp."),
    FLAG("output-dir", FLAG_STR, output_dir, "data/", "Output directory for generated blocks."),
    FLAG("eval-interval", FLAG_GO_DURATION, eval_interval_ms, "60s",
         "How frequently to evaluate rules when backfilling if a value is not set in the recording "
         "rule files."),
};

typedef struct Backfill {
    const ToolCall *call;
    const BackfillOptions *options;
    ToolServer server;
    RuleFile *files;
    int64_t start_s;
    int64_t end_s; // inclusive
    int64_t block_ms;
    bool has_printed;
    size_t refused; // samples of two rules for the same series
} Backfill;

// One range -----------------------------------------------------------------------------------------------------------------------------

typedef struct Range {
    ToolStore *store;
    int64_t start_s;
    int64_t end_s; // inclusive
    int64_t min_t_ms;
    int64_t max_t_ms; // of what is in the store
} Range;

static Labels result_labels(Labels metric, const RuleSpec *rule, Labels rule_labels, Arena *arena)
{
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, metric);
    for (size_t i = 0; i < rule_labels.count; i++)
        labels_builder_set(&builder, rule_labels.pairs[i].name, rule_labels.pairs[i].value);
    labels_builder_set(&builder, LABEL_METRIC_NAME, rule->record);
    return labels_builder_finish(&builder);
}

static bool keep_series(Backfill *fill, Range *range, Labels labels, const ToolSeries *series,
                        Arena *arena, Error *err)
{
    Sink *sink = tool_store_sink(range->store);
    Appender *appender = sink->begin(sink);
    SinkSample *samples = ARENA_ARRAY(arena, SinkSample, series->value_count + 1);
    bool created;
    SeriesRef ref = appender->series(appender, labels, &created, err);
    for (size_t i = 0; i < series->value_count; i++) {
        const ToolPoint *point = &series->values[i];
        samples[i] = (SinkSample){.ref = ref, .t_ms = point->t_ms, .value = point->value};
        range->min_t_ms = MIN(range->min_t_ms, point->t_ms);
        range->max_t_ms = MAX(range->max_t_ms, point->t_ms);
    }
    size_t taken = appender->append(appender, samples, series->value_count);
    fill->refused += series->value_count - taken;
    return appender->commit(appender, err);
}

// Where the group's first evaluation in the range is, in seconds with their fraction.
static double first_evaluation_s(const RuleFile *file, const RuleGroupSpec *group,
                                 int64_t interval_ms, int64_t start_s)
{
    int64_t slot_ns = rules_slot_ns(file->path, group->name, interval_ms, start_s * 1000000000);
    while (slot_ns < start_s * 1000000000)
        slot_ns += interval_ms * 1000000;
    return (double)(slot_ns / 1000000) / 1000;
}

static bool fill_rule(Backfill *fill, Range *range, const RuleFile *file,
                      const RuleGroupSpec *group, const RuleSpec *rule, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf query = {0};
    ToolResult result;
    int64_t interval_ms = group->interval_ms ? group->interval_ms : fill->options->eval_interval_ms;
    ToolRange times = {first_evaluation_s(file, group, interval_ms, range->start_s),
                       (double)range->end_s, (double)interval_ms / 1000};
    if (times.start_s > times.end_s)
        return true;
    if (!promql_print(rule->expr, &fill->call->features, &query, err) ||
        !tool_query_range_of(&fill->server, buf_str(&query), &times, &arena, &result, err))
        return error_context(err, "query range");
    if (result.kind != QUERY_MATRIX)
        return error_set(err, ERR_INVALID, "rule result is no matrix");
    Labels labels = rule_spec_labels(group, rule, &arena);
    for (size_t i = 0; i < result.count; i++)
        if (!keep_series(fill, range, result_labels(result.series[i].metric, rule, labels, &arena),
                         &result.series[i], &arena, err))
            return false;
    return true;
}

static bool fill_group(Backfill *fill, Range *range, const RuleFile *file,
                       const RuleGroupSpec *group, Error *err)
{
    for (size_t i = 0; i < group->rules.count; i++) {
        const RuleSpec *rule = (const RuleSpec *)group->rules.items + i;
        if (rule->record.len && !fill_rule(fill, range, file, group, rule, err))
            return error_context(err, "rule \"" STR_FMT "\"",
                                 STR_ARG(str_sub(rule->record, 0, 200)));
    }
    return true;
}

static bool write_block(Backfill *fill, const Range *range, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf table = {0};
    TsdbBlock *block;
    Str ulid;
    if (range->min_t_ms > range->max_t_ms)
        return true;
    if (!tsdb_offline_write_block(&fs_system, fill->options->output_dir,
                                  tool_store_source(range->store), range->min_t_ms,
                                  range->max_t_ms + 1, &arena, &ulid, err))
        return false;
    if (fill->call->globals->quiet || ulid.len == 0)
        return true;
    if (!tsdb_block_open(&fs_system, fill->options->output_dir, ulid, &block, err))
        return false;
    tool_tsdb_table(tsdb_block_info(block), 1, !fill->has_printed,
                    fill->call->globals->human_readable, &table);
    tsdb_block_close(block);
    fill->has_printed = true;
    (void)tool_write(buf_str(&table)); // the frame looks at stdout at the end
    return true;
}

static bool fill_range(Backfill *fill, int64_t block_start_ms, Error *err)
{
    Range range = {
        .store = tool_store_new(),
        .start_s = MAX(block_start_ms / 1000, fill->start_s),
        .end_s = MIN((block_start_ms + fill->block_ms - 1) / 1000, fill->end_s),
        .min_t_ms = INT64_MAX,
        .max_t_ms = INT64_MIN,
    };
    bool ok = true;
    for (size_t f = 0; f < fill->call->arg_count && ok; f++)
        for (size_t g = 0; g < fill->files[f].groups.count && ok; g++)
            ok = fill_group(fill, &range, &fill->files[f],
                            (const RuleGroupSpec *)fill->files[f].groups.items + g, err);
    ok = ok && write_block(fill, &range, err);
    tool_store_free(range.store);
    return ok;
}

// All -----------------------------------------------------------------------------------------------------------------------------------

static bool read_times(Backfill *fill, Error *err)
{
    double start;
    double end = tool_now_s() - END_BEFORE_NOW_S;
    if (fill->options->start.len == 0)
        return error_set(err, ERR_INVALID, "required flag --start not provided, try --help");
    if (!tool_time_parse(fill->options->start, &start, err))
        return error_context(err, "--start");
    if (fill->options->end.len && !tool_time_parse(fill->options->end, &end, err))
        return error_context(err, "--end");
    if (fabs(start) > 9e12 || fabs(end) > 9e12)
        return error_set(err, ERR_INVALID, "times are too far away");
    fill->start_s = (int64_t)start;
    fill->end_s = (int64_t)end;
    if (fill->end_s < fill->start_s)
        return error_set(err, ERR_INVALID, "start time is not before end time");
    if (fill->options->eval_interval_ms <= 0)
        return error_set(err, ERR_INVALID, "--eval-interval must be positive");
    return true;
}

static bool read_files(Backfill *fill, Error *err)
{
    const ToolCall *call = fill->call;
    RuleFileOptions options = {.features = call->features};
    fill->files = ARENA_ARRAY(call->arena, RuleFile, call->arg_count + 1);
    for (size_t i = 0; i < call->arg_count; i++) {
        StrList errors;
        if (!rule_file_load(call->args[i], &options, call->arena, &fill->files[i], &errors))
            return error_set(err, ERR_INVALID, STR_FMT, STR_ARG(errors.items[0]));
    }
    return true;
}

static int run(ToolCall *call)
{
    Backfill fill = {.call = call, .options = call->options, .block_ms = BLOCK_MS};
    Error err = {0};
    for (int i = 1; i < RANGES && fill.block_ms * 3 <= call->globals->max_block_duration_ms; i++)
        fill.block_ms *= 3;
    bool ok = read_times(&fill, &err) && read_files(&fill, &err) &&
              tool_server_open(fill.options->url, fill.options->http_config_file, NULL, call->arena,
                               &fill.server, &err) &&
              fs_make_dirs(&fs_system, fill.options->output_dir, &err);
    int64_t end_ms = fill.end_s * 1000;
    int64_t start_ms = fill.start_s * 1000;
    int64_t rest_ms = start_ms % fill.block_ms;
    start_ms -= rest_ms + (rest_ms < 0 ? fill.block_ms : 0);
    for (; ok && start_ms <= end_ms; start_ms += fill.block_ms)
        ok = fill_range(&fill, start_ms, &err);
    if (fill.refused)
        fprintf(stderr, "WARNING: %zu samples were left out: two rules record the same series\n",
                fill.refused);
    return ok ? TOOL_OK : tool_fail("%s", err.text);
}

static const ToolArg args[] = {
    {"rule-files",
     "A list of one or more files containing recording rules to be backfilled. All recording rules "
     "listed in the files will be backfilled. Alerting rules are not evaluated.",
     .is_many = true, .is_file = true},
    {0},
};

const ToolVerb tool_tsdb_rules = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(BackfillOptions),
    .args = args,
    .run = run,
};
