// SPDX-License-Identifier: Apache-2.0
#include "tsdb/agent_store.h"

#include <stdlib.h>

#include "base/lock.h"
#include "base/number.h"
#include "base/thread.h"
#include "base/varint.h"
#include "tsdb/dir_lock.h"
#include "tsdb/ref_map.h"
#include "tsdb/wal.h"
#include "tsdb/wal_record.h"
#include "tsdb/wal_tail.h"

enum {
    RANK_MAINTENANCE = 250,
    RANK_STORE = 300,
    CHECKPOINT_BYTES = 1000000, // of one record
    BATCH = 64,                 // samples looked up ahead
};

typedef struct AgentSeries {
    uint64_t ref;
    uint64_t hash;
    int64_t last_t_ms; // INT64_MIN: no sample yet
    struct AgentSeries *next_same_hash;
    uint32_t label_count;
    uint8_t text[]; // of each label: length of the name, name, length of the value, value
} AgentSeries;

typedef struct AgentCounters {
    uint64_t floats, histograms, exemplars, out_of_order, truncations, truncations_failed;
    double truncate_seconds;
} AgentCounters;

struct AgentStore {
    AgentOptions options;
    Arena arena;
    Str wal_dir;
    DirLock dir_lock;
    Sink sink;
    WalTail *tail;
    double replay_seconds;

    Lock lock; // guards all below
    Wal *wal GUARDED_BY(lock);
    RefMap by_ref GUARDED_BY(lock);  // AgentSeries
    RefMap by_hash GUARDED_BY(lock); // the first AgentSeries with this hash
    uint64_t newest_ref GUARDED_BY(lock);
    Buf unlogged GUARDED_BY(
        lock); // a record of series that the log does not know yet: the next commit writes it first
    WalRecordWriter unlogged_writer GUARDED_BY(lock);
    AgentCounters counters GUARDED_BY(lock);

    Lock maintenance_lock;
    Condition wake;
    bool stop GUARDED_BY(maintenance_lock);
    Thread maintenance;
};

// Series -----------------------------------------------------------------------------------------------------------------------------

// Hashes are keys of a map whose keys are not 0.
static uint64_t hash_of(Labels labels)
{
    uint64_t hash = labels_hash(labels);
    return hash ? hash : 1;
}

static bool is_next(const uint8_t **at, Str text)
{
    size_t len = (size_t)get_uvarint(at);
    bool same = len == text.len && (len == 0 || memcmp(*at, text.ptr, len) == 0);
    *at += len;
    return same;
}

static bool has_labels(const AgentSeries *series, Labels labels)
{
    const uint8_t *at = series->text;
    bool same = series->label_count == labels.count;
    for (size_t i = 0; same && i < labels.count; i++)
        same = is_next(&at, labels.pairs[i].name) && is_next(&at, labels.pairs[i].value);
    return same;
}

// Views of the series' own text; the pairs lie in the arena.
static Labels labels_of(const AgentSeries *series, Arena *arena)
{
    const uint8_t *at = series->text;
    Label *pairs = ARENA_ARRAY(arena, Label, series->label_count);
    for (size_t i = 0; i < series->label_count; i++) {
        Str *places[] = {&pairs[i].name, &pairs[i].value};
        for (size_t k = 0; k < 2; k++) {
            size_t len = (size_t)get_uvarint(&at);
            *places[k] = (Str){(const char *)at, len};
            at += len;
        }
    }
    return (Labels){pairs, series->label_count};
}

static AgentSeries *find_series(AgentStore *store, Labels labels, uint64_t hash)
{
    AgentSeries *series = ref_map_pointer(&store->by_hash, hash);
    while (series && !has_labels(series, labels))
        series = series->next_same_hash;
    return series;
}

static AgentSeries *series_new(uint64_t ref, Labels labels, uint64_t hash)
{
    CLEANUP(buf_deinit) Buf text = {0};
    for (size_t i = 0; i < labels.count; i++) {
        buf_add_uvarint(&text, labels.pairs[i].name.len);
        buf_add_str(&text, labels.pairs[i].name);
        buf_add_uvarint(&text, labels.pairs[i].value.len);
        buf_add_str(&text, labels.pairs[i].value);
    }
    AgentSeries *series = x_malloc(sizeof *series + text.len);
    *series = (AgentSeries){
        .ref = ref, .hash = hash, .last_t_ms = INT64_MIN, .label_count = (uint32_t)labels.count};
    if (text.len)
        memcpy(series->text, text.ptr, text.len);
    return series;
}

