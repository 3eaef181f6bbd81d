// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_tail.h"

#include <stdlib.h>

#include "base/number.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"

enum {
    TAIL_FILL_BYTES = 256 * 1024,
    CHECKPOINT_LOOK_CALLS = 64, // of those that find nothing
};

struct WalTail {
    Feed feed;
    Fs *fs;
    Arena arena;
    Str dirs[FEED_LANES];
};

// One folder of segments.
typedef struct Lane {
    Fs *fs;
    Str dir;
    File file;
    uint32_t segment;
    bool is_open;
    bool
        is_sealed; // there is a later segment, and this one was read to its end since that was seen
    uint64_t base; // of the window, a page's start
    Buf window;
    WalReader reader;
    uint64_t lost_bytes;
} Lane;

typedef struct TailReader {
    FeedReader base;
    WalTail *tail;
    Lane lanes[FEED_LANES];
    FeedPlace from[FEED_LANES]; // before it only series count
    uint32_t checkpoint;        // number of the newest one that was looked at, + 1
    Lane history;               // the checkpoint, while it is read
    bool in_history;
    bool has_held; // a record of lane 1 waits until lane 0 has nothing
    Str held;
    uint64_t held_start;
    uint32_t idle_calls;
    Arena paths;
    Arena arena; // of the current batch
} TailReader;

// A lane ---------------------------------------------------------------------------------------------------------------------------

static void lane_init(Lane *lane, Fs *fs, Str dir)
{
    *lane = (Lane){.fs = fs, .dir = dir, .file = FILE_NONE};
    wal_reader_init(&lane->reader, S(""));
}

static void lane_deinit(Lane *lane)
{
    if (lane->is_open)
        file_close(&lane->file);
    lane->is_open = false;
    wal_reader_deinit(&lane->reader);
    buf_deinit(&lane->window);
}

// The smallest segment that is at least `number`. False: none (ERR_NONE) or a failure.
static bool find_segment(const Lane *lane, uint32_t number, uint32_t *ret_number, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments;
    *err = (Error){0};
    if (!wal_list(lane->fs, lane->dir, &scratch, &segments, err))
        return false;
    for (size_t i = 0; i < segments.count; i++) {
        if (segments.items[i].number >= number) {
            *ret_number = segments.items[i].number;
            return true;
        }
    }
    return false;
}

static bool lane_open(Lane *lane, uint32_t number, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    File file = FILE_NONE;
    if (!fs_open(lane->fs, wal_segment_path(&scratch, lane->dir, number), FS_READ, &file, err))
        return false;
    if (lane->is_open)
        file_close(&lane->file);
    lane->file = file;
    lane->is_open = true;
    lane->is_sealed = false;
    lane->segment = number;
    lane->base = 0;
    buf_reset(&lane->window);
    lane->reader.bytes = S("");
    lane->reader.at = lane->reader.good_end = 0;
    return true;
}

// Forgets the pages that were read, takes what more the file has. *ret_more: there was something.
static bool lane_fill(Lane *lane, bool *ret_more, Error *err)
{
    WalReader *r = &lane->reader;
    size_t keep = r->good_end / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
    if (keep) {
        memmove(lane->window.ptr, lane->window.ptr + keep, lane->window.len - keep);
        lane->window.len -= keep;
        lane->base += keep;
        r->good_end -= keep;
    }
    size_t got = 0;
    char *into = buf_reserve(&lane->window, TAIL_FILL_BYTES);
    if (!file_read_at(&lane->file, lane->base + lane->window.len, into, TAIL_FILL_BYTES, &got, err))
        return false;
    lane->window.len += got;
    r->bytes = buf_str(&lane->window);
    r->at = r->good_end;
    *ret_more = got > 0;
    return true;
}

// What a complete segment has behind its last good record, if it is not the empty rest of a page.
static uint64_t lost_at_end(const Lane *lane)
{
    const WalReader *r = &lane->reader;
    for (size_t i = r->good_end; i < r->bytes.len; i++)
        if (r->bytes.ptr[i])
            return r->bytes.len - r->good_end;
    return 0;
}

