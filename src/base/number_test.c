// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/random.h"
#include "base/test.h"

TEST(number, doubles_print_as_go_prints_them)
{
    static const struct {
        const char *name;
        double v;
        const char *f, *e, *g, *json;
    } cases[] = {
        {"zero", 0, "0", "0e+00", "0", "0"},
        {"minus zero", -0.0, "-0", "-0e+00", "-0", "-0"},
        {"integer", 100, "100", "1e+02", "100", "100"},
        {"fraction", 0.1, "0.1", "1e-01", "0.1", "0.1"},
        {"pi", 3.141592653589793, "3.141592653589793", "3.141592653589793e+00", "3.141592653589793",
         "3.141592653589793"},
        {"negative", -12.5, "-12.5", "-1.25e+01", "-12.5", "-12.5"},
        {"small", 1e-7, "0.0000001", "1e-07", "1e-07", "1e-07"},
        {"1e-6 stays decimal in JSON", 1e-6, "0.000001", "1e-06", "1e-06", "0.000001"},
        {"large", 1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21"},
        {"just below 1e21", 123456789012345680000.0, "123456789012345680000",
         "1.2345678901234568e+20", "1.2345678901234568e+20", "123456789012345680000"},
        {"three exponent digits", 1.5e300, NULL, "1.5e+300", "1.5e+300", "1.5e+300"},
        {"infinity", INFINITY, "+Inf", "+Inf", "+Inf", "+Inf"},
        {"minus infinity", -INFINITY, "-Inf", "-Inf", "-Inf", "-Inf"},
        {"not a number", NAN, "NaN", "NaN", "NaN", "NaN"},
    };

    EACH_CASE(c, cases) {
        char out[NUMBER_BYTES_MAX];

        if (c->f)
            CHECK_STR(str_make(out, number_format_f(c->v, out)), str_from_c(c->f));
        CHECK_STR(str_make(out, number_format_e(c->v, out)), str_from_c(c->e));
        CHECK_STR(str_make(out, number_format_g(c->v, out)), str_from_c(c->g));
        CHECK_STR(str_make(out, number_format_json(c->v, out)), str_from_c(c->json));
    }
}

TEST(number, every_form_reads_back_the_same_bits)
{
    Random random;
    random_seed(&random, 42);
    for (int i = 0; i < 20000; i++) {
        double v = double_from_bits(random_u64(&random));
        if (isnan(v) || isinf(v))
            continue;
        char out[NUMBER_BYTES_MAX];
        double back;

        CHECK(number_parse_double(str_make(out, number_format_f(v, out)), &back));
        CHECK_DOUBLE(back, v);
        CHECK(number_parse_double(str_make(out, number_format_e(v, out)), &back));
        CHECK_DOUBLE(back, v);
    }
}

TEST(number, decimals_of_few_digits_print_as_they_are_written)
{
    Random random;
    random_seed(&random, 7);
    for (int i = 0; i < 50000; i++) {
        uint64_t n = random_u64(&random) >> (14 + random_below(&random, 50));
        char wanted[64], got[NUMBER_BYTES_MAX];
        int len = snprintf(wanted, sizeof wanted, "%s%" PRIu64 ".%05" PRIu64, i % 2 ? "-" : "",
                           n / 100000, n % 100000);
        while (wanted[len - 1] == '0')
            len--;
        len -= wanted[len - 1] == '.';
        double v = (i % 2 ? -1 : 1) * ((double)n / 100000);
        if (n == 0 || n > UINT64_C(999999999999999))
            continue;
        CHECK_STR(str_make(got, number_format_f(v, got)), str_make(wanted, (size_t)len));
    }
}

TEST(number, doubles_read_what_go_reads)
{
    static const struct {
        const char *name;
        const char *text;
        bool ok;
        double want;
    } cases[] = {
        {"integer", "42", true, 42},
        {"plus", "+1.5", true, 1.5},
        {"leading point", ".5", true, 0.5},
        {"trailing point", "5.", true, 5},
        {"exponent", "1e3", true, 1000},
        {"capital exponent", "1E-2", true, 0.01},
        {"underflow is zero", "1e-400", true, 0},
        {"infinity", "Inf", true, INFINITY},
        {"minus infinity in words", "-infinity", true, -INFINITY},
        {"nan in any case", "nAn", true, NAN},
        {"overflow", "1e400", false, 0},
        {"empty", "", false, 0},
        {"sign alone", "-", false, 0},
        {"two signs", "+-1", false, 0},
        {"rubbish behind", "1x", false, 0},
        {"hexadecimal", "0x10", false, 0},
        {"signed nan", "-nan", false, 0},
        {"space", " 1", false, 0},
    };

    EACH_CASE(c, cases) {
        double got = 0;

        CHECK_EQ(number_parse_double(str_from_c(c->text), &got), c->ok);
        CHECK_DOUBLE(got, c->want);
    }
}

TEST(number, integers_stop_at_their_limits)
{
    static const struct {
        const char *name;
        const char *text;
        bool signed_ok;
        bool unsigned_ok;
    } cases[] = {
        {"zero", "0", true, true},
        {"largest signed", "9223372036854775807", true, true},
        {"one more", "9223372036854775808", false, true},
        {"smallest", "-9223372036854775808", true, false},
        {"largest unsigned", "18446744073709551615", false, true},
        {"overflow", "18446744073709551616", false, false},
        {"empty", "", false, false},
        {"letters", "12a", false, false},
    };

    EACH_CASE(c, cases) {
        int64_t i;
        uint64_t u;

        CHECK_EQ(number_parse_i64(str_from_c(c->text), &i), c->signed_ok);
        CHECK_EQ(number_parse_u64(str_from_c(c->text), &u), c->unsigned_ok);
    }
}

TEST_MAIN(number, TEST_ROW(number, doubles_print_as_go_prints_them),
          TEST_ROW(number, every_form_reads_back_the_same_bits),
          TEST_ROW(number, decimals_of_few_digits_print_as_they_are_written),
          TEST_ROW(number, doubles_read_what_go_reads),
          TEST_ROW(number, integers_stop_at_their_limits))
