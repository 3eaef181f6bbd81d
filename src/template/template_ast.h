// SPDX-License-Identifier: Apache-2.0
// template_ast.h: what a parsed template is made of. Nodes live in the arena of their set and never change.
//
// Variables have been given slots: `slot` counts those alive where the variable was declared, slot 0 is $. Functions have been looked up.
#pragma once

#include "base/map.h"
#include "template/template.h"
#include "template/template_number.h"

typedef struct TemplateNode TemplateNode;
typedef struct TemplateTree TemplateTree;

typedef enum TemplateNodeKind {
    // What stands in a list.
    TEMPLATE_NODE_TEXT,
    TEMPLATE_NODE_ACTION,
    TEMPLATE_NODE_IF,
    TEMPLATE_NODE_RANGE,
    TEMPLATE_NODE_WITH,
    TEMPLATE_NODE_TEMPLATE,
    TEMPLATE_NODE_BREAK,
    TEMPLATE_NODE_CONTINUE,
    // What stands in an action.
    TEMPLATE_NODE_PIPE,
    TEMPLATE_NODE_COMMAND,
    // Operands.
    TEMPLATE_NODE_FIELD,
    TEMPLATE_NODE_VARIABLE,
    TEMPLATE_NODE_CHAIN,
    TEMPLATE_NODE_IDENTIFIER,
    TEMPLATE_NODE_DOT,
    TEMPLATE_NODE_NIL,
    TEMPLATE_NODE_BOOL,
    TEMPLATE_NODE_NUMBER,
    TEMPLATE_NODE_STRING,
} TemplateNodeKind;

typedef struct TemplateNodeList {
    TemplateNode **items;
    size_t count;
} TemplateNodeList;

#define TEMPLATE_SLOT_NONE UINT32_MAX // a variable that is not there when the template runs

struct TemplateNode {
    TemplateNodeKind kind;
    uint32_t at; // byte in the text, as Go counts it
    const TemplateTree *tree;
    union {
        Str text;           // TEXT
        TemplateNode *pipe; // ACTION
        struct {
            TemplateNode *pipe;
            TemplateNodeList list;
            TemplateNodeList else_list;
            bool has_else;
        } branch; // IF RANGE WITH
        struct {
            Str name;
            TemplateNode *pipe; // or NULL
        } call;                 // TEMPLATE
        struct {
            TemplateNode **variables;
            size_t variable_count; // at most 2
            TemplateNodeList commands;
            bool assigns;      // with = , not :=
        } pipeline;            // PIPE
        TemplateNodeList args; // COMMAND
        struct {
            Str *names; // without dots; of a variable the first is the variable itself, with its $
            size_t count;
            uint32_t slot;      // VARIABLE
            TemplateNode *base; // CHAIN
        } field;                // FIELD VARIABLE CHAIN
        struct {
            Str name;
            const TemplateFunction *function;
        } identifier;          // IDENTIFIER
        bool boolean;          // BOOL
        TemplateNumber number; // NUMBER
        struct {
            Str quoted;
            Str text;
        } string; // STRING
    };
};

struct TemplateTree {
    Str name;
    Str parse_name; // of the text that it stands in
    Str text;
    TemplateNodeList root;
    uint32_t slot_count;
};

struct TemplateSet {
    Arena arena;
    TemplateOptions options;
    const TemplateSet *parent;
    Map trees; // name to TemplateTree
    TemplatePlace fault;
};

// As Go's Node.String().
void template_node_print(Buf *out, const TemplateNode *node);
void template_node_list_print(Buf *out, const TemplateNodeList *list);
// Nothing but white space.
bool template_node_list_is_empty(const TemplateNodeList *list);

typedef struct TemplateTreeList {
    TemplateTree **items;
    size_t count;
    size_t cap;
} TemplateTreeList;

// Parses the text; *ret_trees are the tree of `name` and all that it defines. *place is set on failure.
bool template_parse(const TemplateOptions *options, Str name, Str text, Arena *arena,
                    TemplateTreeList *ret_trees, TemplatePlace *place, Error *err) MUST_CHECK;
