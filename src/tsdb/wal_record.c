// SPDX-License-Identifier: Apache-2.0
#include "tsdb/wal_record.h"

#include "base/varint.h"

enum { START_NONE = 0, START_SAME = 1, START_TOLD = 2 };
enum {
    PLACE_BYTES_MAX = 10 + 10 + 1 + 10
}; // of version 2: ref, time, how the start is told, start

#define LABELS_MAX 100000 // of one series or exemplar in a record

WalRecordWriter wal_record_begin(Buf *out, WalRecordType type)
{
    WalRecordWriter writer = {.out = out, .start = out->len, .type = type};
    buf_add_char(out, (char)type);
    return writer;
}

// --- writing ---

static void add_str(Buf *out, Str s)
{
    buf_add_uvarint(out, s.len);
    buf_add_str(out, s);
}

static void add_labels(Buf *out, Labels labels)
{
    buf_add_uvarint(out, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        add_str(out, labels.pairs[i].name);
        add_str(out, labels.pairs[i].value);
    }
}

static uint8_t *put_str(uint8_t *at, Str s)
{
    size_t len = s.len;

    while (len >= 0x80) {
        *at++ = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    *at++ = (uint8_t)len;
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

void wal_record_series(WalRecordWriter *w, uint64_t ref, Labels labels)
{
    size_t bytes = 8 + 10; // ref and count
    uint64_t be = __builtin_bswap64(ref);

    for (size_t i = 0; i < labels.count; i++)
        bytes += 20 + labels.pairs[i].name.len + labels.pairs[i].value.len;
    if (!buf_reserve(w->out, bytes))
        return;
    buf_add(w->out, &be, 8);
    buf_add_uvarint(w->out, labels.count);
    uint8_t *start = (uint8_t *)w->out->ptr + w->out->len;
    uint8_t *at = start;
    for (size_t i = 0; i < labels.count; i++) {
        at = put_str(at, labels.pairs[i].name);
        at = put_str(at, labels.pairs[i].value);
    }
    w->out->len += (size_t)(at - start);
    w->count++;
}

// What samples, exemplars and histograms begin with: ref and time, against the first of the record.
static void add_place(WalRecordWriter *w, uint64_t ref, int64_t t_ms)
{
    if (w->count == 0) {
        w->first_ref = ref;
        w->first_t = t_ms;
        buf_add_u64be(w->out, ref);
        buf_add_u64be(w->out, (uint64_t)t_ms);
    }
    buf_add_varint(w->out, (int64_t)(ref - w->first_ref));
    buf_add_varint(w->out, (int64_t)((uint64_t)t_ms - (uint64_t)w->first_t));
    w->count++;
}

void wal_record_samples(WalRecordWriter *w, const WalSample *samples, size_t count)
{
    enum { SAMPLE_BYTES_MAX = 10 + 10 + 8 };

    if (!count)
        return;
    uint8_t *start = (uint8_t *)buf_reserve(w->out, 16 + count * SAMPLE_BYTES_MAX);
    if (!start)
        return;
    uint8_t *at = start;
    if (w->count == 0) {
        w->first_ref = samples[0].ref;
        w->first_t = samples[0].t_ms;
        uint64_t be = __builtin_bswap64(w->first_ref);
        memcpy(at, &be, 8);
        be = __builtin_bswap64((uint64_t)w->first_t);
        memcpy(at + 8, &be, 8);
        at += 16;
    }
    for (size_t i = 0; i < count; i++) {
        at = put_varint(at, (int64_t)(samples[i].ref - w->first_ref));
        at = put_varint(at, (int64_t)((uint64_t)samples[i].t_ms - (uint64_t)w->first_t));
        uint64_t be = __builtin_bswap64(double_bits(samples[i].value));
        memcpy(at, &be, 8);
        at += 8;
    }
    w->out->len += (size_t)(at - start);
    w->count += count;
}

// The same with a start: refs against the one before, a byte that says how the start is told.
static uint8_t *put_place_v2(WalRecordWriter *w, uint8_t *at, const WalSample *s, int64_t start_ms)
{
    if (w->count++ == 0) {
        at = put_varint(put_varint(at, (int64_t)s->ref), s->t_ms);
        at = put_varint(at, start_ms);
        w->first_t = s->t_ms;
        w->first_start_ms = start_ms;
    } else {
        bool told = start_ms && start_ms != w->start_ms;
        at = put_varint(at, (int64_t)(s->ref - w->ref));
        at = put_varint(at, (int64_t)((uint64_t)s->t_ms - (uint64_t)w->first_t));
        *at++ = !start_ms ? START_NONE : told ? START_TOLD : START_SAME;
        if (told)
            at = put_varint(at, (int64_t)((uint64_t)start_ms - (uint64_t)w->first_start_ms));
    }
    w->ref = s->ref;
    w->start_ms = start_ms;
    return at;
}

static void add_place_v2(WalRecordWriter *w, uint64_t ref, int64_t t_ms, int64_t start_ms)
{
    uint8_t *at = (uint8_t *)buf_reserve(w->out, PLACE_BYTES_MAX);

    if (at)
        w->out->len +=
            (size_t)(put_place_v2(w, at, &(WalSample){.ref = ref, .t_ms = t_ms}, start_ms) - at);
}

void wal_record_samples_v2(WalRecordWriter *w, const WalSample *samples, const int64_t *start_ms,
                           size_t count)
{
    uint8_t *start = (uint8_t *)buf_reserve(w->out, count * (PLACE_BYTES_MAX + 8));
    uint8_t *at = start;

    if (!start)
        return;
    for (size_t i = 0; i < count; i++) {
        at = put_place_v2(w, at, &samples[i], start_ms ? start_ms[i] : 0);
        uint64_t be = __builtin_bswap64(double_bits(samples[i].value));
        memcpy(at, &be, 8);
        at += 8;
    }
    w->out->len += (size_t)(at - start);
}

void wal_record_tombstone(WalRecordWriter *w, uint64_t ref, Interval interval)
{
    buf_add_u64be(w->out, ref);
    buf_add_varint(w->out, interval.min_t_ms);
    buf_add_varint(w->out, interval.max_t_ms);
    w->count++;
}

void wal_record_exemplar(WalRecordWriter *w, uint64_t ref, const Exemplar *exemplar)
{
    add_place(w, ref, exemplar->t_ms);
    buf_add_u64be(w->out, double_bits(exemplar->value));
    add_labels(w->out, exemplar->labels);
}

void wal_record_marker(WalRecordWriter *w, uint64_t ref, uint64_t chunk_ref)
{
    buf_add_u64be(w->out, ref);
    buf_add_u64be(w->out, chunk_ref);
    w->count++;
}

void wal_record_metadata(WalRecordWriter *w, uint64_t ref, Metadata metadata)
{
    buf_add_uvarint(w->out, ref);
    buf_add_char(w->out, (char)metadata.type);
    buf_add_uvarint(w->out, 2);
    add_str(w->out, S("UNIT"));
    add_str(w->out, metadata.unit);
    add_str(w->out, S("HELP"));
    add_str(w->out, metadata.help);
    w->count++;
}

WalRecordType wal_record_histogram_type(const Histogram *h, bool with_starts)
{
    if (with_starts)
        return h->is_integer ? WAL_HISTOGRAMS_V2 : WAL_FLOAT_HISTOGRAMS_V2;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return h->is_integer ? WAL_CUSTOM_HISTOGRAMS : WAL_CUSTOM_FLOAT_HISTOGRAMS;
    return h->is_integer ? WAL_HISTOGRAMS : WAL_FLOAT_HISTOGRAMS;
}

static void add_spans(Buf *out, const HistogramSpan *spans, uint32_t count)
{
    buf_add_uvarint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        buf_add_varint(out, spans[i].offset);
        buf_add_uvarint(out, spans[i].length);
    }
}

static void add_buckets(Buf *out, const Histogram *h, const double *buckets, uint32_t count)
{
    int64_t before = 0;

    buf_add_uvarint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (h->is_integer) {
            int64_t bucket = buckets[i] >= 0x1p63 ? INT64_MAX : (int64_t)buckets[i];
            buf_add_varint(out, (int64_t)((uint64_t)bucket - (uint64_t)before));
            before = bucket;
        } else {
            buf_add_u64be(out, double_bits(buckets[i]));
        }
    }
}

