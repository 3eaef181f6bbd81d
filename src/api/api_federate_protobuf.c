// SPDX-License-Identifier: Apache-2.0
// Federation in protobuf: the only format with native histograms. Facts: prometheus.md sections 3.7 and 5.4.
#include "api/api_federate.h"
#include "base/number.h"
#include "codec/protobuf.h"

enum {
    TYPE_UNTYPED_FAMILY = 3,
    TYPE_HISTOGRAM_FAMILY = 4,
    TYPE_GAUGE_HISTOGRAM_FAMILY = 5,
    FAMILY_BYTES_MAX = 256 * 1024, // a longer family goes on in a second one of the same name
};

// ---- what the client takes ----

// The value of `name` among "; a=b" parameters.
static Str parameter(Str rest, const char *name)
{
    Str one;
    while (str_split_next(&rest, ';', &one)) {
        one = str_trim(one);
        size_t equals = str_find_char(one, '=');
        if (equals != STR_NOT_FOUND && str_is(str_sub(one, 0, equals), name))
            return str_skip(one, equals + 1);
    }
    return STR_NONE;
}

static double weight_of(Str range)
{
    double weight;
    return number_parse_double(parameter(range, "q"), &weight) ? weight : 1;
}

bool federate_wants_protobuf(Str accept)
{
    double protobuf = 0;
    double text = 0;
    Str range;
    while (str_split_next(&accept, ',', &range)) {
        Str rest = range;
        Str type;
        (void)str_split_next(&rest, ';', &type);
        type = str_trim(type);
        if (str_is(type, "application/vnd.google.protobuf") &&
            str_is(parameter(rest, "proto"), "io.prometheus.client.MetricFamily") &&
            str_is(parameter(rest, "encoding"), "delimited"))
            protobuf = MAX(protobuf, weight_of(rest));
        else if (str_is(type, "text/plain"))
            text = MAX(text, weight_of(rest));
    }
    return protobuf > 0 && protobuf >= text;
}

// ---- messages ----

#define CONTENT_TYPE                                                                               \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "                   \
    "encoding=delimited; escaping="

// A name as the client takes it.
static void add_name(const Federation *f, Buf *buf, Str name, bool is_metric)
{
    size_t begin = proto_begin(buf, 1);
    if (f->utf8 || (is_metric ? metric_name_is_legacy(name) : label_name_is_legacy(name)))
        buf_add_str(buf, name);
    else
        federate_add_underscored(buf, name, is_metric);
    proto_end(buf, begin);
}

static void add_label(const Federation *f, Buf *buf, Str name, Str value)
{
    size_t begin = proto_begin(buf, 1);
    add_name(f, buf, name, false);
    proto_add_bytes(buf, 2, value);
    proto_end(buf, begin);
}

static void add_labels(const Federation *f, Buf *buf, const FederateSample *sample)
{
    for (size_t i = 0; i < sample->labels.count; i++)
        if (!str_equal(sample->labels.pairs[i].name, LABEL_METRIC_NAME))
            add_label(f, buf, sample->labels.pairs[i].name, sample->labels.pairs[i].value);
    for (size_t i = 0; i < f->external.count; i++)
        if (labels_get(sample->labels, f->external.pairs[i].name).len == 0)
            add_label(f, buf, f->external.pairs[i].name, f->external.pairs[i].value);
}

static void add_spans(Buf *buf, uint32_t field, const HistogramSpan *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t begin = proto_begin(buf, field);
        proto_add_zigzag(buf, 1, spans[i].offset);
        proto_add_varint(buf, 2, spans[i].length);
        proto_end(buf, begin);
    }
}

static void add_counts(Buf *buf, uint32_t field, const double *counts, size_t count)
{
    for (size_t i = 0; i < count; i++) // proto2: not packed
        proto_add_double(buf, field, counts[i]);
}

static void add_classic(const Federation *f, Buf *buf, const Histogram *h)
{
    const double *counts = federate_custom_counts(f, h);
    proto_add_double(buf, 2, h->sum);
    for (uint32_t i = 0; i < h->custom_count; i++) {
        size_t begin = proto_begin(buf, 3);
        proto_add_double(buf, 2, h->custom_bounds[i]);
        proto_add_double(buf, 4, counts[i]);
        proto_end(buf, begin);
    }
    proto_add_double(buf, 4, h->count);
}

static void add_native(Buf *buf, const Histogram *h)
{
    proto_add_double(buf, 2, h->sum);
    proto_add_double(buf, 4, h->count);
    proto_add_zigzag(buf, 5, h->schema);
    proto_add_double(buf, 6, h->zero_threshold);
    proto_add_double(buf, 8, h->zero_count);
    add_spans(buf, 9, h->negative_spans, h->negative_span_count);
    add_counts(buf, 11, h->negative_buckets, h->negative_count);
    add_spans(buf, 12, h->positive_spans, h->positive_span_count);
    add_counts(buf, 14, h->positive_buckets, h->positive_count);
}

static void add_metric(const Federation *f, Buf *buf, const FederateSample *sample)
{
    size_t metric = proto_begin(buf, 4);
    add_labels(f, buf, sample);
    const Histogram *h = sample->histogram;
    size_t value = proto_begin(buf, h ? 7 : 5);
    if (!h)
        proto_add_double(buf, 1, sample->value);
    else if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        add_classic(f, buf, h);
    else
        add_native(buf, h);
    proto_end(buf, value);
    proto_add_varint(buf, 6, (uint64_t)sample->t_ms);
    proto_end(buf, metric);
}

// ---- families ----

static unsigned family_type(const FederateSample *sample)
{
    if (!sample->histogram)
        return TYPE_UNTYPED_FAMILY;
    return sample->histogram->hint == HINT_GAUGE ? TYPE_GAUGE_HISTOGRAM_FAMILY
                                                 : TYPE_HISTOGRAM_FAMILY;
}

static void send_family(ApiReply *reply, Buf *family)
{
    if (family->len == 0)
        return;
    buf_add_uvarint(&reply->buf, family->len);
    buf_add_str(&reply->buf, buf_str(family));
    buf_reset(family);
    api_reply_flush(reply);
}

void federate_write_protobuf(Federation *f)
{
    ApiReply reply;
    Buf family = {0};
    api_stream_begin(f->call, &reply);
    reply.content_type = f->utf8 ? S(CONTENT_TYPE "allow-utf-8") : S(CONTENT_TYPE "underscores");
    for (size_t i = 0; i < f->count && !reply.json.stopped; i++) {
        const FederateSample *sample = &f->samples[i];
        bool goes_on = i > 0 && str_equal(sample[-1].name, sample->name) &&
                       family_type(sample - 1) == family_type(sample);
        if (!goes_on || family.len > FAMILY_BYTES_MAX)
            send_family(&reply, &family);
        if (family.len == 0) {
            add_name(f, &family, sample->name, true);
            proto_add_varint(&family, 3, family_type(sample));
        }
        add_metric(f, &family, sample);
    }
    send_family(&reply, &family);
    buf_deinit(&family);
    api_stream_end(&reply);
}
