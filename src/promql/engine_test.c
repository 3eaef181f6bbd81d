// SPDX-License-Identifier: Apache-2.0
// The engine over a Source in memory: series `m{...}` with one sample each 10 s from t = 0.
#include <math.h>

#include "base/number.h"
#include "base/test.h"
#include "promql/promql.h"

typedef struct FakeSeries {
    Labels labels;
    double *values;               // one each 10 s; a stale marker where nothing is
    const Histogram **histograms; // NULL: floats
    size_t count;
} FakeSeries;

typedef struct FakeSource {
    Source source;
    Querier querier;
    Arena arena;
    FakeSeries series[600];
    size_t count;
    int64_t min_t_ms, max_t_ms;
    size_t reads;
} FakeSource;

#define SAMPLE_MS 10000

static bool fake_select(Querier *querier, const Matcher *matchers, size_t count,
                        const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    (void)hints;
    (void)err;
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, fake->count), 0};
    for (size_t i = 0; i < fake->count; i++)
        if (matchers_match(matchers, count, fake->series[i].labels))
            list.series[list.count++] = (SeriesEntry){fake->series[i].labels, i};
    *ret_list = list;
    return true;
}

static bool fake_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                      Arena *arena, SampleColumns *ret_columns, Error *err)
{
    (void)err;
    FakeSource *fake = CONTAINER_OF(querier, FakeSource, querier);
    const FakeSeries *series = &fake->series[handle];
    __atomic_add_fetch(&fake->reads, 1, __ATOMIC_RELAXED); // threads of slices
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, series->count),
                             ARENA_ARRAY(arena, double, series->count), NULL, 0};
    if (series->histograms)
        columns.histograms = arena_zalloc(arena, series->count * sizeof(const Histogram *));
    min_t_ms = MAX(min_t_ms, fake->min_t_ms);
    max_t_ms = MIN(max_t_ms, fake->max_t_ms);
    for (size_t i = 0; i < series->count; i++) {
        int64_t t_ms = (int64_t)i * SAMPLE_MS;
        if (t_ms < min_t_ms || t_ms > max_t_ms)
            continue;
        if (series->histograms)
            columns.histograms[columns.count] = series->histograms[i];
        columns.t_ms[columns.count] = t_ms;
        columns.value[columns.count++] = series->values[i];
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
    (void)err;
    FakeSource *fake = CONTAINER_OF(source, FakeSource, source);
    fake->min_t_ms = min_t_ms;
    fake->max_t_ms = max_t_ms;
    fake->querier = (Querier){.select = fake_select, .read = fake_read, .close = fake_close};
    *ret_querier = &fake->querier;
    return true;
}

// `labels` as "name job=a instance=1"; values start + i * step, `gap` names an index that is stale.
static void fake_add(FakeSource *fake, const char *labels, double start, double step, size_t count,
                     size_t gap)
{
    FakeSeries *series = &fake->series[fake->count++];
    LabelsBuilder builder;
    labels_builder_init(&builder, &fake->arena, LABELS_NONE);
    Str rest = str_from_c(labels);
    Str piece;
    CHECK(str_split_next(&rest, ' ', &piece));
    labels_builder_set(&builder, S("__name__"), piece);
    while (str_split_next(&rest, ' ', &piece)) {
        size_t equals = str_find_char(piece, '=');
        labels_builder_set(&builder, str_sub(piece, 0, equals), str_skip(piece, equals + 1));
    }
    series->labels = labels_builder_finish(&builder);
    series->count = count;
    series->values = ARENA_ARRAY(&fake->arena, double, count);
    for (size_t i = 0; i < count; i++)
        series->values[i] = i == gap ? double_from_bits(NAN_STALE_BITS) : start + (double)i * step;
}

