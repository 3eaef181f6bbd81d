// SPDX-License-Identifier: Apache-2.0
#include "tsdb/block_writer.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/reader.h"
#include "tsdb/chunk_join.h"
#include "tsdb/index_format.h"
#include "tsdb/tombstones.h"

#define FLUSH_BYTES (256 * 1024)
#define BATCH_PAIRS (1u << 20) // postings gathered at once, unless one name alone has more
#define RELEASE_SERIES 65536   // the map of the index is given back after so many

// A file that is only appended to, through a buffer.
typedef struct Out {
    File file;
    Buf buf;
    uint64_t at; // next byte's offset, the buffered ones counted
} Out;

// Where the postings list of a label pair begins.
typedef struct PairEntry {
    uint64_t offset;
    uint32_t name;
    uint32_t value;
} PairEntry;

struct BlockWriter {
    Arena arena;
    void (*chunk_written)(void *arg, const BlockChunk *chunk);
    void *chunk_written_arg;
    Fs *fs;
    BlockMeta meta;
    Str dir;
    Str tmp_dir;
    Str final_dir;

    Out index;
    Buf last_symbol;
    uint32_t symbol_count;
    bool symbols_done;
    uint64_t symbols_end;  // offset of their checksum
    uint32_t *name_counts; // by symbol: series that have it as a label's name
    uint32_t *last_refs;   // of the newest series, for the order
    size_t last_ref_count;
    size_t last_ref_cap;
    uint32_t *series; // refs: offset / 16
    size_t series_count;
    size_t series_cap;
    Buf record;        // of one series
    Buf chunk_entries; // of its chunks
    ChunkJoin join;

    Out segment;
    uint64_t segment_bytes_max;
    uint32_t segment_count;

    PairEntry *pairs;
    size_t pair_count;
    size_t pair_cap;
};

// Output

static bool out_flush(Out *out, Error *err)
{
    if (out->buf.len == 0)
        return true;
    bool ok = file_write(&out->file, buf_str(&out->buf), err);
    buf_reset(&out->buf);
    return ok;
}

// Tells that `bytes` were put into the buffer.
static bool out_grew(Out *out, size_t bytes, Error *err)
{
    out->at += bytes;
    return out->buf.len < FLUSH_BYTES || out_flush(out, err);
}

static bool out_add(Out *out, Str bytes, Error *err)
{
    buf_add_str(&out->buf, bytes);
    return out_grew(out, bytes.len, err);
}

static bool out_align(Out *out, uint64_t align, Error *err)
{
    static const char zeros[INDEX_SERIES_ALIGN] = {0};
    return out_add(out, (Str){zeros, (size_t)((align - out->at % align) % align)}, err);
}

static bool out_finish(Out *out, Error *err)
{
    bool ok = out_flush(out, err) && file_sync(&out->file, err) && file_finish(&out->file, err);
    file_close(&out->file);
    return ok;
}

static void out_deinit(Out *out)
{
    file_close(&out->file);
    buf_deinit(&out->buf);
}

// Begin and end

static void copy_meta(BlockWriter *w, const BlockWriterOptions *o)
{
    BlockMeta *meta = &w->meta;

    *meta = (BlockMeta){
        .ulid = o->ulid, .min_t_ms = o->min_t_ms, .max_t_ms = o->max_t_ms, .level = o->level};
    meta->source_count = o->source_count ? o->source_count : 1;
    meta->sources = ARENA_ARRAY(&w->arena, Ulid, meta->source_count);
    memcpy(meta->sources, o->source_count ? o->sources : &o->ulid,
           meta->source_count * sizeof(Ulid));
    if (o->parent_count) {
        meta->parents = ARENA_ARRAY(&w->arena, BlockParent, o->parent_count);
        memcpy(meta->parents, o->parents, o->parent_count * sizeof(BlockParent));
        meta->parent_count = o->parent_count;
    }
    if (o->from_out_of_order || o->from_stale_series) {
        meta->hints = ARENA_ARRAY(&w->arena, Str, 2);
        meta->hints[meta->hint_count++] = BLOCK_HINT_OUT_OF_ORDER;
        if (o->from_stale_series)
            meta->hints[meta->hint_count++] = BLOCK_HINT_STALE_SERIES;
    }
}

