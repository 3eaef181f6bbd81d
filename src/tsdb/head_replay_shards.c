// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_replay_shards.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SHARD_SLOTS 256
#define PIECE_BYTES 2048
#define PIECE_SAMPLES 224
#define PIECE_WORDS ((PIECE_BYTES - 16 - PIECE_SAMPLES) / 8)
#define PIECES_MAX (SHARDS_BYTES_MAX / PIECE_BYTES)
#define PIECES_MIN 128
#define GATHER_SAMPLES 4 // of a series, as far as the limits let: more are hardly faster
#define ROOM_BYTES ((PIECES_MAX + 1) * sizeof(Piece))
#define LOG_SHARE 2 // a sample mostly takes 9 bytes here and hardly less than 4 of the log
#define KEEP_BYTES (4u * 1024 * 1024) // of the arena

// What few samples have.
typedef struct RichSample {
    const Histogram *histogram; // in the arena; NULL: a float
    int64_t start_ms;
} RichSample;

#define RICH_MAX 0xffffffu // in all shards

// Samples of one time, as a scrape brings them. One that is rich is alone.
typedef struct Run {
    int32_t after_ms;   // the piece's first
    uint32_t end : 8;   // behind its last sample
    uint32_t rich : 24; // 1 + its place in the list of rich ones; 0: plain floats
} Run;

typedef union Word {
    double value;
    Run run;
} Word;

// A shard's samples lie in a chain of these, values from the front of the words and runs from the back. The slots of a scrape mostly rise,
// but not one by one: others that went on beside it have made some of these series.
typedef struct Piece {
    int64_t first_ms;
    uint32_t next; // 0: none
    uint8_t samples;
    uint8_t runs;
    uint16_t has_rich;
    uint8_t slots[PIECE_SAMPLES]; // in the shard
    Word words[PIECE_WORDS];
} Piece;

_Static_assert(sizeof(Word) == 8 && sizeof(Piece) == PIECE_BYTES, "no holes");
_Static_assert(PIECE_WORDS <= UINT8_MAX && PIECES_MAX * PIECE_SAMPLES <= RICH_MAX,
               "they can be counted");

typedef struct Shard {
    uint32_t first, last; // pieces; 0: it has nothing
} Shard;

#define SORTED_PIECES 16
#define SORTED_SAMPLES (SORTED_PIECES * PIECE_SAMPLES)

typedef struct Sorted Sorted;

typedef struct Worker {
    Pool part;
    Sorted *sorted;
    ReplayApplied applied;
    char apart[128]; // from the next one's cache lines
} Worker;

struct ReplayShards {
    Head *head;
    Lock pool_lock;
    ThreadPool *threads; // NULL: the caller does all
    Worker workers[REPLAY_SHARDS_MAX];
    size_t worker_count;
    Piece *pieces; // PIECES_MAX + 1 of them, touched as needed; 0 is none
    uint32_t piece_count;
    uint32_t piece_limit;
    Shard *shards;
    uint32_t shard_count;
    uint32_t *filled; // shards that have something
    uint32_t filled_count;
    uint32_t next_filled; // atomic: to be put in
    RichSample *rich;
    uint32_t rich_count, rich_cap;
    Arena arena; // of the rich ones
};

// --- putting in ---

// A few pieces of a shard, by series: what one has stands together, in the order of the log.
struct Sorted {
    uint32_t ends[SHARD_SLOTS]; // where the next one's begin
    int64_t t_ms[SORTED_SAMPLES];
    double value[SORTED_SAMPLES];
    uint32_t rich[SORTED_SAMPLES]; // 1 + its place; 0: it is none. Only if there are any
    bool any_rich;
};

static void count_piece(const Piece *piece, uint32_t counts[SHARD_SLOTS], Sorted *out)
{
    for (uint32_t i = 0; i < piece->samples; i++)
        counts[piece->slots[i]]++;
    out->any_rich |= piece->has_rich;
}

static void place_piece(const Piece *piece, uint32_t starts[SHARD_SLOTS], Sorted *out)
{
    uint32_t at = 0;

    for (const Word *word = piece->words + PIECE_WORDS; at < piece->samples;) {
        Run run = (--word)->run;
        int64_t t_ms = (int64_t)((uint64_t)piece->first_ms + (uint64_t)run.after_ms);
        for (; at < run.end; at++) {
            uint32_t to = starts[piece->slots[at]]++;
            out->t_ms[to] = t_ms;
            out->value[to] = piece->words[at].value;
            if (UNLIKELY(out->any_rich))
                out->rich[to] = run.rich;
        }
    }
}

