// SPDX-License-Identifier: Apache-2.0
// Attributes as labels: prometheus.md section 7.5, "Labels", "Promoted attributes" and "Scope labels".
#include <stdlib.h>

#include "base/number.h"
#include "codec/compress.h"
#include "codec/json_writer.h"
#include "remote/otlp_internal.h"

enum { VALUE_DEPTH_MAX = 32 };

// Values -----------------------------------------------------------------------------------------------------------------------------

static bool write_json(JsonWriter *json, Str message, Arena *arena, int depth);

static void write_list(JsonWriter *json, Str message, Arena *arena, int depth)
{
    ProtoReader r = proto_reader(message);
    json_array(json);
    while (proto_next(&r))
        if (r.field == 1 && r.wire == PROTO_BYTES)
            (void)!write_json(json, r.bytes, arena, depth + 1); // a value that is no value is null
    json_array_end(json);
}

typedef struct KeyValue {
    Str key, value;
} KeyValue;

static KeyValue read_key_value(Str message)
{
    KeyValue pair = {S(""), S("")};
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.wire != PROTO_BYTES)
            continue;
        if (r.field == 1 && r.bytes.len)
            pair.key = r.bytes;
        else if (r.field == 2)
            pair.value = r.bytes;
    }
    return pair;
}

static int compare_keys(const void *a, const void *b)
{
    return str_compare(((const KeyValue *)a)->key, ((const KeyValue *)b)->key);
}

// The pairs of a message, sorted by key.
static KeyValue *sorted_pairs(Str message, uint32_t field, Arena *arena, size_t *ret_count)
{
    size_t count = 0;
    ProtoReader r = proto_reader(message);
    while (proto_next(&r))
        count += r.field == field && r.wire == PROTO_BYTES;
    KeyValue *pairs = ARENA_ARRAY(arena, KeyValue, count);
    count = 0;
    r = proto_reader(message);
    while (proto_next(&r))
        if (r.field == field && r.wire == PROTO_BYTES)
            pairs[count++] = read_key_value(r.bytes);
    qsort(pairs, count, sizeof *pairs, compare_keys);
    *ret_count = count;
    return pairs;
}

static void write_map(JsonWriter *json, Str message, Arena *arena, int depth)
{
    size_t count;
    const KeyValue *pairs = sorted_pairs(message, 1, arena, &count);
    json_object(json);
    for (size_t i = 0; i < count; i++) {
        json_key(json, pairs[i].key);
        (void)!write_json(json, pairs[i].value, arena, depth + 1);
    }
    json_object_end(json);
}

static bool write_json(JsonWriter *json, Str message, Arena *arena, int depth)
{
    ProtoReader r = proto_reader(message);
    if (depth > VALUE_DEPTH_MAX || !proto_next(&r)) {
        json_null(json);
        return false;
    }
    switch (r.field) {
    case 1:
        json_str(json, r.bytes.len ? r.bytes : S(""));
        return true;
    case 2:
        json_bool(json, r.number != 0);
        return true;
    case 3:
        json_i64(json, (int64_t)r.number);
        return true;
    case 4: {
        double v = proto_double(&r);
        if (v - v == 0)
            json_double(json, v);
        else
            json_null(json);
        return true;
    }
    case 5:
        write_list(json, r.bytes, arena, depth);
        return true;
    case 6:
        write_map(json, r.bytes, arena, depth);
        return true;
    default: {
        Buf text = {0};
        base64_encode(r.bytes, &text);
        json_str(json, text.len ? buf_str(&text) : S(""));
        buf_deinit(&text);
        return true;
    }
    }
}

