// SPDX-License-Identifier: Apache-2.0
// Histograms of OpenTelemetry: prometheus.md section 7.5.
#include <math.h>

#include "base/number.h"
#include "remote/otlp_internal.h"

#define ZERO_THRESHOLD 1e-128 // as the original has it, whatever the point says
#define GAP_MAX 2             // empty buckets that do not begin a new span

static int64_t to_ms(uint64_t nanoseconds)
{
    return (int64_t)(nanoseconds / 1000000);
}

// A list of numbers of 64 bits that grows.
typedef struct NumberList {
    uint64_t *items;
    size_t count, cap;
} NumberList;

static bool push(NumberList *list, uint64_t number, Arena *arena)
{
    if (list->count == OTLP_HISTOGRAM_COUNTS_MAX)
        return false;
    if (list->count == list->cap) {
        size_t cap = MAX(list->cap * 2, 32u);
        list->items = arena_grow(arena, list->items, list->cap * 8, cap * 8);
        list->cap = cap;
    }
    list->items[list->count++] = number;
    return true;
}

// Packed, or one by one.
static bool push_field(NumberList *list, const ProtoReader *r, ProtoWire wire, Arena *arena)
{
    uint64_t number;
    if (r->wire == wire)
        return push(list, r->number, arena);
    if (r->wire != PROTO_BYTES)
        return false;
    Reader packed = reader_from(r->bytes);
    while (proto_packed_next(&packed, wire, &number))
        if (!push(list, number, arena))
            return false;
    return !packed.failed;
}

static bool read_buckets(Str message, Arena *arena, OtlpBuckets *ret_buckets)
{
    NumberList counts = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            ret_buckets->offset = (int32_t)proto_zigzag(&r);
        else if (r.field == 2 && !push_field(&counts, &r, PROTO_VARINT, arena))
            return false;
    }
    ret_buckets->counts = counts.items;
    ret_buckets->count = counts.count;
    return !r.failed;
}

typedef struct PointLists {
    NumberList counts, bounds;
} PointLists;

static bool read_explicit_field(const ProtoReader *r, OtlpHistogramPoint *point, PointLists *lists,
                                Arena *arena)
{
    (void)point;
    if (r->field == 6)
        return push_field(&lists->counts, r, PROTO_FIXED64, arena);
    if (r->field == 7)
        return push_field(&lists->bounds, r, PROTO_FIXED64, arena);
    return true;
}

static bool read_exponential_field(const ProtoReader *r, OtlpHistogramPoint *point, Arena *arena)
{
    if (r->field == 6 && r->wire == PROTO_VARINT)
        point->scale = (int32_t)proto_zigzag(r);
    else if (r->field == 7 && r->wire == PROTO_FIXED64)
        point->zero_count = r->number;
    else if (r->field == 8 && r->wire == PROTO_BYTES)
        return read_buckets(r->bytes, arena, &point->positive);
    else if (r->field == 9 && r->wire == PROTO_BYTES)
        return read_buckets(r->bytes, arena, &point->negative);
    return true;
}

bool otlp_histogram_point_read(Str message, bool exponential, Arena *arena,
                               OtlpHistogramPoint *ret_point)
{
    OtlpHistogramPoint point = {0};
    PointLists lists = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        bool ok = true;
        if (r.field == 2 && r.wire == PROTO_FIXED64) {
            point.start_ms = to_ms(r.number);
        } else if (r.field == 3 && r.wire == PROTO_FIXED64) {
            point.t_ms = to_ms(r.number);
        } else if (r.field == 4 && r.wire == PROTO_FIXED64) {
            point.count = r.number;
        } else if (r.field == 5 && r.wire == PROTO_FIXED64) {
            point.sum = proto_double(&r);
            point.has_sum = true;
        } else if (r.field == 10 && r.wire == PROTO_VARINT) {
            point.has_no_value = r.number & 1;
        } else {
            ok = exponential ? read_exponential_field(&r, &point, arena)
                             : read_explicit_field(&r, &point, &lists, arena);
        }
        if (!ok)
            return false;
    }
    if (!exponential) {
        point.positive.counts = lists.counts.items;
        point.positive.count = lists.counts.count;
        point.bounds = ARENA_ARRAY(arena, double, lists.bounds.count);
        for (size_t i = 0; i < lists.bounds.count; i++)
            point.bounds[i] = double_from_bits(lists.bounds.items[i]);
        point.bound_count = lists.bounds.count;
    }
    *ret_point = point;
    return !r.failed;
}

// Layout -----------------------------------------------------------------------------------------------------------------------------

typedef struct Layout {
    HistogramSpan *spans;
    double *counts;
    uint32_t span_count, count;
    int64_t next; // index behind the last bucket
} Layout;

