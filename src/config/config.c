// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/number.h"
#include "base/timefmt.h"

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

static void *member_of(void *object, const ConfigField *field)
{
    return (char *)object + field->offset;
}

static const void *member_of_const(const void *object, const ConfigField *field)
{
    return (const char *)object + field->offset;
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
    if (node->kind == YAML_SCALAR)
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
    if (!yaml_i64(node, &value)) {
        uint64_t large;
        if (field->kind != CONFIG_U64 || node->kind != YAML_SCALAR ||
            !number_parse_u64(node->scalar, &large))
            return wrong_kind(reader, field, node, err);
        *(uint64_t *)member = large;
        return true;
    }
    if (field->kind == CONFIG_U64 && value < 0)
        return wrong_kind(reader, field, node, err);
    if (!check_range(reader, field, node, value, err))
        return false;
    *(int64_t *)member = value;
    return true;
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
    return config_error(reader, node, err,
                        "%s: unknown value \"" STR_FMT "\", expected one of: " STR_FMT, field->key,
                        STR_ARG(node->scalar), STR_ARG(buf_str(&known)));
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
    case CONFIG_URL:
        *(Str *)member = node->scalar;
        return true;
    case CONFIG_PATH:
        *(Str *)member = join_path(reader, node->scalar);
        return true;
    case CONFIG_ENUM:
        return decode_enum(reader, field, node, member, err);
    default:
        return decode_parsed(reader, field, node, member, err);
    }
}

static size_t scalar_bytes(ConfigKind kind)
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
        memset(member, 0, scalar_bytes(field->kind));
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
    void *member = member_of(object, field);
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
            void *inner = member_of(*object, field);
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
                           member_of(object, &table->fields[i]), err))
            return false;
    return !table->finish || table->finish(reader, node, object, err);
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
        config_defaults(arena, field->table, member_of(object, field));
        return;
    }
    if (!field->default_text)
        return;
    YamlNode node = {.kind = YAML_SCALAR, .scalar = str_from_c(field->default_text)};
    ConfigReader reader = {.arena = arena, .file_name = str_from_c("default")};
    Error err = {0};
    bool ok = field->kind == CONFIG_CUSTOM
                  ? field->decode(&reader, &node, member_of(object, field), &err)
                  : decode_scalar(&reader, field, &node, member_of(object, field), &err);
    ASSERT(ok); // our table is wrong
}

void config_defaults(Arena *arena, const ConfigTable *table, void *object)
{
    for (size_t i = 0; i < table->count; i++)
        default_of(arena, &table->fields[i], object);
}

// Set while a fingerprint is taken.
static _Thread_local bool reveal_secrets;

void config_print_secret(Buf *buf, Str secret)
{
    if (reveal_secrets)
        yaml_write_scalar(buf, secret);
    else
        buf_add_c(buf, "<secret>");
}

void config_add_redacted_url(Buf *buf, Str url, const char *mask)
{
    size_t scheme = 0;
    while (scheme + 3 <= url.len && memcmp(url.ptr + scheme, "://", 3) != 0)
        scheme++;
    Str authority = str_skip(url, scheme + 3 <= url.len ? scheme + 3 : url.len);
    size_t end = 0;
    while (end < authority.len && !strchr("/?#", authority.ptr[end]))
        end++;
    authority = str_sub(authority, 0, end);
    size_t at = str_rfind_char(authority, '@');
    Str login = str_sub(authority, 0, at);
    size_t colon = str_find_char(login, ':');
    if (at == STR_NOT_FOUND || colon == STR_NOT_FOUND) {
        buf_add_str(buf, url);
        return;
    }
    const char *password = login.ptr + colon + 1;
    const char *behind = login.ptr + login.len;
    buf_add(buf, url.ptr, (size_t)(password - url.ptr));
    buf_add_c(buf, mask);
    buf_add(buf, behind, (size_t)(url.ptr + url.len - behind));
}

static void print_url(Buf *buf, Str url)
{
    CLEANUP(buf_deinit) Buf shown = {0};
    if (!reveal_secrets)
        config_add_redacted_url(&shown, url, "xxxxx");
    yaml_write_scalar(buf, reveal_secrets ? url : buf_str(&shown));
}

static void print_key(Buf *buf, int indent, const char *key)
{
    buf_printf(buf, "%*s", indent, "");
    buf_add_c(buf, key);
    buf_add_char(buf, ':');
}

