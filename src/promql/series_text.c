// SPDX-License-Identifier: Apache-2.0
// The notation of series in tests: `up{job="a"}` and `1+2x3 _ stale {{schema:0 buckets:[1 2]}}x4`. Facts: prometheus.md section 4.8.
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "promql/promql.h"

#define BUCKETS_MAX 10000 // of one list in a histogram's text

typedef struct Scan {
    Str text;
    size_t at;
    Arena *arena;
    SeriesTextValue *values;
    size_t count;
    size_t cap;
    Error *err;
} Scan;

static bool fail(Scan *scan, const char *what)
{
    return error_set(scan->err, ERR_INVALID, "1:%zu: parse error: %s", scan->at + 1, what);
}

static int peek(const Scan *scan)
{
    return scan->at < scan->text.len ? (unsigned char)scan->text.ptr[scan->at] : -1;
}

static Str rest(const Scan *scan)
{
    return str_skip(scan->text, scan->at);
}

static bool take(Scan *scan, const char *word)
{
    if (!str_starts_with(rest(scan), str_from_c(word)))
        return false;
    scan->at += strlen(word);
    return true;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_spaces(Scan *scan)
{
    while (is_space(peek(scan)))
        scan->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

// Numbers --------------------------------------------------------------------------------------------------------------------------------

static bool scan_word(Scan *scan, double *ret_value)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"infinity", INFINITY}, {"inf", INFINITY}, {"nan", (double)NAN}};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_equal_nocase(str_sub(rest(scan), 0, strlen(words[i].word)),
                             str_from_c(words[i].word))) {
            scan->at += strlen(words[i].word);
            *ret_value = isnan(words[i].value) ? double_from_bits(NAN_NORMAL_BITS) : words[i].value;
            return true;
        }
    return false;
}

static bool scan_decimal(Scan *scan, double *ret_value)
{
    size_t begin = scan->at;
    while (is_digit(peek(scan)) || peek(scan) == '.')
        scan->at++;
    if (scan->at > begin && (peek(scan) | 32) == 'e') {
        size_t before = scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        if (!is_digit(peek(scan)))
            scan->at = before;
        while (is_digit(peek(scan)))
            scan->at++;
    }
    Str number = str_sub(scan->text, begin, scan->at - begin);
    return number_parse_double(number, ret_value) ||
           fail(scan, "unexpected character in series sequence: expected a number");
}

static bool scan_number(Scan *scan, double *ret_value)
{
    double value;
    double sign = peek(scan) == '-' ? -1 : 1;
    if (peek(scan) == '-' || peek(scan) == '+')
        scan->at++;
    // No hexadecimal ones: 0x9 is nothing, ten times.
    if (!scan_word(scan, &value) && !scan_decimal(scan, &value))
        return false;
    *ret_value = sign * value;
    return true;
}

// "x10": how often. *ret_times stays as it is without one.
static bool scan_times(Scan *scan, bool *ret_given, uint64_t *ret_times)
{
    *ret_given = take(scan, "x");
    if (!*ret_given)
        return true;
    size_t begin = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    Str number = str_sub(scan->text, begin, scan->at - begin);
    if (!number_parse_u64(number, ret_times))
        return fail(scan, "invalid repetition in series values");
    if (*ret_times > SERIES_TEXT_VALUES_MAX)
        return fail(scan, "too many values");
    return true;
}

static bool add(Scan *scan, SeriesTextValue value)
{
    if (scan->count >= SERIES_TEXT_VALUES_MAX)
        return fail(scan, "too many values");
    if (scan->count == scan->cap) {
        size_t cap = scan->cap ? scan->cap * 2 : 16;
        scan->values = arena_grow(scan->arena, scan->values, scan->cap * sizeof *scan->values,
                                  cap * sizeof *scan->values);
        scan->cap = cap;
    }
    scan->values[scan->count++] = value;
    return true;
}

// Histograms -----------------------------------------------------------------------------------------------------------------------------