static AgentSeries *add_series(AgentStore *store, uint64_t ref, Labels labels, uint64_t hash)
{
    AgentSeries *series = series_new(ref, labels, hash);
    series->next_same_hash = ref_map_pointer(&store->by_hash, hash);
    ref_map_put(&store->by_hash, hash, (uint64_t)(uintptr_t)series);
    ref_map_put(&store->by_ref, ref, (uint64_t)(uintptr_t)series);
    store->newest_ref = MAX(store->newest_ref, ref);
    return series;
}

static void remove_series(AgentStore *store, AgentSeries *series)
{
    AgentSeries *first = ref_map_pointer(&store->by_hash, series->hash);
    if (first == series) {
        if (series->next_same_hash)
            ref_map_put(&store->by_hash, series->hash, (uint64_t)(uintptr_t)series->next_same_hash);
        else
            ref_map_remove(&store->by_hash, series->hash);
    } else {
        while (first->next_same_hash != series)
            first = first->next_same_hash;
        first->next_same_hash = series->next_same_hash;
    }
    ref_map_remove(&store->by_ref, series->ref);
    free(series);
}

// The appender -----------------------------------------------------------------------------------------------------------------------

typedef struct AgentAppender {
    Appender appender;
    AgentStore *store;
    // Records under way.
    Buf floats, histograms, exemplars, metadata, packed;
    WalRecordWriter float_writer, exemplar_writer, metadata_writer;
    WalRecord *records;
    size_t *starts; // of the records in `packed`
    size_t record_count, record_cap;
    uint64_t float_count, histogram_count, exemplar_count;
} AgentAppender;

static AgentAppender *appender_of(Appender *base)
{
    return CONTAINER_OF(base, AgentAppender, appender);
}

// Packs a record that is whole.
static void pack(AgentAppender *app, Buf *raw)
{
    if (raw->len == 0)
        return;
    if (app->record_count == app->record_cap) {
        app->record_cap = MAX(app->record_cap * 2, (size_t)8);
        app->records = x_realloc(app->records, app->record_cap * sizeof *app->records);
        app->starts = x_realloc(app->starts, app->record_cap * sizeof *app->starts);
    }
    size_t start = app->packed.len;
    WalFlags flags = wal_compress((TsdbCompression)app->store->options.wal_compression,
                                  buf_str(raw), &app->packed);
    app->starts[app->record_count] = start;
    app->records[app->record_count++] =
        (WalRecord){.bytes = {NULL, app->packed.len - start}, .flags = flags};
    buf_reset(raw);
}

static SeriesRef find_or_create(Appender *base, Labels labels, bool *ret_created, Error *err)
{
    AgentAppender *app = appender_of(base);
    AgentStore *store = app->store;
    uint64_t hash = hash_of(labels);
    (void)err;
    lock_take(&store->lock);
    AgentSeries *series = find_series(store, labels, hash);
    *ret_created = !series;
    if (!series) {
        series = add_series(store, store->newest_ref + 1, labels, hash);
        if (store->unlogged.len == 0)
            store->unlogged_writer = wal_record_begin(&store->unlogged, WAL_SERIES);
        wal_record_series(&store->unlogged_writer, series->ref, labels);
    }
    uint64_t ref = series->ref;
    lock_give(&store->lock);
    return ref;
}

static void write_float(AgentAppender *app, const SinkSample *sample)
{
    WalSample one = {sample->ref, sample->t_ms, sample->value};
    if (app->floats.len == 0)
        app->float_writer = wal_record_begin(&app->floats, WAL_SAMPLES);
    wal_record_samples(&app->float_writer, &one, 1);
    app->float_count++;
}

// One kind of histogram for each record: mostly they come alone.
static void write_histogram(AgentAppender *app, const SinkSample *sample)
{
    WalRecordWriter writer =
        wal_record_begin(&app->histograms, wal_record_histogram_type(sample->histogram, false));
    wal_record_histogram(&writer, sample->ref, sample->t_ms, 0, sample->histogram);
    pack(app, &app->histograms);
    app->histogram_count++;
}

// The series of the samples, on their way into the cache: both steps to one wait for memory.
static void look_up(const AgentStore *store, const SinkSample *samples, size_t count,
                    AgentSeries **ret_series) REQUIRES(store->lock)
{
    const RefMap *map = &store->by_ref;
    for (size_t i = 0; i < count && map->count; i++)
        __builtin_prefetch(&map->entries[ref_map_home(map, samples[i].ref)]);
    for (size_t i = 0; i < count; i++) {
        ret_series[i] = ref_map_pointer(map, samples[i].ref);
        __builtin_prefetch(ret_series[i], 1);
    }
}

