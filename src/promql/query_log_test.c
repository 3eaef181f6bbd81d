// SPDX-License-Identifier: Apache-2.0
#include "promql/query_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"

typedef struct Fixture {
    char path[64];
    Arena arena;
    QueryTracker *tracker;
    Str unfinished;
    Error err;
} Fixture;

static void start(Fixture *f)
{
    *f = (Fixture){0};
    strcpy(f->path, "/tmp/query_log_test.XXXXXX");
    int fd = mkstemp(f->path);
    CHECK(fd >= 0);
    close(fd);
}

static void reopen(Fixture *f, int slots)
{
    query_tracker_close(f->tracker);
    f->tracker = NULL;
    CHECK_OK(query_tracker_open(str_from_c(f->path), slots, &f->arena, &f->tracker, &f->unfinished,
                                &f->err),
             f->err);
}

static void stop(Fixture *f)
{
    query_tracker_close(f->tracker);
    unlink(f->path);
    arena_deinit(&f->arena);
}

TEST(query_tracker, remembers_what_did_not_end)
{
    Fixture f;
    start(&f);
    reopen(&f, 3);
    CHECK_EQ(f.unfinished.len, 0);

    int first = query_tracker_add(f.tracker, S("up{a=\"<\"}"), 1234567);
    int second = query_tracker_add(f.tracker, S("ended"), 2000);
    (void)query_tracker_add(f.tracker, S("left"), 3000);
    query_tracker_remove(f.tracker, second);
    CHECK_EQ(first, 0);
    reopen(&f, 2);

    CHECK_STR(f.unfinished, S("[{\"query\":\"up{a=\\\"\\u003c\\\"}\",\"timestamp_sec\":1234},"
                              "{\"query\":\"left\",\"timestamp_sec\":3}]"));
    reopen(&f, 2);
    CHECK_EQ(f.unfinished.len, 0);
    stop(&f);
}

TEST(query_tracker, cuts_long_queries_at_a_rune)
{
    static const struct {
        const char *name;
        const char *piece;
    } cases[] = {
        {"ascii", "x"}, {"escapes", "\\\""}, {"three bytes", "\xe2\x98\x83"}, {"controls", "\x01"}};
    EACH_CASE(c, cases) {
        Fixture f;
        Buf query = {0};
        start(&f);
        reopen(&f, 1);
        for (int i = 0; i < 3000; i++)
            buf_add_c(&query, c->piece);
        (void)query_tracker_add(f.tracker, buf_str(&query), 0);
        reopen(&f, 1);
        CHECK(f.unfinished.len > 500 && f.unfinished.len <= QUERY_SLOT_BYTES + 1);
        CHECK(str_is_utf8(f.unfinished));
        CHECK(str_ends_with(f.unfinished, S("\",\"timestamp_sec\":0}]")));
        CHECK(str_find(f.unfinished, S("\xef\xbf\xbd")) == STR_NOT_FOUND);
        buf_deinit(&query);
        stop(&f);
    }
}

TEST(query_tracker, reads_a_file_of_any_kind)
{
    static const struct {
        const char *name;
        Str bytes, want;
    } cases[] = {
        {"empty", STR(""), STR("")},
        {"nothing ran", STR("[\0\0\0\0"), STR("")},
        {"torn entry", STR("[{\"query\":\"a\0\0\0,"), STR("[{\"query\":\"a]")},
        {"not ours", STR("hello"), STR("")},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        FILE *file = fopen(f.path, "w");
        CHECK(fwrite(c->bytes.ptr, 1, c->bytes.len, file) == c->bytes.len);
        fclose(file);
        reopen(&f, 1);
        CHECK_STR(f.unfinished, c->want);
        stop(&f);
    }
}

TEST(query_log, writes_the_fields_of_the_original)
{
    static const QueryStats stats = {.samples_total = 7, .samples_peak = 3, .samples_read = 5};
    static const struct {
        const char *name;
        QueryRequest request;
        Error err;
        const char *want_params, *want_rest;
    } cases[] = {
        {"range from HTTP",
         {.query = STR("up"),
          .is_range = true,
          .start_ms = 1000,
          .end_ms = 100120,
          .step_ms = 7500,
          .origin = {.client_ip = STR("::1"), .method = STR("POST"), .path = STR("/p/api")}},
         {0},
         "\"params\":{\"end\":\"1970-01-01T00:01:40.120Z\",\"query\":\"up\",\"start\":"
         "\"1970-01-01T00:00:01.000Z\",\"step\":7}",
         "\"spanID\":\"0000000000000000\",\"traceID\":\"00000000000000000000000000000000\","
         "\"httpRequest\":{\"clientIP\":\"::1\",\"method\":"
         "\"POST\",\"path\":\"/p/api\"}}\n"},
        {"rule that failed",
         {.query = STR("\"a\""),
          .start_ms = 86400001,
          .origin = {.rule_file = STR("r.yml"), .rule_group = STR("g")}},
         {ERR_TIMEOUT, "query timed out"},
         "\"params\":{\"end\":\"1970-01-02T00:00:00.001Z\",\"query\":\"\\\"a\\\"\",\"start\":"
         "\"1970-01-02T00:00:00.001Z\",\"step\":0},\"error\":\"query timed out\",\"stats\":",
         "\"ruleGroup\":{\"file\":\"r.yml\",\"name\":\"g\"}}\n"},
    };
    EACH_CASE(c, cases) {
        Buf line = {0};
        query_log_line(&line, &c->request, &stats, c->err.text[0] ? &c->err : NULL, 1500);
        Str text = buf_str(&line);
        CHECK(str_starts_with(text, S("{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"INFO\","
                                      "\"msg\":\"promql query logged\",")));
        CHECK(str_find(text, str_from_c(c->want_params)) != STR_NOT_FOUND);
        CHECK(str_find(text, S("\"samples\":{\"totalQueryableSamples\":7,\"samplesRead\":5,"
                               "\"peakSamples\":3}")) != STR_NOT_FOUND);
        CHECK(str_ends_with(text, str_from_c(c->want_rest)));
        buf_deinit(&line);
    }
}

TEST_MAIN(query_log, TEST_ROW(query_tracker, remembers_what_did_not_end),
          TEST_ROW(query_tracker, cuts_long_queries_at_a_rune),
          TEST_ROW(query_tracker, reads_a_file_of_any_kind),
          TEST_ROW(query_log, writes_the_fields_of_the_original))