// The next whole record and where it begins. False: nothing now (ERR_NONE), or a failure.
static bool lane_next(Lane *lane, Str *ret_record, uint64_t *ret_start, Error *err)
{
    WalReader *r = &lane->reader;
    uint32_t number;
    bool more;
    *err = (Error){0};
    if (!lane->is_open &&
        (!find_segment(lane, lane->segment, &number, err) || !lane_open(lane, number, err)))
        return false;
    for (;;) {
        uint64_t start = lane->base + r->good_end;
        r->at = r->good_end;
        r->lost_bytes = 0;
        if (wal_reader_next(r, ret_record)) {
            lane->lost_bytes += r->lost_bytes;
            *ret_start = start;
            return true;
        }
        if (!lane_fill(lane, &more, err))
            return false;
        if (more)
            continue;
        if (!lane->is_sealed) {
            if (!find_segment(lane, lane->segment + 1, &number, err))
                return false;
            lane->is_sealed = true; // once more: it may have grown before it was sealed
            continue;
        }
        lane->lost_bytes += lost_at_end(lane);
        if (!find_segment(lane, lane->segment + 1, &number, err) || !lane_open(lane, number, err))
            return false;
    }
}

static FeedPlace lane_place(const Lane *lane)
{
    return (FeedPlace){lane->segment, 0, lane->base + lane->reader.good_end};
}

// Records to batches -----------------------------------------------------------------------------------------------------------------

typedef struct Columns {
    uint64_t *refs;
    int64_t *t_ms, *start_ms;
    double *values;
    const Histogram **histograms;
    Exemplar *exemplars;
    Labels *labels;
    Metadata *metadata;
    size_t count, cap;
} Columns;

#define GROW(column)                                                                               \
    c->column = arena_grow(arena, c->column, c->cap * sizeof *c->column, cap * sizeof *c->column)

static void columns_grow(Columns *c, FeedKind kind, Arena *arena)
{
    size_t cap = MAX(c->cap * 2, 256u);
    GROW(refs);
    if (kind == FEED_SAMPLES || kind == FEED_HISTOGRAMS) {
        GROW(t_ms);
        GROW(start_ms);
    }
    if (kind == FEED_SAMPLES)
        GROW(values);
    if (kind == FEED_HISTOGRAMS)
        GROW(histograms);
    if (kind == FEED_EXEMPLARS)
        GROW(exemplars);
    if (kind == FEED_SERIES)
        GROW(labels);
    if (kind == FEED_METADATA)
        GROW(metadata);
    c->cap = cap;
}

static void columns_add(Columns *c, FeedKind kind, const WalEntry *e, Arena *arena)
{
    if (c->count == c->cap)
        columns_grow(c, kind, arena);
    size_t i = c->count++;
    c->refs[i] = e->ref;
    if (kind == FEED_SAMPLES || kind == FEED_HISTOGRAMS) {
        c->t_ms[i] = e->t_ms;
        c->start_ms[i] = e->start_ms;
    }
    if (kind == FEED_SAMPLES)
        c->values[i] = e->value;
    else if (kind == FEED_HISTOGRAMS)
        c->histograms[i] = e->histogram;
    else if (kind == FEED_EXEMPLARS)
        c->exemplars[i] = e->exemplar;
    else if (kind == FEED_SERIES)
        c->labels[i] = e->labels;
    else if (kind == FEED_METADATA)
        c->metadata[i] = e->metadata;
}

static bool kind_of(WalRecordType type, FeedKind *ret_kind)
{
    switch (type) {
    case WAL_SERIES:
        *ret_kind = FEED_SERIES;
        return true;
    case WAL_SAMPLES:
    case WAL_SAMPLES_V2:
        *ret_kind = FEED_SAMPLES;
        return true;
    case WAL_EXEMPLARS:
        *ret_kind = FEED_EXEMPLARS;
        return true;
    case WAL_METADATA:
        *ret_kind = FEED_METADATA;
        return true;
    case WAL_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        *ret_kind = FEED_HISTOGRAMS;
        return true;
    case WAL_TOMBSTONES:
    case WAL_MMAP_MARKERS:
        return false;
    }
    return false;
}

// The most common record, without the detour over WalEntry.
static size_t decode_samples(Str record, Arena *arena, FeedBatch *batch)
{
    Reader in = reader_from(str_skip(record, 1));
    uint64_t first_ref = reader_u64be(&in);
    int64_t first_t = (int64_t)reader_u64be(&in);
    size_t cap = reader_left(&in) / 10; // bytes of the shortest entry
    uint64_t *refs = ARENA_ARRAY(arena, uint64_t, cap);
    int64_t *t_ms = ARENA_ARRAY(arena, int64_t, cap);
    double *values = ARENA_ARRAY(arena, double, cap);
    size_t count = 0;
    while (in.at < in.end && count < cap) {
        refs[count] = first_ref + (uint64_t)reader_varint(&in);
        t_ms[count] = (int64_t)((uint64_t)first_t + (uint64_t)reader_varint(&in));
        values[count] = double_from_bits(reader_u64be(&in));
        if (in.failed)
            break;
        count++;
    }
    batch->refs = refs;
    batch->t_ms = t_ms;
    batch->values = values;
    return count;
}

