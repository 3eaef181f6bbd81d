// SPDX-License-Identifier: Apache-2.0
// Boils the older two thirds of the log down to what is still needed: wal/checkpoint.%08d.
//
// Reads sealed segments only, so commits go on meanwhile.
#include <stdlib.h>

#include "tsdb/chunk_snapshot.h"
#include "tsdb/head_internal.h"

#define BATCH_BYTES 1000000

typedef struct Checkpoint {
    Head *head;
    Wal *wal;
    int64_t min_t;
    int64_t oldest_deletable; // tombstones of older samples only are not needed any more
    uint32_t kept_from;       // first segment that is not covered
    Buf raw[WAL_FLOAT_HISTOGRAMS_V2 + 1]; // one record under way for each type
    WalRecordWriter writers[WAL_FLOAT_HISTOGRAMS_V2 + 1];
    Buf packed;
    RefMap metadata_of; // ref to MetadataKept: the newest of each series, written at the end
    Arena metadata_arena;
    Arena arena;        // of one record
    bool defines_all;   // the head's series stand in front, whatever the log says
    bool twins_on_disk; // there are full chunks under refs that mean another ref's series
    uint64_t kept, dropped;
} Checkpoint;

typedef struct MetadataKept {
    uint64_t ref;
    Metadata metadata;
} MetadataKept;

static bool flush_type(Checkpoint *c, WalRecordType type, Error *err)
{
    if (!c->writers[type].count)
        return true;
    buf_reset(&c->packed);
    WalRecord record = {.flags = wal_compress(c->head->options.wal_compression,
                                              buf_str(&c->raw[type]), &c->packed)};
    record.bytes = buf_str(&c->packed);
    c->writers[type] = (WalRecordWriter){0};
    buf_reset(&c->raw[type]);
    return wal_write(c->wal, &record, 1, err);
}

static WalRecordWriter *writer_of(Checkpoint *c, WalRecordType type)
{
    if (!c->writers[type].out)
        c->writers[type] = wal_record_begin(&c->raw[type], type);
    return &c->writers[type];
}

static bool is_needed(const Checkpoint *c, uint64_t ref)
{
    if (series_slot(&c->head->index.series, ref))
        return true;
    // The log of out-of-order samples and the files of full chunks have no series records of their own.
    if ((GET(c->head->twins_in_wbl) || c->twins_on_disk) && ref_map_get(&c->head->twins, ref))
        return true;
    uint64_t *until = ref_map_get(&c->head->expired, ref);
    return until && *until >= c->kept_from;
}

// A series that left the head and came back before the last start is there under its first ref, and what it has since is kept under that one.
static uint64_t meant_ref(const Checkpoint *c, uint64_t ref)
{
    const uint64_t *twin = ref_map_get(&c->head->twins, ref);

    return twin && series_slot(&c->head->index.series, *twin) ? *twin : ref;
}

static void keep_metadata(Checkpoint *c, const WalEntry *e)
{
    MetadataKept *kept = ref_map_pointer(&c->metadata_of, e->ref);

    if (!kept) {
        kept = ARENA_NEW(&c->metadata_arena, MetadataKept);
        ref_map_put(&c->metadata_of, e->ref, (uint64_t)(uintptr_t)kept);
    }
    *kept = (MetadataKept){e->ref,
                           {e->metadata.type, arena_str(&c->metadata_arena, e->metadata.help),
                            arena_str(&c->metadata_arena, e->metadata.unit)}};
}

static void keep_histogram(Checkpoint *c, WalRecordType type, const WalEntry *e)
{
    bool with_starts = type == WAL_HISTOGRAMS_V2 || type == WAL_FLOAT_HISTOGRAMS_V2;

    wal_record_histogram(writer_of(c, wal_record_histogram_type(e->histogram, with_starts)), e->ref,
                         e->t_ms, e->start_ms, e->histogram);
}

