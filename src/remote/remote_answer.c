// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_answer.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/number.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "remote/remote_write_internal.h"

enum { LABELS_MAX = 1000 };

typedef struct Decoder {
    Arena *arena;
    Labels hidden;
    RemoteAnswerSeries *series;
    size_t count, cap;
    Error *err;
} Decoder;

static bool fail(Decoder *d, const char *what)
{
    return error_set(d->err, ERR_INVALID, "remote read answer: %s", what);
}

// Series ---------------------------------------------------------------------------------------------------------------------------

static bool is_hidden(const Decoder *d, const Label *label)
{
    return d->hidden.count && label->value.len &&
           str_equal(labels_get(d->hidden, label->name), label->value);
}

static bool read_label(Str message, Label *ret_label)
{
    ProtoReader r = proto_reader(message);
    Label label = {0};
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1)
            label.name = r.bytes;
        else if (r.field == 2)
            label.value = r.bytes;
    }
    *ret_label = label;
    return !r.failed && name_is_utf8(label.name) && str_is_utf8(label.value);
}

// The labels (field 1) of a TimeSeries or ChunkedSeries.
static bool read_labels(Decoder *d, Str message, Labels *ret_labels)
{
    ProtoReader r = proto_reader(message);
    size_t count = 0;
    while (proto_next(&r))
        count += r.field == 1 && r.wire == PROTO_BYTES;
    if (r.failed || count > LABELS_MAX)
        return fail(d, "malformed series");
    Label *pairs = ARENA_ARRAY(d->arena, Label, count);
    count = 0;
    r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field != 1 || r.wire != PROTO_BYTES)
            continue;
        if (!read_label(r.bytes, &pairs[count]))
            return fail(d, "malformed label");
        count += !is_hidden(d, &pairs[count]);
    }
    if (!labels_sort(pairs, &count, d->err))
        return false;
    *ret_labels = (Labels){pairs, count};
    return true;
}

// A further frame of the series before it, or a new one.
static RemoteAnswerSeries *series_of(Decoder *d, Labels labels)
{
    if (d->count && labels_equal(d->series[d->count - 1].labels, labels))
        return &d->series[d->count - 1];
    if (d->count == REMOTE_ANSWER_SERIES_MAX) {
        error_set(d->err, ERR_LIMIT, "remote read answer: more than %d series",
                  REMOTE_ANSWER_SERIES_MAX);
        return NULL;
    }
    if (d->count == d->cap) {
        size_t cap = MAX(d->cap * 2, 64u);
        d->series =
            arena_grow(d->arena, d->series, d->cap * sizeof *d->series, cap * sizeof *d->series);
        d->cap = cap;
    }
    d->series[d->count] = (RemoteAnswerSeries){.labels = labels};
    return &d->series[d->count++];
}

static void add_piece(Decoder *d, RemoteAnswerSeries *series, RemotePiece piece)
{
    RemotePiece *copy = ARENA_NEW(d->arena, RemotePiece);
    *copy = piece;
    if (series->last)
        series->last->next = copy;
    else
        series->first = copy;
    series->last = copy;
}

// ReadResponse -----------------------------------------------------------------------------------------------------------------------

static bool read_samples_answer(Decoder *d, Str message)
{
    ProtoReader results = proto_reader(message);
    while (proto_next(&results)) {
        if (results.field != 1 || results.wire != PROTO_BYTES)
            continue;
        ProtoReader r = proto_reader(results.bytes);
        while (proto_next(&r)) {
            Labels labels;
            if (r.field != 1 || r.wire != PROTO_BYTES)
                continue;
            if (!read_labels(d, r.bytes, &labels))
                return false;
            RemoteAnswerSeries *series = series_of(d, labels);
            if (!series)
                return false;
            add_piece(d, series, (RemotePiece){.kind = PIECE_SERIES, .bytes = r.bytes});
        }
        if (r.failed)
            return fail(d, "malformed result");
    }
    return !results.failed || fail(d, "malformed protobuf");
}

// ChunkedReadResponse ----------------------------------------------------------------------------------------------------------------

static bool read_chunk(Decoder *d, Str message, RemotePiece *ret_piece)
{
    RemotePiece piece = {.kind = PIECE_CHUNK};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_VARINT)
            piece.min_t_ms = (int64_t)r.number;
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            piece.max_t_ms = (int64_t)r.number;
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            piece.encoding = (int)MIN(r.number, (uint64_t)1000);
        else if (r.field == 4 && r.wire == PROTO_BYTES)
            piece.bytes = r.bytes;
    }
    *ret_piece = piece;
    return !r.failed || fail(d, "malformed chunk");
}

static bool read_chunked_series(Decoder *d, Str message)
{
    Labels labels;
    if (!read_labels(d, message, &labels))
        return false;
    RemoteAnswerSeries *series = series_of(d, labels);
    if (!series)
        return false;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        RemotePiece piece;
        if (r.field != 2 || r.wire != PROTO_BYTES)
            continue;
        if (!read_chunk(d, r.bytes, &piece))
            return false;
        add_piece(d, series, piece);
    }
    return !r.failed || fail(d, "malformed series");
}

