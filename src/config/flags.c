// SPDX-License-Identifier: Apache-2.0
#include "config/flags.h"

#include <stdio.h>

#include "base/fs.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "config/config.h"

#define ARGUMENT_FILE_BYTES_MAX ((size_t)1 << 20)
#define ARGUMENTS_MAX 10000
#define HELP_COLUMNS 100

static void *member(const FlagSpec *flag, void *object)
{
    return (char *)object + flag->offset;
}

static bool fail_value(const FlagSpec *flag, Str text, const char *why, Error *err)
{
    return error_set(err, ERR_INVALID, "flag --%s: invalid value \"" STR_FMT "\": %s", flag->name,
                     STR_ARG(str_sub(text, 0, 200)), why);
}

static bool in_limits(const FlagSpec *flag, int64_t value)
{
    return flag->min >= flag->max || (value >= flag->min && value <= flag->max);
}

static bool set_enum(const FlagSpec *flag, Str text, int *out, Error *err)
{
    char known[300] = "";
    size_t len = 0;
    for (int i = 0; flag->words[i]; i++) {
        if (str_is(text, flag->words[i])) {
            *out = i;
            return true;
        }
        int n = snprintf(known + len, sizeof known - len, "%s%s",
                         i ? ", " : "must be one of: ", flag->words[i]);
        len = MIN(len + (size_t)n, sizeof known - 1);
    }
    return fail_value(flag, text, known, err);
}

static void add_item(FlagStrList *list, Str text, Arena *arena)
{
    list->items =
        arena_grow(arena, list->items, list->count * sizeof(Str), (list->count + 1) * sizeof(Str));
    list->items[list->count++] = text;
}

static bool set_value(const FlagSpec *flag, Str text, Arena *arena, void *object, Error *err)
{
    void *out = member(flag, object);
    Error why = {0};
    switch (flag->kind) {
    case FLAG_BOOL:
        if (!str_is(text, "true") && !str_is(text, "false"))
            return fail_value(flag, text, "must be true or false", err);
        *(bool *)out = str_is(text, "true");
        return true;
    case FLAG_STR:
        *(Str *)out = arena_str(arena, text);
        return true;
    case FLAG_STR_LIST:
        add_item(out, arena_str(arena, text), arena);
        return true;
    case FLAG_I64:
        if (!number_parse_i64(text, out))
            return fail_value(flag, text, "must be an integer", err);
        return in_limits(flag, *(int64_t *)out) ? true
                                                : fail_value(flag, text, "out of range", err);
    case FLAG_DOUBLE:
        return number_parse_double(text, out) ? true
                                              : fail_value(flag, text, "must be a number", err);
    case FLAG_DURATION:
        if (!duration_parse(text, out, &why))
            return fail_value(flag, text, why.text, err);
        return in_limits(flag, *(int64_t *)out) ? true
                                                : fail_value(flag, text, "out of range", err);
    case FLAG_GO_DURATION:
        if (!duration_parse(text, out, &why) && !go_duration_parse(text, out, &why))
            return fail_value(flag, text, why.text, err);
        return in_limits(flag, *(int64_t *)out) ? true
                                                : fail_value(flag, text, "out of range", err);
    case FLAG_SIZE:
        return config_size_parse(text, out, &why) ? true : fail_value(flag, text, why.text, err);
    case FLAG_ENUM:
        return set_enum(flag, text, out, err);
    }
    return false;
}

static const FlagSpec *find_flag(const FlagTable *table, Str name, bool *ret_negated)
{
    *ret_negated = false;
    for (size_t i = 0; i < table->count; i++)
        if (str_is(name, table->flags[i].name))
            return &table->flags[i];
    if (!str_starts_with(name, S("no-")))
        return NULL;
    *ret_negated = true;
    for (size_t i = 0; i < table->count; i++)
        if (table->flags[i].kind == FLAG_BOOL && str_is(str_skip(name, 3), table->flags[i].name))
            return &table->flags[i];
    return NULL;
}

static bool fail_unknown(const FlagTable *table, Str name, Error *err)
{
    const char *nearest = NULL;
    size_t best = MAX((size_t)2, name.len / 3);
    for (size_t i = 0; i < table->count; i++) {
        size_t distance = str_distance(name, str_from_c(table->flags[i].name));
        if (!table->flags[i].hidden && distance <= best) {
            best = distance;
            nearest = table->flags[i].name;
        }
    }
    if (nearest)
        return error_set(err, ERR_INVALID,
                         "unknown long flag '--" STR_FMT "', did you mean '--%s'? Try --help",
                         STR_ARG(str_sub(name, 0, 100)), nearest);
    return error_set(err, ERR_INVALID, "unknown long flag '--" STR_FMT "', try --help",
                     STR_ARG(str_sub(name, 0, 100)));
}

