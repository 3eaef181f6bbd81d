// SPDX-License-Identifier: Apache-2.0
// lightsail_sd_configs, and the role lightsail of aws_sd_configs: the instances of Amazon's Lightsail in one region.
#include "codec/json_writer.h"
#include "discovery/discovery_aws.h"

#define PREFIX "__meta_lightsail_"

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    (void)node;
    (void)err;
    aws_sign_as(reader, object, "lightsail");
    return true;
}

static const ConfigField fields[] = {AWS_FIELDS};

POLL_TABLE(lightsail, AwsConfig, fields, finish_config);

static void ask_page(Round *round, Str token);

static bool take(Round *round, const Answer *answer, void *arg, Error *err)
{
    PageList *list = round->state;
    const JsonValue *instances = json_at(answer->json, "instances");
    const JsonValue *item;
    Str token = json_str_at(answer->json, "nextPageToken");
    (void)arg;
    for (size_t i = 0; (item = aws_item(instances, i)) != NULL; i++)
        page_list_add(round, list, item);
    if (list->count > DISCOVERY_TARGETS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d instances", DISCOVERY_TARGETS_MAX);
    if (token.len)
        ask_page(round, token);
    return true;
}

static void ask_page(Round *round, Str token)
{
    CLEANUP(buf_deinit) Buf body = {0};
    JsonWriter *json = ARENA_NEW(&round->arena, JsonWriter);
    json_writer_init(json, &body);
    json_object(json);
    if (token.len)
        json_key_str(json, "pageToken", token);
    json_object_end(json);
    aws_ask_json(round, "lightsail", "Lightsail_20161128.GetInstances",
                 arena_str(&round->arena, buf_str(&body)), take, NULL);
}

static bool begin(Round *round, Error *err)
{
    (void)err;
    ask_page(round, STR_NONE);
    return true;
}

static const MetaRow rows[] = {
    {PREFIX "private_ip", "privateIpAddress", META_TEXT},
    {PREFIX "public_ip", "publicIpAddress", META_TEXT},
    {PREFIX "availability_zone", "location.availabilityZone", META_TEXT},
    {PREFIX "blueprint_id", "blueprintId", META_TEXT},
    {PREFIX "bundle_id", "bundleId", META_TEXT},
    {PREFIX "instance_name", "name", META_TEXT},
    {PREFIX "instance_state", "state.name", META_TEXT},
    {PREFIX "instance_support_code", "supportCode", META_TEXT},
    {PREFIX "ipv6_addresses", "ipv6Addresses", META_LIST},
};

static bool finish(Round *round, Error *err)
{
    const AwsConfig *config = round->config;
    const PageList *list = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, aws_region(config));
    for (size_t i = 0; i < list->count; i++) {
        Str address = json_str_at(list->items[i], "privateIpAddress");
        if (address.len == 0)
            continue;
        LabelsBuilder *labels = group_target(&maker);
        meta_address(labels, address, config->port);
        meta_set(labels, PREFIX "region", aws_region(config));
        meta_rows(labels, list->items[i], rows, COUNT_OF(rows), S(","));
        aws_tags(labels, PREFIX "tag_", json_at(list->items[i], "tags"), "key", "value");
        group_add(&maker);
    }
    group_end(&maker);
    return true;
}

const AwsRole aws_role_lightsail = {"lightsail", begin, finish};

static const PollKind poll = {
    POLL_OFFSETS(AwsConfig),
    .state_bytes = AWS_STATE_BYTES,
    .begin = begin,
    .finish = finish,
};

POLL_KIND(lightsail);