static size_t append_batch(AgentAppender *app, SinkSample *samples, size_t count)
    REQUIRES(app->store->lock)
{
    AgentStore *store = app->store;
    AgentSeries *found[BATCH];
    size_t taken = 0;
    look_up(app->store, samples, count, found);
    for (size_t i = 0; i < count; i++) {
        SinkSample *sample = &samples[i];
        AgentSeries *series = found[i];
        sample->status = !series                             ? APPEND_GONE
                         : sample->t_ms <= series->last_t_ms ? APPEND_OUT_OF_ORDER
                                                             : APPEND_OK;
        if (sample->status == APPEND_OUT_OF_ORDER)
            store->counters.out_of_order++;
        if (sample->status != APPEND_OK)
            continue;
        series->last_t_ms = sample->t_ms;
        if (sample->histogram)
            write_histogram(app, sample);
        else
            write_float(app, sample);
        taken++;
    }
    return taken;
}

static size_t append(Appender *base, SinkSample *samples, size_t count)
{
    AgentAppender *app = appender_of(base);
    size_t taken = 0;
    lock_take(&app->store->lock);
    for (size_t i = 0; i < count; i += BATCH)
        taken += append_batch(app, samples + i, MIN(count - i, (size_t)BATCH));
    lock_give(&app->store->lock);
    return taken;
}

static void metadata(Appender *base, SeriesRef ref, Metadata metadata)
{
    AgentAppender *app = appender_of(base);
    if (app->metadata.len == 0)
        app->metadata_writer = wal_record_begin(&app->metadata, WAL_METADATA);
    wal_record_metadata(&app->metadata_writer, ref, metadata);
}

static AppendStatus exemplar(Appender *base, SeriesRef ref, const Exemplar *exemplar)
{
    AgentAppender *app = appender_of(base);
    if (app->exemplars.len == 0)
        app->exemplar_writer = wal_record_begin(&app->exemplars, WAL_EXEMPLARS);
    wal_record_exemplar(&app->exemplar_writer, ref, exemplar);
    app->exemplar_count++;
    return APPEND_OK;
}

static void appender_free(AgentAppender *app)
{
    Buf *bufs[] = {&app->floats, &app->histograms, &app->exemplars, &app->metadata, &app->packed};
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_deinit(bufs[i]);
    free(app->records);
    free(app->starts);
    free(app);
}

static bool write_series(AgentStore *store, Error *err)
{
    Buf packed = {0};
    if (store->unlogged.len == 0)
        return true;
    WalRecord record = {.flags = wal_compress((TsdbCompression)store->options.wal_compression,
                                              buf_str(&store->unlogged), &packed)};
    record.bytes = buf_str(&packed);
    bool ok = wal_write(store->wal, &record, 1, err);
    buf_deinit(&packed);
    if (ok)
        buf_reset(&store->unlogged);
    return ok;
}

// Series stand in the log before the samples that speak of them, whoever has made them.
static bool commit(Appender *base, Error *err)
{
    AgentAppender *app = appender_of(base);
    AgentStore *store = app->store;
    pack(app, &app->metadata);
    pack(app, &app->floats);
    pack(app, &app->exemplars);
    for (size_t i = 0; i < app->record_count; i++)
        app->records[i].bytes.ptr = app->packed.ptr + app->starts[i];
    lock_take(&store->lock);
    bool ok =
        write_series(store, err) &&
        (app->record_count == 0 || wal_write(store->wal, app->records, app->record_count, err));
    if (ok) {
        store->counters.floats += app->float_count;
        store->counters.histograms += app->histogram_count;
        store->counters.exemplars += app->exemplar_count;
    }
    lock_give(&store->lock);
    appender_free(app);
    return ok;
}

// Series stay, and their newest times: what is lost by that is at most another sample of the same time.
static void rollback(Appender *base)
{
    appender_free(appender_of(base));
}

static Appender *begin(Sink *sink)
{
    AgentAppender *app = X_NEW(AgentAppender);
    app->store = CONTAINER_OF(sink, AgentStore, sink);
    app->appender = (Appender){find_or_create, append, metadata, exemplar, commit, rollback};
    return &app->appender;
}

// Truncation -------------------------------------------------------------------------------------------------------------------------

