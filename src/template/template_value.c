// SPDX-License-Identifier: Apache-2.0
#include "template/template_value.h"

#include <stdlib.h>

#define TYPE(go_name, go_kind)                                                                     \
    {                                                                                              \
        .name = (go_name), .kind = (go_kind)                                                       \
    }

const TemplateType template_type_any = TYPE("interface {}", TEMPLATE_ANY);
const TemplateType template_type_bool = TYPE("bool", TEMPLATE_BOOL);
const TemplateType template_type_int = TYPE("int", TEMPLATE_INT);
const TemplateType template_type_int64 = TYPE("int64", TEMPLATE_INT);
const TemplateType template_type_uint8 = TYPE("uint8", TEMPLATE_INT);
const TemplateType template_type_float = TYPE("float64", TEMPLATE_FLOAT);
const TemplateType template_type_string = TYPE("string", TEMPLATE_STRING);
const TemplateType template_type_list = TYPE("[]interface {}", TEMPLATE_LIST);
const TemplateType template_type_strings = {
    .name = "[]string", .kind = TEMPLATE_LIST, .elem = &template_type_string};
const TemplateType template_type_map = TYPE("map[string]interface {}", TEMPLATE_MAP);
const TemplateType template_type_labels = {
    .name = "map[string]string", .kind = TEMPLATE_STRING_MAP, .elem = &template_type_string};
const TemplateType template_type_function = TYPE("func", TEMPLATE_FUNCTION);
const TemplateType template_type_html = TYPE("template.HTML", TEMPLATE_STRING);
const TemplateType template_type_url = TYPE("template.URL", TEMPLATE_STRING);
const TemplateType template_type_js = TYPE("template.JS", TEMPLATE_STRING);
const TemplateType template_type_css = TYPE("template.CSS", TEMPLATE_STRING);
const TemplateType template_type_attr = TYPE("template.HTMLAttr", TEMPLATE_STRING);

TemplateValue template_strings(Arena *arena, const Str *items, size_t count)
{
    TemplateValue *values = ARENA_ARRAY(arena, TemplateValue, count);

    for (size_t i = 0; i < count; i++)
        values[i] = template_string(items[i]);
    return template_list_of(&template_type_strings, values, count);
}

static int compare_keys(const TemplateValue *a, const TemplateValue *b)
{
    if (template_kind(a) == TEMPLATE_STRING && template_kind(b) == TEMPLATE_STRING)
        return str_compare(a->string, b->string);
    if (template_kind(a) == TEMPLATE_INT && template_kind(b) == TEMPLATE_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    return (int)template_kind(a) - (int)template_kind(b);
}

// Equal keys stay in the order they were given.
static void merge_entries(const TemplateEntry *from, size_t mid, size_t count, TemplateEntry *to)
{
    size_t left = 0;
    size_t right = mid;

    for (size_t i = 0; i < count; i++) {
        bool take_left =
            right == count || (left < mid && compare_keys(&from[left].key, &from[right].key) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

static void sort_entries(TemplateEntry *entries, TemplateEntry *spare, size_t count)
{
    if (count < 2)
        return;

    size_t mid = count / 2;
    sort_entries(entries, spare, mid);
    sort_entries(entries + mid, spare, count - mid);
    merge_entries(entries, mid, count, spare);
    memcpy(entries, spare, count * sizeof *entries);
}

TemplateValue template_map(TemplateEntry *entries, size_t count)
{
    TemplateEntry *spare = count < 2 ? NULL : X_ARRAY(TemplateEntry, count);
    size_t kept = 0;

    sort_entries(entries, spare, count);
    free(spare);
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_keys(&entries[kept - 1].key, &entries[i].key) == 0)
            kept--;
        entries[kept++] = entries[i];
    }
    return (TemplateValue){.type = &template_type_map, .map = {entries, kept}};
}

bool template_truth(const TemplateValue *value)
{
    switch (template_kind(value)) {
    case TEMPLATE_ANY:
        return false;
    case TEMPLATE_BOOL:
        return value->boolean;
    case TEMPLATE_INT:
        return value->integer != 0;
    case TEMPLATE_FLOAT:
        return value->number != 0;
    case TEMPLATE_STRING:
    case TEMPLATE_LIST:
    case TEMPLATE_MAP:
    case TEMPLATE_STRING_MAP:
        return template_length(value) > 0;
    case TEMPLATE_RECORD:
        return true;
    case TEMPLATE_FUNCTION:
        return value->function != NULL;
    }
    return false;
}

size_t template_length(const TemplateValue *value)
{
    switch (template_kind(value)) {
    case TEMPLATE_STRING:
        return value->string.len;
    case TEMPLATE_LIST:
        return value->list.count;
    case TEMPLATE_MAP:
        return value->map.count;
    case TEMPLATE_STRING_MAP:
        return value->labels.count;
    default:
        return 0;
    }
}

TemplateEntry template_entry(const TemplateValue *map, size_t index)
{
    if (template_kind(map) == TEMPLATE_MAP)
        return map->map.entries[index];

    const Label *pair = &map->labels.pairs[index];
    return (TemplateEntry){template_string(pair->name), template_string(pair->value)};
}

bool template_lookup(const TemplateValue *map, Str key, TemplateValue *ret_value)
{
    size_t low = 0;
    size_t high = template_length(map);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        TemplateEntry entry = template_entry(map, mid);
        int order = template_kind(&entry.key) == TEMPLATE_STRING
                        ? str_compare(entry.key.string, key)
                        : (int)template_kind(&entry.key) - (int)TEMPLATE_STRING;
        if (order == 0) {
            *ret_value = entry.value;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}
