// SPDX-License-Identifier: Apache-2.0
// Back to YAML: what is in an object, with or without its secrets; and the reference page of a table.
#include <stdlib.h>

#include "base/number.h"
#include "base/timefmt.h"
#include "config/config_internal.h"

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
    const void *member = config_member_const(object, field);
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
        return all_zero(member, config_scalar_bytes(field->kind));
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
    const void *member = config_member_const(object, field);
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
