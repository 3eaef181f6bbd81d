// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_settled.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/reader.h"
#include "tsdb/head_image.h"

#define MAGIC 0x4e585354u // "NXST"
#define LAYOUT 1
#define FILE_BYTES_MAX (1024 * 1024)
#define FINGERPRINT_BYTES 4096
// Of log between places: at least so much, and for each series, as a look at all of them is to cost little beside what was logged.
#define STEP_BYTES (UINT64_C(16) << 20)
#define STEP_SERIES_BYTES 128
#define LOOK_NS (INT64_C(60) * 1000000000)
#define IDLE_MS (INT64_C(30) * 60000)
#define ENDED_MS (INT64_C(5) * 60000) // a failed scrape or two end a series, too
#define CLOSE_BATCH 256

static Str settled_path(Head *head, Arena *arena)
{
    return fs_join(arena, head->options.dir, S(HEAD_SETTLED_NAME));
}

// --- the file ---

static void add_file(Buf *out, const WalPlace *place, const HeadChunksExtent *extents, size_t count)
{
    buf_add_u32be(out, MAGIC);
    buf_add_u32be(out, LAYOUT);
    buf_add_u32be(out, place->segment);
    buf_add_u64be(out, place->offset);
    buf_add_u32be(out, place->before_bytes);
    buf_add_u32be(out, place->before_crc);
    buf_add_u32be(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_add_u32be(out, extents[i].number);
        buf_add_u64be(out, extents[i].bytes);
        buf_add_u32be(out, extents[i].tail_crc);
    }
    buf_add_u32be(out, crc32c(buf_str(out)));
}

bool head_settled_parse(Str bytes, Arena *arena, HeadSettledFile *ret_file)
{
    static const size_t extent_bytes = 16, crc_bytes = 4;
    Reader in = reader_from(bytes);
    HeadSettledFile file = {.extents = NULL};

    bool ours = reader_u32be(&in) == MAGIC && reader_u32be(&in) == LAYOUT;
    file.place.segment = reader_u32be(&in);
    file.place.offset = reader_u64be(&in);
    file.place.before_bytes = reader_u32be(&in);
    file.place.before_crc = reader_u32be(&in);
    file.extent_count = reader_u32be(&in);
    if (in.failed || !ours || reader_left(&in) != file.extent_count * extent_bytes + crc_bytes ||
        file.place.before_bytes > FINGERPRINT_BYTES)
        return false;
    file.extents = ARENA_ARRAY(arena, HeadChunksExtent, file.extent_count);
    for (size_t i = 0; i < file.extent_count; i++) {
        file.extents[i].number = reader_u32be(&in);
        file.extents[i].bytes = reader_u64be(&in);
        file.extents[i].tail_crc = reader_u32be(&in);
    }
    *ret_file = file;
    return reader_u32be(&in) == crc32c(str_sub(bytes, 0, bytes.len - crc_bytes));
}

static bool write_place(Head *head, const WalPlace *place, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    HeadChunksExtent *extents;
    size_t count;
    Buf out = {0};

    if (!head_chunks_settle(head->chunks, &scratch, &extents, &count, err))
        return false;
    add_file(&out, place, extents, count);
    bool ok = fs_write_atomic(head->fs, settled_path(head, &scratch), buf_str(&out), err);
    buf_deinit(&out);
    return ok;
}

static const char *misfit(Head *head, uint32_t first_segment, Arena *arena, WalPlace *ret_place)
{
    HeadSettledFile file;
    Error err = {0};
    Str bytes;

    if (!fs_read_file(head->fs, settled_path(head, arena), arena, FILE_BYTES_MAX, &bytes, &err))
        return str_to_c(arena, str_from_c(err.text));
    if (!head_settled_parse(bytes, arena, &file))
        return "not of this version, or damaged";
    if (file.place.segment < first_segment || !head_image_log_fits(head, &file.place))
        return "the log is another one now";
    if (!head_chunks_hold(head->chunks, file.extents, file.extent_count))
        return "full chunks are others now";
    *ret_place = file.place;
    return NULL;
}

