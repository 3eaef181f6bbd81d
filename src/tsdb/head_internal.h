// SPDX-License-Identifier: Apache-2.0
// head_internal.h: what the head_*.c files share. For nobody else.
#pragma once

#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/thread.h"
#include "tsdb/chunk_histogram.h"
#include "tsdb/head.h"
#include "tsdb/head_exemplars.h"
#include "tsdb/head_full.h"
#include "tsdb/head_index.h"
#include "tsdb/head_open.h"
#include "tsdb/intervals.h"
#include "tsdb/ref_map.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"

// Ranks of locks; a thread takes them in rising order.
enum {
    RANK_HEAD_TRUNCATE = 290,
    RANK_HEAD_COMMIT = 300,
    RANK_HEAD_CREATE = 305,
    RANK_HEAD_INDEX = 310,
    RANK_HEAD_APPLY = 320,
    RANK_HEAD_READERS = 330,
    RANK_HEAD_STRIPE = 340,
    RANK_HEAD_UNLOGGED = 350,
    RANK_HEAD_METADATA = 360,
    RANK_HEAD_EXEMPLARS = 370,
};

// --- out-of-order samples of a series ---

#define OUT_OF_ORDER_BUFFER 32      // samples, then they become a chunk
#define OUT_OF_ORDER_BUFFER_MAX 240 // while an open Querier must not see the newest of them yet

typedef struct OutOfOrderSample {
    int64_t t_ms;
    double value;
    Histogram *histogram; // on the heap, one piece; NULL: a float
    uint32_t epoch;
    bool stranded;    // at a start: their log has it only before the marker of a chunk that is gone
    int64_t start_ms; // 0: not known
} OutOfOrderSample;

typedef struct OutOfOrderChunk {
    HeadChunkRef ref;
    int64_t min_t_ms;
    int64_t max_t_ms;
} OutOfOrderChunk;

// From sample `from` of the open chunk on its samples have this start, up to the next run.
typedef struct StartRun {
    uint32_t from;
    int64_t start_ms;
} StartRun;

// What only few series have.
typedef struct SeriesExtra {
    ChunkHistogram *histogram; // open chunk; NULL: none
    OutOfOrderSample *buffer;  // rising, each time once
    uint32_t buffer_count;
    uint32_t buffer_cap;
    OutOfOrderChunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_cap;
    uint32_t frozen; // the first of chunks are being made a block of
    Intervals deleted;
    StartRun *starts; // of the open chunk, rising; if SERIES_HAS_STARTS
    uint32_t start_count;
    uint32_t start_cap;
} SeriesExtra;

// --- isolation ---

typedef struct UndoEntry {
    int64_t t_ms; // newest in-order time before; INT64_MIN: none
    SeriesSlot slot;
    uint32_t epoch_before;
    uint32_t before; // entry of the same slot, if its slot says so
} UndoEntry;

// Entries below `next` were pushed at epochs up to this one.
typedef struct UndoMark {
    uint64_t epoch;
    uint32_t next;
} UndoMark;

#define UNDO_PAGE 4096
#define UNDO_PAGES 16384

// Entries are numbered without end; those below `base` are gone.
typedef struct UndoRing {
    UndoEntry **pages; // number / UNDO_PAGE % UNDO_PAGES
    uint32_t base;
    uint32_t next;
    UndoMark *marks; // rising, so that the ring can be cut
    size_t mark_count;
    size_t mark_cap;
} UndoRing;

// --- appending ---

#define PENDING_LATE                                                                               \
    0x80000000u // out of order already when it was judged: not for the log of the in-order ones

typedef struct PendingExtra {
    SeriesSlot slot;
    uint32_t histogram; // 1 + index; 0: a float; and PENDING_LATE
} PendingExtra;

typedef struct PendingMetadata {
    uint64_t ref;
    Str name;
    Metadata metadata;
} PendingMetadata;

typedef struct PendingExemplar {
    uint64_t ref;
    Exemplar exemplar;
} PendingExemplar;

typedef struct RecordSpan {
    size_t start, len, raw_bytes;
    WalFlags flags;
} RecordSpan;

// Records of series that the log does not know yet.
typedef struct HeadUnlogged {
    Buf raw;    // of the record under way
    Buf packed; // those before
    RecordSpan *records;
    size_t count;
    size_t cap;
} HeadUnlogged;

