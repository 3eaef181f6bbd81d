// SPDX-License-Identifier: Apache-2.0
// tsdb create-blocks-from openmetrics: old samples become blocks.
//
// The page is read once to see what there is, and once more for each run of neighbouring blocks whose samples fit in memory together.
#include <stdlib.h>

#include "base/map.h"
#include "base/number.h"
#include "metric/exposition.h"
#include "tool/tool_tsdb.h"

#define HOUR_MS INT64_C(3600000)
#define BLOCK_MS (2 * HOUR_MS)
#define RANGES 10
#define SAMPLES_MAX (UINT64_C(32) << 20) // held at once, 16 bytes each

typedef struct BackfillOptions {
    FlagStrList labels;
} BackfillOptions;

static const FlagSpec flags[] = {
    {.name = "label",
     .kind = FLAG_STR_LIST,
     .offset = offsetof(BackfillOptions, labels),
     .help = "Label to attach to metrics, as NAME=VALUE. Can be specified multiple times."},
};

static const ToolArg args[] = {
    {.name = "input file", .help = "OpenMetrics file to read samples from.", .is_file = true},
    {.name = "output directory",
     .help = "Output directory for generated blocks (default is data/).",
     .is_optional = true},
    {NULL}};

typedef struct Sample {
    int64_t t_ms;
    double value;
} Sample;

typedef struct Series {
    Labels labels;
    Sample *samples;
    size_t count, cap;
    bool unsorted;
} Series;

typedef struct Page {
    Str body;
    Label *extra; // of --label
    size_t extra_count;
    int64_t block_ms;
    Map by_text;  // of the page, to Series
    Map by_print; // of the labels, to Series
    Arena arena;  // of both
    Series **all;
    size_t count, cap;
} Page;

// --- reading the page ---

typedef bool (*SampleFn)(void *arg, Exposition *parser, Error *err);

static bool each_sample(const Page *page, SampleFn each, void *arg, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Exposition parser;

    exposition_init(&parser, EXPOSITION_OPENMETRICS, page->body, &arena);
    while (exposition_next(&parser)) {
        if (parser.kind != EXPOSITION_SAMPLE)
            continue;
        if (!parser.has_t)
            return error_set(err, ERR_INVALID,
                             "expected timestamp for series " STR_FMT ", got none",
                             STR_ARG(parser.series_text));
        if (!each(arg, &parser, err))
            return false;
    }
    if (parser.failed)
        return error_set(err, parser.err.code, "%s", parser.err.text);
    return true;
}

static int64_t block_start(const Page *page, int64_t t_ms)
{
    int64_t rest = t_ms % page->block_ms;
    return t_ms - rest - (rest < 0 ? page->block_ms : 0);
}

// Samples of one block; rising in a list.
typedef struct Window {
    int64_t start_ms;
    uint64_t samples;
} Window;

typedef struct Survey {
    const Page *page;
    Window *items;
    size_t count, cap;
    size_t last; // the one that took the sample before
} Survey;

static bool survey_sample(void *arg, Exposition *parser, Error *err)
{
    Survey *s = arg;
    int64_t start = block_start(s->page, parser->t_ms);
    size_t low = 0, high = s->count;

    (void)err;
    if (s->count && s->items[s->last].start_ms == start) {
        s->items[s->last].samples++;
        return true;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->items[middle].start_ms < start)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->count || s->items[low].start_ms != start) {
        if (s->count == s->cap) {
            s->cap = s->cap ? 2 * s->cap : 64;
            s->items = (Window *)x_realloc(s->items, s->cap * sizeof(Window));
        }
        memmove(s->items + low + 1, s->items + low, (s->count - low) * sizeof(Window));
        s->items[low] = (Window){start, 0};
        s->count++;
    }
    s->items[low].samples++;
    s->last = low;
    return true;
}

// --- gathering ---

