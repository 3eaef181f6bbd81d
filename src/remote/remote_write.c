// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdlib.h>

#include "base/number.h"
#include "codec/compress.h"
#include "remote/remote.h"
#include "remote/remote_write_internal.h"

enum {
    COMPLAINTS_MAX = 10, // told in full; further ones are only counted
    COMPLAINTS_BYTES_MAX = 16 * 1024,
    TEXT_BYTES_MAX = 1000, // of a series' labels
};

RemoteWrite *remote_write_new(const RemoteWriteOptions *options)
{
    RemoteWrite *remote = X_NEW(RemoteWrite);
    remote->options = *options;
    remote->cache = remote_series_cache_new(REMOTE_WRITE_CACHED_SERIES);
    Registry *registry = options->registry;
    if (registry) {
        remote->invalid_labels = counter_of(
            registry_counter(
                registry, "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples "
                "which were rejected due to invalid labels.",
                NULL),
            NULL);
        remote->without_metadata = counter_of(
            registry_counter(
                registry, "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples (and histogram samples) which "
                "were ingested without corresponding metadata.",
                NULL),
            NULL);
        remote->samples =
            counter_of(registry_counter(registry, "narthex_remote_write_received_samples_total",
                                        "Samples and histograms taken by remote write.", NULL),
                       NULL);
        remote->requests_refused =
            counter_of(registry_counter(registry, "narthex_remote_write_refused_requests_total",
                                        "Remote write requests answered with an error.", NULL),
                       NULL);
    }
    return remote;
}

void remote_write_free(RemoteWrite *remote)
{
    if (!remote)
        return;
    remote_series_cache_free(remote->cache);
    free(remote);
}

// ---- faults ----

void write_run_complain(WriteRun *run, const char *fmt, ...)
{
    if (run->complaint_count++ < COMPLAINTS_MAX) {
        va_list args;
        va_start(args, fmt);
        if (run->complaints.len)
            buf_add_char(&run->complaints, '\n');
        buf_vprintf(&run->complaints, fmt, args);
        va_end(args);
    }
    if (!run->keeps_good)
        run->stopped = true;
}

void write_run_fail(WriteRun *run, const Error *err)
{
    run->store_failed = true;
    run->stopped = true;
    run->store_err = *err;
}

static const char *status_text(AppendStatus status)
{
    switch (status) {
    case APPEND_OUT_OF_ORDER:
        return "out of order sample";
    case APPEND_TOO_OLD:
        return "too old sample";
    case APPEND_OUT_OF_BOUNDS:
        return "out of bounds";
    case APPEND_DUPLICATE:
        return "duplicate sample for timestamp";
    case APPEND_OK:
    case APPEND_GONE:
    case APPEND_LIMIT:
        break;
    }
    return "sample refused";
}

// ---- series ----

static void refuse_labels(WriteRun *run, const Error *err)
{
    if (run->remote->invalid_labels)
        counter_add(run->remote->invalid_labels, (double)run->series_samples);
    // Version 1.0 skips such a series without a word, as upstream does; too many labels is our own limit.
    if (run->keeps_good || err->code == ERR_LIMIT)
        write_run_complain(run, "%s", err->text);
}

static Str text_of(WriteRun *run, const Label *pairs, size_t count)
{
    Buf text = {0};
    labels_print(&text, (Labels){pairs, count});
    Str copy = arena_str(&run->scratch, str_sub(buf_str(&text), 0, MIN(text.len, TEXT_BYTES_MAX)));
    buf_deinit(&text);
    return copy;
}

Str write_run_text(WriteRun *run, WriteOrigin origin)
{
    Label *pairs = NULL;
    size_t count = 0;
    Error ignored; // what is told is another fault
    arena_reset(&run->scratch);
    if (!run->labels_of(run, origin.labels, &pairs, &count, &ignored))
        return S("{}");
    labels_order(pairs, count);
    return text_of(run, pairs, count);
}

static bool pairs_valid(const Label *pairs, size_t count)
{
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        bool is_name = str_equal(pairs[i].name, LABEL_METRIC_NAME);
        if (!name_is_utf8(pairs[i].name) ||
            !(is_name ? name_is_utf8(pairs[i].value) : str_is_utf8(pairs[i].value)))
            return false;
        named |= is_name;
    }
    return named;
}

// The first of sorted ones that has the name of the one before.
static const Label *twin_of(const Label *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (str_equal(pairs[i - 1].name, pairs[i].name))
            return &pairs[i];
    return NULL;
}