static void add_count(Buf *out, const Histogram *h, double count)
{
    if (h->is_integer) // 2^64 is what a count near it was rounded to
        buf_add_uvarint(out, count >= 0x1p64 ? UINT64_MAX : count > 0 ? (uint64_t)count : 0);
    else
        buf_add_u64be(out, double_bits(count));
}

void wal_record_histogram(WalRecordWriter *w, uint64_t ref, int64_t t_ms, int64_t start_ms,
                          const Histogram *h)
{
    if (w->type == WAL_HISTOGRAMS_V2 || w->type == WAL_FLOAT_HISTOGRAMS_V2)
        add_place_v2(w, ref, t_ms, start_ms);
    else
        add_place(w, ref, t_ms);
    wal_record_histogram_body(w->out, h);
}

void wal_record_histogram_body(Buf *out, const Histogram *h)
{
    buf_add_char(out, (char)h->hint);
    buf_add_varint(out, h->schema);
    buf_add_u64be(out, double_bits(h->zero_threshold));
    add_count(out, h, h->zero_count);
    add_count(out, h, h->count);
    buf_add_u64be(out, double_bits(h->sum));
    add_spans(out, h->positive_spans, h->positive_span_count);
    add_spans(out, h->negative_spans, h->negative_span_count);
    add_buckets(out, h, h->positive_buckets, h->positive_count);
    add_buckets(out, h, h->negative_buckets, h->negative_count);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        buf_add_uvarint(out, h->custom_count);
        for (uint32_t i = 0; i < h->custom_count; i++)
            buf_add_u64be(out, double_bits(h->custom_bounds[i]));
    }
}

