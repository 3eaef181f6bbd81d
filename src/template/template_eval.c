// SPDX-License-Identifier: Apache-2.0
// Pipelines: commands, fields, methods, calls, as text/template's exec does them and with its sentences.
#include "template/template_run.h"

#define ARGS_ON_STACK 4

static bool eval_arg(TemplateFrame *frame, TemplateValue dot, const TemplateType *type,
                     const TemplateNode *node, TemplateValue *ret_value);

static bool fail_node(TemplateFrame *frame, const char *what, const TemplateNode *node,
                      const char *after)
{
    Buf shown = {0};

    template_node_print(&shown, node);
    template_run_fail(frame, "%s" STR_FMT "%s", what, STR_ARG(buf_str(&shown)), after);
    buf_deinit(&shown);
    return false;
}

static bool fail_quoted(TemplateFrame *frame, const char *what, Str text, const char *after)
{
    Buf shown = {0};

    buf_add_go_quoted(&shown, text);
    template_run_fail(frame, "%s" STR_FMT "%s", what, STR_ARG(buf_str(&shown)), after);
    buf_deinit(&shown);
    return false;
}

// ---- types

static bool is_unnamed(const TemplateType *type)
{
    return type->name[0] == '[' || strncmp(type->name, "map[", 4) == 0;
}

static const TemplateType *elem_of(const TemplateType *type)
{
    return type->elem ? type->elem : &template_type_any;
}

// Go's assignability, for the types that there are here.
static bool is_assignable(const TemplateType *from, const TemplateType *to)
{
    if (from == to || to->kind == TEMPLATE_ANY ||
        ((from == &template_type_escaped || from == &template_type_query) &&
         to == &template_type_string))
        return true;
    bool container =
        to->kind == TEMPLATE_LIST || to->kind == TEMPLATE_MAP || to->kind == TEMPLATE_STRING_MAP;
    return container && from->kind == to->kind && (is_unnamed(from) || is_unnamed(to)) &&
           elem_of(from) == elem_of(to);
}

static bool validate(TemplateFrame *frame, const TemplateType *type, TemplateValue *value)
{
    if (!value->type) {
        if (type->kind == TEMPLATE_ANY)
            return true;
        if (type->kind == TEMPLATE_LIST || type->kind == TEMPLATE_MAP ||
            type->kind == TEMPLATE_STRING_MAP) {
            *value = (TemplateValue){.type = type};
            return true;
        }
        return template_run_fail(frame, "invalid value; expected %s", type->name);
    }
    return is_assignable(value->type, type) ||
           template_run_fail(frame, "wrong type for value; expected %s; got %s", type->name,
                             value->type->name);
}

// ---- literals

static bool ideal_number(TemplateFrame *frame, const TemplateNode *node, TemplateValue *ret_value)
{
    const TemplateNumber *number = &node->number;

    frame->at = node;
    if (number->looks_float)
        *ret_value = template_float(number->number);
    else if (number->is_int)
        *ret_value = template_int(number->integer);
    else
        return template_run_fail(frame, STR_FMT " overflows int", STR_ARG(number->text));
    return true;
}

// A bool, number or string where nothing asks for a type.
static bool eval_literal(TemplateFrame *frame, const TemplateNode *node, TemplateValue *ret_value)
{
    if (node->kind == TEMPLATE_NODE_NUMBER)
        return ideal_number(frame, node, ret_value);
    *ret_value = node->kind == TEMPLATE_NODE_BOOL ? template_bool(node->boolean)
                                                  : template_string(node->string.text);
    return true;
}

static bool eval_typed_literal(TemplateFrame *frame, const TemplateType *type,
                               const TemplateNode *node, TemplateValue *ret_value)
{
    TemplateValue value = {.type = type};
    bool is_number = node->kind == TEMPLATE_NODE_NUMBER;

    switch (type->kind) {
    case TEMPLATE_ANY:
        return eval_literal(frame, node, ret_value);
    case TEMPLATE_BOOL:
        if (node->kind != TEMPLATE_NODE_BOOL)
            return fail_node(frame, "expected bool; found ", node, "");
        value.boolean = node->boolean;
        break;
    case TEMPLATE_STRING:
        if (node->kind != TEMPLATE_NODE_STRING)
            return fail_node(frame, "expected string; found ", node, "");
        value.string = node->string.text;
        break;
    case TEMPLATE_INT:
        if (!is_number || !node->number.is_int)
            return fail_node(frame, "expected integer; found ", node, "");
        value.integer = node->number.integer;
        break;
    case TEMPLATE_FLOAT:
        if (!is_number || !node->number.is_float)
            return fail_node(frame, "expected float; found ", node, "");
        value.number = node->number.number;
        break;
    default: {
        Buf shown = {0};
        template_node_print(&shown, node);
        template_run_fail(frame, "can't handle " STR_FMT " for arg of type %s",
                          STR_ARG(buf_str(&shown)), type->name);
        buf_deinit(&shown);
        return false;
    }
    }
    *ret_value = value;
    return true;
}

