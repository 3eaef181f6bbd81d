// SPDX-License-Identifier: Apache-2.0
// mattermost: attachments to an incoming webhook: alertmanager.md section 8.14.
#include "alertmanager/am_receiver.h"

#define TEXT_RUNES_MAX 16383

typedef struct MattermostField {
    Str title, value;
    AmTristate is_short;
} MattermostField;

// One attachment; the settings of the receiver itself are one, too.
typedef struct MattermostAttachment {
    Str text, fallback, color, pretext, author_name, author_link, author_icon, title, title_link;
    ConfigList fields; // MattermostField
    Str thumb_url, footer, footer_icon, image_url;
} MattermostAttachment;

typedef struct MattermostProps {
    Str card;
} MattermostProps;

typedef struct MattermostPriority {
    Str priority;
    bool requested_ack, persistent_notifications;
} MattermostPriority;

typedef struct Mattermost {
    AmCommon common;
    Str webhook_url, webhook_url_file, channel, username;
    MattermostAttachment flat;
    Str icon_url, icon_emoji;
    ConfigList attachments; // MattermostAttachment
    Str type;
    MattermostProps *props;
    MattermostPriority *priority;
} Mattermost;

#define OWNER MattermostField
static const ConfigField field_fields[] = {
    AM_FIELD(title, CONFIG_STR, "heading"),
    AM_FIELD(value, CONFIG_STR, "text below"),
    {.key = "short",
     .kind = CONFIG_CUSTOM,
     .offset = offsetof(MattermostField, is_short),
     .help = "may stand beside another",
     .decode = am_config_decode_tristate,
     .print = am_config_print_tristate},
};
#undef OWNER

static bool finish_field(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const MattermostField *field = object;
    if (field->title.len == 0)
        return config_error(reader, node, err, "missing title in Mattermost field configuration");
    if (field->value.len == 0)
        return config_error(reader, node, err, "missing value in Mattermost field configuration");
    return true;
}

static const ConfigTable field_table =
    CONFIG_TABLE(MattermostField, "mattermost_field", field_fields, finish_field);

#define OWNER MattermostAttachment
// `text` stands elsewhere in a list of attachments than among the receiver's own settings.
#define TEXT_FIELD(default_value) AM_FIELD(text, CONFIG_STR, "text", .default_text = default_value)
#define HEAD_FIELDS(fallback_default, color_default)                                               \
    AM_FIELD(fallback, CONFIG_STR, "text where attachments are not shown",                         \
             .default_text = fallback_default),                                                    \
        AM_FIELD(color, CONFIG_STR, "of the bar", .default_text = color_default),                  \
        AM_FIELD(pretext, CONFIG_STR, "text above")
#define TAIL_FIELDS(title_default, link_default)                                                   \
    AM_FIELD(author_name, CONFIG_STR, "who says it"),                                              \
        AM_FIELD(author_link, CONFIG_STR, "where the author leads"),                               \
        AM_FIELD(author_icon, CONFIG_STR, "picture of the author"),                                \
        AM_FIELD(title, CONFIG_STR, "heading", .default_text = title_default),                     \
        AM_FIELD(title_link, CONFIG_STR, "where it leads", .default_text = link_default),          \
        AM_FIELD(fields, CONFIG_STRUCT_LIST, "pairs below the text", .table = &field_table),       \
        AM_FIELD(thumb_url, CONFIG_STR, "small picture"),                                          \
        AM_FIELD(footer, CONFIG_STR, "small text at the end"),                                     \
        AM_FIELD(footer_icon, CONFIG_STR, "picture beside it"),                                    \
        AM_FIELD(image_url, CONFIG_STR, "picture")
static const ConfigField attachment_fields[] = {HEAD_FIELDS(NULL, NULL), TEXT_FIELD(NULL),
                                                TAIL_FIELDS(NULL, NULL)};
