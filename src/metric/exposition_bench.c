// SPDX-License-Identifier: Apache-2.0
// Nanoseconds per scraped line and bytes per second: by last scrape's text or its hash as the guess, by full parse, and by full parse with
// labels; text, OpenMetrics and protobuf, beside memchr for newlines over the same bytes, which is what merely looking at them costs.
#include "metric/exposition.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/protobuf.h"

#define SERIES 10000
#define ROUNDS 60

typedef enum Mode { BY_GUESS, BY_HASH, BY_PARSE, WITH_LABELS, BY_MEMCHR } Mode;
typedef enum Page { TEXT_LONG, TEXT_SHORT, OPENMETRICS_LONG, PROTOBUF_LONG } Page;

// What application exporters send: a dozen labels and a counter that moves, 240 bytes; or short lines of 80.
static void make_text(Buf *body, int round, bool is_long)
{
    for (int i = 0; i < SERIES; i++) {
        if (is_long)
            buf_printf(body,
                       "http_requests_total{cluster=\"eu-west-1\",namespace=\"team-%03d\",pod="
                       "\"api-%05d\","
                       "container=\"server\",method=\"GET\",code=\"200\",handler=\"/api/v1/"
                       "items\",zone=\"b\","
                       "node=\"node-%04d\",version=\"v1.22.%d\",tenant=\"t%04d\",shard=\"%02d\"} ",
                       i % 100, i, i % 500, i % 30, i % 2000, i % 16);
        else
            buf_printf(body, "http_requests_total{pod=\"api-%05d\",method=\"GET\",code=\"200\"} ",
                       i);
        if (i % 3 == 0)
            buf_printf(body, "%d\n", i * 7 + round);
        else if (i % 3 == 1)
            buf_printf(body, "%.3f\n", i * 1.125 + round);
        else
            buf_printf(body, "%.6e\n", i * 1234.5 + round);
    }
}

static void add_label(Buf *metric, const char *name, const char *value)
{
    size_t at = proto_begin(metric, 1);
    proto_add_bytes(metric, 1, str_from_c(name));
    proto_add_bytes(metric, 2, str_from_c(value));
    proto_end(metric, at);
}

// One family with the long lines' labels.
static void make_protobuf(Buf *body, int round)
{
    static const char *const labels[][2] = {
        {"cluster", "eu-west-1"},
        {"namespace", "team-001"},
        {"container", "server"},
        {"method", "GET"},
        {"code", "200"},
        {"handler", "/api/v1/items"},
        {"zone", "b"},
        {"node", "node-0001"},
        {"version", "v1.22.1"},
        {"tenant", "t0001"},
        {"shard", "01"},
    };
    CLEANUP(buf_deinit) Buf family = {0};
    proto_add_bytes(&family, 1, S("http_requests_total"));
    proto_add_bytes(&family, 2, S("Requests."));
    proto_add_varint(&family, 3, 0);
    for (int i = 0; i < SERIES; i++) {
        char pod[32];
        snprintf(pod, sizeof pod, "api-%05d", i);
        size_t metric = proto_begin(&family, 4);
        add_label(&family, "pod", pod);
        for (size_t l = 0; l < COUNT_OF(labels); l++)
            add_label(&family, labels[l][0], labels[l][1]);
        size_t counter = proto_begin(&family, 3);
        proto_add_double(&family, 1, i * 7 + round);
        proto_end(&family, counter);
        proto_end(&family, metric);
    }
    buf_add_uvarint(body, family.len);
    buf_add_str(body, buf_str(&family));
}

static void make_body(Buf *body, int round, Page page)
{
    buf_reset(body);
    if (page == PROTOBUF_LONG) {
        make_protobuf(body, round);
        return;
    }
    buf_add_c(body, page == OPENMETRICS_LONG
                        ? "# HELP http_requests Requests.\n# TYPE http_requests counter\n"
                        : "# HELP http_requests_total Requests.\n"
                          "# TYPE http_requests_total counter\n");
    make_text(body, round, page != TEXT_SHORT);
    if (page == OPENMETRICS_LONG)
        buf_add_c(body, "# EOF\n");
}

static ExpositionFormat format_of(Page page)
{
    return page == PROTOBUF_LONG      ? EXPOSITION_PROTOBUF
           : page == OPENMETRICS_LONG ? EXPOSITION_OPENMETRICS
                                      : EXPOSITION_TEXT;
}

static uint64_t hashes[SERIES];

