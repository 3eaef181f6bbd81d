// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_image.h"

#include <limits.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "tsdb/head_replay_ring.h"

#define MAGIC 0x4e585345u // "NXSE"
#define LAYOUT 1
#define HEADER_BYTES 60
#define BLOCK_BYTES (1024 * 1024)
#define BLOCK_HEADER_BYTES 13
#define BLOCK_BYTES_MAX (64u * 1024 * 1024)
#define IMAGE_BYTES_MAX (UINT64_C(4) << 30)
#define FINGERPRINT_BYTES 4096
#define SERIES_BYTES_GUESS 5 // of the file, for each series
#define COST_SHARE 8         // the image may add an eighth to what the log writes
#define SERIES_MIN 500       // new ones: fewer are defined in no time
#define TRIES 5

typedef enum BlockKind {
    BLOCK_NAMES = 1,
    BLOCK_PAIRS = 2,
    BLOCK_SERIES = 3,
    BLOCK_TWINS = 4,
    BLOCK_EXPIRED = 5,
    BLOCK_END = 6,
} BlockKind;

static Str image_path(Head *head, Arena *arena)
{
    return fs_join(arena, head->options.dir, S(HEAD_IMAGE_NAME));
}

// --- writing ---

typedef struct Writer {
    Buf out;
    Buf raw; // of the block under way
    BlockKind kind;
} Writer;

static void end_block(Writer *w)
{
    Error err = {0};
    size_t at = w->out.len;

    (void)buf_reserve(&w->out, BLOCK_HEADER_BYTES);
    w->out.len += BLOCK_HEADER_BYTES;
    bool ok = zstd_encode(buf_str(&w->raw), 1, &w->out, &err);
    ASSERT(ok); // it has no limit but memory
    Str packed = str_skip(buf_str(&w->out), at + BLOCK_HEADER_BYTES);
    uint32_t words[3] = {__builtin_bswap32((uint32_t)w->raw.len),
                         __builtin_bswap32((uint32_t)packed.len),
                         __builtin_bswap32(crc32c(packed))};
    w->out.ptr[at] = (char)w->kind;
    memcpy(w->out.ptr + at + 1, words, sizeof words);
    buf_reset(&w->raw);
}

static void begin_kind(Writer *w, BlockKind kind)
{
    if (w->raw.len)
        end_block(w);
    w->kind = kind;
}

// Behind each entry, so that none reaches over a block.
static void end_entry(Writer *w)
{
    if (w->raw.len >= BLOCK_BYTES)
        end_block(w);
}

static void add_str(Buf *out, Str s)
{
    buf_add_uvarint(out, s.len);
    buf_add_str(out, s);
}

static void add_pair(Writer *w, const HeadIndex *index, const LabelPair *pair)
{
    const Postings *p = &pair->postings;

    buf_add_uvarint(&w->raw, pair->value ? pair->name : 0);
    if (!pair->value)
        return;
    add_str(&w->raw, head_index_text(index, pair->value));
    buf_add_uvarint(&w->raw, p->first);
    buf_add_uvarint(&w->raw, p->sealed);
    buf_add_uvarint(&w->raw, p->length);
    buf_add_uvarint(&w->raw, p->count);
    add_str(&w->raw,
            p->used ? (Str){(const char *)pool_at(&index->pool, p->bytes), p->used} : STR_NONE);
}

static void add_series(Writer *w, const HeadIndex *index)
{
    Arena scratch = {0};
    RefRuns runs;
    uint64_t before = 0;

    postings_decode(&index->all, &index->pool, &scratch, &runs);
    for (size_t i = 0; i < runs.count; i++) {
        for (uint64_t k = 0; k < runs.runs[i].length; k++) {
            uint64_t ref = runs.runs[i].first + k;
            const Series *series = series_at(&index->series, series_slot(&index->series, ref));
            if (!w->raw.len)
                before = 0; // each block begins anew
            buf_add_uvarint(&w->raw, ref - before);
            add_str(&w->raw, head_index_key(index, series->labels));
            before = ref;
            end_entry(w);
        }
    }
    arena_deinit(&scratch);
}

