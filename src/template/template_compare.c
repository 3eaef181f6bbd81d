// SPDX-License-Identifier: Apache-2.0
// eq, ne, lt, le, gt, ge: numbers with numbers of their kind, strings with strings; an int is no float.
#include "template/template_builtin.h"
#include "template/template_fmt.h"

// Kinds that eq and lt know; time.Duration is an int here, template.HTML a string.
static bool is_basic(TemplateKind kind)
{
    return kind == TEMPLATE_BOOL || kind == TEMPLATE_INT || kind == TEMPLATE_FLOAT ||
           kind == TEMPLATE_STRING;
}

static bool fail_incompatible(const TemplateValue *a, const TemplateValue *b, Error *err)
{
    return error_set(err, ERR_INVALID, "incompatible types for comparison: %s and %s",
                     a->type->name, b->type->name);
}

static bool fail_not_comparable(const TemplateValue *value, Error *err)
{
    Buf shown = {.max = 300};

    template_sprintf(&shown, S("non-comparable type %s: "), value, 1);
    error_set(err, ERR_INVALID, STR_FMT "%s", STR_ARG(buf_str(&shown)), value->type->name);
    buf_deinit(&shown);
    return false;
}

static bool basic_equal(const TemplateValue *a, const TemplateValue *b)
{
    switch (template_kind(a)) {
    case TEMPLATE_BOOL:
        return a->boolean == b->boolean;
    case TEMPLATE_INT:
        return a->integer == b->integer;
    case TEMPLATE_FLOAT:
        return a->number == b->number;
    default:
        return str_equal(a->string, b->string);
    }
}

// Structs are compared field by field, if each field is of a basic kind; *ret_comparable says whether.
static bool records_equal(const TemplateValue *a, const TemplateValue *b, bool *ret_comparable)
{
    Arena arena = {0};
    bool equal = a->type == b->type;

    *ret_comparable = true;
    if (b->type == &template_type_time)
        return equal && template_time_equal(a, b);
    if (b->type->name[0] == '*')
        return equal && a->record == b->record;
    for (size_t i = 0; i < b->type->field_count; i++) {
        const TemplateField *field = &b->type->fields[i];
        TemplateValue right = field->get(b->record, &arena);
        *ret_comparable &= is_basic(template_kind(&right));
        if (!equal || !*ret_comparable)
            continue;
        TemplateValue left = field->get(a->record, &arena);
        equal = left.type == right.type && basic_equal(&left, &right);
    }
    arena_deinit(&arena);
    return equal;
}

static bool values_equal(const TemplateValue *a, const TemplateValue *b, bool *ret_equal,
                         Error *err)
{
    bool comparable = false;

    if (!a->type || !b->type) {
        *ret_equal = !a->type && !b->type;
        return true;
    }
    if (is_basic(a->type->kind) || is_basic(b->type->kind)) {
        if (a->type->kind != b->type->kind)
            return fail_incompatible(a, b, err);
        *ret_equal = basic_equal(a, b);
        return true;
    }
    if (b->type->kind == TEMPLATE_RECORD)
        *ret_equal = records_equal(a, b, &comparable);
    return comparable || fail_not_comparable(b, err);
}

static bool eq(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    bool equal = false;

    if (call->count < 2)
        return error_set(err, ERR_INVALID, "missing argument for comparison");
    for (size_t i = 1; i < call->count && !equal; i++)
        if (!values_equal(&call->args[0], &call->args[i], &equal, err))
            return false;
    *ret_value = template_bool(equal);
    return true;
}

static bool ne(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    bool equal;

    if (!values_equal(&call->args[0], &call->args[1], &equal, err))
        return false;
    *ret_value = template_bool(!equal);
    return true;
}

// *ret_less: a < b; *ret_equal: a == b. NaN is neither.
static bool values_compare(const TemplateValue *a, const TemplateValue *b, bool *ret_less,
                           bool *ret_equal, Error *err)
{
    if (!is_basic(template_kind(a)) || !is_basic(template_kind(b)))
        return error_set(err, ERR_INVALID, "invalid type for comparison");
    if (a->type->kind != b->type->kind)
        return fail_incompatible(a, b, err);
    *ret_equal = basic_equal(a, b);
    switch (a->type->kind) {
    case TEMPLATE_INT:
        *ret_less = a->integer < b->integer;
        return true;
    case TEMPLATE_FLOAT:
        *ret_less = a->number < b->number;
        return true;
    case TEMPLATE_STRING:
        *ret_less = str_compare(a->string, b->string) < 0;
        return true;
    default:
        return error_set(err, ERR_INVALID, "invalid type for comparison");
    }
}

static bool lt(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    bool less, equal;

    if (!values_compare(&call->args[0], &call->args[1], &less, &equal, err))
        return false;
    *ret_value = template_bool(less);
    return true;
}

static bool le(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    bool less, equal;

    if (!values_compare(&call->args[0], &call->args[1], &less, &equal, err))
        return false;
    *ret_value = template_bool(less || equal);
    return true;
}

// As in Go: not less or equal, which is true of NaN.
static bool gt(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    if (!le(call, ret_value, err))
        return false;
    ret_value->boolean = !ret_value->boolean;
    return true;
}

static bool ge(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    if (!lt(call, ret_value, err))
        return false;
    ret_value->boolean = !ret_value->boolean;
    return true;
}

#define ANY &template_type_any

static const TemplateFunction functions[] = {
    {"eq", eq, TEMPLATE_PARAMS(ANY, ANY), .variadic = true},
    {"ge", ge, TEMPLATE_PARAMS(ANY, ANY)},
    {"gt", gt, TEMPLATE_PARAMS(ANY, ANY)},
    {"le", le, TEMPLATE_PARAMS(ANY, ANY)},
    {"lt", lt, TEMPLATE_PARAMS(ANY, ANY)},
    {"ne", ne, TEMPLATE_PARAMS(ANY, ANY)},
};

const TemplateTable template_comparisons = {functions, COUNT_OF(functions)};