bool head_settled_open(Head *head, uint32_t first_segment, WalPlace *ret_place)
{
    CLEANUP(arena_deinit) Arena scratch = {.next = NULL};
    HeadSettling *s = &head->settling;

    if (!fs_exists(head->fs, settled_path(head, &scratch)))
        return false;
    const char *why = misfit(head, first_segment, &scratch, ret_place);
    if (why) {
        log_info("samples of full chunks are read from the log, too",
                 KV("file", settled_path(head, &scratch)), KV("reason", why));
        return false;
    }
    s->written = *ret_place;
    s->has_written = true;
    return true;
}

// --- which chunks are open ---

typedef struct Look {
    Head *head;
    int64_t now_ms, max_t_ms; // clock, and newest sample
    int64_t floor_t_ms;       // an open chunk with something up to here ends the look,
    bool stuck;               // and did,
    uint64_t stuck_ref;       // at this series
    int64_t oldest_t_ms;      // in open chunks
    uint64_t *idle;           // series whose chunk is to be ended
    size_t idle_count, idle_cap;
} Look;

static bool is_idle(const Look *look, const Series *series, const SeriesExtra *extra)
{
    // By both: samples may be of old times, or one of them far ahead of the others.
    int64_t newest_ms = MIN(look->now_ms, look->max_t_ms);

    return series->xor_state.t_ms <= time_minus(newest_ms, IDLE_MS) ||
           (series->xor_state.t_ms <= time_minus(newest_ms, ENDED_MS) &&
            head_stale_is(series, extra));
}

static bool look_at(void *arg, uint64_t ref, Series *series)
{
    Look *look = arg;
    const SeriesExtra *extra = head_extra(look->head, ref, series, false);
    int64_t first_ms = head_first_open_time(look->head, series, extra);

    if (first_ms > look->floor_t_ms) {
        look->oldest_t_ms = MIN(look->oldest_t_ms, first_ms);
        return true;
    }
    look->stuck = !is_idle(look, series, extra);
    look->stuck_ref = look->stuck ? ref : 0;
    if (look->stuck)
        return false;
    if (look->idle_count == look->idle_cap) {
        look->idle_cap = look->idle_cap ? look->idle_cap * 2 : 1024;
        look->idle = x_realloc(look->idle, look->idle_cap * sizeof *look->idle);
    }
    look->idle[look->idle_count++] = ref;
    return true;
}

// At the series that has ended the look before first: mostly it does so again.
static void look_at_all(Look *look, uint64_t stuck_ref)
{
    Head *head = look->head;
    SeriesSlot slot = series_slot(&head->index.series, stuck_ref);
    unsigned held = SERIES_STRIPES;

    if (slot) {
        Series *series = series_at(&head->index.series, slot);
        head_hold_stripe(head, &held, stuck_ref);
        if (series_ref(series) == stuck_ref)
            (void)look_at(look, stuck_ref, series);
        head_give_stripe(head, held);
    }
    if (!look->stuck)
        head_each_series(head, look_at, look);
}

// Its stripe is held, and the caller leads.
static void close_one(Look *look, uint64_t ref)
{
    Head *head = look->head;
    SeriesSlot slot = series_slot(&head->index.series, ref);
    Series *series = series_at(&head->index.series, slot);

    if (!slot || series_ref(series) != ref)
        return;
    const SeriesExtra *extra = head_extra(head, ref, series, false);
    if (is_idle(look, series, extra))
        (void)head_append_finish_chunk(head, ref, series); // a disk that refuses is told of there
    look->oldest_t_ms = MIN(look->oldest_t_ms, head_first_open_time(head, series, extra));
}

// Some at a time, as commits wait meanwhile.
static void close_idle(Look *look)
{
    for (size_t i = 0; i < look->idle_count;) {
        size_t end = MIN(i + CLOSE_BATCH, look->idle_count);
        unsigned held = SERIES_STRIPES;
        head_lead(look->head);
        for (; i < end; i++) {
            head_hold_stripe(look->head, &held, look->idle[i]);
            close_one(look, look->idle[i]);
        }
        head_give_stripe(look->head, held);
        head_follow(look->head);
    }
}

