// SPDX-License-Identifier: Apache-2.0
// lex.h: query text to tokens. Comments and white space are skipped. Private to the room.
//
// The rules change with the place: inside braces every word is a label name, inside brackets a duration expression stands. The
// lexer follows brackets and braces itself, and its errors are those of the original, position included.
#pragma once

#include "base/buf.h"
#include "promql/ast.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_ERROR, // text: what is wrong
    TOKEN_IDENTIFIER,
    TOKEN_METRIC_IDENTIFIER, // has a colon
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING, // with its quotes
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_EQUAL,
    TOKEN_EQUAL_REGEX,
    TOKEN_NOT_REGEX,
    TOKEN_AT,
    TOKEN_OPERATOR,  // op: a BinaryOp; "!=" in braces, too
    TOKEN_AGGREGATE, // op: an AggregateOp
    // Keywords.
    TOKEN_BOOL,
    TOKEN_BY,
    TOKEN_WITHOUT,
    TOKEN_ON,
    TOKEN_IGNORING,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    TOKEN_OFFSET,
    TOKEN_SMOOTHED,
    TOKEN_ANCHORED,
    // Words that are keywords only in some places.
    TOKEN_START_WORD,
    TOKEN_END_WORD,
    TOKEN_STEP,
    TOKEN_RANGE,
    TOKEN_MAX_OF,
    TOKEN_MIN_OF,
} TokenKind;

typedef struct Token {
    TokenKind kind;
    int op;
    uint32_t start; // byte offset in the query
    Str text;       // a view of the query; of an error: of the lexer
} Token;

#define LEX_ERROR_BYTES_MAX 300

typedef struct Lexer {
    Str input;
    size_t pos;
    size_t start; // of the token being read
    int paren_depth;
    bool brace_open, bracket_open, got_colon, got_duration;
    bool in_duration; // just behind a '[': only duration expressions
    char error[LEX_ERROR_BYTES_MAX];
} Lexer;

void lexer_init(Lexer *lexer, Str input);
// After the end or an error: always TOKEN_END.
Token lexer_next(Lexer *lexer);

// `string "foo"`, `<op:+>`, `end of input`: how an unexpected token is named in an error.
void token_describe(Buf *buf, const Token *token);

// The string that a literal with its quotes means: Go escapes, or raw between backticks. The lexer has checked the escapes; what
// still is wrong (a \u escape inside single quotes of another kind) gives false.
bool string_unquote(Str literal, Arena *arena, Str *ret_string);