static bool begin_index(BlockWriter *w, Error *err)
{
    // Header, then length and count of the symbols, which are known at their end.
    static const char header[INDEX_HEADER_BYTES + 8] = {
        (char)(INDEX_MAGIC >> 24), (char)(INDEX_MAGIC >> 16), (char)(INDEX_MAGIC >> 8),
        (char)INDEX_MAGIC, INDEX_VERSION};

    return fs_open(w->fs, fs_join(&w->arena, w->tmp_dir, S("index")), FS_CREATE_NEW, &w->index.file,
                   err) &&
           out_add(&w->index, (Str){header, sizeof header}, err);
}

bool block_writer_open(const BlockWriterOptions *options, BlockWriter **ret_writer, Error *err)
{
    BlockWriter *w = X_NEW(BlockWriter);

    w->fs = options->fs;
    w->chunk_written = options->chunk_written;
    w->chunk_written_arg = options->chunk_written_arg;
    // A ref has 32 bits for the place in the file.
    w->segment_bytes_max =
        MIN(options->segment_bytes_max ? options->segment_bytes_max : BLOCK_SEGMENT_BYTES_DEFAULT,
            UINT32_MAX);
    w->index.file = w->segment.file = (File)FILE_NONE;
    w->dir = arena_str(&w->arena, options->dir);
    w->final_dir = fs_join(&w->arena, w->dir, ulid_str(&options->ulid));
    w->tmp_dir = arena_printf(&w->arena, STR_FMT ".tmp-for-creation", STR_ARG(w->final_dir));
    copy_meta(w, options);
    if (!fs_make_dirs(w->fs, fs_join(&w->arena, w->tmp_dir, S("chunks")), err) ||
        !begin_index(w, err)) {
        block_writer_abort(w);
        return error_context(err, "new block");
    }
    *ret_writer = w;
    return true;
}

static void writer_free(BlockWriter *w)
{
    out_deinit(&w->index);
    out_deinit(&w->segment);
    buf_deinit(&w->last_symbol);
    buf_deinit(&w->record);
    buf_deinit(&w->chunk_entries);
    free(w->name_counts);
    free(w->last_refs);
    free(w->series);
    free(w->pairs);
    arena_deinit(&w->arena);
    free(w);
}

void block_writer_abort(BlockWriter *w)
{
    Error later = {0};

    if (!w)
        return;
    if (!fs_remove_tree(w->fs, w->tmp_dir, &later)) {
        // The next start removes it.
    }
    writer_free(w);
}

// Symbols

bool block_writer_symbol(BlockWriter *w, Str symbol, Error *err)
{
    ASSERT(!w->symbols_done);
    if (w->symbol_count && str_compare(buf_str(&w->last_symbol), symbol) >= 0)
        return error_set(err, ERR_INVALID,
                         "symbols out of order: \"" STR_FMT "\" comes behind \"" STR_FMT "\"",
                         STR_ARG(symbol), STR_ARG(buf_str(&w->last_symbol)));
    if (w->symbol_count == UINT32_MAX)
        return error_set(err, ERR_LIMIT, "more symbols than an index can number");
    buf_reset(&w->last_symbol);
    buf_add_str(&w->last_symbol, symbol);
    w->symbol_count++;
    size_t before = w->index.buf.len;
    buf_add_uvarint(&w->index.buf, symbol.len);
    buf_add_str(&w->index.buf, symbol);
    return out_grew(&w->index, w->index.buf.len - before, err);
}

// Ends the symbols; their length, count and checksum are filled in at the end.
static bool end_symbols(BlockWriter *w, Error *err)
{
    static const char checksum[4] = {0};

    if (w->index.at > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "the symbols of the index would be larger than 4 GiB");
    w->symbols_done = true;
    w->symbols_end = w->index.at;
    w->name_counts = X_ARRAY(uint32_t, (size_t)w->symbol_count + 1);
    return out_add(&w->index, (Str){checksum, 4}, err);
}