static void keep_entry(Checkpoint *c, WalRecordType type, const WalEntry *e)
{
    switch (type) {
    case WAL_SERIES:
        if (!c->defines_all || !series_slot(&c->head->index.series, meant_ref(c, e->ref)))
            wal_record_series(writer_of(c, type), e->ref, e->labels);
        break;
    case WAL_TOMBSTONES:
        if (e->interval.max_t_ms >= c->oldest_deletable)
            wal_record_tombstone(writer_of(c, type), e->ref, e->interval);
        break;
    case WAL_METADATA:
        keep_metadata(c, e);
        break;
    case WAL_EXEMPLARS:
        if (e->t_ms >= c->min_t)
            wal_record_exemplar(writer_of(c, type), e->ref, &e->exemplar);
        break;
    case WAL_SAMPLES_V2:
        if (e->t_ms >= c->min_t)
            wal_record_samples_v2(writer_of(c, type), &(WalSample){e->ref, e->t_ms, e->value},
                                  &e->start_ms, 1);
        break;
    case WAL_SAMPLES:
        if (e->t_ms >= c->min_t)
            wal_record_samples(writer_of(c, WAL_SAMPLES), &(WalSample){e->ref, e->t_ms, e->value},
                               1);
        break;
    case WAL_MMAP_MARKERS:
        break;
    default:
        if (e->t_ms >= c->min_t)
            keep_histogram(c, type, e);
    }
}

// Entries of one kind stay in order among themselves. Series go out first, and a series that changed between floats and histograms, or ended
// and came back, is kept in order by writing out the other kind before each switch of records.
static bool is_ordered(WalRecordType type)
{
    return type == WAL_SAMPLES || type == WAL_TOMBSTONES ||
           (type >= WAL_HISTOGRAMS && type <= WAL_FLOAT_HISTOGRAMS_V2);
}

static bool flush_all(Checkpoint *c, Error *err)
{
    for (int type = WAL_SERIES; type <= WAL_FLOAT_HISTOGRAMS_V2; type++)
        if (!flush_type(c, (WalRecordType)type, err))
            return false;
    return true;
}

static bool keep_record(Checkpoint *c, Str record, Error *err)
{
    WalEntry e;

    arena_reset(&c->arena);
    WalRecordReader reader = wal_record_read(record, &c->arena);
    if (!reader.type)
        return true;
    while (wal_record_next(&reader, &e)) {
        if (reader.type != WAL_SERIES)
            e.ref = meant_ref(c, e.ref);
        if (!is_needed(c, e.ref)) {
            c->dropped++;
            continue;
        }
        c->kept++;
        keep_entry(c, reader.type, &e);
    }
    for (int type = WAL_SERIES; type <= WAL_FLOAT_HISTOGRAMS_V2; type++) {
        if (c->raw[type].len < BATCH_BYTES && !is_ordered((WalRecordType)type))
            continue;
        if (c->raw[type].len < BATCH_BYTES && (WalRecordType)type == reader.type)
            continue;
        if (!flush_type(c, WAL_SERIES, err) || !flush_type(c, (WalRecordType)type, err))
            return false;
    }
    return true;
}

static bool keep_segment(Checkpoint *c, Str dir, uint32_t number, Error *err)
{
    Arena scratch = {0};
    FsMap map;
    WalReader reader;
    Str record;

    bool ok = fs_map(c->head->fs, wal_segment_path(&scratch, dir, number), &map, err);
    arena_deinit(&scratch);
    if (!ok)
        return false;
    wal_reader_init(&reader, map.bytes);
    while (ok && wal_reader_next(&reader, &record))
        ok = keep_record(c, record, err);
    // Damage was told and mended at replay; damage from now must not be sealed into a checkpoint.
    if (ok && reader.damage_start != SIZE_MAX)
        ok = error_set(err, ERR_CORRUPT, "segment %08u is damaged at %zu: %s", number,
                       reader.damage_start, reader.reason);
    wal_reader_deinit(&reader);
    fs_unmap(&map);
    return ok;
}

static bool keep_dir(Checkpoint *c, Str dir, uint32_t from, uint32_t end, Error *err)
{
    Arena scratch = {0};
    WalSegments segments;

    bool ok = wal_list(c->head->fs, dir, &scratch, &segments, err);
    for (size_t i = 0; ok && i < segments.count; i++)
        if (segments.items[i].number >= from && segments.items[i].number < end &&
            segments.items[i].bytes)
            ok = keep_segment(c, dir, segments.items[i].number, err);
    arena_deinit(&scratch);
    return ok;
}