static void put_bucket(Layout *layout, int64_t index, double count)
{
    if (layout->span_count == 0 || index - layout->next > GAP_MAX) {
        int64_t offset = layout->span_count ? index - layout->next : index;
        layout->spans[layout->span_count++] = (HistogramSpan){(int32_t)offset, 0};
    } else {
        for (; layout->next < index; layout->next++) {
            layout->spans[layout->span_count - 1].length++;
            layout->counts[layout->count++] = 0;
        }
    }
    layout->spans[layout->span_count - 1].length++;
    layout->counts[layout->count++] = count;
    layout->next = index + 1;
}

// Buckets of 2^shift become one. `first` is the index of the first count; empty ones are left out.
static Layout lay_out(const OtlpBuckets *buckets, int shift, int64_t first, Arena *arena)
{
    Layout layout = {.spans = ARENA_ARRAY(arena, HistogramSpan, buckets->count),
                     .counts = ARENA_ARRAY(arena, double, buckets->count *(GAP_MAX + 1))};
    double sum = 0;
    for (size_t i = 0; i < buckets->count; i++) {
        int64_t index = (((int64_t)buckets->offset + (int64_t)i) >> shift) + first;
        int64_t next = (((int64_t)buckets->offset + (int64_t)i + 1) >> shift) + first;
        sum += (double)buckets->counts[i];
        if (next == index && i + 1 < buckets->count)
            continue;
        if (sum > 0)
            put_bucket(&layout, index, sum);
        sum = 0;
    }
    return layout;
}

static Histogram *new_histogram(const OtlpHistogramPoint *point, HistogramHint hint, Arena *arena)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    h->hint = hint;
    h->is_integer = true;
    if (point->has_no_value) {
        h->sum = double_from_bits(NAN_STALE_BITS);
        return h;
    }
    h->count = (double)point->count;
    h->sum = point->has_sum ? point->sum : 0;
    return h;
}

bool otlp_histogram_exponential(const OtlpHistogramPoint *point, HistogramHint hint, Arena *arena,
                                Histogram **ret_histogram, Error *err)
{
    if (point->scale < HISTOGRAM_SCHEMA_MIN)
        return error_set(err, ERR_INVALID,
                         "cannot convert exponential to native histogram. Scale must be >= -4, was "
                         "%d",
                         (int)point->scale);
    int shift = point->scale > HISTOGRAM_SCHEMA_MAX ? point->scale - HISTOGRAM_SCHEMA_MAX : 0;
    Histogram *h = new_histogram(point, hint, arena);
    h->schema = point->scale - shift;
    h->zero_threshold = ZERO_THRESHOLD;
    if (!point->has_no_value) {
        shift = MIN(shift, 40);
        // Index 0 of OTLP is (1, base], which is our 1.
        Layout positive = lay_out(&point->positive, shift, 1, arena);
        Layout negative = lay_out(&point->negative, shift, 1, arena);
        h->zero_count = (double)point->zero_count;
        h->positive_spans = positive.spans;
        h->positive_span_count = positive.span_count;
        h->positive_buckets = positive.counts;
        h->positive_count = positive.count;
        h->negative_spans = negative.spans;
        h->negative_span_count = negative.span_count;
        h->negative_buckets = negative.counts;
        h->negative_count = negative.count;
    }
    *ret_histogram = h;
    return true;
}

Histogram *otlp_histogram_custom(const OtlpHistogramPoint *point, HistogramHint hint, Arena *arena)
{
    Histogram *h = new_histogram(point, hint, arena);
    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    if (!point->has_no_value) {
        Layout layout = lay_out(&point->positive, 0, 0, arena);
        h->positive_spans = layout.spans;
        h->positive_span_count = layout.span_count;
        h->positive_buckets = layout.counts;
        h->positive_count = layout.count;
        h->custom_bounds = point->bounds;
        h->custom_count = (uint32_t)point->bound_count;
        // An infinite bound is the bucket above all others, which needs none.
        if (h->custom_count && isinf(h->custom_bounds[h->custom_count - 1]))
            h->custom_count--;
    }
    return h;
}

// Pouring ----------------------------------------------------------------------------------------------------------------------------

static SinkSample float_sample(const OtlpHistogramPoint *point, double value)
{
    return (SinkSample){.t_ms = point->t_ms,
                        .start_ms = point->start_ms,
                        .value = point->has_no_value ? double_from_bits(NAN_STALE_BITS) : value};
}

static void pour_float(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base,
                       SinkSample sample)
{
    OtlpSeries series = otlp_series(run, metric, origin, base);
    write_run_sample(run->write, series.ref, series.origin, sample);
}