// As fake_add, but histograms of one bucket with that count; at index `reset` counts begin anew.
static void fake_add_histograms(FakeSource *fake, const char *labels, double start, double step,
                                size_t count, size_t reset)
{
    static const HistogramSpan span = {0, 1};
    fake_add(fake, labels, 0, 1, count, SIZE_MAX);
    FakeSeries *series = &fake->series[fake->count - 1];
    series->histograms = ARENA_ARRAY(&fake->arena, const Histogram *, count);
    for (size_t i = 0; i < count; i++) {
        double *bucket = ARENA_NEW(&fake->arena, double);
        *bucket = start + (double)(i >= reset ? i - reset : i) * step;
        Histogram *h = ARENA_NEW(&fake->arena, Histogram);
        *h = (Histogram){.count = *bucket,
                         .sum = *bucket,
                         .positive_spans = &span,
                         .positive_buckets = bucket,
                         .positive_span_count = 1,
                         .positive_count = 1};
        series->histograms[i] = h;
    }
}

static void fake_init(FakeSource *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->source.open = fake_open;
    fake_add(fake, "lone x=1", 5, 0, 61, SIZE_MAX);
    fake_add(fake, "m job=a instance=1", 0, 1, 61, SIZE_MAX);
    fake_add(fake, "m job=a instance=2", 0, 2, 61, SIZE_MAX);
    fake_add(fake, "m job=b instance=1", 0, 10, 61, 30);
    fake_add(fake, "n job=a", 100, 0, 61, SIZE_MAX);
    fake_add(fake, "requests_total job=a", 0, 5, 61, SIZE_MAX);
}

