// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "config/config_internal.h"

#define I64_IN_DOUBLE_MAX 9223372036854775808.0 // not in it itself
#define SUGGESTION_DISTANCE_MAX 3 // edits between an unknown key and the one it may have meant

struct ConfigRelease {
    void (*release)(void *);
    void *object;
    struct ConfigRelease *next;
};

bool config_error(const ConfigReader *reader, const YamlNode *node, Error *err, const char *fmt,
                  ...)
{
    char text[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!node)
        return error_set(err, ERR_INVALID, STR_FMT ": %s", STR_ARG(reader->file_name), text);
    return error_set(err, ERR_INVALID, STR_FMT ":%d:%d: %s", STR_ARG(reader->file_name), node->line,
                     node->column, text);
}

void config_on_release(ConfigReader *reader, void (*release)(void *), void *object)
{
    struct ConfigRelease *row = ARENA_NEW(reader->arena, struct ConfigRelease);
    *row = (struct ConfigRelease){release, object, reader->releases};
    reader->releases = row;
}

void config_release(ConfigReader *reader)
{
    for (struct ConfigRelease *row = reader->releases; row; row = row->next)
        row->release(row->object);
    reader->releases = NULL;
}

static const char *kind_wanted(ConfigKind kind)
{
    switch (kind) {
    case CONFIG_BOOL:
        return "a boolean";
    case CONFIG_I64:
        return "an integer";
    case CONFIG_U64:
        return "a non-negative integer";
    case CONFIG_DOUBLE:
        return "a number";
    case CONFIG_DURATION:
        return "a duration such as 30s or 1h30m";
    case CONFIG_SIZE:
        return "a size with a unit such as 512MB";
    case CONFIG_STR_LIST:
    case CONFIG_STRUCT_LIST:
        return "a list";
    case CONFIG_STR_MAP:
    case CONFIG_STR_LIST_MAP:
    case CONFIG_STRUCT:
    case CONFIG_STRUCT_PTR:
    case CONFIG_INLINE:
        return "a mapping";
    default:
        return "a string";
    }
}

static bool wrong_kind(const ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                       Error *err)
{
    static const char *const got[] = {"nothing", "a scalar", "a list", "a mapping"};
    // What stands where a list or a mapping belongs may be a secret.
    bool wants_scalar = field->kind <= CONFIG_URL;
    if (node->kind == YAML_SCALAR && wants_scalar)
        return config_error(reader, node, err, "%s: expected %s, got \"" STR_FMT "\"", field->key,
                            kind_wanted(field->kind), STR_ARG(node->scalar));
    return config_error(reader, node, err, "%s: expected %s, got %s", field->key,
                        kind_wanted(field->kind), got[node->kind]);
}

static bool check_range(const ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                        int64_t value, Error *err)
{
    if ((field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max))
        return true;
    return config_error(reader, node, err, "%s: " STR_FMT " is not between %lld and %lld",
                        field->key, STR_ARG(node->scalar), (long long)field->min,
                        (long long)field->max);
}

static bool decode_integer(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                           void *member, Error *err)
{
    int64_t value;
    uint64_t large;
    double fraction;
    if (!yaml_i64(node, &value)) {
        bool is_large = field->kind == CONFIG_U64 && !node->quoted;
        if (is_large && number_parse_u64(node->scalar, &large)) {
            *(uint64_t *)member = large;
            return true;
        }
        // 1e6 is an integer, too; a fraction is cut off, as yaml.v2 does.
        if (!yaml_double(node, &fraction) || !(fraction > -I64_IN_DOUBLE_MAX) ||
            !(fraction < I64_IN_DOUBLE_MAX))
            return wrong_kind(reader, field, node, err);
        value = (int64_t)fraction;
    }
    if (field->kind == CONFIG_U64 && value < 0)
        return wrong_kind(reader, field, node, err);
    if (!check_range(reader, field, node, value, err))
        return false;
    *(int64_t *)member = value;
    return true;
}

// The field's own sentence about a word that it does not know.
static bool unknown_word(const ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                         Error *err)
{
    Str text = str_from_c(field->unknown_text);
    size_t at = str_find_char(text, '%');
    ASSERT(at != STR_NOT_FOUND);
    return config_error(reader, node, err, STR_FMT STR_FMT STR_FMT, STR_ARG(str_sub(text, 0, at)),
                        STR_ARG(str_sub(node->scalar, 0, 100)), STR_ARG(str_skip(text, at + 1)));
}

