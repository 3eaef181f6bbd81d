// SPDX-License-Identifier: Apache-2.0
// io.prometheus.write.v2.Request: strings stand once in a table, series refer to it. Facts: prometheus.md 7.1.
#include "metric/type_unit.h"
#include "remote/remote_write_internal.h"
#include "remote/remote_write_usual.h"

// The uint32s of a labels_refs field, packed or not, go on behind *count.
static bool add_refs(const ProtoReader *r, uint32_t *refs, size_t *count)
{
    Reader packed = reader_from(r->bytes);
    uint64_t number = r->number;
    bool is_packed = r->wire == PROTO_BYTES;
    while (!is_packed || proto_packed_next(&packed, PROTO_VARINT, &number)) {
        if (*count == REMOTE_WRITE_LABELS_MAX * 2)
            return false;
        refs[(*count)++] = (uint32_t)MIN(number, UINT32_MAX);
        if (!is_packed)
            return true;
    }
    return !packed.failed;
}

static bool read_refs(Str message, uint32_t *refs, size_t *ret_count)
{
    size_t count = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        if (r.field == 1 && (r.wire == PROTO_BYTES || r.wire == PROTO_VARINT) &&
            !add_refs(&r, refs, &count))
            return false;
    *ret_count = count;
    return !r.failed;
}

static bool read_labels(WriteRun *run, Str message, Label **ret_pairs, size_t *ret_count,
                        Error *err)
{
    uint32_t *refs = ARENA_ARRAY(&run->scratch, uint32_t, REMOTE_WRITE_LABELS_MAX * 2);
    size_t count = 0;
    if (!read_refs(message, refs, &count))
        return error_set(err, ERR_LIMIT,
                         "malformed label references, or more than %d labels in one series",
                         REMOTE_WRITE_LABELS_MAX);
    if (count % 2 != 0)
        return error_set(err, ERR_INVALID, "invalid labelRefs length %zu", count);
    Label *pairs = ARENA_ARRAY(&run->scratch, Label, MAX(count / 2, 1u));
    for (size_t i = 0; i < count; i += 2) {
        if (refs[i] >= run->symbol_count || refs[i + 1] >= run->symbol_count)
            return error_set(err, ERR_INVALID,
                             "labelRefs %u (name) = %u (value) outside of symbols table (size %zu)",
                             refs[i], refs[i + 1], run->symbol_count);
        pairs[i / 2] = (Label){run->symbols[refs[i]], run->symbols[refs[i + 1]]};
    }
    *ret_pairs = pairs;
    *ret_count = count / 2;
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
        else if (r.field == 3 && r.wire == PROTO_VARINT)
            sample.start_ms = (int64_t)r.number;
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
    if (!read_labels(run, message, &pairs, &count, &err)) {
        write_run_complain(run, "parsing exemplar for series " STR_FMT ": %s",
                           STR_ARG(write_run_text(run, origin)), err.text);
        return true;
    }
    if (!labels_sort(pairs, &count, &err))
        return true; // a bad exemplar does not spoil its series
    exemplar.labels = labels_copy(run->arena, (Labels){pairs, count});
    write_run_exemplar(run, ref, origin, &exemplar);
    return true;
}

static Str symbol(const WriteRun *run, uint64_t ref)
{
    return ref < run->symbol_count ? run->symbols[ref] : STR_NONE;
}

// False: it is malformed.
static bool read_metadata(const WriteRun *run, Str message, Metadata *ret_metadata)
{
    static const MetricType types[] = {METRIC_UNKNOWN,   METRIC_COUNTER,         METRIC_GAUGE,
                                       METRIC_HISTOGRAM, METRIC_GAUGE_HISTOGRAM, METRIC_SUMMARY,
                                       METRIC_INFO,      METRIC_STATESET};
    Metadata metadata = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.wire != PROTO_VARINT)
            continue;
        if (r.field == 1 && r.number < COUNT_OF(types))
            metadata.type = types[r.number];
        else if (r.field == 3)
            metadata.help = symbol(run, r.number);
        else if (r.field == 4)
            metadata.unit = symbol(run, r.number);
    }
    *ret_metadata = metadata;
    return !r.failed;
}