// The result as text: "{labels} value@t value@t; ...".
static Str show(const QueryResult *result, Arena *arena)
{
    Buf text = {0};
    if (result->kind == QUERY_SCALAR)
        buf_add_double_json(&text, result->scalar);
    if (result->kind == QUERY_STRING)
        buf_add_str(&text, result->string);
    for (size_t s = 0; s < result->count; s++) {
        buf_add_c(&text, s ? "; " : "");
        labels_print(&text, result->series[s].labels);
        for (size_t i = 0; i < result->series[s].samples.count; i++) {
            buf_add_char(&text, ' ');
            const SampleColumns *samples = &result->series[s].samples;
            const Histogram *h = samples->histograms ? samples->histograms[i] : NULL;
            if (h)
                histogram_print(&text, h);
            else
                buf_add_double_json(&text, samples->value[i]);
        }
    }
    Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static bool delayed_name_removal;
static uint64_t samples_max = 1000;

static bool ask(FakeSource *fake, ThreadPool *pool, QueryRequest request, Arena *arena,
                QueryResult *result, Error *err)
{
    EngineOptions options;
    engine_options_default(&options);
    options.pool = pool;
    options.samples_max = samples_max;
    options.memory_bytes_max = 64 << 20;
    options.features.experimental_functions = true;
    options.features.extended_range_selectors = true;
    options.features.fill_modifiers = true;
    options.features.delayed_name_removal = delayed_name_removal;
    Engine *engine = engine_new(&options);
    bool ok = engine_query(engine, &fake->source, &request, arena, result, err);
    engine_free(engine);
    return ok;
}

TEST(engine, instant_queries)
{
    static const struct {
        const char *name;
        const char *query;
        const char *want;
    } cases[] = {
        {"number", "1 + 2 * 3", "7"},
        {"string", "\"text\"", "text"},
        {"selector", "m{job=\"a\"}",
         "{__name__=\"m\", instance=\"1\", job=\"a\"} 60; {__name__=\"m\", instance=\"2\", "
         "job=\"a\"} 120"},
        {"offset", "m{instance=\"2\"} offset 5m", "{__name__=\"m\", instance=\"2\", job=\"a\"} 60"},
        {"at", "m{instance=\"2\"} @ 100", "{__name__=\"m\", instance=\"2\", job=\"a\"} 20"},
        {"at end with offset", "m{instance=\"2\"} @ end() offset 10s",
         "{__name__=\"m\", instance=\"2\", job=\"a\"} 118"},
        {"lookback ends", "lone offset -6m", ""},
        {"sum by", "sum by (job) (m)", "{job=\"a\"} 180; {job=\"b\"} 600"},
        {"sum without", "sum without (instance) (m)", "{job=\"a\"} 180; {job=\"b\"} 600"},
        {"average of all", "avg(m)", "{} 260"},
        {"dates of no date", "month(vector(NaN)) * 1e12 + year(vector(-Inf))", "{} 12292277026596"},
        {"topk is ordered", "topk(2, m)",
         "{__name__=\"m\", instance=\"1\", job=\"b\"} 600; {__name__=\"m\", instance=\"2\", "
         "job=\"a\"} 120"},
        {"quantile", "quantile(0.5, m)", "{} 120"},
        {"count_values", "count_values(\"v\", n)", "{v=\"100\"} 1"},
        {"vector and scalar", "n / 4 - 1", "{job=\"a\"} 24"},
        {"filter keeps the name", "m > 100",
         "{__name__=\"m\", instance=\"2\", job=\"a\"} 120; {__name__=\"m\", instance=\"1\", "
         "job=\"b\"} 600"},
        {"filter from the left", "100 < m",
         "{__name__=\"m\", instance=\"2\", job=\"a\"} 120; {__name__=\"m\", instance=\"1\", "
         "job=\"b\"} 600"},
        {"bool", "n > bool 100", "{job=\"a\"} 0"},
        {"one to one", "sum by (job) (m) + on (job) n", "{job=\"a\"} 280"},
        {"group_left", "m * on (job) group_left n",
         "{instance=\"1\", job=\"a\"} 6000; {instance=\"2\", job=\"a\"} 12000"},
        {"and", "m and on (job) n",
         "{__name__=\"m\", instance=\"1\", job=\"a\"} 60; {__name__=\"m\", instance=\"2\", "
         "job=\"a\"} 120"},
        {"unless", "m unless on (job) n", "{__name__=\"m\", instance=\"1\", job=\"b\"} 600"},
        {"or", "n or on (job) sum by (job) (m)",
         "{__name__=\"n\", job=\"a\"} 100; {job=\"b\"} 600"},
        {"unary", "-n", "{job=\"a\"} -100"},
        {"rate", "rate(requests_total[1m])", "{job=\"a\"} 0.5"},
        {"increase", "increase(requests_total[1m])", "{job=\"a\"} 30"},
        {"over a subquery", "max_over_time(sum(m)[1m:10s])", "{} 780"},
        {"absent", "absent(nothing{job=\"a\", x=~\".*\"})", "{job=\"a\"} 1"},
        {"absent of something", "absent(n)", ""},
        {"timestamp", "timestamp(n offset 15s)", "{job=\"a\"} 580"},
        {"scalar of one", "scalar(n) + 1", "101"},
        {"matrix", "n[20s]", "{__name__=\"n\", job=\"a\"} 100 100"},
        {"stddev", "stddev by (job) (m{job=\"a\"})", "{job=\"a\"} 30"},
        {"duration expression", "sum_over_time(n[10s * 3])", "{job=\"a\"} 300"},
        {"fill_left is the many side of group_right",
         "n + on (job) group_right fill_left(1) m{job=\"x\"}", "{job=\"a\"} 101"},
        {"fill_right is the one side of group_right",
         "n{job=\"x\"} + on (job) group_right fill_right(1) m{job=\"b\"}",
         "{instance=\"1\", job=\"b\"} 601"},
    };

    FakeSource fake;
    fake_init(&fake);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};

        CHECK_OK(ask(&fake, NULL, (QueryRequest){.query = str_from_c(c->query), .start_ms = 600000},
                     &arena, &result, &err),
                 err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        arena_deinit(&arena);
    }
    arena_deinit(&fake.arena);
}

