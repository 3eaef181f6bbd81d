// SPDX-License-Identifier: Apache-2.0
#include "discovery/discovery_meta.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "net/url.h"

const JsonValue *json_at(const JsonValue *value, const char *path)
{
    Str rest = str_from_c(path);
    for (Str step; value && str_split_next(&rest, '.', &step);) {
        uint64_t index;
        if (value->kind == JSON_OBJECT)
            value = json_get(value, step);
        else if (value->kind == JSON_ARRAY && number_parse_u64(step, &index) &&
                 index < value->count)
            value = &value->items[index];
        else
            value = NULL;
    }
    return value;
}

// What XML has as an element with attributes is its text.
static const JsonValue *plain(const JsonValue *value)
{
    const JsonValue *text =
        value && value->kind == JSON_OBJECT ? json_get(value, S("#text")) : NULL;
    return text ? text : value;
}

Str meta_text(Arena *arena, const JsonValue *value)
{
    value = plain(value);
    if (!value)
        return STR_NONE;
    switch (value->kind) {
    case JSON_STRING:
        return value->str;
    case JSON_BOOL:
        return value->boolean ? S("true") : S("false");
    case JSON_NUMBER:
        break;
    default:
        return STR_NONE;
    }
    if (value->is_integer)
        return arena_printf(arena, "%lld", (long long)value->integer);
    char text[NUMBER_BYTES_MAX];
    return arena_str(arena, str_make(text, number_format_f(value->number, text)));
}

Str json_str_at(const JsonValue *value, const char *path)
{
    const JsonValue *found = plain(json_at(value, path));
    return found && found->kind == JSON_STRING ? found->str : STR_NONE;
}

int64_t json_i64_at(const JsonValue *value, const char *path)
{
    const JsonValue *found = plain(json_at(value, path));
    int64_t number = 0;
    if (found && found->kind == JSON_STRING && number_parse_i64(str_trim(found->str), &number))
        return number;
    return found && found->kind == JSON_NUMBER && found->is_integer ? found->integer : 0;
}

bool json_bool_at(const JsonValue *value, const char *path)
{
    const JsonValue *found = plain(json_at(value, path));
    if (found && found->kind == JSON_STRING)
        return str_is(found->str, "true");
    return found && found->kind == JSON_BOOL && found->boolean;
}

void meta_set(LabelsBuilder *labels, const char *name, Str value)
{
    if (value.len)
        labels_builder_set(labels, str_from_c(name), value);
}

void meta_setf(LabelsBuilder *labels, const char *name, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    meta_set(labels, name, arena_vprintf(labels->arena, fmt, args));
    va_end(args);
}

void meta_set_bool(LabelsBuilder *labels, const char *name, bool value)
{
    meta_set(labels, name, value ? S("true") : S("false"));
}

void meta_set_key(LabelsBuilder *labels, const char *prefix, Str key, Str value)
{
    size_t before = strlen(prefix);
    char *name = arena_alloc(labels->arena, before + key.len + 1);
    memcpy(name, prefix, before);
    size_t len = before;
    uint32_t rune;
    // A character of several bytes becomes one '_'.
    for (size_t bytes; (bytes = str_rune(key, &rune)) > 0; key = str_skip(key, bytes))
        name[len++] = rune < 0x80 && (isalnum((int)rune) || rune == '_') ? (char)rune : '_';
    if (value.len)
        labels_builder_set(labels, str_make(name, len), value);
}

void meta_map(LabelsBuilder *labels, const char *prefix, const JsonValue *object)
{
    if (!object || object->kind != JSON_OBJECT)
        return;
    for (size_t i = 0; i < object->count; i++)
        meta_set_key(labels, prefix, object->keys[i], meta_text(labels->arena, &object->items[i]));
}

Str meta_join(Arena *arena, const Str *items, size_t count, Str separator)
{
    CLEANUP(buf_deinit) Buf out = {0};
    buf_add_str(&out, separator);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_str(&out, separator);
        buf_add_str(&out, items[i]);
    }
    buf_add_str(&out, separator);
    return arena_str(arena, buf_str(&out));
}

