// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_snapshot.h"

#include "base/number.h"
#include "base/reader.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/wal_record.h"

#define NAME "chunk_snapshot."
#define SAMPLES_BEFORE 3 // that once were kept beside the newest

// --- records ---

void chunk_snapshot_add_series(Buf *out, const ChunkSnapshotSeries *s)
{
    buf_add_char(out, CHUNK_SNAPSHOT_SERIES);
    buf_add_u64be(out, s->ref);
    wal_record_labels(out, s->labels);
    buf_add_u64be(out, 0);
    buf_add_uvarint(out, s->encoding != CHUNK_NONE);
    if (s->encoding == CHUNK_NONE)
        return;
    buf_add_u64be(out, (uint64_t)s->min_t_ms);
    buf_add_u64be(out, (uint64_t)s->max_t_ms);
    buf_add_char(out, (char)s->encoding);
    buf_add_uvarint(out, s->chunk.len);
    buf_add_str(out, s->chunk);
    if (chunk_has_histograms(s->encoding)) {
        wal_record_histogram_body(out, s->histogram);
        return;
    }
    for (int i = 0; i < SAMPLES_BEFORE * 2 + 1; i++)
        buf_add_u64be(out, 0);
    buf_add_u64be(out, chunk_xor_to_bits(s->value));
}

void chunk_snapshot_add_tombstones(Buf *out, const Tombstones *tombstones)
{
    CLEANUP(buf_deinit) Buf entries = {.ptr = NULL};

    tombstones_print_entries(tombstones, &entries);
    buf_add_char(out, CHUNK_SNAPSHOT_TOMBSTONES);
    buf_add_uvarint(out, entries.len + 1);
    buf_add_char(out, TOMBSTONES_VERSION);
    buf_add_str(out, buf_str(&entries));
}

void chunk_snapshot_add_exemplars(Buf *out, Str log_record)
{
    buf_add_char(out, CHUNK_SNAPSHOT_EXEMPLARS);
    buf_add_str(out, str_skip(log_record, 1));
}

static bool read_chunk(Reader *in, Arena *arena, ChunkSnapshotSeries *s)
{
    s->min_t_ms = (int64_t)reader_u64be(in);
    s->max_t_ms = (int64_t)reader_u64be(in);
    s->encoding = (ChunkEncoding)reader_u8(in);
    s->chunk = reader_str(in);
    if (in->failed || s->min_t_ms > s->max_t_ms)
        return false;
    switch (s->encoding) {
    case CHUNK_XOR:
    case CHUNK_XOR2:
        for (int i = 0; i < SAMPLES_BEFORE * 2 + 1; i++)
            (void)reader_u64be(in);
        s->value = chunk_xor_from_bits(reader_u64be(in));
        return !in->failed;
    case CHUNK_HISTOGRAM:
    case CHUNK_HISTOGRAM_ST:
        s->histogram = wal_record_read_histogram_body(in, true, arena);
        return !in->failed;
    case CHUNK_FLOAT_HISTOGRAM:
    case CHUNK_FLOAT_HISTOGRAM_ST:
        s->histogram = wal_record_read_histogram_body(in, false, arena);
        return !in->failed;
    case CHUNK_NONE:
    default:
        return false;
    }
}

bool chunk_snapshot_read_series(Str record, Arena *arena, ChunkSnapshotSeries *ret_series,
                                Error *err)
{
    ChunkSnapshotSeries s = {.encoding = CHUNK_NONE};
    Reader in = reader_from(record);
    uint8_t type = reader_u8(&in);

    s.ref = reader_u64be(&in);
    s.labels = wal_record_read_labels(&in, arena);
    (void)reader_u64be(&in);
    bool has_chunk = reader_uvarint(&in) != 0;
    bool ok = type == CHUNK_SNAPSHOT_SERIES && !in.failed &&
              (!has_chunk || read_chunk(&in, arena, &s)) && in.at == in.end;
    if (!ok)
        return error_set(err, ERR_CORRUPT, "malformed record of series %llu",
                         (unsigned long long)s.ref);
    *ret_series = s;
    return true;
}