// Takes pieces as they fit; returns the next one.
static uint32_t sort_pieces(const ReplayShards *shards, uint32_t first, Sorted *out)
{
    uint32_t starts[SHARD_SLOTS] = {0};
    uint32_t end = first;
    uint32_t total = 0;

    out->any_rich = false;
    for (size_t n = 0; end && n < SORTED_PIECES; n++, end = shards->pieces[end].next)
        count_piece(&shards->pieces[end], starts, out);
    for (size_t i = 0; i < SHARD_SLOTS; i++) {
        uint32_t count = starts[i];
        starts[i] = total;
        total += count;
        out->ends[i] = total;
    }
    for (uint32_t at = first; at != end; at = shards->pieces[at].next)
        place_piece(&shards->pieces[at], starts, out);
    return end;
}

static void note_times(Worker *worker, int64_t min_t_ms, int64_t max_t_ms)
{
    worker->applied.min_t_ms = MIN(worker->applied.min_t_ms, min_t_ms);
    worker->applied.max_t_ms = MAX(worker->applied.max_t_ms, max_t_ms);
}

// A sample that is not behind all of its series.
static void skip_known(Series *series, int64_t t_ms, double value, bool is_histogram)
{
    // The newest of the full chunks: its value tells duplicates from now on.
    if (t_ms == series->xor_state.t_ms && !series->chunk && !is_histogram) {
        series->xor_state.value = chunk_xor_to_bits(value);
        series_set_flags(series, SERIES_HAS_VALUE, 0);
    }
}

static bool is_known(const Series *series, int64_t t_ms)
{
    return series_flags(series) & SERIES_HAS_SAMPLES && t_ms <= series->xor_state.t_ms;
}

static void apply_rich(Head *head, Worker *worker, const RichSample *rich, uint64_t ref,
                       Series *series, int64_t t_ms, double value)
{
    const Histogram *h = rich ? rich->histogram : NULL;
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;

    if (is_known(series, t_ms)) {
        skip_known(series, t_ms, value, h != NULL);
        return;
    }
    bool ok = h ? head_append_histogram(head, ref, series, t_ms, h)
                : head_append_float(head, ref, series, t_ms, value);
    if (UNLIKELY(!ok)) {
        worker->applied.refused++;
        return;
    }
    head_starts_note(head, ref, series, rich ? rich->start_ms : 0);
    note_times(worker, t_ms, t_ms);
    worker->applied.samples++;
    worker->applied.filled += !has;
}

// Floats without a start, of one series.
static void apply_floats(Head *head, Worker *worker, uint64_t ref, Series *series,
                         const int64_t *t_ms, const double *value, size_t count)
{
    size_t from = 0;

    while (from < count) {
        if (UNLIKELY(is_known(series, t_ms[from]))) {
            skip_known(series, t_ms[from], value[from], false);
            from++;
            continue;
        }
        size_t end = from + 1;
        while (end < count && t_ms[end] > t_ms[end - 1])
            end++;
        unsigned flags = series_flags(series);
        bool has = flags & SERIES_HAS_SAMPLES;
        size_t done = 0;
        if (!series->chunk && !(flags & SERIES_HAS_HISTOGRAM)) {
            head_append_begin_floats(head, series, t_ms[from], value[from]);
            worker->applied.chunks++; // the head's own counters are other threads', too
            done = 1;
        }
        done += head_append_floats(head, ref, series, t_ms + from + done, value + from + done,
                                   end - from - done);
        if (done) {
            note_times(worker, t_ms[from], t_ms[from + done - 1]);
            worker->applied.filled += !has;
        }
        worker->applied.samples += done;
        if (UNLIKELY(done < end - from)) {
            worker->applied.refused++;
            done++;
        }
        from += done;
    }
}

static inline bool is_plain(const Sorted *s, uint32_t from, uint32_t end)
{
    for (uint32_t k = from; s->any_rich && k < end; k++)
        if (s->rich[k])
            return false;
    return true;
}

