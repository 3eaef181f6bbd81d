// SPDX-License-Identifier: Apache-2.0
// Nodes as Go's String() prints them: for the "at <...>" of errors and for reading what was parsed.
#include "template/template_ast.h"

bool template_node_list_is_empty(const TemplateNodeList *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->kind != TEMPLATE_NODE_TEXT || str_trim(list->items[i]->text).len > 0)
            return false;
    return true;
}

static void print_names(Buf *out, const TemplateNode *node, size_t first)
{
    for (size_t i = first; i < node->field.count; i++) {
        buf_add_char(out, '.');
        buf_add_str(out, node->field.names[i]);
    }
}

static void print_pipeline(Buf *out, const TemplateNode *node)
{
    for (size_t i = 0; i < node->pipeline.variable_count; i++) {
        if (i)
            buf_add_c(out, ", ");
        template_node_print(out, node->pipeline.variables[i]);
    }
    if (node->pipeline.variable_count)
        buf_add_c(out, node->pipeline.assigns ? " = " : " := ");
    for (size_t i = 0; i < node->pipeline.commands.count; i++) {
        if (i)
            buf_add_c(out, " | ");
        template_node_print(out, node->pipeline.commands.items[i]);
    }
}

static void print_in_parens(Buf *out, const TemplateNode *node)
{
    bool parens = node->kind == TEMPLATE_NODE_PIPE;

    if (parens)
        buf_add_char(out, '(');
    template_node_print(out, node);
    if (parens)
        buf_add_char(out, ')');
}

static void print_command(Buf *out, const TemplateNode *node)
{
    for (size_t i = 0; i < node->args.count; i++) {
        if (i)
            buf_add_char(out, ' ');
        print_in_parens(out, node->args.items[i]);
    }
}

static void print_branch(Buf *out, const TemplateNode *node, const char *word)
{
    buf_printf(out, "{{%s ", word);
    template_node_print(out, node->branch.pipe);
    buf_add_c(out, "}}");
    template_node_list_print(out, &node->branch.list);
    if (node->branch.has_else) {
        buf_add_c(out, "{{else}}");
        template_node_list_print(out, &node->branch.else_list);
    }
    buf_add_c(out, "{{end}}");
}

static void print_call(Buf *out, const TemplateNode *node)
{
    buf_add_c(out, "{{template ");
    buf_add_go_quoted(out, node->call.name);
    if (node->call.pipe) {
        buf_add_char(out, ' ');
        template_node_print(out, node->call.pipe);
    }
    buf_add_c(out, "}}");
}

void template_node_list_print(Buf *out, const TemplateNodeList *list)
{
    for (size_t i = 0; i < list->count; i++)
        template_node_print(out, list->items[i]);
}

void template_node_print(Buf *out, const TemplateNode *node)
{
    switch (node->kind) {
    case TEMPLATE_NODE_TEXT:
        buf_add_str(out, node->text);
        break;
    case TEMPLATE_NODE_ACTION:
        buf_add_c(out, "{{");
        template_node_print(out, node->pipe);
        buf_add_c(out, "}}");
        break;
    case TEMPLATE_NODE_IF:
        print_branch(out, node, "if");
        break;
    case TEMPLATE_NODE_RANGE:
        print_branch(out, node, "range");
        break;
    case TEMPLATE_NODE_WITH:
        print_branch(out, node, "with");
        break;
    case TEMPLATE_NODE_TEMPLATE:
        print_call(out, node);
        break;
    case TEMPLATE_NODE_BREAK:
        buf_add_c(out, "{{break}}");
        break;
    case TEMPLATE_NODE_CONTINUE:
        buf_add_c(out, "{{continue}}");
        break;
    case TEMPLATE_NODE_PIPE:
        print_pipeline(out, node);
        break;
    case TEMPLATE_NODE_COMMAND:
        print_command(out, node);
        break;
    case TEMPLATE_NODE_FIELD:
        print_names(out, node, 0);
        break;
    case TEMPLATE_NODE_VARIABLE:
        buf_add_str(out, node->field.names[0]);
        print_names(out, node, 1);
        break;
    case TEMPLATE_NODE_CHAIN:
        print_in_parens(out, node->field.base);
        print_names(out, node, 0);
        break;
    case TEMPLATE_NODE_IDENTIFIER:
        buf_add_str(out, node->identifier.name);
        break;
    case TEMPLATE_NODE_DOT:
        buf_add_char(out, '.');
        break;
    case TEMPLATE_NODE_NIL:
        buf_add_c(out, "nil");
        break;
    case TEMPLATE_NODE_BOOL:
        buf_add_c(out, node->boolean ? "true" : "false");
        break;
    case TEMPLATE_NODE_NUMBER:
        buf_add_str(out, node->number.text);
        break;
    case TEMPLATE_NODE_STRING:
        buf_add_str(out, node->string.quoted);
        break;
    }
}