static bool decode(Str record, Arena *arena, FeedBatch *ret_batch)
{
    WalRecordReader reader = wal_record_read(record, arena);
    FeedBatch batch = {0};
    if (!kind_of(reader.type, &batch.kind))
        return false;
    if (reader.type == WAL_SAMPLES) {
        batch.count = decode_samples(record, arena, &batch);
    } else {
        Columns columns = {0};
        WalEntry entry;
        bool has_starts = reader.type == WAL_SAMPLES_V2 || reader.type >= WAL_HISTOGRAMS_V2;
        while (wal_record_next(&reader, &entry))
            columns_add(&columns, batch.kind, &entry, arena);
        batch.count = columns.count;
        batch.refs = columns.refs;
        batch.t_ms = columns.t_ms;
        batch.start_ms = has_starts ? columns.start_ms : NULL;
        batch.values = columns.values;
        batch.histograms = columns.histograms;
        batch.exemplars = columns.exemplars;
        batch.labels = columns.labels;
        batch.metadata = columns.metadata;
    }
    *ret_batch = batch;
    return batch.count > 0;
}

// The reader -------------------------------------------------------------------------------------------------------------------------

static bool tells_of_series(FeedKind kind)
{
    return kind == FEED_SERIES || kind == FEED_METADATA;
}

// The refs of a checkpoint, for FEED_ALIVE.
static bool read_alive(TailReader *t, Str path, uint32_t number, FeedBatch *ret_batch, Error *err)
{
    Lane lane;
    Str record;
    uint64_t start;
    Columns columns = {0};
    lane_init(&lane, t->tail->fs, path);
    while (lane_next(&lane, &record, &start, err)) {
        WalEntry entry;
        WalRecordReader reader = wal_record_read(record, &t->arena);
        while (reader.type == WAL_SERIES && wal_record_next(&reader, &entry))
            columns_add(&columns, FEED_ALIVE, &entry, &t->arena);
    }
    lane_deinit(&lane);
    if (err->code != ERR_NONE)
        return false;
    *ret_batch = (FeedBatch){
        .kind = FEED_ALIVE, .segment = number, .count = columns.count, .refs = columns.refs};
    return true;
}

// A checkpoint that came since the last look. False: none (ERR_NONE), or a failure.
static bool look_for_checkpoint(TailReader *t, FeedBatch *ret_batch, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    Str path;
    uint32_t number;
    if (!wal_find_checkpoint(t->tail->fs, t->tail->dirs[0], &scratch, &path, &number, err) ||
        number < t->checkpoint)
        return false;
    if (!read_alive(t, path, number, ret_batch, err))
        return false;
    t->checkpoint = number + 1;
    return true;
}

// Turns a record into a batch; false: nothing of it counts.
static bool take_record(TailReader *t, unsigned lane, Str record, uint64_t start,
                        FeedBatch *ret_batch)
{
    Lane *l = &t->lanes[lane];
    FeedPlace place = {l->segment, 0, start};
    FeedPlace before = {t->from[lane].segment, 0, t->from[lane].offset};
    if (!feed_place_before(lane_place(l), t->base.at[lane]))
        t->base.at[lane] = lane_place(l);
    if (!decode(record, &t->arena, ret_batch) ||
        (feed_place_before(place, before) && !tells_of_series(ret_batch->kind)))
        return false;
    ret_batch->lane = lane;
    ret_batch->start = place;
    ret_batch->end = lane_place(l);
    ret_batch->segment = l->segment;
    return true;
}

// Series of the checkpoint, first of all.
static bool next_of_history(TailReader *t, FeedBatch *ret_batch, Error *err)
{
    Str record;
    uint64_t start;
    while (lane_next(&t->history, &record, &start, err)) {
        arena_reset(&t->arena);
        if (decode(record, &t->arena, ret_batch) && tells_of_series(ret_batch->kind)) {
            ret_batch->segment = t->checkpoint - 1;
            return true;
        }
    }
    // A checkpoint may be replaced by a newer one while it is read: what it lacked comes with the segments, or was dropped.
    if (err->code == ERR_NOT_FOUND)
        *err = (Error){0};
    t->in_history = err->code != ERR_NONE;
    return false;
}

static bool next_in_order(TailReader *t, FeedBatch *ret_batch, Error *err)
{
    Str record;
    uint64_t start;
    while (lane_next(&t->lanes[0], &record, &start, err)) {
        arena_reset(&t->arena);
        if (take_record(t, 0, record, start, ret_batch))
            return true;
    }
    return false;
}