Str meta_join_json(Arena *arena, const JsonValue *list, Str separator)
{
    size_t count = list && list->kind == JSON_ARRAY ? list->count : 0;
    Str *items = ARENA_ARRAY(arena, Str, count);
    for (size_t i = 0; i < count; i++)
        items[i] = meta_text(arena, &list->items[i]);
    return meta_join(arena, items, count, separator);
}

void meta_rows(LabelsBuilder *labels, const JsonValue *item, const MetaRow *rows, size_t count,
               Str separator)
{
    for (size_t i = 0; i < count; i++) {
        const JsonValue *value = json_at(item, rows[i].path);
        if (!value)
            continue;
        switch (rows[i].form) {
        case META_TEXT:
            meta_set(labels, rows[i].label, meta_text(labels->arena, value));
            break;
        case META_TIME: {
            Str text = meta_text(labels->arena, value);
            size_t dot = str_find_char(text, '.');
            if (dot != STR_NOT_FOUND && str_ends_with(text, S("Z")))
                text = arena_printf(labels->arena, STR_FMT "Z", STR_ARG(str_sub(text, 0, dot)));
            meta_set(labels, rows[i].label, text);
            break;
        }
        case META_LIST:
            if (value->kind == JSON_ARRAY && value->count)
                meta_set(labels, rows[i].label, meta_join_json(labels->arena, value, separator));
            break;
        case META_MAP:
            meta_map(labels, rows[i].label, value);
            break;
        }
    }
}

void meta_address(LabelsBuilder *labels, Str host, int64_t port)
{
    CLEANUP(buf_deinit) Buf out = {0};
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)port);
    url_add_host_port(&out, host, str_make(digits, (size_t)len));
    meta_set(labels, "__address__", arena_str(labels->arena, buf_str(&out)));
}

void group_begin(GroupMaker *maker, GroupSnapshot *snapshot, Arena *scratch, Str source)
{
    *maker = (GroupMaker){
        .snapshot = snapshot, .scratch = scratch, .source = arena_str(&snapshot->arena, source)};
    labels_builder_init(&maker->group, scratch, LABELS_NONE);
}

LabelsBuilder *group_target_from(GroupMaker *maker, Labels base)
{
    labels_builder_init(&maker->target, maker->scratch, base);
    return &maker->target;
}

LabelsBuilder *group_target(GroupMaker *maker)
{
    return group_target_from(maker, LABELS_NONE);
}

void group_add(GroupMaker *maker)
{
    if (maker->count == maker->cap) {
        size_t cap = maker->cap ? maker->cap * 2 : 8;
        maker->targets = arena_grow(maker->scratch, maker->targets, maker->cap * sizeof(Labels),
                                    cap * sizeof(Labels));
        maker->cap = cap;
    }
    // The strings are views into answers: they must live as long as the snapshot.
    maker->targets[maker->count++] =
        labels_copy(&maker->snapshot->arena, labels_builder_finish(&maker->target));
}

static int compare_targets(const void *a, const void *b)
{
    return labels_compare(*(const Labels *)a, *(const Labels *)b);
}

// Targets are put in order: where several questions are under way at once, answers that came in another order are no change.
void group_end(GroupMaker *maker)
{
    Arena *arena = &maker->snapshot->arena;
    Labels *targets = ARENA_ARRAY(arena, Labels, maker->count);
    if (maker->count) {
        memcpy(targets, maker->targets, maker->count * sizeof(Labels));
        qsort(targets, maker->count, sizeof(Labels), compare_targets);
    }
    TargetGroup *group = group_snapshot_more(maker->snapshot, 1);
    Labels labels = labels_builder_finish(&maker->group);
    *group = (TargetGroup){.source = maker->source,
                           .labels = labels_copy(arena, labels),
                           .targets = targets,
                           .target_count = maker->count};
    target_group_hash(group);
    maker->snapshot->count++;
}
