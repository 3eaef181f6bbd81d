// SPDX-License-Identifier: Apache-2.0
// Operands and pipelines: what stands inside of an action.
#include "template/template_builtin.h"
#include "template/template_number.h"
#include "template/template_parser.h"
#include "template/template_text.h"

// ---- operands

// ".A.B" as one name list; `first` is what stands before it (a variable's own name) or empty.
static TemplateNode *field_node(TemplateParser *p, TemplateNodeKind kind, uint32_t at,
                                const Str *names, size_t count)
{
    TemplateNode *node = template_parser_node(p, kind, at);
    node->field.names = ARENA_ARRAY(p->arena, Str, count);
    memcpy(node->field.names, names, count * sizeof(Str));
    node->field.count = count;
    return node;
}

static bool parse_variable(TemplateParser *p, TemplateItem it, TemplateNode **ret_node)
{
    uint32_t slot;

    if (!template_parser_find_variable(p, it.text, &slot))
        return template_parser_fail_quoted(p, "undefined variable ", it.text, "");
    *ret_node = field_node(p, TEMPLATE_NODE_VARIABLE, it.at, &it.text, 1);
    (*ret_node)->field.slot = slot;
    return true;
}

static bool parse_identifier(TemplateParser *p, TemplateItem it, TemplateNode **ret_node)
{
    const TemplateFunction *function = template_find_function(p->options->tables, it.text);

    if (!function)
        return template_parser_fail_quoted(p, "function ", it.text, " not defined");
    *ret_node = template_parser_node(p, TEMPLATE_NODE_IDENTIFIER, it.at);
    (*ret_node)->identifier.name = it.text;
    (*ret_node)->identifier.function = function;
    return true;
}

static bool parse_number(TemplateParser *p, TemplateItem it, TemplateNode **ret_node)
{
    TemplateNumber number;
    Buf message = {0};

    if (!template_number_read(it.text, &number, &message)) {
        template_parser_fail(p, STR_FMT, STR_ARG(buf_str(&message)));
        buf_deinit(&message);
        return false;
    }
    *ret_node = template_parser_node(p, TEMPLATE_NODE_NUMBER, it.at);
    (*ret_node)->number = number;
    return true;
}

static bool parse_string(TemplateParser *p, TemplateItem it, TemplateNode **ret_node)
{
    *ret_node = template_parser_node(p, TEMPLATE_NODE_STRING, it.at);
    (*ret_node)->string.quoted = it.text;
    if (!template_unquote(it.text, p->arena, &(*ret_node)->string.text))
        return template_parser_fail(p, "invalid syntax");
    return true;
}

// *ret_node is NULL if no operand begins here.
static bool parse_term(TemplateParser *p, TemplateNode **ret_node)
{
    TemplateItem it = template_parser_next_word(p);

    *ret_node = NULL;
    switch (it.token) {
    case TEMPLATE_TOKEN_IDENTIFIER:
        return parse_identifier(p, it, ret_node);
    case TEMPLATE_TOKEN_DOT:
    case TEMPLATE_TOKEN_NIL:
        *ret_node = template_parser_node(
            p, it.token == TEMPLATE_TOKEN_DOT ? TEMPLATE_NODE_DOT : TEMPLATE_NODE_NIL, it.at);
        return true;
    case TEMPLATE_TOKEN_BOOL:
        *ret_node = template_parser_node(p, TEMPLATE_NODE_BOOL, it.at);
        (*ret_node)->boolean = str_is(it.text, "true");
        return true;
    case TEMPLATE_TOKEN_VARIABLE:
        return parse_variable(p, it, ret_node);
    case TEMPLATE_TOKEN_FIELD: {
        Str name = str_skip(it.text, 1);
        *ret_node = field_node(p, TEMPLATE_NODE_FIELD, it.at, &name, 1);
        return true;
    }
    case TEMPLATE_TOKEN_CHAR_CONSTANT:
    case TEMPLATE_TOKEN_COMPLEX:
    case TEMPLATE_TOKEN_NUMBER:
        return parse_number(p, it, ret_node);
    case TEMPLATE_TOKEN_STRING:
    case TEMPLATE_TOKEN_RAW_STRING:
        return parse_string(p, it, ret_node);
    case TEMPLATE_TOKEN_LEFT_PAREN:
        return template_parse_pipeline(p, "parenthesized pipeline", TEMPLATE_TOKEN_RIGHT_PAREN,
                                       ret_node);
    default:
        template_parser_put_back(p, it);
        return true;
    }
}