// Of a TimeSeries; nothing is known if there is none.
static Metadata metadata_of(const WriteRun *run, Str message)
{
    Metadata metadata = {0};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        if (r.field == 5 && r.wire == PROTO_BYTES)
            (void)read_metadata(run, r.bytes, &metadata);
    return metadata;
}

// References mean other strings in each request, so the key is made of the strings' own keys.
static RemoteSeriesKey key_of(WriteRun *run, Str message)
{
    uint32_t refs[REMOTE_WRITE_LABELS_MAX * 2];
    size_t count = 0;
    buf_reset(&run->key_buf);
    if (!read_refs(message, refs, &count))
        count = 0; // reading the labels will tell
    for (size_t i = 0; i < count; i++) {
        RemoteSeriesKey key =
            refs[i] < run->symbol_count ? run->symbol_keys[refs[i]] : (RemoteSeriesKey){0, refs[i]};
        buf_add(&run->key_buf, &key, sizeof key);
    }
    if (UNLIKELY(run->remote->options.type_and_unit_labels)) {
        Metadata metadata = metadata_of(run, message);
        buf_add(&run->key_buf, &metadata.type, sizeof metadata.type);
        buf_add_str(&run->key_buf, metadata.unit);
    }
    return remote_series_key(run->remote->cache, buf_str(&run->key_buf));
}

