// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/lock.h"
#include "base/reader.h"

#define RUN_BYTES_MIN 32768 // of chunks that are read at once instead of through the map
#define RUN_CHUNK_BYTES_MAX                                                                        \
    4096 // each takes at most, on the average; otherwise there is something between them
#define CHECKED_BYTES                                                                              \
    64 // hardly longer than the shortest chunks: few share a place, and those are checked each time

#define CHECKED_PAGE_BYTES 4096 // the least that pages have

typedef struct Segment {
    Str path;
    File file;
    FsMap map;
    // For each CHECKED_BYTES: 1 + place in them of a chunk whose checksum was right, 0: none. Atomic bytes.
    uint8_t *checked;
} Segment;

struct Block {
    size_t users;
    Arena arena;
    Fs *fs;
    Str dir;
    BlockMeta meta;
    FsMap index_map;
    IndexReader *index;
    Segment *segments;
    size_t segment_count;
    uint64_t bytes;
    Lock lock;
    Tombstones tombstones; // GUARDED_BY(lock)
    bool has_tombstones;   // atomic: so that readers of most blocks take no lock
};

// Opening

static bool open_segment(Block *block, Segment *segment, Error *err)
{
    uint64_t bytes;
    if (!fs_open(block->fs, segment->path, FS_READ, &segment->file, err) ||
        !file_size(&segment->file, &bytes, err) ||
        !file_map(&segment->file, bytes, &segment->map, err))
        return false;
    file_reads_at_random(&segment->file);
    Reader r = reader_from(segment->map.bytes);
    uint32_t magic = reader_u32be(&r);
    uint8_t version = reader_u8(&r);
    (void)reader_bytes(&r, 3);
    if (r.failed || magic != BLOCK_SEGMENT_MAGIC)
        return error_set(err, ERR_CORRUPT, "segment " STR_FMT " has no valid head",
                         STR_ARG(segment->path));
    if (version != BLOCK_SEGMENT_VERSION)
        return error_set(err, ERR_INVALID, "segment " STR_FMT ": version %d, only %d is known",
                         STR_ARG(segment->path), version, BLOCK_SEGMENT_VERSION);
    // Zeros that cost no memory until somebody reads there.
    segment->checked = X_ARRAY(uint8_t, segment->map.bytes.len / CHECKED_BYTES + 1);
    block->bytes += segment->map.bytes.len;
    return true;
}

static bool is_segment_name(Str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '0' || name.ptr[i] > '9')
            return false;
    return name.len >= 6;
}

// Segments are numbered from 1 without gaps; a ref counts them in their order.
static bool open_segments(Block *block, Error *err)
{
    Str dir = fs_join(&block->arena, block->dir, S("chunks"));
    FsList list;

    if (!fs_list(block->fs, dir, &block->arena, &list, err))
        return false;
    block->segments = ARENA_ARRAY(&block->arena, Segment, list.count);
    for (size_t i = 0; i < list.count; i++) {
        if (!is_segment_name(list.entries[i].name))
            continue;
        Segment *segment = &block->segments[block->segment_count++];
        *segment =
            (Segment){.path = fs_join(&block->arena, dir, list.entries[i].name), .file = FILE_NONE};
        if (!open_segment(block, segment, err))
            return false;
    }
    return true;
}

static bool open_index(Block *block, Error *err)
{
    if (!fs_map(block->fs, fs_join(&block->arena, block->dir, S("index")), &block->index_map, err))
        return false;
    block->bytes += block->index_map.bytes.len;
    return index_reader_new(block->index_map.bytes, &block->index, err);
}