void wal_record_labels(Buf *out, Labels labels)
{
    add_labels(out, labels);
}

// --- reading ---

WalRecordReader wal_record_read(Str record, Arena *arena)
{
    WalRecordReader reader = {.in = reader_from(record), .arena = arena};
    uint8_t type = reader_u8(&reader.in);

    reader.type = type <= WAL_FLOAT_HISTOGRAMS_V2 ? (WalRecordType)type : 0;
    reader.failed = reader.in.failed;
    return reader;
}

static Labels get_labels(WalRecordReader *r)
{
    uint64_t count = reader_uvarint(&r->in);

    if (count > LABELS_MAX || count > reader_left(&r->in)) {
        r->in.failed = true;
        return LABELS_NONE;
    }
    Label *pairs = ARENA_ARRAY(r->arena, Label, count);
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = reader_str(&r->in);
        pairs[i].value = reader_str(&r->in);
    }
    return (Labels){pairs, (size_t)count};
}

static void get_place(WalRecordReader *r, WalEntry *e)
{
    if (r->count == 0) {
        r->first_ref = reader_u64be(&r->in);
        r->first_t = (int64_t)reader_u64be(&r->in);
    }
    e->ref = r->first_ref + (uint64_t)reader_varint(&r->in);
    e->t_ms = (int64_t)((uint64_t)r->first_t + (uint64_t)reader_varint(&r->in));
}

// Version 2: ref against the entry before, time against the first; a start time that we have no use for.
static void get_place_v2(WalRecordReader *r, WalEntry *e)
{
    if (r->count == 0) {
        r->ref = (uint64_t)reader_varint(&r->in);
        r->first_t = reader_varint(&r->in);
        r->first_st = reader_varint(&r->in);
        r->st = r->first_st;
        e->ref = r->ref;
        e->t_ms = r->first_t;
        e->start_ms = r->st;
        return;
    }
    r->ref += (uint64_t)reader_varint(&r->in);
    e->ref = r->ref;
    e->t_ms = (int64_t)((uint64_t)r->first_t + (uint64_t)reader_varint(&r->in));
    uint8_t marker = reader_u8(&r->in);
    if (marker == START_NONE)
        r->st = 0;
    else if (marker == START_TOLD)
        r->st = (int64_t)((uint64_t)r->first_st + (uint64_t)reader_varint(&r->in));
    else if (marker != START_SAME)
        r->in.failed = true;
    e->start_ms = r->st;
}

static double get_double(WalRecordReader *r)
{
    return double_from_bits(reader_u64be(&r->in));
}

