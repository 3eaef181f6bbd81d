// SPDX-License-Identifier: Apache-2.0
// The grammar of text/template/parse, its sentences for what is wrong included: texts, actions, blocks, definitions.
#include "template/template_parser.h"
#include "template/template_text.h"

// ---- blocks

// *ret_end is TEMPLATE_TOKEN_END or TEMPLATE_TOKEN_ELSE.
static bool parse_list(TemplateParser *p, TemplateNodeList *ret_list, TemplateToken *ret_end);

static const char *end_name(TemplateToken token)
{
    return token == TEMPLATE_TOKEN_END ? "{{end}}" : "{{else}}";
}

static bool parse_branch(TemplateParser *p, TemplateNodeKind kind, uint32_t at,
                         TemplateNode **ret_node);

// Behind {{else of an if or with: the same again without an end of its own, or a list.
static bool parse_else(TemplateParser *p, TemplateNode *node)
{
    TemplateToken again = node->kind == TEMPLATE_NODE_IF     ? TEMPLATE_TOKEN_IF
                          : node->kind == TEMPLATE_NODE_WITH ? TEMPLATE_TOKEN_WITH
                                                             : TEMPLATE_TOKEN_EOF;
    TemplateItem it = template_parser_peek_word(p);
    TemplateToken end;

    node->branch.has_else = true;
    if (it.token == again) {
        TemplateNodeVector only = {0};
        TemplateNode *inner;
        template_parser_next_word(p);
        if (!parse_branch(p, node->kind, it.at, &inner))
            return false;
        template_parser_push(p, &only, inner);
        node->branch.else_list = only.list;
        return true;
    }
    // Go takes an if or with here for the beginning of the list.
    if (it.token != TEMPLATE_TOKEN_IF && it.token != TEMPLATE_TOKEN_WITH &&
        !template_parser_expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "else"))
        return false;
    if (!parse_list(p, &node->branch.else_list, &end))
        return false;
    return end == TEMPLATE_TOKEN_END ||
           template_parser_fail(p, "expected end; found %s", end_name(end));
}

static const char *branch_word(TemplateNodeKind kind)
{
    return kind == TEMPLATE_NODE_IF ? "if" : kind == TEMPLATE_NODE_RANGE ? "range" : "with";
}

static bool parse_branch(TemplateParser *p, TemplateNodeKind kind, uint32_t at,
                         TemplateNode **ret_node)
{
    size_t variables = p->scope->count;
    uint32_t live = p->scope->live;
    TemplateNode *node = template_parser_node(p, kind, at);
    TemplateToken end;

    if (!template_parser_enter(p) ||
        !template_parse_pipeline(p, branch_word(kind), TEMPLATE_TOKEN_RIGHT_DELIM,
                                 &node->branch.pipe))
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

static bool parse_template_name(TemplateParser *p, const char *context, uint32_t *ret_at,
                                Str *ret_name)
{
    TemplateItem it = template_parser_next_word(p);

    if (it.token != TEMPLATE_TOKEN_STRING && it.token != TEMPLATE_TOKEN_RAW_STRING)
        return template_parser_unexpected(p, it, context);
    *ret_at = it.at;
    return template_unquote(it.text, p->arena, ret_name) ||
           template_parser_fail(p, "invalid syntax");
}

static bool parse_call(TemplateParser *p, TemplateNode **ret_node)
{
    TemplateNode *node = template_parser_node(p, TEMPLATE_NODE_TEMPLATE, 0);

    if (!parse_template_name(p, "template clause", &node->at, &node->call.name))
        return false;
    TemplateItem it = template_parser_next_word(p);
    *ret_node = node;
    if (it.token == TEMPLATE_TOKEN_RIGHT_DELIM)
        return true;
    template_parser_put_back(p, it);
    return template_parse_pipeline(p, "template clause", TEMPLATE_TOKEN_RIGHT_DELIM,
                                   &node->call.pipe);
}

// The body of a define or block, with variables of its own, up to its end.
static bool parse_body(TemplateParser *p, Str name, const char *context)
{
    TemplateScope *outer = p->scope;
    TemplateScope inner;
    TemplateToken end;

    template_parser_open_scope(p, &inner, name);
    if (!template_parser_enter(p) || !parse_list(p, &inner.tree->root, &end))
        return false;
    if (end != TEMPLATE_TOKEN_END)
        return template_parser_fail(p, "unexpected %s in %s", end_name(end), context);
    p->nesting--;
    p->scope = outer;
    return template_parser_add_tree(p, inner.tree);
}

static bool parse_block(TemplateParser *p, TemplateNode **ret_node)
{
    TemplateNode *node = template_parser_node(p, TEMPLATE_NODE_TEMPLATE, 0);

    *ret_node = node;
    return parse_template_name(p, "block clause", &node->at, &node->call.name) &&
           template_parse_pipeline(p, "block clause", TEMPLATE_TOKEN_RIGHT_DELIM,
                                   &node->call.pipe) &&
           parse_body(p, node->call.name, "block clause");
}

static bool parse_define(TemplateParser *p)
{
    Str name;
    uint32_t at;

    return parse_template_name(p, "define clause", &at, &name) &&
           template_parser_expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "define clause") &&
           parse_body(p, name, "define clause");
}