// ---- calls

typedef struct Arguments {
    const TemplateNode *const *nodes; // without the function itself
    size_t count;
    const TemplateValue *final; // what the pipe hands over, or NULL
} Arguments;

static const TemplateType *param_type(const TemplateFunction *function, size_t index)
{
    size_t last = function->param_count ? function->param_count - 1u : 0;
    return function->params[MIN(index, last)];
}

static bool check_count(TemplateFrame *frame, const TemplateFunction *function, const char *name,
                        const Arguments *args)
{
    size_t given = args->count + (args->final != NULL);
    size_t fixed = function->param_count - (function->variadic ? 1u : 0u);

    if (function->variadic && given < fixed)
        return template_run_fail(frame, "wrong number of args for %s: want at least %zu got %zu",
                                 name, fixed, args->count);
    if (!function->variadic && given != function->param_count)
        return template_run_fail(frame, "wrong number of args for %s: want %u got %zu", name,
                                 function->param_count, given);
    return true;
}

static bool eval_and_or(TemplateFrame *frame, TemplateValue dot, bool is_or, const Arguments *args,
                        TemplateValue *ret_value)
{
    for (size_t i = 0; i < args->count; i++) {
        if (!eval_arg(frame, dot, &template_type_any, args->nodes[i], ret_value))
            return false;
        if (template_truth(ret_value) == is_or)
            return true;
    }
    if (args->final)
        *ret_value = *args->final;
    return true;
}

static bool memory_is_within(TemplateFrame *frame)
{
    const TemplateRun *run = frame->run;

    return arena_used_bytes(run->arena) - run->arena_start_bytes <= run->limits.memory_bytes ||
           template_run_fail_code(frame, ERR_LIMIT,
                                  "the template uses more than %zu bytes of memory",
                                  run->limits.memory_bytes);
}

static bool invoke(TemplateFrame *frame, const TemplateFunction *function, const TemplateCall *call,
                   const TemplateNode *node, TemplateValue *ret_value)
{
    TemplateValue value = TEMPLATE_NIL;
    Error inner = {0};

    if (!function->call(call, &value, &inner)) {
        frame->at = node;
        return template_run_fail_code(frame, inner.code, "error calling %s: %s", function->name,
                                      inner.text);
    }
    *ret_value = value;
    return memory_is_within(frame);
}

// `node` is told of if the function fails.
static bool eval_call(TemplateFrame *frame, TemplateValue dot, const TemplateFunction *function,
                      TemplateValue self, const TemplateNode *node, const Arguments *args,
                      TemplateValue *ret_value)
{
    TemplateValue on_stack[ARGS_ON_STACK];
    size_t count = args->count + (args->final != NULL);
    TemplateValue *values = on_stack;

    if (!check_count(frame, function, function->name, args))
        return false;
    if (template_builtin_is_and(function) || template_builtin_is_or(function))
        return eval_and_or(frame, dot, template_builtin_is_or(function), args, ret_value);
    if (count > ARGS_ON_STACK)
        values = ARENA_ARRAY(frame->run->arena, TemplateValue, count);
    for (size_t i = 0; i < args->count; i++)
        if (!eval_arg(frame, dot, param_type(function, i), args->nodes[i], &values[i]))
            return false;
    if (args->final) {
        values[count - 1] = *args->final;
        if (!validate(frame, param_type(function, count - 1), &values[count - 1]))
            return false;
    }

    TemplateCall call = {.self = self,
                         .args = values,
                         .count = count,
                         .arena = frame->run->arena,
                         .host = frame->run->host,
                         .run = frame->run};
    return invoke(frame, function, &call, node, ret_value);
}

// ---- fields