TEST(engine, range_queries)
{
    static const struct {
        const char *name;
        const char *query;
        const char *want;
    } cases[] = {
        {"scalar at every step", "1", "{} 1 1 1"},
        {"time", "time()", "{} 280 300 320"},
        {"sorted by labels", "m{job=\"a\"}",
         "{__name__=\"m\", instance=\"1\", job=\"a\"} 28 30 32; {__name__=\"m\", instance=\"2\", "
         "job=\"a\"} 56 60 64"},
        {"a stale marker is a hole", "m{job=\"b\"}",
         "{__name__=\"m\", instance=\"1\", job=\"b\"} 280 320"},
        {"windows skip the stale marker", "count_over_time(m{job=\"b\"}[20s])",
         "{instance=\"1\", job=\"b\"} 2 1 2"},
        {"at is spread over the steps", "m{instance=\"2\"} @ 100",
         "{__name__=\"m\", instance=\"2\", job=\"a\"} 20 20 20"},
        {"sum over a hole", "sum(m)", "{} 364 90 416"},
        {"comparison per step", "m{job=\"a\"} > 50",
         "{__name__=\"m\", instance=\"2\", job=\"a\"} 56 60 64"},
    };

    FakeSource fake;
    fake_init(&fake);
    ThreadPool *pool = thread_pool_new("query", 2);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};
        QueryRequest request = {
            .query = str_from_c(c->query),
            .is_range = true,
            .start_ms = 280000,
            .end_ms = 320000,
            .step_ms = 20000,
        };

        CHECK_OK(ask(&fake, pool, request, &arena, &result, &err), err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        arena_deinit(&arena);
    }
    thread_pool_free(pool);
    arena_deinit(&fake.arena);
}

TEST(engine, a_chain_of_operators_may_be_as_long_as_the_query)
{
    static const struct {
        const char *name;
        const char *first, *rest;
        size_t count;
        const char *want;
    } cases[] = {
        {"of vectors", "n", " + n", 3000, "{job=\"a\"} 300000"},
        {"of numbers", "1", " + 1", 50000, "{} 50000"},
        {"mixed signs", "n", " - 1", 20000, "{job=\"a\"} -19899"},
        {"of sets", "n", " or n", 5000, "{__name__=\"n\", job=\"a\"} 100"},
    };

    FakeSource fake;
    fake_init(&fake);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};
        Buf query = {0};
        buf_add_c(&query, c->first);
        for (size_t i = 1; i < c->count; i++)
            buf_add_c(&query, c->rest);
        QueryRequest request = {.query = buf_str(&query),
                                .is_range = true,
                                .start_ms = 300000,
                                .end_ms = 300000,
                                .step_ms = 1000};

        CHECK_OK(ask(&fake, NULL, request, &arena, &result, &err), err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        buf_deinit(&query);
        arena_deinit(&arena);
    }
    arena_deinit(&fake.arena);
}

TEST(engine, delayed_names_go_at_the_end)
{
    static const struct {
        const char *name;
        const char *query;
        const char *want;
    } cases[] = {
        {"of its own group only", "sum by (__name__) (n or on (__name__) rate(requests_total[1m]))",
         "{__name__=\"n\"} 100; {} 0.5"},
        {"a name given back stays",
         "label_replace(rate(requests_total[1m]), \"__name__\", \"$1\", \"__name__\", "
         "\"(.+)_total\")",
         "{__name__=\"requests\", job=\"a\"} 0.5"},
        {"any member drops the group's name",
         "sum by (__name__) (requests_total or label_replace(rate(requests_total[1m]), \"x\", "
         "\"y\", \"\", \"\"))",
         "{} 300.5"},
    };

    FakeSource fake;
    fake_init(&fake);
    delayed_name_removal = true;
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};

        CHECK_OK(ask(&fake, NULL, (QueryRequest){.query = str_from_c(c->query), .start_ms = 600000},
                     &arena, &result, &err),
                 err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        arena_deinit(&arena);
    }
    delayed_name_removal = false;
    arena_deinit(&fake.arena);
}

