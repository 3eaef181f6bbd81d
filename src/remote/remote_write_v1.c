// SPDX-License-Identifier: Apache-2.0
// prometheus.WriteRequest. Facts: prometheus.md section 7.1.
#include "remote/remote_write_internal.h"
#include "remote/remote_write_usual.h"

#define LABEL_TAG 0x0a  // field 1, bytes
#define SAMPLE_TAG 0x12 // field 2, bytes

static const uint8_t *usual_begin(Str message)
{
    return (const uint8_t *)message.ptr;
}

// A Label message.
static bool read_label(Str message, Label *ret_label)
{
    Label label = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1)
            label.name = r.bytes;
        else if (r.field == 2)
            label.value = r.bytes;
    }
    *ret_label = label;
    return !r.failed;
}

// All fields 1 of a message (a TimeSeries, or an Exemplar), as labels.
static bool read_labels(WriteRun *run, Str message, Label **ret_pairs, size_t *ret_count,
                        Error *err)
{
    Label *pairs = NULL;
    size_t count = 0;
    size_t cap = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field != 1 || r.wire != PROTO_BYTES)
            continue;
        if (count == REMOTE_WRITE_LABELS_MAX)
            return error_set(err, ERR_LIMIT, "more than %d labels in one series",
                             REMOTE_WRITE_LABELS_MAX);
        if (count == cap) {
            size_t more = MAX(cap * 2, 16u);
            pairs = arena_grow(&run->scratch, pairs, cap * sizeof *pairs, more * sizeof *pairs);
            cap = more;
        }
        if (!read_label(r.bytes, &pairs[count]))
            return error_set(err, ERR_INVALID, "malformed label");
        count++;
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return true;
}

static bool read_sample(Str message, SinkSample *ret_sample)
{
    ProtoReader r = proto_reader(message);
    SinkSample sample = {.ref = 0};
    while (proto_next(&r)) {
        if (r.field == 1 && r.wire == PROTO_FIXED64)
            sample.value = proto_double(&r);
        else if (r.field == 2 && r.wire == PROTO_VARINT)
            sample.t_ms = (int64_t)r.number;
    }
    *ret_sample = sample;
    return !r.failed;
}

static bool read_exemplar(WriteRun *run, SeriesRef ref, WriteOrigin origin, Str message)
{
    Exemplar exemplar = {.has_t = true};
    Label *pairs;
    size_t count;
    Error err;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field == 2 && r.wire == PROTO_FIXED64)
            exemplar.value = proto_double(&r);
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            exemplar.t_ms = (int64_t)r.number;
    }
    if (r.failed)
        return false;
    // A bad exemplar does not spoil its series.
    if (!read_labels(run, message, &pairs, &count, &err) || !labels_sort(pairs, &count, &err))
        return true;
    exemplar.labels = labels_copy(run->arena, (Labels){pairs, count});
    write_run_exemplar(run, ref, origin, &exemplar);
    return true;
}

// The label fields of a series as they lie in the message, when nothing stands between them; else the
// whole message stands for them (a longer key, but as good).
static Str label_bytes(Str message)
{
    const uint8_t *usual = usual_begin(message);
    const uint8_t *usual_end = usual_skip(usual, usual + message.len, LABEL_TAG);
    if (LIKELY(usual_end > usual && usual_end < usual + message.len && *usual_end == SAMPLE_TAG))
        return str_sub(message, 0, (size_t)(usual_end - usual));
    const char *start = NULL;
    const char *end = NULL;
    ProtoReader r = proto_reader(message);
    const char *before = message.ptr;
    while (proto_next(&r)) {
        const char *at = (const char *)r.reader.at;
        if (r.field == 1 && r.wire == PROTO_BYTES) {
            if (end && end != before)
                return message;
            if (!start)
                start = before;
            end = at;
        } else if (end) {
            // Labels come first in what every sender writes: look no further than the first other field
            // unless labels come again.
            break;
        }
        before = at;
    }
    return start ? str_make(start, (size_t)(end - start)) : STR_NONE;
}

static bool has_later_labels(Str rest)
{
    const uint8_t *usual = usual_begin(rest);
    const uint8_t *usual_end = usual_skip(usual, usual + rest.len, SAMPLE_TAG);
    ProtoReader r = proto_reader(str_skip(rest, (size_t)(usual_end - usual)));
    while (proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES)
            return true;
    return false;
}

static bool read_points(WriteRun *run, SeriesRef ref, WriteOrigin origin, Str points)
{
    int64_t t_ms;
    double value;
    ProtoReader r = proto_reader(points);
    while (usual_sample(&r.reader, &t_ms, &value))
        write_run_float(run, ref, &origin, t_ms, value);
    SinkSample sample;
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES || r.field < 2 || r.field > 4)
            continue;
        bool ok = true;
        if (r.field == 2) {
            ok = read_sample(r.bytes, &sample);
            if (ok)
                write_run_sample(run, ref, origin, sample);
        } else if (r.field == 3) {
            ok = read_exemplar(run, ref, origin, r.bytes);
        } else {
            ok = remote_histogram_decode(r.bytes, run->arena, &sample);
            if (ok)
                write_run_sample(run, ref, origin, sample);
        }
        if (!ok)
            return false;
    }
    return !r.failed;
}

// A TimeSeries: its labels, and what stands behind them.
static bool read_series(WriteRun *run, Str message)
{
    Str labels = label_bytes(message);
    Str rest =
        labels.ptr ? str_skip(message, (size_t)(labels.ptr + labels.len - message.ptr)) : message;
    if (labels.ptr && has_later_labels(rest)) {
        labels = message;
        rest = message;
    }
    WriteOrigin origin = {remote_series_key(run->remote->cache, labels), labels};
    bool created;
    return read_points(run, write_run_series(run, origin, &created), origin, rest);
}

bool remote_write_v1_decode(WriteRun *run, Str message)
{
    run->labels_of = read_labels;
    ProtoReader r = proto_reader(message);
    while (!run->stopped && proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES && !read_series(run, r.bytes))
            return false;
    return run->stopped || !r.failed;
}
