// SPDX-License-Identifier: Apache-2.0
// template_lex.h: cuts a template into texts and the tokens between {{ and }}.
//
// White space inside an action is a token: it separates the arguments of a command. Trim markers and comments
// never come out: they are applied to the texts around them.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

typedef enum TemplateToken {
    TEMPLATE_TOKEN_ERROR, // text says what is wrong
    TEMPLATE_TOKEN_EOF,
    TEMPLATE_TOKEN_TEXT,
    TEMPLATE_TOKEN_LEFT_DELIM,
    TEMPLATE_TOKEN_RIGHT_DELIM,
    TEMPLATE_TOKEN_SPACE,
    TEMPLATE_TOKEN_ASSIGN,  // =
    TEMPLATE_TOKEN_DECLARE, // :=
    TEMPLATE_TOKEN_PIPE,
    TEMPLATE_TOKEN_LEFT_PAREN,
    TEMPLATE_TOKEN_RIGHT_PAREN,
    TEMPLATE_TOKEN_CHAR, // any other printable one, as ','
    TEMPLATE_TOKEN_CHAR_CONSTANT,
    TEMPLATE_TOKEN_STRING,
    TEMPLATE_TOKEN_RAW_STRING,
    TEMPLATE_TOKEN_NUMBER,
    TEMPLATE_TOKEN_COMPLEX,
    TEMPLATE_TOKEN_BOOL,
    TEMPLATE_TOKEN_IDENTIFIER,
    TEMPLATE_TOKEN_FIELD,    // .name
    TEMPLATE_TOKEN_VARIABLE, // $name
    // Key words; the dot is one for Go.
    TEMPLATE_TOKEN_DOT,
    TEMPLATE_TOKEN_NIL,
    TEMPLATE_TOKEN_BLOCK,
    TEMPLATE_TOKEN_BREAK,
    TEMPLATE_TOKEN_CONTINUE,
    TEMPLATE_TOKEN_DEFINE,
    TEMPLATE_TOKEN_ELSE,
    TEMPLATE_TOKEN_END,
    TEMPLATE_TOKEN_IF,
    TEMPLATE_TOKEN_RANGE,
    TEMPLATE_TOKEN_TEMPLATE,
    TEMPLATE_TOKEN_WITH,
} TemplateToken;

typedef struct TemplateItem {
    TemplateToken token;
    Str text;
    uint32_t at;   // byte where it begins
    uint32_t line; // from 1
} TemplateItem;

typedef struct TemplateLexer {
    Str input;
    Arena *arena; // for messages
    size_t at;
    uint32_t line;
    uint32_t line_at; // byte up to which lines are counted
    int paren_depth;
    bool in_action;
} TemplateLexer;

void template_lexer_init(TemplateLexer *lexer, Str input, Arena *arena);
// After ERROR or EOF the same comes again.
TemplateItem template_lexer_next(TemplateLexer *lexer);

// As Go prints an item in "unexpected %s".
void template_item_print(Buf *out, const TemplateItem *item);
