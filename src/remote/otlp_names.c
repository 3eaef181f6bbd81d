// SPDX-License-Identifier: Apache-2.0
// Names of OpenTelemetry as names of Prometheus: prometheus.md section 7.5, "Names" and "Labels".
#include "remote/otlp_internal.h"

#define TOKENS_MAX 512

typedef struct UnitRow {
    const char *otel, *name;
} UnitRow;

static const UnitRow units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};

static const UnitRow per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static Str unit_of(const UnitRow *rows, size_t count, Str unit)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(unit, rows[i].otel))
            return str_from_c(rows[i].name);
    return unit;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool has_braces(Str s)
{
    return str_find_char(s, '{') != STR_NOT_FOUND || str_find_char(s, '}') != STR_NOT_FOUND;
}

// "By/s": main "bytes", per "second". Annotations in braces are no units.
static void split_unit(Str unit, Str *ret_main, Str *ret_per)
{
    unit = unit.len ? unit : S("");
    size_t slash = str_find_char(unit, '/');
    Str main = str_trim(str_sub(unit, 0, slash));
    Str per = slash == STR_NOT_FOUND ? STR_NONE : str_trim(str_skip(unit, slash + 1));
    *ret_main = has_braces(main) ? STR_NONE : unit_of(units, COUNT_OF(units), main);
    *ret_per = has_braces(per) ? STR_NONE : unit_of(per_units, COUNT_OF(per_units), per);
}

// Other bytes become single underscores; none in front.
static Str clean_unit(Str unit, Arena *arena)
{
    char *out = arena_alloc(arena, unit.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < unit.len; i++) {
        char c = is_letter_or_digit(unit.ptr[i]) || unit.ptr[i] == ':' ? unit.ptr[i] : '_';
        if (c == '_' && (len == 0 || out[len - 1] == '_'))
            continue;
        out[len++] = c;
    }
    return (Str){out, len};
}

Str otlp_unit_name(Str unit, bool escapes, Arena *arena)
{
    Str main;
    Str per;
    split_unit(unit, &main, &per);
    if (per.len)
        per = arena_printf(arena, "per_" STR_FMT, STR_ARG(per));
    if (escapes) {
        main = clean_unit(main, arena);
        per = clean_unit(per, arena);
    }
    Str name = arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(main),
                            main.len && per.len ? "_" : "", STR_ARG(per));
    if (str_starts_with(name, S("_")))
        name = str_skip(name, 1);
    if (str_ends_with(name, S("_")))
        name.len--;
    return name;
}

typedef struct Tokens {
    Str items[TOKENS_MAX];
    size_t count;
} Tokens;

static void push(Tokens *tokens, Str token)
{
    if (token.len && tokens->count < TOKENS_MAX)
        tokens->items[tokens->count++] = token;
}

static bool has_token(const Tokens *tokens, Str token)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (str_equal(tokens->items[i], token))
            return true;
    return false;
}

static void move_to_end(Tokens *tokens, Str token)
{
    size_t kept = 0;
    for (size_t i = 0; i < tokens->count; i++)
        if (!str_equal(tokens->items[i], token))
            tokens->items[kept++] = tokens->items[i];
    tokens->count = kept;
    push(tokens, token);
}

// Words between bytes that may not stand in a name. With `underscores` an underscore is such a byte too.
static void split_name(Tokens *tokens, Str name, bool underscores)
{
    size_t begin = 0;
    for (size_t i = 0; i <= name.len; i++) {
        bool inside = i < name.len && (is_letter_or_digit(name.ptr[i]) || name.ptr[i] == ':' ||
                                       (name.ptr[i] == '_' && !underscores));
        if (inside)
            continue;
        push(tokens, str_sub(name, begin, i - begin));
        begin = i + 1;
    }
}

static Str join_tokens(const Tokens *tokens, Arena *arena)
{
    size_t bytes = 1;
    for (size_t i = 0; i < tokens->count; i++)
        bytes += tokens->items[i].len + 1;
    char *out = arena_alloc(arena, bytes);
    size_t len = 0;
    if (tokens->count && tokens->items[0].ptr[0] >= '0' && tokens->items[0].ptr[0] <= '9')
        out[len++] = '_';
    for (size_t i = 0; i < tokens->count; i++) {
        if (i)
            out[len++] = '_';
        memcpy(out + len, tokens->items[i].ptr, tokens->items[i].len);
        len += tokens->items[i].len;
    }
    return (Str){out, len};
}

