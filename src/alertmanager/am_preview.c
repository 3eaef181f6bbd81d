// SPDX-License-Identifier: Apache-2.0
// POST narthex/template: what a text, or all texts of a receiver, become when they are filled in. Secrets are never filled in or shown.
#include "alertmanager/am_sample.h"

#define TEXT_BYTES_MAX ((size_t)256 << 10)
#define FIELDS_MAX 1000

typedef struct Preview {
    AmSample *sample;
    Arena *arena;
    JsonWriter *json;
    const char *integration;
    uint32_t index;
    size_t shown;
} Preview;

// "text" or "error".
static void fill_in(const Preview *preview, Str text, bool html)
{
    Error err = {0};
    Str out;
    if (am_templates_render(preview->sample->templates, text, html, preview->sample->data,
                            preview->arena, &out, &err))
        json_key_str(preview->json, "text", out);
    else
        am_sample_json_fault(preview->json, preview->sample, &err);
}

// ---- all that a receiver's settings say ----

static void show_text(Preview *preview, Str path, Str text, bool html)
{
    JsonWriter *json = preview->json;
    if (str_find(text, S("{{")) == STR_NOT_FOUND || preview->shown++ >= FIELDS_MAX)
        return;
    json_object(json);
    json_key_c(json, "integration", preview->integration);
    json_key_u64(json, "index", preview->index);
    json_key_str(json, "field", path);
    json_key_str(json, "template", text);
    fill_in(preview, text, html);
    json_object_end(json);
}

static void show_node(Preview *preview, Str path, const YamlNode *node)
{
    if (!node)
        return;
    if (node->kind == YAML_SCALAR)
        show_text(preview, path, node->scalar, false);
    for (size_t i = 0; i < node->count; i++) {
        Str below = node->kind == YAML_MAPPING
                        ? arena_printf(preview->arena, STR_FMT "." STR_FMT, STR_ARG(path),
                                       STR_ARG(node->keys[i]->scalar))
                        : arena_printf(preview->arena, STR_FMT "[%zu]", STR_ARG(path), i);
        show_node(preview, below, node->items[i]);
    }
}

// Settings that are filled in as pages: the values in them are escaped.
static bool is_html(const Preview *preview, Str path, const void *object, const ConfigTable *table)
{
    Str kind = str_from_c(preview->integration);
    if (str_is(kind, "email"))
        return str_is(path, "html");
    if (!str_is(path, "message"))
        return false;
    if (str_is(kind, "telegram"))
        return true;
    for (size_t i = 0; str_is(kind, "pushover") && i < table->count; i++)
        if (strcmp(table->fields[i].key, "html") == 0)
            return *(const bool *)((const char *)object + table->fields[i].offset);
    return false;
}

static void show_struct(Preview *preview, Str lead, const ConfigTable *table, const void *object);

static void show_list(Preview *preview, Str path, const ConfigField *field, const ConfigList *list)
{
    const char *item = list->items;
    for (size_t i = 0; i < list->count; i++, item += field->table->bytes)
        show_struct(preview, arena_printf(preview->arena, STR_FMT "[%zu].", STR_ARG(path), i),
                    field->table, item);
}

static void show_map(Preview *preview, Str path, const ConfigStrMap *map)
{
    for (size_t i = 0; i < map->count; i++)
        show_text(
            preview,
            arena_printf(preview->arena, STR_FMT "." STR_FMT, STR_ARG(path), STR_ARG(map->keys[i])),
            map->values[i], false);
}

static void show_strings(Preview *preview, Str path, const ConfigStrList *list)
{
    for (size_t i = 0; i < list->count; i++)
        show_text(preview, arena_printf(preview->arena, STR_FMT "[%zu]", STR_ARG(path), i),
                  list->items[i], false);
}

static void show_field(Preview *preview, Str lead, const ConfigTable *table,
                       const ConfigField *field, const void *object)
{
    const void *member = (const char *)object + field->offset;
    Str path = arena_printf(preview->arena, STR_FMT "%s", STR_ARG(lead), field->key);
    switch (field->kind) {
    case CONFIG_STR:
    case CONFIG_URL:
        show_text(preview, path, *(const Str *)member, is_html(preview, path, object, table));
        break;
    case CONFIG_STR_LIST:
        show_strings(preview, path, member);
        break;
    case CONFIG_STR_MAP:
        show_map(preview, path, member);
        break;
    case CONFIG_STRUCT:
        show_struct(preview, arena_printf(preview->arena, STR_FMT ".", STR_ARG(path)), field->table,
                    member);
        break;
    case CONFIG_INLINE:
        show_struct(preview, lead, field->table, member);
        break;
    case CONFIG_STRUCT_PTR:
        if (*(const void *const *)member)
            show_struct(preview, arena_printf(preview->arena, STR_FMT ".", STR_ARG(path)),
                        field->table, *(const void *const *)member);
        break;
    case CONFIG_STRUCT_LIST:
        show_list(preview, path, field, member);
        break;
    case CONFIG_CUSTOM:
        if (field->print == am_config_print_node)
            show_node(preview, path, *(const YamlNode *const *)member);
        break;
    default: // numbers, switches, secrets
        break;
    }
}

static void show_struct(Preview *preview, Str lead, const ConfigTable *table, const void *object)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].key, "http_config") != 0)
            show_field(preview, lead, table, &table->fields[i], object);
}

static void show_receiver(Preview *preview)
{
    json_key(preview->json, S("fields"));
    json_array(preview->json);
    for (int k = 0; k < AM_KIND_COUNT; k++) {
        const ConfigList *list = &preview->sample->receiver->kinds[k];
        const ConfigTable *table = am_receiver_kinds[k]->table;
        const char *item = list->items;
        preview->integration = am_receiver_kinds[k]->name;
        for (preview->index = 0; preview->index < list->count; preview->index++) {
            show_struct(preview, STR_NONE, table, item);
            item += table->bytes;
        }
    }
    json_array_end(preview->json);
}

// ---- the handler ----

static void answer(AmCall *call, AmSample *sample, const JsonValue *text, bool html)
{
    CLEANUP(buf_deinit) Buf buf = {0};
    JsonWriter json;
    Error err = {0};
    Preview preview = {.sample = sample, .arena = call->arena, .json = &json};
    am_api_writer(&json, &buf);
    json_object(&json);
    am_sample_json_head(&json, sample);
    if (!am_sample_route_labels(sample, call->arena, &err))
        am_sample_json_fault(&json, sample, &err);
    else if (text)
        fill_in(&preview, text->str, html);
    else
        show_receiver(&preview);
    json_object_end(&json);
    http_reply_compress(call->request);
    am_api_json(call, 200, &buf);
}

void am_preview_handle(AmCall *call)
{
    CLEANUP(am_sample_deinit) AmSample sample = {0};
    JsonValue *body;
    if (!am_api_body(call, "template", &body))
        return;
    const JsonValue *text = json_get(body, S("text"));
    const JsonValue *html = json_get(body, S("html"));
    if (text && text->kind == JSON_NULL)
        text = NULL;
    if (text && (text->kind != JSON_STRING || text->str.len > TEXT_BYTES_MAX)) {
        am_api_fault(call, 400, "text must be a string of at most %zu bytes", TEXT_BYTES_MAX);
        return;
    }
    if (!am_sample_init(&sample, call, body))
        return;
    if (!text && !sample.receiver)
        am_api_fault(call, 400, "neither a text nor a receiver is given");
    else
        answer(call, &sample, text, html && html->kind == JSON_BOOL && html->boolean);
}