static Series *series_of_labels(Page *page, Labels labels)
{
    CLEANUP(buf_deinit) Buf text = {0};

    labels_print(&text, labels);
    Series *series = (Series *)map_get(&page->by_print, buf_str(&text));
    if (series)
        return series;
    series = ARENA_NEW(&page->arena, Series);
    series->labels = labels_copy(&page->arena, labels);
    map_put(&page->by_print, arena_str(&page->arena, buf_str(&text)), series);
    if (page->count == page->cap) {
        page->cap = page->cap ? 2 * page->cap : 256;
        page->all = (Series **)x_realloc(page->all, page->cap * sizeof(Series *));
    }
    page->all[page->count++] = series;
    return series;
}

// Found by the text of the page; labels are looked at once for each text.
static Series *series_of(Page *page, Exposition *parser, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    LabelsBuilder builder;
    Labels labels;
    Series *series = (Series *)map_get(&page->by_text, parser->series_text);

    if (series)
        return series;
    if (!exposition_labels(parser, &arena, &labels, err))
        return NULL;
    labels_builder_init(&builder, &arena, labels);
    for (size_t i = 0; i < page->extra_count; i++)
        labels_builder_set(&builder, page->extra[i].name, page->extra[i].value);
    series = series_of_labels(page, labels_builder_finish(&builder));
    map_put(&page->by_text, arena_str(&page->arena, parser->series_text), series);
    return series;
}

typedef struct Gather {
    Page *page;
    int64_t from_ms, to_ms; // the latter exclusive
} Gather;

static bool gather_sample(void *arg, Exposition *parser, Error *err)
{
    Gather *g = arg;

    if (parser->t_ms < g->from_ms || parser->t_ms >= g->to_ms)
        return true;
    Series *series = series_of(g->page, parser, err);
    if (!series)
        return false;
    if (series->count) {
        int64_t last = series->samples[series->count - 1].t_ms;
        if (parser->t_ms == last)
            return true; // the first one stays, as in the original
        series->unsorted |= parser->t_ms < last;
    }
    if (series->count == series->cap) {
        series->cap = series->cap ? 2 * series->cap : 16;
        series->samples = (Sample *)x_realloc(series->samples, series->cap * sizeof(Sample));
    }
    series->samples[series->count++] = (Sample){parser->t_ms, parser->value};
    return true;
}

static int compare_samples(const void *a, const void *b)
{
    const Sample *x = (const Sample *)a, *y = (const Sample *)b;

    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    uint64_t p = double_bits(x->value), q = double_bits(y->value);
    return (p > q) - (p < q);
}

static int compare_series(const void *a, const void *b)
{
    return labels_compare((*(Series *const *)a)->labels, (*(Series *const *)b)->labels);
}

// Rising, each time once.
static void sort_samples(Series *series)
{
    size_t kept = 0;

    if (!series->unsorted)
        return;
    qsort(series->samples, series->count, sizeof(Sample), compare_samples);
    for (size_t i = 0; i < series->count; i++)
        if (!kept || series->samples[kept - 1].t_ms != series->samples[i].t_ms)
            series->samples[kept++] = series->samples[i];
    series->count = kept;
    series->unsorted = false;
}

// --- as a Source ---

typedef struct PageSource {
    Source source;
    Querier querier;
    const Page *page;
} PageSource;

