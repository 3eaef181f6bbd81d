// SPDX-License-Identifier: Apache-2.0
// Ranges answered in columns.
#include "api/api_test_util.h"
#include "base/number.h"

static Str get_columns(Fixture *f, const char *target, const char *accept)
{
    buf_deinit(&f->reply.body);
    http_fake_request(&f->request, &f->reply, &f->arena, S("GET"), str_from_c(target), S(""));
    HttpPair pair = {S("Accept"), str_from_c(accept)};
    f->request.headers = &pair;
    f->request.header_count = 1;
    api_handle(&f->api, &f->request);
    CHECK(f->reply.ended);
    return buf_str(&f->reply.body);
}

static uint64_t take(Str *bytes, size_t count)
{
    uint64_t value = 0;
    CHECK(bytes->len >= count);
    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)(unsigned char)bytes->ptr[i] << (8 * i);
    *bytes = str_skip(*bytes, count);
    return value;
}

static Str take_text(Str *bytes)
{
    size_t len = take(bytes, 8);
    CHECK(len % 8 == 0 && len <= bytes->len);
    Str text = str_trim(str_sub(*bytes, 0, len));
    *bytes = str_skip(*bytes, len);
    return text;
}

TEST(api_columns, a_range_is_answered_in_columns_to_those_who_take_them)
{
    const char *target = "/api/v1/query_range?query=m&start=1699999998&end=1700000004&step=2";
    Fixture f;
    start(&f);

    Str rest = get_columns(&f, target, "text/html, application/vnd.narthex.columns;q=1");

    CHECK_STR(f.reply.content_type, S("application/vnd.narthex.columns"));
    CHECK(str_starts_with(rest, S("NTXCOL1\n")));
    rest = str_skip(rest, 8);
    CHECK_EQ(take(&rest, 8), 1699999998000);
    CHECK_EQ(take(&rest, 8), 2000);
    CHECK_EQ(take(&rest, 4), 4);
    CHECK_EQ(take(&rest, 4), 2);
    CHECK_STR(take_text(&rest), S("{\"metric\":{\"__name__\":\"m\",\"a\":\"1\"}}"));
    CHECK_EQ(take(&rest, 8), NAN_STALE_BITS); // no sample yet
    for (double want = 0; want < 3; want++)
        CHECK_EQ(take(&rest, 8), double_bits(want));
    CHECK_STR(take_text(&rest),
              S("{\"metric\":{\"__name__\":\"m\",\"a\":\"2\",\"q\":\"\\\"\\u003c\\n\"}}"));
    rest = str_skip(rest, 4 * sizeof(double));
    CHECK_STR(take_text(&rest), S("{\"status\":\"success\"}"));
    CHECK_EQ(rest.len, 0);
    stop(&f);
}

TEST(api_columns, columns_are_cut_warned_of_and_streamed_as_json_is)
{
    Fixture f;
    start(&f);

    Str rest = get_columns(&f,
                           "/api/v1/query_range?query=vector(1)%20or%20m&limit=1&stats=true&"
                           "start=1699990000&end=1700000010&step=1",
                           "application/vnd.narthex.columns");

    CHECK_EQ(f.reply.status, 200);
    rest = str_skip(rest, 24);
    CHECK_EQ(take(&rest, 4), 10011);
    CHECK_EQ(take(&rest, 4), 1);
    CHECK_STR(take_text(&rest), S("{\"metric\":{}}"));
    for (size_t i = 0; i < 10011; i++)
        CHECK_EQ(take(&rest, 8), double_bits(1));
    Str tail = take_text(&rest);
    CHECK(str_starts_with(tail, S("{\"status\":\"success\",\"stats\":{\"timings\":")));
    CHECK(str_ends_with(tail, S("\"warnings\":[\"results truncated due to limit\"]}")));
    CHECK_EQ(rest.len, 0);
    stop(&f);
}

TEST(api_columns, what_is_no_range_or_wrong_is_answered_in_json_all_the_same)
{
    static const struct {
        const char *name, *target, *accept;
    } cases[] = {
        {"an instant", "/api/v1/query?query=m&time=1700000000", "application/vnd.narthex.columns"},
        {"an error", "/api/v1/query_range?query=(&start=0&end=1&step=1",
         "application/vnd.narthex.columns"},
        {"another type", "/api/v1/query_range?query=m&start=0&end=1&step=1",
         "application/vnd.narthex.columns2, */*"},
        {"anything", "/api/v1/query_range?query=m&start=0&end=1&step=1", "*/*"},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        CHECK(str_starts_with(get_columns(&f, c->target, c->accept), S("{\"status\":")));
        CHECK_STR(f.reply.content_type, S("application/json"));
        stop(&f);
    }
}

TEST_MAIN(api_columns, TEST_ROW(api_columns, a_range_is_answered_in_columns_to_those_who_take_them),
          TEST_ROW(api_columns, columns_are_cut_warned_of_and_streamed_as_json_is),
          TEST_ROW(api_columns, what_is_no_range_or_wrong_is_answered_in_json_all_the_same))
