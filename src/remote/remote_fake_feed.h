// SPDX-License-Identifier: Apache-2.0
// remote_fake_feed.h: a Feed in memory for the room's tests and benchmark. What is put into it is handed out in order; it outlives its
// readers, as a log does.
#pragma once

#include <stdlib.h>

#include "base/lock.h"
#include "metric/feed.h"

typedef struct FakeRecord {
    FeedBatch batch;
    struct FakeRecord *next;
} FakeRecord;

typedef struct FakeFeed {
    Feed feed;
    Lock lock;
    Arena arena;
    FakeRecord *first, **last;
    uint64_t count;
} FakeFeed;

typedef struct FakeFeedReader {
    FeedReader reader;
    FakeFeed *feed;
    FakeRecord *previous; // NULL: none yet
    FeedPlace from;
} FakeFeedReader;

static inline bool fake_feed_next(FeedReader *reader, FeedBatch *ret_batch, Error *err)
{
    FakeFeedReader *r = CONTAINER_OF(reader, FakeFeedReader, reader);
    *err = (Error){0};
    lock_take(&r->feed->lock);
    FakeRecord *record = r->previous ? r->previous->next : r->feed->first;
    while (record && feed_place_before(record->batch.start, r->from) &&
           record->batch.kind != FEED_SERIES && record->batch.kind != FEED_METADATA) {
        r->previous = record;
        record = record->next;
    }
    if (record) {
        r->previous = record;
        *ret_batch = record->batch;
    }
    lock_give(&r->feed->lock);
    return record != NULL;
}

static inline void fake_feed_reader_close(FeedReader *reader)
{
    free(CONTAINER_OF(reader, FakeFeedReader, reader));
}

static inline bool fake_feed_open(Feed *feed, const FeedPlace *from, FeedReader **ret_reader,
                                  Error *err)
{
    FakeFeedReader *r = X_NEW(FakeFeedReader);
    (void)err;
    r->feed = CONTAINER_OF(feed, FakeFeed, feed);
    r->reader.next = fake_feed_next;
    r->reader.close = fake_feed_reader_close;
    lock_take(&r->feed->lock);
    r->from =
        from ? (FeedPlace){from[0].segment, 0, from[0].offset} : (FeedPlace){1, 0, r->feed->count};
    lock_give(&r->feed->lock);
    r->reader.at[0] = from ? from[0] : r->from;
    *ret_reader = &r->reader;
    return true;
}

static inline void fake_feed_init(FakeFeed *feed)
{
    *feed = (FakeFeed){.feed = {fake_feed_open}};
    feed->last = &feed->first;
    lock_init(&feed->lock, "fake_feed", 950);
}

static inline void fake_feed_deinit(FakeFeed *feed)
{
    arena_deinit(&feed->arena);
    lock_deinit(&feed->lock);
}

// The columns live as long as the feed: see its arena.
static inline void fake_feed_put(FakeFeed *feed, FeedBatch batch)
{
    lock_take(&feed->lock);
    FakeRecord *record = ARENA_NEW(&feed->arena, FakeRecord);
    batch.segment = 1;
    batch.start = (FeedPlace){1, 0, feed->count++};
    batch.end = (FeedPlace){1, 0, feed->count};
    record->batch = batch;
    *feed->last = record;
    feed->last = &record->next;
    lock_give(&feed->lock);
}

// Series 1 to `count`: {__name__="m", i="<ref>"}.
static inline void fake_feed_series(FakeFeed *feed, uint64_t count)
{
    uint64_t *refs = ARENA_ARRAY(&feed->arena, uint64_t, count);
    Labels *labels = ARENA_ARRAY(&feed->arena, Labels, count);
    for (uint64_t i = 0; i < count; i++) {
        Label *pairs = ARENA_ARRAY(&feed->arena, Label, 2);
        pairs[0] = (Label){S("__name__"), S("m")};
        pairs[1] = (Label){S("i"), arena_printf(&feed->arena, "%llu", (unsigned long long)i + 1)};
        refs[i] = i + 1;
        labels[i] = (Labels){pairs, 2};
    }
    fake_feed_put(feed,
                  (FeedBatch){.kind = FEED_SERIES, .count = count, .refs = refs, .labels = labels});
}

// A sample of each of the series 1 to `count`.
static inline void fake_feed_samples(FakeFeed *feed, uint64_t count, int64_t t_ms)
{
    uint64_t *refs = ARENA_ARRAY(&feed->arena, uint64_t, count);
    int64_t *times = ARENA_ARRAY(&feed->arena, int64_t, count);
    double *values = ARENA_ARRAY(&feed->arena, double, count);
    for (uint64_t i = 0; i < count; i++) {
        refs[i] = i + 1;
        times[i] = t_ms;
        values[i] = (double)t_ms + (double)i;
    }
    fake_feed_put(
        feed,
        (FeedBatch){
            .kind = FEED_SAMPLES, .count = count, .refs = refs, .t_ms = times, .values = values});
}