// The arguments with @file replaced by the file's lines.
static bool expand_arguments(int argc, char **argv, Arena *arena, FlagStrList *ret_args, Error *err)
{
    FlagStrList args = {0};
    for (int i = 0; i < argc; i++) {
        Str arg = str_from_c(argv[i]);
        if (arg.len < 2 || arg.ptr[0] != '@') {
            add_item(&args, arg, arena);
            continue;
        }
        Str text;
        if (!fs_read_file(&fs_system, str_skip(arg, 1), arena, ARGUMENT_FILE_BYTES_MAX, &text, err))
            return error_context(err, "arguments from a file");
        Str line;
        while (str_split_next(&text, '\n', &line))
            if (str_trim(line).len && args.count < ARGUMENTS_MAX)
                add_item(&args, str_trim(line), arena);
    }
    *ret_args = args;
    return true;
}

static bool set_defaults(const FlagTable *table, Arena *arena, void *object, Error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const FlagSpec *flag = &table->flags[i];
        if (flag->default_text &&
            !set_value(flag, str_from_c(flag->default_text), arena, object, err))
            return false;
    }
    return true;
}

// One argument that begins with "--". *at is moved behind a value that stands in the next argument.
static bool parse_long(const FlagTable *table, const FlagStrList *args, size_t *at, Arena *arena,
                       void *object, FlagResult *result, Error *err)
{
    Str body = str_skip(args->items[*at], 2);
    size_t equals = str_find_char(body, '=');
    Str name = str_sub(body, 0, equals == STR_NOT_FOUND ? body.len : equals);
    bool negated;
    const FlagSpec *flag = find_flag(table, name, &negated);
    if (!flag)
        return fail_unknown(table, name, err);
    size_t index = (size_t)(flag - table->flags);
    // The first value given replaces the default of a list.
    if (flag->kind == FLAG_STR_LIST && !result->given[index])
        *(FlagStrList *)member(flag, object) = (FlagStrList){0};
    result->given[index] = true;

    if (flag->kind == FLAG_BOOL && (equals == STR_NOT_FOUND || negated)) {
        if (equals != STR_NOT_FOUND)
            return error_set(err, ERR_INVALID, "flag --" STR_FMT " takes no value", STR_ARG(name));
        *(bool *)member(flag, object) = !negated;
        return true;
    }
    if (equals != STR_NOT_FOUND)
        return set_value(flag, str_skip(body, equals + 1), arena, object, err);
    if (*at + 1 >= args->count)
        return error_set(err, ERR_INVALID, "expected argument for flag '--" STR_FMT "'",
                         STR_ARG(name));
    return set_value(flag, args->items[++*at], arena, object, err);
}

static const FlagSpec *find_short(const FlagTable *table, char c)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->flags[i].short_name == c)
            return &table->flags[i];
    return NULL;
}

static bool fail_unknown_short(Str arg, Error *err)
{
    return error_set(err, ERR_INVALID, "unknown short flag '" STR_FMT "', try --help",
                     STR_ARG(str_sub(arg, 0, 2)));
}

// -x, -x value, -xvalue.
static bool parse_short(const FlagTable *table, const FlagStrList *args, size_t *at, Arena *arena,
                        void *object, FlagResult *result, Error *err)
{
    Str arg = args->items[*at];
    const FlagSpec *flag = find_short(table, arg.ptr[1]);
    if (!flag)
        return fail_unknown_short(arg, err);
    result->given[flag - table->flags] = true;
    if (flag->kind == FLAG_BOOL) {
        *(bool *)member(flag, object) = true;
        return true;
    }
    if (arg.len > 2)
        return set_value(flag, str_skip(arg, arg.ptr[2] == '=' ? 3 : 2), arena, object, err);
    if (*at + 1 >= args->count)
        return error_set(err, ERR_INVALID, "expected argument for flag '" STR_FMT "'",
                         STR_ARG(arg));
    return set_value(flag, args->items[++*at], arena, object, err);
}