// Labels of the origin, sorted and checked, in the scratch arena.
static bool checked_labels(WriteRun *run, WriteOrigin origin, Labels *ret_labels, Error *err)
{
    Label *pairs = NULL;
    size_t count = 0;
    if (!run->labels_of(run, origin.labels, &pairs, &count, err))
        return false;
    labels_order(pairs, count);
    if (!pairs_valid(pairs, count))
        return error_set(err, ERR_INVALID, "invalid metric name or labels, got " STR_FMT,
                         STR_ARG(text_of(run, pairs, count)));
    const Label *twin = twin_of(pairs, count);
    if (twin)
        return error_set(err, ERR_INVALID,
                         "invalid labels for series, labels " STR_FMT ", duplicated label " STR_FMT,
                         STR_ARG(text_of(run, pairs, count)), STR_ARG(twin->name));
    if (!labels_sort(pairs, &count, err)) // without the empty ones now
        return false;
    *ret_labels = (Labels){pairs, count};
    return true;
}

bool write_run_check(WriteRun *run, WriteOrigin origin)
{
    Labels labels;
    Error err = {0};
    arena_reset(&run->scratch);
    if (checked_labels(run, origin, &labels, &err))
        return true;
    refuse_labels(run, &err);
    return false;
}

static SeriesRef resolve(WriteRun *run, WriteOrigin origin, bool *ret_created)
{
    Labels labels;
    Error err = {0};
    arena_reset(&run->scratch);
    if (!checked_labels(run, origin, &labels, &err)) {
        refuse_labels(run, &err);
        return 0;
    }
    SeriesRef ref = run->appender->series(run->appender, labels, ret_created, &err);
    if (!ref)
        write_run_fail(run, &err);
    else
        remote_series_course_put(&run->course, origin.key, ref);
    return ref;
}

SeriesRef write_run_series(WriteRun *run, WriteOrigin origin, bool *ret_created)
{
    *ret_created = false;
    SeriesRef ref = remote_series_course_get(&run->course, origin.key);
    return ref ? ref : resolve(run, origin, ret_created);
}

// ---- samples ----

static void complain_about(WriteRun *run, const SinkSample *sample, WriteOrigin origin)
{
    write_run_complain(run, "%s for series " STR_FMT " at %lld", status_text(sample->status),
                       STR_ARG(write_run_text(run, origin)), (long long)sample->t_ms);
}

// A series that the store has dropped since it was cached comes back under a new ref.
static void revive(WriteRun *run, SinkSample *sample, WriteOrigin origin)
{
    bool created;
    for (int tries = 0; tries < 3 && sample->status == APPEND_GONE && !run->stopped; tries++) {
        sample->ref = resolve(run, origin, &created);
        if (!sample->ref)
            return;
        run->appender->append(run->appender, sample, 1);
    }
}

static void judge(WriteRun *run, SinkSample *sample, WriteOrigin origin)
{
    if (sample->status == APPEND_GONE)
        revive(run, sample, origin);
    if (sample->status == APPEND_OK) {
        if (sample->histogram)
            run->histograms_written++;
        else
            run->samples_written++;
    } else if (sample->status == APPEND_LIMIT || sample->status == APPEND_GONE) {
        Error err;
        error_set(&err, ERR_LIMIT, "the store takes no more samples");
        write_run_fail(run, &err);
    } else {
        complain_about(run, sample, origin);
    }
}

// Zeros that are too late say nothing new: a count that began there has been seen.
static void flush_zeros(WriteRun *run)
{
    if (run->zero_count && !run->stopped)
        (void)run->appender->append(run->appender, run->zeros, run->zero_count);
    run->zero_count = 0;
}

// What a histogram was when its count began.
static const Histogram *empty_histogram(Arena *arena, const Histogram *like)
{
    Histogram *empty = ARENA_NEW(arena, Histogram);
    empty->hint = HINT_RESET;
    empty->schema = like->schema;
    empty->is_integer = like->is_integer;
    empty->zero_threshold = like->zero_threshold;
    empty->custom_bounds = like->custom_bounds;
    empty->custom_count = like->custom_count;
    return empty;
}

static void push_zero(WriteRun *run, const SinkSample *sample)
{
    // Of several samples of a series the earlier ones come before the zero of the next, wherever they wait.
    bool follows = run->count && run->samples[run->count - 1].ref == sample->ref;
    if (follows && run->samples[run->count - 1].start_ms == sample->start_ms)
        return;
    if (follows || sample->start_ms >= run->oldest_ms)
        write_run_flush(run);
    SinkSample *zero = &run->zeros[run->zero_count++];
    *zero = (SinkSample){.ref = sample->ref, .t_ms = sample->start_ms};
    if (sample->histogram)
        zero->histogram = empty_histogram(run->arena, sample->histogram);
}

