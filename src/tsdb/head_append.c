// SPDX-License-Identifier: Apache-2.0
// Appenders gather and judge; head_commit.c logs and applies what they bring.
#include <stdlib.h>

#include "tsdb/head_internal.h"

#define FREE_APPENDERS_MAX 16
#define KEEP_BYTES (1024 * 1024) // of a buffer in a free appender
#define BATCH 64                 // samples looked up ahead
// --- finding and creating series ---

SeriesSlot head_append_create(Head *head, Labels labels, LabelKey *key, uint64_t ref, bool log)
{
    SeriesSlot slot = head_index_add(&head->index, labels, key, ref);
    Series *series = series_at(&head->index.series, slot);

    series_touch(series, GET(head->generation));
    ref = series_ref(series);
    if (log)
        head_unlogged_add(head, ref, labels);
    series_table_publish(&head->index.series, ref, slot);
    COUNT(head, series_created, 1);
    COUNT(head, series, 1);
    return slot;
}

static bool labels_acceptable(Labels labels, Error *err)
{
    if (labels.count == 0)
        return error_set(err, ERR_INVALID, "a series needs at least one label");
    if (labels.count > HEAD_LABELS_MAX)
        return error_set(err, ERR_LIMIT, "%zu labels in one series, at most %d are taken",
                         labels.count, HEAD_LABELS_MAX);
    for (size_t i = 0; i < labels.count; i++) {
        Label l = labels.pairs[i];
        if (l.name.len > HEAD_LABEL_BYTES_MAX || l.value.len > HEAD_LABEL_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "label \"%.*s\" is longer than %d bytes",
                             (int)MIN(l.name.len, (size_t)64), l.name.ptr, HEAD_LABEL_BYTES_MAX);
        if (l.name.len == 0 || l.value.len == 0)
            return error_set(err, ERR_INVALID, "a label has an empty name or value");
        int order = i ? str_compare(labels.pairs[i - 1].name, l.name) : -1;
        if (order >= 0)
            return error_set(err, ERR_INVALID, "label \"" STR_FMT "\" %s", STR_ARG(l.name),
                             order ? "is out of order" : "stands twice");
    }
    return true;
}

// What is asked for still lives: it is not dropped as stale.
static SeriesRef found(Head *head, SeriesSlot slot)
{
    Series *series = series_at(&head->index.series, slot);
    SeriesRef ref = series_ref(series);
    Lock *stripe = &head->stripes[series_stripe(ref)];

    lock_take(stripe);
    series_touch(series, GET(head->generation));
    lock_give(stripe);
    return ref;
}

// Where one series is new the next one mostly is, too: such an appender does not look for it beside others first, for a lock that
// goes to and fro between readers and writers has them all wait for each other to wake up.
static SeriesRef find_or_create(Appender *base, Labels labels, bool *ret_created, Error *err)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;
    SeriesSlot slot = 0;
    SeriesRef ref = 0;

    if (ret_created)
        *ret_created = false;
    if (!app->creates) {
        if (UNLIKELY(labels.count == 0 || labels.count > HEAD_LABELS_MAX)) {
            (void)labels_acceptable(labels, err);
            return 0;
        }
        rwlock_take_read(&head->index_lock);
        slot = head_index_find(&head->index, labels, &app->key);
        ref = slot ? found(head, slot) : 0;
        rwlock_give(&head->index_lock);
        if (ref)
            return ref;
    }
    if (!labels_acceptable(labels, err))
        return 0;
    lock_take(&head->create_lock);
    rwlock_take_write(&head->index_lock);
    slot = head_index_find(&head->index, labels, &app->key);
    app->creates = !slot;
    if (slot) {
        ref = found(head, slot);
    } else if (head->index.next_ref > SERIES_REF_MAX) {
        error_set(err, ERR_LIMIT, "all series refs are used up: restart with an empty log");
    } else {
        slot = head_append_create(head, labels, &app->key, 0, true);
        ref = series_ref(series_at(&head->index.series, slot));
        if (ret_created)
            *ret_created = true;
    }
    rwlock_give(&head->index_lock);
    lock_give(&head->create_lock);
    return ref;
}

// --- judging ---

static AppendStatus judge_equal_time(Head *head, uint64_t ref, Series *series,
                                     const SinkSample *sample, bool *ret_same)
{
    head_newest_learn(head, series);
    unsigned flags = series_flags(series);
    bool same;

    if (sample->histogram) {
        SeriesExtra *extra =
            flags & SERIES_HAS_HISTOGRAM ? head_extra(head, ref, series, false) : NULL;
        same = extra && extra->histogram &&
               histogram_equal(chunk_histogram_last(extra->histogram), sample->histogram);
    } else {
        same =
            flags & SERIES_HAS_VALUE && chunk_xor_to_bits(sample->value) == series->xor_state.value;
    }
    *ret_same = same;
    return same ? APPEND_OK : APPEND_DUPLICATE;
}

