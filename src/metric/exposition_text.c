// SPDX-License-Identifier: Apache-2.0
// The text format 0.0.4 and 1.0.0 and OpenMetrics 1.0. They differ in how strict they are about white space, in the end of the body, in
// the unit of time stamps, and in exemplars.
#include "metric/exposition_internal.h"

#define LETTER_CLASSES (SCAN_LABEL_FIRST | SCAN_LABEL_REST | SCAN_METRIC_FIRST | SCAN_METRIC_REST)
#define DIGIT_CLASSES (SCAN_LABEL_REST | SCAN_METRIC_REST)
#define COLON_CLASSES (SCAN_METRIC_FIRST | SCAN_METRIC_REST)

const uint8_t scan_classes[256] = {
    ['a' ... 'z'] = LETTER_CLASSES, ['A' ... 'Z'] = LETTER_CLASSES, ['_'] = LETTER_CLASSES,
    ['0' ... '9'] = DIGIT_CLASSES,  [':'] = COLON_CLASSES,
};

const double scan_powers_of_ten[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

const uint32_t scan_tens[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

bool scan_number_slow(const char **at, double *ret_value, ScanFault *fault)
{
    const char *end = *at;

    while (!scan_ends_token(*end))
        end++;
    if (!number_parse_double(str_make(*at, (size_t)(end - *at)), ret_value))
        return scan_fail(fault, *at, "expected a number");
    *at = end;
    return true;
}

// ---- behind the value

// An integer of milliseconds, and blanks up to the end of the line.
static const char *read_text_suffix(Exposition *parser, const char *at, ScanFault *fault)
{
    at = scan_blanks(at);
    if (*at == '\n')
        return at + 1;

    const char *begin = at;
    int64_t t_ms = 0;
    for (; scan_is_digit(*at); at++)
        if (__builtin_mul_overflow(t_ms, (int64_t)10, &t_ms) ||
            __builtin_add_overflow(t_ms, (int64_t)(*at - '0'), &t_ms))
            return scan_fail(fault, begin, "timestamp out of range"), NULL;
    if (at == begin)
        return scan_fail(fault, at, "expected a timestamp or the end of the line"), NULL;
    at = scan_blanks(at);
    if (*at != '\n')
        return scan_fail(fault, at, "expected the end of the line after the timestamp"), NULL;
    parser->has_t = true;
    parser->t_ms = t_ms;
    return at + 1;
}

// " seconds", the blank included.
static const char *read_seconds(const Exposition *parser, const char *at, int64_t *ret_ms,
                                ScanFault *fault)
{
    const char *begin = ++at;
    double seconds;

    if (!scan_number(&at, parser->end, &seconds, fault))
        return NULL;
    if (!exposition_seconds_to_ms(seconds, ret_ms))
        return scan_fail(fault, begin, "invalid timestamp"), NULL;
    return at;
}

// "{labels} value [seconds]": checked here, read by exposition_exemplar.
static const char *skip_exemplar(Exposition *parser, const char *at, ScanFault *fault)
{
    ScanPairs scan = {.at = at + 1, .end = parser->end, .is_exemplar = true};
    size_t labels = 0;
    ScanPairKind kind;
    double value;
    int64_t t_ms;

    while ((kind = scan_pair_next(&scan)) == SCAN_LABEL)
        if (++labels > EXPOSITION_LABELS_MAX)
            return scan_fail(fault, scan.at, "too many labels"), NULL;
    if (kind == SCAN_BAD)
        return *fault = scan.fault, NULL;

    const char *p = scan.at;
    if (*p != ' ')
        return scan_fail(fault, p, "expected a value after the exemplar's labels"), NULL;
    p++;
    if (!scan_number(&p, parser->end, &value, fault))
        return NULL;
    if (*p == ' ') {
        p = read_seconds(parser, p, &t_ms, fault);
        if (!p)
            return NULL;
    }
    if (*p != '\n')
        return scan_fail(fault, p, "expected the end of the line after the exemplar"), NULL;
    parser->has_exemplar = true;
    parser->exemplar_text = str_make(at, (size_t)(p - at));
    return p;
}

static const char *read_openmetrics_suffix(Exposition *parser, const char *at, ScanFault *fault)
{
    if (at[0] == ' ' && at[1] != '#') {
        at = read_seconds(parser, at, &parser->t_ms, fault);
        if (!at)
            return NULL;
        parser->has_t = true;
    }
    if (at[0] == ' ' && at[1] == '#' && at[2] == ' ' && at[3] == '{') {
        at = skip_exemplar(parser, at + 3, fault);
        if (!at)
            return NULL;
    }
    if (*at != '\n')
        return scan_fail(fault, at, "expected a timestamp, an exemplar or the end of the line"),
               NULL;
    return at + 1;
}

// Reads what follows the value. NULL and `fault`, or the start of the next line.
static inline const char *read_suffix(Exposition *parser, const char *at, ScanFault *fault)
{
    parser->has_t = false;
    parser->has_exemplar = false;
    if (LIKELY(*at == '\n'))
        return at + 1;
    return parser->format == EXPOSITION_TEXT ? read_text_suffix(parser, at, fault)
                                             : read_openmetrics_suffix(parser, at, fault);
}

static void take_sample(Exposition *parser, const char *line, size_t series_bytes, const char *next)
{
    parser->kind = EXPOSITION_SAMPLE;
    parser->line = line;
    parser->series_text = str_make(line, series_bytes);
    parser->histogram = NULL;
    parser->at = next;
    if (UNLIKELY(parser->wants_start))
        exposition_text_start(parser);
}

// Room for a blank, a digit and the newline behind a series text of this length, and the blank is there.
static inline bool may_be_guess(const Exposition *parser, size_t series_bytes)
{
    if (UNLIKELY((size_t)(parser->end - parser->at) < series_bytes + 2 || series_bytes == 0))
        return false;

    char blank = parser->at[series_bytes];
    return blank == ' ' || (blank == '\t' && parser->format == EXPOSITION_TEXT);
}

// The next line begins with a series text of this length: reads what follows it.
static inline bool take_guess(Exposition *parser, size_t series_bytes)
{
    const char *line = parser->at;
    const char *at = line + series_bytes + 1;
    ScanFault fault;

    if (UNLIKELY(scan_is_blank(*at)) && parser->format == EXPOSITION_TEXT)
        at = scan_blanks(at);
    if (!scan_number(&at, parser->end, &parser->value, &fault))
        return false;
    at = read_suffix(parser, at, &fault);
    if (!at)
        return false;
    take_sample(parser, line, series_bytes, at);
    return true;
}

bool exposition_text_next_guess(Exposition *parser, Str guess)
{
    return may_be_guess(parser, guess.len) && memcmp(parser->at, guess.ptr, guess.len) == 0 &&
           take_guess(parser, guess.len);
}

bool exposition_text_next_hash(Exposition *parser, uint32_t series_bytes, uint64_t series_hash)
{
    return may_be_guess(parser, series_bytes) &&
           exposition_series_hash(str_make(parser->at, series_bytes)) == series_hash &&
           take_guess(parser, series_bytes);
}

// ---- samples

// The name and the braces. `*at` moves behind them.
static bool skip_series(Exposition *parser, const char **at, ScanFault *fault)
{
    bool lenient = parser->format == EXPOSITION_TEXT;
    const char *p = *at;
    bool named = scan_is(*p, SCAN_METRIC_FIRST);
    size_t labels = 0;

    while (scan_is(*p, SCAN_METRIC_REST))
        p++;
    const char *name_end = p;
    if (lenient)
        p = scan_blanks(p);
    if (*p != '{') {
        *at = name_end;
        return named || scan_fail(fault, p, "expected a metric name");
    }

    ScanPairs scan = {.at = p + 1, .end = parser->end, .lenient = lenient};
    ScanPair *kept = parser->pairs;
    const ScanQuoted no_value = {STR_NONE, false};
    ScanPairKind kind;
    while ((kind = scan_pair_next(&scan)) > SCAN_END) {
        if (kind == SCAN_NAME && named)
            return scan_fail(fault, scan.at, "metric name already set");
        named |= kind == SCAN_NAME;
        if (labels < SCAN_PAIRS_KEPT)
            kept[labels] = (ScanPair){scan.name, kind == SCAN_NAME ? no_value : scan.value};
        if (++labels > EXPOSITION_LABELS_MAX)
            return scan_fail(fault, scan.at, "too many labels");
    }
    if (kind == SCAN_BAD) {
        *fault = scan.fault;
        return false;
    }
    if (!named)
        return scan_fail(fault, scan.at, "metric name not set");
    parser->pair_count = (uint32_t)labels;
    parser->pairs_of = labels <= SCAN_PAIRS_KEPT ? *at : NULL;
    *at = scan.at;
    return true;
}

static bool read_sample(Exposition *parser, const char *line)
{
    ScanFault fault;
    const char *at = line;

    if (!scan_is(*line, SCAN_METRIC_FIRST) && *line != '{') {
        scan_fail(&fault, line, "expected a metric name, a comment or an empty line");
        return exposition_fail_scan(parser, &fault);
    }
    if (!skip_series(parser, &at, &fault))
        return exposition_fail_scan(parser, &fault);

    size_t series_bytes = (size_t)(at - line);
    if (parser->format == EXPOSITION_TEXT) {
        at = scan_blanks(at);
    } else if (*at != ' ') {
        scan_fail(&fault, at, "expected a space and a value");
        return exposition_fail_scan(parser, &fault);
    } else {
        at++;
    }
    if (!scan_number(&at, parser->end, &parser->value, &fault))
        return exposition_fail_scan(parser, &fault);
    at = read_suffix(parser, at, &fault);
    if (!at)
        return exposition_fail_scan(parser, &fault);
    if (at - line > EXPOSITION_LINE_BYTES_MAX)
        return exposition_fail(parser, line, "line is longer than %u bytes",
                               EXPOSITION_LINE_BYTES_MAX);
    take_sample(parser, line, series_bytes, at);
    return true;
}

// ---- metadata

static bool take_type(Exposition *parser, const char *at, Str word)
{
    MetricType type;
    bool openmetrics = parser->format == EXPOSITION_OPENMETRICS;

    // Each format has its own words: "untyped" here, "unknown" and the kinds that OpenMetrics added there.
    bool known = metric_type_parse(word, &type);
    if (known && openmetrics)
        known = !str_equal(word, S("untyped"));
    else if (known)
        known = type == METRIC_UNKNOWN ? str_equal(word, S("untyped"))
                                       : type != METRIC_GAUGE_HISTOGRAM && type <= METRIC_SUMMARY;
    if (!known)
        return exposition_fail(parser, at, "invalid metric type \"" STR_FMT "\"",
                               (int)MIN(word.len, 100), word.ptr);
    parser->kind = EXPOSITION_TYPE;
    parser->type = type;
    return true;
}

static bool take_help(Exposition *parser, const char *at)
{
    if (!str_is_utf8(parser->text))
        return exposition_fail(parser, at, "help text is not valid UTF-8");
    if (str_find_char(parser->text, '\\') != STR_NOT_FOUND)
        parser->text = exposition_unescape(parser->arena, parser->text,
                                           parser->format == EXPOSITION_OPENMETRICS);
    parser->kind = EXPOSITION_HELP;
    return true;
}

static bool take_unit(Exposition *parser, const char *at)
{
    Str unit = parser->text;

    if (unit.len > 0 && (parser->name.len < unit.len + 1 || !str_ends_with(parser->name, unit) ||
                         parser->name.ptr[parser->name.len - unit.len - 1] != '_'))
        return exposition_fail(parser, at, "unit \"" STR_FMT "\" is not a suffix of the name",
                               (int)MIN(unit.len, 100), unit.ptr);
    parser->kind = EXPOSITION_UNIT;
    return true;
}

// The metric's name behind "# TYPE ", maybe in quotes.
static bool read_meta_name(Exposition *parser, const char **at)
{
    ScanFault fault;
    ScanQuoted quoted;
    const char *begin = *at;

    if (*begin == '"') {
        if (!scan_quoted(at, parser->end, false, &quoted, &fault))
            return exposition_fail_scan(parser, &fault);
        parser->name =
            quoted.escaped ? exposition_unescape(parser->arena, quoted.raw, true) : quoted.raw;
        return true;
    }
    if (!scan_is(*begin, SCAN_METRIC_FIRST)) {
        scan_fail(&fault, begin, "expected a metric name");
        return exposition_fail_scan(parser, &fault);
    }
    while (scan_is(**at, SCAN_METRIC_REST))
        (*at)++;
    parser->name = str_make(begin, (size_t)(*at - begin));
    return true;
}

// Name and text behind the keyword. One byte between them is the separator, all after it is text.
static bool read_meta(Exposition *parser, const char *at, const char *line_end, char keyword)
{
    if (!read_meta_name(parser, &at))
        return false;
    if (parser->format == EXPOSITION_OPENMETRICS && *at != ' ')
        return exposition_fail(parser, at, "expected a space and a text after the metric name");

    const char *text = at < line_end ? at + 1 : at;
    parser->text = str_make(text, (size_t)(line_end - text));
    switch (keyword) {
    case 'T':
        return take_type(parser, text, parser->text);
    case 'H':
        return take_help(parser, text);
    default:
        return take_unit(parser, text);
    }
}

static bool begins_with_word(const char *at, const char *line_end, const char *word)
{
    return line_end - at >= 4 && memcmp(at, word, 4) == 0;
}

static bool read_text_comment(Exposition *parser, const char *line, const char *line_end)
{
    const char *at = line + 1;

    if (scan_is_blank(*at)) {
        at = scan_blanks(at);
        if ((begins_with_word(at, line_end, "HELP") || begins_with_word(at, line_end, "TYPE")) &&
            scan_is_blank(at[4]))
            return read_meta(parser, scan_blanks(at + 4), line_end, *at);
    }
    parser->kind = EXPOSITION_COMMENT;
    parser->text = str_make(line, (size_t)(line_end - line));
    return true;
}

// "# EOF" ends the body; anything else that is not metadata is an error. At the end returns false without failing.
static bool read_openmetrics_comment(Exposition *parser, const char *line, const char *line_end)
{
    const char *at = line + 2;

    if (line[1] == ' ') {
        if ((begins_with_word(at, line_end, "HELP") || begins_with_word(at, line_end, "TYPE") ||
             begins_with_word(at, line_end, "UNIT")) &&
            at[4] == ' ')
            return read_meta(parser, at + 5, line_end, *at);
        if (line_end - at == 3 && memcmp(at, "EOF", 3) == 0) {
            if (line_end + 1 != parser->end)
                return exposition_fail(parser, line_end + 1, "unexpected data after # EOF");
            return false;
        }
    }
    return exposition_fail(parser, line, "expected # HELP, # TYPE, # UNIT or # EOF");
}

static bool read_comment(Exposition *parser, const char *line)
{
    const char *line_end = memchr(line, '\n', (size_t)(parser->end - line));
    bool is_text = parser->format == EXPOSITION_TEXT;

    if (line_end - line >= EXPOSITION_LINE_BYTES_MAX)
        return exposition_fail(parser, line, "line is longer than %u bytes",
                               EXPOSITION_LINE_BYTES_MAX);
    parser->line = line;
    parser->at = line_end + 1;
    return is_text ? read_text_comment(parser, line, line_end)
                   : read_openmetrics_comment(parser, line, line_end);
}

static bool read_line(Exposition *parser)
{
    const char *line = parser->at;

    if (parser->format == EXPOSITION_TEXT) {
        while (line < parser->end && (scan_is_blank(*line) || *line == '\n'))
            line++;
        if (line == parser->end) {
            parser->at = line;
            return false;
        }
    } else if (line == parser->end) {
        // Behind "# EOF" there is nothing left to read.
        bool complete = parser->body.len >= 6 && memcmp(parser->end - 6, "# EOF\n", 6) == 0 &&
                        parser->line + 6 == line;
        return complete ? false : exposition_fail(parser, line, "data does not end with # EOF");
    }
    parser->line = line;
    return *line == '#' ? read_comment(parser, line) : read_sample(parser, line);
}

bool exposition_text_next(Exposition *parser)
{
    while (read_line(parser)) {
        bool skip = UNLIKELY(parser->wants_start) && parser->kind == EXPOSITION_SAMPLE &&
                    exposition_text_is_created(parser);
        if (!skip)
            return true;
    }
    return false;
}
