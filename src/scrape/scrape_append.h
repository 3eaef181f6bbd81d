// SPDX-License-Identifier: Apache-2.0
// scrape_append.h: one scraped body into a Sink: the hot path of the room, without network and clock.
// Facts: prometheus.md sections 5.5 and 5.6.
//
// Thread: a ScrapeWork and the ScrapeStates used with it belong to one thread.
#pragma once

#include "metric/exposition_nhcb.h"
#include "metric/sink.h"
#include "scrape/comment_cache.h"
#include "scrape/scrape_synthesis.h"
#include "scrape/series_cache.h"
#include "scrape/target.h"

#define SCRAPE_BATCH 256 // samples per call into the sink
#define SCRAPE_ZERO 0x80 // in ScrapeWork.types
#define SCRAPE_NAMES 32  // label positions whose last valid name is remembered

typedef enum ReportSeries {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SCRAPED,
    REPORT_POST_RELABEL,
    REPORT_ADDED,
    REPORT_TIMEOUT, // from here on only with extra_scrape_metrics
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_BYTES,
    REPORT_COUNT,
} ReportSeries;

// What a target keeps from scrape to scrape.
typedef struct ScrapeState {
    SeriesCache series;
    MetadataCache metadata;
    CommentCache comments;
    Synthesis synthesis; // empty without the feature
    SeriesRef reports[REPORT_COUNT];
    bool has_reported;
    int64_t newest_ms; // of the last scrape that went well; 0: none
} ScrapeState;

// What went wrong with single samples; added to the room's counters by the caller.
typedef struct ScrapeFaults {
    uint64_t out_of_order;
    uint64_t duplicate_timestamp;
    uint64_t out_of_bounds;
    uint64_t exemplar_out_of_order;
    bool sample_limit;
    bool label_limit;
    bool histogram_bucket_limit;
    bool body_limit;
} ScrapeFaults;

// Reused from scrape to scrape.
typedef struct ScrapeWork {
    Arena arena;   // of the parser: one scrape
    Arena scratch; // of one series
    MetadataPool metadata;
    ExpositionNhcb nhcb;
    SinkSample samples[SCRAPE_BATCH];
    uint32_t positions[SCRAPE_BATCH]; // of each sample's slot
    const char
        *texts[SCRAPE_BATCH]; // its series_text, in case the ref has gone; NULL: it was not made
    uint8_t types
        [SCRAPE_BATCH]; // the MetricType at its line; SCRAPE_ZERO with it for a sample that is made up
    size_t count;
    Str names
        [SCRAPE_NAMES]; // label names found valid in this scrape, by position: the next series has mostly the same
    Str metric; // the metric name found valid last, likewise
} ScrapeWork;

typedef struct ScrapeInput {
    const ScrapeConfig *config;
    const TargetSpec *target;
    Str body;
    ExpositionFormat format;
    const Error *failed; // no body: the fetch went wrong
    int64_t t_ms;        // of all samples without a timestamp of their own
    int64_t now_ms;
    bool start_times;  // start timestamps go to the sink
    bool zero_samples; // and a sample of zero is stored at each new one
    bool synthesize;   // where there is no start timestamp: scrape_synthesis.h
    bool type_and_unit_labels;
} ScrapeInput;

typedef struct ScrapeResult {
    bool up;
    uint64_t scraped;
    uint64_t post_relabel;
    uint64_t added;
    ScrapeFaults faults;
    Error err;        // when not up
    Error commit_err; // code != ERR_NONE: the store refused the whole
} ScrapeResult;

void scrape_state_deinit(ScrapeState *state, ScrapeWork *work);
void scrape_work_deinit(ScrapeWork *work);

// Appends the samples, the stale markers and the report. `duration_s` is asked for just before the report is written.
void scrape_append(ScrapeState *state, ScrapeWork *work, Sink *sink, const ScrapeInput *input,
                   double (*duration_s)(void *arg), void *arg, ScrapeResult *ret_result);
// All series and the report go stale at t_ms: the target has gone.
void scrape_append_stale(ScrapeState *state, ScrapeWork *work, Sink *sink,
                         const ScrapeInput *input);
