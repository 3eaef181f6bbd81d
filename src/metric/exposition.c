// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition.h"

#include <math.h>
#include <stdio.h>

#include "metric/exposition_internal.h"

void exposition_init(Exposition *parser, ExpositionFormat format, Str body, Arena *arena)
{
    memset(parser, 0, offsetof(Exposition, err));
    parser->err.code = ERR_NONE;
    parser->err.text[0] = 0;
    parser->format = format;
    parser->arena = arena;

    // The text readers stop at newlines: a body without the last one gets it.
    if (format != EXPOSITION_PROTOBUF && body.len > 0 && body.ptr[body.len - 1] != '\n') {
        char *copy = arena_alloc_aligned(arena, body.len + 1, 1);
        memcpy(copy, body.ptr, body.len);
        copy[body.len] = '\n';
        body = str_make(copy, body.len + 1);
    }
    if (body.len == 0)
        body = S("");
    if (format != EXPOSITION_PROTOBUF)
        parser->pairs = ARENA_ARRAY(arena, ScanPair, SCAN_PAIRS_KEPT);
    parser->body = body;
    parser->at = body.ptr;
    parser->line = body.ptr;
    parser->end = body.ptr + body.len;
}

bool exposition_next(Exposition *parser)
{
    if (UNLIKELY(parser->failed))
        return false;
    if (UNLIKELY(parser->format == EXPOSITION_PROTOBUF))
        return exposition_protobuf_next(parser);
    return exposition_text_next(parser);
}

bool exposition_next_guess(Exposition *parser, Str guess)
{
    if (UNLIKELY(parser->format == EXPOSITION_PROTOBUF))
        return false;
    return exposition_text_next_guess(parser, guess);
}

bool exposition_next_hash(Exposition *parser, uint32_t series_bytes, uint64_t series_hash)
{
    if (UNLIKELY(parser->format == EXPOSITION_PROTOBUF))
        return exposition_protobuf_next_hash(parser, series_hash);
    return exposition_text_next_hash(parser, series_bytes, series_hash);
}

// ---- failures

static uint64_t line_of(const Exposition *parser, const char *at)
{
    uint64_t line = 1;
    const char *p = parser->body.ptr;

    while (p < at && (p = memchr(p, '\n', (size_t)(at - p)))) {
        line++;
        p++;
    }
    return line;
}

static size_t column_of(const Exposition *parser, const char *at)
{
    const char *begin = at;

    while (begin > parser->body.ptr && begin[-1] != '\n')
        begin--;
    return (size_t)(at - begin) + 1;
}

// Files of other systems: what fails then is often the last word of a line, in whose text the carriage return cannot be seen.
static const char *line_end_note(const Exposition *parser, const char *at)
{
    const char *end = memchr(at, '\n', (size_t)(parser->end - at));

    return end && end > parser->body.ptr && end[-1] == '\r'
               ? " (the line ends with a carriage return, where a line feed alone must stand)"
               : "";
}

static void put_place(Exposition *parser, const char *at, const char *text, Error *err)
{
    bool in_body = at >= parser->body.ptr && at <= parser->end;

    parser->line_number = in_body ? line_of(parser, at) : 0;
    if (parser->format == EXPOSITION_PROTOBUF || !in_body)
        error_set(err, ERR_INVALID, "%s", text);
    else
        error_set(err, ERR_INVALID, "line %llu column %zu: %s%s",
                  (unsigned long long)parser->line_number, column_of(parser, at), text,
                  line_end_note(parser, at));
}

bool exposition_fail(Exposition *parser, const char *at, const char *fmt, ...)
{
    char text[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put_place(parser, at, text, &parser->err);
    parser->failed = true;
    parser->at = parser->end;
    return false;
}

// The byte that stands where something else was expected.
static void describe_byte(const Exposition *parser, const char *at, char *out, size_t out_bytes)
{
    if (at >= parser->end)
        snprintf(out, out_bytes, "the end of the body");
    else if (*at == '\n')
        snprintf(out, out_bytes, "the end of the line");
    else if (*at >= ' ' && *at < 0x7f)
        snprintf(out, out_bytes, "'%c'", *at);
    else
        snprintf(out, out_bytes, "byte 0x%02x", (unsigned char)*at);
}

bool exposition_fail_scan(Exposition *parser, const ScanFault *fault)
{
    char got[40];

    describe_byte(parser, fault->at, got, sizeof got);
    return exposition_fail(parser, fault->at, "%s, got %s", fault->text, got);
}

// ---- labels

Str exposition_unescape(Arena *arena, Str raw, bool with_quote)
{
    char *text = arena_alloc_aligned(arena, raw.len, 1);
    size_t len = 0;

    for (size_t i = 0; i < raw.len; i++) {
        char next = i + 1 < raw.len ? raw.ptr[i + 1] : 0;
        if (raw.ptr[i] == '\\' && (next == '\\' || next == 'n' || (with_quote && next == '"'))) {
            text[len++] = next == 'n' ? '\n' : next;
            i++;
        } else {
            text[len++] = raw.ptr[i];
        }
    }
    return str_make(text, len);
}

static Str resolve(Arena *arena, const ScanQuoted *quoted)
{
    return quoted->escaped ? exposition_unescape(arena, quoted->raw, true) : quoted->raw;
}

// As OpenMetrics wants floats in label values: 1 is 1.0, 1e+06 stays.
size_t exposition_format_float(double value, char *out)
{
    size_t len = number_format_g(value, out);

    if (isfinite(value) && !memchr(out, 'e', len) && !memchr(out, '.', len)) {
        out[len++] = '.';
        out[len++] = '0';
    }
    return len;
}

static Str render_float(Arena *arena, Str text)
{
    double value;
    char shown[NUMBER_BYTES_MAX];

    if (!number_parse_double(text, &value))
        return text;
    Str rendered = str_make(shown, exposition_format_float(value, shown));
    return str_equal(rendered, text) ? text : arena_str(arena, rendered);
}

static bool holds_float(MetricType type, Str name)
{
    return (type == METRIC_HISTOGRAM && str_equal(name, S("le"))) ||
           (type == METRIC_SUMMARY && str_equal(name, S("quantile")));
}

typedef struct PairList {
    Arena *arena;
    Label *pairs;
    size_t count;
    size_t cap;
} PairList;

static void add_pair(PairList *list, Str name, Str value)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        list->pairs = list->cap ? arena_grow(list->arena, list->pairs, list->cap * sizeof(Label),
                                             cap * sizeof(Label))
                                : ARENA_ARRAY(list->arena, Label, cap);
        list->cap = cap;
    }
    list->pairs[list->count++] = (Label){name, value};
}