static const ConfigField flat_fields[] = {
    TEXT_FIELD(AM_TEMPLATE("mattermost", "text")),
    HEAD_FIELDS(AM_TEMPLATE("mattermost", "fallback"), AM_TEMPLATE("mattermost", "color")),
    TAIL_FIELDS(AM_TEMPLATE("mattermost", "title"), AM_TEMPLATE("mattermost", "titlelink"))};
#undef OWNER
static const ConfigTable attachment_table =
    CONFIG_TABLE(MattermostAttachment, "mattermost_attachment", attachment_fields, NULL);
static const ConfigTable flat_table =
    CONFIG_TABLE(MattermostAttachment, "mattermost_flat", flat_fields, NULL);

#define OWNER MattermostProps
static const ConfigField props_fields[] = {AM_FIELD(card, CONFIG_STR, "text of the side bar")};
#undef OWNER
static const ConfigTable props_table =
    CONFIG_TABLE(MattermostProps, "mattermost_props", props_fields, NULL);

#define OWNER MattermostPriority
static const ConfigField priority_fields[] = {
    AM_FIELD(priority, CONFIG_STR, "urgent, important or standard"),
    AM_FIELD(requested_ack, CONFIG_BOOL, "asks to acknowledge"),
    AM_FIELD(persistent_notifications, CONFIG_BOOL, "notifies until somebody answers"),
};
#undef OWNER
static const ConfigTable priority_table =
    CONFIG_TABLE(MattermostPriority, "mattermost_priority", priority_fields, NULL);

#define OWNER Mattermost
static const ConfigField fields_of[] = {
    AM_COMMON_FIELDS(Mattermost, "true"),
    AM_FIELD(webhook_url, CONFIG_SECRET, "the webhook"),
    AM_FIELD(webhook_url_file, CONFIG_STR, "file with it"),
    AM_FIELD(channel, CONFIG_STR, "channel or user"),
    AM_FIELD(username, CONFIG_STR, "sender", .default_text = AM_TEMPLATE("mattermost", "username")),
    {.key = "", .kind = CONFIG_INLINE, .offset = offsetof(Mattermost, flat), .table = &flat_table},
    AM_FIELD(icon_url, CONFIG_STR, "picture of the sender"),
    AM_FIELD(icon_emoji, CONFIG_STR, "the same, as an emoji"),
    AM_FIELD(attachments, CONFIG_STRUCT_LIST, "in place of the one that the settings make",
             .table = &attachment_table),
    AM_FIELD(type, CONFIG_STR, "type of the message"),
    AM_FIELD(props, CONFIG_STRUCT_PTR, "more about it", .table = &props_table),
    AM_FIELD(priority, CONFIG_STRUCT_PTR, "how pressing it is", .table = &priority_table),
};
const ConfigTable receiver_mattermost_table =
    CONFIG_TABLE(Mattermost, "mattermost_config", fields_of, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    Mattermost *mm = config;
    const AmCommon *common = &mm->common;
    return am_receiver_one_of(reader, common, "webhook_url & webhook_url_file", mm->webhook_url,
                              mm->webhook_url_file, err) &&
           am_config_url(reader, common->node, &mm->webhook_url, err) &&
           am_receiver_inherit(reader, common, &mm->webhook_url, &mm->webhook_url_file,
                               global->mattermost_webhook_url, global->mattermost_webhook_url_file,
                               "no mattermost webhook URL provided", err);
}

static void add_fields(AmSend *send, JsonWriter *json, const ConfigList *list)
{
    const MattermostField *all = list->items;
    if (list->count == 0)
        return;
    json_key(json, S("fields"));
    json_array(json);
    for (size_t i = 0; i < list->count; i++) {
        json_object(json);
        am_send_member(send, json, "title", all[i].title, true);
        am_send_member(send, json, "value", all[i].value, true);
        if (all[i].is_short.is_set)
            json_key_bool(json, "short", all[i].is_short.value);
        json_object_end(json);
    }
    json_array_end(json);
}

