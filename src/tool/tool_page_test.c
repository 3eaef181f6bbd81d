// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_page.h"

#include "base/test.h"
#include "tool/tool_lint.h"
#include "tool/tool_write_request.h"

TEST(page, gathers_the_lines_of_a_family)
{
    Str text = S("# HELP h Text with \\\\ and \\n.\n"
                 "# TYPE h histogram\n"
                 "h_bucket{a=\"x\",le=\"0.5\"} 1\n"
                 "h_bucket{le=\"+Inf\",a=\"x\"} 3 1500\n"
                 "h_sum{a=\"x\"} 2.5\n"
                 "h_count{a=\"x\"} 3\n"
                 "h_count{a=\"y\"} 7\n"
                 "# TYPE s SUMMARY\n"
                 "s{quantile=\"0.9\"} 4\n"
                 "s_bucket 1\n"
                 "# HELP without samples\n"
                 "{\"a.b\",\"c.d\"=\"e\\\"\"} NaN\n");
    CLEANUP(arena_deinit) Arena arena = {0};
    Page page;
    Error err = {0};

    CHECK_OK(page_read(text, &arena, &page, &err), err);

    CHECK_EQ(page.count, 4);
    const PageFamily *histogram = page.items[0];
    CHECK_STR(histogram->help, S("Text with \\ and \n."));
    CHECK_EQ(histogram->type, PAGE_HISTOGRAM);
    CHECK_EQ(histogram->metric_count, 2);
    CHECK_EQ(histogram->metrics[0].part_count, 2);
    CHECK_DOUBLE(histogram->metrics[0].parts[0].bound, 0.5);
    CHECK_DOUBLE(histogram->metrics[0].parts[1].value, 3);
    CHECK_DOUBLE(histogram->metrics[0].sum, 2.5);
    CHECK_DOUBLE(histogram->metrics[1].count, 7);
    CHECK_EQ(histogram->metrics[0].t_ms, 1500);
    CHECK_EQ(histogram->metrics[0].label_count, 1);
    CHECK_EQ(page.items[1]->type, PAGE_SUMMARY);
    // A summary has no buckets: this is a metric of its own.
    CHECK_STR(page.items[2]->name, S("s_bucket"));
    CHECK_STR(page.items[3]->name, S("a.b"));
    CHECK_STR(page.items[3]->metrics[0].labels[0].value, S("e\""));
}

TEST(page, tells_the_line_of_a_mistake)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"no newline at the end", STR("a 1\nb 2"), "line 2: unexpected end of input stream"},
        {"comment without newline", STR("# x"), "line 1: unexpected end"},
        {"value", STR("a 1\n\nb x\n"), "line 3: expected float as value, got \"x\""},
        {"blank behind the value", STR("a 1 \n"), "expected integer as timestamp, got \"\""},
        {"behind the timestamp", STR("a 1 2 3\n"), "spurious string after timestamp: \" 3\""},
        {"second HELP", STR("# HELP a x\n# HELP a y\n"),
         "line 2: second HELP line for metric name"},
        {"TYPE behind samples", STR("a 1\n# TYPE a gauge\n"), "TYPE reported after samples"},
        {"type of the histogram by its part", STR("# TYPE a histogram\n# TYPE a_sum counter\n"),
         "second TYPE line for metric name \"a\""},
        {"unknown type", STR("# TYPE a b\n"), "unknown metric type \"b\""},
        {"escape in help", STR("# HELP a \\t\n"), "invalid escape sequence '\\t'"},
        {"escape in a value", STR("a{b=\"\\t\"} 1\n"), "invalid escape sequence '\\t'"},
        {"line break in a value", STR("a{b=\"c\nd\"} 1\n"), "contains unescaped new-line"},
        {"label twice", STR("a{b=\"\",b=\"\"} 1\n"), "duplicate label names for metric \"a\""},
        {"__name__", STR("a{__name__=\"b\"} 1\n"), "\"__name__\" is reserved"},
        {"no metric name", STR("{a=\"b\"} 1\n"), "must stand first"},
        {"empty braces", STR("{} 1\n"), "invalid metric name"},
        {"two metric names", STR("{\"a\",\"b\"} 1\n"), "expected '=' after label name"},
        {"label in single quotes", STR("a{b='c'} 1\n"), "expected '\"' at start of label value"},
        {"value is not UTF-8", STR("a{b=\"\xff\"} 1\n"), "not UTF-8"},
        {"bound", STR("# TYPE a histogram\na_bucket{le=\"x\"} 1\n"),
         "expected float as value for 'le'"},
        {"negative bucket", STR("# TYPE a histogram\na_bucket{le=\"1\"} -1\n"), "negative bucket"},
        {"end inside braces", STR("a{b"), "unexpected end"},
        {"end inside a string", STR("a{b=\"\\"), "unexpected end"},
        {"no name", STR("1a 1\n"), "invalid metric name"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Page page;
        Error err = {0};

        CHECK(!page_read(c->text, &arena, &page, &err));

        CHECK_HAS(err.text, "text format parsing error in line ");
        CHECK_HAS(err.text, c->want);
    }
}