// Expected: engine_test.go of Prometheus 3.14 has the like.
TEST(engine, samples_are_counted_as_looked_at_and_as_read)
{
    static const struct {
        const char *name;
        const char *query;
        int64_t end_ms; // from 200 s, a minute a step; 0: an instant query
        uint64_t want_total, want_read;
    } cases[] = {
        {"an instant selector", "m", 0, 3, 3},
        {"at each step", "n", 380000, 4, 4},
        {"the same at each step", "n @ 100", 380000, 4, 1},
        {"windows apart", "sum_over_time(n[30s])", 380000, 12, 12},
        {"windows that share", "sum_over_time(n[100s])", 380000, 40, 28},
        {"two at once", "sum(m{job=\"a\"}) + n", 380000, 12, 12},
        {"a subquery without gaps", "max_over_time(n[2m:20s])", 380000, 24, 15},
        {"a subquery with gaps", "max_over_time(n[40s:20s])", 380000, 8, 8},
        {"a subquery alone", "n[1m:10s]", 0, 6, 6},
        {"a time is read as one", "timestamp(n)", 380000, 4, 4},
        {"a time that is the same at each step", "timestamp(n @ 100)", 380000, 4, 1},
    };

    FakeSource fake;
    fake_init(&fake);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};
        QueryRequest request = {.query = str_from_c(c->query),
                                .is_range = c->end_ms > 0,
                                .start_ms = 200000,
                                .end_ms = c->end_ms,
                                .step_ms = 60000,
                                .stats_all = true};

        CHECK_OK(ask(&fake, NULL, request, &arena, &result, &err), err);

        CHECK_EQ(result.stats.samples_total, c->want_total);
        CHECK_EQ(result.stats.samples_read, c->want_read);
        uint64_t read = 0;
        for (size_t i = 0; i < (c->end_ms ? 4 : 1); i++)
            read += result.stats.read_per_step[i];
        CHECK_EQ(read, c->want_read);
        arena_deinit(&arena);
    }
    arena_deinit(&fake.arena);
}

// Statistics by step need each evaluation: with them nothing is shared, so they tell what must come out.
TEST(engine, what_stands_twice_is_read_once)
{
    static const struct {
        const char *name;
        const char *query;
        size_t want_reads, want_reads_apart;
    } cases[] = {
        {"a selector", "m - m", 3, 6},
        {"changed in place by its first user", "-m + m", 3, 6},
        {"changed in place by its second", "m + -m", 3, 6},
        {"three times", "m + m * (m + 1)", 3, 9},
        {"a selector and its sum", "m / on() group_left() sum(m)", 3, 6},
        {"added up first", "scalar(sum(m)) / m", 3, 6},
        {"only added up", "sum(m) / count by (job) (m) or avg(m)", 3, 9},
        {"filtered", "m > 5 or m", 3, 6},
        {"in parentheses", "(m) * ((m))", 3, 6},
        {"an aggregation", "sum by (job) (m) + sum by (job) (m)", 3, 6},
        {"a call", "delta(m[1m]) / on(job, instance) delta(m[1m])", 3, 6},
        {"a call and its sum", "sum(delta(m[1m])) / count(delta(m[1m]))", 3, 6},
        {"histograms", "h + h", 1, 2},
        {"histograms added up", "sum(h) + h", 1, 2},
        {"windows of two functions", "max_over_time(m[1m]) - min_over_time(m[1m])", 3, 6},
        {"windows of three", "max_over_time(m[1m]) - min_over_time(m[1m]) + delta(m[1m])", 3, 9},
        {"windows of two functions, added up",
         "sum(max_over_time(m[1m])) - sum(min_over_time(m[1m]))", 3, 6},
        {"windows of one function with two arguments",
         "quantile_over_time(0.1, m[1m]) - quantile_over_time(0.9, m[1m])", 3, 6},
        {"windows that some call twice",
         "max_over_time(m[1m]) - min_over_time(m[1m]) + max_over_time(m[1m])", 3, 9},
        {"windows where names differ", "last_over_time(m[1m]) > 0 or max_over_time(m[1m])", 3, 6},
        {"windows of histograms", "sum_over_time(h[1m]) + avg_over_time(h[1m])", 1, 2},
        {"in a subquery", "max_over_time((m + m)[1m:10s])", 3, 6},
        {"windows in a subquery", "max_over_time((idelta(m[1m]) + delta(m[1m]))[1m:10s])", 3, 6},
        {"on two grids", "m + max_over_time(m[1m:10s])", 6, 6},
        {"at two times", "m + m offset 1m", 6, 6},
        {"windows of two lengths", "delta(m[1m]) + delta(m[2m])", 6, 6},
        {"the same at every step", "m @ 100 + m @ 100", 3, 6},
        {"buckets needed and not", "histogram_count(h) + histogram_quantile(0.5, h)", 2, 2},
        {"what is remarked upon", "rate(m[1m]) + rate(m[1m])", 6, 6},
        {"of two kinds", "timestamp(m) + m", 6, 6},
        {"nothing", "absent(nothing) + absent(nothing)", 0, 0},
        {"another name", "m + on(job) group_left() n", 4, 4},
    };

    FakeSource fake;
    fake_init(&fake);
    fake_add_histograms(&fake, "h job=a", 0, 3, 61, 20);
    for (int at_once = 0; at_once < 2; at_once++)
        EACH_CASE(c, cases) {
            Arena arena = {0};
            QueryResult apart = {0}, shared = {0};
            Error err = {0};
            QueryRequest request = {.query = str_from_c(c->query),
                                    .is_range = !at_once,
                                    .start_ms = 300000,
                                    .end_ms = 480000,
                                    .step_ms = 60000,
                                    .stats_all = true};
            fake.reads = 0;
            CHECK_OK(ask(&fake, NULL, request, &arena, &apart, &err), err);
            size_t reads_apart = fake.reads;
            request.stats_all = false;
            fake.reads = 0;

            CHECK_OK(ask(&fake, NULL, request, &arena, &shared, &err), err);

            CHECK_STR(show(&shared, &arena), show(&apart, &arena));
            CHECK_EQ(shared.stats.samples_total, apart.stats.samples_total);
            CHECK_EQ(shared.stats.samples_read, apart.stats.samples_read);
            CHECK_EQ(shared.stats.samples_peak, apart.stats.samples_peak);
            CHECK_EQ(shared.warnings.count, apart.warnings.count);
            CHECK_EQ(shared.infos.count, apart.infos.count);
            CHECK_EQ(fake.reads, c->want_reads);
            if (!at_once) // a subquery for one step has no statistics of its steps
                CHECK_EQ(reads_apart, c->want_reads_apart);
            arena_deinit(&arena);
        }
    arena_deinit(&fake.arena);
}