typedef struct HeadAppender HeadAppender;
struct HeadAppender {
    Appender appender;
    Head *head;
    int64_t max_t; // of the head, as of begin
    int64_t min_valid_t;
    WalSample *samples;
    PendingExtra *places;
    size_t count;
    size_t cap;
    int64_t *starts; // of samples, if has_starts
    size_t start_cap;
    bool has_starts;
    size_t *
        cuts; // where a new run of records must begin, so that replay sees a series' samples in order
    size_t cut_count;
    size_t cut_cap;
    bool strict_order;
    unsigned kinds; // in the newest run: 1 floats, 2 histograms
    size_t late;    // samples with PENDING_LATE
    const Histogram **histograms;
    size_t histogram_count;
    size_t histogram_cap;
    PendingMetadata *metadata;
    size_t metadata_count;
    size_t metadata_cap;
    PendingExemplar *exemplars;
    size_t exemplar_count;
    size_t exemplar_cap;
    LabelKey key;
    bool creates; // the newest series it asked for was new
    Arena arena;
    Buf raw;
    Buf packed;
    RecordSpan *records;
    size_t record_count;
    size_t record_cap;
    // in the queue
    HeadAppender *next;
    bool done;
    bool ok;
    Error err;
};

// --- reading ---

typedef struct HeadQuerier HeadQuerier;
struct HeadQuerier {
    Querier querier;
    Head *head;
    uint64_t epoch;
    uint64_t number; // of the opening
    int64_t min_t_ms;
    int64_t max_t_ms;
    int64_t floor_t_ms; // in-order samples below are in blocks
    HeadChunkPins pins;
    HeadQuerier *next;
    HeadQuerier *previous;
};

// --- the head ---

// What is known about the image of the series, head_image.h. Under truncate_lock.
typedef struct HeadImageState {
    uint64_t created;   // series_created at the image
    uint64_t log_bytes; // written at the image
    uint32_t segment;   // of its place
    bool stale;         // there is none, or it will not fit
    uint64_t seen;      // series_created at the last look
} HeadImageState;

#define HEAD_SETTLING_PLACES 32

typedef struct HeadSettlingPlace {
    WalPlace place;
    int64_t max_t_ms; // newest sample before it
} HeadSettlingPlace;

// How much of the log is in full chunks, head_settled.h. Under truncate_lock.
typedef struct HeadSettling {
    HeadSettlingPlace places[HEAD_SETTLING_PLACES]; // noted and not settled yet, rising
    size_t count;
    uint64_t step_bytes; // of log from one to the next; 0: the least
    uint64_t log_bytes;  // written at the newest
    int64_t next_look_ns;
    uint64_t stuck_ref; // of the series at which the last look has ended; 0: none
    WalPlace written;   // in the file, if
    bool has_written;
    bool stale; // the file names chunk files that are gone
} HeadSettling;

// In the log a tombstone. One that begins at INT64_MIN (HEAD_ENDED) is no user's: what the series had by then has a block and is not to be read again.
typedef struct HeadDeletion {
    uint64_t ref;
    Interval interval;
} HeadDeletion;

#define HEAD_ENDED INT64_MIN

struct Head {
    Sink sink;
    Source source;
    HeadOptions options;
    Arena arena; // owns the folders' names
    Str wal_dir, wbl_dir, chunks_dir;
    Fs *fs;
    Wal *wal;
    Wal *wbl; // NULL until there is an out-of-order sample or an old log of them
    HeadChunks *chunks;

    Lock
        create_lock; // before index_lock, by those who bring new series: they wait for each other here
    RwLock index_lock;
    HeadIndex index; // GUARDED_BY(index_lock); records by their stripes

    Lock stripes[SERIES_STRIPES];
    RefMap extras[SERIES_STRIPES]; // GUARDED_BY(stripes[i]): ref to SeriesExtra

    // Open chunks and lists of full chunks. Changed by the leader only.
    Pool pool;

    Lock truncate_lock; // one truncation at a time
    bool
        from_snapshot; // GUARDED_BY(truncate_lock): it brought series, and the log may not say which some refs mean
    HeadImageState image;
    HeadSettling settling;
    uint64_t limbo_number; // Queriers up to it may show texts in limbo

    Lock commit_lock;
    Condition commit_done;
    bool led;                  // GUARDED_BY(commit_lock): somebody is the leader
    HeadAppender *queue;       // GUARDED_BY(commit_lock)
    HeadAppender **queue_tail; // GUARDED_BY(commit_lock)
    HeadAppender *free_appenders;
    size_t free_appender_count;
    uint64_t active_appenders;

