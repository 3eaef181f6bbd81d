// SPDX-License-Identifier: Apache-2.0
#include "template/template_builtin.h"

#include "template/template_escape.h"
#include "template/template_fmt.h"
#include "template/template_run.h"

#define TEXT_BYTES_MAX (16u << 20) // of one result

// ---- and, or, not

// The arguments are evaluated by the engine, one by one; this is what a call with all of them gives.
static bool and_or(const TemplateCall *call, TemplateValue *ret_value, bool is_or)
{
    for (size_t i = 0; i < call->count; i++) {
        *ret_value = call->args[i];
        if (template_truth(ret_value) == is_or)
            break;
    }
    return true;
}

static bool and_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return and_or(call, ret_value, false);
}

static bool or_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return and_or(call, ret_value, true);
}

static bool not_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = template_bool(!template_truth(&call->args[0]));
    return true;
}

// ---- len, index, slice

static const char *type_name(const TemplateValue *value)
{
    return value->type ? value->type->name : "<nil>";
}

static bool len(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateValue *value = &call->args[0];

    switch (template_kind(value)) {
    case TEMPLATE_ANY:
        return error_set(err, ERR_INVALID, "reflect: call of reflect.Value.Type on zero Value");
    case TEMPLATE_STRING:
    case TEMPLATE_LIST:
    case TEMPLATE_MAP:
    case TEMPLATE_STRING_MAP:
        *ret_value = template_int((int64_t)template_length(value));
        return true;
    default:
        return error_set(err, ERR_INVALID, "len of type %s", type_name(value));
    }
}

// An index into something of `cap` elements; `cap` itself is one only for a slice.
static bool read_index(const TemplateValue *index, size_t end, size_t *ret_index, Error *err)
{
    if (!index->type)
        return error_set(err, ERR_INVALID, "cannot index slice/array with nil");
    if (template_kind(index) != TEMPLATE_INT)
        return error_set(err, ERR_INVALID, "cannot index slice/array with type %s",
                         type_name(index));
    if (index->integer < 0 || (uint64_t)index->integer >= end)
        return error_set(err, ERR_INVALID, "index out of range: %lld", (long long)index->integer);
    *ret_index = (size_t)index->integer;
    return true;
}

static bool index_map(TemplateValue *value, const TemplateValue *key, Error *err)
{
    const TemplateType *elem = value->type->elem;

    if (!key->type)
        return error_set(err, ERR_INVALID, "value is nil; should be of type string");
    if (key->type != &template_type_string)
        return error_set(err, ERR_INVALID, "value has type %s; should be string", type_name(key));
    if (!template_lookup(value, key->string, value))
        *value = elem && elem->kind != TEMPLATE_ANY ? (TemplateValue){.type = elem} : TEMPLATE_NIL;
    return true;
}

static bool index_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateValue value = call->args[0];
    size_t at;

    if (!value.type)
        return error_set(err, ERR_INVALID, "index of untyped nil");
    for (size_t i = 1; i < call->count; i++) {
        switch (template_kind(&value)) {
        case TEMPLATE_ANY:
            return error_set(err, ERR_INVALID, "index of nil pointer");
        case TEMPLATE_LIST:
            if (!read_index(&call->args[i], value.list.count, &at, err))
                return false;
            value = value.list.items[at];
            break;
        case TEMPLATE_STRING:
            if (!read_index(&call->args[i], value.string.len, &at, err))
                return false;
            value = (TemplateValue){.type = &template_type_uint8,
                                    .integer = (unsigned char)value.string.ptr[at]};
            break;
        case TEMPLATE_MAP:
        case TEMPLATE_STRING_MAP:
            if (!index_map(&value, &call->args[i], err))
                return false;
            break;
        default:
            return error_set(err, ERR_INVALID, "can't index item of type %s", type_name(&value));
        }
    }
    *ret_value = value;
    return true;
}

static bool slice(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    TemplateValue value = call->args[0];
    bool is_string = template_kind(&value) == TEMPLATE_STRING;
    size_t end = template_length(&value);
    size_t at[3] = {0, end, end};

    if (!value.type)
        return error_set(err, ERR_INVALID, "slice of untyped nil");
    if (call->count > 4)
        return error_set(err, ERR_INVALID, "too many slice indexes: %zu", call->count - 1);
    if (!is_string && template_kind(&value) != TEMPLATE_LIST)
        return error_set(err, ERR_INVALID, "can't slice item of type %s", type_name(&value));
    if (is_string && call->count == 4)
        return error_set(err, ERR_INVALID, "cannot 3-index slice a string");
    for (size_t i = 1; i < call->count; i++)
        if (!read_index(&call->args[i], end + 1, &at[i - 1], err))
            return false;
    if (at[0] > at[1])
        return error_set(err, ERR_INVALID, "invalid slice index: %zu > %zu", at[0], at[1]);
    if (call->count == 4 && at[1] > at[2])
        return error_set(err, ERR_INVALID, "invalid slice index: %zu > %zu", at[1], at[2]);
    if (is_string) {
        value.string = str_sub(value.string, at[0], at[1] - at[0]);
    } else {
        value.list.items += at[0];
        value.list.count = at[1] - at[0];
    }
    *ret_value = value;
    return true;
}