static void take_pair(const Exposition *parser, PairList *list, const ScanQuoted *raw_name,
                      const ScanQuoted *raw_value)
{
    Str name = resolve(list->arena, raw_name);
    Str value = resolve(list->arena, raw_value);

    if (holds_float(parser->type, name))
        value = render_float(list->arena, value);
    add_pair(list, name, value);
}

// All pairs up to the closing brace; what is malformed was refused when the line was read.
static const char *add_pairs(const Exposition *parser, const char *at, const char *end,
                             bool is_exemplar, PairList *list)
{
    ScanPairs scan = {.at = at,
                      .end = end,
                      .lenient = parser->format == EXPOSITION_TEXT,
                      .is_exemplar = is_exemplar};
    ScanPairKind kind;

    while ((kind = scan_pair_next(&scan)) > SCAN_END) {
        if (kind == SCAN_NAME)
            add_pair(list, LABEL_METRIC_NAME, resolve(list->arena, &scan.name));
        else if (is_exemplar)
            add_pair(list, resolve(list->arena, &scan.name), resolve(list->arena, &scan.value));
        else
            take_pair(parser, list, &scan.name, &scan.value);
    }
    return kind == SCAN_END ? scan.at : NULL;
}

// The pairs that were kept when the line was read.
static void add_kept_pairs(const Exposition *parser, PairList *list)
{
    for (uint32_t i = 0; i < parser->pair_count; i++) {
        const ScanPair *pair = &parser->pairs[i];
        if (pair->value.raw.ptr)
            take_pair(parser, list, &pair->name, &pair->value);
        else
            add_pair(list, LABEL_METRIC_NAME, resolve(list->arena, &pair->name));
    }
}

bool exposition_labels(Exposition *parser, Arena *arena, Labels *ret_labels, Error *err)
{
    PairList list = {.arena = arena};
    Str series = parser->series_text;
    const char *series_end = series.ptr + series.len;
    const char *at = series.ptr;
    Error cause = {0};

    while (at < series_end && scan_is(*at, SCAN_METRIC_REST))
        at++;
    if (at > series.ptr)
        add_pair(&list, LABEL_METRIC_NAME, str_make(series.ptr, (size_t)(at - series.ptr)));
    while (at < series_end && scan_is_blank(*at))
        at++;
    if (at < series_end && parser->pairs_of == series.ptr)
        add_kept_pairs(parser, &list);
    else if (at < series_end && *at == '{')
        add_pairs(parser, at + 1, series_end, false, &list);

    size_t count = list.count;
    if (!labels_sort(list.pairs, &count, &cause)) {
        put_place(parser, series.ptr, cause.text, err);
        return false;
    }
    *ret_labels = (Labels){list.pairs, count};
    return true;
}

bool exposition_seconds_to_ms(double seconds, int64_t *ret_ms)
{
    double ms = seconds * 1000;

    if (!(ms > -9.2e18 && ms < 9.2e18))
        return false;
    *ret_ms = (int64_t)ms;
    return true;
}

// " value" and maybe " seconds" behind an exemplar's braces.
static bool read_exemplar_numbers(const char *at, const char *end, Exemplar *exemplar)
{
    ScanFault fault;
    double seconds;

    at++;
    if (!scan_number(&at, end, &exemplar->value, &fault))
        return false;
    exemplar->has_t = *at == ' ';
    if (!exemplar->has_t)
        return true;
    at++;
    return scan_number(&at, end, &seconds, &fault) &&
           exposition_seconds_to_ms(seconds, &exemplar->t_ms);
}

bool exposition_exemplar(Exposition *parser, Arena *arena, Exemplar *ret_exemplar, Error *err)
{
    PairList list = {.arena = arena};
    Exemplar exemplar = {0};
    Error cause = {0};

    if (parser->exemplar_count) {
        *ret_exemplar = *parser->exemplars++;
        parser->has_exemplar = --parser->exemplar_count > 0;
        return true;
    }
    if (parser->format == EXPOSITION_PROTOBUF)
        return exposition_protobuf_exemplar(parser, arena, ret_exemplar, err);

    if (!parser->has_exemplar)
        return error_set(err, ERR_NOT_FOUND, "no exemplar");

    parser->has_exemplar = false;
    const char *begin = parser->exemplar_text.ptr;
    const char *at = add_pairs(parser, begin + 1, parser->end, true, &list);
    if (!at || !read_exemplar_numbers(at, parser->end, &exemplar)) {
        put_place(parser, begin, "malformed exemplar", err);
        return false;
    }

    size_t count = list.count;
    if (count > 0 && !labels_sort(list.pairs, &count, &cause)) {
        put_place(parser, begin, cause.text, err);
        return false;
    }
    exemplar.labels = (Labels){list.pairs, count};
    *ret_exemplar = exemplar;
    return true;
}

// ---- content types
