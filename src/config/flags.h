// SPDX-License-Identifier: Apache-2.0
// flags.h: fills a struct from the command line by a flag table. Parsing, --help, the unknown flag's suggestion and /api/v1/status/flags
// come from the same table, so they agree. Forms as in kingpin: --name=value, --name value, --switch, --no-switch; @file expands arguments.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

typedef enum FlagKind {
    FLAG_BOOL,     // bool; --name, --no-name, --name=true
    FLAG_STR,      // Str
    FLAG_STR_LIST, // FlagStrList: may be given many times
    FLAG_I64,      // int64_t
    FLAG_DOUBLE,   // double
    FLAG_DURATION, // int64_t milliseconds, Prometheus duration
    FLAG_GO_DURATION, // int64_t milliseconds, Go duration ("1h30m", "1.5s", "-2ms") or Prometheus' ("1d")
    FLAG_SIZE,        // uint64_t bytes
    FLAG_ENUM,        // int: index into words
} FlagKind;

typedef struct FlagStrList {
    Str *items;
    size_t count;
} FlagStrList;

typedef struct FlagSpec {
    const char *name; // without dashes: "web.listen-address"
    FlagKind kind;
    size_t offset;
    const char *default_text; // NULL: zero, false, empty
    const char *help;
    const char *const *words; // FLAG_ENUM: NULL-terminated
    int64_t min;              // of numbers, durations (ms); checked when min < max
    int64_t max;
    bool hidden;
    char short_name; // 'h', or 0
    bool required;
} FlagSpec;

typedef struct FlagTable {
    const char *program;  // "narthex server"
    const char *summary;  // one sentence for --help
    const char *synopsis; // what follows the flags; NULL: no arguments are taken
    const FlagSpec *flags;
    size_t count;
} FlagTable;

typedef struct FlagResult {
    bool help;    // -h, --help was given: nothing else was checked
    bool version; // --version
    Str *rest;    // arguments that are no flags
    size_t rest_count;
    bool *given; // per flag of the table: it stood on the command line
} FlagResult;

// Fills *object (zeroed first) with defaults, then the arguments (without the program's name). Strings live in the arena.
// Fails ERR_INVALID with what a person needs: the flag, the value, the nearest known name.
bool flags_parse(const FlagTable *table, int argc, char **argv, Arena *arena, void *object,
                 FlagResult *ret_result, Error *err) MUST_CHECK;

// For programs whose flags stand between their command words: whether `arg`, which begins with '-', takes the next argument as its value.
// ERR_INVALID if the table has no such flag.
bool flags_takes_next(const FlagTable *table, Str arg, bool *ret_takes, Error *err) MUST_CHECK;

// The text of --help, one flag per paragraph, hidden ones left out.
void flags_help(const FlagTable *table, Buf *out);

// The value of one flag as text, as /api/v1/status/flags shows it.
void flag_print(const FlagSpec *flag, const void *object, Buf *out);
