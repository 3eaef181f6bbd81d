// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition_nhcb.h"

#include <math.h>

#include "metric/exposition_internal.h"

enum { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

static const struct {
    const char *suffix;
    size_t len;
    int part;
} parts[] = {{"_bucket", 7, PART_BUCKET}, {"_count", 6, PART_COUNT}, {"_sum", 4, PART_SUM}};

void exposition_nhcb_init(ExpositionNhcb *group, Arena *arena)
{
    Buf key = group->line_key;
    *group = (ExpositionNhcb){.arena = arena, .line_key = key};
}

void exposition_nhcb_deinit(ExpositionNhcb *group)
{
    buf_deinit(&group->line_key);
}

// The line at hand ------------------------------------------------------------------------------------------------------------------------

// Which series of the TYPE line's histogram the name is of; *name loses the suffix.
static int part_of(const ExpositionNhcb *group, ScanQuoted *name)
{
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        Str suffix = str_make(parts[i].suffix, parts[i].len);
        if (name->raw.len <= suffix.len || !str_ends_with(name->raw, suffix))
            continue;
        name->raw.len -= suffix.len;
        Str plain = name->escaped ? exposition_unescape(group->arena, name->raw, true) : name->raw;
        return str_equal(plain, group->type_name) ? parts[i].part : PART_NONE;
    }
    return PART_NONE;
}

static void add_raw_pair(Buf *key, const ScanPairs *scan, bool name_was_quoted)
{
    if (key->ptr[key->len - 1] != '{')
        buf_add_char(key, ',');
    if (name_was_quoted)
        buf_add_char(key, '"');
    buf_add_str(key, scan->name.raw);
    if (name_was_quoted)
        buf_add_char(key, '"');
    buf_add_c(key, "=\"");
    buf_add_str(key, scan->value.raw);
    buf_add_char(key, '"');
}

// Writes the series text without suffix and `le` into line_key. PART_NONE if it is no line of a histogram.
static int read_line(ExpositionNhcb *group, const Exposition *parser)
{
    Buf *key = &group->line_key;
    Str text = parser->series_text;
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    int part = PART_NONE;
    bool has_bound = false;

    buf_reset(key);
    while (at < end && scan_is(*at, SCAN_METRIC_REST))
        at++;
    ScanQuoted name = {.raw = str_make(text.ptr, (size_t)(at - text.ptr))};
    if (name.raw.len) {
        part = part_of(group, &name);
        if (part == PART_NONE)
            return PART_NONE;
        buf_add_str(key, name.raw);
    }
    buf_add_char(key, '{');
    while (at < end && scan_is_blank(*at))
        at++;
    if (at < end && *at == '{') {
        ScanPairs scan = {.at = at + 1, .end = end, .lenient = parser->format == EXPOSITION_TEXT};
        ScanPairKind kind;
        while ((kind = scan_pair_next(&scan)) > SCAN_END) {
            if (kind == SCAN_NAME) {
                name = scan.name;
                part = part_of(group, &name);
                if (part == PART_NONE || key->len > 1)
                    return PART_NONE; // a name that does not stand first is left to the classic series
                buf_add_char(key, '"');
                buf_add_str(key, name.raw);
                buf_add_char(key, '"');
            } else if (str_is(scan.name.raw, "le")) {
                has_bound =
                    number_parse_double(scan.value.raw, &group->bound) && !isnan(group->bound);
            } else {
                add_raw_pair(key, &scan,
                             scan.name.raw.ptr > text.ptr && scan.name.raw.ptr[-1] == '"');
            }
        }
        if (kind == SCAN_BAD)
            return PART_NONE;
    }
    buf_add_char(key, '}');
    return part == PART_BUCKET && !has_bound ? PART_NONE : part;
}

bool exposition_nhcb_ends(ExpositionNhcb *group, const Exposition *parser)
{
    if (parser->kind == EXPOSITION_HISTOGRAM)
        group->native = parser->series_text;
    if (parser->kind == EXPOSITION_TYPE)
        group->type_name = parser->name;
    group->is_line = parser->kind == EXPOSITION_SAMPLE && parser->type == METRIC_HISTOGRAM;
    if (group->is_line) {
        group->part = read_line(group, parser);
        group->is_line = group->part != PART_NONE;
    }
    if (group->key.len == 0)
        return false;
    // A comment between the lines of a histogram does not end it.
    return parser->kind != EXPOSITION_COMMENT &&
           (!group->is_line || !str_equal(group->key, buf_str(&group->line_key)));
}

// Gathering -------------------------------------------------------------------------------------------------------------------------------

static void begin_group(ExpositionNhcb *group)
{
    group->key = arena_str(group->arena, buf_str(&group->line_key));
    group->bucket_count = 0;
    group->exemplars = NULL; // those of the one before may be in use
    group->exemplar_count = group->exemplar_cap = 0;
    group->has_count = group->has_sum = group->has_t = false;
    group->count = group->sum = 0;
    group->t_ms = group->start_ms = 0;
}

