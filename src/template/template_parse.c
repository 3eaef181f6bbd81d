// SPDX-License-Identifier: Apache-2.0
// The grammar of text/template/parse, its sentences for what is wrong included.
#include "template/template_ast.h"
#include "template/template_builtin.h"
#include "template/template_lex.h"
#include "template/template_number.h"
#include "template/template_text.h"

#define LOOKAHEAD 4

typedef struct Variable {
    Str name;      // with its $
    uint32_t slot; // TEMPLATE_SLOT_NONE: assigned to, but never declared
    bool pending;  // declared by the pipeline that is being read: not visible in it
} Variable;

// What belongs to one tree, saved while a block inside it is read.
typedef struct Scope {
    TemplateTree *tree;
    Variable *variables;
    size_t count;
    size_t cap;
    uint32_t live; // slots in use
    int range_depth;
} Scope;

typedef struct Parser {
    const TemplateOptions *options;
    Arena *arena;
    TemplateLexer lexer;
    Str name;
    Str text;
    TemplateItem ahead[LOOKAHEAD]; // a stack: the last is next
    size_t ahead_count;
    TemplateItem current;
    uint32_t action_line;
    int nesting;
    Scope *scope;
    TemplateTreeList trees;
    TemplatePlace *place; // of the fault
    Error *err;
} Parser;

typedef struct NodeVector {
    TemplateNodeList list;
    size_t cap;
} NodeVector;

// ---- tokens

static TemplateItem next(Parser *p)
{
    p->current = p->ahead_count ? p->ahead[--p->ahead_count] : template_lexer_next(&p->lexer);
    return p->current;
}

static void put_back(Parser *p, TemplateItem it)
{
    ASSERT(p->ahead_count < LOOKAHEAD);
    p->ahead[p->ahead_count++] = it;
}

static TemplateItem next_word(Parser *p)
{
    TemplateItem it = next(p);

    while (it.token == TEMPLATE_TOKEN_SPACE)
        it = next(p);
    return it;
}

static TemplateItem peek(Parser *p)
{
    TemplateItem it = next(p);
    put_back(p, it);
    return it;
}

static TemplateItem peek_word(Parser *p)
{
    TemplateItem it = next_word(p);
    put_back(p, it);
    return it;
}

// ---- errors

static void note_place(Parser *p)
{
    uint32_t at = (uint32_t)MIN((size_t)p->current.at, p->text.len);
    uint32_t line_at = at;
    while (line_at && p->text.ptr[line_at - 1] != '\n')
        line_at--;
    *p->place = (TemplatePlace){p->name, p->current.line, at - line_at + 1};
}

static bool fail(Parser *p, const char *fmt, ...) PRINTF(2, 3);
static bool fail(Parser *p, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    Str text = arena_vprintf(p->arena, fmt, args);
    va_end(args);
    note_place(p);
    return error_set(p->err, ERR_INVALID, "template: " STR_FMT ":%u: " STR_FMT, STR_ARG(p->name),
                     p->current.line, STR_ARG(text));
}

// `what` and the quoted text.
static bool fail_quoted(Parser *p, const char *what, Str text, const char *after)
{
    Buf quoted = {0};

    buf_add_go_quoted(&quoted, text);
    fail(p, "%s" STR_FMT "%s", what, STR_ARG(buf_str(&quoted)), after);
    buf_deinit(&quoted);
    return false;
}

static bool unexpected(Parser *p, TemplateItem it, const char *context)
{
    Buf shown = {0};

    template_item_print(&shown, &it);
    if (it.token != TEMPLATE_TOKEN_ERROR)
        fail(p, "unexpected " STR_FMT " in %s", STR_ARG(buf_str(&shown)), context);
    else if (p->action_line && p->action_line != it.line)
        fail(p, STR_FMT "%s started at " STR_FMT ":%u", STR_ARG(it.text),
             str_ends_with(it.text, S(" action")) ? "" : " in action", STR_ARG(p->name),
             p->action_line);
    else
        fail(p, STR_FMT, STR_ARG(it.text));
    buf_deinit(&shown);
    return false;
}

static bool expect(Parser *p, TemplateToken token, const char *context)
{
    TemplateItem it = next_word(p);
    return it.token == token || unexpected(p, it, context);
}