static void print_bytes_of(Buf *buf, const ConfigField *field, const void *member)
{
    switch (field->kind) {
    case CONFIG_BOOL:
        buf_add_c(buf, *(const bool *)member ? "true" : "false");
        break;
    case CONFIG_I64:
        buf_add_i64(buf, *(const int64_t *)member);
        break;
    case CONFIG_U64:
        buf_add_u64(buf, *(const uint64_t *)member);
        break;
    case CONFIG_DOUBLE:
        buf_add_double_g(buf, *(const double *)member);
        break;
    case CONFIG_DURATION:
        buf_add_duration(buf, *(const int64_t *)member);
        break;
    case CONFIG_SIZE:
        config_size_print(buf, *(const uint64_t *)member);
        break;
    case CONFIG_ENUM:
        yaml_write_scalar(buf, str_from_c(field->words[*(const int *)member]));
        break;
    case CONFIG_SECRET:
        if (((const Str *)member)->len)
            config_print_secret(buf, *(const Str *)member);
        else
            buf_add_c(buf, "\"\"");
        break;
    case CONFIG_URL:
        print_url(buf, *(const Str *)member);
        break;
    default:
        yaml_write_scalar(buf, *(const Str *)member);
    }
}

static bool all_zero(const void *bytes, size_t count)
{
    const char *at = bytes;
    for (size_t i = 0; i < count; i++)
        if (at[i])
            return false;
    return true;
}

static bool is_empty(const ConfigField *field, const void *object);

static bool struct_is_empty(const ConfigTable *table, const void *object)
{
    for (size_t i = 0; i < table->count; i++)
        if (!is_empty(&table->fields[i], object))
            return false;
    return true;
}

// Go's "omitempty": nothing but zeros, at any depth.
static bool is_empty(const ConfigField *field, const void *object)
{
    const void *member = member_of_const(object, field);
    switch (field->kind) {
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_URL:
        return ((const Str *)member)->len == 0;
    case CONFIG_ENUM:
        return *field->words[*(const int *)member] == 0;
    case CONFIG_STR_LIST:
        return ((const ConfigStrList *)member)->count == 0;
    case CONFIG_STR_MAP:
        return ((const ConfigStrMap *)member)->count == 0;
    case CONFIG_STR_LIST_MAP:
        return ((const ConfigStrListMap *)member)->count == 0;
    case CONFIG_STRUCT_LIST:
        return ((const ConfigList *)member)->count == 0;
    case CONFIG_STRUCT:
    case CONFIG_INLINE:
        return struct_is_empty(field->table, member);
    case CONFIG_CUSTOM: {
        // A custom member shows by its own printing whether there is anything in it.
        CLEANUP(buf_deinit) Buf probe = {0};
        if (field->print)
            field->print(&probe, 0, field->key, member);
        return probe.len == 0;
    }
    default:
        return all_zero(member, scalar_bytes(field->kind));
    }
}

// True where the empty value says something: the default is another.
static bool default_is_not_empty(const ConfigField *field)
{
    if (!field->default_text)
        return false;
    if (field->kind == CONFIG_BOOL)
        return str_is(str_from_c(field->default_text), "true");
    return field->kind == CONFIG_STR || field->kind == CONFIG_PATH
               ? *field->default_text != 0
               : !str_is(str_from_c(field->default_text), "0");
}

static void print_str_list(Buf *buf, int indent, const ConfigField *field, ConfigStrList list)
{
    if (field->flow || list.count == 0) {
        buf_add_c(buf, " [");
        for (size_t i = 0; i < list.count; i++) {
            if (i)
                buf_add_c(buf, ", ");
            yaml_write_flow_scalar(buf, list.items[i]);
        }
        buf_add_c(buf, "]\n");
        return;
    }
    buf_add_char(buf, '\n');
    for (size_t i = 0; i < list.count; i++) {
        buf_printf(buf, "%*s- ", indent, "");
        yaml_write_scalar(buf, list.items[i]);
        buf_add_char(buf, '\n');
    }
}

static void print_indented_key(Buf *buf, int indent, Str key)
{
    buf_printf(buf, "%*s", indent, "");
    yaml_write_scalar(buf, key);
    buf_add_char(buf, ':');
}

static int index_order(const void *a, const void *b, void *keys)
{
    const Str *names = keys;
    return str_compare(names[*(const size_t *)a], names[*(const size_t *)b]);
}

// The order in which a mapping is printed: by key.
static size_t *sorted_order(Str *keys, size_t count)
{
    size_t *order = X_ARRAY(size_t, count + 1);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, index_order, keys);
    return order;
}