// Two steps ahead: the record, then, by what stands in it, the newest block of its open chunk.
static inline void look_ahead(const Head *head, const Sorted *sorted, SeriesSlot base, size_t i)
{
    if (i + 8 < SHARD_SLOTS)
        __builtin_prefetch(series_at(&head->index.series, base + (SeriesSlot)i + 8), 1);
    if (i + 4 < SHARD_SLOTS && sorted->ends[i + 4] > sorted->ends[i + 3]) {
        const Series *series = series_at(&head->index.series, base + (SeriesSlot)i + 4);
        if (series->chunk)
            __builtin_prefetch(pool_at(&head->pool, series->chunk), 1);
    }
}

static void apply_sorted(const ReplayShards *shards, Worker *worker, SeriesSlot base,
                         unsigned *held)
{
    Head *head = shards->head;
    const Sorted *s = worker->sorted;
    uint32_t from = 0;

    for (size_t i = 0; i < SHARD_SLOTS; from = s->ends[i++]) {
        look_ahead(head, s, base, i);
        if (s->ends[i] == from)
            continue;
        Series *series = series_at(&head->index.series, base + (SeriesSlot)i);
        uint64_t ref = series_ref(series);
        head_hold_stripe(head, held, ref);
        if (LIKELY(!(series_flags(series) & SERIES_HAS_STARTS) && is_plain(s, from, s->ends[i]))) {
            apply_floats(head, worker, ref, series, s->t_ms + from, s->value + from,
                         s->ends[i] - from);
            continue;
        }
        for (uint32_t k = from; k < s->ends[i]; k++) {
            uint32_t rich = s->any_rich ? s->rich[k] : 0;
            apply_rich(head, worker, rich ? &shards->rich[rich - 1] : NULL, ref, series, s->t_ms[k],
                       s->value[k]);
        }
    }
}

// Into the core's cache while the one before is put in.
static void fetch_shard(const ReplayShards *shards, uint32_t at)
{
    if (at >= shards->filled_count)
        return;
    for (uint32_t piece = shards->shards[shards->filled[at]].first; piece;
         piece = shards->pieces[piece].next)
        for (size_t i = 0; i < PIECE_BYTES; i += 64)
            __builtin_prefetch((const char *)&shards->pieces[piece] + i, 0, 2);
}

static void put_in(void *arg, size_t index)
{
    ReplayShards *shards = arg;
    Worker *worker = &shards->workers[index];
    unsigned held = SERIES_STRIPES;
    uint32_t at;

    pool_part_use(&shards->head->pool, &worker->part);
    while ((at = __atomic_fetch_add(&shards->next_filled, 1, __ATOMIC_RELAXED)) <
           shards->filled_count) {
        uint32_t number = shards->filled[at];
        fetch_shard(shards, at + (uint32_t)shards->worker_count);
        for (uint32_t piece = shards->shards[number].first; piece;) {
            piece = sort_pieces(shards, piece, worker->sorted);
            apply_sorted(shards, worker, number * SHARD_SLOTS, &held);
        }
    }
    head_give_stripe(shards->head, held);
}

void replay_shards_drain(ReplayShards *shards)
{
    if (!shards->filled_count)
        return;
    shards->next_filled = 0;
    thread_pool_each(shards->threads, put_in, shards,
                     MIN(shards->worker_count, shards->filled_count));
    pool_part_use(&shards->head->pool, &shards->workers[0].part);
    for (uint32_t i = 0; i < shards->filled_count; i++)
        shards->shards[shards->filled[i]] = (Shard){0};
    shards->filled_count = shards->piece_count = shards->rich_count = 0;
    if (shards->arena.held_bytes > KEEP_BYTES)
        arena_deinit(&shards->arena);
    else
        arena_reset(&shards->arena);
}

// --- gathering ---

static void make_shard(ReplayShards *shards, uint32_t number)
{
    uint32_t count = MAX(number + 1, shards->shard_count * 2);

    shards->shards = x_realloc(shards->shards, count * sizeof *shards->shards);
    memset(shards->shards + shards->shard_count, 0,
           (count - shards->shard_count) * sizeof *shards->shards);
    shards->shard_count = count;
}

static uint32_t pieces_for(uint64_t series)
{
    uint64_t wanted =
        MIN(series, PIECES_MAX * PIECE_SAMPLES) * GATHER_SAMPLES / PIECE_SAMPLES * 5 / 4;

    return (uint32_t)MAX(PIECES_MIN, MIN(wanted, PIECES_MAX));
}

