// SPDX-License-Identifier: Apache-2.0
// The message is written as the span grows; what is known at the end alone (times, the way it ended) comes last. Field numbers are those of
// OpenTelemetry's trace.proto and common.proto.
#include <time.h>

#include "base/random.h"
#include "codec/protobuf.h"
#include "trace/trace_internal.h"

#define SPAN_MESSAGE_BYTES_MAX ((size_t)64 << 10)

static _Thread_local Span *current_span;

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_none(const SpanContext *context)
{
    static const unsigned char zeros[16];
    return !context || memcmp(context->trace_id, zeros, 16) == 0;
}

// Numbers need be different, not secret: a generator of each thread, seeded by the kernel. None is zero.
static void make_id(unsigned char *out, size_t bytes)
{
    static _Thread_local Random random;
    static _Thread_local bool seeded;
    if (!seeded) {
        uint64_t seed;
        random_system(&seed, sizeof seed);
        random_seed(&random, seed);
        seeded = true;
    }
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t number = random_u64(&random) | 1;
        memcpy(out + i, &number, 8);
    }
}

// ---- values ----

// Protobuf's strings are UTF-8, and receivers refuse a whole batch for one that is not.
static void add_text(Buf *buf, uint32_t field, Str text)
{
    Str rest = str_sub(text, 0, SPAN_TEXT_BYTES_MAX);
    // A rune that the cut went through goes whole.
    if (rest.len < text.len)
        while (rest.len && ((unsigned char)text.ptr[rest.len] & 0xc0) == 0x80)
            rest.len--;
    if (str_is_utf8(rest)) {
        proto_add_bytes(buf, field, rest);
        return;
    }
    size_t begin = proto_begin(buf, field);
    while (rest.len) {
        uint32_t rune;
        size_t len = str_rune(rest, &rune);
        if (rune == 0xfffd)
            buf_add_c(buf, "\xef\xbf\xbd");
        else
            buf_add_str(buf, str_sub(rest, 0, len));
        rest = str_skip(rest, len);
    }
    proto_end(buf, begin);
}

void span_add_attribute(Buf *buf, uint32_t field, const char *key, Str value)
{
    size_t pair = proto_begin(buf, field);
    proto_add_bytes(buf, 1, str_from_c(key));
    size_t any = proto_begin(buf, 2);
    add_text(buf, 1, value);
    proto_end(buf, any);
    proto_end(buf, pair);
}

void span_str(Span *span, const char *key, Str value)
{
    if (span_is_recorded(span))
        span_add_attribute(&span->message, 9, key, value);
}

typedef enum AnyField { ANY_BOOL = 2, ANY_INT = 3, ANY_DOUBLE = 4 } AnyField;

static void add_number(Buf *buf, uint32_t at, const char *key, AnyField field, int64_t integer,
                       double real)
{
    size_t pair = proto_begin(buf, at);
    proto_add_bytes(buf, 1, str_from_c(key));
    size_t any = proto_begin(buf, 2);
    if (field == ANY_DOUBLE)
        proto_add_double(buf, field, real);
    else
        proto_add_varint(buf, field, (uint64_t)integer);
    proto_end(buf, any);
    proto_end(buf, pair);
}

void span_i64(Span *span, const char *key, int64_t value)
{
    if (span_is_recorded(span))
        add_number(&span->message, 9, key, ANY_INT, value, 0);
}

void span_f64(Span *span, const char *key, double value)
{
    if (span_is_recorded(span))
        add_number(&span->message, 9, key, ANY_DOUBLE, 0, value);
}

void span_bool(Span *span, const char *key, bool value)
{
    if (span_is_recorded(span))
        add_number(&span->message, 9, key, ANY_BOOL, value, 0);
}

void span_strs(Span *span, const char *key, const Str *values, size_t count)
{
    if (!span_is_recorded(span))
        return;
    Buf *buf = &span->message;
    size_t pair = proto_begin(buf, 9);
    proto_add_bytes(buf, 1, str_from_c(key));
    size_t any = proto_begin(buf, 2);
    size_t list = proto_begin(buf, 5);
    for (size_t i = 0; i < count; i++) {
        size_t item = proto_begin(buf, 1);
        add_text(buf, 1, values[i]);
        proto_end(buf, item);
    }
    proto_end(buf, list);
    proto_end(buf, any);
    proto_end(buf, pair);
}

void span_event(Span *span, Str name, const SpanAttribute *attributes, size_t count)
{
    if (!span_is_recorded(span))
        return;
    Buf *buf = &span->message;
    size_t event = proto_begin(buf, 11);
    proto_add_fixed64(buf, 1, (uint64_t)clock_ns(CLOCK_REALTIME));
    proto_add_bytes(buf, 2, name);
    for (size_t i = 0; i < count; i++)
        if (attributes[i].text.ptr)
            span_add_attribute(buf, 3, attributes[i].key, attributes[i].text);
        else
            add_number(buf, 3, attributes[i].key, ANY_INT, attributes[i].number, 0);
    proto_end(buf, event);
}

static void add_status(Buf *buf, Str why)
{
    size_t status = proto_begin(buf, 15);
    if (why.len)
        add_text(buf, 2, why);
    proto_add_varint(buf, 3, 2);
    proto_end(buf, status);
}

void span_fail_quietly(Span *span)
{
    if (!span_is_recorded(span) || span->failed)
        return;
    span->failed = true;
    add_status(&span->message, STR_NONE);
}

