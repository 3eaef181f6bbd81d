// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4.h"

#include "base/test.h"

// The examples of Amazon's documentation and its test suite for Signature Version 4.
TEST(sigv4, signs_the_published_examples)
{
    static const SigV4Keys keys = {
        STR("AKIDEXAMPLE"), STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {NULL, 0}};
    static const Str form[] = {STR("Content-Type: application/x-www-form-urlencoded")};
    static const Str list[] = {
        STR("Content-Type: application/x-www-form-urlencoded; charset=utf-8")};
    static const struct {
        const char *name;
        SigV4Request request;
        const char *signed_names;
        const char *signature;
    } cases[] = {
        {"get-vanilla",
         {.url = STR("https://example.amazonaws.com/"), .service = STR("service")},
         "SignedHeaders=host;x-amz-date,",
         "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"post-vanilla",
         {.method = STR("POST"),
          .url = STR("https://example.amazonaws.com"),
          .service = STR("service")},
         "SignedHeaders=host;x-amz-date,",
         "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"get-vanilla-query-order-key-case",
         {.url = STR("https://example.amazonaws.com/?Param2=value2&Param1=value1"),
          .service = STR("service")},
         "SignedHeaders=host;x-amz-date,",
         "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"post-x-www-form-urlencoded",
         {.method = STR("POST"),
          .url = STR("https://example.amazonaws.com/"),
          .service = STR("service"),
          .headers = form,
          .header_count = 1,
          .body = STR("Param1=value1")},
         "SignedHeaders=content-type;host;x-amz-date,",
         "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
        {"IAM ListUsers",
         {.url = STR("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"),
          .service = STR("iam"),
          .headers = list,
          .header_count = 1},
         "SignedHeaders=content-type;host;x-amz-date,",
         "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        SigV4Request request = c->request;
        Str lines[SIGV4_LINES_MAX];
        size_t count;
        Error err = {0};
        request.region = S("us-east-1");
        request.now_ms = 1440938160000;

        CHECK_OK(sigv4_sign(&request, &keys, &arena, lines, &count, &err), err);

        CHECK_EQ(count, 2);
        CHECK_STR(lines[0], S("X-Amz-Date: 20150830T123600Z"));
        CHECK_HAS(str_to_c(&arena, lines[1]), c->signed_names);
        CHECK_HAS(str_to_c(&arena, lines[1]), c->signature);
    }
}

TEST(sigv4, a_session_token_is_sent_and_signed)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    const SigV4Keys keys = {S("a"), S("b"), S("token")};
    const Str headers[] = {S("X-B:  two   words "), S("x-b: again"), S("X-A: 1")};
    SigV4Request request = {.url = S("http://me@h:8080/a%20b?x"),
                            .headers = headers,
                            .header_count = COUNT_OF(headers),
                            .region = S("r"),
                            .service = S("s")};
    Str lines[SIGV4_LINES_MAX];
    size_t count;
    Error err = {0};

    CHECK_OK(sigv4_sign(&request, &keys, &arena, lines, &count, &err), err);

    CHECK_EQ(count, 3);
    CHECK_STR(lines[1], S("X-Amz-Security-Token: token"));
    CHECK_HAS(str_to_c(&arena, lines[2]),
              "Credential=a/19700101/r/s/aws4_request, "
              "SignedHeaders=host;x-a;x-amz-date;x-amz-security-token;x-b, Signature=");
}

TEST(sigv4, refuses_what_cannot_be_signed)
{
    static const struct {
        const char *name;
        Str url, secret;
        const char *want;
    } cases[] = {
        {"no key", STR("http://h/"), {NULL, 0}, "no access key"},
        {"no scheme", STR("h/"), STR("s"), "without an absolute URL"},
        {"no host", STR("http:///x"), STR("s"), "without a host"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        SigV4Request request = {.url = c->url, .region = S("r"), .service = S("s")};
        const SigV4Keys keys = {.access_key = S("a"), .secret_key = c->secret};
        Str lines[SIGV4_LINES_MAX];
        size_t count;
        Error err = {0};

        CHECK(!sigv4_sign(&request, &keys, &arena, lines, &count, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST_MAIN(sigv4, TEST_ROW(sigv4, signs_the_published_examples),
          TEST_ROW(sigv4, a_session_token_is_sent_and_signed),
          TEST_ROW(sigv4, refuses_what_cannot_be_signed))
