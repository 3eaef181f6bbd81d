// SPDX-License-Identifier: Apache-2.0
// query analyze: how many buckets of histograms are in use, over time. Facts: promtool's analyze.go.
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "tool/tool_query.h"
#include "tool/tool_time.h"

typedef struct AnalyzeOptions {
    Str server;
    Str type;
    int64_t duration_ms;
    Str time;
    FlagStrList match;
} AnalyzeOptions;

#define FLAG(flag, type, member, text, about, ...)                                                 \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(AnalyzeOptions, member),                    \
        .default_text = text, .help = about, __VA_ARGS__                                           \
    }
static const FlagSpec flags[] = {
    FLAG("server", FLAG_STR, server, NULL, "Prometheus server to query.", .required = true),
    FLAG("type", FLAG_STR, type, NULL, "Type of metric: histogram.", .required = true),
    FLAG("duration", FLAG_GO_DURATION, duration_ms, "1h", "Time frame to analyze.", .min = 1,
         .max = INT64_MAX / 1000000),
    FLAG("time", FLAG_STR, time, NULL, "Query time (RFC3339 or Unix timestamp), defaults to now.",
         .hidden = false),
    FLAG("match", FLAG_STR_LIST, match, NULL, "Series selector. Can be specified multiple times.",
         .required = true),
};

// Of one histogram series: populated buckets of its samples, and all buckets that any of them has.
typedef struct BucketStats {
    int64_t min, max, total;
    double avg;
} BucketStats;

// Of a number over the series.
typedef struct Spread {
    int64_t min, max, count;
    double avg;
} Spread;

typedef struct Summary {
    Spread min, avg, max, total;
} Summary;

typedef struct Analysis {
    Arena *arena;
    Buf out;
    Summary native, classic;
} Analysis;

// Statistics --------------------------------------------------------------------------------------------------------------------------

static void spread_add(Spread *spread, int64_t number)
{
    spread->min = spread->count ? MIN(spread->min, number) : number;
    spread->max = spread->count ? MAX(spread->max, number) : number;
    spread->count++;
    spread->avg += (double)number / (double)spread->count - spread->avg / (double)spread->count;
}

static bool spread_equal(const Spread *a, const Spread *b)
{
    return a->min == b->min && a->max == b->max && a->count == b->count && a->avg == b->avg;
}

static void summary_add(Summary *summary, const BucketStats *stats)
{
    spread_add(&summary->min, stats->min);
    spread_add(&summary->avg, (int64_t)stats->avg);
    spread_add(&summary->max, stats->max);
    spread_add(&summary->total, stats->total);
}

static void stats_begin(BucketStats *stats)
{
    *stats = (BucketStats){.min = INT64_MAX};
}

static void stats_add(BucketStats *stats, int64_t populated)
{
    stats->min = MIN(stats->min, populated);
    stats->max = MAX(stats->max, populated);
    stats->avg += (double)populated; // divided at the end
}

static void print_stats(Analysis *analysis, const BucketStats *stats)
{
    buf_printf(&analysis->out, "%lld/%.3f/%lld", (long long)stats->min, stats->avg,
               (long long)stats->max);
    if (stats->max != stats->total)
        buf_printf(&analysis->out, "/%lld", (long long)stats->total);
    buf_add_char(&analysis->out, '\n');
}

static void print_spread(Buf *out, const char *what, const Spread *spread)
{
    buf_printf(out, "- %s: %lld/%.3f/%lld\n", what, (long long)spread->min, spread->avg,
               (long long)spread->max);
}

static void print_summary(Buf *out, const char *kind, const Summary *summary)
{
    if (summary->min.count == 0)
        return;
    buf_printf(out, "\n%s histogram series (%lld in total):\n", kind,
               (long long)summary->min.count);
    print_spread(out, "min populated", &summary->min);
    print_spread(out, "avg populated", &summary->avg);
    print_spread(out, "max populated", &summary->max);
    if (!spread_equal(&summary->max, &summary->total))
        print_spread(out, "total", &summary->total);
}

// Native ------------------------------------------------------------------------------------------------------------------------------

