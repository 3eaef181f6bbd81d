// SPDX-License-Identifier: Apache-2.0
// template_parser.h: the state of a parse, its tokens, errors and variables; what the files of the grammar share.
//
//     template_parser.c --> template_parse_pipeline.c (operands, pipelines) --> template_parse.c (blocks, the whole text)
#pragma once

#include "template/template_ast.h"
#include "template/template_lex.h"

#define TEMPLATE_LOOKAHEAD 4

typedef struct TemplateVariable {
    Str name;      // with its $
    uint32_t slot; // TEMPLATE_SLOT_NONE: assigned to, but never declared
    bool pending;  // declared by the pipeline that is being read: not visible in it
} TemplateVariable;

// What belongs to one tree, saved while a block inside it is read.
typedef struct TemplateScope {
    TemplateTree *tree;
    TemplateVariable *variables;
    size_t count;
    size_t cap;
    uint32_t live; // slots in use
    int range_depth;
} TemplateScope;

typedef struct TemplateParser {
    const TemplateOptions *options;
    Arena *arena;
    TemplateLexer lexer;
    Str name;
    Str text;
    TemplateItem ahead[TEMPLATE_LOOKAHEAD]; // a stack: the last is next
    size_t ahead_count;
    TemplateItem current;
    uint32_t action_line;
    int nesting;
    TemplateScope *scope;
    TemplateTreeList trees;
    TemplatePlace *place; // of the fault
    Error *err;
} TemplateParser;

typedef struct TemplateNodeVector {
    TemplateNodeList list;
    size_t cap;
} TemplateNodeVector;

// ---- tokens

TemplateItem template_parser_next(TemplateParser *p);
// Gives a token back: it is the next again. At most TEMPLATE_LOOKAHEAD.
void template_parser_put_back(TemplateParser *p, TemplateItem it);
// The next token that is no white space.
TemplateItem template_parser_next_word(TemplateParser *p);
TemplateItem template_parser_peek(TemplateParser *p);
TemplateItem template_parser_peek_word(TemplateParser *p);

// ---- errors: all return false

bool template_parser_fail(TemplateParser *p, const char *fmt, ...) PRINTF(2, 3);
// `what`, the quoted text, `after`.
bool template_parser_fail_quoted(TemplateParser *p, const char *what, Str text, const char *after);
bool template_parser_unexpected(TemplateParser *p, TemplateItem it, const char *context);

bool template_parser_expect(TemplateParser *p, TemplateToken token, const char *context);
// One level deeper; the caller counts p->nesting down again.
bool template_parser_enter(TemplateParser *p);

// ---- building

TemplateNode *template_parser_node(TemplateParser *p, TemplateNodeKind kind, uint32_t at);
void template_parser_push(TemplateParser *p, TemplateNodeVector *vector, TemplateNode *node);
TemplateVariable *template_parser_push_variable(TemplateParser *p, Str name);
// Gives a declared variable its slot.
void template_parser_give_slot(TemplateParser *p, TemplateVariable *variable);
// The last variable of the name. One of the pipeline that is being read only makes the name known: it has no value yet, an outer
// one of the name has.
bool template_parser_find_variable(const TemplateParser *p, Str name, uint32_t *ret_slot);
// Begins a tree, with its variable $.
void template_parser_open_scope(TemplateParser *p, TemplateScope *scope, Str name);
bool template_parser_add_tree(TemplateParser *p, TemplateTree *tree);

// ---- template_parse_pipeline.c

// Reads up to the token `end`, which is taken, too.
bool template_parse_pipeline(TemplateParser *p, const char *context, TemplateToken end,
                             TemplateNode **ret_node);
