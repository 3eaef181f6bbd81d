// SPDX-License-Identifier: Apache-2.0
// The queue of commits. Whoever leads it logs what waits in one write, then puts it into the series.
#include <stdlib.h>

#include "tsdb/head_internal.h"

static void keep_late(Head *head, const WalSample *sample, const Histogram *h, int64_t start_ms)
{
    OutOfOrderSample late = {.t_ms = sample->t_ms, .value = sample->value, .start_ms = start_ms};
    late.histogram = h ? head_histogram_copy(h) : NULL;
    head_out_of_order_gather(head, sample->ref, &late);
}

// What the commit before this one in the queue may have changed since the sample was judged.
static bool still_in_order(Head *head, const Series *series, const WalSample *sample,
                           const Histogram *h, bool *ret_late)
{
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;
    bool above = !has || sample->t_ms > series->xor_state.t_ms;

    *ret_late = false;
    if (above && sample->t_ms >= GET(head->min_valid_t))
        return true;
    if (has && sample->t_ms == series->xor_state.t_ms && !h) {
        COUNT(head, duplicates, 1);
        return false;
    }
    *ret_late = GET(head->window_ms) > 0;
    if (!*ret_late)
        COUNT(head, out_of_order_refused, 1);
    return false;
}

typedef struct Applied {
    uint64_t floats, histograms, refused, gone;
    int64_t min_t, max_t;
} Applied;

static void apply_one(Head *head, HeadAppender *app, size_t i, uint32_t newest_reader,
                      uint32_t epoch, Applied *done)
{
    const WalSample *sample = &app->samples[i];
    PendingExtra place = app->places[i];
    Series *series = series_at(&head->index.series, place.slot);
    uint32_t number = place.histogram & ~PENDING_LATE;
    const Histogram *h = number ? app->histograms[number - 1] : NULL;
    bool late = place.histogram & PENDING_LATE;
    int64_t start_ms = app->has_starts ? app->starts[i] : 0;

    if (UNLIKELY(series_ref(series) != sample->ref)) {
        done->gone++;
        return;
    }
    if (UNLIKELY(late || !still_in_order(head, series, sample, h, &late))) {
        if (late)
            keep_late(head, sample, h, start_ms);
        return;
    }
    if ((int32_t)(series->epoch - newest_reader) <= 0)
        head_undo_push(&head->undo, place.slot, series);
    series->epoch = epoch;
    bool ok = h ? head_append_histogram(head, sample->ref, series, sample->t_ms, h)
                : head_append_float(head, sample->ref, series, sample->t_ms, sample->value);
    if (UNLIKELY(!ok)) {
        done->refused++;
        return;
    }
    head_starts_note(head, sample->ref, series, start_ms);
    done->floats += h == NULL;
    done->histograms += h != NULL;
    done->min_t = MIN(done->min_t, sample->t_ms);
    done->max_t = MAX(done->max_t, sample->t_ms);
}

#define RUN_SAMPLES 32

// Plain samples of one series from `from` on, in rising time; 1 if that is all there is.
static size_t run_length(const HeadAppender *app, size_t from)
{
    const WalSample *first = &app->samples[from];
    size_t most = MIN(app->count - from, RUN_SAMPLES);
    size_t n = 1;

    if (app->has_starts || app->places[from].histogram)
        return 1;
    while (n < most && first[n].ref == first->ref && first[n].t_ms > first[n - 1].t_ms &&
           app->places[from + n].slot == app->places[from].slot && !app->places[from + n].histogram)
        n++;
    return n;
}

