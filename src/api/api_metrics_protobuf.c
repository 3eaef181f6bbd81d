// SPDX-License-Identifier: Apache-2.0
// /metrics as length-delimited messages of io.prometheus.client.MetricFamily. Facts: prometheus.md sections 3.5 and 5.4.
#include <math.h>

#include "api/api_federate.h"
#include "api/api_internal.h"
#include "codec/protobuf.h"

typedef struct Kind {
    uint64_t type;
    uint32_t field; // of its value in a Metric
} Kind;

static const Kind kinds[] = {
    [FAMILY_COUNTER] = {0, 3},   [FAMILY_GAUGE] = {1, 2},   [FAMILY_SUMMARY] = {2, 4},
    [FAMILY_HISTOGRAM] = {4, 7}, [FAMILY_UNTYPED] = {3, 5},
};

// The labels but for the last `less` of them: le and quantile stand there.
static void add_labels(Buf *buf, const RegistrySample *sample, size_t less)
{
    for (size_t i = 0; i < sample->pair_count - less; i++) {
        size_t begin = proto_begin(buf, 1);
        proto_add_bytes(buf, 1, sample->pairs[2 * i]);
        proto_add_bytes(buf, 2, sample->pairs[2 * i + 1]);
        proto_end(buf, begin);
    }
}

static void add_plain(Buf *buf, const RegistryFamily *family)
{
    for (size_t i = 0; i < family->count; i++) {
        size_t metric = proto_begin(buf, 4);
        add_labels(buf, &family->samples[i], 0);
        size_t value = proto_begin(buf, kinds[family->kind].field);
        proto_add_double(buf, 1, family->samples[i].value);
        proto_end(buf, value);
        proto_end(buf, metric);
    }
}

// Of a bucket the count comes first, of a quantile its rank; +Inf is the count of all.
static void add_part(Buf *buf, const RegistrySample *sample, bool is_bucket)
{
    double last = api_last_label(sample);

    if (is_bucket && isinf(last))
        return;
    size_t part = proto_begin(buf, 3);
    if (is_bucket) {
        proto_add_varint(buf, 1, (uint64_t)sample->value);
        proto_add_double(buf, 2, last);
    } else {
        proto_add_double(buf, 1, last);
        proto_add_double(buf, 2, sample->value);
    }
    proto_end(buf, part);
}

static void add_child(Buf *buf, const RegistryFamily *family, size_t from, size_t count)
{
    const RegistrySample *samples = &family->samples[from];
    bool has_parts = !str_is(samples[0].suffix, "_sum") && !str_is(samples[0].suffix, "_count");
    size_t metric = proto_begin(buf, 4);

    add_labels(buf, &samples[0], has_parts);
    size_t value = proto_begin(buf, kinds[family->kind].field);
    for (size_t i = 0; i < count; i++)
        if (str_is(samples[i].suffix, "_count"))
            proto_add_varint(buf, 1, (uint64_t)samples[i].value);
        else if (str_is(samples[i].suffix, "_sum"))
            proto_add_double(buf, 2, samples[i].value);
        else
            add_part(buf, &samples[i], family->kind == FAMILY_HISTOGRAM);
    proto_end(buf, value);
    proto_end(buf, metric);
}

static void add_family(void *arg, const RegistryFamily *family)
{
    Buf *out = arg;
    CLEANUP(buf_deinit) Buf buf = {0};

    if (family->count == 0)
        return;
    proto_add_bytes(&buf, 1, family->name);
    proto_add_bytes(&buf, 2, family->help);
    proto_add_varint(&buf, 3, kinds[family->kind].type);
    if (family->kind != FAMILY_HISTOGRAM && family->kind != FAMILY_SUMMARY)
        add_plain(&buf, family);
    else
        for (size_t from = 0, count; from < family->count; from += count) {
            count = api_child_length(family, from);
            add_child(&buf, family, from, count);
        }
    buf_add_uvarint(out, buf.len);
    buf_add_str(out, buf_str(&buf));
}

bool api_metrics_protobuf(ApiCall *call, Buf *out)
{
    if (!federate_wants_protobuf(http_header(call->request, S("Accept"))))
        return false;
    registry_see(call->api->registry, add_family, out);
    return true;
}
