// SPDX-License-Identifier: Apache-2.0
// Nanoseconds per scraped line: by last scrape's text or its hash as the guess, by full parse, and by full parse with labels.
#include "metric/exposition.h"

#include <stdio.h>

#include "base/clock.h"

#define SERIES 10000
#define ROUNDS 60

typedef enum Mode { BY_GUESS, BY_HASH, BY_PARSE, WITH_LABELS } Mode;

// What application exporters send: a dozen labels and a counter that moves, 240 bytes; or short lines of 80.
static void make_body(Buf *body, int round, bool is_long)
{
    buf_reset(body);
    buf_add_c(body, "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n");
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

static uint64_t hashes[SERIES];

static bool next_by_memory(Exposition *parser, Mode mode, const Str *guesses, size_t i)
{
    if (i >= SERIES)
        return false;
    if (mode == BY_GUESS)
        return exposition_next_guess(parser, guesses[i]);
    return mode == BY_HASH && exposition_next_hash(parser, (uint32_t)guesses[i].len, hashes[i]);
}

static size_t read_body(Str body, Mode mode, Str *guesses, Arena *arena, double *sum)
{
    static Arena scratch; // for the labels of one series
    Exposition parser;
    Labels labels;
    Error err;
    size_t samples = 0;

    arena_reset(arena);
    exposition_init(&parser, EXPOSITION_TEXT, body, arena);
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

static void measure(const char *what, bool is_long, Mode mode)
{
    static Str guesses[SERIES];
    Buf first = {0};
    Buf body = {0};
    Arena arena = {0};
    double sum = 0;
    size_t samples = 0;
    int64_t best_ns = INT64_MAX; // other work on the machine only adds

    make_body(&first, 0, is_long);
    read_body(buf_str(&first), BY_PARSE, guesses, &arena, &sum);
    for (size_t i = 0; i < SERIES; i++)
        hashes[i] = exposition_series_hash(guesses[i]);
    for (int round = 1; round <= ROUNDS; round++) {
        static Str others[SERIES];
        make_body(&body, round, is_long);
        int64_t begin_ns = clock_mono_ns(&clock_system);
        samples = read_body(buf_str(&body), mode, mode <= BY_HASH ? guesses : others, &arena, &sum);
        best_ns = MIN(best_ns, clock_mono_ns(&clock_system) - begin_ns);
    }
    printf("%-32s %6.1f ns per line of %3zu bytes (%zu lines, sum %.6g)\n", what,
           (double)best_ns / (double)samples, body.len / SERIES, samples, sum);
    buf_deinit(&first);
    buf_deinit(&body);
    arena_deinit(&arena);
}

int main(void)
{
    measure("by guess, long lines", true, BY_GUESS);
    measure("by hash, long lines", true, BY_HASH);
    measure("full parse, long lines", true, BY_PARSE);
    measure("with labels, long lines", true, WITH_LABELS);
    measure("by guess, short lines", false, BY_GUESS);
    measure("by hash, short lines", false, BY_HASH);
    measure("full parse, short lines", false, BY_PARSE);
    measure("with labels, short lines", false, WITH_LABELS);
    return 0;
}