// Chunks

static bool end_segment(BlockWriter *w, Error *err)
{
    return w->segment.file.fd < 0 || out_finish(&w->segment, err);
}

static bool begin_segment(BlockWriter *w, Error *err)
{
    static const char header[BLOCK_SEGMENT_HEADER_BYTES] = {
        (char)(BLOCK_SEGMENT_MAGIC >> 24), (char)(BLOCK_SEGMENT_MAGIC >> 16),
        (char)(BLOCK_SEGMENT_MAGIC >> 8), (char)BLOCK_SEGMENT_MAGIC, BLOCK_SEGMENT_VERSION};
    Str name =
        arena_printf(&w->arena, STR_FMT "/chunks/%06u", STR_ARG(w->tmp_dir), w->segment_count + 1);

    if (!end_segment(w, err) || !fs_open(w->fs, name, FS_CREATE_NEW, &w->segment.file, err))
        return false;
    w->segment_count++;
    w->segment.at = 0;
    return out_add(&w->segment, (Str){header, sizeof header}, err);
}

static bool write_chunk(BlockWriter *w, const BlockChunk *chunk, uint64_t *ret_ref, Error *err)
{
    Buf *out = &w->segment.buf;
    uint64_t bytes_max = 10 + 1 + chunk->bytes.len + 4;

    if ((w->segment_count == 0 || w->segment.at + bytes_max > w->segment_bytes_max) &&
        !begin_segment(w, err))
        return false;
    *ret_ref = (uint64_t)(w->segment_count - 1) << 32 | w->segment.at;
    size_t before = out->len;
    buf_add_uvarint(out, chunk->bytes.len);
    size_t checked = out->len;
    buf_add_char(out, (char)chunk->encoding);
    buf_add_str(out, chunk->bytes);
    buf_add_u32be(out, crc32c(str_skip(buf_str(out), checked)));
    return out_grew(&w->segment, out->len - before, err);
}

// Series

static int compare_refs(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count && i < b_count; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return (a_count > b_count) - (a_count < b_count);
}

static bool check_series(BlockWriter *w, const uint32_t *refs, size_t ref_count, Error *err)
{
    ASSERT(ref_count % 2 == 0);
    for (size_t i = 0; i < ref_count; i++) {
        if (refs[i] >= w->symbol_count)
            return error_set(err, ERR_INVALID, "a series uses symbol %u of %u", refs[i],
                             w->symbol_count);
        if (i >= 2 && i % 2 == 0 && refs[i] <= refs[i - 2])
            return error_set(err, ERR_INVALID, "labels of a series out of order");
    }
    if (w->series_count && compare_refs(w->last_refs, w->last_ref_count, refs, ref_count) >= 0)
        return error_set(err, ERR_INVALID, "series out of order");
    return true;
}

static void remember_series(BlockWriter *w, const uint32_t *refs, size_t ref_count)
{
    if (ref_count > w->last_ref_cap) {
        w->last_ref_cap = 2 * ref_count;
        w->last_refs = (uint32_t *)x_realloc(w->last_refs, w->last_ref_cap * sizeof *w->last_refs);
    }
    if (ref_count)
        memcpy(w->last_refs, refs, ref_count * sizeof *refs);
    w->last_ref_count = ref_count;
    for (size_t i = 0; i < ref_count; i += 2)
        w->name_counts[refs[i]]++;
    if (w->series_count == w->series_cap) {
        w->series_cap = w->series_cap ? 2 * w->series_cap : 1024;
        w->series = (uint32_t *)x_realloc(w->series, w->series_cap * sizeof *w->series);
    }
    w->series[w->series_count++] = (uint32_t)(w->index.at / INDEX_SERIES_ALIGN);
}

static void count_samples(BlockWriter *w, const BlockChunk *chunk)
{
    size_t samples = chunk_sample_count(chunk->encoding, chunk->bytes);

    w->meta.stats.chunks++;
    w->meta.stats.samples += samples;
    if (chunk_has_histograms(chunk->encoding))
        w->meta.stats.histogram_samples += samples;
    else
        w->meta.stats.float_samples += samples;
}

