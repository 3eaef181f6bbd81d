// SPDX-License-Identifier: Apache-2.0
// promql_eval_fuzz.c: random valid queries over random data. The fuzzer's bytes are choices: first of the data (a seed), then of the grammar's
// ways. What must hold:
//
// (1) A range query and instant queries at each of its steps answer the same.
// (2) Slices on threads answer what one thread answers.
// (3) Whatever fails, fails with a text, and no memory stays counted.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/random.h"
#include "promql/functions.h"

enum {
    SERIES = 14,
    SAMPLES = 45,
    SAMPLE_MS = 15000,
    DEPTH_MAX = 5,
    STEPS_MAX = 12,
    QUERY_BYTES = 2000
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// ---- choices ----

typedef struct Choices {
    const uint8_t *at, *end;
    Buf *query;
    bool step_bound; // start(), end(), step() and the like: a range has no instant twin
    int depth;
} Choices;

static unsigned pick(Choices *c, unsigned count)
{
    return c->at < c->end ? *c->at++ % count : 0;
}

static void add(Choices *c, const char *text)
{
    buf_add_c(c->query, text);
}

#define PICK_TEXT(c, list) add(c, list[pick(c, COUNT_OF(list))])

// ---- the grammar ----

static void add_vector(Choices *c);
static void add_scalar(Choices *c);
static void add_matrix(Choices *c);

static const char *const durations[] = {"15s", "1m", "7s", "90s", "2m30s", "1s", "5m", "1ms"};
static const char *const grid_durations[] = {"15s", "30s", "1m", "47s"};
static const char *const numbers[] = {"0",    "1",   "-1",   "0.5", "2",    "NaN", "Inf",
                                      "-Inf", "1e3", "0x1F", "100", "1e-3", "0.9"};
static const char *const label_lists[] = {"()",       "(job)", "(job, i)",    "(__name__)",
                                          "(nosuch)", "(le)",  "(i, \"u.8\")"};

static void add_matchers(Choices *c)
{
    static const char *const names[] = {"m",     "n",      "h", "f",          "nhcb",
                                        "mixed", "nosuch", "b", "target_info"};
    static const char *const sets[] = {
        "",
        "{job=\"a\"}",
        "{job!=\"a\"}",
        "{i=~\"[12]\"}",
        "{i!~\".*2\",job=~\".+\"}",
        "{\"u.8\"=\"x\"}",
        "{job=~\"a|b\"}",
        "{nosuch=\"\"}",
    };
    if (pick(c, 12) == 0) {
        add(c, "{__name__=~\"m|n|h\"}");
        return;
    }
    PICK_TEXT(c, names);
    PICK_TEXT(c, sets);
}

static void add_shift(Choices *c)
{
    static const char *const ats[] = {" @ 300", " @ 412.5", " @ start()", " @ end()"};
    unsigned kind = pick(c, 12);
    if (kind == 1 || kind == 2) {
        add(c, kind == 1 ? " offset " : " offset -");
        PICK_TEXT(c, durations);
    } else if (kind == 3) {
        unsigned at = pick(c, COUNT_OF(ats));
        c->step_bound |= at >= 2;
        add(c, ats[at]);
    }
}

static void add_matrix(Choices *c)
{
    if (c->depth < 3 && pick(c, 4) == 0) {
        c->depth += 2;
        add(c, "(");
        add_vector(c);
        add(c, ")[");
        PICK_TEXT(c, durations);
        add(c, ":");
        PICK_TEXT(c, grid_durations);
        add(c, "]");
        c->depth -= 2;
    } else {
        add_matchers(c);
        add(c, "[");
        PICK_TEXT(c, durations);
        add(c, "]");
    }
    add_shift(c);
}

static void add_string(Choices *c, const char *function, int arg)
{
    static const char *const strings[] = {"\"job\"",  "\"i\"",          "\"new\"",  "\"__name__\"",
                                          "\"$1-x\"", "\"\"",           "\"(.*)\"", "\"a|b\"",
                                          "\"u.8\"",  "\"(?P<x>.).*\"", "\"${x}\""};
    // A regular expression must be one.
    if (strcmp(function, "label_replace") == 0 && arg == 4)
        add(c, pick(c, 2) ? "\"(.*)\"" : "\"(?P<x>.).*\"");
    else
        PICK_TEXT(c, strings);
}

static void add_arg(Choices *c, const FunctionInfo *function, int arg)
{
    switch (function->args[arg]) {
    case TYPE_SCALAR:
        add_scalar(c);
        break;
    case TYPE_MATRIX:
        add_matrix(c);
        break;
    case TYPE_STRING:
        add_string(c, function->name, arg);
        break;
    default:
        if (strcmp(function->name, "info") == 0 && arg == 1)
            add(c, pick(c, 2) ? "{job=~\".+\"}" : "{__name__=~\"target_info|b\"}");
        else
            add_vector(c);
    }
}

static void add_call(Choices *c, ValueType returns)
{
    size_t count;
    const FunctionInfo *all = function_all(&count);
    const FunctionInfo *function = &all[pick(c, (unsigned)count)];
    while (function->returns != returns)
        function = function == all + count - 1 ? all : function + 1;
    static const char *const bound[] = {"start", "end", "step", "range"};
    for (size_t i = 0; i < COUNT_OF(bound); i++)
        c->step_bound |= strcmp(function->name, bound[i]) == 0;
    int args = function->arg_count;
    if (function->variadic > 0 && function->variadic <= function->arg_count)
        args -= (int)pick(c, (unsigned)function->variadic + 1);
    add(c, function->name);
    add(c, "(");
    for (int i = 0; i < args && function->args[i] != TYPE_NONE; i++) {
        if (i)
            add(c, ", ");
        add_arg(c, function, i);
    }
    add(c, ")");
}

static void add_aggregate(Choices *c)
{
    static const char *const plain[] = {"sum",   "avg",   "min",    "max",
                                        "count", "group", "stddev", "stdvar"};
    static const char *const with_number[] = {"topk", "bottomk", "quantile", "limitk",
                                              "limit_ratio"};
    static const char *const modes[] = {" by ", " without "};
    unsigned kind = pick(c, 4);
    if (kind < 2)
        PICK_TEXT(c, plain);
    else if (kind == 2)
        PICK_TEXT(c, with_number);
    else
        add(c, "count_values");
    if (pick(c, 2)) {
        PICK_TEXT(c, modes);
        PICK_TEXT(c, label_lists);
    }
    add(c, "(");
    if (kind == 2) {
        add_scalar(c);
        add(c, ", ");
    } else if (kind == 3) {
        add(c, "\"v\", ");
    }
    add_vector(c);
    add(c, ")");
}

static void add_matching(Choices *c, bool is_set)
{
    static const char *const kinds[] = {" on", " ignoring"};
    static const char *const groups[] = {" group_left", " group_right"};
    static const char *const fills[] = {" fill(0)", " fill_left(1)", " fill_right(-2)"};
    if (pick(c, 2) == 0)
        return;
    PICK_TEXT(c, kinds);
    PICK_TEXT(c, label_lists);
    if (is_set)
        return;
    if (pick(c, 3) == 1) {
        PICK_TEXT(c, groups);
        if (pick(c, 2))
            add(c, "(v)");
    } else if (pick(c, 3) == 1) {
        PICK_TEXT(c, fills);
    }
}

static void add_binary(Choices *c)
{
    static const char *const arithmetic[] = {" + ", " - ", " * ", " / ", " % ", " ^ ", " atan2 "};
    static const char *const compare[] = {" == ", " != ", " < ", " <= ", " > ", " >= "};
    static const char *const sets[] = {" and", " or", " unless"};
    static const char *const trims[] = {" </ ", " >/ "};
    unsigned kind = pick(c, 7);
    add(c, "(");
    if (kind == 0) { // vector and scalar, either way round
        unsigned left = pick(c, 2);
        left ? add_scalar(c) : add_vector(c);
        PICK_TEXT(c, arithmetic);
        left ? add_vector(c) : add_scalar(c);
    } else if (kind == 1) {
        add_vector(c);
        PICK_TEXT(c, compare);
        if (pick(c, 2))
            add(c, "bool ");
        add_scalar(c);
    } else if (kind == 2) {
        add_vector(c);
        PICK_TEXT(c, trims);
        add_scalar(c);
    } else if (kind == 3) {
        add_vector(c);
        PICK_TEXT(c, sets);
        add_matching(c, true);
        add(c, " ");
        add_vector(c);
    } else {
        add_vector(c);
        if (kind == 4)
            PICK_TEXT(c, compare);
        else
            PICK_TEXT(c, arithmetic);
        add_matching(c, false);
        add(c, " ");
        add_vector(c);
    }
    add(c, ")");
}

static bool is_deep(Choices *c)
{
    return c->depth >= DEPTH_MAX || c->query->len > QUERY_BYTES || c->at == c->end;
}

static void add_scalar(Choices *c)
{
    if (is_deep(c) || pick(c, 3)) {
        PICK_TEXT(c, numbers);
        return;
    }
    c->depth++;
    if (pick(c, 3)) {
        add_call(c, TYPE_SCALAR);
    } else {
        static const char *const operators[] = {" + ", " - ", " * ",      " / ",
                                                " % ", " ^ ", " > bool ", " == bool "};
        add(c, "(");
        add_scalar(c);
        PICK_TEXT(c, operators);
        add_scalar(c);
        add(c, ")");
    }
    c->depth--;
}

static void add_vector(Choices *c)
{
    if (is_deep(c)) {
        add_matchers(c);
        return;
    }
    c->depth++;
    switch (pick(c, 8)) {
    case 0:
        add_matchers(c);
        add_shift(c);
        break;
    case 1:
    case 2:
    case 3:
        add_call(c, TYPE_VECTOR);
        break;
    case 4:
    case 5:
        add_aggregate(c);
        break;
    case 6:
        add_binary(c);
        break;
    default:
        add(c, "-");
        add_matchers(c);
    }
    c->depth--;
}

// ---- the data ----

typedef struct FakeSeries {
    Labels labels;
    int64_t t_ms[SAMPLES];
    double value[SAMPLES];
    const Histogram *histograms[SAMPLES];
    bool has_histograms;
    size_t count;
} FakeSeries;

typedef struct FakeSource {
    Source source;
    Querier querier;
    Arena arena;
    Random random;
    FakeSeries series[SERIES];
    int64_t min_t_ms, max_t_ms;
} FakeSource;

static unsigned below(FakeSource *fake, unsigned count)
{
    return (unsigned)random_below(&fake->random, count);
}

static double random_value(FakeSource *fake, double before)
{
    switch (below(fake, 16)) {
    case 0:
        return 0;
    case 1:
        return before; // the same again
    case 2:
        return -(double)below(fake, 1000);
    case 3:
        return below(fake, 8) ? before : INFINITY;
    case 4:
        return below(fake, 8) ? before : NAN;
    case 5:
        return (double)below(fake, 100000) / 1024;
    default:
        return before + below(fake, 100);
    }
}

static const Histogram *random_histogram(FakeSource *fake, bool custom, bool is_float)
{
    static const double bounds[2][4] = {{0.1, 1, 10, 100}, {0.5, 1, 5, 50}};
    Histogram *h = ARENA_NEW(&fake->arena, Histogram);
    HistogramSpan *spans = ARENA_ARRAY(&fake->arena, HistogramSpan, 2);
    double *buckets = ARENA_ARRAY(&fake->arena, double, 4);
    spans[0] = (HistogramSpan){custom ? 0 : (int)below(fake, 3) - 1, 2};
    spans[1] = (HistogramSpan){custom ? 0 : (int)below(fake, 3), custom ? 1 : 2};
    h->schema = custom ? HISTOGRAM_SCHEMA_CUSTOM : (int)below(fake, 4) - 1;
    h->is_integer = !is_float;
    h->positive_spans = spans;
    h->positive_span_count = 2;
    h->positive_buckets = buckets;
    h->positive_count = custom ? 3 : 4;
    for (unsigned i = 0; i < h->positive_count; i++) {
        buckets[i] = below(fake, 50) + (is_float ? 0.25 : 0);
        h->count += buckets[i];
    }
    if (custom) {
        h->custom_bounds = bounds[below(fake, 4) == 0];
        h->custom_count = 4;
    } else {
        h->zero_threshold = 0.001;
        h->zero_count = below(fake, 5);
        h->count += h->zero_count;
        if (below(fake, 3) == 0) {
            h->negative_spans = spans;
            h->negative_span_count = 2;
            h->negative_buckets = buckets;
            h->negative_count = 4;
            h->count += h->count - h->zero_count;
        }
    }
    h->sum = (double)below(fake, 10000) / 16;
    h->hint = below(fake, 8) == 0 ? HINT_GAUGE : HINT_UNKNOWN;
    if (below(fake, 20) == 0)
        *h = (Histogram){.sum = double_from_bits(NAN_STALE_BITS)};
    return h;
}

static void fill_series(FakeSource *fake, FakeSeries *series, Str name)
{
    double value = below(fake, 100);
    int64_t t_ms = below(fake, SAMPLE_MS);
    bool custom = str_is(name, "nhcb");
    bool histograms = custom || str_is(name, "h") || str_is(name, "f") || str_is(name, "mixed");
    series->has_histograms = histograms;
    for (size_t i = 0; i < SAMPLES; i++) {
        t_ms += below(fake, 9) ? SAMPLE_MS : 1 + below(fake, 4 * SAMPLE_MS);
        value = random_value(fake, value);
        series->t_ms[series->count] = t_ms;
        series->value[series->count] = below(fake, 20) ? value : double_from_bits(NAN_STALE_BITS);
        if (histograms && !(str_is(name, "mixed") && below(fake, 3)))
            series->histograms[series->count] = random_histogram(fake, custom, str_is(name, "f"));
        series->count++;
    }
}

static void fill_source(FakeSource *fake)
{
    static const struct {
        Str name, job, i, utf8, le;
    } rows[SERIES] = {
        {STR("m"), STR("a"), STR("1"), STR(""), STR("")},
        {STR("m"), STR("a"), STR("2"), STR("x"), STR("")},
        {STR("m"), STR("b"), STR("1"), STR(""), STR("")},
        {STR("n"), STR("a"), STR("1"), STR(""), STR("")},
        {STR("n"), STR("b"), STR("2"), STR("x"), STR("")},
        {STR("h"), STR("a"), STR("1"), STR(""), STR("")},
        {STR("h"), STR("b"), STR("1"), STR(""), STR("")},
        {STR("f"), STR("a"), STR("1"), STR(""), STR("")},
        {STR("nhcb"), STR("a"), STR("1"), STR(""), STR("")},
        {STR("mixed"), STR("a"), STR("2"), STR(""), STR("")},
        {STR("b"), STR("a"), STR("1"), STR(""), STR("1")},
        {STR("b"), STR("a"), STR("1"), STR(""), STR("5")},
        {STR("b"), STR("a"), STR("1"), STR(""), STR("+Inf")},
        {STR("target_info"), STR("a"), STR("1"), STR("x"), STR("")},
    };
    for (size_t s = 0; s < SERIES; s++) {
        LabelsBuilder builder;
        labels_builder_init(&builder, &fake->arena, LABELS_NONE);
        labels_builder_set(&builder, S("__name__"), rows[s].name);
        labels_builder_set(&builder, S("job"), rows[s].job);
        labels_builder_set(&builder, S("i"), rows[s].i);
        labels_builder_set(&builder, S("u.8"), rows[s].utf8);
        labels_builder_set(&builder, S("le"), rows[s].le);
        labels_builder_set(&builder, S("instance"), rows[s].i);
        fake->series[s].labels = labels_builder_finish(&builder);
        fill_series(fake, &fake->series[s], rows[s].name);
    }
}

static int compare_entries(const void *a, const void *b)
{
    return labels_compare(((const SeriesEntry *)a)->labels, ((const SeriesEntry *)b)->labels);
}

static bool fake_select(Querier *querier, const Matcher *matchers, size_t count,
                        const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, SERIES), 0};
    (void)hints;
    (void)err;
    for (size_t i = 0; i < SERIES; i++)
        if (matchers_match(matchers, count, fake->series[i].labels))
            list.series[list.count++] = (SeriesEntry){fake->series[i].labels, i};
    if (list.count)
        qsort(list.series, list.count, sizeof *list.series, compare_entries);
    *ret_list = list;
    return true;
}

