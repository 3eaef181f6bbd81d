// SPDX-License-Identifier: Apache-2.0
// Verifying a data directory, and writing damaged blocks anew from what is good of them.
#include "tsdb/block_from_source.h"
#include "tsdb/block_verify.h"
#include "tsdb/head_chunks.h"
#include "tsdb/tsdb_internal.h"
#include "tsdb/tsdb_offline.h"
#include "tsdb/wal.h"

#define SAMPLES_PER_CHUNK 120

static TsdbFinding *find(TsdbFindings *findings, Arena *arena, bool is_fault, Str place, Str text)
{
    if (findings->count == findings->cap) {
        size_t cap = findings->cap ? 2 * findings->cap : 16;
        findings->items = (TsdbFinding *)arena_grow(
            arena, findings->items, findings->cap * sizeof(TsdbFinding), cap * sizeof(TsdbFinding));
        findings->cap = cap;
    }
    findings->faults += is_fault;
    findings->items[findings->count] =
        (TsdbFinding){arena_str(arena, place), text, STR_NONE, is_fault};
    return &findings->items[findings->count++];
}

// --- what is good of a block ---

// A damaged block is opened under the name that its meta.json has, or else its folder, wherever it lies.
typedef struct Patient {
    Str name;
    bool aside;
    Block *block;
    BlockLoss loss;
    BlockFaults faults;
} Patient;

typedef struct Salvage {
    Source source;
    Querier querier;
    Block *block;
    uint64_t bad_series, bad_chunks;
} Salvage;

// Good series only.
static bool salvage_select(Querier *querier, const Matcher *matchers, size_t count,
                           const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    Salvage *s = CONTAINER_OF(querier, Salvage, querier);
    const IndexReader *index = block_index(s->block);
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    IndexPostings all;
    size_t kept = 0;

    (void)hints;
    if (!index_reader_postings(index, matchers, count, arena, &all, err))
        return false;
    SeriesEntry *entries = ARENA_ARRAY(arena, SeriesEntry, all.count + 1);
    for (size_t i = 0; i < all.count; i++) {
        Error why = {0};
        entries[kept].handle = all.refs[i];
        if (index_reader_series(index, all.refs[i], INT64_MIN, INT64_MAX, &series, &why) &&
            index_reader_labels(index, &series, arena, &entries[kept].labels, &why) &&
            (kept == 0 || labels_compare(entries[kept - 1].labels, entries[kept].labels) < 0))
            kept++;
        else
            s->bad_series++;
    }
    *ret_list = (SeriesList){entries, kept};
    return true;
}

// Good chunks only, less what was deleted.
static bool salvage_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                         Arena *arena, SampleColumns *ret_columns, Error *err)
{
    Salvage *s = CONTAINER_OF(querier, Salvage, querier);
    CLEANUP(index_series_deinit) IndexSeries series = {.symbols = NULL};
    CLEANUP(intervals_deinit) Intervals deleted = {.items = NULL};
    ChunkColumns columns = {.arena = arena};
    SampleColumns *c = &columns.columns;

    if (!index_reader_series(block_index(s->block), (uint32_t)handle, min_t_ms, max_t_ms, &series,
                             err))
        return false;
    block_deleted(s->block, (uint32_t)handle, &deleted);
    for (size_t i = 0; i < series.chunk_count; i++) {
        ChunkEncoding encoding;
        Str bytes;
        Error why = {0};
        size_t before = c->count, kept = before;
        if (!block_chunk(s->block, series.chunks[i].ref, &encoding, &bytes, &why) ||
            !chunk_decode(encoding, bytes, min_t_ms, max_t_ms, &columns, &why)) {
            c->count = before;
            s->bad_chunks++;
            continue;
        }
        for (size_t k = before; k < c->count; k++) {
            if (intervals_contain(&deleted, c->t_ms[k]) ||
                (kept && c->t_ms[k] <= c->t_ms[kept - 1]))
                continue;
            sample_columns_move(c, kept++, k);
        }
        if (c->histograms)
            memset(c->histograms + kept, 0, (c->count - kept) * sizeof *c->histograms);
        c->count = kept;
    }
    *ret_columns = *c;
    return true;
}