// --- places ---

static uint64_t step_bytes(const Head *head)
{
    uint64_t least = head->options.settled_step_bytes
                         ? head->options.settled_step_bytes
                         : STEP_BYTES + GET(head->counters.series) * STEP_SERIES_BYTES;

    return MAX(head->settling.step_bytes, least);
}

// There are many when chunks are long: every other one will do.
static void thin_out(HeadSettling *s)
{
    size_t kept = 0;

    for (size_t i = 1; i < s->count; i += 2)
        s->places[kept++] = s->places[i];
    s->count = kept;
}

static bool note_place(Head *head, Error *err)
{
    HeadSettling *s = &head->settling;
    WalCounters log;
    WalPlace place = {0};
    bool ok = true;

    head_lead(head);
    wal_counters(head->wal, &log);
    bool due = log.bytes - s->log_bytes >= step_bytes(head);
    if (due)
        ok = wal_place(head->wal, FINGERPRINT_BYTES, &place, err);
    int64_t max_t_ms = GET(head->max_t);
    head_follow(head);
    if (due && !ok)
        s->log_bytes = log.bytes; // not at once again
    if (!place.before_bytes)      // at the beginning of a segment: later
        return ok;
    if (s->count == HEAD_SETTLING_PLACES) {
        thin_out(s);
        s->step_bytes = 2 * step_bytes(head);
    }
    s->places[s->count++] = (HeadSettlingPlace){place, max_t_ms};
    s->log_bytes = log.bytes;
    return true;
}

// Writes down the newest place that is settled, if that is one of those that were noted since.
static bool settle(Head *head, Error *err)
{
    HeadSettling *s = &head->settling;
    Look look = {.head = head,
                 .now_ms = clock_now_ms(head->options.clock),
                 .max_t_ms = GET(head->max_t),
                 .floor_t_ms = s->places[0].max_t_ms,
                 .oldest_t_ms = INT64_MAX};
    size_t settled = 0;

    if (!s->count)
        return true;
    look_at_all(&look, s->stuck_ref);
    s->stuck_ref = look.stuck_ref;
    if (!look.stuck)
        close_idle(&look);
    free(look.idle);
    while (!look.stuck && settled < s->count && s->places[settled].max_t_ms < look.oldest_t_ms)
        settled++;
    if (!settled)
        return true;
    if (!write_place(head, &s->places[settled - 1].place, err))
        return false;
    s->written = s->places[settled - 1].place;
    s->has_written = true;
    s->stale = false;
    s->step_bytes = 0;
    s->count -= settled;
    memmove(s->places, s->places + settled, s->count * sizeof *s->places);
    log_debug("samples of the log are settled", KV("segment", s->written.segment),
              KV("offset", s->written.offset));
    return true;
}

// Chunk files that it names are gone.
static bool renew(Head *head, Error *err)
{
    HeadSettling *s = &head->settling;

    if (!s->stale || !s->has_written)
        return true;
    s->stale = !write_place(head, &s->written, err);
    return !s->stale;
}

static void refresh(Head *head, bool at_once)
{
    HeadSettling *s = &head->settling;
    int64_t now_ns = clock_mono_ns(head->options.clock);
    Error err = {0};

    if (head->options.settled_step_bytes == UINT64_MAX)
        return;
    lock_take(&head->truncate_lock);
    bool ok = note_place(head, &err);
    if (ok && (at_once || now_ns >= s->next_look_ns)) {
        s->next_look_ns = now_ns + LOOK_NS;
        ok = settle(head, &err) && renew(head, &err);
    }
    lock_give(&head->truncate_lock);
    if (!ok)
        log_warn("cannot write down which samples are in full chunks, the next start takes longer",
                 KV("err", &err));
}

void head_settled_refresh(Head *head)
{
    refresh(head, head->options.settled_step_bytes == 1);
}

void head_settled_close_head(Head *head)
{
    refresh(head, true);
}
