// SPDX-License-Identifier: Apache-2.0
#include "metric/type_unit.h"

#include "base/test.h"

TEST(type_unit, labels_are_those_of_what_is_known)
{
    static const Label given[] = {
        {STR("__name__"), STR("m")}, {STR("__type__"), STR("mine")}, {STR("a"), STR("b")}};
    static const struct {
        const char *name;
        Metadata metadata;
        size_t count; // of what is given
        const char *want;
    } cases[] = {
        {"both",
         {METRIC_COUNTER, STR(""), STR("bytes")},
         3,
         "{__name__=\"m\", __type__=\"counter\", __unit__=\"bytes\", a=\"b\"}"},
        {"type alone, at the end",
         {METRIC_GAUGE, STR(""), STR("")},
         1,
         "{__name__=\"m\", __type__=\"gauge\"}"},
        {"nothing is known",
         {METRIC_UNKNOWN, STR("help"), STR("")},
         3,
         "{__name__=\"m\", a=\"b\"}"},
        {"no labels", {METRIC_UNKNOWN, STR(""), STR("seconds")}, 0, "{__unit__=\"seconds\"}"},
    };

    EACH_CASE(c, cases) {
        Arena arena = {0};
        Buf text = {0};
        size_t count = c->count;

        Label *pairs = type_unit_replace(given, &count, c->metadata, &arena);

        buf_add_char(&text, '{');
        for (size_t i = 0; i < count; i++)
            buf_printf(&text, "%s" STR_FMT "=\"" STR_FMT "\"", i ? ", " : "",
                       STR_ARG(pairs[i].name), STR_ARG(pairs[i].value));
        buf_add_char(&text, '}');
        CHECK_STR(buf_str(&text), str_from_c(c->want));
        buf_deinit(&text);
        arena_deinit(&arena);
    }
}

TEST_MAIN(type_unit, TEST_ROW(type_unit, labels_are_those_of_what_is_known))
