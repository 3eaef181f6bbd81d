// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_page.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/number.h"

typedef enum LinePart { LINE_VALUE, LINE_SUM, LINE_COUNT, LINE_BUCKET } LinePart;

typedef struct Scan {
    const char *at;
    const char *end;
    size_t line;
    Arena *arena;
    Map by_name;   // PageFamily
    Map by_labels; // PageMetric of summaries and histograms
    PageFamily **order;
    size_t order_count;
    Error *err;
} Scan;

// What one sample line says.
typedef struct Line {
    Str name;
    PageFamily *family;
    LinePart part;
    Label *labels;
    size_t label_count;
    bool has_bound;
    double bound;
} Line;

const char *page_type_name(PageType type)
{
    static const char *const names[] = {
        [PAGE_UNTYPED] = "untyped",     [PAGE_COUNTER] = "counter",
        [PAGE_GAUGE] = "gauge",         [PAGE_SUMMARY] = "summary",
        [PAGE_HISTOGRAM] = "histogram", [PAGE_GAUGE_HISTOGRAM] = "gauge_histogram",
    };
    return names[type];
}

// Bytes -------------------------------------------------------------------------------------------------------------------------------

static bool fail(Scan *scan, const char *fmt, ...) PRINTF(2, 3);
static bool fail(Scan *scan, const char *fmt, ...)
{
    va_list args;
    char text[400];
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return error_set(scan->err, ERR_INVALID, "text format parsing error in line %zu: %s",
                     scan->line, text);
}

// The next byte, or 0 at the end; a real NUL is no part of any token outside quotes either.
static char peek(const Scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(Scan *scan)
{
    while (is_blank(peek(scan)))
        scan->at++;
}

static bool is_name_byte(char c, bool first, bool colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
           (!first && c >= '0' && c <= '9');
}

static bool fail_end(Scan *scan)
{
    return fail(scan, "unexpected end of input stream");
}

// Between quotes; `scan` stands behind the opening one and ends behind the closing one.
static bool take_quoted(Scan *scan, const char *what, Str *ret_text)
{
    const char *begin = scan->at;
    while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' && *scan->at != '\n')
        scan->at++;
    if (peek(scan) == '"' && scan->at < scan->end) {
        *ret_text = (Str){begin, (size_t)(scan->at++ - begin)};
        return true;
    }
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add(&text, begin, (size_t)(scan->at - begin));
    for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
        char c = *scan->at;
        if (c == '\n')
            return fail(scan, "%s \"" STR_FMT "\" contains unescaped new-line", what,
                        STR_ARG(str_sub(buf_str(&text), 0, 200)));
        if (c == '\\') {
            if (++scan->at == scan->end)
                break;
            c = *scan->at;
            if (c != '\\' && c != '"' && c != 'n')
                return fail(scan, "invalid escape sequence '\\%c'", c);
            c = c == 'n' ? '\n' : c;
        }
        buf_add_char(&text, c);
    }
    if (scan->at >= scan->end)
        return fail_end(scan);
    scan->at++;
    *ret_text = arena_str(scan->arena, buf_str(&text));
    return true;
}

// A metric's or label's name, quoted or not; empty if there is none.
static bool take_name(Scan *scan, bool is_metric, Str *ret_name)
{
    const char *begin = scan->at;
    if (peek(scan) == '"') {
        scan->at++;
        return take_quoted(scan, is_metric ? "metric name" : "label name", ret_name);
    }
    while (is_name_byte(peek(scan), scan->at == begin, is_metric))
        scan->at++;
    *ret_name = (Str){begin, (size_t)(scan->at - begin)};
    return true;
}

static Str take_token(Scan *scan)
{
    const char *begin = scan->at;
    while (scan->at < scan->end && !is_blank(*scan->at) && *scan->at != '\n')
        scan->at++;
    return (Str){begin, (size_t)(scan->at - begin)};
}

// Up to the newline, which is consumed.
static bool take_rest(Scan *scan, Str *ret_rest)
{
    const char *newline = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
    if (!newline)
        return fail_end(scan);
    *ret_rest = (Str){scan->at, (size_t)(newline - scan->at)};
    scan->at = newline + 1;
    return true;
}

// Page ----------------------------------------------------------------------------------------------------------------------------

static PageFamily *add_family(Scan *scan, Str name)
{
    PageFamily *family = ARENA_NEW(scan->arena, PageFamily);
    family->name = name;
    map_put(&scan->by_name, name, family);
    if ((scan->order_count & (scan->order_count - 1)) == 0)
        scan->order = arena_grow(scan->arena, scan->order, scan->order_count * sizeof(PageFamily *),
                                 MAX(scan->order_count * 2, (size_t)1) * sizeof(PageFamily *));
    return scan->order[scan->order_count++] = family;
}