static void pour_classic(OtlpRun *run, OtlpMetric *metric, Str message,
                         const OtlpHistogramPoint *point, RemoteSeriesKey base)
{
    OtlpOrigin origin = {.metric = metric, .point = message, .attribute_field = 9};
    if (point->has_sum) {
        origin.suffix = OTLP_SUM;
        pour_float(run, metric, origin, base, float_sample(point, point->sum));
    }
    origin.suffix = OTLP_COUNT;
    pour_float(run, metric, origin, base, float_sample(point, (double)point->count));
    origin.suffix = OTLP_BUCKET;
    double below = 0;
    for (size_t i = 0; i < point->bound_count && i < point->positive.count; i++) {
        below += (double)point->positive.counts[i];
        if (isinf(point->bounds[i]) && point->bounds[i] > 0)
            break;
        origin.bound = point->bounds[i];
        pour_float(run, metric, origin, base, float_sample(point, below));
    }
    origin.bound = INFINITY;
    pour_float(run, metric, origin, base, float_sample(point, (double)point->count));
}

// An exemplar belongs to the lowest bucket that holds its value, or to the one native series.
static void pour_exemplars(OtlpRun *run, OtlpMetric *metric, Str message, bool exponential,
                           const OtlpHistogramPoint *point, RemoteSeriesKey base)
{
    uint32_t field = exponential ? 11 : 8;
    bool native = exponential || run->rules->config.convert_histograms_to_nhcb;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        Exemplar exemplar;
        if (r.field != field || r.wire != PROTO_BYTES ||
            !otlp_exemplar_read(run, r.bytes, &exemplar))
            continue;
        OtlpOrigin origin = {
            .metric = metric, .point = message, .attribute_field = exponential ? 1 : 9};
        if (!native) {
            origin.suffix = OTLP_BUCKET;
            origin.bound = INFINITY;
            for (size_t i = point->bound_count; i-- > 0;)
                if (exemplar.value <= point->bounds[i])
                    origin.bound = point->bounds[i];
        }
        OtlpSeries series = otlp_series(run, metric, origin, base);
        write_run_exemplar(run->write, series.ref, series.origin, &exemplar);
    }
}

static void pour_native(OtlpRun *run, OtlpMetric *metric, OtlpOrigin origin, RemoteSeriesKey base,
                        const OtlpHistogramPoint *point, const Histogram *histogram)
{
    OtlpSeries series = otlp_series(run, metric, origin, base);
    write_run_sample(
        run->write, series.ref, series.origin,
        (SinkSample){.t_ms = point->t_ms, .start_ms = point->start_ms, .histogram = histogram});
}

static bool pour_point(OtlpRun *run, OtlpMetric *metric, Str message, bool exponential, bool delta)
{
    OtlpHistogramPoint point;
    Histogram *histogram;
    Error err;
    uint32_t field = exponential ? 1 : 9;
    if (!otlp_histogram_point_read(message, exponential, run->arena, &point))
        return otlp_run_fail(run, "malformed histogram");
    RemoteSeriesKey base = otlp_point_key(run, metric, message, field);
    OtlpOrigin origin = {.metric = metric, .point = message, .attribute_field = field};
    HistogramHint hint =
        delta && !run->otlp->options.delta_to_cumulative ? HINT_GAUGE : HINT_UNKNOWN;
    OtlpDeltas *deltas = run->otlp->options.delta_to_cumulative ? run->otlp->deltas : NULL;
    if (delta && deltas &&
        !(exponential ? otlp_deltas_add_exponential(deltas, base, &point, run->arena)
                      : otlp_deltas_add_histogram(deltas, base, &point)))
        return true; // older than what is known
    metric->resource->first_ms = MIN(metric->resource->first_ms, point.t_ms);
    metric->resource->last_ms = MAX(metric->resource->last_ms, point.t_ms);
    if (exponential) {
        if (!otlp_histogram_exponential(&point, hint, run->arena, &histogram, &err))
            return otlp_run_fail(run, "%s", err.text);
        pour_native(run, metric, origin, base, &point, histogram);
    } else if (run->rules->config.convert_histograms_to_nhcb) {
        pour_native(run, metric, origin, base, &point,
                    otlp_histogram_custom(&point, hint, run->arena));
    } else {
        pour_classic(run, metric, message, &point, base);
    }
    pour_exemplars(run, metric, message, exponential, &point, base);
    return true;
}

void otlp_run_histograms(OtlpRun *run, OtlpMetric *metric, Str data, bool exponential)
{
    uint64_t temporality = 0;
    ProtoReader r = proto_reader(data);
    while (proto_next(&r))
        if (r.field == 2 && r.wire == PROTO_VARINT)
            temporality = r.number;
    bool takes_delta = run->otlp->options.native_delta || run->otlp->options.delta_to_cumulative;
    bool delta = temporality == 1;
    if (r.failed || (temporality != 2 && !(delta && takes_delta))) {
        otlp_run_fail(run, "invalid temporality and type combination for metric \"" STR_FMT "\"",
                      STR_ARG(str_sub(metric->name, 0, 200)));
        return;
    }
    metric->type = delta && run->otlp->options.native_delta ? METRIC_UNKNOWN : METRIC_HISTOGRAM;
    r = proto_reader(data);
    while (!run->failed && !run->write->stopped && proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES &&
            !pour_point(run, metric, r.bytes, exponential, delta))
            return;
}
