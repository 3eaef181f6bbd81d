// SPDX-License-Identifier: Apache-2.0
#include "codec/json_text.h"

#include "base/buf.h"
#include "base/test.h"

TEST(json_text, cuts_out_members)
{
    static const struct {
        const char *name;
        Str object;
        Str want; // of the member "k"
        ErrorCode want_error;
    } cases[] = {
        {"first", STR("{\"k\":1,\"x\":2}"), STR("1"), ERR_NONE},
        {"last, with blanks", STR(" { \"x\" : [1, 2] , \"k\" : \"v\" } "), STR("\"v\""), ERR_NONE},
        {"an object", STR("{\"k\":{\"k\":[]}}"), STR("{\"k\":[]}"), ERR_NONE},
        {"behind brackets in strings", STR("{\"x\":\"}]\\\"\\\\\",\"k\":null}"), STR("null"),
         ERR_NONE},
        {"not one of a member's", STR("{\"x\":{\"k\":1}}"), STR(""), ERR_NONE},
        {"of nothing", STR("{}"), STR(""), ERR_NONE},
        {"no object", STR("[]"), STR(""), ERR_INVALID},
        {"not closed", STR("{\"x\":[1"), STR(""), ERR_INVALID},
        {"string not closed", STR("{\"x\":\"1"), STR(""), ERR_INVALID},
        {"no value", STR("{\"k\":}"), STR(""), ERR_INVALID},
        {"no colon", STR("{\"k\" 1}"), STR(""), ERR_INVALID},
        {"no comma", STR("{\"x\":\"1\" \"k\":2}"), STR(""), ERR_INVALID},
        {"empty", STR(""), STR(""), ERR_INVALID},
    };

    EACH_CASE(c, cases) {
        static const Str keys[] = {STR("none"), STR("k")};
        Str values[2] = {0};
        Error err = {0};

        bool ok = json_text_members(c->object, keys, COUNT_OF(keys), values, &err);

        CHECK_EQ(ok, c->want_error == ERR_NONE);
        CHECK_EQ(err.code, c->want_error);
        CHECK_EQ(values[0].len, 0);
        if (ok)
            CHECK_STR(values[1], c->want);
    }
}

TEST(json_text, cuts_out_items)
{
    static const struct {
        const char *name;
        Str array;
        const char *want; // items with a bar behind each
        bool fails;
    } cases[] = {
        {"none", STR("[]"), "", false},
        {"none, with blanks", STR(" [ ] "), "", false},
        {"some", STR("[1, \"a,]\" ,{\"b\":[2,3]},[ ] ]"), "1|\"a,]\"|{\"b\":[2,3]}|[ ]|", false},
        {"no list", STR("{}"), "", true},
        {"not closed", STR("[1,2"), "1|2|", true},
        {"closed by another bracket", STR("[1}"), "1|", true},
        {"nothing behind the comma", STR("[1,]"), "1|", true},
        {"text behind the list", STR("[1] 2"), "1|", true},
        {"bad value", STR("[,1]"), "", true},
    };

    EACH_CASE(c, cases) {
        CLEANUP(buf_deinit) Buf got = {0};
        Str item;
        JsonTextItems items = json_text_items(c->array);

        while (json_text_next(&items, &item)) {
            buf_add_str(&got, item);
            buf_add_char(&got, '|');
        }

        CHECK_EQ(items.failed, c->fails);
        CHECK_STR(buf_str(&got), str_from_c(c->want));
    }
}

TEST_MAIN(json_text, TEST_ROW(json_text, cuts_out_members), TEST_ROW(json_text, cuts_out_items))