static Str nested_text(Str message, Arena *arena)
{
    Buf text = {0};
    JsonWriter json;
    json_writer_init(&json, &text);
    json.keeps_html = true;
    (void)!write_json(&json, message, arena, 0);
    Str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

Str otlp_any_value_text(Str message, Arena *arena)
{
    ProtoReader r = proto_reader(message);
    if (!proto_next(&r))
        return STR_NONE;
    if (r.field == 1 && r.wire == PROTO_BYTES)
        return r.bytes;
    if (r.field == 2)
        return r.number ? S("true") : S("false");
    if (r.field == 3)
        return arena_printf(arena, "%lld", (long long)r.number);
    Buf text = {0};
    Str copy;
    if (r.field == 4) {
        buf_add_double_json(&text, proto_double(&r));
        copy = arena_str(arena, buf_str(&text));
    } else if (r.field == 7 && r.wire == PROTO_BYTES) {
        base64_encode(r.bytes, &text);
        copy = arena_str(arena, buf_str(&text));
    } else {
        copy = nested_text(message, arena);
    }
    buf_deinit(&text);
    return copy;
}

Str otlp_attribute(Str message, uint32_t field, Str key, Arena *arena)
{
    ProtoReader r = proto_reader(message);
    while (proto_next(&r)) {
        if (r.field != field || r.wire != PROTO_BYTES)
            continue;
        KeyValue pair = read_key_value(r.bytes);
        if (!str_equal(pair.key, key))
            continue;
        Str text = otlp_any_value_text(pair.value, arena);
        return text.ptr ? text : S("");
    }
    return STR_NONE;
}

static bool identifies(Str key)
{
    return str_is(key, "service.namespace") || str_is(key, "service.name") ||
           str_is(key, "service.instance.id");
}

size_t otlp_resource_extras(Str resource)
{
    ProtoReader r = proto_reader(resource);
    size_t count = 0;
    while (proto_next(&r))
        count += r.field == 1 && r.wire == PROTO_BYTES && !identifies(read_key_value(r.bytes).key);
    return count;
}

// Lists of labels --------------------------------------------------------------------------------------------------------------------

typedef struct LabelList {
    Label *pairs;
    size_t count, cap;
    Arena *arena;
} LabelList;

static Label *find_label(const LabelList *list, Str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_equal(list->pairs[i].name, name))
            return &list->pairs[i];
    return NULL;
}

static void set_label(LabelList *list, Str name, Str value)
{
    Label *old = find_label(list, name);
    if (old) {
        old->value = value;
        return;
    }
    if (list->count == list->cap) {
        size_t cap = MAX(list->cap * 2, 32u);
        list->pairs =
            arena_grow(list->arena, list->pairs, list->cap * sizeof(Label), cap * sizeof(Label));
        list->cap = cap;
    }
    list->pairs[list->count++] = (Label){name, value};
}

// The attributes of a message, sorted by key.
static bool sorted_attributes(Str message, uint32_t field, Arena *arena, KeyValue **ret_pairs,
                              size_t *ret_count, Error *err)
{
    *ret_pairs = sorted_pairs(message, field, arena, ret_count);
    return *ret_count <= OTLP_ATTRIBUTES_MAX ||
           error_set(err, ERR_LIMIT, "more than %d attributes", OTLP_ATTRIBUTES_MAX);
}

// Attributes whose names become the same: their values are joined.
static bool add_point_attributes(LabelList *list, const OtlpOrigin *origin, Error *err)
{
    const OtlpMetric *metric = origin->metric;
    bool skips = !metric->scope && !metric->rules->config.keep_identifying_resource_attributes;
    KeyValue *pairs;
    size_t count;
    if (!sorted_attributes(origin->point, origin->attribute_field, list->arena, &pairs, &count,
                           err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (skips && identifies(pairs[i].key))
            continue;
        Str name = otlp_label_name(metric->rules, pairs[i].key, list->arena);
        Str value = otlp_any_value_text(pairs[i].value, list->arena);
        Label *old = find_label(list, name);
        if (old && old->value.len && metric->rules->escapes)
            old->value =
                arena_printf(list->arena, STR_FMT ";" STR_FMT, STR_ARG(old->value), STR_ARG(value));
        else
            set_label(list, name, value);
    }
    return true;
}

static bool is_listed(const ConfigStrList *list, Str key)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_equal(list->items[i], key))
            return true;
    return false;
}