static bool is_histogram(const PageFamily *family)
{
    return family->type == PAGE_HISTOGRAM || family->type == PAGE_GAUGE_HISTOGRAM;
}

// The family of a name, which may be that of the summary or histogram that it is a part of.
static PageFamily *family_of(Scan *scan, Str name, LinePart *ret_part)
{
    static const struct {
        Str suffix;
        LinePart part;
    } suffixes[] = {
        {STR("_sum"), LINE_SUM}, {STR("_count"), LINE_COUNT}, {STR("_bucket"), LINE_BUCKET}};
    *ret_part = LINE_VALUE;
    PageFamily *family = map_get(&scan->by_name, name);
    if (family)
        return family;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (!str_ends_with(name, suffixes[i].suffix))
            continue;
        family = map_get(&scan->by_name, str_sub(name, 0, name.len - suffixes[i].suffix.len));
        if (family && (is_histogram(family) ||
                       (family->type == PAGE_SUMMARY && suffixes[i].part != LINE_BUCKET))) {
            *ret_part = suffixes[i].part;
            return family;
        }
    }
    return add_family(scan, name);
}

static PageMetric *add_metric(Scan *scan, PageFamily *family)
{
    size_t count = family->metric_count;
    if ((count & (count - 1)) == 0)
        family->metrics = arena_grow(scan->arena, family->metrics, count * sizeof(PageMetric),
                                     MAX(count * 2, (size_t)1) * sizeof(PageMetric));
    PageMetric *metric = &family->metrics[family->metric_count++];
    *metric = (PageMetric){0};
    return metric;
}

static int compare_labels(const void *a, const void *b)
{
    return str_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

// What tells one histogram of a family from another: the family, and the labels in the order of their names.
static Str identity(Scan *scan, const Line *line)
{
    CLEANUP(buf_deinit) Buf key = {0};
    Label *sorted = ARENA_ARRAY(scan->arena, Label, line->label_count);
    if (line->label_count)
        memcpy(sorted, line->labels, line->label_count * sizeof *sorted);
    qsort(sorted, line->label_count, sizeof *sorted, compare_labels);
    buf_add_str(&key, line->family->name);
    for (size_t i = 0; i < line->label_count; i++) {
        buf_add_u64be(&key, sorted[i].name.len);
        buf_add_str(&key, sorted[i].name);
        buf_add_u64be(&key, sorted[i].value.len);
        buf_add_str(&key, sorted[i].value);
    }
    return arena_str(scan->arena, buf_str(&key));
}

// The map holds indices (from 1), as metrics move when their family grows.
static PageMetric *metric_of(Scan *scan, const Line *line)
{
    PageFamily *family = line->family;
    bool gathers = is_histogram(family) || family->type == PAGE_SUMMARY;
    if (gathers) {
        Str key = identity(scan, line);
        size_t index = (size_t)(uintptr_t)map_get(&scan->by_labels, key);
        if (index)
            return &family->metrics[index - 1];
        map_put(&scan->by_labels, key, (void *)(uintptr_t)(family->metric_count + 1));
    }
    PageMetric *metric = add_metric(scan, family);
    metric->labels = line->labels;
    metric->label_count = line->label_count;
    return metric;
}

// Comments ----------------------------------------------------------------------------------------------------------------------------

static bool read_help(Scan *scan, PageFamily *family)
{
    Str raw;
    if (family->has_help)
        return fail(scan, "second HELP line for metric name \"" STR_FMT "\"",
                    STR_ARG(str_sub(family->name, 0, 200)));
    if (!take_rest(scan, &raw))
        return false;
    family->has_help = true;
    family->help = raw;
    if (str_find_char(raw, '\\') == STR_NOT_FOUND)
        return true;
    char *text = arena_alloc(scan->arena, raw.len);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '\\') {
            c = ++i < raw.len ? raw.ptr[i] : '\n';
            if (c != '\\' && c != '"' && c != 'n')
                return fail(scan, "invalid escape sequence '\\%c'", c);
            c = c == 'n' ? '\n' : c;
        }
        text[len++] = c;
    }
    family->help = (Str){text, len};
    return true;
}

