// SPDX-License-Identifier: Apache-2.0
// The notation of series in tests.
#include "base/number.h"
#include "base/test.h"
#include "promql/promql.h"

static Str show(const SeriesTextValue *values, size_t count, Arena *arena)
{
    Buf out = {0};
    for (size_t i = 0; i < count; i++) {
        buf_add_c(&out, i ? " " : "");
        if (values[i].omitted)
            buf_add_char(&out, '_');
        else if (values[i].histogram)
            promql_print_series_histogram(&out, values[i].histogram);
        else if (is_stale_nan(values[i].value))
            buf_add_c(&out, "stale");
        else
            buf_add_double_g(&out, values[i].value);
    }
    Str text = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

TEST(series_text, values_expand)
{
    static const struct {
        const char *name;
        Str text;
        Str want;
    } cases[] = {
        {"nothing", STR(""), STR("")},
        {"numbers", STR(" 1 -2\t3.5 1e3 "), STR("1 -2 3.5 1000")},
        {"zero is repeated, not the lead of a hexadecimal number", STR("0x2 0+0x1"),
         STR("0 0 0 0 0")},
        {"words", STR("NaN Inf -Inf +inf stale _"), STR("NaN +Inf -Inf +Inf stale _")},
        {"rising", STR("1+2x3"), STR("1 3 5 7")},
        {"falling", STR("-1-2x2"), STR("-1 -3 -5")},
        {"the same", STR("7x2"), STR("7 7 7")},
        {"gaps", STR("_x3 1"), STR("_ _ _ 1")},
        {"none more", STR("1+2x0"), STR("1")},
        {"a step of an exponent", STR("1e1+1e1x1"), STR("10 20")},
        {"a histogram",
         STR("{{schema:1 sum:3 count:4 z_bucket:1 z_bucket_w:0.1 offset:2 "
             "buckets:[1 2] n_offset:1 n_buckets:[3]}}"),
         STR("{{schema:1 count:4 sum:3 z_bucket:1 z_bucket_w:0.1 offset:2 buckets:[1 2] n_offset:1 "
             "n_buckets:[3]}}")},
        {"an empty histogram", STR("{{}}x1"), STR("{{}} {{}}")},
        {"growing histograms", STR("{{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2"),
         STR("{{count:1 buckets:[1]}} {{count:3 buckets:[3]}} {{count:5 buckets:[5]}}")},
        {"custom buckets",
         STR("{{schema:-53 sum:1 count:3 custom_values:[5 10] buckets:[1 2] "
             "counter_reset_hint:gauge}}"),
         STR("{{schema:-53 count:3 sum:1 custom_values:[5 10] counter_reset_hint:gauge "
             "buckets:[1 2]}}")},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        SeriesTextValue *values;
        size_t count;
        Error err = {0};

        CHECK_OK(promql_parse_series_values(c->text, &arena, &values, &count, &err), err);

        CHECK_STR(show(values, count, &arena), c->want);
    }
}

TEST(series_text, mistakes_are_told)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"a word", STR("1 two"), "1:3: parse error: "},
        {"no count", STR("1+2"), "expected \"x\" and how often"},
        {"no number of times", STR("1x"), "invalid repetition"},
        {"a sign too many", STR("1+-+2x3"), "1:"},
        {"far too many", STR("1x99999999999"), "too many values"},
        {"too many together", STR("_x9000000 _x9000000"), "too many values"},
        {"an open histogram", STR("{{schema:1"), "unterminated"},
        {"an unknown key", STR("{{colour:1}}"), "unexpected key"},
        {"an open list", STR("{{buckets:[1 2"), "1:"},
        {"glued", STR("1x2y"), "unexpected character"},
        {"kinds that do not mix", STR("{{}}+{{schema:-53 custom_values:[1] buckets:[1]}}x1"),
         "error combining histograms"},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        SeriesTextValue *values;
        size_t count;
        Error err = {0};

        CHECK(!promql_parse_series_values(c->text, &arena, &values, &count, &err));

        CHECK_EQ(err.code, ERR_INVALID);
        CHECK_HAS(err.text, c->want);
    }
}

TEST(series_text, metrics_are_label_sets)
{
    static const struct {
        const char *name;
        Str text;
        const char *want; // NULL: refused
    } cases[] = {
        {"a name", STR("up"), "{__name__=\"up\"}"},
        {"labels", STR("up{b=\"2\",a=\"1\"}"), "{__name__=\"up\", a=\"1\", b=\"2\"}"},
        {"only labels", STR("{a='1'}"), "{a=\"1\"}"},
        {"braces", STR("{}"), "{}"},
        {"nothing", STR(""), "{}"},
        {"a pattern", STR("up{a=~\"1\"}"), NULL},
        {"open", STR("up{"), NULL},
    };
    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        CLEANUP(buf_deinit) Buf got = {0};
        Labels labels = LABELS_NONE;
        Error err = {0};

        CHECK_EQ(promql_parse_metric(c->text, &arena, &labels, &err), c->want != NULL);

        labels_print(&got, labels);
        if (c->want)
            CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST_MAIN(series_text, TEST_ROW(series_text, values_expand),
          TEST_ROW(series_text, mistakes_are_told), TEST_ROW(series_text, metrics_are_label_sets))
