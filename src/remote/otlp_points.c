// SPDX-License-Identifier: Apache-2.0
// From metrics to samples, all but histograms. Facts: prometheus.md section 7.5.
#include <stdarg.h>

#include "base/number.h"
#include "remote/otlp_internal.h"

enum { EXEMPLAR_RUNES_MAX = 128 };

bool otlp_run_fail(OtlpRun *run, const char *fmt, ...)
{
    Buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    run->failed = true;
    error_set(&run->err, ERR_INVALID, STR_FMT, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return false;
}

// Series -----------------------------------------------------------------------------------------------------------------------------

RemoteSeriesKey otlp_point_key(OtlpRun *run, const OtlpMetric *metric, Str point, uint32_t field)
{
    ProtoReader r = proto_reader(point);
    buf_reset(&run->key);
    buf_add(&run->key, &metric->prefix, sizeof metric->prefix);
    while (proto_next(&r)) {
        if (r.field != field || r.wire != PROTO_BYTES)
            continue;
        buf_add(&run->key, &r.bytes.len, sizeof r.bytes.len);
        buf_add_str(&run->key, r.bytes);
    }
    return remote_series_key(run->otlp->write->cache, buf_str(&run->key));
}

static void tell_metadata(OtlpRun *run, const OtlpMetric *metric, SeriesRef ref)
{
    Appender *appender = run->write->appender;
    Str unit = otlp_unit_name(metric->unit, true, run->arena);
    appender->metadata(appender, ref, (Metadata){metric->type, metric->description, unit});
}

OtlpSeries otlp_series(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base)
{
    struct {
        RemoteSeriesKey base;
        uint64_t suffix;
        uint64_t bound;
    } text = {base, origin.suffix, double_bits(origin.bound)};
    OtlpOrigin *kept = ARENA_NEW(run->arena, OtlpOrigin);
    bool created;
    *kept = origin;
    OtlpSeries series = {.origin = {remote_series_key(run->otlp->write->cache,
                                                      (Str){(const char *)&text, sizeof text}),
                                    {(const char *)kept, sizeof *kept}}};
    series.ref = write_run_series(run->write, series.origin, &created);
    if (series.ref && created)
        tell_metadata(run, metric, series.ref);
    // Labels that no store takes: the original does not get past the translation of such a name.
    if (!series.ref && !run->write->stopped)
        otlp_run_fail(run,
                      "metric \"" STR_FMT "\": its name, or that of a label, is empty or not UTF-8",
                      STR_ARG(str_sub(metric->name, 0, 200)));
    return series;
}

// Exemplars --------------------------------------------------------------------------------------------------------------------------

static size_t runes_of(Str s)
{
    size_t count = 0;
    uint32_t rune;
    for (size_t i = 0; i < s.len; i += MAX(str_rune(str_skip(s, i), &rune), (size_t)1))
        count++;
    return count;
}

static Str hex_text(Str bytes, Arena *arena)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(arena, bytes.len * 2 + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        out[2 * i] = digits[(uint8_t)bytes.ptr[i] >> 4];
        out[2 * i + 1] = digits[(uint8_t)bytes.ptr[i] & 15];
    }
    return (Str){out, bytes.len * 2};
}

static bool is_zero(Str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i])
            return false;
    return true;
}

typedef struct ExemplarLabels {
    Label pairs[64];
    size_t count, runes;
} ExemplarLabels;

static void add_exemplar_label(ExemplarLabels *labels, Str name, Str value)
{
    if (labels->count == COUNT_OF(labels->pairs))
        return;
    labels->pairs[labels->count++] = (Label){name, value};
    labels->runes += runes_of(name) + runes_of(value);
}

// The attributes only if all of them fit. Their names stay as they are, whatever becomes of those of labels.
static void add_filtered(OtlpRun *run, Str message, ExemplarLabels *labels)
{
    ExemplarLabels with = *labels;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field != 7 || r.wire != PROTO_BYTES)
            continue;
        Str key = STR_NONE;
        Str value = STR_NONE;
        ProtoReader pair = proto_reader(r.bytes);
        while (proto_next(&pair)) {
            if (pair.field == 1 && pair.wire == PROTO_BYTES)
                key = pair.bytes;
            else if (pair.field == 2 && pair.wire == PROTO_BYTES)
                value = otlp_any_value_text(pair.bytes, run->arena);
        }
        add_exemplar_label(&with, key, value);
    }
    if (with.runes <= EXEMPLAR_RUNES_MAX)
        *labels = with;
}