static bool decode_enum(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                        void *member, Error *err)
{
    CLEANUP(buf_deinit) Buf known = {0};
    for (int i = 0; field->words[i]; i++) {
        if (node->kind == YAML_SCALAR && str_is(node->scalar, field->words[i])) {
            *(int *)member = i;
            return true;
        }
        if (*field->words[i])
            buf_printf(&known, "%s%s", known.len ? ", " : "", field->words[i]);
    }
    if (field->unknown_text)
        return unknown_word(reader, field, node, err);
    return config_error(reader, node, err,
                        "%s: unknown value \"" STR_FMT "\", expected one of: " STR_FMT, field->key,
                        STR_ARG(node->scalar), STR_ARG(buf_str(&known)));
}

static bool decode_url(const ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                       void *member, Error *err)
{
    Error why = {0};
    *(Str *)member = node->scalar;
    if (config_url_check(node->scalar, &why))
        return true;
    // What is broken may be the place where a password ends.
    if (str_find_char(node->scalar, '@') != STR_NOT_FOUND)
        return config_error(reader, node, err, "%s: not a valid URL", field->key);
    return config_error(reader, node, err, "%s: parse \"" STR_FMT "\": %s", field->key,
                        STR_ARG(str_sub(node->scalar, 0, 200)), why.text);
}

static Str join_path(const ConfigReader *reader, Str path)
{
    if (path.len == 0 || path.ptr[0] == '/' || reader->folder.len == 0 ||
        str_is(reader->folder, "."))
        return path;
    return arena_printf(reader->arena, STR_FMT "/" STR_FMT, STR_ARG(reader->folder), STR_ARG(path));
}

// One that is not empty; its text is in *err without a place.
static bool decode_parsed(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                          void *member, Error *err)
{
    Error why = {0};
    uint64_t bytes = 0;
    int64_t ms = 0;
    bool ok = field->kind == CONFIG_SIZE ? config_size_parse(node->scalar, &bytes, &why)
                                         : duration_parse(node->scalar, &ms, &why);
    if (!ok)
        return config_error(reader, node, err, "%s: %s", field->key, why.text);
    if (!check_range(reader, field, node, field->kind == CONFIG_SIZE ? (int64_t)bytes : ms, err))
        return false;
    if (field->kind == CONFIG_SIZE)
        *(uint64_t *)member = bytes;
    else
        *(int64_t *)member = ms;
    return true;
}

static bool decode_scalar(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                          void *member, Error *err)
{
    if (node->kind != YAML_SCALAR)
        return wrong_kind(reader, field, node, err);
    switch (field->kind) {
    case CONFIG_BOOL:
        return yaml_bool(node, member) || wrong_kind(reader, field, node, err);
    case CONFIG_I64:
    case CONFIG_U64:
        return decode_integer(reader, field, node, member, err);
    case CONFIG_DOUBLE:
        return yaml_double(node, member) || wrong_kind(reader, field, node, err);
    case CONFIG_STR:
    case CONFIG_SECRET:
        *(Str *)member = node->scalar;
        return true;
    case CONFIG_URL:
        return decode_url(reader, field, node, member, err);
    case CONFIG_PATH:
        *(Str *)member = join_path(reader, node->scalar);
        return true;
    case CONFIG_ENUM:
        return decode_enum(reader, field, node, member, err);
    default:
        return decode_parsed(reader, field, node, member, err);
    }
}

size_t config_scalar_bytes(ConfigKind kind)
{
    switch (kind) {
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_ENUM:
        return sizeof(int);
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_URL:
        return sizeof(Str);
    case CONFIG_STR_LIST:
        return sizeof(ConfigStrList);
    case CONFIG_STR_MAP:
        return sizeof(ConfigStrMap);
    case CONFIG_STR_LIST_MAP:
        return sizeof(ConfigStrListMap);
    case CONFIG_STRUCT_LIST:
        return sizeof(ConfigList);
    case CONFIG_STRUCT_PTR:
        return sizeof(void *);
    default:
        return sizeof(int64_t);
    }
}

static bool decode_str_list(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                            ConfigStrList *list, Error *err)
{
    if (node->kind != YAML_SEQUENCE)
        return wrong_kind(reader, field, node, err);
    Str *items = ARENA_ARRAY(reader->arena, Str, node->count);
    for (size_t i = 0; i < node->count; i++) {
        if (node->items[i]->kind == YAML_NULL)
            return config_error(reader, node->items[i], err, "%s: empty or null item in list",
                                field->key);
        if (node->items[i]->kind != YAML_SCALAR)
            return config_error(reader, node->items[i], err, "%s: items must be strings",
                                field->key);
        items[i] = node->items[i]->scalar;
    }
    *list = (ConfigStrList){items, node->count};
    return true;
}

