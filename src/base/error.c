// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

// Cuts a half rune that truncation left at the end.
static void trim_half_rune(char *text)
{
    size_t len = strlen(text);
    size_t back = 0;
    while (back < 4 && back < len && ((unsigned char)text[len - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == len)
        return;
    size_t start = len - 1 - back;
    uint32_t rune;
    Str tail = {text + start, len - start};
    if ((unsigned char)text[start] >= 0xC0 && str_rune(tail, &rune) != tail.len)
        text[start] = '\0';
}

bool error_set(Error *err, ErrorCode code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->code = code;
    if (len >= (int)sizeof err->text)
        trim_half_rune(err->text);
    return false;
}

bool error_context(Error *err, const char *fmt, ...)
{
    char context[sizeof err->text];
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);

    // Joined by hand: what does not fit is cut from the innermost end.
    size_t room = sizeof err->text - 1;
    size_t at = MIN(strlen(context), room);
    memcpy(err->text, context, at);
    size_t colon = MIN((size_t)2, room - at);
    memcpy(err->text + at, ": ", colon);
    at += colon;
    size_t rest = MIN(strlen(old), room - at);
    memcpy(err->text + at, old, rest);
    err->text[at + rest] = '\0';
    if (at + rest == room)
        trim_half_rune(err->text);
    return false;
}

bool error_set_errno(Error *err, int error_number, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char what[sizeof err->text];
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);

    ErrorCode code = ERR_IO;
    if (error_number == ENOENT || error_number == ENOTDIR)
        code = ERR_NOT_FOUND;
    else if (error_number == EEXIST)
        code = ERR_CONFLICT;
    else if (error_number == ETIMEDOUT)
        code = ERR_TIMEOUT;
    char reason[128];
    const char *text = strerror_r(error_number, reason, sizeof reason);
    return error_set(err, code, "%s: %s", what, text);
}

const char *error_code_name(ErrorCode code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not found",
        [ERR_CONFLICT] = "conflict",
        [ERR_LIMIT] = "limit",
        [ERR_CANCELED] = "canceled",
        [ERR_IO] = "io",
        [ERR_CORRUPT] = "corrupt",
        [ERR_TIMEOUT] = "timeout",
        [ERR_UNAVAILABLE] = "unavailable",
    };
    return (size_t)code < COUNT_OF(names) ? names[code] : "unknown";
}