// Puts them in together if the first is in order: so are all then. Returns how many; the others are to be looked at one by one.
static size_t apply_run(Head *head, HeadAppender *app, size_t from, size_t count,
                        uint32_t newest_reader, uint32_t epoch, Applied *done)
{
    const WalSample *samples = &app->samples[from];
    Series *series = series_at(&head->index.series, app->places[from].slot);
    int64_t t_ms[RUN_SAMPLES];
    double value[RUN_SAMPLES];

    if (series_ref(series) != samples->ref || samples->t_ms < GET(head->min_valid_t) ||
        (series_flags(series) & SERIES_HAS_SAMPLES && samples->t_ms <= series->xor_state.t_ms) ||
        series_flags(series) & (SERIES_HAS_STARTS | SERIES_HAS_HISTOGRAM))
        return 0;
    for (size_t i = 0; i < count; i++) {
        t_ms[i] = samples[i].t_ms;
        value[i] = samples[i].value;
    }
    if ((int32_t)(series->epoch - newest_reader) <= 0)
        head_undo_push(&head->undo, app->places[from].slot, series);
    series->epoch = epoch;
    size_t taken = head_append_floats(head, samples->ref, series, t_ms, value, count);
    if (taken) {
        done->floats += taken;
        done->min_t = MIN(done->min_t, t_ms[0]);
        done->max_t = MAX(done->max_t, t_ms[taken - 1]);
    }
    return taken;
}

// Two steps ahead: the record, then, by what stands in it, the newest block of its open chunk.
static void look_ahead(const Head *head, const HeadAppender *app, size_t i)
{
    if (i + 16 < app->count)
        __builtin_prefetch(series_at(&head->index.series, app->places[i + 16].slot));
    if (i + 8 < app->count) {
        const Series *series = series_at(&head->index.series, app->places[i + 8].slot);
        if (series->chunk)
            __builtin_prefetch(pool_at(&head->pool, series->chunk), 1);
    }
}

static bool apply_samples(Head *head, HeadAppender *app, bool any_reader, uint32_t newest_reader,
                          uint32_t epoch, Error *err)
{
    Applied done = {.min_t = INT64_MAX, .max_t = INT64_MIN};
    unsigned held = SERIES_STRIPES;
    uint32_t before_all = any_reader
                              ? newest_reader
                              : epoch - (1u << 30); // no record is older than that: nothing to undo

    for (size_t i = 0; i < app->count;) {
        look_ahead(head, app, i);
        head_hold_stripe(head, &held, app->samples[i].ref);
        size_t run = run_length(app, i);
        size_t end = i + run;
        if (run > 1)
            i += apply_run(head, app, i, run, before_all, epoch, &done);
        for (; i < end; i++)
            apply_one(head, app, i, before_all, epoch, &done);
    }
    head_give_stripe(head, held);
    if (done.min_t <= done.max_t) {
        head_append_note_time(head, done.min_t);
        head_append_note_time(head, done.max_t);
    }
    COUNT(head, float_samples_appended, done.floats);
    COUNT(head, histogram_samples_appended, done.histograms);
    if (done.gone)
        return error_set(err, ERR_CONFLICT,
                         "%llu samples are of series that were dropped since they were appended",
                         (unsigned long long)done.gone);
    if (done.refused)
        return error_set(err, ERR_IO,
                         "%llu samples found no room: the disk has taken no full chunks for long",
                         (unsigned long long)done.refused);
    return true;
}

static void apply_exemplars(Head *head, HeadAppender *app)
{
    for (size_t i = 0; i < app->exemplar_count; i++) {
        const PendingExemplar *e = &app->exemplars[i];
        Labels labels = LABELS_NONE;
        if (!head_exemplars_knows(head->exemplars, e->ref)) {
            rwlock_take_read(&head->index_lock);
            SeriesSlot slot = series_slot(&head->index.series, e->ref);
            if (slot) // deep: the texts may go with the lock
                labels = labels_copy(&app->arena,
                                     head_index_labels(&head->index,
                                                       series_at(&head->index.series, slot)->labels,
                                                       &app->arena));
            rwlock_give(&head->index_lock);
            if (!slot)
                continue;
        }
        if (head_exemplars_add(head->exemplars, e->ref, labels, &e->exemplar, GET(head->window_ms)))
            COUNT(head, exemplars_appended, 1);
    }
}