TEST(engine, delayed_names_of_a_range_hang_on_one_point)
{
    static const struct {
        const char *name;
        const char *query;
        const char *want;
    } cases[] = {
        {"the first, from the left", "-(m{job=\"a\"} < 30) or m{instance=\"1\", job=\"a\"}",
         "{instance=\"1\", job=\"a\"} -25 30 35"},
        {"the first, from the right",
         "m{instance=\"1\", job=\"a\"} >= 30 or -m{instance=\"1\", job=\"a\"}",
         "{instance=\"1\", job=\"a\"} -25 30 35"},
        {"the first has its name",
         "m{instance=\"1\", job=\"a\"} < 30 or -m{instance=\"1\", job=\"a\"}",
         "{__name__=\"m\", instance=\"1\", job=\"a\"} 25 -30 -35"},
        {"the last of a group has its name",
         "sum by (__name__) (m{instance=\"1\", job=\"a\"} or -(m{instance=\"2\"} < 60))",
         "{__name__=\"m\"} -25 30 35"},
        {"the last of a group has none",
         "quantile by (__name__) (1, m{instance=\"1\", job=\"a\"} or -(m{instance=\"2\"} > 60))",
         "{} 25 30 35"},
    };

    FakeSource fake;
    fake_init(&fake);
    delayed_name_removal = true;
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};
        QueryRequest request = {.query = str_from_c(c->query),
                                .is_range = true,
                                .start_ms = 250000,
                                .end_ms = 350000,
                                .step_ms = 50000};

        CHECK_OK(ask(&fake, NULL, request, &arena, &result, &err), err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        arena_deinit(&arena);
    }
    delayed_name_removal = false;
    arena_deinit(&fake.arena);
}