static void add_refs(Writer *w, const RefMap *map)
{
    for (size_t i = 0; i < map->size; i++) {
        if (!map->entries[i].ref)
            continue;
        buf_add_uvarint(&w->raw, map->entries[i].ref);
        buf_add_uvarint(&w->raw, map->entries[i].value);
        end_entry(w);
    }
}

static void add_index(Writer *w, const HeadIndex *index)
{
    begin_kind(w, BLOCK_NAMES);
    for (uint32_t i = 1; i < index->name_count; i++) {
        add_str(&w->raw, head_index_text(index, index->names[i].text));
        end_entry(w);
    }
    begin_kind(w, BLOCK_PAIRS);
    for (uint32_t i = 1; i < index->pair_count; i++) {
        add_pair(w, index, &index->pairs[i]);
        end_entry(w);
    }
    begin_kind(w, BLOCK_SERIES);
    add_series(w, index);
    begin_kind(w, BLOCK_END);
}

static void add_header(Buf *out, const WalPlace *place, uint64_t next_ref, uint64_t series)
{
    size_t start = out->len;

    buf_add_u32be(out, MAGIC);
    buf_add_u32be(out, LAYOUT);
    buf_add_u32be(out, place->segment);
    buf_add_u64be(out, place->offset);
    buf_add_u32be(out, place->before_bytes);
    buf_add_u32be(out, place->before_crc);
    buf_add_u64be(out, next_ref);
    buf_add_u64be(out, series);
    while (out->len - start < HEADER_BYTES - 4)
        buf_add_char(out, 0);
    buf_add_u32be(out, crc32c(str_skip(buf_str(out), start)));
}

// The place in the log, and which series it knows there: those below *ret_next_ref.
static bool take_place(Head *head, Writer *refs, WalPlace *ret_place, uint64_t *ret_next_ref,
                       HeadImageState *ret_state, Error *err)
{
    WalCounters log;

    head_lead(head);
    rwlock_take_read(&head->index_lock);
    bool ok = head_append_log_series(head, err) &&
              wal_place(head->wal, FINGERPRINT_BYTES, ret_place, err);
    wal_counters(head->wal, &log);
    *ret_next_ref = head->index.next_ref;
    rwlock_give(&head->index_lock);
    begin_kind(refs, BLOCK_TWINS);
    add_refs(refs, &head->twins);
    begin_kind(refs, BLOCK_EXPIRED);
    add_refs(refs, &head->expired);
    begin_kind(refs, BLOCK_END);
    head_follow(head);
    uint64_t created = GET(head->counters.series_created);
    *ret_state = (HeadImageState){created, log.bytes, ret_place->segment, false, created};
    return ok;
}

// Commits wait only until the place is known, new series until the index is written down. *ret_done: no series came in between.
static bool capture(Head *head, Writer *w, HeadImageState *ret_state, bool *ret_done, Error *err)
{
    Writer refs = {0};
    WalPlace place = {0};
    uint64_t next_ref = 0;

    *ret_done = false;
    bool ok = take_place(head, &refs, &place, &next_ref, ret_state, err);
    if (ok && place.before_bytes) {
        rwlock_take_read(&head->index_lock);
        if (head->index.next_ref == next_ref) {
            add_header(&w->out, &place, next_ref, head->index.series.count);
            buf_add_str(&w->out, buf_str(&refs.out));
            add_index(w, &head->index);
            *ret_done = true;
        }
        rwlock_give(&head->index_lock);
    }
    buf_deinit(&refs.out);
    buf_deinit(&refs.raw);
    return ok;
}

bool head_image_write(Head *head, Error *err)
{
    Arena scratch = {0};
    Writer w = {0};
    HeadImageState state;
    bool done = false;
    int64_t start_ns = clock_mono_ns(&clock_system);

    lock_take(&head->truncate_lock);
    bool ok = true;
    for (int i = 0; ok && !done && i < TRIES; i++)
        ok = capture(head, &w, &state, &done, err);
    if (ok && done) {
        w.kind = BLOCK_END;
        end_block(&w);
        ok = fs_write_atomic(head->fs, image_path(head, &scratch), buf_str(&w.out), err);
    }
    if (ok && done) {
        head->image = state;
        log_debug("wrote an image of the series", KV("bytes", (uint64_t)w.out.len),
                  KV("series", GET(head->counters.series)),
                  KV("took_ms", (clock_mono_ns(&clock_system) - start_ns) / 1000000));
    }
    lock_give(&head->truncate_lock);
    buf_deinit(&w.out);
    buf_deinit(&w.raw);
    arena_deinit(&scratch);
    return ok ? true : error_context(err, "image of the series");
}