static const HistogramSpan *get_spans(WalRecordReader *r, uint32_t *ret_count)
{
    uint64_t count = reader_uvarint(&r->in);

    if (count > HISTOGRAM_BUCKETS_MAX || count > reader_left(&r->in)) {
        r->in.failed = true;
        return NULL;
    }
    HistogramSpan *spans = ARENA_ARRAY(r->arena, HistogramSpan, count);
    for (size_t i = 0; i < count; i++) {
        spans[i].offset = (int32_t)reader_varint(&r->in);
        spans[i].length = (uint32_t)reader_uvarint(&r->in);
    }
    *ret_count = (uint32_t)count;
    return spans;
}

static const double *get_doubles(WalRecordReader *r, bool deltas, uint32_t *ret_count)
{
    uint64_t count = reader_uvarint(&r->in);
    uint64_t sum = 0;

    if (count > HISTOGRAM_BUCKETS_MAX || count > reader_left(&r->in)) {
        r->in.failed = true;
        return NULL;
    }
    double *values = ARENA_ARRAY(r->arena, double, count);
    for (size_t i = 0; i < count; i++) {
        if (deltas)
            sum += (uint64_t)reader_varint(&r->in);
        values[i] = deltas ? (double)(int64_t)sum : get_double(r);
    }
    *ret_count = (uint32_t)count;
    return values;
}

static Histogram *get_histogram(WalRecordReader *r, bool is_integer)
{
    Histogram *h = ARENA_NEW(r->arena, Histogram);
    uint8_t hint = reader_u8(&r->in);

    if (hint > HINT_GAUGE)
        r->in.failed = true;
    h->hint = (HistogramHint)hint;
    h->is_integer = is_integer;
    h->schema = (int32_t)reader_varint(&r->in);
    h->zero_threshold = get_double(r);
    h->zero_count = is_integer ? (double)reader_uvarint(&r->in) : get_double(r);
    h->count = is_integer ? (double)reader_uvarint(&r->in) : get_double(r);
    h->sum = get_double(r);
    h->positive_spans = get_spans(r, &h->positive_span_count);
    h->negative_spans = get_spans(r, &h->negative_span_count);
    h->positive_buckets = get_doubles(r, is_integer, &h->positive_count);
    h->negative_buckets = get_doubles(r, is_integer, &h->negative_count);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        h->custom_bounds = get_doubles(r, false, &h->custom_count);
    Error err = {0};
    // A stale marker is empty; anything else has to obey the model's rules before it comes near a chunk.
    if (!r->in.failed && !is_stale_nan(h->sum) && !histogram_validate(h, &err))
        r->in.failed = true;
    return h;
}

// Reads with what reads records, from somewhere else.
static WalRecordReader reader_at(Reader *in, Arena *arena)
{
    return (WalRecordReader){.in = *in, .arena = arena};
}

const Histogram *wal_record_read_histogram_body(Reader *in, bool is_integer, Arena *arena)
{
    WalRecordReader reader = reader_at(in, arena);
    const Histogram *h = get_histogram(&reader, is_integer);
    *in = reader.in;
    return h;
}

Labels wal_record_read_labels(Reader *in, Arena *arena)
{
    WalRecordReader reader = reader_at(in, arena);
    Labels labels = get_labels(&reader);
    *in = reader.in;
    return labels;
}

static void get_metadata(WalRecordReader *r, WalEntry *e)
{
    e->ref = reader_uvarint(&r->in);
    uint8_t type = reader_u8(&r->in);
    uint64_t fields = reader_uvarint(&r->in);

    e->metadata = (Metadata){.type = type <= METRIC_STATESET ? (MetricType)type : METRIC_UNKNOWN};
    for (uint64_t i = 0; i < fields && !r->in.failed; i++) {
        Str name = reader_str(&r->in);
        Str value = reader_str(&r->in);
        if (str_equal(name, S("UNIT")))
            e->metadata.unit = value;
        else if (str_equal(name, S("HELP")))
            e->metadata.help = value;
    }
}

static void get_exemplar(WalRecordReader *r, WalEntry *e)
{
    get_place(r, e);
    e->exemplar.value = get_double(r);
    e->exemplar.labels = get_labels(r);
    e->exemplar.t_ms = e->t_ms;
    e->exemplar.has_t = true;
}