const int64_t head_late_delta_ms[HEAD_LATE_DELTAS] = {600000,   1800000,  3600000, 7200000,
                                                      10800000, 21600000, 43200000};

static void note_delta(Head *head, int64_t delta_ms)
{
    size_t bucket = 0;

    if (delta_ms <= 0)
        return;
    while (bucket < HEAD_LATE_DELTAS && delta_ms > head_late_delta_ms[bucket])
        bucket++;
    COUNT(head, late_deltas[bucket], 1);
    COUNT(head, late_delta_ms, delta_ms);
}

typedef enum Verdict { VERDICT_REFUSED, VERDICT_IN_ORDER, VERDICT_SAME, VERDICT_LATE } Verdict;

// The rules of head_append.go's appendable (prometheus.md 6.8). The stripe is held.
static Verdict judge(HeadAppender *app, uint64_t ref, Series *series, SinkSample *sample)
{
    Head *head = app->head;
    int64_t t = sample->t_ms;
    int64_t window = GET(head->window_ms);

    sample->status = APPEND_OK;
    if (LIKELY(t >= app->min_valid_t)) {
        if (!(series_flags(series) & SERIES_HAS_SAMPLES) || t > series->xor_state.t_ms)
            return VERDICT_IN_ORDER;
        if (t == series->xor_state.t_ms) {
            bool same = false;
            sample->status = judge_equal_time(head, ref, series, sample, &same);
            if (!same)
                COUNT(head, duplicates, 1);
            return same ? VERDICT_SAME : VERDICT_REFUSED;
        }
    }
    note_delta(head, time_minus(app->max_t, t));
    if (window > 0 && t >= time_minus(app->max_t, window))
        return VERDICT_LATE;
    if (window > 0) {
        sample->status = APPEND_TOO_OLD;
        COUNT(head, too_old, 1);
    } else if (t < app->min_valid_t) {
        sample->status = APPEND_OUT_OF_BOUNDS;
        COUNT(head, out_of_bounds, 1);
    } else {
        sample->status = APPEND_OUT_OF_ORDER;
        COUNT(head, out_of_order_refused, 1);
    }
    return VERDICT_REFUSED;
}

static void cut_run(HeadAppender *app)
{
    if (app->cut_count == app->cut_cap) {
        app->cut_cap = app->cut_cap ? app->cut_cap * 2 : 8;
        app->cuts = x_realloc(app->cuts, app->cut_cap * sizeof(size_t));
    }
    app->cuts[app->cut_count++] = app->count;
    app->kinds = 0;
}

// Floats and histograms go to records of their own. Where one series has both, a new run of records keeps them in order.
static void keep_order(HeadAppender *app, const Series *series, bool is_histogram)
{
    unsigned kind = is_histogram ? 2 : 1;
    unsigned flags = series_flags(series);
    bool fresh = !(flags & SERIES_HAS_SAMPLES);
    bool switches = !fresh && is_histogram != ((flags & SERIES_HAS_HISTOGRAM) != 0);

    app->strict_order |= switches;
    if (app->kinds && app->kinds != kind && (app->strict_order || fresh))
        cut_run(app);
    app->kinds |= kind;
}

// The column of starts comes into being with the first one.
static void take_start(HeadAppender *app, const SinkSample *sample)
{
    const HeadOptions *options = &app->head->options;
    int64_t start_ms = sample->start_ms;

    if (!options->start_timestamps || (sample->histogram && !options->histogram_start_timestamps))
        start_ms = 0;
    if (!start_ms && !app->has_starts)
        return;
    if (app->start_cap < app->cap) {
        app->starts = x_realloc(app->starts, app->cap * sizeof *app->starts);
        app->start_cap = app->cap;
    }
    if (!app->has_starts)
        memset(app->starts, 0, app->count * sizeof *app->starts);
    app->has_starts = true;
    app->starts[app->count] = start_ms;
}

static void take(HeadAppender *app, SeriesSlot slot, const SinkSample *sample, bool late)
{
    PendingExtra place = {slot, late ? PENDING_LATE : 0};

    if (sample->histogram) {
        if (app->histogram_count == app->histogram_cap) {
            app->histogram_cap = app->histogram_cap ? app->histogram_cap * 2 : 16;
            app->histograms =
                x_realloc(app->histograms, app->histogram_cap * sizeof *app->histograms);
        }
        app->histograms[app->histogram_count++] = histogram_copy(&app->arena, sample->histogram);
        place.histogram |= (uint32_t)app->histogram_count;
    }
    if (UNLIKELY(sample->start_ms || app->has_starts))
        take_start(app, sample);
    app->late += late;
    app->samples[app->count] = (WalSample){sample->ref, sample->t_ms, sample->value};
    app->places[app->count++] = place;
}