static size_t first_at(const Series *series, int64_t t_ms)
{
    size_t low = 0, high = series->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (series->samples[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool source_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                        Error *err)
{
    (void)min_t_ms, (void)max_t_ms, (void)err;
    *ret_querier = &CONTAINER_OF(source, PageSource, source)->querier;
    return true;
}

static void source_close(Querier *querier)
{
    (void)querier;
}

static bool source_select(Querier *querier, const Matcher *matchers, size_t count,
                          const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    const Page *page = CONTAINER_OF(querier, PageSource, querier)->page;
    SeriesEntry *entries = ARENA_ARRAY(arena, SeriesEntry, page->count + 1);
    size_t kept = 0;

    (void)hints, (void)err;
    for (size_t i = 0; i < page->count; i++)
        if (matchers_match(matchers, count, page->all[i]->labels))
            entries[kept++] = (SeriesEntry){page->all[i]->labels, i};
    *ret_list = (SeriesList){entries, kept};
    return true;
}

static bool source_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                        Arena *arena, SampleColumns *ret_columns, Error *err)
{
    const Series *series = CONTAINER_OF(querier, PageSource, querier)->page->all[handle];
    size_t from = first_at(series, min_t_ms), to = first_at(series, max_t_ms);

    (void)err;
    to += to < series->count && series->samples[to].t_ms == max_t_ms;
    SampleColumns c = {.t_ms = ARENA_ARRAY(arena, int64_t, to - from + 1),
                       .value = ARENA_ARRAY(arena, double, to - from + 1)};
    for (size_t i = from; i < to; i++) {
        c.t_ms[c.count] = series->samples[i].t_ms;
        c.value[c.count++] = series->samples[i].value;
    }
    *ret_columns = c;
    return true;
}

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const Str *)a, *(const Str *)b);
}

// Names (name empty) or values of one name, each once, in order.
static StrList gather_strs(const Page *page, Str name, Arena *arena)
{
    Map seen = {0};

    for (size_t i = 0; i < page->count; i++)
        for (size_t k = 0; k < page->all[i]->labels.count; k++) {
            Label pair = page->all[i]->labels.pairs[k];
            Str text = name.len ? pair.value : pair.name;
            if ((!name.len || str_equal(pair.name, name)) && !map_get(&seen, text))
                map_put(&seen, text, page->all[i]);
        }
    StrList list = {ARENA_ARRAY(arena, Str, seen.count + 1), 0};
    for (MapEntry *e = NULL; (e = map_next(&seen, e));)
        list.items[list.count++] = e->key;
    if (list.count)
        qsort(list.items, list.count, sizeof(Str), compare_strs);
    map_deinit(&seen);
    return list;
}

static bool source_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                         Arena *arena, StrList *ret_names, Error *err)
{
    (void)matchers, (void)count, (void)limit, (void)err;
    *ret_names = gather_strs(CONTAINER_OF(querier, PageSource, querier)->page, STR_NONE, arena);
    return true;
}

static bool source_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                          size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    (void)matchers, (void)count, (void)limit, (void)err;
    *ret_values = gather_strs(CONTAINER_OF(querier, PageSource, querier)->page, name, arena);
    return true;
}

// --- blocks ---

typedef struct Printer {
    Str dir;
    bool quiet, human_readable, has_head;
} Printer;

static bool print_block(Printer *p, Str ulid, Error *err)
{
    CLEANUP(buf_deinit) Buf out = {0};
    TsdbBlock *block;

    if (p->quiet || !ulid.len)
        return true;
    if (!tsdb_block_open(&fs_system, p->dir, ulid, &block, err))
        return false;
    tool_tsdb_table(tsdb_block_info(block), 1, !p->has_head, p->human_readable, &out);
    tsdb_block_close(block);
    p->has_head = true;
    tool_write(buf_str(&out));
    return true;
}

// The block's times are those of its samples.
static bool write_block(const Page *page, int64_t from_ms, Printer *printer, Arena *arena,
                        Error *err)
{
    PageSource source = {
        .source.open = source_open,
        .querier = {source_select, source_read, source_names, source_values, source_close},
        .page = page};
    int64_t min_t_ms = INT64_MAX, max_t_ms = INT64_MIN;
    Str ulid;

    for (size_t i = 0; i < page->count; i++) {
        const Series *s = page->all[i];
        size_t first = first_at(s, from_ms), end = first_at(s, from_ms + page->block_ms);
        if (first == end)
            continue;
        min_t_ms = MIN(min_t_ms, s->samples[first].t_ms);
        max_t_ms = MAX(max_t_ms, s->samples[end - 1].t_ms);
    }
    if (min_t_ms > max_t_ms)
        return true;
    return tsdb_offline_write_block(&fs_system, printer->dir, &source.source, min_t_ms,
                                    max_t_ms + 1, arena, &ulid, err) &&
           print_block(printer, ulid, err);
}

