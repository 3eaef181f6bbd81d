// SPDX-License-Identifier: Apache-2.0
// tool_page.h: a page in the text format 0.0.4 as metric families, read as strictly as Prometheus' linter reads it: each line ends with
// a newline, no second HELP or TYPE, no TYPE behind samples, no other escapes than the format's. Private to the room.
//
// A summary or histogram gathers its lines: `x_sum`, `x_count`, `x_bucket` belong to the family x if a TYPE line says what x is.
#pragma once

#include "metric/labels.h"

#define PAGE_BYTES_MAX ((size_t)1 << 30) // of a page
#define PAGE_LABELS_MAX 10000            // of one line

typedef enum PageType {
    PAGE_UNTYPED,
    PAGE_COUNTER,
    PAGE_GAUGE,
    PAGE_SUMMARY,
    PAGE_HISTOGRAM,
    PAGE_GAUGE_HISTOGRAM,
} PageType;

// "untyped", "counter", ..., "gauge_histogram".
const char *page_type_name(PageType type);

// A bucket or a quantile.
typedef struct PagePart {
    double bound; // le or quantile
    double value;
} PagePart;

typedef struct PageMetric {
    Label *labels; // as they stand in the line; without le of a histogram and quantile of a summary
    size_t label_count;
    double value;
    int64_t t_ms;
    bool has_t;
    double sum, count; // of summaries and histograms
    PagePart *parts;
    size_t part_count;
} PageMetric;

typedef struct PageFamily {
    Str name;
    Str help;
    PageType type;
    bool has_help, has_type;
    PageMetric *metrics;
    size_t metric_count;
} PageFamily;

typedef struct Page {
    PageFamily **items; // in the order of the page; all have metrics
    size_t count;
} Page;

// Everything lives in the arena, strings are views into `text` where nothing was escaped. Fails "text format parsing error in line N: ...".
bool page_read(Str text, Arena *arena, Page *ret_page, Error *err) MUST_CHECK;