static void reserve(HeadAppender *app, size_t more)
{
    if (app->count + more <= app->cap)
        return;
    app->cap = MAX(app->cap * 2, app->count + more);
    app->samples = x_realloc(app->samples, app->cap * sizeof *app->samples);
    app->places = x_realloc(app->places, app->cap * sizeof *app->places);
}

// The first samples a head ever sees set the scene for the bounds.
static void set_bounds(HeadAppender *app, int64_t first_t)
{
    Head *head = app->head;
    int64_t max_t = GET(head->max_t);

    if (max_t == INT64_MIN)
        max_t = first_t;
    app->max_t = max_t;
    app->min_valid_t =
        MAX(GET(head->min_valid_t), time_minus(max_t, head->options.min_block_ms / 2));
}

static bool histogram_acceptable(const Histogram *h)
{
    Error err = {0};
    return is_stale_nan(h->sum) || histogram_validate(h, &err);
}

// What follows `first`, a float that is in order, in its series: floats above the newest one in the head are, too. They are taken without
// another look at the series, up to the first that is not like that; how many tells the answer.
static size_t take_followers(HeadAppender *app, const Series *series, SeriesSlot slot,
                             SinkSample *first, size_t count)
{
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;
    int64_t above_t = has ? series->xor_state.t_ms : INT64_MIN;
    size_t i = 1;

    if (app->has_starts)
        return 0;
    for (; i < count; i++) {
        SinkSample *sample = &first[i];
        if (sample->ref != first->ref || sample->histogram || sample->start_ms ||
            sample->t_ms <= above_t || sample->t_ms < app->min_valid_t)
            break;
        sample->status = APPEND_OK;
        app->samples[app->count] = (WalSample){sample->ref, sample->t_ms, sample->value};
        app->places[app->count++] = (PendingExtra){.slot = slot};
    }
    return i - 1;
}

static size_t append_batch(HeadAppender *app, SinkSample *samples, size_t count)
{
    Head *head = app->head;
    SeriesSlot slots[BATCH];
    unsigned held = SERIES_STRIPES;
    size_t taken = 0;

    for (size_t i = 0; i < count; i++) {
        if (i && samples[i].ref == samples[i - 1].ref) {
            slots[i] = slots[i - 1];
            continue;
        }
        slots[i] = series_slot(&head->index.series, samples[i].ref);
        __builtin_prefetch(series_at(&head->index.series, slots[i]));
    }
    for (size_t i = 0; i < count; i++) {
        SinkSample *sample = &samples[i];
        Series *series = series_at(&head->index.series, slots[i]);
        if (!slots[i]) {
            sample->status = APPEND_GONE;
            continue;
        }
        head_hold_stripe(head, &held, sample->ref);
        if (UNLIKELY(series_ref(series) != sample->ref)) {
            sample->status = APPEND_GONE;
            continue;
        }
        series_touch(series, GET(head->generation));
        if (UNLIKELY(sample->histogram && !histogram_acceptable(sample->histogram))) {
            sample->status = APPEND_OUT_OF_BOUNDS;
            continue;
        }
        Verdict verdict = judge(app, sample->ref, series, sample);
        taken += verdict != VERDICT_REFUSED;
        if (verdict == VERDICT_IN_ORDER || verdict == VERDICT_LATE) {
            keep_order(app, series, sample->histogram != NULL);
            take(app, slots[i], sample, verdict == VERDICT_LATE);
        }
        if (verdict == VERDICT_IN_ORDER && !sample->histogram) {
            size_t followers = take_followers(app, series, slots[i], sample, count - i);
            taken += followers;
            i += followers;
        }
    }
    head_give_stripe(head, held);
    return taken;
}

static size_t append(Appender *base, SinkSample *samples, size_t count)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    size_t taken = 0;

    if (!count)
        return 0;
    if (app->max_t == INT64_MIN)
        set_bounds(app, samples[0].t_ms);
    reserve(app, count);
    for (size_t i = 0; i < count; i += BATCH)
        taken += append_batch(app, samples + i, MIN(count - i, (size_t)BATCH));
    return taken;
}

