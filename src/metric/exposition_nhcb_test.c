// SPDX-License-Identifier: Apache-2.0
#include "metric/exposition_nhcb.h"

#include "base/test.h"

// What a page's histograms become; lines that are no part of one are shown as they stand.
static Str convert(Arena *arena, ExpositionFormat format, const char *page)
{
    Exposition parser, sample;
    ExpositionNhcb group = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    exposition_init(&parser, format, str_from_c(page), arena);
    exposition_nhcb_init(&group, arena);
    for (bool more = true; more;) {
        more = exposition_next(&parser);
        bool ends = more ? exposition_nhcb_ends(&group, &parser) : true;
        if (ends && exposition_nhcb_finish(&group, &parser, &sample)) {
            Labels labels;
            Error err;
            CHECK_OK(exposition_labels(&sample, arena, &labels, &err), err);
            labels_print_metric(&out, labels);
            buf_add_char(&out, ' ');
            histogram_print(&out, sample.histogram);
            if (sample.has_t)
                buf_printf(&out, " @%lld", (long long)sample.t_ms);
            for (size_t i = 0; i < sample.exemplar_count; i++)
                buf_printf(&out, " #%g", sample.exemplars[i].value);
            buf_printf(&out, "%s\n", sample.histogram->is_integer ? "" : " float");
        }
        if (more && !exposition_nhcb_add(&group, &parser) && parser.kind == EXPOSITION_SAMPLE)
            buf_printf(&out, "line " STR_FMT "\n", STR_ARG(parser.series_text));
    }
    CHECK_OK(!parser.failed, parser.err);
    exposition_nhcb_deinit(&group);
    return arena_str(arena, buf_str(&out));
}

TEST(exposition_nhcb, classic_series_become_one_histogram)
{
    static const struct {
        const char *name;
        ExpositionFormat format;
        const char *page, *want;
    } cases[] = {
        {"whole counts", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{a=\"1\",le=\"0.5\"} 1\nh_bucket{a=\"1\",le=\"1\"} 3\n"
         "h_bucket{a=\"1\",le=\"+Inf\"} 4\nh_sum{a=\"1\"} 7.5\nh_count{a=\"1\"} 4\nx 1\n",
         "h{a=\"1\"} {count:4, sum:7.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:1}\nline x\n"},
        {"two of one family, in other orders", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_count{a=\"1\"} 2\nh_sum{a=\"1\"} 1\nh_bucket{le=\"+Inf\",a=\"1\"} "
         "2\n"
         "h_bucket{le=\"1\",a=\"1\"} 1\nh_bucket{a=\"2\",le=\"1\"} "
         "5\nh_bucket{a=\"2\",le=\"+Inf\"} 5\n",
         "h{a=\"1\"} {count:2, sum:1, [-Inf,1]:1, (1,+Inf]:1}\n"
         "h{a=\"2\"} {count:5, sum:0, [-Inf,1]:5}\n"},
        {"without +Inf", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 3\nh_sum 9\n",
         "{count:3, sum:9, [-Inf,1]:1, (1,+Inf]:2}\n"},
        {"fractions", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum "
         "9\n",
         "[-Inf,1]:0.5, (1,+Inf]:0.5} float\n"},
        {"times and exemplars", EXPOSITION_OPENMETRICS,
         "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 5 # {t=\"x\"} 0.25 4\n"
         "h_bucket{le=\"+Inf\"} 1 5 # {t=\"y\"} 0.5\nh_count 1 5\nh_sum 9 5\n# EOF\n",
         "[-Inf,1]:1} @5000 #0.25\n"},
        {"a falling bucket makes none", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 9\n",
         ""},
        {"another count makes none", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 3\nh_count 4\nh_sum 9\n",
         ""},
        {"of a bound that stands twice the first counts", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} "
         "3\n",
         "{count:3, sum:0, [-Inf,1]:2, (1,+Inf]:1}\n"},
        {"neither +Inf nor a count", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 3\n",
         "{count:3, sum:0, [-Inf,1]:2, (1,2]:1}\n"},
        {"a bound that is no number is a line", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"NaN\"} 3\nh_bucket{le=\"x\"} 3\nh_count 3\n",
         "line h_bucket{le=\"NaN\"}\nline h_bucket{le=\"x\"}\nh {count:3, sum:0, [-Inf,+Inf]:3}\n"},
        {"a count alone", EXPOSITION_TEXT, "# TYPE h histogram\nh_count 3\nh_sum 4\n",
         "{count:3, sum:4, [-Inf,+Inf]:3}\n"},
        {"a sum alone", EXPOSITION_TEXT, "# TYPE h histogram\nh_sum 4\n", "{count:0, sum:4}\n"},
        {"another name than the type's is a line", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\ng_sum 4\ng_count 3\n",
         "h {count:3, sum:0, [-Inf,+Inf]:3}\nline g_sum\nline g_count\n"},
        {"only of the type", EXPOSITION_TEXT, "h_bucket{le=\"1\"} 3\n# TYPE g gauge\ng_count 3\n",
         "line h_bucket{le=\"1\"}\nline g_count\n"},
        {"a bucket without le is a line", EXPOSITION_TEXT,
         "# TYPE h histogram\nh_bucket{a=\"1\"} 3\nh_other 4\n",
         "line h_bucket{a=\"1\"}\nline h_other\n"},
        {"a name with an escape", EXPOSITION_TEXT,
         "# TYPE \"h\\\"x\" histogram\n{\"h\\\"x_count\"} 3\n",
         "{__name__=\"h\\\"x\"} {count:3, sum:0, [-Inf,+Inf]:3}\n"},
        {"names beyond the old alphabet", EXPOSITION_TEXT,
         "# TYPE \"h.x\" histogram\n{\"h.x_bucket\",\"l.y\"=\"\\\"\",le=\"+Inf\"} 3\n"
         "{\"h.x_count\",\"l.y\"=\"\\\"\"} 3\n",
         "{__name__=\"h.x\", \"l.y\"=\"\\\"\"} {count:3, sum:0, [-Inf,+Inf]:3}\n"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Str got = convert(&arena, c->format, c->page);
        if (*c->want)
            CHECK_HAS(str_to_c(&arena, got), c->want);
        else
            CHECK_STR(got, S(""));
    }
}

TEST_MAIN(exposition_nhcb, TEST_ROW(exposition_nhcb, classic_series_become_one_histogram))