// ---- call

static bool call_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateValue *callee = &call->args[0];

    if (!callee->type)
        return error_set(err, ERR_INVALID, "call of nil");
    if (template_kind(callee) != TEMPLATE_FUNCTION)
        return error_set(err, ERR_INVALID, "non-function of type %s", type_name(callee));

    TemplateCall inner = *call;
    const TemplateFunction *function = callee->function;
    inner.self = TEMPLATE_NIL;
    inner.args++;
    inner.count--;
    if (inner.count != function->param_count && !function->variadic)
        return error_set(err, ERR_INVALID, "wrong number of args: got %zu want %u", inner.count,
                         function->param_count);
    for (size_t i = 0; i < inner.count; i++) {
        const TemplateType *want = function->params[MIN(i, function->param_count - 1u)];
        if (want->kind != TEMPLATE_ANY && inner.args[i].type != want)
            return error_set(err, ERR_INVALID, "arg %zu: value has type %s; should be %s", i,
                             type_name(&inner.args[i]), want->name);
    }
    return function->call(&inner, ret_value, err);
}

// ---- text

static bool take_text(const TemplateCall *call, Buf *text, TemplateValue *ret_value, Error *err)
{
    bool ok = buf_ok(text, "the text", err);

    if (ok)
        *ret_value = template_string(arena_str(call->arena, buf_str(text)));
    buf_deinit(text);
    return ok;
}

static bool print(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEXT_BYTES_MAX};
    template_sprint(&text, call->args, call->count);
    return take_text(call, &text, ret_value, err);
}

static bool println(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEXT_BYTES_MAX};
    template_sprintln(&text, call->args, call->count);
    return take_text(call, &text, ret_value, err);
}

static bool printf_(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    Buf text = {.max = TEXT_BYTES_MAX};
    template_sprintf(&text, call->args[0].string, call->args + 1, call->count - 1);
    return take_text(call, &text, ret_value, err);
}

// One string as it is, anything else as print() does.
static bool escape(const TemplateCall *call, void (*escaper)(Buf *, Str), TemplateValue *ret_value,
                   Error *err)
{
    Buf plain = {.max = TEXT_BYTES_MAX};
    Buf text = {.max = TEXT_BYTES_MAX};
    TemplateValue *values = ARENA_ARRAY(call->arena, TemplateValue, call->count);

    for (size_t i = 0; i < call->count; i++)
        values[i] = call->args[i].type ? call->args[i] : template_string(S("<no value>"));
    template_sprint(&plain, values, call->count);
    escaper(&text, buf_str(&plain));
    text.failed |= plain.failed;
    buf_deinit(&plain);
    return take_text(call, &text, ret_value, err);
}

const TemplateType template_type_query = {.name = "string", .kind = TEMPLATE_STRING};
const TemplateType template_type_escaped = {.name = "string", .kind = TEMPLATE_STRING};

static bool html(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    if (!escape(call, template_escape_html, ret_value, err))
        return false;
    if (call->run->set->options.html)
        ret_value->type = &template_type_escaped;
    return true;
}

static bool js(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    return escape(call, template_escape_js, ret_value, err);
}

static bool urlquery(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    if (!escape(call, template_escape_query, ret_value, err))
        return false;
    if (call->run->set->options.html)
        ret_value->type = &template_type_query;
    return true;
}

#define ANY &template_type_any
#define STRING &template_type_string

static const TemplateFunction functions[] = {
    {"and", and_, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"call", call_, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"html", html, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"index", index_, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"js", js, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"len", len, TEMPLATE_PARAMS(ANY)},
    {"not", not_, TEMPLATE_PARAMS(ANY)},
    {"or", or_, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"print", print, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"printf", printf_, TEMPLATE_PARAMS(STRING, ANY), .variadic = true},
    {"println", println, TEMPLATE_PARAMS(ANY), .variadic = true},
    {"slice", slice, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"urlquery", urlquery, TEMPLATE_PARAMS(ANY), .variadic = true},
};

const TemplateTable template_builtins = {functions, COUNT_OF(functions)};

bool template_builtin_is_and(const TemplateFunction *function)
{
    return function->call == and_;
}

bool template_builtin_is_or(const TemplateFunction *function)
{
    return function->call == or_;
}

// ---- finding a function

static const TemplateFunction *find_in(const TemplateTable *table, Str name)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_is(name, table->functions[i].name))
            return &table->functions[i];
    return NULL;
}

const TemplateFunction *template_find_function(const TemplateTable *const *tables, Str name)
{
    const TemplateFunction *found = NULL;

    for (; tables && *tables && !found; tables++)
        found = find_in(*tables, name);
    if (!found)
        found = find_in(&template_builtins, name);
    if (!found)
        found = find_in(&template_comparisons, name);
    return found;
}