static void print_str_map(Buf *buf, int indent, ConfigStrMap map)
{
    if (map.count == 0) {
        buf_add_c(buf, " {}\n");
        return;
    }
    buf_add_char(buf, '\n');
    size_t *order = sorted_order(map.keys, map.count);
    for (size_t i = 0; i < map.count; i++) {
        print_indented_key(buf, indent + 2, map.keys[order[i]]);
        buf_add_char(buf, ' ');
        yaml_write_scalar(buf, map.values[order[i]]);
        buf_add_char(buf, '\n');
    }
    free(order);
}

static void print_str_list_map(Buf *buf, int indent, const ConfigField *field, ConfigStrListMap map)
{
    if (map.count == 0) {
        buf_add_c(buf, " {}\n");
        return;
    }
    buf_add_char(buf, '\n');
    size_t *order = sorted_order(map.keys, map.count);
    for (size_t i = 0; i < map.count; i++) {
        print_indented_key(buf, indent + 2, map.keys[order[i]]);
        print_str_list(buf, indent + 2, field, map.values[order[i]]);
    }
    free(order);
}

void config_print_item(Buf *buf, int indent, const ConfigTable *table, const void *object)
{
    size_t begin = buf->len;
    config_print(buf, indent + 2, table, object);
    if (buf->failed)
        return;
    if (buf->len == begin) {
        buf_printf(buf, "%*s- {}\n", indent, "");
        return;
    }
    memcpy(buf->ptr + begin + indent, "- ", 2);
}

static void print_struct(Buf *buf, int indent, const ConfigTable *table, const void *object)
{
    size_t begin = buf->len;
    buf_add_char(buf, '\n');
    config_print(buf, indent + 2, table, object);
    if (buf->len == begin + 1) {
        buf->len = begin;
        buf_add_c(buf, " {}\n");
    }
}

static void print_struct_list(Buf *buf, int indent, const ConfigField *field, ConfigList list)
{
    buf_add_c(buf, list.count ? "\n" : " []\n");
    for (size_t i = 0; i < list.count; i++)
        config_print_item(buf, indent, field->table,
                          (const char *)list.items + i * field->table->bytes);
}

static void print_field(Buf *buf, int indent, const ConfigField *field, const void *object)
{
    const void *member = member_of_const(object, field);
    if (field->kind == CONFIG_INLINE) {
        config_print(buf, indent, field->table, member);
        return;
    }
    if (field->kind == CONFIG_CUSTOM) {
        if (field->print)
            field->print(buf, indent, field->key, member);
        return;
    }
    if (is_empty(field, object) && !field->always_print &&
        (field->omit_empty || !default_is_not_empty(field)))
        return;
    if (field->kind == CONFIG_STRUCT_PTR && !*(void *const *)member)
        return;

    print_key(buf, indent, field->key);
    switch (field->kind) {
    case CONFIG_STR_LIST:
        print_str_list(buf, indent, field, *(const ConfigStrList *)member);
        break;
    case CONFIG_STR_MAP:
        print_str_map(buf, indent, *(const ConfigStrMap *)member);
        break;
    case CONFIG_STR_LIST_MAP:
        print_str_list_map(buf, indent, field, *(const ConfigStrListMap *)member);
        break;
    case CONFIG_STRUCT:
        print_struct(buf, indent, field->table, member);
        break;
    case CONFIG_STRUCT_PTR:
        print_struct(buf, indent, field->table, *(void *const *)member);
        break;
    case CONFIG_STRUCT_LIST:
        print_struct_list(buf, indent, field, *(const ConfigList *)member);
        break;
    default:
        buf_add_char(buf, ' ');
        print_bytes_of(buf, field, member);
        buf_add_char(buf, '\n');
    }
}

void config_print(Buf *buf, int indent, const ConfigTable *table, const void *object)
{
    for (size_t i = 0; i < table->count; i++)
        print_field(buf, indent, &table->fields[i], object);
}

Str config_fingerprint(Arena *arena, const ConfigTable *table, const void *object)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    reveal_secrets = true;
    config_print(&buf, 0, table, object);
    reveal_secrets = false;
    return arena_str(arena, buf_str(&buf));
}

static const char *kind_label(ConfigKind kind)
{
    static const char *const labels[] = {
        [CONFIG_BOOL] = "boolean",
        [CONFIG_I64] = "integer",
        [CONFIG_U64] = "integer",
        [CONFIG_DOUBLE] = "number",
        [CONFIG_STR] = "string",
        [CONFIG_SECRET] = "secret",
        [CONFIG_DURATION] = "duration",
        [CONFIG_SIZE] = "size",
        [CONFIG_ENUM] = "one of",
        [CONFIG_PATH] = "file name",
        [CONFIG_URL] = "URL",
        [CONFIG_STR_LIST] = "list of strings",
        [CONFIG_STR_MAP] = "mapping of strings",
        [CONFIG_STR_LIST_MAP] = "mapping of lists",
        [CONFIG_STRUCT] = "mapping",
        [CONFIG_STRUCT_PTR] = "mapping",
        [CONFIG_STRUCT_LIST] = "list",
        [CONFIG_INLINE] = "",
        [CONFIG_CUSTOM] = "",
    };
    return labels[kind];
}