static bool enter(Parser *p)
{
    if (++p->nesting > TEMPLATE_NESTING_MAX) {
        fail(p, "blocks and parentheses are nested more than %d deep", TEMPLATE_NESTING_MAX);
        p->err->code = ERR_LIMIT;
        return false;
    }
    return true;
}

// ---- building

static TemplateNode *node_new(Parser *p, TemplateNodeKind kind, uint32_t at)
{
    TemplateNode *node = ARENA_NEW(p->arena, TemplateNode);
    node->kind = kind;
    node->at = at;
    node->tree = p->scope->tree;
    return node;
}

static void push_node(Parser *p, NodeVector *vector, TemplateNode *node)
{
    if (vector->list.count == vector->cap) {
        size_t cap = vector->cap ? vector->cap * 2 : 4;
        vector->list.items =
            arena_grow(p->arena, vector->list.items, vector->cap * sizeof(TemplateNode *),
                       cap * sizeof(TemplateNode *));
        vector->cap = cap;
    }
    vector->list.items[vector->list.count++] = node;
}

static Variable *push_variable(Parser *p, Str name)
{
    Scope *scope = p->scope;

    if (scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 8;
        scope->variables = arena_grow(p->arena, scope->variables, scope->cap * sizeof(Variable),
                                      cap * sizeof(Variable));
        scope->cap = cap;
    }
    scope->variables[scope->count] = (Variable){.name = name, .slot = TEMPLATE_SLOT_NONE};
    return &scope->variables[scope->count++];
}

// Gives a declared variable its slot.
static void give_slot(Parser *p, Variable *variable)
{
    variable->pending = false;
    variable->slot = p->scope->live++;
    if (p->scope->tree->slot_count < p->scope->live)
        p->scope->tree->slot_count = p->scope->live;
}

// The last variable of the name. One of the pipeline that is being read only makes the name known: it has no value yet, an outer
// one of the name has.
static bool find_variable(const Parser *p, Str name, uint32_t *ret_slot)
{
    bool found = false;

    for (size_t i = p->scope->count; i > 0; i--) {
        const Variable *variable = &p->scope->variables[i - 1];
        if (!str_equal(variable->name, name))
            continue;
        if (!found)
            *ret_slot = TEMPLATE_SLOT_NONE;
        found = true;
        if (!variable->pending) {
            *ret_slot = variable->slot;
            if (variable->slot != TEMPLATE_SLOT_NONE)
                return true;
        }
    }
    return found;
}

static void open_scope(Parser *p, Scope *scope, Str name)
{
    *scope = (Scope){.tree = ARENA_NEW(p->arena, TemplateTree)};
    scope->tree->name = name;
    scope->tree->parse_name = p->name;
    scope->tree->text = p->text;
    p->scope = scope;
    give_slot(p, push_variable(p, S("$")));
}

static bool add_tree(Parser *p, TemplateTree *tree)
{
    bool empty = template_node_list_is_empty(&tree->root);

    for (size_t i = 0; i < p->trees.count; i++) {
        if (!str_equal(p->trees.items[i]->name, tree->name))
            continue;
        if (template_node_list_is_empty(&p->trees.items[i]->root)) {
            p->trees.items[i] = tree;
            return true;
        }
        return empty ||
               fail_quoted(p, "template: multiple definition of template ", tree->name, "");
    }
    if (p->trees.count == p->trees.cap) {
        size_t cap = p->trees.cap ? p->trees.cap * 2 : 8;
        p->trees.items = arena_grow(p->arena, p->trees.items, p->trees.cap * sizeof(TemplateTree *),
                                    cap * sizeof(TemplateTree *));
        p->trees.cap = cap;
    }
    p->trees.items[p->trees.count++] = tree;
    return true;
}

// ---- operands

static bool parse_pipeline(Parser *p, const char *context, TemplateToken end,
                           TemplateNode **ret_node);