// [1 2 3 4]
static Str refs_text(WriteRun *run, Str message)
{
    uint32_t refs[REMOTE_WRITE_LABELS_MAX * 2];
    size_t count = 0;
    Buf text = {0};
    if (!read_refs(message, refs, &count))
        count = 0;
    buf_add_char(&text, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, i ? " %u" : "%u", refs[i]);
    buf_add_char(&text, ']');
    Str copy = arena_str(&run->scratch, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

// The labels of a TimeSeries; with type-and-unit-labels its type and unit are among them, whatever the sender has there.
static bool read_series_labels(WriteRun *run, Str message, Label **ret_pairs, size_t *ret_count,
                               Error *err)
{
    Label *pairs;
    size_t count;
    if (!read_labels(run, message, &pairs, &count, err))
        return error_context(err, "parsing labels for series " STR_FMT,
                             STR_ARG(refs_text(run, message)));
    if (run->remote->options.type_and_unit_labels)
        pairs = type_unit_replace(pairs, &count, metadata_of(run, message), &run->scratch);
    *ret_pairs = pairs;
    *ret_count = count;
    return true;
}

// False: malformed. Strings that are not in the table are complained of. Metadata that are not there refer to the first, as
// protobuf has it.
static bool check_metadata(WriteRun *run, Str series, Str metadata, bool *ret_good)
{
    uint64_t help = 0, unit = 0;
    Error err = {0};
    Label *pairs;
    size_t count;
    ProtoReader r = proto_reader(metadata);
    while (proto_next(&r)) {
        if (r.wire == PROTO_VARINT && r.field == 3)
            help = r.number;
        else if (r.wire == PROTO_VARINT && r.field == 4)
            unit = r.number;
    }
    *ret_good = help < run->symbol_count && unit < run->symbol_count;
    if (LIKELY(*ret_good) || r.failed)
        return !r.failed;
    arena_reset(&run->scratch);
    bool is_unit = unit >= run->symbol_count;
    if (read_series_labels(run, series, &pairs, &count, &err))
        write_run_complain(run,
                           "parsing metadata for series " STR_FMT
                           ": metadata %s %llu outside of symbols table (size %zu)",
                           STR_ARG(refs_text(run, series)), is_unit ? "unit_ref" : "help_ref",
                           (unsigned long long)(is_unit ? unit : help), run->symbol_count);
    else
        write_run_complain(run, "%s", err.text);
    return true;
}

// What one TimeSeries holds, found before anything of it is written.
typedef struct SeriesParts {
    size_t samples, histograms;
    Str metadata;
} SeriesParts;

static bool count_parts(Str message, SeriesParts *ret_parts)
{
    SeriesParts parts = {0};
    int64_t t_ms;
    double value;
    ProtoReader r = proto_reader(message);
    while (true) {
        if (usual_sample(&r.reader, &t_ms, &value)) {
            parts.samples++;
            continue;
        }
        if (!proto_next(&r))
            break;
        if (r.wire != PROTO_BYTES)
            continue;
        parts.samples += r.field == 2;
        parts.histograms += r.field == 3;
        if (r.field == 5)
            parts.metadata = r.bytes;
    }
    *ret_parts = parts;
    return !r.failed;
}

static bool read_points(WriteRun *run, SeriesRef ref, WriteOrigin origin, Str message)
{
    int64_t t_ms;
    double value;
    SinkSample sample;
    ProtoReader r = proto_reader(message);
    while (!run->stopped) {
        if (usual_sample(&r.reader, &t_ms, &value)) {
            write_run_float(run, ref, &origin, t_ms, value);
            continue;
        }
        if (!proto_next(&r))
            break;
        if (r.wire != PROTO_BYTES || r.field < 2 || r.field > 4)
            continue;
        bool ok;
        if (r.field == 2) {
            ok = read_sample(r.bytes, &sample);
            if (ok)
                write_run_sample(run, ref, origin, sample);
        } else if (r.field == 3) {
            ok = remote_histogram_decode(r.bytes, run->arena, &sample);
            if (ok)
                write_run_sample(run, ref, origin, sample);
        } else {
            ok = read_exemplar(run, ref, origin, r.bytes);
        }
        if (!ok)
            return false;
    }
    return !r.failed;
}

static bool read_series(WriteRun *run, Str message)
{
    SeriesParts parts;
    bool created = false;
    if (!count_parts(message, &parts))
        return false;
    bool good;
    if (!check_metadata(run, message, parts.metadata, &good))
        return false;
    if (!good)
        return true;
    run->series_samples = parts.samples + parts.histograms;
    WriteOrigin origin = {key_of(run, message), message};
    if (run->series_samples == 0) {
        if (write_run_check(run, origin))
            write_run_complain(run,
                               "TimeSeries must contain at least one sample or histogram for "
                               "series " STR_FMT,
                               STR_ARG(write_run_text(run, origin)));
        return true;
    }
    SeriesRef ref = write_run_series(run, origin, &created);
    if (!ref)
        return true;
    // Of a known series the metadata is not taken again.
    Metadata metadata;
    if (created && parts.metadata.len && read_metadata(run, parts.metadata, &metadata))
        run->appender->metadata(run->appender, ref, metadata);
    if (parts.metadata.len == 0 && run->remote->without_metadata)
        counter_add(run->remote->without_metadata, (double)run->series_samples);
    return read_points(run, ref, origin, message);
}

// The table may stand behind the series that need it: it is read first.
static bool read_symbols(WriteRun *run, Str message)
{
    size_t count = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        count += r.field == 4 && r.wire == PROTO_BYTES;
    if (r.failed)
        return false;
    run->symbols = ARENA_ARRAY(run->arena, Str, MAX(count, 1u));
    run->symbol_keys = ARENA_ARRAY(run->arena, RemoteSeriesKey, MAX(count, 1u));
    r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field != 4 || r.wire != PROTO_BYTES)
            continue;
        run->symbols[run->symbol_count] = r.bytes;
        run->symbol_keys[run->symbol_count++] = remote_series_key(run->remote->cache, r.bytes);
    }
    return true;
}

bool remote_write_v2_decode(WriteRun *run, Str message)
{
    run->labels_of = read_series_labels;
    if (!read_symbols(run, message))
        return false;
    ProtoReader r = proto_reader(message);
    while (!run->stopped && proto_next(&r))
        if (r.field == 5 && r.wire == PROTO_BYTES && !read_series(run, r.bytes))
            return false;
    return !r.failed;
}
