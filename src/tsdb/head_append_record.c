// SPDX-License-Identifier: Apache-2.0
// What an appender has gathered becomes records of the log, packed.
#include "tsdb/head_internal.h"

#define RECORD_SAMPLES 16384 // in one record
#define RECORD_HISTOGRAM_BYTES 1000000

static void pack(HeadAppender *app)
{
    RecordSpan span = {.start = app->packed.len, .raw_bytes = app->raw.len};

    span.flags = wal_compress(app->head->options.wal_compression, buf_str(&app->raw), &app->packed);
    span.len = app->packed.len - span.start;
    buf_reset(&app->raw);
    if (app->record_count == app->record_cap) {
        app->record_cap = app->record_cap ? app->record_cap * 2 : 16;
        app->records = x_realloc(app->records, app->record_cap * sizeof *app->records);
    }
    app->records[app->record_count++] = span;
}

// Neighbours that go into one record as they are.
static size_t float_stretch(const HeadAppender *app, size_t from, size_t to)
{
    size_t i = from;

    if (!app->late && !app->histogram_count)
        return to;
    while (i < to && app->places[i].histogram == 0)
        i++;
    return i;
}

static void encode_floats(HeadAppender *app, size_t from, size_t to)
{
    bool dense = app->has_starts || app->head->options.wal_samples_v2;
    WalRecordType type = dense ? WAL_SAMPLES_V2 : WAL_SAMPLES;
    WalRecordWriter writer = wal_record_begin(&app->raw, type);

    while (from < to) {
        size_t end = MIN(float_stretch(app, from, to), from + (RECORD_SAMPLES - writer.count));
        if (dense)
            wal_record_samples_v2(&writer, app->samples + from,
                                  app->has_starts ? app->starts + from : NULL, end - from);
        else
            wal_record_samples(&writer, app->samples + from, end - from);
        if (writer.count == RECORD_SAMPLES) {
            pack(app);
            writer = wal_record_begin(&app->raw, type);
        } else if (end < to) {
            end++; // a histogram, or late
        }
        from = end;
    }
    if (writer.count)
        pack(app);
    buf_reset(&app->raw);
}

static void encode_histograms(HeadAppender *app, size_t from, size_t to)
{
    WalRecordWriter writer = {0};
    WalRecordType open = 0;

    for (size_t i = from; i < to; i++) {
        uint32_t place = app->places[i].histogram;
        if (!place || place & PENDING_LATE)
            continue;
        const Histogram *h = app->histograms[place - 1];
        WalRecordType type = wal_record_histogram_type(h, app->has_starts);
        if (open && (type != open || app->raw.len > RECORD_HISTOGRAM_BYTES)) {
            pack(app);
            open = 0;
        }
        if (!open)
            writer = wal_record_begin(&app->raw, open = type);
        wal_record_histogram(&writer, app->samples[i].ref, app->samples[i].t_ms,
                             app->has_starts ? app->starts[i] : 0, h);
    }
    if (open)
        pack(app);
    buf_reset(&app->raw);
}

static void encode_rest(HeadAppender *app)
{
    if (app->exemplar_count) {
        WalRecordWriter writer = wal_record_begin(&app->raw, WAL_EXEMPLARS);
        for (size_t i = 0; i < app->exemplar_count; i++)
            wal_record_exemplar(&writer, app->exemplars[i].ref, &app->exemplars[i].exemplar);
        pack(app);
    }
    if (app->metadata_count) {
        WalRecordWriter writer = wal_record_begin(&app->raw, WAL_METADATA);
        for (size_t i = 0; i < app->metadata_count; i++)
            wal_record_metadata(&writer, app->metadata[i].ref, app->metadata[i].metadata);
        pack(app);
    }
}

void head_append_encode(HeadAppender *app)
{
    size_t from = 0;

    for (size_t i = 0; i <= app->cut_count; i++) {
        size_t to = i < app->cut_count ? app->cuts[i] : app->count;
        encode_floats(app, from, to);
        if (app->histogram_count)
            encode_histograms(app, from, to);
        from = to;
    }
    encode_rest(app);
}