// ".A.B" as one name list; `first` is what stands before it (a variable's own name) or empty.
static TemplateNode *field_node(Parser *p, TemplateNodeKind kind, uint32_t at, const Str *names,
                                size_t count)
{
    TemplateNode *node = node_new(p, kind, at);
    node->field.names = ARENA_ARRAY(p->arena, Str, count);
    memcpy(node->field.names, names, count * sizeof(Str));
    node->field.count = count;
    return node;
}

static bool parse_variable(Parser *p, TemplateItem it, TemplateNode **ret_node)
{
    uint32_t slot;

    if (!find_variable(p, it.text, &slot))
        return fail_quoted(p, "undefined variable ", it.text, "");
    *ret_node = field_node(p, TEMPLATE_NODE_VARIABLE, it.at, &it.text, 1);
    (*ret_node)->field.slot = slot;
    return true;
}

static bool parse_identifier(Parser *p, TemplateItem it, TemplateNode **ret_node)
{
    const TemplateFunction *function = template_find_function(p->options->tables, it.text);

    if (!function)
        return fail_quoted(p, "function ", it.text, " not defined");
    *ret_node = node_new(p, TEMPLATE_NODE_IDENTIFIER, it.at);
    (*ret_node)->identifier.name = it.text;
    (*ret_node)->identifier.function = function;
    return true;
}

static bool parse_number(Parser *p, TemplateItem it, TemplateNode **ret_node)
{
    TemplateNumber number;
    Buf message = {0};

    if (!template_number_read(it.text, &number, &message)) {
        fail(p, STR_FMT, STR_ARG(buf_str(&message)));
        buf_deinit(&message);
        return false;
    }
    *ret_node = node_new(p, TEMPLATE_NODE_NUMBER, it.at);
    (*ret_node)->number = number;
    return true;
}

static bool parse_string(Parser *p, TemplateItem it, TemplateNode **ret_node)
{
    *ret_node = node_new(p, TEMPLATE_NODE_STRING, it.at);
    (*ret_node)->string.quoted = it.text;
    if (!template_unquote(it.text, p->arena, &(*ret_node)->string.text))
        return fail(p, "invalid syntax");
    return true;
}

// *ret_node is NULL if no operand begins here.
static bool parse_term(Parser *p, TemplateNode **ret_node)
{
    TemplateItem it = next_word(p);

    *ret_node = NULL;
    switch (it.token) {
    case TEMPLATE_TOKEN_IDENTIFIER:
        return parse_identifier(p, it, ret_node);
    case TEMPLATE_TOKEN_DOT:
    case TEMPLATE_TOKEN_NIL:
        *ret_node = node_new(
            p, it.token == TEMPLATE_TOKEN_DOT ? TEMPLATE_NODE_DOT : TEMPLATE_NODE_NIL, it.at);
        return true;
    case TEMPLATE_TOKEN_BOOL:
        *ret_node = node_new(p, TEMPLATE_NODE_BOOL, it.at);
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
        return parse_pipeline(p, "parenthesized pipeline", TEMPLATE_TOKEN_RIGHT_PAREN, ret_node);
    default:
        put_back(p, it);
        return true;
    }
}

static bool takes_no_field(TemplateNodeKind kind)
{
    return kind >= TEMPLATE_NODE_DOT; // and nil, bools, numbers, strings
}

// Fields behind a term: more names of a field or variable, else a chain.
static bool parse_chain(Parser *p, TemplateNode *base, TemplateNode **ret_node)
{
    bool extends = base->kind == TEMPLATE_NODE_FIELD || base->kind == TEMPLATE_NODE_VARIABLE;
    uint32_t at = peek(p).at;
    size_t cap = 8;
    size_t count = extends ? base->field.count : 0;
    Str *names = ARENA_ARRAY(p->arena, Str, cap);

    if (extends)
        memcpy(names, base->field.names, count * sizeof(Str));
    while (peek(p).token == TEMPLATE_TOKEN_FIELD) {
        if (count == cap) {
            names = arena_grow(p->arena, names, cap * sizeof(Str), cap * 2 * sizeof(Str));
            cap *= 2;
        }
        names[count++] = str_skip(next(p).text, 1);
    }
    if (takes_no_field(base->kind)) {
        Buf shown = {0};
        template_node_print(&shown, base);
        fail_quoted(p, "unexpected . after term ", buf_str(&shown), "");
        buf_deinit(&shown);
        return false;
    }
    *ret_node = field_node(p, extends ? base->kind : TEMPLATE_NODE_CHAIN, at, names, count);
    (*ret_node)->field.slot = extends ? base->field.slot : TEMPLATE_SLOT_NONE;
    (*ret_node)->field.base = extends ? NULL : base;
    return true;
}