// In order of the bounds, which is how they mostly come; of equal ones the first counts.
static void add_bucket(ExpositionNhcb *group, double bound, double count)
{
    Arena *arena = group->arena;
    if (group->bucket_count == HISTOGRAM_BUCKETS_MAX)
        return; // the count will not be that of the last bucket
    if (group->bucket_count == group->bucket_cap) {
        size_t bytes = group->bucket_cap * sizeof(double);
        group->bucket_cap = MAX(group->bucket_cap * 2, (size_t)16);
        group->bounds = arena_grow(arena, group->bounds, bytes, group->bucket_cap * sizeof(double));
        group->counts = arena_grow(arena, group->counts, bytes, group->bucket_cap * sizeof(double));
    }
    size_t at = group->bucket_count;
    while (at > 0 && group->bounds[at - 1] > bound)
        at--;
    if (at > 0 && group->bounds[at - 1] == bound)
        return;
    size_t behind = group->bucket_count++ - at;
    memmove(group->bounds + at + 1, group->bounds + at, behind * sizeof(double));
    memmove(group->counts + at + 1, group->counts + at, behind * sizeof(double));
    group->bounds[at] = bound;
    group->counts[at] = count;
}

static void add_exemplars(ExpositionNhcb *group, Exposition *parser)
{
    Exemplar exemplar;
    Error ignored; // a bad exemplar costs itself alone
    while (parser->has_exemplar && exposition_exemplar(parser, group->arena, &exemplar, &ignored)) {
        if (!exemplar.has_t)
            continue;
        if (group->exemplar_count == group->exemplar_cap) {
            size_t bytes = group->exemplar_cap * sizeof(Exemplar);
            group->exemplar_cap = MAX(group->exemplar_cap * 2, (size_t)4);
            group->exemplars = arena_grow(group->arena, group->exemplars, bytes,
                                          group->exemplar_cap * sizeof(Exemplar));
        }
        group->exemplars[group->exemplar_count++] = exemplar;
    }
}

bool exposition_nhcb_add(ExpositionNhcb *group, Exposition *parser)
{
    if (!group->is_line)
        return false;
    if (group->key.len == 0)
        begin_group(group);
    group->has_t |= parser->has_t;
    if (parser->has_t)
        group->t_ms = parser->t_ms;
    if (parser->start_ms)
        group->start_ms = parser->start_ms;
    switch (group->part) {
    case PART_BUCKET:
        add_bucket(group, group->bound, parser->value);
        add_exemplars(group, parser);
        break;
    case PART_COUNT:
        group->has_count = true;
        group->count = parser->value;
        break;
    default:
        group->has_sum = true;
        group->sum = parser->value;
    }
    return true;
}

// Making the histogram ---------------------------------------------------------------------------------------------------------------------

static bool is_whole(double value)
{
    return value == floor(value) && value < 9007199254740992.0;
}

// Buckets up to +Inf, cumulative, none below the one before; the count is the last one's, and each may be told by the other alone. False:
// they make no histogram.
static bool settle_buckets(ExpositionNhcb *group)
{
    size_t n = group->bucket_count;
    if (!group->has_count && n)
        group->count = group->counts[n - 1];
    if (n == 0 || group->bounds[n - 1] < INFINITY)
        add_bucket(group, INFINITY, group->count);
    n = group->bucket_count;
    for (size_t i = 0; i < n; i++)
        if (!(group->counts[i] >= (i ? group->counts[i - 1] : 0)))
            return false;
    return group->count == group->counts[n - 1];
}

static const Histogram *make_histogram(ExpositionNhcb *group)
{
    Arena *arena = group->arena;
    if (!settle_buckets(group))
        return NULL;
    size_t n = group->bucket_count;
    double *buckets = ARENA_ARRAY(arena, double, n);
    double *bounds = ARENA_ARRAY(arena, double, n);
    HistogramSpan *span = ARENA_NEW(arena, HistogramSpan);
    bool is_integer = true;
    for (size_t i = 0; i < n; i++) {
        is_integer &= is_whole(group->counts[i]);
        buckets[i] = group->counts[i] - (i ? group->counts[i - 1] : 0);
    }
    memcpy(bounds, group->bounds, (n - 1) * sizeof *bounds);
    *span = (HistogramSpan){0, (uint32_t)n};
    Histogram *h = ARENA_NEW(arena, Histogram);
    *h = (Histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                     .is_integer = is_integer,
                     .count = group->counts[n - 1],
                     .sum = group->sum,
                     .positive_spans = span,
                     .positive_span_count = 1,
                     .positive_buckets = buckets,
                     .positive_count = (uint32_t)n,
                     .custom_bounds = bounds,
                     .custom_count = (uint32_t)(n - 1)};
    Error ignored;
    Histogram *compact = histogram_compact(arena, h, is_integer ? 2 : 0);
    return histogram_validate(compact, &ignored) ? compact : NULL;
}

bool exposition_nhcb_finish(ExpositionNhcb *group, const Exposition *parser, Exposition *ret_sample)
{
    Str key = group->key;
    group->key = STR_NONE;
    if (key.len == 0 || str_equal(key, group->native))
        return false;
    const Histogram *histogram = make_histogram(group);
    if (!histogram)
        return false;
    *ret_sample = *parser;
    ret_sample->kind = EXPOSITION_HISTOGRAM;
    ret_sample->series_text = key;
    ret_sample->series_hash = 0;
    ret_sample->pairs_of = NULL;
    ret_sample->histogram = histogram;
    ret_sample->type = METRIC_HISTOGRAM;
    ret_sample->has_t = group->has_t;
    ret_sample->t_ms = group->t_ms;
    ret_sample->start_ms = group->start_ms;
    ret_sample->exemplars = group->exemplars;
    ret_sample->exemplar_count = group->exemplar_count;
    ret_sample->has_exemplar = group->exemplar_count > 0;
    return true;
}