static bool fake_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                      Arena *arena, SampleColumns *ret_columns, Error *err)
{
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    const FakeSeries *series = &fake->series[handle];
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, SAMPLES),
                             ARENA_ARRAY(arena, double, SAMPLES)};
    (void)err;
    if (series->has_histograms)
        columns.histograms = ARENA_ARRAY(arena, const Histogram *, SAMPLES);
    for (size_t i = 0; i < series->count; i++) {
        if (series->t_ms[i] < min_t_ms || series->t_ms[i] > max_t_ms)
            continue;
        if (columns.histograms)
            columns.histograms[columns.count] =
                series->histograms[i] ? histogram_copy(arena, series->histograms[i]) : NULL;
        columns.t_ms[columns.count] = series->t_ms[i];
        columns.value[columns.count++] = series->value[i];
    }
    *ret_columns = columns;
    return true;
}

static void fake_close(Querier *querier)
{
    (void)querier;
}

static bool fake_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                      Error *err)
{
    FakeSource *fake = CONTAINER_OF(source, FakeSource, source);
    (void)err;
    fake->min_t_ms = min_t_ms;
    fake->max_t_ms = max_t_ms;
    *ret_querier = &fake->querier;
    return true;
}

// ---- comparing ----

static void fail(const QueryRequest *request, const char *what, Labels labels, int64_t t_ms)
{
    Buf text = {0};
    labels_print(&text, labels);
    fprintf(stderr, "%s: " STR_FMT " at %lld ms of " STR_FMT " from %lld to %lld step %lld\n", what,
            STR_ARG(buf_str(&text)), (long long)t_ms, STR_ARG(request->query),
            (long long)request->start_ms, (long long)request->end_ms, (long long)request->step_ms);
    abort();
}