static void flush_samples(WriteRun *run)
{
    flush_zeros(run);
    size_t count = run->count;
    run->count = run->origin_count = 0;
    run->oldest_ms = INT64_MAX;
    if (count == 0 || run->stopped)
        return;
    size_t taken = run->appender->append(run->appender, run->samples, count);
    if (LIKELY(taken == count)) {
        uint64_t histograms = 0;
        for (size_t i = 0; i < count; i++)
            histograms += run->samples[i].histogram != NULL;
        run->histograms_written += histograms;
        run->samples_written += count - histograms;
        return;
    }
    for (size_t i = 0; i < count && !run->stopped; i++)
        judge(run, &run->samples[i], run->origins[run->origin_of[i]]);
}

void write_run_flush(WriteRun *run)
{
    flush_samples(run);
    for (size_t i = 0; i < run->exemplar_count && !run->stopped; i++) {
        const WriteExemplar *e = &run->exemplars[i];
        AppendStatus status = run->appender->exemplar(run->appender, e->ref, &e->exemplar);
        run->exemplars_written += status == APPEND_OK;
        if (status == APPEND_OUT_OF_ORDER && run->keeps_good)
            write_run_complain(run, "out of order exemplar for series " STR_FMT,
                               STR_ARG(write_run_text(run, e->origin)));
    }
    run->exemplar_count = 0;
}

void write_run_sample(WriteRun *run, SeriesRef ref, WriteOrigin origin, SinkSample sample)
{
    const Histogram *histogram = sample.histogram;

    if (!ref || run->stopped)
        return;
    Error err;
    sample.ref = ref;
    if (sample.t_ms > run->t_ms_max) {
        write_run_complain(
            run, "out of bounds: timestamp is too far in the future for series " STR_FMT " at %lld",
            STR_ARG(write_run_text(run, origin)), (long long)sample.t_ms);
        return;
    }
    if (histogram && !is_stale_nan(histogram->sum) &&
        !histogram_accept(run->arena, &sample.histogram, &err)) {
        if (run->invalid_fails)
            write_run_fail(run, &err);
        else
            write_run_complain(run, "%s for series " STR_FMT, err.text,
                               STR_ARG(write_run_text(run, origin)));
        return;
    }
    if (UNLIKELY(run->zeros && sample.start_ms > 0 && sample.start_ms < sample.t_ms))
        push_zero(run, &sample);
    run->oldest_ms = MIN(run->oldest_ms, sample.t_ms);
    *write_run_place(run, &origin) = sample;
    write_run_placed(run);
}

void write_run_exemplar(WriteRun *run, SeriesRef ref, WriteOrigin origin, const Exemplar *exemplar)
{
    if (!ref || run->stopped)
        return;
    run->exemplars[run->exemplar_count++] = (WriteExemplar){ref, origin, *exemplar};
    if (run->exemplar_count == WRITE_BATCH)
        write_run_flush(run);
}

// ---- requests ----

typedef enum WriteVersion { WRITE_NONE, WRITE_V1, WRITE_V2 } WriteVersion;

static WriteVersion version_of(const RemoteWrite *remote, Str content_type,
                               RemoteWriteAnswer *answer, Arena *arena)
{
    WriteVersion version = WRITE_V1;
    Str media;
    Str rest = content_type;
    if (str_trim(content_type).len && str_split_next(&rest, ';', &media)) {
        if (!str_equal_nocase(str_trim(media), S("application/x-protobuf"))) {
            answer->text = arena_printf(
                arena,
                "expected application/x-protobuf as the first (media) part, got " STR_FMT
                " content-type",
                STR_ARG(content_type));
            return WRITE_NONE;
        }
        Str param;
        while (str_split_next(&rest, ';', &param)) {
            Str value = param;
            Str name;
            if (!str_split_next(&value, '=', &name) || !str_is(str_trim(name), "proto"))
                continue;
            value = str_trim(value);
            version = str_is(value, "prometheus.WriteRequest")          ? WRITE_V1
                      : str_is(value, "io.prometheus.write.v2.Request") ? WRITE_V2
                                                                        : WRITE_NONE;
            if (version == WRITE_NONE) {
                answer->text = arena_printf(arena, "unknown remote write protobuf message " STR_FMT,
                                            STR_ARG(value));
                return WRITE_NONE;
            }
        }
    }
    if (version == WRITE_V1 ? remote->options.accept_v1 : remote->options.accept_v2)
        return version;
    static const char *const names[] = {
        [WRITE_V1] = "prometheus.WriteRequest", [WRITE_V2] = "io.prometheus.write.v2.Request"};
    answer->text =
        arena_printf(arena, "%s protobuf message is not accepted by this server; only accepts %s",
                     names[version],
                     remote->options.accept_v1   ? names[WRITE_V1]
                     : remote->options.accept_v2 ? names[WRITE_V2]
                                                 : "");
    return WRITE_NONE;
}