static bool decode_str_map(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                           ConfigStrMap *map, Error *err)
{
    if (node->kind != YAML_MAPPING)
        return wrong_kind(reader, field, node, err);
    Str *keys = ARENA_ARRAY(reader->arena, Str, node->count);
    Str *values = ARENA_ARRAY(reader->arena, Str, node->count);
    for (size_t i = 0; i < node->count; i++) {
        const YamlNode *value = node->items[i];
        if (value->kind != YAML_SCALAR && value->kind != YAML_NULL)
            return config_error(reader, value, err, "%s: value of \"" STR_FMT "\" must be a string",
                                field->key, STR_ARG(node->keys[i]->scalar));
        keys[i] = node->keys[i]->scalar;
        values[i] = value->kind == YAML_NULL ? STR_NONE : value->scalar;
    }
    *map = (ConfigStrMap){keys, values, node->count};
    return true;
}

static bool decode_str_list_map(ConfigReader *reader, const ConfigField *field,
                                const YamlNode *node, ConfigStrListMap *map, Error *err)
{
    if (node->kind != YAML_MAPPING)
        return wrong_kind(reader, field, node, err);
    Str *keys = ARENA_ARRAY(reader->arena, Str, node->count);
    ConfigStrList *values = ARENA_ARRAY(reader->arena, ConfigStrList, node->count);
    for (size_t i = 0; i < node->count; i++) {
        keys[i] = node->keys[i]->scalar;
        values[i] = (ConfigStrList){0};
        if (node->items[i]->kind == YAML_NULL)
            continue;
        if (node->items[i]->kind != YAML_SEQUENCE)
            return config_error(reader, node->items[i], err,
                                "%s: value of \"" STR_FMT "\" must be a list of strings",
                                field->key, STR_ARG(keys[i]));
        if (!decode_str_list(reader, field, node->items[i], &values[i], err))
            return false;
    }
    *map = (ConfigStrListMap){keys, values, node->count};
    return true;
}

static bool decode_struct_list(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                               ConfigList *list, Error *err)
{
    if (node->kind != YAML_SEQUENCE)
        return wrong_kind(reader, field, node, err);
    char *items = arena_array_alloc(reader->arena, node->count, field->table->bytes);
    for (size_t i = 0; i < node->count; i++) {
        if (node->items[i]->kind == YAML_NULL && field->null_text)
            return config_error(reader, node->items[i], err, "%s", field->null_text);
        if (node->items[i]->kind == YAML_NULL)
            return config_error(reader, node->items[i], err, "%s: empty or null %s in list",
                                field->key, field->table->name);
        if (!config_decode(reader, field->table, node->items[i], items + i * field->table->bytes,
                           err))
            return false;
    }
    *list = (ConfigList){items, node->count};
    return true;
}

// A key without a value: a struct keeps its defaults, the rest becomes empty, as yaml.v2 does.
static bool decode_null(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                        void *member, Error *err)
{
    switch (field->kind) {
    case CONFIG_STRUCT:
    case CONFIG_INLINE:
        return config_decode(reader, field->table, node, member, err);
    case CONFIG_CUSTOM:
        return field->decode(reader, node, member, err);
    default:
        memset(member, 0, config_scalar_bytes(field->kind));
        return true;
    }
}

static bool decode_struct_ptr(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                              void **member, Error *err)
{
    void *object = arena_zalloc(reader->arena, field->table->bytes);
    if (!config_decode(reader, field->table, node, object, err))
        return false;
    *member = object;
    return true;
}

static bool decode_field(ConfigReader *reader, const ConfigField *field, const YamlNode *node,
                         void *object, Error *err)
{
    void *member = config_member(object, field);
    if (field->present_offset)
        *(bool *)((char *)object + field->present_offset) = true;
    if (node->kind == YAML_NULL)
        return decode_null(reader, field, node, member, err);
    switch (field->kind) {
    case CONFIG_STR_LIST:
        return decode_str_list(reader, field, node, member, err);
    case CONFIG_STR_MAP:
        return decode_str_map(reader, field, node, member, err);
    case CONFIG_STR_LIST_MAP:
        return decode_str_list_map(reader, field, node, member, err);
    case CONFIG_STRUCT:
        return config_decode(reader, field->table, node, member, err);
    case CONFIG_STRUCT_PTR:
        return decode_struct_ptr(reader, field, node, member, err);
    case CONFIG_STRUCT_LIST:
        return decode_struct_list(reader, field, node, member, err);
    case CONFIG_CUSTOM:
        return field->decode(reader, node, member, err);
    default:
        return decode_scalar(reader, field, node, member, err);
    }
}

// The field of this key, also in inline tables; *object moves to the struct that has it.
static const ConfigField *find_field(const ConfigTable *table, Str key, void **object)
{
    for (size_t i = 0; i < table->count; i++) {
        const ConfigField *field = &table->fields[i];
        if (field->kind == CONFIG_INLINE) {
            void *inner = config_member(*object, field);
            const ConfigField *found = find_field(field->table, key, &inner);
            if (found) {
                *object = inner;
                return found;
            }
        } else if (str_is(key, field->key)) {
            return field;
        }
    }
    return NULL;
}