static bool parse_operand(Parser *p, TemplateNode **ret_node)
{
    TemplateNode *term;

    if (!parse_term(p, &term))
        return false;
    if (term && peek(p).token == TEMPLATE_TOKEN_FIELD)
        return parse_chain(p, term, ret_node);
    *ret_node = term;
    return true;
}

// ---- pipelines

static bool parse_command(Parser *p, TemplateNode **ret_node)
{
    NodeVector args = {0};
    TemplateNode *command = node_new(p, TEMPLATE_NODE_COMMAND, peek_word(p).at);

    for (bool more = true; more;) {
        TemplateNode *operand;
        peek_word(p);
        if (!parse_operand(p, &operand))
            return false;
        if (operand)
            push_node(p, &args, operand);
        TemplateItem it = next(p);
        more = it.token == TEMPLATE_TOKEN_SPACE;
        if (it.token == TEMPLATE_TOKEN_RIGHT_DELIM || it.token == TEMPLATE_TOKEN_RIGHT_PAREN)
            put_back(p, it);
        else if (!more && it.token != TEMPLATE_TOKEN_PIPE)
            return unexpected(p, it, "operand");
    }
    if (args.list.count == 0)
        return fail(p, "empty command");
    command->args = args.list;
    *ret_node = command;
    return true;
}

static bool check_pipeline(Parser *p, const TemplateNode *pipe, const char *context)
{
    const TemplateNodeList *commands = &pipe->pipeline.commands;

    if (commands->count == 0)
        return fail(p, "missing value for %s", context);
    for (size_t i = 1; i < commands->count; i++)
        if (takes_no_field(commands->items[i]->args.items[0]->kind))
            return fail(p, "non executable command in pipeline stage %zu", i + 1);
    return true;
}

static void declare(Parser *p, TemplateNode *pipe, TemplateItem it)
{
    TemplateNode *variable = field_node(p, TEMPLATE_NODE_VARIABLE, it.at, &it.text, 1);
    pipe->pipeline.variables[pipe->pipeline.variable_count++] = variable;
    push_variable(p, it.text)->pending = true;
}

// "$x :=", "$x =", in a range also "$i, $x :=". What does not turn out to be one is put back.
static bool parse_declarations(Parser *p, TemplateNode *pipe, const char *context)
{
    bool is_range = strcmp(context, "range") == 0;

    pipe->pipeline.variables = ARENA_ARRAY(p->arena, TemplateNode *, 2);
    for (;;) {
        TemplateItem it = peek_word(p);
        if (it.token != TEMPLATE_TOKEN_VARIABLE)
            return true;
        next_word(p);
        TemplateItem after = peek(p);
        TemplateItem word = next_word(p);
        if (word.token == TEMPLATE_TOKEN_ASSIGN || word.token == TEMPLATE_TOKEN_DECLARE) {
            pipe->pipeline.assigns = word.token == TEMPLATE_TOKEN_ASSIGN;
            declare(p, pipe, it);
            return true;
        }
        if (word.token != TEMPLATE_TOKEN_CHAR || !str_is(word.text, ",")) {
            put_back(p, word);
            if (after.token == TEMPLATE_TOKEN_SPACE)
                put_back(p, after);
            put_back(p, it);
            return true;
        }
        declare(p, pipe, it);
        if (!is_range || pipe->pipeline.variable_count >= 2)
            return fail(p, "too many declarations in %s", context);
        TemplateToken token = peek_word(p).token;
        if (token != TEMPLATE_TOKEN_VARIABLE && token != TEMPLATE_TOKEN_RIGHT_DELIM &&
            token != TEMPLATE_TOKEN_RIGHT_PAREN)
            return fail(p, "range can only initialize variables");
    }
}