static uint64_t series_min(const Head *head)
{
    return head->options.image_series_min ? head->options.image_series_min : SERIES_MIN;
}

void head_image_refresh(Head *head)
{
    WalCounters log;
    Error err = {0};
    uint64_t created = GET(head->counters.series_created);
    uint64_t series = GET(head->counters.series);

    lock_take(&head->truncate_lock);
    head_lead(head); // the log's own counters are the leader's
    wal_counters(head->wal, &log);
    head_follow(head);
    bool still = head->image.seen == created; // while they come one waits for the rest
    uint64_t fresh = created - head->image.created;
    uint64_t cost = series * SERIES_BYTES_GUESS * COST_SHARE;
    head->image.seen = created;
    bool due = !head->snapshot_defines &&
               (head->image.stale || fresh >= MAX(series_min(head), series / 20)) && still &&
               series >= series_min(head) && log.bytes - head->image.log_bytes >= cost;
    lock_give(&head->truncate_lock);
    if (due && !head_image_write(head, &err))
        log_warn("cannot write the image of the series, the next start takes longer",
                 KV("err", &err));
}

// --- reading ---

typedef struct Header {
    WalPlace place;
    uint64_t next_ref, series;
} Header;

static bool read_header(Str bytes, Header *ret)
{
    if (bytes.len < HEADER_BYTES)
        return false;
    Reader in = reader_from(str_sub(bytes, 0, HEADER_BYTES));
    bool ours = reader_u32be(&in) == MAGIC && reader_u32be(&in) == LAYOUT;
    ret->place.segment = reader_u32be(&in);
    ret->place.offset = reader_u64be(&in);
    ret->place.before_bytes = reader_u32be(&in);
    ret->place.before_crc = reader_u32be(&in);
    ret->next_ref = reader_u64be(&in);
    ret->series = reader_u64be(&in);
    in.at = (const uint8_t *)bytes.ptr + HEADER_BYTES - 4;
    return ours && reader_u32be(&in) == crc32c(str_sub(bytes, 0, HEADER_BYTES - 4));
}

typedef struct Block {
    BlockKind kind;
    uint32_t raw_bytes;
    Str packed;
} Block;

static bool next_block(Reader *in, Block *ret)
{
    ret->kind = (BlockKind)reader_u8(in);
    ret->raw_bytes = reader_u32be(in);
    uint32_t len = reader_u32be(in);
    uint32_t crc = reader_u32be(in);
    if (!reader_take(in, len) || ret->raw_bytes > BLOCK_BYTES_MAX)
        return false;
    ret->packed = (Str){(const char *)in->at, len};
    in->at += len;
    return crc32c(ret->packed) == crc;
}

// All blocks are there and whole.
static bool blocks_whole(Str bytes)
{
    Reader in = reader_from(str_skip(bytes, HEADER_BYTES));
    Block block;

    while (next_block(&in, &block))
        if (block.kind == BLOCK_END)
            return in.at == in.end;
    return false;
}

bool head_image_log_fits(Head *head, const WalPlace *place)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    CLEANUP(file_close) File file = FILE_NONE;
    uint8_t bytes[FINGERPRINT_BYTES];
    size_t got = 0;
    Error err = {0};

    return place->before_bytes > 0 && place->before_bytes <= sizeof bytes &&
           place->before_bytes <= place->offset &&
           fs_open(head->fs, wal_segment_path(&scratch, head->wal_dir, place->segment), FS_READ,
                   &file, &err) &&
           file_read_at(&file, place->offset - place->before_bytes, bytes, place->before_bytes,
                        &got, &err) &&
           got == place->before_bytes &&
           crc32c((Str){(const char *)bytes, got}) == place->before_crc;
}

static bool refuse(Head *head, HeadImage *image, const char *why)
{
    log_info("the image of the series is not used, reading the log from its beginning",
             KV("dir", head->options.dir), KV("reason", why));
    head_image_close(image);
    return false;
}