static void metadata(Appender *base, SeriesRef ref, Metadata metadata)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;
    Str name = STR_NONE;

    rwlock_take_read(&head->index_lock);
    SeriesSlot slot = series_slot(&head->index.series, ref);
    if (slot) {
        uint32_t metric = head_index_name(&head->index, LABEL_METRIC_NAME);
        LabelWalk walk =
            head_index_walk(&head->index, series_at(&head->index.series, slot)->labels);
        for (uint32_t pair; (pair = head_index_walk_next(&walk));)
            if (head->index.pairs[pair].name == metric)
                name = arena_str(&app->arena,
                                 head_index_text(&head->index, head->index.pairs[pair].value));
    }
    rwlock_give(&head->index_lock);
    if (!name.len || !head_metadata_put(head, name, metadata))
        return;
    if (app->metadata_count == app->metadata_cap) {
        app->metadata_cap = app->metadata_cap ? app->metadata_cap * 2 : 16;
        app->metadata = x_realloc(app->metadata, app->metadata_cap * sizeof *app->metadata);
    }
    Metadata copy = {metadata.type, arena_str(&app->arena, metadata.help),
                     arena_str(&app->arena, metadata.unit)};
    app->metadata[app->metadata_count++] = (PendingMetadata){ref, name, copy};
}

static AppendStatus exemplar(Appender *base, SeriesRef ref, const Exemplar *exemplar)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;

    if (!head_exemplars_max(head->exemplars))
        return APPEND_OK;
    if (!series_slot(&head->index.series, ref))
        return APPEND_GONE;
    AppendStatus status =
        head_exemplars_judge(head->exemplars, ref, exemplar, GET(head->window_ms));
    if (status == APPEND_OUT_OF_ORDER)
        COUNT(head, exemplars_out_of_order, 1);
    if (status != APPEND_OK)
        return status;
    if (app->exemplar_count == app->exemplar_cap) {
        app->exemplar_cap = app->exemplar_cap ? app->exemplar_cap * 2 : 16;
        app->exemplars = x_realloc(app->exemplars, app->exemplar_cap * sizeof *app->exemplars);
    }
    PendingExemplar pending = {ref, *exemplar};
    pending.exemplar.labels = labels_copy(&app->arena, exemplar->labels);
    app->exemplars[app->exemplar_count++] = pending;
    return APPEND_OK;
}

// --- life of an appender ---

static void finish(HeadAppender *app)
{
    Head *head = app->head;

    app->count = app->late = app->histogram_count = app->metadata_count = app->exemplar_count = 0;
    app->record_count = app->cut_count = 0;
    app->strict_order = app->has_starts = app->creates = false;
    app->kinds = 0;
    arena_reset(&app->arena);
    if (app->raw.cap > KEEP_BYTES)
        buf_deinit(&app->raw);
    if (app->packed.cap > KEEP_BYTES)
        buf_deinit(&app->packed);
    buf_reset(&app->raw);
    buf_reset(&app->packed);
    if (app->cap * sizeof(WalSample) > KEEP_BYTES) {
        free(app->samples);
        free(app->places);
        free(app->starts);
        app->starts = NULL;
        app->start_cap = 0;
        app->samples = NULL;
        app->places = NULL;
        app->cap = 0;
    }
    if (app->arena.held_bytes > KEEP_BYTES)
        arena_deinit(&app->arena);
    lock_take(&head->commit_lock);
    head->active_appenders--;
    bool keep = head->free_appender_count < FREE_APPENDERS_MAX;
    if (keep) {
        app->next = head->free_appenders;
        head->free_appenders = app;
        head->free_appender_count++;
    }
    lock_give(&head->commit_lock);
    if (!keep)
        head_append_free(app);
}

static bool commit(Appender *base, Error *err)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;

    head_append_encode(app);
    bool ok = head_commit(head, app);
    if (!ok)
        *err = app->err;
    finish(app);
    return ok;
}

static void rollback(Appender *base)
{
    finish(CONTAINER_OF(base, HeadAppender, appender));
}

Appender *head_append_begin(Sink *sink)
{
    Head *head = CONTAINER_OF(sink, Head, sink);

    lock_take(&head->commit_lock);
    HeadAppender *app = head->free_appenders;
    if (app) {
        head->free_appenders = app->next;
        head->free_appender_count--;
    }
    head->active_appenders++;
    COUNT(head, appenders_created, 1);
    lock_give(&head->commit_lock);
    if (!app) {
        app = X_NEW(HeadAppender);
        app->head = head;
        app->appender = (Appender){find_or_create, append, metadata, exemplar, commit, rollback};
    }
    app->max_t = INT64_MIN;
    if (GET(head->max_t) != INT64_MIN)
        set_bounds(app, 0);
    return &app->appender;
}

void head_append_free(HeadAppender *app)
{
    if (!app)
        return;
    free(app->samples);
    free(app->places);
    free(app->starts);
    free(app->cuts);
    free(app->histograms);
    free(app->metadata);
    free(app->exemplars);
    free(app->records);
    buf_deinit(&app->raw);
    buf_deinit(&app->packed);
    arena_deinit(&app->arena);
    free(app);
}