bool otlp_exemplar_read(OtlpRun *run, Str message, Exemplar *ret_exemplar)
{
    Exemplar exemplar = {.has_t = true};
    ExemplarLabels labels = {.count = 0};
    Error err;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 2 && r.wire == PROTO_FIXED64)
            exemplar.t_ms = (int64_t)(r.number / 1000000);
        else if (r.field == 3 && r.wire == PROTO_FIXED64)
            exemplar.value = proto_double(&r);
        else if (r.field == 6 && r.wire == PROTO_FIXED64)
            exemplar.value = (double)(int64_t)r.number;
        else if (r.field == 5 && r.wire == PROTO_BYTES && !is_zero(r.bytes))
            add_exemplar_label(&labels, S("trace_id"), hex_text(r.bytes, run->arena));
        else if (r.field == 4 && r.wire == PROTO_BYTES && !is_zero(r.bytes))
            add_exemplar_label(&labels, S("span_id"), hex_text(r.bytes, run->arena));
    }
    if (r.failed)
        return false;
    add_filtered(run, message, &labels);
    if (!labels_sort(labels.pairs, &labels.count, &err))
        return false;
    exemplar.labels = labels_copy(run->arena, (Labels){labels.pairs, labels.count});
    *ret_exemplar = exemplar;
    return true;
}

// Numbers ----------------------------------------------------------------------------------------------------------------------------

static void note_time(OtlpMetric *metric, int64_t t_ms)
{
    metric->resource->first_ms = MIN(metric->resource->first_ms, t_ms);
    metric->resource->last_ms = MAX(metric->resource->last_ms, t_ms);
}

static bool read_number(Str message, SinkSample *ret_sample, bool *ret_has_exemplars)
{
    SinkSample sample = {0};
    bool has_exemplars = false;
    bool has_no_value = false;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 2 && r.wire == PROTO_FIXED64)
            sample.start_ms = (int64_t)(r.number / 1000000);
        else if (r.field == 3 && r.wire == PROTO_FIXED64)
            sample.t_ms = (int64_t)(r.number / 1000000);
        else if (r.field == 4 && r.wire == PROTO_FIXED64)
            sample.value = proto_double(&r);
        else if (r.field == 6 && r.wire == PROTO_FIXED64)
            sample.value = (double)(int64_t)r.number;
        else if (r.field == 8 && r.wire == PROTO_VARINT)
            has_no_value = r.number & 1;
        else if (r.field == 5)
            has_exemplars = true;
    }
    if (has_no_value)
        sample.value = double_from_bits(NAN_STALE_BITS);
    *ret_sample = sample;
    *ret_has_exemplars = has_exemplars;
    return !r.failed;
}

static void pour_exemplars(OtlpRun *run, Str message, OtlpSeries series)
{
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        Exemplar exemplar;
        if (r.field == 5 && r.wire == PROTO_BYTES && otlp_exemplar_read(run, r.bytes, &exemplar))
            write_run_exemplar(run->write, series.ref, series.origin, &exemplar);
    }
}

static bool pour_number(OtlpRun *run, OtlpMetric *metric, Str message, bool accumulates)
{
    SinkSample sample;
    bool has_exemplars;
    if (!read_number(message, &sample, &has_exemplars))
        return otlp_run_fail(run, "malformed data point");
    RemoteSeriesKey base = otlp_point_key(run, metric, message, 7);
    bool is_value = !is_stale_nan(sample.value);
    if (accumulates && is_value &&
        !otlp_deltas_add_number(run->otlp->deltas, base, sample.t_ms, sample.value, &sample.value,
                                &sample.start_ms, sample.start_ms))
        return true; // older than what is known
    OtlpSeries series = otlp_series(
        run, metric, (OtlpOrigin){.metric = metric, .point = message, .attribute_field = 7}, base);
    write_run_sample(run->write, series.ref, series.origin, sample);
    if (has_exemplars)
        pour_exemplars(run, message, series);
    note_time(metric, sample.t_ms);
    return true;
}

static void run_numbers(OtlpRun *run, OtlpMetric *metric, Str data, bool accumulates)
{
    ProtoReader r = proto_reader(data);
    while (!run->failed && !run->write->stopped && proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES &&
            !pour_number(run, metric, r.bytes, accumulates))
            return;
    if (r.failed)
        otlp_run_fail(run, "malformed metric");
}