static int compare_buckets(const void *a, const void *b)
{
    const ToolBucket *one = a;
    const ToolBucket *other = b;
    if (one->lower != other->lower)
        return one->lower < other->lower ? -1 : 1;
    if (one->upper != other->upper)
        return one->upper < other->upper ? -1 : 1;
    return one->boundaries - other->boundaries;
}

static int64_t count_different(const ToolSeries *series, Arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < series->histogram_count; i++)
        count +=
            series->histograms[i].histogram ? series->histograms[i].histogram->bucket_count : 0;
    ToolBucket *all = ARENA_ARRAY(arena, ToolBucket, count);
    size_t at = 0;
    for (size_t i = 0; i < series->histogram_count; i++) {
        const ToolHistogram *histogram = series->histograms[i].histogram;
        for (size_t k = 0; histogram && k < histogram->bucket_count; k++)
            all[at++] = histogram->buckets[k];
    }
    qsort(all, count, sizeof *all, compare_buckets);
    int64_t different = count > 0;
    for (size_t i = 1; i < count; i++)
        different += compare_buckets(&all[i - 1], &all[i]) != 0;
    return different;
}

static void analyze_native(Analysis *analysis, const ToolSeries *series)
{
    BucketStats stats;
    if (series->histogram_count < 2)
        return;
    stats_begin(&stats);
    for (size_t i = 0; i < series->histogram_count; i++) {
        const ToolHistogram *histogram = series->histograms[i].histogram;
        stats_add(&stats, histogram ? (int64_t)histogram->bucket_count : 0);
    }
    stats.avg /= (double)series->histogram_count;
    stats.total = count_different(series, analysis->arena);
    buf_add_c(&analysis->out, "- ");
    tool_metric_print(series->metric, analysis->arena, &analysis->out);
    buf_add_c(&analysis->out, " (native): ");
    print_stats(analysis, &stats);
    summary_add(&analysis->native, &stats);
}

// Classic -----------------------------------------------------------------------------------------------------------------------------

// A _bucket series, and the histogram that it is a part of.
typedef struct Bucket {
    Str histogram; // name and labels without le
    double le;
    const ToolSeries *series;
    size_t order; // in the answer
} Bucket;

static int compare_bucket_series(const void *a, const void *b)
{
    const Bucket *one = a;
    const Bucket *other = b;
    int order = str_compare(one->histogram, other->histogram);
    if (order)
        return order;
    if (one->le != other->le)
        return one->le < other->le ? -1 : 1;
    return one->order < other->order ? -1 : 1;
}

static bool bucket_of(const ToolSeries *series, size_t order, Arena *arena, Bucket *ret_bucket)
{
    static const Str dropped[] = {STR("__name__"), STR("le")};
    Str name = labels_get(series->metric, LABEL_METRIC_NAME);
    Str le = labels_get(series->metric, S("le"));
    if (series->value_count == 0 || le.len == 0 || !str_ends_with(name, S("_bucket")))
        return false;
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add_str(&text, name);
    tool_label_set_print(labels_drop(arena, series->metric, dropped, COUNT_OF(dropped)), &text);
    *ret_bucket =
        (Bucket){.histogram = arena_str(arena, buf_str(&text)), .series = series, .order = order};
    if (!number_parse_double(le, &ret_bucket->le))
        ret_bucket->le = 0;
    return true;
}

// Populated buckets at the time of the first bucket's sample `at`. Buckets behind one that has fewer samples count as empty.
static bool count_populated(const Bucket *buckets, size_t count, size_t at, int64_t *ret_populated,
                            Error *err)
{
    int64_t populated = (int64_t)buckets[0].series->values[at].value != 0;
    for (size_t i = 1; i < count && at < buckets[i].series->value_count; i++) {
        const ToolPoint *current = &buckets[i].series->values[at];
        const ToolPoint *previous = &buckets[i - 1].series->values[at];
        if (current->t_ms != previous->t_ms)
            return error_set(err, ERR_INVALID, "matrix result is not time aligned");
        populated += (int64_t)(current->value - previous->value) != 0;
    }
    *ret_populated = populated;
    return true;
}

