// SPDX-License-Identifier: Apache-2.0
// Start timestamps of OpenMetrics: a counter, summary or histogram has a line "<family>_created" of its own behind its other lines.
//
// The lines of one metric stand together, so that one look ahead, from its first line, serves all of them.
#include "metric/exposition_internal.h"

#define LINES_AHEAD_MAX 1024 // searched for a _created line

// A line taken apart without a close look: it is read for good when its turn comes.
typedef struct Line {
    Str name;
    const char *pairs;     // behind the brace or the quoted name; NULL: no braces
    const char *pairs_end; // the closing brace
    const char *next;      // the next line
} Line;

// The closing brace of what begins at `at`, or NULL.
static const char *find_brace(const char *at, const char *end)
{
    while (at < end && *at != '}') {
        if (*at == '"') {
            ScanQuoted quoted;
            ScanFault fault;
            if (!scan_quoted(&at, end, false, &quoted, &fault))
                return NULL;
            continue;
        }
        if (*at == '\n')
            return NULL;
        at++;
    }
    return at < end ? at : NULL;
}

static bool take_apart(const Exposition *parser, const char *at, Line *ret_line)
{
    Line line = {0};
    const char *begin = at;
    while (scan_is(*at, SCAN_METRIC_REST))
        at++;
    line.name = str_make(begin, (size_t)(at - begin));
    if (*at == '{') {
        at++;
        if (line.name.len == 0 && *at == '"') {
            const char *quote = memchr(at + 1, '"', (size_t)(parser->end - at - 1));
            if (!quote)
                return false;
            line.name = str_make(at + 1, (size_t)(quote - at - 1));
            at = quote + 1;
            at += *at == ',';
        }
        line.pairs = at;
        line.pairs_end = find_brace(at, parser->end);
        if (!line.pairs_end)
            return false;
        at = line.pairs_end;
    }
    const char *newline = memchr(at, '\n', (size_t)(parser->end - at));
    if (!newline || line.name.len == 0)
        return false;
    line.next = newline + 1;
    *ret_line = line;
    return true;
}

// The next pair as it is written, without `le` and `quantile`, which tell the lines of one metric apart.
static Str next_pair(const char **at, const char *end)
{
    while (*at && *at < end) {
        const char *begin = *at;
        const char *equals = memchr(begin, '=', (size_t)(end - begin));
        if (!equals)
            break;
        const char *p = equals + 1;
        ScanQuoted value;
        ScanFault fault;
        if (*p != '"' || !scan_quoted(&p, end, false, &value, &fault))
            break;
        *at = p + (p < end && *p == ',');
        Str name = str_make(begin, (size_t)(equals - begin));
        if (!str_is(name, "le") && !str_is(name, "quantile"))
            return str_make(begin, (size_t)(p - begin));
    }
    *at = end;
    return STR_NONE;
}

static bool same_metric(const Line *a, const Line *b)
{
    const char *p = a->pairs;
    const char *q = b->pairs;
    for (;;) {
        Str x = next_pair(&p, a->pairs_end);
        Str y = next_pair(&q, b->pairs_end);
        if (!str_equal(x, y))
            return false;
        if (x.len == 0)
            return true;
    }
}

static bool has_start(const Exposition *parser)
{
    return parser->format == EXPOSITION_OPENMETRICS &&
           (parser->type == METRIC_COUNTER || parser->type == METRIC_HISTOGRAM ||
            parser->type == METRIC_SUMMARY);
}

static bool is_created(const Exposition *parser, Str name)
{
    return name.len == parser->name.len + 8 && str_starts_with(name, parser->name) &&
           memcmp(name.ptr + parser->name.len, "_created", 8) == 0;
}

// The value behind the series of a _created line in milliseconds, or 0.
static int64_t read_created(const Exposition *parser, const Line *line, const char *begin)
{
    const char *at = line->pairs_end ? line->pairs_end + 1 : begin + line->name.len;
    double seconds;
    int64_t ms;
    ScanFault fault;
    if (*at++ != ' ' || !scan_number(&at, parser->end, &seconds, &fault) ||
        !exposition_seconds_to_ms(seconds, &ms))
        return 0;
    return ms;
}

static void look_ahead(Exposition *parser, const char *at)
{
    Line first, line;
    bool seen_created = false;
    const char *group_end = NULL;
    parser->start_ms = 0;
    parser->start_until = at + 1; // good for this line alone
    if (!take_apart(parser, at, &first) || !str_starts_with(first.name, parser->name))
        return;
    at = first.next;
    for (int lines = 0; lines < LINES_AHEAD_MAX; lines++) {
        if (at >= parser->end || *at == '#' || !take_apart(parser, at, &line) ||
            !str_starts_with(line.name, parser->name))
            break;
        bool same = same_metric(&first, &line);
        bool created = is_created(parser, line.name);
        if (!same && !group_end)
            group_end = at;
        if (same && created) {
            parser->start_ms = read_created(parser, &line, at);
            parser->start_until = group_end ? group_end : at;
            return;
        }
        seen_created |= created;
        at = line.next;
    }
    if (!seen_created) // none in the whole family
        parser->start_until = at;
}

void exposition_text_start(Exposition *parser)
{
    if (!has_start(parser))
        parser->start_ms = 0;
    else if (parser->line >= parser->start_until)
        look_ahead(parser, parser->line);
}

bool exposition_text_is_created(const Exposition *parser)
{
    Line line;
    return has_start(parser) && take_apart(parser, parser->line, &line) &&
           is_created(parser, line.name);
}