static void describe_fields(Buf *buf, const ConfigTable *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const ConfigField *field = &table->fields[i];
        if (field->kind == CONFIG_INLINE) {
            describe_fields(buf, field->table);
            continue;
        }
        buf_printf(buf, "| `%s` | %s", field->key, kind_label(field->kind));
        for (int k = 0; field->kind == CONFIG_ENUM && field->words[k]; k++)
            if (*field->words[k])
                buf_printf(buf, " `%s`", field->words[k]);
        if (field->table)
            buf_printf(buf, " %s", field->table->name);
        buf_add_c(buf, " | ");
        if (field->required)
            buf_add_c(buf, "required");
        else if (field->default_text)
            buf_printf(buf, "`%s`", field->default_text);
        buf_printf(buf, " | %s |\n", field->help ? field->help : "");
    }
}

void config_describe(Buf *buf, const ConfigTable *table)
{
    buf_printf(buf, "### %s\n\n| Key | Kind | Default | Meaning |\n|---|---|---|---|\n",
               table->name);
    describe_fields(buf, table);
    buf_add_char(buf, '\n');
}

static const char size_letters[] = "KMGTPE";

// The unit at the front of `rest`, cut off: its factor or 0.
static uint64_t take_unit(Str *rest)
{
    uint64_t factor = 0;
    size_t len = 0;
    const char *letter =
        rest->len ? memchr(size_letters, rest->ptr[0], sizeof size_letters - 1) : NULL;
    if (str_starts_with(*rest, S("B"))) {
        factor = 1;
        len = 1;
    } else if (letter) {
        Str behind = str_skip(*rest, 1);
        factor = 1ULL << (10 * (letter - size_letters + 1));
        len = str_starts_with(behind, S("iB")) ? 3 : str_starts_with(behind, S("B")) ? 2 : 0;
    }
    *rest = str_skip(*rest, len);
    return len ? factor : 0;
}

// alecthomas/units.ParseBase2Bytes: a sum of numbers with units, fractions allowed.
bool config_size_parse(Str text, uint64_t *ret_bytes, Error *err)
{
    uint64_t total = 0;
    Str rest = text;
    if (str_is(text, "0")) {
        *ret_bytes = 0;
        return true;
    }
    if (text.len == 0)
        return error_set(err, ERR_INVALID, "a size must not be empty");
    while (rest.len) {
        size_t digits = 0;
        while (digits < rest.len &&
               ((rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9') || rest.ptr[digits] == '.'))
            digits++;
        Str number = str_sub(rest, 0, digits);
        double value;
        if (digits == 0 || !number_parse_double(number, &value))
            return error_set(err, ERR_INVALID, "\"" STR_FMT "\" is not a size", STR_ARG(text));
        rest = str_skip(rest, digits);
        uint64_t unit = take_unit(&rest);
        if (!unit)
            return error_set(err, ERR_INVALID,
                             "\"" STR_FMT
                             "\" is not a size: a unit such as MB is missing or unknown",
                             STR_ARG(text));
        uint64_t whole;
        double bytes = value * (double)unit;
        bool exact = number_parse_u64(number, &whole);
        if (bytes >= 0x1p63 || (exact && __builtin_mul_overflow(whole, unit, &whole)))
            return error_set(err, ERR_INVALID, "size \"" STR_FMT "\" is too large", STR_ARG(text));
        if (__builtin_add_overflow(total, exact ? whole : (uint64_t)bytes, &total) ||
            total > INT64_MAX)
            return error_set(err, ERR_INVALID, "size \"" STR_FMT "\" is too large", STR_ARG(text));
    }
    *ret_bytes = total;
    return true;
}

void config_size_print(Buf *buf, uint64_t bytes)
{
    if (bytes == 0) {
        buf_add_c(buf, "0B");
        return;
    }
    for (int i = (int)sizeof size_letters - 1; i >= 0; i--) {
        uint64_t part = bytes >> (10 * i) & (i == (int)sizeof size_letters - 1 ? UINT64_MAX : 1023);
        if (part == 0)
            continue;
        buf_add_u64(buf, part);
        if (i > 0)
            buf_printf(buf, "%ciB", size_letters[i - 1]);
        else
            buf_add_char(buf, 'B');
    }
}