static const TemplateFunction *find_method(const TemplateType *type, Str name)
{
    for (size_t i = 0; i < type->method_count; i++)
        if (str_is(name, type->methods[i].name))
            return &type->methods[i];
    return NULL;
}

static const TemplateField *find_field(const TemplateType *type, Str name)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (str_is(name, type->fields[i].name))
            return &type->fields[i];
    return NULL;
}

static TemplateValue zero_of(const TemplateType *type)
{
    if (!type || type->kind == TEMPLATE_ANY || type->kind == TEMPLATE_RECORD)
        return TEMPLATE_NIL;
    return (TemplateValue){.type = type};
}

static bool map_field(TemplateFrame *frame, const TemplateValue *map, Str name,
                      TemplateValue *ret_value)
{
    if (template_lookup(map, name, ret_value))
        return true;
    switch (frame->run->set->options.missing_key) {
    case TEMPLATE_MISSING_ERROR:
        return fail_quoted(frame, "map has no entry for key ", name, "");
    case TEMPLATE_MISSING_ZERO:
        *ret_value = zero_of(map->type->elem);
        return true;
    case TEMPLATE_MISSING_DEFAULT:
        *ret_value = TEMPLATE_NIL;
        return true;
    }
    return true;
}

typedef struct Receiver {
    TemplateValue value;
    bool is_interface; // Go knows it only as an element of a map of anything
} Receiver;

static bool eval_field(TemplateFrame *frame, TemplateValue dot, Str name, const TemplateNode *node,
                       const Arguments *args, const Receiver *from, TemplateValue *ret_value)
{
    const TemplateValue receiver = from->value;
    const TemplateType *type = receiver.type;
    bool has_args = args->count || args->final;

    if (!type) {
        if (frame->run->set->options.missing_key == TEMPLATE_MISSING_ERROR)
            return fail_quoted(frame, "nil data; no entry for key ", name, "");
        if (frame->run->set->options.missing_key == TEMPLATE_MISSING_ZERO && from->is_interface)
            return template_run_fail(frame, "nil pointer evaluating interface {}." STR_FMT,
                                     STR_ARG(name));
        *ret_value = TEMPLATE_NIL;
        return true;
    }

    const TemplateFunction *method = find_method(type, name);
    if (method)
        return eval_call(frame, dot, method, receiver, node, args, ret_value);
    const TemplateField *field = find_field(type, name);
    if (field) {
        if (has_args)
            return template_run_fail(
                frame, STR_FMT " has arguments but cannot be invoked as function", STR_ARG(name));
        *ret_value = field->get(receiver.record, frame->run->arena);
        return true;
    }
    if (type->kind == TEMPLATE_MAP || type->kind == TEMPLATE_STRING_MAP) {
        if (has_args)
            return template_run_fail(frame, STR_FMT " is not a method but has arguments",
                                     STR_ARG(name));
        return map_field(frame, &receiver, name, ret_value);
    }
    return template_run_fail(frame, "can't evaluate field " STR_FMT " in type %s", STR_ARG(name),
                             from->is_interface ? "interface {}" : type->name);
}

// The names from `first` on, one out of the other; the arguments go to the last.
static bool eval_names(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node,
                       size_t first, const Arguments *args, TemplateValue *value)
{
    static const Arguments none = {0};

    Receiver from = {.value = *value};

    for (size_t i = first; i < node->field.count; i++) {
        bool last = i + 1 == node->field.count;
        if (!eval_field(frame, dot, node->field.names[i], node, last ? args : &none, &from, value))
            return false;
        from.is_interface = template_kind(&from.value) == TEMPLATE_MAP &&
                            elem_of(from.value.type) == &template_type_any;
        from.value = *value;
    }
    return true;
}

static bool not_a_function(TemplateFrame *frame, const TemplateNode *node, const Arguments *args)
{
    return (args->count == 0 && !args->final) ||
           fail_node(frame, "can't give argument to non-function ", node, "");
}

static bool eval_variable(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node,
                          const Arguments *args, TemplateValue *ret_value)
{
    frame->at = node;
    if (node->field.slot == TEMPLATE_SLOT_NONE)
        return template_run_fail(frame, "undefined variable: " STR_FMT,
                                 STR_ARG(node->field.names[0]));
    *ret_value = frame->slots[node->field.slot];
    if (node->field.count == 1)
        return not_a_function(frame, node, args);
    return eval_names(frame, dot, node, 1, args, ret_value);
}

