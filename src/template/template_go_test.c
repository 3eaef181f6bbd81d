// SPDX-License-Identifier: Apache-2.0
// The same templates over the same data as in Go: a map of values of each kind and a few functions.
#include <math.h>

#include "base/test.h"
#include "template/template.h"
#include "template/template_functions.h"
#include "template/template_go_cases.h"

typedef struct Rec {
    Str name;
    int64_t num;
    Str tags[2];
} Rec;

static TemplateValue rec_name(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const Rec *)record)->name);
}

static TemplateValue rec_num(const void *record, Arena *arena)
{
    (void)arena;
    return template_int(((const Rec *)record)->num);
}

static TemplateValue rec_tags(const void *record, Arena *arena)
{
    return template_strings(arena, ((const Rec *)record)->tags, 2);
}

static bool rec_upper(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateValue name = rec_name(call->self.record, call->arena);
    TemplateCall inner = *call;

    inner.args = &name;
    inner.count = 1;
    return template_function_to_upper(&inner, ret_value, err);
}

static bool rec_plus(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_int(((const Rec *)call->self.record)->num + call->args[0].integer);
    return true;
}

static const TemplateField rec_fields[] = {
    {"Name", NULL, rec_name}, {"Num", NULL, rec_num}, {"Tags", NULL, rec_tags}};
static const TemplateFunction rec_methods[] = {
    {"Upper", rec_upper}, {"Plus", rec_plus, TEMPLATE_PARAMS(&template_type_int)}};
static const TemplateType rec_type = {.name = "main.Rec",
                                      .kind = TEMPLATE_RECORD,
                                      .fields = rec_fields,
                                      .field_count = COUNT_OF(rec_fields),
                                      .methods = rec_methods,
                                      .method_count = COUNT_OF(rec_methods)};

static bool always_fails(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)call;
    (void)ret_value;
    return error_set(err, ERR_INVALID, "boom");
}

static bool twice_float(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_float(call->args[0].number * 2);
    return true;
}

static bool twice_int(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_int(call->args[0].integer * 2);
    return true;
}

static bool negate(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_bool(!call->args[0].boolean);
    return true;
}

static bool no_arguments(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)call;
    (void)err;
    *ret_value = template_string(S("NA"));
    return true;
}

static bool join(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};
    const TemplateValue *list = &call->args[1];

    for (size_t i = 0; i < list->list.count; i++) {
        buf_add_str(&text, i ? call->args[0].string : STR_NONE);
        buf_add_str(&text, list->list.items[i].string);
    }
    return template_return_text(call, &text, ret_value, err);
}

static bool variadic(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {0};

    for (size_t i = 0; i < call->count; i++) {
        buf_add_str(&text, i > 1 ? S(",") : STR_NONE);
        buf_add_str(&text, call->args[i].string);
        buf_add_str(&text, i == 0 ? S(":") : STR_NONE);
    }
    return template_return_text(call, &text, ret_value, err);
}

#define STRING &template_type_string

static const TemplateFunction functions[] = {
    {"bo", negate, TEMPLATE_PARAMS(&template_type_bool)},
    {"fail", always_fails},
    {"fl", twice_float, TEMPLATE_PARAMS(&template_type_float)},
    {"in", twice_int, TEMPLATE_PARAMS(&template_type_int)},
    {"join2", join, TEMPLATE_PARAMS(STRING, &template_type_strings)},
    {"noarg", no_arguments},
    {"vs", variadic, TEMPLATE_PARAMS(STRING, STRING), .variadic = true},
};
static const TemplateTable table = {functions, COUNT_OF(functions)};
static const TemplateTable *const tables[] = {&table, &template_functions_prometheus, NULL};

typedef struct Data {
    Arena arena;
    TemplateEntry entries[40];
    size_t count;
    Label labels[2];
    Rec rec;
    TemplateEntry map[3];
} Data;

static void put(Data *data, const char *name, TemplateValue value)
{
    data->entries[data->count++] = (TemplateEntry){template_string(str_from_c(name)), value};
}