static void add_chunk_entry(BlockWriter *w, const BlockChunk *c, const BlockChunk *before,
                            uint64_t ref, uint64_t before_ref)
{
    if (!before) {
        buf_add_varint(&w->chunk_entries, c->min_t_ms);
        buf_add_uvarint(&w->chunk_entries, (uint64_t)c->max_t_ms - (uint64_t)c->min_t_ms);
        buf_add_uvarint(&w->chunk_entries, ref);
        return;
    }
    buf_add_uvarint(&w->chunk_entries, (uint64_t)c->min_t_ms - (uint64_t)before->max_t_ms);
    buf_add_uvarint(&w->chunk_entries, (uint64_t)c->max_t_ms - (uint64_t)c->min_t_ms);
    buf_add_varint(&w->chunk_entries, (int64_t)(ref - before_ref));
}

static bool check_chunks(const BlockChunk *chunks, size_t count, Error *err)
{
    for (size_t i = 0; i < count; i++)
        if (chunks[i].min_t_ms > chunks[i].max_t_ms ||
            (i > 0 && chunks[i].min_t_ms <= chunks[i - 1].max_t_ms))
            return error_set(err, ERR_INVALID, "chunks of a series overlap or are out of order");
    return true;
}

// Writes the chunks, joined where that is a gain, and notes them in the series' record.
static bool add_chunks(BlockWriter *w, const BlockChunk *chunks, size_t count, Error *err)
{
    BlockChunk before = {.min_t_ms = 0};
    uint64_t before_ref = 0;
    size_t written = 0;

    if (!check_chunks(chunks, count, err))
        return false;
    buf_reset(&w->chunk_entries);
    for (size_t i = 0; i < count; written++) {
        BlockChunk c;
        uint64_t ref;
        i += chunk_join(&w->join, chunks + i, count - i, &c);
        if (!write_chunk(w, &c, &ref, err))
            return false;
        add_chunk_entry(w, &c, written ? &before : NULL, ref, before_ref);
        before = c;
        before_ref = ref;
        count_samples(w, &c);
        if (w->chunk_written)
            w->chunk_written(w->chunk_written_arg, &c);
    }
    buf_add_uvarint(&w->record, written);
    buf_add_str(&w->record, buf_str(&w->chunk_entries));
    return true;
}

static bool add_series(BlockWriter *w, const uint32_t *refs, size_t ref_count,
                       const BlockChunk *chunks, size_t count, Error *err)
{
    if (!w->symbols_done && !end_symbols(w, err))
        return false;
    if (count == 0)
        return true;
    if (!check_series(w, refs, ref_count, err) || !out_align(&w->index, INDEX_SERIES_ALIGN, err))
        return false;
    if (w->index.at > INDEX_BYTES_MAX - (UINT64_C(1) << 30))
        return error_set(err, ERR_LIMIT, "the index would be larger than 64 GiB");

    buf_reset(&w->record);
    buf_add_uvarint(&w->record, ref_count / 2);
    for (size_t i = 0; i < ref_count; i++)
        buf_add_uvarint(&w->record, refs[i]);
    if (!add_chunks(w, chunks, count, err))
        return false;
    remember_series(w, refs, ref_count);
    size_t before = w->index.buf.len;
    buf_add_uvarint(&w->index.buf, w->record.len);
    buf_add_str(&w->index.buf, buf_str(&w->record));
    buf_add_u32be(&w->index.buf, crc32c(buf_str(&w->record)));
    w->meta.stats.series++;
    return out_grew(&w->index, w->index.buf.len - before, err);
}

bool block_writer_series(BlockWriter *w, const uint32_t *refs, size_t ref_count,
                         const BlockChunk *chunks, size_t count, Error *err)
{
    return add_series(w, refs, ref_count, chunks, count, err) ||
           error_context(err, "block " STR_FMT, STR_ARG(ulid_str(&w->meta.ulid)));
}

// Postings

