// SPDX-License-Identifier: Apache-2.0
#include "template/template_parser.h"

// ---- tokens

TemplateItem template_parser_next(TemplateParser *p)
{
    p->current = p->ahead_count ? p->ahead[--p->ahead_count] : template_lexer_next(&p->lexer);
    return p->current;
}

void template_parser_put_back(TemplateParser *p, TemplateItem it)
{
    ASSERT(p->ahead_count < TEMPLATE_LOOKAHEAD);
    p->ahead[p->ahead_count++] = it;
}

TemplateItem template_parser_next_word(TemplateParser *p)
{
    TemplateItem it = template_parser_next(p);

    while (it.token == TEMPLATE_TOKEN_SPACE)
        it = template_parser_next(p);
    return it;
}

TemplateItem template_parser_peek(TemplateParser *p)
{
    TemplateItem it = template_parser_next(p);
    template_parser_put_back(p, it);
    return it;
}

TemplateItem template_parser_peek_word(TemplateParser *p)
{
    TemplateItem it = template_parser_next_word(p);
    template_parser_put_back(p, it);
    return it;
}

// ---- errors

static void note_place(TemplateParser *p)
{
    uint32_t at = (uint32_t)MIN((size_t)p->current.at, p->text.len);
    uint32_t line_at = at;
    while (line_at && p->text.ptr[line_at - 1] != '\n')
        line_at--;
    *p->place = (TemplatePlace){p->name, p->current.line, at - line_at + 1};
}

bool template_parser_fail(TemplateParser *p, const char *fmt, ...)
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
bool template_parser_fail_quoted(TemplateParser *p, const char *what, Str text, const char *after)
{
    Buf quoted = {0};

    buf_add_go_quoted(&quoted, text);
    template_parser_fail(p, "%s" STR_FMT "%s", what, STR_ARG(buf_str(&quoted)), after);
    buf_deinit(&quoted);
    return false;
}

bool template_parser_unexpected(TemplateParser *p, TemplateItem it, const char *context)
{
    Buf shown = {0};

    template_item_print(&shown, &it);
    if (it.token != TEMPLATE_TOKEN_ERROR)
        template_parser_fail(p, "unexpected " STR_FMT " in %s", STR_ARG(buf_str(&shown)), context);
    else if (p->action_line && p->action_line != it.line)
        template_parser_fail(p, STR_FMT "%s started at " STR_FMT ":%u", STR_ARG(it.text),
                             str_ends_with(it.text, S(" action")) ? "" : " in action",
                             STR_ARG(p->name), p->action_line);
    else
        template_parser_fail(p, STR_FMT, STR_ARG(it.text));
    buf_deinit(&shown);
    return false;
}

bool template_parser_expect(TemplateParser *p, TemplateToken token, const char *context)
{
    TemplateItem it = template_parser_next_word(p);
    return it.token == token || template_parser_unexpected(p, it, context);
}

bool template_parser_enter(TemplateParser *p)
{
    if (++p->nesting > TEMPLATE_NESTING_MAX) {
        template_parser_fail(p, "blocks and parentheses are nested more than %d deep",
                             TEMPLATE_NESTING_MAX);
        p->err->code = ERR_LIMIT;
        return false;
    }
    return true;
}

// ---- building

TemplateNode *template_parser_node(TemplateParser *p, TemplateNodeKind kind, uint32_t at)
{
    TemplateNode *node = ARENA_NEW(p->arena, TemplateNode);
    node->kind = kind;
    node->at = at;
    node->tree = p->scope->tree;
    return node;
}

void template_parser_push(TemplateParser *p, TemplateNodeVector *vector, TemplateNode *node)
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

TemplateVariable *template_parser_push_variable(TemplateParser *p, Str name)
{
    TemplateScope *scope = p->scope;

    if (scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 8;
        scope->variables =
            arena_grow(p->arena, scope->variables, scope->cap * sizeof(TemplateVariable),
                       cap * sizeof(TemplateVariable));
        scope->cap = cap;
    }
    scope->variables[scope->count] = (TemplateVariable){.name = name, .slot = TEMPLATE_SLOT_NONE};
    return &scope->variables[scope->count++];
}

// Gives a declared variable its slot.
void template_parser_give_slot(TemplateParser *p, TemplateVariable *variable)
{
    variable->pending = false;
    variable->slot = p->scope->live++;
    if (p->scope->tree->slot_count < p->scope->live)
        p->scope->tree->slot_count = p->scope->live;
}

// The last variable of the name. One of the pipeline that is being read only makes the name known: it has no value yet, an outer
// one of the name has.
bool template_parser_find_variable(const TemplateParser *p, Str name, uint32_t *ret_slot)
{
    bool found = false;

    for (size_t i = p->scope->count; i > 0; i--) {
        const TemplateVariable *variable = &p->scope->variables[i - 1];
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

void template_parser_open_scope(TemplateParser *p, TemplateScope *scope, Str name)
{
    *scope = (TemplateScope){.tree = ARENA_NEW(p->arena, TemplateTree)};
    scope->tree->name = name;
    scope->tree->parse_name = p->name;
    scope->tree->text = p->text;
    p->scope = scope;
    template_parser_give_slot(p, template_parser_push_variable(p, S("$")));
}

bool template_parser_add_tree(TemplateParser *p, TemplateTree *tree)
{
    bool empty = template_node_list_is_empty(&tree->root);

    for (size_t i = 0; i < p->trees.count; i++) {
        if (!str_equal(p->trees.items[i]->name, tree->name))
            continue;
        if (template_node_list_is_empty(&p->trees.items[i]->root)) {
            p->trees.items[i] = tree;
            return true;
        }
        return empty || template_parser_fail_quoted(p, "template: multiple definition of template ",
                                                    tree->name, "");
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
