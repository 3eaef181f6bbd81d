// SPDX-License-Identifier: Apache-2.0
// ec2_sd_configs, and the role ec2 of aws_sd_configs: the instances of Amazon's EC2 in one region.
#include "discovery/discovery_aws.h"

#define PREFIX "__meta_ec2_"
#define VERSION "Version=2016-11-15"
#define DEVICES_MAX 64

static bool finish_config(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    AwsConfig *config = object;
    const AwsFilter *filters = config->filters.items;
    for (size_t i = 0; i < config->filters.count; i++)
        if (filters[i].values.count == 0)
            return config_error(reader, node, err,
                                "EC2 SD configuration filter values cannot be empty");
    aws_sign_as(reader, config, "ec2");
    return true;
}

static const ConfigField fields[] = {
    AWS_FIELDS,
    {.key = "filters",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(AwsConfig, filters),
     .table = &aws_filter_table,
     .help = "which instances"},
};

POLL_TABLE(ec2, AwsConfig, fields, finish_config);

typedef struct State {
    const JsonValue *zones; // NULL: may not be asked for
    PageList reservations;
} State;

_Static_assert(sizeof(State) <= AWS_STATE_BYTES, "roles share the size of a state");

static bool ask_instances(Round *round, Str token);

static bool take_instances(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    const JsonValue *list = json_at(answer->json, "reservationSet");
    const JsonValue *item;
    Str token = json_str_at(answer->json, "nextToken");
    (void)arg;
    for (size_t i = 0; (item = aws_item(list, i)) != NULL; i++)
        page_list_add(round, &state->reservations, item);
    if (state->reservations.count > DISCOVERY_TARGETS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d reservations", DISCOVERY_TARGETS_MAX);
    return token.len == 0 || ask_instances(round, token);
}

static bool ask_instances(Round *round, Str token)
{
    const AwsConfig *config = round->config;
    const AwsFilter *filters = config->filters.items;
    Arena *arena = &round->arena;
    CLEANUP(buf_deinit) Buf form = {0};
    buf_add_c(&form, "Action=DescribeInstances&" VERSION);
    for (size_t i = 0; i < config->filters.count; i++) {
        buf_printf(&form, "&Filter.%zu.Name=" STR_FMT, i + 1,
                   STR_ARG(poll_query_escaped(arena, filters[i].name)));
        for (size_t v = 0; v < filters[i].values.count; v++)
            buf_printf(&form, "&Filter.%zu.Value.%zu=" STR_FMT, i + 1, v + 1,
                       STR_ARG(poll_query_escaped(arena, filters[i].values.items[v])));
    }
    if (token.len)
        buf_printf(&form, "&NextToken=" STR_FMT, STR_ARG(poll_query_escaped(arena, token)));
    aws_ask_query(round, "ec2", arena_str(arena, buf_str(&form)), NULL, take_instances, NULL);
    return true;
}

static bool any_status(int status)
{
    return status > 0;
}

// Without the permission to ask for zones the label is not there.
static bool take_zones(Round *round, const Answer *answer, void *arg, Error *err)
{
    State *state = round->state;
    (void)arg;
    (void)err;
    if (answer->status == 200)
        state->zones = json_at(answer->json, "availabilityZoneInfo");
    return true;
}

static bool begin(Round *round, Error *err)
{
    (void)err;
    aws_ask_query(round, "ec2", S("Action=DescribeAvailabilityZones&" VERSION), any_status,
                  take_zones, NULL);
    return ask_instances(round, STR_NONE);
}

static const MetaRow rows[] = {
    {PREFIX "instance_id", "instanceId", META_TEXT},
    {PREFIX "private_ip", "privateIpAddress", META_TEXT},
    {PREFIX "private_dns_name", "privateDnsName", META_TEXT},
    {PREFIX "platform", "platform", META_TEXT},
    {PREFIX "ami", "imageId", META_TEXT},
    {PREFIX "availability_zone", "placement.availabilityZone", META_TEXT},
    {PREFIX "instance_state", "instanceState.name", META_TEXT},
    {PREFIX "instance_type", "instanceType", META_TEXT},
    {PREFIX "instance_lifecycle", "instanceLifecycle", META_TEXT},
    {PREFIX "architecture", "architecture", META_TEXT},
    {PREFIX "vpc_id", "vpcId", META_TEXT},
};

static Str zone_id(const State *state, Str zone)
{
    const JsonValue *item;
    for (size_t i = 0; (item = aws_item(state->zones, i)) != NULL; i++)
        if (str_equal(json_str_at(item, "zoneName"), zone))
            return json_str_at(item, "zoneId");
    return STR_NONE;
}

static bool contains(const Str *items, size_t count, Str text)
{
    for (size_t i = 0; i < count; i++)
        if (str_equal(items[i], text))
            return true;
    return false;
}

// Each subnet of the cards once, in their order.
static void label_subnets(LabelsBuilder *labels, const JsonValue *instance)
{
    const JsonValue *cards = json_at(instance, "networkInterfaceSet");
    const JsonValue *card;
    Str *subnets = ARENA_ARRAY(labels->arena, Str, cards ? cards->count : 0);
    size_t count = 0;
    for (size_t i = 0; (card = aws_item(cards, i)) != NULL; i++) {
        Str subnet = json_str_at(card, "subnetId");
        if (subnet.len && !contains(subnets, count, subnet))
            subnets[count++] = subnet;
    }
    meta_set(labels, PREFIX "primary_subnet_id", json_str_at(instance, "subnetId"));
    meta_set(labels, PREFIX "subnet_id", meta_join(labels->arena, subnets, count, S(",")));
}

typedef struct Ipv6 {
    Str primary[DEVICES_MAX]; // by the device's number
    size_t primary_count;
    Str *all;
    size_t count;
} Ipv6;

static void gather_card(Arena *arena, const JsonValue *card, Ipv6 *ipv6)
{
    const JsonValue *addresses = json_at(card, "ipv6AddressesSet");
    const JsonValue *item;
    int64_t device = json_i64_at(card, "attachment.deviceIndex");
    for (size_t i = 0; (item = aws_item(addresses, i)) != NULL; i++) {
        Str address = json_str_at(item, "ipv6Address");
        ipv6->all = arena_grow(arena, ipv6->all, ipv6->count * sizeof(Str),
                               (ipv6->count + 1) * sizeof(Str));
        ipv6->all[ipv6->count++] = address;
        if (!json_bool_at(item, "isPrimaryIpv6") || device < 0 || device >= DEVICES_MAX)
            continue;
        ipv6->primary_count = MAX(ipv6->primary_count, (size_t)device + 1);
        ipv6->primary[device] = address;
    }
}

// Labels of the IPv6 addresses; returns the one to scrape where there is no IPv4.
static Str label_ipv6(LabelsBuilder *labels, const JsonValue *instance)
{
    const JsonValue *cards = json_at(instance, "networkInterfaceSet");
    const JsonValue *card;
    Ipv6 *ipv6 = ARENA_NEW(labels->arena, Ipv6);
    Str best = STR_NONE;
    if (json_str_at(instance, "vpcId").len == 0)
        return best;
    for (size_t i = 0; (card = aws_item(cards, i)) != NULL; i++)
        if (json_str_at(card, "subnetId").len)
            gather_card(labels->arena, card, ipv6);
    if (ipv6->primary_count)
        meta_set(labels, PREFIX "primary_ipv6_addresses",
                 meta_join(labels->arena, ipv6->primary, ipv6->primary_count, S(",")));
    if (ipv6->count)
        meta_set(labels, PREFIX "ipv6_addresses",
                 meta_join(labels->arena, ipv6->all, ipv6->count, S(",")));
    for (size_t i = 0; i < ipv6->primary_count && best.len == 0; i++)
        best = ipv6->primary[i];
    for (size_t i = 0; i < ipv6->count && best.len == 0; i++)
        best = ipv6->all[i];
    meta_set(labels, PREFIX "default_ipv6_address", best);
    return best;
}

static void add_instance(const Round *round, GroupMaker *maker, Str owner,
                         const JsonValue *instance)
{
    const AwsConfig *config = round->config;
    LabelsBuilder *labels = group_target(maker);
    Str address = json_str_at(instance, "privateIpAddress");
    Str ipv6 = label_ipv6(labels, instance);
    Str public_ip = json_str_at(instance, "ipAddress");
    if (address.len == 0 && ipv6.len == 0)
        return;
    meta_address(labels, address.len ? address : ipv6, config->port);
    meta_rows(labels, instance, rows, COUNT_OF(rows), STR_NONE);
    meta_set(labels, PREFIX "region", aws_region(config));
    meta_set(labels, PREFIX "owner_id", owner);
    if (public_ip.len) {
        meta_set(labels, PREFIX "public_ip", public_ip);
        meta_set(labels, PREFIX "public_dns_name", json_str_at(instance, "dnsName"));
    }
    meta_set(labels, PREFIX "availability_zone_id",
             zone_id(round->state, json_str_at(instance, "placement.availabilityZone")));
    if (json_str_at(instance, "vpcId").len)
        label_subnets(labels, instance);
    aws_tags(labels, PREFIX "tag_", json_at(instance, "tagSet"), "key", "value");
    group_add(maker);
}

static bool finish(Round *round, Error *err)
{
    const State *state = round->state;
    GroupMaker maker;
    (void)err;
    group_begin(&maker, round->found, &round->arena, aws_region(round->config));
    for (size_t i = 0; i < state->reservations.count; i++) {
        const JsonValue *reservation = state->reservations.items[i];
        const JsonValue *instances = json_at(reservation, "instancesSet");
        const JsonValue *instance;
        for (size_t k = 0; (instance = aws_item(instances, k)) != NULL; k++)
            add_instance(round, &maker, json_str_at(reservation, "ownerId"), instance);
    }
    group_end(&maker);
    return true;
}

const AwsRole aws_role_ec2 = {"ec2", begin, finish};

static const PollKind poll = {
    POLL_OFFSETS(AwsConfig),
    .state_bytes = AWS_STATE_BYTES,
    .begin = begin,
    .finish = finish,
};

POLL_KIND(ec2);
