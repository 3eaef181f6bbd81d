// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/number.h"
#include "base/reader.h"
#include "codec/compress.h"
#include "tsdb/wal_pack.h"
#include "tsdb/wal_record.h"

#define FLUSH_BYTES (1024 * 1024)
#define KEEP_BYTES (4 * 1024 * 1024)

enum {
    FRAGMENT_END = 0,
    FRAGMENT_FULL = 1,
    FRAGMENT_FIRST = 2,
    FRAGMENT_MIDDLE = 3,
    FRAGMENT_LAST = 4
};

struct Wal {
    Fs *fs;
    Arena arena; // owns dir
    Str dir;
    uint64_t segment_bytes;
    File file;
    uint32_t segment;
    uint64_t written; // good bytes of the segment that the kernel has
    bool torn;        // there may be more than `written` bytes
    bool refuses;     // the last write failed, and that was told
    bool unsynced;
    bool unnamed; // the folder was not synced since the segment was made
    Buf pending;  // framed, not written
    WalCounters counters;
};

WalFlags wal_compress(TsdbCompression compression, Str record, Buf *out)
{
    size_t before = out->len;
    Error err = {0};
    WalFlags flags = WAL_RAW;

    if (compression == TSDB_COMPRESSION_SNAPPY) {
        if (record.len && record.ptr[0] == WAL_SAMPLES)
            wal_pack_samples(record, out);
        else
            snappy_encode(record, out);
        flags = WAL_SNAPPY;
    } else if (compression == TSDB_COMPRESSION_ZSTD && zstd_encode(record, 1, out, &err)) {
        flags = WAL_ZSTD;
    }
    if (flags != WAL_RAW && out->len - before < record.len)
        return flags;
    out->len = before;
    buf_add_str(out, record);
    return WAL_RAW;
}

Str wal_segment_path(Arena *arena, Str dir, uint32_t number)
{
    return arena_printf(arena, STR_FMT "/%08u", STR_ARG(dir), number);
}

bool wal_list(Fs *fs, Str dir, Arena *arena, WalSegments *ret_segments, Error *err)
{
    FsList list = {0};

    if (fs_exists(fs, dir) && !fs_list(fs, dir, arena, &list, err))
        return false;
    WalSegments segments = {ARENA_ARRAY(arena, WalSegment, list.count), 0};
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number;
        if (list.entries[i].is_dir || !number_parse_u64(list.entries[i].name, &number) ||
            number > UINT32_MAX)
            continue;
        size_t at = segments.count++;
        for (; at > 0 && segments.items[at - 1].number > number; at--)
            segments.items[at] = segments.items[at - 1];
        segments.items[at] = (WalSegment){(uint32_t)number, list.entries[i].bytes};
    }
    *ret_segments = segments;
    return true;
}