bool head_image_open(Head *head, uint32_t first_segment, HeadImage *ret_image)
{
    HeadImage image = {0};
    Header header = {0};
    Error err = {0};
    Str path = image_path(head, &image.arena);

    if (!fs_exists(head->fs, path)) {
        head_image_close(&image);
        return false;
    }
    if (!fs_read_file(head->fs, path, &image.arena, IMAGE_BYTES_MAX, &image.bytes, &err))
        return refuse(head, &image, err.text);
    if (!read_header(image.bytes, &header))
        return refuse(head, &image, "not of this version");
    if (header.place.segment < first_segment || !head_image_log_fits(head, &header.place))
        return refuse(head, &image, "the log is another one now");
    if (!blocks_whole(image.bytes))
        return refuse(head, &image, "checksum does not match");
    image.segment = header.place.segment;
    image.offset = header.place.offset;
    // What the file is too short for is a number that nobody has written.
    image.series = MIN(header.series, (uint64_t)image.bytes.len);
    *ret_image = image;
    return true;
}

void head_image_close(HeadImage *image)
{
    arena_deinit(&image->arena);
    *image = (HeadImage){0};
}

static bool load_pair(HeadIndex *index, Reader *in)
{
    uint64_t name = reader_uvarint(in);
    Postings p = {0};

    if (in->failed)
        return false;
    if (!name)
        return head_index_load_pair(index, 0, NULL, &p, STR_NONE);
    Str value = reader_str(in);
    p.first = reader_uvarint(in);
    p.sealed = reader_uvarint(in);
    p.length = (uint32_t)reader_uvarint(in);
    p.count = (uint32_t)reader_uvarint(in);
    Str bytes = reader_str(in);
    p.used = (uint32_t)bytes.len;
    return !in->failed && name < UINT32_MAX &&
           head_index_load_pair(index, (uint32_t)name, &value, &p, bytes);
}

// Label sets, put into their table by a thread of their own behind the one that loads the series.
typedef struct Sets {
    HeadIndex *index;
    ReplayRing ring; // a place for each SETS_SLICE series; it is never full
    Thread thread;
    bool started;
    uint32_t *hashes; // by slot, from 1
    size_t cap;       // of these: the series that are expected
    SeriesSlot ready; // the loader's: passed on so far
    SeriesSlot done;  // the other one's: in the table so far
} Sets;

#define SETS_SLICE 8192

static void put_sets(void *arg)
{
    Sets *sets = arg;
    unsigned place;

    head_index_load_sets_begin(sets->index, sets->cap);
    while (replay_ring_empty(&sets->ring, &place)) {
        head_index_load_sets(sets->index, sets->done, &sets->hashes[sets->done - 1], SETS_SLICE);
        sets->done += SETS_SLICE;
        replay_ring_emptied(&sets->ring);
    }
}

static void begin_sets(Sets *sets, HeadIndex *index, uint64_t series)
{
    Error err = {0};

    *sets = (Sets){.index = index, .cap = (size_t)series, .ready = 1, .done = 1};
    sets->hashes = X_ARRAY(uint32_t, MAX(sets->cap, (size_t)1));
    replay_ring_init(&sets->ring, "label sets", UINT_MAX);
    sets->started = thread_start(&sets->thread, "replay-sets", put_sets, sets, &err);
}

static inline void pass_on_set(Sets *sets, SeriesSlot slot, uint32_t hash)
{
    sets->hashes[slot - 1] = hash;
    if (UNLIKELY(slot + 1 - sets->ready == SETS_SLICE)) {
        sets->ready += SETS_SLICE;
        replay_ring_filled(&sets->ring);
    }
}

static void end_sets(Sets *sets)
{
    replay_ring_end(&sets->ring);
    if (sets->started)
        thread_join(&sets->thread);
    else
        put_sets(sets);
    head_index_load_sets(sets->index, sets->done, &sets->hashes[sets->done - 1],
                         sets->index->series.slots - sets->done);
    replay_ring_deinit(&sets->ring);
    free(sets->hashes);
}