static bool salvage_names(Querier *querier, const Matcher *matchers, size_t count, size_t limit,
                          Arena *arena, StrList *ret_names, Error *err)
{
    Salvage *s = CONTAINER_OF(querier, Salvage, querier);
    (void)matchers, (void)count, (void)limit;
    return index_reader_names(block_index(s->block), arena, ret_names, err);
}

static bool salvage_values(Querier *querier, Str name, const Matcher *matchers, size_t count,
                           size_t limit, Arena *arena, StrList *ret_values, Error *err)
{
    Salvage *s = CONTAINER_OF(querier, Salvage, querier);
    (void)matchers, (void)count, (void)limit;
    return index_reader_values(block_index(s->block), name, arena, ret_values, err);
}

static void salvage_close(Querier *querier)
{
    (void)querier;
}

static bool salvage_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                         Error *err)
{
    (void)min_t_ms, (void)max_t_ms, (void)err;
    *ret_querier = &CONTAINER_OF(source, Salvage, source)->querier;
    return true;
}

// The samples tell the range. Nobody knows whether the block had all in-order samples of it, and a block without hints says so: a start
// would skip the log up to its end. As one of late samples it says nothing, and what log and block both have is answered once.
static void make_up_meta(BlockWriterOptions *options, const BlockFaults *faults)
{
    options->min_t_ms = faults->min_t_ms;
    options->max_t_ms = MIN(faults->max_t_ms, INT64_MAX - 1) + 1;
    options->from_out_of_order = true;
}

// What of the block is not as it was, though its samples are.
static Str told_losses(const Patient *p, Arena *arena)
{
    Str meta = p->loss.meta.code ? S("; meta.json made from its samples") : STR_NONE;
    Str tombstones =
        p->loss.tombstones.code
            ? arena_printf(arena,
                           "; %llu tombstones are good, samples that others had deleted are back",
                           (unsigned long long)block_tombstone_count(p->block))
            : STR_NONE;

    return arena_printf(arena, STR_FMT STR_FMT, STR_ARG(meta), STR_ARG(tombstones));
}

// A new block of what is good. The old one is still where it was.
static bool salvage_block(Fs *fs, Str dir, const Patient *p, Arena *arena, Str *ret_text,
                          Error *err)
{
    Salvage s = {
        .source.open = salvage_open,
        .querier = {salvage_select, salvage_read, salvage_names, salvage_values, salvage_close},
        .block = p->block};
    const BlockMeta *meta = block_meta(p->block);
    bool made = false;
    BlockWriterOptions options = {
        .fs = fs,
        .dir = dir,
        .ulid = ulid_new(clock_now_ms(&clock_system)),
        .min_t_ms = meta->min_t_ms,
        .max_t_ms = meta->max_t_ms,
        .level = meta->level,
        .sources = meta->sources,
        .source_count = meta->source_count,
        .from_out_of_order = block_meta_is_late(meta),
        .from_stale_series = block_meta_is_partial(meta) && !block_meta_is_late(meta),
    };

    if (p->loss.meta.code)
        make_up_meta(&options, &p->faults);
    if (options.min_t_ms < options.max_t_ms &&
        !block_from_source(&s.source, &options, SAMPLES_PER_CHUNK, &made, err))
        return false;
    *ret_text =
        made ? arena_printf(
                   arena, "written anew as " STR_FMT " without %llu series and %llu chunks" STR_FMT,
                   STR_ARG(ulid_str(&options.ulid)), (unsigned long long)s.bad_series,
                   (unsigned long long)s.bad_chunks, STR_ARG(told_losses(p, arena)))
             : S("nothing of it is good");
    return true;
}

// --- blocks ---

// A block's name, or that of one put aside and not yet salvaged.
static bool is_block_name(Str name, bool *ret_aside)
{
    Ulid ulid;

    *ret_aside =
        name.len > ULID_CHARS && str_starts_with(str_skip(name, ULID_CHARS), S(".corrupt"));
    return (name.len == ULID_CHARS || *ret_aside) &&
           ulid_parse(str_sub(name, 0, ULID_CHARS), &ulid);
}

static bool put_aside(Fs *fs, Str dir, Str name, Arena *arena, Error *err)
{
    Str from = fs_join(arena, dir, name);
    Str aside = arena_printf(arena, STR_FMT ".corrupt", STR_ARG(from));

    for (int i = 1; fs_exists(fs, aside) && i < 1000; i++)
        aside = arena_printf(arena, STR_FMT ".corrupt-%d", STR_ARG(from), i);
    return fs_rename(fs, from, aside, err) && fs_sync_dir(fs, dir, err);
}

