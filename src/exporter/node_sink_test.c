// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_sink.h"

#include <math.h>

#include "base/number.h"
#include "base/test.h"
#include "exporter/node/node_fields.h"
#include "exporter/node/node_filter.h"

static void check_text(NodeSink *sink, const char *want)
{
    Buf out = {0};
    node_sink_write(sink, &out);
    CHECK_STR(buf_str(&out), str_from_c(want));
    buf_deinit(&out);
}

TEST(node_sink, sorts_families_and_samples)
{
    NodeSink *sink = node_sink_new();
    NodeFamily *b = node_gauge(sink, "b", "Two\nlines \\ slash.");
    NodeFamily *a = node_counter(sink, "a_total", "A.");
    NodeFamily *empty = node_gauge(sink, "aa", "Nothing.");

    node_sample(b, NODE_NO_LABELS, -0.5);
    static const char *const values[] = {"9", "10",   "eth0 ", "eth0", "eth0!", "a\"b",
                                         "a", "a\\b", "a\nb",  "Z",    "a\\",   "a\\\\"};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        node_sample(a, NODE_LABELS(sink, {"k", str_from_c(values[i])}, {"z", STR("1")}), (double)i);

    check_text(sink, "# HELP a_total A.\n"
                     "# TYPE a_total counter\n"
                     "a_total{k=\"10\",z=\"1\"} 1\n"
                     "a_total{k=\"9\",z=\"1\"} 0\n"
                     "a_total{k=\"Z\",z=\"1\"} 9\n"
                     "a_total{k=\"a\",z=\"1\"} 6\n"
                     "a_total{k=\"a\\nb\",z=\"1\"} 8\n"
                     "a_total{k=\"a\\\"b\",z=\"1\"} 5\n"
                     "a_total{k=\"a\\\\\",z=\"1\"} 10\n"
                     "a_total{k=\"a\\\\\\\\\",z=\"1\"} 11\n"
                     "a_total{k=\"a\\\\b\",z=\"1\"} 7\n"
                     "a_total{k=\"eth0\",z=\"1\"} 3\n"
                     "a_total{k=\"eth0 \",z=\"1\"} 2\n"
                     "a_total{k=\"eth0!\",z=\"1\"} 4\n"
                     "# HELP b Two\\nlines \\\\ slash.\n"
                     "# TYPE b gauge\n"
                     "b -0.5\n");
    CHECK(empty == node_gauge(sink, "aa", "Another help."));
    node_sink_free(sink);
}

TEST(node_sink, forgets_samples_at_a_reset)
{
    NodeSink *sink = node_sink_new();
    NodeFamily *family = node_sink_family(sink, S("u"), NODE_UNTYPED, S("U."));

    node_sample(family, NODE_LABELS(sink, {"x", STR("1")}), 1);
    node_sink_reset(sink);
    check_text(sink, "");
    node_sample(family, NODE_LABELS(sink, {"x", STR("2")}), 2);

    check_text(sink, "# HELP u U.\n# TYPE u untyped\nu{x=\"2\"} 2\n");
    node_sink_free(sink);
}

TEST(node_sink, replaces_runs_that_are_not_utf8)
{
    static const struct {
        const char *name;
        Str value;
        Str want;
    } cases[] = {
        {"a run is one", STR("a\xff\xfe z"), STR("{v=\"a\xef\xbf\xbd z\"}")},
        {"two runs are two", STR("\xff-\xff"), STR("{v=\"\xef\xbf\xbd-\xef\xbf\xbd\"}")},
        {"good runes stay", STR("gr\xc3\xbc\xc3\x9f"), STR("{v=\"gr\xc3\xbc\xc3\x9f\"}")},
        {"the replacement itself stays", STR("\xef\xbf\xbd\xef\xbf\xbd"),
         STR("{v=\"\xef\xbf\xbd\xef\xbf\xbd\"}")},
    };

    EACH_CASE(c, cases) {
        NodeSink *sink = node_sink_new();
        NodeFamily *family = node_gauge(sink, "m", "");
        Buf out = {0};

        node_sample(family, NODE_LABELS(sink, {"v", c->value}), 0);
        node_sink_write(sink, &out);

        Str text = buf_str(&out);
        Str line = str_skip(text, str_find(text, S("gauge\nm")) + strlen("gauge\nm"));
        CHECK_STR(str_sub(line, 0, line.len - strlen(" 0\n")), c->want);
        buf_deinit(&out);
        node_sink_free(sink);
    }
}

static void check_value(double value)
{
    char got[NUMBER_BYTES_MAX];
    char want[NUMBER_BYTES_MAX];
    size_t got_bytes = node_format_value(value, got);
    size_t want_bytes = number_format_g(value, want);
    CHECK_STR(str_make(got, got_bytes), str_make(want, want_bytes));
}