static bool eval_chain(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node,
                       const Arguments *args, TemplateValue *ret_value)
{
    frame->at = node;
    return eval_arg(frame, dot, &template_type_any, node->field.base, ret_value) &&
           eval_names(frame, dot, node, 0, args, ret_value);
}

// ---- commands

// What can stand as a command and as an argument. `whole` is told of when a function fails.
static bool eval_operand(TemplateFrame *frame, TemplateValue dot, const TemplateNode *node,
                         const TemplateNode *whole, const Arguments *args, TemplateValue *ret_value)
{
    switch (node->kind) {
    case TEMPLATE_NODE_FIELD:
        frame->at = node;
        *ret_value = dot;
        return eval_names(frame, dot, node, 0, args, ret_value);
    case TEMPLATE_NODE_VARIABLE:
        return eval_variable(frame, dot, node, args, ret_value);
    case TEMPLATE_NODE_CHAIN:
        return eval_chain(frame, dot, node, args, ret_value);
    case TEMPLATE_NODE_IDENTIFIER:
        frame->at = node;
        return eval_call(frame, dot, node->identifier.function, TEMPLATE_NIL, whole, args,
                         ret_value);
    case TEMPLATE_NODE_PIPE:
        return not_a_function(frame, node, args) &&
               template_eval_pipeline(frame, dot, node, ret_value);
    default:
        frame->at = node;
        if (!not_a_function(frame, node, args))
            return false;
        if (node->kind == TEMPLATE_NODE_NIL)
            return template_run_fail(frame, "nil is not a command");
        if (node->kind != TEMPLATE_NODE_DOT)
            return eval_literal(frame, node, ret_value);
        *ret_value = dot;
        return true;
    }
}

static bool can_be_nil(const TemplateType *type)
{
    return type->kind == TEMPLATE_ANY || type->kind == TEMPLATE_LIST ||
           type->kind == TEMPLATE_MAP || type->kind == TEMPLATE_STRING_MAP;
}

static bool eval_arg(TemplateFrame *frame, TemplateValue dot, const TemplateType *type,
                     const TemplateNode *node, TemplateValue *ret_value)
{
    static const Arguments none = {0};
    bool ok;

    frame->at = node;
    switch (node->kind) {
    case TEMPLATE_NODE_NIL:
        if (!can_be_nil(type))
            return template_run_fail(frame, "cannot assign nil to %s", type->name);
        *ret_value = TEMPLATE_NIL;
        return validate(frame, type, ret_value);
    case TEMPLATE_NODE_BOOL:
    case TEMPLATE_NODE_NUMBER:
    case TEMPLATE_NODE_STRING:
        return eval_typed_literal(frame, type, node, ret_value);
    default:
        if (!template_run_enter(frame))
            return false;
        ok = eval_operand(frame, dot, node, node, &none, ret_value) &&
             validate(frame, type, ret_value);
        template_run_leave(frame);
        return ok;
    }
}

bool template_eval_set(TemplateFrame *frame, const TemplateNode *variable, TemplateValue value)
{
    if (variable->field.slot == TEMPLATE_SLOT_NONE)
        return template_run_fail(frame, "undefined variable: " STR_FMT,
                                 STR_ARG(variable->field.names[0]));
    frame->slots[variable->field.slot] = value;
    return true;
}

bool template_eval_pipeline(TemplateFrame *frame, TemplateValue dot, const TemplateNode *pipe,
                            TemplateValue *ret_value)
{
    TemplateValue value = TEMPLATE_NIL;
    bool ok = template_run_enter(frame);

    frame->at = pipe;
    if (!ok)
        return false;
    for (size_t i = 0; ok && i < pipe->pipeline.commands.count; i++) {
        const TemplateNode *command = pipe->pipeline.commands.items[i];
        TemplateValue final = value;
        Arguments args = {.nodes = (const TemplateNode *const *)command->args.items + 1,
                          .count = command->args.count - 1,
                          .final = i ? &final : NULL};
        ok = eval_operand(frame, dot, command->args.items[0], command, &args, &value);
    }
    for (size_t i = 0; ok && i < pipe->pipeline.variable_count; i++)
        ok = template_eval_set(frame, pipe->pipeline.variables[i], value);
    template_run_leave(frame);
    if (ok)
        *ret_value = value;
    return ok;
}