static bool write_list(BlockWriter *w, uint32_t name, uint32_t value, const uint64_t *packed,
                       const uint32_t *refs, size_t count, Error *err)
{
    Buf *out = &w->index.buf;

    if (!out_align(&w->index, 4, err))
        return false;
    if (w->pair_count == w->pair_cap) {
        w->pair_cap = w->pair_cap ? 2 * w->pair_cap : 1024;
        w->pairs = (PairEntry *)x_realloc(w->pairs, w->pair_cap * sizeof *w->pairs);
    }
    w->pairs[w->pair_count++] = (PairEntry){w->index.at, name, value};
    size_t before = out->len;
    buf_add_u32be(out, (uint32_t)(4 + 4 * count));
    buf_add_u32be(out, (uint32_t)count);
    char *to = buf_reserve(out, 4 * count);
    ASSERT(to != NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t ref = __builtin_bswap32(refs ? refs[i] : (uint32_t)packed[i]);
        memcpy(to + 4 * i, &ref, 4);
    }
    out->len += 4 * count;
    buf_add_u32be(out, crc32c(str_skip(buf_str(out), before + 4)));
    return out_grew(&w->index, out->len - before, err);
}

// Sorts by the upper halves, keeping the order of equal ones.
static void sort_packed(uint64_t *items, uint64_t *spare, size_t count)
{
    size_t i = 1;

    while (i < count && items[i - 1] >> 32 <= items[i] >> 32)
        i++;
    if (i >= count)
        return;
    uint64_t *from = items, *to = spare;
    for (unsigned shift = 32; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (i = 0; i < count; i++)
            starts[(from[i] >> shift & 0xff) + 1]++;
        for (i = 1; i < 257; i++)
            starts[i] += starts[i - 1];
        for (i = 0; i < count; i++)
            to[starts[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    // Four rounds: the result is back in items.
}

// What was read of the map no longer counts as ours; it stays in the kernel's cache for the next batch.
static void release_pages(Str map)
{
    union {
        const char *view;
        void *at;
    } cast = {map.ptr};
    madvise(cast.at, map.len, MADV_DONTNEED);
}

// Appends value << 32 | series to the region of each name of the batch. cursors: by symbol.
static bool gather(BlockWriter *w, Str index, uint64_t *items, const uint32_t *slots,
                   size_t *cursors, Error *err)
{
    for (size_t i = 0; i < w->series_count; i++) {
        if (i % RELEASE_SERIES == RELEASE_SERIES - 1)
            release_pages(index);
        Reader r = reader_from(str_skip(index, (size_t)w->series[i] * INDEX_SERIES_ALIGN));
        (void)reader_uvarint(&r);
        uint64_t labels = reader_uvarint(&r);
        for (uint64_t k = 0; k < labels; k++) {
            uint64_t name = reader_uvarint(&r), value = reader_uvarint(&r);
            if (r.failed || name >= w->symbol_count)
                return error_set(err, ERR_CORRUPT, "the index just written reads back differently");
            if (slots[name])
                items[cursors[slots[name] - 1]++] = value << 32 | w->series[i];
        }
    }
    return true;
}

static bool write_name(BlockWriter *w, uint32_t name, uint64_t *items, uint64_t *spare,
                       size_t count, Error *err)
{
    sort_packed(items, spare, count);
    for (size_t from = 0, to; from < count; from = to) {
        uint32_t value = (uint32_t)(items[from] >> 32);
        for (to = from + 1; to < count && items[to] >> 32 == value; to++)
            ;
        if (!write_list(w, name, value, items + from, NULL, to - from, err))
            return false;
    }
    return true;
}

// The lists of the names in [from, to) of `names`, which have `total` pairs.
static bool write_batch(BlockWriter *w, Str index, const uint32_t *names, size_t count,
                        size_t total, uint32_t *slots, Error *err)
{
    uint64_t *items = X_ARRAY(uint64_t, total + 1), *spare = X_ARRAY(uint64_t, total + 1);
    size_t *cursors = X_ARRAY(size_t, count + 1);
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        slots[names[i]] = (uint32_t)i + 1;
        cursors[i] = at;
        at += w->name_counts[names[i]];
    }
    bool ok = gather(w, index, items, slots, cursors, err);
    at = 0;
    for (size_t i = 0; ok && i < count; i++) {
        ok = write_name(w, names[i], items + at, spare, w->name_counts[names[i]], err);
        at += w->name_counts[names[i]];
    }
    for (size_t i = 0; i < count; i++)
        slots[names[i]] = 0;
    free(items);
    free(spare);
    free(cursors);
    return ok;
}

static bool write_postings(BlockWriter *w, Str index, Error *err)
{
    uint32_t *names = X_ARRAY(uint32_t, (size_t)w->symbol_count + 1),
             *slots = X_ARRAY(uint32_t, (size_t)w->symbol_count + 1);
    size_t count = 0;

    for (uint32_t i = 0; i < w->symbol_count; i++)
        if (w->name_counts[i])
            names[count++] = i;
    // The pair of two empty strings stands for all series; UINT32_MAX stands for no symbol.
    bool ok = write_list(w, UINT32_MAX, UINT32_MAX, NULL, w->series, w->series_count, err);
    for (size_t from = 0, to; ok && from < count; from = to) {
        size_t total = w->name_counts[names[from]];
        for (to = from + 1; to < count && total + w->name_counts[names[to]] <= BATCH_PAIRS; to++)
            total += w->name_counts[names[to]];
        ok = write_batch(w, index, names + from, to - from, total, slots, err);
    }
    free(names);
    free(slots);
    return ok;
}

// Where each symbol begins in the index.
static uint32_t *locate_symbols(const BlockWriter *w, Str index)
{
    uint32_t *offsets = X_ARRAY(uint32_t, (size_t)w->symbol_count + 1);
    Reader r = reader_from(
        str_sub(index, INDEX_HEADER_BYTES + 8, (size_t)w->symbols_end - INDEX_HEADER_BYTES - 8));

    for (uint32_t i = 0; i < w->symbol_count; i++) {
        offsets[i] = (uint32_t)((const char *)r.at - index.ptr);
        (void)reader_str(&r);
    }
    ASSERT(!r.failed);
    return offsets;
}

static Str symbol_at(Str index, const uint32_t *offsets, uint32_t symbol)
{
    if (symbol == UINT32_MAX)
        return STR_NONE;
    Reader r = reader_from(str_skip(index, offsets[symbol]));
    return reader_str(&r);
}

static bool write_table(BlockWriter *w, Str index, uint64_t *ret_bytes, Error *err)
{
    uint32_t *offsets = locate_symbols(w, index);
    Buf *out = &w->index.buf;
    uint64_t from = w->index.at;
    uint32_t crc = 0;
    bool ok = true;

    buf_add_u32be(out, 0); // the length, filled in at the end
    ok = out_grew(&w->index, 4, err);
    size_t before = out->len;
    buf_add_u32be(out, (uint32_t)w->pair_count);
    for (size_t i = 0; ok && i < w->pair_count; i++) {
        const PairEntry *pair = &w->pairs[i];
        Str name = symbol_at(index, offsets, pair->name),
            value = symbol_at(index, offsets, pair->value);
        buf_add_uvarint(out, 2);
        buf_add_uvarint(out, name.len);
        buf_add_str(out, name);
        buf_add_uvarint(out, value.len);
        buf_add_str(out, value);
        buf_add_uvarint(out, pair->offset);
        crc = crc32c_more(crc, str_skip(buf_str(out), before));
        ok = out_grew(&w->index, out->len - before, err);
        before = out->len;
    }
    buf_add_u32be(out, crc);
    ok = ok && out_grew(&w->index, 4, err);
    *ret_bytes = w->index.at - from - 8;
    free(offsets);
    return ok;
}

static bool patch_u32(BlockWriter *w, uint64_t at, uint64_t value, Error *err)
{
    CLEANUP(buf_deinit) Buf out = {.ptr = NULL};

    if (value > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "a part of the index is larger than 4 GiB");
    buf_add_u32be(&out, (uint32_t)value);
    return file_write_at(&w->index.file, at, buf_str(&out), err);
}

// Fills in what was not known when the symbols began.
static bool patch_symbols(BlockWriter *w, Str index, Error *err)
{
    CLEANUP(buf_deinit) Buf count = {.ptr = NULL};
    size_t from = INDEX_HEADER_BYTES + 8;

    buf_add_u32be(&count, w->symbol_count);
    uint32_t crc =
        crc32c_more(crc32c(buf_str(&count)), str_sub(index, from, (size_t)w->symbols_end - from));
    return patch_u32(w, INDEX_HEADER_BYTES, w->symbols_end - INDEX_HEADER_BYTES - 4, err) &&
           patch_u32(w, INDEX_HEADER_BYTES + 4, w->symbol_count, err) &&
           patch_u32(w, w->symbols_end, crc, err);
}

static bool write_toc(BlockWriter *w, const uint64_t offsets[6], Error *err)
{
    Buf *out = &w->index.buf;
    size_t before = out->len;

    for (int i = 0; i < 6; i++)
        buf_add_u64be(out, offsets[i]);
    buf_add_u32be(out, crc32c(str_skip(buf_str(out), before)));
    return out_grew(&w->index, out->len - before, err);
}

static bool finish_index(BlockWriter *w, Str index, Error *err)
{
    // Label indices are not written any more: their two places point to empty space.
    uint64_t toc[6] = {INDEX_HEADER_BYTES, 0, w->index.at, 0, 0, 0};
    uint64_t table_bytes;

    toc[1] =
        (w->symbols_end + 4 + INDEX_SERIES_ALIGN - 1) / INDEX_SERIES_ALIGN * INDEX_SERIES_ALIGN;
    if (!out_align(&w->index, 4, err))
        return false;
    toc[4] = w->index.at;
    if (!write_postings(w, index, err))
        return false;
    toc[3] = toc[5] = w->index.at;
    return write_table(w, index, &table_bytes, err) && write_toc(w, toc, err) &&
           out_flush(&w->index, err) && patch_symbols(w, index, err) &&
           patch_u32(w, toc[5], table_bytes, err) && out_finish(&w->index, err);
}

// Publishing

static bool publish(BlockWriter *w, Error *err)
{
    Tombstones none = {NULL, 0, 0};

    return block_meta_write(w->fs, w->tmp_dir, &w->meta, err) &&
           tombstones_write(w->fs, w->tmp_dir, &none, err) &&
           fs_sync_dir(w->fs, fs_join(&w->arena, w->tmp_dir, S("chunks")), err) &&
           fs_sync_dir(w->fs, w->tmp_dir, err) && fs_rename(w->fs, w->tmp_dir, w->final_dir, err) &&
           fs_sync_dir(w->fs, w->dir, err);
}

static bool finish(BlockWriter *w, Error *err)
{
    FsMap map = {{NULL, 0}};

    if (!end_segment(w, err) || !out_flush(&w->index, err) ||
        !fs_map(w->fs, fs_join(&w->arena, w->tmp_dir, S("index")), &map, err))
        return false;
    bool ok = finish_index(w, map.bytes, err);
    fs_unmap(&map);
    return ok && publish(w, err);
}

bool block_writer_finish(BlockWriter *w, bool *ret_made, Error *err)
{
    if (w->meta.stats.samples == 0) {
        block_writer_abort(w);
        *ret_made = false;
        return true;
    }
    if (!finish(w, err)) {
        Error later = {0};
        error_context(err, "block " STR_FMT, STR_ARG(ulid_str(&w->meta.ulid)));
        // Under its final name it is whole, though not on disk for sure. It goes under the other name, so that no half of it is ever taken
        // for a block; if that fails, too, its samples are kept twice at worst.
        if (fs_exists(w->fs, w->final_dir) && !fs_rename(w->fs, w->final_dir, w->tmp_dir, &later))
            error_context(err, "%s, then", later.text);
        block_writer_abort(w);
        return false;
    }
    writer_free(w);
    *ret_made = true;
    return true;
}
