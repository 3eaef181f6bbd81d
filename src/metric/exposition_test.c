// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition.h"

#include <stdlib.h>

#include "base/number.h"
#include "base/test.h"
#include "codec/protobuf.h"

static const char *type_word(MetricType type)
{
    return metric_type_name(type).ptr;
}

// One line per thing read, so that a table can hold the want.
static void show(Buf *buf, Exposition *parser)
{
    Labels labels;
    Exemplar exemplar;
    Error err = {0};

    switch (parser->kind) {
    case EXPOSITION_TYPE:
        buf_printf(buf, "TYPE " STR_FMT " %s", STR_ARG(parser->name), type_word(parser->type));
        break;
    case EXPOSITION_HELP:
        buf_printf(buf, "HELP " STR_FMT " ", STR_ARG(parser->name));
        buf_add_go_quoted(buf, parser->text);
        break;
    case EXPOSITION_UNIT:
        buf_printf(buf, "UNIT " STR_FMT " " STR_FMT, STR_ARG(parser->name), STR_ARG(parser->text));
        break;
    case EXPOSITION_COMMENT:
        buf_printf(buf, "COMMENT " STR_FMT, STR_ARG(parser->text));
        break;
    case EXPOSITION_HISTOGRAM:
    case EXPOSITION_SAMPLE:
        CHECK_OK(exposition_labels(parser, parser->arena, &labels, &err), err);
        labels_print_metric(buf, labels);
        buf_add_char(buf, ' ');
        if (parser->kind == EXPOSITION_SAMPLE)
            buf_add_double_g(buf, parser->value);
        else
            histogram_print(buf, parser->histogram);
        if (parser->has_t)
            buf_printf(buf, " @%lld", (long long)parser->t_ms);
        if (!parser->has_exemplar)
            break;
        CHECK_OK(exposition_exemplar(parser, parser->arena, &exemplar, &err), err);
        buf_add_c(buf, " # ");
        labels_print(buf, exemplar.labels);
        buf_add_char(buf, ' ');
        buf_add_double_g(buf, exemplar.value);
        if (exemplar.has_t)
            buf_printf(buf, " @%lld", (long long)exemplar.t_ms);
        break;
    }
    buf_add_char(buf, '\n');
}

