// SPDX-License-Identifier: Apache-2.0
// exposition.h: reads scraped bodies. A pull parser over the body; nothing is copied unless an escape forces it.
//
//     Exposition parser;
//     exposition_init(&parser, EXPOSITION_TEXT, body, &arena);
//     while (exposition_next(&parser)) switch (parser.kind) { ... }
//     if (parser.failed) ... parser.err names line and column
//
// Facts: prometheus.md sections 5.2 to 5.4. Views point into the body or the arena: both must outlive what is kept.
#pragma once

#include "metric/sample.h"

#define EXPOSITION_LINE_BYTES_MAX                                                                  \
    (1u << 20) // of one line (or one protobuf message: its limit is 64 times that)
#define EXPOSITION_LABELS_MAX 2000 // of one series

typedef enum ExpositionFormat {
    EXPOSITION_TEXT,
    EXPOSITION_OPENMETRICS,
    EXPOSITION_PROTOBUF
} ExpositionFormat;

typedef enum ExpositionKind {
    EXPOSITION_SAMPLE,    // series_text, value, t_ms if has_t
    EXPOSITION_HISTOGRAM, // series_text, histogram, t_ms if has_t
    EXPOSITION_TYPE,      // name, type
    EXPOSITION_HELP,      // name, text
    EXPOSITION_UNIT,      // name, text
    EXPOSITION_COMMENT,
} ExpositionKind;

typedef struct Exposition {
    ExpositionFormat format;
    Str body; // ends with a newline (a copy where the scraped one did not)
    Arena *arena;
    const char *at;       // the next unread byte
    const char *end;      // one past the body
    const char *line;     // start of the current line
    uint64_t line_number; // of the current line; counted only when something failed

    ExpositionKind kind;
    // The identity of a sample as it stands in the body: name and braces, up to the white space before the value. Equal bytes mean
    // an equal series, so a caller that remembers last scrape's texts in order need not parse labels at all.
    Str series_text;
    uint64_t series_hash; // of protobuf: stands for the text; 0: the text's own
    double value;
    int64_t t_ms;
    bool has_t;
    const Histogram *histogram;
    Str name; // of metadata lines
    Str text;
    MetricType type; // of the newest TYPE line
    bool has_exemplar;
    Str exemplar_text;

    // The pairs of a sample that exposition_next read, so that exposition_labels need not look for them again.
    struct ScanPair *pairs;
    uint32_t pair_count;
    const char *pairs_of; // the series_text they belong to

    // Protobuf only; set after init. A histogram that is classic and native at once gives the native one.
    bool keep_classic;                   // and the classic series behind it
    bool ignore_native;                  // the classic series alone
    struct ExpositionProtobuf *protobuf; // where in the message the protobuf reader stands

    // Set after init: start timestamps are wanted. Then OpenMetrics' _created lines are no samples of their own.
    bool wants_start;
    int64_t start_ms;        // of a sample: when what it counts began; 0: not told
    const char *start_until; // OpenMetrics: lines before this one have the same

    // Exemplars that were read already, instead of exemplar_text: of a converted histogram.
    const Exemplar *exemplars;
    size_t exemplar_count;

    bool failed;
    Error err;
} Exposition;

void exposition_init(Exposition *parser, ExpositionFormat format, Str body, Arena *arena);
// False at the end and on failure.
bool exposition_next(Exposition *parser);
// Hot path: if the next line begins with `guess` (last scrape's series_text) followed by a blank, takes it as the sample's
// identity without looking inside. False (nothing consumed) otherwise: call exposition_next.
bool exposition_next_guess(Exposition *parser, Str guess);
// The same for a caller that keeps of each text only its length and its hash: 12 bytes a series instead of the text, and half the bytes
// to walk, which costs less than the comparison once the texts do not fit the cache. Two texts of one length at the same place of a page are
// taken for one with a chance of 2^-64. Of protobuf the length does not count, and the sample has no series_text (ptr is NULL), so
// exposition_labels cannot be had of it.
bool exposition_next_hash(Exposition *parser, uint32_t series_bytes, uint64_t series_hash);
uint64_t exposition_series_hash(Str series_text);
// What exposition_next_hash is to be asked with for the current sample.
uint64_t exposition_sample_hash(const Exposition *parser);
// Labels of the current sample, "__name__" included, sorted, unescaped; `le` and `quantile` are rendered anew as OpenMetrics floats when
// the metric's type says so. Fails with the place in the line.
bool exposition_labels(Exposition *parser, Arena *arena, Labels *ret_labels, Error *err) MUST_CHECK;
// Takes the next exemplar of the current sample, which has_exemplar; a native histogram may have several. Then has_exemplar tells whether
// more are left. ERR_NOT_FOUND if none of those left is of use.
bool exposition_exemplar(Exposition *parser, Arena *arena, Exemplar *ret_exemplar,
                         Error *err) MUST_CHECK;

// The format of a Content-Type header; false if blank, malformed or unknown.
bool exposition_format_of(Str content_type, ExpositionFormat *ret_format);