static bool takes_no_field(TemplateNodeKind kind)
{
    return kind >= TEMPLATE_NODE_DOT; // and nil, bools, numbers, strings
}

// Fields behind a term: more names of a field or variable, else a chain.
static bool parse_chain(TemplateParser *p, TemplateNode *base, TemplateNode **ret_node)
{
    bool extends = base->kind == TEMPLATE_NODE_FIELD || base->kind == TEMPLATE_NODE_VARIABLE;
    uint32_t at = template_parser_peek(p).at;
    size_t cap = 8;
    size_t count = extends ? base->field.count : 0;
    Str *names = ARENA_ARRAY(p->arena, Str, cap);

    if (extends)
        memcpy(names, base->field.names, count * sizeof(Str));
    while (template_parser_peek(p).token == TEMPLATE_TOKEN_FIELD) {
        if (count == cap) {
            names = arena_grow(p->arena, names, cap * sizeof(Str), cap * 2 * sizeof(Str));
            cap *= 2;
        }
        names[count++] = str_skip(template_parser_next(p).text, 1);
    }
    if (takes_no_field(base->kind)) {
        Buf shown = {0};
        template_node_print(&shown, base);
        template_parser_fail_quoted(p, "unexpected . after term ", buf_str(&shown), "");
        buf_deinit(&shown);
        return false;
    }
    *ret_node = field_node(p, extends ? base->kind : TEMPLATE_NODE_CHAIN, at, names, count);
    (*ret_node)->field.slot = extends ? base->field.slot : TEMPLATE_SLOT_NONE;
    (*ret_node)->field.base = extends ? NULL : base;
    return true;
}

static bool parse_operand(TemplateParser *p, TemplateNode **ret_node)
{
    TemplateNode *term;

    if (!parse_term(p, &term))
        return false;
    if (term && template_parser_peek(p).token == TEMPLATE_TOKEN_FIELD)
        return parse_chain(p, term, ret_node);
    *ret_node = term;
    return true;
}

// ---- pipelines

static bool parse_command(TemplateParser *p, TemplateNode **ret_node)
{
    TemplateNodeVector args = {0};
    TemplateNode *command =
        template_parser_node(p, TEMPLATE_NODE_COMMAND, template_parser_peek_word(p).at);

    for (bool more = true; more;) {
        TemplateNode *operand;
        template_parser_peek_word(p);
        if (!parse_operand(p, &operand))
            return false;
        if (operand)
            template_parser_push(p, &args, operand);
        TemplateItem it = template_parser_next(p);
        more = it.token == TEMPLATE_TOKEN_SPACE;
        if (it.token == TEMPLATE_TOKEN_RIGHT_DELIM || it.token == TEMPLATE_TOKEN_RIGHT_PAREN)
            template_parser_put_back(p, it);
        else if (!more && it.token != TEMPLATE_TOKEN_PIPE)
            return template_parser_unexpected(p, it, "operand");
    }
    if (args.list.count == 0)
        return template_parser_fail(p, "empty command");
    command->args = args.list;
    *ret_node = command;
    return true;
}

static bool check_pipeline(TemplateParser *p, const TemplateNode *pipe, const char *context)
{
    const TemplateNodeList *commands = &pipe->pipeline.commands;

    if (commands->count == 0)
        return template_parser_fail(p, "missing value for %s", context);
    for (size_t i = 1; i < commands->count; i++)
        if (takes_no_field(commands->items[i]->args.items[0]->kind))
            return template_parser_fail(p, "non executable command in pipeline stage %zu", i + 1);
    return true;
}

static void declare(TemplateParser *p, TemplateNode *pipe, TemplateItem it)
{
    TemplateNode *variable = field_node(p, TEMPLATE_NODE_VARIABLE, it.at, &it.text, 1);
    pipe->pipeline.variables[pipe->pipeline.variable_count++] = variable;
    template_parser_push_variable(p, it.text)->pending = true;
}