static bool close_to(double a, double b)
{
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    return fabs(a - b) <= 1e-7 * fmax(1, fmax(fabs(a), fabs(b)));
}

static bool same_point(const SampleColumns *a, size_t i, const SampleColumns *b, size_t k)
{
    const Histogram *x = a->histograms ? a->histograms[i] : NULL;
    const Histogram *y = b->histograms ? b->histograms[k] : NULL;
    if (!x || !y)
        return x == y && close_to(a->value[i], b->value[k]);
    return close_to(x->count, y->count) && close_to(x->sum, y->sum) && x->schema == y->schema;
}

static const QuerySeries *find_series(const QueryResult *result, Labels labels)
{
    for (size_t i = 0; i < result->count; i++)
        if (labels_equal(result->series[i].labels, labels))
            return &result->series[i];
    return NULL;
}

// Points of the range at one time: each stands in the instant answer, and there are as many.
static void compare_at(const QueryRequest *request, const QueryResult *range,
                       const QueryResult *instant, int64_t t_ms)
{
    size_t found = 0;
    for (size_t s = 0; s < range->count; s++) {
        const SampleColumns *samples = &range->series[s].samples;
        for (size_t i = 0; i < samples->count; i++) {
            if (samples->t_ms[i] != t_ms)
                continue;
            found++;
            const QuerySeries *twin = find_series(instant, range->series[s].labels);
            if (!twin)
                fail(request, "only in the range", range->series[s].labels, t_ms);
            else if (!same_point(samples, i, &twin->samples, 0))
                fail(request, "another value in the range", range->series[s].labels, t_ms);
        }
    }
    if (found != instant->count)
        fail(request, "not all in the range", LABELS_NONE, t_ms);
}

