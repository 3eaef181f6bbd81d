// SPDX-License-Identifier: Apache-2.0
// tsdb analyze: churn, cardinality and fullness of chunks of one block.
#include <stdlib.h>

#include "base/map.h"
#include "tool/tool_tsdb.h"

typedef struct AnalyzeOptions {
    int64_t limit;
    bool extended;
    Str match;
} AnalyzeOptions;

#define FLAG(flag, type, member, text, about)                                                      \
    {                                                                                              \
        .name = flag, .kind = type, .offset = offsetof(AnalyzeOptions, member),                    \
        .default_text = text, .help = about                                                        \
    }

static const FlagSpec flags[] = {
    FLAG("limit", FLAG_I64, limit, "20", "How many items to show in each list."),
    FLAG("extended", FLAG_BOOL, extended, NULL, "Run extended analysis."),
    FLAG("match", FLAG_STR, match, NULL,
         "Series selector to analyze. Only 1 set of matchers is supported now."),
};

static const ToolArg args[] = {
    {.name = "db path", .help = "Database path (default is data/).", .is_optional = true},
    {.name = "block id",
     .help = "Block to analyze (default is the last block).",
     .is_optional = true},
    {NULL}};

// A label name, or a pair, and what was summed up of it.
typedef struct Tally {
    Str key;
    bool is_name; // of a metric
    Str value;
    uint64_t uncovered, series, values, value_bytes;
} Tally;

typedef struct Tallies {
    Map map; // to Tally
    Arena arena;
} Tallies;

typedef struct IntList {
    uint64_t *items;
    size_t count, cap;
} IntList;

typedef struct Analysis {
    int64_t span_ms;
    Tallies names, pairs;
    uint64_t series, entries, chunks;
    Buf key;
    IntList float_samples, float_bytes, histogram_samples, histogram_bytes, histogram_buckets;
} Analysis;

static Tally *tally_of(Tallies *tallies, Str key, bool *ret_new)
{
    Tally *tally = (Tally *)map_get(&tallies->map, key);

    *ret_new = !tally;
    if (!tally) {
        tally = ARENA_NEW(&tallies->arena, Tally);
        tally->key = arena_str(&tallies->arena, key);
        map_put(&tallies->map, tally->key, tally);
    }
    return tally;
}

static void list_add(IntList *list, uint64_t value)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 1024;
        list->items = (uint64_t *)x_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = value;
}

static void count_pair(Analysis *a, Label pair, uint64_t uncovered)
{
    bool is_new_name, is_new_pair;

    buf_reset(&a->key);
    buf_add_str(&a->key, pair.name);
    buf_add_char(&a->key, '=');
    buf_add_str(&a->key, pair.value);
    Tally *name = tally_of(&a->names, pair.name, &is_new_name);
    Tally *both = tally_of(&a->pairs, buf_str(&a->key), &is_new_pair);
    name->uncovered += uncovered;
    both->uncovered += uncovered;
    both->series++;
    a->entries++;
    if (!is_new_pair)
        return;
    both->is_name = str_equal(pair.name, LABEL_METRIC_NAME);
    both->value = str_skip(both->key, pair.name.len + 1);
    name->values++;
    name->value_bytes += pair.value.len;
}

static bool count_series(void *arg, Labels labels, const TsdbChunkInfo *chunks, size_t count,
                         Error *err)
{
    Analysis *a = arg;

    (void)err;
    a->series++;
    uint64_t covered = count ? (uint64_t)(chunks[count - 1].max_t_ms - chunks[0].min_t_ms) : 0;
    for (size_t i = 0; i < labels.count; i++)
        count_pair(a, labels.pairs[i], (uint64_t)a->span_ms - covered);
    for (size_t i = 0; i < count; i++) {
        const TsdbChunkInfo *c = &chunks[i];
        a->chunks++;
        if (!c->samples)
            continue;
        list_add(c->has_histograms ? &a->histogram_samples : &a->float_samples, c->samples);
        list_add(c->has_histograms ? &a->histogram_bytes : &a->float_bytes, c->bytes);
        if (c->has_histograms)
            list_add(&a->histogram_buckets, c->buckets);
    }
    return true;
}