static Str escaped_with_suffixes(Str name, Str unit, OtlpNameKind kind, Arena *arena)
{
    Tokens tokens = {.count = 0};
    Str main;
    Str per;
    split_name(&tokens, name, true);
    split_unit(unit, &main, &per);
    main = clean_unit(main, arena);
    per = clean_unit(per, arena);
    if (has_token(&tokens, main))
        main = STR_NONE;
    if (has_token(&tokens, per))
        per = STR_NONE;
    if (per.len && main.len && main.ptr[main.len - 1] == '_')
        main.len--;
    push(&tokens, main);
    if (per.len) {
        push(&tokens, S("per"));
        push(&tokens, per);
    }
    if (kind == OTLP_NAME_COUNTER)
        move_to_end(&tokens, S("total"));
    if (kind == OTLP_NAME_GAUGE && str_is(unit, "1"))
        move_to_end(&tokens, S("ratio"));
    return join_tokens(&tokens, arena);
}

static Str without_end(Str name, Str suffix)
{
    if (suffix.len == 0 || !str_ends_with(name, suffix))
        return name;
    name.len -= suffix.len;
    while (name.len && name.ptr[name.len - 1] == '_')
        name.len--;
    return name;
}

static Str plain_with_suffixes(Str name, Str unit, OtlpNameKind kind, Arena *arena)
{
    Str main;
    Str per;
    bool ratio = kind == OTLP_NAME_GAUGE && str_is(unit, "1");
    split_unit(unit, &main, &per);
    if (kind == OTLP_NAME_COUNTER)
        name = without_end(name, S("total"));
    if (ratio)
        name = without_end(name, S("ratio"));
    Str per_suffix = per.len ? arena_printf(arena, "per_" STR_FMT, STR_ARG(per)) : STR_NONE;
    name = without_end(name, per_suffix);
    bool adds_main = main.len && !str_ends_with(name, main);
    return arena_printf(arena, STR_FMT "%s" STR_FMT "%s" STR_FMT "%s%s", STR_ARG(name),
                        adds_main ? "_" : "", STR_ARG(adds_main ? main : STR_NONE),
                        per.len ? "_" : "", STR_ARG(per_suffix),
                        kind == OTLP_NAME_COUNTER ? "_total" : "", ratio ? "_ratio" : "");
}

Str otlp_metric_name(const OtlpRules *rules, Str name, Str unit, OtlpNameKind kind, Arena *arena)
{
    if (rules->escapes && rules->suffixes)
        return escaped_with_suffixes(name, unit, kind, arena);
    if (rules->suffixes)
        return plain_with_suffixes(name, unit, kind, arena);
    if (!rules->escapes)
        return name;
    Tokens tokens = {.count = 0};
    split_name(&tokens, name, false);
    return join_tokens(&tokens, arena);
}

Str otlp_label_name(const OtlpRules *rules, Str name, Arena *arena)
{
    const OtlpConfig *config = &rules->config;
    if (!rules->escapes || name.len == 0)
        return name;
    char *out = arena_alloc(arena, name.len + 4);
    size_t len = 0;
    bool reserved = name.len > 4 && str_starts_with(name, S("__")) && str_ends_with(name, S("__"));
    bool digit = name.ptr[0] >= '0' && name.ptr[0] <= '9';
    bool underscore = config->label_name_underscore_sanitization &&
                      !is_letter_or_digit(name.ptr[0]) &&
                      !(name.len > 1 && !is_letter_or_digit(name.ptr[1]));
    if (digit || underscore) {
        memcpy(out, "key_", 4);
        len = digit ? 4 : 3; // the underscore is there already
    }
    size_t begin = len;
    uint32_t rune;
    for (size_t i = 0; i < name.len; i += MAX(str_rune(str_skip(name, i), &rune), (size_t)1)) {
        char c = is_letter_or_digit(name.ptr[i]) ? name.ptr[i] : '_';
        if (c == '_' && !reserved && !config->label_name_preserve_multiple_underscores &&
            len > begin && out[len - 1] == '_')
            continue;
        out[len++] = c;
    }
    return (Str){out, len};
}
