// SPDX-License-Identifier: Apache-2.0
#include "promql/parse.h"

#include <stdlib.h>

#include "base/test.h"
#include "promql/functions.h"

static const PromqlFeatures all_features = {.experimental_functions = true,
                                            .duration_expressions = true,
                                            .extended_range_selectors = true,
                                            .fill_modifiers = true};
static const PromqlFeatures default_features = {.duration_expressions = true};

static void check_printed(Str query, Str want)
{
    Arena arena = {0};
    Buf printed = {0};
    Error err = {0};
    Expr *expr;
    bool ok = promql_parse(query, &all_features, &arena, &expr, &err);

    CHECK_OK(ok, err);
    expr_print(&printed, expr);
    CHECK_STR(buf_str(&printed), want);
    expr_free_regexes(expr);
    buf_deinit(&printed);
    arena_deinit(&arena);
}

static void check_error(Str query, const PromqlFeatures *features, const char *want)
{
    Error err = {0};

    bool ok = promql_check(query, features, &err);

    CHECK(!ok);
    CHECK_EQ(err.code, ERR_INVALID);
    CHECK_STR(str_from_c(err.text), str_from_c(want));
}

TEST(parse, prints_what_it_read)
{
    static const struct {
        const char *name;
        Str query;
        Str want;
    } cases[] = {
        {"number", STR("1e3"), STR("1000")},
        {"hexadecimal", STR("0x1F"), STR("31")},
        {"octal", STR("010"), STR("8")},
        {"no octal", STR("089"), STR("89")},
        {"underscores", STR("1_000.5"), STR("1000.5")},
        {"infinity", STR("-inF"), STR("-Inf")},
        {"duration as number", STR("1h30m"), STR("1h30m")},
        {"negative number", STR("-1"), STR("-1")},
        {"string", STR("'a\\x62\"\\u00e9'"), STR("\"ab\\\"\xC3\xA9\"")},
        {"raw string", STR("`a\\n`"), STR("\"a\\\\n\"")},
        {"comment", STR("foo # bar\n+ 1"), STR("foo + 1")},
        {"sorted matchers", STR("foo{z!='1', b=~\"x\",}"), STR("foo{b=~\"x\",z!=\"1\"}")},
        {"quoted name", STR("{\"a.b\", \"c d\"=\"e\"}"), STR("{\"c d\"=\"e\",__name__=\"a.b\"}")},
        {"keyword as metric", STR("sum + by * offset"), STR("sum + by * offset")},
        {"keyword metric with range", STR("rate(end[5m])"), STR("rate(end[5m])")},
        {"fill as metric", STR("fill + fill_left"), STR("fill + fill_left")},
        {"keywords as labels", STR("sum by (sum, by, on, bool) (a)"),
         STR("sum by (sum, by, on, bool) (a)")},
        {"quoted label", STR("sum by (\"a.b\") (a)"), STR("sum by (\"a.b\") (a)")},
        {"sign is weaker than power", STR("-1 ^ 2"), STR("-1 ^ 2")},
        {"product before sum", STR("a+b*c"), STR("a + b * c")},
        {"clause behind", STR("sum(a)without(b)"), STR("sum without (b) (a)")},
        {"empty by", STR("sum by () (a)"), STR("sum(a)")},
        {"parameter", STR("topk(3,foo)"), STR("topk(3, foo)")},
        {"matching", STR("a>bool on()group_left(x)b"), STR("a > bool on () group_left (x) b")},
        {"ignoring nothing", STR("a + ignoring() b"), STR("a + b")},
        {"fills", STR("a + fill_right(1) fill_left(-2) b"),
         STR("a + fill_left (-2) fill_right (1) b")},
        {"one fill", STR("a + on(x) fill(5m) b"), STR("a + on (x) fill (300) b")},
        {"trim", STR("h </ 2 >/ 1"), STR("h </ 2 >/ 1")},
        {"offset and at", STR("foo offset 5m @ 10"), STR("foo @ 10.000 offset 5m")},
        {"at start", STR("foo@start()"), STR("foo @ start()")},
        {"long duration to the millisecond",
         STR("n[14017d11h45m16s109ms] offset -14017d11h45m16s109ms"),
         STR("n[14017d11h45m16s109ms] offset -14017d11h45m16s109ms")},
        {"long duration in an expression",
         STR("n offset -14017d11h45m16s109ms * 2 + 14017d11h45m16s109ms"),
         STR("n offset -14017d11h45m16s109ms * 2 + 14017d11h45m16s109ms")},
        {"negative offset", STR("foo[5m] offset -90s"), STR("foo[5m] offset -1m30s")},
        {"offset binds one term", STR("foo offset 5m ^ 2"), STR("foo offset 5m ^ 2")},
        {"subquery", STR("foo[300s:1m] @ end()"), STR("foo[5m:1m] @ end()")},
        {"subquery without step", STR("(foo + bar)[1h:]"), STR("(foo + bar)[1h:]")},
        {"range expression", STR("foo[step()+(1m*2)]"), STR("foo[step() + (1m * 2)]")},
        {"wrapped number", STR("foo[(5)]"), STR("foo[(5)]")},
        {"extremes of durations", STR("foo[max_of(1m,min_of(step(),range()))]"),
         STR("foo[max_of(1m, min_of(step(), range()))]")},
        {"offset expression", STR("foo offset -(step()*2)"), STR("foo offset -(step() * 2)")},
        {"plus of an offset", STR("foo offset +(5m)"), STR("foo offset (5m)")},
        {"plus of an offset before an operator", STR("foo offset ++(5m)-1"),
         STR("foo offset +(5m) - 1")},
        {"plus of an offset before a modifier", STR("foo @ 1 offset +(5m) * 2"),
         STR("foo offset (5m) @ 1.000 * 2")},
        {"plus of an offset before anchored", STR("foo anchored offset +(5m) ^ 2"),
         STR("foo offset (5m) anchored ^ 2")},
        {"signs of an offset", STR("foo offset ++-0 - 1h"), STR("foo - 1h")},
        {"anchored", STR("rate(foo[5m] anchored offset 1m)"),
         STR("rate(foo[5m] anchored offset 1m)")},
        {"smoothed instant", STR("foo smoothed @ 5"), STR("foo @ 5.000 smoothed")},
        {"info", STR("info(foo, {a=\"b\"})"), STR("info(foo, {a=\"b\"})")},
        {"any number of arguments", STR("label_join(a,'b','c','d','e')"),
         STR("label_join(a, \"b\", \"c\", \"d\", \"e\")")},
    };

    EACH_CASE(c, cases)
        check_printed(c->query, c->want);
}