// --- lists ---

typedef struct Row {
    uint64_t value;
    Str key;
} Row;

static int compare_rows(const void *a, const void *b)
{
    const Row *x = (const Row *)a, *y = (const Row *)b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return str_compare(x->key, y->key);
}

typedef uint64_t (*TallyFn)(const Analysis *a, const Tally *tally);

static uint64_t churn_of(const Analysis *a, const Tally *t)
{
    return (uint64_t)((double)t->uncovered / (double)a->span_ms);
}

static uint64_t series_of(const Analysis *a, const Tally *t)
{
    (void)a;
    return t->series;
}

static uint64_t value_bytes_of(const Analysis *a, const Tally *t)
{
    (void)a;
    return t->value_bytes;
}

static uint64_t values_of(const Analysis *a, const Tally *t)
{
    (void)a;
    return t->values;
}

// The largest first. metric_names: only those, without their label's name.
static void add_list(const Analysis *a, const char *title, const Tallies *tallies, TallyFn value,
                     bool metric_names, int64_t limit, Buf *out)
{
    Row *rows = X_ARRAY(Row, tallies->map.count + 1);
    size_t count = 0;

    for (MapEntry *e = NULL; (e = map_next(&tallies->map, e));) {
        const Tally *t = (const Tally *)e->value;
        if (!metric_names || t->is_name)
            rows[count++] = (Row){value(a, t), metric_names ? t->value : t->key};
    }
    if (count)
        qsort(rows, count, sizeof *rows, compare_rows);
    buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < count && (int64_t)i < limit; i++)
        buf_printf(out, "%llu " STR_FMT "\n", (unsigned long long)rows[i].value,
                   STR_ARG(rows[i].key));
    free(rows);
}

// --- chunks ---

static int digits(uint64_t value)
{
    int count = 1;

    for (; value >= 10; value /= 10)
        count++;
    return count;
}

static void add_histogram(const char *what, const IntList *list, uint64_t total, Buf *out)
{
    if (!list->count) {
        buf_printf(out, "%s: N/A\n\n", what);
        return;
    }
    uint64_t min = UINT64_MAX, max = 0, sum = 0, step = 10, most = 0;
    for (size_t i = 0; i < list->count; i++) {
        min = MIN(min, list->items[i]);
        max = MAX(max, list->items[i]);
        sum += list->items[i];
    }
    while (step < (max - min) / 10 && step <= 10000)
        step *= 10;
    uint64_t start = min - min % step, end = max - max % step + step;
    size_t count = (size_t)((end - start) / step + 1);
    uint64_t *buckets = (uint64_t *)x_calloc(count, sizeof *buckets);
    for (size_t i = 0; i < list->count; i++)
        buckets[(list->items[i] - start) / step]++;
    for (size_t i = 0; i < count; i++)
        most = MAX(most, buckets[i]);
    buf_printf(out, "%s (min/avg/max): %llu/%llu/%llu\n", what, (unsigned long long)min,
               (unsigned long long)(sum / list->count), (unsigned long long)max);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "[%*llu, %*llu): %*llu ", digits(end),
                   (unsigned long long)(start + i * step), digits(end + step),
                   (unsigned long long)(start + (i + 1) * step), digits(most),
                   (unsigned long long)buckets[i]);
        for (uint64_t k = 0; k < 100 * buckets[i] / MAX(total, 1); k++)
            buf_add_char(out, '#');
        buf_add_char(out, '\n');
    }
    buf_add_char(out, '\n');
    free(buckets);
}

// --- the command ---

static void add_head(const TsdbBlockInfo *info, const Analysis *a, Str match, Buf *out)
{
    buf_printf(out, "Block ID: " STR_FMT "\nDuration: ", STR_ARG(info->ulid));
    tool_tsdb_duration(out, info->max_t_ms - info->min_t_ms);
    buf_printf(out, "\nTotal Series: %llu\n", (unsigned long long)info->series);
    if (match.len)
        buf_printf(out, "Matcher: " STR_FMT "\n", STR_ARG(match));
    buf_printf(out, "Label names: %zu\n", a->names.map.count);
    if (match.len)
        buf_printf(out, "Matched series: %llu\n", (unsigned long long)a->series);
    buf_printf(out,
               "Postings (unique label pairs): %zu\n"
               "Postings entries (total label pairs): %llu\n",
               a->pairs.map.count, (unsigned long long)a->entries);
}

