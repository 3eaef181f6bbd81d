// SPDX-License-Identifier: Apache-2.0
// error.h: the one error convention.
//
// A function that can fail returns bool and takes `Error *err` last. True means done. On failure `err` is
// full and the `ret_` outputs are untouched. The value lives on the caller's stack.
#pragma once

#include "base/macros.h"

// What a caller can do about it, not what went wrong. Becomes HTTP in one place, api.
typedef enum ErrorCode {
    ERR_NONE,
    ERR_INVALID,     // 400
    ERR_NOT_FOUND,   // 404
    ERR_CONFLICT,    // 409
    ERR_LIMIT,       // 422
    ERR_CANCELED,    // 499
    ERR_IO,          // 500
    ERR_CORRUPT,     // 500
    ERR_TIMEOUT,     // 503
    ERR_UNAVAILABLE, // 503
} ErrorCode;

typedef struct Error {
    ErrorCode code;
    char text
        [500]; // a sentence for a person, outermost context first; always NUL-terminated, valid UTF-8 prefix
} Error;

// Both return false, so that a failing function ends in one line.
bool error_set(Error *err, ErrorCode code, const char *fmt, ...) PRINTF(3, 4);
bool error_context(Error *err, const char *fmt, ...) PRINTF(2, 3); // puts "context: " in front

// Like error_set with ": strerror(errno)" behind it; ENOSPC, EIO and the like are ERR_IO, ENOENT ERR_NOT_FOUND.
bool error_set_errno(Error *err, int error_number, const char *fmt, ...) PRINTF(3, 4);

// "invalid", "not found", ...: for logs.
const char *error_code_name(ErrorCode code);