static Piece *add_piece(ReplayShards *shards, uint32_t number, int64_t t_ms)
{
    if (shards->piece_count >= shards->piece_limit) {
        replay_shards_drain(shards);
        shards->piece_limit = pieces_for(shards->head->index.series.count);
    }
    if (number >= shards->shard_count)
        make_shard(shards, number);
    Shard *shard = &shards->shards[number];
    uint32_t index = ++shards->piece_count;
    Piece *piece = &shards->pieces[index];
    piece->first_ms = t_ms;
    piece->next = 0;
    piece->samples = piece->runs = 0;
    piece->has_rich = false;
    if (shard->first)
        shards->pieces[shard->last].next = index;
    else
        shards->filled[shards->filled_count++] = number;
    shard->first = shard->first ? shard->first : index;
    shard->last = index;
    return piece;
}

static uint32_t add_rich(ReplayShards *shards, const Histogram *histogram, int64_t start_ms)
{
    if (shards->rich_count == shards->rich_cap) {
        shards->rich_cap = shards->rich_cap ? shards->rich_cap * 2 : 64;
        shards->rich = x_realloc(shards->rich, shards->rich_cap * sizeof *shards->rich);
    }
    shards->rich[shards->rich_count++] =
        (RichSample){histogram ? histogram_copy(&shards->arena, histogram) : NULL, start_ms};
    return shards->rich_count;
}

static inline size_t room_of(const Piece *piece)
{
    return MIN((size_t)PIECE_SAMPLES, (size_t)PIECE_WORDS - piece->runs) - piece->samples;
}

// The shard's newest piece, with room for a run and a sample of this time; or a new one.
static inline Piece *piece_for(ReplayShards *shards, uint32_t number, int64_t t_ms)
{
    Piece *piece =
        number < shards->shard_count ? &shards->pieces[shards->shards[number].last] : NULL;
    int64_t after_ms = 0;

    if (UNLIKELY(!piece || piece == shards->pieces || piece->samples == PIECE_SAMPLES ||
                 piece->samples + piece->runs + 2 > PIECE_WORDS ||
                 __builtin_sub_overflow(t_ms, piece->first_ms, &after_ms) ||
                 after_ms != (int32_t)after_ms))
        return add_piece(shards, number, t_ms);
    return piece;
}

static inline Run *begin_run(Piece *piece, int64_t t_ms, uint32_t rich)
{
    Run *run = &piece->words[PIECE_WORDS - ++piece->runs].run;

    *run = (Run){(int32_t)(t_ms - piece->first_ms), piece->samples, rich & RICH_MAX};
    return run;
}

// The newest run if it is of this time, else a new one.
static inline Run *run_for(Piece *piece, int64_t t_ms)
{
    if (LIKELY(piece->runs)) {
        Run *run = &piece->words[PIECE_WORDS - piece->runs].run;
        if (LIKELY(!run->rich && piece->first_ms + run->after_ms == t_ms))
            return run;
    }
    return begin_run(piece, t_ms, 0);
}

// The run that samples are added to; its piece learns of them when it ends.
typedef struct Growing {
    Piece *piece; // NULL: none yet
    Run *run;
    uint32_t number;
    int64_t t_ms;
    size_t at, end; // samples of the piece: now, and as many as may be
} Growing;

static inline void end_run(const Growing *g)
{
    if (g->piece)
        g->run->end = g->piece->samples = (uint8_t)g->at;
}

static inline void add_float(ReplayShards *shards, Growing *g, SeriesSlot slot, int64_t t_ms,
                             double value)
{
    uint32_t number = slot / SHARD_SLOTS;

    if (g->at == g->end || number != g->number || t_ms != g->t_ms) {
        end_run(g);
        g->piece = piece_for(shards, number, t_ms);
        g->run = run_for(g->piece, t_ms);
        g->number = number;
        g->t_ms = t_ms;
        g->at = g->piece->samples;
        g->end = g->at + room_of(g->piece);
    }
    g->piece->slots[g->at] = (uint8_t)(slot % SHARD_SLOTS);
    g->piece->words[g->at++].value = value;
}

void replay_shards_add_floats(ReplayShards *shards, const SeriesSlot *slots,
                              const WalSample *samples, size_t count)
{
    Growing growing = {0};

    for (size_t i = 0; i < count; i++)
        if (slots[i])
            add_float(shards, &growing, slots[i], samples[i].t_ms, samples[i].value);
    end_run(&growing);
}