// ---- asking ----

typedef struct Rig {
    FakeSource source;
    Engine *engine, *threaded;
    Budget memory;
} Rig;

static bool ask(Engine *engine, Rig *rig, const QueryRequest *request, Arena *arena,
                QueryResult *ret_result)
{
    Error err = {0};
    bool ok = engine_query(engine, &rig->source.source, request, arena, ret_result, &err);
    ASSERT(ok || err.text[0]);
    ASSERT(budget_taken(&rig->memory) == 0);
    return ok;
}

static bool is_same_result(const QueryResult *a, const QueryResult *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    for (size_t s = 0; s < a->count; s++) {
        const QuerySeries *twin = find_series(b, a->series[s].labels);
        if (!twin || twin->samples.count != a->series[s].samples.count)
            return false;
        for (size_t i = 0; i < twin->samples.count; i++)
            if (twin->samples.t_ms[i] != a->series[s].samples.t_ms[i] ||
                !same_point(&a->series[s].samples, i, &twin->samples, i))
                return false;
    }
    return true;
}

static void compare_instants(Rig *rig, const QueryRequest *request, const QueryResult *range)
{
    for (int64_t t_ms = request->start_ms; t_ms <= request->end_ms; t_ms += request->step_ms) {
        Arena arena = {0};
        QueryResult instant = {0};
        QueryRequest one = {.query = request->query, .start_ms = t_ms, .end_ms = t_ms};
        if (!ask(rig->engine, rig, &one, &arena, &instant))
            fail(request, "an instant fails", LABELS_NONE, t_ms);
        if (instant.kind == QUERY_VECTOR)
            compare_at(request, range, &instant, t_ms);
        arena_deinit(&arena);
    }
}