static void put_string(Data *data, const char *name, const char *value)
{
    put(data, name, template_string(str_from_c(value)));
}

static TemplateValue make_data(Data *data)
{
    static const Str letters[] = {STR("x"), STR("y"), STR("z")};
    static const Str q[] = {STR("q")};
    TemplateValue *list = ARENA_ARRAY(&data->arena, TemplateValue, 5);

    list[0] = template_string(S("a"));
    list[1] = template_int(1);
    list[2] = template_float(2.5);
    list[3] = TEMPLATE_NIL;
    list[4] = template_bool(true);
    data->labels[0] = (Label){S("instance"), S("h:9100")};
    data->labels[1] = (Label){S("job"), S("node")};
    data->rec = (Rec){S("r1"), 4, {S("t1"), S("t2")}};
    data->map[0] = (TemplateEntry){template_string(S("b")), template_int(1)};
    data->map[1] = (TemplateEntry){template_string(S("a")), template_string(S("x"))};
    data->map[2] =
        (TemplateEntry){template_string(S("c")), template_strings(&data->arena, q, COUNT_OF(q))};
    put_string(data, "name", "db1");
    put_string(data, "empty", "");
    put_string(data, "html", "<b>&'\"");
    put_string(data, "url", "http://x/?a=b c&d=<e>");
    put_string(data, "js", "javascript:alert(1)");
    put_string(data, "uni", "h\303\251llo w\303\266rld \346\227\245\346\234\254");
    put(data, "n", template_int(5));
    put(data, "neg", template_int(-3));
    put(data, "zero", template_int(0));
    put(data, "i64", (TemplateValue){.type = &template_type_int64, .integer = 7});
    put(data, "f", template_float(2.5));
    put(data, "big", template_float(1e6));
    put(data, "nan", template_float(NAN));
    put(data, "inf", template_float(INFINITY));
    put(data, "t", template_bool(true));
    put(data, "nilv", TEMPLATE_NIL);
    put(data, "list", template_list_of(&template_type_list, list, 5));
    put(data, "strs", template_strings(&data->arena, letters, COUNT_OF(letters)));
    put(data, "none", template_strings(&data->arena, NULL, 0));
    put(data, "m", template_map(data->map, COUNT_OF(data->map)));
    put(data, "labels", template_labels((Labels){data->labels, COUNT_OF(data->labels)}));
    put(data, "rec", template_record(&rec_type, &data->rec));
    put(data, "dur", template_duration(90000000000));
    put(data, "tm", template_time(&data->arena, 1700000000, 123456789));
    put(data, "safe", template_string_of(&template_type_html, S("<i>ok</i>")));
    put(data, "surl", template_string_of(&template_type_url, S("x:y&z")));
    return template_map(data->entries, data->count);
}

static void run_cases(const Case *cases, size_t count, bool html)
{
    Data data = {0};
    TemplateOptions options = {.tables = tables, .html = html};
    TemplateExecution execution = {.dot = make_data(&data), .arena = &data.arena};

    for (const Case *c = cases; c < cases + count; c++) {
        CLEANUP(buf_deinit) Buf out = {0};
        Error err = {0};
        TemplateSet *set = template_set_new(&options);
        test_enter_case(c->name);

        bool ok = template_set_parse(set, S("x"), str_from_c(c->name), &err) &&
                  template_execute(set, S("x"), &execution, &out, &err);

        CHECK_STR(str_from_c(ok ? "" : err.text), str_from_c(c->error ? c->error : ""));
        CHECK_STR(buf_str(&out), c->want);
        template_set_free(set);
    }
    test_enter_case("");
    arena_deinit(&data.arena);
}

TEST(template_go, texts_and_faults_are_gos)
{
    run_cases(text_cases, COUNT_OF(text_cases), false);
}

TEST(template_go, pages_are_gos)
{
    run_cases(html_cases, COUNT_OF(html_cases), true);
}

TEST_MAIN(template_go, TEST_ROW(template_go, texts_and_faults_are_gos),
          TEST_ROW(template_go, pages_are_gos))
