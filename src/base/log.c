// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/timefmt.h"

static LogLevel current_level = LOG_INFO;
static LogFormat current_format = LOG_LOGFMT;
static int current_fd = 2;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO", "WARN", "ERROR"};

#define LOG_LINE_BYTES_MAX ((size_t)64 << 10)

void log_setup(LogLevel level, LogFormat format)
{
    current_level = level;
    current_format = format;
}

void log_set_fd(int fd)
{
    current_fd = fd;
}

bool log_level_parse(Str text, LogLevel *ret_level)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++)
        if (str_is(text, level_names[i])) {
            *ret_level = (LogLevel)i;
            return true;
        }
    return false;
}

bool log_format_parse(Str text, LogFormat *ret_format)
{
    if (!str_is(text, "logfmt") && !str_is(text, "json"))
        return false;
    *ret_format = str_is(text, "json") ? LOG_JSON : LOG_LOGFMT;
    return true;
}

bool log_enabled(LogLevel level)
{
    return level >= current_level;
}

// JSON string escapes; logfmt uses the same inside its quotes. Bytes that are not UTF-8 become U+FFFD.
static void add_quoted(Buf *line, Str s)
{
    buf_add_char(line, '"');
    while (s.len) {
        uint32_t rune;
        size_t len = str_rune(s, &rune);
        if (rune == '"' || rune == '\\')
            buf_printf(line, "\\%c", (int)rune);
        else if (rune == '\n')
            buf_add_c(line, "\\n");
        else if (rune == '\t')
            buf_add_c(line, "\\t");
        else if (rune == '\r')
            buf_add_c(line, "\\r");
        else if (rune < 0x20 || rune == 0x7f)
            buf_printf(line, "\\u%04x", rune);
        else if (rune == 0xFFFD && len == 1)
            buf_add_c(line, "\xEF\xBF\xBD");
        else
            buf_add(line, s.ptr, len);
        s = str_skip(s, len);
    }
    buf_add_char(line, '"');
}

static bool needs_quotes(Str s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return true;
    }
    return false;
}

static void add_value(Buf *line, const LogField *field, bool json)
{
    switch (field->kind) {
    case LOG_STR:
        if (json || needs_quotes(field->value.str))
            add_quoted(line, field->value.str);
        else
            buf_add_str(line, field->value.str);
        break;
    case LOG_I64:
        buf_add_i64(line, field->value.i64);
        break;
    case LOG_U64:
        buf_add_u64(line, field->value.u64);
        break;
    case LOG_F64:
        if (json && field->value.f64 - field->value.f64 != 0)
            buf_add_char(line, '"');
        buf_add_double_g(line, field->value.f64);
        if (json && field->value.f64 - field->value.f64 != 0)
            buf_add_char(line, '"');
        break;
    case LOG_BOOL:
        buf_add_c(line, field->value.boolean ? "true" : "false");
        break;
    }
}

static void add_pair(Buf *line, const LogField *field, bool json)
{
    if (json) {
        buf_add_c(line, line->len > 1 ? "," : "");
        add_quoted(line, str_from_c(field->key));
        buf_add_char(line, ':');
    } else {
        buf_add_c(line, line->len ? " " : "");
        buf_add_c(line, field->key);
        buf_add_char(line, '=');
    }
    add_value(line, field, json);
}

void log_write(LogLevel level, const char *file, int line_number, const char *message,
               const LogField *fields, size_t count)
{
    bool json = current_format == LOG_JSON;
    Buf time = {0};
    buf_add_rfc3339(&time, clock_now_ms(&clock_system), 0);
    const char *slash = strrchr(file, '/');
    Buf source = {0};
    buf_printf(&source, "%s:%d", slash ? slash + 1 : file, line_number);

    Buf line = {.max = LOG_LINE_BYTES_MAX};
    if (json)
        buf_add_char(&line, '{');
    LogField head[] = {
        log_field_str("time", buf_str(&time)),
        log_field_c("level", level_labels[level]),
        log_field_str("source", buf_str(&source)),
        log_field_c("msg", message),
    };
    for (size_t i = 0; i < COUNT_OF(head); i++)
        add_pair(&line, &head[i], json);
    for (size_t i = 0; i < count; i++)
        add_pair(&line, &fields[i], json);
    if (json)
        buf_add_char(&line, '}');
    buf_add_char(&line, '\n');

    // A log line that cannot be written has nowhere to be told.
    ssize_t written = write(current_fd, line.ptr, line.len);
    (void)written;
    buf_deinit(&line);
    buf_deinit(&source);
    buf_deinit(&time);
}