TEST(engine, histograms)
{
    static const struct {
        const char *name;
        const char *query;
        int64_t t_ms;
        const char *want;
        const char *warning; // "": none
    } cases[] = {
        {"sum of counts", "histogram_count(sum(h))", 40000, "{} 10", ""},
        {"sum is of histograms", "histogram_quantile(1, sum(h))", 40000, "{} 1", ""},
        {"average", "histogram_count(avg(h))", 40000, "{} 5", ""},
        {"an average of what overflows as a sum", "histogram_count(avg(big))", 0, "{} 1.5e+308",
         ""},
        {"counter resets that collide are told", "histogram_count(sum(h))", 100000, "{} 12",
         "PromQL warning: conflicting counter resets during histogram aggregation (1:21)"},
        {"so in a window", "histogram_count(sum_over_time(h{x=\"2\"}[20s]))", 100000,
         "{x=\"2\"} 11",
         "PromQL warning: conflicting counter resets during histogram aggregation (1:31)"},
        {"not where buckets are used", "histogram_quantile(1, sum(h))", 100000, "{} 1", ""},
        {"what lies below a threshold is kept", "histogram_count(h{x=\"1\"} </ 1)", 40000,
         "{x=\"1\"} 5", ""},
        {"what lies above it is not there", "histogram_count(h{x=\"1\"} >/ 1)", 40000,
         "{x=\"1\"} 0", ""},
        {"between two", "histogram_count(h{x=\"1\"} smoothed)", 45000, "{x=\"1\"} 5.5", ""},
        {"at one", "histogram_count(h{x=\"1\"} smoothed)", 40000, "{x=\"1\"} 5", ""},
        {"behind the last", "histogram_count(h{x=\"1\"} smoothed)", 205000, "{x=\"1\"} 21", ""},
        {"before the first", "histogram_count(h{x=\"1\"} smoothed)", -5000, "", ""},
        {"across a reset it begins at zero", "histogram_count(h{x=\"2\"} smoothed)", 95000,
         "{x=\"2\"} 0.5", ""},
        {"floats and histograms", "sum({__name__=~\"h|n\"})", 40000, "",
         "PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)"},
    };

    FakeSource fake;
    fake_init(&fake);
    fake_add_histograms(&fake, "h x=1", 1, 1, 21, SIZE_MAX);
    fake_add_histograms(&fake, "h x=2", 1, 1, 21, 10);
    fake_add_histograms(&fake, "big x=1", 1.7e308, 0, 2, SIZE_MAX);
    fake_add_histograms(&fake, "big x=2", 1.3e308, 0, 2, SIZE_MAX);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result = {0};
        Error err = {0};

        CHECK_OK(ask(&fake, NULL,
                     (QueryRequest){.query = str_from_c(c->query), .start_ms = c->t_ms}, &arena,
                     &result, &err),
                 err);

        CHECK_STR(show(&result, &arena), str_from_c(c->want));
        CHECK_EQ(result.warnings.count, *c->warning ? 1 : 0);
        if (*c->warning)
            CHECK_STR(result.warnings.items[0], str_from_c(c->warning));
        arena_deinit(&arena);
    }
    arena_deinit(&fake.arena);
}