TEST(node_sink, prints_values_as_go_does)
{
    static const double values[] = {0,
                                    -0.0,
                                    1,
                                    -1,
                                    0.1,
                                    999999,
                                    1e6,
                                    1234567,
                                    9007199254740991.0,
                                    1e15,
                                    1e21,
                                    0.0001,
                                    0.00001,
                                    1e-9,
                                    9e-10,
                                    12.34,
                                    123456.78,
                                    1234567.89,
                                    1e300,
                                    5e-324,
                                    93.728,
                                    0.3,
                                    1 / 3.,
                                    9007199254740992,
                                    1e22,
                                    100,
                                    1000000.5,
                                    NAN,
                                    INFINITY,
                                    -INFINITY,
                                    1.0 - 1e-16,
                                    4503599627370496.5,
                                    18446744073709551615.0};
    uint64_t seed = 88172645463325252ULL;

    for (size_t i = 0; i < COUNT_OF(values); i++)
        check_value(values[i]);
    for (size_t i = 0; i < 200000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double whole = (double)(seed >> (i % 64));
        check_value(whole);
        check_value(whole / 100);
        check_value(whole * 0.001);
        check_value(whole / 1e6);
        check_value(whole / 1e9);
        check_value(double_from_bits(seed));
    }
}

TEST(node_filter, is_unanchored_and_remembers)
{
    static const struct {
        const char *name;
        Str include;
        Str exclude;
        Str device;
        bool want;
    } cases[] = {
        {"nothing given takes all", STR(""), STR(""), STR("eth0"), true},
        {"include matches anywhere", STR("th"), STR(""), STR("eth0"), true},
        {"include leaves others out", STR("^th"), STR(""), STR("eth0"), false},
        {"exclude matches anywhere", STR(""), STR("th"), STR("eth0"), false},
        {"exclude with anchors", STR(""), STR("^(lo|veth.*)$"), STR("lo1"), true},
        {"dot takes no newline", STR("a.b"), STR(""), STR("a\nb"), false},
        {"text around may hold newlines", STR("ab"), STR(""), STR("\nab\n"), true},
        {"alternatives bind weakest", STR("x|eth"), STR(""), STR("eth0"), true},
    };

    EACH_CASE(c, cases) {
        NodeFilter filter;
        Error err = {0};

        CHECK_OK(node_filter_init(&filter, "a-include", c->include, "a-exclude", c->exclude, &err),
                 err);

        for (int round = 0; round < 3; round++)
            CHECK_EQ(node_filter_takes(&filter, c->device), c->want);
        node_filter_deinit(&filter);
    }
}

TEST(node_filter, tells_which_flag_is_wrong)
{
    static const struct {
        const char *name;
        Str include;
        Str exclude;
        const char *want;
    } cases[] = {
        {"both", STR("a"), STR("b"), "flags --a-include and --a-exclude are mutually exclusive"},
        {"bad include", STR("("), STR(""), "flag --a-include"},
        {"bad exclude", STR(""), STR("["), "flag --a-exclude"},
        {"brackets that close ours", STR("a)(b"), STR(""), "flag --a-include"},
    };

    EACH_CASE(c, cases) {
        NodeFilter filter;
        Error err = {0};

        CHECK(!node_filter_init(&filter, "a-include", c->include, "a-exclude", c->exclude, &err));

        CHECK_EQ(err.code, ERR_INVALID);
        CHECK_HAS(err.text, c->want);
        node_filter_deinit(&filter);
    }
}

TEST(node_fields, remembers_by_position_and_name)
{
    NodeFields fields = {0};
    bool is_new;

    NodeField *first = node_fields_at(&fields, 0, S("a"), &is_new);
    CHECK(first && is_new);
    CHECK(node_fields_at(&fields, 1, S("b"), &is_new) && is_new);
    CHECK(node_fields_at(&fields, 0, S("a"), &is_new) && !is_new);
    CHECK(node_fields_at(&fields, 1, S("bb"), &is_new) && is_new);
    CHECK(node_fields_at(&fields, 1, S("bb"), &is_new) && !is_new);
    node_fields_cut(&fields, 1);
    CHECK(node_fields_at(&fields, 1, S("bb"), &is_new) && is_new);

    node_fields_deinit(&fields);
}

TEST(node_fields, has_a_limit)
{
    NodeFields fields = {0};
    bool is_new;

    for (size_t i = 0; i < NODE_FIELDS_MAX; i++)
        CHECK(node_fields_at(&fields, i, S("x"), &is_new) != NULL);

    CHECK(node_fields_at(&fields, NODE_FIELDS_MAX, S("x"), &is_new) == NULL);
    node_fields_deinit(&fields);
}

TEST_MAIN(node_sink, TEST_ROW(node_sink, sorts_families_and_samples),
          TEST_ROW(node_sink, forgets_samples_at_a_reset),
          TEST_ROW(node_sink, replaces_runs_that_are_not_utf8),
          TEST_ROW(node_sink, prints_values_as_go_does),
          TEST_ROW(node_filter, is_unanchored_and_remembers),
          TEST_ROW(node_filter, tells_which_flag_is_wrong),
          TEST_ROW(node_fields, remembers_by_position_and_name), TEST_ROW(node_fields, has_a_limit))