// The pipeline has been read: its variables come into being, or are found.
static void settle_variables(Parser *p, TemplateNode *pipe, size_t first_variable)
{
    for (size_t i = 0; i < pipe->pipeline.variable_count; i++) {
        TemplateNode *node = pipe->pipeline.variables[i];
        Variable *variable = &p->scope->variables[first_variable + i];
        if (pipe->pipeline.assigns) {
            node->field.slot = TEMPLATE_SLOT_NONE;
            find_variable(p, node->field.names[0], &node->field.slot);
            variable->slot = node->field.slot;
        }
    }
    for (size_t i = 0; i < pipe->pipeline.variable_count; i++) {
        Variable *variable = &p->scope->variables[first_variable + i];
        if (pipe->pipeline.assigns) {
            variable->pending = false;
        } else {
            give_slot(p, variable);
            pipe->pipeline.variables[i]->field.slot = variable->slot;
        }
    }
}

static bool parse_pipeline(Parser *p, const char *context, TemplateToken end,
                           TemplateNode **ret_node)
{
    TemplateNode *pipe = node_new(p, TEMPLATE_NODE_PIPE, peek_word(p).at);
    NodeVector commands = {0};
    size_t first_variable = p->scope->count;

    if (!enter(p) || !parse_declarations(p, pipe, context))
        return false;
    for (;;) {
        TemplateItem it = next_word(p);
        if (it.token == end)
            break;
        bool begins_operand =
            (it.token >= TEMPLATE_TOKEN_CHAR_CONSTANT && it.token <= TEMPLATE_TOKEN_NIL) ||
            it.token == TEMPLATE_TOKEN_LEFT_PAREN;
        if (!begins_operand)
            return unexpected(p, it, context);
        put_back(p, it);
        TemplateNode *command;
        if (!parse_command(p, &command))
            return false;
        push_node(p, &commands, command);
    }
    pipe->pipeline.commands = commands.list;
    if (!check_pipeline(p, pipe, context))
        return false;
    settle_variables(p, pipe, first_variable);
    p->nesting--;
    *ret_node = pipe;
    return true;
}

// ---- blocks

// *ret_end is TEMPLATE_TOKEN_END or TEMPLATE_TOKEN_ELSE.
static bool parse_list(Parser *p, TemplateNodeList *ret_list, TemplateToken *ret_end);

static const char *end_name(TemplateToken token)
{
    return token == TEMPLATE_TOKEN_END ? "{{end}}" : "{{else}}";
}

static bool parse_branch(Parser *p, TemplateNodeKind kind, uint32_t at, TemplateNode **ret_node);

// Behind {{else of an if or with: the same again without an end of its own, or a list.
static bool parse_else(Parser *p, TemplateNode *node)
{
    TemplateToken again = node->kind == TEMPLATE_NODE_IF     ? TEMPLATE_TOKEN_IF
                          : node->kind == TEMPLATE_NODE_WITH ? TEMPLATE_TOKEN_WITH
                                                             : TEMPLATE_TOKEN_EOF;
    TemplateItem it = peek_word(p);
    TemplateToken end;

    node->branch.has_else = true;
    if (it.token == again) {
        NodeVector only = {0};
        TemplateNode *inner;
        next_word(p);
        if (!parse_branch(p, node->kind, it.at, &inner))
            return false;
        push_node(p, &only, inner);
        node->branch.else_list = only.list;
        return true;
    }
    // Go takes an if or with here for the beginning of the list.
    if (it.token != TEMPLATE_TOKEN_IF && it.token != TEMPLATE_TOKEN_WITH &&
        !expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "else"))
        return false;
    if (!parse_list(p, &node->branch.else_list, &end))
        return false;
    return end == TEMPLATE_TOKEN_END || fail(p, "expected end; found %s", end_name(end));
}

static const char *branch_word(TemplateNodeKind kind)
{
    return kind == TEMPLATE_NODE_IF ? "if" : kind == TEMPLATE_NODE_RANGE ? "range" : "with";
}