static void run_sum(OtlpRun *run, OtlpMetric *metric, Str data)
{
    const OtlpOptions *options = &run->otlp->options;
    uint64_t temporality = 0;
    bool monotonic = false;
    ProtoReader r = proto_reader(data);
    while (proto_next(&r)) {
        if (r.field == 2 && r.wire == PROTO_VARINT)
            temporality = r.number;
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            monotonic = r.number != 0;
    }
    bool delta = temporality == 1;
    if (r.failed ||
        (temporality != 2 && !(delta && (options->native_delta || options->delta_to_cumulative)))) {
        otlp_run_fail(run, "invalid temporality and type combination for metric \"" STR_FMT "\"",
                      STR_ARG(str_sub(metric->name, 0, 200)));
        return;
    }
    bool accumulates = delta && options->delta_to_cumulative;
    metric->name_kind = monotonic ? OTLP_NAME_COUNTER : OTLP_NAME_PLAIN;
    metric->type = delta && !accumulates ? METRIC_UNKNOWN
                   : monotonic           ? METRIC_COUNTER
                                         : METRIC_GAUGE;
    run_numbers(run, metric, data, accumulates);
}

// Summaries --------------------------------------------------------------------------------------------------------------------------

static void pour_part(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base,
                      SinkSample sample, double value)
{
    OtlpSeries series = otlp_series(run, metric, origin, base);
    sample.value = value;
    write_run_sample(run->write, series.ref, series.origin, sample);
}

static void pour_quantile(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base,
                          SinkSample sample, Str message)
{
    double value = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            origin.bound = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_FIXED64)
            value = proto_double(&r);
    }
    if (is_stale_nan(sample.value))
        value = sample.value;
    pour_part(run, metric, origin, base, sample, value);
}

static bool pour_summary(OtlpRun *run, OtlpMetric *metric, Str message)
{
    SinkSample sample = {0};
    uint64_t count = 0;
    double sum = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 2 && r.wire == PROTO_FIXED64)
            sample.start_ms = (int64_t)(r.number / 1000000);
        else if (r.field == 3 && r.wire == PROTO_FIXED64)
            sample.t_ms = (int64_t)(r.number / 1000000);
        else if (r.field == 4 && r.wire == PROTO_FIXED64)
            count = r.number;
        else if (r.field == 5 && r.wire == PROTO_FIXED64)
            sum = proto_double(&r);
        else if (r.field == 8 && r.wire == PROTO_VARINT && r.number & 1)
            sample.value = double_from_bits(NAN_STALE_BITS);
    }
    if (r.failed)
        return otlp_run_fail(run, "malformed summary");
    bool stale = is_stale_nan(sample.value);
    RemoteSeriesKey base = otlp_point_key(run, metric, message, 7);
    OtlpOrigin origin = {.metric = metric, .point = message, .attribute_field = 7};
    origin.suffix = OTLP_SUM;
    pour_part(run, metric, origin, base, sample, stale ? sample.value : sum);
    origin.suffix = OTLP_COUNT;
    pour_part(run, metric, origin, base, sample, stale ? sample.value : (double)count);
    origin.suffix = OTLP_QUANTILE;
    r = proto_reader(message);
    while (proto_next(&r))
        if (r.field == 6 && r.wire == PROTO_BYTES)
            pour_quantile(run, metric, origin, base, sample, r.bytes);
    note_time(metric, sample.t_ms);
    return true;
}

static void run_summaries(OtlpRun *run, OtlpMetric *metric, Str data)
{
    ProtoReader r = proto_reader(data);
    metric->type = METRIC_SUMMARY;
    while (!run->failed && !run->write->stopped && proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES && !pour_summary(run, metric, r.bytes))
            return;
    if (r.failed)
        otlp_run_fail(run, "malformed metric");
}

// Metrics ----------------------------------------------------------------------------------------------------------------------------

void otlp_run_metric(OtlpRun *run, OtlpMetric *metric, Str message)
{
    ProtoReader r = proto_reader(message);
    while (!run->failed && proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        switch (r.field) {
        case 5:
            metric->type = METRIC_GAUGE;
            metric->name_kind = OTLP_NAME_GAUGE;
            run_numbers(run, metric, r.bytes, false);
            break;
        case 7:
            run_sum(run, metric, r.bytes);
            break;
        case 9:
            otlp_run_histograms(run, metric, r.bytes, false);
            break;
        case 10:
            otlp_run_histograms(run, metric, r.bytes, true);
            break;
        case 11:
            run_summaries(run, metric, r.bytes);
            break;
        default:
            break;
        }
    }
    if (r.failed)
        otlp_run_fail(run, "malformed metric");
}
