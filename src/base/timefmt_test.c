// SPDX-License-Identifier: Apache-2.0
#include "base/timefmt.h"

#include "base/error.h"
#include "base/test.h"

TEST(duration, parses_what_prometheus_parses)
{
    static const struct {
        const char *name;
        Str text;
        int64_t want_ms;
        ErrorCode want_error;
    } cases[] = {
        {"units add up", STR("1h30m"), 5400000, ERR_NONE},
        {"milliseconds", STR("1500ms"), 1500, ERR_NONE},
        {"everything", STR("1y2w3d4h5m6s7ms"), 33019506007, ERR_NONE},
        {"zero without unit", STR("0"), 0, ERR_NONE},
        {"units in order only", STR("30m1h"), 0, ERR_INVALID},
        {"each unit once", STR("1h1h"), 0, ERR_INVALID},
        {"number alone", STR("5"), 0, ERR_INVALID},
        {"unit alone", STR("m"), 0, ERR_INVALID},
        {"negative", STR("-1m"), 0, ERR_INVALID},
        {"empty is not zero", STR(""), 0, ERR_INVALID},
        {"too long", STR("300y"), 0, ERR_INVALID},
    };

    EACH_CASE(c, cases) {
        int64_t got_ms = 0;
        Error err = {0};

        bool ok = duration_parse(c->text, &got_ms, &err);

        CHECK_EQ(ok, c->want_error == ERR_NONE);
        CHECK_EQ(err.code, c->want_error);
        CHECK_EQ(got_ms, c->want_ms);
    }
}

TEST(duration, parses_what_go_parses)
{
    static const struct {
        const char *name;
        Str text;
        int64_t want_ms;
        ErrorCode want_error;
    } cases[] = {
        {"parts in any order", STR("30m1h"), 5400000, ERR_NONE},
        {"fractions", STR("1.5s"), 1500, ERR_NONE},
        {"a fraction without a leading digit", STR(".1s"), 100, ERR_NONE},
        {"hours with a fraction", STR("0.1h"), 360000, ERR_NONE},
        {"many parts", STR("1h15m30.918s"), 4530918, ERR_NONE},
        {"microseconds", STR("2500us"), 2, ERR_NONE},
        {"microseconds as people write them", STR("2500\xc2\xb5s"), 2, ERR_NONE},
        {"negative", STR("-1.5m"), -90000, ERR_NONE},
        {"zero without unit", STR("0"), 0, ERR_NONE},
        {"number alone", STR("5"), 0, ERR_INVALID},
        {"days are not Go's", STR("1d"), 0, ERR_INVALID},
        {"two dots", STR("1.2.3s"), 0, ERR_INVALID},
        {"empty", STR(""), 0, ERR_INVALID},
        {"sign alone", STR("-"), 0, ERR_INVALID},
        {"too long", STR("3000000h"), 0, ERR_INVALID},
    };

    EACH_CASE(c, cases) {
        int64_t got_ms = 0;
        Error err = {0};

        bool ok = go_duration_parse(c->text, &got_ms, &err);

        CHECK_EQ(ok, c->want_error == ERR_NONE);
        CHECK_EQ(err.code, c->want_error);
        CHECK_EQ(got_ms, c->want_ms);
    }
}

TEST(duration, prints_as_model_duration)
{
    static const struct {
        const char *name;
        int64_t ms;
        const char *want;
    } cases[] = {
        {"zero", 0, "0s"},
        {"minute", 60000, "1m"},
        {"mixed", 5400000, "1h30m"},
        {"week", 604800000, "1w"},
        {"eight days are no weeks", 691200000, "8d"},
        {"year", 31536000000, "1y"},
        {"with milliseconds", 1500, "1s500ms"},
        {"day and hours", 90000000, "1d1h"},
        {"negative", -60000, "-1m"},
    };

    EACH_CASE(c, cases) {
        Buf buf = {0};
        buf_add_duration(&buf, c->ms);
        CHECK_STR(buf_str(&buf), str_from_c(c->want));
        buf_deinit(&buf);
    }
}

TEST(rfc3339, reads_and_prints)
{
    static const struct {
        const char *name;
        Str text;
        bool ok;
        int64_t want_ms;
        const char *printed;
    } cases[] = {
        {"epoch", STR("1970-01-01T00:00:00Z"), true, 0, "1970-01-01T00:00:00Z"},
        {"fraction", STR("2015-07-01T20:10:51.781Z"), true, 1435781451781,
         "2015-07-01T20:10:51.781Z"},
        {"zone", STR("2015-07-01T22:10:51.78+02:00"), true, 1435781451780,
         "2015-07-01T20:10:51.78Z"},
        {"leap day", STR("2024-02-29T00:00:00Z"), true, 1709164800000, "2024-02-29T00:00:00Z"},
        {"before the epoch", STR("1969-12-31T23:59:59.5Z"), true, -500, "1969-12-31T23:59:59.5Z"},
        {"no leap day", STR("2023-02-29T00:00:00Z"), false, 0, NULL},
        {"no zone", STR("2023-02-28T00:00:00"), false, 0, NULL},
        {"month 13", STR("2023-13-01T00:00:00Z"), false, 0, NULL},
        {"rubbish", STR("yesterday"), false, 0, NULL},
    };

    EACH_CASE(c, cases) {
        int64_t got_ms = 0;
        Error err = {0};

        CHECK_EQ(rfc3339_parse(c->text, &got_ms, &err), c->ok);

        CHECK_EQ(got_ms, c->want_ms);
        if (c->ok) {
            Buf buf = {0};
            buf_add_rfc3339(&buf, got_ms, 0);
            CHECK_STR(buf_str(&buf), str_from_c(c->printed));
            buf_deinit(&buf);
        }
    }
}

TEST(civil, every_day_of_five_centuries_goes_there_and_back)
{
    for (int64_t day = -120000; day < 80000; day++) {
        CivilTime t = civil_from_s(day * 86400 + 3661);
        CHECK_EQ(civil_to_s(t.year, t.month, t.day, t.hour, t.minute, t.second),
                 day * 86400 + 3661);
    }
    CHECK_EQ(civil_from_s(0).weekday, 4);
    CHECK_EQ(civil_from_s(1709164800).yearday, 60);
}

TEST(error, context_goes_in_front_and_fits)
{
    Error err = {0};
    error_set(&err, ERR_IO, "disk full");

    error_context(&err, "block %s", "01ABC");
    CHECK(strcmp(err.text, "block 01ABC: disk full") == 0);
    for (int i = 0; i < 100; i++)
        error_context(&err, "context number %d", i);

    CHECK_EQ(strlen(err.text), sizeof err.text - 1);
    CHECK_EQ(err.code, ERR_IO);
}

TEST_MAIN(timefmt, TEST_ROW(duration, parses_what_prometheus_parses),
          TEST_ROW(duration, parses_what_go_parses), TEST_ROW(duration, prints_as_model_duration),
          TEST_ROW(rfc3339, reads_and_prints),
          TEST_ROW(civil, every_day_of_five_centuries_goes_there_and_back),
          TEST_ROW(error, context_goes_in_front_and_fits))