static bool scan_list(Scan *scan, const double **ret_items, uint32_t *ret_count)
{
    double *items = NULL;
    uint32_t count = 0;
    if (!take(scan, "["))
        return fail(scan, "expected a list in brackets");
    for (skip_spaces(scan); !take(scan, "]"); skip_spaces(scan)) {
        double value;
        if (count >= BUCKETS_MAX)
            return fail(scan, "too many buckets");
        if (!scan_number(scan, &value))
            return false;
        if (count % 16 == 0)
            items = arena_grow(scan->arena, items, count * sizeof(double),
                               (count + 16) * sizeof(double));
        items[count++] = value;
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

typedef struct Offsets {
    double positive;
    double negative;
} Offsets;

static bool scan_hint(Scan *scan, Histogram *h)
{
    static const struct {
        const char *word;
        HistogramHint hint;
    } hints[] = {{"unknown", HINT_UNKNOWN},
                 {"reset", HINT_RESET},
                 {"not_reset", HINT_NO_RESET},
                 {"gauge", HINT_GAUGE}};
    for (size_t i = 0; i < COUNT_OF(hints); i++)
        if (take(scan, hints[i].word)) {
            h->hint = hints[i].hint;
            return true;
        }
    return fail(scan, "unknown counter_reset_hint");
}

static bool scan_integer(Scan *scan, double *ret_value)
{
    if (!scan_number(scan, ret_value))
        return false;
    if (*ret_value != trunc(*ret_value) || fabs(*ret_value) > INT32_MAX)
        return fail(scan, "expected an integer");
    return true;
}

static bool scan_entry(Scan *scan, Histogram *h, Offsets *offsets)
{
    double schema = 0;
    if (take(scan, "schema:")) {
        bool ok = scan_integer(scan, &schema);
        h->schema = (int32_t)schema;
        return ok;
    }
    if (take(scan, "sum:"))
        return scan_number(scan, &h->sum);
    if (take(scan, "count:"))
        return scan_number(scan, &h->count);
    if (take(scan, "z_bucket:"))
        return scan_number(scan, &h->zero_count);
    if (take(scan, "z_bucket_w:"))
        return scan_number(scan, &h->zero_threshold);
    if (take(scan, "buckets:"))
        return scan_list(scan, &h->positive_buckets, &h->positive_count);
    if (take(scan, "n_buckets:"))
        return scan_list(scan, &h->negative_buckets, &h->negative_count);
    if (take(scan, "offset:"))
        return scan_integer(scan, &offsets->positive);
    if (take(scan, "n_offset:"))
        return scan_integer(scan, &offsets->negative);
    if (take(scan, "custom_values:"))
        return scan_list(scan, &h->custom_bounds, &h->custom_count);
    if (take(scan, "counter_reset_hint:"))
        return scan_hint(scan, h);
    return fail(scan, "unexpected key in a histogram description");
}

static const HistogramSpan *one_span(Arena *arena, double offset, uint32_t length)
{
    HistogramSpan *span = ARENA_NEW(arena, HistogramSpan);
    *span = (HistogramSpan){(int32_t)offset, length};
    return span;
}

static bool scan_histogram(Scan *scan, const Histogram **ret_histogram)
{
    Histogram *h = ARENA_NEW(scan->arena, Histogram);
    Offsets offsets = {0};
    if (!take(scan, "{{"))
        return fail(scan, "expected a histogram");
    for (skip_spaces(scan); !take(scan, "}}"); skip_spaces(scan)) {
        if (scan->at >= scan->text.len)
            return fail(scan, "unterminated histogram description");
        if (!scan_entry(scan, h, &offsets))
            return false;
    }
    h->positive_spans = one_span(scan->arena, offsets.positive, h->positive_count);
    h->positive_span_count = h->positive_count > 0;
    h->negative_spans = one_span(scan->arena, offsets.negative, h->negative_count);
    h->negative_span_count = h->negative_count > 0;
    *ret_histogram = h;
    return true;
}

static bool add_histograms(Scan *scan)
{
    const Histogram *base;
    const Histogram *step = NULL;
    bool given;
    uint64_t times = 0;
    if (!scan_histogram(scan, &base))
        return false;
    bool minus = peek(scan) == '-';
    if (take(scan, "+") || take(scan, "-"))
        if (!scan_histogram(scan, &step))
            return false;
    if (!scan_times(scan, &given, &times))
        return false;
    if (step && !given)
        return fail(scan, "expected \"x\" and how often");
    if (!add(scan, (SeriesTextValue){.histogram = base}))
        return false;
    for (uint64_t i = 0; i < times; i++) {
        Histogram *next;
        if (step && base->schema > step->schema)
            return fail(scan, "error combining histograms: the step is coarser than the base");
        bool ok = !step || (minus ? histogram_sub(scan->arena, base, step, &next, NULL)
                                  : histogram_add(scan->arena, base, step, &next, NULL));
        if (!ok)
            return fail(scan, "error combining histograms: their buckets are of different kinds");
        base = step ? next : base;
        if (!add(scan, (SeriesTextValue){.histogram = base}))
            return false;
    }
    return true;
}

// Sequences ------------------------------------------------------------------------------------------------------------------------------

static bool add_omitted(Scan *scan)
{
    bool given;
    uint64_t times = 1;
    if (!scan_times(scan, &given, &times))
        return false;
    for (uint64_t i = 0; i < times; i++)
        if (!add(scan, (SeriesTextValue){.omitted = true}))
            return false;
    return true;
}

static bool add_numbers(Scan *scan)
{
    double value;
    double step = 0;
    bool given;
    uint64_t times = 0;
    if (!scan_number(scan, &value))
        return false;
    bool has_step = peek(scan) == '+' || peek(scan) == '-';
    if (has_step && !scan_number(scan, &step))
        return false;
    if (!scan_times(scan, &given, &times))
        return false;
    if (has_step && !given)
        return fail(scan, "expected \"x\" and how often");
    for (uint64_t i = 0; i <= times; i++, value += step)
        if (!add(scan, (SeriesTextValue){.value = value}))
            return false;
    return true;
}

static bool add_item(Scan *scan)
{
    if (take(scan, "_"))
        return add_omitted(scan);
    if (take(scan, "stale"))
        return add(scan, (SeriesTextValue){.value = double_from_bits(NAN_STALE_BITS)});
    return str_starts_with(rest(scan), S("{{")) ? add_histograms(scan) : add_numbers(scan);
}

bool promql_parse_series_values(Str text, Arena *arena, SeriesTextValue **ret_values,
                                size_t *ret_count, Error *err)
{
    Scan scan = {.text = text, .arena = arena, .err = err};
    for (skip_spaces(&scan); scan.at < text.len; skip_spaces(&scan)) {
        if (!add_item(&scan))
            return false;
        if (scan.at < text.len && !is_space(peek(&scan)))
            return fail(&scan, "unexpected character in series sequence");
    }
    *ret_values = scan.values;
    *ret_count = scan.count;
    return true;
}

bool promql_parse_metric(Str text, Arena *arena, Labels *ret_labels, Error *err)
{
    Matcher *matchers = NULL;
    size_t count = 0;
    bool ok = true;
    if (str_trim(text).len && !promql_parse_selector(text, arena, &matchers, &count, err))
        return false;
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < count && ok; i++) {
        ok = matchers[i].kind == MATCH_EQUAL ||
             error_set(err, ERR_INVALID, "label \"" STR_FMT "\": only \"=\" stands in a label set",
                       STR_ARG(str_sub(matchers[i].name, 0, 100)));
        labels_builder_set(&builder, matchers[i].name, matchers[i].value);
    }
    promql_matchers_free(matchers, count);
    if (ok)
        *ret_labels = labels_builder_finish(&builder);
    return ok;
}

// Printing -------------------------------------------------------------------------------------------------------------------------------

static void print_number(Buf *out, const char *key, double value)
{
    if (value == 0)
        return;
    buf_printf(out, "%s%s:", out->ptr[out->len - 1] == '{' ? "" : " ", key);
    buf_add_double_g(out, value);
}

static void print_list(Buf *out, const char *key, const double *items, size_t count)
{
    buf_printf(out, "%s%s:[", out->ptr[out->len - 1] == '{' ? "" : " ", key);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, ' ');
        buf_add_double_g(out, items[i]);
    }
    buf_add_char(out, ']');
}