static void find_nearest(const ConfigTable *table, Str key, const char **best,
                         size_t *best_distance)
{
    for (size_t i = 0; i < table->count; i++) {
        const ConfigField *field = &table->fields[i];
        if (field->kind == CONFIG_INLINE) {
            find_nearest(field->table, key, best, best_distance);
            continue;
        }
        size_t distance = str_distance(key, str_from_c(field->key));
        if (distance < *best_distance) {
            *best_distance = distance;
            *best = field->key;
        }
    }
}

static bool unknown_key(const ConfigReader *reader, const ConfigTable *table, const YamlNode *key,
                        Error *err)
{
    const char *best = NULL;
    size_t distance = SUGGESTION_DISTANCE_MAX + 1;
    find_nearest(table, key->scalar, &best, &distance);
    // A key of three letters is not three edits away from anything meant.
    if (best && distance * 2 <= key->scalar.len)
        return config_error(reader, key, err, "field " STR_FMT " not found in %s, did you mean %s?",
                            STR_ARG(key->scalar), table->name, best);
    return config_error(reader, key, err, "field " STR_FMT " not found in %s", STR_ARG(key->scalar),
                        table->name);
}

static bool check_required(const ConfigReader *reader, const ConfigTable *table,
                           const YamlNode *node, Error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const ConfigField *field = &table->fields[i];
        if (field->kind == CONFIG_INLINE) {
            if (!check_required(reader, field->table, node, err))
                return false;
            continue;
        }
        const YamlNode *value = field->required ? yaml_get(node, str_from_c(field->key)) : NULL;
        bool missing = field->required && (!value || value->kind == YAML_NULL ||
                                           (value->kind == YAML_SCALAR && value->scalar.len == 0));
        if (missing)
            return config_error(reader, node, err, "%s is missing in %s", field->key, table->name);
    }
    return true;
}

// Inner structs of this level first: their finish may be relied on by the outer one's.
static bool finish_inline(ConfigReader *reader, const ConfigTable *table, const YamlNode *node,
                          void *object, Error *err)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->fields[i].kind == CONFIG_INLINE &&
            !finish_inline(reader, table->fields[i].table, node,
                           config_member(object, &table->fields[i]), err))
            return false;
    return !table->finish || table->finish(reader, node, object, err);
}

bool config_yaml(Str text, Str path, Arena *arena, YamlNode **ret_root, Error *err)
{
    int second_line;
    if (!yaml_parse_first(text, path, arena, ret_root, &second_line, err))
        return false;
    if (second_line)
        log_warn("only the first document of the file is read", KV("file", path),
                 KV("line", second_line));
    return true;
}

bool config_decode(ConfigReader *reader, const ConfigTable *table, const YamlNode *node,
                   void *object, Error *err)
{
    memset(object, 0, table->bytes);
    config_defaults(reader->arena, table, object);
    if (node->kind != YAML_MAPPING && node->kind != YAML_NULL)
        return config_error(reader, node, err, "%s: expected a mapping", table->name);
    for (size_t i = 0; i < node->count; i++) {
        void *owner = object;
        const ConfigField *field = find_field(table, node->keys[i]->scalar, &owner);
        if (!field && reader->ignores_unknown)
            continue;
        if (!field)
            return unknown_key(reader, table, node->keys[i], err);
        reader->key = node->keys[i]->scalar;
        if (!decode_field(reader, field, node->items[i], owner, err))
            return false;
    }
    return check_required(reader, table, node, err) &&
           finish_inline(reader, table, node, object, err);
}

static void default_of(Arena *arena, const ConfigField *field, void *object)
{
    if (field->kind == CONFIG_STRUCT || field->kind == CONFIG_INLINE) {
        config_defaults(arena, field->table, config_member(object, field));
        return;
    }
    if (!field->default_text)
        return;
    YamlNode node = {.kind = YAML_SCALAR, .scalar = str_from_c(field->default_text)};
    ConfigReader reader = {.arena = arena, .file_name = str_from_c("default")};
    Error err = {0};
    bool ok = field->kind == CONFIG_CUSTOM
                  ? field->decode(&reader, &node, config_member(object, field), &err)
                  : decode_scalar(&reader, field, &node, config_member(object, field), &err);
    ASSERT(ok); // our table is wrong
}

void config_defaults(Arena *arena, const ConfigTable *table, void *object)
{
    for (size_t i = 0; i < table->count; i++)
        default_of(arena, &table->fields[i], object);
}