static bool parse_branch(Parser *p, TemplateNodeKind kind, uint32_t at, TemplateNode **ret_node)
{
    size_t variables = p->scope->count;
    uint32_t live = p->scope->live;
    TemplateNode *node = node_new(p, kind, at);
    TemplateToken end;

    if (!enter(p) ||
        !parse_pipeline(p, branch_word(kind), TEMPLATE_TOKEN_RIGHT_DELIM, &node->branch.pipe))
        return false;
    node->at = node->branch.pipe->at;
    p->scope->range_depth += kind == TEMPLATE_NODE_RANGE;
    size_t list_variables = p->scope->count;
    uint32_t list_live = p->scope->live;
    if (!parse_list(p, &node->branch.list, &end))
        return false;
    p->scope->range_depth -= kind == TEMPLATE_NODE_RANGE;
    // The else still knows the names of the list, but when it runs they are not there.
    for (size_t i = list_variables; i < p->scope->count; i++)
        p->scope->variables[i].slot = TEMPLATE_SLOT_NONE;
    p->scope->live = list_live;
    if (end == TEMPLATE_TOKEN_ELSE && !parse_else(p, node))
        return false;
    p->scope->count = variables;
    p->scope->live = live;
    p->nesting--;
    *ret_node = node;
    return true;
}

static bool parse_template_name(Parser *p, const char *context, uint32_t *ret_at, Str *ret_name)
{
    TemplateItem it = next_word(p);

    if (it.token != TEMPLATE_TOKEN_STRING && it.token != TEMPLATE_TOKEN_RAW_STRING)
        return unexpected(p, it, context);
    *ret_at = it.at;
    return template_unquote(it.text, p->arena, ret_name) || fail(p, "invalid syntax");
}

static bool parse_call(Parser *p, TemplateNode **ret_node)
{
    TemplateNode *node = node_new(p, TEMPLATE_NODE_TEMPLATE, 0);

    if (!parse_template_name(p, "template clause", &node->at, &node->call.name))
        return false;
    TemplateItem it = next_word(p);
    *ret_node = node;
    if (it.token == TEMPLATE_TOKEN_RIGHT_DELIM)
        return true;
    put_back(p, it);
    return parse_pipeline(p, "template clause", TEMPLATE_TOKEN_RIGHT_DELIM, &node->call.pipe);
}

// The body of a define or block, with variables of its own, up to its end.
static bool parse_body(Parser *p, Str name, const char *context)
{
    Scope *outer = p->scope;
    Scope inner;
    TemplateToken end;

    open_scope(p, &inner, name);
    if (!enter(p) || !parse_list(p, &inner.tree->root, &end))
        return false;
    if (end != TEMPLATE_TOKEN_END)
        return fail(p, "unexpected %s in %s", end_name(end), context);
    p->nesting--;
    p->scope = outer;
    return add_tree(p, inner.tree);
}

static bool parse_block(Parser *p, TemplateNode **ret_node)
{
    TemplateNode *node = node_new(p, TEMPLATE_NODE_TEMPLATE, 0);

    *ret_node = node;
    return parse_template_name(p, "block clause", &node->at, &node->call.name) &&
           parse_pipeline(p, "block clause", TEMPLATE_TOKEN_RIGHT_DELIM, &node->call.pipe) &&
           parse_body(p, node->call.name, "block clause");
}

static bool parse_define(Parser *p)
{
    Str name;
    uint32_t at;

    return parse_template_name(p, "define clause", &at, &name) &&
           expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "define clause") &&
           parse_body(p, name, "define clause");
}

static bool parse_jump(Parser *p, TemplateItem it, TemplateNode **ret_node)
{
    bool is_break = it.token == TEMPLATE_TOKEN_BREAK;
    const char *shown = is_break ? "{{break}}" : "{{continue}}";
    TemplateItem after = next_word(p);

    if (after.token != TEMPLATE_TOKEN_RIGHT_DELIM)
        return unexpected(p, after, shown);
    if (p->scope->range_depth == 0)
        return fail(p, "%s outside {{range}}", shown);
    *ret_node = node_new(p, is_break ? TEMPLATE_NODE_BREAK : TEMPLATE_NODE_CONTINUE, it.at);
    return true;
}