// All series that live, as one checkpoint that stands for the segments up to `last`.
static bool write_checkpoint(AgentStore *store, uint32_t last, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    Str path = arena_printf(&scratch, STR_FMT "/checkpoint.%08u", STR_ARG(store->wal_dir), last);
    Str temporary = arena_printf(&scratch, STR_FMT ".tmp", STR_ARG(path));
    CLEANUP(arena_deinit) Arena pairs = {0};
    Buf raw = {0};
    Buf packed = {0};
    Wal *wal = NULL;
    bool ok = fs_remove_tree(store->options.fs, temporary, err) &&
              wal_open(store->options.fs, temporary, store->options.wal_segment_bytes, &wal, err);
    WalRecordWriter writer = {0};
    for (size_t i = 0; ok && i <= store->by_ref.size; i++) {
        bool end = i == store->by_ref.size;
        if (!end && store->by_ref.entries[i].ref) {
            const AgentSeries *series =
                (const AgentSeries *)(uintptr_t)store->by_ref.entries[i].value;
            if (raw.len == 0)
                writer = wal_record_begin(&raw, WAL_SERIES);
            wal_record_series(&writer, series->ref, labels_of(series, &pairs));
            arena_reset(&pairs);
        }
        if (raw.len == 0 || (!end && raw.len < CHECKPOINT_BYTES))
            continue;
        buf_reset(&packed);
        WalRecord record = {.flags = wal_compress((TsdbCompression)store->options.wal_compression,
                                                  buf_str(&raw), &packed)};
        record.bytes = buf_str(&packed);
        ok = wal_write(wal, &record, 1, err);
        buf_reset(&raw);
    }
    ok = ok && wal_sync(wal, err);
    wal_close(wal);
    buf_deinit(&raw);
    buf_deinit(&packed);
    return ok && fs_remove_tree(store->options.fs, path, err) &&
           fs_rename(store->options.fs, temporary, path, err) &&
           fs_sync_dir(store->options.fs, store->wal_dir, err);
}