static bool load_entry(Head *head, BlockKind kind, Reader *in, uint64_t *before, Sets *sets)
{
    uint64_t ref;
    SeriesSlot slot;
    uint32_t hash;

    switch (kind) {
    case BLOCK_NAMES:
        return head_index_load_name(&head->index, reader_str(in)) && !in->failed;
    case BLOCK_PAIRS:
        return load_pair(&head->index, in);
    case BLOCK_SERIES:
        *before += reader_uvarint(in);
        if (UNLIKELY(head->index.series.slots > sets->cap)) // it has one more than it says
            return false;
        slot = head_index_load_series(&head->index, *before, reader_str(in), &hash);
        if (LIKELY(slot != 0))
            pass_on_set(sets, slot, hash);
        return slot != 0;
    case BLOCK_TWINS:
    case BLOCK_EXPIRED:
        ref = reader_uvarint(in);
        if (!ref)
            return false;
        ref_map_put(kind == BLOCK_TWINS ? &head->twins : &head->expired, ref, reader_uvarint(in));
        return !in->failed;
    default:
        return false;
    }
}

static bool load_block(Head *head, BlockKind kind, const Buf *raw, Sets *sets)
{
    uint64_t before = 0;
    Reader in = reader_from(buf_str(raw));

    while (in.at < in.end)
        if (!load_entry(head, kind, &in, &before, sets))
            return false;
    return true;
}

#define UNPACKED 4

// Blocks, unpacked by a thread of their own ahead of the one that loads them.
typedef struct Unpacker {
    Reader in;
    ReplayRing ring;
    Thread thread;
    struct {
        BlockKind kind;
        Buf raw;
    } blocks[UNPACKED];
    bool whole; // all of them could be, up to the end
} Unpacker;

static void unpack(void *arg)
{
    Unpacker *u = arg;
    Block block = {0};
    Error err = {0};
    bool ok = true;

    while (ok && (ok = next_block(&u->in, &block)) && block.kind != BLOCK_END) {
        unsigned place = replay_ring_fill(&u->ring);
        Buf *raw = &u->blocks[place].raw;
        buf_reset(raw);
        ok = zstd_decode(block.packed, block.raw_bytes, raw, &err);
        u->blocks[place].kind = block.kind;
        if (ok)
            replay_ring_filled(&u->ring);
    }
    u->whole = ok;
    replay_ring_end(&u->ring);
}

static bool load_blocks(Head *head, Str blocks, Sets *sets)
{
    Unpacker u = {.in = reader_from(blocks)};
    Error err = {0};
    unsigned place;

    replay_ring_init(&u.ring, "image blocks", UNPACKED);
    bool ok = thread_start(&u.thread, "replay-unpack", unpack, &u, &err);
    if (ok) {
        for (; replay_ring_empty(&u.ring, &place); replay_ring_emptied(&u.ring))
            ok = ok && load_block(head, u.blocks[place].kind, &u.blocks[place].raw, sets);
        thread_join(&u.thread);
    }
    for (size_t i = 0; i < UNPACKED; i++)
        buf_deinit(&u.blocks[i].raw);
    replay_ring_deinit(&u.ring);
    return ok && u.whole;
}

bool head_image_load(Head *head, const HeadImage *image)
{
    Header header = {0};
    uint64_t next_ref = head->index.next_ref;
    Sets sets;

    begin_sets(&sets, &head->index, image->series);
    bool ok = read_header(image->bytes, &header) &&
              load_blocks(head, str_skip(image->bytes, HEADER_BYTES), &sets);
    end_sets(&sets);
    ok = ok && head->index.series.count == header.series;
    if (ok) {
        head->index.next_ref = MAX(next_ref, header.next_ref);
        COUNT(head, series_created, header.series);
        COUNT(head, series, header.series);
        return true;
    }
    log_warn("the image of the series cannot be understood, reading the log from its beginning");
    head_index_deinit(&head->index);
    head_index_init(&head->index);
    head->index.next_ref = next_ref;
    ref_map_deinit(&head->twins);
    ref_map_deinit(&head->expired);
    return false;
}

void head_image_close_head(Head *head)
{
    Error err = {0};
    bool fresh = GET(head->counters.series_created) - head->image.created >= series_min(head);

    if (!head->snapshot_defines && (head->image.stale || fresh) &&
        GET(head->counters.series) >= series_min(head) && !head_image_write(head, &err))
        log_warn("cannot write the image of the series, the next start takes longer",
                 KV("err", &err));
}