static void check_query(Rig *rig, const QueryRequest *request, bool compare)
{
    Arena arena = {0};
    QueryResult range = {0};
    QueryResult threaded = {0};
    bool ok = ask(rig->engine, rig, request, &arena, &range);
    if (getenv("NARTHEX_FUZZ_SHOW"))
        fprintf(stderr, "%s %zu series: " STR_FMT "\n", ok ? "ok" : "failed", range.count,
                STR_ARG(request->query));
    bool threaded_ok = ask(rig->threaded, rig, request, &arena, &threaded);
    if (ok != threaded_ok || (ok && !is_same_result(&range, &threaded)))
        fail(request, "threads answer otherwise", LABELS_NONE, 0);
    if (ok && compare)
        compare_instants(rig, request, &range);
    arena_deinit(&arena);
}

static void make_engines(Rig *rig, ThreadPool *pool, bool delayed)
{
    EngineOptions options;
    engine_options_default(&options);
    rig->memory = (Budget){.name = "--all", .holder = "all", .bytes_max = 64 << 20};
    options.memory = &rig->memory;
    options.memory_bytes_max = 32 << 20;
    options.samples_max = 200000;
    options.features = (PromqlFeatures){.experimental_functions = true,
                                        .duration_expressions = true,
                                        .extended_range_selectors = true,
                                        .fill_modifiers = true,
                                        .delayed_name_removal = delayed};
    rig->engine = engine_new(&options);
    options.pool = pool;
    rig->threaded = engine_new(&options);
}