static void apply_batch(Head *head, HeadAppender *batch)
{
    uint64_t oldest;
    uint64_t newest;

    lock_take(&head->apply_lock);
    head_read_epochs(head, &oldest, &newest);
    head_undo_cut(&head->undo, oldest);
    uint64_t epoch = head->epoch + 1;
    for (HeadAppender *app = batch; app; app = app->next) {
        app->ok = apply_samples(head, app, oldest != UINT64_MAX, (uint32_t)newest, (uint32_t)epoch,
                                &app->err);
        if (head->late_count && !head_out_of_order_apply(head, (uint32_t)epoch, &app->err))
            app->ok = false;
    }
    head_undo_note(&head->undo, epoch);
    __atomic_store_n(&head->epoch, epoch, __ATOMIC_RELEASE);
    lock_give(&head->apply_lock);
    for (HeadAppender *app = batch; app; app = app->next)
        apply_exemplars(head, app);
}

typedef struct RecordList {
    WalRecord *items;
    size_t count;
    size_t cap;
} RecordList;

static void add_record(RecordList *list, Str packed, const RecordSpan *span)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = x_realloc(list->items, list->cap * sizeof(WalRecord));
    }
    list->items[list->count++] =
        (WalRecord){str_sub(packed, span->start, span->len), span->flags, span->raw_bytes};
}

static bool log_batch(Head *head, HeadAppender *batch, Error *err)
{
    RecordList list = {0};
    HeadUnlogged unlogged;

    head_unlogged_take(head, &unlogged);
    for (size_t i = 0; i < unlogged.count; i++)
        add_record(&list, buf_str(&unlogged.packed), &unlogged.records[i]);
    for (HeadAppender *app = batch; app; app = app->next)
        for (size_t i = 0; i < app->record_count; i++)
            add_record(&list, buf_str(&app->packed), &app->records[i]);
    bool ok = !list.count || wal_write(head->wal, list.items, list.count, err);
    if (ok)
        head_unlogged_give(head, &unlogged);
    else
        head_unlogged_put_back(head, &unlogged);
    free(list.items);
    return ok;
}

bool head_append_log_series(Head *head, Error *err)
{
    return log_batch(head, NULL, err);
}

// What stands in the log is also in memory, else the two would judge later samples differently: a disk that has the records but does
// not confirm them makes the commits fail, and their samples stay.
static void run_batch(Head *head, HeadAppender *batch)
{
    Error err = {0};

    bool written = log_batch(head, batch, &err);
    bool ok = written && (head->options.wal_sync != TSDB_SYNC_COMMIT || wal_sync(head->wal, &err));
    if (written)
        apply_batch(head, batch);
    for (HeadAppender *app = batch; app && !ok; app = app->next) {
        app->ok = false;
        app->err = err;
    }
}

// Serves the queue until it is empty. commit_lock is held at entry and exit, and given meanwhile.
static void serve(Head *head) NO_THREAD_SAFETY
{
    while (head->queue) {
        HeadAppender *batch = head->queue;
        head->queue = NULL;
        head->queue_tail = &head->queue;
        lock_give(&head->commit_lock);
        run_batch(head, batch);
        lock_take(&head->commit_lock);
        for (HeadAppender *app = batch; app;) {
            HeadAppender *next = app->next; // gone once it is done
            app->done = true;
            app = next;
        }
        condition_broadcast(&head->commit_done);
    }
}

void head_lead(Head *head)
{
    lock_take(&head->commit_lock);
    while (head->led)
        condition_wait(&head->commit_done, &head->commit_lock);
    head->led = true;
    lock_give(&head->commit_lock);
}

void head_follow(Head *head)
{
    lock_take(&head->commit_lock);
    serve(head);
    head->led = false;
    condition_broadcast(&head->commit_done);
    lock_give(&head->commit_lock);
}

static void enqueue(Head *head, HeadAppender *app)
{
    app->next = NULL;
    app->done = false;
    *head->queue_tail = app;
    head->queue_tail = &app->next;
}

bool head_commit(Head *head, HeadAppender *app)
{
    lock_take(&head->commit_lock);
    enqueue(head, app);
    if (head->led) {
        while (!app->done && head->led)
            condition_wait(&head->commit_done, &head->commit_lock);
    }
    if (!app->done) {
        head->led = true;
        serve(head);
        head->led = false;
        condition_broadcast(&head->commit_done);
    }
    lock_give(&head->commit_lock);
    return app->ok;
}