    Lock apply_lock; // held while commits reach memory, and to open a Querier
    uint64_t epoch;  // published
    UndoRing undo;

    Lock readers_lock;
    Condition reader_closed;
    HeadQuerier *readers; // GUARDED_BY(readers_lock), newest first
    uint64_t reader_number;
    uint64_t open_queriers;

    Lock unlogged_lock;
    HeadUnlogged unlogged; // GUARDED_BY(unlogged_lock)

    Lock metadata_lock;
    Map metadata; // GUARDED_BY(metadata_lock): metric name to MetadataEntry

    HeadExemplars *exemplars;

    // Atomics.
    int64_t min_t, max_t; // in-order; INT64_MAX and INT64_MIN: none
    int64_t ooo_min_t, ooo_max_t;
    int64_t min_valid_t; // in-order samples below are refused
    int64_t floor_t;     // in-order samples below are gone or in blocks
    int64_t window_ms;
    bool packs_xor2;    // atomic
    uint8_t generation; // of the collection of empty series

    // Leader only.
    RefMap expired;    // refs of series that are gone: the newest log segment that may name them
    RefMap twins;      // refs of the log that mean another ref's series
    RefMap twinned;    // those series: no marker names their late chunks
    bool twins_in_wbl; // atomic: the log of out-of-order samples may name them
    uint32_t twins_on_disk; // newest file of full chunks that has some under such a ref; 0: none
    bool snapshot_defines;  // series that the log names and does not define, so it stays
    OutOfOrderSample *late; // of the commits being applied
    uint64_t *late_refs;
    size_t late_count;
    size_t late_cap;
    Buf scratch;
    bool ooo_frozen;
    uint32_t ooo_wbl_segment; // segments below have had their block,
    bool ooo_unsettled;       // but the disk still has some of them
    int64_t chunk_error_logged_ms;
    int64_t chunk_retry_ns; // not before; 0: at once

    bool opened;           // all of it: what is left at the end is worth something
    HeadCounters counters; // each by __atomic
};

#define COUNT(head, member, n)                                                                     \
    __atomic_fetch_add(&(head)->counters.member, (uint64_t)(n), __ATOMIC_RELAXED)
#define GET(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)
#define SET(member, value) __atomic_store_n(&(member), (value), __ATOMIC_RELAXED)

static inline int64_t time_minus(int64_t t_ms, int64_t span_ms)
{
    int64_t result;
    return __builtin_sub_overflow(t_ms, span_ms, &result) ? INT64_MIN : result;
}

// Start of the aligned range that holds t_ms, also below zero.
static inline int64_t range_start(int64_t t_ms, int64_t range_ms)
{
    int64_t rest = t_ms % range_ms;
    return rest < 0 ? time_minus(t_ms - rest, range_ms) : t_ms - rest;
}

// Holds the stripe of `ref` in place of *held (SERIES_STRIPES: none): a batch in ref order takes a lock for each run of neighbours.
static inline void head_hold_stripe(Head *head, unsigned *held, uint64_t ref) NO_THREAD_SAFETY
{
    unsigned stripe = series_stripe(ref);

    if (stripe == *held)
        return;
    if (*held != SERIES_STRIPES)
        lock_give(&head->stripes[*held]);
    lock_take(&head->stripes[stripe]);
    *held = stripe;
}

static inline void head_give_stripe(Head *head, unsigned held) NO_THREAD_SAFETY
{
    if (held != SERIES_STRIPES)
        lock_give(&head->stripes[held]);
}

// head_commit.c
// One is the leader at a time: commits, truncation, deletion. The lock is not held meanwhile.
void head_lead(Head *head);
void head_follow(Head *head);
// Returns when what the appender has gathered is logged and applied, or app->err says why not.
bool head_commit(Head *head, HeadAppender *app);

// head_unlogged.c
// The series' record goes before the next commit's.
void head_unlogged_add(Head *head, uint64_t ref, Labels labels);
// What gathered; it goes back to the head when the log has it, or, if the log refused it, to be written before what came meanwhile.
void head_unlogged_take(Head *head, HeadUnlogged *ret);
void head_unlogged_give(Head *head, HeadUnlogged *taken);
void head_unlogged_put_back(Head *head, HeadUnlogged *taken);
size_t head_unlogged_bytes(Head *head);
void head_unlogged_deinit(HeadUnlogged *unlogged);

// head_append.c
Appender *head_append_begin(Sink *sink);
void head_append_free(HeadAppender *appender);
// Creates the series of the labels under `ref` (0: the next). index_lock is held for writing.
SeriesSlot head_append_create(Head *head, Labels labels, LabelKey *key, uint64_t ref, bool log);