// Behind {{. *ret_node is NULL and *ret_end set at an end or else.
static bool parse_action(Parser *p, TemplateNode **ret_node, TemplateToken *ret_end)
{
    TemplateItem it = next_word(p);

    *ret_node = NULL;
    switch (it.token) {
    case TEMPLATE_TOKEN_BLOCK:
        return parse_block(p, ret_node);
    case TEMPLATE_TOKEN_BREAK:
    case TEMPLATE_TOKEN_CONTINUE:
        return parse_jump(p, it, ret_node);
    case TEMPLATE_TOKEN_END:
        *ret_end = it.token;
        return expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "end");
    case TEMPLATE_TOKEN_ELSE:
        // What follows is read by parse_else(), or is an error for whoever has no else.
        *ret_end = it.token;
        return true;
    case TEMPLATE_TOKEN_IF:
        return parse_branch(p, TEMPLATE_NODE_IF, it.at, ret_node);
    case TEMPLATE_TOKEN_RANGE:
        return parse_branch(p, TEMPLATE_NODE_RANGE, it.at, ret_node);
    case TEMPLATE_TOKEN_WITH:
        return parse_branch(p, TEMPLATE_NODE_WITH, it.at, ret_node);
    case TEMPLATE_TOKEN_TEMPLATE:
        return parse_call(p, ret_node);
    default:
        put_back(p, it);
        *ret_node = node_new(p, TEMPLATE_NODE_ACTION, peek(p).at);
        return parse_pipeline(p, "command", TEMPLATE_TOKEN_RIGHT_DELIM, &(*ret_node)->pipe);
    }
}

// Text or action; *ret_node is NULL and *ret_end set at an end or else.
static bool parse_item(Parser *p, TemplateNode **ret_node, TemplateToken *ret_end)
{
    TemplateItem it = next_word(p);

    if (it.token == TEMPLATE_TOKEN_TEXT) {
        *ret_node = node_new(p, TEMPLATE_NODE_TEXT, it.at);
        (*ret_node)->text = it.text;
        return true;
    }
    if (it.token != TEMPLATE_TOKEN_LEFT_DELIM)
        return unexpected(p, it, "input");
    p->action_line = it.line;
    bool ok = parse_action(p, ret_node, ret_end);
    p->action_line = 0;
    return ok;
}

static bool parse_list(Parser *p, TemplateNodeList *ret_list, TemplateToken *ret_end)
{
    NodeVector nodes = {0};

    while (peek_word(p).token != TEMPLATE_TOKEN_EOF) {
        TemplateNode *node;
        if (!parse_item(p, &node, ret_end))
            return false;
        if (!node) {
            *ret_list = nodes.list;
            return true;
        }
        push_node(p, &nodes, node);
    }
    return fail(p, "unexpected EOF");
}

static bool parse_top(Parser *p)
{
    NodeVector nodes = {0};

    while (peek(p).token != TEMPLATE_TOKEN_EOF) {
        TemplateItem delim = next(p);
        if (delim.token == TEMPLATE_TOKEN_LEFT_DELIM) {
            TemplateItem word = next_word(p);
            if (word.token == TEMPLATE_TOKEN_DEFINE) {
                if (!parse_define(p))
                    return false;
                continue;
            }
            put_back(p, word);
        }
        put_back(p, delim);
        TemplateNode *node;
        TemplateToken end;
        if (!parse_item(p, &node, &end))
            return false;
        if (!node)
            return fail(p, "unexpected %s", end_name(end));
        push_node(p, &nodes, node);
    }
    p->scope->tree->root = nodes.list;
    return add_tree(p, p->scope->tree);
}

bool template_parse(const TemplateOptions *options, Str name, Str text, Arena *arena,
                    TemplateTreeList *ret_trees, TemplatePlace *place, Error *err)
{
    *place = (TemplatePlace){0};
    if (text.len > TEMPLATE_TEXT_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "template: " STR_FMT ": larger than %d bytes",
                         STR_ARG(name), TEMPLATE_TEXT_BYTES_MAX);

    Parser p = {.options = options,
                .arena = arena,
                .name = arena_str(arena, name),
                .text = arena_str(arena, text),
                .place = place,
                .err = err};
    Scope scope;
    template_lexer_init(&p.lexer, p.text, arena);
    open_scope(&p, &scope, p.name);
    if (!parse_top(&p))
        return false;
    *ret_trees = p.trees;
    return true;
}