static void print_buckets(Buf *out, const char *key, const char *offset_key,
                          const HistogramSpan *spans, uint32_t span_count, const double *buckets,
                          uint32_t count)
{
    if (span_count)
        print_number(out, offset_key, spans[0].offset);
    if (count)
        print_list(out, key, buckets, count);
}

void promql_print_series_histogram(Buf *buf, const Histogram *histogram)
{
    static const char *const hints[] = {
        [HINT_RESET] = "reset", [HINT_NO_RESET] = "not_reset", [HINT_GAUGE] = "gauge"};
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    const Histogram *h = histogram_compact(&arena, histogram, INT32_MAX);
    buf_add_c(&out, "{{");
    print_number(&out, "schema", h->schema);
    print_number(&out, "count", h->count);
    print_number(&out, "sum", h->sum);
    print_number(&out, "z_bucket", h->zero_count);
    print_number(&out, "z_bucket_w", h->zero_threshold);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        print_list(&out, "custom_values", h->custom_bounds, h->custom_count);
    if (h->hint != HINT_UNKNOWN)
        buf_printf(&out, "%scounter_reset_hint:%s", out.ptr[out.len - 1] == '{' ? "" : " ",
                   hints[h->hint]);
    print_buckets(&out, "buckets", "offset", h->positive_spans, h->positive_span_count,
                  h->positive_buckets, h->positive_count);
    print_buckets(&out, "n_buckets", "n_offset", h->negative_spans, h->negative_span_count,
                  h->negative_buckets, h->negative_count);
    buf_add_c(&out, "}}");
    buf_add_str(buf, buf_str(&out));
}
