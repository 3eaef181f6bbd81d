// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_write_request.h"

#include <math.h>

#include "base/map.h"
#include "base/number.h"
#include "codec/protobuf.h"

#define LABELS_MAX 1000

typedef struct Encoder {
    const WriteRequestOptions *options;
    Buf *out;
    Arena *arena;
    Map symbols; // v2: text to its number + 1
    Buf table;   // v2: the symbols, as fields of the message
    uint32_t symbol_count;
    const PageFamily *family;
    uint32_t help; // v2: its symbol
    Error *err;
} Encoder;

// What a series has besides its family's name and its metric's labels.
typedef struct SeriesPart {
    Str suffix; // of the name
    Str label;  // le, quantile; empty: none
    Str value;
} SeriesPart;

static uint32_t symbol_of(Encoder *encoder, Str text)
{
    size_t known = (size_t)(uintptr_t)map_get(&encoder->symbols, text);
    if (known)
        return (uint32_t)(known - 1);
    proto_add_bytes(&encoder->table, 4, text);
    map_put(&encoder->symbols, text, (void *)(uintptr_t)(encoder->symbol_count + 1));
    return encoder->symbol_count++;
}

// UNKNOWN, COUNTER, GAUGE, HISTOGRAM, GAUGEHISTOGRAM, SUMMARY: the same numbers in both messages.
static uint64_t metadata_type(PageType type)
{
    static const uint64_t numbers[] = {
        [PAGE_UNTYPED] = 0, [PAGE_COUNTER] = 1,   [PAGE_GAUGE] = 2,
        [PAGE_SUMMARY] = 5, [PAGE_HISTOGRAM] = 3, [PAGE_GAUGE_HISTOGRAM] = 4,
    };
    return numbers[type];
}

// Labels ------------------------------------------------------------------------------------------------------------------------------

static bool build_labels(Encoder *encoder, const PageMetric *metric, const SeriesPart *part,
                         Labels *ret_labels)
{
    const WriteRequestOptions *options = encoder->options;
    LabelsBuilder builder;
    labels_builder_init(&builder, encoder->arena, LABELS_NONE);
    labels_builder_set(&builder, LABEL_METRIC_NAME,
                       part->suffix.len
                           ? arena_printf(encoder->arena, STR_FMT STR_FMT,
                                          STR_ARG(encoder->family->name), STR_ARG(part->suffix))
                           : encoder->family->name);
    for (size_t i = 0; i < options->label_count; i++)
        labels_builder_set(&builder, options->labels[i].name, options->labels[i].value);
    for (size_t i = 0; i < metric->label_count; i++) {
        Str name = metric->labels[i].name;
        labels_builder_set(&builder, str_is(name, "job") ? S("exported_job") : name,
                           metric->labels[i].value);
    }
    if (part->label.len)
        labels_builder_set(&builder, part->label, part->value);
    *ret_labels = labels_builder_finish(&builder);
    if (ret_labels->count > LABELS_MAX)
        return error_set(encoder->err, ERR_LIMIT,
                         "a series of \"" STR_FMT "\" has more than %d labels",
                         STR_ARG(str_sub(encoder->family->name, 0, 200)), LABELS_MAX);
    return true;
}

// Series ------------------------------------------------------------------------------------------------------------------------------

static void add_sample(Buf *out, double value, int64_t t_ms)
{
    size_t sample = proto_begin(out, 2);
    proto_add_double(out, 1, value);
    proto_add_varint(out, 2, (uint64_t)t_ms);
    proto_end(out, sample);
}

static void add_series_v1(Encoder *encoder, Labels labels, double value, int64_t t_ms)
{
    size_t series = proto_begin(encoder->out, 1);
    for (size_t i = 0; i < labels.count; i++) {
        size_t label = proto_begin(encoder->out, 1);
        proto_add_bytes(encoder->out, 1, labels.pairs[i].name);
        proto_add_bytes(encoder->out, 2, labels.pairs[i].value);
        proto_end(encoder->out, label);
    }
    add_sample(encoder->out, value, t_ms);
    proto_end(encoder->out, series);
}