static RefRuns all_refs(Head *head, Arena *arena)
{
    RefRuns runs;

    rwlock_take_read(&head->index_lock);
    postings_decode(&head->index.all, &head->index.pool, arena, &runs);
    rwlock_give(&head->index_lock);
    return runs;
}

// Says that `ref` means the series of `own`, its ref in the head.
static bool define_series(Checkpoint *c, uint64_t ref, uint64_t own, Error *err)
{
    Head *head = c->head;

    arena_reset(&c->arena);
    rwlock_take_read(&head->index_lock);
    SeriesSlot slot = series_slot(&head->index.series, own);
    if (slot)
        wal_record_series(writer_of(c, WAL_SERIES), ref,
                          head_index_labels(&head->index,
                                            series_at(&head->index.series, slot)->labels,
                                            &c->arena));
    rwlock_give(&head->index_lock);
    return c->raw[WAL_SERIES].len < BATCH_BYTES || flush_type(c, WAL_SERIES, err);
}

// The snapshot goes with this checkpoint, and may be all that says which series some refs mean: one that a checkpoint had passed was loaded by a
// Prometheus, which went on with its series and left a new one.
static bool define_all(Checkpoint *c, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    RefRuns runs = all_refs(c->head, &scratch);
    const RefMap *twins = &c->head->twins;

    c->defines_all = true;
    for (size_t i = 0; i < runs.count; i++)
        for (uint64_t k = 0; k < runs.runs[i].length; k++)
            if (!define_series(c, runs.runs[i].first + k, runs.runs[i].first + k, err))
                return false;
    // Behind the own ones, as a series is there under the first ref that it is given.
    for (size_t i = 0; i < twins->size; i++)
        if (twins->entries[i].ref && is_needed(c, twins->entries[i].ref) &&
            !define_series(c, twins->entries[i].ref, twins->entries[i].value, err))
            return false;
    return flush_type(c, WAL_SERIES, err);
}

static bool finish_records(Checkpoint *c, Error *err)
{
    for (size_t i = 0; i < c->metadata_of.size; i++) {
        const MetadataKept *kept = (const MetadataKept *)(uintptr_t)c->metadata_of.entries[i].value;
        if (c->metadata_of.entries[i].ref)
            wal_record_metadata(writer_of(c, WAL_METADATA), kept->ref, kept->metadata);
    }
    return flush_all(c, err) && wal_sync(c->wal, err);
}

static bool remove_old(Head *head, uint32_t newest, Error *err)
{
    static const Str prefix = STR("checkpoint.");
    Arena scratch = {0};
    FsList list;

    bool ok = fs_list(head->fs, head->wal_dir, &scratch, &list, err);
    for (size_t i = 0; ok && i < list.count; i++) {
        uint64_t number;
        Str name = list.entries[i].name;
        if (str_starts_with(name, prefix) &&
            number_parse_u64(str_skip(name, prefix.len), &number) && number < newest)
            ok = fs_remove_tree(head->fs, fs_join(&scratch, head->wal_dir, name), err);
    }
    arena_deinit(&scratch);
    return ok;
}

static bool write_checkpoint(Checkpoint *c, Str tmp, Str final, Str before, uint32_t from,
                             uint32_t last, Error *err)
{
    Head *head = c->head;
    bool ok = fs_remove_tree(head->fs, tmp, err) &&
              wal_open(head->fs, tmp, head->options.wal_segment_bytes, &c->wal, err);

    ok = ok && (!head->from_snapshot || define_all(c, err)) &&
         (!before.len || keep_dir(c, before, 0, UINT32_MAX, err)) &&
         keep_dir(c, head->wal_dir, from, last + 1, err) && finish_records(c, err);
    wal_close(c->wal);
    ok = ok && fs_sync_dir(head->fs, tmp, err) && fs_rename(head->fs, tmp, final, err) &&
         fs_sync_dir(head->fs, head->wal_dir, err);
    for (size_t i = 0; i < COUNT_OF(c->raw); i++)
        buf_deinit(&c->raw[i]);
    buf_deinit(&c->packed);
    ref_map_deinit(&c->metadata_of);
    arena_deinit(&c->metadata_arena);
    arena_deinit(&c->arena);
    return ok;
}