TEST(engine, slices_on_threads_give_what_one_gives)
{
    static const struct {
        const char *name;
        const char *query;
    } cases[] = {
        {"selector", "many"},
        {"range function", "rate(many[1m])"},
        {"of histograms", "histogram_quantile(0.5, rate(many[1m]))"},
        {"with annotations", "rate(many[1m]) + on (i) many"},
        {"aggregation", "sum by (half) (rate(many[1m]))"},
        {"subquery", "max_over_time(rate(many[1m])[1m:10s])"},
        {"smoothed", "many smoothed"},
        {"counts of histograms", "histogram_count(sum by (half) (many))"},
    };

    FakeSource fake;
    fake_init(&fake);
    for (int i = 0; i < 512; i++) {
        const char *labels =
            str_to_c(&fake.arena, arena_printf(&fake.arena, "many i=%d half=%d", i, i % 2));
        if (i % 2)
            fake_add_histograms(&fake, labels, 1, i, 61, 20);
        else
            fake_add(&fake, labels, 1, i, 61, 40);
    }
    ThreadPool *pool = thread_pool_new("query", 4);
    samples_max = 10000000;
    EACH_CASE(c, cases) {
        Arena arena = {0};
        Str shown[2];
        for (int threads = 0; threads < 2; threads++) {
            QueryResult result = {0};
            Error err = {0};
            QueryRequest request = {.query = str_from_c(c->query),
                                    .is_range = true,
                                    .start_ms = 180000,
                                    .end_ms = 420000,
                                    .step_ms = 20000};
            CHECK_OK(ask(&fake, threads ? pool : NULL, request, &arena, &result, &err), err);
            shown[threads] = show(&result, &arena);
        }
        CHECK(shown[0].len > 0);
        CHECK_STR(shown[1], shown[0]);
        arena_deinit(&arena);
    }
    samples_max = 1000;
    thread_pool_free(pool);
    arena_deinit(&fake.arena);
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

TEST(engine, failures_say_what_a_caller_can_do)
{
    static const struct {
        const char *name;
        const char *query;
        ErrorCode code;
        const char *want;
    } cases[] = {
        {"does not parse", "sum(", ERR_INVALID, "1:5: parse error"},
        {"wrong type", "rate(m)", ERR_INVALID, "expected type range vector"},
        {"duplicates on one side", "n * on (job) m", ERR_LIMIT,
         "found duplicate series for the match group {job=\"a\"} on the right"},
        {"many to one without a word", "m * on (job) n", ERR_LIMIT, "multiple matches for labels"},
        {"a filtered second match", "m < on (job) n", ERR_LIMIT, "multiple matches for labels"},
        {"a filtered twin", "m > on (job) group_left (instance) n", ERR_LIMIT,
         "grouping labels must ensure unique matches"},
        {"anchored where it has no sense", "deriv(m[1m] anchored)", ERR_LIMIT,
         "anchored modifier can only be used with: changes, delta"},
        {"equal labels", "-{__name__=~\"n|requests_total\"}", ERR_LIMIT,
         "vector cannot contain metrics with the same labelset"},
        {"too many samples", "max_over_time(m[10m:1s])", ERR_LIMIT, "too many samples"},
        {"not a number", "topk(NaN, m)", ERR_LIMIT, "Parameter value is NaN"},
    };

    FakeSource fake;
    fake_init(&fake);
    EACH_CASE(c, cases) {
        Arena arena = {0};
        QueryResult result;
        Error err = {0};

        CHECK(!ask(&fake, NULL, (QueryRequest){.query = str_from_c(c->query), .start_ms = 600000},
                   &arena, &result, &err));

        CHECK_EQ(err.code, c->code);
        CHECK_HAS(err.text, c->want);
        arena_deinit(&arena);
    }
    arena_deinit(&fake.arena);
}

TEST(engine, columns_that_would_not_fit_are_not_made)
{
    FakeSource fake;
    fake_init(&fake);
    Arena arena = {0};
    QueryResult result;
    Error err = {0};
    QueryRequest request = {
        .query = S("n"), .is_range = true, .start_ms = 0, .end_ms = 20000000, .step_ms = 1};

    CHECK(!ask(&fake, NULL, request, &arena, &result, &err));

    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK_HAS(err.text, "--query.max-memory");
    arena_deinit(&arena);
    arena_deinit(&fake.arena);
}

TEST(engine, ends_when_the_client_leaves)
{
    FakeSource fake;
    fake_init(&fake);
    Arena arena = {0};
    QueryResult result;
    Error err = {0};

    CHECK(!ask(&fake, NULL, (QueryRequest){.query = S("m"), .start_ms = 1, .is_canceled = always},
               &arena, &result, &err));

    CHECK_EQ(err.code, ERR_CANCELED);
    arena_deinit(&arena);
    arena_deinit(&fake.arena);
}

TEST_MAIN(engine, TEST_ROW(engine, instant_queries), TEST_ROW(engine, range_queries),
          TEST_ROW(engine, failures_say_what_a_caller_can_do),
          TEST_ROW(engine, a_chain_of_operators_may_be_as_long_as_the_query),
          TEST_ROW(engine, histograms), TEST_ROW(engine, slices_on_threads_give_what_one_gives),
          TEST_ROW(engine, delayed_names_go_at_the_end),
          TEST_ROW(engine, samples_are_counted_as_looked_at_and_as_read),
          TEST_ROW(engine, what_stands_twice_is_read_once),
          TEST_ROW(engine, delayed_names_of_a_range_hang_on_one_point),
          TEST_ROW(engine, columns_that_would_not_fit_are_not_made),
          TEST_ROW(engine, ends_when_the_client_leaves))