bool chunk_snapshot_read_tombstones(Str record, Tombstones *ret_tombstones, Error *err)
{
    Reader in = reader_from(record);
    uint8_t type = reader_u8(&in);
    Str body = reader_str(&in);

    if (type != CHUNK_SNAPSHOT_TOMBSTONES || in.failed || in.at != in.end || !body.len ||
        body.ptr[0] != TOMBSTONES_VERSION)
        return error_set(err, ERR_CORRUPT, "malformed record of tombstones");
    return tombstones_parse_entries(str_skip(body, 1), ret_tombstones, err);
}

Str chunk_snapshot_read_exemplars(Str record, Arena *arena)
{
    char *copy = arena_alloc(arena, record.len);

    ASSERT(record.len > 0);
    memcpy(copy, record.ptr, record.len);
    copy[0] = WAL_EXEMPLARS;
    return (Str){copy, record.len};
}

// --- folders ---

Str chunk_snapshot_dir(Arena *arena, Str dir, ChunkSnapshotPlace place)
{
    return arena_printf(arena, STR_FMT "/" NAME "%06u.%010llu", STR_ARG(dir), place.segment,
                        (unsigned long long)place.offset);
}

static bool parse_name(Str name, ChunkSnapshotPlace *ret)
{
    uint64_t segment, offset;

    if (!str_starts_with(name, S(NAME)))
        return false;
    Str rest = str_skip(name, sizeof NAME - 1);
    size_t dot = 0;
    while (dot < rest.len && rest.ptr[dot] != '.')
        dot++;
    if (dot == rest.len || !number_parse_u64(str_sub(rest, 0, dot), &segment) ||
        !number_parse_u64(str_skip(rest, dot + 1), &offset) || segment > UINT32_MAX)
        return false;
    *ret = (ChunkSnapshotPlace){(uint32_t)segment, offset};
    return true;
}

static bool is_before(ChunkSnapshotPlace a, ChunkSnapshotPlace b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

bool chunk_snapshot_find(Fs *fs, Str dir, Arena *arena, ChunkSnapshotPlace *ret_place, Error *err)
{
    FsList list = {0};
    bool any = false;

    err->code = ERR_NONE; // tells absence from failure
    if (!fs_list(fs, dir, arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        ChunkSnapshotPlace place;
        if (!list.entries[i].is_dir || !parse_name(list.entries[i].name, &place) ||
            (any && is_before(place, *ret_place)))
            continue;
        *ret_place = place;
        any = true;
    }
    return any;
}

static bool is_half_written(Str name)
{
    return str_starts_with(name, S(NAME)) && str_ends_with(name, S(".tmp"));
}

// Which ones go.
typedef struct Choice {
    uint64_t first, end; // segments; the latter exclusive
    uint64_t offset_min;
    const ChunkSnapshotPlace *but; // NULL: none stays
} Choice;

static bool goes(const Choice *which, ChunkSnapshotPlace place)
{
    const ChunkSnapshotPlace *but = which->but;
    bool kept = but && place.segment == but->segment && place.offset == but->offset;

    return !kept && place.segment >= which->first && place.segment < which->end &&
           place.offset >= which->offset_min;
}

static bool remove_some(Fs *fs, Str dir, Choice which, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    FsList list = {0};
    bool ok = fs_list(fs, dir, &scratch, &list, err);

    for (size_t i = 0; ok && i < list.count; i++) {
        ChunkSnapshotPlace place;
        Str name = list.entries[i].name;
        if (list.entries[i].is_dir &&
            (is_half_written(name) || (parse_name(name, &place) && goes(&which, place))))
            ok = fs_remove_tree(fs, fs_join(&scratch, dir, name), err);
    }
    return ok;
}

bool chunk_snapshot_remove_below(Fs *fs, Str dir, uint64_t segment, Error *err)
{
    return remove_some(fs, dir, (Choice){.end = segment}, err);
}

bool chunk_snapshot_remove_from(Fs *fs, Str dir, uint64_t segment, Error *err)
{
    return remove_some(fs, dir, (Choice){.first = segment, .end = UINT64_MAX}, err);
}

bool chunk_snapshot_remove_inside(Fs *fs, Str dir, uint32_t segment, Error *err)
{
    return remove_some(
        fs, dir, (Choice){.first = segment, .end = segment + UINT64_C(1), .offset_min = 1}, err);
}

bool chunk_snapshot_remove_others(Fs *fs, Str dir, ChunkSnapshotPlace place, Error *err)
{
    return remove_some(fs, dir, (Choice){.end = UINT64_MAX, .but = &place}, err);
}