// head_commit.c
// Writes the records of series that the log does not know yet; the caller leads.
bool head_append_log_series(Head *head, Error *err) MUST_CHECK;

// head_select.c
// Shows each series of this moment, its stripe held, until that returns false.
void head_each_series(Head *head, bool (*each)(void *arg, uint64_t ref, Series *series), void *arg);

// head_stale.c
// Its newest sample is a staleness marker; its stripe is held.
bool head_stale_is(const Series *series, const SeriesExtra *extra);
// The series is stale and may go; its stripe is held.
bool head_stale_goes(Head *head, uint64_t ref, Series *series);

// head_truncate.c
// Takes from a series what it has in order up to `max_t_ms`, for which there is a block; its stripe is held. Returns the number of chunks.
uint64_t head_series_end(Head *head, uint64_t ref, Series *series, int64_t max_t_ms);

// head.c
// The caller leads.
bool head_log_deletions(Head *head, const HeadDeletion *deletions, size_t count,
                        Error *err) MUST_CHECK;

// head_snapshot.c
// Leaves chunk_snapshot.*/ beside the log; nobody else is in the head.
bool head_snapshot_write(Head *head, Error *err) MUST_CHECK;

// head_append_record.c
void head_append_encode(HeadAppender *app);

// head_append_chunk.c
SeriesExtra *head_extra(Head *head, uint64_t ref, Series *series, bool make);
void head_extra_free(SeriesExtra *extra);
// Puts an in-order sample into a series; its stripe is held, the caller leads. False: no room, nothing changed.
bool head_append_float(Head *head, uint64_t ref, Series *series, int64_t t_ms, double value);
// The first sample of a float chunk, in a series without an open one. The caller counts the chunk.
void head_append_begin_floats(Head *head, Series *series, int64_t t_ms, double value);
// Several, in rising time. Returns how many found room: all, if not fewer.
size_t head_append_floats(Head *head, uint64_t ref, Series *series, const int64_t *t_ms,
                          const double *value, size_t count);
bool head_append_histogram(Head *head, uint64_t ref, Series *series, int64_t t_ms,
                           const Histogram *h);
// Makes the open chunk a full one. False: the disk refuses.
bool head_append_finish_chunk(Head *head, uint64_t ref, Series *series);
void head_append_note_time(Head *head, int64_t t_ms);

// head_starts.c: start timestamps of the samples in open chunks.
// Notes the start of the newest sample of the open chunk; the stripe is held. Cheap where the series has none.
void head_starts_note_slow(Head *head, uint64_t ref, Series *series, int64_t start_ms);
static inline void head_starts_note(Head *head, uint64_t ref, Series *series, int64_t start_ms)
{
    if (UNLIKELY(start_ms || series_flags(series) & SERIES_HAS_STARTS))
        head_starts_note_slow(head, ref, series, start_ms);
}
// Weaves the runs into a finished chunk; what comes back may live in the arena.
void head_starts_weave(const StartRun *runs, size_t run_count, Arena *arena,
                       ChunkEncoding *encoding, Str *chunk);
// The open chunk is gone, or will begin anew.
void head_starts_clear(Series *series, SeriesExtra *extra);

// head_out_of_order.c
// Inserts one; the stripe is held. False: a sample of that time is there.
bool head_out_of_order_insert(Head *head, uint64_t ref, Series *series,
                              const OutOfOrderSample *sample);
// Puts one into `late`, its histogram as it is.
void head_out_of_order_gather(Head *head, uint64_t ref, const OutOfOrderSample *sample);
// Behind a replay: logs stranded samples again. A Prometheus takes a marker's word that what stands before it is in a chunk, also when it
// does not find the chunk.
void head_out_of_order_log_stranded(Head *head);
// Writes what gathered in `late` to the log and inserts it.
bool head_out_of_order_apply(Head *head, uint32_t epoch, Error *err);
// Makes chunks of the buffer; the stripe is held. Markers go to `markers` if not NULL.
bool head_out_of_order_flush(Head *head, uint64_t ref, Series *series, SeriesExtra *extra,
                             WalRecordWriter *markers);
bool head_out_of_order_open_log(Head *head, Error *err);
// Makes sure that the log names no sample any more that has had its block and left memory: it would come back at the next start, without
// what was deleted of it since. The caller leads.
bool head_out_of_order_settle(Head *head, Error *err);
Histogram *head_histogram_copy(const Histogram *h); // on the heap, free() it