static bool has_word(Str query, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_find(query, str_from_c(words[i])) != STR_NOT_FOUND)
            return true;
    return false;
}

// Which of equal values come first may hang on the steps around, and so may the name of a series of which some points lose it at the end of
// the query and others do not; the others say what they say of one step alone.
static bool may_compare(Str query, bool delayed)
{
    static const char *const orders[] = {"topk",        "bottomk", "limitk",
                                         "limit_ratio", "sort",    "info("};
    static const char *const mixes[] = {" or", "label_replace", "label_join"};
    return !has_word(query, orders, COUNT_OF(orders)) &&
           !(delayed && has_word(query, mixes, COUNT_OF(mixes)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t steps_ms[] = {60000, 15000, 7000, 1};
    static ThreadPool *pool;
    if (size < 8 || size > 4096)
        return 0;
    if (!pool)
        pool = thread_pool_new("fuzz", 2);
    Rig *rig = X_NEW(Rig);
    rig->source.source.open = fake_open;
    rig->source.querier = (Querier){.select = fake_select, .read = fake_read, .close = fake_close};
    random_seed(&rig->source.random, data[0] | (uint64_t)data[1] << 8);
    fill_source(&rig->source);
    bool delayed = data[2] & 1;
    make_engines(rig, pool, delayed);

    Buf query = {0};
    Choices choices = {.at = data + 5, .end = data + size, .query = &query};
    add_vector(&choices);
    QueryRequest request = {
        .query = buf_str(&query),
        .is_range = true,
        .start_ms = 200000 + data[3] * 1000,
        .step_ms = steps_ms[data[2] >> 1 & 3],
    };
    request.end_ms = request.start_ms + data[4] % STEPS_MAX * request.step_ms;
    check_query(rig, &request, !choices.step_bound && may_compare(request.query, delayed));

    buf_deinit(&query);
    engine_free(rig->engine);
    engine_free(rig->threaded);
    arena_deinit(&rig->source.arena);
    free(rig);
    return 0;
}
