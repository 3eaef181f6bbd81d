// SPDX-License-Identifier: Apache-2.0
// victorops: alertmanager.md section 8.6.
#include "alertmanager/am_receiver.h"

#define MESSAGE_RUNES_MAX 20480

typedef struct Victorops {
    AmCommon common;
    Str api_key, api_key_file, api_url, routing_key, message_type;
    Str state_message, entity_display_name, monitoring_tool;
    ConfigStrMap custom_fields;
} Victorops;

#define OWNER Victorops
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Victorops, "true"),
    AM_FIELD(api_key, CONFIG_SECRET, "API key"),
    AM_FIELD(api_key_file, CONFIG_STR, "file with it"),
    AM_FIELD(api_url, CONFIG_STR, "the API"),
    AM_FIELD(routing_key, CONFIG_STR, "which team; a template"),
    AM_FIELD(message_type, CONFIG_STR, "INFO, WARNING or CRITICAL", .default_text = "CRITICAL"),
    AM_FIELD(state_message, CONFIG_STR, "text",
             .default_text = AM_TEMPLATE("victorops", "state_message")),
    AM_FIELD(entity_display_name, CONFIG_STR, "heading",
             .default_text = AM_TEMPLATE("victorops", "entity_display_name")),
    AM_FIELD(monitoring_tool, CONFIG_STR, "who reports",
             .default_text = AM_TEMPLATE("victorops", "monitoring_tool")),
    AM_FIELD(custom_fields, CONFIG_STR_MAP, "more members of the document"),
};
const ConfigTable receiver_victorops_table =
    CONFIG_TABLE(Victorops, "victorops_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    static const char *const taken[] = {"routing_key",         "message_type",    "state_message",
                                        "entity_display_name", "monitoring_tool", "entity_id",
                                        "entity_state"};
    Victorops *vo = config;
    const AmCommon *common = &vo->common;
    if (vo->routing_key.len == 0)
        return config_error(reader, common->node, err, "missing Routing key in VictorOps config");
    for (size_t i = 0; i < vo->custom_fields.count; i++)
        for (size_t k = 0; k < COUNT_OF(taken); k++)
            if (str_is(vo->custom_fields.keys[i], taken[k]))
                return config_error(
                    reader, common->node, err,
                    "victorOps config contains custom field %s which cannot be used "
                    "as it conflicts with the fixed/static fields",
                    taken[k]);
    if (!am_receiver_one_of(reader, common, "api_key & api_key_file", vo->api_key, vo->api_key_file,
                            err) ||
        !am_config_url(reader, common->node, &vo->api_url, err) ||
        !am_receiver_inherit(reader, common, &vo->api_key, &vo->api_key_file,
                             global->victorops_api_key, global->victorops_api_key_file,
                             "no global VictorOps API Key set", err))
        return false;
    vo->api_url = vo->api_url.len ? am_config_with_slash(reader->arena, vo->api_url)
                                  : global->victorops_api_url;
    return true;
}

static Str message_type(AmSend *send, const Victorops *vo)
{
    Str type = am_send_text(send, vo->message_type);
    if (!send->data->firing)
        return S("RECOVERY");
    bool known = str_is(type, "INFO") || str_is(type, "WARNING") || str_is(type, "CRITICAL");
    return known ? type : S("CRITICAL");
}

static AmStep step(AmSend *send, Error *err)
{
    const Victorops *vo = send->config;
    Str key;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, vo->api_key, vo->api_key_file, &key, err))
        return AM_STEP_FAILED;
    size_t count = vo->custom_fields.count;
    ConfigStrMap all = {ARENA_ARRAY(send->arena, Str, count + 5),
                        ARENA_ARRAY(send->arena, Str, count + 5), 5};
    const Str names[] = {STR("message_type"), STR("entity_id"), STR("entity_display_name"),
                         STR("monitoring_tool"), STR("state_message")};
    const Str values[] = {
        message_type(send, vo),
        am_send_key(send),
        am_send_text(send, vo->entity_display_name),
        am_send_text(send, vo->monitoring_tool),
        am_truncate_runes(send->arena, am_send_text(send, vo->state_message), MESSAGE_RUNES_MAX),
    };
    memcpy(all.keys, names, sizeof names);
    memcpy(all.values, values, sizeof values);
    for (size_t i = 0; i < count; i++) {
        all.keys[all.count] = vo->custom_fields.keys[i];
        all.values[all.count++] = am_send_text(send, vo->custom_fields.values[i]);
    }
    json_writer_init(&json, &body);
    json_object(&json);
    // Sorted by name, as Go writes a map; empty values stay.
    for (size_t done = 0; done < all.count; done++) {
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < all.count; i++)
            if (all.keys[i].ptr &&
                (least == SIZE_MAX || str_compare(all.keys[i], all.keys[least]) < 0))
                least = i;
        json_key(&json, all.keys[least]);
        json_str(&json, all.values[least]);
        all.keys[least] = STR_NONE;
    }
    json_object_end(&json);
    Str url = arena_printf(send->arena, STR_FMT STR_FMT "/" STR_FMT, STR_ARG(vo->api_url),
                           STR_ARG(key), STR_ARG(am_send_text(send, vo->routing_key)));
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_victorops = {"victorops", &receiver_victorops_table, complete, step};