// Resource attributes that the configuration names; those of the point win, and of those whose names become the same the last.
static void add_promoted(LabelList *list, const OtlpMetric *metric)
{
    const OtlpConfig *config = &metric->rules->config;
    LabelList promoted = {.arena = list->arena};
    ProtoReader r = proto_reader(metric->resource->message);
    if (!config->promote_all_resource_attributes && config->promote_resource_attributes.count == 0)
        return;
    while (proto_next(&r)) {
        if (r.field != 1 || r.wire != PROTO_BYTES)
            continue;
        KeyValue pair = read_key_value(r.bytes);
        bool wanted = config->promote_all_resource_attributes
                          ? !is_listed(&config->ignore_resource_attributes, pair.key)
                          : is_listed(&config->promote_resource_attributes, pair.key);
        if (wanted)
            set_label(&promoted, otlp_label_name(metric->rules, pair.key, list->arena),
                      otlp_any_value_text(pair.value, list->arena));
    }
    for (size_t i = 0; i < promoted.count; i++) {
        const Label *old = find_label(list, promoted.pairs[i].name);
        if (!old || old->value.len == 0)
            set_label(list, promoted.pairs[i].name, promoted.pairs[i].value);
    }
}

// What the scope is comes after its attributes, which may be called the same.
static bool add_scope(LabelList *list, const OtlpMetric *metric, Error *err)
{
    const OtlpScope *scope = metric->scope;
    KeyValue *pairs;
    size_t count;
    if (!metric->rules->config.promote_scope_metadata || scope->name.len == 0)
        return true;
    if (!sorted_attributes(scope->message, 3, list->arena, &pairs, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        Str name = arena_printf(list->arena, "otel_scope_" STR_FMT, STR_ARG(pairs[i].key));
        set_label(list, otlp_label_name(metric->rules, name, list->arena),
                  otlp_any_value_text(pairs[i].value, list->arena));
    }
    set_label(list, S("otel_scope_name"), scope->name);
    set_label(list, S("otel_scope_version"), scope->version);
    set_label(list, S("otel_scope_schema_url"), scope->schema_url);
    return true;
}

static void add_type_and_unit(LabelList *list, const OtlpMetric *metric)
{
    if (metric->type != METRIC_UNKNOWN)
        set_label(list, S("__type__"), metric_type_name(metric->type));
    Str unit = otlp_unit_name(metric->unit, metric->rules->escapes, list->arena);
    if (unit.len)
        set_label(list, S("__unit__"), unit);
}

static Str number_text(double v, Arena *arena)
{
    char text[NUMBER_BYTES_MAX];
    return arena_str(arena, (Str){text, number_format_f(v, text)});
}

// The name, and what tells the series of one point from each other.
static void add_extras(LabelList *list, const OtlpOrigin *origin)
{
    OtlpMetric *metric = origin->metric;
    static const char *const endings[] = {[OTLP_NO_SUFFIX] = "",
                                          [OTLP_SUM] = "_sum",
                                          [OTLP_COUNT] = "_count",
                                          [OTLP_BUCKET] = "_bucket",
                                          [OTLP_QUANTILE] = ""};
    set_label(list, LABEL_METRIC_NAME,
              arena_printf(list->arena, STR_FMT "%s", STR_ARG(metric->translated),
                           endings[origin->suffix]));
    if (origin->suffix == OTLP_BUCKET)
        set_label(list, S("le"), number_text(origin->bound, list->arena));
    else if (origin->suffix == OTLP_QUANTILE)
        set_label(list, S("quantile"), number_text(origin->bound, list->arena));
}

bool otlp_labels_of(WriteRun *run, Str text, Label **ret_pairs, size_t *ret_count, Error *err)
{
    const OtlpOrigin *origin = (const OtlpOrigin *)(const void *)text.ptr;
    OtlpMetric *metric = origin->metric;
    LabelList list = {.arena = &run->scratch};
    if (!metric->translated.ptr)
        metric->translated = otlp_metric_name(metric->rules, metric->name, metric->unit,
                                              metric->name_kind, run->arena);
    if (!add_point_attributes(&list, origin, err))
        return false;
    if (metric->scope) {
        add_promoted(&list, metric);
        if (!add_scope(&list, metric, err))
            return false;
        if (metric->rules->type_and_unit)
            add_type_and_unit(&list, metric);
    }
    if (metric->resource->job.len)
        set_label(&list, S("job"), metric->resource->job);
    if (metric->resource->instance.len)
        set_label(&list, S("instance"), metric->resource->instance);
    add_extras(&list, origin);
    *ret_pairs = list.pairs;
    *ret_count = list.count;
    return true;
}