// Frames: length uvarint, CRC-32C big endian, message.
static bool read_stream_answer(Decoder *d, Str body, uint64_t frame_bytes_max)
{
    Reader in = reader_from(body);
    while (in.at < in.end) {
        uint64_t len = reader_uvarint(&in);
        uint32_t crc = reader_u32be(&in);
        if (!in.failed && len > frame_bytes_max)
            return error_set(d->err, ERR_LIMIT,
                             "remote read answer: a frame of %llu bytes is above the limit of %llu",
                             (unsigned long long)len, (unsigned long long)frame_bytes_max);
        Str frame = reader_bytes(&in, MIN(len, (uint64_t)SIZE_MAX));
        if (in.failed)
            return fail(d, "cut short");
        if (crc32c(frame) != crc)
            return fail(d, "the checksum of a frame does not match");
        ProtoReader r = proto_reader(frame);
        while (proto_next(&r))
            if (r.field == 1 && r.wire == PROTO_BYTES && !read_chunked_series(d, r.bytes))
                return false;
        if (r.failed)
            return fail(d, "malformed frame");
    }
    return true;
}

// All ------------------------------------------------------------------------------------------------------------------------------

static int compare_series(const void *a, const void *b)
{
    const RemoteAnswerSeries *x = a;
    const RemoteAnswerSeries *y = b;
    return labels_compare(x->labels, y->labels);
}

// Labels that were hidden may have told two series from each other, and an answer need not be sorted.
static void sort_series(Decoder *d)
{
    size_t kept = 0;
    if (d->count == 0)
        return;
    qsort(d->series, d->count, sizeof *d->series, compare_series);
    for (size_t i = 1; i < d->count; i++) {
        if (!labels_equal(d->series[kept].labels, d->series[i].labels)) {
            d->series[++kept] = d->series[i];
            continue;
        }
        if (!d->series[i].first)
            continue;
        if (d->series[kept].last)
            d->series[kept].last->next = d->series[i].first;
        else
            d->series[kept].first = d->series[i].first;
        d->series[kept].last = d->series[i].last;
    }
    d->count = kept + 1;
}

bool remote_answer_decode(Str content_type, Str body, uint64_t frame_bytes_max, Labels hidden,
                          Arena *arena, RemoteAnswer *ret_answer, Error *err)
{
    Decoder d = {.arena = arena, .hidden = hidden, .err = err};
    bool ok;
    if (str_starts_with(content_type, S("application/x-streamed-protobuf"))) {
        ok = read_stream_answer(&d, body, frame_bytes_max);
    } else if (str_starts_with(content_type, S("application/x-protobuf"))) {
        Buf plain = {0};
        ok = snappy_decode(body, REMOTE_ANSWER_BYTES_MAX, &plain, err);
        Str message = ok ? arena_str(arena, buf_str(&plain)) : STR_NONE;
        buf_deinit(&plain);
        ok = ok && read_samples_answer(&d, message);
    } else {
        ok = error_set(err, ERR_INVALID,
                       "remote read answer: unsupported content type \"" STR_FMT "\"",
                       STR_ARG(str_sub(content_type, 0, 100)));
    }
    if (!ok)
        return false;
    sort_series(&d);
    *ret_answer = (RemoteAnswer){d.series, d.count};
    return true;
}

// Samples ----------------------------------------------------------------------------------------------------------------------------

static void columns_grow(SampleColumns *c, size_t *cap, Arena *arena)
{
    size_t more = MAX(*cap * 2, 128u);
    c->t_ms = arena_grow(arena, c->t_ms, *cap * sizeof(int64_t), more * sizeof(int64_t));
    c->value = arena_grow(arena, c->value, *cap * sizeof(double), more * sizeof(double));
    if (c->histograms)
        c->histograms = arena_grow(arena, c->histograms, *cap * sizeof(Histogram *),
                                   more * sizeof(Histogram *));
    *cap = more;
}

static void columns_add(SampleColumns *c, size_t *cap, const SinkSample *sample, Arena *arena)
{
    if (c->count == *cap)
        columns_grow(c, cap, arena);
    if (sample->histogram && !c->histograms) {
        c->histograms = ARENA_ARRAY(arena, const Histogram *, *cap);
        memset(c->histograms, 0, *cap * sizeof(Histogram *));
    }
    c->t_ms[c->count] = sample->t_ms;
    c->value[c->count] = sample->value;
    if (c->histograms)
        c->histograms[c->count] = sample->histogram;
    c->count++;
}

static bool read_float(Str message, SinkSample *ret_sample)
{
    ProtoReader r = proto_reader(message);
    SinkSample sample = {0};
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            sample.value = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            sample.t_ms = (int64_t)r.number;
    }
    *ret_sample = sample;
    return !r.failed;
}