// Its samples are good, or were saved before: the mark lies in the old block, so that no later run makes a second copy of them.
static Str mark_of(Str dir, Str name, Arena *arena)
{
    return fs_join(arena, fs_join(arena, dir, name), S("repaired"));
}

// A crash in between leaves the old block where it was, or aside and complete.
static void repair_block(Fs *fs, Str dir, Patient *p, TsdbFinding *finding, Arena *arena)
{
    Str text = S("put aside");
    Error err = {0};
    bool ok = true;

    if (!p->block && p->aside)
        return;
    if (p->block)
        ok = salvage_block(fs, dir, p, arena, &text, &err) &&
             fs_write_atomic(fs, mark_of(dir, p->name, arena), text, &err);
    if (ok && !p->aside)
        ok = put_aside(fs, dir, p->name, arena, &err);
    if (ok)
        finding->done = text;
    else
        finding->text =
            arena_printf(arena, STR_FMT "; repair failed: %s", STR_ARG(finding->text), err.text);
}

// Somebody mended it, or it was put aside for nothing.
static void take_back(Fs *fs, Str dir, Str name, TsdbFinding *finding, Arena *arena)
{
    Str home = str_sub(name, 0, ULID_CHARS);
    Error err = {0};

    if (!fs_exists(fs, fs_join(arena, dir, home)) &&
        fs_rename(fs, fs_join(arena, dir, name), fs_join(arena, dir, home), &err) &&
        fs_sync_dir(fs, dir, &err))
        finding->done = S("it is whole: taken back");
}

static bool is_whole(const Patient *p)
{
    return p->faults.first.code == ERR_NONE && p->loss.meta.code == ERR_NONE &&
           p->loss.tombstones.code == ERR_NONE;
}

// What is bad of it, and what is good.
static Str described(const Patient *p, Str good, Arena *arena)
{
    const BlockFaults *f = &p->faults;
    const BlockLoss *loss = &p->loss;
    Str text = arena_printf(arena, STR_FMT " are good", STR_ARG(good));

    // A meta.json that is lost counts nothing: that fault is none.
    if (f->bad_series || f->bad_chunks || (f->first.code && !loss->meta.code))
        text = arena_printf(arena, "%llu series and %llu chunks are bad (" STR_FMT "): %s",
                            (unsigned long long)f->bad_series, (unsigned long long)f->bad_chunks,
                            STR_ARG(text), f->first.text);
    if (loss->tombstones.code)
        text = arena_printf(arena, "%s; " STR_FMT, loss->tombstones.text, STR_ARG(text));
    if (loss->meta.code)
        text = arena_printf(arena, "%s; " STR_FMT, loss->meta.text, STR_ARG(text));
    return text;
}

static void look_at_block(Fs *fs, Str dir, Str name, bool aside, bool repair, Arena *arena,
                          TsdbFindings *findings)
{
    Patient p = {.name = name, .aside = aside};
    TsdbFinding *finding;
    Error err = {0};

    if (aside && fs_exists(fs, mark_of(dir, name, arena))) {
        find(findings, arena, false, name, S("was repaired; remove it when you need it no more"));
        return;
    }
    if (!block_open_damaged(fs, fs_join(arena, dir, name), &p.block, &p.loss, &err)) {
        finding = find(findings, arena, true, name, arena_str(arena, str_from_c(err.text)));
    } else {
        block_verify(p.block, NULL, &p.faults);
        Str good = arena_printf(
            arena, "%llu series, %llu chunks, %llu samples", (unsigned long long)p.faults.series,
            (unsigned long long)p.faults.chunks, (unsigned long long)p.faults.samples);
        if (is_whole(&p)) {
            finding = find(findings, arena, aside, name, good);
            block_unref(p.block);
            if (aside && repair)
                take_back(fs, dir, name, finding, arena);
            return;
        }
        finding = find(findings, arena, true, name, described(&p, good, arena));
    }
    if (repair && err.code != ERR_INVALID) // of another version: no damage
        repair_block(fs, dir, &p, finding, arena);
    block_unref(p.block);
}

