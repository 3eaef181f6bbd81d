// SPDX-License-Identifier: Apache-2.0
// Values as Go's json.Marshal writes them.
#include <math.h>

#include "codec/json_writer.h"
#include "template/template_fmt.h"

static bool write_value(JsonWriter *json, const TemplateValue *value, Arena *arena, int depth,
                        Error *err);

static void write_key(JsonWriter *json, const TemplateValue *key)
{
    Buf text = {0};

    template_print(&text, key);
    json_key(json, buf_str(&text));
    buf_deinit(&text);
}

static bool write_map(JsonWriter *json, const TemplateValue *value, Arena *arena, int depth,
                      Error *err)
{
    bool ok = true;

    json_object(json);
    for (size_t i = 0; i < template_length(value) && ok; i++) {
        TemplateEntry entry = template_entry(value, i);
        write_key(json, &entry.key);
        ok = write_value(json, &entry.value, arena, depth, err);
    }
    json_object_end(json);
    return ok;
}

static bool write_list(JsonWriter *json, const TemplateValue *value, Arena *arena, int depth,
                       Error *err)
{
    bool ok = true;

    json_array(json);
    for (size_t i = 0; i < value->list.count && ok; i++)
        ok = write_value(json, &value->list.items[i], arena, depth, err);
    json_array_end(json);
    return ok;
}

static bool write_record(JsonWriter *json, const TemplateValue *value, Arena *arena, int depth,
                         Error *err)
{
    bool ok = true;

    json_object(json);
    for (size_t i = 0; i < value->type->field_count && ok; i++) {
        const TemplateField *field = &value->type->fields[i];
        const char *name = field->json_name ? field->json_name : field->name;
        if (!name[0])
            continue;
        TemplateValue inner = field->get(value->record, arena);
        json_key(json, str_from_c(name));
        ok = write_value(json, &inner, arena, depth, err);
    }
    json_object_end(json);
    return ok;
}

static bool write_float(JsonWriter *json, double v, Error *err)
{
    if (!isfinite(v))
        return error_set(err, ERR_INVALID, "json: unsupported value: %s",
                         isnan(v) ? "NaN"
                         : v < 0  ? "-Inf"
                                  : "+Inf");
    json_double(json, v);
    return true;
}

static void write_own(JsonWriter *json, const TemplateValue *value)
{
    Buf text = {0};

    value->type->json(&text, value);
    json_raw(json, buf_str(&text));
    buf_deinit(&text);
}

static bool write_value(JsonWriter *json, const TemplateValue *value, Arena *arena, int depth,
                        Error *err)
{
    if (depth > TEMPLATE_PRINT_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "json: nested more than %d deep",
                         TEMPLATE_PRINT_DEPTH_MAX);
    if (json->buf->failed)
        return error_set(err, ERR_LIMIT, "json: the text is larger than %zu bytes", json->buf->max);
    if (value->type && value->type->json) {
        write_own(json, value);
        return true;
    }
    switch (template_kind(value)) {
    case TEMPLATE_ANY:
        json_null(json);
        return true;
    case TEMPLATE_BOOL:
        json_bool(json, value->boolean);
        return true;
    case TEMPLATE_INT:
        json_i64(json, value->integer);
        return true;
    case TEMPLATE_FLOAT:
        return write_float(json, value->number, err);
    case TEMPLATE_STRING:
        json_str(json, value->string);
        return true;
    case TEMPLATE_LIST:
        return write_list(json, value, arena, depth + 1, err);
    case TEMPLATE_MAP:
    case TEMPLATE_STRING_MAP:
        return write_map(json, value, arena, depth + 1, err);
    case TEMPLATE_RECORD:
        return write_record(json, value, arena, depth + 1, err);
    case TEMPLATE_FUNCTION:
        return error_set(err, ERR_INVALID, "json: unsupported type: %s", value->type->name);
    }
    return true;
}

bool template_json(Buf *out, const TemplateValue *value, Arena *arena, Error *err)
{
    JsonWriter *json = ARENA_NEW(arena, JsonWriter);

    json_writer_init(json, out);
    return write_value(json, value, arena, 0, err) && buf_ok(out, "the JSON text", err);
}