static bool reader_next(FeedReader *base, FeedBatch *ret_batch, Error *err)
{
    TailReader *t = CONTAINER_OF(base, TailReader, base);
    Lane *late = &t->lanes[1];
    *err = (Error){0};
    arena_reset(&t->arena);
    if (t->in_history && next_of_history(t, ret_batch, err))
        return true;
    if (err->code != ERR_NONE)
        return false;
    for (;;) {
        if (next_in_order(t, ret_batch, err))
            break;
        if (err->code != ERR_NONE)
            return false;
        if (t->has_held) {
            t->has_held = false;
            if (take_record(t, 1, t->held, t->held_start, ret_batch))
                break;
            continue;
        }
        t->has_held = lane_next(late, &t->held, &t->held_start, err);
        if (err->code != ERR_NONE)
            return false;
        if (!t->has_held)
            return t->idle_calls++ % CHECKPOINT_LOOK_CALLS == 0 &&
                   look_for_checkpoint(t, ret_batch, err);
    }
    t->base.lost_bytes = t->lanes[0].lost_bytes + late->lost_bytes;
    return true;
}

static void reader_close(FeedReader *base)
{
    TailReader *t = CONTAINER_OF(base, TailReader, base);
    for (size_t i = 0; i < FEED_LANES; i++)
        lane_deinit(&t->lanes[i]);
    if (t->checkpoint)
        lane_deinit(&t->history);
    arena_deinit(&t->paths);
    arena_deinit(&t->arena);
    free(t);
}

// Where the log ends now.
static bool end_of(const Lane *lane, FeedPlace *ret_place, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    WalSegments segments;
    if (!wal_list(lane->fs, lane->dir, &scratch, &segments, err))
        return false;
    *ret_place = (FeedPlace){0};
    if (segments.count) {
        const WalSegment *last = &segments.items[segments.count - 1];
        *ret_place = (FeedPlace){last->number, 0, last->bytes};
    }
    return true;
}

// Both lanes begin at their oldest segment that counts: lane 0 for its series, lane 1 at the place.
static bool begin(TailReader *t, const FeedPlace *from, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    Str path;
    uint32_t number;
    for (unsigned i = 0; i < FEED_LANES; i++) {
        if (from)
            t->from[i] = from[i];
        else if (!end_of(&t->lanes[i], &t->from[i], err))
            return false;
    }
    if (wal_find_checkpoint(t->tail->fs, t->tail->dirs[0], &scratch, &path, &number, err)) {
        t->checkpoint = number + 1;
        t->in_history = true;
        lane_init(&t->history, t->tail->fs, arena_str(&t->paths, path));
        t->lanes[0].segment = number + 1;
    } else if (err->code != ERR_NONE) {
        return false;
    }
    t->lanes[1].segment = t->from[1].segment;
    for (unsigned i = 0; from && i < FEED_LANES; i++) {
        bool found = find_segment(&t->lanes[i], 0, &number, err);
        if (!found && err->code != ERR_NONE)
            return false;
        t->base.lost_places += i == 0 && found && number > from[i].segment;
    }
    for (unsigned i = 0; i < FEED_LANES; i++)
        t->base.at[i] = t->from[i];
    return true;
}

static bool open_reader(Feed *feed, const FeedPlace *from, FeedReader **ret_reader, Error *err)
{
    WalTail *tail = CONTAINER_OF(feed, WalTail, feed);
    TailReader *t = X_NEW(TailReader);
    t->tail = tail;
    t->base.next = reader_next;
    t->base.close = reader_close;
    for (size_t i = 0; i < FEED_LANES; i++)
        lane_init(&t->lanes[i], tail->fs, tail->dirs[i]);
    if (!begin(t, from, err)) {
        reader_close(&t->base);
        return error_context(err, "reading the log");
    }
    *ret_reader = &t->base;
    return true;
}

WalTail *wal_tail_new(Fs *fs, Str dir)
{
    WalTail *tail = X_NEW(WalTail);
    tail->feed.open = open_reader;
    tail->fs = fs;
    tail->dirs[0] = fs_join(&tail->arena, dir, S("wal"));
    tail->dirs[1] = fs_join(&tail->arena, dir, S("wbl"));
    return tail;
}

void wal_tail_free(WalTail *tail)
{
    if (!tail)
        return;
    arena_deinit(&tail->arena);
    free(tail);
}

Feed *wal_tail_feed(WalTail *tail)
{
    return &tail->feed;
}