// --- logs ---

static bool look_at_log(Fs *fs, Str dir, Str place, Arena *arena, TsdbFindings *findings,
                        Error *err)
{
    Str path = fs_join(arena, dir, place);
    WalSegments segments;

    if (!wal_list(fs, path, arena, &segments, err))
        return false;
    for (size_t i = 0; i < segments.count; i++) {
        FsMap map;
        WalReader reader;
        Str record;
        uint64_t records = 0;
        Str segment = wal_segment_path(arena, path, segments.items[i].number);
        if (!fs_map(fs, segment, &map, err))
            return false;
        wal_reader_init(&reader, map.bytes);
        while (wal_reader_next(&reader, &record))
            records++;
        bool bad = reader.damages > 0;
        Str text =
            bad ? arena_printf(arena,
                               "%llu bytes in %llu places are bad (%llu records are good), "
                               "first at %zu: %s",
                               (unsigned long long)reader.lost_bytes,
                               (unsigned long long)reader.damages, (unsigned long long)records,
                               reader.damage_start, reader.reason)
                : arena_printf(arena, "%llu records", (unsigned long long)records);
        find(findings, arena, bad, str_skip(segment, dir.len + 1), text);
        wal_reader_deinit(&reader);
        fs_unmap(&map);
    }
    return true;
}

static bool look_at_logs(Fs *fs, Str dir, Arena *arena, TsdbFindings *findings, Error *err)
{
    Str checkpoint;
    uint32_t number;

    if (wal_find_checkpoint(fs, fs_join(arena, dir, S("wal")), arena, &checkpoint, &number, err)) {
        if (!look_at_log(fs, dir, str_skip(checkpoint, dir.len + 1), arena, findings, err))
            return false;
    } else if (err->code != ERR_NONE) {
        return false;
    }
    return look_at_log(fs, dir, S("wal"), arena, findings, err) &&
           look_at_log(fs, dir, S("wbl"), arena, findings, err);
}

static bool look_at_head_chunks(Fs *fs, Str dir, Arena *arena, TsdbFindings *findings, Error *err)
{
    Str path = fs_join(arena, dir, S("chunks_head"));
    FsList list = {0};

    if (fs_exists(fs, path) && !fs_list(fs, path, arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        FsMap map;
        uint64_t chunks, good;
        Str place = fs_join(arena, S("chunks_head"), list.entries[i].name);
        bool aside = str_find(place, S(".corrupt")) != STR_NOT_FOUND;
        if (!fs_map(fs, fs_join(arena, dir, place), &map, err))
            return false;
        const char *reason = head_chunks_verify(map.bytes, &chunks, &good);
        Str text = reason
                       ? arena_printf(arena, "bad at %llu (%llu chunks before it are good): %s",
                                      (unsigned long long)good, (unsigned long long)chunks, reason)
                       : arena_printf(arena, "%llu chunks", (unsigned long long)chunks);
        find(findings, arena, reason && !aside, place, text);
        fs_unmap(&map);
    }
    return true;
}

static bool look_at_all(Fs *fs, Str dir, bool repair, Arena *arena, TsdbFindings *findings,
                        Error *err)
{
    FsList list;

    if (!fs_list(fs, dir, arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        bool aside;
        if (list.entries[i].is_dir && is_block_name(list.entries[i].name, &aside))
            look_at_block(fs, dir, list.entries[i].name, aside, repair, arena, findings);
    }
    return look_at_logs(fs, dir, arena, findings, err) &&
           look_at_head_chunks(fs, dir, arena, findings, err);
}

bool tsdb_offline_verify(Fs *fs, Str dir, Arena *arena, TsdbFindings *ret_findings, Error *err)
{
    *ret_findings = (TsdbFindings){0};
    return look_at_all(fs, dir, false, arena, ret_findings, err);
}

bool tsdb_offline_repair(Fs *fs, Str dir, Arena *arena, TsdbFindings *ret_findings, Error *err)
{
    DirLock lock = DIR_LOCK_NONE;

    *ret_findings = (TsdbFindings){0};
    if (!dir_lock_take(dir, &lock, err))
        return false;
    bool ok = look_at_all(fs, dir, true, arena, ret_findings, err);
    dir_lock_give(&lock);
    return ok;
}