// The segments that go: two thirds of the sealed ones. False: too few.
static bool choose(Head *head, Arena *arena, uint32_t open_segment, uint32_t *ret_first,
                   uint32_t *ret_last, bool *ret_any, Error *err)
{
    WalSegments segments;

    *ret_any = false;
    if (!wal_list(head->fs, head->wal_dir, arena, &segments, err))
        return false;
    if (!segments.count || segments.items[0].number >= open_segment)
        return true;
    uint32_t first = segments.items[0].number;
    uint32_t last = open_segment - 1;
    last = first + (last - first) * 2 / 3;
    *ret_first = first;
    *ret_last = last;
    *ret_any = last > first;
    return true;
}

static void forget_expired(Head *head, uint32_t last)
{
    Arena scratch = {0};
    uint64_t *gone = ARENA_ARRAY(&scratch, uint64_t, head->expired.count);
    size_t count = 0;

    for (size_t i = 0; i < head->expired.size; i++)
        if (head->expired.entries[i].ref && head->expired.entries[i].value <= last)
            gone[count++] = head->expired.entries[i].ref;
    for (size_t i = 0; i < count; i++)
        ref_map_remove(&head->expired, gone[i]);
    arena_deinit(&scratch);
}

bool head_checkpoint(Head *head, int64_t min_t_ms, Error *err)
{
    Arena scratch = {0};
    uint32_t open_segment = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t number = 0;
    bool any = false;
    Str before = STR_NONE;

    head_lead(head);
    bool ok = wal_cut(head->wal, &open_segment, err);
    head_follow(head);
    ok = ok && choose(head, &scratch, open_segment, &first, &last, &any, err);
    if (ok && any) {
        Checkpoint c = {.head = head, .min_t = min_t_ms, .kept_from = last + 1};
        c.twins_on_disk = head_chunks_oldest_file(head->chunks) <= head->twins_on_disk;
        // Late samples that are older wait in their own log until they have a block, and in files of chunks until those go: the next start
        // finds them there.
        c.oldest_deletable =
            MIN(min_t_ms, MIN(GET(head->ooo_min_t), head_chunks_oldest_late(head->chunks)));
        Str final =
            arena_printf(&scratch, STR_FMT "/checkpoint.%08u", STR_ARG(head->wal_dir), last);
        Str tmp = arena_printf(&scratch, STR_FMT ".tmp", STR_ARG(final));
        err->code = ERR_NONE; // tells absence from failure
        if (!wal_find_checkpoint(head->fs, head->wal_dir, &scratch, &before, &number, err))
            ok = err->code == ERR_NONE;
        // A power cut may have kept a checkpoint and the segments that it covers: only those must go then.
        bool covered = before.len && number >= last;
        last = covered ? number : last;
        ok =
            ok && (covered || write_checkpoint(&c, tmp, final, before,
                                               MAX(first, before.len ? number + 1 : 0), last, err));
        COUNT(head, checkpoints, 1);
        if (ok && c.defines_all)
            head->from_snapshot = false;
        if (!ok) {
            Error ignored = {0};
            COUNT(head, checkpoints_failed, 1);
            if (!fs_remove_tree(head->fs, tmp, &ignored))
                log_warn("cannot remove a half-written checkpoint, leaving it to the next start",
                         KV("dir", tmp), KV("err", ignored.text));
        }
    }
    if (ok && any) {
        head_lead(head);
        head->image.stale |= head->image.segment <= last;
        int64_t started_ns = clock_mono_ns(&clock_system);
        ok = wal_truncate(head->wal, last + 1, err);
        COUNT(head, wal_truncate_nanoseconds, clock_mono_ns(&clock_system) - started_ns);
        COUNT(head, wal_truncations, 1);
        forget_expired(head, last);
        head_follow(head);
        bool removed =
            ok && remove_old(head, last, err) &&
            (head->snapshot_defines ||
             chunk_snapshot_remove_below(head->fs, head->options.dir, last + UINT64_C(1), err));
        COUNT(head, checkpoint_deletions, 1);
        COUNT(head, checkpoint_deletions_failed, !removed);
        ok = removed;
        if (!ok)
            COUNT(head, wal_truncations_failed, 1);
    }
    arena_deinit(&scratch);
    return ok ? true : error_context(err, "checkpoint");
}