static bool analyze_classic(Analysis *analysis, const Bucket *buckets, size_t count, Error *err)
{
    BucketStats stats;
    size_t samples = buckets[0].series->value_count;
    if (samples < 2)
        return true;
    stats_begin(&stats);
    stats.total = (int64_t)count;
    for (size_t at = 0; at < samples; at++) {
        int64_t populated;
        if (!count_populated(buckets, count, at, &populated, err))
            return false;
        stats_add(&stats, populated);
    }
    stats.avg /= (double)samples;
    buf_printf(&analysis->out, "- " STR_FMT " (classic): ", STR_ARG(buckets[0].histogram));
    print_stats(analysis, &stats);
    summary_add(&analysis->classic, &stats);
    return true;
}

static bool analyze_result(Analysis *analysis, const ToolResult *result, Error *err)
{
    Bucket *buckets = ARENA_ARRAY(analysis->arena, Bucket, result->count);
    size_t count = 0;
    for (size_t i = 0; i < result->count; i++)
        if (result->series[i].value_count == 0)
            analyze_native(analysis, &result->series[i]);
        else if (bucket_of(&result->series[i], i, analysis->arena, &buckets[count]))
            count++;
    qsort(buckets, count, sizeof *buckets, compare_bucket_series);
    for (size_t begin = 0, end; begin < count; begin = end) {
        end = begin + 1;
        while (end < count && str_equal(buckets[end].histogram, buckets[begin].histogram))
            end++;
        if (!analyze_classic(analysis, buckets + begin, end - begin, err))
            return false;
    }
    return true;
}

// Command -----------------------------------------------------------------------------------------------------------------------------

static bool analyze(Analysis *analysis, const ToolCall *call, const AnalyzeOptions *options,
                    Error *err)
{
    CLEANUP(buf_deinit) Buf duration = {0};
    ToolServer server;
    double time_s = tool_now_s();
    if (!str_is(options->type, "histogram"))
        return error_set(err, ERR_INVALID, "analyze type is " STR_FMT ", must be 'histogram'",
                         STR_ARG(str_sub(options->type, 0, 100)));
    if (options->time.len && !tool_time_parse(options->time, &time_s, err))
        return error_context(err, "error parsing time '" STR_FMT "'", STR_ARG(options->time));
    if (!tool_server_open(options->server, call->globals->http_config_file, NULL, call->arena,
                          &server, err))
        return false;
    buf_add_duration(&duration, options->duration_ms);
    for (size_t i = 0; i < options->match.count; i++) {
        ToolResult result;
        Str query = arena_printf(call->arena, STR_FMT "[" STR_FMT "]",
                                 STR_ARG(options->match.items[i]), STR_ARG(buf_str(&duration)));
        if (!tool_query_instant_at(&server, query, time_s, call->arena, &result, err))
            return false;
        if (result.kind != QUERY_MATRIX)
            return error_set(err, ERR_INVALID, "query of buckets resulted in non-Matrix");
        if (!analyze_result(analysis, &result, err))
            return false;
    }
    return true;
}

static int run(ToolCall *call)
{
    Analysis analysis = {.arena = call->arena};
    Error err = {0};
    buf_add_c(&analysis.out,
              "Bucket stats for each histogram series over time\n"
              "------------------------------------------------\n"
              "First the min, avg, and max number of populated buckets, followed by the total\n"
              "number of buckets (only if different from the max number of populated buckets\n"
              "which is typical for classic but not native histograms).\n\n");
    bool ok = analyze(&analysis, call, call->options, &err);
    if (ok) {
        buf_add_c(&analysis.out, "\nAggregated bucket stats\n"
                                 "-----------------------\n"
                                 "Each line shows min/avg/max over the series above.\n");
        print_summary(&analysis.out, "Native", &analysis.native);
        print_summary(&analysis.out, "Classic", &analysis.classic);
        tool_write(buf_str(&analysis.out));
    }
    buf_deinit(&analysis.out);
    return ok ? TOOL_OK : tool_fail("%s", err.text);
}

const ToolVerb tool_query_analyze = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(AnalyzeOptions),
    .run = run,
};