bool wal_find_checkpoint(Fs *fs, Str dir, Arena *arena, Str *ret_path, uint32_t *ret_number,
                         Error *err)
{
    static const Str prefix = STR("checkpoint.");
    FsList list = {0};
    bool found = false;

    *err = (Error){0}; // whether it is full tells a failure from "there is none"
    if (!fs_exists(fs, dir))
        return false;
    if (!fs_list(fs, dir, arena, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number;
        Str name = list.entries[i].name;
        if (!list.entries[i].is_dir || !str_starts_with(name, prefix) ||
            !number_parse_u64(str_skip(name, prefix.len), &number) || number > UINT32_MAX)
            continue;
        if (found && number < *ret_number)
            continue;
        *ret_number = (uint32_t)number;
        *ret_path = fs_join(arena, dir, name);
        found = true;
    }
    return found;
}

// --- writing ---

// Starts segment `number`; the one before is complete.
static bool open_segment(Wal *wal, uint32_t number, Error *err)
{
    Arena scratch = {0};
    File file = FILE_NONE;

    bool ok = fs_open(wal->fs, wal_segment_path(&scratch, wal->dir, number), FS_CREATE, &file, err);
    arena_deinit(&scratch);
    if (!ok)
        return error_context(err, "start log segment %08u", number);
    if (wal->file.fd >= 0)
        file_close(&wal->file);
    wal->file = file;
    wal->segment = number;
    wal->written = 0;
    wal->torn = false;
    wal->unnamed = true;
    return true;
}

// What is in a segment is on the disk only if its name is: where that fails, the next sync tries again.
static bool sync_name(Wal *wal, Error *err)
{
    wal->unnamed = wal->unnamed && !fs_sync_dir(wal->fs, wal->dir, err);
    return !wal->unnamed;
}

// What the process before has left to the kernel: from now on it counts as synced with the rest.
static bool sync_segment(Fs *fs, Str path, Error *err)
{
    CLEANUP(file_close) File file = FILE_NONE;
    return fs_open(fs, path, FS_READ_WRITE, &file, err) && file_sync(&file, err);
}

// Behind all segments and behind the newest checkpoint: replay would take what lies before it for covered.
static bool choose_number(Fs *fs, Str dir, Arena *arena, uint32_t *ret_number, Error *err)
{
    WalSegments segments;
    Str path;
    uint32_t number = 0, covered;

    if (!wal_list(fs, dir, arena, &segments, err))
        return false;
    if (segments.count) {
        const WalSegment *last = &segments.items[segments.count - 1];
        number = last->number + (last->bytes > 0);
        if (last->bytes && !sync_segment(fs, wal_segment_path(arena, dir, last->number), err))
            return false;
    }
    if (wal_find_checkpoint(fs, dir, arena, &path, &covered, err))
        number = MAX(number, covered + 1);
    else if (err->code != ERR_NONE)
        return false;
    *ret_number = number;
    return true;
}

bool wal_open(Fs *fs, Str dir, uint64_t segment_bytes, Wal **ret_wal, Error *err)
{
    Arena scratch = {0};
    Wal *wal = X_NEW(Wal);

    *wal = (Wal){.fs = fs, .segment_bytes = segment_bytes, .file = FILE_NONE};
    wal->dir = arena_str(&wal->arena, dir);
    bool ok = segment_bytes >= 2 * WAL_PAGE_BYTES && segment_bytes % WAL_PAGE_BYTES == 0
                  ? true
                  : error_set(err, ERR_INVALID,
                              "log segment size %llu is no multiple of 32 KiB, or below 64 KiB",
                              (unsigned long long)segment_bytes);
    uint32_t number = 0;
    ok = ok && fs_make_dirs(fs, dir, err) && choose_number(fs, dir, &scratch, &number, err);
    if (ok) {
        ok = open_segment(wal, number, err) && sync_name(wal, err);
    }
    arena_deinit(&scratch);
    if (!ok) {
        wal_close(wal);
        return error_context(err, "log " STR_FMT, STR_ARG(dir));
    }
    *ret_wal = wal;
    return true;
}

void wal_close(Wal *wal)
{
    if (!wal)
        return;
    if (wal->file.fd >= 0)
        file_close(&wal->file);
    buf_deinit(&wal->pending);
    arena_deinit(&wal->arena);
    free(wal);
}

static bool flush(Wal *wal, Error *err)
{
    if (!wal->pending.len)
        return true;
    uint64_t pages = wal->written / WAL_PAGE_BYTES;
    if (!file_write_at(&wal->file, wal->written, buf_str(&wal->pending), err)) {
        wal->torn = true;
        return false;
    }
    wal->written += wal->pending.len;
    wal->counters.bytes += wal->pending.len;
    wal->counters.page_flushes += wal->written / WAL_PAGE_BYTES - pages + 1;
    wal->unsynced = true;
    buf_reset(&wal->pending);
    return true;
}

static bool cut(Wal *wal, Error *err)
{
    if (!flush(wal, err))
        return false;
    if (wal->unsynced && !wal_sync(wal, err))
        return false;
    return open_segment(wal, wal->segment + 1, err) && sync_name(wal, err);
}

// Most bytes that a record starting at `at` may have so that its fragments stay in the segment.
static uint64_t room(const Wal *wal, uint64_t at)
{
    uint64_t left = WAL_PAGE_BYTES - at % WAL_PAGE_BYTES;
    uint64_t pages = wal->segment_bytes / WAL_PAGE_BYTES;
    uint64_t page = at / WAL_PAGE_BYTES;

    if (page >= pages)
        return 0;
    return (left > WAL_HEADER_BYTES ? left - WAL_HEADER_BYTES : 0) +
           (pages - page - 1) * (WAL_PAGE_BYTES - WAL_HEADER_BYTES);
}

static void frame(Wal *wal, const WalRecord *record)
{
    Str rest = record->bytes;
    bool first = true;

    do {
        uint64_t at = wal->written + wal->pending.len;
        size_t left = WAL_PAGE_BYTES - (size_t)(at % WAL_PAGE_BYTES);
        if (left <= WAL_HEADER_BYTES) {
            memset(buf_reserve(&wal->pending, left), 0, left);
            wal->pending.len += left;
            left = WAL_PAGE_BYTES;
        }
        Str part = str_sub(rest, 0, left - WAL_HEADER_BYTES);
        rest = str_skip(rest, part.len);
        int type = first      ? rest.len ? FRAGMENT_FIRST : FRAGMENT_FULL
                   : rest.len ? FRAGMENT_MIDDLE
                              : FRAGMENT_LAST;
        buf_add_char(&wal->pending, (char)(type | (int)record->flags));
        buf_add_u16be(&wal->pending, (uint16_t)part.len);
        buf_add_u32be(&wal->pending, crc32c(part));
        buf_add_str(&wal->pending, part);
        wal->counters.part_writes++;
        wal->counters.part_bytes += part.len + 7;
        first = false;
    } while (rest.len);
    if (record->raw_bytes > record->bytes.len)
        wal->counters.saved_bytes += record->raw_bytes - record->bytes.len;
}

// Cuts off what a failed write has left.
static bool mend(Wal *wal, Error *err)
{
    if (!wal->torn)
        return true;
    if (!file_truncate(&wal->file, wal->written, err))
        return false;
    wal->torn = false;
    return true;
}

static bool write_all(Wal *wal, const WalRecord *records, size_t count, Error *err)
{
    if (!mend(wal, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = wal->written + wal->pending.len;
        if (records[i].bytes.len > room(wal, at)) {
            if (records[i].bytes.len > WAL_RECORD_BYTES_MAX)
                return error_set(err, ERR_LIMIT, "a log record of %zu bytes is too long",
                                 records[i].bytes.len);
            if (at > 0 && !cut(wal, err)) // alone in a segment it may be longer than segments are
                return false;
        }
        frame(wal, &records[i]);
        if (wal->pending.len > FLUSH_BYTES && !flush(wal, err))
            return false;
    }
    return flush(wal, err);
}

// Once for each time of trouble: samples that are pushed are refused by their thousands.
static void tell_refusal(Wal *wal, const Error *err)
{
    if (!wal->refuses && err->code != ERR_LIMIT)
        log_error("log cannot be written, samples are refused until it can", KV("err", err));
    wal->refuses = wal->refuses || err->code != ERR_LIMIT;
}

static void tell_recovery(Wal *wal)
{
    if (wal->refuses)
        log_info("log is written again");
    wal->refuses = false;
}

bool wal_write(Wal *wal, const WalRecord *records, size_t count, Error *err)
{
    uint64_t start = wal->written;
    uint32_t segment = wal->segment;

    bool ok = write_all(wal, records, count, err);
    buf_reset(&wal->pending);
    if (ok) {
        wal->counters.records += count;
        tell_recovery(wal);
        if (wal->pending.cap > KEEP_BYTES)
            buf_deinit(&wal->pending);
        return true;
    }
    wal->counters.writes_failed++;
    tell_refusal(wal, err);
    if (wal->written > (wal->segment == segment ? start : 0)) {
        wal->written = wal->segment == segment ? start : 0;
        wal->torn = true;
    }
    Error later = {0};
    (void)mend(wal, &later); // else before the next write
    return error_context(err, "write to the log");
}

bool wal_sync(Wal *wal, Error *err)
{
    if (!wal->unsynced)
        return true;
    int64_t start = clock_mono_ns(&clock_system);
    if (!sync_name(wal, err))
        return error_context(err, "sync the log");
    if (!file_sync(&wal->file, err))
        return error_context(err, "sync the log");
    double took_s = (double)(clock_mono_ns(&clock_system) - start) / 1e9;
    wal->counters.fsync_recent_s[wal->counters.fsyncs++ % WAL_FSYNCS_KEPT] = took_s;
    wal->counters.fsync_seconds += took_s;
    wal->unsynced = false;
    return true;
}

bool wal_cut(Wal *wal, uint32_t *ret_segment, Error *err)
{
    if (!mend(wal, err) || !cut(wal, err))
        return false;
    *ret_segment = wal->segment;
    return true;
}

bool wal_truncate(Wal *wal, uint32_t segment, Error *err)
{
    Arena scratch = {0};
    WalSegments segments;

    wal->counters.truncations++;
    bool ok = wal_list(wal->fs, wal->dir, &scratch, &segments, err), any = false;
    for (size_t i = 0; ok && i < segments.count && segments.items[i].number < segment; i++) {
        if (segments.items[i].number == wal->segment)
            break;
        ok =
            fs_unlink(wal->fs, wal_segment_path(&scratch, wal->dir, segments.items[i].number), err);
        wal->counters.segments_removed += ok;
        any |= ok;
    }
    // They must not come back: what has a block may be deleted there from now on.
    ok = ok && (!any || fs_sync_dir(wal->fs, wal->dir, err));
    wal->counters.truncations_failed += !ok;
    arena_deinit(&scratch);
    return ok;
}

bool wal_place(Wal *wal, uint32_t before_bytes, WalPlace *ret_place, Error *err)
{
    uint32_t bytes = (uint32_t)MIN((uint64_t)before_bytes, wal->written);
    char *before = x_malloc(MAX(bytes, 1u));
    size_t got = 0;

    bool ok = file_read_at(&wal->file, wal->written - bytes, before, bytes, &got, err);
    if (ok && got != bytes)
        ok = error_set(err, ERR_IO, "log segment %08u is shorter than what was written to it",
                       wal->segment);
    if (ok)
        *ret_place = (WalPlace){wal->segment, wal->written, bytes, crc32c((Str){before, bytes})};
    free(before);
    return ok;
}

void wal_counters(const Wal *wal, WalCounters *ret_counters)
{
    *ret_counters = wal->counters;
    ret_counters->segment = wal->segment;
}

// --- reading ---

void wal_reader_init(WalReader *reader, Str bytes)
{
    *reader = (WalReader){.bytes = bytes, .damage_start = SIZE_MAX};
    buf_init(&reader->joined, WAL_RECORD_BYTES_MAX);
    buf_init(&reader->plain, WAL_RECORD_BYTES_MAX);
}

void wal_reader_deinit(WalReader *reader)
{
    buf_deinit(&reader->joined);
    buf_deinit(&reader->plain);
}

// Steps over what begins at `start`; reading goes on at `resume`.
static void damage(WalReader *r, size_t start, size_t resume, const char *reason)
{
    if (r->damage_start == SIZE_MAX) {
        r->damage_start = start;
        snprintf(r->reason, sizeof r->reason, "%s", reason);
    }
    if (!r->tail_torn)
        r->damages++;
    r->tail_torn = true;
    r->at = MIN(resume, r->bytes.len);
    r->lost_bytes += r->at - start;
}

static size_t next_page(size_t at)
{
    return at / WAL_PAGE_BYTES * WAL_PAGE_BYTES + WAL_PAGE_BYTES;
}

typedef struct Fragment {
    int type;
    int flags;
    Str data;
} Fragment;

typedef enum FragmentResult { FRAGMENT_GOOD, FRAGMENT_BAD, FRAGMENT_NONE } FragmentResult;

// The fragment at r->at, which moves behind it; ends of pages are stepped over.
static FragmentResult next_fragment(WalReader *r, Fragment *ret, const char **ret_reason)
{
    for (;;) {
        size_t left = r->bytes.len - r->at;
        size_t page_left = WAL_PAGE_BYTES - r->at % WAL_PAGE_BYTES;
        const uint8_t *at = (const uint8_t *)r->bytes.ptr + r->at;

        if (!left)
            return FRAGMENT_NONE;
        if (page_left < WAL_HEADER_BYTES || at[0] == 0) {
            size_t zeros = MIN(left, page_left);
            for (size_t i = 0; i < zeros; i++) {
                if (at[i]) {
                    *ret_reason = "bytes behind the end of a page are not zero";
                    return FRAGMENT_BAD;
                }
            }
            r->at += zeros;
            continue;
        }
        *ret_reason = "fragment is cut short";
        if (left < WAL_HEADER_BYTES)
            return FRAGMENT_BAD;
        size_t len = (size_t)at[1] << 8 | at[2];
        uint32_t crc = (uint32_t)at[3] << 24 | (uint32_t)at[4] << 16 | (uint32_t)at[5] << 8 | at[6];
        if (len > page_left - WAL_HEADER_BYTES) {
            *ret_reason = "fragment is longer than its page";
            return FRAGMENT_BAD;
        }
        if (len > left - WAL_HEADER_BYTES)
            return FRAGMENT_BAD;
        *ret = (Fragment){at[0] & 7, at[0] & 0x18, {(const char *)at + WAL_HEADER_BYTES, len}};
        *ret_reason = "fragment has a bad type";
        if (at[0] & 0xe0 || ret->type > FRAGMENT_LAST || ret->flags == (WAL_SNAPPY | WAL_ZSTD))
            return FRAGMENT_BAD;
        *ret_reason = "checksum does not match";
        if (crc32c(ret->data) != crc)
            return FRAGMENT_BAD;
        r->at += WAL_HEADER_BYTES + len;
        return FRAGMENT_GOOD;
    }
}

static bool decompress(int flags, Str bytes, Buf *out)
{
    Error err = {0};

    if (!flags)
        buf_add_str(out, bytes);
    return !flags                ? !out->failed
           : flags == WAL_SNAPPY ? snappy_decode(bytes, WAL_RECORD_BYTES_MAX, out, &err)
                                 : zstd_decode(bytes, WAL_RECORD_BYTES_MAX, out, &err);
}

// The first byte of a record, if that can be told without decompressing it; else -1. In snappy it follows the length and the tag of
// the literal that every block begins with.
static int peek_type(int flags, Str bytes)
{
    Reader in = reader_from(bytes);

    if (flags == WAL_SNAPPY) {
        (void)reader_uvarint(&in);
        uint8_t tag = reader_u8(&in);
        unsigned len = tag >> 2;
        if (tag & 3)
            return -1;
        for (unsigned i = 60; i <= len; i++)
            (void)reader_u8(&in);
    } else if (flags) {
        return -1;
    }
    uint8_t type = reader_u8(&in);
    return in.failed ? -1 : type;
}

// Adds a fragment to the record under way; true when it is whole.
static bool join(WalReader *r, const Fragment *f, Str *ret_whole)
{
    *ret_whole = f->data;
    if (f->type == FRAGMENT_FULL)
        return true;
    buf_add_str(&r->joined, f->data);
    *ret_whole = buf_str(&r->joined);
    return f->type == FRAGMENT_LAST;
}

// The next good record as it lies on disk. False at the end.
static bool next_packed(WalReader *r, size_t *ret_start, int *ret_flags, Str *ret_packed)
{
    size_t start = r->at; // of the record under way
    bool inside = false;
    int flags = 0;

    for (;;) {
        Fragment f;
        Str whole;
        const char *reason = "";
        size_t before = r->at;
        FragmentResult result = next_fragment(r, &f, &reason);
        bool begins =
            result == FRAGMENT_GOOD && (f.type == FRAGMENT_FULL || f.type == FRAGMENT_FIRST);

        if (result == FRAGMENT_NONE) {
            if (inside)
                damage(r, start, r->at, "record is cut short");
            return false;
        }
        if (result == FRAGMENT_BAD) {
            damage(r, inside ? start : before, next_page(r->at), reason);
            inside = false;
            continue;
        }
        if (!begins && !inside) { // the rest of a record whose start is lost
            damage(r, before, r->at, "record has no first fragment");
            continue;
        }
        if (begins && inside)
            damage(r, start, before, "record has no last fragment");
        if (begins) {
            r->at = (size_t)(f.data.ptr - r->bytes.ptr) + f.data.len;
            start = before;
            flags = f.flags;
            buf_reset(&r->joined);
        }
        inside = true;
        if (!join(r, &f, &whole))
            continue;
        inside = false;
        if (r->joined.failed) {
            damage(r, start, r->at, "record is too long");
            continue;
        }
        *ret_start = start;
        *ret_flags = flags;
        *ret_packed = whole;
        return true;
    }
}

// Bits of the types that are not wanted of a record that begins there.
static uint32_t unwanted_types(const WalReader *r, size_t start)
{
    uint32_t types = 0;

    for (size_t i = 0; i < COUNT_OF(r->skips); i++)
        if (start < r->skips[i].before)
            types |= r->skips[i].types;
    return types;
}

static bool has_type(uint32_t types, int type)
{
    return type >= 0 && type < 32 && types >> type & 1;
}

static void note_good(WalReader *r)
{
    r->good_end = r->at;
    r->tail_torn = false;
}

bool wal_reader_next_into(WalReader *r, Buf *out)
{
    size_t before = out->len, from = r->at;
    size_t start;
    int flags;
    Str packed;

    while (r->at - from < WAL_SKIP_BYTES) {
        if (!next_packed(r, &start, &flags, &packed))
            return false;
        uint32_t unwanted = unwanted_types(r, start);
        if (unwanted && has_type(unwanted, peek_type(flags, packed))) {
            note_good(r);
        } else if (decompress(flags, packed, out)) {
            note_good(r);
            if (!unwanted || out->len == before || !has_type(unwanted, (uint8_t)out->ptr[before]))
                return true;
            out->len = before;
        } else {
            damage(r, start, r->at, "record does not decompress");
        }
    }
    return true;
}

bool wal_reader_next(WalReader *r, Str *ret_record)
{
    size_t start;
    int flags;
    Str packed;

    while (next_packed(r, &start, &flags, &packed)) {
        buf_reset(&r->plain);
        if (!flags || decompress(flags, packed, &r->plain)) {
            note_good(r);
            *ret_record = flags ? buf_str(&r->plain) : packed;
            return true;
        }
        damage(r, start, r->at, "record does not decompress");
    }
    return false;
}