static void add_report(const TsdbBlockInfo *info, const Analysis *a, const AnalyzeOptions *o,
                       Buf *out)
{
    add_head(info, a, o->match, out);
    add_list(a, "Label pairs most involved in churning", &a->pairs, churn_of, false, o->limit, out);
    add_list(a, "Label names most involved in churning", &a->names, churn_of, false, o->limit, out);
    add_list(a, "Most common label pairs", &a->pairs, series_of, false, o->limit, out);
    add_list(a, "Label names with highest cumulative label value length", &a->names, value_bytes_of,
             false, o->limit, out);
    add_list(a, "Highest cardinality labels", &a->names, values_of, false, o->limit, out);
    add_list(a, "Highest cardinality metric names", &a->pairs, series_of, true, o->limit, out);
    if (!o->extended)
        return;
    buf_add_c(out, "\nCompaction analysis:\n\n");
    add_histogram("samples per float chunk", &a->float_samples, a->chunks, out);
    add_histogram("bytes per float chunk", &a->float_bytes, a->chunks, out);
    add_histogram("samples per histogram chunk", &a->histogram_samples, a->chunks, out);
    add_histogram("bytes per histogram chunk", &a->histogram_bytes, a->chunks, out);
    add_histogram("buckets per histogram chunk", &a->histogram_buckets, a->chunks, out);
}

static void analysis_deinit(Analysis *a)
{
    Tallies *const tallies[] = {&a->names, &a->pairs};
    IntList *const lists[] = {&a->float_samples, &a->float_bytes, &a->histogram_samples,
                              &a->histogram_bytes, &a->histogram_buckets};

    for (size_t i = 0; i < COUNT_OF(tallies); i++) {
        map_deinit(&tallies[i]->map);
        arena_deinit(&tallies[i]->arena);
    }
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        free(lists[i]->items);
    buf_deinit(&a->key);
}

static bool analyze(const ToolCall *call, TsdbBlock *block, Buf *out, Error *err)
{
    CLEANUP(analysis_deinit) Analysis a = {0};
    const AnalyzeOptions *options = call->options;
    const TsdbBlockInfo *info = tsdb_block_info(block);
    Matcher *matchers = NULL;
    size_t count = 0;

    if (options->match.len &&
        !promql_parse_selector(options->match, call->arena, &matchers, &count, err))
        return false;
    a.span_ms = info->max_t_ms - info->min_t_ms;
    bool ok = tsdb_block_walk(block, matchers, count, options->extended, count_series, &a, err);
    promql_matchers_free(matchers, count);
    if (ok)
        add_report(info, &a, options, out);
    return ok;
}

// The last block is the last that can be read: that there are others must not go unnoticed.
static int tell_passed_over(ToolCall *call)
{
    TsdbBlockInfo *blocks;
    size_t count;
    Error err = {0};

    if (!tsdb_offline_list(&fs_system, tool_tsdb_dir(call, 0), call->arena, &blocks, &count, &err))
        return tool_fail("%s", err.text);
    return tool_tsdb_tell_faults(blocks, count);
}

static int run(ToolCall *call)
{
    CLEANUP(buf_deinit) Buf out = {0};
    TsdbBlock *block;
    Error err = {0};

    if (!tsdb_block_open(&fs_system, tool_tsdb_dir(call, 0),
                         call->arg_count > 1 ? call->args[1] : STR_NONE, &block, &err))
        return tool_fail("%s", err.text);
    bool ok = analyze(call, block, &out, &err);
    tsdb_block_close(block);
    if (!ok)
        return tool_fail("%s", err.text);
    tool_write(buf_str(&out));
    return call->arg_count > 1 ? TOOL_OK : tell_passed_over(call);
}

const ToolVerb tool_tsdb_analyze = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(AnalyzeOptions),
    .args = args,
    .run = run,
};