static void get_entry(WalRecordReader *r, WalEntry *e)
{
    switch (r->type) {
    case WAL_SERIES:
        e->ref = reader_u64be(&r->in);
        e->labels = get_labels(r);
        break;
    case WAL_SAMPLES:
        get_place(r, e);
        e->value = get_double(r);
        break;
    case WAL_SAMPLES_V2:
        get_place_v2(r, e);
        e->value = get_double(r);
        break;
    case WAL_TOMBSTONES:
        e->ref = reader_u64be(&r->in);
        e->interval.min_t_ms = reader_varint(&r->in);
        e->interval.max_t_ms = reader_varint(&r->in);
        break;
    case WAL_EXEMPLARS:
        get_exemplar(r, e);
        break;
    case WAL_MMAP_MARKERS:
        e->ref = reader_u64be(&r->in);
        e->chunk_ref = reader_u64be(&r->in);
        break;
    case WAL_METADATA:
        get_metadata(r, e);
        break;
    case WAL_HISTOGRAMS:
    case WAL_CUSTOM_HISTOGRAMS:
    case WAL_FLOAT_HISTOGRAMS:
    case WAL_CUSTOM_FLOAT_HISTOGRAMS:
        get_place(r, e);
        e->histogram =
            get_histogram(r, r->type == WAL_HISTOGRAMS || r->type == WAL_CUSTOM_HISTOGRAMS);
        break;
    case WAL_HISTOGRAMS_V2:
    case WAL_FLOAT_HISTOGRAMS_V2:
        get_place_v2(r, e);
        e->histogram = get_histogram(r, r->type == WAL_HISTOGRAMS_V2);
        break;
    }
}

bool wal_record_next(WalRecordReader *r, WalEntry *ret_entry)
{
    if (r->failed || r->type == 0 || r->in.at == r->in.end)
        return false;
    *ret_entry = (WalEntry){0};
    get_entry(r, ret_entry);
    r->failed = r->in.failed;
    r->count++;
    return !r->failed;
}

// Entries that cannot reach the end of the record.
static size_t quick_samples(WalRecordReader *r, WalSample *samples, size_t max)
{
    WalQuickSamples quick = wal_quick_begin(r);
    size_t count = 0;

    while (count < max && wal_quick_next(&quick, &samples[count]))
        count++;
    wal_quick_end(&quick, r);
    return count;
}

// The same of version 2, up to one that has a start.
static size_t quick_samples_v2(WalRecordReader *r, WalSample *samples, int64_t *start_ms,
                               size_t max)
{
    const uint8_t *at = r->in.at;
    size_t count = 0;

    for (; count < max && r->in.end - at >= PLACE_BYTES_MAX + 8; count++) {
        int64_t ref_delta;
        int64_t t_delta;
        uint64_t be;
        const uint8_t *next = wal_quick_varint(wal_quick_varint(at, &ref_delta), &t_delta);
        if (UNLIKELY(next - at > 10 || *next != START_NONE))
            break;
        memcpy(&be, next + 1, 8);
        r->ref += (uint64_t)ref_delta;
        samples[count] = (WalSample){r->ref, (int64_t)((uint64_t)r->first_t + (uint64_t)t_delta),
                                     double_from_bits(__builtin_bswap64(be))};
        start_ms[count] = 0;
        at = next + 9;
    }
    if (count)
        r->st = 0;
    r->in.at = at;
    r->count += count;
    return count;
}

size_t wal_record_next_samples(WalRecordReader *r, WalSample *samples, int64_t *start_ms,
                               size_t max)
{
    WalEntry entry;
    size_t count = 0;

    while (count < max) {
        if (r->type == WAL_SAMPLES && r->count > 0 && !r->failed) {
            size_t quick = quick_samples(r, samples + count, max - count);
            if (start_ms)
                memset(start_ms + count, 0, quick * sizeof *start_ms);
            count += quick;
        } else if (r->type == WAL_SAMPLES_V2 && r->count > 0 && !r->failed) {
            count += quick_samples_v2(r, samples + count, start_ms + count, max - count);
        }
        if (count == max)
            break;
        if (!wal_record_next(r, &entry))
            break;
        samples[count] = (WalSample){entry.ref, entry.t_ms, entry.value};
        if (start_ms)
            start_ms[count] = entry.start_ms;
        count++;
    }
    return count;
}
