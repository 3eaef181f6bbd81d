// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <pthread.h>

#include "base/test.h"
#include "codec/protobuf.h"
#include "trace/trace.h"

// What a receiver sees of one span.
typedef struct Seen {
    Str trace_id, span_id, parent_id, name, status_text, exception;
    uint64_t kind, start_ns, end_ns, status;
    size_t attributes;
    char text[400]; // "key=value key=value"
} Seen;

static void read_attribute(Seen *seen, Str bytes)
{
    ProtoReader r = proto_reader(bytes);
    size_t len = strlen(seen->text);
    Str key = STR_NONE;
    while (proto_next(&r)) {
        if (r.field == 1) {
            key = r.bytes;
            continue;
        }
        ProtoReader any = proto_reader(r.bytes);
        CHECK(proto_next(&any));
        char *at = seen->text + len;
        size_t room = sizeof seen->text - len;
        if (any.field == 1)
            snprintf(at, room, STR_FMT "=" STR_FMT " ", STR_ARG(key), STR_ARG(any.bytes));
        else if (any.field == 4)
            snprintf(at, room, STR_FMT "=%g ", STR_ARG(key), proto_double(&any));
        else
            snprintf(at, room, STR_FMT "=%lld ", STR_ARG(key), (long long)any.number);
    }
    CHECK(!r.failed);
    seen->attributes++;
}

static Seen read_span(Str bytes)
{
    Seen seen = {0};
    ProtoReader r = proto_reader(bytes);
    while (proto_next(&r)) {
        Str *const texts[] = {
            [1] = &seen.trace_id, [2] = &seen.span_id, [4] = &seen.parent_id, [5] = &seen.name};
        if (r.field <= 5)
            *texts[r.field] = r.bytes;
        else if (r.field == 6)
            seen.kind = r.number;
        else if (r.field == 7)
            seen.start_ns = r.number;
        else if (r.field == 8)
            seen.end_ns = r.number;
        else if (r.field == 9)
            read_attribute(&seen, r.bytes);
        else if (r.field == 15) {
            ProtoReader status = proto_reader(r.bytes);
            while (proto_next(&status))
                if (status.field == 2)
                    seen.status_text = status.bytes;
                else
                    seen.status = status.number;
        }
    }
    CHECK(!r.failed);
    return seen;
}

// Takes one span; `out` holds what the Seen looks at.
static Seen take(Tracer *tracer, Buf *out)
{
    buf_reset(out);
    CHECK_EQ(tracer_take(tracer, 1, out, 2), 1);
    ProtoReader r = proto_reader(buf_str(out));
    CHECK(proto_next(&r));
    CHECK_EQ(r.field, 2);
    return read_span(r.bytes);
}

TEST(span, without_tracing_there_are_none)
{
    Tracer *tracer = tracer_new();
    Span span, inner, none = {0};
    Buf out = {0};

    span_begin(&span, tracer, NULL, SPAN_SERVER, S("x"));
    span_enter(&span);
    span_open(&inner, S("y"));
    span_str(&inner, "k", S("v"));
    span_fail(&inner, S("no"));
    CHECK(span_current() == NULL);
    CHECK(!span_is_recorded(&span));
    span_end(&inner);
    span_end(&span);
    span_begin(&span, NULL, NULL, SPAN_SERVER, S("x"));
    span_child(&inner, &span, SPAN_CLIENT, S("y"));
    span_end(&inner);
    span_end(&span);
    span_i64(&none, "k", 1);
    span_end(&none);

    CHECK_EQ(tracer_take(tracer, 10, &out, 2), 0);
    CHECK_EQ(tracer_stats(tracer).ended, 0);
    buf_deinit(&out);
    tracer_free(tracer);
}