static Str read_all(Arena *arena, ExpositionFormat format, Str body)
{
    Exposition parser;
    Buf buf = {0};

    exposition_init(&parser, format, body, arena);
    while (exposition_next(&parser))
        show(&buf, &parser);
    if (parser.failed)
        buf_printf(&buf, "error: %s\n", parser.err.text);
    CHECK(!exposition_next(&parser));
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

typedef struct BodyCase {
    const char *name;
    Str body;
    Str want;
} BodyCase;

static void check_bodies(ExpositionFormat format, const BodyCase *cases, size_t count)
{
    Arena arena = {0};

    for (const BodyCase *c = cases; c < cases + count && test_enter_case(c->name); c++) {
        CHECK_STR(read_all(&arena, format, c->body), c->want);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

// clang-format off
static const BodyCase text_cases[] = {
    {"empty", STR(""), STR("")},
    {"blank lines", STR("\n \n\t\n"), STR("")},
    {"bare name", STR("up 1\n"), STR("up 1\n")},
    {"no newline at the end", STR("up 1"), STR("up 1\n")},
    {"labels", STR("a{b=\"c\",d=\"e\"} 1\n"), STR("a{b=\"c\", d=\"e\"} 1\n")},
    {"labels are sorted", STR("a{z=\"1\",b=\"2\"} 1\n"), STR("a{b=\"2\", z=\"1\"} 1\n")},
    {"empty braces", STR("a{} 1\n"), STR("a 1\n")},
    {"empty value is no label", STR("a{b=\"\"} 1\n"), STR("a 1\n")},
    {"trailing comma", STR("a{b=\"c\",} 1\n"), STR("a{b=\"c\"} 1\n")},
    {"blanks everywhere", STR("  a\t{ b\t= \"c\" , d =\"e\"\t}  1\t 2 \n"), STR("a{b=\"c\", d=\"e\"} 1 @2\n")},
    {"no blank before the value", STR("a{b=\"c\"}1\n"), STR("a{b=\"c\"} 1\n")},
    {"blanks instead of commas", STR("a{b=\"c\" d=\"e\"} 1\n"), STR("a{b=\"c\", d=\"e\"} 1\n")},
    {"escapes", STR("a{b=\"\\\"\\\\\\n\\x\"} 1\n"), STR("a{b=\"\\\"\\\\\\n\\\\x\"} 1\n")},
    {"newline inside a value", STR("a{b=\"x\ny\"} 1\nb 2\n"), STR("a{b=\"x\\ny\"} 1\nb 2\n")},
    {"NUL inside a value", STR("a{b=\"x\0y\"} 1\n"), STR("a{b=\"x\\x00y\"} 1\n")},
    {"UTF-8 value", STR("a{b=\"\xc3\xa9\xe2\x82\xac\"} 1\n"), STR("a{b=\"\xc3\xa9\xe2\x82\xac\"} 1\n")},
    {"quoted metric name", STR("{\"a.b\",c=\"d\"} 1\n"), STR("{__name__=\"a.b\", c=\"d\"} 1\n")},
    {"quoted metric name last", STR("{c=\"d\",\"a.b\"} 1\n"), STR("{__name__=\"a.b\", c=\"d\"} 1\n")},
    {"quoted label name", STR("a{\"b.c\"=\"d\"} 1\n"), STR("a{\"b.c\"=\"d\"} 1\n")},
    {"escaped quoted name", STR("{\"a\\\"b\"} 1\n"), STR("{__name__=\"a\\\"b\"} 1\n")},
    {"quotes and braces in values", STR("a{b=\"}{,=\"} 1\n"), STR("a{b=\"}{,=\"} 1\n")},
    {"value beyond sixteen bytes", STR("a{b=\"0123456789abcdef0123456789abcdef\"} 1\n"), STR("a{b=\"0123456789abcdef0123456789abcdef\"} 1\n")},
    {"escape beyond sixteen bytes", STR("a{b=\"0123456789abcdef\\\"0123456789abcdef\"} 1\n"), STR("a{b=\"0123456789abcdef\\\"0123456789abcdef\"} 1\n")},
    {"colon in a name", STR("a:b 1\n"), STR("a:b 1\n")},
    {"timestamp", STR("a 1 1520879607789\n"), STR("a 1 @1520879607789\n")},
    {"type and help", STR("# HELP a some \\\\ text\\n\n# TYPE a counter\na 1\n"), STR("HELP a \"some \\\\ text\\n\"\nTYPE a counter\na 1\n")},
    {"help without text", STR("# HELP a\n# HELP b \n"), STR("HELP a \"\"\nHELP b \"\"\n")},
    {"quotes in help stay", STR("# HELP a \\\"x\\\"\n"), STR("HELP a \"\\\\\\\"x\\\\\\\"\"\n")},
    {"quoted name in type", STR("# TYPE \"a.b\" gauge\n"), STR("TYPE a.b gauge\n")},
    {"untyped", STR("#\tTYPE  a untyped\n"), STR("TYPE a unknown\n")},
    {"comments", STR("# hello\n#HELP x\n#\n# TYPED a b\n"), STR("COMMENT # hello\nCOMMENT #HELP x\nCOMMENT #\nCOMMENT # TYPED a b\n")},
    {"le of a histogram is rendered anew", STR("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"1000000\"} 1\nh_bucket{le=\"0.50\"} 1\nh_bucket{le=\"x\"} 1\n"),
     STR("TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"1e+06\"} 1\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"x\"} 1\n")},
    {"quantile of a summary is rendered anew", STR("# TYPE s summary\ns{quantile=\"0\"} 1\ns{quantile=\"0.9\",le=\"1\"} 1\n"), STR("TYPE s summary\ns{quantile=\"0.0\"} 1\ns{le=\"1\", quantile=\"0.9\"} 1\n")},
    {"le of a gauge stays", STR("# TYPE g gauge\ng{le=\"1\"} 1\n"), STR("TYPE g gauge\ng{le=\"1\"} 1\n")},

    {"label value missing", STR("a{b=} 1\n"), STR("error: line 1 column 5: expected a label value in quotes, got '}'\n")},
    {"equal sign missing", STR("a{b} 1\n"), STR("error: line 1 column 4: expected an equal sign, got '}'\n")},
    {"brace missing", STR("up 1\na{b=\"c\" 1\n"), STR("up 1\nerror: line 2 column 9: expected a label name, got '1'\n")},
    {"quote missing", STR("a{b=\"c} 1\n"), STR("error: line 1 column 5: quoted string is not closed, got '\"'\n")},
    {"two commas", STR("a{b=\"c\",,} 1\n"), STR("error: line 1 column 9: expected a label name, got ','\n")},
    {"leading comma", STR("a{,b=\"c\"} 1\n"), STR("error: line 1 column 3: expected a label name, got ','\n")},
    {"value missing", STR("a\n"), STR("error: line 1 column 2: expected a number, got the end of the line\n")},
    {"value of letters", STR("a b\n"), STR("error: line 1 column 3: expected a number, got 'b'\n")},
    {"negative timestamp", STR("a 1 -1\n"), STR("error: line 1 column 5: expected a timestamp or the end of the line, got '-'\n")},
    {"timestamp with a fraction", STR("a 1 1.5\n"), STR("error: line 1 column 6: expected the end of the line after the timestamp, got '.'\n")},
    {"timestamp too large", STR("a 1 9223372036854775808\n"), STR("error: line 1 column 5: timestamp out of range, got '9'\n")},
    {"third number", STR("a 1 2 3\n"), STR("error: line 1 column 7: expected the end of the line after the timestamp, got '3'\n")},
    {"two names", STR("a{\"b\"} 1\n"), STR("error: line 1 column 6: metric name already set, got '}'\n")},
    {"no name", STR("{b=\"c\"} 1\n"), STR("error: line 1 column 8: metric name not set, got ' '\n")},
    {"invalid UTF-8", STR("a{b=\"\xff\"} 1\n"), STR("error: line 1 column 6: invalid UTF-8, got byte 0xff\n")},
    {"invalid UTF-8 beyond sixteen bytes", STR("a{b=\"0123456789abcdef\xc3\"} 1\n"), STR("error: line 1 column 6: invalid UTF-8, got '0'\n")},
    {"name beginning with a digit", STR("1a 1\n"), STR("error: line 1 column 1: expected a metric name, a comment or an empty line, got '1'\n")},
    {"NUL at the start of a line", STR("\0a 1\n"), STR("error: line 1 column 1: expected a metric name, a comment or an empty line, got byte 0x00\n")},
    {"carriage return", STR("a 1\r\n"), STR("error: line 1 column 3: expected a number, got '1' (the line ends with a carriage return, where a line feed alone must stand)\n")},
    {"unknown type", STR("# TYPE a info\n"), STR("error: line 1 column 10: invalid metric type \"info\"\n")},
    {"type without a name", STR("# TYPE \n"), STR("error: line 1 column 8: expected a metric name, got the end of the line\n")},
    {"exemplars are for OpenMetrics", STR("a 1 # {} 1\n"), STR("error: line 1 column 5: expected a timestamp or the end of the line, got '#'\n")},
    {"help that is no UTF-8", STR("# HELP a \xff\n"), STR("error: line 1 column 10: help text is not valid UTF-8\n")},
    {"hexadecimal", STR("a 0x1p3\n"), STR("error: line 1 column 3: expected a number, got '0'\n")},
    {"underscore in a number", STR("a 1_000\n"), STR("error: line 1 column 3: expected a number, got '1'\n")},
};

static const BodyCase openmetrics_cases[] = {
    {"only the end", STR("# EOF\n"), STR("")},
    {"end without a newline", STR("# EOF"), STR("")},
    {"all metadata", STR("# TYPE a_s counter\n# UNIT a_s s\n# HELP a_s \\\"x\\\"\na_s_total 1\n# EOF\n"), STR("TYPE a_s counter\nUNIT a_s s\nHELP a_s \"\\\"x\\\"\"\na_s_total 1\n")},
    {"its own types", STR("# TYPE a info\n# TYPE b stateset\n# TYPE c unknown\n# TYPE d gaugehistogram\n# EOF\n"), STR("TYPE a info\nTYPE b stateset\nTYPE c unknown\nTYPE d gaugehistogram\n")},
    {"seconds become milliseconds", STR("a 1 1520879607.789\nb 1 -1.5\nc 1 0\n# EOF\n"), STR("a 1 @1520879607789\nb 1 @-1500\nc 1 @0\n")},
    {"milliseconds are cut", STR("a 1 1.9999\n# EOF\n"), STR("a 1 @1999\n")},
    {"exemplar", STR("a_total 1 # {id=\"x\"} 0.5\n# EOF\n"), STR("a_total 1 # {id=\"x\"} 0.5\n")},
    {"exemplar with both times", STR("a_total 1 2.5 # {id=\"x\",b=\"\\n\"} 0.5 3.25\n# EOF\n"), STR("a_total 1 @2500 # {b=\"\\n\", id=\"x\"} 0.5 @3250\n")},
    {"exemplar without labels", STR("a_total 1 # {} 0.5\n# EOF\n"), STR("a_total 1 # {} 0.5\n")},
    {"quoted metric name", STR("{\"a.b\",c=\"d\"} 1\n# EOF\n"), STR("{__name__=\"a.b\", c=\"d\"} 1\n")},
    {"help that looks like the end", STR("# HELP a # EOF\n# EOF\n"), STR("HELP a \"# EOF\"\n")},
    {"empty unit", STR("# UNIT a \n# EOF\n"), STR("UNIT a \n")},

    {"nothing", STR(""), STR("error: line 1 column 1: data does not end with # EOF\n")},
    {"end missing", STR("a 1\n"), STR("a 1\nerror: line 2 column 1: data does not end with # EOF\n")},
    {"end only in help", STR("# HELP a # EOF\n"), STR("HELP a \"# EOF\"\nerror: line 2 column 1: data does not end with # EOF\n")},
    {"data after the end", STR("# EOF\na 1\n"), STR("error: line 2 column 1: unexpected data after # EOF\n")},
    {"empty line", STR("a 1\n\n# EOF\n"), STR("a 1\nerror: line 2 column 1: expected a metric name, a comment or an empty line, got the end of the line\n")},
    {"free comment", STR("# x\n# EOF\n"), STR("error: line 1 column 1: expected # HELP, # TYPE, # UNIT or # EOF\n")},
    {"two spaces", STR("a  1\n# EOF\n"), STR("error: line 1 column 3: expected a number, got ' '\n")},
    {"space in braces", STR("a{ b=\"c\"} 1\n# EOF\n"), STR("error: line 1 column 3: expected a label name, got ' '\n")},
    {"comma missing", STR("a{b=\"c\"d=\"e\"} 1\n# EOF\n"), STR("error: line 1 column 8: expected a comma or a closing brace, got 'd'\n")},
    {"newline inside a value", STR("a{b=\"x\ny\"} 1\n# EOF\n"), STR("error: line 1 column 5: quoted string is not closed, got '\"'\n")},
    {"time is no number", STR("a 1 NaN\n# EOF\n"), STR("error: line 1 column 5: invalid timestamp, got 'N'\n")},
    {"time is infinite", STR("a 1 +Inf\n# EOF\n"), STR("error: line 1 column 5: invalid timestamp, got '+'\n")},
    {"name in an exemplar", STR("a 1 # {\"x\"} 1\n# EOF\n"), STR("error: line 1 column 11: expected an equal sign, got '}'\n")},
    {"exemplar without a value", STR("a 1 # {x=\"y\"}\n# EOF\n"), STR("error: line 1 column 14: expected a value after the exemplar's labels, got the end of the line\n")},
    {"text after the exemplar", STR("a 1 # {x=\"y\"} 1 2 3\n# EOF\n"), STR("error: line 1 column 18: expected the end of the line after the exemplar, got ' '\n")},
    {"unit that is no suffix", STR("# UNIT a_seconds s\n# EOF\n"), STR("error: line 1 column 18: unit \"s\" is not a suffix of the name\n")},
    {"untyped is the old word", STR("# TYPE a untyped\n# EOF\n"), STR("error: line 1 column 10: invalid metric type \"untyped\"\n")},
    {"help without a space", STR("# HELP a\n# EOF\n"), STR("error: line 1 column 9: expected a space and a text after the metric name\n")},
    {"trailing space", STR("a 1 \n# EOF\n"), STR("error: line 1 column 5: expected a number, got the end of the line\n")},
};
// clang-format on

TEST(exposition, reads_the_text_format)
{
    check_bodies(EXPOSITION_TEXT, text_cases, COUNT_OF(text_cases));
}

TEST(exposition, reads_openmetrics)
{
    check_bodies(EXPOSITION_OPENMETRICS, openmetrics_cases, COUNT_OF(openmetrics_cases));
}

// Messages are written by the house's own wire writer, field numbers as in io.prometheus.client's metrics.proto.
static void add_label(Buf *buf, uint32_t field, Str name, Str value)
{
    size_t label = proto_begin(buf, field);
    proto_add_bytes(buf, 1, name);
    proto_add_bytes(buf, 2, value);
    proto_end(buf, label);
}

static void add_exemplar(Buf *buf, uint32_t field, Str id, bool with_time)
{
    size_t exemplar = proto_begin(buf, field);
    add_label(buf, 1, S("id"), id);
    proto_add_double(buf, 2, 0.5);
    if (with_time) {
        size_t time = proto_begin(buf, 3);
        proto_add_varint(buf, 1, 1600000000);
        proto_add_varint(buf, 2, 123999999);
        proto_end(buf, time);
    }
    proto_end(buf, exemplar);
}

static void add_span(Buf *buf, uint32_t field, int32_t offset, uint32_t length)
{
    size_t span = proto_begin(buf, field);
    proto_add_zigzag(buf, 1, offset);
    proto_add_varint(buf, 2, length);
    proto_end(buf, span);
}

static void add_zigzags(Buf *buf, uint32_t field, const int64_t *numbers, size_t count)
{
    size_t packed = proto_begin(buf, field);
    for (size_t i = 0; i < count; i++)
        buf_add_varint(buf, numbers[i]);
    proto_end(buf, packed);
}

static void add_classic_bucket(Buf *buf, uint64_t count, double bound, Str exemplar_id)
{
    size_t bucket = proto_begin(buf, 3);
    proto_add_varint(buf, 1, count);
    proto_add_double(buf, 2, bound);
    if (exemplar_id.len)
        add_exemplar(buf, 3, exemplar_id, true);
    proto_end(buf, bucket);
}

static void fill_counter(Buf *buf)
{
    size_t counter = proto_begin(buf, 3);
    proto_add_double(buf, 1, 5);
    add_exemplar(buf, 2, S("x"), true);
    proto_end(buf, counter);
}

static void fill_gauge(Buf *buf)
{
    size_t gauge = proto_begin(buf, 2);
    proto_add_double(buf, 1, -1.5);
    proto_end(buf, gauge);
    proto_add_varint(buf, 6, 123);
}

static void fill_summary(Buf *buf)
{
    size_t summary = proto_begin(buf, 4);
    proto_add_varint(buf, 1, 7);
    proto_add_double(buf, 2, 1.5);
    size_t quantile = proto_begin(buf, 3);
    proto_add_double(buf, 1, 1);
    proto_add_double(buf, 2, 3);
    proto_end(buf, quantile);
    proto_end(buf, summary);
}

static void fill_classic(Buf *buf)
{
    size_t histogram = proto_begin(buf, 7);
    proto_add_varint(buf, 1, 7);
    proto_add_double(buf, 2, 1.5);
    add_classic_bucket(buf, 3, 1, S("x"));
    add_classic_bucket(buf, 5, 1e6, S(""));
    proto_end(buf, histogram);
}

static void fill_native(Buf *buf)
{
    static const int64_t positive[] = {1, 1, -1, 0};
    static const int64_t negative[] = {1, 3};
    size_t histogram = proto_begin(buf, 7);
    proto_add_varint(buf, 1, 12);
    proto_add_double(buf, 2, 18.5);
    add_classic_bucket(buf, 4, 1, S("b"));
    proto_add_zigzag(buf, 5, 0);
    proto_add_double(buf, 6, 0.001);
    proto_add_varint(buf, 7, 2);
    add_span(buf, 12, 0, 2);
    add_span(buf, 12, 1, 2);
    add_zigzags(buf, 13, positive, 4);
    add_span(buf, 9, 0, 2);
    add_zigzags(buf, 10, negative, 2);
    add_exemplar(buf, 16, S("no time"), false);
    add_exemplar(buf, 16, S("first"), true);
    add_exemplar(buf, 16, S("second"), true);
    proto_end(buf, histogram);
}

static void fill_float(Buf *buf)
{
    static const double counts[] = {1.5, 0, 0, 2.5};
    size_t histogram = proto_begin(buf, 7);
    proto_add_double(buf, 4, 6);
    proto_add_double(buf, 2, 18.5);
    proto_add_zigzag(buf, 5, 10);
    proto_add_double(buf, 6, 0.001);
    proto_add_double(buf, 8, 2);
    add_span(buf, 12, 1, 4);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        proto_add_double(buf, 14, counts[i]);
    proto_end(buf, histogram);
}

static void fill_spans_wrong(Buf *buf)
{
    size_t histogram = proto_begin(buf, 7);
    add_span(buf, 12, 0, 2);
    proto_end(buf, histogram);
}

static void fill_bad_label(Buf *buf)
{
    add_label(buf, 1, S("a"), S("\xff"));
}

static void add_family(Buf *buf, Str name, uint64_t type, void (*fill)(Buf *))
{
    Buf family = {0};

    proto_add_bytes(&family, 1, name);
    proto_add_bytes(&family, 2, S("text"));
    proto_add_varint(&family, 3, type);
    size_t metric = proto_begin(&family, 4);
    add_label(&family, 1, S("a"), S("b\n\"\\"));
    fill(&family);
    proto_end(&family, metric);
    buf_add_uvarint(buf, family.len);
    buf_add_str(buf, buf_str(&family));
    buf_deinit(&family);
}

static Str read_family(Arena *arena, Str name, uint64_t type, void (*fill)(Buf *),
                       bool keep_classic, bool ignore_native)
{
    Exposition parser;
    Buf body = {0};
    Buf shown = {0};

    add_family(&body, name, type, fill);
    exposition_init(&parser, EXPOSITION_PROTOBUF, arena_str(arena, buf_str(&body)), arena);
    parser.keep_classic = keep_classic;
    parser.ignore_native = ignore_native;
    while (exposition_next(&parser))
        if (parser.kind == EXPOSITION_SAMPLE || parser.kind == EXPOSITION_HISTOGRAM)
            show(&shown, &parser);
    if (parser.failed)
        buf_printf(&shown, "error: %s\n", parser.err.text);
    Str text = arena_str(arena, buf_str(&shown));
    buf_deinit(&body);
    buf_deinit(&shown);
    return text;
}

// clang-format off
static const struct {
    const char *name;
    Str metric;
    uint64_t type;
    void (*fill)(Buf *);
    bool keep_classic, ignore_native;
    Str want;
} protobuf_cases[] = {
    {"counter", STR("c_total"), 0, fill_counter, false, false, STR("c_total{a=\"b\\n\\\"\\\\\"} 5 # {id=\"x\"} 0.5 @1600000000123\n")},
    {"gauge with a dot in its name", STR("g.x"), 1, fill_gauge, false, false, STR("{__name__=\"g.x\", a=\"b\\n\\\"\\\\\"} -1.5 @123\n")},
    {"untyped without a value", STR("u"), 3, fill_gauge, false, false, STR("u{a=\"b\\n\\\"\\\\\"} 0 @123\n")},
    {"summary", STR("s"), 2, fill_summary, false, false,
     STR("s_count{a=\"b\\n\\\"\\\\\"} 7\ns_sum{a=\"b\\n\\\"\\\\\"} 1.5\ns{a=\"b\\n\\\"\\\\\", quantile=\"1.0\"} 3\n")},
    {"classic histogram", STR("h"), 4, fill_classic, false, false,
     STR("h_count{a=\"b\\n\\\"\\\\\"} 7\nh_sum{a=\"b\\n\\\"\\\\\"} 1.5\n"
         "h_bucket{a=\"b\\n\\\"\\\\\", le=\"1.0\"} 3 # {id=\"x\"} 0.5 @1600000000123\n"
         "h_bucket{a=\"b\\n\\\"\\\\\", le=\"1e+06\"} 5\nh_bucket{a=\"b\\n\\\"\\\\\", le=\"+Inf\"} 7\n")},
    {"native histogram", STR("n"), 4, fill_native, false, false,
     STR("n{a=\"b\\n\\\"\\\\\"} {count:12, sum:18.5, [-2,-1):4, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2, (4,8]:1, (8,16]:1} # {id=\"first\"} 0.5 @1600000000123\n")},
    {"native and classic", STR("n"), 4, fill_native, true, false,
     STR("n{a=\"b\\n\\\"\\\\\"} {count:12, sum:18.5, [-2,-1):4, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2, (4,8]:1, (8,16]:1} # {id=\"first\"} 0.5 @1600000000123\n"
         "n_count{a=\"b\\n\\\"\\\\\"} 12\nn_sum{a=\"b\\n\\\"\\\\\"} 18.5\nn_bucket{a=\"b\\n\\\"\\\\\", le=\"1.0\"} 4 # {id=\"b\"} 0.5 @1600000000123\nn_bucket{a=\"b\\n\\\"\\\\\", le=\"+Inf\"} 12\n")},
    {"native ignored", STR("n"), 4, fill_native, false, true,
     STR("n_count{a=\"b\\n\\\"\\\\\"} 12\nn_sum{a=\"b\\n\\\"\\\\\"} 18.5\nn_bucket{a=\"b\\n\\\"\\\\\", le=\"1.0\"} 4 # {id=\"b\"} 0.5 @1600000000123\nn_bucket{a=\"b\\n\\\"\\\\\", le=\"+Inf\"} 12\n")},
    {"float gauge histogram of a finer schema", STR("f"), 5, fill_float, false, false,
     STR("f{a=\"b\\n\\\"\\\\\"} {count:6, sum:18.5, [-0.001,0.001]:2, (1,1.0027112750502025]:4}\n")},
    {"spans without buckets", STR("w"), 4, fill_spans_wrong, false, false, STR("error: metric family 1 (w): bucket spans do not agree with the number of buckets\n")},
    {"label that is no UTF-8", STR("l"), 1, fill_bad_label, false, false, STR("error: metric family 1 (l): malformed label or invalid UTF-8\n")},
    {"unknown type", STR("t"), 6, fill_gauge, false, false, STR("error: metric family 1 (t): unknown metric type\n")},
    {"no name", STR(""), 1, fill_gauge, false, false, STR("error: metric family 1 (): invalid metric name\n")},
};
// clang-format on

TEST(exposition, reads_protobuf)
{
    Arena arena = {0};

    EACH_CASE(c, protobuf_cases)
        CHECK_STR(
            read_family(&arena, c->metric, c->type, c->fill, c->keep_classic, c->ignore_native),
            c->want);
    arena_deinit(&arena);
}

TEST(exposition, protobuf_tells_metadata_and_families_in_order)
{
    Arena arena = {0};
    Buf body = {0};

    add_family(&body, S("a"), 0, fill_counter);
    add_family(&body, S("b"), 5, fill_float);
    Str shown = read_all(&arena, EXPOSITION_PROTOBUF, buf_str(&body));

    CHECK(str_starts_with(shown, S("HELP a \"text\"\nTYPE a counter\na{")));
    CHECK(str_find(shown, S("\nHELP b \"text\"\nTYPE b gaugehistogram\nb{")) != STR_NOT_FOUND);

    Exposition parser;
    exposition_init(&parser, EXPOSITION_PROTOBUF, str_make(body.ptr, body.len - 1), &arena);
    while (exposition_next(&parser))
        ;
    CHECK(parser.failed);
    CHECK_HAS(parser.err.text, "metric family 2 (): message is cut short");
    buf_deinit(&body);
    arena_deinit(&arena);
}

// A family of gauges, the last of which has a time; the second tells its value twice: what comes last counts.
static void add_gauges(Buf *buf, double first, Str label)
{
    Buf family = {0};

    proto_add_bytes(&family, 1, S("g"));
    proto_add_varint(&family, 3, 1);
    for (int i = 0; i < 4; i++) {
        size_t metric = proto_begin(&family, 4);
        add_label(&family, 1, label, str_make(&"0123"[i], 1));
        for (int again = i == 1 ? 2 : 1; again; again--) {
            size_t value = proto_begin(&family, 2);
            proto_add_double(&family, 1, first + i);
            proto_end(&family, value);
        }
        if (i == 3)
            proto_add_varint(&family, 6, 123);
        proto_end(&family, metric);
    }
    buf_add_uvarint(buf, family.len);
    buf_add_str(buf, buf_str(&family));
    buf_deinit(&family);
}

TEST(exposition, protobuf_of_known_series_is_told_by_their_hashes)
{
    Arena arena = {0};
    Buf before = {0}, now = {0}, other = {0};
    Exposition parser;
    uint64_t hashes[4];
    size_t count = 0;
    add_gauges(&before, 10, S("n"));
    add_gauges(&now, 20, S("n"));
    add_gauges(&other, 30, S("m"));
    exposition_init(&parser, EXPOSITION_PROTOBUF, buf_str(&before), &arena);
    while (exposition_next(&parser))
        if (parser.kind == EXPOSITION_SAMPLE)
            hashes[count++] = exposition_sample_hash(&parser);
    CHECK_EQ(count, 4);

    exposition_init(&parser, EXPOSITION_PROTOBUF, buf_str(&now), &arena);
    while (exposition_next(&parser) && parser.kind != EXPOSITION_SAMPLE)
        ;
    for (size_t i = 1; i < 4; i++) {
        CHECK(exposition_next_hash(&parser, 0, hashes[i]));
        CHECK_DOUBLE(parser.value, 20 + (double)i);
        CHECK_EQ(parser.has_t, i == 3);
    }
    CHECK(!exposition_next(&parser));
    CHECK(!parser.failed);

    exposition_init(&parser, EXPOSITION_PROTOBUF, buf_str(&other), &arena);
    while (exposition_next(&parser) && parser.kind != EXPOSITION_SAMPLE)
        ;
    for (size_t i = 1; i < 4; i++) {
        CHECK(!exposition_next_hash(&parser, 0, hashes[i]));
        CHECK(exposition_next(&parser));
        CHECK_DOUBLE(parser.value, 30 + (double)i);
    }
    buf_deinit(&before);
    buf_deinit(&now);
    buf_deinit(&other);
    arena_deinit(&arena);
}

TEST(exposition, native_histogram_gives_all_exemplars_with_a_time)
{
    Arena arena = {0};
    Buf body = {0};
    Exposition parser;
    Exemplar exemplar;
    Error err = {0};

    add_family(&body, S("n"), 5, fill_native);
    exposition_init(&parser, EXPOSITION_PROTOBUF, buf_str(&body), &arena);
    while (exposition_next(&parser) && parser.kind != EXPOSITION_HISTOGRAM)
        ;

    CHECK_EQ(parser.histogram->hint, HINT_GAUGE);
    CHECK(parser.histogram->is_integer);
    CHECK(parser.has_exemplar);
    CHECK_OK(exposition_exemplar(&parser, &arena, &exemplar, &err), err);
    CHECK_STR(labels_get(exemplar.labels, S("id")), S("first"));
    CHECK(parser.has_exemplar);
    CHECK_OK(exposition_exemplar(&parser, &arena, &exemplar, &err), err);
    CHECK_STR(labels_get(exemplar.labels, S("id")), S("second"));
    CHECK(!parser.has_exemplar);
    CHECK(!exposition_exemplar(&parser, &arena, &exemplar, &err));
    buf_deinit(&body);
    arena_deinit(&arena);
}

TEST(exposition, reads_numbers_as_go_does)
{
    static const struct {
        const char *name;
        Str text;
        double want;
    } cases[] = {
        {"zero", STR("0"), 0.0},
        {"minus zero", STR("-0"), -0.0},
        {"integer", STR("12345678"), 12345678.0},
        {"nine digits", STR("123456789"), 123456789.0},
        {"2^53 + 1", STR("9007199254740993"), 9007199254740992.0},
        {"nineteen digits", STR("1234567890123456789"), 1234567890123456789.0},
        {"twenty digits", STR("12345678901234567890"), 12345678901234567890.0},
        {"largest u64", STR("18446744073709551615"), 18446744073709551615.0},
        {"fraction", STR("0.1"), 0.1},
        {"long fraction", STR("0.30000000000000004"), 0.30000000000000004},
        {"many digits", STR("3.14159265358979323846264338327950288"), 3.141592653589793},
        {"no digit before the point", STR(".5"), 0.5},
        {"no digit behind the point", STR("5."), 5.0},
        {"plus", STR("+5"), 5.0},
        {"minus", STR("-1.25"), -1.25},
        {"exponent", STR("1.7560473e+07"), 17560473.0},
        {"capital exponent", STR("2E-3"), 0.002},
        {"power of ten at the edge", STR("1e22"), 1e22},
        {"power of ten beyond", STR("1e23"), 1e23},
        {"small", STR("1e-22"), 1e-22},
        {"smaller", STR("123e-25"), 123e-25},
        {"denormal", STR("5e-324"), 5e-324},
        {"vanishing", STR("1e-400"), 0.0},
        {"largest", STR("1.7976931348623157e308"), 1.7976931348623157e308},
        {"digits in both parts of eight", STR("12345678.87654321"), 12345678.87654321},
        {"infinity", STR("+Inf"), __builtin_inf()},
        {"minus infinity", STR("-inf"), -__builtin_inf()},
        {"word infinity", STR("Infinity"), __builtin_inf()},
        {"leading zeros", STR("00000000000000000000001"), 1.0},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Exposition parser;
        exposition_init(&parser, EXPOSITION_TEXT,
                        arena_printf(&arena, "a " STR_FMT, STR_ARG(c->text)), &arena);
        CHECK(exposition_next(&parser));
        CHECK_DOUBLE(parser.value, c->want);

        exposition_init(
            &parser, EXPOSITION_TEXT,
            arena_printf(&arena, "a " STR_FMT " 5\n                 ", STR_ARG(c->text)), &arena);
        CHECK(exposition_next_guess(&parser, S("a")));
        CHECK_DOUBLE(parser.value, c->want);
        CHECK_EQ(parser.t_ms, 5);
    }
    arena_deinit(&arena);
}

TEST(exposition, every_nan_becomes_the_normal_one)
{
    static const struct {
        const char *name;
        Str body;
    } cases[] = {
        {"NaN", STR("a NaN\n")},
        {"nan", STR("a nan\n")},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Exposition parser;
        exposition_init(&parser, EXPOSITION_TEXT, c->body, &arena);
        CHECK(exposition_next(&parser));
        CHECK(double_bits(parser.value) == NAN_NORMAL_BITS);
    }
    arena_deinit(&arena);
}

TEST(exposition, random_numbers_agree_with_the_library)
{
    Arena arena = {0};
    uint64_t x = 88172645463325252ULL;

    for (int i = 0; i < 20000; i++) {
        char text[64];
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int digits = 1 + (int)(x % 19);
        int exponent = (int)(x >> 32) % 40;
        int len = snprintf(text, sizeof text, "a %.*ge%d\n", digits, (double)(x >> 11), exponent);
        char *e = strchr(text, 'e');
        if (i % 2 || strchr(e + 1, 'e'))
            len = snprintf(text, sizeof text, "a %.*f\n", digits % 9, (double)(x >> 20) / 1000);
        Exposition parser;
        exposition_init(&parser, EXPOSITION_TEXT, str_make(text, (size_t)len), &arena);
        CHECK(exposition_next(&parser));
        CHECK_DOUBLE(parser.value, strtod(text + 2, NULL));
    }
    arena_deinit(&arena);
}

TEST(exposition, numbers_of_each_length_are_read_wherever_the_body_ends)
{
    Arena arena = {0};
    Buf body = {0};
    static const char digits[] = "1234567890123456789";

    for (int whole = 1; whole <= 19; whole++)
        for (int fraction = 0; whole + fraction <= 19; fraction++)
            for (int behind = 0; behind < 3; behind++) {
                Exposition parser;
                static const char *const ends[] = {"\n", " 1\n", "\nb 1\nc 2\nd 3\n"};
                buf_reset(&body);
                buf_printf(&body, "a %.*s%s%.*s%s", whole, digits, fraction ? "." : "", fraction,
                           digits + whole, ends[behind]);
                exposition_init(&parser, EXPOSITION_TEXT, buf_str(&body), &arena);
                CHECK(exposition_next(&parser));
                CHECK(parser.value == strtod(body.ptr + 2, NULL));
            }
    buf_deinit(&body);
    arena_deinit(&arena);
}

TEST(exposition, the_hash_of_a_series_depends_on_each_bit_and_on_the_length)
{
    char text[700];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    for (size_t len = 1; len < sizeof text; len++) {
        uint64_t hash = exposition_series_hash(str_make(text, len));
        CHECK(hash == exposition_series_hash(str_make(text, len)));
        CHECK(hash != exposition_series_hash(str_make(text, len + 1)));
        for (size_t i = 0; i < len; i++) {
            char bit = (char)(1 << i % 8);
            text[i] ^= bit;
            CHECK(hash != exposition_series_hash(str_make(text, len)));
            text[i] ^= bit;
        }
    }
    // Equal blocks that change places.
    memset(text, 'x', sizeof text);
    for (size_t at = 0; at + 16 <= 256; at += 16) {
        memset(text + at, 'y', 16);
        uint64_t hash = exposition_series_hash(str_make(text, 256));
        memset(text + at, 'x', 16);
        for (size_t other = 0; other + 16 <= 256; other += 16) {
            memset(text + other, 'y', 16);
            CHECK_EQ(hash == exposition_series_hash(str_make(text, 256)), other == at);
            memset(text + other, 'x', 16);
        }
    }
}

TEST(exposition, guess_takes_only_the_very_series)
{
    static const struct {
        const char *name;
        ExpositionFormat format;
        Str body;
        Str guess;
        bool want;
    } cases[] = {
        {"same", EXPOSITION_TEXT, STR("a{b=\"c\"} 1\n"), STR("a{b=\"c\"}"), true},
        {"bare name", EXPOSITION_TEXT, STR("a 1\n"), STR("a"), true},
        {"tab", EXPOSITION_TEXT, STR("a\t1\n"), STR("a"), true},
        {"tab is no OpenMetrics", EXPOSITION_OPENMETRICS, STR("a\t1\n"), STR("a"), false},
        {"longer name", EXPOSITION_TEXT, STR("ab 1\n"), STR("a"), false},
        {"labels follow", EXPOSITION_TEXT, STR("a {b=\"c\"} 1\n"), STR("a"), false},
        {"other label", EXPOSITION_TEXT, STR("a{b=\"d\"} 1\n"), STR("a{b=\"c\"}"), false},
        {"body shorter", EXPOSITION_TEXT, STR("a 1\n"), STR("a{b=\"c\"}"), false},
        {"empty guess", EXPOSITION_TEXT, STR(" 1\n"), STR(""), false},
        {"empty body", EXPOSITION_TEXT, STR(""), STR("a"), false},
        {"bad value", EXPOSITION_TEXT, STR("a x\n"), STR("a"), false},
        {"bad timestamp", EXPOSITION_TEXT, STR("a 1 x\n"), STR("a"), false},
        {"metadata first", EXPOSITION_TEXT, STR("# TYPE a gauge\na 1\n"), STR("a"), false},
        {"exemplar", EXPOSITION_OPENMETRICS, STR("a 1 2 # {x=\"y\"} 3\n"), STR("a"), true},
        {"no newline", EXPOSITION_TEXT, STR("a 1"), STR("a"), true},
    };
    Arena arena = {0};

    EACH_CASE(c, cases) {
        Exposition parser;
        exposition_init(&parser, c->format, c->body, &arena);
        const char *before = parser.at;
        CHECK_EQ(exposition_next_guess(&parser, c->guess), c->want);
        CHECK(!parser.failed);
        if (!c->want) {
            CHECK(parser.at == before);
            continue;
        }
        CHECK_STR(parser.series_text, c->guess);
        CHECK_DOUBLE(parser.value, 1.0);
        CHECK(parser.at == parser.end);
    }
    arena_deinit(&arena);
}

// A second scrape by guesses reads the same as the first by full parse.
TEST(exposition, guesses_agree_with_full_parse)
{
    static const Str body =
        STR("# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2 77\n# HELP b text\nb 3\n"
            "c{x=\"}\"} 4e3\n");
    Arena arena = {0};
    Exposition first, second;

    exposition_init(&first, EXPOSITION_TEXT, body, &arena);
    exposition_init(&second, EXPOSITION_TEXT, body, &arena);
    while (exposition_next(&first)) {
        bool by_guess =
            first.kind == EXPOSITION_SAMPLE && exposition_next_guess(&second, first.series_text);
        CHECK_EQ(by_guess, first.kind == EXPOSITION_SAMPLE);
        if (!by_guess)
            CHECK(exposition_next(&second));
        CHECK_EQ(second.kind, first.kind);
        CHECK(second.at == first.at);
        if (by_guess) {
            CHECK_DOUBLE(second.value, first.value);
            CHECK_EQ(second.has_t, first.has_t);
        }
    }
    CHECK(!exposition_next(&second));
    CHECK(!second.failed);
    arena_deinit(&arena);
}

TEST(exposition, labels_refuse_a_name_twice_with_the_place)
{
    Arena arena = {0};
    Exposition parser;
    Labels labels;
    Error err = {0};

    exposition_init(&parser, EXPOSITION_TEXT, S("up 1\na{b=\"1\",b=\"2\"} 1\n"), &arena);
    CHECK(exposition_next(&parser));
    CHECK(exposition_next(&parser));

    CHECK(!exposition_labels(&parser, &arena, &labels, &err));

    CHECK_HAS(err.text, "line 2 column 1: label name \"b\" is not unique");
    arena_deinit(&arena);
}

TEST(exposition, limits_what_a_stranger_sends)
{
    Arena arena = {0};
    Buf body = {0};
    Exposition parser;

    buf_add_c(&body, "a{");
    for (int i = 0; i <= EXPOSITION_LABELS_MAX; i++)
        buf_printf(&body, "l%d=\"x\",", i);
    buf_add_c(&body, "} 1\n");
    exposition_init(&parser, EXPOSITION_TEXT, buf_str(&body), &arena);
    CHECK(!exposition_next(&parser));
    CHECK_HAS(parser.err.text, "too many labels");

    buf_reset(&body);
    buf_add_c(&body, "a{l=\"");
    for (int i = 0; i < (int)EXPOSITION_LINE_BYTES_MAX; i++)
        buf_add_char(&body, 'x');
    buf_add_c(&body, "\"} 1\n");
    exposition_init(&parser, EXPOSITION_TEXT, buf_str(&body), &arena);
    CHECK(!exposition_next(&parser));
    CHECK_HAS(parser.err.text, "line 1 column 1: line is longer than 1048576 bytes");
    buf_deinit(&body);
    arena_deinit(&arena);
}

TEST(exposition, content_type_chooses_the_format)
{
    static const struct {
        const char *name;
        Str text;
        bool ok;
        ExpositionFormat want;
    } cases[] = {
        {"text", STR("text/plain; version=0.0.4; charset=utf-8"), true, EXPOSITION_TEXT},
        {"bare text", STR("text/plain"), true, EXPOSITION_TEXT},
        {"any case", STR("Text/Plain"), true, EXPOSITION_TEXT},
        {"openmetrics", STR("application/openmetrics-text; version=1.0.0"), true,
         EXPOSITION_OPENMETRICS},
        {"protobuf", STR("application/vnd.google.protobuf; proto=x; encoding=delimited"), true,
         EXPOSITION_PROTOBUF},
        {"quoted", STR("text/plain; version=\"0.0\\\"4;\""), true, EXPOSITION_TEXT},
        {"blanks", STR("text/plain ; a = b ;c=d"), true, EXPOSITION_TEXT},
        {"last semicolon", STR("text/plain; a=b; "), true, EXPOSITION_TEXT},
        {"open quote", STR("text/plain; version=\"0.0.4"), false, EXPOSITION_TEXT},
        {"no value", STR("text/plain; version"), false, EXPOSITION_TEXT},
        {"empty value", STR("text/plain; version="), false, EXPOSITION_TEXT},
        {"no name", STR("text/plain; =1"), false, EXPOSITION_TEXT},
        {"no separator", STR("text/plain; a=b c=d"), false, EXPOSITION_TEXT},
        {"twice", STR("text/plain; a=b; A=c"), false, EXPOSITION_TEXT},
        {"html", STR("text/html"), false, EXPOSITION_TEXT},
        {"blank", STR(""), false, EXPOSITION_TEXT},
    };

    EACH_CASE(c, cases) {
        ExpositionFormat format = EXPOSITION_TEXT;
        CHECK_EQ(exposition_format_of(c->text, &format), c->ok);
        CHECK_EQ(format, c->want);
    }
}

TEST_MAIN(exposition, TEST_ROW(exposition, reads_the_text_format),
          TEST_ROW(exposition, reads_openmetrics), TEST_ROW(exposition, reads_protobuf),
          TEST_ROW(exposition, protobuf_tells_metadata_and_families_in_order),
          TEST_ROW(exposition, protobuf_of_known_series_is_told_by_their_hashes),
          TEST_ROW(exposition, native_histogram_gives_all_exemplars_with_a_time),
          TEST_ROW(exposition, reads_numbers_as_go_does),
          TEST_ROW(exposition, every_nan_becomes_the_normal_one),
          TEST_ROW(exposition, random_numbers_agree_with_the_library),
          TEST_ROW(exposition, numbers_of_each_length_are_read_wherever_the_body_ends),
          TEST_ROW(exposition, the_hash_of_a_series_depends_on_each_bit_and_on_the_length),
          TEST_ROW(exposition, guess_takes_only_the_very_series),
          TEST_ROW(exposition, guesses_agree_with_full_parse),
          TEST_ROW(exposition, labels_refuse_a_name_twice_with_the_place),
          TEST_ROW(exposition, limits_what_a_stranger_sends),
          TEST_ROW(exposition, content_type_chooses_the_format))
