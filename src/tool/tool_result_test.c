// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_result.h"

#include "base/test.h"

static bool read_body(int status, const char *body, Arena *arena, ToolResult *result, Error *err)
{
    ToolAnswer answer = {.status = status, .body = str_from_c(body)};
    ToolEnvelope envelope;
    return tool_envelope_read(&answer, arena, &envelope, err) &&
           tool_result_read(envelope.data, arena, result, err);
}

#define DATA(type, result)                                                                         \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"" type "\",\"result\":" result "}}"

TEST(result, prints_as_promtool)
{
    static const struct {
        const char *name;
        const char *body;
        const char *promql;
        const char *json;
    } cases[] = {
        {"scalar", DATA("scalar", "[1700000000.125,\"1e-7\"]"),
         "scalar: 0.0000001 @[1700000000.125]", "[1700000000.125,\"0.0000001\"]"},
        {"string", DATA("string", "[1,\"a<b\"]"), "a<b", "[1,\"a\\u003cb\"]"},
        {"nothing", DATA("vector", "[]"), "", "[]"},
        {"nothing over time", DATA("matrix", "[]"), "", "[]"},
        {"labels in the order of their texts",
         DATA("vector",
              "[{\"metric\":{\"__name__\":\"m\",\"a\":\"1\",\"a1\":\"2\"},\"value\":[1,\"NaN\"]}]"),
         "m{a1=\"2\", a=\"1\"} => NaN @[1]",
         "[{\"metric\":{\"__name__\":\"m\",\"a\":\"1\",\"a1\":\"2\"},\"value\":[1,\"NaN\"]}]"},
        {"no labels", DATA("vector", "[{\"metric\":{},\"value\":[1,\"-Inf\"]}]"), "{} => -Inf @[1]",
         "[{\"metric\":{},\"value\":[1,\"-Inf\"]}]"},
        {"a name alone", DATA("vector", "[{\"metric\":{\"__name__\":\"m\"},\"value\":[1,\"2\"]}]"),
         "m => 2 @[1]", "[{\"metric\":{\"__name__\":\"m\"},\"value\":[1,\"2\"]}]"},
        {"a matrix is sorted: fewer labels first",
         DATA("matrix", "[{\"metric\":{\"b\":\"1\",\"c\":\"1\"},\"values\":[[1,\"1\"]]},"
                        "{\"metric\":{\"z\":\"1\"},\"values\":[[1,\"2\"],[2,\"3\"]]}]"),
         "{z=\"1\"} =>\n2 @[1]\n3 @[2]\n{b=\"1\", c=\"1\"} =>\n1 @[1]",
         "[{\"metric\":{\"b\":\"1\",\"c\":\"1\"},\"values\":[[1,\"1\"]]},"
         "{\"metric\":{\"z\":\"1\"},\"values\":[[1,\"2\"],[2,\"3\"]]}]"},
        {"a histogram",
         DATA("vector", "[{\"metric\":{},\"histogram\":[1,{\"count\":\"3\",\"sum\":\"1e300\","
                        "\"buckets\":[[0,\"-1e-9\",\"1234567\",\"3\"]]}]}]"),
         "{} => Count: 3.000000, Sum: "
         "10000000000000000525047602552044202487044685811081591549158541151118024579889081957863713"
         "75080"
         "4478740454407567176380512331378164463592308571118137475071000000000000000000000",
         NULL},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf json = {0};
        CLEANUP(buf_deinit) Buf promql = {0};
        ToolResult result;
        Error err = {0};

        CHECK_OK(read_body(200, c->body, &arena, &result, &err), err);
        tool_result_print(&result, TOOL_OUTPUT_JSON, &arena, &json);
        tool_result_print(&result, TOOL_OUTPUT_PROMQL, &arena, &promql);

        if (c->json) {
            CHECK_STR(buf_str(&json), str_from_c(c->json));
            CHECK_STR(buf_str(&promql), str_from_c(c->promql));
        } else {
            buf_add_char(&promql, '\0');
            CHECK_HAS(promql.ptr, "Count: 3.000000, Sum: 1000000000000000052504760255204420248704");
            CHECK_HAS(promql.ptr, "Buckets: [(-1e-09,1.234567e+06]:3] @[1]");
        }
    }
}

TEST(result, failures_read_as_promtools)
{
    static const struct {
        const char *name;
        int status;
        const char *body;
        const char *want;
    } cases[] = {
        {"told by the API", 400,
         "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"1:1: parse error\"}",
         "bad_data: 1:1: parse error"},
        {"no API", 404, "404 page not found\n",
         "client_error: client error: 404 (detail: 404 page not found)"},
        {"not ready", 503, "", "server_error: server error: 503"},
        {"a redirect", 302, "", "bad_response: bad response code 302"},
        {"no JSON", 200, "<html>", "bad_response"},
        {"success as a failure", 422, DATA("vector", "[]"), "inconsistent body for response code"},
        {"unknown type", 200, DATA("table", "[]"), "unexpected value type \"table\""},
        {"no data", 200, "{\"status\":\"success\"}", "unexpected value type"},
        {"a value that is no text", 200, DATA("vector", "[{\"metric\":{},\"value\":[1,2]}]"),
         "a number is not what"},
        {"a sample without value", 200, DATA("vector", "[{\"metric\":{}}]"),
         "a sample is not what"},
        {"a series without labels", 200, DATA("vector", "[{\"value\":[1,\"2\"]}]"),
         "a set of labels is not what"},
        {"a list that is none", 200, DATA("matrix", "[{\"metric\":{},\"values\":1}]"),
         "a list of samples is not what"},
        {"a time out of range", 200, DATA("scalar", "[1e99,\"2\"]"), "a timestamp is not what"},
        {"a bucket of three", 200,
         DATA("vector", "[{\"metric\":{},\"histogram\":[1,{\"count\":\"3\",\"sum\":\"1\","
                        "\"buckets\":[[0,\"1\",\"2\"]]}]}]"),
         "a bucket is not what"},
        {"a bucket with boundaries of its own", 200,
         DATA("vector", "[{\"metric\":{},\"histogram\":[1,{\"count\":\"3\",\"sum\":\"1\","
                        "\"buckets\":[[3e79,\"1\",\"2\",\"3\"]]}]}]"),
         "a bucket's boundary rule is not what"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        ToolResult result;
        Error err = {0};

        CHECK(!read_body(c->status, c->body, &arena, &result, &err));

        CHECK_HAS(err.text, c->want);
    }
}

TEST_MAIN(tool_result, TEST_ROW(result, prints_as_promtool),
          TEST_ROW(result, failures_read_as_promtools))
