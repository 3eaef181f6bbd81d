// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_chunks.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/crc32c.h"
#include "base/lock.h"
#include "base/reader.h"

#define MAGIC 0x0130BC91u
#define TAKEN_BYTES                                                                                \
    131072 // a Prometheus begins each file with as many and leaves what it does not need
#define VERSION 1
#define HEADER_BYTES 8
#define FILE_BYTES_MAX (UINT64_C(128) << 20)
#define CHUNK_HEAD_BYTES 25 // before the length
#define CRC_BYTES 4
#define FLAG_OUT_OF_ORDER 0x80
#define CHECKED_STEP 32                 // no chunk with a sample is shorter on disk
#define FLUSH_BYTES (64 * 1024)         // written once that many wait
#define PENDING_BYTES_MAX (1024 * 1024) // and refused beyond, when the disk does not take them

struct HeadChunksFile {
    size_t users; // views and, while it is listed, the HeadChunks; the last one unmaps
    uint32_t number;
    uint64_t bytes; // on disk; of the newest: so far
    FsMap map;
    int64_t late_min_t; // oldest sample of its out-of-order chunks; INT64_MAX: none
    // One bit for each CHECKED_STEP bytes: the checksum of the chunk that begins there was seen to be right. NULL: none was looked at.
    uint8_t *checked; // atomic, and its bytes
};

struct HeadChunks {
    Fs *fs;
    Lock lock;
    char *dir;
    // GUARDED_BY(lock), all that follows.
    HeadChunksFile **files; // rising numbers
    size_t file_count;
    size_t file_cap;
    uint32_t next_number;
    HeadChunksFile *current; // the one that grows, also in `files`; NULL: the next write begins one
    File out;                // of current
    Buf pending;             // what belongs behind current->bytes
    uint32_t unsynced;       // newest file of the run before, perhaps not on disk yet; 0: none
    bool is_sync_failed;     // of that one
};

