// SPDX-License-Identifier: Apache-2.0
// /federate: the newest sample of each selected series. Facts: prometheus.md section 3.7.
//
// Native histograms have no place in the text format and are left out there, as upstream does; those with
// custom buckets become classic histograms in every format.
#include "api/api_federate.h"

#include <stdlib.h>

#include "base/number.h"

static int compare_samples(const void *a, const void *b)
{
    const FederateSample *x = a;
    const FederateSample *y = b;
    int order = str_compare(x->name, y->name);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void keep_sample(Federation *f, Labels labels, Str name, const SampleColumns *columns)
{
    size_t last = columns->count - 1;
    const Histogram *histogram = columns->histograms ? columns->histograms[last] : NULL;
    if (histogram ? is_stale_nan(histogram->sum) : is_stale_nan(columns->value[last]))
        return;
    if (histogram && histogram->schema != HISTOGRAM_SCHEMA_CUSTOM && !f->protobuf)
        return;
    Arena *arena = f->call->arena;
    if (f->count == f->cap) {
        size_t cap = MAX(f->cap * 2, 256u);
        f->samples =
            arena_grow(arena, f->samples, f->cap * sizeof *f->samples, cap * sizeof *f->samples);
        f->cap = cap;
    }
    f->samples[f->count] = (FederateSample){
        .labels = labels,
        .name = name,
        .t_ms = columns->t_ms[last],
        .value = histogram ? 0 : columns->value[last],
        .histogram = histogram ? histogram_copy(arena, histogram) : NULL,
        .order = f->count,
    };
    f->count++;
}

static bool gather(Federation *f, Querier *querier, const ApiSelectors *selectors, int64_t start_ms,
                   int64_t end_ms, Error *err)
{
    SeriesList list = {0};
    SelectHints hints = {.start_ms = start_ms, .end_ms = end_ms};
    if (!api_select(querier, selectors, &hints, f->call->arena, &list, err))
        return false;
    Arena scratch = {0};
    bool ok = true;
    for (size_t i = 0; i < list.count && ok; i++) {
        SampleColumns columns = {0};
        Str name = labels_get(list.series[i].labels, LABEL_METRIC_NAME);
        arena_reset(&scratch);
        ok = querier->read(querier, list.series[i].handle, start_ms, end_ms, &scratch, &columns,
                           err);
        if (ok && columns.count > 0 && name.len > 0)
            keep_sample(f, list.series[i].labels, name, &columns);
    }
    arena_deinit(&scratch);
    if (f->count > 1)
        qsort(f->samples, f->count, sizeof *f->samples, compare_samples);
    return ok;
}

// ---- text ----

void federate_add_underscored(Buf *buf, Str name, bool colon_ok)
{
    for (size_t i = 0; i < name.len;) {
        uint32_t rune;
        size_t len = str_rune(str_skip(name, i), &rune);
        char c = name.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                  (c == ':' && colon_ok) || (c >= '0' && c <= '9' && i > 0);
        buf_add_char(buf, ok ? c : '_');
        i += len;
    }
}

static void add_escaped(Buf *buf, Str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"')
            buf_add_char(buf, '\\');
        if (c == '\n')
            buf_add_c(buf, "\\n");
        else
            buf_add_char(buf, c);
    }
}

static void add_quoted(Buf *buf, Str value)
{
    buf_add_char(buf, '"');
    add_escaped(buf, value);
    buf_add_char(buf, '"');
}

static void add_label(const Federation *f, Buf *buf, Str name, Str value, bool *first)
{
    buf_add_char(buf, *first ? '{' : ',');
    *first = false;
    if (label_name_is_legacy(name))
        buf_add_str(buf, name);
    else if (f->utf8)
        add_quoted(buf, name);
    else
        federate_add_underscored(buf, name, false);
    buf_add_char(buf, '=');
    add_quoted(buf, value);
}

// name{labels} in front of a value; `suffix` and `le` for the lines of a classic histogram.
static void add_series(const Federation *f, Buf *buf, const FederateSample *sample,
                       const char *suffix, Str le)
{
    bool first = true;
    bool quoted_name = f->utf8 && !metric_name_is_legacy(sample->name);
    if (quoted_name) {
        buf_add_c(buf, "{\"");
        add_escaped(buf, sample->name);
        buf_add_c(buf, suffix);
        buf_add_char(buf, '"');
        first = false;
    } else {
        federate_add_underscored(buf, sample->name, true);
        buf_add_c(buf, suffix);
    }
    for (size_t i = 0; i < sample->labels.count; i++) {
        const Label *label = &sample->labels.pairs[i];
        if (!str_equal(label->name, LABEL_METRIC_NAME))
            add_label(f, buf, label->name, label->value, &first);
    }
    for (size_t i = 0; i < f->external.count; i++)
        if (labels_get(sample->labels, f->external.pairs[i].name).len == 0)
            add_label(f, buf, f->external.pairs[i].name, f->external.pairs[i].value, &first);
    if (le.len)
        add_label(f, buf, S("le"), le, &first);
    if (!first)
        buf_add_char(buf, '}');
    buf_add_char(buf, ' ');
}

static void add_line(const Federation *f, Buf *buf, const FederateSample *sample,
                     const char *suffix, Str le, double value)
{
    add_series(f, buf, sample, suffix, le);
    buf_add_double_g(buf, value);
    buf_add_char(buf, ' ');
    buf_add_i64(buf, sample->t_ms);
    buf_add_char(buf, '\n');
}

