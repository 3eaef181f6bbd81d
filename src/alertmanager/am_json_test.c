// SPDX-License-Identifier: Apache-2.0
// The texts were read from Alertmanager 0.33's answers.
#include "alertmanager/am_json.h"

#include "base/test.h"

static const AmJsonMember members[] = {{"labels", AM_JSON_LABELS}, {"startsAt", AM_JSON_TIME},
                                       {"url", AM_JSON_URI},       {"matchers", AM_JSON_MATCHERS},
                                       {"note", AM_JSON_STRING},   {"flag", AM_JSON_BOOL}};
static const AmJsonShape shape = {"models.Thing", "Thing", members, COUNT_OF(members)};

TEST(am_json, texts_that_are_no_json_are_refused_in_the_words_of_go)
{
    static const struct {
        const char *name, *fault; // named by the text itself
    } rows[] = {
        {"x", "invalid character 'x' looking for beginning of value"},
        {"", "unexpected EOF"},
        {"{", "unexpected EOF"},
        {"[1", "unexpected EOF"},
        {"[1,", "unexpected EOF"},
        {"{\"a\"", "unexpected EOF"},
        {"{\"a\":", "unexpected EOF"},
        {"{\"a\":1,", "unexpected EOF"},
        {"\"abc", "unexpected EOF"},
        {"nul", "unexpected EOF"},
        {"-", "unexpected EOF"},
        {"1e", "unexpected EOF"},
        {"]", "invalid character ']' looking for beginning of value"},
        {"[}", "invalid character '}' looking for beginning of value"},
        {"[1,]", "invalid character ']' looking for beginning of value"},
        {"['x']", "invalid character '\\'' looking for beginning of value"},
        {"[\xff]", "invalid character '\\xff' looking for beginning of value"},
        {"[\xc3\xa9]", "invalid character '\xc3\xa9' looking for beginning of value"},
        {"{,}", "invalid character ',' looking for beginning of object key string"},
        {"{1:2}", "invalid character '1' looking for beginning of object key string"},
        {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
        {"{\"a\" \"b\"}", "invalid character '\"' after object key"},
        {"{\"a\":1 2}", "invalid character '2' after object key:value pair"},
        {"[1 2]", "invalid character '2' after array element"},
        {"[01]", "invalid character '1' after array element"},
        {"[1e]", "invalid character ']' in numeric literal"},
        {"[-]", "invalid character ']' in numeric literal"},
        {"[1.x]", "invalid character 'x' in numeric literal"},
        {"[nulx]", "invalid character 'x' in literal null (expecting 'l')"},
        {"[trub]", "invalid character 'b' in literal true (expecting 'e')"},
        {"[\"\\q\"]", "invalid escape sequence `\\q` in string"},
        {"[\"\\uzz00\"]", "invalid escape sequence `\\uzz00` in string"},
        {"[\"a\nb\"]", "invalid character '\\n' in string"},
        {"[\"\x01\"]", "invalid character '\\x01' in string"},
    };
    EACH_CASE(c, rows) {
        CLEANUP(arena_deinit) Arena arena = {0};
        JsonValue *value;
        Error err = {0};
        CHECK(!am_json_read(str_from_c(c->name), &arena, &value, &err));
        CHECK_STR(str_from_c(err.text), str_from_c(c->fault));
    }
}

TEST(am_json, what_stands_behind_the_first_value_is_not_looked_at)
{
    static const struct {
        const char *name;
    } rows[] = {{"[]x"}, {"[]]"}, {"{} {"}, {"1 2"}, {"truex"}};
    EACH_CASE(c, rows) {
        CLEANUP(arena_deinit) Arena arena = {0};
        JsonValue *value;
        Error err = {0};
        CHECK_OK(am_json_read(str_from_c(c->name), &arena, &value, &err), err);
    }
}

TEST(am_json, values_of_other_kinds_are_refused_in_the_words_of_go)
{
    static const struct {
        const char *name, *fault; // named by the text itself // NULL: it is taken
    } rows[] = {
        {"{}", NULL},
        {"null", NULL},
        {"{\"labels\":null,\"startsAt\":null,\"url\":null,\"matchers\":null,\"flag\":null}", NULL},
        {"{\"labels\":{\"a\":null},\"other\":5}", NULL},
        {"[]", "json: cannot unmarshal array into Go value of type models.Thing"},
        {"5", "json: cannot unmarshal number into Go value of type models.Thing"},
        {"true", "json: cannot unmarshal bool into Go value of type models.Thing"},
        {"\"x\"", "json: cannot unmarshal string into Go value of type models.Thing"},
        {"{\"labels\":[]}",
         "json: cannot unmarshal array into Go struct field Thing.labels of type "
         "models.LabelSet"},
        {"{\"labels\":{\"a\":\"b\",\"c\":1,\"d\":2}}",
         "json: cannot unmarshal number into Go struct field Thing.labels.c of type string"},
        {"{\"url\":5}", "json: cannot unmarshal number into Go value of type string"},
        {"{\"startsAt\":{}}", "json: cannot unmarshal object into Go value of type string"},
        {"{\"note\":true}",
         "json: cannot unmarshal bool into Go struct field Thing.note of type string"},
        {"{\"flag\":\"x\"}",
         "json: cannot unmarshal string into Go struct field Thing.flag of type bool"},
        {"{\"matchers\":{}}",
         "json: cannot unmarshal object into Go struct field Thing.matchers of "
         "type models.Matchers"},
        {"{\"matchers\":[null,1]}",
         "json: cannot unmarshal number into Thing.matchers.1 of type models.Matcher"},
        {"{\"matchers\":[{\"name\":1}]}",
         "json: cannot unmarshal number into Go struct field Thing.matchers.0.name of type string"},
        {"{\"matchers\":[{\"isEqual\":5}]}", "json: cannot unmarshal number into Go struct field "
                                             "Thing.matchers.0.isEqual of type bool"},
        {"{\"url\":5,\"labels\":5}", "json: cannot unmarshal number into Go value of type string"},
    };
    EACH_CASE(c, rows) {
        CLEANUP(arena_deinit) Arena arena = {0};
        JsonValue *value;
        Error err = {0};
        CHECK_OK(am_json_read(str_from_c(c->name), &arena, &value, &err), err);
        CHECK_EQ(am_json_check(&shape, value, &err), c->fault == NULL);
        CHECK_STR(str_from_c(err.text), str_from_c(c->fault ? c->fault : ""));
    }
}

TEST(am_json, times_are_taken_in_the_forms_of_the_original)
{
    static const struct {
        const char *name;
        int64_t at_ms;
    } rows[] = {
        {"2020-01-01T00:00:00Z", 1577836800000},
        {"2020-01-01T00:00:00.5Z", 1577836800500},
        {"2020-01-01T01:00:00+01:00", 1577836800000},
        {"2020-01-01T01:00:00.123+0100", 1577836800123},
        {"2020-01-01T00:00:00", 1577836800000},
        {"2020-01-01T00:00:00.5", 1577836800500},
        {"2020-01-01 00:00:00", 1577836800000},
        {"2020-01-01T00:00", 1577836800000},
        {"2020-01-01T00:00Z", 1577836800000},
        {"2020-01-01", 1577836800000},
    };
    EACH_CASE(c, rows) {
        int64_t at_ns;
        Error err = {0};
        CHECK_OK(am_json_time(str_from_c(c->name), &at_ns, &err), err);
        CHECK_EQ(at_ns, c->at_ms * AM_MS_NS);
    }
    int64_t at_ns;
    Error err = {0};
    CHECK_OK(am_json_time(S(""), &at_ns, &err), err);
    CHECK(am_time_is_zero(at_ns));
}

TEST(am_json, other_times_are_refused_in_the_words_of_go)
{
    static const struct {
        const char *name, *fault; // named by the text itself
    } rows[] = {
        {"x", "parsing time \"x\" as \"2006-01-02\": cannot parse \"x\" as \"2006\""},
        {"a\"b", "parsing time \"a\\\"b\" as \"2006-01-02\": cannot parse \"a\\\"b\" as \"2006\""},
        {"2020", "parsing time \"2020\" as \"2006-01-02\": cannot parse \"\" as \"-\""},
        {"2020-1-30",
         "parsing time \"2020-1-30\" as \"2006-01-02\": cannot parse \"1-30\" as \"01\""},
        {"2020-0x", "parsing time \"2020-0x\" as \"2006-01-02\": cannot parse \"0x\" as \"01\""},
        {"2020-01-3x",
         "parsing time \"2020-01-3x\" as \"2006-01-02\": cannot parse \"3x\" as \"02\""},
        {"2020-00-01", "parsing time \"2020-00-01\": month out of range"},
        {"2020-13-01T00:00:00Z", "parsing time \"2020-13-01T00:00:00Z\": month out of range"},
        {"2020-02-30", "parsing time \"2020-02-30\": day out of range"},
        {"2020-01-01T25:00:00Z",
         "parsing time \"2020-01-01T25:00:00Z\": extra text: \"T25:00:00Z\""},
        {"2020-01-01T00:00:00.Z",
         "parsing time \"2020-01-01T00:00:00.Z\": extra text: \"T00:00:00.Z\""},
        {"2020-01-01T00:00:00+0100",
         "parsing time \"2020-01-01T00:00:00+0100\": extra text: \"T00:00:00+0100\""},
        {"2020-01-01 00:00:00Z",
         "parsing time \"2020-01-01 00:00:00Z\": extra text: \" 00:00:00Z\""},
    };
    EACH_CASE(c, rows) {
        int64_t at_ns;
        Error err = {0};
        CHECK(!am_json_time(str_from_c(c->name), &at_ns, &err));
        CHECK_STR(str_from_c(err.text), str_from_c(c->fault));
    }
}

TEST_MAIN(am_json, TEST_ROW(am_json, texts_that_are_no_json_are_refused_in_the_words_of_go),
          TEST_ROW(am_json, what_stands_behind_the_first_value_is_not_looked_at),
          TEST_ROW(am_json, values_of_other_kinds_are_refused_in_the_words_of_go),
          TEST_ROW(am_json, times_are_taken_in_the_forms_of_the_original),
          TEST_ROW(am_json, other_times_are_refused_in_the_words_of_go))