// An event "exception", and the status.
void span_fail(Span *span, Str why)
{
    if (!span_is_recorded(span) || span->failed)
        return;
    const SpanAttribute about[] = {{"exception.type", S("Error"), 0},
                                   {"exception.message", why.len ? why : S(""), 0}};
    span->failed = true;
    span_event(span, S("exception"), about, COUNT_OF(about));
    add_status(&span->message, why);
}

// ---- life ----

static void write_head(Span *span, const SpanContext *parent, SpanKind kind, Str name)
{
    Buf *buf = &span->message;
    buf_init(buf, SPAN_MESSAGE_BYTES_MAX);
    proto_add_bytes(buf, 1, str_make((const char *)span->context.trace_id, 16));
    proto_add_bytes(buf, 2, str_make((const char *)span->context.span_id, 8));
    if (parent)
        proto_add_bytes(buf, 4, str_make((const char *)parent->span_id, 8));
    add_text(buf, 5, name);
    proto_add_varint(buf, 6, kind);
}

void span_begin(Span *span, Tracer *tracer, const SpanContext *parent, SpanKind kind, Str name)
{
    span->tracer = NULL;
    if (!tracer_is_on(tracer))
        return;
    *span = (Span){.tracer = tracer};
    make_id(span->context.span_id, 8);
    if (is_none(parent)) {
        parent = NULL;
        make_id(span->context.trace_id, 16);
        span->context.sampled = tracer_samples(tracer, span->context.trace_id);
    } else {
        memcpy(span->context.trace_id, parent->trace_id, 16);
        span->context.sampled = parent->sampled;
    }
    if (!span->context.sampled)
        return;
    span->start_ns = clock_ns(CLOCK_REALTIME);
    span->start_mono_ns = clock_ns(CLOCK_MONOTONIC);
    write_head(span, parent, kind, name);
}

void span_child(Span *span, const Span *parent, SpanKind kind, Str name)
{
    span_begin(span, parent->tracer, &parent->context, kind, name);
}

void span_open(Span *span, Str name)
{
    span->tracer = NULL;
    if (!current_span)
        return;
    span_child(span, current_span, SPAN_INTERNAL, name);
    span_enter(span);
}

bool span_open_recorded(Span *span, Str name)
{
    span->tracer = NULL;
    if (current_span && span_is_recorded(current_span))
        span_open(span, name);
    return span->tracer != NULL;
}

void span_enter(Span *span)
{
    if (!span->tracer)
        return;
    span->outer = current_span;
    span->entered = true;
    current_span = span;
}

Span *span_current(void)
{
    return current_span;
}

void span_started_at(Span *span, int64_t wall_ns)
{
    if (!span->tracer)
        return;
    span->start_ns = wall_ns;
    span->start_mono_ns = 0;
}

void span_end_at(Span *span, int64_t wall_ns)
{
    if (!span->tracer)
        return;
    if (span->entered) {
        ASSERT(current_span == span);
        current_span = span->outer;
    }
    if (span_is_recorded(span)) {
        proto_add_fixed64(&span->message, 7, (uint64_t)span->start_ns);
        proto_add_fixed64(&span->message, 8, (uint64_t)MAX(wall_ns, span->start_ns));
        tracer_put(span->tracer, &span->message);
    }
    span->tracer = NULL;
}

void span_end(Span *span)
{
    int64_t now_ns = 0;
    if (span_is_recorded(span))
        now_ns = span->start_mono_ns
                     ? span->start_ns + (clock_ns(CLOCK_MONOTONIC) - span->start_mono_ns)
                     : clock_ns(CLOCK_REALTIME);
    span_end_at(span, now_ns);
}

// ---- traceparent: W3C Trace Context, level 1 ----

static bool read_hex(Str text, unsigned char *out)
{
    unsigned char any = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] << 4 | digit : digit);
        any |= (unsigned char)digit;
    }
    return any != 0;
}

bool span_context_parse(Str text, SpanContext *ret_context)
{
    unsigned char version[1] = {0};
    unsigned char flags[1] = {0};
    SpanContext context = {0};
    if (text.len < SPAN_PARENT_BYTES || text.ptr[2] != '-' || text.ptr[35] != '-' ||
        text.ptr[52] != '-')
        return false;
    bool first = str_starts_with(text, S("00"));
    if (!first && (!read_hex(str_sub(text, 0, 2), version) || version[0] == 0xff))
        return false;
    // Later versions may have more behind it.
    if (text.len > SPAN_PARENT_BYTES && (first || text.ptr[SPAN_PARENT_BYTES] != '-'))
        return false;
    if (!read_hex(str_sub(text, 3, 32), context.trace_id) ||
        !read_hex(str_sub(text, 36, 16), context.span_id))
        return false;
    Str last = str_sub(text, 53, 2);
    if (!str_is(last, "00") && !read_hex(last, flags))
        return false;
    context.sampled = flags[0] & 1;
    *ret_context = context;
    return true;
}

static char *write_hex(char *at, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

void span_context_print(const SpanContext *context, char out[SPAN_PARENT_BYTES + 1])
{
    char *at = out;
    memcpy(at, "00-", 3);
    at = write_hex(at + 3, context->trace_id, 16);
    *at++ = '-';
    at = write_hex(at, context->span_id, 8);
    memcpy(at, context->sampled ? "-01" : "-00", 4);
}