// Samples (field 2) and histograms (field 4) of a TimeSeries.
static bool read_piece_series(const RemotePiece *piece, int64_t min_t_ms, int64_t max_t_ms,
                              Arena *arena, SampleColumns *ret_columns, Error *err)
{
    SampleColumns columns = {0};
    size_t cap = 0;
    ProtoReader r = proto_reader(piece->bytes);
    while (proto_next(&r)) {
        SinkSample sample;
        if (r.wire != PROTO_BYTES || (r.field != 2 && r.field != 4))
            continue;
        bool ok = r.field == 2 ? read_float(r.bytes, &sample)
                               : remote_histogram_decode(r.bytes, arena, &sample);
        if (!ok)
            return error_set(err, ERR_INVALID, "remote read answer: malformed sample");
        if (sample.histogram && !is_stale_nan(sample.histogram->sum) &&
            !histogram_accept(arena, &sample.histogram, err))
            return error_context(err, "remote read answer");
        if (sample.t_ms >= min_t_ms && sample.t_ms <= max_t_ms)
            columns_add(&columns, &cap, &sample, arena);
    }
    *ret_columns = columns;
    return true;
}

// Rising, each time once; the first of equal ones stays.
static bool is_rising(const SampleColumns *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (c->t_ms[i] <= c->t_ms[i - 1])
            return false;
    return true;
}

typedef struct Place {
    int64_t t_ms;
    size_t index;
} Place;

static int compare_places(const void *a, const void *b)
{
    const Place *x = a;
    const Place *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void take(SampleColumns *to, size_t at, const SampleColumns *from, size_t index)
{
    to->t_ms[at] = from->t_ms[index];
    to->value[at] = from->value[index];
    if (to->histograms)
        to->histograms[at] = from->histograms ? from->histograms[index] : NULL;
    if (to->start_ms)
        to->start_ms[at] = from->start_ms ? from->start_ms[index] : 0;
}

static void columns_new(SampleColumns *c, size_t cap, bool histograms, bool starts, Arena *arena)
{
    *c = (SampleColumns){.t_ms = ARENA_ARRAY(arena, int64_t, cap),
                         .value = ARENA_ARRAY(arena, double, cap)};
    if (histograms)
        c->histograms = ARENA_ARRAY(arena, const Histogram *, cap);
    if (starts)
        c->start_ms = ARENA_ARRAY(arena, int64_t, cap);
}

static void sort_columns(SampleColumns *c, Arena *arena)
{
    SampleColumns sorted;
    Place *places = ARENA_ARRAY(arena, Place, c->count);
    for (size_t i = 0; i < c->count; i++)
        places[i] = (Place){c->t_ms[i], i};
    qsort(places, c->count, sizeof *places, compare_places);
    columns_new(&sorted, c->count, c->histograms, c->start_ms, arena);
    for (size_t i = 0; i < c->count; i++)
        if (i == 0 || places[i].t_ms != places[i - 1].t_ms)
            take(&sorted, sorted.count++, c, places[i].index);
    *c = sorted;
}

void remote_columns_merge(const SampleColumns *first, const SampleColumns *second, Arena *arena,
                          SampleColumns *ret_columns)
{
    SampleColumns merged;
    size_t a = 0, b = 0;
    columns_new(&merged, first->count + second->count, first->histograms || second->histograms,
                first->start_ms || second->start_ms, arena);
    while (a < first->count || b < second->count) {
        bool takes_first =
            b == second->count || (a < first->count && first->t_ms[a] <= second->t_ms[b]);
        if (a < first->count && b < second->count && first->t_ms[a] == second->t_ms[b])
            b++;
        if (takes_first)
            take(&merged, merged.count++, first, a++);
        else
            take(&merged, merged.count++, second, b++);
    }
    *ret_columns = merged;
}

bool remote_answer_read(const RemoteInOptions *options, const RemoteAnswerSeries *series,
                        int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                        SampleColumns *ret_columns, Error *err)
{
    SampleColumns all = {0};
    for (const RemotePiece *piece = series->first; piece; piece = piece->next) {
        SampleColumns columns = {0};
        if (piece->kind == PIECE_CHUNK &&
            (piece->max_t_ms < min_t_ms || piece->min_t_ms > max_t_ms))
            continue;
        bool ok = piece->kind == PIECE_CHUNK
                      ? options->decode(piece->encoding, piece->bytes, min_t_ms, max_t_ms, arena,
                                        &columns, err)
                      : read_piece_series(piece, min_t_ms, max_t_ms, arena, &columns, err);
        if (!ok)
            return error_context(err, "remote read");
        if (!is_rising(&columns))
            sort_columns(&columns, arena);
        if (all.count == 0)
            all = columns;
        else if (columns.count) {
            SampleColumns before = all;
            remote_columns_merge(&before, &columns, arena, &all);
        }
    }
    *ret_columns = all;
    return true;
}
