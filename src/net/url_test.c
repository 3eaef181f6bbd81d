// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include "base/test.h"
#include "net/http_gzip.h"

TEST(url, decodes_as_go)
{
    static const struct {
        const char *name;
        Str text;
        bool plus_is_space;
        bool want_ok;
        Str want;
    } cases[] = {
        {"plain", STR("abc"), true, true, STR("abc")},
        {"escape", STR("a%20b"), false, true, STR("a b")},
        {"plus in parameter", STR("a+b"), true, true, STR("a b")},
        {"plus in path", STR("a+b"), false, true, STR("a+b")},
        {"lower and upper", STR("%c3%A4"), false, true, STR("\xc3\xa4")},
        {"cut escape", STR("a%2"), true, false, STR("")},
        {"escape at end", STR("a%"), true, false, STR("")},
        {"not hexadecimal", STR("%zz"), true, false, STR("")},
        {"nul byte", STR("%00"), true, true, STR("\0")},
        {"empty", STR(""), true, true, STR("")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Str got = STR_NONE;
        bool ok = url_decode(c->text, c->plus_is_space, &arena, &got);
        CHECK_EQ(ok, c->want_ok);
        CHECK_STR(got, c->want);
    }
    arena_deinit(&arena);
}

TEST(url, parameters_keep_order_and_drop_malformed)
{
    Arena arena = {0};
    UrlParams params = {0};
    bool malformed = false;
    Error err;

    CHECK_OK(url_params_add(&params, S("match[]=up&a&b=&&match%5B%5D=x%3D1&c=%zz&d=1;2&e=f=g"),
                            &arena, &malformed, &err),
             err);

    static const HttpPair want[] = {{STR("match[]"), STR("up")},
                                    {STR("a"), STR("")},
                                    {STR("b"), STR("")},
                                    {STR("match[]"), STR("x=1")},
                                    {STR("e"), STR("f=g")}};
    CHECK(malformed);
    CHECK_EQ(params.count, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        CHECK_STR(params.items[i].name, want[i].name);
        CHECK_STR(params.items[i].value, want[i].value);
    }
    arena_deinit(&arena);
}

TEST(url, too_many_parameters_are_refused)
{
    Arena arena = {0};
    UrlParams params = {0};
    Buf text = {0};
    Error err;
    for (int i = 0; i <= URL_PARAMS_MAX; i++)
        buf_add_c(&text, "a=1&");

    CHECK(!url_params_add(&params, buf_str(&text), &arena, NULL, &err));

    CHECK_EQ(err.code, ERR_LIMIT);
    buf_deinit(&text);
    arena_deinit(&arena);
}

TEST(url, escapes_as_go)
{
    static const struct {
        const char *name;
        Str text;
        Str want_query;
        Str want_path;
    } cases[] = {
        {"space", STR("a b"), STR("a+b"), STR("a%20b")},
        {"slash and plus", STR("a/b+c"), STR("a%2Fb%2Bc"), STR("a%2Fb+c")},
        {"utf-8", STR("\xc3\xa4"), STR("%C3%A4"), STR("%C3%A4")},
        {"unreserved", STR("-_.~"), STR("-_.~"), STR("-_.~")},
        {"nul", STR("\0"), STR("%00"), STR("%00")},
    };

    EACH_CASE(c, cases) {
        Buf query = {0};
        Buf path = {0};
        url_add_query_escaped(&query, c->text);
        url_add_path_escaped(&path, c->text);
        CHECK_STR(buf_str(&query), c->want_query);
        CHECK_STR(buf_str(&path), c->want_path);
        buf_deinit(&query);
        buf_deinit(&path);
    }
}

TEST(url, splits_host_and_port)
{
    static const struct {
        const char *name;
        Str text;
        bool want_ok;
        Str want_host;
        Str want_port;
    } cases[] = {
        {"host", STR("localhost:9090"), true, STR("localhost"), STR("9090")},
        {"no host", STR(":9090"), true, STR(""), STR("9090")},
        {"v6", STR("[::1]:80"), true, STR("::1"), STR("80")},
        {"bare v6", STR("::1"), false, STR(""), STR("")},
        {"no port", STR("localhost"), false, STR(""), STR("")},
        {"open bracket", STR("[::1:80"), false, STR(""), STR("")},
    };

    EACH_CASE(c, cases) {
        Str host = STR_NONE;
        Str port = STR_NONE;
        Error err;
        CHECK_EQ(url_split_host_port(c->text, &host, &port, &err), c->want_ok);
        CHECK_STR(host, c->want_host);
        CHECK_STR(port, c->want_port);
    }
}

TEST(url, encoding_is_the_first_that_we_know)
{
    static const struct {
        const char *name;
        Str header;
        HttpEncoding want;
    } cases[] = {
        {"absent", STR(""), HTTP_ENCODING_IDENTITY},
        {"gzip", STR("gzip"), HTTP_ENCODING_GZIP},
        {"order counts", STR("br, deflate, gzip"), HTTP_ENCODING_DEFLATE},
        {"q is ignored", STR("gzip;q=0.1, deflate;q=1"), HTTP_ENCODING_GZIP},
        {"star is not a name", STR("*"), HTTP_ENCODING_IDENTITY},
        {"part of a name", STR("gzipx"), HTTP_ENCODING_IDENTITY},
    };

    EACH_CASE(c, cases)
        CHECK_EQ(http_encoding_choose(c->header), c->want);
}

TEST_MAIN(url, TEST_ROW(url, decodes_as_go),
          TEST_ROW(url, parameters_keep_order_and_drop_malformed),
          TEST_ROW(url, too_many_parameters_are_refused), TEST_ROW(url, escapes_as_go),
          TEST_ROW(url, splits_host_and_port), TEST_ROW(url, encoding_is_the_first_that_we_know))