// head_read.c
bool head_read_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                    Error *err);
// What a series holds, copied out under its stripe.
typedef struct SeriesView {
    int64_t visible_t; // newest in-order time to be seen; INT64_MIN: none
    FullChunk *full;
    size_t full_count;
    ChunkEncoding open_encoding;
    Str open;                         // the open chunk
    int64_t open_min_ms, open_max_ms; // all of its samples, also those that are not to be seen
    StartRun *starts;                 // of its samples, until they are woven in
    size_t start_count;
    OutOfOrderSample *late; // histograms point into the arena
    size_t late_count;
    OutOfOrderChunk *late_chunks;
    size_t late_chunk_count;
    Interval *deleted;
    size_t deleted_count;
} SeriesView;
// In-order chunks that have nothing in [min_t_ms, max_t_ms] may be left out. False if the series is gone. epoch UINT64_MAX: everything.
bool head_read_view(Head *head, uint64_t ref, uint64_t epoch, int64_t min_t_ms, int64_t max_t_ms,
                    Arena *arena, SeriesView *ret_view);
// `pins` may be NULL.
bool head_read_in_order(Head *head, const HeadChunkPins *pins, const SeriesView *view,
                        int64_t min_t_ms, int64_t max_t_ms, ChunkColumns *columns,
                        Error *err) MUST_CHECK;
// Of one chunk.
bool head_read_full(Head *head, const HeadChunkPins *pins, HeadChunkRef ref, int64_t min_t_ms,
                    int64_t max_t_ms, ChunkColumns *columns, Error *err) MUST_CHECK;
bool head_read_late(Head *head, const HeadChunkPins *pins, const SeriesView *view, int64_t min_t_ms,
                    int64_t max_t_ms, ChunkColumns *columns, Error *err) MUST_CHECK;
void head_read_drop_deleted(const SeriesView *view, SampleColumns *columns);
// Epochs of the open Queriers; 0 and UINT64_MAX if there are none.
void head_read_epochs(Head *head, uint64_t *ret_oldest, uint64_t *ret_newest);
// Waits until no Querier with a number up to `number` looks below t_ms.
void head_read_wait(Head *head, uint64_t number, int64_t t_ms);
int64_t head_first_time(Head *head, const Series *series, const SeriesExtra *extra);
// The same of the open chunk alone.
int64_t head_first_open_time(Head *head, const Series *series, const SeriesExtra *extra);

// head_newest.c, head_select.c: what a Querier is made of
// A start that reads full chunks, and not their samples in the log, does not know the newest value of a series without an open chunk: learns
// it. The stripe is held.
void head_newest_learn(Head *head, Series *series);
bool head_newest(Querier *base, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                 int64_t *ret_t_ms, double *ret_value, NewestKind *ret_kind, Error *err);
bool head_select_series(Querier *base, const Matcher *matchers, size_t count,
                        const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err);
bool head_select_names(Querier *base, const Matcher *matchers, size_t count, size_t limit,
                       Arena *arena, StrList *ret_names, Error *err);
bool head_select_values(Querier *base, Str name, const Matcher *matchers, size_t count,
                        size_t limit, Arena *arena, StrList *ret_values, Error *err);

// head_undo.c
void head_undo_init(UndoRing *ring);
void head_undo_deinit(UndoRing *ring);
void head_undo_push(UndoRing *ring, SeriesSlot slot, Series *series);
// All entries of this epoch are pushed.
void head_undo_note(UndoRing *ring, uint64_t epoch);
// Newest in-order time of the series at `epoch`; the stripe is held.
int64_t head_undo_time(const UndoRing *ring, SeriesSlot slot, const Series *series, uint64_t epoch);
uint64_t head_undo_held_bytes(const UndoRing *ring);
// Forgets what no Querier with epoch >= oldest needs.
void head_undo_cut(UndoRing *ring, uint64_t oldest);

// head_replay.c
// *ret_empty: there may be series without samples.
bool head_replay(Head *head, bool *ret_empty, Error *err);

// head_metadata.c
// True if that is news.
bool head_metadata_put(Head *head, Str name, Metadata metadata);
void head_metadata_deinit(Head *head);
uint64_t head_metadata_held_bytes(Head *head);

// head_truncate.c
// Drops the series that replay has left without samples; `any`: there may be some.
void head_truncate_empty(Head *head, bool any);

// head_checkpoint.c
bool head_checkpoint(Head *head, int64_t min_t_ms, Error *err);