static bool read_type(Scan *scan, PageFamily *family)
{
    Str text;
    if (family->has_type)
        return fail(scan,
                    "second TYPE line for metric name \"" STR_FMT
                    "\", or TYPE reported after samples",
                    STR_ARG(str_sub(family->name, 0, 200)));
    if (!take_rest(scan, &text))
        return false;
    family->has_type = true;
    for (int type = PAGE_UNTYPED; type <= PAGE_GAUGE_HISTOGRAM; type++)
        if (str_equal_nocase(text, str_from_c(page_type_name((PageType)type)))) {
            family->type = (PageType)type;
            return true;
        }
    if (!str_equal_nocase(text, S("gaugehistogram")))
        return fail(scan, "unknown metric type \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 200)));
    family->type = PAGE_GAUGE_HISTOGRAM;
    return true;
}

static bool read_comment(Scan *scan)
{
    Str name;
    Str rest;
    LinePart part;
    scan->at++;
    skip_blanks(scan);
    Str keyword = take_token(scan);
    bool is_help = str_is(keyword, "HELP");
    if (!is_help && !str_is(keyword, "TYPE"))
        return take_rest(scan, &rest);
    skip_blanks(scan);
    if (!take_name(scan, true, &name))
        return false;
    // A HELP or TYPE without anything behind it is a comment.
    if (peek(scan) == '\n')
        return take_rest(scan, &rest);
    if (scan->at == scan->end)
        return fail_end(scan);
    if (!is_blank(*scan->at) || !name_is_utf8(name))
        return fail(scan, "invalid metric name in comment");
    PageFamily *family = family_of(scan, name, &part);
    skip_blanks(scan);
    if (peek(scan) == '\n')
        return take_rest(scan, &rest);
    return is_help ? read_help(scan, family) : read_type(scan, family);
}

// Samples -----------------------------------------------------------------------------------------------------------------------------

static bool set_name(Scan *scan, Line *line, Str name)
{
    if (!name_is_utf8(name))
        return fail(scan, "invalid metric name");
    line->name = name;
    line->family = family_of(scan, name, &line->part);
    line->family->has_type = true;
    return true;
}

static bool add_label(Scan *scan, Line *line, Str name, Str value)
{
    PageType type = line->family->type;
    if ((is_histogram(line->family) && str_is(name, "le")) ||
        (type == PAGE_SUMMARY && str_is(name, "quantile"))) {
        line->has_bound = number_parse_double(value, &line->bound);
        return line->has_bound ||
               fail(scan, "expected float as value for '" STR_FMT "' label, got \"" STR_FMT "\"",
                    STR_ARG(name), STR_ARG(str_sub(value, 0, 100)));
    }
    for (size_t i = 0; i < line->label_count; i++)
        if (str_equal(line->labels[i].name, name))
            return fail(scan, "duplicate label names for metric \"" STR_FMT "\"",
                        STR_ARG(str_sub(line->family->name, 0, 200)));
    if (line->label_count == PAGE_LABELS_MAX)
        return fail(scan, "more than %d labels", PAGE_LABELS_MAX);
    line->labels = arena_grow(scan->arena, line->labels, line->label_count * sizeof(Label),
                              (line->label_count + 1) * sizeof(Label));
    line->labels[line->label_count++] = (Label){name, value};
    return true;
}

static bool read_label(Scan *scan, Line *line, Str name)
{
    Str value;
    if (!line->family)
        return fail(scan, "the metric's name must stand first in the braces");
    if (str_is(name, "__name__"))
        return fail(scan, "label name \"__name__\" is reserved");
    if (!name_is_utf8(name))
        return fail(scan, "invalid label name for metric \"" STR_FMT "\"",
                    STR_ARG(str_sub(line->family->name, 0, 200)));
    skip_blanks(scan);
    if (peek(scan) != '"')
        return fail(scan, "expected '\"' at start of label value");
    scan->at++;
    if (!take_quoted(scan, "label value", &value))
        return false;
    if (!str_is_utf8(value))
        return fail(scan, "invalid label value: not UTF-8");
    return add_label(scan, line, name, value);
}

// Behind the opening brace to behind the closing one.
static bool read_braces(Scan *scan, Line *line)
{
    for (;;) {
        Str name;
        skip_blanks(scan);
        if (peek(scan) == '}')
            break;
        if (!take_name(scan, false, &name))
            return false;
        skip_blanks(scan);
        if (scan->at == scan->end)
            return fail_end(scan);
        if (line->family && !name.len)
            return fail(scan, "invalid label name for metric \"" STR_FMT "\"",
                        STR_ARG(str_sub(line->family->name, 0, 200)));
        if (peek(scan) == '=' && name.len) {
            scan->at++;
            if (!read_label(scan, line, name))
                return false;
        } else if (line->family) {
            return fail(scan, "expected '=' after label name");
        } else if (!set_name(scan, line, name)) {
            return false;
        }
        skip_blanks(scan);
        if (peek(scan) == '}')
            break;
        if (scan->at == scan->end)
            return fail_end(scan);
        if (*scan->at != ',')
            return fail(scan, "unexpected end of label value");
        scan->at++;
    }
    scan->at++;
    skip_blanks(scan);
    return line->family || fail(scan, "invalid metric name");
}

// Behind the value; consumes the newline.
static bool read_timestamp(Scan *scan, int64_t *ret_ms, bool *ret_has)
{
    Str rest;
    *ret_has = false;
    if (peek(scan) == '\n')
        return take_rest(scan, &rest);
    skip_blanks(scan);
    Str token = take_token(scan);
    if (scan->at == scan->end)
        return fail_end(scan);
    if (str_starts_with(token, S("+")))
        token = str_skip(token, 1);
    if (!number_parse_i64(token, ret_ms))
        return fail(scan, "expected integer as timestamp, got \"" STR_FMT "\"",
                    STR_ARG(str_sub(token, 0, 100)));
    *ret_has = true;
    if (!take_rest(scan, &rest))
        return false;
    if (rest.len)
        return fail(scan, "spurious string after timestamp: \"" STR_FMT "\"",
                    STR_ARG(str_sub(rest, 0, 100)));
    return true;
}

static bool add_sample(Scan *scan, const Line *line, double value, PageMetric *metric)
{
    PageFamily *family = line->family;
    bool counts = line->part == LINE_COUNT || (line->part != LINE_SUM && line->has_bound);
    if (is_histogram(family) && counts && value < 0)
        return fail(scan, "negative %s for histogram \"" STR_FMT "\"",
                    line->part == LINE_COUNT ? "count" : "bucket population",
                    STR_ARG(str_sub(family->name, 0, 200)));
    if (line->part == LINE_COUNT) {
        metric->count = value;
    } else if (line->part == LINE_SUM) {
        metric->sum = value;
    } else if (line->has_bound && line->bound == line->bound) {
        size_t count = metric->part_count;
        if ((count & (count - 1)) == 0)
            metric->parts = arena_grow(scan->arena, metric->parts, count * sizeof(PagePart),
                                       MAX(count * 2, (size_t)1) * sizeof(PagePart));
        metric->parts[metric->part_count++] = (PagePart){line->bound, value};
    } else {
        metric->value = value;
    }
    return true;
}

static bool read_sample(Scan *scan)
{
    Line line = {0};
    Str name;
    if (peek(scan) != '{') {
        if (!take_name(scan, true, &name) || !set_name(scan, &line, name))
            return false;
        skip_blanks(scan);
    }
    if (peek(scan) == '{') {
        scan->at++;
        if (!read_braces(scan, &line))
            return false;
    }
    Str token = take_token(scan);
    if (scan->at == scan->end)
        return fail_end(scan);
    double value;
    if (!number_parse_double(token, &value))
        return fail(scan, "expected float as value, got \"" STR_FMT "\"",
                    STR_ARG(str_sub(token, 0, 100)));
    PageMetric *metric = metric_of(scan, &line);
    int64_t t_ms = 0;
    bool has_t;
    if (!add_sample(scan, &line, value, metric) || !read_timestamp(scan, &t_ms, &has_t))
        return false;
    if (has_t) {
        metric->t_ms = t_ms;
        metric->has_t = true;
    }
    return true;
}

static bool read_lines(Scan *scan)
{
    for (;;) {
        scan->line++;
        skip_blanks(scan);
        if (scan->at == scan->end)
            return true;
        if (*scan->at == '\n')
            scan->at++;
        else if (!(*scan->at == '#' ? read_comment(scan) : read_sample(scan)))
            return false;
    }
}

bool page_read(Str text, Arena *arena, Page *ret_page, Error *err)
{
    Scan scan = {.at = text.ptr, .end = text.ptr + text.len, .arena = arena, .err = err};
    bool ok = text.len == 0 || read_lines(&scan);
    map_deinit(&scan.by_name);
    map_deinit(&scan.by_labels);
    if (!ok)
        return false;
    Page page = {.items = ARENA_ARRAY(arena, PageFamily *, scan.order_count)};
    for (size_t i = 0; i < scan.order_count; i++)
        if (scan.order[i]->metric_count)
            page.items[page.count++] = scan.order[i];
    *ret_page = page;
    return true;
}