TEST(span, inner_spans_stand_below_outer_ones)
{
    Tracer *tracer = tracer_new();
    Span outer, inner, apart;
    Buf a = {0}, b = {0}, c = {0};
    tracer_set(tracer, true, 1);

    span_begin(&outer, tracer, NULL, SPAN_SERVER, S("outer"));
    span_enter(&outer);
    span_open(&inner, S("inner"));
    span_str(&inner, "s", S("text"));
    span_i64(&inner, "i", -5);
    span_f64(&inner, "d", 0.5);
    span_bool(&inner, "b", true);
    CHECK(span_current() == &inner);
    span_fail(&inner, S("it broke"));
    span_fail(&inner, S("and again"));
    span_end(&inner);
    CHECK(span_current() == &outer);
    span_child(&apart, &outer, SPAN_CLIENT, S("apart"));
    CHECK(span_current() == &outer);
    span_started_at(&apart, 1000);
    span_end_at(&apart, 3000);
    span_end(&outer);
    CHECK(span_current() == NULL);

    Seen first = take(tracer, &a);
    Seen second = take(tracer, &b);
    Seen third = take(tracer, &c);
    CHECK_STR(first.name, S("inner"));
    CHECK_EQ(first.kind, SPAN_INTERNAL);
    CHECK_STR(str_from_c(first.text), S("s=text i=-5 d=0.5 b=1 "));
    CHECK_EQ(first.status, 2);
    CHECK_STR(first.status_text, S("it broke"));
    CHECK_STR(second.name, S("apart"));
    CHECK_EQ(second.kind, SPAN_CLIENT);
    CHECK_EQ(second.start_ns, 1000);
    CHECK_EQ(second.end_ns, 3000);
    CHECK_STR(third.name, S("outer"));
    CHECK_EQ(third.parent_id.len, 0);
    CHECK_EQ(third.status, 0);
    CHECK_EQ(third.trace_id.len, 16);
    CHECK_EQ(third.span_id.len, 8);
    CHECK_STR(first.trace_id, third.trace_id);
    CHECK_STR(second.trace_id, third.trace_id);
    CHECK_STR(first.parent_id, third.span_id);
    CHECK_STR(second.parent_id, third.span_id);
    CHECK(!str_equal(first.span_id, second.span_id));
    CHECK(first.start_ns >= third.start_ns && first.end_ns <= third.end_ns);
    CHECK(first.start_ns > UINT64_C(1700000000000000000));
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&c);
    tracer_free(tracer);
}

TEST(span, texts_are_cut_and_made_utf8)
{
    static const struct {
        const char *name;
        Str value;
        Str want;
    } cases[] = {
        {"plain", STR("gr\xc3\xbc\xc3\x9f"), STR("gr\xc3\xbc\xc3\x9f")},
        {"a bad byte", STR("a\xffz"), STR("a\xef\xbf\xbdz")},
        {"half a rune", STR("a\xc3"), STR("a\xef\xbf\xbd")},
    };
    Tracer *tracer = tracer_new();
    Buf out = {0};
    tracer_set(tracer, true, 1);
    EACH_CASE(c, cases) {
        Span span;
        span_begin(&span, tracer, NULL, SPAN_CLIENT, c->value);
        span_end(&span);
        CHECK_STR(take(tracer, &out).name, c->want);
    }

    char *big = malloc(2 * SPAN_TEXT_BYTES_MAX + 1);
    for (int i = 0; i < SPAN_TEXT_BYTES_MAX; i++)
        memcpy(big + 2 * i + 1, "\xc3\xbc", 2);
    big[0] = 'x';
    Span span;
    span_begin(&span, tracer, NULL, SPAN_CLIENT, str_make(big, 2 * SPAN_TEXT_BYTES_MAX + 1));
    span_end(&span);
    CHECK_STR(take(tracer, &out).name, str_make(big, SPAN_TEXT_BYTES_MAX - 1));
    free(big);
    buf_deinit(&out);
    tracer_free(tracer);
}

TEST(span, the_fraction_decides_for_roots_and_the_parent_for_the_rest)
{
    static const struct {
        const char *name;
        double fraction;
        int parent; // -1: none, 0: not sampled, 1: sampled
        int low, high;
    } cases[] = {
        {"none", 0, -1, 0, 0},
        {"all", 1, -1, 4000, 4000},
        {"more than all", 2, -1, 4000, 4000},
        {"less than none", -1, -1, 0, 0},
        {"a quarter", 0.25, -1, 700, 1300},
        {"parent sampled", 0, 1, 4000, 4000},
        {"parent not sampled", 1, 0, 0, 0},
    };
    Tracer *tracer = tracer_new();
    EACH_CASE(c, cases) {
        SpanContext parent = {.trace_id = {1}, .span_id = {2}, .sampled = c->parent == 1};
        int sampled = 0;
        tracer_set(tracer, true, c->fraction);
        for (int i = 0; i < 4000; i++) {
            Span span;
            span_begin(&span, tracer, c->parent < 0 ? NULL : &parent, SPAN_SERVER, S("x"));
            CHECK(span.tracer != NULL);
            sampled += span_is_recorded(&span);
            span_end(&span);
        }
        CHECK(sampled >= c->low && sampled <= c->high);
    }
    tracer_free(tracer);
}

static void count_wakes(void *arg)
{
    ++*(int *)arg;
}