static void file_drop(HeadChunksFile *file)
{
    if (__atomic_sub_fetch(&file->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    fs_unmap(&file->map);
    free(file->checked);
    free(file);
}

static Str file_path(Arena *arena, const HeadChunks *chunks, uint32_t number)
{
    return arena_printf(arena, "%s/%06u", chunks->dir, number);
}

// Maps `map_bytes` of the open file; more than there is, if it is going to grow.
static HeadChunksFile *file_new(const File *in, uint32_t number, uint64_t bytes, size_t map_bytes,
                                Error *err)
{
    FsMap map;

    if (!file_map(in, map_bytes, &map, err))
        return NULL;
    HeadChunksFile *file = X_NEW(HeadChunksFile);
    *file = (HeadChunksFile){1, number, bytes, map, INT64_MAX, NULL};
    return file;
}

static void list_file(HeadChunks *chunks, HeadChunksFile *file)
{
    if (chunks->file_count == chunks->file_cap) {
        chunks->file_cap = chunks->file_cap ? 2 * chunks->file_cap : 8;
        chunks->files = (HeadChunksFile **)x_realloc(chunks->files,
                                                     chunks->file_cap * sizeof(HeadChunksFile *));
    }
    chunks->files[chunks->file_count++] = file;
}

// Reading

static bool was_checked(const HeadChunksFile *file, uint32_t offset)
{
    const uint8_t *checked = __atomic_load_n(&file->checked, __ATOMIC_ACQUIRE);
    size_t bit = offset / CHECKED_STEP;

    return checked && __atomic_load_n(&checked[bit / 8], __ATOMIC_RELAXED) >> bit % 8 & 1;
}

static void note_checked(HeadChunksFile *file, uint32_t offset)
{
    uint8_t *checked = __atomic_load_n(&file->checked, __ATOMIC_ACQUIRE);
    size_t bit = offset / CHECKED_STEP;

    if (offset >= file->map.bytes.len)
        return;
    if (!checked) {
        uint8_t *fresh = X_ARRAY(uint8_t, file->map.bytes.len / CHECKED_STEP / 8 + 1);
        if (__atomic_compare_exchange_n(&file->checked, &checked, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            checked = fresh;
        else
            free(fresh);
    }
    __atomic_fetch_or(&checked[bit / 8], (uint8_t)(1u << bit % 8), __ATOMIC_RELAXED);
}

// Parses the chunk at the start of `bytes`. NULL if it is whole, else why it is not; *ret_bytes is its length on disk. With `trusted` a
// chunk of CHECKED_STEP bytes or more is not held against its checksum.
static const char *parse_chunk(Str bytes, bool trusted, HeadChunk *chunk, size_t *ret_bytes)
{
    Reader r = reader_from(bytes);

    chunk->series_ref = reader_u64be(&r);
    chunk->min_t_ms = (int64_t)reader_u64be(&r);
    chunk->max_t_ms = (int64_t)reader_u64be(&r);
    uint8_t encoding = reader_u8(&r);
    uint64_t len = reader_uvarint(&r);
    if (r.failed)
        return "the head of a chunk is cut off";
    if (len > CHUNK_BYTES_MAX)
        return "impossible length of a chunk";
    if (len > reader_left(&r) || reader_left(&r) - len < CRC_BYTES)
        return "a chunk is cut off";
    chunk->bytes = reader_bytes(&r, (size_t)len);
    size_t checked = bytes.len - reader_left(&r);
    if (!(trusted && checked + CRC_BYTES >= CHECKED_STEP) &&
        reader_u32be(&r) != crc32c(str_sub(bytes, 0, checked)))
        return "a chunk's checksum is wrong";
    chunk->out_of_order = (encoding & FLAG_OUT_OF_ORDER) != 0;
    chunk->encoding = (ChunkEncoding)(encoding & ~FLAG_OUT_OF_ORDER);
    chunk->count = (uint16_t)chunk_sample_count(chunk->encoding, chunk->bytes);
    *ret_bytes = checked + CRC_BYTES;
    return NULL;
}

static bool is_zero(Str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != 0)
            return false;
    return true;
}

static bool header_is_good(Str bytes)
{
    Reader r = reader_from(bytes);
    uint32_t magic = reader_u32be(&r);
    uint8_t version = reader_u8(&r);

    return !r.failed && reader_left(&r) >= 3 && magic == MAGIC && version == VERSION;
}

// Shows all chunks of one file. *ret_good is where understanding ended, *ret_reason why, NULL at a proper end. Zeros at the end are
// space that was taken in advance.
static bool walk_file(Str bytes, uint32_t number, HeadChunkFn each, void *arg, uint64_t *ret_good,
                      const char **ret_reason, Error *err)
{
    size_t at = HEADER_BYTES;

    *ret_reason = NULL;
    if (!header_is_good(bytes)) {
        *ret_good = 0;
        *ret_reason = bytes.len < HEADER_BYTES || is_zero(bytes) ? "the file's head is cut off"
                                                                 : "no head chunk file";
        return true;
    }
    while (at < bytes.len) {
        Str rest = str_skip(bytes, at);
        HeadChunk chunk = {.ref = (uint64_t)number << 32 | at};
        size_t len = 0;
        if (rest.ptr[0] == 0 && is_zero(rest))
            break;
        *ret_reason = parse_chunk(rest, false, &chunk, &len);
        if (*ret_reason)
            break;
        if (!each(arg, &chunk, err))
            return false;
        at += len;
    }
    *ret_good = at;
    return true;
}

static bool parse_name(Str name, uint32_t *ret_number)
{
    uint64_t number = 0;

    if (name.len < 6 || name.len > 10)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(name.ptr[i] - '0');
    }
    *ret_number = (uint32_t)number;
    return number > 0 && number <= UINT32_MAX - 1;
}

static bool move_aside(HeadChunks *chunks, uint32_t number, Arena *arena, Error *err)
{
    Str path = file_path(arena, chunks, number);
    Str aside = arena_printf(arena, STR_FMT ".corrupt", STR_ARG(path));

    for (int i = 1; fs_exists(chunks->fs, aside) && i < 1000; i++)
        aside = arena_printf(arena, STR_FMT ".corrupt-%d", STR_ARG(path), i);
    return fs_rename(chunks->fs, path, aside, err);
}

// The file keeps its first `good` bytes; what was there in all stays beside it.
static bool keep_front(HeadChunks *chunks, uint32_t number, Str good, Arena *arena, Error *err)
{
    return move_aside(chunks, number, arena, err) &&
           (good.len <= HEADER_BYTES ||
            fs_write_atomic(chunks->fs, file_path(arena, chunks, number), good, err));
}

static void note_repair(HeadChunksRepair *repair, uint32_t number, uint64_t good, uint64_t lost,
                        const char *reason)
{
    if (!repair->torn) {
        repair->torn = true;
        repair->file = number;
        repair->offset = good;
        size_t len = MIN(strlen(reason), sizeof repair->reason - 1);
        memcpy(repair->reason, reason, len);
        repair->reason[len] = '\0';
    }
    repair->lost_bytes += lost;
}

// Lists a file that is whole, or whose front was kept.
static bool keep_file(HeadChunks *chunks, uint32_t number, uint64_t bytes, Str path, Error *err)
{
    CLEANUP(file_close) File in = FILE_NONE;
    if (!fs_open(chunks->fs, path, FS_READ, &in, err))
        return false;
    HeadChunksFile *file = file_new(&in, number, bytes, (size_t)bytes, err);
    if (!file)
        return false;
    list_file(chunks, file);
    chunks->unsynced = number;
    return true;
}

// Moves the files behind the first bad one aside, the newest first: at no moment does one of them follow a gap.
static bool move_rest_aside(HeadChunks *chunks, const uint32_t *numbers, size_t count,
                            HeadChunksRepair *repair, Arena *arena, Error *err)
{
    for (size_t i = count; i-- > 0;) {
        CLEANUP(file_close) File in = FILE_NONE;
        uint64_t bytes = 0;
        if (fs_open(chunks->fs, file_path(arena, chunks, numbers[i]), FS_READ, &in, err) &&
            file_size(&in, &bytes, err))
            repair->lost_bytes += bytes;
        if (!move_aside(chunks, numbers[i], arena, err))
            return false;
    }
    return count == 0 || fs_sync_dir(chunks->fs, str_from_c(chunks->dir), err);
}

typedef struct Walk {
    HeadChunkFn each;
    void *arg;
    int64_t late_min_t;
} Walk;

static bool walk_one(void *arg, const HeadChunk *chunk, Error *err)
{
    Walk *walk = (Walk *)arg;

    if (chunk->out_of_order)
        walk->late_min_t = MIN(walk->late_min_t, chunk->min_t_ms);
    return walk->each(walk->arg, chunk, err);
}

// Walks the first of `count` files and lists it. *ret_torn: it is not whole, the others were moved aside.
static bool open_file(HeadChunks *chunks, const uint32_t *numbers, size_t count,
                      const HeadChunksUser *user, HeadChunksRepair *repair, bool *ret_torn,
                      Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsMap map = {{NULL, 0}};
    Str path = file_path(&arena, chunks, numbers[0]);
    uint64_t good = 0;
    const char *reason = NULL;

    if (!fs_map(chunks->fs, path, &map, err))
        return false;
    Walk walk = {user->each, user->arg, INT64_MAX};
    bool ok = walk_file(map.bytes, numbers[0], walk_one, &walk, &good, &reason, err);
    // Zeros at the end are harmless where they were taken in advance: of another file but the newest they are bytes that never arrived.
    if (ok && !reason && good < map.bytes.len && count > 1 && map.bytes.len != TAKEN_BYTES)
        reason = "a chunk is zero";
    if (ok && reason) {
        note_repair(repair, numbers[0], good, map.bytes.len - good, reason);
        ok = (!user->torn || user->torn(user->arg, err)) &&
             move_rest_aside(chunks, numbers + 1, count - 1, repair, &arena, err) &&
             keep_front(chunks, numbers[0], str_sub(map.bytes, 0, good), &arena, err);
    }
    fs_unmap(&map);
    *ret_torn = reason != NULL;
    if (!ok)
        return false;
    if (good <= HEADER_BYTES && (reason || count == 1)) // nothing in it, and no gap without it
        return reason ? true : fs_unlink(chunks->fs, path, err);
    if (!keep_file(chunks, numbers[0], good, path, err))
        return false;
    chunks->files[chunks->file_count - 1]->late_min_t = walk.late_min_t;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool open_all(HeadChunks *chunks, const HeadChunksUser *user, HeadChunksRepair *repair,
                     Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str dir = str_from_c(chunks->dir);
    FsList list;
    size_t count = 0;

    if (!fs_make_dirs(chunks->fs, dir, err) || !fs_list(chunks->fs, dir, &arena, &list, err))
        return false;
    uint32_t *numbers = ARENA_ARRAY(&arena, uint32_t, list.count + 1);
    for (size_t i = 0; i < list.count; i++)
        if (!list.entries[i].is_dir && parse_name(list.entries[i].name, &numbers[count]))
            count++;
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    bool torn = false;
    for (size_t i = 0; i < count && !torn; i++)
        if (!open_file(chunks, numbers + i, count - i, user, repair, &torn, err))
            return false;
    // Prometheus refuses a folder with a gap, so the number of a file that was moved aside is used again.
    chunks->next_number = chunks->file_count ? chunks->files[chunks->file_count - 1]->number + 1
                          : count            ? numbers[count - 1] + 1
                                             : 1;
    return true;
}

bool head_chunks_open(Fs *fs, Str dir, const HeadChunksUser *user, HeadChunks **ret_chunks,
                      HeadChunksRepair *ret_repair, Error *err)
{
    HeadChunks *chunks = X_NEW(HeadChunks);
    HeadChunksRepair repair = {.torn = false};

    chunks->fs = fs;
    chunks->out = (File)FILE_NONE;
    chunks->dir = (char *)x_malloc(dir.len + 1);
    memcpy(chunks->dir, dir.ptr, dir.len);
    chunks->dir[dir.len] = '\0';
    lock_init(&chunks->lock, "head_chunks", HEAD_CHUNKS_RANK);
    if (!open_all(chunks, user, &repair, err)) {
        head_chunks_close(chunks);
        return error_context(err, "head chunks");
    }
    if (ret_repair)
        *ret_repair = repair;
    *ret_chunks = chunks;
    return true;
}

// Writing

// What waits goes to the file; on failure it goes on waiting for the same place.
static bool flush(HeadChunks *chunks, Error *err) REQUIRES(chunks->lock)
{
    if (chunks->pending.len == 0)
        return true;
    if (!file_write_at(&chunks->out, chunks->current->bytes, buf_str(&chunks->pending), err))
        return false;
    __atomic_store_n(&chunks->current->bytes, chunks->current->bytes + chunks->pending.len,
                     __ATOMIC_RELEASE);
    buf_reset(&chunks->pending);
    return true;
}

// The file before is on disk before the next one begins: a power cut must not leave a gap that a later chunk of a series hides.
static bool sync_before(HeadChunks *chunks, Error *err) REQUIRES(chunks->lock)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(file_close) File old = FILE_NONE;

    if (chunks->out.fd >= 0)
        return file_sync(&chunks->out, err);
    if (!chunks->unsynced)
        return true;
    if (fs_open(chunks->fs, file_path(&arena, chunks, chunks->unsynced), FS_READ_WRITE, &old,
                err)) {
        old.is_sync_failed = chunks->is_sync_failed;
        chunks->is_sync_failed = !file_sync(&old, err);
        if (chunks->is_sync_failed)
            return false;
    } else if (err->code != ERR_NOT_FOUND) {
        return false;
    }
    chunks->unsynced = 0;
    return true;
}

static bool begin_file(HeadChunks *chunks, uint64_t bytes_wanted, Error *err) REQUIRES(chunks->lock)
{
    static const char header[HEADER_BYTES] = {(char)(MAGIC >> 24), (char)(MAGIC >> 16),
                                              (char)(MAGIC >> 8), (char)MAGIC, VERSION};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(file_close) File out = FILE_NONE;

    if (!sync_before(chunks, err) ||
        !fs_open(chunks->fs, file_path(&arena, chunks, chunks->next_number), FS_CREATE, &out,
                 err) ||
        !file_write_at(&out, 0, (Str){header, HEADER_BYTES}, err) ||
        !fs_sync_dir(chunks->fs, str_from_c(chunks->dir), err))
        return false;
    size_t map_bytes = (size_t)MAX(FILE_BYTES_MAX, HEADER_BYTES + bytes_wanted);
    HeadChunksFile *file = file_new(&out, chunks->next_number, HEADER_BYTES, map_bytes, err);
    if (!file)
        return false;
    chunks->next_number++;
    chunks->current = file;
    list_file(chunks, file);
    file_close(&chunks->out);
    chunks->out = out;
    out = (File)FILE_NONE;
    return true;
}

// Makes sure that `bytes` more belong into the current file.
static bool make_room(HeadChunks *chunks, uint64_t bytes, Error *err) REQUIRES(chunks->lock)
{
    HeadChunksFile *current = chunks->current;

    if (current && current->bytes + chunks->pending.len + bytes > FILE_BYTES_MAX) {
        if (!flush(chunks, err))
            return false;
        chunks->current = current = NULL;
    }
    if (!current)
        return begin_file(chunks, bytes, err);
    if (chunks->pending.len + bytes > PENDING_BYTES_MAX && !flush(chunks, err))
        return false;
    return true;
}

static bool write_locked(HeadChunks *chunks, const HeadChunk *chunk, HeadChunkRef *ret_ref,
                         Error *err) REQUIRES(chunks->lock)
{
    Buf *out = &chunks->pending;
    uint64_t bytes_max = CHUNK_HEAD_BYTES + 10 + chunk->bytes.len + CRC_BYTES;

    if (!make_room(chunks, bytes_max, err))
        return false;
    if (chunk->out_of_order)
        chunks->current->late_min_t = MIN(chunks->current->late_min_t, chunk->min_t_ms);
    size_t from = out->len;
    *ret_ref = (uint64_t)chunks->current->number << 32 | (chunks->current->bytes + from);
    buf_add_u64be(out, chunk->series_ref);
    buf_add_u64be(out, (uint64_t)chunk->min_t_ms);
    buf_add_u64be(out, (uint64_t)chunk->max_t_ms);
    buf_add_char(out,
                 (char)((unsigned)chunk->encoding | (chunk->out_of_order ? FLAG_OUT_OF_ORDER : 0)));
    buf_add_uvarint(out, chunk->bytes.len);
    buf_add_str(out, chunk->bytes);
    buf_add_u32be(out, crc32c(str_skip(buf_str(out), from)));
    if (out->len >= FLUSH_BYTES) {
        Error later = {0};
        (void)flush(
            chunks,
            &later); // it is kept and tried again; make_room tells when that no longer helps
    }
    return true;
}

bool head_chunks_write(HeadChunks *chunks, uint64_t series_ref, int64_t min_t_ms, int64_t max_t_ms,
                       ChunkEncoding encoding, bool out_of_order, Str bytes, HeadChunkRef *ret_ref,
                       Error *err)
{
    HeadChunk chunk = {
        .series_ref = series_ref,
        .min_t_ms = min_t_ms,
        .max_t_ms = max_t_ms,
        .encoding = encoding,
        .out_of_order = out_of_order,
        .bytes = bytes,
    };

    lock_take(&chunks->lock);
    bool ok = write_locked(chunks, &chunk, ret_ref, err);
    lock_give(&chunks->lock);
    return ok;
}

bool head_chunks_flush(HeadChunks *chunks, Error *err)
{
    lock_take(&chunks->lock);
    bool ok = flush(chunks, err);
    lock_give(&chunks->lock);
    return ok;
}

bool head_chunks_sync(HeadChunks *chunks, Error *err)
{
    lock_take(&chunks->lock);
    bool ok = flush(chunks, err) && sync_before(chunks, err);
    lock_give(&chunks->lock);
    return ok;
}

static HeadChunksFile *find_file(HeadChunks *chunks, uint32_t number) REQUIRES(chunks->lock)
{
    size_t low = 0, high = chunks->file_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunks->files[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < chunks->file_count && chunks->files[low]->number == number ? chunks->files[low]
                                                                            : NULL;
}

static uint32_t tail_crc(const HeadChunksFile *file, uint64_t bytes)
{
    uint64_t tail = MIN(bytes, HEAD_CHUNKS_TAIL_BYTES);

    return crc32c(str_sub(file->map.bytes, (size_t)(bytes - tail), (size_t)tail));
}

static HeadChunksExtent extent_of(const HeadChunksFile *file)
{
    return (HeadChunksExtent){file->number, tail_crc(file, file->bytes), file->bytes};
}

// Its own file: who writes to it goes on meanwhile.
static bool sync_aside(HeadChunks *chunks, uint32_t number, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    CLEANUP(file_close) File file = FILE_NONE;

    if (fs_open(chunks->fs, file_path(&arena, chunks, number), FS_READ_WRITE, &file, err) &&
        file_sync(&file, err))
        return true;
    lock_take(&chunks->lock); // what the kernel may have dropped is to be written again
    if (chunks->out.fd >= 0)
        chunks->out.is_sync_failed = true;
    else
        chunks->is_sync_failed = true;
    lock_give(&chunks->lock);
    return false;
}

bool head_chunks_settle(HeadChunks *chunks, Arena *arena, HeadChunksExtent **ret_extents,
                        size_t *ret_count, Error *err)
{
    lock_take(&chunks->lock);
    bool ok = flush(chunks, err);
    size_t count = chunks->file_count;
    HeadChunksExtent *extents = ARENA_ARRAY(arena, HeadChunksExtent, count + 1);
    for (size_t i = 0; ok && i < count; i++)
        extents[i] = extent_of(chunks->files[i]);
    lock_give(&chunks->lock);
    *ret_extents = extents;
    *ret_count = count;
    // The others were synced before it was begun.
    return ok && (count == 0 || sync_aside(chunks, extents[count - 1].number, err));
}

bool head_chunks_hold(HeadChunks *chunks, const HeadChunksExtent *extents, size_t count)
{
    bool ok = true;

    lock_take(&chunks->lock);
    for (size_t i = 0; ok && i < count; i++) {
        const HeadChunksFile *file = find_file(chunks, extents[i].number);
        ok = file && file->bytes >= extents[i].bytes &&
             tail_crc(file, extents[i].bytes) == extents[i].tail_crc;
    }
    lock_give(&chunks->lock);
    return ok;
}

void head_chunks_cut(HeadChunks *chunks)
{
    Error later = {0};

    lock_take(&chunks->lock);
    // What the disk does not take now stays in the current file.
    if (chunks->current && flush(chunks, &later))
        chunks->current = NULL;
    lock_give(&chunks->lock);
}

void head_chunks_close(HeadChunks *chunks)
{
    Error later = {0};

    if (!chunks)
        return;
    lock_take(&chunks->lock);
    (void)flush(chunks, &later); // the log has the samples
    lock_give(&chunks->lock);
    for (size_t i = 0; i < chunks->file_count; i++)
        file_drop(chunks->files[i]);
    free(chunks->files);
    file_close(&chunks->out);
    buf_deinit(&chunks->pending);
    lock_deinit(&chunks->lock);
    free(chunks->dir);
    free(chunks);
}

// Views

// The bytes from `offset` on: of the map, or a copy of what still waits because the disk does not take it.
static Str bytes_at(HeadChunks *chunks, HeadChunksFile *file, uint32_t offset, void **ret_owned)
    REQUIRES(chunks->lock)
{
    Error later = {0};

    if (file == chunks->current && offset >= file->bytes && !flush(chunks, &later)) {
        Str waiting = str_skip(buf_str(&chunks->pending), offset - file->bytes);
        *ret_owned = x_malloc(waiting.len + 1);
        memcpy(*ret_owned, waiting.ptr, waiting.len);
        return (Str){(const char *)*ret_owned, waiting.len};
    }
    if (offset < HEADER_BYTES || offset >= file->bytes)
        return STR_NONE;
    return (Str){file->map.bytes.ptr + offset, file->bytes - offset};
}

void head_chunks_pin(HeadChunks *chunks, HeadChunkPins *ret_pins)
{
    lock_take(&chunks->lock);
    *ret_pins =
        (HeadChunkPins){X_ARRAY(HeadChunksFile *, chunks->file_count + 1), chunks->file_count};
    for (size_t i = 0; i < chunks->file_count; i++) {
        ret_pins->files[i] = chunks->files[i];
        __atomic_add_fetch(&chunks->files[i]->users, 1, __ATOMIC_RELAXED);
    }
    lock_give(&chunks->lock);
}

void head_chunks_unpin(HeadChunkPins *pins)
{
    for (size_t i = 0; i < pins->count; i++)
        file_drop(pins->files[i]);
    free(pins->files);
    *pins = (HeadChunkPins){NULL, 0};
}

static HeadChunksFile *find_pinned(const HeadChunkPins *pins, uint32_t number)
{
    for (size_t i = pins ? pins->count : 0; i > 0; i--)
        if (pins->files[i - 1]->number == number)
            return pins->files[i - 1];
    return NULL;
}

// The file and the bytes from the ref on; STR_NONE if there are none.
static Str locate(HeadChunks *chunks, const HeadChunkPins *pins, HeadChunkRef ref,
                  HeadChunkView *view, HeadChunksFile **ret_file)
{
    uint32_t offset = (uint32_t)ref;
    Str bytes = STR_NONE;

    *ret_file = find_pinned(pins, head_chunks_file_of(ref));
    uint64_t there = *ret_file ? __atomic_load_n(&(*ret_file)->bytes, __ATOMIC_ACQUIRE) : 0;
    if (offset >= HEADER_BYTES && offset < there)
        return (Str){(*ret_file)->map.bytes.ptr + offset, there - offset};

    lock_take(&chunks->lock);
    *ret_file = view->file = find_file(chunks, head_chunks_file_of(ref));
    if (view->file) {
        bytes = bytes_at(chunks, view->file, offset, &view->owned);
        __atomic_add_fetch(&view->file->users, 1, __ATOMIC_RELAXED);
    }
    lock_give(&chunks->lock);
    return bytes;
}

bool head_chunks_read(HeadChunks *chunks, const HeadChunkPins *pins, HeadChunkRef ref,
                      HeadChunkView *ret_view, Error *err)
{
    HeadChunkView view = {.chunk = {.ref = ref}};
    HeadChunksFile *file;
    size_t len;
    Str bytes = locate(chunks, pins, ref, &view, &file);

    if (!file)
        return error_set(err, ERR_CORRUPT, "head chunk file %06u is gone",
                         head_chunks_file_of(ref));
    bool trusted = !view.owned && was_checked(file, (uint32_t)ref);
    const char *reason = parse_chunk(bytes, trusted, &view.chunk, &len);
    if (reason) {
        error_set(err, ERR_CORRUPT, "head chunk file %06u at %u: %s", head_chunks_file_of(ref),
                  (unsigned)(uint32_t)ref, reason);
        head_chunks_release(&view);
        return false;
    }
    if (!trusted && !view.owned && len >= CHECKED_STEP)
        note_checked(file, (uint32_t)ref);
    *ret_view = view;
    return true;
}

void head_chunks_release(HeadChunkView *view)
{
    if (view->file)
        file_drop(view->file);
    free(view->owned);
    view->file = NULL;
    view->owned = NULL;
}

// Housekeeping

bool head_chunks_truncate(HeadChunks *chunks, uint32_t file, Error *err)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    bool ok = true;

    lock_take(&chunks->lock);
    while (ok && chunks->file_count && chunks->files[0] != chunks->current &&
           chunks->files[0]->number < file) {
        HeadChunksFile *oldest = chunks->files[0];
        ok = fs_unlink(chunks->fs, file_path(&arena, chunks, oldest->number), err);
        if (!ok && err->code != ERR_NOT_FOUND)
            break;
        ok = true;
        chunks->file_count--;
        memmove(chunks->files, chunks->files + 1, chunks->file_count * sizeof(HeadChunksFile *));
        file_drop(oldest);
    }
    lock_give(&chunks->lock);
    return ok;
}

void head_chunks_release_pages(HeadChunks *chunks)
{
    lock_take(&chunks->lock);
    for (size_t i = 0; i < chunks->file_count; i++) {
        union {
            const char *view;
            void *at;
        } cast = {chunks->files[i]->map.bytes.ptr};
        madvise(cast.at, chunks->files[i]->map.bytes.len, MADV_DONTNEED);
    }
    lock_give(&chunks->lock);
}

int64_t head_chunks_oldest_late(HeadChunks *chunks)
{
    int64_t oldest = INT64_MAX;

    lock_take(&chunks->lock);
    for (size_t i = 0; i < chunks->file_count; i++)
        oldest = MIN(oldest, chunks->files[i]->late_min_t);
    lock_give(&chunks->lock);
    return oldest;
}

uint32_t head_chunks_oldest_file(HeadChunks *chunks)
{
    lock_take(&chunks->lock);
    uint32_t oldest = chunks->file_count ? chunks->files[0]->number : UINT32_MAX;
    lock_give(&chunks->lock);
    return oldest;
}

uint64_t head_chunks_bytes_on_disk(HeadChunks *chunks)
{
    uint64_t bytes = 0;

    lock_take(&chunks->lock);
    for (size_t i = 0; i < chunks->file_count; i++)
        bytes += chunks->files[i]->bytes;
    lock_give(&chunks->lock);
    return bytes;
}

static bool count_chunk(void *arg, const HeadChunk *chunk, Error *err)
{
    (void)chunk, (void)err;
    ++*(uint64_t *)arg;
    return true;
}

const char *head_chunks_verify(Str bytes, uint64_t *ret_chunks, uint64_t *ret_good)
{
    const char *reason;
    Error err = {0};

    *ret_chunks = 0;
    bool ok = walk_file(bytes, 0, count_chunk, ret_chunks, ret_good, &reason, &err);
    ASSERT(ok); // only the callback fails
    return reason;
}
