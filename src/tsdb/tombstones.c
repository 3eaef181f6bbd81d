// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tombstones.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/reader.h"

#define MAGIC 0x0130BA30u
#define FILE_BYTES_MAX (1u << 30)

void tombstones_deinit(Tombstones *tombstones)
{
    for (size_t i = 0; i < tombstones->count; i++)
        intervals_deinit(&tombstones->entries[i].intervals);
    free(tombstones->entries);
    *tombstones = (Tombstones){NULL, 0, 0};
}

// The first entry that is not below ref.
static size_t find(const Tombstones *tombstones, uint64_t ref)
{
    size_t low = 0, high = tombstones->count;

    // Files and deletions come in rising order.
    if (high && tombstones->entries[high - 1].ref < ref)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tombstones->entries[middle].ref < ref)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void tombstones_add(Tombstones *tombstones, uint64_t ref, Interval interval)
{
    size_t i = find(tombstones, ref);

    if (i == tombstones->count || tombstones->entries[i].ref != ref) {
        if (tombstones->count == tombstones->cap) {
            tombstones->cap = tombstones->cap ? 2 * tombstones->cap : 8;
            tombstones->entries = (TombstonesEntry *)x_realloc(
                tombstones->entries, tombstones->cap * sizeof *tombstones->entries);
        }
        memmove(tombstones->entries + i + 1, tombstones->entries + i,
                (tombstones->count - i) * sizeof *tombstones->entries);
        tombstones->entries[i] = (TombstonesEntry){.ref = ref};
        tombstones->count++;
    }
    intervals_add(&tombstones->entries[i].intervals, interval);
}

void tombstones_copy(const Tombstones *from, Tombstones *ret_copy)
{
    Tombstones copy = {NULL, 0, 0};

    for (size_t i = 0; i < from->count; i++)
        for (size_t k = 0; k < from->entries[i].intervals.count; k++)
            tombstones_add(&copy, from->entries[i].ref, from->entries[i].intervals.items[k]);
    *ret_copy = copy;
}

const Intervals *tombstones_get(const Tombstones *tombstones, uint64_t ref)
{
    size_t i = tombstones->count ? find(tombstones, ref) : 0;
    return i < tombstones->count && tombstones->entries[i].ref == ref
               ? &tombstones->entries[i].intervals
               : NULL;
}

uint64_t tombstones_total(const Tombstones *tombstones)
{
    uint64_t total = 0;

    for (size_t i = 0; i < tombstones->count; i++)
        total += tombstones->entries[i].intervals.count;
    return total;
}

bool tombstones_parse_entries(Str entries, Tombstones *ret_tombstones, Error *err)
{
    Tombstones tombstones = {NULL, 0, 0};
    Reader r = reader_from(entries);

    while (reader_left(&r) > 0) {
        uint64_t ref = reader_uvarint(&r);
        int64_t min_t_ms = reader_varint(&r), max_t_ms = reader_varint(&r);
        if (r.failed || min_t_ms > max_t_ms) {
            tombstones_deinit(&tombstones);
            return error_set(err, ERR_CORRUPT, "tombstones: impossible entry");
        }
        tombstones_add(&tombstones, ref, (Interval){min_t_ms, max_t_ms});
    }
    *ret_tombstones = tombstones;
    return true;
}

bool tombstones_parse(Str bytes, Tombstones *ret_tombstones, Error *err)
{
    Reader r = reader_from(bytes);

    if (bytes.len < 9 || reader_u32be(&r) != MAGIC)
        return error_set(err, ERR_CORRUPT, "tombstones: no such file by its magic number");
    uint8_t version = reader_u8(&r);
    if (version != TOMBSTONES_VERSION)
        return error_set(err, ERR_INVALID, "tombstones: version %d, only 1 is known", version);
    Str entries = str_sub(bytes, 5, bytes.len - 9);
    Reader tail = reader_from(str_skip(bytes, bytes.len - 4));
    if (reader_u32be(&tail) != crc32c(entries))
        return error_set(err, ERR_CORRUPT, "tombstones: wrong checksum");
    return tombstones_parse_entries(entries, ret_tombstones, err);
}

bool tombstones_read(Fs *fs, Str dir, Tombstones *ret_tombstones, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error missing = {0};
    Str bytes;

    if (!fs_read_file(fs, fs_join(&arena, dir, S("tombstones")), &arena, FILE_BYTES_MAX, &bytes,
                      &missing)) {
        if (missing.code != ERR_NOT_FOUND) {
            *err = missing;
            return false;
        }
        *ret_tombstones = (Tombstones){NULL, 0, 0};
        return true;
    }
    return tombstones_parse(bytes, ret_tombstones, err);
}

// The file may have lost its end: then the last entry is taken for the checksum, and lost too.
bool tombstones_rescue(Fs *fs, Str dir, TombstoneFits *fits, void *arg, Tombstones *ret_tombstones,
                       Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str bytes;

    if (!fs_read_file(fs, fs_join(&arena, dir, S("tombstones")), &arena, FILE_BYTES_MAX, &bytes,
                      err))
        return false;
    *ret_tombstones = (Tombstones){NULL, 0, 0};
    Reader r = reader_from(str_sub(bytes, 5, bytes.len < 9 ? 0 : bytes.len - 9));
    while (reader_left(&r) > 0) {
        uint64_t ref = reader_uvarint(&r);
        Interval interval = {.min_t_ms = reader_varint(&r)};
        interval.max_t_ms = reader_varint(&r);
        if (r.failed)
            break;
        if (interval.min_t_ms <= interval.max_t_ms && fits(arg, ref, interval))
            tombstones_add(ret_tombstones, ref, interval);
    }
    return true;
}

void tombstones_print_entries(const Tombstones *tombstones, Buf *out)
{
    for (size_t i = 0; i < tombstones->count; i++)
        for (size_t k = 0; k < tombstones->entries[i].intervals.count; k++) {
            buf_add_uvarint(out, tombstones->entries[i].ref);
            buf_add_varint(out, tombstones->entries[i].intervals.items[k].min_t_ms);
            buf_add_varint(out, tombstones->entries[i].intervals.items[k].max_t_ms);
        }
}

bool tombstones_write(Fs *fs, Str dir, const Tombstones *tombstones, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(buf_deinit) Buf out = {.ptr = NULL};

    buf_add_u32be(&out, MAGIC);
    buf_add_char(&out, TOMBSTONES_VERSION);
    tombstones_print_entries(tombstones, &out);
    buf_add_u32be(&out, crc32c(str_skip(buf_str(&out), 5)));
    return buf_ok(&out, "tombstones", err) &&
           fs_write_atomic(fs, fs_join(&arena, dir, S("tombstones")), buf_str(&out), err);
}