TEST(parse, reads_its_own_print_the_same)
{
    static const Str queries[] = {
        STR("sum by (a, \"b c\") (rate({\"m.x\", q=~\"a|b\"}[5m:10s] @ end() offset -1h)) / on (a) "
            "group_left (z) b ^ -2 ^ c"),
        STR("foo[-(1m-2m)*2] offset (5m + range()) @ -1.5"),
        STR("a and ignoring (x) b unless (c or -d) == bool +e"),
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        Arena arena = {0};
        Buf once = {0};
        Error err = {0};
        Expr *expr;
        CHECK_OK(promql_parse(queries[i], &all_features, &arena, &expr, &err), err);
        expr_print(&once, expr);
        expr_free_regexes(expr);

        check_printed(buf_str(&once), buf_str(&once));

        buf_deinit(&once);
        arena_deinit(&arena);
    }
}

TEST(parse, says_where_and_what)
{
    static const struct {
        const char *name;
        Str query;
        const char *want;
    } cases[] = {
        {"nothing", STR(""), "unknown position: parse error: no expression found in input"},
        {"only a comment", STR("# x"), "1:1: parse error: no expression found in input"},
        {"second line", STR("foo +\n  )"), "2:4: parse error: unexpected right parenthesis ')'"},
        {"end", STR("a *"), "1:4: parse error: unexpected end of input"},
        {"unclosed", STR("sum(rate(a[5m])"), "1:16: parse error: unclosed left parenthesis"},
        {"two expressions", STR("a b"), "1:3: parse error: unexpected identifier \"b\""},
        {"operator twice", STR("a + * b"), "1:5: parse error: unexpected <op:*>"},
        {"long string", STR("a \"0123456789ab\""),
         "1:3: parse error: unexpected string \"\\\"012345678\"..."},
        {"inside an aggregation", STR("sum(a b)"),
         "1:7: parse error: unexpected identifier \"b\" in aggregation"},
        {"colon inside braces", STR("a{b:c=\"d\"}"),
         "1:4: parse error: unexpected character inside braces: ':'"},
        {"no operator", STR("a{b}"),
         "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator"},
        {"no string", STR("a{b=c}"),
         "1:5: parse error: unexpected identifier \"c\" in label matching, expected string"},
        {"no comma", STR("a{b=\"c\" d=\"e\"}"),
         "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or "
         "\"}\""},
        {"grouping", STR("sum by a (b)"),
         "1:8: parse error: unexpected identifier \"a\" in grouping opts, expected \"(\""},
        {"grouping label", STR("sum by (1) (b)"),
         "1:9: parse error: unexpected number \"1\" in grouping opts, expected label"},
        {"without is no label", STR("sum by (without) (b)"),
         "1:9: parse error: unexpected <without> in grouping opts, expected label"},
        {"empty range", STR("a[]"),
         "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, "
         "duration, step(), or range()"},
        {"zero range", STR("a[0s]"), "1:3: parse error: duration must be greater than 0"},
        {"unknown unit", STR("a[5hs]"),
         "1:3: parse error: unknown unit \"hs\" in duration \"5hs\""},
        {"units in order", STR("a[1m1h]"),
         "1:3: parse error: not a valid duration string: \"1m1h\""},
        {"endless range", STR("a[1e11]"), "1:3: parse error: duration out of range"},
        {"division", STR("a[1m/0]"), "1:5: parse error: division by zero"},
        {"offset of nothing", STR("a offset"),
         "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), "
         "or range()"},
        {"offset of a number", STR("1 offset 5m"),
         "1:1: parse error: offset modifier must be preceded by an instant vector selector or "
         "range vector selector or a "
         "subquery"},
        {"offset twice", STR("a offset 1m offset 2m"),
         "1:1: parse error: offset may not be set multiple times"},
        {"at twice", STR("a @ 1 @ 2"),
         "1:1: parse error: @ <timestamp> may not be set multiple times"},
        {"at infinity", STR("a @ Inf"),
         "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"},
        {"range of an expression", STR("(a)[5m]"),
         "1:4: parse error: ranges only allowed for vector selectors"},
        {"offset before range", STR("a offset 1m [5m]"),
         "1:13: parse error: no offset modifiers allowed before range"},
        {"unknown function", STR("nope(a)"),
         "1:1: parse error: unknown function with name \"nope\""},
        {"function's case", STR("RATE(a[5m])"),
         "1:1: parse error: unknown function with name \"RATE\""},
        {"trailing comma", STR("abs(a,)"),
         "1:6: parse error: trailing commas not allowed in function call args"},
        {"too few arguments", STR("abs()"),
         "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0"},
        {"at least", STR("label_join(a, 'b')"),
         "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"},
        {"at most", STR("round(a, 1, 2)"),
         "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
        {"argument's type", STR("rate(a)"),
         "1:6: parse error: expected type range vector in call to function \"rate\", got instant "
         "vector"},
        {"aggregate of nothing", STR("sum()"),
         "1:1: parse error: no arguments for aggregate expression provided"},
        {"aggregate's parameter", STR("topk(a)"),
         "1:1: parse error: wrong number of arguments for aggregate expression provided, expected "
         "2, got 1"},
        {"parameter's type", STR("topk('x', a)"),
         "1:6: parse error: expected type scalar in aggregation parameter, got string"},
        {"scalars compared", STR("1  == 1"),
         "1:4: parse error: comparisons between scalars must use BOOL modifier"},
        {"bool on arithmetic", STR("a + bool b"),
         "1:3: parse error: bool modifier can only be used on comparison operators"},
        {"set of scalars", STR("1 and 2"),
         "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
        {"matching scalars", STR("a * on(x) 1"),
         "1:1: parse error: vector matching only allowed between instant vectors"},
        {"grouping a set", STR("a or on(x) group_left b"),
         "1:1: parse error: no grouping allowed for \"or\" operation"},
        {"label in both", STR("a * on(x) group_left(x) b"),
         "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
        {"operand", STR("a + 'b'"),
         "1:5: parse error: binary expression must contain only scalar and instant vector types"},
        {"sign", STR("-a[5m]"),
         "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
         "vector, got \"range "
         "vector\""},
        {"subquery of a range", STR("a[5m][5m:1m]"),
         "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
        {"matches everything", STR("{x=~\".*\"}"),
         "1:1: parse error: vector selector must contain at least one non-empty matcher"},
        {"name twice", STR("a{__name__=\"b\"}"),
         "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""},
        {"bad escape", STR("\"\\q\""), "1:1: parse error: unknown escape sequence U+0071 'q'"},
        {"open string", STR("\"a"), "1:1: parse error: unterminated quoted string"},
        {"bad number", STR("1.5.2"), "1:1: parse error: bad number or duration syntax: \"1.5.\""},
        {"stray character", STR("a $ b"), "1:3: parse error: unexpected character: '$'"},
        {"info with a name", STR("info(a, b{c=\"d\"})"),
         "1:9: parse error: expected label selectors only, got vector selector instead"},
    };

    EACH_CASE(c, cases)
        check_error(c->query, &all_features, c->want);
}

TEST(parse, guards_what_is_experimental)
{
    static const struct {
        const char *name;
        Str query;
        const char *want;
    } cases[] = {
        {"function", STR("mad_over_time(a[5m])"),
         "1:1: parse error: function \"mad_over_time\" is not enabled"},
        {"aggregate", STR("limitk(1, a)"),
         "1:1: parse error: limitk() is experimental and must be enabled with "
         "--enable-feature=promql-experimental-functions"},
        {"anchored", STR("a[5m] anchored"),
         "1:1: parse error: anchored modifier is experimental and not enabled"},
        {"smoothed", STR("a smoothed"),
         "1:1: parse error: smoothed modifier is experimental and not enabled"},
        {"fill", STR("a + fill(0) b"),
         "1:1: parse error: binop fill modifiers are experimental and not enabled"},
    };

    EACH_CASE(c, cases) {
        Error err = {0};
        CHECK_OK(promql_check(c->query, &all_features, &err), err);
        check_error(c->query, &default_features, c->want);
    }
    PromqlFeatures none = {0};
    test_enter_case("duration expression");
    check_error(S("a[1m+1m]"), &none,
                "1:3: parse error: experimental duration expression is not enabled");
    test_enter_case("");
}

static Str repeat(Arena *arena, const char *piece, size_t count, const char *end)
{
    Buf buf = {0};
    for (size_t i = 0; i < count; i++)
        buf_add_c(&buf, piece);
    buf_add_c(&buf, end);
    Str text = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

TEST(parse, limits_depth_and_matchers)
{
    Arena arena = {0};
    const struct {
        const char *name;
        Str query;
        bool fits;
        const char *want;
    } cases[] = {
        {"parentheses", repeat(&arena, "(", 100000, "a"), false, "nested too deeply"},
        {"signs", repeat(&arena, "+-", 100000, "a"), false, "nested too deeply"},
        {"powers", repeat(&arena, "a^", 100000, "a"), false, "nested too deeply"},
        {"calls", repeat(&arena, "abs(", 100000, "a"), false, "nested too deeply"},
        {"sums", repeat(&arena, "1+", 100000, "1"), false, "more than 100000 terms"},
        {"arguments", repeat(&arena, "min_of(1,", 100, "a"), false, "unclosed left parenthesis"},
        {"long sums", repeat(&arena, "1 - ", 90000, "1"), true, ""},
        {"selectors", repeat(&arena, "a+", 100000, "a"), false, "more than 10000 matchers"},
        {"subqueries", repeat(&arena, "min_over_time(", 300, "a"), false,
         "unclosed left parenthesis"},
        {"durations", repeat(&arena, "", 0, "a[1m"), false, "unclosed left bracket"},
        {"many sums", repeat(&arena, "a+", 900, "a"), true, ""},
        {"many matchers", repeat(&arena, "{a=\"b\"} or ", 900, "a"), true, ""},
    };

    EACH_CASE(c, cases) {
        Error err = {0};
        CHECK_EQ(promql_check(c->query, &all_features, &err), c->fits);
        CHECK_HAS(err.text, c->want);
    }
    Str deep_duration = repeat(&arena, "1+", 5000, "1]");
    Buf query = {0};
    buf_add_c(&query, "a[");
    buf_add_str(&query, deep_duration);
    Error err = {0};
    CHECK(!promql_check(buf_str(&query), &all_features, &err));
    CHECK_HAS(err.text, "nested too deeply");
    buf_deinit(&query);
    arena_deinit(&arena);
}

TEST(parse, formats_as_the_original)
{
    static const struct {
        const char *name;
        Str query;
        Str want;
    } cases[] = {
        {"an offset in parentheses is not moved behind @", STR("x offset (1m/2) @ 0 - 1"),
         STR("x offset (1m / 2) @ 0.000 - 1")},
        {"short", STR("sum( rate( x[5m] ) )by(a)"), STR("sum by (a) (rate(x[5m]))")},
        {"long",
         STR("histogram_quantile(0.99, sum by (le, job) "
             "(rate(http_request_duration_seconds_bucket{job=\"api\","
             "code!~\"5..\"}[5m]))) > on(job) group_left(team) (avg by (job) "
             "(limits{kind=\"latency\"}) or vector(3))"),
         STR("  histogram_quantile(\n    0.99,\n    sum by (le, job) "
             "(rate(http_request_duration_seconds_bucket{code!~\"5..\","
             "job=\"api\"}[5m]))\n  )\n> on (job) group_left (team)\n  (avg by (job) "
             "(limits{kind=\"latency\"}) or vector(3))")},
        {"number in a line that just fits",
         STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb * 2"),
         STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb * 2")},
    };

    EACH_CASE(c, cases) {
        Buf got = {0};
        Error err = {0};
        CHECK_OK(promql_format(c->query, &all_features, &got, &err), err);
        CHECK_STR(buf_str(&got), c->want);
        buf_deinit(&got);
    }
}

TEST(parse, shows_the_tree_as_json)
{
    static const struct {
        const char *name;
        Str query;
        Str want;
    } cases[] = {
        {"number", STR("1.5"), STR("{\"type\":\"numberLiteral\",\"val\":\"1.5\"}")},
        {"call", STR("time()"),
         STR("{\"args\":[],\"func\":{\"argTypes\":[],\"name\":\"time\",\"returnType\":\"scalar\","
             "\"variadic\":0},"
             "\"type\":\"call\"}")},
        {"sign", STR("-(1)"),
         STR("{\"expr\":{\"expr\":{\"type\":\"numberLiteral\",\"val\":\"1\"},\"type\":"
             "\"parenExpr\"},\"op\":\"-\","
             "\"type\":\"unaryExpr\"}")},
        {"selector", STR("foo offset 5m @ 3"),
         STR("{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":"
             "\"foo\"}],\"name\":\"foo\","
             "\"offset\":300000,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
             "\"timestamp\":3000,"
             "\"type\":\"vectorSelector\"}")},
    };

    EACH_CASE(c, cases) {
        Buf got = {0};
        JsonWriter json;
        json_writer_init(&json, &got);
        Error err = {0};
        CHECK_OK(promql_tree_json(c->query, &all_features, &json, &err), err);
        CHECK_STR(buf_str(&got), c->want);
        buf_deinit(&got);
    }
}

TEST(parse, selectors_alone)
{
    Arena arena = {0};
    Matcher *matchers;
    size_t count;
    Error err = {0};

    CHECK_OK(promql_parse_selector(S("up{job=~\"a.+\"}"), &arena, &matchers, &count, &err), err);
    CHECK_EQ(count, 2);
    CHECK_STR(matchers[1].value, S("up"));
    promql_matchers_free(matchers, count);
    CHECK_OK(promql_parse_selector(S("{}"), &arena, &matchers, &count, &err), err);
    CHECK_EQ(count, 0);
    CHECK(!promql_parse_selector(S("a+b"), &arena, &matchers, &count, &err));
    CHECK_STR(str_from_c(err.text), S("1:2: parse error: unexpected <op:+>"));
    CHECK(!promql_parse_selector(S("a[5m]"), &arena, &matchers, &count, &err));
    CHECK(!promql_parse_selector(S("{a=~\"(\"}"), &arena, &matchers, &count, &err));

    arena_deinit(&arena);
}

TEST(parse, finds_all_selectors)
{
    Arena arena = {0};
    Matcher **matchers;
    size_t *counts, count;
    Error err = {0};

    CHECK_OK(promql_selectors(S("sum(a) / topk(scalar(b), rate(c{x=~\"y.*\"}[5m])) or -(d)"),
                              &all_features, &arena, &matchers, &counts, &count, &err),
             err);
    CHECK_EQ(count, 4);
    CHECK_EQ(counts[2], 2);
    CHECK_STR(matchers[3][0].value, S("d"));
    for (size_t i = 0; i < count; i++)
        promql_matchers_free(matchers[i], counts[i]);

    arena_deinit(&arena);
}

TEST(parse, edits_matchers_of_every_selector)
{
    static const struct {
        const char *name;
        Str query;
        PromqlEdit edit;
        Str want; // empty: refused
    } cases[] = {
        {"changed", STR("a{x=\"1\"}"), {.name = STR("x"), .value = STR("2")}, STR("a{x=\"2\"}")},
        {"added", STR("a"), {.name = STR("x"), .value = STR("2")}, STR("a{x=\"2\"}")},
        {"in every selector",
         STR("rate(a{x!~\"1\"}[5m]) + b or max_over_time(c{y=\"z\"}[5m:1m])"),
         {.kind = MATCH_REGEX, .name = STR("x"), .value = STR("2|3")},
         STR("rate(a{x=~\"2|3\"}[5m]) + b{x=~\"2|3\"} or "
             "max_over_time(c{x=~\"2|3\",y=\"z\"}[5m:1m])")},
        {"all of a label",
         STR("a{x!=\"1\",x!=\"2\"}"),
         {.name = STR("x"), .value = STR("3")},
         STR("a{x=\"3\",x=\"3\"}")},
        {"the name is a matcher besides",
         STR("a"),
         {.name = STR("__name__"), .value = STR("b")},
         STR("a{__name__=\"b\"}")},
        {"deleted",
         STR("sum(a{x=\"1\",y=\"2\",x!=\"3\"}) / b"),
         {.is_delete = true, .name = STR("x")},
         STR("sum(a{y=\"2\"}) / b")},
        {"a bad pattern",
         STR("a"),
         {.kind = MATCH_REGEX, .name = STR("x"), .value = STR("(")},
         STR("")},
        {"a bad query", STR("a{"), {.name = STR("x"), .value = STR("2")}, STR("")},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf out = {0};
        Error err = {0};

        bool ok = promql_edit_matchers(c->query, &all_features, &c->edit, &out, &err);

        CHECK_EQ(ok, c->want.len > 0);
        CHECK_STR(buf_str(&out), c->want);
    }
}

TEST(parse, table_of_functions_is_sorted_and_whole)
{
    size_t count;
    const FunctionInfo *rows = function_all(&count);

    for (size_t i = 0; i < count; i++) {
        test_enter_case(rows[i].name);
        CHECK(function_find(str_from_c(rows[i].name)) == &rows[i]);
        CHECK_EQ((rows[i].range != NULL) + (rows[i].math != NULL) + (rows[i].general != NULL) +
                     rows[i].special,
                 1);
    }
    test_enter_case("");
    CHECK(function_find(S("nope")) == NULL);
}

TEST_MAIN(parse, TEST_ROW(parse, prints_what_it_read),
          TEST_ROW(parse, reads_its_own_print_the_same), TEST_ROW(parse, says_where_and_what),
          TEST_ROW(parse, guards_what_is_experimental), TEST_ROW(parse, limits_depth_and_matchers),
          TEST_ROW(parse, formats_as_the_original), TEST_ROW(parse, shows_the_tree_as_json),
          TEST_ROW(parse, selectors_alone), TEST_ROW(parse, finds_all_selectors),
          TEST_ROW(parse, edits_matchers_of_every_selector),
          TEST_ROW(parse, table_of_functions_is_sorted_and_whole))
