// SPDX-License-Identifier: Apache-2.0
// The first byte chooses the format, the rest is a body. Every sample that is read, printed as text and read again must be the same; a second
// pass by guesses must see what the first saw.
#include <math.h>

#include "base/number.h"
#include "metric/exposition_nhcb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_escaped(Buf *buf, Str text)
{
    buf_add_char(buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_add_char(buf, '\\');
        buf_add_c(buf, text.ptr[i] == '\n' ? "\\n" : "");
        if (text.ptr[i] != '\n')
            buf_add_char(buf, text.ptr[i]);
    }
    buf_add_char(buf, '"');
}

static void print_sample(Buf *buf, Labels labels, double value)
{
    buf_reset(buf);
    buf_add_char(buf, '{');
    add_escaped(buf, labels_get(labels, LABEL_METRIC_NAME));
    for (size_t i = 0; i < labels.count; i++) {
        if (str_equal(labels.pairs[i].name, LABEL_METRIC_NAME))
            continue;
        buf_add_char(buf, ',');
        add_escaped(buf, labels.pairs[i].name);
        buf_add_char(buf, '=');
        add_escaped(buf, labels.pairs[i].value);
    }
    buf_add_c(buf, "} ");
    buf_add_double_f(buf, value);
    buf_add_char(buf, '\n');
}

// Whatever bounds and spans a stranger thinks of, the arithmetic stays inside its arrays.
static void check_histogram(const Histogram *h, Arena *arena, Buf *buf)
{
    Histogram *result;
    Histogram *errors;
    Error err;

    buf_reset(buf);
    histogram_print(buf, h);
    histogram_print_json(buf, h);
    // A threshold that is no number equals nothing, as in the original.
    if (!histogram_validate(h, &err) || h->zero_threshold != h->zero_threshold)
        return;
    ASSERT(histogram_equal(h, histogram_copy(arena, h)));
    ASSERT(!histogram_detect_reset(h, h));
    const Histogram *coarse = histogram_reduce(arena, h, HISTOGRAM_SCHEMA_MIN);
    ASSERT(histogram_validate(coarse, &err) || h->is_integer);
    ASSERT(histogram_add(arena, h, coarse, &result, NULL));
    ASSERT(histogram_sub(arena, coarse, h, &result, NULL));
    ASSERT(histogram_add_kahan(arena, h, coarse, NULL, &result, &errors, NULL));
    ASSERT(histogram_compact(arena, result, 3)->count == result->count || isnan(result->count));
    histogram_scale(arena, result, -2);
}

static void check_round_trip(Exposition *parser, Arena *arena, Buf *buf)
{
    Labels labels;
    Labels again_labels;
    Exposition again;
    Error err;

    if (!exposition_labels(parser, arena, &labels, &err))
        return;
    for (size_t i = 1; i < labels.count; i++)
        ASSERT(str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) < 0);
    if (parser->kind != EXPOSITION_SAMPLE || labels_get(labels, LABEL_METRIC_NAME).len == 0)
        return;

    print_sample(buf, labels, parser->value);
    if (buf->len > EXPOSITION_LINE_BYTES_MAX)
        return;
    exposition_init(&again, EXPOSITION_TEXT, buf_str(buf), arena);
    ASSERT(exposition_next(&again));
    ASSERT(again.kind == EXPOSITION_SAMPLE);
    ASSERT(double_bits(again.value) == double_bits(parser->value));
    ASSERT(exposition_labels(&again, arena, &again_labels, &err));
    ASSERT(labels_equal(labels, again_labels));
    ASSERT(!exposition_next(&again));
    ASSERT(!again.failed);
}

// A line that begins with blanks or has none behind its series is not for guesses.
static bool can_guess(const Exposition *first, const Exposition *second)
{
    Str series = first->series_text;

    if (first->kind != EXPOSITION_SAMPLE || first->format == EXPOSITION_PROTOBUF ||
        second->at != series.ptr)
        return false;
    char behind = series.ptr[series.len];
    return behind == ' ' || (behind == '\t' && first->format == EXPOSITION_TEXT);
}

static void check_guesses(const Exposition *first, Exposition *second)
{
    Str series = first->series_text;

    if (can_guess(first, second)) {
        Exposition third = *second;
        ASSERT(exposition_next_guess(second, series));
        ASSERT(exposition_next_hash(&third, (uint32_t)series.len, exposition_series_hash(series)));
        ASSERT(third.at == second->at);
    } else if (first->series_hash && first->kind <= EXPOSITION_HISTOGRAM) {
        // A wrong guess has it taken apart, a right one need not.
        if (first->series_hash & 4)
            ASSERT(!exposition_next_hash(second, 0, first->series_hash ^ 2));
        ASSERT(exposition_next_hash(second, 0, exposition_sample_hash(first)));
        second->series_text = series;
    } else {
        ASSERT(exposition_next(second));
    }
    ASSERT(second->kind == first->kind);
    if (first->format != EXPOSITION_PROTOBUF)
        ASSERT(second->at == first->at);
    if (first->kind != EXPOSITION_SAMPLE)
        return;
    ASSERT(str_equal(second->series_text, series));
    ASSERT(double_bits(second->value) == double_bits(first->value));
    ASSERT(second->has_t == first->has_t);
    ASSERT(second->has_exemplar == first->has_exemplar);
}

// With start timestamps and with classic histograms converted: the page is read or refused as without, and what is made is valid.
static void check_converting(ExpositionFormat format, Str body, Arena *arena)
{
    Exposition parser;
    Exposition sample;
    ExpositionNhcb group = {0};
    Error err;
    exposition_init(&parser, format, body, arena);
    parser.wants_start = true;
    exposition_nhcb_init(&group, arena);
    for (bool more = true; more;) {
        more = exposition_next(&parser);
        bool ends = !more || exposition_nhcb_ends(&group, &parser);
        if (ends && exposition_nhcb_finish(&group, &parser, &sample)) {
            bool ok = histogram_validate(sample.histogram, &err);
            ASSERT(ok);
        }
        if (more)
            (void)exposition_nhcb_add(&group, &parser);
    }
    exposition_nhcb_deinit(&group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena arena = {0};
    Buf buf = {0};
    Exposition first;
    Exposition second;
    Exemplar exemplar;
    Error err;

    if (size == 0)
        return 0;
    ExpositionFormat format = (ExpositionFormat)(data[0] % 3);
    Str body = {(const char *)data + 1, size - 1};
    exposition_init(&first, format, body, &arena);
    // The same bytes, so that pointers may be compared.
    exposition_init(&second, format, first.body, &arena);
    first.keep_classic = second.keep_classic = true;
    while (exposition_next(&first)) {
        check_guesses(&first, &second);
        if (first.kind != EXPOSITION_SAMPLE && first.kind != EXPOSITION_HISTOGRAM)
            continue;
        check_round_trip(&first, &arena, &buf);
        if (first.histogram)
            check_histogram(first.histogram, &arena, &buf);
        while (first.has_exemplar && exposition_exemplar(&first, &arena, &exemplar, &err))
            ;
    }
    ASSERT(first.failed || !exposition_next(&second));
    ASSERT(!first.failed || first.err.text[0]);
    check_converting(format, body, &arena);
    buf_deinit(&buf);
    arena_deinit(&arena);
    return 0;
}