// The last segment that may go; false: none.
static bool choose_last(AgentStore *store, uint32_t current, uint32_t *ret_last, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    FsList list;
    int64_t now_ms = clock_now_ms(store->options.clock);
    uint32_t needed = store->options.needed_segment
                          ? store->options.needed_segment(store->options.arg)
                          : UINT32_MAX;
    bool found = false;
    *err = (Error){0};
    if (!fs_list(store->options.fs, store->wal_dir, &scratch, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number;
        const FsEntry *entry = &list.entries[i];
        if (entry->is_dir || !number_parse_u64(entry->name, &number) || number >= current)
            continue;
        int64_t age_ms = now_ms - entry->modified_ms;
        bool goes = age_ms > store->options.keep_ms_max ||
                    (number < needed && age_ms >= store->options.keep_ms_min);
        if (!goes)
            break; // the rest is newer
        *ret_last = (uint32_t)number;
        found = true;
    }
    return found;
}

static void forget_old_series(AgentStore *store)
{
    int64_t oldest_ms = clock_now_ms(store->options.clock) - store->options.keep_ms_min;
    uint64_t *gone = X_ARRAY(uint64_t, store->by_ref.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < store->by_ref.size; i++) {
        const AgentSeries *series = (const AgentSeries *)(uintptr_t)store->by_ref.entries[i].value;
        // One without a sample was made by an appender that is still open.
        if (store->by_ref.entries[i].ref && series->last_t_ms != INT64_MIN &&
            series->last_t_ms < oldest_ms)
            gone[count++] = series->ref;
    }
    for (size_t i = 0; i < count; i++)
        remove_series(store, ref_map_pointer(&store->by_ref, gone[i]));
    free(gone);
}

static bool remove_old_checkpoints(AgentStore *store, uint32_t newest, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    FsList list;
    static const Str prefix = STR("checkpoint.");
    if (!fs_list(store->options.fs, store->wal_dir, &scratch, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number;
        if (!str_starts_with(list.entries[i].name, prefix) ||
            !number_parse_u64(str_skip(list.entries[i].name, prefix.len), &number) ||
            number >= newest)
            continue;
        if (!fs_remove_tree(store->options.fs,
                            fs_join(&scratch, store->wal_dir, list.entries[i].name), err))
            return false;
    }
    return true;
}

static bool truncate_locked(AgentStore *store, Error *err)
{
    uint32_t current;
    uint32_t last;
    if (!wal_cut(store->wal, &current, err))
        return false;
    if (!choose_last(store, current, &last, err))
        return err->code == ERR_NONE;
    forget_old_series(store);
    return write_checkpoint(store, last, err) && wal_truncate(store->wal, last + 1, err) &&
           remove_old_checkpoints(store, last, err);
}

bool agent_store_truncate(AgentStore *store, Error *err)
{
    int64_t start_ns = clock_mono_ns(&clock_system);
    *err = (Error){0};
    lock_take(&store->lock);
    bool ok = truncate_locked(store, err);
    store->counters.truncations++;
    store->counters.truncations_failed += !ok;
    store->counters.truncate_seconds += (double)(clock_mono_ns(&clock_system) - start_ns) / 1e9;
    lock_give(&store->lock);
    return ok || error_context(err, "truncating the agent's log");
}

static void run_maintenance(void *arg)
{
    AgentStore *store = arg;
    Error ignored; // counted, tried again
    lock_take(&store->maintenance_lock);
    while (!store->stop) {
        bool woken = condition_wait_ms(&store->wake, &store->maintenance_lock,
                                       store->options.truncate_every_ms);
        if (store->stop || woken)
            continue;
        lock_give(&store->maintenance_lock);
        (void)!agent_store_truncate(store, &ignored);
        lock_take(&store->maintenance_lock);
    }
    lock_give(&store->maintenance_lock);
}

// Replay -----------------------------------------------------------------------------------------------------------------------------

static void replay_record(AgentStore *store, Str record, Arena *arena)
{
    WalEntry entry;
    arena_reset(arena);
    WalRecordReader reader = wal_record_read(record, arena);
    while (wal_record_next(&reader, &entry)) {
        if (reader.type == WAL_SERIES) {
            uint64_t hash = hash_of(entry.labels);
            store->newest_ref = MAX(store->newest_ref, entry.ref);
            if (!ref_map_get(&store->by_ref, entry.ref) && !find_series(store, entry.labels, hash))
                add_series(store, entry.ref, entry.labels, hash);
            continue;
        }
        if (reader.type == WAL_METADATA || reader.type == WAL_EXEMPLARS ||
            reader.type == WAL_TOMBSTONES || reader.type == WAL_MMAP_MARKERS)
            return;
        AgentSeries *series = ref_map_pointer(&store->by_ref, entry.ref);
        if (series)
            series->last_t_ms = MAX(series->last_t_ms, entry.t_ms);
    }
}

static bool replay_folder(AgentStore *store, Str dir, uint32_t from, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    CLEANUP(arena_deinit) Arena arena = {0};
    WalSegments segments;
    if (!wal_list(store->options.fs, dir, &scratch, &segments, err))
        return false;
    for (size_t i = 0; i < segments.count; i++) {
        FsMap map;
        WalReader reader;
        Str record;
        if (segments.items[i].number < from)
            continue;
        if (!fs_map(store->options.fs, wal_segment_path(&scratch, dir, segments.items[i].number),
                    &map, err))
            return false;
        wal_reader_init(&reader, map.bytes.ptr ? map.bytes : S(""));
        while (wal_reader_next(&reader, &record))
            replay_record(store, record, &arena);
        wal_reader_deinit(&reader);
        fs_unmap(&map);
    }
    return true;
}

static bool replay(AgentStore *store, Error *err)
{
    CLEANUP(arena_deinit) Arena scratch = {0};
    int64_t start_ns = clock_mono_ns(&clock_system);
    Str path;
    uint32_t number = 0;
    uint32_t from = 0;
    if (wal_find_checkpoint(store->options.fs, store->wal_dir, &scratch, &path, &number, err)) {
        if (!replay_folder(store, path, 0, err))
            return false;
        from = number + 1;
    } else if (err->code != ERR_NONE) {
        return false;
    }
    bool ok = replay_folder(store, store->wal_dir, from, err);
    store->replay_seconds = (double)(clock_mono_ns(&clock_system) - start_ns) / 1e9;
    return ok;
}

// Life -------------------------------------------------------------------------------------------------------------------------------

static void add_counter(Collection *collection, const char *name, const char *help, double value)
{
    collection_family(collection, name, FAMILY_COUNTER, help);
    collection_add(collection, NULL, 0, value);
}

static void collect(void *arg, Collection *collection)
{
    AgentStore *store = arg;
    WalCounters wal;
    lock_take(&store->lock);
    AgentCounters counters = store->counters;
    size_t series = store->by_ref.count;
    wal_counters(store->wal, &wal);
    lock_give(&store->lock);
    static const Str type_float[] = {STR("type"), STR("float")};
    static const Str type_histogram[] = {STR("type"), STR("histogram")};
    collection_family(collection, "prometheus_agent_active_series", FAMILY_GAUGE,
                      "Number of active series being tracked by the WAL storage.");
    collection_add(collection, NULL, 0, (double)series);
    collection_family(collection, "prometheus_agent_samples_appended_total", FAMILY_COUNTER,
                      "Samples appended to the storage.");
    collection_add(collection, type_float, 1, (double)counters.floats);
    collection_add(collection, type_histogram, 1, (double)counters.histograms);
    add_counter(collection, "prometheus_agent_exemplars_appended_total",
                "Exemplars appended to the storage.", (double)counters.exemplars);
    add_counter(collection, "prometheus_agent_out_of_order_samples_total",
                "Out of order samples that were refused.", (double)counters.out_of_order);
    add_counter(collection, "prometheus_agent_checkpoint_creations_total",
                "Checkpoints that were tried.", (double)counters.truncations);
    add_counter(collection, "prometheus_agent_checkpoint_creations_failed_total",
                "Checkpoints that failed.", (double)counters.truncations_failed);
    collection_family(collection, "prometheus_agent_data_replay_duration_seconds", FAMILY_GAUGE,
                      "Time taken to replay the log.");
    collection_add(collection, NULL, 0, store->replay_seconds);
    collection_family(collection, "prometheus_tsdb_wal_segment_current", FAMILY_GAUGE,
                      "Segment of the log that is written.");
    collection_add(collection, NULL, 0, (double)wal.segment);
}

void agent_options_default(AgentOptions *ret_options)
{
    *ret_options = (AgentOptions){
        .fs = &fs_system,
        .clock = &clock_system,
        .wal_segment_bytes = 128u << 20,
        .wal_compression = TSDB_COMPRESSION_SNAPPY,
        .truncate_every_ms = INT64_C(2) * 3600 * 1000,
        .keep_ms_min = INT64_C(5) * 60 * 1000,
        .keep_ms_max = INT64_C(4) * 3600 * 1000,
    };
}

static bool open_store(AgentStore *store, Error *err)
{
    const AgentOptions *o = &store->options;
    return fs_make_dirs(o->fs, o->dir, err) &&
           (o->no_lockfile || dir_lock_take(o->dir, &store->dir_lock, err)) && replay(store, err) &&
           wal_open(o->fs, store->wal_dir, o->wal_segment_bytes, &store->wal, err) &&
           thread_start(&store->maintenance, "agent", run_maintenance, store, err);
}

bool agent_store_open(const AgentOptions *options, AgentStore **ret_store, Error *err)
{
    AgentStore *store = X_NEW(AgentStore);
    store->options = *options;
    store->options.dir = arena_str(&store->arena, options->dir);
    store->wal_dir = fs_join(&store->arena, options->dir, S("wal"));
    store->dir_lock = (DirLock)DIR_LOCK_NONE;
    store->sink.begin = begin;
    store->tail = wal_tail_new(options->fs, store->options.dir);
    lock_init(&store->lock, "agent", RANK_STORE);
    lock_init(&store->maintenance_lock, "agent.maintenance", RANK_MAINTENANCE);
    condition_init(&store->wake);
    if (!open_store(store, err)) {
        agent_store_close(store);
        return error_context(err, "agent storage");
    }
    if (options->registry)
        registry_collector(options->registry, collect, store);
    *ret_store = store;
    return true;
}

void agent_store_close(AgentStore *store)
{
    if (!store)
        return;
    lock_take(&store->maintenance_lock);
    store->stop = true;
    condition_signal(&store->wake);
    lock_give(&store->maintenance_lock);
    thread_join(&store->maintenance);
    for (size_t i = 0; i < store->by_ref.size; i++)
        if (store->by_ref.entries[i].ref)
            free((void *)(uintptr_t)store->by_ref.entries[i].value);
    buf_deinit(&store->unlogged);
    ref_map_deinit(&store->by_ref);
    ref_map_deinit(&store->by_hash);
    wal_close(store->wal);
    wal_tail_free(store->tail);
    dir_lock_give(&store->dir_lock);
    lock_deinit(&store->lock);
    lock_deinit(&store->maintenance_lock);
    condition_deinit(&store->wake);
    arena_deinit(&store->arena);
    free(store);
}

Sink *agent_store_sink(AgentStore *store)
{
    return &store->sink;
}

Feed *agent_store_feed(AgentStore *store)
{
    return wal_tail_feed(store->tail);
}
