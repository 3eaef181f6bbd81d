// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition.h"

#include "base/number.h"
#include "base/test.h"

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
    {"carriage return", STR("a 1\r\n"), STR("error: line 1 column 3: expected a number, got '1'\n")},
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

TEST(exposition, reads_numbers_as_go_does)
{
    static const struct {
        const char *name;
        Str text;
        double want;
    } cases[] = {
        {"zero",                          STR("0"),                                     0.0                   },
        {"minus zero",                    STR("-0"),                                    -0.0                  },
        {"integer",                       STR("12345678"),                              12345678.0            },
        {"nine digits",                   STR("123456789"),                             123456789.0           },
        {"2^53 + 1",                      STR("9007199254740993"),                      9007199254740992.0    },
        {"nineteen digits",               STR("1234567890123456789"),                   1234567890123456789.0 },
        {"twenty digits",                 STR("12345678901234567890"),                  12345678901234567890.0},
        {"largest u64",                   STR("18446744073709551615"),                  18446744073709551615.0},
        {"fraction",                      STR("0.1"),                                   0.1                   },
        {"long fraction",                 STR("0.30000000000000004"),                   0.30000000000000004   },
        {"many digits",                   STR("3.14159265358979323846264338327950288"), 3.141592653589793     },
        {"no digit before the point",     STR(".5"),                                    0.5                   },
        {"no digit behind the point",     STR("5."),                                    5.0                   },
        {"plus",                          STR("+5"),                                    5.0                   },
        {"minus",                         STR("-1.25"),                                 -1.25                 },
        {"exponent",                      STR("1.7560473e+07"),                         17560473.0            },
        {"capital exponent",              STR("2E-3"),                                  0.002                 },
        {"power of ten at the edge",      STR("1e22"),                                  1e22                  },
        {"power of ten beyond",           STR("1e23"),                                  1e23                  },
        {"small",                         STR("1e-22"),                                 1e-22                 },
        {"smaller",                       STR("123e-25"),                               123e-25               },
        {"denormal",                      STR("5e-324"),                                5e-324                },
        {"vanishing",                     STR("1e-400"),                                0.0                   },
        {"largest",                       STR("1.7976931348623157e308"),                1.7976931348623157e308},
        {"digits in both parts of eight", STR("12345678.87654321"),                     12345678.87654321     },
        {"infinity",                      STR("+Inf"),                                  __builtin_inf()       },
        {"minus infinity",                STR("-inf"),                                  -__builtin_inf()      },
        {"word infinity",                 STR("Infinity"),                              __builtin_inf()       },
        {"leading zeros",                 STR("00000000000000000000001"),               1.0                   },
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

TEST(exposition, guess_takes_only_the_very_series)
{
    static const struct {
        const char *name;
        ExpositionFormat format;
        Str body;
        Str guess;
        bool want;
    } cases[] = {
        {"same",                  EXPOSITION_TEXT,        STR("a{b=\"c\"} 1\n"),        STR("a{b=\"c\"}"), true },
        {"bare name",             EXPOSITION_TEXT,        STR("a 1\n"),                 STR("a"),          true },
        {"tab",                   EXPOSITION_TEXT,        STR("a\t1\n"),                STR("a"),          true },
        {"tab is no OpenMetrics", EXPOSITION_OPENMETRICS, STR("a\t1\n"),                STR("a"),          false},
        {"longer name",           EXPOSITION_TEXT,        STR("ab 1\n"),                STR("a"),          false},
        {"labels follow",         EXPOSITION_TEXT,        STR("a {b=\"c\"} 1\n"),       STR("a"),          false},
        {"other label",           EXPOSITION_TEXT,        STR("a{b=\"d\"} 1\n"),        STR("a{b=\"c\"}"), false},
        {"body shorter",          EXPOSITION_TEXT,        STR("a 1\n"),                 STR("a{b=\"c\"}"), false},
        {"empty guess",           EXPOSITION_TEXT,        STR(" 1\n"),                  STR(""),           false},
        {"empty body",            EXPOSITION_TEXT,        STR(""),                      STR("a"),          false},
        {"bad value",             EXPOSITION_TEXT,        STR("a x\n"),                 STR("a"),          false},
        {"bad timestamp",         EXPOSITION_TEXT,        STR("a 1 x\n"),               STR("a"),          false},
        {"metadata first",        EXPOSITION_TEXT,        STR("# TYPE a gauge\na 1\n"), STR("a"),          false},
        {"exemplar",              EXPOSITION_OPENMETRICS, STR("a 1 2 # {x=\"y\"} 3\n"), STR("a"),          true },
        {"no newline",            EXPOSITION_TEXT,        STR("a 1"),                   STR("a"),          true },
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
        {"text",        STR("text/plain; version=0.0.4; charset=utf-8"),                     true,  EXPOSITION_TEXT},
        {"bare text",   STR("text/plain"),                                                   true,  EXPOSITION_TEXT},
        {"any case",    STR("Text/Plain"),                                                   true,  EXPOSITION_TEXT},
        {"openmetrics", STR("application/openmetrics-text; version=1.0.0"),                  true,
         EXPOSITION_OPENMETRICS                                                                                    },
        {"protobuf",    STR("application/vnd.google.protobuf; proto=x; encoding=delimited"), true,
         EXPOSITION_PROTOBUF                                                                                       },
        {"html",        STR("text/html"),                                                    false, EXPOSITION_TEXT},
        {"blank",       STR(""),                                                             false, EXPOSITION_TEXT},
    };

    EACH_CASE(c, cases) {
        ExpositionFormat format = EXPOSITION_TEXT;
        CHECK_EQ(exposition_format_of(c->text, &format), c->ok);
        CHECK_EQ(format, c->want);
    }
}

TEST_MAIN(exposition, TEST_ROW(exposition, reads_the_text_format),
          TEST_ROW(exposition, reads_openmetrics), TEST_ROW(exposition, reads_numbers_as_go_does),
          TEST_ROW(exposition, every_nan_becomes_the_normal_one),
          TEST_ROW(exposition, random_numbers_agree_with_the_library),
          TEST_ROW(exposition, guess_takes_only_the_very_series),
          TEST_ROW(exposition, guesses_agree_with_full_parse),
          TEST_ROW(exposition, labels_refuse_a_name_twice_with_the_place),
          TEST_ROW(exposition, limits_what_a_stranger_sends),
          TEST_ROW(exposition, content_type_chooses_the_format))