TEST(span, what_does_not_fit_is_dropped_and_counted)
{
    Tracer *tracer = tracer_new();
    Buf out = {0};
    int wakes = 0;
    tracer_set(tracer, true, 1);
    tracer_set_wake(tracer, 512, count_wakes, &wakes);
    for (int i = 0; i < 3000; i++) {
        Span span;
        span_begin(&span, tracer, NULL, SPAN_SERVER, S("x"));
        span_end(&span);
    }

    TracerStats stats = tracer_stats(tracer);
    CHECK_EQ(stats.ended, 3000);
    CHECK_EQ(stats.dropped, 952);
    CHECK_EQ(stats.waiting, 2048);
    CHECK_EQ(wakes, 1);
    CHECK_EQ(tracer_take(tracer, 512, &out, 2), 512);
    CHECK_EQ(tracer_take(tracer, 5000, &out, 2), 1536);
    CHECK_EQ(tracer_stats(tracer).waiting, 0);
    buf_deinit(&out);
    tracer_free(tracer);
}

TEST(span, a_traceparent_is_read_as_the_standard_says)
{
#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
    static const struct {
        const char *name; // and header
        bool ok, sampled;
    } cases[] = {
        {"00-" IDS "-01", true, true},
        {"00-" IDS "-00", true, false},
        {"00-" IDS "-03", true, true},
        {"00-" IDS "-02", true, false},
        {"cc-" IDS "-01", true, true},
        {"cc-" IDS "-01-what-comes", true, true},
        {"cc-" IDS "-01.no", false, false},
        {"00-" IDS "-01-more", false, false},
        {"ff-" IDS "-01", false, false},
        {"00-" IDS "-0", false, false},
        {"00-" IDS "-0g", false, false},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false, false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false, false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false, false},
        {"00-0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331-01", false, false},
        {"0x-" IDS "-01", false, false},
        {"", false, false},
        {"-", false, false},
    };
    EACH_CASE(c, cases) {
        SpanContext context = {.span_id = {9}};
        bool ok = span_context_parse(str_from_c(c->name), &context);
        CHECK_EQ(ok, c->ok);
        CHECK_EQ(context.sampled, c->sampled);
        CHECK_EQ(context.span_id[0], ok ? 0xb7 : 9);
        if (ok && str_starts_with(str_from_c(c->name), S("00"))) {
            char out[SPAN_PARENT_BYTES + 1];
            span_context_print(&context, out);
            CHECK_EQ(strlen(out), SPAN_PARENT_BYTES);
            CHECK_EQ(memcmp(out, c->name, SPAN_PARENT_BYTES - 2), 0);
            CHECK_STR(str_from_c(out + 53), c->sampled ? S("01") : S("00"));
        }
    }
}

static void *record(void *arg)
{
    for (int i = 0; i < 500; i++) {
        Span outer, inner;
        span_begin(&outer, arg, NULL, SPAN_SERVER, S("outer"));
        span_enter(&outer);
        span_open(&inner, S("inner"));
        span_i64(&inner, "i", i);
        span_end(&inner);
        span_end(&outer);
    }
    return NULL;
}

TEST(span, threads_record_at_once)
{
    Tracer *tracer = tracer_new();
    pthread_t threads[4];
    Buf out = {0};
    tracer_set(tracer, true, 1);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, record, tracer), 0);
    size_t taken = 0;
    while (taken + tracer_stats(tracer).dropped < 4000)
        taken += tracer_take(tracer, 100, &out, 2);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    ProtoReader r = proto_reader(buf_str(&out));
    size_t read = 0;
    while (proto_next(&r)) {
        Seen seen = read_span(r.bytes);
        CHECK(str_is(seen.name, "outer") || seen.attributes == 1);
        read++;
    }
    CHECK(!r.failed);
    CHECK_EQ(read, taken);
    CHECK_EQ(tracer_stats(tracer).ended, 4000);
    buf_deinit(&out);
    tracer_free(tracer);
}

TEST_MAIN(span, TEST_ROW(span, without_tracing_there_are_none),
          TEST_ROW(span, inner_spans_stand_below_outer_ones),
          TEST_ROW(span, texts_are_cut_and_made_utf8),
          TEST_ROW(span, the_fraction_decides_for_roots_and_the_parent_for_the_rest),
          TEST_ROW(span, what_does_not_fit_is_dropped_and_counted),
          TEST_ROW(span, a_traceparent_is_read_as_the_standard_says),
          TEST_ROW(span, threads_record_at_once))