static bool parse_jump(TemplateParser *p, TemplateItem it, TemplateNode **ret_node)
{
    bool is_break = it.token == TEMPLATE_TOKEN_BREAK;
    const char *shown = is_break ? "{{break}}" : "{{continue}}";
    TemplateItem after = template_parser_next_word(p);

    if (after.token != TEMPLATE_TOKEN_RIGHT_DELIM)
        return template_parser_unexpected(p, after, shown);
    if (p->scope->range_depth == 0)
        return template_parser_fail(p, "%s outside {{range}}", shown);
    *ret_node =
        template_parser_node(p, is_break ? TEMPLATE_NODE_BREAK : TEMPLATE_NODE_CONTINUE, it.at);
    return true;
}

// Behind {{. *ret_node is NULL and *ret_end set at an end or else.
static bool parse_action(TemplateParser *p, TemplateNode **ret_node, TemplateToken *ret_end)
{
    TemplateItem it = template_parser_next_word(p);

    *ret_node = NULL;
    switch (it.token) {
    case TEMPLATE_TOKEN_BLOCK:
        return parse_block(p, ret_node);
    case TEMPLATE_TOKEN_BREAK:
    case TEMPLATE_TOKEN_CONTINUE:
        return parse_jump(p, it, ret_node);
    case TEMPLATE_TOKEN_END:
        *ret_end = it.token;
        return template_parser_expect(p, TEMPLATE_TOKEN_RIGHT_DELIM, "end");
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
        template_parser_put_back(p, it);
        *ret_node = template_parser_node(p, TEMPLATE_NODE_ACTION, template_parser_peek(p).at);
        return template_parse_pipeline(p, "command", TEMPLATE_TOKEN_RIGHT_DELIM,
                                       &(*ret_node)->pipe);
    }
}

// Text or action; *ret_node is NULL and *ret_end set at an end or else.
static bool parse_item(TemplateParser *p, TemplateNode **ret_node, TemplateToken *ret_end)
{
    TemplateItem it = template_parser_next_word(p);

    if (it.token == TEMPLATE_TOKEN_TEXT) {
        *ret_node = template_parser_node(p, TEMPLATE_NODE_TEXT, it.at);
        (*ret_node)->text = it.text;
        return true;
    }
    if (it.token != TEMPLATE_TOKEN_LEFT_DELIM)
        return template_parser_unexpected(p, it, "input");
    p->action_line = it.line;
    bool ok = parse_action(p, ret_node, ret_end);
    p->action_line = 0;
    return ok;
}

static bool parse_list(TemplateParser *p, TemplateNodeList *ret_list, TemplateToken *ret_end)
{
    TemplateNodeVector nodes = {0};

    while (template_parser_peek_word(p).token != TEMPLATE_TOKEN_EOF) {
        TemplateNode *node;
        if (!parse_item(p, &node, ret_end))
            return false;
        if (!node) {
            *ret_list = nodes.list;
            return true;
        }
        template_parser_push(p, &nodes, node);
    }
    return template_parser_fail(p, "unexpected EOF");
}

static bool parse_top(TemplateParser *p)
{
    TemplateNodeVector nodes = {0};

    while (template_parser_peek(p).token != TEMPLATE_TOKEN_EOF) {
        TemplateItem delim = template_parser_next(p);
        if (delim.token == TEMPLATE_TOKEN_LEFT_DELIM) {
            TemplateItem word = template_parser_next_word(p);
            if (word.token == TEMPLATE_TOKEN_DEFINE) {
                if (!parse_define(p))
                    return false;
                continue;
            }
            template_parser_put_back(p, word);
        }
        template_parser_put_back(p, delim);
        TemplateNode *node;
        TemplateToken end;
        if (!parse_item(p, &node, &end))
            return false;
        if (!node)
            return template_parser_fail(p, "unexpected %s", end_name(end));
        template_parser_push(p, &nodes, node);
    }
    p->scope->tree->root = nodes.list;
    return template_parser_add_tree(p, p->scope->tree);
}

bool template_parse(const TemplateOptions *options, Str name, Str text, Arena *arena,
                    TemplateTreeList *ret_trees, TemplatePlace *place, Error *err)
{
    *place = (TemplatePlace){0};
    if (text.len > TEMPLATE_TEXT_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "template: " STR_FMT ": larger than %d bytes",
                         STR_ARG(name), TEMPLATE_TEXT_BYTES_MAX);

    TemplateParser p = {.options = options,
                        .arena = arena,
                        .name = arena_str(arena, name),
                        .text = arena_str(arena, text),
                        .place = place,
                        .err = err};
    TemplateScope scope;
    template_lexer_init(&p.lexer, p.text, arena);
    template_parser_open_scope(&p, &scope, p.name);
    if (!parse_top(&p))
        return false;
    *ret_trees = p.trees;
    return true;
}