// meta.json and tombstones count, too.
static bool add_small_files(Block *block, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;

    if (!fs_list(block->fs, block->dir, &arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++)
        if (str_is(list.entries[i].name, "meta.json") || str_is(list.entries[i].name, "tombstones"))
            block->bytes += list.entries[i].bytes;
    return true;
}

static bool read_meta(Block *block, Str name, Error *err)
{
    if (!block_meta_read(block->fs, block->dir, &block->arena, &block->meta, err))
        return false;
    if (!str_starts_with(name, ulid_str(&block->meta.ulid))) // one put aside has more behind it
        return error_set(err, ERR_CORRUPT, "meta.json says that this is block " STR_FMT,
                         STR_ARG(ulid_str(&block->meta.ulid)));
    return true;
}

// `loss` is NULL unless the block may be opened without. Of another version is no loss, nor what the disk refuses to read.
static bool open_meta(Block *block, BlockLoss *loss, Error *err)
{
    size_t slash = str_rfind_char(block->dir, '/');
    Str name = str_skip(block->dir, slash == STR_NOT_FOUND ? 0 : slash + 1);
    BlockMeta made_up = {.level = 1};
    Error why = {0};

    if (read_meta(block, name, &why))
        return true;
    if (!loss || (why.code != ERR_CORRUPT && why.code != ERR_NOT_FOUND) ||
        !ulid_parse(str_sub(name, 0, ULID_CHARS), &made_up.ulid)) {
        *err = why;
        return false;
    }
    loss->meta = why;
    block->meta = made_up;
    return true;
}

// Whoever deletes cuts the span to what the series has: any other entry is damage.
static bool fits_series(void *arg, uint64_t ref, Interval interval)
{
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    const Block *block = (const Block *)arg;
    Error err = {0};

    return ref <= UINT32_MAX &&
           index_reader_series(block->index, (uint32_t)ref, INT64_MIN, INT64_MAX, &series, &err) &&
           series.chunk_count > 0 && interval.min_t_ms >= series.chunks[0].min_t_ms &&
           interval.max_t_ms <= series.chunks[series.chunk_count - 1].max_t_ms;
}

static bool open_tombstones(Block *block, BlockLoss *loss, Error *err)
{
    Error why = {0};

    if (!tombstones_read(block->fs, block->dir, &block->tombstones, &why)) {
        if (!loss || why.code != ERR_CORRUPT) {
            *err = why;
            return false;
        }
        if (!tombstones_rescue(block->fs, block->dir, fits_series, block, &block->tombstones, err))
            return false;
        loss->tombstones = why;
    }
    block->has_tombstones = block->tombstones.count > 0;
    return true;
}

static bool open_all(Block *block, BlockLoss *loss, Error *err)
{
    return add_small_files(block, err) && open_meta(block, loss, err) && open_index(block, err) &&
           open_segments(block, err) && open_tombstones(block, loss, err);
}

static bool open_block(Fs *fs, Str dir, Block **ret_block, BlockLoss *loss, Error *err)
{
    Block *block = X_NEW(Block);

    block->users = 1;
    block->fs = fs;
    block->dir = arena_str(&block->arena, dir);
    lock_init(&block->lock, "block", BLOCK_RANK);
    if (!open_all(block, loss, err)) {
        error_context(err, "block " STR_FMT, STR_ARG(dir));
        block_unref(block);
        return false;
    }
    block_release_pages(block);
    *ret_block = block;
    return true;
}

bool block_open(Fs *fs, Str dir, Block **ret_block, Error *err)
{
    return open_block(fs, dir, ret_block, NULL, err);
}

bool block_open_damaged(Fs *fs, Str dir, Block **ret_block, BlockLoss *ret_loss, Error *err)
{
    BlockLoss loss = {{0}, {0}};

    if (!open_block(fs, dir, ret_block, &loss, err))
        return false;
    *ret_loss = loss;
    return true;
}

Block *block_ref(Block *block)
{
    __atomic_add_fetch(&block->users, 1, __ATOMIC_RELAXED);
    return block;
}

void block_unref(Block *block)
{
    if (!block || __atomic_sub_fetch(&block->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    index_reader_free(block->index);
    fs_unmap(&block->index_map);
    for (size_t i = 0; i < block->segment_count; i++) {
        fs_unmap(&block->segments[i].map);
        file_close(&block->segments[i].file);
        free(block->segments[i].checked);
    }
    tombstones_deinit(&block->tombstones);
    lock_deinit(&block->lock);
    arena_deinit(&block->arena);
    free(block);
}

// As madvise() wants it.
static void *advisable(Str view)
{
    union {
        const char *view;
        void *at;
    } cast = {view.ptr};

    return cast.at;
}

// The pages stay in the kernel's cache; they only no longer count as ours.
static void release_map(const FsMap *map)
{
    if (map->bytes.len)
        madvise(advisable(map->bytes), map->bytes.len, MADV_DONTNEED);
}

void block_release_chunk_pages(const Block *block)
{
    for (size_t i = 0; i < block->segment_count; i++)
        release_map(&block->segments[i].map);
}

void block_release_pages(const Block *block)
{
    release_map(&block->index_map);
    block_release_chunk_pages(block);
}

const BlockMeta *block_meta(const Block *block)
{
    return &block->meta;
}

Str block_dir(const Block *block)
{
    return block->dir;
}

const IndexReader *block_index(const Block *block)
{
    return block->index;
}

uint64_t block_bytes(const Block *block)
{
    return block->bytes;
}

// Tombstones

uint64_t block_tombstone_count(Block *block)
{
    lock_take(&block->lock);
    uint64_t total = tombstones_total(&block->tombstones);
    lock_give(&block->lock);
    return total;
}

void block_deleted(Block *block, uint32_t series_ref, Intervals *ret_intervals)
{
    *ret_intervals = (Intervals){NULL, 0, 0};
    if (!__atomic_load_n(&block->has_tombstones, __ATOMIC_ACQUIRE))
        return;
    lock_take(&block->lock);
    const Intervals *intervals = tombstones_get(&block->tombstones, series_ref);
    for (size_t i = 0; intervals && i < intervals->count; i++)
        intervals_add(ret_intervals, intervals->items[i]);
    lock_give(&block->lock);
}

// Adds to `tombstones` what the range takes from one series.
static bool delete_series(Block *block, uint32_t ref, Interval range, IndexSeries *series,
                          Tombstones *tombstones, Error *err)
{
    if (!index_reader_series(block->index, ref, range.min_t_ms, range.max_t_ms, series, err))
        return false;
    if (series->chunk_count == 0)
        return true;
    Interval cut = {
        MAX(range.min_t_ms, series->chunks[0].min_t_ms),
        MIN(range.max_t_ms, series->chunks[series->chunk_count - 1].max_t_ms),
    };
    if (cut.min_t_ms <= cut.max_t_ms)
        tombstones_add(tombstones, ref, cut);
    return true;
}

// Writes first, then swaps; readers see the old or the new.
static bool replace_tombstones(Block *block, Tombstones *tombstones, Error *err)
{
    if (!tombstones_write(block->fs, block->dir, tombstones, err))
        return false;
    lock_take(&block->lock);
    Tombstones old = block->tombstones;
    block->tombstones = *tombstones;
    *tombstones = old;
    __atomic_store_n(&block->has_tombstones, block->tombstones.count > 0, __ATOMIC_RELEASE);
    lock_give(&block->lock);
    return true;
}

bool block_delete(Block *block, const Matcher *matchers, size_t count, int64_t min_t_ms,
                  int64_t max_t_ms, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(tombstones_deinit) Tombstones tombstones = {.entries = NULL};
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    IndexPostings postings;

    if (!index_reader_postings(block->index, matchers, count, &arena, &postings, err))
        return false;
    if (postings.count == 0)
        return true;
    lock_take(&block->lock);
    tombstones_copy(&block->tombstones, &tombstones);
    lock_give(&block->lock);
    for (size_t i = 0; i < postings.count; i++)
        if (!delete_series(block, postings.refs[i], (Interval){min_t_ms, max_t_ms}, &series,
                           &tombstones, err))
            return false;
    return replace_tombstones(block, &tombstones, err) ||
           error_context(err, "block " STR_FMT, STR_ARG(block->dir));
}

// Samples

// Where it is noted that the chunk's checksum was right, and how.
static uint8_t *checked_place(const Block *block, uint64_t ref, uint8_t *ret_mark)
{
    size_t offset = (size_t)(ref & UINT32_MAX);

    *ret_mark = (uint8_t)(offset % CHECKED_BYTES + 1);
    return &block->segments[ref >> 32].checked[offset / CHECKED_BYTES];
}

static bool is_checked(const Block *block, uint64_t ref)
{
    uint8_t mark;

    return __atomic_load_n(checked_place(block, ref, &mark), __ATOMIC_RELAXED) == mark;
}

static void note_checked(const Block *block, uint64_t ref)
{
    uint8_t mark, *place = checked_place(block, ref, &mark);

    __atomic_store_n(place, mark, __ATOMIC_RELAXED);
}

// The chunk of the reference, whose bytes begin at `at`.
static bool take_chunk(const Block *block, uint64_t ref, Str at, bool always_check,
                       ChunkEncoding *ret_encoding, Str *ret_bytes, Error *err)
{
    Reader r = reader_from(at);
    uint64_t len = reader_uvarint(&r);
    const char *from = (const char *)r.at;
    uint8_t encoding = reader_u8(&r);
    Str bytes = len <= CHUNK_BYTES_MAX ? reader_bytes(&r, (size_t)len) : STR_NONE;
    uint32_t crc = reader_u32be(&r);
    bool known = !always_check && is_checked(block, ref);
    if (r.failed || len > CHUNK_BYTES_MAX ||
        (!known && crc != crc32c((Str){from, 1 + (size_t)len})))
        return error_set(err, ERR_CORRUPT, "block " STR_FMT ": corrupt chunk at %u:%u",
                         STR_ARG(block->dir), (unsigned)(ref >> 32) + 1, (unsigned)ref);
    if (!known)
        note_checked(block, ref);
    *ret_encoding = (ChunkEncoding)encoding;
    *ret_bytes = bytes;
    return true;
}

static bool chunk_exists(const Block *block, uint64_t ref)
{
    size_t segment = (size_t)(ref >> 32), offset = (size_t)(ref & UINT32_MAX);

    return segment < block->segment_count && offset >= BLOCK_SEGMENT_HEADER_BYTES &&
           offset < block->segments[segment].map.bytes.len;
}

static bool find_chunk(const Block *block, uint64_t ref, bool always_check,
                       ChunkEncoding *ret_encoding, Str *ret_bytes, Error *err)
{
    size_t segment = (size_t)(ref >> 32), offset = (size_t)(ref & UINT32_MAX);

    if (!chunk_exists(block, ref))
        return error_set(err, ERR_CORRUPT, "block " STR_FMT ": no chunk at %zu:%zu",
                         STR_ARG(block->dir), segment + 1, offset);
    return take_chunk(block, ref, str_skip(block->segments[segment].map.bytes, offset),
                      always_check, ret_encoding, ret_bytes, err);
}

bool block_chunk(const Block *block, uint64_t ref, ChunkEncoding *ret_encoding, Str *ret_bytes,
                 Error *err)
{
    return find_chunk(block, ref, false, ret_encoding, ret_bytes, err);
}

bool block_chunk_checked(const Block *block, uint64_t ref, ChunkEncoding *ret_encoding,
                         Str *ret_bytes, Error *err)
{
    return find_chunk(block, ref, true, ret_encoding, ret_bytes, err);
}

// Removes the samples from index `from` on that were deleted.
static void drop_deleted(SampleColumns *c, size_t from, const Intervals *deleted)
{
    size_t kept = from;

    for (size_t i = from; i < c->count; i++) {
        if (intervals_contain(deleted, c->t_ms[i]))
            continue;
        sample_columns_move(c, kept++, i);
    }
    if (c->histograms)
        memset(c->histograms + kept, 0, (c->count - kept) * sizeof *c->histograms);
    c->count = kept;
}

// A chunk that has been found in the map.
typedef struct Located {
    IndexChunk at;
    ChunkEncoding encoding;
    Str bytes;
} Located;

// Finds the chunks that are not wholly deleted and makes room for all their samples at once.
static bool locate_chunks(const Block *block, const IndexSeries *series, const Intervals *deleted,
                          ChunkColumns *columns, Located *located, size_t *ret_count, Error *err)
{
    size_t count = 0, samples = 0;
    bool histograms = false;

    for (size_t i = 0; i < series->chunk_count; i++) {
        Located *l = &located[count];
        l->at = series->chunks[i];
        if (deleted->count && intervals_cover(deleted, l->at.min_t_ms, l->at.max_t_ms))
            continue;
        if (!block_chunk(block, l->at.ref, &l->encoding, &l->bytes, err))
            return false;
        samples += MIN(chunk_sample_count(l->encoding, l->bytes), l->bytes.len * 8);
        histograms |= chunk_has_histograms(l->encoding);
        count++;
    }
    size_t sample_bytes = sizeof(int64_t) + sizeof(double) + (histograms ? sizeof(void *) : 0);
    if (columns->columns.count + samples > columns->cap &&
        !arena_reserve(columns->arena, samples * sample_bytes, err))
        return false;
    chunk_columns_reserve(columns, samples, histograms);
    *ret_count = count;
    return true;
}

bool block_read(Block *block, uint32_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                ChunkColumns *columns, Error *err)
{
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    CLEANUP(intervals_deinit) Intervals deleted = {.items = NULL};
    size_t from = columns->columns.count, count;

    if (!index_reader_series(block->index, series_ref, min_t_ms, max_t_ms, &series, err))
        return error_context(err, "block " STR_FMT, STR_ARG(block->dir));
    block_deleted(block, series_ref, &deleted);
    Located *located = ARENA_ARRAY(columns->arena, Located, series.chunk_count);
    if (!locate_chunks(block, &series, &deleted, columns, located, &count, err))
        return false;
    for (size_t i = 0; i < count && arena_ok(columns->arena, err); i++)
        if (!chunk_decode(located[i].encoding, located[i].bytes, min_t_ms, max_t_ms, columns, err))
            return error_context(err, "block " STR_FMT ": chunk at %u:%u", STR_ARG(block->dir),
                                 (unsigned)(located[i].at.ref >> 32) + 1,
                                 (unsigned)located[i].at.ref);
    if (deleted.count)
        drop_deleted(&columns->columns, from, &deleted);
    return arena_ok(columns->arena, err);
}

static bool has_deleted(Block *block, uint32_t series_ref)
{
    CLEANUP(intervals_deinit) Intervals deleted = {.items = NULL};

    block_deleted(block, series_ref, &deleted);
    return deleted.count > 0;
}

// Neighbours in a segment that were read at once.
typedef struct ChunkRun {
    uint64_t from; // reference of the first
    Str bytes;
} ChunkRun;

static bool find_span(const Block *block, const IndexSeries *series, uint64_t *ret_from,
                      uint64_t *ret_bytes)
{
    size_t count = series->chunk_count;

    if (count == 0)
        return false;
    uint64_t from = series->chunks[0].ref, last = series->chunks[count - 1].ref;
    if (!chunk_exists(block, from) || from >> 32 != last >> 32 || last < from ||
        last - from > count * RUN_CHUNK_BYTES_MAX)
        return false;
    *ret_from = from;
    *ret_bytes = last - from + RUN_CHUNK_BYTES_MAX;
    return true;
}

BlockSpan block_span(const Block *block, const IndexSeries *series)
{
    uint64_t from, bytes;

    if (!find_span(block, series, &from, &bytes) ||
        (bytes < RUN_BYTES_MIN && is_checked(block, from)))
        return (BlockSpan){0};
    return (BlockSpan){from, from + bytes};
}

void block_ask(const Block *block, BlockSpan span)
{
    if (span.from == span.to)
        return;
    const Str map = block->segments[span.from >> 32].map.bytes;
    size_t offset = (size_t)(span.from & UINT32_MAX);
    size_t at = offset & ~((size_t)sysconf(_SC_PAGESIZE) - 1);
    size_t wanted = MIN(offset - at + (size_t)(span.to - span.from), map.len - at);

    (void)madvise(advisable(str_sub(map, at, wanted)), wanted, MADV_WILLNEED); // it is only a hint
}

// Writes once to the pages of marks that a run needs. To look at one first would map the page of zeros there, and the mark then bring a
// second fault, which interrupts all cores.
static void touch_checked(const Segment *segment, uint64_t offset, uint64_t bytes)
{
    uint64_t from = offset / CHECKED_BYTES, last = (offset + bytes - 1) / CHECKED_BYTES;

    last = MIN(last, segment->map.bytes.len / CHECKED_BYTES);
    for (uint64_t i = from; i < last; i += CHECKED_PAGE_BYTES)
        __atomic_fetch_or(&segment->checked[i], 0, __ATOMIC_RELAXED);
    __atomic_fetch_or(&segment->checked[last], 0, __ATOMIC_RELAXED);
}

// Many chunks of a series stand behind one another: one read copies them. Through the map each page of them would be a wait for memory,
// and would count as ours until it is given back.
static ChunkRun read_run(const Block *block, const IndexSeries *series, Arena *arena)
{
    uint64_t from, bytes;
    Error ignored = {0}; // the map has the same chunks
    size_t got;

    if (!find_span(block, series, &from, &bytes) || bytes < RUN_BYTES_MIN ||
        !arena_reserve(arena, bytes + ARENA_ALIGN, &ignored))
        return (ChunkRun){0};
    const Segment *segment = &block->segments[from >> 32];
    char *to = (char *)arena_alloc(arena, bytes);
    if (!file_read_at(&segment->file, from & UINT32_MAX, to, bytes, &got, &ignored))
        return (ChunkRun){0};
    touch_checked(segment, from & UINT32_MAX, bytes);
    return (ChunkRun){from, {to, got}};
}

static bool is_in_run(const ChunkRun *run, uint64_t ref)
{
    return ref >= run->from && ref - run->from < run->bytes.len;
}

// From the run, or else from the map.
static bool gather_chunk(const Block *block, const ChunkRun *run, uint64_t ref, ChunkBatch *batch)
{
    Error ignored = {0}; // block_read() meets it again
    ChunkEncoding encoding;
    Str bytes;

    if (!is_in_run(run, ref) ||
        !take_chunk(block, ref, str_skip(run->bytes, (size_t)(ref - run->from)), false, &encoding,
                    &bytes, &ignored)) {
        if (!block_chunk(block, ref, &encoding, &bytes, &ignored))
            return false;
        batch->mapped_bytes += bytes.len;
    }
    chunk_batch_add(batch, encoding, bytes);
    return true;
}

void block_gather(Block *block, uint32_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                  ChunkBatch *batch)
{
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    Error ignored = {0}; // block_read() meets it again

    if (has_deleted(block, series_ref) ||
        !index_reader_series(block->index, series_ref, min_t_ms, max_t_ms, &series, &ignored)) {
        chunk_batch_refuse(batch);
        return;
    }
    ChunkRun run = read_run(block, &series, batch->scratch);
    for (size_t i = 0; i < series.chunk_count; i++)
        if (!gather_chunk(block, &run, series.chunks[i].ref, batch)) {
            chunk_batch_refuse(batch);
            return;
        }
}

// Cursors

bool block_cursor_open(Block *block, const Matcher *matchers, size_t count, int64_t min_t_ms,
                       int64_t max_t_ms, Arena *arena, BlockCursor *ret_cursor, Error *err)
{
    IndexPostings postings;

    if (!index_reader_postings(block->index, matchers, count, arena, &postings, err))
        return error_context(err, "block " STR_FMT, STR_ARG(block->dir));
    memset(ret_cursor, 0, sizeof *ret_cursor);
    ret_cursor->block = block;
    ret_cursor->min_t_ms = min_t_ms;
    ret_cursor->max_t_ms = max_t_ms;
    ret_cursor->postings = postings;
    return true;
}

static bool cached_symbol(BlockCursor *cursor, uint32_t symbol, Str *ret_text, Error *err)
{
    size_t slot = symbol % COUNT_OF(cursor->cache);

    if (cursor->cache[slot].symbol != symbol + 1) {
        if (!index_reader_symbol(cursor->block->index, symbol, &cursor->cache[slot].text, err))
            return false;
        cursor->cache[slot].symbol = symbol + 1;
    }
    *ret_text = cursor->cache[slot].text;
    return true;
}

static bool cursor_labels(BlockCursor *cursor, Error *err)
{
    const IndexSeries *series = &cursor->series;
    size_t count = series->symbol_count / 2;

    if (count > cursor->pair_cap) {
        cursor->pair_cap = 2 * count;
        cursor->pairs = (Label *)x_realloc(cursor->pairs, cursor->pair_cap * sizeof(Label));
    }
    for (size_t i = 0; i < count; i++)
        if (!cached_symbol(cursor, series->symbols[2 * i], &cursor->pairs[i].name, err) ||
            !cached_symbol(cursor, series->symbols[2 * i + 1], &cursor->pairs[i].value, err))
            return false;
    cursor->labels = (Labels){cursor->pairs, count};
    return true;
}

static bool has_live_chunk(BlockCursor *cursor)
{
    CLEANUP(intervals_deinit) Intervals deleted = {.items = NULL};
    const IndexSeries *series = &cursor->series;

    if (series->chunk_count == 0)
        return false;
    block_deleted(cursor->block, cursor->ref, &deleted);
    if (deleted.count == 0)
        return true;
    for (size_t i = 0; i < series->chunk_count; i++)
        if (!intervals_cover(&deleted, MAX(series->chunks[i].min_t_ms, cursor->min_t_ms),
                             MIN(series->chunks[i].max_t_ms, cursor->max_t_ms)))
            return true;
    return false;
}

bool block_cursor_next(BlockCursor *cursor, bool *ret_more, Error *err)
{
    while (cursor->at < cursor->postings.count) {
        cursor->ref = cursor->postings.refs[cursor->at++];
        if (!index_reader_series(cursor->block->index, cursor->ref, cursor->min_t_ms,
                                 cursor->max_t_ms, &cursor->series, err))
            return error_context(err, "block " STR_FMT, STR_ARG(cursor->block->dir));
        if (!has_live_chunk(cursor))
            continue;
        *ret_more = true;
        return cursor_labels(cursor, err);
    }
    *ret_more = false;
    return true;
}

void block_cursor_close(BlockCursor *cursor)
{
    index_series_deinit(&cursor->series);
    free(cursor->pairs);
    cursor->pairs = NULL;
}