void replay_shards_add_quick(ReplayShards *shards, WalRecordReader *reader, int64_t min_valid_t_ms)
{
    const SeriesTable *table = &shards->head->index.series;
    WalQuickSamples quick = wal_quick_begin(reader), next = quick;
    SeriesNear near = {0};
    Growing growing = {0};
    WalSample sample;

    for (; wal_quick_next(&next, &sample); quick = next) {
        SeriesSlot slot = series_slot_near(table, sample.ref, &near);
        if (UNLIKELY(!slot || sample.t_ms < min_valid_t_ms))
            break;
        add_float(shards, &growing, slot, sample.t_ms, sample.value);
    }
    end_run(&growing);
    wal_quick_end(&quick, reader);
}

void replay_shards_add(ReplayShards *shards, SeriesSlot slot, int64_t t_ms, double value,
                       const Histogram *histogram, int64_t start_ms)
{
    bool is_rich = histogram || start_ms;

    if (!is_rich) {
        replay_shards_add_floats(shards, &slot, &(WalSample){.t_ms = t_ms, .value = value}, 1);
        return;
    }
    if (shards->arena.held_bytes > KEEP_BYTES)
        replay_shards_drain(shards);
    Piece *piece = piece_for(shards, slot / SHARD_SLOTS, t_ms);
    Run *run = begin_run(piece, t_ms, add_rich(shards, histogram, start_ms));
    piece->slots[piece->samples] = (uint8_t)(slot % SHARD_SLOTS);
    piece->words[piece->samples++].value = value;
    run->end = piece->samples;
    piece->has_rich = true;
}

// --- life ---

Str replay_shards_room(uint64_t series, uint64_t log_bytes)
{
    size_t first = (pieces_for(series) + 1) * sizeof(Piece);
    char *bytes = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (bytes == MAP_FAILED)
        out_of_memory(ROOM_BYTES);
    first = (size_t)MIN((uint64_t)first, MIN(log_bytes, ROOM_BYTES) * LOG_SHARE);
    return (Str){bytes, first};
}

void replay_shards_free_room(Str room)
{
    if (room.ptr)
        munmap((void *)(uintptr_t)room.ptr, ROOM_BYTES);
}

ReplayShards *replay_shards_new(Head *head, int threads, Str room)
{
    ReplayShards *shards = X_NEW(ReplayShards);

    shards->head = head;
    shards->worker_count = (size_t)MIN(threads > 0 ? threads : thread_cores(), REPLAY_SHARDS_MAX);
    room = room.ptr ? room : replay_shards_room(0, 0);
    shards->pieces = (Piece *)(uintptr_t)room.ptr;
    shards->filled = X_ARRAY(uint32_t, PIECES_MAX);
    if (shards->worker_count > 1)
        shards->threads = thread_pool_new("replay", (int)shards->worker_count - 1);
    lock_init(&shards->pool_lock, "head pool", POOL_SHARE_RANK);
    pool_share(&head->pool, &shards->pool_lock);
    for (size_t i = shards->worker_count; i-- > 0;) { // the caller's own is the first
        pool_part_begin(&head->pool, &shards->workers[i].part);
        shards->workers[i].sorted = X_NEW(Sorted);
        shards->workers[i].applied = (ReplayApplied){.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    }
    return shards;
}

void replay_shards_free(ReplayShards *shards, ReplayApplied *ret_applied)
{
    Pool *pool = &shards->head->pool;

    replay_shards_drain(shards);
    *ret_applied = (ReplayApplied){.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    for (size_t i = 0; i < shards->worker_count; i++) {
        const ReplayApplied *applied = &shards->workers[i].applied;
        ret_applied->samples += applied->samples;
        ret_applied->refused += applied->refused;
        ret_applied->filled += applied->filled;
        ret_applied->chunks += applied->chunks;
        ret_applied->min_t_ms = MIN(ret_applied->min_t_ms, applied->min_t_ms);
        ret_applied->max_t_ms = MAX(ret_applied->max_t_ms, applied->max_t_ms);
        pool_part_use(pool, &shards->workers[i].part);
        pool_part_end(pool, &shards->workers[i].part);
        free(shards->workers[i].sorted);
    }
    thread_pool_free(shards->threads);
    pool_unshare(pool);
    lock_deinit(&shards->pool_lock);
    replay_shards_free_room((Str){(const char *)shards->pieces, 0});
    free(shards->filled);
    free(shards->shards);
    free(shards->rich);
    arena_deinit(&shards->arena);
    free(shards);
}