// "$x :=", "$x =", in a range also "$i, $x :=". What does not turn out to be one is put back.
static bool parse_declarations(TemplateParser *p, TemplateNode *pipe, const char *context)
{
    bool is_range = strcmp(context, "range") == 0;

    pipe->pipeline.variables = ARENA_ARRAY(p->arena, TemplateNode *, 2);
    for (;;) {
        TemplateItem it = template_parser_peek_word(p);
        if (it.token != TEMPLATE_TOKEN_VARIABLE)
            return true;
        template_parser_next_word(p);
        TemplateItem after = template_parser_peek(p);
        TemplateItem word = template_parser_next_word(p);
        if (word.token == TEMPLATE_TOKEN_ASSIGN || word.token == TEMPLATE_TOKEN_DECLARE) {
            pipe->pipeline.assigns = word.token == TEMPLATE_TOKEN_ASSIGN;
            declare(p, pipe, it);
            return true;
        }
        if (word.token != TEMPLATE_TOKEN_CHAR || !str_is(word.text, ",")) {
            template_parser_put_back(p, word);
            if (after.token == TEMPLATE_TOKEN_SPACE)
                template_parser_put_back(p, after);
            template_parser_put_back(p, it);
            return true;
        }
        declare(p, pipe, it);
        if (!is_range || pipe->pipeline.variable_count >= 2)
            return template_parser_fail(p, "too many declarations in %s", context);
        TemplateToken token = template_parser_peek_word(p).token;
        if (token != TEMPLATE_TOKEN_VARIABLE && token != TEMPLATE_TOKEN_RIGHT_DELIM &&
            token != TEMPLATE_TOKEN_RIGHT_PAREN)
            return template_parser_fail(p, "range can only initialize variables");
    }
}

// The pipeline has been read: its variables come into being, or are found.
static void settle_variables(TemplateParser *p, TemplateNode *pipe, size_t first_variable)
{
    for (size_t i = 0; i < pipe->pipeline.variable_count; i++) {
        TemplateNode *node = pipe->pipeline.variables[i];
        TemplateVariable *variable = &p->scope->variables[first_variable + i];
        if (pipe->pipeline.assigns) {
            node->field.slot = TEMPLATE_SLOT_NONE;
            template_parser_find_variable(p, node->field.names[0], &node->field.slot);
            variable->slot = node->field.slot;
        }
    }
    for (size_t i = 0; i < pipe->pipeline.variable_count; i++) {
        TemplateVariable *variable = &p->scope->variables[first_variable + i];
        if (pipe->pipeline.assigns) {
            variable->pending = false;
        } else {
            template_parser_give_slot(p, variable);
            pipe->pipeline.variables[i]->field.slot = variable->slot;
        }
    }
}

bool template_parse_pipeline(TemplateParser *p, const char *context, TemplateToken end,
                             TemplateNode **ret_node)
{
    TemplateNode *pipe =
        template_parser_node(p, TEMPLATE_NODE_PIPE, template_parser_peek_word(p).at);
    TemplateNodeVector commands = {0};
    size_t first_variable = p->scope->count;

    if (!template_parser_enter(p) || !parse_declarations(p, pipe, context))
        return false;
    for (;;) {
        TemplateItem it = template_parser_next_word(p);
        if (it.token == end)
            break;
        bool begins_operand =
            (it.token >= TEMPLATE_TOKEN_CHAR_CONSTANT && it.token <= TEMPLATE_TOKEN_NIL) ||
            it.token == TEMPLATE_TOKEN_LEFT_PAREN;
        if (!begins_operand)
            return template_parser_unexpected(p, it, context);
        template_parser_put_back(p, it);
        TemplateNode *command;
        if (!parse_command(p, &command))
            return false;
        template_parser_push(p, &commands, command);
    }
    pipe->pipeline.commands = commands.list;
    if (!check_pipeline(p, pipe, context))
        return false;
    settle_variables(p, pipe, first_variable);
    p->nesting--;
    *ret_node = pipe;
    return true;
}
