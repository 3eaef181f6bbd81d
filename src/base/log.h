// SPDX-License-Identifier: Apache-2.0
// log.h: structured lines on stderr, logfmt or JSON: a constant message, the changing parts as fields with units.
//
//     log_info("compacted block", KV("block", id), KV("took_ms", took_ms));
//     time=2026-08-21T10:00:00.123Z level=INFO source=compact.c:42 msg="compacted block" block=01J... took_ms=12
//
// Ground, words and machines never log; a worker or a door logs once, where it decides what happens next.
// Thread: any; a line is one write().
#pragma once

#include "base/error.h"
#include "base/str.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;
typedef enum LogFormat { LOG_LOGFMT, LOG_JSON } LogFormat;

typedef struct LogField {
    const char *key;
    enum { LOG_STR, LOG_I64, LOG_U64, LOG_F64, LOG_BOOL } kind;
    union {
        Str str;
        int64_t i64;
        uint64_t u64;
        double f64;
        bool boolean;
    } value;
} LogField;

// Process wide; set once at start. Defaults: info, logfmt, file descriptor 2.
void log_setup(LogLevel level, LogFormat format);
void log_set_fd(int fd); // for tests
// "debug", "info", "warn", "error" / "logfmt", "json".
bool log_level_parse(Str text, LogLevel *ret_level);
bool log_format_parse(Str text, LogFormat *ret_format);
bool log_enabled(LogLevel level);

void log_write(LogLevel level, const char *file, int line, const char *message,
               const LogField *fields, size_t count);

static inline LogField log_field_str(const char *key, Str v)
{
    return (LogField){.key = key, .kind = LOG_STR, .value.str = v};
}
static inline LogField log_field_c(const char *key, const char *v)
{
    return log_field_str(key, str_from_c(v));
}
static inline LogField log_field_err(const char *key, const Error *v)
{
    return log_field_c(key, v->text);
}
static inline LogField log_field_i64(const char *key, int64_t v)
{
    return (LogField){.key = key, .kind = LOG_I64, .value.i64 = v};
}
static inline LogField log_field_u64(const char *key, uint64_t v)
{
    return (LogField){.key = key, .kind = LOG_U64, .value.u64 = v};
}
static inline LogField log_field_f64(const char *key, double v)
{
    return (LogField){.key = key, .kind = LOG_F64, .value.f64 = v};
}
static inline LogField log_field_bool(const char *key, bool v)
{
    return (LogField){.key = key, .kind = LOG_BOOL, .value.boolean = v};
}

#define KV(name, v)                                                                                \
    _Generic((v),                                                                                  \
        Str: log_field_str,                                                                        \
        char *: log_field_c,                                                                       \
        const char *: log_field_c,                                                                 \
        Error *: log_field_err,                                                                    \
        const Error *: log_field_err,                                                              \
        bool: log_field_bool,                                                                      \
        float: log_field_f64,                                                                      \
        double: log_field_f64,                                                                     \
        unsigned short: log_field_u64,                                                             \
        unsigned: log_field_u64,                                                                   \
        unsigned long: log_field_u64,                                                              \
        unsigned long long: log_field_u64,                                                         \
        default: log_field_i64)(name, v)

#define LOG_AT(level, message, ...)                                                                \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const LogField log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};                         \
            log_write(level, __FILE__, __LINE__, message, log_fields_ + 1,                         \
                      COUNT_OF(log_fields_) - 1);                                                  \
        }                                                                                          \
    } while (0)

#define log_debug(message, ...) LOG_AT(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_AT(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...) LOG_AT(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_ERROR, message, ##__VA_ARGS__)
