// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_sink.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"

typedef struct Sample {
    NodeLabels labels;
    double value;
} Sample;

struct NodeFamily {
    char *header; // the HELP and TYPE lines
    size_t header_bytes;
    const char *name; // within the header
    size_t name_bytes;
    Sample *samples;
    size_t count;
    size_t room;
};

struct NodeSink {
    NodeFamily **families; // by name
    size_t count;
    size_t room;
    Buf labels;     // of this scrape
    Sample *sorted; // scratch of the merge sort
    size_t sorted_room;
};

NodeSink *node_sink_new(void)
{
    return X_NEW(NodeSink);
}

void node_sink_free(NodeSink *sink)
{
    if (!sink)
        return;
    for (size_t i = 0; i < sink->count; i++) {
        free(sink->families[i]->header);
        free(sink->families[i]->samples);
        free(sink->families[i]);
    }
    free(sink->families);
    free(sink->sorted);
    buf_deinit(&sink->labels);
    free(sink);
}

// Index of the first family whose name is not before `name`.
static size_t lower_bound(const NodeSink *sink, Str name)
{
    size_t low = 0;
    size_t high = sink->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const NodeFamily *family = sink->families[middle];
        if (str_compare(str_make(family->name, family->name_bytes), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_help(Buf *out, Str help)
{
    for (size_t i = 0; i < help.len; i++) {
        char c = help.ptr[i];
        if (c == '\\' || c == '\n')
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

static NodeFamily *family_new(Str name, NodeType type, Str help)
{
    static const char *const types[] = {"counter", "gauge", "untyped"};
    Buf header = {0};
    buf_add_c(&header, "# HELP ");
    buf_add_str(&header, name);
    buf_add_char(&header, ' ');
    add_help(&header, help);
    buf_add_c(&header, "\n# TYPE ");
    size_t name_at = header.len;
    buf_add_str(&header, name);
    buf_add_char(&header, ' ');
    buf_add_c(&header, types[type]);
    buf_add_char(&header, '\n');

    NodeFamily *family = X_NEW(NodeFamily);
    family->header_bytes = header.len;
    family->header = x_malloc(header.len);
    memcpy(family->header, header.ptr, header.len);
    family->name = family->header + name_at;
    family->name_bytes = name.len;
    buf_deinit(&header);
    return family;
}

NodeFamily *node_sink_family(NodeSink *sink, Str name, NodeType type, Str help)
{
    size_t at = lower_bound(sink, name);
    if (at < sink->count &&
        str_equal(str_make(sink->families[at]->name, sink->families[at]->name_bytes), name))
        return sink->families[at];
    if (sink->count == sink->room) {
        sink->room = MAX((size_t)128, sink->room * 2);
        sink->families = x_realloc(sink->families, sink->room * sizeof(NodeFamily *));
    }
    memmove(sink->families + at + 1, sink->families + at,
            (sink->count - at) * sizeof(NodeFamily *));
    sink->count++;
    return sink->families[at] = family_new(name, type, help);
}

// True if the bytes stand as they are between quotes: printable ASCII without quote and backslash.
static bool is_plain(Str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            return false;
    }
    return true;
}

// Escapes, and puts U+FFFD in place of each run of bytes that are not UTF-8, as Go's strings.ToValidUTF8.
static void add_escaped(Buf *out, Str value)
{
    bool in_bad_run = false;
    while (value.len) {
        uint32_t rune;
        size_t bytes = str_rune(value, &rune);
        bool bad = rune == 0xFFFD && bytes == 1;
        if (bad && !in_bad_run)
            buf_add_c(out, "\xef\xbf\xbd");
        in_bad_run = bad;
        if (!bad) {
            if (rune == '\\' || rune == '"' || rune == '\n')
                buf_add_char(out, '\\');
            if (rune == '\n')
                buf_add_char(out, 'n');
            else
                buf_add(out, value.ptr, bytes);
        }
        value = str_skip(value, bytes);
    }
}

NodeLabels node_labels(NodeSink *sink, const NodeLabel *labels, size_t count)
{
    Buf *out = &sink->labels;
    size_t start = out->len;
    for (size_t i = 0; i < count; i++) {
        ASSERT_DEEP(i == 0 || strcmp(labels[i - 1].name, labels[i].name) < 0);
        buf_add_char(out, i ? ',' : '{');
        buf_add_c(out, labels[i].name);
        buf_add(out, "=\"", 2);
        if (is_plain(labels[i].value))
            buf_add_str(out, labels[i].value);
        else
            add_escaped(out, labels[i].value);
        buf_add_char(out, '"');
    }
    if (count)
        buf_add_char(out, '}');
    ASSERT(out->len <= UINT32_MAX);
    return (NodeLabels){(uint32_t)start, (uint32_t)(out->len - start)};
}

void node_sample(NodeFamily *family, NodeLabels labels, double value)
{
    if (UNLIKELY(family->count == family->room)) {
        family->room = MAX((size_t)2, family->room * 2);
        family->samples = x_realloc(family->samples, family->room * sizeof(Sample));
    }
    family->samples[family->count++] = (Sample){labels, value};
}

void node_sink_reset(NodeSink *sink)
{
    for (size_t i = 0; i < sink->count; i++)
        sink->families[i]->count = 0;
    buf_reset(&sink->labels);
}

// A byte's place among label values in their printed form, where quote, backslash and newline have a backslash before them. A quote
// without it ends the value, which comes before everything.
static int value_order(Str text, size_t at)
{
    size_t slashes = 0;
    while (slashes < at && text.ptr[at - 1 - slashes] == '\\')
        slashes++;
    bool is_escaped = slashes % 2;
    if (!is_escaped && text.ptr[at] == '"')
        return -1;
    if (!is_escaped && text.ptr[at] == '\\') {
        is_escaped = true;
        at++;
    }
    return is_escaped && text.ptr[at] == 'n' ? '\n' : (unsigned char)text.ptr[at];
}

// Samples of a family have the same label names, so the first byte that differs is in a value.
static int compare_labels(const NodeSink *sink, NodeLabels a, NodeLabels b)
{
    Str x = str_make(sink->labels.ptr + a.at, a.bytes);
    Str y = str_make(sink->labels.ptr + b.at, b.bytes);
    size_t both = MIN(x.len, y.len);
    for (size_t i = 0; i < both; i++)
        if (x.ptr[i] != y.ptr[i])
            return value_order(x, i) - value_order(y, i);
    return (x.len > y.len) - (x.len < y.len);
}

static bool is_sorted(const NodeSink *sink, const NodeFamily *family)
{
    for (size_t i = 1; i < family->count; i++)
        if (compare_labels(sink, family->samples[i - 1].labels, family->samples[i].labels) > 0)
            return false;
    return true;
}

static void merge(const NodeSink *sink, const Sample *from, size_t left, size_t middle,
                  size_t right, Sample *to)
{
    size_t i = left;
    size_t j = middle;
    for (size_t k = left; k < right; k++)
        to[k] =
            i < middle && (j >= right || compare_labels(sink, from[i].labels, from[j].labels) <= 0)
                ? from[i++]
                : from[j++];
}

// Bottom-up merge sort: stable, and its scratch is kept, which qsort() does not promise.
static void sort_samples(NodeSink *sink, NodeFamily *family)
{
    size_t n = family->count;
    if (sink->sorted_room < n) {
        sink->sorted_room = n * 2;
        sink->sorted = x_realloc(sink->sorted, sink->sorted_room * sizeof(Sample));
    }
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t left = 0; left < n; left += 2 * width)
            merge(sink, family->samples, left, MIN(left + width, n), MIN(left + 2 * width, n),
                  sink->sorted);
        memcpy(family->samples, sink->sorted, n * sizeof(Sample));
    }
}

static const double powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

// 0.d1d2d3... x 10^point in Go's 'g' form for the shortest digits: an exponent below -4 and from 6 on.
static size_t layout(const char *digits, int count, int point, char *out)
{
    size_t len = 0;
    int exponent = point - 1;
    if (exponent < -4 || exponent >= 6) {
        out[len++] = digits[0];
        if (count > 1) {
            out[len++] = '.';
            memcpy(out + len, digits + 1, (size_t)count - 1);
            len += (size_t)count - 1;
        }
        unsigned magnitude = (unsigned)abs(exponent);
        out[len++] = 'e';
        out[len++] = exponent < 0 ? '-' : '+';
        out[len++] = (char)('0' + magnitude / 10);
        out[len++] = (char)('0' + magnitude % 10);
        return len;
    }
    if (point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = point; i < 0; i++)
            out[len++] = '0';
    }
    for (int i = 0; i < count || i < point; i++) {
        if (i == point && i > 0)
            out[len++] = '.';
        out[len++] = i < count ? digits[i] : '0';
    }
    return len;
}

// n / 10^decimals, n of at most 16 digits and not 0.
static size_t format_decimal(uint64_t n, int decimals, char *out)
{
    char digits[20];
    int at = (int)sizeof digits;
    while (n) {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    }
    int count = (int)sizeof digits - at;
    int point = count - decimals;
    while (digits[at + count - 1] == '0')
        count--;
    return layout(digits + at, count, point, out);
}

// Nearly all values that a kernel tells are whole, or ticks, milli-, micro- or nanoseconds. If n / 10^k, which is rounded
// correctly, gives the value back and n has at most 15 digits, then its digits are the shortest: no two such decimals share a double.
size_t node_format_value(double value, char *out)
{
    static const int scales[] = {2, 3, 6, 9};
    if (value == 0 && !signbit(value)) {
        out[0] = '0';
        return 1;
    }
    double magnitude = fabs(value);
    size_t len = 0;
    if (value < 0)
        out[len++] = '-';
    if (magnitude >= 1 && magnitude < 9007199254740992.0 && magnitude == floor(magnitude))
        return len + format_decimal((uint64_t)magnitude, 0, out + len);
    for (size_t i = 0; i < COUNT_OF(scales) && magnitude >= 1e-9; i++) {
        double scaled = magnitude * powers_of_ten[scales[i]];
        if (!(scaled < 999999999999999.0))
            break;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if (n && (double)n / powers_of_ten[scales[i]] == magnitude)
            return len + format_decimal(n, scales[i], out + len);
    }
    return number_format_g(value, out);
}

static void write_sample(const NodeSink *sink, const NodeFamily *family, const Sample *sample,
                         Buf *out)
{
    char *at = buf_reserve(out, family->name_bytes + sample->labels.bytes + NUMBER_BYTES_MAX + 2);
    if (!at)
        return;
    char *start = at;
    memcpy(at, family->name, family->name_bytes);
    at += family->name_bytes;
    if (sample->labels.bytes)
        memcpy(at, sink->labels.ptr + sample->labels.at, sample->labels.bytes);
    at += sample->labels.bytes;
    *at++ = ' ';
    at += node_format_value(sample->value, at);
    *at++ = '\n';
    out->len += (size_t)(at - start);
}

void node_sink_write(NodeSink *sink, Buf *out)
{
    for (size_t i = 0; i < sink->count; i++) {
        NodeFamily *family = sink->families[i];
        if (family->count == 0)
            continue;
        if (!is_sorted(sink, family))
            sort_samples(sink, family);
        buf_add(out, family->header, family->header_bytes);
        for (size_t s = 0; s < family->count; s++)
            write_sample(sink, family, &family->samples[s], out);
    }
}
