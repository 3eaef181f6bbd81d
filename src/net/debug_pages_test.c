// SPDX-License-Identifier: Apache-2.0
#include "net/debug_pages.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"

typedef struct Answer {
    Arena arena;
    HttpRequest request;
    HttpFakeReply reply;
    DebugSent sent;
} Answer;

static void ask(Answer *answer, const char *target, const char *page)
{
    *answer = (Answer){0};
    http_fake_request(&answer->request, &answer->reply, &answer->arena, S("GET"),
                      str_from_c(target), STR_NONE);
    answer->sent = debug_pages_answer(&answer->request, str_from_c(page));
}

static void answer_deinit(Answer *answer)
{
    buf_deinit(&answer->reply.body);
    arena_deinit(&answer->arena);
}

TEST(debug_pages, each_page_answers_or_says_why_not)
{
    static const struct {
        const char *name;
        int status;
        const char *has;
    } cases[] = {
        {"", 200, "<a href=\"profile?debug=1\">"},
        {"cmdline", 200, "debug_pages_test"},
        {"threadcreate", 200, "threadcreate profile: total 1\n1 # debug_pages"},
        {"profile", 400, "exceeds 300 seconds"},
        {"heap", 404, "heap is a profile of Go's runtime"},
        {"trace", 404, "trace is a profile of Go's runtime"},
        {"nothing", 404, "Unknown profile"},
    };
    EACH_CASE(c, cases) {
        CLEANUP(answer_deinit) Answer answer;
        ask(&answer, "/debug/pprof/x?seconds=301&debug=1", c->name);
        CHECK_EQ(answer.reply.status, c->status);
        CHECK_EQ(answer.sent.status, c->status);
        CHECK_EQ(answer.sent.bytes, answer.reply.body.len);
        CHECK(str_find(buf_str(&answer.reply.body), str_from_c(c->has)) != STR_NOT_FOUND);
    }
}

static _Atomic bool is_over;

static void *spin(void *arg)
{
    pthread_setname_np(pthread_self(), "spinner");
    while (!atomic_load(&is_over))
        ;
    return arg;
}

// What the profile tells of the thread of this name.
static int64_t value_of(Str profile, Str name)
{
    Str strings[64];
    uint64_t values[64] = {0};
    size_t string_count = 0;
    size_t sample_count = 0;
    ProtoReader r = proto_reader(profile);
    while (proto_next(&r)) {
        if (r.field == 6 && string_count < COUNT_OF(strings))
            strings[string_count++] = r.bytes;
        if (r.field == 2 && sample_count < COUNT_OF(values)) {
            ProtoReader sample = proto_reader(r.bytes);
            while (proto_next(&sample))
                if (sample.field == 2)
                    values[sample_count++] = sample.number;
        }
    }
    CHECK(!r.failed);
    CHECK_EQ(string_count, sample_count + 3);
    for (size_t i = 3; i < string_count; i++)
        if (str_equal(strings[i], name))
            return (int64_t)values[i - 3];
    return -1;
}

TEST(debug_pages, a_profile_shows_which_thread_took_the_time)
{
    pthread_t thread;
    CLEANUP(answer_deinit) Answer answer;
    CLEANUP(buf_deinit) Buf profile = {0};
    Error err;
    CHECK_EQ(pthread_create(&thread, NULL, spin, NULL), 0);
    ask(&answer, "/debug/pprof/profile?seconds=1", "profile");
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    CHECK_EQ(answer.reply.status, 200);
    CHECK_OK(gzip_decode(buf_str(&answer.reply.body), 1 << 20, &profile, &err), err);
    int64_t spun = value_of(buf_str(&profile), S("thread spinner"));
    CHECK(spun > value_of(buf_str(&profile), S("thread debug_pages_tes")));
    CHECK(spun > 0 && spun < INT64_C(60000000000));
}

TEST(debug_pages, threads_are_a_profile_unless_text_is_asked_for)
{
    CLEANUP(answer_deinit) Answer answer;
    CLEANUP(buf_deinit) Buf profile = {0};
    Error err;
    ask(&answer, "/debug/pprof/threadcreate", "threadcreate");
    CHECK_OK(gzip_decode(buf_str(&answer.reply.body), 1 << 20, &profile, &err), err);
    CHECK_EQ(value_of(buf_str(&profile), S("thread debug_pages_tes")), 1);
}

TEST_MAIN(debug_pages, TEST_ROW(debug_pages, each_page_answers_or_says_why_not),
          TEST_ROW(debug_pages, threads_are_a_profile_unless_text_is_asked_for),
          TEST_ROW(debug_pages, a_profile_shows_which_thread_took_the_time))
