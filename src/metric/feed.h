// SPDX-License-Identifier: Apache-2.0
// feed.h: the joint through which what was poured is read again, in the order of the commits: what remote write forwards.
//
//     commit --> log --> FeedReader --batches--> remote write
//
// A place in it can be kept on disk: a reader that is opened there later goes on with the entry behind it, as long as the store still
// has it. There are two lanes: samples in order, and samples that came late. Thread: a FeedReader belongs to one.
#pragma once

#include "metric/sample.h"

#define FEED_LANES 2

// Before entry `entry` of the record at `offset` of segment `segment`, or before the first record behind it.
typedef struct FeedPlace {
    uint32_t segment;
    uint32_t entry;
    uint64_t offset;
} FeedPlace;

static inline bool feed_place_before(FeedPlace a, FeedPlace b)
{
    if (a.segment != b.segment)
        return a.segment < b.segment;
    if (a.offset != b.offset)
        return a.offset < b.offset;
    return a.entry < b.entry;
}

typedef enum FeedKind {
    FEED_SERIES,
    FEED_SAMPLES,
    FEED_HISTOGRAMS,
    FEED_EXEMPLARS,
    FEED_METADATA,
    FEED_ALIVE, // series last told of in a segment up to `segment` live only if their ref is in `refs`
} FeedKind;

#define FEED_KINDS 6

// Columns; which of them are there depends on the kind.
typedef struct FeedBatch {
    FeedKind kind;
    unsigned lane;
    FeedPlace start; // of the first entry; the others follow with rising `entry`
    FeedPlace end;   // behind the last
    uint32_t segment;
    size_t count;
    const uint64_t *refs;
    const int64_t *t_ms;     // samples, histograms, exemplars
    const int64_t *start_ms; // samples, histograms; NULL: none is known
    const double *values;
    const Histogram *const *histograms;
    const Exemplar *exemplars;
    const Labels *labels;
    const Metadata *metadata;
} FeedBatch;

typedef struct FeedReader FeedReader;
struct FeedReader {
    // The next batch, good until the next call. False: nothing now (ERR_NONE), or what is wrong.
    bool (*next)(FeedReader *reader, FeedBatch *ret_batch, Error *err);
    void (*close)(FeedReader *reader);
    // Where the reader stands, lane by lane.
    FeedPlace at[FEED_LANES];
    uint64_t lost_bytes;  // damaged, stepped over
    uint64_t lost_places; // times that the store had not kept what stood at the place asked for
};

typedef struct Feed Feed;
struct Feed {
    // `from` has FEED_LANES places; NULL: from now on. Series known before that place are told of first.
    bool (*open)(Feed *feed, const FeedPlace *from, FeedReader **ret_reader, Error *err);
};