static void add_series_v2(Encoder *encoder, Labels labels, double value, int64_t t_ms)
{
    size_t series = proto_begin(encoder->out, 5);
    size_t refs = proto_begin(encoder->out, 1);
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_uvarint(encoder->out, symbol_of(encoder, labels.pairs[i].name));
        buf_add_uvarint(encoder->out, symbol_of(encoder, labels.pairs[i].value));
    }
    proto_end(encoder->out, refs);
    add_sample(encoder->out, value, t_ms);
    size_t metadata = proto_begin(encoder->out, 5);
    proto_add_varint(encoder->out, 1, metadata_type(encoder->family->type));
    proto_add_varint(encoder->out, 3, encoder->help);
    proto_end(encoder->out, metadata);
    proto_end(encoder->out, series);
}

static bool add_series(Encoder *encoder, const PageMetric *metric, SeriesPart part, double value)
{
    int64_t t_ms = metric->has_t && metric->t_ms ? metric->t_ms : encoder->options->now_ms;
    Labels labels;
    if (!build_labels(encoder, metric, &part, &labels))
        return false;
    if (encoder->options->message == WRITE_V2)
        add_series_v2(encoder, labels, value, t_ms);
    else
        add_series_v1(encoder, labels, value, t_ms);
    return true;
}

static bool add_parts(Encoder *encoder, const PageMetric *metric)
{
    bool is_summary = encoder->family->type == PAGE_SUMMARY;
    Str suffix = is_summary ? STR_NONE : S("_bucket");
    Str label = is_summary ? S("quantile") : S("le");
    bool has_inf = is_summary;
    for (size_t i = 0; i < metric->part_count; i++) {
        char text[NUMBER_BYTES_MAX];
        Str bound = {text, number_format_g(metric->parts[i].bound, text)};
        has_inf |= isinf(metric->parts[i].bound) && metric->parts[i].bound > 0;
        if (!add_series(encoder, metric,
                        (SeriesPart){suffix, label, arena_str(encoder->arena, bound)},
                        metric->parts[i].value))
            return false;
    }
    return (has_inf ||
            add_series(encoder, metric, (SeriesPart){suffix, label, S("+Inf")}, metric->count)) &&
           add_series(encoder, metric, (SeriesPart){.suffix = S("_sum")}, metric->sum) &&
           add_series(encoder, metric, (SeriesPart){.suffix = S("_count")}, metric->count);
}

static bool add_family(Encoder *encoder)
{
    const PageFamily *family = encoder->family;
    bool has_parts = family->type == PAGE_SUMMARY || family->type == PAGE_HISTOGRAM ||
                     family->type == PAGE_GAUGE_HISTOGRAM;
    for (size_t i = 0; i < family->metric_count; i++) {
        const PageMetric *metric = &family->metrics[i];
        if (!(has_parts ? add_parts(encoder, metric)
                        : add_series(encoder, metric, (SeriesPart){0}, metric->value)))
            return false;
    }
    return true;
}

static void add_metadata_v1(Encoder *encoder)
{
    size_t metadata = proto_begin(encoder->out, 3);
    proto_add_varint(encoder->out, 1, metadata_type(encoder->family->type));
    proto_add_bytes(encoder->out, 2, encoder->family->name);
    proto_add_bytes(encoder->out, 4, encoder->family->help);
    proto_end(encoder->out, metadata);
}

bool write_request_encode(const Page *page, const WriteRequestOptions *options, Buf *out,
                          Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Encoder encoder = {.options = options, .out = out, .arena = &arena, .err = err};
    bool is_v2 = options->message == WRITE_V2;
    bool ok = true;
    if (is_v2)
        (void)symbol_of(&encoder, STR_NONE); // number 0 is the empty text
    for (size_t i = 0; i < page->count && ok; i++) {
        encoder.family = page->items[i];
        encoder.help = is_v2 ? symbol_of(&encoder, encoder.family->help) : 0;
        ok = add_family(&encoder);
    }
    for (size_t i = 0; i < page->count && ok && !is_v2; i++) {
        encoder.family = page->items[i];
        add_metadata_v1(&encoder);
    }
    buf_add_str(out, buf_str(&encoder.table));
    buf_deinit(&encoder.table);
    map_deinit(&encoder.symbols);
    return ok;
}