void write_run_end(WriteRun *run, bool well_formed, RemoteWriteAnswer *answer)
{
    Error err = {0};
    write_run_flush(run);
    bool roll_back = !well_formed || run->stopped;
    bool committed = false;
    if (roll_back)
        run->appender->rollback(run->appender);
    else
        committed = run->appender->commit(run->appender, &err);
    if (!roll_back && !committed)
        write_run_fail(run, &err);

    if (committed) {
        answer->samples = run->samples_written;
        answer->histograms = run->histograms_written;
        answer->exemplars = run->exemplars_written;
    }
    if (run->store_failed) {
        answer->status = 500;
        answer->text = arena_str(run->arena, str_from_c(run->store_err.text));
    } else if (!well_formed) {
        answer->status = 400;
        answer->text = S("proto: the message is malformed");
    } else if (run->complaint_count > 0) {
        answer->status = 400;
        if (run->complaint_count > COMPLAINTS_MAX)
            buf_printf(&run->complaints, "\n%zu more", run->complaint_count - COMPLAINTS_MAX);
        answer->text = arena_str(run->arena, buf_str(&run->complaints));
    } else {
        answer->status = 204;
    }
    remote_series_course_end(&run->course);
    buf_deinit(&run->complaints);
    buf_deinit(&run->key_buf);
    arena_deinit(&run->scratch);
}

WriteRun *write_run_begin(RemoteWrite *remote, Sink *sink, bool keeps_good, Arena *arena)
{
    WriteRun *run = ARENA_NEW(arena, WriteRun);
    run->remote = remote;
    run->arena = arena;
    run->keeps_good = keeps_good;
    run->series_samples = 1;
    run->t_ms_max = clock_now_ms(remote->options.clock) + REMOTE_WRITE_FUTURE_MS;
    run->appender = sink->begin(sink);
    remote_series_course_begin(&run->course, remote->cache);
    if (remote->options.zero_samples)
        run->zeros = ARENA_ARRAY(arena, SinkSample, WRITE_BATCH);
    buf_init(&run->complaints, COMPLAINTS_BYTES_MAX);
    return run;
}

static void write_message(RemoteWrite *remote, Sink *sink, WriteVersion version, Str message,
                          Arena *arena, RemoteWriteAnswer *answer)
{
    WriteRun *run = write_run_begin(remote, sink, version == WRITE_V2, arena);
    bool well_formed = version == WRITE_V2 ? remote_write_v2_decode(run, message)
                                           : remote_write_v1_decode(run, message);
    write_run_end(run, well_formed, answer);
}

void remote_write_handle(RemoteWrite *remote, Sink *sink, const RemoteWriteRequest *request,
                         Arena *arena, RemoteWriteAnswer *ret_answer)
{
    RemoteWriteAnswer answer = {.status = 415};
    Error err = {0};
    Arena unpacked = {0};
    Str message;
    Str encoding = str_trim(request->content_encoding);
    WriteVersion version = version_of(remote, request->content_type, &answer, arena);
    if (version == WRITE_NONE) {
        // answered
    } else if (encoding.len && !str_equal_nocase(encoding, S("snappy"))) {
        answer.text = arena_printf(
            arena,
            STR_FMT
            " encoding (compression) is not accepted by this server; only snappy is acceptable",
            STR_ARG(encoding));
    } else if (!snappy_decode_to(request->body, REMOTE_WRITE_BYTES_MAX, &unpacked, &message,
                                 &err)) {
        answer.status = 400;
        answer.text = arena_str(arena, str_from_c(err.text));
    } else {
        answer.counted = version == WRITE_V2;
        write_message(remote, sink, version, message, arena, &answer);
    }
    arena_deinit(&unpacked);
    if (remote->samples)
        counter_add(remote->samples, (double)(answer.samples + answer.histograms));
    if (remote->requests_refused && answer.status != 204)
        counter_inc(remote->requests_refused);
    *ret_answer = answer;
}