bool flags_parse(const FlagTable *table, int argc, char **argv, Arena *arena, void *object,
                 FlagResult *ret_result, Error *err)
{
    FlagResult result = {.given = arena_zalloc(arena, table->count * sizeof(bool))};
    FlagStrList args = {0};
    FlagStrList rest = {0};
    if (!set_defaults(table, arena, object, err) ||
        !expand_arguments(argc, argv, arena, &args, err))
        return false;
    for (size_t i = 0; i < args.count && !result.help && !result.version; i++) {
        Str arg = args.items[i];
        bool ok = true;
        if (str_is(arg, "--help") || str_is(arg, "-h") || str_is(arg, "--help-long") ||
            str_is(arg, "--help-man"))
            result.help = true;
        else if (str_is(arg, "--version"))
            result.version = true;
        else if (str_is(arg, "--")) {
            while (++i < args.count)
                add_item(&rest, args.items[i], arena);
        } else if (str_starts_with(arg, S("--")))
            ok = parse_long(table, &args, &i, arena, object, &result, err);
        else if (arg.len > 1 && arg.ptr[0] == '-')
            ok = parse_short(table, &args, &i, arena, object, &result, err);
        else
            add_item(&rest, arg, arena);
        if (!ok)
            return false;
    }
    for (size_t i = 0; i < table->count && !result.help && !result.version; i++)
        if (table->flags[i].required && !result.given[i])
            return error_set(err, ERR_INVALID, "required flag --%s not provided, try --help",
                             table->flags[i].name);
    if (rest.count && !table->synopsis && !result.help && !result.version)
        return error_set(err, ERR_INVALID, "unexpected argument \"" STR_FMT "\", try --help",
                         STR_ARG(str_sub(rest.items[0], 0, 100)));
    result.rest = rest.items;
    result.rest_count = rest.count;
    *ret_result = result;
    return true;
}

bool flags_takes_next(const FlagTable *table, Str arg, bool *ret_takes, Error *err)
{
    static const char *const bare[] = {"-h", "--help", "--help-long", "--help-man", "--version"};
    const FlagSpec *flag;
    *ret_takes = false;
    for (size_t i = 0; i < COUNT_OF(bare); i++)
        if (str_is(arg, bare[i]))
            return true;
    if (str_starts_with(arg, S("--"))) {
        size_t equals = str_find_char(arg, '=');
        Str name = str_sub(arg, 2, equals == STR_NOT_FOUND ? arg.len : equals - 2);
        bool negated;
        flag = find_flag(table, name, &negated);
        if (!flag)
            return fail_unknown(table, name, err);
        *ret_takes = flag->kind != FLAG_BOOL && equals == STR_NOT_FOUND;
        return true;
    }
    flag = find_short(table, arg.ptr[1]);
    if (!flag)
        return fail_unknown_short(arg, err);
    *ret_takes = flag->kind != FLAG_BOOL && arg.len == 2;
    return true;
}

void flag_print(const FlagSpec *flag, const void *object, Buf *out)
{
    const void *value = (const char *)object + flag->offset;
    const FlagStrList *list;
    switch (flag->kind) {
    case FLAG_BOOL:
        buf_add_c(out, *(const bool *)value ? "true" : "false");
        break;
    case FLAG_STR:
        buf_add_str(out, *(const Str *)value);
        break;
    case FLAG_STR_LIST:
        list = value;
        for (size_t i = 0; i < list->count; i++) {
            buf_add_c(out, i ? "," : "");
            buf_add_str(out, list->items[i]);
        }
        break;
    case FLAG_I64:
        buf_add_i64(out, *(const int64_t *)value);
        break;
    case FLAG_DOUBLE:
        buf_add_double_g(out, *(const double *)value);
        break;
    case FLAG_DURATION:
    case FLAG_GO_DURATION:
        buf_add_duration(out, *(const int64_t *)value);
        break;
    case FLAG_SIZE:
        config_size_print(out, *(const uint64_t *)value);
        break;
    case FLAG_ENUM:
        buf_add_c(out, flag->words[*(const int *)value]);
        break;
    }
}

// Wraps `text` behind an indentation.
static void add_wrapped(Buf *out, Str text, size_t indent)
{
    size_t column = HELP_COLUMNS;
    Str word;
    while (str_split_next(&text, ' ', &word)) {
        if (column + 1 + word.len > HELP_COLUMNS) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add_str(out, word);
        column += word.len;
    }
    buf_add_char(out, '\n');
}

void flags_help(const FlagTable *table, Buf *out)
{
    buf_printf(out, "usage: %s [<flags>]%s%s\n\n%s\n\nFlags:\n", table->program,
               table->synopsis ? " " : "", table->synopsis ? table->synopsis : "", table->summary);
    buf_add_c(out,
              "  -h, --help\n      Show this help.\n      --version\n      Show the version.\n");
    for (size_t i = 0; i < table->count; i++) {
        const FlagSpec *flag = &table->flags[i];
        if (flag->hidden)
            continue;
        if (flag->short_name)
            buf_printf(out, "  -%c, ", flag->short_name);
        else
            buf_add_c(out, "      ");
        buf_printf(out, "--%s%s", flag->kind == FLAG_BOOL ? "[no-]" : "", flag->name);
        if (flag->kind != FLAG_BOOL)
            buf_printf(out, "=%s",
                       flag->default_text && *flag->default_text ? flag->default_text : "...");
        if (flag->kind == FLAG_STR_LIST)
            buf_add_c(out, " ...");
        add_wrapped(out, str_from_c(flag->help), 10);
    }
}