// Forgets the samples; the series stay known by their texts.
static bool write_windows(Page *page, const Window *windows, size_t count, Printer *printer,
                          Arena *arena, Error *err)
{
    Gather gather = {page, windows[0].start_ms, windows[count - 1].start_ms + page->block_ms};

    if (!each_sample(page, gather_sample, &gather, err))
        return false;
    if (page->count)
        qsort(page->all, page->count, sizeof(Series *), compare_series);
    for (size_t i = 0; i < page->count; i++)
        sort_samples(page->all[i]);
    for (size_t i = 0; i < count; i++)
        if (!write_block(page, windows[i].start_ms, printer, arena, err))
            return false;
    for (size_t i = 0; i < page->count; i++)
        page->all[i]->count = 0;
    return true;
}

static bool create_blocks(Page *page, Printer *printer, Arena *arena, Error *err)
{
    Survey survey = {.page = page};
    bool ok = each_sample(page, survey_sample, &survey, err) ||
              error_context(err, "getting min and max timestamp");

    for (size_t from = 0, to; ok && from < survey.count; from = to) {
        uint64_t samples = survey.items[from].samples;
        for (to = from + 1; to < survey.count && samples + survey.items[to].samples <= SAMPLES_MAX;
             to++)
            samples += survey.items[to].samples;
        ok = write_windows(page, survey.items + from, to - from, printer, arena, err) ||
             error_context(err, "block creation");
    }
    free(survey.items);
    return ok;
}

// The largest of 2 h, 6 h, 18 h, ... that does not exceed what was asked for.
static int64_t block_ms_of(int64_t max_ms)
{
    int64_t range = BLOCK_MS;

    for (int i = 1; i < RANGES && range * 3 <= max_ms; i++)
        range *= 3;
    return range;
}

static bool take_labels(Page *page, const FlagStrList *labels, Arena *arena, Error *err)
{
    page->extra = ARENA_ARRAY(arena, Label, labels->count + 1);
    for (size_t i = 0; i < labels->count; i++) {
        Label *label = &page->extra[page->extra_count++];
        if (!tool_split_pair(labels->items[i], &label->name, &label->value, err))
            return false;
        if (!label->name.len)
            return error_set(err, ERR_INVALID, "--label: \"" STR_FMT "\" has no name",
                             STR_ARG(labels->items[i]));
    }
    return true;
}

static void page_deinit(Page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->all[i]->samples);
    free(page->all);
    map_deinit(&page->by_text);
    map_deinit(&page->by_print);
    arena_deinit(&page->arena);
}

static int run(ToolCall *call)
{
    CLEANUP(page_deinit)
    Page page = {.block_ms = block_ms_of(call->globals->max_block_duration_ms)};
    const BackfillOptions *options = call->options;
    Printer printer = {.dir = tool_tsdb_dir(call, 1),
                       .quiet = call->globals->quiet,
                       .human_readable = call->globals->human_readable};
    FsMap map = {STR_NONE};
    Error err = {0};

    bool ok = take_labels(&page, &options->labels, call->arena, &err) &&
              fs_make_dirs(&fs_system, printer.dir, &err) &&
              fs_map(&fs_system, call->args[0], &map, &err);
    page.body = map.bytes;
    ok = ok && create_blocks(&page, &printer, call->arena, &err);
    fs_unmap(&map);
    return ok ? TOOL_OK : tool_fail("%s", err.text);
}

const ToolVerb tool_tsdb_backfill = {
    TOOL_FLAGS(flags),
    .options_bytes = sizeof(BackfillOptions),
    .args = args,
    .run = run,
};