TEST(lint, says_what_promlint_says)
{
    static const struct {
        const char *name;
        Str text;
        const char *want; // problems with '|' between them
    } cases[] = {
        {"nothing to say", STR("# HELP a_total x\n# TYPE a_total counter\na_total 1\n"), ""},
        {"sorted", STR("b 1\n# HELP a x\n# TYPE a counter\na 1\n"),
         "a: counter metrics should have \"_total\" suffix|b: no help text"},
        {"units", STR("# HELP a_kilohours_x x\na_kilohours_x 1\n"),
         "a_kilohours_x: use base unit \"seconds\" instead of \"kilohours\""},
        {"the first unit counts", STR("# HELP a_seconds_hours x\na_seconds_hours 1\n"), ""},
        {"type in the name",
         STR("# HELP a_Gauge_size x\n# TYPE a_Gauge_size gauge\na_Gauge_size 1\n"),
         "a_Gauge_size: metric name should not include type 'gauge'"},
        {"unknown types have no rules", STR("# HELP a_bucket x\na_bucket{le=\"1\"} 1\n"), ""},
        {"reserved labels", STR("# HELP a x\n# TYPE a gauge\na{le=\"1\",quantile=\"2\"} 1\n"),
         "a: non-histogram metrics should not have \"le\" label|"
         "a: non-summary metrics should not have \"quantile\" label"},
        {"each abbreviation", STR("# HELP a_h_kb x\na_h_kb 1\n"),
         "a_h_kb: metric names should not contain abbreviated units|"
         "a_h_kb: metric names should not contain abbreviated units"},
        {"the same again",
         STR("# HELP a x\na{b=\"1\",c=\"2\"} 1\na{b=\"1\",c=\"2\"} 2 3\na{c=\"2\",b=\"1\"} 1\n"),
         "a: metric not unique"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        Page page;
        LintProblems problems;
        Error err = {0};
        CHECK_OK(page_read(c->text, &arena, &page, &err), err);

        lint_page(&page, &arena, &problems);

        for (size_t i = 0; i < problems.count; i++)
            buf_printf(&got, "%s" STR_FMT ": " STR_FMT, i ? "|" : "",
                       STR_ARG(problems.items[i].metric), STR_ARG(problems.items[i].text));
        CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST(write_request, refuses_series_with_too_many_labels)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    WriteRequestOptions options = {.message = WRITE_V2};
    Page page;
    Error err = {0};
    buf_add_c(&text, "a{");
    for (int i = 0; i < 1001; i++)
        buf_printf(&text, "l%d=\"x\",", i);
    buf_add_c(&text, "} 1\n");
    CHECK_OK(page_read(buf_str(&text), &arena, &page, &err), err);

    CHECK(!write_request_encode(&page, &options, &out, &err));

    CHECK_HAS(err.text, "a series of \"a\" has more than 1000 labels");
}

TEST_MAIN(tool_page, TEST_ROW(page, gathers_the_lines_of_a_family),
          TEST_ROW(page, tells_the_line_of_a_mistake), TEST_ROW(lint, says_what_promlint_says),
          TEST_ROW(write_request, refuses_series_with_too_many_labels))