static bool next_by_memory(Exposition *parser, Mode mode, const Str *guesses, size_t i)
{
    if (i >= SERIES)
        return false;
    if (mode == BY_GUESS)
        return exposition_next_guess(parser, guesses[i]);
    return mode == BY_HASH && exposition_next_hash(parser, (uint32_t)guesses[i].len, hashes[i]);
}

static size_t count_lines(Str body)
{
    size_t lines = 0;
    const char *end = body.ptr + body.len;
    for (const char *at = body.ptr; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        lines++;
    return lines;
}

static size_t read_body(Str body, Page page, Mode mode, Str *guesses, Arena *arena, double *sum)
{
    static Arena scratch; // for the labels of one series
    Exposition parser;
    Labels labels;
    Error err;
    size_t samples = 0;

    if (mode == BY_MEMCHR)
        return count_lines(body);
    arena_reset(arena);
    exposition_init(&parser, format_of(page), body, arena);
    for (;;) {
        if (!next_by_memory(&parser, mode, guesses, samples) && !exposition_next(&parser))
            break;
        if (parser.kind != EXPOSITION_SAMPLE)
            continue;
        if (mode == WITH_LABELS) {
            arena_reset(&scratch);
            if (!exposition_labels(&parser, &scratch, &labels, &err))
                break;
        }
        *sum += parser.value;
        if (mode != BY_GUESS && mode != BY_HASH)
            guesses[samples] = parser.series_text;
        samples++;
    }
    return samples;
}

// What a scrape keeps of the page before.
static void remember(Str body, Page page, Str *guesses, Arena *arena)
{
    Exposition parser;

    exposition_init(&parser, format_of(page), body, arena);
    for (size_t i = 0; exposition_next(&parser);) {
        if (parser.kind != EXPOSITION_SAMPLE)
            continue;
        guesses[i] = parser.series_text;
        hashes[i++] = exposition_sample_hash(&parser);
    }
}

static void measure(const char *what, Page page, Mode mode)
{
    static Str guesses[SERIES];
    Buf first = {0};
    Buf body = {0};
    Arena arena = {0};
    double sum = 0;
    size_t samples = 0;
    int64_t best_ns = INT64_MAX; // other work on the machine only adds

    make_body(&first, 0, page);
    Arena kept = {0};
    remember(buf_str(&first), page, guesses, &kept);
    for (int round = 1; round <= ROUNDS; round++) {
        static Str others[SERIES];
        make_body(&body, round, page);
        int64_t begin_ns = clock_mono_ns(&clock_system);
        samples =
            read_body(buf_str(&body), page, mode, mode <= BY_HASH ? guesses : others, &arena, &sum);
        best_ns = MIN(best_ns, clock_mono_ns(&clock_system) - begin_ns);
    }
    printf("%-32s %6.1f ns per line of %3zu bytes, %6.2f GB/s (%zu lines, sum %.6g)\n", what,
           (double)best_ns / SERIES, body.len / SERIES, (double)body.len / (double)best_ns, samples,
           sum);
    buf_deinit(&first);
    buf_deinit(&body);
    arena_deinit(&arena);
    arena_deinit(&kept);
}

int main(void)
{
    measure("memchr, long lines", TEXT_LONG, BY_MEMCHR);
    measure("text by guess, long lines", TEXT_LONG, BY_GUESS);
    measure("text by hash, long lines", TEXT_LONG, BY_HASH);
    measure("text, long lines", TEXT_LONG, BY_PARSE);
    measure("text with labels, long lines", TEXT_LONG, WITH_LABELS);
    measure("memchr, short lines", TEXT_SHORT, BY_MEMCHR);
    measure("text by guess, short lines", TEXT_SHORT, BY_GUESS);
    measure("text by hash, short lines", TEXT_SHORT, BY_HASH);
    measure("text, short lines", TEXT_SHORT, BY_PARSE);
    measure("text with labels, short lines", TEXT_SHORT, WITH_LABELS);
    measure("memchr, openmetrics", OPENMETRICS_LONG, BY_MEMCHR);
    measure("openmetrics by hash", OPENMETRICS_LONG, BY_HASH);
    measure("openmetrics", OPENMETRICS_LONG, BY_PARSE);
    measure("openmetrics with labels", OPENMETRICS_LONG, WITH_LABELS);
    measure("memchr, protobuf", PROTOBUF_LONG, BY_MEMCHR);
    measure("protobuf by hash", PROTOBUF_LONG, BY_HASH);
    measure("protobuf", PROTOBUF_LONG, BY_PARSE);
    measure("protobuf with labels", PROTOBUF_LONG, WITH_LABELS);
    return 0;
}