double *federate_custom_counts(const Federation *f, const Histogram *h)
{
    double *counts = ARENA_ARRAY(f->call->arena, double, h->custom_count + 1);
    int64_t index = 0;
    uint32_t bucket = 0;
    memset(counts, 0, (h->custom_count + 1) * sizeof *counts);
    for (uint32_t s = 0; s < h->positive_span_count; s++) {
        index += h->positive_spans[s].offset;
        for (uint32_t i = 0; i < h->positive_spans[s].length; i++, index++, bucket++)
            if (index >= 0 && index <= h->custom_count)
                counts[index] = h->positive_buckets[bucket];
    }
    for (uint32_t i = 1; i < h->custom_count; i++)
        counts[i] += counts[i - 1];
    return counts;
}

static void add_histogram(const Federation *f, Buf *buf, const FederateSample *sample)
{
    const Histogram *h = sample->histogram;
    const double *counts = federate_custom_counts(f, h);
    for (uint32_t i = 0; i < h->custom_count; i++) {
        char le[NUMBER_BYTES_MAX];
        add_line(f, buf, sample, "_bucket", str_make(le, number_format_g(h->custom_bounds[i], le)),
                 counts[i]);
    }
    add_line(f, buf, sample, "_bucket", S("+Inf"), h->count);
    add_line(f, buf, sample, "_sum", STR_NONE, h->sum);
    add_line(f, buf, sample, "_count", STR_NONE, h->count);
}

static void add_type(const Federation *f, Buf *buf, const FederateSample *sample)
{
    buf_add_c(buf, "# TYPE ");
    if (!f->utf8 || metric_name_is_legacy(sample->name))
        federate_add_underscored(buf, sample->name, true);
    else
        add_quoted(buf, sample->name);
    buf_add_c(buf, sample->histogram ? " histogram\n" : " untyped\n");
}

static void write_page(Federation *f)
{
    ApiReply reply;
    api_stream_begin(f->call, &reply);
    reply.content_type = f->utf8
                             ? S("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
                             : S("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    for (size_t i = 0; i < f->count && !reply.json.stopped; i++) {
        const FederateSample *sample = &f->samples[i];
        const FederateSample *before = i ? sample - 1 : NULL;
        if (!before || !str_equal(before->name, sample->name) ||
            !before->histogram != !sample->histogram)
            add_type(f, &reply.buf, sample);
        if (sample->histogram)
            add_histogram(f, &reply.buf, sample);
        else
            add_line(f, &reply.buf, sample, "", STR_NONE, sample->value);
        api_reply_flush(&reply);
    }
    api_stream_end(&reply);
}

// Selectors as they are: unlike the API, federation takes those that match everything.
static bool parse_selectors(ApiCall *call, ApiSelectors *selectors)
{
    const HttpRequest *request = call->request;
    Error err = {0};
    *selectors = (ApiSelectors){
        .sets = ARENA_ARRAY(call->arena, Matcher *, MAX(request->param_count, 1u)),
        .counts = ARENA_ARRAY(call->arena, size_t, MAX(request->param_count, 1u)),
    };
    for (size_t i = 0; i < request->param_count; i++) {
        if (!str_is(request->params[i].name, "match[]"))
            continue;
        if (!promql_parse_selector(request->params[i].value, call->arena,
                                   &selectors->sets[selectors->count],
                                   &selectors->counts[selectors->count], &err)) {
            api_selectors_free(selectors);
            api_text(call, 400, arena_printf(call->arena, "%s\n", err.text));
            return false;
        }
        selectors->count++;
    }
    return true;
}

// The external labels in order; an "instance" that nobody sets is exposed as empty, so that the scraper
// on the other side does not put its own there.
static Labels external_labels(ApiCall *call)
{
    ApiContext *api = call->api;
    Labels given =
        api->external_labels ? api->external_labels(api->owner, call->arena) : LABELS_NONE;
    if (labels_get(given, S("instance")).len)
        return given;
    Label *pairs = ARENA_ARRAY(call->arena, Label, given.count + 1);
    size_t before = 0;
    while (before < given.count && str_compare(given.pairs[before].name, S("instance")) < 0)
        before++;
    for (size_t i = 0; i < given.count; i++)
        pairs[i + (i >= before)] = given.pairs[i];
    pairs[before] = (Label){STR("instance"), STR("")};
    return (Labels){pairs, given.count + 1};
}

void api_federate(ApiCall *call)
{
    Error err = {0};
    ApiSelectors selectors;
    if (!parse_selectors(call, &selectors))
        return;
    Federation f = {
        .call = call,
        .protobuf = federate_wants_protobuf(http_header(call->request, S("Accept"))),
        .external = external_labels(call),
        .utf8 = str_find(http_header(call->request, S("Accept")), S("escaping=allow-utf-8")) !=
                STR_NOT_FOUND,
    };
    int64_t end_ms = clock_now_ms(call->api->clock);
    int64_t start_ms = end_ms - call->api->lookback_ms;
    Source *source = tsdb_source(call->api->tsdb);
    Querier *querier = NULL;
    bool opened = source->open(source, start_ms, end_ms, &querier, &err);
    if (opened && gather(&f, querier, &selectors, start_ms, end_ms, &err))
        f.protobuf ? federate_write_protobuf(&f) : write_page(&f);
    else {
        counter_inc(call->api->state->federation_errors);
        api_text(call, err.code == ERR_UNAVAILABLE || err.code == ERR_LIMIT ? 503 : 500,
                 arena_printf(call->arena, "%s\n", err.text));
    }
    if (opened)
        querier->close(querier);
    api_selectors_free(&selectors);
}
