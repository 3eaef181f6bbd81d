// SPDX-License-Identifier: Apache-2.0
// /status/self_metrics: the metrics of the server itself as the JSON form of io.prometheus.client.MetricFamily. Facts: prometheus.md 3.4.
//
// Of that form: 64-bit integers are strings, numbers that JSON lacks are "NaN", "Infinity" and "-Infinity", fields are in camel case.
#include <math.h>

#include "api/api_internal.h"
#include "base/number.h"

typedef struct SelfMetrics {
    JsonWriter *json;
    Regex *pattern; // NULL: all
} SelfMetrics;

static void write_double(JsonWriter *json, const char *key, double value)
{
    json_key(json, str_from_c(key));
    if (isnan(value))
        json_c(json, "NaN");
    else if (isinf(value))
        json_c(json, value > 0 ? "Infinity" : "-Infinity");
    else
        json_double(json, value);
}

static void write_count(JsonWriter *json, const char *key, double value)
{
    Buf text = {0};
    buf_add_u64(&text, (uint64_t)value);
    json_key_str(json, key, buf_str(&text));
    buf_deinit(&text);
}

// The labels but for the last `less` of them: le and quantile stand there.
static void write_labels(JsonWriter *json, const RegistrySample *sample, size_t less)
{
    size_t count = sample->pair_count - less;
    if (count == 0)
        return;
    json_key(json, S("label"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        json_object(json);
        json_key_str(json, "name", sample->pairs[2 * i]);
        json_key_str(json, "value", sample->pairs[2 * i + 1]);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_plain(JsonWriter *json, const RegistryFamily *family, const char *member)
{
    for (size_t i = 0; i < family->count; i++) {
        json_object(json);
        write_labels(json, &family->samples[i], 0);
        json_key(json, str_from_c(member));
        json_object(json);
        write_double(json, "value", family->samples[i].value);
        json_object_end(json);
        json_object_end(json);
    }
}

static bool is_part(const RegistrySample *sample, const char *suffix)
{
    return str_is(sample->suffix, suffix);
}

size_t api_child_length(const RegistryFamily *family, size_t from)
{
    size_t at = from;
    while (at < family->count && !is_part(&family->samples[at], "_sum") &&
           !is_part(&family->samples[at], "_count"))
        at++;
    while (at < family->count &&
           (is_part(&family->samples[at], "_sum") || is_part(&family->samples[at], "_count")))
        at++;
    return at - from;
}

static void write_totals(JsonWriter *json, const RegistrySample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_part(&samples[i], "_count"))
            write_count(json, "sampleCount", samples[i].value);
    for (size_t i = 0; i < count; i++)
        if (is_part(&samples[i], "_sum"))
            write_double(json, "sampleSum", samples[i].value);
}

double api_last_label(const RegistrySample *sample)
{
    double value = NAN;
    (void)number_parse_double(sample->pairs[2 * sample->pair_count - 1], &value); // we wrote it
    return value;
}

static void write_buckets(JsonWriter *json, const RegistrySample *samples, size_t count)
{
    json_key(json, S("bucket"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!is_part(&samples[i], "_bucket") || isinf(api_last_label(&samples[i])))
            continue; // +Inf is the count
        json_object(json);
        write_count(json, "cumulativeCount", samples[i].value);
        write_double(json, "upperBound", api_last_label(&samples[i]));
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_quantiles(JsonWriter *json, const RegistrySample *samples, size_t count)
{
    json_key(json, S("quantile"));
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        if (samples[i].suffix.len)
            continue;
        json_object(json);
        write_double(json, "quantile", api_last_label(&samples[i]));
        write_double(json, "value", samples[i].value);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_children(JsonWriter *json, const RegistryFamily *family)
{
    bool histogram = family->kind == FAMILY_HISTOGRAM;
    for (size_t from = 0, count; from < family->count; from += count) {
        const RegistrySample *samples = &family->samples[from];
        count = api_child_length(family, from);
        bool has_parts = !is_part(&samples[0], "_sum") && !is_part(&samples[0], "_count");
        json_object(json);
        write_labels(json, &samples[0], has_parts);
        json_key(json, histogram ? S("histogram") : S("summary"));
        json_object(json);
        write_totals(json, samples, count);
        if (has_parts && histogram)
            write_buckets(json, samples, count);
        else if (has_parts)
            write_quantiles(json, samples, count);
        json_object_end(json);
        json_object_end(json);
    }
}

static void write_family(void *arg, const RegistryFamily *family)
{
    static const struct {
        const char *type, *member;
    } kinds[] = {
        [FAMILY_COUNTER] = {"COUNTER", "counter"},       [FAMILY_GAUGE] = {"GAUGE", "gauge"},
        [FAMILY_HISTOGRAM] = {"HISTOGRAM", "histogram"}, [FAMILY_SUMMARY] = {"SUMMARY", "summary"},
        [FAMILY_UNTYPED] = {"UNTYPED", "untyped"},
    };
    const SelfMetrics *self = arg;
    JsonWriter *json = self->json;
    if (self->pattern && !regex_match(self->pattern, family->name))
        return;
    json_object(json);
    json_key_str(json, "name", family->name);
    json_key_str(json, "help", family->help);
    json_key_c(json, "type", kinds[family->kind].type);
    json_key(json, S("metric"));
    json_array(json);
    if (family->kind == FAMILY_HISTOGRAM || family->kind == FAMILY_SUMMARY)
        write_children(json, family);
    else
        write_plain(json, family, kinds[family->kind].member);
    json_array_end(json);
    json_object_end(json);
}

void api_status_self_metrics(ApiCall *call)
{
    Str pattern = http_param(call->request, S("metric_name_pattern"));
    SelfMetrics self = {0};
    Error err = {0};
    ApiReply reply;
    if (pattern.len && !regex_new(pattern, &self.pattern, &err)) {
        api_error(call, API_BAD_DATA, "invalid metric_name_pattern: %s", err.text);
        return;
    }
    api_reply_begin(call, &reply);
    self.json = &reply.json;
    json_array(&reply.json);
    registry_see(call->api->registry, write_family, &self);
    json_array_end(&reply.json);
    api_reply_done(&reply);
    regex_free(self.pattern);
}