static void add_attachment(AmSend *send, JsonWriter *json, const MattermostAttachment *a)
{
    json_object(json);
    am_send_member(send, json, "fallback", a->fallback, false);
    am_send_member(send, json, "color", a->color, false);
    am_send_member(send, json, "pretext", a->pretext, false);
    Str text = am_truncate_runes(send->arena, am_send_text(send, a->text), TEXT_RUNES_MAX);
    if (text.len)
        json_key_str(json, "text", text);
    am_send_member(send, json, "author_name", a->author_name, false);
    am_send_member(send, json, "author_link", a->author_link, false);
    am_send_member(send, json, "author_icon", a->author_icon, false);
    am_send_member(send, json, "title", a->title, false);
    am_send_member(send, json, "title_link", a->title_link, false);
    add_fields(send, json, &a->fields);
    am_send_member(send, json, "thumb_url", a->thumb_url, false);
    am_send_member(send, json, "footer", a->footer, false);
    am_send_member(send, json, "footer_icon", a->footer_icon, false);
    am_send_member(send, json, "image_url", a->image_url, false);
    json_object_end(json);
}

// What Mattermost does not know is sent as the standard one.
static Str priority_name(Str given)
{
    static const Str known[] = {STR("urgent"), STR("important")};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_equal_nocase(given, known[i]))
            return known[i];
    return S("standard");
}

static void add_priority(AmSend *send, JsonWriter *json, const MattermostPriority *priority)
{
    Str name = priority_name(am_send_text(send, priority->priority));
    json_key(json, S("priority"));
    json_object(json);
    json_key_str(json, "priority", name);
    if (priority->requested_ack && !str_is(name, "standard"))
        json_key_bool(json, "requested_ack", true);
    if (priority->persistent_notifications && str_is(name, "urgent"))
        json_key_bool(json, "persistent_notifications", true);
    json_object_end(json);
}

static void add_message(AmSend *send, JsonWriter *json, const Mattermost *mm)
{
    const MattermostAttachment *all = mm->attachments.items;
    json_object(json);
    if (mm->attachments.count) {
        Str text =
            am_truncate_runes(send->arena, am_send_text(send, mm->flat.text), TEXT_RUNES_MAX);
        if (text.len)
            json_key_str(json, "text", text);
    }
    am_send_member(send, json, "channel", mm->channel, false);
    am_send_member(send, json, "username", mm->username, false);
    am_send_member(send, json, "icon_url", mm->icon_url, false);
    am_send_member(send, json, "icon_emoji", mm->icon_emoji, false);
    json_key(json, S("attachments"));
    json_array(json);
    if (mm->attachments.count == 0)
        add_attachment(send, json, &mm->flat);
    for (size_t i = 0; i < mm->attachments.count; i++)
        add_attachment(send, json, &all[i]);
    json_array_end(json);
    am_send_member(send, json, "type", mm->type, false);
    if (mm->props) {
        json_key(json, S("props"));
        json_object(json);
        am_send_member(send, json, "card", mm->props->card, false);
        json_object_end(json);
    }
    if (mm->priority && mm->priority->priority.len)
        add_priority(send, json, mm->priority);
    json_object_end(json);
}

static AmStep step(AmSend *send, Error *err)
{
    const Mattermost *mm = send->config;
    Str url;
    Buf body = {0};
    JsonWriter json;
    if (send->step)
        return AM_CHECK(send, err);
    if (!am_send_secret(send, mm->webhook_url, mm->webhook_url_file, &url, err))
        return AM_STEP_FAILED;
    json_writer_init(&json, &body);
    add_message(send, &json, mm);
    return am_send_finish(send, url, &body, err);
}

const AmReceiverKind receiver_mattermost = {"mattermost", &receiver_mattermost_table, complete,
                                            step};
